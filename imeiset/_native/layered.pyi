from collections.abc import Iterable
from typing import final

import numpy as np
from numpy.typing import NDArray

from imeiset._native.index import FrozenIndex

@final
class Layered:
    def __new__(
        cls, base: FrozenIndex, layers: Iterable[tuple[FrozenIndex | None, FrozenIndex | None]] = ()
    ) -> Layered: ...
    def contains(self, keys: NDArray[np.uint64], out: NDArray[np.uint8]) -> None: ...
