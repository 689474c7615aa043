from collections.abc import Iterable
from typing import final

import numpy as np
from numpy.typing import NDArray

_Bytes = bytes | bytearray | memoryview

AT_A_TIME: int
COUNTED: int

@final
class Requests:
    def __new__(cls, said: Iterable[bytes], longest: int) -> Requests: ...
    def read(
        self, received: _Bytes, at: int, keys: NDArray[np.uint64], imsis: NDArray[np.uint64]
    ) -> tuple[int, int]: ...
    def write(self, received: _Bytes, codes: NDArray[np.uint64], tally: NDArray[np.uint64]) -> bytes: ...
