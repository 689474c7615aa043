/* The loop of plain.h over lines, compiled once for each SIMD level: no include guard.
 *
 * Expects LEVEL(name), LEVEL_TARGET, digits16 and value16 of that level and, where LEVEL_GROUPS is
 * defined, group8_avx2.
 */

LEVEL_TARGET static size_t LEVEL(plain)(const uint8_t *text, size_t size, struct scan_taking *taking,
                                        int32_t line, size_t capacity, uint64_t *keys, size_t *consumed) {
    struct scan_tally *tally = &taking->tally;
    const uint8_t *p = text, *end = text + size;
    size_t i = 0;
#ifdef LEVEL_GROUPS
    row_shape shape = {.digits = 0, .bare = taking->bare};
    unsigned digits = 0, ends = 0, singles = 0; /* the last line's shape; how many to do alone */
    uint8_t codes[8];
#endif
    while (i < capacity && end - p >= 18) {
#ifdef LEVEL_GROUPS
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
            if (!differ && group8_avx2(rows, &shape, keys + i, codes)) {
                if (plain_count8(codes, taking, line + (int32_t)i)) {
                    tally->forms[digits - 14] += 8;
                    plain_note8(rows, digits, keys + i, tally, line + (int32_t)i);
                    i += 8;
                    p += 8 * shape.stride;
                    continue;
                }
            }
            singles = 8;
        }
#endif
        unsigned count = LEVEL(digits16)(p);
        const uint8_t *stop = p + count;
        unsigned end_bytes = stop[0] == '\n' ? 1 : stop[0] == '\r' && stop[1] == '\n' ? 2 : 0;
        if (count < 14 || !end_bytes || count == taking->restored) break;
        uint8_t code = LEVEL(value16)(p, count, taking->bare, &keys[i]);
        if (!taking->accept[code]) break;
        plain_count(p, count, code, keys[i], tally, line + (int32_t)i);
        i++;
        p = stop + end_bytes;
#ifdef LEVEL_GROUPS
        singles -= singles > 0;
        if (count != digits || end_bytes != ends)
            digits = count, ends = end_bytes, singles = singles < SINGLES ? SINGLES : singles;
#endif
    }
    *consumed = (size_t)(p - text);
    return i;
}
