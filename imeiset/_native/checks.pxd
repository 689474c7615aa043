from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from imeiset._native.layered cimport layers_room
from imeiset._native.types cimport BLOCK


cdef enum:
    WAITING = 2 * BLOCK


cdef inline uint64_t packed(uint64_t key, uint32_t code) noexcept nogil:
    return key | <uint64_t>(code & 3 | (code >> 8 & 63) << 2 | code >> 16 << 8) << 48


cdef inline void find_what_matters(const uint8_t* outcome, uint8_t* matters) noexcept nogil:
    """Of each set of statuses that lists have, a bit each: those of which it matters whether others do."""
    cdef int seen, more, status
    for seen in range(8):
        matters[seen] = 0
        for status in range(3):
            for more in range(8):
                if more & seen == seen and (not seen or outcome[more] != outcome[more | 1 << status]):
                    matters[seen] |= 1 << status


cdef struct rows:  # that some rule may say something about, from one block or several
    uint64_t block[BLOCK]        # all keys of one, each read once: another thread may write to them
    uint64_t number[BLOCK]       # of their stretches or TACs
    size_t count
    size_t row[WAITING]
    uint64_t key[WAITING]
    uint64_t imsi[WAITING]
    uint8_t may[WAITING]         # LISTED and RANGED
    uint8_t decider[WAITING]     # the numbers of their classes
    uint32_t code[WAITING]
    uint32_t left[WAITING]       # those that no rule has decided, ascending
    uint32_t asked[WAITING]      # those that one rule is asked about
    uint64_t asked_key[WAITING]
    uint64_t asked_imsi[WAITING]
    uint8_t asked_may[WAITING]
    uint8_t seen[WAITING]        # statuses of the lists that have it, a bit each
    uint8_t first[WAITING]       # the first of these lists
    uint32_t waiting[WAITING]    # those of the asked that the next list is asked about
    uint64_t waiting_key[WAITING]
    uint8_t waiting_may[WAITING]
    uint8_t found[WAITING]
    int64_t at[WAITING]
    layers_room room


cdef struct target:  # the columns of answers that are wanted, one of the first three; NULL for the others
    uint8_t* status
    uint16_t* narrow
    uint64_t* whole
    int64_t* which  # with statuses: the rows of which some rule says something, and whole answers of these
    uint64_t* said
    size_t hits


cdef inline void tell(const rows* work, target* to) noexcept nogil:
    """Put what was decided into the columns."""
    cdef size_t i
    if to.status != NULL:
        for i in range(work.count):  # a status is the low byte
            to.status[work.row[i]] = <uint8_t>work.code[i]
    elif to.narrow != NULL:
        for i in range(work.count):
            to.narrow[work.row[i]] = <uint16_t>work.code[i]
    else:
        for i in range(work.count):
            to.whole[work.row[i]] = packed(work.key[i], work.code[i])
    for i in range(work.count if to.which != NULL else 0):
        to.which[to.hits], to.said[to.hits] = work.row[i], packed(work.key[i], work.code[i])
        to.hits += work.code[i] >> 8 != 0
