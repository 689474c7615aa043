/* Details: codes beside a set, one of each member at its rank, in columns.
 *
 * A code is an unsigned integer of one to four bytes, little-endian; 0 is none.
 */
#ifndef IMEISET_DETAILS_H
#define IMEISET_DETAILS_H

#include "ranks.h"

#define COLUMNS 3 /* reasons, dates and untils */

struct column {
    const uint8_t *codes;
    uint64_t count;
    int width; /* of a code in bytes; 0 where there is no column */
};

/* The code at a rank; 0 where there is no column, and one that no text has where it is too short. */
static inline uint32_t column_code(const struct column *one, uint64_t rank) {
    uint32_t code = 0;
    if (one->width && rank >= one->count) return UINT32_MAX;
    for (int byte = 0; byte < one->width; byte++) code |= (uint32_t)one->codes[rank * (uint32_t)one->width + (uint32_t)byte] << 8 * byte;
    return code;
}

/* Begin to fetch the codes near a rank. */
static inline void fetch_codes(const struct column *columns, uint64_t rank) {
    for (int i = 0; i < COLUMNS; i++) {
        const struct column *one = &columns[i];
        uint64_t at = (rank < one->count ? rank : one->count) * (uint32_t)one->width;
        if (one->width) PREFETCH(one->codes + at);
        if (one->width) PREFETCH(one->codes + at + (at + LINE_BYTES < one->count * (uint32_t)one->width ? LINE_BYTES : 0));
    }
}

#define LIKELY_IN_LINE 16u  /* fewer members of a line than are below most keys in it */
#define LIKELY_IN_SPILL 20u /* entries of a line of the spill */

/* The codes of a member. They are fetched before its rank is known: where it is read, it nearly is. */
ALWAYS_INLINE void codes_of_key(const struct index *ix, const struct column *columns, uint64_t key, uint32_t *codes, int level) {
    struct seat seat;
    seat_key(ix, key, &seat, level);
    uint64_t near = seat.near + (ix->spill_count ? ix->spill_ranks[seat.spill / 8] + (seat.spill & 7) * LIKELY_IN_SPILL : 0);
    fetch_codes(columns, near + LIKELY_IN_LINE);
    uint64_t rank = seat_rank(ix, &seat, level);
    for (int i = 0; i < COLUMNS; i++) codes[i] = column_code(&columns[i], rank);
}

#endif
