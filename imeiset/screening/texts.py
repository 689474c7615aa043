"""Delimited text, screened: every row is copied as it is, with its status."""

import csv
import io
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import lru_cache, partial
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._native.scan import Scanner, annotate
from .._threads import in_order
from ..errors import FeedColumn, FeedEmpty, FeedEncoding, FeedLimit
from ..feeds.dialect import Dialect, sniff
from ..feeds.formats import plain
from ..feeds.identities import Identities, cells_of
from ..feeds.options import MAX_LINE, Options
from ..feeds.reader import MAX_RETURNS, header_of
from ..feeds.report import RowFlaw
from ..feeds.rows import whole_row
from ..feeds.sample import SAMPLE, rows_of
from ..feeds.sources import Source
from ..register import Words
from .details import DETAILS
from .tally import Cells, FileTally, Said, Screened, Tally


class Batch(NamedTuple):
    """Rows of a text: where they and their IMEIs lie, and the bytes of the file read so far."""

    text: bytes
    rows: NDArray[np.int32]  # as of a Scanner, whose first line is `first_line`
    flaws: NDArray[np.int32] | None  # of the rows, if one has any
    cells: list[NDArray[np.int32]]
    first_line: int
    position: int

    def line(self, row: int) -> int:
        """The line where a row begins."""
        return self.first_line + int(self.rows[row, 2])


class Records:
    """The text of a source below its header, in pieces, with which a scanner was fed."""

    def __init__(self, source: Source, options: Options, identities: Identities) -> None:
        self._source = source
        self._pieces = map(partial(_taken, source), source)
        if (text := next(self._pieces, None)) is None:
            raise FeedEmpty(source.path, "text", "an empty file")
        self.dialect, self.title, used = _begin(source.path, text, options, identities)
        self._first = text[used:]
        dialect, places = self.dialect, sorted(self.dialect.columns)
        self._order = [places.index(place) for place in dialect.columns]
        self.scanner = Scanner(
            dialect.delimiter,
            places,
            comments=True,
            irregular=True,
            first_line=text[:used].count(b"\n") + 1,
            fewest=whole_row(dialect),
            most=dialect.most,
            needed=places[0] + 1 if dialect.header else None,  # an IMEI that is there is asked about
            shorter=dialect.header,
            identities=self._order,
        )

    def pieces(self) -> Iterator[bytes]:
        """The text, which the scanner has then to find the rows of."""
        rest = b""
        for piece in chain([self._first], self._pieces):
            text = rest + piece
            self.scanner.feed(text, final=False)
            yield text
            rest = text[len(text) - self.scanner.unfinished :]
        self.scanner.feed(rest, final=True)
        yield rest

    def batches(self) -> Iterator[Batch]:
        """The rows, some at a time."""
        scanner = self.scanner
        for text in self.pieces():
            while scanner.batch():
                rows = scanner.rows.copy()
                flaws = rows[:, 3] if rows[:, 3].any() else None
                if flaws is not None:
                    _expect_ends(self._source.path, scanner)
                cells = [scanner.cells[place].copy() for place in self._order]
                yield Batch(text, rows, flaws, cells, scanner.first_line, self._source.position)


def _taken(source: Source, chunk: tuple[bytearray, int, int]) -> bytes:
    buffer, start, stop = chunk
    text = bytes(memoryview(buffer)[start:stop])
    source.release(buffer)
    return text


class TextScreen:
    """Delimited text to the same text: this thread finds the rows, others screen them."""

    def __init__(
        self, tally: Tally, output: BinaryIO | None, only_hits: bool, options: Options, details: bool = False
    ) -> None:
        self._details = details
        self._tally, self._output, self._only_hits, self._options = tally, output, only_hits, options
        # Of the first file, which others must have: the header or its cells, the delimiter, columns of IMEIs.
        self._header: tuple[bytes | int, bytes, int] | None = None
        self._words = [b""] * 256  # after a row of that answer
        self._answers = np.zeros(256, np.uint32)  # by code: that of the first column

    def close(self) -> None:
        """Nothing: all is written."""

    def read(self, path: str) -> Generator[int, None, None]:
        """Screen a file; yields the bytes of it that were read."""
        with Source(path, sheet=self._options.sheet) as source:
            records = Records(source, self._options, self._tally.identities)
            if records.dialect.header:
                self._start(path, records.dialect, records.title)
            file = FileTally(self._tally, path)
            screen = partial(self._screen, path, records.dialect)
            with closing(in_order(screen, self._whole(path, records))) as screened:
                for out, found, position in screened:
                    file.add(found)
                    if self._output:
                        self._output.write(out)
                    yield position
            file.end(records.dialect.header)
            yield source.position

    def _whole(self, path: str, records: Records) -> Iterator[Batch]:
        """The batches, whose rows can be written."""
        for batch in records.batches():
            if not records.dialect.header:  # a file of comments is like no other
                self._start(path, records.dialect, b"")
            if self._output and batch.flaws is not None and (batch.flaws == RowFlaw.LONG_ROW).any():
                raise FeedLimit(path, f"rows of at most {MAX_LINE} bytes", "a longer one")
            yield batch

    def _start(self, path: str, dialect: Dialect, title: bytes) -> None:
        """Write the header of the first file; the others must have the same."""
        delimiter, columns = dialect.delimiter or b",", dialect.columns
        header = title if dialect.header else dialect.most, delimiter, len(columns)
        if self._header is not None:
            if self._output and self._header != header:
                raise FeedColumn(path, "the header and columns of the first file, to write both", "others")
            return
        self._header = header
        names = names_of_columns(dialect.titles if _is_utf8(title) else (), columns)
        of_column = [_cell(name, delimiter) for name in names] if len(names) > 1 else [b""]
        none = delimiter * len(DETAILS) if self._details else b""
        for answer, (code, word) in enumerate(self._tally.words.items()):
            self._answers[code] = answer * len(columns)
            for place, name in enumerate(of_column):
                if self._tally.is_hit[code] or not self._only_hits:
                    name = name if code not in self._tally.flaws or not name else delimiter
                    self._words[answer * len(columns) + place] = (
                        delimiter + word.encode() + name + none + b"\n"
                    )
        if self._output and dialect.header:
            if not dialect.delimiter and b"," in title and not title.startswith(b'"'):
                title = b'"%b"' % title.replace(b'"', b'""')  # it is one cell, as the rows are
            added = titles_of_answers(dialect.titles)[: 1 if len(columns) == 1 else 2]
            added += titles_of_answers(dialect.titles, DETAILS) if self._details else []
            self._output.write(delimiter.join((title, *map(str.encode, added))) + b"\n")

    def _screen(self, path: str, dialect: Dialect, batch: Batch) -> tuple[bytes, Screened, int]:
        """The annotated text of a batch, and what was found in it."""
        text, rows = batch.text, batch.rows
        more = batch.flaws, dialect.delimiter, self._options
        columns = [Cells.of_text(text, cells, *more) for cells in batch.cells]
        found = self._tally.screened(columns, path, batch.line, batch.flaws)
        out = b""
        if self._output:
            answers = self._answers[found.codes]
            if found.columns is not None:
                answers += found.columns.astype(np.uint32)
            words = self._words
            if found.said:
                words = _with_details(words, answers, found.said, dialect.delimiter or b",")
            out = annotate(text, rows, answers, words, dialect.delimiter, dialect.most)
        return out, found, batch.position


def _with_details(
    words: list[bytes], answers: NDArray[np.uint32], said: Said, delimiter: bytes
) -> list[bytes]:
    """The words that stand after rows, with one for each hit, whose answers are changed."""
    empty = len(delimiter) * len(DETAILS) + 1
    before = [words[answer][:-empty] for answer in answers[said.rows].tolist()]
    cells = (_cells_of(said.of_hits[name], delimiter) for name in DETAILS)
    after = [b"".join(row) + b"\n" for row in zip(before, *cells, strict=True)]
    answers[said.rows] = np.arange(len(words), len(words) + len(after))
    return words + after


def _cells_of(column: Any, delimiter: bytes) -> list[bytes]:
    """The further cells of rows, empty where there is nothing."""
    codes: NDArray[Any]
    if isinstance(column, Words):
        texts, codes = [*column.words, ""], column.codes  # -1 is the last
    else:
        days, codes = np.unique(column, return_inverse=True)
        texts = ["" if np.isnat(day) else str(day) for day in days]
    cells = [_cell(text, delimiter) for text in texts]
    return [cells[code] for code in codes.tolist()]


def titles_of_answers(
    titles: Sequence[str], wanted: Sequence[str] = ("status", "status_column")
) -> list[str]:
    """The titles of what is added, the status and its column: with a number where records have such a title,
    as a status of theirs would pass for the answer."""
    taken = set(map(plain, titles))
    forms = ((word, *(f"{word}_{n}" for n in range(2, len(titles) + 2))) for word in wanted)
    return [next(one for one in some if plain(one) not in taken) for some in forms]


def names_of_columns(titles: Sequence[str], columns: Sequence[int]) -> list[str]:
    """What the columns of IMEIs are called: by title, or by number where two have the same."""
    names = [titles[place].strip() for place in columns] if titles else [""]
    if len({*names}) == len(columns) and all(names):
        return names
    return [str(place + 1) for place in columns]


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


@lru_cache(1 << 14)
def _cell(name: str, delimiter: bytes) -> bytes:
    """A further cell of a row."""
    if not name:
        return delimiter
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter.decode(), lineterminator="").writerow([name])
    return delimiter + out.getvalue().encode(errors="surrogateescape")


def _expect_ends(path: str, scanner: Scanner) -> None:
    """Raise FeedEncoding if a row of the batch hides others, that end in CR."""
    flawed = np.flatnonzero(scanner.rows[:, 3])
    many = flawed[scanner.returns(flawed) > MAX_RETURNS]
    if many.size:
        line = scanner.first_line + scanner.rows[many[0], 2]
        raise FeedEncoding(path, "lines that end in LF or CRLF", f"lines that end in CR, from line {line} on")


def _begin(path: str, text: bytes, options: Options, identities: Identities) -> tuple[Dialect, bytes, int]:
    """The layout of a text that begins like this, its header, and the bytes before its first row of data."""
    dialect = of_imeis(path, sniff(path, text, options))
    used = dialect.preamble.size
    rows = rows_of(text[used : used + SAMPLE], dialect.delimiter.decode())[int(dialect.header) :]
    identities.expect_first(path, cells_of(rows, dialect), dialect)
    if not dialect.header:
        return dialect, b"", used
    header = header_of(path, text, used, dialect)
    return dialect, header.rstrip(b"\r"), min(used + len(header) + 1, len(text))


def of_imeis(path: str, dialect: Dialect) -> Dialect:
    """The layout. Raises FeedColumn for a list of TACs or ranges."""
    if dialect.format.identity != "imei":
        expected = "records with a column of IMEIs, or --column"
        raise FeedColumn(path, expected, f"a list of {dialect.format.name}")
    return dialect
