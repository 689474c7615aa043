"""The end of `imeiset demo`: a phone is reported while cores ask for it over HTTP/2 and Diameter S13."""

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imeiset import EquipmentStatus

if TYPE_CHECKING:
    from imeiset.serve.diameter.messages import Header

_PHONE, _IMSI = "356938035643809", "262011234567890"
_HOST = "127.0.0.1"
_PATIENCE = 30.0  # seconds
_NEEDED = ("granian", "jwt", "prometheus_client")  # by the extra


def on_the_wire(folder: Path, run: Callable[..., None]) -> None:
    """A store is served, a phone of it reported, and both fronts are asked until they say so.

    run: a command in that folder, which has a store eir and the report of the phone in reported.csv.
    """
    click.echo("\nThe same register on the wire, as the cores of a carrier ask it")
    if not all(map(find_spec, _NEEDED)):
        click.echo('  left out: for a 5G-EIR and Diameter S13, pip install "imeiset[serve]"')
        return
    http, diameter = _free_ports(2)
    with _served(folder, http, diameter), socket.create_connection((_HOST, diameter), _PATIENCE) as peer:
        asked = {"N5g-eir, HTTP/2": _http(http), "Diameter S13": _Mme(peer).status}
        for interface, ask in asked.items():
            click.echo(f"  {interface}: {ask()}")
        run(folder, "apply", "eir", "reported.csv", "--list", "stolen")
        reported = time.perf_counter()
        for interface, ask in asked.items():
            while (status := ask()) != "BLACKLISTED":
                if time.perf_counter() - reported > _PATIENCE:
                    raise click.ClickException(f"{interface}: expected BLACKLISTED, got {status}")
                time.sleep(0.01)
            after = (time.perf_counter() - reported) * 1e3
            click.echo(f"  {interface}: {status}, {after:.0f} ms after the report")


@contextmanager
def _served(folder: Path, http: int, diameter: int) -> Iterator[None]:
    """`imeiset serve` on these ports, from when it answers until it has ended."""
    fronts = ("--http", f"{_HOST}:{http}", "--diameter", f"{_HOST}:{diameter}")
    click.echo(f"\n$ imeiset serve eir {' '.join(fronts)} &")
    log = folder / "serve.log"
    with log.open("wb") as file:
        command = [sys.executable, "-m", "imeiset", "serve", "eir", *fronts]
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        end = time.monotonic() + _PATIENCE
        while not (_listens(http) and _listens(diameter)):
            if process.poll() is not None or time.monotonic() > end:
                raise click.ClickException(f"imeiset serve does not answer:\n{log.read_text()}")
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()


def _http(port: int) -> Callable[[], str]:
    """Asks the 5G front: with curl over HTTP/2, where there is a curl that can."""
    url = f"http://{_HOST}:{port}/n5g-eir-eic/v1/equipment-status?pei=imei-{_PHONE}&supi=imsi-{_IMSI}"
    command = ["curl", "--silent", "--max-time", "10", "--http2-prior-knowledge", url]
    if not shutil.which("curl") or subprocess.run(command, capture_output=True, check=False).returncode:
        click.echo("\n  no curl that speaks HTTP/2: the questions go by HTTP/1.1")

        def fetch() -> bytes:
            with urllib.request.urlopen(url, timeout=10) as answer:
                body: bytes = answer.read()
                return body
    else:
        click.echo(f"\n$ curl --http2-prior-knowledge '{url}'")

        def fetch() -> bytes:
            return subprocess.run(command, capture_output=True, check=True).stdout

    return lambda: str(json.loads(fetch())["status"])


def _free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((_HOST, 0))
        return [probe.getsockname()[1] for probe in probes]


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((_HOST, port), 1):
        return True
    return False


class _Mme:
    """An MME with one connection, after the exchange of capabilities."""

    def __init__(self, connection: socket.socket) -> None:
        from imeiset.serve.diameter.messages import CAPABILITIES, REQUEST, Code, Header, avp
        from imeiset.serve.diameter.s13 import S13, VENDOR_3GPP

        self._connection = connection
        self._ask(
            Header(REQUEST, CAPABILITIES, 0, 1, 1),
            avp(Code.HOST_IP_ADDRESS, b"\0\1" + socket.inet_aton(_HOST)),
            avp(Code.VENDOR_ID, VENDOR_3GPP),
            avp(Code.PRODUCT_NAME, "imeiset demo", mandatory=False),
            avp(Code.AUTH_APPLICATION_ID, S13),
        )

    def status(self) -> str:
        """The status of the phone."""
        from imeiset.serve.diameter.messages import PROXIABLE, REQUEST, Code, Header, avp, group
        from imeiset.serve.diameter.s13 import (
            EQUIPMENT_STATUS,
            IDENTITY_CHECK,
            IMEI,
            S13,
            TERMINAL_INFORMATION,
        )

        answered = self._ask(
            Header(REQUEST | PROXIABLE, IDENTITY_CHECK, S13, 2, 2),
            avp(Code.SESSION_ID, "mme.example.org;1;1"),
            avp(Code.AUTH_SESSION_STATE, 1),
            avp(Code.DESTINATION_REALM, "example.org"),
            group(TERMINAL_INFORMATION, [avp(IMEI, _PHONE[:14])]),
            avp(Code.USER_NAME, _IMSI),
        )
        return EquipmentStatus(answered[EQUIPMENT_STATUS]).name

    def _ask(self, header: "Header", *avps: bytes) -> dict[int, int]:
        """The AVPs of the answer that are numbers."""
        from imeiset.serve.diameter.messages import HEADER, Code, avp, length_of, read_avps

        origin = avp(Code.ORIGIN_HOST, "mme.example.org"), avp(Code.ORIGIN_REALM, "example.org")
        self._connection.sendall(header.write(*avps, *origin))
        received = b""
        while len(received) < 4 or len(received) < length_of(received):
            if not (more := self._connection.recv(4096)):
                raise click.ClickException("the Diameter front closed the connection")
            received += more
        found, _ = read_avps(received, HEADER)
        return {one.name: number for one in found if (number := one.number()) is not None}
