"""Deltas: what changes from one set to the next, checked as DIRBS checks it, all or nothing."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._native.parse import rows_of
from ..columns import Keys
from ..errors import FeedConflict, FeedLimit, mask
from ..feeds.export import expanded, irregular_rows
from ..feeds.formats import CHANGE, CHANGES
from ..feeds.loader import Progress, Table, read
from ..feeds.reader import Options
from ..feeds.report import LoadReport
from ..feeds.sources import Paths, names_of
from ..sets import ImeiSet

CHECKS = ("add", "remove", "update", "conflict")
MIN_SIZE = 75  # percent
ADD, REMOVE, UPDATE = range(3)
# What a file without a column of changes holds, by its name.
_NAMED = {"unblocked": REMOVE, "removed": REMOVE, "blocked": ADD, "added": ADD, "changed": UPDATE}
HELD = 1 << 22  # runs that are added: 64 MB


@dataclass(slots=True)
class Applied:
    """What became of deltas: of each source what was read, and how many identities it had added, removed
    and updated; the size and the digest of the result."""

    sources: list[LoadReport] = field(default_factory=list)
    added: int = 0
    removed: int = 0
    updated: int = 0
    keys: int = 0
    texts: int = 0
    digest: str = ""


def apply(
    base: ImeiSet,
    paths: Paths,
    *,
    change: str | None = None,
    checks: Iterable[str] = CHECKS,
    expect_digest: str | None = None,
    min_size: float = MIN_SIZE,
    options: Options | None = None,
    progress: Progress | None = None,
) -> tuple[ImeiSet, Applied]:
    """The set after deltas, applied one after the other: the removals of each, then its additions.

    A delta has a column change_type of add, remove and update; or if it has none is named ..._blocked,
    _unblocked, _changed, _added or _removed; or is a list without a header of '+' and '-' before each
    number; or `change` says what all its rows are. A row of a status that does not count adds nothing, and
    as an update removes. Irregular identities are kept if the base keeps them.

    checks: of 'add' (no addition of what is there), 'remove' and 'update' (neither of what is not), and
    'conflict' (no two different changes of one identity in a delta); without 'update', an update of what
    is not there adds it. expect_digest: of the result. min_size: percent of the base that the result must
    have. options: as for `load`; a rejected row is an error, unless max_rejects allows it. Rejects are those
    of one delta.

    Raises FeedConflict for a check, FeedLimit for the size, and as `load` does. Cost O(base) for each.
    """
    names = names_of(paths)
    wanted = understood(change, checks)
    options = options or Options(max_rejects=0)
    if options.rejects is not None and len(names) > 1:  # each would replace those of the one before
        raise ValueError(f"expected one delta where rejects are written, got {len(names)}")
    options = replace(options, irregular="reject" if base.irregular is None else "keep")
    result, report = base, Applied()
    for name in names:
        result = _apply(result, name, change, wanted, options, report, progress)
    report.keys = len(result)
    report.texts = 0 if result.irregular is None else len(result.irregular)
    expect_size(names[-1], result, base, min_size)
    report.digest = result.digest()
    if expect_digest is not None and report.digest != expect_digest.lower():
        raise FeedConflict(names[-1], f"a result of digest {expect_digest.lower()}", report.digest)
    return result, report


def expect_size(path: str, result: ImeiSet, last: ImeiSet, min_size: float) -> None:
    """Raise FeedLimit for a result that has less than so many percent of the identities of the last."""
    before, after = _size(last), _size(result)
    if not after * 100 >= before * min_size:  # of NaN too
        expected = f"a result of at least {min_size:g}% of the {before:,} identities before"
        raise FeedLimit(path, expected, f"{after:,}: --force takes it all the same")


def understood(change: str | None, checks: Iterable[str]) -> set[str]:
    """The checks; ValueError for what is none, or no change."""
    wanted = set(checks)
    if unknown := wanted - set(CHECKS):
        raise ValueError(f"expected checks of {', '.join(CHECKS)}, got {', '.join(sorted(unknown))}")
    if change is not None and change.encode() not in CHANGES:
        raise ValueError(f"expected a change of add, remove and update, got {change!r}")
    return wanted


def _apply(
    base: ImeiSet,
    path: str,
    change: str | None,
    checks: set[str],
    options: Options,
    report: Applied,
    progress: Progress | None,
) -> ImeiSet:
    table, fixed = read_delta(path, change, (), options, progress)
    adds, removes, updates = checked(path, table, fixed, lambda _: base, checks, options, report)
    if "update" not in checks:
        adds |= updates
    return (base - removes) | adds


def read_delta(
    path: str, change: str | None, columns: tuple[str, ...], options: Options, progress: Progress | None
) -> tuple[Table, int | None]:
    """The rows of a delta, with further columns, and what all of them are; None if each says it."""
    fixed = change_of(path, change)
    wanted = ("line", "listed", *columns, CHANGE)
    table = read(path, wanted, options=options, delta=True, signs=fixed is None, progress=progress)
    if CHANGE in table.columns:
        if change is not None:
            raise FeedConflict(path, "no column change_type beside --change", "one")
        fixed = None  # whatever the name of the file says
    elif table.report.accepted and fixed is None:
        raise FeedConflict(path, "a column change_type, or --change", "a list that does not say what changes")
    return table, fixed


def checked(
    path: str,
    table: Table,
    fixed: int | None,
    held: Callable[[ImeiSet], ImeiSet],
    checks: set[str],
    options: Options,
    report: Applied,
) -> tuple[ImeiSet, ImeiSet, ImeiSet]:
    """What a delta adds, removes and updates, checked. held: the list, or of some IMEIs those on it."""
    adds, removes, updates, gone = changes_of(table, fixed, options.irregular == "keep")
    removes |= gone
    base = held(adds | removes | updates)
    if "conflict" in checks:
        for one, other in ((adds, removes), (adds, updates), (removes, updates)):
            _expect_none(path, table, one & other, "one change of an identity", "changed twice, differently")
    if "add" in checks:
        _expect_none(path, table, adds & base, "additions of what is not there", "there")
    if "remove" in checks:
        _expect_none(path, table, removes - base, "removals of what is there", "not there")
    if "update" in checks:
        _expect_none(path, table, updates - base, "updates of what is there", "not there")
    added = adds if "update" in checks else adds | updates
    report.sources.append(table.report)
    report.added += _size(added - base)
    report.removed += _size((removes & base) - added)
    report.updated += _size(updates & base)
    return adds, removes, updates


def change_of(path: str, change: str | None) -> int | None:
    """The change of all rows: what is asked for, or what the name of the file says."""
    if change is not None:
        return CHANGES.index(change.encode())
    words = Path(path).name.lower().partition(".")[0].split("_")
    return _NAMED.get(words[-1]) if len(words) > 1 else None


def changes_of(table: Table, fixed: int | None, keep: bool) -> tuple[ImeiSet, ImeiSet, ImeiSet, ImeiSet]:
    """What is added, removed, updated, and updated to a status that does not count."""

    def members(change: int, listed: bool | None) -> ImeiSet:
        rows, odd = chosen_rows(table, fixed, change, listed)
        if table.highs is not None:
            return ImeiSet.from_ranges(table.keys[rows], table.highs[rows])
        return ImeiSet.from_keys(table.keys[rows], irregular=table.texts[odd].tolist() if keep else None)

    return members(ADD, True), members(REMOVE, None), members(UPDATE, True), members(UPDATE, False)


def chosen_rows(
    table: Table, fixed: int | None, change: int, listed: bool | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The rows of that change, and those of irregular identities. listed: only those of such a status."""
    rows, odd = np.ones(len(table.keys), bool), np.ones(len(table.texts), bool)
    for chosen, columns in ((rows, table.columns), (odd, table.text_columns)):
        if fixed is None and CHANGE in columns:
            chosen &= columns[CHANGE] == change
        elif fixed != change:
            chosen[:] = False
        if listed is not None and "listed" in columns:
            chosen &= columns["listed"] == listed
        elif listed is False:
            chosen[:] = False
    return rows, odd


def _size(members: ImeiSet) -> int:
    return len(members) + (0 if members.irregular is None else len(members.irregular))


def _expect_none(path: str, table: Table, wrong: ImeiSet, expected: str, got: str) -> None:
    """Raise FeedConflict if there are any, with the line of one of them."""
    if not (count := _size(wrong)):
        return
    if len(wrong):
        text = wrong[0]
        key = np.uint64(text[:14])
        highs = table.keys if table.highs is None else table.highs
        rows, lines = np.flatnonzero((table.keys <= key) & (key <= highs)), table.columns["line"]
    else:
        assert wrong.irregular is not None
        text = wrong.irregular[0].decode()
        rows, lines = np.flatnonzero(table.texts == wrong.irregular[0]), table.text_columns["line"]
    raise FeedConflict(path, expected, f"{count:,} {got}: '{mask(text)}'", line=int(lines[rows[-1]]))


def diff(
    old: ImeiSet, new: ImeiSet, form: str = "dirbs", *, progress: Progress | None = None
) -> Iterator[bytes]:
    """The text of a delta from one set to another, in pieces: its removals, then its additions, in order.

    form: 'dirbs' has a header imei,change_type; 'plain' a '-' or '+' before each. progress: called with the
    bytes of both that were compared so far, and all. A range is written IMEI by IMEI. Memory: some MB, and
    16 bytes for each run that is added, up to HELD of them; beyond that, the sets are compared twice.
    """
    if form not in ("dirbs", "plain"):
        raise ValueError(f"expected a form of dirbs and plain, got {form!r}")
    size, held, additions = old.nbytes + new.nbytes, 0, list[tuple[Keys, Keys]]()
    if form == "dirbs":
        yield b"imei,change_type\n"
    for gone, come, share in old.changes(new):
        yield from _lines(form, 0, *gone)
        held += len(come[0])
        if held <= HELD:
            additions.append(come)
        elif additions:
            additions.clear()
        if progress:
            progress(int(size * share), size)
    yield _irregular_lines(form, 0, old, new)
    if held <= HELD:
        for come in additions:
            yield from _lines(form, 1, *come)
    else:
        for _, come, share in old.changes(new):
            yield from _lines(form, 1, *come)
            if progress:
                progress(int(size * share), size)
    yield _irregular_lines(form, 1, new, old)


def _around(form: str, change: int) -> tuple[bytes, bytes]:
    """What stands before and after an identity."""
    return ((b"", b",remove\n"), (b"", b",add\n"), (b"-", b"\n"), (b"+", b"\n"))[
        change + 2 * (form == "plain")
    ]


def _lines(form: str, change: int, lows: Keys, highs: Keys) -> Iterator[bytes]:
    for keys in expanded(lows, highs):
        yield rows_of(keys, *_around(form, change))


def _irregular_lines(form: str, change: int, one: ImeiSet, other: ImeiSet) -> bytes:
    """The irregular identities that one set has and the other has not."""
    if one.irregular is None:
        return b""
    texts = one.irregular if other.irregular is None else np.setdiff1d(one.irregular, other.irregular)
    before, after = _around(form, change)
    return irregular_rows(texts.tolist(), before, after)
