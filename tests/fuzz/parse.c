/* Texts, columns of texts and integers, as IMEIs: against a reader that follows the standards. */
#include "read.h"

#include "../../imeiset/_native/c/write.h"

#define MOST_ROWS 600

struct row {
    const uint8_t *text;
    size_t size;
    uint64_t key;
    int status;
};

static void check_text(const struct row *row, uint8_t bare, unsigned odd) {
    uint8_t *text = copy_of(row->text, row->size), form;
    uint16_t *two = room(row->size * 2);
    uint32_t *four = room(row->size * 4);
    uint64_t key;
    unsigned digits;
    struct plain plain;
    CHECK(imei_text(text, row->size, bare, &key) == row->status && key == row->key);
    CHECK(imei_scalar(text, row->size, bare, &key) == row->status && key == row->key);
    CHECK(imei_form(text, row->size, bare, &key, &form, &digits) == row->status && key == row->key);
    if (plain_read(text, row->size, &plain) == IMEI_OK) {
        struct imei_reading read;
        CHECK(form == plain.form && digits == strlen(plain.digits));
        CHECK(imei_digits(text, row->size, &read) == IMEI_OK && memcmp(read.digits, plain.digits, digits) == 0);
    }
    for (size_t i = 0; i < row->size; i++) { /* what is not ASCII is some other character */
        two[i] = (uint16_t)(text[i] < 128 ? text[i] : text[i] << (odd & 7));
        four[i] = text[i] < 128 ? text[i] : (uint32_t)text[i] << (odd % 24);
    }
    CHECK(imei_wide_text(text, row->size, 1, bare, &key) == row->status && key == row->key);
    CHECK(imei_wide_text((const uint8_t *)two, row->size, 2, bare, &key) == row->status && key == row->key);
    CHECK(imei_wide_text((const uint8_t *)four, row->size, 4, bare, &key) == row->status && key == row->key);
    free(text);
    free(two);
    free(four);
}

static void check_rows(const struct row *rows, size_t n, const uint64_t *keys, const uint8_t *status) {
    for (size_t i = 0; i < n; i++) CHECK(keys[i] == rows[i].key && status[i] == rows[i].status);
}

/* Rows of a fixed width, each after the other or before it, with bytes between them. */
static void check_fixed(const struct row *rows, size_t n, size_t width, size_t between, int backwards, uint8_t bare,
                        uint64_t *keys, uint8_t *status) {
    struct row *cut = room(n * sizeof *cut);
    for (size_t unit = 1; unit <= 4; unit += 3) {
        size_t stride = width * unit + between, bytes = n ? stride * (n - 1) + width * unit : 0;
        uint8_t *array = room(bytes);
        const uint8_t *base = array + (backwards && n ? stride * (n - 1) : 0);
        memset(array, '7', bytes);
        for (size_t i = 0; i < n; i++) {
            uint8_t *to = array + stride * (backwards ? n - 1 - i : i);
            size_t size = rows[i].size < width ? rows[i].size : width;
            memset(to, 0, width * unit);
            for (size_t at = 0; at < size; at++) {
                uint32_t c = rows[i].text[at];
                if (unit == 4 && c > 127) c <<= between % 24;
                memcpy(to + at * unit, &c, unit);
            }
            while (size && rows[i].text[size - 1] == 0) size--;
            cut[i].status = plain_text(rows[i].text, size, bare, &cut[i].key);
        }
        for (int level = 0; level <= simd_supported(); level++) {
            const digit_kernels *k = &digit_levels[level];
            (unit == 1 ? k->fixed : k->ucs4)(base, backwards ? -(ptrdiff_t)stride : (ptrdiff_t)stride, width, n, bare, keys, status);
            check_rows(cut, n, keys, status);
        }
        free(array);
    }
    free(cut);
}

/* Rows by where they start and end; the one at `bad`, if there is one, lies outside. */
static void check_spans(const struct row *rows, size_t n, const uint8_t *text, size_t size, size_t bad, unsigned how,
                        uint8_t bare, uint64_t *keys, uint8_t *status) {
    int32_t *narrow = room(2 * n * 4);
    int64_t *wide = room(2 * n * 8);
    for (size_t i = 0; i < n; i++) {
        int64_t start = rows[i].text - text, end = start + (int64_t)rows[i].size;
        if (i == bad) start = how & 1 ? -1 : start, end = how & 2 ? (int64_t)size + 1 : how & 1 ? end : start - 1;
        narrow[i] = (int32_t)start, narrow[n + i] = (int32_t)end;
        wide[i] = start, wide[n + i] = end;
    }
    size_t done = bad < n ? bad : n;
    for (int level = 0; level <= simd_supported(); level++) {
        const digit_kernels *k = &digit_levels[level];
        CHECK(k->spans(text, size, narrow, narrow + n, 0, n, bare, keys, status) == done);
        check_rows(rows, done, keys, status);
        CHECK(k->spans(text, size, wide, wide + n, 1, n, bare, keys, status) == done);
        check_rows(rows, done, keys, status);
    }
    free(narrow);
    free(wide);
}

/* The same as Arrow's views, into one of two buffers. */
static void check_views(const struct row *rows, size_t n, const uint8_t *text, size_t size, size_t bad, unsigned how,
                        uint8_t bare, uint64_t *keys, uint8_t *status) {
    uint8_t *views = room(16 * n), *other = copy_of(text, size);
    const uint8_t *data[2] = {text, other};
    const int64_t sizes[2] = {(int64_t)size, (int64_t)size};
    memset(views, 0, 16 * n);
    size_t done = bad < n ? bad : n;
    for (size_t i = 0; i < n; i++) {
        int32_t length = (int32_t)rows[i].size, buffer = (int32_t)(i / 5 % 2), start = (int32_t)(rows[i].text - text);
        if (i == bad) {
            if (how % 4 == 0) length = -1;
            if (how % 4 == 1) length = 15, buffer = how & 4 ? 2 : -1;
            if (how % 4 == 2) length = 15, start = how & 4 ? (int32_t)size - 14 : -1;
            if (how % 4 == 3) length = INT32_MAX, start = INT32_MAX;
        }
        memcpy(views + 16 * i, &length, 4);
        if (length >= 0 && length <= 12) {
            memcpy(views + 16 * i + 4, rows[i].text, (size_t)length);
        } else {
            memcpy(views + 16 * i + 8, &buffer, 4);
            memcpy(views + 16 * i + 12, &start, 4);
        }
    }
    for (int level = 0; level <= simd_supported(); level++) {
        CHECK(digit_levels[level].views(views, data, sizes, 2, n, bare, keys, status) == done);
        check_rows(rows, done, keys, status);
    }
    free(views);
    free(other);
}

/* Lines ended by LF or CRLF. */
static void check_lines(const uint8_t *text, size_t size, int final, size_t capacity, uint8_t bare, uint64_t *keys,
                        uint8_t *status) {
    struct row *lines = room(MOST_ROWS * sizeof *lines);
    size_t n = 0, at = 0, consumed;
    while (at < size && n < capacity) {
        size_t end = at;
        while (end < size && text[end] != '\n') end++;
        if (end == size && !final) break;
        size_t length = end - at;
        if (length && text[end - 1] == '\r') length--;
        lines[n].status = plain_text(text + at, length, bare, &lines[n].key);
        n++;
        at = end < size ? end + 1 : size;
    }
    for (int level = 0; level <= simd_supported(); level++) {
        CHECK(digit_levels[level].lines(text, size, final, capacity, bare, keys, status, &consumed) == n);
        CHECK(consumed == at);
        check_rows(lines, n, keys, status);
    }
    free(lines);
}

/* ---- keys ---- */

static void check_policy(const struct row *rows, size_t n, uint64_t *keys, uint8_t *status) {
    for (int policy = 0; policy < 3; policy++) {
        size_t malformed = 0;
        for (size_t i = 0; i < n; i++) keys[i] = rows[i].key, status[i] = (uint8_t)rows[i].status;
        size_t got = imei_apply_policy(policy, n, keys, status);
        for (size_t i = 0; i < n; i++) {
            int code = rows[i].status, soft = code == IMEI_CHECK_DIGIT || code == IMEI_CHECK_DIGIT_SPARE || code == IMEI_NO_CHECK_DIGIT;
            int fine = code == IMEI_OK || (soft && (policy == 0 || (policy == 1 && code != IMEI_CHECK_DIGIT)));
            malformed += !fine;
            CHECK(status[i] == (fine ? IMEI_OK : code) && keys[i] == (fine ? rows[i].key : UINT64_MAX));
        }
        CHECK(got == malformed);
    }
}

static void check_integer(uint64_t value, uint8_t bare) {
    char digits[32];
    uint64_t key, want = UINT64_MAX;
    for (int count = 14; count <= 15; count++) {
        int status = value == UINT64_MAX ? IMEI_MISSING : IMEI_OUT_OF_RANGE;
        snprintf(digits, sizeof digits, "%0*llu", count, (unsigned long long)value);
        if (strlen(digits) == (size_t)count) status = plain_status(digits, bare), want = plain_key(digits);
        else if (count == 14 && strlen(digits) == 15) status = IMEI_FIFTEEN_DIGITS;
        CHECK(imei_integer(value, count, bare, &key) == status && key == want);
        want = UINT64_MAX;
    }
}

static void check_written(const uint64_t *keys, size_t n, size_t before, size_t after) {
    char first[40], last[40], want[20], got[20];
    size_t size = before + 15 + after, done = 0;
    char *rows = room(n * size);
    uint8_t *tacs = room(n * 8);
    memset(first, '<', sizeof first);
    memset(last, '>', sizeof last);
    while (done < n && keys[done] < IMEI_KEYS) done++;
    CHECK(write_rows(keys, n, first, before, last, after, rows) == done);
    for (size_t i = 0; i < done; i++) {
        snprintf(want, sizeof want, "%014llu", (unsigned long long)keys[i]);
        snprintf(want + 14, sizeof want - 14, "%u", plain_luhn(want));
        CHECK(memcmp(rows + i * size, first, before) == 0 && memcmp(rows + i * size + before, want, 15) == 0);
        CHECK(memcmp(rows + i * size + before + 15, last, after) == 0);
        imei_write(keys[i], got);
        CHECK(memcmp(got, want, 15) == 0 && imei_check_digit(keys[i]) == (unsigned)(want[14] - '0'));
    }
    imei_write_tacs(n, keys, tacs);
    for (size_t i = 0; i < n; i++) {
        memset(want, 0, sizeof want);
        if (keys[i] < IMEI_KEYS) snprintf(want, sizeof want, "%08llu", (unsigned long long)(keys[i] / 1000000));
        CHECK(memcmp(tacs + 8 * i, want, 8) == 0);
    }
    CHECK(imei_all_keys(keys, n) == (done == n));
    uint64_t *copy = room(n * 8);
    CHECK(imei_copy_keys(keys, n, copy) == (done == n) && memcmp(copy, keys, n * 8) == 0);
    free(copy);
    free(rows);
    free(tacs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};
    struct row rows[MOST_ROWS];
    unsigned mode = (unsigned)take_number(&in, 1), odd = (unsigned)take_number(&in, 1);
    size_t width = take_number(&in, 1) % 24 + 1, bad = take_number(&in, 1), n = 0;
    uint8_t bare = mode & 1 ? IMEI_OK : IMEI_NO_CHECK_DIGIT, *text = copy_of(in.at, in.left);
    uint64_t *keys = room(MOST_ROWS * 8);
    uint8_t *status = room(MOST_ROWS);
    size = in.left;
    write_init();
    for (size_t at = 0; at < size && n < MOST_ROWS; n++) { /* parted by one byte or another */
        size_t end = at;
        while (end < size && text[end] != '\n' && !((mode & 2) && text[end] == ',')) end++;
        rows[n].text = text + at;
        rows[n].size = end - at;
        rows[n].status = plain_text(text + at, end - at, bare, &rows[n].key);
        check_text(&rows[n], bare, odd);
        at = end + 1;
    }
    if (bad >= n || !(mode & 4)) bad = SIZE_MAX;
    check_fixed(rows, n, width, odd % 9, mode & 8, bare, keys, status);
    check_spans(rows, n, text, size, bad, odd % 4 ? odd % 4 : 2, bare, keys, status);
    check_views(rows, n, text, size, bad, odd, bare, keys, status);
    check_lines(text, size, mode & 16, mode & 32 ? odd % MOST_ROWS + 1 : MOST_ROWS, bare, keys, status);
    check_policy(rows, n, keys, status);
    for (size_t i = 0; i < n; i++) keys[i] = rows[i].status == IMEI_OK || (mode & 64) ? rows[i].key : i * 12345678901;
    check_written(keys, n, odd % 33, width);
    for (size_t i = 0; i + 8 <= size && i < 800; i += 8) {
        uint64_t value;
        memcpy(&value, text + i, 8);
        check_integer(value >> (text[i] % 64), bare);
        check_integer(value % IMEI_FIFTEEN, bare);
        check_integer(UINT64_MAX, bare);
    }
    free(keys);
    free(status);
    free(text);
    return 0;
}
