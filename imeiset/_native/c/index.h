/* The frozen index: an exact set of 14-digit keys as a handful of flat arrays.
 *
 *   directory   TAC -> its row of shapes and its first line, by a perfect hash (pilots, slots)
 *   tacs        the TACs of the directory in order
 *   lines       lines.h: nearly all keys; the line of a key is computed from its slot
 *   ranks       how many keys the lines before a line hold
 *   spill       spill.h: the other keys and all long runs, with fences and ranks
 *
 * A lookup reads one pilot, one slot and one line; where the line says so, or the TAC is not
 * in the directory, it goes on to the spill. Whatever the arrays hold, nothing outside them is
 * read: hashes are reduced to a range, and numbers read from them are clamped.
 */
#ifndef IMEISET_INDEX_H
#define IMEISET_INDEX_H

#include <stddef.h>
#include <stdlib.h>

#include "spill.h"

#define KEYS 100000000000000ull /* 10^14: every key is below */
#define TACS 100000000u
#define MAX_LEVELS 20

/* ---- the arrays ---------------------------------------------------------- */

struct beside; /* hashed.h */

struct index {
    const uint8_t *pilots;
    const uint64_t *slots; /* TAC in bits 0..26, row in 27..34, first line in 35..63 */
    const uint32_t *tacs;
    const uint8_t *lines;
    const uint8_t *ranks;
    const uint8_t *spill;
    const int64_t *fences; /* signed, as vectors compare */
    const uint64_t *spill_ranks; /* members before each node of eight lines */
    uint32_t pilot_count, slot_count, tac_count, multiplier;
    uint64_t line_count, spill_count, count;
    /* the levels of the fences, from the root down to one fence per line */
    uint32_t levels;
    uint64_t level_at[MAX_LEVELS], level_nodes[MAX_LEVELS], level_last[MAX_LEVELS]; /* last: the last child */
    struct beside *beside; /* of a small set that is asked about many keys; NULL of others */
};

#define EMPTY_TAC 0x7FFFFFFu /* no TAC: above 10^8 */
#define EMPTY_SLOT UINT64_MAX
#define slot_tac(slot) ((uint32_t)((slot)&EMPTY_TAC))
#define slot_row(slot) ((uint32_t)((slot) >> 27 & 255))
#define slot_line(slot) ((slot) >> 35)
#define MAX_LINES (1u << 29) /* 32 GiB of them */

/* Lay out the fence tree of n lines, eight fences to a node; returns how many fences. */
static inline uint64_t fences_layout(struct index *ix, uint64_t n) {
    uint64_t nodes[MAX_LEVELS], at = 0, lines = n;
    uint32_t levels = 0;
    while (n) {
        nodes[levels++] = (n + 7) / 8;
        n = n > 8 ? (n + 7) / 8 : 0;
    }
    ix->levels = levels;
    for (uint32_t i = 0; i < levels; i++) {
        ix->level_nodes[i] = nodes[levels - 1 - i];
        ix->level_last[i] = (i + 1 < levels ? nodes[levels - 2 - i] : lines) - 1;
        ix->level_at[i] = at;
        at += nodes[levels - 1 - i] * 8;
    }
    return at;
}

/* ---- ranks of lines: 52 to a 64-byte record ------------------------------
 * bytes 0..4 keys before the record; bytes 5..11 bit 8 of the 52 counts; bytes 12..63 bits 0..7 */

#define RANK_LINES 52u
#define RANK_BYTES 64u

/* ---- the directory -------------------------------------------------------- */

/* A perfect hash: the pilot of a TAC's bucket is chosen so that all its TACs find free slots. The
 * arithmetic has 32 bits, so that eight TACs fit a vector. */

ALWAYS_INLINE uint32_t tac_hash(uint32_t tac, uint32_t multiplier) {
    uint32_t hash = tac * multiplier;
    return hash ^ hash >> 15;
}

static inline uint32_t seed_multiplier(uint32_t seed) { return 0x9E3779B1u + seed * 0x3C6EF372u; /* odd */ }

ALWAYS_INLINE uint32_t reduce32(uint32_t hash, uint32_t n) { return (uint32_t)((uint64_t)hash * n >> 32); }

ALWAYS_INLINE uint32_t hash_pilot(uint32_t hash, uint32_t pilot_count) { return reduce32(hash, pilot_count); }

#define PILOT_MULTIPLIER 0x85EBCA77u
#define SLOT_MULTIPLIER 0xC2B2AE3Du

ALWAYS_INLINE uint32_t hash_slot(uint32_t hash, uint8_t pilot, uint32_t slot_count) {
    return reduce32((hash ^ pilot * PILOT_MULTIPLIER) * SLOT_MULTIPLIER, slot_count);
}

ALWAYS_INLINE const uint64_t *directory_slot(const struct index *ix, uint64_t tac) {
    uint32_t hash = tac_hash((uint32_t)tac, ix->multiplier);
    uint8_t pilot = ix->pilots[hash_pilot(hash, ix->pilot_count)];
    return ix->slots + hash_slot(hash, pilot, ix->slot_count);
}

/* ---- one lookup ------------------------------------------------------------ */

/* The line of a TAC that has none: all its buckets are empty, and everything may be in the spill (index_init). */
static _Alignas(LINE_BYTES) uint8_t no_line[LINE_BYTES];

static const uint64_t no_slot = EMPTY_SLOT;

/* Without lines, no slot may be believed. */
static inline void index_without_lines(struct index *ix) {
    ix->slots = &no_slot;
    ix->slot_count = 1;
}

static inline void index_init(void) {
    shapes_init();
    memset(no_line, 0xFF, sizeof no_line);
    no_line[0] = 0;
}

/* Where a key is looked for: a line, the offset in its stretch, and the low half of the word of its shape. */
struct place {
    const uint8_t *line;
    uint32_t offset, word;
};

/* The place of a serial, by what stands in the slot of its TAC. No branches: that a TAC is listed
 * cannot be predicted. */
ALWAYS_INLINE struct place find_line(const struct index *ix, uint64_t slot, uint64_t tac, uint32_t serial) {
    uint64_t listed = -(uint64_t)(slot_tac(slot) == tac);
    struct place p;
    uint64_t word = shape_words[slot_row(slot) & (uint32_t)listed];
    uint32_t nth = (uint32_t)(serial * word_reciprocal(word) >> 40);
    p.offset = serial - nth * word_width(word);
    p.word = (uint32_t)word;
    uint64_t line = slot_line(slot) + nth;
    line = line < ix->line_count ? line : ix->line_count - 1;
    uintptr_t at = (uintptr_t)ix->lines + line * LINE_BYTES;
    p.line = (const uint8_t *)((at & listed) | ((uintptr_t)no_line & ~listed));
    return p;
}

/* The key, or 10^14 for a number that is none: its TAC is 10^8, which is in no slot of a sound index. */
ALWAYS_INLINE uint64_t bounded(uint64_t key) { return key < KEYS ? key : KEYS; }

#if SIMD_X86
TARGET_AVX2 static inline uint32_t fence_child_avx2(const int64_t *fences, uint64_t key) {
    __m256i keys = _mm256_set1_epi64x((int64_t)key);
    __m256i above0 = _mm256_cmpgt_epi64(_mm256_loadu_si256((const __m256i *)fences), keys);
    __m256i above1 = _mm256_cmpgt_epi64(_mm256_loadu_si256((const __m256i *)(fences + 4)), keys);
    uint32_t upto = ~(uint32_t)_mm256_movemask_epi8(_mm256_packs_epi32(above0, above1)); /* four bits a fence */
    return (uint32_t)__builtin_popcount(upto & ~0xFu) / 4;
}

TARGET_AVX512 static inline uint32_t fence_child_avx512(const int64_t *fences, uint64_t key) {
    __m512i keys = _mm512_set1_epi64((int64_t)key);
    return (uint32_t)__builtin_popcount(_mm512_mask_cmple_epi64_mask(0xFE, _mm512_loadu_si512(fences), keys));
}
#endif

/* Which child of a node of eight fences a key belongs to: how many of its fences but the first are at or below it. */
ALWAYS_INLINE uint32_t fence_child(const int64_t *fences, uint64_t key, int level) {
#if SIMD_X86
    if (level >= SIMD_AVX512) return fence_child_avx512(fences, key);
    if (level >= SIMD_AVX2) return fence_child_avx2(fences, key);
#endif
    (void)level;
    uint32_t child = 0;
    for (int i = 1; i < 8; i++) child += fences[i] <= (int64_t)key;
    return child;
}

ALWAYS_INLINE uint64_t fence_step(const struct index *ix, uint32_t tier, uint64_t node, uint64_t key, int level) {
    uint64_t child = node * 8 + fence_child(ix->fences + ix->level_at[tier] + node * 8, key, level);
    if (UNLIKELY(child > ix->level_last[tier])) {
        child = ix->level_last[tier];
        OPAQUE(child); /* a branch, and never taken in a sound index, which need not wait */
    }
    return child;
}

/* The spill line that key is in, if it is in the spill. */
ALWAYS_INLINE uint64_t find_spill(const struct index *ix, uint64_t key, int level) {
    uint64_t node = 0;
    for (uint32_t tier = 0; tier < ix->levels; tier++) node = fence_step(ix, tier, node, key, level);
    return node;
}

ALWAYS_INLINE uint64_t spill_fence(const struct index *ix, uint64_t line) {
    return (uint64_t)ix->fences[ix->level_at[ix->levels - 1] + line];
}

ALWAYS_INLINE int in_spill(const struct index *ix, uint64_t line, uint64_t key, int level) {
    const uint8_t *at = ix->spill + line * LINE_BYTES;
    uint64_t tac = key / SERIALS;
    uint32_t suspects = spill_suspects(at, (uint32_t)(key - tac * SERIALS), level);
    return suspects && spill_contains(at, spill_fence(ix, line), key, tac, suspects);
}

#define ASK_SPILL 2

/* Is a key in the set: 1, 0, or ASK_SPILL where its line does not know. For one key at a time: unlike the lookup of
 * many, it takes branches where one way is far more likely, so that processors run ahead of what they wait for. */
ALWAYS_INLINE int line_answer(const struct index *ix, uint32_t tac, uint32_t serial, int level) {
    uint64_t slot = *directory_slot(ix, tac);
    if (UNLIKELY(slot_tac(slot) != tac)) return ASK_SPILL;
    uint64_t word = shape_words[slot_row(slot)], line = slot_line(slot);
    uint32_t nth = (uint32_t)(serial * word_reciprocal(word) >> 40), spilled;
    line += nth;
    if (UNLIKELY(line >= ix->line_count)) return ASK_SPILL;
    uint32_t found = (uint32_t)line_contains(ix->lines + line * LINE_BYTES, (uint32_t)word, serial - nth * word_width(word),
                                             level, 1, &spilled);
    uint32_t ask = spilled & ~found;
    OPAQUE(ask); /* one branch: `found` alone cannot be predicted */
    return UNLIKELY(ask) ? ASK_SPILL : (int)found;
}

#endif
