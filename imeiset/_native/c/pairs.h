/* Pairs of a key and a number, in two arrays: sorted in place, byte by byte from the highest on.
 *
 * Each pass swaps the pairs to where their byte belongs, then sorts the pairs of each byte by the next; few
 * pairs are sorted by insertion. So it takes no memory beyond the arrays, whatever their size.
 */
#ifndef IMEISET_PAIRS_H
#define IMEISET_PAIRS_H

#include <stddef.h>
#include <stdint.h>

#define PAIRS_FEW 32
#define PAIRS_KEY_BYTES 6  /* below 2^48 */
#define PAIRS_BYTES 13     /* and 7 of a number below 2^56 */

static inline int pairs_less(uint64_t key, uint64_t number, uint64_t other_key, uint64_t other) {
    return key < other_key || (key == other_key && number < other);
}

static int pairs_ascending(const uint64_t *keys, const uint64_t *numbers, size_t n) {
    for (size_t i = 1; i < n; i++)
        if (!pairs_less(keys[i - 1], numbers[i - 1], keys[i], numbers[i])) return 0;
    return 1;
}

static inline unsigned pairs_byte(uint64_t key, uint64_t number, int nth) {
    return nth < PAIRS_KEY_BYTES ? (unsigned)(key >> (40 - 8 * nth)) & 255
                                 : (unsigned)(number >> (48 - 8 * (nth - PAIRS_KEY_BYTES))) & 255;
}

static void pairs_insert(uint64_t *keys, uint64_t *numbers, size_t n) {
    for (size_t i = 1; i < n; i++) {
        uint64_t key = keys[i], number = numbers[i];
        size_t j = i;
        for (; j && pairs_less(key, number, keys[j - 1], numbers[j - 1]); j--) {
            keys[j] = keys[j - 1];
            numbers[j] = numbers[j - 1];
        }
        keys[j] = key;
        numbers[j] = number;
    }
}

/* By the bytes from the nth on; a recursion for each byte. */
static void pairs_sort_from(uint64_t *keys, uint64_t *numbers, size_t n, int nth) {
    size_t next[256], end[256], count[256] = {0};
    if (n <= PAIRS_FEW) {
        pairs_insert(keys, numbers, n);
        return;
    }
    for (size_t i = 0; i < n; i++) count[pairs_byte(keys[i], numbers[i], nth)]++;
    for (size_t byte = 0, at = 0; byte < 256; byte++) {
        next[byte] = at;
        end[byte] = at += count[byte];
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        while (next[byte] < end[byte]) {
            uint64_t key = keys[next[byte]], number = numbers[next[byte]];
            unsigned to;
            while ((to = pairs_byte(key, number, nth)) != byte) { /* carry it to its place, take what is there */
                size_t at = next[to]++;
                uint64_t other_key = keys[at], other = numbers[at];
                keys[at] = key;
                numbers[at] = number;
                key = other_key;
                number = other;
            }
            keys[next[byte]] = key;
            numbers[next[byte]++] = number;
        }
    }
    if (nth + 1 == PAIRS_BYTES) return;
    for (size_t byte = 0, at = 0; byte < 256; at += count[byte++])
        if (count[byte] > 1) pairs_sort_from(keys + at, numbers + at, count[byte], nth + 1);
}

/* In order and each once, from the front; returns how many. Keys below 2^48, numbers below 2^56. */
static size_t pairs_sort(uint64_t *keys, uint64_t *numbers, size_t n) {
    size_t kept = n > 0;
    pairs_sort_from(keys, numbers, n, 0);
    for (size_t i = 1; i < n; i++) {
        if (keys[i] == keys[kept - 1] && numbers[i] == numbers[kept - 1]) continue;
        keys[kept] = keys[i];
        numbers[kept++] = numbers[i];
    }
    return kept;
}

/* Each key once, from the front, and where it began; starts[] ends with n. Returns how many keys. */
static size_t pairs_starts(uint64_t *keys, size_t n, uint32_t *starts) {
    size_t runs = 0;
    for (size_t i = 0; i < n; i++) {
        if (runs && keys[i] == keys[runs - 1]) continue;
        starts[runs] = (uint32_t)i;
        keys[runs++] = keys[i];
    }
    starts[runs] = (uint32_t)n;
    return runs;
}

#endif
