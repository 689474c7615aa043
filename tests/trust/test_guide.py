"""The guide docs/follow.md, from keys to rotation: its commands print what the page says."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pages
import pytest
from click.testing import CliRunner

from imeiset import ImeiSet, Store
from imeiset.cli import main

pytest.importorskip("tuf")

PHONES = (*("490154203237518", "356938035643809", "352099001761481", "860123450000012", "352099001761499"),)
NEW = "868912031234563"


def plays(page):
    """The commands of a page, in order, each with what it prints."""
    for text in re.findall(r"^```console\n(.*?)^```", (pages.DOCS / page).read_text(), re.M | re.S):
        for command in re.split(r"^\$ ", text, flags=re.M)[1:]:
            line, _, output = command.partition("\n")
            yield line, output


def plain(text):
    """Without what differs from run to run, or says little of small lists: times, IDs of keys, sizes."""
    text = re.sub(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?", "(time)", text)
    return re.sub(r"\b[0-9a-f]{16}(?:[0-9a-f]{48})?\b", "(hex)", re.sub(r"[\d,]+ bytes", "(size)", text))


def run(line):
    if not line.startswith("imeiset "):
        subprocess.run(line, shell=True, check=True)
        return 0, ""
    found = CliRunner().invoke(main, shlex.split(line)[1:])
    return found.exit_code, found.output


def test_from_keys_to_rotation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("word").write_text("correct horse\n")
    Path("stolen.csv").write_text("imei\n" + "".join(f"{phone}\n" for phone in PHONES))
    Path("eir.toml").write_text(
        '[[lists]]\nname = "stolen"\nstatus = "blacklisted"\nreason = "theft"\nfiles = ["stolen.csv"]\n'
    )
    assert run("imeiset create eir eir.toml")[0] == 0
    Path("changes.csv").write_text(f"+{NEW}\n-{PHONES[1]}\n")
    editions = []
    for line, expected in plays("follow.md"):
        if "publish thief" in line:
            shutil.copytree("keys", "stolen-keys")
            shutil.copytree("eir", "thief", ignore=shutil.ignore_patterns("published"))
            Path("more.csv").write_text("+350000000000012\n")
            assert run("imeiset apply thief more.csv --list stolen")[0] == 0
        code, output = run(line)
        refused = expected.startswith("imeiset: ")
        assert code == (4 if refused else 0), (line, output)
        if expected:
            assert plain(output) == plain(expected), line
        if line.startswith("imeiset keys new"):
            shutil.copy("keys/root.json", "root.json")
        if line.startswith("imeiset follow lists theirs"):
            with Store.open("theirs") as store:
                editions.append(next(iter(store.feeds.values())))
    assert editions == [2, 2, 3, 4]
    with Store.open("theirs") as store:
        assert store["stolen"] == ImeiSet([PHONES[0], *PHONES[2:], NEW])
    with Store.open("far") as store:
        assert store["stolen"] == ImeiSet([PHONES[0], *PHONES[2:], NEW])


def test_what_cron_runs_is_understood():
    lines = re.findall(r"^\*/15 \* \* \* \* imeiset (.*)$", (pages.DOCS / "follow.md").read_text(), re.M)
    assert len(lines) == 2
    for line in lines:
        name, *arguments = shlex.split(line)
        command = main.get_command(None, name)
        command.make_context(name, arguments)
