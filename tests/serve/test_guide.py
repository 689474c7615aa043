"""docs/serve.md: its commands print what the page says, its configurations are understood, its code runs."""

import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pages
import pytest
from click.testing import CliRunner

from imeiset import EquipmentStatus, Register, Store
from imeiset.cli import main
from imeiset.serve import config

from .servers import HOST, PATIENCE, free_port

ONE, TWO, THREE = "490154203237518", "356938035643809", "352099001761481"
PORTS = (8080, 3868, 9090)
RUN = [sys.executable, "-m", "imeiset"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def play(servers):
    """Runs the commands of a text: `imeiset serve` on ports that are free, until the next one."""
    pytest.importorskip("granian")
    pytest.importorskip("imeiset.serve.processes.supervisor")
    if not shutil.which("curl"):
        pytest.skip("curl: not found")
    ports = {f"{HOST}:{port}": f"{HOST}:{free_port()}" for port in PORTS}
    running = []

    def moved(text):
        for address, other in ports.items():
            text = text.replace(address, other)
        return text

    def played(text):
        for line in re.split(r"^\$ ", text, flags=re.M)[1:]:
            command, _, output = line.partition("\n")
            program, *arguments = shlex.split(moved(command), comments=True)
            if program == "pip":
                continue
            if arguments[0] == "serve":
                if running:
                    assert running[-1].stop() == 0
                for path in Path().glob("*.toml"):
                    path.write_text(moved(path.read_text()))
                named = dict(zip(("http", "diameter", "admin"), ports.values(), strict=True))
                named = {name: int(address.rpartition(":")[2]) for name, address in named.items()}
                command = [arg for arg in arguments if arg != "&"]
                running.append(servers.start([*RUN, *command], **named).up())
            elif program == "curl":
                assert asked([program, "-s", *arguments], output.strip()) == output.strip()
            else:
                assert program == "imeiset"
                found = CliRunner().invoke(main, arguments)
                assert found.exit_code == 0, found.output

    return played


def asked(command, expected):
    """What curl says, as soon as it is what is expected, or what it says when patience ends."""
    end = time.monotonic() + PATIENCE
    while True:
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        if run.stdout.strip() == expected or time.monotonic() > end:
            return run.stdout.strip()
        time.sleep(0.02)


def tables():
    """The TOML of the page, by the comment with a name that it begins with; the others in order."""
    texts = re.findall(r"^```toml\n(.*?)^```", (pages.DOCS / "serve.md").read_text(), re.M | re.S)
    named = {text.splitlines()[0][2:]: text for text in texts if text.startswith("# ")}
    return named, [text for text in texts if not text.startswith("# ")]


def test_the_commands(here, play):
    named, _ = tables()
    for name, text in named.items():
        Path(name).write_text(text)
    for name, rows in (
        ("stolen", f"imei\n{ONE}\n"),
        ("watch", f"imei\n{TWO}\n"),
        ("approved", f"tac\n{THREE[:8]}\n"),
    ):
        Path(f"{name}.csv").write_text(rows)
    texts = re.findall(r"^```console\n(.*?)^```", (pages.DOCS / "serve.md").read_text(), re.M | re.S)
    assert len(texts) > 4
    for text in texts:
        play(text)


def test_the_configurations(here):
    named, others = tables()
    Path("eir").mkdir()
    Store.create("eir/store", Register()).close()
    for name in re.findall(r'"([\w-]+\.(?:crt|key|pem|json))"', "".join(others)):
        Path(name).write_text("")
    text = named["eir.toml"].replace('path = "eir"', 'path = "eir/store"')
    Path("eir.toml").write_text(text)
    assert config.read("eir.toml").http.tls is None
    Path("all.toml").write_text("\n".join([text, *others]))
    found = config.read("all.toml")
    assert found.http.tls.client_ca
    assert found.http.oauth2.audience == ("5G_EIR",)
    assert [peer.identity for peer in found.diameter.peers] == ["mme.example.org", "dra1.example.org"]
    assert dict(found.ready.max_age) == {"stolen": 26 * 3600}
    assert [(one.url, one.every) for one in found.follow] == [("https://lists.example/eir", 300)]


def test_the_limits_are_those_of_the_configuration():
    text, limits = (pages.DOCS / "serve.md").read_text(), config.LimitsConfig()
    of_bulk = (pages.DOCS / "http-api.md").read_text()
    assert f"| {limits.rows:,} rows of a request | `http.limits.rows` |" in of_bulk
    assert f"| {limits.bytes:,} bytes of a body | `http.limits.bytes` |" in of_bulk
    assert f"`http.limits.uri`, {limits.uri:,};" in text
    assert f"every {config.StoreConfig.__dataclass_fields__['refresh'].default} s" in text
    assert f"After {config.DiameterConfig.__dataclass_fields__['watchdog'].default:.0f} s of silence" in text


def test_the_code(here):
    register = Register()
    register.add("stolen", [ONE], status=EquipmentStatus.BLACKLISTED)
    Store.create("eir", register).close()
    found = {}
    exec(compile(pages.code("serve.md"), "serve.md", "exec"), found)
    found["front"].stop()
