/* Keys, and pairs of a key and a number, in order: against qsort. */
#include "fuzz.h"

#include "../../imeiset/_native/c/pairs.h"
#include "../../imeiset/_native/c/sort.h"

#define MOST_KEYS 3000
#define MANY_KEYS 100000 /* of few inputs: they take long */

static int by_key(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int by_pair(const void *a, const void *b) {
    int order = by_key(a, b);
    return order ? order : by_key((const uint64_t *)a + 1, (const uint64_t *)b + 1);
}

/* Many keys of a few bytes: stretches of the input's numbers, each with others nearby. */
static size_t take_keys(struct input *in, uint64_t *keys, size_t most) {
    size_t n = 0;
    while (in->left && n < most) {
        uint64_t kind = take_number(in, 1), base = take_number(in, 1 + kind % 8), count = 1ull << take_number(in, 1) % 18;
        unsigned bits = (unsigned)take_number(in, 1) % 65;
        for (uint64_t i = 0; i < count && n < most; i++) {
            uint64_t noise = kind & 16 ? mixed(base + i) : i;
            keys[n++] = base + (bits < 64 ? noise & ((1ull << bits) - 1) : noise);
        }
    }
    return n;
}

/* As `_native/sort.pyx` does it on several threads: pieces are counted and scattered, then groups are sorted. */
static void sort_pieces(const uint64_t *keys, size_t n, uint64_t *out, struct sort_work *work, size_t piece) {
    struct sort_span span = sort_span_of(keys[0], sort_differing(keys, n, keys[0]));
    struct sort_groups *groups = work->levels;
    uint64_t *other = room(n * 8);
    memset(work->bins, 0, sizeof work->bins);
    for (size_t at = 0; at < n; at += piece) sort_count(keys + at, n - at < piece ? n - at : piece, span, work->bins);
    sort_join(work->bins, n, span, work->group, groups);
    memcpy(work->next, groups->start, groups->count * sizeof *work->next);
    for (size_t at = 0; at < n; at += piece)
        sort_scatter(keys + at, n - at < piece ? n - at : piece, span, work->group, work->next, out, n);
    for (size_t i = 0; i < groups->count; i++)
        sort_within(out + groups->start[i], other, groups->start[i + 1] - groups->start[i], 0, groups->spans[i], 1, work);
    free(other);
}

static void check_keys(const uint64_t *keys, size_t n, int move, size_t piece) {
    struct sort_work *work = room(sizeof *work);
    uint64_t *want = copy_of(keys, n * 8), *got = copy_of(keys, n * 8), *other = room(n * 8);
    size_t in_order = 0;
    while (in_order < n && (in_order == 0 || keys[in_order - 1] <= keys[in_order])) in_order++;
    CHECK(sort_ascending(keys, n) == in_order);
    qsort(want, n, 8, by_key);
    if (n) {
        sort_within(got, other, n, move, sort_span_of(keys[0], sort_differing(keys, n, keys[0])), 0, work);
        CHECK(memcmp(move ? other : got, want, n * 8) == 0);
        sort_pieces(keys, n, got, work, piece);
        CHECK(memcmp(got, want, n * 8) == 0);
    }
    free(work);
    free(want);
    free(got);
    free(other);
}

/* Keys that change while they are sorted come out somehow, and nothing else is written. */
static void check_changing(const uint64_t *keys, size_t n, uint64_t seed) {
    struct sort_work *work = room(sizeof *work);
    uint64_t *own = copy_of(keys, n * 8), *out = room(n * 8);
    struct sort_span span = sort_span_of(keys[0], sort_differing(keys, n, keys[0]));
    memset(work->bins, 0, sizeof work->bins);
    sort_count(own, n, span, work->bins);
    for (size_t i = 0; i < n; i += 1 + seed % 7) own[i] = mixed(own[i] + seed);
    sort_join(work->bins, n, span, work->group, work->levels);
    memcpy(work->next, work->levels->start, work->levels->count * sizeof *work->next);
    sort_scatter(own, n, span, work->group, work->next, out, n);
    free(work);
    free(own);
    free(out);
}

static void check_pairs(uint64_t *keys, size_t n, uint64_t seed) {
    uint64_t *numbers = room(n * 8), *both = room(n * 16);
    uint32_t *starts = room((n + 1) * 4);
    size_t kept = 0, runs = 0;
    for (size_t i = 0; i < n; i++) {
        keys[i] &= (1ull << 48) - 1;
        if (seed & 1) keys[i] %= 5;
        numbers[i] = mixed(keys[i] + i * (seed >> 4 & 15)) & ((1ull << (seed >> 8) % 57) - 1);
        both[2 * i] = keys[i], both[2 * i + 1] = numbers[i];
    }
    int ascending = 1;
    for (size_t i = 1; i < n; i++) ascending &= by_pair(both + 2 * i - 2, both + 2 * i) < 0;
    CHECK(pairs_ascending(keys, numbers, n) == ascending);
    qsort(both, n, 16, by_pair);
    size_t got = pairs_sort(keys, numbers, n);
    for (size_t i = 0; i < n; i++) {
        if (i && by_pair(both + 2 * i - 2, both + 2 * i) == 0) continue;
        CHECK(kept < got && keys[kept] == both[2 * i] && numbers[kept] == both[2 * i + 1]);
        kept++;
    }
    CHECK(kept == got && pairs_ascending(keys, numbers, got));
    uint64_t *own = copy_of(keys, got * 8);
    size_t each = pairs_starts(own, got, starts);
    for (size_t i = 0; i < got; i++) {
        if (i && keys[i] == keys[i - 1]) continue;
        CHECK(runs < each && own[runs] == keys[i] && starts[runs] == i);
        runs++;
    }
    CHECK(runs == each && starts[each] == got);
    free(own);
    free(numbers);
    free(both);
    free(starts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};
    uint64_t seed = take_number(&in, 2);
    size_t most = seed >> 11 ? MOST_KEYS : MANY_KEYS;
    uint64_t *given = room(most * 8);
    size_t n = take_keys(&in, given, most);
    uint64_t *keys = copy_of(given, n * 8);
    free(given);
    check_keys(keys, n, seed & 1, (seed >> 1) % 5000 + 1);
    if (n) check_changing(keys, n, seed);
    check_pairs(keys, n, seed);
    free(keys);
    return 0;
}
