"""Columns of codes: copied where the set changes that they are beside, counted, and the texts they stand for.

Codes take 1, 2 or 4 bytes each.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from imeiset._native.types cimport expect_rows, viewed

cdef str CODES = "BHI"
cdef str VALUES = "ilq"

ctypedef fused code:
    uint8_t
    uint16_t
    uint32_t

ctypedef fused value:
    int32_t
    int64_t

cdef struct column:
    const int32_t *ends
    const uint8_t *texts
    const int32_t *codes


cdef bint mark(const code* codes, Py_ssize_t rows, uint8_t* used, size_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(rows):
        if codes[i] >= n:
            return False
        used[codes[i]] = 1
    return True


def mark_codes(codes not None, uint8_t[::1] used not None):
    """used[c] = 1 for each of the codes. Raises IndexError for one beyond them."""
    cdef const uint8_t[::1] given = viewed(codes, CODES, "B")
    cdef int width = codes.itemsize
    cdef Py_ssize_t rows = given.shape[0] // width, n = used.shape[0]
    cdef bint within = True
    if rows and n:
        with nogil:
            if width == 1:
                within = mark(&given[0], rows, &used[0], n)
            elif width == 2:
                within = mark(<const uint16_t*>&given[0], rows, &used[0], n)
            else:
                within = mark(<const uint32_t*>&given[0], rows, &used[0], n)
    if not within or rows and not n:
        raise IndexError(f"codes: expected below {n}, got one that is not")


cdef inline void copy_code(uint8_t* to, const uint8_t* code, size_t width) noexcept nogil:
    if width == 1:
        to[0] = code[0]
    elif width == 2:
        (<uint16_t*>to)[0] = (<const uint16_t*>code)[0]
    else:
        (<uint32_t*>to)[0] = (<const uint32_t*>code)[0]


def splice_codes(old not None, new not None, const int64_t[::1] ranks not None,
                 const int64_t[::1] in_old not None, const int64_t[::1] in_new not None, out not None,
                 size_t row, size_t done):
    """Copy codes of a set that changed, from old[row:] to out[done:], up to the last of some IMEIs in order;
    where to go on, in both. O(codes copied).

    Of each of those IMEIs: how many of the old set are below it, its position in the old set, whose code is
    left out, and in the new one, whose code it gets; -1 where it is not there. Raises ValueError for what
    does not fit.
    """
    cdef const uint8_t[::1] before = viewed(old, CODES, "B"), changed = viewed(new, CODES, "B")
    cdef uint8_t[::1] to = viewed(out, CODES, "B")
    cdef size_t width = out.itemsize, until
    cdef size_t room = to.shape[0] // width, olds = before.shape[0] // width, news = changed.shape[0] // width
    cdef Py_ssize_t i, n = ranks.shape[0]
    cdef bint fits = (in_old.shape[0] == n and in_new.shape[0] == n
                      and old.itemsize == width and new.itemsize == width)
    with nogil:
        for i in range(n if fits else 0):
            until = <size_t>ranks[i]
            fits = done <= room and row <= until <= olds and until - row <= room - done
            if not fits:
                break
            if until > row:
                memcpy(&to[done * width], &before[row * width], (until - row) * width)
            done += until - row
            row = until + (in_old[i] >= 0)
            if in_new[i] >= 0:
                fits = <size_t>in_new[i] < news and done < room
                if not fits:
                    break
                copy_code(&to[done * width], &changed[in_new[i] * width], width)
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


cdef bint put(const code* codes, const int64_t[::1] rows, const value* table, size_t entries, value* out,
              size_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef size_t row
    cdef value was
    for i in range(rows.shape[0]):
        row = <size_t>rows[i]
        if codes[i] >= entries or row >= n:
            return False
        was = out[row]
        out[row] = table[codes[i]] if codes[i] else was
    return True


cdef bint put_any(const uint8_t* codes, int width, const int64_t[::1] rows, const value* table,
                  size_t entries, value* out, size_t n) noexcept nogil:
    if width == 1:
        return put(codes, rows, table, entries, out, n)
    if width == 2:
        return put(<const uint16_t*>codes, rows, table, entries, out, n)
    return put(<const uint32_t*>codes, rows, table, entries, out, n)


def put_codes(codes not None, const int64_t[::1] rows not None, table not None, out not None):
    """out[rows[i]] = table[codes[i]], but where the code is 0. Raises IndexError for what is not there.

    table, out: both int32 or both int64.
    """
    cdef const uint8_t[::1] given = viewed(codes, CODES, "B"), values = viewed(table, VALUES, "B")
    cdef uint8_t[::1] to = viewed(out, VALUES, "B")
    cdef int width = codes.itemsize, size = table.itemsize
    cdef size_t entries = values.shape[0] // size, n = to.shape[0] // size
    cdef bint within = True
    expect_rows("rows", given.shape[0] // width, rows.shape[0])
    if out.itemsize != size:
        raise TypeError("expected a table and an array of one kind, got two")
    if rows.shape[0]:
        within = entries > 0 and n > 0
    if rows.shape[0] and within:
        with nogil:
            if size == 8:
                within = put_any(&given[0], width, rows, <int64_t*>&values[0], entries, <int64_t*>&to[0], n)
            else:
                within = put_any(&given[0], width, rows, <int32_t*>&values[0], entries, <int32_t*>&to[0], n)
    if not within:
        raise IndexError(f"codes: expected below {entries}, in one of {n} rows, got others")


def joined(Py_ssize_t rows, list columns not None):
    """The texts of all rows: in each, that of every column.

    columns: of each where its texts end, after a 0, all these texts, and which of them a row has:
    int32[n + 1], uint8[], int32[rows]. Raises IndexError for a code beyond the texts, or for texts that are
    not there.
    """
    cdef Py_ssize_t count = len(columns), row, place, size = 0
    cdef const int32_t[::1] ends
    cdef const uint8_t[::1] texts
    cdef const int32_t[::1] codes
    cdef bint sound = True
    cdef column *given = <column*>PyMem_Malloc(count * sizeof(column) + 1)
    cdef const column *one
    cdef int32_t start, length
    cdef char *to
    if not given:
        raise MemoryError
    try:
        for place, (ends, texts, codes) in enumerate(columns):
            expect_rows("codes", rows, codes.shape[0])
            given[place] = column(NULL, NULL, NULL)
            if ends.shape[0]:
                given[place].ends = &ends[0]
            if texts.shape[0]:
                given[place].texts = &texts[0]
            if rows:
                given[place].codes = &codes[0]
            with nogil:
                for row in range(ends.shape[0] - 1):
                    sound &= 0 <= ends[row] <= ends[row + 1] <= texts.shape[0]
                for row in range(rows):
                    if not sound or codes[row] < 0 or codes[row] >= ends.shape[0] - 1:
                        sound = False
                        break
                    size += ends[codes[row] + 1] - ends[codes[row]]
            if not sound:
                raise IndexError(f"codes: expected below {ends.shape[0] - 1}, got one that is not")
        out = PyBytes_FromStringAndSize(NULL, size)
        to = PyBytes_AS_STRING(out)
        with nogil:
            for row in range(rows):
                for place in range(count):
                    one = &given[place]
                    start = one.ends[one.codes[row]]
                    length = one.ends[one.codes[row] + 1] - start
                    if length:
                        memcpy(to, one.texts + start, length)
                        to += length
        return out
    finally:
        PyMem_Free(given)
