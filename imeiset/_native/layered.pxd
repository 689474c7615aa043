cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from imeiset._native.index cimport index_each, index_has, index_have
from imeiset._native.types cimport BLOCK


cdef enum:
    LAYERS = 16       # of a set, at most
    ROOM = 2 * BLOCK  # keys at a time
    LISTS = 64        # of a level, at most


cdef struct layer:  # an index each, NULL for nothing
    const void* added
    const void* removed


cdef struct layers:
    const void* base
    int count
    layer layer[LAYERS]  # the newest first


cdef struct layers_room:  # for the keys that changes may have touched
    uint32_t row[ROOM + 1]  # one more is written than there are
    uint64_t key[ROOM + 1]
    uint8_t added[ROOM]
    uint8_t removed[ROOM]


@cython.final
cdef class Layered:
    cdef tuple kept
    cdef layers layers


@cython.final
cdef class Level:
    cdef tuple sets
    cdef const layers* set[LISTS]
    cdef const void* base[LISTS]
    cdef uint8_t status[LISTS]
    cdef uint8_t number[LISTS]  # of the list
    cdef int count
    cdef bint changed           # whether some list has layers


cdef inline uint64_t level_has(Level level, int start, int n, uint64_t key, bint touched) noexcept nogil:
    """Which of n lists, the first of them `start`, have a key: a bit each. touched: see layers_has."""
    cdef uint64_t found = 0
    cdef int i
    if n > 1 and not (touched and level.changed):
        return index_each(&level.base[start], n, key)
    for i in range(n):
        found |= <uint64_t>layers_has(level.set[start + i], key, touched) << i
    return found


cdef bint layers_differ(const layers* set, uint64_t key) noexcept nogil


cdef inline bint layers_has(const layers* set, uint64_t key, bint touched) noexcept nogil:
    """Is the key in the set? touched: whether some change may be about it."""
    return layers_differ(set, key) if touched else index_has(set.base, key)


cdef inline size_t rows_where(const uint64_t* keys, const uint8_t* may, uint8_t flag, bint touched,
                              size_t n, size_t count, layers_room* room) noexcept nogil:
    """Add those of n keys that some change may be about, or the others, to the `count` in the room; how many
    are there then. flag: what all of the first have in `may`."""
    cdef size_t i
    for i in range(n):
        room.row[count] = <uint32_t>i
        room.key[count] = keys[i]
        count += (may[i] & flag == flag) == touched
    return count


cdef inline void layers_have(const layers* set, const uint64_t* keys, const uint8_t* may, uint8_t flag,
                             size_t n, uint8_t* out, layers_room* room) noexcept nogil:
    """layers_has for n keys, at most ROOM. may, flag: see rows_where."""
    cdef size_t i, stay, left = rows_where(keys, may, flag, True, n, 0, room) if set.count else 0
    cdef int at
    if left == 0:
        index_have(set.base, keys, n, out)
        return
    for at in range(set.count):
        memset(room.added, 0, left)
        memset(room.removed, 0, left)
        if set.layer[at].added != NULL:
            index_have(set.layer[at].added, room.key, left, room.added)
        if set.layer[at].removed != NULL:
            index_have(set.layer[at].removed, room.key, left, room.removed)
        stay = 0
        for i in range(left):
            out[room.row[i]] = room.added[i]
            room.row[stay], room.key[stay] = room.row[i], room.key[i]
            stay += not room.added[i] | room.removed[i]
        left = stay
    left = rows_where(keys, may, flag, False, n, left, room)  # these, and what no layer knows, are the base's
    index_have(set.base, room.key, left, room.added)
    for i in range(left):
        out[room.row[i]] = room.added[i]


cdef extern from "c/details.h" nogil:
    enum: COLUMNS
    struct column:
        const uint8_t* codes
        uint64_t count
        int width
    uint32_t column_code(const column*, uint64_t) noexcept


cdef enum:
    TOLD = 1024  # answers that are kept, of each list


@cython.final
cdef class Detailed:
    cdef Layered members
    cdef list kept
    cdef column column[LAYERS + 1][COLUMNS]


@cython.final
cdef class Told:
    cdef Detailed detailed
    cdef list told  # a Saying each, or None

    cdef object find(self, uint64_t key, uint32_t code, bint touched, tell)
