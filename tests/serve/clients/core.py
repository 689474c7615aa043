"""5G cores: curl for one question by HTTP/2, and one that keeps its connection."""

import json
import shutil
import socket
import subprocess
from dataclasses import dataclass

import pytest

from ..servers import HOST, PATIENCE

PATH = "/n5g-eir-eic/v1/equipment-status"


@dataclass(frozen=True)
class Said:
    """What curl was answered."""

    code: int
    version: str
    kind: str
    body: bytes

    @property
    def status(self) -> str:
        """The word, when code, type and body say the same."""
        found = json.loads(self.body)
        if self.code == 404:
            assert self.kind == "application/problem+json"
            assert found == {"status": 404, "title": "Not Found", "cause": "ERROR_EQUIPMENT_UNKNOWN"}
            return "UNKNOWN"
        assert (self.code, self.kind, [*found]) == (200, "application/json", ["status"])
        return str(found["status"])


def curl(port: int, target: str, *options: str) -> Said:
    """One request by HTTP/2 with prior knowledge."""
    if not shutil.which("curl"):
        pytest.skip("curl: not found")
    told = "\n%{http_code} %{http_version} %{content_type}"
    command = ["curl", "-s", "-m", "120", "--http2-prior-knowledge", "-w", told, *options]
    run = subprocess.run([*command, f"http://{HOST}:{port}{target}"], capture_output=True, check=True)
    body, _, said = run.stdout.rpartition(b"\n")
    code, version, kind = said.decode().split(" ", 2)
    return Said(int(code), version, kind, body)


def status(port: int, imei: str, imsi: str | None = None) -> str:
    """What a core is told about a phone."""
    subscriber = "" if imsi is None else f"&supi=imsi-{imsi}"
    kind = "imeisv" if len(imei) == 16 else "imei"
    said = curl(port, f"{PATH}?pei={kind}-{imei}{subscriber}")
    assert said.version == "2"
    return said.status


class Core:
    """One HTTP/2 connection that is kept: `h2` without TLS. gone: whether the server sent GOAWAY."""

    def __init__(self, port: int) -> None:
        connection = pytest.importorskip("h2.connection")
        config = pytest.importorskip("h2.config")
        self.events = pytest.importorskip("h2.events")
        self.authority = f"{HOST}:{port}"
        self.socket = socket.create_connection((HOST, port), PATIENCE)
        self.h2 = connection.H2Connection(config.H2Configuration(client_side=True))
        self.h2.initiate_connection()
        self.socket.sendall(self.h2.data_to_send())
        self.gone = False

    def __enter__(self) -> "Core":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def get(self, target: str, method: str = "GET") -> tuple[int, bytes]:
        """Code and body of a request on this connection."""
        stream = self.h2.get_next_available_stream_id()
        pseudo = {":method": method, ":path": target, ":authority": self.authority, ":scheme": "http"}
        self.h2.send_headers(stream, [*pseudo.items()], end_stream=True)
        self.socket.sendall(self.h2.data_to_send())
        code, body = 0, b""
        while True:
            received = self.socket.recv(65_536)
            if not received:
                raise ConnectionError("the server closed the connection")
            for event in self.h2.receive_data(received):
                if isinstance(event, self.events.ConnectionTerminated):
                    self.gone = True
                elif isinstance(event, self.events.StreamReset):
                    raise ConnectionError(f"the stream was reset: {event.error_code}")
                elif isinstance(event, self.events.ResponseReceived):
                    code = int(dict(event.headers)[b":status"])
                elif isinstance(event, self.events.DataReceived):
                    body += event.data
                    self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, self.events.StreamEnded):
                    self.socket.sendall(self.h2.data_to_send())
                    return code, body
            self.socket.sendall(self.h2.data_to_send())

    def status(self, imei: str) -> str:
        """What it is told about a phone."""
        code, body = self.get(f"{PATH}?pei=imei-{imei}")
        return "UNKNOWN" if code == 404 else str(json.loads(body)["status"])
