"""Numbers that would pass for IMEIs and are something else: TBCD, IMSIs, IMEIs with the number of their row.

The first rows of lists and of records are looked at, and for TBCD all. What is found is an error that says
which option settles it, because each of these numbers would be taken for that of another phone.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import FeedColumn, mask_text
from ..readers import Keys
from .dialect import Dialect
from .formats import plain
from .options import Options
from .titles import quoted
from .watched import is_imei
from .words import speaks_of_subscribers

_MANY = 10  # numbers that look alike
_SHARE = 10  # of all rows, one in so many: records of several switches are in one file. Few phones begin so.
_TBCD = re.compile("(?:53|68)[0-9]{12}(?:[0-9]{2})?")  # 35 and 86, the commonest beginnings, in TBCD
_SWAPPED = [np.uint64(first * 10**12) for first in (53, 68)]  # keys that begin so, as do 35 and 86 swapped
_WIDTH = np.uint64(10**12)
_NUMBER = re.compile("[0-9]{14}(?:[0-9]{2})?")
_IMEISV = re.compile("[0-9](?:[- ]?[0-9]){15}")
_COUNTED = re.compile("[0-9][- ]([0-9]{15})|([0-9]{2})[- ][0-9]{14}")  # the number of a row, and an IMEI
_WITH_CHECK_DIGIT = re.compile("[0-9]{14}[1-9]")  # 0 may be a spare one
_COUNTRY = 3  # digits
_IMSI = re.compile("(?!35)[2-7]")  # of countries; today's IMEIs begin with 35, 86 and 01


def cells_of(rows: Sequence[Sequence[str]], dialect: Dialect) -> list[str]:
    """What stands where rows have their IMEIs."""
    return [row[place].strip() for place in dialect.columns for row in rows if place < len(row)]


@dataclass(slots=True)
class _Numbers:
    """Numbers of one source, or of several that have few, and how many of them are alike, by what it is."""

    path: str = ""
    sources: int = 0
    count: int = 0
    right: int = 0  # with the right check digit
    alike: Counter[str] = field(default_factory=Counter)

    def add(self, more: "_Numbers") -> None:
        """Those of one more source."""
        self.path = self.path or more.path
        self.sources += 1
        self.count += more.count
        self.right += more.right
        self.alike.update(more.alike)

    @property
    def where(self) -> str:
        """In words, if they are of several sources."""
        return f", in {self.sources:,} files together" if self.sources > 1 else ""


class Identities:
    """Asks of sources, one after the other, whether IMEIs are something else: of each alone, and in the end
    of all together that have too few numbers to be judged alone."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._tbcd, self._imsis = _Numbers(), _Numbers()

    def expect_first(self, path: str, cells: Sequence[str], dialect: Dialect) -> None:
        """Raise FeedColumn if the first cells of a source have something else where IMEIs are expected."""
        _expect_no_subscribers(path, dialect, self._options)
        if dialect.format.identity != "imei":
            return
        if self._options.tbcd is None:
            numbers = [number for cell in cells if _NUMBER.fullmatch(number := cell.lstrip("+-"))]
            swapped = sum(map(bool, map(_TBCD.fullmatch, numbers)))
            what = f"of the first {len(cells)} rows"
            self._expect_no_tbcd(_Numbers(path, 1, len(numbers), 0, Counter(swapped=swapped)), what, 2)
        _expect_uncounted(path, cells)
        if not (dialect.header or self._options.columns):
            found = _imsis(path, cells)
            _expect_no_imsis(found)
            if found.count < 2 * _MANY:
                self._imsis.add(found)

    def expect_all(self, path: str, forms: Sequence[int], swapped: int) -> None:
        """Raise FeedColumn for a source of TBCD, or with `tbcd` for one that is not TBCD.

        forms: its rows of 14, 15 and 16 digits. swapped: how many of its keys `swapped_in` counts.
        """
        of_14, of_15, of_16 = forms
        if self._options.tbcd:  # as it stands in call records, it has 16 digits or a filler
            swapped -= of_14 + of_15
            if swapped >= _MANY and _SHARE * swapped >= of_16:
                got = f"{swapped:,} of {of_16:,} rows of 16 digits that begin with 35 or 86, as IMEIs do"
                raise FeedColumn(path, "TBCD: without --tbcd, IMEIs are read as they are", got)
        elif self._options.tbcd is None:
            found = _Numbers(path, 1, of_14 + of_16, 0, Counter(swapped=max(swapped - of_15, 0)))
            self._expect_no_tbcd(found, f"of {found.count:,} rows of 14 or 16 digits")
            if found.count < 2 * _MANY:
                self._tbcd.add(found)

    def expect_together(self) -> None:
        """Raise FeedColumn for the numbers of sources that have few of them."""
        self._expect_no_tbcd(self._tbcd, f"of {self._tbcd.count:,} rows of 14 or 16 digits")
        _expect_no_imsis(self._imsis)

    def _expect_no_tbcd(self, found: _Numbers, what: str, share: int = _SHARE) -> None:
        swapped = found.alike["swapped"]
        if swapped >= _MANY and share * swapped >= found.count:
            got = f"{swapped} {what} that begin with 53 or 68, as TBCD does (35 and 86){found.where}"
            expected = "IMEIs: --tbcd reads TBCD, --no-tbcd takes the numbers as they are"
            raise FeedColumn(found.path, expected, got)


def swapped_in(keys: Keys) -> int:
    """How many keys begin as those of TBCD that was read as it stands do, or of IMEIs read as TBCD."""
    return sum(int(np.count_nonzero(keys - first < _WIDTH)) for first in _SWAPPED)


def _expect_no_subscribers(path: str, dialect: Dialect, options: Options) -> None:
    """Raise FeedColumn for a column of IMEIs that was asked for by number, and has a title of subscribers or
    cards: the columns of this file may be in another order."""
    titles = [*map(plain, dialect.titles)]
    for place in dialect.columns:
        title = dialect.titles[place].strip() if place < len(titles) else ""
        named = speaks_of_subscribers(title) and "imei" not in plain(title)
        if named and place + 1 in options.columns and titles.count(plain(title)) == 1:
            expected = f"a column of IMEIs: --column {quoted(title)} takes it all the same"
            got = f"column {place + 1} ('{mask_text(title)}') of subscribers or cards"
            raise FeedColumn(path, expected, got)


def _expect_uncounted(path: str, cells: Sequence[str]) -> None:
    """Raise FeedColumn for cells of the number of a row and an IMEI ('1 490154203237518'), which would be
    IMEISVs."""
    longest = [cell for cell in cells if len(cell) > 16 and _IMEISV.fullmatch(cell)]
    found = [counted for cell in longest if (counted := _COUNTED.fullmatch(cell))]
    ones = sum(is_imei(counted[1] or "") for counted in found)
    twos = [int(counted[2]) for counted in found if counted[2]]
    twos = twos if len(twos) > 1 and twos == [*range(twos[0], twos[0] + len(twos))] else []
    if longest and 2 * (ones + len(twos)) >= len(longest):
        expected = "IMEIs alone in their column: put a delimiter between, or leave out what is before"
        got = f"numbers of rows before IMEIs, in {ones + len(twos)} of the first {len(cells)} rows"
        raise FeedColumn(path, expected, got)


def _imsis(path: str, cells: Sequence[str]) -> _Numbers:
    """Numbers as IMSIs are, which no title says are IMEIs, by their country."""
    numbers = [number for cell in cells if _WITH_CHECK_DIGIT.fullmatch(number := cell.lstrip("+-"))]
    countries = Counter(number[:_COUNTRY] for number in numbers)
    return _Numbers(path, 1, len(numbers), sum(map(is_imei, numbers)), countries)


def _expect_no_imsis(found: _Numbers) -> None:
    """Raise FeedColumn for numbers that begin with the same country: a tenth of IMSIs ends in the check digit
    of an IMEI by chance."""
    if found.count < _MANY:
        return
    [(country, count)] = found.alike.most_common(1)
    if not _IMSI.match(country) or 10 * count < 9 * found.count:
        return
    if 3 * found.right <= found.count:
        expected = "IMEIs: --column 1 takes the numbers all the same"
        got = (
            f"{found.count - found.right} of {found.count} numbers of 15 digits with a wrong check digit, "
            f"and {count} that begin with {country}, as IMSIs of one country do{found.where}"
        )
        raise FeedColumn(found.path, expected, got)
