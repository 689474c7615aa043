"""The directory of a store: the names of its files, its manifest, its lock.

current             the manifest: which generation serves
base-00000001.imei  a register, as `Register.save` writes it
journal-00000001    the changes since
lock                held by the writer, with its process number

manifest  := json " " checksum "\\n"
json      := {"generation":N,"version":1}, without spaces
checksum  := the 64-bit XXH3 of the json, 16 hexadecimal digits
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import xxhash

from imeiset._files import Opened
from imeiset.errors import StoreDamaged, StoreLocked, StoreMissing, mask_text
from imeiset.register.layout import dump

MANIFEST, _LOCK = "current", "lock"


def base_path(directory: Path, generation: int) -> Path:
    return directory / f"base-{generation:08d}.imei"


def journal_path(directory: Path, generation: int) -> Path:
    return directory / f"journal-{generation:08d}"


def generation_of(path: Path) -> int | None:
    """The generation that a file belongs to."""
    for prefix, suffix in (("base-", ".imei"), ("journal-", "")):
        number = path.name.removeprefix(prefix).removesuffix(suffix)
        if path.name == f"{prefix}{number}{suffix}" and number.isascii() and number.isdigit():
            return int(number)
    return None


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
    try:
        generation = json.loads(text.partition(b" ")[0])["generation"]
        if text == manifest_text(generation):
            return int(generation)
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    raise StoreDamaged(path, "a manifest as it was written", f"'{mask_text(text)}'")


def manifest_text(generation: int) -> bytes:
    text = dump({"generation": generation, "version": 1})
    return text + f" {xxhash.xxh3_64_hexdigest(text)}\n".encode()


@contextmanager
def locked(directory: Path) -> Iterator[Opened]:
    lock = take_lock(directory)
    try:
        yield lock
    finally:
        lock.close()


def take_lock(directory: Path) -> Opened:
    """The lock file, locked until it is closed or its process ends, however it ends."""
    lock = Opened(os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
    try:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(OSError):  # only a help for people
            os.ftruncate(lock.fileno(), 0)
            os.pwrite(lock.fileno(), f"{os.getpid()}\n".encode(), 0)
        return lock
    except BlockingIOError:
        writer = os.pread(lock.fileno(), 20, 0).decode(errors="replace").strip()
        lock.close()
        which = ", this one: close its other Store" if writer == str(os.getpid()) else ""
        raise StoreLocked(directory, "no other writer", f"process {writer or '?'}{which}") from None
    except BaseException:
        lock.close()
        raise


def again(lock: Opened) -> Opened:
    """Another descriptor of the lock: until both are closed, nobody else has it."""
    return Opened(os.dup(lock.fileno()))
