"""What one of two sets has only, found without reading what is equal: against the sweep over both."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import EquipmentStatus, ImeiSet, Register, diff, index
from imeiset.errors import SnapshotBounds

TACS = [0, 35_123_456, 35_123_457, 86_000_001, 99_999_999]


def runs(pieces):
    """Runs as pairs, those that touch joined."""
    found = []
    for low, high in (
        pair for lows, highs in pieces for pair in zip(lows.tolist(), highs.tolist(), strict=True)
    ):
        if found and found[-1][1] + 1 == low:
            found[-1][1] = high
        else:
            found.append([low, high])
    return found


def compare(old, new):
    pieces = list(old.changes(new))
    assert runs(gone for gone, _, _ in pieces) == runs((old - new).runs())
    assert runs(come for _, come, _ in pieces) == runs((new - old).runs())
    shares = [share for _, _, share in pieces]
    assert shares[-1] == 1
    assert all(one < other for one, other in pairwise(shares))


@st.composite
def lists(draw):
    """Ranges and keys: TACs of every shape, and in some of them runs, also across TACs."""
    seed, span = draw(st.integers(0, 2**32)), draw(st.sampled_from([100, 20_000, 10**6]))
    rng = np.random.default_rng(seed)
    sizes = draw(st.lists(st.sampled_from([0, 1, 20, 26, 300, 4000]), min_size=5, max_size=5))
    keys = np.concatenate(
        [tac * 10**6 + rng.integers(0, span, size) for tac, size in zip(TACS, sizes, strict=True)]
    ).astype(np.uint64)
    lows = [tac * 10**6 + draw(st.integers(0, 10**6 - 1)) for tac in draw(st.lists(st.sampled_from(TACS)))]
    lengths = [draw(st.sampled_from([2, 31, 32, 33, 500, 2 * 10**6])) for _ in lows]
    highs = [min(low + length, 10**14) - 1 for low, length in zip(lows, lengths, strict=True)]
    return ImeiSet.from_keys(keys) | ImeiSet.from_ranges(lows, highs)


@settings(max_examples=150)
@given(lists(), lists(), st.data())
def test_what_one_has_only(one, other, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "_SPAN", data.draw(st.sampled_from([50, 1000, 1 << 19])))
        compare(one, other)
        few = ImeiSet.from_keys([tac * 10**6 + data.draw(st.integers(0, 10**6 - 1)) for tac in TACS])
        compare(one, (one | few) - other)
        compare(one, one)
        compare(one, ImeiSet())
        short = ImeiSet.combine(one, ImeiSet(), 0, 2)  # other lines and another spill
        compare(short, other)
        compare((one | few) - other, short)
        compare(short, one)


def test_spans():
    """Each span knows its TACs only, whatever runs across its ends."""
    one = ImeiSet.from_ranges([5 * 10**6 - 10, 5 * 10**6 + 100], [5 * 10**6 + 10, 9 * 10**6])
    gone, come = one.difference_of_tacs(ImeiSet.from_keys([5 * 10**6]), 5, 7)
    assert gone.tolist() == [[5 * 10**6 + 1, 5 * 10**6 + 10], [5 * 10**6 + 100, 7 * 10**6 - 1]]
    assert come.tolist() == []
    for span in ((7, 6), (0, 10**8 + 1)):
        with pytest.raises(ValueError, match="an ascending span"):
            one.difference_of_tacs(one, *span)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_sets(seed):
    """Anything may come out, but no read outside the arrays, and no keys out of order."""
    rng = np.random.default_rng(seed)
    keys = np.concatenate([tac * 10**6 + rng.integers(0, 10**6, 3000) for tac in TACS]).astype(np.uint64)
    good = ImeiSet.from_keys(keys) | ImeiSet.from_ranges([7 * 10**6], [9 * 10**6])
    sections = {name: bytearray(section) for name, section in good.sections()}
    for name in ("slots", "tacs", "lines", "spill", "fences"):
        section = sections[name]
        for at in rng.integers(0, len(section), max(1, len(section) // 50)).tolist():
            section[at] = int(rng.integers(256))
    bad = ImeiSet.from_sections(sections)
    for one, other in ((good, bad), (bad, good)):
        spans = [one.difference_of_tacs(other, 0, 10**8), one.difference_of_tacs(other, 5, 36 * 10**6)]
        assert all(pairs.shape[1] == 2 for found in spans for pairs in found)
        try:
            tops = [int(piece[0][1][-1]) for piece in one.changes(other) if len(piece[0][1])]
        except SnapshotBounds:
            continue
        assert tops == sorted(tops)


def test_which_list_need_not_be_said_of_one():
    old, new = Register(), Register()
    for one, key in ((old, 35_123_456_000_001), (new, 35_123_456_000_002)):
        one.add("stolen", [key], status=EquipmentStatus.BLACKLISTED)
    assert b"".join(diff(old, new)) == b"".join(diff(old, new, list="stolen")) != b""
    new.add("found", [1], status=EquipmentStatus.GREYLISTED)
    with pytest.raises(ValueError, match="list: expected one of found, stolen, got none"):
        diff(old, new)
