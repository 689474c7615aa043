"""The forms of a request and of its answer: JSON, lines of text, Arrow."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from imeiset.errors import ParseStatus, mask_text
from imeiset.register import EquipmentStatus
from imeiset.serve.asking import BAD_SUBSCRIBER, DAYS, ERROR, TEXTS, Answers, Asked

_BOM = b"\xef\xbb\xbf"
STATUSES = tuple(status.name.lower() for status in EquipmentStatus)
ERRORS = {ERROR + status: status.name.lower() for status in ParseStatus if status} | {BAD_SUBSCRIBER: "imsi"}


class Refused(Exception):
    """A request that is not answered. cause: a word of `imeiset.serve.bulk.CAUSES`; more: members of the
    problem details."""

    def __init__(self, cause: str, detail: str, **more: Any) -> None:
        super().__init__(cause, detail)
        self.cause, self.detail, self.more = cause, detail, more


def _malformed(detail: str) -> NoReturn:
    raise Refused("malformed_body", detail)


def expect_rows(count: int, limit: int) -> None:
    """Refuse more rows than a request may have."""
    if count > limit:
        detail = f"expected at most {limit:,} rows, got {count:,}: send them in several requests"
        raise Refused("too_many_rows", detail, limit=limit)


class Form(NamedTuple):
    """How rows are read and answers written. read: of a body, and the most rows."""

    read: Callable[[bytes, int], Asked]
    write: Callable[[Answers], bytes]
    write_details: Callable[[Answers], bytes]


# ---- text of one row, put together ----


class Fragments:
    """The bytes that each answer has, joined four rows at a time: of four statuses there are 256."""

    def __init__(self, of: Callable[[str, str], str]) -> None:
        """of: the text of an answer, by its key and its word."""
        texts = [of("status", word).encode() for word in STATUSES]
        self._one = np.full(256, b"", object)
        self._one[:ERROR] = texts
        for code, word in ERRORS.items():
            self._one[code] = of("error", word).encode()
        self._four = np.empty(256, object)
        for four in range(256):
            self._four[four] = b"".join(texts[four >> shift & 3] for shift in (0, 2, 4, 6))

    def joined(self, codes: NDArray[np.uint8]) -> bytes:
        """The fragments of all rows, one after another."""
        whole = len(codes) // 4 * 4
        if len(codes) < 8 or codes.max() >= ERROR:
            return b"".join(self._one[codes].tolist())
        fours = codes[:whole].view("<u4")
        packed = (fours | fours >> 6 | fours >> 12 | fours >> 18) & 0xFF
        return b"".join(self._four[packed].tolist() + self._one[codes[whole:]].tolist())


def _combined(answers: Answers, text: Callable[[dict[str, Any]], str]) -> bytes:
    """The texts of all rows with details, each made once of rows that have the same."""
    found, numbers = answers.details(), answers.codes.astype(np.int64)
    for name in (*TEXTS, *DAYS):
        column = found[name]
        codes = column.codes if name in TEXTS else np.unique(column.view(np.int64), return_inverse=True)[1]
        numbers = np.unique(numbers * (len(codes) + 2) + codes + 1, return_inverse=True)[1]
    rows = np.unique(numbers, return_index=True)[1]
    texts = np.empty(len(rows), object)
    for at, row in enumerate(rows.tolist()):
        texts[at] = text(_row(answers, found, row)).encode()
    return b"".join(texts[numbers].tolist())


def _row(answers: Answers, found: Mapping[str, Any], row: int) -> dict[str, Any]:
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


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        _malformed("expected each member of the JSON object once, got one twice")
    return found


def _no_number(what: str) -> Callable[[str], NoReturn]:
    def refuse(_: str) -> NoReturn:
        _malformed(f"expected IMEIs and IMSIs as JSON strings, got {what}: a number may have lost zeros")

    return refuse


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members,
    parse_int=_no_number("an integer"),
    parse_float=_no_number("a number"),
    parse_constant=_no_number("a number"),
)


def _read_json(body: bytes, limit: int) -> Asked:
    try:
        given = _DECODER.decode(body.removeprefix(_BOM).decode())
    except UnicodeDecodeError as error:
        _malformed(f"expected JSON in UTF-8, got other bytes at {error.start}")
    except ValueError as error:
        at = getattr(error, "pos", 0)
        _malformed(f"expected JSON, got something else at character {at}")
    except RecursionError:
        _malformed("expected a JSON object of two arrays, got deeper ones")
    if not isinstance(given, dict):
        _malformed("expected a JSON object with the member imeis, got something else")
    if unknown := given.keys() - {"imeis", "imsis"}:
        _malformed(f"expected the members imeis and imsis, got {mask_text(min(unknown))!r}")
    if "imeis" not in given:
        _malformed("expected the member imeis, an array of strings, got none")
    imeis, imsis = _column("imeis", given["imeis"], limit), None
    if given.get("imsis") is not None:
        imsis = _column("imsis", given["imsis"], limit)
        if len(imsis) != len(imeis):
            _malformed(f"imsis: expected {len(imeis)}, one for each IMEI, got {len(imsis)}")
    return Asked(imeis, imsis, "imeis[{}]".format)


_NAMES = {dict: "an object", list: "an array", bool: "true or false", str: "a string", type(None): "null"}


def _column(name: str, values: object, limit: int) -> list[Any]:
    if not isinstance(values, list):
        _malformed(f"{name}: expected an array of strings, got {_NAMES[type(values)]}")
    expect_rows(len(values), limit)
    if {*map(type, values)} - {str, type(None)}:
        row = next(row for row, value in enumerate(values) if not isinstance(value, str | None))
        _malformed(f"{name}[{row}]: expected a string or null, got {_NAMES[type(values[row])]}")
    return values


_OBJECTS = Fragments('{{"{}":"{}"}},'.format)


def _write_json(answers: Answers) -> bytes:
    return b'{"results":[' + _OBJECTS.joined(answers.codes).removesuffix(b",") + b"]}"


def _write_json_details(answers: Answers) -> bytes:
    rows = _combined(answers, lambda row: json.dumps(row, separators=(",", ":")) + ",")
    return b'{"results":[' + rows.removesuffix(b",") + b"]}"


# ---- lines of text ----


def _line(row: int) -> str:
    return f"line {row + 1}"


def _read_lines(body: bytes, limit: int) -> Asked:
    body = body.removeprefix(_BOM)
    expect_rows(body.count(b"\n") + (not body.endswith(b"\n") and body != b""), limit)
    if b"," not in body:
        return Asked(body, None, _line)
    imeis, imsis = [], []
    lines = body.split(b"\n")
    for row, line in enumerate(lines if lines[-1] else lines[:-1]):
        imei, _, imsi = line.removesuffix(b"\r").partition(b",")
        if b"," in imsi:
            _malformed(f"line {row + 1}: expected an IMEI, or an IMEI, a comma and an IMSI, got more commas")
        imeis.append(imei)
        imsis.append(imsi)
    return Asked(imeis, imsis, _line)


_LINES = Fragments(lambda key, word: f"{word}\n" if key == "status" else f"error:{word}\n")
_QUOTED = ',"\n\r'


def _write_lines(answers: Answers) -> bytes:
    return _LINES.joined(answers.codes)


def _write_lines_details(answers: Answers) -> bytes:
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
}


def texts_of(codes: Sequence[int]) -> list[str]:
    """The words of some codes."""
    return [STATUSES[code] if code < ERROR else ERRORS[code] for code in codes]
