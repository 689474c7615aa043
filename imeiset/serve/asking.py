"""What the lists say of the rows of one request, all of them answered by one moment."""

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
from imeiset.register.imsis import BAD_IMSI, imsi_numbers

TEXTS = ("list", "rule", "reasons")
DAYS = ("date", "until")
ERROR = 4
"""What the numbers of errors begin with, after those of statuses: `ERROR` and a `ParseStatus`."""
BAD_SUBSCRIBER = 255


STATUSES = tuple(status.name.lower() for status in EquipmentStatus)
ERRORS = {ERROR + status: status.name.lower() for status in ParseStatus if status} | {BAD_SUBSCRIBER: "imsi"}


class Malformed(Exception):
    """A row that the policy has no status for. error: what `check` raises for it."""

    def __init__(self, row: int, error: ImeiError | ImsiError) -> None:
        super().__init__(row, error)
        self.row, self.error = row, error


class Refused(Exception):
    """A request that is not answered. cause: a word of `imeiset.serve.bulk.CAUSES`; more: members of the
    problem details."""

    def __init__(self, cause: str, detail: str, **more: Any) -> None:
        super().__init__(cause, detail)
        self.cause, self.detail, self.more = cause, detail, more


def expect_rows(count: int, limit: int) -> None:
    """Refuse more rows than a request may have."""
    if count > limit:
        detail = f"expected at most {limit:,} rows, got {count:,}: send them in several requests"
        raise Refused("too_many_rows", detail, limit=limit)


class Asked(NamedTuple):
    """The rows of a request.

    Attributes
    ----------
    keys, status
        Of their IMEIs, as `imeiset.parse` has them.
    value : callable
        Makes what gives the IMEI in a row as it was sent.
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
class Answers:
    """What each row got.

    Attributes
    ----------
    codes : uint8[n]
        Its `EquipmentStatus`; or why there is none: `ERROR` and a `ParseStatus`, or `BAD_SUBSCRIBER`.
    tally : dict
        How many rows got a status by a rule.
    details : callable
        Makes the columns of `check_many` with details, empty in rows without a status.
    """

    codes: NDArray[np.uint8]
    tally: dict[tuple[int, Rule], int]
    details: Callable[[], dict[str, Any]]


def answers_of(listed: Checks, asked: Asked, *, report: bool = False) -> Answers:
    """The answers to all rows: those of `Checks.check`, row by row. Raises Malformed for the first row for
    which that raises, unless report: then the row has a number for it."""
    numbers, wrong = None, asked.status != 0
    if asked.imsis is not None:
        numbers, _ = imsi_numbers(asked.imsis, len(wrong))
        wrong |= numbers == BAD_IMSI
    rows = np.flatnonzero(wrong)
    if rows.size:
        return _Mended(listed, asked, numbers).answers(rows, report)
    found = listed.decide(asked.keys, numbers)
    return Answers(found.status, found.tally(), found.details)


class _Mended:
    """Rows of which some are malformed."""

    def __init__(self, listed: Checks, asked: Asked, numbers: NDArray[np.uint64] | None) -> None:
        self.listed, self.asked = listed, asked
        self.keys, self.status, self.numbers = asked.keys, asked.status, numbers
        self.has_texts = any(one.irregular for one in listed.lists)
        self.said: dict[int, Verdict] = {}

    def answers(self, rows: NDArray[np.intp], report: bool) -> Answers:
        codes = np.zeros(len(self.keys), np.uint8)
        if report and not self.listed.answers_malformed:  # as `check` raises for each of them
            codes[rows] = self.status[rows] + ERROR
            if self.numbers is not None:
                codes[self.numbers == BAD_IMSI] = BAD_SUBSCRIBER
        else:
            self._ask(rows, codes, report)
        good = codes == 0
        good[[*self.said]] = False
        places = np.flatnonzero(good)
        found = self.listed.decide(self.keys[good], None if self.numbers is None else self.numbers[good])
        codes[good] = found.status
        tally = found.tally()
        for row, verdict in self.said.items():
            codes[row] = verdict.status
            by = int(verdict.status), verdict.rule
            tally[by] = tally.get(by, 0) + 1
        return Answers(codes, tally, lambda: self._details(found.details(), places, codes))

    def _ask(self, rows: NDArray[np.intp], codes: NDArray[np.uint8], report: bool) -> None:
        """What `check` says of malformed rows, one by one; of those that are understood all the same, the key
        and the number to decide by."""
        value = self.asked.value()
        for row in rows.tolist():
            imei = value(row)
            try:
                verdict = self.listed.check(imei, None if self.asked.imsis is None else self.asked.imsis[row])
            except (ImeiError, ImsiError) as error:
                if not report:
                    raise Malformed(row, error) from None
                is_imei = isinstance(error, ImeiError)
                codes[row] = ERROR + self.status[row] if is_imei else BAD_SUBSCRIBER
                continue
            if self.numbers is not None and self.numbers[row] == BAD_IMSI:
                self.numbers[row] = 0  # by the policy it counts as not given
            if self.status[row] == ParseStatus.OK:
                continue
            key = irregular.normalised(imei) if self.has_texts else None
            if isinstance(key, int):
                self.keys[row] = key
            else:
                self.said[row] = verdict

    def _details(
        self, found: dict[str, Any], good: NDArray[np.intp], codes: NDArray[np.uint8]
    ) -> dict[str, Any]:
        columns: dict[str, Any] = {"status": codes}
        for name in (*TEXTS, *DAYS):
            columns[name] = spread(found[name], good, len(codes))
        for name in TEXTS:
            words, numbers = [*columns[name].words], columns[name].codes
            for row, verdict in self.said.items():
                said = getattr(verdict, name)
                text = "|".join(said) if name == "reasons" else said
                if text:
                    words += [text] if text not in words else []
                    numbers[row] = words.index(text)
            columns[name] = Words(words, numbers)
        return columns
