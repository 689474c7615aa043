"""(IMEI, IMSI) pairs: which IMEI goes with which subscribers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imeiset import columns
from imeiset._native.imsi import BAD_IMSI, NO_IMSI
from imeiset._native.pairs import Pairing, are_ascending, merge_pairs, sort_pairs, starts_of
from imeiset.errors import ImsiError, expect_ordered
from imeiset.readers import Keys
from imeiset.register.details import damaged, fitting, places_of
from imeiset.register.imsis import imsi_numbers
from imeiset.register.layered import NOTHING, union
from imeiset.register.layers import stacked
from imeiset.register.untils import NO_DAY, NO_UNTILS, Days, Untils
from imeiset.sets import ImeiSet

_THIS_PAIR = 2  # of what `Pairing.have` says


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """(IMEI, IMSI) pairs: the IMSIs of the IMEI at position i are imsis[starts[i]:starts[i + 1]], ascending.

    12 bytes a pair, and the set of the IMEIs; 20 more for a pair that has an until.
    """

    imeis: ImeiSet
    starts: NDArray[np.uint32] = field(repr=False)
    imsis: NDArray[np.uint64] = field(repr=False)
    untils: Untils = field(default=NO_UNTILS, repr=False)

    @classmethod
    def of(cls, keys: Keys, imsis: Keys, days: Days | None = None, *, fresh: bool = False) -> "Pairs":
        """Of two columns, in any order, repeats allowed; one pass for each byte in which they differ.

        days: until when each is listed, see `Untils.of`. fresh: nobody else needs the arrays, which are
        sorted in place and kept.
        """
        rows = len(keys)
        if len(keys) >= 1 << 32:
            raise OverflowError(f"expected fewer than 2**32 pairs, got {len(keys)}")
        ascending = are_ascending(keys, imsis)
        given = None
        if days is not None and (days != NO_DAY).any():
            given = (keys.copy(), imsis if ascending else imsis.copy(), days)
        if not fresh:
            keys, imsis = keys.copy(), imsis if ascending else imsis.copy()
        if not ascending:
            n = sort_pairs(keys, imsis)
            keys, imsis = _cut(keys, n), _cut(imsis, n)
        untils = NO_UNTILS if given is None else Untils.of(*given, repeats=len(keys) < rows)
        starts = np.empty(len(keys) + 1, np.uint32)
        n = starts_of(keys, starts)
        starts = _cut(starts, n + 1).astype("<u4", copy=False)
        return cls(ImeiSet.from_keys(keys[:n]), starts, imsis, untils)

    def __len__(self) -> int:
        return len(self.imsis)

    def is_sound(self) -> bool:
        """Whether every IMEI has pairs, in order, of IMSIs as they may be. Reads everything."""
        if self.starts[0] or self.starts[-1] != len(self) or (self.starts[1:] <= self.starts[:-1]).any():
            return False
        if not are_imsis(self.imsis) or not self.untils.is_sound():
            return False
        if not self.have(*self.untils[:2]).all():
            return False
        return all(are_ascending(*self.of_imeis(keys)) for keys in self.imeis.chunks())

    @property
    def arrays(self) -> tuple[ImeiSet, NDArray[np.uint32], NDArray[np.uint64]]:
        """All of it, for lookups."""
        return self.imeis, self.starts, self.imsis

    def have(self, keys: Keys, imsis: Keys) -> NDArray[np.bool_]:
        """Which pairs are here: bool[n]."""
        found = np.empty(len(keys), np.uint8)
        Pairing(self.arrays).have(keys, imsis, found)
        return np.equal(found, _THIS_PAIR)

    def until_days(self, keys: Keys, imsis: Keys) -> Days:
        """Until when pairs are listed: days since 1970-01-01, NO_DAY where there is none, or no such pair."""
        return self.untils.find(keys, imsis)

    def of_imeis(self, keys: Keys) -> tuple[Keys, Keys]:
        """The pairs of some IMEIs, flat: keys, each once for every pair, and IMSIs."""
        at, last = np.empty(len(keys), np.int64), len(self.starts) - 1
        self.imeis.positions_of_keys(keys, at)
        begin, end = (  # clipped: a damaged file says what it likes
            np.where(at < 0, 0, self.starts[edge.clip(0, last)]).astype(np.int64).clip(0, len(self))
            for edge in (at, at + 1)
        )
        count = (end - begin).clip(0)
        inside = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
        return np.repeat(keys, count), self.imsis[np.repeat(begin, count) + inside]


def are_imsis(numbers: Keys) -> bool:
    """Whether all are numbers of IMSIs as they may be."""
    return not len(numbers) or 10**5 <= int(numbers.min()) <= int(numbers.max()) < 2 * 10**15


def _cut(array: NDArray[Any], n: int) -> NDArray[Any]:
    """The first n numbers, without the memory of many others."""
    return array[:n] if n > len(array) * 0.9 else array[:n].copy()


NO_PAIRS = Pairs.of(np.empty(0, np.uint64), np.empty(0, np.uint64))


def _joined(parts: Iterable[tuple[Keys, Keys, Days]]) -> Pairs:
    """The pairs of several columns, with their untils."""
    return Pairs.of(*map(np.concatenate, zip(*parts, strict=True)), fresh=True)


@dataclass(frozen=True, eq=False)
class PairLayer:
    """IMEIs whose pairs changed, and all pairs that they have."""

    touched: ImeiSet = NOTHING
    now: Pairs = field(default=NO_PAIRS)

    @property
    def weight(self) -> int:
        """What merging it costs, in bytes."""
        return self.touched.nbytes - NOTHING.nbytes + self.now.imsis.nbytes

    def over(self, older: "PairLayer") -> "PairLayer":
        """Both as one: what this one says counts where both say something."""
        kept = []
        for pairs, imeis in ((older.now, older.touched - self.touched), (self.now, self.touched)):
            rows = pairs.of_imeis(imeis.to_numpy())
            kept.append((*rows, pairs.until_days(*rows)))
        return PairLayer(union([older.touched, self.touched]), _joined(kept))


@dataclass(frozen=True, eq=False)
class LayeredPairs:
    """Frozen pairs, and layers of what changed since, the newest first."""

    base: Pairs
    layers: tuple[PairLayer, ...] = ()
    grown: int = 0  # how many more pairs there are than in the base

    @classmethod
    def of(cls, keys: Keys, imsis: Keys, days: Days | None = None) -> "LayeredPairs":
        """As `Pairs.of` makes them of arrays that nobody else needs."""
        return cls(Pairs.of(keys, imsis, days, fresh=True))

    @property
    def changed(self) -> bool:
        """Whether any pair differs from the base."""
        return bool(self.layers)

    def count(self) -> int:
        """How many pairs."""
        return len(self.base) + self.grown

    def __getstate__(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @cached_property
    def pairing(self) -> Pairing:
        """What answers lookups."""
        return Pairing(self.base.arrays, [(one.touched, one.now.arrays) for one in self.layers])

    @cached_property
    def changes(self) -> PairLayer:
        """All layers as one. O(changes so far)."""
        return reduce(PairLayer.over, self.layers) if self.layers else PairLayer()

    def _split(self, keys: Keys) -> Iterator[tuple[NDArray[Any], Pairs]]:
        """The rows of keys that each layer answers for, and those that the base does."""
        left = np.arange(len(keys))
        for one in self.layers:
            new = np.zeros(len(left), np.uint8)
            one.touched.contains_keys(keys[left], new)
            yield left[new != 0], one.now
            left = left[new == 0]
        yield left, self.base

    def have(self, keys: Keys, imsis: Keys) -> NDArray[np.bool_]:
        """Which pairs are here: bool[n]."""
        found = np.zeros(len(keys), bool)
        for rows, pairs in self._split(keys):
            found[rows] = pairs.have(keys[rows], imsis[rows])
        return found

    def of_imeis(self, keys: Keys) -> tuple[Keys, Keys]:
        """The same of all pairs of now, those of the base last."""
        found = [pairs.of_imeis(keys[rows]) for rows, pairs in self._split(keys)]
        imeis, imsis = (np.concatenate(side) for side in zip(*found, strict=True))
        return imeis, imsis

    def until_days(self, keys: Keys, imsis: Keys) -> Days:
        """Until when pairs are listed: days since 1970-01-01, NO_DAY where there is none, or no such pair."""
        found = np.full(len(keys), NO_DAY, np.int32)
        for rows, pairs in self._split(keys):
            found[rows] = pairs.until_days(keys[rows], imsis[rows])
        return found

    def changed_by(
        self, add: tuple[Keys, Keys], remove: tuple[Keys, Keys], days: Days | None = None
    ) -> "LayeredPairs":
        """Without the pairs of `remove`, then with those of `add`, which are listed until these days."""
        touched = ImeiSet.from_keys(np.concatenate([add[0], remove[0]]))
        if not len(touched):
            return self
        keys, before = touched.to_numpy(), 0
        gone = Pairs.of(np.concatenate([add[0], remove[0]]), np.concatenate([add[1], remove[1]]), fresh=True)
        kept = [(*add, np.full(len(add[0]), NO_DAY, np.int32) if days is None else days)]
        for rows, pairs in self._split(keys):
            old = pairs.of_imeis(keys[rows])
            stay, before = ~gone.have(*old), before + len(old[0])
            left = old[0][stay], old[1][stay]
            kept.append((*left, pairs.until_days(*left)))
        now = _joined(kept)
        layers = stacked(PairLayer(touched, now), self.layers)
        return LayeredPairs(self.base, layers, self.grown + len(now) - before)

    def united(self, more: "LayeredPairs") -> "LayeredPairs":
        """With all pairs of another, too; of a pair of both the later until counts. O(pairs)."""
        one, other = (side.flattened().base for side in (self, more))
        columns = (some.of_imeis(some.imeis.to_numpy()) for some in (one, other))
        keys, imsis = (np.concatenate(side) for side in zip(*columns, strict=True))
        both = Pairs.of(keys, imsis, fresh=True)
        return LayeredPairs(replace(both, untils=_latest(one, other)))

    def flattened(self) -> "LayeredPairs":
        """The same with nothing changed since: a new base. O(pairs)."""
        if not self.changed:
            return self
        base, touched, now, count = self.base, self.changes.touched, self.changes.now, self.count()
        if count >= 1 << 32:
            raise OverflowError(f"expected fewer than 2**32 pairs, got {count}")
        if count < 0:
            raise damaged("pairs", f"{count} of them")
        imeis = union([base.imeis - touched, now.imeis])
        places = places_of(touched.to_numpy(), base.imeis, now.imeis)
        starts, imsis = np.empty(len(imeis) + 1, np.uint32), np.empty(count, np.uint64)
        with fitting("pairs"):
            merge_pairs(base.arrays[1:], now.arrays[1:], *places, starts, imsis)
        untils = base.untils
        left = np.zeros(len(untils.keys), np.uint8)
        touched.contains_keys(untils.keys, left)
        untils = untils.where(left == 0).with_others(now.untils)
        return LayeredPairs(Pairs(imeis, starts.astype("<u4", copy=False), imsis, untils))


def _latest(one: Pairs, other: Pairs) -> Untils:
    """The untils of the pairs of both: the later, and none of a pair that either has without one."""
    keys, imsis, days = one.untils
    theirs = other.until_days(keys, imsis)
    days = np.where(
        other.have(keys, imsis), np.where(theirs == NO_DAY, NO_DAY, np.maximum(days, theirs)), days
    )
    mine = Untils(keys, imsis, days.astype("<i4")).where(days != NO_DAY)
    return mine.with_others(other.untils.where(~one.have(*other.untils[:2])))


def pair_columns(imeis: object, imsis: object, digits: int = 14) -> tuple[Keys, Keys]:
    """The keys and the IMSI numbers of two columns, as new arrays; raises for the first malformed row."""
    expect_ordered("imeis", imeis)
    keys = columns.keys_of(imeis, digits=digits)
    if isinstance(imeis, np.ndarray):  # may be that array
        keys = keys.copy()
    numbers, value = imsi_numbers(imsis, len(keys))
    wrong = np.flatnonzero((numbers == BAD_IMSI) | (numbers == NO_IMSI))
    if wrong.size:
        raise ImsiError(value=value(int(wrong[0])), position=int(wrong[0]))
    return keys, numbers
