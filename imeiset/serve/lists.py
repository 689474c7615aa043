"""What the lists of a store are, how much they hold and how fresh they are, as JSON has it."""

from typing import Any

from imeiset import Store
from imeiset.register.lists import List
from imeiset.store import Status
from imeiset.store.frozen import Frozen

_TRIES = 10


class Listing:
    """Makes listings, and keeps the digests of lists that have not changed since."""

    def __init__(self) -> None:
        self._digests: dict[List, str] = {}

    def of(self, store: Store, *, digests: bool = False) -> tuple[Frozen, dict[str, Any]]:
        """A listing, and the moment that it is of. digests: O(members) for lists that changed since."""
        frozen, status = _together(store)
        known = self._digests
        if digests:
            known = {one: known.get(one) or one.digest().hex() for one in frozen.lists}
            self._digests = known
        return frozen, {
            "generation": status.generation,
            "sequence": status.sequence,
            "state": status.state_id,
            "changed": status.changed.isoformat(),
            "age": _finite(status.age),
            "lists": [_told(one, status, known.get(one)) for one in frozen.lists],
        }


def _together(store: Store) -> tuple[Frozen, Status]:
    """What a store is, and its status, of one moment."""
    for _ in range(_TRIES):
        frozen, status = store.frozen(), store.status()
        if frozen.state_id == status.state_id:
            break
    return frozen, status


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
