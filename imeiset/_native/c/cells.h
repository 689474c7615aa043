/* Cells that are no identity: equal ones, numbers and days. */
#ifndef IMEISET_CELLS_H
#define IMEISET_CELLS_H

#include "scan.h"

#define SCAN_GROUP_SLOTS 32768 /* twice the rows of a batch */

static inline uint64_t scan_hash(const uint8_t *cell, int32_t length) {
    uint64_t head = 0, tail = 0;
    if (length >= 8) {
        memcpy(&head, cell, 8);
        memcpy(&tail, cell + length - 8, 8);
    } else {
        memcpy(&head, cell, (size_t)length);
    }
    return ((head ^ tail * 0x9e3779b97f4a7c15ULL) + (uint64_t)length) * 0xff51afd7ed558ccdULL;
}

/* Put equal cells into groups, numbered as they come: group[i] is the one of cell i, first[g] a cell of
 * group g. At most SCAN_GROUP_SLOTS / 2 cells. Returns how many groups. */
static int32_t scan_group(const uint8_t *text, const int32_t *starts, const int32_t *ends, int32_t count,
                          int32_t *slots, int32_t *group, int32_t *first) {
    int32_t groups = 0;
    memset(slots, 0xff, SCAN_GROUP_SLOTS * sizeof *slots);
    for (int32_t i = 0; i < count; i++) {
        const uint8_t *cell = text + starts[i];
        const int32_t length = ends[i] - starts[i];
        if (i && ends[i - 1] - starts[i - 1] == length && !memcmp(text + starts[i - 1], cell, (size_t)length)) {
            group[i] = group[i - 1];
            continue;
        }
        for (uint64_t at = scan_hash(cell, length) >> 49;; at = (at + 1) % SCAN_GROUP_SLOTS) {
            int32_t g = slots[at];
            if (g < 0) {
                slots[at] = groups;
                first[groups] = i;
                group[i] = groups++;
                break;
            }
            if (ends[first[g]] - starts[first[g]] == length &&
                !memcmp(text + starts[first[g]], cell, (size_t)length)) {
                group[i] = g;
                break;
            }
        }
    }
    return groups;
}

/* The numbers in cells of `fewest` to `most` (18) digits, UINT64_MAX for another cell. */
static void scan_numbers(const uint8_t *text, const int32_t *starts, const int32_t *ends, int32_t count,
                         int32_t fewest, int32_t most, uint64_t *numbers) {
    for (int32_t i = 0; i < count; i++) {
        const int32_t length = ends[i] - starts[i];
        uint64_t number = 0;
        bool digits = length >= fewest && length <= most;
        for (int32_t at = 0; digits && at < length; at++) {
            uint8_t digit = (uint8_t)(text[starts[i] + at] - '0');
            digits = digit <= 9;
            number = 10 * number + digit;
        }
        numbers[i] = digits ? number : UINT64_MAX;
    }
}

/* ---- days ---- */

#define SCAN_NOT_A_DAY (-1)

static inline int32_t scan_two_digits(const uint8_t *text) {
    uint8_t tens = (uint8_t)(text[0] - '0'), ones = (uint8_t)(text[1] - '0');
    return tens <= 9 && ones <= 9 ? 10 * tens + ones : 100;
}

/* The number YYYYMMDD of a day as ISO 8601 has it, with '-', '/', '.' or nothing between, and any time after
 * a 'T' or a blank; 0 of an empty cell, SCAN_NOT_A_DAY of another. Twin: days.day_number. */
static int32_t scan_day(const uint8_t *cell, int32_t length) {
    while (length && imei_is_blank(cell[length - 1])) length--;
    while (length && imei_is_blank(cell[0])) cell++, length--;
    if (length == 0) return 0;
    if (length < 8) return SCAN_NOT_A_DAY;
    const bool parted = cell[4] == '-' || cell[4] == '/' || cell[4] == '.';
    const int32_t bytes = parted ? 10 : 8;
    if (length < bytes || (parted && cell[7] != cell[4])) return SCAN_NOT_A_DAY;
    if (length > bytes && cell[bytes] != 'T' && cell[bytes] != ' ') return SCAN_NOT_A_DAY;
    const int32_t century = scan_two_digits(cell), year = scan_two_digits(cell + 2);
    const int32_t month = scan_two_digits(cell + 4 + parted), day = scan_two_digits(cell + 6 + 2 * parted);
    if (century == 100 || year == 100 || month == 0 || month > 12 || day == 0) return SCAN_NOT_A_DAY;
    const int32_t whole = 100 * century + year;
    const bool leap = whole % 4 == 0 && (whole % 100 != 0 || whole % 400 == 0);
    const int32_t days = month == 2 ? 28 + leap : 30 + ((month + (month > 7)) & 1);
    return whole == 0 || day > days ? SCAN_NOT_A_DAY : 10000 * whole + 100 * month + day;
}

/* Those of many cells. */
static void scan_days(const uint8_t *text, const int32_t *starts, const int32_t *ends, int32_t count,
                      int32_t *days) {
    for (int32_t i = 0; i < count; i++) days[i] = scan_day(text + starts[i], ends[i] - starts[i]);
}

#endif
