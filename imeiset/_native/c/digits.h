/* ASCII digits to keys, and keys to digits. Texts of any form are in forms.h, whole columns in digits_simd.h.
 *
 * A key is the number made of the first 14 digits of an IMEI; digits 15 and 16 identify nothing.
 * Every function returns, or writes, a parse status (ParseStatus in errors.py). The check digit codes
 * are soft: the key is valid, and the caller's policy decides.
 *
 * No function reads outside the bytes it is given.
 */
#ifndef IMEISET_DIGITS_H
#define IMEISET_DIGITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "simd.h"

/* The same numbers as errors.ParseStatus; a test compares them. */
enum imei_status {
    IMEI_OK = 0,
    IMEI_EMPTY = 1,
    IMEI_TOO_SHORT = 2,
    IMEI_TOO_LONG = 3,
    IMEI_NOT_DIGIT = 4,
    IMEI_NOT_ASCII = 5,
    IMEI_NUL = 6,
    IMEI_SIGN = 7,
    IMEI_SEPARATOR = 8,
    IMEI_MISSING = 9,
    IMEI_NEGATIVE = 10,
    IMEI_OUT_OF_RANGE = 11,
    IMEI_FIFTEEN_DIGITS = 12,
    IMEI_WRONG_TYPE = 13,
    IMEI_CHECK_DIGIT = 14,
    IMEI_CHECK_DIGIT_SPARE = 15,
    IMEI_FILLER = 16,
    IMEI_PREFIX = 17,
    IMEI_NO_CHECK_DIGIT = 18
};

#define IMEI_NO_KEY UINT64_MAX                   /* the key of a malformed row */
#define IMEI_KEYS UINT64_C(100000000000000)      /* 10**14: keys are below it */
#define IMEI_FIFTEEN UINT64_C(1000000000000000)  /* 10**15 */

/* ---- 16 bytes at a time, in plain C ---- */

#define BYTES_7F UINT64_C(0x7F7F7F7F7F7F7F7F)
#define BYTES_80 UINT64_C(0x8080808080808080)
#define BYTES_0 UINT64_C(0x3030303030303030) /* "00000000" */

/* Eight bytes, the first one lowest. */
ALWAYS_INLINE uint64_t load8(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

/* The top bit of every byte that is above 9: '0'..'9' xor '0' is 0..9, and nothing else is. */
ALWAYS_INLINE uint64_t over9(uint64_t word) {
    return (((word & BYTES_7F) + UINT64_C(0x7676767676767676)) | word) & BYTES_80;
}

/* The number made of eight digits 0..9, the first one lowest in the word. */
ALWAYS_INLINE uint64_t value8(uint64_t word) {
    const uint64_t pairs = UINT64_C(0x000000FF000000FF);
    word = word * 10 + (word >> 8);
    return ((word & pairs) * UINT64_C(0x000F424000000064) +
            ((word >> 16) & pairs) * UINT64_C(0x0000271000000001)) >> 32;
}

/* Luhn over eight digits, even places as they are, odd places doubled: four sums of 16 bits. */
ALWAYS_INLINE uint64_t luhn8(uint64_t word) {
    const uint64_t bytes = UINT64_C(0x00FF00FF00FF00FF), ones = UINT64_C(0x0001000100010001);
    uint64_t odd = (word >> 8) & bytes;
    /* The digits of 2d add up to 2d, or 2d - 9 from 5 on: the same as 2d + 1 modulo 10. */
    return (word & bytes) + 2 * odd + (((odd + 123 * ones) >> 7) & ones);
}

ALWAYS_INLINE unsigned sum4(uint64_t sums) {
    return (unsigned)((sums * UINT64_C(0x0001000100010001)) >> 48);
}

/* What the 15th digit says, given Luhn's sum over all 15; without branches, which nothing could foresee. */
ALWAYS_INLINE uint8_t check_status(unsigned sum, unsigned digit) {
    unsigned wrong = sum % 10 != 0; /* SPARE is one more */
    return (uint8_t)((0u - wrong) & (IMEI_CHECK_DIGIT + (digit == 0)));
}

/* How many of the 16 bytes at p are digits, up to the first that is not. */
ALWAYS_INLINE unsigned digits16_portable(const uint8_t *p) {
    uint64_t low = over9(load8(p) ^ BYTES_0), high = over9(load8(p + 8) ^ BYTES_0);
    if (low) return (unsigned)__builtin_ctzll(low) / 8;
    return high ? 8 + (unsigned)__builtin_ctzll(high) / 8 : 16;
}

/* The key and status of the n digits (14, 15 or 16) at p, where 16 bytes can be read. `bare`, here and
 * below: the status of well-formed numbers that have no check digit. */
ALWAYS_INLINE uint8_t value16_portable(const uint8_t *p, unsigned n, uint8_t bare, uint64_t *key) {
    uint64_t tac = load8(p) ^ BYTES_0, rest = load8(p + 8) ^ BYTES_0;
    *key = value8(tac) * 1000000 + value8(rest << 16);
    if (n != 15) return bare;
    return check_status(sum4(luhn8(tac) + luhn8(rest & UINT64_C(0x00FFFFFFFFFFFFFF))), p[14] - '0');
}

/* The TAC and the serial number of 14, 15 or 16 digits and nothing else, 0 of any other text. Neither waits for
 * the other, and the check digit is not looked at. */
ALWAYS_INLINE int imei_parts(const uint8_t *text, size_t n, uint32_t *tac, uint32_t *serial) {
    if (n - 14 > 2) return 0;
    uint64_t first = load8(text) ^ BYTES_0, last = load8(text + n - 8) ^ BYTES_0; /* which overlap, or meet */
    *tac = (uint32_t)value8(first);
    *serial = (uint32_t)value8(last << 8 * (n - 14) & ~UINT64_C(0xFFFF)); /* digits 9 to 14 */
    return (over9(first) | over9(last)) == 0;
}

/* Whether n integers, signed or not, are all 14-digit keys. */
static int imei_all_keys(const uint64_t *values, size_t n) {
    uint64_t bad = 0; /* its top bit: negative or enormous, or beyond the last key */
    for (size_t i = 0; i < n; i++) bad |= values[i] | (IMEI_KEYS - 1 - values[i]);
    return !(bad >> 63);
}

/* Copies n integers that may be 14-digit keys; false if one of them, signed or not, is no key. */
static int imei_copy_keys(const void *values, size_t n, uint64_t *keys) {
    memcpy(keys, values, 8 * n);
    return imei_all_keys(keys, n);
}

/* ---- keys ---- */

enum imei_policy { POLICY_IGNORE = 0, POLICY_SPARE = 1, POLICY_REQUIRE = 2 };

/* The codes that a policy settles: those of a row that has a key. */
ALWAYS_INLINE int imei_is_soft(uint8_t status) {
    return (status == IMEI_CHECK_DIGIT) | (status == IMEI_CHECK_DIGIT_SPARE) | (status == IMEI_NO_CHECK_DIGIT);
}

/* Settles the soft codes: a row the policy lets through becomes OK, another loses its key. Returns how many
 * rows are malformed then. */
static size_t imei_apply_policy(int policy, size_t n, uint64_t *keys, uint8_t *status) {
    size_t malformed = 0;
    for (size_t start = 0; start < n; start += 255) { /* 255: sums that fit a byte, so that this vectorises */
        size_t stop = n - start < 255 ? n : start + 255;
        uint8_t soft = 0, bad = 0;
        for (size_t i = start; i < stop; i++) {
            soft += status[i] >= IMEI_CHECK_DIGIT; /* no soft code is below */
            bad += status[i] != IMEI_OK;
        }
        malformed += bad;
        if (!soft) continue;
        if (policy == POLICY_IGNORE) { /* all of them: this vectorises, too */
            soft = 0;
            for (size_t i = start; i < stop; i++) {
                uint8_t is_soft = (uint8_t)imei_is_soft(status[i]);
                soft += is_soft;
                status[i] &= (uint8_t)(is_soft - 1);
            }
            malformed -= soft;
            continue;
        }
        for (size_t i = start; i < stop; i++) {
            if (!imei_is_soft(status[i])) continue;
            if (policy == POLICY_SPARE && status[i] != IMEI_CHECK_DIGIT) {
                status[i] = IMEI_OK;
                malformed--;
            } else
                keys[i] = IMEI_NO_KEY;
        }
    }
    return malformed;
}

/* The check digit of a key. */
static inline unsigned imei_check_digit(uint64_t key) {
    unsigned sum = 0;
    for (int i = 0; i < 7; i++, key /= 100) {
        unsigned pair = (unsigned)(key % 100), odd = pair % 10;
        sum += pair / 10 + 2 * odd + (odd >= 5);
    }
    return (10 - sum % 10) % 10;
}

/* The 15 characters of a key and its check digit. */
static inline void imei_write(uint64_t key, char *text) {
    text[14] = (char)('0' + imei_check_digit(key));
    for (int i = 13; i >= 0; i--, key /= 10) text[i] = (char)('0' + key % 10);
}

/* The eight characters of the TACs of n keys, none where a row is malformed: NULs. */
static void imei_write_tacs(size_t n, const uint64_t *keys, uint8_t *texts) {
    const uint64_t bytes = UINT64_C(0x000F000F000F000F);
    for (size_t i = 0; i < n; i++) {
        uint64_t tac = keys[i] / 1000000, high = tac / 10000;
        uint64_t fours = high | (tac - high * 10000) << 32; /* two of four digits, the first one lowest */
        uint64_t over = (fours * 10486 >> 20) & UINT64_C(0x0000007F0000007F);
        uint64_t pairs = over + ((fours - 100 * over) << 16);
        uint64_t tens = (pairs * 103 >> 10) & bytes;
        uint64_t text = keys[i] < IMEI_KEYS ? (tens + ((pairs - 10 * tens) << 8)) | BYTES_0 : 0;
        memcpy(texts + 8 * i, &text, 8);
    }
}

/* The key and status of an integer of the given number of digits: 14, or 15 with the check digit. IMEI_NO_KEY is what
 * a row without a key had in the keys of another column. */
static inline uint8_t imei_integer(uint64_t value, int digits, uint8_t bare, uint64_t *key) {
    *key = IMEI_NO_KEY;
    if (UNLIKELY(value >= IMEI_FIFTEEN)) return value == IMEI_NO_KEY ? IMEI_MISSING : IMEI_OUT_OF_RANGE;
    if (digits == 15) {
        unsigned digit = (unsigned)(value % 10);
        *key = value / 10;
        return check_status(10 - imei_check_digit(*key) + digit, digit);
    }
    if (value >= IMEI_KEYS) return IMEI_FIFTEEN_DIGITS;
    *key = value;
    return bare;
}

#endif
