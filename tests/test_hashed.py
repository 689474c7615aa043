"""The hash table of a small set against the index that it is beside, and against its twin."""

from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from racing import all_while_written

from imeiset import ImeiSet
from imeiset._native import simd
from imeiset._native.index import FrozenIndex

LEVELS = simd.simd_levels()
LARGEST = 131_072
FEWEST = 128  # buckets
ROOM = 12  # keys in a bucket
KEY = 10**14
pytestmark = pytest.mark.usefixtures("same_level_after")


def array(keys):
    return np.array(keys, np.uint64)


def index_of(keys):
    return FrozenIndex.from_sorted([np.unique(array(keys))])


def worth(index):
    """How many keys it is asked before it has a table."""
    return 4 * len(index) + 4096


def ask(index, keys):
    out = np.full(len(keys), 9, np.uint8)
    assert index.contains_keys(keys, out) == bool((keys < KEY).all())
    return out


def hashed(keys):
    index = index_of(keys)
    ask(index, np.zeros(worth(index), np.uint64))
    return index


def words(n):
    """Of marks, 4 bytes each: a power of two, for two keys each or so."""
    return max(64, 1 << (n // 2 - 1).bit_length())


def buckets(index):
    return (index.hashed_nbytes - 4 * words(len(index))) // 64


def assert_answers(index, keys, asked):
    expected = np.isin(asked, array(keys))
    for level in LEVELS:
        simd.use_simd(level)
        np.testing.assert_array_equal(ask(index, asked), expected, err_msg=level)


def near(keys, count):
    """Keys that are most like others: one bit or bucket away, and numbers of which only a part is a key."""
    keys = array(keys)
    flipped = (keys[:, None] ^ np.left_shift(np.uint64(1), np.arange(64, dtype=np.uint64))).ravel()
    steps = (keys[:, None] + array([1, 127, 128, 129, count, count * 128, 2**32, 2**39])).ravel()
    return np.concatenate([keys, flipped, steps, array([KEY - 1, KEY, 2**47 - 1, 2**47, 2**63, 2**64 - 1])])


def of_one_bucket(n, count, start=3 * 10**13):
    """So many keys that stand in the bucket of the first, none of them near another."""
    wanted, found, rest = oracle.bucket(start, count), [], start // 128
    while len(found) < n:
        if (key := oracle.key_in(wanted, rest, count)) is not None:
            found.append(key)
        rest += 99_991
    return found


@pytest.mark.parametrize("n", [1, 2, 818, 819, 820, 5000, LARGEST])
def test_table_is_there_from_the_key_on_that_makes_it_worth_while(n):
    rng = np.random.default_rng(n)
    keys = np.unique(rng.integers(0, KEY, n + n // 100 + 1).astype(np.uint64))[:n]
    index = index_of(keys)
    assert len(index) == n
    asked = rng.permutation(np.resize(keys, worth(index)))
    assert ask(index, asked[:-1]).all()
    assert index.hashed_nbytes == 0
    assert ask(index, asked[-1:]).all()
    assert buckets(index) == max(FEWEST, n * 5 // 32)
    assert ask(index, asked).all()


@pytest.mark.parametrize(
    "index",
    [
        FrozenIndex(),
        FrozenIndex.from_runs(array([0]), array([LARGEST])),
        FrozenIndex.from_runs(array([KEY // 2]), array([KEY - 1])),
    ],
    ids=["empty", "one key more", "whole TACs"],
)
def test_other_sets_never_have_one(index):
    n = 4 * min(len(index), 2 * LARGEST) + 5000
    for _ in range(3):
        ask(index, np.zeros(n, np.uint64))
    assert index.hashed_nbytes == 0


@pytest.mark.parametrize("asked", [1, 63, 64, 2047, 2048, 2049, 7000])
def test_it_may_come_in_the_middle_of_a_batch(asked):
    keys = np.sort(np.random.default_rng(1).choice(10**9, 700, replace=False)).astype(np.uint64)
    index, column = index_of(keys), np.resize(keys, worth(index_of(keys)) + 5000)
    column[::2] += np.uint64(1)
    expected = np.isin(column, keys)
    got = [ask(index, column[at : at + asked]) for at in range(0, len(column), asked)]
    np.testing.assert_array_equal(np.concatenate(got), expected)
    assert index.hashed_nbytes


@pytest.mark.parametrize("n", range(ROOM + 8))
def test_buckets_that_are_full(n):
    """From the thirteenth key on, the index is asked about what does not stand in the bucket."""
    filler = np.random.default_rng(7).integers(10**13, 2 * 10**13, 600).tolist()
    crowd = of_one_bucket(ROOM + 20, FEWEST)
    index = hashed([*filler, *crowd[:n]])
    assert buckets(index) == FEWEST
    assert_answers(index, [*filler, *crowd[:n]], near([*crowd, *filler[:50]], FEWEST))


@pytest.mark.parametrize("n", [1, 300])
def test_no_table_where_many_find_no_room(n):
    keys = [key for i in range(n) for key in of_one_bucket(ROOM + 3, FEWEST, 3 * 10**13 + i % 2)]
    index = hashed(keys)
    assert index.hashed_nbytes == 0
    assert_answers(index, keys, near(keys, FEWEST))


@pytest.mark.parametrize("n", [1, 100, 5000, 100_000])
def test_keys_most_like_members(n):
    keys = np.random.default_rng(n).integers(0, KEY, n).astype(np.uint64)
    keys[:1] = KEY - 1
    index = hashed(keys)
    some = keys[:3000]
    assert_answers(index, keys, near(some, buckets(index)))


@pytest.mark.parametrize("n", [128, 129, 5000, 100_000])
def test_keys_that_have_the_marks_of_members(n):
    """And no others: all of a batch have to be looked for in their buckets, and none is there."""
    rng = np.random.default_rng(n)
    keys = np.unique(rng.integers(0, KEY, n + n // 100 + 1).astype(np.uint64))[:n]
    table = [0] * words(n)
    for word, bits in map(oracle.marks, keys.tolist(), repeat(words(n))):
        table[word] |= bits
    others = np.setdiff1d(rng.integers(0, KEY, 100_000).astype(np.uint64), keys)
    marked = [
        table[word] & bits == bits for word, bits in map(oracle.marks, others.tolist(), repeat(words(n)))
    ]
    like = others[marked]
    assert 100 < len(like) < len(others) // 20
    assert_answers(hashed(keys), keys, like)
    assert_answers(hashed(keys), keys, rng.permutation(np.concatenate([like, keys[:1000], others[:1000]])))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("n", [1, 63, 65, 2047, 2049])
def test_nothing_is_written_behind_the_answers(level, n):
    """Groups that are not full are filled up with 10^14, which here has the marks of members."""
    simd.use_simd(level)
    rng = np.random.default_rng(8)
    word, bits = oracle.marks(KEY, words(300))
    alike = [key for key in rng.integers(0, KEY, 40_000).tolist() if oracle.marks(key, words(300))[0] == word]
    keys = np.unique(array([*alike[:60], *rng.integers(0, KEY, 240).tolist()]))
    assert np.bitwise_or.reduce([oracle.marks(key, words(300))[1] for key in alike[:60]]) & bits == bits
    index, out = hashed(keys.tolist()), np.full(n + 200, 9, np.uint8)
    assert index.hashed_nbytes
    asked = np.resize(keys + np.uint64(1), n)
    index.contains_keys(asked, out[100:-100])
    assert out[100:-100].tolist() == np.isin(asked, keys).tolist()
    assert (out[:100] == 9).all()
    assert (out[-100:] == 9).all()


@pytest.mark.parametrize("n", [300, 100_000])
def test_stretches_of_members_and_of_others(n):
    """What a group has says how the next is asked: here each length of stretch meets each."""
    rng = np.random.default_rng(n)
    keys = np.unique(rng.integers(0, KEY, n).astype(np.uint64))
    lengths = rng.choice([1, 24, 39, 40, 41, 63, 64, 65, 127, 128, 129, 600, 2047, 2048, 2049], 120)
    asked = rng.choice(keys, lengths.sum())
    asked[np.repeat(np.arange(len(lengths)) % 2 == 0, lengths)] += np.uint64(1)
    index = hashed(keys)
    for start in (0, 1, 63):
        assert_answers(index, keys, asked[start:])


@pytest.mark.parametrize(
    "keys",
    [
        range(49 * 10**12, 49 * 10**12 + 20_000),
        range(10**13, 10**13 + 10**6 * 20_000, 10**6),
        range(0, 128 * 20_000, 128),
        range(7, 2**32 * 20_000, 2**32),
        range(7, 2**27 * 20_000, 2**27),
    ],
    ids=["one after another", "one in a TAC", "every 128th", "every 2**32th", "every 2**27th"],
)
def test_keys_in_patterns(keys):
    keys = array([key for key in keys if key < KEY])
    index = hashed(keys)
    assert_answers(index, keys, near(keys[:: max(len(keys) // 500, 1)], max(buckets(index), FEWEST)))
    assert_answers(index, keys, keys)


@given(st.integers(FEWEST, 2**16 - 1), st.integers(0, KEY - 1))
def test_a_bucket_and_what_stands_in_it_are_the_whole_key(count, key):
    assert oracle.key_in(oracle.bucket(key, count), key // 128, count) == key


@given(
    st.lists(st.integers(0, KEY - 1), min_size=1, max_size=60),
    st.lists(st.integers(0, 2**64 - 1), max_size=60),
)
def test_any_set(keys, others):
    index = hashed(keys)
    asked = np.concatenate([near(keys, FEWEST), array(others)])
    assert_answers(index, keys, asked)


def test_threads_ask_while_it_is_made():
    keys = np.unique(np.random.default_rng(4).integers(0, KEY, 20_000)).astype(np.uint64)
    column = np.concatenate([keys, keys + np.uint64(1)])
    expected = np.isin(column, keys)
    for _ in range(10):
        index = index_of(keys)
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: ask(index, column), range(8)))  # noqa: B023
        assert all(np.array_equal(answer, expected) for answer in answers)
        assert index.hashed_nbytes


@pytest.mark.parametrize("level", LEVELS)
def test_a_key_that_changes_meanwhile_is_one_or_the_other(level):
    """Where both are members, no moment has one that is not: one stands in its bucket, one found no room."""
    simd.use_simd(level)
    crowd = of_one_bucket(ROOM + 1, FEWEST)
    index = hashed([*crowd, *np.random.default_rng(2).integers(10**13, 2 * 10**13, 300).tolist()])
    assert index.hashed_nbytes
    assert all_while_written(lambda column: ask(index, column).all(), crowd[0], crowd[-1])


def test_sets_of_a_file_and_their_copies_answer_alike(tmp_path):
    keys = np.unique(np.random.default_rng(5).integers(0, KEY, 3000)).astype(np.uint64)
    made = ImeiSet.from_keys(keys)
    made.save(tmp_path / "list.imei")
    column = np.concatenate([keys, keys + np.uint64(1)])
    expected = np.isin(column, keys)
    for members in (made, ImeiSet.open(tmp_path / "list.imei"), made | ImeiSet(), ImeiSet(made)):
        for _ in range(5):
            np.testing.assert_array_equal(members.contains(column), expected)
        assert members.hashed_nbytes
        assert members == made
    made.save(tmp_path / "again.imei")
    assert (tmp_path / "again.imei").read_bytes() == (tmp_path / "list.imei").read_bytes()
