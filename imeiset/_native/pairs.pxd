cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from imeiset._native.layered cimport LAYERS, layers_room


cdef enum:
    NO_PAIR, OTHER_PAIRS, THIS_PAIR  # what an IMEI and an IMSI are to the pairs of a list


cdef struct pairs_of:
    const void* imeis
    const uint32_t* starts  # of the IMSIs of each IMEI
    const uint64_t* imsis
    uint64_t last           # IMEI
    uint64_t count          # of IMSIs


cdef struct pairs_layer:
    const void* touched  # the IMEIs whose pairs changed: `now` has all that they have
    pairs_of now


@cython.final
cdef class Pairing:
    cdef tuple kept
    cdef list views  # of the arrays
    cdef pairs_of base
    cdef int count
    cdef pairs_layer layer[LAYERS]  # the newest first

    cdef int look(self, pairs_of* to, arrays) except -1
    cdef int find(self, uint64_t key, uint64_t imsi, bint touched) noexcept nogil
    cdef void find_many(self, const uint64_t* keys, const uint64_t* imsis, const uint8_t* may, uint8_t flag,
                        size_t n, int64_t* at, uint8_t* found, layers_room* room) noexcept nogil
