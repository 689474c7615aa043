"""The living store: changes, generations, readers beside a writer, and a model of plain dicts."""

import contextlib
import datetime
import errno
import gc
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import oracle
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from imeiset import (
    Delta,
    EquipmentStatus,
    ImeiError,
    ImeiSet,
    Policy,
    Register,
    Store,
    Verdict,
    snapshot,
)
from imeiset.errors import (
    SnapshotError,
    SnapshotSectionChecksum,
    StoreBase,
    StoreDamaged,
    StoreError,
    StoreExists,
    StoreInDoubt,
    StoreLocked,
    StoreMissing,
    StoreSequence,
    StoreShrunk,
)
from imeiset.register.layout import Contents
from imeiset.register.pairs import Pairs, pair_columns
from imeiset.store import journal as _journal
from imeiset.store.directory import _LOCKS

W, B, G, U = EquipmentStatus
PHONE, OTHER = "490154203237518", "356938035643809"
HOME, AWAY = "234150999999999", "262011234567890"


def register():
    made = Register(Policy(response_type=1))
    made.add("stolen", [PHONE], status=B)
    made.add("good", ["35000000000000"], status=W)
    made.add_ranges("batches", [100], [200], status=G)
    made.add_tacs("models", ["35123456"], status=G)
    made.exempt("pairs", [PHONE], [HOME])
    made.add_imsis("guests", ["26299"], status=G)
    return made


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "store"
    Store.create(path, register()).close()
    return path


@pytest.fixture
def store(directory):
    with Store.open(directory) as one:
        yield one


def test_a_change_of_every_kind(store, directory):
    reader = Store.open(directory)
    store.apply(
        Delta("stolen", add=[OTHER], remove=[PHONE], reason="lost|found", date="20240229"),
        Delta("stolen", add=["62#2"], rule="irregular"),
        Delta("batches", add=([300], [310]), remove=([150], [160]), rule="range"),
        Delta("models", add=["35999999"], remove=["35123456"], rule="tac"),
        Delta("pairs", add=([OTHER], [AWAY]), remove=([PHONE], [HOME])),
        Delta("guests", add=["26201"], remove=["26299"]),
    )
    for one in (store, reader, Store.open(directory)):
        if one is reader:
            assert (one.sequence, one.check(OTHER).status) == (0, W)
            assert one.refresh()
            assert not one.refresh()
        day = datetime.date(2024, 2, 29)
        assert one.check(OTHER) == Verdict(B, "stolen", "exact", ("found", "lost"), day)
        assert one.check(OTHER, AWAY).rule == "imsi"
        assert one.check(PHONE) == Verdict(W)
        assert one.check("62#2") == Verdict(B, "stolen", "irregular")
        answers = [one.check(key).status for key in (149, 150, 160, 161, 299, 300, 310, 311)]
        assert answers == [G, W, W, G, W, G, G, W]
        assert [one.check(tac + "123456").status for tac in ("35999999", "35123456")] == [G, W]
        assert one.check(PHONE, "262991234567890").status == W
        assert one["stolen"] == ImeiSet([OTHER])
        assert one.status().counts == {
            "stolen": {"exact": 1, "irregular": 1},
            "good": {"exact": 1},
            "batches": {"range": 101},
            "models": {"tac": 10**6},
            "pairs": {"pair": 1},
            "guests": {"imsi": 1},
        }
    store.compact()
    assert store.generation == 2
    assert store.status().counts == reader.status().counts
    assert Register.verify(directory / "base-00000002.imei").check(OTHER).reasons == ("found", "lost")


def anew(directory, store):
    """The bytes of a base of the lists of a store, had they been the first."""
    made = Register(store.policy)
    for one in store.lists:
        made.add_list(one.flattened())
    made._now().save(
        directory.parent / "anew", generation=store.generation, beside=store._state.editions.sections()
    )
    return (directory.parent / "anew").read_bytes()


def test_a_compacted_base_is_a_base_made_anew(directory):
    """Also where a list became empty, and where the union is the set of one list."""
    made = Register()
    for name, status in (("a", B), ("b", G)):
        made.add(name, [], status=status)
    made.add_tacs("models", ["35000000"], status=B)
    made.exempt("pairs", [5], [HOME])
    tac, deltas = 35 * 10**12, []
    deltas.append(
        [Delta("a", add=[tac + 1]), Delta("b", add=[tac + 2]), Delta("pairs", remove=([5], [HOME]))]
    )
    deltas.append([Delta("a", add=[7]), Delta("b", remove=[tac + 2])])
    deltas.append([Delta("a", remove=[7, tac + 1]), Delta("b", add=[])])
    deltas.append([Delta("models", remove=["35000000"], rule="tac"), Delta("b", add=[9])])
    shutil.rmtree(directory)
    with Store.create(directory, made) as store:
        for some in deltas:
            store.apply(*some)
            store.compact()
            assert (directory / f"base-{store.generation:08d}.imei").read_bytes() == anew(directory, store)
            assert not any(
                count == 0 for counts in store.status().counts.values() for count in counts.values()
            )
        Store.verify(directory)


def test_a_base_that_cannot_be_read_does_not_serve(store, directory, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Contents, "read", mock.Mock(side_effect=SnapshotError("base", "a register", "another")))
        with pytest.raises(SnapshotError, match="a register"):
            store.replace(register(), force=True)
        with pytest.raises(SnapshotError, match="a register"):
            Store.create(directory.parent / "new", register())
    assert store.check(PHONE).status == B
    with Store.open(directory) as again:
        assert again.generation == 1
    with pytest.raises(StoreMissing):
        Store.open(directory.parent / "new")


def test_a_base_that_lies_cannot_be_compacted(tmp_path):
    """Its checksums are right; what they are of is not. The old generation serves on."""
    lied = Register()
    lied.add("stolen", [PHONE, OTHER], status=B, reasons=["lost", "stolen"])
    lied.exempt("pairs", [PHONE, OTHER], [HOME, HOME])
    lied.save(tmp_path / "whole.imei")
    for number, change in enumerate(
        [
            lambda parts: parts.update({"0.r": b"\x09\x09"}),
            lambda parts: parts.update({"1.s": np.array([0, 1, 9], "<u4").tobytes()}),
            lambda parts: parts.update({"0.0": np.array([1, 2**40, *[0] * 6], "<u8").tobytes()}),
        ]
    ):
        file = snapshot.open(tmp_path / "whole.imei")
        parts = dict(file.sections)
        directory = tmp_path / f"{number}"
        Store.create(directory, lied).close()
        change(parts)
        base = directory / "base-00000001.imei"
        snapshot.write(tmp_path / "lies", file.kind, parts.items(), count=file.count, generation=1)
        (tmp_path / "lies").replace(base)
        start = _journal.Position(0, snapshot.open(base).digest, 1)
        _journal.create(directory / "journal-00000001", 1, start)
        try:
            store = Store.open(directory)
        except SnapshotError:
            continue
        store.apply(Delta("stolen", add=[1]), Delta("pairs", add=([1], [HOME])))
        with pytest.raises(SnapshotError):
            store.compact()
        with pytest.raises(SnapshotError):
            store.save(tmp_path / "saved.imei")
        assert (store.generation, store.check(1).status) == (1, B)
        with contextlib.suppress(SnapshotError):
            store.check(PHONE)
        store.close()


@pytest.mark.parametrize(
    "copy",
    [
        lambda store: store.compact(),
        lambda store: store.compact_in_background().result(),
        lambda store: store.save("saved.imei"),
    ],
)
def test_a_damaged_base_gets_no_new_checksums(directory, copy, monkeypatch):
    """What is copied to the next base is what was written, or the store stays as it is."""
    monkeypatch.chdir(directory)
    base = Path("base-00000001.imei")
    good = base.read_bytes()
    at = good.index(bytes(snapshot.open(base).sections["spans"]))
    with Store.open(directory) as store:
        store.apply(Delta("stolen", add=[OTHER]))
        with base.open("r+b") as file:  # in place: it is mapped
            file.write(good[:at] + bytes([good[at] ^ 1]))
        with pytest.raises(SnapshotSectionChecksum, match="of section 'spans'"):
            copy(store)
        assert (store.generation, store.check(OTHER).status) == (1, B)
        assert sorted(map(str, Path().iterdir())) == [
            "base-00000001.imei",
            "current",
            "journal-00000001",
            "lock",
        ]
        with base.open("r+b") as file:
            file.write(good)
        store.compact()
        assert (store.generation, store.check(OTHER).status) == (2, B)


def test_sets_and_pairs_are_deltas_as_columns_are(store, directory):
    """And the journal has the same bytes."""
    ranges, tacs = (
        ImeiSet.from_ranges([300, 500], [310, 505]),
        ImeiSet.from_ranges([10**12], [10**12 + 2 * 10**6 - 1]),
    )
    pairs = Pairs.of(*pair_columns([OTHER, OTHER, PHONE], [HOME, AWAY, HOME]))
    for name, by, numbers, column in (
        ("stolen", "exact", ImeiSet([OTHER]), [OTHER]),
        ("batches", "range", ranges, ([500, 300], [505, 310])),
        ("models", "tac", tacs, ["01000001", "01000000"]),
        ("pairs", "pair", pairs, ([PHONE, OTHER, OTHER], [HOME, AWAY, HOME])),
    ):
        for side in ("add", "remove"):
            for given in (numbers, numbers, column):  # the first finds other rows there than the next
                store.apply(Delta(name, rule=by, **{side: given}))
            first, second = list(store._journal.records(store._journal.start))[-2:]
            assert first.payload == second.payload
    with pytest.raises(ValueError, match="whole TACs"):
        store.apply(Delta("models", rule="tac", add=ranges))
    for empty in (ImeiSet(), ImeiSet.from_ranges([], [])):
        assert store.apply(Delta("models", rule="tac", add=empty))
    with pytest.raises(ValueError, match="irregular"):
        store.apply(Delta("batches", rule="range", add=ImeiSet.from_keys([1], irregular=["62#2"])))


def test_what_a_block_sees_is_what_it_changes(store, directory):
    with store.writing():
        assert len(store["stolen"]) == 1
        with Store.open(directory) as other, pytest.raises(StoreLocked):
            other.apply(Delta("stolen", add=[1]))
        late = threading.Thread(target=store.apply, args=(Delta("stolen", add=[2]),))
        late.start()
        assert store.apply(Delta("stolen", add=[3]), base=store.state_id) == 1
        assert store.sequence == 1
    late.join()
    assert store.sequence == 2


def test_numbers_keep_deltas_in_order(store):
    first, second = Delta("stolen", add=[1]), Delta("stolen", add=[2])
    assert store.apply(first, sequence=1) == 1
    assert store.apply(first, sequence=1) == 1  # again: nothing happens
    with pytest.raises(StoreSequence, match="expected change 1 as it was applied, got another"):
        store.apply(second, sequence=1)
    with pytest.raises(StoreSequence, match="expected change 2, got 3"):
        store.apply(second, sequence=3)
    assert store.apply(second) == 2
    store.compact()
    assert store.apply(first, sequence=1) == 1  # in the base by now
    assert store.sequence == 2


@pytest.mark.parametrize("sequence", [0, -1, 0.5, "1", None])
def test_a_number_that_no_change_has_is_refused(store, sequence):
    """Below the first, it would be taken for one that was applied before."""
    if sequence is None:
        assert store.apply(Delta("stolen", add=[1]), sequence=np.int64(1)) == 1
        return
    with pytest.raises((ValueError, TypeError), match=r"sequence: expected 1 or more|integer"):
        store.apply(Delta("stolen", add=[1]), sequence=sequence)
    assert (store.sequence, store.check(1).status) == (0, W)


def test_a_delta_is_for_one_state(store):
    base = store.state_id
    with pytest.raises(StoreBase, match="a delta for state"):
        store.apply(Delta("stolen", add=[1]), base="0" * 16)
    store.apply(Delta("stolen", add=[1]), base=base)
    with pytest.raises(StoreBase):
        store.apply(Delta("stolen", add=[2]), base=base)
    assert store.check(2).status == W


@pytest.mark.parametrize(
    ("delta", "match"),
    [
        (Delta("stole", add=[1]), "expected one of stolen, good"),
        (Delta("stolen", add=["49015420323751x"]), "not a digit"),
        (Delta("stolen", add=[PHONE], rule="pair"), "of kind 'imeis', got 'pair'"),
        (Delta("pairs", add=[PHONE], rule="exact"), "of kind 'exempt', got 'exact'"),
        (Delta("pairs", add=([PHONE], ["x"])), "IMSI"),
        (Delta("batches", add=([2], [1]), rule="range"), "low <= high"),
        (Delta("models", add=["1"], rule="tac", reason="x"), "exact IMEIs only"),
        (Delta("stolen", add=[1], date="soon"), "dates"),
        (Delta("stolen", add=["123"], rule="irregular"), None),
    ],
)
def test_a_bad_delta_changes_nothing(store, directory, delta, match):
    before = store.state_id
    if match is None:
        store.apply(delta)  # a short text of digits is an irregular identity
        return
    with pytest.raises((ValueError, ImeiError), match=match):
        store.apply(Delta("stolen", add=[1, 2]), delta)
    assert store.state_id == before == Store.open(directory).state_id
    assert store.check(1).status == W


@pytest.mark.parametrize(
    "delta",
    [
        Delta("stolen", add="62#222222222222", rule="irregular"),
        Delta("guests", add="26299"),
        Delta("guests", remove=b"26299"),
        Delta("models", add="35123456", rule="tac"),
        Delta("stolen", add=PHONE),
        Delta("stolen", add=[1], reason=5),
        Delta("batches", add=5, rule="range"),
        Delta("batches", add=[[1]], rule="range"),
        Delta("batches", add=[(1, 5), (7, 9)], rule="range"),  # rows: as columns, 1 to 7 and 5 to 9
        Delta("batches", add=[[1, 5], [7, 9]], rule="range"),
        Delta("batches", remove=((1, 5), (7, 9)), rule="range"),
        Delta("pairs", add=[(PHONE, HOME), (OTHER, HOME)]),
        Delta("pairs", remove=zip([PHONE, OTHER], [HOME, HOME], strict=True)),
        Delta("pairs", add=[PHONE]),
        [Delta("stolen", add=[1])],
        "stolen",
    ],
)
def test_a_delta_of_the_wrong_type_says_so(store, delta):
    """The characters of a text are no prefixes and no identities."""
    with pytest.raises(TypeError, match="expected"):
        store.apply(delta)
    assert store.sequence == 0


def test_one_writer(store, directory):
    store.apply(Delta("stolen", add=[1]))
    second = Store.open(directory)
    got = f"process {os.getpid()}, this one: close its other Store"
    with pytest.raises(StoreLocked, match=f"expected no other writer, got {got}"):
        second.apply(Delta("stolen", add=[2]))
    store.close()
    second.apply(Delta("stolen", add=[2]))
    second.close()
    store.apply(Delta("stolen", add=[3]))  # it takes the lock again, and has seen change 2
    assert store.sequence == 3
    assert [store.check(key).status for key in (1, 2, 3)] == [B] * 3


def test_a_forked_child_is_a_reader(store):
    store.apply(Delta("stolen", add=[1]))
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(BaseException):
            try:
                store.apply(Delta("stolen", add=[2]))
            except StoreLocked:
                code = 0 if store.check(1).status == B else 2
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.apply(Delta("stolen", add=[3]))


def test_directories_above_a_store_are_made(tmp_path):
    Store.create(tmp_path / "some" / "where" / "store", register()).close()
    assert Store.open(tmp_path / "some" / "where" / "store").check(PHONE).status == B


def test_no_thread_is_left(store, directory):
    """When the result of a compaction is there, and when close() returns: a fork beside a thread warns."""
    threads = threading.enumerate()
    for _ in range(20):
        store.compact_in_background().result(60)
        assert threading.enumerate() == threads
    with (
        pytest.raises(OSError, match="Input"),
        mock.patch.object(Contents, "save", side_effect=OSError(errno.EIO, "Input/output error")),
    ):
        store.compact_in_background().result(60)
    reader = Store.open(directory)
    for interval in [0.001] * 20 + [3600]:
        reader.watch(interval)
        assert len(threading.enumerate()) == len(threads) + 1
        reader.close()
        assert threading.enumerate() == threads


def test_a_store_is_closed_in_a_block_that_its_watcher_waits_for(store):
    threads = threading.enumerate()
    store.watch(0.001)
    with store.writing(), store.writing():
        time.sleep(0.05)
        store.close()
    deadline = time.monotonic() + 60
    while threading.enumerate() != threads:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_watcher_ends_its_own_store_or_with_it(directory):
    ended, threads = threading.Event(), threading.enumerate()
    reader = Store.open(directory)
    reader.watch(0.001, lambda one: (one.close(), ended.set()))
    with Store.open(directory) as writer:
        writer.apply(Delta("stolen", add=[1]))
    assert ended.wait(60)
    Store.open(directory).watch(0.001)  # nobody has it
    gc.collect()
    deadline = time.monotonic() + 60
    while threading.enumerate() != threads:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_compaction_cannot_be_cancelled(store):
    compaction = store.compact_in_background()
    assert not compaction.cancel()
    compaction.add_done_callback(lambda one: one.result())  # in its thread
    compaction.result(60)
    assert store.generation == 2


def test_forks_beside_what_a_store_does(store, directory):
    """The children have no lock of the parent, and are readers; nothing of them waits for its threads."""
    store.apply(Delta("stolen", add=[1]))
    with Store.open(directory) as reader:
        reader.watch(0.001)
        for n in range(20):
            compaction = store.compact_in_background()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                child = os.fork()
            if not child:
                code = 1
                with contextlib.suppress(BaseException):
                    reader.refresh()
                    same = reader.check(1).status == B and not any(lock._descriptor >= 0 for lock in _LOCKS)
                    reader.watch(0.001)
                    reader.close()
                    code = 0 if same else 2
                os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, n
            compaction.result(60)


def test_time_travel_and_pruning(store, directory):
    store.apply(Delta("stolen", add=[1]))
    store.compact()
    store.apply(Delta("stolen", add=[2], remove=[1]))
    store.compact()
    first, second = (Store.open(directory, generation=n) for n in (1, 2))
    assert [first.check(key).status for key in (1, 2)] == [B, W]
    assert [second.check(key).status for key in (1, 2)] == [W, B]
    assert not first.refresh()
    with pytest.raises(StoreError, match="newest generation"):
        first.apply(Delta("stolen", add=[3]))
    with pytest.raises(StoreMissing, match="from 1 to 3, got 4"):
        Store.open(directory, generation=4)
    assert store.prune(2) == 1
    with pytest.raises(SnapshotError):
        Store.open(directory, generation=1)
    assert first.check(1).status == B  # its file lives until it is let go
    with pytest.raises(ValueError, match="at least 1"):
        store.prune(0)


def test_a_reader_of_a_pruned_generation_moves_on(store, directory):
    reader = Store.open(directory)
    store.apply(Delta("stolen", add=[1]))
    store.compact()
    store.prune(1)
    assert reader.check(1).status == W
    assert reader.refresh()
    assert (reader.generation, reader.check(1).status) == (2, B)


def test_a_delta_shows_no_serial_numbers():
    shown = repr(Delta("stolen", add=[PHONE], remove=[int(PHONE[:14])], reason="stolen"))
    assert (
        shown == "Delta(list='stolen', rule=None, reason='stolen', date=None, until=None, by=None, ref=None)"
    )


def test_a_base_that_shrinks_is_refused(store):
    smaller = Register()
    for name, status in (("stolen", B), ("good", W)):
        smaller.add(name, [PHONE], status=status)
    with pytest.raises(StoreShrunk, match=r"at least 75% of the 101 of list 'batches' by range, got 0"):
        store.replace(smaller)
    assert store.generation == 1
    store.replace(smaller, force=True)
    assert (store.generation, len(store.lists)) == (2, 2)
    bigger = Register()
    bigger.add("stolen", [PHONE, OTHER], status=B)
    bigger.add("good", [OTHER], status=W)
    with pytest.raises(StoreShrunk):
        store.replace(bigger, shrink=float("nan"))
    store.replace(bigger, shrink=0)
    assert store.check(OTHER).status == B


def test_status(store):
    store.apply(Delta("stolen", add=[1, 2]))
    found = store.status()
    assert (found.generation, found.sequence, found.journal_records, found.fault) == (1, 1, 1, None)
    assert 0 <= found.age < 60
    assert abs(found.changed.timestamp() - time.time()) < 60
    assert found.journal_bytes > 72
    assert found.base_bytes > 1000
    assert found.state_id == store.state_id
    store.compact()
    again = store.status()
    assert (again.changed, again.journal_records) == (found.changed, 0), "compacting makes nothing newer"


def test_what_is_no_store(tmp_path, directory):
    (tmp_path / "file").touch()
    for name, match in (
        ("nowhere", "expected a store, got no such directory"),
        ("", "expected a store, got a directory without one"),
        ("file", "expected the directory of a store, got a file"),
    ):
        with pytest.raises(StoreMissing, match=match):
            Store.open(tmp_path / name)
    with pytest.raises(StoreExists, match="got one with a store"):
        Store.create(directory, register())
    with pytest.raises(StoreExists, match="got a file"):
        Store.create(tmp_path / "file", register())
    (directory / "journal-00000001").unlink()
    with pytest.raises(StoreMissing, match="journal"):
        Store.open(directory)


@pytest.mark.parametrize("compacted", [False, True])
def test_no_store_is_made_where_one_has_lost_its_manifest(tmp_path, compacted):
    register = Register()
    register.add("stolen", [1], status=1)
    with Store.create(tmp_path / "eir", register) as store:
        store.apply(Delta("stolen", add=[2]))
        if compacted:
            store.compact()
    (tmp_path / "eir" / "current").rename(tmp_path / "away")
    before = {path.name: path.read_bytes() for path in (tmp_path / "eir").iterdir() if path.name != "lock"}
    with pytest.raises(
        StoreExists, match="one whose file 'current' is gone: put it back from a backup, or move"
    ):
        Store.create(tmp_path / "eir", Register())
    for name, data in before.items():
        assert (tmp_path / "eir" / name).read_bytes() == data
    (tmp_path / "away").rename(tmp_path / "eir" / "current")
    with Store.open(tmp_path / "eir") as store:
        assert len(store["stolen"]) == 2


def test_no_store_is_made_where_others_lists_are_without_a_manifest(tmp_path):
    """Of a store that never changed. The same lists were those of a process that ended, and are made."""
    register, other = Register(), Register(policy=Policy(unlisted=1))
    register.add("stolen", [1], status=1)
    Store.create(tmp_path / "eir", register).close()
    (tmp_path / "eir" / "current").unlink()
    before = (tmp_path / "eir" / "base-00000001.imei").read_bytes()
    for one in (Register(), other):
        with pytest.raises(StoreExists, match="one whose file 'current' is gone"):
            Store.create(tmp_path / "eir", one)
    assert (tmp_path / "eir" / "base-00000001.imei").read_bytes() == before
    with Store.create(tmp_path / "eir", register) as store:
        assert len(store["stolen"]) == 1


def test_a_set_is_no_register(store, tmp_path):
    with pytest.raises(TypeError, match="expected a Register, got ImeiSet"):
        Store.create(tmp_path / "new", ImeiSet([1]))
    assert not (tmp_path / "new").exists()
    with pytest.raises(TypeError, match="expected a Register, got ImeiSet"):
        store.replace(ImeiSet([1]), force=True)
    assert (store.generation, Store.verify(store._directory).state_id) == (1, store.state_id)


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf"), "1"])
def test_a_watcher_that_could_not_wait(store, interval):
    with pytest.raises((ValueError, TypeError)):
        store.watch(interval)


def test_the_watcher(store, directory):
    reader, seen = Store.open(directory), threading.Event()
    reader.watch(0.01, lambda one: seen.set())
    with pytest.raises(RuntimeError):
        reader.watch()
    store.apply(Delta("stolen", add=[1]))
    assert seen.wait(60)
    assert reader.check(1).status == B
    (directory / "current").rename(directory / "away")
    deadline = time.monotonic() + 60
    while reader.status().fault is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "expected a store" in reader.status().fault
    assert reader.check(1).status == B
    reader.close()


def test_a_disk_that_fails_to_sync_leaves_doubt(store, directory):
    store.apply(Delta("stolen", add=[1]))
    with (
        mock.patch("os.fsync", side_effect=OSError(errno.EIO, "Input/output error")),
        pytest.raises(StoreInDoubt),
    ):
        store.apply(Delta("stolen", add=[2]))
    with pytest.raises(StoreInDoubt):
        store.apply(Delta("stolen", add=[3]))
    assert store.check(2).status == W
    store.close()
    with Store.open(directory) as again:
        again.apply(Delta("stolen", add=[3]))
        assert [again.check(key).status for key in (1, 3)] == [B, B]
        assert again.sequence == 3


@pytest.mark.parametrize("signalled", ["os.pwrite", "os.fsync"])
def test_a_signal_while_a_change_is_written_leaves_doubt(store, directory, signalled):
    """The next change must not be written over one that readers may have."""
    reader, real = Store.open(directory), os.pwrite

    def interrupted(*arguments):
        if signalled == "os.pwrite":
            real(*arguments)
        raise KeyboardInterrupt

    store.apply()  # it is the writer
    with mock.patch(signalled, interrupted), pytest.raises(KeyboardInterrupt):
        store.apply(Delta("stolen", add=[2]))
    reader.refresh()
    with pytest.raises(StoreInDoubt, match="KeyboardInterrupt while change 2 was written"):
        store.apply(Delta("stolen", add=[3]))
    store.close()
    with Store.open(directory) as again:
        again.apply(Delta("stolen", add=[3]))
        reader.refresh()
        assert again.state_id == reader.state_id
        assert [reader.check(key).status for key in (2, 3)] == [B, B]


FUNCTIONS = {"_become_writer", "take", "_hold", "again", "refresh", "_let_go", "__init__"}


def interrupted_at(line, call):
    """Call, with a KeyboardInterrupt at a line of those functions, counted from 0; whether it got there."""
    left, was = [line], sys.gettrace()

    def trace(frame, event, _):
        code = frame.f_code
        if code.co_name not in FUNCTIONS or Path(code.co_filename).parent.name != "store":
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == -1:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(was)
    return False


@pytest.mark.parametrize("how", ["apply", "compact", "refresh"])
def test_an_interrupt_leaves_no_lock_and_no_journal_that_is_closed(directory, how):
    line, key = 0, 1000
    while True:
        with Store.open(directory) as one:
            calls = {"apply": lambda: one.apply(Delta("stolen", add=[1])), "compact": one.compact}
            reached = interrupted_at(line, calls.get(how, one.refresh))
            one.status()
            one.refresh()
            with contextlib.suppress(StoreInDoubt):
                one.apply(Delta("stolen", add=[key]))
        with Store.open(directory) as other:
            other.apply(Delta("stolen", add=[key + 1]))
            assert other.check(key + 1).status == B
        line, key = line + 1, key + 2
        if not reached:
            break
    assert line > 3


@pytest.mark.parametrize("how", ["compact", "replace"])
def test_no_change_goes_to_a_generation_that_is_over(store, how):
    """The next one was published, but could not be opened."""
    store.apply(Delta("stolen", add=[1]))
    with (
        mock.patch.object(Store, "_load", side_effect=OSError(errno.EMFILE, "Too many open files")),
        pytest.raises(OSError, match="Too many"),
    ):
        store.compact() if how == "compact" else store.replace(register(), force=True)
    store.apply(Delta("stolen", add=[2]))
    assert store.generation == 2
    assert [store.check(key).status for key in (1, 2)] == [B if how == "compact" else W, B]


def test_closing_while_a_compaction_runs(store, directory):
    """It ends, and until then nobody else writes the base that it writes."""
    saving, go, save = threading.Event(), threading.Event(), Contents.save

    def slow(*arguments, **names):
        saving.set()
        assert go.wait(60)
        save(*arguments, **names)

    store.apply(Delta("stolen", add=[1]))
    with mock.patch.object(Contents, "save", slow):
        compaction = store.compact_in_background()
        assert saving.wait(60)
        store.close()
        with warnings.catch_warnings():  # the thread is what is tested
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:
            os._exit(sum(lock._descriptor >= 0 for lock in _LOCKS))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        with Store.open(directory) as other:
            with pytest.raises(StoreLocked):
                other.apply(Delta("stolen", add=[2]))
            go.set()
            compaction.result(60)
            other.apply(Delta("stolen", add=[2]))
            other.compact()
            assert (other.generation, other.sequence) == (3, 2)
            assert [other.check(key).status for key in (1, 2)] == [B, B]


@pytest.mark.parametrize(
    ("change", "numbers"),
    [
        ({"list": "nobody"}, [1]),
        ({"list": ["stolen"]}, [1]),
        ({"rule": "exakt"}, [1]),
        ({"reason": 5}, [1]),
        ({"date": "2024-02-30"}, [1]),
        ({"date": "20240229"}, [1]),
        ({"add": 2}, [1]),
        ({"add": -1, "remove": 2}, [1]),
        ({"add": 1.0}, [1]),
        ({"add": 0}, [1]),
        ({}, [10**14]),
        ({"rule": "range"}, [2, 1]),
        ({"rule": "range"}, [1, 2**64 - 1]),
        ({"list": "pairs", "rule": "pair"}, [2**60, 2**60]),
        ({"list": "pairs", "rule": "pair"}, [1, 0]),  # the IMSI of who has none
        ({"list": "guests", "rule": "imsi", "add": [5], "remove": []}, []),
        ({"rule": "irregular", "add": [5], "remove": []}, []),
    ],
)
def test_a_journal_that_says_what_cannot_be(store, directory, change, numbers):
    """With checksums that are right: it is damage, and the old state serves."""
    reader = Store.open(directory)
    about = {"list": "stolen", "rule": "exact", "reason": "", "date": "", "add": 1, "remove": 0} | change
    text = json.dumps([about]).encode()
    text += b" " * (-len(text) % 8)
    payload = len(text).to_bytes(8, "little") + text + np.array(numbers, "<u8").tobytes()
    journal = store._journal
    record = _journal.Record(replace(journal.start, time=1), payload)
    _journal.create(journal.path, 1, journal.start, [record])
    with pytest.raises(StoreDamaged, match="expected changes"):
        Store.open(directory)
    with pytest.raises(StoreDamaged, match="expected changes"):
        reader.refresh()
    assert reader.check(PHONE).status == store.check(PHONE).status


def test_closing_before_a_compaction_begins(store, directory):
    """It ends; then its store writes no more."""
    store.apply(Delta("stolen", add=[1]))
    with store._compaction:
        waiting = [store.compact_in_background(), store.compact_in_background()]
        store.close()
    for one in waiting:
        one.result(60)
    with Store.open(directory) as other:
        other.apply(Delta("stolen", add=[2]))
        assert (other.generation, other.sequence) == (3, 2)


def test_a_compaction_after_one_that_was_published_but_not_opened(store, directory):
    """It begins with what was published, and does not write over it."""
    store.apply(Delta("stolen", add=[1]))
    held, failure = store._hold(), OSError(errno.EMFILE, "Too many open files")
    with mock.patch.object(Store, "_load", side_effect=failure), pytest.raises(OSError, match="Too many"):
        store.compact()
    store._compact(held)
    for one in (store, Store.open(directory), Store.open(directory, generation=2)):
        assert one.check(1).status == B
    assert store.generation == 3


def test_many_changes_are_read_at_once(store, directory):
    """What they come to one after another, whatever else is between them."""
    rng = np.random.default_rng(3)
    for _ in range(60):
        lows, keys = rng.integers(0, 500, (2, 3)), rng.integers(0, 40, (2, 3), np.uint64)
        imsis = [[HOME, AWAY][n] for n in rng.integers(0, 2, 3)]
        tacs = [f"{tac:08d}" for tac in rng.integers(0, 4, 2)]
        store.apply(
            Delta("batches", rule="range", add=(lows[0], lows[0] + 30), remove=(lows[1], lows[1] + 60)),
            Delta("models", rule="tac", add=tacs[:1], remove=tacs[1:]),
            Delta("pairs", add=(keys[0], imsis), remove=(keys[1], imsis)),
            Delta("stolen", add=keys[0][:1], remove=keys[1]),
        )
    reader = Store.open(directory)
    assert reader.status().counts == store.status().counts
    asked = np.arange(4 * 10**6, step=7, dtype=np.uint64)
    asked[:600] = np.arange(600)
    for imsi in (None, HOME, AWAY):
        imsis = imsi and [imsi] * len(asked)
        for expected, got in zip(
            *(one.check_many(asked, imsis, lists=True) for one in (store, reader)), strict=True
        ):
            np.testing.assert_array_equal(got, expected)


def test_many_changes_and_the_filter(store, directory):
    """More keys than the first filter is for, in many deltas; a reader takes them at once."""
    rng = np.random.default_rng(0)
    expected, reader = {}, Store.open(directory)
    for n in range(30):
        add, remove = rng.integers(10**12, 10**12 + 3000, (2, 400), dtype=np.uint64)
        expected |= dict.fromkeys(remove.tolist(), "") | dict.fromkeys(add.tolist(), f"{n % 5}")
        store.apply(Delta("stolen", add=add, remove=remove, reason=f"{n % 5}"))
    reader.refresh()
    keys = np.arange(10**12, 10**12 + 3000, dtype=np.uint64)
    store.compact()
    for one in (reader, store, Store.open(directory)):
        assert one.check_many(keys).tolist() == [B if expected.get(key) else W for key in keys.tolist()]
        for key in keys.tolist()[::50]:
            assert one.check(key).reasons == ((expected[key],) if expected.get(key) else ())


# ---- readers beside a writer ----

GROUPS, SIZE = 50, 40


def group(n):
    """The keys that are listed after change n: those of one group."""
    return [10**13 + n % GROUPS * 10**6 + i * 7 for i in range(SIZE)]


EVERY = [key for n in range(GROUPS) for key in group(n)]


def follow(directory, until, faults):
    """Read without a pause; note whatever was no state that was ever committed."""
    one, last = Store.open(directory), 0
    if isinstance(faults, str):
        faults = Path(faults)
    while last < until:
        one.refresh()
        sequence = one.sequence
        listed = np.flatnonzero(one.check_many(EVERY) == B)
        groups = set((listed // SIZE).tolist())
        if len(listed) != SIZE or len(groups) != 1 or sequence < last:
            faults.write_text(f"{sequence} after {last}: {len(listed)} of groups {groups}")
            return
        if one.sequence == sequence and groups != {sequence % GROUPS}:
            faults.write_text(f"{sequence}: group {groups}")
            return
        last = sequence


def test_keys_that_come_and_go_count_once(store):
    """The filter of changed keys is as large as they are many, however often they change."""
    keys = np.arange(10**13, 10**13 + 1000, dtype=np.uint64)
    sizes = set()
    for turn in range(12):
        store.apply(Delta("stolen", **{"remove" if turn % 2 else "add": keys}))
        sizes.add(len(store._state.touched.words))
        assert (store.check_many(keys) == (W if turn % 2 else B)).all()
        assert store.check(PHONE).status == B
    assert len(sizes) == 1
    for start in range(0, 10_000, 1000):
        store.apply(Delta("stolen", add=keys + np.uint64(start)))
    assert len(store._state.touched.words) > sizes.pop()
    assert (store.check_many(np.arange(10**13, 10**13 + 10_000, dtype=np.uint64)) == B).all()
    with Store.open(store._directory) as again:
        assert again._state.touched.marks == 10_000
        assert (again.check_many(keys) == B).all()


def test_readers_see_committed_states_only(tmp_path):
    """Threads and processes read while changes are applied and compactions run."""
    changes, directory = 120, tmp_path / "store"
    base = Register()
    base.add("stolen", group(0), status=B)
    store = Store.create(directory, base)
    faults = [tmp_path / f"fault {n}" for n in range(4)]
    spawn = multiprocessing.get_context("fork")
    readers = [spawn.Process(target=follow, args=(directory, changes, fault)) for fault in faults[:2]]
    readers += [threading.Thread(target=follow, args=(directory, changes, fault)) for fault in faults[2:]]
    for reader in readers:
        reader.daemon = True  # none outlives a failure
        reader.start()
    compactions = []
    for n in range(1, changes + 1):
        store.apply(Delta("stolen", add=group(n), remove=group(n - 1)))
        assert (store.check_many(EVERY) == B).sum() == SIZE
        if n % 50 == 25:
            compactions.append(store.compact_in_background())
    for compaction in compactions:
        compaction.result(60)
    store.prune(1)
    for reader in readers:
        reader.join(60)
    assert not any(reader.is_alive() for reader in readers)
    store.close()
    assert [fault.read_text() for fault in faults if fault.exists()] == []
    assert store.generation == 1 + len(compactions)


def test_what_is_frozen_names_the_moment_that_answers(tmp_path):
    """Whatever the writer does meanwhile: odd changes block the phone, even ones let it go."""
    register = Register()
    register.add("stolen", [], status=B)
    phone, ended = group(1)[:1], threading.Event()
    with Store.create(tmp_path / "store", register) as store:

        def change():
            while not ended.is_set():
                store.apply(Delta("stolen", add=phone))
                store.apply(Delta("stolen", remove=phone))
                if store.sequence % 40 == 0:
                    store.compact()

        writer = threading.Thread(target=change, daemon=True)
        writer.start()
        try:
            kept, ids = [], {}
            for _ in range(300):
                frozen = store.frozen()
                kept.append((frozen, frozen.sequence, frozen.generation))
                assert (frozen.check_many(phone)[0] == B) == frozen.sequence % 2
                ids.setdefault((frozen.generation, frozen.sequence), set()).add(frozen.state_id)
        finally:
            ended.set()
            writer.join(60)
        assert all(len(some) == 1 for some in ids.values())
        for frozen, sequence, generation in kept:
            assert (frozen.sequence, frozen.generation) == (sequence, generation)
            assert (frozen.frozen().check_many(phone)[0] == B) == sequence % 2


# ---- the model ----

KEYS = st.integers(0, 12) | st.integers(10**13, 10**13 + 12)
IMSIS = st.sampled_from([HOME, AWAY, "001011"])
PAIRS = st.lists(st.tuples(KEYS, IMSIS), max_size=4)
NAMES = st.sampled_from(["black", "white", "grey"])
CALLS = st.sampled_from(["pwrite", "fsync", "replace", "unlink", "ftruncate"])
REASONS = st.sampled_from(["", "lost", "a|b"])
PREFIXES = st.sets(st.sampled_from(["262", "26201", "00101", "001011"]), max_size=2)
TEXTS = [b"62#2", b"DEAD*BEEF", b"123"]


class Living(RuleBasedStateMachine):
    """A store against a twin of plain dicts: a writer, a reader, and whatever happens to them."""

    @initialize(response_type=st.sampled_from([1, 2, 3]))
    def create(self, response_type):
        self.home = Path(tempfile.mkdtemp(prefix="imeiset-"))
        self.twin = oracle.Equipment(response_type)
        made = Register(Policy(response_type=response_type))
        for name, status in (("black", B), ("white", W), ("grey", G)):
            self.twin.list(name, status)["exact"] = {5: "base", 10**13: "base"}
            made.add(name, [5, 10**13], status=status, reasons=["base", "base"])
        for name, kind in (("exempt", "exempt"), ("lock", "lock")):
            self.twin.list(name, W if kind == "exempt" else B, kind)["pairs"] = {(5, HOME)}
            getattr(made, kind)(name, [5], [HOME])
        self.twin.list("guests", G, "imsis")["prefixes"] = {"262"}
        made.add_imsis("guests", ["262"], status=G)
        self.store = Store.create(self.home / "store", made)
        self.reader, self.seen = Store.open(self.home / "store"), self.answers()

    def answers(self):
        questions = [
            (key, imsi) for key in (*range(13), *range(10**13, 10**13 + 13)) for imsi in (None, HOME)
        ]
        questions += [(5, AWAY), (5, "001011"), (6, "001019999"), *((text, None) for text in TEXTS)]
        return [self.twin.check(*question) for question in questions], questions

    @rule(
        name=NAMES,
        add=st.lists(KEYS, max_size=5),
        remove=st.lists(KEYS, max_size=5),
        reason=REASONS,
    )
    def apply_exact(self, name, add, remove, reason):
        self.store.apply(Delta(name, add=add, remove=remove, reason=reason or None))
        exact = self.twin.lists[name]["exact"]
        for key in remove:
            exact.pop(key, None)
        exact |= dict.fromkeys(add, reason)

    @rule(
        name=st.sampled_from(["exempt", "lock"]),
        add=st.lists(st.tuples(KEYS, IMSIS), max_size=4),
        data=st.data(),
    )
    def apply_pairs(self, name, add, data):
        pairs = self.twin.lists[name]["pairs"]
        remove = data.draw(st.lists(st.sampled_from([*sorted(pairs), (5, HOME)]), max_size=3))
        columns = [tuple(map(list, zip(*some, strict=True))) or ([], []) for some in (add, remove)]
        self.store.apply(Delta(name, add=columns[0], remove=columns[1]))
        self.twin.lists[name]["pairs"] = (pairs - set(remove)) | set(add)

    @rule(
        name=st.sampled_from(["black", "white", "grey"]),
        bounds=st.tuples(KEYS, KEYS).map(sorted),
        gone=st.booleans(),
    )
    def apply_range(self, name, bounds, gone):
        low, high = bounds
        if high - low > 100:
            high = low
        ranges = self.twin.lists[name]["range"]
        change = ([low], [high])
        self.store.apply(Delta(name, rule="range", **{"remove" if gone else "add": change}))
        covered = {key for begin, end in ranges for key in range(begin, end + 1)}
        covered = covered - set(range(low, high + 1)) if gone else covered | set(range(low, high + 1))
        self.twin.lists[name]["range"] = {(key, key) for key in covered}

    @rule(name=st.sampled_from(["black", "grey"]), add=st.booleans())
    def apply_tac(self, name, add):
        self.store.apply(Delta(name, rule="tac", **{"add" if add else "remove": ["10000000"]}))
        self.twin.lists[name]["tac"] = {10**7} if add else set()

    @rule(add=PREFIXES, remove=PREFIXES)
    def apply_prefixes(self, add, remove):
        self.store.apply(Delta("guests", add=sorted(add), remove=sorted(remove)))
        one = self.twin.lists["guests"]
        one["prefixes"] = (one["prefixes"] - remove) | add

    @rule(name=NAMES, add=st.sets(st.sampled_from(TEXTS)), remove=st.sets(st.sampled_from(TEXTS)))
    def apply_irregular(self, name, add, remove):
        self.store.apply(Delta(name, rule="irregular", add=add, remove=remove))
        one = self.twin.lists[name]
        one["texts"] = (one["texts"] - remove) | add

    @rule(keys=st.sets(KEYS), force=st.booleans())
    def replace(self, keys, force):
        """All lists anew, with other black IMEIs; refused if these are too few."""
        made = Register(self.store.policy)
        for name, one in self.twin.lists.items():
            if one["kind"] in ("exempt", "lock"):
                columns = tuple(map(list, zip(*sorted(one["pairs"]), strict=True))) or ([], [])
                getattr(made, one["kind"])(name, *columns)
            elif one["kind"] == "imsis":
                made.add_imsis(name, sorted(one["prefixes"]), status=one["status"])
            else:
                exact = dict.fromkeys(sorted(keys), "new") if name == "black" else one["exact"]
                imeis = ImeiSet.from_keys(sorted(exact), irregular=one["texts"])
                made.add(name, imeis, status=one["status"], reasons=[exact[key] for key in sorted(exact)])
                if one["range"]:
                    made.add_ranges(name, *zip(*one["range"], strict=True), status=one["status"])
                made.add_tacs(name, [f"{tac:08d}" for tac in one["tac"]], status=one["status"])
        before = self.store.generation
        if not force and len(keys) < 0.75 * len(self.twin.lists["black"]["exact"]):
            with pytest.raises(StoreShrunk, match="'black' by exact"):
                self.store.replace(made)
            assert self.store.generation == before
            return
        self.store.replace(made, force=force)
        assert self.store.generation == before + 1
        self.twin.lists["black"]["exact"] = dict.fromkeys(keys, "new")

    @rule(kind=st.sampled_from(["gap", "base", "list", "key", "again"]))
    def bad_apply(self, kind):
        before, delta = self.store.state_id, Delta("black", add=[7])
        calls = {
            "gap": lambda: self.store.apply(delta, sequence=self.store.sequence + 2),
            "base": lambda: self.store.apply(delta, base="f" * 16),
            "list": lambda: self.store.apply(delta, Delta("none", add=[1])),
            "key": lambda: self.store.apply(delta, Delta("black", add=["x"])),
            "again": lambda: self.store.apply(
                Delta("grey", add=[1, 2, 3]), sequence=max(self.store.sequence, 1)
            ),
        }
        if kind == "again" and not self.store.status().journal_records:
            return
        with pytest.raises((StoreError, ValueError)):
            calls[kind]()
        assert self.store.state_id == before

    @rule(
        after=st.integers(0, 12),
        call=st.sampled_from(["pwrite", "fsync", "replace", "unlink", "ftruncate"]),
        what=st.sampled_from(["apply", "compact"]),
    )
    def crash(self, after, call, what):
        """The writer is copied as it stands at some call: that copy goes on, the process is gone."""
        copy, left = self.home / "copy", after
        real = getattr(os, call)

        def dying(*arguments, **names):
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt  # not an OSError: nothing cleans up behind it
            return real(*arguments, **names)

        twin = self.twin.lists["grey"]["exact"]
        with mock.patch(f"os.{call}", dying):
            try:
                if what == "apply":
                    self.store.apply(Delta("grey", add=[9], remove=[5]))
                else:
                    self.store.compact()
                done = what == "apply"
            except (KeyboardInterrupt, StoreInDoubt):
                done = None
        self.store.close()
        shutil.copytree(self.home / "store", copy)
        self.reader.close()
        shutil.rmtree(self.home / "store")
        copy.rename(self.home / "store")
        self.store = Store.open(self.home / "store")
        if done is None and what == "apply":
            done = self.store.check(9).list is not None and 9 in {int(x[:14]) for x in self.store["grey"]}
            done = done and 5 not in {int(x[:14]) for x in self.store["grey"]}
        if done:
            twin.pop(5, None)
            twin[9] = ""
        self.store.apply()
        self.reader, self.seen = Store.open(self.home / "store"), self.answers()

    @rule()
    def compact(self):
        """The next base is what a register built anew from its lists would be."""
        self.store.compact()
        path = self.home / "store" / f"base-{self.store.generation:08d}.imei"
        Register.verify(path)
        assert path.read_bytes() == anew(self.home / "store", self.store)

    @rule()
    def prune(self):
        self.store.prune(1)

    @rule()
    def reopen(self):
        self.store.close()
        self.store = Store.open(self.home / "store", mode="memory")

    @rule()
    def refresh(self):
        self.reader.refresh()
        self.seen = self.answers()
        assert self.reader.sequence == self.store.sequence

    @invariant()
    def the_writer_is_the_twin(self):
        self.agrees(self.store, *self.answers())

    @invariant()
    def the_reader_is_what_it_last_saw(self):
        self.agrees(self.reader, *self.seen)

    @staticmethod
    def agrees(store, expected, questions):
        for question, said in zip(questions, expected, strict=True):
            if isinstance(question[0], bytes) and said[2] == "default":  # on no list, it is only malformed
                with pytest.raises(ImeiError):
                    store.check(*question)
                continue
            found = store.check(*question)
            assert (found.status, found.list, found.rule, "|".join(found.reasons)) == said
        numbers = [at for at, (key, _) in enumerate(questions) if isinstance(key, int)]
        keys, imsis = ([questions[at][side] for at in numbers] for side in (0, 1))
        assert store.check_many(keys, imsis).tolist() == [expected[at][0] for at in numbers]

    def teardown(self):
        if hasattr(self, "home"):
            self.store.close()
            shutil.rmtree(self.home)


TestLiving = Living.TestCase
TestLiving.settings = settings(stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))


def test_a_store_is_a_mapping_of_its_lists(tmp_path):
    register = Register()
    with Store.create(tmp_path / "empty", register) as store:
        assert store
        assert list(store) == []
    register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
    register.add_tacs("models", ["01012300"], status=EquipmentStatus.GREYLISTED)
    with Store.create(tmp_path / "store", register) as store:
        store.apply(Delta("stolen", add=["356938035643809"]))
        assert isinstance(store, Mapping)
        assert "stolen" in store
        assert "lost" not in store
        assert 0 not in store
        assert list(store) == list(store.keys()) == ["stolen", "models"]
        assert dict(store) == {
            "stolen": ImeiSet(["490154203237518", "356938035643809"]),
            "models": ImeiSet(),
        }
        assert store.get("lost") is None
        assert store == store
        with Store.open(tmp_path / "store") as other:
            assert store != other
            assert len({store, other}) == 2
        with pytest.raises(KeyError, match="expected one of stolen, models, got 'lost'"):
            store["lost"]
