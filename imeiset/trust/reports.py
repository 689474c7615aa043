"""What publishing and following report: editions, lists, and when what is signed ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from imeiset.trust.metadata import ENDS_SOON, now


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
        Of the files of the edition.
    lists : dict of str to ListReport
        What the edition changes, by list; after a base without a delta all that lists hold is added.
    expires : dict of str to datetime
        When each kind of metadata ends: "root", "targets", "snapshot", "timestamp".
    warnings : tuple of str
        What ends soon or was not as it should be, and what to do.
    dry_run : bool
        Nothing was written.
    """

    place: str
    action: Literal["base", "delta", "renewed", "nothing"]
    edition: int
    bytes: int = 0
    lists: dict[str, ListReport] = field(default_factory=dict)
    expires: dict[str, datetime] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one step of a follower or of a mirror did.

    Attributes
    ----------
    feed, place : str
        Whose lists they are, and where they were found, without credentials.
    edition, before : int
        The newest that is here now, and was here before; 0 for none.
    published : datetime.datetime
        When its publisher made it, by the publisher's clock.
    files : tuple of str
        What was applied or copied, in order.
    bytes : int
        How long these files are. What was there of one already was not fetched again.
    """

    feed: str
    place: str
    edition: int
    before: int
    published: datetime
    files: tuple[str, ...] = ()
    bytes: int = 0

    @property
    def moved(self) -> bool:
        """Whether there is another edition than before."""
        return self.edition != self.before


@dataclass(frozen=True, slots=True)
class MirrorReport(StepReport):
    """What one step of a mirror did: a `StepReport`."""

    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FollowReport(StepReport):
    """What one step of a follower did: a `StepReport`, and what the lists hold.

    Attributes
    ----------
    counts : dict
        By list and rule how much each list of the publisher has, under the publisher's names.
    digests : dict of str to str
        The SHA-256 of each, as it was compared; empty if digests were not compared, or nothing was new.
    warnings : tuple of str
        What went wrong beside it: a receipt that could not be written.
    """

    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def ending(expires: Mapping[str, datetime], place: str) -> list[str]:
    """What of a place ends soon, and what to do."""
    remedy = {
        "root": f"`imeiset keys rotate {place} --keys DIR --role root` makes the next one",
        "targets": "publish with the key of targets signs them anew",
    }
    found = []
    for role, text in remedy.items():
        if role in expires and (left := expires[role] - now()) < ENDS_SOON:
            when = f"ends on {expires[role]:%Y-%m-%d}, in {left.days} days" if left.days >= 0 else "has ended"
            found.append(f"{role} {when}: {text}")
    return found
