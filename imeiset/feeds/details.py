"""What feeds say about the IMEIs they list, reasons and dates, as the columns of a register."""

import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._members import Column
from ..register import reasons_text
from ..sets import ImeiSet
from .loader import Table
from .reader import THREADS

DETAILS = ("reasons", "date")


def described(
    table: Table, rows: NDArray[np.bool_] | None = None
) -> tuple[ImeiSet, Column | None, Column | None]:
    """The IMEIs of a table, or of some of its rows, and their reasons and dates in key order; None for a
    column that says nothing.

    An IMEI that comes twice has all its reasons, and its first date. What is no date is none.
    """
    keys = table.keys if rows is None else table.keys[rows]
    given = {
        name: table.columns[name] if rows is None else table.columns[name][rows]
        for name in DETAILS
        if name in table.columns
    }
    if not given or not len(keys):
        return ImeiSet._from_parts([keys], threads=THREADS), None, None
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    reasons = dates = None
    if "reasons" in given:
        reasons = _reasons(table.values["reasons"], given["reasons"][order], starts)
    if "date" in given:
        dates = _dates(given["date"][order], starts)
    return ImeiSet.from_keys(np.ascontiguousarray(keys[starts])), reasons, dates


def _reasons(names: list[str], codes: NDArray[Any], starts: NDArray[np.int64]) -> Column | None:
    """The reasons of groups of rows; codes: of the names."""
    texts = [reasons_text(name) for name in names]
    values = {text: number for number, text in enumerate(sorted({*texts} | {""}))}
    codes = np.array([values[text] for text in texts], np.int64)[codes]
    most = np.maximum.reduceat(codes, starts)
    for group in np.flatnonzero(most != _least(codes, starts)).tolist():
        end = starts[group + 1] if group + 1 < len(starts) else len(codes)
        several = "|".join(list(values)[code] for code in np.unique(codes[starts[group] : end]).tolist())
        most[group] = values.setdefault(reasons_text(several), len(values))
    return Column.compact(tuple(values)[1:], most) if most.any() else None


def _dates(numbers: NDArray[Any], starts: NDArray[np.int64]) -> Column | None:
    """The first dates of groups of rows; numbers: YYYYMMDD."""
    known, places = np.unique(numbers, return_inverse=True)
    texts = [_day(number) for number in known.tolist()]
    days = [text for text in texts if text]  # in order, as the numbers are
    codes = np.array([days.index(text) + 1 if text else 0 for text in texts], np.int64)[places]
    least = _least(codes, starts)
    return Column.compact(tuple(days), least) if least.any() else None


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
