"""Files of changes applied to a set or to a list of a store: checked, and all or nothing."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from .. import irregular as irregulars
from ..errors import FeedConflict, FeedDescription, FeedLimit
from ..feeds.description import delta_options, polarity_of
from ..feeds.details import described
from ..feeds.formats import Polarity
from ..feeds.loader import Progress
from ..feeds.options import Options
from ..feeds.report import LoadReport
from ..feeds.sources import Paths, names_of
from ..register.kinds import KINDS, ListRule
from ..register.layered import without_irregular
from ..register.lists import List, shrunk
from ..register.pairs import NO_PAIRS
from ..sets import ImeiSet
from ..store import Delta, Store
from ..store.changes import named
from .changes import ADD, CHECKS, UPDATE, Changes, understood
from .members import PairSet, size_of

MIN_SIZE = 75.0  # percent
Target = TypeVar("Target", ImeiSet, Store)


@dataclass
class ApplyReport:
    """What became of deltas.

    Attributes
    ----------
    sources : list of LoadReport
        What was read of each.
    added, removed, updated : int
        How many identities were.
    still_listed : int
        How many IMEIs were removed that the list has by a range or a TAC all the same.
    keys, texts : int
        How many IMEIs (of ranges those in them, or pairs), and irregular identities, the set or the list has
        now.
    sequence : int or None
        The number of the last change of a store.
    digest : str
        Of the set or the list after the deltas: the one that `expect_digest` accepts. Of a list of a store it
        is worked out when it is asked for, which takes about 12 ns for each run of IMEIs.

    Examples
    --------
    >>> with open("delta.txt", "w") as file:
    ...     _ = file.write("+490154203237518\\n-356938035643809\\n")
    >>> new, report = imeiset.apply(imeiset.ImeiSet(["356938035643809"]), "delta.txt", min_size=0)
    >>> report.added, report.removed, report.keys
    (1, 1, 1)
    """

    sources: list[LoadReport] = field(default_factory=list)
    added: int = 0
    removed: int = 0
    updated: int = 0
    still_listed: int = 0
    keys: int = 0
    texts: int = 0
    sequence: int | None = None
    _after: tuple[Any, str] = field(default=(None, ""), repr=False)  # a set; or a list, and the rule

    @cached_property
    def digest(self) -> str:
        """The digest of the set or the list after the deltas: the one that `expect_digest` accepts.

        Examples
        --------
        >>> with open("delta.txt", "w") as file:
        ...     _ = file.write("+490154203237518\\n-356938035643809\\n")
        >>> new, report = imeiset.apply(imeiset.ImeiSet(["356938035643809"]), "delta.txt", min_size=0)
        >>> report.digest == new.digest()
        True
        """
        after, rule = self._after
        digest: str = (_whole(after, rule) if isinstance(after, List) else after).digest()
        return digest

    def to_json(self) -> str:
        """The report as one JSON object.

        Returns
        -------
        str
            JSON, with `digest`.

        Examples
        --------
        >>> with open("delta.txt", "w") as file:
        ...     _ = file.write("+490154203237518\\n-356938035643809\\n")
        >>> new, report = imeiset.apply(imeiset.ImeiSet(["356938035643809"]), "delta.txt", min_size=0)
        >>> import json
        >>> json.loads(report.to_json())["added"]
        1
        """
        facts = asdict(replace(self, _after=(None, "")))
        del facts["_after"]
        return json.dumps({**facts, "digest": self.digest})


def apply(
    target: Target,
    paths: Paths,
    *,
    list: str | None = None,
    change: str | None = None,
    checks: Iterable[str] = CHECKS,
    expect_digest: str | None = None,
    min_size: float = MIN_SIZE,
    sequence: int | None = None,
    base: str | None = None,
    description: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> tuple[Target, ApplyReport]:
    """Apply files of changes, one after the other: the removals of each, then its additions.

    Parameters
    ----------
    target
        An ImeiSet; or a Store, each file being a change of it, on the disk before the next file is read.
    paths
        One or more files, as `load` reads them. Each has a column change_type of add, remove and update, or
        another one that `change_column` names; or if it has none, is named ..._blocked, _unblocked, _changed,
        _added or _removed; or is a list without a header of '+' and '-' before each number; or `change` says
        what all its rows are. For a list of pairs it has a column imsi. A row of a status that does not count
        adds nothing, and as an update removes.
    list
        Of a store, or of the description: which list; None if it has but one.
    change
        What all rows are: "add", "remove" or "update".
    checks
        Which are made. "add": no addition of what is there. "remove", "update": neither of what is not there.
        "conflict": no two different changes of one identity in a file. Without "update", an update of what is
        not there adds it.
    expect_digest
        That of the result; for a list by what the file changes: its IMEIs, its ranges, its TACs or its pairs.
    min_size
        Percent of what there was that the result must have.
    sequence, base
        Of a store, see `Store.apply`: the number of the first file, those after it get the next ones, and the
        state it is for. What was applied before under its number is not checked again.
    description
        A TOML file as for `load_register`, whose options of the list are those of its deltas, where
        `options` does not say otherwise. Left out are where, skip and max_rejects: they are about full lists.
    progress
        As for `load`.
    **options
        As for `load`, and change_column, change_values, date_column, date_format and reason_column, see
        `feeds.options`. A rejected row is an error, unless max_rejects allows it; a change that is not
        understood always is. A set keeps irregular identities if it did before.

    Returns
    -------
    ImeiSet or Store, ApplyReport
        The new set, or the store itself; and what became of the files. Reasons and dates are kept in a store.

    Raises
    ------
    FeedConflict
        For a check, or another digest. All that does not fit is named at once.
    FeedColumn
        For a column of changes with values that are not understood.
    FeedLimit
        For a result that is too small.
    FeedError, StoreError
        As `load` does, and `Store.apply`. The set, or the list, is as it was then.

    Notes
    -----
    Costs as much as the target for each file; of a store, as much as the file and its changes so far.

    Examples
    --------
    >>> import imeiset, tempfile, pathlib
    >>> blocked = imeiset.ImeiSet(["490154203237518"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "today.csv")
    ...     _ = path.write_text("imei,change_type\\n356938035643809,add\\n490154203237518,remove\\n")
    ...     blocked, report = imeiset.apply(blocked, path, min_size=0)
    >>> [*blocked], report.added, report.removed
    (['356938035643809'], 1, 1)
    """
    names, wanted = names_of(paths), understood(change, checks)
    if not names:
        raise ValueError("expected at least one file")
    if options.get("rejects") is not None and len(names) > 1:  # each would replace those of the one before
        raise ValueError(f"expected one delta where rejects are written, got {len(names)}")
    report = ApplyReport()
    if isinstance(target, Store):
        for at, path in enumerate(names):
            number, state = None if sequence is None else sequence + at, None if at else base
            digest = expect_digest if at == len(names) - 1 else None
            only = target.lists[0].name if len(target.lists) == 1 else None
            one = named(target.lists, only if list is None else list)
            if (rule := KINDS[one.kind].rules[0]) not in ("exact", "pair"):
                expected = f"a list of IMEIs or pairs, not of kind {one.kind!r}"
                raise FeedConflict(path, expected, repr(one.name))
            reading, _ = _reading(options, description, one.name, rule)
            polarity = polarity_of(one.kind, one.status)
            changes = Changes.read(path, change, reading, progress, rule, polarity)
            deltas = _deltas(one.name, changes, wanted, keep=reading.irregular == "keep")
            with target.writing():
                if number is None or number == target.sequence + 1:
                    _check_list(named(target.lists, one.name), changes, wanted, min_size, digest, report)
                report.sequence = target.apply(*deltas, sequence=number, base=state)
                report._after = named(target.lists, one.name), changes.rule
            report.sources.append(changes.table.report)
        return target, report
    if not isinstance(target, ImeiSet):
        raise TypeError(f"expected an ImeiSet or a Store, got {type(target).__name__}")
    if (sequence, base) != (None, None) or (list is not None and description is None):
        raise ValueError("list, sequence and base: expected with a Store, got an ImeiSet")
    reading, let = _reading(options, description, list)
    reading = replace(reading, irregular="reject" if target.irregular is None else "keep")
    result: ImeiSet = target
    for path in names:
        changes = Changes.read(path, change, reading, progress, polarity=let)
        _count(report, changes.check(result, wanted))
        report.sources.append(changes.table.report)
        result = changes.applied_to(result, wanted)
    report.keys, report.texts = len(result), size_of(result) - len(result)
    report._after = result, ""
    expect_size(names[-1], result, target, min_size)
    _expect_digest(names[-1], result, expect_digest)
    return result, report


def _reading(
    options: dict[str, Any],
    description: str | os.PathLike[str] | None = None,
    name: str | None = None,
    rule: ListRule = "exact",
) -> tuple[Options, Polarity | None]:
    """How deltas are read: by what is said, otherwise as a description says of a list; and what that says of
    the phones of the list."""
    described, polarity = ({}, None) if description is None else delta_options(description, name, rule)
    for column, about in (("change_column", "change_values"), ("date_column", "date_format")):
        if column in options:  # of another column
            described.pop(about, None)
    try:
        return Options(**{"max_rejects": 0, **described, **options}), polarity
    except ValueError as error:
        if description is None:
            raise
        raise FeedDescription(os.fspath(description), "options that go together", str(error)) from None


def expect_size(path: str, result: ImeiSet, last: ImeiSet, min_size: float) -> None:
    """Raise FeedLimit for a result that has less than so many percent of the identities of the last."""
    before, after = size_of(last), size_of(result)
    if not after * 100 >= before * min_size:  # of NaN too
        expected = f"a result of at least {min_size:g}% of the {before:,} identities before"
        raise FeedLimit(path, expected, f"{after:,}: --force takes it all the same")


def _expect_digest(path: str, result: Any, expected: str | None) -> None:
    if expected is not None and (got := result.digest()) != expected.lower():
        raise FeedConflict(path, f"a result of digest {expected.lower()}", got)


def _count(report: ApplyReport, counts: tuple[int, int, int]) -> None:
    added, removed, updated = counts
    report.added += added
    report.removed += removed
    report.updated += updated


# ---- lists of a store --------------------------------------------------------------------


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
        raise FeedLimit(changes.path, *found)
    if digest is not None:
        _expect_digest(changes.path, changes.applied_to(_whole(one, rule), checks), digest)
    _count(report, counts)
    if rule == "exact":
        gone = without_irregular(changes.removes - changes.adds)
        report.still_listed += len((gone & _whole(one, "range")) | (gone & _whole(one, "tac")))
        adds = _texts(changes.adds) | (set() if "update" in checks else _texts(changes.updates))
        report.texts = len((one.irregular - _texts(changes.removes)) | adds)
    report.keys = left - report.texts


def _held(one: List, rule: str, some: Any) -> Any:
    """Those of some identities that a list has by a rule."""
    members = one.parts.get(rule)
    if rule == "pair":
        return PairSet(NO_PAIRS) if one.pairs is None else some.where(one.pairs.have(*some.columns))
    if rule != "exact":
        return some & _whole(one, rule)
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


def _whole(one: List, rule: str) -> Any:
    """What a list holds by a rule; O(list)."""
    if rule == "pair":
        return PairSet(NO_PAIRS if one.pairs is None else one.pairs.flattened().base)
    members = one.parts.get(rule)
    whole = ImeiSet() if members is None else members.flattened().base
    if rule == "exact" and one.irregular:
        return whole.keeping(irregulars.table(sorted(one.irregular)))
    return whole


def _texts(members: ImeiSet) -> set[bytes]:
    return set() if members.irregular is None else set(members.irregular.tolist())


def _deltas(name: str, changes: Changes, checks: set[str], *, keep: bool) -> list[Delta]:
    """The deltas of a store that make the changes. They depend on nothing else, so that a file that comes
    again is known again."""
    adds, removes, updates, rule = changes.adds, changes.removes, changes.updates, changes.rule
    strict = "update" in checks
    if not strict:
        adds = adds | updates
    if rule == "pair":
        return [Delta(name, adds.pairs, removes.pairs, "pair")]
    if rule != "exact":
        return [Delta(name, adds, removes, rule)]
    twice = ImeiSet()  # updated, and removed all the same
    if strict and changes.says:
        twice = without_irregular(updates & (removes - adds))
        adds = adds | (updates - removes)
    found = []
    if keep:
        found.append(Delta(name, _texts(adds), _texts(removes), "irregular"))
    adds, removes = without_irregular(adds), without_irregular(removes)
    if not changes.says:
        return [*found, Delta(name, adds, removes)]
    rows = changes.rows(ADD, True)[0] | changes.rows(UPDATE, True)[0]
    if len(twice):
        rows &= ~twice.contains(changes.table.keys)
    members, details = described(changes.table, rows)
    keys, codes = members.to_numpy(), np.zeros((len(details), len(members)), np.int64)
    for row, column in enumerate(details):
        if column is not None:
            codes[row] = column.codes
    kinds, place = np.unique(codes, axis=1, return_inverse=True)
    found.append(Delta(name, remove=removes))
    for number, kind in enumerate(kinds.T.tolist()):
        some = ImeiSet.from_keys(keys[place.ravel() == number])
        columns = zip(("reason", "date", "until"), details, kind, strict=True)
        said: dict[str, Any] = {
            key: column.values[code - 1] for key, column, code in columns if column and code
        }
        found.append(Delta(name, some, **said))
    return found
