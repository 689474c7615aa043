/* An index in which some keys are flipped: what is in it goes, what is not comes.
 *
 * A change is small against its list, so most lines stay as they are, byte for byte: they are copied with
 * their ranks, and so are their entries in the spill. What is built anew are the lines whose serials changed,
 * and a TAC as a whole only where its shape changes or runs are near. The result is that of sweep() and
 * builder_finish(), byte for byte, of an index that was built with RUN_MIN. Of a damaged index: anything, or
 * an error.
 */
#ifndef IMEISET_PATCH_H
#define IMEISET_PATCH_H

#include "diff.h"

#define FLIPS 4096u /* in a TAC; with more, it is built anew */

struct patch {
    const struct index *ix;
    struct side spill;   /* the run of the spill at hand; */
    uint64_t origin;     /* where it began, if a part of it is done */
    struct side flips;
    uint32_t *serials;   /* in the lines of the TAC at hand, */
    uint32_t at, n;      /* of which those before `at` are done */
    uint64_t first;      /* its first key */
    struct bytes runs;   /* struct run: what the spill has of a TAC */
    uint32_t flipped[FLIPS]; /* serials */
    struct {
        uint32_t serials, runs; /* how many, and how many of the spill's are done with it */
    } lines[FLIPS];             /* those that change */
    struct builder *to;
};

static inline void patch_spill_next(struct patch *p) {
    side_next(&p->spill);
    p->origin = p->spill.start;
}

/* ---- built anew ------------------------------------------------------------------ */

/* All keys of the sources below `end` to the builder, but for those that both have. */
static inline int patch_sweep(struct patch *p, uint64_t end) {
    struct side *flips = &p->flips;
    for (;;) {
        uint64_t key = p->at < p->n ? p->first + p->serials[p->at] : NO_MORE;
        int single = key < p->spill.start;
        uint64_t start = single ? key : p->spill.start, upto = single ? key + 1 : p->spill.end;
        uint64_t from = start < flips->start ? start : flips->start;
        if (from >= end) return BUILD_OK;
        int here = start == from, flip = flips->start == from;
        uint64_t to = here ? upto : start, other = flip ? flips->end : flips->start;
        to = to < other ? to : other;
        to = to < end ? to : end;
        if (here != flip && builder_add(p->to, from, to - from)) return p->to->status;
        if (here && single) p->at++;
        else if (here && (p->spill.start = to) >= p->spill.end) patch_spill_next(p);
        if (flip && (flips->start = to) >= flips->end) side_next(flips);
    }
}

/* The TAC that has the slot, key by key. */
static inline int patch_anew(struct patch *p, uint64_t slot) {
    p->at = 0;
    p->n = tac_serials(p->ix, slot, p->serials);
    int status = patch_sweep(p, p->first + SERIALS);
    p->at = p->n = 0;
    return status;
}

/* ---- copied ------------------------------------------------------------------------ */

static inline uint32_t line_count(const struct index *ix, uint64_t line) {
    const uint8_t *record = ix->ranks + line / RANK_LINES * RANK_BYTES;
    uint32_t i = (uint32_t)(line % RANK_LINES);
    return record[12 + i] | (uint32_t)(record[5 + i / 8] >> (i % 8) & 1) << 8;
}

/* A TAC whose flips and spill are known. */
struct patch_tac {
    const struct shape *s;
    uint32_t row, flips;
    uint64_t line;            /* the first */
    const struct run *runs;   /* what the spill has of it */
    uint32_t run_count, n;    /* n: of its serials, those of long runs apart */
};

/* The serials of one of its lines as they will be: those of the line and of the spill from number *run on, but
 * for the flips from number *flip on, in order. Returns how many; UINT32_MAX if it cannot be told. */
static inline uint32_t patch_line(const struct patch *p, const struct patch_tac *t, uint32_t nth, uint32_t *run,
                                  uint32_t *flip, uint32_t *out, uint32_t room) {
    uint32_t offsets[BITMAP_WIDTH], from = nth * t->s->width, to = from + t->s->width, count = 0;
    uint32_t n = line_offsets(p->ix->lines + (t->line + nth) * LINE_BYTES, t->s, offsets), i = 0;
    uint32_t length = 0; /* of the run of consecutive serials that ends with the last one */
    int grown = 0;       /* whether a flip is in it */
    for (;;) {
        uint32_t kept = i < n ? from + offsets[i] : UINT32_MAX;
        uint32_t spilled = *run < t->run_count ? (uint32_t)(t->runs[*run].start - p->first) : UINT32_MAX;
        uint32_t flipped = *flip < t->flips ? p->flipped[*flip] : UINT32_MAX;
        spilled = spilled < to ? spilled : UINT32_MAX;
        flipped = flipped < to ? flipped : UINT32_MAX;
        uint32_t here = kept < spilled ? kept : spilled, serial = here < flipped ? here : flipped;
        if (serial == UINT32_MAX) break;
        i += kept == serial;
        *run += spilled == serial;
        *flip += flipped == serial;
        if (here == flipped) continue;
        if (count == room || serial < from || serial >= to || (count && serial <= out[count - 1])) return UINT32_MAX;
        int next = count && serial == out[count - 1] + 1;
        length = next ? length + 1 : 1;
        grown = (next && grown) | (flipped == serial);
        /* a run that grew, long, or into the next line */
        if (grown && (length >= RUN_MIN / 2 || serial - length + 1 == from || serial + 1 == to)) return UINT32_MAX;
        out[count++] = serial;
    }
    return count;
}

/* Write a TAC that keeps its shape. 0: it does not, or that cannot be told without building it anew. */
static inline int patch_copy(struct patch *p, uint64_t slot) {
    struct builder *b = p->to;
    struct patch_tac t = {.s = &shapes[slot_row(slot)], .row = slot_row(slot), .line = slot_line(slot)};
    const struct index *ix = p->ix;
    const uint64_t end = p->first + SERIALS;
    if (t.s->lines == 0 || t.line >= ix->line_count || ix->line_count - t.line < t.s->lines) return 0;
    if (p->origin < p->first || (b->length && b->start + b->length == p->first)) return 0; /* a run reaches it */
    if (run_flush(b) || tac_flush(b)) return 0;

    /* what the spill and the flips have of it; they are put back if that is no use */
    struct side spill = p->spill, flips = p->flips;
    uint64_t origin = p->origin, members = 0;
    int useful = flips.start != end, long_runs = 0;
    for (p->runs.used = 0; useful && p->spill.start < end; patch_spill_next(p)) {
        struct run r = {p->spill.start, p->spill.end - p->spill.start, 0};
        uint8_t *to = bytes_more(&p->runs, sizeof r);
        if (!to) {
            b->status = BUILD_NO_MEMORY;
            return 0;
        }
        memcpy(to, &r, sizeof r);
        const struct run *last = (const struct run *)p->runs.data + t.run_count++;
        useful = r.start + r.length <= end && (r.length == 1 || r.length >= RUN_MIN) &&
                 (t.run_count == 1 || r.start >= last[-1].start + last[-1].length);
        long_runs |= r.length > 1;
        t.n += r.length == 1;
        members += r.length;
    }
    for (; useful && p->flips.start < end; side_next(&p->flips)) {
        for (uint64_t key = p->flips.start; useful && key < p->flips.end; key++) {
            useful = t.flips < FLIPS && key > p->first && key < end - 1 && !long_runs;
            if (useful) p->flipped[t.flips++] = (uint32_t)(key - p->first);
        }
    }
    useful = useful && p->flips.start != end;
    t.runs = (const struct run *)p->runs.data;

    /* the serials of the lines that change, one after another, and how many there are in all */
    uint32_t run = 0, flip = 0, used = 0, changed = 0;
    for (uint32_t nth = 0; useful && nth < t.s->lines; nth++) {
        uint32_t held = line_count(ix, t.line + nth);
        t.n += held;
        members += held;
    }
    uint32_t before = t.n;
    while (useful && flip < t.flips) {
        uint32_t nth = p->flipped[flip] / t.s->width, was = flip, first_run;
        while (run < t.run_count && t.runs[run].start - p->first < (uint64_t)nth * t.s->width) run++;
        first_run = run;
        uint32_t count = patch_line(p, &t, nth, &run, &flip, b->serials + used, SERIALS - used);
        useful = count != UINT32_MAX && flip > was;
        if (!useful) break;
        t.n = t.n - line_count(ix, t.line + nth) - (run - first_run) + count;
        used += count;
        p->lines[changed].serials = count;
        p->lines[changed++].runs = run;
    }
    useful = useful && shape_row(before) == t.row && shape_row(t.n) == t.row;
    if (!useful) {
        p->spill = spill;
        p->flips = flips;
        p->origin = origin;
        return 0;
    }

    uint64_t line = (b->lines.drained + b->lines.used) / LINE_BYTES;
    uint8_t *lines = tac_place(b, p->first / SERIALS, t.row);
    if (!lines) return 0;
    memcpy(lines, ix->lines + t.line * LINE_BYTES, (size_t)t.s->lines * LINE_BYTES);
    run = flip = used = changed = 0;
    for (uint32_t nth = 0; nth < t.s->lines; nth++) {
        uint32_t kept, upto = (nth + 1) * t.s->width;
        if (flip < t.flips && p->flipped[flip] < upto) {
            uint32_t *serials = b->serials + used, count = p->lines[changed].serials;
            while (flip < t.flips && p->flipped[flip] < upto) flip++;
            run = p->lines[changed++].runs;
            used += count;
            line_write(lines + (size_t)nth * LINE_BYTES, t.s, nth * t.s->width, serials, count, &kept, serials);
            for (uint32_t i = 0; i < count - kept; i++)
                if (spill_add(b, p->first + serials[i], 1)) return 0;
        } else {
            kept = line_count(ix, t.line + nth);
            for (; run < t.run_count && t.runs[run].start - p->first < upto; run++)
                if (spill_add(b, t.runs[run].start, t.runs[run].length)) return 0;
        }
        if (rank_add(b, line + nth, kept)) return 0;
    }
    b->count += members - before + t.n;
    b->start = end;
    b->tac = p->first / SERIALS;
    return 1;
}

/* The keys of ix, those of `flips` flipped, to the builder. */
static inline int patch(const struct index *ix, const struct index *flips, struct builder *to) {
    struct patch *p = calloc(1, sizeof *p);
    if (!p) return to->status = BUILD_NO_MEMORY;
    p->ix = ix;
    p->to = to;
    p->serials = malloc(DIFF_SERIALS * sizeof *p->serials);
    if (!p->serials) to->status = BUILD_NO_MEMORY;
    cursor_init(&p->spill.cursor, ix, 1);
    cursor_init(&p->flips.cursor, flips, 0);
    patch_spill_next(p);
    side_next(&p->flips);
    uint64_t line = 0; /* TACs have their lines one after another: so the result is no larger than it may be */
    for (uint32_t i = 0; to->status == BUILD_OK && i < ix->tac_count; i++) {
        uint64_t slot = *directory_slot(ix, ix->tacs[i]);
        p->first = (uint64_t)ix->tacs[i] * SERIALS;
        if (ix->tacs[i] >= TACS || (i && ix->tacs[i] <= ix->tacs[i - 1]) || slot_line(slot) != line) {
            to->status = BUILD_NOT_ASCENDING;
            break;
        }
        line += shapes[slot_row(slot)].lines;
        if (patch_sweep(p, p->first)) break;
        if (!patch_copy(p, slot) && to->status == BUILD_OK) patch_anew(p, slot);
    }
    if (to->status == BUILD_OK && patch_sweep(p, NO_MORE) == BUILD_OK && side_damaged(&p->flips))
        to->status = BUILD_DAMAGED;
    free(p->serials);
    free(p->runs.data);
    free(p);
    return to->status;
}

#endif
