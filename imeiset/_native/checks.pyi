from collections.abc import Iterable
from typing import Any, Literal, final, overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

from imeiset.register.checks import Rules
from imeiset.register.policy import Verdict
from imeiset.sets import ImeiSet

_Keys = NDArray[np.uint64]

NO_IMSI: int
BAD_IMSI: int
RULES: tuple[str, ...]

_Pairs = tuple[ImeiSet, NDArray[np.uint32], _Keys]

def imsis_of(values: list[Any], out: _Keys) -> None: ...
def imsis_of_rows(texts: NDArray[np.uint8] | NDArray[np.uint32], out: _Keys) -> None: ...
def are_ascending(keys: _Keys, imsis: _Keys) -> bool: ...
def sort_pairs(keys: _Keys, imsis: _Keys) -> int: ...
def starts_of(keys: _Keys, starts: NDArray[np.uint32]) -> int: ...
def merge_pairs(
    base: tuple[NDArray[np.uint32], _Keys],
    now: tuple[NDArray[np.uint32], _Keys],
    ranks: NDArray[np.int64],
    in_base: NDArray[np.int64],
    in_now: NDArray[np.int64],
    starts: NDArray[np.uint32],
    imsis: _Keys,
) -> None: ...
def mark_codes(codes: NDArray[Any], used: NDArray[np.uint8]) -> None: ...
def splice_codes(
    old: NDArray[Any],
    new: NDArray[Any],
    ranks: NDArray[np.int64],
    in_old: NDArray[np.int64],
    in_new: NDArray[np.int64],
    out: NDArray[Any],
    row: int,
    done: int,
) -> tuple[int, int]: ...
def mark(words: _Keys, numbers: _Keys) -> None: ...

@final
class Part:
    def __new__(cls, base: ImeiSet, added: ImeiSet | None = None, removed: ImeiSet | None = None) -> Part: ...
    @property
    def base(self) -> ImeiSet: ...
    @property
    def added(self) -> ImeiSet | None: ...
    @property
    def removed(self) -> ImeiSet | None: ...
    def contains(self, keys: _Keys, out: NDArray[np.uint8]) -> None: ...

@final
class Level:
    def __new__(cls, parts: Iterable[tuple[Part, int, int]]) -> Level: ...

@final
class Pairing:
    def __new__(cls, base: _Pairs, touched: ImeiSet | None = None, now: _Pairs | None = None) -> Pairing: ...
    def have(self, keys: _Keys, imsis: _Keys, out: NDArray[np.uint8]) -> None: ...

@final
class Tables:
    def __new__(
        cls,
        known: ImeiSet,
        rules: Rules,
        *,
        spans: _Keys | None = None,
        shift: int = 0,
        touched: _Keys | None = None,
        wide: ImeiSet | None = None,
    ) -> Tables: ...
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
    def _tables(self) -> Tables: ...
    def _use(self, tables: Tables | None) -> None: ...
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
