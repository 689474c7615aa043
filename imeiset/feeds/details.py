"""What feeds say about the IMEIs they list, reasons and dates, as the columns of a register."""

import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FeedColumn
from ..register.details import NO_DETAILS, Details, Places, reasons_text
from ..sets import ImeiSet
from .formats import DATES
from .loader import Rows
from .options import Options
from .reader import THREADS

DETAILS = ("reasons", "date")
_SPAN = 10_000_000  # of dates that are looked up in a table
_NEVER = 99_999_999


def expect_dates(path: str, table: Rows, options: Options) -> None:
    """Raise FeedColumn for a format of dates, and no column of them."""
    if options.date_format is not None and table.report.accepted and "date" not in table.columns:
        expected = f"dates in the format {options.date_format!r}: --date-column says where"
        raise FeedColumn(path, expected, f"no column {' or '.join(map(repr, DATES))}")


def described(table: Rows, rows: NDArray[np.bool_] | None = None) -> tuple[ImeiSet, Details]:
    """The IMEIs of a table, or of some of its rows, and their details in key order; None for a column that
    says nothing.

    An IMEI that comes twice has all its reasons, its first date, and its last until if all rows have one.
    What is not a date is none.
    """
    keys = table.keys if rows is None else table.keys[rows]
    members = ImeiSet.from_parts([keys], threads=THREADS)
    given = {
        name: table.columns[name] if rows is None else table.columns[name][rows]
        for name in DETAILS
        if name in table.columns
    }
    if not given or not len(keys):
        return members, NO_DETAILS
    places, reasons, dates, untils = Places(members, keys, THREADS), None, None, None
    if "reasons" in given:
        names = [reasons_text(name) for name in table.values["reasons"]]
        reasons = places.column(names, given["reasons"], "all")
    if "date" in given:
        dates = places.column(*_dates(given["date"]), "first")
    if "until" in given:
        untils = places.column(*_dates(given["until"]), "last")
    return members, (reasons, dates, untils)


def _dates(numbers: NDArray[Any]) -> tuple[list[str], NDArray[np.intp]]:
    """Dates as texts, and the number of each row's, by the numbers YYYYMMDD of rows."""
    low = int(numbers.min(initial=_NEVER, where=numbers > 0)) - 1
    high = int(numbers.max())
    if high - low < _SPAN:  # a table is faster than sorting
        inside = (numbers - low).clip(0)  # 0 is none
        seen = np.zeros(max(high - low, 0) + 1, bool)
        seen[inside] = True
        known, inside = np.flatnonzero(seen), (np.cumsum(seen) - 1)[inside]
        known = np.where(known > 0, known + low, 0)
    else:
        known, inside = np.unique(numbers, return_inverse=True)
    return [_day(number) for number in known.tolist()], inside


def _day(number: int) -> str:
    """A number YYYYMMDD as ISO 8601 has it, '' for what is not a date."""
    try:
        return datetime.date(number // 10_000, number // 100 % 100, number % 100).isoformat()
    except ValueError:
        return ""
