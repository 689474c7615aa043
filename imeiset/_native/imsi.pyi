from collections.abc import Iterable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

_Keys = NDArray[np.uint64]

NO_IMSI: int
BAD_IMSI: int

def imsis_of(values: list[Any], out: _Keys) -> None: ...
def imsis_of_rows(texts: NDArray[np.uint8] | NDArray[np.uint32], out: _Keys) -> None: ...

@final
class Prefixes:
    def __new__(
        cls,
        layers: Iterable[tuple[NDArray[np.uint64], NDArray[np.uint16]]] = (),
        lengths: Iterable[int] = (),
    ) -> Prefixes: ...
