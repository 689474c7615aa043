/* The spill: any ordered set of keys and runs of keys, in 64-byte lines cut by what fits.
 *
 * It holds what the computed lines (lines.h) do not: serials that found no room, small TACs,
 * and runs of consecutive keys. An entry is a run [start, start + length); nearly all have
 * length 1. The first key of each line, its fence, stands in a tree of fences, so that finding
 * a line touches one node of eight keys per level.
 *
 *   bits 0..4     entries, 1 to 24
 *   bits 5..9     tac_bits: 0 where all entries start in one TAC
 *   bits 10..15   length_bits: 0 where all entries are single keys
 *   bits 16..     20 bits per entry: the serial it starts with
 *   then          where tac_bits > 0: a 1 for each entry that starts in another TAC than the one
 *                 before it, else 0; then tac_bits for each of those: its TAC less the fence's
 *   then          length_bits per entry: length - 1
 *
 * Serials come first and have one width, so that one vector compare finds a key's serial.
 * Nothing here reads outside the 64 bytes, whatever they hold.
 */
#ifndef IMEISET_SPILL_H
#define IMEISET_SPILL_H

#include "lines.h"

#define SPILL_ENTRIES 24u
#define SERIAL_BITS 20u

struct spill_line {
    const uint8_t *line;
    uint64_t fence;  /* its first key */
    uint64_t starts; /* bitmap of the entries that start another TAC */
    uint32_t entries, groups;
    uint32_t tac_bits, length_bits, tacs_at, lengths_at;
};

static inline unsigned bit_width(uint64_t v) { return v ? 64u - (unsigned)__builtin_clzll(v) : 0; }

ALWAYS_INLINE void spill_read(struct spill_line *r, const uint8_t *line, uint64_t fence) {
    uint64_t head = load64(line);
    r->line = line;
    r->fence = fence;
    r->entries = head & 31;
    r->entries = r->entries < SPILL_ENTRIES ? r->entries : SPILL_ENTRIES;
    r->tac_bits = head >> 5 & 31;
    r->length_bits = head >> 10 & 63;
    r->tacs_at = 16 + r->entries * SERIAL_BITS;
    r->starts = r->tac_bits ? line_bits(line, r->tacs_at) & low_mask(r->entries) : 0;
    r->groups = (uint32_t)__builtin_popcountll(r->starts);
    r->tacs_at += r->tac_bits ? r->entries : 0;
    r->lengths_at = r->tacs_at + r->groups * r->tac_bits;
}

ALWAYS_INLINE uint32_t spill_serial(const struct spill_line *r, uint32_t i) {
    return (uint32_t)(line_bits(r->line, 16 + i * SERIAL_BITS) & low_mask(SERIAL_BITS));
}

/* The TAC entry i starts in, less the fence's. */
ALWAYS_INLINE uint64_t spill_tac(const struct spill_line *r, uint32_t i) {
    uint32_t group = (uint32_t)__builtin_popcountll(r->starts & low_mask(i + 1));
    return group ? line_bits(r->line, r->tacs_at + (group - 1) * r->tac_bits) & low_mask(r->tac_bits) : 0;
}

ALWAYS_INLINE uint64_t spill_length(const struct spill_line *r, uint32_t i) {
    if (r->length_bits == 0) return 1;
    return 1 + (line_bits(r->line, r->lengths_at + i * r->length_bits) & low_mask(r->length_bits));
}

/* The first key of entry i. */
ALWAYS_INLINE uint64_t spill_start(const struct spill_line *r, uint32_t i) {
    return (r->fence / SERIALS + spill_tac(r, i)) * SERIALS + spill_serial(r, i);
}

/* How many entries start at or below key: steps of SPILL_STEP, and its halves, from 0. No branch on what they are,
 * which cannot be predicted. */
#define SPILL_STEP 16u

ALWAYS_INLINE uint32_t spill_step(const struct spill_line *r, uint32_t upto, uint32_t step, uint64_t key) {
    uint32_t next = upto + step;
    return upto + (step & -(uint32_t)((next <= r->entries) & (spill_start(r, next - 1) <= key)));
}

static inline uint32_t spill_upto(const struct spill_line *r, uint64_t key) {
    uint32_t upto = 0;
    for (uint32_t step = SPILL_STEP; step; step /= 2) upto = spill_step(r, upto, step, key);
    return upto;
}

/* Bitmap of the entries that start with that serial, of those the line has room for. */
ALWAYS_INLINE uint32_t spill_match_portable(const uint8_t *line, uint32_t serial) {
    uint32_t match = 0;
    for (uint32_t i = 0; i < SPILL_ENTRIES; i += 2) {
        uint64_t pair = line_bits(line, 16 + i * SERIAL_BITS);
        match |= (uint32_t)((pair & low_mask(SERIAL_BITS)) == serial) << i;
        match |= (uint32_t)((pair >> SERIAL_BITS & low_mask(SERIAL_BITS)) == serial) << (i + 1);
    }
    return match;
}

#if SIMD_X86
TARGET_AVX2 static inline uint32_t spill_match_avx2(const uint8_t *line, uint32_t serial) {
    /* four serials are ten bytes; the odd ones sit four bits up */
    const __m256i spread = _mm256_setr_epi8(0, 1, 2, -1, 2, 3, 4, -1, 5, 6, 7, -1, 7, 8, 9, -1, /* low half */
                                            0, 1, 2, -1, 2, 3, 4, -1, 5, 6, 7, -1, 7, 8, 9, -1);
    const __m256i shift = _mm256_setr_epi32(0, 4, 0, 4, 0, 4, 0, 4);
    const __m256i mask = _mm256_set1_epi32((1 << SERIAL_BITS) - 1), want = _mm256_set1_epi32((int)serial);
    uint32_t match = 0;
    for (int i = 0; i < 3; i++) {
        const uint8_t *from = line + 2 + i * 20;
        __m128i low = _mm_loadu_si128((const __m128i *)from);
        /* the last ten bytes are read as the end of the line, six bytes early */
        __m128i high = i < 2 ? _mm_loadu_si128((const __m128i *)(from + 10))
                             : _mm_srli_si128(_mm_loadu_si128((const __m128i *)(line + 48)), 4);
        __m256i pack = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
        __m256i serials = _mm256_and_si256(_mm256_srlv_epi32(_mm256_shuffle_epi8(pack, spread), shift), mask);
        __m256i equal = _mm256_cmpeq_epi32(serials, want);
        match |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(equal)) << (8 * i);
    }
    return match;
}

/* The serials of the first 16 entries, and of the other eight. */
TARGET_AVX512 static inline void spill_serials_avx512(const uint8_t *line, __m512i *first, __m512i *other) {
    /* the three bytes that entry i begins in, from byte 2 + i * 5 / 2 on; the odd ones sit four bits up */
    const __m512i spread0 = _mm512_setr_epi32(0x00040302, 0x00060504, 0x00090807, 0x000B0A09, 0x000E0D0C, 0x00100F0E,
                                              0x00131211, 0x00151413, 0x00181716, 0x001A1918, 0x001D1C1B, 0x001F1E1D,
                                              0x00222120, 0x00242322, 0x00272625, 0x00292827);
    const __m512i spread1 = _mm512_add_epi8(spread0, _mm512_set1_epi8(40));
    const __m512i shift = _mm512_set1_epi64(4ll << 32), mask = _mm512_set1_epi32((1 << SERIAL_BITS) - 1);
    const __m512i whole = _mm512_loadu_si512(line);
    *first = _mm512_and_si512(_mm512_srlv_epi32(_mm512_permutexvar_epi8(spread0, whole), shift), mask);
    *other = _mm512_and_si512(_mm512_srlv_epi32(_mm512_permutexvar_epi8(spread1, whole), shift), mask);
}

/* The first 16 entries that match, and the other eight. */
TARGET_AVX512 static inline void spill_match_avx512(const uint8_t *line, uint32_t serial, __mmask16 *low, __mmask16 *high) {
    const __m512i want = _mm512_set1_epi32((int)serial);
    __m512i first, other;
    spill_serials_avx512(line, &first, &other);
    *low = _mm512_cmpeq_epi32_mask(first, want);
    *high = _mm512_mask_cmpeq_epi32_mask(0xFF, other, want);
}
#endif

ALWAYS_INLINE uint32_t spill_match(const uint8_t *line, uint32_t serial, int level) {
#if SIMD_X86
    if (level >= SIMD_AVX512) {
        __mmask16 low, high;
        spill_match_avx512(line, serial, &low, &high);
        return low | (uint32_t)high << 16;
    }
    if (level >= SIMD_AVX2) return spill_match_avx2(line, serial);
#endif
    (void)level;
    return spill_match_portable(line, serial);
}

/* The entries that decide about a key: those that start with its serial, or, where there are runs, any. 0: the
 * key is not in the line. */
ALWAYS_INLINE uint32_t spill_suspects(const uint8_t *line, uint32_t serial, int level) {
    uint64_t head = load64(line);
    uint32_t runs = (uint32_t)(head >> 10 & 63);
    return (spill_match(line, serial, level) | -(uint32_t)(runs != 0)) & (uint32_t)low_mask(head & 31);
}

/* Is the key in the line whose fence is the last at or below it? By way of its runs. */
static inline int spill_has_run(const uint8_t *line, uint64_t fence, uint64_t key) {
    struct spill_line r;
    spill_read(&r, line, fence);
    uint32_t upto = spill_upto(&r, key);
    return upto > 0 && key - spill_start(&r, upto - 1) < spill_length(&r, upto - 1);
}

/* The same, given its TAC and its suspects, of which there are some. No branch on the answer: it cannot be predicted. */
ALWAYS_INLINE int spill_contains(const uint8_t *line, uint64_t fence, uint64_t key, uint64_t tac, uint32_t suspects) {
    uint64_t head = load64(line);
    if (UNLIKELY(head >> 10 & 63)) return spill_has_run(line, fence, key);
    uint32_t entries = head & 31, tac_bits = head >> 5 & 31, found = 0;
    entries = entries < SPILL_ENTRIES ? entries : SPILL_ENTRIES;
    uint64_t starts = line_bits(line, 16 + entries * SERIAL_BITS); /* of no meaning where all start in one TAC */
    uint32_t tacs_at = 16 + entries * (SERIAL_BITS + 1) - tac_bits;
    uint64_t mask = low_mask(tac_bits), wanted = tac - fence / SERIALS;
    do { /* as in spill_tac; serials seldom repeat in a line */
        uint32_t group = (uint32_t)__builtin_popcountll(starts & (suspects ^ (suspects - 1)));
        uint64_t more = line_bits(line, tacs_at + group * tac_bits) & mask & -(uint64_t)(group > 0);
        found |= more == wanted;
        suspects &= suspects - 1;
    } while (UNLIKELY(suspects));
    return (int)found;
}

/* The entry of a line of the spill that has a key; SPILL_ENTRIES if none has. */
NOINLINE uint32_t spill_search(const uint8_t *line, uint64_t fence, uint64_t key) {
    struct spill_line r;
    spill_read(&r, line, fence);
    uint32_t upto = spill_upto(&r, key);
    int has = upto > 0 && key - spill_start(&r, upto - 1) < spill_length(&r, upto - 1);
    return has ? upto - 1 : SPILL_ENTRIES;
}

/* The entry of a member, given its suspects; SPILL_ENTRIES in a damaged line, where nobody can say. */
ALWAYS_INLINE uint32_t spill_entry(const uint8_t *line, uint64_t fence, uint64_t key, uint32_t suspects) {
    /* one entry has its serial, and there are no runs: it is that one */
    uint32_t entry = suspects ? (uint32_t)__builtin_ctz(suspects) : SPILL_ENTRIES;
    if (UNLIKELY(suspects & (suspects - 1))) entry = spill_search(line, fence, key);
    return entry;
}

/* How many members of the line are below key; `upto` is what spill_upto says. */
ALWAYS_INLINE uint64_t spill_rank(const struct spill_line *r, uint32_t upto, uint64_t key) {
    if (UNLIKELY(upto == 0)) return 0;
    uint64_t before = key - spill_start(r, upto - 1), length = spill_length(r, upto - 1);
    uint64_t rank = before < length ? before : length;
    if (r->length_bits == 0) return rank + upto - 1;
    for (uint32_t i = 0; i + 1 < upto; i++) rank += spill_length(r, i);
    return rank;
}

#if SIMD_X86
/* The same of a line without runs, with vectors in the place of searches. */
TARGET_AVX512 static inline uint64_t spill_rank_avx512(const uint8_t *line, uint64_t fence, uint64_t key) {
    const __m512i nth = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7), whole = _mm512_loadu_si512(line);
    const __m512i spread = _mm512_set_epi64(0x0808080808080808, 0, 0x0808080808080808, 0, 0x0808080808080808, 0,
                                            0x0808080808080808, 0);
    const __m512i bytes = _mm512_set1_epi64(0x0706050403020100);
    uint32_t head = (uint32_t)load64(line), entries = head & 31, tac_bits = head >> 5 & 31, lesser = 0, upto = 0;
    entries = entries < SPILL_ENTRIES ? entries : SPILL_ENTRIES;
    uint64_t tac = key / SERIALS, wanted = tac - fence / SERIALS;
    uint64_t starts = tac_bits ? line_bits(line, 16 + entries * SERIAL_BITS) & low_mask(entries) : 0;
    uint32_t groups = (uint32_t)__builtin_popcountll(starts), tacs_at = 16 + entries * (SERIAL_BITS + 1);
    for (uint32_t i = 0; i < groups; i += 8) { /* how many of the TACs are below the wanted one, or that */
        __m512i at = _mm512_mul_epu32(_mm512_add_epi64(nth, _mm512_set1_epi64(i)), _mm512_set1_epi64(tac_bits));
        at = _mm512_add_epi64(at, _mm512_set1_epi64(tacs_at));
        __m512i from = _mm512_add_epi8(_mm512_shuffle_epi8(_mm512_srli_epi64(at, 3), spread), bytes);
        __m512i tacs = _mm512_srlv_epi64(_mm512_permutexvar_epi8(from, whole), _mm512_and_si512(at, _mm512_set1_epi64(7)));
        tacs = _mm512_and_si512(tacs, _mm512_set1_epi64((int64_t)low_mask(tac_bits)));
        __mmask8 some = groups - i < 8 ? (__mmask8)((1u << (groups - i)) - 1) : 0xFF;
        lesser += (uint32_t)__builtin_popcount(_mm512_mask_cmplt_epu64_mask(some, tacs, _mm512_set1_epi64((int64_t)wanted)));
        upto += (uint32_t)__builtin_popcount(_mm512_mask_cmple_epu64_mask(some, tacs, _mm512_set1_epi64((int64_t)wanted)));
    }
    __m512i first, other, serial = _mm512_set1_epi32((int)(key - tac * SERIALS));
    spill_serials_avx512(line, &first, &other);
    uint64_t below = _mm512_cmplt_epu32_mask(first, serial) | (uint32_t)_mm512_cmplt_epu32_mask(other, serial) << 16;
    uint64_t ends = starts | 1ull << entries; /* of the entries of a TAC */
    uint64_t low = wanted ? _tzcnt_u64(_pdep_u64(1ull << lesser, ends)) : 0, high = _tzcnt_u64(_pdep_u64(1ull << upto, ends));
    uint64_t rank = low + (uint64_t)__builtin_popcountll(below & low_mask((uint32_t)high) & ~low_mask((uint32_t)low));
    return key < fence ? 0 : rank;
}
#endif

/* How many members n lines have. */
NOINLINE uint64_t spill_members(const uint8_t *lines, uint32_t n) {
    uint64_t members = 0;
    for (; n; n--, lines += LINE_BYTES) {
        struct spill_line r;
        spill_read(&r, lines, 0);
        for (uint32_t i = 0; i < r.entries; i++) members += spill_length(&r, i);
    }
    return members;
}

/* Entries gathered for the next line. */
struct spill_writer {
    uint64_t start[SPILL_ENTRIES], length[SPILL_ENTRIES];
    uint32_t entries, groups;
    uint64_t tac, longest; /* TAC of the last entry */
};

/* Would this entry, above all before it, still fit in the line? */
static inline int spill_fits(const struct spill_writer *w, uint64_t start, uint64_t length) {
    if (w->entries == 0) return 1;
    if (w->entries == SPILL_ENTRIES) return 0;
    uint64_t tac = start / SERIALS;
    uint32_t entries = w->entries + 1, groups = w->groups + (tac != w->tac);
    uint32_t tac_bits = groups ? bit_width(tac - w->start[0] / SERIALS) : 0;
    uint64_t longest = length > w->longest ? length : w->longest;
    uint32_t bits = 16 + entries * (SERIAL_BITS + bit_width(longest - 1)) + (groups ? entries + groups * tac_bits : 0);
    return bits <= LINE_BYTES * 8;
}

static inline void spill_gather(struct spill_writer *w, uint64_t start, uint64_t length) {
    uint64_t tac = start / SERIALS;
    w->groups += w->entries && tac != w->tac;
    w->longest = w->entries && w->longest > length ? w->longest : length;
    w->tac = tac;
    w->start[w->entries] = start;
    w->length[w->entries++] = length;
}

/* Write the gathered entries to a line and begin anew. */
static inline void spill_write(struct spill_writer *w, uint8_t *line) {
    uint64_t first = w->start[0] / SERIALS, before = first;
    uint32_t tac_bits = w->groups ? bit_width(w->tac - first) : 0, length_bits = bit_width(w->longest - 1);
    uint32_t starts_at = 16 + w->entries * SERIAL_BITS;
    uint32_t tacs_at = starts_at + (w->groups ? w->entries : 0);
    uint32_t lengths_at = tacs_at + w->groups * tac_bits;
    memset(line, 0, LINE_BYTES);
    line_or(line, 0, w->entries | tac_bits << 5 | length_bits << 10);
    for (uint32_t i = 0, group = 0; i < w->entries; i++) {
        uint64_t tac = w->start[i] / SERIALS;
        line_or(line, 16 + i * SERIAL_BITS, w->start[i] - tac * SERIALS);
        if (tac != before) {
            line_or(line, starts_at + i, 1);
            line_or(line, tacs_at + group++ * tac_bits, tac - first);
            before = tac;
        }
        if (length_bits) line_or(line, lengths_at + i * length_bits, w->length[i] - 1);
    }
    w->entries = w->groups = 0;
}

#endif
