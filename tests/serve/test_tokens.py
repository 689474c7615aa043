"""Access tokens: which are taken, which are not, and what is remembered of them."""

import base64
import datetime
import hashlib
import hmac
import json
import time
from types import SimpleNamespace

import pytest

from imeiset.errors import ServeConfigError
from imeiset.serve.config import OAuth2Config
from imeiset.serve.http.tokens import INVALID, MISSING, SCOPE, Tokens

jwt = pytest.importorskip("jwt")
pytest.importorskip("cryptography")

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa  # noqa: E402

NOW = int(time.time())
CLAIMS = {
    "iss": "nrf-1",
    "sub": "amf-1",
    "aud": "5G_EIR",
    "scope": "n5g-eir-eic",
    "exp": NOW + 3600,
}


def private(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def certificate(key, issuer=None):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nrf")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2020, 1, 1))
        .not_valid_after(datetime.datetime(2021, 1, 1))
        .sign(issuer or key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


NRF, STRANGER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
RSA = rsa.generate_private_key(65537, 2048)


@pytest.fixture
def made(tmp_path):
    """Tokens by some keys and with some settings."""

    def make(*keys, **settings):
        paths = []
        for n, key in enumerate(keys or [public(NRF)]):
            paths.append(tmp_path / f"{n}.pem")
            paths[-1].write_bytes(key)
        return Tokens(OAuth2Config(tuple(paths), **settings))

    return make


def bearer(claims=CLAIMS, key=NRF, algorithm="ES256", headers=None, **changed):
    claims = {name: value for name, value in {**claims, **changed}.items() if value is not None}
    return f"Bearer {jwt.encode(claims, private(key), algorithm, headers)}"


def by_hand(header, claims, signature=b""):
    parts = [json.dumps(header).encode(), json.dumps(claims).encode()]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    if callable(signature):
        signature = signature(signed)
    return f"Bearer {(signed + b'.' + base64.urlsafe_b64encode(signature).rstrip(b'=')).decode()}"


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"aud": ["5G_EIR"]},
        {"aud": ["AMF", "5G_EIR"]},
        {"scope": "n5g-eir-eic nudm-sdm"},
        {"scope": "nudm-sdm n5g-eir-eic"},
        {"nbf": NOW - 10},
        {"nbf": NOW + 2},  # clocks may differ
        {"iat": NOW},
        {"exp": NOW + 10**9},
        {"exp": 10**400},
        {"producerPlmnId": {"mcc": "234", "mnc": "15"}},
    ],
)
def test_taken(made, changed):
    tokens = made()
    header = bearer(**changed)
    assert tokens.refusal(header) is None
    assert tokens.refusal(header) is None


@pytest.mark.parametrize("scheme", ["bearer ", "BEARER ", "Bearer  "])
def test_the_scheme_is_in_either_case(made, scheme):
    assert made().refusal(scheme + bearer()[7:]) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "AMF"},
        {"aud": ["AMF", "UDM"]},
        {"aud": []},
        {"aud": None},
        {"aud": "5g_eir"},
        {"aud": "5G_EIR AMF"},
        {"aud": {"5G_EIR": 1}},
        {"aud": ["5G_EIR", 1]},
        {"exp": None},
        {"exp": NOW - 10},
        {"exp": 0},
        {"exp": "soon"},
        {"exp": True},
        {"exp": [NOW + 3000]},
        {"nbf": NOW + 3000},
        {"iat": NOW + 3000},
        {"iss": None},
        {"sub": None},
        {"sub": 1},
    ],
)
def test_not_taken(made, changed):
    tokens = made()
    for _ in range(2):
        assert tokens.refusal(bearer(**changed)) is INVALID


@pytest.mark.parametrize("scope", ["nudm-sdm", "", None, "n5g-eir-eic2", "N5G-EIR-EIC", "n5g-eir-eic\tx"])
def test_another_scope(made, scope):
    tokens = made()
    for _ in range(2):
        assert tokens.refusal(bearer(scope=scope)) is SCOPE


def test_a_scope_that_is_a_list_is_none(made):
    assert made().refusal(bearer(scope=["n5g-eir-eic"])) is SCOPE


def test_issuers(made):
    tokens = made(issuers=("nrf-1", "nrf-2"))
    assert tokens.refusal(bearer()) is None
    assert tokens.refusal(bearer(iss="nrf-3")) is INVALID
    assert tokens.refusal(bearer(iss="nrf")) is INVALID


def test_settings(made):
    tokens = made(audience=("eir-instance-7",), scope="n5g-eir-eic:read")
    assert tokens.refusal(bearer()) is INVALID
    assert tokens.refusal(bearer(aud="eir-instance-7")) is SCOPE
    assert tokens.refusal(bearer(aud="eir-instance-7", scope="n5g-eir-eic:read")) is None


@pytest.mark.parametrize("header", [None, "", "Basic YTpi", "Bearer", "x", "Token " + "a.b.c"])
def test_no_token(made, header):
    found = made().refusal(header)
    assert found in (MISSING, INVALID)
    assert found is MISSING or header == "Bearer"


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b.c", "...", "é.é.é", "\0", "e30.e30.", "e30.e30.e30", "W10.W10.W10", "Bearer x", "a b"],
)
def test_what_is_not_a_token(made, token):
    assert made().refusal(f"Bearer {token}") is INVALID


def test_a_huge_token_is_not_looked_at(made, monkeypatch):
    tokens = made()
    monkeypatch.setattr(tokens, "_jwt", SimpleNamespace())
    assert tokens.refusal(bearer(text="x" * 10_000)) is INVALID


@pytest.mark.parametrize("depth", [1000])
def test_a_deep_token(made, depth):
    text = b"[" * depth
    part = base64.urlsafe_b64encode(text).rstrip(b"=").decode()
    assert made().refusal(f"Bearer {part}.{part}.{part}") is INVALID


# ---- algorithms and keys come from the configuration ----


@pytest.mark.parametrize("none", ["none", "None", "NONE", "nOnE", ""])
def test_no_algorithm(made, none):
    header = {"alg": none, "typ": "JWT"}
    for tokens in (made(), made(public(RSA), algorithms=("RS256",))):
        assert tokens.refusal(by_hand(header, CLAIMS)) is INVALID
        assert tokens.refusal(by_hand({}, CLAIMS)) is INVALID
        signature = base64.urlsafe_b64decode(bearer().rpartition(".")[2] + "==")
        assert tokens.refusal(by_hand(header, CLAIMS, signature)) is INVALID


@pytest.mark.parametrize("key", [NRF, RSA])
@pytest.mark.parametrize("shared", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_not_a_shared_secret(made, key, shared):
    digest = getattr(hashlib, shared.replace("HS", "sha"))
    for secret in (public(key), public(key).strip(), public(key) + b"\n"):
        forged = by_hand({"alg": shared}, CLAIMS, lambda signed: hmac.digest(secret, signed, digest))  # noqa: B023
        for algorithms in (("ES256", "RS256"),):
            assert made(public(key), algorithms=algorithms).refusal(forged) is INVALID


def test_an_algorithm_that_is_not_allowed(made):
    tokens = made(public(RSA), algorithms=("RS256",))
    assert tokens.refusal(bearer(CLAIMS, RSA, "RS256")) is None
    assert tokens.refusal(bearer(CLAIMS, RSA, "RS512")) is INVALID
    assert tokens.refusal(bearer(CLAIMS, RSA, "PS256")) is INVALID


def test_a_key_in_the_header_is_not_believed(made):
    strangers = jwt.algorithms.ECAlgorithm.to_jwk(STRANGER.public_key(), as_dict=True)
    for extra in (
        {"jwk": strangers},
        {"jku": "http://127.0.0.1/keys"},
        {"x5u": "http://127.0.0.1/"},
        {"kid": "../x"},
    ):
        assert made().refusal(bearer(CLAIMS, STRANGER, "ES256", extra)) is INVALID
        assert made().refusal(bearer(CLAIMS, NRF, "ES256", extra)) is None


def test_extensions_that_have_to_be_understood_are_not(made):
    assert made().refusal(bearer(CLAIMS, NRF, "ES256", {"crit": ["x"], "x": 1})) is INVALID


def test_a_signature_of_another_key_or_of_other_claims(made):
    tokens = made()
    assert tokens.refusal(bearer(CLAIMS, STRANGER)) is INVALID
    head, claims, signature = bearer().split(".")
    others = bearer(sub="amf-2").split(".")
    assert tokens.refusal(f"{head}.{others[1]}.{signature}") is INVALID
    assert tokens.refusal(f"{head}.{claims}.{signature[:-4]}AAAA") is INVALID
    assert tokens.refusal(f"{head}.{claims}.") is INVALID


def test_several_keys_of_several_kinds(made):
    keys = {
        "ES256": NRF,
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "RS256": RSA,
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }
    tokens = made(*map(public, keys.values()), public(STRANGER), algorithms=tuple(keys))
    for algorithm, key in [*keys.items(), ("ES256", STRANGER)]:
        assert tokens.refusal(bearer(CLAIMS, key, algorithm)) is None, algorithm
    assert tokens.refusal(bearer(CLAIMS, ec.generate_private_key(ec.SECP256R1()))) is INVALID


def test_all_public_keys_of_a_file(made):
    """Of a file with the old and the new key, both count."""
    tokens = made(public(NRF) + public(STRANGER))
    assert tokens.refusal(bearer()) is tokens.refusal(bearer(key=STRANGER)) is None
    with pytest.raises(ServeConfigError):
        made(public(NRF) + public(STRANGER).replace(b"M", b"-"))


def test_keys_of_a_set_that_are_not_for_signatures(made):
    keys = [
        json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())) | {"use": use}
        for key, use in ((NRF, "sig"), (STRANGER, "enc"))
    ]
    tokens = made(json.dumps({"keys": keys}).encode())
    assert (tokens.refusal(bearer()), tokens.refusal(bearer(key=STRANGER))) == (None, INVALID)
    with pytest.raises(ServeConfigError, match="no key"):
        made(json.dumps(keys[1]).encode())


def test_certificates_that_are_no_chain(made):
    """Of a file with the old and the new certificate, one would not be read: that is said."""
    with pytest.raises(ServeConfigError, match="in a file of its own"):
        made(certificate(NRF) + certificate(STRANGER))
    chain = certificate(NRF, RSA) + certificate(RSA)
    assert made(chain).refusal(bearer()) is None
    assert made(chain, algorithms=("ES256", "RS256")).refusal(bearer(key=RSA, algorithm="RS256")) is INVALID


@pytest.mark.parametrize("form", ["certificate", "set", "key"])
def test_forms_of_keys(made, form):
    one = jwt.algorithms.ECAlgorithm.to_jwk(NRF.public_key(), as_dict=True)
    other = jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True)
    text = {
        "certificate": certificate(NRF),
        "set": json.dumps({"keys": [other, one]}).encode(),
        "key": json.dumps(one).encode(),
    }[form]
    tokens = made(text)
    assert tokens.refusal(bearer()) is None
    assert tokens.refusal(bearer(CLAIMS, STRANGER)) is INVALID
    assert tokens.refusal(bearer(CLAIMS, RSA, "RS256")) is INVALID


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (b"", "something else"),
        (b"\xff\xfe", "something else"),
        (b"{}", "something else"),
        (b'{"keys": []}', "no key"),
        (b'{"keys": [{"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXM"}]}', "a shared secret"),
        (private(NRF), "a private one"),
        (
            json.dumps(jwt.algorithms.ECAlgorithm.to_jwk(NRF, as_dict=True)).encode(),
            "PrivateKey",
        ),
        (public(RSA), "RSAPublicKey of 2048 bits"),
        (public(ec.generate_private_key(ec.SECP384R1())), "ECPublicKey of 384 bits"),
        (public(ec.generate_private_key(ec.SECP256K1())), "ECPublicKey of 256 bits"),
        (public(ed448.Ed448PrivateKey.generate()), "Ed448PublicKey"),
        (b"-----BEGIN PUBLIC KEY-----\nMAAA\n-----END PUBLIC KEY-----\n", "something else"),
        (public(NRF)[:-60], "something else"),
    ],
)
def test_keys_that_cannot_be_used(made, data, got):
    with pytest.raises(ServeConfigError, match=got) as caught:
        made(data)
    assert caught.value.key == "http.oauth2.keys"
    assert "0.pem: http.oauth2.keys: expected a " in str(caught.value)


def test_a_short_key(made):
    with pytest.raises(ServeConfigError, match="of 1024 bits"):
        made(public(rsa.generate_private_key(65537, 1024)), algorithms=("RS256",))


def test_a_key_that_is_not_there(tmp_path):
    with pytest.raises(ServeConfigError, match="a readable file, got No such file"):
        Tokens(OAuth2Config((tmp_path / "x.pem",)))


# ---- what is remembered ----


class Counted:
    """PyJWT, and how often it was asked."""

    def __init__(self, tokens):
        self.calls = 0
        self.module = tokens._jwt
        tokens._jwt = self

    def __getattr__(self, name):
        return getattr(self.module, name)

    def decode_complete(self, *arguments, **options):
        self.calls += 1
        return self.module.decode_complete(*arguments, **options)


def test_a_token_is_verified_once(made):
    tokens = made()
    asked = Counted(tokens)
    header = bearer()
    for _ in range(5):
        assert tokens.refusal(header) is None
    assert asked.calls == 1
    assert tokens.refusal(bearer(sub="amf-2")) is None
    assert asked.calls == 2


@pytest.mark.parametrize("changed", [{"exp": NOW - 60}, {"aud": "AMF"}, {"scope": "x"}])
def test_what_was_refused_is_not_remembered(made, changed):
    tokens = made()
    tokens.refusal(bearer(**changed))
    assert not tokens._verified


def test_a_token_is_remembered_until_it_expires(made, monkeypatch):
    tokens = made(leeway=0.0)
    asked = Counted(tokens)
    header = bearer(exp=NOW + 3600)
    assert tokens.refusal(header) is None
    monkeypatch.setattr(time, "time", lambda: NOW + 3599)
    assert tokens.refusal(header) is None
    assert asked.calls == 1
    monkeypatch.setattr(time, "time", lambda: NOW + 3600)
    tokens.refusal(header)
    assert asked.calls == 2


def test_what_is_remembered_is_bounded(made, monkeypatch):
    monkeypatch.setattr("imeiset.serve.http.tokens._KEPT", 3)
    tokens = made()
    headers = [bearer(sub=f"amf-{n}") for n in range(5)]
    for header in headers:
        assert tokens.refusal(header) is None
    assert list(tokens._verified) == headers[2:]
    # Those that are expired go first, and all of them.
    tokens._verified = dict(zip(headers[:3], [NOW + 3000, NOW - 1, NOW - 2], strict=True))
    assert tokens.refusal(headers[4]) is None
    assert list(tokens._verified) == [headers[0], headers[4]]


def test_other_keys_have_verified_nothing(made):
    header = bearer()
    assert made().refusal(header) is None
    assert made(public(STRANGER)).refusal(header) is INVALID


def test_challenges():
    for refusal, status, challenge in (
        (MISSING, 401, "Bearer"),
        (INVALID, 401, 'Bearer error="invalid_token"'),
        (SCOPE, 403, 'Bearer error="insufficient_scope"'),
    ):
        answer = refusal.answer
        assert answer.status == status == json.loads(answer.body)["status"]
        assert answer.headers == [
            ("content-type", "application/problem+json"),
            ("www-authenticate", challenge),
        ]
