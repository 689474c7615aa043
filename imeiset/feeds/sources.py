"""The text of a source, read and decompressed ahead of its parsing, in a thread of its own."""

import os
import re
import select
import stat
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from ..errors import FeedEncoding, FeedMissing, FeedTruncated

CHUNK = 1 << 20  # bytes: a chunk, its marks and its rows stay in the second-level cache
HEADROOM = 1 << 12  # bytes before a chunk, for the unfinished row of the one before
_BUFFERS = 3  # one being parsed, one being filled, one between

BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_NOT_TEXT = {
    _GZIP: "gzip data inside gzip data",
    b"PK\x03\x04": "a zip archive (unpack it first)",
    b"PK\x05\x06": "an empty zip archive",
    b"(\xb5/\xfd": "zstd data (decompress it first)",
    b"\xfd7zXZ\0": "xz data (decompress it first)",
    b"BZh": "bzip2 data (decompress it first)",
    b"7z\xbc\xaf": "a 7z archive (unpack it first)",
    b"\xd0\xcf\x11\xe0": "a document of an old Microsoft Office (save it as CSV)",
    b"%PDF": "a PDF document",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"\x89IMEI": "an imeiset snapshot",
    b"\xff\xfe": "UTF-16 text (convert it to UTF-8)",
    b"\xfe\xff": "UTF-16 text (convert it to UTF-8)",
    b"\0\0\xfe\xff": "UTF-32 text (convert it to UTF-8)",
}
_SAMPLE = 1 << 16  # bytes
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1a\x1b"))


def _check_text(path: str, head: bytes) -> None:
    """Raise FeedEncoding if a text cannot begin like this. A few control characters may."""
    for magic, name in _NOT_TEXT.items():
        if head.startswith(magic):
            raise FeedEncoding(path, "text, plain or gzip", name)
    if head.count(0) * 4 > len(head):
        raise FeedEncoding(path, "text, plain or gzip", "UTF-16 text or binary data")
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls > 16 and controls * 20 > len(head):
        raise FeedEncoding(path, "text, plain or gzip", "binary data")
    # A CR in quotes ends no line, a few elsewhere cost their rows; more would hide most rows in a few.
    bare = re.sub(rb'"[^"]*"', b"", head).rstrip().replace(b"\r\n", b"\n")
    if bare.count(b"\r") > bare.count(b"\n"):
        raise FeedEncoding(path, "lines that end in LF or CRLF", "lines that end in CR")


class _Gunzip:
    """The text of gzip members one after the other, their lengths and checksums verified."""

    def __init__(self, path: str, read: Callable[[memoryview], int], head: bytes) -> None:
        self._path, self._read, self._input = path, read, head
        self._buffer = memoryview(bytearray(CHUNK // 4))
        self._member = zlib.decompressobj(31)

    def _refill(self) -> bool:
        if not self._input:
            self._input = bytes(self._buffer[: self._read(self._buffer)])
        return bool(self._input)

    def _next_member(self) -> bool:
        while self._refill():
            self._input = self._input.lstrip(b"\0")  # some tools pad with zeros
            if self._input:
                self._member = zlib.decompressobj(31)
                return True
        return False

    def read(self, buffer: memoryview) -> int:
        """Fill some of `buffer`; return how much, 0 at the end."""
        while True:
            if self._member.eof and not self._next_member():
                return 0
            try:
                text = self._member.decompress(self._input, len(buffer))
            except zlib.error as error:
                raise FeedTruncated(self._path, "whole gzip data", str(error)) from error
            self._input = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if text:
                buffer[: len(text)] = text
                return len(text)
            if not self._member.eof and not self._refill():
                raise FeedTruncated(self._path, "whole gzip data", "its end too early")


def size_of(path: str) -> int | None:
    """The bytes of a regular file, None of anything else. What cannot be opened fails later."""
    if path == "-":
        return None
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def stdin_reader() -> Callable[[memoryview], int]:
    """A function that reads what stdin has into a buffer, waiting for it; 0 at the end.

    Raises FeedMissing if stdin is closed.
    """
    if sys.stdin is None:
        raise FeedMissing("-", "an open stdin", "a closed one")
    # Unbuffered, as the lock of the buffered stdin would hang the exit of the process.
    stdin: Any = sys.stdin.buffer
    stdin = getattr(stdin, "raw", stdin)

    def read(buffer: memoryview) -> int:
        # None: a pipe that someone made non-blocking is empty for now. That is not its end.
        while (count := stdin.readinto(buffer)) is None:
            select.select([stdin], [], [])
        return int(count)

    return read


class Source:
    """One source, open: iterate over it for the chunks of its text, without a byte order mark.

    path: a file, plain or gzip (told by its first bytes), or '-' for stdin. chunk: bytes of a chunk.
    A chunk is (buffer, start, stop): the text is buffer[start:stop], start is at least HEADROOM, and
    the buffer may be written to and is reused for a later chunk. Iterating raises FeedMissing,
    FeedEncoding or FeedTruncated; what was read before an error must not be used.
    """

    def __init__(self, path: str, *, chunk: int = CHUNK) -> None:
        self.path = path
        self.position = 0  # bytes of the file read so far
        self._free: SimpleQueue[bytearray | None] = SimpleQueue()
        self._full: SimpleQueue[tuple[bytearray, int, int] | BaseException | None] = SimpleQueue()
        for _ in range(_BUFFERS):
            self._free.put(bytearray(HEADROOM + chunk))
        # A daemon: nothing can interrupt the reading of a pipe that stays silent.
        self._thread = threading.Thread(target=self._work, name=f"read {path}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._free.put(None)
        self._thread.join(1.0)

    def __iter__(self) -> Iterator[tuple[bytearray, int, int]]:
        while (chunk := self._full.get()) is not None:
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk
            self._free.put(chunk[0])

    def _work(self) -> None:
        try:
            if self.path == "-":
                self._read_all(stdin_reader())
            else:
                with Path(self.path).open("rb", buffering=0) as file:
                    status = os.fstat(file.fileno())
                    if self._read_all(file.readinto) and stat.S_ISREG(status.st_mode):
                        size = status.st_size
                        if self.position < size:
                            got = f"{self.position:,}: it shrank while it was read"
                            raise FeedTruncated(self.path, f"{size:,} bytes", got)
            self._full.put(None)
        except OSError as error:
            reason = error.strerror or str(error)
            self._full.put(FeedMissing(self.path, "a readable file", reason))
        except BaseException as error:
            self._full.put(error)

    def _read_all(self, readinto: Callable[[memoryview], int]) -> bool:
        """Whether the end was reached; otherwise nobody wants more."""

        def read(buffer: memoryview) -> int:
            count = readinto(buffer)
            self.position += count
            return count

        first = True
        while (buffer := self._free.get()) is not None:
            start, stop = HEADROOM, _fill(buffer, read)
            if first:
                if buffer.startswith(_GZIP, start):
                    read = _Gunzip(self.path, read, bytes(buffer[start:stop])).read
                    stop = _fill(buffer, read)
                _check_text(self.path, bytes(buffer[start : min(stop, start + _SAMPLE)]))
                if buffer.startswith(BOM, start):
                    start += len(BOM)
            if start == stop:
                return True
            self._full.put((buffer, start, stop))
            first = False
        return False


def _fill(buffer: bytearray, read: Callable[[memoryview], int]) -> int:
    """Read until the buffer is full or nothing comes; return where the text ends."""
    stop = HEADROOM
    with memoryview(buffer) as view:
        while stop < len(view) and (count := read(view[stop:])):
            stop += count
    return stop
