"""The frozen index over bytes: build from ascending keys, contains, rank, read in order.

The design is in c/index.h, c/lines.h and c/spill.h. Arrays built here and arrays of a file are used
alike: `FrozenIndex.sections` gives them out, `FrozenIndex.from_sections` takes them in.
"""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove, memset

import numpy as np

from imeiset._native.background cimport run
from imeiset._native.parse cimport parse_error, parse_object, simd_number

from imeiset._native.parse import simd_wanted

from imeiset.errors import SnapshotBounds

cdef extern from "Python.h":
    ctypedef struct PyASCIIObject:
        pass
    bint PyUnicode_IS_COMPACT_ASCII(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)

cdef extern from "c/simd.h" nogil:
    const char* const* simd_names

cdef extern from "c/merge.h" nogil:
    enum: BUILD_OK, BUILD_NO_MEMORY, BUILD_NOT_ASCENDING, BUILD_OUT_OF_RANGE, BUILD_TOO_LARGE, BUILD_DAMAGED
    enum: SERIALS, LINE_BYTES, RANK_BYTES, RANK_LINES, MAX_LINES, RUN_MIN, OP_AND, OP_SUB, COMBINE_DAMAGED
    const uint64_t KEYS
    struct index:
        const uint8_t* pilots
        const uint64_t* slots
        const uint32_t* tacs
        const uint8_t* lines
        const uint8_t* ranks
        const uint8_t* spill
        const int64_t* fences
        const uint64_t* spill_ranks
        uint32_t pilot_count, slot_count, tac_count, multiplier
        uint64_t line_count, spill_count, count
    struct bytes:
        uint8_t* data
        size_t used, room, drained
    struct builder:
        bytes pilots, slots, tacs, lines, ranks, spill, fences, spill_ranks
        uint32_t seed
        uint64_t count, run_min
        int status
    struct reader:
        pass
    void index_init() noexcept
    void index_without_lines(index*) noexcept
    uint32_t seed_multiplier(uint32_t) noexcept
    uint64_t fences_layout(index*, uint64_t) noexcept
    int builder_init(builder*) noexcept
    void builder_free(builder*) noexcept
    int builder_add(builder*, uint64_t, uint64_t) noexcept
    int builder_add_keys(builder*, const uint64_t*, size_t) noexcept
    int builder_finish(builder*) noexcept
    uint8_t* bytes_more(bytes*, size_t) noexcept
    void bytes_drained(bytes*) noexcept
    uint64_t rank_key(const index*, uint64_t) noexcept
    void reader_init(reader*, const index*, bint) noexcept
    size_t reader_keys(reader*, uint64_t*, size_t) noexcept
    size_t reader_runs(reader*, uint64_t*, uint64_t*, size_t) noexcept
    int combine(const index*, const index*, int, builder*) noexcept

cdef extern from "c/lookups.h" nogil:
    struct index_kernels:
        void (*contains)(const index*, const uint64_t*, size_t, uint8_t*) noexcept nogil
        int (*contains_parts)(const index*, uint32_t, uint32_t) noexcept nogil
        int (*contains_text)(const index*, const uint8_t*, size_t) noexcept nogil
        void (*positions)(const index*, const uint64_t*, size_t, int64_t*) noexcept nogil
    const index_kernels* index_levels

cdef extern from "c/patch.h" nogil:
    int patch(const index*, const index*, builder*) noexcept

cdef extern from "c/diff.h" nogil:
    int difference(const index*, const index*, uint64_t, uint64_t, bytes*) noexcept

cdef extern from "c/encode.h" nogil:
    enum: ENCODED_KEY, ENCODED_RUN, ENCODED_ROOM
    struct encoder:
        pass
    uint8_t* encode_keys(encoder*, const uint64_t*, size_t, uint8_t*) noexcept
    uint8_t* encode_runs(encoder*, const uint64_t*, const uint64_t*, size_t, uint8_t*) noexcept
    uint8_t* encode_flush(encoder*, uint8_t*) noexcept

index_init()

cdef int _level
cdef const index_kernels* _kernels


def simd_level():
    """The level in use."""
    return simd_names[_level].decode()


def use_simd(str name not None, /):
    """Use that level from now on, in every thread: for tests and measurements."""
    global _level, _kernels
    _level = simd_number(name)
    _kernels = &index_levels[_level]


use_simd(simd_wanted())

# The sections in file order. The first holds numbers, the others are the arrays of `struct index`.
SECTIONS = ("meta", "pilots", "slots", "tacs", "lines", "ranks", "spill", "fences", "spranks")
META = 8  # uint64 numbers in the first section: layout, count, seed, and zeros
LAYOUT = 1  # the layout of the arrays; another number is another format


@cython.final
cdef class _Memory:
    """Bytes of a builder, moved to a 64-byte boundary, freed with the last view of them."""

    cdef uint8_t* block
    cdef uint8_t* data
    cdef Py_ssize_t size

    @staticmethod
    cdef _Memory take(bytes* array):
        cdef _Memory self = _Memory.__new__(_Memory)
        cdef size_t used = array.used
        cdef uint8_t* shrunk
        with nogil:  # it takes a ms for some MB
            shrunk = <uint8_t*>realloc(array.data, used + 128)
            if shrunk != NULL:
                memset(array, 0, sizeof(bytes))
                self.block = shrunk
                self.data = <uint8_t*>((<uintptr_t>shrunk + 63) & ~<uintptr_t>63)
                self.size = used
                memmove(self.data, shrunk, used)
        if shrunk == NULL:
            raise MemoryError
        return self

    def __dealloc__(self):
        with nogil:  # a page at a time goes back
            free(self.block)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.data, self.size, 1, flags)


cdef int raise_build(int status) except -1:
    if status == BUILD_NO_MEMORY:
        raise MemoryError("no memory left to build the index")
    if status == BUILD_NOT_ASCENDING:
        raise ValueError("keys: expected ascending order, got one below the one before")
    if status == BUILD_OUT_OF_RANGE:
        raise ValueError(f"keys: expected 0 to {KEYS - 1}, got one outside or a range that ends too early")
    if status == BUILD_TOO_LARGE:
        raise OverflowError(f"index: expected at most {MAX_LINES} lines of {LINE_BYTES} bytes, got more")
    return 0


cdef int raise_damaged(bint damaged) except -1:
    """Only an index from a damaged file, opened without `verify`, gets here."""
    if damaged:
        raise SnapshotBounds("an open set", "as many members as it says, in order, below 10**14", "others")
    return 0


cdef tuple take_arrays(builder* b):
    """The sections of a finished builder, which keeps none of them."""
    cdef uint64_t[::1] meta
    raise_build(b.status)
    numbers = np.zeros(META, np.uint64)
    meta = numbers
    meta[0], meta[1], meta[2] = LAYOUT, b.count, b.seed
    numbers.setflags(write=False)
    return (
        numbers, _Memory.take(&b.pilots), _Memory.take(&b.slots), _Memory.take(&b.tacs),
        _Memory.take(&b.lines), _Memory.take(&b.ranks), _Memory.take(&b.spill),
        _Memory.take(&b.fences), _Memory.take(&b.spill_ranks),
    )


cdef tuple empty_arrays():
    cdef builder b
    if builder_init(&b) == BUILD_OK:
        builder_finish(&b)
    try:
        return take_arrays(&b)
    finally:
        builder_free(&b)


cdef tuple _EMPTY = empty_arrays()  # shared by every empty index


cdef class FrozenIndex:
    """An exact, immutable set of keys below 10**14; safe to use from any number of threads.

    What `ImeiSet` is made of. `FrozenIndex()` is the empty set; it never changes.
    """

    cdef index ix
    cdef tuple views  # keeps the memory of the arrays

    def __cinit__(self, *given):
        if given:  # never the empty set in place of what was meant
            raise TypeError(f"expected no arguments, got {len(given)}")
        self.attach(_EMPTY)

    cdef int adopt(self, builder* b) except -1:
        """Take over the arrays of a finished builder; frees it, whatever happens."""
        try:
            self.attach(take_arrays(b))
        finally:
            builder_free(b)
        return 0

    cdef int attach(self, tuple sections) except -1:
        """Point at the sections, after checking everything that a lookup relies on. O(1)."""
        cdef const uint8_t[::1] view
        cdef uint8_t* data[9]
        cdef Py_ssize_t size[9]
        cdef uint64_t meta[3]
        cdef index ix
        cdef int i
        views = []
        memset(&ix, 0, sizeof(ix))
        for i, (name, section) in enumerate(zip(SECTIONS, sections, strict=True)):
            given = memoryview(section)
            if not given.c_contiguous:
                raise ValueError(f"section {name}: expected contiguous memory, got strides {given.strides}")
            views.append(given.cast("B") if given.nbytes else memoryview(b""))
            size[i] = len(views[i])
            data[i] = NULL
            if size[i]:
                view = views[i]
                data[i] = <uint8_t*>&view[0]
            unit = (META * 8, 1, 8, 4, LINE_BYTES, RANK_BYTES, LINE_BYTES, 8, 8)[i]
            if size[i] % unit:
                raise ValueError(f"section {name}: expected a multiple of {unit} bytes, got {size[i]}")
            if <uintptr_t>data[i] % 8:  # lines want 64, and are only slower without
                raise ValueError(f"section {name}: expected 8-byte alignment, got {<uintptr_t>data[i]:#x}")
        if size[0] != META * 8:
            raise ValueError(f"section meta: expected {META * 8} bytes, got {size[0]}")
        memcpy(meta, data[0], sizeof(meta))
        if meta[0] != LAYOUT:
            raise ValueError(f"layout: expected {LAYOUT}, got {meta[0]}")
        if meta[1] > KEYS:
            raise ValueError(f"count: expected at most {KEYS}, got {meta[1]}")
        if meta[2] >= 1 << 32:
            raise ValueError(f"seed: expected 32 bits, got {meta[2]}")
        for i in range(1, 4):
            if size[i] >= 1 << 31:
                raise ValueError(f"section {SECTIONS[i]}: expected less than 2 GiB, got {size[i]} bytes")
        ix.count, ix.multiplier = meta[1], seed_multiplier(meta[2])
        ix.pilots, ix.pilot_count = data[1], size[1]
        ix.slots, ix.slot_count = <const uint64_t*>data[2], size[2] // 8
        ix.tacs, ix.tac_count = <const uint32_t*>data[3], size[3] // 4
        ix.lines, ix.line_count = data[4], size[4] // LINE_BYTES
        ix.ranks, ix.spill, ix.fences = data[5], data[6], <const int64_t*>data[7]
        ix.spill_count, ix.spill_ranks = size[6] // LINE_BYTES, <const uint64_t*>data[8]
        if ix.pilot_count == 0 or ix.slot_count == 0:
            raise ValueError("directory: expected at least one pilot and one slot, got none")
        if ix.line_count == 0 and ix.tac_count:
            raise ValueError(f"section tacs: expected none where there are no lines, got {ix.tac_count}")
        for i, expected in (
            (5, (ix.line_count // RANK_LINES + 1) * RANK_BYTES),
            (7, fences_layout(&ix, ix.spill_count) * 8),
            (8, (ix.spill_count + 7) // 8 * 8),
        ):
            if <uint64_t>size[i] != <uint64_t>expected:
                raise ValueError(f"section {SECTIONS[i]}: expected {expected} bytes, got {size[i]}")
        if ix.line_count == 0:
            index_without_lines(&ix)
        self.ix = ix
        self.views = tuple(views)
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
            self.attach(take_arrays(&b))
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
        cdef size_t i, n = lows.shape[0]
        if highs.shape[0] != lows.shape[0]:
            raise ValueError(f"highs: expected {lows.shape[0]}, as many as lows, got {highs.shape[0]}")
        with nogil:
            if builder_init(&b) == BUILD_OK:
                for i in range(n):
                    if builder_add(&b, lows[i], highs[i] - lows[i] + 1 if highs[i] >= lows[i] else 0):
                        break
                else:
                    builder_finish(&b)
        self.adopt(&b)
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
    def patched(cls, FrozenIndex index not None, FrozenIndex flips not None):
        """index ^ flips, where flips has few keys: what does not change is copied; O(lines and spill)."""
        return made_of(cls, index, flips, PATCH, RUN_MIN)

    @classmethod
    def from_sections(cls, sections, /):
        """The index over the buffers of a mapping by name (SECTIONS); nothing is copied. O(1).

        Raises ValueError, saying which number is not what a lookup needs. The contents are not
        looked at: rubbish gives wrong answers, never a read outside the buffers.
        """
        cdef FrozenIndex self = FrozenIndex.__new__(cls)
        for name in SECTIONS:
            if name not in sections:
                raise ValueError(f"sections: expected {name}, got none of that name")
        self.attach(tuple(sections[name] for name in SECTIONS))
        return self

    def sections(self):
        """(name, memoryview of bytes) of every section, in file order. The same keys give the same bytes."""
        return list(zip(SECTIONS, self.views, strict=True))

    # ---- asking ----------------------------------------------------------------

    @property
    def nbytes(self):
        """Bytes of the set, in memory or mapped."""
        return sum(view.nbytes for view in self.views)

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
        """out[i] = 1 if keys[i] is in the set, else 0; any number where keys[i] is not below 10**14."""
        cdef size_t n = keys.shape[0]
        if out.shape[0] != keys.shape[0]:
            raise ValueError(f"out: expected {n} bytes, got {out.shape[0]}")
        if n:
            with nogil:
                _kernels.contains(&self.ix, &keys[0], n, &out[0])

    def positions_of_keys(self, const uint64_t[::1] keys not None, int64_t[::1] out not None):
        """out[i] = how many keys of the set are below keys[i], or -1 if keys[i] is not in the set."""
        cdef size_t n = keys.shape[0]
        if out.shape[0] != keys.shape[0]:
            raise ValueError(f"out: expected {n} numbers, got {out.shape[0]}")
        if n:
            with nogil:
                _kernels.positions(&self.ix, &keys[0], n, &out[0])

    def ranks(self, const uint64_t[::1] keys not None, int64_t[::1] out not None):
        """out[i] = how many keys of the set are below keys[i]."""
        cdef size_t i, n = keys.shape[0]
        if out.shape[0] != keys.shape[0]:
            raise ValueError(f"out: expected {n} numbers, got {out.shape[0]}")
        with nogil:
            for i in range(n):
                out[i] = <int64_t>rank_key(&self.ix, keys[i])

    def select(self, uint64_t position):
        """The key that has `position` keys of the set below it. Raises IndexError past the end."""
        cdef uint64_t low = 0, high = KEYS - 1, middle
        if position >= self.ix.count:
            raise IndexError(f"position: expected less than {self.ix.count}, got {position}")
        while low < high:  # the least key with more than `position` keys at or below it
            middle = (low + high) // 2
            if rank_key(&self.ix, middle + 1) > position:
                high = middle
            else:
                low = middle + 1
        return low

    def reader(self, *, bint spill_only=False):
        """A Reader at the first key. spill_only: of the spill, leaving out the keys in lines."""
        return Reader(self, spill_only)

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
                np.frombuffer(_Memory.take(&only[i]), np.uint64).reshape(-1, 2) if only[i].used
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
        self.adopt(&one.to)
    finally:
        builder_free(&one.to)
    return self


cdef const void* index_pointer(object index) except NULL:
    if not isinstance(index, FrozenIndex):
        raise TypeError(f"expected an index, got {type(index).__name__}")
    return &(<FrozenIndex>index).ix


cdef inline bint contains_key(const index* ix, uint64_t key) noexcept nogil:
    key = min(key, KEYS)
    return _kernels.contains_parts(ix, <uint32_t>(key // SERIALS), <uint32_t>(key % SERIALS)) != 0


cdef bint index_has(const void* pointer, uint64_t key) noexcept nogil:
    return contains_key(<const index*>pointer, key)


cdef void index_have(const void* pointer, const uint64_t* keys, size_t n, uint8_t* out) noexcept nogil:
    _kernels.contains(<const index*>pointer, keys, n, out)


cdef void index_positions(const void* pointer, const uint64_t* keys, size_t n, int64_t* out) noexcept nogil:
    _kernels.positions(<const index*>pointer, keys, n, out)


@cython.final
cdef class Reader:
    """Reads an index in order, from the first key. Not for use from two threads at once."""

    cdef FrozenIndex index
    cdef reader state

    def __cinit__(self, FrozenIndex index not None, bint spill_only=False):
        self.index = index
        reader_init(&self.state, &index.ix, spill_only)

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

    def runs(self, const uint64_t[::1] lows not None, const uint64_t[::1] highs not None):
        """What the next ascending inclusive runs add, valid until the next call."""
        cdef size_t n = min(lows.shape[0], highs.shape[0])
        cdef uint8_t* start = self.more(n * ENCODED_RUN + ENCODED_RUN)
        cdef uint8_t* end = start
        if n:
            with nogil:
                end = encode_runs(&self.state, &lows[0], &highs[0], n, start)
        return self.room[: end - start].data

    def finish(self):
        """What is left."""
        cdef uint8_t* start = self.more(ENCODED_RUN)
        return self.room[: encode_flush(&self.state, start) - start].data


DRAIN = 1 << 22  # bytes of lines kept in memory by a Builder


@cython.final
cdef class Builder:
    """An index from runs that come in pieces; its lines, nearly all of it, go to two files as they are made.

    lines, spill: unbuffered files to write to. Memory: some MB, and about 4% of the index.
    """

    cdef builder to
    cdef object files
    cdef bint finished

    def __cinit__(self, lines, spill):
        self.files = (lines, spill)
        raise_build(builder_init(&self.to))

    def __dealloc__(self):
        builder_free(&self.to)

    def add(self, const uint64_t[::1] lows not None, const uint64_t[::1] highs not None):
        """Add inclusive ranges, ascending, above all before and not overlapping. Raises ValueError."""
        cdef size_t i, n = lows.shape[0]
        if highs.shape[0] != lows.shape[0]:
            raise ValueError(f"highs: expected {lows.shape[0]}, as many as lows, got {highs.shape[0]}")
        if self.finished:
            raise ValueError("expected a builder that is not finished")
        with nogil:
            for i in range(n):
                if builder_add(&self.to, lows[i], highs[i] - lows[i] + 1 if highs[i] >= lows[i] else 0):
                    break
        raise_build(self.to.status)
        if self.to.lines.used + self.to.spill.used >= DRAIN:
            self.drain()

    cdef int drain(self) except -1:
        cdef bytes* array
        cdef size_t done
        for i, file in enumerate(self.files):
            array = &self.to.spill if i else &self.to.lines
            done = 0
            while done < array.used:
                done += file.write(<uint8_t[:array.used - done]>(array.data + done))
            bytes_drained(array)
        return 0

    def finish(self):
        """How many members there are, and (name, buffer) of every section but the two in the files."""
        if self.finished:
            raise ValueError("expected a builder that is not finished")
        self.finished = True
        with nogil:
            builder_finish(&self.to)
        raise_build(self.to.status)
        self.drain()
        sections = dict(zip(SECTIONS, take_arrays(&self.to), strict=True))
        return self.to.count, [(name, sections[name]) for name in SECTIONS if name not in ("lines", "spill")]
