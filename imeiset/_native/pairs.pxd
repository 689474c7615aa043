cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t


cdef enum:
    NO_PAIR, OTHER_PAIRS, THIS_PAIR  # what an IMEI and an IMSI are to the pairs of a list


cdef struct pairs_of:
    const void* imeis
    const uint32_t* starts  # of the IMSIs of each IMEI
    const uint64_t* imsis
    uint64_t last           # IMEI
    uint64_t count          # of IMSIs


@cython.final
cdef class Pairing:
    cdef tuple kept
    cdef const uint32_t[::1] starts
    cdef const uint32_t[::1] starts_now
    cdef const uint64_t[::1] imsis
    cdef const uint64_t[::1] imsis_now
    cdef pairs_of base
    cdef pairs_of now
    cdef const void* in_touched  # NULL where nothing has changed

    cdef int look(self, pairs_of* to, imeis, const uint32_t[::1] starts, const uint64_t[::1] imsis) except -1
    cdef int find(self, uint64_t key, uint64_t imsi) noexcept nogil
    cdef void find_many(self, const uint64_t* keys, const uint64_t* imsis, size_t n, int64_t* at,
                        uint8_t* found) noexcept nogil
