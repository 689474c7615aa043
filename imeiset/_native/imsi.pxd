cimport cython
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from imeiset._native.layered cimport LAYERS

cdef extern from "<stdint.h>" nogil:
    const uint64_t IMSI_BAD "UINT64_MAX"

# The number of a str or bytes; 0, as NO_IMSI, of None, a blank text, a SUPI without one and
# NaN; IMSI_BAD of anything else.
cdef uint64_t imsi_number(object value) noexcept


cdef enum:
    LONGEST = 16  # digits of the number of a prefix


cdef uint64_t[LONGEST + 1] POWERS  # of ten


cdef struct prefixes_layer:
    const uint64_t* number  # ascending
    const uint16_t* code    # what each says; 0: no list has it any more
    size_t count


@cython.final
cdef class Prefixes:
    cdef list views  # of the arrays
    cdef prefixes_layer layer[LAYERS]  # the newest first
    cdef int count
    cdef int lengths[LONGEST]  # of the numbers, the longest first
    cdef int length_count

    cdef uint32_t code(self, uint64_t imsi) noexcept nogil
