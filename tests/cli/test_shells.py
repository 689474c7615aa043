"""The command in a shell: as a module, completed, and in pipes whose reader goes away."""

import os
import shutil
import subprocess
import sys

import pytest
from click.shell_completion import get_completion_class

from imeiset import EquipmentStatus, ImeiSet, Register, Store
from imeiset.cli import _COMMANDS, main
from imeiset.deltas.apply import MIN_SIZE
from imeiset.feeds.options import COLUMN, COLUMNS, DATE, DEFAULTS, OPTIONS, TEXT, VALUES, WHERE

from .test_commands import ENVIRONMENT, LISTED, run

IMEISET = f"{sys.executable} -m imeiset"


def shell(command, **options):
    """What bash says of a command line in which `imeiset` is ours."""
    command = f'set -o pipefail; imeiset() {{ {IMEISET} "$@"; }}; {command}'
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, check=False, env=ENVIRONMENT, timeout=60, **options
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ImeiSet.from_ranges([0], [200_000]).save("a.imei")
    ImeiSet([LISTED]).save("b.imei")
    register = Register()
    register.add("stolen", [LISTED], status=EquipmentStatus.BLACKLISTED)
    register.save("r.imei")
    Store.create("eir", register).close()
    (tmp_path / "list").write_text(f"{LISTED}\n" * 50_000)
    return tmp_path


def test_as_a_module(folder):
    assert shell("imeiset --version").stdout.startswith(b"imeiset ")
    assert shell(f"imeiset check b.imei {LISTED}").returncode == 0
    assert shell("imeiset check b.imei 35693803564380").returncode == 1
    assert shell("imeiset check nowhere 35693803564380").returncode == 2


@pytest.mark.parametrize(
    "command",
    [
        "check a.imei - < list",
        "check r.imei - < list",
        "check eir - --json < list",
        "diff a.imei b.imei",
        "export a.imei -o -",
        "export a.imei -o - --format dirbs",
        "demo --rows 1000 --lookups 1000",
    ],
)
def test_a_reader_that_has_enough_is_no_error(folder, command):
    found = shell(f"imeiset {command} | head -1")
    assert (found.returncode, found.stderr, found.stdout.count(b"\n")) == (141, b"", 1)


@pytest.mark.parametrize(
    "command",
    [
        "build list -o c.imei",
        "screen b.imei list",
        "info a.imei",
        "info eir",
        "verify a.imei eir",
        "merge a.imei b.imei -o c.imei",
        "apply b.imei a.csv -o c.imei",
        "apply eir a.csv",
        "export a.imei -o c.txt",
        "create eir2 r.imei",
        "replace eir r.imei",
        "explain eir 490154203237518",
        "history eir 490154203237518",
        "history eir -o -",
        "expire eir",
        "apply eir --add 356938035643809",
        "compact eir",
        "prune eir --keep 1",
        "watch eir",
        "completion bash",
        "--help",
    ],
)
def test_no_reader_at_all_is_no_error(folder, command):
    (folder / "a.csv").write_text("imei,change_type\n35693803564380,add\n")
    found = shell(f"imeiset {command} | exec 0<&-")
    assert (found.returncode, found.stderr) == (141, b"")


@pytest.mark.parametrize("command", ["completion bash", "--help", "export a.imei -o -"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_no_reader_is_no_error_of_the_interpreter(folder, command, unbuffered, monkeypatch):
    monkeypatch.setitem(ENVIRONMENT, "PYTHONUNBUFFERED", unbuffered)
    found = shell(f"imeiset {command} | exec 0<&-")
    assert (found.returncode, found.stderr) == (141, b"")


def test_an_export_to_stdout(folder):
    assert run("export", "b.imei", "-o", "-").stdout == f"{LISTED}\n"
    found = shell("imeiset export a.imei -o - --format roaring")
    assert ImeiSet.from_roaring(found.stdout) == ImeiSet.open("a.imei")


def complete(*words):
    """What a shell is told to offer, for a last word that has begun like this."""
    made = get_completion_class("bash")(main, {}, "imeiset", "_IMEISET_COMPLETE")
    return [(one.type, one.value) for one in made.get_completions(list(words[:-1]), words[-1])]


def test_completions_of_commands_and_options():
    assert complete("") == [("plain", name) for name in _COMMANDS]
    assert complete("ch") == [("plain", "check")]
    assert complete("build", "--max-ro") == [("plain", "--max-rows")]
    assert complete("apply", "a.imei", "--change", "a") == [("plain", "add")]
    assert complete("completion", "z") == [("plain", "zsh")]


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_path_is_completed(name):
    command = main.get_command(None, name)
    texts = {"imeis", "list", "expect_digest", "imei", "imsi", "replaced"}
    texts |= {"add", "remove", "reason", "date", "until", "by", "ref", "owner", "feed", "name", "lists"}
    texts |= {
        "create_list",
        "drop_list",
        "then",
        "moving",
        "today",
        "since",
        "number",
        "deltas",
        "full",
        "operators",
    }
    texts |= {"http", "diameter", "admin"}  # addresses
    texts |= {"url", "prefix", "receipt", "expires"}
    texts |= {
        name
        for name, option in OPTIONS.items()
        if option.kind in (TEXT, COLUMN, COLUMNS, WHERE, VALUES, DATE)
    }
    for parameter in command.params:
        if parameter.type.name == "text":
            assert parameter.name in texts, name
        if parameter.name in ("store", "output") and name in ("create", "prune", "demo"):
            assert not parameter.type.file_okay


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("check", "a"), "file"),
        (("build", "a"), "file"),
        (("build", "a", "-o", ""), "file"),
        (("build", "a", "b", "--rejects", ""), "file"),
        (("diff", "a.imei", ""), "file"),
        (("compact", "e"), "dir"),
        (("create", "eir", ""), "file"),
        (("feed", "i"), "dir"),
        (("history", "eir", "-o", ""), "file"),
    ],
)
def test_completions_of_files(words, kind):
    assert complete(*words) == [(kind, words[-1])]


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_scripts(name):
    script = run("completion", name).stdout
    assert f"_IMEISET_COMPLETE={name}_complete" in script
    if shutil.which(name):
        assert subprocess.run([name, "-n"], input=script, text=True, check=False).returncode == 0


def test_bash_offers_files(folder):
    """All of it, as bash does it: the script is read, and its function called for a line."""
    words = """
        eval "$(imeiset completion bash)"
        compopt() { echo "compopt $1 $2"; }
        COMP_WORDS=(imeiset check a); COMP_CWORD=2; _imeiset_completion imeiset; echo "${COMPREPLY[*]}"
        COMP_WORDS=(imeiset comp); COMP_CWORD=1; _imeiset_completion imeiset; echo "${COMPREPLY[*]}"
    """
    script = folder / "imeiset"
    script.write_text(f'#!/bin/sh\nexec {IMEISET} "$@"\n')
    script.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    found = subprocess.run(
        ["bash", "-c", words],
        capture_output=True,
        text=True,
        check=False,
        env={**ENVIRONMENT, "PATH": path},
        timeout=60,
    )
    assert found.stdout.split("\n") == ["compopt -o default", "", "compact completion", ""], found


def test_defaults_are_those_of_the_functions():
    seen = set()
    for name in ("build", "apply", "replace"):
        for option in main.get_command(None, name).params:
            if option.name == "min_size":
                assert option.default == MIN_SIZE
            elif DEFAULTS.get(option.name) is not None:
                assert not option.default
                assert option.help.endswith(f"[default: {DEFAULTS[option.name]}]")
            seen.add(option.name)
    assert seen >= {"min_size", "check_digit", "irregular", "max_line", "max_bytes", "max_ratio"}


@pytest.mark.parametrize("name", _COMMANDS)
def test_each_argument_and_option_says_what_it_is(name):
    command = main.get_command(None, name)
    for one in getattr(command, "commands", {name: command}).values():
        for parameter in one.params:
            text = parameter.help or ""
            assert text[:1].isupper() or text[:1].isdigit(), f"{one.name}: {parameter.name}"
            assert text.endswith((".", "]")), f"{one.name}: {parameter.name}"
