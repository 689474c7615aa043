"""Publishing a file, so that readers see the old one or the new one, whole; and descriptors closed once."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def publish(path: str | os.PathLike[str], *, private: bool = False) -> Iterator[BinaryIO]:
    """A binary file to write, which takes the place of `path` when the block ends without an error.

    It is written beside `path` under a temporary name, synced, renamed, and the directory is synced:
    after a crash, `path` is the old file or the new one. After an error the temporary file is removed
    and `path` is as it was. A symbolic link stays, and the file it leads to is replaced. `private`
    keeps the file to its owner; otherwise the umask decides.

    Raises OSError, always with the file's name: a missing or unwritable directory, a full disk, a
    `path` that is not a regular file (a device must not be replaced by renaming).
    """
    target = Path(os.path.realpath(path))
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(target.stat().st_mode):
            raise OSError(errno.EEXIST, "exists and is not a regular file", os.fspath(path))
    temporary = target.with_name(f".imeiset-{secrets.token_hex(8)}.tmp")
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:  # before the file is there: a signal's exception may come at once
            descriptor = os.open(temporary, flags, 0o600 if private else 0o666)
            with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor)
                yield file
                file.flush()
                os.fsync(descriptor)
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        _sync_directory(target.parent)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise


class Opened:
    """A descriptor of a file, closed once: when it is told to, or when nobody has it any more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """The descriptor. OSError once it is closed."""
        if self._descriptor < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._descriptor

    def close(self) -> None:
        """Let go of the file."""
        # Forgotten before it is closed: who is interrupted must not close another.
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        with suppress(AttributeError):  # interrupted before it had one
            self.close()


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
