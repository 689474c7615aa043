"""Deltas for the lists of a register or a store: checked, and made the changes of a store."""

import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FeedColumn, FeedConflict, FeedLimit, mask
from ..feeds.details import DETAILS, described
from ..feeds.formats import FORMATS
from ..feeds.loader import Progress
from ..feeds.reader import Options
from ..register.kinds import KINDS, ListRule, rule_of
from ..register.layered import LayeredSet, without_irregular
from ..register.lists import List
from ..register.pairs import NO_PAIRS, LayeredPairs, Pairs
from ..sets import ImeiSet
from .apply import (
    ADD,
    CHECKS,
    MIN_SIZE,
    REMOVE,
    UPDATE,
    Applied,
    changes_of,
    checked,
    chosen_rows,
    read_delta,
    understood,
)


class ListDelta:
    """A delta for a list of a register, read and not yet checked.

    path, change, options: as for `apply`; irregular identities are kept if the options say so. Of IMEIs that
    are added or updated the reasons and dates of the delta are kept. For pairs it has a column 'imsi'.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        one: List,
        *,
        change: str | None = None,
        options: Options | None = None,
        progress: Progress | None = None,
    ) -> None:
        understood(change, ())
        self.path = os.fspath(path)
        self._options = options or Options(max_rejects=0)
        columns = {"exact": DETAILS, "pair": ("imsi",)}.get(KINDS[one.kind].rules[0])
        if columns is None:
            raise FeedConflict(
                self.path, f"a list of IMEIs or pairs, not of kind {one.kind!r}", repr(one.name)
            )
        self._table, self._fixed = read_delta(self.path, change, columns, self._options, progress)
        self.report = self._table.report
        identities = {FORMATS[name].identity for name in self._table.report.formats}
        self.rule: ListRule = "pair"
        if columns == ("imsi",):
            if identities != {"imei"} or (self._table.report.accepted and "imsi" not in self._table.columns):
                raise FeedColumn(self.path, "a header with 'imei' and 'imsi', for pairs", "another")
        else:
            self.rule = rule_of(one.kind, identities.pop())

    def check(
        self,
        one: List,
        checks: Iterable[str] = CHECKS,
        *,
        min_size: float = MIN_SIZE,
        expect_digest: str | None = None,
    ) -> Applied:
        """Whether it fits the list as it is now: what it would change. Raises as `apply`."""
        wanted, report = understood(None, checks), Applied()
        before = one.counts()
        if self.rule == "pair":
            self._check_pairs(one, wanted, report)
        else:
            adds, removes, updates = checked(
                self.path,
                self._table,
                self._fixed,
                lambda some: self._held(one, some),
                wanted,
                self._options,
                report,
            )
            if "update" not in wanted:  # otherwise they are there
                adds |= updates
            if expect_digest is not None:
                self._expect_digest(one, (adds, removes), expect_digest, report)
            if self.rule == "exact":
                report.texts = len((one.irregular - _texts(removes)) | _texts(adds))
        size = before.get(self.rule, 0) + (before.get("irregular", 0) if self.rule == "exact" else 0)
        left = size + report.added - report.removed
        if not left * 100 >= size * min_size:  # of NaN too
            expected = f"at least {min_size:g}% of the {size:,} of list {one.name!r} by {self.rule}"
            raise FeedLimit(self.path, expected, f"{left:,}")
        report.keys = left - report.texts
        return report

    def changes(self, checks: Iterable[str] = CHECKS) -> list[dict[str, Any]]:
        """The arguments of the `Delta`s that make its changes, beside the list. They depend on nothing else,
        so that a delta that comes again is known again."""
        if self.rule == "pair":
            adding, removing = self._adding(set(checks)), self._pairs(REMOVE)
            return [{"rule": "pair", "add": _as_texts(adding), "remove": _as_texts(removing)}]
        table, keep = self._table, self._options.irregular == "keep"
        adds, removes, updates, gone = changes_of(table, self._fixed, keep)
        removes |= gone
        says = self.rule == "exact" and any(name in table.columns for name in DETAILS)
        twice = ImeiSet()  # updated, and removed all the same
        if "update" not in set(checks):
            adds |= updates
        elif says:
            twice = without_irregular(updates & (removes - adds))
            adds |= updates - removes
        if self.rule == "tac":
            tacs = [[f"{low // 10**6:08d}" for low in _lows(members)] for members in (adds, removes)]
            return [{"rule": "tac", "add": tacs[0], "remove": tacs[1]}]
        if self.rule == "range":
            ends = [_ends(members) for members in (adds, removes)]
            return [{"rule": "range", "add": ends[0], "remove": ends[1]}]
        found = []
        if keep:
            found.append({"rule": "irregular", "add": _texts(adds), "remove": _texts(removes)})
        found.append({"rule": "exact", "remove": without_irregular(removes)})
        if not says:
            found[-1]["add"] = without_irregular(adds)
            return found
        rows = (
            chosen_rows(table, self._fixed, ADD, True)[0] | chosen_rows(table, self._fixed, UPDATE, True)[0]
        )
        if len(twice):
            rows &= ~twice.contains(table.keys)
        members, reasons, dates = described(table, rows)
        keys, codes = members.to_numpy(), np.zeros((2, len(members)), np.int64)
        for row, column in enumerate((reasons, dates)):
            if column is not None:
                codes[row] = column.codes
        kinds, place = np.unique(codes, axis=1, return_inverse=True)
        for number, (reason, date) in enumerate(kinds.T.tolist()):
            some: dict[str, Any] = {"rule": "exact", "add": ImeiSet.from_keys(keys[place.ravel() == number])}
            some["reason"] = reasons.values[reason - 1] if reasons and reason else None
            some["date"] = dates.values[date - 1] if dates and date else None
            found.append(some)
        return found

    def _held(self, one: List, some: ImeiSet) -> ImeiSet:
        """Those of some IMEIs that are on the list by its rule."""
        members: LayeredSet | None = one.parts.get(self.rule)
        if self.rule != "exact":
            return ImeiSet() if members is None else some & members.flattened().base
        keys = some.to_numpy()
        found = np.zeros(len(keys), np.uint8)
        if members is not None:
            members.part.contains(keys, found)
        texts = (
            None
            if some.irregular is None
            else [text for text in some.irregular.tolist() if text in one.irregular]
        )
        return ImeiSet.from_keys(keys[found != 0], irregular=texts)

    def _expect_digest(
        self, one: List, changes: tuple[ImeiSet, ImeiSet], expected: str, report: Applied
    ) -> None:
        add, remove = changes
        members = one.parts.get(self.rule)
        result = (ImeiSet() if members is None else members.flattened().base) - without_irregular(remove)
        result |= without_irregular(add)
        report.digest = result.digest()
        if report.digest != expected.lower():
            got = report.digest
            raise FeedConflict(self.path, f"a list of digest {expected.lower()}", got)

    def _pairs(self, change: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        rows, _ = chosen_rows(self._table, self._fixed, change, None)
        none = np.empty(0, np.uint64)
        return self._table.keys[rows], self._table.columns["imsi"][rows] if rows.any() else none

    def _adding(self, checks: set[str]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """The pairs that it adds."""
        added, more = self._pairs(ADD), self._pairs(UPDATE)
        if "update" in checks:
            return added
        return np.concatenate([added[0], more[0]]), np.concatenate([added[1], more[1]])

    def _check_pairs(self, one: List, checks: set[str], report: Applied) -> None:
        held = one.pairs or LayeredPairs(NO_PAIRS)
        columns = [self._pairs(change) for change in (ADD, REMOVE, UPDATE)]
        made = [Pairs.of(*some) for some in columns]
        there = [held.have(*some) for some in columns]
        for a, b in ((0, 1), (0, 2), (1, 2)):
            if "conflict" in checks:
                twice = made[b].have(*columns[a])
                self._expect_no_pair(a, twice, "one change of a pair", "changed twice, differently")
        if "add" in checks:
            self._expect_no_pair(ADD, there[ADD], "additions of pairs that are not there", "there")
        if "remove" in checks:
            self._expect_no_pair(REMOVE, ~there[REMOVE], "removals of pairs that are there", "not there")
        if "update" in checks:
            self._expect_no_pair(UPDATE, ~there[UPDATE], "updates of pairs that are there", "not there")
        report.sources.append(self._table.report)
        adding = self._adding(checks)
        stay = Pairs.of(*adding).have(*columns[REMOVE])
        report.added += _distinct(adding, ~held.have(*adding))
        report.removed += _distinct(columns[REMOVE], there[REMOVE] & ~stay)
        report.updated += _distinct(columns[UPDATE], there[UPDATE])

    def _expect_no_pair(self, change: int, wrong: NDArray[np.bool_], expected: str, got: str) -> None:
        if wrong.any():
            rows = np.flatnonzero(chosen_rows(self._table, self._fixed, change, None)[0])[wrong]
            line, key = int(self._table.columns["line"][rows[0]]), int(self._table.keys[rows[0]])
            raise FeedConflict(self.path, expected, f"{len(rows):,} {got}: '{mask(key)}'", line=line)


def _texts(members: ImeiSet) -> set[bytes]:
    return set() if members.irregular is None else set(members.irregular.tolist())


def _distinct(pairs: tuple[NDArray[Any], NDArray[Any]], rows: NDArray[np.bool_]) -> int:
    """How many different pairs there are in some rows."""
    return len(Pairs.of(pairs[0][rows], pairs[1][rows]))


def _as_texts(pairs: tuple[NDArray[Any], NDArray[Any]]) -> tuple[NDArray[Any], list[str]]:
    """Pairs as `Delta` takes them."""
    return pairs[0], [str(number)[1:] for number in pairs[1].tolist()]


def _ends(members: ImeiSet) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The first and the last keys of all runs."""
    runs = [*members.runs(), (np.empty(0, np.uint64),) * 2]
    lows, highs = (np.concatenate(ends) for ends in zip(*runs, strict=True))
    return lows, highs


def _lows(members: ImeiSet) -> Iterator[int]:
    """The first key of each whole TAC of a set of such."""
    for low, high in zip(*(ends.tolist() for ends in _ends(members)), strict=True):
        yield from range(low, high, 10**6)
