"""Which keys changes since the base may be about: a filter, so that lookups of others ask the base alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from imeiset._native.filters import mark, mark_runs, marks_of_runs
from imeiset.readers import Keys
from imeiset.register.lists import List
from imeiset.sets import ImeiSet

_WORD_MARKS = 4  # for each 64-bit word of the filter, at most: 16 bits each
_LEAST = 1 << 10  # words
_MOST_RUNS = 1 << 22  # marks of ranges and TACs: beyond, every key counts as changed
_ALL = np.full(1, ~np.uint64(0))

Runs = tuple[Keys, Keys]
"""Ranges or TACs: their first and last keys."""


@dataclass(frozen=True, slots=True, eq=False)
class Touched:
    """A filter of the keys that changed. It is marked in place: older states that share it are asked for
    some keys more, and answer as before."""

    words: Keys | None = None
    marks: int = 0  # in it; what changed twice may count twice
    spread: bool = False  # whether ranges or TACs are in it

    def after(self, keys: Sequence[Keys], runs: Sequence[Runs], lists: Iterable[List]) -> "Touched":
        """With the keys and ranges of more changes, which made these lists. O(changes), nearly always."""
        spread, more = self.spread or bool(runs), _marks(keys, runs)
        if self.words is _ALL or not self.marks + more:
            return self
        marks = self.marks + more
        if self.words is None or marks > len(self.words) * _WORD_MARKS:
            keys, runs = _all_keys(lists), _all_runs(lists)  # each once for its layer
            if sum(marks_of_runs(*some) for some in runs) > _MOST_RUNS:
                return Touched(_ALL, 0, spread)
            marks = _marks(keys, runs)
            words = np.zeros(max(_LEAST, 1 << (marks * 2 // _WORD_MARKS).bit_length()), np.uint64)
        else:
            words = self.words
        for some in keys:
            mark(words, some)
        for lows, highs in runs:
            mark_runs(words, lows, highs)
        return Touched(words, marks, spread)


def _marks(keys: Sequence[Keys], runs: Sequence[Runs]) -> int:
    return sum(map(len, keys)) + sum(marks_of_runs(*some) for some in runs)


def _all_keys(lists: Iterable[List]) -> list[Keys]:
    """The keys in all layers of changes."""
    sets: list[ImeiSet] = []
    for one in lists:
        sets += [
            some for layer in (one.exact.layers if one.exact else ()) for some in (layer.added, layer.removed)
        ]
        sets += [layer.touched for layer in (one.pairs.layers if one.pairs else ())]
    return [members.to_numpy() for members in sets]


def _all_runs(lists: Iterable[List]) -> list[Runs]:
    """The ranges and TACs in all layers of changes."""
    parts = [part for one in lists for part in (one.range, one.tac) if part is not None]
    sets = [some for part in parts for layer in part.layers for some in (layer.added, layer.removed)]
    return [runs for members in sets for runs in members.runs()]
