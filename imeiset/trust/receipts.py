"""What a follower writes back to the place: which edition it has, and what is in it.

    receipts/NAME.json := {"imeiset": 1, "edition": N, "feed": F, "time": "2026-01-31T12:00:00Z",
                           "lists": {name: {"counts": {rule: number}, "digest": hex or null}}}

It is not signed: who may write there may write anything. It tells a publisher who is behind, and no more.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

from imeiset.errors import TrustError
from imeiset.register.dumps import dump
from imeiset.trust.places import Place

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class Moved(Protocol):
    """What is told of a move, see `imeiset.trust.FollowReport`."""

    @property
    def feed(self) -> str: ...
    @property
    def edition(self) -> int: ...
    @property
    def counts(self) -> Mapping[str, Mapping[str, int]]: ...
    @property
    def digests(self) -> Mapping[str, str]: ...


def expect_name(name: str | None) -> str | None:
    """The name of a receipt. ValueError for what cannot be one."""
    if name is not None and not _NAME.fullmatch(name):
        raise ValueError(f"receipt: expected letters, digits, '_', '-' and '.', got {name!r}")
    return name


def write(place: Place, name: str, moved: Moved) -> tuple[str, ...]:
    """Write a receipt. A warning if the place does not take it: the store has moved all the same."""
    told = {
        "imeiset": 1,
        "edition": moved.edition,
        "feed": moved.feed,
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "lists": {
            one: {"counts": dict(counts), "digest": moved.digests.get(one)}
            for one, counts in moved.counts.items()
        },
    }
    try:
        place.put_bytes(f"receipts/{name}.json", dump(told) + b"\n")
    except TrustError as error:
        return (f"the receipt was not written: {error}",)
    return ()
