"""Registers from a description: a small TOML file that names the lists, their files and the policy.

    [policy]                    # all of it may be left out
    response_type = 1           # 1, 2 or 3
    unlisted = "unknown"        # a status; what equipment on no list gets
    malformed = "blacklisted"   # a status; what gets input that is no IMEI, which otherwise is an error
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
import re
import time
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from ..errors import FeedColumn, FeedDescription, FeedLimit, FeedMissing, FeedRejects, mask_imsi, mask_text
from ..register.imsis import prefix_numbers
from ..register.kinds import FILE_KINDS, KINDS, RULES, FileKind, ListRule
from ..register.layered import LayeredSet
from ..register.lists import List
from ..register.pairs import LayeredPairs
from ..register.policy import EquipmentStatus, Policy
from ..register.register import Register
from ..sets import ImeiSet
from .details import DETAILS, described
from .formats import FORMATS
from .loader import Progress, Rows, read
from .reader import Options, RejectFiles
from .report import LoadReport
from .sources import Source, is_remote, size_of

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


class ListReport(NamedTuple):
    """What was in the files of one table of a description; keys counts what the list got of them."""

    name: str
    kind: FileKind
    report: LoadReport


class LoadedRegister(NamedTuple):
    """The register of a description, and what was in its files.

    Attributes
    ----------
    register, reports : Register, tuple of ListReport
        The register, and the report of each table of the description.

    Examples
    --------
    >>> imeiset.LoadedRegister._fields
    ('register', 'reports')
    """

    register: Register
    reports: tuple[ListReport, ...]


# ---- understanding it ------------------------------------------------------------------


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
    with _understood(name):
        _empty(described)
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
                near = get_close_matches(key, keys, 1)
                expected = f"{near[0]!r} as the nearest" if near else f"one of {', '.join(keys)}"
                raise self.error(f"a key with {expected}" if near else expected, mask_text(repr(key)))

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
            near = get_close_matches(value.lower(), known, 1)
            expected = f"{near[0]!r} as the nearest" if near else f"one of {', '.join(known)}"
            raise self.error(f"as {key!r} {expected}", mask_text(repr(value)))
        return None if value is None else value.lower()

    def status(self, key: str, *, decided: bool = True) -> EquipmentStatus | None:
        """A status by its name; decided: not UNKNOWN."""
        name = self.one_of(key, [name for name in _STATUSES if name != "unknown" or not decided])
        return None if name is None else EquipmentStatus[name.upper()]


def _policy(table: _TomlTable) -> Policy:
    given: dict[str, Any] = {}
    for key in ("unlisted", "malformed"):
        given[key] = table.status(key, decided=False)
    if "response_type" in table:
        given["response_type"] = table.get("response_type", int)
    if "precedence" in table:
        given["precedence"] = table.texts("precedence")
    with _understood(table.path):
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
def _understood(path: str) -> Iterator[None]:
    """Errors in the making of a register are those of its description."""
    try:
        yield
    except ValueError as error:
        raise FeedDescription(path, "lists and a policy that make a register", str(error)) from None


def _empty(described: Description) -> Register:
    """The register with all its lists, and nothing in them."""
    register = Register(described.policy)
    for one in described.lists:
        register.add_list(one.holding())
        prefix_numbers(one.prefixes)
    return register


def load_register(
    description: Description | str | os.PathLike[str],
    *,
    rejects: str | os.PathLike[str] | None = None,
    max_rejects: int | None = None,
    max_rows: int | None = None,
    progress: Progress | None = None,
) -> LoadedRegister:
    """The register that a TOML file describes: see the head of `imeiset.feeds.description`.

    All lists are loaded, or nothing is returned and no rejects are left. Raises as `load` does.

    Parameters
    ----------
    description : str, os.PathLike or Description
        The TOML file.
    rejects : str or os.PathLike, optional
        Where rejected rows go: for each list to a file of its own, whose name ends in that of the list.
    max_rejects, max_rows : int, optional
        Of each list: how many rejected rows to put up with, if it does not say it, and how many rows.
    progress : callable, optional
        As for `load`.

    Returns
    -------
    LoadedRegister
        The register, and the reports. A row costs 8 bytes and its columns, twice, list by list.

    Examples
    --------
    >>> with open("list.csv", "w") as file:
    ...     _ = file.write("imei\\n490154203237518\\n")
    >>> with open("register.toml", "w") as file:
    ...     _ = file.write("[[lists]]\\nname = 'stolen'\\nstatus = 'blacklisted'\\nfiles = ['list.csv']\\n")
    >>> imeiset.load_register("register.toml").register.check("490154203237518").list
    'stolen'
    """
    if not isinstance(description, Description):
        description = read_description(description)
    register, reports = _empty(description), []
    advance = _Progress(description.files, progress)
    with RejectFiles(description.files) as files:
        for one in description.lists:
            options = replace(one.options, rejects=_rejects(one, rejects), max_rows=max_rows)
            if options.max_rejects is None:
                options = replace(options, max_rejects=max_rejects)
            started = time.perf_counter()
            report = _load(register, one, options, advance, files, description.path)
            report.seconds = time.perf_counter() - started
            reports.append(ListReport(one.name, one.kind, report))
            advance.past(one.files)
    return LoadedRegister(register, tuple(reports))


class _Progress:
    """Progress over the files of all lists."""

    def __init__(self, files: tuple[str, ...], progress: Progress | None) -> None:
        sizes = [size_of(name) for name in files]
        self._total = None if None in sizes else sum(cast(list[int], sizes))
        self._done, self._progress = 0, progress

    def __call__(self, done: int, _: int | None) -> None:
        if self._progress:
            self._progress(self._done + done, self._total)

    def past(self, files: tuple[str, ...]) -> None:
        """These files have been read."""
        self._done += sum(size_of(name) or 0 for name in files)


def _rejects(one: Listing, path: str | os.PathLike[str] | None) -> Path | None:
    """Where rejected rows of a list go."""
    if path is None or one.rule == "imsi":
        return None
    target, name = Path(os.path.realpath(path)), re.sub(r"[^\w.-]", "_", one.name)
    return target.with_name(f"{target.stem}-{name}{target.suffix}")


def _load(
    register: Register, one: Listing, options: Options, progress: _Progress, files: RejectFiles, path: str
) -> LoadReport:
    """Add what is in the files of a table of the description at `path`."""
    if one.rule == "imsi":
        with _understood(path):  # no prefix is on two lists
            return _load_prefixes(register, one)
    if one.rule == "pair":
        return _load_pairs(register, one, options, progress, files)
    columns = DETAILS if one.rule == "exact" and one.details else ()
    table = read(one.files, columns, options=options, progress=progress, files=files)
    _expect_identity(one, table)
    report = table.report
    if table.highs is not None:
        members = ImeiSet.from_ranges(table.keys, table.highs)
        register.add_list(one.holding(**{one.rule: LayeredSet(members)}))
        report.keys, report.digest = len(members), members.digest()
        return report
    members, reasons, dates = described(table)
    exact = LayeredSet(members, (reasons, dates))
    register.add_list(one.holding(exact=exact, irregular=frozenset(table.texts.tolist())))
    report.keys = len(members)
    report.duplicates = report.accepted - report.keys - report.texts
    keep = options.irregular == "keep"
    report.digest = (members.keeping(np.unique(table.texts)) if keep else members).digest()
    return report


def _expect_identity(one: Listing, table: Rows) -> None:
    """Raise FeedColumn for a file that holds something else than its list."""
    wanted = RULES[one.rule].identity
    for path, form in zip(table.report.sources, table.report.formats, strict=True):
        got = FORMATS[form].identity
        if got != wanted:
            kind = next(kind for kind, (_, rule) in FILE_KINDS.items() if RULES[rule].identity == got)
            expected = f"{one.kind} for list {one.name!r}, or kind = {kind!r} in its description"
            raise FeedColumn(path, expected, f"a list of {kind}")


def _load_pairs(
    register: Register, one: Listing, options: Options, progress: _Progress, files: RejectFiles
) -> LoadReport:
    table = read(one.files, ("imsi",), options=options, progress=progress, files=files)
    _expect_identity(one, table)
    if "imsi" not in table.columns and table.report.accepted:
        raise FeedColumn(one.files[0], "a header with 'imei' and 'imsi', for pairs", "no column 'imsi'")
    imsis = table.columns.get("imsi", np.empty(0, np.uint64))
    before = register.counts()[one.name].get("pair", 0)
    register.add_list(one.holding(pairs=LayeredPairs.of(table.keys, imsis)))
    table.report.keys = register.counts()[one.name].get("pair", 0) - before
    table.report.duplicates = table.report.accepted - table.report.keys
    return table.report


def _load_prefixes(register: Register, one: Listing) -> LoadReport:
    """IMSI prefixes of 1 to 15 digits, one a line."""
    report, prefixes = LoadReport(), list(one.prefixes)
    for path in one.files:
        report.sources.append(path)
        report.formats.append("imsis")
        for number, line in enumerate(_lines(path), 1):
            report.lines += 1
            text = line.strip()
            if not text or text.startswith("#"):
                report.blank, report.comments = report.blank + (not text), report.comments + bool(text)
                continue
            report.rows += 1
            if not re.fullmatch("[0-9]{1,15}", text):
                raise FeedRejects(
                    path, "an IMSI prefix of 1 to 15 digits", f"'{mask_imsi(text)}'", line=number
                )
            prefixes.append(text)
            report.accepted += 1
    register.add_imsis(one.name, prefixes, status=one.status, reason=one.reason)
    report.keys = len(set(prefixes))
    report.duplicates = len(prefixes) - report.keys
    return report


def _lines(path: str) -> list[str]:
    text = bytearray()
    with Source(path) as source:
        for buffer, start, stop in source:
            text += buffer[start:stop]
            source.release(buffer)
            if len(text) > _LONGEST:
                raise FeedLimit(path, f"at most {_LONGEST} bytes of IMSI prefixes", "more")
    lines = text.decode(errors="replace").split("\n")
    return lines[:-1] if lines[-1] == "" else lines
