"""What a follower keeps beside its store may be lost, damaged or old: it costs requests, never an answer."""

import os
import shutil
import threading

import pytest

pytest.importorskip("tuf", reason="the extra follow is not installed")

from imeiset import Store
from imeiset.errors import TrustRefused, TrustUnreachable
from imeiset.store.directory import Lock
from imeiset.trust import follower as _follower

from . import hostile as _hostile
from .following import Following, begun, held
from .forger import DAY, Forger, keys, now

LISTS = {"stolen": keys(2_000), "lost": keys(10, 100_000)}
MORE = {"stolen": keys(2_002), "lost": keys(10, 100_000)}
MOST = {"stolen": keys(2_004), "lost": keys(10, 100_000)}
JUNK = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "flipped": lambda data: data[: len(data) // 2] + b"\xff\x00" + data[len(data) // 2 + 2 :],
    "an object": lambda data: b"{}",
    "a list": lambda data: b"[]",
    "deep": lambda data: b"[" * 5_000,
    "longer": lambda data: data + bytes(1_000),
}


@pytest.fixture
def forger(tmp_path):
    made = Forger(tmp_path / "published")
    made.base(LISTS)
    made.publish()
    return made


@pytest.fixture
def follower(forger, tmp_path):
    """It follows editions 1 and 2; 3 is there."""
    made = begun(forger.folder, forger.first_root, tmp_path)
    forger.delta(MORE)
    forger.publish()
    made.step()
    forger.delta(MOST)
    forger.publish()
    return made


def memory(follower):
    return next((follower.store / "followed").iterdir())


@pytest.mark.parametrize("junk", JUNK)
def test_any_file_that_is_damaged(forger, follower, junk):
    kept = [path for path in memory(follower).rglob("*") if path.is_file() and not path.is_symlink()]
    assert kept
    saved = shutil.copytree(follower.store, follower.store.with_name("saved"), symlinks=True)
    for path in kept:
        path.write_bytes(JUNK[junk](path.read_bytes()))
        Store.open(follower.store).status()
        follower.step()
        assert follower.members() == MOST
        shutil.rmtree(follower.store)
        shutil.copytree(saved, follower.store, symlinks=True)


def test_all_of_it_is_lost(forger, follower):
    follower.forget()
    follower.step()
    assert follower.members() == MOST
    assert follower.edition == 3


def test_all_of_it_is_older_than_the_store(forger, follower, tmp_path):
    """Only the store counts."""
    old = shutil.copytree(memory(follower), tmp_path / "old", symlinks=True)
    follower.step()
    shutil.rmtree(memory(follower))
    shutil.copytree(old, follower.store / "followed" / memory_name(follower), symlinks=True)
    before = held(follower.store)
    follower.step()
    assert held(follower.store) == before


def memory_name(follower):
    import hashlib

    feed = next(iter(held(follower.store)["feeds"]))
    return hashlib.sha256(feed.encode()).hexdigest()[:16]


def test_it_has_the_name_of_its_feed(follower):
    assert memory(follower).name == memory_name(follower)


def test_it_cannot_be_written(forger, follower):
    """Not a directory: said, and the state serves."""
    folder = memory(follower)
    shutil.rmtree(folder)
    folder.write_text("a file")
    before = held(follower.store)
    with pytest.raises((TrustUnreachable, OSError), match=folder.name):
        follower.step()
    assert held(follower.store) == before
    assert follower.command().exit_code == 2
    folder.unlink()
    follower.step()
    assert follower.members() == MOST


@pytest.mark.parametrize("fresh", [False, True], ids=["delta", "base"])
def test_a_part_that_is_wrong_is_thrown_away(hostile, tmp_path, fresh):
    """A download that broke off, of other bytes: noticed at the end, and fetched anew."""
    forger = Forger(hostile.folder)
    forger.base(LISTS)
    forger.publish()
    follower = Following(hostile.url, tmp_path / "store", forger.first_root)
    if not fresh:
        follower.step()
        forger.delta(MORE)
        forger.publish()
    name = "base-00000001.imei" if fresh else "delta-00000002.imei"
    hostile.how[name] = "short"
    with pytest.raises(TrustUnreachable):
        follower.step()
    parts = list(tmp_path.rglob("*.part"))
    for part in parts:
        part.write_bytes(bytes(part.stat().st_size))
    hostile.how.clear()
    for _ in range(2):
        try:
            follower.step()
        except TrustRefused:
            continue
        break
    assert follower.members() == (LISTS if fresh else MORE)
    assert not list(tmp_path.rglob("*.part"))


def test_a_part_of_an_edition_that_is_gone_does_not_stay(hostile, tmp_path):
    forger = Forger(hostile.folder)
    forger.base(LISTS)
    forger.publish()
    follower = Following(hostile.url, tmp_path / "store", forger.first_root)
    hostile.how["base-00000001.imei"] = "short"
    with pytest.raises(TrustUnreachable):
        follower.step()
    forger.roles["targets"].targets.clear()
    forger.base(MORE)
    forger.publish()
    follower.step()
    assert follower.members() == MORE
    assert not list(tmp_path.rglob("*.part"))


def test_two_followers_of_one_feed_at_a_time(forger, follower):
    """The second waits or says so; both end at the same edition."""
    ends, barrier = [], threading.Barrier(4)

    def step():
        barrier.wait()
        try:
            follower.step()
            ends.append("moved")
        except TrustUnreachable as error:
            ends.append(str(error))

    threads = [threading.Thread(target=step) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(ends) == 4
    assert "moved" in ends
    assert follower.members() == MOST
    assert follower.edition == 3


def test_a_writer_who_has_the_store(forger, follower, monkeypatch):
    """Somebody else writes the store for long: said in words, and tried again."""
    monkeypatch.setattr(_follower, "_PATIENCE", 0.5)
    with Lock.take(follower.store):
        before = held(follower.store)
        assert follower.command().exit_code == 2
        assert held(follower.store) == before
    follower.step()
    assert follower.members() == MOST


def test_a_fault_is_kept_and_goes(forger, follower):
    """What went wrong is in the status of the store, without the extra, until a step goes well."""
    with Store.open(follower.store) as store:
        assert all(one.fault is None for one in store.status().followed.values())
    shutil.move(forger.folder, forger.folder.with_name("away"))
    with pytest.raises(TrustUnreachable):
        follower.step()
    with Store.open(follower.store) as store:
        (one,) = store.status().followed.values()
    assert one.fault
    assert one.edition == 2
    shutil.move(forger.folder.with_name("away"), forger.folder)
    follower.step()
    with Store.open(follower.store) as store:
        (one,) = store.status().followed.values()
    assert one.fault is None
    assert one.edition == 3
    assert one.age >= 0


def test_frozen_shows_in_the_status(forger, follower):
    follower.step()
    forger.roles["timestamp"].version += 1
    forger.roles["timestamp"].expires = now() - DAY
    forger.write("timestamp")
    with pytest.raises(Exception, match="expired"):
        follower.step()
    with Store.open(follower.store) as store:
        (one,) = store.status().followed.values()
    assert "expired" in str(one.fault)


def test_no_file_of_a_follower_is_for_others_to_write(forger, follower):
    old = os.umask(0o022)
    try:
        follower.step()
    finally:
        os.umask(old)
    for path in follower.store.rglob("*"):
        assert not path.lstat().st_mode & 0o022 or path.is_symlink(), path


def test_a_mirror_on_a_stick(forger, follower, tmp_path):
    """A copy is followed as the place is, is the same feed, and holds nothing that was not verified."""
    mirror = tmp_path / "stick"
    result = follower.command()
    assert result.exit_code == 0
    from click.testing import CliRunner

    from imeiset.cli import main

    def copy_it():
        arguments = ["follow", follower.url, "--mirror", str(mirror), "--root", str(follower.root), "--once"]
        return CliRunner().invoke(main, arguments)

    found = copy_it()
    assert found.exit_code == 0, found.output
    second = Following(mirror, tmp_path / "second", follower.root)
    second.step()
    assert second.members() == MOST
    assert held(second.store)["feeds"] == held(follower.store)["feeds"]
    forger.delta(LISTS)
    forger.publish()
    name = forger.path_of("delta-00000004.imei")
    name.write_bytes(bytes(name.stat().st_size))
    found = copy_it()
    assert found.exit_code == 4, found.output
    second.step()
    assert second.members() == MOST


def test_a_mirror_of_a_hostile_server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    with _hostile.serving(folder) as server:
        forger = Forger(folder)
        forger.base(LISTS)
        forger.base(MORE, name="../../base-00000002.imei")
        forger.publish()
        from click.testing import CliRunner

        from imeiset.cli import main

        around = set(tmp_path.rglob("*"))
        mirror = tmp_path / "mirror"
        arguments = [
            "follow",
            server.url,
            "--mirror",
            str(mirror),
            "--root",
            str(forger.first_root),
            "--once",
        ]
        CliRunner().invoke(main, arguments)
        new = {path for path in set(tmp_path.rglob("*")) - around if mirror not in (path, *path.parents)}
        assert not new
