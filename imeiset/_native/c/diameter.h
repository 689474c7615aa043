/* Plain ME-Identity-Check requests among received bytes, and their answers (RFC 6733, 3GPP TS 29.272).
 *
 * A request is plain where it gets a status and no error, and has nothing that is unusual. Of all others
 * serve/diameter/s13.py decides, which is also what tests compare this with. Whatever lengths say, nothing is
 * read beyond the end of what holds it. */
#ifndef IMEISET_DIAMETER_H
#define IMEISET_DIAMETER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DIAMETER_HEADER 20
#define CHECK_PROXIES 8 /* that a plain request has at most */

#define DIAMETER_OF_3GPP(code) ((uint64_t)10415 << 32 | (code))

struct avp_span { /* an AVP among received bytes; no size: there is none */
    uint32_t at, size;
};

struct identity_check {
    uint32_t at; /* its message */
    uint32_t proxies;
    struct avp_span session, priority, proxy[CHECK_PROXIES];
};

struct avp {
    uint64_t name; /* vendor and code */
    int mandatory;
    size_t size, data, data_size;
};

static inline uint32_t diameter_word(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static inline size_t diameter_padded(size_t size) { return (size + 3) & ~(size_t)3; }

/* Whether there is an AVP in bytes[at:end]. */
static inline int avp_read(const uint8_t *bytes, size_t at, size_t end, struct avp *avp) {
    if (end - at < 8) return 0;
    const uint32_t flags_size = diameter_word(bytes + at + 4);
    const size_t head = flags_size >> 31 ? 12 : 8;
    avp->size = flags_size & 0xffffff;
    if (avp->size < head || avp->size > end - at) return 0;
    avp->name = diameter_word(bytes + at);
    if (head == 12) avp->name |= (uint64_t)diameter_word(bytes + at + 8) << 32;
    avp->mandatory = flags_size >> 30 & 1;
    avp->data = at + head;
    avp->data_size = avp->size - head;
    return 1;
}

/* Whether a text is so many digits; the number of the first `counted` of them, behind those of `number`. */
static inline int diameter_digits(const uint8_t *text, size_t n, size_t least, size_t most, size_t counted,
                                  uint64_t *number) {
    if (n < least || n > most) return 0;
    for (size_t i = 0; i < n; i++) {
        const uint8_t digit = (uint8_t)(text[i] - '0');
        if (digit > 9) return 0;
        if (i < counted) *number = *number * 10 + digit;
    }
    return 1;
}

/* The key in the AVPs of Terminal-Information; 0 where they are not plain. */
static inline int terminal_read(const uint8_t *bytes, size_t at, size_t end, uint64_t *key) {
    struct avp avp;
    int known = 0;
    for (; at < end; at += diameter_padded(avp.size)) {
        if (!avp_read(bytes, at, end, &avp)) return 0;
        switch (avp.name) {
        case DIAMETER_OF_3GPP(1402): /* IMEI */
            *key = 0;
            if (known++ || !diameter_digits(bytes + avp.data, avp.data_size, 14, 16, 14, key)) return 0;
            break;
        case DIAMETER_OF_3GPP(1403): /* Software-Version */
        case DIAMETER_OF_3GPP(1471): /* 3GPP2-MEID */
            break;
        default:
            return 0;
        }
    }
    return known;
}

/* The size of a plain request in bytes[at:end], of at most `longest` bytes; 0 where there is none, or not all
 * of it. key and imsi are then those of the check; no IMSI: 0. */
static inline size_t identity_check_read(const uint8_t *bytes, size_t at, size_t end, size_t longest,
                                         struct identity_check *check, uint64_t *key, uint64_t *imsi) {
    if (end - at < DIAMETER_HEADER) return 0;
    const uint32_t version_size = diameter_word(bytes + at);
    const size_t size = version_size & 0xffffff;
    if (version_size >> 24 != 1 || size < DIAMETER_HEADER || size & 3) return 0;
    if (size > longest || size > end - at) return 0;
    if ((bytes[at + 4] & 0xa0) != 0x80) return 0; /* R, and not E */
    if ((diameter_word(bytes + at + 4) & 0xffffff) != 324) return 0;
    if (diameter_word(bytes + at + 8) != 16777252) return 0;

    struct avp avp;
    int has_terminal = 0, has_user = 0;
    memset(check, 0, sizeof *check);
    check->at = (uint32_t)at;
    *imsi = 0;
    end = at + size;
    for (at += DIAMETER_HEADER; at < end; at += diameter_padded(avp.size)) {
        if (!avp_read(bytes, at, end, &avp)) return 0;
        const struct avp_span span = {(uint32_t)at, (uint32_t)avp.size};
        switch (avp.name) {
        case 263: /* Session-Id */
            if (check->session.size) return 0;
            check->session = span;
            break;
        case 301: /* DRMP */
            if (check->priority.size) return 0;
            check->priority = span;
            break;
        case 284: /* Proxy-Info */
            if (check->proxies == CHECK_PROXIES) return 0;
            check->proxy[check->proxies++] = span;
            break;
        case 1: /* User-Name */
            *imsi = 1;
            if (has_user++ || !diameter_digits(bytes + avp.data, avp.data_size, 5, 15, 15, imsi)) return 0;
            break;
        case DIAMETER_OF_3GPP(1401): /* Terminal-Information */
            if (has_terminal++ || !terminal_read(bytes, avp.data, avp.data + avp.data_size, key)) return 0;
            break;
        case 258: /* Auth-Application-Id */
        case 260: /* Vendor-Specific-Application-Id */
        case 264: /* Origin-Host */
        case 277: /* Auth-Session-State */
        case 278: /* Origin-State-Id */
        case 282: /* Route-Record */
        case 283: /* Destination-Realm */
        case 293: /* Destination-Host */
        case 296: /* Origin-Realm */
            break;
        case DIAMETER_OF_3GPP(1402): /* an IMEI that is not where it belongs */
            return 0;
        default:
            if (avp.mandatory) return 0;
        }
    }
    return has_terminal && check->session.size ? size : 0;
}

/* The size of the answer; said: of what it has beside what it copies. */
static inline size_t identity_check_size(const struct identity_check *check, size_t said) {
    size_t size = DIAMETER_HEADER + said;
    size += diameter_padded(check->session.size) + diameter_padded(check->priority.size);
    for (uint32_t i = 0; i < check->proxies; i++) size += diameter_padded(check->proxy[i].size);
    return size;
}

static inline uint8_t *avp_copy(uint8_t *out, const uint8_t *bytes, struct avp_span span) {
    memcpy(out, bytes + span.at, span.size);
    memset(out + span.size, 0, diameter_padded(span.size) - span.size);
    return out + diameter_padded(span.size);
}

/* Write an answer, of identity_check_size. Returns its end. */
static inline uint8_t *identity_check_write(const uint8_t *bytes, const struct identity_check *check,
                                            const uint8_t *said, size_t said_size, uint8_t *out) {
    const size_t size = identity_check_size(check, said_size);
    const uint8_t *request = bytes + check->at;
    memcpy(out, request, DIAMETER_HEADER);
    out[1] = (uint8_t)(size >> 16), out[2] = (uint8_t)(size >> 8), out[3] = (uint8_t)size;
    out[4] = request[4] & 0x40; /* P */
    out = avp_copy(out + DIAMETER_HEADER, bytes, check->session);
    out = avp_copy(out, bytes, check->priority);
    memcpy(out, said, said_size);
    out += said_size;
    for (uint32_t i = 0; i < check->proxies; i++) out = avp_copy(out, bytes, check->proxy[i]);
    return out;
}

#endif
