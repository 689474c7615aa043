"""Servers that are measured: started, ended, and what they take of the machine."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

HOST = "127.0.0.1"
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"  # where programs are, and servers
PATIENCE = 60.0  # seconds until a server accepts
TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A process that listens on a port of loopback, with all that it starts itself."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port

    @property
    def pids(self) -> list[int]:
        """The process and those below it."""
        below: dict[int, list[int]] = {}
        for pid, fields in _processes():
            below.setdefault(int(fields[1]), []).append(pid)
        found = [self.pid]
        for pid in found:
            found += below.get(pid, [])
        return found

    @property
    def cpu(self) -> float:
        """Seconds of processor that they have taken."""
        return sum(self._seconds().values())

    def own(self, workers: int) -> list[int]:
        """Bytes of memory that each of its workers shares with no other process. Workers are those that have
        taken most of the processor."""
        seconds = self._seconds()
        found = []
        for pid in sorted(seconds, key=seconds.__getitem__)[-workers:]:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            found.append(1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_")))
        return found

    def _seconds(self) -> dict[int, float]:
        mine = set(self.pids)
        return {
            pid: (int(fields[11]) + int(fields[12])) / TICKS for pid, fields in _processes() if pid in mine
        }


@contextlib.contextmanager
def running(command: list[str], port: int, log: Path, env: dict[str, str] | None = None) -> Iterator[Server]:
    """The command as a server, from when it accepts until it is ended."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
            env=os.environ | (env or {}),
        )  # fmt: skip
    server = Server(process.pid, port)
    try:
        end = time.monotonic() + PATIENCE
        while not accepts(port):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[0]} does not listen on {port}:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield server
    finally:
        below = server.pids
        process.terminate()
        try:
            process.wait(15)
        finally:
            for pid in below:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def accepts(port: int) -> bool:
    """Whether somebody listens on this port."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
        return True
    return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _processes() -> Iterator[tuple[int, list[str]]]:
    """Each process, with what its stat says behind its name."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / "stat").read_text().rpartition(")")[2].split()
