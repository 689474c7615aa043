/* Rows of a text with a word added to each, for `screen`. */
#ifndef IMEISET_ANNOTATE_H
#define IMEISET_ANNOTATE_H

#include "scan.h"

/* What stands after a row of a code: words[at[code]:at[code + 1]]; nothing keeps the row out. cells: how many
 * a sound row gets before it, so that it stands in a column of its own; 0: as many as the row has. */
struct annotate_words {
    const uint8_t *words;
    const int32_t *at; /* 257 */
    int32_t cells;
    uint8_t delimiter;
};

/* What is kept of a row, and how many cells it lacks. */
struct annotate_kept {
    int32_t length, missing;
};

/* A row has too few cells where the last ones have no title, too many where those are blank. */
static struct annotate_kept annotate_kept(const uint8_t *text, const struct scan_row *row,
                                          const struct annotate_words *words) {
    const uint8_t *from = text + row->start, delimiter = words->delimiter;
    int32_t length = row->end - row->start, delimiters = 0, quotes = 0;
    length -= length > 0 && from[length - 1] == '\r'; /* before the line end */
    struct annotate_kept kept = {length, 0};
    if (!words->cells || row->flaw) return kept;
    for (int32_t i = 0; i < length; i++) {
        delimiters += from[i] == delimiter;
        quotes += from[i] == '"';
    }
    if (!quotes && delimiters + 1 == words->cells) return kept;
    int32_t cells = 1;
    bool first = true, quoted = false; /* a quote is one only where a cell starts; a doubled one ends and starts */
    for (int32_t i = 0; i < length; i++) {
        if (from[i] == '"' && (first || quoted)) {
            quoted = !quoted;
            if (!quoted && i + 1 < length && from[i + 1] == '"') quoted = true, i++;
            first = false;
        } else if (from[i] == delimiter && !quoted) {
            if (cells == words->cells) {
                kept.length = i;
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

/* The bytes annotate_rows writes. */
static size_t annotate_size(const uint8_t *text, const struct scan_row *rows, const uint8_t *codes, size_t n,
                            const struct annotate_words *words) {
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t word = words->at[codes[i] + 1] - words->at[codes[i]];
        if (!word) continue;
        struct annotate_kept kept = annotate_kept(text, &rows[i], words);
        size += (size_t)kept.length + (size_t)kept.missing + (size_t)word;
    }
    return size;
}

/* Every row whose code has a word, and the word. */
static void annotate_rows(const uint8_t *text, const struct scan_row *rows, const uint8_t *codes, size_t n,
                          const struct annotate_words *words, uint8_t *out) {
    for (size_t i = 0; i < n; i++) {
        int32_t from = words->at[codes[i]], word = words->at[codes[i] + 1] - from;
        if (!word) continue;
        struct annotate_kept kept = annotate_kept(text, &rows[i], words);
        memcpy(out, text + rows[i].start, (size_t)kept.length);
        out += kept.length;
        memset(out, words->delimiter, (size_t)kept.missing);
        out += kept.missing;
        memcpy(out, words->words + from, (size_t)word);
        out += word;
    }
}

#endif
