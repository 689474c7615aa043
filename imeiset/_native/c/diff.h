/* Which keys are in one of two indexes only: a stretch of TACs at a time, skipping what is equal.
 *
 * A TAC has the same shape in both where its numbers of serials are close, and then the lines of a stretch
 * hold the same serials if their bytes are equal: most lines are compared and never decoded. The others,
 * and the spills, are read in order. Whether a key is in a line or in the spill may differ: what the lines
 * say and what the spills say is put together at the end.
 */
#ifndef IMEISET_DIFF_H
#define IMEISET_DIFF_H

#include "merge.h"

#define DIFF_SERIALS (2048u * BITMAP_WIDTH) /* more than the lines of a TAC can hold */

/* Keys in the lines of one index only, in order: key * 2 + which. */
struct differing {
    struct bytes keys;
    uint32_t *serials[2]; /* room for those of a TAC */
    int status;
};

static inline void differ_emit(struct differing *d, uint64_t key, unsigned which) {
    uint8_t *to = bytes_more(&d->keys, 8);
    uint64_t coded = key << 1 | which;
    if (!to) d->status = BUILD_NO_MEMORY;
    else memcpy(to, &coded, 8);
}

/* Compare two ascending lists of serials of a TAC. */
static inline void differ_serials(struct differing *d, uint64_t first, const uint32_t *a, uint32_t n, const uint32_t *b,
                                  uint32_t m) {
    uint32_t i = 0, j = 0;
    while (i < n && j < m) {
        if (a[i] == b[j]) {
            i++, j++;
        } else if (a[i] < b[j]) {
            differ_emit(d, first + a[i++], 0);
        } else {
            differ_emit(d, first + b[j++], 1);
        }
    }
    while (i < n) differ_emit(d, first + a[i++], 0);
    while (j < m) differ_emit(d, first + b[j++], 1);
}

static inline int line_equal(const uint8_t *a, const uint8_t *b) {
    uint64_t differ = 0;
    for (int at = 0; at < LINE_BYTES; at += 8) {
        uint64_t x, y;
        memcpy(&x, a + at, 8);
        memcpy(&y, b + at, 8);
        differ |= x ^ y;
    }
    return differ == 0;
}

/* The serials of all lines of a TAC. */
static inline uint32_t tac_serials(const struct index *ix, uint64_t slot, uint32_t *serials) {
    const struct shape *s = &shapes[slot_row(slot)];
    uint32_t n = 0;
    for (uint32_t nth = 0; nth < s->lines && slot_line(slot) + nth < ix->line_count; nth++) {
        uint32_t held = line_offsets(ix->lines + (slot_line(slot) + nth) * LINE_BYTES, s, serials + n);
        for (uint32_t i = 0; i < held; i++) serials[n + i] += nth * s->width;
        n += held;
    }
    return n;
}

/* The lines of a TAC that has the same shape in both. */
static inline void differ_lines(struct differing *d, const struct index *a, const struct index *b, uint64_t tac,
                                uint64_t slot_a, uint64_t slot_b) {
    const struct shape *s = &shapes[slot_row(slot_a)];
    for (uint32_t nth = 0; nth < s->lines; nth++) {
        uint64_t line_a = slot_line(slot_a) + nth, line_b = slot_line(slot_b) + nth;
        if (line_a >= a->line_count || line_b >= b->line_count) return; /* of a damaged index */
        const uint8_t *in_a = a->lines + line_a * LINE_BYTES, *in_b = b->lines + line_b * LINE_BYTES;
        if (line_equal(in_a, in_b)) continue;
        uint32_t n = line_offsets(in_a, s, d->serials[0]), m = line_offsets(in_b, s, d->serials[1]);
        differ_serials(d, tac * SERIALS + (uint64_t)nth * s->width, d->serials[0], n, d->serials[1], m);
    }
}

/* The first place among the TACs with lines at or above this one. */
static inline uint32_t tacs_from(const struct index *ix, uint64_t tac) {
    uint32_t low = 0, high = ix->tac_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ix->tacs[middle] < tac) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Compare the lines of the TACs from `tac` up to `end`. */
static inline void differ_tacs(struct differing *d, const struct index *a, const struct index *b, uint64_t tac, uint64_t end) {
    uint32_t i = tacs_from(a, tac), j = tacs_from(b, tac);
    while (d->status == BUILD_OK) {
        uint64_t in_a = i < a->tac_count ? a->tacs[i] : end, in_b = j < b->tac_count ? b->tacs[j] : end;
        uint64_t at = in_a < in_b ? in_a : in_b;
        if (at >= end) break;
        uint64_t slot_a = *directory_slot(a, at), slot_b = *directory_slot(b, at);
        if (in_a == in_b && slot_row(slot_a) == slot_row(slot_b)) {
            differ_lines(d, a, b, at, slot_a, slot_b);
        } else {
            uint32_t n = in_a == at ? tac_serials(a, slot_a, d->serials[0]) : 0;
            uint32_t m = in_b == at ? tac_serials(b, slot_b, d->serials[1]) : 0;
            differ_serials(d, at * SERIALS, d->serials[0], n, d->serials[1], m);
        }
        i += in_a == at;
        j += in_b == at;
    }
}

/* A run of keys that is in one of the spills only; length 0 at the end. */
struct differing_run {
    uint64_t start, end;
    unsigned which;
};

/* A cursor over the spill, at the first entry that ends above a key. */
static inline void side_from(struct side *s, const struct index *ix, uint64_t key) {
    cursor_init(&s->cursor, ix, 1);
    if (ix->spill_count) {
        uint64_t low = 0, high = ix->spill_count; /* the last line whose fence is not above it */
        while (high - low > 1) {
            uint64_t middle = low + (high - low) / 2;
            if (spill_fence(ix, middle) <= key) low = middle;
            else high = middle;
        }
        s->cursor.spill_next = low;
        s->cursor.entry = s->cursor.spill.entries = 0;
        cursor_spill(&s->cursor);
    }
    do side_next(s);
    while (s->start != NO_MORE && s->end <= key);
    if (s->start < key) s->start = key;
}

/* The next keys that one spill has only, below `end`. */
static inline struct differing_run differ_spill(struct side *a, struct side *b, uint64_t end) {
    for (;;) {
        uint64_t from = a->start < b->start ? a->start : b->start;
        if (from >= end) return (struct differing_run){NO_MORE, NO_MORE, 0};
        int in_a = a->start == from, in_b = b->start == from;
        uint64_t to = in_a ? a->end : a->start, to_b = in_b ? b->end : b->start;
        to = to < to_b ? to : to_b;
        to = to < end ? to : end;
        if (in_a && (a->start = to) >= a->end) side_next(a);
        if (in_b && (b->start = to) >= b->end) side_next(b);
        if (in_a != in_b) return (struct differing_run){from, to, (unsigned)in_b};
    }
}

/* Add keys from..to - 1 to pairs of lowest and highest key. */
static inline int pairs_add(struct bytes *pairs, uint64_t from, uint64_t to) {
    uint64_t pair[2] = {from, to - 1};
    if (pairs->used) {
        uint64_t last;
        memcpy(&last, pairs->data + pairs->used - 8, 8);
        if (last + 1 == from) {
            memcpy(pairs->data + pairs->used - 8, &pair[1], 8);
            return BUILD_OK;
        }
    }
    uint8_t *at = bytes_more(pairs, sizeof pair);
    if (!at) return BUILD_NO_MEMORY;
    memcpy(at, pair, sizeof pair);
    return BUILD_OK;
}

/* The keys of the TACs from `tac` up to `end` that only a has, and that only b has, as pairs of lowest and
 * highest key, in order. Of damaged indexes: any pairs. */
static inline int difference(const struct index *a, const struct index *b, uint64_t tac, uint64_t end,
                             struct bytes only[2]) {
    struct differing d = {.status = BUILD_OK};
    d.serials[0] = malloc(DIFF_SERIALS * sizeof(uint32_t));
    d.serials[1] = malloc(DIFF_SERIALS * sizeof(uint32_t));
    if (!d.serials[0] || !d.serials[1]) d.status = BUILD_NO_MEMORY;
    else differ_tacs(&d, a, b, tac, end);
    free(d.serials[0]);
    free(d.serials[1]);

    struct side sides[2];
    side_from(&sides[0], a, tac * SERIALS);
    side_from(&sides[1], b, tac * SERIALS);
    struct differing_run run = differ_spill(&sides[0], &sides[1], end * SERIALS);
    for (size_t i = 0; d.status == BUILD_OK && i < d.keys.used; i += 8) {
        uint64_t coded, key;
        memcpy(&coded, d.keys.data + i, 8);
        key = coded >> 1;
        for (; d.status == BUILD_OK && run.end <= key; run = differ_spill(&sides[0], &sides[1], end * SERIALS))
            d.status = pairs_add(&only[run.which], run.start, run.end);
        if (run.start <= key) { /* both have it: one in a line, one in the spill */
            if (run.start < key && d.status == BUILD_OK) d.status = pairs_add(&only[run.which], run.start, key);
            run.start = key + 1;
            if (run.start == run.end) run = differ_spill(&sides[0], &sides[1], end * SERIALS);
        } else if (d.status == BUILD_OK) {
            d.status = pairs_add(&only[coded & 1], key, key + 1);
        }
    }
    for (; d.status == BUILD_OK && run.start != NO_MORE; run = differ_spill(&sides[0], &sides[1], end * SERIALS))
        d.status = pairs_add(&only[run.which], run.start, run.end);
    free(d.keys.data);
    return d.status;
}

#endif
