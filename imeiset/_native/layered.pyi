from typing import final

import numpy as np
from numpy.typing import NDArray

from imeiset._native.index import Index

@final
class Layered:
    def __new__(cls, base: Index, added: Index | None = None, removed: Index | None = None) -> Layered: ...
    @property
    def base(self) -> Index: ...
    @property
    def added(self) -> Index | None: ...
    @property
    def removed(self) -> Index | None: ...
    def contains(self, keys: NDArray[np.uint64], out: NDArray[np.uint8]) -> None: ...
