import numpy as np
from numpy.typing import NDArray

PIECE: int

def sort_keys(parts: list[NDArray[np.uint64]], /, threads: int = 1) -> NDArray[np.uint64]: ...
