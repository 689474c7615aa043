"""The index against its twin: every kernel, at every SIMD level, on sets chosen to break it."""

import ast
import contextlib
import ctypes
import hashlib
import itertools
import mmap
import os
import random
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from racing import all_while_written

import imeiset.algebra
import imeiset.index
import imeiset.sets
from imeiset._native import payload, simd
from imeiset._native.background import work_in_background
from imeiset._native.checks import CheckTables
from imeiset._native.imsi import Prefixes
from imeiset._native.index import Encoder, IndexReader
from imeiset._native.index import FrozenIndex as Index
from imeiset._native.layered import Detailed, Layered, Level, codes_of
from imeiset.errors import CHECK_DIGIT_CODES, ImeiError, ParseStatus, SnapshotBounds
from imeiset.imei import Imei

LEVELS = simd.simd_levels()
LAST = 10**14 - 1
TAC = 10**6
HASHED = 131_072  # members of a set that may have a hash table
OPERATORS = {"|": 0, "&": 1, "-": 2, "^": 3}
pytestmark = pytest.mark.usefixtures("same_level_after")


# ---- asking --------------------------------------------------------------------


def array(keys):
    return np.array(keys, np.uint64)


def distinct(keys):
    """The keys in order, each once: np.unique hashes, which takes ten times as long for millions."""
    ordered = np.sort(keys)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(keys) else ordered


def from_keys(keys):
    """The index of an array of ascending keys."""
    return Index.from_sorted([keys])


def built(keys):
    return from_keys(distinct(array(keys)))


def ranged(ranges):
    """The index of ascending ranges."""
    return Index.from_runs(array([low for low, _ in ranges]), array([high for _, high in ranges]))


def hashed(index):
    """The index, asked so much that it has a hash table if it is ever to have one."""
    n = 4 * len(index) + 4096 if len(index) <= HASHED else 0
    index.contains_keys(np.zeros(n, np.uint64), np.empty(n, np.uint8))
    return index


def contains(index, keys, *, damaged=False):
    """The answers, the same at every level, hashed and not, and within `out`. Damaged indexes need not answer
    alike hashed and not."""
    answers = []
    for hashes in (False, True):
        if hashes:
            hashed(index)
            if damaged:
                answers = []
        for level in LEVELS:
            simd.use_simd(level)
            out = np.full(len(keys) + 2, 0xA5, np.uint8)
            index.contains_keys(keys, out[1:-1])
            assert out[0] == out[-1] == 0xA5
            answers.append(out[1:-1])
            np.testing.assert_array_equal(answers[0], answers[-1])
    return answers[0]


FORMS = (int, "{:014d}".format, "{:014d}0".format, "{:014d}5".format, "{:014d}09".format, Imei.from_key)


def scalars(index, keys):
    """The answers of `in`, which are the same at every level and for every form of a key."""
    answers = []
    for level in LEVELS:
        simd.use_simd(level)
        answers += [[form(key) in index for key in keys.tolist()] for form in FORMS]
        answers.append([f"{key:014d}7".encode() in index for key in keys.tolist()])
    assert all(answer == answers[0] for answer in answers)
    return answers[0]


def at_every_level(kernel, keys):
    """Numbers of keys at each level, which stay within `out`: of a damaged index they may be any."""
    answers = []
    for level in LEVELS:
        simd.use_simd(level)
        out = np.full(len(keys) + 2, -9, np.int64)
        kernel(keys, out[1:-1])
        assert out[0] == out[-1] == -9
        answers.append(out[1:-1])
    return answers


def numbers(kernel, keys):
    """The same, which are equal at every level."""
    answers = at_every_level(kernel, keys)
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])
    return answers[0]


def positions(index, keys):
    return numbers(index.positions_of_keys, keys)


EVERY = Index.from_runs(array([0]), array([LAST]))


def asked_together(indexes):
    """Which of several sets, by number, have a key, and where: functions of it."""
    parts = [Layered(one) for one in indexes]
    tables = CheckTables(
        EVERY,
        order=["exact"],
        levels={"exact": Level([(part, 1, number) for number, part in enumerate(parts)])},
        pairings=[],
        prefixes=Prefixes(),
        outcomes=bytes(8),
        lists=len(parts),
        detailed={},
        told=lambda *_: None,
        malformed=None,
        unread=None,
    )
    places = [np.arange(len(one) if len(one) < 10**6 else 0, dtype=np.uint32) for one in indexes]
    detailed = [
        Detailed(part, [(at, at.astype(np.uint8), None)]) for part, at in zip(parts, places, strict=True)
    ]
    return (
        lambda key: [code // 256 % 256 - 1 for code in tables.claims(key, 0)],
        lambda key, numbers: codes_of([detailed[number] for number in numbers], key),
    )


def position_of_each(index, keys):
    """The same, one key at a time."""
    return numbers(
        lambda keys, out: out.__setitem__(..., [index.position_of_key(key) for key in keys.tolist()]), keys
    )


def ranks(index, keys):
    return numbers(index.ranks, keys)


def read_keys(reader, chunk=4096):
    pieces = []
    while True:
        out = np.zeros(chunk, np.uint64)
        got = reader.keys(out)
        assert not out[got:].any()
        pieces.append(out[:got])
        if got < chunk:
            return np.concatenate(pieces)


def read_runs(reader, chunk=512):
    pairs = []
    while True:
        lows, highs = np.zeros(chunk, np.uint64), np.zeros(chunk, np.uint64)
        got = reader.runs(lows, highs)
        pairs += zip(lows[:got].tolist(), highs[:got].tolist(), strict=True)
        if got < chunk:
            return pairs


def section_bytes(index):
    return [(name, bytes(section)) for name, section in index.sections()]


# ---- what to ask ---------------------------------------------------------------


def around(keys, rng, n=2000):
    """Keys to look up: members and their neighbours, TAC edges, and anywhere; all below 10**14."""
    keys = keys if len(keys) <= n else distinct(rng.choice(keys, n))
    edges = distinct(keys // TAC) * TAC
    some = rng.integers(0, 10**14, 200, np.uint64)
    near = rng.choice(edges, 500) + rng.integers(0, TAC, 500, np.uint64) if len(edges) else some
    below, above = keys - np.uint64(1), keys + np.uint64(1)
    before, after = keys - np.uint64(TAC), keys + np.uint64(TAC)  # the same serials in other TACs
    wanted = np.concatenate(
        (keys, below, above, before, after, edges, edges - np.uint64(1), edges + np.uint64(TAC), near, some)
    )
    wanted = np.concatenate((wanted, array([0, LAST])))
    wanted = wanted[wanted <= LAST]  # 0 - 1 wrapped around
    rng.shuffle(wanted)
    return wanted


def assert_twin(index, keys, rng, *, n=2000):
    """Everything the index says of a set of keys, given in order, against numpy's own search."""
    assert len(index) == len(keys)
    asked = around(keys, rng, n)
    rank = np.searchsorted(keys, asked).astype(np.int64)
    found = np.searchsorted(keys, asked, "right") > rank
    np.testing.assert_array_equal(contains(index, asked), found)
    np.testing.assert_array_equal(scalars(index, asked[:100]), found[:100])
    np.testing.assert_array_equal(ranks(index, asked), rank)
    np.testing.assert_array_equal(positions(index, asked), np.where(found, rank, -1))
    np.testing.assert_array_equal(position_of_each(index, asked[:100]), np.where(found, rank, -1)[:100])
    np.testing.assert_array_equal(contains(index, keys[-100_000:]), np.ones(min(len(keys), 100_000)))
    np.testing.assert_array_equal(read_keys(index.reader()), keys)
    some = {0, len(keys) - 1, *rng.integers(0, max(len(keys), 1), 10).tolist()}
    for level, position in itertools.product(LEVELS, some):
        simd.use_simd(level)
        if 0 <= position < len(keys):
            assert index.select(position) == keys[position]
    with pytest.raises(IndexError):
        index.select(len(keys))


def test_one_key_in_several_sets():
    """Together, or one after another: the same sets have it, at the same places, at every level."""
    named = [*SETS.values()] * 2
    for count in (1, 2, 7, 63):
        some = named[:count]
        which, where = asked_together([built(keys) for keys in some])
        twins = [oracle.Members(keys.tolist()) for keys in some]
        rng = np.random.default_rng(count)
        asked = np.concatenate([around(keys, rng, 20)[:20] for keys in some])
        for key in np.unique(asked).tolist():
            having = [number for number, twin in enumerate(twins) if key in twin.set]
            places = [twins[number].position(key) for number in having]
            for level in LEVELS:
                simd.use_simd(level)
                assert which(key) == having
                assert where(key, having) == [(0, place, place % 256, 0) for place in places]
                assert [where(key, [number])[0][1] for number in having] == places
                assert all(
                    (found[0] == 0) == (key in twin.set)
                    for found, twin in zip(where(key, range(count)), twins, strict=True)
                )


# ---- the sets --------------------------------------------------------------------


def runs_of(length, at):
    return list(range(at, at + length))


def spread(n, tac, rng):
    return rng.choice(TAC, n, replace=False).astype(np.uint64) + np.uint64(tac * TAC)


def adversarial():
    """Small sets by name: where lists begin, end, join, fill up or leave the ordinary."""
    rng = np.random.default_rng(1)
    base = 35_000_000 * TAC
    sets = {
        "empty": [],
        "lowest": [0],
        "highest": [LAST],
        "both ends": [0, LAST],
        "ends and middle": [0, 1, 2, 50 * 10**12, LAST - 1, LAST],
        "first TAC crowded": list(range(0, TAC, 777)),
        "last TAC crowded": [LAST - x for x in range(0, TAC, 777)],
        "every second of a stretch": list(range(base, base + 4000, 2)),
        "every third of a TAC": list(range(base, base + TAC, 333)),
        "first and last of many TACs": [base + t * TAC + s for t in range(300) for s in (0, TAC - 1)],
        "pairs over TAC edges": [base + t * TAC + s for t in range(1, 300) for s in (-1, 0)],
        "one key per TAC": [base + t * TAC * 17 + t * 31 for t in range(3000)],
        "one key in adjacent TACs": [base + t * TAC + int(rng.integers(TAC)) for t in range(3000)],
        "far TACs in one spill line": [t * TAC + 5 for t in (0, 1, 2, 10**7, 10**7 + 1, 10**8 - 1)],
        "same serial everywhere": [t * TAC + 123456 for t in range(0, 10**8, 55_555)],
        "24 in a TAC": runs_of(24, base),
        "one line": spread(30, 35_000_000, rng).tolist(),
        "adjacent TACs with lines": np.concatenate(
            [spread(60, 35_000_000 + t, rng) for t in range(50)]
        ).tolist(),
        "two TACs far apart": [*spread(100, 0, rng).tolist(), *spread(100, 10**8 - 1, rng).tolist()],
    }
    for length in (2, 30, 31, 32, 33, 63, 64, 65, 1000):
        sets[f"run of {length}"] = runs_of(length, base + 500_000)
        sets[f"run of {length} at the first serial"] = runs_of(length, base)
        sets[f"run of {length} at the last serial"] = runs_of(length, base + TAC - length)
        sets[f"run of {length} over a TAC edge"] = runs_of(length, base + TAC - length // 2)
        sets[f"run of {length} one past a TAC edge"] = runs_of(length, base + TAC - length + 1)
        lists = np.concatenate([spread(200, 35_000_000 + t, rng) for t in range(3)]).tolist()
        sets[f"run of {length} over a TAC edge amid lists"] = lists + runs_of(
            length, base + TAC - length // 2
        )
        several = [
            base + start + i for start in range(0, 40 * (length + 1), length + 1) for i in range(length)
        ]
        sets[f"runs of {length} with gaps of one"] = several
        sets[f"runs of {length} amid a list"] = several + lists
    return {name: np.unique(array(keys)) for name, keys in sets.items()}


SETS = adversarial()

# Sets given by their runs, too long to write down as keys.
LONG = {
    "one whole TAC": [(35_000_000 * TAC, 35_000_001 * TAC - 1)],
    "first TAC": [(0, TAC - 1)],
    "last TAC": [(LAST - TAC + 1, LAST)],
    "a TAC but its first": [(35_000_000 * TAC + 1, 35_000_001 * TAC - 1)],
    "a TAC but its last": [(35_000_000 * TAC, 35_000_001 * TAC - 2)],
    "a TAC but one": [
        (35_000_000 * TAC, 35_000_000 * TAC + 499_999),
        (35_000_000 * TAC + 500_001, 35_000_001 * TAC - 1),
    ],
    "whole TACs, every second": [(t * TAC, t * TAC + TAC - 1) for t in range(35_000_000, 35_002_000, 2)],
    "three TACs and a bit": [(35_000_000 * TAC - 1, 35_000_003 * TAC)],
    "runs that touch TAC edges": [
        (t * TAC + 1, t * TAC + 2 * TAC - 1) for t in range(35_000_000, 35_000_100, 2)
    ],
    "everything": [(0, LAST)],
    "everything but the ends": [(1, LAST - 1)],
    "everything but one": [(0, 35_000_000 * TAC + 4), (35_000_000 * TAC + 6, LAST)],
    "runs of every length": [(35 * 10**12 + (1 << b) * 3, 35 * 10**12 + (1 << b) * 4) for b in range(44)],
}


@pytest.mark.parametrize("name", SETS)
def test_adversarial_sets(name):
    keys = SETS[name]
    index = built(keys)
    assert_twin(index, keys, np.random.default_rng(2))
    twin = oracle.Members(keys.tolist())
    assert read_runs(index.reader()) == twin.runs()
    asked = around(keys, np.random.default_rng(3), 50)
    assert contains(index, asked).tolist() == [key in twin.set for key in asked.tolist()]
    assert ranks(index, asked).tolist() == [twin.rank(key) for key in asked.tolist()]
    assert positions(index, asked).tolist() == [twin.position(key) for key in asked.tolist()]
    assert scalars(index, asked) == [key in twin.set for key in asked.tolist()]


@pytest.mark.parametrize("name", [name for name, keys in SETS.items() if len(keys) <= 1500])
def test_select_every_position(name):
    index = built(SETS[name])
    assert [index.select(i) for i in range(len(index))] == SETS[name].tolist()


@pytest.mark.parametrize("name", LONG)
def test_long_runs(name):
    runs = LONG[name]
    index = ranged(runs)
    assert read_runs(index.reader()) == runs
    lows, highs = array(runs).T
    before = np.cumsum(np.append(0, (highs - lows).astype(np.int64) + 1))
    assert len(index) == before[-1]
    edges = np.concatenate(
        [edge.astype(np.int64) + d for edge in (lows, highs) for d in (-TAC, -1, 0, 1, TAC)]
    )
    asked = np.unique(np.concatenate((edges[(edges >= 0) & (edges <= LAST)], (lows + highs) // 2))).astype(
        np.uint64
    )

    nth = np.searchsorted(lows, asked, "right") - 1  # the run that begins at the key or before
    within = np.where(nth >= 0, np.minimum(asked, highs[nth] + 1) - lows[nth], 0).astype(np.int64)
    found = (nth >= 0) & (asked <= highs[nth])
    rank = np.where(nth >= 0, before[nth] + within, 0)
    np.testing.assert_array_equal(contains(index, asked), found)
    np.testing.assert_array_equal(scalars(index, asked[:100]), found[:100])
    np.testing.assert_array_equal(ranks(index, asked), rank)
    np.testing.assert_array_equal(positions(index, asked), np.where(found, rank, -1))
    for (low, high), count in list(zip(runs, before.tolist(), strict=False))[:50]:
        assert index.select(count) == low
        assert index.select(count + (high - low) // 2) == low + (high - low) // 2
        assert index.select(count + high - low) == high
    assert index.nbytes < 1000 + 70 * len(runs)
    if before[-1] <= 3 * TAC:
        every = np.concatenate([np.arange(low, high + 1, dtype=np.uint64) for low, high in runs])
        assert section_bytes(from_keys(every)) == section_bytes(index)


def test_ranks_of_keys_past_the_last():
    past = array([10**14, 10**14 + 1, 2**63 - 1, 2**63, 2**64 - 1])
    for name, keys in SETS.items():
        assert ranks(built(keys), past).tolist() == [len(keys)] * len(past), name


# ---- the shapes of lines -----------------------------------------------------------


class Shape(NamedTuple):
    row: int
    low_bits: int
    capacity: int
    lines: int

    @property
    def width(self):
        return -(-TAC // self.lines)

    @property
    def buckets(self):
        return ((self.width - 1) >> self.low_bits) + 1

    @property
    def low_at(self):
        return 8 + self.buckets + self.capacity + 1

    @property
    def bucket_capacity(self):
        return 57 // self.low_bits


def shape_rows():
    """The table, read from its source."""
    source = Path(__file__).parents[1].joinpath("imeiset/_native/c/shapes.h").read_text()
    table = source[source.index("SHAPE_ROWS[256] = {") :]
    rows = re.findall(r"\{(\d+), (\d+), (\d+)\}", table)
    return [Shape(row, *map(int, numbers)) for row, numbers in enumerate(rows)]


ROWS = shape_rows()
ELIAS_FANO = [shape for shape in ROWS if shape.lines and shape.capacity]
BITMAPS = [shape for shape in ROWS if shape.lines and not shape.capacity]
MOST = 1 << 18  # and more have the last row


def row_of(n):
    """The row for n serials: each number below 64 has its own, then 16 for each doubling."""
    if n < 64:
        return n
    octave = n.bit_length() - 1
    return min(64 + (octave - 6) * 16 + (n * 16 >> octave) - 16, 255)


def smallest(row):
    """The smallest number of serials that has the row."""
    return next(n for n in sizes() if row_of(n) == row)


@cache
def sizes():
    """The smallest number of serials of every row, and the largest of the one before it."""
    edges = list(range(1, 65))
    for octave in range(6, 18):
        for step in range(16):
            n = (1 << octave) + (step << octave >> 4)
            edges += [n - 1, n]
    return sorted({*edges, MOST - 1, MOST, MOST + 1})


def test_every_row_is_there_and_used():
    assert len(ROWS) == 256
    assert {row_of(n) for n in sizes()} == set(range(1, 256))
    assert ROWS[0].lines == 0
    # A TAC of more serials than lines are made for is all of the table's business too.
    assert BITMAPS, "the densest TACs"


@pytest.mark.parametrize("shape", ELIAS_FANO, ids=lambda shape: str(shape.row))
def test_a_line_has_room_for_its_parts(shape):
    assert shape.buckets + shape.capacity + 1 <= 192, "three words hold the unary part"
    assert shape.low_at + shape.capacity * shape.low_bits <= 512
    assert shape.bucket_capacity >= 1
    assert shape.low_bits >= 2, "a field of one bit cannot be compared"
    assert shape.buckets < 255, "255 is no bucket"
    assert shape.capacity < 512


@pytest.mark.parametrize("shape", BITMAPS, ids=lambda shape: str(shape.row))
def test_a_bitmap_has_a_bit_for_each_serial(shape):
    assert shape.width <= 504


def test_the_reciprocal_divides_every_serial():
    serials = np.arange(TAC, dtype=np.uint64)
    for width in {shape.width for shape in ROWS if shape.lines} | {TAC}:
        reciprocal = -(-(1 << 40) // width)
        assert reciprocal < 1 << 32
        nth = serials * np.uint64(reciprocal) >> np.uint64(40)
        assert (nth == serials // np.uint64(width)).all(), width
    for shape in ROWS:
        assert not shape.lines or (TAC - 1) // shape.width < shape.lines


def distributions():
    """Serials of a TAC: n numbers below 10**6, or a few less where some are equal."""

    def uniform(n, rng):
        return rng.choice(TAC, n, replace=False)

    def low_corner(n, rng):  # by twos: a run would leave the lines
        return np.arange(n) * 2

    def high_corner(n, rng):
        return TAC - 1 - np.arange(n) * 2

    def half_in_crowds(n, rng):  # without runs
        starts = rng.choice(TAC // 1000, max(n // 400, 1), replace=False) * 1000
        return np.append((starts[:, None] + np.arange(0, 400, 2)).ravel()[: n // 2], uniform(n - n // 2, rng))

    def half_in_runs(n, rng):
        starts = rng.choice(TAC // 1000, max(n // 400, 1), replace=False) * 1000
        return np.append((starts[:, None] + np.arange(200)).ravel()[: n // 2], uniform(n - n // 2, rng))

    def even(n, rng):
        return np.arange(n) * TAC // n

    return [uniform, low_corner, high_corner, half_in_crowds, half_in_runs, even]


@pytest.mark.parametrize("serials", distributions(), ids=lambda function: function.__name__)
def test_every_row_with_every_distribution(serials):
    rng = np.random.default_rng(3)
    largest = {"uniform": MOST + 1, "high_corner": 20_000}.get(serials.__name__, 6000)
    lists = []
    for place, n in enumerate(
        n for n in sizes() if n <= largest and (n < 10_000 or row_of(n) < row_of(n + 1))
    ):
        tac = 35_000_000 + place // 2 * 3 + place % 2
        lists.append(serials(n, rng).astype(np.uint64) + np.uint64(tac * TAC))
    keys = distinct(np.concatenate(lists))
    assert_twin(from_keys(keys), keys, rng, n=40_000)


@pytest.mark.parametrize("n", [n for n in sizes() if n <= 20_000])
def test_a_tac_has_the_lines_of_its_row(n):
    keys = np.arange(n, dtype=np.uint64) * np.uint64(TAC // n) + np.uint64(TAC)
    lines = dict(section_bytes(from_keys(keys)))["lines"]
    assert len(lines) == 64 * ROWS[row_of(n)].lines


def pick(n, low, high, hole_low, hole_high, rng):
    """n different numbers in low..high - 1 but not in the hole, or None if there are not as many."""
    size = high - low - (hole_high - hole_low)
    if n > size:
        return None
    numbers = low + rng.choice(size, n, replace=False)
    return np.where(numbers >= hole_low, numbers + (hole_high - hole_low), numbers)


def filled(shape, rng, *, line, in_line, bucket=0, in_bucket=0):
    """Serials of a TAC of that row, so many in a line, of which so many in a bucket; or None."""
    first, last = line * shape.width, min((line + 1) * shape.width, TAC)
    low = first + (bucket << shape.low_bits)
    high = min(low + (1 << shape.low_bits), last) if in_bucket else low
    in_line = min(in_line, smallest(shape.row))
    parts = (
        pick(in_bucket, low, high, low, low, rng) if in_bucket <= in_line else None,
        pick(max(in_line - in_bucket, 0), first, last, low, high, rng),
        pick(smallest(shape.row) - in_line, 0, TAC, first, last, rng),
    )
    return None if any(part is None for part in parts) else np.concatenate(parts)


@pytest.mark.parametrize("more", [-1, 0, 1, 2])
def test_lines_and_buckets_exactly_full(more):
    """A TAC for each row and each way to fill its first or last line, or one bucket, to the brim."""
    rng = np.random.default_rng(4 + more)
    lists = []
    for shape in {
        (s.low_bits, s.capacity, s.lines): s for s in ELIAS_FANO if smallest(s.row) <= 4000
    }.values():
        ends = {0, shape.lines - 1}
        ways = [{"line": line, "in_line": shape.capacity + more} for line in ends]
        ways += [
            {
                "line": line,
                "in_line": max(shape.capacity // 2, shape.bucket_capacity + more),
                "bucket": bucket,
                "in_bucket": shape.bucket_capacity + more,
            }
            for line in ends
            for bucket in (0, 1, shape.buckets - 2, shape.buckets - 1)
        ]
        for way in ways:
            if (serials := filled(shape, rng, **way)) is not None:
                tac = 10_000_000 + len(lists) * 7
                lists.append(serials.astype(np.uint64) + np.uint64(tac * TAC))
    assert len(lists) > 100
    keys = distinct(np.concatenate(lists))
    assert_twin(from_keys(keys), keys, rng, n=50_000)


def test_full_lines_with_runs_across_them():
    """The same lines, with runs that begin and end at the edges of lines and buckets."""
    rng = np.random.default_rng(5)
    lists = []
    for place, shape in enumerate(s for s in ELIAS_FANO if s.lines >= 2 and smallest(s.row) <= 1000):
        keep = filled(shape, rng, line=1, in_line=shape.capacity)
        edges = [shape.width - 32, shape.width, shape.width + (1 << shape.low_bits), 2 * shape.width - 32]
        runs = [np.arange(edge, edge + 32) for edge in edges if edge + 32 <= TAC]
        lists.append(np.unique(np.concatenate((keep, *runs))).astype(np.uint64) + np.uint64(place * 2 * TAC))
    keys = distinct(np.concatenate(lists))
    assert_twin(from_keys(keys), keys, rng, n=30_000)


# ---- many TACs -------------------------------------------------------------------


def test_one_key_in_each_of_many_tacs():
    rng = np.random.default_rng(6)
    tacs = np.sort(rng.choice(10**8, 200_000, replace=False)).astype(np.uint64)
    keys = tacs * np.uint64(TAC) + rng.integers(0, TAC, len(tacs), np.uint64)
    index = from_keys(keys)
    assert_twin(index, keys, rng)
    assert index.nbytes * 8 < 50 * len(keys)


@pytest.mark.parametrize("step", [1, 3, 997, 1 << 10, 1 << 14])
def test_many_lists_in_regular_tacs(step):
    """The directory's hash meets TACs in arithmetic progression."""
    rng = np.random.default_rng(step)
    tacs = np.arange(3000, dtype=np.uint64) * np.uint64(step) + np.uint64(1)
    serials = (np.arange(30, dtype=np.uint64) * np.uint64(33_331))[None, :]
    keys = (tacs[:, None] * np.uint64(TAC) + serials).ravel()
    assert_twin(from_keys(keys), keys, rng)
    index = from_keys(keys)
    missing = np.setdiff1d(np.arange(0, 3000 * step, max(step // 3, 1), dtype=np.uint64), tacs)
    assert not contains(index, missing * np.uint64(TAC) + serials[0, 7]).any()


def test_all_sizes_of_directory():
    rng = np.random.default_rng(7)
    for n in [*range(1, 60), 99, 100, 101, 250, 500]:
        tacs = np.sort(rng.choice(10**8, n, replace=False)).astype(np.uint64)
        keys = (tacs[:, None] * np.uint64(TAC) + np.arange(30, dtype=np.uint64) * np.uint64(30_000)).ravel()
        index = from_keys(keys)
        assert contains(index, keys).all()
        assert not contains(index, keys + np.uint64(1)).any()
        np.testing.assert_array_equal(positions(index, keys), np.arange(len(keys)))
        np.testing.assert_array_equal(index.line_tacs(), tacs)


# ---- batches ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed():
    """A set with everything in it: lists, overflowing lines, singles, runs; and its keys."""
    rng = np.random.default_rng(8)
    lists = [spread(n, 35_000_000 + n, rng) for n in (1, 5, 24, 30, 60, 500, 3000, 40_000)]
    corner = np.arange(0, 900, 3, dtype=np.uint64) + np.uint64(86_000_000 * TAC)
    runs = [
        np.arange(at, at + n, dtype=np.uint64)
        for at, n in ((86 * 10**12 - 500, 1000), (35_003_000 * TAC + 7, 40))
    ]
    singles = rng.integers(0, 10**14, 5000, np.uint64)
    keys = distinct(np.concatenate((*lists, corner, *runs, singles)))
    return from_keys(keys), keys


def test_batches_of_every_length(mixed):
    index, keys = mixed
    rng = np.random.default_rng(9)
    asked = around(keys, rng, 3000)
    found = np.isin(asked, keys)
    rank = np.searchsorted(keys, asked)
    lengths = [
        *range(201),
        *(edge + d for edge in (2048, 4096, 6144) for d in (-65, -64, -63, -1, 0, 1, 63, 64, 65)),
    ]
    for length in lengths:
        at = int(rng.integers(0, len(asked) - length))
        part = slice(at, at + length)
        np.testing.assert_array_equal(contains(index, asked[part]), found[part])
        if length <= 200:
            np.testing.assert_array_equal(positions(index, asked[part]), np.where(found, rank, -1)[part])


@pytest.mark.parametrize("kind", ["hits", "misses", "spill", "no TAC"])
def test_batches_of_one_kind(mixed, kind):
    """Every lookup of a block waits for the spill, or none does."""
    index, keys = mixed
    rng = np.random.default_rng(10)
    spilled = read_keys(index.reader(spill_only=True))
    asked = {
        "hits": rng.choice(np.setdiff1d(keys, spilled), 5000),
        "misses": np.setdiff1d(around(keys, rng, 5000), keys),
        "spill": rng.choice(spilled, 5000),
        "no TAC": np.arange(5000, dtype=np.uint64) * np.uint64(17 * TAC) + np.uint64(12 * 10**12),
    }[kind]
    np.testing.assert_array_equal(contains(index, asked), np.isin(asked, keys))


def test_any_number_of_listed_tacs_in_a_group(mixed):
    """Of 64 keys, few or many have a TAC with lines; the others may be in the spill."""
    index, keys = mixed
    rng = np.random.default_rng(20)
    asked = around(keys, rng, 20_000)
    listed = np.isin(asked // TAC, index.line_tacs())
    assert (listed.sum() > 2000) & ((~listed).sum() > 2000)
    for many in (0, 1, 2, 5, *range(10, 16), 32, 63, 64):
        groups = [
            rng.permutation(
                np.concatenate(
                    (rng.choice(asked[listed], many, False), rng.choice(asked[~listed], 64 - many, False))
                )
            )
            for _ in range(20)
        ]
        wanted = np.concatenate(groups)
        np.testing.assert_array_equal(contains(index, wanted), np.isin(wanted, keys))


def test_repeats_and_any_order(mixed):
    index, keys = mixed
    rng = np.random.default_rng(11)
    for asked in (
        np.repeat(keys[:50], 99),
        np.full(4100, keys[17]),
        np.full(4100, keys[-1] + np.uint64(1)),
        keys[::-1].copy(),
    ):
        np.testing.assert_array_equal(contains(index, asked), np.isin(asked, keys))
        np.testing.assert_array_equal(ranks(index, asked), np.searchsorted(keys, asked))
    asked = rng.permutation(keys)
    asked.flags.writeable = False
    np.testing.assert_array_equal(keys[positions(index, asked)], asked)


def test_output_must_be_as_long_as_the_keys(mixed):
    index, keys = mixed
    for n in (0, 9, 11):
        for method, dtype in (
            (index.contains_keys, np.uint8),
            (index.positions_of_keys, np.int64),
            (index.ranks, np.int64),
        ):
            with pytest.raises(ValueError, match=f"expected 10 .*got {n}"):
                method(keys[:10], np.empty(n, dtype))


@pytest.mark.parametrize(
    "name", ["empty", "lowest", "one line", "adjacent TACs with lines", "one key per TAC", "run of 32"]
)
def test_numbers_that_are_no_keys_are_survived(name):
    """Their answers mean nothing, but lookups of malformed rows must not read elsewhere."""
    index = built(SETS[name])
    tacs = [
        10**8,
        2**27 - 1,
        2**27,
        2**32 - 1,
        2**32,
        2**32 + 35_000_000,
        (2**64 - 1) // TAC,
    ]  # 2**27 - 1: no TAC, in slots
    asked = [tac * TAC + serial for tac in tacs for serial in (0, 5, 999_999)]
    asked = array([key for key in asked if key < 2**64] + [10**14, 2**63 - 1, 2**63, 2**64 - 1])
    contains(index, np.tile(asked, 100))
    positions(index, asked)
    ranks(index, asked)


# ---- reading in order -------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["empty", "lowest", "ends and middle", "pairs over TAC edges", "runs of 33 amid a list"]
)
@pytest.mark.parametrize("chunk", [1, 2, 3, 31, 32, 1000, 100_000])
def test_readers_in_chunks(name, chunk):
    keys = SETS[name]
    index = built(keys)
    np.testing.assert_array_equal(read_keys(index.reader(), chunk), keys)
    assert read_runs(index.reader(), chunk) == oracle.Members(keys.tolist()).runs()


def test_a_reader_hands_out_keys_and_runs_by_turns():
    keys = SETS["runs of 33 amid a list"]
    rng = random.Random(12)
    for _ in range(20):
        reader, seen = built(keys).reader(), []
        while len(seen) < len(keys):
            n = rng.randint(0, 50)
            if rng.random() < 0.5:
                out = np.zeros(n, np.uint64)
                seen += out[: reader.keys(out)].tolist()
            else:
                lows, highs = np.zeros(n, np.uint64), np.zeros(n, np.uint64)
                got = reader.runs(lows, highs)
                for low, high in zip(lows[:got].tolist(), highs[:got].tolist(), strict=True):
                    seen += range(low, high + 1)
        assert seen == keys.tolist()
        assert (
            reader.keys(np.zeros(5, np.uint64))
            == reader.runs(np.zeros(5, np.uint64), np.zeros(5, np.uint64))
            == 0
        )


def test_a_run_is_read_in_pieces():
    low, high = LONG["three TACs and a bit"][0]
    reader = ranged([(low, high)]).reader()
    out = np.zeros(1000, np.uint64)
    assert reader.keys(out) == 1000
    assert (out == np.arange(low, low + 1000, dtype=np.uint64)).all()
    assert read_runs(reader) == [(low + 1000, high)]


def test_readers_are_given_views_of_any_length():
    reader = built([1, 2, 5]).reader()
    assert reader.keys(np.zeros(0, np.uint64)) == 0
    assert reader.runs(np.zeros(0, np.uint64), np.zeros(3, np.uint64)) == 0
    assert reader.runs(np.zeros(3, np.uint64), np.zeros(1, np.uint64)) == 1
    with pytest.raises(TypeError):
        IndexReader(None)


@pytest.mark.parametrize("name", SETS)
def test_lines_and_spill_share_the_keys(name):
    keys = SETS[name]
    index = built(keys)
    spilled = read_keys(index.reader(spill_only=True))
    assert np.isin(spilled, keys).all()
    in_lines = np.setdiff1d(keys, spilled)
    assert np.isin(in_lines // TAC, index.line_tacs()).all()
    assert (np.diff(index.line_tacs().astype(np.int64)) > 0).all()


# ---- the same set, the same bytes ----------------------------------------------------------


PAIRS = [
    "empty", "lowest", "both ends", "first TAC crowded", "last TAC crowded", "every second of a stretch",
    "pairs over TAC edges", "one key per TAC", "24 in a TAC", "adjacent TACs with lines", "run of 31",
    "run of 33 over a TAC edge", "runs of 32 with gaps of one", "runs of 32 amid a list",
    "runs of 64 amid a list",
]  # fmt: skip


@pytest.mark.parametrize("operator", OPERATORS)
def test_combine(operator):
    expected = {"|": np.union1d, "&": np.intersect1d, "-": np.setdiff1d, "^": np.setxor1d}[operator]
    indexes = {name: built(SETS[name]) for name in PAIRS}
    for a, b in itertools.product(PAIRS, repeat=2):
        keys = expected(SETS[a], SETS[b])
        combined = Index.combine(indexes[a], indexes[b], OPERATORS[operator])
        assert section_bytes(combined) == section_bytes(built(keys)), (a, b)
        if operator == "&":
            assert indexes[a].shares_any(indexes[b]) is bool(len(keys)), (a, b)
        if operator == "-":
            assert indexes[a].lacks_any(indexes[b]) is bool(len(keys)), (a, b)


def test_combine_never_expands_long_runs():
    everything, nothing = ranged(LONG["everything"]), Index()
    hole = built([35_000_000 * TAC + 5])
    without = Index.combine(everything, hole, OPERATORS["-"])
    assert read_runs(without.reader()) == LONG["everything but one"]
    assert section_bytes(Index.combine(without, hole, OPERATORS["|"])) == section_bytes(everything)
    assert section_bytes(Index.combine(without, hole, OPERATORS["^"])) == section_bytes(everything)
    assert section_bytes(Index.combine(everything, everything, OPERATORS["^"])) == section_bytes(nothing)
    assert not everything.lacks_any(everything)
    assert everything.lacks_any(without)
    assert not without.shares_any(hole)


@pytest.mark.parametrize("run_min", [1, 2, 5, 31])
def test_short_runs(run_min):
    """Kept as runs in the spill, they are the same members, on either side of any operation."""
    rng = np.random.default_rng(run_min)
    for name in PAIRS:
        keys = SETS[name]
        short, twin = (
            Index.combine(built(keys), Index(), OPERATORS["|"], run_min),
            oracle.Members(keys.tolist()),
        )
        assert read_runs(short.reader()) == twin.runs()
        in_spill = [(low, high) for low, high in twin.runs() if high - low + 1 >= run_min]
        assert set(read_runs(short.reader(spill_only=True))) >= set(in_spill)
        asked = around(keys, rng, 50)
        assert contains(short, asked).tolist() == [key in twin.set for key in asked.tolist()]
        assert positions(short, asked).tolist() == [twin.position(key) for key in asked.tolist()]
        assert [key in short for key in asked.tolist()] == [key in twin.set for key in asked.tolist()]
        for symbol, other in itertools.product(OPERATORS, PAIRS):
            expected = section_bytes(Index.combine(built(keys), built(SETS[other]), OPERATORS[symbol]))
            for a, b in (
                (short, built(SETS[other])),
                (built(keys), Index.combine(built(SETS[other]), Index(), 0, 2)),
            ):
                assert section_bytes(Index.combine(a, b, OPERATORS[symbol])) == expected, (name, other)


def test_short_runs_cost_four_bytes():
    rng = np.random.default_rng(9)
    lows = (np.arange(2000) * 7 + 35_000_000)[:, None] * int(TAC) + np.sort(
        rng.choice(5000, (2000, 50)) * 200, axis=1
    )
    lows = np.unique(lows.astype(np.uint64))
    highs = lows + rng.integers(1, 190, len(lows), dtype=np.uint64)
    plain = Index.from_runs(lows, highs)
    short = Index.combine(plain, Index(), 0, 2)
    assert short.nbytes < 4.6 * len(lows) < plain.nbytes / 2
    assert section_bytes(Index.combine(short, Index(), 0)) == section_bytes(plain)
    for run_min in (0, 33, 2**40):
        with pytest.raises(ValueError, match="run_min: expected 1 to 32"):
            Index.combine(plain, plain, 0, run_min)


def assert_patched(index, flips, *about):
    expected = section_bytes(Index.combine(index, flips, OPERATORS["^"]))
    assert section_bytes(Index.patched(index, flips)) == expected, about


def test_patched():
    """What is copied, what is written anew and what is built anew: the same bytes as from the beginning."""
    sets = {name: built(keys) for name, keys in SETS.items()} | {
        name: ranged(runs) for name, runs in LONG.items()
    }
    for (name, index), (other, flips) in itertools.product(sets.items(), repeat=2):
        assert_patched(index, flips, name, other)


@pytest.mark.parametrize("seed", range(60))
def test_patched_lists(seed):
    """TACs of every shape, runs about as long as those that are kept as such, and flips near all of them."""
    rng = np.random.default_rng(seed)
    tacs = rng.integers(1, 6, 8).cumsum() + 35_000_000
    parts = []
    for tac in tacs.tolist():
        size = int(
            rng.choice(
                [0, 3, 24, 25, 26, 60, 300, 3000, 20_000, 200_000], p=[0.1] * 6 + [0.15, 0.15, 0.08, 0.02]
            )
        )
        span = min(int(rng.choice([size + 1, size * 3 + 10, 50_000, 10**6])), 10**6)
        parts.append(tac * 10**6 + rng.integers(0, 10**6 - span + 1) + rng.integers(0, span, size))
    for _ in range(rng.integers(1, 6)):
        start = int(rng.choice(tacs)) * 10**6 + int(rng.choice([0, 999_990, 999_999, rng.integers(0, 10**6)]))
        parts.append(np.arange(start, start + int(rng.choice([2, 31, 32, 33, 200]))))
    keys = np.unique(np.concatenate(parts).astype(np.uint64))
    index = built(keys)
    for count in (1, 2, 10, 100, 1000, 5000):
        near = rng.choice(keys, count) + rng.integers(-2, 3, count).astype(np.uint64)
        edges = rng.choice(tacs, count // 3 + 1) * 10**6 + rng.choice(
            [0, 1, 999_998, 999_999], count // 3 + 1
        )
        among = rng.choice(tacs, count // 2 + 1) * 10**6 + rng.integers(0, 10**6, count // 2 + 1)
        every = np.concatenate([near, edges.astype(np.uint64), among.astype(np.uint64)])
        flips = np.unique(every[rng.random(len(every)) < rng.random()])
        assert_patched(index, built(flips), count)
        assert section_bytes(Index.patched(index, built(flips))) == section_bytes(
            built(np.setxor1d(keys, flips))
        )


def test_patched_changes_few_lines():
    """Where nothing changes, lines are copied: the speed of it is why it is there."""
    rng = np.random.default_rng(5)
    keys = np.unique(35_000_000 * TAC + rng.integers(0, 2 * 10**7, 300_000, dtype=np.uint64))
    index, flips = built(keys), built(rng.choice(keys, 20) + np.uint64(1))
    lines = [
        np.frombuffer(part, np.uint8).reshape(-1, 64)
        for part in (index.sections()[4][1], Index.patched(index, flips).sections()[4][1])
    ]
    assert lines[0].shape == lines[1].shape
    assert 1 <= (lines[0] != lines[1]).any(axis=1).sum() <= 20


@pytest.mark.parametrize("seed", range(30))
def test_patched_damaged(seed):
    """Anything may come of it, or SnapshotBounds; nothing outside the arrays is read or written."""
    rng = np.random.default_rng(seed)
    keys = np.concatenate(
        [tac * TAC + rng.integers(0, 10**6, 3000, dtype=np.uint64) for tac in (7, 8, 9, 400, 10**7)]
    )
    sections = {
        name: bytearray(part)
        for name, part in Index.combine(built(keys), ranged([(8 * TAC, 9 * TAC)]), 0).sections()
    }
    for name in ("slots", "tacs", "lines", "ranks", "spill", "fences"):
        for at in rng.integers(
            0, len(sections[name]), max(1, len(sections[name]) // rng.integers(20, 2000))
        ).tolist():
            sections[name][at] = int(rng.integers(256))
    bad = Index.from_sections(sections)
    for count in (1, 100, 3000):
        flips = built(rng.choice(keys, count) + rng.integers(0, 2, count).astype(np.uint64))
        for pair in ((bad, flips), (flips, bad), (bad, bad)):
            with contextlib.suppress(SnapshotBounds):
                Index.patched(*pair)


def test_lines_that_many_tacs_claim():
    """Each line is read once: a small file that lies makes no large set."""
    rng = np.random.default_rng(5)
    keys = np.concatenate(
        [tac * TAC + rng.integers(0, 10**6, 30 if tac else 4000, dtype=np.uint64) for tac in range(2000)]
    )
    whole, other = built(keys), built([5, 3 * TAC])
    sections, empty = dict(whole.sections()), dict(Index().sections())
    slots = np.frombuffer(sections["slots"], np.uint64).copy()
    used, tac = slots != np.uint64(2**64 - 1), np.uint64(2**27 - 1)
    slots[used] = slots[used] & tac | slots[used & (slots & tac == 0)] & ~tac  # the shape and lines of TAC 0
    no_spill = {name: empty[name] for name in ("spill", "fences", "spranks")}
    bad = Index.from_sections({**sections, **no_spill, "slots": slots})
    for a, b, operations in ((bad, other, "|-^"), (other, bad, "|^"), (bad, Index(), "|-^")):
        for operator in operations:
            with pytest.raises(SnapshotBounds, match="as many members as it says"):
                Index.combine(a, b, OPERATORS[operator])
    for ask in (bad.lacks_any, bad.shares_any, whole.lacks_any):
        with contextlib.suppress(SnapshotBounds):
            assert ask(bad) is (ask != bad.lacks_any)
    assert bad.reader().keys(np.empty(len(whole), np.uint64)) < len(whole)
    with pytest.raises(SnapshotBounds):
        Index.patched(bad, other)
    with pytest.raises(SnapshotBounds):
        Index.patched(other, bad)


@pytest.mark.parametrize("more", [-1, 1, -500])
def test_a_count_that_lies(more):
    sections = dict(built(np.arange(0, 50 * TAC, 1009)).sections())
    meta = np.frombuffer(sections["meta"], np.uint64).copy()
    meta[1] = int(meta[1]) + more
    bad = Index.from_sections({**sections, "meta": meta})
    for operator in "|-^":
        with pytest.raises(SnapshotBounds):
            Index.combine(bad, Index(), OPERATORS[operator])
    with pytest.raises(SnapshotBounds):
        bad.lacks_any(bad)


def test_sets_made_in_the_background():
    """By another thread, which has the lowest priority: the same sets, the same errors."""
    keys = SETS["adjacent TACs with lines"]
    a, b = built(keys), built(keys[::3] + np.uint64(1))
    sections = dict(a.sections())
    sections["tacs"] = np.frombuffer(sections["tacs"], np.uint32)[::-1].tobytes()
    bad = Index.from_sections(sections)

    def made():
        work_in_background(True)
        with pytest.raises(SnapshotBounds, match="in order"):
            Index.patched(bad, b)
        first = (
            [section_bytes(Index.combine(a, b, op)) for op in range(4)],
            section_bytes(Index.patched(a, b)),
        )
        work_in_background(False)
        return first, (
            [section_bytes(Index.combine(a, b, op)) for op in range(4)],
            section_bytes(Index.patched(a, b)),
        )

    with ThreadPoolExecutor(1) as pool:
        first, again = pool.submit(made).result(60)
    assert first == again


def test_combine_knows_four_operations():
    for operation in (-1, 4, 1 << 20):
        with pytest.raises(ValueError, match="op: expected 0 to 3"):
            Index.combine(Index(), Index(), operation)
    with pytest.raises(TypeError):
        Index.combine(Index(), None, 0)


def all_ways(keys):
    """The same set made from keys, repeated keys, runs, pieces of runs, halves and differences."""
    twin = oracle.Members(keys.tolist())
    yield from_keys(keys)
    yield from_keys(np.repeat(keys, 3))
    yield ranged(twin.runs())
    yield ranged([(key, key) for key in twin.keys])
    yield ranged(
        [
            piece
            for low, high in twin.runs()
            for piece in ([(low, high)] if low == high else [(low, low), (low + 1, high)])
        ]
    )
    yield Index.combine(built(keys[::2]), built(keys[1::2]), OPERATORS["|"])
    yield Index.combine(built(keys[: len(keys) // 2]), built(keys[len(keys) // 3 :]), OPERATORS["|"])
    yield Index.combine(built(keys[::2]), built(keys[1::2]), OPERATORS["^"])
    other = np.setdiff1d(np.concatenate((keys + np.uint64(1), keys[:5] // TAC * TAC)), keys)
    other = other[other <= LAST]
    yield Index.combine(built(np.union1d(keys, other)), built(other), OPERATORS["-"])
    yield Index.combine(built(np.union1d(keys, other)), built(keys), OPERATORS["&"])
    yield Index.combine(built(keys), Index(), OPERATORS["|"])
    yield Index.from_sections(dict(built(keys).sections()))
    yield built(read_keys(built(keys).reader()))


@pytest.mark.parametrize("name", SETS)
def test_a_set_has_one_form(name):
    forms = [section_bytes(index) for index in all_ways(SETS[name])]
    assert all(form == forms[0] for form in forms[1:])


def test_sections_are_read_only_and_aligned():
    for keys in SETS.values():
        for name, section in built(keys).sections():
            assert section.readonly
            assert section.format == "B"
            assert (
                len(section) == 0
                or np.frombuffer(section, np.uint8).ctypes.data % (8 if name == "meta" else 64) == 0
            )
    assert [name for name, _ in Index().sections()] == list(payload.SECTIONS)
    assert Index().nbytes == sum(len(section) for _, section in Index().sections())


def test_an_index_keeps_nothing_of_its_input():
    keys = SETS["one line"].copy()
    index = from_keys(keys)
    form = section_bytes(index)
    keys[:] = 7
    assert section_bytes(index) == form


# ---- refusing ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keys",
    [
        [2, 1],
        [5, 10, 3],
        [5, 10, 3, 20],
        [1, 3, 5, 7, 2, 9, 11],
        [10, 20, 30, 19, 40],
        [10, 20, 30, 29, 31],
        [10, 11, 12, 11],
        [10, 11, 12, 5, 13],
        [TAC, 5],
        [5, TAC + 5, TAC + 4, TAC + 9],
        [5, 9, TAC + 5, 7, 8],
        [35 * 10**12, 86 * 10**12, 35 * 10**12],
    ],
)
def test_keys_out_of_order_are_refused(keys):
    with pytest.raises(ValueError, match="ascending"):
        from_keys(array(keys))


def test_no_order_of_keys_is_survived_by_luck():
    """Neighbours swapped anywhere; and rows of short climbs, which must not pile up in a TAC's buffer."""
    keys = SETS["every third of a TAC"]
    for at in range(0, 1000, 7):
        swapped = keys.copy()
        swapped[[at, at + 1]] = swapped[[at + 1, at]]
        with pytest.raises(ValueError, match="ascending"):
            from_keys(swapped)
    climbs = np.tile(np.arange(3, 100_000, 2, dtype=np.uint64), 30)
    with pytest.raises(ValueError, match="ascending"):
        from_keys(climbs)
    climbs = np.concatenate([np.append(np.arange(3, 90_000, 2), 100_001 + 2 * i) for i in range(40)]).astype(
        np.uint64
    )
    with pytest.raises(ValueError, match="ascending"):
        from_keys(climbs)


@given(
    st.lists(
        st.sampled_from(
            [0, 1, 2, 3, 5, 8, 9, 31, 32, TAC - 1, TAC, TAC + 1, LAST, LAST + 1, 2**63, 2**64 - 1]
        ),
        max_size=12,
    )
)
def test_any_keys_are_taken_or_refused(keys):
    if keys == sorted(keys) and all(key <= LAST for key in keys):
        assert read_keys(from_keys(array(keys)).reader()).tolist() == sorted(set(keys))
    else:
        with pytest.raises(ValueError, match="expected"):
            from_keys(array(keys))


@given(st.lists(st.integers(0, 60), max_size=60))
def test_short_stretches_in_any_order_are_taken_or_refused(keys):
    if keys == sorted(keys):
        assert read_keys(from_keys(array(keys)).reader()).tolist() == sorted(set(keys))
    else:
        with pytest.raises(ValueError, match="ascending"):
            from_keys(array(keys))


@pytest.mark.parametrize(
    "keys", [[10**14], [5, 10**14], [2**63], [2**64 - 1], [2**64 - 1, 2**64 - 1], [LAST, 10**14]]
)
def test_keys_too_large_are_refused(keys):
    with pytest.raises(ValueError, match="expected 0 to 99999999999999"):
        from_keys(array(keys))


@pytest.mark.parametrize(
    "ranges",
    [
        [(5, 4)], [(0, 10**14)], [(10**14, 10**14)], [(0, 2**64 - 1)], [(1, 0)], [(2**64 - 1, 2**64 - 1)],
        [(0, 5), (5, 9)], [(0, 5), (3, 4)], [(10, 12), (0, 5)], [(10, 12), (10, 12)],
        [(0, LAST), (LAST, LAST)],
    ],
)  # fmt: skip
def test_wrong_ranges_are_refused(ranges):
    with pytest.raises(ValueError, match="keys: expected"):
        ranged(ranges)


def test_as_many_lows_as_highs():
    with pytest.raises(ValueError, match="highs: expected 2 rows, got 1"):
        Index.from_runs(array([1, 5]), array([2]))


def test_touching_ranges_become_one():
    assert read_runs(ranged([(0, 4), (5, 5), (6, 40), (42, 50)]).reader()) == [(0, 40), (42, 50)]


class Text(str):
    """A text that is a little more."""


@pytest.mark.parametrize("level", LEVELS)
def test_texts_with_a_wrong_character(mixed, level):
    """In every place of texts of every length: whatever the slow twin makes of them."""
    index, keys = mixed
    members = set(keys.tolist())
    simd.use_simd(level)
    for text in (f"{keys[0]:014d}", f"{keys[-1]:014d}0", f"{keys[2000]:014d}00", "490154203237518"):
        assert (Text(text) in index) == (int(text[:14]) in members)
        for place, wrong in itertools.product(range(len(text)), "5/:- x\0\x7f\xb2\u0665\uff15\U0001d7d3"):
            spoiled = text[:place] + wrong + text[place + 1 :]
            key, status = oracle.parse_text(spoiled)
            for one in (spoiled, Text(spoiled), spoiled.encode()):
                if status in (ParseStatus.OK, *CHECK_DIGIT_CODES):
                    assert (one in index) == (key in members)
                else:
                    with pytest.raises(ImeiError):
                        one in index  # noqa: B015
        for length in (*range(14), 17, 18, 31, 32, 33, 100):
            with pytest.raises(ImeiError):
                (text * 8)[:length] in index  # noqa: B015


@pytest.mark.parametrize("value", [None, 1.5, True, "", "49015420323751x", -1, 10**14, b"1", object()])
def test_scalars_that_are_no_imei_are_refused(value):
    with pytest.raises(ImeiError):
        value in built([1])  # noqa: B015


def test_wrong_types_are_refused():
    index = built([1])
    for keys in (
        None,
        [1],
        np.array([1], np.int64),
        np.array([1.0]),
        np.array([[1]], np.uint64),
        np.arange(9, dtype=np.uint64)[::2],
    ):
        for call in (
            from_keys,
            lambda k: index.contains_keys(k, np.empty(1, np.uint8)),
        ):
            with pytest.raises((TypeError, ValueError)):
                call(keys)
    with pytest.raises(TypeError):
        Index([1])
    with pytest.raises(OverflowError):
        index.select(-1)


def test_an_index_does_not_change():
    index = built([1, 2, 3])
    index.__init__()
    assert len(index) == 3
    for name in ("ix", "views", "count", "anything"):
        with pytest.raises(AttributeError):
            setattr(index, name, None)
    assert len(Index.__new__(Index)) == 0
    assert contains(Index.__new__(Index), array([0, 5, LAST])).tolist() == [0, 0, 0]


# ---- levels --------------------------------------------------------------------------------


def test_levels():
    assert LEVELS[0] == "portable"
    assert set(LEVELS) <= {"portable", "sse4", "avx2", "avx512"}
    for level in LEVELS:
        simd.use_simd(level)
        assert simd.simd_level() == level
    for name in ("", "AVX2", "avx1024", "portable\0"):
        with pytest.raises(ValueError, match="SIMD level: expected one of portable"):
            simd.use_simd(name)
    assert simd.simd_level() == LEVELS[-1]


@pytest.mark.parametrize("level", [*LEVELS, "nonsense"])
def test_the_environment_names_the_level(level):
    code = "from imeiset._native import simd; print(simd.simd_level())"
    environment = os.environ | {"IMEISET_SIMD": level}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    if level == "nonsense":
        assert done.returncode
        assert "SIMD level: expected one of portable" in done.stderr
    else:
        assert done.stdout.strip() == level


# ---- hostile sections ------------------------------------------------------------------------


class Fenced:
    """Memory between two pages that cannot be touched."""

    def __init__(self, size):
        page = mmap.PAGESIZE
        pages = -(-size // page) or 1
        self._map = mmap.mmap(-1, (pages + 2) * page)
        whole = np.frombuffer(self._map, np.uint8)
        libc = ctypes.CDLL(None, use_errno=True)
        for start in (whole.ctypes.data, whole.ctypes.data + (pages + 1) * page):
            assert libc.mprotect(ctypes.c_void_p(start), page, 0) == 0, os.strerror(ctypes.get_errno())
        self.bytes = whole[page : (pages + 1) * page]

    def at_start(self, size):
        return self.bytes[:size]

    def at_end(self, size):
        start = len(self.bytes) - size
        return self.bytes[start - start % 8 :][:size]


VICTIMS = {
    "empty": Index(),
    "spill": built([0, LAST, *SETS["one key per TAC"].tolist()]),
    "runs": ranged(LONG["whole TACs, every second"]),
    "one line": built(SETS["one line"]),
    "lists": built(np.concatenate((SETS["adjacent TACs with lines"], SETS["runs of 64 amid a list"]))),
    "bitmaps": built(np.arange(TAC, 2 * TAC, 3)),
}


@pytest.mark.parametrize("shape", [lambda index: index, hashed], ids=["index", "hashed"])
def test_batches_at_page_ends_and_every_alignment(mixed, shape):
    """Keys and answers that end, or begin, where memory does; answers at any address."""
    index, keys = mixed
    asked = around(keys, np.random.default_rng(12), 3000)
    found = np.isin(asked, keys)
    fenced_keys, fenced_out = Fenced(4096 * 8), Fenced(4096)
    index = shape(index)
    for length in (*range(201), 2047, 2048, 2049, 2112, 4096):
        for place in ("at_start", "at_end"):
            given = getattr(fenced_keys, place)(length * 8).view(np.uint64)
            given[:] = asked[:length]
            out = fenced_out.bytes[:length] if place == "at_start" else fenced_out.bytes[4096 - length :]
            for level in LEVELS:
                simd.use_simd(level)
                out[:] = 0xA5
                index.contains_keys(given, out)
                np.testing.assert_array_equal(out, found[:length])
    memory = np.zeros(64 + 200, np.uint8)
    for shift in range(64):
        for level in LEVELS:
            simd.use_simd(level)
            index.contains_keys(asked[shift : shift + 200], memory[shift : shift + 200])
            np.testing.assert_array_equal(memory[shift : shift + 200], found[shift : shift + 200])


def named_tacs(sections):
    """The TACs that slots name: what a lookup must ask to be led astray."""
    slots = np.frombuffer(sections["slots"], np.uint64)[:500]
    tacs = np.frombuffer(sections["tacs"], np.uint32)[:200].astype(np.uint64)
    return np.unique(np.concatenate((slots & np.uint64(2**27 - 1), tacs)))


def exercise(index, asked):
    """Everything that can be asked, whose answers are bounded by what it is given."""
    contains(index, asked, damaged=True)
    with np.errstate(over="ignore"):
        at_every_level(index.positions_of_keys, asked[:1000])
    at_every_level(index.ranks, asked[:1000])
    which, where = asked_together([index, VICTIMS["lists"], index])
    for level in LEVELS:
        simd.use_simd(level)
        for key in asked[:50].tolist():
            which(key)
            where(key, range(3))
            where(key, [0])
            if key <= LAST:
                key in index  # noqa: B015
                f"{key:014d}" in index  # noqa: B015
    for position in {0, len(index) // 2, len(index) - 1}:
        if 0 <= position < len(index):
            index.select(position)
    for spill_only in (False, True):
        reader = index.reader(spill_only=spill_only)
        reader.keys(np.empty(5000, np.uint64))
        reader.runs(np.empty(5000, np.uint64), np.empty(5000, np.uint64))
    index.line_tacs()
    for other in (VICTIMS["lists"], index):
        for a, b in ((index, other), (other, index)):
            for ask in (a.shares_any, a.lacks_any):
                with contextlib.suppress(SnapshotBounds):
                    ask(b)
            for operation in OPERATORS.values():
                with contextlib.suppress(SnapshotBounds):  # members out of order
                    Index.combine(a, b, operation)


def fill(kind, size, rng):
    if kind == "random":
        return rng.integers(0, 256, size, np.uint8)
    if kind == "sparse":
        return np.where(rng.random(size) < 0.1, rng.integers(0, 256, size), 0).astype(np.uint8)
    return np.full(size, {"zeros": 0, "ones": 255, "0x55": 0x55}[kind], np.uint8)


def hostile_queries(sections, rng):
    tacs = named_tacs(sections)
    keys = tacs * np.uint64(TAC)
    asked = np.concatenate(
        (keys, keys + np.uint64(999_999), keys + rng.integers(0, TAC, len(keys), np.uint64))
    )
    fences = np.frombuffer(sections["fences"], np.uint64)[:200]
    some = rng.integers(0, 10**14, 200, np.uint64)
    return np.concatenate(
        (asked, fences, fences + np.uint64(1), some, array([0, LAST, 10**14, 2**63, 2**64 - 1]))
    )


@pytest.mark.parametrize("name", VICTIMS)
@pytest.mark.parametrize("kind", ["random", "sparse", "zeros", "ones", "0x55"])
def test_any_contents_are_survived(name, kind):
    """Each section, and all of them but the numbers, of nothing but rubbish."""
    rng = np.random.default_rng(13)
    good = {name: bytes(section) for name, section in VICTIMS[name].sections()}
    spoiled = [name for name in payload.SECTIONS[1:] if good[name]]
    for names in [*([name] for name in spoiled), spoiled, *(["slots", other] for other in spoiled)]:
        for place in ("at_start", "at_end"):
            sections = {}
            for name, data in good.items():
                view = getattr(Fenced(len(data)), place)(len(data))
                view[:] = fill(kind, len(data), rng) if name in names else np.frombuffer(data, np.uint8)
                sections[name] = view
            exercise(Index.from_sections(sections), hostile_queries(sections, rng))


@pytest.mark.parametrize("name", VICTIMS)
def test_rubbish_slots_of_tacs_that_are_asked(name):
    """Slots that lead to every row, and to lines that are not there."""
    rng = np.random.default_rng(14)
    good = {name: bytes(section) for name, section in VICTIMS[name].sections()}
    n = len(good["slots"]) // 8
    for row in [*range(0, 256, 5), 255]:
        for line in (0, 1, 2**29 - 1):
            tac = rng.integers(0, 10**8, n, np.uint64)
            slots = tac | np.uint64(row << 27) | np.uint64(line << 35)
            sections = good | {"slots": slots.tobytes()}
            asked = (
                np.repeat(tac, 4)[:4000] * np.uint64(TAC) + np.tile(array([0, 1, 500_000, 999_999]), n)[:4000]
            )
            index = Index.from_sections(sections)
            contains(index, asked, damaged=True)
            at_every_level(index.ranks, asked[:200])
            at_every_level(index.positions_of_keys, asked[:200])


def test_random_numbers_in_meta():
    rng = np.random.default_rng(15)
    good = {name: bytes(section) for name, section in VICTIMS["lists"].sections()}
    for word in range(payload.META):
        for value in (0, 1, 2, 2**31, 2**32 - 1, 2**32, 10**14, 10**14 + 1, 2**63, 2**64 - 1):
            meta = np.frombuffer(good["meta"], np.uint64).copy()
            meta[word] = value
            sections = good | {"meta": meta.tobytes()}
            try:
                index = Index.from_sections(sections)
            except ValueError as error:
                assert "expected" in str(error)  # noqa: PT017
                continue
            exercise(index, hostile_queries(sections, rng))


@pytest.mark.parametrize("name", ["empty", "spill", "one line", "lists"])
@pytest.mark.parametrize("section", payload.SECTIONS)
def test_wrong_sizes_are_refused(name, section):
    """Any size a section should not have is refused; one that it may have is survived."""
    rng = np.random.default_rng(16)
    good = {name: bytes(section) for name, section in VICTIMS[name].sections()}
    size = len(good[section])
    sizes = {
        *range(20),
        size - 64,
        size - 8,
        size - 1,
        size + 1,
        size + 4,
        size + 8,
        size + 64,
        size * 2,
        size + 52 * 64,
    }
    for wrong in sorted(s for s in sizes if s >= 0 and s != size):
        data = (good[section] + bytes(wrong))[:wrong]
        sections = good | {section: np.frombuffer(bytearray(data), np.uint8) if data else b""}
        try:
            index = Index.from_sections(sections)
        except ValueError as error:
            assert re.search(r"expected .* got", str(error))  # noqa: PT017
            continue
        assert section not in ("meta", "ranks", "fences", "spranks"), wrong
        exercise(index, hostile_queries(sections, rng))


def test_all_sections_empty():
    for kept in (
        (),
        ("meta",),
        ("meta", "pilots"),
        ("meta", "slots"),
        ("meta", "pilots", "slots"),
        payload.SECTIONS[1:],
    ):
        sections = {name: bytes(s) if name in kept else b"" for name, s in VICTIMS["lists"].sections()}
        with pytest.raises(ValueError, match="expected"):
            Index.from_sections(sections)


def test_tacs_without_lines_are_refused():
    empty = {name: bytes(section) for name, section in Index().sections()}
    with pytest.raises(ValueError, match="tacs: expected none"):
        Index.from_sections(empty | {"tacs": b"\1\0\0\0"})


def test_slots_without_lines_lead_nowhere():
    """A slot that names a TAC, in a set that has no lines."""
    empty = {name: bytes(section) for name, section in Index().sections()}
    for row in range(256):
        slot = np.array([35_000_000 | row << 27], np.uint64).tobytes()
        index = Index.from_sections(empty | {"slots": slot})
        exercise(index, array([35_000_000 * TAC, 35_000_000 * TAC + 999_999, 35_000_001 * TAC]))


def test_missing_sections_are_named():
    sections = dict(VICTIMS["lists"].sections())
    for name in payload.SECTIONS:
        with pytest.raises(ValueError, match=f"expected {name}"):
            Index.from_sections({other: data for other, data in sections.items() if other != name})


@pytest.mark.parametrize("section", payload.SECTIONS)
def test_memory_that_cannot_be_used(section):
    """Misaligned, with strides, or none at all."""
    good = {name: bytes(data) for name, data in VICTIMS["lists"].sections()}
    data = np.frombuffer(good[section], np.uint8)
    for offset in range(1, 8):
        room = np.zeros(len(data) + 16, np.uint8)
        start = -room.ctypes.data % 8 + offset
        room[start : start + len(data)] = data
        with pytest.raises(ValueError, match="alignment"):
            Index.from_sections(good | {section: room[start : start + len(data)]})
    with pytest.raises(ValueError, match=section):
        Index.from_sections(good | {section: np.repeat(data, 2)[::2]})
    for nothing in (np.zeros(0, np.uint64), np.zeros((0, 4), np.uint8)):
        sections = good | {section: nothing}
        with contextlib.suppress(ValueError, TypeError):
            exercise(Index.from_sections(sections), SETS["one line"])


def test_buffers_of_any_kind_serve():
    keys = SETS["runs of 64 amid a list"]
    sections = built(keys).sections()
    kinds = (
        bytes,
        bytearray,
        lambda data: np.frombuffer(data, np.uint8),
        lambda data: np.frombuffer(bytearray(data), np.uint8),
    )
    for kind in kinds:
        assert_twin(
            Index.from_sections({name: kind(data) for name, data in sections}),
            keys,
            np.random.default_rng(17),
        )
    wide = {
        name: np.frombuffer(data, np.uint64 if len(data) % 8 == 0 else np.uint8) for name, data in sections
    }
    assert_twin(
        Index.from_sections({k: v if v.size else b"" for k, v in wide.items()}),
        keys,
        np.random.default_rng(17),
    )
    for wrong in (None, 5, "text"):
        with pytest.raises(TypeError):
            Index.from_sections(dict(sections) | {"lines": wrong})


def test_sections_are_held_for_as_long_as_they_are_used():
    data = {name: bytearray(section) for name, section in VICTIMS["lists"].sections()}
    index = Index.from_sections(data)
    with pytest.raises(BufferError):
        data["lines"].extend(b"more")
    tacs = index.line_tacs()
    del index
    assert tacs.tolist() == VICTIMS["lists"].line_tacs().tolist()


# ---- any set -------------------------------------------------------------------------------------


@st.composite
def key_sets(draw):
    """Runs, combs and crowds in a few TACs that may touch."""
    keys = set()
    for _ in range(draw(st.integers(0, 6))):
        tac = draw(st.sampled_from([0, 1, 2, 35_000_000, 35_000_001, 10**8 - 2, 10**8 - 1]))
        start = draw(
            st.one_of(st.integers(0, TAC - 1), st.sampled_from([0, 1, 2**14, TAC - 33, TAC - 32, TAC - 1]))
        )
        n = draw(st.one_of(st.integers(1, 70), st.sampled_from([31, 32, 33, 300, 1000])))
        step = draw(st.sampled_from([1, 1, 2, 3, 17, 1000, 20_011]))
        if draw(st.booleans()):
            keys.update(tac * TAC + x for x in random.Random(start).sample(range(TAC), n))
        else:
            keys.update(range(tac * TAC + start, tac * TAC + start + n * step, step))
    return np.array(sorted(key for key in keys if key <= LAST), np.uint64)


@pytest.mark.parametrize("level", LEVELS)
def test_a_key_that_changes_meanwhile_is_one_or_the_other(level):
    """Where both are members, no moment has one that is not: one is in a line, one in the spill."""
    simd.use_simd(level)
    keys = np.unique(np.random.default_rng(19).integers(10**13, 10**13 + 30 * TAC, 200_000)).astype(np.uint64)
    spilled = np.array([2 * 10**13], np.uint64)
    index = from_keys(np.concatenate([keys, spilled]))

    def contained(column):
        out = np.empty(len(column), np.uint8)
        index.contains_keys(column, out)
        return out.all()

    def found(column):
        out = np.empty(len(column), np.int64)
        index.positions_of_keys(column, out)
        return np.isin(out, [5, len(keys) // 2, len(keys)]).all()

    for ask in (contained, found):
        assert all_while_written(ask, keys[5], spilled[0])
        assert all_while_written(ask, keys[5], keys[len(keys) // 2])


@given(key_sets())
def test_any_set(keys):
    index = from_keys(keys)
    assert_twin(index, keys, np.random.default_rng(18), n=500)
    twin = oracle.Members(keys.tolist())
    assert read_runs(index.reader()) == twin.runs()
    assert section_bytes(ranged(twin.runs())) == section_bytes(index)


@given(key_sets(), key_sets())
def test_any_two_sets(a, b):
    first, second = from_keys(a), from_keys(b)
    expected = {
        "|": np.union1d(a, b),
        "&": np.intersect1d(a, b),
        "-": np.setdiff1d(a, b),
        "^": np.setxor1d(a, b),
    }
    for operator, keys in expected.items():
        combined = Index.combine(first, second, OPERATORS[operator])
        assert section_bytes(combined) == section_bytes(from_keys(keys))


# ---- public names ------------------------------------------------------------------------


def private_names(*modules):
    """The private methods and attributes of the classes of modules, but for what Python itself calls."""
    trees = [ast.parse(Path(module.__file__).read_text()) for module in modules]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    names = {node.name for one in classes for node in one.body if isinstance(node, ast.FunctionDef)}
    names |= {node.target.id for one in classes for node in one.body if isinstance(node, ast.AnnAssign)}
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


def test_nobody_borrows_private_methods():
    """What other modules need of sets and of the index has a public name."""
    private = private_names(imeiset.index, imeiset.algebra, imeiset.sets)
    assert "_of_keys" in private
    package = Path(imeiset.__file__).parent
    borrowed = []
    for file in package.rglob("*.py"):
        tree = ast.parse(file.read_text())
        own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        others = private - own
        if file.name not in ("index.py", "algebra.py", "sets.py"):
            borrowed += [
                f"{file.relative_to(package)} line {node.lineno}: {ast.unparse(node)}"
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute)
                and node.attr in others
                and ast.unparse(node.value) not in ("self", "cls")
            ]
    assert not borrowed


# ---- its digest is taken in a thread beside -------------------------------------


def test_every_batch_is_digested(monkeypatch):
    """On the way while a set is made, later, and where runs come in many pieces: always of all keys."""
    keys = array(range(0, 3_000_000, 3))
    expected = Encoder()
    whole = hashlib.sha256(bytes(expected.keys(keys)) + bytes(expected.finish())).digest()
    made = imeiset.index.Index.from_parts([keys[500_000:].copy(), keys[:500_000].copy()], digest=True)
    assert made._of_keys == whole
    assert imeiset.index.Index.from_keys(keys).digest_of_keys() == whole
    monkeypatch.setattr(imeiset.index, "_RUNS", 1000)
    assert imeiset.index.Index.from_keys(keys).digest_of_keys() == whole


@pytest.mark.parametrize("fails_at", [1, 2, 5])
def test_an_error_of_the_thread_that_digests_is_raised(monkeypatch, fails_at):
    class Broken:
        calls = 0

        def keys(self, some, *_):
            self.calls += len(some) > 0
            if len(some) and self.calls == fails_at:
                raise MemoryError("no room")
            return b""

        runs = keys

        def finish(self):
            return b""

    keys = array(range(0, 300_000, 3))
    made = imeiset.index.Index.from_keys(keys)
    monkeypatch.setattr(imeiset.index, "Encoder", Broken)
    monkeypatch.setattr(imeiset.index, "_RUNS", 10_000)
    with pytest.raises(MemoryError, match="no room"):
        imeiset.index.Index.from_parts([keys.copy()], digest=True)
    with pytest.raises(MemoryError, match="no room"):
        made.digest_of_keys()


def test_runs_that_touch_or_overlap_are_joined():
    for runs, expected in [
        ([(5, 9), (0, 4)], [(0, 9)]),  # touch
        ([(0, 4), (6, 9)], [(0, 4), (6, 9)]),  # a key between them
        ([(0, 9), (2, 3), (9, 12), (13, 13), (20, 20)], [(0, 13), (20, 20)]),
        ([(7, 7)], [(7, 7)]),
        ([], []),
    ]:
        lows, highs = (array([run[side] for run in runs]) for side in (0, 1))
        joined = imeiset.index.joined_runs(lows, highs)
        assert [*zip(*(ends.tolist() for ends in joined), strict=True)] == expected
