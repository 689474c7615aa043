/* The spill: any ordered set of keys and runs of keys, in 64-byte lines cut by what fits.
 *
 * It holds what the computed lines (_lines.h) do not: serials that found no room, small TACs,
 * and runs of consecutive keys. An entry is a run [start, start + length); nearly all have
 * length 1. The first key of each line stands in a tree of fences, so that finding a line
 * touches one node of eight keys per level.
 *
 *   bits 0..5     entries, 1 to 63
 *   bits 6..10    serial_bits
 *   bits 11..15   tac_bits: 0 where all entries start in one TAC
 *   bits 16..21   length_bits: 0 where all entries are single keys
 *   bits 24..     where tac_bits > 0: a 1 for each entry that starts in another TAC than the one
 *                 before it, then tac_bits for each of those: its TAC less the line's first
 *   then          serial_bits per entry: its serial (its key less the first where tac_bits is 0)
 *   then          length_bits per entry: length - 1
 *
 * Nothing here reads outside the 64 bytes, whatever they hold.
 */
#ifndef IMEISET_SPILL_H
#define IMEISET_SPILL_H

#include "_lines.h"

struct spill_line {
    const uint8_t *line;
    uint64_t fence; /* its first key */
    uint64_t starts; /* bitmap of the entries that start another TAC */
    uint32_t entries, groups;
    uint32_t serial_bits, tac_bits, length_bits;
    uint32_t tacs_at, serials_at, lengths_at;
};

static inline unsigned bit_width(uint64_t v) { return v ? 64u - (unsigned)__builtin_clzll(v) : 0; }

ALWAYS_INLINE void spill_read(struct spill_line *r, const uint8_t *line, uint64_t fence) {
    uint64_t head = load64(line);
    r->line = line;
    r->fence = fence;
    r->entries = head & 63;
    r->serial_bits = head >> 6 & 31;
    r->tac_bits = head >> 11 & 31;
    r->length_bits = head >> 16 & 63;
    r->starts = r->tac_bits ? line_bits(line, 24) & low_mask(r->entries) : 0;
    r->groups = (uint32_t)__builtin_popcountll(r->starts);
    r->tacs_at = 24 + (r->tac_bits ? r->entries : 0);
    r->serials_at = r->tacs_at + r->groups * r->tac_bits;
    r->lengths_at = r->serials_at + r->entries * r->serial_bits;
}

ALWAYS_INLINE uint64_t spill_serial(const struct spill_line *r, uint32_t i) {
    return line_bits(r->line, r->serials_at + i * r->serial_bits) & low_mask(r->serial_bits);
}

ALWAYS_INLINE uint64_t spill_tac(const struct spill_line *r, uint32_t group) {
    return line_bits(r->line, r->tacs_at + group * r->tac_bits) & low_mask(r->tac_bits);
}

ALWAYS_INLINE uint64_t spill_length(const struct spill_line *r, uint32_t i) {
    if (r->length_bits == 0) return 1;
    return 1 + (line_bits(r->line, r->lengths_at + i * r->length_bits) & low_mask(r->length_bits));
}

/* The first key of entry i. */
static inline uint64_t spill_start(const struct spill_line *r, uint32_t i) {
    if (r->tac_bits == 0) return r->fence + spill_serial(r, i);
    uint32_t group = (uint32_t)__builtin_popcountll(r->starts & low_mask(i + 1));
    uint64_t tac = r->fence / SERIALS + (group ? spill_tac(r, group - 1) : 0);
    return tac * SERIALS + spill_serial(r, i);
}

/* How many entries start at or below key (which is not below the fence). */
ALWAYS_INLINE uint32_t spill_upto(const struct spill_line *r, uint64_t key, int level) {
    uint32_t low = 0, high = r->entries; /* those that start in key's TAC */
    uint64_t target;
    if (r->tac_bits == 0) {
        target = key - r->fence;
    } else {
        uint64_t tac = key / SERIALS - r->fence / SERIALS, last = 0;
        uint32_t group = 0;
        for (uint32_t g = 0; g < r->groups; g++) {
            uint64_t t = spill_tac(r, g);
            group += t <= tac;
            last = t <= tac ? t : last;
        }
        if (group > 0) low = select64(r->starts, group - 1, level);
        if (group < r->groups) high = select64(r->starts, group, level);
        if (last != tac) return high;
        target = key % SERIALS;
    }
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (spill_serial(r, middle) <= target)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Is the key in the line whose fence is the last at or below it? */
ALWAYS_INLINE int spill_contains(const uint8_t *line, uint64_t fence, uint64_t key, int level) {
    struct spill_line r;
    spill_read(&r, line, fence);
    uint32_t upto = spill_upto(&r, key, level);
    if (upto == 0) return 0;
    return key - spill_start(&r, upto - 1) < spill_length(&r, upto - 1);
}

/* How many members of the line are below key; every one where key is above them all. */
static inline uint64_t spill_rank(const uint8_t *line, uint64_t fence, uint64_t key) {
    struct spill_line r;
    spill_read(&r, line, fence);
    uint32_t upto = spill_upto(&r, key, SIMD_PORTABLE);
    if (upto == 0) return 0;
    uint64_t before = key - spill_start(&r, upto - 1), length = spill_length(&r, upto - 1);
    uint64_t rank = before < length ? before : length;
    for (uint32_t i = 0; i + 1 < upto; i++) rank += spill_length(&r, i);
    return rank;
}

/* Entries gathered for the next line. */
struct spill_writer {
    uint64_t start[63], length[63];
    uint32_t entries, groups;
    uint64_t longest;
};

static inline uint32_t spill_bits(uint32_t entries, uint32_t groups, uint64_t first, uint64_t last,
                                  uint64_t longest, uint32_t *serial_bits, uint32_t *tac_bits) {
    *tac_bits = groups ? bit_width(last / SERIALS - first / SERIALS) : 0;
    *serial_bits = groups ? 20 : bit_width(last - first);
    return 24 + (groups ? entries + groups * *tac_bits : 0) +
           entries * (*serial_bits + bit_width(longest - 1));
}

/* Would this entry, above all before it, still fit in the line? */
static inline int spill_fits(const struct spill_writer *w, uint64_t start, uint64_t length) {
    if (w->entries == 0) return 1;
    if (w->entries == 63) return 0;
    uint32_t serial_bits, tac_bits;
    uint32_t groups = w->groups + (start / SERIALS != w->start[w->entries - 1] / SERIALS);
    return spill_bits(w->entries + 1, groups, w->start[0], start, length > w->longest ? length : w->longest,
                      &serial_bits, &tac_bits) <= LINE_BYTES * 8;
}

static inline void spill_gather(struct spill_writer *w, uint64_t start, uint64_t length) {
    if (w->entries && start / SERIALS != w->start[w->entries - 1] / SERIALS) w->groups++;
    if (w->entries == 0 || length > w->longest) w->longest = length;
    w->start[w->entries] = start;
    w->length[w->entries++] = length;
}

/* Write the gathered entries to a line and begin anew. */
static inline void spill_write(struct spill_writer *w, uint8_t *line) {
    uint32_t serial_bits, tac_bits, length_bits = bit_width(w->longest - 1);
    uint64_t first = w->start[0], first_tac = first / SERIALS;
    spill_bits(w->entries, w->groups, first, w->start[w->entries - 1], w->longest, &serial_bits, &tac_bits);
    memset(line, 0, LINE_BYTES);
    line_or(line, 0, w->entries | serial_bits << 6 | tac_bits << 11 | length_bits << 16);
    uint32_t tacs_at = 24 + (w->groups ? w->entries : 0);
    uint32_t serials_at = tacs_at + w->groups * tac_bits;
    uint32_t lengths_at = serials_at + w->entries * serial_bits;
    for (uint32_t i = 0, group = 0; i < w->entries; i++) {
        uint64_t tac = w->start[i] / SERIALS;
        if (i && tac != w->start[i - 1] / SERIALS) {
            line_or(line, 24 + i, 1);
            line_or(line, tacs_at + group++ * tac_bits, tac - first_tac);
        }
        line_or(line, serials_at + i * serial_bits, w->groups ? w->start[i] % SERIALS : w->start[i] - first);
        if (length_bits) line_or(line, lengths_at + i * length_bits, w->length[i] - 1);
    }
    w->entries = w->groups = 0;
}

#endif
