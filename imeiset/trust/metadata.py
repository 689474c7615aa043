"""The metadata of a place: made, signed, put there, and read back by its publisher.

It is TUF's (https://theupdateframework.github.io/specification/latest/), with consistent snapshots:

    metadata/N.root.json       the keys, and how many must sign; version N is signed by those of N - 1 as well
    metadata/N.targets.json    bases and deltas by path, each with its edition, length and SHA-256
    metadata/N.snapshot.json   the version, length and SHA-256 of N.targets.json
    metadata/timestamp.json    the same of N.snapshot.json; putting it is the commit of all others

A publisher reads what has expired, too: it is there to renew it. Signatures alone are not enough for it to go
on: `publisher` compares with what the store last published. Followers read with `client`.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from imeiset.errors import TrustMissing, TrustRefused, mask_text
from imeiset.errors.extras import extra
from imeiset.trust.places import Place

ROLES = ("root", "targets", "online")
"""The keys of a publisher."""
SIGNED_BY = {"root": "root", "targets": "targets", "snapshot": "online", "timestamp": "online"}
LIMITS = {"root": 512_000, "targets": 5_000_000, "snapshot": 2_000_000, "timestamp": 16_384}
"""The largest files that are read, in bytes: those of python-tuf's client."""
LIVES = {"root": timedelta(days=730), "targets": timedelta(days=365)}
"""How long what is signed counts. Timestamps: as told; snapshots: SNAPSHOT times as long."""
SNAPSHOT = 7
ENDS_SOON = timedelta(days=60)
MOST_VERSIONS = 10**18
"""No publisher gets as far. Versions are in the names of files, whose length has an end: see `Published`."""
_ROOTS = 256  # versions in a row that are looked for


def tuf() -> Any:
    """The module `tuf.api.metadata`. ExtraMissing where it is not there."""
    return extra("tuf.api.metadata", "to sign and verify what is published needs tuf", "follow")


def now() -> datetime:
    """By the clock here, in UTC and whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def fingerprint(data: bytes) -> str:
    """The SHA-256, in hex, of what the signatures of a root are for."""
    return hashlib.sha256(load("root", data, "root.json").signed_bytes).hexdigest()


def load(role: str, data: bytes, place: str) -> Any:
    """The `Metadata` of a file, unverified. TrustRefused if it is not metadata of that role."""
    api = tuf()
    try:
        found = api.Metadata.from_bytes(data)
    except Exception as error:  # python-tuf says whatever its parsers do
        raise TrustRefused(place, f"metadata of role {role}", mask_text(str(error))) from None
    if found.signed.type != role:
        raise TrustRefused(place, f"metadata of role {role}", f"that of {mask_text(found.signed.type)}")
    return found


def signed(payload: Any, signers: Sequence[Any]) -> Any:
    """Metadata with a signature of each."""
    made = tuf().Metadata(payload)
    for signer in signers:
        made.sign(signer, append=True)
    return made


def name_of(payload: Any) -> str:
    """Of a file, below the place."""
    return f"metadata/{'' if payload.type == 'timestamp' else f'{payload.version}.'}{payload.type}.json"


def described(metadata: Any) -> Any:
    """What another file says of this one: version, length, SHA-256."""
    data = metadata.to_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return tuf().MetaFile(metadata.signed.version, len(data), {"sha256": digest})


def expect_signed(by: Any, metadata: Any, place: str) -> None:
    """Raise TrustRefused unless enough keys that a root names signed that."""
    role = metadata.signed.type
    try:
        by.signed.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except Exception as error:
        got = mask_text(str(error))
        expected = (
            f"version {metadata.signed.version} of {role} signed by the keys of root {by.signed.version}"
        )
        raise TrustRefused(place, expected, got) from None


def put(place: Place, metadata: Any) -> None:
    """Put metadata there. TrustRefused if followers would not read as much."""
    role, data = metadata.signed.type, metadata.to_bytes()
    if len(data) > LIMITS[role]:
        got = f"{len(data):,}: publish fewer lists, or a base more often"
        raise TrustRefused(f"{place}/{name_of(metadata.signed)}", f"at most {LIMITS[role]:,} bytes", got)
    place.put_bytes(name_of(metadata.signed), data)


def snapshot_of(targets: Any, version: int, life: timedelta) -> Any:
    """The payload of a snapshot that names targets. life: of its timestamps."""
    meta = {"targets.json": described(targets)}
    return tuf().Snapshot(version, None, now() + SNAPSHOT * life, meta)


def timestamp_of(snapshot: Any, version: int, life: timedelta) -> Any:
    """The payload of a timestamp that names a snapshot."""
    return tuf().Timestamp(version, None, now() + life, described(snapshot))


def first_root(keys: Mapping[str, Sequence[Any]], threshold: int) -> Any:
    """The payload of version 1: public keys by their role. threshold: how many root keys must sign."""
    api = tuf()
    roles = {
        role: api.Role([key.keyid for key in keys[by]], threshold if by == "root" else 1)
        for role, by in SIGNED_BY.items()
    }
    every = {key.keyid: key for some in keys.values() for key in some}
    return api.Root(1, None, now() + LIVES["root"], every, roles, consistent_snapshot=True)


def next_root(root: Any, keys: Mapping[str, Sequence[Any]]) -> Any:
    """The payload of the version after a root's, with other public keys for some roles."""
    api, old = tuf(), root.signed
    roles = {role: api.Role([*about.keyids], about.threshold) for role, about in old.roles.items()}
    every = dict(old.keys)
    for role, by in SIGNED_BY.items():
        if by in keys:
            roles[role].keyids = [key.keyid for key in keys[by]]
            every |= {key.keyid: key for key in keys[by]}
    used = {key for about in roles.values() for key in about.keyids}
    every = {name: key for name, key in every.items() if name in used}
    return api.Root(old.version + 1, None, now() + LIVES["root"], every, roles, consistent_snapshot=True)


@dataclass(slots=True)
class Published:
    """What a place has, each part verified, or None where it has none that is.

    Attributes
    ----------
    roots : dict of int to bytes
        Those from the first that is trusted to the last, by version.
    absent : list of int
        Versions of roots that the place lacks.
    strange : list of str
        Names of files that are in the place of roots.
    targets, snapshot, timestamp
        The committed ones, if all of them are whole; otherwise `targets` is the last that the key signed.
    faults : list of str
        Why not, in words.
    seen : bytes
        The timestamp as it was found, whatever it is; none if there was none.
    """

    place: Place
    root: Any
    roots: dict[int, bytes]
    absent: list[int] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    targets: Any = None
    snapshot: Any = None
    timestamp: Any = None
    faults: list[str] = field(default_factory=list)
    seen: bytes = b""

    @classmethod
    def read(cls, place: Place, roots: Sequence[bytes]) -> "Published":
        """Read and verify a place; what expired counts. roots: those that are trusted, the first and any that
        follow it. TrustRefused for a root that others than its keys signed."""
        first = load("root", roots[0], "root.json")
        found = cls(place, first, {})
        found._read_roots([load("root", data, "root.json") for data in roots], roots)
        try:
            found._read_committed()
        except (TrustMissing, TrustRefused) as error:
            found.faults.append(str(error))
            found.targets = found._last_targets()
        return found

    def _where(self, name: str) -> str:
        return f"{self.place}/{name}"

    def _read_roots(self, known: Sequence[Any], data: Sequence[bytes]) -> None:
        here = {one.signed.version: part for one, part in zip(known, data, strict=True)}
        first = self.root.signed.version
        for version in range(first, first + _ROOTS):
            there = self._root_there(version)
            kept = here.get(version)
            if there is None and kept is None:
                return
            if kept is not None and there not in (None, kept):
                got = "another: it was put there by somebody else, or this folder is of other keys"
                raise TrustRefused(
                    self._where(f"metadata/{version}.root.json"), "that of the folder of keys", got
                )
            if there is None:
                self.absent.append(version)
            self.roots[version] = kept or there or b""
            self.root = self._verified_root(version, self.roots[version])

    def _root_there(self, version: int) -> bytes | None:
        """A root that the place has; None if it has none, or what nobody who may has signed."""
        name = f"metadata/{version}.root.json"
        try:
            data = self.place.read(name, LIMITS["root"])
            self._verified_root(version, data)
        except TrustMissing:
            return None
        except TrustRefused as error:
            self.faults.append(str(error))
            self.strange.append(name)
            return None
        return data

    def _verified_root(self, version: int, data: bytes) -> Any:
        where = self._where(f"metadata/{version}.root.json")
        new = load("root", data, where)
        if new.signed.version != version:
            raise TrustRefused(where, f"root {version}", f"version {new.signed.version}")
        if version > self.root.signed.version:
            expect_signed(self.root, new, where)
        expect_signed(new, new, where)
        return new

    def _read(self, role: str, name: str) -> tuple[Any, bytes]:
        data = self.place.read(name, LIMITS[role])
        if role == "timestamp":
            self.seen = data
        found = load(role, data, self._where(name))
        expect_signed(self.root, found, self._where(name))
        self._expect_near(role, found.signed.version, name)
        return found, data

    def _expect_near(self, role: str, version: int, name: str) -> None:
        """Raise TrustRefused for a version that leaves none after it, which who stole a key may have signed:
        then it is put anew."""
        if version > MOST_VERSIONS:
            got = "one beyond all: the online key may be stolen, `imeiset keys rotate` replaces it"
            raise TrustRefused(self._where(name), f"a version of {role} that others can follow", got)

    def _read_committed(self) -> None:
        timestamp, _ = self._read("timestamp", "metadata/timestamp.json")
        snapshot = self._named("snapshot", timestamp.signed.snapshot_meta)
        targets = self._named("targets", snapshot.signed.meta.get("targets.json"))
        self.timestamp, self.snapshot, self.targets = timestamp, snapshot, targets

    def _named(self, role: str, meta: Any) -> Any:
        name = f"metadata/{meta.version if meta else '?'}.{role}.json"
        if meta is None:
            raise TrustRefused(self._where(name), "a snapshot that names targets.json", "one that does not")
        self._expect_near(role, meta.version, f"metadata of role {role}")
        found, data = self._read(role, name)
        try:
            meta.verify_length_and_hashes(data)
        except Exception as error:
            raise TrustRefused(self._where(name), "the file that is named", mask_text(str(error))) from None
        if found.signed.version != meta.version:
            got = f"version {found.signed.version}"
            raise TrustRefused(self._where(name), f"version {meta.version} of {role}", got)
        return found

    def _last_targets(self) -> Any:
        """The newest that the key of this root signed; what commits it is missing or another's."""
        versions = {self.version_of(name, "targets"): name for name in self.place.names("metadata")}
        for version in sorted(filter(None, versions), reverse=True):
            with suppress(TrustRefused):
                found, _ = self._read("targets", f"metadata/{versions[version]}")
                if found.signed.version == version:
                    return found
        return None

    @staticmethod
    def version_of(name: str, role: str) -> int:
        """The version in the name of a file; 0 if it is of another role, or of none."""
        number, _, rest = name.partition(".")
        fits = rest == f"{role}.json" and number.isascii() and number.isdigit() and len(number) < 99
        return int(number) if fits else 0

    def commit(
        self,
        targets: Any,
        signers: Sequence[Any],
        life: timedelta,
        versions: Mapping[str, int],
        check: Callable[[], None],
    ) -> None:
        """Put targets there that are new, and what commits them; or new timestamps of those that are there.

        signers: of the online role. versions: the last ones that are known. check: raises if another
        publisher has come, before each file. TrustRefused if one has committed since the place was read.
        """
        same = targets is self.targets and self.snapshot is not None
        snapshot, now_ = self.snapshot, now()
        if not same or snapshot.signed.expires - now_ < SNAPSHOT * life / 2:
            payload = snapshot_of(targets, self._next("snapshot", versions), life)
            snapshot = signed(payload, signers)
        timestamp = signed(timestamp_of(snapshot, self._next("timestamp", versions), life), signers)
        files = [one for one, old in ((targets, self.targets), (snapshot, self.snapshot)) if one is not old]
        for one in files:
            check()
            put(self.place, one)
        check()
        self.expect_unchanged()
        put(self.place, timestamp)
        self.seen = timestamp.to_bytes()
        self.expect_unchanged()
        for one in files:  # another may have put one of the same version before it gave way
            if self.place.read(name_of(one.signed), LIMITS[one.signed.type]) != one.to_bytes():
                put(self.place, one)
        self.targets, self.snapshot, self.timestamp, self.faults = targets, snapshot, timestamp, []

    def _next(self, role: str, versions: Mapping[str, int]) -> int:
        """The version after all that are known; one that is high enough where the place has lost its own, or
        is an older copy: keys may have been replaced since, which signs others, and followers may have seen
        these."""
        part, known = getattr(self, role), versions.get(role, 0)
        if part is not None and part.signed.version >= known:
            return int(part.signed.version) + 1
        lost = known or self.targets is not None
        return 1 + max(known, int(time.time()) if lost else 0)

    def expect_unchanged(self) -> None:
        """Raise TrustRefused if the place has another timestamp than was seen or put last."""
        try:
            there = self.place.read("metadata/timestamp.json", LIMITS["timestamp"])
        except (TrustMissing, TrustRefused):
            there = b""
        if there != self.seen:
            got = "one that another publisher has just put there: see which of the two should publish"
            raise TrustRefused(self._where("metadata/timestamp.json"), "that of this publisher", got)

    def put_roots(self) -> None:
        """Take away what is in the place of roots, and put those there that it lacks."""
        for name in self.strange:
            self.place.remove(name)
        for version in self.absent:
            self.place.put_bytes(f"metadata/{version}.root.json", self.roots[version])
        self.strange, self.absent = [], []

    def versions(self) -> dict[str, int]:
        """Of each part, by role."""
        return {role: part.signed.version for role, part in self._parts().items()}

    def expires(self) -> dict[str, datetime]:
        """When each part ends."""
        return {role: part.signed.expires for role, part in self._parts().items()}

    def _parts(self) -> dict[str, Any]:
        parts = {role: getattr(self, role) for role in SIGNED_BY}
        return {role: part for role, part in parts.items() if part is not None}
