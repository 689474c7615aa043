/* Includes LEVEL_LOOPS, a file of loops, once for each SIMD level up to AVX2: no include guard.
 *
 * Loops name what differs LEVEL(name), and are functions of LEVEL_TARGET; LEVEL_GROUPS is defined where
 * group8_avx2 can be used. */

#define LEVEL(name) name##_portable
#define LEVEL_TARGET
#include LEVEL_LOOPS
#undef LEVEL
#undef LEVEL_TARGET

#if SIMD_X86
#define LEVEL(name) name##_sse4
#define LEVEL_TARGET TARGET_SSE4
#include LEVEL_LOOPS
#undef LEVEL
#undef LEVEL_TARGET

#define LEVEL(name) name##_avx2
#define LEVEL_TARGET TARGET_AVX2
#define LEVEL_GROUPS
#include LEVEL_LOOPS
#undef LEVEL
#undef LEVEL_TARGET
#undef LEVEL_GROUPS
#endif

#undef LEVEL_LOOPS
