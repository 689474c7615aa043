"""The text of a source, read and decompressed ahead of its parsing, in a thread of its own."""

import os
import re
import select
import stat
import sys
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from ..errors import FeedColumn, FeedEncoding, FeedLimit, FeedMissing, FeedTruncated
from ..errors.extras import extra
from .inflate import GZIP, XZ, ZIP, ZSTD, Read, inflated, sound, unzipped
from .workbooks import Workbook, is_workbook

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

CHUNK = 1 << 20  # bytes: a chunk, its marks and its rows stay in the second-level cache
HEADROOM = 1 << 12  # bytes before a chunk, for the unfinished row of the one before
_BUFFERS = 2  # one being filled, one between; the ones being parsed come to these
MAX_BYTES = 1 << 40  # of text
MAX_RATIO = 250  # of text to what it was compressed to
_RATIO_FROM = 1 << 24  # bytes of text before the ratio says anything

BOM = b"\xef\xbb\xbf"
_NOT_TEXT = {
    GZIP: "gzip data inside compressed data",
    ZIP: "a zip archive or a workbook inside compressed data (unpack it first)",
    ZSTD: "zstd data inside compressed data",
    XZ: "xz data inside compressed data",
    b"PK\x05\x06": "an empty zip archive",
    b"BZh": "bzip2 data (decompress it first)",
    b"7z\xbc\xaf": "a 7z archive (unpack it first)",
    b"\xd0\xcf\x11\xe0": "a workbook with a password, or an old xls one (save it as xlsx or CSV)",
    b"%PDF": "a PDF document",
    b"PAR1": "a Parquet file (it has to be a local file, not a stream)",
    b"ARROW1": "an Arrow file (a list has to be a local file; write records as Parquet)",
    b"\x89IMEI": "an imeiset snapshot (`imeiset merge` joins such)",
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
            raise FeedEncoding(path, "text, plain or compressed", name)
    if head.count(0) * 4 > len(head):
        raise FeedEncoding(path, "text, plain or compressed", "UTF-16 text or binary data")
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls > 16 and controls * 20 > len(head):
        raise FeedEncoding(path, "text, plain or compressed", "binary data")
    # A CR in quotes ends no line, a few elsewhere cost their rows; more would hide most rows in a few.
    bare = re.sub(rb'"[^"]*"', b"", head).rstrip().replace(b"\r\n", b"\n")
    if bare.count(b"\r") > bare.count(b"\n"):
        raise FeedEncoding(path, "lines that end in LF or CRLF", "lines that end in CR")


def names_of(paths: Paths) -> list[str]:
    """The paths as texts; one may stand alone."""
    return [os.fspath(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]


def is_remote(path: str) -> bool:
    """Whether fsspec is to open it: what has a protocol, for example s3://."""
    return "://" in path


def size_of(path: str) -> int | None:
    """The bytes of a regular file, None of anything else. What cannot be opened fails later."""
    if path == "-" or is_remote(path):
        return None
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def total_of(paths: Iterable[str]) -> int | None:
    """The bytes of all, None if one is not a regular file."""
    sizes = [size_of(path) for path in paths]
    return None if None in sizes else sum(size for size in sizes if size)


def stdin_reader(wake: int | None = None) -> Read:
    """A function that reads what stdin has into a buffer, waiting for it; 0 at the end.

    wake: a descriptor; the waiting ends, too, as soon as it can be read. Raises FeedMissing if stdin is
    closed.
    """
    if sys.stdin is None:
        raise FeedMissing("-", "an open stdin", "a closed one")
    # Unbuffered, as the lock of the buffered stdin would hang the exit of the process.
    stdin: Any = sys.stdin.buffer
    return _waiting(getattr(stdin, "raw", stdin), wake)


def _waiting(file: Any, wake: int | None) -> Read:
    """What a file has, waiting for it; 0 at its end, and once `wake` can be read."""
    ready = select.poll()
    try:
        for one in (file, *(() if wake is None else (wake,))):
            ready.register(one, select.POLLIN)
        wait: Callable[[], list[Any]] = ready.poll
    except (OSError, TypeError):  # not a file of the system: it never waits
        wait = list

    def read(buffer: memoryview) -> int:
        while all(descriptor != wake for descriptor, _ in wait()):
            # None: a pipe that someone made non-blocking is empty for now. That is not its end.
            if (count := file.readinto(buffer)) is not None:
                return int(count)
        return 0

    return read


def _open(path: str) -> Any:
    """An unbuffered local file, or what fsspec opens."""
    if not is_remote(path):
        return Path(path).open("rb", buffering=0)
    fsspec = extra("fsspec", f"{path}: remote files need fsspec", "fsspec")
    try:
        return fsspec.open(path, "rb").open()
    except (ImportError, ValueError) as error:  # no such protocol, or it wants a library of its own
        raise FeedMissing(path, "a file that fsspec opens", str(error)) from error


class Source:
    """One source, open: iterate over it for the chunks of its text, without a byte order mark.

    path: a file, '-' for stdin, or a URL for fsspec; plain, gzip, zstd, xz or zip, told by the first
    bytes; a workbook is the text of one sheet. chunk: bytes of a chunk. max_bytes: of text; max_ratio: of
    text to its compressed bytes. sheet: the name of a workbook's sheet. `notes`: what somebody should know of
    how the source was read, complete at its end. `member`: what a zip archive calls it, once there is text.

    A chunk is (buffer, start, stop): the text is buffer[start:stop], start is at least HEADROOM, and the
    buffer may be written to until it is given back by `release`, as each must be: there are `held` and
    two more. Iterating raises FeedMissing, FeedEncoding, FeedTruncated or FeedLimit; what was read before
    an error must not be used.

    Its thread ends with the context, but while it waits for a FIFO without a writer, or for a remote file.
    """

    def __init__(
        self,
        path: str,
        *,
        chunk: int = CHUNK,
        held: int = 1,
        max_bytes: int = MAX_BYTES,
        max_ratio: float = MAX_RATIO,
        sheet: str | None = None,
    ) -> None:
        self.path = path
        self.notes: list[str] = []
        self.member = ""
        self.position = 0  # bytes of the file read so far
        self._max_bytes, self._max_ratio, self._sheet = max_bytes, max_ratio, sheet
        self._free: SimpleQueue[bytearray | None] = SimpleQueue()
        self._full: SimpleQueue[tuple[bytearray, int, int] | BaseException | None] = SimpleQueue()
        self._room = HEADROOM + chunk
        for _ in range(_BUFFERS + held):
            self._free.put(bytearray())  # made when first needed: most files are short
        self._is_file = size_of(path) is not None
        # A daemon: nothing can interrupt the opening of a FIFO, or a remote file that does not come.
        self._thread = threading.Thread(target=self._work, name=f"read {path}", daemon=True)

    def __enter__(self) -> Self:
        self._wake, self._waker = os.pipe()  # the thread closes the first, and the context the other
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._free.put(None)
        os.close(self._waker)
        self._thread.join(None if self._is_file else 1.0)

    def __iter__(self) -> Iterator[tuple[bytearray, int, int]]:
        while (chunk := self._full.get()) is not None:
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk

    def release(self, buffer: bytearray) -> None:
        """Give a chunk's buffer back."""
        self._free.put(buffer)

    def _work(self) -> None:
        try:
            if self.path == "-":
                self._read_all(stdin_reader(self._wake), None)
            else:
                with _open(self.path) as file:
                    size = None if is_remote(self.path) else _size(file)
                    if self._read_all(self._reader(file), file) and size and self.position < size:
                        got = f"{self.position:,}: it shrank while it was read"
                        raise FeedTruncated(self.path, f"{size:,} bytes", got)
            self._full.put(None)
        except FeedMissing as error:
            self._full.put(error)
        except OSError as error:
            reason = error.strerror or str(error)
            self._full.put(FeedMissing(self.path, "a readable file", reason))
        except BaseException as error:
            self._full.put(error)
        finally:
            os.close(self._wake)

    def _reader(self, file: Any) -> Read:
        def read(buffer: memoryview) -> int:
            data = file.read(len(buffer))
            buffer[: len(data)] = data
            return len(data)

        if is_remote(self.path):
            return file.readinto if hasattr(file, "readinto") else read
        return file.readinto if self._is_file else _waiting(file, self._wake)

    def _read_all(self, readinto: Read, file: Any) -> bool:
        """Whether the end was reached; otherwise nobody wants more."""

        def read(buffer: memoryview) -> int:
            count = readinto(buffer)
            self.position += count
            return count

        inflate: Read | None = None
        first, total = True, 0
        while (buffer := self._free.get()) is not None:
            buffer = buffer or bytearray(self._room)
            start, stop = HEADROOM, _fill(buffer, inflate or read)
            if first:
                head = bytes(memoryview(buffer)[start:stop])
                inflate = self._unzipped(file) if head.startswith(ZIP) else inflated(self.path, read, head)
                if inflate:
                    stop = _fill(buffer, inflate)
                if self._sheet is not None and not self.notes:
                    raise FeedColumn(self.path, f"a workbook, for the sheet {self._sheet!r}", "another file")
                _check_text(self.path, bytes(buffer[start : min(stop, start + _SAMPLE)]))
                if buffer.startswith(BOM, start):
                    start += len(BOM)
            if start == stop:
                return True
            total += stop - start
            if total > self._max_bytes:
                raise FeedLimit(self.path, f"at most {self._max_bytes:,} bytes of text", "more")
            if inflate and total > _RATIO_FROM and total > self._max_ratio * max(self.position, 1):
                expected = f"at most {self._max_ratio:g} times as much text as compressed data"
                raise FeedLimit(self.path, expected, f"{total:,} bytes of {self.position:,}")
            self._full.put((buffer, start, stop))
            first = False
        return False

    def _unzipped(self, file: Any) -> Read:
        """The text of a zip archive, or of a workbook, which is one."""
        if file is None or not file.seekable():
            got = "a zip archive or a workbook that cannot be sought in (save it as a local file)"
            raise FeedEncoding(self.path, "text, plain or compressed", got)
        size = file.seek(0, os.SEEK_END)
        with sound(self.path):
            archive = zipfile.ZipFile(file)
        if is_workbook(self.path, archive):
            limit = int(min(self._max_bytes, max(self._max_ratio * size, _RATIO_FROM)))
            book = Workbook(self.path, archive, self._sheet, limit)
            self.notes, inflate = book.notes, book.text()
        else:
            self.member, inflate = unzipped(self.path, archive)

        def read(buffer: memoryview) -> int:
            count = inflate(buffer)
            self.position = file.tell() if count else size
            return count

        return read


def _size(file: Any) -> int | None:
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _fill(buffer: bytearray, read: Read) -> int:
    """Read until the buffer is full or nothing comes; return where the text ends."""
    stop = HEADROOM
    with memoryview(buffer) as view:
        while stop < len(view) and (count := read(view[stop:])):
            stop += count
    return stop
