"""A store published: the next edition made of what changed since the last one, signed, and put up."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from imeiset.store import Store


@dataclass(frozen=True, slots=True)
class ListReport:
    """What an edition changes in a list: how many members it adds and removes, and what the list then has."""

    status: str
    added: int
    removed: int
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What `publish` did, or with `dry_run` would do.

    Attributes
    ----------
    place : str
        Where, without credentials.
    action : str
        "base" or "delta": an edition of that kind. "renewed": its metadata alone, "nothing": all is current.
    edition : int
        The one that is current at the place now.
    bytes : int
        Of the files that were put up.
    lists : dict of str to ListReport
        What the edition changes.
    expires : dict of str to datetime
        When each kind of metadata ends: "root", "targets", "snapshot", "timestamp".
    warnings : tuple of str
        What ends soon, and what to do.
    """

    place: str
    action: Literal["base", "delta", "renewed", "nothing"]
    edition: int
    bytes: int = 0
    lists: dict[str, ListReport] = field(default_factory=dict)
    expires: dict[str, datetime] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    dry_run: bool = False


def publish(
    store: Store | str | os.PathLike[str],
    url: str | os.PathLike[str],
    *,
    keys: str | os.PathLike[str],
    lists: Sequence[str] | None = None,
    base_every: int = 30,
    expires: timedelta = timedelta(days=2),
    renew: bool = False,
    base: bool = False,
    dry_run: bool = False,
    passphrase: bytes | None = None,
) -> PublishReport:
    """Publish a store: what changed since its last edition, signed."""
    raise NotImplementedError
