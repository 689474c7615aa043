"""What the lists of a register hold: sets with what changed since, columns beside them, and pairs.

Everything here is frozen. A change makes a new object that shares what did not change with the old one, so
who checks against the old one goes on undisturbed.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from imeiset._native.checks import (
    Pairing,
    Part,
    are_ascending,
    mark,
    mark_codes,
    merge_pairs,
    sort_pairs,
    splice_codes,
    starts_of,
)
from imeiset.columns import Keys
from imeiset.errors import SnapshotBounds
from imeiset.sets import ImeiSet

NOTHING: ImeiSet = ImeiSet()
_OR = 0
_RUN_MIN = 2  # keys of a range that is kept as a run
_STRETCHES = 4  # for each 64-bit word of their filter
_THIS_PAIR = 2  # of what `Pairing.have` says
_ONE, _TAC, _LAST = (np.uint64(n) for n in (1, 10**6, 10**6 - 1))


def union(sets: Iterable[ImeiSet]) -> ImeiSet:
    """All their IMEIs, small sets first, so that large ones are read once."""
    found = NOTHING
    for one in sorted(sets, key=len):
        found = ImeiSet.joined(found, one, _OR) if len(found) else one
    return found


def without_texts(members: ImeiSet) -> ImeiSet:
    """The same index, without the irregular identities beside it."""
    return ImeiSet.from_sections(dict(members.sections())) if members.irregular is not None else members


def anew(members: ImeiSet) -> ImeiSet:
    """The same IMEIs, from the beginning. O(runs)."""
    return ImeiSet.combine(members, NOTHING, _OR)


def packed(members: ImeiSet) -> ImeiSet:
    """The same IMEIs with short runs kept as runs, as ranges are: 4 bytes each, however long. O(runs)."""
    return ImeiSet.combine(members, NOTHING, _OR, _RUN_MIN)


# ---- what most checks ask ----


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Which IMEIs some list may say something about: a set, and for pieces of TACs in ranges a filter of the
    stretches of 2**shift keys that they touch. Long runs inside a TAC would slow the set down."""

    imeis: ImeiSet
    spans: Keys
    shift: int = 0

    @classmethod
    def of(cls, sets: Iterable[ImeiSet], ranges: Iterable[ImeiSet]) -> "Known":
        """The union of sets and of ranges. O(members and runs)."""
        wholes, lows, highs = list(sets), [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
        for one in ranges:
            for low, high in one.runs():
                first, end = (low + _LAST) // _TAC, (high + _ONE) // _TAC  # whole TACs
                inside = first < end
                wholes.append(ImeiSet.from_runs(first[inside] * _TAC, end[inside] * _TAC - _ONE))
                before, after = ~inside | (low < first * _TAC), inside & (end * _TAC <= high)
                lows += [low[before], end[after] * _TAC]
                highs += [np.where(inside, first * _TAC - _ONE, high)[before], high[after]]
        low, high = np.concatenate(lows), np.concatenate(highs)
        for shift in range(4, 48):
            count = int(((high >> np.uint64(shift)) - (low >> np.uint64(shift)) + _ONE).sum())
            if count <= 4 * len(low):
                break
        words = np.zeros(-(-count // _STRETCHES), np.uint64)
        for at in range(0, len(low), 1 << 16):
            rows = slice(at, at + (1 << 16))
            begin = (low[rows] >> np.uint64(shift)).astype(np.int64)
            length = (high[rows] >> np.uint64(shift)).astype(np.int64) - begin + 1
            inside = np.arange(length.sum()) - np.repeat(length.cumsum() - length, length)
            mark(words, (np.repeat(begin, length) + inside).astype(np.uint64))
        return cls(union(wholes), words, shift)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Known):
            return NotImplemented
        same = self.imeis == other.imeis and self.shift == other.shift
        return same and np.array_equal(self.spans, other.spans)


# ---- columns ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One text for each position in a set, dictionary-coded: 0 is none, i is values[i - 1]."""

    values: tuple[str, ...]
    codes: NDArray[Any]

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
def _fitting(what: str) -> Iterator[None]:
    """What does not fit is damage."""
    try:
        yield
    except (ValueError, IndexError) as error:
        raise damaged(what, str(error)) from None


def code_type(values: int) -> np.dtype[Any]:
    """The smallest unsigned integers that number so many values, and none."""
    return np.dtype(np.min_scalar_type(values)).newbyteorder("<")


@_fitting("reasons and dates")
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
        row, done = splice_codes(before, after, *_places(keys, old[0], new[0]), codes, row, done)
    end, none = np.array([len(old[0])]), np.array([-1])
    if splice_codes(before, after, end, none, none, codes, row, done)[1] != len(members):
        raise ValueError(f"codes: expected {len(members)}, one for each IMEI, got fewer")
    return Column.of(texts, codes)


def _places(
    keys: Keys, old: ImeiSet, new: ImeiSet
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Of each key: how many of the old set are below it, and its positions in both, -1 where it is not."""
    ranks, in_old, in_new = (np.empty(len(keys), np.int64) for _ in range(3))
    old.ranks(keys, ranks)
    old.positions_of_keys(keys, in_old)
    new.positions_of_keys(keys, in_new)
    return ranks, in_old, in_new


# ---- sets that change ------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Members:
    """A frozen set, what was added to it and removed from it since, and its columns: reasons and dates."""

    base: ImeiSet
    columns: tuple[Column | None, Column | None] = (None, None)
    added: ImeiSet = NOTHING
    removed: ImeiSet = NOTHING
    added_columns: tuple[Column | None, Column | None] = (None, None)

    @cached_property
    def part(self) -> Part:
        """What answers lookups."""
        return Part(self.base, self.added or None, self.removed or None)

    @property
    def has_texts(self) -> bool:
        """Whether some IMEI has a reason or a date."""
        return any([*self.columns, *self.added_columns])

    @property
    def changed(self) -> bool:
        """Whether it differs from its base in any way."""
        return bool(len(self.added) or len(self.removed))

    def count(self) -> int:
        """How many IMEIs. O(changes)."""
        gone, again = _shared(self.base, self.removed), _shared(self.base, self.added)
        return len(self.base) - gone + len(self.added) - again

    def changed_by(
        self, add: ImeiSet, remove: ImeiSet, columns: tuple[Column | None, Column | None] = (None, None)
    ) -> "Members":
        """Without `remove`, then with `add`, which has these columns. O(changes so far)."""
        changed = union([remove, add])
        added, removed = followed((self.added, self.removed), (add, remove))
        reasons, dates = (
            merge_columns(added, (add, new), (self.added, old), changed)
            for new, old in zip(columns, self.added_columns, strict=True)
        )
        return Members(self.base, self.columns, added, removed, (reasons, dates))

    def merged(self) -> "Members":
        """The same with nothing changed since: a new base. O(members)."""
        if not self.changed:
            return self
        left = self.base - self.removed if len(self.removed) else self.base
        base, changed = union([left, self.added]), union([self.added, self.removed])
        columns = [
            merge_columns(base, (self.added, new), (self.base, old), changed)
            for new, old in zip(self.added_columns, self.columns, strict=True)
        ]
        return Members(base, (columns[0], columns[1]))

    def texts(self, key: int) -> tuple[str, str]:
        """The reason and the date of a member, '' where there is none."""
        for members, columns in ((self.added, self.added_columns), (self.base, self.columns)):
            if len(members):
                at = position(members, key)
                if at >= 0:
                    reason, date = (column.text(at) if column else "" for column in columns)
                    return reason, date
        return "", ""


def followed(changes: tuple[ImeiSet, ImeiSet], more: tuple[ImeiSet, ImeiSet]) -> tuple[ImeiSet, ImeiSet]:
    """What was added and what was removed by changes and others after them, each of both."""
    (added, removed), (add, remove) = changes, more
    added = union([added - remove if len(remove) else added, add])
    removed = union([removed, remove])
    return added, removed - add if len(add) else removed


def position(members: ImeiSet, key: int) -> int:
    """The rank of a key, -1 where it is no member."""
    at = np.empty(1, np.int64)
    members.positions_of_keys(np.array([key], np.uint64), at)
    return int(at[0])


def _shared(members: ImeiSet, other: ImeiSet) -> int:
    """How many IMEIs both have. O(runs of other)."""
    count = 0
    for lows, highs in other.runs():
        below, upto = np.empty(len(lows), np.int64), np.empty(len(lows), np.int64)
        members.ranks(lows, below)
        members.ranks(highs + np.uint64(1), upto)
        count += int((upto - below).sum())
    return count


# ---- pairs -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """(IMEI, IMSI) pairs: the IMSIs of the IMEI at position i are imsis[starts[i]:starts[i + 1]], ascending.

    12 bytes a pair, and the set of the IMEIs.
    """

    imeis: ImeiSet
    starts: NDArray[np.uint32]
    imsis: NDArray[np.uint64] = field(repr=False)

    @classmethod
    def of(cls, keys: Keys, imsis: Keys, *, fresh: bool = False) -> "Pairs":
        """Of two columns, in any order, repeats allowed; one pass for each byte in which they differ.

        fresh: nobody else needs the arrays, which are sorted in place and kept.
        """
        if len(keys) >= 1 << 32:
            raise OverflowError(f"expected fewer than 2**32 pairs, got {len(keys)}")
        ascending = are_ascending(keys, imsis)
        if not fresh:
            keys, imsis = keys.copy(), imsis if ascending else imsis.copy()
        if not ascending:
            n = sort_pairs(keys, imsis)
            keys, imsis = _cut(keys, n), _cut(imsis, n)
        starts = np.empty(len(keys) + 1, np.uint32)
        n = starts_of(keys, starts)
        return cls(ImeiSet.from_keys(keys[:n]), _cut(starts, n + 1).astype("<u4", copy=False), imsis)

    def __len__(self) -> int:
        return len(self.imsis)

    def is_sound(self) -> bool:
        """Whether every IMEI has pairs, in order, of IMSIs as they may be. Reads everything."""
        if self.starts[0] or self.starts[-1] != len(self) or (self.starts[1:] <= self.starts[:-1]).any():
            return False
        if not are_imsis(self.imsis):
            return False
        return all(are_ascending(*self.of_imeis(keys)) for keys in self.imeis.chunks())

    def spans(self, keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where in `imsis` those of each IMEI begin and end; both 0 where it has none."""
        at = np.empty(len(keys), np.int64)
        self.imeis.positions_of_keys(keys, at)
        last = len(self.starts) - 1  # clipped: a damaged file says what it likes
        begin = np.where(at >= 0, self.starts[at.clip(0, last)], 0).astype(np.int64)
        end = np.where(at >= 0, self.starts[(at + 1).clip(0, last)], 0).astype(np.int64)
        return begin.clip(0, len(self)), end.clip(0, len(self))

    @property
    def arrays(self) -> tuple[ImeiSet, NDArray[np.uint32], NDArray[np.uint64]]:
        """All of it, for lookups."""
        return self.imeis, self.starts, self.imsis

    def have(self, keys: Keys, imsis: Keys) -> NDArray[np.bool_]:
        """Which pairs are here: bool[n]."""
        found = np.empty(len(keys), np.uint8)
        Pairing(self.arrays).have(keys, imsis, found)
        return np.equal(found, _THIS_PAIR)

    def of_imeis(self, keys: Keys) -> tuple[Keys, Keys]:
        """The pairs of some IMEIs, flat: keys, each once for every pair, and IMSIs."""
        begin, end = self.spans(keys)
        count = (end - begin).clip(0)
        inside = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
        return np.repeat(keys, count), self.imsis[np.repeat(begin, count) + inside]


def are_imsis(numbers: Keys) -> bool:
    """Whether all are numbers of IMSIs as they may be."""
    return not len(numbers) or 10**6 <= int(numbers.min()) <= int(numbers.max()) < 2 * 10**15


def _cut(array: NDArray[Any], n: int) -> NDArray[Any]:
    """The first n numbers, without the memory of many others."""
    return array[:n] if n > len(array) * 0.9 else array[:n].copy()


NO_PAIRS = Pairs.of(np.empty(0, np.uint64), np.empty(0, np.uint64))


@dataclass(frozen=True, eq=False)
class Paired:
    """Frozen pairs, and all pairs of the IMEIs whose pairs have changed since."""

    base: Pairs
    touched: ImeiSet = NOTHING
    now: Pairs = field(default=NO_PAIRS)

    @property
    def changed(self) -> bool:
        """Whether any pair differs from the base."""
        return len(self.touched) > 0

    def count(self) -> int:
        """How many pairs. O(changes)."""
        gone = len(self.base.of_imeis(self.touched.to_numpy())[0])
        return len(self.base) - gone + len(self.now)

    @cached_property
    def pairing(self) -> Pairing:
        """What answers lookups."""
        return Pairing(self.base.arrays, *((self.touched, self.now.arrays) if self.changed else ()))

    def _split(self, keys: Keys) -> Iterator[tuple[NDArray[Any], Pairs]]:
        """The rows of keys that the base answers for, and those that the changes do."""
        if not self.changed:
            yield np.arange(len(keys)), self.base
            return
        new = np.zeros(len(keys), np.uint8)
        self.touched.contains_keys(keys, new)
        yield np.flatnonzero(new == 0), self.base
        yield np.flatnonzero(new), self.now

    def have(self, keys: Keys, imsis: Keys) -> NDArray[np.bool_]:
        """Which pairs are here: bool[n]."""
        found = np.zeros(len(keys), bool)
        for rows, pairs in self._split(keys):
            found[rows] = pairs.have(keys[rows], imsis[rows])
        return found

    def changed_by(self, add: tuple[Keys, Keys], remove: tuple[Keys, Keys]) -> "Paired":
        """Without the pairs of `remove`, then with those of `add`."""
        touched = ImeiSet.from_keys(np.concatenate([add[0], remove[0]]))
        others = self.now.of_imeis((self.touched - touched).to_numpy())
        keys = touched.to_numpy()
        kept: list[tuple[Keys, Keys]] = [others]
        gone = Pairs.of(*remove)
        for rows, pairs in self._split(keys):
            old = pairs.of_imeis(keys[rows])
            stay = ~gone.have(*old)
            kept.append((old[0][stay], old[1][stay]))
        kept.append(add)
        now = Pairs.of(*(np.concatenate(side) for side in zip(*kept, strict=True)), fresh=True)
        return Paired(self.base, union([self.touched, touched]), now)

    def merged(self) -> "Paired":
        """The same with nothing changed since: a new base. O(pairs)."""
        if not self.changed:
            return self
        base, now, count = self.base, self.now, self.count()
        if count >= 1 << 32:
            raise OverflowError(f"expected fewer than 2**32 pairs, got {count}")
        imeis = union([base.imeis - self.touched, now.imeis])
        places = _places(self.touched.to_numpy(), base.imeis, now.imeis)
        starts, imsis = np.empty(len(imeis) + 1, np.uint32), np.empty(count, np.uint64)
        with _fitting("pairs"):
            merge_pairs(base.arrays[1:], now.arrays[1:], *places, starts, imsis)
        return Paired(Pairs(imeis, starts.astype("<u4", copy=False), imsis))


def dump(value: object) -> bytes:
    """JSON, the same bytes for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
