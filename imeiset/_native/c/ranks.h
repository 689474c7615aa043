/* Ranks: how many keys of a set are below another. So a key has a position, and a column beside the set an entry of it.
 *
 * A rank is that in the lines and that in the spill. Those of many keys are found a group at a time: what all of them
 * need is asked for before any is used, and searches go a step at a time through the whole group, so that they do not
 * wait for each other.
 */
#ifndef IMEISET_RANKS_H
#define IMEISET_RANKS_H

#include "hashed.h"

/* ---- in the lines ------------------------------------------------------------------- */

#if SIMD_X86
/* The sum of the bytes of a record from its twelfth on, n of them. */
TARGET_AVX2 static inline uint64_t counts_sum_avx2(const uint8_t *record, uint32_t n) {
    const __m256i at = _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
                                        23, 24, 25, 26, 27, 28, 29, 30, 31);
    const __m256i end = _mm256_set1_epi8((char)(n + 12)), zero = _mm256_setzero_si256();
    __m256i low = _mm256_loadu_si256((const __m256i *)record), high = _mm256_loadu_si256((const __m256i *)(record + 32));
    low = _mm256_and_si256(low, _mm256_cmpgt_epi8(at, _mm256_set1_epi8(11)));
    low = _mm256_and_si256(low, _mm256_cmpgt_epi8(end, at));
    high = _mm256_and_si256(high, _mm256_cmpgt_epi8(end, _mm256_add_epi8(at, _mm256_set1_epi8(32))));
    __m256i sums = _mm256_add_epi64(_mm256_sad_epu8(low, zero), _mm256_sad_epu8(high, zero));
    __m128i both = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    return (uint64_t)_mm_cvtsi128_si64(both) + (uint64_t)_mm_extract_epi64(both, 1);
}
#endif

ALWAYS_INLINE uint64_t counts_sum(const uint8_t *record, uint32_t n, int level) {
#if SIMD_X86
    if (level >= SIMD_AVX2) return counts_sum_avx2(record, n);
#endif
    (void)level;
    uint64_t sum = 0;
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8) { /* the sums of neighbours, of those, and of those */
        uint64_t sums = load64(record + 12 + i);
        sums = (sums & 0x00FF00FF00FF00FF) + (sums >> 8 & 0x00FF00FF00FF00FF);
        sum += sums * 0x0001000100010001 >> 48;
    }
    for (; i < n; i++) sum += record[12 + i];
    return sum;
}

ALWAYS_INLINE uint64_t lines_rank(const struct index *ix, uint64_t line, int level) {
    const uint8_t *record = ix->ranks + line / RANK_LINES * RANK_BYTES;
    uint32_t n = (uint32_t)(line % RANK_LINES);
    uint64_t rank = load64(record) & low_mask(40);
    rank += 256 * (uint64_t)__builtin_popcountll(load64(record + 5) & low_mask(n));
    return rank + counts_sum(record, n, level);
}

/* How many members in lines are below a serial of a TAC that has lines; `slot` is that of the TAC. */
ALWAYS_INLINE uint64_t rank_in_line(const struct index *ix, uint64_t slot, uint32_t serial, int level) {
    struct place p = find_line(ix, slot, slot_tac(slot), serial);
    const struct shape *s = &shapes[slot_row(slot)];
    uint64_t rank = lines_rank(ix, (uint64_t)(p.line - ix->lines) / LINE_BYTES, level);
    return rank + (s->lines ? line_rank(p.line, s, p.offset, level) : 0);
}

/* Begin to fetch what that reads. */
ALWAYS_INLINE void fetch_rank(const struct index *ix, uint64_t slot, uint32_t serial) {
    struct place p = find_line(ix, slot, slot_tac(slot), serial);
    PREFETCH(ix->ranks + (uint64_t)(p.line - ix->lines) / LINE_BYTES / RANK_LINES * RANK_BYTES);
    PREFETCH(p.line);
}

/* ---- between the lines -------------------------------------------------------------- */

/* How many TACs that have lines are below each of n others. */
ALWAYS_INLINE void tacs_below(const struct index *ix, const uint32_t *tacs, uint32_t n, uint32_t *below) {
    for (uint32_t i = 0; i < n; i++) below[i] = 0;
    for (uint32_t left = ix->tac_count, half; left > 1; left -= half) {
        half = left / 2;
        for (uint32_t i = 0; i < n; i++) below[i] += half & -(uint32_t)(ix->tacs[below[i] + half - 1] < tacs[i]);
    }
    for (uint32_t i = 0; i < n && ix->tac_count; i++) below[i] += ix->tacs[below[i]] < tacs[i];
}

/* How many members are in the lines of so many TACs. */
ALWAYS_INLINE uint64_t rank_of_tacs(const struct index *ix, uint32_t below, int level) {
    uint64_t line = ix->line_count;
    if (below < ix->tac_count) {
        uint64_t first = slot_line(*directory_slot(ix, ix->tacs[below]));
        line = first < line ? first : line;
    }
    return ix->tac_count ? lines_rank(ix, line, level) : 0;
}

/* ---- in the spill ------------------------------------------------------------------- */

/* How many members the lines before a line of the spill have. No branch on which line of its node it is. */
ALWAYS_INLINE uint64_t spill_lines_rank(const struct index *ix, uint64_t line) {
    const uint8_t *node = ix->spill + (line & ~7ull) * LINE_BYTES;
    uint64_t rank = ix->spill_ranks[line / 8];
    uint32_t own = line & 7, entries = 0, runs = 0;
    for (uint32_t i = 0; i < 7; i++) {
        uint32_t before = -(uint32_t)(i < own), head = (uint32_t)load64(node + (i < own ? i : own) * LINE_BYTES) & before;
        entries += head & 31;
        runs |= head >> 10 & 63;
    }
    return rank + (UNLIKELY(runs) ? spill_members(node, own) : entries);
}

/* Begin to fetch what a rank in that line of the spill reads. */
ALWAYS_INLINE void fetch_spill_rank(const struct index *ix, uint64_t line) {
    PREFETCH(ix->spill_ranks + line / 8);
    for (uint64_t i = 0; i < 7; i++) PREFETCH(ix->spill + (line & (~7ull | i)) * LINE_BYTES);
}

/* Add how many members in the spill are below each of up to a group of keys; `lines` are what find_spill says. */
ALWAYS_INLINE void add_spill_ranks(const struct index *ix, const uint64_t *keys, const uint64_t *lines, uint32_t n,
                                   uint64_t *ranks, int level) {
    struct spill_line read[GROUP];
#if SIMD_X86
    if (level >= SIMD_AVX512) {
        for (uint32_t i = 0; i < n; i++) {
            const uint8_t *line = ix->spill + lines[i] * LINE_BYTES;
            uint64_t rank = spill_lines_rank(ix, lines[i]);
            if (UNLIKELY(load64(line) >> 10 & 63)) {
                spill_read(&read[0], line, spill_fence(ix, lines[i]));
                rank += spill_rank(&read[0], spill_upto(&read[0], keys[i]), keys[i]);
            } else {
                rank += spill_rank_avx512(line, spill_fence(ix, lines[i]), keys[i]);
            }
            ranks[i] += rank;
        }
        return;
    }
#endif
    (void)level;
    uint32_t upto[GROUP] = {0};
    for (uint32_t i = 0; i < n; i++) spill_read(&read[i], ix->spill + lines[i] * LINE_BYTES, spill_fence(ix, lines[i]));
    for (uint32_t step = SPILL_STEP; step; step /= 2)
        for (uint32_t i = 0; i < n; i++) upto[i] = spill_step(&read[i], upto[i], step, keys[i]);
    for (uint32_t i = 0; i < n; i++) ranks[i] += spill_lines_rank(ix, lines[i]) + spill_rank(&read[i], upto[i], keys[i]);
}

/* ---- many keys ---------------------------------------------------------------------- */

/* Ranks of up to a group of keys. Those whose TACs have lines are gathered, and the others: which is which cannot be
 * predicted. */
ALWAYS_INLINE void rank_group(const struct index *ix, const uint64_t *keys, uint32_t n, uint64_t *ranks, int level) {
    uint64_t lines[GROUP], slots[GROUP];
    uint32_t listed[GROUP + 1], others[GROUP + 1], tacs[GROUP + 1], below[GROUP], counts[2] = {0, 0};
    for (uint32_t i = 0; i < n; i++) {
        uint64_t tac = keys[i] / SERIALS;
        slots[i] = *directory_slot(ix, tac);
        uint32_t has = slot_tac(slots[i]) == tac;
        listed[counts[0]] = others[counts[1]] = i;
        tacs[counts[1]] = (uint32_t)tac;
        counts[0] += has;
        counts[1] += !has;
    }
    for (uint32_t i = 0; i < counts[0]; i++) fetch_rank(ix, slots[listed[i]], (uint32_t)(keys[listed[i]] % SERIALS));
    if (ix->spill_count) {
        find_spills(ix, keys, n, lines, level);
        for (uint32_t i = 0; i < n; i++) fetch_spill_rank(ix, lines[i]);
    }
    tacs_below(ix, tacs, counts[1], below);
    for (uint32_t i = 0; i < counts[1]; i++) ranks[others[i]] = rank_of_tacs(ix, below[i], level);
    for (uint32_t i = 0; i < counts[0]; i++) {
        uint32_t row = listed[i];
        ranks[row] = rank_in_line(ix, slots[row], (uint32_t)(keys[row] % SERIALS), level);
    }
    if (ix->spill_count) add_spill_ranks(ix, keys, lines, n, ranks, level);
}

ALWAYS_INLINE void positions_keys(const struct index *ix, const uint64_t *keys, size_t n, int64_t *out, block_kernel block,
                                  int level) {
    for (size_t at = 0; at < n; at += BLOCK) {
        uint8_t found[BLOCK];
        uint64_t own[BLOCK], members[GROUP] = {0}, ranks[GROUP]; /* find_spills reads all members */
        uint32_t here = (uint32_t)(n - at < BLOCK ? n - at : BLOCK), row[GROUP];
        memcpy(own, keys + at, here * sizeof *own); /* as in contains_keys */
        block(ix, own, here, found, NULL);
        for (uint32_t i = 0, gathered = 0; i < here; i++) {
            out[at + i] = -1;
            row[gathered] = i;
            members[gathered] = bounded(own[i]);
            gathered += found[i];
            if (gathered < GROUP && i + 1 < here) continue;
            rank_group(ix, members, gathered, ranks, level);
            for (uint32_t j = 0; j < gathered; j++) out[at + row[j]] = (int64_t)ranks[j];
            gathered = 0;
        }
    }
}

ALWAYS_INLINE void ranks_keys(const struct index *ix, const uint64_t *keys, size_t n, uint64_t *out, int level) {
    for (size_t at = 0; at < n; at += GROUP) {
        uint64_t own[GROUP] = {0};
        uint32_t here = (uint32_t)(n - at < GROUP ? n - at : GROUP);
        for (uint32_t i = 0; i < here; i++) own[i] = bounded(keys[at + i]);
        rank_group(ix, own, here, out + at, level);
    }
}

/* ---- one key ------------------------------------------------------------------------ */

/* Where the rank of one key is read, and nearly what it is. Whatever else is read for it is on its way. */
struct seat {
    struct place at; /* in the lines */
    uint64_t key, spill, near;
    const struct shape *shape; /* of its TAC, NULL where that has no lines */
};

ALWAYS_INLINE void seat_key(const struct index *ix, uint64_t key, struct seat *seat, int level) {
    seat->key = bounded(key);
    uint32_t tac = (uint32_t)(seat->key / SERIALS), below;
    uint64_t slot = *directory_slot(ix, tac);
    seat->shape = slot_tac(slot) == tac ? &shapes[slot_row(slot)] : NULL;
    seat->at = find_line(ix, slot, tac, (uint32_t)(seat->key % SERIALS));
    PREFETCH(seat->at.line);
    seat->spill = 0;
    if (ix->spill_count) {
        seat->spill = find_spill(ix, seat->key, level);
        fetch_spill_rank(ix, seat->spill);
    }
    if (seat->shape) {
        seat->near = lines_rank(ix, (uint64_t)(seat->at.line - ix->lines) / LINE_BYTES, level);
    } else {
        tacs_below(ix, &tac, 1, &below);
        seat->near = rank_of_tacs(ix, below, level);
    }
}

/* How many members are below it. */
ALWAYS_INLINE uint64_t seat_rank(const struct index *ix, const struct seat *seat, int level) {
    uint64_t rank = seat->near;
    const struct shape *s = seat->shape;
    if (s && s->lines) rank += line_rank(seat->at.line, s, seat->at.offset, level);
    if (!ix->spill_count) return rank;
    struct spill_line read;
    spill_read(&read, ix->spill + seat->spill * LINE_BYTES, spill_fence(ix, seat->spill));
    return rank + spill_lines_rank(ix, seat->spill) + spill_rank(&read, spill_upto(&read, seat->key), seat->key);
}

ALWAYS_INLINE uint64_t rank_key(const struct index *ix, uint64_t key, int level) {
    struct seat seat;
    seat_key(ix, key, &seat, level);
    return seat_rank(ix, &seat, level);
}

#endif
