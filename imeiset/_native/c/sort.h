/* Sorting uint64 keys: one pass into groups that fit the second-level cache, then each group digit by digit.
 *
 * Keys are few digits long and crowd together: 47 bits, most of them in a few TACs. So the span of the
 * keys is cut into 65,536 equal bins, bins are counted, and neighbours are joined into groups of about
 * equal size; a bin that is too large for the cache is cut again. A group then takes one stable pass for
 * every 11 bits that its keys can differ in. Any keys are sorted right, these are sorted fast.
 */
#ifndef IMEISET_SORT_H
#define IMEISET_SORT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SORT_BIN_BITS 16
#define SORT_BINS (1u << SORT_BIN_BITS)
#define SORT_GROUP ((size_t)1 << 14) /* keys: two copies of twice that are half a megabyte */
#define SORT_GROUPS 4096             /* at most: twice the quotient of all keys and a group, and one */
#define SORT_LEVELS 8                /* each takes 16 bits off, or divides a group by 2,000 */
#define SORT_DIGIT 11                /* bits */
#define SORT_DIGITS 8

/* Keys from `low` to `low + 2**bits - 1`. */
struct sort_span {
    uint64_t low;
    unsigned bits;
};

/* Neighbouring groups: keys start[i] to start[i + 1] of the array are those of spans[i]. */
struct sort_groups {
    size_t count;
    size_t start[SORT_GROUPS + 1];
    struct sort_span spans[SORT_GROUPS];
};

/* What one thread works with. */
struct sort_work {
    size_t bins[SORT_BINS];    /* keys in each */
    uint16_t group[SORT_BINS]; /* the group of each */
    size_t next[SORT_GROUPS];  /* where the next key of each group goes */
    struct sort_groups levels[SORT_LEVELS];
    uint32_t digits[SORT_DIGITS][1 << SORT_DIGIT];
};

static inline unsigned sort_bits(uint64_t x) { return x ? 64 - (unsigned)__builtin_clzll(x) : 0; }

static inline unsigned sort_shift(struct sort_span span) {
    return span.bits > SORT_BIN_BITS ? span.bits - SORT_BIN_BITS : 0;
}

/* How many keys from the first on are in order. */
static size_t sort_ascending(const uint64_t *keys, size_t n) {
    size_t i = 1;
    while (i < n && keys[i - 1] <= keys[i]) i++;
    return n ? i : 0;
}

/* The bits in which some key differs from the first. */
static uint64_t sort_differing(const uint64_t *keys, size_t n, uint64_t first) {
    uint64_t differ = 0;
    for (size_t i = 0; i < n; i++) differ |= keys[i] ^ first;
    return differ;
}

/* Where all keys are that differ from the first in these bits only. */
static inline struct sort_span sort_span_of(uint64_t first, uint64_t differ) {
    unsigned bits = sort_bits(differ);
    return (struct sort_span){bits < 64 ? first >> bits << bits : 0, bits};
}

/* The bin of a key; some bin also where another thread changed the key after the span was taken. */
static inline size_t sort_bin(uint64_t key, struct sort_span span, unsigned shift) {
    return (size_t)((key - span.low) >> shift) & (SORT_BINS - 1);
}

/* Add the keys to the numbers of keys in each bin. */
static void sort_count(const uint64_t *keys, size_t n, struct sort_span span, size_t *bins) {
    const unsigned shift = sort_shift(span);
    for (size_t i = 0; i < n; i++) bins[sort_bin(keys[i], span, shift)]++;
}

/* Join bins to groups. */
static void sort_join(const size_t *bins, size_t n, struct sort_span span, uint16_t *group,
                      struct sort_groups *groups) {
    const unsigned shift = sort_shift(span);
    const size_t target = n / (SORT_GROUPS / 2 - 1) > SORT_GROUP ? n / (SORT_GROUPS / 2 - 1) : SORT_GROUP;
    size_t done = 0, held = 0, count = 0;
    uint64_t first = 0;
    groups->start[0] = 0;
    for (uint64_t bin = 0; bin < SORT_BINS; bin++) {
        if (bins[bin]) {
            if (held && held + bins[bin] > target) {
                groups->start[++count] = done;
                held = 0;
            }
            if (!held) first = bin;
            held += bins[bin];
            done += bins[bin];
            groups->spans[count].low = span.low + (first << shift);
            groups->spans[count].bits = sort_bits(bin - first) + shift;
        }
        group[bin] = (uint16_t)count;
    }
    groups->start[++count] = done;
    groups->count = count;
}

/* Move the keys to their groups in `to`, which has `room` keys. Keys that were not the same when they were
 * counted do not all find a place, and the result is not in order; none is written elsewhere. */
static void sort_scatter(const uint64_t *keys, size_t n, struct sort_span span, const uint16_t *group,
                         size_t *next, uint64_t *to, size_t room) {
    const unsigned shift = sort_shift(span);
    for (size_t i = 0; i < n; i++) {
        uint64_t key = keys[i];
        size_t at = next[group[sort_bin(key, span, shift)]]++;
        if (at < room) to[at] = key;
    }
}

/* Count `passes` digits of all keys at once; a constant number of passes makes it fast. */
#define SORT_COUNT_DIGITS(passes) \
    for (size_t i = 0; i < n; i++) { \
        uint64_t x = keys[i] - span.low; \
        for (unsigned p = 0; p < (passes); p++) digits[p][x >> (p * width) & mask]++; \
    }

/* Digit by digit, the lowest first. Leaves the result in `keys` or in `other`; returns where. */
static uint64_t *sort_digits(uint64_t *keys, uint64_t *other, size_t n, struct sort_span span,
                             uint32_t digits[][1 << SORT_DIGIT]) {
    const unsigned widest = n < 2048 ? 8 : SORT_DIGIT, passes = (span.bits + widest - 1) / widest;
    if (!passes || n < 2) return keys;
    const unsigned width = (span.bits + passes - 1) / passes;
    const uint64_t mask = (1u << width) - 1;
    for (unsigned p = 0; p < passes; p++) memset(digits[p], 0, sizeof(uint32_t) << width);
    switch (passes) {
    case 2: SORT_COUNT_DIGITS(2) break;
    case 3: SORT_COUNT_DIGITS(3) break;
    case 4: SORT_COUNT_DIGITS(4) break;
    default: SORT_COUNT_DIGITS(passes)
    }
    for (unsigned p = 0; p < passes; p++) {
        uint32_t *next = digits[p], before = 0;
        if (next[(keys[0] - span.low) >> (p * width) & mask] == n) continue; /* all the same */
        for (uint64_t digit = 0; digit <= mask; digit++) {
            uint32_t count = next[digit];
            next[digit] = before;
            before += count;
        }
        for (size_t i = 0; i < n; i++) {
            uint64_t key = keys[i];
            other[next[(key - span.low) >> (p * width) & mask]++] = key;
        }
        uint64_t *swap = keys;
        keys = other;
        other = swap;
    }
    return keys;
}

/* Sort the n keys of a span, using `other`, as large, and leave them in `keys` or (`move`) in `other`. */
static void sort_within(uint64_t *keys, uint64_t *other, size_t n, int move, struct sort_span span,
                        unsigned level, struct sort_work *work) {
    uint64_t *sorted = keys;
    if (n <= 2 * SORT_GROUP || (span.bits <= 2 * SORT_DIGIT && n <= UINT32_MAX) || !span.bits) {
        sorted = sort_digits(keys, other, n, span, work->digits);
    } else {
        struct sort_groups *groups = &work->levels[level];
        memset(work->bins, 0, sizeof work->bins);
        sort_count(keys, n, span, work->bins);
        sort_join(work->bins, n, span, work->group, groups);
        memcpy(work->next, groups->start, groups->count * sizeof *work->next);
        sort_scatter(keys, n, span, work->group, work->next, other, n);
        for (size_t i = 0; i < groups->count; i++) {
            size_t at = groups->start[i];
            sort_within(other + at, keys + at, groups->start[i + 1] - at, !move, groups->spans[i], level + 1,
                        work);
        }
        return;
    }
    if (sorted != (move ? other : keys)) memcpy(move ? other : keys, sorted, n * sizeof *keys);
}

#endif
