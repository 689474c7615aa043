/* Two sets against their twins: every question, at every level, and every set that is made of them. */
#include "built.h"

#include "../../imeiset/_native/c/background.h"

#define MOST_ASKED 2600
#define MOST_RUNS 3000
#define MANY_RUNS 420000 /* of few inputs: they take long */

/* Keys near those of the set, and others. */
static size_t take_asked(struct input *in, const struct twin *t, uint64_t *keys) {
    size_t n = (size_t)take_number(in, 1) * 10 + take_number(in, 1) % 50;
    uint64_t seed = take_number(in, 2);
    for (size_t i = 0; i < n; i++) {
        uint64_t x = mixed(seed + i * 0x1234567), run = t->n ? x % t->n : 0;
        uint64_t length = t->n ? t->end[run] - t->start[run] : 1, base = t->n ? t->start[run] : 0;
        switch (x >> 40 & 7) {
        case 0: keys[i] = base + length; break;
        case 1: keys[i] = base - 1; break;
        case 2: keys[i] = base + length - 1; break;
        case 3: keys[i] = base + (x >> 43) % length; break;
        case 4: keys[i] = base / TWIN_SERIALS * TWIN_SERIALS + (x >> 43) % TWIN_SERIALS; break;
        case 5: keys[i] = x >> 43 & 1 ? TWIN_KEYS - (x >> 44 & 3) + 1 : UINT64_MAX - (x >> 44 & 1) * (x >> 45); break;
        case 6: keys[i] = (x >> 20) % TWIN_KEYS; break;
        default: keys[i] = base; break;
        }
    }
    return n;
}

/* Where nearly all keys are members, a set with a table reads their buckets without looking at marks. */
static void check_dense(const struct twin *t, const struct index *with, const struct index_kernels *k, const uint64_t *keys,
                        size_t n) {
    uint64_t some[3 * GROUP];
    uint8_t found[3 * GROUP];
    size_t members = 0;
    for (size_t i = 0; i < n && members < GROUP; i++)
        if (keys[i] < TWIN_KEYS && twin_has(t, keys[i])) some[members++] = keys[i];
    if (!members) return;
    for (size_t i = members; i < 3 * GROUP; i++) some[i] = i % 5 ? some[i - members] : keys[i % n];
    k->contains(with, some, 3 * GROUP, found);
    for (size_t i = 0; i < 3 * GROUP; i++) CHECK(found[i] == (some[i] < TWIN_KEYS && twin_has(t, some[i])));
}

static void check_asked(const struct twin *t, const struct made *m, const uint64_t *keys, size_t n) {
    uint8_t *found = room(n), *hashed = room(n), digits[17];
    int all_keys = 1;
    for (size_t i = 0; i < n; i++) all_keys &= keys[i] < TWIN_KEYS;
    int64_t *positions = room(n * 8);
    uint64_t *ranks = room(n * 8), *own = copy_of(keys, n * 8);
    for (int level = 0; level < fuzz_levels(); level++) {
        const struct index_kernels *k = &index_levels[level];
        struct beside beside;
        struct index with = hashed_index(&m->ix, &beside);
        memset(found, 9, n);
        CHECK(k->contains(&m->ix, own, n, found) == all_keys);
        CHECK(k->contains(&with, own, n, hashed) == all_keys && memcmp(hashed, found, n) == 0);
        CHECK(hashed_bytes(&beside) % LINE_BYTES == 0);
        check_dense(t, &with, k, keys, n);
        hashed_free(beside.hashed);
        k->positions(&m->ix, own, n, positions);
        k->ranks(&m->ix, own, n, ranks);
        for (size_t i = 0; i < n; i++) {
            uint64_t key = keys[i], bound = key < TWIN_KEYS ? key : TWIN_KEYS, rank = twin_rank(t, bound);
            int has = key < TWIN_KEYS && twin_has(t, key);
            CHECK(found[i] == has);
            CHECK(ranks[i] == rank);
            CHECK(k->rank(&m->ix, key) == rank);
            CHECK(positions[i] == (has ? (int64_t)rank : -1));
            CHECK(k->contains_parts(&m->ix, (uint32_t)(bound / TWIN_SERIALS), (uint32_t)(bound % TWIN_SERIALS)) == has);
            if (key >= TWIN_KEYS) continue;
            snprintf((char *)digits, sizeof digits, "%014llu%02u", (unsigned long long)key, (unsigned)(i % 100));
            for (size_t length = 14; length <= 16; length++) {
                uint8_t *text = copy_of(digits, length);
                CHECK(k->contains_text(&m->ix, text, length) == has);
                text[i % length] ^= 0x40;
                CHECK(k->contains_text(&m->ix, text, length) == -1);
                free(text);
            }
            CHECK(k->contains_text(&m->ix, digits, i % 14) == -1);
        }
    }
    free(found);
    free(hashed);
    free(positions);
    free(ranks);
    free(own);
}

/* One key in several sets at once. */
static void check_each(const struct twin *const *twins, const struct made *const *made, uint32_t n, uint64_t key) {
    const struct index *sets[SEVERAL];
    uint64_t ranks[SEVERAL];
    for (uint32_t i = 0; i < n; i++) sets[i] = &made[i % 2]->ix;
    for (int level = 0; level < fuzz_levels(); level++) {
        uint64_t found = index_levels[level].contains_each(sets, n, key);
        index_levels[level].rank_each(sets, n, key, ranks);
        for (uint32_t i = 0; i < n; i++) {
            const struct twin *t = twins[i % 2];
            CHECK((found >> i & 1) == (uint64_t)(key < TWIN_KEYS && twin_has(t, key)));
            CHECK(ranks[i] == twin_rank(t, key < TWIN_KEYS ? key : TWIN_KEYS));
        }
        CHECK(n == 64 || found >> n == 0);
    }
}

/* In order, in pieces of that size. */
static void check_read(const struct twin *t, const struct made *m, size_t piece) {
    struct reader *r = room(sizeof *r);
    uint64_t *lows = room(piece * 8), *highs = room(piece * 8);
    size_t run = 0, got;
    CHECK(m->ix.count == t->count);
    reader_init(r, &m->ix, 0);
    do {
        got = reader_runs(r, lows, highs, piece);
        for (size_t i = 0; i < got; i++, run++) CHECK(run < t->n && lows[i] == t->start[run] && highs[i] == t->end[run] - 1);
    } while (got == piece);
    CHECK(run == t->n);
    uint64_t at = 0;
    size_t in = 0;
    reader_init(r, &m->ix, 0);
    do {
        got = reader_keys(r, lows, piece);
        for (size_t i = 0; i < got; i++) {
            CHECK(in < t->n && lows[i] == t->start[in] + at);
            if (++at == t->end[in] - t->start[in]) at = 0, in++;
        }
    } while (got == piece && in < 2000 && t->count < 3000000);
    for (uint64_t line = 0, tac = 0; tac < m->ix.tac_count; tac++) { /* two ways to read a line */
        const struct shape *s = &shapes[slot_row(*directory_slot(&m->ix, m->ix.tacs[tac]))];
        for (uint32_t nth = 0; nth < s->lines; nth++, line++) {
            uint32_t one[BITMAP_WIDTH], other[BITMAP_WIDTH], n = line_decode(m->ix.lines + line * LINE_BYTES, s, one);
            CHECK(n == line_offsets(m->ix.lines + line * LINE_BYTES, s, other));
            for (uint32_t i = 0; i < n; i++) CHECK(one[i] == other[i]);
        }
    }
    free(lows);
    free(highs);
    free(r);
}

struct making {
    const struct made *a, *b;
    int op; /* -1: patch */
    struct builder to;
};

static void make_set(void *given) {
    struct making *one = given;
    if (builder_init(&one->to)) return;
    if (one->op < 0) patch(&one->a->ix, &one->b->ix, &one->to);
    else combine(&one->a->ix, &one->b->ix, one->op, &one->to);
    if (one->to.status == BUILD_OK) builder_finish(&one->to);
}

/* The sets that are made of two, and what differs. */
static void check_made(const struct twin *a, const struct twin *b, const struct made *of_a, const struct made *of_b,
                       unsigned seed) {
    for (int op = 0; op < 4; op++) {
        struct making one = {of_a, of_b, op, {.status = 0}};
        struct twin t = twin_op(a, b, op);
        background_set((seed >> op & 5) == 5);
        background_run(make_set, &one);
        background_set(0);
        CHECK(one.to.status == BUILD_OK);
        struct made m = made_of(&one.to), anew = index_of(&t, RUN_MIN, 0);
        CHECK(same(&m, &anew));
        CHECK(combine(&of_a->ix, &of_b->ix, op, NULL) == (t.n > 0));
        check_read(&t, &m, seed % 50 + 1);
        builder_free(&one.to);
        if (op == OP_XOR) {
            struct making patched = {of_a, of_b, -1, {.status = 0}};
            make_set(&patched);
            CHECK(patched.to.status == BUILD_OK);
            struct made p = made_of(&patched.to);
            CHECK(same(&p, &m));
            builder_free(&patched.to);
            made_free(&p);
        }
        made_free(&m);
        made_free(&anew);
        twin_free(&t);
    }
}

static void check_difference(const struct twin *a, const struct twin *b, const struct made *of_a, const struct made *of_b,
                             uint64_t tac, uint64_t end) {
    struct bytes only[2];
    memset(only, 0, sizeof only);
    CHECK(difference(&of_a->ix, &of_b->ix, tac, end, only) == BUILD_OK);
    for (int which = 0; which < 2; which++) {
        struct twin t = which ? twin_op(b, a, 2) : twin_op(a, b, 2);
        const uint64_t *pair = (const uint64_t *)only[which].data;
        size_t left = only[which].used / 16;
        for (size_t i = 0; i < t.n; i++) {
            uint64_t from = t.start[i] > tac * TWIN_SERIALS ? t.start[i] : tac * TWIN_SERIALS;
            uint64_t to = t.end[i] < end * TWIN_SERIALS ? t.end[i] : end * TWIN_SERIALS;
            if (from >= to) continue;
            CHECK(left && pair[0] == from && pair[1] == to - 1);
            pair += 2, left--;
        }
        CHECK(left == 0);
        free(only[which].data);
        twin_free(&t);
    }
}

/* ---- the bytes of a digest ---- */

static size_t leb128(uint8_t *to, uint64_t number) {
    size_t n = 0;
    do {
        to[n] = (uint8_t)(number & 127) | (number > 127 ? 128 : 0);
        number >>= 7;
        n++;
    } while (number);
    return n;
}

static size_t twin_encoded(const struct twin *t, uint8_t *to) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        uint64_t length = t->end[i] - t->start[i], gap = t->start[i] - (i ? t->end[i - 1] : 0);
        n += leb128(to + n, 2 * gap + (length > 1));
        if (length > 1) n += leb128(to + n, length - 2);
    }
    return n;
}

static void check_encoded(const struct twin *a, const struct twin *flips) {
    if (flips->count > 100000 || a->n > 100000) return;
    struct twin t = twin_op(a, flips, 3);
    uint64_t *highs = room(a->n * 8), *keys = room(flips->count * 8), n = 0;
    uint8_t *want = room(t.n * 20), *got = room((a->n + flips->count + 1) * ENCODED_RUN + ENCODED_ROOM), *to = got;
    size_t size = twin_encoded(&t, want);
    struct encoder e = {0, 0, 0};
    for (size_t i = 0; i < a->n; i++) highs[i] = a->end[i] - 1;
    for (size_t i = 0; i < flips->n; i++)
        for (uint64_t key = flips->start[i]; key < flips->end[i]; key++) keys[n++] = key;
    to = encode_flush(&e, encode_runs(&e, a->start, highs, a->n, keys, n, to));
    CHECK((size_t)(to - got) == size && memcmp(got, want, size) == 0);
    size = twin_encoded(flips, got);
    free(want);
    want = room((2 * n + 2) * ENCODED_KEY + ENCODED_ROOM);
    struct encoder again = {0, 0, 0};
    to = encode_keys(&again, keys, n / 2, want);
    to = encode_keys(&again, keys + n / 2, n - n / 2, to);
    if (n) to = encode_keys(&again, keys + n - 1, 1, to);
    to = encode_flush(&again, to);
    CHECK((size_t)(to - want) == size && memcmp(got, want, size) == 0);
    free(highs);
    free(keys);
    free(want);
    free(got);
    twin_free(&t);
}

/* ---- filters ---- */

static void check_filter(const struct twin *t, const uint64_t *asked, size_t n, unsigned seed) {
    struct filter f = {NULL, seed % 500 + 1, seed / 500 % 3 * 10};
    uint64_t *words = room(f.count * 8), *highs = room(t->n * 8);
    uint8_t *out = room(n);
    uint32_t *rows = room((n + 1) * 4);
    size_t some = t->n < 3000 ? t->n : 3000;
    memset(words, 0, f.count * 8);
    for (size_t i = 0; i < some; i++) {
        uint64_t number = t->start[i] >> f.shift;
        highs[i] = t->end[i] - 1;
        filter_mark(words, f.count, &number, 1);
    }
    f.words = words;
    for (size_t i = 0; i < some; i++) CHECK(filter_knows(&f, t->start[i]));
    for (int level = 0; level < fuzz_levels(); level++) {
        for (size_t i = 0; i < n; i++) out[i] = (uint8_t)(i % 3);
        filter_level(level)(&f, asked, n, 4, out);
        for (size_t i = 0; i < n; i++) {
            CHECK(out[i] == i % 3 + 4 * (unsigned)filter_knows(&f, asked[i]));
            out[i] &= 4;
            filter_fetch(&f, asked[i]);
        }
        size_t marked = nonzero_rows(out, n, rows), at = 0;
        for (size_t i = 0; i < n; i++)
            if (out[i]) CHECK(at < marked && rows[at++] == i);
        CHECK(at == marked);
    }
    if (spread_count(t->start, highs, some) < 100000) {
        struct filter keys = {words, f.count, 0};
        filter_mark_spread(words, f.count, t->start, highs, some);
        for (size_t i = 0; i < some; i++)
            for (uint64_t j = 0; j < 20; j++)
                CHECK(filter_knows_spread(&keys, t->start[i] + mixed(seed + j) % (t->end[i] - t->start[i])));
    }
    free(words);
    free(highs);
    free(out);
    free(rows);
}

/* Runs or keys as they come, in order or not: the builder says what is wrong with the first that is. */
static void check_refused(struct input *in, unsigned keys) {
    struct builder b;
    CHECK(builder_init(&b) == BUILD_OK);
    uint64_t next = 0, count = 0;
    while (keys && in->left && b.status == BUILD_OK) {
        uint64_t some[16], n = 0;
        int status = BUILD_OK;
        for (uint64_t step; n < 16 && in->left; n++) {
            step = take_number(in, 1);
            some[n] = step > 252 ? TWIN_KEYS - 3 + step % 3 * 2 : step > 250 ? next / 2 : next - (next > 0) + step / 40 * (step % 40) * 50000;
            if (status == BUILD_OK && some[n] >= TWIN_KEYS) status = BUILD_OUT_OF_RANGE;
            if (status == BUILD_OK && some[n] + 1 < next) status = BUILD_NOT_ASCENDING;
            count += status == BUILD_OK && some[n] >= next;
            next = status == BUILD_OK ? some[n] + 1 : next;
        }
        CHECK(builder_add_keys(&b, some, n) == status);
    }
    while (in->left && b.status == BUILD_OK) {
        uint64_t start = take_number(in, 1) * (TWIN_KEYS / 250) + take_number(in, 2), length = take_length(in, 50) - 1;
        int status = length == 0 || start + length > TWIN_KEYS ? BUILD_OUT_OF_RANGE : start < next ? BUILD_NOT_ASCENDING : BUILD_OK;
        CHECK(builder_add(&b, start, length) == status);
        next = start + length;
        count += status ? 0 : length;
    }
    int status = b.status;
    CHECK(builder_finish(&b) == status);
    CHECK(status || b.count == count);
    builder_free(&b);
}

/* Lines that are taken out as they come, as to a file, are those of an index that keeps them. */
static void check_drained(const struct twin *t, const struct made *whole) {
    struct builder b;
    uint8_t *lines = room(whole->size[LINES]), *spill = room(whole->size[SPILL]);
    size_t in_lines = 0, in_spill = 0;
    CHECK(builder_init(&b) == BUILD_OK);
    for (size_t i = 0; i <= t->n; i++) {
        if (i < t->n) builder_add(&b, t->start[i], t->end[i] - t->start[i]);
        else builder_finish(&b);
        CHECK(b.status == BUILD_OK && in_lines + b.lines.used <= whole->size[LINES]);
        CHECK(in_spill + b.spill.used <= whole->size[SPILL]);
        if (i < t->n && b.lines.used + b.spill.used < 5 * LINE_BYTES) continue;
        if (b.lines.used) memcpy(lines + in_lines, b.lines.data, b.lines.used);
        if (b.spill.used) memcpy(spill + in_spill, b.spill.data, b.spill.used);
        in_lines += b.lines.used, in_spill += b.spill.used;
        bytes_drained(&b.lines);
        bytes_drained(&b.spill);
    }
    CHECK(in_lines == whole->size[LINES] && memcmp(lines, whole->array[LINES], in_lines) == 0);
    CHECK(in_spill == whole->size[SPILL] && memcmp(spill, whole->array[SPILL], in_spill) == 0);
    CHECK(b.ranks.used == whole->size[RANKS] && memcmp(b.ranks.data, whole->array[RANKS], b.ranks.used) == 0);
    builder_free(&b);
    free(lines);
    free(spill);
}

/* Memory that ends at some request, or lines beyond what there may be: an error, and all of it is given back. */
static void check_ends(const struct twin *a, const struct made *of_a, const struct made *of_b, size_t requests) {
    struct builder b;
    struct bytes only[2];
    if (requests % 16 == 0) {
        builder_init(&b);
        b.lines.drained = (size_t)MAX_LINES * LINE_BYTES;
        for (size_t i = 0; i < a->n && b.status == BUILD_OK; i++) builder_add(&b, a->start[i], a->end[i] - a->start[i]);
        CHECK(builder_finish(&b) == BUILD_OK ? of_a->ix.tac_count == 0 : b.status == BUILD_TOO_LARGE);
        builder_free(&b);
    }
    requests_left = requests;
    int status = build(a, &b, RUN_MIN, 0);
    builder_free(&b);
    int reached = requests_left == SIZE_MAX;
    requests_left = SIZE_MAX;
    CHECK(status == (reached ? BUILD_NO_MEMORY : BUILD_OK));
    for (int op = -1; op < 4; op += 4) {
        struct making one = {of_a, of_b, op, {.status = 0}};
        requests_left = requests;
        make_set(&one);
        reached = requests_left == SIZE_MAX;
        requests_left = SIZE_MAX;
        CHECK(one.to.status == (reached ? BUILD_NO_MEMORY : BUILD_OK));
        builder_free(&one.to);
    }
    struct beside beside;
    struct index with = hashed_index(&of_a->ix, &beside);
    uint64_t key = 0;
    uint8_t found;
    requests_left = requests % 4;
    index_levels[0].contains(&with, &key, 1, &found);
    requests_left = SIZE_MAX;
    CHECK(found == twin_has(a, key) && (requests % 4 > 2 || !beside.hashed));
    hashed_free(beside.hashed);
    memset(only, 0, sizeof only);
    requests_left = requests;
    status = difference(&of_a->ix, &of_b->ix, 0, TACS, only);
    reached = requests_left == SIZE_MAX;
    requests_left = SIZE_MAX;
    CHECK(status == (reached ? BUILD_NO_MEMORY : BUILD_OK));
    free(only[0].data);
    free(only[1].data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};
    fuzz_levels();
    unsigned mode = (unsigned)take_number(&in, 1), seed = (unsigned)take_number(&in, 2);
    if (mode % 16 == 15) {
        check_refused(&in, seed & 1);
        return 0;
    }
    uint64_t run_min = seed % 4 ? RUN_MIN : seed / 4 % RUN_MIN + 1, keys[MOST_ASKED];
    size_t most = seed >> 8 & 31 ? MOST_RUNS : MANY_RUNS;
    struct twin a = take_twin(&in, most, mode % 8 + 1), b = take_twin(&in, most, 3);
    if (mode & 128) { /* a change: most is in both */
        struct twin change = b;
        b = twin_op(&a, &change, 3);
        twin_free(&change);
    }
    struct made of_a = index_of(&a, run_min, a.count < 400000 && (mode & 16)), of_b = index_of(&b, RUN_MIN, 0);
    const struct twin *twins[2] = {&a, &b};
    const struct made *made[2] = {&of_a, &of_b};
    size_t n = take_asked(&in, &a, keys);
    check_asked(&a, &of_a, keys, n);
    for (size_t i = 0; i < n && i < 40; i++) check_each(twins, made, (uint32_t)(i * 7 + seed) % (SEVERAL + 1), keys[i]);
    check_read(&a, &of_a, seed % 100 + 1);
    check_filter(&a, keys, n, seed);
    check_encoded(&a, &b);
    uint64_t tac = n ? keys[0] / TWIN_SERIALS % TACS : 0, end = n > 1 ? keys[1] / TWIN_SERIALS % TACS : TACS;
    check_difference(&a, &b, &of_a, &of_b, tac < end ? tac : 0, end);
    check_difference(&a, &b, &of_a, &of_b, 0, TACS);
    if (run_min == RUN_MIN) {
        check_drained(&a, &of_a);
        if (mode & 32) check_made(&a, &b, &of_a, &of_b, seed);
        else check_ends(&a, &of_a, &of_b, seed / 4 % 64);
    }
    made_free(&of_a);
    made_free(&of_b);
    twin_free(&a);
    twin_free(&b);
    return 0;
}
