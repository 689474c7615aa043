"""Texts and buffers to keys and status codes: one value, or whole columns without the GIL."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from cpython.long cimport PyLong_Check
from cpython.unicode cimport PyUnicode_Check, PyUnicode_DecodeASCII
from cpython.buffer cimport PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from libc.math cimport isnan
from libc.stddef cimport ptrdiff_t
from libc.string cimport memset
from libc.stdint cimport int64_t, uint8_t, uint64_t

from imeiset._native.types cimport PyObject, expect_rows, shared_item, viewed
from imeiset._native.simd cimport simd_follow

from imeiset.errors import ImeiError, ParseStatus

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object)
    void* PyUnicode_DATA(object)
    int PyUnicode_KIND(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)
    bint PyBool_Check(object)
    bint PyIndex_Check(object)
    long long PyLong_AsLongLongAndOverflow(object, int*) except? -1
    unsigned long long PyLong_AsUnsignedLongLong(object) noexcept
    void* PyErr_Occurred()
    void PyErr_Clear()

cdef extern from "c/digits.h" nogil:
    const uint64_t IMEI_NO_KEY
    const uint64_t IMEI_KEYS
    const uint8_t IMEI_OK
    const uint8_t IMEI_MISSING
    const uint8_t IMEI_NEGATIVE
    const uint8_t IMEI_OUT_OF_RANGE
    const uint8_t IMEI_WRONG_TYPE
    const uint8_t IMEI_NO_CHECK_DIGIT
    bint imei_is_soft(uint8_t) noexcept
    uint8_t imei_integer(uint64_t, int, uint8_t, uint64_t*) noexcept
    bint imei_all_keys(const uint64_t*, size_t) noexcept
    bint imei_copy_keys(const void*, size_t, uint64_t*) noexcept
    unsigned imei_check_digit(uint64_t) noexcept
    void imei_write(uint64_t, char*) noexcept
    void imei_write_tacs(size_t, const uint64_t*, uint8_t*) noexcept
    size_t imei_apply_policy(int, size_t, uint64_t*, uint8_t*) noexcept

cdef extern from "c/forms.h" nogil:
    struct imei_reading:
        uint8_t digits[16]
        unsigned count
        uint8_t form
    uint8_t imei_digits(const uint8_t*, size_t, imei_reading*) noexcept
    uint8_t imei_wide_digits(const uint8_t*, size_t, unsigned, imei_reading*) noexcept
    uint8_t imei_wide_text(const uint8_t*, size_t, unsigned, uint8_t, uint64_t*) noexcept
    uint8_t imei_scalar(const uint8_t*, size_t, uint8_t, uint64_t*) noexcept

cdef extern from "c/digits_simd.h" nogil:
    ctypedef struct digit_kernels:
        void (*fixed)(const uint8_t*, ptrdiff_t, size_t, size_t, uint8_t, uint64_t*, uint8_t*) noexcept nogil
        void (*ucs4)(const uint8_t*, ptrdiff_t, size_t, size_t, uint8_t, uint64_t*, uint8_t*) noexcept nogil
        size_t (*spans)(const uint8_t*, size_t, const void*, const void*, bint, size_t, uint8_t, uint64_t*,
                        uint8_t*) noexcept nogil
        size_t (*views)(const uint8_t*, const uint8_t* const*, const int64_t*, size_t, size_t, uint8_t,
                        uint64_t*, uint8_t*) noexcept nogil
        size_t (*lines)(const uint8_t*, size_t, bint, size_t, uint8_t, uint64_t*, uint8_t*,
                        size_t*) noexcept nogil
    const digit_kernels* digit_levels

cdef extern from "c/write.h" nogil:
    enum: WRITE_DIGITS
    void write_init() noexcept
    size_t write_rows(const uint64_t*, size_t, const char*, size_t, const char*, size_t, char*) noexcept

write_init()

NO_KEY = IMEI_NO_KEY  # the key of a malformed row
WRITTEN = ("digits", "separators", "pei", "filler", "urn", "spreadsheet", "svn")  # the forms, as in c/forms.h

cdef const digit_kernels* _kernels


cdef void _choose(int level) noexcept:
    global _kernels
    _kernels = &digit_levels[level]


simd_follow(_choose)


cdef uint8_t _read(object text, imei_reading* read) noexcept:
    """The digits of a str or bytes, whatever its kind; the status, that of the check digit aside."""
    if PyBytes_Check(text):
        return imei_digits(<const uint8_t*>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), read)
    return imei_wide_digits(<const uint8_t*>PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text),
                            PyUnicode_KIND(text), read)


# A value whose own code is asked may raise. An Exception says that it is not an IMEI; what is none, or a
# MemoryError, is the caller's: the status is RAISED, and Cython hands the exception on.

cdef enum:
    RAISED = 255


cdef uint8_t _integer(object value, int digits, uint8_t bare, uint64_t* key) noexcept:
    cdef int overflow = 0
    cdef long long number
    key[0] = IMEI_NO_KEY
    if not PyLong_Check(value):  # __index__ may give anything, and an error here would be a status of 0
        return IMEI_WRONG_TYPE
    number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow > 0:  # beyond 64 bits it is 2**64 - 1 with an error
        if PyLong_AsUnsignedLongLong(value) != IMEI_NO_KEY:
            return IMEI_OUT_OF_RANGE
        if not PyErr_Occurred():
            return IMEI_MISSING
        PyErr_Clear()
        return IMEI_OUT_OF_RANGE
    if overflow or number < 0:
        return IMEI_NEGATIVE
    return imei_integer(<uint64_t>number, digits, bare, key)


cdef uint8_t _other(object value, int digits, uint8_t bare, uint64_t* key) except RAISED:
    """What is neither text nor int: nothing at all, an integer of another make, an Imei, or wrong."""
    key[0] = IMEI_NO_KEY
    if value is None:
        return IMEI_MISSING
    try:
        if PyFloat_Check(value):
            return IMEI_MISSING if isnan(PyFloat_AS_DOUBLE(value)) else IMEI_WRONG_TYPE
        if PyIndex_Check(value) and not PyBool_Check(value):
            return _integer(value.__index__(), digits, bare, key)
        if hasattr(value, "__imei_key__"):
            if bare:  # the key says nothing of the check digit
                return _text(str(value), bare, key)
            return _integer(value.__imei_key__(), 14, bare, key)
        if type(value).__name__ in ("NAType", "NaTType"):  # pandas is not imported for its nulls
            return IMEI_MISSING
    except MemoryError:
        raise
    except Exception:  # an error of that object's own code: it is no IMEI
        pass
    return IMEI_WRONG_TYPE


cdef inline uint8_t _text(object value, uint8_t bare, uint64_t* key) noexcept:
    """Those of a str, of a class derived from it too."""
    if PyUnicode_IS_COMPACT_ASCII(value):
        return imei_scalar(<const uint8_t*>PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value), bare, key)
    return imei_wide_text(<const uint8_t*>PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value),
                          PyUnicode_KIND(value), bare, key)


cdef inline uint8_t _parse(object value, int digits, uint8_t bare, uint64_t* key) except RAISED:
    """The key and status, check digit codes included. bare: the status of what has no check digit."""
    if PyUnicode_Check(value):
        return _text(value, bare, key)
    if PyBytes_Check(value):
        return imei_scalar(<const uint8_t*>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), bare, key)
    if PyLong_Check(value) and not PyBool_Check(value):
        return _integer(value, digits, bare, key)
    return _other(value, digits, bare, key)


cdef uint8_t parse_object(object value, uint64_t* key) except 255:
    cdef uint8_t status = _parse(value, 14, IMEI_OK, key)
    return IMEI_OK if imei_is_soft(status) else status


cdef object parse_error(uint8_t status, object value, Py_ssize_t position):
    return ImeiError(ParseStatus(status), value, position=None if position < 0 else position)


def key_of(value, /):
    """The 14-digit key of one IMEI: str or bytes of 14 to 16 digits, an integer key, or an Imei.

    The check digit is not looked at (3GPP TS 22.016: it is not sent). Raises ImeiError. About 35 ns.
    """
    cdef uint64_t key = IMEI_NO_KEY
    cdef uint8_t status = parse_object(value, &key)
    if status:
        raise parse_error(status, value, -1)
    return key


def check_digit(value, /):
    """The Luhn digit of the first 14 digits (3GPP TS 23.003 annex B).

    Parameters
    ----------
    value : str, bytes, int or Imei
        14 to 16 digits, or an integer key. A check digit that is there is not looked at.

    Returns
    -------
    int

    Raises
    ------
    ImeiError
        The value is malformed.

    Examples
    --------
    >>> from imeiset import check_digit
    >>> check_digit("49015420323751")
    8
    """
    return imei_check_digit(key_of(value))


def is_valid(text, /):
    """Whether a text has exactly 15 digits, the last of them the check digit of the others.

    Parameters
    ----------
    text : str or bytes
        In any form that `Imei` takes. No content raises.

    Returns
    -------
    bool

    Raises
    ------
    TypeError
        The argument is not a text.

    Examples
    --------
    >>> from imeiset import is_valid
    >>> is_valid("490154203237518"), is_valid("490154203237519"), is_valid("49015420323751")
    (True, False, False)
    """
    cdef uint64_t key = IMEI_NO_KEY
    if not isinstance(text, (str, bytes)):
        raise TypeError(f"expected str or bytes, got {type(text).__name__}")
    return _parse(text, 14, IMEI_NO_CHECK_DIGIT, &key) == IMEI_OK


def written(value, /):
    """The digits of a str or bytes, as str, and which of the forms in WRITTEN it has. Raises ImeiError."""
    cdef imei_reading read
    if not isinstance(value, (str, bytes)):
        raise ImeiError(ParseStatus.WRONG_TYPE, value, expected="str, bytes or an Imei; from_key takes a key")
    cdef uint8_t status = _read(value, &read)
    if status:
        raise parse_error(status, value, -1)
    return PyUnicode_DecodeASCII(<const char*>read.digits, read.count, NULL), WRITTEN[read.form]


def text_of(key, /):
    """The 15 digits of a key and its check digit, as str. Raises ImeiError if it is no key."""
    cdef uint64_t number = IMEI_NO_KEY
    cdef uint8_t status = IMEI_WRONG_TYPE
    cdef char text[15]
    if not isinstance(key, (str, bytes)):
        status = _parse(key, 14, IMEI_OK, &number)
    if status == IMEI_WRONG_TYPE:
        raise ImeiError(ParseStatus.WRONG_TYPE, key, expected="an integer key or an Imei")
    if status:
        raise parse_error(status, key, -1)
    imei_write(number, text)
    return PyUnicode_DecodeASCII(text, 15, NULL)


def rows_of(const uint64_t[::1] keys not None, bytes before=b"", bytes after=b""):
    """The text of rows: of each key the 15 digits with the check digit, between these bytes. Raises ImeiError
    for one that is no key. About 4 ns a row."""
    cdef size_t n = keys.shape[0], done = 0, size = len(before) + WRITE_DIGITS + len(after)
    if n == 0:
        return b""
    out = PyBytes_FromStringAndSize(NULL, n * size)
    cdef char* to = PyBytes_AS_STRING(out)
    cdef const char* first = PyBytes_AS_STRING(before)
    cdef const char* last = PyBytes_AS_STRING(after)
    cdef size_t first_size = len(before), last_size = len(after)
    with nogil:
        done = write_rows(&keys[0], n, first, first_size, last, last_size, to)
    if done < n:
        raise parse_error(IMEI_OUT_OF_RANGE, keys[done], done)
    return out


# ---- columns ----
#
# Each call parses rows from `start` on into keys[:] and status[:], as many as these hold. The check
# digit codes are left for `apply_policy`. exact: what has no check digit gets a code of them too.

cdef Py_ssize_t _rows(Py_ssize_t start, Py_ssize_t total, uint64_t[::1] keys, uint8_t[::1] status) except -1:
    """How many rows to parse."""
    expect_rows("status", keys.shape[0], status.shape[0])
    if not 0 <= start <= total:
        raise ValueError(f"start: expected 0 to {total}, got {start}")
    return min(total - start, keys.shape[0])


def fixed(array not None, Py_ssize_t start, uint64_t[::1] keys not None, uint8_t[::1] status not None,
          bint exact=False):
    """Rows of a one-dimensional NumPy array of dtype S or native U, any strides. Returns how many."""
    cdef Py_buffer view
    cdef Py_ssize_t n
    cdef const uint8_t* base
    kind = array.dtype.kind
    if kind not in "SU" or not array.dtype.isnative or array.ndim != 1:
        raise TypeError(f"expected a one-dimensional array of native S or U, got {array.dtype!r}")
    cdef bint wide = kind == "U"
    cdef uint8_t bare = IMEI_NO_CHECK_DIGIT if exact else IMEI_OK
    PyObject_GetBuffer(array, &view, PyBUF_STRIDES)
    try:
        n = _rows(start, view.shape[0], keys, status)
        if n:
            base = <const uint8_t*>view.buf + start * view.strides[0]
            with nogil:
                if wide:
                    _kernels.ucs4(base, view.strides[0], view.itemsize // 4, n, bare, &keys[0], &status[0])
                else:
                    _kernels.fixed(base, view.strides[0], view.itemsize, n, bare, &keys[0], &status[0])
    finally:
        PyBuffer_Release(&view)
    return n


def lines(const uint8_t[::1] text not None, Py_ssize_t start, uint64_t[::1] keys not None,
          uint8_t[::1] status not None, bint final=True, bint exact=False):
    """Lines of text from the byte `start` on, ended by LF or CRLF; the last may lack its end if `final`.

    A blank line is an EMPTY row; what follows the last line end is a row only if it is not empty.
    Returns how many, and the byte after the last of them.
    """
    cdef size_t consumed = 0
    cdef Py_ssize_t n = 0
    cdef uint8_t bare = IMEI_NO_CHECK_DIGIT if exact else IMEI_OK
    _rows(start, text.shape[0], keys, status)
    if start < text.shape[0] and keys.shape[0]:
        with nogil:
            n = _kernels.lines(&text[start], text.shape[0] - start, final, keys.shape[0], bare, &keys[0],
                               &status[0], &consumed)
    return n, start + <Py_ssize_t>consumed


def spans(const uint8_t[::1] data not None, starts not None, ends not None, uint64_t[::1] keys not None,
          uint8_t[::1] status not None, bint exact=False):
    """Texts data[starts[i]:ends[i]], one for each row; both int32 or both int64. Raises ValueError for a span
    outside the data."""
    cdef const uint8_t[::1] begins = viewed(starts, "ilq", "B"), stops = viewed(ends, "ilq", "B")
    cdef bint wide = starts.itemsize == 8
    cdef Py_ssize_t n = _rows(0, len(starts), keys, status), done = 0
    cdef const uint8_t* base = &data[0] if data.shape[0] else NULL
    cdef uint8_t nothing = 0, bare = IMEI_NO_CHECK_DIGIT if exact else IMEI_OK
    if begins.shape[0] != stops.shape[0] or ends.itemsize != starts.itemsize or keys.shape[0] != n:
        raise ValueError(f"spans: got {n} starts, {len(ends)} ends, {keys.shape[0]} rows")
    if n:
        with nogil:
            done = _kernels.spans(base if base else &nothing, data.shape[0], &begins[0], &stops[0], wide, n,
                                  bare, &keys[0], &status[0])
    if done < n:
        got = f"{starts[done]}:{ends[done]}"
        raise ValueError(f"span {done}: expected within {data.shape[0]} bytes, got {got}")


@cython.final
cdef class Buffers:
    """The buffers that the views of an Arrow column point into, kept for as long as this is."""

    cdef list views
    cdef const uint8_t** data
    cdef int64_t* sizes

    def __cinit__(self, buffers=()):
        cdef const uint8_t[::1] view
        cdef Py_ssize_t i
        self.views = [memoryview(buffer).cast("B") for buffer in buffers]
        self.data = <const uint8_t**>PyMem_RawMalloc(len(self.views) * sizeof(void*) + 1)
        self.sizes = <int64_t*>PyMem_RawMalloc(len(self.views) * sizeof(int64_t) + 1)
        if self.data == NULL or self.sizes == NULL:
            raise MemoryError
        for i, view in enumerate(self.views):
            self.sizes[i] = view.shape[0]
            self.data[i] = &view[0] if view.shape[0] else NULL

    def __dealloc__(self):
        PyMem_RawFree(self.data)
        PyMem_RawFree(self.sizes)


def views(const uint8_t[::1] views not None, Buffers buffers not None, uint64_t[::1] keys not None,
          uint8_t[::1] status not None, bint exact=False):
    """Arrow string views, 16 bytes for each row. Raises ValueError for one outside the buffers."""
    cdef Py_ssize_t n = _rows(0, views.shape[0] // 16, keys, status), count = len(buffers.views), done = 0
    cdef uint8_t bare = IMEI_NO_CHECK_DIGIT if exact else IMEI_OK
    if views.shape[0] != 16 * keys.shape[0]:
        raise ValueError(f"views: expected {16 * keys.shape[0]} bytes, got {views.shape[0]}")
    if n:
        with nogil:
            done = _kernels.views(&views[0], buffers.data, buffers.sizes, count, n, bare, &keys[0],
                                  &status[0])
    if done < n:
        raise ValueError(f"view {done}: expected within the {count} buffers, got one outside")


def all_keys(const uint64_t[::1] values not None, /):
    """Whether all are 14-digit keys."""
    cdef bint good = True
    cdef size_t n = values.shape[0]
    if n:
        with nogil:
            good = imei_all_keys(&values[0], n)
    return good


def integers(numbers not None, int digits, Py_ssize_t start, uint64_t[::1] keys not None,
             uint8_t[::1] status not None, bint exact=False):
    """Integers, int64 or uint64, of 14 digits, or of 15 with the check digit. Returns how many."""
    cdef const uint64_t[:] values = viewed(numbers, "lqLQ", "u8")
    cdef Py_ssize_t i, begin, end, n = _rows(start, values.shape[0], keys, status)
    cdef bint signed = numbers.dtype.kind == "i"
    cdef bint plain = digits == 14 and values.strides[0] == sizeof(uint64_t)
    cdef uint8_t bare = IMEI_NO_CHECK_DIGIT if exact else IMEI_OK
    with nogil:
        for begin in range(0, n, 1024):
            end = min(begin + 1024, n)
            if plain and imei_copy_keys(&values[start + begin], end - begin, &keys[begin]):
                memset(&status[begin], bare, end - begin)
                continue
            for i in range(begin, end):
                if signed and <int64_t>values[start + i] < 0:
                    keys[i] = IMEI_NO_KEY
                    status[i] = IMEI_NEGATIVE
                else:
                    status[i] = imei_integer(values[start + i], digits, bare, &keys[i])
    return n


def objects(values not None, int digits, Py_ssize_t start, uint64_t[::1] keys not None,
            uint8_t[::1] status not None, bint exact=False):
    """Items of a list or tuple: whatever `key_of` accepts, and nulls. Returns how many."""
    cdef Py_ssize_t i, n = _rows(start, len(values), keys, status)
    cdef uint64_t* to = &keys[0] if n else NULL
    cdef uint8_t bare = IMEI_NO_CHECK_DIGIT if exact else IMEI_OK
    if isinstance(values, tuple):
        for i in range(n):
            status[i] = _parse((<tuple>values)[start + i], digits, bare, to + i)
    elif not isinstance(values, list):
        raise TypeError(f"expected a list or tuple, got {type(values).__name__}")
    else:
        for i in range(n):
            # An item's own code may run, and shorten the list.
            if start + i >= len(<list>values):
                raise RuntimeError("list changed size while it was parsed")
            status[i] = _parse(shared_item(<PyObject*>values, start + i), digits, bare, to + i)
    return n


def tacs(const uint64_t[::1] keys not None, uint8_t[:, ::1] texts not None):
    """The TACs of keys, 8 characters for each row; NULs where it has no key."""
    cdef Py_ssize_t n = keys.shape[0]
    if texts.shape[0] != n or texts.shape[1] != 8:
        raise ValueError(f"texts: expected {n} rows of 8 bytes, got {texts.shape[0]} of {texts.shape[1]}")
    if n:
        with nogil:
            imei_write_tacs(n, &keys[0], &texts[0, 0])


cpdef int check_policy(str policy) except -1:
    """The number of a check digit policy; ValueError for a name that is none."""
    try:
        return ("ignore", "spare", "require").index(policy)
    except ValueError:
        raise ValueError(f"check_digit: expected 'ignore', 'spare' or 'require', got {policy!r}") from None


def apply_policy(str policy not None, uint64_t[::1] keys not None, uint8_t[::1] status not None):
    """Applies a check digit policy to parsed rows: "ignore", "spare" (right, or 0) or "require".

    Rows let through become OK, others keep their code and lose their key. Returns how many are malformed
    then.
    """
    cdef size_t malformed = 0
    cdef int code = check_policy(policy)
    cdef Py_ssize_t n = _rows(0, keys.shape[0], keys, status)
    if n:
        with nogil:
            malformed = imei_apply_policy(code, n, &keys[0], &status[0])
    return malformed
