"""Files to a set: scan, parse, sort; every row that is not in the set is explained."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import irregular as irregulars
from .._files import publish
from ..errors import CheckDigit, FeedEmpty, FeedLimit, FeedRejects, ParseStatus, mask
from ..sets import ImeiSet
from ._scan import BATCH_ROWS, MAX_ROW, Scanner
from .dialect import preamble, sniff
from .report import FIRST_LINES, LoadReport, Rejects, RowFlaw, reason_of
from .sources import CHUNK, MAX_BYTES, MAX_RATIO, Source, size_of

MAX_LINE = 1 << 20  # bytes
BLOCK = 1 << 20  # keys

# The statuses whose rows are accepted.
_POLICIES: dict[str, tuple[ParseStatus, ...]] = {
    "ignore": (ParseStatus.OK, ParseStatus.CHECK_DIGIT, ParseStatus.CHECK_DIGIT_SPARE),
    "spare": (ParseStatus.OK, ParseStatus.CHECK_DIGIT_SPARE),
    "require": (ParseStatus.OK,),
}
_REASONS = {int(code): code.name.lower().encode() for code in (*ParseStatus, *RowFlaw)}


class LoadResult(NamedTuple):
    """The set that was loaded, and what was in the sources."""

    set: ImeiSet
    report: LoadReport


def load(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    column: str | int | None = None,
    check_digit: CheckDigit = "ignore",
    irregular: irregulars.Policy = "reject",
    rejects: str | os.PathLike[str] | None = None,
    max_rejects: int | None = None,
    max_line: int = MAX_LINE,
    max_rows: int | None = None,
    max_bytes: int = MAX_BYTES,
    max_ratio: float = MAX_RATIO,
    progress: Callable[[int, int | None], None] | None = None,
) -> LoadResult:
    """The set of all IMEIs in one or more files, plain lists or delimited text.

    paths: files, '-' for stdin, or URLs for fsspec (extra `fsspec`); plain, gzip, zstd (extra `zstd`), xz
    or zip of one file. The delimiter (comma, semicolon, tab, pipe or none) and the header are
    found for each file. Lines that start with '#' are comments. column: the header's name for the column
    of the IMEIs, or its number from 1; None finds it, see `dialect.sniff`.
    check_digit: what to do with a 15th digit that is not the Luhn digit (3GPP TS 23.003 Annex B):
    'ignore' it, for it is not part of what identifies; accept a 'spare' 0; or 'require' the right one.
    irregular: 'reject' the rows of irregular identities ('62#222222222222', see `irregular`), or 'keep'
    them, as text beside the set.
    rejects: a file for the rejected rows, CSV of line, source, reason and the row as it was, readable by
    its owner only. max_rejects: how many rejected rows to put up with.
    max_line: bytes; a longer row is rejected and never held in memory. max_rows: of all files; max_bytes:
    of the text of one; max_ratio: of that to its compressed bytes, which only a bomb exceeds.
    progress: called with the bytes of the files read so far, and in all if that is known.

    Nothing is returned or published unless every file was read to a clean end. Raises a kind of
    FeedError, OSError if the rejects cannot be written, and FeedRejects also for a file all of whose
    rows are rejected. Memory: 8 to 12 bytes for each accepted row, and the set.
    """
    if check_digit not in _POLICIES:
        raise ValueError(f"expected check_digit of {', '.join(_POLICIES)}, got {check_digit!r}")
    if irregular not in ("reject", "keep"):
        raise ValueError(f"expected irregular of 'reject' or 'keep', got {irregular!r}")
    if not 0 < max_line <= MAX_ROW:
        raise ValueError(f"expected max_line from 1 to {MAX_ROW}, got {max_line}")
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    names = [os.fspath(path) for path in paths]
    if not names:
        raise ValueError("expected at least one file")
    if rejects is not None and os.path.realpath(rejects) in map(os.path.realpath, names):
        raise ValueError(f"expected rejects beside the sources, got {os.fspath(rejects)!r}, which is one")
    started = time.perf_counter()
    with ExitStack() as stack:
        output = None if rejects is None else stack.enter_context(publish(rejects, private=True))
        loader = _Loader(check_digit, irregular == "keep", output, max_rejects, max_line, max_rows)
        sizes = [size for name in names if (size := size_of(name)) is not None]
        total = sum(sizes) if len(sizes) == len(names) else None
        done = 0
        for name in names:
            chunk = max(CHUNK, max_line)
            with Source(name, chunk=chunk, max_bytes=max_bytes, max_ratio=max_ratio) as source:
                for _ in loader.read(source, column):
                    if progress:
                        progress(done + source.position, total)
            done += source.position
        result = loader.set()
    report = loader.report
    report.keys = len(result)
    report.texts = 0 if result.irregular is None else len(result.irregular)
    report.duplicates = report.accepted - report.keys - report.texts
    report.seconds = time.perf_counter() - started
    return LoadResult(result, report)


class _Loader:
    """The keys and the report of what was read so far."""

    def __init__(
        self,
        check_digit: CheckDigit,
        keep: bool,
        output: BinaryIO | None,
        max_rejects: int | None,
        max_line: int,
        max_rows: int | None,
    ) -> None:
        self.report = LoadReport()
        self.texts: set[bytes] | None = set() if keep else None
        self._accept = np.zeros(256, np.uint8)
        self._accept[list(_POLICIES[check_digit])] = 1
        self._output = output
        self._max_rejects = max_rejects
        self._max_line = max_line
        self._max_rows = max_rows
        self._blocks: list[NDArray[np.uint64]] = []  # the accepted keys
        self._free = np.empty(0, np.uint64)  # the rest of the last block
        if output:
            output.write(b"line,source,reason,row\n")

    def set(self) -> ImeiSet:
        """The set of what was read, on all cores; the loader is done with it."""
        self._close_block()
        return ImeiSet._from_parts(self._blocks, threads=os.cpu_count() or 1, irregular=self.texts)

    def _room(self, keys: int) -> None:
        """Make room for that many keys."""
        if len(self._free) < keys:
            self._close_block()
            self._free = np.empty(max(keys, BLOCK), np.uint64)
            self._blocks.append(self._free)

    def _close_block(self) -> None:
        if self._blocks:
            block = self._blocks[-1]
            self._blocks[-1] = block[: len(block) - len(self._free)]
            self._free = block[:0]

    def read(self, source: Source, column: str | int | None) -> Iterator[None]:
        """Add all of a source, stopping after each chunk of it."""
        report = self.report
        report.sources.append(source.path)
        rows, accepted = report.rows, report.accepted
        scanner: Scanner | None = None
        header = False
        rest = b""
        last = 0
        for buffer, start, stop in source:
            report.bytes += stop - start
            last = buffer[stop - 1]
            if scanner is None:
                scanner, used, header = self._begin(source.path, buffer[start:stop], column)
                if start + used == stop == len(buffer):
                    raise FeedLimit(source.path, f"rows in the first {used:,} bytes", "comments and a header")
                text = memoryview(buffer)[start + used : stop]
            elif len(rest) <= start:
                buffer[start - len(rest) : start] = rest
                text = memoryview(buffer)[start - len(rest) : stop]
            else:
                text = memoryview(rest + buffer[start:stop])
            scanner.feed(text, final=False)
            self._take(scanner, source.path, text)
            rest = bytes(text[len(text) - scanner.unfinished :])
            source.release(buffer)
            yield
        if scanner is None:
            raise FeedEmpty(source.path, "text", "an empty file")
        scanner.feed(rest, final=True)
        self._take(scanner, source.path, memoryview(rest))

        for name, count in zip(("blank", "comments", "continued"), scanner.skipped, strict=True):
            setattr(report, name, getattr(report, name) + count)
        report.lines += scanner.lines + (last != ord("\n"))
        for digits, count in zip(report.forms, scanner.forms, strict=True):
            report.forms[digits] += count
        report.wrong_check_digits += int(scanner.statuses[ParseStatus.CHECK_DIGIT])
        report.spare_check_digits += int(scanner.statuses[ParseStatus.CHECK_DIGIT_SPARE])
        if report.rows == rows and not header:
            raise FeedEmpty(source.path, "rows", "only comments and blank lines")
        if report.rows > rows and report.accepted == accepted:
            reasons = ", ".join(f"{entry.count:,} {entry.text}" for entry in report.rejects.values())
            raise FeedRejects(source.path, "IMEIs", f"none: every row was rejected ({reasons})")

    def _begin(self, path: str, text: bytearray, column: str | int | None) -> tuple[Scanner, int, bool]:
        """The scanner of a text that begins like this, the bytes before the first row of data, and
        whether a header was among them."""
        report = self.report
        used, blank, comments = preamble(text, column)
        report.blank += blank
        report.comments += comments
        dialect = sniff(path, text[used:], column)
        if dialect.header:
            scanner = Scanner(dialect.delimiter, (0,), max_row=self._max_line)
            scanner.feed(text[used:], final=True)
            scanner.batch()
            if scanner.rows[0, 3] == RowFlaw.LONG_ROW:
                raise FeedLimit(path, f"a header of at most {self._max_line} bytes", "a longer one")
            end = used + int(scanner.rows[0, 1]) + 1
            report.headers += 1
            report.continued += text[used : end - 1].count(b"\n")
            used = min(end, len(text))
        scanner = Scanner(
            dialect.delimiter,
            (dialect.column,),
            comments=True,
            max_row=self._max_line,
            first_line=text[:used].count(b"\n") + 1,
            fewest=dialect.fewest,
            most=dialect.most,
        )
        return scanner, used, dialect.header

    def _take(self, scanner: Scanner, path: str, text: memoryview) -> None:
        """Add the rows of a chunk."""
        report = self.report
        self._room(len(text) // 15 + BATCH_ROWS + 1)  # an accepted key has 14 digits and an end
        while True:
            if scanner.one_cell:
                accepted, reasons = scanner.sift(self._accept, self._free)
                rejected = np.arange(len(reasons), dtype=np.int32)
            else:
                scanner.batch()
                accepted, rejected, reasons = scanner.keys(0, self._accept, self._free)
            if not accepted and not len(reasons):
                return
            self._free = self._free[accepted:]
            report.rows += accepted + len(reasons)
            report.accepted += accepted
            if self._max_rows is not None and report.rows > self._max_rows:
                raise FeedLimit(path, f"at most {self._max_rows:,} rows", "more")
            if len(reasons) and self.texts is not None:
                others = self._keep(scanner, text, rejected, reasons)
                rejected, reasons = rejected[others], reasons[others]
            if len(reasons):
                self._reject(scanner, path, text, rejected, reasons)

    def _keep(
        self, scanner: Scanner, text: memoryview, rejected: NDArray[np.int32], reasons: NDArray[np.uint8]
    ) -> NDArray[np.bool_]:
        """Accept the rows that are irregular identities or begin with 14 digits; which are not."""
        report, texts = self.report, self.texts
        assert texts is not None
        others = np.ones(len(reasons), bool)
        wanted = np.flatnonzero(reasons < ParseStatus.CHECK_DIGIT)
        spans = scanner.cells[0][:, rejected[wanted]].T.tolist()
        keys = []
        for row, (start, end) in zip(wanted.tolist(), spans, strict=True):
            form = irregulars.normalised(bytes(text[start:end]))
            if form is None:
                continue
            others[row] = False
            if isinstance(form, int):
                keys.append(form)
            else:
                texts.add(form)
        report.accepted += len(others) - int(others.sum())
        report.irregular += len(others) - int(others.sum()) - len(keys)
        report.forms[14] += len(keys)
        self._free[: len(keys)] = keys
        self._free = self._free[len(keys) :]
        return others

    def _reject(
        self,
        scanner: Scanner,
        path: str,
        text: memoryview,
        rejected: NDArray[np.int32],
        reasons: NDArray[np.uint8],
    ) -> None:
        """Explain the rejected rows of a batch."""
        rows = scanner.rows[rejected]
        lines = scanner.first_line + rows[:, 2].astype(np.int64)
        counts = np.bincount(reasons)
        for code in np.flatnonzero(counts).tolist():
            reason = reason_of(code)
            entry = self.report.rejects.setdefault(reason.name.lower(), Rejects(reason.text))
            entry.count += int(counts[code])
            first = lines[reasons == code][: FIRST_LINES - len(entry.first)]
            entry.first += [(path, line) for line in first.tolist()]
        if self._output:
            source = _quoted(os.fsencode(path))
            self._output.writelines(
                b"%d,%s,%s,%s\n"
                % (line, source, _REASONS[code], _quoted(bytes(text[start:end]).rstrip(b"\r")))
                for line, code, (start, end, *_) in zip(
                    lines.tolist(), reasons.tolist(), rows.tolist(), strict=True
                )
            )
        if self._max_rejects is not None and self.report.rejected > self._max_rejects:
            at = len(rejected) - (self.report.rejected - self._max_rejects)
            start, end = scanner.cells[0, :, rejected[at]].tolist()
            cell = f" ('{mask(bytes(text[start:end]))}')" if start < end else ""
            got = f"one more: {reason_of(reasons[at]).text}{cell}"
            raise FeedRejects(path, f"at most {self._max_rejects} rejected rows", got, line=int(lines[at]))


def _quoted(text: bytes) -> bytes:
    return b'"%s"' % text.replace(b'"', b'""')
