"""A verified copy of a place: for a stick, for those behind a border, for a server nearer to many followers.

What a mirror has is what its publisher signed, so whoever follows it needs not trust it. It is the same feed.
The copy itself remembers what was seen last: it is refused to go back. Files are put in the order in which a
publisher puts them: targets, targets.json, snapshot.json, and timestamp.json last.
"""

import fcntl
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from imeiset.errors import TrustMissing, TrustRefused, TrustUnreachable
from imeiset.trust.client import Catalog, catalog
from imeiset.trust.fetch import Progress, fetch, is_whole
from imeiset.trust.metadata import LIMITS, fingerprint, load
from imeiset.trust.places import Place
from imeiset.trust.reports import MirrorReport

_METADATA = re.compile(r"(\d{1,19})\.(root|targets|snapshot)\.json", re.ASCII)
_TARGET = re.compile(r"[0-9a-f]{64}\.(base|delta)-[0-9]{8,19}\.imei(\.part)?")
_KEPT = 2  # versions of targets.json and snapshot.json


def mirror(
    url: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | bytes,
    progress: Progress | None = None,
) -> MirrorReport:
    """Bring a verified copy of a place up to date, or make one.

    Parameters
    ----------
    url, root, progress
        See `imeiset.trust.Follower`.
    directory
        Of the copy. It is a place that can be followed, and mirrored again.

    Returns
    -------
    MirrorReport

    Raises
    ------
    TrustUnreachable, TrustStale, TrustRefused
        As for `imeiset.trust.Follower.step`. The copy stays as it was.

    Examples
    --------
    >>> import tempfile
    >>> from imeiset import EquipmentStatus, Register, Store
    >>> from imeiset.trust import mirror, keys, publish
    >>> register = Register()
    >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fingerprint = keys.new(f"{folder}/keys")
    ...     with Store.create(f"{folder}/eir", register) as store:
    ...         report = publish(store, f"{folder}/place", keys=f"{folder}/keys")
    ...     mirror(f"{folder}/place", f"{folder}/stick", root=f"{folder}/keys/root.json").files
    ('base-00000001.imei',)
    """
    root = root if isinstance(root, bytes) else Path(root).read_bytes()
    feed, place, copy = fingerprint(root), Place(url), Place(directory)
    here = Path(directory)
    try:
        (here / "metadata").mkdir(parents=True, exist_ok=True)
        with (here / ".lock").open("ab") as lock, tempfile.TemporaryDirectory() as seen:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            before = _recall(here / "metadata", Path(seen), root)
            return _copied(place, copy, here, Path(seen), root, feed, before, progress)
    except (TrustRefused, TrustUnreachable):
        raise
    except BlockingIOError as error:
        got = "another process that writes there"
        raise TrustUnreachable(os.fspath(directory), "to be the one who mirrors", got) from error
    except OSError as error:
        got = error.strerror or str(error)
        raise TrustUnreachable(os.fspath(directory), "a folder to write to", got) from error


def _recall(metadata: Path, seen: Path, root: bytes) -> Catalog:
    """What the copy has. For the client, its metadata are put into the folder `seen`."""
    version = load("root", root, "root.json").signed.version
    own = metadata / f"{version}.root.json"
    if own.is_file() and own.read_bytes() != root:
        raise TrustRefused(str(metadata.parent), "a mirror of this publisher", "one of another publisher")
    (seen / "root_history").mkdir()
    newest: dict[str, int] = {}
    for path in metadata.iterdir():
        # Whoever prepared a stick may have put a pipe there.
        if (found := _METADATA.fullmatch(path.name)) and path.is_file():
            if found[2] == "root":
                (seen / "root_history" / path.name).write_bytes(path.read_bytes())
            else:
                newest[found[2]] = max(newest.get(found[2], 0), int(found[1]))
    for role, number in newest.items():
        (seen / f"{role}.json").write_bytes((metadata / f"{number}.{role}.json").read_bytes())
    if (metadata / "timestamp.json").is_file():
        (seen / "timestamp.json").write_bytes((metadata / "timestamp.json").read_bytes())
    place = str(metadata.parent)
    with suppress(FileNotFoundError, TrustRefused):  # then nothing is known of it
        return Catalog.of(place, load("targets", (seen / "targets.json").read_bytes(), place).signed.targets)
    return Catalog(place, {}, {})


def _copied(
    place: Place,
    copy: Place,
    here: Path,
    seen: Path,
    root: bytes,
    feed: str,
    before: Catalog,
    progress: Progress | None,
) -> MirrorReport:
    found = catalog(place, seen, root)
    targets = [*found.bases.values(), *found.deltas.values()]
    old = [*before.bases.values(), *before.deltas.values()]  # somebody may be reading
    files = []
    for target in targets:
        path = here / target.path
        if is_whole(path, target):
            continue
        fetch(place, target, here / "targets", progress)
        path.chmod(0o666 & ~_umask())
        files.append(target)
    versions = _put(place, copy, seen, root)
    wanted = {target.path.removeprefix("targets/") for target in (*targets, *old)}
    for name in copy.names("targets"):
        if _TARGET.fullmatch(name) and name not in wanted:
            copy.remove(f"targets/{name}")
    for name in copy.names("metadata"):
        about = _METADATA.fullmatch(name)
        if about and about[2] != "root" and int(about[1]) <= versions[about[2]] - _KEPT:
            copy.remove(f"metadata/{name}")
    return MirrorReport(
        feed,
        str(place),
        found.current,
        before.current,
        found.edition.time,
        tuple(target.name for target in files),
        sum(target.length for target in files),
    )


def _put(place: Place, copy: Place, seen: Path, root: bytes) -> dict[str, int]:
    """Put the metadata that was verified into the copy: the versions of it."""
    versions = {"root": load("root", root, "root.json").signed.version}
    known = {*copy.names("metadata")}

    def put(name: str, data: bytes) -> None:
        if name not in known or copy.read(f"metadata/{name}", max(LIMITS.values())) != data:
            copy.put_bytes(f"metadata/{name}", data)

    for number in range(1, versions["root"]):  # for those who were given an older one; they verify it
        if f"{number}.root.json" not in known:
            with suppress(TrustMissing):
                put(f"{number}.root.json", place.read(f"metadata/{number}.root.json", LIMITS["root"]))
    for path in sorted((seen / "root_history").iterdir()):
        put(path.name, path.read_bytes())
    for role in ("targets", "snapshot", "timestamp"):
        data = (seen / f"{role}.json").read_bytes()
        versions[role] = load(role, data, str(place)).signed.version
        put(f"{role}.json" if role == "timestamp" else f"{versions[role]}.{role}.json", data)
    return versions


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
