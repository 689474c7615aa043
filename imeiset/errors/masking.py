"""What a message shows of an IMEI, an IMSI or any text of a file. Nothing else masks."""

import operator
import re
from contextlib import suppress
from itertools import count
from numbers import Integral

_SHOWN = 8  # the TAC
_NETWORK = 5  # MCC and MNC: of an IMSI, what may be shown
_LONGEST = 32  # no text with separators is longer than 31 characters
_QUOTED = 100  # characters of a free text
_RUN = re.compile(r"\d(?:[\W_]?\d)+")  # digits, with at most one other sign between two of them

# The same in a line of a log, where addresses, times and counts are to stay: digits and the signs between two
# of them, as they are or as a URL has them, once or twice encoded.
_DIGIT = r"(?:%(?:25)*3[0-9]|\d)"
_BETWEEN = r"(?:%(?:25)*(?:2[0BDEFbdef]|5[Ff])|[-\s._/+])"
_TOKEN = re.compile(rf"{_BETWEEN}|{_DIGIT}")
_NUMBER = re.compile(rf"{_DIGIT}(?:{_BETWEEN}{{0,2}}{_DIGIT}){{13,}}")
_SHORTER = re.compile(rf"{_DIGIT}{{11,13}}")  # an IMEI without its zeros, the number of a subscriber
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*(?:@[^/@\s]*)*@")
_QUERY = re.compile(r"\?[^\s,;]*")
_URL = re.compile(r"[\w+.-]+://\S*")
_NAMED = re.compile(  # a number that says what it is, of any length
    rf"(?P<name>imei(?:sv)?|imsi|msisdn)(?P<sign>(?:%(?:25)*(?!3[0-9]|25)[0-9a-f]{{2}}|[^\w%]){{0,4}})"
    rf"(?P<number>{_DIGIT}(?:{_BETWEEN}{{0,2}}{_DIGIT})+)",
    re.IGNORECASE,
)


def mask(value: object) -> str:
    """An IMEI as it may be shown: 8 characters (the TAC), then one `*` for each that follows.

    An integer is written with 14 digits. Of more than 32 characters the rest is cut, and the length said.

    >>> mask("490154203237518"), mask("49015420323751x")
    ('49015420*******', '49015420*******')
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        with suppress(TypeError):  # durations of NumPy are of that class, and are not integers
            value = operator.index(value)
            if abs(value) >= 10**_LONGEST:
                return f"an integer of more than {_LONGEST} digits"
            value = f"{value:014d}"
    packed = isinstance(value, bytes | bytearray) and len(value) < 14 and not re.fullmatch(b"[ -~]*", value)
    return _hide(value, _SHOWN // 2 if packed else _SHOWN)  # as on the wire, with two digits in a byte


def mask_imsi(value: object) -> str:
    """An IMSI, or a prefix of some, as it may be shown: 5 characters (the network), the rest as of `mask`."""
    return _hide(value, _NETWORK)


def quoted(masked: str, value: object) -> str:
    """What `mask` made of a value, in quotes if it shows a text or digits: no type, no words, no None."""
    shows = isinstance(value, str | bytes | bytearray) or masked[:1].isdigit()
    return f"'{masked}'" if shows else masked


def mask_text(value: object) -> str:
    """Any text of a file as it may be shown: without the digits beyond the 8th of a run, in 100 characters.

    A title, a status or a damaged manifest may hold IMEIs. A single separator does not end a run, so an IMEI
    written in groups is masked as well; a date is not.

    >>> mask_text("stolen 2024-02-29, see 49-015420-323751-8")
    'stolen 2024-02-29, see 49-015420-******-*'
    """
    if isinstance(value, bytes | bytearray):
        text = bytes(value[: 2 * _QUOTED]).decode("utf-8", "backslashreplace")
    else:
        text = value if isinstance(value, str) else repr(value)
    shown = printable(_RUN.sub(_hide_run, text[: _QUOTED + 1]))
    return shown if len(shown) <= _QUOTED else shown[: _QUOTED - 3] + "..."


def mask_log(text: str) -> str:
    """A line of a log as it may be written: of every number of 14 or more digits the first 8, of one of 11 to
    13 the first 5, and so of what is called an IMSI or an MSISDN. Shorter numbers, times and addresses stay.

    >>> mask_log("GET /?pei=imei-490154203237518&supi=imsi%2D234150999999999 from 10.1.2.3")
    'GET /?pei=imei-49015420*******&supi=imsi%2D23415********** from 10.1.2.3'
    """
    text = _NAMED.sub(_hide_named, text)
    text = _NUMBER.sub(lambda found: _hide_digits(found[0], _SHOWN), text)
    return _SHORTER.sub(lambda found: _hide_digits(found[0], _NETWORK), text)


def mask_url(text: str) -> str:
    """A URL, or a text with URLs in it, as it may be shown: without user, password and query.

    >>> mask_url("s3://key:secret@lists/eir?token=5, lists/eir")
    's3://***@lists/eir?***, lists/eir'
    """
    return _URL.sub(lambda found: _QUERY.sub("?***", _CREDENTIALS.sub("***@", found[0])), text)


def printable(text: str) -> str:
    """A text, perhaps the name of a file, in one line that can be printed whatever is in it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _hide(value: object, shown: int) -> str:
    """All but the first characters of a value hidden."""
    text = bytes(value).decode("latin-1") if isinstance(value, bytes | bytearray) else value
    if not isinstance(text, str):
        return "None" if value is None else f"<{type(value).__name__}>"
    head = str(text[:_LONGEST])
    hidden = head[:shown].encode("unicode_escape").decode() + "*" * (len(head) - shown)
    return hidden if len(text) <= _LONGEST else f"{hidden}... ({len(text)} characters)"


def _hide_named(found: re.Match[str]) -> str:
    shown = _SHOWN if found["name"].lower().startswith("imei") else _NETWORK
    return found["name"] + found["sign"] + _hide_digits(found["number"], shown)


def _hide_digits(number: str, shown: int) -> str:
    """A digit that a URL encodes counts as those that stand there: '%' may be no sign of one."""
    seen = 0

    def hidden(found: re.Match[str]) -> str:
        nonlocal seen
        if not is_digit(found[0]):
            return found[0]
        seen += sum(character.isdecimal() for character in found[0])
        return found[0] if seen <= shown else "*"

    is_digit = re.compile(_DIGIT).fullmatch
    return _TOKEN.sub(hidden, number)


def _hide_run(found: re.Match[str]) -> str:
    seen = count()
    return re.sub(r"\d", lambda digit: digit[0] if next(seen) < _SHOWN else "*", found[0])
