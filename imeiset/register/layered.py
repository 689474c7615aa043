"""Sets that change: a frozen base, what was added to it and removed from it since, and columns beside it.

Everything here is frozen. A change makes a new object that shares what did not change with the old one, so
who checks against the old one goes on undisturbed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import numpy as np
from numpy.typing import NDArray

from imeiset._native.layered import Detailed, Layered, codes_of
from imeiset.readers import Keys
from imeiset.register.details import NO_DETAILS, Details, merged, united
from imeiset.register.layers import stacked
from imeiset.sets import ImeiSet

NOTHING: ImeiSet = ImeiSet()
_OR = 0
_RUN_MIN = 2  # keys of a range that is kept as a run


def union(sets: Iterable[ImeiSet]) -> ImeiSet:
    """All their IMEIs, small sets first, so that large ones are read once."""
    found = NOTHING
    for one in sorted(sets, key=len):
        found = ImeiSet.joined(found, one, _OR) if len(found) else one
    return found


def without_irregular(members: ImeiSet) -> ImeiSet:
    """The same index, without the irregular identities beside it."""
    return ImeiSet.from_sections(dict(members.sections())) if members.irregular is not None else members


def anew(members: ImeiSet) -> ImeiSet:
    """The same IMEIs, from the beginning. O(runs)."""
    return ImeiSet.combine(members, NOTHING, _OR)


def packed(members: ImeiSet) -> ImeiSet:
    """The same IMEIs with short runs kept as runs, as ranges are: 4 bytes each, however long. O(runs)."""
    return ImeiSet.combine(members, NOTHING, _OR, _RUN_MIN)


@dataclass(frozen=True, eq=False)
class Layer:
    """What changes removed from a set, what they added to it, and the columns of the added."""

    added: ImeiSet = NOTHING
    removed: ImeiSet = NOTHING
    columns: Details = NO_DETAILS

    @property
    def weight(self) -> int:
        """What merging it costs, in bytes."""
        return self.added.nbytes + self.removed.nbytes - 2 * NOTHING.nbytes

    def over(self, older: "Layer") -> "Layer":
        """Both as one: what this one says counts where both say something."""
        added, removed = followed((older.added, older.removed), (self.added, self.removed))
        own, before = (self.added, self.columns), (older.added, older.columns)
        return Layer(added, removed, merged(added, own, before, union([self.removed, self.added])))


@dataclass(frozen=True, eq=False)
class LayeredSet:
    """A frozen set, what it says (see `Details`), and layers of changes since, the newest first."""

    base: ImeiSet
    columns: Details = NO_DETAILS
    layers: tuple[Layer, ...] = ()
    grown: int | None = 0  # how many IMEIs more than in the base; None where nobody counted, for want of time

    def __repr__(self) -> str:
        return f"<LayeredSet of {self.count():,} IMEIs>"

    def __getstate__(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @cached_property
    def part(self) -> Layered:
        """What answers lookups."""
        return Layered(self.base, [(one.added or None, one.removed or None) for one in self.layers])

    @cached_property
    def changes(self) -> Layer:
        """All layers as one. O(changes so far)."""
        return reduce(Layer.over, self.layers) if self.layers else Layer()

    @property
    def has_details(self) -> bool:
        """Whether some IMEI has a reason, a date or an until."""
        return any(any(columns) for _, columns in self.sides)

    @property
    def changed(self) -> bool:
        """Whether it differs from its base in any way."""
        return bool(self.layers)

    def count(self) -> int:
        """How many IMEIs. O(changes so far) where long ranges or TACs have changed."""
        if self.grown is not None:
            return len(self.base) + self.grown
        gone, again = (_shared(self.base, some) for some in (self.changes.removed, self.changes.added))
        return len(self.base) - gone + len(self.changes.added) - again

    def have(self, keys: Keys) -> NDArray[np.bool_]:
        """Which keys are members: bool[n]."""
        found = np.empty(len(keys), np.uint8)
        self.part.contains(keys, found)
        return found.view(np.bool_)

    def shared(self, some: ImeiSet) -> ImeiSet:
        """Those of some IMEIs that it has. O(runs), of the base too."""
        found, left = NOTHING, some
        for one in self.layers:
            found, left = union([found, left & one.added]), left - one.added - one.removed
        return union([found, left & self.base])

    def changed_by(self, add: ImeiSet, remove: ImeiSet, columns: Details = NO_DETAILS) -> "LayeredSet":
        """Without `remove`, then with `add`, which has these columns. O(changes), nearly always."""
        if not (len(add) or len(remove)):
            return self
        if len(add) and len(remove):
            remove = remove - add
        grown = self.grown
        if grown is not None:
            grown = (
                None
                if is_wide(add) or is_wide(remove)
                else grown + len(add) - self._has(add) - self._has(remove)
            )
        return replace(self, layers=stacked(Layer(add, remove, columns), self.layers), grown=grown)

    def _has(self, some: ImeiSet) -> int:
        """How many of some IMEIs it has. O(IMEIs)."""
        count = 0
        for keys in some.chunks():
            here = np.empty(len(keys), np.uint8)
            self.part.contains(keys, here)
            count += int(here.sum())
        return count

    def united(self, more: "LayeredSet") -> "LayeredSet":
        """With all IMEIs of another, which is flat. Of one of both count all reasons, the first date, and the
        later until: none, if one has none."""
        old, base = self.flattened(), union([self.flattened().base, more.base])
        columns = united((more.base, more.columns), (old.base, old.columns))
        details = merged(base, (more.base, columns), (old.base, old.columns), more.base)
        return LayeredSet(base, details)

    def flattened(self) -> "LayeredSet":
        """The same with nothing changed since: a new base. O(members)."""
        if not self.changed:
            return self
        now = self.changes
        left = self.base - now.removed if len(now.removed) else self.base
        base, changed = union([left, now.added]), union([now.added, now.removed])
        return LayeredSet(base, merged(base, (now.added, now.columns), (self.base, self.columns), changed))

    @cached_property
    def sides(self) -> list[tuple[ImeiSet, Details]]:
        """Sets and their columns, the newest first: the first that has a member has its details."""
        return [(one.added, one.columns) for one in self.layers] + [(self.base, self.columns)]

    @cached_property
    def detailed(self) -> Detailed:
        """What answers for a key which codes stand beside it, see `codes_of`."""
        codes = [[None if one is None else one.codes for one in columns] for _, columns in self.sides]
        return Detailed(self.part, codes)

    def details(self, key: int) -> tuple[str, ...]:
        """The reasons, the date and the until of a member, '' where there is none."""
        return self.texts(*codes_of((self.detailed,), key)[0])

    def texts(self, side: int, *codes: int) -> tuple[str, ...]:
        """What these codes of one of the sides mean."""
        return tuple([self.text(side, at, code) for at, code in enumerate(codes)])

    def text(self, side: int, at: int, code: int) -> str:
        """What the code of one column of a side means."""
        column = self.sides[side][1][at] if side >= 0 else None
        return column.text(code) if column else ""


def followed(changes: tuple[ImeiSet, ImeiSet], more: tuple[ImeiSet, ImeiSet]) -> tuple[ImeiSet, ImeiSet]:
    """What was added and what was removed by changes and others after them, each of both."""
    (added, removed), (add, remove) = changes, more
    added = union([added - remove if len(remove) else added, add])
    removed = union([removed, remove])
    return added, removed - add if len(add) else removed


def is_wide(members: ImeiSet) -> bool:
    """Whether it has so many more IMEIs than bytes that it is better not to look at each."""
    return len(members) > 64 * members.nbytes


def _shared(members: ImeiSet, other: ImeiSet) -> int:
    """How many IMEIs both have. O(runs of other)."""
    count = 0
    for lows, highs in other.runs():
        below, upto = np.empty(len(lows), np.int64), np.empty(len(lows), np.int64)
        members.ranks(lows, below)
        members.ranks(highs + np.uint64(1), upto)
        count += int((upto - below).sum())
    return count
