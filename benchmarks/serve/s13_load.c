/* A load of ME-Identity-Check requests (Diameter S13) over TCP, from one thread.

   s13_load PORT CONNECTIONS IN_FLIGHT REQUESTS FILE
   FILE has an IMEI a line, which are asked in turn, 14 digits of each. Every connection exchanges capabilities
   as a peer of its own and then keeps IN_FLIGHT requests under way. An answer has to have the identifiers of a
   request of its connection that has none yet. Prints JSON: seconds from the first request
   to the last answer, and how many answers had each Equipment-Status, were of unknown equipment, or anything
   else. */

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { VENDOR = 10415, S13 = 16777252, ROOM = 1 << 20, MESSAGE = 512, KINDS = 5 };

struct peer {
    int socket;
    uint32_t under_way;
    size_t held; /* bytes in the buffer */
    uint8_t *buffer;
    char name[32];
};

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint32_t word(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, 4);
    return ntohl(value);
}

static uint8_t *put(uint8_t *at, uint32_t value) {
    value = htonl(value);
    memcpy(at, &value, 4);
    return at + 4;
}

static uint8_t *avp(uint8_t *at, uint32_t code, uint32_t vendor, const void *data, uint32_t size) {
    uint32_t length = (vendor ? 12 : 8) + size;
    at = put(put(at, code), (vendor ? 0xC0000000u : 0x40000000u) | length);
    if (vendor)
        at = put(at, vendor);
    memcpy(at, data, size);
    memset(at + size, 0, 3);
    return at + (size + 3) / 4 * 4;
}

static uint8_t *number(uint8_t *at, uint32_t code, uint32_t value) {
    uint8_t data[4];
    put(data, value);
    return avp(at, code, 0, data, 4);
}

static uint8_t *text(uint8_t *at, uint32_t code, const char *value) {
    return avp(at, code, 0, value, strlen(value));
}

static uint8_t *head(uint8_t *at, uint32_t flags_command, uint32_t application, uint32_t identifier) {
    return put(put(put(put(at + 4, flags_command), application), identifier), identifier);
}

static size_t closed(uint8_t *message, const uint8_t *end) {
    put(message, 1u << 24 | (uint32_t)(end - message));
    return end - message;
}

static size_t request(uint8_t *message, const struct peer *peer, uint32_t identifier, const char *imei) {
    uint8_t inner[64], *end = avp(inner, 1402, VENDOR, imei, 14);
    uint8_t *at = head(message, 0xC0000000u | 324, S13, identifier);
    char session[64];
    snprintf(session, sizeof session, "%s;1;%u", peer->name, identifier);
    at = number(text(at, 263, session), 277, 1);
    at = text(text(at, 264, peer->name), 296, "example.org");
    at = text(text(at, 293, "eir.example.org"), 283, "example.org");
    at = avp(at, 1401, VENDOR, inner, end - inner);
    at = text(at, 1, "234150999999999");
    return closed(message, at);
}

static void write_all(int socket, const uint8_t *data, size_t size) {
    while (size) {
        ssize_t written = send(socket, data, size, MSG_NOSIGNAL);
        if (written <= 0)
            fail("send");
        data += written;
        size -= written;
    }
}

static void exchange_capabilities(struct peer *peer, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    peer->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (peer->socket < 0 || connect(peer->socket, (struct sockaddr *)&to, sizeof to))
        fail("connect");
    setsockopt(peer->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    uint8_t message[MESSAGE], address[] = {0, 1, 127, 0, 0, 1}, inner[64];
    uint8_t *at = head(message, 0x80000000u | 257, 0, 1);
    at = text(text(at, 264, peer->name), 296, "example.org");
    at = avp(at, 257, 0, address, sizeof address);
    at = number(number(number(at, 266, VENDOR), 265, VENDOR), 299, 0);
    uint8_t *product = at;
    at = text(at, 269, "load");
    product[4] = 0; /* without the flag M */
    at = avp(at, 260, 0, inner, number(number(inner, 266, VENDOR), 258, S13) - inner);
    write_all(peer->socket, message, closed(message, at));
    while (peer->held < 4 || peer->held < (word(peer->buffer) & 0xFFFFFF)) {
        ssize_t got = recv(peer->socket, peer->buffer + peer->held, ROOM - peer->held, 0);
        if (got <= 0)
            fail("capabilities");
        peer->held += got;
    }
    for (size_t i = 20; i + 12 <= peer->held; i += ((word(peer->buffer + i + 4) & 0xFFFFFF) + 3) / 4 * 4)
        if (word(peer->buffer + i) == 268 && word(peer->buffer + i + 8) != 2001) {
            fprintf(stderr, "capabilities: %u\n", word(peer->buffer + i + 8));
            exit(1);
        }
    peer->held -= word(peer->buffer) & 0xFFFFFF;
}

/* 0, 1, 2: the Equipment-Status; 3: unknown equipment; 4: anything else. */
static int kind(const uint8_t *message, size_t length) {
    for (size_t i = 20; i + 12 <= length;) {
        uint32_t code = word(message + i), size = word(message + i + 4) & 0xFFFFFF;
        if (code == 1445 && word(message + i + 12) < 3)
            return word(message + i + 12);
        if (code == 297)
            for (size_t j = i + 8; j + 12 <= i + size;) {
                if (word(message + j) == 298)
                    return word(message + j + 8) == 5422 ? 3 : 4;
                uint32_t inner = word(message + j + 4) & 0xFFFFFF;
                j += inner < 8 ? size : (inner + 3) / 4 * 4;
            }
        if (size < 8)
            return 4;
        i += (size + 3) / 4 * 4;
    }
    return 4;
}

int main(int count, char **arguments) {
    if (count != 6) {
        fprintf(stderr, "usage: s13_load PORT CONNECTIONS IN_FLIGHT REQUESTS FILE\n");
        return 2;
    }
    int port = atoi(arguments[1]), connections = atoi(arguments[2]), window = atoi(arguments[3]);
    uint64_t total = strtoull(arguments[4], NULL, 10), sent = 0, answered = 0, kinds[KINDS] = {0};
    FILE *file = fopen(arguments[5], "r");
    char(*imeis)[16] = NULL, line[64];
    size_t known = 0;
    while (file && fgets(line, sizeof line, file)) {
        imeis = realloc(imeis, (known + 1) * sizeof *imeis);
        memcpy(imeis[known++], line, 14);
    }
    if (!known || connections < 1 || window < 1)
        fail("arguments");
    struct peer *peers = calloc(connections, sizeof *peers), **asked = calloc(total, sizeof *asked);
    uint8_t *out = malloc((size_t)window * MESSAGE);
    int poll = epoll_create1(0);
    for (int i = 0; i < connections; i++) {
        peers[i].buffer = malloc(ROOM);
        /* Never the name of a run before: to a peer that comes back at once freeDiameter sends no answers. */
        snprintf(peers[i].name, sizeof peers[i].name, "mme%d-%d.example.org", i, (int)getpid());
        exchange_capabilities(&peers[i], port);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &peers[i]};
        epoll_ctl(poll, EPOLL_CTL_ADD, peers[i].socket, &event);
    }
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0, first = 1; answered < total; first = 0) {
        struct epoll_event events[64];
        int ready = first ? connections : epoll_wait(poll, events, 64, 10000);
        if (ready <= 0)
            fail("no answer within 10 s");
        for (i = 0; i < ready; i++) {
            struct peer *peer = first ? &peers[i] : events[i].data.ptr;
            if (!first) {
                ssize_t got = recv(peer->socket, peer->buffer + peer->held, ROOM - peer->held, 0);
                if (got <= 0)
                    fail("recv");
                peer->held += got;
            }
            size_t at = 0, length;
            while (peer->held - at >= 20 && (length = word(peer->buffer + at) & 0xFFFFFF) <= peer->held - at) {
                if (length < 20)
                    {
                    fprintf(stderr, "not a message\n");
                    return 1;
                }
                uint32_t flags_command = word(peer->buffer + at + 4);
                if (!(flags_command >> 31)) { /* an answer */
                    uint32_t number = word(peer->buffer + at + 12);
                    if ((flags_command & 0xFFFFFF) != 324 || number != word(peer->buffer + at + 16) || number >= total
                        || asked[number] != peer) {
                        fprintf(stderr, "an answer to what was not asked\n");
                        return 1;
                    }
                    asked[number] = NULL;
                    kinds[kind(peer->buffer + at, length)]++;
                    answered++;
                    peer->under_way--;
                }
                at += length;
            }
            memmove(peer->buffer, peer->buffer + at, peer->held - at);
            peer->held -= at;
            uint8_t *to = out;
            for (; peer->under_way < (uint32_t)window && sent < total; sent++, peer->under_way++) {
                asked[sent] = peer;
                to += request(to, peer, sent, imeis[sent % known]);
            }
            write_all(peer->socket, out, to - out);
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) / 1e9;
    printf("{\"seconds\": %.6f, \"whitelisted\": %lu, \"blacklisted\": %lu, \"greylisted\": %lu, \"unknown\": %lu, "
           "\"other\": %lu}\n",
           seconds, kinds[0], kinds[1], kinds[2], kinds[3], kinds[4]);
    return 0;
}
