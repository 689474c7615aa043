/* The loops over rows, compiled once for each SIMD level by digits_simd.h: no include guard.
 *
 * Expects LEVEL(name), LEVEL_TARGET, digits16, value16 and narrow16 of that level and, where
 * LEVEL_GROUPS is defined, group8_avx2.
 */

/* n digits and nothing else, 16 bytes readable: the key and its status. Anything else: the slow way. */
LEVEL_TARGET ALWAYS_INLINE uint8_t LEVEL(row)(const uint8_t *p, size_t n, uint8_t bare, uint64_t *key) {
    if (n - 14 <= 2 && LEVEL(digits16)(p) >= n) return LEVEL(value16)(p, (unsigned)n, bare, key);
    return imei_text(p, n, bare, key);
}

/* The same where only n bytes can be read. */
LEVEL_TARGET static inline uint8_t LEVEL(edge_row)(const uint8_t *p, size_t n, uint8_t bare, uint64_t *key) {
    uint8_t copy[16] = {0};
    if (n - 14 > 2) return imei_text(p, n, bare, key);
    memcpy(copy, p, n);
    return LEVEL(row)(copy, n, bare, key);
}

LEVEL_TARGET static void LEVEL(fixed)(const uint8_t *base, ptrdiff_t stride, size_t width, size_t n,
                                      uint8_t bare, uint64_t *keys, uint8_t *status) {
    const uint8_t *end = rows_end(base, stride, width, n);
    size_t i = 0;
#ifdef LEVEL_GROUPS
    row_shape shape = {.digits = 0, .bare = bare};
    unsigned digits = 0, singles = 0; /* the last row's shape; how many to do alone before the next group */
#endif
    while (i < n) {
        const uint8_t *p = row_at(base, stride, i);
#ifdef LEVEL_GROUPS
        if (digits && singles == 0 && n - i >= 8) {
            const uint8_t *last = row_at(p, stride, 7);
            if (shape.digits != digits) set_shape(&shape, digits, "\0\0", (unsigned)width - digits);
            if (end - p >= 16 && end - last >= 16) {
                const uint8_t *rows[8];
                for (int k = 0; k < 8; k++) rows[k] = row_at(p, stride, (size_t)k);
                if (group8_avx2(rows, &shape, keys + i, status + i)) {
                    i += 8;
                    continue;
                }
            }
            singles = 8;
        }
#endif
        size_t length = unpadded(p, width);
        if (end - p >= 16)
            status[i] = LEVEL(row)(p, length, bare, &keys[i]);
        else
            status[i] = LEVEL(edge_row)(p, length, bare, &keys[i]);
        i++;
#ifdef LEVEL_GROUPS
        singles -= singles > 0;
        if (width <= 16 && length - 14 <= 2 && length != digits)
            digits = (unsigned)length, singles = singles < SINGLES ? SINGLES : singles;
#endif
    }
}

LEVEL_TARGET static void LEVEL(ucs4)(const uint8_t *base, ptrdiff_t stride, size_t width, size_t n,
                                     uint8_t bare, uint64_t *keys, uint8_t *status) {
    const uint8_t *end = rows_end(base, stride, 4 * width, n);
    uint8_t narrow[64][16] = {{0}}; /* a block of rows as bytes */
    for (size_t i = 0; i < n;) {
        size_t rows = n - i < 64 ? n - i : 64;
        uint64_t other = 0; /* rows that are not so simple */
        for (size_t k = 0; k < rows; k++) {
            const uint8_t *p = row_at(base, stride, i + k);
            if (width > 16 || end - p < 64 || !LEVEL(narrow16)(p, narrow[k])) other |= UINT64_C(1) << k;
        }
        if (width <= 16) LEVEL(fixed)(narrow[0], 16, width, rows, bare, keys + i, status + i);
        for (size_t k = 0; k < rows; k++)
            if (other >> k & 1)
                status[i + k] = ucs4_text(row_at(base, stride, i + k), width, bare, &keys[i + k]);
        i += rows;
    }
}

LEVEL_TARGET static size_t LEVEL(spans)(const uint8_t *data, size_t size, const void *starts, const void *ends,
                                        int wide, size_t n, uint8_t bare, uint64_t *keys,
                                        uint8_t *status) {
    size_t i = 0;
#ifdef LEVEL_GROUPS
    row_shape shape = {.digits = 0, .bare = bare};
    unsigned digits = 0, singles = 0;
#endif
    while (i < n) {
#ifdef LEVEL_GROUPS
        if (digits && singles == 0 && n - i >= 8) {
            const uint8_t *rows[8];
            int fits = size >= 16;
            if (shape.digits != digits) set_shape(&shape, digits, "", 0);
            for (size_t k = 0; k < 8; k++) {
                int64_t start = offset_at(starts, wide, i + k), stop = offset_at(ends, wide, i + k);
                fits &= start >= 0 && start <= (int64_t)size - 16 && stop - start == digits;
                rows[k] = fits ? data + start : data;
            }
            if (fits && group8_avx2(rows, &shape, keys + i, status + i)) {
                i += 8;
                continue;
            }
            singles = 8;
        }
#endif
        int64_t start = offset_at(starts, wide, i), stop = offset_at(ends, wide, i);
        if (start < 0 || stop < start || stop > (int64_t)size) return i;
        size_t length = (size_t)(stop - start);
        if ((int64_t)size - start >= 16)
            status[i] = LEVEL(row)(data + start, length, bare, &keys[i]);
        else
            status[i] = LEVEL(edge_row)(data + start, length, bare, &keys[i]);
        i++;
#ifdef LEVEL_GROUPS
        singles -= singles > 0;
        if (length - 14 <= 2 && length != digits)
            digits = (unsigned)length, singles = singles < SINGLES ? SINGLES : singles;
#endif
    }
    return i;
}

LEVEL_TARGET static size_t LEVEL(views)(const uint8_t *views, const uint8_t *const *data, const int64_t *sizes,
                                        size_t buffers, size_t n, uint8_t bare, uint64_t *keys,
                                        uint8_t *status) {
    size_t i = 0;
#ifdef LEVEL_GROUPS
    row_shape shape = {.digits = 0, .bare = bare};
    unsigned digits = 0, singles = 0;
#endif
    while (i < n) {
#ifdef LEVEL_GROUPS
        if (digits && singles == 0 && n - i >= 8) {
            const uint8_t *rows[8];
            unsigned k = 0;
            if (shape.digits != digits) set_shape(&shape, digits, "", 0);
            for (; k < 8; k++) {
                const uint8_t *view = views + 16 * (i + k);
                int32_t buffer = int32_at(view + 8), start = int32_at(view + 12);
                if (int32_at(view) != (int32_t)digits || (uint32_t)buffer >= buffers || start < 0 ||
                    start > sizes[buffer] - 16)
                    break;
                rows[k] = data[buffer] + start;
            }
            if (k == 8 && group8_avx2(rows, &shape, keys + i, status + i)) {
                i += 8;
                continue;
            }
            singles = 8;
        }
#endif
        const uint8_t *view = views + 16 * i, *text = view + 4;
        int64_t length = int32_at(view), readable = VIEW_INLINE;
        if (length > VIEW_INLINE) {
            int32_t buffer = int32_at(view + 8), start = int32_at(view + 12);
            if ((uint32_t)buffer >= buffers || start < 0 || start + length > sizes[buffer]) return i;
            text = data[buffer] + start;
            readable = sizes[buffer] - start;
        }
        if (length < 0) return i;
        if (readable >= 16)
            status[i] = LEVEL(row)(text, (size_t)length, bare, &keys[i]);
        else
            status[i] = LEVEL(edge_row)(text, (size_t)length, bare, &keys[i]);
        i++;
#ifdef LEVEL_GROUPS
        singles -= singles > 0;
        if (length >= 14 && length <= 16 && length != digits)
            digits = (unsigned)length, singles = singles < SINGLES ? SINGLES : singles;
#endif
    }
    return i;
}

LEVEL_TARGET static size_t LEVEL(lines)(const uint8_t *text, size_t size, int final, size_t capacity,
                                        uint8_t bare, uint64_t *keys, uint8_t *status, size_t *consumed) {
    const uint8_t *p = text, *end = text + size;
    size_t i = 0;
#ifdef LEVEL_GROUPS
    row_shape shape = {.digits = 0, .bare = bare};
    unsigned digits = 0, ends = 0, singles = 0;
#endif
    while (i < capacity && p < end) {
#ifdef LEVEL_GROUPS
        /* Digits all through and then the line end: so that is where the line ends. */
        if (digits && singles == 0 && capacity - i >= 8 && end - p >= 8 * 18 + 16) {
            const uint8_t *rows[8];
            unsigned differ = 0;
            if (shape.digits != digits || shape.stride != digits + ends)
                set_shape(&shape, digits, ends == 1 ? "\n" : "\r\n", ends);
            for (unsigned k = 0; k < 8; k++) rows[k] = p + k * shape.stride;
            for (unsigned k = 0; k < 8 && shape.afters; k++) {
                differ |= rows[k][16] ^ shape.after[0];
                if (shape.afters == 2) differ |= rows[k][17] ^ shape.after[1];
            }
            if (!differ && group8_avx2(rows, &shape, keys + i, status + i)) {
                i += 8;
                p += 8 * shape.stride;
                continue;
            }
            singles = 8;
        }
#endif
        if (end - p >= 18) {
            unsigned count = LEVEL(digits16)(p);
            const uint8_t *stop = p + count;
            unsigned end_bytes = stop[0] == '\n' ? 1 : stop[0] == '\r' && stop[1] == '\n' ? 2 : 0;
            if (count >= 14 && end_bytes) {
                status[i] = LEVEL(value16)(p, count, bare, &keys[i]);
                i++;
                p = stop + end_bytes;
#ifdef LEVEL_GROUPS
                singles -= singles > 0;
                if (count != digits || end_bytes != ends)
                    digits = count, ends = end_bytes, singles = singles < SINGLES ? SINGLES : singles;
#endif
                continue;
            }
        }
        const uint8_t *stop = memchr(p, '\n', (size_t)(end - p));
        if (!stop && !final) break;
        const uint8_t *next = stop ? stop + 1 : end;
        size_t length = (size_t)((stop ? stop : end) - p);
        if (length && p[length - 1] == '\r') length--;
        status[i] = LEVEL(edge_row)(p, length, bare, &keys[i]);
        i++;
        p = next;
#ifdef LEVEL_GROUPS
        singles -= singles > 0;
#endif
    }
    *consumed = (size_t)(p - text);
    return i;
}
