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

/* Count one row of so many digits. */
ALWAYS_INLINE void plain_count(const uint8_t *digits, unsigned count, uint8_t code, uint64_t key,
                               struct scan_tally *tally, int32_t line) {
    tally->status[code]++;
    tally->forms[count - 14]++;
    if (count == 14 && lost_zero(digits)) note(tally, NOTED_LOST_ZERO, line);
    if (code == IMEI_CHECK_DIGIT) note(tally, NOTED_WRONG, line);
    if (UNLIKELY(may_be_placeholder(key))) note_placeholder(tally, key, line);
}

#if SIMD_X86
/* Count eight rows by their statuses, which are not all IMEI_OK. */
TARGET_AVX2 NOINLINE bool plain_count_mixed8(uint64_t eight, struct scan_taking *taking, int32_t line) {
    static const uint8_t kinds[] = {IMEI_OK, IMEI_CHECK_DIGIT, IMEI_CHECK_DIGIT_SPARE, IMEI_NO_CHECK_DIGIT};
    struct noted_rows *noted = &taking->tally.noted[NOTED_WRONG];
    uint64_t rows[4], refused = 0;
    for (int i = 0; i < 4; i++) {
        rows[i] = scan_zero_bytes(eight ^ kinds[i] * SCAN_LOW);
        refused |= taking->accept[kinds[i]] ? 0 : rows[i];
    }
    if (refused) return false;
    for (int i = 0; i < 4; i++) taking->tally.status[kinds[i]] += __builtin_popcountll(rows[i]);
    if (noted->count >= NOTED_LINES) {
        noted->count += __builtin_popcountll(rows[1]);
        return true;
    }
    for (uint64_t wrong = rows[1]; wrong; wrong &= wrong - 1)
        note(&taking->tally, NOTED_WRONG, line + __builtin_ctzll(wrong) / 8);
    return true;
}

/* Count eight rows by their statuses, which are those of group8_avx2; false, and nothing is counted, if one is not
 * accepted. line: the first. */
TARGET_AVX2 ALWAYS_INLINE bool plain_count8(const uint8_t codes[8], struct scan_taking *taking, int32_t line) {
    uint64_t eight;
    memcpy(&eight, codes, 8);
    if (eight || !taking->accept[IMEI_OK]) return plain_count_mixed8(eight, taking, line);
    taking->tally.status[IMEI_OK] += 8;
    return true;
}

/* Whether one of eight keys may be a placeholder, see may_be_placeholder. */
TARGET_AVX2 ALWAYS_INLINE bool plain_placeholders8(const uint64_t *keys) {
    const __m256 four = _mm256_castsi256_ps(_mm256_loadu_si256((const __m256i *)keys));
    const __m256 more = _mm256_castsi256_ps(_mm256_loadu_si256((const __m256i *)(keys + 4)));
    const __m256i high = _mm256_castps_si256(_mm256_shuffle_ps(four, more, _MM_SHUFFLE(3, 1, 3, 1)));
    const __m256i times = _mm256_mullo_epi32(high, _mm256_set1_epi32((int)INVERSE_HIGH));
    const __m256i equal = _mm256_cmpeq_epi32(_mm256_min_epu32(times, _mm256_set1_epi32(9)), times);
    const __m256i low = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(LOW_TACS >> 32) + 1), high);
    const __m256i any = _mm256_or_si256(equal, low);
    return !_mm256_testz_si256(any, any);
}

/* Note what is to be of eight rows of so many digits, which are taken. */
TARGET_AVX2 ALWAYS_INLINE void plain_note8(const uint8_t *const rows[8], unsigned digits, const uint64_t *keys,
                                           struct scan_tally *tally, int32_t line) {
    if (UNLIKELY(plain_placeholders8(keys)))
        for (int k = 0; k < 8; k++) note_placeholder(tally, keys[k], line + k);
    if (digits != 14) return;
    /* Luhn's sums with a zero before the digits: those in even places are doubled. */
    const __m256i keep = _mm256_setr_epi64x(-1, 0x0000FFFFFFFFFFFF, -1, 0x0000FFFFFFFFFFFF);
    const __m256i odd = _mm256_slli_epi16(_mm256_set1_epi8(-128), 8);
    for (int k = 0; k < 8; k += 2) {
        __m256i x = _mm256_and_si256(_mm256_xor_si256(two_rows(rows[k], rows[k + 1]), _mm256_set1_epi8('0')), keep);
        __m256i extra = _mm256_shuffle_epi8(_mm256_setr_epi8(LUHN_EXTRA, LUHN_EXTRA), _mm256_or_si256(x, odd));
        __m256i sums = _mm256_sad_epu8(_mm256_add_epi8(x, extra), _mm256_setzero_si256());
        sums = _mm256_add_epi64(sums, _mm256_srli_si256(sums, 8));
        if ((unsigned)_mm256_extract_epi16(sums, 0) % 10 == 0) note(tally, NOTED_LOST_ZERO, line + k);
        if ((unsigned)_mm256_extract_epi16(sums, 8) % 10 == 0) note(tally, NOTED_LOST_ZERO, line + k + 1);
    }
}
#endif

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
            if (take(taking, text, cell[0], length, row->line, &key, &code)) {
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
