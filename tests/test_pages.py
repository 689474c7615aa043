"""README and the pages about registers and stores: their code and their commands run, from top to bottom."""

import re
import subprocess
import sys
from pathlib import Path

import pages
import pytest
from cli.test_commands import ENVIRONMENT
from click.testing import CliRunner

from imeiset import EquipmentStatus, Register, Store
from imeiset.cli import main

LISTED, HOME = "490154203237518", "234150999999999"
# What a server has to survive: the page's workers answer afterwards, and are those that were forked.
HOSTILE = """
import random
import struct

GOOD, LONG = b"490154203237518\\n", b"9" * 100_000
chance = random.Random(7)
lines = [b"", b"x", b"490154203237518 x", b"490154203237518 " + LONG, LONG, b"\\xff\\xfe", b"\\0", b"imei-"]
lines += [b"- -", b"490154203237518 234150999999999 1", "\u0664\u0669".encode(), b"49015420323751\\r8"]
lines += [chance.randbytes(chance.randrange(200)) for _ in range(200)]
for number, line in enumerate(lines):
    with socket.create_connection(listener.getsockname()) as client:
        client.settimeout(20)
        if number % 3 == 0:  # to be reset
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            client.sendall(line if number % 5 == 0 else line + b"\\n" + GOOD)
            client.shutdown(socket.SHUT_WR)
            while number % 2 and client.recv(1_000):
                pass
        except OSError:
            pass
for _ in range(50):
    with socket.create_connection(listener.getsockname()) as client, client.makefile() as answers:
        client.settimeout(20)
        client.sendall(LONG[:200] + GOOD)  # must not be taken for a phone
        try:
            assert "BLACK" not in answers.read()
        except ConnectionError:
            pass
    with socket.create_connection(listener.getsockname()) as client, client.makefile() as answers:
        client.settimeout(20)
        client.sendall(GOOD + b"nonsense\\n490154203237518 nonsense\\n" + GOOD)
        said = [answers.readline()[:9] for _ in range(4)]
        assert said == ["BLACKLIST", "error: a ", "error: ex", "BLACKLIST"], said
assert [os.waitpid(child, os.WNOHANG) for child in workers] == [(0, 0)] * 2
"""
END = """
import signal
for child in workers:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_readme(here, capsys):
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", pages.README.read_text(), re.M | re.S)
    assert [language for language, _ in blocks] == ["console", "python", "console"]
    _, code, commands = [text for _, text in blocks]
    found = {}
    exec(compile(code, "README.md", "exec"), found)
    said = re.findall(r"^print\(.*\)  # (.*)$", code, re.M)
    assert len(said) == 3
    assert capsys.readouterr().out.splitlines() == said
    assert LISTED in found["blocked"]
    assert found["register"].check(LISTED).status is EquipmentStatus.BLACKLISTED
    assert (found["store"].sequence, len(found["store"]["stolen"])) == (1, 3)
    found["store"].close()
    checks = re.split(r"^\$ ", commands, flags=re.M)[1:]
    assert len(checks) == 2
    for check in checks:
        line, _, shown = check.partition("\n")
        said = _run(line)
        assert (said.exit_code, said.stdout) == (0, shown)
    for page in re.findall(r"\]\(([^)]*)\)", pages.README.read_text()):
        path, _, anchor = page.partition("#")
        assert (pages.README.parent / path).exists(), page
        assert (
            not anchor
            or f"\n## {anchor.replace('-', ' ').capitalize()}\n" in (pages.README.parent / path).read_text()
        )


def _run(line):
    program, *arguments = line.split()
    assert program == "imeiset"
    return CliRunner().invoke(main, arguments)


def test_embedding(here):
    made = Register()
    made.add("stolen", [LISTED], status=EquipmentStatus.BLACKLISTED)
    made.exempt("pairs", [LISTED], [HOME])
    Store.create("eir", made).close()
    Path("page.py").write_text(
        f"try:\n{_indented(pages.code('embedding.md') + HOSTILE)}\nfinally:\n{_indented(END)}"
    )
    found = subprocess.run(
        [sys.executable, "page.py"], capture_output=True, text=True, env=ENVIRONMENT, timeout=60, check=False
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout == Store.open("eir")["stolen"].digest() + "\n"


def _indented(text):
    return "".join(f"    {line}" if line.strip() else line for line in text.splitlines(keepends=True))


def test_registers(here):
    Path("stolen.csv.gz").write_text(f"imei,block_date,reasons\n{LISTED},20240229,stolen|lost\n")
    Path("ranges.csv").write_text("00000000000001,00000000000009\n")
    Path("exceptions.csv").write_text(f"imei,imsi\n{LISTED},{HOME}\n")
    Path("delta.csv").write_text("imei,change_type\n352099001761481,add\n")
    Path("in").mkdir()
    national = "860123450000012,,Bloqueado,31/10/2026,,robo\n352099001761499,,Libre,,,\n"
    Path("in/national_1.csv").write_text(f"IMEI1,IMEI2,Estado,Fecha,Hasta,Motivo\n{national}")
    Path("register.toml").write_text(pages.code("registers.md", "toml"))
    lines = pages.commands("registers.md")
    assert len(lines) == 12
    for line in lines:
        found = CliRunner().invoke(main, line)
        exempt = "--imsi" in line
        shrinks = line[0] == "replace"  # the list has lost what the delta added: half of it
        assert found.exit_code == (1 if exempt else 2 if shrinks else 0), (line, found.output)
    assert (
        "at least 75% of the 2 of list 'stolen'"
        in CliRunner().invoke(main, ["replace", "eir", "register.toml"]).stderr
    )
    for imei in (LISTED, "352099001761499"):
        said = CliRunner().invoke(main, ["check", "register.imei", imei]).stdout
        assert f"`{said.strip()}`" in (pages.DOCS / "registers.md").read_text()


PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{page.name}" for page in pages.DOCS.glob("*.md"))]


@pytest.mark.parametrize("page", PAGES)
def test_files_that_pages_name_are_there(page):
    root = pages.DOCS.parent
    inside = (
        "imeiset",
        *(f"imeiset/{room}" for room in ("register", "serve", "cli", "_native", "_native/c")),
        "tests",
    )
    text = (root / page).read_text()
    named = set(re.findall(r"`([\w./-]+(?:\.(?:py|pyx|pxd|h|md)|/))`", text))
    made_up = {name for name in named if "NAME" in name or name.startswith("STORE/")} | {"calls/"}
    assert [
        name for name in named - made_up if not any((root / at / name).exists() for at in ("", *inside))
    ] == []
    for link in re.findall(r"\]\((?!http)([^)#]*)\)", text):
        assert ((root / page).parent / link).exists(), link
