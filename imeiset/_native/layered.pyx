"""Layered sets: a frozen index, and layers of what changed since."""

cimport cython
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport uint8_t, uint64_t

from libc.string cimport memset
from imeiset._native.index cimport index_has, index_pointer
from imeiset._native.types cimport BLOCK, expect_rows


cdef bint layers_differ(const layers* set, uint64_t key) noexcept nogil:
    """Is a key in the set, about which some change may be?"""
    cdef int i
    for i in range(set.count):
        if set.layer[i].added != NULL and index_has(set.layer[i].added, key):
            return True
        if set.layer[i].removed != NULL and index_has(set.layer[i].removed, key):
            return False
    return index_has(set.base, key)


@cython.final
cdef class Layered:
    """The keys of a frozen index, without those removed since, and with those added since."""

    def __cinit__(self, base not None, layers=()):
        """layers: of (added, removed), an index each or None for nothing; the newest first."""
        cdef layer* to
        layers = tuple(layers)
        if len(layers) > LAYERS:
            raise ValueError(f"layers: expected at most {LAYERS}, got {len(layers)}")
        self.kept = (base, layers)
        self.layers.base = index_pointer(base)
        for added, removed in layers:
            to = &self.layers.layer[self.layers.count]
            to.added = index_pointer(added) if added is not None else NULL
            to.removed = index_pointer(removed) if removed is not None else NULL
            self.layers.count += 1

    def contains(self, const uint64_t[::1] keys not None, uint8_t[::1] out not None):
        """out[i] = 1 if keys[i] is in the set, else 0."""
        cdef size_t block, start, n = keys.shape[0]
        cdef layers_room* room
        cdef uint8_t[BLOCK] may
        memset(may, 0, BLOCK)
        expect_rows("out", keys.shape[0], out.shape[0])
        room = <layers_room*>PyMem_RawMalloc(sizeof(layers_room))
        if room == NULL:
            raise MemoryError
        with nogil:
            for block in range((n + BLOCK - 1) // BLOCK):
                start = block * BLOCK
                layers_have(&self.layers, &keys[start], may, 0, min(<size_t>BLOCK, n - start),
                            &out[start], room)
        PyMem_RawFree(room)
