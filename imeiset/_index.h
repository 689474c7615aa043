/* The frozen index: an exact set of 14-digit keys as a handful of flat arrays.
 *
 *   directory   TAC -> its row of shapes and its first line, by a perfect hash (pilots, slots)
 *   tacs        the TACs of the directory in order
 *   lines       _lines.h: nearly all keys; the line of a key is computed from its slot
 *   ranks       how many keys the lines before a line hold
 *   spill       _spill.h: the other keys and all long runs, with fences and ranks
 *
 * A lookup reads one pilot, one slot and one line; where the line says so, or the TAC is not
 * in the directory, it goes on to the spill. Whatever the arrays hold, nothing outside them is
 * read: hashes are reduced to a range, and numbers read from them are clamped.
 */
#ifndef IMEISET_INDEX_H
#define IMEISET_INDEX_H

#include <stddef.h>
#include <stdlib.h>

#include "_spill.h"

#define KEYS 100000000000000ull /* 10^14: every key is below */
#define TACS 100000000u
#define MAX_LEVELS 20

/* ---- the arrays ---------------------------------------------------------- */

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
    uint64_t level_at[MAX_LEVELS], level_nodes[MAX_LEVELS];
};

#define EMPTY_TAC 0x7FFFFFFu
#define slot_tac(slot) ((uint32_t)((slot)&EMPTY_TAC))
#define slot_row(slot) ((uint32_t)((slot) >> 27 & 255))
#define slot_line(slot) ((slot) >> 35)

/* Lay out the fence tree of n lines, eight fences to a node; returns how many fences. */
static inline uint64_t fences_layout(struct index *ix, uint64_t n) {
    uint64_t nodes[MAX_LEVELS], at = 0;
    uint32_t levels = 0;
    while (n) {
        nodes[levels++] = (n + 7) / 8;
        n = n > 8 ? (n + 7) / 8 : 0;
    }
    ix->levels = levels;
    for (uint32_t i = 0; i < levels; i++) {
        ix->level_nodes[i] = nodes[levels - 1 - i];
        ix->level_at[i] = at;
        at += nodes[levels - 1 - i] * 8;
    }
    return at;
}

/* ---- ranks of lines: 52 to a 64-byte record ------------------------------
 * bytes 0..4 keys before the record; bytes 5..11 bit 8 of the 52 counts; bytes 12..63 bits 0..7 */

#define RANK_LINES 52u
#define RANK_BYTES 64u

static inline uint64_t lines_rank(const struct index *ix, uint64_t line) {
    const uint8_t *record = ix->ranks + line / RANK_LINES * RANK_BYTES;
    uint32_t n = (uint32_t)(line % RANK_LINES);
    uint64_t rank = load64(record) & low_mask(40);
    rank += 256 * (uint64_t)__builtin_popcountll(load64(record + 5) & low_mask(n));
    for (uint32_t i = 0; i < n; i++) rank += record[12 + i];
    return rank;
}

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

ALWAYS_INLINE uint32_t hash_slot(uint32_t hash, uint8_t pilot, uint32_t slot_count) {
    return reduce32((hash ^ pilot * 0x85EBCA77u) * 0xC2B2AE3Du, slot_count);
}

ALWAYS_INLINE const uint64_t *directory_slot(const struct index *ix, uint64_t tac) {
    uint32_t hash = tac_hash((uint32_t)tac, ix->multiplier);
    uint8_t pilot = ix->pilots[hash_pilot(hash, ix->pilot_count)];
    return ix->slots + hash_slot(hash, pilot, ix->slot_count);
}

/* ---- one lookup ------------------------------------------------------------ */

/* The line of a TAC that has none: empty, and everything may be in the spill (index_init). */
static uint8_t no_line[LINE_BYTES];

static inline void index_init(void) {
    uint32_t kept;
    shapes_init();
    line_write(no_line, &shapes[0], 0, NULL, 0, &kept, NULL);
    line_mark(no_line, &shapes[0], 0);
}

/* The line of a serial, by what stands in the slot of its TAC. No branches: that a TAC is listed
 * cannot be predicted. */
ALWAYS_INLINE const uint8_t *find_line(const struct index *ix, uint64_t slot, uint64_t tac, uint32_t serial,
                                       uint32_t *row, uint32_t *offset) {
    uint64_t listed = -(uint64_t)(slot_tac(slot) == tac);
    *row = slot_row(slot) & (uint32_t)listed;
    const struct shape *s = &shapes[*row];
    uint32_t nth = (uint32_t)((uint64_t)serial * s->reciprocal >> 40);
    *offset = serial - nth * s->width;
    uint64_t line = slot_line(slot) + nth;
    line = line < ix->line_count ? line : ix->line_count - 1;
    uintptr_t at = (uintptr_t)ix->lines + line * LINE_BYTES;
    return (const uint8_t *)((at & listed) | ((uintptr_t)no_line & ~listed));
}

/* Among the eight fences of a node, the last at or below key (the first where there is none). */
ALWAYS_INLINE uint64_t fence_step(const struct index *ix, uint32_t level, uint64_t node, uint64_t key) {
    const int64_t *fences = ix->fences + ix->level_at[level] + node * 8;
    uint64_t below = 0;
    for (int i = 1; i < 8; i++) below += fences[i] <= (int64_t)key;
    uint64_t child = node * 8 + below;
    uint64_t last = level + 1 < ix->levels ? ix->level_nodes[level + 1] - 1 : ix->spill_count - 1;
    return child < last ? child : last;
}

/* The spill line that key is in, if it is in the spill. */
ALWAYS_INLINE uint64_t find_spill(const struct index *ix, uint64_t key) {
    uint64_t node = 0;
    for (uint32_t level = 0; level < ix->levels; level++) node = fence_step(ix, level, node, key);
    return node;
}

ALWAYS_INLINE uint64_t spill_fence(const struct index *ix, uint64_t line) {
    return (uint64_t)ix->fences[ix->level_at[ix->levels - 1] + line];
}

ALWAYS_INLINE int in_spill(const struct index *ix, uint64_t line, uint64_t key, int level) {
    uint64_t fence = spill_fence(ix, line);
    const uint8_t *at = ix->spill + line * LINE_BYTES;
    return key >= fence && spill_contains(at, fence, key, spill_match(at, (uint32_t)(key % SERIALS), level));
}

ALWAYS_INLINE int contains_key(const struct index *ix, uint64_t key, int level) {
    uint64_t tac = key / SERIALS;
    uint32_t row, offset;
    uint32_t spilled;
    const uint8_t *line = find_line(ix, *directory_slot(ix, tac), tac, (uint32_t)(key - tac * SERIALS), &row, &offset);
    if (line_contains(line, &shapes[row], offset, level, &spilled)) return 1;
    return spilled && ix->spill_count && in_spill(ix, find_spill(ix, key), key, level);
}

/* How many members are below key. */
static inline uint64_t rank_key(const struct index *ix, uint64_t key) {
    uint64_t rank = 0, tac = key / SERIALS;
    if (key >= KEYS) return ix->count;
    if (ix->tac_count) {
        uint64_t slot = *directory_slot(ix, tac);
        if (slot_tac(slot) == tac) {
            uint32_t row, offset;
            const uint8_t *line = find_line(ix, slot, tac, (uint32_t)(key - tac * SERIALS), &row, &offset);
            rank = lines_rank(ix, (uint64_t)(line - ix->lines) / LINE_BYTES);
            if (shapes[row].lines) rank += line_rank(line, &shapes[row], offset);
        } else { /* all lines of the TACs below */
            const uint32_t *first = ix->tacs;
            uint32_t n = ix->tac_count;
            while (n > 1) {
                uint32_t half = n / 2;
                first += first[half - 1] < tac ? half : 0;
                n -= half;
            }
            first += *first < tac;
            if (first == ix->tacs + ix->tac_count) {
                rank = lines_rank(ix, ix->line_count);
            } else {
                uint64_t line = slot_line(*directory_slot(ix, *first));
                rank = lines_rank(ix, line < ix->line_count ? line : ix->line_count);
            }
        }
    }
    if (ix->spill_count) {
        uint64_t line = find_spill(ix, key);
        if (key >= spill_fence(ix, line)) {
            rank += ix->spill_ranks[line / 8];
            for (uint64_t i = line & ~7ull; i < line; i++)
                rank += spill_members(ix->spill + i * LINE_BYTES);
            rank += spill_rank(ix->spill + line * LINE_BYTES, spill_fence(ix, line), key);
        }
    }
    return rank;
}

/* ---- many lookups ---------------------------------------------------------- */

#define GROUP 64   /* lookups in flight */
#define BLOCK 2048 /* keys whose spill lookups wait for each other */

/* Look the waiting keys up in the spill, a level of the fences at a time for a group of them. */
ALWAYS_INLINE void spill_block(const struct index *ix, const uint64_t *keys, const uint32_t *waiting, uint32_t waits,
                               uint8_t *out, int level) {
    for (uint32_t base = 0; base < waits; base += GROUP) {
        uint64_t node[GROUP], key[GROUP];
        uint32_t n = waits - base < GROUP ? waits - base : GROUP;
        for (uint32_t i = 0; i < n; i++) {
            node[i] = 0;
            key[i] = keys[waiting[base + i]];
        }
        for (uint32_t tier = 0; tier < ix->levels; tier++) {
            const uint8_t *next = tier + 1 < ix->levels ? (const uint8_t *)(ix->fences + ix->level_at[tier + 1]) : ix->spill;
            for (uint32_t i = 0; i < n; i++) {
                node[i] = fence_step(ix, tier, node[i], key[i]);
                PREFETCH(next + node[i] * 64);
            }
        }
        for (uint32_t i = 0; i < n; i++) out[waiting[base + i]] = (uint8_t)in_spill(ix, node[i], key[i], level);
    }
}

/* In three short loops per group, so that many lookups overlap in each: hash, find the line, probe. */
ALWAYS_INLINE void contains_block(const struct index *ix, const uint64_t *keys, uint32_t n, uint8_t *out, int level) {
    uint32_t waiting[BLOCK + 1], waits = 0;
    for (uint32_t base = 0; base < n; base += GROUP) {
        uint64_t tac[GROUP];
        uint32_t serial[GROUP], row[GROUP], offset[GROUP];
        const uint64_t *slot[GROUP];
        const uint8_t *line[GROUP];
        uint32_t end = n - base < GROUP ? n - base : GROUP;
        for (uint32_t i = 0; i < end; i++) {
            uint64_t key = keys[base + i];
            tac[i] = key / SERIALS;
            serial[i] = (uint32_t)(key - tac[i] * SERIALS);
            slot[i] = directory_slot(ix, tac[i]);
            PREFETCH(slot[i]);
        }
        for (uint32_t i = 0; i < end; i++) {
            line[i] = find_line(ix, *slot[i], tac[i], serial[i], &row[i], &offset[i]);
            PREFETCH(line[i]);
        }
        for (uint32_t i = 0; i < end; i++) {
            uint32_t spilled, found = (uint32_t)line_contains(line[i], &shapes[row[i]], offset[i], level, &spilled);
            out[base + i] = (uint8_t)found;
            waiting[waits] = base + i;
            waits += spilled & ~found;
        }
    }
    if (ix->spill_count) spill_block(ix, keys, waiting, waits, out, level);
}

ALWAYS_INLINE void contains_keys(const struct index *shared, const uint64_t *keys, size_t n, uint8_t *out, int level) {
    const struct index copy = *shared, *ix = &copy; /* that writes to out cannot change */
    for (size_t at = 0; at < n; at += BLOCK)
        contains_block(ix, keys + at, (uint32_t)(n - at < BLOCK ? n - at : BLOCK), out + at, level);
}

/* ---- the SIMD levels --------------------------------------------------------- */

struct index_kernels {
    void (*contains)(const struct index *, const uint64_t *keys, size_t n, uint8_t *out);
    int (*contains_one)(const struct index *, uint64_t key);
};

#define INDEX_KERNELS(name, target, level)                                                                        \
    target static void contains_##name(const struct index *ix, const uint64_t *keys, size_t n, uint8_t *out) {   \
        contains_keys(ix, keys, n, out, level);                                                                   \
    }                                                                                                             \
    target static int contains_one_##name(const struct index *ix, uint64_t key) { return contains_key(ix, key, level); }

INDEX_KERNELS(portable, , SIMD_PORTABLE)
#if SIMD_X86
INDEX_KERNELS(sse4, TARGET_SSE4, SIMD_SSE4)
INDEX_KERNELS(avx2, TARGET_AVX2, SIMD_AVX2)
#endif

static const struct index_kernels index_levels[SIMD_LEVELS] = {
    {contains_portable, contains_one_portable},
#if SIMD_X86
    {contains_sse4, contains_one_sse4},
    {contains_avx2, contains_one_avx2},
#endif
};

#endif
