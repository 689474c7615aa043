"""The configuration of `imeiset serve`: what a TOML file, or a dict of the same form, says, understood.

Each field of the classes below is a key, by the same name. Its metadata has the reader of its value and what
it is for, which the sample configuration shows, too.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, cast

from imeiset.errors import ServeConfigError, mask_text
from imeiset.serve.config import values
from imeiset.serve.config.values import Address, BadValue, Source

_LONGEST = 1 << 20  # bytes of a file
_ALGORITHMS = (
    *("ES256", "ES384", "ES512", "EdDSA"),
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
)


# Keys that processes are told once, when they start; () stands for all keys of the section.
_FIXED: dict[str, tuple[str, ...]] = {
    "store": (),
    "http": ("listen",),
    "diameter": ("listen", "identity", "realm", "sctp"),
    "admin": ("listen",),
    "run": (),
    "follow": (),
}


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _key(read: Any, help: str, example: str = "") -> dict[str, Any]:
    """The metadata of a key. example: its value in TOML in the sample, where the default does not do."""
    return {"read": read, "help": help, "example": example}


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """The store that is served."""

    path: Path = field(metadata=_key(values.folder, "the directory of the store", '"eir"'))
    refresh: float = field(
        default=0.25, metadata=_key(values.seconds(0.01, 3600), "seconds between two looks for changes")
    )


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """Certificates of the HTTP front. SIGHUP has files read again that changed."""

    certificate: Path = field(metadata=_key(values.file, "PEM, with the chain", '"tls.crt"'))
    key: Path = field(metadata=_key(values.file, "PEM, PKCS#8, not encrypted", '"tls.key"'))
    client_ca: Path | None = field(
        default=None,
        metadata=_key(values.file, "mutual TLS: clients need a certificate of one of these", '"clients.pem"'),
    )


@dataclass(frozen=True, slots=True)
class OAuth2Config:
    """Access tokens of 3GPP TS 29.510 that the HTTP front asks for."""

    keys: tuple[Path, ...] = field(
        metadata=_key(
            values.files, "public keys of who signs tokens: PEM, or a JSON Web Key Set", '["nrf.pem"]'
        )
    )
    algorithms: tuple[str, ...] = field(
        default=("ES256",),
        metadata=_key(values.list_of(values.choice(*_ALGORITHMS)), "by which tokens may be signed"),
    )
    audience: tuple[str, ...] = field(
        default=("5G_EIR",),
        metadata=_key(values.list_of(values.text), "a token is for one of these: the type, or instance ids"),
    )
    scope: str = field(default="n5g-eir-eic", metadata=_key(values.text, "what a token has to allow"))
    issuers: tuple[str, ...] = field(
        default=(), metadata=_key(values.texts, "who may issue tokens; none: anybody")
    )
    leeway: float = field(
        default=5.0, metadata=_key(values.seconds(0, 300), "seconds that clocks may differ by")
    )
    bulk: bool = field(default=True, metadata=_key(values.flag, "bulk checks and lists ask for a token, too"))


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """What the HTTP front takes at most."""

    rows: int = field(default=100_000, metadata=_key(values.whole(1, 10_000_000), "of a bulk check"))
    bytes: int = field(
        default=8_000_000, metadata=_key(values.whole(1000, 1_000_000_000), "of a request's body")
    )
    uri: int = field(default=2048, metadata=_key(values.whole(256, 65_536), "bytes of a request's URI"))
    concurrency: int = field(
        default=1000,
        metadata=_key(values.whole(1, 1_000_000), "requests with a body under way, of one worker"),
    )


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """N5g-eir and checks in bulk, by HTTP/2 and HTTP/1.1."""

    listen: tuple[Address, ...] = field(
        metadata=_key(values.addresses, "where; a list is allowed", '"127.0.0.1:8080"')
    )
    workers: int = field(
        default_factory=cores,
        metadata=_key(values.whole(1, 1024), "processes for each address; default: the number of cores", "2"),
    )
    root: str = field(default="", metadata=_key(values.root, "the path before /n5g-eir-eic"))
    open: bool = field(
        default=False,
        metadata=_key(values.flag, "whether anybody may ask, where the address is not loopback"),
    )
    tls: TlsConfig | None = field(default=None, metadata=_key(TlsConfig, "leave it out: no TLS"))
    oauth2: OAuth2Config | None = field(default=None, metadata=_key(OAuth2Config, "leave it out: no tokens"))
    limits: LimitsConfig = field(
        default_factory=LimitsConfig, metadata=_key(LimitsConfig, "what is more is refused")
    )


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """A Diameter peer that may connect."""

    identity: str = field(metadata=_key(values.identity, "its Origin-Host", '"mme.example.org"'))
    addresses: tuple[str, ...] = field(
        metadata=_key(values.networks, "where it connects from: addresses or networks", '["10.1.2.0/24"]')
    )


@dataclass(frozen=True, slots=True)
class DiameterConfig:
    """S13 and S13'."""

    listen: tuple[Address, ...] = field(
        metadata=_key(values.addresses, "where; a list is allowed", '"127.0.0.1:3868"')
    )
    identity: str = field(
        default="eir.localdomain", metadata=_key(values.identity, "our Origin-Host", '"eir.example.org"')
    )
    realm: str = field(
        default="localdomain", metadata=_key(values.identity, "our Origin-Realm", '"example.org"')
    )
    watchdog: float = field(
        default=30.0,
        metadata=_key(values.seconds(0.1, 3600), "seconds of silence before we ask whether a peer lives"),
    )
    sctp: bool = field(default=False, metadata=_key(values.flag, "SCTP beside TCP; not every kernel has it"))
    peers: tuple[PeerConfig, ...] = field(
        default=(), metadata=_key(PeerConfig, "who may connect; leave it out: everybody, on loopback only")
    )


@dataclass(frozen=True, slots=True)
class AdminConfig:
    """Metrics, health and the page."""

    listen: tuple[Address, ...] = field(
        metadata=_key(values.addresses, "where; a list is allowed", '"127.0.0.1:9090"')
    )
    open: bool = field(
        default=False,
        metadata=_key(values.flag, "whether anybody may look, where the address is not loopback"),
    )


@dataclass(frozen=True, slots=True)
class FollowConfig:
    """A publisher whose lists the store keeps current."""

    url: str = field(metadata=_key(values.place, "where it publishes", '"https://lists.example/eir"'))
    root: Path = field(metadata=_key(values.file, "its root.json, got by another way", '"root.json"'))
    feed: str = field(
        default="", metadata=_key(values.list_prefix, 'whose lists they are in the store; "": the root says')
    )
    every: float = field(default=300.0, metadata=_key(values.seconds(1, 86_400), "seconds between two looks"))
    max_shrink: float = field(
        default=25.0, metadata=_key(values.percent, "percent of a list that an edition may take away")
    )
    prefix: str = field(
        default="", metadata=_key(values.list_prefix, "what the names of its lists begin with in the store")
    )


@dataclass(frozen=True, slots=True)
class ReadyConfig:
    """When /readyz says that it is not."""

    max_age: Mapping[str, float] = field(
        default_factory=dict,
        metadata=_key(
            values.table_of_seconds,
            'how long a list may go without a change, an empty one too: { stolen = "26h" }',
        ),
    )


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What is logged, on stderr."""

    level: str = field(
        default="info", metadata=_key(values.choice("debug", "info", "warning", "error"), "and what is worse")
    )
    format: str = field(
        default="json", metadata=_key(values.choice("json", "text"), "one object a line, or text")
    )


@dataclass(frozen=True, slots=True)
class RunConfig:
    """How it runs."""

    drain: float = field(
        default=5.0,
        metadata=_key(values.seconds(0, 600), "seconds that requests under way get to end at shutdown"),
    )


@dataclass(frozen=True, slots=True)
class Config:
    """All that `imeiset serve` is told. A front whose section is left out is off."""

    store: StoreConfig = field(metadata=_key(StoreConfig, ""))
    http: HttpConfig | None = field(
        default=None, metadata=_key(HttpConfig, "leave it out: that front is off")
    )
    diameter: DiameterConfig | None = field(
        default=None, metadata=_key(DiameterConfig, "leave it out: that front is off")
    )
    admin: AdminConfig | None = field(
        default=None, metadata=_key(AdminConfig, "metrics, health and the page; leave it out: they are off")
    )
    follow: tuple[FollowConfig, ...] = field(
        default=(), metadata=_key(FollowConfig, "whose lists are followed; leave it out: nobody's")
    )
    ready: ReadyConfig = field(default_factory=ReadyConfig, metadata=_key(ReadyConfig, ""))
    log: LogConfig = field(default_factory=LogConfig, metadata=_key(LogConfig, ""))
    run: RunConfig = field(default_factory=RunConfig, metadata=_key(RunConfig, ""))


def read(path: str | os.PathLike[str]) -> Config:
    """The configuration in a TOML file, whose paths are relative to it. Raises ServeConfigError."""
    name = os.fspath(path)
    try:
        with Path(name).open("rb") as opened:
            data = opened.read(_LONGEST + 1)
    except OSError as error:
        raise ServeConfigError(name, "a readable file", error.strerror or str(error)) from None
    if len(data) > _LONGEST:
        raise ServeConfigError(name, f"a configuration of at most {_LONGEST:,} bytes", "a larger file")
    import tomllib  # here: workers, which read what was understood, keep nothing of it in memory

    try:
        tables = tomllib.loads(data.decode())
    except UnicodeDecodeError:
        raise ServeConfigError(name, "TOML in UTF-8", "other bytes") from None
    except ValueError as error:
        raise ServeConfigError(name, "TOML", mask_text(str(error))) from None
    except RecursionError:
        raise ServeConfigError(name, "TOML", "tables or lists too deep in one another") from None
    return understood(tables, name)


def understood(tables: Mapping[str, Any], path: str = "", options: Mapping[str, str] | None = None) -> Config:
    """The configuration in tables of the form of the file. Raises ServeConfigError.

    path: of the file, to which paths are relative. options: what keys are called to who set them, where
    that is not by their names.
    """
    source = Source(path, options or {})
    found = cast(Config, _table(Config, tables, source, ""))
    _expect_met_risks(found, source)
    return found


def dumped(config: Config) -> str:
    """As JSON, of the form of the file, with absolute paths: `loaded` reads it."""
    return json.dumps(_plain(config), indent=1)


def loaded(text: str) -> Config:
    """What `dumped` wrote, whether or not the files are still there."""
    return cast(Config, _table(Config, json.loads(text), Source("", {}, there=False), ""))


def pinned(config: Config, keep: Callable[[Path], Path]) -> Config:
    """The configuration with copies of the files that it names: what `keep` makes of each."""

    def copied(value: Any) -> Any:
        if is_dataclass(value) and not isinstance(value, type):
            held = {one.name: (one.metadata.get("read"), getattr(value, one.name)) for one in fields(value)}
            new = {
                name: keep(inner)
                if read is values.file and inner is not None
                else tuple(map(keep, inner))
                if read is values.files
                else copied(inner)
                for name, (read, inner) in held.items()
            }
            return replace(value, **new)
        return value

    return cast(Config, copied(config))


def with_fixed(before: Config, new: Config, path: str = "") -> tuple[Config, list[str]]:
    """A new configuration, but for what only a restart can change; and the names of what of that is other.

    Raises ServeConfigError where an address that stays would answer to everybody. path: of the file.
    """
    fixed = []
    for section, keys in _FIXED.items():
        old, given = getattr(before, section), getattr(new, section)
        if (old is None or given is None or not keys) and old != given:
            fixed.append(section)
            new = replace(new, **{section: old})
        elif keys and old is not None:
            names = [key for key in keys if getattr(old, key) != getattr(given, key)]
            fixed += [f"{section}.{key}" for key in names]
            new = replace(new, **{section: replace(given, **{key: getattr(old, key) for key in names})})
    _expect_met_risks(new, Source(path, {}), ", where it listens until a restart" if fixed else "")
    return new, fixed


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        given = {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
        return {name: inner for name, inner in given.items() if inner is not None}
    if isinstance(value, tuple) and not isinstance(value, Address):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path | Address) else value


def _table(kind: type[Any], given: Any, source: Source, name: str) -> Any:
    """The table of a name as one of a class."""
    if not isinstance(given, Mapping):
        raise source.error(name, f"a table: [{name}]", given)
    known = {one.name: one for one in fields(kind)}
    for key in given:
        if key not in known:
            from difflib import get_close_matches

            near = get_close_matches(key, known, 1) or [f"one of {', '.join(known)}"]
            raise source.error(_join(name, key), near[0], words="a key that is not known")
    read_values = {
        key: _value(one, given[key], source, _join(name, key)) for key, one in known.items() if key in given
    }
    for key, one in known.items():
        if key not in given and one.default is MISSING and one.default_factory is MISSING:
            example = one.metadata["example"]
            wanted = f"{one.metadata['help']}: {key} = {example}" if example else f"a table: [{key}]"
            raise source.error(_join(name, key), wanted, words="no such key")
    return kind(**read_values)


def _value(one: "Field[Any]", given: Any, source: Source, name: str) -> Any:
    reader = one.metadata["read"]
    if not isinstance(reader, type):
        try:
            return reader(given, source)
        except BadValue as error:
            raise source.error(name, str(error), error.got) from None
    if one.default != ():
        return _table(reader, given, source, name)
    if not isinstance(given, list):
        raise source.error(name, f"tables: [[{name}]]", given)
    return tuple(_table(reader, entry, source, f"{name}[{i}]") for i, entry in enumerate(given))


def _join(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _expect_met_risks(config: Config, source: Source, more: str = "") -> None:
    """Refuse what would answer to everybody without being told to. more: of an address that does."""
    http, diameter, admin = config.http, config.diameter, config.admin
    if not (http or diameter or admin):
        raise source.error(
            "http", "one of [http], [diameter] and [admin]", words="none: nothing would listen"
        )
    safe_http = http and (
        (http.tls and http.tls.client_ca) or (http.oauth2 and http.oauth2.bulk) or http.open
    )
    risks = (
        (
            http,
            safe_http,
            "http",
            "with http.tls.client_ca, http.oauth2 (for bulk checks, too) or http.open = true",
        ),
        (diameter, diameter and diameter.peers, "diameter", "with [[diameter.peers]], who may connect"),
        (admin, admin and admin.open, "admin", "with admin.open = true"),
    )
    for front, safe, name, remedy in risks:
        for address in front.listen if front and not safe else ():
            if not address.is_loopback:
                expected = f"a loopback address, or another one {remedy}{source.elsewhere}"
                raise source.error(f"{name}.listen", expected, words=f"{address}{more}")
    taken: dict[Address, str] = {}
    for front, _, name, _ in risks:
        for address in front.listen if front else ():
            if address.port and address in taken:
                words = f"{address}, which {taken[address]}.listen has"
                raise source.error(f"{name}.listen", "an address of its own", words=words)
            taken[address] = name
