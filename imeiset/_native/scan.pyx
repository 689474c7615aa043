"""Delimited text to keys: where each row and each wanted cell lies, and what the cells hold.

The work is done by scan.h, a chunk of text at a time and a batch of rows at a time, without the GIL.
"""

import numpy as np

from imeiset._native.parse import spans

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memset
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from imeiset._native.simd cimport simd_follow


cdef extern from "c/scan.h" nogil:
    struct scan_row:
        int32_t start, end, line, flaw

    struct scan_dialect:
        uint8_t delimiter
        bint comments, irregular, shorter
        int32_t max_row, needed, fewest, most, n_wanted, n_identities, digits
        const int32_t *wanted
        const int32_t *identities

    struct scan_state:
        int32_t position, lines
        bint skipping
        int64_t blank, comments, continued

    int32_t scan_returns(const uint8_t *text, int32_t start, int32_t end, uint8_t delimiter) noexcept
    void scan_marks(int level, const uint8_t *text, int32_t size, uint8_t delimiter,
                    uint64_t *marks) noexcept
    int32_t scan_rows(const scan_dialect *dialect, const uint8_t *text, int32_t size, bint final,
                      const uint64_t *marks, int32_t limit, int32_t capacity, scan_row *rows,
                      int32_t *cells, scan_state *state) noexcept

cdef extern from "c/cells.h" nogil:
    enum: SCAN_GROUP_SLOTS
    int32_t scan_group(const uint8_t *text, const int32_t *starts, const int32_t *ends, int32_t count,
                       int32_t *slots, int32_t *group, int32_t *first) noexcept
    void scan_numbers(const uint8_t *text, const int32_t *starts, const int32_t *ends, int32_t count,
                      int32_t fewest, int32_t most, uint64_t *numbers) noexcept
    void scan_days(const uint8_t *text, const int32_t *starts, const int32_t *ends, int32_t count,
                   int32_t *days) noexcept

cdef extern from "c/taking.h" nogil:
    enum:
        IMEI_OK
        IMEI_NO_CHECK_DIGIT
        NOTED_KINDS
        NOTED_ZEROS
        NOTED_LINES
        WRITTEN_FORMS
    struct noted_rows:
        int64_t count
        int32_t lines[5]
    struct scan_tally:
        int64_t status[256]
        int64_t forms[3]
        int64_t *written
        noted_rows *noted
    struct scan_taking:
        const uint8_t *accept
        uint8_t bare, restored
        bint tbcd
        uint8_t delimiter
        scan_tally tally
    struct scan_refused:
        int32_t *rows
        uint8_t *places
        uint8_t *codes
        int32_t count
    int placeholder_of(uint64_t key) noexcept
    uint8_t take_parse(const scan_taking *taking, const uint8_t *cell, int32_t length,
                       uint64_t *key) noexcept
    int32_t take_rows(scan_taking *taking, const uint8_t *text, const scan_row *rows, int32_t count,
                      const int32_t *const *starts, const int32_t *const *ends, int32_t places,
                      uint64_t *keys, uint8_t *status, int32_t stride, uint64_t *taken, int32_t *owners,
                      scan_refused *refused) noexcept

cdef extern from "c/plain.h" nogil:
    size_t plain_rows(int level, const scan_dialect *dialect, const uint8_t *text, int32_t size, bint final,
                      uint64_t *marks, bint *marked, scan_taking *taking, size_t capacity, uint64_t *keys,
                      int32_t room, scan_row *rows, int32_t *cells, uint8_t *status, int32_t *refused,
                      scan_state *state) noexcept

cdef extern from "c/table.h" nogil:
    struct table_seen:
        int32_t n, room, count
        const int32_t *places
        int32_t *cells
        int64_t *counts
    enum: TABLE_SHAPES
    struct table_shape:
        int32_t bytes, seen
    struct table_shapes:
        table_shape *known
        int64_t learned
        table_seen seen
    struct table_wanted:
        int32_t identity, status, n_words
        const uint8_t *words
        const int32_t *at
    size_t table_rows(int level, const scan_dialect *dialect, const table_wanted *wanted, const uint8_t *text,
                      int32_t size, bint final, uint64_t *marks, bint *marked, scan_taking *taking,
                      size_t capacity, uint64_t *keys, int32_t room, scan_row *rows, int32_t *cells,
                      uint8_t *status, int32_t *refused, scan_state *state, table_shapes *shapes) noexcept
    void table_forget(table_shapes *shapes) noexcept

cdef extern from "c/annotate.h" nogil:
    struct annotate_words:
        const uint8_t *words
        const int32_t *at
        int32_t cells
        uint8_t delimiter
        bint plain
    size_t annotate_size(const uint8_t *text, const scan_row *rows, const uint32_t *codes, size_t n,
                         const annotate_words *words) noexcept
    void annotate_rows(const uint8_t *text, const scan_row *rows, const uint32_t *codes, size_t n,
                       const annotate_words *words, uint8_t *out) noexcept


cdef int _level


cdef void _choose(int level) noexcept:
    global _level
    _level = level


simd_follow(_choose)

MAX_ROW = 1 << 30  # bytes
MAX_PLACES = 16  # columns of identities
SEEN_FEW = 256  # rows whose values need no table
BATCH_ROWS = 16384  # rows, cells and keys of a batch stay in the second-level cache


@cython.final
cdef class Scanner:
    """Finds rows and wanted cells in a text that comes in chunks.

    delimiter: one byte, or b"" for one cell per line. columns: ascending numbers of the wanted cells, from
    0. comments: lines that start with '#' are not rows, unless they have the cells of one, or are irregular
    identities where `irregular`. max_row: the bytes of a row; a longer one is yielded as flawed, see scan.h.
    first_line: the number of the text's first line. fewest, most: the cells of a whole row, other rows being
    flawed; empty cells at its end may be more, and where `shorter`, less than `fewest` will do. needed: those
    without which a row is too short; None: all that are wanted. identities: the places of the identities
    among the wanted columns, digits: how many one has at least; a quoted cell that hides a row with one is
    a flaw. restored, tbcd: see taking.h. For `read_keys`, status: the place of that which has to
    be one of `counting`, lower case; None: every row counts. watched: places of cells that `seen` counts.

    Call `feed` with a chunk, then `batch` until it returns 0. The next chunk begins with the last
    `unfinished` bytes of this one.
    """

    cdef scan_dialect _dialect
    cdef scan_state _state
    cdef scan_taking _taking
    cdef table_wanted _counted
    cdef table_shapes _shapes
    cdef int32_t[::1] _wanted, _word_ends, _identities, _watched
    cdef int32_t[:, :, ::1] _seen_cells
    cdef int64_t[::1] _seen_counts
    cdef uint64_t[::1] _parsed
    cdef uint8_t[::1] _parsed_status
    cdef const uint8_t[::1] _words
    cdef const uint8_t[::1] _text
    cdef uint64_t[::1] _marks
    cdef object _rows, _cells, _reasons
    cdef list _known  # for each shape, the watched cells of its rows
    cdef int32_t[:, ::1] _row_view
    cdef int32_t[:, :, ::1] _cell_view
    cdef uint8_t[::1] _reason_view
    cdef int32_t _count
    cdef int64_t _lines
    cdef bint _final, _marked

    def __cinit__(self, bytes delimiter not None, columns, *, bint comments=False, bint irregular=False,
                  max_row=1 << 20, int64_t first_line=1, int32_t fewest=0, int32_t most=MAX_ROW, needed=None,
                  bint shorter=False, identities=(0,), int32_t digits=14, int restored=0, bint tbcd=False,
                  status=None, counting=(), watched=()):
        wanted = np.array(columns, np.int32)
        if len(delimiter) > 1 or delimiter and delimiter[0] in b'\n\r"\0':
            raise ValueError(f"expected a one-byte delimiter, got {delimiter!r}")
        if wanted.ndim != 1 or not wanted.size or wanted[0] < 0 or (np.diff(wanted) <= 0).any():
            raise ValueError(f"expected ascending column numbers from 0, got {columns!r}")
        if not 0 < max_row <= MAX_ROW:
            raise ValueError(f"expected max_row from 1 to {MAX_ROW}, got {max_row}")
        if not 0 < len(identities) <= MAX_PLACES:
            raise ValueError(f"expected 1 to {MAX_PLACES} columns of identities, got {len(identities)}")
        if restored not in (0, 14, 15):
            raise ValueError(f"expected restored of 14 or 15, got {restored}")
        for place in (*identities, *watched, 0 if status is None else status):
            if not 0 <= place < wanted.size:
                raise ValueError(f"expected places below {wanted.size}, got {place}")
        self._wanted = wanted
        self._identities = np.array(identities, np.int32)
        self._watched = np.array(watched, np.int32)
        self._counted.identity = identities[0]
        self._counted.status = -1 if status is None else status
        words = [b"", *sorted(counting)]
        self._words = b"".join(words) + b"\0"
        self._word_ends = np.cumsum([len(word) for word in words], dtype=np.int32)
        self._counted.words = &self._words[0]
        self._counted.at = &self._word_ends[0]
        self._counted.n_words = len(words) - 1
        self._dialect.delimiter = ord(delimiter or b"\n")
        self._dialect.comments = comments
        self._dialect.irregular = irregular
        self._dialect.shorter = shorter
        self._dialect.needed = wanted[wanted.size - 1] + 1 if needed is None else needed
        self._dialect.max_row = max_row
        self._dialect.fewest = fewest
        self._dialect.most = most
        self._dialect.wanted = &self._wanted[0]
        self._dialect.n_wanted = wanted.size
        self._dialect.identities = &self._identities[0]
        self._dialect.n_identities = len(identities)
        self._dialect.digits = digits
        self._taking.restored = restored
        self._taking.tbcd = tbcd
        self._taking.delimiter = self._dialect.delimiter
        self._rows = np.empty((BATCH_ROWS, 4), np.int32)
        self._cells = np.empty((wanted.size, 2, BATCH_ROWS), np.int32)
        self._row_view = self._rows
        self._cell_view = self._cells
        self._reasons = np.empty(BATCH_ROWS, np.uint8)
        self._reason_view = self._reasons
        self._parsed = np.empty(BATCH_ROWS * len(identities), np.uint64)
        self._parsed_status = np.empty(BATCH_ROWS * len(identities), np.uint8)
        cdef table_seen* seen = &self._shapes.seen
        seen.n, seen.room = len(watched), BATCH_ROWS if watched else 1
        self._known = [()] * TABLE_SHAPES
        self._seen_cells = np.empty((max(len(watched), 1), 2, seen.room), np.int32)
        self._seen_counts = np.zeros(seen.room, np.int64)
        seen.places = &self._watched[0] if watched else NULL
        seen.cells, seen.counts = &self._seen_cells[0, 0, 0], &self._seen_counts[0]
        table_forget(&self._shapes)
        self._marks = np.zeros(0, np.uint64)
        self._text = b""
        self._final = True
        self._lines = first_line - 1

    def feed(self, const uint8_t[::1] text not None, /, *, bint final):
        """Scan these bytes next: what the last chunk left unfinished and what follows it.

        final: the text ends with them. Raises ValueError from 2**31 bytes on.
        """
        if len(text) >= 2 * MAX_ROW:
            raise ValueError(f"expected a chunk below {2 * MAX_ROW} bytes, got {len(text)}")
        self._lines += self._state.lines
        self._state.lines = self._state.position = self._count = 0
        self._text = text
        self._final = final
        cdef Py_ssize_t words = (len(text) + 63) // 64
        if words > len(self._marks):
            self._marks = np.empty(words, np.uint64)
        self._marked = False

    def batch(self):
        """Find the next rows, at most BATCH_ROWS; return how many. 0: the chunk is finished."""
        cdef int32_t size = <int32_t>len(self._text), room = <int32_t>len(self._row_view)
        self._count = 0
        if self._state.position < size:
            with nogil:
                if not self._marked:
                    scan_marks(_level, &self._text[0], size, self._dialect.delimiter, &self._marks[0])
                    self._marked = True
                self._count = scan_rows(&self._dialect, &self._text[0], size, self._final, &self._marks[0],
                                        room, room, <scan_row*>&self._row_view[0, 0],
                                        &self._cell_view[0, 0, 0], &self._state)
        return self._count

    def read_keys(self, const uint8_t[::1] accept not None, uint64_t[::1] keys not None, /):
        """Instead of `batch` and `keys`, and faster where rows look alike.

        accept: as for `take`. keys: receives the keys of accepted rows in order. Returns their number, and
        for the other rows, which are the batch, their statuses or flaws, uint8[n]; a row whose status does
        not count has the flaw IGNORED. Stops where `keys` is full, BATCH_ROWS others were found, or as many
        rows to be `seen`; (0, nothing): the chunk is finished.
        """
        cdef int32_t size = <int32_t>len(self._text), room = <int32_t>len(self._row_view)
        cdef size_t accepted = 0
        cdef bint plain = (self._dialect.delimiter == c"\n" and self._dialect.n_wanted == 1
                           and self._wanted[0] == 0)
        self._accept(accept)
        if not len(keys):
            raise ValueError("expected room for keys, got none")
        self._count = 0
        if self._state.position < size:
            with nogil:
                if plain:
                    accepted = plain_rows(_level, &self._dialect, &self._text[0], size, self._final,
                                          &self._marks[0], &self._marked, &self._taking, len(keys), &keys[0],
                                          room, <scan_row*>&self._row_view[0, 0], &self._cell_view[0, 0, 0],
                                          &self._reason_view[0], &self._count, &self._state)
                else:
                    accepted = table_rows(_level, &self._dialect, &self._counted, &self._text[0], size,
                                          self._final, &self._marks[0], &self._marked, &self._taking,
                                          len(keys), &keys[0], room, <scan_row*>&self._row_view[0, 0],
                                          &self._cell_view[0, 0, 0], &self._reason_view[0], &self._count,
                                          &self._state, &self._shapes)
        return accepted, self._reasons[: self._count]

    cdef _accept(self, const uint8_t[::1] accept):
        if len(accept) != 256:
            raise ValueError(f"expected 256 flags, got {len(accept)}")
        self._taking.accept = &accept[0]
        self._taking.bare = IMEI_OK if accept[IMEI_NO_CHECK_DIGIT] else IMEI_NO_CHECK_DIGIT

    def seen(self):
        """For each of the watched columns, its values in rows that `read_keys` accepted since the last call,
        and how many rows have them. To be called before the next chunk."""
        cdef table_seen* seen = &self._shapes.seen
        cdef int32_t count = seen.count, first = TABLE_SHAPES, i
        cdef table_shape* shape
        found = []
        for place in range(seen.n):
            counted = {}
            for i in range(first):
                if self._seen_counts[i]:
                    _count(counted, self._known[i][place], self._seen_counts[i])
            cells = self._seen_cells[place]
            if count - first <= SEEN_FEW:  # as with few values, of which most rows have one
                for i in range(first, count):
                    _count(counted, bytes(self._text[cells[0, i] : cells[1, i]]), self._seen_counts[i])
            else:
                group, values = self._grouped(cells[0, first:count], cells[1, first:count])
                counts = np.bincount(group, self._seen_counts[first:count], len(values)).astype(np.int64)
                for value, number in zip(values, counts.tolist(), strict=True):
                    _count(counted, value, number)
            found.append(counted)
        for i in range(first):
            shape = &self._shapes.known[i]
            if shape.bytes and shape.seen >= first:
                self._known[i] = tuple([bytes(self._text[one[0, shape.seen] : one[1, shape.seen]])
                                        for one in self._seen_cells[: seen.n]])
        table_forget(&self._shapes)
        return found

    def take(self, const uint8_t[::1] accept not None, uint64_t[::1] keys not None, /):
        """Parse the identities of every row of the batch.

        accept: for each of the 256 statuses and flaws, whether such an identity is accepted; whether one
        without a check digit is decides which of the two statuses it has. keys: room for those of the batch;
        receives the keys of the accepted ones in order. Returns their rows, int32[n], and of cells that are
        refused, the rows, int32[m], the places among the identities, uint8[m], and the statuses, or the flaws
        of rows, uint8[m].
        """
        cdef int32_t count = self._count, places = <int32_t>len(self._identities), place, i, at
        cdef int32_t stride = <int32_t>len(self._row_view)
        cdef const int32_t* starts[16]
        cdef const int32_t* ends[16]
        cdef scan_refused refused
        self._accept(accept)
        if len(keys) < places * count:
            raise ValueError(f"expected room for {places * count} keys, got {len(keys)}")
        owners, rows = np.empty(places * count, np.int32), np.empty(places * count, np.int32)
        where, codes = np.empty(places * count, np.uint8), np.empty(places * count, np.uint8)
        if not count:
            return owners, rows, where, codes
        cdef int32_t[::1] owners_view = owners, rows_view = rows
        cdef uint8_t[::1] where_view = where, codes_view = codes
        refused.rows, refused.places, refused.codes = &rows_view[0], &where_view[0], &codes_view[0]
        refused.count = 0
        for place in range(places):
            at = self._identities[place]
            starts[place], ends[place] = &self._cell_view[at, 0, 0], &self._cell_view[at, 1, 0]
            at = stride * place
            if self._taking.tbcd:
                for i in range(count):
                    self._parsed_status[at + i] = take_parse(
                        &self._taking, &self._text[0] + starts[place][i], ends[place][i] - starts[place][i],
                        &self._parsed[at + i])
            else:
                self.parse(self._identities[place], self._parsed[at : at + count],
                           self._parsed_status[at : at + count])
        with nogil:
            count = take_rows(&self._taking, &self._text[0], <scan_row*>&self._row_view[0, 0], count, starts,
                              ends, places, &self._parsed[0], &self._parsed_status[0], stride, &keys[0],
                              &owners_view[0], &refused)
        return owners[:count], rows[: refused.count], where[: refused.count], codes[: refused.count]

    cdef tuple _cells_of(self, int column):
        """Where the cells of a wanted column start and end, of every row of the batch."""
        if not 0 <= column < self._dialect.n_wanted:
            raise ValueError(f"expected a column below {self._dialect.n_wanted}, got {column}")
        return self._cells[column, 0, : self._count], self._cells[column, 1, : self._count]

    def parse(self, int column, uint64_t[::1] keys not None, uint8_t[::1] status not None, /):
        """The keys and statuses of a wanted cell of every row of the batch, flaws left aside."""
        starts, ends = self._cells_of(column)
        exact = self._taking.bare != IMEI_OK
        spans(self._text, starts, ends, keys[: self._count], status[: self._count], exact)

    def groups(self, int column, /):
        """Equal cells of a wanted column: the group of every row, int32[n], and the text of each group."""
        starts, ends = self._cells_of(column)
        return self._grouped(starts, ends)

    cdef tuple _grouped(self, const int32_t[::1] starts, const int32_t[::1] ends):
        cdef int32_t count = <int32_t>len(starts), found = 0, i
        group = np.empty(count, np.int32)
        if not count:
            return group, []
        cdef int32_t[::1] group_view = group
        cdef int32_t[::1] first = np.empty(count, np.int32)
        cdef int32_t[::1] slots = np.empty(SCAN_GROUP_SLOTS, np.int32)
        with nogil:
            found = scan_group(&self._text[0], &starts[0], &ends[0], count, &slots[0], &group_view[0],
                               &first[0])
        return group, [bytes(self._text[starts[i] : ends[i]]) for i in first[:found]]

    def numbers(self, int column, int fewest, int most, /):
        """The numbers in a wanted column, uint64[n]; 2**64 - 1 for a cell that has not `fewest` to `most`
        digits, at most 18, and nothing else."""
        cdef const int32_t[::1] starts, ends
        cdef int32_t count = self._count
        starts, ends = self._cells_of(column)
        if not 0 <= fewest <= most <= 18:
            raise ValueError(f"expected at most 18 digits, got {fewest} to {most}")
        numbers = np.empty(count, np.uint64)
        cdef uint64_t[::1] view = numbers
        if count:
            with nogil:
                scan_numbers(&self._text[0], &starts[0], &ends[0], count, fewest, most, &view[0])
        return numbers

    def days(self, int column, /):
        """The days in a wanted column as numbers YYYYMMDD, int32[n]: 0 for an empty cell, -1 for one that is
        not a day as ISO 8601 has it."""
        cdef const int32_t[::1] starts, ends
        cdef int32_t count = self._count
        starts, ends = self._cells_of(column)
        days = np.empty(count, np.int32)
        cdef int32_t[::1] view = days
        if count:
            with nogil:
                scan_days(&self._text[0], &starts[0], &ends[0], count, &view[0])
        return days

    def returns(self, const int64_t[::1] rows not None, /):
        """How many CRs stand inside each of these rows of the batch, out of quoted cells: int32[n]."""
        cdef Py_ssize_t i
        counts = np.zeros(rows.shape[0], np.int32)
        cdef int32_t[::1] view = counts
        for i in range(rows.shape[0]):
            if not 0 <= rows[i] < self._count:
                raise ValueError(f"expected rows below {self._count}, got {rows[i]}")
            view[i] = scan_returns(&self._text[0], self._row_view[rows[i], 0], self._row_view[rows[i], 1],
                                   self._dialect.delimiter)
        return counts

    @property
    def skipping(self):
        """Whether the chunk ended within a line that is too long."""
        return self._state.skipping

    @property
    def learned(self):
        """How many rows of a delimited text `read_keys` found no likeness for."""
        return self._shapes.learned

    @property
    def rows(self):
        """int32[n, 4] of the batch: start and end in the chunk, lines before it in the chunk, flaw or 0."""
        return self._rows[: self._count]

    @property
    def cells(self):
        """int32[wanted, 2, n] of the batch: starts and ends in the chunk, trimmed and unquoted."""
        return self._cells[:, :, : self._count]

    @property
    def first_line(self):
        """The number of the first line of the chunk, from 1."""
        return self._lines + 1

    @property
    def lines(self):
        """Line ends so far, those before the first line of the text included."""
        return self._lines + self._state.lines

    @property
    def unfinished(self):
        """How many bytes at the end of the chunk are not done with."""
        return len(self._text) - self._state.position

    def tally(self):
        """What was counted since the last call: lines that are no row of their own (blank, comments, inside
        quoted cells); identities and flawed rows by status or flaw, int64[256]; accepted identities of 14, 15
        and 16 digits; accepted ones by form, see parse.WRITTEN; of each kind in taking.h that is noted, how
        many, and the first lines, from the chunk's first."""
        cdef int kind, i
        cdef scan_tally* tally = &self._taking.tally
        found = (
            (self._state.blank, self._state.comments, self._state.continued),
            np.array(tally.status),
            tuple(tally.forms),
            [tally.written[i] for i in range(WRITTEN_FORMS)],
            [(tally.noted[kind].count,
              [tally.noted[kind].lines[i] for i in range(min(tally.noted[kind].count, NOTED_LINES))])
             for kind in range(NOTED_KINDS)],
        )
        self._state.blank = self._state.comments = self._state.continued = 0
        memset(tally, 0, sizeof(self._taking.tally))
        return found


cdef _count(dict counted, bytes value, int64_t number):
    counted[value] = counted.get(value, 0) + number


def placeholders(const uint64_t[::1] keys not None, /):
    """Which placeholder each key is, by its place in report.PLACEHOLDERS: int64[n]; -1 for none."""
    kinds = np.empty(len(keys), np.int64)
    cdef int64_t[::1] view = kinds
    cdef Py_ssize_t i
    for i in range(len(keys)):
        view[i] = placeholder_of(keys[i])
        view[i] = -1 if view[i] == NOTED_KINDS else view[i] - NOTED_ZEROS
    return kinds


def annotate(const uint8_t[::1] text not None, const int32_t[:, ::1] rows not None,
             const uint32_t[::1] codes not None, list words not None, bytes delimiter not None=b"",
             int32_t cells=0):
    """Rows of a text, as `Scanner.rows` gives them, each without its line end and followed by the word of
    its code; a row whose word is b"" is left out.

    words: bytes for each of the codes, a line end last. cells: how many a row gets before the word, 0:
    as many as it has. Empty ones are added; blank ones beyond them are left out of a row without a flaw, and
    of another all stand after the word; a row whose cells cannot be told becomes one quoted cell. delimiter:
    one byte, or b"" for a text without, whose words begin with a comma. Raises ValueError for a row outside
    the text.
    """
    cdef size_t n = rows.shape[0], i
    cdef annotate_words given
    cdef int32_t[::1] at = np.cumsum([0, *map(len, words)], dtype=np.int32)
    cdef const uint8_t[::1] joined = b"".join(words) + b"\0"
    if rows.shape[1] != 4 or codes.shape[0] != rows.shape[0]:
        raise ValueError(f"expected codes for {n} rows, got {len(codes)}")
    if not n:
        return b""
    for i in range(n):
        if not 0 <= rows[i, 0] <= rows[i, 1] <= text.shape[0]:
            raise ValueError(f"row {i}: expected within {len(text)} bytes, got {rows[i, 0]}:{rows[i, 1]}")
        if codes[i] >= <size_t>len(words):
            raise ValueError(f"row {i}: expected a code of {len(words)} words, got {codes[i]}")
    given.words, given.at = &joined[0], &at[0]
    given.cells, given.plain = cells if cells > 0 else 0, not delimiter
    given.delimiter = delimiter[0] if delimiter else c","
    cdef const uint8_t* base = &text[0] if text.shape[0] else &joined[0]
    cdef const scan_row* row = <const scan_row*>&rows[0, 0]
    out = PyBytes_FromStringAndSize(NULL, annotate_size(base, row, &codes[0], n, &given))
    cdef uint8_t* to = <uint8_t*>PyBytes_AS_STRING(out)
    with nogil:
        annotate_rows(base, row, &codes[0], n, &given, to)
    return out
