"""Texts and buffers to keys and status codes: one value, or whole columns without the GIL."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_Check
from cpython.long cimport PyLong_Check
from cpython.unicode cimport PyUnicode_Check, PyUnicode_DecodeASCII
from libc.stdint cimport int64_t, uint8_t, uint64_t

from imeiset.errors import ImeiError, ParseStatus

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object)
    void* PyUnicode_DATA(object)
    int PyUnicode_KIND(object)
    Py_UCS4 PyUnicode_READ(int, void*, Py_ssize_t)
    Py_ssize_t PyUnicode_GET_LENGTH(object)
    bint PyBool_Check(object)
    bint PyIndex_Check(object)
    long long PyLong_AsLongLongAndOverflow(object, int*) except? -1

cdef extern from "_digits.h" nogil:
    const uint64_t IMEI_NO_KEY
    const uint64_t IMEI_KEYS
    const size_t IMEI_DECISIVE
    const uint8_t IMEI_OK
    const uint8_t IMEI_MISSING
    const uint8_t IMEI_NEGATIVE
    const uint8_t IMEI_OUT_OF_RANGE
    const uint8_t IMEI_WRONG_TYPE
    const uint8_t IMEI_CHECK_DIGIT
    const uint8_t IMEI_CHECK_DIGIT_SPARE
    uint8_t imei_scalar(const uint8_t*, size_t, int, uint64_t*) noexcept
    uint8_t imei_text(const uint8_t*, size_t, uint64_t*) noexcept
    uint8_t imei_integer(uint64_t, int, uint64_t*) noexcept
    unsigned imei_check_digit(uint64_t) noexcept
    void imei_write(uint64_t, char*) noexcept


cdef uint8_t _wide_text(object text, uint64_t* key) noexcept:
    """A str that is not compact ASCII: the leftmost fault is in its first few characters."""
    cdef uint8_t buffer[64]
    cdef Py_ssize_t n = min(PyUnicode_GET_LENGTH(text), <Py_ssize_t>IMEI_DECISIVE)
    cdef int kind = PyUnicode_KIND(text)
    cdef void* data = PyUnicode_DATA(text)
    cdef Py_UCS4 c
    cdef Py_ssize_t i
    for i in range(n):
        c = PyUnicode_READ(kind, data, i)
        buffer[i] = <uint8_t>c if c < 0x80 else 0xFF
    return imei_text(buffer, n, key)


cdef uint8_t _integer(object value, int digits, uint64_t* key) noexcept:
    cdef int overflow = 0
    cdef long long number = PyLong_AsLongLongAndOverflow(value, &overflow)
    key[0] = IMEI_NO_KEY
    if overflow:
        return IMEI_OUT_OF_RANGE if overflow > 0 else IMEI_NEGATIVE
    if number < 0:
        return IMEI_NEGATIVE
    return imei_integer(<uint64_t>number, digits, key)


cdef uint8_t _other(object value, int digits, uint64_t* key) noexcept:
    """What is neither text nor int: nothing at all, an integer of another make, an Imei, or wrong."""
    key[0] = IMEI_NO_KEY
    if value is None:
        return IMEI_MISSING
    try:
        if PyFloat_Check(value):
            return IMEI_MISSING if value != value else IMEI_WRONG_TYPE
        if PyIndex_Check(value) and not PyBool_Check(value):
            return _integer(value.__index__(), digits, key)
        if hasattr(value, "__imei_key__"):
            return _integer(value.__imei_key__(), 14, key)
        if type(value).__name__ in ("NAType", "NaTType"):  # pandas is not imported for its nulls
            return IMEI_MISSING
    except BaseException:  # whatever that object's own code raises: a status of 0 would say it is fine
        pass
    return IMEI_WRONG_TYPE


cdef inline uint8_t _parse(object value, int digits, int luhn, uint64_t* key) noexcept:
    if PyUnicode_Check(value):
        if PyUnicode_IS_COMPACT_ASCII(value):
            return imei_scalar(<const uint8_t*>PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value), luhn, key)
        return _wide_text(value, key)
    if PyBytes_Check(value):
        return imei_scalar(<const uint8_t*>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), luhn, key)
    if PyLong_Check(value) and not PyBool_Check(value):
        return _integer(value, digits, key)
    return _other(value, digits, key)


cdef uint8_t parse_object(object value, uint64_t* key) noexcept:
    return _parse(value, 14, False, key)


cdef object parse_error(uint8_t status, object value, Py_ssize_t position):
    return ImeiError(ParseStatus(status), value, position=None if position < 0 else position)


cdef str text_of_key(uint64_t key):
    cdef char text[15]
    imei_write(key, text)
    return PyUnicode_DecodeASCII(text, 15, NULL)


def key_of(value, /):
    """The 14-digit key of one IMEI: str or bytes of 14 to 16 digits, an integer key, or an Imei.

    The check digit is not looked at (3GPP TS 22.016: it is not sent). Raises ImeiError. About 35 ns.
    """
    cdef uint64_t key = IMEI_NO_KEY
    cdef uint8_t status = parse_object(value, &key)
    if status:
        raise parse_error(status, value, -1)
    return key
