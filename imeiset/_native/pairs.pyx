"""Pairs of IMEIs and IMSIs: lookups, and the arrays that hold them."""

cimport cython
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from imeiset._native.index cimport index_has, index_have, index_pointer, index_positions
from imeiset._native.layered cimport LAYERS, layers_room, rows_where
from imeiset._native.types cimport BLOCK, expect_rows

from imeiset._native.index import FrozenIndex

cdef extern from "c/pairs.h" nogil:
    bint pairs_ascending(const uint64_t*, const uint64_t*, size_t) noexcept
    size_t pairs_sort(uint64_t*, uint64_t*, size_t) noexcept
    size_t pairs_starts(uint64_t*, size_t, uint32_t*) noexcept

cdef extern from "c/simd.h" nogil:
    void PREFETCH(const void*) noexcept

cdef object _NOTHING = FrozenIndex()


cdef const uint64_t* pairs_span(const pairs_of* p, int64_t at, uint64_t* count) noexcept nogil:
    """The IMSIs of the IMEI at a position; inside the array, whatever a damaged file says."""
    cdef uint64_t place = min(<uint64_t>at, p.last)
    cdef uint64_t begin = min(<uint64_t>p.starts[place], p.count)
    cdef uint64_t end = min(<uint64_t>p.starts[place + 1], p.count)
    count[0] = end - begin if begin < end else 0
    return p.imsis + begin


cdef int pairs_find(const pairs_of* p, int64_t at, uint64_t imsi) noexcept nogil:
    """Whether the IMEI at a position (-1: none) has this pair, only others, or none."""
    cdef uint64_t half, n = 0
    cdef const uint64_t* low
    if at < 0:
        return NO_PAIR
    low = pairs_span(p, at, &n)
    if n == 0:
        return NO_PAIR
    while n > 1:
        half = n // 2
        if low[half] <= imsi:
            low += half
        n -= half
    return THIS_PAIR if low[0] == imsi else OTHER_PAIRS


cdef int pairs_have(const pairs_of* p, uint64_t key, uint64_t imsi) noexcept nogil:
    cdef int64_t at = -1
    if index_has(p.imeis, key):
        index_positions(p.imeis, &key, 1, &at)
    return pairs_find(p, at, imsi)


@cython.final
cdef class Pairing:
    """The pairs of one list: of a base, and layers of what changed since."""

    def __cinit__(self, base not None, layers=()):
        """base: of (IMEIs, starts, IMSIs), see `register.pairs.Pairs`. layers: of (IMEIs whose pairs changed,
        all that they have as a base has them), the newest first."""
        layers = tuple(layers)
        if len(layers) > LAYERS:
            raise ValueError(f"layers: expected at most {LAYERS}, got {len(layers)}")
        self.kept, self.views = (base, layers), []
        self.look(&self.base, base)
        for touched, now in layers:
            self.layer[self.count].touched = index_pointer(touched)
            self.look(&self.layer[self.count].now, now)
            self.count += 1

    cdef int look(self, pairs_of* to, arrays) except -1:
        cdef const uint32_t[::1] starts
        cdef const uint64_t[::1] imsis
        imeis, starts, imsis = arrays
        expect_rows("starts", len(imeis) + 1, starts.shape[0])
        self.views += [starts, imsis]
        to.imeis, to.starts = index_pointer(imeis), &starts[0]
        to.count = imsis.shape[0]
        to.imsis = &imsis[0] if to.count else NULL
        to.last = starts.shape[0] - 2 if starts.shape[0] > 1 else 0
        if starts.shape[0] == 1:  # no IMEIs, so no positions: but a damaged index may have some
            to.imeis = index_pointer(_NOTHING)
        return 0

    cdef int find(self, uint64_t key, uint64_t imsi, bint touched) noexcept nogil:
        """What an IMEI and an IMSI are to these pairs. touched: whether some change may be about the IMEI."""
        cdef int i
        for i in range(self.count if touched else 0):
            if index_has(self.layer[i].touched, key):
                return pairs_have(&self.layer[i].now, key, imsi)
        return pairs_have(&self.base, key, imsi)

    cdef void find_many(self, const uint64_t* keys, const uint64_t* imsis, const uint8_t* may, uint8_t flag,
                        size_t n, int64_t* at, uint8_t* found, layers_room* room) noexcept nogil:
        """found[i] = find(keys[i], imsis[i]) for n keys, at most ROOM. imsis: NULL where they are unknown.
        may, flag: see rows_where. at: room for n numbers."""
        cdef size_t i, left = 0
        cdef int layer
        cdef uint64_t count, imsi
        index_positions(self.base.imeis, keys, n, at)
        for i in range(n):
            if at[i] < -1:  # of a damaged index: below, it would be a layer
                at[i] = -1
        if self.count:
            left = rows_where(keys, may, flag, True, n, 0, room)
        for layer in range(self.count - 1, -1, -1):
            index_have(self.layer[layer].touched, room.key, left, room.added)
            for i in range(left):
                if room.added[i]:
                    at[room.row[i]] = -2 - layer
        for i in range(n):
            if at[i] >= 0:
                PREFETCH(self.base.starts + at[i])
        for i in range(n):
            if at[i] >= 0:
                PREFETCH(pairs_span(&self.base, at[i], &count))
        for i in range(n):
            imsi = imsis[i] if imsis != NULL else 0
            if at[i] <= -2:
                found[i] = pairs_have(&self.layer[-2 - at[i]].now, keys[i], imsi)
            else:
                found[i] = pairs_find(&self.base, at[i], imsi)

    def have(self, const uint64_t[::1] keys not None, const uint64_t[::1] imsis not None,
             uint8_t[::1] out not None):
        """out[i]: 0 where keys[i] has no pairs, 2 where it has one with imsis[i], else 1."""
        cdef size_t block, start, n = keys.shape[0]
        cdef layers_room* room
        cdef int64_t at[BLOCK]
        cdef uint8_t[BLOCK] may
        memset(may, 0, BLOCK)
        expect_rows("imsis", keys.shape[0], imsis.shape[0])
        expect_rows("out", keys.shape[0], out.shape[0])
        room = <layers_room*>PyMem_RawMalloc(sizeof(layers_room))
        if room == NULL:
            raise MemoryError
        with nogil:
            for block in range((n + BLOCK - 1) // BLOCK):
                start = block * BLOCK
                self.find_many(&keys[start], &imsis[start], may, 0, min(<size_t>BLOCK, n - start), at,
                               &out[start], room)
        PyMem_RawFree(room)


# ---- the arrays ----


def are_ascending(const uint64_t[::1] keys not None, const uint64_t[::1] imsis not None):
    """Whether pairs are in order, each once."""
    cdef bint ascending = True
    cdef size_t n = keys.shape[0]
    expect_rows("imsis", keys.shape[0], imsis.shape[0])
    if n:
        with nogil:
            ascending = pairs_ascending(&keys[0], &imsis[0], n)
    return ascending


def sort_pairs(uint64_t[::1] keys not None, uint64_t[::1] imsis not None):
    """Sort pairs by key and IMSI, in place, and move those that come again to the end; how many do not."""
    cdef size_t n = keys.shape[0]
    expect_rows("imsis", keys.shape[0], imsis.shape[0])
    if n:
        with nogil:
            n = pairs_sort(&keys[0], &imsis[0], n)
    return n


def starts_of(uint64_t[::1] keys not None, uint32_t[::1] starts not None):
    """Move the first of each run of equal keys to the front, and say where it began; how many runs.

    starts: room for one more number than there are keys; the last one used is their number.
    """
    cdef size_t n = keys.shape[0]
    expect_rows("starts", keys.shape[0] + 1, starts.shape[0])
    with nogil:
        n = pairs_starts(&keys[0] if n else NULL, n, &starts[0])
    return n


cdef bint pairs_copy(const uint32_t[::1] starts, const uint64_t[::1] imsis, uint64_t first, uint64_t end,
                     uint32_t[::1] to_starts, uint64_t[::1] to_imsis, uint64_t* imei,
                     uint64_t* pair) noexcept nogil:
    """Append the pairs of the IMEIs at positions first..end - 1; whether they are such, and there is room."""
    cdef uint64_t i, begin, count, last
    if first >= end:
        return first == end
    if end >= <uint64_t>starts.shape[0] or to_starts.shape[0] - 1 - imei[0] < end - first:
        return False
    begin, last = starts[first], starts[end]
    if begin > last or last > <uint64_t>imsis.shape[0] or to_imsis.shape[0] - pair[0] < last - begin:
        return False
    for i in range(first, end):  # whatever a damaged file says: nothing but these numbers is written
        to_starts[imei[0]] = <uint32_t>(starts[i] - begin + pair[0])
        imei[0] += 1
    count = last - begin
    if count:
        memcpy(&to_imsis[pair[0]], &imsis[begin], count * sizeof(uint64_t))
    pair[0] += count
    return True


def merge_pairs(base not None, now not None, const int64_t[::1] ranks not None,
                const int64_t[::1] in_base not None, const int64_t[::1] in_now not None,
                uint32_t[::1] starts not None, uint64_t[::1] imsis not None):
    """The pairs of `base`, with those of `now` for some IMEIs, to `starts` and `imsis`, which have room for
    just these; what does not change is copied. O(pairs).

    base, now: of (starts, IMSIs), see `register.pairs.Pairs`. Of those IMEIs, in order: how many of base are
    below each, and its position in base and in now, -1 where it is not there. Raises ValueError for what does
    not fit.
    """
    cdef const uint32_t[::1] starts_base, starts_now
    cdef const uint64_t[::1] imsis_base, imsis_now
    cdef uint64_t imei = 0, pair = 0, row = 0, until
    cdef Py_ssize_t i, n = ranks.shape[0]
    cdef bint fits = starts.shape[0] > 0 and in_base.shape[0] == n and in_now.shape[0] == n
    starts_base, imsis_base = base
    starts_now, imsis_now = now
    with nogil:
        for i in range(n if fits else 0):
            until = <uint64_t>ranks[i]  # in order, or refused
            fits = pairs_copy(starts_base, imsis_base, row, until, starts, imsis, &imei, &pair)
            row = until + (in_base[i] >= 0)
            if fits and in_now[i] >= 0:
                fits = pairs_copy(starts_now, imsis_now, <uint64_t>in_now[i], <uint64_t>in_now[i] + 1,
                                  starts, imsis, &imei, &pair)
            if not fits:
                break
        until = starts_base.shape[0] - 1
        fits = fits and pairs_copy(starts_base, imsis_base, row, until, starts, imsis, &imei, &pair)
        fits = fits and imei + 1 == <uint64_t>starts.shape[0] and pair == <uint64_t>imsis.shape[0]
        if fits:
            starts[imei] = <uint32_t>pair
    if not fits:
        raise ValueError("pairs: expected those of each IMEI in order, got others")
