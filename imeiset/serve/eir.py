"""N5g-eir_EquipmentIdentityCheck (3GPP TS 29.511): what a 5G core is answered about a phone."""

import re
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from imeiset import EquipmentStatus, ImeiError
from imeiset.serve.answers import JSON, NOT_ACCEPTABLE, NOT_FOUND, Answer, not_allowed, problem

ROOT = "/n5g-eir-eic/"
PATH = f"{ROOT}v1/equipment-status"
_IMEI = re.compile(r"imei-[0-9]{15}|imeisv-[0-9]{16}").fullmatch
_IMSI = re.compile(r"imsi-[0-9]{5,15}").fullmatch
_VERSION = re.compile(r"v[0-9]+").fullmatch
_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})").search


class Headers(Protocol):
    """Of a request, by lower-case names."""

    def get(self, name: str, default: Any = None, /) -> Any:
        """The value of a header."""


def _wrong(cause: str, param: str, reason: str) -> Answer:
    return problem(400, cause, invalidParams=[{"param": f"query {param}", "reason": reason}])


_STATUSES: dict[EquipmentStatus, Answer] = {
    EquipmentStatus.UNKNOWN: problem(404, "ERROR_EQUIPMENT_UNKNOWN"),
    **{
        status: Answer(200, JSON, f'{{"status":"{status.name}"}}'.encode())
        for status in EquipmentStatus
        if status != EquipmentStatus.UNKNOWN
    },
}
_MISSING = _wrong("MANDATORY_QUERY_PARAM_MISSING", "pei", "expected imei- and 15 digits, or another PEI")
_NO_IMEI = _wrong(
    "MANDATORY_QUERY_PARAM_INCORRECT", "pei", "expected 15 digits after imei-, 16 after imeisv-"
)
_NO_IMSI = _wrong("OPTIONAL_QUERY_PARAM_INCORRECT", "supi", "expected 5 to 15 digits after imsi-")
_TWICE, _NO_TEXT = (
    {
        "pei": _wrong("MANDATORY_QUERY_PARAM_INCORRECT", "pei", reason),
        "supi": _wrong("OPTIONAL_QUERY_PARAM_INCORRECT", "supi", reason),
    }
    for reason in ("expected once", "expected UTF-8, percent-encoded")
)
_INVALID_API = problem(400, "INVALID_API", "expected version v1")
_GET_ONLY = not_allowed("GET")


class Eir:
    """Answers of a 5G equipment identity register: sync, and without a server in it.

    Parameters
    ----------
    store
        A `Store`, or anything with `check` and `answers_malformed`.
    counts
        Of `imeiset.serve.board`, or None.

    Examples
    --------
    >>> import imeiset
    >>> from imeiset.serve.eir import PATH, Eir
    >>> register = imeiset.Register()
    >>> register.add("stolen", ["490154203237518"], status=imeiset.EquipmentStatus.BLACKLISTED)
    >>> Eir(register).answer("GET", PATH, "pei=imei-490154203237518", {}).body
    b'{"status":"BLACKLISTED"}'
    """

    def __init__(self, store: Any, counts: Any = None) -> None:
        self._store = store
        self._counts = counts

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
            return elsewhere(path)
        if method != "GET":
            return _GET_ONLY
        accept = headers.get("accept")
        if accept is not None and not accepts_json(accept):
            return NOT_ACCEPTABLE
        asked = _asked(query)
        if isinstance(asked, Answer):
            return asked
        try:
            verdict = self._store.check(*asked)
        except ImeiError:
            return _NO_IMEI
        if self._counts is not None:
            self._counts.check("5g", verdict)
        answer: Answer = _STATUSES[verdict.status]
        return answer


def elsewhere(path: str) -> Answer:
    """The answer where nothing is: another version of this API is told apart."""
    version = path[len(ROOT) :].partition("/")[0] if path.startswith(ROOT) else ""
    return _INVALID_API if version != "v1" and _VERSION(version) else NOT_FOUND


@lru_cache(64)
def accepts_json(accept: str) -> bool:
    """Whether a header Accept takes application/json: by the range that says most of it."""
    best, quality = 0, 0.0
    for part in accept.lower().split(","):
        media, *parameters = (text.strip() for text in part.split(";"))
        rank = {"*/*": 1, "application/*": 2, "application/json": 3}.get(media, 0)
        if rank > best:
            weights = [text[2:] for text in parameters if text.startswith("q=")]
            try:
                best, quality = rank, float(weights[0]) if weights else 1.0
            except ValueError:
                best, quality = rank, 1.0
    return quality > 0 or not accept.strip()


def _asked(query: str) -> tuple[str, str | None] | Answer:
    """The IMEI and the IMSI that a query asks about, or why there is none."""
    found: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        name = _decoded(name) or ""
        if name not in _TWICE:
            continue
        if name in found:
            return _TWICE[name]
        text = _decoded(value)
        if text is None:
            return _NO_TEXT[name]
        found[name] = text
    pei, supi = found.get("pei"), found.get("supi", "")
    if not pei:
        return _MISSING
    if supi.startswith("imsi-") and not _IMSI(supi):
        return _NO_IMSI
    return pei, supi if supi.startswith("imsi-") else None


def _decoded(text: str) -> str | None:
    """A name or a value of a query; None where its escapes or its bytes are none."""
    if "%" not in text and "+" not in text:
        return text
    raw = text.replace("+", " ").encode("utf-8", "surrogateescape")
    if _BROKEN(raw):
        return None
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return None
