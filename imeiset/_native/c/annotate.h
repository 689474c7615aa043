/* Rows of a text with a word added to each, for `screen`. */
#ifndef IMEISET_ANNOTATE_H
#define IMEISET_ANNOTATE_H

#include "scan.h"

/* What stands after a row of a code: words[at[code]:at[code + 1]], a line end last; nothing keeps the row out.
 * cells: how many a row gets before it, so that it stands in a column of its own; 0: as many as the row has.
 * plain: the text has no delimiter; the one given stands before the word alone. */
struct annotate_words {
    const uint8_t *words;
    const int32_t *at; /* one more than there are words */
    int32_t cells;
    uint8_t delimiter;
    bool plain;
};

/* Where in a row the word goes, how many bytes of the row there are, and how many cells it lacks. quotes: the
 * row becomes one quoted cell; how many quotes are in it. -1: it stays as it is. */
struct annotate_kept {
    int32_t cut, length, missing, quotes;
};

/* Of a row that has not as many cells as it gets, or that is not sound. A sound row has too few cells where the last
 * ones have no title, too many where those are blank: these are left out. Of another row nothing is: the word goes
 * before the cells that are too many, and a row whose cells cannot be told, or that has a CR which some readers take
 * for its end, is quoted; as one of a plain text with a delimiter. */
static struct annotate_kept annotate_odd(const uint8_t *from, int32_t length, int32_t flaw, int32_t delimiters,
                                         int32_t quotes, const struct annotate_words *words) {
    struct annotate_kept kept = {length, length, 0, -1};
    bool unclear = flaw == SCAN_QUOTE || (flaw && memchr(from, '\r', (size_t)length));
    if (unclear || (words->plain && delimiters)) {
        kept.missing = words->cells - 1;
        kept.quotes = quotes;
        return kept;
    }
    int32_t cells = 1;
    bool first = true, quoted = false; /* a quote is one only where a cell starts; a doubled one ends and starts */
    for (int32_t i = 0; i < length; i++) {
        if (from[i] == '"' && (first || quoted)) {
            quoted = !quoted;
            if (!quoted && i + 1 < length && from[i + 1] == '"') quoted = true, i++;
            first = false;
        } else if (from[i] == words->delimiter && !quoted) {
            if (cells == words->cells) {
                kept.cut = i;
                if (!flaw) kept.length = i;
                return kept;
            }
            cells++;
            first = true;
        } else {
            first = false;
        }
    }
    kept.missing = words->cells - cells;
    return kept;
}

ALWAYS_INLINE struct annotate_kept annotate_kept(const uint8_t *text, const struct scan_row *row,
                                                 const struct annotate_words *words) {
    const uint8_t *from = text + row->start, delimiter = words->delimiter;
    int32_t length = row->end - row->start, delimiters = 0, quotes = 0;
    while (length > 0 && from[length - 1] == '\r') length--; /* before the line end */
    struct annotate_kept kept = {length, length, 0, -1};
    if (!words->cells) return kept;
    for (int32_t i = 0; i < length; i++) {
        delimiters += from[i] == delimiter;
        quotes += from[i] == '"';
    }
    if (!quotes && !row->flaw && delimiters + 1 == words->cells) return kept;
    return annotate_odd(from, length, row->flaw, delimiters, quotes, words);
}

/* The bytes annotate_rows writes. */
static size_t annotate_size(const uint8_t *text, const struct scan_row *rows, const uint32_t *codes, size_t n,
                            const struct annotate_words *words) {
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t word = words->at[codes[i] + 1] - words->at[codes[i]];
        if (!word) continue;
        struct annotate_kept kept = annotate_kept(text, &rows[i], words);
        size += (size_t)kept.length + (size_t)kept.missing + (size_t)word;
        if (UNLIKELY(kept.quotes >= 0)) size += (size_t)kept.quotes + 2;
    }
    return size;
}

/* A row as one quoted cell. */
static uint8_t *annotate_quoted(const uint8_t *from, int32_t length, uint8_t *out) {
    *out++ = '"';
    for (int32_t i = 0; i < length; i++) {
        if (from[i] == '"') *out++ = '"';
        *out++ = from[i];
    }
    *out++ = '"';
    return out;
}

/* Every row whose code has a word, and the word. */
static void annotate_rows(const uint8_t *text, const struct scan_row *rows, const uint32_t *codes, size_t n,
                          const struct annotate_words *words, uint8_t *out) {
    for (size_t i = 0; i < n; i++) {
        int32_t from = words->at[codes[i]], word = words->at[codes[i] + 1] - from;
        if (!word) continue;
        struct annotate_kept kept = annotate_kept(text, &rows[i], words);
        const uint8_t *row = text + rows[i].start;
        if (UNLIKELY(kept.quotes >= 0)) {
            out = annotate_quoted(row, kept.length, out);
        } else {
            memcpy(out, row, (size_t)kept.cut);
            out += kept.cut;
        }
        if (UNLIKELY(kept.missing)) {
            memset(out, words->delimiter, (size_t)kept.missing);
            out += kept.missing;
        }
        memcpy(out, words->words + from, (size_t)word);
        out += word;
        if (UNLIKELY(kept.cut < kept.length)) { /* the rest of the row, before the line end */
            uint8_t end = *--out;
            memcpy(out, row + kept.cut, (size_t)(kept.length - kept.cut));
            out += kept.length - kept.cut;
            *out++ = end;
        }
    }
}

#endif
