"""The 64-bit Roaring bitmaps of other libraries, made of an index and read into one."""

import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from imeiset import columns
from imeiset.index import Index
from imeiset.readers import Keys

if TYPE_CHECKING:
    import pyroaring

_EXPANDED = 1 << 28  # keys of a bitmap that are laid out at once
_CONTAINERS = 1 << 27  # of a bitmap, at most: many gigabytes

OneIndex = TypeVar("OneIndex", bound=Index)


def bitmap_of(index: Index) -> "pyroaring.BitMap64":
    """The keys of an index as a bitmap; MemoryError for long runs that would need too many containers."""
    import pyroaring

    bitmap, containers = pyroaring.BitMap64(), 0
    for lows, highs in index.runs():
        containers += int(((highs >> np.uint64(16)) - (lows >> np.uint64(16))).sum())
        if containers > _CONTAINERS:
            raise MemoryError(f"expected runs that fit 2**27 Roaring containers, got {len(index):,} IMEIs")
        single = lows == highs
        bitmap.update(array.array("Q", lows[single].tobytes()))
        for low, high in zip(lows[~single].tolist(), highs[~single].tolist(), strict=True):
            bitmap.add_range(low, high + 1)
    return bitmap


def index_of(
    kind: type[OneIndex], bitmap: "pyroaring.BitMap64 | pyroaring.FrozenBitMap64 | bytes", /
) -> OneIndex:
    """The index of a kind that holds the keys of a bitmap, or of one serialized in the portable format."""
    import pyroaring

    if isinstance(bitmap, bytes):
        given = bitmap
        try:
            bitmap = pyroaring.BitMap64.deserialize(given)
        except IndexError:
            raise ValueError("expected a serialized Roaring bitmap, got no bytes") from None
        if len(bitmap.serialize()) != len(given):
            raise ValueError(f"expected a serialized Roaring bitmap, got one in {len(given)} bytes with more")
    if not isinstance(bitmap, pyroaring.BitMap64 | pyroaring.FrozenBitMap64):
        raise TypeError(f"expected a BitMap64 or bytes, got {type(bitmap).__name__}")
    if len(bitmap) <= _EXPANDED:
        return kind.from_keys(np.frombuffer(bitmap.to_array(), np.uint64))
    columns.keys_of([bitmap.max()])
    lows, highs = zip(*_runs(bitmap, 0, 10**14), strict=True)
    return kind.from_runs(np.concatenate(lows), np.concatenate(highs))


def _runs(bitmap: Any, start: int, end: int) -> Iterator[tuple[Keys, Keys]]:
    """The lowest and highest keys of runs from `start` up to `end`, without expanding long ones."""
    count = bitmap.range_cardinality(start, end)
    if count == end - start:
        yield np.array([start], np.uint64), np.array([end - 1], np.uint64)
    elif count > 1 << 12:
        middle = (start + end) // 2
        yield from _runs(bitmap, start, middle)
        yield from _runs(bitmap, middle, end)
    elif count:
        keys = np.fromiter(bitmap.iter_equal_or_larger(start), np.uint64, count)
        edge = np.flatnonzero(np.diff(keys) != 1)
        yield keys[np.append(0, edge + 1)], keys[np.append(edge, len(keys) - 1)]
