"""What changes from one register or store to another, list by list."""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._files import publish
from ..feeds.giving import says
from ..feeds.tables import DETAILS, TITLES, text_of
from ..register.checks import Checks
from ..register.details import numbered
from ..register.entries import Entries, chosen, entries_of
from ..register.joining import aligned
from ..register.kinds import FILE_KINDS, KINDS, RULES, FileKind, ListRule
from ..register.layered import NOTHING, LayeredSet
from ..register.lists import List
from ..register.pairs import Pairs

CHANGES = ("add", "remove", "update")
_FACTS = ("status", "kind", "owner", "reason")
_WHOLE = 1 << 62  # rows: the pairs of one IMEI stay together


@dataclass(slots=True)
class Difference:
    """What changes of one list.

    Parameters
    ----------
    list : str
        Its name.
    facts : dict of str to tuple
        Of what changed of the list itself (status, kind, owner, reason): what it was and what it is, None
        where there is no such list.
    counts : dict of str to dict of str to int
        By rule, how many it has to "add", "remove" and "update"; of ranges and TACs, how many runs.

    Examples
    --------
    >>> print(Difference("stolen", counts={"exact": {"add": 2, "remove": 1}}))
    stolen: 2 added, 1 removed by exact
    """

    list: str
    facts: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)

    def __str__(self) -> str:
        told = [f"{name} {old or 'none'} -> {new or 'none'}" for name, (old, new) in self.facts.items()]
        for rule, counts in self.counts.items():
            some = [f"{counts[change]:,} {_SAID[change]}" for change in CHANGES if counts.get(change)]
            told.append(f"{', '.join(some)} by {rule}")
        return f"{self.list}: {'; '.join(told)}"


_SAID = {"add": "added", "remove": "removed", "update": "changed"}


def differences(
    old: Checks,
    new: Checks,
    *,
    lists: Iterable[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> list[Difference]:
    """What changes from one register or store to another, list by list.

    Parameters
    ----------
    old, new : Register or Store
        As they are now.
    lists : iterable of str, optional
        The names of some lists; None for all.
    folder : path, optional
        A directory for the deltas: a file for each list and rule that differ, for `apply`. All of them
        appear, or none.

    Returns
    -------
    list of Difference
        Of each list that is not the same: its name, what it was and is itself, and how many are added,
        removed and changed by each rule.

    Raises
    ------
    KeyError
        For a name that no list has.
    OSError
        If a file cannot be written.

    Notes
    -----
    Memory is some MB, and the runs of ranges and TACs.

    Examples
    --------
    >>> from imeiset import EquipmentStatus, Register
    >>> old, new = Register(), Register()
    >>> old.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
    >>> new.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED, dates=["20240229"])
    >>> print(*imeiset.deltas.differences(old, new))
    stolen: 1 changed by exact
    """
    every = {one.name: one for one in (*old.lists, *new.lists)}
    before, after = ({one.name: one for one in side.lists} for side in (old, new))
    found = []
    with ExitStack() as files:
        if folder is not None:
            Path(folder).mkdir(exist_ok=True)
        for number, name in enumerate([one.name for one in chosen(tuple(every.values()), lists)], 1):
            one, other = before.get(name), after.get(name)
            difference = Difference(name, _facts(one, other))
            for rule in TITLES:
                pieces = rows_of_change(one, other, rule)
                if (first := next(pieces, None)) is None:
                    continue
                file = None
                if folder is not None:
                    kind = _file_kind((other or one), rule)
                    path = Path(folder) / f"{number:02}-{kind}{'-irregular' * (rule == 'irregular')}.csv"
                    file = files.enter_context(publish(path))
                    file.write((",".join(titles_of(one, other, rule)) + "\n").encode())
                counts = difference.counts.setdefault(rule, {})
                for change, some in _all(first, pieces):
                    counts[change] = counts.get(change, 0) + len(some)
                    if file is not None:
                        file.write(text_of(some, titles_of(one, other, rule), change_type=change)[0])
            if difference.facts or difference.counts:
                found.append(difference)
    return found


def delta_of(old: Checks, new: Checks, name: str) -> Iterator[bytes]:
    """The text of the delta of one list: of its IMEIs and irregular identities, or its pairs.

    Raises KeyError for a list that neither has, ValueError for one that changes by other rules too.
    """
    one, other = ({each.name: each for each in side.lists}.get(name) for side in (old, new))
    [either] = chosen(tuple({each.name: each for each in (*old.lists, *new.lists)}.values()), [name])
    rules = [rule for rule in TITLES if next(rows_of_change(one, other, rule), None) is not None]
    together = {"exact", "irregular"} if either.kind == "imeis" else {*rules[:1]}
    if others := [rule for rule in rules if rule not in together]:
        raise ValueError(
            f"list {name!r}: expected changes of one file, got others by {others[0]}: write to a directory"
        )
    rules = ["exact", "irregular"] if either.kind == "imeis" else [KINDS[either.kind].rules[0]]
    titles = titles_of(one, other, rules[0])
    yield (",".join(titles) + "\n").encode()
    for rule in rules:
        for change, some in rows_of_change(one, other, rule):
            yield text_of(some, titles, change_type=change)[0]


def titles_of(one: List | None, other: List | None, rule: ListRule) -> tuple[str, ...]:
    """The columns of a delta: of details, those that either list has."""
    lists = [each for each in (one, other) if each is not None]
    told = tuple(name for name in DETAILS if any(says(each, rule, name) for each in lists))
    return (*TITLES[rule], "change_type", *told)


def rows_of_change(one: List | None, other: List | None, rule: ListRule) -> Iterator[tuple[str, Entries]]:
    """What is added, removed and changed by a rule, some rows at a time."""
    if rule in ("exact", "pair"):
        walks = [entries_of(each, _WHOLE, (rule,)) if each else iter(()) for each in (one, other)]
        for pieces in aligned(walks):
            yield from _compared(dict(pieces))
        return
    for change, mine, theirs in (("remove", one, other), ("add", other, one)):
        if mine is not None and (some := _only(mine, theirs, rule)) is not None:
            yield from ((change, part) for part in entries_of(some, rules=(rule,)) if len(part))


def _only(mine: List, theirs: List | None, rule: ListRule) -> List | None:
    """What one list has by a rule and the other has not."""
    place = RULES[rule].field
    held, others = getattr(mine, place), theirs and getattr(theirs, place)
    if not held:
        return None
    if isinstance(held, LayeredSet):
        gone = held.flattened().base - (others.flattened().base if others else NOTHING)
        left: Any = LayeredSet(gone) if len(gone) else None
    else:
        left = held - (others or frozenset())
    return replace(mine, **{place: left}) if left else None


def _compared(pieces: dict[int, Entries]) -> Iterator[tuple[str, Entries]]:
    """The same IMEIs of two lists, compared. They are in order: those of both are, in both, the same rows."""
    old, new = pieces.get(0), pieces.get(1)
    if old is None or new is None:
        yield from ((change, some) for change, some in (("remove", old), ("add", new)) if some is not None)
        return
    gone, come = ~_has(new, old), ~_has(old, new)
    before, after = _where(old, ~gone), _where(new, ~come)
    differ = np.zeros(len(before), bool)
    for mine, theirs in zip(before.details, after.details, strict=True):
        texts: dict[str, int] = {}
        codes = [
            numbered(texts, column.values, column.codes) if column else np.zeros(len(before), np.int64)
            for column in (mine, theirs)
        ]
        differ |= codes[0] != codes[1]
    changes = ("remove", _where(old, gone)), ("add", _where(new, come)), ("update", _where(after, differ))
    yield from (change for change in changes if len(change[1]))


def _has(one: Entries, other: Entries) -> NDArray[np.bool_]:
    """Which rows of the other are rows of the one."""
    if one.imsis is not None and other.imsis is not None:
        return Pairs.of(one.keys, one.imsis).have(other.keys, other.imsis)
    at = np.searchsorted(one.keys, other.keys)
    found: NDArray[np.bool_] = one.keys[at.clip(0, len(one) - 1)] == other.keys
    return found


def _where(some: Entries, rows: NDArray[np.bool_]) -> Entries:
    details: Any = tuple(column and replace(column, codes=column.codes[rows]) for column in some.details)
    imsis = None if some.imsis is None else some.imsis[rows]
    return replace(some, keys=some.keys[rows], imsis=imsis, details=details)


def _facts(one: List | None, other: List | None) -> dict[str, tuple[str | None, str | None]]:
    told: dict[str, tuple[str | None, str | None]] = {}
    for name in _FACTS:
        old, new = (None if each is None else str(getattr(each, name)) for each in (one, other))
        if name == "status":
            old, new = (None if each is None else each.status.name.lower() for each in (one, other))
        if old != new and (old or new):
            told[name] = old, new
    return told


def _file_kind(one: List | None, rule: ListRule) -> FileKind:
    kind, by = (one.kind if one else "imeis"), "exact" if rule == "irregular" else rule
    return next(name for name, facts in FILE_KINDS.items() if facts == (kind, by))


def _all(first: tuple[str, Entries], more: Iterator[tuple[str, Entries]]) -> Iterator[tuple[str, Entries]]:
    yield first
    yield from more
