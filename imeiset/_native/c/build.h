/* Building the index: runs of keys in order -> the arrays of index.h, in one pass.
 *
 * Keys are gathered a TAC at a time. Long runs go to the spill, where they cost a few bytes; the other
 * serials go to lines of the shape their number asks for. How long a run has to be for that is the caller's
 * choice between speed and size: who is in a stretch of the lines with a run has to ask the spill.
 */
#ifndef IMEISET_BUILD_H
#define IMEISET_BUILD_H

#include "index.h"

#define RUN_MIN 32u /* keys in a long run, unless the caller says otherwise */

enum build_status {
    BUILD_OK = 0,
    BUILD_NO_MEMORY = 1,
    BUILD_NOT_ASCENDING = 2,
    BUILD_OUT_OF_RANGE = 3,
    BUILD_TOO_LARGE = 4,
    BUILD_DAMAGED = 5 /* an index it is made of has not the keys that it says */
};

/* A growing array of bytes. */
struct bytes {
    uint8_t *data;
    size_t used, room;
    size_t drained; /* bytes that came before and are elsewhere now */
};

static inline uint8_t *bytes_more(struct bytes *b, size_t n) {
    if (b->room - b->used < n) {
        size_t room = b->room + b->room / 4 + n + 4096;
        uint8_t *data = realloc(b->data, room);
        if (!data) return NULL;
        b->data = data;
        b->room = room;
    }
    uint8_t *at = b->data + b->used;
    b->used += n;
    return at;
}

/* Its bytes were taken out: it is empty, and what follows counts from after them. */
static inline void bytes_drained(struct bytes *b) {
    b->drained += b->used;
    b->used = 0;
}

struct run {
    uint64_t start, length;
    int written; /* a run that began in an earlier TAC is in the spill already */
};

struct builder {
    struct bytes pilots, slots, tacs, lines, ranks, spill, fences, spill_ranks; /* the arrays */
    uint32_t seed;
    uint64_t count;
    uint64_t run_min;

    struct bytes directory;      /* slots in TAC order, until they are hashed */
    struct bytes runs;           /* struct run of the TAC at hand */
    uint32_t *serials;           /* other serials of the TAC at hand */
    uint32_t serial_count;
    uint64_t tac;
    uint64_t start, length;      /* the run at hand, which the next may continue; or where it may begin */
    uint64_t line_keys;          /* keys in lines */
    uint64_t spill_keys;         /* members in spill lines written */
    uint64_t spill_gathered;     /* members in the line being gathered */
    struct spill_writer writer;
    int status;
};

static inline int builder_init(struct builder *b) {
    memset(b, 0, sizeof *b);
    b->run_min = RUN_MIN;
    b->serials = malloc(SERIALS * sizeof *b->serials);
    return b->status = b->serials ? BUILD_OK : BUILD_NO_MEMORY;
}

static inline void builder_free(struct builder *b) {
    struct bytes *all[] = {&b->pilots, &b->slots,  &b->tacs,        &b->lines,     &b->ranks,
                           &b->spill,  &b->fences, &b->spill_ranks, &b->directory, &b->runs};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        free(all[i]->data);
        memset(all[i], 0, sizeof *all[i]);
    }
    free(b->serials);
    b->serials = NULL;
}

/* ---- the spill --------------------------------------------------------------- */

static inline int spill_flush(struct builder *b) {
    if (b->writer.entries == 0) return BUILD_OK;
    uint64_t line = (b->spill.drained + b->spill.used) / LINE_BYTES;
    uint8_t *to = bytes_more(&b->spill, LINE_BYTES);
    uint8_t *fence = bytes_more(&b->fences, 8);
    uint8_t *rank = line % 8 == 0 ? bytes_more(&b->spill_ranks, 8) : fence;
    if (!to || !fence || !rank) return b->status = BUILD_NO_MEMORY;
    memcpy(fence, &b->writer.start[0], 8);
    if (line % 8 == 0) memcpy(rank, &b->spill_keys, 8);
    b->spill_keys += b->spill_gathered;
    b->spill_gathered = 0;
    spill_write(&b->writer, to);
    return BUILD_OK;
}

static inline int spill_add(struct builder *b, uint64_t start, uint64_t length) {
    if (!spill_fits(&b->writer, start, length) && spill_flush(b)) return b->status;
    spill_gather(&b->writer, start, length);
    b->spill_gathered += length;
    return BUILD_OK;
}

/* ---- a TAC ------------------------------------------------------------------- */

static inline int rank_add(struct builder *b, uint64_t line, uint32_t count) {
    if (line % RANK_LINES == 0) {
        uint8_t *record = bytes_more(&b->ranks, RANK_BYTES);
        if (!record) return b->status = BUILD_NO_MEMORY;
        memset(record, 0, RANK_BYTES);
        store64(record, b->line_keys);
    }
    uint8_t *record = b->ranks.data + line / RANK_LINES * RANK_BYTES;
    uint32_t i = (uint32_t)(line % RANK_LINES);
    record[5 + i / 8] |= (uint8_t)((count >> 8) << (i % 8));
    record[12 + i] = (uint8_t)count;
    b->line_keys += count;
    return BUILD_OK;
}

/* Write the first n gathered serials and all runs of the TAC to the spill, in order. */
static inline int tac_spill(struct builder *b, uint32_t n) {
    const struct run *run = (const struct run *)b->runs.data;
    uint64_t first = b->tac * SERIALS;
    size_t left = b->runs.used / sizeof *run;
    for (uint32_t i = 0; i < n || left;) {
        int serial = i < n && (!left || first + b->serials[i] < run->start);
        uint64_t start = serial ? first + b->serials[i++] : run->start;
        uint64_t length = serial ? 1 : run->written ? 0 : run->length;
        if (!serial) run++, left--;
        if (length && spill_add(b, start, length)) return b->status;
    }
    return BUILD_OK;
}

/* Note in the lines of the TAC which stretches its runs reach into. */
static inline void tac_mark(struct builder *b, const struct shape *s, uint8_t *lines) {
    const struct run *run = (const struct run *)b->runs.data;
    uint64_t first = b->tac * SERIALS;
    for (size_t left = b->runs.used / sizeof *run; left; left--, run++) {
        uint64_t from = run->start < first ? 0 : run->start - first, to = run->start + run->length - first;
        for (uint64_t nth = from / s->width; nth < s->lines && nth * s->width < to; nth++)
            line_mark(lines + nth * LINE_BYTES, s, (uint32_t)(from > nth * s->width ? from - nth * s->width : 0));
    }
}

/* Room for the lines of a TAC, and its slot; NULL if there is none. */
static inline uint8_t *tac_place(struct builder *b, uint64_t tac, uint32_t row) {
    const uint32_t count = shapes[row].lines, listed = (uint32_t)tac;
    uint64_t line = (b->lines.drained + b->lines.used) / LINE_BYTES, slot = line << 35 | (uint64_t)row << 27 | tac;
    if (line + count > MAX_LINES) {
        b->status = BUILD_TOO_LARGE;
        return NULL;
    }
    uint8_t *lines = bytes_more(&b->lines, (size_t)count * LINE_BYTES);
    uint8_t *to_tacs = bytes_more(&b->tacs, 4), *to_slots = bytes_more(&b->directory, 8);
    if (!lines || !to_tacs || !to_slots) {
        b->status = BUILD_NO_MEMORY;
        return NULL;
    }
    memcpy(to_tacs, &listed, 4);
    memcpy(to_slots, &slot, 8);
    return lines;
}

/* Write the gathered TAC to lines and spill. */
static inline int tac_flush(struct builder *b) {
    uint32_t n = b->serial_count, row = shape_row(n), spilled = n;
    const struct shape *s = &shapes[row];
    if (s->lines) {
        uint64_t line = (b->lines.drained + b->lines.used) / LINE_BYTES;
        uint32_t done = 0, kept;
        uint8_t *lines = tac_place(b, b->tac, row);
        if (!lines) return b->status;
        spilled = 0;
        for (uint32_t nth = 0; nth < s->lines; nth++) {
            uint32_t took = line_write(lines + (size_t)nth * LINE_BYTES, s, nth * s->width, b->serials + done, n - done,
                                       &kept, b->serials + spilled);
            done += took;
            spilled += took - kept;
            if (rank_add(b, line + nth, kept)) return b->status;
        }
        tac_mark(b, s, lines);
    }
    if (tac_spill(b, spilled)) return b->status;
    b->serial_count = 0;
    b->runs.used = 0;
    return BUILD_OK;
}

/* Place the run at hand. */
static inline int run_flush(struct builder *b) {
    uint64_t start = b->start, length = b->length, tac = start / SERIALS;
    if (length == 0) return BUILD_OK;
    b->start += length;
    b->length = 0;
    b->count += length;
    if (tac != b->tac) {
        if (tac_flush(b)) return b->status;
        b->tac = tac;
    }
    if (length < b->run_min && start + length <= (tac + 1) * SERIALS) {
        for (uint64_t i = 0; i < length; i++) b->serials[b->serial_count++] = (uint32_t)(start - tac * SERIALS + i);
        return BUILD_OK;
    }
    struct run r = {start, length, 0};
    uint64_t last_tac = (start + length - 1) / SERIALS;
    uint8_t *to = bytes_more(&b->runs, sizeof r);
    if (!to) return b->status = BUILD_NO_MEMORY;
    memcpy(to, &r, sizeof r);
    if (last_tac != tac) { /* it reaches into a TAC that may have more */
        if (tac_flush(b)) return b->status;
        b->tac = last_tac;
        r.written = 1;
        to = bytes_more(&b->runs, sizeof r);
        if (!to) return b->status = BUILD_NO_MEMORY;
        memcpy(to, &r, sizeof r);
    }
    return BUILD_OK;
}

/* Add the keys start..start + length - 1, all above those before. */
static inline int builder_add(struct builder *b, uint64_t start, uint64_t length) {
    uint64_t next = b->start + b->length;
    if (length == 0 || length > KEYS || start > KEYS - length) return b->status = BUILD_OUT_OF_RANGE;
    if (start < next) return b->status = BUILD_NOT_ASCENDING;
    if (start == next && b->length) {
        b->length += length;
        return BUILD_OK;
    }
    if (run_flush(b)) return b->status;
    b->start = start;
    b->length = length;
    return BUILD_OK;
}

/* Read once: another thread may write the caller's array, and what was checked must be what is used. */
#define read_key(at) __atomic_load_n(at, __ATOMIC_RELAXED)

/* Add ascending keys; repeats count once. */
static inline int builder_add_keys(struct builder *b, const uint64_t *keys, size_t n) {
    uint64_t key = n ? read_key(keys) : 0;
    for (size_t i = 0; i < n;) { /* key: number i */
        uint64_t start = key, next = start + 1;
        for (i++; i < n && (key = read_key(keys + i)) <= next && key + 1 >= next; i++) next = key + 1;
        if (b->length && start + 1 == b->start + b->length && ++start == next) continue; /* a repeat, across calls */
        if (builder_add(b, start, next - start)) return b->status;
        /* nearly all keys of a list stand alone, in the TAC of the one before */
        if (i == n || key < next || run_flush(b)) continue;
        const uint64_t first = b->tac * SERIALS;
        uint32_t *serials = b->serials, count = b->serial_count;
        for (uint64_t after; i + 1 < n && (after = read_key(keys + i + 1)) > key + 1 && key - first < SERIALS; i++) {
            serials[count++] = (uint32_t)(key - first);
            key = after;
        }
        if (count > b->serial_count) b->start = first + serials[count - 1] + 1;
        b->count += count - b->serial_count;
        b->serial_count = count;
    }
    return b->status;
}

/* ---- the directory -------------------------------------------------------------- */

#define PILOT_TACS 4u /* TACs to a pilot, on average */

/* Hash the slots of the directory with this seed; 0: a pilot could not be found. */
static inline int directory_try(const uint64_t *from, uint32_t n, uint8_t *pilots, uint32_t pilot_count,
                                uint64_t *slots, uint32_t slot_count, uint32_t multiplier, uint32_t *bucket_at,
                                uint32_t *members) {
    memset(pilots, 0, pilot_count);
    memset(slots, 0xFF, (size_t)slot_count * 8);
    memset(bucket_at, 0, ((size_t)pilot_count + 1) * 4);
    uint32_t largest = 0;
    for (uint32_t i = 0; i < n; i++) bucket_at[hash_pilot(tac_hash(slot_tac(from[i]), multiplier), pilot_count) + 1]++;
    for (uint32_t p = 0; p < pilot_count; p++) {
        largest = bucket_at[p + 1] > largest ? bucket_at[p + 1] : largest;
        bucket_at[p + 1] += bucket_at[p];
    }
    for (uint32_t i = n; i-- > 0;) { /* fills each bucket from its end: bucket_at[p + 1] becomes its start */
        uint32_t p = hash_pilot(tac_hash(slot_tac(from[i]), multiplier), pilot_count);
        members[--bucket_at[p + 1]] = i;
    }
    for (uint32_t size = largest; size > 0; size--) { /* the largest buckets choose first */
        for (uint32_t p = 0; p < pilot_count; p++) {
            uint32_t at = bucket_at[p + 1], end = p + 1 < pilot_count ? bucket_at[p + 2] : n;
            if (end - at != size) continue;
            uint32_t pilot = 0, placed = 0;
            for (; pilot < 256; pilot++) {
                for (placed = 0; placed < size; placed++) {
                    uint64_t slot = from[members[at + placed]];
                    uint64_t *to = slots + hash_slot(tac_hash(slot_tac(slot), multiplier), (uint8_t)pilot, slot_count);
                    if (slot_tac(*to) != EMPTY_TAC) break;
                    *to = slot;
                }
                if (placed == size) break;
                while (placed > 0) { /* take it back */
                    uint64_t slot = from[members[at + --placed]];
                    slots[hash_slot(tac_hash(slot_tac(slot), multiplier), (uint8_t)pilot, slot_count)] = EMPTY_SLOT;
                }
            }
            if (pilot == 256) return 0;
            pilots[p] = (uint8_t)pilot;
        }
    }
    return 1;
}

static inline int directory_build(struct builder *b) {
    uint32_t n = (uint32_t)(b->directory.used / 8);
    uint32_t pilot_count = n / PILOT_TACS + 1;
    uint32_t *bucket_at = malloc(((size_t)pilot_count + 1) * 4), *members = malloc((size_t)n * 4 + 4);
    b->status = bucket_at && members ? BUILD_OK : BUILD_NO_MEMORY;
    for (uint32_t seed = 0; b->status == BUILD_OK; seed++) {
        uint32_t slot_count = n + n / 20 + seed * (n / 50) + 1;
        b->pilots.used = b->slots.used = 0;
        uint8_t *pilots = bytes_more(&b->pilots, pilot_count);
        uint8_t *slots = bytes_more(&b->slots, (size_t)slot_count * 8);
        if (!pilots || !slots) {
            b->status = BUILD_NO_MEMORY;
        } else if (directory_try((const uint64_t *)b->directory.data, n, pilots, pilot_count, (uint64_t *)slots,
                                 slot_count, seed_multiplier(seed), bucket_at, members)) {
            b->seed = seed;
            break;
        }
    }
    free(bucket_at);
    free(members);
    return b->status;
}

/* Finish: the arrays are complete. */
static inline int builder_finish(struct builder *b) {
    if (b->status || run_flush(b) || tac_flush(b) || spill_flush(b)) return b->status;
    /* a record past the last line, so that the rank of the end is there too */
    uint64_t lines = (b->lines.drained + b->lines.used) / LINE_BYTES;
    if (lines % RANK_LINES == 0 && rank_add(b, lines, 0)) return b->status;
    /* the upper levels of the fences, root first */
    struct index shape;
    uint64_t n = b->fences.used / 8, all = fences_layout(&shape, n);
    struct bytes tree = {0};
    if (all) {
        uint64_t *to = (uint64_t *)bytes_more(&tree, all * 8);
        if (!to) return b->status = BUILD_NO_MEMORY;
        for (uint64_t i = 0; i < all; i++) to[i] = INT64_MAX; /* above every key */
        memcpy(to + shape.level_at[shape.levels - 1], b->fences.data, n * 8);
        for (uint32_t level = shape.levels - 1; level-- > 0;)
            for (uint64_t node = 0; node < shape.level_nodes[level + 1]; node++)
                to[shape.level_at[level] + node] = to[shape.level_at[level + 1] + node * 8];
    }
    free(b->fences.data);
    b->fences = tree;
    return directory_build(b);
}

#endif
