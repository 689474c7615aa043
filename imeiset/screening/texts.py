"""Delimited text, screened: every row is copied as it is, with its status."""

from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial
from itertools import chain
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from .._native import parse as _parse
from .._native.scan import Scanner, annotate
from .._threads import in_order
from ..errors import FeedColumn, FeedEmpty, FeedEncoding, FeedLimit
from ..feeds.dialect import Dialect, sniff
from ..feeds.options import MAX_LINE, Options
from ..feeds.reader import MAX_RETURNS, header_of
from ..feeds.report import RowFlaw
from ..feeds.sources import Source
from .tally import Counts, Tally

Batch = tuple[bytes, NDArray[np.int32], NDArray[np.int32], int]
"""A text, some rows of it and their IMEIs, and the bytes of the file read so far."""


class Records:
    """The text of a source below its header, in pieces, with which a scanner was fed."""

    def __init__(self, source: Source, column: str | int | None) -> None:
        self._pieces = map(partial(_taken, source), source)
        if (text := next(self._pieces, None)) is None:
            raise FeedEmpty(source.path, "text", "an empty file")
        self.dialect, self.title, used = _begin(source.path, text, column)
        self._first = text[used:]
        self.scanner = Scanner(
            self.dialect.delimiter,
            (self.dialect.column,),
            first_line=text[:used].count(b"\n") + 1,
            fewest=self.dialect.fewest,
            most=self.dialect.most,
        )

    def __iter__(self) -> Iterator[bytes]:
        rest = b""
        for piece in chain([self._first], self._pieces):
            text = rest + piece
            self.scanner.feed(text, final=False)
            yield text
            rest = text[len(text) - self.scanner.unfinished :]
        self.scanner.feed(rest, final=True)
        yield rest


def _taken(source: Source, chunk: tuple[bytearray, int, int]) -> bytes:
    buffer, start, stop = chunk
    text = bytes(memoryview(buffer)[start:stop])
    source.release(buffer)
    return text


class TextScreen:
    """Delimited text to the same text: this thread finds the rows, others screen them."""

    def __init__(self, tally: Tally, output: BinaryIO | None, only_hits: bool, to_table: bool) -> None:
        self._tally, self._output, self._only_hits = tally, output, only_hits
        self._header: tuple[bytes, bytes] | None = None  # of the first file, and its delimiter
        self._words = [b""] * 256  # after a row of that code

    def close(self) -> None:
        """Nothing: all is written."""

    def read(self, path: str, column: str | int | None) -> Generator[int, None, None]:
        """Screen a file; yields the bytes of it that were read."""
        with Source(path) as source:
            records = Records(source, column)
            self._start(path, records.dialect, records.title)
            screen = partial(self._screen, records.dialect)
            with closing(in_order(screen, self._batches(source, records))) as screened:
                for out, counts, position in screened:
                    self._tally.add(counts)
                    if self._output:
                        self._output.write(out)
                    yield position
            yield source.position

    def _batches(self, source: Source, records: Records) -> Iterator[Batch]:
        scanner = records.scanner
        for text in records:
            while scanner.batch():
                rows = scanner.rows.copy()
                _expect_ends(source.path, scanner)
                if self._output and (rows[:, 3] == RowFlaw.LONG_ROW).any():
                    raise FeedLimit(source.path, f"rows of at most {MAX_LINE} bytes", "a longer one")
                yield text, rows, scanner.cells[0].copy(), source.position

    def _start(self, path: str, dialect: Dialect, title: bytes) -> None:
        """Write the header of the first file; the others must have the same."""
        delimiter = dialect.delimiter or b","
        if self._header is None:
            self._header = title, delimiter
            for code, word in self._tally.words.items():
                if self._tally.is_hit[code] or not self._only_hits:
                    self._words[code] = delimiter + word.encode() + b"\n"
            if self._output and dialect.header:
                self._output.write(title + delimiter + b"status\n")
        elif self._output and self._header != (title, delimiter):
            raise FeedColumn(path, "the header of the first file", "another")

    def _screen(self, dialect: Dialect, batch: Batch) -> tuple[bytes, Counts, int]:
        """The annotated text of a batch, and its counts."""
        text, rows, cells, position = batch
        keys, status = np.empty(len(rows), np.uint64), np.empty(len(rows), np.uint8)
        _parse.spans(text, cells[0], cells[1], keys, status)
        _parse.apply_policy("ignore", keys, status)
        codes, counts = self._tally.screened(
            keys, status, lambda row: text[cells[0, row] : cells[1, row]], rows[:, 3]
        )
        out = (
            annotate(text, rows, codes, self._words, dialect.delimiter, dialect.most) if self._output else b""
        )
        return out, counts, position


def _expect_ends(path: str, scanner: Scanner) -> None:
    """Raise FeedEncoding if a row of the batch hides others, that end in CR."""
    flawed = np.flatnonzero(scanner.rows[:, 3])
    many = flawed[scanner.returns(flawed) > MAX_RETURNS]
    if many.size:
        line = scanner.first_line + scanner.rows[many[0], 2]
        raise FeedEncoding(path, "lines that end in LF or CRLF", f"lines that end in CR, from line {line} on")


def _begin(path: str, text: bytes, column: str | int | None) -> tuple[Dialect, bytes, int]:
    """The layout of a text that begins like this, its header, and the bytes before its first row of data."""
    dialect = sniff(path, text, Options(column=column), "records")
    used = dialect.preamble.size
    if len(dialect.columns) > 1:
        raise FeedColumn(path, "one column", "several")
    if dialect.format.identity != "imei":
        raise FeedColumn(
            path, "records with a column of IMEIs, or --column", f"a list of {dialect.format.name}"
        )
    if not dialect.header:
        return dialect, b"", used
    header = header_of(path, text[used:], dialect)
    return dialect, header.rstrip(b"\r"), min(used + len(header) + 1, len(text))
