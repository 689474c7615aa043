"""Plain ME-Identity-Check requests (Diameter S13) among received bytes, answered: see c/diameter.h."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint64_t

from imeiset._native.types cimport expect_rows

cdef extern from "c/diameter.h" nogil:
    struct identity_check:
        pass
    size_t identity_check_read(const uint8_t*, size_t, size_t, size_t, identity_check*, uint64_t*,
                               uint64_t*) noexcept
    size_t identity_check_size(const identity_check*, size_t) noexcept
    uint8_t* identity_check_write(const uint8_t*, const identity_check*, const uint8_t*, size_t,
                                  uint8_t*) noexcept

cdef enum:
    MOST = 512       # requests at a time
    OUTCOMES = 2048  # what is above the key in a packed code, see checks.pyx

AT_A_TIME = MOST
COUNTED = OUTCOMES


@cython.final
cdef class Requests:
    """Plain requests that were read last, to be answered.

    said: of each status, what answers say beside what they copy. longest: bytes of a message at most.
    """

    cdef tuple said
    cdef size_t longest, count, end
    cdef identity_check found[MOST]

    def __cinit__(self, said, size_t longest):
        self.said = tuple([<bytes?>one for one in said])
        expect_rows("said", 4, len(self.said))
        self.longest = longest

    def read(self, const uint8_t[::1] received not None, size_t at, uint64_t[::1] keys not None,
             uint64_t[::1] imsis not None):
        """Read plain requests from there on, up to the first message that is something else or not whole;
        AT_A_TIME at most. Their keys and the numbers of their IMSIs, 0 where there is none.

        Returns how many there are, and where the first other message begins.
        """
        cdef size_t size, end = received.shape[0]
        expect_rows("keys", MOST, keys.shape[0])
        expect_rows("imsis", MOST, imsis.shape[0])
        self.count = self.end = 0
        if end >= <size_t>1 << 32 or at >= end:
            return 0, at
        with nogil:
            while self.count < MOST:
                size = identity_check_read(&received[0], at, end, self.longest, &self.found[self.count],
                                           &keys[self.count], &imsis[self.count])
                if size == 0:
                    break
                self.count += 1
                at += size
        self.end = at
        return self.count, at

    def write(self, const uint8_t[::1] received not None, const uint64_t[::1] codes not None,
              uint64_t[::1] tally not None):
        """The answers to the requests read last, from the same bytes; tally[c]: one more for each code c.

        codes: with their keys, of `CheckTables.answer`. Raises ValueError where the bytes are others.
        """
        cdef const uint8_t* said[4]
        cdef size_t sizes[4]
        cdef size_t i, total = 0, n = self.count
        cdef uint8_t* out
        cdef int status
        if <size_t>received.shape[0] < self.end or <size_t>codes.shape[0] < n:
            raise ValueError("expected the bytes that were read, and a code for each request")
        expect_rows("tally", OUTCOMES, tally.shape[0])
        for status in range(4):
            said[status] = <const uint8_t*>PyBytes_AS_STRING(self.said[status])
            sizes[status] = PyBytes_GET_SIZE(self.said[status])
        for i in range(n):
            total += identity_check_size(&self.found[i], sizes[codes[i] >> 48 & 3])
        answers = PyBytes_FromStringAndSize(NULL, total)
        out = <uint8_t*>PyBytes_AS_STRING(answers)
        with nogil:
            for i in range(n):
                status = codes[i] >> 48 & 3
                out = identity_check_write(&received[0], &self.found[i], said[status], sizes[status], out)
                tally[codes[i] >> 48 & OUTCOMES - 1] += 1
        return answers
