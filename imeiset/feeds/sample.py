"""The first rows of a text, at each delimiter that it may have."""

import csv
from collections import Counter
from collections.abc import Iterable
from itertools import islice

DELIMITERS = ",;\t|"
Tables = dict[str, list[list[str]]]
_SAMPLE = 1 << 16  # bytes looked at
_SAMPLE_ROWS = 100


def rows_of(text: bytes | bytearray, delimiter: str) -> list[list[str]]:
    """The first rows of a text; its first line is not a comment, nor are others with as many cells. Without a
    delimiter a row is one cell."""
    if not delimiter:
        return [[",".join(row)] for row in rows_of(text, ",")]
    whole = text[:_SAMPLE]
    if b"\n" in whole:
        whole = whole[: whole.rindex(b"\n")]  # what follows may be half a line
    # A lone CR ends no line for the scanner, but would for the csv module.
    decoded = whole.decode(errors="replace").replace("\r\n", "\n").replace("\r", " ")
    first, *others = decoded.split("\n")
    cut = first.count(delimiter) or -1
    rest = (line for line in others if not line.startswith("#") or line.count(delimiter) == cut)
    lines = [f"{line}\n" for line in (first, *rest)]
    rows = filter(None, csv.reader(lines, delimiter=delimiter))
    return list(islice(rows, _SAMPLE_ROWS))


def filled(row: list[str]) -> int:
    """How many cells a row has, without blank ones at its end."""
    return max((place + 1 for place, cell in enumerate(row) if cell.strip()), default=0)


def usual(widths: Iterable[int]) -> tuple[int, int]:
    """The width that most rows have, and how many; zeros of no rows."""
    return next(iter(Counter(widths).most_common(1)), (0, 0))


def tables_of(text: bytes | bytearray) -> Tables:
    """The first rows of a text, by delimiter."""
    return {delimiter: rows_of(text, delimiter) for delimiter in DELIMITERS}


def layout_of(tables: Tables) -> tuple[bytes, list[list[str]]]:
    """The delimiter that gives most rows the same number of cells, more than one, and its rows."""
    best, layout = (0.5, 1), (b"", [[",".join(row)] for row in tables[","]])
    for delimiter, rows in tables.items():
        width, count = usual(map(len, rows))
        if width > 1 and (score := (count / len(rows), width)) > best:
            best, layout = score, (delimiter.encode(), rows)
    return layout
