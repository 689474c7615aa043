from libc.stdint cimport uint64_t

cdef extern from "<stdint.h>" nogil:
    const uint64_t IMSI_BAD "UINT64_MAX"

# The number of a str or bytes; 0, as NO_IMSI, of None, a blank text, a SUPI without one and
# NaN; IMSI_BAD of anything else.
cdef uint64_t imsi_number(object value) noexcept
