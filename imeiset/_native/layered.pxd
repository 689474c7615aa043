cimport cython
from libc.stdint cimport uint8_t, uint64_t

from imeiset._native.index cimport index_has, index_have


cdef struct layers:  # an index each
    const void* base
    const void* added    # NULL where nothing has changed
    const void* removed


@cython.final
cdef class Layered:
    cdef tuple kept
    cdef layers layers


cdef inline bint layers_has(const layers* set, uint64_t key) noexcept nogil:
    """Is the key in the set?"""
    if set.added != NULL and index_has(set.added, key):
        return True
    if set.removed != NULL and index_has(set.removed, key):
        return False
    return index_has(set.base, key)


cdef inline void layers_have(const layers* set, const uint64_t* keys, size_t n, uint8_t* out,
                             uint8_t* spare) noexcept nogil:
    """layers_has for n keys; `spare` has room for n answers."""
    cdef size_t i
    index_have(set.base, keys, n, out)
    if set.removed != NULL:
        index_have(set.removed, keys, n, spare)
        for i in range(n):
            out[i] &= spare[i] ^ 1
    if set.added != NULL:
        index_have(set.added, keys, n, spare)
        for i in range(n):
            out[i] |= spare[i]
