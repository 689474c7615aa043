/* The one grammar of identity texts: which texts are an IMEI, and of which digits.
 *
 * Blanks around (space, tab, LF, VT, FF, CR) are no part of a text. 14 to 16 digits and nothing else are settled
 * before this file is asked. Whatever else a kernel meets comes here, so that a text is the same IMEI at every
 * door. The forms:
 *
 *   separators   14 to 16 digits, with single '-' or ' ' between them
 *   pei          imei- and 15 digits, imeisv- and 16, separated or not (3GPP TS 29.571)
 *   filler       15 digits and F, 14 digits and FF (the TBCD of 3GPP TS 29.002 as text)
 *   urn          urn:gsma:imei: and TAC-SNR-digit, then perhaps parameters ;name=value (RFC 7254)
 *   spreadsheet  ="..." or '... around digits that may be separated, or have a filler
 *   svn          14 or 15 digits, '/' and 2 digits: an IMEISV, or an IMEI beside its software version
 *
 * Letters are of either case, and forms do not nest otherwise. A text that has none of the forms gets the status
 * of its leftmost character that does not belong to separated digits.
 *
 * No function reads outside the bytes it is given.
 */
#ifndef IMEISET_FORMS_H
#define IMEISET_FORMS_H

#include "digits.h"

/* In the order of WRITTEN in parse.pyx. */
enum imei_written {
    WRITTEN_DIGITS,
    WRITTEN_SEPARATORS,
    WRITTEN_PEI,
    WRITTEN_FILLER,
    WRITTEN_URN,
    WRITTEN_SPREADSHEET,
    WRITTEN_SVN,
    WRITTEN_FORMS
};

/* A text of more characters, without the blanks around it, has none of the forms, and its first IMEI_DECISIVE
 * say what is wrong with it: it may be cut to them. */
#define IMEI_LONGEST 255
#define IMEI_DECISIVE (IMEI_LONGEST + 1)

struct imei_reading {
    uint8_t digits[16];
    unsigned count; /* of digits: 14, 15 or 16 */
    uint8_t form;
};

ALWAYS_INLINE int imei_is_blank(uint32_t c) { return c == ' ' || c - '\t' <= '\r' - '\t'; }

ALWAYS_INLINE int imei_is_digit(uint8_t c) { return (uint8_t)(c - '0') <= 9; }

/* How many of n bytes are digits, up to the first that is not. */
static inline size_t leading_digits(const uint8_t *text, size_t n) {
    size_t count = 0;
    while (count < n && imei_is_digit(text[count])) count++;
    return count;
}

/* Whether n bytes begin with a word in lower case, whatever their case. */
static inline int begins_with(const uint8_t *text, size_t n, const char *word) {
    size_t length = strlen(word);
    if (n < length) return 0;
    for (size_t i = 0; i < length; i++) {
        uint8_t c = text[i];
        if (c >= 'A' && c <= 'Z') c |= 0x20;
        if (c != (uint8_t)word[i]) return 0;
    }
    return 1;
}

/* ---- the forms: OK with the digits and their count, NOT_DIGIT where a text does not have the form ---- */

static uint8_t read_separated(const uint8_t *text, size_t n, struct imei_reading *out) {
    int separated = 1; /* a digit must follow */
    out->count = 0;
    out->form = WRITTEN_DIGITS;
    if (n == 0) return IMEI_EMPTY;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = text[i];
        if (imei_is_digit(c)) {
            if (out->count == 16) return IMEI_TOO_LONG;
            out->digits[out->count++] = c;
            separated = 0;
        } else if (i == 0 && (c == '-' || c == '+')) {
            return IMEI_SIGN;
        } else if (c == '-' || c == ' ') {
            if (separated) return IMEI_SEPARATOR;
            separated = 1;
            out->form = WRITTEN_SEPARATORS;
        } else {
            return c == 0 ? IMEI_NUL : c >= 0x80 ? IMEI_NOT_ASCII : IMEI_NOT_DIGIT;
        }
    }
    if (separated) return IMEI_SEPARATOR;
    return out->count < 14 ? IMEI_TOO_SHORT : IMEI_OK;
}

static uint8_t read_pei(const uint8_t *text, size_t n, struct imei_reading *out) {
    const int is_imei = begins_with(text, n, "imei-"), is_imeisv = begins_with(text, n, "imeisv-");
    if (!is_imei && !is_imeisv) return IMEI_NOT_DIGIT;
    const size_t prefix = is_imei ? 5 : 7;
    switch (read_separated(text + prefix, n - prefix, out)) {
    case IMEI_OK:
        return out->count == (is_imei ? 15u : 16u) ? IMEI_OK : IMEI_PREFIX;
    case IMEI_EMPTY:
    case IMEI_TOO_SHORT:
    case IMEI_TOO_LONG:
        return IMEI_PREFIX;
    default:
        return IMEI_NOT_DIGIT;
    }
}

static uint8_t read_filler(const uint8_t *text, size_t n, struct imei_reading *out) {
    const size_t count = leading_digits(text, n), fillers = n - count;
    if (count == 0 || fillers == 0) return IMEI_NOT_DIGIT;
    for (size_t i = count; i < n; i++)
        if (text[i] != 'F' && text[i] != 'f') return IMEI_NOT_DIGIT;
    if (!(count == 15 && fillers == 1) && !(count == 14 && fillers == 2)) return IMEI_FILLER;
    memcpy(out->digits, text, count);
    out->count = (unsigned)count;
    return IMEI_OK;
}

/* How many of n bytes are visible ASCII, up to a ';' or the given byte. */
static inline size_t parameter_part(const uint8_t *text, size_t n, uint8_t end) {
    size_t count = 0;
    while (count < n && text[count] > ' ' && text[count] <= '~' && text[count] != ';' && text[count] != end) count++;
    return count;
}

/* Whether n bytes are parameters ";name=value", or nothing. A software version has two digits. */
static int are_parameters(const uint8_t *text, size_t n) {
    while (n) {
        if (*text != ';') return 0;
        const size_t name = parameter_part(text + 1, n - 1, '=');
        if (name == 0 || name + 2 >= n || text[1 + name] != '=') return 0;
        const uint8_t *value = text + 2 + name;
        const size_t length = parameter_part(value, n - 2 - name, ';');
        if (length == 0) return 0;
        if (begins_with(text, n, ";svn=") && (length != 2 || leading_digits(value, 2) != 2)) return 0;
        n -= 2 + name + length;
        text = value + length;
    }
    return 1;
}

static uint8_t read_urn(const uint8_t *text, size_t n, struct imei_reading *out) {
    if (n < 31 || !begins_with(text, n, "urn:gsma:imei:")) return IMEI_NOT_DIGIT;
    text += 14;
    if (leading_digits(text, 9) != 8 || text[8] != '-' || leading_digits(text + 9, 7) != 6 || text[15] != '-' ||
        !imei_is_digit(text[16]) || !are_parameters(text + 17, n - 31))
        return IMEI_NOT_DIGIT;
    memcpy(out->digits, text, 8);
    memcpy(out->digits + 8, text + 9, 6);
    out->digits[14] = text[16];
    out->count = 15;
    return IMEI_OK;
}

static uint8_t read_spreadsheet(const uint8_t *text, size_t n, struct imei_reading *out) {
    if (text[0] == '\'') {
        text++, n--;
    } else if (n >= 3 && text[0] == '=' && text[1] == '"' && text[n - 1] == '"') {
        text += 2, n -= 3;
    } else {
        return IMEI_NOT_DIGIT;
    }
    const int read = read_separated(text, n, out) == IMEI_OK || read_filler(text, n, out) == IMEI_OK;
    return read ? IMEI_OK : IMEI_NOT_DIGIT;
}

static uint8_t read_svn(const uint8_t *text, size_t n, struct imei_reading *out) {
    const size_t count = leading_digits(text, n);
    size_t at = count;
    if (count != 14 && count != 15) return IMEI_NOT_DIGIT;
    if (at < n && imei_is_blank(text[at])) at++;
    if (at == n || text[at++] != '/') return IMEI_NOT_DIGIT;
    if (at < n && imei_is_blank(text[at])) at++;
    if (n - at != 2 || leading_digits(text + at, 2) != 2) return IMEI_NOT_DIGIT;
    memcpy(out->digits, text, count);
    if (count == 14) memcpy(out->digits + 14, text + at, 2);
    out->count = count == 14 ? 16 : 15;
    return IMEI_OK;
}

/* ---- any text ---- */

/* The digits of a text without blanks around it. */
NOINLINE uint8_t imei_read(const uint8_t *text, size_t n, struct imei_reading *out) {
    static uint8_t (*const forms[WRITTEN_FORMS])(const uint8_t *, size_t, struct imei_reading *) = {
        [WRITTEN_PEI] = read_pei, [WRITTEN_FILLER] = read_filler, [WRITTEN_URN] = read_urn,
        [WRITTEN_SPREADSHEET] = read_spreadsheet, [WRITTEN_SVN] = read_svn,
    };
    uint8_t status = read_separated(text, n, out);
    if (status != IMEI_NOT_DIGIT || n > IMEI_LONGEST) return status; /* any other form has a letter or a sign */
    for (uint8_t form = WRITTEN_PEI; form < WRITTEN_FORMS; form++) {
        status = forms[form](text, n, out);
        if (status == IMEI_NOT_DIGIT) continue;
        out->form = form;
        return status;
    }
    return IMEI_NOT_DIGIT;
}

/* The digits of any n bytes. */
static uint8_t imei_digits(const uint8_t *text, size_t n, struct imei_reading *out) {
    while (n && imei_is_blank(text[n - 1])) n--;
    while (n && imei_is_blank(text[0])) text++, n--;
    return imei_read(text, n, out);
}

/* The code point i of a text in which each has 1, 2 or 4 bytes. */
ALWAYS_INLINE uint32_t wide_character(const uint8_t *text, unsigned width, size_t i) {
    uint16_t two;
    uint32_t four;
    if (width == 1) return text[i];
    if (width == 2) {
        memcpy(&two, text + 2 * i, 2);
        return two;
    }
    memcpy(&four, text + 4 * i, 4);
    return four;
}

/* The digits of any n code points, of 1, 2 or 4 bytes each. */
NOINLINE uint8_t imei_wide_digits(const uint8_t *text, size_t n, unsigned width, struct imei_reading *out) {
    uint8_t bytes[IMEI_DECISIVE];
    while (n && imei_is_blank(wide_character(text, width, n - 1))) n--;
    while (n && imei_is_blank(wide_character(text, width, 0))) text += width, n--;
    if (n > IMEI_DECISIVE) n = IMEI_DECISIVE;
    for (size_t i = 0; i < n; i++) {
        uint32_t c = wide_character(text, width, i);
        bytes[i] = c < 0x80 ? (uint8_t)c : 0xFF;
    }
    return imei_read(bytes, n, out);
}

/* The key and status of what was read. */
ALWAYS_INLINE uint8_t imei_key(uint8_t status, const struct imei_reading *read, uint8_t bare, uint64_t *key) {
    *key = IMEI_NO_KEY;
    return status == IMEI_OK ? value16_portable(read->digits, read->count, bare, key) : status;
}

/* The key and status of any n bytes. */
NOINLINE uint8_t imei_text(const uint8_t *text, size_t n, uint8_t bare, uint64_t *key) {
    struct imei_reading read;
    return imei_key(imei_digits(text, n, &read), &read, bare, key);
}

/* The same of n code points, of 1, 2 or 4 bytes each. */
NOINLINE uint8_t imei_wide_text(const uint8_t *text, size_t n, unsigned width, uint8_t bare, uint64_t *key) {
    struct imei_reading read;
    return imei_key(imei_wide_digits(text, n, width, &read), &read, bare, key);
}

/* What imei_text gives, with the form of a text that is an IMEI, and how many digits it has: 14, 15 or 16. */
static uint8_t imei_form(const uint8_t *text, size_t n, uint8_t bare, uint64_t *key, uint8_t *form,
                         unsigned *digits) {
    struct imei_reading read;
    uint8_t status = imei_key(imei_digits(text, n, &read), &read, bare, key);
    *form = read.form;
    *digits = read.count;
    return status;
}

/* What imei_text gives, at once for the common case: 14, 15 or 16 digits and nothing else. */
ALWAYS_INLINE uint8_t imei_scalar(const uint8_t *text, size_t n, uint8_t bare, uint64_t *key) {
    if (n - 14 <= 2) {
        uint64_t tac = load8(text) ^ BYTES_0;
        uint64_t rest = (load8(text + 6) ^ BYTES_0) >> 16; /* digits 9 to 14 */
        uint64_t last = load8(text + n - 8) ^ BYTES_0;
        if ((over9(tac) | over9(rest) | over9(last)) == 0) {
            unsigned digit = (unsigned)(last >> 56);
            *key = value8(tac) * 1000000 + value8(rest << 16);
            return n == 15 ? check_status(sum4(luhn8(tac) + luhn8(rest)) + digit, digit) : bare;
        }
    }
    return imei_text(text, n, bare, key);
}

#endif
