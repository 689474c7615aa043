from collections.abc import Iterable
from typing import final

import numpy as np
from numpy.typing import NDArray

from imeiset._native.index import FrozenIndex

_Keys = NDArray[np.uint64]
_Pairs = tuple[FrozenIndex, NDArray[np.uint32], _Keys]

@final
class Pairing:
    def __new__(cls, base: _Pairs, layers: Iterable[tuple[FrozenIndex, _Pairs]] = ()) -> Pairing: ...
    def have(self, keys: _Keys, imsis: _Keys, out: NDArray[np.uint8]) -> None: ...

def are_ascending(keys: _Keys, imsis: _Keys) -> bool: ...
def sort_pairs(keys: _Keys, imsis: _Keys) -> int: ...
def starts_of(keys: _Keys, starts: NDArray[np.uint32]) -> int: ...
def merge_pairs(
    base: tuple[NDArray[np.uint32], _Keys],
    now: tuple[NDArray[np.uint32], _Keys],
    ranks: NDArray[np.int64],
    in_base: NDArray[np.int64],
    in_now: NDArray[np.int64],
    starts: NDArray[np.uint32],
    imsis: _Keys,
) -> None: ...
