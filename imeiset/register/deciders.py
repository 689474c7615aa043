"""Deciders: for each IMEI of a union a byte, all that a verdict needs to know of the lists that have it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from imeiset._native.layered import decided, places
from imeiset.register.details import NO_DETAILS, Codes
from imeiset.register.layered import LayeredSet
from imeiset.register.lists import List
from imeiset.register.policy import STRENGTH, EquipmentStatus
from imeiset.register.refining import CLASS, FIRST, NUMBERS, Beside, refined
from imeiset.sets import ImeiSet

_STATUSES, _PAIRS, _SEVERAL, _WIDE = 6, 1 << 9, 1 << 10, 1 << 11

_Source = tuple[ImeiSet, int, int, int]
_Base = tuple[EquipmentStatus, tuple[object, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Deciders:
    """The classes of the IMEIs of a union: see `_native/c/deciders.h`.

    codes: the number of the class of each, at its place in the union; empty where all have the last. classes:
    by number; the first is that of an IMEI whose lists have to be asked. details: by number what stands
    beside each such IMEI in the list that is asked first, None where that has to be looked up: so several
    numbers may be of one class. Empty where nobody worked it out. bases: the lists that they were made of.
    """

    codes: NDArray[np.uint8] = field(repr=False)
    classes: tuple[int, ...]
    details: tuple[Codes | None, ...] = field(repr=False)
    bases: tuple[_Base, ...] = field(repr=False)

    @classmethod
    def of_lists(cls, imeis: ImeiSet, lists: Sequence[List]) -> "Deciders | None":
        """Of flat lists and their union; None where less than two sets speak. O(members of all lists)."""
        sources = list(_sources(lists))
        if sum(not new & _WIDE for _, _, new, _ in sources) < 2:
            return None
        found = ((n, Beside.of(one.exact)) for n, one in enumerate(lists) if one.exact)
        beside = {n: one for n, one in found if one is not None}
        words_of, words = decided(imeis, [(*one, _numbers(one[2], beside)) for one in sources])
        counts = np.bincount(words_of, minlength=len(words))
        numbers, classes, details = refined(words, counts.tolist(), beside)
        codes = np.array(numbers, np.uint8)[words_of]
        return cls(codes, tuple(classes), tuple(details), _bases(lists))

    @classmethod
    def read(
        cls,
        classes: object,
        details: object,
        codes: NDArray[np.uint8],
        imeis: ImeiSet,
        lists: Sequence[List],
    ) -> "Deciders":
        """Of a file; details: () where it has none. Raises ValueError for what cannot be."""
        if type(classes) is not list or not 1 <= len(classes) <= NUMBERS or classes[0] != 0:
            raise ValueError("deciders: expected 1 to 256 classes, the first 0, got others")
        for one in classes[1:]:
            _expect_class(one, lists)
        if details != () and (type(details) is not list or len(details) != len(classes)):
            raise ValueError("details of classes: expected one for each class, got others")
        each = zip(classes, cast(Iterable[object], details), strict=False)
        told = [_codes_of(found, _first(one, lists)) for one, found in each]
        if len(codes) != (expected := places(imeis)):
            raise ValueError(f"section deciders: expected {expected} bytes, got {len(codes)}")
        return cls(codes, tuple(classes), tuple(told), _bases(lists))

    def fit(self, lists: Sequence[List], *, filtered: bool) -> bool:
        """Whether they say what the bases of lists do. filtered: there is a filter of what changed since."""
        now, count = _bases(lists), len(self.bases)
        same = len(now) >= count and all(
            status == was and all(base is old for base, old in zip(bases, olds, strict=True))
            for (status, bases), (was, olds) in zip(now, self.bases, strict=False)
        )
        added = not any(base is not None for _, bases in now[count:] for base in bases)
        unchanged = not any(part.changed for one in lists for part in one.parts.values())
        return same and added and (filtered or unchanged)

    @property
    def given(self) -> tuple[NDArray[np.uint8] | None, tuple[int, ...], tuple[Codes | None, ...]]:
        """As lookups take them."""
        return self.codes if len(self.codes) else None, self.classes, self.details

    @property
    def plain(self) -> "Deciders":
        """The same without details, as they were before there were any."""
        number = np.array([self.classes.index(one) for one in self.classes], np.uint8)
        return Deciders(number[self.codes], tuple(dict.fromkeys(self.classes)), (), self.bases)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Deciders):
            return NotImplemented
        mine, theirs = (self.classes, self.details), (other.classes, other.details)
        return mine == theirs and np.array_equal(self.codes, other.codes)


def alone(imeis: ImeiSet, lists: Sequence[List]) -> Deciders | None:
    """Those of a list whose exact IMEIs are the union: all of one class. None where it is not so."""
    sources = list(_sources(lists))
    if len(sources) != 1 or sources[0][0] is not imeis or not sources[0][2] & FIRST:
        return None
    return Deciders(np.empty(0, np.uint8), (0, sources[0][2]), (), _bases(lists))


def _bases(lists: Iterable[List]) -> tuple[_Base, ...]:
    """The status of each list, and its sets and columns as they were when it last was flat."""
    return tuple(
        (
            one.status,
            (*(base or None for base in _sets(one)), *(one.exact.columns if one.exact else NO_DETAILS)),
        )
        for one in lists
    )


def _sets(one: List) -> tuple[ImeiSet | None, ...]:
    exact, tac = (None if part is None else part.base for part in (one.exact, one.tac))
    return exact, tac, None if one.pairs is None else one.pairs.base.imeis


def _sources(lists: Sequence[List]) -> Iterator[_Source]:
    """What each set makes of the class of its members. Exact IMEIs that are asked first come last."""
    for number in sorted(range(len(lists)), key=lambda n: (STRENGTH.index(lists[n].status), n), reverse=True):
        exact, tac, pairs = _sets(lists[number])
        if exact:
            yield exact, CLASS & ~FIRST, number + 1 | 1 << lists[number].status + _STATUSES, _SEVERAL
        if pairs:
            yield pairs, CLASS, _PAIRS, 0
        if tac:
            yield tac, CLASS, _WIDE, 0


def _numbers(new: int, beside: Mapping[int, Beside]) -> NDArray[np.uint8] | None:
    """Of the members of a set what stands beside them, by the bits that it adds to a class."""
    found = beside.get((new & FIRST) - 1)
    return found.numbers if found else None


def _first(one: int, lists: Sequence[List]) -> LayeredSet | None:
    """The exact IMEIs of the list that is asked first by a class, if it has details for them."""
    exact = lists[(one & FIRST) - 1].exact if one & FIRST else None
    return exact if exact is not None and exact.has_details else None


def _codes_of(found: object, first: LayeredSet | None) -> Codes | None:
    """Codes beside members of that list, None for none. Raises ValueError for what is neither."""
    if found is None:
        return None
    if type(found) is list and first is not None and len(found) == len(first.columns):
        sizes = [0 if column is None else len(column.values) for column in first.columns]
        if all(type(code) is int and 0 <= code <= size for code, size in zip(found, sizes, strict=True)):
            return found[0], found[1], found[2]
    raise ValueError(f"details of classes: expected codes of the first of their lists, got {found!r}")


def _expect_class(one: object, lists: Sequence[List]) -> None:
    """Raise ValueError for what is not a class of members of these lists."""
    if type(one) is int and 0 < one <= CLASS:
        number, statuses = (one & FIRST) - 1, one >> _STATUSES & 7
        if number < 0:
            sound = not statuses and not one & _SEVERAL
        elif sound := number < len(lists) and lists[number].exact is not None:
            strongest = next((status for status in STRENGTH if statuses >> status & 1), None)
            sound = strongest == lists[number].status
            sound &= bool(one & _SEVERAL) or statuses.bit_count() == 1
        if sound:
            return
    raise ValueError(f"deciders: expected classes of these lists, got {one!r}")
