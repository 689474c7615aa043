"""Parquet, and text that becomes Parquet, screened through pyarrow."""

import operator
import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from csv import Error as csv_error
from csv import reader
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from .. import columns, readers
from .._native.scan import annotate
from .._threads import in_order
from ..errors import OF_FLOATS, FeedColumn, FeedEncoding, FeedMissing, ParseStatus, mask, mask_text
from ..errors.extras import extra
from ..feeds.arrow import is_parquet, is_text, parquet_batches, shown
from ..feeds.dialect import Dialect, of_table
from ..feeds.options import Options
from ..feeds.sources import Source, size_of
from .details import DETAILS, array_of, types_of
from .tally import Cells, FileTally, Screened, Tally
from .texts import Records, names_of_columns, of_imeis, titles_of_answers

TABLES = (".parquet", ".pq")
BATCH = 1 << 17  # rows of a table
_FIRST = 100  # rows that are looked at
_ENDS = [b"\n"]  # after every row


class Batch(NamedTuple):
    """Rows of a table, or of a text that becomes one: where the IMEIs are, the line of a row, and the bytes
    of the file read so far."""

    rows: Any
    places: tuple[int, ...]
    line: Callable[[int], int]
    position: int


Batches = Generator[Batch, None, None]


def is_table(path: str) -> bool:
    """Whether a file has to be Parquet, by its name."""
    return Path(path).suffix.lower() in TABLES


def holds_table(path: str) -> bool:
    """Whether a file is Parquet, or has to be."""
    return is_table(path) or is_parquet(path)


_module = partial(extra, what="Parquet files need pyarrow", name="parquet")


class TableScreen:
    """Batches of rows through pyarrow, from Parquet or text, to Parquet or text."""

    def __init__(
        self,
        tally: Tally,
        output: BinaryIO | None,
        only_hits: bool,
        options: Options,
        *,
        digits: int,
        to_table: bool,
        details: bool = False,
    ) -> None:
        self._tally, self._output, self._only_hits, self._to_table = tally, output, only_hits, to_table
        self._options, self._digits = options, digits
        self._pa = _module("pyarrow")
        self._words = self._pa.array([tally.words.get(code, "") for code in range(256)])
        self._writer: Any = None
        self._schema: Any = None  # of the first file
        self._integers = False  # whether a column of IMEIs of the file at hand is of such
        self._titles: Any = None  # of its columns of IMEIs, if there are several
        self._details = details
        self._written: Any = None  # of the output

    def close(self) -> None:
        """End the output."""
        if self._writer:
            self._writer.close()

    def read(self, path: str) -> Generator[int, None, None]:
        """Screen a file; yields about the bytes of it that were read."""
        file = FileTally(self._tally, path)
        self._integers = False
        try:
            batches = self._parquet(path) if holds_table(path) else self._text(path)
            with closing(batches), closing(in_order(partial(self._screen, path), batches)) as screened:
                for rows, found, position in screened:
                    file.add(found)
                    if self._output:
                        self._write(rows, found)
                    yield position
            file.end(header=True, integers=self._integers)
        except (self._pa.ArrowException, UnicodeDecodeError) as error:  # a title may be no UTF-8
            said = re.sub("(columns, got [0-9]+):.*", r"\1", str(error), flags=re.S)  # not the row
            expected = "a file that pyarrow reads"
            if self._output and not self._to_table:
                expected += ", and writes as CSV (or an output of Parquet)"
            raise FeedEncoding(path, expected, mask_text(said)) from error

    def _parquet(self, path: str) -> Batches:
        with _reading(path):
            file = _module("pyarrow.parquet").ParquetFile(path, page_checksum_verification=True)
        with file:
            names = file.schema_arrow.names
            dialect = of_imeis(path, of_table(path, names, self._options))
            places, size, rows = dialect.columns, size_of(path) or 0, 0
            self._integers = not all(is_text(file.schema_arrow.types[place]) for place in places)
            if self._integers:
                self._expect_readable(path)
            self._start(path, file.schema_arrow, places)
            wanted = [names[place] for place in places]
            alone = not self._output and all(names.count(name) == 1 for name in wanted)
            batches = parquet_batches(path, file, BATCH, wanted if alone else None)
            while True:
                with _reading(path):
                    batch = next(batches, None)
                if batch is None:
                    return
                line = partial(operator.add, rows + 1)
                found = tuple(map(batch.schema.get_field_index, wanted)) if alone else places
                if not rows:
                    self._expect_identities(path, batch, found, dialect)
                rows += batch.num_rows
                yield Batch(batch, found, line, size * rows // max(file.metadata.num_rows, 1))

    def _expect_readable(self, path: str) -> None:
        """Raise FeedColumn for options that a column of integers cannot be read by."""
        if self._options.tbcd:
            raise FeedColumn(path, "a column of texts, to read TBCD", "integers")
        if self._digits == 14 and self._options.lost_zeros in ("restore", "restore-imeisv"):
            expected = "a column of texts, to restore zeros, or --digits 15 for integers"
            raise FeedColumn(path, expected, "integers")

    def _expect_identities(self, path: str, batch: Any, places: tuple[int, ...], dialect: Dialect) -> None:
        """Raise FeedColumn if texts of the first batch look like something else than IMEIs."""
        columns = (batch.column(place).slice(0, _FIRST) for place in places)
        cells = [cell.strip() for one in columns if is_text(one.type) for cell in shown(one)]
        self._tally.identities.expect_first(path, cells, dialect)

    def _text(self, path: str) -> Batches:
        with Source(path, sheet=self._options.sheet) as source:
            records = Records(source, self._options, self._tally.identities)
            dialect = records.dialect
            if not dialect.header:
                raise FeedColumn(path, "a header, to make Parquet of it", "none")
            delimiter = dialect.delimiter.decode() or ","
            try:
                names = next(reader([records.title.decode()], delimiter=delimiter))
            except (UnicodeDecodeError, csv_error):
                expected = "a header in UTF-8 without a CR, to make Parquet of it"
                raise FeedEncoding(path, expected, "another") from None
            names = names[: dialect.most]
            text = self._pa.string()
            self._start(path, self._pa.schema([(name, text) for name in names]), dialect.columns)
            for batch in records.batches():
                if batch.flaws is not None:
                    row = int(np.flatnonzero(batch.flaws)[0])
                    expected = f"rows of {len(names)} cells, to make Parquet of them"
                    got = self._tally.words[int(batch.flaws[row])]
                    raise FeedEncoding(path, expected, got, line=batch.line(row))
                codes = np.zeros(len(batch.rows), np.uint32)
                rows = annotate(batch.text, batch.rows, codes, _ENDS, dialect.delimiter, dialect.most)
                yield Batch((rows, names, delimiter), dialect.columns, batch.line, batch.position)

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

    def _screen(self, path: str, batch: Batch) -> tuple[Any, Screened, int]:
        """The rows of a batch, or its hits, and what was found in them."""
        rows = self._parsed(path, *batch.rows) if isinstance(batch.rows, tuple) else batch.rows
        cells = [self._cells(path, rows, place, batch.line) for place in batch.places]
        found = self._tally.screened(cells, path, batch.line)
        if self._output and self._only_hits:
            hits = np.flatnonzero(self._tally.is_hit[found.codes])
            rows, found = rows.take(self._pa.array(hits)), found.hits(hits)
        return rows, found, batch.position

    def _cells(self, path: str, rows: Any, place: int, line: Callable[[int], int]) -> Cells:
        """A column of IMEIs: texts as those of other files, or integers."""
        column, pa = rows.column(place), self._pa
        if is_text(column.type):
            kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
            texts = column.cast(kind).cast(pa.large_binary())
            missing = texts.is_null().to_numpy(zero_copy_only=False) if texts.null_count else None
            _, offsets, text = texts.buffers()
            ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
            return Cells.of_arrow(text or b"", ends, missing, self._options)
        try:
            column = readers.materialized(column)
            keys, status = columns.parse(column, digits=self._digits)
            value = readers.values(column, digits=self._digits)
        except TypeError as error:
            expected = "a column of texts, or of integers: write IMEIs as text"
            got = str(error).rpartition(", got ")[2].removesuffix(OF_FLOATS)
            raise FeedColumn(path, expected, got) from error
        refused = np.flatnonzero(np.isin(status, columns.AMBIGUOUS))
        if refused.size:
            row = int(refused[0])
            why = ParseStatus(int(status[row]))
            with_check_digit = "integers of 14 digits; --digits 15 reads such as have the check digit"
            expected = with_check_digit if why == ParseStatus.FIFTEEN_DIGITS else why.expected
            raise FeedColumn(path, expected, f"'{mask(value(row))}', {why.text}", line=line(row))
        return Cells.of_integers(column, keys, status, value, self._digits)

    def _start(self, path: str, schema: Any, places: tuple[int, ...]) -> None:
        """Begin the output with the columns of the first file; the others must have the same."""
        if self._output is None:
            return
        if self._writer is None:
            words = self._words.type
            kind = self._pa.dictionary(self._pa.uint8(), words) if self._to_table else words
            status, status_column = titles_of_answers(schema.names)
            self._schema, added = schema, [self._pa.field(status, kind)]
            if len(places) > 1:
                self._titles = self._pa.array(names_of_columns(schema.names, places))
                added.append(self._pa.field(status_column, self._pa.string()))
            if self._details:
                added += map(self._pa.field, titles_of_answers(schema.names, DETAILS), types_of(self._pa))
            self._written = self._pa.schema([*schema, *added], schema.metadata)
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

    def _write(self, rows: Any, found: Screened) -> None:
        words = self._pa.DictionaryArray.from_arrays(self._pa.array(found.codes), self._words)
        added = [words if self._to_table else words.cast(self._words.type)]
        if self._titles is not None:
            added.append(self._titles.take(self._pa.array(found.columns)))
        if found.said:
            added += [array_of(self._pa, column) for column in found.said.columns(rows.num_rows)]
        self._writer.write_batch(
            self._pa.RecordBatch.from_arrays([*rows.columns, *added], schema=self._written)
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
