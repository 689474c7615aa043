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
    uint64_t level_at[MAX_LEVELS], level_nodes[MAX_LEVELS], level_last[MAX_LEVELS]; /* last: the last child */
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

static inline uint64_t lines_rank(const struct index *ix, uint64_t line) {
    const uint8_t *record = ix->ranks + line / RANK_LINES * RANK_BYTES;
    uint32_t n = (uint32_t)(line % RANK_LINES);
    uint64_t rank = load64(record) & low_mask(40);
    rank += 256 * (uint64_t)__builtin_popcountll(load64(record + 5) & low_mask(n));
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8) { /* the sums of neighbours, of those, and of those */
        uint64_t sums = load64(record + 12 + i);
        sums = (sums & 0x00FF00FF00FF00FF) + (sums >> 8 & 0x00FF00FF00FF00FF);
        rank += sums * 0x0001000100010001 >> 48;
    }
    for (; i < n; i++) rank += record[12 + i];
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

/* The line of a TAC that has none: empty, and everything may be in the spill (index_init). */
static uint8_t no_line[LINE_BYTES];

/* What find_lines needs of a shape, small enough to gather: width, and its reciprocal above it. */
static uint64_t shape_widths[256];

static const uint64_t no_slot = EMPTY_SLOT;

/* Without lines, no slot may be believed. */
static inline void index_without_lines(struct index *ix) {
    ix->slots = &no_slot;
    ix->slot_count = 1;
}

static inline void index_init(void) {
    uint32_t kept;
    shapes_init();
    for (int row = 0; row < 256; row++) shape_widths[row] = shapes[row].width | (uint64_t)shapes[row].reciprocal << 32;
    line_write(no_line, &shapes[0], 0, NULL, 0, &kept, NULL);
    line_mark(no_line, &shapes[0], 0);
}

/* Where a key is looked for: a line, the row of its shape, and the offset in its stretch. */
struct place {
    const uint8_t *line;
    uint32_t offset, row;
};

/* The place of a serial, by what stands in the slot of its TAC. No branches: that a TAC is listed
 * cannot be predicted. */
ALWAYS_INLINE struct place find_line(const struct index *ix, uint64_t slot, uint64_t tac, uint32_t serial) {
    uint64_t listed = -(uint64_t)(slot_tac(slot) == tac);
    struct place p;
    p.row = slot_row(slot) & (uint32_t)listed;
    uint64_t widths = shape_widths[p.row];
    uint32_t nth = (uint32_t)(serial * (widths >> 32) >> 40);
    p.offset = serial - nth * (uint32_t)widths;
    uint64_t line = slot_line(slot) + nth;
    line = line < ix->line_count ? line : ix->line_count - 1;
    uintptr_t at = (uintptr_t)ix->lines + line * LINE_BYTES;
    p.line = (const uint8_t *)((at & listed) | ((uintptr_t)no_line & ~listed));
    return p;
}

/* The key, or 10^14 for a number that is none: its TAC is 10^8, which is in no slot of a sound index. */
ALWAYS_INLINE uint64_t bounded(uint64_t key) { return key < KEYS ? key : KEYS; }

ALWAYS_INLINE struct place find_key(const struct index *ix, uint64_t key) {
    uint64_t known = bounded(key), tac = known / SERIALS;
    return find_line(ix, *directory_slot(ix, tac), tac, (uint32_t)(known - tac * SERIALS));
}

#if SIMD_X86
TARGET_AVX2 static inline uint32_t fences_upto_avx2(const int64_t *fences, uint64_t key) {
    __m256i keys = _mm256_set1_epi64x((int64_t)key);
    __m256i above0 = _mm256_cmpgt_epi64(_mm256_loadu_si256((const __m256i *)fences), keys);
    __m256i above1 = _mm256_cmpgt_epi64(_mm256_loadu_si256((const __m256i *)(fences + 4)), keys);
    __m256i above = _mm256_packs_epi32(above0, above1); /* 16 bits each, a fence twice */
    return 8 - (uint32_t)__builtin_popcount((uint32_t)_mm256_movemask_epi8(above)) / 4;
}
#endif

/* How many of the eight fences of a node are at or below key. */
ALWAYS_INLINE uint32_t fences_upto(const int64_t *fences, uint64_t key, int level) {
#if SIMD_X86
    if (level >= SIMD_AVX2) return fences_upto_avx2(fences, key);
#endif
    (void)level;
    uint32_t upto = 0;
    for (int i = 0; i < 8; i++) upto += fences[i] <= (int64_t)key;
    return upto;
}

/* The child of the last fence of a node at or below key (of the first where there is none). */
ALWAYS_INLINE uint64_t fence_step(const struct index *ix, uint32_t tier, uint64_t node, uint64_t key, int level) {
    uint32_t upto = fences_upto(ix->fences + ix->level_at[tier] + node * 8, key, level);
    uint64_t child = node * 8 + upto - (upto > 0), last = ix->level_last[tier];
    return child < last ? child : last;
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
    uint64_t fence = spill_fence(ix, line);
    const uint8_t *at = ix->spill + line * LINE_BYTES;
    return key >= fence && spill_contains(at, fence, key, spill_match(at, (uint32_t)(key % SERIALS), level));
}

ALWAYS_INLINE int contains_key(const struct index *ix, uint64_t key, int level) {
    uint32_t spilled;
    struct place p = find_key(ix, key);
    int found = line_contains(p.line, &shapes[p.row], p.offset, level, &spilled);
    if (UNLIKELY(spilled & (uint32_t)!found) && ix->spill_count) /* one branch: `found` alone cannot be predicted */
        return in_spill(ix, find_spill(ix, key, level), key, level);
    return found;
}

/* How many members in lines are below key, which is one. */
static inline uint64_t rank_in_lines(const struct index *ix, uint64_t key) {
    uint64_t tac = key / SERIALS;
    if (!ix->tac_count) return 0;
    uint64_t slot = *directory_slot(ix, tac);
    if (slot_tac(slot) == tac) {
        struct place p = find_key(ix, key);
        uint64_t rank = lines_rank(ix, (uint64_t)(p.line - ix->lines) / LINE_BYTES);
        return rank + (shapes[p.row].lines ? line_rank(p.line, &shapes[p.row], p.offset) : 0);
    }
    const uint32_t *first = ix->tacs; /* all lines of the TACs below */
    uint32_t n = ix->tac_count;
    while (n > 1) {
        uint32_t half = n / 2;
        first += first[half - 1] < tac ? half : 0;
        n -= half;
    }
    first += *first < tac;
    if (first == ix->tacs + ix->tac_count) return lines_rank(ix, ix->line_count);
    uint64_t line = slot_line(*directory_slot(ix, *first));
    return lines_rank(ix, line < ix->line_count ? line : ix->line_count);
}

/* How many members in the spill are below key; `line` is what find_spill says. */
static inline uint64_t rank_in_spill(const struct index *ix, uint64_t line, uint64_t key) {
    if (key < spill_fence(ix, line)) return 0;
    uint64_t rank = ix->spill_ranks[line / 8];
    for (uint64_t i = line & ~7ull; i < line; i++) rank += spill_members(ix->spill + i * LINE_BYTES);
    return rank + spill_rank(ix->spill + line * LINE_BYTES, spill_fence(ix, line), key);
}

/* How many members are below key. */
static inline uint64_t rank_key(const struct index *ix, uint64_t key) {
    if (key >= KEYS) return ix->count;
    uint64_t rank = rank_in_lines(ix, key);
    return ix->spill_count ? rank + rank_in_spill(ix, find_spill(ix, key, SIMD_PORTABLE), key) : rank;
}

/* ---- many lookups ---------------------------------------------------------- */

#define GROUP 64   /* lookups in flight */
#define BLOCK 2048 /* keys whose spill lookups wait for each other */

/* find_spill of up to a group of keys, a level of the fences at a time. */
ALWAYS_INLINE void find_spills(const struct index *ix, const uint64_t *keys, uint32_t n, uint64_t *lines, int level) {
    memset(lines, 0, n * sizeof *lines);
    for (uint32_t tier = 0; tier < ix->levels; tier++) {
        const uint8_t *next = tier + 1 < ix->levels ? (const uint8_t *)(ix->fences + ix->level_at[tier + 1]) : ix->spill;
        for (uint32_t i = 0; i < n; i++) {
            lines[i] = fence_step(ix, tier, lines[i], keys[i], level);
            PREFETCH(next + lines[i] * 64);
        }
    }
}

/* Look the waiting keys up in the spill. */
ALWAYS_INLINE void spill_block(const struct index *ix, const uint64_t *keys, const uint32_t *waiting, uint32_t waits,
                               uint8_t *out, int level) {
    for (uint32_t base = 0; base < waits; base += GROUP) {
        uint64_t node[GROUP], key[GROUP];
        uint32_t n = waits - base < GROUP ? waits - base : GROUP;
        for (uint32_t i = 0; i < n; i++) key[i] = keys[waiting[base + i]];
        find_spills(ix, key, n, node, level);
        for (uint32_t i = 0; i < n; i++) out[waiting[base + i]] = (uint8_t)in_spill(ix, node[i], key[i], level);
    }
}

/* Find the places of n keys, in two short loops, so that many lookups overlap in each. */
ALWAYS_INLINE void find_places(const struct index *ix, const uint64_t *keys, uint32_t n, struct place *places) {
    const uint64_t *slot[GROUP];
    for (uint32_t i = 0; i < n; i++) slot[i] = directory_slot(ix, bounded(keys[i]) / SERIALS);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t key = bounded(keys[i]), tac = key / SERIALS;
        places[i] = find_line(ix, *slot[i], tac, (uint32_t)(key - tac * SERIALS));
    }
}

#if SIMD_X86
/* reduce32 of eight hashes. */
TARGET_AVX2 static inline __m256i reduce8(__m256i hash, __m256i n) {
    __m256i even = _mm256_srli_epi64(_mm256_mul_epu32(hash, n), 32);
    __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(hash, 32), n);
    return _mm256_blend_epi32(even, odd, 0xAA);
}

/* The TACs of four keys, bounded. */
TARGET_AVX2 static inline __m128i tacs4(__m256i *keys) {
    const __m256i sign = _mm256_set1_epi64x(INT64_MIN), limit = _mm256_set1_epi64x((int64_t)KEYS);
    const __m256i exponent = _mm256_set1_epi64x(0x4330000000000000); /* 2^52 as a double */
    __m256i good = _mm256_cmpgt_epi64(_mm256_xor_si256(limit, sign), _mm256_xor_si256(*keys, sign));
    *keys = _mm256_blendv_epi8(limit, *keys, good);
    /* key + 1/2, so that rounding the product cannot cross a whole number */
    __m256d half = _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(*keys, exponent)), _mm256_set1_pd(0x1p52 - 0.5));
    return _mm256_cvttpd_epi32(_mm256_mul_pd(half, _mm256_set1_pd(1e-6)));
}

/* find_places for a whole group. Vectors compute, loops of plain loads look up: faster than gathers. */
TARGET_AVX2 static inline void find_places_avx2(const struct index *ix, const uint64_t *keys, struct place *places) {
    uint32_t tac[GROUP], serial[GROUP], hash[GROUP], at[GROUP];
    uint64_t slot[GROUP], row[GROUP];
    const __m256i pilot_count = _mm256_set1_epi64x(ix->pilot_count), slot_count = _mm256_set1_epi64x(ix->slot_count);
    const __m256i multiplier = _mm256_set1_epi32((int)ix->multiplier);
    for (uint32_t i = 0; i < GROUP; i += 8) {
        __m256i key0 = _mm256_loadu_si256((const __m256i *)(keys + i));
        __m256i key1 = _mm256_loadu_si256((const __m256i *)(keys + i + 4));
        __m128i tac0 = tacs4(&key0), tac1 = tacs4(&key1);
        __m256i tacs = _mm256_inserti128_si256(_mm256_castsi128_si256(tac0), tac1, 1);
        __m256i low = _mm256_castps_si256(
            _mm256_shuffle_ps(_mm256_castsi256_ps(key0), _mm256_castsi256_ps(key1), 0x88)); /* keys 0 1 4 5 2 3 6 7 */
        low = _mm256_permute4x64_epi64(low, 0xD8);
        __m256i hashes = _mm256_mullo_epi32(tacs, multiplier);
        hashes = _mm256_xor_si256(hashes, _mm256_srli_epi32(hashes, 15));
        _mm256_storeu_si256((__m256i *)(tac + i), tacs);
        _mm256_storeu_si256((__m256i *)(serial + i),
                            _mm256_sub_epi32(low, _mm256_mullo_epi32(tacs, _mm256_set1_epi32(SERIALS))));
        _mm256_storeu_si256((__m256i *)(hash + i), hashes);
        _mm256_storeu_si256((__m256i *)(at + i), reduce8(hashes, pilot_count));
    }
    for (uint32_t i = 0; i < GROUP; i++) at[i] = ix->pilots[at[i]];
    for (uint32_t i = 0; i < GROUP; i += 8) {
        __m256i pilot = _mm256_loadu_si256((const __m256i *)(at + i)), hashes = _mm256_loadu_si256((const __m256i *)(hash + i));
        hashes = _mm256_xor_si256(hashes, _mm256_mullo_epi32(pilot, _mm256_set1_epi32((int)PILOT_MULTIPLIER)));
        hashes = _mm256_mullo_epi32(hashes, _mm256_set1_epi32((int)SLOT_MULTIPLIER));
        _mm256_storeu_si256((__m256i *)(at + i), reduce8(hashes, slot_count));
    }
    for (uint32_t i = 0; i < GROUP; i++) slot[i] = ix->slots[at[i]];
    for (uint32_t i = 0; i < GROUP; i += 4) {
        __m256i slots = _mm256_loadu_si256((const __m256i *)(slot + i));
        __m256i wanted = _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(tac + i)));
        __m256i listed = _mm256_cmpeq_epi64(_mm256_and_si256(slots, _mm256_set1_epi64x(EMPTY_TAC)), wanted);
        __m256i rows = _mm256_and_si256(_mm256_srli_epi64(slots, 27), _mm256_set1_epi64x(255));
        /* what is not listed has row 0, and line 0 of its own */
        _mm256_storeu_si256((__m256i *)(row + i), _mm256_and_si256(rows, listed));
        _mm256_storeu_si256((__m256i *)(slot + i), _mm256_or_si256(_mm256_srli_epi64(slots, 35), _mm256_xor_si256(listed, _mm256_set1_epi64x(-1))));
    }
    uint64_t widths[GROUP];
    for (uint32_t i = 0; i < GROUP; i++) widths[i] = shape_widths[row[i]];
    const __m256i last_line = _mm256_set1_epi64x((int64_t)ix->line_count - 1);
    const __m256i lines = _mm256_set1_epi64x((int64_t)(uintptr_t)ix->lines);
    const __m256i none = _mm256_set1_epi64x((int64_t)(uintptr_t)no_line);
    for (uint32_t i = 0; i < GROUP; i += 4) {
        __m256i offset = _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(serial + i)));
        __m256i width = _mm256_loadu_si256((const __m256i *)(widths + i)), first = _mm256_loadu_si256((const __m256i *)(slot + i));
        __m256i nth = _mm256_srli_epi64(_mm256_mul_epu32(offset, _mm256_srli_epi64(width, 32)), 40);
        offset = _mm256_sub_epi64(offset, _mm256_mul_epu32(nth, width));
        __m256i line = _mm256_add_epi64(first, nth);
        line = _mm256_blendv_epi8(line, last_line, _mm256_cmpgt_epi64(line, last_line));
        line = _mm256_add_epi64(lines, _mm256_slli_epi64(line, 6));
        line = _mm256_castpd_si256(_mm256_blendv_pd(_mm256_castsi256_pd(line), _mm256_castsi256_pd(none), _mm256_castsi256_pd(first)));
        __m256i rest = _mm256_or_si256(offset, _mm256_slli_epi64(_mm256_loadu_si256((const __m256i *)(row + i)), 32));
        __m256i even = _mm256_unpacklo_epi64(line, rest), odd = _mm256_unpackhi_epi64(line, rest);
        _mm256_storeu_si256((__m256i *)(places + i), _mm256_permute2x128_si256(even, odd, 0x20));
        _mm256_storeu_si256((__m256i *)(places + i + 2), _mm256_permute2x128_si256(even, odd, 0x31));
    }
}
#endif

/* Lookups of a block, a group at a time: find the places of the next group, then probe the lines of
 * this one while the next one's are being fetched. */
ALWAYS_INLINE void contains_block(const struct index *ix, const uint64_t *keys, uint32_t n, uint8_t *out, int level) {
    uint32_t waiting[BLOCK + 1], waits = 0;
    struct place ring[2][GROUP] = {{{no_line, 0, 0}}};
    for (uint32_t base = 0; base < n + GROUP; base += GROUP) {
        struct place *next = ring[base / GROUP & 1], *ready = ring[~base / GROUP & 1];
        uint32_t coming = base >= n ? 0 : n - base < GROUP ? n - base : GROUP;
#if SIMD_X86
        if (level >= SIMD_AVX2 && coming == GROUP)
            find_places_avx2(ix, keys + base, next);
        else
#endif
            find_places(ix, keys + base, coming, next);
        if (base == 0) {
            for (uint32_t i = 0; i < coming; i++) PREFETCH(next[i].line);
            continue;
        }
        uint32_t at = base - GROUP, here = n - at < GROUP ? n - at : GROUP;
        for (uint32_t i = 0; i < here; i++) {
            const struct place *p = &ready[i];
            PREFETCH(next[i].line); /* where none is coming, of a line there was before */
            uint32_t spilled, found = (uint32_t)line_contains(p->line, &shapes[p->row], p->offset, level, &spilled);
            out[at + i] = (uint8_t)found;
            waiting[waits] = at + i;
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

/* Ranks of up to a group of keys: what all of them need is asked for before any is used. */
ALWAYS_INLINE void rank_group(const struct index *ix, const uint64_t *keys, uint32_t n, uint64_t *ranks, int level) {
    uint64_t lines[GROUP];
    for (uint32_t i = 0; i < n; i++) {
        struct place p = find_key(ix, keys[i]);
        uint64_t line = (uint64_t)(p.line - ix->lines) / LINE_BYTES;
        if (line < ix->line_count) PREFETCH(ix->ranks + line / RANK_LINES * RANK_BYTES);
        PREFETCH(p.line);
    }
    if (ix->spill_count) {
        find_spills(ix, keys, n, lines, level);
        for (uint32_t i = 0; i < n; i++) {
            PREFETCH(ix->spill_ranks + lines[i] / 8);
            for (uint64_t line = lines[i] & ~7ull; line < lines[i]; line++) PREFETCH(ix->spill + line * LINE_BYTES);
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        ranks[i] = rank_in_lines(ix, keys[i]);
        if (ix->spill_count) ranks[i] += rank_in_spill(ix, lines[i], keys[i]);
    }
}

ALWAYS_INLINE void positions_keys(const struct index *ix, const uint64_t *keys, size_t n, int64_t *out, int level) {
    for (size_t at = 0; at < n; at += BLOCK) {
        uint8_t found[BLOCK];
        uint64_t members[GROUP], ranks[GROUP];
        uint32_t here = (uint32_t)(n - at < BLOCK ? n - at : BLOCK), row[GROUP];
        contains_block(ix, keys + at, here, found, level);
        for (uint32_t i = 0, gathered = 0; i < here; i++) {
            out[at + i] = -1;
            row[gathered] = i;
            members[gathered] = bounded(keys[at + i]);
            gathered += found[i];
            if (gathered < GROUP && i + 1 < here) continue;
            rank_group(ix, members, gathered, ranks, level);
            for (uint32_t j = 0; j < gathered; j++) out[at + row[j]] = (int64_t)ranks[j];
            gathered = 0;
        }
    }
}

/* ---- the SIMD levels --------------------------------------------------------- */

struct index_kernels {
    void (*contains)(const struct index *, const uint64_t *keys, size_t n, uint8_t *out);
    int (*contains_one)(const struct index *, uint64_t key);
    void (*positions)(const struct index *, const uint64_t *keys, size_t n, int64_t *out);
};

#define INDEX_KERNELS(name, target, level)                                                                        \
    target static void contains_##name(const struct index *ix, const uint64_t *keys, size_t n, uint8_t *out) {   \
        contains_keys(ix, keys, n, out, level);                                                                   \
    }                                                                                                             \
    target static int contains_one_##name(const struct index *ix, uint64_t key) { return contains_key(ix, key, level); } \
    target static void positions_##name(const struct index *ix, const uint64_t *keys, size_t n, int64_t *out) {  \
        positions_keys(ix, keys, n, out, level);                                                                  \
    }

INDEX_KERNELS(portable, , SIMD_PORTABLE)
#if SIMD_X86
INDEX_KERNELS(sse4, TARGET_SSE4, SIMD_SSE4)
INDEX_KERNELS(avx2, TARGET_AVX2, SIMD_AVX2)
#endif

static const struct index_kernels index_levels[SIMD_LEVELS] = {
    {contains_portable, contains_one_portable, positions_portable},
#if SIMD_X86
    {contains_sse4, contains_one_sse4, positions_sse4},
    {contains_avx2, contains_one_avx2, positions_avx2},
#endif
};

#endif
