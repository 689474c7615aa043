"""What feeds say about the IMEIs they list, reasons and dates, as the columns of a register."""

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..register.details import Column, reasons_text
from ..sets import ImeiSet
from .loader import Rows
from .reader import THREADS

DETAILS = ("reasons", "date")
_SPAN = 10_000_000  # of dates that are looked up in a table
_NEVER = 99_999_999


def described(
    table: Rows, rows: NDArray[np.bool_] | None = None
) -> tuple[ImeiSet, Column | None, Column | None]:
    """The IMEIs of a table, or of some of its rows, and their reasons and dates in key order; None for a
    column that says nothing.

    An IMEI that comes twice has all its reasons, and its first date. What is no date is none.
    """
    keys = table.keys if rows is None else table.keys[rows]
    members = ImeiSet.from_parts([keys], threads=THREADS)
    given = {
        name: table.columns[name] if rows is None else table.columns[name][rows]
        for name in DETAILS
        if name in table.columns
    }
    if not given or not len(keys):
        return members, None, None
    places = _Places(members, keys)
    reasons = _reasons(table.values["reasons"], given["reasons"], places) if "reasons" in given else None
    dates = _dates(given["date"], places) if "date" in given else None
    return members, reasons, dates


class _Places:
    """Where in a set rows belong. order: the rows of IMEIs that come more than once, one IMEI after the
    other; starts: where each begins."""

    def __init__(self, members: ImeiSet, keys: NDArray[np.uint64]) -> None:
        self.count = len(members)
        self.at = members.positions(keys, threads=THREADS)
        self.order = self.starts = np.empty(0, np.int64)
        if len(members) < len(keys):
            twice = np.flatnonzero(np.bincount(self.at, minlength=len(members))[self.at] > 1)
            self.order = twice[np.argsort(self.at[twice], kind="stable")]
            self.starts = np.flatnonzero(np.diff(self.at[self.order], prepend=-1))

    def put(
        self, codes: NDArray[np.int64], united: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    ) -> NDArray[np.int64]:
        """The code at each position; united: those of IMEIs that come more than once, of their rows."""
        found = np.zeros(self.count, np.int64)
        found[self.at] = codes
        if len(self.starts):
            found[self.at[self.order[self.starts]]] = united(codes[self.order])
        return found


def _reasons(names: list[str], numbers: NDArray[Any], places: _Places) -> Column | None:
    """Reasons by the numbers of names."""
    texts = [reasons_text(name) for name in names]
    known = sorted({*texts} | {""})
    values = {text: number for number, text in enumerate(known)}

    def united(codes: NDArray[np.int64]) -> NDArray[np.int64]:
        most: NDArray[np.int64] = np.maximum.reduceat(codes, places.starts)
        ends = np.append(places.starts[1:], len(codes))
        for group in np.flatnonzero(most != _least(codes, places.starts)).tolist():
            several = np.unique(codes[places.starts[group] : ends[group]]).tolist()
            text = reasons_text("|".join(known[code] for code in several))
            most[group] = values.setdefault(text, len(values))
        return most

    codes = places.put(np.array([values[text] for text in texts], np.int64)[numbers], united)
    return Column.of(values, codes)


def _dates(numbers: NDArray[Any], places: _Places) -> Column | None:
    """Dates by their numbers YYYYMMDD."""
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
    texts = [_day(number) for number in known.tolist()]
    days = [text for text in texts if text]  # in order, as the numbers are
    place = {text: number for number, text in enumerate(["", *days])}
    codes = np.array([place[text] for text in texts], np.int64)[inside]
    codes = places.put(codes, lambda some: _least(some, places.starts))
    return Column.of(["", *days], codes)


def _least(codes: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The least code in each group that is not 0; 0 where there is none."""
    beyond = np.iinfo(np.int64).max
    least: NDArray[np.int64] = np.minimum.reduceat(np.where(codes, codes, beyond), starts)
    return np.where(least == beyond, 0, least)


def _day(number: int) -> str:
    """A number YYYYMMDD as ISO 8601 has it, '' for what is no date."""
    try:
        return datetime.date(number // 10_000, number // 100 % 100, number % 100).isoformat()
    except ValueError:
        return ""
