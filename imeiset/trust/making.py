"""The files of the next edition: what changed since the last one, or all there is; made here, and checked."""

import hashlib
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from imeiset._threads import in_threads
from imeiset.errors import TrustError
from imeiset.register.coverage import Coverage
from imeiset.register.layout import Contents
from imeiset.store import Store
from imeiset.store.net import net_changes
from imeiset.store.payload import Change
from imeiset.trust import delta as deltas
from imeiset.trust.edition import Edition, customs, editions
from imeiset.trust.metadata import now, tuf
from imeiset.trust.reports import ListReport


@dataclass(frozen=True, slots=True)
class Listed:
    """The editions that the targets of a place list, and the targets, by path."""

    editions: Mapping[str, Edition]
    targets: Mapping[str, Any]

    @classmethod
    def of(cls, targets: Any, place: str) -> "Listed":
        """Of metadata, or of None. TrustRefused for what is not understood."""
        every = targets.signed.targets if targets is not None else {}
        read = editions({path: one.custom for path, one in every.items()}, lambda path: f"{place}/{path}")
        return cls(read, dict(every))

    @property
    def current(self) -> int:
        """The highest edition; 0 if there is none."""
        return max((one.number for one in self.editions.values()), default=0)

    def says(self) -> tuple[int, dict[str, str]]:
        """The current edition, and the digests of its lists by name."""
        number = self.current
        some = (one.lists for one in self.editions.values() if one.number == number)
        return number, {name: about.digest for lists in some for name, about in lists.items()}

    @property
    def base(self) -> str | None:
        """The path of the newest base."""
        bases = {one.number: path for path, one in self.editions.items() if one.kind == "base"}
        return bases[max(bases)] if bases else None


@dataclass(frozen=True, slots=True)
class Made:
    """The files of an edition, here, and what is said of them.

    files: those that are put, by the path of their target. targets: all that are listed then, by path.
    """

    edition: Edition
    files: Mapping[str, Path]
    targets: Mapping[str, Any]
    lists: Mapping[str, ListReport]

    @property
    def bytes(self) -> int:
        """Of the files."""
        return sum(int(self.targets[path].length) for path in self.files)


def selected(store: Store, names: Iterable[str] | None) -> Contents:
    """The lists of a store as they are published: flat, and without owners. O(members)."""
    if isinstance(names, str):
        raise TypeError(f"lists: expected names, got one text: [{names!r}]")
    contents = store._state.flattened()
    wanted = None if names is None else [*names]
    for name in wanted or ():
        if name not in store:
            raise ValueError(f"lists: expected some of {', '.join(store) or 'none'}, got {name!r}")
    lists = tuple(replace(one, owner="") for one in contents.lists if wanted is None or one.name in wanted)
    whole = len(lists) == len(contents.lists)
    return Contents(lists, contents.policy, contents.coverage if whole else Coverage.of_lists(lists))


def made(
    folder: Path,
    lists_path: Path,
    old: Contents | None,
    new: Contents,
    listed: Listed,
    number: int,
    *,
    base: bool,
    base_every: int,
) -> Made | None:
    """The files of edition `number`; None if nothing has changed and no base is asked for. O(members).

    old: the lists as of the current edition, None if a base has to follow it. lists_path: of the file of all
    lists, which is the base if that is due.
    """
    before = listed.editions[listed.base] if listed.base is not None else None
    same_policy = before is not None and before.policy == new.policy
    changes = None if old is None else _delta(folder / "next.delta", old, new)
    if changes == () and same_policy and not base:
        return None

    def check_and_save() -> None:
        if old is not None and changes:
            _expect_leads(changes, old, new, folder)
        new.save(lists_path)

    # The digests take as long as all the rest.
    digests = partial(Edition.of, new.lists, number, now(), policy=new.policy)
    _, edition = in_threads(lambda work: work(), (check_and_save, digests))
    files, targets, told = dict[str, Path](), dict[str, Any](), {**listed.editions}
    if changes is not None:
        since = min(number - base_every, before.number if before is not None else 0)
        for path, one in listed.editions.items():
            if one is before or (one.kind == "delta" and one.number > since):
                targets[path] = copy(listed.targets[path])
        path = f"delta-{number:08d}.imei"
        files[path] = folder / "next.delta"
        told[path] = replace(edition, kind="delta", policy=None)
        targets[path] = _target(path, files[path])
    if base or not same_policy or changes is None or _base_is_due(targets, listed, number, base_every):
        path = f"base-{number:08d}.imei"
        targets.pop(listed.base or "", None)
        files[path] = lists_path
        told[path] = edition
        targets[path] = _target(path, lists_path)
    else:
        edition = replace(edition, kind="delta", policy=None)
    for target, custom in zip(targets.values(), customs(told[path] for path in targets), strict=True):
        target.unrecognized_fields = {"custom": custom}
    return Made(edition, files, targets, _told(old, new, changes))


def _delta(path: Path, old: Contents, new: Contents) -> tuple[Change, ...] | None:
    """Write what changed; None if only a base tells it."""
    try:
        deltas.write(path, old.lists, new.lists)
    except deltas.NoDelta:
        return None
    return deltas.read(path)


def _expect_leads(changes: tuple[Change, ...], old: Contents, new: Contents, folder: Path) -> None:
    """Raise TrustError unless followers would have the new lists after the changes. O(members)."""
    after = deltas.lists_after(old.lists, changes)
    order = [one.name for one in after] == [one.name for one in new.lists]
    if not order or next(net_changes(after, new.lists), None) is not None:
        raise TrustError(str(folder), "a delta that leads from the last edition to this one", "another")


def _base_is_due(targets: Mapping[str, Any], listed: Listed, number: int, base_every: int) -> bool:
    """Whether the last base is old, or what came after it weighs half of it."""
    assert listed.base is not None
    since = listed.editions[listed.base].number
    weight = sum(
        target.length
        for path, target in targets.items()
        if path not in listed.editions or listed.editions[path].number > since
    )
    return bool(number - since >= base_every or 2 * weight > listed.targets[listed.base].length)


def _told(old: Contents | None, new: Contents, changes: tuple[Change, ...] | None) -> dict[str, ListReport]:
    """What an edition changes, by list."""
    counts = {one.name: one.counts() for one in new.lists}
    status = {one.name: one.status.name for one in new.lists}
    if old is None or changes is None:
        moved = {name: (sum(some.values()), 0) for name, some in counts.items()}
    else:
        moved = deltas.moved(changes, old.lists)
    gone = [one.name for one in (old.lists if old is not None else ()) if one.name not in counts]
    return {
        name: ListReport(status.get(name, ""), *moved.get(name, (0, 0)), counts.get(name, {}))
        for name in (*counts, *gone)
    }


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _target(path: str, file: Path) -> Any:
    return tuf().TargetFile(file.stat().st_size, {"sha256": sha256_of(file)}, path)
