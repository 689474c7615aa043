/* Delimited texts: rows however the text is cut, keys at every level, and what becomes of cells.
 *
 * Rows are compared with those of a plain reader, a text in pieces with the whole, and the short cuts with the long
 * way.
 */
#include "read.h"

#include "../../imeiset/_native/c/annotate.h"
#include "../../imeiset/_native/c/cells.h"
#include "../../imeiset/_native/c/records.h"
#include "../../imeiset/_native/c/table.h"

#define COLUMNS 6
#define MOST 700 /* rows of a text that are looked at */

static const uint8_t WORDS[] = "activeyes1";
static const int32_t WORD_ENDS[] = {0, 6, 9, 10};

struct given {
    struct scan_dialect dialect;
    int32_t wanted[COLUMNS], identities[2], watched[2];
    struct table_wanted counted;
    int32_t n_watched;
    uint8_t accept[256], bare, restored;
    bool tbcd;
    const uint8_t *text;
    int32_t size;
};

struct found {
    int32_t n;
    struct scan_row rows[MOST];
    int32_t cells[COLUMNS * 2 * MOST];
    struct scan_state state;
};

static void mark(int level, const uint8_t *text, int32_t size, uint8_t delimiter, uint64_t *marks) {
    scan_marks(level, text, size, delimiter, marks);
    for (int32_t i = 0; i < (size + 63) / 64 * 64; i++) {
        int is_mark = i < size && (text[i] == '\n' || text[i] == '"' || text[i] == delimiter);
        CHECK((marks[i / 64] >> (i % 64) & 1) == (uint64_t)is_mark);
    }
}

/* All rows, of a text that comes in pieces; where they lie in the whole. */
static struct found *scan_pieces(const struct given *g, int32_t piece, int32_t limit, int level) {
    struct found *f = room(sizeof *f);
    const int32_t columns = g->dialect.n_wanted;
    int32_t base = 0, end = 0, lines = 0;
    memset(f, 0, sizeof *f);
    do {
        end = g->size - end < piece ? g->size : end + piece;
        const int32_t size = end - base;
        uint8_t *text = copy_of(g->text + base, (size_t)size);
        uint64_t *marks = room(((size_t)size + 63) / 64 * 8);
        struct scan_row rows[MOST];
        int32_t cells[COLUMNS * 2 * MOST], got;
        mark(level, text, size, g->dialect.delimiter, marks);
        f->state.position = f->state.lines = 0;
        do {
            int32_t most = MOST - f->n < limit ? MOST - f->n : limit;
            got = scan_rows(&g->dialect, text, size, end == g->size, marks, most, limit, rows, cells, &f->state);
            for (int32_t i = 0; i < got; i++, f->n++) {
                f->rows[f->n] = (struct scan_row){rows[i].start + base, rows[i].end + base, rows[i].line + lines, rows[i].flaw};
                CHECK(rows[i].start <= rows[i].end && rows[i].end <= size);
                for (int32_t c = 0; c < 2 * columns; c++) f->cells[c * MOST + f->n] = cells[c * limit + i] + base;
            }
        } while (got && f->n < MOST);
        base += f->state.position;
        lines += f->state.lines;
        free(text);
        free(marks);
    } while (end < g->size && f->n < MOST);
    return f;
}

static void check_same(const struct given *g, const struct found *a, const struct found *b) {
    CHECK(a->n == b->n);
    for (int32_t i = 0; i < a->n; i++) {
        CHECK(memcmp(&a->rows[i], &b->rows[i], sizeof *a->rows) == 0);
        for (int32_t c = 0; c < 2 * g->dialect.n_wanted; c++) CHECK(a->cells[c * MOST + i] == b->cells[c * MOST + i]);
    }
    CHECK(a->n == MOST || (a->state.blank == b->state.blank && a->state.comments == b->state.comments));
    CHECK(a->n == MOST || a->state.continued == b->state.continued);
}

/* ---- rows ---- */

static int blank(uint8_t c) { return c == ' ' || c == '\t' || c == '\r'; }

static int blank_text(const uint8_t *text, int32_t start, int32_t end) {
    while (start < end && blank(text[start])) start++;
    return start == end;
}

static int32_t line_end(const struct given *g, int32_t at) {
    while (at < g->size && g->text[at] != '\n') at++;
    return at;
}

/* Where the cells of a line end; the last one is its end. */
static int32_t split(const struct given *g, int32_t start, int32_t end, int32_t *ends) {
    int32_t n = 0;
    for (int32_t i = start; i < end; i++)
        if (g->text[i] == g->dialect.delimiter) ends[n++] = i;
    ends[n++] = end;
    return n;
}

static int plain_irregular(const uint8_t *text, int32_t n) {
    int digit = 0;
    while (n && blank(text[n - 1])) n--;
    for (int32_t i = 0; i < n; i++) {
        if (!text[i] || !strchr("0123456789ABCDEFabcdef*#", text[i])) return 0;
        digit |= text[i] >= '0' && text[i] <= '9';
    }
    return digit && n <= 16;
}

struct plain_row {
    int32_t *from, *to; /* of its cells, without the quotes */
    int32_t cells, end, lines, returns;
};

/* The quote that closes a cell, which begins after the one that opens it; -1 for none. Two are one of the cell. */
static int32_t plain_close(const struct given *g, int32_t at, int32_t end) {
    for (; at < end; at++) {
        if (g->text[at] != '"') continue;
        if (at + 1 == end || g->text[at + 1] != '"') return at;
        at++;
    }
    return -1;
}

/* RFC 4180 from `start` on; false where quotes are not as they should be. */
static int plain_row(const struct given *g, int32_t start, struct plain_row *row) {
    int32_t at = start;
    row->cells = row->lines = row->returns = 0;
    for (;; at++, row->cells++) {
        int32_t from = at;
        if (at < g->size && g->text[at] == '"') {
            int32_t close = plain_close(g, ++from, g->size);
            if (close < 0) return 0;
            for (at = from; at < close; at++) row->lines += g->text[at] == '\n';
            row->from[row->cells] = from, row->to[row->cells] = close, at = close + 1;
            if (at < g->size && g->text[at] == '\r' && line_end(g, at) == at + 1) at++;
        } else {
            while (at < g->size && g->text[at] != '\n' && g->text[at] != g->dialect.delimiter) at++;
            row->from[row->cells] = from, row->to[row->cells] = at;
            int32_t stop = at;
            while ((at == g->size || g->text[at] == '\n') && stop > from && g->text[stop - 1] == '\r') stop--;
            for (; from < stop; from++) row->returns += g->text[from] == '\r';
        }
        if (at < g->size && g->text[at] != '\n' && g->text[at] != g->dialect.delimiter) return 0;
        if (at == g->size || g->text[at] == '\n') break;
    }
    row->cells++;
    row->end = at;
    return 1;
}

/* Whether a line that begins with '#' is a row all the same. */
static int plain_like_row(const struct given *g, int32_t start, int32_t end) {
    const struct scan_dialect *d = &g->dialect;
    int32_t cells = 1, last = start;
    if (end - start > d->max_row) return 0;
    if (d->delimiter == '\n') return d->irregular && plain_irregular(g->text + start, end - start);
    for (int32_t at = start, first = 1; at < end; at++) {
        first = at == start || g->text[at - 1] == d->delimiter;
        if (first && g->text[at] == '"') {
            if ((at = plain_close(g, at + 1, end)) < 0) return 0;
        } else if (g->text[at] == d->delimiter) {
            cells++;
        }
        if (!blank(g->text[at]) && g->text[at] != d->delimiter) last = at;
    }
    for (int32_t at = end - 1; at > last && cells > d->most; at--) cells -= g->text[at] == d->delimiter;
    return cells >= 2 && cells >= d->fewest && cells <= d->most;
}

/* What a row is that has several lines in a cell, and hides another or not, the scanner says: that rule is a guess about
 * the text, of which a twin would be a copy. All else is as the standard has it. */
static void check_plain_rows(const struct given *g, const struct found *f) {
    const struct scan_dialect *d = &g->dialect;
    struct plain_row row = {room(((size_t)g->size + 1) * 4), room(((size_t)g->size + 1) * 4), 0, 0, 0, 0};
    int32_t at = 0, line = 0, n = 0;
    int64_t comments = 0, blanks = 0, continued = 0;
    while (at < g->size && n < MOST) {
        int32_t end = line_end(g, at), flaw = SCAN_FINE;
        if (d->comments && g->text[at] == '#' && !plain_like_row(g, at, end)) {
            comments++, line++, at = end + 1;
            continue;
        }
        int whole = plain_row(g, at, &row) && row.end - at <= d->max_row;
        if (whole && row.cells == 1 && blank_text(g->text, at, row.end)) {
            blanks++, line++, at = end + 1;
            continue;
        }
        if (row.returns) flaw = SCAN_RETURN;
        if (row.cells < d->fewest && (row.lines || !d->shorter)) flaw = SCAN_CELLS;
        for (int32_t c = d->most; whole && c < row.cells; c++)
            if (!blank_text(g->text, row.from[c], row.to[c])) flaw = SCAN_CELLS;
        if (row.cells < d->needed) flaw = SCAN_SHORT;
        CHECK(n < f->n && f->rows[n].start == at && f->rows[n].line == line);
        if (whole && row.lines && d->fewest) whole = (flaw == SCAN_FINE || flaw == SCAN_RETURN) && f->rows[n].flaw != SCAN_QUOTE;
        if (!whole) {
            row.cells = row.lines = 0, flaw = SCAN_QUOTE, row.end = end;
            if (end - at > d->max_row) flaw = SCAN_LONG, row.end = at + d->max_row;
        }
        CHECK(f->rows[n].flaw == flaw && f->rows[n].end == row.end);
        for (int32_t c = 0; c < d->n_wanted; c++) {
            int32_t nth = d->wanted[c], from = whole ? row.end : at, to = from;
            if (nth < row.cells) {
                from = row.from[nth], to = row.to[nth];
                while (from < to && blank(g->text[from])) from++;
                while (from < to && blank(g->text[to - 1])) to--;
            }
            CHECK(f->cells[2 * c * MOST + n] == from && f->cells[(2 * c + 1) * MOST + n] == to);
        }
        n++, continued += row.lines, line += row.lines + 1, at = line_end(g, row.end) + 1;
    }
    CHECK(n == f->n);
    CHECK(n == MOST || (f->state.comments == comments && f->state.blank == blanks && f->state.continued == continued));
    free(row.from);
    free(row.to);
}

/* ---- keys ---- */

/* What a column of identities gave: keys, those that are refused, what is counted; and the sum of a number for each
 * value that the watched cells have. */
struct taken {
    size_t n;
    int32_t refused;
    uint64_t keys[MOST], seen[2];
    uint8_t codes[MOST];
    struct scan_row rows[MOST];
    struct scan_tally tally;
    struct scan_state state;
};

static uint64_t value_number(const struct given *g, int32_t start, int32_t end) {
    uint64_t number = 1;
    for (; start < end; start++) number = mixed(number + g->text[start]);
    return number;
}

static struct scan_taking taking_of(const struct given *g) {
    struct scan_taking t;
    memset(&t, 0, sizeof t);
    t.accept = g->accept, t.bare = g->bare, t.restored = g->restored, t.tbcd = g->tbcd;
    t.delimiter = g->dialect.delimiter;
    return t;
}

/* TBCD in hexadecimal: of two digits the second comes first. */
static int plain_tbcd(const uint8_t *cell, size_t n, uint8_t bare, uint64_t *key) {
    uint8_t text[16];
    *key = UINT64_MAX;
    if (n == 0) return IMEI_EMPTY;
    for (size_t i = 0; i < n; i++)
        if (!cell[i] || !strchr("0123456789ABCDEFabcdef", cell[i])) return IMEI_NOT_DIGIT;
    if (n > 16) return IMEI_TOO_LONG;
    if (n != 14 && n != 16) return IMEI_TOO_SHORT;
    for (size_t i = 0; i < n; i += 2) text[i] = cell[i + 1], text[i + 1] = cell[i];
    return plain_text(text, n, bare, key);
}

static bool counts(const struct given *g, const uint8_t *cell, int32_t n) {
    char word[8] = {0};
    if (g->counted.status < 0) return true;
    while (n && (blank(cell[n - 1]) || cell[n - 1] == '\v' || cell[n - 1] == '\f')) n--;
    while (n && (blank(cell[0]) || cell[0] == '\v' || cell[0] == '\f')) cell++, n--;
    if (n == 0 || n > 6 || memchr(cell, 0, (size_t)n)) return false;
    for (int32_t i = 0; i < n; i++) word[i] = (char)plain_lower(cell[i]);
    return strcmp(word, "active") == 0 || strcmp(word, "yes") == 0 || strcmp(word, "1") == 0;
}

/* Which placeholder fourteen digits are, NOTED_KINDS for none. */
static int plain_placeholder(uint64_t key) {
    char digits[16], first[2] = {0};
    snprintf(digits, sizeof digits, "%014llu", (unsigned long long)key);
    first[0] = digits[0];
    if (strspn(digits, first) == 14) return key ? NOTED_EQUAL : NOTED_ZEROS;
    for (int body = 1; body <= 17; body++) { /* 001001 to 001017 */
        char test[8];
        snprintf(test, sizeof test, "%06d", 1000 + body);
        if (strncmp(digits, test, 6) == 0) return NOTED_TEST_TAC;
    }
    const int other = strncmp(digits, "0044", 4) && strncmp(digits, "0086", 4) && strncmp(digits, "0091", 4);
    return other ? NOTED_KINDS : NOTED_TEST_TAC;
}

/* The long way: a row at a time. */
static struct taken *take_each(const struct given *g, const struct found *f) {
    struct taken *t = room(sizeof *t);
    struct scan_taking taking = taking_of(g);
    int64_t placeholders[NOTED_KINDS + 1] = {0};
    memset(t, 0, sizeof *t);
    for (int32_t i = 0; i < f->n; i++) {
        const struct scan_row *row = &f->rows[i];
        const int32_t *cell = f->cells + 2 * g->counted.identity * MOST + i;
        const int32_t *status = f->cells + 2 * (g->counted.status < 0 ? 0 : g->counted.status) * MOST + i;
        uint8_t code = (uint8_t)row->flaw;
        uint64_t key;
        if (!code && !counts(g, g->text + status[0], status[MOST] - status[0])) code = TABLE_IGNORED;
        if (!code) {
            const uint8_t *text = g->text + cell[0];
            size_t n = (size_t)(cell[MOST] - cell[0]);
            code = (uint8_t)(g->tbcd ? plain_tbcd(text, n, g->bare, &key) : plain_text(text, n, g->bare, &key));
            if (take(&taking, g->text, cell[0], cell[MOST] - cell[0], row->line, &key, &code)) {
                t->keys[t->n++] = key;
                placeholders[plain_placeholder(key)]++;
                for (int32_t w = 0; w < g->n_watched; w++) {
                    const int32_t *watched = f->cells + 2 * g->watched[w] * MOST + i;
                    t->seen[w] += value_number(g, watched[0], watched[MOST]);
                }
                continue;
            }
        } else {
            taking.tally.status[code]++;
        }
        t->rows[t->refused] = *row;
        t->codes[t->refused++] = code;
    }
    for (int kind = NOTED_ZEROS; kind < NOTED_KINDS; kind++) CHECK(taking.tally.noted[kind].count == placeholders[kind]);
    t->tally = taking.tally;
    t->state = f->state;
    return t;
}

/* The short way, some keys and some others at a time. */
static struct taken *take_fast(const struct given *g, int level, bool plain, size_t capacity, int32_t few) {
    struct taken *t = room(sizeof *t);
    struct scan_taking taking = taking_of(g);
    struct table_shapes *shapes = room(sizeof *shapes);
    const int32_t seen_room = TABLE_SHAPES + few;
    struct scan_row *rows = room((size_t)few * sizeof *rows);
    int32_t *cells = room((size_t)few * 2 * COLUMNS * 4), *seen_cells = room((size_t)seen_room * 2 * 2 * 4), refused;
    int32_t known[TABLE_SHAPES][2][2] = {{{0}}};
    int64_t *seen_counts = room((size_t)seen_room * 8);
    uint8_t *status = room((size_t)few);
    uint64_t *keys = room(capacity * 8), *marks = room(((size_t)g->size + 63) / 64 * 8);
    int marked = 0;
    size_t got;
    memset(t, 0, sizeof *t);
    memset(shapes, 0, sizeof *shapes);
    shapes->seen = (struct table_seen){g->n_watched, g->n_watched ? seen_room : 1, 0, g->watched, seen_cells, seen_counts};
    table_forget(shapes);
    do {
        if (plain)
            got = plain_rows(level, &g->dialect, g->text, g->size, true, marks, &marked, &taking, capacity, keys, few, rows,
                             cells, status, &refused, &t->state);
        else
            got = table_rows(level, &g->dialect, &g->counted, g->text, g->size, true, marks, &marked, &taking, capacity, keys,
                             few, rows, cells, status, &refused, &t->state, shapes);
        CHECK(got <= capacity && refused <= few && t->n + got <= MOST && t->refused + refused <= MOST);
        memcpy(t->keys + t->n, keys, got * 8);
        memcpy(t->rows + t->refused, rows, (size_t)refused * sizeof *rows);
        memcpy(t->codes + t->refused, status, (size_t)refused);
        t->n += got, t->refused += refused;
        const struct table_seen *seen = &shapes->seen;
        for (int32_t i = 0; seen->n && i < seen->count; i++)
            for (int32_t w = 0; w < seen->n; w++) {
                const int32_t *at = seen_cells + i + 2 * seen_room * w;
                const int32_t start = i < TABLE_SHAPES ? known[i][w][0] : at[0];
                const int32_t end = i < TABLE_SHAPES ? known[i][w][1] : at[seen_room];
                t->seen[w] += (uint64_t)seen_counts[i] * (seen_counts[i] ? value_number(g, start, end) : 0);
            }
        for (int32_t i = 0; seen->n && i < TABLE_SHAPES; i++)
            for (int32_t w = 0; w < seen->n; w++) {
                const struct table_shape *shape = &shapes->known[i];
                if (!shape->bytes || shape->seen < TABLE_SHAPES) continue;
                known[i][w][0] = seen_cells[shape->seen + 2 * seen_room * w];
                known[i][w][1] = seen_cells[shape->seen + 2 * seen_room * w + seen_room];
            }
        table_forget(shapes);
    } while (got || refused);
    t->tally = taking.tally;
    free(shapes);
    free(rows);
    free(cells);
    free(seen_cells);
    free(seen_counts);
    free(status);
    free(keys);
    free(marks);
    return t;
}

static void check_tally(const struct scan_tally *a, const struct scan_tally *b) {
    CHECK(memcmp(a->status, b->status, sizeof a->status) == 0 && memcmp(a->forms, b->forms, sizeof a->forms) == 0);
    for (int i = 0; i < NOTED_KINDS; i++) {
        CHECK(a->noted[i].count == b->noted[i].count);
        for (int j = 0; j < NOTED_LINES && j < a->noted[i].count; j++) CHECK(a->noted[i].lines[j] == b->noted[i].lines[j]);
    }
}

static void check_taken(const struct taken *a, const struct taken *b, int watched) {
    CHECK(a->n == b->n && a->refused == b->refused);
    CHECK(memcmp(a->keys, b->keys, a->n * 8) == 0 && memcmp(a->codes, b->codes, (size_t)a->refused) == 0);
    CHECK(memcmp(a->rows, b->rows, (size_t)a->refused * sizeof *a->rows) == 0);
    check_tally(&a->tally, &b->tally);
    for (int w = 0; w < watched; w++) CHECK(a->seen[w] == b->seen[w]);
    CHECK(a->state.blank == b->state.blank && a->state.comments == b->state.comments && a->state.continued == b->state.continued);
}

/* The identities of a batch, in one column or in two. */
static void check_batch(const struct given *g, const struct found *f, const struct taken *want) {
    const int32_t *starts[2], *ends[2], places = g->dialect.n_identities;
    struct scan_taking taking = taking_of(g);
    uint64_t *keys = room(2 * MOST * 8), *taken = room(2 * MOST * 8);
    int32_t *owners = room(2 * MOST * 4), *rows = room(2 * MOST * 4);
    uint8_t *status = room(2 * MOST), *where = room(2 * MOST), *codes = room(2 * MOST);
    struct scan_refused refused = {rows, where, codes, 0};
    for (int32_t place = 0; place < places; place++) {
        starts[place] = f->cells + 2 * g->dialect.identities[place] * MOST;
        ends[place] = starts[place] + MOST;
        for (int32_t i = 0; i < f->n; i++)
            status[place * MOST + i] = take_parse(&taking, g->text + starts[place][i], ends[place][i] - starts[place][i],
                                                  &keys[place * MOST + i]);
    }
    int32_t n = take_rows(&taking, g->text, f->rows, f->n, starts, ends, places, keys, status, MOST, taken, owners, &refused);
    CHECK(n + refused.count <= 2 * MOST);
    for (int32_t i = 1; i < n; i++) CHECK(owners[i - 1] <= owners[i]);
    if (places == 1 && g->counted.status < 0 && g->dialect.identities[0] == g->counted.identity) {
        CHECK((size_t)n == want->n && refused.count == want->refused && memcmp(taken, want->keys, want->n * 8) == 0);
        CHECK(memcmp(codes, want->codes, (size_t)want->refused) == 0);
        check_tally(&taking.tally, &want->tally);
        CHECK(memcmp(taking.tally.written, want->tally.written, sizeof want->tally.written) == 0);
    }
    free(keys);
    free(taken);
    free(owners);
    free(rows);
    free(status);
    free(where);
    free(codes);
}

/* Records: the short cut for a stretch of rows against one after another, as in records.pyx. */
static void check_records(const struct given *g, const struct found *f, bool cells, bool whole) {
    int32_t starts[MOST], ends[MOST];
    uint64_t keys[2][MOST];
    uint8_t status[2][MOST], accept[256];
    struct scan_taking taking[2];
    for (int32_t i = 0; i < f->n; i++) { /* a cell, or a row with the blanks around it */
        const int32_t *cell = f->cells + 2 * g->counted.identity * MOST + i;
        starts[i] = whole ? f->rows[i].start : cell[0], ends[i] = whole ? f->rows[i].end : cell[MOST];
    }
    for (int i = 0; i < 256; i++) accept[i] = i == IMEI_OK || imei_is_soft((uint8_t)i);
    for (int way = 0; way < 2; way++) {
        taking[way] = taking_of(g);
        taking[way].accept = accept, taking[way].bare = IMEI_NO_CHECK_DIGIT;
        for (int32_t i = 0; i < f->n; i++)
            status[way][i] = imei_scalar(g->text + starts[i], (size_t)(ends[i] - starts[i]), IMEI_NO_CHECK_DIGIT, &keys[way][i]);
        for (int32_t first = 0; first < f->n; first += 255) {
            int32_t stop = f->n - first < 255 ? f->n : first + 255, odd = 0;
            for (int32_t i = first; i < stop; i++) odd += ends[i] - starts[i] != 15;
            if (g->tbcd) {
                for (int32_t i = first; i < stop; i++)
                    record_take_tbcd(&taking[way], g->text, starts[i], ends[i] - starts[i], &keys[way][i], &status[way][i]);
                continue;
            }
            if (way && g->restored != 15 && record_take_all(&taking[way], &status[way][first], stop - first, odd)) continue;
            for (int32_t i = first; i < stop; i++) {
                if (status[way][i] == IMEI_OK && g->restored != 15) taking[way].tally.forms[1]++;
                else
                    record_take(&taking[way], g->text, starts[i], ends[i] - starts[i], cells, i, &keys[way][i], &status[way][i]);
            }
        }
    }
    CHECK(memcmp(keys[0], keys[1], (size_t)f->n * 8) == 0 && memcmp(status[0], status[1], (size_t)f->n) == 0);
    check_tally(&taking[0].tally, &taking[1].tally);
}

/* ---- cells that are no identity ---- */

static int two_digits(const uint8_t *text) {
    return plain_digit(text[0]) && plain_digit(text[1]) ? (text[0] - '0') * 10 + text[1] - '0' : -1;
}

static int32_t plain_day(const uint8_t *cell, int32_t n) {
    static const int32_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    while (n && plain_blank(cell[0])) cell++, n--;
    while (n && plain_blank(cell[n - 1])) n--;
    if (n == 0) return 0;
    int dashes = n >= 10 && strchr("-/.", cell[4]) && cell[4] && cell[7] == cell[4];
    if (n < 8 || (!dashes && !plain_digit(cell[4]))) return -1;
    const uint8_t *month_at = cell + 4 + dashes, *day_at = month_at + 2 + dashes, *after = day_at + 2;
    if (after < cell + n && *after != 'T' && *after != ' ') return -1;
    int century = two_digits(cell), year = two_digits(cell + 2), month = two_digits(month_at), day = two_digits(day_at);
    if (century < 0 || year < 0 || month < 1 || month > 12 || day < 1) return -1;
    int whole = century * 100 + year, leap = whole % 400 == 0 || (whole % 4 == 0 && whole % 100);
    if (whole == 0 || day > days[month - 1] + (month == 2 && leap)) return -1;
    return whole * 10000 + month * 100 + day;
}

static void check_cells(const struct given *g, const struct found *f, int32_t column, int32_t fewest, int32_t most) {
    const int32_t *starts = f->cells + 2 * column * MOST, *ends = starts + MOST;
    int32_t *slots = room(SCAN_GROUP_SLOTS * 4), group[MOST], first[MOST], days[MOST], groups = 0;
    uint64_t numbers[MOST];
    int32_t got = scan_group(g->text, starts, ends, f->n, slots, group, first);
    scan_numbers(g->text, starts, ends, f->n, fewest, most, numbers);
    scan_days(g->text, starts, ends, f->n, days);
    for (int32_t i = 0; i < f->n; i++) {
        const uint8_t *cell = g->text + starts[i];
        int32_t n = ends[i] - starts[i], own = 0;
        for (; own < groups; own++) {
            int32_t other = first[own];
            if (ends[other] - starts[other] == n && memcmp(g->text + starts[other], cell, (size_t)n) == 0) break;
        }
        CHECK(group[i] == own && own < got);
        if (own == groups) CHECK(first[groups++] == i);
        uint64_t number = 0;
        for (int32_t at = 0; at < n && number != UINT64_MAX; at++)
            number = n <= 18 && plain_digit(cell[at]) ? number * 10 + (uint64_t)(cell[at] - '0') : UINT64_MAX;
        CHECK(numbers[i] == (n < fewest || n > most ? UINT64_MAX : number));
        CHECK(days[i] == plain_day(cell, n));
    }
    CHECK(got == groups);
    free(slots);
}

/* ---- rows with a word ---- */

static void check_annotated(const struct given *g, const struct found *f, int32_t cells, bool plain) {
    static const uint8_t words[] = ",blocked\n,ok\n";
    static const int32_t at[] = {0, 9, 9, 13};
    uint32_t codes[MOST];
    int32_t *cell_ends = room(((size_t)g->size + 1) * 4);
    struct annotate_words given = {words, at, cells, plain ? ',' : g->dialect.delimiter, plain};
    size_t done = 0;
    for (int32_t i = 0; i < f->n; i++) codes[i] = (uint32_t)(mixed((uint64_t)i) % 3);
    size_t size = annotate_size(g->text, f->rows, codes, (size_t)f->n, &given);
    uint8_t *out = room(size);
    annotate_rows(g->text, f->rows, codes, (size_t)f->n, &given, out);
    for (int32_t i = 0; i < f->n; i++) { /* each alone, to know where it is; what it is if it is simple */
        const struct scan_row *row = &f->rows[i];
        size_t own = annotate_size(g->text, row, codes + i, 1, &given);
        int32_t end = row->end, word = at[codes[i]], length = at[codes[i] + 1] - word;
        uint8_t *want = room(own);
        annotate_rows(g->text, row, codes + i, 1, &given, want);
        CHECK(done + own <= size && memcmp(out + done, want, own) == 0);
        CHECK(own == 0 ? codes[i] == 1 : want[own - 1] == '\n');
        while (end > row->start && g->text[end - 1] == '\r') end--;
        int quoted = memchr(g->text + row->start, '"', (size_t)(row->end - row->start)) != NULL;
        if (own && (cells == 0 || (!plain && !quoted && !row->flaw))) {
            int32_t kept = end, missing = 0;
            if (cells) {
                int32_t n = split(g, row->start, end, cell_ends);
                if (n > cells) kept = cell_ends[cells - 1];
                else missing = cells - n;
            }
            size_t head = (size_t)(kept - row->start);
            CHECK(own == head + (size_t)missing + (size_t)length && memcmp(want, g->text + row->start, head) == 0);
            for (int32_t j = 0; j < missing; j++) CHECK(want[head + (size_t)j] == given.delimiter);
            CHECK(memcmp(want + own - length, words + word, (size_t)length) == 0);
        }
        done += own;
        free(want);
    }
    CHECK(done == size);
    free(cell_ends);
    free(out);
}

/* ---- input ---- */

static struct given take_given(struct input *in) {
    static const char delimiters[] = ",;\t|:\n x9,";
    static const int32_t longest[] = {1 << 20, 200, 81, 40, 18, 100, 1 << 20, 7};
    struct given g;
    memset(&g, 0, sizeof g);
    unsigned flags = (unsigned)take_number(in, 1), how = (unsigned)take_number(in, 1), columns = (unsigned)take_number(in, 1);
    unsigned places = (unsigned)take_number(in, 1), accepts = (unsigned)take_number(in, 1), cells = (unsigned)take_number(in, 1);
    struct scan_dialect *d = &g.dialect;
    for (int32_t column = 0; column < COLUMNS; column++)
        if (columns >> column & 1) g.wanted[d->n_wanted++] = column;
    if (d->n_wanted == 0) d->n_wanted = 1;
    d->delimiter = (uint8_t)delimiters[how % 11];
    if (!d->delimiter) d->delimiter = ',';
    d->max_row = longest[how / 11 % 8];
    d->comments = flags & 1, d->irregular = flags & 2, d->shorter = flags & 4;
    d->fewest = (int32_t)(cells % 5), d->most = cells & 128 ? 1 << 30 : d->fewest + (int32_t)(cells / 8 % 4);
    if (d->most < 1) d->most = 1;
    d->needed = cells & 64 ? g.wanted[d->n_wanted - 1] + 1 : (int32_t)(cells / 16 % 4);
    d->digits = flags & 8 ? 14 : (int32_t)(places % 16);
    d->n_identities = 1 + (columns >> 6 & 1);
    g.identities[0] = (int32_t)(places % (unsigned)d->n_wanted), g.identities[1] = (int32_t)(places / 6 % (unsigned)d->n_wanted);
    g.counted = (struct table_wanted){g.identities[0], -1, WORDS, WORD_ENDS, 3};
    if (flags & 16) g.counted.status = (int32_t)(places / 36 % (unsigned)d->n_wanted);
    g.n_watched = (int32_t)(flags >> 5 & 3) % 3;
    g.watched[0] = (int32_t)(places / 3 % (unsigned)d->n_wanted), g.watched[1] = (int32_t)(places / 7 % (unsigned)d->n_wanted);
    /* What callers see to: identities are not watched, and a text without a delimiter has rows of one cell. */
    while (g.n_watched && (g.watched[0] == g.identities[0] || g.watched[g.n_watched - 1] == g.identities[0])) g.n_watched--;
    if (d->delimiter == '\n') d->fewest = d->fewest > 0, d->needed = 1;
    g.accept[IMEI_OK] = !(accepts & 128);
    g.accept[IMEI_CHECK_DIGIT] = accepts & 1, g.accept[IMEI_CHECK_DIGIT_SPARE] = accepts >> 1 & 1;
    g.accept[IMEI_NO_CHECK_DIGIT] = accepts >> 2 & 1;
    g.bare = g.accept[IMEI_NO_CHECK_DIGIT] ? IMEI_OK : IMEI_NO_CHECK_DIGIT;
    g.restored = (uint8_t)(accepts >> 3 & 3 ? (accepts >> 3 & 3) == 1 ? 14 : (accepts >> 3 & 3) == 2 ? 15 : 0 : 0);
    g.tbcd = (accepts >> 5 & 3) == 3;
    return g;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};
    struct given g = take_given(&in);
    unsigned seed = (unsigned)take_number(&in, 2);
    uint8_t *text = copy_of(in.at, in.left);
    g.text = text, g.size = (int32_t)in.left;
    g.dialect.wanted = g.wanted, g.dialect.identities = g.identities;
    struct found *whole = scan_pieces(&g, g.size + 1, MOST, simd_supported());
    struct found *pieces = scan_pieces(&g, (int32_t)(seed % 150 + 1), (int32_t)(seed / 150 % 5 + 1), (int)(seed % 3));
    check_same(&g, whole, pieces);
    check_plain_rows(&g, whole);
    struct taken *want = take_each(&g, whole);
    const bool plain = g.dialect.delimiter == '\n' && g.dialect.n_wanted == 1 && g.wanted[0] == 0;
    for (int level = 0; level <= simd_supported() && whole->n < MOST && !g.tbcd; level++) { /* TBCD has no short way */
        struct taken *got = take_fast(&g, level, false, seed & 256 ? seed % 20 + 1 : MOST, (int32_t)(seed & 512 ? seed % 7 + 1 : MOST));
        check_taken(got, want, g.n_watched);
        free(got);
        if (!plain || g.counted.status >= 0) continue;
        got = take_fast(&g, level, true, seed & 256 ? seed % 20 + 1 : MOST, (int32_t)(seed & 512 ? seed % 7 + 1 : MOST));
        check_taken(got, want, 0);
        free(got);
    }
    check_batch(&g, whole, want);
    check_records(&g, whole, seed & 1, seed & 2);
    check_cells(&g, whole, (int32_t)(seed % (unsigned)g.dialect.n_wanted), (int32_t)(seed % 4), (int32_t)(seed % 4 + seed / 4 % 15));
    check_annotated(&g, whole, (int32_t)(seed / 32 % 6), g.dialect.delimiter == '\n');
    for (int32_t i = 0; i < whole->n; i++)
        CHECK(scan_returns(text, whole->rows[i].start, whole->rows[i].end, g.dialect.delimiter) >= 0);
    free(whole);
    free(pieces);
    free(want);
    free(text);
    return 0;
}
