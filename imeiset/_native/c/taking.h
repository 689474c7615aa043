/* Identities in cells: which are taken, as what, and what is counted of them.
 *
 * What looks wrong and is taken all the same is noted with its first lines. Kernels note it where they have
 * the status or the number of digits at hand.
 */
#ifndef IMEISET_TAKING_H
#define IMEISET_TAKING_H

#include "scan.h"

#define NOTED_LINES 5 /* report.FIRST_LINES */

/* In the order of rows.NOTED. */
enum noted {
    NOTED_LOST_ZERO, /* 14 digits that are an IMEI with a zero before them */
    NOTED_WRONG,     /* 15 digits with a wrong check digit that is not 0, or that got a zero back */
    NOTED_ZEROS,     /* placeholders */
    NOTED_EQUAL,
    NOTED_TEST_TAC,
    NOTED_KINDS
};

struct noted_rows {
    int64_t count;
    int32_t lines[NOTED_LINES]; /* of the first, in the chunk */
};

struct scan_tally {
    int64_t status[256];            /* identities by parse status, and rows by flaw */
    int64_t forms[3];               /* taken, of 14, 15 and 16 digits */
    int64_t written[WRITTEN_FORMS]; /* taken, by form */
    struct noted_rows noted[NOTED_KINDS];
};

struct scan_taking {
    const uint8_t *accept; /* for each status or flaw, whether such an identity is taken */
    uint8_t bare;          /* the status of 14 and 16 digits */
    uint8_t restored;      /* digits of numbers that lost a zero, and get it back: 14 or 15; 0: none */
    bool tbcd;             /* cells are TBCD in hexadecimal */
    uint8_t delimiter;     /* of the text */
    struct scan_tally tally;
};

static inline void note(struct scan_tally *tally, enum noted kind, int32_t line) {
    struct noted_rows *rows = &tally->noted[kind];
    if (rows->count < NOTED_LINES) rows->lines[rows->count] = line;
    rows->count++;
}

/* ---- lost zeros ---- */

/* Whether 14 digits end in the check digit of an IMEI that begins with a zero and them. */
ALWAYS_INLINE bool lost_zero(const uint8_t *digits) {
    uint64_t first = (load8(digits) ^ BYTES_0) << 8, last = (load8(digits + 6) ^ BYTES_0) >> 8;
    return sum4(luhn8(first) + luhn8(last)) % 10 == 0;
}

/* ---- placeholders ---- */

#define ELEVENS UINT64_C(11111111111111)         /* fourteen digits 1 */
#define LOW_TACS UINT64_C(920000000000)          /* all test TACs are below */
#define HIGH_ELEVENS ((uint32_t)(ELEVENS >> 32)) /* the high word of d times ELEVENS is d times this */
#define INVERSE_HIGH UINT32_C(0xAFF1C013)        /* times HIGH_ELEVENS, it is 1 */

/* Which a key is, NOTED_KINDS for none. */
static inline enum noted placeholder_of(uint64_t key) {
    const uint64_t six = key / 100000000, four = six / 100;
    if (key == 0) return NOTED_ZEROS;
    if (key % ELEVENS == 0) return NOTED_EQUAL;
    const bool test = (six >= 1001 && six <= 1017) || four == 44 || four == 86 || four == 91;
    return test ? NOTED_TEST_TAC : NOTED_KINDS;
}

/* Whether a key may be one: its high word settles nearly all. */
ALWAYS_INLINE uint32_t may_be_placeholder(uint64_t key) {
    const uint32_t high = (uint32_t)(key >> 32);
    return (uint32_t)(high * INVERSE_HIGH <= 9) | (uint32_t)(high <= (uint32_t)(LOW_TACS >> 32));
}

NOINLINE void note_placeholder(struct scan_tally *tally, uint64_t key, int32_t line) {
    const enum noted kind = placeholder_of(key);
    if (kind != NOTED_KINDS) note(tally, kind, line);
}

/* ---- one identity ---- */

/* Whether a cell is 14 to 16 digits and nothing else. */
ALWAYS_INLINE bool take_plain(const uint8_t *cell, int32_t length) {
    return (uint32_t)(length - 14) <= 2 &&
           !(over9(load8(cell) ^ BYTES_0) | over9(load8(cell + 6) ^ BYTES_0) | over9(load8(cell + length - 8) ^ BYTES_0));
}

/* The same as imei_form of TBCD in hexadecimal, of two digits the second first: 14 or 16, fillers included. */
static uint8_t take_tbcd(const uint8_t *cell, size_t length, uint8_t bare, uint64_t *key, uint8_t *form,
                         unsigned *digits) {
    uint8_t text[16];
    *key = IMEI_NO_KEY;
    *form = WRITTEN_DIGITS;
    *digits = 0;
    if (length == 0) return IMEI_EMPTY;
    for (size_t i = 0; i < length; i++)
        if (!imei_is_digit(cell[i]) && (uint8_t)((cell[i] & 0xDF) - 'A') > 'F' - 'A') return IMEI_NOT_DIGIT;
    if (length > 16) return IMEI_TOO_LONG;
    if (length != 14 && length != 16) return IMEI_TOO_SHORT;
    for (size_t i = 0; i < length; i++) text[i ^ 1] = cell[i];
    uint8_t status = imei_form(text, length, bare, key, form, digits);
    *form = WRITTEN_DIGITS;
    return status;
}

/* The key and status of a cell. */
ALWAYS_INLINE uint8_t take_parse(const struct scan_taking *taking, const uint8_t *cell, int32_t length,
                                 uint64_t *key) {
    uint8_t form;
    unsigned digits;
    if (UNLIKELY(taking->tbcd)) return take_tbcd(cell, (size_t)length, taking->bare, key, &form, &digits);
    return imei_scalar(cell, (size_t)length, taking->bare, key);
}

#define TAKE_ESCAPED 64 /* bytes of the longest such cell */

/* A cell ="..." that is quoted, without the quotes that double its own; 0 if it is another. Cells of scan_rows keep
 * what is doubled, and nothing else that an identity may have is. */
static int32_t take_unescaped(const struct scan_taking *taking, const uint8_t *text, int32_t start, int32_t length,
                              uint8_t *out) {
    const uint8_t *cell = text + start;
    int32_t count = 0;
    if (length < 5 || length > TAKE_ESCAPED || memcmp(cell, "=\"\"", 3) != 0) return 0;
    do start--;
    while (start >= 0 && scan_is_blank(text[start]) && text[start] != taking->delimiter);
    if (start < 0 || text[start] != '"') return 0;
    for (int32_t i = 0; i < length; i++) {
        i += cell[i] == '"';
        if (i < length) out[count++] = cell[i];
    }
    return count;
}

/* Put back the zero of a number of `restored` digits. False if it is none that lost one. */
static inline bool take_restored(struct scan_taking *taking, const uint8_t *cell, uint64_t *key, uint8_t *code) {
    *key /= 10; /* what was digit 14 is now digit 15 */
    const bool right = taking->restored == 15 || lost_zero(cell);
    *code = taking->restored == 15 ? taking->bare : right ? IMEI_OK : IMEI_CHECK_DIGIT;
    return right;
}

/* Count a cell of this key and status, and note what is to be named; whether it is taken. Both change where a
 * zero is put back. */
static inline bool take(struct scan_taking *taking, const uint8_t *text, int32_t start, int32_t length,
                        int32_t line, uint64_t *key, uint8_t *code) {
    const uint8_t *cell = text + start;
    struct scan_tally *tally = &taking->tally;
    const bool plain = !taking->tbcd && take_plain(cell, length), restored = plain && length == taking->restored;
    uint8_t form = WRITTEN_DIGITS, unescaped[TAKE_ESCAPED];
    unsigned digits = (unsigned)length;
    const bool refused = restored && !take_restored(taking, cell, key, code);
    if (UNLIKELY(!plain && *code == IMEI_NOT_DIGIT && !taking->tbcd)) {
        int32_t count = take_unescaped(taking, text, start, length, unescaped);
        if (count) {
            cell = unescaped, length = count;
            *code = imei_text(cell, (size_t)length, taking->bare, key);
        }
    }
    tally->status[*code]++;
    if (refused || !taking->accept[*code]) return false;
    if (restored) {
        digits++;
        note(tally, length == 14 ? NOTED_LOST_ZERO : NOTED_WRONG, line);
    } else if (plain) {
        if (length == 14 && lost_zero(cell)) note(tally, NOTED_LOST_ZERO, line);
        if (*code == IMEI_CHECK_DIGIT) note(tally, NOTED_WRONG, line);
    } else {
        uint64_t same;
        (taking->tbcd ? take_tbcd : imei_form)(cell, (size_t)length, taking->bare, &same, &form, &digits);
    }
    tally->forms[digits - 14]++;
    tally->written[form]++;
    if (UNLIKELY(may_be_placeholder(*key))) note_placeholder(tally, *key, line);
    return true;
}

/* ---- those of a batch ---- */

/* Cells that are not taken: row, place among the identities, status or flaw. */
struct scan_refused {
    int32_t *rows;
    uint8_t *places, *codes;
    int32_t count;
};

static inline void refuse(struct scan_refused *refused, int32_t row, int32_t place, uint8_t code) {
    refused->rows[refused->count] = row;
    refused->places[refused->count] = (uint8_t)place;
    refused->codes[refused->count++] = code;
}

/* Of the rows of a batch, take the identities in some of the wanted cells, whose keys and statuses are given,
 * `stride` apart. taken: their keys, and owners: their rows, in order; room for one of each cell. A blank cell is
 * none, unless all of its row are. Returns how many. */
static int32_t take_rows(struct scan_taking *taking, const uint8_t *text, const struct scan_row *rows,
                         int32_t count, const int32_t *const *starts, const int32_t *const *ends, int32_t places,
                         uint64_t *keys, uint8_t *status, int32_t stride, uint64_t *taken, int32_t *owners,
                         struct scan_refused *refused) {
    int32_t n = 0;
    for (int32_t i = 0; i < count; i++) {
        bool blank = true;
        if (rows[i].flaw != SCAN_FINE) {
            taking->tally.status[(uint8_t)rows[i].flaw]++;
            refuse(refused, i, 0, (uint8_t)rows[i].flaw);
            continue;
        }
        for (int32_t place = 0; place < places; place++) {
            const int64_t at = i + (int64_t)stride * place;
            const int32_t start = starts[place][i], length = ends[place][i] - start;
            if (status[at] == IMEI_EMPTY) continue;
            blank = false;
            if (take(taking, text, start, length, rows[i].line, &keys[at], &status[at])) {
                owners[n] = i;
                taken[n++] = keys[at];
            } else {
                refuse(refused, i, place, status[at]);
            }
        }
        if (blank) {
            taking->tally.status[IMEI_EMPTY]++;
            refuse(refused, i, 0, IMEI_EMPTY);
        }
    }
    return n;
}

#endif
