from collections.abc import Iterable
from typing import Any, Literal, final, overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from imeiset._native.layered import Layered
from imeiset.register.checks import Rules
from imeiset.register.policy import Verdict
from imeiset.sets import ImeiSet

_Keys = NDArray[np.uint64]

RULES: tuple[str, ...]

def mark(words: _Keys, numbers: _Keys) -> None: ...

@final
class Level:
    def __new__(cls, sets: Iterable[tuple[Layered, int, int]]) -> Level: ...

@final
class CheckTables:
    def __new__(
        cls,
        known: ImeiSet,
        rules: Rules,
        *,
        spans: _Keys | None = None,
        shift: int = 0,
        touched: _Keys | None = None,
        wide: ImeiSet | None = None,
    ) -> CheckTables: ...
    @property
    def known(self) -> ImeiSet: ...
    @property
    def wide(self) -> ImeiSet | None: ...
    @property
    def unlisted(self) -> Verdict: ...
    @property
    def rules(self) -> Rules: ...
    def resolve(self, key: int, imsi: int) -> Verdict: ...
    def by_prefix(self, imsi: int) -> Verdict | None: ...
    def answer(
        self, keys: _Keys, out: NDArray[np.uint8] | NDArray[np.uint16], imsis: _Keys | None = None
    ) -> bool: ...

@disjoint_base
class Checker:
    def _tables(self) -> CheckTables: ...
    def _use(self, tables: CheckTables | None) -> None: ...
    def _prepare(self) -> None: ...
    def check(self, imei: object, imsi: str | bytes | None = None) -> Verdict: ...
    @overload
    def check_many(
        self,
        imeis: object,
        imsis: object = None,
        threads: int = 1,
        *,
        lists: Literal[False] = False,
        digits: int = 14,
        arrow: Literal[False] = False,
    ) -> NDArray[np.uint8]: ...
    @overload
    def check_many(
        self,
        imeis: object,
        imsis: object = None,
        threads: int = 1,
        *,
        lists: Literal[True],
        digits: int = 14,
        arrow: Literal[False] = False,
    ) -> tuple[NDArray[np.uint8], NDArray[np.int8]]: ...
    @overload
    def check_many(
        self,
        imeis: object,
        imsis: object = None,
        threads: int = 1,
        *,
        lists: bool = False,
        digits: int = 14,
        arrow: bool,
    ) -> Any: ...
