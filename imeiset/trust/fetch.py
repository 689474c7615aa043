"""A published file brought here: by ranges, resumed where it ended, and whole before it has its name."""

import hashlib
import os
import re
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from pathlib import Path

from imeiset.errors import TrustRefused, TrustUnreachable
from imeiset.trust.client import Target
from imeiset.trust.places import Place

Progress = Callable[[str, int, int], None]
"""Called with the name of a file, how many bytes of it are here, and how many it has."""
_FILE = re.compile(r"[0-9a-f]{64}\.(base|delta)-[0-9]{8,19}\.imei(\.part)?")
_PART = ".part"


def fetch(place: Place, target: Target, folder: Path, progress: Progress | None = None) -> Path:
    """The file of a target in a folder, verified by its length and SHA-256.

    What another call began is gone on with. If the whole does not fit then, it is fetched anew, once.

    Raises
    ------
    TrustUnreachable
        The place does not answer, or the disk is full. What came stays for the next call.
    TrustRefused
        The file is not the one that was published.
    """
    path = folder / f"{target.sha256}.{target.name}"
    part = path.with_name(path.name + _PART)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():  # of a call whose caller died: the disk may have lost what was not synced
            path.replace(part)
        if part.is_symlink() or (part.exists() and not part.is_file()):
            part.unlink()  # whoever prepared a stick may have put it there, to have another file written
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            digest = hashlib.sha256()
            for again in (False, True):
                start = _resumed(file.fileno(), target.length, digest)
                _expect_room(file.fileno(), part, target.length - start)
                with closing(_pieces(place, target, start, progress)) as pieces:
                    for piece in pieces:
                        _write(file.fileno(), piece)
                        digest.update(piece)
                if digest.hexdigest() == target.sha256:
                    break
                os.ftruncate(file.fileno(), 0)
                if again or not start:
                    raise TrustRefused(
                        f"{place}/{target.path}", f"SHA-256 {target.sha256}", digest.hexdigest()
                    )
                digest = hashlib.sha256()
            os.fsync(file.fileno())
        part.replace(path)
        _sync(folder)
    except (TrustRefused, TrustUnreachable):
        raise
    except OSError as error:
        got = error.strerror or str(error)
        raise TrustUnreachable(os.fspath(part), f"room for {target.length:,} bytes", got) from error
    return path


def is_whole(path: Path, target: Target) -> bool:
    """Whether a file is there, and is the target."""
    try:
        if not path.is_file():  # a pipe, which nobody writes to
            return False
        with path.open("rb") as file:
            return (
                os.fstat(file.fileno()).st_size == target.length
                and hashlib.file_digest(file, "sha256").hexdigest() == target.sha256
            )
    except FileNotFoundError:
        return False


def _resumed(descriptor: int, length: int, digest: "hashlib._Hash") -> int:
    """How much of a file is there, which the digest then has; what is beyond its length goes."""
    if os.fstat(descriptor).st_size > length:
        os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    start = 0
    while piece := os.read(descriptor, 1 << 20):
        digest.update(piece)
        start += len(piece)
    return start


def _expect_room(descriptor: int, part: Path, needed: int) -> None:
    """Before a disk is filled for nothing, with all that others write there."""
    about = os.fstatvfs(descriptor)
    if (free := about.f_bavail * about.f_frsize) < needed:
        raise TrustUnreachable(os.fspath(part), f"room for {needed:,} bytes", f"{free:,}")


def _pieces(place: Place, target: Target, start: int, progress: Progress | None) -> Generator[bytes]:
    """The rest of a file. TrustUnreachable if it ends early."""
    done = start
    if progress:
        progress(target.name, done, target.length)
    if start < target.length:
        with closing(place.pieces(target.path, start, target.length - start + 1)) as more:
            for piece in more:
                done += len(piece)
                if done > target.length:
                    raise TrustRefused(f"{place}/{target.path}", f"{target.length:,} bytes", "more")
                yield piece
                if progress:
                    progress(target.name, done, target.length)
    if done < target.length:
        raise TrustUnreachable(
            f"{place}/{target.path}", f"{target.length:,} bytes", f"{done:,}, then its end"
        )


def _write(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clean(folder: Path, keep: Iterable[Target]) -> None:
    """Remove the files of targets that are not wanted any more."""
    wanted = {f"{target.sha256}.{target.name}" for target in keep}
    for path in folder.iterdir() if folder.is_dir() else ():
        if _FILE.fullmatch(path.name) and path.name.removesuffix(_PART) not in wanted:
            path.unlink(missing_ok=True)
