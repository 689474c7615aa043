"""`imeiset serve` as a supervisor: it starts the processes of the fronts, and others when they die."""

import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from imeiset.errors import ImeisetError, ServeConfigError, mask_url
from imeiset.serve.config import Config, HttpConfig, pinned, with_fixed
from imeiset.serve.config.values import Address
from imeiset.serve.processes import logs
from imeiset.serve.processes.board import GRACE, Board
from imeiset.serve.processes.children import Check, FrontProcesses, ProcessGroup, ending
from imeiset.serve.processes.folder import Copies, run_folder
from imeiset.serve.state import ProcessState

_log = logging.getLogger(__name__)
_INTERVAL = 0.25  # seconds between two looks at everything
_HUNG = 20.0  # seconds without a beat after which a process is killed, or one that is missing gets successors
_UP_WITHIN = 60.0  # seconds for the successors of a front to serve
_SURE = 1.0  # seconds that they serve beside those before them
_KINDS = (("http", "http"), ("diameter", "s13"), ("admin", "admin"))
"""Sections of the configuration, and the kinds of processes that are for them."""


def run(read: Callable[[], Config], path: str = "") -> int:
    """Serve until it is told to end.

    Parameters
    ----------
    read
        Gives the configuration, at the start and at each SIGHUP.
    path
        Of its file, for messages.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    ServeConfigError, StoreError, OSError
        It cannot be served, and nothing listens.
    """
    config = read()
    logs.setup(config.log.level, config.log.format, process="serve")
    with run_folder() as folder:
        return Supervisor(folder, config, read, path).run()


class Supervisor:
    """All processes of a run."""

    def __init__(self, folder: Path, config: Config, read: Callable[[], Config], path: str) -> None:
        self.board = Board(folder)
        self._read, self._path = read, path
        self._copies = Copies(folder)
        self._config = self._pinned(config)
        self._sockets: list[socket.socket] = []
        self._fronts: list[FrontProcesses] = []
        self._leaving: list[ProcessGroup] = []
        self._check: Check | None = None  # of the configuration that is to be the next one
        self._fixed: list[str] = []  # what of that needs a restart
        self._signals: set[int] = set()
        self._failure = ""  # of the last turn
        self._ready = False

    def run(self) -> int:
        """See `run`, the function."""
        with _signals(self._signals) as wake:
            check = Check(self._config, self.board.folder)
            while (said := check.result()) is None:
                if self._is_told_to_end():
                    check.kill()
                    return 0
                _pause(wake, _INTERVAL)
            if "error" in said:
                raise ImeisetError(self._copies.by_source(said["error"]))
            self._bind()
            self.board.publish(self._config)
            _log.info("store %s: %s", self._config.store.path, said["store"])
            self._say(said["warnings"])
            for front in self._fronts:
                front.start()
                _log.info("%s", _described(front, self._config))
            try:
                while not self._is_told_to_end():
                    _pause(wake, _INTERVAL)
                    self._try_step()
                    if "WATCHDOG_USEC" in os.environ:
                        _notify("WATCHDOG=1")
            finally:
                self._signals.clear()
                self._end(wake)
        return 0

    def _is_told_to_end(self) -> bool:
        return bool(self._signals & {signal.SIGTERM, signal.SIGINT})

    def _try_step(self) -> None:
        """Take a step. If it fails, as without memory for another process, the processes serve on and the
        next step tries again. The same failure is logged once."""
        failure = ""
        try:
            self._step()
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
            if failure != self._failure:
                _log.exception("the supervisor tries again")
        self._failure = failure

    def _step(self) -> None:
        self._reload()
        if not self.board.is_published():  # somebody tidied up
            self.board.folder.mkdir(mode=0o700, exist_ok=True)
            self._copies.restore()
            self.board.publish(self._config)
        states = self.board.processes()
        for front in self._fronts:
            self._keep_up(front, states)
        for group in list(self._leaving):
            if group.is_over():
                self._leaving.remove(group)
                self.board.mark_ended()
        if not self._ready and all(front.serves(states) for front in self._fronts):
            self._ready = True
            _log.info("ready")
            _notify("READY=1")

    # ---- processes ----

    def _keep_up(self, front: FrontProcesses, states: list[ProcessState]) -> None:
        """Start it again if it died, and let its successors take over when they serve."""
        if (code := front.died()) is not None:
            self._leaving.append(front.group)
            front.group.leave(self._config.run.drain)
            if front.successor is not None:
                front.take_over()
            else:
                pause = front.start_later()
                _log.error("%s %s; it starts again in %g s", front.name, ending(code), pause)
        if front.is_due():
            front.start()
        if front.successor is not None:
            if front.successor_serves(states) > _SURE:
                old = front.group
                front.take_over()
                old.leave(self._config.run.drain)
                self._leaving.append(old)
                _log.info("%s: successors have taken over", front.name)
            elif front.successor.age > _UP_WITHIN or front.successor.code() is not None:
                front.successor.kill()
                front.successor = None
                _log.error("%s: successors do not serve; those before them go on", front.name)
            return
        for pid in front.hung(states, _HUNG) if self.board.is_writable() else ():
            _log.error("%s: process %d has said nothing for %g s and is killed", front.name, pid, _HUNG)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if front.incomplete(states) > _HUNG:
            _log.error("%s: a worker is missing; all of them get successors", front.name)
            front.succeed()

    # ---- configuration ----

    def _reload(self) -> None:
        """At SIGHUP, read and check the configuration, and publish it if it is good."""
        if self._check is None:
            if signal.SIGHUP in self._signals and not any(front.successor for front in self._fronts):
                self._signals.discard(signal.SIGHUP)
                _notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
                try:
                    new, self._fixed = with_fixed(self._config, self._pinned(self._read()), self._path)
                    self._check = Check(new, self.board.folder)
                except (ImeisetError, OSError) as error:
                    self._refuse(str(error))
            return
        said = self._check.result()
        if said is None:
            return
        now, self._check = self._check.config, None
        if "error" in said:
            self._refuse(self._copies.by_source(said["error"]))
            return
        before = self._config
        try:
            self.board.publish(now)
        except OSError as error:
            self._refuse(f"processes cannot be told: {error.strerror}")
            return
        self._config = now
        for name in self._fixed:
            _log.warning("%s has changed: that needs a restart, and stays as it was until then", name)
        self._say(said["warnings"])
        logs.setup(self._config.log.level, self._config.log.format, process="serve")
        _log.info("the configuration has been read again")
        if _of_granian(before.http) != _of_granian(self._config.http):
            for front in self._fronts:
                if front.kind == "http" and self._config.http:
                    front.workers = self._config.http.workers
                    front.succeed()
        _notify("READY=1")

    def _refuse(self, why: str) -> None:
        _log.error("the configuration stays as it was: %s", why)
        _notify("READY=1")

    def _say(self, warnings: list[str]) -> None:
        for text in warnings:
            _log.warning("%s", text)

    def _pinned(self, config: Config) -> Config:
        return pinned(config, self._copies.keep)

    # ---- addresses ----

    def _bind(self) -> None:
        """Take all addresses, or raise ServeConfigError. Diameter has one process, HTTP some for each."""
        folder, take = self.board.folder, {"s13": _listening}
        for section, kind in _KINDS:
            part, bound = getattr(self._config, section), []
            for address in part.listen if part else ():
                try:
                    bound.append(take.get(kind, _guard)(address))
                except OSError as error:
                    got, key = f"{address}: {error.strerror}", f"{section}.listen"
                    raise ServeConfigError(self._path, "an address that can be taken", got, key=key) from None
            sockets = tuple(held for _, held in bound)
            addresses = tuple(address for address, _ in bound)
            self._sockets += sockets
            if kind == "s13" and bound:
                self._fronts.append(FrontProcesses(folder, kind, addresses, 1, sockets))
            elif kind != "s13":
                workers = part.workers if isinstance(part, HttpConfig) else 1
                self._fronts += [FrontProcesses(folder, kind, (one,), workers) for one in addresses]
        if self._config.follow:
            self._fronts.append(FrontProcesses(folder, "follow", (), 1))

    # ---- the end ----

    def _end(self, wake: int) -> None:
        """End all processes within `drain` seconds, or at once at the second signal."""
        _notify("STOPPING=1")
        drain = self._config.run.drain
        _log.info("ending, within %g s", drain + GRACE)
        for bound in self._sockets:
            bound.close()
        groups = [*self._leaving]
        for front in self._fronts:
            groups += [group for group in (front.group, front.successor) if group is not None]
        if self._check is not None:
            self._check.kill()
        for group in groups:
            group.leave(drain + GRACE)
        while groups and not self._is_told_to_end():
            groups = [group for group in groups if not group.is_over()]
            _pause(wake, 0.02)
        for group in groups:
            group.kill()
        _log.info("ended")


def _of_granian(http: HttpConfig | None) -> Any:
    """What workers can only be told when they start."""
    return http and (http.workers, http.tls)


def _described(front: FrontProcesses, config: Config) -> str:
    where = ", ".join(map(str, front.addresses))
    if front.kind == "s13" and config.diameter:
        peers = len(config.diameter.peers)
        who = f"{peers} in the list of peers" if peers else "every peer on loopback may connect"
        return f"Diameter S13: {where} as {config.diameter.identity}, {who}"
    if front.kind == "follow":
        return f"followed: {', '.join(mask_url(one.url) for one in config.follow)}"
    if front.kind == "admin":
        return f"metrics, health and page: http://{where}/"
    assert config.http
    scheme, plural = "https" if config.http.tls else "http", "" if front.workers == 1 else "s"
    tokens = ", with access tokens" if config.http.oauth2 else ""
    workers = f"{front.workers} worker{plural}{tokens}"
    return f"5G-EIR and bulk checks: {scheme}://{where}{config.http.root}, {workers}"


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET


def _guard(address: Address) -> tuple[Address, socket.socket]:
    """An address, and a socket that has it, so that nobody takes it, and does not listen: the workers of
    granian bind it beside one another with SO_REUSEPORT, by which a second supervisor would share it, too."""
    with socket.socket(_family(address)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        taken = Address(address.host, probe.getsockname()[1])
    guard = socket.socket(_family(address))
    if sys.platform == "linux":  # elsewhere, granian binds it once
        guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        guard.bind(taken)
    return taken, guard


def _listening(address: Address) -> tuple[Address, socket.socket]:
    """An address, and a socket that listens there: while the process that accepts is away, peers wait."""
    bound = socket.socket(_family(address))
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(address)
    bound.listen(1024)
    return Address(address.host, bound.getsockname()[1]), bound


def _pause(wake: int, seconds: float) -> None:
    """Wait for so long, or until a signal comes."""
    select.select([wake], [], [], seconds)
    with suppress(BlockingIOError):
        os.read(wake, 512)


@contextmanager
def _signals(seen: set[int]) -> Iterator[int]:
    """A descriptor that can be read when a signal came; `seen` has which."""

    def note(number: int, _: FrameType | None) -> None:
        seen.add(number)

    reads, writes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
    os.set_blocking(reads, False)
    os.set_blocking(writes, False)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.signal(number, note) for number in numbers}
    woken = signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    try:
        yield reads
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reads)
        os.close(writes)


def _notify(*lines: str) -> None:
    """Tell systemd, if it wants to know."""
    name = os.environ.get("NOTIFY_SOCKET")
    if name:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.settimeout(1.0)
            told.connect(f"\0{name[1:]}" if name.startswith("@") else name)
            told.send("\n".join(lines).encode())
