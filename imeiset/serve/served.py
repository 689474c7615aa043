"""RSGI and ASGI over one method that answers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, NamedTuple

from imeiset.serve.answers import CONGESTED, ENCODED, FAILED, SLOW, Answer, problem

_log = logging.getLogger(__name__)
_Message = MutableMapping[str, Any]


class Work(NamedTuple):
    """An answer that needs the body of the request.

    size: the most bytes of it that are read. answer: what it is answered, sync. is_long: whether a body of
    so many bytes is worked on in a thread.
    """

    size: int
    answer: Callable[[bytes], Answer]
    is_long: Callable[[int], bool] = lambda size: False
    too_long: Answer = problem(413, None, "the body is longer than is read")


class TooLong(Exception):
    """A body is longer than is read."""


class Served:
    """What a server runs: RSGI, as granian's, or ASGI. A subclass fills `respond`, and maybe the others."""

    places = 4  # works under way at a time
    patience = 30.0  # seconds for a body to come

    def respond(self, method: str, path: str, query: str, headers: Any) -> Answer | Work:
        """The answer, or what makes one of the body. headers: anything with `get`, by lower-case names."""
        raise NotImplementedError

    def start(self) -> None:
        """Called in each process before the first request."""

    def stop(self) -> None:
        """Called after the last."""

    # ---- both ----

    _busy = 0

    async def _work(self, work: Work, headers: Any, chunks: Callable[[], Any]) -> Answer:
        """Read the body and answer it; never more than `places` at a time."""
        if headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            return ENCODED
        if work.size and (length := headers.get("content-length", "")).isdigit() and int(length) > work.size:
            return work.too_long
        if self._busy >= self.places:
            return CONGESTED
        self._busy += 1
        try:
            async with asyncio.timeout(self.patience):
                body = await _body(chunks(), work.size) if work.size else b""
            if work.is_long(len(body)):
                return await asyncio.to_thread(work.answer, body)
            return work.answer(body)
        except TooLong:
            return work.too_long
        except TimeoutError:
            return SLOW
        finally:
            self._busy -= 1

    def _answer(self, method: str, path: str, query: str, headers: Any) -> Answer | Work:
        try:
            return self.respond(method, path, query, headers)
        except Exception as error:
            return failed(error)

    # ---- RSGI ----

    def __rsgi_init__(self, loop: Any) -> None:
        self.start()

    def __rsgi_del__(self, loop: Any) -> None:
        self.stop()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        if scope.proto != "http":
            protocol.close(403)
            return
        answer = self._answer(scope.method, scope.path, scope.query_string, scope.headers)
        if isinstance(answer, Work):
            try:
                answer = await self._work(answer, scope.headers, protocol.__aiter__)
            except Exception as error:
                answer = failed(error)
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
        if scope["type"] != "http":
            raise NotImplementedError(f"expected http, got {scope['type']}")
        headers = _Headers(scope["headers"])
        path, root = scope["path"], scope.get("root_path", "").rstrip("/")
        if root and path.startswith(f"{root}/"):
            path = path[len(root) :]
        query = scope["query_string"].decode("utf-8", "surrogateescape")
        answer = self._answer(scope["method"], path, query, headers)
        if isinstance(answer, Work):
            try:
                answer = await self._work(answer, headers, lambda: _chunks(receive))
            except Exception as error:
                answer = failed(error)
        sent = [(name.encode(), value.encode()) for name, value in answer.headers]
        sent.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": sent})
        await send({"type": "http.response.body", "body": answer.body})

    async def _live(self, receive: Any, send: Any) -> None:
        while True:
            kind = (await receive())["type"].removeprefix("lifespan.")
            try:
                self.start() if kind == "startup" else self.stop()
            except Exception as error:
                await send({"type": f"lifespan.{kind}.failed", "message": str(error)})
                raise
            await send({"type": f"lifespan.{kind}.complete"})
            if kind == "shutdown":
                return


def failed(error: Exception) -> Answer:
    """The answer to what was not expected. The log has its kind and place: its text may hold a phone."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "?"
    _log.error("a request failed: %s at %s", type(error).__name__, where)
    return FAILED


async def _body(chunks: Any, limit: int) -> bytes:
    """All chunks, as long as they are at most so many bytes."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise TooLong
    return bytes(body)


async def _chunks(receive: Any) -> Any:
    """The body of an ASGI request."""
    while (message := await receive())["type"] == "http.request":
        yield message.get("body", b"")
        if not message.get("more_body"):
            return
    raise ConnectionError("the client is gone")


class _Headers(dict[str, str]):
    """Headers of an ASGI request; of several with one name, all of them, as HTTP joins them."""

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        for name, value in pairs:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self[key] = f"{self[key]}, {text}" if key in self else text
