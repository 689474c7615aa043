"""Lists walked side by side, and joined to one in which each IMEI comes once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from imeiset.register.claims import day
from imeiset.register.details import OF_SEVERAL, Column, OfSeveral, Places, numbered
from imeiset.register.entries import Entries, entries_of
from imeiset.register.lists import List
from imeiset.sets import ImeiSet


def aligned(streams: Sequence[Iterator[Entries]]) -> Iterator[list[tuple[int, Entries]]]:
    """What walks over exact IMEIs have up to the same IMEI, with the number of each walk."""
    walks = [filter(len, stream) for stream in streams]
    held = {at: first for at, walk in enumerate(walks) if (first := next(walk, None)) is not None}
    while held:
        last = min(some.keys[-1] for some in held.values())
        found = []
        for at, some in list(held.items()):
            stop = int(np.searchsorted(some.keys, last, "right"))
            if stop:
                found.append((at, some[:stop]))
            if stop < len(some):
                held[at] = some[stop:]
            elif (more := next(walks[at], None)) is not None:
                held[at] = more
            else:
                del held[at]
        yield found


def joined(lists: Sequence[List]) -> Iterator[Entries]:
    """The exact IMEIs of lists and their irregular identities, as of one list. An IMEI that several
    have comes once: with the reasons of all, where the IMEI has none those of the list; its first date; and
    its last until, none if one of them has none."""
    one = lists[0]
    for pieces in aligned([entries_of(some, rules=("exact",)) for some in lists]):
        parts = [spoken(some) for _, some in pieces]
        if len(parts) == 1:
            yield replace(parts[0], list=one)
            continue
        keys = np.concatenate([some.keys for some in parts])
        members = ImeiSet.from_keys(keys)
        places = Places(members, keys)
        reasons, dates, untils = (
            _together(places, [some.details[at] for some in parts], [len(some) for some in parts], how)
            for at, how in enumerate(OF_SEVERAL)
        )
        yield Entries(one, "exact", members.to_numpy(), details=(reasons, dates, untils))
    if texts := sorted(frozenset().union(*(some.irregular for some in lists))):
        yield Entries(one, "irregular", texts=tuple(texts))


def spoken(some: Entries) -> Entries:
    """With the reason of the list where an IMEI has none."""
    if not some.list.reason or some.rule != "exact":
        return some
    own = some.details[0] or Column((), np.zeros(len(some), np.uint8))
    code = len(own.values) + 1
    codes = np.where(own.codes == 0, code, own.codes)
    return replace(some, details=(Column((*own.values, some.list.reason), codes), *some.details[1:]))


def _together(
    places: Places, columns: Iterable[Column | None], rows: Iterable[int], how: OfSeveral
) -> Column | None:
    texts = {"": 0}
    parts = [
        numbered(texts, column.values, column.codes) if column else np.zeros(count, np.int64)
        for column, count in zip(columns, rows, strict=True)
    ]
    for text in texts if how != "all" else ():
        day(text)  # what is no date has no place among dates
    return places.column(list(texts), np.concatenate(parts), how) if len(texts) > 1 else None
