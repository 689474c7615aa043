/* A small set as a hash table beside its index, for many lookups.
 *
 * A bucket is a line of 64 bytes with room for 12 keys. A key has 47 bits. Its upper 40 stand in the bucket; a hash
 * of them says at which bucket to start, and the lower 7 bits how many buckets after that one the key's is. So the
 * bucket and the bits that stand in it are the whole key: two keys never have both in common.
 *
 *   bytes 0..47    the lower 32 of the 40 bits of each key
 *   bytes 48..59   the upper 8 of each; 255, which no key has, where there is none
 *   byte 63        1 where there was no room for a key: what is not found here is asked of the index, else 0
 *
 * Most keys that are asked are in no list, and need no bucket: each key of the set has two marks in one of the words
 * behind the buckets, chosen by another hash of all its bits, whether it found room in its bucket or not. A key that
 * lacks one is not in the set; one that has both may be.
 */
#ifndef IMEISET_HASHED_H
#define IMEISET_HASHED_H

#include "filter.h"
#include "lookups.h"
#include "merge.h"

#define HASHED_KEYS 131072u /* a larger set is left to its index */
#define BUCKET_KEYS 12u
#define BUCKET_STEPS 128u
#define FEWEST_WORDS 6 /* of marks: 2^6 */
#define MARKS_BYTES(shift) (sizeof(uint32_t) << (32 - (shift)))
#define DENSE 40 /* keys of a group in the set: then the buckets of all keys of the next are read, or of the next but one */
#define WORTH_HASHING(count) (4 * (count) + 4096) /* lookups that take longer by the index than the table takes to make */

struct hashed {
    uint8_t *buckets;
    uint32_t *words; /* of marks, behind the buckets: a power of two, about two keys to a word or fewer */
    uint32_t count;  /* of buckets, 128 to 65535 */
    int shift;       /* what is left of a hash says which word */
};

/* What is beside an index and changes: threads that ask share it. */
struct beside {
    struct hashed *hashed; /* NULL until it is worth while */
    uint64_t asked;        /* keys, until then */
};

/* Where a key is looked for, and what stands there. */
struct hashed_place {
    uint32_t bucket, low, high;
};

ALWAYS_INLINE struct hashed_place hashed_place(uint32_t count, uint64_t key) {
    uint64_t rest = key / BUCKET_STEPS;
    uint32_t low = (uint32_t)rest, mixed = (low ^ (uint32_t)(rest >> 27)) * 0x9E3779B1u;
    uint32_t bucket = ((mixed >> 16) * count >> 16) + (uint32_t)(key % BUCKET_STEPS);
    bucket = bucket < count ? bucket : bucket - count;
    return (struct hashed_place){bucket, low, (uint32_t)(rest >> 32)};
}

/* The marks of a key whose hash is filter_hash. */
ALWAYS_INLINE uint32_t marks_of(uint32_t hash) {
    uint32_t bits = filter_bits(hash);
    return 1u << (bits >> 27) | 1u << (bits >> 22 & 31);
}

/* ---- making it -------------------------------------------------------------------- */

static inline void hashed_free(struct hashed *h) {
    if (h) free(h->buckets);
    free(h);
}

/* NULL where there is no memory, where the index is damaged, or where the keys are such that many find no room. */
NOINLINE struct hashed *hashed_make(const struct index *ix) {
    uint32_t count = (uint32_t)(ix->count * 5 / 32), left_out = 0; /* one key in a hundred finds no room */
    count = count < BUCKET_STEPS ? BUCKET_STEPS : count;
    int shift = 32 - FEWEST_WORDS;
    while (1ull << (32 - shift) < ix->count / 2) shift--;
    const size_t bytes = (size_t)count * LINE_BYTES;
    struct hashed *h = malloc(sizeof *h);
    struct reader *reader = malloc(sizeof *reader);
    uint8_t *buckets = aligned_alloc(LINE_BYTES, bytes + MARKS_BYTES(shift));
    uint64_t keys[GROUP], seen = 0;
    size_t n = 0;
    if (!h || !reader || !buckets) goto failed;
    uint32_t *words = (uint32_t *)(buckets + bytes);
    memset(buckets, 0xFF, bytes);
    memset(words, 0, MARKS_BYTES(shift));
    for (uint32_t i = 0; i < count; i++) buckets[i * LINE_BYTES + 63] = 0;
    reader_init(reader, ix, 0);
    while ((n = reader_keys(reader, keys, GROUP))) {
        for (size_t i = 0; i < n; i++) {
            if (keys[i] >= KEYS) goto failed;
            uint32_t hash = filter_hash(keys[i]);
            words[hash >> shift] |= marks_of(hash);
            struct hashed_place p = hashed_place(count, keys[i]);
            uint8_t *bucket = buckets + (size_t)p.bucket * LINE_BYTES, *at = memchr(bucket + 48, 0xFF, BUCKET_KEYS);
            if (at) {
                *at = (uint8_t)p.high;
                memcpy(bucket + 4 * (at - bucket - 48), &p.low, 4);
            } else {
                bucket[63] = 1;
                left_out++;
            }
        }
        seen += n;
    }
    if (seen != ix->count || left_out > ix->count / 16) goto failed;
    free(reader);
    *h = (struct hashed){buckets, words, count, shift};
    return h;
failed:
    free(buckets);
    free(reader);
    free(h);
    return NULL;
}

/* Its bytes, 0 where there is none. */
static inline size_t hashed_bytes(const struct beside *beside) {
    const struct hashed *h = __atomic_load_n(&beside->hashed, __ATOMIC_ACQUIRE);
    return h ? (size_t)h->count * LINE_BYTES + MARKS_BYTES(h->shift) : 0;
}

/* The table of a set that is asked about n more keys, if it has one or is to have one now. */
static inline const struct hashed *hashed_of(const struct index *ix, uint32_t n) {
    struct beside *beside = ix->beside;
    if (!beside) return NULL;
    struct hashed *h = __atomic_load_n(&beside->hashed, __ATOMIC_ACQUIRE);
    if (h) return h;
    uint64_t before = __atomic_fetch_add(&beside->asked, n, __ATOMIC_RELAXED), worth = WORTH_HASHING(ix->count);
    if (before >= worth || before + n < worth) return NULL; /* one thread is the one that comes to it */
    h = hashed_make(ix);
    __atomic_store_n(&beside->hashed, h, __ATOMIC_RELEASE);
    return h;
}

/* ---- asking it -------------------------------------------------------------------- */

#if SIMD_X86

TARGET_SSE4 static inline uint32_t bucket_match_sse4(const uint8_t *bucket, uint32_t low, uint32_t high) {
    const __m128i *at = (const __m128i *)bucket, want = _mm_set1_epi32((int)low);
    __m128i first = _mm_packs_epi32(_mm_cmpeq_epi32(at[0], want), _mm_cmpeq_epi32(at[1], want));
    __m128i other = _mm_packs_epi32(_mm_cmpeq_epi32(at[2], want), _mm_setzero_si128());
    __m128i both = _mm_and_si128(_mm_packs_epi16(first, other), _mm_cmpeq_epi8(at[3], _mm_set1_epi32((int)high)));
    return (uint32_t)_mm_movemask_epi8(both);
}

TARGET_AVX512 static inline uint32_t bucket_match_avx512(const uint8_t *bucket, uint32_t low, uint32_t high) {
    __mmask16 match = _mm512_mask_cmpeq_epi32_mask(0xFFF, _mm512_load_si512(bucket), _mm512_set1_epi32((int)low));
    return _mm_mask_cmpeq_epi8_mask(match, _mm_load_si128((const __m128i *)(bucket + 48)), _mm_set1_epi32((int)high));
}

#endif

/* Not 0 if a key stands in the bucket; `high` four times over. */
ALWAYS_INLINE uint32_t bucket_match(const uint8_t *bucket, uint32_t low, uint32_t high, int level) {
#if SIMD_X86
    if (level >= SIMD_AVX512) return bucket_match_avx512(bucket, low, high);
    if (level >= SIMD_SSE4) return bucket_match_sse4(bucket, low, high);
#endif
    (void)level;
    uint32_t match = 0;
    for (uint32_t i = 0; i < BUCKET_KEYS; i++) {
        uint32_t entry;
        memcpy(&entry, bucket + 4 * i, 4);
        match |= (entry == low) & (bucket[48 + i] == (uint8_t)high);
    }
    return match;
}

/* Which keys of a whole group have their marks: bit i for key i. */
#if SIMD_X86
TARGET_AVX2 static inline uint64_t marked_avx2(const struct hashed *h, const uint64_t *keys) {
    uint32_t at[GROUP], marks[GROUP];
    uint64_t marked = 0;
    const __m128i shift = _mm_cvtsi32_si128(h->shift);
    const __m256i one = _mm256_set1_epi32(1);
    for (uint32_t i = 0; i < GROUP; i += 8) {
        __m256 four = _mm256_castsi256_ps(_mm256_loadu_si256((const __m256i *)(keys + i)));
        __m256 more = _mm256_castsi256_ps(_mm256_loadu_si256((const __m256i *)(keys + i + 4)));
        __m256i low = _mm256_castps_si256(_mm256_shuffle_ps(four, more, 0x88)); /* keys 0 1 4 5 2 3 6 7 */
        __m256i high = _mm256_castps_si256(_mm256_shuffle_ps(four, more, 0xDD));
        __m256i hash = _mm256_add_epi32(_mm256_mullo_epi32(low, _mm256_set1_epi32((int)FILTER_LOW)),
                                        _mm256_mullo_epi32(high, _mm256_set1_epi32((int)FILTER_HIGH)));
        hash = _mm256_xor_si256(hash, _mm256_srli_epi32(hash, 15));
        hash = _mm256_permute4x64_epi64(_mm256_mullo_epi32(hash, _mm256_set1_epi32((int)FILTER_MIXED)), 0xD8);
        __m256i bits = _mm256_mullo_epi32(hash, _mm256_set1_epi32((int)FILTER_BITS));
        __m256i second = _mm256_and_si256(_mm256_srli_epi32(bits, 22), _mm256_set1_epi32(31));
        __m256i both = _mm256_or_si256(_mm256_sllv_epi32(one, _mm256_srli_epi32(bits, 27)), _mm256_sllv_epi32(one, second));
        _mm256_storeu_si256((__m256i *)(at + i), _mm256_srl_epi32(hash, shift));
        _mm256_storeu_si256((__m256i *)(marks + i), both);
    }
    for (uint32_t i = 0; i < GROUP; i++) at[i] = h->words[at[i]];
    for (uint32_t i = 0; i < GROUP; i += 8) {
        __m256i words = _mm256_loadu_si256((const __m256i *)(at + i)), wanted = _mm256_loadu_si256((const __m256i *)(marks + i));
        __m256i all = _mm256_cmpeq_epi32(_mm256_and_si256(words, wanted), wanted);
        marked |= (uint64_t)(uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(all)) << i;
    }
    return marked;
}
#endif

ALWAYS_INLINE uint64_t marked_keys(const struct hashed *h, const uint64_t *keys, int level) {
#if SIMD_X86
    if (level >= SIMD_AVX2) return marked_avx2(h, keys);
#endif
    (void)level;
    uint64_t marked = 0;
    for (uint32_t i = 0; i < GROUP; i++) {
        uint32_t hash = filter_hash(keys[i]), marks = marks_of(hash);
        marked |= (uint64_t)((h->words[hash >> h->shift] & marks) == marks) << i;
    }
    return marked;
}

/* The keys of a group whose buckets are to be read, and where these are. */
struct hashed_group {
    uint32_t row[GROUP], at[GROUP], low[GROUP], high[GROUP], count;
};

ALWAYS_INLINE void hashed_put(const struct hashed *h, uint64_t key, uint32_t row, uint32_t i, struct hashed_group *g) {
    struct hashed_place p = hashed_place(h->count, bounded(key));
    g->row[i] = row;
    g->at[i] = p.bucket * LINE_BYTES;
    g->low[i] = p.low;
    g->high[i] = p.high;
}

/* What a block of keys is answered, and the rows of those that have to ask the index. */
struct hashed_answers {
    uint8_t *out;
    uint32_t *asks, asking, hits;
};

ALWAYS_INLINE void hashed_answer(const uint8_t *bucket, uint32_t low, uint32_t high, uint32_t row,
                                 struct hashed_answers *to, int level) {
    uint8_t found = bucket_match(bucket, low, high * 0x01010101u, level) != 0;
    to->out[row] = found;
    to->hits += found;
    to->asks[to->asking] = row;
    to->asking += bucket[63] > found;
}

/* Of the keys from `base` on, `here` of a whole group, answer those without marks; put the others, or answer them too
 * where buckets are near. */
ALWAYS_INLINE void hashed_sparse(const struct hashed *h, const uint64_t *keys, uint32_t base, uint32_t here, int near,
                                 struct hashed_group *g, struct hashed_answers *to, int level) {
    uint64_t marked = marked_keys(h, keys + base, level) & ~0ull >> (GROUP - here);
    memset(to->out + base, 0, here);
    for (g->count = 0; marked; marked &= marked - 1) {
        uint32_t row = base + (uint32_t)__builtin_ctzll(marked);
        if (near) {
            struct hashed_place p = hashed_place(h->count, bounded(keys[row]));
            hashed_answer(h->buckets + (size_t)p.bucket * LINE_BYTES, p.low, p.high, row, to, level);
        } else {
            hashed_put(h, keys[row], row, g->count, g);
            PREFETCH(h->buckets + g->at[g->count++]);
        }
    }
}

/* The same where so many are in the set that it is not worth while to look at marks first: put all. */
ALWAYS_INLINE void hashed_dense(const struct hashed *h, const uint64_t *keys, uint32_t base, uint32_t here, int near,
                                struct hashed_group *g) {
    for (uint32_t i = 0; i < GROUP; i++) hashed_put(h, keys[base + i], base + i, i, g);
    for (uint32_t i = 0; !near && i < here; i++) PREFETCH(h->buckets + g->at[i]);
    g->count = here;
}

/* Answers up to a block of keys; returns how many have to ask the index, of which it says the rows. There is room
 * for a whole number of groups of keys. */
ALWAYS_INLINE uint32_t hashed_block(const struct hashed *h, uint64_t *keys, uint32_t n, uint8_t *out, uint32_t *asks,
                                    int level) {
    const int near = h->count < NEARBY / LINE_BYTES;
    struct hashed_group groups[2]; /* the buckets of one are fetched while those of the other are read; one if near */
    struct hashed_answers to = {out, asks, 0, 0};
    groups[1].count = 0;
    for (uint32_t i = n; i % GROUP; i++) keys[i] = KEYS;
    for (uint32_t base = 0, turn = 0; base < n + (near ? 0 : GROUP); base += GROUP, turn ^= !near) {
        const struct hashed_group *g = &groups[near ? 0 : turn ^ 1];
        uint32_t here = base >= n ? 0 : n - base < GROUP ? n - base : GROUP, dense = to.hits >= DENSE;
        to.hits = 0;
        if (here && dense) hashed_dense(h, keys, base, here, near, &groups[turn]);
        else if (here) hashed_sparse(h, keys, base, here, near, &groups[turn], &to, level);
        for (uint32_t i = 0; i < g->count; i++)
            hashed_answer(h->buckets + g->at[i], g->low[i], g->high[i], g->row[i], &to, level);
    }
    return to.asking;
}

/* ---- the keys of a set, large or small ----------------------------------------------- */

typedef uint32_t (*hashed_kernel)(const struct hashed *, uint64_t *keys, uint32_t n, uint8_t *out, uint32_t *asks);

/* Returns whether all are below 10^14. block, hashed: contains_block and hashed_block. */
ALWAYS_INLINE int contains_keys(const struct index *ix, const uint64_t *keys, size_t n, uint8_t *out, block_kernel block,
                                hashed_kernel hashed) {
    uint64_t wrong = 0;
    for (size_t at = 0; at < n; at += BLOCK) {
        uint64_t own[BLOCK]; /* another thread may write to keys: an answer is for what was there at one moment */
        uint32_t here = (uint32_t)(n - at < BLOCK ? n - at : BLOCK), left = here, asks[BLOCK];
        uint8_t answers[BLOCK], *to = out + at;
        const struct hashed *h = hashed_of(ix, here);
        for (uint32_t i = 0; i < here; i++) {
            own[i] = keys[at + i];
            wrong |= own[i] | (KEYS - 1 - own[i]); /* the top bit: beyond the last key */
        }
        if (h) {
            left = hashed(h, own, here, to, asks);
            if (!left) continue;
            for (uint32_t i = 0; i < left; i++) own[i] = own[asks[i]];
            to = answers;
        }
        block(ix, own, left, to, NULL);
        for (uint32_t i = 0; h && i < left; i++) out[at + asks[i]] = answers[i];
    }
    return wrong >> 63 == 0;
}

#endif
