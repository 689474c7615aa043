"""What lists say of records, beyond the status: as columns, and counted."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import irregular, readers
from ..register import Words
from ..register.checks import Checks
from ..register.claims import answered_alike, counts_on, spread
from ..sets import ImeiSet

DETAILS = ("list", "rule", "reasons", "date", "until")
DAYS = DETAILS[3:]  # those that are dates

Value = Callable[[int], object]
"""What stands in a malformed row."""
Lists = NDArray[np.int8]
"""Which list decided, -1 for none."""


def are_malformed(
    listed: ImeiSet | Checks, status: readers.Statuses, value: Value, lists: Lists
) -> NDArray[np.bool_]:
    """Which parsed rows are on no list because they are not IMEIs. For a list that keeps texts, one that
    begins with an IMEI is such; a set that does understands the others, too."""
    malformed: NDArray[np.bool_] = (status != 0) & (lists < 0)
    understood: tuple[type, ...] = (int,)
    if isinstance(listed, ImeiSet):
        keeps, understood = listed.irregular is not None, (int, bytes)
    else:
        keeps = any(one.irregular for one in listed.lists)
    for row in np.flatnonzero(malformed).tolist() if keeps else ():
        malformed[row] = not isinstance(irregular.normalised(value(row)), understood)
    return malformed


def told(
    listed: ImeiSet | Checks, keys: readers.Keys, status: readers.Statuses, value: Value, lists: Lists
) -> dict[str, Any]:
    """The columns of DETAILS, of parsed rows and the lists that decided them: see `Screener.details`."""
    rows = np.flatnonzero(lists >= 0)
    found = _of_listed(listed, keys, status, value, rows)
    columns = {name: spread(column, rows, len(keys)) for name, column in found.items()}
    rules = columns["rule"]
    words = [*dict.fromkeys((*rules.words, "default", "malformed"))]
    malformed = are_malformed(listed, status, value, lists)
    others = np.where(malformed, words.index("malformed"), words.index("default"))
    codes = np.where(rules.codes < 0, others, rules.codes).astype(np.int32)
    return columns | {"rule": Words(words, codes)}


def _of_listed(
    listed: ImeiSet | Checks,
    keys: readers.Keys,
    status: readers.Statuses,
    value: Value,
    rows: NDArray[np.intp],
) -> dict[str, Any]:
    """The columns of rows that are listed."""
    odd = np.flatnonzero(status[rows])  # texts that a list has, or that begin with an IMEI
    if isinstance(listed, ImeiSet):
        texts = np.zeros(len(rows), bool)
        for at in odd.tolist():
            texts[at] = isinstance(irregular.normalised(value(int(rows[at]))), bytes)
        return answered_alike("listed", texts)
    column: Any = keys[rows]
    if odd.size:
        column = column.tolist()
        for at in odd.tolist():
            column[at] = value(int(rows[at]))
    answers = listed.check_many(column, details=True)
    return {name: answers[name] for name in DETAILS}


def counts_of(
    listed: ImeiSet | Checks, keys: readers.Keys, status: readers.Statuses, value: Value, lists: Lists
) -> NDArray[np.int64]:
    """How many of parsed rows each list has, whichever decided; one of pairs has those that it locks."""
    if isinstance(listed, ImeiSet):
        return np.array([np.count_nonzero(lists >= 0)])
    rows = np.flatnonzero((status != 0) & (lists >= 0)).tolist()
    forms = [irregular.normalised(value(row)) for row in rows]
    regular = [form for form in forms if isinstance(form, int)]
    known = np.concatenate([keys[status == 0], np.array(regular, np.uint64)])
    return counts_on(listed.lists, known, [form for form in forms if isinstance(form, bytes)])


# ---- Arrow ----


def types_of(pa: Any, names: Sequence[str] = DETAILS) -> list[Any]:
    """The types of these columns, of pyarrow."""
    return [pa.date32() if name in DAYS else pa.string() for name in names]


def array_of(pa: Any, column: Any) -> Any:
    """A column of `Screener.details` as an array of pyarrow, of text or dates; null for none."""
    if not isinstance(column, Words):
        return pa.array(column, pa.date32())
    codes = pa.array(column.codes, mask=column.codes < 0)
    return pa.array(column.words, pa.string()).take(codes)
