/* Which vector instructions this machine has, and the levels kernels are written for.
 *
 * A level includes every level below it. Kernels are compiled for all levels of the
 * target architecture (function attributes, no -march) and one is chosen at import
 * through a table of function pointers; see simd.pyx. What kernels want of the
 * compiler is here too.
 */
#ifndef IMEISET_SIMD_H
#define IMEISET_SIMD_H

#include <string.h>

/* Files are mapped as they are, and keys, positions and sizes of files take 64 bits. */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || __SIZEOF_POINTER__ != 8
#error "imeiset needs a 64-bit little-endian processor, such as x86-64 and aarch64"
#endif

enum simd_level {
    SIMD_PORTABLE = 0, /* plain C */
    SIMD_SSE4 = 1,     /* SSSE3, SSE4.1, SSE4.2, POPCNT */
    SIMD_AVX2 = 2,     /* and AVX2, BMI1, BMI2; not LZCNT, which without it runs, as something else */
    SIMD_AVX512 = 3,   /* and AVX-512 F, BW, DQ, VL, VBMI, VBMI2, VPOPCNTDQ: Ice Lake, Zen 4 and later */
    SIMD_LEVELS = 4
};

#if defined(__GNUC__)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define OPAQUE(x) __asm__("" : "+r"(x)) /* the compiler forgets where x is from, and makes no branches of that */
#define PREFETCH(p) __builtin_prefetch(p, 0, 2) /* to the second-level cache: more of them can be under way */
#else
#define ALWAYS_INLINE static inline
#define NOINLINE static
#define UNLIKELY(x) (x)
#define OPAQUE(x) ((void)0)
#define PREFETCH(p) ((void)0)
#endif

/* GCC 8 and Clang 6 know all of these. What is older builds plain C alone. */
#if defined(__x86_64__) && (defined(__clang__) ? __clang_major__ >= 6 : __GNUC__ >= 8)
#define SIMD_X86 1
#include <cpuid.h>
#include <immintrin.h>
#define TARGET_SSE4 __attribute__((target("ssse3,sse4.1,sse4.2,popcnt")))
#define TARGET_AVX2 __attribute__((target("ssse3,sse4.1,sse4.2,popcnt,avx,avx2,bmi,bmi2")))
#define TARGET_AVX512                                                                                      \
    __attribute__((target("ssse3,sse4.1,sse4.2,popcnt,avx,avx2,bmi,bmi2,avx512f,avx512bw,avx512dq,"  \
                          "avx512vl,avx512vbmi,avx512vbmi2,avx512vpopcntdq")))
#else
#define SIMD_X86 0
#endif

static const char *const simd_names[SIMD_LEVELS] = {"portable", "sse4", "avx2", "avx512"};

#if SIMD_X86
/* Whether all of the wanted bits are there. */
static inline int simd_has(unsigned bits, unsigned wanted) { return (bits & wanted) == wanted; }

/* Which registers the operating system saves (XCR0). Only where CPUID says OSXSAVE. */
static inline unsigned simd_saved(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}
#endif

/* The highest level this processor runs, by CPUID and XCR0 themselves: what __builtin_cpu_supports answers
 * depends on the run-time library of the compiler, and that of some cross compilers answers no to all. */
static inline int simd_supported(void) {
#if SIMD_X86
    enum {
        /* bits of leaf 1, ECX */
        SSE4 = 1 << 9 | 1 << 19 | 1 << 20 | 1 << 23, /* SSSE3, SSE4.1, SSE4.2, POPCNT */
        AVX = 1 << 27 | 1 << 28,                     /* OSXSAVE, AVX */
        /* of leaf 7, EBX and ECX */
        AVX2 = 1 << 3 | 1 << 5 | 1 << 8,        /* BMI1, AVX2, BMI2 */
        AVX512_B = 1 << 16 | 1 << 17 | 1 << 30, /* F, DQ, BW; VL is the last bit */
        AVX512_C = 1 << 1 | 1 << 6 | 1 << 14,   /* VBMI, VBMI2, VPOPCNTDQ */
        /* of XCR0: the registers that the operating system saves */
        YMM = 0x6,
        ZMM = 0xe6
    };
    unsigned a, b, c1, d, b7 = 0, c7 = 0;
    if (!__get_cpuid(1, &a, &b, &c1, &d) || !simd_has(c1, SSE4)) return SIMD_PORTABLE;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d) || !simd_has(c1, AVX) || !simd_has(b7, AVX2) ||
        !simd_has(simd_saved(), YMM))
        return SIMD_SSE4;
    if (!simd_has(b7, AVX512_B | 1u << 31) || !simd_has(c7, AVX512_C) || !simd_has(simd_saved(), ZMM))
        return SIMD_AVX2;
    return SIMD_AVX512;
#else
    return SIMD_PORTABLE;
#endif
}

/* The level of that name, or -1. */
static inline int simd_by_name(const char *name) {
    for (int level = 0; level < SIMD_LEVELS; level++)
        if (strcmp(name, simd_names[level]) == 0) return level;
    return -1;
}

#endif
