"""Dates as feeds write them, to numbers YYYYMMDD."""

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

EXCEL = "excel"  # the format of days since 1899-12-30
NO_DAY, NOT_A_DAY = 0, -1
_DIRECTIVES = "YymdbBHMSfzpIjaAZ%"
_EPOCH = date(1899, 12, 30)
_ISO = re.compile(rb"(\d{4})([-/.]?)(\d\d)\2(\d\d)(?:[T ].*)?", re.S)
_TOGETHER = re.compile("%[A-Za-z]%[A-Za-z]")
_SERIAL = re.compile(rb"\d{1,7}(?:\.\d*)?")


def check_format(value: object) -> str:
    """A format of dates: of `strptime`, with a year, a month and a day; or "excel". Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError
    if value.strip().casefold() == EXCEL:
        return EXCEL
    found = set(re.findall("%(.?)", value))
    whole = "j" in found or (found & {*"mbB"} and "d" in found)
    if not found <= {*_DIRECTIVES} or not found & {*"Yy"} or not whole:
        raise ValueError
    return value


def day_number(text: bytes, date_format: str | None = None) -> int:
    """The number YYYYMMDD of a cell: NO_DAY for an empty one, NOT_A_DAY for one that is not understood.

    date_format: of `check_format`; None is ISO 8601, with any time after the day, or the digits alone.
    """
    text = text.strip()
    return _number(text, date_format) if text else NO_DAY


def day_numbers(cells: Iterable[bytes], date_format: str | None = None) -> NDArray[np.int32]:
    """The numbers of many cells, see `day_number`."""
    return np.fromiter((day_number(cell, date_format) for cell in cells), np.int32)


@lru_cache(1 << 16)  # feeds have few days
def _number(text: bytes, date_format: str | None) -> int:
    try:
        if date_format is None:
            if not (found := _ISO.fullmatch(text)):
                return NOT_A_DAY
            day = date(int(found[1]), int(found[3]), int(found[4]))
        elif date_format == EXCEL:
            if not _SERIAL.fullmatch(text) or float(text) < 1:  # 0 is an empty cell that became a number
                return NOT_A_DAY
            day = _EPOCH + timedelta(int(float(text)))
        else:
            moment = datetime.strptime(text.decode(), date_format)
            if _TOGETHER.search(date_format) and len(moment.strftime(date_format)) != len(text):
                return NOT_A_DAY  # 2026111 may be one of two days
            day = moment.date()
    except (ValueError, OverflowError):
        return NOT_A_DAY
    return day.year * 10_000 + day.month * 100 + day.day


def day_text(number: int) -> str:
    """A number YYYYMMDD as ISO 8601 has it, '' for what is not a date."""
    try:
        return date(number // 10_000, number // 100 % 100, number % 100).isoformat()
    except ValueError:
        return ""
