"""Publishers in trouble: two of them, one from a backup, one whose clock, disk or place is not as it was."""

import datetime
import os
import shutil
import subprocess

import pytest

pytest.importorskip("tuf", reason="the extra follow is not installed")

from click.testing import CliRunner

from imeiset import Delta, Store
from imeiset.cli import main
from imeiset.errors import TrustError, TrustStale, TrustUnreachable
from imeiset.store.directory import Lock

from .following import Following, begun, held
from .forger import keys
from .world import Publisher, files


def run(*arguments, **_):
    found = CliRunner().invoke(main, [str(argument) for argument in arguments])
    run.said = found.output
    assert "Traceback" not in found.output
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found.exit_code, False


@pytest.fixture
def publisher(tmp_path):
    """It has published edition 1."""
    made = Publisher(tmp_path / "publisher", {"stolen": keys(50), "lost": keys(10, 100)}, run)
    assert made.publish() == 0, run.said
    return made


@pytest.fixture
def follower(publisher, tmp_path):
    """It follows edition 1."""
    return begun(publisher.url, publisher.root, tmp_path)


def same(publisher, follower, edition):
    follower.step()
    assert follower.members() == publisher.lists
    assert follower.edition == edition


def test_nothing_new_publishes_nothing(publisher, follower):
    before = files(publisher.url)
    assert publisher.publish() == 0
    assert files(publisher.url) == before
    publisher.compact()
    assert publisher.publish() == 0
    assert files(publisher.url) == before, "compacting is not a change of lists"
    same(publisher, follower, 1)


def test_a_change_that_is_taken_back_is_no_edition(publisher, follower):
    publisher.change("stolen", add=[900])
    publisher.change("stolen", remove=[900])
    before = files(publisher.url)
    assert publisher.publish() == 0
    assert files(publisher.url) == before


def test_whatever_happened_to_the_store_between(publisher, follower):
    """Compacted, pruned, replaced: the delta is what followers lack."""
    publisher.change("stolen", add=[900])
    publisher.compact()
    publisher.replace({"stolen": keys(45, 2), "third": keys(3, 500)})
    publisher.compact()
    assert publisher.publish() == 0, run.said
    follower.step(max_shrink=100)
    assert follower.members() == publisher.lists


def test_a_dry_run_changes_nothing(publisher):
    publisher.change("stolen", add=[900])
    place, store = files(publisher.url), files(publisher.store)
    assert publisher.publish("--dry-run") == 0, run.said
    assert files(publisher.url) == place
    assert files(publisher.store) == store


def test_a_place_that_somebody_else_published_to(publisher, follower, tmp_path):
    """The same keys, another store: refused, in words; with --base it goes on after it."""
    other = Publisher(tmp_path / "other", {"stolen": keys(70), "lost": keys(10, 100)}, run)
    other.keys, other.url = publisher.keys, publisher.url
    assert other.publish() == 4, run.said
    assert "--base" in run.said
    same(publisher, follower, 1)
    assert other.publish("--base") == 0, run.said
    same(other, follower, 2)
    publisher.change("stolen", add=[900])
    assert publisher.publish() == 4, run.said
    same(other, follower, 2)


def test_another_publisher_with_other_keys(publisher, follower, tmp_path):
    """It cannot publish to the place, and followers would not believe it."""
    other = Publisher(tmp_path / "other", {"stolen": keys(70)}, run)
    other.url = publisher.url
    place = files(publisher.url)
    for more in ((), ("--base",)):
        assert other.publish(*more) == 4, run.said
        assert files(publisher.url) == place
    same(publisher, follower, 1)


@pytest.mark.parametrize("changed", [False, True], ids=["", "and changed"])
def test_a_store_from_a_backup(publisher, follower, tmp_path, changed):
    shutil.copytree(publisher.store, tmp_path / "backup")
    lists = dict(publisher.lists)
    publisher.change("stolen", add=[900])
    assert publisher.publish() == 0, run.said
    same(publisher, follower, 2)
    shutil.rmtree(publisher.store)
    shutil.copytree(tmp_path / "backup", publisher.store)
    publisher.lists = lists
    if changed:
        publisher.change("stolen", add=[901])
    place = files(publisher.url)
    assert publisher.publish() == 4, run.said
    assert "backup" in run.said
    assert "--base" in run.said
    assert files(publisher.url) == place
    assert publisher.publish("--base") == 0, run.said
    same(publisher, follower, 3)
    publisher.change("stolen", add=[902])
    assert publisher.publish() == 0, run.said
    same(publisher, follower, 4)


def test_a_memory_that_is_lost(publisher, follower):
    """What the store remembers of its publishing is deleted: as from a backup."""
    shutil.rmtree(publisher.store / "published")
    publisher.change("stolen", add=[900])
    assert publisher.publish() == 4, run.said
    assert publisher.publish("--base") == 0, run.said
    same(publisher, follower, 2)


def test_a_memory_that_is_damaged(publisher, follower):
    """Any file of it, cut or flipped: refused or mended, never an edition that does not lead on."""
    publisher.change("stolen", add=[900])
    folder = next((publisher.store / "published").iterdir())
    kept = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    place = files(publisher.url)
    for path, data in kept.items():
        for junk in (b"", data[: len(data) // 2], data[:40] + b"\xff" + data[41:], b"{}"):
            if junk == data:
                continue
            path.write_bytes(junk)
            code = publisher.publish()
            assert code in (0, 2, 4), (path.name, run.said)
            if code == 0:
                same(publisher, follower, follower.edition + 1)
                shutil.rmtree(publisher.url)
                for name, one in place.items():
                    (publisher.url / name).parent.mkdir(parents=True, exist_ok=True)
                    (publisher.url / name).write_bytes(one)
                shutil.rmtree(follower.store)
                follower.step()
            for old, bytes_ in kept.items():
                old.write_bytes(bytes_)


def test_a_place_that_went_back(publisher, follower, tmp_path):
    """Somebody put the old files back: the publisher says so, and goes on above what followers have."""
    old = shutil.copytree(publisher.url, tmp_path / "old")
    publisher.change("stolen", add=[900])
    assert publisher.publish() == 0
    same(publisher, follower, 2)
    shutil.rmtree(publisher.url)
    shutil.copytree(old, publisher.url)
    publisher.change("stolen", add=[901])
    code = publisher.publish()
    assert code in (0, 4), run.said
    if code == 4:
        assert publisher.publish("--base") == 0, run.said
    follower.step()
    assert follower.members() == publisher.lists


def test_a_place_that_is_emptied(publisher, follower):
    """All files are gone: with --base all is there again, above what followers have."""
    shutil.rmtree(publisher.url)
    publisher.change("stolen", add=[900])
    code = publisher.publish()
    assert code in (0, 4), run.said
    if code == 4:
        assert "--base" in run.said
        assert publisher.publish("--base") == 0, run.said
    follower.step()
    assert follower.members() == publisher.lists
    assert follower.edition == 2


def test_two_publishers_at_a_time(publisher):
    """The lock: the second says that another publishes."""
    folder = next((publisher.store / "published").iterdir())
    with Lock.take(folder):
        publisher.change("stolen", add=[900])
        assert publisher.publish() == 2, run.said
    assert publisher.publish() == 0, run.said


def test_a_store_that_is_written_while_it_is_published(publisher, follower):
    with Store.open(publisher.store) as writer:
        writer.apply(Delta("stolen", add=[1]))
        publisher.lists["stolen"] |= {1}
        assert publisher.publish() == 0, run.said
        writer.apply(Delta("stolen", add=[2]))
    follower.step()
    assert follower.members() == publisher.lists


# Clocks ------------------------------------------------------------------------------
class Clock:
    """Another time for python-tuf and for the library."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch

    def set(self, **delta):
        shift = datetime.timedelta(**delta)
        real = datetime.datetime

        class Shifted(real):
            @classmethod
            def now(cls, tz=None):
                return real.now(tz) + shift

        import tuf.ngclient._internal.trusted_metadata_set as trusted

        from imeiset.trust import follower, metadata, publisher

        class Module:
            datetime, timezone, timedelta, UTC = Shifted, datetime.timezone, datetime.timedelta, datetime.UTC

        self.monkeypatch.setattr(trusted, "datetime", Module)
        for module in (metadata, publisher, follower):
            if hasattr(module, "datetime"):
                given = Module if module.datetime is datetime else Shifted
                self.monkeypatch.setattr(module, "datetime", given)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_a_clock_here_that_is_years_ahead(publisher, follower, clock):
    publisher.change("stolen", add=[900])
    assert publisher.publish() == 0
    clock.set(days=3_000)
    follower.expect_refusal(TrustStale, "clock")
    clock.set(days=0)
    same(publisher, follower, 2)


def test_a_clock_here_that_is_years_behind(publisher, follower, clock):
    """By it nothing has expired, and all is from the future: that is followed or said, never lost."""
    publisher.change("stolen", add=[900])
    assert publisher.publish() == 0
    clock.set(days=-3_000)
    try:
        follower.step()
    except TrustError as error:
        said = str(error)
    else:
        said = "clock"
    assert "clock" in said
    clock.set(days=0)
    same(publisher, follower, 2)


@pytest.mark.parametrize("days", [-3_000, 3_000])
def test_a_clock_of_the_publisher_that_is_years_off(publisher, follower, clock, days):
    publisher.change("stolen", add=[900])
    clock.set(days=days)
    code = publisher.publish()
    assert code in (0, 3, 4), run.said
    clock.set(days=0)
    try:
        follower.step()
    except TrustError as error:
        said = str(error)
    else:
        said = "clock"
    assert "clock" in said
    publisher.change("stolen", add=[901])
    assert publisher.publish() == 0, run.said
    follower.step()
    assert follower.members() == publisher.lists


def test_renewed_in_time(publisher, follower, clock):
    """Nothing is new for a week: publish as a timer runs it, or --renew, says that the publisher lives."""
    clock.set(days=1)
    before = files(publisher.url)
    assert publisher.publish() == 0, run.said
    changed = {name for name, data in files(publisher.url).items() if before.get(name) != data}
    assert changed == {"metadata/timestamp.json"}
    clock.set(days=2, hours=12)
    follower.step()
    clock.set(days=4)
    follower.expect_refusal(TrustStale, "clock")
    assert publisher.publish("--renew") == 0, run.said
    follower.step()
    clock.set(days=100)
    assert publisher.publish() == 0, run.said
    follower.step()
    assert held(follower.store)["members"] == publisher.lists


# Disks -------------------------------------------------------------------------------
@pytest.fixture
def small_disk(tmp_path):
    """A real one of a quarter of a megabyte, where one may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root mounts")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_follower_whose_disk_fills(publisher, small_disk):
    follower = Following(publisher.url, small_disk / "store", publisher.root)
    follower.step()
    publisher.change("stolen", add=range(1_000, 400_000, 3))
    assert publisher.publish() == 0, run.said
    follower.expect_refusal(TrustUnreachable, "space")
    assert not [path for path in small_disk.rglob("*.part") if path.stat().st_size > 200_000]
    assert held(follower.store)["members"]["stolen"] == keys(50)


def test_a_place_whose_disk_fills(publisher, follower, small_disk):
    publisher.url = small_disk / "lists"
    assert publisher.publish() == 0, run.said
    follower = Following(publisher.url, follower.store.parent / "second", publisher.root)
    follower.step()
    publisher.change("stolen", add=range(1_000, 900_000, 3))
    assert publisher.publish() == 2, run.said
    assert "space" in run.said
    follower.step()
    assert follower.members()["stolen"] == keys(50)
    publisher.change("stolen", remove=range(1_000, 900_000, 3))
    publisher.change("stolen", add=[5_000])
    assert publisher.publish() == 0, run.said
    follower.step()
    assert follower.members() == publisher.lists
