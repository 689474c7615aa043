"""Layers of changes over what is frozen: how they are kept few, so that a change costs what it changes."""

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import Generic, Protocol, Self, TypeVar

_SMALL = 1 << 12  # bytes of the layer in which changes gather
_STEP = 16  # a layer weighs at most one part of so many of the next
_VALUE = 64  # bytes of a value in a set of Python


class Weighed(Protocol):
    """A layer, of whatever is layered."""

    @property
    def weight(self) -> int:
        """What merging it costs, in bytes."""

    def over(self, older: Self) -> Self:
        """Both as one: what this one says counts where both say something."""


_Layer = TypeVar("_Layer", bound=Weighed)
_Value = TypeVar("_Value", covariant=True)


def stacked(top: _Layer, below: tuple[_Layer, ...]) -> tuple[_Layer, ...]:
    """Layers with one more on top, the newest first.

    Changes gather in one small layer. When that is full, it goes into the one below if it is more than a
    sixteenth of it, and that into the next: so a change costs what the small layer does, nearly always, and
    there are few layers to ask.
    """
    if below and below[0].weight < _SMALL:
        top, below = top.over(below[0]), below[1:]
    while below and top.weight >= _SMALL and top.weight * _STEP > below[0].weight:
        top, below = top.over(below[0]), below[1:]
    return top, *below


@dataclass(frozen=True, eq=False)
class _Values:
    """What changes added to a set of values and removed from it."""

    added: frozenset[object]
    removed: frozenset[object]

    @property
    def weight(self) -> int:
        return _VALUE * (len(self.added) + len(self.removed))

    def over(self, older: "_Values") -> "_Values":
        added, removed = older.added - self.removed | self.added, older.removed | self.removed
        return _Values(added, removed - self.added)


@dataclass(frozen=True, eq=False, repr=False)
class LayeredValues(Set[_Value], Generic[_Value]):
    """A frozen set of values, and layers of changes since, the newest first."""

    base: frozenset[_Value] = frozenset()
    layers: tuple[_Values, ...] = ()
    count: int = field(default=0)

    @classmethod
    def of(cls, values: Set[_Value]) -> "LayeredValues[_Value]":
        """Of any set."""
        return values if isinstance(values, LayeredValues) else cls(frozenset(values), (), len(values))

    @classmethod
    def _from_iterable(cls, values: Iterable[object]) -> frozenset[object]:  # type: ignore[override]
        return frozenset(values)

    def __contains__(self, value: object) -> bool:
        for one in self.layers:
            if value in one.added:
                return True
            if value in one.removed:
                return False
        return value in self.base

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[_Value]:
        return iter(self.flattened())

    def flattened(self) -> frozenset[_Value]:
        """All of them. O(values)."""
        found: set[object] = set(self.base)
        for one in reversed(self.layers):
            found = found - one.removed | one.added
        return frozenset(found)  # type: ignore[arg-type]

    def changed_by(self, add: Set[object], remove: Set[object]) -> "LayeredValues[_Value]":
        """Without `remove`, then with `add`. O(changes), nearly always."""
        gone = remove - add
        count = self.count + sum(value not in self for value in add) - sum(value in self for value in gone)
        layers = stacked(_Values(frozenset(add), frozenset(gone)), self.layers)
        return LayeredValues(self.base, layers, count)
