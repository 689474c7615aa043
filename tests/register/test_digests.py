"""The digest of a list is the same whatever changes led to it, and is taken without a copy of the list."""

import tracemalloc
from dataclasses import replace
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import Delta, EquipmentStatus, ImeiSet, Register
from imeiset._native.index import Encoder
from imeiset.register import digests
from imeiset.store.changes import change_of
from imeiset.store.state import lists_after

B = EquipmentStatus.BLACKLISTED
KEYS = st.integers(0, 60) | st.integers(0, 3).map(lambda tac: tac * 10**6 - 1) | st.just(10**14 - 1)
SETS = st.sets(KEYS.filter(lambda key: key >= 0), max_size=25)
REASONS = st.sampled_from([None, "a", "b", "a|b"])
DAYS = st.sampled_from([None, "2024-02-29", "2025-01-01"])
CHANGES = st.lists(st.tuples(SETS, SETS, REASONS, DAYS), max_size=5)


def made(keys, reasons=None, dates=None):
    register = Register()
    register.add("black", np.array(sorted(keys), np.uint64), status=B, reasons=reasons, dates=dates)
    return register.lists


@settings(max_examples=100, deadline=None)
@given(st.data(), SETS, CHANGES, st.sampled_from([1, 3, 1 << 18]))
def test_changes_are_digested_as_what_they_come_to(data, keys, changes, rows):
    reasons, dates = (
        data.draw(st.none() | st.lists(one, min_size=len(keys), max_size=len(keys)))
        for one in (REASONS, DAYS)
    )
    lists = made(keys, reasons, dates)
    with mock.patch.object(digests, "_ROWS", rows):
        for add, remove, reason, date in changes:
            delta = Delta("black", add=sorted(add), remove=sorted(remove), reason=reason, date=date)
            lists = lists_after(lists, [change_of(delta, lists)])
            assert lists[0].digest() == lists[0].flattened().digest()


def test_changes_of_long_runs_are_digested_as_what_they_come_to():
    """Of which nobody looks at each IMEI."""
    lists = made([5, 10**6 + 7])
    wide = ImeiSet.from_ranges([0], [10**12])
    for delta in (Delta("black", add=wide, rule="range"), Delta("black", remove=wide, rule="range")):
        lists = lists_after(lists, [change_of(delta, lists)])
        assert lists[0].digest() == lists[0].flattened().digest()
    exact = replace(
        lists[0].exact, layers=(digests.LayeredSet(wide).changed_by(wide, wide).layers[0],), grown=None
    )
    one = replace(lists[0], exact=exact)
    assert one.digest() == one.flattened().digest()


@settings(max_examples=100, deadline=None)
@given(SETS, SETS, st.integers(1, 9))
def test_runs_are_encoded_with_flips_as_keys_without(keys, flips, at):
    expected, found = Encoder(), Encoder()
    left = np.array(sorted(keys ^ flips), np.uint64)
    whole = bytes(expected.keys(left)) + bytes(expected.finish())
    (lows, highs), others = next(iter(ImeiSet.from_keys(keys).runs())), np.array(sorted(flips), np.uint64)
    cut = int(np.searchsorted(others, highs[:at][-1], "right")) if len(highs) else 0
    parts = [
        bytes(found.runs(lows[:at], highs[:at], others[:cut])),
        bytes(found.runs(lows[at:], highs[at:], others[cut:])),
        bytes(found.finish()),
    ]
    assert b"".join(parts) == whole
    assert ImeiSet.from_keys(keys).digest_with(others) == ImeiSet.from_keys(keys ^ flips).digest_of_keys()


def test_it_takes_little_memory():
    rng = np.random.default_rng(1)
    keys = np.unique(rng.integers(0, 10**12, 500_000).astype(np.uint64))
    lists = made(keys, reasons=["a"] * len(keys))
    delta = Delta("black", add=keys[::500] + np.uint64(1), remove=keys[5::500], reason="b")
    lists = lists_after(lists, [change_of(delta, lists)])
    expected = lists[0].flattened().digest()
    again = lists_after(made(keys, reasons=["a"] * len(keys)), [change_of(delta, lists)])
    tracemalloc.start()
    try:
        assert again[0].digest() == expected
        assert tracemalloc.get_traced_memory()[1] < 8e6  # one copy of both columns
    finally:
        tracemalloc.stop()
