"""When compacting is due, and stores that do it by themselves."""

import errno
from types import SimpleNamespace

import numpy as np
import pytest

from imeiset import Delta, EquipmentStatus, Register, Store
from imeiset.store.journal import Position
from imeiset.store.status import compact_due

B = EquipmentStatus.BLACKLISTED
PHONE = "490154203237518"


def keys(start, n):
    return np.arange(start, start + n, dtype=np.uint64) * np.uint64(7919)


@pytest.fixture
def directory(tmp_path):
    register = Register()
    register.add("stolen", [PHONE], status=B)
    Store.create(tmp_path / "store", register).close()
    return tmp_path / "store"


def grow(store, start=0):
    """Changes after which compacting is due."""
    return store.apply(Delta("stolen", add=keys(start, 600_000)))


def test_compacting_is_due_when_the_journal_is_long(directory):
    with Store.open(directory) as store:
        store.apply(Delta("stolen", add=keys(0, 1000)))
        assert store.status().compact_due is None
        grow(store)
        due = store.status().compact_due
        assert due.startswith("2 changes pending, ")
        assert due.endswith("% of the base")
        with Store.open(directory) as reader:
            assert reader.status().compact_due == due
        store.compact()
        assert store.status().compact_due is None


MEBI = 1 << 20


@pytest.mark.parametrize(
    ("base", "journal", "due"),
    [
        (1000, 4 * MEBI - 1, None),
        (32 * MEBI, 4 * MEBI - 1, None),
        (32 * MEBI, 4 * MEBI, "7 changes pending, 12% of the base"),
        (80 * MEBI, 10 * MEBI - 1, None),
        (80 * MEBI, 10 * MEBI, "7 changes pending, 12% of the base"),
        (10_000 * MEBI, 256 * MEBI - 1, None),
        (10_000 * MEBI, 256 * MEBI, "7 changes pending, 2% of the base"),
    ],
)
def test_compacting_is_due_at_an_eighth_of_the_base(base, journal, due):
    """But not below 4 MiB, and at 256 MiB in any case."""
    state = SimpleNamespace(
        position=Position(1007, 0, 0, journal),
        base_position=Position(1000, 0, 0),
        file=SimpleNamespace(nbytes=base),
    )
    assert compact_due(state) == due


def test_a_store_compacts_when_that_is_due(directory):
    with Store.open(directory, compact="auto") as store:
        store.apply(Delta("stolen", add=keys(0, 1000)))
        assert store._work is None
        grow(store)
        store._work.result()
        assert store.generation == 2
        store.apply(Delta("stolen", remove=[PHONE]))
        assert store.generation == 2
        grow(store, 10**6)
    with Store.open(directory) as again:  # close waited
        assert (again.generation, again.sequence) == (3, 4)
        assert again.status().compact_due is None
        assert len(again["stolen"]) == 1_200_000
        again.apply(Delta("stolen", add=[PHONE]))  # nobody else writes


def test_a_store_that_only_reads_compacts_nothing(directory):
    with Store.open(directory) as writer, Store.open(directory, compact="auto") as reader:
        grow(writer)
        assert reader.refresh()
        assert reader._work is None
    with pytest.raises(ValueError, match="compact: expected 'auto' or None, got 'always'"):
        Store.open(directory, compact="always")


def test_a_block_of_writing_ends_before_compacting(directory):
    with Store.open(directory, compact="auto") as store:
        with store.writing():
            grow(store)
            store.apply(Delta("stolen", remove=[PHONE]))
            assert store.generation == 1
        store._work.result()
        assert (store.generation, store.sequence) == (2, 2)
        assert PHONE not in store["stolen"]


def test_compacting_that_fails_leaves_the_change(directory, monkeypatch):
    """The status says why; and it is not tried again with every change."""
    failures = []

    def fail(self, held):
        failures.append(self.sequence)
        held.close()
        raise OSError(errno.ENOSPC, "No space left on device")

    with Store.open(directory, compact="auto") as store:
        monkeypatch.setattr(Store, "_compact", fail)
        assert grow(store) == 1
        assert store._work.exception() is not None
        assert "No space left" in store.status().fault
        store.apply(Delta("stolen", remove=[PHONE]))
        assert failures == [1]
        assert grow(store, 10**6) == 3
        store._work.exception()
        assert failures == [1, 3]
        monkeypatch.setattr(Store, "compact_in_background", lambda self: 1 / 0)
        assert grow(store, 2 * 10**6) == 4
        assert "division" in store.status().fault
        monkeypatch.undo()
        grow(store, 3 * 10**6)
        store._work.result()
        assert (store.generation, store.status().fault) == (2, None)
    with Store.open(directory) as again:
        assert len(again["stolen"]) == 2_400_000
