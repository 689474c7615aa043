"""Filters of numbers and of runs of keys, as they are made: see c/filter.h."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from imeiset._native.types cimport expect_rows

cdef extern from "c/filter.h" nogil:
    void filter_mark(uint64_t*, uint32_t, const uint64_t*, size_t) noexcept
    uint64_t spread_count(const uint64_t*, const uint64_t*, size_t) noexcept
    void filter_mark_spread(uint64_t*, uint32_t, const uint64_t*, const uint64_t*, size_t) noexcept


def mark(uint64_t[::1] words not None, const uint64_t[::1] numbers not None):
    """Add numbers to a filter, of 1 to 2**32 - 1 words; 4 numbers a word or fewer."""
    expect_words(words.shape[0])
    if numbers.shape[0]:
        with nogil:
            filter_mark(&words[0], words.shape[0], &numbers[0], numbers.shape[0])


def mark_runs(uint64_t[::1] words not None, const uint64_t[::1] lows not None,
              const uint64_t[::1] highs not None):
    """Add runs of keys, both ends of each below 10**14, as `marks_of_runs` numbers."""
    expect_words(words.shape[0])
    expect_rows("highs", lows.shape[0], highs.shape[0])
    if lows.shape[0]:
        with nogil:
            filter_mark_spread(&words[0], words.shape[0], &lows[0], &highs[0], lows.shape[0])


def marks_of_runs(const uint64_t[::1] lows not None, const uint64_t[::1] highs not None):
    """How many numbers say where runs are: of stretches that a short one touches, of the TACs of others."""
    expect_rows("highs", lows.shape[0], highs.shape[0])
    return spread_count(&lows[0], &highs[0], lows.shape[0]) if lows.shape[0] else 0


cdef int expect_words(Py_ssize_t words) except -1:
    if not 1 <= words < <int64_t>1 << 32:
        raise ValueError(f"words: expected 1 to 2**32 - 1, got {words}")
    return 0
