"""Stores and registers of previous versions get feeds, owners and history, and lose nothing by it."""

import shutil
from pathlib import Path

import pytest

from imeiset import Delta, EquipmentStatus, Register, Store

GOLDEN = Path(__file__).parent.parent / "golden"
PHONE, OTHER, THIRD = "490154203237518", "356938035643809", "352099001761481"
B = EquipmentStatus.BLACKLISTED


@pytest.fixture
def directory(tmp_path):
    shutil.copytree(GOLDEN / "store-1", tmp_path / "store")
    return tmp_path / "store"


def told(store, imei=None):
    return [(one.sequence, one.list, one.rule, one.action) for one in store.history(imei)]


def test_history_of_a_journal_that_knows_no_repetitions(directory):
    """What was removed was there, as far as it knows; nobody is named. Reading writes nothing."""
    store = Store.open(directory)
    assert [one for one in told(store, OTHER) if one[2] == "exact"] == [(1, "stolen", "exact", "added")]
    assert [one for one in told(store, THIRD) if one[1] == "stolen"] == [
        (1, "stolen", "exact", "added"),
        (2, "stolen", "exact", "removed"),
    ]
    assert [one for one in told(store, PHONE) if one[1] == "good"] == [(0, "good", "exact", "held")]
    events = list(store.history())
    assert {(one.by, one.ref, one.feed, one.number) for one in events} == {("", "", "", None)}
    assert [(one.sequence) for one in events] == sorted(one.sequence for one in events)
    for path in directory.iterdir():
        assert path.read_bytes() == (GOLDEN / "store-1" / path.name).read_bytes()


def test_it_goes_on_with_feeds(directory):
    """The same journal goes on; what was in it stays, and what comes has all that is new."""
    with Store.open(directory) as store, Store.open(directory) as reader:
        before, claims = told(store), store.explain(OTHER)
        counts, digests = store.status().counts, {one.name: one.digest() for one in store.lists}
        assert (store.feeds, {one.owner for one in store.lists}) == ({}, {""})
        store.add_list("op-a stolen", status=B, owner="op-a")
        assert store.apply(Delta("op-a stolen", add=[PHONE], until="2030-01-01"), feed="op-a") == 1
        for step in (store.status, store.compact, reader.refresh):
            step()
            assert told(store)[: len(before)] == before
            assert store.explain(OTHER) == claims
            assert {one.name: one.digest() for one in store.lists if one.owner == ""} == digests
            assert {name: counts[name] for name in counts} == {
                name: store.status().counts[name] for name in counts
            }
        assert told(reader) == told(store)
        store.prune(1, history=100_000)
        assert told(store)[: len(before)] == before
        assert [one.owner for one in reader.explain(PHONE) if one.until] == ["op-a"]


@pytest.mark.parametrize("name", ["register-3.imei", "register-4.imei"])
def test_a_register_of_a_previous_layout_becomes_a_store(tmp_path, name):
    register = Register.verify(GOLDEN / name)
    with Store.create(tmp_path / "store", register) as store:
        assert {one.name: one.digest() for one in store.lists} == {
            one.name: one.digest() for one in register.lists
        }
        store.apply(feed="op-z")
        store.compact()
        with Store.verify(tmp_path / "store") as again:
            assert again.feeds == {"op-z": 1}
            assert {one.name: one.digest() for one in again.lists} == {
                one.name: one.digest() for one in register.lists
            }
