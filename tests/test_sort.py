"""The sort against NumPy's, on inputs made to go wrong."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from imeiset._native.sort import PIECE, sorted_parts


def sort_keys(parts, threads=1):
    found = list(sorted_parts(parts, threads))
    return found[0] if len(found) == 1 else np.concatenate([np.empty(0, np.uint64), *found])


GROUP = 1 << 14  # keys, as in _native/c/sort.h


def check(keys, threads=1, parts=1):
    keys = np.ascontiguousarray(keys, np.uint64)
    before = keys.copy()
    given = np.array_split(keys, parts)
    found = sort_keys(given, threads)
    assert given == []
    assert found.dtype == np.uint64
    np.testing.assert_array_equal(found, np.sort(before))
    np.testing.assert_array_equal(keys, before)  # the input is only read


RNG = np.random.default_rng(3)


def drawn(n, low, high):
    return RNG.integers(low, high, n, np.uint64, endpoint=True)


def of_tacs(n, tacs):
    return RNG.choice(np.asarray(tacs, np.uint64), n) * np.uint64(10**6) + drawn(n, 0, 10**6 - 1)


SHAPES = {
    "equal": lambda n: np.full(n, 49015420323751, np.uint64),
    "equal but one": lambda n: np.append(np.full(n - 1, 7, np.uint64), np.uint64(3)),
    "ascending": lambda n: np.arange(n, dtype=np.uint64),
    "descending": lambda n: np.arange(n, dtype=np.uint64)[::-1],
    "all but the last ascending": lambda n: np.append(np.arange(1, n, dtype=np.uint64), np.uint64(0)),
    "sawtooth": lambda n: np.arange(n, dtype=np.uint64) % np.uint64(1000),
    "one TAC": lambda n: of_tacs(n, [35693803]),
    "two TACs": lambda n: of_tacs(n, [1, 99999999]),
    "one dense TAC of many": lambda n: np.append(
        of_tacs(n - n // 8, [86012345]), of_tacs(n // 8, RNG.integers(0, 10**8, 1000))
    ),
    "around a power of two": lambda n: drawn(n, 2**46 - 500, 2**46 + 500),
    "few values": lambda n: RNG.choice(np.array([0, 5, 2**63, 2**64 - 1], np.uint64), n),
    "keys": lambda n: drawn(n, 0, 10**14 - 1),
    "all uint64": lambda n: drawn(n, 0, 2**64 - 1),
    "every magnitude": lambda n: drawn(n, 0, 2**64 - 1) >> drawn(n, 0, 63),
    "a dense heap and its outliers": lambda n: np.append(
        drawn(n - 2, 2**40, 2**40 + 2**30), np.array([0, 2**64 - 1], np.uint64)
    ),
    "heaps within heaps": lambda n: np.concatenate(
        [drawn(n - 3 * (n // 4), 0, 3), *(drawn(n // 4, 0, 2**bits - 1) for bits in (20, 36, 64))]
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [2, 100, 2047, 2048, 2 * GROUP, 2 * GROUP + 1, 400_000])
def test_shapes(shape, n):
    check(SHAPES[shape](n))
    check(SHAPES[shape](n), threads=3, parts=4)


def test_sizes():
    for n in range(1001):
        check(drawn(n, 0, 10**14 - 1), parts=1 + n % 3)


@pytest.mark.parametrize("bits", range(65))
def test_every_width(bits):
    for n in (60, 3000, 70_000):
        check(drawn(n, 0, 2**bits - 1))


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_threads_and_pieces(threads):
    check(of_tacs(2 * PIECE + 12_345, RNG.integers(0, 10**8, 5000)), threads=threads, parts=3)


def test_many_times_the_same_keys():
    check(np.repeat(drawn(40, 0, 10**14 - 1), 20_000)[::-1])


@given(arrays.arrays(np.uint64, st.integers(0, 200)), st.integers(1, 4))
def test_any_keys(keys, parts):
    check(keys, parts=parts)


def test_parts():
    assert sort_keys([]).tolist() == []
    assert sort_keys([np.empty(0, np.uint64)]).tolist() == []
    keys = np.array([1, 2, 2], np.uint64)
    keys.flags.writeable = False
    assert sort_keys([keys]) is keys
    assert sort_keys([keys, np.empty(0, np.uint64), keys + np.uint64(1)]).tolist() == [1, 2, 2, 2, 3, 3]
    assert sort_keys([keys + np.uint64(2), keys]).tolist() == [1, 2, 2, 3, 4, 4]


def test_bad_arguments():
    with pytest.raises(ValueError, match="threads"):
        sort_keys([], 0)
    with pytest.raises(ValueError, match=r"dtype|Buffer"):
        sort_keys([np.zeros(3, np.int32)])
    with pytest.raises(TypeError):
        sort_keys(np.zeros(3, np.uint64))


def test_at_the_same_time():
    keys = [of_tacs(200_000, RNG.integers(0, 10**8, 300)) for _ in range(4)]
    found = [None] * len(keys)

    def work(i):
        found[i] = sort_keys([keys[i]], 2)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(keys))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for given_keys, result in zip(keys, found, strict=True):
        np.testing.assert_array_equal(result, np.sort(given_keys))
