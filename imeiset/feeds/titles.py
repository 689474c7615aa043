"""Titles of columns: which speak of IMEIs, and how errors name them."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from ..errors import FeedColumn, mask_text
from .formats import Format, plain

# Column names that mean the IMEI, lower case and without punctuation.
_KNOWN = {
    "imei",
    "imeis",
    "imeino",
    "imeinumber",
    "imeinumbers",
    "imeicode",
    "imeisv",
    "imeiimeisv",
    "imeiorimeisv",
    "approvedimei",
    "blockedimei",
    "deviceimei",
    "pei",
}
NUMBER = re.compile(  # as long as an IMEI, or what Excel made of it
    r"(?:[0-9][- ]?){13,15}[0-9]|[0-9](?:[.,][0-9]+)?[eE]\+?1[3-5]"
)


def titled_so(titles: Sequence[str], column: str | int | None) -> list[int]:
    """The columns with the title asked for, or with one of IMEIs if none is; a number is not a title."""
    names = _KNOWN if column is None else {plain(column)} if isinstance(column, str) else ()
    return [i for i, title in enumerate(titles) if plain(title) in names]


def expect_one(path: str, titles: Sequence[str]) -> None:
    """Raise FeedColumn if the titles of more than one column speak of IMEIs: to read one of the two that a
    phone has would lose the other."""
    if len(found := speaking(titles)) > 1:
        expected = "one column of IMEIs, or --column with its name or number"
        raise FeedColumn(path, expected, numbered(titles, found))


def speaking(titles: Sequence[str]) -> list[int]:
    """The columns with a title of IMEIs, known or not ('imei2', 'second imei'). A row with a number as long
    as an IMEI has no titles, and a damaged number is none."""
    if any(map(NUMBER.fullmatch, titles)):
        return []
    known = titled_so(titles, None)
    return [
        i
        for i, title in enumerate(map(plain, titles))
        if i in known or ("imei" in title and len(re.findall(r"\d", title)) < 6)
    ]


def expect_columns(path: str, form: Format, titles: Sequence[str], columns: Sequence[str]) -> None:
    """Raise FeedColumn if one of the columns of a format is not there, or more than once."""
    names = [plain(title) for title in titles]
    for column in columns:
        if (count := names.count(plain(column))) != 1:
            got = nearest(column, list(titles)) if not count else f"{count} of that name"
            raise FeedColumn(path, f"a column {column!r}, as a {form.name} list has", got)


def numbered(titles: Sequence[str], places: list[int]) -> str:
    named = ", ".join(f"{i + 1} ({titles[i].strip()!r})" if titles else f"{i + 1}" for i in places)
    return mask_text(f"column{'s' * (len(places) > 1)} {named}")


def nearest(name: str, first_row: list[str]) -> str:
    """The name in the first row that is closest, or all, without showing data of a file with no header."""
    titles = {
        plain(cell): cell.strip() for cell in first_row if plain(cell) and len(re.findall(r"\d", cell)) < 6
    }
    if close := get_close_matches(plain(name), titles, 1):
        return f"'{mask_text(titles[close[0]])}' as the nearest"
    return mask_text(f"a first row of {', '.join(map(repr, titles.values()))}") if titles else "no header"


def is_title(cell: str) -> bool:
    """Whether a cell has a letter that no identity has, regular or not ('DEADBEEF' may be one), and is no
    damaged number."""
    return re.search(r"[^\W\d_A-Fa-f]", cell) is not None and len(re.findall(r"\d", cell)) < 6
