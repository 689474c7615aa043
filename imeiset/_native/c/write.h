/* Keys to text: rows of a key's 15 digits between given bytes, four digits at a time. */
#ifndef IMEISET_WRITE_H
#define IMEISET_WRITE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WRITE_DIGITS 15 /* of a row, the check digit included */

/* Of the numbers of four digits: their text, and what they add to Luhn's sum, modulo 10. */
static char write_quads[10000][4];
static uint8_t write_luhn[10000];

static inline void write_init(void) {
    for (unsigned n = 0; n < 10000; n++) {
        unsigned rest = n, sum = 0;
        for (int place = 3; place >= 0; place--, rest /= 10) {
            unsigned digit = rest % 10;
            write_quads[n][place] = (char)('0' + digit);
            sum += place % 2 == 0 ? digit : digit < 5 ? 2 * digit : 2 * digit - 9;
        }
        write_luhn[n] = (uint8_t)(sum % 10);
    }
}

/* The 15 characters of a key below 10^14. */
static inline void write_key(uint64_t key, char *text) {
    const unsigned tac = (unsigned)(key / 1000000), serial = (unsigned)(key - tac * UINT64_C(1000000));
    const unsigned a = tac / 10000, b = tac % 10000, c = serial / 100, d = serial % 100 * 100;
    const unsigned sum = write_luhn[a] + write_luhn[b] + write_luhn[c] + write_luhn[d];
    memcpy(text, write_quads[a], 4);
    memcpy(text + 4, write_quads[b], 4);
    memcpy(text + 8, write_quads[c], 4);
    memcpy(text + 12, write_quads[d], 2);
    text[14] = (char)('0' + (40 - sum) % 10);
}

#define WRITE_AROUND 16 /* bytes before or after a key that are copied at once */

/* Write n rows, or as many as have keys below 10^14; returns how many. */
static size_t write_rows(const uint64_t *keys, size_t n, const char *before, size_t before_size,
                         const char *after, size_t after_size, char *to) {
    const size_t size = before_size + WRITE_DIGITS + after_size;
    char first[WRITE_AROUND] = {0}, last[WRITE_AROUND] = {0};
    size_t whole = 0; /* rows after which there is room for more than is to be written */
    if (before_size <= WRITE_AROUND && after_size <= WRITE_AROUND) {
        memcpy(first, before, before_size);
        memcpy(last, after, after_size);
        whole = n > 2 ? n - 2 : 0;
    }
    for (size_t i = 0; i < n; i++, to += size) {
        if (keys[i] >= UINT64_C(100000000000000)) return i;
        if (i < whole) {
            memcpy(to, first, WRITE_AROUND);
            write_key(keys[i], to + before_size);
            memcpy(to + before_size + WRITE_DIGITS, last, WRITE_AROUND);
        } else {
            memcpy(to, before, before_size);
            write_key(keys[i], to + before_size);
            memcpy(to + before_size + WRITE_DIGITS, after, after_size);
        }
    }
    return n;
}

#endif
