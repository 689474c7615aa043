"""What lists say of records, as columns of Arrow beside them."""

from collections.abc import Sequence
from typing import Any

from ..register import Words

DETAILS = ("list", "rule", "reasons", "date", "until")
DAYS = DETAILS[3:]  # those that are dates


def types_of(pa: Any, names: Sequence[str] = DETAILS) -> list[Any]:
    """The types of these columns, of pyarrow."""
    return [pa.date32() if name in DAYS else pa.string() for name in names]


def array_of(pa: Any, column: Any) -> Any:
    """A column of `Screener.details` as an array of pyarrow, of text or dates; null for none."""
    if not isinstance(column, Words):
        return pa.array(column, pa.date32())
    codes = pa.array(column.codes, mask=column.codes < 0)
    return pa.array(column.words, pa.string()).take(codes)
