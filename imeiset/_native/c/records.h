/* Identities of records: taken by the rules of lists, but that each row keeps its place. */
#ifndef IMEISET_RECORDS_H
#define IMEISET_RECORDS_H

#include "taking.h"

#define HIGH_BITS UINT64_C(0xF0F0F0F0F0F0F0F0)

/* Of a row whose cell was parsed: settle the check digit, and count and note what lists do. cells: quoted ones keep
 * the quotes that are doubled in them. Notes have rows for lines. */
ALWAYS_INLINE void record_take(struct scan_taking *taking, const uint8_t *text, int64_t start, int64_t length,
                               bool cells, int32_t row, uint64_t *key, uint8_t *status) {
    const bool good = *status == IMEI_OK || imei_is_soft(*status);
    if (good && length == 15 && taking->restored != 15) {
        /* Of what may stand beside the digits of so short an IMEI, nothing has the high bits of a digit. */
        const uint8_t *cell = text + start;
        if ((((load8(cell) ^ BYTES_0) | (load8(cell + 7) ^ BYTES_0)) & HIGH_BITS) == 0) {
            if (*status == IMEI_CHECK_DIGIT) note(&taking->tally, NOTED_WRONG, row);
            taking->tally.forms[1]++;
            *status = IMEI_OK;
            return;
        }
    }
    if (!good && !(cells && *status == IMEI_NOT_DIGIT)) return;
    if (take(taking, text, (int32_t)start, (int32_t)length, row, key, status))
        *status = IMEI_OK;
    else
        *key = IMEI_NO_KEY;
}

#endif
