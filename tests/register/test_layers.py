"""Layers of changes, against sets of Python: whatever order they merge in, they say what one would."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imeiset import EquipmentStatus, ImeiSet, Policy, Register
from imeiset._native import simd
from imeiset._native.filters import mark_runs, marks_of_runs
from imeiset._native.imsi import Prefixes
from imeiset._native.layered import Layered
from imeiset._native.pairs import Pairing
from imeiset.register import layers
from imeiset.register.coverage import Coverage
from imeiset.register.details import Column
from imeiset.register.imsis import PrefixLayer
from imeiset.register.layered import NOTHING, LayeredSet
from imeiset.register.layers import LayeredValues, stacked
from imeiset.register.lists import List
from imeiset.register.pairs import NO_PAIRS, LayeredPairs, Pairs
from imeiset.register.rules import Rules
from imeiset.store.touched import Touched

B = EquipmentStatus.BLACKLISTED
KEYS = st.sets(st.integers(0, 40).map(lambda n: 49015420000000 + n * 1_000_003 % 10**7), max_size=8)
ROUNDS = st.lists(st.tuples(KEYS, KEYS), max_size=8)


@pytest.fixture(params=simd.simd_levels())
def level(request):
    before = simd.simd_level()
    simd.use_simd(request.param)
    yield request.param
    simd.use_simd(before)


def each_level():
    """All SIMD levels in turn."""
    before = simd.simd_level()
    try:
        for level in simd.simd_levels():
            simd.use_simd(level)
            yield level
    finally:
        simd.use_simd(before)


@pytest.fixture(params=[(0, 2), (600, 2), (1 << 12, 16), (0, 1e9)], ids=["deep", "few", "as it is", "one"])
def steps(request, monkeypatch):
    """Small layers, so that there are several of a few keys; or none but one."""
    small, step = request.param
    monkeypatch.setattr(layers, "_SMALL", small)
    monkeypatch.setattr(layers, "_STEP", step)


def array(keys):
    return np.array(sorted(keys), np.uint64)


def imeis(keys):
    return ImeiSet.from_keys(array(keys))


class Heavy:
    """A layer that weighs what it is told, and remembers what went into it."""

    def __init__(self, weight, made):
        self.weight, self.made = weight, made

    def over(self, older):
        return Heavy(self.weight + older.weight, self.made + older.made)


@given(st.lists(st.integers(1, 5000), max_size=300))
def test_layers_stay_few_and_in_order(weights):
    found = ()
    for number, weight in enumerate(weights):
        found = stacked(Heavy(weight, [number]), found)
        for upper, lower in pairwise(found):
            assert upper.weight < layers._SMALL or upper.weight * layers._STEP <= lower.weight
        assert all(one.weight >= layers._SMALL for one in found[1:])
    assert [n for one in found for n in one.made] == [*range(len(weights))][::-1]
    assert len(found) <= 4


def test_merging_is_seldom():
    """A layer is merged again when there is a sixteenth more, so n changes cost n log n together."""
    found, merged = (), 0

    class Counted(Heavy):
        def over(self, older):
            nonlocal merged
            merged += self.weight + older.weight
            return Counted(self.weight + older.weight, [])

    for _ in range(20_000):
        found = stacked(Counted(100, []), found)
    assert merged < 100 * 20_000 * 60


@pytest.mark.usefixtures("steps")
def test_sets_in_layers():
    @given(KEYS, ROUNDS)
    def run(before, rounds):
        found, twin = LayeredSet(imeis(before)), set(before)
        asked = np.arange(41, dtype=np.uint64) * np.uint64(1_000_003) % np.uint64(10**7) + np.uint64(
            49015420000000
        )
        asked = np.repeat(asked, 60)  # more than a group
        for add, remove in rounds:
            found = found.changed_by(imeis(add), imeis(remove))
            twin = (twin - remove) | add
            expected = [key in twin for key in asked.tolist()]
            assert found.count() == len(twin)
            for _ in each_level():
                assert found.have(asked).tolist() == expected
                for at in range(0, len(asked), 60):
                    assert found.have(asked[at : at + 1])[0] == expected[at]
        assert set(found.flattened().base.to_numpy().tolist()) == twin
        now = found.changes
        assert not set(now.added.to_numpy().tolist()) & set(now.removed.to_numpy().tolist())

    run()


@pytest.mark.usefixtures("steps")
def test_details_in_layers():
    texts = ["", "a", "b", "stolen"]
    rows = st.dictionaries(st.integers(0, 12), st.sampled_from(texts), max_size=6)

    def columns(said):
        codes = np.array([texts.index(said[key]) for key in sorted(said)], np.int64)
        return Column.of(texts, codes), None, None

    @given(rows, st.lists(st.tuples(rows, st.sets(st.integers(0, 12), max_size=4)), max_size=8))
    def run(before, rounds):
        found, twin = LayeredSet(imeis(before), columns(before)), dict(before)
        for add, remove in rounds:
            found = found.changed_by(imeis(add), imeis(remove), columns(add))
            twin = {key: text for key, text in twin.items() if key not in remove} | add
            assert {key: found.details(key)[0] for key in twin} == twin
            flat = found.flattened()
            assert {key: flat.details(key)[0] for key in twin} == twin
            assert found.has_details or not any(twin.values())

    run()


@pytest.mark.usefixtures("steps")
def test_ranges_in_layers():
    """Long ones, which nobody counts one by one."""
    runs = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=3)

    def members(spans):
        lows = np.array([low * 10**5 for low, _ in spans], np.uint64)
        highs = np.array([(low + more + 1) * 10**5 - 1 for low, more in spans], np.uint64)
        return ImeiSet.from_runs(lows, highs) if len(spans) < 2 else sum_of(zip(lows, highs, strict=True))

    def sum_of(ends):
        found = NOTHING
        for low, high in ends:
            found = found | ImeiSet.from_runs(np.array([low]), np.array([high]))
        return found

    def cells(spans):
        return {cell for low, more in spans for cell in range(low, low + more + 1)}

    @given(runs, st.lists(st.tuples(runs, runs), max_size=6))
    def run(before, rounds):
        found, twin = LayeredSet(members(before)), cells(before)
        for add, remove in rounds:
            found = found.changed_by(members(add), members(remove))
            twin = (twin - cells(remove)) | cells(add)
            assert found.count() == len(twin) * 10**5
            asked = np.arange(45, dtype=np.uint64) * np.uint64(10**5) + np.uint64(5)
            assert found.have(asked).tolist() == [cell in twin for cell in range(45)]
        assert len(found.flattened().base) == len(twin) * 10**5

    run()


@pytest.mark.usefixtures("steps")
def test_pairs_in_layers():
    pairs = st.sets(st.tuples(st.integers(0, 9), st.integers(10**6, 10**6 + 3)), max_size=8)

    def arrays(some):
        return tuple(np.array([pair[side] for pair in sorted(some)], np.uint64) for side in (0, 1))

    @given(pairs, st.lists(st.tuples(pairs, pairs, st.integers(0, 2)), max_size=8))
    def run(before, rounds):
        found, twin = LayeredPairs(Pairs.of(*arrays(before))), dict.fromkeys(before, 0)
        every = arrays({(key, 10**6 + n) for key in range(11) for n in range(5)})
        for add, remove, day in rounds:
            days = np.full(len(add), day, np.int32) if day else None
            found = found.changed_by(arrays(add), arrays(remove), days)
            twin = {pair: end for pair, end in twin.items() if pair not in remove} | dict.fromkeys(add, day)
            assert found.count() == len(twin)
            imeis_now = {key for key, _ in twin}
            asked = [*zip(*map(np.ndarray.tolist, every), strict=True)]
            out = np.empty(len(asked), np.uint8)
            for _ in each_level():
                assert found.have(*every).tolist() == [pair in twin for pair in asked]
                found.pairing.have(*every, out)
                assert out.tolist() == [2 if pair in twin else int(pair[0] in imeis_now) for pair in asked]
                ends = found.until_days(*every).tolist()
                assert [max(end, 0) for end in ends] == [twin.get(pair, 0) for pair in asked]
        keys = np.arange(11, dtype=np.uint64)
        for one in (found, found.flattened()):
            for _ in each_level():
                assert {*zip(*map(np.ndarray.tolist, one.of_imeis(keys)), strict=True)} == set(twin)

    run()


@pytest.mark.usefixtures("steps")
def test_values_in_layers():
    values = st.sets(st.integers(0, 20), max_size=6)

    @given(values, st.lists(st.tuples(values, values), max_size=8))
    def run(before, rounds):
        found, twin = LayeredValues.of(frozenset(before)), set(before)
        for add, remove in rounds:
            found = found.changed_by(add, remove)
            twin = (twin - remove) | add
            assert len(found) == len(twin)
            assert sorted(found) == sorted(twin)
            assert [n in found for n in range(22)] == [n in twin for n in range(22)]
            assert found == twin == found.flattened()
            assert found | {99} == twin | {99} == {99} | found
            assert type(found & twin) is type(found - twin) is frozenset

    run()


PREFIXES = st.dictionaries(st.text("01", min_size=1, max_size=4), st.integers(0, 3), max_size=6)


@pytest.mark.usefixtures("steps")
def test_prefixes_in_layers():
    """Against the longest of a dict; code 0 is a prefix that no list has any more."""
    policy = Policy()
    none = Coverage.of_lists([])

    @given(st.lists(PREFIXES, min_size=1, max_size=8))
    def run(rounds):
        found, twin = (), {}
        for some in rounds:
            found = stacked(PrefixLayer.of({int(f"1{text}"): code for text, code in some.items()}), found)
            twin |= some
            tables = Rules([], policy).tables(none, found)
            imsis = [f"{n:05b}" for n in range(32)]
            expected = []
            for imsi in imsis:
                known = [imsi[:n] for n in range(5, 0, -1) if twin.get(imsi[:n])]
                expected.append(twin[known[0]] if known else 0)
            out = np.empty(32, np.uint16)
            tables.by_prefix(np.array([int(f"1{imsi}") for imsi in imsis], np.uint64), out)
            assert out.tolist() == expected

    run()
    assert Prefixes([(np.zeros(0, np.uint64), np.zeros(0, np.uint16))], [5]) is not None


def test_what_changed_is_known(level):
    """No key of a range, a TAC or a pair that changed is ever missed; few others are asked for."""
    spans = st.tuples(
        st.integers(0, 10**14 - 1), st.sampled_from([0, 1, 1023, 1024, 65535, 65536, 10**6, 3 * 10**6])
    )

    @given(st.lists(spans, min_size=1, max_size=6), st.lists(st.integers(0, 10**14 - 1), max_size=6))
    def run(ranges, keys):
        lows = np.array([low for low, _ in ranges], np.uint64)
        highs = np.minimum(lows + np.array([more for _, more in ranges], np.uint64), np.uint64(10**14 - 1))
        runs = ImeiSet.from_ranges(lows, highs)
        exact, spread = (LayeredSet(NOTHING).changed_by(some, NOTHING) for some in (imeis(keys), runs))
        lists = [List("x", B, exact=exact, range=spread)]
        touched = Touched().after([array(keys)], [(lows, highs)], lists)
        assert touched.spread
        asked = np.concatenate([lows, highs, (lows + highs) // np.uint64(2), array(keys)])
        tables = Rules(lists, Policy()).tables(Coverage.of_lists([]), None, touched.words, touched.spread)
        out = np.empty(len(asked), np.uint8)
        tables.answer(asked, out)
        assert (out == B).all()
        for key in asked.tolist():
            assert tables.read(key, None) is not None

    run()


def test_few_other_keys_are_known():
    rng = np.random.default_rng(3)
    lows = rng.integers(0, 10**14 - 10**7, 20_000, dtype=np.uint64)
    highs = lows + rng.choice([0, 200, 5000], len(lows)).astype(np.uint64)
    count = marks_of_runs(lows, highs)
    assert len(lows) <= count <= 3.5 * len(lows)
    words = np.zeros(1 << 14, np.uint64)
    mark_runs(words, lows, highs)
    assert np.bitwise_count(words).sum() <= 3 * count
    whole = np.array([0], np.uint64), np.array([10**14 - 1], np.uint64)
    assert marks_of_runs(*whole) == 10**8


def test_a_range_over_everything_makes_every_key_known():
    runs = ImeiSet.from_ranges(*([n] for n in (10**12, 9 * 10**13)))
    lists = [List("x", B, range=LayeredSet(NOTHING).changed_by(runs, NOTHING))]
    ends = np.array([10**12], np.uint64), np.array([9 * 10**13], np.uint64)
    touched = Touched().after([], [ends], lists)
    assert len(touched.words) == 1
    tables = Rules(lists, Policy()).tables(Coverage.of_lists([]), None, touched.words, touched.spread)
    asked = np.array([0, 10**12, 5 * 10**13, 9 * 10**13, 9 * 10**13 + 1], np.uint64)
    out = np.empty(5, np.uint8)
    tables.answer(asked, out)
    assert (out == B).tolist() == [False, True, True, True, False]
    assert touched.after([asked], [], lists) is touched


def test_layers_whose_filter_nobody_knows_are_asked_for_every_key(level):
    """A list that changed answers by its changes, however its tables were made."""
    base, new = imeis({1, 2, 3}), imeis({2, 7})
    one = List("x", B, exact=LayeredSet(base).changed_by(new, imeis({3})))
    tables = Rules([one], Policy()).tables(Coverage.of_lists([List("x", B, exact=LayeredSet(base | new))]))
    asked, out = np.arange(10, dtype=np.uint64), np.empty(10, np.uint8)
    tables.answer(asked, out)
    assert np.flatnonzero(out == B).tolist() == [1, 2, 7]


def test_nothing_changed_is_no_layer():
    one, two = LayeredSet(imeis({1})), LayeredPairs(NO_PAIRS)
    none = np.zeros(0, np.uint64)
    assert one.changed_by(NOTHING, NOTHING) is one
    assert two.changed_by((none, none), (none, none)) is two
    assert Layered(imeis({1})) is not None
    assert Pairing(NO_PAIRS.arrays) is not None


def test_the_ends_of_ranges_are_covered():
    """Whatever part of its first and last TAC a range has: one serial, all, all but one."""
    tac = 10**6
    for first, end in [(35, 35), (35, 36), (35, 38), (0, 1)]:
        for low in (first * tac, first * tac + 1, first * tac + tac - 1):
            for high in (end * tac + 1, end * tac, end * tac - 1, end * tac - 2, end * tac + tac - 1):
                if low > high:
                    continue
                register = Register()
                register.add_ranges("batch", [low], [high], status=B)
                asked = np.array([max(low, 1) - 1, low, (low + high) // 2, high, high + 1], np.uint64)
                expected = [low <= key <= high for key in asked.tolist()]
                assert (register.check_many(asked) == B).tolist() == expected, (low, high)
                assert [register.check(key).status == B for key in asked.tolist()] == expected, (low, high)


@pytest.mark.parametrize("tac", [35, 49015420])
def test_what_changed_in_a_whole_tac_stays_covered(tac):
    """A range has the TAC, whatever becomes of its phones on other lists; of other TACs it has nothing."""
    first = tac * 10**6
    spread = ImeiSet.from_ranges([first - 5], [first + 10**6 + 4])
    for change, others in (({first, first + 999_999}, {first + 7}), ({first + 5, first + 3 * 10**6}, set())):
        base = imeis({first, first + 3 * 10**6, 5})
        lists = [
            List("x", B, exact=LayeredSet(base).changed_by(imeis(others), imeis(change))),
            List("y", B, exact=LayeredSet(imeis({9})), range=LayeredSet(spread)),
        ]
        flat = [one.flattened() for one in lists]
        before = Coverage.of_lists([List("x", B, exact=LayeredSet(base)), lists[1]])
        assert before.after(lists, flat) == Coverage.of_lists(flat)
