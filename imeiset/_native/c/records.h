/* Identities of records: taken by the rules of lists, but that each row keeps its place. */
#ifndef IMEISET_RECORDS_H
#define IMEISET_RECORDS_H

#include "taking.h"

/* Of a row of TBCD in hexadecimal: take it, and count its digits. */
static inline void record_take_tbcd(struct scan_taking *taking, const uint8_t *text, int64_t start, int64_t length,
                                    uint64_t *key, uint8_t *status) {
    uint8_t form;
    unsigned digits;
    while (length && imei_is_blank(text[start + length - 1])) length--;
    while (length && imei_is_blank(text[start])) start++, length--;
    *status = take_tbcd(text + start, (size_t)length, taking->bare, key, &form, &digits);
    if (taking->accept[*status]) {
        taking->tally.forms[digits - 14]++;
        *status = IMEI_OK;
    } else {
        *key = IMEI_NO_KEY;
    }
}

/* Of a row that was parsed exactly: settle the check digit, and count and note what lists do. cells: quoted ones keep
 * the quotes that are doubled in them. Notes have rows for lines. */
static inline void record_take(struct scan_taking *taking, const uint8_t *text, int64_t start, int64_t length,
                               bool cells, int32_t row, uint64_t *key, uint8_t *status) {
    while (length && imei_is_blank(text[start + length - 1])) length--;
    while (length && imei_is_blank(text[start])) start++, length--;
    const bool with_check_digit = *status == IMEI_CHECK_DIGIT || *status == IMEI_CHECK_DIGIT_SPARE;
    if (with_check_digit && taking->restored != 15) {
        /* 15 digits, and nothing beside them if they fill the cell. */
        if (*status == IMEI_CHECK_DIGIT && length == 15) note(&taking->tally, NOTED_WRONG, row);
        taking->tally.forms[1]++;
        *status = IMEI_OK;
        return;
    }
    const bool good = *status == IMEI_OK || imei_is_soft(*status);
    if (!good && !(cells && *status == IMEI_NOT_DIGIT)) return;
    if (take(taking, text, (int32_t)start, (int32_t)length, row, key, status))
        *status = IMEI_OK;
    else
        *key = IMEI_NO_KEY;
}

/* Take at most 255 rows if all have a check digit, and fill their cells where it is wrong: this vectorises. */
static inline bool record_take_all(struct scan_taking *taking, uint8_t *status, int32_t n, int32_t odd) {
    struct noted_rows *noted = &taking->tally.noted[NOTED_WRONG];
    uint8_t others = 0, wrong = 0;
    for (int32_t i = 0; i < n; i++) {
        others += status[i] != IMEI_OK && status[i] != IMEI_CHECK_DIGIT && status[i] != IMEI_CHECK_DIGIT_SPARE;
        wrong += status[i] == IMEI_CHECK_DIGIT;
    }
    if (others || (wrong && (odd || noted->count < NOTED_LINES))) return false;
    noted->count += wrong;
    taking->tally.forms[1] += n;
    memset(status, IMEI_OK, (size_t)n);
    return true;
}

#endif
