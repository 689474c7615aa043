"""A folder behind http(s), for `places`: by urllib3, which python-tuf brings and which knows time limits."""

import errno
import re
import socket
import threading
import time
import weakref
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from imeiset.errors.extras import extra

SECONDS = 30.0
"""How long to wait for a connection, or for the next byte."""
_REDIRECTS = 3
_PORTS = {"http": 80, "https": 443}
# Bytes of a body that nobody wants, and that is read so that its connection can be used again.
_SHORT = 1 << 16
# What is compressed on the way, though that was not asked for, is not unpacked: it could be of any size. And
# redirects are followed here: urllib3 reads their bodies to the end, and there may be none.
_AS_IT_COMES = {"preload_content": False, "decode_content": False, "redirect": False}


class Web:
    """A folder behind http(s), to be read. The URL's query, as of a signed URL, goes with every file."""

    def __init__(self, url: str) -> None:
        self._urllib3 = extra("urllib3", "to read from the web needs urllib3", "follow")
        self._url = urlsplit(url)
        credentials, at, host = self._url.netloc.rpartition("@")
        self._host = host
        self._headers = {"User-Agent": "imeiset", "Accept-Encoding": "identity"}
        if at:
            self._headers |= self._urllib3.make_headers(basic_auth=unquote(credentials))
        self._pool, self._open = self._connected()

    def _connected(self) -> tuple[Any, "_Open"]:
        """What makes connections, and those that it has made."""
        from urllib.request import getproxies, proxy_bypass  # with all of http: only where it is needed

        proxies = getproxies()
        proxy = proxies.get(self._url.scheme.lower(), proxies.get("all"))
        options = {
            "timeout": self._urllib3.Timeout(SECONDS),
            # Nothing is tried again there: that would log the URL with its query.
            "retries": self._urllib3.Retry(None, connect=0, read=0, status=0, other=0, redirect=0),
        }
        if proxy and not proxy_bypass(self._host):
            pool = self._urllib3.ProxyManager(proxy, **options)
        else:
            pool = self._urllib3.PoolManager(**options)
        made = _Open()
        pool.pool_classes_by_scheme = {
            scheme: type(cls.__name__, (cls,), {"ConnectionCls": made.noting(cls.ConnectionCls)})
            for scheme, cls in pool.pool_classes_by_scheme.items()
        }
        return pool, made

    def open(self, name: str, start: int, length: int) -> "_Response":
        path = f"{self._url.path.rstrip('/')}/{name}"
        url = urlunsplit(self._url._replace(netloc=self._host, path=path, fragment=""))
        asked = {"Range": f"bytes={start}-{start + length - 1}"} if start else {}
        response = self._redirected(self._pool, url, self._headers | asked)
        status = response.status
        if status in (200, 206, 416):
            return _Response(response, start)
        _let_go(response)
        if status in (404, 410):
            raise FileNotFoundError(errno.ENOENT, f"status {status}")
        if status in (401, 403):
            raise PermissionError(errno.EACCES, f"status {status}, which is to say that it is forbidden")
        raise OSError(errno.EIO, f"status {status}")

    def _redirected(self, pool: Any, url: str, headers: dict[str, str]) -> Any:
        """The response, its body still to come, of wherever the URL leads to."""
        for _ in range(1 + _REDIRECTS):
            response = self._asked(pool, url, headers)
            location = response.get_redirect_location()
            if not location:
                return response
            _let_go(response)
            before, url = self._host_of(url), urljoin(url, location)
            after = self._host_of(url)
            if after[0] not in _PORTS:
                raise OSError(errno.EIO, "a redirect to what is not on the web")
            if after != before:
                headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        raise OSError(errno.EIO, f"more than {_REDIRECTS} redirects")

    def _host_of(self, url: str) -> tuple[str | None, str | None, int | None]:
        """The scheme, host and port, as urllib3 reads them that connects to it: parsers differ."""
        parts = self._urllib3.util.parse_url(url)
        return parts.scheme, parts.host, parts.port or _PORTS.get(parts.scheme)

    def _asked(self, pool: Any, url: str, headers: dict[str, str]) -> Any:
        """A response, its body still to come. A connection that the server has closed is made anew."""
        try:
            return pool.request("GET", url, headers=headers, **_AS_IT_COMES)
        except self._urllib3.exceptions.MaxRetryError as error:
            given_up = pool is not self._pool
            if given_up or isinstance(error.reason, self._urllib3.exceptions.TimeoutError):
                raise
        pool.clear()
        time.sleep(0.2)
        return pool.request("GET", url, headers=headers, **_AS_IT_COMES)

    def put(self, name: str, source: str | bytes) -> None:
        raise OSError(errno.EROFS, "a web server: put files where it has them from")

    def names(self, folder: str) -> list[str]:
        raise OSError(errno.EROFS, "a web server, whose folders cannot be listed")

    def remove(self, name: str) -> None:
        raise OSError(errno.EROFS, "a web server: remove files where it has them from")

    def forget(self, *, given_up: bool) -> None:
        before, made = self._pool, self._open
        self._pool, self._open = self._connected()
        if given_up:
            made.end()
        before.clear()


class _Open:
    """The connections that were made: who waits for one of them, and was left behind, can be told to end."""

    def __init__(self) -> None:
        self._lock, self._ended = threading.Lock(), False
        self._connecting: weakref.WeakSet[Any] = weakref.WeakSet()
        # A connection does not know its socket any more once a response has it alone.
        self._sockets: weakref.WeakSet[Any] = weakref.WeakSet()

    def noting(self, connection: Any) -> Any:
        """A class of connections that are noted here: while they connect, and then their sockets."""

        def connect(one: Any) -> None:
            with self._lock:
                self._connecting.add(one)
            connection.connect(one)
            with self._lock:
                self._sockets.add(one.sock)
                ended = self._ended
            if ended:  # while it connected
                _end(one.sock)

        return type(connection.__name__, (connection,), {"connect": connect})

    def end(self) -> None:
        """Nothing more comes from any of them. They are closed by those who use them."""
        with self._lock:
            self._ended = True
            sockets = [*self._sockets, *(one.sock for one in self._connecting)]
        for one in sockets:
            _end(one)


def _end(connected: Any) -> None:
    """Whoever waits for that socket gets its end."""
    with suppress(OSError, TypeError):  # there is none yet, or it is closed
        socket.socket.shutdown(getattr(connected, "socket", connected), socket.SHUT_RDWR)  # of TLS within TLS


def _let_go(response: Any) -> None:
    """End a response whose body nobody wants. A long one is not read: it may have no end."""
    try:
        short = len(response.read(_SHORT)) < _SHORT
    except Exception:
        short = False
    if short:
        response.release_conn()
    else:
        response.close()


class _Response:
    """A response that is being read, from `start` of the file on."""

    def __init__(self, response: Any, start: int) -> None:
        self._response, self._before, self._whole = response, 0, False
        if response.status == 200:  # ranges are not served: what comes before is read for nothing
            self._before = start
        elif response.status == 206:
            said = re.match(r"bytes (\d{1,18})-", response.headers.get("Content-Range", ""))
            if said is None or int(said[1]) != start:
                self.close()
                raise OSError(errno.EIO, "a range that was not asked for")

    def skip(self, size: int, /) -> int:
        if self._before:
            skipped = len(self._response.read(min(self._before, size)))
            self._before -= skipped or self._before  # it ends before
        return self._before

    def read(self, size: int) -> bytes:
        if self._response.status == 416:  # the file ends before
            return b""
        data: bytes = self._response.read(size)
        self._whole = len(data) < size
        return data

    def close(self) -> None:
        # A connection is used again only if nothing is left in it.
        if self._whole:
            _let_go(self._response)
        else:
            # Whoever still waits for more of it is told that this was all; since urllib3 2.3.
            with suppress(Exception):
                self._response.shutdown()
            self._response.close()
