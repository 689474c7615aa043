"""Any column a user has, read forward as rows of keys and statuses.

A *source* wraps one column. It is read in pieces of any size, so a caller can work in buffers that stay in
cache and never holds a second copy of the column. Which source serves which column is decided in one
place, `source`.
"""

import array
import mmap
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.ma as ma  # now: numpy would import it in a thread, and a fork meanwhile would wait for ever
from numpy.typing import NDArray

from imeiset import arrow as _arrow
from imeiset._native import parse as _parse
from imeiset.errors import OF_FLOATS, ExtraMissing, ImeiError, ParseStatus
from imeiset.imei import Imei

Keys = NDArray[np.uint64]
Statuses = NDArray[np.uint8]

_ACCEPTED = (
    "a list or another iterable, a NumPy array of uint64, int64, S or U, an Arrow column, "
    "or bytes or an mmap of newline-separated numbers"
)


_LISTS = (list, tuple)
_AS_THEY_ARE = (str, bytes, bytearray, mmap.mmap, memoryview, array.array, _arrow.ArrowColumn, Mapping)


class _Rows:
    """A column whose rows are numbered: integers, fixed-width texts, objects, those of Arrow."""

    def __init__(self, values: Any, parse: Callable[[int, Keys, Statuses, bool], int], exact: bool) -> None:
        self._values, self._parse, self._exact = values, parse, exact
        self._first = self._next = 0

    @property
    def expected(self) -> int:
        """How many rows are left: exactly, or for lines about."""
        return len(self._values) - self._next

    def value(self, row: int) -> object:
        """What stands in that row, for an error to show."""
        return self._values[row]

    def latest(self, rows: NDArray[np.intp]) -> list[object]:
        """What stands in these rows of the ones read last, counted from the first of them."""
        return [self.value(row) for row in (rows + self._first).tolist()]

    def read(self, keys: Keys, status: Statuses) -> int:
        """Parse the next rows into both; returns how many, fewer than fit only at the end."""
        rows = self._parse(self._next, keys, status, self._exact)
        self._first = self._next
        self._next += rows
        return rows


class _Lines:
    """Newline-separated numbers in one buffer, read like `_Rows`."""

    _SAMPLE = 1 << 16

    def __init__(self, text: memoryview, exact: bool) -> None:
        self._text = text
        self._exact = exact
        self._first = self._next = 0

    @property
    def expected(self) -> int:
        left = len(self._text) - self._next
        sample = self._text[self._next : self._next + self._SAMPLE]
        lines = bytes(sample).count(b"\n")
        return left * lines // max(len(sample), 1) + lines // 8 + 1

    def read(self, keys: Keys, status: Statuses) -> int:
        self._first = self._next
        rows, self._next = _parse.lines(self._text, self._next, keys, status, exact=self._exact)
        return rows

    def latest(self, rows: NDArray[np.intp]) -> list[object]:
        lines = bytes(self._text[self._first : self._next]).split(b"\n")
        return [lines[row].removesuffix(b"\r") for row in rows.tolist()]

    def value(self, row: int) -> object:
        start = 0
        keys, status = buffers(1 << 16)
        while row > 0:  # skip that many
            n = min(row, len(keys))
            _, start = _parse.lines(self._text, start, keys[:n], status[:n])
            row -= n
        line = bytes(self._text[start : start + 256])
        return line.partition(b"\n")[0].removesuffix(b"\r")


Source = _Rows | _Lines


def source(column: Any, *, digits: int = 14, exact: bool = False) -> Source:
    """A source for any accepted column.

    digits: what integers are, 14-digit keys or (15) keys with their check digit. exact: rows without a
    check digit are NO_CHECK_DIGIT. Raises TypeError for a column that is not accepted, ValueError for an
    array that is not one-dimensional.
    """
    if digits not in (14, 15):
        raise ValueError(f"digits: expected 14 or 15, got {digits!r}")
    if type(column) not in _LISTS:
        column = materialized(column)
    if type(column) in _LISTS:
        return _Rows(column, partial(_parse.objects, column, digits), exact)
    if isinstance(column, _arrow.ArrowColumn):
        return _Rows(column, partial(column.read, digits), exact)
    if hasattr(column, "__array__") and not isinstance(column, np.generic):
        return _array(np.asanyarray(column), digits, exact)
    if (text := _text(column)) is not None:
        return _Lines(text, exact)
    if isinstance(column, memoryview | array.array):
        return _array(np.asarray(column), digits, exact)
    alone = ": one IMEI has to be in a list" if isinstance(column, str | int | Imei) else ""
    raise TypeError(f"expected {_ACCEPTED}, got {type(column).__name__}{alone}")


def materialized(column: object) -> object:
    """The column in a form that can be read again: the chunks of an Arrow column, which may be a stream, the
    items of an iterable as a list, others as they are.

    Without nanoarrow, a column that can make a list or a NumPy array of itself does so, which is slower and
    warned of.
    """
    if type(column) in _LISTS or isinstance(column, np.ndarray):
        return column
    if _arrow.speaks(column):
        try:
            return _arrow.ArrowColumn.of(column)
        except ExtraMissing:
            if not hasattr(column, "__array__"):
                raise
            _arrow.warn_of_slowness()
            kind = getattr(column, "type", None)  # as `_arrow` has it: periods of pandas are not keys
            if str(getattr(kind, "storage_type", "")) in _arrow.INTEGERS:
                raise TypeError(f"expected {_arrow.ACCEPTED}, got one of {kind}") from None
            # pyarrow's own arrays of dictionaries in chunks have another value where one is missing.
            return column.to_pylist() if hasattr(column, "to_pylist") else column
    if isinstance(column, _AS_THEY_ARE) or hasattr(column, "__array__") or not isinstance(column, Iterable):
        return column
    return [*column]  # of a list that is not one too: a subclass may say anything of its length


def _text(column: object) -> memoryview | None:
    """The bytes of a column of lines, without a copy; None for another column."""
    if isinstance(column, bytes | bytearray | mmap.mmap | memoryview | array.array):
        view = memoryview(column)
        if view.format in ("B", "b", "c") and view.c_contiguous:
            return view.cast("B")
    return None


def split(column: object, parts: int) -> list[Any]:
    """At most `parts` columns that one after another are this one; nothing is copied.

    For threads, so lists stay whole: reading their items holds the interpreter.
    """
    column = materialized(column)
    if isinstance(column, _arrow.ArrowColumn):
        return column.split(parts)
    if hasattr(column, "__array__") and not isinstance(column, np.generic):
        values = np.asanyarray(column)
        if values.ndim == 1 and values.dtype.kind in "SUiu":
            edges = [len(values) * part // parts for part in range(parts + 1)]
            return [values[start:end] for start, end in pairwise(edges)]
    if (text := _text(column)) is not None:
        edges = [0, *(_after_newline(text, len(text) * part // parts) for part in range(1, parts)), len(text)]
        return [text[start:end] for start, end in pairwise(edges)]
    return [column]


def _after_newline(text: memoryview, start: int) -> int:
    """The first byte of a line at or after `start`, or the end of the text."""
    for at in range(max(start - 1, 0), len(text), 1 << 12):
        if (found := bytes(text[at : at + (1 << 12)]).find(b"\n")) >= 0:
            return at + found + 1
    return len(text)


def _array(values: NDArray[Any], digits: int, exact: bool) -> Source:
    if values.ndim != 1:
        raise ValueError(f"expected an array of one dimension, got {values.ndim}")
    kind = values.dtype.kind
    if not (kind in "SUOT" or (kind in "iu" and values.dtype.itemsize == 8)):
        hint = OF_FLOATS if kind == "f" else ""
        raise TypeError(f"expected {_ACCEPTED}, got an array of {values.dtype}{hint}")
    if kind in "OT" or isinstance(values, ma.MaskedArray):
        items = values.tolist()  # None where masked
        return _Rows(items, partial(_parse.objects, items, digits), exact)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if kind in "iu":
        values = np.require(values, requirements="A")  # in a record or a buffer they may stand at any byte
    parse = partial(_parse.fixed, values) if kind in "SU" else partial(_parse.integers, values, digits)
    return _Rows(values, parse, exact)


def buffers(rows: int) -> tuple[Keys, Statuses]:
    """Room for the keys and statuses of so many rows."""
    return np.empty(rows, np.uint64), np.empty(rows, np.uint8)


def values(column: object, *, digits: int = 14) -> Callable[[int], object]:
    """What stands in a row of a column that `materialized` gave, for some rows of it."""
    rows = source(column, digits=digits)
    if isinstance(rows, _Lines):  # one after the other they cost as much as all lines
        lines = bytes(_text(column) or b"").split(b"\n")
        return lambda row: lines[row].removesuffix(b"\r")
    return rows.value


def error_at(column: object, row: int, status: int, *, digits: int = 14) -> ImeiError:
    """The error for a malformed row of a column."""
    return ImeiError(ParseStatus(status), source(column, digits=digits).value(row), position=row)
