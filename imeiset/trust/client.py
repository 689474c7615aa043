"""What a publisher has put up, verified: the metadata of a place by python-tuf's client, over `places`.

Each verification begins with the root that the user was given, by another way than the place. What was seen
before is remembered in a folder, so that older metadata is refused and nothing is read twice. If the folder
is lost, or torn by a crash, all is read anew. Which edition a store has is in the store: see `follower`.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from imeiset.errors import TrustMissing, TrustRefused, TrustStale, TrustUnreachable, mask_text
from imeiset.errors.extras import extra
from imeiset.trust.edition import Edition, editions
from imeiset.trust.metadata import load, tuf
from imeiset.trust.places import Place

_TARGET = re.compile(r"(?P<kind>base|delta)-(?P<number>[0-9]{8,19})\.imei")
_SHA256 = re.compile("[0-9a-f]{64}")
_ROOT = re.compile(r"[0-9]+\.root\.json")
_BASE = "place:///"  # python-tuf makes URLs: only the names in them count
_LONGEST = 100  # characters of the name of a file
_AHEAD = 10**6  # editions: whoever stole a key could otherwise use up all numbers


@dataclass(frozen=True, slots=True)
class Target:
    """A published file: its name, its length, its SHA-256 in hex, and what its publisher says of it."""

    name: str
    length: int
    sha256: str
    edition: Edition

    @property
    def path(self) -> str:
        """Of the file, below the place."""
        return f"targets/{self.sha256}.{self.name}"


@dataclass(frozen=True, slots=True)
class Catalog:
    """What can be had of a place, verified.

    Attributes
    ----------
    place : str
        Without credentials.
    bases, deltas : dict of int to Target
        By edition.
    """

    place: str
    bases: dict[int, Target]
    deltas: dict[int, Target]

    @classmethod
    def of(cls, place: str, targets: dict[str, Any]) -> "Catalog":
        """Of the targets of TUF's metadata, by name. TrustRefused for what no publisher puts up."""
        catalog = cls(place, {}, {})

        def shown_as(name: str) -> str:
            return f"{place}: {mask_text(name)}"

        read = editions({name: about.custom for name, about in targets.items()}, shown_as)
        for name, about in targets.items():
            shown, edition = shown_as(name), read[name]
            found = _TARGET.fullmatch(name)
            if not found:
                raise TrustRefused(shown, "base-N.imei or delta-N.imei", "another name: update imeiset?")
            if name != f"{edition.kind}-{edition.number:08d}.imei":
                raise TrustRefused(shown, f"a {found['kind']} of that number", f"{edition.number}")
            sha256 = about.hashes.get("sha256")
            if not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
                raise TrustRefused(shown, "a SHA-256 of the file", "none")
            of_kind = catalog.bases if edition.kind == "base" else catalog.deltas
            of_kind[edition.number] = Target(name, about.length, sha256, edition)
        return catalog

    @property
    def current(self) -> int:
        """The highest edition, 0 if nothing is published."""
        return max((*self.bases, *self.deltas), default=0)

    @property
    def edition(self) -> Edition:
        """The current one."""
        return (self.deltas.get(self.current) or self.bases[self.current]).edition

    def path(self, have: int) -> Sequence[Target]:
        """The files that lead from an edition to the current one; 0 is a store that has none yet.

        Deltas, where they weigh at most half a base; otherwise the newest base and the deltas after it.

        Raises
        ------
        TrustRefused
            The place is behind, or nothing there leads on.
        """
        newest = self.current
        if not newest:
            raise TrustRefused(self.place, "a base", "nothing published yet")
        if newest < have:
            got = f"{newest}: rolled back, a mirror that is behind, or a publisher restored from a backup"
            raise TrustRefused(self.place, f"edition {have}, which is here, or a newer one", got)
        if have and newest - have > _AHEAD:
            got = f"{newest:,}: a key may be stolen. Ask the publisher, and follow into a new store"
            raise TrustRefused(self.place, f"an edition that comes soon after {have:,}", got)
        deltas = self._after(have) if have else None
        based = self.from_base(have)
        if not based and deltas is None:
            got = f"no delta for each edition from {have + 1} to {newest}, and no base"
            raise TrustRefused(self.place, "deltas without gaps, or a base and those after it", got)
        if deltas is None or (based and 2 * sum(one.length for one in deltas) > based[0].length):
            return based
        return deltas

    def from_base(self, have: int) -> Sequence[Target]:
        """The newest base and the deltas after it; none, if the base is not newer than an edition."""
        first = max(self.bases, default=0)
        rest = self._after(first) if first > have else None
        return () if rest is None else (self.bases[first], *rest)

    def _after(self, have: int) -> Sequence[Target] | None:
        """The deltas from an edition to the current one; None if one is missing."""
        if self.current - have > len(self.deltas):
            return None
        found = [self.deltas.get(number) for number in range(have + 1, self.current + 1)]
        return None if None in found else [one for one in found if one]


def catalog(place: Place, folder: Path, root: bytes) -> Catalog:
    """What can be had of a place. Where nothing is new that takes two requests.

    Parameters
    ----------
    folder
        Of what was seen before. It is made if it is not there.
    root
        The file root.json that the publisher gave.

    Raises
    ------
    TrustUnreachable, TrustStale, TrustRefused
        See each.
    """
    client = extra("tuf.ngclient", "to follow a publisher needs tuf", "follow")
    load("root", root, "root.json")
    fetcher = _fetcher(place)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for again in (False, True):
            updater = client.Updater(os.fspath(folder), _BASE, fetcher=fetcher, bootstrap=root)
            updater.refresh()
            if again or not _forget_others(folder):
                break
        _expect_one(folder, place, fetcher.timestamp)
        targets = tuf().Metadata.from_file(os.fspath(folder / "targets.json")).signed.targets
    except (TrustUnreachable, TrustRefused):
        raise
    except OSError as error:
        raise TrustUnreachable(
            os.fspath(folder), "a folder to write to", error.strerror or str(error)
        ) from error
    except Exception as error:
        _explain(error, fetcher.last)
    return Catalog.of(str(place), targets)


def _forget_others(folder: Path) -> bool:
    """Remove what was seen before and is not what the files above it name: python-tuf compares versions, and
    who stole keys may have signed others of the same versions. Whether there was such a thing."""
    seen = {role: (folder / f"{role}.json").read_bytes() for role in ("timestamp", "snapshot", "targets")}
    try:
        named = load("timestamp", seen["timestamp"], os.fspath(folder)).signed.snapshot_meta
        named.verify_length_and_hashes(seen["snapshot"])
        named = load("snapshot", seen["snapshot"], os.fspath(folder)).signed.meta["targets.json"]
        named.verify_length_and_hashes(seen["targets"])
    except Exception:  # whatever it is that does not fit
        for role in ("snapshot", "targets"):
            (folder / f"{role}.json").unlink(missing_ok=True)
        return True
    return False


def _expect_one(folder: Path, place: Place, timestamp: bytes) -> None:
    """Raise TrustRefused if the timestamp of a place is another than that of its version that is here."""
    if (folder / "timestamp.json").read_bytes() != timestamp:
        got = "another one: two publish there, or somebody has stolen keys. The next version settles it"
        raise TrustRefused(
            f"{place}/metadata/timestamp.json", "the timestamp that this version had before", got
        )


def _explain(error: Exception, where: str) -> NoReturn:
    """Raise an error of python-tuf's as one that says what to do. where: the file that was read last."""
    kinds, said = extra("tuf.api.exceptions", "", "follow"), mask_text(str(error) or type(error).__name__)
    if isinstance(error, kinds.ExpiredMetadataError):
        now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        got = f"{said}: its publisher has stopped, somebody holds newer ones back, or this clock is wrong"
        raise TrustStale(where, f"metadata that is valid at {now}, the clock here", got) from error
    for kind, expected in (
        (kinds.UnsignedMetadataError, "metadata signed by enough keys of the root"),
        (kinds.BadVersionNumberError, "metadata that is not older than what was seen before"),
        (kinds.LengthOrHashMismatchError, "metadata that fits together"),
        (kinds.DownloadLengthMismatchError, "metadata of the length that it may have"),
    ):
        if isinstance(error, kind):
            raise TrustRefused(where, expected, said) from error
    raise TrustRefused(where, "metadata of TUF", said) from error


def _fetcher(place: Place) -> Any:
    """What reads for python-tuf's client. It is made here, as its base class is imported only now."""
    client = extra("tuf.ngclient", "", "follow")
    kinds = extra("tuf.api.exceptions", "", "follow")

    class Fetcher(client.FetcherInterface):  # type: ignore[misc,name-defined]
        last = "root.json"  # as it was given
        timestamp = b""  # as it was read

        def _fetch(self, url: str) -> Iterator[bytes]:
            raise NotImplementedError  # metadata alone is read by it

        def download_bytes(self, url: str, max_length: int) -> bytes:
            name = url.removeprefix(_BASE)
            self.last = f"{place}/metadata/{name if len(name) < _LONGEST else '...' + name[-14:]}"
            if len(name) >= _LONGEST:
                got = "one beyond all: a key may be stolen. Ask the publisher"
                raise TrustRefused(self.last, "a version that others can follow", got)
            if name in ("snapshot.json", "targets.json"):  # others may replace them while they are read
                raise TrustRefused(self.last, "a root with consistent snapshots", "one without")
            try:
                data = place.read(f"metadata/{name}", max_length)
            except TrustUnreachable as error:
                # The next root is looked for until it is not there; object stores may call that "forbidden".
                absent = isinstance(error, TrustMissing) or isinstance(error.__cause__, PermissionError)
                if absent and _ROOT.fullmatch(name):
                    raise kinds.DownloadHTTPError("no such root", 404) from error
                raise
            if name == "timestamp.json":
                self.timestamp = data
            return data

    return Fetcher()
