"""Until when pairs are listed: of those few that have a last day."""

import datetime
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imeiset._native.pairs import are_ascending
from imeiset.readers import Keys
from imeiset.register.details import coded, damaged, fitting, until_text

Days = NDArray[np.int32]
"""Days since 1970-01-01, NO_DAY where there is none."""

NO_DAY = -(2**31)
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_NO_DATE = np.datetime64("NaT", "D")
FIRST_DAY, LAST_DAY = -719_162, 2_932_896  # of the years 1 and 9999


class Untils(NamedTuple):
    """The pairs that have a last day, ascending by key and IMSI, and these days."""

    keys: Keys
    imsis: Keys
    days: Days

    @classmethod
    def of(cls, keys: Keys, imsis: Keys, days: Days, *, repeats: bool = True) -> "Untils":
        """Of pairs in any order. Of one that comes twice the latest day counts, and none where a row has
        none: so nobody goes before everybody lets go. repeats: whether one may come twice."""
        rows = np.flatnonzero(days != NO_DAY)
        if not rows.size:
            return NO_UNTILS
        if not are_ascending(keys[rows], imsis[rows]):
            rows = rows[np.lexsort((imsis[rows], keys[rows]))]
        found = cls(keys[rows].astype("<u8"), imsis[rows].astype("<u8"), days[rows].astype("<i4"))
        if not repeats:
            return found
        differ = (found.keys[1:] != found.keys[:-1]) | (found.imsis[1:] != found.imsis[:-1])
        first = np.append(0, np.flatnonzero(differ) + 1)
        found = cls(found.keys[first], found.imsis[first], np.maximum.reduceat(found.days, first))
        without, stay = days == NO_DAY, np.ones(len(first), bool)
        at = found._places(keys[without], imsis[without])
        stay[at[at >= 0]] = False
        return found.where(stay)

    def where(self, chosen: NDArray[np.bool_]) -> "Untils":
        """Some of them."""
        return self if chosen.all() else Untils(self.keys[chosen], self.imsis[chosen], self.days[chosen])

    def with_others(self, others: "Untils") -> "Untils":
        """With those of other pairs, too. O(both)."""
        if not len(others.keys):
            return self
        at = self._below(others.keys, others.imsis)
        sides: Any = zip(self, others, strict=True)
        return Untils(*(np.insert(mine, at, theirs) for mine, theirs in sides))

    def find(self, keys: Keys, imsis: Keys) -> Days:
        """The last days of pairs, NO_DAY for those that have none."""
        at = self._places(keys, imsis)
        found = np.full(len(keys), NO_DAY, np.int32)
        found[at >= 0] = _calendar(self.days[at[at >= 0]])
        return found

    def before(self, day: datetime.date) -> NDArray[np.bool_]:
        """Which of them end before a day."""
        return dates_of_days(_calendar(self.days)) < np.datetime64(day)

    def _places(self, keys: Keys, imsis: Keys) -> NDArray[np.int64]:
        """Where pairs are, -1 for those that are not here."""
        found, at = np.full(len(keys), -1, np.int64), self._below(keys, imsis)
        rows = np.flatnonzero(at < len(self.keys))
        rows = rows[(self.keys[at[rows]] == keys[rows]) & (self.imsis[at[rows]] == imsis[rows])]
        found[rows] = at[rows]
        return found

    def _below(self, keys: Keys, imsis: Keys) -> NDArray[np.int64]:
        """How many are below each of some pairs. Bisects those of a key."""
        low, end = (np.searchsorted(self.keys, keys, side) for side in ("left", "right"))
        rows = np.flatnonzero(low < end)
        while rows.size:
            middle = (low[rows] + end[rows]) // 2
            less = self.imsis[middle] < imsis[rows]
            low[rows], end[rows] = np.where(less, middle + 1, low[rows]), np.where(less, end[rows], middle)
            rows = rows[low[rows] < end[rows]]
        return low

    def is_sound(self) -> bool:
        """Whether they are in order, and their days those of a calendar."""
        return _are_days(self.days) and are_ascending(self.keys, self.imsis)


def _are_days(days: Days) -> bool:
    """Whether all are days of a calendar."""
    return bool(((days >= FIRST_DAY) & (days <= LAST_DAY)).all())


def _calendar(days: Days) -> Days:
    """The same, if all are days of a calendar: others are damage."""
    if not _are_days(days):
        raise damaged("untils of pairs", "days of no calendar")
    return days


NO_UNTILS = Untils(np.empty(0, "<u8"), np.empty(0, "<u8"), np.empty(0, "<i4"))


def given_days(values: Iterable[object] | None, rows: int) -> Days | None:
    """A column of untils that a caller gives, None for none."""
    given = coded("until", values, until_text, rows)
    return None if given is None else days_of_texts(*given)


def days_of_texts(texts: Sequence[str], codes: NDArray[Any]) -> Days:
    """The days of rows, by the numbers of their dates; '' is none."""
    return np.take(_days(tuple(texts)), codes)


def text_of_day(day: int) -> str:
    """A last day as ISO 8601 has it, '' for NO_DAY."""
    return "" if day == NO_DAY else datetime.date.fromordinal(_EPOCH + day).isoformat()


def dates_of_days(days: Days) -> NDArray[np.datetime64]:
    """Days as datetime64[D], NaT where there is none."""
    return np.where(days == NO_DAY, _NO_DATE, days.astype("datetime64[D]"))


@lru_cache(16)  # columns are read some thousands of rows at a time
def _days(texts: tuple[str, ...]) -> Days:
    with fitting("dates"):
        days = [datetime.date.fromisoformat(text).toordinal() - _EPOCH if text else NO_DAY for text in texts]
    return np.array(days, np.int32)
