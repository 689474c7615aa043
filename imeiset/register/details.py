"""What a list says about each of its IMEIs: reasons, dates and untils, as columns of codes beside a set."""

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from imeiset._native.codes import mark_codes, splice_codes
from imeiset.errors import SnapshotBounds, expect_ordered, expect_several, mask, mask_text, quoted
from imeiset.readers import Keys
from imeiset.sets import ImeiSet

_ROWS = 1 << 16  # of Python objects at a time
_DATE = 10  # characters of the longest

OfSeveral = Literal["all", "first", "last"]
OF_SEVERAL: tuple[OfSeveral, ...] = ("all", "first", "last")  # of reasons, dates and untils


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

    def text(self, code: int) -> str:
        """What a code means. Raises SnapshotBounds for that of a damaged column."""
        try:
            return self.values[code - 1] if code else ""
        except IndexError as error:
            raise damaged("reasons and dates", str(error)) from None


def damaged(what: str, got: str) -> SnapshotBounds:
    """Only a register from a damaged file, opened without `verify`, gets here."""
    return SnapshotBounds("an open register", f"{what} that fit its sets", mask_text(got))


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


Details = tuple[Column | None, Column | None, Column | None]
"""Reasons, dates and untils, None where no IMEI has some. An until is the last day on which one counts."""
NO_DETAILS: Details = (None, None, None)

Codes = tuple[int, int, int]
"""What stands beside one IMEI in each of them: 0 for nothing."""

_Side = tuple[ImeiSet, Column | None]


def merged(
    members: ImeiSet, new: tuple[ImeiSet, Details], old: tuple[ImeiSet, Details], changed: ImeiSet
) -> Details:
    """The details of a set, of the sets that it was made of: those of the new one count where both have an
    IMEI. changed: the IMEIs of the new one, and those of the old one that went. O(members), copied."""
    both = zip(new[1], old[1], strict=True)
    reasons, dates, untils = (_merged(members, (new[0], n), (old[0], o), changed) for n, o in both)
    return reasons, dates, untils


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


def numbered(texts: dict[str, int], values: Sequence[str], codes: NDArray[Any]) -> NDArray[np.int64]:
    """The codes of a column of these values by the numbers of texts, of which '' has 0; new ones get one."""
    places = np.array([texts.setdefault(text, len(texts)) for text in ("", *values)], np.int64)
    found: NDArray[np.int64] = places[codes]
    return found


@fitting("reasons and dates")
def united(mine: tuple[ImeiSet, Details], other: tuple[ImeiSet, Details]) -> Details:
    """The details of the IMEIs of one set, where another set may have them too: what both say together, as
    of an IMEI that comes twice."""
    sides = zip(mine[1], other[1], OF_SEVERAL, strict=True)
    reasons, dates, untils = (_united((mine[0], m), (other[0], o), which) for m, o, which in sides)
    return reasons, dates, untils


def _united(mine: _Side, other: _Side, of_several: OfSeveral) -> Column | None:
    (members, column), (others, theirs) = mine, other
    if column is None and (theirs is None or of_several == "last"):
        return None
    texts = {"": 0}
    for text in sorted({text for one in (column, theirs) if one for text in one.values}):
        texts.setdefault(text, len(texts))
    never = len(texts)  # of dates: none, which is after every other
    none = 0 if of_several == "all" else never
    absent = never if of_several == "first" else 0  # not in the other set: what changes nothing
    combine = _AllOf(texts) if of_several == "all" else np.minimum if of_several == "first" else np.maximum
    mine_of, theirs_of = (
        np.array([none, *(texts[text] for text in one.values)] if one else [none], np.int32)
        for one in (column, theirs)
    )
    found, start = np.empty(len(members), np.int32), 0
    for keys in members.chunks():
        some, at = slice(start, start + len(keys)), np.empty(len(keys), np.int64)
        others.positions_of_keys(keys, at)
        codes = column.codes[some] if column else np.zeros(len(keys), np.intp)
        beside = theirs.codes[at] if theirs else np.zeros(len(keys), np.intp)
        found[some] = combine(mine_of[codes], np.where(at < 0, absent, theirs_of[beside]))
        start = some.stop
    return Column.of(texts, found if of_several == "all" else found % never)


class _AllOf:
    """The numbers of all reasons of two columns, row by row. What is new among texts gets a number."""

    def __init__(self, texts: dict[str, int]) -> None:
        self._texts = texts
        self._names = list(texts)
        self._known: dict[tuple[int, int], int] = {}

    def __call__(self, one: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.int32]:
        found = np.maximum(one, other)  # of those where one has none
        for row in np.flatnonzero((one > 0) & (other > 0) & (one != other)).tolist():
            pair = int(one[row]), int(other[row])
            if pair not in self._known:
                text = reasons_text("|".join(self._names[code] for code in pair))
                self._known[pair] = self._texts.setdefault(text, len(self._texts))
            found[row] = self._known[pair]
        return found


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

    def column(self, texts: Sequence[str], codes: NDArray[Any], of_several: OfSeveral) -> Column | None:
        """The texts with these numbers, one for each row; '' is none. of_several: what counts of an IMEI that
        comes twice: all texts, as of reasons; the first in order; or the last, and none if a row has none."""
        known = sorted({"", *texts})
        values = {text: number for number, text in enumerate(known)}
        codes = np.array([values[text] for text in texts], np.int32)[codes]
        found = np.zeros(self.count, np.int32)
        found[self.at] = codes
        if len(self.starts):
            codes = codes[self.order]
            most = np.maximum.reduceat(codes, self.starts)
            least = np.minimum.reduceat(np.where(codes, codes, len(known)), self.starts) % len(known)
            if of_several == "last":
                least = np.where(np.minimum.reduceat(codes, self.starts) > 0, most, 0)
            ends = np.append(self.starts[1:], len(codes))
            for group in np.flatnonzero(least != most).tolist() if of_several == "all" else ():
                some = np.unique(codes[self.starts[group] : ends[group]]).tolist()
                text = reasons_text("|".join(known[code] for code in some))
                least[group] = values.setdefault(text, len(values))
            found[self.at[self.order[self.starts]]] = least
        return Column.of(values, found)

    def details(
        self,
        reasons: Iterable[object] | None,
        dates: Iterable[object] | None,
        untils: Iterable[object] | None,
    ) -> Details:
        """The columns that a caller gives, any of which may be None."""
        rows = len(self.at)
        said = coded("reasons", reasons, reasons_text, rows)
        begun = coded("dates", dates, date_text, rows)
        ended = coded("until", untils, until_text, rows)
        if begun and ended:
            expect_in_order(begun, ended)
        return (
            said and self.column(*said, "all"),
            begun and self.column(*begun, "first"),
            ended and self.column(*ended, "last"),
        )


class Coded(NamedTuple):
    """A column of texts, one for each row, as the number of each; '' is none."""

    texts: Sequence[str]
    codes: NDArray[Any]


def coded(
    what: str, values: Iterable[object] | None, form: Callable[[object], str], rows: int
) -> Coded | None:
    """A column that a caller gives, of so many rows; None for none. form: the normal form of a value, made
    once of each."""
    if values is None:
        return None
    expect_several(what, values)
    expect_ordered(what, values)
    if not isinstance(values, Iterable):
        raise TypeError(f"{what}: expected a list, one for each IMEI, got one {type(values).__name__}")
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
    return Coded(list(texts), codes)


def expect_in_order(dates: Coded, untils: Coded) -> None:
    """Raise ValueError for the first row whose until is before its date."""
    place = {text: number for number, text in enumerate(sorted({*dates.texts, *untils.texts}))}  # "" is 0
    begin, end = (np.array([place[text] for text in one.texts])[one.codes] for one in (dates, untils))
    wrong = np.flatnonzero((end > 0) & (end < begin))
    if wrong.size:
        row = int(wrong[0])
        date, until = (one.texts[one.codes[row]] for one in (dates, untils))
        raise ValueError(f"row {row}: until: expected {date}, its date, or a later day, got {until}")


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


def date_text(value: object, what: str = "dates") -> str:
    """A date as ISO 8601 has it, '' for none."""
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[D]").item()
    if _is_null(value) or value == "":
        return ""
    if isinstance(value, str) and (len(value), value.count("-")) in ((8, 0), (10, 2)):
        with suppress(ValueError):
            value = datetime.date.fromisoformat(value)
    if not isinstance(value, datetime.date):
        got = repr(value) if len(str(value)) <= _DATE else quoted(mask(value), value)  # it may be an IMEI
        raise ValueError(f"{what}: expected a date, '20240229', '2024-02-29' or None, got {got}")
    return datetime.date(value.year, value.month, value.day).isoformat()


def until_text(value: object) -> str:
    """The same of an until."""
    return date_text(value, "until")


def is_date(text: str) -> bool:
    """Whether it is in normal form."""
    with suppress(ValueError):
        return date_text(text) == text
    return False
