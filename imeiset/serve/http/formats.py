"""The forms of a request and of its answer: JSON, lines of text, Arrow."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from imeiset._native.codes import joined
from imeiset.arrow import text_buffers
from imeiset.errors import mask_text
from imeiset.register import Words
from imeiset.serve.http import arrow_form, ipc
from imeiset.serve.http.checks import (
    DAYS,
    ERROR,
    ERRORS,
    STATUSES,
    TEXTS,
    Refused,
    RequestRows,
    RowAnswers,
    expect_rows,
)

_COMMA, _NEWLINE, _BLANK = b",\n "
_BOM = b"\xef\xbb\xbf"
_LONGEST = 64  # characters of a line that is looked at as all others
_MOST = 1 << 62  # what numbers of rows with the same details stay below


def _malformed(detail: str) -> NoReturn:
    raise Refused("malformed_body", detail)


class Form(NamedTuple):
    """How a body is read as rows, of which it may have at most so many, and how answers are written."""

    read: Callable[[bytes, int], RequestRows]
    write: Callable[[RowAnswers], bytes]
    write_details: Callable[[RowAnswers], bytes]


# ---- texts of rows, put together ----


class Fragments:
    """A text for each code of an answer. of: makes it of a key, "status" or "error", and a word."""

    def __init__(self, of: Callable[[str, str], str]) -> None:
        texts = [of("status", word) for word in STATUSES]
        texts += [of("error", ERRORS[code]) if code in ERRORS else "" for code in range(ERROR, 256)]
        self._texts = text_buffers(texts)

    def joined(self, codes: NDArray[np.uint8]) -> bytes:
        """The texts of all rows, one after another."""
        return joined(len(codes), [(*self._texts, codes.astype(np.int32))])


def _combined(answers: RowAnswers, text: Callable[[dict[str, Any]], str]) -> bytes:
    """The texts of all rows with details. Rows with the same details share one text, which is made once."""
    found = answers.details()
    numbers, most = answers.codes.astype(np.int64), 256
    for name in (*TEXTS, *DAYS):
        codes, count = _numbered(found[name])
        if most * count >= _MOST:
            used, numbers = np.unique(numbers, return_inverse=True)
            most = len(used)
        numbers, most = numbers * count + codes, most * count
    _, rows, numbers = np.unique(numbers, return_index=True, return_inverse=True)
    texts = text_buffers(text(_row(answers, found, row)) for row in rows.tolist())
    return joined(len(numbers), [(*texts, numbers.astype(np.int32))])


def _numbered(column: Any) -> tuple[NDArray[Any], int]:
    """A column of details as numbers, equal for equal details, and how many numbers there are."""
    if isinstance(column, Words):
        return column.codes + 1, len(column.words) + 1
    if np.isnat(column).all():
        return np.zeros(len(column), np.int64), 1
    days, numbers = np.unique(column.view(np.int64), return_inverse=True)
    return numbers, len(days)


def _row(answers: RowAnswers, found: Mapping[str, Any], row: int) -> dict[str, Any]:
    code = int(answers.codes[row])
    if code >= ERROR:
        return {"error": ERRORS[code]}
    reasons = found["reasons"][row]
    dates = {name: found[name][row].item() for name in DAYS}
    return {
        "status": STATUSES[code],
        "list": found["list"][row],
        "rule": found["rule"][row],
        "reasons": reasons.split("|") if reasons else [],
        **{name: date and date.isoformat() for name, date in dates.items()},
    }


# ---- JSON ----


_IMEI = "imeis[{}]".format


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        _malformed("expected each member of the JSON object once, got one twice")
    return found


class _Number:
    """Takes the place of a number in JSON, which is not a text. Its digits are not read."""

    def __init__(self, _: str) -> None:
        pass


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_Number, parse_float=_Number, parse_constant=_Number
)
_NAMES: dict[type, str] = {
    _Number: "a number, which may have lost zeros, or may not be an IMEI with its check digit",
    dict: "an object",
    list: "an array",
    bool: "true or false",
    str: "a string",
    type(None): "null",
}
_BEGIN = re.compile(
    rb'[ \t\n\r]*\{[ \t\n\r]*"imeis"[ \t\n\r]*:[ \t\n\r]*\[[ \t\n\r]*"([^"\\]{14,16})(", ?"|)'
)
_END = re.compile(rb'"[ \t\n\r]*\][ \t\n\r]*\}[ \t\n\r]*')


def plain_imeis(body: bytes) -> RequestRows | None:
    """The IMEIs of a JSON object that has nothing but these; None of a body that has to be read as JSON is.

    Where all of them are equally long, and the separators too, each is where it is expected to be: looking
    there takes a tenth of the time of searching. What is well-formed there has no quotes in it.
    """
    begin, end = _BEGIN.match(body), body.rfind(b'"')
    if begin is None or not _END.fullmatch(body, end):
        return None
    at = slice(begin.start(1), end)
    if np.frombuffer(body, np.uint8)[at].min() < _BLANK:  # JSON has no such characters
        return None
    rows, left = divmod(at.stop - at.start + len(begin[2]), len(begin[1] + begin[2]))
    if left or (rows > 1 and not begin[2]):  # nothing between: one text that is long
        return None
    return _regular(body, at.start, rows, begin[1], begin[2], _IMEI)


def _regular(
    body: bytes, start: int, rows: int, first: bytes, between: bytes, named: Callable[[int], str]
) -> RequestRows | None:
    """Rows that are all as long as the first, with the same bytes between two of them. None if they are not
    so, or if a row is not an IMEI."""
    step = len(first + between)
    for at, byte in enumerate(between, start + len(first)):
        if rows > 1 and (np.ndarray(rows - 1, np.uint8, body, at, (step,)) != byte).any():
            return None
    asked = RequestRows.of(np.ndarray(rows, f"S{len(first)}", body, start, (step,)), None, named)
    return None if asked.status.any() else asked


def _read_json(body: bytes, limit: int) -> RequestRows:
    if (plain := plain_imeis(body)) is not None:
        expect_rows(len(plain.keys), limit)
        return plain
    if len(body) > 2 * limit and (commas := body.count(b",")) > 2 * limit + 2:
        expect_rows(commas // 2, limit, guessed=True)  # before memory is taken for all of them
    try:
        given = _DECODER.decode(body.removeprefix(_BOM).decode())
    except UnicodeDecodeError as error:
        _malformed(f"expected JSON in UTF-8, got other bytes at {error.start}")
    except json.JSONDecodeError as error:
        _malformed(f"expected JSON, got something else at character {error.pos}")
    except RecursionError:
        _malformed("expected a JSON object of two arrays, got deeper ones")
    if not isinstance(given, dict):
        _malformed(f"expected a JSON object with the member imeis, got {_NAMES[type(given)]}")
    if unknown := given.keys() - {"imeis", "imsis"}:
        _malformed(f"expected the members imeis and imsis, got {mask_text(min(unknown))!r}")
    if "imeis" not in given:
        _malformed("expected the member imeis, an array of strings, got none")
    imeis, imsis = _column("imeis", given["imeis"], limit), None
    if given.get("imsis") is not None:
        imsis = _column("imsis", given["imsis"], limit)
        if len(imsis) != len(imeis):
            _malformed(f"imsis: expected {len(imeis)}, one for each IMEI, got {len(imsis)}")
    return RequestRows.of(imeis, imsis, _IMEI)


def _column(name: str, values: object, limit: int) -> list[Any]:
    if not isinstance(values, list):
        _malformed(f"{name}: expected an array of strings, got {_NAMES[type(values)]}")
    expect_rows(len(values), limit)
    if {*map(type, values)} - {str, type(None)}:
        row = next(row for row, value in enumerate(values) if not isinstance(value, str | None))
        _malformed(f"{name}[{row}]: expected a string or null, got {_NAMES[type(values[row])]}")
    return values


_OBJECTS = Fragments(',{{"{}":"{}"}}'.format)


def _write_json(answers: RowAnswers) -> bytes:
    return _results(_OBJECTS.joined(answers.codes))


def _write_json_details(answers: RowAnswers) -> bytes:
    return _results(_combined(answers, lambda row: "," + json.dumps(row, separators=(",", ":"))))


def _results(rows: bytes) -> bytes:
    return b"".join([b'{"results":[', memoryview(rows)[1:], b"]}"])  # without the first comma


# ---- lines of text ----


def _line(row: int) -> str:
    return f"line {row + 1}"


def count_lines(text: bytes) -> int:
    """How many lines there are, the last with or without an end."""
    ends = int(np.count_nonzero(np.frombuffer(text, np.uint8) == _NEWLINE))
    return ends + (text != b"" and not text.endswith(b"\n"))


def _read_lines(body: bytes, limit: int) -> RequestRows:
    body = body.removeprefix(_BOM)
    rows = count_lines(body)
    expect_rows(rows, limit)
    if b"," not in body:
        first = body[:_LONGEST].partition(b"\n")[0]
        is_regular = first and rows * (len(first) + 1) - len(body) in (0, 1)  # and no other newlines then
        if is_regular and b"\0" not in body:  # NumPy would take it for the end of a text
            regular = _regular(body, 0, rows, first, b"\n", _line)
            if regular is not None:
                return regular
        return RequestRows.of(body, None, _line)
    body = body.removesuffix(b"\n")
    marks = np.frombuffer(body, np.uint8)
    marks = marks[(marks == _COMMA) | (marks == _NEWLINE)]
    if len(marks) % 2 and (marks[::2] == _COMMA).all() and (marks[1::2] == _NEWLINE).all():
        fields = body.replace(b",", b"\n").split(b"\n")  # two in each line
        return RequestRows.of(fields[::2], fields[1::2], _line)
    imeis, imsis = [], []
    for row, line in enumerate(body.split(b"\n")):
        imei, _, imsi = line.partition(b",")
        if b"," in imsi:
            _malformed(f"{_line(row)}: expected an IMEI, or an IMEI, a comma and an IMSI, got more commas")
        imeis.append(imei)
        imsis.append(imsi)
    return RequestRows.of(imeis, imsis, _line)


_LINES = Fragments(lambda key, word: f"{word}\n" if key == "status" else f"error:{word}\n")
_QUOTED = ',"\n\r'


def _write_lines(answers: RowAnswers) -> bytes:
    return _LINES.joined(answers.codes)


def _write_lines_details(answers: RowAnswers) -> bytes:
    return _combined(answers, _line_of)


def _line_of(row: dict[str, Any]) -> str:
    if "error" in row:
        return f"error:{row['error']},,,,,\n"
    fields = {**row, "reasons": "|".join(row["reasons"])}
    return ",".join(_field(value or "") for value in fields.values()) + "\n"


def _field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in _QUOTED) else text


FORMS: dict[str, Form] = {
    "application/json": Form(_read_json, _write_json, _write_json_details),
    "text/plain": Form(_read_lines, _write_lines, _write_lines_details),
    ipc.KIND: Form(arrow_form.read, arrow_form.write, arrow_form.write_details),
}
