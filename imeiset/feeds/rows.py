"""Blocks of text to rows: identities as keys, other columns as numbers and codes, and what was refused.

A block may be scanned in any thread. What it gives knows lines by their distance from its first line, so
blocks are put in order afterwards.
"""

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import irregular as irregulars
from .._native.imsi import BAD_IMSI, NO_IMSI, imsis_of
from .._native.scan import BATCH_ROWS, Scanner
from ..errors import FeedLimit, ParseStatus
from .dialect import Dialect
from .formats import CHANGE, CHANGES, NUMBERS
from .report import IGNORED, PLACEHOLDERS, RowFlaw

Keys = NDArray[np.uint64]
Column = NDArray[Any]

WANTED = ("line", "listed", "status", "reasons", "date", "imsi", "msisdn", CHANGE)
MAX_VALUES = 1 << 16
_DTYPES = {"line": np.int64, "listed": np.bool_, "date": np.int32, "imsi": np.uint64, "msisdn": np.uint64}
_NUMBER = 2**64 - 1  # no number
_POWERS = 10 ** np.arange(19, dtype=np.uint64)
_SERIALS = 1_000_000
_SLAB = 1 << 19  # keys that memory is taken for at a time, at most: 4 MB has large pages
_UNLIKE = 15  # blocks that are not sifted after one whose rows were not alike
SIFTS = True  # a test compares with what is found without


def dtype_of(name: str) -> type[np.generic]:
    """The dtype of a wanted column: codes are int32."""
    return _DTYPES.get(name, np.int32)


@dataclass(slots=True)
class Rejected:
    """Rows of a batch that were refused, in order: lines from the block's first, reasons, how many CRs they
    hold, and if they are to be written or shown, the rows and their identities as they are."""

    lines: NDArray[np.int64]
    reasons: NDArray[np.uint8]
    returns: NDArray[np.int32]
    rows: list[bytes]
    cells: list[bytes]


# What is named with first lines: rows that may have lost a zero, accepted ones of 15 digits with a wrong
# check digit, placeholders, dates.
NOTED = ("lost_zeros", "wrong", *PLACEHOLDERS, "dates")
Noted = tuple[int, list[int]]
"""How many rows, and the lines of the first, from the block's first."""


@dataclass(slots=True)
class Block:
    """What is in a block. keys, highs: the accepted identities, the latter of ranges. texts: the irregular
    ones. columns, text_columns: the wanted columns of both. skipped: lines that are no row: blank, comments,
    inside quoted cells. statuses: rows by status; forms: accepted rows of 14, 15 and 16 digits; of both,
    ranges and TACs aside. noted: what is to be named, by NOTED. watched: of the watched columns, the values
    in accepted rows, with how often they come."""

    keys: list[Keys] = field(default_factory=list)
    highs: list[Keys] = field(default_factory=list)
    columns: dict[str, list[Column]] = field(default_factory=dict)
    texts: list[bytes] = field(default_factory=list)
    text_columns: dict[str, list[Column]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    accepted: int = 0
    regular: int = 0  # of the accepted, those that begin with 14 digits and end otherwise
    lines: int = 0
    skipped: tuple[int, int, int] = (0, 0, 0)
    statuses: NDArray[np.int64] | None = None
    forms: tuple[int, int, int] = (0, 0, 0)
    identities: int = 0  # taken; more than accepted rows, where these have several
    partly: int = 0  # rejected rows of which an identity was taken
    written: dict[str, int] = field(default_factory=dict)  # identities by form, see report.WRITTEN
    noted: dict[str, Noted] = field(default_factory=dict)
    watched: dict[int, dict[bytes, int]] = field(default_factory=dict)


class Values:
    """The different values of columns of codes, shared by threads: a value's place is its code."""

    def __init__(self) -> None:
        self.path = ""  # of the source at hand
        self._codes: dict[str, dict[bytes, int]] = {}
        self._lock = threading.Lock()

    def codes(self, column: str, values: list[bytes]) -> NDArray[np.int32]:
        """The code of each value."""
        with self._lock:
            known = self._codes.setdefault(column, {})
            codes = [known.setdefault(value.replace(b'""', b'"'), len(known)) for value in values]
        if len(known) > MAX_VALUES:
            raise FeedLimit(self.path, f"at most {MAX_VALUES:,} different values of {column!r}", "more")
        return np.array(codes, np.int32)

    def names(self, column: str) -> list[str]:
        """The values by code."""
        return [value.decode(errors="replace") for value in self._codes.get(column, {})]


class RowScanner:
    """Scans blocks of one text, for one thread.

    accept: for each status, whether such an identity is accepted. keep: irregular ones are too. wanted:
    of WANTED; columns that the text does not have are left out. signs: see `read`. show: keep rejected rows
    as they are.
    """

    def __init__(
        self,
        dialect: Dialect,
        accept: NDArray[np.uint8],
        values: Values,
        *,
        keep: bool,
        wanted: tuple[str, ...],
        signs: bool,
        show: bool,
        max_row: int,
    ) -> None:
        self._dialect, self._accept, self._values = dialect, accept, values
        self._keep, self._show = keep, show
        counts = {"listed"} if dialect.counting is not None else set()
        places = {name: dialect.places[name] for name in {*wanted, *counts} if name in dialect.places}
        self.columns = tuple(name for name in wanted if name == "line" or name in places)
        self._filter = "listed" in places and "listed" not in wanted
        self._signs = signs and CHANGE in wanted and dialect.delimiter == b"" and not dialect.header
        if self._signs:
            self.columns = (*(name for name in self.columns if name != CHANGE), CHANGE)
            places[CHANGE] = 0
        numbers = {dialect.column, *places.values()}
        if dialect.last is not None:
            numbers.add(dialect.last)
        wanted_numbers = sorted(numbers)
        self._places = {name: wanted_numbers.index(place) for name, place in places.items()}
        self._identity = wanted_numbers.index(dialect.column)
        self._last = None if dialect.last is None else wanted_numbers.index(dialect.last)
        self._scanner = Scanner(
            dialect.delimiter,
            wanted_numbers,
            comments=True,
            max_row=max_row,
            fewest=dialect.fewest,
            most=dialect.most,
            identity=self._identity,
            digits=8 if dialect.format.identity == "tac" else 14,
            status=self._places["listed"] if self._filter else None,
            counting=dialect.counting or (),
        )
        self._sifts = SIFTS and not self.columns and dialect.format.identity == "imei"
        self._unlike = 0  # blocks for which sifting does not pay
        self._slab = np.empty(0, np.uint64)  # what is left of memory for keys
        self._size = BATCH_ROWS
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
                block.rows += accepted + len(reasons)
                if self._filter and (reasons == IGNORED).any():
                    self._count_ignored(block, reasons == IGNORED)
                self._take(block, text, self._kept(accepted), np.arange(len(reasons)), reasons, {})
            else:
                rows = scanner.batch()
                if not rows:
                    break
                block.rows += rows
                self._batch(block, text, rows)
        if sifts and (scanner.learned - learned) * 4 > block.rows:
            self._unlike = _UNLIKE
        block.lines = scanner.lines - first + 1
        block.skipped, block.statuses, block.forms = scanner.tally()
        return block, scanner.unfinished

    def _room(self) -> Keys:
        """Memory for the keys of a batch, which is used again unless they are kept."""
        if len(self._slab) < BATCH_ROWS:
            self._slab = np.empty(self._size, np.uint64)
            self._size = min(4 * self._size, _SLAB)
        return self._slab

    def _kept(self, count: int) -> Keys:
        """The first keys of that memory, now those of a block."""
        keys, self._slab = self._slab[:count], self._slab[count:]
        return keys

    def _batch(self, block: Block, text: memoryview, rows: int) -> None:
        scanner = self._scanner
        flaws = scanner.rows[:, 3]
        columns = {name: self._column(name, text, flaws) for name in self.columns}
        if self._filter:
            self._ignore(block, flaws)
        identity = self._dialect.format.identity
        rejected: NDArray[Any]
        if identity == "imei":
            accepted, rejected, reasons = scanner.keys(self._identity, self._accept, self._room())
            keys, highs = self._kept(accepted), None
        else:
            keys, highs, rejected, reasons = self._range(identity, flaws)
        self._take(block, text, keys, rejected, reasons, columns, highs)

    def _range(
        self, identity: str, flaws: NDArray[np.int32]
    ) -> tuple[Keys, Keys, NDArray[np.int64], NDArray[np.uint8]]:
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
            scanner.parse(self._identity, keys, codes)
            status = np.where(self._accept[codes], 0, codes).astype(np.int64)
            scanner.parse(self._last, highs, codes)
            status = np.where((status == 0) & (self._accept[codes] == 0), codes, status)
            status[(status == 0) & (highs < keys)] = RowFlaw.RANGE
        status = np.where(flaws != 0, flaws, status).astype(np.int64)
        good, rejected = status == 0, np.flatnonzero(status)
        return keys[good], highs[good], rejected, status[rejected].astype(np.uint8)

    def _column(self, name: str, text: memoryview, flaws: NDArray[np.int32]) -> Column:
        """A wanted column of every row of the batch; rows that it spoils are flawed."""
        scanner = self._scanner
        if name == "line":
            return scanner.rows[:, 2].astype(np.int64)
        place = self._places[name]
        if name in ("date", *NUMBERS):
            fewest, most = NUMBERS.get(name, (8, 8))
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
            starts = scanner.cells[place, 0]
            codes = np.full(len(starts), -1, np.int32)
            signs = np.frombuffer(text, np.uint8)[np.minimum(starts, len(text) - 1)]
            codes[signs == ord("+")] = 0
            codes[signs == ord("-")] = 1
            starts[(codes >= 0) & (starts < scanner.cells[place, 1])] += 1
        else:
            group, values = scanner.groups(place)
            if name == "listed":
                return np.array([self._counts(value) for value in values], bool)[group]
            if name != CHANGE:
                return self._values.codes(name, values)[group]
            known = {change: code for code, change in enumerate(CHANGES)}
            codes = np.array([known.get(value.lower(), -1) for value in values], np.int32)[group]
        flaws[(codes < 0) & (flaws == 0)] = RowFlaw.CHANGE_TYPE
        return codes

    def _counts(self, status: bytes) -> bool:
        """Whether a row of this status counts."""
        counting = self._dialect.counting
        return counting is None or status.lower() in counting

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
                name = values[at].lower().decode(errors="replace")
                block.ignored[name] = block.ignored.get(name, 0) + count

    def _take(
        self,
        block: Block,
        text: memoryview,
        keys: Keys,
        rejected: NDArray[Any],
        reasons: NDArray[np.uint8],
        columns: dict[str, Column],
        highs: Keys | None = None,
    ) -> None:
        """Add the accepted rows of a batch, and explain the others."""
        accepted = None
        if columns:
            accepted = np.ones(len(next(iter(columns.values()))), bool)
            accepted[rejected] = False
        columns_of = {name: [values[accepted]] for name, values in columns.items()}
        if len(reasons):
            counted = reasons != IGNORED
            rejected, reasons = rejected[counted], reasons[counted]
            if self._keep and highs is None and len(reasons):
                others, more, regular, odd = self._regularise(block, text, rejected, reasons)
                keys = np.concatenate([keys, more])
                for name, values in columns.items():
                    columns_of[name].append(values[regular])
                    block.text_columns.setdefault(name, []).append(values[odd])
                rejected, reasons = rejected[others], reasons[others]
            if len(reasons):
                block.rejected.append(self._explain(text, rejected, reasons))
        block.keys.append(keys)
        if highs is not None:
            block.highs.append(highs)
        block.accepted += len(keys)
        for name, pieces in columns_of.items():
            block.columns.setdefault(name, []).extend(pieces)

    def _regularise(
        self, block: Block, text: memoryview, rejected: NDArray[Any], reasons: NDArray[np.uint8]
    ) -> tuple[NDArray[np.bool_], Keys, NDArray[Any], NDArray[Any]]:
        """Look again at refused rows: those that stay so, the keys of those that begin with 14 digits, the
        rows of these, and the rows of irregular identities, which are added."""
        others = np.ones(len(reasons), bool)
        wanted = irregulars.candidates(reasons)
        spans = self._scanner.cells[self._identity][:, rejected[wanted]].T.tolist()
        keys, regular, odd = [], [], []
        for row, (start, end) in zip(wanted.tolist(), spans, strict=True):
            form = irregulars.normalised(bytes(text[start:end]))
            if form is None:
                continue
            others[row] = False
            if isinstance(form, int):
                keys.append(form)
                regular.append(row)
            else:
                block.texts.append(form)
                odd.append(row)
        block.accepted += len(odd)
        block.regular += len(regular)
        return others, np.array(keys, np.uint64), rejected[regular], rejected[odd]

    def _explain(self, text: memoryview, rejected: NDArray[Any], reasons: NDArray[np.uint8]) -> Rejected:
        rows = self._scanner.rows[rejected]
        returns = self._scanner.returns(rejected.astype(np.int64))
        reasons = np.where((returns > 0) & (reasons != RowFlaw.LONG_ROW), RowFlaw.CARRIAGE_RETURN, reasons)
        whole: list[bytes] = []
        cells: list[bytes] = []
        if self._show:
            whole = [bytes(text[start:end]).rstrip(b"\r") for start, end, *_ in rows.tolist()]
            spans = self._scanner.cells[self._identity][:, rejected].T.tolist()
            cells = [bytes(text[start:end]) for start, end in spans]
        return Rejected(rows[:, 2].astype(np.int64), reasons.astype(np.uint8), returns, whole, cells)
