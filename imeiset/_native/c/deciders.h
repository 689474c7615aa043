/* Deciders: a number for each member of the union of a register, at the places of places.h. It is that of a word: all
 * that a verdict needs to know of the lists that have the member. 0: they have to be asked.
 *
 *   bits 0..5   one more than the number of the list of exact IMEIs that is asked first, of those that have it; 0: none
 *   bits 6..8   the statuses of all lists of exact IMEIs that have it, a bit each
 *   bit 9       a list of pairs has it
 *   bit 10      several lists of exact IMEIs have it
 *   bit 11      a whole TAC may have it
 *
 * These are its class. And
 *
 *   bits 12..19 the number of what stands beside it in the list that is asked first, as that says; 0 where it does not
 *
 * They are made a TAC at a time: the members of the union in it are put into a table, and what each list has there is
 * noted. A run, which is one entry of the union's spill, has the word that all of its keys share: the class without what
 * stands beside them where that differs, and 0 where that differs too.
 */
#ifndef IMEISET_DECIDERS_H
#define IMEISET_DECIDERS_H

#include "merge.h"
#include "places.h"

#define CLASS_FIRST 63u
#define CLASS_SEVERAL (1u << 10)
#define CLASS_WIDE (1u << 11)
#define CLASS_BITS 12
#define CLASS_MASK 0xFFFu
#define WORD_BITS 20
#define WORD_MIXED (1u << 31) /* of a run: its keys differ */
#define WORDS 65536u
#define TOLD_WORDS (WORDS - (1u << CLASS_BITS)) /* of them: after so many, what stands beside a member is not told */

/* What one list makes of the class of a member that it has. Lists come the last that is asked first. */
struct source {
    const struct index *ix;
    uint16_t keep, add, several; /* the bits that stay; the new ones; and those if another list was there */
    const uint8_t *beside;       /* of each member, at its rank, the number of what stands beside it; NULL: not known */
};

typedef uint64_t (*rank_kernel)(const struct index *, uint64_t key);

/* A set that is read a TAC at a time. */
struct walk {
    const struct index *ix;
    uint32_t tac;        /* index in ix->tacs */
    uint64_t line;       /* after those that were read */
    uint64_t spill_next; /* the line of the spill after the one at hand */
    uint32_t entry, entries;
    uint64_t start[SPILL_ENTRIES], length[SPILL_ENTRIES]; /* of the entries of that */
    uint64_t spilled; /* members in the entries before the one at hand */
};

/* The members of the union in the TAC at hand that are in no run, in order. */
struct members {
    uint32_t serial[SERIALS + 1]; /* the last is above all */
    uint64_t place[SERIALS];
    uint32_t known[SERIALS + 1];  /* their words; the last is for others */
    uint32_t first[SERIALS + 1];  /* of those from a serial on: of each (1 << shift)th */
    uint32_t count, shift;
    uint32_t more[SERIALS]; /* those in the spill, by themselves; and of a list the entries that begin in the TAC */
    uint64_t more_place[SERIALS + 1]; /* of a list: its members in entries before */
    uint32_t more_below[SERIALS];     /* of a list: its members in the lines of the TAC that are below */
};

struct deciders {
    const struct index *all;
    const struct source *sources;
    uint32_t count; /* of sources */
    rank_kernel rank;
    uint16_t *out; /* places_count(all), all 0 */
    int status;
    uint32_t *words;  /* by number, in the order in which they come */
    uint32_t used;    /* of them, the first included */
    uint16_t *number; /* of each word */
    struct members *members;
    struct walk *walks; /* through the sources, and through the union */
    uint32_t *next;     /* the TACs where these have more */
    uint32_t offsets[BITMAP_WIDTH];
};

/* The word of a member that one more list has, at such a rank. */
static inline uint32_t word_with(uint32_t known, const struct source *s, uint64_t rank) {
    uint32_t class = (known & s->keep & CLASS_MASK) | s->add | (known & CLASS_FIRST ? s->several : 0);
    if (!(s->add & CLASS_FIRST)) return (known & ~CLASS_MASK) | class;
    uint32_t beside = s->beside && rank < s->ix->count ? s->beside[rank] : 0;
    return (known & WORD_MIXED) | beside << CLASS_BITS | class;
}

/* The number of a word; of one too many that of its class alone. */
static inline uint16_t word_number(struct deciders *d, uint32_t word) {
    word &= (1u << WORD_BITS) - 1;
    if (UNLIKELY(d->used >= TOLD_WORDS) && !d->number[word]) word &= CLASS_MASK; /* of which there is room for all */
    uint16_t *number = &d->number[word];
    if (UNLIKELY(!*number) && word & CLASS_MASK) {
        d->words[d->used] = word;
        *number = (uint16_t)d->used++;
    }
    return *number;
}

/* ---- reading -------------------------------------------------------------------------- */

/* The members in the entries of a line of the spill are counted as they are passed. */
static inline void walk_on(struct walk *w) { w->spilled += w->length[w->entry++]; }

/* Go on to the next line of the spill, if all entries of the one at hand were read. */
static inline void walk_spill(struct walk *w) {
    const struct index *ix = w->ix;
    if (w->entry < w->entries || w->spill_next == ix->spill_count) return;
    struct spill_line r;
    uint64_t tac, first;
    spill_read(&r, ix->spill + w->spill_next * LINE_BYTES, spill_fence(ix, w->spill_next));
    first = tac = r.fence / SERIALS;
    for (uint32_t i = 0, group = 0; i < r.entries; i++) { /* as spill_start and spill_length */
        if (r.starts >> i & 1) tac = first + (line_bits(r.line, r.tacs_at + group++ * r.tac_bits) & low_mask(r.tac_bits));
        w->start[i] = tac * SERIALS + spill_serial(&r, i);
        w->length[i] = spill_length(&r, i);
    }
    w->spill_next++;
    w->entry = 0;
    w->entries = r.entries;
}

#define NO_TAC UINT32_MAX

/* The TAC where it has more. */
static inline uint32_t walk_tac(struct walk *w) {
    uint64_t tac = w->tac < w->ix->tac_count ? w->ix->tacs[w->tac] : NO_TAC;
    walk_spill(w);
    uint64_t other = w->entry < w->entries ? w->start[w->entry] / SERIALS : NO_TAC;
    tac = tac < other ? tac : other;
    return tac < NO_TAC ? (uint32_t)tac : NO_TAC;
}

/* Go on to the first TAC with lines from one on; how many of its TACs are below. */
static inline uint32_t walk_to(struct walk *w, uint32_t tac) {
    while (w->tac < w->ix->tac_count && w->ix->tacs[w->tac] < tac) w->tac++;
    return w->tac;
}

/* The lines that it has for a TAC: the first, and their shape, or NULL. Each line is given once. */
static inline const struct shape *walk_lines(struct walk *w, uint32_t tac, uint64_t *line) {
    const struct index *ix = w->ix;
    walk_to(w, tac);
    if (w->tac == ix->tac_count || ix->tacs[w->tac] != tac) return NULL;
    uint64_t slot = *directory_slot(ix, tac);
    const struct shape *s = &shapes[slot_row(slot)];
    w->tac++;
    if (slot_tac(slot) != tac || slot_line(slot) < w->line) return NULL; /* of a damaged index */
    *line = slot_line(slot);
    w->line = *line + s->lines;
    return w->line <= ix->line_count ? s : NULL;
}

/* ---- a TAC ---------------------------------------------------------------------------- */

/* Put the first n members, which are in lines, and those of the spill in one order. */
static inline void members_merge(struct members *m, uint32_t n, uint32_t more) {
    m->count = n + more;
    for (uint32_t to = n + more; more;) {
        if (n && m->serial[n - 1] > m->more[more - 1]) {
            m->serial[--to] = m->serial[--n];
            m->place[to] = m->place[n];
        } else {
            m->serial[--to] = m->more[--more];
            m->place[to] = m->more_place[more];
        }
    }
}

/* Take the members of a TAC; how many of its places in lines come before is counted on. */
static inline void members_take(struct deciders *d, uint32_t tac, uint64_t in_lines, uint64_t *place) {
    struct members *m = d->members;
    struct walk *w = &d->walks[d->count];
    uint64_t line;
    uint32_t n = 0, more = 0;
    const struct shape *s = walk_lines(w, tac, &line);
    for (uint32_t nth = 0; s && nth < s->lines; nth++) {
        uint32_t got = line_offsets(d->all->lines + (line + nth) * LINE_BYTES, s, d->offsets);
        for (uint32_t i = 0; i < got && n < SERIALS && *place < in_lines; i++) {
            uint32_t serial = nth * s->width + d->offsets[i];
            m->serial[n] = serial < SERIALS ? serial : SERIALS - 1;
            m->place[n++] = (*place)++;
        }
    }
    for (walk_spill(w); w->entry < w->entries && w->start[w->entry] / SERIALS <= tac; walk_on(w), walk_spill(w)) {
        if (w->length[w->entry] > 1 || n + more >= SERIALS) continue;
        m->more[more] = (uint32_t)(w->start[w->entry] % SERIALS);
        m->more_place[more++] = in_lines + (w->spill_next - 1) * SPILL_ENTRIES + w->entry;
    }
    members_merge(m, n, more);
    m->serial[m->count] = UINT32_MAX;
    memset(m->known, 0, m->count * sizeof *m->known);
    m->shift = 0;
    while (SERIALS >> m->shift > 4 * m->count && m->shift < 20) m->shift++;
    uint32_t cell = 0;
    for (uint32_t i = 0; i < m->count; i++)
        while (cell <= m->serial[i] >> m->shift) m->first[cell++] = i;
    while (cell <= SERIALS >> m->shift) m->first[cell++] = m->count;
}

/* Note a serial; they come in order. from: what the one before returned, 0 for the first. */
static inline uint32_t note_serial(struct members *m, const struct source *s, uint32_t serial, uint64_t rank, uint32_t from) {
    uint32_t i = m->first[(serial < SERIALS ? serial : SERIALS) >> m->shift];
    i = i > from ? i : from;
    while (m->serial[i] < serial) i++;
    uint32_t *known = &m->known[m->serial[i] == serial ? i : SERIALS]; /* what is in a run is not among them */
    *known = word_with(*known, s, rank);
    return i;
}

/* Note what a list has in a TAC. The rank of what is in lines needs what is in the spill, and the other way round. */
static inline void note_tac(struct deciders *d, const struct source *s, struct walk *w, uint32_t tac) {
    struct members *m = d->members;
    uint64_t line, first = (uint64_t)tac * SERIALS;
    uint64_t before = s->beside ? rank_of_tacs(w->ix, walk_to(w, tac), SIMD_PORTABLE) : 0; /* in lines of other TACs */
    uint32_t at = 0, entries = 0, passed = 0, count = 0;
    const struct shape *shape = walk_lines(w, tac, &line);
    for (walk_spill(w); w->entry < w->entries && w->start[w->entry] < first + SERIALS; walk_on(w), walk_spill(w)) {
        if (w->start[w->entry] < first || entries == SERIALS) continue;
        m->more[entries] = (uint32_t)(w->start[w->entry] - first);
        m->more_place[entries++] = w->spilled;
    }
    m->more_place[entries] = w->spilled;
    for (uint32_t nth = 0; shape && nth < shape->lines; nth++) {
        uint32_t n = line_offsets(w->ix->lines + (line + nth) * LINE_BYTES, shape, d->offsets);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t serial = nth * shape->width + d->offsets[i];
            while (passed < entries && m->more[passed] < serial) m->more_below[passed++] = count;
            at = note_serial(m, s, serial, before + count++ + m->more_place[passed], at);
        }
    }
    while (passed < entries) m->more_below[passed++] = count;
    at = 0;
    for (uint32_t i = 0; i < entries; i++) {
        uint64_t length = m->more_place[i + 1] - m->more_place[i], rank = before + m->more_below[i] + m->more_place[i];
        for (uint64_t j = 0; length < RUN_MIN && j < length; j++) /* longer: in runs of the union */
            at = note_serial(m, s, m->more[i] + (uint32_t)j, rank + j, at);
    }
}

static void decide_tacs(struct deciders *d) {
    struct members *m = d->members;
    uint64_t place = 0, in_lines = places_in_lines(d->all);
    for (uint32_t i = 0; i < d->count; i++) d->next[i] = walk_tac(&d->walks[i]);
    for (uint32_t tac; (tac = walk_tac(&d->walks[d->count])) != NO_TAC;) {
        members_take(d, tac, in_lines, &place);
        for (uint32_t i = 0; i < d->count; i++) {
            if (d->next[i] > tac) continue;
            note_tac(d, &d->sources[i], &d->walks[i], tac);
            d->next[i] = walk_tac(&d->walks[i]);
        }
        for (uint32_t i = 0; i < m->count; i++) d->out[m->place[i]] = word_number(d, m->known[i]);
    }
}

/* ---- runs ----------------------------------------------------------------------------- */

/* The word of a run that one more list has all of. */
static uint32_t run_with(struct deciders *d, uint32_t known, const struct source *s, uint64_t start, uint64_t length) {
    uint64_t rank = s->beside ? d->rank(s->ix, start) : 0, count = s->ix->count; /* of a damaged list any */
    int fits = s->beside && rank < count && length <= count - rank;
    int same = fits && !memcmp(s->beside + rank, s->beside + rank + 1, length - 1);
    return word_with(known, s, same ? rank : UINT64_MAX) | (known & WORD_MIXED);
}

/* Note of each run of the union, by its place in the spill, whether a list has all of it, or a part. */
static void note_runs(struct deciders *d, const struct source *s, uint32_t *known) {
    const struct index *all = d->all;
    struct cursor c;
    cursor_init(&c, s->ix, 1);
    uint32_t tac = 0;
    for (uint64_t line = 0; line < all->spill_count; line++) {
        struct spill_line r;
        if (!(load64(all->spill + line * LINE_BYTES) >> 10 & 63)) continue;
        spill_read(&r, all->spill + line * LINE_BYTES, spill_fence(all, line));
        for (uint32_t i = 0; i < r.entries; i++) {
            uint64_t start = spill_start(&r, i), end = start + spill_length(&r, i), has = 0;
            if (end - start == 1) continue;
            while (c.length && c.start + c.length <= start) cursor_spill(&c);
            while (tac < s->ix->tac_count && s->ix->tacs[tac] < start / SERIALS) tac++;
            if (c.length && c.start <= start && c.start + c.length >= end) has = end - start;
            else if ((c.length && c.start < end) || (tac < s->ix->tac_count && s->ix->tacs[tac] <= (end - 1) / SERIALS))
                has = d->rank(s->ix, end) - d->rank(s->ix, start);
            uint32_t *of = &known[line * SPILL_ENTRIES + i];
            *of = has == 0 ? *of : has == end - start ? run_with(d, *of, s, start, has) : *of | WORD_MIXED;
        }
    }
}

static int decide_runs(struct deciders *d) {
    const struct index *all = d->all;
    uint16_t *out = d->out + places_in_lines(all);
    int some = 0;
    for (uint64_t line = 0; line < all->spill_count; line++) some |= (load64(all->spill + line * LINE_BYTES) >> 10 & 63) != 0;
    if (!some) return BUILD_OK;
    uint32_t *known = calloc(all->spill_count * SPILL_ENTRIES, sizeof *known);
    if (!known) return BUILD_NO_MEMORY;
    for (uint32_t i = 0; i < d->count; i++) note_runs(d, &d->sources[i], known);
    for (uint64_t line = 0; line < all->spill_count; line++) {
        struct spill_line r;
        spill_read(&r, all->spill + line * LINE_BYTES, spill_fence(all, line));
        for (uint32_t i = 0; i < r.entries; i++) {
            uint64_t length = spill_length(&r, i);
            uint32_t word = known[line * SPILL_ENTRIES + i] | (length >= SERIALS ? CLASS_WIDE : 0);
            if (length > 1 && !(word & WORD_MIXED)) out[line * SPILL_ENTRIES + i] = word_number(d, word);
        }
    }
    free(known);
    return BUILD_OK;
}

static void deciders_free(struct deciders *d) {
    free(d->words);
    free(d->number);
}

/* Fill `out` and `words`; what is not given is 0. The caller frees it, whatever the status is. */
static void deciders_make(struct deciders *d) {
    d->status = BUILD_NO_MEMORY;
    d->used = 1;
    d->words = calloc(WORDS, sizeof *d->words);
    d->number = calloc(1u << WORD_BITS, sizeof *d->number);
    d->members = malloc(sizeof *d->members);
    d->walks = calloc(d->count + 1, sizeof *d->walks);
    d->next = malloc((d->count + 1) * sizeof *d->next);
    if (d->words && d->number && d->members && d->walks && d->next) {
        for (uint32_t i = 0; i <= d->count; i++) d->walks[i].ix = i < d->count ? d->sources[i].ix : d->all;
        d->members->known[SERIALS] = 0;
        decide_tacs(d);
        d->status = decide_runs(d);
    }
    free(d->members);
    free(d->walks);
    free(d->next);
}

#endif
