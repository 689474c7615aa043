"""What a process of `imeiset serve` tells of itself: what it answered, and how it is."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Check = tuple[str, int, str]
"""An interface ("5g", "s13", "http"), an EquipmentStatus as a number, and the rule of verdicts."""
Error = tuple[str, str]
"""An interface, and a cause in the words of its contract."""


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
    >>> from imeiset.serve.state import Counts
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

    def checked(self, interface: str, status: int, rule: str, count: int = 1) -> None:
        """Count checks with the same outcome."""
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
        "http", "s13", "admin" or "follow", and the number of its slot on the board.
    pid, parent : int
        It, and who started it. A pid of 0: it ended, as it should.
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
        """Whether it ended as it was told to, or another process has its slot."""
        return not self.pid


def summed(states: Iterable[ProcessState]) -> Totals:
    """The counts of processes."""
    total = NOTHING
    for state in states:
        total += state.counts
    return total
