"""Decompression as a stream: gzip, zstd, xz, and zip archives of one file, their checksums verified."""

import lzma
import sys
import zipfile
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, BinaryIO

from ..errors import ExtraMissing, FeedEncoding, FeedTruncated

GZIP, ZSTD, XZ, ZIP = b"\x1f\x8b", b"(\xb5/\xfd", b"\xfd7zXZ\0", b"PK\x03\x04"
_INPUT = 1 << 18  # bytes

Read = Callable[[memoryview], int]
"""Fills some of a buffer; returns how much, 0 at the end."""


def inflated(path: str, read: Read, head: bytes) -> Read | None:
    """The text of a stream that begins with `head` and goes on with `read`; None if it is not compressed.

    Members (frames, streams) may follow one another. Reading raises FeedTruncated for data that end early
    or are damaged.
    """
    if head.startswith(GZIP):
        module = _gzip()
        return _Inflate(path, read, head, "gzip", lambda: _Zlib(module), module.error, padding=1).read
    if head.startswith(XZ):
        make = lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ)  # noqa: E731
        return _Inflate(path, read, head, "xz", make, lzma.LZMAError, padding=4).read
    if head.startswith(ZSTD):
        zstd = _zstd(path)
        return _Inflate(path, read, head, "zstd", zstd.ZstdDecompressor, zstd.ZstdError, padding=0).read
    return None


def _gzip() -> Any:
    """isal inflates about twice as fast as zlib, and is used where it is installed (extra `fast`)."""
    if find_spec("isal") is None:
        return zlib
    from isal import isal_zlib

    return isal_zlib


def _zstd(path: str) -> Any:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ModuleNotFoundError as error:
        raise ExtraMissing(f"{path}: zstd data need backports.zstd", "zstd", error.name) from None
    return zstd


class _Zlib:
    """A decompressor of zlib's kind, with the interface of the others."""

    def __init__(self, module: Any) -> None:
        self._object = module.decompressobj(31)
        self._rest = b""

    def decompress(self, data: bytes, size: int) -> bytes:
        text: bytes = self._object.decompress(self._rest + data if self._rest else data, size)
        self._rest = self._object.unconsumed_tail
        return text

    @property
    def needs_input(self) -> bool:
        return not self._rest and not self.eof

    @property
    def eof(self) -> bool:
        return bool(self._object.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._object.unused_data)


class _Inflate:
    """The text of compressed members one after the other. padding: after a member, zeros in such units."""

    def __init__(
        self,
        path: str,
        read: Read,
        head: bytes,
        kind: str,
        make: Callable[[], Any],
        error: type[Exception],
        *,
        padding: int,
    ) -> None:
        self._path, self._read, self._input, self._kind = path, read, head, kind
        self._make, self._error, self._padding = make, error, padding
        self._buffer = memoryview(bytearray(_INPUT))
        self._member = make()

    def _refill(self) -> bool:
        if not self._input:
            self._input = bytes(self._buffer[: self._read(self._buffer)])
        return bool(self._input)

    def _next_member(self) -> bool:
        zeros = 0
        while self._refill():
            rest = self._input.lstrip(b"\0") if self._padding else self._input
            zeros += len(self._input) - len(rest)
            self._input = rest
            if rest:
                break
        if self._padding and zeros % self._padding:
            raise FeedTruncated(self._path, f"whole {self._kind} data", "padding of another size")
        if self._input:
            self._member = self._make()
        return bool(self._input)

    def read(self, buffer: memoryview) -> int:
        while True:
            if self._member.eof and not self._next_member():
                return 0
            data = b""
            if self._member.needs_input:
                if not self._refill():
                    raise FeedTruncated(self._path, f"whole {self._kind} data", "its end too early")
                data, self._input = self._input, b""
            try:
                text = self._member.decompress(data, len(buffer))
            except (self._error, EOFError) as error:
                raise FeedTruncated(self._path, f"whole {self._kind} data", str(error)) from error
            if self._member.eof:
                self._input = self._member.unused_data + self._input
            if text:
                buffer[: len(text)] = text
                return len(text)


def unzipped(path: str, file: BinaryIO) -> Read:
    """The text of the only file in a zip archive, which has to be seekable.

    Raises FeedEncoding for an archive of another number of files or one that is encrypted.
    """
    try:
        archive = zipfile.ZipFile(file)
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise FeedEncoding(path, "a zip archive of one file", f"one of {len(members)}")
        member = archive.open(members[0])
    except (zipfile.BadZipFile, OSError) as error:  # the latter where it is told to seek to nowhere
        raise FeedTruncated(path, "a whole zip archive", str(error)) from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted; a method that is not known here
        raise FeedEncoding(path, "a zip archive that can be read", str(error)) from error

    def read(buffer: memoryview) -> int:
        try:
            text = member.read(min(len(buffer), _INPUT))
        except (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            raise FeedTruncated(path, "a whole zip archive", str(error)) from error
        buffer[: len(text)] = text
        return len(text)

    return read
