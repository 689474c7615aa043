"""What a store is, and how old: itself, its feeds, its lists."""

import datetime
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from imeiset.register.policy import EquipmentStatus
from imeiset.store.events import moment
from imeiset.store.following import FollowStatus, follow_statuses
from imeiset.store.state import State

_MEBI = 1 << 20
_SKEW = 60  # seconds that clocks may differ by


class Age(NamedTuple):
    """When something was, how many seconds ago, and how many seconds ahead of the clock here."""

    changed: datetime.datetime
    age: float
    ahead: float

    @classmethod
    def of(cls, ns: int) -> "Age":
        """Of a time in ns since 1970, by the clock of whoever took it."""
        age = time.time() - ns / 1e9
        return cls(moment(ns), max(age, 0.0) if age > -_SKEW else math.inf, max(-age, 0.0))


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """How far a feed is.

    Attributes
    ----------
    number : int
        Of its last change that serves, or of the last that its full list contains.
    changed : datetime.datetime
        When that was applied, by the clock of the writer.
    age : float
        Seconds since then, as `Status.age`.
    """

    number: int
    changed: datetime.datetime
    age: float


@dataclass(frozen=True, slots=True)
class ListStatus:
    """What a list is, and how fresh.

    Attributes
    ----------
    status : EquipmentStatus
    kind, owner : str
        See `Register.add`; no owner is "".
    changed : datetime.datetime or None
        When a change last named it, an empty one too, or a full list replaced it. None: not since the store
        was made.
    age : float or None
        Seconds since then, as `Status.age`.
    """

    status: EquipmentStatus
    kind: str
    owner: str
    changed: datetime.datetime | None
    age: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """What a store is, and how old.

    Attributes
    ----------
    generation, sequence : int
        The base that serves, and the last change that does.
    changed : datetime.datetime
        When that change was made, by the clock of its writer; with no changes yet, when the store was made.
    age : float
        Seconds since then. Infinite if it is more than a minute ahead of the clock here: nobody knows how old
        such a store is.
    ahead : float
        Seconds that `changed` is ahead of the clock here; 0.0 where clocks are right.
    counts : dict
        By list and rule how much a list holds, see `Register.counts`.
    journal_records, journal_bytes, base_bytes : int
        Changes since the base, and the sizes of the two files.
    state_id : str
        Tells states apart: the same base and the same changes have the same.
    fault : str or None
        Why the last refresh of the watcher failed, or the last compaction that `compact="auto"` began.
    feeds : dict of str to FeedStatus
        How far each feed is.
    lists : dict of str to ListStatus
        What each list is, and when it was last heard of.
    compact_due : str or None
        Why compacting is due, if it is: "200,000 changes pending, 12% of the base". It is when the journal
        has an eighth of the bytes of the base, but not below 4 MiB, and at 256 MiB in any case.
    followed : dict of str to FollowStatus
        How following goes, of each feed that is published and followed.
    """

    generation: int
    sequence: int
    changed: datetime.datetime
    age: float
    ahead: float
    counts: dict[str, dict[str, int]]
    journal_records: int
    journal_bytes: int
    base_bytes: int
    state_id: str
    fault: str | None = None
    feeds: Mapping[str, FeedStatus] = field(default_factory=dict)
    lists: Mapping[str, ListStatus] = field(default_factory=dict)
    compact_due: str | None = None
    followed: Mapping[str, FollowStatus] = field(default_factory=dict)


def status_of(state: State, size: int, fault: str | None) -> Status:
    """The status of a state, with a journal of so many bytes."""
    position, editions = state.position, state.editions
    now = Age.of(position.time)
    named = {name: Age.of(time) for name, time in editions.named.items()}
    never = (None, None)
    return Status(
        generation=state.generation,
        sequence=position.sequence,
        changed=now.changed,
        age=now.age,
        ahead=now.ahead,
        counts={one.name: one.counts() for one in state.lists},
        journal_records=position.sequence - state.base_position.sequence,
        journal_bytes=size,
        base_bytes=state.file.nbytes,
        state_id=f"{position.digest:016x}",
        fault=fault,
        feeds={
            name: FeedStatus(feed.number, *Age.of(feed.time)[:2]) for name, feed in editions.feeds.items()
        },
        lists={
            one.name: ListStatus(one.status, one.kind, one.owner, *named.get(one.name, never)[:2])
            for one in state.lists
        },
        compact_due=compact_due(state),
        followed=_followed(state),
    )


def _followed(state: State) -> dict[str, FollowStatus]:
    """How following goes: read at each status, for it changes without the store."""
    numbers = {name: feed.number for name, feed in state.editions.feeds.items()}
    found = {}
    for feed, (edition, kept) in follow_statuses(Path(state.file.path).parent, numbers).items():
        # Written after the store moved: until then it tells of another edition.
        published = kept.published if kept.edition == edition else None
        age = Age.of(int(published.timestamp()) * 10**9).age if published else math.inf
        told = kept.checked, kept.fault, kept.since, kept.kind, kept.place
        found[feed] = FollowStatus(edition, published, age, *told)
    return found


def compact_due(state: State) -> str | None:
    """Why compacting is due: who opens the store reads all of the journal."""
    journal, base = state.position.end, state.file.nbytes
    if journal < min(max(base // 8, 4 * _MEBI), 256 * _MEBI):
        return None
    changes = state.position.sequence - state.base_position.sequence
    return f"{changes:,} changes pending, {journal * 100 // base}% of the base"


def fault_text(error: BaseException) -> str:
    """What is said of an error that nobody caught."""
    return str(error) or type(error).__name__
