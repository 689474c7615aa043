"""What one edition changes, in a snapshot of kind 'delta': the grammar of its sections, writer and reader.

    delta     JSON in UTF-8, keys sorted, without spaces: {"delta": 1, "lists": [L, ...]}
    L      := {"name": text, "kind": text}, and
              "gone": true      the list is taken away, with all that it holds
              "new": {"reason": text, "status": number}     then it is made, as the last one
              "r": [text, ...], "d": [text, ...], "u": [text, ...]
                                the reasons, dates and untils of what is added, sorted, where there are some
    I+S, I-S  what is added to list I and removed from it, S its rule: 'exact', 'range', 'tac', 'pair',
              'irreg', 'imsi'; only where there is some, and of lists that go or are new without removals
    I+exact   group, for each combination of reason, date and until, in order of these three:
              how many keys; the codes of the three, 0 for none, i for text i - 1; the keys
    I-exact   the keys
    I+pair    group, for each until: how many pairs; its code; the pairs
    I-pair    the pairs
    I±range   run, in order
    I±tac     the same of whole TACs
    I±irreg   texts, sorted, one a line
    I±imsi    digits of prefixes, sorted, one a line
    keys   := the first, then each as its distance from the one before
    pairs  := for each its key as its distance from the one before, and its IMSI: the number of a 1 and its
              digits
    run    := the keys between it and the run before, which none touches; its keys less one

Numbers are LEB128. All lists that go do so first; then what is removed is removed, then lists are made, then
what is added is added. An exact IMEI or a pair that gets another reason, date or until is added, and not
removed; nothing is both. A list with another status, kind or reason goes and is made again.

So a file is as small as what changes, each key takes a byte at least, and reading it takes memory in
proportion to its bytes. A delta has at most 2**24 rows and 2**16 groups: for more, a base is the better file.

The same two states give the same bytes.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imeiset import snapshot
from imeiset.errors import ImeisetError, SnapshotError, SnapshotMissing, StoreDamaged, TrustRefused, mask_text
from imeiset.register.details import is_date, reasons_text
from imeiset.register.dumps import dump
from imeiset.register.kinds import KINDS, RULES
from imeiset.register.layout import MAX_LISTS
from imeiset.register.lists import List
from imeiset.store.net import net_members
from imeiset.store.payload import (
    HELD_RULES,
    LIST_RULE,
    Change,
    Payload,
    list_about,
    list_change,
    packed,
    unpacked,
)
from imeiset.store.state import lists_after as lists_after
from imeiset.trust.edition import said_of
from imeiset.trust.rows import FORMS, Columns, Numbers, Taken, encoded

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

KIND = "delta"  # of a snapshot that holds one
FORMAT = 1
MAX_ROWS, MAX_GROUPS = 1 << 24, 1 << 16
_DESCRIPTION = "delta"
_SECTIONS = {rule: rule[:5] for rule in RULES}  # the names of rules in those of sections
_COLUMNS = {"r": "reason", "d": "date", "u": "until"}
_OF_RULE = {"exact": "rdu", "pair": "u"}  # what a row of a rule may say
_RUNS = ("range", "tac")
_TAC = np.uint64(10**6)
_ONE = np.uint64(1)


class NoDelta(ImeisetError, ValueError):
    """What changed from one state to another is not told by a delta. Publish a base."""


def write(path: str | os.PathLike[str], old: Sequence[List], new: Sequence[List]) -> None:
    """Write what leads from some published lists to others, in place of the file that is there.

    old, new: in order, with owner "", see `edition.published`. O(members). Raises NoDelta where a base is the
    better file: too much has changed, or the order of the lists; and OSError.
    """
    sections, rows = _sections(old, new)
    snapshot.write(path, KIND, sections, count=rows)


def read(path: str | os.PathLike[str], place: str | None = None) -> tuple[Change, ...]:
    """The changes in a file, in an order in which a store can make them, by nobody.

    A list that goes is told without what it holds. place: what errors name, where it is not the path. Raises
    TrustRefused, with what is wrong in words, for whatever `write` does not make, and SnapshotMissing.
    """
    where = os.fspath(path) if place is None else place
    try:
        file = snapshot.open(path, "memory", kind=KIND)
        file.verify()
        changes, rows = _changes(file.sections)
        found = unpacked(packed(Payload(changes)), Path(file.path)).changes  # or no journal could hold it
        if rows != file.count:
            raise ValueError(f"{rows} rows, and not {file.count}")
        return found
    except SnapshotMissing:
        raise
    except (SnapshotError, StoreDamaged) as error:
        raise TrustRefused(where, error.expected, error.got) from error
    except (
        ImeisetError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise TrustRefused(where, "a delta", mask_text(str(error))) from error


def moved(changes: Iterable[Change], old: Iterable[List]) -> dict[str, tuple[int, int]]:
    """How many members changes add to each list, and remove from it; what gets another reason, date or until
    is added. old: the lists before, which tell what goes with a list."""
    held = {one.name: sum(one.counts().values()) for one in old}
    found: dict[str, tuple[int, int]] = {}
    for change in changes:
        about = change.about
        added, removed = found.get(about["list"], (0, 0))
        if about["rule"] == LIST_RULE:
            removed += held.get(about["list"], 0) if about["remove"] else 0
        elif about["rule"] in _RUNS:
            added, removed = (
                count + int((high - low).sum()) + len(low)
                for count, (low, high) in ((added, change.add), (removed, change.remove))
            )
        else:
            added, removed = (
                count + (len(side) if isinstance(side, list) else side)
                for count, side in ((added, about["add"]), (removed, about["remove"]))
            )
        found[about["list"]] = added, removed
    return found


# ---- written ------------------------------------------------------------------------


@dataclass(slots=True)
class _Entry:
    """What one list is told to become: by rule what is removed, and by what it says what is added."""

    about: dict[str, Any]
    removed: dict[str, list[Columns]] = field(default_factory=dict)
    added: dict[str, dict[tuple[str, ...], list[Columns]]] = field(default_factory=dict)
    texts: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)  # removed, added


def _sections(old: Sequence[List], new: Sequence[List]) -> "tuple[list[tuple[str, ReadableBuffer]], int]":
    before, after = ({one.name: one for one in lists} for lists in (old, new))
    entries, rows, groups = list[_Entry](), 0, 0
    order = [name for name in before if name in after and _same(before[name], after[name])]
    if [one.name for one in new] != order + [name for name in after if name not in order]:
        raise NoDelta("the lists have another order: publish a base")
    gone = [name for name in before if name not in after]
    for name in [*gone, *order, *(name for name in after if name not in order)]:
        was, now = before.get(name), after.get(name)
        entry = _Entry({"name": name, "kind": (now or before[name]).kind})
        stays = was is not None and now is not None and _same(was, now)
        if was is not None and not stays:
            entry.about["gone"] = True
        if now is None:
            entries.append(entry)
            continue
        if not stays:
            entry.about["new"] = {"reason": now.reason, "status": int(now.status)}
        empty = List(name, now.status, now.kind)
        for change in net_members(was if was is not None and stays else empty, now):
            rows += _taken(entry, change)
            if rows > MAX_ROWS:
                raise NoDelta(f"more than {MAX_ROWS:,} rows have changed: publish a base")
        groups += sum(len(entry.added.get(rule, ())) for rule in _OF_RULE)
        if groups > MAX_GROUPS:
            raise NoDelta(f"more than {MAX_GROUPS:,} reasons and dates: publish a base")
        if entry.removed or entry.added or entry.texts or not stays:
            entries.append(entry)
    sections: list[tuple[str, ReadableBuffer]] = []
    for number, entry in enumerate(entries):
        sections += _of_entry(number, entry)
    description = {"delta": FORMAT, "lists": [entry.about for entry in entries]}
    return [(_DESCRIPTION, dump(description)), *sections], rows


def _same(one: List, other: List) -> bool:
    """Whether a list is the same but for what it holds."""
    return (one.status, one.kind, one.reason) == (other.status, other.kind, other.reason)


def _taken(entry: _Entry, change: Change) -> int:
    """How many rows a change brings to an entry."""
    about, rule = change.about, change.about["rule"]
    if not RULES[rule].columns:
        entry.texts[rule] = about["remove"], about["add"]
        return len(about["remove"]) + len(about["add"])
    if about["remove"]:
        entry.removed.setdefault(rule, []).append(change.remove)
    if about["add"]:
        said = tuple(about.get(_COLUMNS[letter], "") for letter in _OF_RULE.get(rule, ""))
        entry.added.setdefault(rule, {}).setdefault(said, []).append(change.add)
    return int(about["remove"] + about["add"])


def _of_entry(number: int, entry: _Entry) -> "Iterator[tuple[str, ReadableBuffer]]":
    """The sections of an entry; the texts of its details go into what is said about it."""
    for rule, some in sorted(entry.removed.items()):
        yield f"{number}-{_SECTIONS[rule]}", encoded(FORMS[rule].parts(_in_order(some)))
    said = [combination for rule in _OF_RULE for combination in entry.added.get(rule, ())]
    for at, letter in enumerate(_COLUMNS):  # of pairs, the only one is the last
        texts = sorted({one[at - len(_COLUMNS)] for one in said if len(one) >= len(_COLUMNS) - at} - {""})
        if texts:
            entry.about[letter] = texts
    for rule, groups in sorted(entry.added.items()):
        yield f"{number}+{_SECTIONS[rule]}", encoded(_grouped(rule, groups, entry.about))
    for rule, sides in entry.texts.items():
        for sign, texts in zip("-+", sides, strict=True):
            if texts:
                yield f"{number}{sign}{_SECTIONS[rule]}", "\n".join(texts).encode()


def _grouped(
    rule: str, groups: Mapping[tuple[str, ...], list[Columns]], about: Mapping[str, Any]
) -> Iterator[Numbers]:
    """The numbers of what is added by a rule, group after group, where the rule has such."""
    letters = _OF_RULE.get(rule, "")
    codes = [{text: code for code, text in enumerate(["", *about.get(letter, ())])} for letter in letters]
    coded = {tuple(of[text] for of, text in zip(codes, said, strict=True)): said for said in groups}
    for combination, said in sorted(coded.items()):
        columns = _in_order(groups[said])
        if letters:
            yield np.array([len(columns[0]), *combination], np.uint64)
        yield from FORMS[rule].parts(columns)


def _in_order(some: Sequence[Columns]) -> Columns:
    """The rows of several lots, in order. None comes twice."""
    if len(some) == 1:
        return some[0]
    columns = [np.concatenate(column) for column in zip(*some, strict=True)]
    order = np.lexsort(columns[::-1])
    return tuple(column[order] for column in columns)


# ---- read ---------------------------------------------------------------------------


def _changes(sections: Mapping[str, memoryview]) -> tuple[tuple[Change, ...], int]:
    """What is in the sections, and how many rows. Raises whatever comes of others."""
    text = bytes(sections[_DESCRIPTION])
    about = json.loads(text)
    if about["delta"] != FORMAT or type(about["delta"]) is not int:
        raise ValueError(f"delta format {about['delta']!r}: update imeiset")
    if {*about} != {"delta", "lists"} or dump(about) != text:
        raise ValueError("a description in another form than it is written in")
    lists = about["lists"]
    if len(lists) > 2 * MAX_LISTS:
        raise ValueError(f"{len(lists)} lists, and not at most {2 * MAX_LISTS}")
    left = {name: sections[name] for name in sections if name != _DESCRIPTION}
    gone, removed, new, added = (list[Change]() for _ in range(4))
    rows, groups = 0, 0
    for number, one in enumerate(lists):
        _expect_list(one)
        read = _Rows(number, one, left, rows, groups)
        mine, minus = [*read.added()], [*read.removed()]
        _expect_apart(one, minus, mine)
        if "gone" in one:
            gone.append(list_change(one["name"], None))
        if "new" in one:
            said = said_of(one["name"], {**one["new"], "kind": one["kind"]})
            new.append(list_change(one["name"], list_about(said)))
        if minus and ("gone" in one or "new" in one):
            raise ValueError(f"list {one['name']!r}: removals from a list that goes or is new")
        if mine and "gone" in one and "new" not in one:
            raise ValueError(f"list {one['name']!r}: additions to a list that goes")
        if not (minus or mine or "gone" in one or "new" in one):
            raise ValueError(f"list {one['name']!r}: no changes")
        removed += minus
        added += mine
        rows, groups = read.rows, read.groups
    if left:
        raise ValueError(f"sections of no list: {', '.join(sorted(left))}")
    names = [one["name"] for one in lists]
    if len({*names}) < len(names):
        raise ValueError("a list that comes twice")
    prefixes = [text for change in added if change.about["rule"] == "imsi" for text in change.about["add"]]
    if len({*prefixes}) < len(prefixes):
        raise ValueError("an IMSI prefix on two lists")
    if len(new) > MAX_LISTS or len(gone) > MAX_LISTS:
        raise ValueError(f"more than {MAX_LISTS} lists that go or are new")
    return (*gone, *removed, *new, *added), rows


def _expect_list(one: Any) -> None:
    """Raise ValueError for what is not the description of a list."""
    if not {"name", "kind"} <= {*one} <= {"name", "kind", "gone", "new", *_COLUMNS}:
        raise ValueError(f"a list with other keys than it may have: {', '.join(sorted(one))}")
    if one.get("gone", True) is not True or {*one.get("new", _NEW)} != _NEW:
        raise ValueError("a list that goes or is new in another way than may be")
    said_of(one["name"], {"kind": one["kind"], "status": int(KINDS[one["kind"]].status or 0), "reason": ""})
    for letter in _COLUMNS:
        texts = one.get(letter, [""])
        if not texts or texts != sorted({*texts}) or (letter in one and "" in texts):
            raise ValueError(f"list {one['name']!r}: texts that are not in order")
        for text in texts:
            if not (reasons_text(text) == text if letter == "r" else not text or is_date(text)):
                raise ValueError(f"list {one['name']!r}: reasons or dates in another form")


_NEW = {"reason", "status"}


class _Rows:
    """The rows of one list, taken from the sections. rows, groups: of all lists so far."""

    def __init__(
        self, number: int, about: Mapping[str, Any], left: dict[str, memoryview], rows: int, groups: int
    ) -> None:
        self._about, self._number, self._left = about, number, left
        self._rules = KINDS[about["kind"]].rules
        self.rows, self.groups = rows, groups

    def removed(self) -> Iterator[Change]:
        """As changes."""
        for rule, section in self._sections("-"):
            if not RULES[rule].columns:
                yield self._change(rule, remove=self._texts(section))
                continue
            numbers = Taken(section)
            yield self._change(rule, remove=self._columns(rule, numbers, numbers.left // FORMS[rule].width))
            self._expect_end(numbers)

    def added(self) -> Iterator[Change]:
        """As changes, one for each group."""
        used: dict[str, set[int]] = {letter: set() for letter in _COLUMNS}
        for rule, section in self._sections("+"):
            if not RULES[rule].columns:
                yield self._change(rule, add=self._texts(section))
                continue
            numbers, letters, before = Taken(section), _OF_RULE.get(rule, ""), (-1,)
            if not letters:
                yield self._change(rule, add=self._columns(rule, numbers, numbers.left // FORMS[rule].width))
            while letters and numbers.left:
                count, *codes = numbers.take(1 + len(letters)).tolist()
                if (*codes,) <= before:
                    raise ValueError(f"list {self._about['name']!r}: groups that are not in order")
                before = (*codes,)
                said = {}
                for letter, code in zip(letters, codes, strict=True):
                    used[letter].add(code)
                    said[_COLUMNS[letter]] = ["", *self._about.get(letter, ())][code]
                self.groups += 1
                if self.groups > MAX_GROUPS:
                    raise ValueError(f"more than {MAX_GROUPS:,} groups")
                yield self._change(rule, add=self._columns(rule, numbers, count), **said)
            self._expect_end(numbers)
        for letter, codes in used.items():
            if len(codes - {0}) != len(self._about.get(letter, ())):
                raise ValueError(f"list {self._about['name']!r}: texts that no row has")

    def _sections(self, sign: str) -> Iterator[tuple[str, memoryview]]:
        for rule in self._rules:
            section = self._left.pop(f"{self._number}{sign}{_SECTIONS[rule]}", None)
            if section is not None:
                yield rule, section

    def _columns(self, rule: str, numbers: Taken, count: int) -> Columns:
        width: int = FORMS[rule].width
        if not 0 < count <= MAX_ROWS:
            raise ValueError(f"{count} rows at once")
        columns: Columns = FORMS[rule].columns(numbers.take(count * width))
        if rule == "tac" and ((columns[0] % _TAC).any() or ((columns[1] + _ONE) % _TAC).any()):
            raise ValueError("parts of a TAC")
        return columns

    def _texts(self, section: memoryview) -> list[str]:
        texts = bytes(section).decode("ascii").split("\n")
        if texts != sorted({*texts}):
            raise ValueError("texts that are not in order")
        return texts

    def _expect_end(self, numbers: Taken) -> None:
        if numbers.left:
            raise ValueError(f"{numbers.left} numbers after the last row")

    def _change(self, rule: str, *, add: Any = None, remove: Any = None, **said: str) -> Change:
        count = [
            0 if side is None else len(side) if isinstance(side, list) else len(side[0])
            for side in (add, remove)
        ]
        self.rows += sum(count)
        if self.rows > MAX_ROWS:
            raise ValueError(f"more than {MAX_ROWS:,} rows")
        about: dict[str, Any] = {"list": self._about["name"], "rule": rule, "reason": "", "date": "", **said}
        if not about.get("until", ""):
            about.pop("until", None)
        if not RULES[rule].columns:
            return Change(about | {"add": add or [], "remove": remove or []}, (), ())
        nothing = (np.empty(0, np.uint64),) * RULES[rule].columns
        held = (np.zeros(count[0], bool), np.ones(count[1], bool)) if rule in HELD_RULES else None
        about |= {"add": count[0], "remove": count[1]}
        return Change(about, add or nothing, remove or nothing, held)


def _expect_apart(one: Mapping[str, Any], removed: Sequence[Change], added: Sequence[Change]) -> None:
    """Raise ValueError where a row of a list comes twice, or is both added and removed."""
    for rule in KINDS[one["kind"]].rules:
        sides = [change for change in (*removed, *added) if change.about["rule"] == rule]
        if len(sides) < 2:
            continue
        twice = f"list {one['name']!r}: rows by {rule} that come twice, or are both added and removed"
        if not RULES[rule].columns:
            texts = [text for change in sides for text in (*change.about["add"], *change.about["remove"])]
            if len({*texts}) < len(texts):
                raise ValueError(twice)
            continue
        columns = [
            np.concatenate(column)
            for column in zip(
                *(side for change in sides for side in (change.remove, change.add)), strict=True
            )
        ]
        order = np.lexsort(columns[::-1])
        columns = [column[order] for column in columns]
        if rule in _RUNS:
            lows, highs = columns
            if (lows[1:] <= highs[:-1]).any():
                raise ValueError(twice)
        elif np.logical_and.reduce([column[1:] == column[:-1] for column in columns]).any():
            raise ValueError(twice)
