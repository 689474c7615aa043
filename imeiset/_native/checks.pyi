from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from imeiset._native.imsi import Prefixes
from imeiset._native.index import FrozenIndex
from imeiset._native.layered import Level
from imeiset._native.pairs import Pairing

_Keys = NDArray[np.uint64]

RULES: tuple[str, ...]
PACKED: int

@final
class CheckTables:
    def __new__(
        cls,
        known: FrozenIndex,
        *,
        order: Iterable[str],
        levels: dict[Any, Level],
        pairings: Iterable[tuple[Pairing, bool, int]],
        prefixes: Prefixes,
        outcomes: bytes,
        lists: int,
        detailed: dict[int, Any],
        told: Callable[[int, Any], Any],
        malformed: Callable[[object, int, int], Any],
        unread: Callable[[object], object],
        about: Any = None,
        spans: _Keys | None = None,
        shift: int = 0,
        touched: _Keys | None = None,
        spread: bool = False,
        deciders: tuple[NDArray[np.uint8] | None, Sequence[int], Sequence[object]] | None = None,
    ) -> CheckTables: ...
    @property
    def about(self) -> Any: ...
    def by_prefix(self, imsis: _Keys, out: NDArray[np.uint16]) -> None: ...
    def read(self, imei: object, imsi: object) -> tuple[int, int, int]: ...
    def claims(self, key: int | None, imsi: int) -> list[int]: ...
    def hits(self, keys: _Keys, status: NDArray[np.uint8], which: NDArray[np.int64], said: _Keys) -> int: ...
    def answer(self, keys: _Keys, out: NDArray[np.unsignedinteger], imsis: _Keys | None = None) -> bool: ...

@disjoint_base
class Checker:
    def _tables(self) -> CheckTables: ...
    def _version(self) -> object: ...
    def _changed(self) -> None: ...
    def _use(self, tables: CheckTables, version: object = None) -> None: ...
    def _prepare(self) -> CheckTables: ...
    def check(self, imei: object, imsi: str | bytes | None = None) -> Any: ...
