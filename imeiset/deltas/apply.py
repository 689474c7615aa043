"""Files of changes applied to a set or to a list of a store: checked, and all or nothing."""

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

from .._files import publish
from ..errors import FeedDescription, FeedLimit, ImeisetError
from ..feeds.description import delta_options, polarity_of
from ..feeds.formats import Polarity
from ..feeds.loader import Progress
from ..feeds.options import Options
from ..feeds.sources import Paths, names_of
from ..register.kinds import ListRule
from ..sets import ImeiSet
from ..store import Store
from ..store.changes import named
from . import outcomes as results
from .changes import CHECKS, understood
from .members import size_of
from .report import ApplyReport, counted, ended
from .stored import Numbering, Part, apply_parts, check_digest, read_changes, rule_for, write_refused

MIN_SIZE = 75.0  # percent
Target = TypeVar("Target", ImeiSet, Store)


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
    feed: str | None = None,
    after: int | None = None,
    by: str | None = None,
    ref: str | None = None,
    outcomes: str | os.PathLike[str] | None = None,
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
        The checks to make. "add": no addition of what is there. "remove", "update": neither of what is not
        there. "conflict": no two different changes of one identity in a file. Without "update", an update of
        what is not there adds it.
    expect_digest
        That of the result; for a list by what the file changes: its IMEIs, its ranges, its TACs or its pairs.
    min_size
        Percent of what there was that the result must have.
    sequence, base, feed, after
        Of a store, see `Store.apply`: the number of the first file, those after it get the next ones; the
        state it is for; the feed whose numbers these are; and the feed's number before the first file's. What
        was applied before under its number is not checked again.
    by, ref
        Of a store, see `Delta`: who makes the changes, and what they refer to. Lists with an owner are
        changed by their owner only; `by` is the feed if it is not said.
    outcomes
        A file for the rows of the delta, each with what became of it in a further column, see
        docs/feeds.md. If the delta is refused, it says why. Readable by its owner only.
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
    OSError
        The outcomes cannot be written. Nothing was applied.

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
    told = None if outcomes is None else os.fspath(outcomes)
    for what, written in (("rejects", options.get("rejects")), ("outcomes", outcomes)):
        if written is not None and len(names) > 1:  # each would replace those of the one before
            raise ValueError(f"expected one delta where {what} are written, got {len(names)}")
    report = ApplyReport()
    if isinstance(target, Store):
        for at, path in enumerate(names):
            numbering = Numbering(
                sequence=None if sequence is None else sequence + at,
                base=None if at else base,
                feed=feed,
                after=None if at else after,
                by=by,
            )
            only = target.lists[0].name if len(target.lists) == 1 else None
            one = named(target.lists, only if list is None else list)
            rule = rule_for(path, one)
            reading, _ = reading_of(options, description, one.name, rule)
            polarity = polarity_of(one.kind, one.status)
            changes = read_changes(path, change, reading, told, progress, rule, polarity)
            apply_parts(
                target,
                [Part(one.name, changes, reading, told, ref)],
                wanted,
                report,
                min_size=min_size,
                digest=expect_digest if at == len(names) - 1 else None,
                numbering=numbering,
            )
        return target, report
    if not isinstance(target, ImeiSet):
        raise TypeError(f"expected an ImeiSet or a Store, got {type(target).__name__}")
    of_store = (sequence, base, feed, after, by, ref)
    if any(one is not None for one in of_store) or (list is not None and description is None):
        expected = "list, sequence, base, feed, after, by and ref"
        raise ValueError(f"{expected}: expected with a Store, got an ImeiSet")
    reading, let = reading_of(options, description, list)
    reading = replace(reading, irregular="reject" if target.irregular is None else "keep")
    result: ImeiSet = target
    for path in names:
        changes = read_changes(path, change, reading, told, progress, None, let)
        before = result
        try:
            counted(report, changes.check(before, wanted))
            result = changes.applied_to(before, wanted)
            if path == names[-1]:
                expect_size(path, result, target, min_size)
                check_digest(path, result, expect_digest)
        except ImeisetError:
            if told is not None:
                write_refused(told, changes, reading, changes.identities & before, wanted)
            raise
        report.sources.append(changes.table.report)
        if told is not None:
            found = results.outcomes_of(changes, changes.identities & before, wanted)
            with publish(told) as file:
                results.write(file, changes, reading, found)
    report.keys, report.texts = len(result), size_of(result) - len(result)
    ended(report, result)
    return result, report


def reading_of(
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
