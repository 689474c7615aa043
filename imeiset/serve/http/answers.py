"""What an HTTP front answers, whichever server carries it, and the problem details of 3GPP TS 29.500."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """A status, headers with lower-case names, and a body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


JSON = [("content-type", "application/json")]
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    421: "Misdirected Request",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def problem(
    status: int,
    cause: str | None = None,
    detail: str = "",
    *,
    headers: Iterable[tuple[str, str]] = (),
    **more: Any,
) -> Answer:
    """Problem details (RFC 9457, as TS 29.500 has them) with the status of the answer itself.

    Parameters
    ----------
    status
        Of the answer, and in the body.
    cause
        The word of the contract that a core decides by.
    detail
        What to do about it, for people. Nothing of a phone or a subscriber beyond what `errors.mask` leaves.
    headers
        Others than the type of the body.
    more
        Further members of the body, as invalidParams.

    Examples
    --------
    >>> from imeiset.serve.http.answers import problem
    >>> problem(404, "ERROR_EQUIPMENT_UNKNOWN").body
    b'{"status":404,"title":"Not Found","cause":"ERROR_EQUIPMENT_UNKNOWN"}'
    """
    body: dict[str, Any] = {"status": status, "title": _TITLES[status]}
    if cause:
        body["cause"] = cause
    if detail:
        body["detail"] = detail
    text = json.dumps(body | more, separators=(",", ":"), ensure_ascii=False)
    return Answer(status, [("content-type", "application/problem+json"), *headers], text.encode())


class Refusal(NamedTuple):
    """An answer that is an error, and the word by which it is counted."""

    word: str
    answer: Answer


def refusal(
    status: int, cause: str | None, detail: str = "", *, word: str | None = None, **more: Any
) -> Refusal:
    """Problem details, counted by their cause; or by a word, where the contract has no cause for them."""
    return Refusal(word or cause or str(status), problem(status, cause, detail, **more))


def not_allowed(*methods: str) -> Refusal:
    """The answer to a method that a path does not have."""
    allowed = ", ".join(methods)
    return refusal(405, None, f"expected {allowed}", word="method", headers=[("allow", allowed)])


_SOON = [("retry-after", "1")]
NOT_FOUND = refusal(404, "RESOURCE_URI_STRUCTURE_NOT_FOUND")
NOT_ACCEPTABLE = refusal(406, None, "answers are application/json", word="accept")
URI_TOO_LONG = refusal(414, None, word="uri")
FAILED = refusal(500, "SYSTEM_FAILURE")
UNREADABLE = refusal(503, "SYSTEM_FAILURE", "the store cannot be read", headers=_SOON)
CONGESTED = refusal(503, "NF_CONGESTION", "too much is under way", headers=_SOON)
CROWDED = refusal(429, "NF_CONGESTION_RISK", "too many bodies are under way", headers=_SOON)
COMPRESSED = refusal(
    415,
    None,
    "send the body as it is: compressed ones are not read",
    word="compressed",
    headers=[("accept-encoding", "identity")],
)
TOO_LONG = refusal(413, None, "the body is longer than is read", word="too_many_bytes")
CUT_SHORT = refusal(400, None, "the body ended before its Content-Length", word="cut_short")
SLOW = refusal(408, None, "the body did not come in time", word="slow", headers=[("connection", "close")])
