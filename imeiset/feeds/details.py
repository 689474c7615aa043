"""What feeds say about what they list, reasons, dates and last days, as the columns of a register."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FeedColumn
from ..register.details import NO_DETAILS, Details, Places, reasons_text
from ..register.untils import Days, days_of_texts
from ..sets import ImeiSet
from .days import day_text
from .formats import DATES, UNTILS
from .loader import Rows
from .options import Options
from .reader import THREADS

DETAILS = ("reasons", "date", "until")
_SPAN = 10_000_000  # of dates that are looked up in a table
_NEVER = 99_999_999


def expect_dates(path: str, table: Rows, options: Options) -> None:
    """Raise FeedColumn for a format of dates, and no column of them."""
    there = "date" in table.columns or "until" in table.columns
    if options.date_format is not None and table.report.accepted and not there:
        expected = f"dates in the format {options.date_format!r}: --until-column or --date-column says where"
        raise FeedColumn(path, expected, f"no column {' or '.join(map(repr, (*DATES, *UNTILS)))}")


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


def days_of(numbers: NDArray[Any]) -> Days:
    """Numbers YYYYMMDD as days since 1970-01-01, NO_DAY for 0."""
    known, at = np.unique(numbers, return_inverse=True)
    return days_of_texts([day_text(number) for number in known.tolist()], at)


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
    return [day_text(number) for number in known.tolist()], inside
