"""What is above the header of a text, or above its first row."""

import io
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from ..errors import FeedColumn
from .formats import FORMATS, plain
from .options import Options
from .sample import DELIMITERS, Tables, filled, layout_of, rows_of, usual
from .titles import (
    DAMAGED,
    KNOWN,
    NUMBER,
    delimiter_of,
    digits_in,
    heads,
    is_numeric,
    is_title,
    of_blocks,
    titled_so,
)
from .words import decoded

_FOR_EXCEL = re.compile(rb'"?sep=.?"?\s*', re.I)
_BLANKS = b" \t\r\n"
_LINES = 20  # among which the header is looked for
_DATE = re.compile(  # 2024-11-29, 29.11.24, 10:15:00
    r"(?<!\d)(?:\d{4}([-/.])\d\d?\1\d\d?|\d\d?([-/.])\d\d?\2(?:\d{4}|\d\d)|\d\d?:\d\d(?::\d\d)?)(?!\d)"
)
_LONG = re.compile(rb"\d{10}")  # no titles, see `titles.is_numeric`
_DAY = re.compile(r"(?<!\d)(?:19|20)\d{6}(?!\d)")
_IRREGULAR = re.compile(rb"[0-9A-Fa-f*#]{1,16}[ \t\r]*\n?")


class Preamble(NamedTuple):
    """What is above the first row or the header of a text: bytes, blank lines, comments, other lines."""

    size: int = 0
    blank: int = 0
    comments: int = 0
    lines: int = 0


NOTHING_ABOVE = Preamble()


def preamble(
    text: bytes | bytearray, column: str | int | None = None, irregular: bool = False
) -> tuple[int, int, int]:
    """The blank and comment lines before the first row: their bytes, how many blank, how many comments.

    A line that starts with '#' is a comment, unless it is the header: it stands just before the first row,
    names the column, and that row does not but has as many cells; or it is a row, see `_is_row`. The first
    line is one, too, if it is 'sep=;' or so, which is for Excel.
    """
    size = blank = comments = 0
    last, below, lines = b"", b"", []
    for line in io.BytesIO(text):
        if line.startswith(b"#"):
            lines.append((line, (size, blank, comments)))
            comments += 1
            last = line
        elif not size and _FOR_EXCEL.fullmatch(line):
            comments += 1
        elif not line.strip(_BLANKS):
            blank += 1
            last = b""
        else:
            if last and _heads(last, line, column):
                return size - len(last), blank, comments - 1
            below = line
            break
        size += len(line)
    above = [before for line, before in lines if _is_row(line, below, column, irregular)]
    return above[0] if above else (size, blank, comments)


def _is_row(line: bytes, below: bytes, column: str | int | None, irregular: bool) -> bool:
    """Whether a line that starts with '#' is a row: an irregular identity, where these are kept, alone as the
    row below; or it has one, or a number like an IMEI, and as many cells as that row, which has no titles."""
    if irregular and _is_irregular(line):
        return not any(delimiter.encode() in below for delimiter in DELIMITERS)
    for delimiter in DELIMITERS if below else "":
        [cells, *_], [others, *_] = rows_of(line, delimiter), rows_of(below, delimiter)
        by_number = isinstance(column, int) and heads(others, [column])
        titled = by_number or titled_so(others, column) or titled_so(others, None)
        if (
            len(cells) == len(others) > 1
            and not titled
            and any(_is_identity(one, irregular) for one in cells)
        ):
            return True
    return False


def _is_identity(cell: str, irregular: bool) -> bool:
    return NUMBER.fullmatch(cell) is not None or (irregular and _is_irregular(cell.encode()))


def _is_irregular(text: bytes) -> bool:
    return _IRREGULAR.fullmatch(text) is not None and re.search(rb"\d", text) is not None


def _heads(line: bytes, below: bytes, column: str | int | None) -> bool:
    """Whether a line that starts with '#' has the titles of the row below it."""
    for delimiter in DELIMITERS:
        [titles, *_], [cells, *_] = rows_of(line, delimiter), rows_of(below, delimiter)
        if len(titles) != len(cells) or len(cells) < 2 or titled_so(cells, column):
            continue
        if titled_so(titles, column):
            return True
    return False


def above(path: str, text: bytes, options: Options, tables: Callable[[int], Tables]) -> Preamble:
    """What is above the header or the first row of a text that begins like this.

    Lines that are skipped; then blank lines and comments. Where nothing is said of skipping, also lines above
    a header that cannot be rows. Raises FeedColumn where they may be. tables: the rows from a byte on.
    """
    start, column = skipped(path, text, options.skip or 0), options.first_column
    size, blank, comments = preamble(text[start:], column, options.irregular == "keep")
    found = Preamble(start + size, blank, comments, options.skip or 0)
    if options.skip is None:
        more = _above_header(path, text, found.size, blank + comments, options, tables)
        found = Preamble(*map(sum, zip(found, more, strict=True)))
    return found


def skipped(path: str, text: bytes | bytearray, lines: int) -> int:
    """The bytes of the first lines of a text."""
    start = 0
    for _ in range(lines):
        if not (start := text.find(b"\n", start) + 1):
            raise FeedColumn(path, f"rows below {lines:,} lines that are skipped", "fewer lines")
    return start


# ---- a header below other lines ------------------------------------------------------------------


class _Header(NamedTuple):
    """A line that may be the header: its number from 0, where it starts, and its cells. known: its title of
    the identity is a known one, or the one asked for."""

    number: int
    start: int
    titles: list[str]
    delimiter: str
    known: bool


def _above_header(
    path: str, text: bytes, first: int, before: int, options: Options, tables: Callable[[int], Tables]
) -> Preamble:
    """What is above the header, if that is one of the first lines from a byte on. before: the lines above."""
    lines, header, start = list(islice(io.BytesIO(text[first:]), _LINES)), None, first
    for number, line in enumerate(lines):
        found = None if _says_nothing(line) else _header(line, number, start, options, tables)
        if found and (header is None or found.known):
            header = found
        if header and header.known:
            break
        start += len(line)
    if header is None or not header.number:
        return NOTHING_ABOVE
    others = {at: line for at, line in enumerate(lines[: header.number]) if not _says_nothing(line)}
    if doubts := [
        at for at, line in others.items() if not _is_prose(line, header, options.irregular == "keep")
    ]:
        if len(header.titles) == 1 or any(_reaches(lines[at], header, options) for at in doubts):
            return NOTHING_ABOVE  # it is read as a row, as those above it
        expected = f"the header in the first line, or --skip {before + header.number} for the lines above it"
        got = f"one in line {before + header.number + 1}, and what may be a row above it"
        raise FeedColumn(path, f"{expected} (--skip 0 if they are rows)", got, line=before + doubts[0] + 1)
    blank = sum(not line.strip(_BLANKS) for line in lines[: header.number])
    return Preamble(header.start - first, blank, header.number - blank - len(others), len(others))


def _says_nothing(line: bytes) -> bool:
    """Whether a line is blank, or a comment."""
    return not line.strip(_BLANKS) or line.startswith(b"#")


def _header(
    line: bytes, number: int, start: int, options: Options, tables: Callable[[int], Tables]
) -> _Header | None:
    """The line at this place as a header. None if it does not name the identity, or has fewer cells than the
    rows below; or if it is not the first, and no cell below that title is like an identity."""
    if number:  # most lines are rows
        if not isinstance(_asked(options), str) and _LONG.search(line):
            return None
        if not any(_named(rows_of(line, one)[0], options)[0] for one in DELIMITERS):
            return None
    below = tables(start)
    for delimiter, (titles, *rows) in _layouts(below, options):
        places, known = _named(titles, options)
        alone = len(titles) == 1
        if not places or (alone and any(one in titles[0] for one in DELIMITERS)):
            continue
        if rows:
            others = layout_of({one: more for one, (_, *more) in below.items()})[1] if alone else rows
            identities = [row[place] for row in rows for place in places if place < len(row)]
            if usual(map(filled, others))[0] > len(titles):
                continue
            if number and not any(digits_in(cell) >= DAMAGED for cell in identities):
                continue
        return _Header(number, start, titles, delimiter, known)
    return None


def _layouts(tables: Tables, options: Options) -> Iterator[tuple[str, list[list[str]]]]:
    """The delimiters at which a header is looked for, and the rows: of a column by number, the likeliest."""
    column = _asked(options)
    if isinstance(column, int):
        separator, rows = layout_of(tables)
        yield separator.decode() or DELIMITERS[0], rows
        return
    first = delimiter_of(tables, column)
    for delimiter in sorted(tables, key=lambda one: (one != first, -len(tables[one][0]))):
        yield delimiter, tables[delimiter]


def _asked(options: Options) -> str | int | None:
    """The column of the identity that is asked for: the first, or that of the format."""
    form = FORMATS.get(options.format or "")
    if not options.columns and form and form.columns:
        return form.columns[0]
    return options.first_column


def _named(titles: list[str], options: Options) -> tuple[list[int], bool]:
    """The columns of identities in a row that names some, and whether by a known title."""
    column = _asked(options)
    if isinstance(column, int):
        numbers = [one - 1 for one in options.columns if isinstance(one, int)]
        return numbers if heads(titles, options.columns) else [], True
    if hits := titled_so(titles, column):
        for other in options.columns[1:]:
            hits += titled_so(titles, other)
        return hits, column is not None or any(plain(titles[hit]) in KNOWN for hit in hits)
    if column is None and (form := of_blocks(titles)):
        return [place for place, title in enumerate(titles) if plain(title) == plain(form.columns[0])], True
    return [], False


def _is_prose(line: bytes, header: _Header, keep: bool) -> bool:
    """Whether a line above a header cannot be a row: it has fewer cells than the header, words in one of
    them, and in none what may be an identity, damaged perhaps. keep: also one like '123'."""
    cells, width = rows_of(line, header.delimiter)[0], len(header.titles)
    parts = [_dateless(part).strip() for part in _cut(line)]
    return not filled(_cut(line)) or (
        (filled(cells) < width or width == 1)
        and any(map(is_title, parts))
        and not any(_may_identify(part, keep) or plain(part) in KNOWN for part in parts)
        and line.count(b'"') % 2 == 0  # whole
    )


def _cut(line: bytes) -> list[str]:
    """What stands in a line between delimiters of any kind."""
    return re.split(f"[{DELIMITERS}]", decoded(line).rstrip("\r\n"))


def _may_identify(cell: str, keep: bool) -> bool:
    """Whether a cell may be an identity, regular or not, or a damaged one."""
    if _IRREGULAR.fullmatch(cell.encode()) and (keep or not cell.isdigit()):
        return True
    return is_numeric(cell) or digits_in(cell) >= DAMAGED


def _reaches(line: bytes, header: _Header, options: Options) -> bool:
    """Whether a line has a cell in the column that was asked for by number."""
    [column, *_] = options.columns or (None,)
    return isinstance(column, int) and filled(rows_of(line, header.delimiter)[0]) >= column


def _dateless(cell: str) -> str:
    """A cell without dates and times; eight digits are a date beside words only."""
    cell = _DATE.sub("", cell)
    return _DAY.sub("", cell) if is_title(_DAY.sub("", cell)) else cell
