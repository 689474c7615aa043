"""ImeiSet against its contract, Python's own sets, hostile input and damaged files."""

import collections
import contextlib
import copy
import functools
import itertools
import mmap
import operator
import pickle
import random
import struct
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import oracle
import pyroaring
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from imeiset import Imei, ImeiError, ImeiSet, ImeiWarning, ParseStatus, SnapshotError, index, snapshot
from imeiset import columns as columns_module
from imeiset._native import payload
from imeiset.errors import SnapshotBounds, SnapshotKind, SnapshotMissing, SnapshotTruncated

GOLDEN = Path(__file__).parent / "golden" / "set-1.imei"
TAC = 10**6
LAST = 10**14 - 1
BASE = 35_000_000 * TAC
MODES = ["mmap", "memory"]


def text(key):
    return f"{key:014}{oracle.luhn_digit(f'{key:014}')}"


def array(keys):
    return np.array(keys, np.uint64)


def sample(seed=0):
    """Keys of every kind: crowded and thin TACs, runs over their edges, both ends."""
    rng = random.Random(seed)
    keys = {0, 1, LAST, LAST - 1}
    for tac, n in ((0, 40), (35_000_000, 500), (35_000_001, 3000), (86_123_456, 5), (99_999_999, 100)):
        keys.update(tac * TAC + serial for serial in rng.sample(range(TAC), n))
    keys.update(range(BASE + TAC - 50, BASE + TAC + 70))
    keys.update(range(BASE + 500_000, BASE + 500_031))
    keys.update(rng.randrange(10**14) for _ in range(300))
    return keys


@pytest.fixture(scope="module")
def twin():
    return oracle.Members(sample())


@pytest.fixture(scope="module")
def blocked(twin):
    return ImeiSet.from_keys(array(twin.keys))


@pytest.fixture(scope="module")
def asked(twin):
    """Keys to look up: members, neighbours, strangers."""
    rng = random.Random(1)
    members = rng.sample(twin.keys, 400)
    near = [key + d for key in members for d in (-1, 1) if 0 <= key + d <= LAST]
    keys = members + near + [rng.randrange(10**14) for _ in range(100)]
    rng.shuffle(keys)
    return keys


def columns(keys):
    """The same keys as every accepted column, by name. Texts of 15 digits carry the right check digit."""
    texts = [text(key) for key in keys]
    raw = [t.encode() for t in texts]
    lines = b"".join(t + b"\n" for t in raw)
    mapped = mmap.mmap(-1, max(len(lines), 1))
    mapped[: len(lines)] = lines
    unsigned = array(keys)
    wide = np.zeros((len(keys), 3), np.uint64)
    wide[:, 1] = unsigned
    frozen = unsigned.copy()
    frozen.flags.writeable = False
    return {
        "list of str": texts,
        "tuple of bytes": tuple(raw),
        "list of int": list(keys),
        "list of Imei": [Imei(t) for t in texts],
        "mixed list": [(t, r, k)[i % 3] for i, (t, r, k) in enumerate(zip(texts, raw, keys, strict=True))],
        "uint64": unsigned,
        "int64": unsigned.astype(np.int64),
        "big-endian": unsigned.astype(">u8"),
        "read-only": frozen,
        "strided": wide[:, 1],
        "reversed": unsigned[::-1].copy()[::-1],
        "S14": np.array([r[:14] for r in raw], "S14"),
        "S15": np.array(raw, "S15"),
        "S16": np.array([r[:14] + b"77" for r in raw], "S16"),
        "U14": np.array([t[:14] for t in texts], "U14"),
        "U15": np.array(texts, "U15"),
        "U16": np.array([t[:14] + "01" for t in texts], "U16"),
        "objects": np.array(texts, object),
        "lines": lines,
        "lines with CRLF": lines.replace(b"\n", b"\r\n"),
        "lines without the last end": lines[:-1],
        "bytearray": bytearray(lines),
        "memoryview": memoryview(lines),
        "mmap": mapped if lines else b"",
    }


COLUMNS = list(columns([1]))


# ---- making a set --------------------------------------------------------------------


@pytest.mark.parametrize("name", COLUMNS)
def test_any_column_makes_the_set(name, blocked, twin):
    shuffled = random.Random(2).sample(twin.keys, len(twin.keys))
    made = ImeiSet(columns(shuffled + shuffled[:100])[name])
    assert made == blocked
    assert len(made) == len(twin.keys)
    assert len(ImeiSet(columns([])[name])) == 0


def test_a_set_of_nothing():
    for empty in (ImeiSet(), ImeiSet([]), ImeiSet(b""), ImeiSet(array([])), ImeiSet.__new__(ImeiSet)):
        assert len(empty) == 0
        assert not empty
        assert list(empty) == empty[:] == []
        assert "490154203237518" not in empty
        assert empty == ImeiSet()
        assert hash(empty) == hash(ImeiSet())
        assert empty.to_numpy().dtype == np.uint64
        assert not empty.contains(["490154203237518", 0]).any()
        assert (empty.positions([0, LAST]) == -1).all()
        assert [len(part) for part in empty.tac_counts()] == [0, 0]
        assert len(empty.to_roaring()) == 0
        assert empty.nbytes < 1024
        with pytest.raises(IndexError):
            empty[0]
        with pytest.raises(IndexError):
            empty[-1]


@pytest.mark.parametrize(
    "bad", ["", "4901542032375", "49015420323751x", None, -5, 10**14, 1.5, True, object()]
)
def test_a_malformed_row_is_named(bad):
    with pytest.raises(ImeiError) as caught:
        ImeiSet(["490154203237518", 5, bad, "nonsense"])
    assert caught.value.position == 2
    assert caught.value.status == oracle.parse_value(bad)[1]


def test_digits_and_check_digit():
    keys = [49015420323751, 12345678901234]
    fifteen = array([int(text(key)) for key in keys])
    assert ImeiSet(fifteen, digits=15).to_numpy().tolist() == sorted(keys)
    with pytest.raises(ImeiError) as caught:
        ImeiSet(fifteen)
    assert caught.value.status == ParseStatus.FIFTEEN_DIGITS
    assert len(ImeiSet(["490154203237510"], check_digit="spare")) == 1
    for wrong, policy in (("490154203237510", "require"), ("490154203237511", "spare")):
        assert len(ImeiSet([wrong])) == 1
        with pytest.raises(ImeiError):
            ImeiSet([wrong], check_digit=policy)
    for arguments in ({"digits": 16}, {"check_digit": "maybe"}):
        with pytest.raises(ValueError, match="expected"):
            ImeiSet([], **arguments)


@pytest.mark.parametrize(
    "column",
    [5, 1.5, "490154203237518", {1: 2}, Imei("490154203237518"), object(), np.ones(1), np.array([True])],
)
def test_what_is_no_column_is_refused(column, blocked):
    for use in (ImeiSet, blocked.contains, blocked.positions, functools.partial(blocked.contains, threads=3)):
        with pytest.raises(TypeError):
            use(column)


def test_columns_have_one_dimension(blocked):
    for matrix in (np.ones((2, 2), np.uint64), np.ones((2, 2), np.int64), np.full((2, 2), "49015420323751")):
        for use in (ImeiSet, ImeiSet.from_keys, blocked.contains):
            with pytest.raises(ValueError, match="one dimension"):
                use(matrix)


# ---- from keys -----------------------------------------------------------------------


def test_keys_in_any_order(blocked, twin):
    keys = array(twin.keys)
    rng = np.random.default_rng(3)
    again = np.concatenate((keys, rng.choice(keys, 500)))
    swapped = keys.copy()
    swapped[[7, -7]] = swapped[[-7, 7]]
    for given_keys in (
        keys,
        keys[::-1],
        rng.permutation(keys),
        again,
        np.sort(again),
        swapped,
        np.repeat(keys, 2),
    ):
        before = given_keys.copy()
        assert ImeiSet.from_keys(given_keys) == blocked
        assert (given_keys == before).all()  # the caller's array is left alone


@pytest.mark.parametrize(
    "name", ["list of int", "uint64", "int64", "big-endian", "read-only", "strided", "reversed"]
)
def test_keys_in_any_array(name, blocked, twin):
    assert ImeiSet.from_keys(columns(twin.keys)[name]) == blocked
    assert len(ImeiSet.from_keys(columns([])[name])) == 0


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        (np.array([5, -1]), ParseStatus.NEGATIVE),
        (np.array([-(2**63), 7]), ParseStatus.NEGATIVE),
        (array([5, 10**14]), ParseStatus.FIFTEEN_DIGITS),
        (array([10**14, 5]), ParseStatus.FIFTEEN_DIGITS),
        (array([5, 10**15]), ParseStatus.OUT_OF_RANGE),
        (array([2**63, 5]), ParseStatus.OUT_OF_RANGE),
        (array([5, 2**64 - 2]), ParseStatus.OUT_OF_RANGE),
        (array([5, 2**64 - 1]), ParseStatus.MISSING),
        (array([10**14]).astype(">u8"), ParseStatus.FIFTEEN_DIGITS),
        (np.array([10**14]), ParseStatus.FIFTEEN_DIGITS),
    ],
)
def test_wrong_keys_are_refused(keys, status):
    for column in (keys, keys[::-1], np.repeat(keys, 2)[::2]):
        with pytest.raises(ImeiError) as caught:
            ImeiSet.from_keys(column)
        assert caught.value.status == status
        assert caught.value.position == [oracle.parse_value(int(key))[1] for key in column].index(status)


@pytest.mark.parametrize(
    "keys", [np.array([1.0]), np.array([True]), np.array([1j]), np.array(["2020"], "M8[D]"), 5, None]
)
def test_what_is_no_array_of_keys_is_refused(keys):
    with pytest.raises((TypeError, ValueError)):
        ImeiSet.from_keys(keys)


def test_one_number_is_no_array_of_keys():
    for number in (5, np.int64(5), np.uint64(5), np.array(5, np.uint64)):
        with pytest.raises((TypeError, ValueError), match="expected"):
            ImeiSet.from_keys(number)


def test_masked_keys_are_missing_not_members():
    masked = np.ma.array(array([1, 2, 3]), mask=[False, True, False])
    for make in (ImeiSet, ImeiSet.from_keys):
        with pytest.raises(ImeiError) as caught:
            make(masked)
        assert (caught.value.status, caught.value.position) == (ParseStatus.MISSING, 1)


def test_a_set_keeps_nothing_of_the_array():
    keys = array(sorted(sample(4)))
    made = ImeiSet.from_keys(keys)
    before = made.to_numpy()
    keys[:] = 7
    assert (made.to_numpy() == before).all()


# ---- from ranges ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "ranges",
    [
        [],
        [(0, 0)],
        [(LAST, LAST)],
        [(5, 9), (7, 12)],
        [(7, 12), (5, 9)],
        [(5, 9), (10, 12)],
        [(10, 12), (5, 9)],
        [(5, 9), (11, 12)],
        [(5, 5)] * 7,
        [(0, 100), (5, 6), (90, 110), (111, 111), (113, 113)],
        [(0, 100), (5, 6), (7, 8), (101, 102)],
        [(50, 60), (0, 100), (0, 10), (0, 5)],
        [(BASE + TAC - 20, BASE + TAC + 20), (BASE + TAC, BASE + TAC)],
        [(BASE + TAC - 1, BASE + 2 * TAC)],
        [(BASE + i * 40, BASE + i * 40 + 31 + i % 3) for i in range(100)],
        [(BASE + i * 7, BASE + i * 7) for i in range(1000)],
    ],
)
def test_ranges(ranges):
    twin = oracle.Members.of_ranges([low for low, _ in ranges], [high for _, high in ranges])
    lows, highs = array([low for low, _ in ranges]), array([high for _, high in ranges])
    for dtype in (np.uint64, np.int64, ">u8"):
        made = ImeiSet.from_ranges(lows.astype(dtype), highs.astype(dtype))
        assert made.to_numpy().tolist() == twin.keys
        assert made == ImeiSet.from_keys(array(twin.keys))
    assert ImeiSet.from_ranges(lows.tolist(), highs.tolist()) == made


def test_huge_ranges():
    everything = ImeiSet.from_ranges([0], [LAST])
    assert len(everything) == 10**14
    assert (everything[0], everything[-1]) == (text(0), text(LAST))
    assert everything.nbytes < 1024
    assert "490154203237518" in everything
    assert everything.positions([0, 5, LAST]).tolist() == [0, 5, LAST]
    assert everything.contains(np.random.default_rng(5).integers(0, 10**14, 5000, np.uint64)).all()
    many = array(range(1000)) * array(3 * TAC) + array(BASE)
    whole = ImeiSet.from_ranges(many, many + array(TAC - 1))
    assert len(whole) == 10**9
    assert whole.nbytes < 24_000
    tacs, counts = whole.tac_counts()
    assert (tacs.astype(np.uint64) == many // TAC).all()
    assert (counts == TAC).all()
    assert everything - whole == everything ^ whole
    assert len(everything - whole) == 10**14 - 10**9
    assert whole <= everything
    assert next(iter(everything)) == text(0)


def test_wrong_ranges_are_refused():
    with pytest.raises(ValueError, match="range 1: expected low <= high"):
        ImeiSet.from_ranges([5, 9], [6, 8])
    for lows, highs in (([1, 2], [3]), ([1], []), ([[1]], [[2]])):
        with pytest.raises(ValueError, match="expected"):
            ImeiSet.from_ranges(array(lows), array(highs))
    for lows, highs in (([0], [10**14]), ([10**14], [10**14]), ([0], [2**64 - 1])):
        with pytest.raises(ImeiError):
            ImeiSet.from_ranges(array(lows), array(highs))
    with pytest.raises(ImeiError):
        ImeiSet.from_ranges(np.array([-1]), np.array([5]))


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 80)), max_size=12),
    st.sampled_from([0, BASE - 150, LAST - 380]),
)
def test_any_ranges(ranges, base):
    lows = [base + low for low, _ in ranges]
    highs = [low + length for low, (_, length) in zip(lows, ranges, strict=True)]
    twin = oracle.Members.of_ranges(lows, highs)
    assert ImeiSet.from_ranges(array(lows), array(highs)).to_numpy().tolist() == twin.keys


@pytest.mark.parametrize("seed", range(4))
def test_a_large_set_and_a_small_one(seed):
    """The operators look the small one up and copy what stays: the same set, the same bytes."""
    rng = np.random.default_rng(seed)
    keys = np.unique(BASE + rng.integers(0, 20 * TAC, 150_000, dtype=np.uint64))
    large = ImeiSet.from_keys(keys) | ImeiSet.from_ranges([BASE + 3 * TAC], [BASE + 5 * TAC])
    inside = rng.choice(large.to_numpy(), 300)
    for small in (inside, inside + np.uint64(1), inside[:0], rng.integers(0, 10**14, 300, dtype=np.uint64)):
        few = ImeiSet.from_keys(small)
        assert len(few) * index._KEYS_BYTES < large.nbytes > index._LARGE
        for one, other in ((large, few), (few, large)):
            for op, made in enumerate((one | other, one & other, one - other, one ^ other)):
                expected = ImeiSet.combine(one, other, op)
                assert list(made.sections()) == list(expected.sections()), op
    texts = ImeiSet(["62#2"], irregular="keep")
    assert (large | texts).irregular.tolist() == [b"62#2"]
    assert (large - texts).irregular.tolist() == []


# ---- membership ----------------------------------------------------------------------


def test_in(blocked, twin, asked):
    for key in asked[:300]:
        for value in (
            key,
            text(key),
            text(key).encode(),
            text(key)[:14],
            Imei(text(key)),
            f"{key:014}99",
            np.int64(key),
        ):
            assert (value in blocked) is (key in twin.set)
    key = next(key for key in twin.keys if key > 10**13)
    t = text(key)
    assert f"{t[:2]}-{t[2:8]}-{t[8:14]}-{t[14]}" in blocked
    assert t[:14] + str((int(t[14]) + 1) % 10) in blocked  # the 15th digit is not compared


@pytest.mark.parametrize(
    "value",
    ["", "1", "4901542032375", "49015420323751812", "49015420323751x", "٤٩٠١٥٤٢٠٣٢٣٧٥١٨",
     "4901542\x003237518", b"", b"\xff" * 15, -1,
     10**14, 490154203237518, 2**64, -(2**70), None, 1.0, float("nan"), True, [], (), object()],
)  # fmt: skip
def test_in_refuses_what_is_no_imei(value, blocked):
    for members in (blocked, ImeiSet()):
        with pytest.raises(ImeiError) as caught:
            value in members  # noqa: B015
        assert caught.value.status == oracle.parse_value(value)[1]
        assert caught.value.position is None


@pytest.mark.parametrize("threads", [1, 2, 5, 10**9])
@pytest.mark.parametrize("name", COLUMNS)
def test_contains_and_positions(name, threads, blocked, twin, asked):
    column = columns(asked)[name]
    found = blocked.contains(column, threads=threads)
    assert found.dtype == np.bool_
    assert found.tolist() == [key in twin.set for key in asked]
    places = blocked.positions(column, threads=threads)
    assert places.dtype == np.int64
    assert places.tolist() == [twin.position(key) for key in asked]
    for malformed in (None, False, True):  # nothing is
        assert (blocked.contains(column, threads=threads, malformed=malformed) == found).all()
    for n in (0, 1, 2, 4):
        part = columns(asked[:n])[name]
        assert blocked.contains(part, threads=threads).tolist() == found[:n].tolist()
        assert blocked.positions(part, threads=threads).tolist() == places[:n].tolist()


def outcome(call):
    """What a call gives, or what it raises, to be compared."""
    try:
        return call().tolist()
    except Exception as error:
        return type(error), str(error), getattr(error, "position", None)


class Wrapped:
    def __init__(self, key):
        self.__imei_key__ = key


SHORT = 128


@pytest.mark.parametrize("malformed", [None, False, True])
@pytest.mark.parametrize("n", [0, 1, 2, SHORT - 1, SHORT, SHORT + 1, 300])
def test_columns_that_are_answered_at_once_are_answered_alike(n, malformed, blocked, asked):
    """Short ones, and arrays of keys, take another way than others."""
    keys = array((asked * 300)[:n])
    texts = [text(key) for key in keys.tolist()]
    wrong = [keys.astype(np.int64), keys.copy(), texts.copy(), texts.copy(), texts.copy()]
    for column, value in zip(wrong, [-1, 10**14, "n/a", None, 10**15], strict=True):
        if n:
            column[n // 2] = value
    twice = np.repeat(keys, 2)
    for column in (
        keys, keys.astype(np.int64), keys.astype(">u8"), keys.astype(np.ulonglong), twice[::2], twice,
        keys[::-1], keys.reshape(1, -1), keys.reshape(-1, 1), keys.astype(np.float64), keys.astype(object),
        keys.astype("M8[us]"), keys.view("V8"), keys.view([("key", np.uint64)]), (keys % 2).astype(bool),
        np.ma.masked_array(keys, keys % 2 == 0), keys.view(np.recarray), pickle.loads(pickle.dumps(keys)),
        texts, tuple(texts), np.array(texts, "S15"), np.array(texts, "U15"), np.array(texts, ">U15"),
        np.array(texts, "S15").reshape(1, -1), np.array(texts, "S20")[::-1], np.array(texts, "S14"),
        [one.encode() for one in texts], keys.tolist(), list(keys), [Imei(one) for one in texts],
        [one.lower() + "\n" for one in texts], [[one] for one in texts], [Wrapped(one) for one in keys],
        b"\n".join(one.encode() for one in texts), *wrong,
    ):  # fmt: skip
        readable = copy.copy(column)
        if isinstance(readable, np.ndarray):
            readable.flags.writeable = False
        general = functools.partial(columns_module.ask, column, blocked.contains_keys, np.bool_)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImeiWarning)
            for digits, given in itertools.product((14, 15), (column, readable)):
                options = {"malformed": malformed, "digits": digits}
                answered = outcome(functools.partial(blocked.contains, given, **options))
                assert answered == outcome(functools.partial(general, **options)), column


def test_answers_are_new_arrays(blocked, asked):
    for column in (array(asked), [text(key) for key in asked[:5]]):
        one, other = blocked.contains(column), blocked.contains(column)
        assert one.dtype == np.bool_
        assert one.flags.writeable
        assert not np.shares_memory(one, other)


def test_a_list_that_shrinks_while_it_is_read(blocked):
    class Shrinking:
        @property
        def __imei_key__(self):
            column.clear()
            return 5

    column = [Shrinking() for _ in range(100)]
    outcome(lambda: blocked.contains(column))


@pytest.fixture(scope="module")
def dirty(twin):
    """50,000 texts of which some are malformed, members and strangers among the others; and the truth."""
    rng = random.Random(6)
    some = []
    for _ in range(2000):
        key = rng.choice(twin.keys) if rng.random() < 0.5 else rng.randrange(10**14)
        good = text(key)
        row = rng.choice([good] * 6 + [good[:14], good[:13], "", good + "9", good[:7] + "x" + good[8:]])
        some.append((row, *oracle.settle(oracle.parse_text(row), "ignore")))
    return [rng.choice(some) for _ in range(50_000)]


@pytest.mark.parametrize("threads", [1, 2, 5, 10**9])
@pytest.mark.parametrize("kind", ["list", "S", "U", "lines", "CRLF"])
def test_malformed_rows(kind, threads, blocked, twin, dirty):
    rows = [row for row, _, _ in dirty]
    raw = [row.encode() for row in rows]
    column = {
        "list": rows,
        "S": np.array(raw),
        "U": np.array(rows),
        "lines": b"\n".join(raw) + b"\n",
        "CRLF": b"\r\n".join(raw) + b"\r\n",
    }[kind]
    for malformed in (False, True):
        expected = [malformed if status else key in twin.set for _, key, status in dirty]
        assert blocked.contains(column, threads=threads, malformed=malformed).tolist() == expected
    first, status = next((row, status) for row, (_, _, status) in enumerate(dirty) if status)
    for ask in (blocked.contains, blocked.positions):
        with pytest.raises(ImeiError) as caught:
            ask(column, threads=threads)
        assert (caught.value.position, caught.value.status) == (first, status)


@pytest.mark.parametrize("threads", [1, 2, 5, 10**9])
@pytest.mark.parametrize("bad", [0, 1, 16_383, 16_384, 19_999, 20_000, 49_999])
@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        (10**14, ParseStatus.FIFTEEN_DIGITS),
        (10**15, ParseStatus.OUT_OF_RANGE),
        (2**63, ParseStatus.OUT_OF_RANGE),
    ],
)
def test_the_first_malformed_row_is_named_wherever_it_is(bad, threads, wrong, status, blocked):
    keys = np.arange(50_000, dtype=np.uint64) * np.uint64(10**9)
    keys[bad] = wrong
    keys[bad:][7::7] = 2**64 - 1
    for column in (keys, keys.astype(np.int64, copy=False) if bad < 0 else keys[:, None][:, 0]):
        with pytest.raises(ImeiError) as caught:
            blocked.contains(column, threads=threads)
        assert (caught.value.position, caught.value.status) == (bad, status)
        for malformed in (False, True):  # is an error all the same: it may be another phone
            with pytest.raises(ImeiError) as caught:
                blocked.contains(column, threads=threads, malformed=malformed)
            assert (caught.value.position, caught.value.status) == (bad, status)
    keys[bad] = 2**64 - 1
    out, counted = (blocked.contains(keys, threads=threads, malformed=each) for each in (False, True))
    assert (counted >= out).all()
    assert counted[bad]
    assert not out[bad]


@pytest.mark.filterwarnings("ignore::imeiset.ImeiWarning")
@pytest.mark.parametrize("threads", [1, 2, 5, 10**9])
def test_lines_whose_number_cannot_be_guessed(threads, blocked, twin):
    """Long lines first and short ones later, or the other way round."""
    keys = [*twin.keys[:500], *range(10**12, 10**12 + 500)]
    good = [text(key).encode() for key in keys]
    long, blank = [b"9" * 5000] * 100, [b""] * 300_000
    for rows in (long + good + blank, blank + good + long, good + long + blank + good, blank, long):
        for malformed in (False, True):
            expected = [key in twin.set for key in keys]
            answer = blocked.contains(b"\n".join(rows) + b"\n", threads=threads, malformed=malformed)
            assert len(answer) == len(rows)
            is_good = np.array([len(row) == 15 for row in rows])
            assert answer[is_good].tolist() == expected * (int(is_good.sum()) // len(keys))
            assert (answer[~is_good] == malformed).all()


def test_more_threads_than_rows(blocked, twin):
    for threads in (7, 100, 1000):
        assert blocked.contains(array(twin.keys[:5]), threads=threads).tolist() == [True] * 5
        assert blocked.contains(b"490154203237518\n", threads=threads).tolist() == [False]
        assert blocked.contains(b"", threads=threads).tolist() == []
    for threads in (0, -1):
        for ask in (blocked.contains, blocked.positions):
            with pytest.raises(ValueError, match="threads: expected at least 1"):
                ask([1], threads=threads)


def test_answers_belong_to_the_caller(blocked, twin):
    keys = array(twin.keys)
    for threads in (1, 2):
        first = blocked.contains(keys, threads=threads)
        first[:] = False
        places = blocked.positions(keys, threads=threads)
        places[:] = 0
        assert blocked.contains(keys, threads=threads).all()
        assert (blocked.positions(keys, threads=threads) == np.arange(len(keys))).all()


# ---- order ---------------------------------------------------------------------------


def test_order(blocked, twin):
    texts = twin.texts()
    assert list(blocked) == texts
    assert len(blocked) == len(texts)
    numbers = blocked.to_numpy()
    assert numbers.dtype == np.uint64
    assert numbers.tolist() == twin.keys
    one, other = iter(blocked), iter(blocked)
    assert [next(one), next(one), next(other)] == [texts[0], texts[1], texts[0]]
    assert [blocked[i] for i in range(0, len(texts), 17)] == texts[::17]
    assert [blocked[-i] for i in range(1, len(texts), 17)] == texts[::-17]
    assert blocked[np.int64(3)] == texts[3]


def test_long_sets_are_read_in_pieces():
    rng = np.random.default_rng(7)
    keys = np.unique(
        np.concatenate(
            (rng.integers(0, 10**14, 40_000, np.uint64), np.arange(BASE, BASE + 70_000, dtype=np.uint64))
        )
    )
    members = ImeiSet.from_keys(keys)
    assert (members.to_numpy() == keys).all()
    read = list(members)
    assert len(read) == len(keys)
    assert [int(t[:14]) for t in read] == keys.tolist()
    assert all(t == text(int(t[:14])) for t in read[::97])


@pytest.mark.parametrize("n", [2**14 - 1, 2**14, 2**14 + 1, 2**15, 2**16 - 1, 2**16, 2**16 + 1])
def test_sets_as_long_as_the_pieces(n):
    apart = array(range(n)) * array(10**9)
    members = ImeiSet.from_keys(apart)
    assert sum(1 for _ in members) == n
    assert (members.to_numpy() == apart).all()
    assert members.to_roaring() == pyroaring.BitMap64(apart.tolist())
    assert (members.tac_counts()[1] == 1).all()


def test_slices(blocked, twin):
    texts = twin.texts()
    edges = [None, 0, 1, 5, -1, -5, len(texts) - 1, len(texts), len(texts) + 5, -len(texts), -len(texts) - 5]
    for start, stop in itertools.product(edges, repeat=2):
        for step in (None, 1, 97, -1, -97):
            if step in (None, 1, -1) and not (start in edges[3:6] and stop in (5, -1, -5)):
                continue  # long ones are slow
            assert blocked[start:stop:step] == texts[start:stop:step]
    with pytest.raises(ValueError, match="slice step"):
        blocked[::0]


def test_positions_outside(blocked):
    n = len(blocked)
    for position in (n, n + 1, -n - 1, 2**63 - 1, 2**63, 2**64, 2**70, -(2**63), -(2**64), -(2**70)):
        with pytest.raises(IndexError):
            blocked[position]
    for position in (1.0, "0", None, (0,)):
        with pytest.raises(TypeError):
            blocked[position]


def test_positions_address_columns(blocked, twin, asked):
    reasons = np.array([f"reason {key}" for key in twin.keys])
    places = blocked.positions(array(asked))
    for key, place in zip(asked, places.tolist(), strict=True):
        assert (reasons[place] == f"reason {key}") if key in twin.set else (place == -1)


def test_tac_counts(blocked, twin):
    tacs, counts = blocked.tac_counts()
    assert (tacs.dtype, counts.dtype) == ("S8", np.uint32)
    assert list(zip(map(int, tacs), counts.tolist(), strict=True)) == twin.tac_counts()


@pytest.mark.parametrize(
    "ranges",
    [
        [(0, 0)],
        [(LAST, LAST)],
        [(0, TAC)],
        [(TAC - 1, 3 * TAC)],
        [(BASE - 1, BASE), (BASE + TAC - 1, BASE + TAC - 1)],
        [(BASE, BASE + 5 * TAC - 1), (BASE + 5 * TAC + 1, BASE + 5 * TAC + 1)],
        [(BASE + i * 2 * TAC + i * 2, BASE + (i * 2 + 1) * TAC + i * 2) for i in range(400)],
    ],
)
def test_tac_counts_of_ranges(ranges):
    members = ImeiSet.from_ranges(*array(ranges).T)
    expected = {}
    for low, high in ranges:
        for tac in range(low // TAC, high // TAC + 1):
            inside = min(high, tac * TAC + TAC - 1) - max(low, tac * TAC) + 1
            expected[tac] = expected.get(tac, 0) + inside
    tacs, counts = members.tac_counts()
    assert dict(zip(map(int, tacs), counts.tolist(), strict=True)) == expected
    assert tacs.tolist() == [b"%08d" % tac for tac in sorted(expected)]
    by_size = sorted(expected.items(), key=lambda item: (-item[1], item[0]))
    for n in (0, 1, 3, 1000):
        tacs, counts, total = members.biggest_tacs(n)
        assert (tacs.dtype, counts.dtype) == ("S8", np.uint32)
        assert (type(total), total) == (int, len(expected))
        assert sorted(counts.tolist(), reverse=True) == [count for _, count in by_size[:n]] == counts.tolist()
        assert all(
            expected[int(tac)] == count for tac, count in zip(tacs.tolist(), counts.tolist(), strict=True)
        )


def test_biggest_tacs(blocked, twin):
    by_size = sorted(
        zip(*(column.tolist() for column in blocked.tac_counts()), strict=True), key=lambda t: (-t[1], t[0])
    )
    tacs, counts, total = blocked.biggest_tacs(5)
    assert total == len(by_size)
    assert list(zip(tacs.tolist(), counts.tolist(), strict=True)) == by_size[:5]
    with pytest.raises(ValueError, match="0 or more"):
        blocked.biggest_tacs(-1)


def test_biggest_tacs_of_everything_takes_no_memory():
    tacs, counts, total = ImeiSet.from_ranges([7], [LAST]).biggest_tacs(3)
    assert (tacs.tolist(), counts.tolist(), total) == (
        [b"00000001", b"00000002", b"00000003"],
        [TAC] * 3,
        10**8,
    )


# ---- algebra -------------------------------------------------------------------------


ALGEBRA = [operator.or_, operator.and_, operator.sub, operator.xor]
COMPARISONS = [operator.eq, operator.ne, operator.le, operator.lt, operator.ge, operator.gt]


def families():
    """Pairs of key sets, equal, nested, overlapping and apart."""
    keys = sorted(sample(8))
    other = sorted(sample(9))
    return [
        set(),
        {0},
        {LAST},
        set(keys),
        set(keys[::2]),
        set(keys[:-1]),
        set(keys[1:]),
        set(keys) ^ {keys[50], keys[50] + 1},
        set(other),
        {key + 1 for key in keys if key < LAST},
        set(range(BASE, BASE + 3000)),
    ]


def test_algebra_and_comparisons():
    pairs = [(ImeiSet.from_keys(array(sorted(keys))), keys) for keys in families()]
    for (a, left), (b, right) in itertools.product(pairs, repeat=2):
        for op in ALGEBRA:
            result = op(a, b)
            assert type(result) is ImeiSet
            assert result.to_numpy().tolist() == sorted(op(left, right))
        for op in COMPARISONS:
            assert op(a, b) is op(left, right)
        assert a.isdisjoint(b) is left.isdisjoint(right)
        assert (hash(a) == hash(b)) or left != right


def test_in_place_operators_leave_the_set_alone(blocked, twin):
    members = blocked
    members |= ImeiSet([5])
    members -= ImeiSet([0])
    members &= members
    members ^= ImeiSet([6])
    assert members.to_numpy().tolist() == sorted((twin.set | {5}) - {0} ^ {6})
    assert blocked.to_numpy().tolist() == twin.keys


@pytest.mark.parametrize("other", [[1], "490154203237518", 5, None, {1: 2}, Imei("490154203237518")])
def test_operators_are_between_sets(other):
    members = ImeiSet([1])
    for op in ALGEBRA + COMPARISONS[2:]:
        with pytest.raises(TypeError):
            op(members, other)
        with pytest.raises(TypeError):
            op(other, members)
    assert (members == other) is False
    assert (members != other) is True
    if not isinstance(other, list):
        for named in (members.union, members.issubset, members.issuperset, members.isdisjoint):
            with pytest.raises(TypeError):
                named(other)


def test_operators_with_other_sets():
    """They answer as sets do, on either side; but nothing equals what has another hash."""
    members = [
        (ImeiSet.from_keys(array(sorted(keys))), keys, {text(key) for key in keys})
        for keys in families()
        if len(keys) < 5000
    ]
    for (a, left, mine), (b, right, texts) in itertools.product(members, repeat=2):
        for op in ALGEBRA:
            expected = sorted(op(left, right))
            for other in (texts, frozenset(texts), dict.fromkeys(texts).keys(), frozenset(right)):
                result = op(a, other)
                assert type(result) is ImeiSet
                assert result.to_numpy().tolist() == expected
            for kind in (set, frozenset):
                assert op(kind(mine), b).to_numpy().tolist() == expected
        for kind in (set, frozenset):
            other = kind(texts)
            for op in COMPARISONS[2:]:
                assert op(a, other) is op(left, right)
                assert op(kind(mine), b) is op(left, right)
            assert (a == other) is (other == a) is False
            assert (a != other) is True
    for op in ALGEBRA + COMPARISONS[2:]:
        with pytest.raises(ImeiError):
            op(ImeiSet([1]), {"x"})
        with pytest.raises(ImeiError):
            op({"x"}, ImeiSet([1]))


def test_named_methods_take_any_columns():
    pairs = [(ImeiSet.from_keys(array(sorted(keys))), keys) for keys in families() if len(keys) < 5000]
    for (a, left), (b, right) in itertools.product(pairs, repeat=2):
        texts = [text(key) for key in sorted(right)]
        keys, lines = array(sorted(right)), "\n".join(texts).encode()
        for other in (lambda: b, lambda: texts, lambda: iter(texts), lambda: keys, lambda: lines):  # noqa: B023
            for named in ("union", "intersection", "difference", "symmetric_difference"):
                result = getattr(a, named)(other())
                assert type(result) is ImeiSet
                assert result.to_numpy().tolist() == sorted(getattr(left, named)(right))
            for named in ("issubset", "issuperset", "isdisjoint"):
                assert getattr(a, named)(other()) is getattr(left, named)(right)
    few = ImeiSet([1, 2, 3])
    assert few.union([4], {text(5)}, ImeiSet([6])).to_numpy().tolist() == [1, 2, 3, 4, 5, 6]
    assert few.intersection([1, 2], [2, 3]).to_numpy().tolist() == [2]
    assert few.difference([1], [2]).to_numpy().tolist() == [3]
    assert few.union() is few.intersection() is few.difference() is few
    for named in (few.union, few.issubset, few.isdisjoint, few.symmetric_difference):
        with pytest.raises(ImeiError, match="row 1"):
            named([1, "x"])


def test_a_set_is_an_abstract_set(blocked, twin):
    assert isinstance(blocked, Set)
    assert issubclass(ImeiSet, Set)
    assert hash(ImeiSet(iter([1]))) == hash(ImeiSet([1]))
    assert [*reversed(blocked)] == [*blocked][::-1]


@pytest.mark.parametrize("keys", [*families(), set(range(BASE - 5000, BASE + 5000))], ids=len)
def test_reversed(keys, monkeypatch):
    monkeypatch.setattr("imeiset.index._SPAN", 100)
    members = ImeiSet.from_keys(array(sorted(keys)))
    assert [*reversed(members)] == [text(key) for key in sorted(keys, reverse=True)]
    everything = ImeiSet.from_ranges([0], [LAST])
    assert [*itertools.islice(reversed(everything), 3)] == [text(LAST), text(LAST - 1), text(LAST - 2)]


@pytest.mark.parametrize(
    "make", [iter, set, frozenset, lambda t: dict.fromkeys(t).keys(), lambda t: map(Imei, t),
             lambda t: map(str.encode, t), collections.deque, lambda t: (int(one[:14]) for one in t)]
)  # fmt: skip
def test_iterables_are_columns(make, blocked, twin):
    texts = [text(key) for key in twin.keys[:50]]
    assert ImeiSet(make(texts)).to_numpy().tolist() == twin.keys[:50]
    for threads in (1, 3):
        assert blocked.contains(make(texts), threads=threads).all()
    assert sorted(blocked.positions(make(texts)).tolist()) == [*range(50)]
    with pytest.raises(ImeiError, match="row 2: "):
        ImeiSet(one for one in [*texts[:2], "x"])
    with pytest.raises(ImeiError, match="row 2: "):
        blocked.contains((one for one in [*texts[:2], "x"]), threads=2)


def test_a_set_of_a_set():
    """It is the same set, unless it is to treat irregular identities otherwise."""
    few, kept = ImeiSet([1]), ImeiSet([1, "62#2"], irregular="keep")
    assert ImeiSet(few) is few
    assert ImeiSet(kept, irregular="keep") is kept
    assert ImeiSet(few, irregular="keep").irregular.tolist() == []
    assert few.irregular is None
    with pytest.raises(ImeiError):
        ImeiSet(kept)
    assert ImeiSet(ImeiSet([1], irregular="keep")).irregular is None
    assert kept >= ImeiSet([1])
    assert kept.issuperset(["62#2", 1])
    assert not few.issuperset(kept)
    assert kept.difference(["62#2"]) == few


def test_sets_as_keys():
    one, same = ImeiSet([1, 2, 3]), ImeiSet.from_ranges([1], [3])
    assert {one: "x"}[same] == "x"
    assert len({one, same, ImeiSet([1, 2]), ImeiSet()}) == 3


# ---- files ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("keys", [*families(), set(range(BASE - 5000, BASE + 5000))], ids=len)
def test_save_and_open(keys, mode, tmp_path):
    members = ImeiSet.from_keys(array(sorted(keys)))
    members.save(tmp_path / "a.imei")
    members.save(str(tmp_path / "b.imei"), generation=5)
    opened = ImeiSet.open(tmp_path / "a.imei", mode=mode)
    assert opened == members == ImeiSet.open(str(tmp_path / "b.imei"), mode=mode)
    assert type(opened) is ImeiSet
    assert opened.to_numpy().tolist() == sorted(keys)
    assert opened.contains(array(sorted(keys))).all()
    assert opened.positions(array(sorted(keys))).tolist() == list(range(len(keys)))
    assert opened.nbytes == members.nbytes
    assert hash(opened) == hash(members)
    assert ImeiSet.verify(tmp_path / "a.imei") == members
    header = snapshot.open(tmp_path / "b.imei")
    assert (header.kind, header.count, header.generation) == ("set", len(keys), 5)
    opened.save(tmp_path / "c.imei")
    assert (tmp_path / "a.imei").read_bytes() == (tmp_path / "c.imei").read_bytes()
    assert list(opened | ImeiSet()) == list(members)


def test_the_same_set_is_the_same_file(tmp_path, blocked, twin):
    keys = array(twin.keys)
    lows, highs = array(twin.runs()).T
    ways = [
        blocked,
        ImeiSet.from_keys(np.random.default_rng(10).permutation(keys)),
        ImeiSet.from_ranges(lows, highs),
        ImeiSet(twin.texts()),
        ImeiSet.from_keys(keys[::2]) | ImeiSet.from_keys(keys[1::2]),
        ImeiSet.from_keys(keys[:2000]) ^ ImeiSet.from_keys(keys[2000:]),
        ImeiSet.from_ranges([0], [LAST]) - (ImeiSet.from_ranges([0], [LAST]) - blocked),
        ImeiSet.from_roaring(blocked.to_roaring()),
        pickle.loads(pickle.dumps(blocked)),
    ]
    files = []
    for number, members in enumerate(ways):
        members.save(tmp_path / f"{number}.imei")
        files.append((tmp_path / f"{number}.imei").read_bytes())
    assert all(data == files[0] for data in files)


@pytest.mark.parametrize("mode", MODES)
def test_an_open_set_outlives_its_file(mode, tmp_path, blocked, twin):
    path = tmp_path / "list.imei"
    blocked.save(path)
    opened = ImeiSet.open(path, mode=mode)
    ImeiSet([5]).save(path)
    assert ImeiSet.open(path).to_numpy().tolist() == [5]
    path.unlink()
    assert opened.to_numpy().tolist() == twin.keys
    opened.save(path)  # and may be written to the path it came from
    ImeiSet.open(path, mode=mode).save(path)
    assert ImeiSet.verify(path) == blocked


def test_a_failed_save_leaves_the_file(tmp_path, blocked):
    blocked.save(tmp_path / "list.imei")
    before = (tmp_path / "list.imei").read_bytes()
    with pytest.raises(ValueError, match="generation"):
        ImeiSet().save(tmp_path / "list.imei", generation=-1)
    with pytest.raises(OSError, match="missing"):
        ImeiSet().save(tmp_path / "missing" / "list.imei")
    assert (tmp_path / "list.imei").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["list.imei"]


def test_files_that_hold_no_set(tmp_path, blocked):
    path = tmp_path / "file.imei"
    with pytest.raises(SnapshotMissing):
        ImeiSet.open(path)
    sections = blocked.sections()
    for kind, parts, count, error in [
        ("register", sections, len(blocked), SnapshotKind),
        ("set", sections, len(blocked) + 1, SnapshotBounds),
        ("set", sections[1:], len(blocked), SnapshotBounds),
        ("set", sections[:-1], len(blocked), SnapshotBounds),
        ("set", [], 0, SnapshotBounds),
        ("set", [(name, data[:-64]) for name, data in sections], len(blocked), SnapshotBounds),
        ("set", [(name, b"") for name, _ in sections], 0, SnapshotBounds),
    ]:
        snapshot.write(path, kind, parts, count=count)
        for use in (ImeiSet.open, functools.partial(ImeiSet.open, mode="memory"), ImeiSet.verify):
            with pytest.raises(error) as caught:
                use(path)
            assert caught.value.path == str(path)
            assert caught.value.expected
            assert caught.value.got
    with pytest.raises(ValueError, match="mode"):
        ImeiSet.open(path, mode="rw")


def test_a_file_cut_anywhere(tmp_path, blocked):
    blocked.save(tmp_path / "whole.imei")
    data = (tmp_path / "whole.imei").read_bytes()
    path = tmp_path / "cut.imei"
    for size in sorted({*range(0, 600, 7), *range(0, len(data), 64), len(data) - 1}):
        path.write_bytes(data[:size])
        for mode in MODES:
            with pytest.raises(SnapshotError) as caught:
                ImeiSet.open(path, mode=mode)
            assert isinstance(caught.value, SnapshotTruncated) or size < 80


# ---- damaged files, checksums made right again -----------------------------------------


HEADER = struct.Struct("<8sIIQQQ8sQQQ")
ENTRY = struct.Struct("<8sQQQ")


def sealed(data, entries):
    """The bytes of a snapshot with every checksum computed anew."""
    data = bytearray(data)
    for number in range(entries):
        start = HEADER.size + number * ENTRY.size
        name, offset, length, _ = ENTRY.unpack_from(data, start)
        checksum = xxhash.xxh3_64_intdigest(data[offset : offset + length])
        ENTRY.pack_into(data, start, name, offset, length, checksum)
    table = bytes(data[HEADER.size : HEADER.size + entries * ENTRY.size])
    struct.pack_into("<Q", data, HEADER.size - 16, xxhash.xxh3_64_intdigest(table))
    struct.pack_into("<Q", data, HEADER.size - 8, xxhash.xxh3_64_intdigest(bytes(data[: HEADER.size - 8])))
    return bytes(data)


def victims():
    """Small sets that have every kind of line between them."""
    rng = random.Random(11)
    few = {BASE + serial for serial in rng.sample(range(TAC), 60)}
    spilled = {rng.randrange(10**14) for _ in range(120)} | {0, LAST}
    corner = set(range(BASE + 5 * TAC, BASE + 5 * TAC + 200, 2))
    runs = set(range(BASE + TAC - 40, BASE + TAC + 40)) | set(range(BASE + 300_000, BASE + 300_100))
    return {
        "empty": set(),
        "one": {BASE + 5},
        "spill": spilled,
        "lines": few | {key + 3 * TAC for key in few},
        "mixed": few | corner | runs | set(list(spilled)[:20]),
        "dense": set(range(BASE, BASE + TAC, 900)),
    }


def questions(keys, sections):
    """What to ask of a damaged set: members, neighbours, and whatever its directory and fences name."""
    rng = np.random.default_rng(12)
    tacs = np.frombuffer(sections["slots"], np.uint64) & np.uint64(2**27 - 1)
    tacs = np.unique(np.concatenate((tacs, np.frombuffer(sections["tacs"], np.uint32).astype(np.uint64))))
    named = (tacs * np.uint64(TAC))[:, None] + np.linspace(0, TAC - 1, 40).astype(np.uint64)
    fences = np.frombuffer(sections["fences"], np.uint64)
    wanted = (
        array(sorted(keys)),
        array(sorted(keys)) + array(1),
        array(sorted(keys)) - array(1),
        named.ravel(),
        fences,
    )
    wanted += (rng.integers(0, 10**14, 100, np.uint64), array([0, LAST]))
    wanted = np.unique(np.concatenate(wanted))
    return wanted[wanted <= LAST]


def answers(members, asked):
    """All that a set says, or the errors it ends in. Bounded, whatever runs a damaged set claims."""
    claimed = 0
    with contextlib.suppress(SnapshotError):
        for lows, highs in members.runs():
            claimed += sum(high - low + 1 for low, high in zip(lows.tolist(), highs.tolist(), strict=True))
    tell = [
        lambda: members.contains(asked).tolist(),
        lambda: members.positions(asked).tolist(),
        lambda: list(itertools.islice(members, len(asked) + 10_000)),
        lambda: [members[i] for i in range(0, len(members), 7)],
        lambda: (members == ImeiSet(), members <= members, members.isdisjoint(members), hash(members)),
    ]
    if claimed < 10**7:  # else these take as much memory
        tell += [
            lambda: members.to_numpy().tolist(),
            lambda: [part.tolist() for part in members.tac_counts()],
            lambda: members.to_roaring().serialize(),
            lambda: (members | ImeiSet([BASE])).to_numpy().tolist(),
            lambda: (members - ImeiSet([BASE])).to_numpy().tolist(),
        ]
    said = [claimed]
    for answer in tell:
        try:
            said.append(answer())
        except (ValueError, SnapshotError, OverflowError, MemoryError) as error:
            said.append(repr(error))
    return said


def assert_survived(path, mode, keys):
    """Opening may refuse, and nothing crashes; what `verify` lets pass answers in every way like the
    set of the keys that it reads. (Damage that makes another sound set is for the checksums to find.)"""
    verified = None
    with contextlib.suppress(SnapshotError):
        verified = ImeiSet.verify(path)
    try:
        members = ImeiSet.open(path, mode=mode)
    except SnapshotError:
        assert verified is None
        return
    asked = questions(keys, dict(members.sections()))
    said = answers(members, asked)
    if verified is not None:
        assert said == answers(ImeiSet.from_keys(members.to_numpy()), asked)


@pytest.mark.parametrize("name", victims())
def test_any_damaged_byte(name, tmp_path):
    keys = victims()[name]
    ImeiSet.from_keys(array(sorted(keys))).save(tmp_path / "whole.imei")
    data = (tmp_path / "whole.imei").read_bytes()
    path = tmp_path / "damaged.imei"
    rng = random.Random(13)
    missed = []
    for entry, section in enumerate(snapshot.open(tmp_path / "whole.imei").sections):
        _, offset, length, _ = ENTRY.unpack_from(data, HEADER.size + entry * ENTRY.size)
        ways = list(itertools.product(range(length), (0xFF, 0x01, 0x80, rng.randint(1, 255))))
        for at, change in rng.sample(ways, min(len(ways), 130)):
            damaged = bytearray(data)
            damaged[offset + at] ^= change
            path.write_bytes(sealed(damaged, len(payload.SECTIONS)))
            try:
                assert_survived(path, MODES[at % 2], keys)
            except AssertionError:
                missed.append((section, at, change))
    assert not missed


def test_random_damage_to_many_bytes(tmp_path):
    rng = random.Random(14)
    for keys in victims().values():
        whole = ImeiSet.from_keys(array(sorted(keys)))
        for _ in range(40):
            sections = {name: bytearray(section) for name, section in whole.sections()}
            for name, section in sections.items():
                if name != "meta" and section and rng.random() < 0.5:
                    for _ in range(rng.choice([1, 5, 50])):
                        section[rng.randrange(len(section))] = rng.choice(
                            [0, 1, 127, 128, 255, rng.randrange(256)]
                        )
            snapshot.write(tmp_path / "damaged.imei", "set", sections.items(), count=len(whole))
            assert_survived(tmp_path / "damaged.imei", rng.choice(MODES), keys)


# ---- Roaring ---------------------------------------------------------------------------


def test_roaring_both_ways(blocked, twin):
    bitmap = blocked.to_roaring()
    assert isinstance(bitmap, pyroaring.BitMap64)
    assert list(bitmap) == twin.keys
    assert ImeiSet.from_roaring(bitmap) == blocked
    assert ImeiSet.from_roaring(bitmap.serialize()) == blocked
    bitmap.run_optimize()
    assert ImeiSet.from_roaring(bitmap.serialize()) == blocked
    assert (
        ImeiSet.from_roaring(pyroaring.BitMap64())
        == ImeiSet.from_roaring(pyroaring.BitMap64().serialize())
        == ImeiSet()
    )
    frozen = pyroaring.FrozenBitMap64(twin.keys)
    assert ImeiSet.from_roaring(frozen) == blocked


def test_roaring_of_whole_tacs():
    whole = ImeiSet.from_ranges([BASE - 5], [BASE + 2 * TAC + 5])
    assert ImeiSet.from_roaring(whole.to_roaring()) == whole


def test_roaring_of_long_runs_is_not_expanded(monkeypatch):
    monkeypatch.setattr("imeiset.roaring._EXPANDED", 1 << 10)
    rng = np.random.default_rng(8)
    lows = array(range(300)) * array(7 * TAC) + array(BASE)
    mixed = ImeiSet.from_ranges(lows, lows + array(TAC - 1)) | ImeiSet.from_keys(
        np.concatenate(
            [rng.integers(0, 10**14, 5000, np.uint64), np.arange(0, 40_000, 2, np.uint64), array([LAST])]
        )
    )
    bitmap = mixed.to_roaring()
    assert ImeiSet.from_roaring(bitmap) == mixed
    assert ImeiSet.from_roaring(pyroaring.FrozenBitMap64(bitmap)) == mixed
    assert ImeiSet.from_roaring(bitmap.serialize()) == mixed
    bitmap.add(10**14)
    with pytest.raises(ImeiError):
        ImeiSet.from_roaring(bitmap)


def test_roaring_too_large_for_memory():
    with pytest.raises(MemoryError, match="containers"):
        ImeiSet.from_ranges([0], [LAST]).to_roaring()


def test_roaring_keys_too_large():
    for key in (10**14, 2**63, 2**64 - 1):
        with pytest.raises(ImeiError):
            ImeiSet.from_roaring(pyroaring.BitMap64([5, key]))


def test_roaring_of_another_kind():
    for other in (pyroaring.BitMap([1, 2]), pyroaring.FrozenBitMap([1, 2, 3]), 5, None, "text", [1], {1}):
        with pytest.raises(TypeError):
            ImeiSet.from_roaring(other)


def test_hostile_roaring(blocked):
    good = pyroaring.BitMap64(
        [*range(100), *range(10**12, 10**12 + 70_000), *range(10**13, 10**13 + 99_999, 7)]
    )
    good.run_optimize()
    data = good.serialize()
    for size in [*range(100), *range(0, len(data), 997), len(data) - 1]:
        with pytest.raises(ValueError, match=r"(?i)bitmap"):
            ImeiSet.from_roaring(data[:size])
    for more in (b"\0", b"junk", data):
        with pytest.raises(ValueError, match=r"(?i)expected|bitmap"):
            ImeiSet.from_roaring(data + more)
    rng = random.Random(15)
    for _ in range(500):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(rng.choice([60, len(data)]))] = rng.randrange(256)
        with contextlib.suppress(ValueError):
            members = ImeiSet.from_roaring(bytes(damaged))
            assert (np.diff(members.to_numpy().astype(np.int64)) > 0).all()


# ---- an immutable value ------------------------------------------------------------------


def test_nothing_changes_a_set(blocked, twin):
    for arguments in ((), ([5],), ([],)):
        with contextlib.suppress(TypeError):
            blocked.__init__(*arguments)
    assert blocked.to_numpy().tolist() == twin.keys
    for name in ("anything", "nbytes", "select", "contains", "__class__", "__dict__", "views", "ix"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(blocked, name, None)
        with pytest.raises((AttributeError, TypeError)):
            delattr(blocked, name)
    with pytest.raises(TypeError):
        blocked[0] = "490154203237518"
    with pytest.raises(TypeError):
        del blocked[0]
    with pytest.raises(AttributeError):
        blocked.__dict__  # noqa: B018
    for _, section in blocked.sections():
        with pytest.raises(TypeError):
            section[0:1] = b"x"
    with pytest.raises(ValueError, match="read-only"):
        blocked.line_tacs()[0] = 5


def test_pickle_and_copy(blocked, twin, tmp_path):
    blocked.save(tmp_path / "list.imei")
    for members in (
        blocked,
        ImeiSet(),
        ImeiSet.open(tmp_path / "list.imei"),
        ImeiSet.from_ranges([0], [LAST]),
    ):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            again = pickle.loads(pickle.dumps(members, protocol))
            assert type(again) is ImeiSet
            assert again == members
            assert again.nbytes == members.nbytes
        assert copy.copy(members) == copy.deepcopy(members) == members
        assert copy.deepcopy([members])[0] == members
    assert pickle.loads(pickle.dumps(blocked)).contains(array(twin.keys)).all()


def test_repr_shows_no_imei(blocked):
    assert repr(blocked) == f"<ImeiSet of {len(blocked):,} IMEIs, {blocked.nbytes:,} bytes>"
    assert str(ImeiSet(["490154203237518"])).startswith("<ImeiSet of 1 IMEI")


def test_nbytes(blocked):
    assert blocked.nbytes == sum(len(section) for _, section in blocked.sections())
    assert blocked.nbytes * 8 < 40 * len(blocked)


# ---- threads and processes -----------------------------------------------------------------


def test_many_threads_read_one_set(tmp_path, blocked, twin, asked):
    blocked.save(tmp_path / "list.imei")
    members = ImeiSet.open(tmp_path / "list.imei")
    expected = {
        "contains": [key in twin.set for key in asked],
        "positions": [twin.position(key) for key in asked],
        "numpy": twin.keys,
        "texts": twin.texts()[::401],
        "or": len(twin.keys) + 1,
        "in": [key in twin.set for key in asked[:200]],
        "split": [key in twin.set for key in asked] * 40,
    }
    keys, many = array(asked), array(asked * 40)
    tasks = {
        "contains": lambda: members.contains(keys).tolist(),
        "positions": lambda: members.positions(keys).tolist(),
        "numpy": lambda: members.to_numpy().tolist(),
        "texts": lambda: members[::401],
        "or": lambda: len(members | ImeiSet([12345678901234])),
        "in": lambda: [key in members for key in asked[:200]],
        "split": lambda: members.contains(many, threads=3).tolist(),
    }
    start = threading.Barrier(8)

    def work(seed):
        order = random.Random(seed).sample(sorted(tasks), len(tasks))
        start.wait()
        return [name for name in order * 3 if tasks[name]() != expected[name]]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [[]] * 8


def run(code):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=300,  # an emulator needs a minute to import NumPy
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_forked_child_has_threads_of_its_own():
    printed = run("""
        import os, signal, threading
        import numpy as np
        from imeiset import ImeiSet
        keys = np.arange(0, 10**14, 10**9, dtype=np.uint64)
        blocked = ImeiSet.from_keys(keys)
        assert blocked.contains(keys, threads=2).all()
        busy = threading.Event()
        def work():
            while not busy.is_set():
                blocked.contains(keys, threads=2)
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads: thread.start()
        for _ in range(5):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                ok = blocked.contains(keys, threads=2).all() and blocked.contains(keys, threads=5).all()
                grandchild = os.fork()
                if grandchild == 0:
                    os._exit(0 if blocked.contains(keys, threads=3).all() else 1)
                ok = ok and os.waitpid(grandchild, 0)[1] == 0
                os._exit(0 if ok else 1)
            print(os.waitpid(child, 0)[1])
        busy.set()
        for thread in threads: thread.join()
        assert blocked.contains(keys, threads=2).all()
    """)
    assert printed == ["0"] * 5


def test_the_threads_do_not_hold_up_the_end():
    assert run("""
        import numpy as np
        from imeiset import ImeiSet
        keys = np.arange(100_000, dtype=np.uint64)
        print(ImeiSet.from_keys(keys).contains(keys, threads=4).all())
    """) == ["True"]


# ---- any sequence of operations --------------------------------------------------------------


def some_keys():
    """Lists of keys that crowd a few TACs, in runs, combs and at random."""
    tacs = st.sampled_from([0, 1, 35_000_000, 35_000_001, 10**8 - 1])
    starts = st.one_of(st.integers(0, TAC - 1), st.sampled_from([0, 1, TAC - 40, TAC - 32, TAC - 1]))
    lengths = st.sampled_from([1, 2, 3, 24, 25, 31, 32, 33, 64, 120, 400])
    steps = st.sampled_from([1, 2, 3, 1000, 7919])
    blocks = st.tuples(tacs, starts, lengths, steps).map(
        lambda b: [
            key for key in range(b[0] * TAC + b[1], b[0] * TAC + b[1] + b[2] * b[3], b[3]) if key <= LAST
        ]
    )
    crowds = st.tuples(tacs, st.integers(0, 9), lengths).map(
        lambda c: [c[0] * TAC + serial for serial in random.Random(c[1]).sample(range(TAC), c[2])]
    )
    return st.lists(st.one_of(blocks, crowds), max_size=4).map(
        lambda parts: [key for part in parts for key in part]
    )


class SetMachine(RuleBasedStateMachine):
    """ImeiSet beside Python's set: whatever is done to one is done to the other."""

    sets = Bundle("sets")

    @initialize()
    def begin(self):
        self.made = 0
        self.latest = (ImeiSet(), frozenset())

    def keep(self, members, keys):
        self.latest = members, frozenset(keys)
        return self.latest

    @rule(
        target=sets,
        keys=some_keys(),
        way=st.sampled_from(["keys", "texts", "lines", "sorted", "reversed", "strided"]),
    )
    def construct(self, keys, way):
        make = {
            "keys": lambda: ImeiSet.from_keys(array(keys)),
            "texts": lambda: ImeiSet([text(key) for key in keys]),
            "lines": lambda: ImeiSet("".join(f"{key:014}\r\n" for key in keys).encode()),
            "sorted": lambda: ImeiSet.from_keys(np.sort(array(keys))),
            "reversed": lambda: ImeiSet.from_keys(np.sort(array(keys))[::-1]),
            "strided": lambda: ImeiSet(np.repeat(array(keys).astype(np.int64), 3)[::3]),
        }
        return self.keep(make[way](), keys)

    @rule(
        target=sets,
        lows=st.lists(st.sampled_from([0, BASE, BASE + TAC - 40, LAST - 300]), max_size=4),
        data=st.data(),
    )
    def construct_ranges(self, lows, data):
        lows = [low + data.draw(st.integers(0, 100)) for low in lows]
        highs = [low + data.draw(st.integers(0, 150)) for low in lows]
        return self.keep(
            ImeiSet.from_ranges(array(lows), array(highs)), oracle.Members.of_ranges(lows, highs).set
        )

    @rule(target=sets, one=sets, other=sets, op=st.sampled_from(ALGEBRA))
    def algebra(self, one, other, op):
        return self.keep(op(one[0], other[0]), op(one[1], other[1]))

    @rule(target=sets, one=sets, keys=some_keys(), op=st.sampled_from(ALGEBRA))
    def change(self, one, keys, op):
        return self.keep(op(one[0], ImeiSet.from_keys(array(keys))), op(one[1], frozenset(keys)))

    @rule(target=sets, one=sets, mode=st.sampled_from([*MODES, "verify"]))
    def save_and_open(self, one, mode):
        path = Path(self.directory) / f"{self.made}.imei"
        self.made += 1
        one[0].save(path)
        return self.keep(ImeiSet.verify(path) if mode == "verify" else ImeiSet.open(path, mode=mode), one[1])

    @rule(target=sets, one=sets)
    def pickle(self, one):
        return self.keep(pickle.loads(pickle.dumps(one[0])), one[1])

    @rule(target=sets, one=sets)
    def roaring(self, one):
        return self.keep(ImeiSet.from_roaring(one[0].to_roaring().serialize()), one[1])

    @rule(one=sets, keys=some_keys(), threads=st.sampled_from([1, 1, 3]))
    def look_up(self, one, keys, threads):
        members, expected = one
        asked = [*keys, *sorted(expected)[:200], *(key + 1 for key in sorted(expected)[:200] if key < LAST)]
        order = {key: i for i, key in enumerate(sorted(expected))}
        assert members.contains(array(asked), threads=threads).tolist() == [key in expected for key in asked]
        assert members.positions(array(asked), threads=threads).tolist() == [
            order.get(key, -1) for key in asked
        ]
        assert [text(key) in members for key in asked[:20]] == [key in expected for key in asked[:20]]

    @rule(one=sets, other=sets)
    def compare(self, one, other):
        for op in COMPARISONS:
            assert op(one[0], other[0]) is op(one[1], other[1])
        assert one[0].isdisjoint(other[0]) is one[1].isdisjoint(other[1])
        assert one[1] != other[1] or hash(one[0]) == hash(other[0])

    @rule(one=sets, data=st.data())
    def index(self, one, data):
        members, expected = one[0], [text(key) for key in sorted(one[1])]
        position = data.draw(st.integers(-len(expected) - 2, len(expected) + 2))
        if -len(expected) <= position < len(expected):
            assert members[position] == expected[position]
        else:
            with pytest.raises(IndexError):
                members[position]
        part = slice(
            position, position + data.draw(st.integers(-3, 20)), data.draw(st.sampled_from([None, 1, 2, -1]))
        )
        assert members[part] == expected[part]

    @invariant()
    def reads_the_same(self):
        members, keys = self.latest
        assert len(members) == len(keys)
        assert members.to_numpy().tolist() == sorted(keys)
        assert [
            (int(tac), count) for tac, count in zip(*members.tac_counts(), strict=True)
        ] == oracle.Members(keys).tac_counts()
        assert list(itertools.islice(members, 10)) == [text(key) for key in sorted(keys)[:10]]


@pytest.fixture(autouse=True)
def directory_of_the_machine(tmp_path):
    SetMachine.directory = tmp_path


TestSetMachine = SetMachine.TestCase
TestSetMachine.settings = settings(max_examples=60, stateful_step_count=15)


# ---- bytes that stay ---------------------------------------------------------------------------


def golden_set():
    """A set with lines of several shapes, full ones, runs and far singles, from arithmetic alone."""
    keys = {
        tac * TAC + (i * i * 7919 + i * 104_729) % TAC
        for tac, n in ((1, 30), (35_000_000, 700))
        for i in range(n)
    }
    keys |= {35_000_001 * TAC + i * 2 for i in range(200)}  # more than a line has room for
    keys |= {i * 1_234_567_890_123 % 10**14 for i in range(100)}
    keys |= {0, LAST}
    runs = ImeiSet.from_ranges(
        [86 * 10**12 - 50, 35_000_000 * TAC + 400_000], [86 * 10**12 + TAC, 35_000_000 * TAC + 400_031]
    )
    return ImeiSet.from_keys(array(sorted(keys))) | runs


def test_golden_file(tmp_path):
    golden_set().save(tmp_path / "set.imei")
    assert (tmp_path / "set.imei").read_bytes() == GOLDEN.read_bytes()
    assert ImeiSet.verify(GOLDEN) == golden_set()
    for mode in MODES:
        assert ImeiSet.open(GOLDEN, mode=mode) == golden_set()


def test_the_golden_set_is_small(tmp_path):
    golden_set().save(tmp_path / "set.imei")
    assert (tmp_path / "set.imei").stat().st_size < 20_000


def test_keys_that_change_while_they_are_read():
    """Another thread writes the array: an error or some set, never a crash (see `make sanitize`)."""
    rng = np.random.default_rng(9)
    keys = rng.integers(0, 10**14, 300_000, np.uint64)
    ascending = np.sort(keys)
    stop = threading.Event()

    def scribble():
        wild = rng.integers(0, 2**64, 300_000, np.uint64, endpoint=False)
        while not stop.is_set():
            for target in (keys, ascending):
                target[:] = wild
                target[:] = np.arange(len(target), dtype=np.uint64)

    writer = threading.Thread(target=scribble)
    writer.start()
    try:
        for _ in range(20):
            for given in (keys, ascending):
                with contextlib.suppress(ValueError):
                    ImeiSet.from_keys(given)
    finally:
        stop.set()
        writer.join()


def test_integers_with_their_check_digit_in_everything_that_takes_columns():
    """One number is stored without its leading zero; without `digits` both are wrong or refused."""
    lost, whole = 12345678901237, 352099001761481
    texts = ["012345678901237", "352099001761481"]
    numbers = [lost, whole]
    listed = ImeiSet(texts)
    for column in (numbers, tuple(numbers), set(numbers), np.array(numbers), np.array(numbers, np.uint64)):
        assert ImeiSet(column, digits=15) == listed
        assert ImeiSet().union(column, digits=15) == listed
        assert listed.intersection(column, digits=15) == listed
        assert not listed.difference(column, digits=15)
        assert not listed.symmetric_difference(column, digits=15)
        assert listed.issubset(column, digits=15)
        assert listed.issuperset(column, digits=15)
        assert not listed.isdisjoint(column, digits=15)
        for ask in (
            *(listed.union, listed.intersection, listed.difference, listed.symmetric_difference),
            *(listed.issubset, listed.issuperset, listed.isdisjoint, ImeiSet, listed.contains),
        ):
            with pytest.raises(ImeiError, match="digits=15"):
                ask(column)
    keys = ImeiSet.from_ranges([lost], [lost + 20], digits=15)
    assert len(keys) == 3
    assert texts[0] in keys
    for digits in (13, 16, "15", None):
        with pytest.raises(ValueError, match="expected 14 or 15"):
            listed.union(numbers, digits=digits)
