"""How the rows of a delta stand in a section: as numbers in LEB128, at most 8 bytes each, the shortest form.

Keys are distances from the one before, which are small. See `delta` for the grammar.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.uint64]
Columns = tuple[NDArray[Any], ...]
_BITS, _LONGEST = 7, 8
_MORE = 1 << _BITS  # the bit that says that another byte follows
_ROWS = 1 << 18  # numbers at a time
_ONE = np.uint64(1)
_LAST_KEY = 10**14 - 1


def encoded(parts: Iterable[Numbers]) -> bytes:
    """Numbers below 2**56."""
    return b"".join(_encoded(part[at : at + _ROWS]) for part in parts for at in range(0, len(part), _ROWS))


def _encoded(numbers: Numbers) -> bytes:
    lengths = np.ones(len(numbers), np.int64)
    for more in range(1, _LONGEST):
        lengths += numbers >= np.uint64(1 << _BITS * more)
    ends = lengths.cumsum()
    found = np.empty(ends[-1], np.uint8)
    for byte in range(int(lengths.max())):
        rows = lengths > byte
        bits = (numbers[rows] >> np.uint64(_BITS * byte)) & np.uint64(_MORE - 1)
        bits |= np.where(lengths[rows] > byte + 1, np.uint64(_MORE), np.uint64(0))
        found[(ends - lengths)[rows] + byte] = bits
    return found.tobytes()


def decoded(data: bytes | memoryview) -> Numbers:
    """All numbers in some bytes. ValueError for what `encoded` does not make. Takes 50 bytes for each."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < _MORE)
    if len(raw) and (not len(ends) or int(ends[-1]) != len(raw) - 1):
        raise ValueError("a number that is cut off")
    starts = np.append(0, ends[:-1] + 1)[: len(ends)]
    lengths = ends - starts + 1
    if lengths.max(initial=0) > _LONGEST or (raw[ends[lengths > 1]] == 0).any():
        raise ValueError("a number that is too long")
    found = np.zeros(len(ends), np.uint64)
    for byte in range(int(lengths.max(initial=0))):
        rows = np.flatnonzero(lengths > byte)
        bits = (raw[starts[rows] + byte] & np.uint8(_MORE - 1)).astype(np.uint64)
        found[rows] |= bits << np.uint64(_BITS * byte)
    return found


class Taken:
    """Numbers taken one piece after another."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._numbers, self._at = decoded(data), 0

    @property
    def left(self) -> int:
        """How many there are still."""
        return len(self._numbers) - self._at

    def take(self, count: int) -> Numbers:
        """The next ones. ValueError where there are not so many."""
        if not 0 <= count <= self.left:
            raise ValueError(f"{count} numbers, of which {self.left} are there")
        self._at += count
        return self._numbers[self._at - count : self._at]


class _Keys:
    """Keys, as the first and the distances between them."""

    width = 1

    @staticmethod
    def parts(columns: Columns) -> list[Numbers]:
        return [np.diff(columns[0], prepend=np.uint64(0))]

    @staticmethod
    def columns(numbers: Numbers) -> Columns:
        keys = numbers.cumsum(dtype=np.uint64)
        _expect_below(numbers)
        if (numbers[1:] == 0).any() or (keys[1:] < keys[:-1]).any():
            raise ValueError("a key that comes twice, or is too large")
        return (keys,)


class _Pairs:
    """Keys as the distances between them, and IMSIs as they are."""

    width = 2

    @staticmethod
    def parts(columns: Columns) -> list[Numbers]:
        distances = np.diff(columns[0], prepend=np.uint64(0))
        return [np.stack([distances, columns[1]], axis=1).reshape(-1)]

    @staticmethod
    def columns(numbers: Numbers) -> Columns:
        distances, imsis = numbers[::2], numbers[1::2].copy()
        _expect_below(distances)
        keys = distances.cumsum(dtype=np.uint64)
        if (keys[1:] < keys[:-1]).any() or ((distances[1:] == 0) & (imsis[1:] <= imsis[:-1])).any():
            raise ValueError("pairs that are not in order, or come twice")
        return keys, imsis


class _Runs:
    """The keys between runs, and their lengths less one."""

    width = 2

    @staticmethod
    def parts(columns: Columns) -> list[Numbers]:
        lows, highs = columns
        between = lows - np.append(np.uint64(0), highs[:-1] + _ONE)
        return [np.stack([between, highs - lows], axis=1).reshape(-1)]

    @staticmethod
    def columns(numbers: Numbers) -> Columns:
        between, lengths = numbers[::2], numbers[1::2]
        _expect_below(numbers)
        highs = (between + lengths + _ONE).cumsum(dtype=np.uint64) - _ONE
        lows = highs - lengths
        if (between[1:] == 0).any() or (highs[1:] <= highs[:-1]).any():
            raise ValueError("runs that touch, or are too long")
        return lows, highs


FORMS: dict[str, Any] = {"exact": _Keys, "pair": _Pairs, "range": _Runs, "tac": _Runs}


def _expect_below(numbers: Numbers) -> None:
    """So that sums of 2**24 of them go beyond 64 bits at one step, which is seen, and not at once."""
    if numbers.max(initial=0) > _LAST_KEY:
        raise ValueError("numbers beyond those of IMEIs")
