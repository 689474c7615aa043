"""What is above the header of a text, or above its first row."""

import io
import re
from typing import NamedTuple

from ..errors import FeedColumn
from .sample import DELIMITERS, rows_of
from .titles import NUMBER, is_title, titled_so

_FOR_EXCEL = re.compile(rb'"?sep=.?"?\s*', re.I)
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
        elif not line.strip(b" \t\r\n"):
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
    row below; or it has a number like an IMEI, and as many cells as the row below, which has no titles."""
    if irregular and _IRREGULAR.fullmatch(line) and re.search(rb"\d", line):
        return not any(delimiter.encode() in below for delimiter in DELIMITERS)
    for delimiter in DELIMITERS if below else "":
        [cells, *_], [others, *_] = rows_of(line, delimiter), rows_of(below, delimiter)
        titled = titled_so(others, column) or titled_so(others, None)
        if isinstance(column, int):
            titled = [i for i, cell in enumerate(others) if i == column - 1 and is_title(cell)]
        if len(cells) == len(others) > 1 and not titled and any(map(NUMBER.fullmatch, cells)):
            return True
    return False


def _heads(line: bytes, below: bytes, column: str | int | None) -> bool:
    """Whether a line that starts with '#' has the titles of the row below it."""
    for delimiter in DELIMITERS:
        [titles, *_], [cells, *_] = rows_of(line, delimiter), rows_of(below, delimiter)
        if len(titles) != len(cells) or len(cells) < 2 or titled_so(cells, column):
            continue
        if titled_so(titles, column):
            return True
    return False


def skipped(path: str, text: bytes | bytearray, lines: int) -> int:
    """The bytes of the first lines of a text."""
    start = 0
    for _ in range(lines):
        if not (start := text.find(b"\n", start) + 1):
            raise FeedColumn(path, f"rows below {lines:,} lines that are skipped", "fewer lines")
    return start
