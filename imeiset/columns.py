"""Any column a user has, as rows of keys and statuses.

A *source* wraps one column. It is read forward in pieces of any size, so a caller can work in
buffers that stay in cache and never holds a second copy of the column. Which source serves which
column is decided in one place, `source`.
"""

import array
import mmap
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.ma as ma  # now: numpy would import it in a thread, and a fork meanwhile would wait for ever
from numpy.typing import NDArray

from imeiset import arrow as _arrow
from imeiset import irregular
from imeiset._native import parse as _parse
from imeiset._threads import in_threads, parts_for
from imeiset.errors import CheckDigit, ExtraMissing, ImeiError, ParseStatus
from imeiset.imei import Imei

Keys = NDArray[np.uint64]
Statuses = NDArray[np.uint8]

_ROWS = 1 << 14  # rows at a time: keys and statuses stay in cache
_ACCEPTED = (
    "a list or another iterable, a NumPy array of uint64, int64, S or U, an Arrow column, "
    "or bytes or an mmap of newline-separated numbers"
)


_AS_THEY_ARE = (str, bytes, bytearray, mmap.mmap, memoryview, array.array, _arrow.ArrowColumn, Mapping)


class Source(Protocol):
    """A column being read."""

    @property
    def expected(self) -> int:
        """How many rows are left: exactly, or for lines about."""

    def read(self, keys: Keys, status: Statuses) -> int:
        """Parse the next rows into both; returns how many, fewer than fit only at the end."""

    def value(self, row: int) -> object:
        """What stands in that row, for an error to show."""

    def latest(self, rows: NDArray[np.intp]) -> list[object]:
        """What stands in these rows of the ones read last, counted from the first of them."""


class _Rows:
    """A column whose rows are numbered: integers, fixed-width texts, objects."""

    def __init__(self, values: Any, digits: int, exact: bool) -> None:
        self._values = values
        self._digits = digits
        self._exact = exact
        self._first = self._next = 0

    @property
    def expected(self) -> int:
        return len(self._values) - self._next

    def value(self, row: int) -> object:
        return self._values[row]

    def latest(self, rows: NDArray[np.intp]) -> list[object]:
        return [self.value(row) for row in (rows + self._first).tolist()]

    def read(self, keys: Keys, status: Statuses) -> int:
        rows = self._read(keys, status)
        self._first = self._next
        self._next += rows
        return rows

    def _read(self, keys: Keys, status: Statuses) -> int:
        raise NotImplementedError


class _Integers(_Rows):
    def _read(self, keys: Keys, status: Statuses) -> int:
        return _parse.integers(self._values, self._digits, self._next, keys, status, self._exact)


class _Fixed(_Rows):
    def _read(self, keys: Keys, status: Statuses) -> int:
        return _parse.fixed(self._values, self._next, keys, status, self._exact)


class _Objects(_Rows):
    def _read(self, keys: Keys, status: Statuses) -> int:
        return _parse.objects(self._values, self._digits, self._next, keys, status, self._exact)


class _ArrowRows(_Rows):
    def _read(self, keys: Keys, status: Statuses) -> int:
        rows: int = self._values.read(self._next, self._digits, keys, status, self._exact)
        return rows

    def value(self, row: int) -> object:
        return self._values.value(row)


class _Lines:
    """Newline-separated numbers in one buffer."""

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
        keys, status = _buffers(1 << 16)
        while row > 0:  # skip that many
            n = min(row, len(keys))
            _, start = _parse.lines(self._text, start, keys[:n], status[:n])
            row -= n
        line = bytes(self._text[start : start + 256])
        return line.partition(b"\n")[0].removesuffix(b"\r")


def source(column: object, *, digits: int = 14, exact: bool = False) -> Source:
    """A source for any accepted column.

    digits: what integers are, 14-digit keys or (15) keys with their check digit. exact: rows without a
    check digit are not OK. Raises TypeError for a column that is not accepted, ValueError for an array that
    is not one-dimensional.
    """
    if digits not in (14, 15):
        raise ValueError(f"digits: expected 14 or 15, got {digits!r}")
    column = settled(column)
    if type(column) in (list, tuple):
        return _Objects(column, digits, exact)
    if isinstance(column, _arrow.ArrowColumn):
        return _ArrowRows(column, digits, exact)
    if hasattr(column, "__array__") and not isinstance(column, np.generic):
        return _array(np.asanyarray(column), digits, exact)
    if (text := _text(column)) is not None:
        return _Lines(text, exact)
    if isinstance(column, memoryview | array.array):
        return _array(np.asarray(column), digits, exact)
    alone = ": one IMEI has to be in a list" if isinstance(column, str | int | Imei) else ""
    raise TypeError(f"expected {_ACCEPTED}, got {type(column).__name__}{alone}")


def settled(column: object) -> object:
    """The column in a form that can be read again: the chunks of an Arrow column, which may be a stream, the
    items of an iterable as a list, others as they are.

    Without nanoarrow, a column that can make a NumPy array of itself does so, which is slower and warned of.
    """
    if type(column) in (list, tuple) or isinstance(column, np.ndarray):
        return column
    if _arrow.speaks(column):
        try:
            return _arrow.ArrowColumn.of(column)
        except ExtraMissing:
            if not hasattr(column, "__array__"):
                raise
            _arrow.warn_of_slowness()
            return column
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
    column = settled(column)
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
        raise TypeError(f"expected {_ACCEPTED}, got an array of {values.dtype}")
    if kind in "OT" or isinstance(values, ma.MaskedArray):
        return _Objects(values.tolist(), digits, exact)  # None where masked
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    return (_Fixed if kind in "SU" else _Integers)(values, digits, exact)


def ready_keys(column: object, *, digits: int = 14) -> Keys | None:
    """The column itself where it is an array of nothing but keys, as the kernels take it; None of another."""
    keys = likely_keys(column, digits=digits)
    return keys if keys is not None and _parse.all_keys(keys) else None


def likely_keys(column: object, *, digits: int = 14) -> Keys | None:
    """The column itself where it is an array of integers that may all be keys; None of another."""
    if type(column) is not np.ndarray or column.ndim != 1 or digits != 14:
        return None
    if column.dtype not in (np.uint64, np.int64) or not column.flags.c_contiguous:
        return None
    return column.view(np.uint64)


def _buffers(rows: int) -> tuple[Keys, Statuses]:
    return np.empty(rows, np.uint64), np.empty(rows, np.uint8)


def parse(column: object, *, digits: int = 14, check_digit: CheckDigit = "ignore") -> tuple[Keys, Statuses]:
    """Keys and statuses of a column. Never raises on content.

    Parameters
    ----------
    column
        A list or another iterable of str, bytes, `Imei` or keys; an array of uint64, int64, S or U; bytes or
        an mmap of newline-separated numbers, where a blank line is a row that is EMPTY; an Arrow column
        (string, binary, their large and view forms, dictionaries of those, int64, uint64; sliced, chunked,
        or the only column of a table), which is read in place. A null is MISSING.
    digits
        What integers are: 14, keys; or 15, keys with their check digit.
    check_digit
        Which 15th digits are well formed: "ignore" any, for it is not sent (3GPP TS 22.016); "spare" the
        right one or 0; "require" the right one. Texts of 14 and 16 digits have none and always pass.

    Returns
    -------
    keys : uint64[n]
        2**64 - 1, which is not a key, where the row is malformed.
    status : uint8[n]
        `ParseStatus`, 0 where the row is well formed.

    Raises
    ------
    TypeError, ValueError
        For a column of another kind, of two dimensions, or an Arrow column whose offsets lead outside its
        buffers.

    Notes
    -----
    Costs 2 to 4 ns for each row of text, 15 to 30 for each item of a list, and 9 bytes of memory. NumPy drops
    trailing NULs from S and U items, so a text that ends in NUL cannot be told from one that does not.

    Examples
    --------
    >>> import imeiset
    >>> keys, status = imeiset.parse(["49-015420-323751-8", "n/a"])
    >>> int(keys[0]), [imeiset.ParseStatus(code).name for code in status]
    (49015420323751, ['OK', 'NOT_DIGIT'])
    """
    rows = source(column, digits=digits)
    keys, status = _buffers(rows.expected)
    done = rows.read(keys, status)
    while done == len(keys) and (more := rows.expected):
        keys.resize(done + more, refcheck=False)
        status.resize(done + more, refcheck=False)
        done += rows.read(keys[done:], status[done:])
    keys.resize(done, refcheck=False)
    status.resize(done, refcheck=False)
    _parse.apply_policy(check_digit, keys, status)
    return keys, status


def are_valid(column: object, *, digits: int = 14) -> NDArray[np.bool_]:
    """Which rows of a column have exactly 15 digits, the last of them the check digit.

    What `is_valid` says of each text. Nulls and malformed rows are not valid, and no content raises.

    Parameters
    ----------
    column, digits
        As for `parse`. Integers have no check digit, unless with digits=15 they carry it.

    Returns
    -------
    bool[n]

    Notes
    -----
    Costs what `parse` costs.

    Examples
    --------
    >>> import imeiset
    >>> imeiset.are_valid(["490154203237518", "490154203237519", "n/a"]).tolist()
    [True, False, False]
    """
    rows = source(column, digits=digits, exact=True)
    keys, status = _buffers(_ROWS)
    found = [np.empty(0, np.bool_)]
    while n := rows.read(keys, status):
        found.append(status[:n] == ParseStatus.OK)
    return np.concatenate(found)


def tacs(column: object, *, digits: int = 14) -> NDArray[np.bytes_]:
    """The Type Allocation Codes of a column, the first 8 digits. No content raises.

    Parameters
    ----------
    column, digits
        As for `parse`.

    Returns
    -------
    S8[n]
        b'' where a row is malformed, which `imeiset.to_arrow` makes a null.

    Examples
    --------
    >>> import imeiset
    >>> imeiset.tacs(["490154203237518", "n/a"]).tolist()
    [b'49015420', b'']
    """
    return tac_texts(parse(column, digits=digits)[0])


def tac_texts(keys: Keys) -> NDArray[np.bytes_]:
    """The TACs of keys: S8[n], b'' for a number that is not one."""
    texts = np.empty((len(keys), 8), np.uint8)
    _parse.tacs(keys, texts)
    return texts.reshape(-1).view("S8")


def keys_of(column: object, *, digits: int = 14, check_digit: CheckDigit = "ignore") -> Keys:
    """The keys of a column, as `parse` gives them; raises ImeiError, with its position, for the first
    row that is malformed."""
    column = settled(column)
    keys, status = parse(column, digits=digits, check_digit=check_digit)
    if status.any():
        row = int(np.flatnonzero(status)[0])
        raise error_at(column, row, int(status[row]), digits=digits)
    return keys


def keys_and_irregular(
    column: object, *, digits: int = 14, check_digit: CheckDigit = "ignore"
) -> tuple[Keys, irregular.Identities]:
    """The keys of a column and its irregular identities, see `regularise`; otherwise as `keys_of`."""
    column = settled(column)
    rows = source(column, digits=digits)
    found, texts, done = [np.empty(0, np.uint64)], [irregular.NONE], 0
    while True:
        keys, status = _buffers(1 << 16)
        n = rows.read(keys, status)
        if not n:
            return np.concatenate(found), np.unique(np.concatenate(texts))
        if _parse.apply_policy(check_digit, keys[:n], status[:n]):
            places, kept = regularise(rows, keys[:n], status[:n])
            status[places] = ParseStatus.OK
            if status[:n].any():
                row = int(np.flatnonzero(status[:n])[0])
                raise error_at(column, done + row, int(status[row]), digits=digits)
            texts.append(kept)
            keys, n = np.delete(keys[:n], places), n - len(places)
            done += len(places)
        found.append(keys[:n])
        done += n


Kernel = Callable[[Keys, NDArray[Any]], object]
"""Answers keys: fills the second array, which is as long as the first."""


def ask(
    column: object,
    kernel: Kernel,
    dtype: type,
    *,
    threads: int | None = 1,
    malformed: int | None = None,
    digits: int = 14,
    listed: irregular.Identities | None = None,
) -> NDArray[Any]:
    """What a kernel answers of every row of a column, read once, in parts on several threads.

    malformed: the answer for malformed rows, or None to raise ImeiError for the first. digits: as for
    `parse`. listed: a table of irregular identities, whose rows are answered by whether they are in it,
    and are malformed where answers are positions.
    """
    column = settled(column)
    parts = [column] if threads == 1 else split(column, parts_for(threads))
    answers = in_threads(partial(_ask_part, kernel, dtype, malformed, digits, listed), parts)
    before = 0
    for answer, fault in answers:
        if fault:
            raise error_at(column, before + fault[0], fault[1], digits=digits)
        before += len(answer)
    return answers[0][0] if len(answers) == 1 else np.concatenate([answer for answer, _ in answers])


def _ask_part(
    kernel: Kernel,
    dtype: type,
    malformed: int | None,
    digits: int,
    listed: irregular.Identities | None,
    part: object,
) -> tuple[NDArray[Any], tuple[int, int] | None]:
    """The answers of a kernel; and the row and status of the first malformed row, if wanted."""
    if (ready := ready_keys(part, digits=digits)) is not None:
        answer: NDArray[Any] = np.empty(len(ready), dtype)
        kernel(ready, answer.view(np.uint8) if dtype is np.bool_ else answer)
        return answer, None
    rows = source(part, digits=digits)
    expected = rows.expected
    out: NDArray[Any] = np.empty(expected, dtype)
    room = min(_ROWS, expected + 1)  # one more than there are, so that one reading is enough
    keys, status = _buffers(room)
    done, n = 0, room
    while n == room and (n := rows.read(keys, status)):
        found, wrong = keys[:n], status[:n]
        malformed_here = _parse.apply_policy("ignore", found, wrong)
        if done + n > len(out):  # the number of lines was a guess
            out.resize(done + n + rows.expected, refcheck=False)
        answer = out[done : done + n]
        if malformed_here and listed is not None:
            places, texts = regularise(rows, found, wrong)
        kernel(found, answer.view(np.uint8) if dtype is np.bool_ else answer)
        if malformed_here:
            if listed is not None and dtype is not np.int64:
                answer[places] = irregular.listed(texts, listed)
                wrong[places] = ParseStatus.OK
            bad = np.flatnonzero(wrong)
            if bad.size:
                if malformed is None:
                    return out, (done + int(bad[0]), int(wrong[bad[0]]))
                answer[bad] = malformed
        done += n
    if done < len(out):
        out.resize(done, refcheck=False)
    return out, None


def regularise(rows: Source, keys: Keys, status: Statuses) -> tuple[NDArray[np.intp], irregular.Identities]:
    """Look again at the malformed ones of the rows read last, which may be texts of DIRBS.

    Those that begin with 14 digits get their key and become OK. Returns the places of irregular
    identities, whose status is left, and their normal forms. A check digit that was refused stays so.
    """
    bad = np.flatnonzero((status != ParseStatus.OK) & (status < ParseStatus.CHECK_DIGIT))
    places, texts = [], []
    for at, value in zip(bad.tolist(), rows.latest(bad), strict=True):
        form = irregular.normalised(value)
        if isinstance(form, int):
            keys[at], status[at] = form, ParseStatus.OK
        elif form is not None:
            places.append(at)
            texts.append(form)
    return np.array(places, np.intp), np.array(texts, irregular.NONE.dtype)


def values(column: object, *, digits: int = 14) -> Callable[[int], object]:
    """What stands in a row of a settled column, for some rows of it."""
    rows = source(column, digits=digits)
    if isinstance(rows, _Lines):  # one after the other they cost as much as all lines
        lines = bytes(_text(column) or b"").split(b"\n")
        return lambda row: lines[row].removesuffix(b"\r")
    return rows.value


def error_at(column: object, row: int, status: int, *, digits: int = 14) -> ImeiError:
    """The error for a malformed row of a column."""
    return ImeiError(ParseStatus(status), source(column, digits=digits).value(row), position=row)
