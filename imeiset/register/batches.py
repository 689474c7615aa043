"""What the lists of a register hold, as Arrow record batches."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imeiset import arrow
from imeiset._native.parse import rows_of
from imeiset.readers import Keys
from imeiset.register.entries import Entries, entries_of
from imeiset.register.kinds import RULES
from imeiset.register.lists import List
from imeiset.register.untils import NO_DAY, dates_of_days, days_of_texts

DIGITS = 15
_NAMES = ("list", "status", "kind", "owner", "list_reason", "rule")  # the same in all rows of some
_ZERO = np.uint8(ord("0"))
_TENS = np.uint64(10) ** np.arange(16, dtype=np.uint64)
_WIDEST = 15


def batches(lists: Iterable[List], rows: int) -> Iterator[Any]:
    """The batches of `Register.entries`, all with the same dictionaries."""
    lists, known = tuple(lists), dict[str, _Known]()
    facts = [_facts(one, rule) for one in lists for rule in RULES]
    for at, name in enumerate(_NAMES):
        known[name] = _Known(fact[at] for fact in facts)
    known["reasons"] = _Known(text for one in lists for text in _reasons(one))
    for one in lists:
        for some in entries_of(one, rows):
            yield _batch(some, known)


class _Known:
    """Texts that a column may have, held once for all batches."""

    def __init__(self, texts: Iterable[str]) -> None:
        known = sorted({*texts} - {""})
        self._number = {text: number for number, text in enumerate(known)} | {"": -1}
        self._values = arrow.text_buffers(known)

    def column(self, texts: Iterable[str], codes: NDArray[Any]) -> Any:
        """Texts by their numbers, '' as null."""
        places = np.array([self._number[text] for text in texts], np.int32)
        return arrow.dictionary(self._values, places[codes])


def _facts(one: List, rule: str) -> tuple[str, ...]:
    return one.name, one.status.name.lower(), one.kind, one.owner, one.reason, rule


def _reasons(one: List) -> Iterator[str]:
    for _, (reasons, _, _) in one.exact.sides if one.exact else ():
        yield from reasons.values if reasons else ()


def _batch(some: Entries, known: dict[str, _Known]) -> Any:
    n, none = len(some), np.zeros(len(some), np.uint8)
    reasons, dates, untils = some.details
    columns = {
        name: known[name].column([text], none)
        for name, text in zip(_NAMES, _facts(some.list, some.rule), strict=True)
    }
    columns["imei"] = arrow.texts(
        *(arrow.text_buffers(map(bytes.decode, some.texts)) if some.texts else _imeis(some.keys, n))
    )
    columns["high"] = arrow.texts(*_imeis(some.highs, n))
    columns["imsi"] = arrow.texts(*subscribers(some.imsis, n))
    columns["reasons"] = known["reasons"].column(
        ["", *reasons.values] if reasons else [""], reasons.codes if reasons else none
    )
    for name, column in (("date", dates), ("until", untils)):
        days = days_of_texts(["", *column.values], column.codes) if column else np.full(n, NO_DAY, np.int32)
        columns[name] = arrow.to_arrow(dates_of_days(days))
    return arrow.record_batch(columns, n)


def _imeis(keys: Keys | None, n: int) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Where the texts of IMEIs end, and these; empty where there are none."""
    if keys is None or len(keys) < n:
        return np.zeros(n + 1, np.int32), np.empty(0, np.uint8)
    return np.arange(n + 1, dtype=np.int32) * DIGITS, np.frombuffer(rows_of(keys), np.uint8)


def subscribers(imsis: Keys | None, n: int) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """The same of IMSIs and their prefixes: the digits of the numbers after the 1."""
    if imsis is None:
        return np.zeros(n + 1, np.int32), np.empty(0, np.uint8)
    lengths = np.searchsorted(_TENS, imsis, "right") - 1
    digits = (imsis[:, None] // _TENS[_WIDEST - 1 :: -1] % np.uint64(10)).astype(np.uint8) + _ZERO
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return ends, digits[np.arange(_WIDEST) >= (_WIDEST - lengths)[:, None]]
