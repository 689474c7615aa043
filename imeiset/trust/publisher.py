"""A store published: the next edition made of what changed since the last one, signed, and put up.

In this order: the place is read and verified, and has to be as this store left it; files of the edition are
made here, and checked; the memory of the store prepares for them; they are put there, then targets.json, then
snapshot.json, then timestamp.json, which is the commit; then the memory keeps it, and what nobody needs any
more goes. Whoever dies on the way leaves the old edition or the new one, and goes on with the next call.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from imeiset.errors import SnapshotError, TrustError, TrustKey, TrustRefused
from imeiset.register.layout import Contents
from imeiset.store import Store
from imeiset.trust.claims import Claim
from imeiset.trust.keys import Keys, Passphrase
from imeiset.trust.making import Listed, Made, made, selected, sha256_of
from imeiset.trust.memory import Memory, Said
from imeiset.trust.metadata import ENDS_SOON, LIVES, Published, now, signed, tuf
from imeiset.trust.places import Place
from imeiset.trust.reports import PublishReport, ending

_TARGET = re.compile(r"[0-9a-f]{64}\.(base|delta)-[0-9]{8,19}\.imei")


def publish(
    store: Store | str | os.PathLike[str],
    url: str | os.PathLike[str],
    *,
    keys: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    lists: Sequence[str] | None = None,
    base_every: int = 30,
    expires: timedelta = timedelta(days=2),
    renew: bool = False,
    base: bool = False,
    dry_run: bool = False,
    passphrase: Passphrase = None,
) -> PublishReport:
    """Publish a store: what changed since its last edition, signed.

    Parameters
    ----------
    store
        It is read, so another process may write it meanwhile. What was published is kept in its folder.
    url
        A folder, or a URL that fsspec opens and that can be written to.
    keys
        The folder of `imeiset keys new`, or several; the keys of targets and online are needed.
    lists
        The names of those that are published. None: all.
    base_every
        After so many editions the next one is a base too, which followers begin with; sooner when the deltas
        since the last weigh half of it.
    expires
        How long followers count what they see as current. Publish, or renew, more often.
    renew
        Sign anew what ends soon, even if nothing changed; the online key is enough for that.
    base
        Publish a base of all lists, as the edition after the one that is there, whoever published that.
    dry_run
        Write nothing anywhere.
    passphrase
        Of the keys, if they have one.

    Returns
    -------
    PublishReport

    Raises
    ------
    TrustRefused
        What is there is not what this store published last; or another publisher commits at the same time.
    TrustKey, TrustUnreachable
        A key is missing; the place cannot be read or written.
    StoreLocked
        Another process publishes this store there.
    StoreError, SnapshotError, ValueError
        The store cannot be read; no list of such a name.

    Notes
    -----
    Lists are published without their owners: those who follow make the feed the owner.

    Examples
    --------
    >>> import tempfile
    >>> from imeiset import EquipmentStatus, Register, Store
    >>> from imeiset.trust import keys, publish
    >>> register = Register()
    >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
    >>> with tempfile.TemporaryDirectory() as folder, Store.create(f"{folder}/eir", register) as store:
    ...     fingerprint = keys.new(f"{folder}/keys")
    ...     report = publish(store, f"{folder}/place", keys=f"{folder}/keys")
    >>> report.action, report.edition, report.lists["stolen"].added
    ('base', 1, 1)
    """
    if base_every < 1:
        raise ValueError(f"base_every: expected at least 1, got {base_every}")
    if not expires >= timedelta(minutes=1):
        raise ValueError(f"expires: expected a minute or more, got {expires}")
    place = Place(url)
    with _opened(store) as opened:
        memory = Memory(opened._directory, place)
        with nullcontext() if dry_run else memory.locked():
            some, claim = Keys.of(keys, passphrase), Claim(place)
            own = _Own(some, place, memory, claim, expires, renew, base, dry_run, base_every)
            return own.publish(opened, lists)


@contextmanager
def _opened(store: Store | str | os.PathLike[str]) -> Iterator[Store]:
    if isinstance(store, Store):
        store.refresh()
        yield store
    else:
        with Store.open(store) as opened:
            yield opened


@dataclass(slots=True)
class _Own:
    """One call of `publish`."""

    keys: Keys
    place: Place
    memory: Memory
    claim: Claim
    life: timedelta
    renew: bool
    base: bool
    dry_run: bool
    base_every: int
    warnings: list[str] = field(default_factory=list)

    def publish(self, store: Store, names: Sequence[str] | None) -> PublishReport:
        remote = Published.read(self.place, self.keys.roots())
        if remote.targets is not None:
            self.warnings += [f"{fault}: it is put there anew" for fault in remote.faults]
        listed = Listed.of(remote.targets, str(self.place))
        last = self._last(listed)
        if last is None and not self.base and self.renew and listed.current:
            self.warnings.append("this store has published nothing here: its lists were not compared")
            return self._without_edition(remote, listed.current, last)
        goes_on = last is not None and last.edition == listed.current > last.above
        old = self._old(listed.current) if goes_on else None
        number = 1 + max(listed.current, last.above if last else 0)
        with self._work_folder() as folder:
            path = folder / "next.lists" if self.dry_run else self.memory.lists_path(number)
            new = selected(store, names)
            edition = made(folder, path, old, new, listed, number, base=self.base, base_every=self.base_every)
            if edition is not None and self.renew and not self.keys.has("targets", remote.root):
                self.warnings.append("lists have changed, and were not published: the key of targets is away")
                edition = None
            if edition is None:
                return self._without_edition(remote, listed.current, last)
            return self._with_edition(remote, edition, last)

    # ---- what was published last ------------------------------------------------------

    def _last(self, listed: Listed) -> Said | None:
        """What this store said last, if that is what the place has. TrustRefused if it is not, unless a base
        is to follow whatever is there."""
        try:
            last, prepared = self.memory.last(), self.memory.prepared()
        except TrustRefused:
            if not self.base:
                raise
            return None
        for some in (last, prepared):
            if some is not None and (some.edition, dict(some.lists)) == listed.says():
                if some is prepared and some is not last and not self.dry_run:
                    self.memory.adopt()
                return some
        current = listed.current
        stolen = last is not None and last.above and not current  # keys were replaced after a theft
        if self.base or stolen:
            if last is None:
                return None
            return replace(last, edition=0, lists={}, above=max(last.above, last.edition))
        if last is None and (not current or self.renew):
            return None
        got = f"edition {current}, published by another store" if current else "nothing"
        if last is not None and last.edition > current:
            got += f": this store has published edition {last.edition} there, somebody put an older copy back"
        elif last is not None:
            got += ", or this store is an older copy that was put back"
        expected = "nothing yet" if last is None else f"edition {last.edition} of this store"
        got += "; --base, or base=True, publishes all that this store has as the next edition"
        raise TrustRefused(str(self.place), expected, got)

    def _old(self, edition: int) -> Contents | None:
        """The lists as of an edition; None if they are damaged here, and a base is asked for."""
        try:
            return self.memory.contents(edition)
        except SnapshotError as error:
            if self.base:
                return None
            got = f"{error.got}; --base, or base=True, publishes all lists without it"
            raise TrustRefused(error.path, error.expected, got) from error

    @contextmanager
    def _work_folder(self) -> Iterator[Path]:
        if self.dry_run:
            with TemporaryDirectory(prefix="imeiset-") as folder:
                yield Path(folder)
        else:
            yield self.memory.folder

    # ---- an edition -------------------------------------------------------------------

    def _with_edition(self, remote: Published, made: Made, last: Said | None) -> PublishReport:
        edition = made.edition
        report = PublishReport(str(self.place), edition.kind, edition.number, made.bytes, {**made.lists})
        payload = self._targets(remote, made.targets, last)
        signers = self.keys.signers("targets", remote.root), self.keys.signers("online", remote.root)
        if self.dry_run:
            return self._reported(report, remote)
        digests = {name: one.digest for name, one in edition.lists.items()}
        said = Said(edition.number, digests, self._versions(last))
        before = remote.targets
        with self.claim.held():
            remote.expect_unchanged()
            self.memory.prepare(said)
            self._put_roots(remote)
            for path, file in made.files.items():
                self.place.put(f"targets/{made.targets[path].hashes['sha256']}.{path}", file)
            self._commit(remote, signed(payload, signers[0]), signers[1], last)
            self.memory.prepare(replace(said, versions=remote.versions()))
            self.memory.adopt()
            self._clean(remote, before)
        (self.memory.folder / "next.delta").unlink(missing_ok=True)
        return self._reported(report, remote)

    def _commit(self, remote: Published, targets: Any, signers: Sequence[Any], last: Said | None) -> None:
        remote.commit(targets, signers, self.life, self._versions(last), self.claim.expect_ours)

    def _targets(self, remote: Published, targets: Mapping[str, Any], last: Said | None) -> Any:
        version = remote._next("targets", self._versions(last))
        return tuf().Targets(version, None, now() + LIVES["targets"], dict(targets))

    @staticmethod
    def _versions(last: Said | None) -> Mapping[str, int]:
        return last.versions if last is not None else {}

    def _put_roots(self, remote: Published) -> None:
        remote.put_roots()
        for version, data in remote.roots.items():
            if version > min(remote.roots):
                with suppress(OSError):  # a folder of keys may be for reading only
                    self.keys.keep_root(data, version)

    def _clean(self, remote: Published, before: Any) -> None:
        """Remove what neither this edition nor the one before needs."""
        named = {
            f"{target.hashes['sha256']}.{path}"
            for some in (remote.targets, before)
            if some is not None
            for path, target in some.signed.targets.items()
        }
        kept = {role: version - 1 for role, version in remote.versions().items()}
        try:
            for name in self.place.names("targets"):
                if _TARGET.fullmatch(name) and name not in named:
                    self.place.remove(f"targets/{name}")
            for name in self.place.names("metadata"):
                for role in ("targets", "snapshot"):
                    if 0 < Published.version_of(name, role) < kept[role]:
                        self.place.remove(f"metadata/{name}")
        except TrustError as error:
            self.warnings.append(f"files of old editions were not removed: {error}")

    # ---- without one ------------------------------------------------------------------

    def _without_edition(self, remote: Published, current: int, last: Said | None) -> PublishReport:
        """Sign anew what is to be."""
        report = PublishReport(str(self.place), "nothing", current)
        if remote.targets is not None:
            self._look_for(remote.targets.signed.targets, current, goes_on=last is not None)
        ends = remote.expires()
        targets = remote.targets
        if targets is None:
            raise TrustRefused(str(self.place), "an edition, to sign it anew", "none")
        quiet = remote.timestamp is not None and ends["timestamp"] - now() >= 0.75 * self.life
        soon = ends["targets"] - now() < ENDS_SOON
        if quiet and not self.renew and not (remote.absent or remote.strange):
            return self._reported(report, remote)
        with suppress(TrustKey):
            if soon:
                payload = self._targets(remote, targets.signed.targets, last)
                targets = signed(payload, self.keys.signers("targets", remote.root))
        signers = self.keys.signers("online", remote.root)
        if not self.dry_run:
            with self.claim.held():
                remote.expect_unchanged()
                self._put_roots(remote)
                self._commit(remote, targets, signers, last)
            if last is not None and last.edition == current:
                self.memory.keep(replace(last, versions=remote.versions()))
        return self._reported(replace(report, action="renewed"), remote)

    def _look_for(self, targets: Mapping[str, Any], current: int, *, goes_on: bool) -> None:
        """Put a file back that is gone from the place, if it is the one of all lists that is here; say which
        others are gone. goes_on: the edition is this store's. One listing."""
        try:
            there = {*self.place.names("targets")}
        except TrustError as error:
            self.warnings.append(f"whether all files are there was not seen: {error}")
            return
        for path, target in targets.items():
            sha256, here = target.hashes["sha256"], self.memory.lists_path(current)
            if (name := f"{sha256}.{path}") in there:
                continue
            try:
                found = goes_on and here.is_file() and sha256_of(here) == sha256
                if found and not self.dry_run:
                    self.place.put(f"targets/{name}", here)
            except (TrustError, OSError) as error:  # what is there may be signed anew all the same
                self.warnings.append(f"{path} is gone from the place, and was not put there anew: {error}")
                continue
            if found:
                self.warnings.append(f"{path} was gone from the place: it is put there anew")
            else:
                why = "followers that need it wait, or fetch a base"
                self.warnings.append(f"{path} is gone from the place, {why}: --base publishes all lists anew")

    def _reported(self, report: PublishReport, remote: Published) -> PublishReport:
        expires = remote.expires()
        warnings = [*self.warnings, *ending(expires, str(self.place))]
        for path in self.keys.others_can_read():
            warnings.append(f"{path}: others can read this key: chmod 600")
        return replace(report, expires=expires, warnings=tuple(warnings), dry_run=self.dry_run)
