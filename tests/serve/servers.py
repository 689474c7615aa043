"""Servers that tests start: ports, processes that are ended, and what they wrote."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

HOST = "127.0.0.1"
PATIENCE = 120.0  # seconds that nothing takes, on a machine that does much else too

# Times have as many digits as an IMEI: of the day, of the clock in seconds, and decimals.
_TIMES = re.compile(r"\d{4}-\d\d-\d\dT?[ \d:.,]*|\b1[789]\d{8}\b|(?<=\d)\.\d+")
# A TAC with a digit of a serial number behind it, or an IMSI: what is longer than a TAC.
_NUMBER = re.compile(r"(?<![\da-fA-F])\d{2}[- ]?\d{6}[- ]?\d{1,8}(?![\da-fA-F])")


def serial_numbers(text: str, phones: Iterable[str] = ()) -> list[str]:
    """What text tells of a serial number or a subscriber: numbers longer than a TAC, and the serial numbers
    of these phones in any form, as digits and as the hexadecimal of their bytes."""
    plain = _TIMES.sub(" ", text)
    found = [match.group() for match in _NUMBER.finditer(plain)]
    for phone in phones:
        serial = phone[8:14]
        if re.search(rf"(?<!\d){serial}(?!\d)|{serial.encode().hex()}", text):
            found.append(serial)
    return found


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def until(what: Callable[[], object], seconds: float = PATIENCE, pause: float = 0.02) -> object:
    """What `what` gives as soon as it is true; an error of the network counts as false, and so does one for
    want of an entry: a process that is dead is on no board until its successor is."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, LookupError):
            if found := what():
                return found
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(pause)


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
        return True
    return False


class Server:
    """A process in a session of its own, and the file that it writes its log to.

    `http`, `diameter` and `admin` are its ports; those of fronts that are off are 0.
    """

    def __init__(
        self,
        command: list[str],
        log: Path,
        *,
        http: int = 0,
        diameter: int = 0,
        admin: int = 0,
        **options: object,
    ) -> None:
        self.http, self.diameter, self.admin = http, diameter, admin
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(  # type: ignore[call-overload]
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True, **options
            )

    @property
    def text(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace")

    def up(self, seconds: float = PATIENCE) -> "Server":
        """Itself, as soon as all its ports accept."""

        def ready() -> bool:
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.text}"
            return all(accepts(port) for port in (self.http, self.diameter, self.admin) if port)

        until(ready, seconds)
        return self

    def get(self, path: str, port: int | None = None) -> tuple[int, bytes]:
        """Status and body of a GET by HTTP/1.1; of the admin port where none is named."""
        try:
            with urllib.request.urlopen(
                f"http://{HOST}:{port or self.admin}{path}", timeout=PATIENCE
            ) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def stop(self, number: int = signal.SIGTERM, within: float = PATIENCE) -> int:
        """Its exit code after this signal. Whatever is left of its session is killed."""
        try:
            if self.process.poll() is None:
                self.process.send_signal(number)
            return self.process.wait(within)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Servers:
    """Starts servers, ends them, and keeps what they wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Server] = []
        self.phones: set[str] = set()

    def start(self, command: list[str], **options: object) -> Server:
        """Any program, as `Server` does. `imeiset serve` is skipped without its extra."""
        if command[1:4] == ["-m", "imeiset", "serve"]:
            for module in ("granian", "jwt", "prometheus_client"):
                pytest.importorskip(module, reason="the extra serve is not installed")
        log = self.folder / f"{len(self.started)}.log"
        server = Server(command, log, **options)  # type: ignore[arg-type]
        self.started.append(server)
        return server

    def serve(
        self,
        *arguments: object,
        http: bool = True,
        diameter: bool = True,
        admin: bool = True,
        **options: object,
    ) -> Server:
        """`imeiset serve STORE` with these fronts, each on a free port; it is up when this returns."""
        named = {"http": http, "diameter": diameter, "admin": admin}
        ports = {name: free_port() for name, wanted in named.items() if wanted}
        arguments += tuple(text for name, port in ports.items() for text in (f"--{name}", f"{HOST}:{port}"))
        command = [sys.executable, "-m", "imeiset", "serve", *map(str, arguments)]
        return self._up(self.start(command, **ports, **options))

    def configured(self, folder: Path, text: str, **options: object) -> Server:
        """`imeiset serve` with this configuration, in which {http}, {diameter} and {admin} are addresses; it
        is written to folder/eir.toml."""
        ports = {name: free_port() for name in ("http", "diameter", "admin") if f"{{{name}}}" in text}
        for name, port in ports.items():
            text = text.replace(f"{{{name}}}", f"{HOST}:{port}")
        path = folder / "eir.toml"
        path.write_text(text)
        command = [sys.executable, "-m", "imeiset", "serve", str(path)]
        return self._up(self.start(command, **ports, **options))

    def _up(self, server: Server) -> Server:
        try:
            return server.up()
        except BaseException:
            server.stop(signal.SIGKILL)
            raise

    def stop(self) -> None:
        """End those that still run."""
        for server in self.started:
            if server.process.poll() is None:
                server.stop(signal.SIGKILL)

    def logs(self) -> Iterator[tuple[Path, str]]:
        """The log of each, from the beginning."""
        for server in self.started:
            yield server.log, server.text
