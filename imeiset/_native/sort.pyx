"""Sorting keys, on one thread or several. How is in c/sort.h."""

cimport cython
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport uint16_t, uint64_t
from libc.string cimport memset

from concurrent.futures import ThreadPoolExecutor

import numpy as np

cdef extern from "c/sort.h" nogil:
    const size_t SORT_BINS, SORT_GROUP
    struct sort_span:
        pass
    struct sort_groups:
        size_t count
        size_t* start
        sort_span* spans
    struct sort_work:
        size_t* bins
        uint16_t* group
        size_t* next
        sort_groups* levels
    size_t sort_ascending(const uint64_t*, size_t) noexcept
    uint64_t sort_differing(const uint64_t*, size_t, uint64_t) noexcept
    sort_span sort_span_of(uint64_t, uint64_t) noexcept
    void sort_count(const uint64_t*, size_t, sort_span, size_t*) noexcept
    void sort_join(const size_t*, size_t, sort_span, uint16_t*, sort_groups*) noexcept
    void sort_scatter(const uint64_t*, size_t, sort_span, const uint16_t*, size_t*, uint64_t*,
                      size_t) noexcept
    void sort_within(uint64_t*, uint64_t*, size_t, bint, sort_span, unsigned, sort_work*) noexcept

PIECE = 1 << 20  # keys that a thread counts and scatters at a time
BATCH = 1 << 18  # keys that are sorted before they are given out


@cython.final
cdef class _Sort:
    """A sort on several threads: each counts and scatters some of the pieces, then batches of groups.

    The first thread's work has the groups of all keys, which the others only read.
    """

    cdef list pieces, free  # free: the threads' works that are not in use
    cdef object result
    cdef uint64_t[::1] out
    cdef size_t threads
    cdef sort_span span
    cdef sort_work* work  # of each thread; the first one's has the groups of all keys

    def __cinit__(self, list pieces, result, size_t threads):
        self.pieces, self.result, self.threads = pieces, result, threads
        self.out, self.free = result, list(range(threads))
        self.work = <sort_work*>PyMem_RawMalloc(threads * sizeof(sort_work))
        if self.work == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_RawFree(self.work)

    def count(self, size_t thread):
        cdef const uint64_t[::1] piece
        memset(self.work[thread].bins, 0, SORT_BINS * sizeof(size_t))
        for piece in self.pieces[thread :: self.threads]:
            with nogil:
                sort_count(&piece[0], piece.shape[0], self.span, self.work[thread].bins)

    cdef void join(self) noexcept nogil:
        """Groups for the keys of all threads, and where each thread's keys of each group go."""
        cdef sort_groups* groups = self.work.levels
        cdef size_t thread, bin, i, bins = SORT_BINS
        for thread in range(self.threads):  # bins: those of all threads up to this one
            for bin in range(bins if thread else 0):
                self.work[thread].bins[bin] += self.work[thread - 1].bins[bin]
        sort_join(self.work[self.threads - 1].bins, self.out.shape[0], self.span, self.work.group, groups)
        for thread in range(self.threads):
            for i in range(groups.count):
                self.work[thread].next[i] = groups.start[i]
            for bin in range(bins if thread else 0):  # the keys of the threads before
                self.work[thread].next[self.work.group[bin]] += self.work[thread - 1].bins[bin]

    def scatter(self, size_t thread):
        cdef const uint64_t[::1] piece
        for piece in self.pieces[thread :: self.threads]:
            with nogil:
                sort_scatter(&piece[0], piece.shape[0], self.span, self.work.group, self.work[thread].next,
                             &self.out[0], self.out.shape[0])

    def scatter_all(self, uint64_t first, uint64_t differ, each):
        """Move all keys to their groups."""
        self.span = sort_span_of(first, differ)
        each(self.count)
        with nogil:
            self.join()
        each(self.scatter)
        self.pieces.clear()

    def batches(self):
        """Where groups of together about BATCH keys begin and end, as numbers of groups."""
        cdef sort_groups* groups = self.work.levels
        cdef size_t i, size = BATCH, begin = 0
        found = []
        for i in range(groups.count):
            if groups.start[i + 1] - groups.start[begin] >= size or i + 1 == groups.count:
                found.append((begin, i + 1))
                begin = i + 1
        return found

    def sort_batch(self, batch):
        """Sort the groups of a batch; returns their keys."""
        cdef sort_groups* groups = self.work.levels
        cdef size_t begin = batch[0], end = batch[1], i, start, largest = 0, n
        cdef uint64_t[::1] other
        for i in range(begin, end):
            n = groups.start[i + 1] - groups.start[i]
            largest = max(largest, n)
        other = np.empty(largest, np.uint64)
        cdef size_t thread = self.free.pop()
        with nogil:
            for i in range(begin, end):
                start = groups.start[i]
                n = groups.start[i + 1] - start
                sort_within(&self.out[start], &other[0], n, False, groups.spans[i], 1, self.work + thread)
        self.free.append(thread)
        return self.result[groups.start[begin] : groups.start[end]]


def sorted_parts(list parts not None, /, size_t threads=1):
    """The uint64 keys in a list of arrays, ascending, as arrays one after another, each when it is sorted.

    The list is emptied when they were read. Threads end when the generator is exhausted or closed. Any keys;
    those of IMEIs fastest, in about 12 ns each on one thread. A single part that is ascending is given as it
    is; otherwise all arrays are parts of one.
    Memory: that one, 3 MB for each thread, and for each as much as the largest group of keys too close to
    tell apart at first, of about 2**31 in a row: little unless all keys are. The interpreter is free
    meanwhile. Keys that another thread writes meanwhile come out in any order, or not at all. ValueError
    for no threads.
    """
    cdef const uint64_t[::1] part
    cdef uint64_t first = 0, last = 0, differ = 0
    cdef size_t n = 0
    cdef bint ascending = True
    if not threads:
        raise ValueError("threads: expected at least 1, got 0")
    for part in parts:
        n += part.shape[0]
    filled = [given for given in parts if len(given)]
    if filled:
        first = filled[0][0]
    for part in filled:
        with nogil:
            ascending = (ascending and last <= part[0]
                         and sort_ascending(&part[0], part.shape[0]) == <size_t>part.shape[0])
            last = part[part.shape[0] - 1]
            differ |= sort_differing(&part[0], part.shape[0], first)
    if ascending:
        parts.clear()
        return (given for given in filled)
    threads = max(<size_t>1, min(threads, n // (8 * SORT_GROUP)))
    pieces = [piece[at : at + PIECE] for piece in filled for at in range(0, len(piece), PIECE)]
    sort = _Sort(pieces, np.empty(n, np.uint64), threads)
    filled = part = None
    parts.clear()
    if threads == 1:
        sort.scatter_all(first, differ, lambda step: step(0))
        return (sort.sort_batch(batch) for batch in sort.batches())
    with ThreadPoolExecutor(threads, thread_name_prefix="imeiset") as pool:
        sort.scatter_all(first, differ, lambda step: list(pool.map(step, range(threads))))
    return _sorted_on_threads(sort, threads - 1)  # who takes the keys is the other one


def _sorted_on_threads(sort, threads):
    with ThreadPoolExecutor(threads, thread_name_prefix="imeiset") as pool:
        yield from pool.map(sort.sort_batch, sort.batches())
