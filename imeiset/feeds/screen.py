"""Files of records, larger than memory, screened against a list: CSV on all cores, Parquet through pyarrow.

Texts are copied as they are, a word added to each row; nothing but the column of IMEIs is looked at.
"""

import io
import json
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from csv import Error as csv_error
from csv import reader
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from .. import columns
from .._files import publish
from .._native import parse as _parse
from .._native.scan import Scanner, annotate
from .._threads import in_order
from ..errors import ExtraMissing, FeedColumn, FeedEmpty, FeedEncoding, FeedLimit, FeedMissing, ParseStatus
from ..screening import Screener
from .arrow import is_text, trimmed
from .dialect import Dialect, expect_one, preamble, sniff, titled_so
from .reader import MAX_LINE, MAX_RETURNS
from .report import RowFlaw
from .sources import Paths, Source, names_of, size_of

TABLES = (".parquet", ".pq")
TEXTS = (".csv", ".tsv", ".txt", ".gz", ".zst", ".zstd", ".xz", ".zip")
BATCH = 1 << 17  # rows of a table
TOP = 10  # TACs reported


@dataclass(slots=True)
class ScreenReport:
    """What was screened. words: rows by status, malformed ones by reason; rows is their sum. lists: hits by
    the list that decided. tacs: those with the most hits, and how many. skipped: files of a directory whose
    names are not those of records."""

    inputs: list[str] = field(default_factory=list)
    rows: int = 0
    hits: int = 0
    words: dict[str, int] = field(default_factory=dict)
    lists: dict[str, int] = field(default_factory=dict)
    tacs: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    skipped: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """The report as one JSON object."""
        return json.dumps(asdict(self))


def screen(
    inputs: Paths,
    listed: Any,
    *,
    column: str | int | None = None,
    output: str | os.PathLike[str] | None = None,
    only_hits: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> ScreenReport:
    """Screen files of records against an ImeiSet, a Register, a Store, or the path of one: all by the state
    that it has now.

    inputs: files of delimited text (as `load` reads them) or Parquet, or directories of them. column: of
    the IMEIs, its name or its number from 1; None finds it. output: a file for the rows with their
    status, or with only_hits for those that are hits; CSV or Parquet, as its name says. Rows keep their
    order and their bytes; blank lines and comments before the header are left out. A malformed row, or one
    with more or fewer cells than the header, is no hit: its status says why. The status stands under its
    title: blank cells are left out or added at the end of a row, cells that are too many stand after it, and
    a row whose cells cannot be told, for a stray quote or CR, is quoted.
    progress: called with the bytes read so far, and in all if that is known.

    Raises a kind of FeedError or SnapshotError, OSError if the output cannot be written; nothing is
    published then. Memory does not grow with the inputs. Text to Parquet, and Parquet at all, need pyarrow.
    """
    started = time.perf_counter()
    skipped: list[str] = []
    files = [file for given in names_of(inputs) for file in _files(given, skipped)]
    if not files:
        raise ValueError("expected at least one file")
    if output is not None and os.path.realpath(output) in map(os.path.realpath, files):
        raise ValueError(f"expected an output beside the inputs, got {os.fspath(output)!r}, which is one")
    tally = _Tally(Screener(listed))
    to_table = output is not None and _is_table(os.fspath(output))
    tables = to_table or (output is not None and any(map(_is_table, files)))
    sizes = [size_of(name) for name in files]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    with ExitStack() as stack:
        file = None if output is None else stack.enter_context(publish(output))
        engines: dict[bool, _Texts | _Tables] = {}
        done = 0
        for name, size in zip(files, sizes, strict=True):
            table = tables or _is_table(name)
            if table not in engines:
                engines[table] = (_Tables if table else _Texts)(tally, file, only_hits, to_table)
                stack.enter_context(engines[table])
            for position in engines[table].read(name, column):
                if progress:
                    progress(done + position, total)
            done += size or 0
    return tally.report(files, skipped, time.perf_counter() - started)


def _files(path: str, skipped: list[str]) -> list[str]:
    """The file, or those of a directory with a known suffix, in order; others are noted as skipped."""
    if not Path(path).is_dir():
        return [path]
    found: list[str] = []
    for file in sorted(file for file in Path(path).rglob("*") if file.is_file()):
        (found if file.suffix.lower() in TEXTS + TABLES else skipped).append(str(file))
    if not found:
        raise FeedEmpty(path, f"files that end in {', '.join(TEXTS + TABLES)}", "none")
    return found


def _is_table(path: str) -> bool:
    return Path(path).suffix.lower() in TABLES


class _Tally:
    """Counts of codes and of the TACs of hits; all by the list as it is when this is made."""

    def __init__(self, screener: Screener) -> None:
        self._moment = screener.now()
        self.words = dict(enumerate(screener.words))
        self.words |= {int(flaw): f"malformed: {flaw.name.lower().replace('_', ' ')}" for flaw in RowFlaw}
        self.is_hit = np.zeros(256, bool)
        self.is_hit[list(screener.hits)] = True
        self._counts = np.zeros(256, np.int64)
        self._lists = np.zeros(len(self._moment.lists) + 1, np.int64)  # the first: by none
        self._tacs: list[NDArray[np.uint64]] = []  # columns of TACs and counts
        self._pending = 0

    def judge(
        self,
        keys: columns.Keys,
        status: columns.Statuses,
        value: Callable[[int], object],
        flaws: NDArray[np.int32] | None = None,
    ) -> tuple[NDArray[np.uint8], "_Counts"]:
        """The codes of parsed rows, and what `add` is to count; from any thread."""
        codes, lists = self._moment.judge(keys, status, value, 1)
        if flaws is not None and flaws.any():
            codes = np.where(flaws, flaws, codes).astype(np.uint8)
        hits = self.is_hit[codes]
        tacs = keys[hits] // np.uint64(10**6)
        by_tac = np.array(np.unique(tacs[tacs < 10**8], return_counts=True), np.uint64)  # a text has none
        by_list = np.bincount(lists[hits] + 1, minlength=len(self._moment.lists) + 1)
        return codes, (np.bincount(codes, minlength=256), by_list, by_tac)

    def add(self, counts: "_Counts") -> None:
        by_code, by_list, by_tac = counts
        self._counts += by_code
        self._lists += by_list
        self._tacs.append(by_tac)
        self._pending += by_tac.shape[1]
        if self._pending > 1 << 20:
            self._fold()

    def _fold(self) -> None:
        """Make one column of every TAC."""
        tacs, numbers = np.concatenate(self._tacs, axis=1)
        kept, place = np.unique(tacs, return_inverse=True)
        self._tacs = [np.array([kept, np.bincount(place, weights=numbers)], np.uint64)]
        self._pending = 0

    def report(self, files: list[str], skipped: list[str], seconds: float) -> ScreenReport:
        tacs: dict[str, int] = {}
        if self._tacs:
            self._fold()
            found = self._tacs[0][:, np.argsort(self._tacs[0][1].astype(np.int64) * -1, kind="stable")[:TOP]]
            tacs = {f"{tac:08d}": count for tac, count in found.T.tolist()}
        words = {self.words[code]: int(self._counts[code]) for code in np.flatnonzero(self._counts).tolist()}
        hits = int(self._counts[self.is_hit].sum())
        lists = dict(zip(self._moment.lists, self._lists[1:].tolist(), strict=True))
        return ScreenReport(files, int(self._counts.sum()), hits, words, lists, tacs, seconds, skipped)


_Counts = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64]]


class _Texts:
    """Delimited text to the same text: this thread finds the rows, others screen them."""

    def __init__(self, tally: _Tally, output: BinaryIO | None, only_hits: bool, to_table: bool) -> None:
        self._tally, self._output, self._only_hits = tally, output, only_hits
        self._workers = os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="screen")
        self._header: tuple[bytes, bytes] | None = None  # of the first file, and its delimiter
        self._words = [b""] * 256  # after a row of that code
        self._layout = b"", 0  # the delimiter of the file at hand, and the cells of its rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def read(self, path: str, column: str | int | None) -> Iterator[int]:
        """Screen a file; yields the bytes of it that were read."""
        waiting: deque[Future[tuple[bytes, _Counts]]] = deque()
        with Source(path) as source:
            for text, scanner in self._chunks(source, column):
                while scanner.batch():
                    rows = scanner.rows.copy()
                    _expect_ends(path, scanner)
                    if self._output and (rows[:, 3] == RowFlaw.LONG_ROW).any():
                        raise FeedLimit(path, f"rows of at most {MAX_LINE} bytes", "a longer one")
                    cells = scanner.cells[0].copy()
                    waiting.append(self._pool.submit(self._screen, text, rows, cells, *self._layout))
                while len(waiting) > 4 * self._workers:
                    self._finish(waiting.popleft())
                yield source.position
            while waiting:
                self._finish(waiting.popleft())
            yield source.position

    def _finish(self, future: "Future[tuple[bytes, _Counts]]") -> None:
        out, counts = future.result()
        self._tally.add(counts)
        if self._output:
            self._output.write(out)

    def _chunks(self, source: Source, column: str | int | None) -> Iterator[tuple[bytes, Scanner]]:
        """Pieces of the text and the scanner that was fed with them."""
        scanner: Scanner | None = None
        rest = b""
        for buffer, start, stop in source:
            text = rest + bytes(memoryview(buffer)[start:stop])
            source.release(buffer)
            if scanner is None:
                dialect, title, used = _begin(source.path, text, column)
                self._start(source.path, dialect, title)
                first_line = text[:used].count(b"\n") + 1
                text = text[used:]
                scanner = Scanner(
                    dialect.delimiter,
                    (dialect.column,),
                    first_line=first_line,
                    fewest=dialect.fewest,
                    most=dialect.most,
                )
            scanner.feed(text, final=False)
            yield text, scanner
            rest = text[len(text) - scanner.unfinished :]
        if scanner is None:
            raise FeedEmpty(source.path, "text", "an empty file")
        scanner.feed(rest, final=True)
        yield rest, scanner

    def _start(self, path: str, dialect: Dialect, title: bytes) -> None:
        """Write the header of the first file; the others must have the same."""
        delimiter = dialect.delimiter or b","
        self._layout = dialect.delimiter, dialect.most
        if self._header is None:
            self._header = title, delimiter
            for code, word in self._tally.words.items():
                if self._tally.is_hit[code] or not self._only_hits:
                    self._words[code] = delimiter + word.encode() + b"\n"
            if self._output and dialect.header:
                self._output.write(title + delimiter + b"status\n")
        elif self._output and self._header != (title, delimiter):
            raise FeedColumn(path, "the header of the first file", "another")

    def _screen(
        self,
        text: bytes,
        rows: NDArray[np.int32],
        cells: NDArray[np.int32],
        delimiter: bytes,
        width: int,
    ) -> tuple[bytes, "_Counts"]:
        """A batch of rows: its annotated text, and its counts."""
        keys, status = np.empty(len(rows), np.uint64), np.empty(len(rows), np.uint8)
        _parse.spans(text, cells[0], cells[1], keys, status)
        _parse.settle("ignore", keys, status)
        codes, counts = self._tally.judge(
            keys, status, lambda row: text[cells[0, row] : cells[1, row]], rows[:, 3]
        )
        out = annotate(text, rows, codes, self._words, delimiter, width) if self._output else b""
        return out, counts


def _expect_ends(path: str, scanner: Scanner) -> None:
    """Raise FeedEncoding if a row of the batch hides others, that end in CR."""
    flawed = np.flatnonzero(scanner.rows[:, 3])
    many = flawed[scanner.returns(flawed) > MAX_RETURNS]
    if many.size:
        line = scanner.first_line + scanner.rows[many[0], 2]
        raise FeedEncoding(path, "lines that end in LF or CRLF", f"lines that end in CR, from line {line} on")


def _begin(path: str, text: bytes, column: str | int | None) -> tuple[Dialect, bytes, int]:
    """The layout of a text that begins like this, its header, and the bytes before its first row of data."""
    used, _, _ = preamble(text, column)
    dialect = sniff(path, text[used:], column)
    if dialect.format.identity != "imei":
        raise FeedColumn(
            path, "records with a column of IMEIs, or --column", f"a list of {dialect.format.name}"
        )
    if not dialect.header:
        return dialect, b"", used
    scanner = Scanner(dialect.delimiter, (0,), max_row=MAX_LINE)
    scanner.feed(text[used:], final=True)
    scanner.batch()
    _, end, _, flaw = scanner.rows[0].tolist()
    if flaw == RowFlaw.LONG_ROW:
        raise FeedLimit(path, f"a header of at most {MAX_LINE} bytes", "a longer one")
    return dialect, text[used : used + end].rstrip(b"\r"), min(used + end + 1, len(text))


class _File(io.RawIOBase):
    """The text of a source as a file, which pyarrow reads. head: its first chunk, still to be read.

    What pyarrow reads at once is a block to it. It loses the LF of a CRLF in quotes that two blocks share
    (apache/arrow#51368), so no block ends between them; and before version 26 it overlooks line ends after
    a NUL (apache/arrow#50481), which is refused there.
    """

    def __init__(self, source: Source, nul: bool) -> None:
        self._source, self._chunks, self._nul = source, iter(source), nul
        self._buffer = bytearray()
        self._left = memoryview(b"")
        self._next()
        self.head = bytes(self._left)
        if not self.head:
            raise FeedEmpty(source.path, "text", "an empty file")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._buffer and bytes(self._left[:2]) in (b"", b"\r"):
            self._next()
        n = min(len(buffer), len(self._left))
        if n > 1 and self._left[n - 1] == ord("\r"):
            n -= 1
        buffer[:n] = self._left[:n]
        self._left = self._left[n:]
        return n

    def _next(self) -> None:
        """The next chunk, after a CR that was kept back."""
        kept, before = bytes(self._left), self._buffer
        self._buffer, start, stop = next(self._chunks, (bytearray(), 0, 0))
        if not self._nul and self._buffer.find(b"\0", start, stop) >= 0:
            raise FeedEncoding(
                self._source.path, "text without NUL bytes, for pyarrow before version 26 to read", "one"
            )
        if self._buffer:
            self._buffer[start - len(kept) : start] = kept  # there is headroom
            self._left = memoryview(self._buffer)[start - len(kept) : stop]
        else:
            self._left = memoryview(kept)
        if before:
            self._source.release(before)


class _Tables:
    """Batches of rows through pyarrow, from Parquet or text, to Parquet or text."""

    def __init__(self, tally: _Tally, output: BinaryIO | None, only_hits: bool, to_table: bool) -> None:
        self._tally, self._output, self._only_hits, self._to_table = tally, output, only_hits, to_table
        self._pa = _pyarrow("pyarrow")
        self._words = self._pa.array([tally.words.get(code, "") for code in range(256)])
        self._writer: Any = None
        self._schema: Any = None  # of the first file
        self._written: Any = None  # of the output

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer:
            self._writer.close()

    def read(self, path: str, column: str | int | None) -> Iterator[int]:
        """Screen a file; yields about the bytes of it that were read."""
        try:
            batches = self._parquet(path, column) if _is_table(path) else self._text(path, column)
            for batch, codes, counts, position in in_order(partial(self._screen, path), batches):
                self._tally.add(counts)
                if self._output:
                    self._write(batch, codes)
                yield position
        except (self._pa.ArrowException, UnicodeDecodeError) as error:  # a title may be no UTF-8
            said = re.sub("(columns, got [0-9]+):.*", r"\1", str(error), flags=re.S)  # not the row
            raise FeedEncoding(path, "a file that pyarrow reads", said) from error

    def _parquet(self, path: str, column: str | int | None) -> Iterator[tuple[int, Any, int]]:
        with _reading(path):
            file = _pyarrow("pyarrow.parquet").ParquetFile(path)
        with file:
            names = file.schema_arrow.names
            at, size, rows = _place(path, names, column), size_of(path) or 0, 0
            self._start(path, file.schema_arrow)
            alone = not self._output and names.count(names[at]) == 1
            batches = file.iter_batches(BATCH, columns=[names[at]] if alone else None)
            while True:
                with _reading(path):
                    batch = next(batches, None)
                if batch is None:
                    return
                rows += batch.num_rows
                place = batch.schema.get_field_index(names[at]) if alone else at
                yield place, batch, size * rows // file.metadata.num_rows

    def _text(self, path: str, column: str | int | None) -> Iterator[tuple[int, Any, int]]:
        csv = _pyarrow("pyarrow.csv")
        with Source(path) as source:
            file = _File(source, nul=int(self._pa.__version__.partition(".")[0]) >= 26)
            dialect, title, used = _begin(path, file.head, column)
            if not dialect.header:
                raise FeedColumn(path, "a header, to make Parquet of it", "none")
            delimiter = dialect.delimiter.decode() or ","
            try:
                names = next(reader([title.decode()], delimiter=delimiter))
            except (UnicodeDecodeError, csv_error):
                expected = "a header in UTF-8 without a CR, to make Parquet of it"
                raise FeedEncoding(path, expected, "another") from None
            batches = csv.open_csv(
                file,
                csv.ReadOptions(column_names=names, skip_rows=file.head[:used].count(b"\n")),
                csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                csv.ConvertOptions(
                    column_types=dict.fromkeys(names, self._pa.string()), strings_can_be_null=False
                ),
            )
            self._start(path, batches.schema)
            for batch in batches:
                yield dialect.column, batch, source.position

    def _screen(
        self, path: str, given: tuple[int, Any, int]
    ) -> tuple[Any, NDArray[np.uint8], "_Counts", int]:
        """A batch, or its hits, their codes, and its counts."""
        at, batch, position = given
        try:
            column = columns.settled(batch.column(at))
            keys, status = columns.parse(column)
            blanks = np.isin(status, (ParseStatus.SEPARATOR, ParseStatus.NOT_DIGIT))
            if blanks.any() and is_text(batch.schema.types[at]):  # around a text they are no part of it
                column = columns.settled(trimmed(batch.column(at)))
                keys, status = columns.parse(column)
        except TypeError as error:
            raise FeedColumn(path, "a column of texts, or of 14-digit integers", str(error)) from error
        codes, counts = self._tally.judge(keys, status, columns.values(column))
        if self._output and self._only_hits:
            rows = np.flatnonzero(self._tally.is_hit[codes])
            batch, codes = batch.take(self._pa.array(rows)), codes[rows]
        return batch, codes, counts, position

    def _start(self, path: str, schema: Any) -> None:
        """Begin the output with the columns of the first file; the others must have the same."""
        if self._output is None:
            return
        if self._writer is None:
            kind = self._words.type
            self._schema = schema
            self._written = schema.append(
                self._pa.field(
                    "status", self._pa.dictionary(self._pa.uint8(), kind) if self._to_table else kind
                )
            )
            make = (
                _pyarrow("pyarrow.parquet").ParquetWriter
                if self._to_table
                else _pyarrow("pyarrow.csv").CSVWriter
            )
            self._writer = make(self._output, self._written)
        elif not schema.equals(self._schema):
            raise FeedColumn(path, f"the columns of the first file, {self._schema.names}", f"{schema.names}")

    def _write(self, batch: Any, codes: NDArray[np.uint8]) -> None:
        words = self._pa.DictionaryArray.from_arrays(self._pa.array(codes), self._words)
        words = words if self._to_table else words.cast(self._words.type)
        self._writer.write_batch(
            self._pa.RecordBatch.from_arrays([*batch.columns, words], schema=self._written)
        )


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """An error of the system is one of the file that is read, not of the output."""
    try:
        yield
    except FeedMissing:
        raise
    except OSError as error:
        if error.errno:
            raise FeedMissing(path, "a readable file", os.strerror(error.errno)) from error
        raise FeedEncoding(path, "a file that pyarrow reads", str(error)) from error


def _place(path: str, names: list[str], column: str | int | None) -> int:
    """Which of the columns has the IMEIs."""
    if isinstance(column, int) and 1 <= column <= len(names):
        return column - 1
    if column is None:
        expect_one(path, names)
    found = [] if isinstance(column, int) else titled_so(names, column)
    if len(found) != 1:
        wanted = "one column of IMEIs" if column is None else f"a column {column!r}"
        raise FeedColumn(path, wanted, f"columns {', '.join(names)}")
    return found[0]


def _pyarrow(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ExtraMissing("Parquet files need pyarrow", "parquet", error.name) from None
