"""Columns of codes: copied where the set changes that they are beside, and counted."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from imeiset._native.types cimport expect_rows

ctypedef fused code:
    uint8_t
    uint16_t
    uint32_t

ctypedef fused value:
    int32_t
    int64_t


def mark_codes(const code[::1] codes not None, uint8_t[::1] used not None):
    """used[c] = 1 for each of the codes. Raises IndexError for one beyond them."""
    cdef Py_ssize_t i
    cdef size_t n = used.shape[0]
    cdef bint within = True
    with nogil:
        for i in range(codes.shape[0]):
            if codes[i] >= n:
                within = False
                break
            used[codes[i]] = 1
    if not within:
        raise IndexError(f"codes: expected below {n}, got one that is not")


def splice_codes(const code[::1] old not None, const code[::1] new not None,
                 const int64_t[::1] ranks not None, const int64_t[::1] in_old not None,
                 const int64_t[::1] in_new not None, code[::1] out not None, size_t row, size_t done):
    """Copy codes of a set that changed, from old[row:] to out[done:], up to the last of some IMEIs in order;
    where to go on, in both. O(codes copied).

    Of each of those IMEIs: how many of the old set are below it, its position in the old set, whose code is
    left out, and in the new one, whose code it gets; -1 where it is not there. Raises ValueError for what
    does not fit.
    """
    cdef Py_ssize_t i, n = ranks.shape[0]
    cdef size_t until
    cdef bint fits = in_old.shape[0] == n and in_new.shape[0] == n
    with nogil:
        for i in range(n if fits else 0):
            until = <size_t>ranks[i]
            fits = (done <= <size_t>out.shape[0] and row <= until <= <size_t>old.shape[0]
                    and until - row <= <size_t>out.shape[0] - done)
            if not fits:
                break
            if until > row:
                memcpy(&out[done], &old[row], (until - row) * sizeof(code))
            done += until - row
            row = until + (in_old[i] >= 0)
            if in_new[i] >= 0:
                fits = in_new[i] < new.shape[0] and done < <size_t>out.shape[0]
                if not fits:
                    break
                out[done] = new[in_new[i]]
                done += 1
    if not fits:
        raise ValueError("codes: expected one for each IMEI in order, got others")
    return row, done


def count_codes(const uint64_t[::1] rows not None, int shift, uint8_t[::1] low not None,
                int64_t[::1] counts not None):
    """How often each code is in the bits of rows from a shift on, added to counts; low: the two lowest bits
    of each. Raises IndexError for a code beyond the counts."""
    cdef Py_ssize_t i
    cdef uint64_t code, n = counts.shape[0]
    cdef bint within = 0 <= shift < 64
    expect_rows("low", rows.shape[0], low.shape[0])
    with nogil:
        for i in range(rows.shape[0] if within else 0):
            code = rows[i] >> shift
            if code >= n:
                within = False
                break
            low[i] = code & 3
            counts[code] += 1
    if not within:
        raise IndexError(f"codes: expected below {n}, got one that is not")


def part_codes(const uint64_t[::1] rows not None, int shift, uint64_t least,
               uint8_t[::1] low not None, int64_t[::1] which not None):
    """Which rows have a code of `least` or more in their bits from a shift on: ascending, in `which`. How
    many there are. low: the two lowest bits of each code."""
    cdef Py_ssize_t i, found = 0
    cdef uint64_t code
    expect_rows("low", rows.shape[0], low.shape[0])
    expect_rows("which", rows.shape[0], which.shape[0])
    if not 0 <= shift < 64:
        raise ValueError(f"shift: expected 0 to 63, got {shift}")
    with nogil:
        for i in range(rows.shape[0]):
            code = rows[i] >> shift
            low[i] = code & 3
            which[found] = i
            found += code >= least
    return found


def put_codes(const code[::1] codes not None, const int64_t[::1] rows not None,
              const value[::1] table not None, value[::1] out not None):
    """out[rows[i]] = table[codes[i]], but where the code is 0. Raises IndexError for what is not there."""
    cdef Py_ssize_t i
    cdef value was
    cdef uint64_t row, entries = table.shape[0], n = out.shape[0]
    cdef bint within = True
    expect_rows("rows", codes.shape[0], rows.shape[0])
    with nogil:
        for i in range(codes.shape[0]):
            row = <uint64_t>rows[i]
            if codes[i] >= entries or row >= n:
                within = False
                break
            was = out[row]
            out[row] = table[codes[i]] if codes[i] else was
    if not within:
        raise IndexError(f"codes: expected below {entries}, in one of {n} rows, got others")
