"""Columns as keys and statuses; and what a kernel answers of every row of one."""

import sys
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imeiset import irregular
from imeiset._native import parse as _parse
from imeiset._threads import in_threads, parts_for
from imeiset.errors import CheckDigit, ImeiWarning, ParseStatus, expect_ordered, mask_imsi
from imeiset.readers import Keys, Statuses, buffers, error_at, materialized, source, split, values

_INTEGERS = np.dtype(np.uint64), np.dtype(np.int64)
_ROWS = 1 << 14  # rows at a time: keys and statuses stay in cache
AMBIGUOUS = (ParseStatus.FIFTEEN_DIGITS, ParseStatus.OUT_OF_RANGE, ParseStatus.WRONG_TYPE)
"""The statuses that are an error whatever malformed rows count as: a number that is not a key may be a phone
all the same. A negative one, which often stands for a missing value, cannot."""
_ENOUGH = 100  # rows of a column that most being malformed says something of


def ready_keys(column: object, *, digits: int = 14) -> Keys | None:
    """The column itself where it is an array of nothing but keys, as the kernels take it; None of another."""
    keys = likely_keys(column, digits=digits)
    return keys if keys is not None and _parse.all_keys(keys) else None


def likely_keys(column: object, *, digits: int = 14) -> Keys | None:
    """The column itself where it is an array of integers that may all be keys; None of another."""
    if type(column) is not np.ndarray or column.ndim != 1 or digits != 14:
        return None
    flags = column.flags
    if column.dtype not in _INTEGERS or not (flags.c_contiguous and flags.aligned):
        return None
    return column.view(np.uint64)


def parse(column: object, *, digits: int = 14, check_digit: CheckDigit = "ignore") -> tuple[Keys, Statuses]:
    """Keys and statuses of a column. Never raises on content.

    Parameters
    ----------
    column
        A list or another iterable of str, bytes, `Imei` or keys; an array of uint64, int64, S or U; bytes or
        an mmap of newline-separated numbers, where a blank line is a row that is EMPTY; an Arrow column
        (string, binary, their large and view forms, dictionaries of those, int64, uint64; sliced, chunked,
        or the only column of a table), which is read in place. A null is MISSING. `Imei` has the forms that
        a text may have.
    digits
        What integers are: 14, keys; or 15, keys with their check digit.
    check_digit
        Which 15th digits are well formed: "ignore" any, for it is not sent (3GPP TS 22.016); "spare" the
        right one or 0; "require" the right one. Numbers of 14 and 16 digits have none: they pass, unless one
        is required.

    Returns
    -------
    keys : uint64[n]
        2**64 - 1, which is not a key, where the row is malformed. Another column has such a row as MISSING.
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
    rows = source(column, digits=digits, exact=check_digit != "ignore")
    keys, status = buffers(rows.expected)
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
    keys, status = buffers(_ROWS)
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


def unambiguous(
    column: object, *, digits: int = 14, check_digit: CheckDigit = "ignore"
) -> tuple[Keys, Statuses]:
    """As `parse`; raises ImeiError, with its position, for the first row that is AMBIGUOUS."""
    column = materialized(column)
    keys, status = parse(column, digits=digits, check_digit=check_digit)
    if status.any() and (refused := np.flatnonzero(np.isin(status, AMBIGUOUS))).size:
        row = int(refused[0])
        raise error_at(column, row, int(status[row]), digits=digits)
    return keys, status


def keys_of(column: object, *, digits: int = 14, check_digit: CheckDigit = "ignore") -> Keys:
    """The keys of a column, as `parse` gives them; raises ImeiError, with its position, for the first
    row that is malformed."""
    column = materialized(column)
    keys, status = parse(column, digits=digits, check_digit=check_digit)
    _expect_good(column, status, digits)
    return keys


def ends_of(lows: object, highs: object, *, digits: int = 14) -> tuple[Keys, Keys]:
    """The keys of two columns that go together: the first and the last of ranges."""
    expect_ordered("lows", lows)
    expect_ordered("highs", highs)
    low, high = keys_of(lows, digits=digits), keys_of(highs, digits=digits)
    if len(low) != len(high):
        raise ValueError(f"expected as many highs as lows, got {len(low)} lows and {len(high)} highs")
    return low, high


def keys_and_irregular(
    column: object, *, digits: int = 14, check_digit: CheckDigit = "ignore"
) -> tuple[Keys, irregular.Identities]:
    """The keys of a column and its irregular identities, see `regularise`; otherwise as `keys_of`."""
    column = materialized(column)
    keys, status = parse(column, digits=digits, check_digit=check_digit)
    if not status.any():
        return keys, irregular.NONE
    value = values(column, digits=digits)
    keyed = check_digit != "require"
    places, texts = regularise(lambda rows: map(value, rows.tolist()), keys, status, keyed=keyed)
    status[places] = ParseStatus.OK
    _expect_good(column, status, digits)
    return np.delete(keys, places), np.unique(texts)


def _expect_good(column: object, status: Statuses, digits: int) -> None:
    if status.any():
        row = int(np.flatnonzero(status)[0])
        raise error_at(column, row, int(status[row]), digits=digits)


Kernel = Callable[[Keys, NDArray[Any]], object]
"""Answers keys: fills the second array, which is as long as the first."""
_Row = tuple[int, int]  # of a column, and its status


def ask(
    column: object,
    kernel: Kernel,
    dtype: Any,
    *,
    threads: int | None = 1,
    malformed: int | None = None,
    digits: int = 14,
    listed: irregular.Identities | None = None,
    strict: bool = True,
) -> NDArray[Any]:
    """What a kernel answers of every row of a column, read once, in parts on several threads.

    malformed: the answer for malformed rows, or None to raise ImeiError for the first. strict: raise for the
    first AMBIGUOUS row, whatever is the answer for malformed rows, and warn where most rows are malformed;
    False where the caller does both. digits: as for `parse`. listed: a table of irregular
    identities, whose rows are answered by whether they are in it; they are malformed where answers are
    positions.
    """
    column = materialized(column)
    if threads == 1:
        answers = [_ask_part(kernel, dtype, malformed, digits, listed, strict, column)]
    else:
        work = partial(_ask_part, kernel, dtype, malformed, digits, listed, strict)
        answers = in_threads(work, split(column, parts_for(threads)))
    before = malformed_rows = 0
    first: _Row | None = None
    for answer, wrong, row, refused in answers:
        if row is not None:
            row = before + row[0], row[1]
            if refused:
                raise error_at(column, *row, digits=digits)
            malformed_rows += wrong
            first = first or row
        before += len(answer)
    if first and strict:
        warn_of_malformed(column, before, malformed_rows, *first, digits=digits)
    return answers[0][0] if len(answers) == 1 else np.concatenate([part[0] for part in answers])


def warn_of_malformed(
    column: object, rows: int, malformed: int, first: int, status: int, *, digits: int = 14
) -> None:
    """Issue an ImeiWarning if more than half of the rows of a column, at least 100, are malformed. first,
    status: those of the first malformed row."""
    if _are_most(malformed, rows):
        error = error_at(column, first, status, digits=digits)
        shown = f"row {first}: '{error.got}' ({error.status.text})"
        _warn(f"{malformed:,} of {rows:,} rows are not IMEIs; the first is {shown}")


def warn_of_imsis(rows: int, unread: int, first: int, imsi: object) -> None:
    """The same of IMSIs that count as not given, so that no pair holds: where a policy says what malformed
    input gets, they are not an error."""
    if _are_most(unread, rows):
        shown = f"the first is row {first}: '{mask_imsi(imsi)}'"
        _warn(f"{unread:,} of {rows:,} IMSIs cannot be read, and count as not given; {shown}")


def _are_most(wrong: int, rows: int) -> bool:
    return rows >= _ENOUGH and 2 * wrong > rows


def _warn(message: str) -> None:
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("imeiset."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, ImeiWarning, stacklevel=level)  # in the line that called the library


def _ask_part(
    kernel: Kernel,
    dtype: Any,
    malformed: int | None,
    digits: int,
    listed: irregular.Identities | None,
    strict: bool,
    part: object,
) -> tuple[NDArray[Any], int, _Row | None, bool]:
    """The answers of a kernel; how many rows are malformed, the first of them, and whether it is refused."""
    if (ready := ready_keys(part, digits=digits)) is not None:
        answer: NDArray[Any] = np.empty(len(ready), dtype)
        kernel(ready, answer.view(np.uint8) if dtype is np.bool_ else answer)
        return answer, 0, None, False
    rows = source(part, digits=digits)
    expected = rows.expected
    out: NDArray[Any] = np.empty(expected, dtype)
    room = min(_ROWS, expected + 1)  # one more than there are, so that one reading is enough
    keys, status = buffers(room)
    done, n = 0, room
    malformed_rows, first = 0, None
    while n == room and (n := rows.read(keys, status)):
        found, wrong = keys[:n], status[:n]
        malformed_here = _parse.apply_policy("ignore", found, wrong)
        if done + n > len(out):  # the number of lines was a guess
            out.resize(done + n + rows.expected, refcheck=False)
        answer = out[done : done + n]
        if malformed_here and listed is not None:
            places, texts = regularise(rows.latest, found, wrong)
        kernel(found, answer.view(np.uint8) if dtype is np.bool_ else answer)
        if malformed_here:
            if listed is not None and dtype is not np.int64:
                answer[places] = irregular.listed(texts, listed)
                wrong[places] = ParseStatus.OK
            bad = np.flatnonzero(wrong)
            if bad.size:
                refused = bad
                if malformed is not None:
                    refused = bad[np.isin(wrong[bad], AMBIGUOUS)] if strict else bad[:0]
                if refused.size:
                    return out, 0, (done + int(refused[0]), int(wrong[refused[0]])), True
                answer[bad] = malformed
                malformed_rows += bad.size
                first = first or (done + int(bad[0]), int(wrong[bad[0]]))
        done += n
    if done < len(out):
        out.resize(done, refcheck=False)
    return out, malformed_rows, first, False


def regularise(
    values_of: Callable[[NDArray[np.intp]], Iterable[object]],
    keys: Keys,
    status: Statuses,
    *,
    keyed: bool = True,
) -> tuple[NDArray[np.intp], irregular.Identities]:
    """Look again at the rows that are malformed, which may be texts of DIRBS, by what stands in them.

    Those that begin with 14 digits get their key and become OK if `keyed`, which they are not where a check
    digit is required. Returns the places of irregular identities, whose status is left, and their normal
    forms. A check digit that was refused stays so.
    """
    bad = irregular.candidates(status)
    places, texts = [], []
    for at, value in zip(bad.tolist(), values_of(bad), strict=True):
        form = irregular.normalised(value)
        if isinstance(form, int):
            if keyed:
                keys[at], status[at] = form, ParseStatus.OK
        elif form is not None:
            places.append(at)
            texts.append(form)
    return np.array(places, np.intp), np.array(texts, irregular.NONE.dtype)
