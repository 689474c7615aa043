"""What a list held before a change: so a history can tell what came from what was there."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from imeiset.register.kinds import RULES
from imeiset.register.layered import NOTHING, LayeredSet
from imeiset.register.lists import List
from imeiset.sets import ImeiSet
from imeiset.store.net import ends
from imeiset.store.payload import HELD_RULES, LIST_RULE, Bits, Change


def with_held(changes: Iterable[Change], lists: Sequence[List]) -> list[Change]:
    """Changes of these lists, one after another, with what each found on its list."""
    known = {one.name: one for one in lists}
    found = list(changes)
    together: dict[tuple[str, str], list[int]] = {}
    for at, change in enumerate(found):
        if change.about["rule"] != LIST_RULE and change.about["list"] in known:
            together.setdefault((change.about["list"], change.about["rule"]), []).append(at)
    for (name, rule), places in together.items():
        some = [found[at] for at in places]
        for at, change in zip(places, _told(known[name], rule, some), strict=True):
            found[at] = change
    return found


def _told(one: List, rule: str, changes: Sequence[Change]) -> Iterable[Change]:
    """Changes by one rule of one list, with what was there before each."""
    if rule == "irregular":
        return _net_of_texts(lambda text: text.encode() in one.irregular, changes)
    if rule == "imsi":
        return _net_of_texts(lambda text: int(f"1{text}") in one.prefixes, changes)
    part = getattr(one, RULES[rule].field)
    if rule not in HELD_RULES:
        return _net_of_runs(part or LayeredSet(NOTHING), changes)
    held = _held(part, changes)
    return [replace(change, held=both) for change, both in zip(changes, held, strict=True)]


def _net_of_texts(has: Callable[[str], bool], changes: Iterable[Change]) -> Iterator[Change]:
    known: dict[str, bool] = {}
    for change in changes:
        add, remove = change.about["add"], change.about["remove"]
        before = {text: known[text] if text in known else has(text) for text in (*add, *remove)}
        known |= dict.fromkeys(remove, False) | dict.fromkeys(add, True)
        new, gone = [text for text in add if not before[text]], [text for text in remove if before[text]]
        net = [new, sorted({*gone} - {*add})]
        yield change if net == [add, remove] else replace(change, about=change.about | {"net": net})


def _net_of_runs(members: LayeredSet, changes: Sequence[Change]) -> Iterator[Change]:
    for change in changes:
        add, remove = ImeiSet.from_runs(*change.add), ImeiSet.from_runs(*change.remove)
        new, gone = add - members.shared(add), members.shared(remove) - add
        members = members.changed_by(add, remove) if len(changes) > 1 else members
        if (new, gone) == (add, remove):
            yield change
            continue
        net = ends(new), ends(gone)
        yield replace(change, about=change.about | {"net": [len(lows) for lows, _ in net]}, net=net)


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
