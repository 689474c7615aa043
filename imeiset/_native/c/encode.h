/* Runs of keys as bytes, in the one way that a digest is taken of: see `ImeiSet.digest`.
 *
 *   runs  := run*          in order, none touching the next
 *   run   := number        2 * (keys between it and the run before, or zero), plus 1 if it has more than
 *                          one key
 *            [number]      then: its keys less two
 *   number := LEB128
 */
#ifndef IMEISET_ENCODE_H
#define IMEISET_ENCODE_H

#include "spill.h"

#define ENCODED_KEY 7  /* bytes for a key at most, and once more */
#define ENCODED_RUN 14 /* bytes for a run at most, and once more */
#define ENCODED_ROOM 32 /* bytes beyond */

struct encoder {
    uint64_t start, length; /* the run at hand, which the next may continue */
    uint64_t after;         /* the key after the run before it */
};

static inline uint8_t *encode_number(uint8_t *to, uint64_t number) {
    const unsigned bytes = (bit_width(number | 1) + 6) / 7;
    if (number < 1u << 28) { /* nearly always, and without a branch for each byte */
        uint64_t spread = (number & 0x7F) | (number & 0x3F80) << 1 | (number & 0x1FC000) << 2 |
                          (number & 0xFE00000) << 3;
        store64(to, spread | (0x80808080u & low_mask(8 * (bytes - 1))));
        return to + bytes;
    }
    for (; number > 0x7F; number >>= 7) *to++ = (uint8_t)(number | 0x80);
    *to++ = (uint8_t)number;
    return to;
}

/* Write the run at hand. */
static inline uint8_t *encode_flush(struct encoder *e, uint8_t *to) {
    if (e->length == 0) return to;
    to = encode_number(to, (e->start - e->after) << 1 | (e->length > 1));
    if (e->length > 1) to = encode_number(to, e->length - 2);
    e->after = e->start + e->length;
    e->length = 0;
    return to;
}

/* Add ascending keys, repeats allowed. */
static inline uint8_t *encode_keys(struct encoder *e, const uint64_t *keys, size_t n, uint8_t *to) {
    for (size_t i = 0; i < n; i++) {
        if (e->length && keys[i] <= e->start + e->length) {
            e->length += keys[i] == e->start + e->length;
            continue;
        }
        to = encode_flush(e, to);
        e->start = keys[i];
        e->length = 1;
    }
    return to;
}

/* Add an inclusive run, which is above all before it and may touch the last. */
static inline uint8_t *encode_run(struct encoder *e, uint64_t low, uint64_t high, uint8_t *to) {
    if (!e->length || low != e->start + e->length) {
        to = encode_flush(e, to);
        e->start = low;
    }
    e->length += high - low + 1;
    return to;
}

/* Add ascending inclusive runs without those of some ascending keys that they have, and with those that they do
 * not have: at most a run more for each. */
static inline uint8_t *encode_runs(struct encoder *e, const uint64_t *lows, const uint64_t *highs, size_t n,
                                   const uint64_t *flips, size_t m, uint8_t *to) {
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t low = lows[i];
        for (; at < m && flips[at] < low; at++) to = encode_run(e, flips[at], flips[at], to);
        for (; at < m && flips[at] <= highs[i]; at++) {
            if (flips[at] > low) to = encode_run(e, low, flips[at] - 1, to);
            low = flips[at] + 1;
        }
        if (low <= highs[i]) to = encode_run(e, low, highs[i], to);
    }
    for (; at < m; at++) to = encode_run(e, flips[at], flips[at], to);
    return to;
}

#endif
