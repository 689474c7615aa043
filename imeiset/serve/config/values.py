"""The values in a configuration of `imeiset serve`: what each kind of value has to be."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from imeiset.errors import ServeConfigError, mask_text

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MAPPED = 96  # bits before an IPv4 address in an IPv6 one
_PERIOD = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_ROOT = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_KINDS = {
    bool: "true or false",
    str: "a text",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a table",
}
Read = TypeVar("Read")


class Address(NamedTuple):
    """Where a front listens. Port 0 is any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.host).is_loopback


class BadValue(Exception):
    """A value that is not what is expected, which the message says. got: the part that is wrong."""

    def __init__(self, expected: str, got: Any) -> None:
        super().__init__(expected)
        self.got = got


class Source(NamedTuple):
    """Where a configuration comes from, "" if not from a file, and what keys are called there.

    there: whether the files that it names have to exist.
    """

    path: str
    options: Mapping[str, str]
    there: bool = True

    @property
    def folder(self) -> Path:
        """To which paths are relative."""
        return Path(self.path).absolute().parent if self.path else Path.cwd()

    @property
    def elsewhere(self) -> str:
        """Where keys can be set that this source does not have."""
        return " in a configuration (--example prints one)" if self.options else ""

    def error(self, key: str, expected: str, got: Any = None, *, words: str = "") -> ServeConfigError:
        """Of a key. words: what it is instead, where a value cannot say so."""
        return ServeConfigError(self.path, expected, words or _shown(got), key=self.options.get(key, key))


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{mask_text(value)}'"
    if isinstance(value, int | float):
        return mask_text(str(value))
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def _expect(kind: type[Read], value: Any, expected: str) -> Read:
    if type(value) is not kind:
        raise BadValue(expected, value)
    return value


def flag(value: Any, source: Source) -> bool:
    """True or false."""
    return _expect(bool, value, "true or false")


def text(value: Any, source: Source) -> str:
    """Some text."""
    if not _expect(str, value, "a text").strip() or not value.isprintable():
        raise BadValue("a text of printable characters", value)
    return str(value)


def whole(low: int, high: int) -> Callable[[Any, Source], int]:
    """A reader of whole numbers from low to high."""

    def read(value: Any, source: Source) -> int:
        expected = f"a whole number from {low:,} to {high:,}"
        if not low <= _expect(int, value, expected) <= high:
            raise BadValue(expected, value)
        return int(value)

    return read


def seconds(low: float, high: float) -> Callable[[Any, Source], float]:
    """A reader of seconds from low to high."""

    def read(value: Any, source: Source) -> float:
        expected = f'{low:g} to {high:,.0f} seconds, or such a time as "5s", "15m", "26h" or "7d"'
        found = value
        if isinstance(value, str) and (match := _PERIOD.fullmatch(value.strip())):
            found = float(match[1]) * _UNITS[match[2]]
        if type(found) not in (int, float) or not low <= found <= high:  # NaN is in no range
            raise BadValue(expected, value)
        return float(found)

    return read


def percent(value: Any, source: Source) -> float:
    """From 0 to 100."""
    if type(value) not in (int, float) or not 0 <= value <= 100:
        raise BadValue("percent from 0 to 100", value)
    return float(value)


def choice(*words: str) -> Callable[[Any, Source], str]:
    """A reader of one of some words."""

    def read(value: Any, source: Source) -> str:
        if value not in words:
            raise BadValue(f"one of {', '.join(words)}", value)
        return str(value)

    return read


def list_of(reader: Callable[[Any, Source], Read]) -> Callable[[Any, Source], tuple[Read, ...]]:
    """A reader of a list of what another reads, of one or more."""

    def read(value: Any, source: Source) -> tuple[Read, ...]:
        if not _expect(list, value, "a list"):
            raise BadValue("a list of at least one", value)
        return tuple(reader(one, source) for one in value)

    return read


def texts(value: Any, source: Source) -> tuple[str, ...]:
    """A list of texts, maybe an empty one."""
    return tuple(text(one, source) for one in _expect(list, value, "a list of texts"))


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except OSError:  # a name that is too long
        return False


def folder(value: Any, source: Source) -> Path:
    """A directory. Whether it holds a store shows when it is opened."""
    path = source.folder / text(value, source)
    if source.there and not _is(Path.is_dir, path):
        raise BadValue("the directory of a store", value)
    return path


def file(value: Any, source: Source) -> Path:
    """A file that is there."""
    path = source.folder / text(value, source)
    if source.there and not _is(Path.is_file, path):
        raise BadValue("a file that is there", str(path))
    return path


files = list_of(file)


def place(value: Any, source: Source) -> str:
    """Where somebody publishes: a URL, or the path of a folder, which need not be there."""
    found = text(value, source)
    return found if "://" in found else str(source.folder / found)


def list_prefix(value: Any, source: Source) -> str:
    """What names of lists begin with, or nothing."""
    return "" if value == "" else text(value, source)


def root(value: Any, source: Source) -> str:
    """A path before those of an API."""
    found = _expect(str, value, "a text").rstrip("/")
    if not _ROOT.fullmatch(found):
        raise BadValue('a path such as "/eir", or ""', value)
    return found


def identity(value: Any, source: Source) -> str:
    """A DiameterIdentity: the full name of a host, or a realm."""
    if not _HOST.fullmatch(_expect(str, value, "a text")) or len(value) > 255:
        raise BadValue('a name such as "eir.example.org"', value)
    return str(value)


def address(value: Any, source: Source) -> Address:
    """An IP address and a port."""
    expected = 'an IP address and a port: "127.0.0.1:8080", "[::1]:8080"'
    host, colon, port = _expect(str, value, expected).rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise BadValue(expected, value)
    host = "127.0.0.1" if host == "localhost" else host
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise BadValue(expected, value) from None
    if not (colon and port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65_536):
        raise BadValue(expected, value)
    return Address(host, int(port))


def addresses(value: Any, source: Source) -> tuple[Address, ...]:
    """One address, or a list of several."""
    return list_of(address)([value] if isinstance(value, str) else value, source)


def networks(value: Any, source: Source) -> tuple[str, ...]:
    """Addresses or networks."""
    return list_of(_network)(value, source)


def _network(value: Any, source: Source) -> str:
    expected = 'an address or a network: "10.1.2.3", "10.1.2.0/24"'
    try:
        found = ipaddress.ip_network(_expect(str, value, expected))
    except ValueError:
        raise BadValue(expected, value) from None
    mapped = getattr(found.network_address, "ipv4_mapped", None)
    if mapped is not None and found.prefixlen >= _MAPPED:  # by which such peers are known
        found = ipaddress.ip_network((mapped, found.prefixlen - _MAPPED))
    return str(found)


def table_of_seconds(value: Any, source: Source) -> dict[str, float]:
    """Times by name."""
    given = _expect(dict, value, "a table of times by list")
    return {str(name): seconds(1, 10 * 366 * 86_400)(period, source) for name, period in given.items()}
