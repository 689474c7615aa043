/* Rows of a text with a word added to each, for `screen`. */
#ifndef IMEISET_ANNOTATE_H
#define IMEISET_ANNOTATE_H

#include "scan.h"

/* What stands after a row of a code: words[at[code]:at[code + 1]]; nothing keeps the row out. */
struct annotate_words {
    const uint8_t *words;
    const int32_t *at; /* 257 */
};

/* The bytes a row has without the CR before its line end. */
static inline int32_t annotate_length(const uint8_t *text, const struct scan_row *row) {
    int32_t length = row->end - row->start;
    return length - (length > 0 && text[row->end - 1] == '\r');
}

/* The bytes annotate_rows writes. */
static size_t annotate_size(const uint8_t *text, const struct scan_row *rows, const uint8_t *codes, size_t n,
                            const struct annotate_words *words) {
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t word = words->at[codes[i] + 1] - words->at[codes[i]];
        if (word) size += (size_t)annotate_length(text, &rows[i]) + (size_t)word;
    }
    return size;
}

/* Every row whose code has a word, and the word. */
static void annotate_rows(const uint8_t *text, const struct scan_row *rows, const uint8_t *codes, size_t n,
                          const struct annotate_words *words, uint8_t *out) {
    for (size_t i = 0; i < n; i++) {
        int32_t from = words->at[codes[i]], word = words->at[codes[i] + 1] - from;
        if (!word) continue;
        size_t length = (size_t)annotate_length(text, &rows[i]);
        memcpy(out, text + rows[i].start, length);
        memcpy(out + length, words->words + from, (size_t)word);
        out += length + (size_t)word;
    }
}

#endif
