"""Files are published whole, for their owner alone, never over those of a store; nothing is left behind."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner

from imeiset import Delta, EquipmentStatus, ImeiSet, Register, Store, _files
from imeiset._files import publish
from imeiset.cli import main
from imeiset.errors import StoreExists

A, B = "490154203237518", "356938035643809"


@pytest.fixture(params=["unnamed", "named", "old kernel"])
def system(request, monkeypatch):
    """The ways to write a file that readers do not see yet."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif request.param == "old kernel":
        monkeypatch.setattr(_files, "_create", refusing(_files._create))
    elif not hasattr(os, "O_TMPFILE"):
        pytest.skip("no unnamed files here")
    return request.param


def refusing(create):
    """What O_TMPFILE says where the file system has none."""
    real = os.open

    def without(path, flags, *arguments, **names):
        if flags & getattr(os, "O_TMPFILE", 0) == getattr(os, "O_TMPFILE", -1):
            raise OSError(errno.EOPNOTSUPP, "Operation not supported", path)
        return real(path, flags, *arguments, **names)

    def created(*arguments):
        with mock.patch("os.open", without):
            return create(*arguments)

    return created


def names(path):
    return sorted(file.name for file in path.iterdir())


def test_a_file_is_there_when_the_block_ends(tmp_path, system):
    path = tmp_path / "out"
    for text in (b"first", b"second"):
        with publish(path) as file:
            file.write(text)
            assert [name for name in names(tmp_path) if name != "out"] == (
                [] if system == "unnamed" else [name for name in names(tmp_path) if name.endswith(".tmp")]
            )
            assert not path.exists() or path.read_bytes() == b"first"
        assert (path.read_bytes(), names(tmp_path)) == (text, ["out"])


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_after_an_error_nothing_is_left(tmp_path, system, error):
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with pytest.raises(type(error)) as caught, publish(path) as file:  # noqa: PT012
        file.write(b"new")
        raise error
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["out"])
    if isinstance(caught.value, OSError):
        assert caught.value.filename == str(path)


@pytest.mark.parametrize("call", ["link", "replace", "fsync"])
def test_the_error_of_a_last_step_has_the_name_of_the_file(tmp_path, system, call):
    path, failure = tmp_path / "out", OSError(errno.EIO, "Input/output error", "/proc/self/fd/5")
    with mock.patch(f"os.{call}", side_effect=failure):
        if call == "link" and system != "unnamed":
            return
        with pytest.raises(OSError, match="Input/output") as caught, publish(path) as file:
            file.write(b"new")
    assert caught.value.filename == str(path)
    assert names(tmp_path) == []


def test_outputs_are_for_their_owner_and_snapshots_for_who_serves_them(tmp_path, system):
    old = os.umask(0o022)
    try:
        with publish(tmp_path / "output"):
            pass
        ImeiSet([A]).save(tmp_path / "set")
        store = Store.create(tmp_path / "store", Register())
        store.compact()
    finally:
        os.umask(old)
    modes = {
        file.relative_to(tmp_path).as_posix(): file.stat().st_mode & 0o777
        for file in tmp_path.rglob("*")
        if file.is_file()
    }
    assert modes.pop("output") == 0o600
    assert len(modes) == 7
    assert set(modes.values()) == {0o644}


WRITER = """
import sys, time
from imeiset import _files
import os
if sys.argv[2] == "named":
    del os.O_TMPFILE
with _files.publish(sys.argv[1]) as file:
    file.write(b"490154203237518" * 100_000)
    print("writing", flush=True)
    time.sleep(100)
"""


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="no unnamed files here")
@pytest.mark.parametrize("how", ["unnamed", "named"])
def test_what_a_killed_process_was_writing_is_gone(tmp_path, how):
    """At once where files need no name; elsewhere when the next one writes there, and it is dead."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, tmp_path / "out", how],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(_files.__file__).parent.parent)},
    ) as process:
        assert process.stdout.readline() == b"writing\n"
        left = [] if how == "unnamed" else names(tmp_path)
        assert names(tmp_path) == left
        with publish(tmp_path / "other"):
            pass
        assert names(tmp_path) == [*left, "other"], "a living process holds it"
        process.send_signal(signal.SIGKILL)
    assert names(tmp_path) == [*left, "other"]
    with publish(tmp_path / "other"):
        pass
    assert names(tmp_path) == ["other"]


def test_a_file_taken_for_abandoned_before_it_was_locked(tmp_path, monkeypatch):
    """By who cleaned up between its making and its locking: it is made again."""
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    real, left = fcntl.flock, [2]

    def slow(*arguments):
        if left[0]:
            left[0] -= 1
            for file in tmp_path.glob(".imeiset-*"):
                file.unlink()
        real(*arguments)

    monkeypatch.setattr(fcntl, "flock", slow)
    with publish(tmp_path / "out") as file:
        file.write(b"new")
    assert ((tmp_path / "out").read_bytes(), names(tmp_path), left) == (b"new", ["out"], [0])


def test_files_of_others_stay(tmp_path):
    for name in (".imeiset-notes.tmp", ".imeiset-0123456789abcdef", "imeiset-0123456789abcdef.tmp"):
        (tmp_path / name).touch()
    before = names(tmp_path)
    with publish(tmp_path / "out"):
        pass
    assert names(tmp_path) == [*before, "out"]


# ---- outputs and the files of a store


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store, and files to make outputs of, here."""
    monkeypatch.chdir(tmp_path)
    made = Register()
    made.add("stolen", [A], status=EquipmentStatus.BLACKLISTED)
    with Store.create("eir", made) as one:
        one.apply(Delta("stolen", add=[B]))
        one.compact()
        one.apply(Delta("stolen", remove=[B]))
    made.save("register.imei")
    ImeiSet([A]).save("one.imei")
    ImeiSet([B]).save("two.imei")
    Path("list.csv").write_text(f"imei\n{A}\nbad\n")
    Path("delta.csv").write_text(f"imei,change_type\n{B},add\n")
    Path("register.toml").write_text(
        '[[lists]]\nname = "stolen"\nstatus = "blacklisted"\nfiles = ["list.csv"]\nmax_rejects = 1\n'
    )
    return tmp_path / "eir"


OF_STORE = [
    "current",
    "lock",
    "base-00000001.imei",
    "base-00000002.imei",
    "journal-00000001",
    "journal-00000009",
]
COMMANDS = [
    "build list.csv -o {} --max-rejects 1 --force",
    "build list.csv -o new.imei --max-rejects 1 --rejects {}",
    "build register.toml -o {} --force",
    "merge one.imei two.imei -o {}",
    "diff one.imei two.imei -o {}",
    "export one.imei -o {}",
    "apply one.imei delta.csv -o {}",
    "screen one.imei list.csv -o {}",
]


@pytest.mark.parametrize("name", OF_STORE)
@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_onto_a_file_of_a_store_is_refused(store, command, name):
    before = {file.name: file.read_bytes() for file in store.iterdir()}
    found = CliRunner().invoke(main, command.format(f"eir/{name}").split())
    assert found.exit_code == 2, found.output
    assert "a file of a store: choose another name" in found.output or "build register" in command, (
        found.output
    )
    assert "Traceback" not in found.output
    assert {file.name: file.read_bytes() for file in store.iterdir()} == before
    Store.verify(store).close()


def test_saving_onto_a_file_of_a_store_is_refused(store):
    Path("link").symlink_to("eir/current")
    for one in (ImeiSet([A]), Register(), Store.open(store)):
        for name in (*(f"eir/{name}" for name in OF_STORE), "link"):
            with pytest.raises(StoreExists, match="a file of a store: choose another name"):
                one.save(name)
        one.save("eir/another.imei")
    assert Store.verify(store).check(A).status == EquipmentStatus.BLACKLISTED
    (store / "current").write_bytes(b"damaged")
    with pytest.raises(StoreExists):
        ImeiSet([A]).save("eir/journal-00000002")


def test_such_names_elsewhere_are_free(tmp_path):
    """Also where a link `current` leads to the newest of some files with a date."""
    for name in (*OF_STORE, "journal-20240229"):
        for _ in range(2):
            ImeiSet([A]).save(tmp_path / name)
            assert len(ImeiSet.open(tmp_path / name)) == 1
        if name == "lock":
            (tmp_path / name).unlink()


def test_every_file_of_a_store_is_known_as_one(store):
    """The names here are those that the store gives its files."""
    for file in store.iterdir():
        assert _files.is_of_store(file), file


def test_standard_output_by_its_name_in_dev_is_refused(tmp_path):
    """It leads to a pipe, or to a file that has no name any more: the rows would go to another."""
    code = (
        "import os, sys; from imeiset._files import publish\n"
        "try:\n    with publish('/dev/stdout') as file: file.write(b'x')\n"
        "except OSError as error: sys.exit(error.strerror)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (1, "")
    assert "not a regular file" in found.stderr
    with (tmp_path / "gone").open("w") as gone:
        (tmp_path / "gone").unlink()
        found = subprocess.run(
            [sys.executable, "-c", code], stdout=gone, stderr=subprocess.PIPE, text=True, check=False
        )
    assert "not a regular file" in found.stderr
    assert [*tmp_path.iterdir()] == []


def test_a_store_that_lost_its_manifest_is_one_all_the_same(tmp_path):
    Store.create(tmp_path, Register()).close()
    (tmp_path / "current").unlink()
    with pytest.raises(StoreExists), publish(tmp_path / "base-00000001.imei") as file:
        file.write(b"x")
