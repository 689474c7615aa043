"""The first rows of a text, at each delimiter that it may have."""

import csv
from collections import Counter
from collections.abc import Iterable
from itertools import islice

from .words import decoded

DELIMITERS = ",;\t|"
Tables = dict[str, list[list[str]]]
SAMPLE = 1 << 16  # bytes looked at
_SAMPLE_ROWS = 100


def rows_of(text: bytes | bytearray, delimiter: str) -> list[list[str]]:
    """The first rows of a text; its first line is not a comment, nor are others with the cells of most.
    Without a delimiter a row is one cell."""
    rows = _rows(_lines(text), delimiter or ",")
    return rows if delimiter else [[",".join(row)] for row in rows]


def tables_of(text: bytes | bytearray) -> Tables:
    """The first rows of a text, by delimiter."""
    lines = _lines(text)
    return {delimiter: _rows(lines, delimiter) for delimiter in DELIMITERS}


def _lines(text: bytes | bytearray) -> list[str]:
    whole = text[:SAMPLE]
    if b"\n" in whole:
        whole = whole[: whole.rindex(b"\n")]  # what follows may be half a line
    # A lone CR ends no line for the scanner, but would for the csv module.
    try:
        lines = whole.decode()
    except UnicodeDecodeError:  # one line that is Latin-1 says nothing of the others
        lines = "\n".join(map(decoded, whole.split(b"\n")))
    return lines.replace("\r\n", "\n").replace("\r", " ").split("\n")


def _rows(lines: list[str], delimiter: str) -> list[list[str]]:
    cells = usual(line.count(delimiter) for line in lines[:_SAMPLE_ROWS])[0] or -1
    given = (
        f"{line}\n" for line in lines if line[:1] != "#" or line.count(delimiter) == cells or line is lines[0]
    )
    return list(islice(filter(None, csv.reader(given, delimiter=delimiter)), _SAMPLE_ROWS))


def filled(row: list[str]) -> int:
    """How many cells a row has, without blank ones at its end."""
    return max((place + 1 for place, cell in enumerate(row) if cell.strip()), default=0)


def usual(widths: Iterable[int]) -> tuple[int, int]:
    """The width that most rows have, and how many; zeros of no rows."""
    return next(iter(Counter(widths).most_common(1)), (0, 0))


def layout_of(tables: Tables) -> tuple[bytes, list[list[str]]]:
    """The delimiter that gives most rows the same number of cells, more than one, and its rows."""
    best, layout = (0.5, 1), (b"", [[",".join(row)] for row in tables[","]])
    for delimiter, rows in tables.items():
        width, count = usual(map(len, rows))
        if width > 1 and (score := (count / len(rows), width)) > best:
            best, layout = score, (delimiter.encode(), rows)
    return layout
