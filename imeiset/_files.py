"""Publishing a file, so that readers see the old one or the new one, whole; and descriptors closed once.

While it is written, a file has no name where the system has unnamed files (Linux): a process that is killed
leaves nothing behind. Elsewhere, and between the link and the rename that publish it, its name is
`.imeiset-*.tmp` and its writer holds a lock on it. Whoever publishes in a directory removes the files of such
names there that no living process holds.
"""

import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

from imeiset.errors import StoreExists

_TEMPORARY = re.compile(r"\.imeiset-[0-9a-f]{16}\.tmp")
# See `store/directory.py`.
_OF_STORE = re.compile(r"current|lock|base-[0-9]{8,}\.imei|(journal|history)-[0-9]{8,}")
_PACKED = (".gz", ".tgz", ".bz2", ".zst", ".zstd", ".xz", ".zip", ".7z")
_SHEETS = (".xlsx", ".xlsm", ".xltx", ".xltm", ".xls", ".xlsb", ".ods")
_DESCRIPTORS = "/proc/self/fd"
_NO_UNNAMED = (
    errno.EOPNOTSUPP,
    errno.EISDIR,
    errno.EINVAL,
)  # what file systems without them and old kernels say


def expect_written(path: str | os.PathLike[str], formats: str = "text") -> None:
    """Raise ValueError for an output whose name says a format that is not written, and would not be read.

    formats: those that are, in words.
    """
    if (suffix := Path(path).suffix.lower()) in _PACKED + _SHEETS:
        raise ValueError(f"expected an output of {formats}, got a name that ends in {suffix}")


@contextmanager
def publish(
    path: str | os.PathLike[str], *, private: bool = True, of_store: bool = False
) -> Iterator[BinaryIO]:
    """A binary file to write, which takes the place of `path` when the block ends without an error.

    The file is written in the directory of `path`, synced and renamed, and the directory is synced: after a
    crash, `path` is the old file or the new one. After an error the new one is gone and `path` is as it was.
    A symbolic link stays, and the file it leads to is replaced.

    Parameters
    ----------
    private
        Keep the file to its owner (mode 0600), as outputs that list phones are. Otherwise the umask decides:
        snapshots and the files of a store are also read by the users whose processes serve them.
    of_store
        The writer of a store writes: nobody else replaces its files.

    Raises
    ------
    OSError
        Always with the file's name: a missing or unwritable directory, a full disk, a `path` that is not a
        regular file (a device must not be replaced by renaming).
    StoreExists
        `path` is a file of a store.
    """
    target = Path(os.path.realpath(path))
    if not of_store and is_of_store(target):
        raise StoreExists(path, "a file to write", "a file of a store: choose another name")
    with suppress(FileNotFoundError):
        there = Path(path).stat()  # /dev/stdout leads to what may have no name
        if not stat.S_ISREG(there.st_mode) or not there.st_nlink:
            raise OSError(errno.EEXIST, "exists and is not a regular file with a name", os.fspath(path))
    name, mode = f".imeiset-{os.urandom(8).hex()}.tmp", 0o600 if private else 0o666
    try:
        directory = Opened(os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    at = directory.fileno()
    try:
        _remove_abandoned(at)
        with open(name, "wb", opener=lambda *_: _create(name, at, mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if not os.fstat(file.fileno()).st_nlink:
                os.link(f"{_DESCRIPTORS}/{file.fileno()}", name, src_dir_fd=at, dst_dir_fd=at)
            os.replace(name, target.name, src_dir_fd=at, dst_dir_fd=at)
        os.fsync(at)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(name, dir_fd=at)
        if not isinstance(error, OSError) or error.errno is None:
            raise
        if error.filename not in (None, name, ".") and _DESCRIPTORS not in str(error.filename):
            raise  # it is of what the block reads
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        directory.close()


def is_of_store(path: Path) -> bool:
    """Whether that is a name of a store's files, in the directory of a store."""
    if not _OF_STORE.fullmatch(path.name):
        return False
    if (path.parent / "lock").exists() and any(path.parent.glob("base-*.imei")):
        return True  # whatever became of its manifest
    with suppress(OSError), (path.parent / "current").open("rb") as manifest:
        return manifest.read(14) == b'{"generation":'
    return False


def _create(name: str, directory: int, mode: int) -> int:
    """The descriptor of a new file in a directory, locked; without a name, where there are such files."""
    flags = os.O_RDWR | os.O_CLOEXEC
    unnamed = getattr(os, "O_TMPFILE", 0) if Path(_DESCRIPTORS).is_dir() else 0
    try:
        descriptor = os.open(".", flags | unnamed, mode, dir_fd=directory)
    except OSError as error:
        if error.errno not in _NO_UNNAMED:
            raise
        descriptor, unnamed = os.open(name, flags | os.O_CREAT | os.O_EXCL, mode, dir_fd=directory), 0
    with suppress(OSError):  # some file systems have no locks
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    if unnamed or os.fstat(descriptor).st_nlink:
        return descriptor
    os.close(descriptor)  # it was taken for abandoned before it was locked
    return _create(name, directory, mode)


def _remove_abandoned(directory: int) -> None:
    """Remove what processes that died were writing in a directory."""
    for name in filter(_TEMPORARY.fullmatch, os.listdir(directory)):
        with suppress(OSError):
            file = Opened(os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory))
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=directory)


class Opened:
    """A descriptor of a file, closed once: when it is told to, or when nobody has it any more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """The descriptor. OSError once it is closed."""
        if self._descriptor < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._descriptor

    def is_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether it is still the file of that name."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(path))  # noqa: PTH116 (half the time)
        except OSError:
            return False

    def close(self) -> None:
        """Let go of the file."""
        # Forgotten before it is closed: who is interrupted must not close another.
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        with suppress(AttributeError):  # interrupted before it had one
            self.close()
