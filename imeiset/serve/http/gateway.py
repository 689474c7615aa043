"""RSGI and ASGI over one method that answers.

What needs no body is answered at once. Bodies are read here, with all that limits them: how long one may be,
how long one may take to come, how many come at a time, and how much memory all of them take.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

from imeiset.serve.http.answers import (
    COMPRESSED,
    CONGESTED,
    CROWDED,
    CUT_SHORT,
    FAILED,
    SLOW,
    TOO_LONG,
    Answer,
    Refusal,
)

_log = logging.getLogger(__name__)
_Message = MutableMapping[str, Any]
_THREADS = 2  # that work: more would only wait for the interpreter
_WAITING = 14  # bodies that wait for one of these
_DISCARDED = 1 << 24  # bytes of a body that nobody needs
_DISCARDING = 2.0  # seconds for them to come


class Work(NamedTuple):
    """An answer that needs the body of the request.

    Attributes
    ----------
    size : int
        The most bytes of it that are read; 0 for none.
    answer : callable
        What a body gets: sync.
    is_long : callable
        Whether a body of so many bytes takes so long that a thread has to do it.
    too_long : callable, optional
        What a longer body gets.
    """

    size: int
    answer: Callable[[bytes], Answer]
    is_long: Callable[[int], bool] = lambda size: False
    too_long: Callable[[], Answer] | None = None


class BodyRefused(Exception):
    """A body that is not read, or not to its end."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


class Gone(Exception):
    """The client is gone: nobody waits for an answer."""


class Gateway:
    """An application that a server runs by RSGI, as granian does, or by ASGI. A subclass has `respond`.

    Attributes
    ----------
    most : int
        Requests with a body that are under way at a time.
    memory : int
        Bytes of all bodies that are in memory.
    patience : float
        Seconds for a body to come.
    """

    most = 1000
    memory = 64_000_000
    patience = 30.0

    _under_way = _held = _working = 0
    _threads: ThreadPoolExecutor | None = None

    def respond(self, method: str, path: str, query: str, headers: Any) -> Answer | Work:
        """The answer to a request, or what makes one of its body.

        Parameters
        ----------
        method, path, query
            Of the request: the path decoded, the query as it was sent.
        headers
            Anything with `get`, by lower-case names.
        """
        raise NotImplementedError

    def start(self) -> None:
        """Called in each process, before requests or by the first; maybe more than once."""

    def stop(self) -> None:
        """Called after the last request, where the server says so."""

    def refused(self, refusal: Refusal) -> Answer:
        """The answer of a refusal. Subclasses count it."""
        return refusal.answer

    # ---- both ----

    async def _worked(self, work: Work, request: "_Request") -> Answer:
        """What a request with a body gets."""
        try:
            return await self._work(work, request)
        except BodyRefused as refused:
            await request.discard()
            if refused.refusal is TOO_LONG and work.too_long:
                return work.too_long()
            return self.refused(refused.refusal)

    async def _work(self, work: Work, request: "_Request") -> Answer:
        if self._under_way >= self.most:
            raise BodyRefused(CONGESTED)
        self._under_way += 1
        body = bytearray()
        try:
            if work.size:
                length = _expected(work, request.headers)
                await request.attended(self._read(body, work.size, request.chunks))
                if length not in (None, len(body)):
                    raise BodyRefused(CUT_SHORT)
            else:
                await request.discard()
            if not work.is_long(len(body)):
                return work.answer(bytes(body))
            return await self._in_thread(work, bytes(body))
        finally:
            self._held -= len(body)
            self._under_way -= 1

    async def _read(self, body: bytearray, limit: int, chunks: AsyncIterator[bytes]) -> None:
        """All chunks, as long as they are not too many, nor too late."""
        try:
            async with asyncio.timeout(self.patience):
                async for chunk in chunks:
                    body += chunk
                    self._held += len(chunk)
                    if len(body) > limit:
                        raise BodyRefused(TOO_LONG)
                    if self._held > self.memory:
                        raise BodyRefused(CROWDED)
        except TimeoutError:
            raise BodyRefused(SLOW) from None

    async def _in_thread(self, work: Work, body: bytes) -> Answer:
        if self._working >= _THREADS + _WAITING:
            raise BodyRefused(CONGESTED)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "imeiset-work")
        self._working += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work.answer, body)
        finally:
            self._working -= 1

    def _failed(self, error: Exception) -> Answer:
        """The answer to what was not expected. The log has its kind and place: its text may hold a phone."""
        _log.error("a request failed: %s at %s", type(error).__name__, _place(error))
        return self.refused(FAILED)

    # ---- RSGI ----

    def __rsgi_init__(self, loop: Any) -> None:
        self.start()

    def __rsgi_del__(self, loop: Any) -> None:
        self.stop()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        if scope.proto != "http":
            protocol.close(404)
            return
        method = scope.method
        try:
            answer = self.respond(method, scope.path, scope.query_string, scope.headers)
            if isinstance(answer, Work):
                answer = await self._worked(answer, _request(scope, protocol))
            elif method != "GET":
                await _request(scope, protocol).discard()
        except Gone:
            return
        except Exception as error:
            answer = self._failed(error)
        if method == "HEAD":
            protocol.response_empty(answer.status, answer.headers)
        else:
            protocol.response_bytes(*answer)

    # ---- ASGI ----

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        query = scope["query_string"].decode("utf-8", "surrogateescape")
        method, request = scope["method"], _Request(_Headers(scope["headers"]), _received(receive))
        try:
            answer = self.respond(method, _below_mount(scope), query, request.headers)
            if isinstance(answer, Work):
                answer = await self._worked(answer, request)
            elif method != "GET":
                await request.discard()
        except Gone:
            return
        except Exception as error:
            answer = self._failed(error)
        pairs = [*answer.headers, ("content-length", str(len(answer.body)))]
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})

    async def _live(self, receive: Any, send: Any) -> None:
        """Start and stop with the server. A mount is not told: there the first request starts."""
        while True:
            kind = (await receive())["type"].removeprefix("lifespan.")
            try:
                self.start() if kind == "startup" else self.stop()
            except Exception as error:
                await send({"type": f"lifespan.{kind}.failed", "message": str(error)})
                return
            await send({"type": f"lifespan.{kind}.complete"})
            if kind == "shutdown":
                return


class _Request(NamedTuple):
    """What is to be known of a request with a body. gone: waits until the client is."""

    headers: Any
    chunks: AsyncIterator[bytes]
    gone: Callable[[], Awaitable[object]] | None = None

    async def attended(self, reading: Coroutine[Any, Any, None]) -> None:
        """Read, unless the client goes meanwhile: not every server ends the body then.

        In a task of its own: a coroutine of RSGI need not be in one, and a time limit does.
        """
        tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(reading)]
        if self.gone is not None:
            tasks.append(asyncio.ensure_future(self.gone()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not tasks[0].done():
                raise Gone
            tasks[0].result()
        finally:
            for task in tasks:
                task.cancel()

    async def discard(self) -> None:
        """Take the rest of the body off the line: many clients never read an answer that comes before."""

        async def run() -> None:
            size = 0
            async for chunk in self.chunks:
                size += len(chunk)
                if size > _DISCARDED:
                    return

        with suppress(TimeoutError):
            await self.attended(asyncio.wait_for(run(), _DISCARDING))


def _expected(work: Work, headers: Any) -> int | None:
    """How long a body is to be; what need not be read at all is refused."""
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise BodyRefused(COMPRESSED)
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        return None
    digits = length.lstrip("0") or "0"
    if len(digits) > 18 or int(digits) > work.size:
        raise BodyRefused(TOO_LONG)
    return int(digits)


def _place(error: Exception) -> str:
    """Where it was raised."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "?"


def _below_mount(scope: _Message) -> str:
    """The path without that of the mount, which newer servers leave in it."""
    path: str = scope["path"]
    root = scope.get("root_path", "").rstrip("/")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def _request(scope: Any, protocol: Any) -> _Request:
    """A request of RSGI."""
    return _Request(scope.headers, _pieces(protocol), protocol.client_disconnect)


async def _pieces(protocol: Any) -> AsyncIterator[bytes]:
    """The body of an RSGI request. It may be begun once only, but left and gone on with."""
    async for piece in protocol:
        yield piece


async def _received(receive: Any) -> AsyncIterator[bytes]:
    """The body of an ASGI request."""
    while (message := await receive())["type"] == "http.request":
        yield message.get("body", b"")
        if not message.get("more_body"):
            return
    raise Gone


class _Headers(dict[str, str]):
    """Headers of an ASGI request; of several with one name, all of them, as HTTP joins them."""

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        for name, value in pairs:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self[key] = f"{self[key]}, {text}" if key in self else text
