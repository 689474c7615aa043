/* Arrays that may hold anything: nothing outside them is read, and everything comes to an end. Sanitizers watch.
 *
 * Either all arrays are of the input, or they are those of a sound set of which some bytes are others.
 */
#include "damaged.h"

static void ask(const struct made *m, const uint64_t *given, size_t n) {
    uint64_t *keys = copy_of(given, n * 8), *ranks = room(n * 8), several[SEVERAL];
    uint8_t *found = room(n), text[17];
    int64_t *positions = room(n * 8);
    const struct index *sets[SEVERAL];
    for (int i = 0; i < SEVERAL; i++) sets[i] = &m->ix;
    for (int level = 0; level < fuzz_levels(); level++) {
        const struct index_kernels *k = &index_levels[level];
        struct beside beside;
        struct index with = hashed_index(&m->ix, &beside);
        k->contains(&with, keys, n, found);
        for (size_t i = 0; i < n; i++) CHECK(found[i] < 2);
        hashed_free(beside.hashed);
        k->contains(&m->ix, keys, n, found);
        k->positions(&m->ix, keys, n, positions);
        k->ranks(&m->ix, keys, n, ranks);
        for (size_t i = 0; i < n; i++) {
            CHECK(found[i] < 2);
            if (i > 80) continue;
            uint64_t key = bounded(keys[i]);
            k->rank(&m->ix, keys[i]);
            k->contains_parts(&m->ix, (uint32_t)(key / SERIALS), (uint32_t)(key % SERIALS));
            snprintf((char *)text, sizeof text, "%016llu", (unsigned long long)keys[i] % KEYS * 100);
            k->contains_text(&m->ix, text, 16);
            if (i % 16) continue;
            k->contains_each(sets, i % (SEVERAL + 1), keys[i]);
            k->rank_each(sets, i % (SEVERAL + 1), keys[i], several);
        }
    }
    free(keys);
    free(ranks);
    free(found);
    free(positions);
}

/* No more keys than it says. */
static void read_all(const struct made *m) {
    struct reader *r = room(sizeof *r);
    uint64_t keys[1000], highs[1000], all = 0;
    size_t got;
    reader_init(r, &m->ix, 0);
    while ((got = reader_keys(r, keys, 1000)) && (all += got) < 100000) {}
    CHECK(all <= m->ix.count);
    reader_init(r, &m->ix, 0);
    for (all = 0; (got = reader_runs(r, keys, highs, 1000));)
        for (size_t i = 0; i < got; i++) all += highs[i] - keys[i] + 1;
    CHECK(all <= m->ix.count);
    reader_init(r, &m->ix, 1); /* of the spill alone: it does not say how many */
    while (reader_runs(r, keys, highs, 1000) == 1000) {}
    free(r);
}

/* What is made of two is refused, or is an index that lookups take. */
static void make_of(const struct made *a, const struct made *b, const uint64_t *keys, size_t n) {
    for (int op = -1; op < 4; op++) {
        struct builder to;
        CHECK(builder_init(&to) == BUILD_OK);
        if (op < 0) patch(&a->ix, &b->ix, &to);
        else combine(&a->ix, &b->ix, op, &to);
        if (to.status == BUILD_OK && builder_finish(&to) == BUILD_OK) {
            struct made m = made_of(&to);
            ask(&m, keys, n < 70 ? n : 70);
            made_free(&m);
        }
        builder_free(&to);
        if (op >= 0) combine(&a->ix, &b->ix, op, NULL);
    }
    struct bytes only[2];
    memset(only, 0, sizeof only);
    difference(&a->ix, &b->ix, keys[0] % 1000, TACS, only);
    free(only[0].data);
    free(only[1].data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};
    uint64_t keys[MOST_KEYS + 1] = {0};
    fuzz_levels();
    unsigned mode = (unsigned)take_number(&in, 1);
    uint64_t seed = take_number(&in, 2);
    struct twin few = take_twin(&in, MOST_RUNS, mode / 4 % 4);
    struct made m = mode % 2 ? take_rubbish(&in) : take_damaged(&in), sound = index_of(&few, RUN_MIN, 0);
    size_t n = some_keys(&m, keys, seed);
    ask(&m, keys, n);
    read_all(&m);
    make_of(&m, mode & 2 ? &m : &sound, keys, n);
    if (mode & 64) make_of(&sound, &m, keys, n);
    made_free(&m);
    made_free(&sound);
    twin_free(&few);
    return 0;
}
