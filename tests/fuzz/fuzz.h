/* What all harnesses share: input to numbers, memory that is refused, and what ends a run.
 *
 * A harness is a file with LLVMFuzzerTestOneInput, which takes any bytes, has the headers of imeiset/_native/c do
 * something with them at every SIMD level, and compares with something obvious. libFuzzer looks for bytes that stop
 * it (`make fuzz`); replay.c gives it those of the corpus, without libFuzzer.
 */
#ifndef IMEISET_FUZZ_H
#define IMEISET_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define MINE(at, n) ASAN_UNPOISON_MEMORY_REGION(at, n)
#define NOBODYS(at, n) ASAN_POISON_MEMORY_REGION(at, n)
#endif
#endif
#ifndef MINE
#define MINE(at, n)
#define NOBODYS(at, n)
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(said)                                                        \
    do {                                                                   \
        if (!(said)) {                                                     \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #said); \
            abort();                                                       \
        }                                                                  \
    } while (0)

/* ---- memory ---- */

/* How many requests the headers get before one is refused; none is where it is never reached. */
static size_t requests_left = SIZE_MAX;

static inline int refused(void) { return requests_left != SIZE_MAX && requests_left-- == 0; }

/* The headers ask for the same megabytes again and again, and to make so many takes a sanitizer most of its time: they
 * are kept for who asks next, and are nobody's until then. */
#define LARGE ((size_t)1 << 20)
#define LARGE_KEPT 16

static struct {
    void *at;
    size_t bytes;
    int taken;
} kept[LARGE_KEPT];

static inline void *fuzz_malloc(size_t n) {
    if (refused()) return NULL;
    for (int i = 0; i < LARGE_KEPT && n >= LARGE; i++) {
        if (!kept[i].at) kept[i].at = malloc(n), kept[i].bytes = n;
        if (kept[i].taken || kept[i].bytes != n) continue;
        kept[i].taken = 1;
        MINE(kept[i].at, n);
        return kept[i].at;
    }
    return malloc(n);
}

static inline void fuzz_free(void *at) {
    for (int i = 0; i < LARGE_KEPT && at; i++) {
        if (kept[i].at != at) continue;
        kept[i].taken = 0;
        NOBODYS(at, kept[i].bytes);
        return;
    }
    free(at);
}

static inline void *fuzz_calloc(size_t n, size_t size) { return refused() ? NULL : calloc(n, size); }
static inline void *fuzz_aligned(size_t to, size_t n) { return refused() ? NULL : aligned_alloc(to, n); }
static inline void *fuzz_realloc(void *old, size_t n) { return refused() ? NULL : realloc(old, n); }

/* Memory of a harness: exactly so much, so that a sanitizer sees what is read beyond. */
static inline void *room(size_t bytes) {
    void *made = malloc(bytes + (bytes == 0));
    CHECK(made);
    return made;
}

static inline void *copy_of(const void *data, size_t bytes) {
    void *made = room(bytes);
    if (bytes) memcpy(made, data, bytes);
    return made;
}

/* From here on it is the headers that ask. */
#define malloc(n) fuzz_malloc(n)
#define free(at) fuzz_free(at)
#define calloc(n, size) fuzz_calloc(n, size)
#define realloc(old, n) fuzz_realloc(old, n)
#define aligned_alloc(to, n) fuzz_aligned(to, n)

/* ---- input ---- */

struct input {
    const uint8_t *at;
    size_t left;
};

/* The next bytes as a number; zeros follow the last. */
static inline uint64_t take_number(struct input *in, unsigned bytes) {
    uint64_t number = 0;
    for (unsigned i = 0; i < bytes && in->left; i++, in->at++, in->left--) number |= (uint64_t)*in->at << (8 * i);
    return number;
}

static inline uint64_t mixed(uint64_t x) {
    x = (x ^ x >> 31) * UINT64_C(0x9E3779B97F4A7C15);
    return x ^ x >> 29;
}

#endif
