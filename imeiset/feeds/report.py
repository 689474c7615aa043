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
    RowFlaw.SHORT_ROW: "a row that ends before the IMEI column",
    RowFlaw.BROKEN_QUOTE: "a stray quote, or one that hides a row",
    RowFlaw.LONG_ROW: "a row longer than allowed",
    RowFlaw.CELL_COUNT: "more or fewer cells than there are columns",
    RowFlaw.IMSI: "no IMSI of 5 to 15 digits",
    RowFlaw.TAC: "no TAC of 8 digits",
    RowFlaw.RANGE: "a range that ends before it begins",
    RowFlaw.CHANGE_TYPE: "a change other than add, remove and update",
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
class LoadReport:
    """What a load read and what became of it.

    rows = accepted + ignored + rejected rows. accepted = keys + texts + duplicates, unless there are ranges.
    lines = rows + headers + blank + comments + continued.

    Attributes
    ----------
    sources, formats : list of str
        The files, and what they were read as.
    unread_statuses : list of str
        Sources whose column 'status' their format does not look at.
    bytes : int
        Of text, after decompression.
    lines, headers, blank, comments, continued : int
        Lines, and those that are not rows; `continued` begin inside a quoted cell.
    rows, accepted : int
        Rows, and those that are in the result.
    forms : dict of int to int
        Accepted rows by 14, 15 and 16 digits.
    irregular : int
        Accepted rows whose identity is kept as text.
    wrong_check_digits, spare_check_digits : int
        Rows of 15 digits whose last is not the Luhn digit: neither that nor 0, or 0.
    ranges : int
        Accepted rows that are ranges or TACs.
    ignored : dict of str to int
        Rows by a status that does not count: 100 of these, and "others".
    keys, texts, duplicates : int
        Different IMEIs, different irregular identities, and rows that repeat one.
    rejects : dict of str to Rejects
        Rejected rows by reason: how many, why in words, and the first lines.
    digest : str
        Of the set, see `ImeiSet.digest`.
    seconds : float
        How long it took.

    Examples
    --------
    >>> with open("list.csv", "w") as file:
    ...     _ = file.write("imei\\n490154203237518\\n490154203237518\\n")
    >>> report = imeiset.load("list.csv").report
    >>> report.rows, report.keys, report.duplicates
    (2, 1, 1)
    """

    sources: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)  # of the sources
    unread_statuses: list[str] = field(default_factory=list)  # sources whose column 'status' says nothing
    bytes: int = 0  # of text, after decompression
    lines: int = 0
    headers: int = 0
    blank: int = 0
    comments: int = 0
    continued: int = 0  # lines that begin inside a quoted cell
    rows: int = 0
    accepted: int = 0
    forms: dict[int, int] = field(
        default_factory=lambda: dict.fromkeys((14, 15, 16), 0)
    )  # accepted, by digits; what begins with 14 digits and ends otherwise is among the 14
    irregular: int = 0  # accepted rows whose identity is kept as text
    wrong_check_digits: int = 0  # rows of 15 digits whose last is neither the Luhn digit nor 0
    spare_check_digits: int = 0  # rows of 15 digits whose last is 0 and not the Luhn digit
    ranges: int = 0  # accepted rows that are ranges or TACs
    # Rows by a status that does not count: 100 of these, and "others".
    ignored: dict[str, int] = field(default_factory=dict)
    keys: int = 0  # distinct
    texts: int = 0  # distinct irregular identities
    duplicates: int = 0
    rejects: dict[str, Rejects] = field(default_factory=dict)  # by reason code, in lower case
    digest: str = ""  # of the resulting set, see `ImeiSet.digest`
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
