"""What a check reads: parts of lists, the set that answers for most equipment, and IMSIs as numbers."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_Check
from cpython.unicode cimport PyUnicode_Check
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from imeiset._index cimport index_have, index_has, index_pointer
from imeiset._parse cimport parse_object

import numpy as np

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object)
    void* PyUnicode_DATA(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)

cdef extern from *:
    void __builtin_prefetch(const void*) noexcept nogil

cdef enum:
    BLOCK = 2048  # keys asked at a time, so that what parts answer stays in cache
    PARTS = 64    # of a level: one bit each

# ---- IMSIs -------------------------------------------------------------------------
#
# An IMSI is 6 to 15 digits (3GPP TS 23.003), and its leading zeros matter. Its number is that of its digits
# after a 1, below 2 * 10**15; 0 is no IMSI.

NO_IMSI = 0
BAD_IMSI = 2 ** 64 - 1
cdef uint64_t _BAD = BAD_IMSI


cdef uint64_t digits_number(const uint8_t* text, Py_ssize_t n) noexcept nogil:
    cdef uint64_t number = 1
    cdef Py_ssize_t i
    if n == 0:
        return 0
    if not 6 <= n <= 15:
        return _BAD
    for i in range(n):
        if not 48 <= text[i] <= 57:
            return _BAD
        number = number * 10 + (text[i] - 48)
    return number


cdef uint64_t imsi_number(object value) noexcept:
    """Of a str or bytes; NO_IMSI of None, an empty text and NaN, BAD_IMSI of anything else."""
    if value is None:
        return 0
    if PyUnicode_Check(value) and PyUnicode_IS_COMPACT_ASCII(value):
        return digits_number(<const uint8_t*>PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value))
    if PyBytes_Check(value):
        return digits_number(<const uint8_t*>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    return 0 if PyFloat_Check(value) and value != value else _BAD


def imsis_of(list values not None, uint64_t[::1] out not None):
    """The numbers of a list of texts and None: BAD_IMSI where one is malformed."""
    cdef Py_ssize_t i
    if out.shape[0] != len(values):
        raise ValueError(f"out: expected {len(values)} numbers, got {out.shape[0]}")
    for i in range(out.shape[0]):
        out[i] = imsi_number(values[i])


# ---- parts of lists ----------------------------------------------------------------


@cython.final
cdef class Part:
    """The keys of a frozen index, without those removed since, and with those added since."""

    cdef readonly object base, added, removed
    cdef const void* in_base
    cdef const void* in_added  # NULL where nothing has changed
    cdef const void* in_removed

    def __cinit__(self, base not None, added=None, removed=None):
        self.base, self.added, self.removed = base, added, removed
        self.in_base = index_pointer(base)
        self.in_added = index_pointer(added) if added is not None else NULL
        self.in_removed = index_pointer(removed) if removed is not None else NULL

    cdef bint has(self, uint64_t key) noexcept nogil:
        if self.in_added != NULL and index_has(self.in_added, key):
            return True
        if self.in_removed != NULL and index_has(self.in_removed, key):
            return False
        return index_has(self.in_base, key)

    cdef void have(self, const uint64_t* keys, size_t n, uint8_t* out, uint8_t* spare) noexcept nogil:
        """has for n keys; `spare` has room for n answers."""
        cdef size_t i
        index_have(self.in_base, keys, n, out)
        if self.in_removed != NULL:
            index_have(self.in_removed, keys, n, spare)
            for i in range(n):
                out[i] &= spare[i] ^ 1
        if self.in_added != NULL:
            index_have(self.in_added, keys, n, spare)
            for i in range(n):
                out[i] |= spare[i]

    def contains(self, const uint64_t[::1] keys not None, uint8_t[::1] out not None):
        """out[i] = 1 if keys[i] is in the part, else 0."""
        cdef size_t block, start, n = keys.shape[0]
        cdef uint8_t spare[BLOCK]
        if out.shape[0] != keys.shape[0]:
            raise ValueError(f"out: expected {n} bytes, got {out.shape[0]}")
        with nogil:
            for block in range((n + BLOCK - 1) // BLOCK):
                start = block * BLOCK
                self.have(&keys[start], min(<size_t>BLOCK, n - start), &out[start], spare)


@cython.final
cdef class Level:
    """Parts that are asked together. Their answers are bits: bit i of part i, in the order given."""

    cdef tuple parts
    cdef void* part[PARTS]
    cdef int bit[PARTS]
    cdef int count

    def __cinit__(self, parts):
        """parts: Part or None (which has no keys), at most 63."""
        cdef int bit
        self.parts = tuple(parts)
        if len(self.parts) >= PARTS:
            raise ValueError(f"expected at most {PARTS - 1} lists, got {len(self.parts)}")
        for bit, part in enumerate(self.parts):
            if part is not None:
                self.part[self.count] = <void*><Part?>part
                self.bit[self.count] = bit
                self.count += 1

    cdef bint has(self, uint64_t key) noexcept nogil:
        """Does any part have a key?"""
        cdef int i
        for i in range(self.count):
            if (<Part>self.part[i]).has(key):
                return True
        return False

    def mask(self, uint64_t key):
        """Which parts have a key."""
        cdef uint64_t mask = 0
        cdef int i
        for i in range(self.count):
            mask |= <uint64_t>(<Part>self.part[i]).has(key) << self.bit[i]
        return mask

    def masks(self, const uint64_t[::1] keys not None):
        """Which parts have each key: uint64[n]."""
        cdef size_t block, start, here, k, n = keys.shape[0]
        cdef uint8_t answers[BLOCK]
        cdef uint8_t spare[BLOCK]
        cdef int i
        masks = np.zeros(n, np.uint64)
        cdef uint64_t[::1] out = masks
        with nogil:
            for block in range((n + BLOCK - 1) // BLOCK):
                start = block * BLOCK
                here = min(<size_t>BLOCK, n - start)
                for i in range(self.count):
                    (<Part>self.part[i]).have(&keys[start], here, answers, spare)
                    for k in range(here):
                        out[start + k] |= <uint64_t>answers[k] << self.bit[i]
        return masks


# ---- filters ----------------------------------------------------------------------
#
# Bloom filters in front of the exact parts: three bits of one word for each number. What they do not know
# is not there; what they know is looked up exactly.

cdef inline uint64_t hashed(uint64_t key) noexcept nogil:
    cdef uint64_t product = key * <uint64_t>0x9E3779B97F4A7C15
    return product ^ (product >> 32)


cdef inline uint64_t marks(uint64_t hash) noexcept nogil:
    return <uint64_t>1 << (hash & 63) | <uint64_t>1 << (hash >> 6 & 63) | <uint64_t>1 << (hash >> 12 & 63)


cdef inline bint marked(const uint64_t* words, uint64_t count, uint64_t number) noexcept nogil:
    cdef uint64_t hash = hashed(number)
    cdef uint64_t wanted = marks(hash)
    return words[(hash >> 32) * count >> 32] & wanted == wanted


def mark(uint64_t[::1] words not None, const uint64_t[::1] numbers not None):
    """Add numbers to a filter, of 1 to 2**32 words; 8 numbers a word or fewer."""
    cdef Py_ssize_t i
    cdef uint64_t hash, count = words.shape[0]
    if not 1 <= count <= <uint64_t>1 << 32:
        raise ValueError(f"words: expected 1 to 2**32, got {count}")
    with nogil:
        for i in range(numbers.shape[0]):
            hash = hashed(numbers[i])
            words[<Py_ssize_t>((hash >> 32) * count >> 32)] |= marks(hash)


# ---- one check ---------------------------------------------------------------------


@cython.final
cdef class Tables:
    """What one check reads. It never changes: whoever changes a register makes another.

    known: the keys that any rule may say something about, but for those in ranges. spans: a filter of the
    stretches of 2**shift keys in which there are ranges, or None; ranges: these, by list. touched: a filter
    of the keys that changed since both were made, or None; wide: an index of the ranges that did, or None.
    unlisted: the verdict for all others. rules: what decides where the tables cannot tell, a
    `register.Rules`. prefixes: whether there are rules for IMSIs alone.
    """

    cdef readonly object known, wide, unlisted, rules
    cdef object resolve, malformed
    cdef const void* in_known
    cdef const void* in_wide
    cdef const uint64_t[::1] touched
    cdef const uint64_t[::1] spans
    cdef Level ranges
    cdef const uint64_t* in_touched  # NULL where there are none
    cdef const uint64_t* in_spans
    cdef int shift
    cdef bint prefixes

    def __cinit__(self, known, unlisted, rules, *, bint prefixes=False, Level ranges=None, spans=None,
                  int shift=0, touched=None, wide=None):
        self.known, self.unlisted, self.rules = known, unlisted, rules
        self.resolve, self.malformed = rules.resolve, rules.malformed
        self.prefixes = prefixes
        self.in_known = index_pointer(known)
        self.wide = wide
        self.in_wide = index_pointer(wide) if wide is not None else NULL
        if not 0 <= shift < 64:
            raise ValueError(f"shift: expected 0 to 63, got {shift}")
        self.shift = shift
        if touched is not None and len(touched):
            self.touched = touched
            self.in_touched = &self.touched[0]
        if spans is not None and len(spans):
            self.ranges = Level(()) if ranges is None else ranges
            self.spans = spans
            self.in_spans = &self.spans[0]

    cdef bint concerns(self, uint64_t key) noexcept nogil:
        """May a rule say something about this key?"""
        if index_has(self.in_known, key):
            return True
        if self.in_spans != NULL and marked(self.in_spans, self.spans.shape[0], key >> self.shift):
            if self.ranges.has(key):
                return True
        if self.in_touched != NULL and marked(self.in_touched, self.touched.shape[0], key):
            return True
        return self.in_wide != NULL and index_has(self.in_wide, key)

    def concerned(self, const uint64_t[::1] keys not None):
        """The rows of keys that a rule may say something about: int64[m], ascending."""
        cdef size_t i, block, start, here, m = 0, n = keys.shape[0]
        cdef uint8_t known[BLOCK]
        cdef uint8_t spare[BLOCK]
        cdef uint64_t spans = self.spans.shape[0] if self.in_spans != NULL else 0
        cdef uint64_t touched = self.touched.shape[0] if self.in_touched != NULL else 0
        cdef const uint64_t* in_spans = self.in_spans
        cdef const uint64_t* in_touched = self.in_touched
        cdef int part, shift = self.shift
        cdef Level ranges = self.ranges
        cdef uint64_t wanted
        cdef bint here_too
        cdef uint64_t hashes[BLOCK]
        cdef uint64_t waiting[BLOCK]
        cdef uint32_t place[BLOCK]
        cdef uint8_t found[BLOCK]
        cdef size_t waits
        rows = np.empty(n, np.int64)  # of what is never written to, no memory is taken
        cdef int64_t[::1] out = rows
        with nogil:
            for block in range((n + BLOCK - 1) // BLOCK):
                start = block * BLOCK
                here = min(<size_t>BLOCK, n - start)
                if in_spans != NULL:  # fetched while the set is asked
                    for i in range(here):
                        hashes[i] = hashed(keys[start + i] >> shift)
                        __builtin_prefetch(in_spans + ((hashes[i] >> 32) * spans >> 32))
                index_have(self.in_known, &keys[start], here, known)
                if in_spans != NULL:
                    waits = 0
                    for i in range(here):
                        waiting[waits] = keys[start + i]
                        place[waits] = i
                        wanted = marks(hashes[i])
                        here_too = in_spans[(hashes[i] >> 32) * spans >> 32] & wanted == wanted
                        waits += here_too & (known[i] ^ 1)
                    for part in range(ranges.count if waits else 0):
                        (<Part>ranges.part[part]).have(waiting, waits, found, spare)
                        for i in range(waits):
                            known[place[i]] |= found[i]
                if in_touched != NULL:
                    for i in range(here):
                        known[i] |= marked(in_touched, touched, keys[start + i])
                if self.in_wide != NULL:
                    index_have(self.in_wide, &keys[start], here, spare)
                    for i in range(here):
                        known[i] |= spare[i]
                for i in range(here):  # without a branch: a later row takes the place of one that is not
                    out[m] = start + i
                    m += known[i]
        return rows[:m]


cdef class Checker:
    """What a register and a store have in common: one check, as fast as one lookup for most equipment."""

    cdef Tables tables

    def _tables(self):
        """The tables of now, made if there are none."""
        if self.tables is None:
            self._prepare()
        return self.tables

    def _use(self, Tables tables):
        """Check with these from now on, in every thread; None: make new ones when they are needed."""
        self.tables = tables

    def _prepare(self):
        raise NotImplementedError

    def check(self, imei, imsi=None):
        """The verdict on one IMEI, as used by one subscriber: str, bytes, an integer key or an Imei.

        imsi: str or bytes of 6 to 15 digits, or None where it is not known. Raises ImeiError and ImsiError
        for what is neither, if the policy does not say what malformed input gets. As fast as one lookup
        for equipment on no list; some hundred nanoseconds for other.
        """
        cdef Tables tables = self.tables
        cdef uint64_t key = 0, subscriber = imsi_number(imsi)
        cdef uint8_t status = parse_object(imei, &key)
        if tables is None:
            tables = self._tables()
        if status or subscriber == _BAD:
            return tables.malformed(imei, status, imsi)
        if tables.concerns(key) or (subscriber and tables.prefixes):
            return tables.resolve(key, subscriber)
        return tables.unlisted

    def check_many(self, imeis, imsis=None, threads=1, *, lists=False, digits=14, arrow=False):
        """The statuses of a column of IMEIs: uint8[n] of EquipmentStatus.

        imsis: a column of IMSI texts, one for each row, None or '' where it is not known. threads: how many
        to use; the interpreter is free meanwhile. lists: also say which list decided, int8[n]: its number in
        the order of `lists`, -1 where none did. digits: what integers are, as for `ImeiSet`. Raises
        ImeiError and ImsiError, with its position, for the first malformed row, if the policy does not say
        what such gets. arrow: return Arrow arrays, the list null where none did. All rows are answered by the
        lists of one moment. 20 to 60 ns for an IMEI on no list.
        """
        tables = self._tables()
        return tables.rules.check_many(tables, imeis, imsis, threads, lists, digits, arrow)
