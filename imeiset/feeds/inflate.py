"""Decompression as a stream: gzip, zstd, xz, and zip archives of one file, their checksums verified."""

import gzip
import io
import lzma
import re
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from ..errors import FeedEncoding, FeedTruncated
from ..errors.extras import extra

GZIP, ZSTD, XZ, ZIP = b"\x1f\x8b", b"(\xb5/\xfd", b"\xfd7zXZ\0", b"PK\x03\x04"
_SKIPPABLE = re.compile(
    rb"[\x50-\x5f]\x2a\x4d\x18"
)  # a frame of zstd without data; those of pzstd have one first
_INPUT = 1 << 18  # bytes
# Members that systems add to a zip archive, beside the files that somebody packed.
_ADDED = re.compile(r"(?:.*/)?(?:__MACOSX/.*|\._[^/]*|\.DS_Store|Thumbs\.db)", re.I | re.S)

Read = Callable[[memoryview], int]
"""Fills some of a buffer; returns how much, 0 at the end."""


def inflated(path: str, read: Read, head: bytes) -> Read | None:
    """The text of a stream that begins with `head` and goes on with `read`; None if it is not compressed.

    Members (frames, streams) may follow one another. Reading raises FeedTruncated for data that end early
    or are damaged, and for what follows them and is not compressed.
    """
    file: Any
    errors: tuple[type[Exception], ...] = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError)
    if head.startswith(GZIP):
        kind = "gzip"
        opened, error_of_isal = _gzip()
        file = opened(_Stream(head, read))
        errors += error_of_isal
    elif head.startswith(ZSTD) or _SKIPPABLE.match(head):
        module = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
        kind, zstd = "zstd", extra(module, f"{path}: zstd data need backports.zstd", "zstd")
        file = zstd.ZstdFile(_Stream(head, read))
        errors += (zstd.ZstdError,)
    elif head.startswith(XZ):
        kind, file = "xz", _XzFile(_Stream(head, read))
    else:
        return None

    def inflate(buffer: memoryview) -> int:
        try:
            return int(file.readinto(buffer))
        except errors as error:
            raise FeedTruncated(path, f"whole {kind} data", str(error)) from error

    return inflate


class _Stream(io.RawIOBase):
    """A stream as a file: its head, and what comes after it."""

    def __init__(self, head: bytes, read: Read) -> None:
        self._head, self._read = memoryview(head), read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._head:
            return self._read(memoryview(buffer))
        count = min(len(buffer), len(self._head))
        buffer[:count], self._head = self._head[:count], self._head[count:]
        return count


def _gzip() -> tuple[Any, tuple[type[Exception], ...]]:
    """What opens gzip, and errors of its own. isal (extra `fast`) is three times as fast as zlib."""
    if find_spec("isal") is None:
        return gzip.open, ()
    from isal import igzip, isal_zlib

    error: Any = isal_zlib.error
    return igzip.open, (error,)


class _XzFile:
    """xz streams one after the other, with zeros between them. What follows a stream and is none is an
    error here, and for `lzma.LZMAFile` the end: the rows of a second stream would be lost."""

    def __init__(self, file: io.RawIOBase) -> None:
        self._file, self._data = file, b""
        self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ)

    def readinto(self, buffer: memoryview) -> int:
        while not self._stream.eof or self._next():
            data = b""
            if self._stream.needs_input:
                data, self._data = self._data or self._file.read(_INPUT) or b"", b""
                if not data:
                    raise EOFError("its end too early")
            text = self._stream.decompress(data, len(buffer))
            if self._stream.eof:
                self._data = self._stream.unused_data
            if text:
                buffer[: len(text)] = text
                return len(text)
        return 0

    def _next(self) -> bool:
        """Whether another stream follows."""
        zeros = 0
        while data := self._data or self._file.read(_INPUT):
            self._data = data.lstrip(b"\0")
            zeros += len(data) - len(self._data)
            if self._data:
                self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ)
                break
        if zeros % 4:
            raise lzma.LZMAError("padding of another size")
        return bool(self._data)


def unzipped(path: str, archive: zipfile.ZipFile) -> tuple[str, Read]:
    """The name and the text of the only file in a zip archive; those that systems add are not counted.

    Raises FeedEncoding for an archive of another number of files or one that is encrypted.
    """
    members = [one for one in archive.infolist() if not one.is_dir() and not _ADDED.fullmatch(one.filename)]
    if len(members) != 1:
        raise FeedEncoding(path, "a zip archive of one file", f"one of {len(members)}")
    with sound(path):
        member: Any = archive.open(members[0])

    def read(buffer: memoryview) -> int:
        with sound(path):
            return int(member.readinto(buffer[:_INPUT]))

    return members[0].filename, read


@contextmanager
def sound(path: str, kind: str = "zip archive") -> Iterator[None]:
    """Errors of a zip archive as those of its feed."""
    try:
        yield
    except (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        # OSError: a damaged one may say to seek to nowhere.
        raise FeedTruncated(path, f"a whole {kind}", str(error)) from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted; a method that is not known here
        raise FeedEncoding(path, f"a {kind} that can be read", str(error)) from error
