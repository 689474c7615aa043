"""docs/http-api.md: its commands print what the page says, and its tables have every word there is."""

import re
import shlex
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pages
import pytest

from imeiset.serve.http import bulk, checks, formats

from .servers import HOST, PATIENCE


def page():
    return (pages.DOCS / "http-api.md").read_text()


def test_the_page(tmp_path, monkeypatch, servers):
    """Its code and its commands, from top to bottom."""
    pytest.importorskip("granian")
    pytest.importorskip("pyarrow")
    if not shutil.which("curl"):
        pytest.skip("curl: not found")
    monkeypatch.chdir(tmp_path)
    address, answered = "", 0

    def ask(method, path, body, kind):
        request = urllib.request.Request(address + path, body, {"Content-Type": kind}, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read()

    names = {"ask": ask}
    for language, text in re.findall(r"^```(\w*)\n(.*?)^```", page(), re.M | re.S):
        if language == "text":
            Path("phones.txt").write_text(text)
        elif language == "python":
            exec(compile(text, "http-api.md", "exec"), names)
        for line in re.split(r"^\$ ", text, flags=re.M)[1:] if language == "console" else ():
            command, _, output = line.partition("\n")
            if command.startswith("imeiset serve "):
                address = f"http://{HOST}:{servers.serve('eir', diameter=False, admin=False).http}"
                continue
            program, *arguments = shlex.split(command.replace("http://127.0.0.1:8080", address))
            run = subprocess.run([program, "-s", *arguments], capture_output=True, text=True, check=True)
            assert run.stdout.strip() == output.strip()
            answered += 1
    assert answered == 7


def test_words_are_told():
    text = page()
    for cause in {*bulk.CAUSES} - {"not_found"}:
        assert f"`{cause}`" in text, cause
    numbers = {"negative", "out_of_range", "fifteen_digits", "wrong_type"}  # which are refused
    digits = {"check_digit", "check_digit_spare", "no_check_digit"}  # which nobody requires
    for word in {*checks.ERRORS.values()} - numbers - digits:
        assert f"`{word}`" in text, word
    for kind in formats.FORMS:
        assert f"`{kind}`" in text


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([\w-]+\.md)", page()):
        assert (pages.DOCS / link).exists()
