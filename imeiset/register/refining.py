"""What stands beside an IMEI in the list that is asked first, told by the number of its class.

So a check of one of them needs no look at that list. Numbers are few: what most IMEIs have beside them gets
one, and for the others the list is asked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from imeiset.register.details import Codes
from imeiset.register.layered import LayeredSet

NUMBERS = 256  # of classes
FIRST = 0x3F  # of a class: one more than the number of the list that is asked first
_CLASS_BITS = 12  # of a word, see `_native/c/deciders.h`
CLASS = (1 << _CLASS_BITS) - 1
_ROWS = 1 << 18  # members at a time
_TABLE = 1 << 22  # combinations of codes, each of which is counted
_WORDS = 1 << 62  # combinations that have an integer each


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """Of each member of a list the number of what stands beside it, from 1 on, and by number the codes. 0: it
    is seldom, or damaged."""

    numbers: NDArray[np.uint8] = field(repr=False)
    codes: tuple[Codes, ...]

    @classmethod
    def of(cls, members: LayeredSet) -> "Beside | None":
        """Of the base of a list; None where nothing stands beside it, or nothing that is told. O(members)."""
        sizes = [1 if one is None else len(one.values) + 1 for one in members.columns]
        count, ways = len(members.base), prod(sizes)
        if not (count and any(members.columns)) or ways >= _WORDS:
            return None
        common = _common(members, sizes)
        if not len(common):  # of damaged columns
            return None
        numbers = np.empty(count, np.uint8)
        places = np.zeros(ways + 1, np.uint8) if ways <= _TABLE else None
        order = np.argsort(common)
        if places is not None:
            places[common] = np.arange(1, len(common) + 1)
        for some in _parts(count):
            words = _words(members, sizes, some)
            if places is not None:
                numbers[some] = places[words]
            else:
                at = np.minimum(np.searchsorted(common, words, sorter=order), len(common) - 1)
                numbers[some] = np.where(common[order[at]] == words, order[at] + 1, 0)
        return cls(numbers, tuple(_split(word, sizes) for word in common.tolist()))


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _ROWS, count)) for start in range(0, count, _ROWS))


def _words(members: LayeredSet, sizes: Sequence[int], some: slice) -> NDArray[np.int64]:
    """The codes of some members as one number each; -1 where one means nothing, as in a damaged column."""
    found = np.zeros(len(range(some.start, some.stop, some.step or 1)), np.int64)
    fits = np.ones(len(found), bool)
    for column, size in zip(members.columns, sizes, strict=True):
        found *= size
        if column is not None:
            codes = column.codes[some]
            found += codes
            fits &= codes < size
    return found if fits.all() else np.where(fits, found, -1)


def _split(word: int, sizes: Sequence[int]) -> Codes:
    word, until = divmod(word, sizes[2])
    reasons, date = divmod(word, sizes[1])
    return reasons, date, until


def _common(members: LayeredSet, sizes: Sequence[int]) -> NDArray[np.int64]:
    """The most common words, the first before the others; where there may be very many, of a sample."""
    count, ways = len(members.base), prod(sizes)
    if ways <= _TABLE:
        counts = np.zeros(ways + 1, np.int64)  # the last is of -1
        for some in _parts(count):
            counts += np.bincount(_words(members, sizes, some) % (ways + 1), minlength=ways + 1)
        words = np.flatnonzero(counts[:-1])
        counts = counts[words]
    else:
        sample = _words(members, sizes, slice(0, count, -(-count // _ROWS)))
        words, counts = np.unique(sample[sample >= 0], return_counts=True)
    return words[np.argsort(-counts, kind="stable")][: NUMBERS - 1]


def refined(
    words: Sequence[int], counts: Sequence[int], beside: Mapping[int, Beside]
) -> tuple[list[int], list[int], list[Codes | None]]:
    """The number of each word; and the classes by number, with what stands beside all members of each, None
    where the list has to be asked.

    words: by number, the first 0. counts: how many members each has. beside: by the number of its list.
    """
    classes, left = [0], dict[int, list[tuple[int, int]]]()  # by class
    for at, word in enumerate(words):
        if word & CLASS not in left and len(classes) < NUMBERS and at:
            classes.append(word & CLASS)
        left.setdefault(word & CLASS, []).append((counts[at], at))
    details: list[Codes | None] = [None] * len(classes)
    number = {one: at for at, one in enumerate(classes)}
    numbers = [number.get(word & CLASS, 0) for word in words]
    wanted = []
    for some in (left[one] for one in classes[1:]):
        told = sorted(pair for pair in some if words[pair[1]] >> _CLASS_BITS)
        wanted += told[len(told) == len(some) :]  # the rarest can do with the number of the class
    for _, at in sorted(wanted, key=lambda pair: (-pair[0], pair[1]))[: NUMBERS - len(classes)]:
        numbers[at] = len(classes)
        classes.append(words[at] & CLASS)
        details.append(_codes(words[at], beside))
    for one, at in number.items():
        alone = [n for _, n in left[one] if numbers[n] == at]
        if len(alone) == 1 and words[alone[0]] >> _CLASS_BITS:
            details[at] = _codes(words[alone[0]], beside)
    return numbers, classes, details


def _codes(word: int, beside: Mapping[int, Beside]) -> Codes:
    return beside[(word & FIRST) - 1].codes[(word >> _CLASS_BITS) - 1]
