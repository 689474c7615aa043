"""Whether a configuration can be served: its store, its certificates and its keys, looked at in a process of
their own."""

import datetime
import ssl
from typing import Any

from imeiset import EquipmentStatus, Store
from imeiset.errors import ImeisetError, ServeConfigError
from imeiset.errors.extras import extra
from imeiset.serve.config import TlsConfig, loaded
from imeiset.serve.processes.following import follower

_SOON = datetime.timedelta(days=14)


def facts(text: str) -> dict[str, Any]:
    """What is said of a configuration, as `dumped` wrote it: `error`, or what is served and `warnings`."""
    config = loaded(text)
    warnings: list[str] = []
    try:
        if config.http or config.admin:
            extra("granian", "fronts by HTTP need granian", "serve")
        if config.admin:
            extra("prometheus_client", "metrics need prometheus-client", "serve")
        if config.http and config.http.tls:
            warnings += _tls(config.http.tls)
        if config.http and config.http.oauth2:
            from imeiset.serve.http.tokens import Tokens

            Tokens(config.http.oauth2)
        followers = [follower(config, one) for one in config.follow]
        store = Store.open(config.store.path)
    except (ImeisetError, OSError) as error:
        return {"error": str(error)}
    feeds = [one.feed for one in followers]
    if len({*feeds}) < len(feeds):
        return {
            "error": "follow: expected publishers with roots or feeds of their own, got one of them twice"
        }
    said = {one.status for one in store.lists}
    if (
        store.policy.response_type == 3
        and EquipmentStatus.BLACKLISTED in said
        and EquipmentStatus.WHITELISTED not in said
    ):
        warnings.append(
            "response type 3 with black lists and no white list: every phone is UNKNOWN, the blocked ones "
            "too, and a core that lets unknown equipment in lets stolen phones in: use response_type = 2, or "
            "add a white list"
        )
    warnings += [
        f"ready.max_age.{name}: the store has no such list"
        for name in config.ready.max_age
        if name not in store
    ]
    listed = ", ".join(f"{one.name} ({one.status.name.lower()})" for one in store.lists) or "no lists"
    return {
        "store": f"generation {store.generation}, change {store.sequence}: {listed}",
        "warnings": warnings,
    }


def _tls(tls: TlsConfig) -> list[str]:
    """Raise ServeConfigError for certificates that cannot be used; return what to warn about."""
    if b"-----BEGIN PRIVATE KEY-----" not in tls.key.read_bytes():
        expected = "a key as PKCS#8, not encrypted: openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW"
        raise ServeConfigError(tls.key, expected, "another file", key="http.tls.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate, tls.key, password="")
    except (ssl.SSLError, ValueError) as error:
        expected = "a certificate as PEM, and its key"
        raise ServeConfigError(
            tls.certificate, expected, _reason(error), key="http.tls.certificate"
        ) from None
    if tls.client_ca is not None:
        try:
            context.load_verify_locations(tls.client_ca)
        except ssl.SSLError as error:
            got = _reason(error)
            raise ServeConfigError(
                tls.client_ca, "certificates as PEM", got, key="http.tls.client_ca"
            ) from None
    return _expiry(tls)


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error).replace("_", " ").lower()


def _expiry(tls: TlsConfig) -> list[str]:
    x509 = extra("cryptography.x509", "TLS needs cryptography", "serve")
    ends = x509.load_pem_x509_certificates(tls.certificate.read_bytes())[0].not_valid_after_utc
    left = ends - datetime.datetime.now(datetime.UTC)
    if left > _SOON:
        return []
    when = "ended" if left.total_seconds() < 0 else "ends"
    return [f"http.tls.certificate {when} at {ends:%Y-%m-%d %H:%M} UTC"]
