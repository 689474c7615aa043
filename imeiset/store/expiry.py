"""What is past: the IMEIs and pairs that are listed until a day that is over."""

import datetime
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imeiset.errors import StoreShrunk
from imeiset.readers import Keys
from imeiset.register.claims import day
from imeiset.register.details import Places, numbered
from imeiset.register.kinds import RULES
from imeiset.register.layered import LayeredSet
from imeiset.register.lists import List
from imeiset.register.pairs import Pairs
from imeiset.sets import ImeiSet
from imeiset.store.changes import Delta


def emptied(one: List) -> Iterator[Delta]:
    """Changes that leave nothing on a list."""
    flat = one.flattened()
    for rule, part in flat.parts.items():
        yield Delta(one.name, remove=part.base, rule=rule)  # type: ignore[arg-type]
    if flat.irregular:
        yield Delta(one.name, remove=[text.decode() for text in flat.irregular], rule="irregular")
    if flat.prefixes:
        yield Delta(one.name, remove=[str(prefix)[1:] for prefix in flat.prefixes], rule="imsi")


def expired(
    lists: Sequence[List], today: datetime.date, then: List | None, moving: Collection[str] | None = None
) -> Iterator[Delta]:
    """Changes that take off what is past, list by list; then those that put it on another list. moving: the
    names of the lists of which it goes there; None: all of the same kind."""
    exact: list[tuple[Keys, list[str], NDArray[Any]]] = []
    pairs: list[tuple[Keys, Keys]] = []
    for one in lists:
        moves = then is not None and one.name != then.name and one.kind == then.kind
        moves &= moving is None or one.name in moving
        if one.exact is not None:
            keys, texts, codes = _past(one.exact.flattened(), today)
            if len(keys):
                yield Delta(one.name, remove=ImeiSet.from_keys(keys), rule="exact")
                exact += [(keys, texts, codes)] if moves else []
        if one.pairs is not None:
            untils = one.pairs.flattened().base.untils
            keys, imsis, past = untils.keys, untils.imsis, untils.before(today)
            if past.any():
                yield Delta(one.name, remove=Pairs.of(keys[past], imsis[past]), rule="pair")
                pairs += [(keys[past], imsis[past])] if moves else []
    if then is not None and exact:
        yield from _moved(then, exact, today)
    if then is not None and pairs:
        yield Delta(then.name, add=Pairs.of(*map(np.concatenate, zip(*pairs, strict=True))), rule="pair")


def _past(members: LayeredSet, today: datetime.date) -> tuple[Keys, list[str], NDArray[Any]]:
    """The members of a flat set whose until is before a day; reasons, '' for none, and which each has."""
    reasons, _, untils = members.columns
    texts = ["", *(reasons.values if reasons else ())]
    keys, codes = [np.empty(0, np.uint64)], [np.empty(0, np.intp)]
    before = np.array([False, *((day(text) or today) < today for text in (untils.values if untils else ()))])
    if untils and before.any():
        start = 0
        for some in members.base.chunks():
            rows = slice(start, start := start + len(some))
            past = np.flatnonzero(before[untils.codes[rows]])
            keys.append(some[past])
            codes.append((reasons.codes[rows][past] if reasons else np.zeros(len(past))).astype(np.intp))
    return np.concatenate(keys), texts, np.concatenate(codes)


def _moved(
    then: List, found: list[tuple[Keys, list[str], NDArray[Any]]], today: datetime.date
) -> Iterator[Delta]:
    """Additions to one list. An IMEI of several, this one too, has the reasons of all and the first date."""
    members = ImeiSet.from_keys(np.concatenate([keys for keys, _, _ in found]))
    rows = members.to_numpy()
    there = rows[then.exact.have(rows)] if then.exact is not None else rows[:0]
    own = [then.exact.details(key) for key in there.tolist()] if then.exact is not None else []
    stays = [not until or until >= today.isoformat() for _, _, until in own]
    found = [*found, (there[stays], ["", *(reason for reason, _, _ in own)], 1 + np.flatnonzero(stays))]
    keys = np.concatenate([keys for keys, _, _ in found])
    texts = {"": 0}
    places = [numbered(texts, some[1:], codes) for _, some, codes in found]
    column = Places(members, keys).column(list(texts), np.concatenate(places), "all")
    codes = column.codes if column else np.zeros(len(rows), np.intp)
    dates = np.full(len(rows), today.isoformat(), object)
    dates[np.searchsorted(rows, there[stays])] = [
        min(date or today.isoformat(), today.isoformat())
        for (_, date, _), stay in zip(own, stays, strict=True)
        if stay
    ]
    for date in sorted({*dates.tolist()}):
        for code, text in enumerate(("", *(column.values if column else ()))):
            if len(some := rows[(codes == code) & (dates == date)]):
                yield Delta(then.name, add=ImeiSet.from_keys(some), rule="exact", reason=text, date=date)


def expect_few(directory: Path, lists: Iterable[List], deltas: Iterable[Delta], percent: float) -> None:
    """Raise StoreShrunk where more than so many percent of a list by some rule would go."""
    counts = {one.name: one.counts() for one in lists}
    for delta in deltas:
        if delta.remove is not None and delta.rule is not None:
            gone, count = len(delta.remove), counts[delta.list][delta.rule]
            if not gone * 100 <= count * percent:  # of NaN too
                what = f"the {count:,} {RULES[delta.rule].noun} of list {delta.list!r}"
                expected = f"at most {percent:g}% of {what} to be past"
                how = "is the date right? If so, force it (--force, force=True)"
                raise StoreShrunk(directory, expected, f"{gone:,}: {how}")
