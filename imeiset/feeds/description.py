"""Registers from a description: a small TOML file that names the lists, their files and the policy.

    [policy]                    # all of it may be left out
    response_type = 1           # 1, 2 or 3
    unlisted = "unknown"        # a status; what equipment on no list gets
    malformed = "blacklisted"   # a status; what input gets that is not an IMEI, which otherwise is an error
    precedence = ["imsi", "pair", "exact", "range", "tac"]

    [[lists]]
    name = "stolen"
    status = "blacklisted"      # whitelisted, blacklisted or greylisted
    files = ["stolen.csv.gz"]   # beside the description, or anywhere; whatever `load` reads
    kind = "imeis"              # or ranges, tacs, exempt, lock, imsis
    reason = "stolen"           # of what has none in its feed
    details = "keep"            # or ignore: reasons and dates of feeds
    format = "stolen"           # these as for `load`: also column, check_digit, irregular, max_rejects

A list may come in several tables, of different kinds or options. Lists of kind exempt have no status, those
of kind lock are blacklisted unless they say otherwise. IMSI prefixes, one a line, stand in files or in the
description: prefixes = ["26299"].
"""

import os
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from ..errors import FeedDescription, FeedMissing, mask_text
from ..register.imsis import prefix_numbers
from ..register.kinds import FILE_KINDS, KINDS, FileKind, ListRule
from ..register.lists import List
from ..register.policy import EquipmentStatus, Policy
from ..register.register import Register
from .formats import FORMATS
from .options import Options
from .sources import is_remote

_POLICY = ("response_type", "unlisted", "malformed", "precedence")
_OPTIONS = ("format", "column", "check_digit", "irregular", "max_rejects")
_LIST = ("name", "status", "kind", "reason", "files", "prefixes", "details", *_OPTIONS)
_STATUSES = tuple(status.name.lower() for status in EquipmentStatus)
_WORDS: dict[Any, str] = {
    str: "a text",
    int: "a number",
    list: "a list",
    dict: "a table",
    (int, str): "a name or a number",
}
_LONGEST = 1 << 24  # bytes of a list of IMSI prefixes, and of a description


@dataclass(frozen=True, slots=True)
class Listing:
    """One table of a description: files of one kind that go to one list."""

    name: str
    kind: FileKind
    status: EquipmentStatus
    reason: str | None = None
    files: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    details: bool = True
    options: Options = field(default_factory=Options)

    @property
    def rule(self) -> ListRule:
        """By which the list holds what is in the files."""
        return FILE_KINDS[self.kind][1]

    def holding(self, **held: Any) -> List:
        """The list of a register, with this in it."""
        return List(self.name, self.status, FILE_KINDS[self.kind][0], self.reason or "", **held)


@dataclass(frozen=True, slots=True)
class Description:
    """A description that was read and understood; its files are where they are from here."""

    path: str
    policy: Policy
    lists: tuple[Listing, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """All files, in order."""
        return tuple(name for one in self.lists for name in one.files)


def read_description(path: str | os.PathLike[str]) -> Description:
    """Read a description. Raises FeedMissing, also for a file that it names, and FeedDescription."""
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            text = file.read(_LONGEST + 1)
        if len(text) > _LONGEST:
            raise FeedDescription(name, f"at most {_LONGEST} bytes", "more")
        found = tomllib.loads(text.decode())
    except OSError as error:
        raise FeedMissing(name, "a readable file", error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, or nested without end
        raise FeedDescription(name, "TOML", str(error)) from None
    top = _TomlTable(name, "the description", found, ("policy", "lists"))
    policy = _policy(_TomlTable(name, "policy", top.get("policy", dict, {}), _POLICY))
    tables = found.get("lists", [])
    if not tables or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        got = "none" if not tables else "others" if isinstance(tables, list) else "[lists] or another 'lists'"
        raise FeedDescription(name, "a table [[lists]] for each list", got)
    lists = []
    for number, table in enumerate(tables, 1):
        title = table.get("name")
        where = f"list {number}" + (f", {title!r}" if isinstance(title, str) else "")
        lists.append(_listing(_TomlTable(name, where, table, _LIST), Path(name).parent))
    described = Description(name, policy, tuple(lists))
    with understood(name):
        empty_register(described)
    for source in described.files:
        if source != "-" and not is_remote(source) and not Path(source).exists():
            raise FeedMissing(source, f"a file that {name} names", "No such file or directory")
    return described


class _TomlTable:
    """A table of a description, asked key by key."""

    def __init__(self, path: str, where: str, values: dict[str, Any], keys: tuple[str, ...]) -> None:
        self.path, self.where, self._values = path, where, values
        for key in values:
            if key not in keys:
                meant = _nearest(key, keys)
                expected = meant if meant.startswith("one of") else f"a key with {meant}"
                raise self.error(expected, mask_text(repr(key)))

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def error(self, expected: str, got: str) -> FeedDescription:
        return FeedDescription(self.path, f"in {self.where} {expected}", got)

    def get(self, key: str, kind: Any, otherwise: Any = None) -> Any:
        """A value of that type; TOML's booleans are no numbers."""
        value = self._values.get(key, otherwise)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise self.error(f"{_WORDS[kind]} as {key!r}", mask_text(repr(value)))
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; one may stand alone."""
        value = self._values.get(key, [])
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
            raise self.error(f"texts as {key!r}", mask_text(repr(value)))
        return tuple(value)

    def one_of(self, key: str, names: Iterable[str], otherwise: str | None = None) -> str | None:
        """One of some words, in lower case."""
        value, known = self.get(key, str, otherwise), tuple(names)
        if value is not None and value.lower() not in known:
            raise self.error(f"as {key!r} {_nearest(value.lower(), known)}", mask_text(repr(value)))
        return None if value is None else value.lower()

    def status(self, key: str, *, decided: bool = True) -> EquipmentStatus | None:
        """A status by its name; decided: not UNKNOWN."""
        name = self.one_of(key, [name for name in _STATUSES if name != "unknown" or not decided])
        return None if name is None else EquipmentStatus[name.upper()]


def _nearest(word: str, words: tuple[str, ...]) -> str:
    """What was meant, or could be."""
    near = get_close_matches(word, words, 1)
    return f"{near[0]!r} as the nearest" if near else f"one of {', '.join(words)}"


def _policy(table: _TomlTable) -> Policy:
    given: dict[str, Any] = {}
    for key in ("unlisted", "malformed"):
        given[key] = table.status(key, decided=False)
    if "response_type" in table:
        given["response_type"] = table.get("response_type", int)
    if "precedence" in table:
        given["precedence"] = table.texts("precedence")
    with understood(table.path):
        return Policy(**given)


def _listing(table: _TomlTable, folder: Path) -> Listing:
    name = table.get("name", str)
    if name is None:
        raise table.error("a 'name'", "none")
    kind = cast(FileKind, table.one_of("kind", FILE_KINDS, "imeis"))
    facts, rule = KINDS[FILE_KINDS[kind][0]], FILE_KINDS[kind][1]
    status = table.status("status")
    if facts.fixed and facts.status is not None and status not in (None, facts.status):
        word = facts.status.name.lower()
        raise table.error(f"no 'status': a list of kind {kind!r} is {word}", repr(status))
    status = facts.status if status is None else status
    if status is None:
        raise table.error(f"a 'status' of {', '.join(_STATUSES[:3])}", "none")
    files, prefixes = table.texts("files"), table.texts("prefixes")
    if prefixes and rule != "imsi":
        raise table.error("'prefixes' in a list of kind 'imsis' only", f"kind {kind!r}")
    if not files and not prefixes:
        raise table.error("'files'", "none")
    given: dict[str, Any] = {
        "format": table.one_of("format", FORMATS),
        "max_rejects": table.get("max_rejects", int),
        "check_digit": table.one_of("check_digit", ("ignore", "spare", "require")),
        "irregular": table.one_of("irregular", ("reject", "keep")),
        "column": table.get("column", (int, str)),
    }
    given = {key: value for key, value in given.items() if value is not None}
    if (given.get("max_rejects") or 0) < 0:
        raise table.error("'max_rejects' from 0", f"{given['max_rejects']}")
    if rule == "imsi" and (others := sorted(given)):
        raise table.error("no such key in a list of kind 'imsis'", repr(others[0]))
    if rule != "exact" and given.get("irregular") == "keep":
        raise table.error("irregular = \"keep\" in a list of kind 'imeis' only", f"kind {kind!r}")
    given.setdefault("format", kind if rule in ("range", "tac") else None)
    found = tuple(
        one if one == "-" or is_remote(one) else os.fspath(folder / Path(one).expanduser()) for one in files
    )
    details = table.one_of("details", ("keep", "ignore"), "keep") == "keep"
    reason = table.get("reason", str)
    return Listing(name, kind, status, reason, found, prefixes, details, Options(**given))


@contextmanager
def understood(path: str) -> Iterator[None]:
    """Errors in the making of a register are those of its description."""
    try:
        yield
    except ValueError as error:
        raise FeedDescription(path, "lists and a policy that make a register", str(error)) from None


def empty_register(described: Description) -> Register:
    """The register with all its lists, and nothing in them."""
    register = Register(described.policy)
    for one in described.lists:
        register.add_list(one.holding())
        prefix_numbers(one.prefixes)
    return register
