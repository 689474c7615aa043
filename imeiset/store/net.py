"""What changed from one state of lists to another, as changes that a journal may have."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imeiset.index import joined_runs
from imeiset.readers import Keys
from imeiset.register.details import Column, damaged, numbered
from imeiset.register.kinds import ListRule
from imeiset.register.layered import NOTHING, LayeredSet
from imeiset.register.lists import List
from imeiset.register.pairs import NO_PAIRS, LayeredPairs, Pairs
from imeiset.register.untils import text_of_day
from imeiset.sets import ImeiSet
from imeiset.store.payload import HELD_RULES, Change, list_about, list_change

_COLUMNS = ("reason", "date", "until")
_ROWS = 1 << 20  # of one change, at most, and some thousands
_NO_KEYS: Keys = np.empty(0, np.uint64)
_SERIALS = np.uint64(10**6)
_SPANS: tuple[Literal["range"], Literal["tac"]] = ("range", "tac")


def net_changes(old: Sequence[List], new: Sequence[List]) -> Iterator[Change]:
    """What leads from some lists to others. What is added was not there, what is removed was; an IMEI or a
    pair with other reasons or dates is added once more. O(members), some MB at a time but for pairs."""
    before, after = ({one.name: one for one in lists} for lists in (old, new))
    for name in before | after:
        yield from _of_list(before.get(name), after.get(name))


def _of_list(old: List | None, new: List | None) -> Iterator[Change]:
    if old and new and (old.status, old.kind) != (new.status, new.kind):
        yield from _of_list(old, None)
        old = None
    if new and (old is None or (old.owner, old.reason) != (new.owner, new.reason)):
        yield list_change(new.name, list_about(new))
    some = new or old
    assert some is not None
    empty = List(some.name, some.status, some.kind)
    yield from net_members(old or empty, new or empty)
    if old and not new:
        yield list_change(old.name, None)


def net_members(old: List, new: List) -> Iterator[Change]:
    """The same of what one list holds, whatever else becomes of it."""
    yield from _of_sets(new.name, old, new)
    yield from _of_pairs(new.name, _pairs(old.pairs), _pairs(new.pairs))
    texts = ({text.decode() for text in side.irregular} for side in (old, new))
    yield from _of_texts(new.name, "irregular", *texts)
    prefixes = ({str(prefix)[1:] for prefix in side.prefixes} for side in (old, new))
    yield from _of_texts(new.name, "imsi", *prefixes)


def _change(
    name: str,
    rule: ListRule,
    *,
    add: Any = 0,
    remove: Any = 0,
    columns: tuple[Any, Any] = ((), ()),
    was: bool = False,
    **about: str,
) -> Change:
    """was: whether what is added was there."""
    about = {"list": name, "rule": rule, "reason": "", "date": "", **about}
    rows = {"add": add, "remove": remove}
    held = None
    if rule in HELD_RULES:
        held = np.full(add, was, bool), np.ones(remove, bool)
    return Change(about | rows, *columns, held)


def _of_texts(name: str, rule: ListRule, old: set[str], new: set[str]) -> Iterator[Change]:
    gone, come = sorted(old - new), sorted(new - old)
    if gone or come:
        yield _change(name, rule, add=come, remove=gone)


def _of_sets(name: str, old: List, new: List) -> Iterator[Change]:
    for rule in _SPANS:
        was, now = _flat(getattr(old, rule)).base, _flat(getattr(new, rule)).base
        gone, come = ends(was - now), ends(now - was)
        if len(gone[0]) or len(come[0]):
            yield _change(name, rule, add=len(come[0]), remove=len(gone[0]), columns=(come, gone))
    yield from _of_exact(new.name, _flat(old.exact), _flat(new.exact))


def _of_exact(name: str, old: LayeredSet, new: LayeredSet) -> Iterator[Change]:
    """The changes of exact IMEIs, in lots of about _ROWS. Memory: what differs in a span of TACs."""
    detailed = any(one is not other for one, other in zip(old.columns, new.columns, strict=True))
    lots: dict[str, list[Keys]] = {"gone": [], "come": [], "other": []}
    spans = old.base.spans(new.base)
    for span, (mine, theirs) in zip(spans, old.base.changes_by_span(new.base, spans), strict=True):
        found = {"gone": [*_keys(*mine)], "come": [*_keys(*theirs)], "other": list[Keys]()}
        if detailed:
            changed = (np.concatenate([_NO_KEYS, *found[what]]) for what in ("gone", "come"))
            found["other"] = [_with_other_details(span, old, new, *changed)]
        for what, lot in lots.items():
            lot += found[what]
            if sum(map(len, lot)) >= _ROWS:
                yield from _lot(name, what, lot, new)
                lot.clear()
    for what, lot in lots.items():
        yield from _lot(name, what, lot, new)


def _lot(name: str, what: str, lot: list[Keys], new: LayeredSet) -> Iterator[Change]:
    """What some keys are told as, that are gone, have come, or have other details."""
    keys = np.concatenate([_NO_KEYS, *lot])
    if what != "gone":
        yield from _exact(name, keys, new, was=what == "other")
    elif len(keys):
        yield _change(name, "exact", remove=len(keys), columns=((_NO_KEYS,), (keys,)))


def _keys(lows: Keys, highs: Keys) -> Iterator[Keys]:
    """The keys of runs."""
    if (lows == highs).all():
        yield lows
        return
    yield from ImeiSet.from_runs(*joined_runs(lows, highs)).chunks()


def _with_other_details(
    span: tuple[int, int], old: LayeredSet, new: LayeredSet, gone: Keys, come: Keys
) -> Keys:
    """The IMEIs of a span of TACs, of both sets, that have other reasons or dates in the new one: without
    those that are gone and have come, the two are the same, in order."""
    edges = np.array(span, np.uint64) * _SERIALS
    (begin, end), (start, stop) = (_ranks(one.base, edges) for one in (old, new))
    out, into = _places(old.base, gone) - begin, _places(new.base, come) - start
    if end - begin - len(gone) != stop - start - len(come):
        raise damaged("sets", "positions that do not fit their members")
    differ = np.zeros(stop - start - len(come), bool)
    for one, other in zip(old.columns, new.columns, strict=True):
        if one is None and other is None:
            continue
        texts: dict[str, int] = {}
        was = np.delete(_numbers(one, texts, begin, end), out)
        differ |= was != np.delete(_numbers(other, texts, start, stop), into)
    if not differ.any():
        return _NO_KEYS
    pairs, _ = new.base.difference_of_tacs(NOTHING, *span)
    keys = np.concatenate([_NO_KEYS, *_keys(pairs[:, 0].copy(), pairs[:, 1].copy())])
    return np.delete(keys, into)[differ]


def _numbers(column: Column | None, texts: dict[str, int], begin: int, end: int) -> NDArray[Any]:
    """A piece of a column by the numbers of texts."""
    if column is None:
        texts.setdefault("", 0)
        return np.zeros(end - begin, np.int64)
    return numbered(texts, column.values, column.codes[begin:end])


def ends(members: ImeiSet) -> tuple[Keys, Keys]:
    """The first and the last members of all runs."""
    lows, highs = map(np.concatenate, zip(*members.runs(), strict=True))
    return lows, highs


def _codes(column: Column | None, at: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.zeros(len(at), np.int64) if column is None else column.codes[at].astype(np.int64)


def _places(members: ImeiSet, keys: Keys) -> NDArray[np.int64]:
    at = np.empty(len(keys), np.int64)
    members.positions_of_keys(keys, at)
    return at


def _ranks(members: ImeiSet, keys: Keys) -> tuple[int, int]:
    """How many members are below each of two keys."""
    below = np.empty(len(keys), np.int64)
    members.ranks(keys, below)
    first, second = below.tolist()
    return first, second


def _exact(name: str, keys: Keys, members: LayeredSet, *, was: bool) -> Iterator[Change]:
    """Additions, a change for each combination of reasons and dates."""
    at = _places(members.base, keys)
    texts = [("", *(column.values if column else ())) for column in members.columns]
    for rows, combination in _groups([_codes(column, at) for column in members.columns]):
        about = {what: values[code] for what, values, code in zip(_COLUMNS, texts, combination, strict=False)}
        columns = (keys[rows],), (_NO_KEYS,)
        yield _change(name, "exact", add=len(rows), columns=columns, was=was, **_told(about))


def _groups(codes: Sequence[NDArray[np.int64]]) -> Iterator[tuple[NDArray[np.intp], list[int]]]:
    """The rows of each combination of codes, ascending, and that combination."""
    order = np.lexsort(codes[::-1])
    if not len(order):
        return
    ordered = [column[order] for column in codes]
    differ = np.logical_or.reduce([column[1:] != column[:-1] for column in ordered])
    for rows in np.split(order, np.flatnonzero(differ) + 1):
        yield rows, [int(column[rows[0]]) for column in codes]


def _told(about: dict[str, str]) -> dict[str, str]:
    """As a change has it: `until` only where there is one."""
    return {what: text for what, text in about.items() if text or what != "until"}


def _flat(part: LayeredSet | None) -> LayeredSet:
    return LayeredSet(NOTHING) if part is None else part.flattened()


def _pairs(part: LayeredPairs | None) -> Pairs:
    return NO_PAIRS if part is None else part.flattened().base


def _of_pairs(name: str, old: Pairs, new: Pairs) -> Iterator[Change]:
    before, after = (pairs.of_imeis(pairs.imeis.to_numpy()) for pairs in (old, new))
    gone, come = ~new.have(*before), ~old.have(*after)
    if gone.any():
        removed = before[0][gone], before[1][gone]
        yield _change(name, "pair", remove=len(removed[0]), columns=((_NO_KEYS, _NO_KEYS), removed))
    days = new.until_days(*after)
    other = ~come & (old.until_days(*after) != days)
    for rows, was in ((np.flatnonzero(come), False), (np.flatnonzero(other), True)):
        for group, (day,) in _groups([days[rows].astype(np.int64)]):
            some = np.sort(rows[group])
            until = _told({"until": text_of_day(day)})
            columns = (after[0][some], after[1][some]), (_NO_KEYS, _NO_KEYS)
            yield _change(name, "pair", add=len(some), columns=columns, was=was, **until)


def batches(changes: Iterator[Change]) -> Iterator[list[Change]]:
    """The changes in lots of about _ROWS rows each, so that one record has a size that memory has; one lot of
    none where there are none."""
    some, rows = list[Change](), 0
    for change in changes:
        if some and rows >= _ROWS:
            yield some
            some, rows = [], 0
        some.append(change)
        rows += sum(len(side[0]) for side in (change.add, change.remove) if side)
    yield some
