"""The processes that `imeiset serve` starts, from the inside.

Each of them follows the store on its own, tells the board twice a second how it is, and takes a new
configuration from there. Its stdin is a pipe that the supervisor holds: when it closes, all end.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from imeiset import Store
from imeiset.errors import ImeisetError
from imeiset.serve import logs
from imeiset.serve.answers import UNREADABLE
from imeiset.serve.board import BEAT, Board, Counts, Seat
from imeiset.serve.config import Config
from imeiset.serve.values import Address

_log = logging.getLogger(__name__)
_GRACE = 1.0  # seconds beyond `drain` after which a process that should end is ended
_HEADERS = 32_768  # bytes of the headers of a request
_HEAD_WITHIN = 10_000  # milliseconds for all headers of a request by HTTP/1.1 to come
_PING = 60_000  # milliseconds of silence after which a client by HTTP/2 is asked whether it lives
_SPARE = 256  # descriptors that are not connections


class Followed(Store):
    """A store that counts the refreshes that failed, and says why the last one did."""

    faults = 0
    why: str | None = None

    def refresh(self) -> bool:
        """See `Store.refresh`."""
        try:
            moved = super().refresh()
        except Exception as error:
            self.faults += 1
            self.why = str(error) or type(error).__name__
            raise
        self.why = None
        return moved


class Unreadable:
    """What stands for a store that cannot be opened: whatever is asked of it, it says why."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def refuse(*_: Any, **__: Any) -> Any:
            raise self._error

        return refuse


class Process:
    """One of the processes of a run: its store, its counts, its seat on the board, and its tick.

    Attributes
    ----------
    store : Followed or None
        None while it could not be opened; `unreadable` is why.
    on_store, on_config : callable
        Called, by the thread of the tick, with the store once it is there, and with a new configuration.
    peers : callable
        Gives the Diameter peers.
    """

    def __init__(self, folder: str, kind: str, parent: int) -> None:
        self.board = Board(folder)
        self._mark = self.board.config_mark()
        self.config = self.board.config()
        self.counts = Counts()
        self._seat = Seat(self.board, kind)
        self._parent = parent
        self._orphaned = 0.0  # since when
        self._stopped = threading.Event()
        self.on_store: Callable[[Followed], object] = _nothing
        self.on_config: Callable[[Config], object] = _nothing
        self.peers: Callable[[], tuple[Any, ...]] = tuple
        self.store: Followed | None = None
        self.unreadable: Exception | None = None
        self._set_up_log()
        self._open()

    def _set_up_log(self) -> None:
        state = self._seat.state
        logs.setup(self.config.log.level, self.config.log.format, process=f"{state.kind}-{state.index}")

    def _open(self) -> None:
        try:
            store = Followed.open(self.config.store.path)
        except (ImeisetError, OSError) as error:
            if str(error) != str(self.unreadable):
                _log.error("the store cannot be opened: %s", error)
            self.unreadable = error
            return
        store.watch(self.config.store.refresh)
        self.store, self.unreadable = store, None

    def start(self) -> None:
        """Tell the board, and begin to tick."""
        self._tell()
        threading.Thread(target=self._tick, name="imeiset-tick", daemon=True).start()

    def end(self) -> None:
        """Tell the board the last time."""
        self._stopped.set()
        self._tell(ended=True)

    def _tick(self) -> None:
        last = ""
        while not self._stopped.wait(BEAT):
            try:
                self._look()
                self._tell()
                last = ""
            except Exception as error:  # a full disk, say; the next tick tries again
                if (text := f"{type(error).__name__}: {error}") != last:
                    _log.error("the board cannot be told: %s", text)
                last = text

    def _look(self) -> None:
        if os.getppid() != self._parent:
            self._leave()
        if self.store is None:
            self._open()
            if self.store is not None:
                self.on_store(self.store)
        mark = self.board.config_mark()
        if mark != self._mark:
            self._mark, self.config = mark, self.board.config()
            self._set_up_log()
            self.on_config(self.config)

    def _leave(self) -> None:
        """Nobody is there who could end this process: it ends itself."""
        now = time.monotonic()
        if not self._orphaned:
            self._orphaned = now
            os.kill(os.getpid(), signal.SIGTERM)
        elif now - self._orphaned > self.config.run.drain + _GRACE:
            os._exit(1)

    def _tell(self, *, ended: bool = False) -> None:
        store, told = self.store, {}
        if store is not None:
            told = {name: getattr(store, name) for name in ("generation", "sequence", "state_id")}
            told |= {"fault": store.why, "refresh_faults": store.faults}
        elif self.unreadable is not None:
            told = {"fault": str(self.unreadable)}
        self._seat.publish(self.counts.totals(), ended=ended, peers=self.peers(), **told)


def _nothing(_: object) -> None:
    pass


# ---- fronts by HTTP ----


class Target:
    """What a worker of granian runs: an application over the store, and 503 until that can be opened."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._app: Any = None
        process.on_config, process.on_store = self._use, self._take
        self.__rsgi__: Callable[..., Any] = self._answer
        if process.store is not None:
            self.__rsgi__ = self._take(process.store).__rsgi__  # without a detour

    def _take(self, store: Followed) -> Any:
        from imeiset.serve.application import App

        app = App(store, self._process.config, counts=self._process.counts)
        app.start()
        self._app = app
        return app

    def _use(self, config: Config) -> None:
        if self._app is not None:
            self._app.use(config)

    async def _answer(self, scope: Any, protocol: Any) -> None:
        if self._app is None:
            protocol.response_bytes(*UNREADABLE.answer)
        else:
            await self._app.__rsgi__(scope, protocol)

    def __rsgi_init__(self, loop: Any) -> None:
        self._process.start()

    def __rsgi_del__(self, loop: Any) -> None:
        if self._app is not None:
            self._app.stop()
        self._process.end()
        # Threads of granian that wait for the interpreter would be ended in the middle, and abort it.
        os._exit(0)


class AdminTarget(Target):
    """The same for metrics, health and the page, which also say that there is no store."""

    def __init__(self, process: Process) -> None:
        from imeiset.serve.admin import Admin

        super().__init__(process)
        told = {"board": process.board, "counts": process.counts, "config": process.config}
        self._app = Admin(process.store, **told)
        self._app.start()
        self.__rsgi__ = self._app.__rsgi__

    def _take(self, store: Followed) -> Any:
        if self._app is not None:
            self._app.store = store
        return self


_TARGETS = {"http": Target, "admin": AdminTarget}


def target(folder: str, kind: str, parent: int) -> Target:
    """What a worker runs, made in it."""
    _allow_connections()
    try:
        return _TARGETS[kind](Process(folder, kind, parent))
    except Exception:
        _log.exception("a worker cannot start")
        raise SystemExit(1) from None


def _allow_connections() -> int:
    """How many connections a process may hold: as many as the system lets it."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    return max(soft - _SPARE, _SPARE)


def _granian(folder: str, kind: str, address: Address) -> None:
    """Run granian and its workers, until it is told to end."""
    import multiprocessing

    from granian.constants import HTTPModes, Interfaces, Loops
    from granian.http import HTTP1Settings, HTTP2Settings
    from granian.log import LogLevels
    from granian.server.mp import MPServer

    config = Board(folder).config()
    http = config.http if kind == "http" else None
    tls = http.tls if http else None
    _watch_supervisor(config.run.drain, lambda: os.kill(os.getpid(), signal.SIGTERM))
    multiprocessing.set_start_method("spawn")
    server = MPServer(
        "imeiset",
        address=address.host,
        port=address.port,
        interface=Interfaces.RSGI,
        workers=http.workers if http else 1,
        loop=Loops.asyncio,
        http=HTTPModes.auto if http else HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEAD_WITHIN, max_buffer_size=2 * _HEADERS),
        http2_settings=HTTP2Settings(keep_alive_interval=_PING, max_headers_size=_HEADERS),
        websockets=False,
        backpressure=_allow_connections(),
        log_level=LogLevels(config.log.level),
        log_dictconfig=logs.configuration(config.log.level, config.log.format, process=kind),
        log_access=False,
        ssl_cert=tls.certificate if tls else None,
        ssl_key=tls.key if tls else None,
        ssl_ca=tls.client_ca if tls else None,
        ssl_client_verify=bool(tls and tls.client_ca),
        respawn_failed_workers=True,
        workers_kill_timeout=max(config.run.drain, 0.1),
    )
    server.serve(target_loader=partial(target, folder, kind, os.getpid()), wrap_loader=False)


def _watch_supervisor(drain: float, stop: Callable[[], object]) -> None:
    """Stop when the pipe that the supervisor holds is closed; and end, whatever is under way."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        stop()
        time.sleep(drain + _GRACE)
        os._exit(1)

    threading.Thread(target=wait, name="imeiset-supervisor", daemon=True).start()


# ---- Diameter ----


async def _s13(folder: str, sockets: list[socket.socket]) -> None:
    from imeiset.serve.peers import Front

    process, loop, stop = Process(folder, "s13", os.getppid()), asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _watch_supervisor(process.config.run.drain, lambda: loop.call_soon_threadsafe(stop.set))
    store: Any = process.store or Unreadable(process.unreadable or ImeisetError("no store"))
    front = Front(store, process.config, process.counts)
    process.on_config = lambda config: loop.call_soon_threadsafe(front.use, config)
    process.on_store = lambda store: loop.call_soon_threadsafe(setattr, front, "store", store)
    process.peers = front.peers
    process.start()
    await front.run(sockets, stop)
    process.end()


# ---- which of them ----


def main(orders: dict[str, Any]) -> None:
    """Be the process that the orders of the supervisor say."""
    kind, folder = orders["kind"], orders["folder"]
    if kind == "check":
        from imeiset.serve.checking import facts

        print(json.dumps(facts(orders["config"])))
    elif kind == "s13":
        _allow_connections()
        asyncio.run(_s13(folder, [socket.socket(fileno=number) for number in orders["sockets"]]))
    else:
        _granian(folder, kind, Address(*orders["address"]))
    sys.stdout.flush()
