"""How a text is laid out: its delimiter, its header, and which column holds the IMEIs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache

from .._native.parse import is_valid
from ..errors import FeedColumn, ImeiError, mask_text
from ..imei import Imei
from .formats import CHANGE, DATES, FORMATS, NUMBERS, REASONS, UNTILS, Format, plain, recognise
from .options import Options
from .preamble import NOTHING_ABOVE, Preamble, above
from .sample import SAMPLE, Tables, filled, layout_of, tables_of, usual
from .titles import (
    DAMAGED,
    KNOWN,
    NUMBER,
    delimiter_of,
    digits_in,
    expect_columns,
    expect_one,
    heads,
    is_title,
    nearest,
    no_imei,
    numbered,
    of_blocks,
    titled_so,
)
from .words import is_absent, speaks_of_subscribers

_TITLES = 20  # lines among which a title may be


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a text is laid out.

    delimiter: one byte, or b"" for one number per line. columns: of the IMEIs or TACs, from 0, or the first
    of a range; last: the last of a range. header: the first row is one. fewest, most: cells of a row. titles:
    those of the header. places: the columns of what is wanted, by the names of `rows.WANTED`. counting: the
    values at places["listed"] whose rows count, in lower case; None: all do. watched: further columns of
    which every value is looked at. preamble: what is above.
    """

    delimiter: bytes
    columns: tuple[int, ...]
    header: bool
    fewest: int = 1
    most: int = 1
    last: int | None = None
    titles: tuple[str, ...] = ()
    format: Format = FORMATS["plain"]
    places: Mapping[str, int] = field(default_factory=dict)
    counting: frozenset[bytes] | None = None
    watched: tuple[int, ...] = ()
    preamble: Preamble = NOTHING_ABOVE

    @property
    def column(self) -> int:
        """The first column of IMEIs."""
        return self.columns[0]

    def place(self, *titles: str) -> int | None:
        """The column with the first of these titles that the header has; None if it has none of them."""
        names = [plain(title) for title in self.titles]
        for title in titles:
            if (name := plain(title)) in names:
                return names.index(name)
        return None


def sniff(path: str, text: bytes, options: Options) -> Dialect:
    """The layout of a text that begins like this, and where what is wanted of it stands."""
    tables = cache(lambda start: tables_of(text[start : start + SAMPLE]))
    preamble = above(path, text, options, tables)
    found = _layout_of(path, tables(preamble.size), options)
    return asked(path, placed(replace(found, preamble=preamble)), options)


def placed(found: Dialect) -> Dialect:
    """The layout with the places of what is wanted beside the IMEIs."""
    counting = found.format.statuses
    titles: dict[str, tuple[str, ...]] = {
        "listed": () if counting is None else ("status",),
        "status": ("status",),
        "reasons": REASONS,
        "date": DATES,
        "until": UNTILS,
        **{name: (name,) for name in (*NUMBERS, CHANGE)},
    }
    places = {name: found.place(*some) for name, some in titles.items()}
    there = {name: place for name, place in places.items() if place is not None}
    return replace(found, places=there, counting=counting)


def asked(path: str, found: Dialect, options: Options) -> Dialect:
    """The layout with the columns that options name. Raises FeedColumn for one that is not there."""
    columns = tuple(_place_of(path, found, column) for column in options.columns) or found.columns
    if len(set(columns)) < len(columns):
        raise FeedColumn(path, "columns of IMEIs, each once", numbered(found.titles, list(columns)))
    more = {name: _place_of(path, found, column) for name, column in _named(options).items()}
    where = options.where
    counting = found.counting if where is None else frozenset(value.encode() for value in where.values)
    return replace(found, columns=columns, places={**found.places, **more}, counting=counting)


def _named(options: Options) -> dict[str, str | int]:
    """The further columns that options name, by what they hold."""
    named = {
        "date": options.date_column,
        "until": options.until_column,
        "reasons": options.reason_column,
        CHANGE: options.change_column,
        "listed": options.where and options.where.column,
    }
    return {name: column for name, column in named.items() if column is not None}


def _place_of(path: str, found: Dialect, column: str | int) -> int:
    """Where the column of that title or number stands."""
    if isinstance(column, int):
        if not 1 <= column <= found.most:
            raise FeedColumn(path, f"a column {column}", f"rows of {found.most}")
        return column - 1
    hits = titled_so(found.titles, column)
    if len(hits) == 1:
        return hits[0]
    got = numbered(found.titles, hits) if hits else nearest(column, list(found.titles))
    raise FeedColumn(path, f"one column named {column!r}, or its number", got)


def of_table(path: str, titles: Sequence[str], options: Options) -> Dialect:
    """The layout of a table that has titles as a part of its format, by the rules of text."""
    if options.skip:
        raise FeedColumn(path, f"text, of which the first {options.skip:,} lines are skipped", "a table")
    found = _layout_of(path, {",": [list(titles)]}, options, headed=True)
    return asked(path, placed(replace(found, delimiter=b",")), options)


def _layout_of(path: str, tables: Tables, options: Options, headed: bool = False) -> Dialect:
    """The layout of a text, from its first rows without preamble, and its format. headed: the first is a
    header, whatever is in it.

    The format that is asked for is what it has to be; raises FeedColumn if its columns are not there, each
    once. Otherwise it is what the header says, or a plain list or a table.

    The column of the IMEIs is the one that is asked for, by its title in the header or its number from 1; or
    the only one with a title that speaks of IMEIs, or without a header the only one that looks like them. A
    first row is a header only if it names the column, or has a title instead of an IMEI in the numbered one:
    no first row of data is lost. Raises FeedColumn if there is no such column, or more than one.
    """
    column, form = options.first_column, FORMATS[options.format] if options.format else None
    if not tables[","]:
        return Dialect(b"", (0,), header=False, format=form or FORMATS["plain"])
    if form and form.columns and column is None:
        return _of_format(path, tables, form)
    if column is None and (other := _of_ranges(path, tables)):
        return other
    found = _sniff(path, tables, options, headed)
    if form is None:
        form = FORMATS["table" if found.delimiter else "plain"]
        if found.header:
            named = recognise(list(found.titles))
            if named and named.identity == "imei" and found.place(named.columns[0]) == found.column:
                form = named
    else:
        expect_columns(path, form, found.titles, form.columns[1:])
    return replace(found, format=form)


def _of_format(path: str, tables: Tables, form: Format) -> Dialect:
    """The layout of a list that has to have the columns of a format."""

    def present(delimiter: str) -> int:
        names = {plain(title) for title in tables[delimiter][0]}
        return sum(plain(column) in names for column in form.columns)

    delimiter = max(tables, key=lambda d: (present(d), len(tables[d][0])))
    titles = tables[delimiter][0]
    if form.identity != "imei" and not present(delimiter) and not re.search("[^0-9 -]", "".join(titles)):
        separator, rows = layout_of(tables)  # without a header
        if len(rows[0]) >= form.identities:
            last = 1 if form.identities == 2 else None
            width = min(len(rows[0]), max(form.identities, *map(filled, rows)))
            return Dialect(separator, (0,), False, fewest=width, most=width, last=last, format=form)
    expect_columns(path, form, titles, form.columns)
    names = [plain(title) for title in titles]
    places = [names.index(plain(column)) for column in form.columns[: form.identities]]
    found = _titled(delimiter.encode() if len(titles) > 1 else b"", max(places), titles)
    return replace(found, columns=(places[0],), last=places[1] if len(places) > 1 else None, format=form)


def _of_ranges(path: str, tables: Tables) -> Dialect | None:
    """The layout of a list of TACs or ranges by its header; None of another."""
    for delimiter in sorted(tables, key=lambda d: -len(tables[d][0])):
        titles = tables[delimiter][0]
        form, speaking = of_blocks(titles), titled_so(titles, None)
        if form and not any(plain(titles[place]) in KNOWN for place in speaking):
            if speaking:
                expected = f"a {form.name} list without IMEIs, --format {form.name}, or --column"
                raise FeedColumn(path, expected, numbered(titles, speaking))
            return _of_format(path, {delimiter: tables[delimiter]}, form)
    return None


def _sniff(path: str, tables: Tables, options: Options, headed: bool) -> Dialect:
    """The layout of a list of IMEIs, whatever its format."""
    column = options.first_column
    if not isinstance(column, int):
        delimiter = delimiter_of(tables, column)
        first_row = tables[delimiter][0]
        hits = titled_so(first_row, column)
        if len(hits) == 1:
            return _titled(_delimiter_of(tables, delimiter), hits[0], first_row)
        if column is None:
            expect_one(path, first_row)
            if headed:
                raise no_imei(path, first_row)
        elif hits:
            got = numbered(first_row, hits)
            raise FeedColumn(path, f"one column named {column!r}, or --column with its number", got)
        else:
            raise FeedColumn(path, f"a column named {column!r}", nearest(column, first_row))

    separator, rows = layout_of(tables)
    width, _ = usual(map(len, rows))
    if column is not None:
        if not 1 <= column <= width:
            raise FeedColumn(path, f"a column {column}", f"rows of {width}")
        if headed or heads(rows[0], options.columns):
            return _titled(separator, column - 1, rows[0])
    # A delimiter at the end of all rows begins no column, unless it is asked for.
    wanted = [one for one in (*options.columns, *_named(options).values()) if isinstance(one, int)]
    width = min(width, max([*map(filled, rows), *wanted, 1]))
    if column is not None:
        at = column - 1
    elif width == 1:
        at = 0
        for title in (row[0] for row in rows[:_TITLES] if digits_in(row[0]) < DAMAGED):
            # Subscribers would be taken for phones.
            if speaks_of_subscribers(title) and "imei" not in plain(title):
                got = f"one with the title '{mask_text(plain(title))}'"
                raise FeedColumn(path, "a list of IMEIs, or --column", got)
    else:
        at = _only_imeis(path, rows, width)
    return Dialect(separator, (at,), header=False, fewest=width, most=width)


def _delimiter_of(tables: Tables, delimiter: str) -> bytes:
    """The delimiter below a header that is cut at this one; of one title, what follows every number."""
    if len(tables[delimiter][0]) > 1:
        return delimiter.encode()
    separator, rows = layout_of({one: below for one, (_, *below) in tables.items()})
    return separator if max(map(filled, rows), default=0) == 1 else b""


def _titled(delimiter: bytes, column: int, titles: list[str]) -> Dialect:
    """The layout under a header, where cells at the end may have no title."""
    fewest = max(i for i, title in enumerate(titles) if title.strip() or i == column) + 1
    return Dialect(delimiter, (column,), True, fewest=fewest, most=len(titles), titles=tuple(titles))


def _only_imeis(path: str, rows: list[list[str]], width: int) -> int:
    """The one column that holds IMEIs beyond doubt. To take subscribers or dates for phones would block
    whoever has those numbers, so a column beside it that may be the one is an error: a column with what may
    be an IMEI, or without anything in it."""
    columns = [[row[i].strip() if i < len(row) else "" for row in rows] for i in range(width)]
    start = len(rows) > 1  # the first row may have titles
    found = [
        i
        for i, cells in enumerate(columns)
        if 10 * sum(map(_is_imei, cells[start:])) >= 9 * len(cells[start:])
    ]
    doubts = [
        i
        for i, cells in enumerate(columns)
        if i not in found and (any(map(_may_be, cells)) or all(map(is_absent, cells[start:])))
    ]
    titles = rows[0] if len(rows[0]) >= width and heads(rows[0], range(1, width + 1)) else []
    if len(found) == 1 and not doubts:
        if len(rows[0]) > found[0] and is_title(rows[0][found[0]]):
            raise no_imei(path, rows[0])
        return found[0]
    if titles and not found:
        raise no_imei(path, titles)
    several = sorted(found + doubts)
    got = f"{numbered(titles, several)} that could" if several else f"none in {width} columns"
    raise FeedColumn(path, "a header with 'imei', one column that looks like IMEIs, or --column", got)


def _may_be(cell: str) -> bool:
    """Whether a cell is an IMEI in any form, or as long a number."""
    return NUMBER.fullmatch(cell) is not None or _number_of(cell) != ""


def _number_of(cell: str) -> str:
    """The digits of an IMEI in any form; empty of another text."""
    try:
        return str(Imei(cell))
    except ImeiError:
        return ""


def _is_imei(cell: str) -> bool:
    """Whether an IMEI has the right check digit if it has one (that of an IMSI rarely is), and is not a date
    and time."""
    digits = _number_of(cell)
    if not digits or (len(digits) == 15 and digits[14] != "0" and not is_valid(digits)):
        return False
    try:
        return not 1970 <= datetime.strptime(digits[:14], "%Y%m%d%H%M%S").year < 2100
    except ValueError:
        return True
