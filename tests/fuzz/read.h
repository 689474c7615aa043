/* Which texts are an IMEI, read from the standards and not from the headers: the twin of forms.h and digits.h. */
#ifndef IMEISET_FUZZ_READ_H
#define IMEISET_FUZZ_READ_H

#include "fuzz.h"

#include "../../imeiset/_native/c/digits_simd.h"

struct plain {
    char digits[17]; /* ended by a NUL */
    int form;
};

static int plain_blank(uint8_t c) { return c && strchr(" \t\n\v\f\r", c) != NULL; }
static int plain_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static int plain_lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

/* Digits with single separators between them: the leftmost fault decides. */
static int plain_separated(const uint8_t *text, size_t n, struct plain *out) {
    size_t count = 0;
    out->form = WRITTEN_DIGITS;
    memset(out->digits, 0, sizeof out->digits);
    if (n == 0) return IMEI_EMPTY;
    for (size_t i = 0; i < n; i++) {
        if (plain_digit(text[i])) {
            if (count == 16) return IMEI_TOO_LONG;
            out->digits[count++] = (char)text[i];
            continue;
        }
        if (i == 0 && (text[i] == '+' || text[i] == '-')) return IMEI_SIGN;
        if (text[i] != '-' && text[i] != ' ')
            return text[i] == 0 ? IMEI_NUL : text[i] > 127 ? IMEI_NOT_ASCII : IMEI_NOT_DIGIT;
        if (i == 0 || !plain_digit(text[i - 1])) return IMEI_SEPARATOR;
        out->form = WRITTEN_SEPARATORS;
    }
    if (!plain_digit(text[n - 1])) return IMEI_SEPARATOR;
    return count < 14 ? IMEI_TOO_SHORT : IMEI_OK;
}

/* How many bytes a pattern takes from the start, 0 if it does not: 9 is a digit to keep, 8 a digit, ~ perhaps a
 * blank, anything else itself, in either case. */
static size_t plain_match(const char *pattern, const uint8_t *text, size_t n, struct plain *out) {
    size_t at = 0, count = 0;
    memset(out->digits, 0, sizeof out->digits);
    for (; *pattern; pattern++) {
        if (*pattern == '~') {
            at += at < n && plain_blank(text[at]);
            continue;
        }
        if (at == n) return 0;
        if (*pattern == '9' || *pattern == '8') {
            if (!plain_digit(text[at])) return 0;
            if (*pattern == '9') out->digits[count++] = (char)text[at];
        } else if (plain_lower(text[at]) != *pattern) {
            return 0;
        }
        at++;
    }
    return at;
}

static int plain_matches(const char *pattern, const uint8_t *text, size_t n, struct plain *out) {
    return n && plain_match(pattern, text, n, out) == n;
}

static int plain_filler(const uint8_t *text, size_t n, struct plain *out) {
    return plain_matches("999999999999999f", text, n, out) || plain_matches("99999999999999ff", text, n, out);
}

static int plain_parameters(const uint8_t *text, size_t n) {
    struct plain none;
    size_t name = 0, value = 0;
    if (n == 0) return 1;
    if (text[0] != ';') return 0;
    text++, n--;
    if (plain_match("svn=", text, n, &none)) {
        if (plain_match("svn=88", text, n, &none) == 0) return 0;
        return plain_parameters(text + 6, n - 6);
    }
    while (name < n && text[name] > 32 && text[name] < 127 && text[name] != ';' && text[name] != '=') name++;
    if (name == 0 || name == n || text[name] != '=') return 0;
    text += name + 1, n -= name + 1;
    while (value < n && text[value] > 32 && text[value] < 127 && text[value] != ';') value++;
    return value && plain_parameters(text + value, n - value);
}

static int plain_read(const uint8_t *text, size_t n, struct plain *out) {
    struct plain other;
    while (n && plain_blank(text[0])) text++, n--;
    while (n && plain_blank(text[n - 1])) n--;
    int status = plain_separated(text, n, out);
    if (status != IMEI_NOT_DIGIT || n > 255) return status;
    size_t prefix = plain_match("imei-", text, n, &other) ? 5 : plain_match("imeisv-", text, n, &other) ? 7 : 0;
    if (prefix) {
        status = plain_separated(text + prefix, n - prefix, out);
        out->form = WRITTEN_PEI;
        if (status == IMEI_OK && strlen(out->digits) == (prefix == 5 ? 15 : 16)) return IMEI_OK;
        return status <= IMEI_TOO_LONG ? IMEI_PREFIX : IMEI_NOT_DIGIT;
    }
    out->form = WRITTEN_FILLER;
    if (plain_filler(text, n, out)) return IMEI_OK;
    size_t digits = 0, fillers = 0;
    while (digits < n && plain_digit(text[digits])) digits++;
    while (digits + fillers < n && plain_lower(text[digits + fillers]) == 'f') fillers++;
    if (digits && fillers && digits + fillers == n) return IMEI_FILLER;
    out->form = WRITTEN_URN;
    size_t urn = plain_match("urn:gsma:imei:99999999-999999-9", text, n, out);
    if (urn && plain_parameters(text + urn, n - urn)) return IMEI_OK;
    const int quoted = text[0] == '=' && n >= 3 && text[1] == '"' && text[n - 1] == '"';
    if (quoted || text[0] == '\'') {
        const uint8_t *inner = text + 1 + quoted;
        size_t inside = n - 1 - 2 * (size_t)quoted;
        status = plain_separated(inner, inside, out) && !plain_filler(inner, inside, out);
        out->form = WRITTEN_SPREADSHEET;
        return status ? IMEI_NOT_DIGIT : IMEI_OK;
    }
    out->form = WRITTEN_SVN;
    if (plain_matches("99999999999999~/~99", text, n, out)) return IMEI_OK;
    return plain_matches("999999999999999~/~88", text, n, out) ? IMEI_OK : IMEI_NOT_DIGIT;
}

static unsigned plain_luhn(const char *fourteen) {
    unsigned sum = 0;
    for (int i = 0; i < 14; i++) {
        unsigned digit = (unsigned)(fourteen[i] - '0') * (i % 2 ? 2 : 1);
        sum += digit / 10 + digit % 10;
    }
    return (10 - sum % 10) % 10;
}

static int plain_status(const char *digits, uint8_t bare) {
    if (strlen(digits) != 15) return bare;
    if ((unsigned)(digits[14] - '0') == plain_luhn(digits)) return IMEI_OK;
    return digits[14] == '0' ? IMEI_CHECK_DIGIT_SPARE : IMEI_CHECK_DIGIT;
}

static uint64_t plain_key(const char *digits) {
    uint64_t key = 0;
    for (int i = 0; i < 14; i++) key = key * 10 + (uint64_t)(digits[i] - '0');
    return key;
}

/* The key and status of a text. */
static int plain_text(const uint8_t *text, size_t n, uint8_t bare, uint64_t *key) {
    struct plain read;
    int status = plain_read(text, n, &read);
    *key = status ? UINT64_MAX : plain_key(read.digits);
    return status ? status : plain_status(read.digits, bare);
}

#endif
