"""Access tokens of a 5G core (OAuth2, 3GPP TS 29.510)."""

from typing import Any

from imeiset.serve.answers import Answer, problem

MISSING = problem(401, None, "expected an access token", headers=[("www-authenticate", "Bearer")])
INVALID = problem(
    401, None, "the access token is not valid", headers=[("www-authenticate", 'Bearer error="invalid_token"')]
)
SCOPE = problem(
    403,
    None,
    "the access token is for another scope",
    headers=[("www-authenticate", 'Bearer error="insufficient_scope"')],
)


class Tokens:
    """Which access tokens are taken: those that keys of the configuration signed."""

    def __init__(self, oauth2: Any) -> None:
        self._oauth2 = oauth2

    def refusal(self, authorization: str | None) -> Answer | None:
        """What a request with this header Authorization is answered; None: it may pass."""
        return MISSING
