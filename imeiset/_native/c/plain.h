/* Texts of one cell a row: a line that is a number and nothing else needs no looking for cells, which is
 * several times faster; any other row is left to scan.h, one at a time.
 *
 * The short cut takes lines of 14, 15 or 16 digits and LF or CRLF whose status is accepted, from the
 * start of a row on. Such a line is the same row to scan_rows.
 */
#ifndef IMEISET_PLAIN_H
#define IMEISET_PLAIN_H

#include "digits_simd.h"
#include "taking.h"

#define PLAIN_LINE 18 /* bytes: the longest, with its end */

/* Count eight rows by their statuses; false, and nothing is counted, if one is not accepted. line: the first. */
static inline bool plain_count8(const uint8_t codes[8], struct scan_taking *taking, int32_t line) {
    const uint8_t *accept = taking->accept;
    int64_t *statuses = taking->tally.status;
    uint64_t eight;
    memcpy(&eight, codes, 8);
    unsigned refused = !accept[IMEI_OK];
    for (int k = 0; eight && k < 8; k++) refused |= !accept[codes[k]];
    if (refused) return false;
    if (!eight) statuses[IMEI_OK] += 8;
    for (int k = 0; eight && k < 8; k++) {
        statuses[codes[k]]++;
        if (codes[k] == IMEI_CHECK_DIGIT) note(&taking->tally, NOTED_WRONG, line + k);
    }
    return true;
}

/* Note which of eight rows of 14 digits may have lost a zero. */
static inline void plain_lost8(const uint8_t *const rows[8], struct scan_tally *tally, int32_t line) {
    for (int k = 0; k < 8; k++)
        if (lost_zero(rows[k])) note(tally, NOTED_LOST_ZERO, line + k);
}

/* Count one row of so many digits. */
static inline void plain_count(const uint8_t *digits, unsigned count, uint8_t code, struct scan_tally *tally,
                               int32_t line) {
    tally->status[code]++;
    tally->forms[count - 14]++;
    if (count == 14 && lost_zero(digits)) note(tally, NOTED_LOST_ZERO, line);
    if (code == IMEI_CHECK_DIGIT) note(tally, NOTED_WRONG, line);
}

#define LEVEL_LOOPS "plain_loops.h"
#include "levels.h"

static size_t (*const plain_levels[SIMD_LEVELS])(const uint8_t *text, size_t size, struct scan_taking *taking,
                                                 int32_t line, size_t capacity, uint64_t *keys,
                                                 size_t *consumed) = {
    plain_portable,
#if SIMD_X86
    plain_sse4,
    plain_avx2,
    plain_avx2, /* AVX-512 */
#endif
};

/* The next rows, from state->position on: the keys of accepted rows, at most `capacity`, and the first
 * `room` others in `rows`, `cells` and `status`. Returns how many keys, and in *refused how many others:
 * none at all means that the chunk is finished, as for scan_rows. `marks` are made when first needed. */
static size_t plain_rows(int level, const struct scan_dialect *dialect, const uint8_t *text, int32_t size,
                         bool final, uint64_t *marks, int *marked, struct scan_taking *taking, size_t capacity,
                         uint64_t *keys, int32_t room, struct scan_row *rows, int32_t *cells, uint8_t *status,
                         int32_t *refused, struct scan_state *state) {
    size_t accepted = 0;
    *refused = 0;
    while (accepted < capacity && *refused < room && state->position < size) {
        const uint8_t *from = text + state->position;
        struct scan_row *row = rows + *refused;
        int32_t *cell = cells + *refused;
        uint64_t key;
        if (!state->skipping && dialect->max_row >= PLAIN_LINE) {
            size_t consumed;
            size_t lines = plain_levels[level](from, (size_t)(size - state->position), taking, state->lines,
                                               capacity - accepted, keys + accepted, &consumed);
            note_placeholders(&taking->tally, keys + accepted, lines, state->lines);
            accepted += lines;
            state->lines += (int32_t)lines;
            state->position += (int32_t)consumed;
            if (accepted == capacity) break;
        }
        if (!*marked) {
            int32_t before = state->position / 64;
            scan_marks(level, text + 64 * (int64_t)before, size - 64 * before, dialect->delimiter,
                       marks + before);
            *marked = 1;
        }
        if (!scan_rows(dialect, text, size, final, marks, 1, room, row, cell, state)) break;
        const int32_t length = cell[room] - cell[0];
        uint8_t code = (uint8_t)row->flaw;
        if (code == SCAN_FINE) {
            code = take_parse(taking, text + cell[0], length, &key);
            if (take(taking, text + cell[0], length, row->line, &key, &code)) {
                keys[accepted++] = key;
                continue;
            }
        } else {
            taking->tally.status[code]++;
        }
        status[(*refused)++] = code;
    }
    return accepted;
}

#endif
