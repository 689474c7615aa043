"""docs/fastapi.md: its services start as the page says, and answer what it shows."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_guides import blocks

from imeiset.cli import main

from .servers import HOST, free_port
from .test_guide import asked

SERVERS = ("uvicorn", "gunicorn")
ADDRESS = f"{HOST}:8000"


def named(text):
    """A file of the page: its name, from its first line, and what is in it."""
    return re.match(r"# (\S+\.py)\n", text)[1], text


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # where gunicorn has a socket
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *(part for part in sys.path if part)]))
    return tmp_path


def test_fastapi_flask_and_gunicorn(here, servers):
    for module in ("fastapi", "uvicorn", "gunicorn", "uvicorn_worker", "flask"):
        pytest.importorskip(module)
    if not shutil.which("curl"):
        pytest.skip("curl: not found")
    files, address, running = {"csv": "stolen.csv", "toml": "register.toml"}, ADDRESS, None
    for language, text in blocks("fastapi.md"):
        if language == "python":
            name, text = named(text)
            Path(name).write_text(text)
        elif language in files:
            Path(files[language]).write_text(text)
        for line in re.split(r"^\$ ", text, flags=re.M)[1:] if language == "console" else ():
            command, _, output = line.partition("\n")
            program, *arguments = shlex.split(command)
            if program in SERVERS:
                if running is not None:
                    assert running.stop() == 0, running.text
                address = f"{HOST}:{(port := free_port())}"
                if Path("gunicorn.conf.py").exists():
                    text = Path("gunicorn.conf.py").read_text()
                    Path("gunicorn.conf.py").write_text(text.replace(ADDRESS, address))
                arguments = [{"8000": str(port), ADDRESS: address}.get(one, one) for one in arguments]
                running = servers.start([sys.executable, "-m", program, *arguments], http=port).up()
            elif program == "curl":
                arguments = [one.replace(ADDRESS, address) for one in arguments]
                assert asked([program, "-s", *arguments], output.strip()) == output.strip(), command
            elif program == "imeiset":
                found = CliRunner().invoke(main, arguments)
                assert found.exit_code == 0, found.output
                assert not output or found.output == output
            else:
                assert program == "pip"
    assert running.stop() == 0, running.text
