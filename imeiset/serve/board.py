"""What the processes of `imeiset serve` tell one another: counts, their state, and the configuration.

Each process publishes a file in the folder of the run, by rename; whoever wants to know reads all of them. A
file that is torn, or is not there, is one of a process that has not told anything yet.
"""

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from imeiset.serve.config import Config, dumped, loaded

_CONFIG = "config.json"
BEAT = 0.5
"""Seconds between two files of a process."""

Check = tuple[str, int, str]
"""An interface ("5g", "s13", "http"), an EquipmentStatus as a number, and the rule of verdicts."""
Error = tuple[str, str]
"""An interface, and a cause in the words of its contract."""


class Verdict(Protocol):
    """What is counted of a verdict."""

    @property
    def status(self) -> Any: ...
    @property
    def rule(self) -> Any: ...


class Totals(NamedTuple):
    """Counts at one time."""

    checks: Mapping[Check, int]
    errors: Mapping[Error, int]

    def __add__(self, other: "Totals") -> "Totals":  # type: ignore[override] # not those of a tuple
        return Totals(_sum(self.checks, other.checks), _sum(self.errors, other.errors))


def _sum(one: Mapping[Any, int], other: Mapping[Any, int]) -> dict[Any, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in one.keys() | other.keys()}


NOTHING = Totals({}, {})


class Counts:
    """What the fronts of one process answered. Any number of threads may count.

    Attributes
    ----------
    checks, errors : dict
        How many, by `Check` and by `Error`.
    collect : list of callable
        Called before totals are taken. A front that counts on its own adds one, which hands its counts over.

    Examples
    --------
    >>> from imeiset.serve.board import Counts
    >>> counts = Counts()
    >>> counts.checked("http", 1, "exact", 20)
    >>> counts.error("5g", "MANDATORY_QUERY_PARAM_MISSING")
    >>> counts.totals().checks
    {('http', 1, 'exact'): 20}
    """

    def __init__(self) -> None:
        self.checks: dict[Check, int] = {}
        self.errors: dict[Error, int] = {}
        self.collect: list[Callable[[], object]] = []
        self._mutex = threading.Lock()

    def check(self, interface: str, verdict: Verdict) -> None:
        """Count one check."""
        key = (interface, verdict.status, verdict.rule)
        with self._mutex:
            self.checks[key] = self.checks.get(key, 0) + 1

    def checked(self, interface: str, status: int, rule: str, count: int) -> None:
        """Count several checks with the same outcome."""
        key = (interface, status, rule)
        with self._mutex:
            self.checks[key] = self.checks.get(key, 0) + count

    def error(self, interface: str, cause: str, count: int = 1) -> None:
        """Count requests that got an error, or rows of one."""
        key = (interface, cause)
        with self._mutex:
            self.errors[key] = self.errors.get(key, 0) + count

    def totals(self) -> Totals:
        """All that was counted, until now."""
        for hand_over in self.collect:
            hand_over()
        with self._mutex:
            return Totals(dict(self.checks), dict(self.errors))


@dataclass(frozen=True, slots=True)
class Peer:
    """A Diameter peer. state: "open", "closing" or "closed"; since: time.time()."""

    host: str
    address: str
    state: str
    since: float


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What a process told last.

    Attributes
    ----------
    kind, index : str, int
        "http", "s13" or "admin", and the seat that it has: any that was free.
    pid, parent : int
        It, and who started it. A pid of 0: it ended, and is not missed.
    started, beat : float
        When it began, and when it told this: time.time().
    starts : int
        How many processes have had this kind and index.
    generation, sequence, state_id : int, int, str
        Of the state of the store that serves; 0 and "" while it could not be opened yet.
    fault : str or None
        Why the last refresh failed, or why the store cannot be opened. What served before does so on.
    refresh_faults : int
        How many of the refreshes failed.
    counts : Totals
        With those of the processes before it.
    peers : tuple of Peer
    """

    kind: str
    index: int
    pid: int
    started: float
    beat: float
    parent: int = 0
    starts: int = 1
    generation: int = 0
    sequence: int = 0
    state_id: str = ""
    fault: str | None = None
    refresh_faults: int = 0
    counts: Totals = NOTHING
    peers: tuple[Peer, ...] = field(default=())

    @property
    def age(self) -> float:
        """Seconds since it told something."""
        return max(0.0, time.time() - self.beat)

    @property
    def ended(self) -> bool:
        """Whether it ended and is not missed: it was told to, or another one has taken its place."""
        return not self.pid


class Board:
    """The folder of a run, for all who read and write there."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def processes(self) -> list[ProcessState]:
        """What each process told last, those that have ended too, in the order of kinds and indices."""
        found = []
        for path in self.folder.glob("*-*.json"):
            state = read_state(path)
            if state is not None:
                found.append(state)
        return sorted(found, key=lambda state: (state.kind, state.index))

    def totals(self) -> Totals:
        """The counts of all processes of the run, those that have ended too."""
        return summed(self.processes())

    def bury(self) -> None:
        """Say of all that died without a word, and have no successor in their seats, that they ended."""
        for state in self.processes():
            path = self.folder / f"{state.kind}-{state.index}.json"
            if not state.ended and (lock := _lock(path)) is not None:
                if (last := read_state(path)) is not None:
                    write(path, json.dumps(_plain(replace(last, pid=0))))
                os.close(lock)

    def publish(self, config: Config) -> None:
        """The configuration that is in force from now on."""
        write(self.folder / _CONFIG, dumped(config))

    def is_published(self) -> bool:
        """Whether a configuration is there."""
        return (self.folder / _CONFIG).exists()

    def config(self) -> Config:
        """The configuration in force."""
        return loaded((self.folder / _CONFIG).read_text())

    def config_mark(self) -> tuple[int, int]:
        """Another one, when another configuration is in force."""
        there = (self.folder / _CONFIG).stat()
        return there.st_ino, there.st_mtime_ns


def summed(states: Iterable[ProcessState]) -> Totals:
    """The counts of processes."""
    total = NOTHING
    for state in states:
        total += state.counts
    return total


class Seat:
    """The place of a process on the board: a file, and a lock that says that it lives.

    It is the first of its kind that is free. Who takes it counts on from where the one before ended, so that
    counts never go back.
    """

    def __init__(self, board: Board, kind: str) -> None:
        index = 0
        while (lock := _lock(board.folder / f"{kind}-{index}.json")) is None:
            index += 1
        self._lock = lock
        self._path = board.folder / f"{kind}-{index}.json"
        before, now = read_state(self._path), time.time()
        self._before = before or ProcessState(kind, index, 0, now, now, starts=0)
        self.state = replace(
            ProcessState(kind, index, os.getpid(), now, now),
            parent=os.getppid(),
            starts=self._before.starts + 1,
        )

    def beat(self) -> None:
        """Say that it lives, and no more: also where the disk is full."""
        os.utime(self._lock)

    def publish(self, counts: Totals, *, ended: bool = False, refresh_faults: int = 0, **told: Any) -> None:
        """Tell what is so now: see `ProcessState`. Counts and faults are those of this process."""
        before = self._before
        told |= {"counts": counts + before.counts, "refresh_faults": refresh_faults + before.refresh_faults}
        state = replace(self.state, beat=time.time(), **told)
        write(self._path, json.dumps(_plain(replace(state, pid=0) if ended else state)))


def last_beat(folder: Path, state: ProcessState) -> int | None:
    """When a process last said that it lives, as the file system has it; None if nobody knows."""
    try:
        return (folder / f"{state.kind}-{state.index}.lock").stat().st_mtime_ns
    except OSError:
        return None


def _lock(path: Path) -> int | None:
    """The lock of the process whose file it is, as a descriptor; None if it lives."""
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def write(path: Path, data: str | bytes) -> None:
    """A file of this, or the one that was there before, whole. It need not outlive a power cut."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def read_state(path: Path) -> ProcessState | None:
    """The state in a file; None if there is none to be had."""
    try:
        given = json.loads(path.read_text())
        known = {one.name for one in fields(ProcessState)}
        counts, peers = given.pop("counts"), given.pop("peers")
        return ProcessState(
            **{name: value for name, value in given.items() if name in known},
            counts=Totals(
                {(interface, status, rule): n for interface, status, rule, n in counts["checks"]},
                {(interface, cause): n for interface, cause, n in counts["errors"]},
            ),
            peers=tuple(Peer(**peer) for peer in peers),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _plain(state: ProcessState) -> dict[str, Any]:
    counts = {name: [[*key, n] for key, n in held.items()] for name, held in state.counts._asdict().items()}
    given = {name: getattr(state, name) for name in (one.name for one in fields(state))}
    return {**given, "counts": counts, "peers": [asdict(peer) for peer in state.peers]}
