"""IMSIs as numbers, and prefixes of them: which is the longest that an IMSI begins with.

An IMSI is 5 to 15 digits (3GPP TS 29.571), and its leading zeros matter. Its number is that of its digits
after a 1, below 2 * 10**15; 0 is no IMSI.

A text is bare digits, or 'imsi-' and these. In the other kinds of SUPI, 'nai-', 'gci-' and 'gli-', no IMSI is
given. Blanks around are no part of a text, as of those of IMEIs.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from cpython.unicode cimport PyUnicode_Check
from libc.math cimport isnan
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from imeiset._native.layered cimport LAYERS
from imeiset._native.types cimport PyObject, expect_rows, shared_item, viewed

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object)  # of classes derived from str, too
    void* PyUnicode_DATA(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)

NO_IMSI = 0
BAD_IMSI = IMSI_BAD
POWERS[:] = [10 ** n for n in range(LONGEST + 1)]

ctypedef fused character:
    uint8_t
    uint32_t


cdef inline bint is_blank(character c) noexcept nogil:
    return c == 32 or 9 <= c <= 13


cdef inline bint begins(const character* text, const char* prefix) noexcept nogil:
    """Whether a text of four characters or more begins so, in any case."""
    cdef int i
    for i in range(4):
        if text[i] != <uint8_t>prefix[i] and text[i] + 32 != <uint8_t>prefix[i]:
            return False
    return True


cdef uint64_t text_number(const character* text, Py_ssize_t n) noexcept nogil:
    cdef uint64_t number = digits_number(text, n)
    if number != IMSI_BAD:
        return number
    while n and is_blank(text[n - 1]):
        n -= 1
    while n and is_blank(text[0]):
        text, n = text + 1, n - 1
    if n > 5 and text[4] == c"-" and begins(text, b"imsi"):
        return digits_number(text + 5, n - 5)
    if n > 3 and text[3] == c"-" and (
        begins(text, b"nai-") or begins(text, b"gci-") or begins(text, b"gli-")
    ):
        return 0
    return digits_number(text, n)


cdef inline uint64_t digits_number(const character* text, Py_ssize_t n) noexcept nogil:
    cdef uint64_t number = 1
    cdef Py_ssize_t i
    if n == 0:
        return 0
    if not 5 <= n <= 15:
        return IMSI_BAD
    for i in range(n):
        if not 48 <= text[i] <= 57:
            return IMSI_BAD
        number = number * 10 + (text[i] - 48)
    return number


cdef uint64_t imsi_number(object value) noexcept:
    if value is None:
        return 0
    if PyUnicode_Check(value) and PyUnicode_IS_ASCII(value):
        return text_number(<const uint8_t*>PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value))
    if PyBytes_Check(value):
        return text_number(<const uint8_t*>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    if PyFloat_Check(value):
        return 0 if isnan(PyFloat_AS_DOUBLE(value)) else IMSI_BAD
    try:  # pandas is not imported for its nulls
        return 0 if type(value).__name__ in ("NAType", "NaTType") else IMSI_BAD
    except Exception:  # of the own code of a class of classes
        return IMSI_BAD


def imsis_of(list values not None, uint64_t[::1] out not None):
    """The numbers of a list of texts and None: BAD_IMSI where one is malformed."""
    cdef Py_ssize_t i
    expect_rows("out", len(values), out.shape[0])
    for i in range(out.shape[0]):
        if i >= len(values):  # as in `parse.objects`
            raise RuntimeError("list changed size while it was parsed")
        out[i] = imsi_number(shared_item(<PyObject*>values, i))


cdef uint64_t filled_number(const character* text, Py_ssize_t n) noexcept nogil:
    while n > 0 and text[n - 1] == 0:
        n -= 1
    return text_number(text, n)


def imsis_of_rows(texts not None, uint64_t[::1] out not None):
    """`imsis_of` for the characters of fixed-width texts, which zeros fill up: uint8[n, w], or uint32."""
    cdef const uint8_t[:, ::1] given = viewed(texts, "BI", "B")
    cdef Py_ssize_t i, size = given.shape[1]
    cdef bint wide = texts.itemsize == 4
    expect_rows("out", given.shape[0], out.shape[0])
    with nogil:
        for i in range(given.shape[0] if size else 0):
            if wide:
                out[i] = filled_number(<const uint32_t*>&given[i, 0], size // 4)
            else:
                out[i] = filled_number(&given[i, 0], size)


@cython.final
cdef class Prefixes:
    """Prefixes and what each says: layers of what changed, over those that there were."""

    def __cinit__(self, layers=(), lengths=()):
        """layers: of (numbers, codes), the newest first: the numbers of prefixes, ascending, and the code of
        each, 0 where no list has it any more. lengths: how many digits such numbers have, all that occur."""
        cdef const uint64_t[::1] numbers
        cdef const uint16_t[::1] codes
        layers, lengths = tuple(layers), set(lengths)
        if len(layers) > LAYERS:
            raise ValueError(f"layers: expected at most {LAYERS}, got {len(layers)}")
        if not lengths <= set(range(1, LONGEST + 1)):
            raise ValueError(f"lengths: expected 1 to {LONGEST}, got {sorted(lengths)}")
        self.views = []
        for numbers, codes in layers:
            expect_rows("codes", numbers.shape[0], codes.shape[0])
            if numbers.shape[0]:
                self.views.append((numbers, codes))
                self.layer[self.count] = prefixes_layer(&numbers[0], &codes[0], numbers.shape[0])
                self.count += 1
        for length in sorted(lengths, reverse=True):
            self.lengths[self.length_count] = length
            self.length_count += 1

    cdef uint32_t code(self, uint64_t imsi) noexcept nogil:
        """What the longest prefix says that an IMSI begins with, and some list has; 0 where there is none."""
        cdef uint64_t head
        cdef size_t at
        cdef int i, j, digits = 0
        if imsi == 0 or imsi == IMSI_BAD or self.count == 0:
            return 0
        while digits < LONGEST and imsi >= POWERS[digits]:
            digits += 1
        for i in range(self.length_count):
            if self.lengths[i] > digits:
                continue
            head = imsi // POWERS[digits - self.lengths[i]]
            for j in range(self.count):
                at = last_upto(&self.layer[j], head)
                if self.layer[j].number[at] == head:
                    if self.layer[j].code[at]:
                        return self.layer[j].code[at]
                    break  # of this length no list has one
        return 0


cdef inline size_t last_upto(const prefixes_layer* of, uint64_t number) noexcept nogil:
    """Where the last number is that is not above this one; 0 where there is none."""
    cdef size_t half, low = 0, n = of.count
    while n > 1:
        half = n // 2
        if of.number[low + half] <= number:
            low += half
        n -= half
    return low
