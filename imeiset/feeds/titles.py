"""Titles of columns: which speak of IMEIs, and how errors name them."""

import re
import shlex
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from ..errors import FeedColumn, mask_text
from .formats import CHANGE, FORMATS, Format, plain, recognise
from .options import Options
from .sample import DELIMITERS, Tables, filled
from .words import is_absent

# Titles that mean the IMEI, lower case and without punctuation. Any other with "imei" in it does, too.
KNOWN = frozenset(
    {
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
        "servedimei",
        "servedimeisv",
        "pei",
    }
)
# But not one that tells something else: "imei_status", "date of IMEI1", "Valid IMEI?", "IMEI or IMSI".
_ABOUT = (
    "(?:status(?:es)?|(?:date|count|type|flag|make|model|reason|list|imsi|msisdn|iccid)s?"
    "|listed|valid|validity)"
)
_BESIDE = "(?: (?:of|or|and|the))* ?"
_OF_AN_IMEI = re.compile(
    rf"\b{_ABOUT}{_BESIDE}imei|imei(?:sv|s)?(?: ?(?:\d+|sv|no|number))*{_BESIDE}{_ABOUT}\b"
)
_TIME_IN = re.compile(r"timei(?!(?:s|sv)?\d*\b)")  # "timeinterval"
NUMBER = re.compile(  # as long as an IMEI, or what Excel made of it
    r"(?:[0-9][- ]?){13,15}[0-9]|[0-9](?:[.,][0-9]+)?[eE]\+?1[3-5]"
)


_OF_BLOCKS = {plain(one.columns[0]) for one in FORMATS.values() if one.identity != "imei"}
DAMAGED = 6  # digits from which on a cell may be an identity, damaged perhaps


def titled_so(titles: Sequence[str], column: str | int | None) -> list[int]:
    """The columns with the title asked for, or that speak of IMEIs if none is; a number is not a title."""
    if column is None:
        return _speaking(titles)
    name = plain(column) if isinstance(column, str) else None
    return [i for i, title in enumerate(titles) if plain(title) == name]


def _speaking(titles: Sequence[str]) -> list[int]:
    """The columns with a title of IMEIs; none if a cell may be an IMEI, damaged perhaps: no header."""
    if any(map(is_numeric, titles)):
        return []
    return [i for i, title in enumerate(titles) if plain(title) in KNOWN or _speaks(title)]


def _speaks(title: str) -> bool:
    """Whether a title that is not a known one speaks of IMEIs."""
    words = _TIME_IN.sub("", re.sub(r"[\W_]+", " ", title.casefold()))
    return digits_in(title) < 5 and "imei" in words and not _OF_AN_IMEI.search(words)


def of_blocks(titles: Sequence[str]) -> Format | None:
    """The format of a list of TACs or ranges that has these titles; None of another list, or of a row."""
    if not _OF_BLOCKS & {*map(plain, titles)} or any(map(is_numeric, titles)):
        return None
    form = recognise(list(titles))
    return form if form and form.identity != "imei" else None


def delimiter_of(tables: Tables, column: str | None) -> str:
    """The delimiter at which the first row names the column: by a known title, or else by one that no other
    delimiter cuts, with rows of as many cells below. Of a row that does not, the one that cuts most."""

    def score(delimiter: str) -> tuple[bool, bool, bool, float, int]:
        first_row, *below = tables[delimiter]
        hits = [first_row[place] for place in titled_so(first_row, column)]
        whole = [title for title in hits if not any(other in title for other in DELIMITERS)]
        known = any(column is not None or plain(title) in KNOWN for title in whole)
        cells, alike = len(first_row), 0.0
        if hits:  # delimiters may follow at the end of a row
            alike = sum(filled(row) <= cells <= len(row) for row in below) / len(below) if below else 1
        return known, bool(hits), bool(whole and alike), alike, cells

    return max(tables, key=score)


def digits_in(cell: str) -> int:
    """How many digits a cell has."""
    return len(re.findall(r"\d", cell))


def is_numeric(cell: str) -> bool:
    """Whether a cell may be a number as long as an IMEI, masked, damaged or with words beside it."""
    return len(re.findall(r"[\d*]", cell)) >= 10 or NUMBER.fullmatch(cell.strip()) is not None


def is_title(cell: str) -> bool:
    """Whether a cell has a letter that no identity has, regular or not ('DEADBEEF' may be one), and is no
    damaged number, nor a mark of absence."""
    word = re.search(r"[^\W\d_A-Fa-f]", cell) is not None
    return word and digits_in(cell) < DAMAGED and not is_absent(cell)


def heads(row: Sequence[str], columns: Iterable[str | int]) -> bool:
    """Whether a row has a title in a column that is asked for by number, and nowhere what may be an IMEI."""
    cells = [row[one - 1] for one in columns if isinstance(one, int) and one <= len(row)]
    numbers = any(map(is_numeric, row)) or any(digits_in(cell) >= DAMAGED for cell in cells)
    return any(map(is_title, cells)) and not numbers


def expect_one(path: str, titles: Sequence[str]) -> None:
    """Raise FeedColumn if the titles of more than one column speak of IMEIs: to read one of the two that a
    phone has would lose the other."""
    if len(found := _speaking(titles)) > 1:
        expected = f"one column of IMEIs, or --column: {_options(titles, found)} for all"
        raise FeedColumn(path, expected, numbered(titles, found))


def _options(titles: Sequence[str], places: list[int]) -> str:
    """The options that ask for these columns, by title where that is enough."""
    names = [plain(title) for title in titles]
    once = all(names.count(names[place]) == 1 for place in places)
    return " ".join(f"--column {quoted(titles[i].strip() if once else i + 1)}" for i in places)


def quoted(argument: str | int) -> str:
    """A title or a number as an argument of a command, masked."""
    shown = mask_text(str(argument))
    return shown if re.fullmatch(r"[\w.=,-]+", shown) else shlex.quote(shown)


def expect_columns(path: str, form: Format, titles: Sequence[str], columns: Sequence[str]) -> None:
    """Raise FeedColumn if one of the columns of a format is not there, or more than once."""
    names = [plain(title) for title in titles]
    for column in columns:
        if (count := names.count(plain(column))) != 1:
            got = nearest(column, titles) if not count else f"{count} of that name"
            raise FeedColumn(path, f"a column {column!r}, as a {form.name} list has", got)


def no_imei(path: str, titles: Sequence[str]) -> FeedColumn:
    """The error of a table of which no title speaks of IMEIs."""
    return FeedColumn(path, "a header with 'imei', or --column", nearest("imei", titles))


def numbered(titles: Sequence[str], places: list[int]) -> str:
    """Columns by number, and title if they have one."""
    named = ", ".join(f"{i + 1} ({titles[i].strip()!r})" if titles else f"{i + 1}" for i in places)
    return mask_text(f"column{'s' * (len(places) > 1)} {named}")


def nearest(name: str, first_row: Sequence[str]) -> str:
    """The name in the first row that is closest, or all, without showing data of a file with no header."""
    titles = {plain(cell): cell.strip() for cell in first_row if plain(cell) and digits_in(cell) < 6}
    if close := get_close_matches(plain(name), titles, 1):
        return f"'{mask_text(titles[close[0]])}' as the nearest"
    return mask_text(f"a first row of {', '.join(map(repr, titles.values()))}") if titles else "no header"


_CHANGES_NAMED = re.compile(
    "deltas?|incremental|increment|incr|diff|changes|changed|unblock(?:ed)?|removed|removals|deleted|deletions"
    "|delisted"
)


def words_of_changes(name: str) -> list[str]:
    """The words in the name of a file that say that it holds changes."""
    return [*filter(_CHANGES_NAMED.fullmatch, re.split(r"[-_. ]+", name.lower()))]


def expect_full(path: str, titles: Sequence[str], options: Options, within: str | None = None) -> None:
    """Raise FeedColumn for changes where a full list is expected: by a name, that of a file or of what is
    within an archive, or by a column of changes. What they remove would be loaded."""
    where = options.where and options.where.column
    for place, title in enumerate(titles):
        if plain(title) == plain(CHANGE) and where != place + 1 and plain(str(where)) != plain(title):
            rows = quoted(f"{title.strip()}=VALUE,...")
            got = f"a delta, with changes: use `imeiset apply`, or --where {rows}"
            raise FeedColumn(path, "a full list", got)
    if found := words_of_changes(Path(path).name):
        got = f"a delta, by its name ('{min(found)}'): use `imeiset apply`, or rename a full list"
        raise FeedColumn(within or path, "a full list", got)
