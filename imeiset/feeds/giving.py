"""The lists of a register or a store to files that others read, and that load to the same register."""

import datetime
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import numpy as np

from .._files import publish
from ..register.checks import Checks
from ..register.entries import Entries, chosen, entries_of
from ..register.joining import joined, spoken
from ..register.kinds import FILE_KINDS, KINDS, FileKind, ListRule
from ..register.lists import List, held_text
from ..register.policy import EquipmentStatus, Policy
from .loader import Progress
from .tables import DETAILS, TITLES, write_parquet, write_text
from .titles import words_of_changes

Form = Literal["plain", "csv", "dirbs", "parquet"]
FORMS: tuple[Form, ...] = ("plain", "csv", "dirbs", "parquet")
DESCRIPTION = "register.toml"
Operators = Mapping[str, Sequence[str]]
_TEXTS: tuple[ListRule, ...] = ("range", "tac", "imsi")  # which are read from text only
_TOGETHER: tuple[tuple[ListRule, ...], ...] = (
    ("exact", "irregular"),
    ("range",),
    ("tac",),
    ("pair",),
    ("imsi",),
)
_DIRBS = {"exact": ("imei", "block_date", "reasons"), "pair": ("imei", "imsi", "msisdn")}
_OTHERS = "others"


class Exported(NamedTuple):
    """One file that was written. lists: whose it is; kind: what a description calls it."""

    path: str
    lists: tuple[str, ...]
    kind: FileKind
    rows: int


@dataclass(frozen=True, slots=True)
class Table:
    """One file to write: what lists have by some rules. prefixes: only pairs with such IMSIs; None for all.
    others: only pairs with none of them."""

    name: str
    lists: tuple[List, ...]
    rules: tuple[ListRule, ...]
    form: Form
    joined: bool = False
    prefixes: tuple[str, ...] | None = None
    others: bool = False

    @property
    def kind(self) -> FileKind:
        """What a description calls it."""
        return next(
            kind for kind, facts in FILE_KINDS.items() if facts == (self.lists[0].kind, self.rules[0])
        )

    @property
    def titles(self) -> tuple[str, ...]:
        """Its columns: of details those that a list has."""
        rule = self.rules[0]
        titles = TITLES[rule]
        if self.form == "plain":
            return titles if rule in _TEXTS else titles[: 2 if rule == "pair" else 1]
        if self.form == "dirbs":
            return _DIRBS.get(rule, titles)
        return titles + tuple(name for name in DETAILS if any(says(one, rule, name) for one in self.lists))

    def entries(self) -> Iterator[Entries]:
        """Its rows."""
        if self.joined:
            return joined(self.lists)
        every: Iterator[Entries] = (some for one in self.lists for some in entries_of(one, rules=self.rules))
        every = map(spoken, every) if self.form == "dirbs" else every
        return every if self.prefixes is None else map(self._of_operator, every)

    def _of_operator(self, some: Entries) -> Entries:
        texts = np.array([str(number)[1:] for number in (some.imsis if some.imsis is not None else ())])
        here = np.zeros(len(some), bool)
        for prefix in self.prefixes or ():
            here |= np.char.startswith(texts, prefix) if len(texts) else here
        rows = ~here if self.others else here
        untils = some.details[2] and replace(some.details[2], codes=some.details[2].codes[rows])
        imsis = None if some.imsis is None else some.imsis[rows]
        return replace(some, keys=some.keys[rows], imsis=imsis, details=(None, None, untils))

    def write(self, file: BinaryIO, progress: Progress | None) -> int:
        """Write it; how many rows."""

        def told(size: int) -> None:
            if progress:
                progress(size, None)

        rows = filter(len, self.entries())
        if self.form == "parquet" and self.rules[0] not in _TEXTS:
            return write_parquet(file, self.titles, rows, told=told)
        header = self.titles != ("imsi",) and (self.form != "plain" or len(self.titles) > 1)
        return write_text(file, self.titles, rows, header=header, told=told)


def says(one: List, rule: ListRule, name: str) -> bool:
    """Whether a list has such details of what it has by a rule."""
    at = DETAILS.index(name)
    if rule == "exact":
        return one.exact is not None and any(columns[at] for _, columns in one.exact.sides)
    layers = [one.pairs.base, *(layer.now for layer in one.pairs.layers)] if one.pairs else []
    return rule == "pair" and name == "until" and any(len(pairs.untils.keys) for pairs in layers)


def parts_of(one: List) -> list[tuple[ListRule, ...]]:
    """The rules by which a list holds something, those together that are one file; its first, if nothing."""
    counts = one.counts()
    held = [rules for rules in _TOGETHER if any(counts.get(rule) for rule in rules)]
    first = KINDS[one.kind].rules[0]
    return held or [("exact", "irregular") if first == "exact" else (first,)]


# ---- one file ----------------------------------------------------------------------------


def one_table(source: Checks, form: Form, names: Iterable[str] | None, together: bool) -> Table:
    """The only table of a file. Raises ValueError for what is more than one."""
    lists = chosen(source.lists, names)
    if not lists or (len(lists) > 1 and not together):
        raise ValueError(
            f"expected one list for one file, got {len(lists)}: name one (--list), join them (--joined), or "
            "write to a directory"
        )
    for one in lists if together else ():
        if one.kind != "imeis":
            raise ValueError(f"list {one.name!r}: expected IMEIs to join, got a list of kind {one.kind!r}")
    if len(statuses := {one.status.name for one in lists}) > 1:  # nobody is blocked by a whitelist
        raise ValueError(f"expected lists of one status to join, got {', '.join(sorted(statuses))}")
    for one in lists:
        parts = parts_of(one)
        if len(parts) > 1 or (together and parts[0][0] != "exact"):
            held = held_text(one.counts())
            raise ValueError(
                f"list {one.name!r}: expected IMEIs alone for one file, got {held}: write to a directory"
            )
    [rules] = parts_of(lists[0])
    if form == "parquet" and rules[0] in _TEXTS:
        raise ValueError(f"list {lists[0].name!r}: expected IMEIs or pairs for Parquet, got others: use csv")
    return Table("", lists, rules, form, joined=together)


# ---- a directory -------------------------------------------------------------------------


def write_directory(
    source: Checks,
    folder: Path,
    form: Form,
    names: Iterable[str] | None,
    operators: Operators | None,
    progress: Progress | None,
) -> tuple[Exported, ...]:
    """A file for each list and rule, and the description that loads them; of DIRBS its lists. All of them, or
    none."""
    lists, policy = chosen(source.lists, names), source.policy
    tables = dirbs_tables(lists, operators or {}) if form == "dirbs" else tables_of(lists, form)
    folder.mkdir(exist_ok=True)
    found = []
    with ExitStack() as files:
        if form != "dirbs":  # entered first, it is renamed last
            about = files.enter_context(publish(folder / DESCRIPTION))
            about.write(description(policy, tables).encode())
        opened = [files.enter_context(publish(folder / table.name)) for table in tables]
        for table, file in zip(tables, opened, strict=True):
            rows = table.write(file, progress)
            told = tuple(one.name for one in table.lists)
            found.append(Exported(os.fspath(folder / table.name), told, table.kind, rows))
    return tuple(found)


def tables_of(lists: Sequence[List], form: Form) -> list[Table]:
    """A table for each list and rule."""
    found = []
    for number, one in enumerate(lists, 1):
        slug = re.sub(r"[^a-z0-9]+", "-", one.name.lower()).strip("-")[:40] or "list"
        slug = "list" if words_of_changes(slug) else slug  # of which nobody takes a full list for a delta
        for rules in parts_of(one):
            table = Table("", (one,), rules, form)
            ending = "parquet" if form == "parquet" and rules[0] not in _TEXTS else "csv"
            found.append(replace(table, name=f"{number:02}-{slug}-{table.kind}.{ending}"))
    return found


def dirbs_tables(lists: Sequence[List], operators: Operators) -> list[Table]:
    """The lists that DIRBS gives to operators: what is blacklisted in one, with the reasons of all lists; its
    TACs and ranges; and to each operator the exceptions of its own subscribers."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d_%H%M%S")
    black = tuple(one for one in lists if one.kind == "imeis" and one.status is EquipmentStatus.BLACKLISTED)
    exempt = tuple(one for one in lists if one.kind == "exempt")
    found = [Table(f"{stamp}_blacklist.csv", black, ("exact",), "dirbs", joined=True)] if black else []
    rules: tuple[ListRule, ...] = ("tac", "range")
    for rule in rules:
        if some := tuple(one for one in black if one.counts().get(rule)):
            found.append(Table(f"{stamp}_blacklist_{rule}s.csv", some, (rule,), "dirbs"))
    if exempt and not operators:
        found.append(Table(f"{stamp}_exceptions.csv", exempt, ("pair",), "dirbs"))
    for name, prefixes in operators.items() if exempt else ():
        if not re.fullmatch(r"[\w.-]+", name) or name == _OTHERS:
            raise ValueError(f"operators: expected a name of letters, digits, '-' and '.', got {name!r}")
        title = f"{stamp}_exceptions_{name}.csv"
        found.append(Table(title, exempt, ("pair",), "dirbs", prefixes=tuple(prefixes)))
    if exempt and operators:
        every = tuple(prefix for prefixes in operators.values() for prefix in prefixes)
        title = f"{stamp}_exceptions_{_OTHERS}.csv"
        found.append(Table(title, exempt, ("pair",), "dirbs", prefixes=every, others=True))
    return found


def description(policy: Policy, tables: Sequence[Table]) -> str:
    """The TOML that loads tables to the same lists and policy, see `imeiset.feeds.description`."""
    lines = ["[policy]", f"response_type = {policy.response_type}"]
    for key in ("unlisted", "malformed"):
        status = getattr(policy, key)
        lines += [f"{key} = {_toml(status.name.lower())}"] if status is not None else []
    lines += [f"precedence = [{', '.join(map(_toml, policy.precedence))}]"]
    for table in tables:
        one = table.lists[0]
        said = {"name": one.name, "kind": table.kind, "status": one.status.name.lower()}
        if KINDS[one.kind].fixed:
            del said["status"]
        said |= {key: text for key in ("reason", "owner") if (text := getattr(one, key))}
        if one.irregular and table.rules[0] == "exact":
            said |= {"irregular": "keep", "lost_zeros": "keep"}
        if "reasons" in table.titles:  # whatever they say, they are reasons
            said["reason_column"] = "reasons"
        lines += ["", "[[lists]]", *(f"{key} = {_toml(text)}" for key, text in said.items())]
        lines += [f"files = [{_toml(table.name)}]"]
    return "\n".join(lines) + "\n"


def _toml(text: str) -> str:
    """A text as TOML has it: whatever is no character of a line is escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
