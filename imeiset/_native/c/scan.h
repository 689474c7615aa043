/* Rows and cells of delimited text, found in two passes over one chunk.
 *
 * 1. scan_marks: one bit per byte that is a newline, a delimiter or a quote (vector code).
 * 2. scan_rows: walks the set bits and writes where rows and wanted cells lie.
 *
 * Text is RFC 4180 with these liberties: any one-byte delimiter ('\n' for none), LF or CRLF
 * mixed, spaces and tabs around a cell are not part of it, and blank lines are counted,
 * not yielded. A quote opens a quoted cell only as the cell's first byte.
 *
 * No row may hide others. A quoted cell that is never closed, is closed within a cell, holds a line
 * that looks like a row, makes its row longer than max_row, or is of several lines in a row that has not
 * as many cells as it should costs its first line only: that line is yielded as SCAN_QUOTE and scanning
 * resumes on the next. A CR out of quotes that ends no line may
 * have been meant to: its row is yielded as SCAN_RETURN. A line longer than max_row is yielded
 * cut, as SCAN_LONG, and skipped without being kept. What is yielded does not depend on how the text
 * was cut into chunks.
 */
#ifndef IMEISET_SCAN_H
#define IMEISET_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "forms.h"
#include "simd.h"

/* What can be wrong with a row before its cells are looked at. Above every parse status, so that one
 * byte holds either; report.RowFlaw has the same numbers. */
enum scan_flaw {
    SCAN_FINE = 0,
    SCAN_SHORT = 129,
    SCAN_QUOTE = 130,
    SCAN_LONG = 131,
    SCAN_CELLS = 132,
    SCAN_RETURN = 138
};

struct scan_row {
    int32_t start, end; /* in the chunk; the line end is not included */
    int32_t line;       /* lines before it in the chunk */
    int32_t flaw;
};

struct scan_dialect {
    uint8_t delimiter;       /* '\n' for none */
    bool comments;           /* lines that start with '#' are no rows, unless they look like one: see scan_comment */
    bool irregular;          /* irregular identities are rows */
    bool shorter;            /* rows of one line may have less than `fewest` cells: what is missing is empty */
    int32_t max_row;         /* bytes */
    int32_t needed;          /* cells without which a row is too short */
    int32_t fewest, most;    /* cells of a whole row, not counting empty ones at its end beyond `most` */
    const int32_t *wanted;   /* ascending column numbers from 0 */
    int32_t n_wanted;
    const int32_t *identities; /* places of their columns among the wanted ones */
    int32_t n_identities, digits; /* how many one has at least */
};

struct scan_state {
    int32_t position;   /* in the chunk: everything before it is done with */
    int32_t lines;      /* line ends before it in the chunk */
    bool skipping;      /* in the rest of a line that was too long; outlives the chunk */
    int64_t blank, comments, continued; /* lines that are no row, since the start */
};

/* ---- pass 1 ---- */

#define SCAN_LOW 0x0101010101010101ULL

/* The high bit of every zero byte of x (exact, no borrow between bytes). */
static inline uint64_t scan_zero_bytes(uint64_t x) {
    const uint64_t low7 = 0x7f * SCAN_LOW;
    return ~(((x & low7) + low7) | x | low7);
}

static inline void scan_marks_portable(const uint8_t *text, int64_t words, uint8_t delimiter,
                                       uint64_t *marks) {
    const uint64_t newlines = '\n' * SCAN_LOW, quotes = '"' * SCAN_LOW;
    const uint64_t delimiters = delimiter * SCAN_LOW;
    for (int64_t i = 0; i < words; i++, text += 64) {
        uint64_t mark = 0;
        for (int j = 0; j < 8; j++) {
            uint64_t x = 0;
            for (int k = 0; k < 8; k++) x |= (uint64_t)text[8 * j + k] << (8 * k);
            uint64_t hit = scan_zero_bytes(x ^ newlines) | scan_zero_bytes(x ^ quotes) |
                           scan_zero_bytes(x ^ delimiters);
            mark |= (((hit >> 7) * 0x0102040810204080ULL) >> 56) << (8 * j);
        }
        marks[i] = mark;
    }
}

#if SIMD_X86
static inline uint64_t scan_mark16(__m128i x, __m128i newlines, __m128i quotes, __m128i delimiters) {
    __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(x, newlines), _mm_cmpeq_epi8(x, quotes)),
                               _mm_cmpeq_epi8(x, delimiters));
    return (uint32_t)_mm_movemask_epi8(hit);
}

/* SSE2 is all it takes, but the levels are named as everywhere. */
static void scan_marks_sse4(const uint8_t *text, int64_t words, uint8_t delimiter, uint64_t *marks) {
    const __m128i newlines = _mm_set1_epi8('\n'), quotes = _mm_set1_epi8('"');
    const __m128i delimiters = _mm_set1_epi8((char)delimiter);
    for (int64_t i = 0; i < words; i++, text += 64) {
        uint64_t mark = 0;
        for (int j = 0; j < 4; j++)
            mark |= scan_mark16(_mm_loadu_si128((const __m128i *)(text + 16 * j)), newlines, quotes,
                                delimiters) << (16 * j);
        marks[i] = mark;
    }
}

TARGET_AVX2 static void scan_marks_avx2(const uint8_t *text, int64_t words, uint8_t delimiter,
                                        uint64_t *marks) {
    const __m256i newlines = _mm256_set1_epi8('\n'), quotes = _mm256_set1_epi8('"');
    const __m256i delimiters = _mm256_set1_epi8((char)delimiter);
    for (int64_t i = 0; i < words; i++, text += 64) {
        uint64_t mark = 0;
        for (int j = 0; j < 2; j++) {
            __m256i x = _mm256_loadu_si256((const __m256i *)(text + 32 * j));
            __m256i hit = _mm256_or_si256(
                _mm256_or_si256(_mm256_cmpeq_epi8(x, newlines), _mm256_cmpeq_epi8(x, quotes)),
                _mm256_cmpeq_epi8(x, delimiters));
            mark |= (uint64_t)(uint32_t)_mm256_movemask_epi8(hit) << (32 * j);
        }
        marks[i] = mark;
    }
}
#endif

/* Write (size + 63) / 64 words. Nothing is read past text + size. */
static void scan_marks(int level, const uint8_t *text, int32_t size, uint8_t delimiter, uint64_t *marks) {
    void (*words)(const uint8_t *, int64_t, uint8_t, uint64_t *) = scan_marks_portable;
#if SIMD_X86
    if (level == SIMD_SSE4) words = scan_marks_sse4;
    if (level >= SIMD_AVX2) words = scan_marks_avx2;
#else
    (void)level;
#endif
    int32_t whole = size / 64, rest = size % 64;
    words(text, whole, delimiter, marks);
    if (rest) {
        uint8_t last[64] = {0}; /* NUL is no mark */
        memcpy(last, text + 64 * (int64_t)whole, (size_t)rest);
        words(last, 1, delimiter, marks + whole);
    }
}

/* ---- pass 2 ---- */

static inline bool scan_is_blank(uint8_t byte) { return byte == ' ' || byte == '\t' || byte == '\r'; }

static inline bool scan_is_blank_line(const uint8_t *text, int32_t start, int32_t end) {
    while (start < end && scan_is_blank(text[start])) start++;
    return start == end;
}

/* Write a cell without the blanks around it; return where the next one goes. */
static inline int32_t *scan_cell(int32_t *cell, int32_t capacity, const uint8_t *text, int32_t start,
                                 int32_t end) {
    while (start < end && scan_is_blank(text[start])) start++;
    while (start < end && scan_is_blank(text[end - 1])) end--;
    cell[0] = start;
    cell[capacity] = end;
    return cell + 2 * (int64_t)capacity;
}

/* Where the line of `start` ends: its '\n', or `end`. */
static inline int32_t scan_line_end(const uint8_t *text, int32_t start, int32_t end) {
    const uint8_t *newline = memchr(text + start, '\n', (size_t)(end - start));
    return newline ? (int32_t)(newline - text) : end;
}

static bool scan_is_identity(const struct scan_dialect *dialect, int32_t column) {
    for (int32_t i = 0; i < dialect->n_identities; i++)
        if (dialect->wanted[dialect->identities[i]] == column) return true;
    return false;
}

/* Whether a line looks like a row: has its cells, two at least, and in that of an identity as many digits as one has.
 * The latter ends before `close`, where a quote is, or is all of the line. cells: those before `start`. */
static bool scan_like_row(const struct scan_dialect *dialect, const uint8_t *text, int32_t start, int32_t end,
                          int32_t close, int32_t cells) {
    const int32_t two = dialect->needed < 2 ? 2 : dialect->needed;
    const int32_t fewest = dialect->shorter && two < dialect->fewest ? two : dialect->fewest;
    int32_t digits = 0, filled = cells;
    bool identity = false, blank = true, quoted = false;
    for (int32_t at = start; at <= end; at++) {
        if (at < end && (quoted || text[at] != dialect->delimiter)) {
            blank &= scan_is_blank(text[at]);
            digits += (uint8_t)(text[at] - '0') <= 9;
            if (at > close && text[at] == '"') quoted = !quoted && text[at - 1] == dialect->delimiter;
            continue;
        }
        if (digits >= dialect->digits && (at <= close || (!cells && at == end)))
            identity |= scan_is_identity(dialect, cells);
        cells++;
        if (!blank) filled = cells;
        digits = 0;
        blank = true;
    }
    return identity && cells >= fewest && filled <= dialect->most;
}

/* Whether a quoted cell of several lines, the `column`th of a row, hides another row. open, close: its quotes;
 * end: where the line of the latter ends. Of the lines that it cuts, the first hides one if an identity would
 * come after `open`, the last if one would before `close`. */
static bool scan_hides_row(const struct scan_dialect *dialect, const uint8_t *text, int32_t column, int32_t open,
                           int32_t close, int32_t end) {
    int32_t stop = scan_line_end(text, open, close), start = stop + 1;
    const uint8_t *next = memchr(text + open, dialect->delimiter, (size_t)(stop - open));
    if (next && scan_like_row(dialect, text, (int32_t)(next - text) + 1, stop, close, column + 1)) return true;
    for (; start <= close; start = stop + 1) {
        stop = scan_line_end(text, start, close);
        if (scan_like_row(dialect, text, start, stop < close ? stop : end, close, 0)) return true;
    }
    return false;
}

/* How many CRs stand inside a row, out of quoted cells and not at its end. */
static inline int32_t scan_returns(const uint8_t *text, int32_t start, int32_t end, uint8_t delimiter) {
    int32_t count = 0;
    bool quoted = false;
    while (end > start && text[end - 1] == '\r') end--;
    if (!memchr(text + start, '\r', (size_t)(end - start))) return 0;
    for (int32_t at = start; at < end; at++) {
        if (quoted && text[at] == '"') {
            if (at + 1 < end && text[at + 1] == '"') at++;
            else quoted = false;
        } else if (!quoted) {
            quoted = text[at] == '"' && (at == start || text[at - 1] == delimiter);
            count += text[at] == '\r';
        }
    }
    return count;
}

/* How many cells a line has; -1 if a quote in it is not closed. */
static int32_t scan_count_cells(const uint8_t *text, int32_t start, int32_t end, uint8_t delimiter) {
    int32_t cells = 1;
    bool quoted = false;
    for (int32_t at = start; at < end; at++) {
        if (!quoted) {
            quoted = text[at] == '"' && (at == start || text[at - 1] == delimiter);
            cells += text[at] == delimiter;
        } else if (text[at] == '"') {
            if (at + 1 < end && text[at + 1] == '"') at++;
            else quoted = false;
        }
    }
    return quoted ? -1 : cells;
}

/* Whether a line is an irregular identity: up to 16 of '0'..'9', 'A'..'F', '*' and '#', of which one is a digit. */
static bool scan_is_irregular(const uint8_t *text, int32_t start, int32_t end) {
    bool digit = false;
    while (start < end && scan_is_blank(text[end - 1])) end--;
    if (end - start > 16) return false;
    for (int32_t at = start; at < end; at++) {
        uint8_t c = text[at], letter = c & 0xDF;
        if (imei_is_digit(c)) digit = true;
        else if (!(letter >= 'A' && letter <= 'F') && c != '*' && c != '#') return false;
    }
    return digit;
}

/* Whether a line that starts with '#' is a comment: not if it has the cells of a whole row, more than one, or is
 * an irregular identity where these are rows. */
static bool scan_comment(const struct scan_dialect *dialect, const uint8_t *text, int32_t start, int32_t end) {
    if (dialect->delimiter == '\n') return !(dialect->irregular && scan_is_irregular(text, start, end));
    int32_t cells = scan_count_cells(text, start, end, dialect->delimiter);
    for (; cells > dialect->most; cells--, end--) {
        while (scan_is_blank(text[end - 1]) && text[end - 1] != dialect->delimiter) end--;
        if (text[end - 1] != dialect->delimiter) break;
    }
    return cells < 2 || cells < dialect->fewest || cells > dialect->most;
}

/* Yield at most `limit` rows from state->position on; return how many. Fewer means that the chunk is
 * finished: its bytes from state->position on are an unfinished row, to be put before the next chunk
 * (none if `final`).
 *
 * cells: for each wanted column, `capacity` starts and then `capacity` ends, in the chunk, without
 * quotes and surrounding blanks (escaped quotes stay doubled). A cell that is not there is empty. */
static int32_t scan_rows(const struct scan_dialect *dialect, const uint8_t *text, int32_t size, bool final,
                         const uint64_t *marks, int32_t limit, int32_t capacity, struct scan_row *rows,
                         int32_t *cells, struct scan_state *state) {
    const int32_t words = size / 64 + (size % 64 != 0), max_row = dialect->max_row;
    const int32_t n_wanted = dialect->n_wanted, fewest = dialect->fewest, most = dialect->most;
    const int32_t *wanted = dialect->wanted;
    int32_t count = 0, position = state->position, line = state->lines;
    int32_t word = 0, mark = 0;
    uint64_t bits = 0;

#define SCAN_SEEK(where)                                                     \
    do {                                                                     \
        word = (where) / 64;                                                 \
        bits = word < words ? marks[word] & (~0ULL << ((where) % 64)) : 0;   \
    } while (0)
#define SCAN_NEXT()                                                          \
    do {                                                                     \
        while (!bits && ++word < words) bits = marks[word];                  \
        mark = bits ? word * 64 + __builtin_ctzll(bits) : size;              \
        bits &= bits - 1;                                                    \
    } while (0)

    if (state->skipping && position < size) {
        int32_t end = scan_line_end(text, position, size);
        state->skipping = end == size;
        line += end < size;
        position = end < size ? end + 1 : size;
    }
    SCAN_SEEK(position);

    while (count < limit && position < size) {
        /* One row, from `position`. */
        int32_t *cell = cells + count; /* the start of the next wanted cell; its end is `capacity` on */
        int32_t column = 0, found = 0, start = position, row_lines = 0;
        bool wide = false;

        if (dialect->comments && text[position] == '#') {
            int32_t end = scan_line_end(text, position, size);
            if (end == size && !final) {
                if (size - position <= max_row) break;
                state->skipping = true;
            }
            if (end - position > max_row || scan_comment(dialect, text, position, end)) {
                state->comments++;
                line += end < size;
                position = end < size ? end + 1 : size;
                SCAN_SEEK(position);
                continue;
            }
        }
        for (;;) { /* one cell, from `start` */
            SCAN_NEXT();
            int32_t cell_start = start, cell_end = mark;
            if (mark < size && text[mark] == '"') {
                if (mark == start) {
                    const int32_t lines_before = row_lines;
                    for (;;) {
                        do {
                            SCAN_NEXT();
                            row_lines += mark < size && text[mark] == '\n';
                        } while (mark < size && text[mark] != '"');
                        if (mark + 1 < size && text[mark + 1] == '"') {
                            SCAN_NEXT();
                            continue;
                        }
                        break;
                    }
                    if (mark - position > max_row) goto flawed;
                    if (mark == size || (mark + 1 == size && !final)) {
                        if (final || size - position > max_row) goto flawed;
                        goto unfinished;
                    }
                    cell_start = start + 1;
                    cell_end = mark;
                    SCAN_NEXT();
                    /* Only a CR may stand between the closing quote and the line end. */
                    if (mark != cell_end + 1 && !(mark == cell_end + 2 && text[cell_end + 1] == '\r' &&
                                                  (mark == size ? final : text[mark] == '\n'))) {
                        if (!final && cell_end + 2 == size && text[cell_end + 1] == '\r' &&
                            size - position <= max_row)
                            goto unfinished;
                        goto flawed;
                    }
                    if (row_lines > lines_before && fewest) {
                        int32_t end = scan_line_end(text, cell_end, size);
                        if (end == size && !final) {
                            if (size - position > max_row) goto flawed;
                            goto unfinished;
                        }
                        if (scan_hides_row(dialect, text, column, start, cell_end, end)) goto flawed;
                    }
                } else {
                    do {
                        SCAN_NEXT();
                    } while (mark < size && text[mark] == '"');
                    cell_end = mark;
                }
            }
            if (mark - position > max_row) goto flawed;
            if (mark == size && !final) goto unfinished;
            if (found < n_wanted && wanted[found] == column) {
                found++;
                cell = scan_cell(cell, capacity, text, cell_start, cell_end);
            }
            if (column >= most && !scan_is_blank_line(text, cell_start, cell_end)) wide = true;
            column++;
            if (mark == size || text[mark] == '\n') break;
            start = mark + 1;
        }
        /* The row is whole: [position, mark). */
        if (column == 1 && scan_is_blank_line(text, position, mark)) {
            state->blank++;
        } else {
            int32_t flaw = column < dialect->needed ? SCAN_SHORT
                           : wide || (column < fewest && (row_lines || !dialect->shorter)) ? SCAN_CELLS
                           : scan_returns(text, position, mark, dialect->delimiter) ? SCAN_RETURN : SCAN_FINE;
            if (flaw && flaw != SCAN_RETURN && row_lines && fewest) goto flawed; /* a quote may have joined two */
            rows[count] = (struct scan_row){position, mark, line, flaw};
            for (; found < n_wanted; found++) cell = scan_cell(cell, capacity, text, mark, mark);
            state->continued += row_lines;
            count++;
        }
        line += row_lines + (mark < size);
        position = mark < size ? mark + 1 : size;
        continue;

    flawed:
        /* Yield the first line alone and go on after it. */
        cell = cells + count;
        for (found = 0; found < n_wanted; found++) cell = scan_cell(cell, capacity, text, position, position);
        if (size - position > max_row) {
            mark = scan_line_end(text, position, position + max_row + 1);
            if (mark > position + max_row) {
                rows[count++] = (struct scan_row){position, position + max_row, line, SCAN_LONG};
                mark = scan_line_end(text, position + max_row, size);
                state->skipping = mark == size && !final;
                line += mark < size;
                position = mark < size ? mark + 1 : size;
                SCAN_SEEK(position);
                continue;
            }
        } else {
            mark = scan_line_end(text, position, size);
            if (mark == size && !final) goto unfinished;
        }
        rows[count++] = (struct scan_row){position, mark, line, SCAN_QUOTE};
        line += mark < size;
        position = mark < size ? mark + 1 : size;
        SCAN_SEEK(position);
    }
unfinished:
#undef SCAN_SEEK
#undef SCAN_NEXT
    state->position = position;
    state->lines = line;
    return count;
}

#endif
