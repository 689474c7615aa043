/* Plain ME-Identity-Check requests and their answers: against a reader that takes AVPs apart one by one. */
#include "fuzz.h"

#include "../../imeiset/_native/c/diameter.h"

#define MOST_AVPS 64

struct one {
    uint32_t code, vendor;
    int mandatory;
    size_t at, size, data, data_size;
};

static uint32_t big(const uint8_t *bytes, int n) {
    uint32_t number = 0;
    for (int i = 0; i < n; i++) number = number * 256 + bytes[i];
    return number;
}

/* The AVPs from `at` to `end`; -1 where they are not such, or too many to be told here. */
static int take_apart(const uint8_t *bytes, size_t at, size_t end, struct one *avps) {
    int n = 0;
    while (at < end) {
        struct one *avp = &avps[n];
        if (end - at < 8) return -1;
        const int has_vendor = bytes[at + 4] >= 128;
        avp->code = big(bytes + at, 4), avp->at = at, avp->size = big(bytes + at + 5, 3);
        avp->mandatory = bytes[at + 4] / 64 % 2;
        if (avp->size < (has_vendor ? 12u : 8u) || avp->size > end - at) return -1;
        avp->vendor = has_vendor ? big(bytes + at + 8, 4) : 0;
        avp->data = at + (has_vendor ? 12 : 8), avp->data_size = avp->size - (has_vendor ? 12 : 8);
        at += (avp->size + 3) / 4 * 4;
        if (++n == MOST_AVPS) return -2;
    }
    return n;
}

static int number_of(const uint8_t *text, size_t n, size_t least, size_t most, size_t counted, uint64_t *number) {
    if (n < least || n > most) return 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') return 0;
        if (i < counted) *number = *number * 10 + text[i] - '0';
    }
    return 1;
}

/* Whether a whole message is plain, and its key and IMSI; -1 where this cannot tell. */
static int plain_check(const uint8_t *bytes, size_t at, size_t size, uint64_t *key, uint64_t *imsi) {
    static const uint32_t ignored[] = {258, 260, 264, 277, 278, 282, 283, 293, 296};
    struct one avps[MOST_AVPS], inner[MOST_AVPS];
    int sessions = 0, priorities = 0, proxies = 0, users = 0, terminals = 0;
    int n = take_apart(bytes, at + 20, at + size, avps);
    *imsi = 0;
    if (n == -2) return -1;
    for (int i = 0; i < n; i++) {
        struct one *avp = &avps[i];
        int known = 0;
        if (avp->vendor == 10415 && avp->code == 1401) {
            int m = take_apart(bytes, avp->data, avp->data + avp->data_size, inner), imeis = 0;
            if (m == -2) return -1;
            for (int j = 0; j < m; j++) {
                if (inner[j].vendor != 10415) return 0;
                if (inner[j].code == 1403 || inner[j].code == 1471) continue;
                *key = 0;
                if (inner[j].code != 1402 || imeis++) return 0;
                if (!number_of(bytes + inner[j].data, inner[j].data_size, 14, 16, 14, key)) return 0;
            }
            if (m < 0 || !imeis || terminals++) return 0;
            continue;
        }
        if (avp->vendor == 10415 && avp->code == 1402) return 0;
        if (avp->vendor == 0 && avp->code == 263) known = 1, sessions++;
        if (avp->vendor == 0 && avp->code == 301) known = 1, priorities++;
        if (avp->vendor == 0 && avp->code == 284) known = 1, proxies++;
        if (avp->vendor == 0 && avp->code == 1) {
            *imsi = known = 1;
            if (users++ || !number_of(bytes + avp->data, avp->data_size, 5, 15, 15, imsi)) return 0;
        }
        for (size_t j = 0; j < sizeof ignored / sizeof *ignored; j++) known |= avp->vendor == 0 && avp->code == ignored[j];
        if (!known && avp->mandatory) return 0;
    }
    return n >= 0 && sessions == 1 && priorities <= 1 && proxies <= 8 && terminals == 1;
}

static void check_answer(const uint8_t *bytes, const struct identity_check *check, size_t said_size) {
    struct one asked[MOST_AVPS];
    uint8_t said[40];
    memset(said, 0xEE, sizeof said);
    const size_t size = identity_check_size(check, said_size);
    uint8_t *answer = room(size);
    CHECK(identity_check_write(bytes, check, said, said_size, answer) == answer + size);
    CHECK(size % 4 == 0 && answer[0] == 1 && big(answer + 1, 3) == size);
    CHECK(answer[4] == (bytes[check->at + 4] & 0x40));
    CHECK(memcmp(answer + 5, bytes + check->at + 5, 15) == 0); /* command, application, both identifiers */
    /* what is copied, in the order of the request: session, priority; and after what is said, proxies */
    const size_t request = big(bytes + check->at + 1, 3);
    int n = take_apart(bytes, check->at + 20, check->at + request, asked);
    size_t from = 20;
    for (int turn = 0; turn < 3 && n >= 0; turn++) {
        const uint32_t code = turn == 0 ? 263 : turn == 1 ? 301 : 284;
        if (turn == 2) {
            CHECK(memcmp(answer + from, said, said_size) == 0);
            from += said_size;
        }
        for (int i = 0; i < n; i++) {
            if (asked[i].code != code || asked[i].vendor) continue;
            CHECK(memcmp(answer + from, bytes + asked[i].at, asked[i].size) == 0);
            for (size_t pad = asked[i].size; pad % 4; pad++) CHECK(answer[from + pad] == 0);
            from += (asked[i].size + 3) / 4 * 4;
        }
    }
    CHECK(n < 0 || from == size);
    free(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};
    const size_t longest = take_number(&in, 1) * 64 + 20, said = take_number(&in, 1) % 10 * 4;
    uint8_t *bytes = copy_of(in.at, in.left);
    for (size_t at = 0; at < in.left;) {
        struct identity_check check;
        uint64_t key, imsi, want_key = 0, want_imsi = 0;
        const size_t left = in.left - at, message = left < 4 ? 0 : big(bytes + at + 1, 3);
        int want = left >= 20 && bytes[at] == 1 && message >= 20 && message % 4 == 0 && message <= left && message <= longest;
        want = want && bytes[at + 4] / 128 == 1 && bytes[at + 4] / 32 % 2 == 0 && big(bytes + at + 5, 3) == 324;
        want = want && big(bytes + at + 8, 4) == 16777252;
        if (want) want = plain_check(bytes, at, message, &want_key, &want_imsi);
        const size_t got = identity_check_read(bytes, at, in.left, longest, &check, &key, &imsi);
        CHECK(want < 0 || got == (want ? message : 0));
        if (got && want > 0) CHECK(key == want_key && imsi == want_imsi);
        if (got) check_answer(bytes, &check, said);
        at += got ? got : 4; /* and from other places, too */
    }
    free(bytes);
    return 0;
}
