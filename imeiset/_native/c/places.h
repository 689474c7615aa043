/* Places: where the byte of a member stands in a column beside a set.
 *
 * A rank would do, but most of the time that it takes is for the spill, which nearly no member is in. So the members
 * in lines come first, by how many in lines are below; then each line of the spill has 24 places, one for each entry
 * that it may have. All keys of a run have one place. Whatever the arrays hold, nothing outside them is read.
 */
#ifndef IMEISET_PLACES_H
#define IMEISET_PLACES_H

#include "ranks.h"

#define NO_PLACE UINT64_MAX

static inline uint64_t places_in_lines(const struct index *ix) { return lines_rank(ix, ix->line_count, SIMD_PORTABLE); }

static inline uint64_t places_count(const struct index *ix) {
    return places_in_lines(ix) + ix->spill_count * SPILL_ENTRIES;
}

/* How many serials of a line are below offset x; and whether x is there, too. */
ALWAYS_INLINE uint32_t line_seek(const uint8_t *line, uint32_t word, uint32_t x, uint32_t *found, int level) {
    uint32_t low_bits = word_low_bits(word);
    if (UNLIKELY(low_bits == BITMAP_LOW_BITS)) {
        uint32_t end = x + 8, rank = 0; /* bit x is bit x + 8 of the line */
        for (uint32_t at = 0; at < LINE_BYTES / 8; at++) {
            uint64_t w = load64(line + at * 8) & (at ? ~0ull : ~0xFFull);
            uint32_t upto = end < at * 64 ? 0 : end - at * 64;
            rank += (uint32_t)__builtin_popcountll(upto < 64 ? w & low_mask(upto) : w);
        }
        *found = line[1 + (x >> 3)] >> (x & 7) & 1;
        return rank;
    }
    struct bucket b = line_bucket(line, x >> low_bits, level, 0);
    uint64_t lows = line_bits(line, word_low_at(word) + b.first * low_bits);
    uint32_t nth = bucket_rank(&b, lows, x, low_bits);
    *found = (nth < b.count) & (((lows >> (nth * low_bits & 63)) & low_mask(low_bits)) == (x & low_mask(low_bits)));
    return b.first + nth;
}

/* The entry of a line of the spill that has a key; SPILL_ENTRIES if none has. */
NOINLINE uint32_t spill_search(const uint8_t *line, uint64_t fence, uint64_t key) {
    struct spill_line r;
    spill_read(&r, line, fence);
    uint32_t upto = spill_upto(&r, key);
    int has = upto > 0 && key - spill_start(&r, upto - 1) < spill_length(&r, upto - 1);
    return has ? upto - 1 : SPILL_ENTRIES;
}

/* The place of a member that is not in its line; `line` is what find_spill says. */
ALWAYS_INLINE uint64_t spill_place(const struct index *ix, uint64_t line, uint64_t key, uint64_t in_lines, int level) {
    const uint8_t *at = ix->spill + line * LINE_BYTES;
    uint32_t suspects = spill_suspects(at, (uint32_t)(key % SERIALS), level);
    /* one entry has its serial, and there are no runs: it is that one */
    uint32_t entry = suspects ? (uint32_t)__builtin_ctz(suspects) : SPILL_ENTRIES;
    if (UNLIKELY(suspects & (suspects - 1))) entry = spill_search(at, spill_fence(ix, line), key);
    return entry < SPILL_ENTRIES ? in_lines + line * SPILL_ENTRIES + entry : NO_PLACE;
}

/* The byte of a member, in a column of places_count bytes; -1 for another key. */
ALWAYS_INLINE int byte_of_key(const struct index *ix, const uint8_t *column, uint64_t count, uint64_t key, int level) {
    key = bounded(key);
    uint64_t tac = key / SERIALS, slot = *directory_slot(ix, tac), place = NO_PLACE;
    const uint64_t in_lines = count - ix->spill_count * SPILL_ENTRIES;
    uint32_t found = 0, spills = 1;
    if (slot_tac(slot) == tac) {
        struct place p = find_line(ix, slot, tac, (uint32_t)(key - tac * SERIALS));
        uint64_t line = (uint64_t)(p.line - ix->lines) / LINE_BYTES;
        PREFETCH(ix->ranks + line / RANK_LINES * RANK_BYTES);
        uint32_t before = line_seek(p.line, p.word, p.offset, &found, level);
        spills = (uint8_t)(p.offset >> word_low_bits(p.word)) >= p.line[0];
        if (found) place = lines_rank(ix, line, level) + before;
    }
    if (!found) {
        if (!spills || !ix->spill_count) return -1;
        uint64_t line = find_spill(ix, key, level);
        if (!in_spill(ix, line, key, level)) return -1;
        place = spill_place(ix, line, key, in_lines, level);
    }
    return place < count ? column[place] : 0;
}

/* The number of a line. TACs without lines have theirs elsewhere: how many there are. */
ALWAYS_INLINE uint64_t line_number(const struct index *ix, const uint8_t *at) {
    uint64_t line = ((uintptr_t)at - (uintptr_t)ix->lines) / LINE_BYTES;
    return line < ix->line_count ? line : ix->line_count;
}

/* The places of up to a group of members, by where they are looked for. */
ALWAYS_INLINE void place_group(const struct index *ix, const uint64_t *keys, uint32_t n, const struct places *at,
                               uint64_t in_lines, uint64_t *places, int level) {
    uint64_t waiting_key[GROUP] = {0}, lines[GROUP]; /* find_spills reads all */
    uint32_t before[GROUP], waiting[GROUP + 1], waits = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t found;
        before[i] = line_seek(at->line[i], at->word[i], at->offset[i], &found, level);
        waiting[waits] = i;
        waits += !found;
    }
    for (uint32_t i = 0; i < n; i++) places[i] = lines_rank(ix, line_number(ix, at->line[i]), level) + before[i];
    if (!waits) return;
    for (uint32_t i = 0; i < waits; i++) waiting_key[i] = bounded(keys[waiting[i]]);
    if (ix->spill_count) find_spills(ix, waiting_key, waits, lines, level);
    for (uint32_t i = 0; i < waits; i++)
        places[waiting[i]] = ix->spill_count ? spill_place(ix, lines[i], waiting_key[i], in_lines, level) : NO_PLACE;
}

/* byte_of_key for many, whose keys nobody changes meanwhile. Three groups are under way: one is found, the places of one
 * are worked out, the bytes of one are read; what each needs is fetched meanwhile. */
ALWAYS_INLINE void bytes_of_keys(const struct index *ix, const uint8_t *column, uint64_t count, const uint64_t *keys,
                                 size_t n, uint8_t *out, int level) {
    const uint64_t in_lines = count - ix->spill_count * SPILL_ENTRIES;
    struct places ring[2];
    uint64_t places[2][GROUP];
    for (uint32_t i = 0; i < GROUP; i++) ring[1].line[i] = no_line;
    for (size_t at = 0, turn = 0, seeks = 0, reads = 0; at < n + 2 * GROUP; at += GROUP, turn ^= 1) {
        struct places *find = &ring[turn], *seek = &ring[turn ^ 1];
        uint64_t *now = places[turn ^ 1], *then = places[turn];
        uint32_t coming = (uint32_t)(at >= n ? 0 : n - at < GROUP ? n - at : GROUP);
        if (coming) find_group(ix, keys + at, coming, find, seek, level);
        else fetch_lines(seek, 0, seeks < GROUP / 2 ? (uint32_t)seeks : GROUP / 2);
        for (uint32_t i = 0; i < coming; i++) PREFETCH(ix->ranks + line_number(ix, find->line[i]) / RANK_LINES * RANK_BYTES);
        for (uint32_t i = GROUP / 2; i < coming; i++) PREFETCH(find->line[i]);
        if (seeks) place_group(ix, keys + at - GROUP, (uint32_t)seeks, seek, in_lines, now, level);
        for (size_t i = 0; i < seeks; i++) PREFETCH(column + (now[i] < count ? now[i] : 0));
        for (size_t i = 0; i < reads; i++) out[at - 2 * GROUP + i] = then[i] < count ? column[then[i]] : 0;
        reads = seeks;
        seeks = coming;
    }
}

#endif
