"""What the lists say of the rows of one request, all answered by one moment of the store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from imeiset import columns, irregular, readers
from imeiset.errors import ImeiError, ImsiError, ParseStatus
from imeiset.register import EquipmentStatus, Rule, Verdict, Words
from imeiset.register.checks import Checks
from imeiset.register.claims import spread
from imeiset.register.imsis import BAD_IMSI, NO_IMSI, imsi_numbers

TEXTS = ("list", "rule", "reasons")
DAYS = ("date", "until")
ERROR = 4
"""A code of a row is an `EquipmentStatus`, or the sum of `ERROR` and a `ParseStatus`."""
BAD_SUBSCRIBER = 255
STATUSES = tuple(status.name.lower() for status in EquipmentStatus)
ERRORS = {ERROR + status: status.name.lower() for status in ParseStatus if status} | {BAD_SUBSCRIBER: "imsi"}


class Malformed(Exception):
    """A row that the policy has no status for. error: what `check` raises for it."""

    def __init__(self, row: int, error: ImeiError | ImsiError) -> None:
        super().__init__(row, error)
        self.row, self.error = row, error


class Refused(Exception):
    """A request that is not answered. cause: a word of `imeiset.serve.http.bulk.CAUSES`; more: members of the
    problem details."""

    def __init__(self, cause: str, detail: str, **more: Any) -> None:
        super().__init__(cause, detail)
        self.cause, self.detail, self.more = cause, detail, more


def expect_rows(count: int, limit: int, *, guessed: bool = False) -> None:
    """Refuse more rows than a request may have. guessed: nobody counted them."""
    if count > limit:
        got = "more" if guessed else f"{count:,}"
        detail = f"expected at most {limit:,} rows, got {got}: send them in several requests"
        raise Refused("too_many_rows", detail, limit=limit)


class RequestRows(NamedTuple):
    """The rows of a request.

    Attributes
    ----------
    keys, status
        Of their IMEIs, as `imeiset.parse` has them.
    value : callable
        Makes a function that gives the IMEI of a row as it was sent.
    imsis : sequence, optional
        Of the rows; None where none is given.
    named : callable
        The name of a row in the form of the request.
    """

    keys: NDArray[np.uint64]
    status: NDArray[np.uint8]
    value: Callable[[], Callable[[int], object]]
    imsis: Sequence[object] | None
    named: Callable[[int], str]

    @classmethod
    def of(cls, imeis: Any, imsis: Sequence[object] | None, named: Callable[[int], str]) -> Self:
        """Of a column of IMEIs."""
        return cls(*columns.parse(imeis), partial(readers.values, imeis), imsis, named)


@dataclass(frozen=True, slots=True)
class RowAnswers:
    """What each row got.

    Attributes
    ----------
    codes : uint8[n]
        Its `EquipmentStatus`; or why there is none: `ERROR` and a `ParseStatus`, or `BAD_SUBSCRIBER`.
    tally : dict
        How many rows got a status by a rule.
    details : callable
        Makes the columns of `check_many` with details, empty in rows without a status.
    report : bool
        Whether a row may have no status.
    """

    codes: NDArray[np.uint8]
    tally: dict[tuple[int, Rule], int]
    details: Callable[[], dict[str, Any]]
    report: bool

    @property
    def errors(self) -> int:
        """How many rows have no status."""
        return int(np.count_nonzero(self.codes >= ERROR)) if self.report else 0


def answers_of(listed: Checks, asked: RequestRows, *, report: bool = False) -> RowAnswers:
    """The answers to all rows: each is what `Checks.check` says of its row.

    report: a row for which `check` raises gets a code for the error. Otherwise the first such row raises
    Malformed.
    """
    numbers, wrong = None, asked.status != 0
    if asked.imsis is not None:
        numbers, _ = imsi_numbers(asked.imsis, len(wrong))
        wrong |= numbers == BAD_IMSI
    rows = np.flatnonzero(wrong)
    if rows.size:
        return _MixedRows(listed, asked, numbers).answers(rows, report)
    found = listed.decide(asked.keys, numbers)
    return RowAnswers(found.status, found.tally(), found.details, report)


class _MixedRows:
    """Rows of which some are malformed: each gets what `check` says of it."""

    def __init__(self, listed: Checks, asked: RequestRows, numbers: NDArray[np.uint64] | None) -> None:
        self.listed, self.asked = listed, asked
        self.keys, self.status, self.numbers = asked.keys, asked.status, numbers
        self.codes = np.zeros(len(self.keys), np.uint8)
        self.said: dict[Verdict, list[int]] = {}  # rows that are decided without a key

    def answers(self, rows: NDArray[np.intp], report: bool) -> RowAnswers:
        """All rows. rows: those that are malformed."""
        malformed = self.listed.policy.malformed
        if any(one.irregular for one in self.listed.lists):
            self._ask(rows, report)
        elif malformed is not None:
            self._know_no_imsi()
            if some := np.flatnonzero(self.status).tolist():
                self.said[Verdict(malformed, rule="malformed")] = some
        elif not report:
            row = int(rows[0])
            raise Malformed(row, self._check(row)[1])
        else:
            self.codes[rows] = self.status[rows] + ERROR
            if self.numbers is not None:
                self.codes[self.numbers == BAD_IMSI] = BAD_SUBSCRIBER
        good = self.codes < ERROR
        for some in self.said.values():
            good[some] = False
        places = np.flatnonzero(good)
        found = self.listed.decide(self.keys[good], None if self.numbers is None else self.numbers[good])
        self.codes[good], tally = found.status, found.tally()
        for verdict, some in self.said.items():
            self.codes[some] = verdict.status
            by = int(verdict.status), verdict.rule
            tally[by] = tally.get(by, 0) + len(some)
        return RowAnswers(self.codes, tally, lambda: self._details(found.details(), places), report)

    def _know_no_imsi(self) -> None:
        """Where the policy has a status for malformed input, a malformed IMSI counts as not given."""
        if self.numbers is not None:
            self.numbers[self.numbers == BAD_IMSI] = NO_IMSI

    def _check(self, row: int) -> tuple[Any, Any]:
        """The verdict on a row, or why there is none."""
        imsi: Any = None if self.asked.imsis is None else self.asked.imsis[row]
        try:
            return self.listed.check(self.asked.value()(row), imsi), None
        except (ImeiError, ImsiError) as error:
            return None, error

    def _ask(self, rows: NDArray[np.intp], report: bool) -> None:
        """Ask `check` about malformed rows one by one, because lists may have them as texts. A row that
        begins with an IMEI gets its key, and is decided with the others."""
        value = self.asked.value()
        self.asked = self.asked._replace(value=lambda: value)  # made once
        for row in rows.tolist():
            verdict, error = self._check(row)
            if error is not None:
                if not report:
                    raise Malformed(row, error)
                is_imei = isinstance(error, ImeiError)
                self.codes[row] = ERROR + self.status[row] if is_imei else BAD_SUBSCRIBER
            elif self.status[row]:
                key = irregular.normalised(value(row))
                if isinstance(key, int):
                    self.keys[row] = key
                else:
                    self.said.setdefault(verdict, []).append(row)
        self._know_no_imsi()

    def _details(self, found: dict[str, Any], good: NDArray[np.intp]) -> dict[str, Any]:
        columns: dict[str, Any] = {"status": self.codes}
        for name in (*TEXTS, *DAYS):
            columns[name] = spread(found[name], good, len(self.codes))
        for name in TEXTS:
            words, numbers = [*columns[name].words], columns[name].codes
            for verdict, rows in self.said.items():
                said = getattr(verdict, name)
                if text := "|".join(said) if name == "reasons" else said:
                    words += [text] if text not in words else []
                    numbers[rows] = words.index(text)
            columns[name] = Words(words, numbers)
        return columns
