/* Sets of keys as sorted runs, and nothing clever: what the index is compared with. And sets as bytes say. */
#ifndef IMEISET_TWIN_H
#define IMEISET_TWIN_H

#include "fuzz.h"

#define TWIN_KEYS UINT64_C(100000000000000)
#define TWIN_SERIALS UINT64_C(1000000)

struct twin {
    uint64_t *start, *end, *before; /* end: the key after the run; before: members below it */
    size_t n;
    uint64_t count;
};

static int by_start(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Of n runs in any order, given as pairs of start and end. */
static struct twin twin_of(uint64_t *runs, size_t n) {
    struct twin t = {room(n * 8), room(n * 8), room(n * 8), 0, 0};
    qsort(runs, n, 16, by_start);
    for (size_t i = 0; i < n; i++) {
        uint64_t start = runs[2 * i], end = runs[2 * i + 1];
        if (t.n && start <= t.end[t.n - 1]) {
            if (end > t.end[t.n - 1]) t.end[t.n - 1] = end;
            continue;
        }
        t.start[t.n] = start;
        t.end[t.n++] = end;
    }
    for (size_t i = 0; i < t.n; i++) {
        t.before[i] = t.count;
        t.count += t.end[i] - t.start[i];
    }
    return t;
}

static void twin_free(struct twin *t) {
    free(t->start);
    free(t->end);
    free(t->before);
}

/* How many runs begin at or below a key. */
static size_t twin_upto(const struct twin *t, uint64_t key) {
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (t->start[middle] <= key) low = middle + 1;
        else high = middle;
    }
    return low;
}

static int twin_has(const struct twin *t, uint64_t key) {
    size_t upto = twin_upto(t, key);
    return upto && key < t->end[upto - 1];
}

static uint64_t twin_rank(const struct twin *t, uint64_t key) {
    size_t upto = twin_upto(t, key);
    if (!upto) return 0;
    uint64_t in = key - t->start[upto - 1], length = t->end[upto - 1] - t->start[upto - 1];
    return t->before[upto - 1] + (in < length ? in : length);
}

/* Where a run begins (even) or has ended (odd). */
static uint64_t twin_bound(const struct twin *t, size_t i) {
    return i / 2 == t->n ? UINT64_MAX : i % 2 ? t->end[i / 2] : t->start[i / 2];
}

/* a | b, a & b, a - b, a ^ b: from one bound to the next. */
static struct twin twin_op(const struct twin *a, const struct twin *b, int op) {
    uint64_t *runs = room((a->n + b->n) * 16), from = 0;
    size_t i = 0, j = 0, m = 0;
    int kept = 0;
    while (i < 2 * a->n || j < 2 * b->n) {
        uint64_t of_a = twin_bound(a, i), of_b = twin_bound(b, j), at = of_a < of_b ? of_a : of_b;
        i += of_a == at, j += of_b == at;
        int x = i % 2, y = j % 2;
        int keep = op == 0 ? x || y : op == 1 ? x && y : op == 2 ? x && !y : x != y;
        if (keep && !kept) from = at;
        if (kept && !keep) runs[2 * m] = from, runs[2 * m++ + 1] = at;
        kept = keep;
    }
    struct twin made = twin_of(runs, m);
    free(runs);
    return made;
}

/* ---- sets as bytes say ---- */

static uint64_t take_tac(struct input *in) {
    static const uint32_t some[] = {0, 1, 2, 99999999, 99999998, 35209900, 35209901, 50000000};
    uint64_t byte = take_number(in, 1);
    return byte < 240 ? some[byte % 8] + (byte < 128 ? 0 : byte % 5) * (some[byte % 8] < 99999990) : take_number(in, 4) % 100000000;
}

/* A length, more often a small one. */
static uint64_t take_length(struct input *in, unsigned bits) {
    uint64_t byte = take_number(in, 1), low = (byte & 7) + 1;
    return low << (byte >> 3) % bits;
}

/* Runs of keys, as operations: single keys, runs, steps, serials at random, many TACs. Returns how many. */
static size_t take_runs(struct input *in, uint64_t *runs, size_t most, unsigned operations) {
    size_t n = 0;
    for (; operations && in->left; operations--) {
        unsigned kind = (unsigned)take_number(in, 1);
        uint64_t tac = take_tac(in), key = tac * TWIN_SERIALS + take_number(in, 3) % TWIN_SERIALS, count, step;
        switch (kind % 6) {
        case 0:
            count = step = 1;
            break;
        case 1: /* a run, across TACs if it is long */
            count = take_length(in, 24);
            if (n < most) runs[2 * n] = key, runs[2 * n + 1] = key + count < TWIN_KEYS ? key + count : TWIN_KEYS, n++;
            continue;
        case 2: /* steps */
            count = take_length(in, 13), step = take_length(in, 10);
            break;
        case 3: /* serials at random */
            count = take_length(in, 17), step = 0;
            break;
        case 4: /* TACs that have some each */
            count = take_length(in, 15), step = take_number(in, 1) * TWIN_SERIALS + take_number(in, 1);
            break;
        default: /* one after another, with runs in between */
            count = take_length(in, 9), step = take_number(in, 1);
            for (uint64_t i = 0; i < count && n < most; i++, key += step + i % 3 * 16 + 1) {
                uint64_t end = key + 1 + (i * step) % 80;
                if (end > TWIN_KEYS) break;
                runs[2 * n] = key, runs[2 * n++ + 1] = end;
            }
            continue;
        }
        for (uint64_t i = 0; i < count && n < most; i++) {
            uint64_t at = step ? key + i * step : tac * TWIN_SERIALS + mixed(key * 77 + i) % TWIN_SERIALS;
            if (at >= TWIN_KEYS) break;
            runs[2 * n] = at, runs[2 * n++ + 1] = at + 1;
        }
    }
    return n;
}

static struct twin take_twin(struct input *in, size_t most, unsigned operations) {
    uint64_t *runs = room(most * 16);
    size_t n = take_runs(in, runs, most, operations);
    struct twin made = twin_of(runs, n);
    free(runs);
    return made;
}

#endif
