"""A change of a store by files: what it does to lists is checked against them as they are, and told."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from .._files import publish
from ..errors import FeedConflict, FeedError, FeedLimit, FeedRejects, ImeisetError
from ..feeds.details import days_of, described
from ..feeds.options import Options
from ..register.kinds import KINDS, ListRule
from ..register.layered import without_irregular
from ..register.lists import List, shrunk
from ..register.pairs import NO_PAIRS, Pairs
from ..register.untils import text_of_day
from ..sets import ImeiSet
from ..store import Delta, Store
from ..store.changes import change_of, named
from ..store.feeds import expect_by
from ..store.state import list_after
from . import outcomes as results
from .changes import ADD, UPDATE, Changes
from .members import PairSet, has, size_of, whole
from .report import ApplyReport, counted, ended


@dataclass(slots=True)
class Part:
    """One file of a change, for one list. outcomes: where its rows are written with what became of them."""

    name: str
    changes: Changes
    options: Options
    outcomes: str | None = None
    ref: str | None = None


@dataclass(slots=True, kw_only=True)
class Numbering:
    """What a change is in a store: see `Store.apply`."""

    sequence: int | None = None
    base: str | None = None
    feed: str | None = None
    after: int | None = None
    by: str | None = None

    def is_next(self, store: Store) -> bool:
        """Whether the change is not applied yet, and follows the last one."""
        if self.sequence is None:
            return True
        last = store.sequence if self.feed is None else store.feeds.get(self.feed, 0)
        return last == (self.sequence - 1 if self.after is None else self.after)


def rule_for(path: str, one: List) -> ListRule:
    """By which rule files of changes name what is on a list."""
    if (rule := KINDS[one.kind].rules[0]) not in ("exact", "pair"):
        raise FeedConflict(path, f"a list of IMEIs or pairs, not of kind {one.kind!r}", repr(one.name))
    return rule


def read_changes(
    path: str, change: str | None, options: Options, outcomes: str | None, *more: Any, alone: bool = True
) -> Changes:
    """A file of changes, see `Changes.read`. If it has rows that must not be rejected, its rows go to
    `outcomes` all the same, with what is wrong with them."""
    if outcomes is not None:
        results.expect_text(path)
    try:
        return Changes.read(path, change, options, *more, alone=alone)
    except FeedRejects:
        if outcomes is not None:
            with suppress(FeedError):
                every = replace(options, max_rejects=None, rejects=None)
                read = Changes.read(path, change, every, *more)
                with publish(outcomes) as file:
                    results.write(file, read, every, results.unapplied(read, results.NOT_APPLIED))
        raise


def apply_parts(
    store: Store,
    parts: Sequence[Part],
    checks: set[str],
    report: ApplyReport,
    *,
    min_size: float,
    digest: str | None = None,
    numbering: Numbering,
) -> None:
    """Make one change of a store of all these files, or none.

    Raises as `apply` does; then `outcomes` say of each row why it was not applied.
    """
    for part, other in combinations(parts, 2):
        if part.name == other.name and part.changes.rule == other.changes.rule:
            _expect_apart(part.changes, other.changes)
    with store.writing():
        lists = {part.name: named(store.lists, part.name) for part in parts}
        held = [_held(lists[part.name], part.changes.rule, part.changes.identities) for part in parts]
        fresh = numbering.is_next(store)
        try:
            if fresh:
                by = numbering.by or numbering.feed or ""
                for name, one in lists.items():
                    expect_by(store._directory, name, one.owner, by, numbering.feed or "")
                for part in parts:
                    _check_list(lists[part.name], part.changes, checks, min_size, digest, report)
            deltas = [delta for part in parts for delta in _deltas(part, checks, numbering.by)]
            told = fresh and any(part.outcomes is not None for part in parts)
            then = _lists_after(store, deltas) if told and len(parts) > 1 else store.lists
            with ExitStack() as files:
                for part, there in zip(parts, held, strict=True):
                    if part.outcomes is not None:
                        found = results.unapplied(part.changes, results.REPEATED)
                        if fresh:
                            one = lists[part.name]
                            others = results.others_of(then, one, part.changes.rule)
                            found = results.outcomes_of(part.changes, there, checks, others)
                        output = files.enter_context(publish(part.outcomes))
                        results.write(output, part.changes, part.options, found)
                report.sequence = store.apply(
                    *deltas,
                    sequence=numbering.sequence,
                    base=numbering.base,
                    **_given(feed=numbering.feed, after=numbering.after),
                )
        except ImeisetError:
            for part, there in zip(parts, held, strict=True):
                if part.outcomes is not None:
                    write_refused(part.outcomes, part.changes, part.options, there, checks)
            raise
        last = parts[-1]
        ended(report, named(store.lists, last.name), last.changes.rule)
    report.sources += [part.changes.table.report for part in parts]


def _lists_after(store: Store, deltas: Sequence[Delta]) -> list[List]:
    """The lists of a store as they will be. O(changes)."""
    lists = {one.name: one for one in store.lists}
    for delta in deltas:
        change = change_of(delta, store.lists)
        lists[delta.list] = list_after(lists[delta.list], change)
    return [*lists.values()]


def write_refused(outcomes: str, changes: Changes, options: Options, held: Any, checks: set[str]) -> None:
    """Write why the rows of a file do not fit."""
    with suppress(FeedError), publish(outcomes) as file:
        results.write(file, changes, options, results.refusals_of(changes, held, checks))


def _expect_apart(one: Changes, other: Changes) -> None:
    if both := size_of(one.identities & other.identities):
        raise FeedConflict(
            other.path, f"others than in {one.path!r}, of the same change", f"{both:,} of both"
        )


def _check_list(
    one: List, changes: Changes, checks: set[str], min_size: float, digest: str | None, report: ApplyReport
) -> None:
    """Raise if changes do not fit a list as it is now; count what they would change."""
    rule = changes.rule
    counts = changes.check(_held(one, rule, changes.identities), checks)
    before = one.counts()
    size = before.get(rule, 0) + (before.get("irregular", 0) if rule == "exact" else 0)
    left = size + counts[0] - counts[1]
    if found := shrunk({one.name: {rule: size}}, {one.name: {rule: left}}, min_size):
        raise FeedLimit(changes.path, found[0], f"{found[1]}: --force takes it all the same")
    if digest is not None:
        check_digest(changes.path, changes.applied_to(whole(one, rule), checks), digest)
    counted(report, counts)
    if rule == "exact":
        gone = without_irregular(changes.removes - changes.adds)
        report.still_listed += len((gone & whole(one, "range")) | (gone & whole(one, "tac")))
        adds = _texts(changes.adds) | (set() if "update" in checks else _texts(changes.updates))
        report.texts = len((one.irregular - _texts(changes.removes)) | adds)
    report.keys = left - report.texts


def _held(one: List, rule: str, some: Any) -> Any:
    """Those of some identities that a list has by a rule."""
    if rule == "pair":
        return PairSet(NO_PAIRS) if one.pairs is None else some.where(one.pairs.have(*some.columns))
    if rule != "exact":
        return some & whole(one, rule)
    keys = some.to_numpy()
    texts = (
        None
        if some.irregular is None
        else [text for text in some.irregular.tolist() if text in one.irregular]
    )
    return ImeiSet.from_keys(keys[has(one, rule, keys)], irregular=texts)


def _texts(members: ImeiSet) -> set[bytes]:
    return set() if members.irregular is None else set(members.irregular.tolist())


def _deltas(part: Part, checks: set[str], by: str | None) -> list[Delta]:
    """The deltas of a store that make the changes. They depend on nothing else, so that a file that comes
    again is known again."""
    changes, name, told = part.changes, part.name, _given(by=by, ref=part.ref)
    adds, removes, updates, rule = changes.adds, changes.removes, changes.updates, changes.rule
    strict = "update" in checks
    if not strict:
        adds = adds | updates
    if rule not in ("exact", "pair"):
        return [Delta(name, adds, removes, rule, **told)]
    twice: Any = PairSet(NO_PAIRS) if rule == "pair" else ImeiSet()  # updated, and removed all the same
    if strict and changes.says:
        twice = updates & (removes - adds)
        adds = adds | (updates - removes)
    if rule == "pair":
        return _deltas_of_pairs(part, adds, twice, told)
    twice = without_irregular(twice)
    found = []
    if part.options.irregular == "keep":
        found.append(Delta(name, _texts(adds), _texts(removes), "irregular", **told))
    adds, removes = without_irregular(adds), without_irregular(removes)
    if not changes.says:
        return [*found, Delta(name, adds, removes, **told)]
    rows = changes.rows(ADD, True)[0] | changes.rows(UPDATE, True)[0]
    if len(twice):
        rows &= ~twice.contains(changes.table.keys)
    members, details = described(changes.table, rows)
    keys, codes = members.to_numpy(), np.zeros((len(details), len(members)), np.int64)
    for row, column in enumerate(details):
        if column is not None:
            codes[row] = column.codes
    kinds, place = np.unique(codes, axis=1, return_inverse=True)
    found.append(Delta(name, remove=removes, **told))
    for number, kind in enumerate(kinds.T.tolist()):
        some = ImeiSet.from_keys(keys[place.ravel() == number])
        said: dict[str, Any] = {
            key: column.values[code - 1]
            for key, column, code in zip(("reason", "date", "until"), details, kind, strict=True)
            if column and code
        }
        found.append(Delta(part.name, some, **said, **told))
    return found


def _deltas_of_pairs(part: Part, adds: PairSet, twice: PairSet, told: dict[str, Any]) -> list[Delta]:
    """Of pairs: the removals, and the additions of each last day."""
    changes = part.changes
    if "until" not in changes.table.columns:
        return [Delta(part.name, adds.pairs, changes.removes.pairs, "pair", **told)]
    rows = changes.rows(ADD, True)[0] | changes.rows(UPDATE, True)[0]
    table = changes.table
    every = Pairs.of(table.keys[rows], table.columns["imsi"][rows], days_of(table.columns["until"][rows]))
    pairs = PairSet(every) - twice
    days = every.until_days(*pairs.columns)
    found = [Delta(part.name, None, changes.removes.pairs, "pair", **told)]
    for day in np.unique(days):
        until = text_of_day(int(day)) or None
        found.append(Delta(part.name, pairs.where(days == day).pairs, None, "pair", until=until, **told))
    return found


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def check_digest(path: str, result: Any, expected: str | None) -> None:
    """Raise FeedConflict for a result with another digest."""
    if expected is not None and (got := result.digest()) != expected.lower():
        raise FeedConflict(path, f"a result of digest {expected.lower()}", got)
