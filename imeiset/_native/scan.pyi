from collections.abc import Iterable, Sequence
from typing import Self, final

import numpy as np
from _typeshed import ReadableBuffer
from numpy.typing import NDArray

BATCH_ROWS: int
MAX_PLACES: int
MAX_ROW: int
SEEN_FEW: int

@final
class Scanner:
    def __new__(
        cls,
        delimiter: bytes,
        columns: Sequence[int],
        *,
        comments: bool = False,
        irregular: bool = False,
        max_row: int = 1 << 20,
        first_line: int = 1,
        fewest: int = 0,
        most: int = ...,
        needed: int | None = None,
        shorter: bool = False,
        identities: Sequence[int] = (0,),
        digits: int = 14,
        restored: int = 0,
        tbcd: bool = False,
        status: int | None = None,
        counting: Iterable[bytes] = (),
        watched: Sequence[int] = (),
    ) -> Self: ...
    def feed(self, text: ReadableBuffer, /, *, final: bool) -> None: ...
    def batch(self) -> int: ...
    def read_keys(
        self, accept: NDArray[np.uint8], keys: NDArray[np.uint64], /
    ) -> tuple[int, NDArray[np.uint8]]: ...
    def seen(self) -> list[dict[bytes, int]]: ...
    def take(
        self, accept: NDArray[np.uint8], keys: NDArray[np.uint64], /
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8], NDArray[np.uint8]]: ...
    def parse(self, column: int, keys: NDArray[np.uint64], status: NDArray[np.uint8], /) -> None: ...
    def groups(self, column: int, /) -> tuple[NDArray[np.int32], list[bytes]]: ...
    def numbers(self, column: int, fewest: int, most: int, /) -> NDArray[np.uint64]: ...
    def days(self, column: int, /) -> NDArray[np.int32]: ...
    def returns(self, rows: NDArray[np.int64], /) -> NDArray[np.int32]: ...
    @property
    def skipping(self) -> bool: ...
    @property
    def learned(self) -> int: ...
    def tally(
        self,
    ) -> tuple[
        tuple[int, int, int],
        NDArray[np.int64],
        tuple[int, int, int],
        list[int],
        list[tuple[int, list[int]]],
    ]: ...
    @property
    def rows(self) -> NDArray[np.int32]: ...
    @property
    def cells(self) -> NDArray[np.int32]: ...
    @property
    def first_line(self) -> int: ...
    @property
    def lines(self) -> int: ...
    @property
    def unfinished(self) -> int: ...

def placeholders(keys: NDArray[np.uint64], /) -> NDArray[np.int64]: ...
def annotate(
    text: ReadableBuffer,
    rows: NDArray[np.int32],
    codes: NDArray[np.uint32],
    words: list[bytes],
    delimiter: bytes = b"",
    cells: int = 0,
) -> bytes: ...
