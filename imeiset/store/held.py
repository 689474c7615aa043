"""What a list held before a change: so a history can tell what came from what was there."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from imeiset.register.kinds import RULES
from imeiset.register.lists import List
from imeiset.store.payload import HELD_RULES, Bits, Change


def with_held(changes: Iterable[Change], lists: Sequence[List]) -> list[Change]:
    """Changes of these lists, one after another, with which of their rows each found on its list."""
    known = {one.name: one for one in lists}
    found = list(changes)
    together: dict[tuple[str, str], list[int]] = {}
    for at, change in enumerate(found):
        if change.about["rule"] in HELD_RULES:
            together.setdefault((change.about["list"], change.about["rule"]), []).append(at)
    for (name, rule), places in together.items():
        part = getattr(known[name], RULES[rule].field) if name in known else None
        for at, held in zip(places, _held(part, [found[at] for at in places]), strict=True):
            found[at] = replace(found[at], held=held)
    return found


def _held(part: Any, changes: Sequence[Change]) -> list[tuple[Bits, Bits]]:
    """Of changes by one rule of one list, for added and removed rows: were they there before each change?"""
    sides = [side for change in changes for side in (change.remove, change.add)]
    found = [_there(part, side) for side in sides]
    if len(changes) > 1:
        counts = [len(rows) for rows in found]
        columns = [np.concatenate(column) for column in zip(*sides, strict=True)]
        there = _followed(columns, np.repeat(np.arange(len(sides)), counts), np.concatenate(found))
        found = np.split(there, np.cumsum(counts)[:-1])
    return list(zip(found[1::2], found[::2], strict=True))


def _there(part: Any, rows: tuple[Any, ...]) -> Bits:
    if part is None or not len(rows[0]):
        return np.zeros(len(rows[0]), np.bool_)
    there: Bits = part.have(*rows)
    return there


def _followed(columns: Sequence[Any], side: Any, there: Bits) -> Bits:
    """The same, where earlier changes decide: side 2n is the removals of change n, 2n + 1 its additions."""
    order = np.lexsort(columns[::-1])  # stable: of equal rows, by their sides
    same = np.logical_and.reduce([column[order[1:]] == column[order[:-1]] for column in columns])
    before, this = side[order[:-1]], side[order[1:]]
    now = there[order]
    now[1:][same] = (before % 2 == 1)[same]
    again = same & (
        before // 2 == this // 2
    )  # removed, then added by one change: it sees what was before both
    now[1:][again] = now[:-1][again]
    found = np.empty(len(order), bool)
    found[order] = now
    return found
