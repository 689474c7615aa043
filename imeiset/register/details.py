"""What a list says about each of its IMEIs: reasons and dates, as columns of codes beside a set."""

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from imeiset._native.codes import mark_codes, splice_codes
from imeiset.errors import SnapshotBounds, expect_ordered, expect_several, mask
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


Details = tuple[Column | None, Column | None]
"""Reasons and dates, None where no IMEI has some."""

_Side = tuple[ImeiSet, Column | None]


def merged(
    members: ImeiSet, new: tuple[ImeiSet, Details], old: tuple[ImeiSet, Details], changed: ImeiSet
) -> Details:
    """The details of a set, of the sets that it was made of: those of the new one count where both have an
    IMEI. changed: the IMEIs of the new one, and those of the old one that went. O(members), copied."""
    both = zip(new[1], old[1], strict=True)
    reasons, dates = (_merged(members, (new[0], n), (old[0], o), changed) for n, o in both)
    return reasons, dates


@fitting("reasons and dates")
def _merged(members: ImeiSet, new: _Side, old: _Side, changed: ImeiSet) -> Column | None:
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


class Places:
    """Where in a set the rows of its making belong, of which several may be one IMEI's.

    keys: of the rows; None where they are those of the set, in order.
    """

    def __init__(self, members: ImeiSet, keys: Keys | None, threads: int = 1) -> None:
        self.count = len(members)
        rows = self.count if keys is None else len(keys)
        self.at = np.arange(rows) if keys is None else members.positions(keys, threads=threads)
        self.order = self.starts = np.empty(0, np.int64)
        if self.count < rows:  # the rows of IMEIs that come twice, one IMEI after the other
            twice = np.flatnonzero(np.bincount(self.at, minlength=self.count)[self.at] > 1)
            self.order = twice[np.argsort(self.at[twice], kind="stable")]
            self.starts = np.flatnonzero(np.diff(self.at[self.order], prepend=-1))

    @classmethod
    def beside(cls, column: object, members: ImeiSet, keys: Keys | None) -> Self:
        """Of a column that a caller gives, with others that go with it row by row."""
        expect_ordered("imeis", column)
        return cls(members, keys)

    def column(self, texts: Sequence[str], codes: NDArray[Any], *, first: bool) -> Column | None:
        """The texts with these numbers, one for each row. first: of an IMEI that comes twice the first text
        counts, in order; otherwise all count, as reasons do."""
        known = sorted({"", *texts})
        values = {text: number for number, text in enumerate(known)}
        codes = np.array([values[text] for text in texts], np.int32)[codes]
        found = np.zeros(self.count, np.int32)
        found[self.at] = codes
        if len(self.starts):
            codes = codes[self.order]
            most = np.maximum.reduceat(codes, self.starts)
            least = np.minimum.reduceat(np.where(codes, codes, len(known)), self.starts) % len(known)
            ends = np.append(self.starts[1:], len(codes))
            for group in () if first else np.flatnonzero(least != most).tolist():
                some = np.unique(codes[self.starts[group] : ends[group]]).tolist()
                text = reasons_text("|".join(known[code] for code in some))
                least[group] = values.setdefault(text, len(values))
            found[self.at[self.order[self.starts]]] = least
        return Column.of(values, found)

    def given(
        self, what: str, values: Iterable[object] | None, form: Callable[[object], str], *, first: bool
    ) -> Column | None:
        """The same of any column that a caller gives. form: the normal form of a value, made once of each."""
        if values is None:
            return None
        expect_several(what, values)
        expect_ordered(what, values)
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
        if len(codes) != len(self.at):
            raise ValueError(f"{what}: expected {len(self.at)}, one for each IMEI, got {len(codes)}")
        return self.column(list(texts), codes, first=first)


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
    if hasattr(values, "to_pylist"):  # of Arrow, whose items are not Python's
        values = values.to_pylist()
    left = iter(values)
    while some := list(islice(left, _ROWS)):
        yield some


def _is_null(value: object) -> bool:
    """Whether there is nothing: NaN and the nulls of pandas, too, which is not imported for them."""
    nan = isinstance(value, float) and value != value
    return value is None or nan or type(value).__name__ in ("NAType", "NaTType")


def reasons_text(value: object) -> str:
    """Reasons in normal form: in order, joined by '|'."""
    if _is_null(value):
        return ""
    parts = value.split("|") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise TypeError(f"reasons: expected str, a list of str or None, got {type(value).__name__}")
    return "|".join(sorted({part.strip() for part in parts} - {""}))


def date_text(value: object) -> str:
    """A date as ISO 8601 has it, '' for none."""
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[D]").item()
    if _is_null(value) or value == "":
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
