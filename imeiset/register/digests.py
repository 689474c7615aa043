"""What exact IMEIs and their details are digested as, changes included, without a copy: see `List`."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imeiset.readers import Keys
from imeiset.register.details import Column, damaged, fitting
from imeiset.register.layered import LayeredSet, is_wide, without_irregular

_ROWS = 1 << 18  # of codes at a time

Codes = NDArray[np.uint32]


class ExactDigest:
    """The digest of some exact IMEIs, and what their reasons, dates and untils are digested as."""

    def __init__(self, members: LayeredSet) -> None:
        if is_wide(members.changes.added) or is_wide(members.changes.removed):
            members = members.flattened()
        self._members, now = members, members.changes
        self._base = without_irregular(members.base)
        self._added, removed = now.added.to_numpy(), now.removed.to_numpy()
        both = np.concatenate([self._added, removed])
        at = np.empty(len(both), np.int64)
        self._base.positions_of_keys(both, at)
        there = at >= 0
        self._gone = np.sort(at[there])  # of the base, those that are not there any more, or told anew
        self._flips: Keys = np.sort(
            np.append(self._added[~there[: len(self._added)]], removed[there[len(self._added) :]])
        )
        self._into = np.empty(len(self._added), np.int64)  # where each that is added belongs in the base
        self._base.ranks(self._added, self._into)

    def of_keys(self) -> str:
        """As `ImeiSet.digest` of them all. O(members)."""
        if not len(self._flips):
            return self._base.digest()
        return hashlib.sha256(self._base.digest_with(self._flips)).hexdigest()

    def columns(self) -> list[tuple[list[str], Iterator[Codes]]]:
        """The texts of reasons, dates and untils, and the codes of all IMEIs, some at a time; no codes where
        there are no texts."""
        sides = zip(self._members.columns, self._members.changes.columns, strict=True)
        return [self._column(base, added) for base, added in sides]

    @fitting("reasons and dates")
    def _column(self, base: Column | None, added: Column | None) -> tuple[list[str], Iterator[Codes]]:
        if not self._members.changed:
            return ([*base.values], self._merged(base, None, None)) if base else ([], iter(()))
        used = set[str]()
        for column, without in ((base, self._gone), (added, None)):
            if column is not None:
                counts = _counts(column.codes, len(column.values))
                counts -= 0 if without is None else _counts(column.codes[without], len(column.values))
                used |= {column.values[code] for code in np.flatnonzero(counts[1:]).tolist()}
        texts = sorted(used)
        codes = {text: code for code, text in enumerate(texts, 1)}
        places = [
            np.array([0, *(codes.get(text, 0) for text in (column.values if column else ()))], np.uint32)
            for column in (base, added)
        ]
        return texts, self._merged(
            base, places[0], _coded(added, places[1], len(self._added))
        ) if texts else iter(())

    def _merged(self, base: Column | None, place: Codes | None, added: Codes | None) -> Iterator[Codes]:
        """The codes of the base as the numbers of texts, without those that are gone, and with the added."""
        gone, into, rows = self._gone, self._into, len(self._base)
        for begin in range(0, rows, _ROWS):
            end = min(begin + _ROWS, rows)
            piece = np.zeros(end - begin, np.uint32)
            if base is not None:
                some = base.codes[begin:end]
                piece = some.astype(np.uint32) if place is None else place[some]
            first, last = np.searchsorted(gone, (begin, end))
            start, stop = np.searchsorted(into, (begin, end))
            if first < last:
                piece = np.delete(piece, gone[first:last] - begin)
            if start < stop and added is not None:
                at = into[start:stop]
                piece = np.insert(piece, at - begin - (np.searchsorted(gone, at) - first), added[start:stop])
            yield piece
        if added is not None:
            yield added[np.searchsorted(into, rows) :]


def _coded(column: Column | None, place: Codes, rows: int) -> Codes:
    """A column by the numbers of texts."""
    return np.zeros(rows, np.uint32) if column is None else place[column.codes]


def _counts(codes: NDArray[Any], values: int) -> NDArray[np.int64]:
    """How often each code comes."""
    found = np.zeros(values + 1, np.int64)
    for begin in range(0, len(codes), _ROWS):
        counts = np.bincount(codes[begin : begin + _ROWS], minlength=values + 1)
        if len(counts) > len(found):
            raise damaged("reasons and dates", f"code {len(counts) - 1} of {values}")
        found += counts
    return found
