"""What the lists of a register hold, row by row, in order and in bounded memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imeiset.errors import expect_several, mask_text
from imeiset.readers import Keys
from imeiset.register.details import NO_DETAILS, Column, Details, code_type, fitting
from imeiset.register.kinds import RULES, ListRule
from imeiset.register.layered import LayeredSet
from imeiset.register.lists import List
from imeiset.register.pairs import LayeredPairs
from imeiset.register.untils import NO_DAY, text_of_day
from imeiset.sets import ImeiSet
from imeiset.snapshot import walked

ROWS = 1 << 16
_ALL: tuple[ListRule, ...] = ("exact", "range", "tac", "irregular", "pair", "imsi")
_IMEIS = 1 << 12  # whose pairs are taken together


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Some of what a list has by one rule, ascending. Empty are the columns that the rule has not.

    keys: of IMEIs; of ranges and TACs the first, highs the last. imsis: numbers, of prefixes too. texts:
    irregular identities. details: of exact IMEIs; of pairs only untils.
    """

    list: List
    rule: ListRule
    keys: Keys = field(default_factory=lambda: np.empty(0, np.uint64))
    highs: Keys | None = None
    imsis: Keys | None = None
    texts: tuple[bytes, ...] = ()
    details: Details = NO_DETAILS

    def __len__(self) -> int:
        return len(self.texts) or len(self.keys) or len(self.imsis if self.imsis is not None else ())

    def __getitem__(self, rows: slice) -> "Entries":
        """Some rows."""
        cut: Any = tuple(column and Column(column.values, column.codes[rows]) for column in self.details)
        return replace(
            self,
            keys=self.keys[rows],
            highs=None if self.highs is None else self.highs[rows],
            imsis=None if self.imsis is None else self.imsis[rows],
            texts=self.texts[rows],
            details=cut,
        )


def chosen(lists: tuple[List, ...], names: Iterable[str] | None) -> tuple[List, ...]:
    """Lists by their names; all for None. Raises KeyError for one that there is not."""
    if names is None:
        return lists
    expect_several("lists", names)
    known, wanted = {one.name: one for one in lists}, dict.fromkeys(names)
    for name in wanted:
        if name not in known:
            raise KeyError(
                f"lists: expected one of {', '.join(known) or 'none'}, got {mask_text(repr(name))}"
            )
    return tuple(known[name] for name in wanted)


def entries_of(one: List, rows: int = ROWS, rules: Iterable[ListRule] = _ALL) -> Iterator[Entries]:
    """All that a list holds by some rules, at most so many rows at a time."""
    for rule in rules:
        part = getattr(one, RULES[rule].field)
        if part:
            for some in walked(_WALKS[rule](one, rule, part), _buffers(part)):
                for start in range(0, len(some), rows):
                    yield some if len(some) <= rows else some[start : start + rows]


def _buffers(part: LayeredSet | LayeredPairs | frozenset[Any]) -> Iterator[Any]:
    """The memory that a walk reads."""
    if isinstance(part, LayeredSet):
        yield from (section for _, section in part.base.sections())
        yield from (column.codes for column in part.columns if column)
    elif isinstance(part, LayeredPairs):
        yield from (section for _, section in part.base.imeis.sections())
        yield from (part.base.starts, part.base.imsis, *part.base.untils)


def _members(base: ImeiSet, added: ImeiSet, removed: ImeiSet) -> Iterator[Keys]:
    """The IMEIs of a base without some and with others, in order; some thousands at a time."""
    more, pending = added.chunks() if len(added) else iter(()), np.empty(0, np.uint64)
    for keys in base.chunks():
        if len(removed) or len(added):
            gone = np.zeros(len(keys), np.uint8)
            for some in (removed, added):
                here = np.zeros(len(keys), np.uint8)
                some.contains_keys(keys, here)
                gone |= here
            last = keys[-1:]
            keys = keys[gone == 0]
            while last.size and (not pending.size or pending[-1] <= last[0]):
                if (come := next(more, None)) is None:
                    break
                pending = np.concatenate([pending, come])
            stop = int(np.searchsorted(pending, last[0], "right")) if last.size else 0
            if stop:
                keys = np.sort(np.concatenate([keys, pending[:stop]]))
                pending = pending[stop:]
        yield keys
    yield pending
    yield from more


def _exact(one: List, rule: ListRule, part: LayeredSet) -> Iterator[Entries]:
    sides = [(part.base, part.columns)]
    if part.changed:
        sides.insert(0, (part.changes.added, part.changes.columns))
    words = tuple(
        sorted({text for column in columns if column for text in column.values})
        for columns in zip(*(columns for _, columns in sides), strict=True)
    )
    places = [
        [_table(column, known) for column, known in zip(columns, words, strict=True)] for _, columns in sides
    ]
    values, start = tuple(map(tuple, words)), 0
    for keys in _members(part.base, part.changes.added, part.changes.removed):
        found = [np.zeros(len(keys), code_type(len(known))) for known in words]
        left = np.arange(len(keys))
        for (members, columns), tables in zip(sides, places, strict=True):
            at = np.arange(start, start + len(keys))
            if part.changed:
                at = np.empty(len(left), np.int64)
                members.positions_of_keys(keys[left], at)
            here = at >= 0
            rows, left, at = left[here], left[~here], at[here]
            for codes, column, table in zip(found, columns, tables, strict=True):
                if column is not None:
                    with fitting("reasons and dates"):
                        codes[rows] = table[column.codes[at]]
        start += len(keys)
        reasons, dates, untils = (
            Column(texts, codes) if texts else None for texts, codes in zip(values, found, strict=True)
        )
        yield Entries(one, rule, keys, details=(reasons, dates, untils))


def _table(column: Column | None, known: list[str]) -> NDArray[Any]:
    """The numbers that the texts of a column have among all."""
    number = {text: place for place, text in enumerate(known, 1)}
    return np.array([0, *(number[text] for text in (column.values if column else ()))])


def _runs(one: List, rule: ListRule, part: LayeredSet) -> Iterator[Entries]:
    for lows, highs in part.flattened().base.runs():
        yield Entries(one, rule, lows, highs)


def _texts(one: List, rule: ListRule, part: frozenset[bytes]) -> Iterator[Entries]:
    yield Entries(one, rule, texts=tuple(sorted(part)))


def _prefixes(one: List, rule: ListRule, part: frozenset[int]) -> Iterator[Entries]:
    by_digits = sorted(part, key=lambda prefix: str(prefix))
    yield Entries(one, rule, imsis=np.array(by_digits, np.uint64))


def _pairs(one: List, rule: ListRule, part: LayeredPairs) -> Iterator[Entries]:
    now = part.changes
    for keys in _members(part.base.imeis, now.now.imeis, now.touched):
        for start in range(0, len(keys), _IMEIS):
            imeis, imsis = part.of_imeis(keys[start : start + _IMEIS])
            order = np.lexsort((imsis, imeis))
            imeis, imsis = imeis[order], imsis[order]
            days, at = np.unique(part.until_days(imeis, imsis), return_inverse=True)
            none = int(days.size > 0 and days[0] == NO_DAY)
            texts = tuple(map(text_of_day, days[none:].tolist()))
            untils = Column(texts, at.reshape(-1) + (1 - none)) if texts else None
            yield Entries(one, rule, imeis, imsis=imsis, details=(None, None, untils))


_WALKS: dict[ListRule, Callable[[List, ListRule, Any], Iterator[Entries]]] = {
    "exact": _exact,
    "range": _runs,
    "tac": _runs,
    "irregular": _texts,
    "pair": _pairs,
    "imsi": _prefixes,
}
