"""Layered sets: a frozen index, and what changed since."""

cimport cython
from libc.stdint cimport uint8_t, uint64_t

from imeiset._native.index cimport index_pointer
from imeiset._native.types cimport BLOCK, expect_rows


@cython.final
cdef class Layered:
    """The keys of a frozen index, without those removed since, and with those added since."""

    def __cinit__(self, base not None, added=None, removed=None):
        self.kept = (base, added, removed)
        self.layers.base = index_pointer(base)
        self.layers.added = index_pointer(added) if added is not None else NULL
        self.layers.removed = index_pointer(removed) if removed is not None else NULL

    def contains(self, const uint64_t[::1] keys not None, uint8_t[::1] out not None):
        """out[i] = 1 if keys[i] is in the set, else 0."""
        cdef size_t block, start, n = keys.shape[0]
        cdef uint8_t spare[BLOCK]
        expect_rows("out", keys.shape[0], out.shape[0])
        with nogil:
            for block in range((n + BLOCK - 1) // BLOCK):
                start = block * BLOCK
                layers_have(&self.layers, &keys[start], min(<size_t>BLOCK, n - start), &out[start], spare)
