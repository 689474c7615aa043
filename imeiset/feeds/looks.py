"""The columns of a source that nobody asked for are looked at.

What contradicts the list is an error that says which option settles it. What only looks like it says
something is named in the report.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..errors import FeedColumn, mask_text
from . import words
from .days import day_number
from .dialect import Dialect
from .formats import CHANGE, DATES, REASONS, Polarity, Purpose, plain
from .identities import Identities, cells_of
from .options import Options
from .report import Unread
from .sample import SAMPLE, SAMPLE_ROWS, first_lines, rows_of
from .titles import quoted
from .watched import FEW, SHORT, WatchedColumn, is_imei

_SAMPLE = 1 << 12  # bytes of a sample of later rows
_GLANCE = 1 << 9
_UNKNOWN_FEW = 4  # different words, none of them known, of a column without a title that is watched
_NAMED = 8  # values that are named
_SHORTEST = 15  # characters of an IMEI beyond doubt
_IMEI = re.compile("[0-9]{15}")
_IMEIS = re.compile(rb"(?<![0-9])[0-9]{15}(?![0-9])")
_SHAPES = bytes.maketrans(b"123456789", b"0" * 9)  # lines of one shape have cells of the same lengths
_LETTER = re.compile(r"[^\W\d_]")
_SERIAL = re.compile("[0-9]{6}")
_SERIALS = ("snr", "serial", "serialnumber", "serialno", "sn")
_DAY = re.compile(r"[0-9]{1,2}[-/. ][0-9A-Za-z]{1,3}[-/. ](?:[0-9]{2}){1,2}(?:[T ].*)?")
_LINES_TOO = re.compile("phone|mobilenumber")
_IMSIS = re.compile("imsi|^supi")
_SUPI = re.compile("(?:imsi|nai|gci|gli)-", re.IGNORECASE)
_IMSI = re.compile(f"[0-9]{{14,15}}$|{_SUPI.pattern}", re.IGNORECASE)
_QUALIFIED = re.compile("imsi(?:s)?(?:count|status|date|type|flag)")

_ARE: dict[Polarity, str] = {
    "blocklist": "blocked",
    "greylist": "greylisted",
    "whitelist": "let through",
    "removals": "removed",
}


class Watch:
    """Looks at the columns of one source that are not read.

    polarity: what becomes of the phones of the list; None: what its format says. wanted: the columns that are
    read, of `rows.WANTED`. `dialect` has the columns of which `see` is to be told every value.
    """

    def __init__(
        self,
        path: str,
        dialect: Dialect,
        options: Options,
        purpose: Purpose = "list",
        polarity: Polarity | None = None,
        wanted: Sequence[str] = (),
        identities: Identities | None = None,
    ) -> None:
        self._identities = identities or Identities(options)
        self.path, self.dialect, self.options, self.purpose = path, dialect, options, purpose
        self._whole = dialect  # places of columns in it, also where only some of them are scanned
        self.polarity: Polarity = polarity or dialect.format.polarity
        read = {*wanted, *(("listed",) if dialect.counting is not None else ())}
        self.changes = CHANGE in read and CHANGE in dialect.places
        self._used = {place for name, place in dialect.places.items() if name in read and name != "reasons"}
        self._used |= {*dialect.columns, *(() if dialect.last is None else (dialect.last,))}
        self._wanted = wanted
        self._columns: dict[int, WatchedColumn] = {}
        self._named: dict[int, Unread] = {}
        self._parts = 0
        self._numbers = 0  # of 15 digits in a row
        self._short: set[bytes] = set()  # shapes of lines in which no other cell is as long as an IMEI

    def move(self, places: Sequence[int], dialect: Dialect) -> None:
        """Of a table, these columns are read from now on, in the order of the layout."""
        self._columns = {
            places.index(place): column for place, column in self._columns.items() if place in places
        }
        self.dialect = dialect
        self._short = set()

    # ---- the first rows and samples ----------------------------------------------------------------

    def first(self, text: bytes, start: int = 0) -> Dialect:
        """Look at the first rows of a text, and choose the columns to be watched: the layout with these.

        Raises FeedColumn for what cannot be what the list is read as.
        """
        rows = self._rows(first_lines(text[start : start + SAMPLE]))
        self._numbers = max((sum(map(bool, map(_IMEI.fullmatch, row))) for row in rows), default=0)
        self._expect_phones(rows)
        self._expect_own_statuses()
        self._identities.expect_first(self.path, cells_of(rows, self.dialect), self.dialect)
        for place, cells in self._others(rows):
            if self.dialect.format.identity == "tac":
                self._expect_no_serial(place, cells)
                self._expect_no_phones(place, rows)
            self._look_for_imeis(place, cells)
            if "reasons" in self._wanted and self._may_be_reasons(place, cells):
                self._name(place, cells, "reasons")
            if column := self._column_of(place, cells):
                self._columns[place] = column
            elif self._are_days(place, cells):
                self._name(place, cells, "dates")
        self.dialect = replace(self.dialect, watched=tuple(self._columns))
        self.sample(text, max(start + SAMPLE, len(text) - _SAMPLE), len(text))
        return self.dialect

    def sample(self, text: bytes | bytearray, start: int, stop: int) -> None:
        """Look at some rows of the next part of the text, at both ends, for IMEIs elsewhere."""
        if self._whole.most <= len(self._used | {*self._columns}):
            return
        self._parts += 1
        for at in (start, max(start, stop - _SAMPLE)):
            if not (begin := text.find(b"\n", at, stop) + 1):
                continue
            if self._parts & (self._parts - 1):  # most parts: only where numbers are more than at first
                some = text[begin : min(stop, begin + _GLANCE)]
                if len(_IMEIS.findall(some)) <= self._numbers * (some.count(b"\n") + 1):
                    continue
            self.glance(text[begin : min(stop, begin + _SAMPLE)])

    def glance(self, text: bytes | bytearray) -> None:
        """Look at the rows of a text for IMEIs elsewhere."""
        lines = first_lines(text)[:SAMPLE_ROWS]
        shapes = {line.translate(_SHAPES) for line in lines}
        if shapes <= self._short:
            return
        watched = {column.number - 1 for column in self._columns.values()}
        longest = 0
        for place, cells in self._others(self._rows(lines)):
            if place not in watched:
                longest = max(longest, *map(len, cells), 0)
                self._look_for_imeis(place, cells)
        if longest < _SHORTEST and not any(mark in line for line in lines for mark in b'#"'):
            self._short = shapes

    def _rows(self, lines: Sequence[bytes]) -> list[list[str]]:
        """The rows in these lines. Rows of another number of cells are left out."""
        uncommented = [line for line in lines if not line.startswith(b"#")]
        text = b"\n".join(uncommented if any(uncommented) else lines)  # '#1,490154203237518' is a row
        rows = rows_of(text + b"\n", self._whole.delimiter.decode())
        return [row for row in rows if len(row) <= self._whole.most + 1]

    def _others(self, rows: Sequence[Sequence[str]]) -> list[tuple[int, list[str]]]:
        """The cells of each column that is not read."""
        places = [place for place in range(self._whole.most) if place not in self._used]
        return [(place, [row[place].strip() for row in rows if place < len(row)]) for place in places]

    def _title(self, place: int) -> str | None:
        titles = self._whole.titles
        return titles[place].strip() or None if place < len(titles) else None

    def _are_reasons(self, place: int) -> bool:
        title = self._title(place)
        known = title is not None and plain(title) in map(plain, REASONS)
        return known or place == self._whole.places.get("reasons")

    def _may_be_reasons(self, place: int, cells: list[str]) -> bool:
        """Whether a column has reasons, by its title, and is not the one that is read."""
        title = self._title(place)
        filled = not all(map(words.is_absent, cells))
        return filled and place != self._whole.places.get("reasons") and words.speaks_of_reasons(title or "")

    def _column_of(self, place: int, cells: list[str]) -> WatchedColumn | None:
        """The column, if it is to be watched."""
        title = self._title(place)
        found = WatchedColumn(place + 1, title, reasons=self._are_reasons(place))
        if place == self._whole.places.get("status"):
            found.counting = self._whole.format.statuses
        if title is not None:
            found.says = words.says(title)
            found.statuses = words.speaks_of_statuses(title)
            found.changes = words.speaks_of_changes(title)
            found.ends = words.speaks_of_ends(title, blocklist=self.polarity != "whitelist")
        values = {cell.casefold() for cell in cells}
        filled = [value for value in values if not words.is_absent(value)]
        few = len(values) <= FEW and all(len(value) <= SHORT for value in values)
        known = any(words.meaning(value) or words.code_of(value) for value in filled)
        letters = any(map(_LETTER.search, filled))
        if _is_of_numbers(title) and not (found.titled or letters):
            return None
        unknown_few = title is None and letters and len(values) <= _UNKNOWN_FEW
        if (
            found.titled
            or not filled
            or (few and (known or unknown_few) and not self._are_days(place, cells))
        ):
            return found
        return None

    def _are_days(self, place: int, cells: list[str]) -> bool:
        """Whether a column that is not a known one of dates holds dates."""
        title = self._title(place)
        known = title is not None and plain(title) in map(plain, DATES)
        if known and "date" not in self._wanted:  # of a set, which has none
            return False
        filled = [cell for cell in cells if not words.is_absent(cell)]
        return bool(filled) and all(
            len(cell) <= SHORT and (day_number(cell.encode()) > 0 or _DAY.fullmatch(cell)) for cell in filled
        )

    def _look_for_imeis(self, place: int, cells: list[str]) -> None:
        """Refuse a column of IMEIs that is not read, or name it, if columns were asked for."""
        if max(map(len, cells), default=0) < _SHORTEST:
            return
        filled = [cell for cell in cells if not words.is_absent(cell)]
        if 2 * sum(map(is_imei, filled)) > len(filled):
            self._found_imeis(place, filled)

    def _found_imeis(self, place: int, cells: Iterable[str]) -> None:
        title = self._title(place)
        if title is not None and words.speaks_of_subscribers(title):
            return
        if self.options.columns or self.options.format:
            self._name(place, cells, "imeis")
            return
        one, two = self._quoted(self._whole.column), self._quoted(place)
        raise FeedColumn(
            self.path,
            f"one column of IMEIs; --column {one} reads that alone, --column {one} --column {two} both",
            f"{self._named_as(place)} with IMEIs too",
        )

    def _expect_no_serial(self, place: int, cells: list[str]) -> None:
        """Raise FeedColumn for a list of TACs that names single phones."""
        title, filled = self._title(place), [cell for cell in cells if cell]
        aside = title is not None and "date" in plain(title)
        numbers = bool(filled) and all(map(_SERIAL.fullmatch, filled)) and not aside
        if numbers or (title is not None and plain(title) in _SERIALS):
            expected = "a list of TACs, or TAC and serial number (snr) in one column of IMEIs"
            got = f"{self._named_as(place)} of serial numbers: a TAC alone is a million phones"
            raise FeedColumn(self.path, expected, got)

    def _expect_no_phones(self, place: int, rows: Sequence[Sequence[str]]) -> None:
        """Raise FeedColumn for a list of TACs with the IMEIs, in any form, of which these are."""
        at, whole = self.dialect.column, [row for row in rows if place < len(row)]
        phones = [
            row[place]
            for row in whole
            if (digits := re.sub("[^0-9]", "", row[place])).startswith(row[at].strip()) and len(digits) >= 14
        ]
        if not phones or 2 * len(phones) <= len(whole):
            return
        if self.options.format:
            self._name(place, phones, "imeis")
            return
        column, form = self._quoted(place), self.dialect.format.name
        expected = (
            f"a list of TACs alone; --column {column} reads the phones, --format {form} all of their TACs"
        )
        raise FeedColumn(self.path, expected, f"{self._named_as(place)} of phones with these TACs")

    def _expect_phones(self, rows: Sequence[Sequence[str]]) -> None:
        """Raise FeedColumn for a list of phones with subscribers, which is about both, and for a second
        subscriber in the rows of a list of pairs."""
        pairs, there = "imsi" in self._wanted, "imsi" in self.dialect.places
        if self.options.imsi == "ignore" or (pairs and not there):
            return
        for place, cells in self._others(rows):
            title, filled = self._title(place) or "", [*filter(None, cells)]
            named = _IMSIS.search(plain(title)) and not _QUALIFIED.search(plain(title))
            # Under 'sim' they may be cards, or telephone numbers.
            form = _IMSI if words.is_of_subscribers(title) else _SUPI
            if named or (filled and all(map(form.match, filled))):
                expected = (
                    "one column of IMSIs: a row for each pair"
                    if pairs
                    else "a list of phones alone: --imsi ignore takes them for any subscriber; lists of kind "
                    "'block', 'exempt' and 'lock' in a register take pairs"
                )
                raise FeedColumn(self.path, expected, f"{self._named_as(place)} of subscribers")

    def _expect_own_statuses(self) -> None:
        """Raise FeedColumn for a format whose statuses say the opposite of what the list does."""
        place, says = self.dialect.places.get("listed"), self.dialect.format.polarity
        if self.dialect.counting is None or place is None or self.options.where is not None:
            return
        if "whitelist" not in (says, self.polarity) or says == self.polarity or self.polarity == "removals":
            return
        form, where = self.dialect.format.name, quoted(self._title(place) or place + 1)
        expected = f"rows that are all {_ARE[self.polarity]}: --where {where}=VALUE,... says which count"
        got = f"a list of format {form!r}, whose rows count by statuses that say the opposite"
        raise FeedColumn(self.path, expected, got)

    # ---- every value of the watched columns --------------------------------------------------------

    def see(self, watched: Mapping[int, Mapping[bytes, int]]) -> None:
        """Count values of watched columns. Raises FeedColumn for what contradicts the list."""
        for place, counts in watched.items():
            column = self._columns[place]
            if column.free or not column.add(counts):
                continue
            if 2 * column.imeis > column.filled and column.imeis:
                self._found_imeis(column.number - 1, column.shown.values())
            if (column.titled or not column.free) and not self._says_why(column):
                self._expect_changes_read(column)
                self._expect_agreement(column)
            if column.free:
                left = tuple(one for one in self.dialect.watched if one != place)
                self.dialect = replace(self.dialect, watched=left)

    def _says_why(self, column: WatchedColumn) -> bool:
        """Whether a column was asked for as that of the reasons, and its title does not speak of statuses:
        "unblocked" may be why a phone is listed."""
        asked = self.options.reason_column is not None and column.reasons
        read = column.number - 1 == self._whole.places.get("reasons")
        return asked and read and not column.statuses and not column.changes

    def _expect_changes_read(self, column: WatchedColumn) -> None:
        """Raise FeedColumn for a column of changes that nobody reads."""
        said = column.meanings()
        kinds, codes = {*said.values()}, column.codes(said)
        letters = column.title is None and len(codes) > 1 and codes <= words.CHANGE_CODES
        both = {"adds", "removes"} <= kinds and column.is_few(said)
        settled = self.changes and self.options.change_column is not None
        if settled or not (
            both or letters or (column.changes and (codes or kinds & {"adds", "removes", "updates"}))
        ):
            return
        name = quoted(column.name)
        if self.changes:
            place = self._whole.places[CHANGE]
            one = quoted(self._title(place) or place + 1)
            if one == name:
                one, name = str(place + 1), str(column.number)
            expected = f"one column of changes: --change-column {one}, or --change-column {name}"
        elif self.purpose == "delta":
            expected = f"--change-column {name}, with --change-values for codes; or {self._where(column)}"
        else:
            apply = f"`imeiset apply --change-column {name}`"
            expected = f"a full list: {apply} takes changes, {self._where(column)} a list"
        raise FeedColumn(self.path, expected, self._holding(column, [*said]))

    def _expect_agreement(self, column: WatchedColumn) -> None:
        """Raise FeedColumn for values that say that rows are not what the list is."""
        if self.polarity == "removals":
            return
        wrong = column.against(self.polarity, removes=not self.changes)
        if wrong or column.is_of_codes():
            expected = f"rows that are all {_ARE[self.polarity]}: {self._where(column)} says which count"
            raise FeedColumn(self.path, expected, self._holding(column, wrong))

    # ---- what is named -----------------------------------------------------------------------------

    def unread(self) -> list[Unread]:
        """The columns that look like they say something, and were not looked at, in order."""
        for column in self._columns.values():
            if why := self._why(column):
                values = sorted(column.shown, key=lambda value: -column.counts[value])
                self._name(column.number - 1, [column.shown[value] for value in values], why)
        return [self._named[place] for place in sorted(self._named)]

    def _why(self, column: WatchedColumn) -> str | None:
        """What a column looks like; None if nothing."""
        if column.statuses or column.changes:
            return "changes" if column.changes else "statuses"
        said = {*column.meanings().values()}
        if column.free or (column.reasons and said != {"clears"}):
            return None
        if said & {"adds", "removes", "updates"}:
            return "changes"
        codes = len(column.counts) > 1 and column.has_only_codes()
        return "statuses" if said or codes else None

    def _name(self, place: int, values: Iterable[str], why: str) -> None:
        title, some = self._title(place), list(dict.fromkeys(value for value in values if value))[:_NAMED]
        shown = [mask_text(value) for value in some]
        column = place + 1 if title is None else mask_text(title)
        self._named.setdefault(place, Unread(self.path, column, shown, why))

    # ---- errors ------------------------------------------------------------------------------------

    def _where(self, column: WatchedColumn) -> str:
        return f"--where {quoted(f'{column.name}=VALUE,...')}"

    def _quoted(self, place: int) -> str:
        """A column as an option names it."""
        title = self._title(place)
        return str(place + 1) if title is None else quoted(title)

    def _named_as(self, place: int) -> str:
        title = self._title(place)
        return f"column {place + 1}" + ("" if title is None else f" ('{mask_text(title)}')")

    def _holding(self, column: WatchedColumn, first: Iterable[str]) -> str:
        """A column with its values: the first ones of these, then the commonest."""
        order = [*first, *sorted(column.counts, key=lambda value: -column.counts[value])]
        some = list(dict.fromkeys(order))
        named = ", ".join(
            f"'{mask_text(column.shown[value])}' in {column.counts[value]:,}" for value in some[:_NAMED]
        )
        more = ", ..." if len(some) > _NAMED else ""
        return f"{self._named_as(column.number - 1)} with {named}{more} rows"


def _is_of_numbers(title: str | None) -> bool:
    """Whether a column with this title should hold numbers of subscribers, cards or lines."""
    if title is None:
        return False
    return words.speaks_of_subscribers(title) or _LINES_TOO.search(plain(title)) is not None
