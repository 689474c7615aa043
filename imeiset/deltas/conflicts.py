"""What of a file of changes does not fit a list: all of it at once, with counts and first lines."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import FeedConflict, mask
from ..feeds.loader import Rows
from ..sets import ImeiSet
from .members import PairSet, size_of

Chosen = tuple[NDArray[np.bool_], NDArray[np.bool_]]
"""Some rows of a table, and some of those of its irregular identities."""


class Misfits(NamedTuple):
    """Identities whose changes do not fit. changes: those of the rows that say it; if several, it takes rows
    of two of them."""

    what: str
    identities: Any
    changes: tuple[int, ...]


def conflict(
    path: str, table: Rows, found: Iterable[Misfits], saying: Callable[[int], Chosen], *, again: bool
) -> FeedConflict:
    """The error that names all of these. saying: gives the rows of a change. again: the list is what it would
    be after the changes."""
    named = []
    for what, identities, changes in found:
        (*others, line), text = min(_places(table, identities, tuple(map(saying, changes))))
        lines = f"lines {others[0]} and {line}" if others else f"line {line}"
        first = "" if (count := size_of(identities)) == 1 else "first "
        named.append((line, f"{what}: {count:,}, {first}{lines}, '{mask(text)}'"))
    got = "; ".join(text for _, text in named)
    got += " (it looks as if it was applied before)" if again else ""
    return FeedConflict(path, "changes of the list as it is", got, line=min(named)[0])


def _places(table: Rows, identities: Any, kinds: tuple[Chosen, ...]) -> Iterator[tuple[list[int], str]]:
    """The line or lines of the first of some identities, and what it is: of numbers, and of other texts."""
    if table.highs is not None and len(kinds) > 1:
        identities = ImeiSet([identities[0]])  # ranges may have more or less in common
    touched = _touched(table, identities)
    for part, columns in enumerate((table.columns, table.text_columns)):
        kind = np.full(len(touched[part]), -1)
        for number, chosen in enumerate(kinds):
            kind[chosen[part] & touched[part]] = number
        rows = np.flatnonzero(kind >= 0)
        if not len(rows):
            continue
        found = [rows[0]]
        if len(kinds) > 1:
            same = _same(table, part, rows)
            order = np.argsort(same, kind="stable")
            firsts = order[np.searchsorted(same[order], same)]  # of each row, the first of its identity
            second = np.flatnonzero(kind[rows] != kind[rows[firsts]])[0]
            found = [rows[firsts[second]], rows[second]]
        text = bytes(table.texts[found[0]]).decode() if part else f"{table.keys[found[0]]:014d}"
        yield [int(columns["line"][row]) for row in found], text


def _touched(table: Rows, identities: Any) -> Chosen:
    """The rows that name one of some identities."""
    odd = np.zeros(len(table.texts), bool)
    if isinstance(identities, PairSet):
        return identities.pairs.have(table.keys, table.columns["imsi"]), odd
    if identities.irregular is not None:
        odd = np.isin(table.texts, identities.irregular)
    if not len(identities):
        return np.zeros(len(table.keys), bool), odd
    lows, highs = (np.concatenate(ends) for ends in zip(*identities.runs(), strict=True))
    run = np.searchsorted(highs, table.keys)  # the first that ends in the row, or after it
    there = run < len(highs)
    ends = table.keys if table.highs is None else table.highs
    there[there] = lows[run[there]] <= ends[there]
    return there, odd


def _same(table: Rows, part: int, rows: NDArray[Any]) -> NDArray[Any]:
    """A number for each row, the same for rows of the same identity."""
    if table.highs is not None:
        return np.zeros(len(rows), int)
    cells = [table.texts if part else table.keys]
    if "imsi" in table.columns and not part:
        cells.append(table.columns["imsi"])
    numbers = [np.unique(column[rows], return_inverse=True)[1] for column in cells]
    same: NDArray[Any] = numbers[0] * len(rows) + numbers[-1]
    return same
