/* Delimited text: a row that looks like one before it, byte for byte but for its digits, has the same
 * cells at the same places, so nothing needs to be looked for; any other row is left to scan.h, one at a
 * time, and may be looked like next.
 *
 * The short cut takes rows of one line whose identity is 14, 15 or 16 digits, whose status, if it matters,
 * is the one of the row that was looked at, and whose identity is accepted. Digits end no cell and no row,
 * so to scan_rows such a row has the same cells.
 */
#ifndef IMEISET_TABLE_H
#define IMEISET_TABLE_H

#include "plain.h"

#define TABLE_SHAPES 8 /* kept: lists with empty cells, or numbers of several lengths, have a few */
#define TABLE_BYTES 64 /* looked at in a row, without an identity at its start */
#define TABLE_REACH (TABLE_BYTES + 16) /* bytes that may be read from the start of a row on */
#define TABLE_IGNORED 133 /* report.IGNORED: a row whose status does not count */

struct table_shape {
    uint8_t zero[TABLE_BYTES];  /* xor: a digit becomes 0..9, any other expected byte becomes 0 */
    uint8_t limit[TABLE_BYTES]; /* the most a byte may then be */
    int32_t bytes;              /* of a row, its line end included; 0: none yet */
    int32_t from;               /* where zero and limit begin: after an identity at the start */
    int32_t identity, digits;   /* where the identity is, and how long */
    row_shape key;              /* of the identity alone */
};

struct table_shapes {
    struct table_shape known[TABLE_SHAPES];
    int32_t current, next; /* the one that the last row had; the one to be replaced */
    int64_t learned;       /* rows that were looked at one at a time */
};

/* What is to be found in the rows, by places among the wanted cells. */
struct table_wanted {
    int32_t identity, status; /* status: -1 if all rows count */
    const uint8_t *words;     /* the statuses that count, in lower case, one after another */
    const int32_t *at;        /* where each begins, and the last ends */
    int32_t n_words;
};

#define LEVEL_LOOPS "table_loops.h"
#include "levels.h"

static size_t (*const table_levels[SIMD_LEVELS])(struct table_shapes *shapes, const uint8_t *text, size_t size,
                                                 const uint8_t *accept, size_t capacity, uint64_t *keys,
                                                 int64_t *statuses, int64_t *forms, size_t *consumed) = {
    table_portable,
#if SIMD_X86
    table_sse4,
    table_avx2,
#endif
};

/* Whether a status is one that counts. */
static inline bool table_counts(const struct table_wanted *wanted, const uint8_t *cell, int32_t length) {
    for (int32_t i = 0; i < wanted->n_words; i++) {
        const uint8_t *word = wanted->words + wanted->at[i];
        int32_t at = 0;
        if (wanted->at[i + 1] - wanted->at[i] != length) continue;
        while (at < length && word[at] == (cell[at] >= 'A' && cell[at] <= 'Z' ? cell[at] | 0x20 : cell[at])) at++;
        if (at == length) return true;
    }
    return false;
}

/* Take the shape of a row of `bytes`, whose identity and status (up to `status_end`) are there. */
static void table_learn(struct table_shapes *shapes, const uint8_t *row, int32_t bytes, int32_t identity,
                        int32_t digits, int32_t status, int32_t status_end) {
    struct table_shape *shape = &shapes->known[shapes->next];
    const int32_t from = identity == 0 ? digits : 0;
    if (bytes - from > TABLE_BYTES || identity + 16 > TABLE_REACH || row[bytes - 1] != '\n' ||
        memchr(row, '\n', (size_t)bytes - 1))
        return;
    shapes->current = shapes->next;
    shapes->next = (shapes->next + 1) % TABLE_SHAPES;
    memset(shape->zero, 0, sizeof shape->zero);
    memset(shape->limit, 0xFF, sizeof shape->limit);
    for (int32_t i = from; i < bytes; i++) {
        bool digit = (uint8_t)(row[i] - '0') <= 9 && !(i >= status && i < status_end);
        shape->zero[i - from] = digit ? '0' : row[i];
        shape->limit[i - from] = digit ? 9 : 0;
    }
    shape->bytes = bytes;
    shape->from = from;
    shape->identity = identity;
    shape->digits = digits;
    shape->key.bare = IMEI_OK;
    set_shape(&shape->key, (unsigned)digits, "", 0);
}

/* The next rows, from state->position on: the keys of accepted rows, at most `capacity`, and the first
 * `room` others in `rows`, `cells` and `status`. Returns how many keys, and in *refused how many others:
 * none at all means that the chunk is finished, as for scan_rows. `marks` are made when first needed. */
static size_t table_rows(int level, const struct scan_dialect *dialect, const struct table_wanted *wanted,
                         const uint8_t *text, int32_t size, bool final, uint64_t *marks, int *marked,
                         const uint8_t *accept, size_t capacity, uint64_t *keys, int32_t room,
                         struct scan_row *rows, int32_t *cells, uint8_t *status, int32_t *refused,
                         struct scan_state *state, struct scan_tally *tally, struct table_shapes *shapes) {
    const bool learns = (uint8_t)(dialect->delimiter - '0') > 9 && dialect->max_row >= TABLE_REACH;
    const int best = level < SIMD_AVX2 ? level : SIMD_AVX2; /* of the levels, the last that differs here */
    size_t accepted = 0;
    *refused = 0;
    while (accepted < capacity && *refused < room && state->position < size) {
        struct scan_row *row = rows + *refused;
        const int32_t *cell = cells + *refused + 2 * (int64_t)room * wanted->identity;
        uint64_t key;
        if (!state->skipping) {
            size_t consumed;
            size_t lines = table_levels[best](shapes, text + state->position, (size_t)(size - state->position),
                                               accept, capacity - accepted, keys + accepted, tally->status,
                                               tally->forms, &consumed);
            accepted += lines;
            state->lines += (int32_t)lines;
            state->position += (int32_t)consumed;
            if (accepted == capacity || state->position == size) break;
        }
        if (!*marked) {
            int32_t before = state->position / 64;
            scan_marks(level, text + 64 * (int64_t)before, size - 64 * before, dialect->delimiter,
                       marks + before);
            *marked = 1;
        }
        if (!scan_rows(dialect, text, size, final, marks, 1, room, row, cells + *refused, state)) break;
        const int32_t length = cell[room] - cell[0];
        int32_t from = row->end, to = row->end;
        uint8_t code = imei_scalar(text + cell[0], (size_t)length, IMEI_OK, &key);
        if (wanted->status >= 0) {
            const int32_t *listed = cells + *refused + 2 * (int64_t)room * wanted->status;
            from = listed[0], to = listed[room];
            if (!table_counts(wanted, text + from, to - from)) code = TABLE_IGNORED;
        }
        if (row->flaw != SCAN_FINE) code = (uint8_t)row->flaw;
        tally->status[code]++;
        shapes->learned++;
        if (!accept[code]) {
            status[(*refused)++] = code;
            continue;
        }
        const int32_t digits = scan_digits(text + cell[0], length);
        tally->forms[digits - 14]++;
        keys[accepted++] = key;
        if (learns && digits == length && row->end < size)
            table_learn(shapes, text + row->start, row->end + 1 - row->start, cell[0] - row->start, digits,
                        from - row->start, to - row->start);
    }
    return accepted;
}

#endif
