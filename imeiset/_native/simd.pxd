# Call choose(level), now and whenever the level changes: a module with kernels sets its table there.
cdef int simd_follow(void (*choose)(int) noexcept) except -1
