"""History that is damaged, missing or of another store: an error, never another history; the store serves."""

import shutil
from unittest import mock

import pytest

from imeiset import Delta, EquipmentStatus, Register, Store
from imeiset.errors import StoreDamaged, StoreError, StoreMissing

from .month import HOUR, START

B = EquipmentStatus.BLACKLISTED
KEYS = list(range(10**13, 10**13 + 9))


def register(keys, owner=None):
    made = Register()
    made.add("op-a stolen", keys, status=B, owner=owner, reasons=["lost"] * len(keys))
    return made


def make(directory, first=0):
    """Four generations: of changes, of a compaction, of a feed's full list, and of all lists anew.

    first: 1 for another store.
    """
    with mock.patch("time.time_ns", side_effect=range(START + 1000 * first, START + 10**6 * HOUR, HOUR)):
        store = Store.create(directory, register(KEYS[:3], "op-a"))
        store.apply(
            Delta("op-a stolen", add=KEYS[first : first + 1], reason="new", ref="case 7"), feed="op-a"
        )
        store.compact()
        store.apply(Delta("op-a stolen", remove=KEYS[first : first + 1]), feed="op-a")
        store.replace(register(KEYS[2 : 6 + first]), feed="op-a", through=9, ref="full", force=True)
        store.apply(Delta("op-a stolen", add=KEYS[7:8], until="2030-01-01"), feed="op-a")
        store.replace(register(KEYS[4:9], "op-a"), by="administrator", force=True)
        store.apply(Delta("op-a stolen", remove=KEYS[4:5], by="op-a"))
        store.prune(1, history=10**5)
        store.close()
    return directory


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make(tmp_path_factory.mktemp("whole") / "store")


@pytest.fixture
def directory(tmp_path, whole):
    shutil.copytree(whole, tmp_path / "store")
    return tmp_path / "store"


def listed(store):
    return [key for key, status in zip(KEYS, store.check_many(KEYS).tolist(), strict=True) if status]


def told(directory, *arguments):
    return list(Store.open(directory).history(*arguments))


def serves(directory, found=None):
    """It answers, and goes on: nothing of that needs history."""
    with Store.open(directory) as store:
        assert listed(store) == KEYS[5:9]
        number = store.apply(Delta("op-a stolen", add=KEYS[:1], by="op-a"))
        store.compact()
        assert listed(Store.open(directory)) == [KEYS[0], *KEYS[5:9]]
    return number


FILES = ["journal-00000001", "journal-00000002", "history-00000003", "journal-00000003", "history-00000004"]


def test_what_is_kept(whole):
    assert sorted(path.name for path in whole.iterdir()) == sorted(
        [*FILES, "base-00000004.imei", "current", "journal-00000004", "lock"]
    )
    events = told(whole)
    actions = [
        (one.number, one.action, int(one.imei[:14]) - KEYS[0]) for one in events if one.rule == "exact"
    ]
    assert actions[:2] == [(1, "changed", 0), (2, "removed", 0)]
    assert sorted(actions[2:6]) == [(9, "added", 3), (9, "added", 4), (9, "added", 5), (9, "removed", 1)]
    assert actions[6] == (10, "added", 7)
    assert sorted(actions[7:-1], key=str) == sorted(
        [
            (None, "added", 6),
            (None, "added", 8),
            (None, "changed", 7),
            (None, "removed", 2),
            (None, "removed", 3),
        ],
        key=str,
    )
    assert actions[-1] == (None, "removed", 4)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_an_error(directory, name):
    path, events = directory / name, told(directory)
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        if 56 <= at < 72:  # the committed length, of which there are two
            assert told(directory) == events
            continue
        with pytest.raises(StoreDamaged) as caught:
            told(directory)
        assert "00000" in str(caught.value), "it names the file"
    serves(directory)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_is_an_error(directory, name):
    path = directory / name
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(StoreDamaged):
            told(directory)
    serves(directory)


@pytest.mark.parametrize("name", FILES[1:])
def test_a_file_that_is_missing_is_an_error(directory, name):
    (directory / name).unlink()
    with pytest.raises(StoreDamaged):
        told(directory)
    with pytest.raises(StoreDamaged):
        told(directory, KEYS[4])
    serves(directory)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_store_is_an_error(tmp_path, directory, name):
    other = make(tmp_path / "other", 1)
    assert (other / name).read_bytes() != (directory / name).read_bytes()
    shutil.copy(other / name, directory / name)
    with pytest.raises(StoreDamaged):
        told(directory)
    serves(directory)


def test_a_file_of_another_generation_is_an_error(directory):
    for name, other in (("history-00000003", "history-00000004"), ("journal-00000002", "journal-00000001")):
        data = (directory / name).read_bytes()
        shutil.copy(directory / other, directory / name)
        with pytest.raises(StoreDamaged):
            told(directory)
        (directory / name).write_bytes(data)
    serves(directory)


def test_what_is_no_file_is_an_error(directory):
    for name in FILES[1:]:
        path = directory / name
        data = path.read_bytes()
        path.unlink()
        path.mkdir()
        with pytest.raises((StoreError, OSError)):
            told(directory)
        path.rmdir()
        path.write_bytes(data)
    serves(directory)


def test_a_reader_of_a_pruned_generation_says_so(directory):
    with Store.open(directory) as writer, Store.open(directory) as reader:
        writer.compact()
        writer.prune(1)
        for key in (None, KEYS[4]):
            with pytest.raises(StoreMissing, match=r"pruned since this state was read, refresh\(\)"):
                list(reader.history(key))
        reader.refresh()
        assert [event.action for event in reader.history(KEYS[5])] == ["held"]


def test_what_a_writer_left_that_died_is_not_history(directory):
    """A full list that was not published."""
    events = told(directory)
    shutil.copy(directory / "history-00000004", directory / "history-00000005")
    assert told(directory) == events
    serves(directory)
    assert told(directory)[: len(events)] == events
