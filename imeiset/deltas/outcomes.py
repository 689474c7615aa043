"""What became of each row of a file of changes: the file again, with one column more.

It is the acknowledgement that whoever sent the file waits for. The rows are as they were; comments and blank
lines are left out.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .._native.scan import Scanner, annotate
from ..errors import FeedEncoding, FeedLimit, FeedTruncated
from ..feeds import arrow
from ..feeds.dialect import Dialect, sniff
from ..feeds.formats import plain
from ..feeds.options import Options
from ..feeds.reader import header_of
from ..feeds.report import RowFlaw, reason_of
from ..feeds.rows import whole_row
from ..feeds.sources import Source
from ..register.lists import List
from ..register.policy import EquipmentStatus
from .changes import ADD, REMOVE, UPDATE, Changes
from .members import PairSet, has

ADDED, UPDATED, REMOVED = "added", "updated", "removed"
THERE, NOT_THERE = "already there", "not there"
IGNORED, REPEATED, NOT_APPLIED = "ignored", "applied before", "not applied"
TITLE = "outcome"
_BLOCKING = (EquipmentStatus.BLACKLISTED, EquipmentStatus.GREYLISTED)
Codes = NDArray[np.int32]


class Outcomes:
    """What became of the rows of a file, by their lines. A line without one is ignored."""

    def __init__(self) -> None:
        self._words: dict[str, int] = {IGNORED: 0}
        self._lines = [np.empty(0, np.int64)]
        self._codes = [np.empty(0, np.int32)]

    def code(self, word: str) -> int:
        """The number of a word."""
        return self._words.setdefault(word, len(self._words))

    def add(self, lines: NDArray[Any], codes: NDArray[Any]) -> None:
        """Rows that begin in these lines. A line may come several times: a row may name several phones."""
        self._lines.append(lines)
        self._codes.append(codes.astype(np.int32))

    @property
    def words(self) -> list[str]:
        """The words, by their numbers."""
        return list(self._words)

    def table(self) -> tuple[NDArray[np.int64], Codes]:
        """The lines in order, each once, and the number of what became of each."""
        lines, codes = np.concatenate(self._lines), np.concatenate(self._codes)
        order = np.argsort(lines, kind="stable")
        lines, codes = lines[order], codes[order]
        starts = np.flatnonzero(np.diff(lines, prepend=-1))
        if len(starts) == len(lines):
            return lines, codes
        found, ends = codes[starts], np.append(starts[1:], len(codes))
        different = np.minimum.reduceat(codes, starts) != np.maximum.reduceat(codes, starts)
        for at in np.flatnonzero(different).tolist():
            named = dict.fromkeys(codes[starts[at] : ends[at]].tolist())
            words = self.words
            found[at] = self.code("; ".join(words[code] for code in named))
        return lines[starts], found


def outcomes_of(changes: Changes, held: Any, checks: set[str], others: Sequence[List] = ()) -> Outcomes:
    """What becomes of the rows of a file, if all of it is applied.

    held: those that it names which the list has. others: lists that may still have what is removed."""
    found = Outcomes()
    _reject(found, changes)
    for part in (0, 1):
        rows = _Rows(changes, part)
        removed, first = rows.removing(), rows.first()
        codes = np.full(len(rows.lines), found.code(NOT_THERE))
        went = removed & rows.held(held, part=True) & first
        codes[went] = _still(found, rows, went, others)
        _tell(found, rows, removed, codes)
        adds, updates = rows.chosen(ADD, True), rows.chosen(UPDATE, True)
        is_there = rows.held(held - changes.removes) | ~first  # removals come before additions
        _tell(found, rows, adds, np.where(is_there, found.code(THERE), found.code(ADDED)))
        codes = np.where(is_there, found.code(UPDATED), found.code(ADDED))
        if "update" in checks:  # it updates what is there, unless it is removed all the same
            gone = rows.also(removed) & ~rows.also(adds)
            codes = np.where(gone, found.code(NOT_THERE), found.code(UPDATED))
        _tell(found, rows, updates, codes)
    return found


def _tell(found: Outcomes, rows: "_Rows", chosen: NDArray[np.bool_], codes: NDArray[Any]) -> None:
    found.add(rows.lines[chosen], codes[chosen])


def refusals_of(changes: Changes, held: Any, checks: set[str]) -> Outcomes:
    """Why the rows of a file that is refused do not fit; of the others, that they are not applied."""
    found = Outcomes()
    _reject(found, changes)
    for part in (0, 1):
        rows = _Rows(changes, part)
        there, listed = rows.held(held), np.ones(len(rows.lines), bool)
        codes = np.full(len(rows.lines), found.code(NOT_APPLIED))
        wrong: Iterable[tuple[str, str, NDArray[np.bool_]]] = (
            ("add", THERE, rows.chosen(ADD, True) & there),
            ("remove", NOT_THERE, rows.removing() & ~there),
            ("update", NOT_THERE, rows.chosen(UPDATE, True) & ~there),
            ("conflict", "another change of it in this file", rows.contradicted()),
        )
        for check, why, some in wrong:
            if check in checks:
                codes[some] = found.code(f"refused: {why}")
        listed &= ~rows.chosen(ADD, False)
        found.add(rows.lines[listed], codes[listed])
    return found


def unapplied(changes: Changes, word: str) -> Outcomes:
    """The same word for all rows that are understood."""
    found = Outcomes()
    _reject(found, changes)
    for part in (0, 1):
        rows = _Rows(changes, part)
        some = rows.lines[~rows.chosen(ADD, False)]
        found.add(some, np.full(len(some), found.code(word)))
    return found


class _Rows:
    """The rows of a file of changes by number, or by irregular text: what they name."""

    def __init__(self, changes: Changes, part: int) -> None:
        self._changes, self._part, table = changes, part, changes.table
        self.columns = table.text_columns if part else table.columns
        self.names: NDArray[Any] = table.texts if part else table.keys
        self.highs = None if part else table.highs
        self.lines = self.columns.get("line", np.empty(0, np.int64))
        self.imsis = None if part or changes.rule != "pair" else self.columns.get("imsi")

    def chosen(self, change: int, listed: bool | None) -> NDArray[np.bool_]:
        """The rows of a change."""
        return self._changes.rows(change, listed)[self._part]

    def removing(self) -> NDArray[np.bool_]:
        """The rows that remove, and those that update to a status that does not count."""
        return self.chosen(REMOVE, None) | self.chosen(UPDATE, False)

    def held(self, held: Any, *, part: bool = False) -> NDArray[np.bool_]:
        """Which of them the list has. Of a range it has all, or with `part` some of it."""
        if self._part:
            return np.isin(self.names, [] if held.irregular is None else held.irregular)
        if isinstance(held, PairSet):
            if self.imsis is None:
                return np.zeros(len(self.names), bool)
            return held.pairs.have(self.names, self.imsis)
        if self.highs is not None:
            below, upto = (np.empty(len(self.names), np.int64) for _ in range(2))
            held.ranks(self.names, below)
            held.ranks(self.highs + np.uint64(1), upto)
            least = 1 if part else (self.highs - self.names).astype(np.int64) + 1
            return upto - below >= least
        answers: NDArray[np.bool_] = held.contains(self.names)
        return answers

    def _numbers(self) -> NDArray[Any]:
        """A number for each row, the same for rows that name the same."""
        cells = [one for one in (self.names, self.highs, self.imsis) if one is not None]
        numbers = np.zeros(len(self.names), np.int64)
        for cell in cells:
            codes = np.unique(cell, return_inverse=True)[1]
            numbers = np.unique(numbers * (len(codes) + 1) + codes, return_inverse=True)[1]
        return numbers

    def first(self) -> NDArray[np.bool_]:
        """Which rows are the first, by their lines, that add what they name, or that remove it."""
        kinds = np.zeros(len(self.names), np.int64)
        kinds[self.removing()] = 1
        kinds[self.chosen(ADD, False)] = 2  # which add nothing
        order = np.argsort(self.lines, kind="stable")
        found = np.zeros(len(self.names), bool)
        found[order[np.unique((self._numbers() * 3 + kinds)[order], return_index=True)[1]]] = True
        return found

    def also(self, some: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which rows name what one of these rows names."""
        numbers = self._numbers()
        return np.isin(numbers, numbers[some])

    def contradicted(self) -> NDArray[np.bool_]:
        """Which rows name what a row of another change names."""
        adds, updates = self.chosen(ADD, True), self.chosen(UPDATE, True)
        removes = self.removing()
        found = np.zeros(len(self.names), bool)
        kinds = [(adds, self.also(adds)), (removes, self.also(removes)), (updates, self.also(updates))]
        for at, (some, _) in enumerate(kinds):
            for _, others in kinds[:at] + kinds[at + 1 :]:
                found |= some & others
        return found


def _reject(found: Outcomes, changes: Changes) -> None:
    lines, reasons = changes.table.rejected
    codes = np.zeros(256, np.int64)
    for reason in np.unique(reasons).tolist():
        codes[reason] = found.code(f"rejected: {reason_of(reason).text}")
    found.add(lines, codes[reasons])


def _still(found: Outcomes, rows: _Rows, gone: NDArray[np.bool_], others: Sequence[List]) -> NDArray[Any]:
    """The numbers of the words for rows that are removed: with the lists that have the phone all the same."""
    names, codes = rows.names[gone], np.full(int(gone.sum()), found.code(REMOVED))
    marks = np.zeros((len(others), len(names)), bool)
    for mark, one in zip(marks, others, strict=True):
        if rows.imsis is not None:
            mark |= one.pairs is not None and one.pairs.have(names, rows.imsis[gone])
        elif rows.highs is not None:
            continue  # a range may be there in part
        elif rows.names.dtype.kind == "S":
            mark |= np.isin(names, sorted(one.irregular)) if one.irregular else False
        else:
            for rule in one.parts:
                mark |= has(one, rule, names)
    for kind in np.unique(marks[:, marks.any(axis=0)], axis=1).T:
        names_of = ", ".join(one.name for one, mark in zip(others, kind.tolist(), strict=True) if mark)
        codes[(marks == kind[:, None]).all(axis=0)] = found.code(f"{REMOVED}; still on {names_of}")
    return codes


def others_of(lists: Sequence[List], one: List, rule: str) -> list[List]:
    """The lists that may keep a phone in the status that another list gave it: those of the same status, of a
    list that blocks or warns any that does. What the list itself has by another rule counts."""
    found = []
    for other in lists:
        same = other.status == one.status or {other.status, one.status} <= {*_BLOCKING}
        if not same or (rule == "pair") != (other.pairs is not None):
            continue
        if other.name == one.name:
            other = replace(other, exact=None, irregular=frozenset(), pairs=None)
        found.append(other)
    return found


# ---- the file ------------------------------------------------------------------------------------


def write(output: BinaryIO, changes: Changes, options: Options, outcomes: Outcomes) -> None:
    """Write the rows of a file as they are, each with what became of it.

    options: by which it was read. Raises FeedTruncated for a file that is another one now, and FeedLimit for
    a row that is too long to be held.
    """
    path, (lines, codes) = changes.path, outcomes.table()
    words, written = outcomes.words, 0
    with Source(
        path, max_bytes=options.max_bytes, max_ratio=options.max_ratio, sheet=options.sheet
    ) as source:
        for dialect, text, rows, first in _batches(source, options, output):
            at = rows[:, 2].astype(np.int64) + first
            place = np.searchsorted(lines, at).clip(0, max(len(lines) - 1, 0))
            known = lines[place] == at if len(lines) else np.zeros(len(at), bool)
            found = np.where(known, codes[place] if len(codes) else 0, 0).astype(np.int32)
            written += len(rows)
            output.write(_annotated(dialect, text, rows, found, words))
    if written != changes.table.report.rows:
        expected = f"a file that stays as it is: {changes.table.report.rows:,} rows"
        raise FeedTruncated(path, expected, f"{written:,} when it was read again")


def expect_text(path: str) -> None:
    """Raise FeedEncoding for a file that is not a text that can be read twice."""
    if path == "-" or arrow.is_table(path):
        got = "stdin, which can be read once" if path == "-" else "Parquet or Arrow"
        raise FeedEncoding(path, "a file of text, for --outcomes", f"{got}: save it as CSV first")


def _batches(
    source: Source, options: Options, output: BinaryIO
) -> Iterator[tuple[Dialect, bytes, NDArray[np.int32], int]]:
    """The rows of a text, some at a time, as a Scanner gives them, with the line from which they count. Its
    header is written."""
    scanner, dialect, rest = None, None, b""
    for buffer, start, stop in source:
        text = bytes(memoryview(buffer)[start:stop])
        source.release(buffer)
        if scanner is None or dialect is None:
            dialect = sniff(source.path, text, options)
            used = dialect.preamble.size
            if dialect.header:
                header = header_of(source.path, text, used, dialect, options.max_line)
                used = min(used + len(header) + 1, len(text))
                output.write(_header(header.rstrip(b"\r"), dialect))
            scanner = Scanner(
                dialect.delimiter,
                (0,),
                comments=True,
                irregular=options.irregular == "keep" and not options.tbcd,
                max_row=options.max_line,
                first_line=text[:used].count(b"\n") + 1,
                fewest=whole_row(dialect),
                most=dialect.most,
                shorter=dialect.header,
            )
            text = text[used:]
        text = rest + text
        scanner.feed(text, final=False)
        while scanner.batch():
            yield dialect, text, _whole(source.path, scanner), scanner.first_line
        rest = text[len(text) - scanner.unfinished :]
    if scanner is not None and dialect is not None:
        scanner.feed(rest, final=True)
        while scanner.batch():
            yield dialect, rest, _whole(source.path, scanner), scanner.first_line


def _whole(path: str, scanner: Scanner) -> NDArray[np.int32]:
    rows = scanner.rows.copy()
    if (rows[:, 3] == RowFlaw.LONG_ROW).any():
        raise FeedLimit(path, "rows that are short enough to be written back, for --outcomes", "a longer one")
    return rows


def _header(header: bytes, dialect: Dialect) -> bytes:
    """The header with one title more: one that it does not have."""
    taken, title, number = {*map(plain, dialect.titles)}, TITLE, 1
    while plain(title) in taken:
        number += 1
        title = f"{TITLE}_{number}"
    if not dialect.delimiter and b"," in header and not header.startswith(b'"'):
        header = b'"%b"' % header.replace(b'"', b'""')  # it is one cell, as the rows are
    return (dialect.delimiter or b",").join((header, title.encode())) + b"\n"


def _annotated(
    dialect: Dialect, text: bytes, rows: NDArray[np.int32], codes: Codes, words: Sequence[str]
) -> bytes:
    used, places = np.unique(codes, return_inverse=True)
    cells = [_cell(words[code], dialect.delimiter or b",") for code in used.tolist()]
    return annotate(text, rows, places.astype(np.uint32), cells, dialect.delimiter, dialect.most)


def _cell(word: str, delimiter: bytes) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter.decode(), lineterminator="").writerow([word])
    return delimiter + out.getvalue().encode() + b"\n"
