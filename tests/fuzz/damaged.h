/* Arrays that may hold anything: all of the input, or those of a sound set of which some bytes are others. */
#ifndef IMEISET_FUZZ_DAMAGED_H
#define IMEISET_FUZZ_DAMAGED_H

#include "built.h"

#define MOST_KEYS 600
#define MOST_RUNS 3000

static void take_array(struct input *in, struct made *m, int which, size_t bytes) {
    const uint8_t *from = in->at;
    size_t left = in->left < bytes ? in->left : bytes;
    m->size[which] = bytes;
    m->array[which] = room(bytes);
    for (size_t i = 0; i < bytes; i++) m->array[which][i] = left ? from[i % left] : 0xA5;
    in->at += left, in->left -= left;
}

static struct made take_rubbish(struct input *in) {
    struct made m;
    uint64_t lines = take_number(in, 1), spill = take_number(in, 1), tacs = lines ? take_number(in, 1) : 0;
    uint64_t count = take_number(in, 7);
    struct index shape;
    take_array(in, &m, PILOTS, take_number(in, 1) % 16 + 1);
    take_array(in, &m, SLOTS, (take_number(in, 1) % 16 + 1) * 8);
    take_array(in, &m, TAC_LIST, tacs * 4);
    take_array(in, &m, LINES, lines * LINE_BYTES);
    take_array(in, &m, RANKS, (lines / RANK_LINES + 1) * RANK_BYTES);
    take_array(in, &m, SPILL, spill * LINE_BYTES);
    take_array(in, &m, FENCES, fences_layout(&shape, spill) * 8);
    take_array(in, &m, SPILL_RANKS, (spill + 7) / 8 * 8);
    attach(&m, count % (KEYS + 1), (uint32_t)take_number(in, 1));
    return m;
}

static struct made take_damaged(struct input *in) {
    struct twin t = take_twin(in, MOST_RUNS, 3);
    struct made m = index_of(&t, RUN_MIN, 0);
    uint64_t count = m.ix.count;
    while (in->left) {
        int which = (int)take_number(in, 1) % (ARRAYS + 1);
        uint64_t at = take_number(in, 2), value = take_number(in, 1);
        if (which == ARRAYS) count = at & 1 ? count + value : at % (KEYS + 1);
        else if (m.size[which]) m.array[which][at % m.size[which]] = (uint8_t)value;
    }
    m.ix.count = count;
    twin_free(&t);
    return m;
}

/* Keys near what the arrays name, and others. */
static size_t some_keys(const struct made *m, uint64_t *keys, uint64_t seed) {
    size_t n = seed % MOST_KEYS;
    for (size_t i = 0; i < n; i++) {
        uint64_t x = mixed(seed * 31 + i);
        if (x % 8 < 3 && m->ix.tac_count)
            keys[i] = (uint64_t)m->ix.tacs[x / 8 % m->ix.tac_count] * SERIALS + (x >> 20) % SERIALS;
        else if (x % 8 < 6)
            keys[i] = slot_tac(m->ix.slots[x / 8 % m->ix.slot_count]) * (uint64_t)SERIALS + (x >> 20) % SERIALS;
        else if (x % 8 == 6 && m->size[FENCES])
            keys[i] = (uint64_t)m->ix.fences[x / 8 % (m->size[FENCES] / 8)] + (x >> 60);
        else
            keys[i] = x;
    }
    return n;
}

#endif
