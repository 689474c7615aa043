"""What a list is taken for, column by column, before anything is made of it: `imeiset info` of a list."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import FeedColumn, FeedLimit, FeedLostZeros, FeedRejects, mask, mask_imsi, mask_text
from . import arrow
from .dialect import Dialect, of_table, sniff
from .formats import CHANGE
from .inflate import GZIP, XZ, ZIP, ZSTD
from .options import Options
from .preamble import preamble, skipped
from .reader import Reader
from .report import LoadReport
from .sample import layout_of, rows_of, tables_of
from .sources import Source, is_remote
from .titles import is_numeric, is_title
from .words import speaks_of_subscribers

_ROWS = 100  # looked at
_SHOWN = 3  # rows, and cells of a column
_FEW = 8  # different values that are shown with their counts
_LONGEST = 40  # characters of one
_REFUSALS = (FeedColumn, FeedLimit, FeedLostZeros, FeedRejects)
_DELIMITERS = {b"": "none", b",": "comma", b";": "semicolon", b"\t": "tab", b"|": "pipe"}
_COMPRESSIONS = {GZIP: "gzip", ZSTD: "zstd", XZ: "xz", ZIP: "zip"}
_IDENTITIES = {"imei": "IMEI", "tac": "TAC", "range": "first IMEI of a range"}
_ROLES = {
    "listed": "status that counts",
    "date": "date",
    "until": "last day",
    "reasons": "reasons",
    "imsi": "IMSI",
    CHANGE: "change",
}
_MASKED = ("IMEI", "first IMEI of a range", "last IMEI of a range")
_NOTHING = "not looked at"


@dataclass(slots=True)
class ColumnFacts:
    """A column: its number from 1, its title, what it is taken for, the values of the first rows with their
    counts if they are few, and its first cells. Values and cells are masked."""

    number: int
    title: str | None
    taken_for: str
    values: dict[str, int]
    samples: list[str]


@dataclass(slots=True)
class Overview:
    """What a list is taken for.

    compression: gzip, zstd, xz, zip, workbook or none. format: of `formats.FORMATS`; None if not clear.
    delimiter: in words. header: the number of its line; None of a list without one. preamble: lines above
    it. rows: the first ones, masked. refused: why `load` refuses the list, and what settles that. report: of
    its rows, of a list that is refused as far as they were read.
    """

    path: str
    compression: str
    format: str | None
    delimiter: str
    header: int | None
    preamble: int
    columns: list[ColumnFacts]
    rows: list[list[str]]
    refused: str | None = None
    report: LoadReport = field(default_factory=LoadReport)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "report": json.loads(self.report.to_json())}


class _First(NamedTuple):
    """The first rows of a list, and its layout if that is clear. header: the number of its line."""

    dialect: Dialect | None
    delimiter: str
    titles: Sequence[str]
    rows: list[list[str]]
    compression: str = "none"
    header: int | None = None
    preamble: int = 0


def overview(path: str, options: Options) -> Overview:
    """What a list is taken for. All of it is read, and nothing is made of it.

    Raises a kind of FeedError for a file that is missing, damaged, or no list at all.
    """
    first = _of_table(path, options) or _of_text(path, options)
    report, refused = _read(path, options)
    unread = {str(one.column): one.why for one in report.unread}
    roles = {} if first.dialect is None else _roles(first.dialect, options)
    columns = []
    for place in range(max(map(len, [first.titles, *first.rows]), default=0)):
        title = first.titles[place].strip() or None if place < len(first.titles) else None
        cells = [row[place].strip() for row in first.rows if place < len(row)]
        why = unread.get(title or "") or unread.get(str(place + 1))
        role = roles.get(place) or (f"{_NOTHING}: like {why}" if why else _NOTHING)
        shown = [_shown(cell, role, title) for cell in cells]
        counts = Counter(shown)
        few = len(counts) <= _FEW and max(map(len, counts), default=0) <= _LONGEST and role not in _MASKED
        samples = [cell for cell in shown if cell][:_SHOWN]
        title = None if title is None else mask_text(title)
        columns.append(ColumnFacts(place + 1, title, role, dict(counts) if few else {}, samples))
    rows = [
        [
            _shown(cell.strip(), column.taken_for, column.title)
            for cell, column in zip(row, columns, strict=False)
        ]
        for row in first.rows[:_SHOWN]
    ]
    form = None if first.dialect is None else first.dialect.format.name
    return Overview(
        path,
        first.compression,
        form,
        first.delimiter,
        first.header,
        first.preamble,
        columns,
        rows,
        refused,
        report,
    )


def _of_table(path: str, options: Options) -> _First | None:
    """Of a Parquet or Arrow file; None of another."""
    if (table := arrow.first_rows(path, _ROWS)) is None:
        return None
    titles, rows = table
    try:
        dialect = of_table(path, titles, options)
    except FeedColumn:  # reading says why
        dialect = None
    return _First(dialect, "none", titles, rows)


def _of_text(path: str, options: Options) -> _First:
    with Source(
        path, max_bytes=options.max_bytes, max_ratio=options.max_ratio, sheet=options.sheet
    ) as source:
        text = next((bytes(buffer[start:stop]) for buffer, start, stop in source), b"")
        compression = "workbook" if source.notes else _compression(path)
    try:
        dialect = sniff(path, text, options)
        size, lines = dialect.preamble.size, dialect.preamble.lines
        rows = rows_of(text[size:], dialect.delimiter.decode())
        delimiter, header = dialect.delimiter, dialect.header
    except FeedColumn:
        dialect, lines = None, options.skip or 0
        size = skipped(path, text, lines)
        size += preamble(text[size:])[0]
        delimiter, rows = layout_of(tables_of(text[size:]))
        header = any(map(is_title, rows[0])) and not any(map(is_numeric, rows[0])) if rows else False
    line = text[:size].count(b"\n") + 1
    titles = rows[0] if header and rows else []
    return _First(
        dialect,
        "none" if compression == "workbook" else _DELIMITERS[delimiter],
        titles,
        rows[bool(titles) :],
        compression,
        line if titles else None,
        lines,
    )


def _read(path: str, options: Options) -> tuple[LoadReport, str | None]:
    """The report of a list, and why it is refused."""
    with Reader(options, ("date", "until")) as reader:
        try:
            for _ in reader.read(path, arrow.blocks(reader, path, False) or reader.text_blocks(path, False)):
                pass
        except _REFUSALS as error:
            if reader.watch is not None and not reader.report.unread:
                reader.report.unread += reader.watch.unread()
            return reader.report, str(error)
        return reader.report, None


def _roles(dialect: Dialect, options: Options) -> dict[int, str]:
    """What columns are taken for, by their places."""
    found = {place: _ROLES[name] for name, place in dialect.places.items() if name in _ROLES}
    if options.imsi == "ignore" and "imsi" in dialect.places:
        found[dialect.places["imsi"]] = "IMSI, ignored"
    if dialect.counting is None and options.where is None:
        found.pop(dialect.places.get("listed", -1), None)
    if dialect.last is not None:
        found[dialect.last] = _MASKED[-1]
    return {**found, **dict.fromkeys(dialect.columns, _IDENTITIES[dialect.format.identity])}


def _shown(cell: str, role: str, title: str | None) -> str:
    """A cell as it may be shown."""
    if role in _MASKED:
        return mask(cell)
    if title is not None and speaks_of_subscribers(title):
        return mask_imsi(cell)
    return mask_text(cell)


def _compression(path: str) -> str:
    """How a local file is compressed."""
    if path == "-" or is_remote(path) or not Path(path).is_file():
        return "none"
    with Path(path).open("rb") as file:
        head = file.read(8)
    return next((name for magic, name in _COMPRESSIONS.items() if head.startswith(magic)), "none")
