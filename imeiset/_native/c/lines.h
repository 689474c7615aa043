/* Lines: the serial numbers of one stretch of a TAC in 64 bytes.
 *
 * A TAC with n serials is cut into a number of stretches of equal width that depends on n
 * alone, so that the line of a serial is computed, never looked up. A line holds the offsets
 * x = serial - start of its stretch in Elias-Fano form:
 *
 *   byte 0          spill_from: the first bucket whose serials may also lie in the spill
 *                   (spill.h), 255 where the line holds all of its stretch
 *   bits 8..        unary part: for each bucket x >> low_bits a 1, then a 0 for each of its
 *                   serials; filled up with 1s
 *   bits low_at..   the low bits of the offsets, in order
 *
 * A serial that finds no room (the line or its bucket is full) goes to the spill. The row of
 * a dense TAC is a bitmap instead: bytes 1..63 have one bit per serial, low_bits is 1.
 *
 * Invariant: a serial of the set is in its line, or it is in the spill and its bucket is not
 * below spill_from. Nothing here reads outside the 64 bytes, whatever they hold.
 */
#ifndef IMEISET_LINES_H
#define IMEISET_LINES_H

#include <stdint.h>
#include <string.h>

#include "shapes.h"
#include "simd.h"

#define LINE_BYTES 64
#define SERIALS 1000000u /* serial numbers in a TAC */
#define NO_SPILL 255
#define BITMAP_WIDTH 504u

/* How one row of SHAPE_ROWS lays out its lines, worked out once. */
struct shape {
    uint32_t width;      /* serials in the stretch of a line */
    uint32_t reciprocal; /* ceil(2^40 / width): serial / width by multiplication */
    uint16_t lines;      /* lines of a TAC; 0: none, every serial is in the spill */
    uint16_t low_at;     /* first bit of the low parts */
    uint8_t low_bits;
    uint8_t capacity;    /* serials a line can hold; 0: a bitmap */
    uint8_t buckets;
    uint8_t bucket_capacity; /* serials of a bucket that one 64-bit load can hold */
};

static struct shape shapes[256];

/* What a lookup needs of a shape, in one word: width in bits 0..19, low_bits in 20..23, in 24..31 where the
 * low parts begin (of a bitmap: its bits), reciprocal in 32..63. */
static uint64_t shape_words[256];
#define word_width(word) ((uint32_t)(word) & 0xFFFFF)
#define word_low_bits(word) ((uint32_t)(word) >> 20 & 15)
#define word_low_at(word) ((uint32_t)(word) >> 24)
#define word_reciprocal(word) ((word) >> 32)
#define BITMAP_LOW_BITS 1u /* of bitmaps, and of nothing else */
#define NO_LOW_BITS 14u    /* of rows without lines; any that a line may have would do */

/* A 1 at the bottom of every field of so many bits. */
static uint64_t field_ones[16];

static inline void shapes_init(void) {
    for (int bits = 1; bits < 16; bits++)
        for (int at = 0; at + bits <= 64; at += bits) field_ones[bits] |= 1ull << at;
    for (int row = 0; row < 256; row++) {
        struct shape *s = &shapes[row];
        memset(s, 0, sizeof *s);
        s->lines = SHAPE_ROWS[row].lines;
        s->width = s->lines ? (SERIALS + s->lines - 1) / s->lines : SERIALS;
        s->reciprocal = (uint32_t)(((1ull << 40) + s->width - 1) / s->width);
        s->capacity = s->lines ? SHAPE_ROWS[row].capacity : 1;
        s->low_bits = !s->lines ? NO_LOW_BITS : s->capacity ? SHAPE_ROWS[row].low_bits : BITMAP_LOW_BITS;
        s->buckets = (uint8_t)(s->capacity ? ((s->width - 1) >> s->low_bits) + 1 : 0);
        s->low_at = (uint16_t)(8 + s->buckets + s->capacity + 1);
        s->bucket_capacity = (uint8_t)(57 / s->low_bits);
        shape_words[row] = s->width | (uint64_t)s->low_bits << 20 | (uint64_t)(s->capacity ? s->low_at : 8) << 24 |
                           (uint64_t)s->reciprocal << 32;
    }
}

/* The row for a TAC that keeps n serials in lines. */
static inline unsigned shape_row(uint32_t n) {
    if (n < 64) return n;
    if (n >= 1u << 18) return 255;
    unsigned octave = 31u - (unsigned)__builtin_clz(n);
    return 64 + (octave - 6) * 16 + ((n >> (octave - 4)) & 15);
}

static inline uint64_t load64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline void store64(uint8_t *p, uint64_t v) {
    memcpy(p, &v, 8);
}

/* The bits from bit `at` of a line on, at least 57 of them or up to its end. Any `at` reads from
 * the line alone: in a sound one it is below 512. */
ALWAYS_INLINE uint64_t line_bits(const uint8_t *line, uint32_t at) {
    uint32_t byte = at >> 3;
    byte = byte < LINE_BYTES - 8 ? byte : LINE_BYTES - 8;
    return load64(line + byte) >> ((at - byte * 8) & 63);
}

static inline void line_or(uint8_t *line, uint32_t at, uint64_t field) {
    uint32_t byte = at >> 3;
    byte = byte < LINE_BYTES - 8 ? byte : LINE_BYTES - 8;
    store64(line + byte, load64(line + byte) | field << (at - byte * 8));
}

static inline uint64_t low_mask(unsigned bits) { return (1ull << (bits & 63)) - 1; }

/* The position of the k-th 1 (from 0) of w, 64 where it has none. */
ALWAYS_INLINE unsigned select64(uint64_t w, unsigned k, int level) {
    if (UNLIKELY(k >= 64)) return 64;
#if SIMD_X86
    if (level >= SIMD_AVX2) {
        uint64_t bit, at;
        __asm__("pdep %2, %1, %0" : "=r"(bit) : "r"(1ull << k), "r"(w));
        __asm__("tzcnt %1, %0" : "=r"(at) : "r"(bit) : "cc");
        return (unsigned)at;
    }
#endif
    (void)level;
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t sums = w - (w >> 1 & UINT64_C(0x5555555555555555));
    sums = (sums & UINT64_C(0x3333333333333333)) + (sums >> 2 & UINT64_C(0x3333333333333333));
    sums = ((sums + (sums >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F)) * ones; /* byte i: 1s up to its end */
    uint64_t past = ((k * ones | tops) - sums) & tops; /* a bit for each byte that ends at or before it */
    unsigned at = (unsigned)((past >> 7) * ones >> 56) * 8;
    k -= (unsigned)(sums << 8 >> (at & 63)) & 0xFF;
    /* the same inside the byte: a bit to a byte */
    uint64_t bits = (w >> (at & 63) & 0xFF) * ones & UINT64_C(0x8040201008040201);
    sums = ((bits + ones * 0x7F) >> 7 & ones) * ones;
    past = ((k * ones | tops) - sums) & tops;
    return at < 64 ? at + (unsigned)((past >> 7) * ones >> 56) : 64;
}

#define UNARY_BITS 192u /* at most */

/* Where a bucket lies: its first serial's index in the line and how many it has. In a damaged line
 * these may be any numbers, but it has none where the unary part does not come to it. */
struct bucket {
    uint32_t first, count;
};

/* The bucket h, whose 1 is in that word of the unary part, after 1s that earlier words have. */
ALWAYS_INLINE struct bucket word_bucket(const uint8_t *line, uint64_t word, uint32_t words, uint32_t passed, uint32_t h,
                                        int level) {
    uint32_t in_word = select64(word, h - passed, level), at = words * 64 + in_word;
    struct bucket b = {at - h, 0};
    if (UNLIKELY(at >= UNARY_BITS)) return b;
    uint64_t rest = word >> (in_word & 63) >> 1;
    if (UNLIKELY(rest == 0)) rest = load64(line + 1 + ((at + 1) >> 3)) >> ((at + 1) & 7) | 1ull << 63; /* the next word */
    b.count = (uint32_t)__builtin_ctzll(rest);
    return b;
}

/* Which of three words has the 1 of the bucket h cannot be predicted, and where many lines are probed at once there is
 * no branch on it. One alone takes it: what comes next need not wait then, and nothing else would be done meanwhile. */
ALWAYS_INLINE struct bucket line_bucket(const uint8_t *line, uint32_t h, int level, int alone) {
    uint64_t word0 = load64(line + 1), word1 = load64(line + 9);
    uint32_t upto0 = (uint32_t)__builtin_popcountll(word0), upto1 = upto0 + (uint32_t)__builtin_popcountll(word1);
    if (alone) {
        if (h < upto0) return word_bucket(line, word0, 0, 0, h, level);
        if (h < upto1) return word_bucket(line, word1, 1, upto0, h, level);
        return word_bucket(line, load64(line + 17), 2, upto1, h, level);
    }
    uint32_t past0 = h >= upto0, past1 = h >= upto1, words = past0 + past1;
    uint32_t passed = (upto0 & -past0) + ((upto1 - upto0) & -past1);
    return word_bucket(line, load64(line + 1 + words * 8), words, passed, h, level);
}

/* Is offset x in the line, whose shape has the low half of this word? *spilled: it may be in the spill instead.
 * alone: no other lines are probed at the same time. */
ALWAYS_INLINE int line_contains(const uint8_t *line, uint32_t word, uint32_t x, int level, int alone,
                                uint32_t *spilled) {
    uint32_t low_bits = word_low_bits(word), h = x >> low_bits;
    *spilled = (uint8_t)h >= line[0]; /* buckets are fewer than 256 */
    if (UNLIKELY(low_bits == BITMAP_LOW_BITS)) return line[1 + (x >> 3)] >> (x & 7) & 1;
    struct bucket b = line_bucket(line, h, level, alone);
    uint64_t lows = line_bits(line, word_low_at(word) + b.first * low_bits), ones = field_ones[low_bits];
    /* Compare every candidate at once: a field of `differ` is zero where it equals x's low part, and
     * the lowest such field sets its top bit in `zero`. */
    uint64_t differ = lows ^ (x & low_mask(low_bits)) * ones;
    uint64_t zero = (differ - ones) & ~differ & (ones << (low_bits - 1));
    uint32_t bits = b.count * low_bits;
    if (UNLIKELY(bits >= 64)) return zero != 0;
    return (zero & low_mask(bits)) != 0;
}

/* How many serials of a bucket, whose low parts these are, are below x. */
ALWAYS_INLINE uint32_t bucket_rank(const struct bucket *b, uint64_t lows, uint32_t x, uint32_t low_bits) {
    uint64_t ones = field_ones[low_bits], tops = ones << (low_bits - 1), low = (x & low_mask(low_bits)) * ones;
    /* Compare every field at once: the top bit of one is set where it is below x's low part. */
    uint64_t below = ((~lows & low) | (~(lows ^ low) & ~((lows | tops) - (low & ~tops)))) & tops;
    uint32_t bits = b->count * low_bits;
    if (bits < 64) below &= low_mask(bits);
    return (uint32_t)__builtin_popcountll(below);
}

/* How many serials of a line are below offset x; and whether x is there, too. */
ALWAYS_INLINE uint32_t line_seek(const uint8_t *line, uint32_t word, uint32_t x, uint32_t *found, int level) {
    uint32_t low_bits = word_low_bits(word);
    if (UNLIKELY(low_bits == BITMAP_LOW_BITS)) {
        uint32_t end = x + 8, rank = 0; /* bit x is bit x + 8 of the line */
        for (uint32_t at = 0; at < LINE_BYTES / 8; at++) {
            uint64_t w = load64(line + at * 8) & (at ? ~0ull : ~0xFFull);
            uint32_t upto = end < at * 64 ? 0 : end - at * 64;
            rank += (uint32_t)__builtin_popcountll(upto < 64 ? w & low_mask(upto) : w);
        }
        *found = line[1 + (x >> 3)] >> (x & 7) & 1;
        return rank;
    }
    struct bucket b = line_bucket(line, x >> low_bits, level, 0);
    uint64_t lows = line_bits(line, word_low_at(word) + b.first * low_bits);
    uint32_t nth = bucket_rank(&b, lows, x, low_bits);
    *found = (nth < b.count) & (((lows >> (nth * low_bits & 63)) & low_mask(low_bits)) == (x & low_mask(low_bits)));
    return b.first + nth;
}

/* How many serials of the line are below offset x < width. */
ALWAYS_INLINE uint32_t line_rank(const uint8_t *line, const struct shape *s, uint32_t x, int level) {
    if (UNLIKELY(s->capacity == 0)) {
        uint32_t rank = 0;
        for (uint32_t at = 8; at < x + 8;) { /* bit x is bit x + 8 of the line */
            uint32_t end = (at | 63) + 1 < x + 8 ? (at | 63) + 1 : x + 8;
            uint64_t w = load64(line + at / 64 * 8) >> (at & 63);
            rank += (uint32_t)__builtin_popcountll(end - at < 64 ? w & low_mask(end - at) : w);
            at = end;
        }
        return rank;
    }
    struct bucket b = line_bucket(line, x >> s->low_bits, level, 0);
    return b.first + bucket_rank(&b, line_bits(line, s->low_at + b.first * s->low_bits), x, s->low_bits);
}

/* All offsets of the line in order, at most BITMAP_WIDTH; returns how many. */
static inline uint32_t line_decode(const uint8_t *line, const struct shape *s, uint32_t *offsets) {
    uint32_t n = 0;
    if (s->capacity == 0) {
        for (uint32_t word = 0; word < 8; word++) {
            uint64_t w = load64(line + word * 8);
            if (word == 0) w &= ~0xFFull;
            for (; w; w &= w - 1) offsets[n++] = word * 64 + (uint32_t)__builtin_ctzll(w) - 8;
        }
        return n;
    }
    uint32_t bucket = 0, unary = s->buckets + s->capacity + 1u;
    for (uint32_t at = 0; at < unary; at++) {
        if (line[1 + (at >> 3)] >> (at & 7) & 1) {
            bucket++;
        } else if (n < s->capacity) {
            uint64_t low = line_bits(line, s->low_at + n * s->low_bits) & low_mask(s->low_bits);
            offsets[n++] = (bucket ? bucket - 1 : 0) << s->low_bits | (uint32_t)low;
        }
    }
    return n;
}

/* The spill may hold serials of this line from offset x on. */
static inline void line_mark(uint8_t *line, const struct shape *s, uint32_t x) {
    uint32_t h = x >> s->low_bits;
    if (h < line[0]) line[0] = (uint8_t)h;
}

/* Write the line of the stretch that starts at `from`: of the ascending serials, those below
 * from + width. Returns how many that are; *kept of them are in the line now, and the others,
 * which found no room, are moved to `left`, which may be where the serials stand. */
static inline uint32_t line_write(uint8_t *line, const struct shape *s, uint32_t from, const uint32_t *serials,
                                  uint32_t n, uint32_t *kept, uint32_t *left) {
    uint8_t whole[LINE_BYTES + 16] = {NO_SPILL}; /* low parts are stored eight bytes at a time */
    uint32_t to = from + s->width, count = 0, i = 0;
    if (s->capacity == 0) {
        for (; i < n && serials[i] < to; i++) whole[1 + ((serials[i] - from) >> 3)] |= (uint8_t)(1 << ((serials[i] - from) & 7));
        count = i;
    } else {
        const uint32_t low_bits = s->low_bits, capacity = s->capacity, bucket_capacity = s->bucket_capacity;
        const uint64_t mask = low_mask(low_bits);
        uint64_t zeros[3] = {0, 0, 0}, low = 0; /* where the unary part is 0; low parts not yet stored */
        uint32_t bucket = 0, in_bucket = 0, fill = s->low_at & 7;
        uint8_t *at = whole + (s->low_at >> 3);
        for (; i < n && serials[i] < to; i++) {
            uint32_t x = serials[i] - from, h = x >> low_bits;
            in_bucket = h == bucket ? in_bucket + 1 : 1;
            bucket = h;
            if (UNLIKELY(count == capacity || in_bucket > bucket_capacity)) {
                line_mark(whole, s, x);
                *left++ = serials[i];
                continue;
            }
            uint32_t zero = h + 1 + count++;
            zeros[zero >> 6] |= 1ull << (zero & 63);
            low |= (x & mask) << fill;
            fill += low_bits;
            if (fill >= 64) {
                store64(at, low);
                at += 8;
                fill -= 64;
                low = (x & mask) >> (low_bits - fill);
            }
        }
        store64(at, low);
        uint32_t unary = s->buckets + capacity + 1u; /* bits, at most 192 */
        for (uint32_t word = 0; word * 64 < unary; word++) {
            uint64_t ones = unary - word * 64 < 64 ? low_mask(unary - word * 64) : ~0ull;
            store64(whole + 1 + word * 8, load64(whole + 1 + word * 8) | (ones & ~zeros[word]));
        }
    }
    memcpy(line, whole, LINE_BYTES);
    *kept = count;
    return i;
}

#endif
