"""Registers from a description: a small TOML file that names the lists, their files and the policy.

    [policy]                    # all of it may be left out
    response_type = 1           # 1, 2 or 3
    unlisted = "unknown"        # a status; what equipment on no list gets
    malformed = "blacklisted"   # a status; what input gets that is not an IMEI, which otherwise is an error
    precedence = ["imsi", "pair", "exact", "range", "tac"]

    [[lists]]
    name = "stolen"
    status = "blacklisted"      # whitelisted, blacklisted or greylisted
    files = ["stolen-*.csv.gz"] # beside the description, or anywhere; whatever `load` reads
    newest = true               # of the files that the pattern matches, only the last by name; or "time"
    kind = "imeis"              # or ranges, tacs, block, exempt, lock, imsis
    reason = "stolen"           # of what has none in its feed
    owner = "op-a"              # who alone changes the list in a store; anybody, if it is left out
    details = "keep"            # or ignore: reasons, dates and last days of feeds
    format = "stolen"           # these as for `load`, by the same names: see `feeds.options`
    column = ["IMEI1", "IMEI2"]
    where = "status=Blocked"    # or { status = ["Blocked", "Lost"] }
    date_column = "since"       # with until_column, date_format, reason_column: what feeds say of a phone
    change_column = "action"    # with change_values: of deltas, for `imeiset apply --description`
    change_values = { A = "add", D = "remove" }

A list may come in several tables, of different kinds or options; one of them says the reason and the owner.
Lists of kind exempt have no status, those of kinds block and lock are blacklisted unless they say otherwise.
IMSI prefixes, one a line, stand in files or in the description: prefixes = ["26299"].
"""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from glob import glob
from pathlib import Path
from typing import Any, cast

from ..errors import FeedDescription, FeedError, FeedMissing, mask_text
from ..register.imsis import prefix_numbers
from ..register.kinds import FILE_KINDS, KINDS, RULES, FileKind, ListRule
from ..register.lists import List
from ..register.policy import EquipmentStatus, Policy
from ..register.register import Register
from .formats import Polarity
from .options import DEFAULTS, Options, as_keys, options_of
from .sources import Paths, is_remote, names_of

_POLICY = ("response_type", "unlisted", "malformed", "precedence")
_OPTIONS = options_of("list")
# A delta may have other lines above it. What a list leaves out may be a removal, in its deltas.
_OF_FULL_LISTS = ("where", "skip", "max_rejects")
_LIST = ("name", "status", "kind", "reason", "owner", "files", "newest", "prefixes", "details", *_OPTIONS)
# The rules of lists that an option is for, if it is not for all that hold equipment.
_RULES: dict[str, tuple[ListRule, ...]] = {
    **dict.fromkeys(("irregular", "imsi", "date_column", "reason_column"), ("exact",)),
    **dict.fromkeys(("until_column", "date_format", "lost_zeros", "tbcd"), ("exact", "pair")),
}
_POLARITIES: dict[EquipmentStatus, Polarity] = {
    EquipmentStatus.WHITELISTED: "whitelist",
    EquipmentStatus.GREYLISTED: "greylist",
}
_DETAILS = ("date_column", "until_column", "date_format", "reason_column")
_STATUSES = tuple(status.name.lower() for status in EquipmentStatus)
_WORDS: dict[Any, str] = {
    str: "a text",
    int: "a number",
    list: "a list",
    dict: "a table",
}
Files = Mapping[str, Paths]
_LONGEST = 1 << 24  # bytes of a list of IMSI prefixes, and of a description


@dataclass(frozen=True, slots=True)
class Listing:
    """One table of a description: files of one kind that go to one list."""

    name: str
    kind: FileKind
    status: EquipmentStatus
    reason: str | None = None
    owner: str | None = None
    files: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    details: bool = True
    options: Options = field(default_factory=Options)
    newest: str = ""  # of the files that a pattern matches: all, the last by "name", or by "time"

    @property
    def rule(self) -> ListRule:
        """By which the list holds what is in the files."""
        return FILE_KINDS[self.kind][1]

    def holding(self, **held: Any) -> List:
        """The list of a register, with this in it."""
        return List(
            self.name, self.status, FILE_KINDS[self.kind][0], self.reason or "", self.owner or "", **held
        )


@dataclass(frozen=True, slots=True)
class Description:
    """A description that was read and understood; its files are where they are from here."""

    path: str
    policy: Policy
    lists: tuple[Listing, ...]

    def told(self, error: FeedError, name: str) -> FeedError:
        """An error about a file of a list, in which options are the keys of the description."""
        expected, got = as_keys(error.expected), as_keys(error.got)
        if (expected, got) == (error.expected, error.got):
            return error
        where = "a description" if Path(self.path).is_dir() else self.path  # of a feed without one
        got += f"; write it in list {name!r} of {where}"
        return type(error)(error.path, expected, got, line=error.line, key=error.key)

    @property
    def files(self) -> tuple[str, ...]:
        """All files, in order."""
        return tuple(name for one in self.lists for name in one.files)


def read_description(path: str | os.PathLike[str], files: Files | None = None) -> Description:
    """Read a description. Raises FeedMissing, also for a file that it names, and FeedDescription.

    files: instead of those of lists, by name; found from here, not from the description.
    """
    described = _understood(path)
    name, lists = described.path, list(described.lists)
    given = _replaced(name, lists, files or {})
    for place, one in enumerate(lists):
        folder = Path() if place in given else Path(name).parent
        lists[place] = _found(name, replace(one, files=given.get(place, one.files)), folder)
    return replace(described, lists=tuple(lists))


def lists_of(path: str | os.PathLike[str]) -> tuple[Listing, ...]:
    """The lists of a description, whose files need not be there."""
    return _understood(path).lists


def polarity_of(kind: str, status: EquipmentStatus) -> Polarity:
    """What becomes of the phones of a list of a register: words in its files may contradict that."""
    if kind == "lock":
        return "blocklist"  # whatever its status: it says whom a phone is for
    return _POLARITIES.get(status, "blocklist")


def delta_options(
    path: str | os.PathLike[str], name: str | None, rule: ListRule
) -> tuple[dict[str, Any], Polarity]:
    """The options by which a description has deltas of a list read, and what becomes of the phones of the
    list; its files need not be there.

    name: of the list; None if there is but one. rule: by which deltas name equipment. Raises FeedDescription
    if there is no such list, or several of different options.
    """
    described = _understood(path)
    names = tuple(dict.fromkeys(one.name for one in described.lists))
    if name is None and len(names) == 1:
        [name] = names
    if name not in names:
        got = "none" if name is None else _nearest(name, names)
        raise FeedDescription(
            described.path, f"a list of the name that deltas are for: {', '.join(names)}", got
        )
    found: list[dict[str, Any]] = []
    for one in described.lists:
        if one.name == name and one.rule == rule:
            polarity = polarity_of(one.kind, one.status)
            given = {key: getattr(one.options, key) for key in _OPTIONS if key not in _OF_FULL_LISTS}
            given = {key: value for key, value in given.items() if value != DEFAULTS[key]}
            found += [given] if given not in found else []
    found = [given for given in found if "change_column" in given] or found
    if len(found) != 1:
        expected = f"one table of list {name!r} that says how deltas are read, or several that say the same"
        raise FeedDescription(described.path, expected, f"{len(found)} of {RULES[rule].noun}")
    return found[0], polarity


def _understood(path: str | os.PathLike[str]) -> Description:
    """A description whose files are not looked for yet."""
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
    said: dict[tuple[str, str], str] = {}
    for number, one in enumerate(lists, 1):
        for key in ("reason", "owner"):  # of the list, whichever of its tables says it
            text = getattr(one, key)
            if text and said.setdefault((one.name, key), text) != text:
                where = f"in list {number}, {one.name!r} the {key!r} of that list before, or another list"
                raise FeedDescription(name, where, mask_text(repr(text)))
    lists = [replace(one, owner=said.get((one.name, "owner"))) for one in lists]
    with understood(name):
        empty_register(Description(name, policy, tuple(lists)))
    return Description(name, policy, tuple(lists))


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

    def first(self, *keys: str) -> str | None:
        """The first of some keys that it has."""
        return next((key for key in keys if key in self), None)

    def error(self, expected: str, got: str) -> FeedDescription:
        return FeedDescription(self.path, f"in {self.where} {expected}", got)

    def get(self, key: str, kind: Any, otherwise: Any = None) -> Any:
        """A value of that type; TOML's booleans are not numbers."""
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

    def option(self, key: str) -> Any:
        """An option of reading, as `Options` holds it."""
        option = _OPTIONS[key]
        if option.words:
            return self.one_of(key, option.words)
        try:
            return option.read(self._values[key])
        except ValueError as error:
            raise self.error(f"{error} as {key!r}", mask_text(repr(self._values[key]))) from None

    def newest(self) -> str:
        """By what the newest file is told: its "name", the "time" of its last change; "" for all files."""
        value = self._values.get("newest", False)
        known = {False: "", True: "name", "name": "name", "time": "time"}
        if not isinstance(value, bool | str) or value not in known:
            raise self.error('true, false, "name" or "time" as \'newest\'', mask_text(repr(value)))
        return known[value]

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
    given = _options(table, kind)
    newest = table.newest()
    if newest and (len(files) != 1 or not _is_pattern(files[0], folder)):
        raise table.error("one pattern with '*' as 'files' with 'newest'", mask_text(repr(list(files))))
    details = table.one_of("details", ("keep", "ignore"), "keep") == "keep"
    if not details and (unused := table.first(*_DETAILS)):
        raise table.error(f"no {unused!r} beside details = 'ignore'", "one")
    reason, owner = table.get("reason", str), table.get("owner", str)
    return Listing(name, kind, status, reason, owner, files, prefixes, details, given, newest)


def _options(table: "_TomlTable", kind: FileKind) -> Options:
    """The options of reading the files of a list."""
    rule = FILE_KINDS[kind][1]
    given = {name: table.option(name) for name in _OPTIONS if name in table}
    if rule == "imsi" and (others := sorted(given)):
        raise table.error("no such key in a list of kind 'imsis'", repr(others[0]))
    for name, rules in _RULES.items():
        if rule not in rules and given.get(name) not in (None, DEFAULTS[name]):
            kinds = [one for one, (_, held) in FILE_KINDS.items() if held in rules]
            raise table.error(
                f"{name!r} in a list of kind {' or '.join(map(repr, kinds))} only", f"kind {kind!r}"
            )
    if rule in ("range", "tac"):
        given.setdefault("format", kind)
    try:
        return Options(**given)
    except ValueError as error:
        raise table.error(str(error).removeprefix("expected "), "others") from None


# ---- files ---------------------------------------------------------------------------------


def _is_pattern(name: str, folder: Path) -> bool:
    """Whether it stands for files with such names, and is not one itself."""
    return re.search(r"[*?[]", name) is not None and not is_remote(name) and not (folder / name).exists()


def _natural(path: str) -> list[str | int]:
    """A path as people order them: numbers in it are such, 9 before 10."""
    return [int(part) if at % 2 else part for at, part in enumerate(re.split(r"([0-9]+)", path))]


def _found(described: str, one: Listing, folder: Path) -> Listing:
    """A list with its files as they are here. Raises FeedMissing for one that is not there."""
    found: dict[str, None] = {}
    for name in one.files:
        if name == "-" or is_remote(name):
            found[name] = None
            continue
        name = os.path.expanduser(name)  # noqa: PTH111
        path = os.fspath(folder / name)
        if _is_pattern(name, folder):
            named = (os.fspath(folder / match) for match in glob(name, root_dir=folder, recursive=True))  # noqa: PTH207
            matches = [match for match in named if not Path(match).is_dir()]
            if not matches:
                raise FeedMissing(path, f"files that {described} names", "none of such a name")
            matches.sort(key=lambda match: (_natural(match), match))
            if one.newest == "time":
                matches.sort(key=lambda match: Path(match).stat().st_mtime_ns)  # of the same time by name
            found |= dict.fromkeys(matches[-1:] if one.newest else matches)
        elif not Path(path).exists():
            raise FeedMissing(path, f"a file that {described} names", "No such file or directory")
        else:
            found[path] = None
    return replace(one, files=tuple(found))


def _replaced(described: str, lists: list[Listing], files: Files) -> dict[int, tuple[str, ...]]:
    """The files that lists get for one run, by their place."""
    given: dict[int, tuple[str, ...]] = {}
    for name, paths in files.items():
        places = [place for place, one in enumerate(lists) if one.name == name]
        if len(places) != 1:
            expected = f"one list of the name {name!r}, to give it other files"
            got = (
                f"{len(places)} tables of it" if places else _nearest(name, tuple(one.name for one in lists))
            )
            raise FeedDescription(described, expected, got)
        given[places[0]] = tuple(names_of(paths))
        if not given[places[0]]:
            raise FeedDescription(described, f"files for the list {name!r}", "none")
    return given


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
