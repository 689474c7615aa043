"""The one switch for the SIMD level: every kernel of every module runs at it."""

cimport cython

import os

cdef extern from "c/simd.h" nogil:
    const char* const* simd_names
    int simd_supported() noexcept
    int simd_by_name(const char*) noexcept

cdef enum:
    MODULES = 8

cdef int _level = -1
cdef int _count
cdef cython.pymutex _following  # modules may be imported by several threads at once
cdef (void (*)(int) noexcept)[MODULES] _followers


cdef int simd_follow(void (*choose)(int) noexcept) except -1:
    global _count
    with _following:
        if _count == MODULES:
            raise RuntimeError(f"expected at most {MODULES} modules with kernels")
        _followers[_count] = choose
        _count += 1
        choose(_level)
    return 0


def simd_levels():
    """The SIMD levels this processor runs, lowest first."""
    return tuple([simd_names[level].decode() for level in range(simd_supported() + 1)])


def simd_level():
    """The level in use."""
    return simd_names[_level].decode()


def use_simd(str name not None, /):
    """Use that level from now on, in every module and every thread: for tests and measurements.

    Returns how many modules follow. Raises ValueError for a level that this processor does not run.
    """
    global _level
    cdef int i, level = simd_by_name(name.encode()) if "\0" not in name else -1
    if not 0 <= level <= simd_supported():
        raise ValueError(f"SIMD level: expected one of {', '.join(simd_levels())}, got {name!r}")
    with _following:
        _level = level
        for i in range(_count):
            _followers[i](level)
    return _count


use_simd(os.environ.get("IMEISET_SIMD") or simd_names[simd_supported()].decode())
