"""The whole answer: every claim on one phone, and what decided about each row of a column."""

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from imeiset import arrow
from imeiset.readers import Keys
from imeiset.register.details import damaged
from imeiset.register.layered import LayeredSet
from imeiset.register.lists import List
from imeiset.register.policy import EquipmentStatus, Rule

_DAY = "datetime64[D]"


@dataclass(frozen=True, slots=True)
class Claim:
    """What one list says about a phone.

    Parameters
    ----------
    list : str
        Its name.
    owner : str
        Whose the list is, '' where it is nobody's.
    status : EquipmentStatus
        That of the list.
    rule : str
        By what the list has the phone, see `Rule`.
    reasons : tuple of str
        Of the IMEI on that list; where it has none, of the list.
    date : datetime.date, optional
        Since when the list has the IMEI, if it says so.
    until : datetime.date, optional
        The last day on which the entry counts, if it says so. Of a lock: of the last of its pairs.
    decided : bool
        Whether this is what `check` answers by.

    Examples
    --------
    >>> claim = Claim("stolen", "op-a", EquipmentStatus.BLACKLISTED, "exact", ("theft",), decided=True)
    >>> claim.to_dict()["status"], claim.to_dict()["owner"]
    ('blacklisted', 'op-a')
    """

    list: str
    owner: str
    status: EquipmentStatus
    rule: Rule
    reasons: tuple[str, ...] = ()
    date: datetime.date | None = None
    until: datetime.date | None = None
    decided: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The claim as JSON has it, in the words of the command line.

        Returns
        -------
        dict
            A key for each field; the status in lower case, reasons as a list, dates in ISO 8601 or None.

        Examples
        --------
        >>> until = datetime.date(2024, 2, 29)
        >>> Claim("found", "", EquipmentStatus.GREYLISTED, "exact", until=until).to_dict()["until"]
        '2024-02-29'
        """
        return {
            "list": self.list,
            "owner": self.owner,
            "status": self.status.name.lower(),
            "rule": self.rule,
            "reasons": [*self.reasons],
            "date": self.date and self.date.isoformat(),
            "until": self.until and self.until.isoformat(),
            "decided": self.decided,
        }


class Words(Sequence[str | None]):
    """A column of a few texts, each held once. Libraries that speak Arrow read it as a dictionary.

    Parameters
    ----------
    words : iterable of str
        The texts.
    codes : int32[n]
        Which of them each row has, -1 for none.

    Examples
    --------
    >>> column = Words(["stolen", "lost"], np.array([0, -1, 1], np.int32))
    >>> column[2], list(column), len(column)
    ('lost', ['stolen', None, 'lost'], 3)
    """

    __slots__ = ("codes", "words")

    def __init__(self, words: Iterable[str], codes: NDArray[np.int32]) -> None:
        self.words = tuple(words)
        self.codes = codes

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, row: int) -> str | None: ...
    @overload
    def __getitem__(self, row: slice) -> "Words": ...
    def __getitem__(self, row: int | slice) -> "str | Words | None":
        if isinstance(row, slice):
            return Words(self.words, self.codes[row])
        code = int(self.codes[row])
        return self.words[code] if code >= 0 else None

    def __iter__(self) -> Iterator[str | None]:
        return iter(self.to_numpy().tolist())

    def __repr__(self) -> str:
        return f"<Words of {len(self):,} rows>"

    def to_numpy(self) -> NDArray[np.object_]:
        """The texts of all rows.

        Returns
        -------
        object[n]
            Of str, and None.

        Examples
        --------
        >>> Words(["stolen"], np.array([0, -1], np.int32)).to_numpy()
        array(['stolen', None], dtype=object)
        """
        texts: NDArray[np.object_] = np.array([*self.words, None], object)[self.codes]
        return texts

    def __arrow_c_array__(self, requested_schema: object = None) -> Any:
        return arrow.dictionary(self.words, self.codes).__arrow_c_array__(requested_schema)

    def __arrow_c_schema__(self) -> Any:
        return arrow.dictionary(self.words, self.codes[:0]).__arrow_c_schema__()


# ---- one phone ----


def day(text: str) -> datetime.date | None:
    """A date as it is kept; raises SnapshotBounds for another text, of a damaged file."""
    try:
        return datetime.date.fromisoformat(text) if text else None
    except ValueError as error:
        raise damaged("dates", str(error)) from None


# ---- columns ----


class _Found:
    """The texts of one column of an answer, each once, and the rows that have them."""

    def __init__(self, rows: int) -> None:
        self.codes = np.full(rows, -1, np.int32)
        self.words: dict[str, int] = {}

    def put(self, rows: NDArray[np.intp], texts: Sequence[str], codes: NDArray[Any]) -> None:
        """Rows have the texts of these codes, '' for none."""
        used = np.flatnonzero(np.bincount(codes, minlength=len(texts))).tolist()
        place = np.full(len(texts), -1, np.int32)
        for code in used:
            if texts[code]:
                place[code] = self.words.setdefault(texts[code], len(self.words))
        self.codes[rows] = place[codes]

    def shown(self) -> Words:
        return Words(self.words, self.codes)


def answered(
    lists: Sequence[List],
    rule: Callable[[int], str],
    codes: NDArray[np.uint32],
    keys: Keys,
) -> dict[str, Any]:
    """The columns of `check_many` with details. rule: the word for what a code says; keys: of the rows whose
    IMEI is one."""
    status = (codes & 0xFF).astype(np.uint8)
    said, hits = codes >> 8, np.flatnonzero(codes >> 8)
    found = {name: _Found(len(codes)) for name in ("list", "rule", "reasons")}
    days = {name: np.full(len(codes), "NaT", _DAY) for name in ("date", "until")}
    found["rule"].words["default"] = 0
    found["rule"].codes[:] = 0
    said = said[hits]
    for code in np.flatnonzero(np.bincount(said)).tolist():
        rows, i = hits[said == code], (code & 0xFF) - 1
        none = np.zeros(len(rows), np.int8)
        found["rule"].put(rows, [rule(code << 8)], none)
        if i < 0:
            continue
        one = lists[i]
        found["list"].put(rows, [one.name], none)
        found["reasons"].put(rows, [one.reason], none)
        if rule(code << 8) == "exact" and one.exact is not None and one.exact.has_details:
            _put_details(one.exact, one.reason, keys[rows], rows, found["reasons"], days)
    return {"status": status} | {name: one.shown() for name, one in found.items()} | days


def _put_details(
    exact: LayeredSet,
    reason: str,
    keys: Keys,
    rows: NDArray[np.intp],
    reasons: _Found,
    days: dict[str, NDArray[Any]],
) -> None:
    texts, codes = exact.said(keys)
    reasons.put(rows, [text or reason for text in texts[0]], codes[0])
    for name, values, at in zip(days, texts[1:], codes[1:], strict=False):
        days[name][rows] = np.array([day(text) for text in values], _DAY)[at]
