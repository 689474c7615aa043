"""The application in servers of a user's own: granian by RSGI and ASGI, uvicorn, hypercorn."""

import json
import os
import sys

import pytest

from imeiset import Delta, EquipmentStatus, Register, Store

from .clients.core import PATH, curl, status
from .servers import HOST, free_port, until

BLACK, OTHER = "490154203237518", "860123450000012"
TARGET = """
import os
from imeiset.serve import app

application = app(os.environ["EIR"], refresh=0.02)
"""
COMMANDS = {
    "granian-rsgi": ["granian", "--interface", "rsgi", "--host", HOST, "--port", "{port}", "--no-ws"],
    "granian-asgi": ["granian", "--interface", "asgi", "--host", HOST, "--port", "{port}", "--no-ws"],
    "uvicorn": ["uvicorn", "--host", HOST, "--port", "{port}", "--no-access-log"],
    "hypercorn": ["hypercorn", "--bind", f"{HOST}:{{port}}"],
}
MOUNTED = """
import os
from starlette.applications import Starlette
from imeiset.serve import app

application = Starlette()
application.mount("/eir", app(os.environ["EIR"], refresh=0.02))
"""


@pytest.fixture
def store(tmp_path):
    register = Register()
    register.add("stolen", [BLACK], status=EquipmentStatus.BLACKLISTED)
    with Store.create(tmp_path / "eir", register) as made:
        yield made


@pytest.fixture
def run(servers, store, tmp_path):
    """A server of a kind, with the application."""

    def started(kind, target=TARGET):
        module = COMMANDS[kind][0]
        pytest.importorskip(module)
        (tmp_path / "target.py").write_text(target)
        port = free_port()
        command = [
            sys.executable,
            "-m",
            *(part.format(port=port) for part in COMMANDS[kind]),
            "target:application",
        ]
        path = os.pathsep.join([str(tmp_path), *(part for part in sys.path if part)])
        env = {**os.environ, "EIR": str(store._directory), "PYTHONPATH": path}
        return servers.start(command, http=port, env=env, cwd=tmp_path).up()

    return started


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_server_of_ones_own(run, store, tmp_path, kind):
    server = run(kind)
    code, body = server.get(f"{PATH}?pei=imei-{BLACK}", server.http)
    assert (code, json.loads(body)) == (200, {"status": "BLACKLISTED"})
    if kind != "uvicorn":  # which has no HTTP/2
        assert status(server.http, BLACK) == "BLACKLISTED"
    store.apply(Delta("stolen", add=[OTHER]))
    until(lambda: b"BLACKLISTED" in server.get(f"{PATH}?pei=imei-{OTHER}", server.http)[1])
    json_type = ["-H", "content-type: application/json", "--http1.1"]
    bulk = curl(
        server.http, "/v1/checks", *json_type, "-d", json.dumps({"imeis": [BLACK, "352099001761481"]})
    )
    assert [row["status"] for row in json.loads(bulk.body)["results"]] == ["blacklisted", "whitelisted"]
    refused = curl(server.http, f"{PATH}?pei=imei-1", "--http1.1")
    assert (refused.code, refused.kind) == (400, "application/problem+json")
    head = curl(server.http, f"{PATH}?pei=imei-{BLACK}", "--http1.1", "-X", "PUT")
    assert (head.code, head.kind) == (405, "application/problem+json")
    (tmp_path / "long").write_bytes(b" " * 8_000_001)
    for expect in ("expect: 100-continue", "expect:"):
        long = curl(
            server.http, "/v1/checks", *json_type, "-H", expect, "--data-binary", f"@{tmp_path / 'long'}"
        )
        assert long.code == 413
    packed = curl(server.http, "/v1/checks", *json_type, "-H", "content-encoding: gzip", "-d", "x")
    assert packed.code == 415
    assert server.stop() in (0, -15)


@pytest.mark.parametrize("kind", ["granian-asgi", "uvicorn"])
def test_a_mount(run, store, kind):
    pytest.importorskip("starlette")
    server = run(kind, MOUNTED)
    assert json.loads(server.get(f"/eir{PATH}?pei=imei-{BLACK}", server.http)[1]) == {"status": "BLACKLISTED"}
    store.apply(Delta("stolen", add=[OTHER]))  # nothing told the mount that the server has started
    until(lambda: b"BLACKLISTED" in server.get(f"/eir{PATH}?pei=imei-{OTHER}", server.http)[1])
