"""The header Accept of a request: which media types the client takes, and how gladly."""

from typing import Any


def accept_of(headers: Any) -> str:
    """All headers Accept as one, "" for none. `get` of RSGI gives the first alone."""
    several = getattr(headers, "get_all", None)
    return (",".join(several("accept")) if several else headers.get("accept") or "").strip()


def weight_of(accept: str, media_type: str) -> str:
    """The weight of a media type, as the range that is closest to it says: "0" if no range has it.

    A weight is given as it stands there, and need not be a number.

    Examples
    --------
    >>> from imeiset.serve.http.accept import weight_of
    >>> accept = "text/*;q=0.5, application/json"
    >>> [weight_of(accept, name) for name in ("application/json", "text/plain", "image/png")]
    ['1', '0.5', '0']
    """
    ranges = ("*/*", media_type.partition("/")[0] + "/*", media_type)
    found, closest = "0", -1
    for part in accept.lower().split(","):
        pattern, *parameters = (piece.replace(" ", "").replace("\t", "") for piece in part.split(";"))
        if pattern in ranges and ranges.index(pattern) > closest:
            closest = ranges.index(pattern)
            found = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    return found
