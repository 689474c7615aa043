"""What readers of a store see, frozen, and what changes make of it."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imeiset import snapshot
from imeiset._files import publish
from imeiset._native.checks import CheckTables
from imeiset.errors import SnapshotError, SnapshotMissing, StoreDamaged, StoreMissing, mask_text
from imeiset.readers import Keys
from imeiset.register.checks import Rules
from imeiset.register.coverage import Coverage
from imeiset.register.details import Column
from imeiset.register.imsis import PrefixLayer, prefix_numbers
from imeiset.register.kinds import KINDS, RULES
from imeiset.register.layered import NOTHING, LayeredSet, followed
from imeiset.register.layers import LayeredValues, stacked
from imeiset.register.layout import KIND, MAX_LISTS, Contents
from imeiset.register.lists import List, check_prefixes
from imeiset.register.pairs import NO_PAIRS, LayeredPairs
from imeiset.register.untils import days_of_texts
from imeiset.sets import ImeiSet
from imeiset.store import journal as _journal
from imeiset.store.directory import (
    MANIFEST,
    UNPUBLISHED,
    base_path,
    generation_of,
    history_path,
    journal_path,
    manifest_text,
    serving,
)
from imeiset.store.feeds import Editions
from imeiset.store.journal import Journal, Position, Record
from imeiset.store.payload import LIST_RULE, Change, unpacked
from imeiset.store.touched import Runs, Touched

Mode = Literal["mmap", "memory"]  # of a base, see `snapshot.open`
_PAGE = 4096  # bytes, or more
_ATTEMPTS = 100  # to open a generation that is pruned meanwhile


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What readers see, frozen: a base, and what changed since."""

    generation: int
    base: Contents
    file: snapshot.Snapshot  # of the base
    base_position: Position
    position: Position
    lists: tuple[List, ...]
    tables: CheckTables
    prefixes: tuple[PrefixLayer, ...]
    touched: Touched = field(default_factory=Touched)
    editions: Editions = field(default_factory=Editions)
    relisted: bool = False  # lists were added or dropped since the base

    def flattened(self) -> Contents:
        """All in one base. O(members)."""
        self.file.verify()  # most of it is copied: damage must not get a checksum of its own
        flat = tuple(one.flattened() for one in self.lists)
        if self.relisted:
            return Contents(flat, self.base.policy, Coverage.of_lists(flat))
        return Contents(flat, self.base.policy, self.base.coverage.after(self.lists, flat))


def changed(state: State, changes: Iterable[Change], position: Position, editions: Editions) -> State:
    """A state after changes. O(changes), nearly always: see `register.layers.stacked`."""
    changes = tuple(changes)
    frozen = lists_after(state.lists, changes)
    keys, runs, prefixes = list[Keys](), list[Runs](), set[int]()
    relists = False
    for change in changes:
        rule = change.about["rule"]
        relists = relists or rule == LIST_RULE
        if rule == "imsi":
            prefixes |= prefix_numbers(change.about["add"]) | prefix_numbers(change.about["remove"])
        elif rule in ("exact", "pair"):
            keys += [change.add[0], change.remove[0]]
        elif rule in ("range", "tac"):
            runs += [(change.add[0], change.add[1]), (change.remove[0], change.remove[1])]
    touched = state.touched.after(keys, runs, frozen)
    rules, layers = Rules(frozen, state.base.policy), state.prefixes
    if relists:  # the lists have other numbers now
        layers = (rules.prefixes(),)
    elif prefixes:
        layers = stacked(rules.prefixes_of(prefixes), layers)
    return replace(
        state,
        position=position,
        lists=frozen,
        tables=rules.tables(state.base.coverage, layers, touched.words, touched.spread),
        prefixes=layers,
        touched=touched,
        editions=editions,
        relisted=state.relisted or relists,
    )


def lists_after(given: Iterable[List], changes: Iterable[Change]) -> tuple[List, ...]:
    """Lists after changes. ValueError or LookupError for those that are not of these lists."""
    lists = {one.name: one for one in given}
    together: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        name, rule = change.about["list"], change.about["rule"]
        if rule == LIST_RULE:
            for pending in [both for both in together if both[0] == name]:
                lists[name] = _list_changed(lists[name], pending[1], together.pop(pending))
            lists = relisted_by(lists, change)
        elif rule not in KINDS[lists[name].kind].rules:
            raise ValueError(f"list {name!r}: a change by rule {rule!r}, which its kind does not have")
        elif RULES[rule].columns:  # of numbers, each of which its last change decides about
            together.setdefault((name, rule), []).append(change)
        else:
            lists[name] = _texts_changed(lists[name], rule, change)
        if rule == "imsi":
            new = prefix_numbers(change.about["add"])
            check_prefixes(replace(lists[name], prefixes=new), lists.values())
    for (name, rule), some in together.items():
        lists[name] = _list_changed(lists[name], rule, some)
    return tuple(lists.values())


def relisted_by(lists: dict[str, List], change: Change) -> dict[str, List]:
    """The lists after one was added or dropped. ValueError where it is there already, or is not there."""
    name, about = change.about["list"], change.about["add"]
    if (name in lists) != (about is None):
        raise ValueError(f"list {name!r}: expected {'one that is there' if about is None else 'a new name'}")
    if about is None:
        return {other: one for other, one in lists.items() if other != name}
    if len(lists) >= MAX_LISTS:
        raise ValueError(f"list {name!r}: expected at most {MAX_LISTS} lists, got one more")
    one, facts = List(name, **about), KINDS[about["kind"]]
    if facts.fixed and facts.status not in (None, one.status):
        expected = f"the status of every list of kind {one.kind!r}, {facts.status!r}"
        raise ValueError(f"status: expected {expected}, got {one.status!r}")
    return {**lists, name: one}


def _last(changes: Sequence[Change]) -> tuple[list[Keys], NDArray[np.int64]]:
    """The rows of changes, each once, in order; and which side decides: 2n the removals of change n, and
    2n + 1 its additions."""
    sides = [side for change in changes for side in (change.remove, change.add)]
    columns = [np.concatenate(column) for column in zip(*sides, strict=True)]
    side = np.repeat(np.arange(len(sides)), [len(rows[0]) for rows in sides])
    order = np.lexsort(columns[::-1])  # stable: of equal rows, the last side is the last
    columns, side = [column[order] for column in columns], side[order]
    differ = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    last = np.append(differ, True)[: len(side)]
    return [column[last] for column in columns], side[last]


def _net(changes: Sequence[Change]) -> tuple[ImeiSet, ImeiSet, Any]:
    """What changes of exact IMEIs come to: added, removed, and the reasons and dates of the added."""
    (keys,), side = _last(changes)
    added = side % 2 == 1
    columns = []
    for name in ("reason", "date", "until"):
        texts = [change.about.get(name, "") for change in changes]
        values = {text: code for code, text in enumerate(["", *sorted({*texts} - {""})])}
        codes = np.array([values[text] for text in texts])[side[added] // 2]
        columns.append(Column.of(values, codes))
    return ImeiSet.from_keys(keys[added]), ImeiSet.from_keys(keys[~added]), tuple(columns)


def _net_pairs(changes: Sequence[Change]) -> tuple[Any, Any, Any]:
    """What changes of pairs come to: added, removed, and until when each of the added is listed."""
    ends = [change.about.get("until", "") for change in changes]
    days = days_of_texts(ends, np.arange(len(ends)))
    if len(changes) == 1:
        add, remove = changes[0].add, changes[0].remove
        return add, remove, np.repeat(days, len(add[0])) if ends[0] else None
    columns, side = _last(changes)
    added = side % 2 == 1
    new, gone = (tuple(column[some] for column in columns) for some in (added, ~added))
    return new, gone, days[side[added] // 2] if any(ends) else None


def _net_ranges(changes: Sequence[Change]) -> tuple[ImeiSet, ImeiSet]:
    """What changes of ranges come to: added, removed. Neighbours first: so large sets are made seldom."""
    sides = ((change.add, change.remove) for change in changes)
    steps = [(ImeiSet.from_runs(*add), ImeiSet.from_runs(*remove)) for add, remove in sides]
    while len(steps) > 1:
        odd = steps[len(steps) // 2 * 2 :]
        steps = [*map(followed, steps[::2], steps[1::2]), *odd]
    return steps[0]


def _list_changed(one: List, rule: str, changes: Sequence[Change]) -> List:
    """A list after changes by one rule."""
    if rule == "pair":
        pairs = one.pairs or LayeredPairs(NO_PAIRS)
        return replace(one, pairs=pairs.changed_by(*_net_pairs(changes)))
    members: LayeredSet = getattr(one, rule) or LayeredSet(NOTHING)
    if rule == "exact":
        return replace(one, exact=members.changed_by(*_net(changes)))
    parts: dict[str, Any] = {rule: members.changed_by(*_net_ranges(changes))}
    return replace(one, **parts)


def list_after(one: List, change: Change) -> List:
    """A list after one change of what it holds."""
    rule = change.about["rule"]
    return _list_changed(one, rule, [change]) if RULES[rule].columns else _texts_changed(one, rule, change)


def _texts_changed(one: List, rule: str, change: Change) -> List:
    """A list after a change of IMSI prefixes or irregular identities."""
    add, remove = change.about["add"], change.about["remove"]
    if rule == "imsi":
        numbers = LayeredValues.of(one.prefixes)
        return replace(one, prefixes=numbers.changed_by(prefix_numbers(add), prefix_numbers(remove)))
    gone, new = ({text.encode() for text in texts} for texts in (remove, add))
    return replace(one, irregular=LayeredValues.of(one.irregular).changed_by(new, gone))


def load(
    directory: Path, generation: int | None, mode: Mode, *, fetch: bool = False, writable: bool = False
) -> tuple[State, Journal]:
    """The newest state of a generation, and its journal; None: of the one that serves.

    fetch: its pages too, so that no check waits for them. writable: the journal.
    """
    for attempt in range(_ATTEMPTS):
        current = serving(directory)
        wanted = current if generation is None else generation
        if not 1 <= wanted <= current:
            raise StoreMissing(directory, f"a generation from 1 to {current}", f"{wanted}")
        try:
            file = snapshot.open(base_path(directory, wanted), mode, kind=KIND)
            journal = Journal(journal_path(directory, wanted), writable=writable)
        except (SnapshotMissing, StoreMissing):  # pruned meanwhile?
            if generation is not None or (attempt and serving(directory) == current):
                raise
            continue
        journal.expect_of(wanted, file.digest)
        if fetch:
            for section in file.sections.values():
                np.frombuffer(section, np.uint8)[::_PAGE].max(initial=0)
        base, start = Contents.read(file.sections, file.path), journal.start
        rules = Rules(base.lists, base.policy)
        prefixes = (rules.prefixes(),)
        tables = rules.tables(base.coverage, prefixes)
        editions = Editions.read(file.sections, file.path)
        state = State(wanted, base, file, start, start, base.lists, tables, prefixes, editions=editions)
        return _followed(state, journal), journal
    raise StoreMissing(directory, "a generation that stays", "one that was pruned each time")


def refreshed(state: State, directory: Path, *, writable: bool = False) -> tuple[State, Journal] | None:
    """A state with the changes since, and its journal; None where the directory does not hold it any more:
    it serves another generation, or has another history."""
    try:
        if serving(directory) != state.generation:
            return None
        if not state.file.is_at(base_path(directory, state.generation)):
            return None  # who opens the store now has another base, or none
        journal = Journal(journal_path(directory, state.generation), writable=writable)
    except StoreMissing:  # pruned
        return None
    if (journal.generation, journal.start) != (state.generation, state.base_position):
        return None
    return (_followed(state, journal), journal) if journal.holds(state.position) else None


def _followed(state: State, journal: Journal) -> State:
    """A state with all changes after it."""
    changes: list[Change] = []
    last: Record | None = None
    editions = state.editions
    try:
        for last in journal.records(state.position):
            payload = unpacked(last.payload, journal.path)
            changes += payload.changes
            editions = editions.after(payload, last.position.time)
        return state if last is None else changed(state, changes, last.position, editions)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise StoreDamaged(journal.path, "changes of the lists of its base", mask_text(repr(error))) from None


@contextmanager
def unpublished(directory: Path) -> Iterator[Path]:
    """A name that is nobody's: what is written there is to be moved to its own by who still may."""
    path = directory / f"{UNPUBLISHED}{secrets.token_hex(8)}"
    try:
        yield path
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


REMAINS = "put it back from a backup, or move the directory away"


def has_remains(directory: Path) -> bool:
    """Whether files are there that only a store leaves: of a later generation, or with changes. A store that
    was being made when the process ended leaves none of these."""
    later = any((generation_of(path) or 0) > 1 for path in directory.iterdir())
    first = journal_path(directory, 1)
    return later or (first.is_file() and first.stat().st_size > _journal.HEADER_SIZE)


def has_other_base(directory: Path, contents: Contents) -> bool:
    """Whether a first base is there of other lists than these, which ended before it was a store, or was one
    that never changed. O(members) if one is there."""
    path = base_path(directory, 1)
    if not path.is_file():
        return False
    try:
        file = snapshot.open(path, kind=KIND)
        there = Contents.read(file.sections, file.path)
        digests = [[one.digest() for one in some.lists] for some in (there, contents)]
    except SnapshotError:  # it was whole before it got its name
        return True
    return digests[0] != digests[1] or there.policy != contents.policy


@contextmanager
def saved(base: Contents, editions: Editions, directory: Path, generation: int) -> Iterator[Path]:
    """The base of a generation, `unpublished`."""
    with unpublished(directory) as path:
        base.save(path, generation=generation, beside=editions.sections())
        yield path


def publish_generation(
    directory: Path,
    generation: int,
    base: Path,
    position: Position,
    changes: Iterable[Record],
    expect_ours: Callable[[], object],
    history: Path | None = None,
) -> None:
    """Base, journal, and last of all the manifest that names them.

    base, history: where they are `unpublished`. expect_ours: raises where this process is not the writer any
    more.
    """
    expect_ours()
    file = snapshot.open(base, kind=KIND)
    Contents.read(file.sections, file.path)  # what cannot be read is not what serves
    Editions.read(file.sections, file.path)
    start = Position(position.sequence, file.digest, position.time)
    expect_ours()
    if history is not None:
        history.replace(history_path(directory, generation))
    base.replace(base_path(directory, generation))
    _journal.create(journal_path(directory, generation), generation, start, changes)
    expect_ours()
    with publish(directory / MANIFEST, private=False, of_store=True) as manifest:
        manifest.write(manifest_text(generation))
