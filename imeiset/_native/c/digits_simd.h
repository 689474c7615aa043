/* Columns of texts to keys and statuses, at every SIMD level.
 *
 * The levels differ in how they look at 16 bytes; the loops over rows are in digits_loops.h, compiled
 * once per level. With AVX2 eight rows of one shape are tried together, and a group that does not fit is
 * done row by row. A text always gets the status imei_text gives it.
 */
#ifndef IMEISET_DIGITS_SIMD_H
#define IMEISET_DIGITS_SIMD_H

#include "forms.h"

/* What all rows of a group look like: 14 to 16 digits, then given bytes, then anything. */
typedef struct {
    uint8_t zero[16];  /* xor: digits become 0..9, an expected byte becomes 0 */
    uint8_t limit[16]; /* the most a byte may then be */
    uint8_t keep[16];  /* 0xFF where the digits are */
    uint8_t after[2];  /* expected bytes 17 and 18 */
    unsigned afters;   /* how many of them */
    unsigned digits, stride;
    uint8_t bare; /* the status of 14 and 16 digits */
} row_shape;

static void set_shape(row_shape *shape, unsigned digits, const char *follow, unsigned follows) {
    shape->digits = digits;
    shape->stride = digits + follows;
    shape->afters = 0;
    for (unsigned i = 0; i < 18; i++) {
        int is_digit = i < digits, is_follow = !is_digit && i < digits + follows;
        uint8_t byte = is_digit ? '0' : is_follow ? (uint8_t)follow[i - digits] : 0;
        if (i < 16) {
            shape->zero[i] = byte;
            shape->limit[i] = is_digit ? 9 : is_follow ? 0 : 0xFF;
            shape->keep[i] = is_digit ? 0xFF : 0;
        } else if (is_follow) {
            shape->after[shape->afters++] = byte;
        }
    }
}

#define SINGLES 4 /* rows done alone after one of another shape, before a group is tried */

/* The row at index i of a strided array. */
ALWAYS_INLINE const uint8_t *row_at(const uint8_t *base, ptrdiff_t stride, size_t i) {
    return base + (ptrdiff_t)i * stride;
}

/* The end of the memory a strided array covers. */
static inline const uint8_t *rows_end(const uint8_t *base, ptrdiff_t stride, size_t bytes, size_t n) {
    return (stride > 0 && n ? row_at(base, stride, n - 1) : base) + bytes;
}

/* How many bytes of a NUL-padded row are its text. */
ALWAYS_INLINE size_t unpadded(const uint8_t *p, size_t width) {
    while (width && p[width - 1] == 0) width--;
    return width;
}

ALWAYS_INLINE int64_t offset_at(const void *offsets, int wide, size_t i) {
    int64_t wide_value;
    int32_t value;
    if (wide) {
        memcpy(&wide_value, (const char *)offsets + 8 * i, 8);
        return wide_value;
    }
    memcpy(&value, (const char *)offsets + 4 * i, 4);
    return value;
}

#define VIEW_INLINE 12 /* the longest text that an Arrow view holds itself */

ALWAYS_INLINE int32_t int32_at(const uint8_t *p) {
    int32_t value;
    memcpy(&value, p, 4);
    return value;
}

ALWAYS_INLINE uint32_t code_point(const uint8_t *p, size_t i) {
    uint32_t c;
    memcpy(&c, p + 4 * i, 4);
    return c;
}

/* A text of code points, up to `width` of them and without its trailing NULs. */
static uint8_t ucs4_text(const uint8_t *p, size_t width, uint8_t bare, uint64_t *key) {
    while (width && code_point(p, width - 1) == 0) width--;
    return imei_wide_text(p, width, 4, bare, key);
}

/* 16 code points to 16 bytes; false if one is not ASCII. */
ALWAYS_INLINE int narrow16_portable(const uint8_t *p, uint8_t *bytes) {
    uint32_t all = 0;
    for (int i = 0; i < 16; i++) {
        uint32_t c = code_point(p, i);
        all |= c;
        bytes[i] = (uint8_t)c;
    }
    return all < 0x80;
}

typedef struct {
    /* n rows of `width` bytes, NUL-padded, `stride` bytes apart. */
    void (*fixed)(const uint8_t *base, ptrdiff_t stride, size_t width, size_t n, uint8_t bare,
                  uint64_t *keys, uint8_t *status);
    /* n rows of `width` native code points of 4 bytes, NUL-padded, `stride` bytes apart. */
    void (*ucs4)(const uint8_t *base, ptrdiff_t stride, size_t width, size_t n, uint8_t bare,
                 uint64_t *keys, uint8_t *status);
    /* n texts data[starts[i]:ends[i]], offsets of 4 or (wide) 8 bytes. Returns how many were done: less
     * than n where a span lies outside the data. */
    size_t (*spans)(const uint8_t *data, size_t size, const void *starts, const void *ends, int wide,
                    size_t n, uint8_t bare, uint64_t *keys, uint8_t *status);
    /* n Arrow string views of 16 bytes (the length; up to 12 bytes of text, or a prefix, which of the
     * `buffers`, and where in it). Returns how many were done, as `spans`. */
    size_t (*views)(const uint8_t *views, const uint8_t *const *data, const int64_t *sizes, size_t buffers,
                    size_t n, uint8_t bare, uint64_t *keys, uint8_t *status);
    /* Lines ended by LF or CRLF, at most `capacity`; the last may lack its end if `final`. Returns how
     * many, and in *consumed the bytes they took. */
    size_t (*lines)(const uint8_t *text, size_t size, int final, size_t capacity, uint8_t bare,
                    uint64_t *keys, uint8_t *status, size_t *consumed);
} digit_kernels;

#if SIMD_X86

/* ---- SSE4: one row in one register ---- */

TARGET_SSE4 ALWAYS_INLINE unsigned digits16_sse4(const uint8_t *p) {
    __m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)p), _mm_set1_epi8('0'));
    __m128i ok = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(9)), x);
    return (unsigned)__builtin_ctz(~(unsigned)_mm_movemask_epi8(ok));
}

/* What Luhn adds to a digit in an odd place, modulo 10: doubled, its digits added, less itself. */
#define LUHN_EXTRA 0, 1, 2, 3, 4, 6, 7, 8, 9, 0, 0, 0, 0, 0, 0, 0
/* Or-ed to an index, makes pshufb give 0 in the even places. */
#define LUHN_EVEN -128, 0, -128, 0, -128, 0, -128, 0, -128, 0, -128, 0, -128, 0, -128, 0
/* Digits to pairs, leaving digit 15 alone; pairs to quads, leaving pair 7; quads to TAC and SNR. */
#define WEIGHT_PAIRS 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 1, 0
#define WEIGHT_QUADS 100, 1, 100, 1, 100, 1, 1, 0
#define WEIGHT_HALVES 10000, 1, 100, 1, 10000, 1, 100, 1

TARGET_SSE4 ALWAYS_INLINE uint8_t value16_sse4(const uint8_t *p, unsigned n, uint8_t bare, uint64_t *key) {
    __m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)p), _mm_set1_epi8('0'));
    __m128i pairs = _mm_maddubs_epi16(x, _mm_setr_epi8(WEIGHT_PAIRS));
    __m128i quads = _mm_madd_epi16(pairs, _mm_setr_epi16(WEIGHT_QUADS));
    __m128i halves = _mm_madd_epi16(_mm_packus_epi32(quads, quads), _mm_setr_epi16(WEIGHT_HALVES));
    uint64_t both = (uint64_t)_mm_cvtsi128_si64(halves);
    *key = (both & 0xFFFFFFFF) * 1000000 + (both >> 32);
    if (n != 15) return bare;
    x = _mm_srli_si128(_mm_slli_si128(x, 1), 1); /* the 16th byte is no digit */
    __m128i extra = _mm_shuffle_epi8(_mm_setr_epi8(LUHN_EXTRA), _mm_or_si128(x, _mm_setr_epi8(LUHN_EVEN)));
    __m128i sums = _mm_sad_epu8(_mm_add_epi8(x, extra), _mm_setzero_si128());
    return check_status((unsigned)(_mm_extract_epi16(sums, 0) + _mm_extract_epi16(sums, 4)),
                        (unsigned)_mm_extract_epi16(pairs, 7));
}

TARGET_SSE4 ALWAYS_INLINE int narrow16_sse4(const uint8_t *p, uint8_t *bytes) {
    const __m128i *from = (const __m128i *)p;
    __m128i a = _mm_loadu_si128(from), b = _mm_loadu_si128(from + 1);
    __m128i c = _mm_loadu_si128(from + 2), d = _mm_loadu_si128(from + 3);
    __m128i all = _mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d));
    _mm_storeu_si128((__m128i *)bytes, _mm_packus_epi16(_mm_packus_epi32(a, b), _mm_packus_epi32(c, d)));
    return _mm_testz_si128(all, _mm_set1_epi32(~0x7F));
}

/* ---- AVX2: eight rows, two in a register ---- */

TARGET_AVX2 ALWAYS_INLINE __m256i both_lanes(const uint8_t *p) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p));
}

TARGET_AVX2 ALWAYS_INLINE __m256i two_rows(const uint8_t *low, const uint8_t *high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)low)),
                                   _mm_loadu_si128((const __m128i *)high), 1);
}

/* Two registers of quads, rows (0, 2) and (1, 3), to the four keys in order. */
TARGET_AVX2 ALWAYS_INLINE void store_keys(__m256i quads_a, __m256i quads_b, uint64_t *keys) {
    __m256i halves = _mm256_madd_epi16(_mm256_packus_epi32(quads_a, quads_b),
                                       _mm256_setr_epi16(WEIGHT_HALVES, WEIGHT_HALVES));
    __m256i key = _mm256_add_epi64(_mm256_mul_epu32(halves, _mm256_set1_epi64x(1000000)),
                                   _mm256_srli_epi64(halves, 32));
    _mm256_storeu_si256((__m256i *)keys, key);
}

/* Luhn's sums of the low and the high eight digits. */
TARGET_AVX2 ALWAYS_INLINE __m256i luhn_sums(__m256i x) {
    __m256i extra = _mm256_shuffle_epi8(_mm256_setr_epi8(LUHN_EXTRA, LUHN_EXTRA),
                                        _mm256_or_si256(x, _mm256_setr_epi8(LUHN_EVEN, LUHN_EVEN)));
    return _mm256_sad_epu8(_mm256_add_epi8(x, extra), _mm256_setzero_si256());
}

/* Eight rows of one shape, 16 bytes readable at each. False, with rubbish written, if one has another. */
TARGET_AVX2 ALWAYS_INLINE int group8_avx2(const uint8_t *const row[8], const row_shape *shape, uint64_t *keys,
                                          uint8_t *status) {
    const __m256i zero = both_lanes(shape->zero), limit = both_lanes(shape->limit);
    const __m256i keep = both_lanes(shape->keep);
    const __m256i to_pairs = _mm256_setr_epi8(WEIGHT_PAIRS, WEIGHT_PAIRS);
    const __m256i to_quads = _mm256_setr_epi16(WEIGHT_QUADS, WEIGHT_QUADS);
    /* Rows are dealt out so that packing within lanes puts them back in order. */
    __m256i a = _mm256_xor_si256(two_rows(row[0], row[2]), zero);
    __m256i b = _mm256_xor_si256(two_rows(row[1], row[3]), zero);
    __m256i c = _mm256_xor_si256(two_rows(row[4], row[6]), zero);
    __m256i d = _mm256_xor_si256(two_rows(row[5], row[7]), zero);
    __m256i over = _mm256_or_si256(
        _mm256_or_si256(_mm256_subs_epu8(a, limit), _mm256_subs_epu8(b, limit)),
        _mm256_or_si256(_mm256_subs_epu8(c, limit), _mm256_subs_epu8(d, limit)));
    if (!_mm256_testz_si256(over, over)) return 0;
    a = _mm256_and_si256(a, keep), b = _mm256_and_si256(b, keep);
    c = _mm256_and_si256(c, keep), d = _mm256_and_si256(d, keep);
    __m256i pairs_a = _mm256_maddubs_epi16(a, to_pairs), pairs_b = _mm256_maddubs_epi16(b, to_pairs);
    __m256i pairs_c = _mm256_maddubs_epi16(c, to_pairs), pairs_d = _mm256_maddubs_epi16(d, to_pairs);
    store_keys(_mm256_madd_epi16(pairs_a, to_quads), _mm256_madd_epi16(pairs_b, to_quads), keys);
    store_keys(_mm256_madd_epi16(pairs_c, to_quads), _mm256_madd_epi16(pairs_d, to_quads), keys + 4);
    if (shape->digits != 15) {
        memset(status, shape->bare, 8);
        return 1;
    }
    /* The sums of rows 0, 1, 4, 5 and 2, 3, 6, 7, as words, twice in each lane. */
    __m256i sums = _mm256_packus_epi32(_mm256_packus_epi32(luhn_sums(a), luhn_sums(b)),
                                       _mm256_packus_epi32(luhn_sums(c), luhn_sums(d)));
    sums = _mm256_madd_epi16(sums, _mm256_set1_epi16(1));
    sums = _mm256_packus_epi32(sums, sums);
    /* Their 15th digits, in the high half of each lane: word 7 of the pairs. */
    __m256i digits = _mm256_unpackhi_epi32(_mm256_unpackhi_epi16(pairs_a, pairs_b),
                                           _mm256_unpackhi_epi16(pairs_c, pairs_d));
    __m256i tenth = _mm256_mulhi_epu16(sums, _mm256_set1_epi16(6554)); /* exact below 16389 */
    __m256i right = _mm256_cmpeq_epi16(_mm256_mullo_epi16(tenth, _mm256_set1_epi16(10)), sums);
    __m256i spare = _mm256_cmpeq_epi16(digits, _mm256_setzero_si256());
    __m256i codes = _mm256_sub_epi16(_mm256_set1_epi16(IMEI_CHECK_DIGIT), spare); /* SPARE is one more */
    codes = _mm256_andnot_si256(right, codes);
    codes = _mm256_packus_epi16(codes, codes);
    __m128i ordered = _mm_unpacklo_epi16(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
    uint64_t eight = (uint64_t)_mm_extract_epi64(ordered, 1);
    memcpy(status, &eight, 8);
    return 1;
}

#define digits16_avx2 digits16_sse4
#define value16_avx2 value16_sse4
#define narrow16_avx2 narrow16_sse4

#endif /* SIMD_X86 */

#define LEVEL_LOOPS "digits_loops.h"
#include "levels.h"

static const digit_kernels digit_levels[SIMD_LEVELS] = {
    {fixed_portable, ucs4_portable, spans_portable, views_portable, lines_portable},
#if SIMD_X86
    {fixed_sse4, ucs4_sse4, spans_sse4, views_sse4, lines_sse4},
    {fixed_avx2, ucs4_avx2, spans_avx2, views_avx2, lines_avx2},
    {fixed_avx2, ucs4_avx2, spans_avx2, views_avx2, lines_avx2}, /* AVX-512: they wait for memory already */
#endif
};

#endif
