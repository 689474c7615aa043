/* Lines that hold a number and nothing else, without looking for cells: several times faster than scan.h.
 *
 * From the start of a row on, lines of 14, 15 or 16 digits and LF or CRLF whose status is accepted, as
 * many as follow one another; the first other line, or one that may not be whole, is left for scan_rows.
 * Such a line is the same row to both.
 */
#ifndef IMEISET_PLAIN_H
#define IMEISET_PLAIN_H

#include "../_digits_simd.h"

#define PLAIN_LINE 18 /* bytes: the longest, with its end */

#define LEVEL(name) name##_portable
#define LEVEL_TARGET
#include "plain_loops.h"
#undef LEVEL
#undef LEVEL_TARGET

#if SIMD_X86
#define LEVEL(name) name##_sse4
#define LEVEL_TARGET TARGET_SSE4
#include "plain_loops.h"
#undef LEVEL
#undef LEVEL_TARGET

#define LEVEL(name) name##_avx2
#define LEVEL_TARGET TARGET_AVX2
#define LEVEL_GROUPS
#include "plain_loops.h"
#undef LEVEL
#undef LEVEL_TARGET
#undef LEVEL_GROUPS
#endif

/* Parse at most `capacity` rows; their keys, and in the tallies their statuses and forms. Returns how
 * many, and in *consumed their bytes. */
static size_t (*const plain_levels[SIMD_LEVELS])(const uint8_t *text, size_t size, const uint8_t *accept,
                                                 size_t capacity, uint64_t *keys, int64_t *statuses,
                                                 int64_t *forms, size_t *consumed) = {
    plain_portable,
#if SIMD_X86
    plain_sse4,
    plain_avx2,
#endif
};

#endif
