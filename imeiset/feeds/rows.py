"""Blocks of text to rows: identities as keys, other columns as numbers and codes, and what was refused.

A block may be scanned in any thread. What it gives knows lines by their distance from its first line, so
blocks are put in order afterwards.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import irregular as irregulars
from .._native.imsi import BAD_IMSI, NO_IMSI, imsis_of
from .._native.scan import BATCH_ROWS, Scanner, placeholders
from ..errors import ParseStatus
from .blocks import DATES_NOTED, NOTED, RANGES_NOTED, Block, Column, Keys, Rejected, Values
from .days import NOT_A_DAY, day_numbers
from .dialect import Dialect
from .formats import CHANGE, CHANGES, NUMBERS
from .options import Options, value_of
from .report import FIRST_LINES, IGNORED, PLACEHOLDERS, RowFlaw
from .words import change_of, decoded
from .zeros import lost_zeros

WANTED = ("line", "listed", "status", "reasons", "date", "until", "imsi", "msisdn", CHANGE)
_RESTORED = {"restore": 14, "restore-imeisv": 15}  # digits of what lost a zero
_REQUIRED = ("imsi", CHANGE)  # columns without which a row says nothing
_DTYPES = {"line": np.int64, "listed": np.bool_, "imsi": np.uint64, "msisdn": np.uint64}
_DAYS = ("date", "until")
_NUMBER = 2**64 - 1  # no number
_POWERS = 10 ** np.arange(19, dtype=np.uint64)
_SERIALS = 1_000_000
_SLAB = 1 << 19  # keys that memory is taken for at a time, at most: 4 MB has large pages
_UNLIKE = 15  # blocks that are not sifted after one whose rows were not alike
SIFTS = True  # a test compares with what is found without


def dtype_of(name: str) -> type[np.generic]:
    """The dtype of a wanted column: codes and days are int32."""
    return _DTYPES.get(name, np.int32)


class Taken(NamedTuple):
    """Identities of a batch: keys, the row of each, and of ranges, the last key of each."""

    keys: Keys
    rows: NDArray[Any]
    highs: Keys | None = None


class Refused(NamedTuple):
    """Refused cells of a batch, or rows: row, place among the identities, status or flaw."""

    rows: NDArray[Any]
    places: NDArray[Any]
    reasons: NDArray[np.uint8]

    def only(self, some: NDArray[Any]) -> "Refused":
        """Some of them."""
        return Refused(self.rows[some], self.places[some], self.reasons[some])


_NONE = np.empty(0, np.int32)
_NOTHING = Taken(np.empty(0, np.uint64), _NONE)


class RowScanner:
    """Scans blocks of one text, for one thread.

    accept: for each status, whether such an identity is accepted. wanted: of WANTED; columns that the text
    does not have are left out. signs: see `read`. show: keep rejected rows as they are.
    """

    def __init__(
        self,
        dialect: Dialect,
        accept: NDArray[np.uint8],
        values: Values,
        options: Options,
        *,
        wanted: tuple[str, ...],
        signs: bool,
        show: bool,
    ) -> None:
        self.dialect, self._accept, self._values = dialect, accept, values
        self._options, self._show = options, show
        self._keep = options.irregular == "keep" and not options.tbcd
        counts = {"listed"} if dialect.counting is not None else set()
        places = {name: dialect.places[name] for name in {*wanted, *counts} if name in dialect.places}
        self.columns = tuple(name for name in wanted if name == "line" or name in places)
        self._restored = _RESTORED.get(options.lost_zeros or "", 0)
        self._wide = options.where is not None and not all(map(_is_narrow, options.where.values))
        self._filter = "listed" in places and ("listed" not in wanted or options.where is not None)
        plain = dialect.delimiter == b"" and not dialect.header and options.change_column is None
        self._signs = signs and CHANGE in wanted and plain
        if self._signs:
            self.columns = (*(name for name in self.columns if name != CHANGE), CHANGE)
            places[CHANGE] = 0
        identities = [*dialect.columns, *(() if dialect.last is None else (dialect.last,))]
        numbers = sorted({*identities, *places.values(), *dialect.watched})
        self._places = {name: numbers.index(place) for name, place in places.items()}
        self._identities = np.array([numbers.index(place) for place in dialect.columns])
        self._identity = int(self._identities[0])
        self._last = None if dialect.last is None else numbers.index(dialect.last)
        self._watched = {place: numbers.index(place) for place in dialect.watched}
        required = [place for name, place in places.items() if name in _REQUIRED]
        if self._filter and b"" not in (dialect.counting or ()):
            required.append(places["listed"])
        self._scanner = Scanner(
            dialect.delimiter,
            numbers,
            comments=True,
            irregular=self._keep,
            max_row=options.max_line,
            fewest=whole_row(dialect),
            most=dialect.most,
            needed=max(*identities, *required, 0) + 1 if dialect.header else None,
            shorter=dialect.header,
            identities=self._identities.tolist(),
            digits=8 if dialect.format.identity == "tac" else 14,
            restored=self._restored,
            tbcd=bool(options.tbcd),
            status=self._places["listed"] if self._filter else None,
            counting=dialect.counting or (),
            watched=list(self._watched.values()),
        )
        one = dialect.format.identity == "imei" and len(dialect.columns) == 1
        # The quick way through a list of one number a line reads no values.
        reads = bool(dialect.delimiter) or not self._filter
        self._sifts = SIFTS and one and reads and not (self.columns or options.tbcd or self._wide)
        self._unlike = 0  # blocks for which sifting does not pay
        self._slab = np.empty(0, np.uint64)  # what is left of memory for keys
        self._size = self._least = BATCH_ROWS * len(dialect.columns)
        if dialect.format.identity != "imei":
            self._lows, self._highs = np.empty(BATCH_ROWS, np.uint64), np.empty(BATCH_ROWS, np.uint64)
            self._status = np.empty(BATCH_ROWS, np.uint8)

    @property
    def skipping(self) -> bool:
        """Whether the next block begins in the middle of a line that is too long."""
        return self._scanner.skipping

    def scan(self, text: memoryview, *, final: bool) -> tuple[Block, int]:
        """The rows of the next block, and how many bytes at its end belong to an unfinished one.

        final: the block ends with a row. Until it does, the next one begins with these bytes.
        """
        scanner, block = self._scanner, Block()
        scanner.feed(text, final=final)
        first = scanner.first_line
        sifts = self._sifts and not self._unlike
        self._unlike -= self._unlike > 0
        learned = scanner.learned
        while True:
            if sifts:
                accepted, reasons = scanner.read_keys(self._accept, self._room())
                if not accepted and not len(reasons):
                    break
                self._sifted(block, text, accepted, reasons)
            else:
                rows = scanner.batch()
                if not rows:
                    break
                block.rows += rows
                self._batch(block, text)
        if sifts and (scanner.learned - learned) * 4 > block.rows:
            self._unlike = _UNLIKE
        block.lines = scanner.lines - first + 1
        block.skipped, block.statuses, block.forms, written, noted = scanner.tally()
        block.written = tuple(written)
        for kind, (count, lines) in zip(NOTED, noted, strict=True):
            block.note(kind, count, lines)
        return block, scanner.unfinished

    def _room(self) -> Keys:
        """Memory for the keys of a batch, which is used again unless they are kept."""
        if len(self._slab) < self._least:
            self._slab = np.empty(self._size, np.uint64)
            self._size = max(self._least, min(4 * self._size, _SLAB))
        return self._slab

    def _kept(self, count: int) -> Keys:
        """The first keys of that memory, now those of a block."""
        keys, self._slab = self._slab[:count], self._slab[count:]
        return keys

    def _sifted(self, block: Block, text: memoryview, accepted: int, reasons: NDArray[np.uint8]) -> None:
        """Add what `read_keys` found: most rows need no more than that."""
        block.rows += accepted + len(reasons)
        block.accepted += accepted
        block.identities += accepted
        block.keys.append(self._kept(accepted))
        if self._watched:
            for column, counts in zip(self._watched, self._scanner.seen(), strict=True):
                block.see(column, counts)
        if not len(reasons):
            return
        if self._filter and (reasons == IGNORED).any():
            self._count_ignored(block, reasons == IGNORED)
        others = Refused(np.arange(len(reasons)), np.zeros(len(reasons), np.uint8), reasons)
        self._take(block, text, _NOTHING, others, {})

    def _batch(self, block: Block, text: memoryview) -> None:
        scanner = self._scanner
        flaws = scanner.rows[:, 3]
        columns = {name: self._column(name, text, flaws) for name in self.columns}
        if self._filter:
            self._ignore(block, flaws)
        identity = self.dialect.format.identity
        if identity == "imei":
            owners, refused, places, reasons = scanner.take(self._accept, self._room())
            taken, others = Taken(self._kept(len(owners)), owners), Refused(refused, places, reasons)
        else:
            taken, others = self._range(block, identity, flaws)
        block.accepted += len(flaws) - len(np.unique(others.rows))
        self._take(block, text, taken, others, columns)

    def _range(self, block: Block, identity: str, flaws: NDArray[np.int32]) -> tuple[Taken, Refused]:
        """The first and last keys of every accepted row, and the other rows."""
        scanner, rows = self._scanner, len(flaws)
        status: NDArray[Any]
        if identity == "tac":
            tacs = scanner.numbers(self._identity, 8, 8)
            status = np.where(tacs == _NUMBER, int(RowFlaw.TAC), 0)
            keys = tacs * np.uint64(_SERIALS)
            highs = keys + np.uint64(_SERIALS - 1)
        else:
            assert self._last is not None
            keys, highs, codes = self._lows[:rows], self._highs[:rows], self._status[:rows]
            status, bare, suspect = np.zeros(rows, np.int64), flaws == 0, flaws == 0
            for place, ends in ((self._identity, keys), (self._last, highs)):
                scanner.parse(place, ends, codes)
                digits, right = np.diff(scanner.cells[place], axis=0)[0], lost_zeros(ends)
                restored = digits == self._restored
                ends[restored] //= np.uint64(10)
                wrong = restored & ~right & (self._restored == 14)
                codes[wrong & self._accept[codes].astype(bool)] = ParseStatus.CHECK_DIGIT
                status = np.where((status == 0) & (wrong | (self._accept[codes] == 0)), codes, status)
                bare &= (digits == 14) & (status == 0)
                suspect &= bare & right
            status[(status == 0) & (highs < keys)] = RowFlaw.RANGE
            for kind, some in ((RANGES_NOTED, bare), ("lost_zeros", suspect)):
                lines = scanner.rows[some, 2]
                block.note(kind, len(lines), lines[:FIRST_LINES].tolist())
        status = np.where(flaws != 0, flaws, status).astype(np.int64)
        good, rejected = status == 0, np.flatnonzero(status)
        taken = Taken(keys[good], np.flatnonzero(good), highs[good])
        return taken, Refused(rejected, np.zeros(len(rejected), np.uint8), status[rejected].astype(np.uint8))

    def _column(self, name: str, text: memoryview, flaws: NDArray[np.int32]) -> Column:
        """A wanted column of every row of the batch; rows that it spoils are flawed."""
        scanner = self._scanner
        if name == "line":
            return scanner.rows[:, 2].astype(np.int64)
        place = self._places[name]
        if name in _DAYS:
            return self._days(place)
        if name in NUMBERS:
            fewest, most = NUMBERS[name]
            numbers = scanner.numbers(place, fewest, most)
            wrong = numbers == _NUMBER
            if name == "imsi":
                starts, ends = scanner.cells[place]
                numbers += _POWERS[(ends - starts).clip(0, most)]  # leading zeros matter
                if (odd := np.flatnonzero(wrong)).size:  # 'imsi-' and digits, or none
                    spans = zip(starts[odd].tolist(), ends[odd].tolist(), strict=True)
                    found = np.empty(len(odd), np.uint64)
                    imsis_of([bytes(text[start:end]) for start, end in spans], found)
                    numbers[odd], wrong[odd] = found, (found == NO_IMSI) | (found == BAD_IMSI)
                flaws[wrong & (flaws == 0)] = RowFlaw.IMSI
            numbers[wrong] = 0
            return numbers.astype(dtype_of(name))
        if name == CHANGE and self._signs:
            return self._signed(place, text, flaws)
        group, values = scanner.groups(place)
        if name == "listed":
            return np.array([self._counts(value) for value in values], bool)[group]
        return self._values.codes(name, values)[group]

    def _signed(self, place: int, text: memoryview, flaws: NDArray[np.int32]) -> Column:
        """The changes of a list of '+' and '-', which are not part of the cells any more."""
        starts, ends = self._scanner.cells[place]
        signs = np.frombuffer(text, np.uint8)[np.minimum(starts, len(text) - 1)]
        codes = np.zeros(len(starts), np.int32)
        known = np.zeros(len(starts), bool)
        for sign, code in zip(b"+-", self._values.codes(CHANGE, [*CHANGES[:2]]), strict=True):
            codes[signs == sign] = code
            known |= signs == sign
        flaws[~known & (flaws == 0)] = RowFlaw.CHANGE_TYPE
        starts[known & (starts < ends)] += 1
        return codes

    def _days(self, place: int) -> Column:
        """The dates of the batch as numbers, NOT_A_DAY for those that are not understood."""
        if self._options.date_format is None:
            return self._scanner.days(place)
        group, values = self._scanner.groups(place)
        return day_numbers(values, self._options.date_format)[group]

    def _counts(self, status: bytes) -> bool:
        """Whether a row of this status counts."""
        counting, where = self.dialect.counting, self._options.where
        if self._wide and where is not None:
            return where.counts(status)
        return counting is None or status.strip().lower() in counting

    def _ignore(self, block: Block, flaws: NDArray[np.int32]) -> None:
        """Flaw the rows whose status does not count."""
        group, values = self._scanner.groups(self._places["listed"])
        others = np.array([not self._counts(value) for value in values], bool)
        if others.any():
            rows = others[group] & (flaws == 0)
            flaws[rows] = IGNORED
            self._count_ignored(block, rows)

    def _count_ignored(self, block: Block, rows: NDArray[np.bool_]) -> None:
        """Count these rows of the batch by status."""
        group, values = self._scanner.groups(self._places["listed"])
        for at, count in enumerate(np.bincount(group[rows], minlength=len(values)).tolist()):
            if count:
                name = decoded(values[at].strip().lower())
                block.ignored[name] = block.ignored.get(name, 0) + count

    def _take(
        self,
        block: Block,
        text: memoryview,
        taken: Taken,
        refused: Refused,
        columns: dict[str, Column],
    ) -> None:
        """Add the identities of a batch, and explain what is refused. Its rows without a refused cell are
        counted already."""
        refused = refused.only(refused.reasons != IGNORED)
        keys, owners, odd, regular = taken.keys, [taken.rows], _NONE, _NONE
        if self._keep and taken.highs is None and len(refused.rows):
            before = len(np.unique(refused.rows))
            refused, more, regular, odd = self._regularise(block, text, refused)
            block.accepted += before - len(np.unique(refused.rows))
            keys, owners = np.concatenate([keys, more]), [taken.rows, regular]
        others = _NONE
        if self._watched or any(name in columns for name in _DAYS) or len(self._identities) > 1:
            others = np.unique(np.concatenate([*owners, odd]))
            self._look(block, others, columns)
        for name, values in columns.items():
            block.columns.setdefault(name, []).extend(values[rows] for rows in owners)
            if self._keep:
                block.text_columns.setdefault(name, []).append(values[odd])
        block.keys.append(keys)
        if taken.highs is not None:
            block.highs.append(taken.highs)
        block.identities += len(keys) + len(odd)
        if len(refused.rows):
            if len(self._identities) > 1:  # a row is rejected for the first of its cells
                refused = refused.only(np.unique(refused.rows, return_index=True)[1])
                block.partly += int(np.isin(refused.rows, others).sum())
            block.rejected.append(self._explain(text, refused))

    def _look(self, block: Block, rows: NDArray[Any], columns: dict[str, Column]) -> None:
        """Look at the dates and the watched cells of rows of the batch that are taken."""
        self._look_at_days(block, rows, {name: columns[name] for name in _DAYS if name in columns})
        if self._watched and CHANGE in columns and not self._signs and len(rows):
            rows = rows[~self._removing()[rows]]  # what is removed may be said to be
        if not len(rows):
            return
        for column, place in self._watched.items():
            group, values = self._scanner.groups(place)
            counts = np.bincount(group[rows], minlength=len(values)).tolist()
            block.see(column, {value: count for value, count in zip(values, counts, strict=True) if count})

    def _look_at_days(self, block: Block, rows: NDArray[Any], columns: dict[str, Column]) -> None:
        """Count the days that are not understood, and make none of them: a phone is not let go for that."""
        both = [columns[name] for name in _DAYS if name in columns]
        wrong = [days == NOT_A_DAY for days in both]
        if len(both) > 1:  # a last day before the first
            wrong[1] |= (both[1] > 0) & (both[1] < both[0])
        for days, some in zip(both, wrong, strict=True):
            named = rows[some[rows]]
            lines = self._scanner.rows[named[:FIRST_LINES], 2]
            block.note(DATES_NOTED, len(named), lines.tolist())
            days[some] = 0

    def _removing(self) -> NDArray[np.bool_]:
        """Which rows of the batch say that they remove."""
        given = self._options.change_values
        group, values = self._scanner.groups(self._places[CHANGE])
        changes = [given.get(one) if given else change_of(one) for one in map(value_of, values)]
        return np.array([change == "remove" for change in changes], bool)[group]

    def _regularise(
        self, block: Block, text: memoryview, refused: Refused
    ) -> tuple[Refused, Keys, NDArray[Any], NDArray[Any]]:
        """Look again at refused cells: those that stay so, the keys of those that begin with 14 digits, the
        rows of these, and the rows of irregular identities, which are added."""
        stays = np.ones(len(refused.rows), bool)
        wanted = irregulars.candidates(refused.reasons)
        exact = not self._accept[ParseStatus.NO_CHECK_DIGIT]
        keys, regular, odd = [], [], []
        for cell, given in zip(wanted.tolist(), self._cells(text, refused.only(wanted)), strict=True):
            form = irregulars.normalised(given)
            if form is None or (exact and isinstance(form, int)):
                continue
            stays[cell] = False
            if isinstance(form, int):
                keys.append(form)
                regular.append(cell)
            else:
                block.texts.append(form)
                odd.append(cell)
        block.regular += len(regular)
        more, rows = np.array(keys, np.uint64), refused.rows[regular]
        lines = self._scanner.rows[rows, 2]
        kinds = placeholders(more)
        for place, kind in enumerate(PLACEHOLDERS):
            found = lines[kinds == place]
            block.note(kind, len(found), found[:FIRST_LINES].tolist())
        return refused.only(stays), more, rows, refused.rows[odd]

    def _cells(self, text: memoryview, refused: Refused) -> Iterable[bytes]:
        """The refused cells as they are."""
        spans = self._scanner.cells[self._identities[refused.places], :, refused.rows]
        return (bytes(text[start:end]) for start, end in spans.tolist())

    def _explain(self, text: memoryview, refused: Refused) -> Rejected:
        rows = self._scanner.rows[refused.rows]
        returns = self._scanner.returns(refused.rows.astype(np.int64))
        spoilt = (returns > 0) & (refused.reasons != RowFlaw.LONG_ROW)
        reasons = np.where(spoilt, RowFlaw.CARRIAGE_RETURN, refused.reasons)
        whole: list[bytes] = []
        cells: list[bytes] = []
        if self._show:
            whole = [bytes(text[start:end]).rstrip(b"\r") for start, end, *_ in rows.tolist()]
            cells = list(self._cells(text, refused))
        return Rejected(rows[:, 2].astype(np.int64), reasons.astype(np.uint8), returns, whole, cells)


def _is_narrow(value: str) -> bool:
    """Whether a value is found by bytes of ASCII: what has other letters, or had before it was in lower case
    ('ß'), has to be decoded."""
    return value.isascii() and "ss" not in value


def whole_row(dialect: Dialect) -> int:
    """How many cells a row has that lacks none."""
    if not dialect.header:
        return dialect.fewest
    titled = [place + 1 for place, title in enumerate(dialect.titles) if title.strip()]
    return max(dialect.fewest, *titled, 1)
