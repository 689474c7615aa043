"""What a store is, and how old: itself, its feeds, its lists."""

import datetime
from dataclasses import dataclass


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
        Why the last refresh of the watcher failed, if it did.
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
