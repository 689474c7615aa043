"""Files of a store that are removed, replaced or restored under its writer and its readers.

A change is acknowledged only where who opens the store next finds it, and no reader mixes two histories.
"""

import copy
import datetime
import json
import math
import pickle
import shutil
import threading
import time
from unittest import mock

import pytest

from imeiset import Delta, EquipmentStatus, Register, Store
from imeiset.errors import (
    SnapshotError,
    StoreDamaged,
    StoreExists,
    StoreInDoubt,
    StoreLocked,
    StoreMissing,
    StoreReplaced,
)
from imeiset.register.layout import Contents
from imeiset.store import directory as _directory
from imeiset.store import journal as _journal
from imeiset.store.state import State

BLACK, WHITE = EquipmentStatus.BLACKLISTED, EquipmentStatus.WHITELISTED


def register(*keys):
    made = Register()
    made.add("stolen", list(keys) or [5], status=BLACK)
    return made


def full():
    made = Register()
    made.add("of a feed", [9], status=BLACK)
    return made


@pytest.fixture
def path(tmp_path):
    Store.create(tmp_path / "store", register()).close()
    return tmp_path / "store"


@pytest.fixture
def writer(path):
    with Store.open(path) as store:
        store.apply(Delta("stolen", add=[1], until="2020-01-01"))
        yield store


def another(path):
    """The store of another process, where the file system locks no directories: only the lock file counts."""
    with mock.patch.object(_directory, "_lock_directory"):
        other = Store.open(path)
        other._become_writer()
    return other


def add(path, *keys):
    """What another process does."""
    with another(path) as other:
        other.apply(Delta("stolen", add=keys))
        return other.sequence


def nanoarrow_array(texts):
    na = pytest.importorskip("nanoarrow")
    return na.Array(texts, na.string())


def listed(path, keys=range(1, 12)):
    """Which keys are listed, for who opens the store now."""
    store = Store.verify(path)
    return {key for key in keys if store.check(key).status == BLACK}


# ---- what happens to the files; each leaves the store as `listed` finds it


def lock_removed_and_written(path):
    (path / "lock").unlink()
    add(path, 2)


def lock_removed_and_compacted(path):
    (path / "lock").unlink()
    with another(path) as other:
        other.apply(Delta("stolen", add=[2]))
        other.compact()
        other.prune(1)


def lock_removed_and_replaced(path):
    (path / "lock").unlink()
    with another(path) as other:
        other.replace(register(1, 2, 5))


def lock_removed(path):
    (path / "lock").unlink()


def journal_restored_by_rename(path):
    shutil.copy(path / "journal-00000001", path / "restored")
    (path / "restored").replace(path / "journal-00000001")


def journal_restored_in_place(path):
    """As long, with the same header, and of another history."""
    twin = path.with_name("twin")
    shutil.copytree(path, twin)
    start = _journal.Journal(twin / "journal-00000001").start
    payload = next(_journal.Journal(twin / "journal-00000001").records(start)).payload
    other = payload.replace((1).to_bytes(8, "little"), (2).to_bytes(8, "little"))
    assert other != payload
    record = _journal.Record(_journal.Position(1, 0, time.time_ns()), other)
    _journal.create(twin / "journal-00000001", 1, start, [record])
    (path / "journal-00000001").write_bytes((twin / "journal-00000001").read_bytes())


def journal_cut(path):
    """An older backup, copied over it."""
    start = _journal.Journal(path / "journal-00000001").start
    _journal.create(path.with_name("older"), 1, start)
    (path / "journal-00000001").write_bytes(path.with_name("older").read_bytes())


def directory_moved_and_restored(path):
    path.rename(path.with_name("moved"))
    shutil.copytree(path.with_name("moved"), path)


def directory_recreated(path):
    shutil.rmtree(path)
    Store.create(path, register()).close()
    add(path, 2)


def directory_recreated_with_another_base(path):
    shutil.rmtree(path)
    Store.create(path, register(6)).close()


def manifest_of_another_generation(path):
    """An older backup of all but the journal and the lock of the writer."""
    (path / "current").write_bytes(_directory.manifest_text(2))


CHANGES = [
    lock_removed,
    lock_removed_and_written,
    lock_removed_and_compacted,
    journal_restored_by_rename,
    journal_restored_in_place,
    journal_cut,
    directory_moved_and_restored,
    directory_recreated,
    directory_recreated_with_another_base,
]
DOORS = {
    "apply": lambda store: store.apply(Delta("stolen", add=[9])),
    "several": lambda store: store.apply(Delta("stolen", add=[9]), Delta("stolen", add=[10], remove=[5])),
    "again": lambda store: store.apply(Delta("stolen", add=[1]), sequence=1),
    "numbered": lambda store: store.apply(Delta("stolen", add=[9]), sequence=2),
    "replace": lambda store: store.replace(register(9), force=True),
    "compact": lambda store: store.compact(),
    "background": lambda store: store.compact_in_background().result(60),
    "feed": lambda store: store.apply(Delta("stolen", add=[9]), feed="op-a"),
    "full list": lambda store: store.replace(full(), feed="op-a", through=3),
    "add a list": lambda store: store.add_list("new", status=BLACK),
    "drop a list": lambda store: store.drop_list("stolen", force=True),
    "expire": lambda store: store.expire(datetime.datetime.now(datetime.UTC).date(), force=True),
    "prune": lambda store: store.prune(1),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_writer_stops_where_its_files_are_not_its_own(path, writer, change, door):
    """It says so before it writes, and has written nothing; then it reads what is there and goes on."""
    change(path)
    names = sorted(file.name for file in path.iterdir())
    before, number = listed(path), Store.open(path).sequence
    with pytest.raises(StoreReplaced, match="Nothing was written; the next change reads what is there first"):
        DOORS[door](writer)
    assert (listed(path), Store.open(path).sequence) == (before, number)
    assert sorted(file.name for file in path.iterdir() if file.name != "lock") == [
        name for name in names if name != "lock"
    ]
    assert writer.apply(Delta("stolen", add=[11])) == number + 1
    assert listed(path) == before | {11}
    assert {key for key in range(1, 12) if writer.check(key).status == BLACK} == before | {11}


@pytest.mark.parametrize("gone", ["moved", "removed"])
@pytest.mark.parametrize("door", DOORS)
def test_a_writer_whose_directory_is_gone(path, writer, door, gone):
    path.rename(path.with_name("moved")) if gone == "moved" else shutil.rmtree(path)
    with pytest.raises(StoreReplaced):
        DOORS[door](writer)
    assert not path.exists()
    if gone == "moved":
        assert listed(path.with_name("moved")) == {1, 5}


def test_a_writer_of_a_generation_that_does_not_serve(path, writer):
    manifest_of_another_generation(path)
    with pytest.raises(StoreReplaced, match="another manifest"):
        writer.apply(Delta("stolen", add=[9]))


def test_two_writers_are_never_told_the_same_number(path, writer):
    """The lock file is removed, and both write on."""
    (path / "lock").unlink()
    with another(path) as thief:
        assert thief.apply(Delta("stolen", add=[2])) == 2
        with pytest.raises(StoreReplaced, match="another lock"):
            writer.apply(Delta("stolen", add=[3]))
        with pytest.raises(StoreLocked):
            writer.apply(Delta("stolen", add=[3]))
    assert writer.apply(Delta("stolen", add=[3])) == 3
    assert listed(path) == {1, 2, 3, 5}


@pytest.mark.parametrize("change", CHANGES)
def test_files_replaced_while_a_change_is_written_leave_doubt(path, writer, change):
    """It was checked, it is on the disk, and it may not be in the store: that is no acknowledgement."""
    append = _journal.Journal.append

    def late(*arguments):
        patch.stop()  # others append as ever
        append(*arguments)
        change(path)

    patch = mock.patch.object(_journal.Journal, "append", late)
    patch.start()
    with pytest.raises(StoreInDoubt, match="when change 2 was written"):
        writer.apply(Delta("stolen", add=[9]))
    with pytest.raises(StoreInDoubt):
        writer.apply(Delta("stolen", add=[9]))


@pytest.mark.parametrize(
    "change", [lock_removed_and_compacted, lock_removed_and_replaced, directory_recreated]
)
@pytest.mark.parametrize("how", ["compact", "background", "replace", "full list", "closed"])
def test_a_generation_is_published_by_its_writer_alone(path, writer, change, how):
    """The files are replaced while the next base is being written: the other base of that name stays."""
    save, bases = Contents.save, {}

    def slow(*arguments, **names):
        patch.stop()  # the other writer's
        save(*arguments, **names)
        change(path)
        bases.update({file.name: file.read_bytes() for file in path.glob("[bh]*-*")})

    held = writer._hold()
    if how == "closed":
        writer.close()
    else:
        held.close()
    patch = mock.patch.object(Contents, "save", slow)
    patch.start()
    with pytest.raises(StoreReplaced):
        writer._compact(held) if how == "closed" else DOORS[how](writer)
    assert {file.name: file.read_bytes() for file in path.glob("[bh]*-*")} == bases, "histories too"
    assert listed(path) == ({2, 5} if change is directory_recreated else {1, 2, 5})
    assert not list(path.glob(".imeiset-*"))


def test_a_compaction_and_a_history_that_was_restored_meanwhile(path, writer):
    """A watcher has moved on to it: the base that is being written is of the other one."""
    flattened = State.flattened

    def slow(state):
        found = flattened(state)
        journal_restored_in_place(path)
        assert writer.refresh()
        return found

    with mock.patch.object(State, "flattened", slow), pytest.raises(StoreReplaced):
        writer.compact()
    assert listed(path) == {2, 5}


def test_create_beside_another(tmp_path):
    """The lock is removed while the first base is written, and somebody else makes a store."""
    save, path = Contents.save, tmp_path / "store"

    def slow(*arguments, **names):
        patch.stop()
        save(*arguments, **names)
        shutil.rmtree(path)
        Store.create(path, register(7)).close()
        save(*arguments, **names)

    patch = mock.patch.object(Contents, "save", slow)
    patch.start()
    with pytest.raises((StoreExists, StoreReplaced)):
        Store.create(path, register(8))
    assert listed(path) == {7}
    assert not list(path.glob(".imeiset-*"))


def test_a_lock_that_is_removed_before_it_is_locked(path):
    """Between opening and locking: who holds what has no name excludes nobody."""
    flock, left = _directory.fcntl.flock, [3]

    def slow(*arguments):
        if left[0]:
            left[0] -= 1
            (path / "lock").unlink()
        flock(*arguments)

    with mock.patch.object(_directory.fcntl, "flock", slow), Store.open(path) as one:
        one.apply(Delta("stolen", add=[2]))
        with Store.open(path) as other, pytest.raises(StoreLocked):
            other.apply(Delta("stolen", add=[3]))
    assert left == [0]


def test_the_message_of_a_lock_does_not_invite_to_remove_it(path, writer):
    with (
        Store.open(path) as other,
        pytest.raises(StoreLocked, match="until it ends; removing the file lock does not take it"),
    ):
        other.apply(Delta("stolen", add=[2]))


@pytest.mark.parametrize("mode", ["mmap", "memory"])
@pytest.mark.parametrize("change", [*CHANGES, lambda path: None])
def test_a_reader_is_what_the_directory_holds(path, writer, change, mode):
    reader = Store.open(path, mode=mode)
    change(path)
    reader.refresh()
    assert {key for key in range(1, 12) if reader.check(key).status == BLACK} == listed(path)
    assert reader.state_id == Store.open(path).state_id
    writer.close()
    reader.apply(Delta("stolen", add=[11]))  # it does not write its own history over another
    assert listed(path) >= {11}
    reader.close()


def test_a_reader_of_a_directory_that_was_recreated_the_same(path, writer):
    """The same base, and a journal as long: a watcher moves to it without a fault."""
    moved = threading.Event()
    with Store.open(path) as reader:
        writer.close()
        reader.watch(0.01, lambda _: moved.set())
        bases = (path / "base-00000001.imei").read_bytes()
        shutil.rmtree(path)
        Store.create(path, register()).close()
        assert (path / "base-00000001.imei").read_bytes() == bases
        add(path, 2)
        deadline = time.monotonic() + 60
        while reader.check(2).status != BLACK and time.monotonic() < deadline:
            assert moved.wait(60)
        assert (reader.check(1).status, reader.check(2).status) == (WHITE, BLACK)
        assert reader.status().fault is None


# ---- clocks


def at(seconds):
    return mock.patch("time.time_ns", return_value=int(seconds * 10**9))


def test_a_clock_that_was_ahead_is_told_and_passes(path):
    with Store.open(path) as store:
        with at(time.time() + 10**6):
            store.apply(Delta("stolen", add=[1]))
        for one in (store, Store.open(path)):
            found = one.status()
            assert found.age == math.inf
            assert 10**6 - 60 < found.ahead <= 10**6
        store.compact()
        assert store.status().age == math.inf
        store.apply(Delta("stolen", add=[2]))
        for one in (store, Store.open(path)):
            found = one.status()
            assert (0 <= found.age < 60, found.ahead, found.sequence) == (True, 0, 2)
        with at(time.time() + 20):
            store.apply(Delta("stolen", add=[3]))
        found = store.status()
        assert (found.age, 0 < found.ahead <= 20) == (0, True), "clocks of two machines differ by so much"


@pytest.mark.parametrize("seconds", [-1, -(10**9), 0])
def test_a_clock_before_1970(path, seconds):
    with Store.open(path) as store:
        with at(seconds):
            store.apply(Delta("stolen", add=[1]))
        store.compact()
        with at(seconds):
            store.apply(Delta("stolen", add=[2]))
    found = Store.open(path).status()
    assert found.changed.timestamp() == seconds
    assert found.age > 10**9
    assert listed(path) == {1, 2, 5}


def test_changes_count_by_number_not_by_time(path):
    with Store.open(path) as store:
        for seconds, key in ((2000, 1), (1000, 2), (3000, 3)):
            with at(seconds):
                store.apply(Delta("stolen", add=[key], remove=[key - 1]))
    assert listed(path) == {3, 5}
    assert Store.open(path).status().changed.timestamp() == 3000


# ---- what a store is not


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_store_is_not_copied(path, writer, how):
    with pytest.raises(TypeError, match="a Store holds a lock and cannot be copied or pickled"):
        how(writer)
    with Store.open(path) as other, pytest.raises(StoreLocked):
        other.apply(Delta("stolen", add=[2]))


def test_a_store_is_a_mapping_and_always_true(path, writer):
    assert ("stolen" in writer, "other" in writer, 0 in writer) == (True, False, False)
    assert (list(writer), len(writer), [*writer.keys()]) == (["stolen"], 1, ["stolen"])
    assert writer.get("other") is None
    assert dict(writer)["stolen"] == writer["stolen"]
    assert {writer: 1}[writer] == 1
    assert writer != Store.open(path)
    empty = Store.create(path.with_name("empty"), Register())
    assert (bool(empty), len(empty)) == (True, 0)


def test_a_damaged_manifest_does_not_tell_phones(path):
    (path / "current").write_bytes(b"imei\n" + b"490154203237518\n" * 9)
    with pytest.raises(StoreDamaged) as caught:
        Store.open(path)
    assert "490154203237" not in str(caught.value)


def test_a_journal_that_tells_phones_does_not_in_messages(path):
    about = {"list": "stolen", "rule": "exact", "reason": "490154203237518", "date": "490154203237518"}
    text = json.dumps([{**about, "add": 0, "remove": 0}]).encode()
    payload = len(text).to_bytes(8, "little") + text
    start = _journal.Journal(path / "journal-00000001").start
    _journal.create(path / "journal-00000001", 1, start, [_journal.Record(start, payload)])
    with pytest.raises(StoreDamaged) as caught:
        Store.open(path)
    assert "490154203237" not in str(caught.value)


def test_a_lock_that_is_removed_is_held_by_its_directory(path, writer):
    (path / "lock").unlink()
    with Store.open(path) as other, pytest.raises(StoreLocked, match="removing the file lock does not take"):
        other.apply(Delta("stolen", add=[2]))
    with pytest.raises(StoreReplaced):
        writer.apply(Delta("stolen", add=[3]))
    assert writer.apply(Delta("stolen", add=[3])) == 2
    writer.close()
    assert add(path, 4) == 3
    assert listed(path) == {1, 3, 4, 5}


def test_prune_removes_no_generation_that_is_newer(path, writer):
    newer = path / "base-00000002.imei"
    newer.write_bytes(b"of another")
    assert writer.prune(1) == 0
    assert newer.exists()


@pytest.mark.parametrize("act", [lambda store: store.compact(), lambda store: store.replace(register())])
def test_a_block_that_would_wait_for_itself_is_refused(writer, act):
    with writer.writing():
        future = writer.compact_in_background()
        with pytest.raises(RuntimeError, match="outside of writing"):
            act(writer)
        with pytest.raises(RuntimeError, match="outside of writing"):
            writer.prune()
        writer.apply(Delta("stolen", add=[3]))
    future.result(60)
    assert (writer.generation, writer.check(3).status) == (2, BLACK)


def test_a_delta_of_an_iterator_is_the_same_when_it_is_applied_again(path, writer):
    delta = Delta("stolen", add=(key for key in ["356938035643809"]))
    (path / "lock").unlink()
    with pytest.raises(StoreReplaced):
        writer.apply(delta)
    writer.apply(delta)
    assert "356938035643809" in Store.open(path)["stolen"]


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_pair_of_iterators_is_the_same_when_it_is_applied_again(path, writer, kind):
    delta = Delta("stolen", rule="range", add=kind((iter([7, 9]), iter([7, 11]))))
    for _ in range(2):
        writer.apply(delta)
        assert writer.lists[0].counts()["range"] == 4
        writer.apply(Delta("stolen", rule="range", remove=([7], [11])))


def test_a_delta_of_an_arrow_stream_is_the_same_when_it_is_applied_again(writer):
    stream = pytest.importorskip("nanoarrow").c_array_stream(nanoarrow_array(["356938035643809"]))
    delta = Delta("stolen", add=stream)
    for number in (2, 4):
        assert writer.apply(delta) == number
        assert "356938035643809" in writer["stolen"]
        writer.apply(Delta("stolen", remove=["356938035643809"]))


@pytest.mark.parametrize("change", ["removed", "replaced", "emptied"])
def test_a_base_that_is_not_the_one_taken_stops_the_writer(path, writer, change):
    reader = Store.open(path)
    base = path / "base-00000001.imei"
    bytes_before = base.read_bytes()
    base.unlink()
    if change != "removed":
        base.write_bytes(b"" if change == "emptied" else bytes_before)
    with pytest.raises(StoreReplaced):
        writer.apply(Delta("stolen", add=[3]))
    if change == "replaced":  # by the same
        assert writer.apply(Delta("stolen", add=[3])) == 2
        assert reader.refresh()
        assert reader.check(3).status == BLACK
    else:
        with pytest.raises(SnapshotError):
            writer.apply(Delta("stolen", add=[3]))
        with pytest.raises(SnapshotError):
            reader.refresh()
        assert reader.check(1).status == writer.check(1).status == BLACK


def test_a_directory_that_is_gone_is_a_store_that_is_missing(path, writer):
    shutil.rmtree(path)
    with pytest.raises(StoreReplaced):
        writer.apply(Delta("stolen", add=[3]))
    for act in (writer.apply, writer.compact, writer.prune, writer.compact_in_background):
        with pytest.raises(StoreMissing):
            act()
