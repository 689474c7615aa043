"""Numbers that would pass for IMEIs and are something else: TBCD, IMSIs, IMEIs with the number of their row.

The first rows of lists and of records are looked at. What is found is an error that says which option settles
it, because each of these numbers would be taken for that of another phone.
"""

import re
from collections import Counter
from collections.abc import Sequence

from ..errors import FeedColumn
from .dialect import Dialect
from .options import Options
from .watched import is_imei

_MANY = 10  # numbers that look alike
_TBCD = re.compile("(?:53|68)[0-9]{12}(?:[0-9]{2})?")  # 35 and 86, the commonest beginnings, in TBCD
_NUMBER = re.compile("[0-9]{14}(?:[0-9]{2})?")
_IMEISV = re.compile("[0-9](?:[- ]?[0-9]){15}")
_COUNTED = re.compile("[0-9][- ]([0-9]{15})|([0-9]{2})[- ][0-9]{14}")  # the number of a row, and an IMEI
_WITH_CHECK_DIGIT = re.compile("[0-9]{14}[1-9]")  # 0 may be a spare one
_COUNTRY = 3  # digits
_IMSI = re.compile("(?!35)[2-7]")  # of countries; today's IMEIs begin with 35, 86 and 01


def cells_of(rows: Sequence[Sequence[str]], dialect: Dialect) -> list[str]:
    """What stands where rows have their IMEIs."""
    return [row[place].strip() for place in dialect.columns for row in rows if place < len(row)]


def expect_identities(path: str, cells: Sequence[str], dialect: Dialect, options: Options) -> None:
    """Raise FeedColumn if the first cells of a source have something else where IMEIs are expected."""
    if dialect.format.identity != "imei":
        return
    _expect_no_tbcd(path, cells, options)
    _expect_uncounted(path, cells)
    if not (dialect.header or options.columns):
        _expect_no_imsis(path, cells)


def _expect_no_tbcd(path: str, cells: Sequence[str], options: Options) -> None:
    """Raise FeedColumn for numbers that look like TBCD."""
    if options.tbcd is not None:
        return
    numbers = [number for cell in cells if _NUMBER.fullmatch(number := cell.lstrip("+-"))]
    swapped = sum(map(bool, map(_TBCD.fullmatch, numbers)))
    if swapped >= _MANY and 2 * swapped >= len(numbers):
        got = f"{swapped} of the first {len(cells)} rows that begin with 53 or 68, as TBCD does (35 and 86)"
        expected = "IMEIs: --tbcd reads TBCD, --no-tbcd takes the numbers as they are"
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


def _expect_no_imsis(path: str, cells: Sequence[str]) -> None:
    """Raise FeedColumn for numbers as IMSIs are, which no title says are IMEIs: they begin with the same
    country, and a tenth of them ends in the check digit of an IMEI by chance."""
    numbers = [number for cell in cells if _WITH_CHECK_DIGIT.fullmatch(number := cell.lstrip("+-"))]
    if len(numbers) < _MANY:
        return
    [(country, count)] = Counter(number[:_COUNTRY] for number in numbers).most_common(1)
    if not _IMSI.match(country) or 10 * count < 9 * len(numbers):
        return
    right = sum(map(is_imei, numbers))
    if 3 * right <= len(numbers):
        expected = "IMEIs: --column 1 takes the numbers all the same"
        got = (
            f"{len(numbers) - right} of {len(numbers)} numbers of 15 digits with a wrong check digit, and "
            f"{count} that begin with {country}, as IMSIs of one country do"
        )
        raise FeedColumn(path, expected, got)
