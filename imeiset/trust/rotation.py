"""Keys replaced: the next root names others, and what the old ones signed counts no more.

First the new targets are put, which nobody trusts yet; then the root is kept beside the keys; then it is put,
and a snapshot and a timestamp with it. Whoever dies before the root was kept has new keys that are of no use,
and begins again; after it, any command that publishes or rotates puts what is missing.

Clients forget the versions of snapshots and timestamps when a root replaces their keys: so a thief who signed
versions beyond all reach ("fast-forward") has gained nothing.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from imeiset.errors import TrustRefused
from imeiset.trust.claims import Claim
from imeiset.trust.keys import Keys, Passphrase
from imeiset.trust.making import Listed
from imeiset.trust.memory import Memory, Said
from imeiset.trust.metadata import LIVES, ROLES, Published, next_root, now, put, signed, tuf
from imeiset.trust.places import Place
from imeiset.trust.reports import ending

MOST_SKIPPED = 1_000_000
"""How far an edition may be above the last one that a follower has: a thief cannot use up all numbers."""


@dataclass(frozen=True, slots=True)
class RotateReport:
    """What `rotate` did.

    Attributes
    ----------
    place : str
        Where, without credentials.
    roles : tuple of str
        Whose keys are others now.
    root : int
        The version of the root.
    edition : int
        The one that is current and was signed anew; 0 if none is, until the store is published.
    new_keys, old_keys : tuple of str
        Names of the files of keys that count now, and of those that do no more.
    expires, warnings
        See `PublishReport`.
    """

    place: str
    roles: tuple[str, ...]
    root: int
    edition: int
    new_keys: tuple[str, ...]
    old_keys: tuple[str, ...]
    expires: dict[str, datetime]
    warnings: tuple[str, ...]


def rotate(
    url: str | os.PathLike[str],
    *,
    keys: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    roles: Sequence[str],
    store: str | os.PathLike[str] | None = None,
    expires: timedelta = timedelta(days=2),
    passphrase: Passphrase = None,
) -> RotateReport:
    """Replace keys of a publisher, and sign anew what is published.

    Parameters
    ----------
    url
        Where the store is published.
    keys
        The folder of `imeiset keys new`, where the new keys are written too, and others with root keys that
        are kept elsewhere. So many root keys as have to sign are needed, and the online key if it stays.
    roles
        Of "root", "targets" and "online", those whose keys are replaced.
    store
        The store that is published there. If what is there is not what it published last, a thief did, and
        nothing is signed anew: then publish the store, which makes a base above all that the thief published.
        None: what is there and the old keys have signed is signed anew.
    expires
        See `publish`.
    passphrase
        Of the keys, the new ones too.

    Returns
    -------
    RotateReport

    Raises
    ------
    TrustKey, TrustRefused, TrustUnreachable
        A key is missing; nothing is published there, or by others; the place cannot be read or written.

    Examples
    --------
    >>> import tempfile
    >>> from imeiset import Register, Store
    >>> from imeiset.trust import keys, publish, rotate
    >>> with tempfile.TemporaryDirectory() as folder, Store.create(f"{folder}/eir", Register()) as store:
    ...     fingerprint = keys.new(f"{folder}/keys")
    ...     report = publish(store, f"{folder}/place", keys=f"{folder}/keys")
    ...     report = rotate(f"{folder}/place", keys=f"{folder}/keys", roles=["online"])
    >>> report.root, report.edition, len(report.old_keys)
    (2, 1, 1)
    """
    unknown = [role for role in roles if role not in ROLES]
    if unknown or not roles or isinstance(roles, str):
        raise ValueError(f"roles: expected some of {', '.join(ROLES)}, got {roles!r}")
    place, own = Place(url), Keys.of(keys, passphrase)
    remote = Published.read(place, own.roots())
    old = remote.root
    old_signers = own.signers("root", old)  # what is missing is said before anything is made
    online = [] if "online" in roles else own.signers("online", old)
    if remote.targets is None:
        raise TrustRefused(str(place), "something published, whose keys are replaced", "nothing")
    if "online" in roles:  # who has it can commit an older version again
        remote.targets = max(
            (remote.targets, remote._last_targets() or remote.targets), key=lambda one: one.signed.version
        )
    memory = None if store is None else Memory(Path(store), place)
    said = None if memory is None else memory.last()
    edition, targets = _listed(remote, memory, said)
    versions = {**(said.versions if said else {}), **remote.versions()}

    made = {role: own.add(role, len(_keys(role, old))) for role in ROLES if role in roles}
    public = {role: [signer.public_key for signer in some] for role, some in made.items()}
    root = signed(next_root(old, public), [*old_signers, *made.get("root", [])])
    claim = Claim(place)
    with claim.held():
        remote.expect_unchanged()
        new_targets = remote.targets
        if "targets" in roles:
            version = 1 + max(versions.get("targets", 0), remote.targets.signed.version)
            payload = tuf().Targets(version, None, now() + LIVES["targets"], targets)
            new_targets = signed(payload, made["targets"])
            put(place, new_targets)
        if memory is not None and said is not None and not edition:
            memory.keep(replace(said, above=_above(remote, said)))
        own.keep_root(root.to_bytes(), root.signed.version)
        remote.put_roots()
        put(place, root)
        remote.root = root
        if made.keys() & {"targets", "online"}:
            if "online" in roles:
                remote.snapshot = None
            signers = made.get("online") or online
            remote.commit(new_targets, signers, expires, versions, claim.expect_ours)
            if memory is not None and (said := memory.last()) is not None:
                memory.keep(replace(said, versions=remote.versions()))
    ends = remote.expires()
    return RotateReport(
        str(place),
        tuple(made),
        root.signed.version,
        edition,
        tuple(sorted(name for role in made for name in own.files_of(role, root))),
        tuple(sorted(name for role in made for name in own.files_of(role, old))),
        ends,
        tuple(ending(ends, str(place))),
    )


def _keys(role: str, root: Any) -> list[str]:
    found: list[str] = root.signed.roles["timestamp" if role == "online" else role].keyids
    return found


def _listed(remote: Published, memory: Memory | None, said: Said | None) -> tuple[int, dict[str, Any]]:
    """The edition and the targets that are signed anew: none that the store did not publish."""
    listed = Listed.of(remote.targets, str(remote.place))
    if memory is not None:
        known = [one for one in (said, memory.prepared()) if one is not None]
        if not any((one.edition, dict(one.lists)) == listed.says() for one in known):
            return 0, {}
    return listed.current, {**listed.targets}


def _above(remote: Published, said: Said) -> int:
    """The edition that the next one is above."""
    there = Listed.of(remote.targets, str(remote.place)).current
    return max(said.edition, said.above, min(there, said.edition + MOST_SKIPPED - 1))
