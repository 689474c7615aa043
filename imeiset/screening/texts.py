"""Delimited text, screened: every row is copied as it is, with its status."""

import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from .._native import parse as _parse
from .._native.scan import Scanner, annotate
from ..errors import FeedColumn, FeedEmpty, FeedEncoding, FeedLimit
from ..feeds.dialect import Dialect, preamble, sniff
from ..feeds.reader import MAX_LINE, MAX_RETURNS
from ..feeds.report import RowFlaw
from ..feeds.sources import Source
from .tally import Counts, Tally


class TextScreen:
    """Delimited text to the same text: this thread finds the rows, others screen them."""

    def __init__(self, tally: Tally, output: BinaryIO | None, only_hits: bool, to_table: bool) -> None:
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

    def read(self, path: str, column: str | int | None) -> Generator[int, None, None]:
        """Screen a file; yields the bytes of it that were read."""
        waiting: deque[Future[tuple[bytes, Counts]]] = deque()
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

    def _finish(self, future: Future[tuple[bytes, Counts]]) -> None:
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
                dialect, title, used = begin(source.path, text, column)
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
    ) -> tuple[bytes, Counts]:
        """A batch of rows: its annotated text, and its counts."""
        keys, status = np.empty(len(rows), np.uint64), np.empty(len(rows), np.uint8)
        _parse.spans(text, cells[0], cells[1], keys, status)
        _parse.apply_policy("ignore", keys, status)
        codes, counts = self._tally.screened(
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


def begin(path: str, text: bytes, column: str | int | None) -> tuple[Dialect, bytes, int]:
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
