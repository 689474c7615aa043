/* An index of a twin, its arrays each in memory of just their size. */
#ifndef IMEISET_FUZZ_BUILT_H
#define IMEISET_FUZZ_BUILT_H

#include "emulated.h"
#include "twin.h"

#include "../../imeiset/_native/c/kernels.h"
#include "../../imeiset/_native/c/diff.h"
#include "../../imeiset/_native/c/encode.h"
#include "../../imeiset/_native/c/filter.h"
#include "../../imeiset/_native/c/patch.h"

enum { PILOTS, SLOTS, TAC_LIST, LINES, RANKS, SPILL, FENCES, SPILL_RANKS, ARRAYS };

struct made {
    struct index ix;
    uint8_t *array[ARRAYS];
    size_t size[ARRAYS];
};

static void made_free(struct made *m) {
    for (int i = 0; i < ARRAYS; i++) free(m->array[i]);
}

/* What payload.pyx does with sections that passed its checks. */
static void attach(struct made *m, uint64_t count, uint32_t seed) {
    struct index *ix = &m->ix;
    memset(ix, 0, sizeof *ix);
    ix->count = count;
    ix->multiplier = seed_multiplier(seed);
    ix->pilots = m->array[PILOTS];
    ix->pilot_count = (uint32_t)m->size[PILOTS];
    ix->slots = (const uint64_t *)m->array[SLOTS];
    ix->slot_count = (uint32_t)(m->size[SLOTS] / 8);
    ix->tacs = (const uint32_t *)m->array[TAC_LIST];
    ix->tac_count = (uint32_t)(m->size[TAC_LIST] / 4);
    ix->lines = m->array[LINES];
    ix->line_count = m->size[LINES] / LINE_BYTES;
    ix->ranks = m->array[RANKS];
    ix->spill = m->array[SPILL];
    ix->spill_count = m->size[SPILL] / LINE_BYTES;
    ix->fences = (const int64_t *)m->array[FENCES];
    ix->spill_ranks = (const uint64_t *)m->array[SPILL_RANKS];
    CHECK(m->size[RANKS] == (ix->line_count / RANK_LINES + 1) * RANK_BYTES);
    CHECK(m->size[FENCES] == fences_layout(ix, ix->spill_count) * 8);
    CHECK(m->size[SPILL_RANKS] == (ix->spill_count + 7) / 8 * 8);
    if (ix->line_count == 0) index_without_lines(ix);
}

/* The arrays of a builder that has finished. */
static struct made made_of(struct builder *b) {
    const struct bytes *arrays[ARRAYS] = {&b->pilots, &b->slots, &b->tacs,   &b->lines,
                                          &b->ranks,  &b->spill, &b->fences, &b->spill_ranks};
    struct made m;
    for (int i = 0; i < ARRAYS; i++) {
        m.size[i] = arrays[i]->used;
        m.array[i] = copy_of(arrays[i]->data, m.size[i]);
    }
    attach(&m, b->count, b->seed);
    return m;
}

static int same(const struct made *a, const struct made *b) {
    for (int i = 0; i < ARRAYS; i++)
        if (a->size[i] != b->size[i] || (a->size[i] && memcmp(a->array[i], b->array[i], a->size[i]))) return 0;
    return a->ix.count == b->ix.count && a->ix.multiplier == b->ix.multiplier;
}

/* Built of the runs of a twin, or (one_by_one) of its keys, some of them more than once. */
static int build(const struct twin *t, struct builder *b, uint64_t run_min, int one_by_one) {
    uint64_t keys[300];
    size_t n = 0;
    if (builder_init(b)) return b->status;
    b->run_min = run_min;
    for (size_t i = 0; i < t->n && b->status == BUILD_OK; i++) {
        if (!one_by_one) {
            builder_add(b, t->start[i], t->end[i] - t->start[i]);
            continue;
        }
        for (uint64_t key = t->start[i]; key < t->end[i]; key++) {
            keys[n++] = key;
            if (key % 7 == 0) keys[n++] = key;
            if (n < 298) continue;
            builder_add_keys(b, keys, n);
            keys[0] = keys[n - 1]; /* comes again, in the next call */
            n = key % 2;
        }
    }
    if (b->status == BUILD_OK) builder_add_keys(b, keys, n);
    if (b->status == BUILD_OK) builder_finish(b);
    return b->status;
}

static struct made index_of(const struct twin *t, uint64_t run_min, int one_by_one) {
    struct builder b;
    CHECK(build(t, &b, run_min, one_by_one) == BUILD_OK);
    struct made m = made_of(&b);
    builder_free(&b);
    return m;
}

/* The same index with a table beside it, which it makes before it answers; to be given back. */
static struct index hashed_index(const struct index *ix, struct beside *beside) {
    struct index with = *ix;
    *beside = (struct beside){NULL, WORTH_HASHING(ix->count) - 1};
    with.beside = ix->count <= HASHED_KEYS ? beside : NULL;
    return with;
}

/* Once for a harness. */
static int fuzz_levels(void) {
    static int levels;
    if (!levels) {
        index_init();
        levels = levels_here();
    }
    return levels;
}

#endif
