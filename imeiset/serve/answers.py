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
    >>> from imeiset.serve.answers import problem
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


def not_allowed(*methods: str) -> Answer:
    """The answer to a method that a path does not have."""
    allowed = ", ".join(methods)
    return problem(405, None, f"expected {allowed}", headers=[("allow", allowed)])


NOT_FOUND = problem(404, "RESOURCE_URI_STRUCTURE_NOT_FOUND")
NOT_ACCEPTABLE = problem(406, None, "answers are application/json")
FAILED = problem(500, "SYSTEM_FAILURE")
UNREADABLE = problem(503, "SYSTEM_FAILURE", "the store cannot be read", headers=[("retry-after", "1")])
CONGESTED = problem(503, "NF_CONGESTION", "too much is under way", headers=[("retry-after", "1")])
CROWDED = problem(429, "NF_CONGESTION_RISK", "too much is under way", headers=[("retry-after", "1")])
ENCODED = problem(
    415, None, "compressed bodies are not read: send it as it is", headers=[("accept-encoding", "identity")]
)
SLOW = problem(408, None, "the body did not come in time", headers=[("connection", "close")])
