"""What a publisher puts, in which order, and what it makes of a place that is not as it left it."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from imeiset import EquipmentStatus, Policy, Register, Store
from imeiset.errors import StoreLocked, TrustKey, TrustRefused, TrustUnreachable
from imeiset.trust import Follower, metadata, publish
from imeiset.trust.places import Place

from .publishing import LIFE, Crash, World, files_in, imei, listed, writes

pytest.importorskip("tuf")


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def kinds(world):
    """What targets.json lists, as (kind, edition)."""
    return sorted((one.kind, one.number) for one in listed(world).editions.values())


def test_the_first_edition(world):
    report = world.publish()
    assert (report.action, report.edition, report.place) == ("base", 1, str(world.place))
    told = {name: (one.status, one.added, one.removed) for name, one in report.lists.items()}
    assert told == {"stolen": ("BLACKLISTED", 100, 0), "models": ("GREYLISTED", 1_000_000, 0)}
    files = world.files()
    names = sorted(name for name in files if name.startswith("metadata/"))
    expected = ["1.root.json", "1.snapshot.json", "1.targets.json", "timestamp.json"]
    assert names == [f"metadata/{name}" for name in expected]
    [(name, data)] = ((name, data) for name, data in files.items() if name.startswith("targets/"))
    assert re.fullmatch(r"targets/[0-9a-f]{64}\.base-00000001\.imei", name)
    assert hashlib.sha256(data).hexdigest() in name
    assert report.bytes == len(data)
    base = Register.open(world.place / name)
    assert [one.owner for one in base.lists] == ["", ""]
    assert imei(7) in base["stolen"]
    seen = world.seen()
    assert not seen.faults
    life = {role: when - datetime.now(UTC) for role, when in seen.expires().items()}
    days = {"root": 730, "targets": 365, "snapshot": 14, "timestamp": 2}
    assert {role: round(left / timedelta(days=1)) for role, left in life.items()} == days
    assert report.expires == seen.expires()


def test_what_changed_is_the_next_edition(world):
    world.publish()
    world.change(200, 201, remove=[3])
    report = world.publish()
    assert (report.action, report.edition) == ("delta", 2)
    assert {name: (one.added, one.removed) for name, one in report.lists.items()} == {
        "stolen": (2, 1),
        "models": (0, 0),
    }
    assert kinds(world) == [("base", 1), ("delta", 2)]


def test_a_base_is_there_as_a_delta_too_and_old_files_go(world):
    world.publish()
    for serial in range(200, 207):
        world.change(serial)
        world.publish(base_every=3)
    assert kinds(world) == [("base", 7), ("delta", 6), ("delta", 7), ("delta", 8)]
    names = sorted(name.split(".")[1] for name in world.files() if name.startswith("targets/"))
    assert names == ["base-00000007", *(f"delta-{number:08d}" for number in (5, 6, 7, 8))]
    versions = sorted(name for name in world.files() if name.endswith((".targets.json", ".snapshot.json")))
    assert versions == [f"metadata/{n}.{role}.json" for n in (7, 8) for role in ("snapshot", "targets")]


def test_heavy_deltas_bring_a_base(world):
    world.publish()
    world.change(*range(1000, 9000, 2))
    assert world.publish(base_every=1000).action == "base"
    assert kinds(world) == [("base", 2), ("delta", 2)]


def test_another_policy_is_a_base(world):
    world.publish()
    with Store.open(world.store) as store:
        register = Register(Policy(response_type=2))
        for one in store.lists:
            register.add_list(one)
        store.replace(register)
    assert world.publish().action == "base"
    assert listed(world).editions["base-00000002.imei"].policy == Policy(response_type=2)


def test_some_lists(world):
    with pytest.raises(ValueError, match="expected some of stolen, models, got 'nowhere'"):
        world.publish(lists=["nowhere"])
    with pytest.raises(TypeError, match="got one text"):
        world.publish(lists="stolen")
    assert not world.place.exists()
    assert list(world.publish(lists=["models"]).lists) == ["models"]
    assert world.publish(lists=["models"]).action == "nothing"
    assert world.publish().edition == 2
    report = world.publish(lists=["models"])
    assert (report.edition, report.lists["stolen"].removed, report.lists["stolen"].status) == (3, 100, "")


def remove_targets(world):
    """All files of editions; their names."""
    names = sorted(path.name for path in (world.place / "targets").iterdir())
    for name in names:
        (world.place / "targets" / name).unlink()
    return names


def test_a_base_that_is_gone_from_the_place_is_put_back(world):
    world.publish()
    before = world.files()
    remove_targets(world)
    report = world.publish(dry_run=True)
    assert report.action == "nothing"
    assert report.warnings == ("base-00000001.imei was gone from the place: it is put there anew",)
    assert [*(world.place / "targets").iterdir()] == []
    assert world.publish() == replace(report, dry_run=False)
    assert world.files() == before
    assert world.publish().warnings == ()


def test_files_that_are_gone_and_not_here_are_named_and_a_base_stands_for_them(world):
    world.publish()
    world.change(200)
    world.publish()
    remove_targets(world)
    for options in ({}, {"renew": True}):
        said = world.publish(**options).warnings
        assert [text.partition(" ")[0] for text in said] == ["base-00000001.imei", "delta-00000002.imei"]
        assert all("--base publishes all lists anew" in text for text in said)
    assert world.publish(base=True).action == "base"
    assert world.publish().warnings[0].startswith("delta-00000002.imei is gone")
    follower = Follower(world.place, world.folder / "theirs", root=world.keys / "root.json")
    assert follower.step().files == ("base-00000003.imei",)


def test_a_file_is_not_put_back_by_another_store(world):
    """Which signs anew what is there, and cannot know its lists."""
    world.publish()
    remove_targets(world)
    report = world.publish(store=other_store(world), renew=True)
    assert "base-00000001.imei is gone from the place" in report.warnings[-1]
    assert [*(world.place / "targets").iterdir()] == []


def test_a_base_that_cannot_be_put_back_does_not_keep_others_from_being_signed(world, monkeypatch):
    world.publish()
    remove_targets(world)
    put = Place.put

    def none_of_targets(self, name, path):
        if name.startswith("targets/"):
            raise TrustUnreachable(f"{self}/{name}", "a place that can be written to", "forbidden")
        put(self, name, path)

    monkeypatch.setattr(Place, "put", none_of_targets)
    report = world.publish(renew=True)
    assert report.action == "renewed"
    assert "base-00000001.imei is gone from the place, and was not put there anew" in report.warnings[0]
    assert "forbidden" in report.warnings[0]


def other_store(world):
    Store.create(world.folder / "other", Register()).close()
    return world.folder / "other"


def test_a_place_that_cannot_be_listed_says_so(world, monkeypatch):
    world.publish()

    def names(self, folder=""):
        raise TrustUnreachable(str(self), "a list of files", "none")

    monkeypatch.setattr(Place, "names", names)
    assert "whether all files are there was not seen" in world.publish().warnings[0]


def test_quiet_is_signed_anew_when_a_quarter_of_its_time_is_gone(world, monkeypatch):
    world.publish()
    before = world.files()
    assert world.publish().action == "nothing"
    assert world.files() == before
    start = metadata.now()
    for hours, action in ((11, "nothing"), (13, "renewed"), (20, "nothing"), (26, "renewed")):
        _at(monkeypatch, start + timedelta(hours=hours))
        assert world.publish().action == action, hours
        assert world.seen().expires()["timestamp"] >= start + timedelta(hours=hours) + 0.75 * LIFE
    assert world.seen().snapshot.signed.version == 1
    _at(monkeypatch, start + timedelta(days=8))
    assert world.publish().action == "renewed"
    assert world.seen().snapshot.signed.version == 2
    assert world.seen().targets.signed.version == 1


def _at(monkeypatch, when):
    from imeiset.trust import claims, making, publisher, reports

    for module in (claims, metadata, publisher, reports, making):
        monkeypatch.setattr(module, "now", lambda: when)


def test_renewing_needs_the_online_key_alone(world, monkeypatch):
    world.publish()
    for path in [*world.keys.glob("root-*"), *world.keys.glob("targets-*")]:
        path.unlink()
    assert world.publish(renew=True).action == "renewed"
    world.change(300)
    report = world.publish(renew=True)
    assert (report.action, report.edition) == ("renewed", 1)
    assert "lists have changed" in report.warnings[0]
    with pytest.raises(TrustKey, match="targets-"):
        world.publish()
    _at(monkeypatch, metadata.now() + timedelta(days=330))
    report = world.publish(renew=True)
    assert any(text.startswith("targets ends on ") for text in report.warnings), report.warnings
    next(world.keys.glob("online-*")).unlink()
    with pytest.raises(TrustKey, match="online-"):
        world.publish(renew=True)


def test_what_ends_soon_is_renewed_or_named(world, monkeypatch):
    world.publish()
    start = metadata.now()
    _at(monkeypatch, start + timedelta(days=330))
    assert world.publish().action == "renewed"
    assert world.seen().expires()["targets"] == start + timedelta(days=330 + 365)
    _at(monkeypatch, start + timedelta(days=680))
    for renew in (False, True):
        [warning] = world.publish(renew=renew).warnings
        assert re.match(r"root ends on 20\d\d-\d\d-\d\d, in (49|50) days: `imeiset keys rotate ", warning)
    _at(monkeypatch, start + timedelta(days=731))
    assert "root has ended" in world.publish().warnings[0]


def test_keys_and_places_that_are_not_there(world, tmp_path):
    with pytest.raises(TrustKey, match=r"root\.json"):
        world.publish(keys=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(TrustUnreachable):
        world.publish(url=tmp_path / "file" / "place")
    for options in ({"base_every": 0}, {"expires": timedelta(0)}):
        with pytest.raises(ValueError, match=next(iter(options))):
            world.publish(**options)
    assert not world.place.exists()


def test_a_dry_run_writes_nothing(world):
    before = files_in(world.folder)
    report = world.publish(dry_run=True)
    assert (report.action, report.edition, report.dry_run) == ("base", 1, True)
    assert files_in(world.folder) == before
    world.publish()
    world.change(200)
    before = files_in(world.folder)
    report = world.publish(dry_run=True)
    assert (report.action, report.edition, report.lists["stolen"].added) == ("delta", 2, 1)
    assert files_in(world.folder) == before
    again = world.publish()
    assert (again.bytes, again.lists) == (report.bytes, report.lists)


def test_a_damaged_store_is_not_published(world):
    world.publish()
    world.change(200)
    base = next(world.store.glob("base-*.imei"))
    data = bytearray(base.read_bytes())
    data[len(data) // 2] ^= 1
    base.write_bytes(data)
    before = world.files()
    with pytest.raises(Exception, match=r"checksum|expected"):
        world.publish()
    assert world.files() == before


def test_a_damaged_memory_is_said_and_a_base_goes_on(world):
    world.publish()
    world.change(200)
    lists = next((world.store / "published").rglob("1.imei"))
    data = bytearray(lists.read_bytes())
    data[len(data) // 2] ^= 1
    lists.write_bytes(data)
    with pytest.raises(TrustRefused, match=r"expected checksum .*--base"):
        world.publish()
    assert world.publish(base=True).edition == 2
    state = next((world.store / "published").rglob("state.json"))
    state.write_text("{}")
    with pytest.raises(TrustRefused, match="--base"):
        world.publish()
    assert world.publish(base=True).edition == 3


# ---- the place is not as it was left ------------------------------------------------


def test_a_store_put_back_from_a_backup(world):
    world.publish()
    shutil.copytree(world.store, world.folder / "backup")
    world.change(200)
    world.publish()
    shutil.rmtree(world.store)
    (world.folder / "backup").rename(world.store)
    before = world.files()
    with pytest.raises(TrustRefused, match=r"edition 1 of this store, got edition 2.*--base"):
        world.publish()
    with pytest.raises(TrustRefused):
        world.publish(renew=True)
    assert world.files() == before
    report = world.publish(base=True)
    assert (report.action, report.edition) == ("base", 3)
    assert kinds(world) == [("base", 3)]


def test_a_place_put_back_from_a_backup(world):
    world.publish()
    shutil.copytree(world.place, world.folder / "backup")
    world.change(200)
    world.publish()
    world.publish(renew=True)
    last = world.seen()
    shutil.rmtree(world.place)
    (world.folder / "backup").rename(world.place)
    with pytest.raises(TrustRefused, match=r"edition 2 of this store, got edition 1.*--base"):
        world.publish()
    assert world.publish(base=True).edition == 3
    versions = world.seen().versions()
    assert all(versions[role] > last.versions()[role] for role in ("targets", "snapshot", "timestamp"))


def test_a_place_that_lost_everything(world):
    world.publish()
    shutil.rmtree(world.place)
    with pytest.raises(TrustRefused, match=r"edition 1 of this store, got nothing"):
        world.publish()
    assert world.publish(base=True).edition == 2
    assert (
        world.seen().versions()["timestamp"] > 1_700_000_000
    )  # of the clock: keys may have been replaced since


def test_a_place_of_other_keys(world, tmp_path):
    world.publish()
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    for options in ({}, {"base": True}, {"renew": True}):
        with pytest.raises(TrustRefused, match="that of the folder of keys, got another"):
            other.publish(url=world.place, **options)


@pytest.mark.parametrize("name", ["timestamp.json", "1.snapshot.json", "1.root.json", "2.root.json"])
@pytest.mark.parametrize(
    "data",
    [None, b"", b"{}", b"[" * 100_000, b"x" * 600_000],
    ids=["gone", "empty", "another", "deep", "long"],
)
def test_metadata_that_was_damaged_is_put_anew(world, name, data):
    world.publish()
    if data is None:
        (world.place / "metadata" / name).unlink(missing_ok=True)
    else:
        (world.place / "metadata" / name).write_bytes(data)
    report = world.publish()
    quiet = (name, data) == ("2.root.json", None)
    assert (report.action, report.edition) == ("nothing" if quiet else "renewed", 1)
    if data is not None or "root" not in name:
        assert name in report.warnings[0]
    assert (world.place / "metadata/2.root.json").exists() is False
    assert not world.seen().faults
    assert world.publish().action == "nothing"


# ---- crashes and others ---------------------------------------------------------------


def test_the_order_of_what_is_put(world, monkeypatch):
    done = writes(monkeypatch)
    world.publish()
    world.change(200)
    world.publish()
    claim = "metadata/publisher.json"
    assert [what for what, name in done if name == claim] == ["put_bytes", "remove"] * 2
    names = [re.sub(r"targets/\w{64}\.", "targets/", name) for _, name in done if name != claim]
    assert names == [
        "metadata/1.root.json",
        "targets/base-00000001.imei",
        "metadata/1.targets.json",
        "metadata/1.snapshot.json",
        "metadata/timestamp.json",
        "targets/delta-00000002.imei",
        "metadata/2.targets.json",
        "metadata/2.snapshot.json",
        "metadata/timestamp.json",
    ]


@pytest.mark.parametrize("first", [True, False])
def test_killed_at_any_write(tmp_path, monkeypatch, first):
    for at in range(100):
        (tmp_path / f"{at}").mkdir()
        world = World(tmp_path / f"{at}")
        if not first:
            for serial in (300, 301):
                world.publish(base_every=1)
                world.change(serial)
        before = world.files() if not first else {}
        with monkeypatch.context() as patched:
            done = writes(patched, at)
            try:
                world.publish(base_every=1)
            except Crash:
                pass
            else:
                assert at > 4
                return
        committed = ("put_bytes", "metadata/timestamp.json") in done
        if not first:
            assert {
                name: data for name, data in world.files().items() if name in before
            } == before or committed
            assert listed(world).current == (3 if committed else 2)
        world.change(400)
        report = world.publish(base_every=1)
        # Of the first edition, targets.json is enough to be found.
        signed = ("put_bytes", "metadata/1.targets.json") in done
        assert report.edition == (1 + signed if first else 3 + committed)
        seen = world.seen()
        assert not seen.faults
        assert listed(world).editions[listed(world).base].lists["stolen"].counts["exact"] == 101 + 2 * (
            not first
        )
        assert world.publish().action == "nothing"


@pytest.mark.parametrize("step", ["prepare", "adopt", "keep"])
def test_killed_between_the_place_and_the_memory(world, monkeypatch, step):
    from imeiset.trust.memory import Memory

    world.publish()
    world.change(200)
    real, calls = getattr(Memory, step), []

    def call(self, *args):
        calls.append(step)
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(Memory, step, call)
        try:
            world.publish()
        except Crash:
            assert calls
    assert real
    world.change(201)
    report = world.publish()
    assert report.edition == (2 if step == "prepare" else 3)
    assert listed(world).editions[f"delta-{report.edition:08d}.imei"].lists["stolen"].counts["exact"] == 102
    folder = next((world.store / "published").iterdir())
    assert sorted(path.name for path in folder.iterdir()) == [f"{report.edition}.imei", "lock", "state.json"]


def test_two_at_once_here(world):
    with Store.open(world.store):
        pass
    inside, done = threading.Event(), threading.Event()
    real = Place.put

    def slow(self, *args):
        inside.set()
        assert done.wait(20)
        return real(self, *args)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Place, "put", slow)
        thread = threading.Thread(target=world.publish)
        thread.start()
        assert inside.wait(20)
        with pytest.raises(StoreLocked, match="nobody else who publishes"):
            world.publish()
        done.set()
        thread.join()
    assert world.publish().action == "nothing"


@pytest.mark.parametrize("at", [*range(6)])
def test_two_at_once_on_two_hosts(world, monkeypatch, at):
    """The other publishes whole before a write of this one: one edition wins, whole; the other says so."""
    world.publish()
    shutil.copytree(world.store, world.folder / "there")
    there = World.__new__(World)
    there.__dict__ |= world.__dict__ | {"store": world.folder / "there"}
    world.change(200)
    there.change(201, 202)
    seen, other = [], []

    def before(name):
        if len(seen) == at and not other:
            other.append(None)
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr("socket.gethostname", lambda: "there")
                try:
                    other[0] = there.publish()
                except TrustRefused as error:
                    other[0] = error
        elif not other:
            seen.append(name)

    with monkeypatch.context() as patched:
        writes(patched, before=before)
        try:
            mine = world.publish()
        except TrustRefused as error:
            mine = error
    if not other:
        pytest.skip("there are fewer writes")
    refused = [isinstance(one, TrustRefused) for one in (mine, other[0])]
    seen_ = world.seen()
    assert not seen_.faults
    count = listed(world).editions["delta-00000002.imei"].lists["stolen"].counts["exact"]
    assert count in (101, 102)
    assert any(refused), "both think that they have won"
    loser = world if refused[0] else there
    with pytest.raises(TrustRefused):
        loser.publish()
    assert count == (102 if refused[0] else 101)
    assert loser.publish(base=True).edition == 3


def test_a_claim_of_a_dead_process_is_taken_over(world, monkeypatch):
    from imeiset.trust import claims

    world.publish()
    process = subprocess.Popen([sys.executable, "-c", ""])
    claim = world.place / claims.NAME
    place = Place(world.place)
    with monkeypatch.context() as patched:
        patched.setattr("os.getpid", lambda: process.pid)
        claims.Claim(place)._put()
    process.wait()
    assert world.publish(renew=True).action == "renewed"
    assert not claim.exists()
    with monkeypatch.context() as patched:
        patched.setattr("socket.gethostname", lambda: "there")
        claims.Claim(place)._put()
    with pytest.raises(TrustRefused, match="no other publisher at work, got another since"):
        world.publish(renew=True)
    _at(monkeypatch, metadata.now() + timedelta(minutes=11))
    assert world.publish(renew=True).action == "renewed"
    for junk in (b"", b"[]", b"{}", b'{"time": 3}', b"[" * 900, b"x" * 5000):
        claim.write_bytes(junk)
        assert world.publish(renew=True).action == "renewed"


def test_the_memory_shows_no_credentials(world):
    from imeiset.trust.memory import Memory, Said

    class Somewhere:
        url, local = "s3://key:secret@lists/eir?token=5", None

    memory = Memory(world.store, Somewhere())
    with memory.locked():
        memory.keep(Said(1, {}))
        text = (memory.folder / "state.json").read_text()
    assert "secret" not in text
    assert "token" not in text
    assert json.loads(text)["url"] == "s3://***@lists/eir?***"
    Somewhere.url = "s3://lists/eir/"
    assert Memory(world.store, Somewhere()).folder == memory.folder


def test_a_store_that_is_open_is_published_as_it_is_now(world):
    with Store.open(world.store) as store:
        world.change(200)
        report = publish(store, world.place, keys=world.keys)
        assert report.lists["stolen"].added == 101
        assert store.check(imei(200)).status is EquipmentStatus.BLACKLISTED


def test_nothing_of_it_is_in_the_way_of_the_store(world):
    world.publish()
    with Store.open(world.store) as store:
        store.compact()
        store.prune()
    assert world.publish().action == "nothing"
    assert Path(world.store / "published").is_dir()
