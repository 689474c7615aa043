from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

PIECE: int
BATCH: int

def sorted_parts(parts: list[NDArray[np.uint64]], /, threads: int = 1) -> Generator[NDArray[np.uint64]]: ...
