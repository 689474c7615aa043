from typing import Any

import numpy as np
from numpy.typing import NDArray

_Keys = NDArray[np.uint64]

NO_IMSI: int
BAD_IMSI: int

def imsis_of(values: list[Any], out: _Keys) -> None: ...
def imsis_of_rows(texts: NDArray[np.uint8] | NDArray[np.uint32], out: _Keys) -> None: ...
