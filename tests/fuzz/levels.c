/* The level of a processor, of any that there may be: what CPUID says is the input's. */
#include "fuzz.h"

#if defined(__x86_64__)
#include <cpuid.h>

static unsigned words[8]; /* leaf 1: a to d; leaf 7: a to d */
static int leaves;

static int said(unsigned leaf, unsigned *a, unsigned *b, unsigned *c, unsigned *d) {
    const unsigned *from = words + (leaf == 7 ? 4 : 0);
    if (leaf > (unsigned)leaves) return 0;
    *a = from[0], *b = from[1], *c = from[2], *d = from[3];
    return 1;
}

#define __get_cpuid said
#define __get_cpuid_count(leaf, sub, a, b, c, d) said(leaf, a, b, c, d)
#endif

#include "../../imeiset/_native/c/simd.h"

static int bit(unsigned word, unsigned nth) { return word >> nth & 1; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size};
    char name[12] = {0};
    int level;
#if SIMD_X86
    unsigned c, b, saved;
    leaves = (int)take_number(&in, 1) % 9;
    for (int i = 0; i < 8; i++) words[i] = (unsigned)take_number(&in, 4) ^ 0xFFFFFFFF;
    c = words[2], b = words[5];
    int want = SIMD_PORTABLE;
    if (leaves && bit(c, 9) && bit(c, 19) && bit(c, 20) && bit(c, 23)) want = SIMD_SSE4;
    if (want && leaves >= 7 && bit(c, 27) && bit(c, 28) && bit(b, 3) && bit(b, 5) && bit(b, 8)) {
        saved = simd_saved(); /* what the system saves is not the input's */
        if ((saved & 6) == 6) want = SIMD_AVX2;
        if (want == SIMD_AVX2 && (saved & 0xe0) == 0xe0 && bit(b, 16) && bit(b, 17) && bit(b, 30) && bit(b, 31) &&
            bit(words[6], 1) && bit(words[6], 6) && bit(words[6], 14))
            want = SIMD_AVX512;
    }
    level = simd_supported();
    CHECK(level == want);
#endif
    for (size_t i = 0; i + 1 < sizeof name && in.left; i++) name[i] = (char)take_number(&in, 1);
    level = simd_by_name(name);
    CHECK(level < 0 || strcmp(simd_names[level], name) == 0);
    for (int i = 0; i < SIMD_LEVELS; i++) CHECK(simd_by_name(simd_names[i]) == i);
    return 0;
}
