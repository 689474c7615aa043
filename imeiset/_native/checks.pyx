"""One check, and a batch of them: lists, worked out, and the set that answers for most equipment."""

cimport cython
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from imeiset._native.imsi cimport IMSI_BAD, LONGEST, POWERS, Prefixes, imsi_number
from imeiset._native.index cimport index_byte, index_bytes, index_has, index_have, index_places, index_pointer
from imeiset._native.layered cimport LISTS, Level, Told, layers_have, level_has
from imeiset._native.pairs cimport OTHER_PAIRS, Pairing, THIS_PAIR
from imeiset._native.parse cimport parse_object
from imeiset._native.simd cimport simd_follow
from imeiset._native.types cimport BLOCK, KEYS, PyObject, expect_rows, shared_item

cdef extern from "c/filter.h" nogil:
    struct filter:
        const uint64_t* words
        uint32_t count
        int shift
    ctypedef void (*filter_kernel)(const filter*, const uint64_t*, size_t, uint8_t, uint8_t*) noexcept nogil
    filter_kernel filter_level(int) noexcept
    bint filter_knows(const filter*, uint64_t) noexcept
    void filter_fetch(const filter*, uint64_t) noexcept
    bint filter_knows_spread(const filter*, uint64_t) noexcept
    uint64_t stretch_number(uint64_t) noexcept
    uint64_t tac_number(uint64_t) noexcept
    size_t nonzero_rows(const uint8_t*, size_t, uint32_t*) noexcept

cdef enum:
    CLASSES = 256
    EACH = 8      # lists of a level that one key is looked for in together
    LISTED = 1    # an IMEI that some list may have: itself, its TAC or its pair
    RANGED = 2    # one that some range may have
    TOUCHED = 4   # one that some change since the base may be about
    RULE_COUNT = 5  # of `rule_of`: Cython 3.1 gives no array the size of a name there

cdef filter_kernel _filter_ask


cdef void _choose(int level) noexcept:
    global _filter_ask
    _filter_ask = filter_level(level)


simd_follow(_choose)


# ---- one check ---------------------------------------------------------------------
#
# What a rule says is a code: the status, from bit 8 on one more than the number of the list, from bit 16 on
# the rule. 0 where it says nothing.

RULES = ("imsi", "pair", "exact", "range", "tac")

cdef enum rule_of:  # in the order of RULES
    BY_IMSI, BY_PAIR, BY_EXACT, BY_RANGE, BY_TAC

PACKED = 48
"""From which bit on a whole answer has its code, above the key: the status in 2 bits, one more than the
number of the list in 6, and the rule."""


@cython.final
cdef class CheckTables:
    """What one check reads. It never changes: whoever changes a register makes another.

    known: the keys that any rule may say something about, but for those in ranges. order: the rules, the
    strongest first. levels: the Level of each rule that has one. pairings: of (Pairing, whether it locks,
    code of its list). prefixes: what IMSI prefixes say. outcomes: the status for lists of these statuses, a
    bit each. lists: how many there are. detailed: those whose exact IMEIs have details, by number. spans: a
    filter of the stretches of 2**shift keys in which there are ranges, or None. touched: a filter of the keys
    that changed since both were made, or None; spread: whether there are runs in it, see c/filter.h.
    deciders: of (numbers of classes beside `known`, the classes, details), see c/deciders.h, or None; None
    for the numbers: all have the last. details: of each class None, or the codes of all of its members.

    told(code, about) is asked for a verdict, once for each code; of a list with details with the codes of
    each class that has some, and with what `codes_of` says of a key whose like was not asked about lately.
    malformed(imei, status, code) is asked about an IMEI that is none (status says why): for a verdict, or the
    key to decide by. code: what the IMSI says. unread(imsi) is told of an IMSI that is none: it raises, or it
    counts as not given. about: whatever the caller wants to find here.
    """

    cdef readonly object about
    cdef object unlisted, told, malformed, unread
    cdef tuple kept
    cdef const void* in_known
    cdef const uint64_t[::1] touched_words
    cdef const uint64_t[::1] spans_words
    cdef filter touched
    cdef filter spans
    cdef bint has_touched, has_spread, has_spans, by_imsi
    cdef uint8_t touch  # TOUCHED where something says which keys that are; 0 where all may be
    cdef int order[RULE_COUNT]
    cdef int steps
    cdef void* level[RULE_COUNT]  # the Level of a rule
    cdef void* pairing[LISTS]
    cdef uint16_t pairing_code[LISTS]
    cdef uint8_t pairing_says[LISTS]  # what of `Pairing.find` decides
    cdef int pairing_count
    cdef Prefixes prefixes
    cdef uint8_t outcome[8]
    cdef uint8_t matters[8]  # when these are known: statuses of which it matters whether there are others
    cdef list verdicts
    cdef Py_ssize_t lists
    cdef list told_of  # of each list: None, or where its exact IMEIs have details, these, and then a Told
    cdef bint decided                  # whether there are deciders
    cdef const uint8_t[::1] deciders
    cdef uint64_t places               # of them; 0: all members have class 1
    cdef uint16_t classes[CLASSES]
    cdef uint32_t class_code[CLASSES]  # what lists of exact IMEIs say, without the rule
    cdef uint8_t class_asks[CLASSES]   # the rules by which other lists are to be asked, a bit each
    cdef list class_told               # None; or codes, until they are asked for, and then the verdict

    def __cinit__(self, known, *, order, dict levels, pairings, Prefixes prefixes not None,
                  bytes outcomes, Py_ssize_t lists, dict detailed,
                  told, malformed, unread, about=None, spans=None, int shift=0, touched=None,
                  bint spread=False, deciders=None):
        pairings = tuple(pairings)
        if not 0 <= shift < 64:
            raise ValueError(f"shift: expected 0 to 63, got {shift}")
        if len(pairings) >= LISTS:
            raise ValueError(f"expected at most {LISTS - 1} lists of pairs, got {len(pairings)}")
        self.kept = (known, levels, pairings)
        self.told, self.malformed, self.unread, self.about = told, malformed, unread, about
        self.in_known = index_pointer(known)
        if touched is not None and len(touched):
            self.touched_words, self.has_touched = touched, True
            self.touched = filter(&self.touched_words[0], len(touched), 0)
        self.has_spread = spread and self.has_touched
        self.touch = TOUCHED if self.has_touched else 0
        if spans is not None and len(spans):
            self.spans_words, self.has_spans = spans, True
            self.spans = filter(&self.spans_words[0], len(spans), shift)
        for rule in order:
            self.order[self.steps] = RULES.index(rule)
            self.steps += 1
        for rule, level in levels.items():
            self.level[RULES.index(rule)] = <void*><Level?>level
        for pairing, locks, code in pairings:
            self.pairing[self.pairing_count] = <void*><Pairing?>pairing
            self.pairing_says[self.pairing_count] = OTHER_PAIRS if locks else THIS_PAIR
            self.pairing_code[self.pairing_count] = code
            self.pairing_count += 1
        self.prefixes, self.by_imsi = prefixes, prefixes.count > 0
        self.outcome = outcomes
        find_what_matters(self.outcome, self.matters)
        self.lists, self.told_of = lists, [detailed.get(number) for number in range(lists)]
        self.decide_classes(deciders)
        self.verdicts, self.unlisted = [None] * (RULE_COUNT * self.lists * 4), told(self.outcome[0], None)

    cdef int decide_classes(self, deciders) except -1:
        cdef int number, one
        memset(self.class_asks, 0xFF, sizeof(self.class_asks))  # of unknown classes, and of 0
        self.class_told = [None] * CLASSES
        if deciders is None:
            return 0
        column, classes, self.class_told[:len(deciders[2])] = deciders
        if len(classes) > CLASSES:
            raise ValueError(f"classes: expected at most {CLASSES}, got {len(classes)}")
        if column is not None:
            expect_rows("deciders", index_places(self.kept[0]), len(column))
            self.deciders, self.places = column, len(column)
        self.decided = column is None or self.places > 0
        for number, one in enumerate(classes):
            self.classes[number] = one
            if one:
                self.class_code[number] = self.outcome[one >> 6 & 7] | (one & 63) << 8 if one & 63 else 0
                self.class_asks[number] = (one >> 9 & 1) << BY_PAIR
                self.class_asks[number] |= (one >> 11 & 1) * (1 << BY_RANGE | 1 << BY_TAC)
        return 0

    # ---- one key ----

    cdef inline bint asks(self, int rule, int decider, uint64_t key, int may) noexcept nogil:
        """Whether lists have to be asked by a rule."""
        if may & LISTED and self.class_asks[decider] >> rule & 1:
            return True
        return rule == BY_RANGE and (not may & LISTED or self.has_spans and filter_knows(&self.spans, key))

    cdef inline bint may_differ(self, int may) noexcept nogil:
        """Whether some change may be about this key: otherwise the bases alone say everything."""
        return may & self.touch == self.touch

    cdef int concerns(self, uint64_t key, int* decider) noexcept nogil:
        """Which rules may say something about this key: LISTED, RANGED, or neither; and TOUCHED. decider: the
        number of its class, 0 where its lists have to be asked."""
        cdef int number
        decider[0] = 0
        if self.has_spans:
            filter_fetch(&self.spans, key)
        if self.has_touched and filter_knows(&self.touched, key):
            return LISTED | TOUCHED
        if self.has_spread and filter_knows_spread(&self.touched, key):
            return LISTED | TOUCHED
        if self.places:
            number = index_byte(self.in_known, &self.deciders[0], self.places, key)
        else:
            number = self.decided if index_has(self.in_known, key) else -1
        if number >= 0:
            decider[0] = number if self.classes[number] else 0  # of a damaged file: one that there is not
            return LISTED
        return RANGED if self.has_spans and filter_knows(&self.spans, key) else 0

    cdef uint32_t decide(self, uint64_t key, uint64_t imsi, int may, int decider) noexcept nogil:
        """The code of the first rule that says something; `decide_rows` does the same for many."""
        cdef uint32_t code
        cdef int step, rule
        for step in range(self.steps):
            rule = self.order[step]
            if rule == BY_IMSI:
                code = self.prefixes.code(imsi)
            elif rule == BY_EXACT and decider:
                code = self.class_code[decider]
            elif not self.asks(rule, decider, key, may):
                code = 0
            elif rule == BY_PAIR:
                code = self.pair_code(key, imsi, may)
            else:
                code = self.level_code(<Level>self.level[rule], key, may)
            if code:
                return code | <uint32_t>rule << 16
        return 0

    cdef uint32_t pair_code(self, uint64_t key, uint64_t imsi, int may) noexcept nogil:
        cdef int i
        for i in range(self.pairing_count):
            if (<Pairing>self.pairing[i]).find(key, imsi, self.may_differ(may)) == self.pairing_says[i]:
                return self.pairing_code[i]
        return 0

    cdef uint32_t level_code(self, Level level, uint64_t key, int may) noexcept nogil:
        cdef int start = 0, end, i, wanted, seen = 0, first = 0
        cdef uint64_t has
        while start < level.count:
            end, wanted = min(start + EACH, level.count), 0
            for i in range(start, end):
                wanted |= self.matters[seen] >> level.status[i] & 1
            has = level_has(level, start, end - start, key, self.may_differ(may)) if wanted else 0
            for i in range(start, end):
                if has >> (i - start) & 1 and self.matters[seen] >> level.status[i] & 1:
                    first = first if seen else level.number[i]
                    seen |= 1 << level.status[i]
            start = end
        return self.outcome[seen] | <uint32_t>(first + 1) << 8 if seen else 0

    cdef object verdict(self, uint64_t key, uint64_t imsi, int may, int decider):
        """The verdict on a key; imsi: its number, or NO_IMSI."""
        cdef uint32_t code = self.decide(key, imsi, may, decider)
        cdef Py_ssize_t number = <Py_ssize_t>(code >> 8 & 0xFF) - 1, slot
        if code == 0:
            return self.unlisted
        found = shared_item(<PyObject*>self.class_told, decider) if code >> 16 == BY_EXACT else None
        if type(found) is tuple:
            found = self.class_told[decider] = self.told(code, found)
        if found is not None:
            return found
        found = shared_item(<PyObject*>self.told_of, number) if code >> 16 == BY_EXACT else None
        if found is not None:
            if type(found) is not Told:
                found = self.told_of[number] = Told(found.detailed)
            return (<Told>found).find(key, code, self.may_differ(may), self.told)
        slot = (<Py_ssize_t>(code >> 16) * self.lists + number) * 4 + (code & 3)
        found = shared_item(<PyObject*>self.verdicts, slot)
        if found is None:
            found = self.verdicts[slot] = self.told(code, None)
        return found

    # ---- all that lists say ----

    def read(self, imei, imsi):
        """The key, why there is none (a ParseStatus, 0 where there is), and the number of the IMSI."""
        cdef uint64_t key = 0, subscriber = imsi_number(imsi) if imsi is not None else 0
        cdef uint8_t status = parse_object(imei, &key)
        if subscriber == IMSI_BAD:
            self.unread(imsi)
            subscriber = 0
        return key, status, subscriber

    def claims(self, key, uint64_t imsi):
        """The codes of all that lists say of a key, those that are asked first before the others; what a
        list says by one rule once. None for a key: what they say of the IMSI alone."""
        cdef uint64_t number = 0 if key is None else key
        cdef int decider = 0, step, rule, may = 0 if key is None else self.concerns(number, &decider)
        cdef list found = []
        for step in range(self.steps):
            rule = self.order[step]
            if rule == BY_IMSI:
                self.claims_by_prefix(imsi, found)
            elif rule == BY_EXACT and decider and not self.classes[decider] >> 10 & 1:  # on one, or none
                if self.class_code[decider]:
                    found.append(self.class_code[decider] & ~0xFF | rule << 16
                                 | self.classes[decider] >> 7 & 3)
            elif may & LISTED if rule == BY_EXACT else may and self.asks(rule, decider, number, may):
                if rule == BY_PAIR:
                    self.claims_by_pair(number, imsi, found)
                else:
                    self.claims_by_level(rule, number, may, found)
        return found

    cdef int claims_by_prefix(self, uint64_t imsi, list found) except -1:
        cdef int digits = 0
        while digits < LONGEST and imsi >= POWERS[digits]:
            digits += 1
        while digits > 1 and self.by_imsi and imsi != IMSI_BAD:  # the 1 in front is no digit of the IMSI
            code = self.prefixes.code(imsi)
            if code and code not in found:
                found.append(code)
            digits -= 1
            imsi //= 10
        return 0

    cdef int claims_by_pair(self, uint64_t key, uint64_t imsi, list found) except -1:
        cdef int i
        for i in range(self.pairing_count):
            if (<Pairing>self.pairing[i]).find(key, imsi, True) == self.pairing_says[i]:
                found.append(self.pairing_code[i] | <uint32_t>BY_PAIR << 16)
        return 0

    cdef int claims_by_level(self, int rule, uint64_t key, int may, list found) except -1:
        cdef Level level = <Level>self.level[rule]
        cdef uint64_t has = level_has(level, 0, level.count, key, self.may_differ(may))
        cdef int i
        for i in range(level.count):
            if has >> i & 1:
                found.append(level.status[i] | (level.number[i] + 1) << 8 | rule << 16)
        return 0

    # ---- many keys ----

    def by_prefix(self, const uint64_t[::1] imsis not None, uint16_t[::1] out not None):
        """The codes by the numbers of IMSIs alone, 0 where there is none."""
        cdef Py_ssize_t i
        expect_rows("out", imsis.shape[0], out.shape[0])
        for i in range(imsis.shape[0]):
            out[i] = self.prefixes.code(imsis[i])

    def answer(self, const uint64_t[::1] keys not None, out not None, imsis=None):
        """The codes of keys: uint64, with the keys (see PACKED); uint16 for those without their rules; or
        uint8 for the statuses alone.

        imsis: their numbers, or None where they are not known. Returns whether all keys are below 10**14;
        the code of another means nothing. The interpreter is free meanwhile, and asked for once: in a busy
        one that is what a batch waits for.
        """
        cdef target to
        cdef uint8_t[::1] statuses
        cdef uint16_t[::1] narrow
        cdef uint64_t[::1] whole
        cdef int width = out.dtype.itemsize
        expect_rows("out", keys.shape[0], len(out))
        memset(&to, 0, sizeof(to))
        if keys.shape[0] == 0:
            return True
        if width == 1:
            statuses = out
            to.status = &statuses[0]
        elif width == 2:
            narrow = out
            to.narrow = &narrow[0]
        else:
            whole = out
            to.whole = &whole[0]
        return self.answer_to(keys, imsis, &to)

    def hits(self, const uint64_t[::1] keys not None, uint8_t[::1] status not None,
             int64_t[::1] which not None, uint64_t[::1] said not None):
        """The statuses of keys. And the rows of which some rule says something, ascending in `which`, their
        whole answers in `said`: so many as this returns; -1 where a key is not below 10**14."""
        cdef target to
        expect_rows("status", keys.shape[0], status.shape[0])
        expect_rows("which", keys.shape[0], which.shape[0])
        expect_rows("said", keys.shape[0], said.shape[0])
        memset(&to, 0, sizeof(to))
        if keys.shape[0] == 0:
            return 0
        to.status, to.which, to.said = &status[0], &which[0], &said[0]
        return to.hits if self.answer_to(keys, None, &to) else -1

    cdef bint answer_to(self, const uint64_t[::1] keys, imsis, target* to) except -1:
        """Answer, into the columns that are there; whether all keys are below 10**14."""
        cdef const uint64_t[::1] numbers
        cdef const uint64_t* subscribers = NULL
        cdef uint8_t* status = to.status
        cdef uint16_t* narrow = to.narrow
        cdef uint64_t* whole = to.whole
        cdef uint8_t none = self.outcome[0]
        cdef size_t block, start, here, i, n = keys.shape[0]
        cdef uint64_t wrong = 0
        cdef rows* work
        if imsis is not None:
            numbers = imsis
            expect_rows("imsis", keys.shape[0], numbers.shape[0])
            subscribers = &numbers[0]
        work = <rows*>PyMem_RawMalloc(sizeof(rows))
        if work == NULL:
            raise MemoryError
        work.count = 0
        with nogil:
            for block in range((n + BLOCK - 1) // BLOCK):
                start = block * BLOCK
                here = min(<size_t>BLOCK, n - start)
                for i in range(here):
                    work.block[i] = keys[start + i]
                    wrong |= work.block[i] | (KEYS - 1 - work.block[i])  # the top bit: beyond the last key
                if status != NULL:
                    memset(&status[start], none, here)
                elif narrow != NULL:
                    for i in range(here):
                        narrow[start + i] = none
                else:
                    for i in range(here):
                        whole[start + i] = packed(work.block[i], none)
                self.concerned(work.block, &subscribers[start] if subscribers != NULL else NULL, here,
                               start, work)
                if work.count > WAITING - BLOCK or start + here == n:  # together: their lookups overlap
                    self.decide_rows(subscribers != NULL, work)
                    tell(work, to)
                    work.count = 0
        PyMem_RawFree(work)
        return wrong >> 63 == 0

    cdef void concerned(self, const uint64_t* keys, const uint64_t* imsis, size_t n, size_t start,
                        rows* work) noexcept nogil:
        """Add the rows of a block that some rule may say something about: `concerns` for many."""
        cdef uint8_t may[BLOCK]
        cdef uint8_t decider[BLOCK]
        cdef uint32_t found[BLOCK]
        cdef size_t i, j, count = work.count
        if self.places:
            index_bytes(self.in_known, &self.deciders[0], self.places, keys, n, may, decider)
        else:
            index_have(self.in_known, keys, n, may)
            memset(decider, self.decided, n)
        if self.has_spans:
            _filter_ask(&self.spans, keys, n, RANGED, may)
        if self.has_touched:
            _filter_ask(&self.touched, keys, n, LISTED | TOUCHED, may)
        if self.has_spread:
            for i in range(n):
                work.number[i] = stretch_number(keys[i])
            _filter_ask(&self.touched, work.number, n, LISTED | TOUCHED, may)
            for i in range(n):
                work.number[i] = tac_number(keys[i])
            _filter_ask(&self.touched, work.number, n, LISTED | TOUCHED, may)
        if imsis == NULL:
            for j in range(nonzero_rows(may, n, found)):
                i = found[j]
                work.row[count] = start + i
                work.key[count] = keys[i]
                work.may[count] = may[i]
                work.decider[count] = decider[i] if may[i] & (LISTED | TOUCHED) == LISTED else 0
                count += 1
        else:
            for i in range(n):
                work.row[count] = start + i
                work.key[count] = keys[i]
                work.imsi[count] = imsis[i]
                work.may[count] = may[i]
                work.decider[count] = decider[i] if may[i] & (LISTED | TOUCHED) == LISTED else 0
                count += may[i] != 0 or (self.by_imsi and imsis[i] != 0)
        work.count = count

    cdef void decide_rows(self, bint imsis, rows* work) noexcept nogil:
        """The codes of the rows: `decide` for many. imsis: whether they have any."""
        cdef size_t i, left = work.count
        cdef int step, rule
        for i in range(left):
            work.left[i] = i
            work.code[i] = self.outcome[0]
        for step in range(self.steps):
            if left == 0:
                return
            rule = self.order[step]
            if rule == BY_IMSI and imsis:
                left = self.ask_prefixes(left, work)
            elif rule == BY_PAIR and self.pairing_count:
                left = self.ask_pairs(imsis, left, work)
            elif rule >= BY_EXACT:
                left = self.ask_level(<Level>self.level[rule], rule, left, work)

    cdef size_t ask_prefixes(self, size_t left, rows* work) noexcept nogil:
        """Decide rows that are left; how many still are."""
        cdef size_t j
        cdef uint32_t i, code
        for j in range(left):
            i = work.left[j]
            code = self.prefixes.code(work.imsi[i])
            if code:
                work.code[i] = code
        return self.undecided(left, work)

    cdef size_t gather(self, int rule, size_t left, rows* work) noexcept nogil:
        """The rows left, and their keys, of which lists have to be asked by a rule: `asks` for many. How
        many."""
        cdef size_t j, n = 0
        cdef uint32_t i
        cdef uint8_t ranged = RANGED if rule == BY_RANGE else 0
        for j in range(left):
            i = work.left[j]
            work.asked[n] = i
            work.asked_key[n] = work.key[i]
            work.asked_imsi[n] = work.imsi[i]
            work.asked_may[n] = work.may[i]
            n += (self.class_asks[work.decider[i]] >> rule & work.may[i] & LISTED | work.may[i] & ranged) != 0
        return n

    cdef size_t undecided(self, size_t left, rows* work) noexcept nogil:
        """The rows left whose code is that of no list; how many."""
        cdef size_t j, stay = 0
        cdef uint32_t i
        for j in range(left):
            i = work.left[j]
            work.left[stay] = i
            stay += work.code[i] >> 8 == 0
        return stay

    cdef size_t ask_pairs(self, bint imsis, size_t left, rows* work) noexcept nogil:
        cdef size_t j, n = self.gather(BY_PAIR, left, work)
        cdef uint32_t i
        cdef int list
        for list in range(self.pairing_count):
            (<Pairing>self.pairing[list]).find_many(work.asked_key, work.asked_imsi if imsis else NULL,
                                                    work.asked_may, self.touch, n, work.at,
                                                    work.found, &work.room)
            for j in range(n):
                i = work.asked[j]
                if work.found[j] == self.pairing_says[list] and work.code[i] >> 8 == 0:
                    work.code[i] = self.pairing_code[list] | <uint32_t>BY_PAIR << 16
        return self.undecided(left, work)

    cdef size_t ask_level(self, Level level, int rule, size_t left, rows* work) noexcept nogil:
        cdef size_t j, k, waits, n = self.gather(rule, left, work)
        cdef uint8_t status, had, hit
        cdef uint32_t code
        cdef int i
        for j in range(left if rule == BY_EXACT and n < left else 0):  # those of a class
            i = work.left[j]
            code = self.class_code[work.decider[i]]
            work.code[i] = code | <uint32_t>BY_EXACT << 16 if code else work.code[i]
        for j in range(n):
            work.seen[j] = 0
        for i in range(level.count if n else 0):
            status = level.status[i]
            waits = 0
            for j in range(n):
                work.waiting[waits] = j
                work.waiting_key[waits] = work.asked_key[j]
                waits += self.matters[work.seen[j]] >> status & 1
            for k in range(waits if level.set[i].count else 0):
                work.waiting_may[k] = work.asked_may[work.waiting[k]]
            layers_have(level.set[i], work.waiting_key, work.waiting_may, self.touch,
                        waits, work.found, &work.room)
            for k in range(waits):
                j, hit = work.waiting[k], work.found[k]
                had = work.seen[j]
                work.first[j] = work.first[j] if had else level.number[i]
                work.seen[j] = had | hit << status
        for j in range(n):
            if work.seen[j]:
                work.code[work.asked[j]] = (self.outcome[work.seen[j]] | <uint32_t>(work.first[j] + 1) << 8
                                            | <uint32_t>rule << 16)
        return self.undecided(left, work)


cdef class Checker:
    """One check, as fast as one lookup for most equipment."""

    cdef list tables  # the CheckTables of now, or None, and the version: one thread replaces what others read

    def __cinit__(self, *_given, **_named):
        self.tables = [None, object()]

    def _tables(self):
        """The tables of now, made if there are none."""
        found = shared_item(<PyObject*>self.tables, 0)
        return self._prepare() if found is None else found

    def _version(self):
        """What the tables of now are of: another object after each change."""
        return shared_item(<PyObject*>self.tables, 1)

    def _changed(self):
        """Make new tables when they are needed: those that are there, or being made, are of before."""
        with cython.critical_section(self):
            self.tables[1], self.tables[0] = object(), None  # in this order

    def _use(self, CheckTables tables not None, version=None):
        """Check with these from now on, in every thread, unless they are of a version that is gone."""
        with cython.critical_section(self):
            if version is None or version is self.tables[1]:
                self.tables[0] = tables

    def _prepare(self):
        raise NotImplementedError

    def check(self, imei, imsi=None):
        """The verdict on one IMEI, as used by one subscriber.

        About as fast as one lookup for equipment on no list, and as two for other. Reasons and dates that
        few others have take some microseconds more.

        Parameters
        ----------
        imei : str, bytes, int or Imei
            A text of 14 to 16 digits, or an integer key of 14.
        imsi : str or bytes, optional
            5 to 15 digits, or 'imsi-' and these; None, "" or another kind of SUPI ('nai-', 'gci-', 'gli-')
            where it is not known.

        Returns
        -------
        Verdict

        Raises
        ------
        ImeiError
            The IMEI is malformed, and the policy does not say what such gets.
        ImsiError
            The IMSI is, and the same. With a policy for malformed input such a text is not known; a number
            is an error all the same.

        Examples
        --------
        >>> from imeiset import EquipmentStatus, Register
        >>> register = Register()
        >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
        >>> register.check("490154203237518").list
        'stolen'
        >>> register.check("352099001761481", imsi="234150999999999").status.name
        'WHITELISTED'
        """
        cdef CheckTables tables
        cdef uint64_t key = 0, subscriber = imsi_number(imsi) if imsi is not None else 0
        cdef uint8_t status = parse_object(imei, &key)
        cdef int may, decider
        now = shared_item(<PyObject*>self.tables, 0)
        tables = <CheckTables?>self._prepare() if now is None else <CheckTables>now
        if subscriber == IMSI_BAD:
            tables.unread(imsi)
            subscriber = 0
        if status:
            found = tables.malformed(imei, status, tables.prefixes.code(subscriber))
            if not isinstance(found, int):
                return found
            key = found
        may = tables.concerns(key, &decider)
        if may or (subscriber and tables.by_imsi):
            return tables.verdict(key, subscriber, may, decider)
        return tables.unlisted
