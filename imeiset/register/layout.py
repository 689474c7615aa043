"""A register in a snapshot of kind 'register': the grammar of its sections, their writer and reader.

    register      JSON in UTF-8, keys sorted, without spaces:
                  {"layout": 3 or 4, "policy": P, "lists": [L, ...], "known": N, "shift": S}
                  and where there are deciders, "deciders": [number, ...], their classes from number 0 on, and
                  "details": [C, ...] for each of these; a file of before has none
    C          := [number, number, number], the codes of the reasons, the date and the until that the list
                  which is asked first has for all members of the class; null where it has to be asked
    P          := {"response_type": 1 to 3, "unlisted": status or null, "malformed": status or null,
                  "precedence": [rule, ...]}; a status is its number
    L          := {"name": text, "status": number, "kind": text, "reason": text}, and of what it holds
                  "exact": N, "range": N, "tac": N   sets
                  "r": [text, ...], "d": [text, ...] the reasons and dates of the exact IMEIs, sorted
                  "pairs": N                         the set of their IMEIs
                  "prefixes": [digits, ...]          of IMSIs, sorted
                  and in layout 4, where there is some
                  "owner": text
                  "u": [text, ...]                   the untils of the exact IMEIs, sorted
                  "untils": N                        how many pairs have one
    N          := the number of a set, from 0 in the order in which they are written
    N.0 to N.8    the sections of set N, as `_native.payload.SECTIONS` orders them
    N.r, N.d, N.u for each exact IMEI in order the code of its reasons, date and until: 0 for none, i for text
                  i - 1; of 1, 2 or 4 bytes, as the number of texts needs
    N.s, N.m      uint32 starts and uint64 IMSIs of the pairs: see `Pairs`
    N.uk, N.um    uint64 keys and IMSIs of the pairs that have an until, and
    N.ud          int32 days since 1970-01-01: see `Untils`
    spans         uint64: the filter of ranges with stretches of 2**S keys, see `Coverage`
    deciders      uint8: the number of the class of each member of the union, at its place; see
                  `_native/c/deciders.h` and `_native/c/places.h`. Answers are the same without
    xI            the irregular identities of list I, sorted, one a line

Sets are numbered list by list: exact, range, tac, pairs. The last is the union of all, "known", unless one of
the sets is that union. Numbers are little-endian. The same lists and policy give the same bytes.

Layout 4 is written where a list has an owner, an until or kind "block", and layout 3 otherwise.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imeiset import irregular, snapshot
from imeiset.errors import SnapshotBounds, SnapshotVersion, mask_text
from imeiset.register.coverage import Coverage
from imeiset.register.deciders import Deciders
from imeiset.register.details import Column, code_type, is_date
from imeiset.register.dumps import dump
from imeiset.register.imsis import prefix_numbers
from imeiset.register.kinds import KINDS, LEVELS
from imeiset.register.layered import NOTHING, LayeredSet, anew, packed
from imeiset.register.lists import List, check_prefixes
from imeiset.register.pairs import LayeredPairs, Pairs
from imeiset.register.policy import Policy
from imeiset.register.untils import NO_UNTILS, Untils
from imeiset.sets import ImeiSet

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


KIND = "register"  # of a snapshot that holds one
MAX_LISTS = 32  # what fits the sections of a snapshot, all parts counted
_DESCRIPTION = "register"
_SECTIONS = tuple(name for name, _ in NOTHING.sections())
_LAYOUTS = (3, 4)  # another number is another format
_COLUMNS = "rdu"  # the letters of `Details`
_UNTILS = (("uk", "<u8"), ("um", "<u8"), ("ud", "<i4"))  # the arrays of `Untils`


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """All that a register holds, frozen: flat lists, the policy, and the coverage of the lists."""

    lists: tuple[List, ...]
    policy: Policy
    coverage: Coverage

    @classmethod
    def of(cls, lists: Iterable[List], policy: Policy) -> "Contents":
        """Of lists, flattened here. O(members)."""
        flat = tuple(one.flattened() for one in lists)
        return cls(flat, policy, Coverage.of_lists(flat))

    @classmethod
    def read(cls, sections: Mapping[str, bytes | memoryview], path: str) -> "Contents":
        """What is in the sections of the file at `path`. Raises a kind of SnapshotError."""
        try:
            return cls(*_read(sections, path))
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
            raise SnapshotBounds(path, "the sections of a register", mask_text(str(error))) from None

    def sections(self) -> list[tuple[str, "ReadableBuffer"]]:
        """As they stand in a file: the same contents, the same bytes."""
        sections: list[tuple[str, ReadableBuffer]] = []
        written: list[ImeiSet] = []

        def put(members: ImeiSet, *beside: tuple[str, Any]) -> int:
            n = len(written)
            parts = enumerate(section for _, section in members.sections())
            sections.extend((f"{n}.{i}", part) for i, part in parts)
            sections.extend((f"{n}.{name}", array) for name, array in beside)
            written.append(members)
            return n

        described = []
        for number, one in enumerate(self.lists):
            about: dict[str, Any] = {"name": one.name, "status": int(one.status), "kind": one.kind}
            about["reason"] = one.reason
            about |= {"owner": one.owner} if one.owner else {}
            for rule, part in ((rule, one.parts[rule]) for rule in LEVELS if rule in one.parts):
                kept = {name: column for name, column in zip(_COLUMNS, part.columns, strict=True) if column}
                about[rule] = put(part.base, *((name, column.codes) for name, column in kept.items()))
                for name, column in kept.items():
                    about[name] = column.values
            if one.pairs is not None:
                pairs = one.pairs.base
                beside = [("s", pairs.starts), ("m", pairs.imsis)]
                if count := len(pairs.untils.keys):
                    about["untils"] = count
                    beside += zip((name for name, _ in _UNTILS), pairs.untils, strict=True)
                about["pairs"] = put(pairs.imeis, *beside)
            if one.prefixes:
                about["prefixes"] = sorted(str(prefix)[1:] for prefix in one.prefixes)
            if one.irregular:
                sections.append((f"x{number}", b"\n".join(sorted(one.irregular))))
            described.append(about)
        same = (n for n, one in enumerate(written) if one is self.coverage.imeis)  # of a list that is alone
        about = {"known": next(same, None), "shift": self.coverage.shift}
        if about["known"] is None:
            about["known"] = put(self.coverage.imeis)
        if self.coverage.deciders is not None:
            about["deciders"] = self.coverage.deciders.classes
            about |= {"details": self.coverage.deciders.details} if self.coverage.deciders.details else {}
            sections.append(("deciders", self.coverage.deciders.codes.data))
        description = {
            "layout": _layout_of(self.lists),
            "policy": asdict(self.policy),
            "lists": described,
            **about,
        }
        sections.append(("spans", self.coverage.spans.data))
        return [(_DESCRIPTION, dump(description)), *sections]

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        generation: int = 0,
        beside: Iterable[tuple[str, "ReadableBuffer"]] = (),
    ) -> None:
        """See `Register.save`. beside: other sections, of a store."""
        count = sum(len(one.exact.base) for one in self.lists if one.exact is not None)
        sections = [*self.sections(), *beside]
        snapshot.write(path, KIND, sections, count=count, generation=generation)

    def expect_sound(self, path: str) -> None:
        """Raise SnapshotBounds if anything is not as its writer makes it. Reads everything."""
        for fault in self._faults():
            raise SnapshotBounds(path, fault, "another")

    def _faults(self) -> Iterator[str]:
        """What is not as it should be, in words. Reads everything."""
        every = [(members, anew) for one in self.lists for members in one.sets()]
        every += [(one.range.base, packed) for one in self.lists if one.range is not None]
        for number, (members, made) in enumerate([*every, (self.coverage.imeis, anew)]):
            if not _rebuilds(members, made):
                yield f"the sections of set {number} as its members make them"
        now, found = Coverage.of_lists(self.lists), self.coverage.deciders
        if found is None:
            now = replace(now, deciders=None)
        elif now.deciders and not found.details:  # of a file of before
            now = replace(now, deciders=now.deciders.plain)
        if self.coverage != now:
            yield "the union of all lists, and what they say of each of it"
        for one in self.lists:
            for part in (one.parts[rule] for rule in LEVELS if rule in one.parts):
                for column in part.columns:
                    if column and not column.is_sound():
                        yield f"reasons, dates and untils of list {one.name!r} that are its texts"
                for column in part.columns[1:]:
                    if column and not all(map(is_date, column.values)):
                        yield f"dates in list {one.name!r}"
            if any(irregular.normalised(text) != text for text in one.irregular):
                yield f"irregular identities in list {one.name!r}"
            if one.pairs is not None and not one.pairs.base.is_sound():
                yield f"pairs in order in list {one.name!r}"


def _layout_of(lists: Iterable[List]) -> int:
    """The lowest layout that holds all of flat lists."""
    for one in lists:
        untils = (one.exact and one.exact.columns[2]) or (one.pairs and len(one.pairs.base.untils.keys))
        if one.owner or untils or one.kind == "block":
            return 4
    return 3


def _read(sections: Mapping[str, bytes | memoryview], path: str) -> tuple[tuple[List, ...], Policy, Coverage]:
    """Raises whatever comes of sections that are something else."""
    about = json.loads(bytes(sections[_DESCRIPTION]))
    if about["layout"] not in _LAYOUTS:
        remedy = "build it anew" if about["layout"] in (1, 2) else "update imeiset"
        expected = " or ".join(map(str, _LAYOUTS))
        raise SnapshotVersion(path, f"register layout {expected}", f"{mask_text(about['layout'])}: {remedy}")
    sets: dict[int, ImeiSet] = {}

    def get(n: int) -> ImeiSet:
        if n not in sets:
            parts = {name: sections[f"{n:d}.{i}"] for i, name in enumerate(_SECTIONS)}
            sets[n] = ImeiSet.from_sections(parts)
        return sets[n]

    def array(name: str, dtype: Any, length: int | None) -> NDArray[Any]:
        found = np.frombuffer(sections[name], dtype)
        if length is not None and len(found) != length:
            raise ValueError(f"section {name}: expected {length} numbers, got {len(found)}")
        return found

    def members(one: Mapping[str, Any], rule: str) -> LayeredSet | None:
        if rule not in one:
            return None
        base, found = get(one[rule]), []
        for name in _COLUMNS:
            values = one.get(name, []) if rule == "exact" else []
            if type(values) is not list or not all(isinstance(value, str) for value in values):
                raise ValueError(f"values of {name!r}: expected texts, got others")
            codes = f"{one[rule]}.{name}"
            dtype = code_type(len(values))
            found.append(Column(tuple(values), array(codes, dtype, len(base))) if values else None)
        return LayeredSet(base, (found[0], found[1], found[2]))

    lists = []
    for number, one in enumerate(about["lists"]):
        if type(one["reason"]) is not str:
            raise ValueError(f"list {number}: expected a reason, got another")
        pairs = None
        if "pairs" in one:
            imeis, n = get(one["pairs"]), one["pairs"]
            starts = array(f"{n}.s", "<u4", len(imeis) + 1)
            untils, count = NO_UNTILS, one.get("untils", 0)
            if count:
                untils = Untils(*(array(f"{n}.{name}", dtype, count) for name, dtype in _UNTILS))
            pairs = LayeredPairs(Pairs(imeis, starts, array(f"{n}.m", "<u8", None), untils))
        texts = bytes(sections.get(f"x{number}", b""))
        if not texts.isascii():
            raise ValueError(f"list {number}: expected irregular identities, got others")
        held: dict[str, Any] = {rule: members(one, rule) for rule in LEVELS}
        held |= {"irregular": frozenset(texts.split()), "pairs": pairs}
        held["prefixes"] = prefix_numbers(one.get("prefixes", ()))
        held["owner"] = one.get("owner", "")
        lists.append(List(one["name"], one["status"], one["kind"], one["reason"], **held))
        _expect_kind(lists[-1])
    if len({one.name for one in lists}) < len(lists) or len(lists) > MAX_LISTS:
        raise ValueError(f"expected at most {MAX_LISTS} lists of different names, got others")
    for one in lists:
        check_prefixes(one, lists)
    if about["layout"] != (layout := _layout_of(lists)):
        raise ValueError(f"layout: expected {layout} for what the lists hold, got {about['layout']}")
    shift = about["shift"]
    if type(shift) is not int or not 0 <= shift < 64:
        raise ValueError(f"shift: expected 0 to 63, got {shift!r}")
    known, deciders = get(about["known"]), None
    if "deciders" in about or "deciders" in sections:
        deciders = Deciders.read(
            about["deciders"], about.get("details", ()), array("deciders", "u1", None), known, lists
        )
    coverage = Coverage(known, array("spans", "<u8", None), shift, deciders)
    return tuple(lists), Policy(**about["policy"]), coverage


def _expect_kind(one: List) -> None:
    """Raise ValueError for a list that lists of its kind cannot be."""
    facts, rules = KINDS[one.kind], [*one.counts()]
    if not {*rules} <= {*facts.rules}:
        raise ValueError(f"list {one.name!r}: expected {', '.join(facts.rules)} in {one.kind}, got {rules}")
    if facts.fixed and one.status != facts.status:
        raise ValueError(f"list {one.name!r}: expected another status of kind {one.kind!r}")


def _rebuilds(members: ImeiSet, made: Callable[[ImeiSet], ImeiSet]) -> bool:
    """Whether the members in order make the same bytes again."""
    try:
        again = made(members)
    except SnapshotBounds:
        return False
    pairs = zip(members.sections(), again.sections(), strict=True)
    return all(got == expected for (_, got), (_, expected) in pairs)
