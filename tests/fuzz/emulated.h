/* AVX-512 in plain C, for machines that have none: with -DEMULATED, the kernels of that level are compiled with these in
 * the place of the instructions, and run at AVX2. What the instructions do is in Intel's Intrinsics Guide; only those
 * are here that a kernel uses, and a kernel that uses another does not compile.
 */
#ifndef IMEISET_EMULATED_H
#define IMEISET_EMULATED_H

#include <stdint.h>

#include "../../imeiset/_native/c/simd.h"

#if defined(EMULATED) && SIMD_X86

/* Those that are macros of some compiler. */
#undef _mm512_cmpeq_epi32_mask
#undef _mm512_cmpeq_epi64_mask
#undef _mm512_cmpge_epi64_mask
#undef _mm512_cmpge_epu64_mask
#undef _mm512_cmpgt_epi64_mask
#undef _mm512_cmplt_epu32_mask
#undef _mm512_inserti64x4
#undef _mm512_mask_cmpeq_epi32_mask
#undef _mm512_mask_cmple_epi64_mask
#undef _mm512_mask_cmple_epu64_mask
#undef _mm512_mask_cmplt_epu64_mask
#undef _mm512_mask_srli_epi64
#undef _mm512_setr_epi32
#undef _mm512_setr_epi64
#undef _mm512_shuffle_i64x2
#undef _mm512_slli_epi64
#undef _mm512_srli_epi64
#undef _mm_mask_cmpeq_epi8_mask
#undef TARGET_AVX512
#define TARGET_AVX512 TARGET_AVX2

typedef union {
    uint8_t b[64];
    uint16_t w[32];
    uint32_t d[16];
    uint64_t q[8];
    int64_t s[8];
} emulated;

#define __m512i emulated

#define EACH(lanes) for (int i = 0; i < (lanes); i++)
/* The lanes of a result; and a bit for each lane, those of `only` alone. */
#define VECTOR(name, parameters, lane, lanes, value) \
    static inline emulated name parameters {         \
        emulated made;                               \
        EACH(lanes) made.lane[i] = value;            \
        return made;                                 \
    }
#define MASK(name, parameters, lanes, said)                            \
    static inline unsigned name parameters {                           \
        unsigned made = 0;                                             \
        EACH(lanes) made |= (unsigned)(only >> i & 1 && (said)) << i; \
        return made;                                                   \
    }
#define A emulated a
#define AB emulated a, emulated b
#define ONLY unsigned only

/* ---- memory, and halves ---- */

static inline emulated emulated_load(const void *at) {
    emulated made;
    memcpy(&made, at, sizeof made);
    return made;
}

static inline void emulated_store(void *at, emulated a) { memcpy(at, &a, sizeof a); }

TARGET_AVX2 static inline emulated emulated_low(__m256i low) {
    emulated made;
    memset(&made, 0xEE, sizeof made); /* what is above means nothing */
    memcpy(&made, &low, sizeof low);
    return made;
}

TARGET_AVX2 static inline emulated emulated_high(emulated a, __m256i high) {
    memcpy(a.b + 32, &high, sizeof high);
    return a;
}

TARGET_AVX2 static inline emulated emulated_from16(__m256i from) {
    emulated a = emulated_low(from), made;
    EACH(16) made.d[i] = a.w[i];
    return made;
}

TARGET_AVX2 static inline emulated emulated_from32(__m256i from) {
    emulated a = emulated_low(from), made;
    EACH(8) made.q[i] = a.d[i];
    return made;
}

static inline emulated emulated_from8(__m128i from) {
    uint8_t bytes[16];
    emulated made;
    memcpy(bytes, &from, sizeof bytes);
    EACH(8) made.q[i] = bytes[i];
    return made;
}

TARGET_AVX2 static inline __m256i emulated_to32(emulated a) {
    uint32_t low[8];
    __m256i made;
    EACH(8) low[i] = (uint32_t)a.q[i];
    memcpy(&made, low, sizeof low);
    return made;
}

#define _mm512_load_si512(at) emulated_load(__builtin_assume_aligned(at, 64))
#define _mm512_loadu_si512(at) emulated_load(at)
#define _mm512_storeu_si512(at, a) emulated_store(at, a)
#define _mm512_castsi256_si512(low) emulated_low(low)
#define _mm512_inserti64x4(a, high, one) emulated_high(a, high)
#define _mm512_cvtepu8_epi64(a) emulated_from8(a)
#define _mm512_cvtepu16_epi32(a) emulated_from16(a)
#define _mm512_cvtepu32_epi64(a) emulated_from32(a)
#define _mm512_cvtepi64_epi32(a) emulated_to32(a)

/* ---- constants ---- */

VECTOR(emulated_set8, (uint8_t x), b, 64, x)
VECTOR(emulated_set32, (uint32_t x), d, 16, x)
VECTOR(emulated_set64, (uint64_t x), q, 8, x)
VECTOR(emulated_setz8, (uint64_t only, uint8_t x), b, 64, only >> i & 1 ? x : 0)

#define _mm512_setzero_si512() emulated_set64(0)
#define _mm512_set1_epi8(x) emulated_set8((uint8_t)(x))
#define _mm512_set1_epi32(x) emulated_set32((uint32_t)(x))
#define _mm512_set1_epi64(x) emulated_set64((uint64_t)(x))
#define _mm512_maskz_set1_epi8(only, x) emulated_setz8(only, x)
#define _mm512_setr_epi32(...) ((emulated){.d = {__VA_ARGS__}})
#define _mm512_setr_epi64(...) ((emulated){.q = {__VA_ARGS__}})
#define _mm512_set_epi64(h, g, f, e, d, c, b, a) _mm512_setr_epi64(a, b, c, d, e, f, g, h)

/* ---- lane by lane ---- */

VECTOR(emulated_add8, (AB), b, 64, (uint8_t)(a.b[i] + b.b[i]))
VECTOR(emulated_add32, (AB), d, 16, a.d[i] + b.d[i])
VECTOR(emulated_add64, (AB), q, 8, a.q[i] + b.q[i])
VECTOR(emulated_sub32, (AB), d, 16, a.d[i] - b.d[i])
VECTOR(emulated_sub64, (AB), q, 8, a.q[i] - b.q[i])
VECTOR(emulated_and, (AB), q, 8, a.q[i] & b.q[i])
VECTOR(emulated_andnot, (AB), q, 8, ~a.q[i] & b.q[i])
VECTOR(emulated_xor, (AB), q, 8, a.q[i] ^ b.q[i])
VECTOR(emulated_mul32, (AB), q, 8, (uint64_t)(uint32_t)a.q[i] * (uint32_t)b.q[i])
VECTOR(emulated_mul64, (AB), q, 8, a.q[i] * b.q[i])
VECTOR(emulated_min64, (AB), s, 8, a.s[i] < b.s[i] ? a.s[i] : b.s[i])
VECTOR(emulated_minu64, (AB), q, 8, a.q[i] < b.q[i] ? a.q[i] : b.q[i])
VECTOR(emulated_count64, (A), q, 8, (uint64_t)__builtin_popcountll(a.q[i]))
VECTOR(emulated_right32, (AB), d, 16, b.d[i] < 32 ? a.d[i] >> b.d[i] : 0)
VECTOR(emulated_right64, (AB), q, 8, b.q[i] < 64 ? a.q[i] >> b.q[i] : 0)
VECTOR(emulated_left32, (AB), d, 16, b.d[i] < 32 ? a.d[i] << b.d[i] : 0)
VECTOR(emulated_left64, (AB), q, 8, b.q[i] < 64 ? a.q[i] << b.q[i] : 0)
VECTOR(emulated_right128, (AB, emulated by), q, 8, by.q[i] & 63 ? a.q[i] >> (by.q[i] & 63) | b.q[i] << (64 - (by.q[i] & 63)) : a.q[i])
VECTOR(emulated_mix32, (A, ONLY, emulated b), d, 16, only >> i & 1 ? b.d[i] : a.d[i])
VECTOR(emulated_mix64, (A, ONLY, emulated b), q, 8, only >> i & 1 ? b.q[i] : a.q[i])

#define _mm512_add_epi8(a, b) emulated_add8(a, b)
#define _mm512_add_epi32(a, b) emulated_add32(a, b)
#define _mm512_add_epi64(a, b) emulated_add64(a, b)
#define _mm512_sub_epi32(a, b) emulated_sub32(a, b)
#define _mm512_sub_epi64(a, b) emulated_sub64(a, b)
#define _mm512_and_si512(a, b) emulated_and(a, b)
#define _mm512_andnot_si512(a, b) emulated_andnot(a, b)
#define _mm512_xor_si512(a, b) emulated_xor(a, b)
#define _mm512_mul_epu32(a, b) emulated_mul32(a, b)
#define _mm512_mullo_epi64(a, b) emulated_mul64(a, b)
#define _mm512_min_epi64(a, b) emulated_min64(a, b)
#define _mm512_min_epu64(a, b) emulated_minu64(a, b)
#define _mm512_popcnt_epi64(a) emulated_count64(a)
#define _mm512_srlv_epi32(a, b) emulated_right32(a, b)
#define _mm512_srlv_epi64(a, b) emulated_right64(a, b)
#define _mm512_srli_epi64(a, by) emulated_right64(a, emulated_set64(by))
#define _mm512_sllv_epi32(a, b) emulated_left32(a, b)
#define _mm512_sllv_epi64(a, b) emulated_left64(a, b)
#define _mm512_slli_epi64(a, by) emulated_left64(a, emulated_set64(by))
#define _mm512_shrdv_epi64(a, b, by) emulated_right128(a, b, by)
#define _mm512_mask_mov_epi32(a, only, b) emulated_mix32(a, only, b)
#define _mm512_mask_mov_epi64(a, only, b) emulated_mix64(a, only, b)
#define _mm512_mask_add_epi64(from, only, a, b) emulated_mix64(from, only, emulated_add64(a, b))
#define _mm512_mask_sub_epi64(from, only, a, b) emulated_mix64(from, only, emulated_sub64(a, b))
#define _mm512_mask_srli_epi64(from, only, a, by) emulated_mix64(from, only, _mm512_srli_epi64(a, by))
#define _mm512_maskz_and_epi64(only, a, b) emulated_mix64(emulated_set64(0), only, emulated_and(a, b))

/* ---- comparisons ---- */

MASK(emulated_eq8, (ONLY, const uint8_t *a, const uint8_t *b), 16, a[i] == b[i])
MASK(emulated_eq32, (ONLY, AB), 16, a.d[i] == b.d[i])
MASK(emulated_less32, (ONLY, AB), 16, a.d[i] < b.d[i])
MASK(emulated_some32, (ONLY, AB), 16, (a.d[i] & b.d[i]) != 0)
MASK(emulated_eq64, (ONLY, AB), 8, a.q[i] == b.q[i])
MASK(emulated_less64, (ONLY, AB), 8, a.q[i] < b.q[i])
MASK(emulated_upto64, (ONLY, AB), 8, a.q[i] <= b.q[i])
MASK(emulated_signed_upto64, (ONLY, AB), 8, a.s[i] <= b.s[i])
MASK(emulated_some64, (ONLY, AB), 8, (a.q[i] & b.q[i]) != 0)

static inline __mmask16 emulated_bytes(ONLY, __m128i a, __m128i b) {
    return (__mmask16)emulated_eq8(only, (const uint8_t *)&a, (const uint8_t *)&b);
}

enum { emulated_all = 0xFFFF };

#define _mm_mask_cmpeq_epi8_mask(only, a, b) emulated_bytes(only, a, b)
#define _mm512_cmpeq_epi32_mask(a, b) (__mmask16)emulated_eq32(emulated_all, a, b)
#define _mm512_mask_cmpeq_epi32_mask(only, a, b) (__mmask16)emulated_eq32(only, a, b)
#define _mm512_cmplt_epu32_mask(a, b) (__mmask16)emulated_less32(emulated_all, a, b)
#define _mm512_test_epi32_mask(a, b) (__mmask16)emulated_some32(emulated_all, a, b)
#define _mm512_cmpeq_epi64_mask(a, b) (__mmask8)emulated_eq64(emulated_all, a, b)
#define _mm512_cmpge_epu64_mask(a, b) (__mmask8)emulated_upto64(emulated_all, b, a)
#define _mm512_cmpge_epi64_mask(a, b) (__mmask8)emulated_signed_upto64(emulated_all, b, a)
#define _mm512_cmpgt_epi64_mask(a, b) (__mmask8)~emulated_signed_upto64(emulated_all, a, b)
#define _mm512_mask_cmple_epi64_mask(only, a, b) (__mmask8)emulated_signed_upto64(only, a, b)
#define _mm512_mask_cmple_epu64_mask(only, a, b) (__mmask8)emulated_upto64(only, a, b)
#define _mm512_mask_cmplt_epu64_mask(only, a, b) (__mmask8)emulated_less64(only, a, b)
#define _mm512_test_epi64_mask(a, b) (__mmask8)emulated_some64(emulated_all, a, b)

/* ---- from lane to lane ---- */

VECTOR(emulated_bytes_at, (emulated at, A), b, 64, a.b[at.b[i] & 63])
VECTOR(emulated_near_bytes_at, (A, emulated at), b, 64, at.b[i] & 0x80 ? 0 : a.b[(i & ~15) | (at.b[i] & 15)])
VECTOR(emulated_words_at, (A, emulated at, emulated b), q, 8, (at.q[i] & 8 ? b : a).q[at.q[i] & 7])
VECTOR(emulated_pairs, (AB, int odd), q, 8, (i & 1 ? b : a).q[(i & ~1) + odd])
VECTOR(emulated_quarters, (AB, int at), q, 8, (i < 4 ? a : b).q[(at >> i / 2 * 2 & 3) * 2 + (i & 1)])

static inline emulated emulated_gather(ONLY, A) {
    emulated made = emulated_set32(0);
    int to = 0;
    EACH(16) if (only >> i & 1) made.d[to++] = a.d[i];
    return made;
}

#define _mm512_permutexvar_epi8(at, a) emulated_bytes_at(at, a)
#define _mm512_shuffle_epi8(a, at) emulated_near_bytes_at(a, at)
#define _mm512_permutex2var_epi64(a, at, b) emulated_words_at(a, at, b)
#define _mm512_unpacklo_epi64(a, b) emulated_pairs(a, b, 0)
#define _mm512_unpackhi_epi64(a, b) emulated_pairs(a, b, 1)
#define _mm512_shuffle_i64x2(a, b, at) emulated_quarters(a, b, at)
#define _mm512_maskz_compress_epi32(only, a) emulated_gather(only, a)

#undef A
#undef AB
#undef ONLY
#undef EACH
#undef VECTOR
#undef MASK
#endif

/* How many levels can be tried here. */
static inline int levels_here(void) {
    int best = simd_supported();
#if defined(EMULATED) && SIMD_X86
    if (best == SIMD_AVX2) best = SIMD_AVX512;
#endif
    return best + 1;
}

#endif
