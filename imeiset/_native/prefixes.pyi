from collections.abc import Iterable
from typing import final

import numpy as np
from numpy.typing import NDArray

@final
class Prefixes:
    def __new__(
        cls,
        layers: Iterable[tuple[NDArray[np.uint64], NDArray[np.uint16]]] = (),
        lengths: Iterable[int] = (),
    ) -> Prefixes: ...
