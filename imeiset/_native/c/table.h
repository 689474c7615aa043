/* Delimited text: a row that looks like one before it, byte for byte but for its digits, has the same
 * cells at the same places, so nothing needs to be looked for; any other row is left to scan.h, one at a
 * time, and may be looked like next.
 *
 * The short cut takes rows of one line whose identity is 14, 15 or 16 digits, whose status and whose watched
 * cells, if there are such, are those of the row that was looked at, and whose identity is accepted. Digits end
 * no cell and no row, so to scan_rows such a row has the same cells.
 */
#ifndef IMEISET_TABLE_H
#define IMEISET_TABLE_H

#include "plain.h"

#define TABLE_SHAPES 8 /* kept: lists with empty cells, or numbers of several lengths, have a few */
#define TABLE_BYTES 64 /* looked at in a row, without an identity at its start */
#define TABLE_REACH (TABLE_BYTES + 16) /* bytes that may be read from the start of a row on */
#define TABLE_IGNORED 133 /* report.IGNORED: a row whose status does not count */

struct table_shape {
    uint8_t zero[TABLE_BYTES];  /* xor: a digit becomes 0..9, any other expected byte becomes 0 */
    uint8_t limit[TABLE_BYTES]; /* the most a byte may then be */
    int32_t bytes;              /* of a row, its line end included; 0: none yet */
    int32_t from;               /* where zero and limit begin: after an identity at the start */
    int32_t identity, digits;   /* where the identity is, and how long */
    row_shape key;              /* of the identity alone */
    int32_t seen;               /* the row that was looked at, among those seen */
};

/* The watched cells of accepted rows: those of rows that were looked at, and how many rows have the same. The first
 * are those of the shapes that were known before, each in its place. */
struct table_seen {
    int32_t n, room, count;
    const int32_t *places; /* n, among the wanted */
    int32_t *cells;        /* for each place, `room` starts and then `room` ends */
    int64_t *counts;       /* one at least */
};

struct table_shapes {
    struct table_shape known[TABLE_SHAPES];
    int32_t current, next; /* the one that the last row had; the one to be replaced */
    int64_t learned;       /* rows that were looked at one at a time */
    struct table_seen seen;
};

/* What is to be found in the rows, by places among the wanted cells. */
struct table_wanted {
    int32_t identity, status; /* status: -1 if all rows count */
    const uint8_t *words;     /* the statuses that count, in lower case, one after another */
    const int32_t *at;        /* where each begins, and the last ends */
    int32_t n_words;
};

#define LEVEL_LOOPS "table_loops.h"
#include "levels.h"

static size_t (*const table_levels[SIMD_LEVELS])(struct table_shapes *shapes, const uint8_t *text, size_t size,
                                                 struct scan_taking *taking, int32_t line, size_t capacity,
                                                 uint64_t *keys, size_t *consumed) = {
    table_portable,
#if SIMD_X86
    table_sse4,
    table_avx2,
#endif
};

/* Whether a byte is one of the blanks that are no part of a cell. */
static inline bool table_blank(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

/* Whether a status is one that counts. */
static inline bool table_counts(const struct table_wanted *wanted, const uint8_t *cell, int32_t length) {
    while (length && table_blank(cell[length - 1])) length--;
    while (length && table_blank(cell[0])) cell++, length--;
    for (int32_t i = 0; i < wanted->n_words; i++) {
        const uint8_t *word = wanted->words + wanted->at[i];
        int32_t at = 0;
        if (wanted->at[i + 1] - wanted->at[i] != length) continue;
        while (at < length && word[at] == (cell[at] >= 'A' && cell[at] <= 'Z' ? cell[at] | 0x20 : cell[at])) at++;
        if (at == length) return true;
    }
    return false;
}

/* A shape does not change in a cell of a row: its digits are these. */
static inline void table_fix(struct table_shape *shape, const uint8_t *row, int32_t start, int32_t end) {
    for (int32_t i = start > shape->from ? start : shape->from; i < end; i++) {
        shape->zero[i - shape->from] = row[i];
        shape->limit[i - shape->from] = 0;
    }
}

/* Take the shape of a row of `bytes`, whose identity is there. Null if it is none to be learned. */
static struct table_shape *table_learn(struct table_shapes *shapes, const uint8_t *row, int32_t bytes,
                                       int32_t identity, int32_t digits, uint8_t bare) {
    struct table_shape *shape = &shapes->known[shapes->next];
    const int32_t from = identity == 0 ? digits : 0;
    if (bytes - from > TABLE_BYTES || identity + 16 > TABLE_REACH || row[bytes - 1] != '\n' ||
        memchr(row, '\n', (size_t)bytes - 1))
        return NULL;
    shapes->current = shapes->next;
    shapes->next = (shapes->next + 1) % TABLE_SHAPES;
    memset(shape->zero, 0, sizeof shape->zero);
    memset(shape->limit, 0xFF, sizeof shape->limit);
    for (int32_t i = from; i < bytes; i++) {
        bool digit = (uint8_t)(row[i] - '0') <= 9;
        shape->zero[i - from] = digit ? '0' : row[i];
        shape->limit[i - from] = digit ? 9 : 0;
    }
    shape->bytes = bytes;
    shape->from = from;
    shape->identity = identity;
    shape->digits = digits;
    shape->seen = 0;
    shape->key.bare = bare;
    set_shape(&shape->key, (unsigned)digits, "", 0);
    return shape;
}

/* Forget the rows that were seen, and count those of each shape anew. */
static void table_forget(struct table_shapes *shapes) {
    for (int32_t i = 0; shapes->seen.n && i < TABLE_SHAPES; i++) {
        shapes->known[i].seen = i;
        shapes->seen.counts[i] = 0;
    }
    shapes->seen.count = shapes->seen.n ? TABLE_SHAPES : 0;
}

/* The next rows, from state->position on: the keys of accepted rows, at most `capacity`, and the first
 * `room` others in `rows`, `cells` and `status`. Returns how many keys, and in *refused how many others:
 * none at all means that the chunk is finished, as for scan_rows. `marks` are made when first needed. */
static size_t table_rows(int level, const struct scan_dialect *dialect, const struct table_wanted *wanted,
                         const uint8_t *text, int32_t size, bool final, uint64_t *marks, int *marked,
                         struct scan_taking *taking, size_t capacity, uint64_t *keys, int32_t room,
                         struct scan_row *rows, int32_t *cells, uint8_t *status, int32_t *refused,
                         struct scan_state *state, struct table_shapes *shapes) {
    const bool learns = (uint8_t)(dialect->delimiter - '0') > 9 && dialect->max_row >= TABLE_REACH &&
                        wanted->status != wanted->identity;
    const int best = level < SIMD_AVX2 ? level : SIMD_AVX2; /* of the levels, the last that differs here */
    struct table_seen *seen = &shapes->seen;
    size_t accepted = 0;
    *refused = 0;
    while (accepted < capacity && *refused < room && seen->count < seen->room && state->position < size) {
        struct scan_row *row = rows + *refused;
        const int32_t *cell = cells + *refused + 2 * (int64_t)room * wanted->identity;
        uint64_t key;
        if (!state->skipping) {
            size_t consumed;
            size_t lines = table_levels[best](shapes, text + state->position, (size_t)(size - state->position),
                                               taking, state->lines, capacity - accepted, keys + accepted,
                                               &consumed);
            accepted += lines;
            state->lines += (int32_t)lines;
            state->position += (int32_t)consumed;
            if (accepted == capacity || state->position == size) break;
        }
        if (!*marked) {
            int32_t before = state->position / 64;
            scan_marks(level, text + 64 * (int64_t)before, size - 64 * before, dialect->delimiter,
                       marks + before);
            *marked = 1;
        }
        if (!scan_rows(dialect, text, size, final, marks, 1, room, row, cells + *refused, state)) break;
        const int32_t length = cell[room] - cell[0];
        int32_t from = row->start, to = row->start;
        uint8_t code = (uint8_t)row->flaw;
        if (wanted->status >= 0 && code == SCAN_FINE) {
            const int32_t *listed = cells + *refused + 2 * (int64_t)room * wanted->status;
            from = listed[0], to = listed[room];
            if (!table_counts(wanted, text + from, to - from)) code = TABLE_IGNORED;
        }
        shapes->learned++;
        bool taken = code == SCAN_FINE;
        if (taken) {
            code = take_parse(taking, text + cell[0], length, &key);
            taken = take(taking, text, cell[0], length, row->line, &key, &code);
        } else {
            taking->tally.status[code]++;
        }
        if (!taken) {
            status[(*refused)++] = code;
            continue;
        }
        keys[accepted++] = key;
        struct table_shape *shape = NULL;
        if (learns && row->end < size && length != taking->restored && take_plain(text + cell[0], length))
            shape = table_learn(shapes, text + row->start, row->end + 1 - row->start, cell[0] - row->start, length,
                                taking->bare);
        if (shape) table_fix(shape, text + row->start, from - row->start, to - row->start);
        for (int32_t i = 0; i < seen->n; i++) {
            const int32_t *watched = cells + *refused + 2 * (int64_t)room * seen->places[i];
            int32_t *at = seen->cells + seen->count + 2 * (int64_t)seen->room * i;
            at[0] = watched[0], at[seen->room] = watched[room];
            if (shape) table_fix(shape, text + row->start, at[0] - row->start, at[seen->room] - row->start);
        }
        if (seen->n) {
            if (shape) shape->seen = seen->count;
            seen->counts[seen->count++] = 1;
        }
    }
    return accepted;
}

#endif
