"""Identities of records: cells to keys and statuses, and the zeros that a spreadsheet dropped."""

from imeiset._native.parse import spans
from imeiset._native.types cimport viewed

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memset

cdef extern from "c/records.h" nogil:
    enum: IMEI_OK
    enum: IMEI_NO_CHECK_DIGIT
    enum: NOTED_LINES
    enum: NOTED_LOST_ZERO
    enum: NOTED_WRONG
    struct noted_rows:
        int64_t count
        int32_t lines[5]
    struct scan_tally:
        int64_t forms[3]
        noted_rows noted[2]
    struct scan_taking:
        const uint8_t *accept
        uint8_t bare, delimiter, restored
        scan_tally tally
    bint imei_is_soft(uint8_t) noexcept
    void record_take_tbcd(scan_taking*, const uint8_t*, int64_t, int64_t, uint64_t*, uint8_t*) noexcept
    void record_take(scan_taking*, const uint8_t*, int64_t, int64_t, bint, int32_t, uint64_t*,
                     uint8_t*) noexcept
    bint record_take_all(scan_taking*, uint8_t*, int32_t, int32_t) noexcept


ctypedef fused offset_t:
    int32_t
    int64_t


cdef void _take_tbcd(scan_taking* taking, const uint8_t* base, const offset_t* starts, const offset_t* ends,
                     Py_ssize_t n, uint64_t* keys, uint8_t* status) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        record_take_tbcd(taking, base, starts[i], ends[i] - starts[i], &keys[i], &status[i])


cdef void _take(scan_taking* taking, const uint8_t* base, const offset_t* starts, const offset_t* ends,
                Py_ssize_t n, bint cells, uint64_t* keys, uint8_t* status) noexcept nogil:
    cdef Py_ssize_t i, first, stop
    cdef int32_t odd
    for first in range(0, n, 255):
        stop = min(first + 255, n)
        # IMEI_OK: 15 digits with the right check digit. Only the zero of an IMEISV makes it another.
        if taking.restored != 15:
            odd = 0
            for i in range(first, stop):
                odd += ends[i] - starts[i] != 15
            if record_take_all(taking, &status[first], <int32_t>(stop - first), odd):
                continue
        for i in range(first, stop):
            if status[i] == IMEI_OK and taking.restored != 15:
                taking.tally.forms[1] += 1
            else:
                record_take(taking, base, starts[i], ends[i] - starts[i], cells, <int32_t>i, &keys[i],
                            &status[i])


def read(const uint8_t[::1] text not None, starts not None, ends not None, uint64_t[::1] keys not None,
         uint8_t[::1] status not None, int restored=0, delimiter=None, bint tbcd=False):
    """The keys and statuses of texts text[starts[i]:ends[i]], whatever their check digits.

    restored: numbers of so many digits, 14 or 15, get back the zero that they lost; 0: none do. Such of 14
    with a wrong check digit then are malformed. delimiter: of a text whose cells these are, b"" for none.
    tbcd: they are TBCD in hexadecimal, and none lost a zero.

    Returns how many texts have 14, 15 and 16 digits; and of those that may have lost a zero, or got it back,
    as IMEIs and as IMEISVs, how many there are, and the rows of the first. Raises ValueError for a span
    outside the text, or from 2**31 bytes on.
    """
    cdef scan_taking taking
    cdef uint8_t accept[256]
    cdef const uint8_t* base
    cdef bint cells = delimiter is not None
    cdef const uint8_t[::1] begins = viewed(starts, "ilq", "B"), stops = viewed(ends, "ilq", "B")
    cdef bint wide = starts.itemsize == 8
    cdef Py_ssize_t i, n = len(starts)
    if text.shape[0] > 0x7FFFFFFF:
        raise ValueError(f"expected a text below 2**31 bytes, got {text.shape[0]}")
    spans(text, starts, ends, keys, status, exact=True)
    if not n or not text.shape[0]:
        return (0, 0, 0), (0, []), (0, [])
    memset(&taking, 0, sizeof(taking))
    for i in range(256):
        accept[i] = i == IMEI_OK or imei_is_soft(<uint8_t>i)
    taking.accept, taking.bare, taking.restored = accept, IMEI_NO_CHECK_DIGIT, restored
    taking.delimiter = ord(delimiter or b"\n") if cells else c"\n"
    base = &text[0]
    with nogil:
        if tbcd and wide:
            _take_tbcd(&taking, base, <int64_t*>&begins[0], <int64_t*>&stops[0], n, &keys[0], &status[0])
        elif tbcd:
            _take_tbcd(&taking, base, <int32_t*>&begins[0], <int32_t*>&stops[0], n, &keys[0], &status[0])
        elif wide:
            _take(&taking, base, <int64_t*>&begins[0], <int64_t*>&stops[0], n, cells, &keys[0], &status[0])
        else:
            _take(&taking, base, <int32_t*>&begins[0], <int32_t*>&stops[0], n, cells, &keys[0], &status[0])
    return tuple(taking.tally.forms), _noted(&taking.tally.noted[NOTED_LOST_ZERO]), \
        _noted(&taking.tally.noted[NOTED_WRONG])


cdef tuple _noted(const noted_rows* noted):
    return noted.count, [noted.lines[i] for i in range(min(noted.count, NOTED_LINES))]
