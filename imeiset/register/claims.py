"""The whole answer: every claim on one phone, and what decided about each row of a column."""

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, cast, overload

import numpy as np
from numpy.typing import NDArray

from imeiset import arrow
from imeiset._native.checks import PACKED
from imeiset._native.codes import mark_codes, part_codes, put_codes
from imeiset._native.imsi import NO_IMSI
from imeiset.readers import Keys
from imeiset.register.details import damaged, fitting
from imeiset.register.layered import LayeredSet
from imeiset.register.lists import List
from imeiset.register.pairs import LayeredPairs
from imeiset.register.policy import EquipmentStatus, Rule
from imeiset.register.untils import NO_DAY, dates_of_days

_DAY = "datetime64[D]"
_NONE = np.datetime64("NaT", "D")
_FEW = 1 << 16  # texts that are worth a table
_STATUS = 2  # bits of a code, below those that say by which list and rule

Rows = NDArray[np.intp]
Days = NDArray[np.datetime64]


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
        return arrow.dictionary(arrow.text_buffers(self.words), self.codes).__arrow_c_array__(
            requested_schema
        )

    def __arrow_c_schema__(self) -> Any:
        return arrow.dictionary(arrow.text_buffers(self.words), self.codes[:0]).__arrow_c_schema__()


# ---- one phone ----


def day(text: str) -> datetime.date | None:
    """A date as it is kept; raises SnapshotBounds for another text, of a damaged file."""
    try:
        return datetime.date.fromisoformat(text) if text else None
    except ValueError as error:
        raise damaged("dates", str(error)) from None


def last_days(one: List, keys: Keys, imsis: Keys) -> Days:
    """Until when pairs are on a list; where it locks, the last of all pairs of the IMEI."""
    pairs = cast(LayeredPairs, one.pairs)
    if one.kind != "lock":
        days = pairs.until_days(keys, imsis)
    else:
        imeis, row = np.unique(keys, return_inverse=True)
        locked = pairs.of_imeis(imeis)
        at, until = np.searchsorted(imeis, locked[0]), pairs.until_days(*locked)
        latest = np.full(len(imeis), NO_DAY, np.int32)
        np.maximum.at(latest, at, until)
        latest[at[until == NO_DAY]] = NO_DAY
        days = latest[row]
    return dates_of_days(days)


# ---- columns ----


class _Texts:
    """A column of texts that is being made: each text once, and the rows that have it."""

    def __init__(self, codes: NDArray[np.int32]) -> None:
        self.words: dict[str, int] = {}
        self.codes = codes  # -1 for none

    def put(self, rows: Rows, text: str) -> None:
        """Rows have one text, '' is none."""
        if text:
            self.codes[rows] = self.words.setdefault(text, len(self.words))

    def put_coded(self, rows: Rows, texts: Sequence[str], codes: NDArray[Any]) -> None:
        """Rows have the texts of these codes, 0 is none and i is texts[i - 1]; or what they had."""
        if len(texts) > _FEW:
            some, codes = np.unique(codes, return_inverse=True)
            texts = [texts[code - 1] for code in some.tolist() if code]
            codes = (codes + (len(texts) == len(some))).astype(np.uint32)
        used, table = np.zeros(len(texts) + 1, np.uint8), np.zeros(len(texts) + 1, np.int32)
        mark_codes(codes, used)
        for code in np.flatnonzero(used[1:]).tolist():
            table[code + 1] = self.words.setdefault(texts[code], len(self.words))
        put_codes(codes, rows, table, self.codes)

    def column(self) -> Words:
        return Words(self.words, self.codes)


class Answers(NamedTuple):
    """What was decided of rows. status: of all; hits: the rows of which some rule says something; said: whole
    answers about these, see `PACKED`."""

    status: NDArray[np.uint8]
    hits: Rows
    said: Keys

    @classmethod
    def of(cls, rows: Keys) -> "Answers":
        """Of whole answers about all rows."""
        status, hits = np.empty(len(rows), np.uint8), np.empty(len(rows), np.int64)
        hits = hits[: part_codes(rows, PACKED, 1 << _STATUS, status, hits)]
        return cls(status, hits, rows[hits])


def answered(
    lists: Sequence[List], rule: Callable[[int], Rule], answers: Answers, imsis: Keys | None
) -> dict[str, Any]:
    """The columns of `check_many` with details. rule: the word for what a code says, see
    `register.rules.Rules`. imsis: of all rows."""
    status, hits, keys = answers
    # One block, which the next call is given again: to clear pages takes a system more time than all else.
    block = np.empty((7, len(status)), np.int32)
    names, rules, reasons = map(_Texts, block[4:])
    names.codes[:] = reasons.codes[:] = -1
    rules.codes[:] = rules.words.setdefault("default", 0)
    date, until = days = block[:4].reshape(2, -1).view(_DAY)
    days[:] = _NONE
    said = (keys >> (PACKED + _STATUS)).astype(np.uint16)
    keys = keys & np.uint64((1 << PACKED) - 1)
    order, counts = np.argsort(said, kind="stable"), np.bincount(said)
    ends = np.cumsum(counts)
    for code in np.flatnonzero(counts).tolist():
        some = order[ends[code] - counts[code] : ends[code]]
        here, i, word = hits[some], (code & 63) - 1, rule((code & 63) << 8 | code >> 6 << 16)
        rules.put(here, word)
        if i < 0:
            continue
        one = lists[i]
        names.put(here, one.name)
        reasons.put(here, one.reason)
        if word == "exact" and one.exact is not None and one.exact.has_details:
            _put_details(one.exact, keys[some], here, reasons, (date, until))
        elif one.pairs is not None:
            asked = np.zeros(len(here), np.uint64) if imsis is None else imsis[here]
            until[here] = last_days(one, keys[some], asked)
    return {
        "status": status,
        "list": names.column(),
        "rule": rules.column(),
        "reasons": reasons.column(),
        "date": date,
        "until": until,
    }


@fitting("reasons and dates")
def _put_details(exact: LayeredSet, keys: Keys, rows: Rows, reasons: _Texts, days: tuple[Days, Days]) -> None:
    """What a list says of rows that it has, into the columns."""
    for members, (said, *said_days) in exact.sides:
        if not len(members):
            continue
        places = np.empty(len(keys), np.int64)
        # A set that has not changed has them all: it was just asked.
        (members.positions_of_keys if exact.layers else members.ranks)(keys, places)
        absent = places < 0
        more = absent.any()
        here, places = (rows[~absent], places[~absent]) if more else (rows, places)
        if said:
            reasons.put_coded(here, said.values, said.codes[places])
        for column, into in zip(said_days, days, strict=True):
            if column:
                table = _days_of(column.values).view(np.int64)
                put_codes(column.codes[places], here, table, into.view(np.int64))
        if not more:
            return
        keys, rows = keys[absent], rows[absent]


@lru_cache(256)
def _days_of(texts: tuple[str, ...]) -> Days:
    """Dates as they are kept; before them none."""
    return np.array([None, *map(day, texts)], _DAY)


def answered_alike(name: str, irregular: NDArray[np.bool_]) -> dict[str, Any]:
    """The same columns but for the status, of rows that one list has, which says nothing else of them."""
    none = np.full(len(irregular), -1, np.int32)
    return {
        "list": Words((name,), np.zeros(len(irregular), np.int32)),
        "rule": Words(("exact", "irregular"), irregular.astype(np.int32)),
        "reasons": Words((), none),
    } | {column: np.full(len(irregular), _NONE) for column in ("date", "until")}


def spread(column: Any, rows: NDArray[np.intp], count: int) -> Any:
    """A column of so many rows, with a column in these and nothing in the others."""
    if isinstance(column, Words):
        codes = np.full(count, -1, np.int32)
        codes[rows] = column.codes
        return Words(column.words, codes)
    days = np.full(count, _NONE)
    days[rows] = column
    return days


def counts_on(lists: Sequence[List], keys: Keys, texts: Sequence[bytes]) -> NDArray[np.int64]:
    """How many of some IMEIs and irregular identities each list has, where no subscriber is known."""
    counts = np.zeros(len(lists), np.int64)
    unknown, found = np.full(len(keys), NO_IMSI, np.uint64), np.empty(len(keys), np.uint8)
    for i, one in enumerate(lists):
        here = np.zeros(len(keys), bool)
        for part in (one.exact, one.range, one.tac):
            if part is not None:
                here |= part.have(keys)
        if one.kind == "lock" and one.pairs is not None:
            one.pairs.pairing.have(keys, unknown, found)
            here |= found > 0
        counts[i] = np.count_nonzero(here) + sum(text in one.irregular for text in texts)
    return counts
