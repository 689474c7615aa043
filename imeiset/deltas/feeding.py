"""A directory of one feed, full lists and deltas, brought into a store in order: `feed`."""

import datetime
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from ..errors import FeedConflict, FeedError, FeedMissing, StoreSequence, printable
from ..feeds.description import Description, Listing, lists_of, polarity_of
from ..feeds.loader import Progress
from ..feeds.options import Options
from ..feeds.registers import load_register
from ..register.kinds import FILE_KINDS, FileKind
from ..register.lists import List
from ..store import Store
from ..store.changes import named
from .apply import MIN_SIZE, reading_of
from .changes import CHECKS, change_by_name, understood
from .grouping import LONGEST_REF, Group, Seen, groups_of, ref_of
from .naming import Named, files_of, form_of, shown
from .report import ApplyReport
from .stored import Numbering, Part, apply_parts, read_changes, rule_for

_REMEMBERED = 64  # changes of a feed that a store can tell from others of their number
_NAMED_MOST = 4  # files that a message names
_EVER = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)  # before all changes


@dataclass(frozen=True, slots=True)
class FeedStep:
    """What became of one file, or of several that are one change.

    Attributes
    ----------
    files : tuple of str
        Their names.
    action : str
        'applied', 'replaced', 'contained' (the store has it), 'left out' (not a list, or not understood) or
        'waiting' (for what is missing).
    number : int
        That of the change, or of the last one in a full list; 0 where there is none.
    why : str
        In words, where there is more to say.
    reports : tuple
        Of the deltas an `ApplyReport`; of full lists a `ListReport` each.

    Examples
    --------
    >>> from imeiset.deltas import FeedStep
    >>> FeedStep(("delta_7.csv",), "contained", 7).action
    'contained'
    """

    files: tuple[str, ...]
    action: str
    number: int = 0
    why: str = ""
    reports: tuple[Any, ...] = field(default=(), repr=False)


Tell = Callable[[FeedStep], None]


def feed(
    directory: str | os.PathLike[str],
    store: Store,
    *,
    feed: str | None = None,
    description: str | os.PathLike[str] | None = None,
    number: str | None = None,
    deltas: str | None = None,
    full: str | None = None,
    checks: Iterable[str] = CHECKS,
    min_size: float = MIN_SIZE,
    force: bool = False,
    outcomes: str | os.PathLike[str] | None = None,
    told: Tell | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> list[FeedStep]:
    """Apply the files of a feed to a store, in order, as far as it does not have them yet.

    Each file has a number in its name, see `imeiset.deltas.naming`. A delta is applied if it follows what the
    store has of the feed. A full list contains the changes up to its number; it replaces the feed's lists
    where the deltas before it are not there. What the store has is not applied again.

    Parameters
    ----------
    directory
        Its files, and not those of directories in it. Those whose names begin with '.' do not count.
    store
        The store. Lists of the feed are those that it owns, and those of the description.
    feed
        The name of the feed. None: that of the directory.
    description
        A TOML file, as for `load_register`: how files are read, list by list, and what a new list is. Which
        files it names does not matter. None: the lists of the store.
    number
        A regular expression with a group for the number in a name, and perhaps one for that before it.
        Numbers are days (20261130) or hours (2026113023) if each of them is one, and the store's last too;
        but those of a group with the name 'counter', as r'_(?P<counter>[0-9]+)', never are.
    deltas, full
        Patterns of names that are such, as '*_inc_*', whatever words they have.
    checks, min_size
        See `apply`.
    force
        Take the newest full list, though the store may have it, whatever its size.
    outcomes
        A directory. Each delta that is applied or refused goes there with what became of its rows, under its
        name with '.outcomes.csv' after it.
    told
        Called with each step when it is done.
    progress, **options
        As for `apply`; options count before those of the description.

    Returns
    -------
    list of FeedStep
        What became of each file.

    Raises
    ------
    FeedMissing
        Changes are missing, and no newer full list is there. What came before is done.
    FeedConflict
        Two files have one number and differ, or a file with a number in its name is not understood. What is
        understood is done.
    StoreSequence
        A file has another content than was applied under its number. Everything else is done.
    FeedError, StoreError
        As `apply`, `load_register` and `Store.replace` do. What came before is done.

    Notes
    -----
    Deltas that the store has are read again, the last 64 of them, to see that they are the same.

    Examples
    --------
    >>> import imeiset, pathlib, tempfile
    >>> from imeiset import EquipmentStatus, Register, Store
    >>> register = Register()
    >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED, owner="op-a")
    >>> with tempfile.TemporaryDirectory() as folder, Store.create(f"{folder}/eir", register) as store:
    ...     path = pathlib.Path(folder, "delta_1.csv")
    ...     _ = path.write_text("imei,change_type\\n356938035643809,add\\n")
    ...     steps = imeiset.feed(folder, store, feed="op-a")
    ...     steps[0].action, len(store["stolen"])
    ('applied', 2)
    """
    folder = Path(directory)
    name = folder.resolve().name if feed is None else feed
    run = _Run(folder, store, name, description, options, understood(None, checks), min_size, force, progress)
    run.outcomes = None if outcomes is None else Path(outcomes)
    if not folder.is_dir():
        raise FeedMissing(str(folder), "a directory of a feed", "none")
    files = files_of(folder, run.names, number=number, deltas=deltas, full=full, last=run.position)
    steps: list[FeedStep] = []

    def tell(step: FeedStep) -> None:
        steps.append(step)
        if told:
            told(step)

    for file in files:
        if file.why:
            tell(FeedStep((file.name,), "left out", why=file.why))
    known = [file for file in files if not file.why]
    if number is None:
        run.expect_scale(known)
    run.follow(known, tell)
    if doubtful := [file for file in files if file.is_doubtful]:
        got = "; ".join(f"{file.name}: {file.why}" for file in doubtful[:_NAMED_MOST])
        more = f"; and {len(doubtful) - _NAMED_MOST} more" if len(doubtful) > _NAMED_MOST else ""
        raise FeedConflict(str(folder), "files whose names say what they are", got + more)
    return steps


@dataclass
class _Run:
    """One run over a directory."""

    folder: Path
    store: Store
    feed: str
    description: str | os.PathLike[str] | None
    options: dict[str, Any]
    checks: set[str]
    min_size: float
    force: bool
    progress: Progress | None
    outcomes: Path | None = None

    def __post_init__(self) -> None:
        self.described: tuple[Listing, ...] = () if self.description is None else lists_of(self.description)
        own = [one.name for one in self.store.lists if one.owner == self.feed]
        self.names = list(dict.fromkeys([*own, *(one.name for one in self.described)]))
        if not self.names:
            owners = ", ".join(sorted({one.owner for one in self.store.lists} - {""})) or "none"
            expected = f"a feed that owns lists in the store ({owners}), or --description for new ones"
            raise FeedMissing(str(self.folder), expected, f"feed {self.feed!r}: --feed names another")

    @property
    def position(self) -> int:
        """The number up to which the store has the feed; -1 of one that has sent nothing: full lists may have
        the number 0."""
        return self.store.feeds.get(self.feed, -1)

    def expect_scale(self, files: Sequence[Named]) -> None:
        """Raise FeedConflict for days where the feed had hours, or counters: they would pass for old."""
        forms = {form_of(file.number) for file in files}
        if self.position > 0 and files and not self.force and form_of(self.position) not in forms:
            expected = f"numbers like the feed's last, {shown(self.position)}"
            got = f"{shown(files[-1].number)} ({files[-1].name}): --number says which part of names it is"
            raise FeedConflict(str(self.folder), expected, got)

    def follow(self, files: Sequence[Named], tell: Tell) -> None:
        """Go from the number that the store has as far as the files lead. They are in order."""
        left, lists = groups_of(files), {file.list for file in files}
        heard = lists | self._heard()
        whole = [group for group in left if not group.is_delta and group.lists >= lists]
        if self.force and whole:
            left.remove(whole[-1])
            tell(self._replaced(whole[-1]))
        wrong = self._contradicted(left)  # of what the store has now: force may have gone back
        for at in range(len(left) - 1, -1, -1):
            if left[at].number <= self.position and (late := self._late(left[at])):
                after = [one.number for one in left if one.is_after(late) and one.number <= self.position]
                if after:
                    wrong.append(self._too_late(late, after[-1]))
                    continue
                tell(self._replaced(late, through=self.position))
                left[at : at + 1] = left[at].without(late)
        unheard = {name for name, one in self.store.status().lists.items() if one.changed is None}
        passed = [one for one in left if one.is_delta and one.number <= self.position]
        wrong += [self._too_late(one, one.number) for one in passed if one.lists & unheard]
        while True:
            last = self.position
            for group in (one for one in left if one.number <= last):
                tell(FeedStep(group.names, "contained", group.number))
            left = [group for group in left if group.number > last]
            newer = [group for group in left if not group.is_delta and group.lists >= heard]
            first = max(last, 0)
            if newer and newer[0].number <= first:  # of a feed that has sent nothing
                following = newer[:1]
            else:
                following = [group for group in left if group.after == first] or newer[:1]
            if not following:
                break
            group = following[-1]
            left.remove(group)
            tell(self._applied(group) if group.is_delta else self._replaced(group))
        for group in left:
            tell(FeedStep(group.names, "waiting", group.number))
        if wrong:
            raise wrong[0]
        if left:
            raise self._missing(left[0], heard)

    def _heard(self) -> set[str]:
        """The lists whose changes are lost with those that a full list of others goes past."""
        if self.position < 0:
            return set()
        names = [one.name for one in self.described if not one.prefixes] or self.names
        lists = self.store.status().lists
        return {name for name in names if name in lists and lists[name].changed is not None}

    def _contradicted(self, groups: Sequence[Group]) -> list[StoreSequence | FeedConflict]:
        """What is in the last deltas that the store has, if it is not what was applied."""
        lists = {*self.store}
        had = [one for one in groups if one.number <= self.position and one.lists <= lists and one.is_delta]
        had = [one for one in had if one.follows or not any(map(one.is_beside, groups))]
        found: list[StoreSequence | FeedConflict] = []
        for group in had[-_REMEMBERED:]:
            try:
                self._apply(group, outcomes=False)
            except (StoreSequence, FeedConflict) as error:
                found.append(error)
            except FeedError:
                pass  # it cannot be read any more, and need not be
        return found

    def _late(self, group: Group) -> "Group | None":
        """Of full lists whose number the store has passed, those that it has not seen: they came after others
        of their number, or after changes of others."""
        if group.is_delta:
            return None
        status = self.store.status()
        changed = {name: one.changed for name, one in status.lists.items()}
        if group.number < self.position:  # what a change has named since cannot go back
            files = tuple(file for file in group.files if changed.get(file.list, _EVER) is None)
            return Group(files) if files else None
        seen = [changed.get(name) or _EVER for name in group.lists]
        return group if min(seen) < status.feeds[self.feed].changed else None

    def _too_late(self, group: Group, number: int) -> FeedConflict:
        """The error of what the feed has passed without it. number: of the first full list with it."""
        expected = f"a full list {shown(number)} or newer of {', '.join(sorted(group.lists))}, with --force"
        got = f"{', '.join(group.names)}, which came when the feed was past it"
        return FeedConflict(str(self.folder), expected, got)

    def _missing(self, group: Group, lists: set[str]) -> FeedMissing:
        last, of = self.position, f"of feed {self.feed!r}"
        if not group.is_delta:
            others = ", ".join(sorted(lists - group.lists))
            got = f"none, beside {', '.join(group.names)}: --description says which lists the feed sends"
            return FeedMissing(str(self.folder), f"full lists {shown(group.number)} of {others} too", got)
        expected = f"the change after {shown(last)} {of}" if last > 0 else f"a full list or change 1 {of}"
        got = f"{', '.join(group.names)}, which comes after {shown(group.after or 0)}"
        return FeedMissing(str(self.folder), f"{expected}; or a newer full list", got)

    # ---- deltas ------------------------------------------------------------------------------------

    def _applied(self, group: Group) -> FeedStep:
        return FeedStep(group.names, "applied", group.number, reports=(self._apply(group),))

    def _apply(self, group: Group, *, outcomes: bool = True) -> ApplyReport:
        """Apply the files of one change. They may be several: what is blocked, unblocked and changed."""
        parts, seen = [], Seen(self.folder)
        for file in group.files:
            one, path = self._list(file.list), os.fspath(file.path)
            polarity = polarity_of(one.kind, one.status)
            if (digest := seen.add(file, change_by_name(path, polarity))) is None:
                continue
            rule = rule_for(path, one)
            described = self.description if any(one.name == file.list for one in self.described) else None
            reading, _ = reading_of(self.options, described, one.name, rule)
            told = None
            if self.outcomes is not None and outcomes:
                told = os.fspath(self.outcomes / f"{file.name}.outcomes.csv")
            changes = read_changes(path, None, reading, told, self.progress, rule, polarity, alone=False)
            parts.append(Part(file.list, changes, reading, told, ref_of(file.name, digest)))
        parts.sort(key=lambda part: not len(part.changes.removes))  # of one list, removals come first
        report = ApplyReport()
        numbering = Numbering(sequence=group.number, feed=self.feed, after=group.after)
        min_size = 0 if self.force else self.min_size
        apply_parts(self.store, parts, self.checks, report, min_size=min_size, numbering=numbering)
        return report

    def _list(self, name: str) -> List:
        """A list of the store, which may be new."""
        if name not in self.store:
            [one] = self._described(name)
            kind = FILE_KINDS[one.kind][0]
            more = {"owner": self.feed, "reason": one.reason or ""}
            self.store.add_list(name, status=one.status, kind=kind, by=self.feed, **more)
        return named(self.store.lists, name)

    # ---- full lists --------------------------------------------------------------------------------

    def _replaced(self, group: Group, *, through: int | None = None) -> FeedStep:
        """Put full lists in the place of those of the feed. Lists without files stay as they are.

        through: the number that the feed has then, if not that of the lists.
        """
        seen = Seen(self.folder)
        files = {file: digest for file in group.files if (digest := seen.add(file)) is not None}
        listings = [replace(self._listing(file), files=(os.fspath(file.path),)) for file in files]
        listings += [one for one in self.described if one.prefixes and one.name not in group.lists]
        listings = [replace(one, owner=self.feed) for one in listings]
        path = str(self.folder) if self.description is None else os.fspath(self.description)
        loaded = load_register(Description(path, self.store.policy, tuple(listings)), progress=self.progress)
        refs = [ref_of(file.name, digest, of=len(files)) for file, digest in files.items()]
        self.store.replace(
            loaded.register,
            feed=self.feed,
            through=group.number if through is None else through,
            keep=True,
            ref=", ".join(refs)[:LONGEST_REF],
            shrink=100 - self.min_size,
            force=self.force,
        )
        others = [name for name in self.names if name in self.store and name not in loaded.register]
        why = f"without {', '.join(map(printable, others))}, as before" if others else ""
        return FeedStep(group.names, "replaced", group.number, why, loaded.reports)

    def _listing(self, file: Named) -> Listing:
        """How a full list is read."""
        if found := self._described(file.list):
            if len(found) == 1:
                return replace(found[0], options=replace(found[0].options, **self.options))
            expected = f"one table of list {file.list!r} in the description"
            raise FeedConflict(str(self.folder), expected, f"{len(found)}: a file is of one kind")
        one = named(self.store.lists, file.list)
        kind = cast(FileKind, one.kind)
        return Listing(one.name, kind, one.status, one.reason, options=Options(**self.options))

    def _described(self, name: str) -> list[Listing]:
        return [one for one in self.described if one.name == name]
