/* The lookups of an index, for each SIMD level. */
#ifndef IMEISET_KERNELS_H
#define IMEISET_KERNELS_H

#include "details.h"
#include "places.h"
#include "several.h"

struct index_kernels {
    int (*contains)(const struct index *, const uint64_t *keys, size_t n, uint8_t *out); /* whether all are keys */
    int (*contains_parts)(const struct index *, uint32_t tac, uint32_t serial);
    int (*contains_text)(const struct index *, const uint8_t *text, size_t n); /* -1: not just 14, 15 or 16 digits */
    void (*positions)(const struct index *, const uint64_t *keys, size_t n, int64_t *out);
    void (*ranks)(const struct index *, const uint64_t *keys, size_t n, uint64_t *out);
    uint64_t (*rank)(const struct index *, uint64_t key);
    uint64_t (*contains_each)(const struct index *const *, uint32_t n, uint64_t key);
    void (*rank_each)(const struct index *const *, uint32_t n, uint64_t key, uint64_t *ranks);
    void (*bytes_of)(const struct index *, const uint8_t *, uint64_t, const uint64_t *keys, size_t n, uint8_t *found,
                     uint8_t *out);
    int (*byte_of)(const struct index *, const uint8_t *, uint64_t, uint64_t key); /* -1 where it is not in the set */
    void (*codes_of)(const struct index *, const struct column *, uint64_t key, uint32_t *codes);
};

#define INDEX_KERNELS(name, target, level)                                                                        \
    target NOINLINE void block_##name(const struct index *ix, const uint64_t *keys, uint32_t n, uint8_t *out,     \
                                      struct seats *seats) {                                                      \
        contains_block(ix, keys, n, out, seats, level);                                                           \
    }                                                                                                             \
    target NOINLINE uint32_t hashed_##name(const struct hashed *h, uint64_t *keys, uint32_t n, uint8_t *out,      \
                                           uint32_t *asks) {                                                      \
        return hashed_block(h, keys, n, out, asks, level);                                                        \
    }                                                                                                             \
    target static int contains_##name(const struct index *ix, const uint64_t *keys, size_t n, uint8_t *out) {    \
        return contains_keys(ix, keys, n, out, block_##name, hashed_##name);                                      \
    }                                                                                                             \
    target NOINLINE int ask_spill_##name(const struct index *ix, uint32_t tac, uint32_t serial) {                 \
        uint64_t key = (uint64_t)tac * SERIALS + serial;                                                          \
        return ix->spill_count && in_spill(ix, find_spill(ix, key, level), key, level);                           \
    }                                                                                                             \
    target static int contains_parts_##name(const struct index *ix, uint32_t tac, uint32_t serial) {              \
        int answer = line_answer(ix, tac, serial, level);                                                         \
        return UNLIKELY(answer == ASK_SPILL) ? ask_spill_##name(ix, tac, serial) : answer;                        \
    }                                                                                                             \
    target static int contains_text_##name(const struct index *ix, const uint8_t *text, size_t n) {               \
        uint32_t tac, serial;                                                                                     \
        if (UNLIKELY(!imei_parts(text, n, &tac, &serial))) return -1;                                             \
        int answer = line_answer(ix, tac, serial, level);                                                         \
        return UNLIKELY(answer == ASK_SPILL) ? ask_spill_##name(ix, tac, serial) : answer;                        \
    }                                                                                                             \
    target static void positions_##name(const struct index *ix, const uint64_t *keys, size_t n, int64_t *out) {  \
        positions_keys(ix, keys, n, out, block_##name, level);                                                    \
    }                                                                                                             \
    target static void ranks_##name(const struct index *ix, const uint64_t *keys, size_t n, uint64_t *out) {     \
        ranks_keys(ix, keys, n, out, level);                                                                      \
    }                                                                                                             \
    target static uint64_t rank_##name(const struct index *ix, uint64_t key) { return rank_key(ix, key, level); } \
    target static uint64_t contains_each_##name(const struct index *const *sets, uint32_t n, uint64_t key) {     \
        return contains_each(sets, n, key, level);                                                                \
    }                                                                                                             \
    target static void rank_each_##name(const struct index *const *sets, uint32_t n, uint64_t key, uint64_t *ranks) { \
        rank_each(sets, n, key, ranks, level);                                                                    \
    }                                                                                                             \
    target static void bytes_of_##name(const struct index *ix, const uint8_t *column, uint64_t count,             \
                                       const uint64_t *keys, size_t n, uint8_t *found, uint8_t *out) {            \
        bytes_of_keys(ix, column, count, keys, n, found, out, block_##name, hashed_##name, level);                \
    }

/* Vectors of eight win nothing here that those of four do not. */
#define PLACE_KERNELS(name, target, level)                                                                        \
    target static int byte_of_##name(const struct index *ix, const uint8_t *column, uint64_t count, uint64_t key) { \
        return byte_of_key(ix, column, count, key, level);                                                        \
    }                                                                                                             \
    target static void codes_of_##name(const struct index *ix, const struct column *columns, uint64_t key,        \
                                       uint32_t *codes) {                                                         \
        codes_of_key(ix, columns, key, codes, level);                                                             \
    }

INDEX_KERNELS(portable, , SIMD_PORTABLE)
PLACE_KERNELS(portable, , SIMD_PORTABLE)
#if SIMD_X86
INDEX_KERNELS(sse4, TARGET_SSE4, SIMD_SSE4)
INDEX_KERNELS(avx2, TARGET_AVX2, SIMD_AVX2)
PLACE_KERNELS(avx2, TARGET_AVX2, SIMD_AVX2)
INDEX_KERNELS(avx512, TARGET_AVX512, SIMD_AVX512)
#endif

#define INDEX_LEVEL(name, places)                                                                                      \
    {contains_##name, contains_parts_##name, contains_text_##name, positions_##name, ranks_##name, rank_##name,   \
     contains_each_##name, rank_each_##name, bytes_of_##name, byte_of_##places, codes_of_##places}

static const struct index_kernels index_levels[SIMD_LEVELS] = {
    INDEX_LEVEL(portable, portable),
#if SIMD_X86
    INDEX_LEVEL(sse4, portable),
    INDEX_LEVEL(avx2, avx2),
    INDEX_LEVEL(avx512, avx2),
#endif
};

#endif
