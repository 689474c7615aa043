"""The frozen index over bytes: build from ascending keys, contains, rank, read in order.

The design is in c/index.h, c/lines.h and c/spill.h. Arrays built here and arrays of a file are used
alike: `FrozenIndex.sections` gives them out, `FrozenIndex.from_sections` takes them in.
"""

cimport cython
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memset

import numpy as np

from imeiset._native.types cimport expect_rows
from imeiset._native.background cimport run
from imeiset._native.parse cimport parse_error, parse_object
from imeiset._native.payload cimport (
    BUILD_DAMAGED, BUILD_NOT_ASCENDING, BUILD_OK, BUILD_OUT_OF_RANGE, KEYS, add_runs, attach_sections,
    builder, builder_finish, builder_free, builder_init, bytes, index, index_init, raise_build, take_bytes,
    take_sections,
)
from imeiset._native.simd cimport simd_follow

from imeiset._native.payload import SECTIONS as _SECTIONS

from imeiset.errors import SnapshotBounds

cdef extern from "Python.h":
    ctypedef struct PyASCIIObject:
        pass
    bint PyUnicode_IS_COMPACT_ASCII(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)

cdef extern from "c/merge.h" nogil:
    enum: SERIALS, RUN_MIN, OP_AND, OP_SUB, COMBINE_DAMAGED
    struct reader:
        pass
    int builder_add_keys(builder*, const uint64_t*, size_t) noexcept
    void reader_init(reader*, const index*, bint) noexcept
    size_t reader_keys(reader*, uint64_t*, size_t) noexcept
    size_t reader_runs(reader*, uint64_t*, uint64_t*, size_t) noexcept
    int combine(const index*, const index*, int, builder*) noexcept

cdef extern from "c/hashed.h" nogil:
    enum: HASHED_KEYS
    struct hashed:
        pass
    struct beside:
        hashed* hashed
    void hashed_free(hashed*) noexcept
    size_t hashed_bytes(const beside*) noexcept

cdef extern from "c/kernels.h" nogil:
    struct column:
        pass
    struct index_kernels:
        bint (*contains)(const index*, const uint64_t*, size_t, uint8_t*) noexcept nogil
        int (*contains_parts)(const index*, uint32_t, uint32_t) noexcept nogil
        int (*contains_text)(const index*, const uint8_t*, size_t) noexcept nogil
        void (*positions)(const index*, const uint64_t*, size_t, int64_t*) noexcept nogil
        void (*ranks)(const index*, const uint64_t*, size_t, uint64_t*) noexcept nogil
        uint64_t (*rank)(const index*, uint64_t) noexcept nogil
        uint64_t (*contains_each)(const index* const*, uint32_t, uint64_t) noexcept nogil
        void (*rank_each)(const index* const*, uint32_t, uint64_t, uint64_t*) noexcept nogil
        void (*bytes_of)(
            const index*, const uint8_t*, uint64_t, const uint64_t*, size_t, uint8_t*, uint8_t*
        ) noexcept nogil
        int (*byte_of)(const index*, const uint8_t*, uint64_t, uint64_t) noexcept nogil
        void (*codes_of)(const index*, const column*, uint64_t, uint32_t*) noexcept nogil
    const index_kernels* index_levels

cdef extern from "c/patch.h" nogil:
    int patch(const index*, const index*, builder*) noexcept

cdef extern from "c/diff.h" nogil:
    int difference(const index*, const index*, uint64_t, uint64_t, bytes*) noexcept

cdef extern from "c/deciders.h" nogil:
    enum: SPILL_ENTRIES
    struct deciders:
        uint64_t (*rank)(const index*, uint64_t) noexcept nogil
    uint64_t places_count(const index*) noexcept
    void deciders_make(deciders*) noexcept

cdef extern from "c/encode.h" nogil:
    enum: ENCODED_KEY, ENCODED_RUN, ENCODED_ROOM
    struct encoder:
        pass
    uint8_t* encode_keys(encoder*, const uint64_t*, size_t, uint8_t*) noexcept
    uint8_t* encode_runs(
        encoder*, const uint64_t*, const uint64_t*, size_t, const uint64_t*, size_t, uint8_t*
    ) noexcept
    uint8_t* encode_flush(encoder*, uint8_t*) noexcept

index_init()

cdef enum:
    SHORT = 128  # rows of which each may be asked for by itself

cdef object _ndarray = np.ndarray, _empty = np.empty
cdef object _BOOL = np.dtype(np.bool_), _UINT64 = np.dtype(np.uint64), _INT64 = np.dtype(np.int64)

cdef const index_kernels* _kernels


cdef void _choose(int level) noexcept:
    global _kernels
    _kernels = &index_levels[level]


simd_follow(_choose)

cdef int raise_damaged(bint damaged) except -1:
    """Only an index from a damaged file, opened without `verify`, gets here."""
    if damaged:
        raise SnapshotBounds("an open set", "as many members as it says, in order, below 10**14", "others")
    return 0


cdef tuple empty_sections():
    cdef builder b
    if builder_init(&b) == BUILD_OK:
        builder_finish(&b)
    try:
        return take_sections(&b)
    finally:
        builder_free(&b)


cdef tuple _EMPTY = empty_sections()  # shared by every empty index


cdef class FrozenIndex:
    """An exact, immutable set of keys below 10**14; safe to use from any number of threads.

    What `ImeiSet` is made of. `FrozenIndex()` is the empty set; it never changes.
    """

    cdef index ix
    cdef beside beside
    cdef tuple views  # keeps the memory of the arrays

    def __cinit__(self, *given):
        if given:  # never the empty set in place of what was meant
            raise TypeError(f"expected no arguments, got {len(given)}")
        self.attach(_EMPTY)

    def __dealloc__(self):
        hashed_free(self.beside.hashed)

    cdef int attach(self, tuple sections) except -1:
        self.views = attach_sections(&self.ix, sections)
        if 0 < self.ix.count <= HASHED_KEYS:
            self.ix.beside = &self.beside
        return 0

    # ---- making ----------------------------------------------------------------

    @classmethod
    def from_sorted(cls, parts, /):
        """Of uint64 arrays that one after another are ascending keys below 10**14, repeats allowed; O(n).

        Each is added before the next is asked for. Raises ValueError for keys out of order or too large.
        """
        cdef FrozenIndex self = FrozenIndex.__new__(cls)
        cdef const uint64_t[::1] keys
        cdef builder b
        builder_init(&b)
        try:
            for keys in parts:
                if keys is None:
                    raise TypeError("parts: expected arrays of uint64, got None")
                if b.status:
                    break
                if keys.shape[0]:
                    with nogil:
                        builder_add_keys(&b, &keys[0], keys.shape[0])
            if b.status == BUILD_OK:
                with nogil:
                    builder_finish(&b)
            self.attach(take_sections(&b))
        finally:
            builder_free(&b)
        return self

    @classmethod
    def from_runs(cls, const uint64_t[::1] lows not None, const uint64_t[::1] highs not None):
        """Of ascending inclusive ranges that do not overlap; O(n) in the ranges.

        Raises ValueError for ranges out of order, overlapping, empty or too large.
        """
        cdef FrozenIndex self = FrozenIndex.__new__(cls)
        cdef builder b
        try:
            raise_build(builder_init(&b))
            add_runs(&b, lows, highs)
            with nogil:
                builder_finish(&b)
            self.attach(take_sections(&b))
        finally:
            builder_free(&b)
        return self

    @classmethod
    def combine(cls, FrozenIndex a not None, FrozenIndex b not None, int op, uint64_t run_min=RUN_MIN):
        """a | b (op 0), a & b (1), a - b (2) or a ^ b (3), in one sweep; O(runs of a and b).

        Raises SnapshotBounds where a or b is found to be damaged.
        run_min: the fewest keys, 1 to 32, of a run that is kept as one, in the spill: fewer bytes for sets
        of short runs, and slower lookups near them.
        """
        if not 0 <= op <= 3:
            raise ValueError(f"op: expected 0 to 3, got {op}")
        if not 1 <= run_min <= RUN_MIN:
            raise ValueError(f"run_min: expected 1 to {RUN_MIN}, got {run_min}")
        return made_of(cls, a, b, op, run_min)

    @classmethod
    def patched(cls, FrozenIndex base not None, FrozenIndex flips not None):
        """base ^ flips, where flips has few keys: what does not change is copied; O(lines and spill)."""
        return made_of(cls, base, flips, PATCH, RUN_MIN)

    @classmethod
    def from_sections(cls, sections, /):
        """The index over the buffers of a mapping by name (`payload.SECTIONS`); nothing is copied. O(1).

        Raises ValueError, saying which number is not what a lookup needs. The contents are not
        looked at: rubbish gives wrong answers, never a read outside the buffers.
        """
        cdef FrozenIndex self = FrozenIndex.__new__(cls)
        for name in _SECTIONS:
            if name not in sections:
                raise ValueError(f"sections: expected {name}, got none of that name")
        self.attach(tuple([sections[name] for name in _SECTIONS]))
        return self

    def sections(self):
        """(name, memoryview of bytes) of every section, in file order. The same keys give the same bytes."""
        return list(zip(_SECTIONS, self.views, strict=True))

    # ---- asking ----------------------------------------------------------------

    @property
    def nbytes(self):
        """Bytes of the set, in memory or mapped."""
        return sum([view.nbytes for view in self.views])

    @property
    def hashed_nbytes(self):
        """Bytes of the hash table that a small set has for batches once it was asked enough, else 0."""
        return hashed_bytes(&self.beside)

    def __len__(self):
        return self.ix.count

    def __contains__(self, value):
        """Is this IMEI in the set? str, bytes, an integer key or an Imei. Raises ImeiError."""
        cdef int answer
        if PyUnicode_CheckExact(value) and PyUnicode_IS_COMPACT_ASCII(value):  # its text follows the header
            answer = _kernels.contains_text(
                &self.ix, <const uint8_t*><void*>value + sizeof(PyASCIIObject), PyUnicode_GET_LENGTH(value)
            )
            if answer >= 0:
                return answer  # nearly always
        return self.contains_any(value)

    cdef bint contains_any(self, value) except -1:
        cdef uint64_t key = 0
        cdef uint8_t status = parse_object(value, &key)
        if status:
            return self._contains_malformed(value, status)
        return contains_key(&self.ix, key)

    def _contains_malformed(self, value, uint8_t status, /):
        """What `in` says of a value that is no IMEI: here, ImeiError."""
        raise parse_error(status, value, -1)

    def contains_keys(self, const uint64_t[::1] keys not None, uint8_t[::1] out not None):
        """out[i] = 1 if keys[i] is in the set, else 0; any number where keys[i] is not below 10**14. Returns
        whether all are."""
        cdef size_t n = keys.shape[0]
        cdef bint good = True
        expect_rows("out", keys.shape[0], out.shape[0])
        if n:
            with nogil:
                good = _kernels.contains(&self.ix, &keys[0], n, &out[0])
        return good

    def contains_at_once(self, column, /):
        """Which rows of a column are in the set, as bool[n], where that takes no preparation: of an array of
        uint64 or int64 that are all keys, and of a short column of IMEIs in a list, a tuple or an array of
        texts. None of another column."""
        if type(column) is _ndarray:
            if column.dtype is _UINT64 or column.dtype is _INT64:
                return self.contains_array(column)
            if column.dtype.kind not in "SU" or column.ndim != 1:
                return None
            if len(column) <= SHORT:
                return self.contains_items(tuple(column.tolist()))
        elif (type(column) is list or type(column) is tuple) and len(column) <= SHORT:
            return self.contains_items(tuple(column))
        return None

    cdef object contains_array(self, column):
        cdef Py_buffer keys, out
        cdef const uint64_t* asked
        cdef uint8_t* found
        cdef size_t n
        cdef bint good
        try:
            PyObject_GetBuffer(column, &keys, PyBUF_C_CONTIGUOUS)
        except ValueError:  # it is not contiguous
            return None
        try:
            if keys.ndim != 1 or <uintptr_t>keys.buf % sizeof(uint64_t):
                return None
            answers = _empty(keys.shape[0], _BOOL)
            PyObject_GetBuffer(answers, &out, PyBUF_WRITABLE)
            n, asked, found = keys.shape[0], <const uint64_t*>keys.buf, <uint8_t*>out.buf
            if n <= SHORT:  # to have the interpreter back may take longer
                good = _kernels.contains(&self.ix, asked, n, found)
            else:
                with nogil:
                    good = _kernels.contains(&self.ix, asked, n, found)
            PyBuffer_Release(&out)
            return answers if good else None
        finally:
            PyBuffer_Release(&keys)

    cdef object contains_items(self, tuple items):
        cdef uint64_t keys[SHORT]
        cdef Py_ssize_t i, n = len(items)
        cdef Py_buffer out
        if n > SHORT:  # a list may have grown
            return None
        for i in range(n):
            if parse_object(items[i], &keys[i]):
                return None
        answers = _empty(n, _BOOL)
        PyObject_GetBuffer(answers, &out, PyBUF_WRITABLE)
        _kernels.contains(&self.ix, keys, n, <uint8_t*>out.buf)
        PyBuffer_Release(&out)
        return answers

    def positions_of_keys(self, const uint64_t[::1] keys not None, int64_t[::1] out not None):
        """out[i] = how many keys of the set are below keys[i], or -1 if keys[i] is not in the set."""
        cdef size_t n = keys.shape[0]
        expect_rows("out", keys.shape[0], out.shape[0])
        if n:
            with nogil:
                _kernels.positions(&self.ix, &keys[0], n, &out[0])

    def position_of_key(self, uint64_t key, /):
        """The position of a key, -1 where it is not in the index."""
        return <int64_t>_kernels.rank(&self.ix, key) if contains_key(&self.ix, key) else -1

    def ranks(self, const uint64_t[::1] keys not None, int64_t[::1] out not None):
        """out[i] = how many keys of the set are below keys[i]."""
        cdef size_t n = keys.shape[0]
        expect_rows("out", keys.shape[0], out.shape[0])
        if n:
            with nogil:
                _kernels.ranks(&self.ix, &keys[0], n, <uint64_t*>&out[0])

    def select(self, uint64_t position):
        """The key that has `position` keys of the set below it. Raises IndexError past the end."""
        cdef uint64_t low = 0, high = KEYS - 1, middle
        if position >= self.ix.count:
            raise IndexError(f"position: expected less than {self.ix.count}, got {position}")
        while low < high:  # the least key with more than `position` keys at or below it
            middle = (low + high) // 2
            if _kernels.rank(&self.ix, middle + 1) > position:
                high = middle
            else:
                low = middle + 1
        return low

    def reader(self, *, bint spill_only=False):
        """An IndexReader at the first key. spill_only: of the spill, leaving out the keys in lines."""
        return IndexReader(self, spill_only)

    def line_tacs(self):
        """The TACs that have lines, ascending, as a read-only uint32 array."""
        return np.frombuffer(self.views[3], np.uint32)

    def difference_of_tacs(self, FrozenIndex other not None, uint64_t tac, uint64_t end):
        """Of the keys of the TACs from `tac` up to `end`, those that only this set has and those that only
        the other has: each uint64[n, 2], the lowest and highest keys of runs that do not touch. What is equal
        is skipped at the speed of memory. In a damaged index, any numbers.
        """
        cdef bytes only[2]
        cdef int status
        if not tac <= end <= KEYS // 10**6:
            raise ValueError(f"TACs: expected an ascending span up to {KEYS // 10**6}, got {tac} to {end}")
        memset(only, 0, sizeof(only))
        with nogil:
            status = difference(&self.ix, &other.ix, tac, end, only)
        try:
            raise_build(status)
            return tuple([
                np.frombuffer(take_bytes(&only[i]), np.uint64).reshape(-1, 2) if only[i].used
                else np.empty((0, 2), np.uint64) for i in range(2)
            ])
        finally:
            free(only[0].data)
            free(only[1].data)

    def shares_any(self, FrozenIndex other not None):
        """Is a key in both? Stops at the first."""
        cdef int any
        with nogil:
            any = combine(&self.ix, &other.ix, OP_AND, NULL)
        raise_damaged(any == COMBINE_DAMAGED)
        return any != 0

    def lacks_any(self, FrozenIndex other not None):
        """Is a key here that is not in the other? Stops at the first."""
        cdef int any
        with nogil:
            any = combine(&self.ix, &other.ix, OP_SUB, NULL)
        raise_damaged(any == COMBINE_DAMAGED)
        return any != 0


cdef enum:
    PATCH = -1


cdef struct making:  # an index of two
    const index* a
    const index* b
    int op
    uint64_t run_min
    builder to


cdef void make(void* given) noexcept nogil:
    cdef making* one = <making*>given
    if builder_init(&one.to) == BUILD_OK:
        one.to.run_min = one.run_min
        if one.op == PATCH:
            patch(one.a, one.b, &one.to)
        else:
            combine(one.a, one.b, one.op, &one.to)
        if one.to.status == BUILD_OK:
            builder_finish(&one.to)


cdef FrozenIndex made_of(cls, FrozenIndex a, FrozenIndex b, int op, uint64_t run_min):
    cdef FrozenIndex self = FrozenIndex.__new__(cls)
    cdef making one
    one.a, one.b, one.op, one.run_min = &a.ix, &b.ix, op, run_min
    with nogil:
        run(make, &one)
    try:
        raise_damaged(one.to.status in (BUILD_NOT_ASCENDING, BUILD_OUT_OF_RANGE, BUILD_DAMAGED))
        self.attach(take_sections(&one.to))
    finally:
        builder_free(&one.to)
    return self


cdef const void* index_pointer(object given) except NULL:
    if not isinstance(given, FrozenIndex):
        raise TypeError(f"expected an index, got {type(given).__name__}")
    return &(<FrozenIndex>given).ix


cdef inline bint contains_key(const index* ix, uint64_t key) noexcept nogil:
    key = min(key, KEYS)
    return _kernels.contains_parts(ix, <uint32_t>(key // SERIALS), <uint32_t>(key % SERIALS)) != 0


cdef bint index_has(const void* pointer, uint64_t key) noexcept nogil:
    return contains_key(<const index*>pointer, key)


cdef void index_have(const void* pointer, const uint64_t* keys, size_t n, uint8_t* out) noexcept nogil:
    _kernels.contains(<const index*>pointer, keys, n, out)


cdef uint64_t index_each(const void* const* pointers, int n, uint64_t key) noexcept nogil:
    return _kernels.contains_each(<const index* const*>pointers, n, key)


cdef void index_rank_each(const void* const* pointers, int n, uint64_t key, uint64_t* ranks) noexcept nogil:
    _kernels.rank_each(<const index* const*>pointers, n, key, ranks)


cdef uint64_t index_places(object given) except? 0:
    cdef const index* ix = <const index*>index_pointer(given)
    cdef uint64_t count = places_count(ix)
    if count > ix.count + ix.spill_count * SPILL_ENTRIES:
        raise ValueError(f"ranks: expected at most {ix.count} members in lines, got more")
    return count


cdef void decide(void* given) noexcept nogil:
    deciders_make(<deciders*>given)


cdef void index_decide(void* work) noexcept nogil:
    (<deciders*>work).rank = _kernels.rank
    run(decide, work)


cdef void index_bytes(const void* pointer, const uint8_t* column, uint64_t count, const uint64_t* keys,
                      size_t n, uint8_t* found, uint8_t* out) noexcept nogil:
    _kernels.bytes_of(<const index*>pointer, column, count, keys, n, found, out)


cdef int index_byte(const void* pointer, const uint8_t* column, uint64_t count, uint64_t key) noexcept nogil:
    return _kernels.byte_of(<const index*>pointer, column, count, key)


cdef void index_codes(const void* pointer, const void* columns, uint64_t key, uint32_t* codes) noexcept nogil:
    _kernels.codes_of(<const index*>pointer, <const column*>columns, key, codes)


cdef void index_positions(const void* pointer, const uint64_t* keys, size_t n, int64_t* out) noexcept nogil:
    _kernels.positions(<const index*>pointer, keys, n, out)


@cython.final
cdef class IndexReader:
    """Reads an index in order, from the first key. Not for use from two threads at once."""

    cdef FrozenIndex read
    cdef reader state

    def __cinit__(self, FrozenIndex read not None, bint spill_only=False):
        self.read = read
        reader_init(&self.state, &read.ix, spill_only)

    def keys(self, uint64_t[::1] out not None):
        """Fill `out` with the next keys; returns how many, fewer than asked at the end."""
        cdef size_t got = 0, n = out.shape[0]
        if n:
            with nogil:
                got = reader_keys(&self.state, &out[0], n)
        return got

    def runs(self, uint64_t[::1] lows not None, uint64_t[::1] highs not None):
        """Fill with the next runs, inclusive and not touching; returns how many, fewer at the end."""
        cdef size_t got = 0, n = min(lows.shape[0], highs.shape[0])
        if n:
            with nogil:
                got = reader_runs(&self.state, &lows[0], &highs[0], n)
        return got


@cython.final
cdef class Encoder:
    """Runs of keys as the bytes of c/encode.h, whether they come as keys or as runs, and in what pieces."""

    cdef encoder state
    cdef object room

    def __cinit__(self):
        self.room = np.empty(0, np.uint8)

    cdef uint8_t* more(self, size_t size) except NULL:
        cdef uint8_t[::1] view
        if <size_t>len(self.room) < size + ENCODED_ROOM:
            self.room = np.empty(size + ENCODED_ROOM, np.uint8)
        view = self.room
        return &view[0]

    def keys(self, const uint64_t[::1] keys not None):
        """What the next ascending keys add, valid until the next call. Repeats are nothing."""
        cdef size_t n = keys.shape[0]
        cdef uint8_t* start = self.more(n * ENCODED_KEY + ENCODED_KEY)
        cdef uint8_t* end = start
        if n:
            with nogil:
                end = encode_keys(&self.state, &keys[0], n, start)
        return self.room[: end - start].data

    def runs(
        self,
        const uint64_t[::1] lows not None,
        const uint64_t[::1] highs not None,
        const uint64_t[::1] flips=None,
    ):
        """What the next ascending inclusive runs add, valid until the next call. flips: ascending keys; those
        that the runs have are left out, and the others added."""
        cdef size_t n = min(lows.shape[0], highs.shape[0]), m = 0 if flips is None else flips.shape[0]
        cdef uint8_t* start = self.more((n + m) * ENCODED_RUN + ENCODED_RUN)
        cdef uint8_t* end = start
        cdef const uint64_t* low = &lows[0] if n else NULL
        cdef const uint64_t* high = &highs[0] if n else NULL
        cdef const uint64_t* flip = &flips[0] if m else NULL
        with nogil:
            end = encode_runs(&self.state, low, high, n, flip, m, start)
        return self.room[: end - start].data

    def finish(self):
        """What is left."""
        cdef uint8_t* start = self.more(ENCODED_RUN)
        return self.room[: encode_flush(&self.state, start) - start].data
