/* The loop of table.h over rows, compiled once for each SIMD level: no include guard.
 *
 * Expects LEVEL(name), LEVEL_TARGET, digits16 and value16 of that level and, where LEVEL_GROUPS is
 * defined, group8_avx2.
 */

/* Whether a row has this shape. */
LEVEL_TARGET ALWAYS_INLINE bool LEVEL(table_fits)(const struct table_shape *shape, const uint8_t *row) {
    const uint8_t *p = row + shape->from;
    if (!shape->bytes || LEVEL(digits16)(row + shape->identity) < (unsigned)shape->digits) return false;
#ifdef LEVEL_GROUPS
    __m256i over = _mm256_setzero_si256();
    for (int at = 0; at < TABLE_BYTES; at += 32) {
        __m256i x = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(p + at)),
                                     _mm256_loadu_si256((const __m256i *)(shape->zero + at)));
        __m256i most = _mm256_loadu_si256((const __m256i *)(shape->limit + at));
        over = _mm256_or_si256(over, _mm256_subs_epu8(x, most));
    }
    return _mm256_testz_si256(over, over);
#else
    uint8_t over = 0;
    for (int at = 0; at < TABLE_BYTES; at++) over |= (uint8_t)(p[at] ^ shape->zero[at]) > shape->limit[at];
    return !over;
#endif
}

#ifdef LEVEL_GROUPS
/* Whether eight rows have this shape, an identity at their start aside. */
LEVEL_TARGET ALWAYS_INLINE bool LEVEL(table_fit)(const struct table_shape *shape, const uint8_t *const row[8]) {
    __m256i over = _mm256_setzero_si256();
    for (int at = 0; at < shape->bytes - shape->from; at += 32) {
        const __m256i zero = _mm256_loadu_si256((const __m256i *)(shape->zero + at));
        const __m256i most = _mm256_loadu_si256((const __m256i *)(shape->limit + at));
        for (int k = 0; k < 8; k++) {
            __m256i x = _mm256_loadu_si256((const __m256i *)(row[k] + shape->from + at));
            over = _mm256_or_si256(over, _mm256_subs_epu8(_mm256_xor_si256(x, zero), most));
        }
    }
    return _mm256_testz_si256(over, over);
}
#endif

LEVEL_TARGET static size_t LEVEL(table)(struct table_shapes *shapes, const uint8_t *text, size_t size,
                                        struct scan_taking *taking, int32_t line, size_t capacity,
                                        uint64_t *keys, size_t *consumed) {
    struct scan_tally *tally = &taking->tally;
    const uint8_t *p = text, *end = text + size;
    const struct table_shape *shape = &shapes->known[shapes->current];
    size_t i = 0;
#ifdef LEVEL_GROUPS
    unsigned singles = 0; /* rows to be done alone, after one of another shape */
#endif
    while (shape->bytes && i < capacity && end - p >= TABLE_REACH) {
#ifdef LEVEL_GROUPS
        if (singles == 0 && capacity - i >= 8 && end - p >= 7 * shape->bytes + TABLE_REACH) {
            const uint8_t *rows[8], *cells[8];
            uint8_t codes[8];
            for (int k = 0; k < 8; k++) rows[k] = p + k * shape->bytes, cells[k] = rows[k] + shape->identity;
            if (LEVEL(table_fit)(shape, rows) && group8_avx2(cells, &shape->key, keys + i, codes)) {
                if (plain_count8(codes, taking, line + (int32_t)i)) {
                    tally->forms[shape->digits - 14] += 8;
                    plain_note8(cells, (unsigned)shape->digits, keys + i, tally, line + (int32_t)i);
                    shapes->seen.counts[shape->seen] += 8;
                    i += 8;
                    p += 8 * shape->bytes;
                    continue;
                }
            }
            singles = 8;
        }
#endif
        int32_t at = shapes->current, tried = 0;
        while (tried < TABLE_SHAPES && !LEVEL(table_fits)(&shapes->known[at], p)) {
            at = (at + 1) % TABLE_SHAPES;
            tried++;
        }
        if (tried == TABLE_SHAPES) break;
        shape = &shapes->known[at];
        uint8_t code = LEVEL(value16)(p + shape->identity, (unsigned)shape->digits, taking->bare, &keys[i]);
        if (!taking->accept[code]) break;
        plain_count(p + shape->identity, (unsigned)shape->digits, code, keys[i], tally, line + (int32_t)i);
        shapes->seen.counts[shape->seen]++;
        i++;
        p += shape->bytes;
#ifdef LEVEL_GROUPS
        singles -= singles > 0;
        if (tried && singles < SINGLES) singles = SINGLES;
#endif
        shapes->current = at;
    }
    *consumed = (size_t)(p - text);
    return i;
}
