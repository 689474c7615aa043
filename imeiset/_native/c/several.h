/* One key in several sets: each step for all of them, so that what they wait for arrives together. */
#ifndef IMEISET_SEVERAL_H
#define IMEISET_SEVERAL_H

#include "ranks.h"

#define SEVERAL 64 /* sets at a time */

/* The lines of the spills that a key is in; any number of a set that has none. */
ALWAYS_INLINE void find_spill_each(const struct index *const *sets, uint32_t n, uint64_t key, uint64_t *lines, int level) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < n; i++) {
        PREFETCH(sets[i]->fences);
        most = sets[i]->levels > most ? sets[i]->levels : most;
        lines[i] = 0;
    }
    for (uint32_t tier = 0; tier < most; tier++)
        for (uint32_t i = 0; i < n; i++) {
            const struct index *ix = sets[i];
            if (tier >= ix->levels) continue;
            lines[i] = fence_step(ix, tier, lines[i], key, level);
            const uint8_t *next = tier + 1 < ix->levels ? (const uint8_t *)(ix->fences + ix->level_at[tier + 1]) : ix->spill;
            PREFETCH(next + lines[i] * LINE_BYTES);
        }
}

/* Which of up to SEVERAL sets have a key, a bit each. */
ALWAYS_INLINE uint64_t contains_each(const struct index *const *sets, uint32_t n, uint64_t key, int level) {
    const uint64_t *slots[SEVERAL];
    const struct index *asked[SEVERAL];
    struct place places[SEVERAL];
    uint64_t lines[SEVERAL], known = bounded(key), tac = known / SERIALS, found = 0;
    uint32_t serial = (uint32_t)(known - tac * SERIALS), waits = 0;
    uint8_t which[SEVERAL];
    for (uint32_t i = 0; i < n; i++) {
        slots[i] = directory_slot(sets[i], tac);
        PREFETCH(slots[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        places[i] = find_line(sets[i], *slots[i], tac, serial);
        PREFETCH(places[i].line);
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t spilled, has = (uint32_t)line_contains(places[i].line, places[i].word, places[i].offset, level, 0, &spilled);
        found |= (uint64_t)has << i;
        asked[waits] = sets[i];
        which[waits] = (uint8_t)i;
        waits += spilled & ~has & (sets[i]->spill_count != 0);
    }
    find_spill_each(asked, waits, known, lines, level);
    for (uint32_t i = 0; i < waits; i++) found |= (uint64_t)in_spill(asked[i], lines[i], known, level) << which[i];
    return found;
}

/* rank_key in up to SEVERAL sets. */
ALWAYS_INLINE void rank_each(const struct index *const *sets, uint32_t n, uint64_t key, uint64_t *ranks, int level) {
    uint64_t lines[SEVERAL], known = bounded(key), tac = known / SERIALS;
    for (uint32_t i = 0; i < n; i++) PREFETCH(directory_slot(sets[i], tac));
    for (uint32_t i = 0; i < n; i++) {
        uint64_t slot = *directory_slot(sets[i], tac);
        if (slot_tac(slot) == tac) fetch_rank(sets[i], slot, (uint32_t)(known - tac * SERIALS));
    }
    find_spill_each(sets, n, known, lines, level);
    for (uint32_t i = 0; i < n; i++)
        if (sets[i]->spill_count) fetch_spill_rank(sets[i], lines[i]);
    for (uint32_t i = 0; i < n; i++) ranks[i] = rank_key(sets[i], known, level);
}

#endif
