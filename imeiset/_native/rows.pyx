"""Texts of columns, one after another in each row."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcpy

from imeiset._native.types cimport expect_rows

cdef struct column:
    const int32_t *ends
    const uint8_t *texts
    const int32_t *codes


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
