/* A register's lists and their union: the class of each member, its byte, and codes beside it, at every level; against
 * lists that are asked one after another. Then of arrays that may hold anything, which sanitizers watch.
 */
#include "damaged.h"

#include "../../imeiset/_native/c/deciders.h"

#define MOST_LISTS 62
#define MOST_ASKED 8000
#define MANY_RUNS 420000 /* of few inputs, so that a TAC has so many serials that its lines are bitmaps */
#define MOST_BESIDE 200000
#define EXACT 0u
#define PAIRED 1u
#define WIDE 2u

/* A list of a register: what it says, and of which members. */
struct listed {
    struct twin t;
    struct made m;
    unsigned kind, status;
    uint8_t *beside; /* of each member, or NULL */
};

static struct source source_of(const struct listed *one, unsigned number) {
    const uint16_t all = (1u << CLASS_BITS) - 1;
    if (one->kind == PAIRED) return (struct source){&one->m.ix, all, 1u << 9, 0, one->beside};
    if (one->kind == WIDE) return (struct source){&one->m.ix, all, CLASS_WIDE, 0, NULL};
    uint16_t add = (uint16_t)((number + 1) | 1u << (6 + one->status));
    return (struct source){&one->m.ix, all & ~CLASS_FIRST, add, CLASS_SEVERAL, one->beside};
}

/* ---- what is expected ---- */

/* What stands beside a key in the list of a class that is asked first; 0 where that is not known. */
static uint32_t plain_beside(const struct listed *lists, uint32_t class, uint64_t key) {
    const struct listed *first = class & CLASS_FIRST ? &lists[(class & CLASS_FIRST) - 1] : NULL;
    return first && first->beside ? first->beside[twin_rank(&first->t, key)] : 0;
}

/* All that the lists say of a key, in no haste. */
static uint32_t plain_class(const struct listed *lists, uint32_t n, uint64_t key) {
    uint32_t first = 0, statuses = 0, exact = 0, pairs = 0, wide = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!twin_has(&lists[i].t, key)) continue;
        pairs |= lists[i].kind == PAIRED;
        wide |= lists[i].kind == WIDE;
        if (lists[i].kind != EXACT) continue;
        first = i + 1; /* the last of them is asked first */
        statuses |= 1u << lists[i].status;
        exact++;
    }
    return first | statuses << 6 | pairs << 9 | (exact > 1) << 10 | wide << 11;
}

/* That of a run, and what stands beside all of it: 0 where a list has a part of it. */
static uint32_t plain_run(const struct listed *lists, uint32_t n, uint64_t start, uint64_t end) {
    uint32_t class = plain_class(lists, n, start);
    for (uint32_t i = 0; i < n; i++) {
        const struct twin *t = &lists[i].t;
        size_t run = twin_upto(t, start);
        if (run && t->end[run - 1] > start && t->end[run - 1] < end) return 0;
        if (run < t->n && t->start[run] > start && t->start[run] < end) return 0;
    }
    uint32_t beside = plain_beside(lists, class, start);
    for (uint64_t key = start + 1; beside && key < end; key++) beside = plain_beside(lists, class, key) == beside ? beside : 0;
    return class | beside << CLASS_BITS | (end - start >= TWIN_SERIALS ? CLASS_WIDE : 0);
}

static int is_run(uint64_t start, uint64_t end, uint64_t run_min) {
    return end - start > 1 && (end - start >= run_min || start / TWIN_SERIALS != (end - 1) / TWIN_SERIALS);
}

/* Members of the union and their words; of a run its ends and some more. Returns how many. */
static size_t take_members(const struct twin *all, const struct listed *lists, uint32_t n, uint64_t run_min, uint64_t *keys,
                           uint32_t *classes) {
    size_t count = 0, step = all->n / 4000 + 1;
    for (size_t i = 0; i < all->n && count + 4 < MOST_ASKED; i += step) {
        uint64_t start = all->start[i], end = all->end[i];
        if (is_run(start, end, run_min)) {
            uint64_t some[] = {start, start + 1, end - 1, start + mixed(start) % (end - start)};
            uint32_t class = plain_run(lists, n, start, end);
            for (int j = 0; j < 4; j++) keys[count] = some[j], classes[count++] = class;
        } else {
            for (; start < end && count + 4 < MOST_ASKED; start++, count++) {
                uint32_t class = plain_class(lists, n, start);
                keys[count] = start, classes[count] = class | plain_beside(lists, class, start) << CLASS_BITS;
            }
        }
    }
    return count;
}

/* ---- what is so ---- */

static uint64_t place_of(const struct made *m, uint64_t key, const uint8_t *column, uint64_t count) {
    struct seats seats;
    uint8_t found;
    contains_block(&m->ix, &key, 1, &found, &seats, SIMD_PORTABLE);
    CHECK(found && seats.count == 1 && seats.row[0] == 0);
    take_places(&m->ix, column, count, &seats, SIMD_PORTABLE);
    return seats.line[0];
}

/* The members of no run have places of their own, and all keys of a run the same, within those that there are. */
static void check_places(const struct twin *all, const struct made *m, uint64_t run_min, uint64_t count) {
    uint8_t *taken = room(count);
    uint64_t in_lines = places_in_lines(&m->ix), left = 40000;
    memset(taken, 0, count);
    CHECK(count == in_lines + m->ix.spill_count * SPILL_ENTRIES);
    for (size_t i = 0; i < all->n && left; i++) {
        uint64_t start = all->start[i], end = all->end[i], first = place_of(m, start, taken, count);
        CHECK(first < count);
        if (is_run(start, end, run_min)) {
            CHECK(first >= in_lines && place_of(m, end - 1, taken, count) == first);
            CHECK(place_of(m, start + (end - start) / 2, taken, count) == first);
            end = start + 1;
        }
        for (; start < end && left; start++, left--) {
            uint64_t place = place_of(m, start, taken, count);
            CHECK(place < count && !taken[place]++);
        }
    }
    free(taken);
}

/* Columns of codes, the first of which may be short of members, and one that is not there. */
static void take_columns(struct column *columns, const struct index *ix, unsigned seed) {
    for (int i = 0; i < COLUMNS; i++) {
        uint64_t count = i && ix->count < 9000 ? ix->count : seed % 3000;
        int width = i == 1 ? 0 : (int)((seed >> (2 * i)) % 4) + 1;
        uint8_t *codes = room(count * (unsigned)width);
        for (uint64_t at = 0; at < count * (unsigned)width; at++) codes[at] = (uint8_t)mixed(at + seed);
        columns[i] = (struct column){codes, count, width};
    }
}

static void free_columns(struct column *columns) {
    for (int i = 0; i < COLUMNS; i++) free((void *)columns[i].codes);
}

/* The codes of members, and the bytes of keys that may be none. */
static void check_codes(const struct twin *all, const struct made *m, const uint8_t *bytes, uint64_t count,
                        const uint64_t *members, size_t n, unsigned seed) {
    struct column columns[COLUMNS];
    take_columns(columns, &m->ix, seed);
    for (int level = 0; level < fuzz_levels(); level++) {
        const struct index_kernels *k = &index_levels[level];
        for (size_t i = 0; i < n; i += 5) {
            uint64_t x = mixed(members[i] + seed), rank = twin_rank(all, members[i]);
            uint64_t near[] = {members[i] - 1, members[i] + 1, members[i] / TWIN_SERIALS * TWIN_SERIALS + x % TWIN_SERIALS,
                               x % TWIN_KEYS, TWIN_KEYS + (x & 1), UINT64_MAX - (x & 3)};
            uint32_t codes[COLUMNS];
            for (int j = 0; j < 6; j++) {
                int has = near[j] < TWIN_KEYS && twin_has(all, near[j]);
                CHECK((k->byte_of(&m->ix, bytes, count, near[j]) >= 0) == has);
            }
            k->codes_of(&m->ix, columns, members[i], codes);
            for (int j = 0; j < COLUMNS; j++) {
                uint32_t want = 0;
                for (int byte = columns[j].width; byte-- && rank < columns[j].count;)
                    want = want << 8 | columns[j].codes[rank * (unsigned)columns[j].width + (unsigned)byte];
                CHECK(codes[j] == (columns[j].width && rank >= columns[j].count ? UINT32_MAX : want));
            }
        }
    }
    free_columns(columns);
}

/* Of members among others, in order and not, so that groups of keys have none of them, few, many and no others. */
static void check_bytes(const struct twin *all, const struct made *m, const struct deciders *d, const uint8_t *bytes,
                        uint64_t count, const uint64_t *members, const uint32_t *classes, size_t n, unsigned seed) {
    size_t asked = 2 * n + seed % 97;
    uint64_t *keys = room(asked * 8);
    uint8_t *found = room(asked), *out = room(asked), *other = room(asked);
    for (int level = 0; level < fuzz_levels(); level++) {
        const struct index_kernels *k = &index_levels[level];
        struct beside beside;
        struct index with = hashed_index(&m->ix, &beside);
        size_t step = level % 2 || n < 2 ? 1 : 2 * (seed % 500) + 1;
        while (n && step > 1 && n % step == 0) step += 2;
        for (size_t i = 0; i < asked; i++) {
            uint64_t x = mixed(i + seed);
            other[i] = !n || x % 4 < mixed(i / 50 + seed) % 6;
            keys[i] = !other[i] ? members[i * step % n] : n && x & 64 ? members[x / 128 % n] + x / 8 % 5 : x % (KEYS + 9);
        }
        memset(found, 0xEE, asked);
        memset(out, 0xEE, asked);
        k->bytes_of((level + seed) % 2 ? &m->ix : &with, bytes, count, keys, asked, found, out);
        hashed_free(beside.hashed);
        for (size_t i = 0; i < asked; i++) {
            CHECK(found[i] == (keys[i] < TWIN_KEYS && twin_has(all, keys[i])));
            CHECK(other[i] ? found[i] || !out[i] : out[i] == (uint8_t)d->number[classes[i * step % n]]);
            if (i % 8 == 0) CHECK(k->byte_of(&m->ix, bytes, count, keys[i]) == (found[i] ? out[i] : -1));
        }
    }
    free(keys);
    free(found);
    free(out);
    free(other);
}

static uint16_t *decide(struct deciders *d, const struct index *all, const struct source *sources, uint32_t count, int level) {
    uint64_t places = places_count(all);
    uint16_t *out = room(places * sizeof *out);
    memset(out, 0, places * sizeof *out);
    memset(d, 0, sizeof *d);
    d->all = all, d->sources = sources, d->count = count, d->out = out;
    d->rank = index_levels[level].rank;
    deciders_make(d);
    return out;
}

/* The lower bytes of a column, as a column: lookups have no more. */
static uint8_t *lower(const uint16_t *out, uint64_t places) {
    uint8_t *bytes = room(places);
    for (uint64_t i = 0; i < places; i++) bytes[i] = (uint8_t)out[i];
    return bytes;
}

/* ---- sound lists ---- */

/* Of the runs of a pool some are in a list, or a part of one; and it has some of its own. */
static void take_listed(struct input *in, const struct twin *pool, struct listed *one, uint64_t run_min) {
    unsigned how = (unsigned)take_number(in, 1), of = how >> 4 & 7, n = 0;
    uint64_t seed = take_number(in, 1), *runs = room((pool->n + MOST_RUNS) * 16);
    one->status = how % 3;
    one->kind = how % 16 < 12 ? EXACT : how % 16 < 14 ? PAIRED : WIDE;
    for (size_t i = 0; i < pool->n; i++) {
        uint64_t x = mixed(mixed(pool->start[i] + seed) + i), start = pool->start[i], end = pool->end[i];
        if (x % 8 < of) continue;
        if (end - start > 1 && x >> 8 & 1 && how & 128) start += (x >> 9) % (end - start);
        if (end - start > 1 && x >> 40 & 1 && how & 128) end -= (x >> 41) % (end - start);
        runs[2 * n] = start, runs[2 * n++ + 1] = end;
    }
    if (how % 16 == 3) n += (unsigned)take_runs(in, runs + 2 * n, MOST_RUNS, 2);
    one->t = twin_of(runs, n);
    one->m = index_of(&one->t, run_min, 0);
    one->beside = NULL;
    free(runs);
    if (how & 64 || one->kind == WIDE || one->m.ix.count > MOST_BESIDE) return;
    one->beside = room(one->m.ix.count);
    for (uint64_t i = 0; i < one->m.ix.count; i++) one->beside[i] = (uint8_t)(mixed(i >> how % 8) % (how & 8 ? 256 : 3));
}

static void check_lists(struct input *in, unsigned mode, unsigned seed) {
    static uint64_t members[MOST_ASKED];
    static uint32_t classes[MOST_ASKED];
    static struct listed lists[MOST_LISTS];
    static struct source sources[MOST_LISTS];
    static struct deciders d;
    int many = (seed >> 8 & 63) == 0;
    uint32_t count = (uint32_t)take_number(in, 1) % (many ? 4 : mode & 4 ? MOST_LISTS + 1 : 9);
    uint64_t run_min = mode & 8 ? seed % RUN_MIN + 1 : RUN_MIN;
    struct twin pool = take_twin(in, many ? MANY_RUNS : MOST_RUNS, mode / 16 % 8 + 1), all = twin_op(&pool, &pool, mode & 2 ? 2 : 0);
    for (uint32_t i = 0; i < count; i++) {
        struct twin more;
        take_listed(in, &pool, &lists[i], mode & 8 ? seed / 32 % RUN_MIN + 1 : RUN_MIN);
        sources[i] = source_of(&lists[i], i);
        more = twin_op(&all, &lists[i].t, 0);
        twin_free(&all);
        all = more;
    }
    struct made m = index_of(&all, run_min, 0);
    uint64_t places = places_count(&m.ix);
    check_places(&all, &m, run_min, places);
    size_t n = take_members(&all, lists, count, run_min, members, classes);
    uint16_t *out = decide(&d, &m.ix, sources, count, (int)(seed % (unsigned)fuzz_levels()));
    uint8_t *bytes = lower(out, places);
    CHECK(d.status == BUILD_OK && d.used >= 1 && d.used < WORDS && d.words[0] == 0);
    for (uint32_t i = 1; i < d.used; i++) CHECK(d.number[d.words[i]] == i);
    check_bytes(&all, &m, &d, bytes, places, members, classes, n, seed);
    check_codes(&all, &m, bytes, places, members, n, seed);
    deciders_free(&d);
    free(bytes);
    free(out);
    requests_left = seed % 6; /* memory that ends */
    out = decide(&d, &m.ix, sources, count, 0);
    CHECK(d.status == (requests_left == SIZE_MAX ? BUILD_NO_MEMORY : BUILD_OK));
    requests_left = SIZE_MAX;
    deciders_free(&d);
    free(out);
    for (uint32_t i = 0; i < count; i++) made_free(&lists[i].m), twin_free(&lists[i].t), free(lists[i].beside);
    made_free(&m);
    twin_free(&all);
    twin_free(&pool);
}

/* ---- arrays that may hold anything ---- */

static void check_damaged(struct input *in, unsigned mode, unsigned seed) {
    static struct deciders d;
    uint64_t keys[MOST_KEYS];
    uint8_t found[MOST_KEYS], said[MOST_KEYS];
    struct twin few = take_twin(in, MOST_RUNS, mode / 16 % 4);
    struct made sound = index_of(&few, RUN_MIN, 0), m = mode & 4 ? take_rubbish(in) : take_damaged(in);
    const struct made *all = mode & 2 ? &m : &sound;
    uint64_t count = m.ix.count < 1u << 20 ? m.ix.count : 0; /* of what stands beside */
    uint8_t *beside = room(count);
    memset(beside, 1, count);
    if (count) beside[seed % count] = 2;
    struct source sources[] = {{&m.ix, 0xFFF, 1, 2, count ? beside : NULL}, {&sound.ix, 0xFC0, 0x42, CLASS_SEVERAL, NULL},
                               {&m.ix, 0xFFFF, 0xFFFF, 0, NULL}};
    uint64_t places = places_count(&all->ix);
    size_t n = some_keys(&m, keys, seed);
    if (places <= all->ix.count + all->ix.spill_count * SPILL_ENTRIES && places < 1u << 24) { /* else it is refused */
        uint16_t *out = decide(&d, &all->ix, sources, mode / 64, (int)(seed % (unsigned)fuzz_levels()));
        uint8_t *bytes = lower(out, places);
        struct column columns[COLUMNS];
        uint32_t codes[COLUMNS];
        take_columns(columns, &all->ix, seed);
        for (int level = 0; level < fuzz_levels(); level++) {
            struct beside beside;
            struct index with = hashed_index(&all->ix, &beside);
            index_levels[level].bytes_of((level + seed) % 2 ? &all->ix : &with, bytes, places, keys, n, found, said);
            hashed_free(beside.hashed);
            for (size_t i = 0; i < n; i++) {
                if (places) index_levels[level].byte_of(&all->ix, bytes, places, keys[i]);
                index_levels[level].codes_of(&all->ix, columns, keys[i], codes);
            }
        }
        free_columns(columns);
        deciders_free(&d);
        free(bytes);
        free(out);
    }
    free(beside);
    made_free(&m);
    made_free(&sound);
    twin_free(&few);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};
    fuzz_levels();
    unsigned mode = (unsigned)take_number(&in, 1), seed = (unsigned)take_number(&in, 2);
    if (mode & 1) check_damaged(&in, mode, seed);
    else check_lists(&in, mode, seed);
    return 0;
}
