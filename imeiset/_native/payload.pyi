from io import RawIOBase
from typing import Final, Self, final

import numpy as np
from _typeshed import ReadableBuffer
from numpy.typing import NDArray

_Keys = NDArray[np.uint64]

SECTIONS: Final[tuple[str, ...]]
META: Final[int]
LAYOUT: Final[int]
DRAIN: int

@final
class Builder:
    def __new__(cls, lines: RawIOBase, spill: RawIOBase) -> Self: ...
    def add(self, lows: _Keys, highs: _Keys) -> None: ...
    def finish(self) -> tuple[int, list[tuple[str, ReadableBuffer]]]: ...
