from collections.abc import Iterable, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from imeiset._native.index import FrozenIndex

_Keys = NDArray[np.uint64]
_Codes = NDArray[np.uint8]

@final
class Layered:
    def __new__(
        cls, base: FrozenIndex, layers: Iterable[tuple[FrozenIndex | None, FrozenIndex | None]] = ()
    ) -> Layered: ...
    def contains(self, keys: NDArray[np.uint64], out: NDArray[np.uint8]) -> None: ...

@final
class Level:
    def __new__(cls, sets: Iterable[tuple[Layered, int, int]]) -> Level: ...

@final
class Detailed:
    def __new__(
        cls, members: Layered, sides: Iterable[Iterable[NDArray[np.unsignedinteger] | None]]
    ) -> Detailed: ...

@final
class Saying:
    def __new__(cls, one: int, other: int, said: object) -> Saying: ...

@final
class Told:
    def __new__(cls, detailed: Detailed) -> Told: ...

def codes_of(sets: Sequence[Detailed], key: int) -> list[tuple[int, int, int, int]]: ...
def places(given: FrozenIndex, /) -> int: ...
def bytes_of(given: FrozenIndex, column: _Codes, keys: _Keys, found: _Codes, out: _Codes) -> None: ...
def decided(
    given: FrozenIndex, sources: Iterable[tuple[FrozenIndex, int, int, int, _Codes | None]], /
) -> tuple[NDArray[np.uint16], list[int]]: ...
