"""Identities that a delta names, as sets. Pairs are such a set here, with the operators of `ImeiSet`."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import irregular as irregulars
from ..readers import Keys
from ..register.lists import List
from ..register.pairs import NO_PAIRS, Pairs
from ..sets import ImeiSet


@dataclass(frozen=True, eq=False)
class PairSet:
    """Pairs as a set of them."""

    pairs: Pairs
    irregular = None

    @classmethod
    def of(cls, keys: Keys, imsis: Keys) -> "PairSet":
        """Of two columns, in any order, repeats allowed."""
        return cls(Pairs.of(keys, imsis))

    @cached_property
    def columns(self) -> tuple[Keys, Keys]:
        """All pairs, in order."""
        return self.pairs.of_imeis(self.pairs.imeis.to_numpy())

    def __len__(self) -> int:
        return len(self.pairs)

    def where(self, rows: NDArray[np.bool_]) -> "PairSet":
        """Some of `columns`."""
        keys, imsis = self.columns
        return PairSet.of(keys[rows], imsis[rows])

    def __and__(self, other: "PairSet") -> "PairSet":
        return self.where(other.pairs.have(*self.columns))

    def __sub__(self, other: "PairSet") -> "PairSet":
        return self.where(~other.pairs.have(*self.columns))

    def __or__(self, other: "PairSet") -> "PairSet":
        return PairSet.of(*map(np.concatenate, zip(self.columns, other.columns, strict=True)))

    def digest(self) -> str:
        """SHA-256 of the IMEIs and then the IMSIs, in order, 8 bytes each."""
        return hashlib.sha256(b"".join(column.astype("<u8").tobytes() for column in self.columns)).hexdigest()


def has(one: List, rule: str, keys: Keys) -> NDArray[np.bool_]:
    """Which IMEIs a list has by a rule of sets."""
    found, members = np.zeros(len(keys), np.uint8), one.parts.get(rule)
    if members is not None:
        members.part.contains(keys, found)
    return found.view(bool)


def whole(one: List, rule: str) -> Any:
    """What a list holds by a rule; O(list)."""
    if rule == "pair":
        return PairSet(NO_PAIRS if one.pairs is None else one.pairs.flattened().base)
    members = one.parts.get(rule)
    found = ImeiSet() if members is None else members.flattened().base
    if rule == "exact" and one.irregular:
        return found.keeping(irregulars.table(sorted(one.irregular)))
    return found


def size_of(members: Any) -> int:
    """How many identities there are, irregular ones too."""
    return len(members) + (0 if members.irregular is None else len(members.irregular))
