"""The commands `keys` and `publish` as a user calls them."""

import json
import os
import pty
import stat
import subprocess
from pathlib import Path

import pytest
from cli.test_commands import RUN

from imeiset import EquipmentStatus, Register, Store

pytest.importorskip("tuf")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    register = Register()
    register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED, owner="police")
    register.add_tacs("models", ["35693803"], status=EquipmentStatus.GREYLISTED)
    Store.create("eir", register).close()
    (tmp_path / "word").write_bytes(b"correct horse\r\nnot this\n")
    return tmp_path


def imeiset(*arguments, code=0, **environment):
    """What it prints, stdout and stderr."""
    done = subprocess.run(
        [*RUN, *map(str, arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def test_keys_without_a_terminal_need_an_option(here):
    told = imeiset("keys", "new", "keys", code=2)[1]
    assert "--passphrase-file" in told
    assert "--no-passphrase" in told
    assert not Path("keys").exists()
    both = imeiset("keys", "new", "keys", "--no-passphrase", "--passphrase-file", "word", code=2)[1]
    assert "exclude each other" in both
    for text in ("3/2", "0/1", "2", "1/33", "x"):
        assert "expected M/N" in imeiset("keys", "new", "keys", "--threshold", text, code=2)[1]
    Path("none").write_text("\n")
    for path, told in (("nowhere", "No such file"), ("none", "got none")):
        assert told in imeiset("keys", "new", "keys", "--passphrase-file", path, code=2)[1]
    assert not Path("keys").exists()


def test_keys_new(here):
    output, _ = imeiset("keys", "new", "keys", "--passphrase-file", "word", "--threshold", "1/2")
    first, second = output.splitlines()
    assert first == "keys: 2 root keys, one of targets, one online"
    name, _, fingerprint = second.partition(": ")
    assert (name, len(bytes.fromhex(fingerprint))) == ("keys/root.json", 32)
    assert all(b"ENCRYPTED" in path.read_bytes() for path in Path("keys").glob("*.pem"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in Path("keys").glob("*.pem")} == {0o600}
    assert "keys are not overwritten" in imeiset("keys", "new", "keys", "--no-passphrase", code=2)[1]


def at_terminal(arguments, answers):
    """Run a command on a terminal that types the answers when it is asked; what was shown."""
    pid, terminal = pty.fork()
    if not pid:
        os.execv(RUN[0], [*RUN, *arguments])
    shown, answers = b"", [*answers]
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        shown += data
        if answers and shown.rstrip().endswith(b":"):
            os.write(terminal, answers.pop(0).encode() + b"\n")
            shown += b"|"
        if not data:
            break
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_a_terminal_is_asked(here):
    code, shown = at_terminal(["keys", "new", "keys"], ["secret", "secret"])
    assert code == 0, shown
    assert "secret" not in shown
    code, shown = at_terminal(["publish", "eir", "place", "--keys", "keys"], ["secret"])
    assert code == 0, shown
    assert shown.count("Passphrase") == 1, "one word for all keys of a run"
    assert "secret" not in shown
    code, shown = at_terminal(["publish", "eir", "place", "--keys", "keys", "--renew"], ["wrong"])
    assert code == 2
    assert "a wrong passphrase" in shown
    told = imeiset("publish", "eir", "place", "--keys", "keys", "--renew", code=2)[1]
    assert "--passphrase-file" in told


def test_publish_says_what_it_did(here):
    imeiset("keys", "new", "keys", "--passphrase-file", "word")
    signs = ("--keys", "keys", "--passphrase-file", "word")
    output, _ = imeiset("publish", "eir", "place", *signs, "--dry-run")
    assert output.startswith("place: would be: edition 1, a base of ")
    assert not Path("place").exists()
    assert not Path("eir/published").exists()
    output, errors = imeiset("publish", "eir", "place", *signs)
    lines = output.splitlines()
    assert lines[0].startswith("place: edition 1, a base of ")
    assert lines[1:3] == [
        "  stolen: 1 added, 0 removed, 1 in it",
        "  models: 1,000,000 added, 0 removed, 1,000,000 in it",
    ]
    assert lines[3].startswith("  ends (UTC): root 20")
    assert not errors
    report = json.loads(imeiset("publish", "eir", "place", *signs, "--json")[0])
    assert (report["action"], report["edition"], report["bytes"], report["lists"]) == ("nothing", 1, 0, {})
    assert report["expires"].keys() == {"root", "targets", "snapshot", "timestamp"}
    assert report["expires"]["root"].endswith("Z")
    report = json.loads(imeiset("publish", "eir", "place", *signs, "--json", "--base")[0])
    nothing = {"added": 0, "removed": 0}
    assert report["lists"]["stolen"] == {"status": "BLACKLISTED", "counts": {"exact": 1}, **nothing}
    assert report["edition"] == 2
    output, _ = imeiset("publish", "eir", "other", *signs, "--lists", "models")
    assert "stolen" not in output


def test_publish_says_what_is_wrong(here):
    imeiset("keys", "new", "keys", "--no-passphrase")
    signs = ("--keys", "keys")
    for arguments, told in (
        (("--lists", "nowhere"), "expected some of stolen, models, got 'nowhere'"),
        (("--lists", ","), "expected names, got none"),
        (("--expires", "2"), "like 2d, 36h or 90m"),
        (("--expires", "0d"), "like 2d, 36h or 90m"),
        (("--base-every", "0"), "--base-every"),
    ):
        assert told in imeiset("publish", "eir", "place", *signs, *arguments, code=2)[1]
    assert "expected a store" in imeiset("publish", "nowhere", "place", *signs, code=2)[1]
    assert "imeiset keys new" in imeiset("publish", "eir", "place", "--keys", "eir", code=2)[1]
    told = imeiset("publish", "eir", "s3://key:secret@lists/eir?token=5", *signs, code=2)[1]
    assert "secret" not in told
    assert "token=5" not in told
    assert not Path("place").exists()
    imeiset("publish", "eir", "place", *signs)
    imeiset("keys", "new", "others", "--no-passphrase")
    told = imeiset("publish", "eir", "place", "--keys", "others", code=4)[1]
    assert "this folder is of other keys" in told


def test_rotate_says_what_it_did(here):
    imeiset("keys", "new", "keys", "--no-passphrase")
    imeiset("publish", "eir", "place", "--keys", "keys")
    output, _ = imeiset("keys", "rotate", "place", "--keys", "keys", "--role", "online")
    lines = output.splitlines()
    assert lines[0] == "place: root 2, new keys of online"
    assert lines[1].startswith("  they are: online-")
    assert lines[3] == "  edition 1 is signed by the keys that count now"
    roles = ("--role", "targets", "--role", "root")
    report = json.loads(imeiset("keys", "rotate", "place", "--keys", "keys", *roles, "--json")[0])
    assert (report["root"], report["roles"]) == (3, ["root", "targets"])
    for path in Path("keys").glob("root-*"):
        path.unlink()
    told = imeiset("keys", "rotate", "place", "--keys", "keys", "--role", "root", code=2)[1]
    assert "expected 2 keys of role root, got 0: bring 2 of root-" in told
    assert "--role" in imeiset("keys", "rotate", "place", "--keys", "keys", code=2)[1]


def test_without_the_extra_it_is_named(here):
    Path("tuf").mkdir()
    Path("tuf/__init__.py").write_text("raise ModuleNotFoundError('tuf', name='tuf')\n")
    Path("securesystemslib").mkdir()
    text = "raise ModuleNotFoundError('securesystemslib', name='securesystemslib')\n"
    Path("securesystemslib/__init__.py").write_text(text)
    path = os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")])
    Path("keys").mkdir()
    Path("keys/root.json").write_text("{}")
    for arguments in (
        ("keys", "new", "other", "--no-passphrase"),
        ("publish", "eir", "place", "--keys", "keys"),
        ("keys", "rotate", "place", "--keys", "keys", "--role", "online"),
    ):
        told = imeiset(*arguments, code=2, PYTHONPATH=path)[1]
        assert "pip install 'imeiset[follow]'" in told
    assert not Path("other").exists()
    assert "Usage" in imeiset("publish", "--help", PYTHONPATH=path)[0]
