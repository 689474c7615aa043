"""Keys replaced: what old ones sign counts no more, and followers go on, whatever a thief did with them."""

import shutil
import time
from contextlib import suppress
from datetime import timedelta

import pytest

pytest.importorskip("tuf")

from imeiset import Store
from imeiset.errors import TrustKey, TrustRefused
from imeiset.trust import Follower, metadata
from imeiset.trust.keys import Keys
from imeiset.trust.metadata import described, now, put, signed, tuf
from imeiset.trust.places import Place

from .publishing import Crash, World, files_in, imei, listed, writes

ROLES = ("root", "targets", "online")


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.publish()
    return made


class Reader:
    """A store that follows, from the first root."""

    def __init__(self, world, name="reader", place=None):
        self.store = world.folder / name
        self.follower = Follower(place or world.place, self.store, root=world.keys / "root.json")

    def step(self, **options):
        return self.follower.step(**options)

    def members(self):
        with Store.open(self.store) as store:
            return len(store["stolen"])


@pytest.mark.parametrize("roles", [("root",), ("targets",), ("online",), ("targets", "online"), ROLES])
def test_followers_go_on(world, roles):
    reader = Reader(world)
    reader.step()
    before = world.seen().root
    report = world.rotate(*roles)
    assert (report.root, report.edition, set(report.roles)) == (2, 1, set(roles))
    count = {"root": 3, "targets": 1, "online": 1}
    assert len(report.new_keys) == len(report.old_keys) == sum(count[role] for role in roles)
    assert not set(report.new_keys) & set(report.old_keys)
    assert all((world.keys / name).exists() for name in report.new_keys)
    seen = world.seen()
    assert not seen.faults
    for role in ROLES:
        tuf_role = "timestamp" if role == "online" else role
        changed = before.signed.roles[tuf_role].keyids != seen.root.signed.roles[tuf_role].keyids
        assert changed == (role in roles)
    assert report.expires == seen.expires()
    assert not reader.step().moved
    for name in report.old_keys:
        if not name.startswith("root"):
            (world.keys / name).unlink()
    world.change(200)
    assert world.publish().edition == 2
    assert reader.step().edition == 2
    assert Reader(world, "later").step().edition == 2


def test_twice_and_root_twice(world):
    reader = Reader(world)
    reader.step()
    for number in range(2, 6):
        assert world.rotate(*ROLES).root == number
    assert not reader.step().moved
    assert sorted(path.name for path in world.keys.glob("*.root.json")) == [
        f"{n}.root.json" for n in range(2, 6)
    ]


def test_what_old_keys_sign_is_worthless(world):
    shutil.copytree(world.keys, world.folder / "stolen")
    reader = Reader(world)
    reader.step()
    old = world.seen()
    world.rotate("targets", "online")
    assert not reader.step().moved
    before = world.files()
    for options in ({"base": True}, {"renew": True}):
        with pytest.raises(TrustKey):
            world.publish(keys=world.folder / "stolen", **options)
    assert world.files() == before
    thief = Keys.of(world.folder / "stolen").signers("online", old.root)
    forged = tuf().Timestamp(1000, None, now() + timedelta(days=2), described(old.snapshot))
    put(Place(world.place), signed(forged, thief))
    with pytest.raises(TrustRefused, match="signed by"):
        reader.step()
    time.sleep(1.1)  # so that what is signed now is no copy of what was signed with the new keys
    assert "timestamp.json" in world.publish().warnings[0]
    assert not reader.step().moved


def test_a_place_that_lost_its_timestamp_after_a_rotation(world):
    """The store knows nothing of the versions that new keys signed; followers have seen them."""
    reader = Reader(world)
    reader.step()
    world.rotate("online")
    assert not reader.step().moved
    shutil.rmtree(world.place)
    time.sleep(1.1)
    world.change(200)
    world.publish(base=True)
    assert reader.step().edition == 2


def test_fast_forward_is_recovered_from(world):
    """A thief of the online key shows a follower versions beyond all that the publisher will reach."""
    elsewhere = world.folder / "elsewhere"
    shutil.copytree(world.place, elsewhere)
    seen = world.seen()
    thief = Keys.of(world.keys).signers("online", seen.root)
    snapshot = signed(
        tuf().Snapshot(2**40, None, now() + timedelta(days=9), seen.snapshot.signed.meta), thief
    )
    put(Place(elsewhere), snapshot)
    ahead = tuf().Timestamp(2**40, None, now() + timedelta(days=9), described(snapshot))
    put(Place(elsewhere), signed(ahead, thief))
    reader = Reader(world, place=elsewhere)
    reader.step()
    reader = Reader(world)
    with pytest.raises(TrustRefused):
        reader.step()
    world.change(200)
    world.publish()
    with pytest.raises(TrustRefused):
        reader.step()
    world.rotate("online")
    assert reader.step().edition == 2


@pytest.mark.parametrize("digits", [241, 301])
def test_versions_that_leave_no_name_for_a_file(world, digits):
    """Of a thief of the online key: whoever publishes is told, and new keys end it."""
    reader = Reader(world)
    reader.step()
    place, seen, version, life = Place(world.place), world.seen(), 10**digits - 1, timedelta(days=2)
    signers = Keys.of(world.keys).signers("online", seen.root)
    snapshot = metadata.signed(metadata.snapshot_of(seen.targets, version, life), signers)
    if digits < 250:
        metadata.put(place, snapshot)
    metadata.put(place, metadata.signed(metadata.timestamp_of(snapshot, version, life), signers))
    with pytest.raises(TrustRefused, match="may be stolen"):
        reader.step()
    assert "may be stolen" in world.publish(dry_run=True, renew=True).warnings[0]
    world.change(200)
    world.rotate("online", store=world.store)
    world.publish()
    assert (reader.step().edition, reader.members()) == (2, 101)


def test_a_thief_of_both_keys(world):
    """What the thief published is not signed anew; the next edition is above it, and takes it back."""
    reader = Reader(world)
    reader.step()
    thief = World.__new__(World)
    thief.__dict__ |= world.__dict__ | {"store": world.folder / "thief"}
    shutil.copytree(world.store, thief.store)
    shutil.rmtree(thief.store / "published")
    thief.change(remove=range(10))
    for serial in range(5):
        thief.change(5000 + serial)
        thief.publish(base=True)
    assert (reader.step().edition, reader.members()) == (6, 95)
    with pytest.raises(TrustRefused, match="--base"):
        world.publish()
    report = world.rotate("targets", "online", store=world.store)
    assert report.edition == 0
    assert listed(world).current == 0
    with pytest.raises(TrustRefused):
        reader.step()
    world.change(200)
    report = world.publish()
    assert (report.action, report.edition) == ("base", 7)
    assert (reader.step().edition, reader.members()) == (7, 101)
    world.change(201)
    assert world.publish().action == "delta"
    assert (reader.step().edition, reader.members()) == (8, 102)


def test_with_the_store_its_own_edition_is_signed_anew(world):
    report = world.rotate("targets", "online", store=world.store)
    assert report.edition == 1
    world.change(200)
    assert world.publish().action == "delta"


def test_a_thief_who_commits_an_older_version_again(world):
    world.change(200)
    world.publish()
    older = world.files()
    world.change(201)
    world.publish()
    (world.place / "metadata" / "timestamp.json").write_bytes(older["metadata/timestamp.json"])
    assert world.rotate("online").edition == 3
    assert world.publish().action == "nothing"


def test_only_those_keys_that_sign_are_needed(world):
    safe = world.folder / "safe"
    safe.mkdir()
    for path in world.keys.glob("root-*"):
        path.rename(safe / path.name)
    before = files_in(world.folder)
    with pytest.raises(TrustKey, match="2 keys of role root"):
        world.rotate("online")
    assert files_in(world.folder) == before, "nothing was made in vain"
    targets = next(world.keys.glob("targets-*"))
    targets.rename(safe / targets.name)
    next(safe.glob("root-*")).unlink()
    report = world.rotate("online", keys=[world.keys, safe])
    assert report.root == 2
    assert all((world.keys / name).exists() for name in report.new_keys)
    (world.keys / report.new_keys[0]).unlink()
    with pytest.raises(TrustKey, match="role online"):
        world.rotate("targets", keys=[world.keys, safe])


def test_new_keys_have_the_passphrase(tmp_path):
    world = World(tmp_path, passphrase=b"word")
    world.publish()
    report = world.rotate("targets")
    assert b"ENCRYPTED" in (world.keys / report.new_keys[0]).read_bytes()
    world.change(200)
    assert world.publish().edition == 2


def test_nothing_to_replace(tmp_path):
    world = World(tmp_path)
    with pytest.raises(TrustRefused, match="something published"):
        world.rotate("online")
    assert len(list(world.keys.glob("*.pem"))) == 5
    for roles in ((), ("snapshot",)):
        with pytest.raises(ValueError, match="roles"):
            world.rotate(*roles)


@pytest.mark.parametrize("roles", [("root",), ("targets",), ("online",), ROLES], ids="-".join)
@pytest.mark.parametrize("then", ["publish", "rotate", "change"])
def test_killed_at_any_write(tmp_path, monkeypatch, roles, then):
    for at in range(20):
        (tmp_path / f"{at}").mkdir()
        world = World(tmp_path / f"{at}")
        world.publish()
        reader = Reader(world)
        reader.step()
        with monkeypatch.context() as patched:
            writes(patched, at)
            try:
                world.rotate(*roles)
            except Crash:
                pass
            else:
                assert at > 2
                return
        for old in range(2):
            with suppress(TrustRefused):  # between the root and what it signs
                assert Reader(world, f"reader{old}").step().edition == 1
        if then == "rotate":
            world.rotate(*roles)
        if then == "change":
            world.change(200)
        report = world.publish()
        assert report.edition == 1 + (then == "change")
        assert not world.seen().faults
        assert not world.seen().absent
        assert reader.step().edition == report.edition
        assert world.publish().action == "nothing"


def test_a_root_ends_later_after_each_rotation(world, monkeypatch):
    from imeiset.trust import making, publisher, reports, rotation

    when = now() + timedelta(days=700)
    for module in (metadata, publisher, reports, making, rotation):
        monkeypatch.setattr(module, "now", lambda: when)
    assert any("root ends" in warning for warning in world.publish().warnings)
    world.rotate("online")
    assert not world.publish().warnings
    assert imei(1)
