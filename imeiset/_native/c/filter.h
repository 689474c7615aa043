/* Bloom filters in front of exact sets: what a filter does not know is not there; what it knows is looked
 * up. Three bits of one 64-bit word for each number.
 *
 * The arithmetic has 32 bits, so that the compiler puts eight or sixteen numbers into a vector; the words
 * come from plain loads. A filter is stored in snapshots: whoever changes the hash changes register/layout.py.
 */
#ifndef IMEISET_FILTER_H
#define IMEISET_FILTER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "simd.h"

/* Of the numbers key >> shift. */
struct filter {
    const uint64_t *words;
    uint32_t count; /* of words, at least 1 */
    int shift;      /* 0 to 63 */
};

/* The factors of the hash, of which hashed.h has a form in vectors. */
#define FILTER_LOW 0x9E3779B1u
#define FILTER_HIGH 0x85EBCA77u
#define FILTER_MIXED 0xC2B2AE3Du
#define FILTER_BITS 0x27D4EB2Fu

ALWAYS_INLINE uint32_t filter_hash(uint64_t number) {
    uint32_t hash = (uint32_t)number * FILTER_LOW + (uint32_t)(number >> 32) * FILTER_HIGH;
    return (hash ^ hash >> 15) * FILTER_MIXED;
}

ALWAYS_INLINE uint32_t filter_word(uint32_t hash, uint32_t count) { return (uint32_t)((uint64_t)hash * count >> 32); }

ALWAYS_INLINE uint32_t filter_bits(uint32_t hash) { return hash * FILTER_BITS; }

ALWAYS_INLINE uint8_t filter_marked(uint64_t word, uint32_t bits) {
    return (uint8_t)(word >> (bits >> 26) & word >> (bits >> 20 & 63) & word >> (bits >> 14 & 63) & 1);
}

/* A word that filter_mark may write at the time: what is aligned is read whole. Of many, compilers make a gather,
 * unless that is said; it is said to ThreadSanitizer alone. */
#define filter_load(word) __atomic_load_n(word, __ATOMIC_RELAXED)
#if defined(__SANITIZE_THREAD__)
#define filter_load_many(word) filter_load(word)
#else
#define filter_load_many(word) (*(word))
#endif

/* Does the filter know the number of a key? */
static inline int filter_knows(const struct filter *f, uint64_t key) {
    uint32_t hash = filter_hash(key >> f->shift);
    return filter_marked(filter_load(f->words + filter_word(hash, f->count)), filter_bits(hash));
}

/* Begin to fetch what filter_knows will read. */
static inline void filter_fetch(const struct filter *f, uint64_t key) {
    PREFETCH(f->words + filter_word(filter_hash(key >> f->shift), f->count));
}

/* Add numbers, not keys. Others may ask meanwhile: they see a number or they do not. */
static void filter_mark(uint64_t *words, uint32_t count, const uint64_t *numbers, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t hash = filter_hash(numbers[i]), bits = filter_bits(hash);
        uint64_t *word = words + filter_word(hash, count);
        uint64_t marked = *word | 1ull << (bits >> 26) | 1ull << (bits >> 20 & 63) | 1ull << (bits >> 14 & 63);
        __atomic_store_n(word, marked, __ATOMIC_RELAXED);
    }
}

/* ---- runs of keys -----------------------------------------------------------
 *
 * A filter of keys may have runs too, under numbers that no key has: a short one inside a TAC by the stretches that it
 * touches, any other by its TACs. So few numbers say where a run is, and more keys than it has are looked up. */

#define STRETCH 10               /* bits: 1024 keys */
#define SHORT_RUN (1u << 16)     /* keys */
#define TAC_KEYS UINT64_C(1000000)

ALWAYS_INLINE uint64_t stretch_number(uint64_t key) { return key >> STRETCH | UINT64_C(1) << 62; }

ALWAYS_INLINE uint64_t tac_number(uint64_t key) { return key / TAC_KEYS | UINT64_C(1) << 63; }

static inline int filter_knows_spread(const struct filter *f, uint64_t key) {
    return filter_knows(f, stretch_number(key)) || filter_knows(f, tac_number(key));
}

/* The first and the last number of a run. */
static inline uint64_t spread_first(uint64_t low, uint64_t high, uint64_t *last) {
    int is_short = high - low < SHORT_RUN && low / TAC_KEYS == high / TAC_KEYS;
    *last = is_short ? stretch_number(high) : tac_number(high);
    return is_short ? stretch_number(low) : tac_number(low);
}

static inline uint64_t spread_count(const uint64_t *lows, const uint64_t *highs, size_t n) {
    uint64_t last, count = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t first = spread_first(lows[i], highs[i], &last);
        count += last - first + 1;
    }
    return count;
}

static void filter_mark_spread(uint64_t *words, uint32_t count, const uint64_t *lows, const uint64_t *highs, size_t n) {
    uint64_t last;
    for (size_t i = 0; i < n; i++)
        for (uint64_t number = spread_first(lows[i], highs[i], &last); number <= last; number++)
            filter_mark(words, count, &number, 1);
}

/* ---- many keys -------------------------------------------------------------- */

#define FILTER_GROUP 64 /* keys whose words are fetched while the words of as many before them are looked at */

struct filter_places { /* the words, and the bits in them as the upper bits of a hash */
    uint32_t word[FILTER_GROUP], bits[FILTER_GROUP];
};

ALWAYS_INLINE void filter_find(const struct filter *f, const uint64_t *keys, size_t n, struct filter_places *to) {
    const uint32_t count = f->count;
    const int shift = f->shift;
    for (size_t i = 0; i < n; i++) {
        uint32_t hash = filter_hash(keys[i] >> shift);
        to->word[i] = filter_word(hash, count);
        to->bits[i] = filter_bits(hash);
    }
    for (size_t i = 0; i < n; i++) PREFETCH(f->words + to->word[i]);
}

/* out[i] |= flag where the filter knows the number of key i. */
ALWAYS_INLINE void filter_ask(const struct filter *f, const uint64_t *keys, size_t n, uint8_t flag, uint8_t *out) {
    const uint64_t *words = f->words;
    struct filter_places ring[2];
    uint64_t word[FILTER_GROUP];
    size_t here = n < FILTER_GROUP ? n : FILTER_GROUP;
    filter_find(f, keys, here, &ring[0]);
    for (size_t at = 0; at < n; at += FILTER_GROUP) {
        const struct filter_places *now = &ring[at / FILTER_GROUP & 1];
        size_t next = at + FILTER_GROUP;
        if (next + FILTER_GROUP <= n)
            filter_find(f, keys + next, FILTER_GROUP, &ring[next / FILTER_GROUP & 1]);
        else if (next < n)
            filter_find(f, keys + next, n - next, &ring[next / FILTER_GROUP & 1]);
        here = n - at < FILTER_GROUP ? n - at : FILTER_GROUP;
        for (size_t i = 0; i < here; i++) word[i] = filter_load_many(words + now->word[i]);
        if (here == FILTER_GROUP) /* a known number of them: in vectors */
            for (size_t i = 0; i < FILTER_GROUP; i++) out[at + i] |= (uint8_t)(filter_marked(word[i], now->bits[i]) * flag);
        else
            for (size_t i = 0; i < here; i++) out[at + i] |= (uint8_t)(filter_marked(word[i], now->bits[i]) * flag);
    }
}

/* Which bytes are not 0, in order; returns how many. */
static inline size_t nonzero_rows(const uint8_t *bytes, size_t n, uint32_t *rows) {
    size_t count = 0, i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t eight;
        memcpy(&eight, bytes + i, 8);
        const uint64_t low = UINT64_C(0x7F7F7F7F7F7F7F7F);
        uint64_t tops = (((eight & low) + low) | eight) & ~low; /* the top bit of each that is not 0 */
        for (; tops; tops &= tops - 1) rows[count++] = (uint32_t)(i + (size_t)__builtin_ctzll(tops) / 8);
    }
    for (; i < n; i++) {
        rows[count] = (uint32_t)i;
        count += bytes[i] != 0;
    }
    return count;
}

typedef void (*filter_kernel)(const struct filter *, const uint64_t *keys, size_t n, uint8_t flag, uint8_t *out);

#define FILTER_KERNEL(name, target)                                                                        \
    target static void filter_ask_##name(const struct filter *f, const uint64_t *keys, size_t n, uint8_t flag, \
                                         uint8_t *out) {                                                   \
        filter_ask(f, keys, n, flag, out);                                                                 \
    }

FILTER_KERNEL(portable, )
#if SIMD_X86
FILTER_KERNEL(avx2, TARGET_AVX2)
FILTER_KERNEL(avx512, TARGET_AVX512)
#endif

/* That of a level; SSE4 has nothing that it could use. */
static inline filter_kernel filter_level(int level) {
#if SIMD_X86
    if (level >= SIMD_AVX512) return filter_ask_avx512;
    if (level >= SIMD_AVX2) return filter_ask_avx2;
#endif
    (void)level;
    return filter_ask_portable;
}

#endif
