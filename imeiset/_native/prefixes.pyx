"""IMSI prefixes: which of them is the longest that an IMSI begins with."""

cimport cython
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from imeiset._native.imsi cimport IMSI_BAD
from imeiset._native.layered cimport LAYERS
from imeiset._native.types cimport expect_rows

POWERS[:] = [10 ** n for n in range(LONGEST + 1)]


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
