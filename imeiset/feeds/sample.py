"""The first rows of a text, at each delimiter that it may have."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from .words import decoded

DELIMITERS = ",;\t|"
Tables = dict[str, list[list[str]]]
SAMPLE = 1 << 16  # bytes looked at
SAMPLE_ROWS = 100


def first_lines(text: bytes | bytearray) -> list[bytes]:
    """The first lines of a text that are whole, or what there is of one."""
    lines = bytes(text[:SAMPLE]).split(b"\n", SAMPLE_ROWS + 1)
    return lines[:-1] or lines


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
    def given() -> Iterator[str]:
        cells = 0
        for line in lines:
            if line[:1] == "#" and line is not lines[0]:
                cells = cells or usual(one.count(delimiter) for one in lines[:SAMPLE_ROWS])[0] or -1
                if line.count(delimiter) != cells:
                    continue
            yield f"{line}\n"

    return list(islice(filter(None, csv.reader(given(), delimiter=delimiter)), SAMPLE_ROWS))


def filled(row: list[str]) -> int:
    """How many cells a row has, without blank ones at its end."""
    count = len(row)
    while count and not row[count - 1].strip():
        count -= 1
    return count


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
