"""Access tokens of 5G cores (OAuth2, 3GPP TS 29.510): who may ask.

A token is a JWS in the compact form. Which algorithms and which keys count is what the configuration says,
never what a token says of itself.
"""

import json
import re
import time
from pathlib import Path
from typing import Any

from imeiset.errors import ServeConfigError
from imeiset.errors.extras import extra
from imeiset.serve.config import OAuth2Config
from imeiset.serve.http.answers import Refusal, refusal

_LONGEST = 8192  # characters of a header Authorization
_KEPT = 1024  # verified tokens
_SHORTEST = 2048  # bits of an RSA key
_CURVES = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
_PUBLIC = re.compile(rb"-----BEGIN ([A-Z ]*PUBLIC KEY)-----.*?-----END \1-----", re.S).finditer
_ALONE = "a certificate and the chain of its issuers: each other certificate in a file of its own"
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


def _bearer(status: int, word: str | None, detail: str) -> Refusal:
    challenge = f'Bearer error="{word}"' if word else "Bearer"
    headers = [("www-authenticate", challenge)]
    return refusal(status, None, detail, word=word or "no_token", headers=headers)


MISSING = _bearer(401, None, "expected an access token")
INVALID = _bearer(401, "invalid_token", "the access token is expired, or was not signed for this use")
SCOPE = _bearer(403, "insufficient_scope", "the access token is for another scope")


class Tokens:
    """Which access tokens are taken.

    Parameters
    ----------
    oauth2 : OAuth2Config
        Its keys are read at once. Other keys are another object, which has verified nothing yet.

    Raises
    ------
    ServeConfigError
        A key cannot be used.
    ExtraMissing
        PyJWT or cryptography is not installed.
    """

    def __init__(self, oauth2: OAuth2Config) -> None:
        self._jwt = extra("jwt", "http.oauth2", "serve")
        self._oauth2 = oauth2
        self._keys = [pair for path in oauth2.keys for pair in self._usable(path)]
        self._verified: dict[str, int] = {}  # headers, and until when: the oldest first

    def refusal(self, authorization: str | None) -> Refusal | None:
        """What a request with this header Authorization gets; None: it may pass.

        Verifying a signature takes some hundred microseconds, a token that is known less than one.
        """
        if authorization is None:
            return MISSING
        until = self._verified.get(authorization)
        if until is not None and time.time() < until:
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return MISSING
        if len(authorization) > _LONGEST:
            return INVALID
        claims = self._claims(token.strip(" "))
        if claims is None:
            return INVALID
        scope = claims.get("scope")
        if not isinstance(scope, str) or self._oauth2.scope not in scope.split(" "):
            return SCOPE
        self._keep(authorization, int(claims["exp"]))
        return None

    def _claims(self, token: str) -> dict[str, Any] | None:
        """What a token claims, if one of the keys signed it and it is meant for us, now."""
        asked = self._oauth2
        for key, algorithms in self._keys:
            try:
                found = self._jwt.decode_complete(
                    token,
                    key,
                    algorithms=algorithms,
                    audience=asked.audience,
                    leeway=asked.leeway,
                    options={"require": ["iss", "sub", "aud", "exp"]},
                )
            except (self._jwt.InvalidSignatureError, self._jwt.InvalidAlgorithmError):
                continue  # maybe of another key
            except Exception:  # whatever a stranger sends: it is not a token that is taken
                return None
            claims: dict[str, Any] = found["payload"]
            # Extensions that have to be understood are not: older versions of PyJWT pass them over.
            understood = "crit" not in found["header"]
            known = not asked.issuers or claims["iss"] in asked.issuers
            named = isinstance(claims["iss"], str) and isinstance(claims["sub"], str)
            return claims if understood and named and known else None
        return None

    def _keep(self, authorization: str, until: int) -> None:
        """Remember a token, in the place of those that are expired, or else of the oldest."""
        verified = self._verified
        if len(verified) >= _KEPT:
            now = time.time()
            for text in [text for text, end in list(verified.items()) if end <= now] or [
                next(iter(verified))
            ]:
                verified.pop(text, None)
        verified[authorization] = until

    def _usable(self, path: Path) -> list[tuple[Any, list[str]]]:
        """The public keys in a file that sign by an algorithm of the configuration, with these algorithms."""
        keys = self._read(path)
        pairs = [
            (key, [one for one in self._oauth2.algorithms if one in _algorithms_of(key)]) for key in keys
        ]
        usable = [(key, algorithms) for key, algorithms in pairs if algorithms]
        if not usable:
            expected = f"a public key for {' or '.join(self._oauth2.algorithms)}"
            raise _error(path, expected, _named(keys[0]) if keys else "no key")
        return usable

    def _read(self, path: Path) -> list[Any]:
        serialization = _cryptography("hazmat.primitives.serialization")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise _error(path, "a readable file", error.strerror or str(error)) from None
        if b"PRIVATE KEY" in data:
            raise _error(path, "a public key", "a private one: openssl pkey -pubout makes one of it")
        try:
            if data.lstrip().startswith(b"{"):
                given = json.loads(data)
                signing = [one for one in given.get("keys", [given]) if one.get("use", "sig") == "sig"]
                return [self._jwt.PyJWK.from_dict(one).key for one in signing]
            if b"BEGIN CERTIFICATE" in data:
                first, *chain = _cryptography("x509").load_pem_x509_certificates(data)
                key = first.public_key()
                for one in chain:
                    if not _issued(first, one):
                        raise _error(path, _ALONE, "one that did not issue the one before it")
                    first = one
                return [key]
            blocks = [found[0] for found in _PUBLIC(data)]
            return [serialization.load_pem_public_key(block) for block in blocks or [data]]
        except ServeConfigError:
            raise
        except Exception:  # of many kinds, with texts that quote the file
            expected = "a public key or a certificate in PEM, or a JSON Web Key Set"
            raise _error(path, expected, "something else") from None


def _issued(one: Any, by: Any) -> bool:
    """Whether a certificate was issued by another: names may be the same after a change of keys."""
    try:
        one.verify_directly_issued_by(by)
    except Exception:  # by a key of another kind, by another key, or in a way that is not known
        return False
    return True


def _cryptography(module: str) -> Any:
    return extra(f"cryptography.{module}", "http.oauth2", "serve")


def _algorithms_of(key: Any) -> tuple[str, ...]:
    """The algorithms of a public key; none of anything else: a private or a shared one, or one too short."""
    rsa, ec, ed25519, ed448 = (
        _cryptography(f"hazmat.primitives.asymmetric.{name}") for name in ("rsa", "ec", "ed25519", "ed448")
    )
    if isinstance(key, rsa.RSAPublicKey):
        return _RSA if key.key_size >= _SHORTEST else ()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name, ())
    return ("EdDSA",) if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey) else ()


def _named(key: Any) -> str:
    if isinstance(key, bytes):
        return "a shared secret"
    return f"{type(key).__name__} of {key.key_size} bits" if hasattr(key, "key_size") else type(key).__name__


def _error(path: Path, expected: str, got: str) -> ServeConfigError:
    return ServeConfigError(path, expected, got, key="http.oauth2.keys")
