"""The directory of a store: the names of its files, its manifest, its lock.

current             the manifest: which generation serves
base-00000001.imei  a register, as `Register.save` writes it
journal-00000001    the changes since
history-00000002    the net changes of the register that became base 2, if one replaced another: `history.py`
lock                held by the writer, with its process number; so is the directory itself, where it can be

manifest  := json " " checksum "\\n"
json      := {"generation":N,"version":1}, without spaces
checksum  := the 64-bit XXH3 of the json, 16 hexadecimal digits
"""

import fcntl
import os
import re
import weakref
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import xxhash

from imeiset._files import Opened
from imeiset.errors import StoreDamaged, StoreLocked, StoreMissing, mask_text
from imeiset.register.dumps import dump

MANIFEST, _LOCK = "current", "lock"
HISTORY = "history-"  # how the names of histories begin
UNPUBLISHED = ".imeiset-base-"  # how the name of a base begins that is being written


def base_path(directory: Path, generation: int) -> Path:
    return directory / f"base-{generation:08d}.imei"


def journal_path(directory: Path, generation: int) -> Path:
    return directory / f"journal-{generation:08d}"


def history_path(directory: Path, generation: int) -> Path:
    return directory / f"{HISTORY}{generation:08d}"


def generation_of(path: Path) -> int | None:
    """The generation that a file belongs to."""
    found = re.fullmatch(r"base-(\d+)\.imei|(?:journal|history)-(\d+)", path.name, re.ASCII)
    return int(found[1] or found[2]) if found else None


def serving(directory: Path) -> int:
    """The generation that serves."""
    path = directory / MANIFEST
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        got = "a directory without one" if directory.is_dir() else "no such directory"
        raise StoreMissing(directory, "a store", got) from error
    except NotADirectoryError as error:
        raise StoreMissing(directory, "the directory of a store", "a file") from error
    except OSError as error:
        raise StoreMissing(directory, "a store", error.strerror or str(error)) from error
    found = re.match(rb'{"generation":([0-9]{1,20}),', text)
    if found and text == manifest_text(int(found[1])):
        return int(found[1])
    raise StoreDamaged(path, "a manifest as it was written", f"'{mask_text(text)}'")


@lru_cache(8)
def manifest_text(generation: int) -> bytes:
    text = dump({"generation": generation, "version": 1})
    return text + f" {xxhash.xxh3_64_hexdigest(text)}\n".encode()


def is_serving(directory: Path, generation: int) -> bool:
    """Whether the manifest names that generation; False too where it cannot be read."""
    expected = manifest_text(generation)
    try:
        file = os.open(f"{directory}/{MANIFEST}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(file, len(expected) + 1) == expected
        finally:
            os.close(file)
    except OSError:
        return False


_LOCKS: "weakref.WeakSet[Lock]" = weakref.WeakSet()


class Lock(Opened):
    """A descriptor of the lock file of a store. This process is the writer until all of them are closed."""

    def __init__(self, path: Path) -> None:
        super().__init__(-1)  # known before it has one: an interrupt or a fork may come at once
        self.path, self._folder = path, Opened(-1)
        _LOCKS.add(self)

    @classmethod
    def take(cls, directory: Path) -> "Lock":
        """Become the writer. Raises StoreLocked while another process, or another Store, is."""
        path, taken = directory / _LOCK, None
        while True:
            lock = cls(path)
            try:
                # First the directory, which nobody can remove from under its writer as the file can be.
                lock._folder = Opened(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
                _lock_directory(lock._folder.fileno())
                lock._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                if lock.is_at(path):  # otherwise it was removed before it was locked, and excludes nobody
                    with suppress(OSError):  # only a help for people
                        os.ftruncate(lock.fileno(), 0)
                        os.pwrite(lock.fileno(), f"{os.getpid()}\n".encode(), 0)
                    taken = lock
                    return lock
            except BlockingIOError:
                writer = ""
                with suppress(OSError):
                    writer = path.read_bytes()[:20].decode(errors="replace").strip()
                which = ", this one: close its other Store" if writer == str(os.getpid()) else ""
                held = f"process {writer or '?'}{which}"
                got = f"{held}. It holds the lock until it ends; removing the file {_LOCK} does not take it"
                raise StoreLocked(directory, "no other writer", got) from None
            except (FileNotFoundError, NotADirectoryError) as error:
                raise StoreMissing(directory, "the directory of a store", "none") from error
            finally:
                if lock is not taken:
                    lock.close()

    def again(self) -> "Lock":
        """Another descriptor: until both are closed, nobody else has the lock."""
        other = Lock(self.path)
        other._folder = Opened(os.dup(self._folder.fileno()))
        other._descriptor = os.dup(self.fileno())
        return other

    def close(self) -> None:
        """Let go of both."""
        super().close()
        self._folder.close()


def _lock_directory(descriptor: int) -> None:
    """BlockingIOError if another has it locked. Where directories cannot be locked, the file has to do."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass


def _forget_locks() -> None:
    """In a child after a fork: the lock is the parent's, who must be able to let go of it."""
    for lock in list(_LOCKS):
        lock.close()


os.register_at_fork(after_in_child=_forget_locks)
