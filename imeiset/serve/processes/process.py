"""A process of a run, from the inside: its store, its counts, its slot on the board.

The process follows the store on its own, tells the board twice a second how it is, and takes a new
configuration from there.
"""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from imeiset import Store
from imeiset.errors import ImeisetError
from imeiset.serve.config import Config
from imeiset.serve.http.answers import UNREADABLE
from imeiset.serve.processes import logs
from imeiset.serve.processes.board import BEAT, GRACE, Board, Slot
from imeiset.serve.state import Counts

_log = logging.getLogger(__name__)


class FollowedStore(Store):
    """A store that counts the refreshes that failed, and says, also in the log, why the last one did."""

    faults = 0
    why: str | None = None

    def refresh(self) -> bool:
        """See `Store.refresh`."""
        try:
            moved = super().refresh()
        except Exception as error:
            self.faults += 1
            why = str(error) or type(error).__name__
            if why != self.why:  # once, not for each look
                _log.error("the store cannot be read, its last state serves: %s", why)
            self.why = why
            raise
        if self.why is not None:
            _log.info("the store can be read again")
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
    """One of the processes of a run: its store, its counts, its slot on the board, and its tick.

    Attributes
    ----------
    store : FollowedStore or None
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
        self._slot = Slot(self.board, kind)
        self._parent = parent
        self._orphaned = 0.0  # since when
        self._stopped = threading.Event()
        self._turned = threading.Event()  # by the loop that answers
        self._turned.set()
        self._ticking = threading.Thread(target=self._tick, name="imeiset-tick", daemon=True)
        self._failures: dict[str, str] = {}  # of what is tried
        self.on_store: Callable[[FollowedStore], object] = _nothing
        self.on_config: Callable[[Config], object] = _nothing
        self.peers: Callable[[], tuple[Any, ...]] = tuple
        self.store: FollowedStore | None = None
        self.unreadable: Exception | None = None
        self._set_up_log()
        self._open()

    def _set_up_log(self) -> None:
        state = self._slot.state
        logs.setup(self.config.log.level, self.config.log.format, process=f"{state.kind}-{state.index}")

    def _open(self) -> None:
        try:
            store = FollowedStore.open(self.config.store.path)
        except (ImeisetError, OSError) as error:
            if str(error) != str(self.unreadable):
                _log.error("the store cannot be opened: %s", error)
            self.unreadable = error
            return
        store.watch(self.config.store.refresh)
        self.store, self.unreadable = store, None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tell the board, and begin to tick. loop: that answers; when it hangs, the board is told nothing."""
        self._loop = loop
        self._try("told", self._tell)
        self._ticking.start()

    def end(self) -> None:
        """Tell the board the last time."""
        self._stopped.set()
        self._ticking.join(2 * BEAT)
        self._try("told", lambda: self._tell(ended=True))

    def _tick(self) -> None:
        while not self._stopped.wait(BEAT):
            self._try("read", self._look)
            if self._has_turned():
                self._try("told", self._tell)

    def _has_turned(self) -> bool:
        """Whether the loop did what it was asked for the last time. Ask it again."""
        if not self._turned.is_set():
            return False
        self._turned.clear()
        with suppress(RuntimeError):  # it is closed
            self._loop.call_soon_threadsafe(self._turned.set)
        return True

    def _try(self, what: str, act: Callable[[], object]) -> None:
        """Whatever happens, a full disk say: it is logged once, and the next tick tries again."""
        failure = ""
        try:
            act()
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
            if failure != self._failures.get(what):
                _log.error("the board cannot be %s: %s", what, failure)
        self._failures[what] = failure

    def _look(self) -> None:
        if os.getppid() != self._parent:
            self._leave()
        if self.store is None:
            self._open()
            if self.store is not None:
                self.on_store(self.store)
        mark = self.board.config_mark() if self.board.is_published() else self._mark
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
        elif now - self._orphaned > self.config.run.drain + GRACE:
            os._exit(1)

    def _tell(self, *, ended: bool = False) -> None:
        self._slot.beat()
        store, told = self.store, {}
        if store is not None:
            told = {name: getattr(store, name) for name in ("generation", "sequence", "state_id")}
            told |= {"fault": store.why, "refresh_faults": store.faults}
        elif self.unreadable is not None:
            told = {"fault": str(self.unreadable)}
        self._slot.publish(self.counts.totals(), ended=ended, peers=self.peers(), **told)


def _nothing(_: object) -> None:
    pass


class Target:
    """What a worker of granian runs: an application, which gets 503 for an answer while it is None."""

    def __init__(self, process: Process, app: Any) -> None:
        self.app = app
        self._process = process
        process.on_config = self._use
        self.__rsgi__: Callable[..., Any] = app.__rsgi__ if app else self._answer  # without a detour

    def _use(self, config: Config) -> None:
        if self.app is not None:
            self.app.use(config)

    async def _answer(self, scope: Any, protocol: Any) -> None:
        if self.app is None:
            protocol.response_bytes(*UNREADABLE.answer)
        else:
            await self.app.__rsgi__(scope, protocol)

    def __rsgi_init__(self, loop: Any) -> None:
        self._process.start(loop)

    def __rsgi_del__(self, loop: Any) -> None:
        if self.app is not None:
            self.app.stop()
        self._process.end()
        # Threads of granian that wait for the interpreter would be ended in the middle, and abort it.
        os._exit(0)


def _checks(process: Process) -> Target:
    from imeiset.serve.http.application import App

    def made(store: FollowedStore | None) -> App | None:
        if store is None:
            return None
        app = App(store, process.config, counts=process.counts)
        app.start()
        return app

    target = Target(process, made(process.store))
    process.on_store = lambda store: setattr(target, "app", made(store))
    return target


def _admin(process: Process) -> Target:
    from imeiset.serve.admin import Admin

    app = Admin(process.store, board=process.board, counts=process.counts, config=process.config)
    app.start()
    process.on_store = lambda store: setattr(app, "store", store)
    return Target(process, app)


TARGETS = {"http": _checks, "admin": _admin}
