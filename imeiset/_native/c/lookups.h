/* Many lookups: 64 keys at a time, so that what they wait for arrives together.
 *
 * The places of a group are found first (hash, pilot, slot, shape). Its lines are prefetched while the
 * places of the next group are found and the group before is probed: a few at a time, because all at once
 * would wait for each other. A key that has to ask the spill waits with others of its block.
 */
#ifndef IMEISET_LOOKUPS_H
#define IMEISET_LOOKUPS_H

#include "digits.h"
#include "groups.h"

#define BLOCK 2048 /* keys whose spill lookups wait for each other */

#define SEATS (BLOCK / 2) /* so many keys at most, where somebody wants to know where members stand */

/* Where the members of a block stand: those in lines before those in the spill. */
struct seats {
    uint32_t in_lines, count;
    uint16_t row[SEATS]; /* of the keys of the block */
    uint16_t nth[SEATS]; /* which serial of the line, or entry of the line of the spill */
    uint64_t line[SEATS];
};

/* Note the hits of a group, whose first row is `at`. c: what was compared; NULL: which serial it is, is looked for once
 * more. Of bitmaps it is counted. */
ALWAYS_INLINE void take_seats(const struct index *ix, const struct places *p, const struct compared *c, uint64_t hits,
                              uint32_t at, struct seats *seats, int level) {
    for (; hits; hits &= hits - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(hits), low_bits = word_low_bits(p->word[i]), found, nth;
        uint64_t line = ((uintptr_t)p->line[i] - (uintptr_t)ix->lines) / LINE_BYTES; /* no_line has no hits */
        PREFETCH(ix->ranks + line / RANK_LINES * RANK_BYTES);
        if (!c || UNLIKELY(low_bits == BITMAP_LOW_BITS)) {
            nth = line_seek(p->line[i], p->word[i], p->offset[i], &found, level);
        } else { /* a 1 at the bottom of its field, and of each before */
            uint64_t fields = field_ones[low_bits] & ((c->fields[i] & -c->fields[i]) - 1);
            nth = (uint32_t)c->first[i] + (uint32_t)__builtin_popcountll(fields) - 1;
        }
        seats->row[seats->count] = (uint16_t)(at + i);
        seats->nth[seats->count] = (uint16_t)nth;
        seats->line[seats->count++] = line;
    }
}

/* ---- the spill --------------------------------------------------------------------- */

#if SIMD_X86

/* The children of the root that a group of keys belongs to. */
TARGET_AVX2 static inline void root_children_avx2(const int64_t *fences, const uint64_t *keys, uint64_t last, uint64_t *lines) {
    for (uint32_t i = 0; i < GROUP; i += 4) {
        __m256i key = _mm256_loadu_si256((const __m256i *)(keys + i));
        __m256i child = _mm256_set1_epi64x(7), limit = _mm256_set1_epi64x((int64_t)last);
        for (int j = 1; j < 8; j++) child = _mm256_add_epi64(child, _mm256_cmpgt_epi64(_mm256_set1_epi64x(fences[j]), key));
        child = _mm256_blendv_epi8(child, limit, _mm256_cmpgt_epi64(child, limit));
        _mm256_storeu_si256((__m256i *)(lines + i), child);
    }
}

/* A level of the fences, for a group of keys. */
TARGET_AVX512 static inline void fence_steps_avx512(const int64_t *fences, const uint64_t *keys, uint64_t last, uint64_t *lines) {
    uint8_t upto[GROUP]; /* bit j: the j-th fence of the key's node is at or below it */
    for (uint32_t i = 0; i < GROUP; i++) {
        __m512i node = _mm512_loadu_si512(fences + lines[i] * 8);
        upto[i] = (uint8_t)_mm512_mask_cmple_epi64_mask(0xFE, node, _mm512_set1_epi64((int64_t)keys[i]));
    }
    for (uint32_t i = 0; i < GROUP; i += 8) {
        __m512i child = _mm512_popcnt_epi64(_mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)(upto + i))));
        child = _mm512_add_epi64(child, _mm512_slli_epi64(_mm512_loadu_si512(lines + i), 3));
        _mm512_storeu_si512(lines + i, _mm512_min_epu64(child, _mm512_set1_epi64((int64_t)last)));
    }
}

#endif

#define NEARBY (1u << 18) /* so many bytes are in second-level cache anyway */

/* find_spill of up to a group of keys, a level of the fences at a time. There are, and there is room for, a whole
 * group: what is beyond n means nothing. */
ALWAYS_INLINE void find_spills(const struct index *ix, const uint64_t *keys, uint32_t n, uint64_t *lines, int level) {
    if (level < SIMD_AVX2) memset(lines, 0, GROUP * sizeof *lines);
    for (uint32_t tier = 0; tier < ix->levels; tier++) {
#if SIMD_X86
        if (level >= SIMD_AVX2 && tier == 0) {
            root_children_avx2(ix->fences, keys, ix->level_last[0], lines);
        } else if (level >= SIMD_AVX512) {
            fence_steps_avx512(ix->fences + ix->level_at[tier], keys, ix->level_last[tier], lines);
        } else
#endif
            for (uint32_t i = 0; i < n; i++) lines[i] = fence_step(ix, tier, lines[i], keys[i], level);
        if (ix->level_last[tier] * LINE_BYTES < NEARBY) continue;
        const uint8_t *next = tier + 1 < ix->levels ? (const uint8_t *)(ix->fences + ix->level_at[tier + 1]) : ix->spill;
        for (uint32_t i = 0; i < n; i++) PREFETCH(next + lines[i] * LINE_BYTES);
    }
}

#if SIMD_X86

/* Of n keys of a group, those that have suspects in their lines, and these; returns how many. Both arrays have room
 * for 16 more. */
TARGET_AVX512 static inline uint32_t find_suspects_avx512(const struct index *ix, const uint64_t *lines,
                                                          const uint32_t *serials, uint32_t n, uint32_t *which,
                                                          uint32_t *suspects) {
    const __m512i one = _mm512_set1_epi32(1);
    __m512i rows = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __mmask16 match[GROUP][2];
    uint16_t head[GROUP];
    uint32_t gathered = 0;
    for (uint32_t i = 0; i < GROUP; i++) {
        const uint8_t *line = ix->spill + lines[i] * LINE_BYTES;
        memcpy(&head[i], line, 2);
        spill_match_avx512(line, serials[i], &match[i][0], &match[i][1]);
    }
    for (uint32_t i = 0; i < n; i += 16) { /* as in spill_suspects */
        __m512i heads = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(head + i)));
        __m512i entries = _mm512_sub_epi32(_mm512_sllv_epi32(one, _mm512_and_si512(heads, _mm512_set1_epi32(31))), one);
        __mmask16 runs = _mm512_test_epi32_mask(heads, _mm512_set1_epi32(63 << 10));
        __m512i found = _mm512_and_si512(_mm512_mask_mov_epi32(_mm512_loadu_si512(match[i]), runs, entries), entries);
        __mmask16 some = _mm512_test_epi32_mask(found, found);
        if (n - i < 16) some &= (__mmask16)((1u << (n - i)) - 1);
        _mm512_storeu_si512(which + gathered, _mm512_maskz_compress_epi32(some, rows));
        _mm512_storeu_si512(suspects + gathered, _mm512_maskz_compress_epi32(some, found));
        gathered += (uint32_t)__builtin_popcount(some);
        rows = _mm512_add_epi32(rows, _mm512_set1_epi32(16));
    }
    return gathered;
}

#endif

/* The TACs and serial numbers of a group of keys. */
ALWAYS_INLINE void split_keys(const uint64_t *keys, uint32_t *tacs, uint32_t *serials, int level) {
#if SIMD_X86
    if (level >= SIMD_AVX2) {
        split_keys_avx2(keys, tacs, serials);
        return;
    }
#endif
    (void)level;
    for (uint32_t i = 0; i < GROUP; i++) {
        tacs[i] = (uint32_t)(bounded(keys[i]) / SERIALS);
        serials[i] = (uint32_t)(bounded(keys[i]) % SERIALS);
    }
}

/* Look the waiting keys up in the spill. Nearly all that are not in it have no suspects; the others are gathered
 * and looked at more closely, without a branch on which they are. */
ALWAYS_INLINE void spill_block(const struct index *ix, const uint64_t *keys, const uint32_t *waiting, uint32_t waits,
                               uint8_t *out, struct seats *seats, int level) {
    for (uint32_t base = 0; base < waits; base += GROUP, waiting += GROUP) {
        uint64_t key[GROUP], lines[GROUP];
        uint32_t tacs[GROUP], serials[GROUP], which[GROUP + 16], suspects[GROUP + 16];
        uint32_t n = waits - base < GROUP ? waits - base : GROUP, gathered = 0;
        for (uint32_t i = 0; i < n; i++) key[i] = keys[waiting[i]];
        for (uint32_t i = n; i < GROUP; i++) key[i] = 0;
        split_keys(key, tacs, serials, level);
        find_spills(ix, key, n, lines, level);
#if SIMD_X86
        if (level >= SIMD_AVX512) {
            gathered = find_suspects_avx512(ix, lines, serials, n, which, suspects);
        } else
#endif
            for (uint32_t i = 0; i < n; i++) {
                suspects[gathered] = spill_suspects(ix->spill + lines[i] * LINE_BYTES, serials[i], level);
                which[gathered] = i;
                gathered += suspects[gathered] != 0;
            }
        for (uint32_t i = 0; i < gathered; i++) {
            uint32_t row = which[i];
            const uint8_t *line = ix->spill + lines[row] * LINE_BYTES;
            uint64_t fence = spill_fence(ix, lines[row]);
            uint8_t found = (uint8_t)spill_contains(line, fence, key[row], tacs[row], suspects[i]);
            out[waiting[row]] = found;
            if (!seats || !found) continue;
            seats->row[seats->count] = (uint16_t)waiting[row];
            seats->nth[seats->count] = (uint16_t)spill_entry(line, fence, key[row], suspects[i]);
            seats->line[seats->count++] = lines[row];
        }
    }
}

/* ---- a block of keys ---------------------------------------------------------------- */

typedef void (*block_kernel)(const struct index *, const uint64_t *keys, uint32_t n, uint8_t *out, struct seats *);

/* Three groups are under way: one is found, the lines of one are fetched, one is probed. seats: NULL if nobody wants to
 * know. */
ALWAYS_INLINE void contains_block(const struct index *shared, const uint64_t *keys, uint32_t n, uint8_t *out,
                                  struct seats *seats, int level) {
    const struct index copy = *shared, *ix = &copy; /* that writes to out cannot change */
    uint32_t waiting[BLOCK + 16], waits = 0; /* and 16: answer_avx512 */
    struct places ring[3];
    if (seats) seats->count = 0;
    for (uint32_t i = 0; i < GROUP; i++) ring[0].line[i] = ring[1].line[i] = ring[2].line[i] = no_line;
    for (uint32_t base = 0, turn = 0; base < n + 2 * GROUP; base += GROUP, turn = turn < 2 ? turn + 1 : 0) {
        struct places *find = &ring[turn], *fetch = &ring[turn ? turn - 1 : 2], *probe = &ring[turn < 2 ? turn + 1 : 0];
        uint32_t coming = base >= n ? 0 : n - base < GROUP ? n - base : GROUP;
        find_group(ix, keys + base, coming, find, fetch, level);
        uint32_t at = base - 2 * GROUP, here = base < 2 * GROUP ? 0 : n - at < GROUP ? n - at : GROUP;
        uint64_t hits = 0;
#if SIMD_X86
        if (level >= SIMD_AVX2 && here == GROUP) {
            struct compared compared;
            uint64_t spilled;
            int few = __builtin_popcountll(probe->listed) <= FEW;
            hits = few                    ? probe_few(probe, fetch, &spilled, level)
                   : level >= SIMD_AVX512 ? probe_avx512(probe, fetch, &spilled, &compared)
                                          : probe_avx2(probe, fetch, &spilled, &compared);
            waits = level >= SIMD_AVX512 ? answer_avx512(hits, spilled, at, out, waiting, waits)
                                         : answer_avx2(hits, spilled, at, out, waiting, waits);
            if (seats) take_seats(ix, probe, few ? NULL : &compared, hits, at, seats, level);
            continue;
        }
#endif
        fetch_lines(fetch, GROUP / 2, GROUP);
        for (uint32_t i = 0; i < here; i++) {
            uint32_t spills, found = (uint32_t)line_contains(probe->line[i], probe->word[i], probe->offset[i], level, 0, &spills);
            out[at + i] = (uint8_t)found;
            hits |= (uint64_t)found << i;
            waiting[waits] = at + i;
            waits += spills & ~found;
        }
        if (seats) take_seats(ix, probe, NULL, hits, at, seats, level);
    }
    if (seats) seats->in_lines = seats->count;
    if (ix->spill_count) spill_block(ix, keys, waiting, waits, out, seats, level);
}

#endif
