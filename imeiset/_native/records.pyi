import numpy as np
from numpy.typing import NDArray

_Offsets = NDArray[np.int32] | NDArray[np.int64]

def read(
    text: bytes | memoryview | NDArray[np.uint8],
    starts: _Offsets,
    ends: _Offsets,
    keys: NDArray[np.uint64],
    status: NDArray[np.uint8],
    restored: int = 0,
    delimiter: bytes | None = None,
    tbcd: bool = False,
) -> tuple[tuple[int, int, int], tuple[int, list[int]], tuple[int, list[int]]]: ...
