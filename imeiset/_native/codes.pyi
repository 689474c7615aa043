from typing import Any

import numpy as np
from numpy.typing import NDArray

_Column = tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int32]]

def mark_codes(codes: NDArray[Any], used: NDArray[np.uint8]) -> None: ...
def splice_codes(
    old: NDArray[Any],
    new: NDArray[Any],
    ranks: NDArray[np.int64],
    in_old: NDArray[np.int64],
    in_new: NDArray[np.int64],
    out: NDArray[Any],
    row: int,
    done: int,
) -> tuple[int, int]: ...
def count_codes(
    rows: NDArray[np.uint64], shift: int, low: NDArray[np.uint8], counts: NDArray[np.int64]
) -> None: ...
def part_codes(
    rows: NDArray[np.uint64], shift: int, least: int, low: NDArray[np.uint8], which: NDArray[np.int64]
) -> int: ...
def put_codes(
    codes: NDArray[Any], rows: NDArray[np.int64], table: NDArray[Any], out: NDArray[Any]
) -> None: ...
def joined(rows: int, columns: list[_Column]) -> bytes: ...
