"""Sources to blocks of rows, in order: text is cut and scanned on all cores, and accounted for."""

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from .. import errors
from .._files import publish
from .._native.scan import Scanner
from ..errors import CHECK_DIGIT_CODES, ParseStatus, mask, mask_text
from .blocks import DATES_NOTED, RANGES_NOTED, Block, Rejected, Values
from .dialect import Dialect, sniff
from .formats import Format, Polarity, Purpose
from .identities import Identities, swapped_in
from .looks import Watch
from .options import MAX_LINE, Options
from .report import FIRST_LINES, WRITTEN, LoadReport, Rejects, RowFlaw, Suspects, reason_of
from .rows import WANTED, RowScanner
from .sample import SAMPLE
from .sources import CHUNK, Source
from .titles import expect_full
from .zeros import Zeros

MAX_RETURNS = 16  # CRs inside a row; one with more hides rows, which must not be lost as one
MAX_STATUSES = 100  # that a report names
THREADS = os.cpu_count() or 1

# The statuses whose rows are accepted.
_POLICIES: dict[str, tuple[ParseStatus, ...]] = {
    "ignore": (ParseStatus.OK, *CHECK_DIGIT_CODES),
    "spare": (ParseStatus.OK, ParseStatus.CHECK_DIGIT_SPARE, ParseStatus.NO_CHECK_DIGIT),
    "require": (ParseStatus.OK,),
}
Blocks = Generator[
    tuple[Block, int, bool], None, None
]  # with the bytes read so far, and whether the source has a header
_REASONS = {int(code): code.name.lower().encode() for code in (*ParseStatus, *RowFlaw)}


class RejectFiles(ExitStack):
    """Files of rejected rows, which appear together when the context ends without an error. None takes the
    place of a source, or of another."""

    def __init__(self, sources: Iterable[str]) -> None:
        super().__init__()
        self._taken = set(map(os.path.realpath, sources))

    def open(self, path: str | os.PathLike[str]) -> BinaryIO:
        """A file of that name, or with a number in it."""
        first = free = Path(path)
        number = 1
        while os.path.realpath(free) in self._taken:
            number += 1
            free = first.with_name(f"{first.stem}-{number}{first.suffix}")
        self._taken.add(os.path.realpath(free))
        return self.enter_context(publish(free))


class Reader:
    """Reads sources one after the other; keeps the report of what was read so far.

    wanted: the columns beside the identity, of `rows.WANTED`. signs, polarity: see `read`. sources: all
    that will be read. files: where rejects are opened; None: they appear when the context ends without an
    error, or because of rejected rows, which they then have up to there.
    """

    def __init__(
        self,
        options: Options,
        wanted: tuple[str, ...] = (),
        *,
        signs: bool = True,
        polarity: Polarity | None = None,
        sources: Iterable[str] = (),
        files: RejectFiles | None = None,
    ) -> None:
        if unknown := set(wanted) - set(WANTED):
            raise ValueError(f"expected columns of {', '.join(WANTED)}, got {', '.join(sorted(unknown))}")
        self.report = LoadReport()
        self.options = options
        self.wanted = wanted
        self._signs, self._polarity = signs, polarity
        self.watch: Watch | None = None  # of the source at hand
        self.accept = np.zeros(256, np.uint8)
        self.accept[list(_POLICIES[options.check_digit])] = 1
        self.values = Values()
        self._own, self._files = files is None, files or RejectFiles(sources)
        self._outputs: dict[bytes, BinaryIO] = {}  # of rejects, by their header
        self._output: BinaryIO | None = None
        self._first_line = 1
        self._short, self._wrong, self._ranges = Suspects(), Suspects(), Suspects()  # of the source at hand
        self.members: list[str] = []  # what is within archives
        self._rejected = [(np.empty(0, np.int64), np.empty(0, np.uint8))]
        self.zeros, self.identities = Zeros(options.lost_zeros), Identities(options)
        self._swapped = 0  # keys of the source at hand, see `swapped_in`

    def __enter__(self) -> "Reader":
        if self.options.rejects is not None:  # so that what cannot be written fails first
            self._first = self._files.open(self.options.rejects)
        return self

    def __exit__(self, *error: object) -> None:
        if self.options.rejects is not None and not self._outputs and error[0] is None:
            self._first.write(b"line,source,reason,imei\n")
        if isinstance(error[1], errors.FeedRejects):
            error = (None, None, None)
        if self._own:
            self._files.__exit__(*error)  # type: ignore[arg-type]

    def read(self, path: str, blocks: Blocks) -> Generator[tuple[Block, int], None, None]:
        """The parts of a source in order, with the bytes of the file read so far, accounted for.

        Raises a kind of FeedError.
        """
        report, self.watch = self.report, None
        report.sources.append(path)
        self.values.path = path
        before = replace(report, forms=dict(report.forms), ignored=dict(report.ignored))
        self._short, self._wrong, self._ranges = Suspects(), Suspects(), Suspects()
        self._first_line, self._swapped = 1, 0
        header = False
        with closing(blocks):  # with its threads, whatever happens
            for block, position, header in blocks:  # noqa: B007
                self._account(path, block)
                if self.watch:
                    self.watch.see(block.watched)
                yield block, position
        if report.rows == before.rows and not header:
            raise errors.FeedEmpty(path, "rows", "only comments and blank lines")
        if report.rows > before.rows and report.identities == before.identities:
            self._expect_some(path, before)
        self._expect_zeros(path, before)
        if self.watch:
            report.unread += self.watch.unread()

    def _expect_some(self, path: str, before: LoadReport) -> None:
        """Raise FeedRejects for a source of whose rows none is taken."""
        ignored = {
            name: some
            for name, count in self.report.ignored.items()
            if (some := count - before.ignored.get(name, 0))
        }
        if ignored:
            commonest = sorted(ignored.items(), key=lambda one: (-one[1], one[0]))[:FIRST_LINES]
            named = ", ".join(f"{count:,} {name!r}" for name, count in commonest)
            expected = "rows that count: --where COLUMN=VALUE,VALUE says which do"
            raise errors.FeedRejects(path, expected, f"none, but others: {named}")
        most = sorted(self.report.rejects.values(), key=lambda entry: (-entry.count, entry.text))
        reasons = ", ".join(f"{entry.count:,} {entry.text}" for entry in most)
        raise errors.FeedRejects(path, "IMEIs", f"none: every row was rejected ({reasons})")

    def _expect_zeros(self, path: str, before: LoadReport) -> None:
        """Count the numbers of a source that lost a zero; raise FeedLostZeros for many."""
        report, handling = self.report, self.options.lost_zeros
        forms = [count - before.forms[digits] for digits, count in report.forms.items()]
        self.identities.expect_all(path, forms, self._swapped)
        forms[0] += self._ranges.count
        self.zeros.expect(path, forms, self._short, self._wrong)
        found = {"lost_zeros": self._short}
        if handling == "restore-imeisv" or forms[2] > forms[1]:
            found["lost_zeros_imeisv"] = self._wrong
        for name, suspects in found.items():
            getattr(report, name).add(suspects.count, path, [line for _, line in suspects.first])

    # ---- text ----------------------------------------------------------------------

    def text_blocks(self, path: str, delta: bool) -> Blocks:
        """The blocks of delimited text, for `read`.

        delta: the source may be one; otherwise one that says so is refused, as its removals would be loaded.
        Blocks that end with a line are scanned in any order, on any thread, as if they began with a row.
        One that does not, because the block before ends inside a quoted cell, is scanned again."""
        report, options = self.report, self.options
        chunk = max(CHUNK, options.max_line)
        waiting: deque[tuple[Future[tuple[Block, int]], bytearray, memoryview]] = deque()
        scanners: list[RowScanner] = []
        idle: SimpleQueue[RowScanner] = SimpleQueue()
        # What is still to be scanned: of the blocks that are done, and after those that wait.
        left, rest, last, header = b"", b"", 0, False
        with (
            ThreadPoolExecutor(THREADS, thread_name_prefix="scan") as pool,
            Source(
                path,
                chunk=chunk,
                held=THREADS + 1,
                max_bytes=options.max_bytes,
                max_ratio=options.max_ratio,
                sheet=options.sheet,
            ) as source,
        ):

            def scan(text: memoryview) -> tuple[Block, int]:
                scanner = idle.get()
                if self.watch and scanner.dialect is not self.watch.dialect:  # it watches less
                    scanner = self.scanner(self.watch.dialect)
                try:
                    return scanner.scan(text, final=False)
                finally:
                    idle.put(scanner)

            def finished() -> Block:
                nonlocal left
                future, buffer, text = waiting.popleft()
                block, unfinished = future.result()
                if left:
                    text = memoryview(left + text)
                    block, unfinished = scanners[0].scan(text, final=False)
                left = bytes(text[len(text) - unfinished :])
                source.release(buffer)
                return block

            for buffer, start, stop in source:
                report.bytes += stop - start
                last = buffer[stop - 1]
                whole = stop == len(buffer)
                if not scanners:
                    dialect, used = self._begin(path, bytes(memoryview(buffer)[start:stop]), delta)
                    header = dialect.header
                    if used == stop - start and whole:
                        raise errors.FeedLimit(
                            path, f"rows in the first {used:,} bytes", "comments and a header"
                        )
                    scanners = [self.scanner(dialect) for _ in range(THREADS + 1 if whole else 1)]
                    for scanner in scanners[1:]:
                        idle.put(scanner)
                    start += used
                    if source.member:
                        self.members.append(source.member)
                        if not delta:
                            expect_full(source.member, (), options, within=path)
                elif self.watch:
                    self.watch.sample(buffer, start, stop)
                if len(rest) <= start:
                    start -= len(rest)
                    buffer[start : start + len(rest)] = rest
                    rest = b""
                text = memoryview(buffer)[start:stop]
                end = 0 if rest or scanners[0].skipping else buffer.rfind(b"\n", start, stop) + 1
                # Values of columns are numbered as they come, so what may be no row must not be looked at.
                if whole and end and (not self.wanted or buffer.find(b'"', start, end) < 0):
                    rest = bytes(buffer[end:stop])
                    text = text[: end - start]
                    waiting.append((pool.submit(scan, text), buffer, text))
                    if len(waiting) <= THREADS:
                        continue
                    yield finished(), source.position, header
                    continue
                while waiting:
                    yield finished(), source.position, header
                if left or rest:
                    text = memoryview(left + rest + text)
                    left = b""
                block, unfinished = scanners[0].scan(text, final=False)
                rest = bytes(text[len(text) - unfinished :])
                yield block, source.position, header
                source.release(buffer)
            while waiting:
                yield finished(), source.position, header
        if not scanners:
            raise errors.FeedEmpty(path, "text", "an empty file")
        yield scanners[0].scan(memoryview(left + rest), final=True)[0], source.position, header
        report.lines += self._first_line - 1 + (last != ord("\n"))
        report.notes += [(path, note) for note in source.notes]

    def scanner(self, dialect: Dialect) -> RowScanner:
        """A scanner of rows laid out like this, for one thread."""
        options = self.options
        return RowScanner(
            dialect,
            self.accept,
            self.values,
            options,
            wanted=self.wanted,
            signs=self._signs,
            show=options.rejects is not None or options.max_rejects is not None,
        )

    def _begin(self, path: str, text: bytes, delta: bool) -> tuple[Dialect, int]:
        """The layout of a text that begins like this, and the bytes before the first row of data."""
        report = self.report
        dialect = sniff(path, text, self.options)
        used, blank, comments, lines = dialect.preamble
        report.blank += blank
        report.comments += comments + lines
        report.preamble += lines
        if not delta:
            expect_full(path, dialect.titles, self.options)
        titles = b""
        if dialect.header:
            header = header_of(path, text, used, dialect, self.options.max_line)
            titles = header.rstrip(b"\r").lstrip(b"#")
            report.headers += 1
            report.continued += header.count(b"\n")
            used = min(used + len(header) + 1, len(text))
        self._first_line = text.count(b"\n", 0, used) + 1
        dialect = self.look(path, dialect, delta, text, used)
        self.open_rejects(dialect, titles)
        return dialect, used

    def look(self, path: str, dialect: Dialect, delta: bool, text: bytes = b"", start: int = 0) -> Dialect:
        """Report the format of a source, and look at its first rows, which start there: the layout, with what
        to watch."""
        self.report.formats.append(dialect.format.name)
        purpose: Purpose = "delta" if delta else "list"
        self.watch = Watch(path, dialect, self.options, purpose, self._polarity, self.wanted, self.identities)
        return self.watch.first(text, start)

    # ---- accounts --------------------------------------------------------------------

    def _account(self, path: str, block: Block) -> None:
        """Count what is in the next part of a source."""
        report, options = self.report, self.options
        report.rows += block.rows
        report.accepted += block.accepted
        report.identities += block.identities
        report.partly += block.partly
        report.irregular += len(block.texts)
        report.forms[14] += block.regular
        if block.highs:
            report.ranges += block.identities
        elif block.forms[0] or block.forms[2]:
            self._swapped += sum(map(swapped_in, block.keys))
        for status, count in block.ignored.items():
            name = mask_text(status)
            if name not in report.ignored and len(report.ignored) >= MAX_STATUSES:
                name = "others"
            report.ignored[name] = report.ignored.get(name, 0) + count
        for name, count in zip(("blank", "comments", "continued"), block.skipped, strict=True):
            setattr(report, name, getattr(report, name) + count)
        for digits, count in zip(report.forms, block.forms, strict=True):
            report.forms[digits] += count
        for form, count in zip(WRITTEN, block.written[1:], strict=False):
            report.written[form] += count
        self._name(path, block)
        if block.statuses is not None:
            report.wrong_check_digits += int(block.statuses[ParseStatus.CHECK_DIGIT])
            report.spare_check_digits += int(block.statuses[ParseStatus.CHECK_DIGIT_SPARE])
        for lines in block.columns.get("line", []) + block.text_columns.get("line", []):
            lines += self._first_line
        if options.max_rows is not None and report.rows > options.max_rows:
            raise errors.FeedLimit(path, f"at most {options.max_rows:,} rows", "more")
        for rejected in block.rejected:
            self._reject(path, rejected)
        self._first_line += block.lines

    def _name(self, path: str, block: Block) -> None:
        """Count what is to be named, with its lines."""
        report = self.report
        named = {
            "lost_zeros": self._short,
            RANGES_NOTED: self._ranges,
            "wrong": self._wrong,
            DATES_NOTED: report.dates_not_understood,
            **report.placeholders,
        }
        for kind, (count, lines) in block.noted.items():
            named[kind].add(count, path, [line + self._first_line for line in lines])

    def rejected(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """The lines of all rejected rows so far, and the codes of the reasons."""
        lines, reasons = zip(*self._rejected, strict=True)
        return np.concatenate(lines), np.concatenate(reasons)

    def _reject(self, path: str, rejected: Rejected) -> None:
        report, limit = self.report, self.options.max_rejects
        lines, reasons = rejected.lines + self._first_line, rejected.reasons
        if (many := np.flatnonzero(rejected.returns > MAX_RETURNS)).size:
            got = f"lines that end in CR, from line {lines[many[0]]} on"
            raise errors.FeedEncoding(path, "lines that end in LF or CRLF", got)
        self._rejected.append((lines, reasons))
        counts = np.bincount(reasons)
        for code in np.flatnonzero(counts).tolist():
            reason = reason_of(code)
            entry = report.rejects.setdefault(reason.name.lower(), Rejects(reason.text))
            entry.count += int(counts[code])
            first = lines[reasons == code][: FIRST_LINES - len(entry.first)]
            entry.first += [(path, line) for line in first.tolist()]
        if self._output:
            source = _quoted(os.fsencode(path))
            self._output.writelines(
                self._delimiter.join((b"%d" % line, source, _REASONS[code], row)) + b"\n"
                for line, code, row in zip(lines.tolist(), reasons.tolist(), rejected.rows, strict=True)
            )
        if limit is not None and report.rejected > limit:
            at = len(lines) - (report.rejected - limit)
            cell = f" ('{mask(rejected.cells[at])}')" if rejected.cells[at] else ""
            got = f"one more: {reason_of(reasons[at]).text}{cell}"
            raise errors.FeedRejects(path, f"at most {limit} rejected rows", got, line=int(lines[at]))

    def open_rejects(self, dialect: Dialect, titles: bytes) -> None:
        """Where rejected rows of such a layout are written: below its own header, in its own delimiter, so
        that what is mended can be loaded again. Each layout has a file of its own."""
        if self.options.rejects is None:
            return
        self._delimiter = dialect.delimiter or b"\t"
        if not titles:
            names = [f"column_{place + 1}".encode() for place in range(max(dialect.most, 1))]
            form: Format = dialect.format
            names[dialect.column] = form.columns[0].encode() if form.columns else b"imei"
            if dialect.last is not None:
                names[dialect.last] = form.columns[1].encode()
            titles = self._delimiter.join(names)
        header = self._delimiter.join((b"line", b"source", b"reason", titles)) + b"\n"
        if header not in self._outputs:
            output = self._files.open(self.options.rejects) if self._outputs else self._first
            output.write(header)
            self._outputs[header] = output
        self._output = self._outputs[header]


def header_of(path: str, text: bytes, start: int, dialect: Dialect, max_line: int = MAX_LINE) -> bytes:
    """The header of a text, which starts there. Raises FeedLimit for one that is too long."""
    first = text[start : max(text.find(b"\n", start), start)]
    if first.strip() and len(first) <= max_line and b'"' not in first:
        return first  # most are so, and a scanner has room for thousands of rows
    scanner = Scanner(dialect.delimiter, (0,), max_row=max_line)
    for stop in (start + SAMPLE, len(text)):  # most are short
        some = text[start:stop]
        scanner.feed(some, final=stop >= len(text))
        if scanner.batch():
            break
    if scanner.rows[0, 3] == RowFlaw.LONG_ROW:
        raise errors.FeedLimit(path, f"a header of at most {max_line} bytes", "a longer one")
    return some[: int(scanner.rows[0, 1])]


def _quoted(text: bytes) -> bytes:
    return b'"%s"' % text.replace(b'"', b'""')
