"""Delimited text to keys: where each row and each wanted cell lies, and what the cells hold.

The work is done by scan.h, a chunk of text at a time and a batch of rows at a time, without the GIL.
"""

import numpy as np

from imeiset._native.parse import spans

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memset
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from imeiset._native.simd cimport simd_follow


cdef extern from "c/scan.h" nogil:
    struct scan_row:
        int32_t start, end, line, flaw

    struct scan_dialect:
        uint8_t delimiter
        bint comments
        int32_t max_row, fewest, most, n_wanted, identity, digits
        const int32_t *wanted

    struct scan_state:
        int32_t position, lines
        bint skipping
        int64_t blank, comments, continued

    struct scan_tally:
        int64_t status[256]
        int64_t forms[3]

    int32_t scan_returns(const uint8_t *text, int32_t start, int32_t end, uint8_t delimiter) noexcept
    enum: SCAN_GROUP_SLOTS
    int32_t scan_group(const uint8_t *text, const int32_t *starts, const int32_t *ends, int32_t count,
                       int32_t *slots, int32_t *group, int32_t *first) noexcept
    void scan_numbers(const uint8_t *text, const int32_t *starts, const int32_t *ends, int32_t count,
                      int32_t fewest, int32_t most, uint64_t *numbers) noexcept
    void scan_marks(int level, const uint8_t *text, int32_t size, uint8_t delimiter,
                    uint64_t *marks) noexcept
    int32_t scan_rows(const scan_dialect *dialect, const uint8_t *text, int32_t size, bint final,
                      const uint64_t *marks, int32_t limit, int32_t capacity, scan_row *rows,
                      int32_t *cells, scan_state *state) noexcept
    int32_t scan_accept(const uint8_t *text, const scan_row *rows, const int32_t *starts,
                        const int32_t *ends, int32_t count, const uint8_t *accept, uint64_t *keys,
                        uint8_t *status, int32_t *rejected, scan_tally *tally) noexcept

cdef extern from "c/plain.h" nogil:
    size_t plain_rows(int level, const scan_dialect *dialect, const uint8_t *text, int32_t size, bint final,
                      uint64_t *marks, bint *marked, const uint8_t *accept, size_t capacity, uint64_t *keys,
                      int32_t room, scan_row *rows, int32_t *cells, uint8_t *status, int32_t *refused,
                      scan_state *state, scan_tally *tally) noexcept

cdef extern from "c/table.h" nogil:
    struct table_shapes:
        int64_t learned
    struct table_wanted:
        int32_t identity, status, n_words
        const uint8_t *words
        const int32_t *at
    size_t table_rows(int level, const scan_dialect *dialect, const table_wanted *wanted, const uint8_t *text,
                      int32_t size, bint final, uint64_t *marks, bint *marked, const uint8_t *accept,
                      size_t capacity, uint64_t *keys, int32_t room, scan_row *rows, int32_t *cells,
                      uint8_t *status, int32_t *refused, scan_state *state, scan_tally *tally,
                      table_shapes *shapes) noexcept

cdef extern from "c/annotate.h" nogil:
    struct annotate_words:
        const uint8_t *words
        const int32_t *at
        int32_t cells
        uint8_t delimiter
        bint plain
    size_t annotate_size(const uint8_t *text, const scan_row *rows, const uint8_t *codes, size_t n,
                         const annotate_words *words) noexcept
    void annotate_rows(const uint8_t *text, const scan_row *rows, const uint8_t *codes, size_t n,
                       const annotate_words *words, uint8_t *out) noexcept


cdef int _level


cdef void _choose(int level) noexcept:
    global _level
    _level = level


simd_follow(_choose)

MAX_ROW = 1 << 30  # bytes
BATCH_ROWS = 16384  # rows, cells and keys of a batch stay in the second-level cache


@cython.final
cdef class Scanner:
    """Finds rows and wanted cells in a text that comes in chunks.

    delimiter: one byte, or b"" for one cell per line. columns: ascending numbers of the wanted cells,
    from 0. comments: lines that start with '#' are not rows. max_row: the bytes of a row; a longer one
    is yielded as flawed, see scan.h. first_line: the number of the text's first line. fewest, most: the
    cells of a row, other rows being flawed; empty cells at its end may be more. identity: its place among
    the wanted columns, digits: how many it has at least; a quoted cell that hides such a row is a flaw. For
    `read_keys`, status: the place of that which has to be one of `counting`, lower case; None: every row
    counts.

    Call `feed` with a chunk, then `batch` until it returns 0. The next chunk begins with the last
    `unfinished` bytes of this one.
    """

    cdef scan_dialect _dialect
    cdef scan_state _state
    cdef scan_tally _tally
    cdef table_wanted _counted
    cdef table_shapes _shapes
    cdef int32_t[::1] _wanted, _word_ends
    cdef const uint8_t[::1] _words
    cdef const uint8_t[::1] _text
    cdef uint64_t[::1] _marks
    cdef object _rows, _cells, _reasons
    cdef int32_t[:, ::1] _row_view
    cdef int32_t[:, :, ::1] _cell_view
    cdef uint8_t[::1] _reason_view
    cdef int32_t _count
    cdef int64_t _lines
    cdef bint _final, _marked

    def __cinit__(self, bytes delimiter not None, columns, *, bint comments=False, max_row=1 << 20,
                  int64_t first_line=1, int32_t fewest=0, int32_t most=MAX_ROW, int32_t identity=0,
                  int32_t digits=14, status=None, counting=()):
        wanted = np.array(columns, np.int32)
        if len(delimiter) > 1 or delimiter in (b"\n", b"\r", b'"', b"\0"):
            raise ValueError(f"expected a one-byte delimiter, got {delimiter!r}")
        if wanted.ndim != 1 or not wanted.size or wanted[0] < 0 or (np.diff(wanted) <= 0).any():
            raise ValueError(f"expected ascending column numbers from 0, got {columns!r}")
        if not 0 < max_row <= MAX_ROW:
            raise ValueError(f"expected max_row from 1 to {MAX_ROW}, got {max_row}")
        for place in (identity, 0 if status is None else status):
            if not 0 <= place < wanted.size:
                raise ValueError(f"expected places below {wanted.size}, got {place}")
        self._wanted = wanted
        self._counted.identity = identity
        self._counted.status = -1 if status is None else status
        words = [b"", *sorted(counting)]
        self._words = b"".join(words) + b"\0"
        self._word_ends = np.cumsum([len(word) for word in words], dtype=np.int32)
        self._counted.words = &self._words[0]
        self._counted.at = &self._word_ends[0]
        self._counted.n_words = len(words) - 1
        self._dialect.delimiter = ord(delimiter or b"\n")
        self._dialect.comments = comments
        self._dialect.max_row = max_row
        self._dialect.fewest = fewest
        self._dialect.most = most
        self._dialect.wanted = &self._wanted[0]
        self._dialect.n_wanted = wanted.size
        self._dialect.identity = self._wanted[identity]
        self._dialect.digits = digits
        self._rows = np.zeros((BATCH_ROWS, 4), np.int32)
        self._cells = np.zeros((wanted.size, 2, BATCH_ROWS), np.int32)
        self._row_view = self._rows
        self._cell_view = self._cells
        self._reasons = np.zeros(BATCH_ROWS, np.uint8)
        self._reason_view = self._reasons
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

        accept: as for `keys`. keys: receives the keys of accepted rows in order. Returns their number, and
        for the other rows, which are the batch, their statuses or flaws, uint8[n]; a row whose status does
        not count has the flaw IGNORED. Stops where `keys` is full or BATCH_ROWS others were found;
        (0, nothing): the chunk is finished.
        """
        cdef int32_t size = <int32_t>len(self._text), room = <int32_t>len(self._row_view)
        cdef size_t accepted = 0
        cdef bint plain = (self._dialect.delimiter == c"\n" and self._dialect.n_wanted == 1
                           and self._wanted[0] == 0)
        if len(accept) != 256 or not len(keys):
            raise ValueError(f"expected 256 flags and room for keys, got {len(accept)} and {len(keys)}")
        self._count = 0
        if self._state.position < size:
            with nogil:
                if plain:
                    accepted = plain_rows(_level, &self._dialect, &self._text[0], size, self._final,
                                          &self._marks[0], &self._marked, &accept[0], len(keys), &keys[0],
                                          room, <scan_row*>&self._row_view[0, 0], &self._cell_view[0, 0, 0],
                                          &self._reason_view[0], &self._count, &self._state, &self._tally)
                else:
                    accepted = table_rows(_level, &self._dialect, &self._counted, &self._text[0], size,
                                          self._final, &self._marks[0], &self._marked, &accept[0], len(keys),
                                          &keys[0], room, <scan_row*>&self._row_view[0, 0],
                                          &self._cell_view[0, 0, 0], &self._reason_view[0], &self._count,
                                          &self._state, &self._tally, &self._shapes)
        return accepted, self._reasons[: self._count]

    def keys(self, int column, const uint8_t[::1] accept not None, uint64_t[::1] keys not None, /):
        """Parse a wanted cell (by its place among the wanted) of every row of the batch.

        accept: for each of the 256 statuses and flaws, whether such a row is accepted. keys: room for
        the batch; receives the keys of the accepted rows in order. Returns their number, and for the
        other rows their indices, int32[n], and statuses or flaws, uint8[n].
        """
        cdef const int32_t[::1] starts, ends
        cdef int32_t count = self._count, accepted
        starts, ends = self._cells_of(column)
        if len(accept) != 256 or len(keys) < count:
            raise ValueError(f"expected 256 flags and room for {count} keys, got {len(accept)}, {len(keys)}")
        rejected = np.empty(count, np.int32)
        reasons = np.empty(count, np.uint8)
        if not count:
            return 0, rejected, reasons
        cdef int32_t[::1] rejected_view = rejected
        cdef uint8_t[::1] reasons_view = reasons
        spans(self._text, starts, ends, keys[:count], reasons_view)
        with nogil:
            accepted = scan_accept(&self._text[0], <scan_row*>&self._row_view[0, 0], &starts[0], &ends[0],
                                   count, &accept[0], &keys[0], &reasons_view[0], &rejected_view[0],
                                   &self._tally)
        return accepted, rejected[: count - accepted], reasons[: count - accepted]

    cdef tuple _cells_of(self, int column):
        """Where the cells of a wanted column start and end, of every row of the batch."""
        if not 0 <= column < self._dialect.n_wanted:
            raise ValueError(f"expected a column below {self._dialect.n_wanted}, got {column}")
        return self._cells[column, 0, : self._count], self._cells[column, 1, : self._count]

    def parse(self, int column, uint64_t[::1] keys not None, uint8_t[::1] status not None, /):
        """The keys and statuses of a wanted cell of every row of the batch, flaws left aside."""
        starts, ends = self._cells_of(column)
        spans(self._text, starts, ends, keys[: self._count], status[: self._count])

    def groups(self, int column, /):
        """Equal cells of a wanted column: the group of every row, int32[n], and the text of each group."""
        cdef const int32_t[::1] starts, ends
        cdef int32_t count = self._count, found = 0, i
        starts, ends = self._cells_of(column)
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
        quoted cells); rows parsed by `keys` or `read_keys`, by status or flaw, int64[256]; accepted rows of
        14, 15 and 16 digits."""
        found = (
            (self._state.blank, self._state.comments, self._state.continued),
            np.array(self._tally.status),
            tuple(self._tally.forms),
        )
        self._state.blank = self._state.comments = self._state.continued = 0
        memset(&self._tally, 0, sizeof(self._tally))
        return found


def annotate(const uint8_t[::1] text not None, const int32_t[:, ::1] rows not None,
             const uint8_t[::1] codes not None, list words not None, bytes delimiter not None=b"",
             int32_t cells=0):
    """Rows of a text, as `Scanner.rows` gives them, each without its line end and followed by the word of
    its code; a row whose word is b"" is left out.

    words: bytes for each of the 256 codes, a line end last. cells: how many a row gets before the word, 0:
    as many as it has. Empty ones are added; blank ones beyond them are left out of a row without a flaw, and
    of another all stand after the word; a row whose cells cannot be told becomes one quoted cell. delimiter:
    one byte, or b"" for a text without, whose words begin with a comma. Raises ValueError for a row outside
    the text.
    """
    cdef size_t n = rows.shape[0], i
    cdef annotate_words given
    cdef int32_t[::1] at = np.cumsum([0, *map(len, words)], dtype=np.int32)
    cdef const uint8_t[::1] joined = b"".join(words) + b"\0"
    if rows.shape[1] != 4 or codes.shape[0] != rows.shape[0] or at.shape[0] != 257:
        raise ValueError(f"expected 256 words and codes for {n} rows, got {len(words)}, {len(codes)}")
    if not n:
        return b""
    for i in range(n):
        if not 0 <= rows[i, 0] <= rows[i, 1] <= text.shape[0]:
            raise ValueError(f"row {i}: expected within {len(text)} bytes, got {rows[i, 0]}:{rows[i, 1]}")
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
