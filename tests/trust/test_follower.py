"""A store that follows a publisher, and a copy of a place: what they take, keep, refuse and say."""

import doctest
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from imeiset import Delta, EquipmentStatus, Policy, Register, Store
from imeiset.cli import main
from imeiset.errors import TrustMissing, TrustRefused, TrustStale, TrustUnreachable
from imeiset.store.state import has_remains
from imeiset.trust.edition import digest_of

from .publishing import World, imei

pytest.importorskip("tuf")

from imeiset.trust import Follower, FollowReport, MirrorReport, follow_again, metadata, mirror
from imeiset.trust.follower import pause

BLACK = EquipmentStatus.BLACKLISTED


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.publish()
    return made


@pytest.fixture
def here(tmp_path):
    return tmp_path / "here"


def follower(world, here, **options):
    url = options.pop("url", world.place)
    return Follower(url, here, **{"root": world.keys / "root.json", **options})


def held(directory):
    """All that a store says."""
    with Store.open(directory, mode="memory") as store:
        lists = {one.name: (one.status, one.kind, one.owner, one.digest()) for one in store.lists}
        return lists, dict(store.feeds), store.policy


def blocked(directory, serial):
    with Store.open(directory) as store:
        return store.check(imei(serial)).status == BLACK


def status_of(directory):
    with Store.open(directory) as store:
        [one] = store.status().followed.values()
        return one


# ---- what is taken --------------------------------------------------------------------


def test_a_store_is_made_of_a_base_and_moves_by_deltas(world, here):
    its = follower(world, here)
    first = its.step()
    assert (first.edition, first.before, first.moved) == (1, 0, True)
    assert first.files == ("base-00000001.imei",)
    assert first.feed == its.feed == world.fingerprint
    assert first.counts == {"stolen": {"exact": 100}, "models": {"tac": 1_000_000}}
    world.change(500, remove=[3])
    world.publish()
    assert blocked(here, 3)
    second = its.step()
    assert (second.edition, second.before, second.files) == (2, 1, ("delta-00000002.imei",))
    assert not blocked(here, 3)
    assert blocked(here, 500)
    with Store.open(here) as store, Store.open(world.store) as published:
        assert {one.owner for one in store.lists} == {world.fingerprint}
        assert store.feeds == {world.fingerprint: 2}
        for one in published.lists:
            assert second.digests[one.name] == digest_of(one)
            assert {**store}[one.name] == {**published}[one.name]
            assert store.explain(imei(500))[0].reasons == published.explain(imei(500))[0].reasons
    third = its.step()
    assert not third.moved
    assert not third.files
    assert not third.digests


def test_a_poll_with_nothing_new_is_two_requests(world, here):
    its = follower(world, here)
    its.step()
    asked, real = [], its._place.pieces
    its._place.pieces = lambda name, *more: (asked.append(name), real(name, *more))[1]
    its.step()
    assert asked == ["metadata/2.root.json", "metadata/timestamp.json"]
    assert (world.place / "metadata" / "timestamp.json").stat().st_size < 1000


def test_who_is_far_behind_takes_the_base(world, here):
    its = follower(world, here)
    its.step()
    for serial in range(500, 506):
        world.change(serial)
        world.publish(base_every=4)
    report = its.step()
    assert report.files[0] == "base-00000005.imei"
    assert report.edition == 7
    assert all(blocked(here, serial) for serial in range(500, 506))


def test_lists_of_others_stay_and_so_does_the_policy(world, here):
    mine = Register(Policy(response_type=2))
    mine.add("own", [imei(900)], status=BLACK)
    Store.create(here, mine).close()
    its = follower(world, here, feed="police")
    its.step()
    with Store.open(here) as store:
        store.apply(Delta("own", add=[imei(901)]))
    for serial in range(500, 506):
        world.change(serial)
        world.publish(base_every=4)
    assert its.step().files[0].startswith("base")
    lists, feeds, policy = held(here)
    assert lists["own"][2] == ""
    assert lists["stolen"][2] == "police"
    assert feeds == {"police": 7}
    assert policy.response_type == 2
    assert all(blocked(here, serial) for serial in (900, 901, 500, 505, 5))


def test_a_new_store_gets_the_policy_of_the_publisher(tmp_path, here):
    world = World(tmp_path)
    with Store.open(world.store) as store:
        lists = {one.name: one for one in store.lists}
    assert lists
    register = Register(Policy(response_type=2, malformed=EquipmentStatus.GREYLISTED))
    register.add("stolen", [imei(1)], status=BLACK)
    with Store.open(world.store) as store:
        store.replace(register, force=True)
    world.publish()
    follower(world, here).step()
    assert held(here)[2] == register.policy


def test_a_list_comes_and_goes(world, here):
    its = follower(world, here)
    its.step()
    with Store.open(world.store) as store:
        store.add_list("found", status=EquipmentStatus.GREYLISTED)
        store.apply(Delta("found", add=[imei(700)]))
    world.publish()
    its.step()
    assert "found" in held(here)[0]
    with Store.open(world.store) as store:
        store.drop_list("found", force=True)
    world.publish()
    with pytest.raises(TrustRefused, match=r"of the 1 of list 'found' by exact, got 0: .* --accept-shrink"):
        its.step()
    its.step(accept_shrink=True)
    assert "found" not in held(here)[0]


def test_lists_that_get_another_order_have_it_here_too(world, here):
    """The first of several lists is named, and says the reason."""
    phone, card = "490154203237518", "001010123456789"

    def replaced(*names):
        register = Register()
        for number in range(len(names)):
            register.add(f"x{number}", [imei(number)], status=BLACK)
        for name in names:
            register.block(name, [phone], [card])
        with Store.open(world.store) as store:
            store.replace(register, force=True)
        world.publish()
        follower(world, here, max_shrink=100).step()
        with Store.open(world.store) as ours, Store.open(here) as theirs:
            assert [one.name for one in theirs.lists if one.owner] == [one.name for one in ours.lists]
            assert theirs.check(phone, card).list == ours.check(phone, card).list == names[0]

    replaced("a", "b")
    with Store.open(here) as store:
        store.add_list("mine", status=BLACK)
    replaced("b", "a")
    replaced("c", "b", "a")
    replaced("a", "c")


def test_two_publishers_in_one_store(tmp_path, here):
    worlds = [World(tmp_path / name) for name in ("a", "b")]
    for one in worlds:
        one.publish()
    its = [follower(worlds[0], here), follower(worlds[1], here, prefix="b.")]
    for one in its:
        one.step()
    worlds[0].change(500)
    worlds[1].change(600, remove=[4])
    for one, world in zip(its, worlds, strict=True):
        world.publish()
        assert one.step().edition == 2
    assert {*held(here)[0]} == {"stolen", "models", "b.stolen", "b.models"}
    assert all(blocked(here, serial) for serial in (500, 600, 4))
    with Store.open(here) as store:
        assert {*store.status().followed} == {one.feed for one in its}


def test_names_that_others_have_are_refused(world, here):
    mine = Register()
    mine.add("stolen", [imei(900)], status=BLACK)
    Store.create(here, mine).close()
    before = held(here)
    with pytest.raises(TrustRefused, match=r"list 'stolen' to be this feed's.*--prefix TEXT"):
        follower(world, here).step()
    assert held(here) == before
    assert follower(world, here, prefix="police-").step().moved


def test_another_prefix_than_at_first_is_refused(world, here):
    follower(world, here, prefix="a-").step()
    with pytest.raises(TrustRefused, match="begin with 'b-', got 'a-"):
        follower(world, here, prefix="b-").step()


# ---- what is refused --------------------------------------------------------------------


def test_a_list_that_lost_too_much(world, here):
    its = follower(world, here)
    its.step()
    world.change(remove=range(30))
    world.publish()
    with pytest.raises(TrustRefused, match=r"at least 75% of the 100 of list 'stolen' by exact, got 70"):
        its.step()
    assert blocked(here, 7)
    told = status_of(here)
    assert (told.edition, told.kind) == (1, "TrustRefused")
    assert "75%" in told.fault
    assert follower(world, here, max_shrink=30).step().moved
    assert status_of(here).fault is None


def test_another_publisher_is_refused(world, here, tmp_path):
    follower(world, here).step()
    other = World(tmp_path / "other")
    other.publish()
    before = held(here)
    with pytest.raises(TrustRefused, match="signed by enough keys"):
        follower(world, here, url=other.place).step()
    assert held(here) == before


def test_an_older_place_is_refused_whatever_was_forgotten(world, here, tmp_path):
    shutil.copytree(world.place, tmp_path / "old")
    its = follower(world, here)
    world.change(500)
    world.publish()
    its.step()
    old = follower(world, here, url=tmp_path / "old")
    with pytest.raises(TrustRefused, match="not older than what was seen"):
        old.step()
    shutil.rmtree(here / "followed")
    with pytest.raises(TrustRefused, match="edition 2, which is here, or a newer one, got 1: rolled back"):
        old.step()
    assert blocked(here, 500)
    assert not its.step().moved


@contextmanager
def three_days_ago(monkeypatch):
    """What is signed meanwhile for two days has expired."""
    now = metadata.now
    with monkeypatch.context() as patch:
        patch.setattr(metadata, "now", lambda: now() - timedelta(days=3))
        yield


def test_what_has_expired_is_stale(world, here, monkeypatch):
    its = follower(world, here)
    world.change(500)
    with three_days_ago(monkeypatch):
        world.publish()
    with pytest.raises(TrustStale, match=r"timestamp.*the clock here, got timestamp.json is expired.*clock"):
        its.step()
    assert not (here / "current").exists()
    world.publish(renew=True)
    assert its.step().edition == 2


@pytest.mark.parametrize("what", ["its own", "that was compacted", "of others", "of others that changed"])
def test_a_store_whose_manifest_is_gone_is_not_made_anew(world, here, what):
    if what.startswith("of others"):
        register = Register()
        register.add("local", ["356938035643809"], status=BLACK, owner="us")
        with Store.create(here, register) as store:
            if what.endswith("changed"):
                store.apply()
    else:
        follower(world, here).step()
    if what == "that was compacted":
        with Store.open(here) as store:
            store.compact()
        shutil.rmtree(here / "followed")
    (here / "current").rename(here.with_name("away"))
    before = {
        path.name: path.read_bytes() for path in here.iterdir() if path.is_file() and path.name != "lock"
    }
    for _ in range(2):
        with pytest.raises(TrustUnreachable, match=r"'current' is gone: put it back from a backup, or move"):
            follower(world, here).step()
    for name, data in before.items():
        assert (here / name).read_bytes() == data
    here.with_name("away").rename(here / "current")
    world.change(500)
    world.publish()
    assert follower(world, here).step().edition == 2


def test_a_store_that_was_being_made_is_made(world, here):
    """By a follower that ended before there was a manifest."""
    follower(world, here).step()
    (here / "current").unlink()
    shutil.rmtree(here / "followed")
    assert follower(world, here).step().edition == 1


def test_a_store_that_another_follower_was_making_is_made(world, here):
    """Or makes now: the other feed is followed here, and has no edition yet."""
    other = follower(world, here, feed="other", prefix="other ")
    other.step()
    (here / "current").unlink()
    (other._folder / "state.json").rename(here.with_name("away"))
    its = follower(world, here)
    assert its.step().edition == 1
    assert other.step().edition == 1
    with Store.open(here) as store:
        assert store.feeds == {its.feed: 1, "other": 1}


def test_a_store_that_comes_while_it_is_looked_for_is_a_store(world, here, monkeypatch):
    its = follower(world, here)

    def made(directory):
        other = follower(world, here, feed="other", prefix="other ")
        monkeypatch.undo()
        other.step()
        with Store.open(here) as store:
            store.compact()
        return has_remains(directory)

    monkeypatch.setattr(import_module("imeiset.trust.follower"), "has_remains", made)
    assert its.step().edition == 1
    with Store.open(here) as store:
        assert store.feeds == {its.feed: 1, "other": 1}


def test_what_a_step_reports_is_in_one_order():
    shared = ["feed", "place", "edition", "before", "published", "files", "bytes"]
    assert [one.name for one in fields(MirrorReport)] == [*shared, "warnings"]
    assert [one.name for one in fields(FollowReport)] == [*shared, "counts", "digests", "warnings"]
    for report in (MirrorReport, FollowReport):
        assert report("f", "p", 2, 1, datetime.now(UTC)).moved
        assert not report("f", "p", 2, 2, datetime.now(UTC)).moved


def test_a_place_where_nothing_is(world, here, tmp_path):
    with pytest.raises(TrustMissing, match=r"timestamp.json"):
        follower(world, here, url=tmp_path / "nowhere").step()
    with pytest.raises(TrustRefused, match="metadata of role root"):
        follower(world, here, root=b"{}")
    with pytest.raises(FileNotFoundError):
        follower(world, here, root=tmp_path / "none.json")


@pytest.mark.parametrize("options", [{"max_shrink": float("nan")}, {"max_shrink": 101}, {"receipt": "../x"}])
def test_options_that_cannot_be(world, here, options):
    with pytest.raises(ValueError, match="expected"):
        follower(world, here, **options)


def test_one_follows_at_a_time(world, here):
    its = follower(world, here)
    its.step()
    with (its._folder / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TrustUnreachable, match="another process that follows it already"):
            its.step()
    its.step()


def test_another_writer_is_waited_for(world, here, monkeypatch):
    its = follower(world, here)
    its.step()
    world.change(500)
    world.publish()
    with Store.open(here) as store:
        store.add_list("mine", status=BLACK)
        monkeypatch.setattr("imeiset.trust.follower._PATIENCE", 0.3)
        with pytest.raises(TrustUnreachable, match="expected no other writer"):
            its.step()
        monkeypatch.setattr("imeiset.trust.follower._PATIENCE", 30)
        closing = threading.Timer(0.5, store.close)
        closing.start()
        assert its.step().moved
        closing.join()


def test_a_folder_that_cannot_be_written_is_said(world, here):
    here.write_text("a file")
    with pytest.raises(TrustUnreachable, match="a folder to write to"):
        follower(world, here).step()


def test_an_edition_that_does_not_fit_what_is_here_is_healed_by_the_next_base(world, here):
    """Somebody with the rights of the feed changed a list here."""
    its = follower(world, here, feed="police")
    its.step()
    with Store.open(here) as store:
        store.apply(Delta("stolen", add=[imei(999)], by="police"))
    world.change(500)
    world.publish()
    with pytest.raises(TrustRefused, match="list 'stolen' with members 101 by exact, got 102 by exact"):
        its.step()
    assert blocked(here, 999)
    assert not blocked(here, 500)
    world.change(501)
    world.publish(base=True)
    report = its.step()
    assert report.files == ("base-00000003.imei",)
    assert blocked(here, 501)
    assert not blocked(here, 999)


@pytest.mark.parametrize("data", [None, b"x", b"x" * 100_000])
def test_a_delta_that_the_place_lost_or_damaged_is_passed_by(world, here, data):
    """Where a base leads on."""
    follower(world, here).step()
    world.change(500)
    world.publish(base_every=1)
    (path,) = (world.place / "targets").glob("*.delta-00000002.imei")
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data * path.stat().st_size if len(data) == 1 else data)
    with Store.open(here) as store:
        assert store.feeds[world.fingerprint] == 1
    assert follower(world, here).step().files == ("base-00000002.imei",)
    assert blocked(here, 500)


def test_without_digests_counts_are_compared(world, here):
    its = follower(world, here, digests=False)
    assert its.step().digests == {}
    world.change(500)
    world.publish()
    assert its.step().moved


# ---- what is told ----------------------------------------------------------------------


def test_receipts(world, here):
    its = follower(world, here, receipt="op-b")
    report = its.step()
    told = json.loads((world.place / "receipts" / "op-b.json").read_text())
    assert told["edition"] == 1
    assert told["feed"] == world.fingerprint
    assert told["lists"]["stolen"] == {"counts": {"exact": 100}, "digest": report.digests["stolen"]}
    assert report.warnings == ()


def test_a_receipt_that_cannot_be_written_is_a_warning(world, here):
    (world.place / "receipts").write_text("in its place")
    report = follower(world, here, receipt="op-b").step()
    assert report.moved
    assert "the receipt was not written" in report.warnings[0]


def test_the_status_tells_of_faults_and_their_end(world, here):
    its = follower(world, here)
    its.step()
    told = status_of(here)
    assert (told.edition, told.fault, told.since) == (1, None, None)
    assert told.place == str(world.place)
    assert told.published <= told.checked
    shutil.move(world.place, world.place.with_name("away"))
    for _ in range(2):
        with pytest.raises(TrustMissing):
            its.step()
    failed = status_of(here)
    assert failed.kind == "TrustMissing"
    assert failed.since is not None
    assert failed.checked == told.checked
    shutil.move(world.place.with_name("away"), world.place)
    its.step()
    assert status_of(here).fault is None


def test_it_goes_on_until_it_is_told_to_stop(world, here):
    its, said, stop = follower(world, here), [], threading.Event()

    def told(one):
        said.append(one)
        if len(said) == 1:
            shutil.move(world.place, world.place.with_name("away"))
        if len(said) == 2:
            shutil.move(world.place.with_name("away"), world.place)
            world.change(500)
            world.publish()
        if len(said) == 3:
            stop.set()

    its.run(0.01, told=told, stop=stop)
    assert [type(one).__name__ for one in said] == ["FollowReport", "TrustMissing", "FollowReport"]
    assert [said[0].edition, said[2].edition] == [1, 2]


def test_a_bug_is_not_taken_for_a_fault():
    def broken():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        follow_again(broken, 1)


def test_faults_make_it_wait_longer():
    for faults, seconds in [(0, 300), (1, 600), (2, 900), (9, 900), (10**6, 900)]:
        assert seconds * 0.9 <= pause(300, faults) <= seconds * 1.1
    assert 3240 <= pause(3600, 5) <= 3960
    assert len({pause(300, 0) for _ in range(9)}) > 1


# ---- copies ------------------------------------------------------------------------------


def test_a_mirror_is_the_same_feed(world, here, tmp_path):
    copy, root = tmp_path / "stick", world.keys / "root.json"
    report = mirror(world.place, copy, root=root)
    assert (report.edition, report.before, report.feed) == (1, 0, world.fingerprint)
    assert world.files() == {name: (copy / name).read_bytes() for name in world.files()}
    follower(world, here, url=copy).step()
    world.change(500)
    world.publish()
    again = mirror(world.place, copy, root=root)
    assert (again.edition, again.before, again.files) == (2, 1, ("delta-00000002.imei",))
    nothing = mirror(world.place, copy, root=root)
    assert (nothing.moved, nothing.files) == (False, ())
    second = mirror(copy, tmp_path / "second", root=root)
    assert second.edition == 2
    assert follower(world, here, url=tmp_path / "second").step().edition == 2
    assert follower(world, here).step().edition == 2


def test_what_is_not_wanted_any_more_leaves_the_mirror(world, tmp_path):
    copy, root = tmp_path / "stick", world.keys / "root.json"
    mirror(world.place, copy, root=root)
    for serial in range(500, 508):
        world.change(serial)
        world.publish(base_every=3)
        mirror(world.place, copy, root=root)
    ours = {name for name in world.files() if name.startswith("targets/")}
    assert {f"targets/{path.name}" for path in (copy / "targets").iterdir()} == ours
    assert len([*(copy / "metadata").glob("*.targets.json")]) == 2


def test_a_mirror_follows_new_keys_for_those_with_the_first_root(world, here, tmp_path):
    copy, first = tmp_path / "stick", (world.keys / "root.json").read_bytes()
    world.rotate("online")
    world.rotate("targets")
    world.change(500)
    world.publish()
    mirror(world.place, copy, root=world.place / "metadata" / "2.root.json")
    assert (copy / "metadata" / "1.root.json").read_bytes() == first
    assert follower(world, here, url=copy, root=first).step().edition >= 2
    assert blocked(here, 500)


def test_pipes_and_links_on_a_stick_are_passed_by(world, tmp_path):
    copy, other = tmp_path / "stick", tmp_path / "other"
    other.write_bytes(b"mine")
    (copy / "metadata").mkdir(parents=True)
    (copy / "targets").mkdir()
    os.mkfifo(copy / "metadata" / "2.root.json")
    (copy / "metadata" / "7.snapshot.json").symlink_to("/dev/zero")
    (path,) = (world.place / "targets").iterdir()
    (copy / "targets" / f"{path.name}.part").symlink_to(other)
    os.mkfifo(copy / "targets" / path.name)
    assert mirror(world.place, copy, root=world.keys / "root.json").edition == 1
    assert other.read_bytes() == b"mine"
    assert (copy / "targets" / path.name).read_bytes() == path.read_bytes()
    for name in ("1.root.json", "timestamp.json"):
        (copy / "metadata" / name).unlink()
        os.mkfifo(copy / "metadata" / name)
        with pytest.raises(TrustUnreachable, match="not a regular file"):
            mirror(world.place, copy, root=world.keys / "root.json")
        (copy / "metadata" / name).unlink()


def test_a_mirror_does_not_go_back(world, tmp_path):
    copy, root = tmp_path / "stick", world.keys / "root.json"
    shutil.copytree(world.place, tmp_path / "old")
    world.change(500)
    world.publish()
    mirror(world.place, copy, root=root)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    with pytest.raises(TrustRefused, match="not older"):
        mirror(tmp_path / "old", copy, root=root)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_a_file_of_a_mirror_that_was_damaged_comes_again(world, here, tmp_path):
    copy, root = tmp_path / "stick", world.keys / "root.json"
    mirror(world.place, copy, root=root)
    [base] = (copy / "targets").iterdir()
    whole = base.read_bytes()
    base.write_bytes(bytes(len(whole)))
    with pytest.raises(TrustRefused, match="SHA-256"):
        follower(world, here, url=copy).step()
    assert mirror(world.place, copy, root=root).files == ("base-00000001.imei",)
    assert base.read_bytes() == whole
    assert follower(world, here, url=copy).step().moved


def test_a_mirror_of_another_publisher_is_left_alone(world, tmp_path):
    other = World(tmp_path / "other")
    other.publish()
    mirror(world.place, tmp_path / "stick", root=world.keys / "root.json")
    with pytest.raises(TrustRefused, match="a mirror of this publisher"):
        mirror(other.place, tmp_path / "stick", root=other.keys / "root.json")


@pytest.mark.parametrize("module", ["follower", "mirroring", "places"])
def test_examples(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(import_module(f"imeiset.trust.{module}"))
    assert (found.failed, found.attempted > 0) == (0, True)


# ---- the command ---------------------------------------------------------------------------


def run(*arguments):
    """A command's exit code and output."""
    ran = CliRunner().invoke(main, ["follow", *map(str, arguments)], prog_name="imeiset")
    return ran.exit_code, ran.output


def test_the_command(world, here, tmp_path):
    root = world.keys / "root.json"
    code, said = run(world.place, here, "--root", root, "--receipt", "op-b")
    assert code == 0
    assert said.startswith(f"{world.place}: edition 1, published 20")
    assert "bytes: base-00000001.imei" in said
    assert "nothing new" in run(world.place, here, "--root", root, "--once")[1]
    world.change(500)
    world.publish()
    code, said = run(world.place, here, "--root", root, "--json")
    told = json.loads(said)
    assert (code, told["edition"], told["before"]) == (0, 2, 1)
    assert told["lists"]["stolen"]["counts"] == {"exact": 101}
    assert len(told["lists"]["stolen"]["digest"]) == 64
    code, said = run(world.place, "--mirror", tmp_path / "stick", "--root", root)
    assert (code, "edition 2" in said) == (0, True)
    shown = CliRunner().invoke(main, ["info", str(here)]).output
    assert f"followed from {world.place}: edition 2, published 20" in shown.replace("\n", "")
    facts = json.loads(CliRunner().invoke(main, ["info", str(here), "--json"]).output)
    assert facts["followed"][world.fingerprint]["edition"] == 2
    assert {one["owner"] for one in facts["lists"]} == {world.fingerprint}
    with Store.open(here) as store:
        some = next(iter(store["stolen"]))
    for command in (["info", here], ["explain", here, some], ["history", here, "--since", "2020-01-01"]):
        shown = CliRunner().invoke(main, [*map(str, command)]).output
        assert f"{world.fingerprint[:12]}..." in shown.replace("\n", "")
        assert world.fingerprint not in shown.replace("\n", "")


def test_exit_codes(world, here, tmp_path, monkeypatch):
    root = world.keys / "root.json"
    run(world.place, here, "--root", root)
    assert run(tmp_path / "nowhere", here, "--root", root)[0] == 2
    world.change(remove=range(50))
    with three_days_ago(monkeypatch):
        world.publish()
    assert run(world.place, here, "--root", root)[0] == 3
    world.publish(renew=True)
    code, said = run(world.place, here, "--root", root)
    assert (code, "--accept-shrink" in said) == (4, True)
    assert run(world.place, here, "--root", root, "--accept-shrink", "--quick")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected a STORE, or --mirror DIR"),
        (["eir", "--mirror", "stick"], "expected a STORE, or --mirror DIR"),
        (["eir", "--once", "--every", "5"], "expected --once or --every"),
        (["eir", "--every", "5", "--accept-shrink"], "give it without --every"),
        (["eir", "--every", "nan"], "--every"),
        (["eir", "--max-shrink", "nan"], "--max-shrink"),
        (["--mirror", "stick", "--prefix", "x"], "--prefix is about a STORE"),
        (["eir", "--receipt", "a/b"], "receipt: expected letters"),
    ],
)
def test_arguments(world, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, output = run(world.place, *arguments, "--root", world.keys / "root.json")
    assert code == 2
    assert said in " ".join(output.split())
    assert not (tmp_path / "stick").exists()


@contextmanager
def following(*arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", "imeiset", "follow", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_follows_until_a_signal(world, here, number):
    with following(world.place, here, "--root", world.keys / "root.json", "--every", 1) as process:
        assert "edition 1" in process.stdout.readline()
        world.change(500)
        world.publish()
        assert "edition 2, was 1" in process.stdout.readline()
        assert blocked(here, 500)
        shutil.move(world.place, Path(f"{world.place}.away"))
        assert "timestamp.json: expected a file" in process.stderr.readline()
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.communicate() == ("", "")


# ---- another edition of the number that is here ----


def test_an_edition_of_a_thief_is_not_taken_for_that_of_the_publisher(world, here, tmp_path):
    """Both have the same number, and the thief put the place back before the publisher went on."""
    reader, thief = follower(world, here), World.__new__(World)
    reader.step()
    before = shutil.copytree(world.place, tmp_path / "before")
    thief.__dict__ |= world.__dict__ | {"store": tmp_path / "thief"}
    shutil.copytree(world.store, thief.store)
    thief.change(remove=range(10))
    thief.publish()
    assert reader.step().edition == 2
    shutil.rmtree(world.place)
    shutil.copytree(before, world.place)
    world.change(200)
    world.publish()
    with pytest.raises(TrustRefused, match="two publish there"):
        reader.step()
    world.publish(renew=True)
    for _ in range(2):
        with pytest.raises(TrustRefused, match="another edition of that number"):
            reader.step()
    assert not blocked(here, 5), "what was taken goes on serving"
    world.publish(base=True)
    assert reader.step().edition == 3
    assert blocked(here, 5)
    assert blocked(here, 200)


def test_an_edition_that_is_here_is_known_again_without_its_memory(world, here):
    reader = follower(world, here)
    reader.step()
    shutil.rmtree(here / "followed")
    report = reader.step()
    assert (report.edition, report.moved) == (1, False)
    with Store.open(here) as store:
        owner = store.lists[0].owner
        store.apply(Delta("stolen", remove=[imei(5)], by=owner))
    assert reader.step().edition == 1, "what is done here by the name of the publisher is not looked for"
    shutil.rmtree(here / "followed")
    with pytest.raises(TrustRefused, match="changed here"):
        reader.step()


def test_metadata_that_does_not_fit_together_is_read_anew(world, here):
    """python-tuf takes what it has seen before for that of the same version."""
    reader = follower(world, here)
    reader.step()
    (folder,) = (here / "followed").glob("*/metadata")
    world.change(200)
    world.publish()
    reader.step()
    targets = json.loads((folder / "targets.json").read_text())
    (folder / "targets.json").write_text(json.dumps(targets))  # other bytes
    assert reader.step().edition == 2
    assert (folder / "targets.json").read_bytes() == (
        world.place / "metadata" / "2.targets.json"
    ).read_bytes()
