/* Reading an index in order, and set algebra as one sweep over two of them.
 *
 * A cursor yields runs of keys in ascending order; neighbours are not joined. Its memory is a
 * few kilobytes, whatever the size of the set. A cursor over a damaged index yields each line
 * once at most and no more keys than the index says it has; it ends early and says so, or
 * yields runs out of order, which the builder refuses.
 */
#ifndef IMEISET_MERGE_H
#define IMEISET_MERGE_H

#include "build.h"

struct cursor {
    const struct index *ix;
    /* lines: the serials of the line at hand */
    uint32_t tac, nth, tacs; /* index in ix->tacs, line of the TAC */
    uint64_t line;           /* first line of the TAC: TACs have their lines one after another */
    uint32_t row, at, n;
    uint64_t base;           /* first key of the line at hand */
    uint32_t offsets[BITMAP_WIDTH];
    /* spill: the entries of the line at hand */
    uint64_t spill_next; /* the line after the one at hand */
    uint32_t entry;
    struct spill_line spill;
    uint64_t start, length; /* the next entry; length 0 at the end */
    uint64_t left;          /* keys to come; if not 0 at the end, the index is damaged */
};

/* The same as line_decode, a serial at a time instead of a bit at a time. */
static inline uint32_t line_offsets(const uint8_t *line, const struct shape *s, uint32_t *offsets) {
    if (s->capacity == 0) return line_decode(line, s, offsets);
    const uint32_t unary = s->buckets + s->capacity + 1u, low_bits = s->low_bits, capacity = s->capacity;
    const uint64_t mask = low_mask(low_bits);
    uint32_t n = 0, low_at = s->low_at;
    for (uint32_t first = 0; first < unary; first += 64) {
        uint64_t zeros = ~load64(line + 1 + first / 8);
        if (unary - first < 64) zeros &= low_mask(unary - first);
        for (; zeros && n < capacity; zeros &= zeros - 1, n++, low_at += low_bits) {
            uint32_t ones = first + (uint32_t)__builtin_ctzll(zeros) - n; /* before it */
            offsets[n] = (ones ? ones - 1 : 0) << low_bits | (uint32_t)(line_bits(line, low_at) & mask);
        }
    }
    return n;
}

/* Decode lines until one has serials. */
static inline void cursor_lines(struct cursor *c) {
    const struct index *ix = c->ix;
    while (c->at == c->n && c->tac < c->tacs) {
        if (c->nth == 0) {
            uint64_t slot = *directory_slot(ix, ix->tacs[c->tac]);
            c->line += c->tac ? shapes[c->row].lines : 0;
            c->row = slot_row(slot);
            if (slot_line(slot) != c->line) { /* damage, and lines would be read again and again */
                c->tac = c->tacs;
                return;
            }
        }
        const struct shape *s = &shapes[c->row];
        uint64_t line = c->line + c->nth;
        c->at = c->n = 0;
        c->base = (uint64_t)ix->tacs[c->tac] * SERIALS + (uint64_t)c->nth * s->width;
        if (c->nth < s->lines && line < ix->line_count)
            c->n = line_offsets(ix->lines + line * LINE_BYTES, s, c->offsets);
        if (++c->nth >= s->lines) c->nth = 0, c->tac++;
    }
}

static inline void cursor_spill(struct cursor *c) {
    const struct index *ix = c->ix;
    c->length = 0;
    while (c->entry == c->spill.entries) {
        if (c->spill_next == ix->spill_count) return;
        spill_read(&c->spill, ix->spill + c->spill_next * LINE_BYTES, spill_fence(ix, c->spill_next));
        c->spill_next++;
        c->entry = 0;
    }
    c->start = spill_start(&c->spill, c->entry);
    c->length = spill_length(&c->spill, c->entry);
    c->entry++;
}

static inline void cursor_init(struct cursor *c, const struct index *ix, int spill_only) {
    memset(c, 0, sizeof *c);
    c->ix = ix;
    c->tacs = spill_only ? 0 : ix->tac_count;
    c->left = spill_only ? UINT64_MAX : ix->count;
    cursor_lines(c);
    cursor_spill(c);
}

/* It has more keys than it says: this is the end. */
static inline int cursor_damaged(struct cursor *c) {
    c->at = c->n = 0;
    c->tac = c->tacs;
    c->length = 0;
    c->entry = c->spill.entries = 0;
    c->spill_next = c->ix->spill_count;
    c->left = UINT64_MAX;
    return 0;
}

/* The next run; 0 at the end. */
static inline int cursor_next(struct cursor *c, uint64_t *start, uint64_t *length) {
    if (c->at < c->n) {
        uint64_t key = c->base + c->offsets[c->at];
        if (c->length == 0 || key < c->start) {
            if (c->left == 0) return cursor_damaged(c);
            c->left--;
            *start = key;
            *length = 1;
            if (++c->at == c->n) cursor_lines(c);
            return 1;
        }
    }
    if (c->length == 0) return 0;
    if (c->length > c->left) return cursor_damaged(c);
    c->left -= c->length;
    *start = c->start;
    *length = c->length;
    cursor_spill(c);
    return 1;
}

/* A cursor that also hands out runs in pieces. */
struct reader {
    struct cursor cursor;
    uint64_t start, length; /* what is left of the run at hand */
};

static inline void reader_init(struct reader *r, const struct index *ix, int spill_only) {
    cursor_init(&r->cursor, ix, spill_only);
    r->length = 0;
}

/* Up to n keys; fewer at the end. */
static inline size_t reader_keys(struct reader *r, uint64_t *keys, size_t n) {
    size_t got = 0;
    while (got < n) {
        if (r->length == 0 && !cursor_next(&r->cursor, &r->start, &r->length)) break;
        size_t take = r->length < n - got ? (size_t)r->length : n - got;
        for (size_t i = 0; i < take; i++) keys[got + i] = r->start + i;
        r->start += take;
        r->length -= take;
        got += take;
    }
    return got;
}

/* Up to n runs as lowest and highest key, neighbours joined; fewer at the end. */
static inline size_t reader_runs(struct reader *r, uint64_t *lows, uint64_t *highs, size_t n) {
    size_t got = 0;
    while (got < n) {
        if (r->length == 0 && !cursor_next(&r->cursor, &r->start, &r->length)) break;
        uint64_t start = r->start, end = r->start + r->length;
        while ((r->length = 0, cursor_next(&r->cursor, &r->start, &r->length)) && r->start == end) end += r->length;
        lows[got] = start;
        highs[got++] = end - 1;
    }
    return got;
}

/* One of two sources of runs in a sweep. */
struct side {
    struct cursor cursor;
    uint64_t start, end; /* the run at hand; start == NO_MORE at the end */
};

#define NO_MORE UINT64_MAX

static inline void side_next(struct side *s) {
    uint64_t length;
    if (cursor_next(&s->cursor, &s->start, &length))
        s->end = s->start + length;
    else
        s->start = s->end = NO_MORE;
}

enum set_op { OP_OR = 0, OP_AND = 1, OP_SUB = 2, OP_XOR = 3 };

/* Sweep over a and b. Adds the keys of `a op b` to the builder where there is one, else stops at
 * the first; returns whether there was any. */
static inline int sweep(struct side *a, struct side *b, int op, struct builder *to) {
    int any = 0;
    while (a->start != NO_MORE || b->start != NO_MORE) {
        if (a->start == NO_MORE && (op == OP_AND || op == OP_SUB)) break;
        if (b->start == NO_MORE && op == OP_AND) break;
        uint64_t from = a->start < b->start ? a->start : b->start;
        int in_a = a->start == from, in_b = b->start == from;
        uint64_t end = in_a ? a->end : a->start;
        uint64_t end_b = in_b ? b->end : b->start;
        end = end < end_b ? end : end_b;
        int keep = op == OP_OR ? 1 : op == OP_AND ? in_a & in_b : op == OP_SUB ? !in_b : in_a ^ in_b;
        if (keep) {
            any = 1;
            if (!to || builder_add(to, from, end - from)) return any;
        }
        if (in_a && (a->start = end) == a->end) side_next(a);
        if (in_b && (b->start = end) == b->end) side_next(b);
    }
    return any;
}

/* Whether it was read to its end, and has not the keys that it says. */
static inline int side_damaged(const struct side *s) { return s->start == NO_MORE && s->cursor.left != 0; }

/* sweep(); COMBINE_DAMAGED, and a builder that says so, if what was read of one is damaged. */
#define COMBINE_DAMAGED (-1)

static inline int combine(const struct index *a, const struct index *b, int op, struct builder *to) {
    struct side sides[2];
    cursor_init(&sides[0].cursor, a, 0);
    cursor_init(&sides[1].cursor, b, 0);
    side_next(&sides[0]);
    side_next(&sides[1]);
    int any = sweep(&sides[0], &sides[1], op, to);
    if (!side_damaged(&sides[0]) && !side_damaged(&sides[1])) return any;
    if (to && to->status == BUILD_OK) to->status = BUILD_DAMAGED;
    return COMBINE_DAMAGED;
}

#endif
