"""What a list says about each of its IMEIs: reasons and dates, as columns of codes beside a set."""

import datetime
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from imeiset._native.codes import mark_codes, splice_codes
from imeiset.errors import SnapshotBounds, expect_several, mask
from imeiset.readers import Keys
from imeiset.sets import ImeiSet

_ROWS = 1 << 16  # of Python objects at a time
_DATE = 10  # characters of the longest


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One text for each position in a set, dictionary-coded: 0 is none, i is values[i - 1]."""

    values: tuple[str, ...]
    codes: NDArray[Any] = field(repr=False)

    @classmethod
    def of(cls, texts: Iterable[str], codes: NDArray[Any]) -> Self | None:
        """Of all texts, the first of them '', and their numbers in the order of the members; None if there
        are none but that. In order of the texts and without those that are not used: the same column, the
        same bytes."""
        values = tuple(texts)
        used, codes = np.zeros(len(values), np.uint8), np.ascontiguousarray(codes, code_type(len(values)))
        mark_codes(codes, used)
        kept = sorted(np.flatnonzero(used[1:]).tolist(), key=lambda i: values[i + 1])
        if not kept:
            return None
        place = np.zeros(len(values), code_type(len(kept)))
        place[np.array(kept, np.int64) + 1] = np.arange(1, len(kept) + 1)
        if place.dtype != codes.dtype or (place != np.arange(len(values)))[used != 0].any():
            codes = place[codes]
        return cls(tuple(values[i + 1] for i in kept), codes)

    def is_sound(self) -> bool:
        """Whether the codes are those of the texts: none too many, all in use, in order."""
        used = np.unique(self.codes[self.codes > 0]).tolist()
        return used == list(range(1, len(self.values) + 1)) and list(self.values) == sorted(set(self.values))

    def text(self, position: int) -> str:
        """At one position; '' where there is none. Raises SnapshotBounds for a damaged column."""
        try:
            code = int(self.codes[position])
            return self.values[code - 1] if code else ""
        except IndexError as error:
            raise damaged("reasons and dates", str(error)) from None


def damaged(what: str, got: str) -> SnapshotBounds:
    """Only a register from a damaged file, opened without `verify`, gets here."""
    return SnapshotBounds("an open register", f"{what} that fit its sets", got)


@contextmanager
def fitting(what: str) -> Iterator[None]:
    """What does not fit is damage."""
    try:
        yield
    except (ValueError, IndexError) as error:
        raise damaged(what, str(error)) from None


def code_type(values: int) -> np.dtype[Any]:
    """The smallest unsigned integers that number so many values, and none."""
    return np.dtype(np.min_scalar_type(values)).newbyteorder("<")


@fitting("reasons and dates")
def merge_columns(
    members: ImeiSet, new: tuple[ImeiSet, Column | None], old: tuple[ImeiSet, Column | None], changed: ImeiSet
) -> Column | None:
    """The column of a set, of the sets that it was made of: the text of the new one counts where both have an
    IMEI. changed: the IMEIs of the new one, and those of the old one that went. O(members), copied."""
    if new[1] is None and old[1] is None:
        return None
    texts: dict[str, int] = {"": 0}
    places = [
        np.array([0, *(texts.setdefault(value, len(texts)) for value in column.values)] if column else [0])
        for _, column in (old, new)
    ]
    dtype = code_type(len(texts))
    before, after = (
        place.astype(dtype)[column.codes] if column else np.zeros(len(some), dtype)
        for (some, column), place in zip((old, new), places, strict=True)
    )
    codes, row, done = np.empty(len(members), dtype), 0, 0
    for keys in changed.chunks():
        row, done = splice_codes(before, after, *places_of(keys, old[0], new[0]), codes, row, done)
    end, none = np.array([len(old[0])]), np.array([-1])
    if splice_codes(before, after, end, none, none, codes, row, done)[1] != len(members):
        raise ValueError(f"codes: expected {len(members)}, one for each IMEI, got fewer")
    return Column.of(texts, codes)


def places_of(
    keys: Keys, old: ImeiSet, new: ImeiSet
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Of each key: how many of the old set are below it, and its positions in both, -1 where it is not."""
    ranks, in_old, in_new = (np.empty(len(keys), np.int64) for _ in range(3))
    old.ranks(keys, ranks)
    old.positions_of_keys(keys, in_old)
    new.positions_of_keys(keys, in_new)
    return ranks, in_old, in_new


# ---- what comes in ---------------------------------------------------------------------


def columns_of(
    keys: Keys | None, rows: int, reasons: Iterable[object] | None, dates: Iterable[object] | None
) -> tuple[Column | None, Column | None]:
    """Reasons and dates as callers give them, one for each row. keys: of the rows, None where they are in key
    order and differ; of an IMEI that comes twice all reasons count, and the first date."""
    given = [
        (_coded("reasons", reasons, rows, reasons_text), _all_reasons),
        (_coded("dates", dates, rows, date_text), _first_date),
    ]
    if keys is not None and any(coded for coded, _ in given):
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[:rows])
        given = [(coded and _united(*coded, order, starts, join), join) for coded, join in given]
    found = [Column.of(*coded) if coded else None for coded, _ in given]
    return found[0], found[1]


_Coded = tuple[
    dict[str, int], NDArray[Any]
]  # texts in normal form, '' the first, and the number of each row's


def _coded(
    what: str, values: Iterable[object] | None, rows: int, form: Callable[[object], str]
) -> _Coded | None:
    """A column with every value in normal form, which is made once of each."""
    if values is None:
        return None
    expect_several(what, values)
    texts = {"": 0}

    def code(value: object) -> int:
        return texts.setdefault(form(value), len(texts))

    seen, pieces = _CodeOf(code), [np.empty(0, np.int32)]
    for some in _pieces(values):
        try:
            pieces.append(np.fromiter(map(seen.__getitem__, some), np.int32, len(some)))
        except TypeError:  # lists, which have no hash; or what is not a text
            pieces.append(np.array([code(value) for value in some], np.int32))
    codes = np.concatenate(pieces)
    if len(codes) != rows:
        raise ValueError(f"{what}: expected {rows}, one for each IMEI, got {len(codes)}")
    return texts, codes


class _CodeOf(dict[object, int]):
    """The codes of values that were seen, some of the last."""

    def __init__(self, code: Callable[[object], int]) -> None:
        self._code = code

    def __missing__(self, value: object) -> int:
        if len(self) >= _ROWS:
            self.clear()
        self[value] = code = self._code(value)
        return code


def _pieces(values: Iterable[object]) -> Iterator[list[object]]:
    """The values of a column, some at a time."""
    if isinstance(values, np.ndarray):
        if values.dtype.kind == "M":
            values = values.astype("datetime64[D]")
        for start in range(0, len(values), _ROWS):
            yield values[start : start + _ROWS].tolist()
        return
    left = iter(values)
    while some := list(islice(left, _ROWS)):
        yield some


def reasons_text(value: object) -> str:
    """Reasons in normal form: in order, joined by '|'."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    parts = value.split("|") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise TypeError(f"reasons: expected str, a list of str or None, got {type(value).__name__}")
    return "|".join(sorted({part.strip() for part in parts} - {""}))


def date_text(value: object) -> str:
    """A date as ISO 8601 has it, '' for none."""
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[D]").item()
    if value is None or value == "" or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, str) and (len(value), value.count("-")) in ((8, 0), (10, 2)):
        with suppress(ValueError):
            value = datetime.date.fromisoformat(value)
    if not isinstance(value, datetime.date):
        got = repr(value) if len(str(value)) <= _DATE else f"'{mask(value)}'"  # it may be an IMEI
        raise ValueError(f"dates: expected a date, '20240229', '2024-02-29' or None, got {got}")
    return datetime.date(value.year, value.month, value.day).isoformat()


def is_date(text: str) -> bool:
    """Whether it is in normal form."""
    with suppress(ValueError):
        return date_text(text) == text
    return False


def _united(
    texts: dict[str, int],
    codes: NDArray[Any],
    order: NDArray[np.intp],
    starts: NDArray[np.intp],
    join: Callable[[list[str]], str],
) -> _Coded:
    """One code for each IMEI, in key order. order: of the rows; starts: where each IMEI begins in it."""
    codes = codes[order]
    if len(starts) == len(codes):
        return texts, codes
    found, ends = codes[starts], np.append(starts[1:], len(codes))
    least, most = np.minimum.reduceat(codes, starts), np.maximum.reduceat(codes, starts)
    known = list(texts)
    for group in np.flatnonzero(least != most).tolist():
        some = [known[code] for code in codes[starts[group] : ends[group]].tolist()]
        found[group] = texts.setdefault(join(some), len(texts))
    return texts, found


def _all_reasons(texts: list[str]) -> str:
    return reasons_text("|".join(texts))


def _first_date(texts: list[str]) -> str:
    return min(filter(None, texts))
