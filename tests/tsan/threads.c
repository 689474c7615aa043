/* What threads share of the C headers, for ThreadSanitizer: see `make tsan`.
 *
 *     threads            whatever several threads of imeiset do at a time; ThreadSanitizer has nothing to say
 *     threads planted    the same, and a writer that changes an index in its place: it has
 *
 * What callers let other threads write while they are asked about it, their own arrays, is not here: of such keys
 * answers may be any, and only nothing else is read (tests/racing.py).
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "../../imeiset/_native/c/background.h"
#include "../../imeiset/_native/c/digits_simd.h"
#include "../../imeiset/_native/c/filter.h"
#include "../../imeiset/_native/c/kernels.h"
#include "../../imeiset/_native/c/patch.h"
#include "../../imeiset/_native/c/sort.h"

#define READERS 3
#define ASKED 4096
#define GENERATIONS 12
#define MEMBERS 30000
#define SORTED 300000

static void expect(int said, const char *what) {
    if (said) return;
    fprintf(stderr, "not so: %s\n", what);
    exit(2);
}

static uint64_t mixed(uint64_t x) {
    x = (x ^ x >> 31) * UINT64_C(0x9E3779B97F4A7C15);
    return x ^ x >> 29;
}

/* ---- generations of a set: readers ask the one that they see, a writer makes the next ---- */

struct generation {
    struct builder b;
    struct index ix;
    struct beside beside;
    int readers, retired;
};

static struct generation *current;
static pthread_mutex_t change = PTHREAD_MUTEX_INITIALIZER; /* the interpreter's lock has this part */
static int over, planted;

static void attach(struct generation *g) {
    struct index *ix = &g->ix;
    memset(ix, 0, sizeof *ix);
    ix->count = g->b.count, ix->multiplier = seed_multiplier(g->b.seed);
    ix->pilots = g->b.pilots.data, ix->pilot_count = (uint32_t)g->b.pilots.used;
    ix->slots = (const uint64_t *)g->b.slots.data, ix->slot_count = (uint32_t)(g->b.slots.used / 8);
    ix->tacs = (const uint32_t *)g->b.tacs.data, ix->tac_count = (uint32_t)(g->b.tacs.used / 4);
    ix->lines = g->b.lines.data, ix->line_count = g->b.lines.used / LINE_BYTES, ix->ranks = g->b.ranks.data;
    ix->spill = g->b.spill.data, ix->spill_count = g->b.spill.used / LINE_BYTES;
    ix->fences = (const int64_t *)g->b.fences.data, ix->spill_ranks = (const uint64_t *)g->b.spill_ranks.data;
    fences_layout(ix, ix->spill_count);
    if (ix->line_count == 0) index_without_lines(ix);
    ix->beside = &g->beside;
}

/* Members: 400 of each of some TACs, and single ones. */
static uint64_t member(uint64_t i) { return (35209900 + i / 400) * UINT64_C(1000000) + i % 400 * 2477; }

struct making {
    struct generation *of, *to, *flips;
};

static void make(void *given) {
    struct making *one = given;
    builder_init(&one->to->b);
    if (one->of) patch(&one->of->ix, &one->flips->ix, &one->to->b);
    else
        for (uint64_t i = 0; i < MEMBERS; i++) builder_add(&one->to->b, member(i), 1);
    builder_finish(&one->to->b);
    attach(one->to);
}

static struct generation *generation_of(struct generation *of, struct generation *flips) {
    struct generation *g = calloc(1, sizeof *g);
    struct making one = {of, g, flips};
    expect(g != NULL, "memory");
    background_set(of != NULL);
    background_run(make, &one);
    expect(g->b.status == BUILD_OK, "a set");
    return g;
}

static struct generation *flips_of(uint64_t n) {
    struct generation *g = calloc(1, sizeof *g);
    expect(g && builder_init(&g->b) == BUILD_OK, "memory");
    for (uint64_t i = 0; i < 50; i++) builder_add(&g->b, member(i * 570) + 1 + n, 1);
    expect(builder_finish(&g->b) == BUILD_OK, "a set of changes");
    attach(g);
    return g;
}

static void generation_free(struct generation *g) {
    hashed_free(g->beside.hashed);
    builder_free(&g->b);
    free(g);
}

static struct generation *hold(void) {
    pthread_mutex_lock(&change);
    struct generation *g = current;
    g->readers++;
    pthread_mutex_unlock(&change);
    return g;
}

static void let_go(struct generation *g) {
    pthread_mutex_lock(&change);
    int last = --g->readers == 0 && g->retired;
    pthread_mutex_unlock(&change);
    if (last) generation_free(g);
}

static void *ask(void *given) {
    const uint64_t seed = (uint64_t)(uintptr_t)given;
    uint64_t keys[ASKED], ranks[ASKED];
    uint8_t found[ASKED];
    int64_t positions[ASKED];
    for (uint64_t turn = 0; !__atomic_load_n(&over, __ATOMIC_RELAXED); turn++) {
        struct generation *g = hold();
        const struct index *sets[2] = {&g->ix, &g->ix};
        const struct index_kernels *k = &index_levels[turn % (uint64_t)(simd_supported() + 1)];
        for (uint64_t i = 0; i < ASKED; i++) keys[i] = member(mixed(seed + turn * ASKED + i) % MEMBERS);
        k->contains(&g->ix, keys, ASKED, found);
        k->positions(&g->ix, keys, ASKED, positions);
        k->ranks(&g->ix, keys, ASKED, ranks);
        for (uint64_t i = 0; i < ASKED && !planted; i++) {
            expect(found[i] == 1 && positions[i] == (int64_t)ranks[i], "what is never changed is there");
            if (i % 64 == 0) expect(k->contains_each(sets, 2, keys[i]) == 3, "in both");
        }
        hashed_bytes(&g->beside);
        let_go(g);
    }
    return NULL;
}

/* The race: lines are changed while somebody holds them, whoever is made to wait meanwhile. */
static void race_in(struct generation *held) {
    for (int others = 0; !others; sched_yield()) {
        pthread_mutex_lock(&change);
        others = held->readers > 1;
        pthread_mutex_unlock(&change);
    }
    for (size_t at = 0; at < held->b.lines.used; at += LINE_BYTES) ((uint8_t *)held->b.lines.data)[at] ^= 1;
}

static void *change_it(void *none) {
    for (uint64_t n = 0; n < GENERATIONS; n++) {
        struct generation *flips = flips_of(n), *old = hold(), *next = generation_of(old, flips);
        if (planted) race_in(old);
        pthread_mutex_lock(&change);
        current = next;
        old->retired = 1;
        pthread_mutex_unlock(&change);
        let_go(old);
        generation_free(flips);
    }
    __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
    return none;
}

/* ---- a filter that grows while it is asked ---- */

static uint64_t words[512];

static void *mark(void *none) {
    for (uint64_t i = 0; i < 2000; i++) {
        uint64_t number = mixed(i);
        filter_mark(words, 512, &number, 1);
    }
    return none;
}

static void *ask_filter(void *none) {
    const struct filter f = {words, 512, 0};
    uint64_t keys[300];
    uint8_t out[300];
    for (uint64_t turn = 0; turn < 40; turn++) {
        for (uint64_t i = 0; i < 300; i++) keys[i] = mixed(turn * 300 + i);
        memset(out, 0, sizeof out);
        filter_level((int)(turn % (uint64_t)(simd_supported() + 1)))(&f, keys, 300, 1, out);
        filter_knows_spread(&f, keys[0]);
    }
    return none;
}

/* ---- sorting, as sort.pyx does it: pieces are counted and scattered, then groups are sorted ---- */

static uint64_t given[SORTED], sorted[SORTED];
static struct sort_work works[READERS];
static struct sort_span span;
static size_t next_group;

static const uint64_t *piece_of(size_t thread, size_t *n) {
    *n = SORTED / READERS;
    return given + thread * *n;
}

static void *count(void *at) {
    size_t thread = (size_t)(uintptr_t)at, n;
    const uint64_t *piece = piece_of(thread, &n);
    memset(works[thread].bins, 0, sizeof works[thread].bins);
    sort_count(piece, n, span, works[thread].bins);
    return NULL;
}

static void *scatter(void *at) {
    size_t thread = (size_t)(uintptr_t)at, n;
    const uint64_t *piece = piece_of(thread, &n);
    sort_scatter(piece, n, span, works[0].group, works[thread].next, sorted, SORTED);
    return NULL;
}

static void *sort_groups_of(void *at) {
    const struct sort_groups *groups = works[0].levels;
    uint64_t *other = malloc(SORTED * 8);
    expect(other != NULL, "memory");
    for (size_t i; (i = __atomic_fetch_add(&next_group, 1, __ATOMIC_RELAXED)) < groups->count;)
        sort_within(sorted + groups->start[i], other, groups->start[i + 1] - groups->start[i], 0, groups->spans[i], 1,
                    works + (size_t)(uintptr_t)at);
    free(other);
    return NULL;
}

/* ---- columns of one text ---- */

static char text[ASKED * 15];

static void *parse(void *at) {
    uint64_t keys[ASKED];
    uint8_t status[ASKED];
    const digit_kernels *k = &digit_levels[(size_t)(uintptr_t)at % (size_t)(simd_supported() + 1)];
    k->fixed((const uint8_t *)text, 15, 15, ASKED, IMEI_OK, keys, status);
    for (size_t i = 0; i < ASKED; i++) expect(keys[i] == member(i), "a key of a text");
    return NULL;
}

/* ---- */

static void together(void *(*one)(void *), void *(*other)(void *)) {
    pthread_t threads[READERS + 1];
    for (size_t i = 0; i < READERS; i++) pthread_create(&threads[i], NULL, one, (void *)(uintptr_t)i);
    if (other) pthread_create(&threads[READERS], NULL, other, NULL);
    for (size_t i = 0; i < READERS + (other != NULL); i++) pthread_join(threads[i], NULL);
}

int main(int arguments, char **names) {
    planted = arguments > 1 && strcmp(names[1], "planted") == 0;
    index_init();
    current = generation_of(NULL, NULL);
    together(ask, change_it);
    generation_free(current);

    together(ask_filter, mark);

    for (size_t i = 0; i < SORTED; i++) given[i] = mixed(i) % KEYS;
    span = sort_span_of(given[0], sort_differing(given, SORTED, given[0]));
    together(count, NULL);
    for (size_t thread = 1; thread < READERS; thread++)
        for (size_t bin = 0; bin < SORT_BINS; bin++) works[thread].bins[bin] += works[thread - 1].bins[bin];
    sort_join(works[READERS - 1].bins, SORTED, span, works[0].group, works[0].levels);
    for (size_t thread = 0; thread < READERS; thread++) {
        memcpy(works[thread].next, works[0].levels->start, works[0].levels->count * sizeof(size_t));
        for (size_t bin = 0; bin < SORT_BINS && thread; bin++)
            works[thread].next[works[0].group[bin]] += works[thread - 1].bins[bin];
    }
    together(scatter, NULL);
    together(sort_groups_of, NULL);
    expect(sort_ascending(sorted, SORTED) == SORTED, "in order");

    for (size_t i = 0; i < ASKED; i++) {
        char one[16];
        imei_write(member(i), one);
        memcpy(text + 15 * i, one, 15);
    }
    together(parse, NULL);
    puts("nothing else to say");
    return 0;
}
