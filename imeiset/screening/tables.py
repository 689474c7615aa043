"""Parquet, and text that becomes Parquet, screened through pyarrow."""

import os
import re
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from csv import Error as csv_error
from csv import reader
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .. import columns, readers
from .._threads import in_order
from ..errors import FeedColumn, FeedEncoding, FeedMissing, ParseStatus, mask_text
from ..feeds.arrow import is_text, trimmed
from ..feeds.dialect import expect_one, titled_so
from ..feeds.extras import extra
from ..feeds.sources import Source, size_of
from .tally import Counts, Tally
from .texts import Records

TABLES = (".parquet", ".pq")
BATCH = 1 << 17  # rows of a table
# The place of the IMEIs, the rows, and the bytes read so far.
Batches = Generator[tuple[int, Any, int], None, None]


def is_table(path: str) -> bool:
    """Whether a file has to be Parquet, by its name."""
    return Path(path).suffix.lower() in TABLES


_module = partial(extra, what="Parquet files need pyarrow", name="parquet")


class TableScreen:
    """Batches of rows through pyarrow, from Parquet or text, to Parquet or text."""

    def __init__(self, tally: Tally, output: BinaryIO | None, only_hits: bool, to_table: bool) -> None:
        self._tally, self._output, self._only_hits, self._to_table = tally, output, only_hits, to_table
        self._pa = _module("pyarrow")
        self._words = self._pa.array([tally.words.get(code, "") for code in range(256)])
        self._writer: Any = None
        self._schema: Any = None  # of the first file
        self._written: Any = None  # of the output

    def close(self) -> None:
        """End the output."""
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
            raise FeedEncoding(path, "a file that pyarrow reads", mask_text(said)) from error

    def _parquet(self, path: str, column: str | int | None) -> Batches:
        with _reading(path):
            file = _module("pyarrow.parquet").ParquetFile(path)
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
        with Source(path) as source:
            records = Records(source, column)
            if not records.dialect.header:
                raise FeedColumn(path, "a header, to make Parquet of it", "none")
            delimiter = records.dialect.delimiter.decode() or ","
            try:
                names = next(reader([records.title.decode()], delimiter=delimiter))
            except (UnicodeDecodeError, csv_error):
                expected = "a header in UTF-8 without a CR, to make Parquet of it"
                raise FeedEncoding(path, expected, "another") from None
            text = self._pa.string()
            self._start(path, self._pa.schema([(name, text) for name in names]))
            for piece in records:
                while records.scanner.batch():
                    pass
                if rows := piece[: len(piece) - records.scanner.unfinished]:
                    yield records.dialect.column, (rows, names, delimiter), source.position

    def _parsed(self, path: str, text: bytes, names: list[str], delimiter: str) -> Any:
        """Whole rows as a batch of texts: one block, as two may lose a line end (apache/arrow#51368)."""
        csv = _module("pyarrow.csv")
        if b"\0" in text and int(self._pa.__version__.partition(".")[0]) < 26:  # apache/arrow#50481
            raise FeedEncoding(path, "text without NUL bytes, for pyarrow before version 26 to read", "one")
        types = dict.fromkeys(names, self._pa.string())
        found = csv.read_csv(
            self._pa.BufferReader(text),
            csv.ReadOptions(column_names=names, use_threads=False, block_size=len(text) + 1),
            csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            csv.ConvertOptions(column_types=types, strings_can_be_null=False),
        )
        return self._pa.RecordBatch.from_arrays([one.combine_chunks() for one in found.columns], names)

    def _screen(self, path: str, given: tuple[int, Any, int]) -> tuple[Any, NDArray[np.uint8], Counts, int]:
        """A batch, or its hits, their codes, and its counts."""
        at, batch, position = given
        if isinstance(batch, tuple):
            batch = self._parsed(path, *batch)
        try:
            column = readers.materialized(batch.column(at))
            keys, status = columns.parse(column)
            blanks = np.isin(status, (ParseStatus.SEPARATOR, ParseStatus.NOT_DIGIT))
            if blanks.any() and is_text(batch.schema.types[at]):  # around a text they are no part of it
                column = readers.materialized(trimmed(batch.column(at)))
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
                _module("pyarrow.parquet").ParquetWriter
                if self._to_table
                else _module("pyarrow.csv").CSVWriter
            )
            self._writer = make(self._output, self._written)
        elif not schema.equals(self._schema):
            raise FeedColumn(
                path,
                f"the columns of the first file, {mask_text(self._schema.names)}",
                mask_text(schema.names),
            )

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
        raise FeedEncoding(path, "a file that pyarrow reads", mask_text(str(error))) from error


def _place(path: str, names: list[str], column: str | int | None) -> int:
    """Which of the columns has the IMEIs."""
    if isinstance(column, int) and 1 <= column <= len(names):
        return column - 1
    if column is None:
        expect_one(path, names)
    found = [] if isinstance(column, int) else titled_so(names, column)
    if len(found) != 1:
        wanted = "one column of IMEIs" if column is None else f"a column {column!r}"
        raise FeedColumn(path, wanted, mask_text(f"columns {', '.join(names)}"))
    return found[0]
