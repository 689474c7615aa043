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

/* The byte of a member, in a column of places_count bytes; -1 for another key. */
ALWAYS_INLINE int byte_of_key(const struct index *ix, const uint8_t *column, uint64_t count, uint64_t key, int level) {
    key = bounded(key);
    uint64_t tac = key / SERIALS, slot = *directory_slot(ix, tac), place = 0;
    uint32_t serial = (uint32_t)(key - tac * SERIALS), found = 0, spills = 1;
    if (slot_tac(slot) == tac) {
        struct place p = find_line(ix, slot, tac, serial);
        uint64_t line = (uint64_t)(p.line - ix->lines) / LINE_BYTES;
        PREFETCH(ix->ranks + line / RANK_LINES * RANK_BYTES);
        uint32_t before = line_seek(p.line, p.word, p.offset, &found, level);
        spills = (uint8_t)(p.offset >> word_low_bits(p.word)) >= p.line[0];
        if (found) place = lines_rank(ix, line, level) + before;
    }
    if (!found) {
        if (!spills || !ix->spill_count) return -1;
        uint64_t nth = find_spill(ix, key, level), fence = spill_fence(ix, nth);
        const uint8_t *line = ix->spill + nth * LINE_BYTES;
        uint32_t suspects = spill_suspects(line, serial, level);
        if (!suspects || !spill_contains(line, fence, key, tac, suspects)) return -1;
        uint32_t entry = spill_entry(line, fence, key, suspects);
        place = entry < SPILL_ENTRIES ? count - (ix->spill_count - nth) * SPILL_ENTRIES + entry : NO_PLACE;
    }
    return place < count ? column[place] : 0;
}

/* Where the members of a block stand, once it is known which keys are members: their places, in the place of lines.
 * Their bytes are asked for one by one, as places are known: while these are worked out, the bytes arrive. */
ALWAYS_INLINE void take_places(const struct index *ix, const uint8_t *column, uint64_t count, struct seats *seats,
                               int level) {
    const uint64_t in_lines = count - ix->spill_count * SPILL_ENTRIES;
    for (uint32_t i = 0; i < seats->count; i++) {
        uint64_t line = seats->line[i], nth = seats->nth[i], place;
        if (i < seats->in_lines) place = lines_rank(ix, line, level) + nth;
        else place = nth < SPILL_ENTRIES ? in_lines + line * SPILL_ENTRIES + nth : NO_PLACE;
        PREFETCH(column + (place < count ? place : 0));
        seats->line[i] = place;
    }
}

#define ASKS 2 /* of a key; 1: it is a member */

/* byte_of_key for many: found[i] as by contains_keys, and the byte, 0 for another key. Keys are looked up a block at a
 * time. What a byte needs of a member, its line and which of its serials it is, is noted as it is found. */
ALWAYS_INLINE void bytes_of_keys(const struct index *ix, const uint8_t *column, uint64_t count, const uint64_t *keys,
                                 size_t n, uint8_t *found, uint8_t *out, block_kernel block, hashed_kernel hashed,
                                 int level) {
    struct seats seats;
    for (size_t at = 0; at < n; at += SEATS) {
        uint64_t own[SEATS]; /* as in contains_keys */
        uint32_t here = (uint32_t)(n - at < SEATS ? n - at : SEATS), left = here, rows[SEATS];
        uint8_t answers[SEATS], *to = found + at;
        const struct hashed *h = hashed_of(ix, here);
        memcpy(own, keys + at, here * sizeof *own);
        if (h) { /* which are members is known there, and not where they stand */
            uint32_t asking = hashed(h, own, here, to, rows);
            for (uint32_t i = 0; i < asking; i++) to[rows[i]] = ASKS;
            left = 0;
            for (uint32_t i = 0; i < here; i++) {
                rows[left] = i;
                own[left] = own[i];
                left += to[i] != 0;
            }
            to = answers;
        }
        block(ix, own, left, to, &seats);
        take_places(ix, column, count, &seats, level);
        for (uint32_t i = 0; h && i < left; i++) found[at + rows[i]] = (found[at + rows[i]] & 1) | answers[i];
        memset(out + at, 0, here);
        for (uint32_t i = 0; i < seats.count; i++) {
            uint32_t row = h ? rows[seats.row[i]] : seats.row[i];
            out[at + row] = seats.line[i] < count ? column[seats.line[i]] : 0;
        }
    }
}

#endif
