"""N5g-eir_EquipmentIdentityCheck (3GPP TS 29.511): what a 5G core is answered about a phone."""

import re
import threading
from collections import defaultdict
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from imeiset import EquipmentStatus, ImeiError, ImeisetError, ImsiError
from imeiset.serve.http.accept import accept_of, weight_of
from imeiset.serve.http.answers import (
    JSON,
    NOT_ACCEPTABLE,
    NOT_FOUND,
    UNREADABLE,
    Answer,
    Refusal,
    not_allowed,
    problem,
    refusal,
)
from imeiset.serve.state import Counts

ROOT = "/n5g-eir-eic/"
PATH = f"{ROOT}v1/equipment-status"
INTERFACE = "5g"
_LONGEST_ACCEPT = 1000  # characters

# As cores send it, in one match; whatever else is read parameter by parameter, and says the same.
_USUAL = re.compile(
    r"pei=(imei(?:-|sv-\d)\d{15}+)(?:&supi=(imsi-\d{5,15}+))?+(?:&(?!pei=|supi=)[a-z-]++=[\w.~-]*+)*+", re.A
).fullmatch
# The parameters that are read, whichever letters of their names are encoded: group 1 is that of pei.
_READ = re.compile(
    r"(?:^|&)(?:((?:p|%70)(?:e|%65)(?:i|%69))|(?:s|%73)(?:u|%75)(?:p|%70)(?:i|%69))(?:=([^&]*))?(?=&|\Z)"
).finditer
_PEI = re.compile(r"imei-[0-9]{15}|imeisv-[0-9]{16}").fullmatch
_SUPI = re.compile(r"imsi-[0-9]{5,15}").fullmatch
_VERSION = re.compile(r"v[0-9]+").fullmatch
_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})").search
_CAUSES = {"pei": "MANDATORY_QUERY_PARAM_INCORRECT", "supi": "OPTIONAL_QUERY_PARAM_INCORRECT"}


class Headers(Protocol):
    """Of a request, by lower-case names."""

    def get(self, name: str, default: Any = None, /) -> Any:
        """The value of a header."""


def _wrong(name: str, reason: str, cause: str | None = None) -> Refusal:
    return refusal(400, cause or _CAUSES[name], invalidParams=[{"param": f"query {name}", "reason": reason}])


_ANSWERS = [
    problem(404, "ERROR_EQUIPMENT_UNKNOWN")
    if status == EquipmentStatus.UNKNOWN
    else Answer(200, JSON, f'{{"status":"{status.name}"}}'.encode())
    for status in EquipmentStatus
]
_MISSING = _wrong("pei", "expected imei- and 15 digits, or another PEI", "MANDATORY_QUERY_PARAM_MISSING")
_NO_IMEI = _wrong("pei", "expected 15 digits after imei-, or 16 after imeisv-")
_NO_IMSI = _wrong("supi", "expected 5 to 15 digits after imsi-")
_TWICE = {name: _wrong(name, "expected once") for name in _CAUSES}
_NO_TEXT = {name: _wrong(name, "expected UTF-8, percent-encoded") for name in _CAUSES}
_INVALID_API = refusal(400, "INVALID_API", "expected version v1")
_GET_ONLY = not_allowed("GET")


class Eir:
    """Answers of a 5G equipment identity register: sync, and without a server in it.

    Parameters
    ----------
    store
        A `Store`, or a `Register`.
    counts : Counts, optional
        What is answered is added there when it is collected, errors at once.

    Examples
    --------
    >>> import imeiset
    >>> from imeiset.serve.http.eir import PATH, Eir
    >>> register = imeiset.Register()
    >>> register.add("stolen", ["490154203237518"], status=imeiset.EquipmentStatus.BLACKLISTED)
    >>> Eir(register).answer("GET", PATH, "pei=imei-490154203237518", {}).body
    b'{"status":"BLACKLISTED"}'
    """

    def __init__(self, store: Any, counts: Counts | None = None) -> None:
        self._store = store
        self._counts = counts or Counts()
        # By the rule and the status of a verdict: how often it was given, its answer, and how often of these
        # the counts know of. That costs a tenth of a call of the counts for each.
        self._given: defaultdict[str, list[list[Any]]] = defaultdict(
            lambda: [[0, answer, 0] for answer in _ANSWERS]
        )
        self._folding = threading.Lock()
        self._counts.collect.append(self._fold)

    def answer(self, method: str, path: str, query: str, headers: Headers) -> Answer:
        """What one request is answered.

        Parameters
        ----------
        method, path
            Of the request; the path without what a server or a configuration puts before it.
        query
            What follows the '?', as it was sent.
        headers
            By lower-case names.

        Returns
        -------
        Answer
        """
        if path != PATH:
            return self._refused(elsewhere(path))
        if method != "GET":
            return self._refused(_GET_ONLY)
        accept = headers.get("accept")
        if accept is not None and not accepts_json(accept) and not accepts_json(accept_of(headers)):
            return self._refused(NOT_ACCEPTABLE)
        usual = _USUAL(query)
        try:
            if usual is not None:
                verdict = self._store.check(*usual.groups())
            else:
                verdict = self._unusual(query)
                if isinstance(verdict, Refusal):
                    return self._refused(verdict)
        except ImeiError:
            return self._refused(_NO_IMEI)
        except ImsiError:
            return self._refused(_NO_IMSI)
        except (ImeisetError, OSError):
            return self._refused(UNREADABLE)
        given = self._given[verdict.rule][verdict.status]
        given[0] += 1
        answer: Answer = given[1]
        return answer

    def _unusual(self, query: str) -> Any:
        """The verdict on whatever a query asks about, or why there is none."""
        asked = _read(query)
        if isinstance(asked, Refusal):
            return asked
        pei, supi = asked
        imsi = supi if supi.startswith("imsi-") else None
        if imsi and not _SUPI(imsi):
            return _NO_IMSI
        if _PEI(pei):
            return self._store.check(pei, imsi)
        if pei.startswith(("imei-", "imeisv-")):
            # What is listed as text, and what the policy says, is about the text that a phone sent.
            text = pei.partition("-")[2]
            return self._store.check(text, imsi) if self._store.answers_malformed else _NO_IMEI
        # Other equipment has no IMEI. Who leaves out the prefix of one is answered about it all the same:
        # the phone may be blocked.
        try:
            verdict = self._store.check(pei, imsi)
        except ImeiError:
            return self._store.check_unlisted(imsi)
        return self._store.check_unlisted(imsi) if verdict.rule == "malformed" else verdict

    def _refused(self, refused: Refusal) -> Answer:
        self._counts.error(INTERFACE, refused.word)
        return refused.answer

    def _fold(self) -> None:
        """Hand over what was counted since the last time."""
        with self._folding:
            for rule, by_status in list(self._given.items()):
                for status, one in enumerate(by_status):
                    count = one[0] - one[2]
                    if count:
                        one[2] += count
                        self._counts.checked(INTERFACE, status, rule, count)


def elsewhere(path: str) -> Refusal:
    """The answer where nothing is: another version of this API is told apart."""
    version = path[len(ROOT) :].partition("/")[0] if path.startswith(ROOT) else ""
    return _INVALID_API if version != "v1" and _VERSION(version) else NOT_FOUND


@lru_cache(64)
def accepts_json(accept: str) -> bool:
    """Whether a header Accept takes application/json. One that is so long that others would wait does."""
    if not accept.strip() or len(accept) > _LONGEST_ACCEPT:
        return True
    return not re.fullmatch(r"0(\.0*)?", weight_of(accept, "application/json"))


def _read(query: str) -> tuple[str, str] | Refusal:
    """pei and supi of a query, "" for none; or why they cannot be read."""
    found: dict[str, str] = {}
    for parameter in _READ(query):
        name = "pei" if parameter[1] else "supi"
        if name in found:
            return _TWICE[name]
        text = _decoded(parameter[2] or "")
        if text is None:
            return _NO_TEXT[name]
        found[name] = text
    return (found["pei"], found.get("supi", "")) if found.get("pei") else _MISSING


def _decoded(text: str) -> str | None:
    """A value of a query; None where its escapes or its bytes are not text."""
    if "%" not in text and "+" not in text and text.isascii():
        return text
    raw = text.replace("+", " ").encode("utf-8", "surrogateescape")
    try:
        return None if _BROKEN(raw) else unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return None
