"""Lists that follow a publisher: its changes as they are made here, and how following goes.

    followed/H/state.json   in the directory of a store, H the first 16 hexadecimal digits of the SHA-256 of
                            the name of the feed, JSON in UTF-8:
                            {"feed": F, "place": text, "edition": N, "lists": D, "published": T,
                             "checked": T, "fault": text, "kind": text, "since": T}

F is the name of the feed, "place" where it is published, without credentials, N the edition that the store
had last, D what tells its lists from those of another edition of that number, T a time "2026-01-31T12:00:00Z"
in UTC: when the publisher made that edition, by its clock; when the place was last read and was as it should
be; and since when it is not, for which "fault" is the reason and "kind" the name of the error. What is not
known is null, or "" for a text.
"""

import datetime
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imeiset._files import publish
from imeiset.errors import StoreOwner
from imeiset.register.dumps import dump
from imeiset.register.lists import List
from imeiset.store.changes import change_of
from imeiset.store.expiry import emptied
from imeiset.store.payload import LIST_RULE, MAX_NUMBER, Change

_FOLDER, _FILE = "followed", "state.json"
_MOST, _LONGEST = 256, 1 << 16  # feeds, and bytes of a file, that a status reads
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_TIMES = ("published", "checked", "since")

# ---- what is followed ---------------------------------------------------------------


def followed(
    directory: Path, changes: Iterable[Change], lists: Sequence[List], feed: str, prefix: str
) -> Iterator[Change]:
    """Changes of published lists as a store makes them: by the feed, under the names here. A list that goes
    takes with it all that it holds, which history can tell then. StoreOwner for a list of somebody else."""
    known = {one.name: one for one in lists}
    for change in changes:
        name, about = prefix + change.about["list"], change.about
        one = known.get(name)
        if one is not None and one.owner != feed:
            owner = f"{one.owner!r}" if one.owner else "nobody"
            raise StoreOwner(
                directory,
                f"list {name!r} to be that of feed {feed!r}",
                f"one of {owner}: follow with a prefix for the names of lists",
            )
        if one is None and not (about["rule"] == LIST_RULE and about["add"]):
            raise ValueError(f"list {name!r}: changes of a list that is not there")
        if about["rule"] == LIST_RULE:
            if about["add"]:
                about = {**about, "add": {**about["add"], "owner": feed}}
                known[name] = List(name, **about["add"])
            elif one is not None:
                yield from (change_of(delta, lists, feed) for delta in emptied(one))
                del known[name]
        yield replace(change, about={**about, "list": name, "by": feed})


# ---- how it goes --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FollowStatus:
    """How following a publisher goes.

    Attributes
    ----------
    edition : int
        That is here; 0 for none yet.
    published : datetime.datetime or None
        When it was published, by the publisher's clock. None where that is not known.
    age : float
        Seconds since then, as `Status.age`; infinite where it is not known.
    checked : datetime.datetime or None
        When its place was last read, and all was as it should be.
    fault : str or None
        Why the last time failed.
    since : datetime.datetime or None
        When it failed first since it was last well.
    kind : str or None
        The name of the error of the fault, such as "TrustStale".
    place : str
        Where it is published, without credentials.
    """

    edition: int
    published: datetime.datetime | None = None
    age: float = math.inf
    checked: datetime.datetime | None = None
    fault: str | None = None
    since: datetime.datetime | None = None
    kind: str | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class Following:
    """What is kept of how following a feed goes. See `FollowStatus`; times are in UTC and whole seconds."""

    feed: str
    edition: int = 0
    published: datetime.datetime | None = None
    checked: datetime.datetime | None = None
    fault: str | None = None
    since: datetime.datetime | None = None
    kind: str | None = None
    place: str = ""
    lists: str = ""

    @staticmethod
    def folder(directory: Path, feed: str) -> Path:
        """Where a store keeps what it knows of a feed that it follows."""
        return directory / _FOLDER / hashlib.sha256(feed.encode()).hexdigest()[:16]

    def well(
        self, now: datetime.datetime, edition: int, published: datetime.datetime, lists: str = ""
    ) -> "Following":
        """After a time that went well. lists: what tells those of the edition from others."""
        return Following(self.feed, edition, published, now, place=self.place, lists=lists)

    def failed(self, now: datetime.datetime, fault: str, kind: str | None = None) -> "Following":
        """After a time that did not. kind: the name of the error."""
        return replace(self, fault=fault, kind=kind, since=self.since or now)

    def write(self, directory: Path) -> None:
        """Keep it. The folder is there. OSError."""
        told: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in _TIMES:
            told[name] = told[name] and told[name].astimezone(datetime.UTC).strftime(_TIME)
        with publish(self.folder(directory, self.feed) / _FILE, private=False) as file:
            file.write(dump(told) + b"\n")

    @classmethod
    def read(cls, directory: Path, feed: str) -> "Following":
        """What was kept last; nothing, of a file that is not there or damaged."""
        found = _read(cls.folder(directory, feed) / _FILE)
        return found if found is not None and found.feed == feed else cls(feed)


def _read(path: Path) -> Following | None:
    """None for what `Following.write` does not make."""
    with suppress(OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        with path.open("rb") as file:
            told = json.loads(file.read(_LONGEST))
        for name in _TIMES:
            if told[name] is not None:
                when = datetime.datetime.strptime(told[name], _TIME)
                told[name] = when.replace(tzinfo=datetime.UTC)
        found = Following(**{name: told[name] for name in Following.__dataclass_fields__})
        texts = all(isinstance(text, str) for text in (found.feed, found.place, found.lists))
        faults = isinstance(found.fault, str | None) and isinstance(found.kind, str | None)
        if texts and faults and type(found.edition) is int and 0 <= found.edition <= MAX_NUMBER:
            return found
    return None


def follow_statuses(directory: Path, editions: Mapping[str, int]) -> dict[str, tuple[int, Following]]:
    """What is kept of each feed that a store follows, and the edition of it that is here."""
    found: dict[str, tuple[int, Following]] = {}
    folders = []
    with suppress(OSError):
        folders = sorted((directory / _FOLDER).iterdir())[:_MOST]
    names = {Following.folder(directory, feed): feed for feed in editions} if folders else {}
    for folder in folders:
        kept = _read(folder / _FILE)
        if kept is None and folder in names and (folder / _FILE).exists():
            kept = Following(names[folder], fault=f"{_FOLDER}/{folder.name}/{_FILE} is damaged")
        if kept is not None:
            found[kept.feed] = editions.get(kept.feed, 0), kept
    return found
