/* Where the keys of a group are, and what the lines there say: the steps of lookups.h.
 *
 * With AVX2 and AVX-512 vectors compute for several keys at once, and loops of plain loads look up in
 * between, which is faster than gathers. Each step goes through the whole group before the next, so
 * that no load waits for stores of other widths. All levels give the same answers.
 */
#ifndef IMEISET_GROUPS_H
#define IMEISET_GROUPS_H

#include "index.h"

#define GROUP 64 /* lookups in flight */

/* The places of a group; `word` is the low half of that of the shape. */
struct places {
    const uint8_t *line[GROUP];
    uint32_t offset[GROUP], word[GROUP];
    uint64_t listed; /* bit i: the TAC of key i has lines; of whole groups with AVX2 and above */
};

/* What was compared with the keys of a group: the first serial of the bucket, by its number in the line, and a bit at the
 * top of each field that may have been found, of which the lowest was. Of bitmaps neither means anything. */
struct compared {
    uint64_t first[GROUP], fields[GROUP];
};

/* Ask for some of the lines of a group. */
ALWAYS_INLINE void fetch_lines(const struct places *places, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++) PREFETCH(places->line[i]);
}

/* ---- finding the places --------------------------------------------------------- */

/* In two short loops, so that many lookups overlap in each. */
ALWAYS_INLINE void find_places(const struct index *ix, const uint64_t *keys, uint32_t n, struct places *places) {
    const uint64_t *slot[GROUP];
    for (uint32_t i = 0; i < n; i++) slot[i] = directory_slot(ix, bounded(keys[i]) / SERIALS);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t key = bounded(keys[i]), tac = key / SERIALS;
        struct place p = find_line(ix, *slot[i], tac, (uint32_t)(key - tac * SERIALS));
        places->line[i] = p.line;
        places->offset[i] = p.offset;
        places->word[i] = p.word;
    }
}

#if SIMD_X86

/* reduce32 of eight hashes. */
TARGET_AVX2 static inline __m256i reduce8(__m256i hash, __m256i n) {
    __m256i even = _mm256_srli_epi64(_mm256_mul_epu32(hash, n), 32);
    __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(hash, 32), n);
    return _mm256_blend_epi32(even, odd, 0xAA);
}

/* The TACs of four keys, bounded. */
TARGET_AVX2 static inline __m128i tacs4(__m256i *keys) {
    const __m256i sign = _mm256_set1_epi64x(INT64_MIN), limit = _mm256_set1_epi64x((int64_t)KEYS);
    const __m256i exponent = _mm256_set1_epi64x(0x4330000000000000); /* 2^52 as a double */
    __m256i good = _mm256_cmpgt_epi64(_mm256_xor_si256(limit, sign), _mm256_xor_si256(*keys, sign));
    *keys = _mm256_blendv_epi8(limit, *keys, good);
    /* key + 1/2, so that rounding the product cannot cross a whole number */
    __m256d half = _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(*keys, exponent)), _mm256_set1_pd(0x1p52 - 0.5));
    return _mm256_cvttpd_epi32(_mm256_mul_pd(half, _mm256_set1_pd(1e-6)));
}

/* The TACs and serial numbers of a group of keys, bounded. */
TARGET_AVX2 static inline void split_keys_avx2(const uint64_t *keys, uint32_t *tacs, uint32_t *serials) {
    for (uint32_t i = 0; i < GROUP; i += 8) {
        __m256i key0 = _mm256_loadu_si256((const __m256i *)(keys + i));
        __m256i key1 = _mm256_loadu_si256((const __m256i *)(keys + i + 4));
        __m128i tac0 = tacs4(&key0), tac1 = tacs4(&key1);
        __m256i tac = _mm256_inserti128_si256(_mm256_castsi128_si256(tac0), tac1, 1);
        __m256i low = _mm256_castps_si256(
            _mm256_shuffle_ps(_mm256_castsi256_ps(key0), _mm256_castsi256_ps(key1), 0x88)); /* keys 0 1 4 5 2 3 6 7 */
        low = _mm256_permute4x64_epi64(low, 0xD8);
        _mm256_storeu_si256((__m256i *)(tacs + i), tac);
        _mm256_storeu_si256((__m256i *)(serials + i), _mm256_sub_epi32(low, _mm256_mullo_epi32(tac, _mm256_set1_epi32(SERIALS))));
    }
}

/* What is known of a group before its slots are read. */
struct tacs {
    uint32_t tac[GROUP], serial[GROUP], hash[GROUP], at[GROUP];
    uint64_t slot[GROUP];
};

/* The slots of a whole group; meanwhile, half of the lines of another are fetched. */
TARGET_AVX2 static inline void find_slots(const struct index *ix, const uint64_t *keys, struct tacs *t,
                                          const struct places *fetch) {
    const __m256i pilot_count = _mm256_set1_epi64x(ix->pilot_count), slot_count = _mm256_set1_epi64x(ix->slot_count);
    const __m256i multiplier = _mm256_set1_epi32((int)ix->multiplier);
    split_keys_avx2(keys, t->tac, t->serial);
    for (uint32_t i = 0; i < GROUP; i += 8) {
        fetch_lines(fetch, i / 4, i / 4 + 2);
        __m256i hashes = _mm256_mullo_epi32(_mm256_loadu_si256((const __m256i *)(t->tac + i)), multiplier);
        hashes = _mm256_xor_si256(hashes, _mm256_srli_epi32(hashes, 15));
        _mm256_storeu_si256((__m256i *)(t->hash + i), hashes);
        _mm256_storeu_si256((__m256i *)(t->at + i), reduce8(hashes, pilot_count));
    }
    for (uint32_t i = 0; i < GROUP; i++) t->at[i] = ix->pilots[t->at[i]];
    for (uint32_t i = 0; i < GROUP; i += 8) {
        fetch_lines(fetch, GROUP / 4 + i / 4, GROUP / 4 + i / 4 + 2);
        __m256i pilots = _mm256_loadu_si256((const __m256i *)(t->at + i));
        __m256i hashes = _mm256_loadu_si256((const __m256i *)(t->hash + i));
        hashes = _mm256_xor_si256(hashes, _mm256_mullo_epi32(pilots, _mm256_set1_epi32((int)PILOT_MULTIPLIER)));
        hashes = _mm256_mullo_epi32(hashes, _mm256_set1_epi32((int)SLOT_MULTIPLIER));
        _mm256_storeu_si256((__m256i *)(t->at + i), reduce8(hashes, slot_count));
    }
    for (uint32_t i = 0; i < GROUP; i++) t->slot[i] = ix->slots[t->at[i]];
}

/* find_places for a whole group. */
TARGET_AVX2 static inline void find_places_avx2(const struct index *ix, const uint64_t *keys, struct places *places,
                                                const struct places *fetch) {
    struct tacs t;
    uint64_t word[GROUP], all_listed = 0;
    find_slots(ix, keys, &t, fetch);
    for (uint32_t i = 0; i < GROUP; i += 4) {
        __m256i slots = _mm256_loadu_si256((const __m256i *)(t.slot + i));
        __m256i wanted = _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(t.tac + i)));
        __m256i listed = _mm256_cmpeq_epi64(_mm256_and_si256(slots, _mm256_set1_epi64x(EMPTY_TAC)), wanted);
        all_listed |= (uint64_t)(uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(listed)) << i;
        __m256i rows = _mm256_and_si256(_mm256_srli_epi64(slots, 27), _mm256_set1_epi64x(255));
        /* what is not listed has row 0, and line 0 of its own */
        _mm256_storeu_si256((__m256i *)(word + i), _mm256_and_si256(rows, listed));
        __m256i first = _mm256_or_si256(_mm256_srli_epi64(slots, 35), _mm256_xor_si256(listed, _mm256_set1_epi64x(-1)));
        _mm256_storeu_si256((__m256i *)(t.slot + i), first);
    }
    places->listed = all_listed;
    for (uint32_t i = 0; i < GROUP; i++) word[i] = shape_words[word[i]];
    const __m256i last_line = _mm256_set1_epi64x((int64_t)ix->line_count - 1);
    const __m256i lines = _mm256_set1_epi64x((int64_t)(uintptr_t)ix->lines);
    const __m256i none = _mm256_set1_epi64x((int64_t)(uintptr_t)no_line);
    for (uint32_t i = 0; i < GROUP; i += 4) {
        __m256i serial = _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(t.serial + i)));
        __m256i words = _mm256_loadu_si256((const __m256i *)(word + i));
        __m256i first = _mm256_loadu_si256((const __m256i *)(t.slot + i));
        __m256i nth = _mm256_srli_epi64(_mm256_mul_epu32(serial, _mm256_srli_epi64(words, 32)), 40);
        __m256i width = _mm256_and_si256(words, _mm256_set1_epi64x(0xFFFFF));
        __m256i offset = _mm256_sub_epi64(serial, _mm256_mul_epu32(nth, width));
        __m256i line = _mm256_add_epi64(first, nth);
        line = _mm256_blendv_epi8(line, last_line, _mm256_cmpgt_epi64(line, last_line));
        line = _mm256_add_epi64(lines, _mm256_slli_epi64(line, 6));
        line = _mm256_castpd_si256(_mm256_blendv_pd(_mm256_castsi256_pd(line), _mm256_castsi256_pd(none),
                                                    _mm256_castsi256_pd(first)));
        _mm256_storeu_si256((__m256i *)(places->line + i), line);
        /* the low halves of both, in order */
        __m256i halves = _mm256_castps_si256(
            _mm256_shuffle_ps(_mm256_castsi256_ps(offset), _mm256_castsi256_ps(words), 0x88));
        halves = _mm256_permute4x64_epi64(halves, 0xD8);
        _mm_storeu_si128((__m128i *)(places->offset + i), _mm256_castsi256_si128(halves));
        _mm_storeu_si128((__m128i *)(places->word + i), _mm256_extracti128_si256(halves, 1));
    }
}

TARGET_AVX512 static inline void find_places_avx512(const struct index *ix, const uint64_t *keys, struct places *places,
                                                    const struct places *fetch) {
    struct tacs t;
    uint64_t word[GROUP], all_listed = 0;
    find_slots(ix, keys, &t, fetch);
    for (uint32_t i = 0; i < GROUP; i += 8) {
        __m512i slots = _mm512_loadu_si512(t.slot + i);
        __m512i wanted = _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)(t.tac + i)));
        __mmask8 listed = _mm512_cmpeq_epi64_mask(_mm512_and_si512(slots, _mm512_set1_epi64(EMPTY_TAC)), wanted);
        all_listed |= (uint64_t)listed << i;
        _mm512_storeu_si512(word + i, _mm512_maskz_and_epi64(listed, _mm512_srli_epi64(slots, 27), _mm512_set1_epi64(255)));
        _mm512_storeu_si512(t.slot + i, _mm512_mask_srli_epi64(_mm512_set1_epi64(-1), listed, slots, 35));
    }
    places->listed = all_listed;
    for (uint32_t i = 0; i < GROUP; i++) word[i] = shape_words[word[i]];
    const __m512i last_line = _mm512_set1_epi64((int64_t)ix->line_count - 1);
    const __m512i lines = _mm512_set1_epi64((int64_t)(uintptr_t)ix->lines);
    const __m512i none = _mm512_set1_epi64((int64_t)(uintptr_t)no_line);
    for (uint32_t i = 0; i < GROUP; i += 8) {
        __m512i serial = _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)(t.serial + i)));
        __m512i words = _mm512_loadu_si512(word + i), first = _mm512_loadu_si512(t.slot + i);
        __m512i nth = _mm512_srli_epi64(_mm512_mul_epu32(serial, _mm512_srli_epi64(words, 32)), 40);
        __m512i width = _mm512_and_si512(words, _mm512_set1_epi64(0xFFFFF));
        __m512i offset = _mm512_sub_epi64(serial, _mm512_mul_epu32(nth, width));
        __mmask8 listed = _mm512_cmpge_epi64_mask(first, _mm512_setzero_si512());
        __m512i line = _mm512_min_epi64(_mm512_add_epi64(first, nth), last_line);
        _mm512_storeu_si512(places->line + i, _mm512_mask_add_epi64(none, listed, lines, _mm512_slli_epi64(line, 6)));
        _mm256_storeu_si256((__m256i *)(places->offset + i), _mm512_cvtepi64_epi32(offset));
        _mm256_storeu_si256((__m256i *)(places->word + i), _mm512_cvtepi64_epi32(words));
    }
}

#endif

/* The places of up to a group of keys; meanwhile, the first half of the lines of another is fetched. */
ALWAYS_INLINE void find_group(const struct index *ix, const uint64_t *keys, uint32_t n, struct places *places,
                              const struct places *fetch, int level) {
#if SIMD_X86
    if (level >= SIMD_AVX512 && n == GROUP) {
        find_places_avx512(ix, keys, places, fetch);
        return;
    }
    if (level == SIMD_AVX2 && n == GROUP) {
        find_places_avx2(ix, keys, places, fetch);
        return;
    }
#endif
    (void)level;
    fetch_lines(fetch, 0, GROUP / 2);
    find_places(ix, keys, n, places);
}

/* ---- probing the lines ---------------------------------------------------------- */

#define FEW 12 /* lines that are probed faster one by one */

/* line_contains for a group in which few TACs have lines, as below. */
ALWAYS_INLINE uint64_t probe_few(const struct places *p, const struct places *fetch, uint64_t *spilled, int level) {
    uint64_t hits = 0, spills = ~p->listed;
    fetch_lines(fetch, GROUP / 2, GROUP);
    for (uint64_t left = p->listed; left; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(left), may_spill;
        hits |= (uint64_t)(uint32_t)line_contains(p->line[i], p->word[i], p->offset[i], level, 0, &may_spill) << i;
        spills |= (uint64_t)may_spill << i;
    }
    *spilled = spills;
    return hits;
}

/* line_contains for a group, bit i of what is returned, and of *spilled, for key i; meanwhile, the other half
 * of the lines of another is fetched. `c` is for nth_found. */
#if SIMD_X86

TARGET_AVX2 static inline uint64_t probe_avx2(const struct places *p, const struct places *fetch, uint64_t *spilled,
                                              struct compared *c) {
    uint64_t ones0[GROUP], ones1[GROUP], head[GROUP]; /* ones in the first words of the unary part */
    uint64_t *first_of = c->first, *bit = c->fields, count[GROUP], shift[GROUP], end[GROUP];
    const uint8_t *at[GROUP];
    uint64_t hits = 0, spills = 0;
    const __m256i one = _mm256_set1_epi64x(1), all = _mm256_set1_epi64x(-1), fifteen = _mm256_set1_epi64x(15);
    for (uint32_t i = 0; i < GROUP; i++) {
        const uint8_t *line = p->line[i];
        if (i % 4 == 0) fetch_lines(fetch, GROUP / 2 + i / 4, GROUP / 2 + i / 4 + 1);
        head[i] = line[0];
        ones0[i] = (uint64_t)__builtin_popcountll(load64(line + 1));
        ones1[i] = (uint64_t)__builtin_popcountll(load64(line + 9));
    }
    for (uint32_t i = 0; i < GROUP; i += 4) { /* which word has the h-th 1, and which of its 1s that is */
        __m256i x = _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(p->offset + i)));
        __m256i word = _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(p->word + i)));
        __m256i h = _mm256_srlv_epi64(x, _mm256_and_si256(_mm256_srli_epi64(word, 20), fifteen));
        __m256i upto0 = _mm256_loadu_si256((const __m256i *)(ones0 + i));
        __m256i upto1 = _mm256_add_epi64(upto0, _mm256_loadu_si256((const __m256i *)(ones1 + i)));
        __m256i in0 = _mm256_cmpgt_epi64(upto0, h), in1 = _mm256_cmpgt_epi64(upto1, h); /* -1: at or before it */
        __m256i words = _mm256_add_epi64(_mm256_set1_epi64x(2), _mm256_add_epi64(in0, in1));
        __m256i passed = _mm256_blendv_epi8(upto1, _mm256_andnot_si256(in0, upto0), in1);
        __m256i line = _mm256_loadu_si256((const __m256i *)(p->line + i));
        _mm256_storeu_si256((__m256i *)(bit + i), _mm256_sllv_epi64(one, _mm256_sub_epi64(h, passed)));
        _mm256_storeu_si256((__m256i *)(at + i), _mm256_add_epi64(_mm256_add_epi64(line, one), _mm256_slli_epi64(words, 3)));
        _mm256_storeu_si256((__m256i *)(first_of + i), _mm256_sub_epi64(_mm256_slli_epi64(words, 6), h));
        __m256i below = _mm256_cmpgt_epi64(_mm256_loadu_si256((const __m256i *)(head + i)), h);
        spills |= (uint64_t)(uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(below)) << i;
    }
    for (uint32_t i = 0; i < GROUP; i++) { /* where it stands, and how far it is to the next */
        uint64_t stands = _tzcnt_u64(_pdep_u64(bit[i], load64(at[i]))), after = stands + 1;
        count[i] = _tzcnt_u64(load64(at[i] + (after >> 3)) >> (after & 7));
        bit[i] = stands;
    }
    for (uint32_t i = 0; i < GROUP; i += 4) { /* where the low parts of its serials are */
        __m256i word = _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(p->word + i)));
        __m256i low_bits = _mm256_and_si256(_mm256_srli_epi64(word, 20), fifteen);
        __m256i bitmap = _mm256_cmpeq_epi64(low_bits, one);
        __m256i first = _mm256_add_epi64(_mm256_loadu_si256((const __m256i *)(first_of + i)),
                                         _mm256_loadu_si256((const __m256i *)(bit + i)));
        _mm256_storeu_si256((__m256i *)(first_of + i), first);
        __m256i x = _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(p->offset + i)));
        __m256i h = _mm256_srlv_epi64(x, low_bits);
        __m256i none = _mm256_cmpgt_epi64(_mm256_add_epi64(first, h), _mm256_set1_epi64x(UNARY_BITS - 1));
        first = _mm256_blendv_epi8(first, x, bitmap);
        __m256i low = _mm256_add_epi64(_mm256_srli_epi64(word, 24), _mm256_mul_epu32(first, low_bits));
        __m256i byte = _mm256_srli_epi64(low, 3), last = _mm256_set1_epi64x(LINE_BYTES - 8);
        byte = _mm256_blendv_epi8(byte, last, _mm256_cmpgt_epi64(byte, last));
        _mm256_storeu_si256((__m256i *)(at + i), _mm256_add_epi64(_mm256_loadu_si256((const __m256i *)(p->line + i)), byte));
        __m256i skip = _mm256_sub_epi64(low, _mm256_slli_epi64(byte, 3));
        _mm256_storeu_si256((__m256i *)(shift + i), _mm256_and_si256(skip, _mm256_set1_epi64x(63)));
        __m256i bits = _mm256_mul_epu32(_mm256_loadu_si256((const __m256i *)(count + i)), low_bits);
        /* a 1 for each bit that is not of its serials; of a bitmap, for all but the first */
        bits = _mm256_or_si256(_mm256_sllv_epi64(all, bits), none);
        bits = _mm256_blendv_epi8(bits, _mm256_set1_epi64x(-2), bitmap);
        _mm256_storeu_si256((__m256i *)(end + i), bits);
    }
    for (uint32_t i = 0; i < GROUP; i++) {
        if (i % 4 == 0) fetch_lines(fetch, GROUP * 3 / 4 + i / 4, GROUP * 3 / 4 + i / 4 + 1);
        bit[i] = load64(at[i]);
        count[i] = field_ones[word_low_bits(p->word[i])];
    }
    for (uint32_t i = 0; i < GROUP; i += 4) { /* as in line_contains */
        __m256i x = _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(p->offset + i)));
        __m256i word = _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(p->word + i)));
        __m256i low_bits = _mm256_and_si256(_mm256_srli_epi64(word, 20), fifteen);
        __m256i lows = _mm256_srlv_epi64(_mm256_loadu_si256((const __m256i *)(bit + i)),
                                         _mm256_loadu_si256((const __m256i *)(shift + i)));
        __m256i ones = _mm256_loadu_si256((const __m256i *)(count + i));
        __m256i tops = _mm256_sllv_epi64(ones, _mm256_sub_epi64(low_bits, one));
        __m256i low = _mm256_andnot_si256(_mm256_sllv_epi64(all, low_bits), x);
        __m256i wanted = _mm256_add_epi64(
            _mm256_mul_epu32(ones, low), _mm256_slli_epi64(_mm256_mul_epu32(_mm256_srli_epi64(ones, 32), low), 32));
        __m256i differ = _mm256_xor_si256(lows, wanted);
        __m256i zero = _mm256_and_si256(_mm256_sub_epi64(differ, ones), _mm256_andnot_si256(differ, tops));
        zero = _mm256_blendv_epi8(zero, lows, _mm256_cmpeq_epi64(low_bits, one));
        zero = _mm256_andnot_si256(_mm256_loadu_si256((const __m256i *)(end + i)), zero);
        _mm256_storeu_si256((__m256i *)(bit + i), zero);
        __m256i missed = _mm256_cmpeq_epi64(zero, _mm256_setzero_si256());
        hits |= (uint64_t)(uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(missed)) << i;
    }
    *spilled = ~spills;
    return ~hits;
}

#define LOAD256(p) _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(p)))
#define LOAD256_ABOVE(low, p) _mm512_inserti64x4(low, _mm256_loadu_si256((const __m256i *)(p)), 1)

TARGET_AVX512 static inline uint64_t probe_avx512(const struct places *p, const struct places *fetch, uint64_t *spilled,
                                                  struct compared *c) {
    uint64_t word[GROUP], after[GROUP], *first_of = c->first, *bit = c->fields, shift[GROUP], end[GROUP];
    const uint8_t *at[GROUP];
    uint64_t hits = 0, spills = 0;
    const __m512i one = _mm512_set1_epi64(1), all = _mm512_set1_epi64(-1), fifteen = _mm512_set1_epi64(15);
    for (uint32_t i = 0; i < GROUP; i += 8) { /* which word has the h-th 1, and which of its 1s that is */
        const uint8_t *const *l = p->line + i;
        fetch_lines(fetch, GROUP / 2 + i / 4, GROUP / 2 + i / 4 + 2);
        __m512i r0 = LOAD256_ABOVE(LOAD256(l[0]), l[2]), r1 = LOAD256_ABOVE(LOAD256(l[1]), l[3]);
        __m512i r2 = LOAD256_ABOVE(LOAD256(l[4]), l[6]), r3 = LOAD256_ABOVE(LOAD256(l[5]), l[7]);
        __m512i even0 = _mm512_unpacklo_epi64(r0, r1), odd0 = _mm512_unpackhi_epi64(r0, r1);
        __m512i even1 = _mm512_unpacklo_epi64(r2, r3), odd1 = _mm512_unpackhi_epi64(r2, r3);
        __m512i word0 = _mm512_shuffle_i64x2(even0, even1, 0x88), word2 = _mm512_shuffle_i64x2(even0, even1, 0xDD);
        __m512i word1 = _mm512_shuffle_i64x2(odd0, odd1, 0x88), word3 = _mm512_shuffle_i64x2(odd0, odd1, 0xDD);
        __m512i head = _mm512_and_si512(word0, _mm512_set1_epi64(0xFF));
        word0 = _mm512_andnot_si512(_mm512_set1_epi64(0xFF), word0); /* the unary part begins at bit 8 */
        __m512i x = _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)(p->offset + i)));
        __m512i words = _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)(p->word + i)));
        __m512i h = _mm512_srlv_epi64(x, _mm512_and_si512(_mm512_srli_epi64(words, 20), fifteen));
        spills |= (uint64_t)_mm512_cmpge_epu64_mask(h, head) << i;
        __m512i upto0 = _mm512_popcnt_epi64(word0);
        __m512i upto1 = _mm512_add_epi64(upto0, _mm512_popcnt_epi64(word1));
        __m512i upto2 = _mm512_add_epi64(upto1, _mm512_popcnt_epi64(word2));
        __mmask8 past0 = _mm512_cmpge_epu64_mask(h, upto0), past1 = _mm512_cmpge_epu64_mask(h, upto1);
        __mmask8 past2 = _mm512_cmpge_epu64_mask(h, upto2);
        __m512i here = _mm512_mask_mov_epi64(word0, past0, word1), there = _mm512_mask_mov_epi64(word1, past0, word2);
        __m512i k = _mm512_mask_sub_epi64(h, past0, h, upto0);
        __m512i from = _mm512_mask_mov_epi64(_mm512_set1_epi64(-8), past0, _mm512_set1_epi64(64 - 8));
        here = _mm512_mask_mov_epi64(here, past1, word2);
        there = _mm512_mask_mov_epi64(there, past1, word3);
        k = _mm512_mask_sub_epi64(k, past1, h, upto1);
        from = _mm512_mask_mov_epi64(from, past1, _mm512_set1_epi64(128 - 8));
        here = _mm512_mask_mov_epi64(here, past2, word3);
        k = _mm512_mask_sub_epi64(k, past2, h, upto2);
        from = _mm512_mask_mov_epi64(from, past2, _mm512_set1_epi64(192 - 8));
        there = _mm512_mask_mov_epi64(there, past2, all); /* past the unary part, where only its last 1 stands */
        _mm512_storeu_si512(word + i, here);
        _mm512_storeu_si512(after + i, there);
        _mm512_storeu_si512(bit + i, _mm512_sllv_epi64(one, k));
        _mm512_storeu_si512(first_of + i, _mm512_sub_epi64(from, h));
    }
    for (uint32_t i = 0; i < GROUP; i++) bit[i] = _pdep_u64(bit[i], word[i]);
    for (uint32_t i = 0; i < GROUP; i += 8) { /* how far it is to the next 1, and where the low parts of its serials are */
        __m512i words = _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)(p->word + i)));
        __m512i low_bits = _mm512_and_si512(_mm512_srli_epi64(words, 20), fifteen);
        __mmask8 bitmap = _mm512_cmpeq_epi64_mask(low_bits, one);
        __m512i stands = _mm512_popcnt_epi64(_mm512_add_epi64(_mm512_loadu_si512(bit + i), all));
        __m512i rest = _mm512_shrdv_epi64(_mm512_loadu_si512(word + i), _mm512_loadu_si512(after + i), stands);
        rest = _mm512_and_si512(rest, _mm512_add_epi64(rest, all)); /* without the 1 itself */
        __m512i far = _mm512_popcnt_epi64(_mm512_andnot_si512(rest, _mm512_add_epi64(rest, all)));
        __m512i first = _mm512_add_epi64(_mm512_loadu_si512(first_of + i), stands);
        _mm512_storeu_si512(first_of + i, first);
        __m512i x = _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)(p->offset + i)));
        __m512i h = _mm512_srlv_epi64(x, low_bits);
        __mmask8 none = _mm512_cmpgt_epi64_mask(_mm512_add_epi64(first, h), _mm512_set1_epi64(UNARY_BITS - 1));
        first = _mm512_mask_mov_epi64(first, bitmap, x);
        __m512i low = _mm512_add_epi64(_mm512_srli_epi64(words, 24), _mm512_mul_epu32(first, low_bits));
        __m512i byte = _mm512_min_epu64(_mm512_srli_epi64(low, 3), _mm512_set1_epi64(LINE_BYTES - 8));
        _mm512_storeu_si512(at + i, _mm512_add_epi64(_mm512_loadu_si512(p->line + i), byte));
        __m512i skip = _mm512_sub_epi64(low, _mm512_slli_epi64(byte, 3));
        _mm512_storeu_si512(shift + i, _mm512_and_si512(skip, _mm512_set1_epi64(63)));
        __m512i bits = _mm512_sllv_epi64(all, _mm512_sub_epi64(_mm512_mul_epu32(far, low_bits), low_bits));
        /* a 1 for each bit that is not of its serials; of a bitmap, for all but the first */
        bits = _mm512_mask_mov_epi64(bits, none, all);
        _mm512_storeu_si512(end + i, _mm512_mask_mov_epi64(bits, bitmap, _mm512_set1_epi64(-2)));
    }
    for (uint32_t i = 0; i < GROUP; i++) bit[i] = load64(at[i]);
    const __m512i ones0 = _mm512_loadu_si512(field_ones), ones1 = _mm512_loadu_si512(field_ones + 8);
    for (uint32_t i = 0; i < GROUP; i += 8) { /* as in line_contains */
        fetch_lines(fetch, GROUP * 3 / 4 + i / 4, GROUP * 3 / 4 + i / 4 + 2);
        __m512i x = _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)(p->offset + i)));
        __m512i words = _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)(p->word + i)));
        __m512i low_bits = _mm512_and_si512(_mm512_srli_epi64(words, 20), fifteen);
        __m512i lows = _mm512_srlv_epi64(_mm512_loadu_si512(bit + i), _mm512_loadu_si512(shift + i));
        __m512i ones = _mm512_permutex2var_epi64(ones0, low_bits, ones1);
        __m512i tops = _mm512_sllv_epi64(ones, _mm512_add_epi64(low_bits, all));
        __m512i low = _mm512_andnot_si512(_mm512_sllv_epi64(all, low_bits), x);
        __m512i differ = _mm512_xor_si512(lows, _mm512_mullo_epi64(low, ones));
        __m512i zero = _mm512_and_si512(_mm512_sub_epi64(differ, ones), _mm512_andnot_si512(differ, tops));
        zero = _mm512_mask_mov_epi64(zero, _mm512_cmpeq_epi64_mask(low_bits, one), lows);
        __m512i kept = _mm512_andnot_si512(_mm512_loadu_si512(end + i), zero);
        _mm512_storeu_si512(bit + i, kept);
        hits |= (uint64_t)_mm512_test_epi64_mask(kept, kept) << i;
    }
    *spilled = spills;
    return hits;
}

/* The answers of a group, 1 or 0, one byte each; and the rows of those that wait. */
TARGET_AVX2 static inline uint32_t answer_avx2(uint64_t hits, uint64_t spilled, uint32_t at, uint8_t *out,
                                               uint32_t *waiting, uint32_t waits) {
    const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, /* the byte of each bit */
                                            2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
    const __m256i bits = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    for (uint32_t half = 0; half < 2; half++) {
        __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32((int)(hits >> 32 * half)), spread);
        bytes = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bits), bits);
        _mm256_storeu_si256((__m256i *)(out + at + 32 * half), _mm256_and_si256(bytes, _mm256_set1_epi8(1)));
    }
    for (spilled &= ~hits; spilled; spilled &= spilled - 1) waiting[waits++] = at + (uint32_t)__builtin_ctzll(spilled);
    return waits;
}

TARGET_AVX512 static inline uint32_t answer_avx512(uint64_t hits, uint64_t spilled, uint32_t at, uint8_t *out,
                                                   uint32_t *waiting, uint32_t waits) {
    _mm512_storeu_si512(out + at, _mm512_maskz_set1_epi8(hits, 1));
    __m512i rows = _mm512_add_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                    _mm512_set1_epi32((int)at));
    spilled &= ~hits;
    for (uint32_t i = 0; i < GROUP; i += 16, spilled >>= 16) { /* stored whole: what is too much is overwritten */
        _mm512_storeu_si512(waiting + waits, _mm512_maskz_compress_epi32((__mmask16)spilled, rows));
        waits += (uint32_t)__builtin_popcountll(spilled & 0xFFFF);
        rows = _mm512_add_epi32(rows, _mm512_set1_epi32(16));
    }
    return waits;
}

#endif

#endif
