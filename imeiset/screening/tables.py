"""Parquet, and text that becomes Parquet, screened through pyarrow."""

import io
import os
import re
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from csv import Error as csv_error
from csv import reader
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from .. import columns, readers
from .._threads import in_order
from ..errors import ExtraMissing, FeedColumn, FeedEmpty, FeedEncoding, FeedMissing, ParseStatus
from ..feeds.arrow import is_text, trimmed
from ..feeds.dialect import expect_one, titled_so
from ..feeds.sources import Source, size_of
from .tally import Counts, Tally
from .texts import begin

TABLES = (".parquet", ".pq")
BATCH = 1 << 17  # rows of a table
# The place of the IMEIs, the rows, and the bytes read so far.
Batches = Generator[tuple[int, Any, int], None, None]


def is_table(path: str) -> bool:
    """Whether a file has to be Parquet, by its name."""
    return Path(path).suffix.lower() in TABLES


class TableScreen:
    """Batches of rows through pyarrow, from Parquet or text, to Parquet or text."""

    def __init__(self, tally: Tally, output: BinaryIO | None, only_hits: bool, to_table: bool) -> None:
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

    def read(self, path: str, column: str | int | None) -> Generator[int, None, None]:
        """Screen a file; yields about the bytes of it that were read."""
        try:
            batches = self._parquet(path, column) if is_table(path) else self._text(path, column)
            with closing(batches), closing(in_order(partial(self._screen, path), batches)) as screened:
                for batch, codes, counts, position in screened:
                    self._tally.add(counts)
                    if self._output:
                        self._write(batch, codes)
                    yield position
        except (self._pa.ArrowException, UnicodeDecodeError) as error:  # a title may be no UTF-8
            said = re.sub("(columns, got [0-9]+):.*", r"\1", str(error), flags=re.S)  # not the row
            raise FeedEncoding(path, "a file that pyarrow reads", said) from error

    def _parquet(self, path: str, column: str | int | None) -> Batches:
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

    def _text(self, path: str, column: str | int | None) -> Batches:
        csv = _pyarrow("pyarrow.csv")
        with Source(path) as source:
            file = _File(source, nul=int(self._pa.__version__.partition(".")[0]) >= 26)
            dialect, title, used = begin(path, file.head, column)
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

    def _screen(self, path: str, given: tuple[int, Any, int]) -> tuple[Any, NDArray[np.uint8], Counts, int]:
        """A batch, or its hits, their codes, and its counts."""
        at, batch, position = given
        try:
            column = readers.settled(batch.column(at))
            keys, status = columns.parse(column)
            blanks = np.isin(status, (ParseStatus.SEPARATOR, ParseStatus.NOT_DIGIT))
            if blanks.any() and is_text(batch.schema.types[at]):  # around a text they are no part of it
                column = readers.settled(trimmed(batch.column(at)))
                keys, status = columns.parse(column)
        except TypeError as error:
            raise FeedColumn(path, "a column of texts, or of 14-digit integers", str(error)) from error
        codes, counts = self._tally.screened(keys, status, readers.values(column))
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
