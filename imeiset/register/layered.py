"""Sets that change: a frozen base, what was added to it and removed from it since, and columns beside it.

Everything here is frozen. A change makes a new object that shares what did not change with the old one, so
who checks against the old one goes on undisturbed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imeiset._native.layered import Layered
from imeiset.readers import Keys
from imeiset.register.details import NO_DETAILS, Details, damaged, fitting, latest, merged
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
class LayeredSet:
    """A frozen set, what was added to it and removed from it since, and what it says: see `Details`."""

    base: ImeiSet
    columns: Details = NO_DETAILS
    added: ImeiSet = NOTHING
    removed: ImeiSet = NOTHING
    added_columns: Details = NO_DETAILS

    def __repr__(self) -> str:
        return f"<LayeredSet of {self.count():,} IMEIs>"

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "part"}

    @cached_property
    def part(self) -> Layered:
        """What answers lookups."""
        return Layered(self.base, self.added or None, self.removed or None)

    @property
    def has_details(self) -> bool:
        """Whether some IMEI has a reason, a date or an until."""
        return any([*self.columns, *self.added_columns])

    @property
    def changed(self) -> bool:
        """Whether it differs from its base in any way."""
        return bool(len(self.added) or len(self.removed))

    def count(self) -> int:
        """How many IMEIs. O(changes)."""
        gone, again = _shared(self.base, self.removed), _shared(self.base, self.added)
        return len(self.base) - gone + len(self.added) - again

    def have(self, keys: Keys) -> NDArray[np.bool_]:
        """Which keys are members: bool[n]."""
        found = np.empty(len(keys), np.uint8)
        self.part.contains(keys, found)
        return found.view(np.bool_)

    def changed_by(self, add: ImeiSet, remove: ImeiSet, columns: Details = NO_DETAILS) -> "LayeredSet":
        """Without `remove`, then with `add`, which has these columns. O(changes so far)."""
        added, removed = followed((self.added, self.removed), (add, remove))
        details = merged(added, (add, columns), (self.added, self.added_columns), union([remove, add]))
        return LayeredSet(self.base, self.columns, added, removed, details)

    def united(self, more: "LayeredSet") -> "LayeredSet":
        """With all IMEIs of another, which is flat; its reasons and dates count where both have some, and the
        later until."""
        old, base = self.flattened(), union([self.flattened().base, more.base])
        columns = (*more.columns[:2], latest((more.base, more.columns[2]), (old.base, old.columns[2])))
        details = merged(base, (more.base, columns), (old.base, old.columns), more.base)
        return LayeredSet(base, details)

    def flattened(self) -> "LayeredSet":
        """The same with nothing changed since: a new base. O(members)."""
        if not self.changed:
            return self
        left = self.base - self.removed if len(self.removed) else self.base
        base, changed = union([left, self.added]), union([self.added, self.removed])
        new, old = (self.added, self.added_columns), (self.base, self.columns)
        return LayeredSet(base, merged(base, new, old, changed))

    @property
    def layers(self) -> tuple[tuple[ImeiSet, Details], ...]:
        """Sets and their columns, the newest first: the first that has a member has its details."""
        return (self.added, self.added_columns), (self.base, self.columns)

    def details(self, key: int) -> tuple[str, ...]:
        """The reasons, the date and the until of a member, '' where there is none."""
        keys, at = np.array([key], np.uint64), np.empty(1, np.int64)
        for members, columns in self.layers:
            if len(members):
                members.positions_of_keys(keys, at)
                if (place := int(at[0])) >= 0:
                    return tuple([column.text(place) if column else "" for column in columns])
        return ("",) * len(self.columns)

    def said(self, keys: Keys) -> tuple[list[list[str]], list[NDArray[np.int64]]]:
        """The details of members, a column each: the texts, of which the first is '', and their numbers."""
        texts: list[list[str]] = [[""] for _ in self.columns]
        codes = [np.zeros(len(keys), np.int64) for _ in self.columns]
        left = np.arange(len(keys))
        for members, columns in self.layers:
            at = np.empty(len(left), np.int64)
            members.positions_of_keys(keys[left], at)
            here = at >= 0
            rows, places = left[here], at[here]
            for column, known, into in zip(columns, texts, codes, strict=True):
                if column is not None and len(rows):
                    with fitting("reasons and dates"):
                        some = column.codes[places].astype(np.int64)
                    if int(some.max()) > len(column.values):
                        raise damaged("reasons and dates", f"code {int(some.max())}")
                    into[rows] = np.where(some, some + (len(known) - 1), 0)
                    known += column.values
            left = left[~here]
        return texts, codes


def followed(changes: tuple[ImeiSet, ImeiSet], more: tuple[ImeiSet, ImeiSet]) -> tuple[ImeiSet, ImeiSet]:
    """What was added and what was removed by changes and others after them, each of both."""
    (added, removed), (add, remove) = changes, more
    added = union([added - remove if len(remove) else added, add])
    removed = union([removed, remove])
    return added, removed - add if len(add) else removed


def _shared(members: ImeiSet, other: ImeiSet) -> int:
    """How many IMEIs both have. O(runs of other)."""
    count = 0
    for lows, highs in other.runs():
        below, upto = np.empty(len(lows), np.int64), np.empty(len(lows), np.int64)
        members.ranks(lows, below)
        members.ranks(highs + np.uint64(1), upto)
        count += int((upto - below).sum())
    return count
