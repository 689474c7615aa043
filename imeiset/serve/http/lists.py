"""What the lists of a store are, how much they hold and how fresh they are, as JSON has it."""

import threading
from typing import Any

from imeiset.register.lists import List
from imeiset.store import Status
from imeiset.store.frozen import Frozen


class Listing:
    """Makes listings, and keeps the digests of lists that have not changed since."""

    def __init__(self) -> None:
        self._digests: dict[List, str] = {}
        self._one_at_a_time = threading.Lock()

    def of(self, frozen: Frozen, *, digests: bool = False) -> dict[str, Any]:
        """The listing of a store at one moment. digests: O(members) for lists that changed since."""
        known, status = self._digests.copy(), frozen.status()
        if digests:
            with self._one_at_a_time:  # and the others find what was made
                for one in frozen.lists:
                    known[one] = self._digests.get(one) or one.digest().hex()
                    self._digests[one] = known[one]
            self.forget(frozen)
        return {
            "generation": status.generation,
            "sequence": status.sequence,
            "state": status.state_id,
            "changed": status.changed.isoformat(),
            "age": _finite(status.age),
            "lists": [_told(one, status, known.get(one)) for one in frozen.lists],
        }

    def forget(self, frozen: Frozen) -> None:
        """Let go of lists that are not there any more, for they hold the files of their base."""
        for one in list(self._digests):  # others may make digests meanwhile: each step is one of its own
            if one not in frozen.lists:
                self._digests.pop(one, None)


def _told(one: List, status: Status, digest: str | None) -> dict[str, Any]:
    fresh = status.lists[one.name]
    return {
        "name": one.name,
        "status": one.status.name.lower(),
        "kind": one.kind,
        "owner": one.owner or None,
        "counts": status.counts[one.name],
        "changed": fresh.changed and fresh.changed.isoformat(),
        "age": _finite(fresh.age),
        "digest": digest,
    }


def _finite(age: float | None) -> float | None:
    """Seconds; None where nobody knows."""
    return round(age, 3) if age is not None and age < float("inf") else None
