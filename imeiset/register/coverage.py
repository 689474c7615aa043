"""Which IMEIs some list of a register may say something about: what most checks ask, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from imeiset._native.filters import mark
from imeiset.readers import Keys
from imeiset.register.deciders import Deciders
from imeiset.register.layered import union
from imeiset.register.lists import List
from imeiset.sets import ImeiSet

_STRETCHES = 4  # for each 64-bit word of their filter
_ONE, _TAC, _LAST = (np.uint64(n) for n in (1, 10**6, 10**6 - 1))


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """Which IMEIs some list may say something about: a set, and for pieces of TACs in ranges a filter of the
    stretches of 2**shift keys that they touch. Long runs inside a TAC would slow the set down. deciders: what
    lists say of each IMEI of the set, None where nobody worked it out or nobody needs it."""

    imeis: ImeiSet
    spans: Keys = field(repr=False)
    shift: int = 0
    deciders: Deciders | None = field(default=None, repr=False)

    @classmethod
    def of_lists(cls, lists: Sequence[List]) -> "Coverage":
        """What some list may say something about. The lists are flat. O(members and runs)."""
        wholes = [part for one in lists for part in one.sets()]
        lows, highs = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
        for one in lists:
            for low, high in one.range.base.runs() if one.range is not None else ():
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
        imeis = union(wholes)
        return cls(imeis, words, shift, Deciders.of_lists(imeis, lists))

    def after(self, lists: Sequence[List], flattened: Sequence[List]) -> "Coverage":
        """`of_lists` of the flattened lists, by this one of their bases: changed IMEIs are looked up, the
        rest is copied. Made anew where ranges or TACs changed, or where one set alone is its own union."""
        sets = [part for one in flattened for part in one.sets()]
        spans = [part for one in lists for part in (one.range, one.tac) if part is not None]
        alone = len(sets) < 2 or any(part is self.imeis for part in sets)
        if alone or any(part.changed for part in spans):
            return Coverage.of_lists(flattened)
        parts = [
            part
            for one in lists
            if one.exact is not None
            for part in (one.exact.changes.added, one.exact.changes.removed)
        ]
        parts += [one.pairs.changes.touched for one in lists if one.pairs is not None]
        keys = union(parts).to_numpy()
        listed, was = np.zeros(len(keys), bool), np.zeros(len(keys), np.uint8)
        for members in sets:
            here = np.empty(len(keys), np.uint8)
            members.contains_keys(keys, here)
            listed |= here != 0
        first = keys // np.uint64(10**6) * np.uint64(10**6)  # of their TACs
        for one in flattened:
            if one.range is not None:  # TACs that are whole in a range are in the union, too
                below, upto = np.empty(len(keys), np.int64), np.empty(len(keys), np.int64)
                one.range.base.ranks(first, below)
                one.range.base.ranks(first + np.uint64(10**6), upto)
                listed |= upto - below == 10**6
        self.imeis.contains_keys(keys, was)
        flips = ImeiSet.from_keys(keys[listed != (was != 0)])
        imeis = ImeiSet.patched(self.imeis, flips) if len(flips) else self.imeis
        if imeis is self.imeis and self.deciders and self.deciders.fit(flattened, filtered=False):
            return self
        return replace(self, imeis=imeis, deciders=Deciders.of_lists(imeis, flattened))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Coverage):
            return NotImplemented
        same = self.imeis == other.imeis and self.shift == other.shift and self.deciders == other.deciders
        return same and np.array_equal(self.spans, other.spans)
