"""A folder somewhere: a local one, one behind http(s), or one of any other protocol that fsspec has.

Whatever is there may be hostile or half dead. Nothing is read beyond what was asked for; each piece of a file
has a minute, and pieces start small enough for 1 kB/s. A file is put whole: local ones by a rename after an
fsync, others from a local file and never through a file object, as those of fsspec publish what is there when
the writer fails.
"""

import errno
import io
import os
import queue
import re
import shutil
import stat
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from imeiset._files import publish
from imeiset.errors import TrustMissing, TrustRefused, TrustUnreachable, mask_url
from imeiset.errors.extras import extra
from imeiset.trust.web import SECONDS, Web

_OF_A_PIECE = 60.0  # seconds
_OF_CLOSING = 2.0
_SMALLEST, _LARGEST = 1 << 15, 1 << 23  # bytes of a piece: the next is twice as long while one takes a second
_NAME = re.compile(r"(?!\.)[\w.-]+(?:/(?!\.)[\w.-]+)*", re.ASCII)
_URL = re.compile(r"(?P<protocol>[A-Za-z][A-Za-z0-9+.-]+)(?:://|::)")
_RENAMED = {"sftp", "ssh", "smb", "hdfs", "webhdfs", "arrow_hdfs"}  # where a file is seen while it is written
_TIMED = {
    "sftp": "timeout",
    "ssh": "timeout",
    "ftp": "timeout",
}  # those that wait forever unless they are told
_BRIEFLY = ".part"  # the end of the name of a file that is renamed when it is whole


class Place:
    """A folder somewhere, with files in it and in folders below it.

    Parameters
    ----------
    url
        The path of a folder, which need not be there yet, or a URL: `https://`, or what fsspec opens (`s3://`,
        `sftp://`, ...), whose settings and credentials are those of fsspec.

    Raises
    ------
    ExtraMissing
        The extra `follow` is not installed, and the place is not a local folder.
    TrustUnreachable
        Any method: the place does not answer, not in time, or not as it should. `__cause__` is a
        PermissionError where it is forbidden.

    Notes
    -----
    A name has `/` between folders, each of letters, digits, '_', '-' and '.'. Anything else is a ValueError.

    One thread at a time: where a call takes too long, all that is read of the place at that moment ends.

    Examples
    --------
    >>> from imeiset.trust.places import Place
    >>> place = Place("lists")
    >>> place.put_bytes("metadata/timestamp.json", b"{}")
    >>> place.read("metadata/timestamp.json", limit=100), place.names("metadata")
    (b'{}', ['timestamp.json'])
    >>> place.remove("metadata/timestamp.json")
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self.url = os.fspath(url)
        found = _URL.match(self.url)
        protocol = found["protocol"].lower() if found else "file"
        parts = urlsplit(self.url if found else "")
        self._secrets = [*filter(None, (parts.netloc.rpartition("@")[0], parts.password, parts.query))]
        self._at: _Folder
        if protocol == "file":
            self._at = _Local(Path(unquote(parts.path) if found else self.url))
        elif protocol in ("http", "https"):
            self._at = Web(self.url)
        else:
            self._at = _Remote(self.url, protocol)

    def __str__(self) -> str:
        """The URL without credentials."""
        return mask_url(self.url)

    @property
    def local(self) -> Path | None:
        """The folder, if it is one of this machine."""
        return self._at.path if isinstance(self._at, _Local) else None

    def read(self, name: str, limit: int) -> bytes:
        """A whole file. TrustMissing if there is none, TrustRefused if it has more than `limit` bytes."""
        data = b"".join(self.pieces(name, 0, limit + 1))
        if len(data) > limit:
            raise TrustRefused(self._shown(name), f"at most {limit} bytes", "more")
        return data

    def pieces(self, name: str, start: int, length: int) -> Generator[bytes]:
        """At most `length` bytes of a file from `start` on, fewer where it ends.

        Who does not read it to its end closes it: what is read is open till then.
        """
        opened = self._do(name, self._at.open, _checked(name), start, length)
        size = _SMALLEST
        try:
            while length:
                began = time.monotonic()
                # What comes before the start is read for nothing where ranges are not served.
                skips = self._do(name, opened.skip, size)
                piece = b"" if skips else self._do(name, opened.read, min(size, length))[:length]
                if time.monotonic() - began < 1:
                    size = min(2 * size, _LARGEST)
                if skips:
                    continue
                if not piece:
                    return
                length -= len(piece)
                yield piece
        finally:
            with suppress(Exception):  # a thread that was left behind may still read it, and hold its lock
                _within(_OF_CLOSING, opened.close)

    def put(self, name: str, path: str | os.PathLike[str]) -> None:
        """Put a local file there, whole; another of that name is replaced."""
        size = Path(path).stat().st_size
        self._write(name, self._at.put, _checked(name), os.fspath(path), seconds=_OF_A_PIECE + size / 1000)

    def put_bytes(self, name: str, data: bytes) -> None:
        """Put a file of those bytes there, whole; another of that name is replaced."""
        self._write(name, self._at.put, _checked(name), data)

    def names(self, folder: str = "") -> list[str]:
        """The names of the files in a folder, in order; none if there is no such folder."""
        try:
            found = self._do(folder, self._at.names, _checked(folder) if folder else "")
        except TrustMissing:
            return []
        return sorted(name for name in found if not name.startswith("."))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with suppress(TrustMissing):
            self._write(name, self._at.remove, _checked(name))

    def _write(
        self, name: str, function: Callable[..., Any], *args: Any, seconds: float = _OF_A_PIECE
    ) -> None:
        self._do(name, function, *args, seconds=seconds, expected="a place that can be written to")

    def _do(
        self,
        name: str,
        function: Callable[..., Any],
        *args: Any,
        seconds: float = _OF_A_PIECE,
        expected: str = "a place that can be read",
    ) -> Any:
        """Call a function of the folder. Whatever it raises is said in words, without credentials."""
        try:
            if isinstance(self._at, _Local):
                return function(*args)
            return _within(seconds, function, *args)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise TrustMissing(self._shown(name), "a file", "none of that name") from error
        except Exception as error:
            self._at.forget(given_up=isinstance(error, _GivenUp))
            reason = getattr(error, "reason", error)
            text = mask_url(str(getattr(reason, "strerror", None) or reason) or type(reason).__name__)
            for secret in self._secrets:
                text = text.replace(secret, "***")
            shown = text if len(text) <= 300 else text[:297] + "..."
            raise TrustUnreachable(self._shown(name), expected, shown) from error
        except BaseException:  # interrupted
            self._at.forget(given_up=True)
            raise

    def _shown(self, name: str) -> str:
        return f"{str(self).rstrip('/')}/{name}".rstrip("/") if "?" not in self.url else f"{self} ({name})"


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected a name of letters, digits, '_', '-', '.' and '/', got {name!r}")
    return name


class _GivenUp(TimeoutError):
    """A call goes on in a thread that was left behind."""


def _within(seconds: float, function: Callable[..., Any], *args: Any) -> Any:
    """What a function returns or raises; _GivenUp if that takes longer.

    It runs in a thread, which is left behind then: no library can be told to give up an answer that comes
    byte by byte. What it returns later is closed, as nobody else would.
    """
    results: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
    lock, waited_for = threading.Lock(), True

    def hand(value: Any, error: BaseException | None) -> None:
        with lock:
            if waited_for:
                results.put((value, error))
                return
        _close(value)

    def run() -> None:
        try:
            value = function(*args)
        except BaseException as error:
            hand(None, error)
        else:
            hand(value, None)

    threading.Thread(target=run, name="imeiset-place", daemon=True).start()
    try:
        value, error = results.get(timeout=seconds)
    except BaseException as why:
        with lock:
            waited_for = False
        came = None if results.empty() else results.get()
        if not isinstance(why, queue.Empty):  # interrupted
            _close(came and came[0])
            raise
        if came is None:
            raise _GivenUp(f"no answer, or too slow a one, within {seconds:.0f} seconds") from None
        value, error = came
    if error is not None:
        raise error
    return value


def _close(value: Any) -> None:
    if hasattr(value, "close"):
        with suppress(Exception):
            value.close()


class _Opened(Protocol):
    """A file that is being read."""

    def skip(self, size: int, /) -> int:
        """Read up to so much of what comes before the start, for nothing: how much of it is left."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> object: ...


class _Folder(Protocol):
    """What each kind of place does; it raises what it will."""

    def open(self, name: str, start: int, length: int) -> _Opened: ...

    def put(self, name: str, source: str | bytes) -> None: ...

    def names(self, folder: str) -> list[str]: ...

    def remove(self, name: str) -> None: ...

    def forget(self, *, given_up: bool) -> None:
        """After a fault: the next call connects anew. A call that was given up, and goes on, is to end."""


class _File(io.FileIO):
    """A local one."""

    def skip(self, size: int, /) -> int:
        return 0


class _Local:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, name: str, start: int, length: int) -> _Opened:
        # Whoever prepared a stick may have put a pipe there, which nobody writes to.
        descriptor = os.open(self.path / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        file = _File(descriptor, "rb")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            file.close()
            raise OSError(errno.EINVAL, "not a regular file")
        file.seek(start)
        return file

    def put(self, name: str, source: str | bytes) -> None:
        path = self.path / name
        _make_folders(path.parent)
        with publish(path, private=False) as file:
            if isinstance(source, bytes):
                file.write(source)
            else:
                with Path(source).open("rb") as old:
                    shutil.copyfileobj(old, file, 1 << 20)

    def names(self, folder: str) -> list[str]:
        with os.scandir(self.path / folder) as entries:
            return [entry.name for entry in entries if entry.is_file()]

    def remove(self, name: str) -> None:
        (self.path / name).unlink()

    def forget(self, *, given_up: bool) -> None:
        pass


def _make_folders(path: Path) -> None:
    """A folder and those above it; each is in the one above it even after a crash."""
    if not path.is_dir():
        _make_folders(path.parent)
        path.mkdir(exist_ok=True)
        above = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(above)
        finally:
            os.close(above)


class _Remote:
    """A folder of a protocol that fsspec has."""

    def __init__(self, url: str, protocol: str) -> None:
        self._fsspec = extra("fsspec", "places that are not local folders need fsspec", "follow")
        self._url, self._protocol = url, protocol
        self._connected: tuple[Any, str] | None = None

    def _at(self, name: str = "") -> tuple[Any, str]:
        """The file system, and the path of a file in it."""
        if self._connected is None:
            # Those that are told hand on all that they do not know to the library that connects.
            timed = _TIMED.get(self._protocol)
            options: dict[str, Any] = {timed: SECONDS} if timed else {"use_listings_cache": False}
            # Not one that others have: a connection that broke is in it for good.
            self._connected = self._fsspec.url_to_fs(self._url, skip_instance_cache=True, **options)
            if hasattr(files := self._connected[0], "ftp") and hasattr(files.ftp, "get_channel"):
                files.ftp.get_channel().settimeout(SECONDS)
        files, root = self._connected
        return files, f"{root.rstrip('/')}/{name}".rstrip("/")

    def open(self, name: str, start: int, length: int) -> _Opened:
        files, path = self._at(name)
        return _Ranges(files, path, start)

    def put(self, name: str, source: str | bytes) -> None:
        files, path = self._at(name)
        folder, _, last = path.rpartition("/")
        brief = f"{folder}/.{last}{_BRIEFLY}" if self._protocol in _RENAMED else path
        try:
            self._send(files, brief, source)
        except FileNotFoundError:
            files.makedirs(folder, exist_ok=True)
            self._send(files, brief, source)
        if brief != path:
            files.mv(brief, path)

    @staticmethod
    def _send(files: Any, path: str, source: str | bytes) -> None:
        if isinstance(source, bytes) and hasattr(files, "_pipe_file"):  # one request
            files.pipe_file(path, source)
        elif isinstance(source, bytes):
            from tempfile import NamedTemporaryFile

            with NamedTemporaryFile() as file:
                file.write(source)
                file.flush()
                files.put_file(file.name, path)
        else:
            files.put_file(source, path)

    def names(self, folder: str) -> list[str]:
        files, path = self._at(folder)
        files.invalidate_cache()
        return [
            entry["name"].rstrip("/").rpartition("/")[2]
            for entry in files.ls(path, detail=True)
            if entry["type"] != "directory"
        ]

    def remove(self, name: str) -> None:
        files, path = self._at(name)
        files.rm_file(path)

    def forget(self, *, given_up: bool) -> None:
        self._connected = None


class _Ranges:
    """A file of fsspec that is being read: one request for each piece."""

    def __init__(self, files: Any, path: str, start: int) -> None:
        self._files, self._path, self._start = files, path, start
        self._ended = False

    def skip(self, size: int, /) -> int:
        return 0

    def read(self, size: int) -> bytes:
        if self._ended:
            return b""
        try:
            data: bytes = self._files.cat_file(self._path, start=self._start, end=self._start + size)
        except FileNotFoundError:
            raise
        except Exception as error:
            # Beyond the end: object stores say so, each in its way.
            if self._files.info(self._path).get("size", self._start + 1) > self._start:
                raise error
            return b""
        self._start += len(data)
        self._ended = len(data) < size
        return data

    def close(self) -> None:
        pass
