"""Processes as their supervisor sees them: started, watched, told to end, killed with those they started."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from imeiset.serve.config import Config, dumped
from imeiset.serve.config.values import Address
from imeiset.serve.processes.board import last_beat
from imeiset.serve.state import ProcessState

_CODE = """
import json, sys
orders = json.loads(sys.stdin.readline())
sys.path[:] = orders.pop("path")
from imeiset.serve.processes.main import main
main(orders)
"""
# A worker multiplies no matrices: without these, numpy and malloc would keep memory for many threads.
_LEAN = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
_CHECKED_WITHIN = 120.0  # seconds
_STEADY = 10.0  # seconds after which a process that dies is started again at once
_LONGEST_PAUSE = 10.0
_LOOK = 1.0  # seconds of silence that one look can tell of, at most


def _start(orders: dict[str, Any], **options: Any) -> "subprocess.Popen[bytes]":
    """A process in a session of its own that does what it is ordered, as long as its stdin is open."""
    # -P: what lies in the directory where this was called is not imported.
    command = [sys.executable, "-P", "-c", _CODE]
    environment = {**_LEAN, **os.environ}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, start_new_session=True, env=environment, **options
    )
    assert process.stdin
    with suppress(BrokenPipeError):
        process.stdin.write(json.dumps({**orders, "path": sys.path}).encode() + b"\n")
        process.stdin.flush()
    return process


class ProcessGroup:
    """A process, and the processes that it starts itself."""

    def __init__(self, orders: dict[str, Any], sockets: tuple[socket.socket, ...] = ()) -> None:
        numbers = tuple(one.fileno() for one in sockets)
        self._process = _start({**orders, "sockets": numbers}, pass_fds=numbers)
        self._born = time.monotonic()
        self._deadline: float | None = None

    @property
    def pid(self) -> int:
        """Of the process, and of the group."""
        return self._process.pid

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._born

    def code(self) -> int | None:
        """How the process ended; None while it lives."""
        return self._process.poll()

    def leave(self, within: float) -> None:
        """Tell it to end."""
        if self._deadline is None:
            self._deadline = time.monotonic() + within
        if self.code() is None:
            self._process.send_signal(signal.SIGTERM)

    def is_over(self) -> bool:
        """Whether all of it has ended; what is left after the deadline is killed."""
        code = self.code()
        # One that was killed leaves workers, which see that and end by themselves, as it would have them do.
        over = code is not None and (code >= 0 or not self._has_members())
        if over or (self._deadline is not None and time.monotonic() > self._deadline):
            self.kill()
            return True
        return False

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin
        self._process.stdin.close()

    def has(self, pid: int) -> bool:
        """Whether a process is one of it, and lives."""
        try:
            return os.getpgid(pid) == self.pid
        except ProcessLookupError:
            return False

    def _has_members(self) -> bool:
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        return True


class Check:
    """A look at whether a configuration can be served."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.config = config
        orders = {"kind": "check", "folder": str(folder), "config": dumped(config)}
        self._process = _start(orders, stdout=subprocess.PIPE)
        self._born = time.monotonic()

    def result(self) -> dict[str, Any] | None:
        """What was found; None while it is looked at."""
        if self._process.poll() is None:
            if time.monotonic() - self._born < _CHECKED_WITHIN:
                return None
            self.kill()
            return {"error": f"the store could not be opened within {_CHECKED_WITHIN:.0f} s"}
        return self.wait()

    def wait(self) -> dict[str, Any]:
        """What was found, when it is."""
        assert self._process.stdout
        with self._process:
            text = self._process.stdout.read()
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError:
            return {"error": f"the check of the configuration {ending(self._process.returncode)}: see above"}
        return found

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


class FrontProcesses:
    """The processes of one front. When they die, others are started. Successors may serve beside them, and
    then take over.

    addresses: none of the process that follows publishers. sockets: they listen at the addresses of the
    front, where its process does not bind those itself.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        addresses: tuple[Address, ...],
        workers: int,
        sockets: tuple[socket.socket, ...] = (),
    ) -> None:
        self.kind, self.addresses, self.workers = kind, addresses, workers
        self.name = f"{kind} {', '.join(map(str, self.addresses))}".rstrip()
        self._orders = {"kind": kind, "folder": str(folder), "address": (*self.addresses, None)[0]}
        self._folder, self._sockets = folder, sockets
        self.group: ProcessGroup = None  # type: ignore[assignment] # until it is started
        self.successor: ProcessGroup | None = None
        self._successor_serves: float | None = None
        self._silence: dict[int, tuple[int | None, float]] = {}  # by process: last beat, seconds since
        self._looked = time.monotonic()
        self._pause = 0.0
        self._due: float | None = None
        self._complete = time.monotonic()

    def start(self) -> None:
        """Start it."""
        self._due = None
        self._complete = time.monotonic()
        self.group = ProcessGroup(self._orders, self._sockets)

    def died(self) -> int | None:
        """How it ended, if it did and is not about to be started again."""
        return self.group.code() if self._due is None else None

    def start_later(self) -> float:
        """In how many seconds it starts again: the later the sooner it died."""
        self._pause = 0.0 if self.group.age > _STEADY else min(max(self._pause * 2, 0.25), _LONGEST_PAUSE)
        self._due = time.monotonic() + self._pause
        return self._pause

    def is_due(self) -> bool:
        """Whether it is time to start it again."""
        return self._due is not None and time.monotonic() >= self._due

    def succeed(self) -> None:
        """Start successors."""
        self._successor_serves = None
        self.successor = ProcessGroup(self._orders, self._sockets)

    def take_over(self) -> None:
        """Let the successors be those that serve."""
        assert self.successor is not None
        self.group, self.successor, self._due = self.successor, None, None
        self._complete = time.monotonic()

    def successor_serves(self, states: list[ProcessState]) -> float:
        """For how many seconds the successors have served."""
        if self.successor is None or not self._serves(self.successor, states):
            self._successor_serves = None
            return 0.0
        self._successor_serves = self._successor_serves or time.monotonic()
        return time.monotonic() - self._successor_serves

    def serves(self, states: list[ProcessState]) -> bool:
        """Whether all its processes have the store, and its addresses accept."""
        return self._serves(self.group, states) and all(map(_accepts, self.addresses))

    def _serves(self, group: ProcessGroup, states: list[ProcessState]) -> bool:
        return sum(state.generation > 0 for state in _of(group, states)) >= self.workers

    def hung(self, states: list[ProcessState], after: float) -> list[int]:
        """Its processes that live and have said nothing for so many seconds.

        Only seconds in which this process looks count: where a clock is set or the machine sleeps, nothing is
        silent.
        """
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, _LOOK), now
        silence = {}
        for state in _of(self.group, states):
            beat = last_beat(self._folder, state)
            last, silent = self._silence.get(state.pid, (None, 0.0))
            silence[state.pid] = beat, silent + passed if beat is not None and beat == last else 0.0
        self._silence = silence
        return [pid for pid, (_, silent) in silence.items() if silent > after and self.group.has(pid)]

    def incomplete(self, states: list[ProcessState]) -> float:
        """For how many seconds some of its processes have been missing."""
        if sum(self.group.has(state.pid) for state in _of(self.group, states)) >= self.workers:
            self._complete = time.monotonic()
        return time.monotonic() - self._complete


def _of(group: ProcessGroup, states: list[ProcessState]) -> list[ProcessState]:
    return [state for state in states if not state.ended and group.pid in (state.pid, state.parent)]


def _accepts(address: Address) -> bool:
    with suppress(OSError), socket.create_connection(address, 1):
        return True
    return False


def ending(code: int) -> str:
    """How a process ended."""
    return f"ended ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"
