import numpy as np
from numpy.typing import NDArray

_Column = tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int32]]

def joined(rows: int, columns: list[_Column]) -> bytes: ...
