"""Whether a front may be asked, and why not, in words.

`/healthz` says that the process lives, and nothing else: an old list is not a reason to restart anything.
`/readyz` says whether somebody should look: the fronts go on answering by the last lists that they have,
because a core that gets no answer lets the phone in.
"""

import math
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from imeiset.errors import mask_log, printable

SILENT = 5.0  # seconds after which a process that says nothing counts as gone
BEHIND = 5.0  # seconds that a process may take to see a change
_ONE = {"http": "HTTP worker", "s13": "S13 process", "admin": "admin process", "follow": "follower"}
_ALL = {"http": "HTTP workers", "s13": "S13 processes", "follow": "followers"}
_PASSING = 3600.0  # seconds for which a publisher may be out of reach before somebody should look
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


class Expected(NamedTuple):
    """What there should be.

    Attributes
    ----------
    processes : mapping of str to int
        How many of each kind.
    max_age : mapping of str to float
        Seconds since each list was last heard of, at most.
    """

    processes: Mapping[str, int] = {}
    max_age: Mapping[str, float] = {}

    @classmethod
    def of(cls, config: Any) -> "Expected":
        """By a configuration; None expects nothing."""
        if config is None:
            return cls()
        processes = {"http": config.http.workers * len(config.http.listen)} if config.http else {}
        if config.diameter:
            processes["s13"] = 1
        if config.follow:
            processes["follow"] = 1
        return cls(processes, config.ready.max_age)


class Followers:
    """Finds processes that do not follow the store: it notes when each change was first seen."""

    def __init__(self) -> None:
        self._newest: deque[tuple[float, int]] = deque(maxlen=64)
        self._mutex = threading.Lock()

    def take(self, sequences: Iterable[int], now: float) -> None:
        """Note the newest change that anybody has now."""
        newest = max(sequences, default=0)
        with self._mutex:
            if self._newest and newest < self._newest[-1][1]:
                self._newest.clear()  # another store is in its place
            if not self._newest or now - self._newest[-1][0] >= 1:
                self._newest.append((now, newest))

    def left_behind(self, processes: Iterable[Any], now: float) -> list[str]:
        """Which processes answer by a state that another one had passed long before they told of theirs."""
        found = []
        with self._mutex:
            newest = list(self._newest)
        for one in processes:
            passed = [sequence for time, sequence in newest if time <= one.beat - BEHIND]
            if passed and one.sequence < passed[-1] and is_alive(one, now):
                newer = f"change {passed[-1]:,} was there {BEHIND:g} s before"
                found.append(f"{name_of(one)} answers by change {one.sequence:,}, and {newer}")
        return found


def reasons(processes: Sequence[Any] | None, status: Any, expected: Expected, now: float) -> list[str]:
    """Why the fronts are not ready; nothing if they are.

    Parameters
    ----------
    processes : list of ProcessState, optional
        None where there is no run: the front is embedded in another server.
    status : imeiset.store.Status, optional
        Of the store as this process has it; None if it has none.
    expected : Expected
        What there should be.
    now : float
        Seconds since 1970.

    Returns
    -------
    list of str
        A sentence each.
    """
    found = [] if processes is None else of_processes(processes, expected.processes, now)
    if status is None:
        return [*found, "the store is not open"]
    if status.fault:
        found.append(f"the store cannot be read, its last state serves: {shown(status.fault)}")
    return found + of_followed(status, now) + of_lists(status, expected.max_age)


def of_processes(processes: Sequence[Any], expected: Mapping[str, int], now: float) -> list[str]:
    """What is wrong with the processes. Those that have ended as they were told to are not missed."""
    found = []
    for kind, count in expected.items():
        its = [one for one in processes if one.kind == kind and not one.ended]
        silent = [one for one in its if not is_alive(one, now)]
        if (there := len(its) - len(silent)) < count:
            found.append(f"{_ALL[kind]}: {there} of {count} run")
            ages = ((one, seconds(abs(now - one.beat))) for one in silent)
            found += [f"{name_of(one)} was last heard of {age} ago" for one, age in ages]
    cut_off = [one for one in processes if one.fault and is_alive(one, now)]
    return found + [f"{name_of(one)} cannot read the store: {shown(one.fault)}" for one in cut_off]


def of_followed(status: Any, now: float) -> list[str]:
    """Which publishers cannot be followed: at once if what they publish is refused or has expired, after an
    hour if they cannot be reached."""
    found = []
    for one in status.followed.values():
        lasts = now - one.since.timestamp() if one.fault and one.since else 0.0
        if one.fault and (one.kind in ("TrustRefused", "TrustStale") or lasts > _PASSING):
            found.append(f"edition {one.edition} serves, for {seconds(max(lasts, 0))}: {shown(one.fault)}")
    return found


def of_lists(status: Any, max_age: Mapping[str, float]) -> list[str]:
    """Which lists are missing or older than they may be."""
    found = []
    for name, most in max_age.items():
        one, called = status.lists.get(name), f"list {shown(name)!r}"
        age = None if one is None else one.age
        if one is not None and age is None and status.sequence == 0:
            age = status.age  # no change at all: as old as the store
        if one is None:
            found.append(f"{called} is missing")
        elif age is None:
            found.append(
                f"{called} was not heard of since the store was made, at most {seconds(most)} are allowed"
            )
        elif math.isinf(age):
            found.append(f"{called} was changed in the future by the clock here: nobody knows how old it is")
        elif age > most:
            found.append(
                f"{called} was last heard of {seconds(age)} ago, at most {seconds(most)} are allowed"
            )
    return found


def is_alive(process: Any, now: float) -> bool:
    """Whether a process runs, and said something lately.

    A beat in the future is one from before the clock went back.
    """
    return not process.ended and bool(abs(now - process.beat) <= SILENT)


def name_of(process: Any) -> str:
    """A process, as people call it."""
    return f"{_ONE.get(process.kind, process.kind)} {process.index}"


def seconds(count: float) -> str:
    """A duration, by the two largest units that it has.

    Examples
    --------
    >>> seconds(93784), seconds(7200), seconds(4.2)
    ('1 d 2 h', '2 h', '4 s')
    """
    left, words = round(count), []
    for unit, size in _UNITS:
        if left >= size:
            words.append(f"{left // size} {unit}")
            left %= size
        elif words:
            break
    return " ".join(words[:2]) or "0 s"


def shown(text: str) -> str:
    """A text of somebody else, as it may be shown."""
    return printable(mask_log(text))
