"""The sections of a frozen index: checked and looked into, or made in memory and in files.

c/index.h has the layout of each. Arrays made here and arrays of a file are used alike.
"""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove, memset

from imeiset._native.types cimport expect_rows

import numpy as np

index_init()

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

    def __dealloc__(self):
        with nogil:  # a page at a time goes back
            free(self.block)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.data, self.size, 1, flags)


cdef object take_bytes(bytes* array):
    cdef _Memory taken = _Memory.__new__(_Memory)
    cdef size_t used = array.used
    cdef uint8_t* shrunk
    with nogil:  # it takes a ms for some MB
        shrunk = <uint8_t*>realloc(array.data, used + 128)
        if shrunk != NULL:
            memset(array, 0, sizeof(bytes))
            taken.block = shrunk
            taken.data = <uint8_t*>((<uintptr_t>shrunk + 63) & ~<uintptr_t>63)
            taken.size = used
            memmove(taken.data, shrunk, used)
    if shrunk == NULL:
        raise MemoryError
    return taken


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


cdef int add_runs(builder* b, const uint64_t[::1] lows, const uint64_t[::1] highs) except -1:
    cdef size_t i, n = lows.shape[0]
    expect_rows("highs", lows.shape[0], highs.shape[0])
    with nogil:
        for i in range(n):
            if builder_add(b, lows[i], highs[i] - lows[i] + 1 if highs[i] >= lows[i] else 0):
                break
    return raise_build(b.status)


cdef tuple take_sections(builder* b):
    cdef uint64_t[::1] meta
    raise_build(b.status)
    numbers = np.zeros(META, np.uint64)
    meta = numbers
    meta[0], meta[1], meta[2] = LAYOUT, b.count, b.seed
    numbers.setflags(write=False)
    return (
        numbers, take_bytes(&b.pilots), take_bytes(&b.slots), take_bytes(&b.tacs),
        take_bytes(&b.lines), take_bytes(&b.ranks), take_bytes(&b.spill),
        take_bytes(&b.fences), take_bytes(&b.spill_ranks),
    )


cdef tuple attach_sections(index* to, tuple sections):
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
    to[0] = ix
    return tuple(views)


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
        if self.finished:
            raise ValueError("expected a builder that is not finished")
        add_runs(&self.to, lows, highs)
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
        sections = dict(zip(SECTIONS, take_sections(&self.to), strict=True))
        return self.to.count, [(name, sections[name]) for name in SECTIONS if name not in ("lines", "spill")]
