"""An HTTP server that misbehaves: in front of a good folder, each file as it is told."""

import contextlib
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

HOST = "127.0.0.1"
MOST = 120.0  # seconds after which even an endless answer ends


class Hostile(ThreadingHTTPServer):
    """Serves `folder`; `how` has the way of a file by the end of its name, from `WAYS`.

    `asked` are the paths in order, `sent` the bytes of bodies that went out.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__((HOST, 0), _Handler)
        self.folder = folder
        self.how: dict[str, str] = {}
        self.asked: list[str] = []
        self.sent = 0
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """Clients that go away are what it is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hostile

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0])
        self.server.asked.append(path)
        found = self.server.folder / path.lstrip("/")
        way = next((how for end, how in self.server.how.items() if path.endswith(end)), "well")
        data = found.read_bytes() if found.is_file() and ".." not in path else None
        if data is None and way in ("well", "short", "ranges", "other"):
            self._answer(404, b"not here")
        else:
            _WAYS[way](self, data or b"")

    def _head(self, code: int, length: int | None, **more: str) -> None:
        self.send_response(code)
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        if length is None:
            self.close_connection = True
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, data: bytes) -> None:
        if self.command != "HEAD":
            self.wfile.write(data)
            self.wfile.flush()
            self.server.sent += len(data)

    def _answer(self, code: int, data: bytes, **more: str) -> None:
        self._head(code, len(data), **more)
        self._send(data)

    def _range(self, data: bytes) -> tuple[int, int] | None:
        given = self.headers.get("Range", "")
        if not given.startswith("bytes="):
            return None
        first, _, last = given[6:].partition("-")
        if not first:
            return max(len(data) - int(last), 0), len(data)
        return int(first), min(int(last) + 1 if last else len(data), len(data))

    def well(self, data: bytes) -> None:
        """As a good server does, ranges too."""
        part = self._range(data)
        if part is None:
            return self._answer(200, data, Accept_Ranges="bytes")
        first, end = part
        if first >= max(end, 1):
            return self._answer(416, b"", Content_Range=f"bytes */{len(data)}")
        return self._answer(206, data[first:end], Content_Range=f"bytes {first}-{end - 1}/{len(data)}")

    def whole(self, data: bytes) -> None:
        """Ranges are ignored: always the whole file, which is allowed."""
        self._answer(200, data)

    def wrong_ranges(self, data: bytes) -> None:
        """Other bytes than those asked for, under the range asked for."""
        part = self._range(data)
        if part is None:
            return self._answer(200, data)
        first, end = part
        return self._answer(
            206, data[: end - first][::-1], Content_Range=f"bytes {first}-{end - 1}/{len(data)}"
        )

    def short(self, data: bytes) -> None:
        """The connection ends in the middle of the body."""
        self._head(200, len(data))
        self._send(data[: len(data) // 2])
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def cut(self, data: bytes) -> None:
        """Half of the file, as if that were all of it."""
        self._answer(200, data[: len(data) // 2])

    def padded(self, data: bytes) -> None:
        """The file, and more behind it."""
        self._answer(200, data + bytes(100_000))

    def _more(self, data: bytes) -> None:
        """More and more."""
        end = time.monotonic() + MOST
        while time.monotonic() < end and not self.server.ended.is_set():
            self._send(data)

    def _drip(self) -> None:
        """One byte after the other."""
        end = time.monotonic() + MOST
        while time.monotonic() < end and not self.server.ended.wait(0.2):
            self._send(b"x")

    def endless(self, data: bytes) -> None:
        """The file, and more and more."""
        self._head(200, None)
        self._send(data)
        self._more(bytes(1 << 16))

    def endless_fault(self, data: bytes) -> None:
        """A fault, and why it is one has no end."""
        self._head(500, None)
        self._more(bytes(1 << 16))

    def endless_redirect(self, data: bytes) -> None:
        """Redirected to itself, by a page that has no end."""
        self._head(302, None, Location=self.path)
        self._more(bytes(1 << 16))

    def soon(self, data: bytes) -> None:
        """Told again and again that the answer is to come."""
        self._more(b"HTTP/1.1 100 Continue\r\n\r\n")

    def headers_only(self, data: bytes) -> None:
        """One byte of a header after the other."""
        self._send(b"HTTP/1.1 200 OK\r\nX-Pad: ")
        self._drip()

    def drip_fault(self, data: bytes) -> None:
        """A fault, and why it is one byte after the other, until the connection is closed."""
        self._head(500, None)
        self._drip()

    def trailers(self, data: bytes) -> None:
        """A fault, and after its last chunk headers without end."""
        self._head(500, None, Transfer_Encoding="chunked")
        self._send(b"2\r\nno\r\n0\r\n")
        self._more(b"X-Pad: x\r\n")

    def redirect_onward(self, data: bytes) -> None:
        """A redirect by a page that comes byte after byte, to what never is answered."""
        if "?" in self.path:
            return self.soon(data)
        self._head(302, 1 << 20, Location=self.path + "?on")
        return self._drip()

    def drip(self, data: bytes) -> None:
        """One byte after the other, so slowly that nothing ever times out by itself."""
        self._head(200, max(len(data), 1 << 20))
        self._drip()

    def silent(self, data: bytes) -> None:
        """Accepted, and never answered."""
        self.server.ended.wait(MOST)
        self.close_connection = True

    def redirect(self, data: bytes) -> None:
        """Redirected to itself for ever."""
        self._answer(302, b"", Location=self.path)

    def elsewhere(self, data: bytes) -> None:
        """Redirected to a file of the machine that follows."""
        self._answer(302, b"", Location="file:///etc/passwd")

    def other(self, data: bytes) -> None:
        """Other bytes of the same length."""
        self._answer(200, bytes(b ^ 1 for b in data))

    def page(self, data: bytes) -> None:
        """What portals answer: 200, and a page."""
        self._answer(200, b"<html><body>Please log in</body></html>", Content_Type="text/html")

    def bomb(self, data: bytes) -> None:
        """Compressed in transit, to a thousand times as much."""
        packer = zlib.compressobj(1, wbits=31)
        packed = packer.compress(bytes(8 << 20)) + packer.flush()
        self._answer(200, packed, Content_Encoding="gzip")


def _code(code: int) -> Callable[[_Handler, bytes], None]:
    return lambda handler, data: handler._answer(code, b"no")


_WAYS: dict[str, Callable[[_Handler, bytes], None]] = {
    **{
        way: getattr(_Handler, way)
        for way in (
            "well", "whole", "wrong_ranges", "short", "cut", "padded", "endless", "drip", "silent",
            "redirect", "elsewhere", "other", "page", "bomb", "endless_fault", "endless_redirect", "soon",
            "headers_only", "drip_fault", "trailers", "redirect_onward",
        )
    },
    **{str(code): _code(code) for code in (401, 403, 404, 429, 500, 503)},
}  # fmt: skip
WAYS = tuple(_WAYS)


@contextmanager
def serving(folder: Path) -> Iterator[Hostile]:
    """It, in a thread of its own."""
    server = Hostile(folder)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


def left_behind(seconds: float) -> list[threading.Thread]:
    """The threads of calls that were given up and go on, after so long at most."""
    end = time.monotonic() + seconds
    while left := [one for one in threading.enumerate() if one.name == "imeiset-place"]:
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    return left
