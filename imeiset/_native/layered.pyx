"""Layered sets: a frozen index, and layers of what changed since; levels of such, and columns beside them."""

cimport cython
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

import numpy as np

from imeiset._native.index cimport (
    index_bytes, index_codes, index_decide, index_has, index_places, index_pointer, index_rank_each,
)
from imeiset._native.payload cimport index, raise_build
from imeiset._native.types cimport BLOCK, PyObject, expect_rows, shared_item

cdef extern from "c/simd.h" nogil:
    void prefetch "PREFETCH" (const void*) noexcept

cdef extern from "c/deciders.h" nogil:
    struct source:
        const index* ix
        uint16_t keep, add, several
        const uint8_t* beside
    struct deciders:
        const index* all
        const source* sources
        uint32_t count, used
        uint16_t* out
        int status
        uint32_t* words
    void deciders_free(deciders*) noexcept


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


@cython.final
cdef class Level:
    """What lists hold by one rule, in the order in which they are asked: the strongest status first."""

    def __cinit__(self, sets):
        """sets: of (Layered, status, number of the list), fewer than 64."""
        self.sets = tuple(sets)
        if len(self.sets) >= LISTS:
            raise ValueError(f"expected at most {LISTS - 1} lists, got {len(self.sets)}")
        for one, status, number in self.sets:
            self.set[self.count] = &(<Layered?>one).layers
            self.base[self.count] = self.set[self.count].base
            self.status[self.count] = status
            self.number[self.count] = number
            self.changed |= self.set[self.count].count > 0
            self.count += 1


# ---- columns of codes beside a set -----------------------------------------------------

cdef column[COLUMNS] NO_COLUMNS
cdef uint64_t SPREAD = 0x1E3779B97F4A7C15  # odd: upper bits of products depend on all


@cython.final
cdef class Detailed:
    """A layered set with columns of codes: beside the base, and beside what each layer added."""

    def __cinit__(self, Layered members not None, sides):
        """sides: the three columns of each layer, the newest first, and of the base: unsigned integers of
        at most 32 bits, little-endian, or None."""
        cdef const uint8_t[::1] codes
        cdef column* one
        cdef int side, at
        sides = [tuple(columns) for columns in sides]
        if [len(columns) for columns in sides] != [COLUMNS] * (members.layers.count + 1):
            raise ValueError(f"sides: expected {members.layers.count + 1} of {COLUMNS} columns, got others")
        self.members, self.kept = members, []
        for side, columns in enumerate(sides):
            for at, given in enumerate(columns):
                if given is not None:
                    codes = given.view("u1")
                    self.kept.append(codes)
                    one = &self.column[side][at]
                    one.count, one.width = len(given), given.itemsize
                    if one.count:
                        one.codes = &codes[0]


cdef int side_of(const layers* set, uint64_t key, const void** members) noexcept nogil:
    """Which side has the details of a key: the newest layer that added it, or the base; -1 if none has."""
    cdef int i
    for i in range(set.count):
        members[0] = set.layer[i].added
        if members[0] != NULL and index_has(members[0], key):
            return i
    members[0] = set.base
    return set.count if index_has(set.base, key) else -1


@cython.final
cdef class Saying:
    """What was told of phones with such codes. It never changes."""

    cdef uint64_t one, other
    cdef object said

    def __cinit__(self, uint64_t one, uint64_t other, said):
        self.one, self.other, self.said = one, other, said


@cython.final
cdef class Told:
    """What was told of phones of a list that has details, by the codes that stand beside them."""

    def __cinit__(self, Detailed detailed not None):
        self.detailed, self.told = detailed, [None] * TOLD

    cdef object find(self, uint64_t key, uint32_t code, bint touched, tell):
        """tell(code, where the key is), see `codes_of`, or what that said of another key with the same codes.
        touched: whether some change may be about it; otherwise it is a member of the base."""
        cdef const layers* set = &self.detailed.members.layers
        cdef const void* members = set.base
        cdef uint32_t[COLUMNS] codes
        cdef uint64_t one, other, slot
        cdef int side = set.count
        cdef Saying saying
        if touched and side:
            side = side_of(set, key, &members)
        memset(codes, 0, sizeof(codes))
        if side >= 0:
            index_codes(members, &self.detailed.column[side][0], key, codes)
        one = codes[0] | <uint64_t>codes[1] << 32
        other = codes[2] | <uint64_t>(side + 1) << 32 | <uint64_t>(code & 0xFF) << 40
        slot = (one * SPREAD ^ other) * SPREAD >> 54
        found = shared_item(<PyObject*>self.told, slot)
        if found is None or (<Saying>found).one != one or (<Saying>found).other != other:
            if side == set.count and not index_has(set.base, key):  # of a damaged file
                return tell(code, (-1, 0, 0, 0))
            saying = Saying(one, other, tell(code, (side, codes[0], codes[1], codes[2])))
            self.told[slot] = saying  # all of it at once: another thread may do the same
            return saying.said
        return (<Saying>found).said


def codes_of(sets, uint64_t key):
    """What stands beside a key in each of some Detailed, at most 64.

    Returns for each the number of the side that has the key, -1 if none does, and the codes of its columns:
    0 where there is none, 2**32 - 1 beyond the end of a column. What is read for all is asked for before any
    of it is used.
    """
    cdef const void* members[LISTS]
    cdef uint64_t ranks[LISTS]
    cdef uint32_t codes[COLUMNS]
    cdef const column* columns[LISTS]
    cdef int sides[LISTS]
    cdef int at, i, n = len(sets)
    cdef Detailed one
    cdef list found = []
    if n > LISTS:
        raise ValueError(f"sets: expected at most {LISTS}, got {n}")
    for i, one in enumerate(sets):
        sides[i] = side_of(&one.members.layers, key, &members[i])
        columns[i] = &one.column[sides[i]][0] if sides[i] >= 0 else &NO_COLUMNS[0]
    if n == 1:
        index_codes(members[0], columns[0], key, codes)
        return [(sides[0], codes[0], codes[1], codes[2])]
    index_rank_each(members, n, key, ranks)
    for i in range(n):
        for at in range(COLUMNS):
            if ranks[i] < columns[i][at].count:
                prefetch(columns[i][at].codes + ranks[i] * columns[i][at].width)
    for i in range(n):
        found.append((sides[i], column_code(&columns[i][0], ranks[i]), column_code(&columns[i][1], ranks[i]),
                      column_code(&columns[i][2], ranks[i])))
    return found


# ---- columns of bytes beside an index, and of classes ----------------------------------


def places(given, /):
    """How many bytes a column has that stands beside an index. Raises ValueError for a damaged one."""
    return index_places(given)


def bytes_of(given, const uint8_t[::1] column not None, const uint64_t[::1] keys not None,
             uint8_t[::1] found not None, uint8_t[::1] out not None):
    """found[i] = 1 and out[i] = the byte of keys[i] in a column, if it is a member of the index; else 0."""
    cdef const void* members = index_pointer(given)
    expect_rows("column", index_places(given), column.shape[0])
    expect_rows("found", keys.shape[0], found.shape[0])
    expect_rows("out", keys.shape[0], out.shape[0])
    if keys.shape[0]:
        with nogil:
            index_bytes(members, &column[0] if column.shape[0] else &out[0], column.shape[0], &keys[0],
                        keys.shape[0], &found[0], &out[0])


def decided(given, sources, /):
    """The numbers of the words of the members of an index, a column, and the words: see c/deciders.h.
    O(members of all sources).

    sources: of (index, bits that stay, new bits, bits if a list was there, what is beside each member or
    None), of members of the first; those of the list that is asked first come last.
    """
    cdef deciders work
    cdef uint16_t[::1] out
    cdef const uint8_t[::1] some
    cdef source* each
    cdef size_t count
    cdef uint32_t i
    memset(&work, 0, sizeof(work))
    sources = list(sources)
    column, count = np.zeros(index_places(given), np.uint16), len(sources)
    each = <source*>PyMem_RawMalloc((count + 1) * sizeof(source))
    if each == NULL:
        raise MemoryError
    try:
        for i in range(count):
            one, keep, add, several, beside = sources[i]
            each[i].ix, each[i].beside = <const index*>index_pointer(one), NULL
            each[i].keep, each[i].add, each[i].several = keep, add, several
            if beside is not None:
                some = beside
                expect_rows("beside", len(one), some.shape[0])
                each[i].beside = &some[0] if some.shape[0] else NULL
        if len(column) == 0:
            return column, [0]
        out = column
        work.all, work.out = <const index*>index_pointer(given), &out[0]
        work.sources, work.count = each, count
        with nogil:
            index_decide(&work)
        raise_build(work.status)
        return column, [work.words[i] for i in range(work.used)]
    finally:
        deciders_free(&work)
        PyMem_RawFree(each)
