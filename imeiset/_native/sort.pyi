from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

PIECE: int
BATCH: int

def sorted_parts(parts: list[NDArray[np.uint64]], /, threads: int = 1) -> Iterator[NDArray[np.uint64]]: ...
