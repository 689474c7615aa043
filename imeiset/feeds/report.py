"""What a load found: every line of every source is counted in exactly one place."""

import json
from dataclasses import asdict, dataclass, field
from enum import IntEnum

from ..errors import ParseStatus

IGNORED = 133  # the flaw of a row whose status says that it does not count: no reason to reject it
FIRST_LINES = 5  # examples kept for each reason


class RowFlaw(IntEnum):
    """What can be wrong with a row before its IMEI is looked at. Stored in reports: values never change.

    The numbers are those of scan.h, above every ParseStatus.
    """

    SHORT_ROW = 129
    BROKEN_QUOTE = 130
    LONG_ROW = 131
    CELL_COUNT = 132
    IMSI = 134
    TAC = 135
    RANGE = 136
    CHANGE_TYPE = 137
    CARRIAGE_RETURN = 138

    @property
    def text(self) -> str:
        """What is wrong, in words."""
        return _TEXTS[self]


_TEXTS = {
    RowFlaw.SHORT_ROW: "a row that ends before a column that it needs",
    RowFlaw.BROKEN_QUOTE: "a stray quote, or one that hides a row",
    RowFlaw.LONG_ROW: "a row longer than allowed",
    RowFlaw.CELL_COUNT: "more or fewer cells than there are columns",
    RowFlaw.IMSI: "no IMSI of 5 to 15 digits",
    RowFlaw.TAC: "no TAC of 8 digits",
    RowFlaw.RANGE: "a range that ends before it begins",
    RowFlaw.CHANGE_TYPE: "no '+' or '-' that says what changes",
    RowFlaw.CARRIAGE_RETURN: "a CR inside the row: it ends no line",
}


def reason_of(code: int) -> ParseStatus | RowFlaw:
    """The reason with this code."""
    return RowFlaw(code) if code > max(ParseStatus) else ParseStatus(code)


@dataclass(slots=True)
class Rejects:
    """Rows rejected for one reason: how many, why in words, and the (source, line) of the first few."""

    text: str
    count: int = 0
    first: list[tuple[str, int]] = field(default_factory=list)


@dataclass(slots=True)
class Suspects:
    """Rows that are in the result, and may not be what they seem: how many, and the (source, line) of the
    first few."""

    count: int = 0
    first: list[tuple[str, int]] = field(default_factory=list)

    def add(self, count: int, source: str, lines: list[int]) -> None:
        """Count more rows; lines: the first of these, ascending."""
        self.count += count
        self.first += [(source, line) for line in lines[: FIRST_LINES - len(self.first)]]


@dataclass(slots=True)
class Unread:
    """A column that looks like it says something, and was not looked at.

    column: its title, or its number from 1. values: some of its values. why: what it looks like, 'statuses',
    'changes', 'dates', 'imeis' or 'reasons'.
    """

    source: str
    column: str | int
    values: list[str]
    why: str


WRITTEN = ("separators", "pei", "filler", "urn", "spreadsheet", "svn")  # how an IMEI may be written
PLACEHOLDERS = ("zeros", "equal digits", "test TAC")  # what is listed as if it were a phone


@dataclass(slots=True)
class LoadReport:
    """What a load read and what became of it.

    rows = accepted + ignored + rejected rows. identities = keys + texts + duplicates (ranges aside).
    lines = rows + headers + blank + comments + continued.

    Attributes
    ----------
    sources, formats : list of str
        The files, and what they were read as.
    unread : list of Unread
        Columns that look like statuses, changes, dates or IMEIs, or where reasons are kept like these, and
        were not looked at: source, column, some values, why.
    notes : list of tuple of str and str
        What else somebody should know of a source: which sheet of a workbook was read, what of it is hidden.
    bytes : int
        Of text, after decompression.
    lines, headers, blank, comments, continued : int
        Lines, and those that are not rows; `continued` begin inside a quoted cell.
    preamble : int
        Of the comments, lines above a header.
    rows, accepted : int
        Rows, and those that are in the result.
    partly : int
        Rejected rows with several IMEIs, of which the good ones are in the result.
    identities : int
        IMEIs and irregular identities taken; as many as `accepted`, unless a row has several.
    forms : dict of int to int
        Of these, the ones of 14, 15 and 16 digits, once they are read.
    written : dict of str to int
        Of these, the ones that are not digits alone: with separators, as PEI, with a filler, as URN, as a
        spreadsheet quotes it, with an SVN.
    irregular : int
        Of these, the ones that are kept as text.
    lost_zeros : Suspects
        Of these, the ones of 14 digits that may have lost a zero: with one before them, the last digit is
        the check digit. With ``lost_zeros="restore"``, the ones that got it back.
    lost_zeros_imeisv : Suspects
        Of these, the ones of 15 digits that may be an IMEISV that lost a zero: they have a wrong check digit,
        in a source with more IMEISVs than IMEIs. With ``lost_zeros="restore-imeisv"``, the ones that got it
        back.
    placeholders : dict of str to Suspects
        Of these, the ones that no phone has of its own: 'zeros', 'equal digits' and 'test TAC'.
    dates_not_understood : Suspects
        Rows in the result whose date is not a date in a form that is read. An empty cell is not one.
    wrong_check_digits, spare_check_digits : int
        Those of 15 digits whose last is not the Luhn digit: neither that nor 0, or 0. Rejected ones too.
    ranges : int
        Accepted rows that are ranges or TACs.
    ignored : dict of str to int
        Rows by a status that does not count: 100 of these, and "others".
    keys, texts, duplicates : int
        Different IMEIs, different irregular identities, and identities that repeat one.
    rejects : dict of str to Rejects
        Rejected rows by reason: how many, why in words, and the first lines.
    digest : str
        Of the set, see `ImeiSet.digest`.
    seconds : float
        How long it took.

    Examples
    --------
    >>> with open("list.csv", "w") as file:
    ...     _ = file.write("imei\\n490154203237518\\n490154203237518\\n000000000000000\\n")
    >>> report = imeiset.load("list.csv").report
    >>> report.rows, report.keys, report.duplicates
    (3, 2, 1)
    """

    sources: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    bytes: int = 0
    lines: int = 0
    headers: int = 0
    blank: int = 0
    comments: int = 0
    continued: int = 0
    preamble: int = 0
    rows: int = 0
    accepted: int = 0
    partly: int = 0
    identities: int = 0
    # What begins with 14 digits and ends otherwise is among the 14.
    forms: dict[int, int] = field(default_factory=lambda: dict.fromkeys((14, 15, 16), 0))
    written: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WRITTEN, 0))
    irregular: int = 0
    lost_zeros: Suspects = field(default_factory=Suspects)
    lost_zeros_imeisv: Suspects = field(default_factory=Suspects)
    placeholders: dict[str, Suspects] = field(
        default_factory=lambda: {kind: Suspects() for kind in PLACEHOLDERS}
    )
    dates_not_understood: Suspects = field(default_factory=Suspects)
    wrong_check_digits: int = 0
    spare_check_digits: int = 0
    ranges: int = 0
    ignored: dict[str, int] = field(default_factory=dict)
    keys: int = 0
    texts: int = 0
    duplicates: int = 0
    rejects: dict[str, Rejects] = field(default_factory=dict)  # by reason code, in lower case
    digest: str = ""
    seconds: float = 0.0

    @property
    def rejected(self) -> int:
        """How many rows were rejected.

        Examples
        --------
        >>> imeiset.LoadReport().rejected
        0
        """
        return sum(reason.count for reason in self.rejects.values())

    @property
    def rows_per_second(self) -> float:
        """Rows read in each second.

        Examples
        --------
        >>> imeiset.LoadReport(rows=100, seconds=0.5).rows_per_second
        200.0
        """
        return self.rows / self.seconds if self.seconds else 0.0

    def to_json(self) -> str:
        """The report as one JSON object, with `rejected` and `rows_per_second`.

        Returns
        -------
        str
            JSON.

        Examples
        --------
        >>> import json
        >>> json.loads(imeiset.LoadReport(rows=100, seconds=0.5).to_json())["rows_per_second"]
        200
        """
        derived = {"rejected": self.rejected, "rows_per_second": round(self.rows_per_second)}
        return json.dumps({**asdict(self), **derived})
