"""One list of a register: its status, and what it holds, by rule."""

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from imeiset.errors import expect_several, mask, mask_imsi, mask_text, quoted
from imeiset.register.digests import ExactDigest
from imeiset.register.dumps import dump
from imeiset.register.kinds import KINDS, LEVELS, RULES
from imeiset.register.layered import NOTHING, LayeredSet, packed, without_irregular
from imeiset.register.pairs import NO_PAIRS, LayeredPairs
from imeiset.register.policy import EquipmentStatus, status_of
from imeiset.sets import ImeiSet

_OWNER = 100  # characters


@dataclass(frozen=True, slots=True, eq=False)
class List:
    """One list of a register, frozen: see `imeiset.register.kinds` for its kinds and rules. owner: who alone
    changes it in a store; '' for a list that anybody changes."""

    name: str
    status: EquipmentStatus
    kind: str = "imeis"
    reason: str = ""
    owner: str = ""
    exact: LayeredSet | None = None
    range: LayeredSet | None = None
    tac: LayeredSet | None = None
    irregular: Set[bytes] = frozenset()
    pairs: LayeredPairs | None = None
    prefixes: Set[int] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", status_of("status", self.status))
        if self.status is EquipmentStatus.UNKNOWN:
            raise ValueError("status: expected WHITELISTED, BLACKLISTED or GREYLISTED, got UNKNOWN")
        if not (isinstance(self.name, str) and 0 < len(self.name) <= 100 and self.name.isprintable()):
            got = mask_text(repr(self.name))
            raise ValueError(f"name: expected 1 to 100 printable characters, got {got}")
        if self.kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {self.kind!r}")
        expect_owner(self.owner)

    @property
    def parts(self) -> dict[str, Any]:
        """Its sets and its pairs, by their rule."""
        every = {rule: getattr(self, RULES[rule].field) for rule in (*LEVELS, "pair")}
        return {rule: part for rule, part in every.items() if part is not None}

    def counts(self) -> dict[str, int]:
        """How many of what it holds, by rule."""
        found = {rule: part.count() for rule, part in self.parts.items()}
        others = {"irregular": len(self.irregular), "imsi": len(self.prefixes)}
        return found | {rule: count for rule, count in others.items() if count}

    def __str__(self) -> str:
        return f"{self.name} ({self.status.name}): {held_text(self.counts())}"

    def __repr__(self) -> str:
        return f"<List {self}>"

    def united(self, more: "List") -> "List":
        """With all that another list holds, too; of an IMEI of both count all reasons, the first date and the
        later until. Raises ValueError for a list of another owner."""
        expect_same_owner(self, more)
        mine, held = self.parts, dict[str, Any]()
        for rule, part in more.flattened().parts.items():
            held[RULES[rule].field] = mine[rule].united(part) if rule in mine else part
        if "range" in held:
            held["range"] = LayeredSet(packed(held["range"].base))
        return replace(
            self,
            reason=more.reason or self.reason,
            irregular=self.irregular | more.irregular,
            prefixes=self.prefixes | more.prefixes,
            **held,
        )

    def flattened(self) -> "List":
        """With nothing changed since its base, and no parts that hold nothing."""
        held: dict[str, Any] = {}
        for rule, part in self.parts.items():
            flat = part.flattened()
            held[RULES[rule].field] = flat if len(flat.base) else None
        if self.range is not None and self.range.changed and held["range"]:
            held["range"] = LayeredSet(packed(held["range"].base))
        texts, prefixes = frozenset(self.irregular), frozenset(self.prefixes)
        return replace(self, irregular=texts, prefixes=prefixes, **held)

    def digest(self) -> bytes:
        """The SHA-256 of all that it holds: the same for the same contents, however they came about.

        O(members), and some MB of memory beside that of changes and of pairs. Hashed are the length of a text
        as 8 bytes, that text, and numbers, all little-endian:

            text     JSON in UTF-8, keys sorted, without spaces:
                     {"name": text, "status": number, "kind": text, "reason": text, "owner": text,
                      "exact": S, "range": S, "tac": S, "details": [[text, ...], [text, ...], [text, ...]],
                      "irregular": [text, ...], "prefixes": [digits, ...],
                      "pairs": S, "pair_count": number, "until_count": number}
            S        the hexadecimal `ImeiSet.digest` of the set, for pairs that of their IMEIs; that of the
                     empty set where there is nothing
            details  the reasons, the dates and the untils of exact IMEIs, each in order
            numbers  for reasons, then dates, then untils, if there are any: 4 bytes for each exact IMEI in
                     order, 0 for none, i for text i - 1
                     for each IMEI that has pairs, in order: 4 bytes, the number of pairs before its own; at
                     the end the number of all; then 8 bytes for the IMSI of each pair: that of a 1 and its
                     digits
                     the pairs that have an until, in order: 8 bytes for each key, 8 for each IMSI, and 4 for
                     each day, since 1970-01-01
        """
        flat, exact = replace(self, exact=None).flattened(), ExactDigest(self.exact or LayeredSet(NOTHING))
        sets = {rule: getattr(flat, rule) or LayeredSet(NOTHING) for rule in LEVELS if rule != "exact"}
        pairs = flat.pairs.base if flat.pairs else NO_PAIRS
        columns = exact.columns()
        about: dict[str, Any] = {name: getattr(flat, name) for name in ("name", "kind", "reason", "owner")}
        about |= {rule: without_irregular(part.base).digest() for rule, part in sets.items()}
        about |= {
            "exact": exact.of_keys(),
            "status": int(flat.status),
            "details": [texts for texts, _ in columns],
            "irregular": sorted(text.decode() for text in flat.irregular),
            "prefixes": sorted(str(prefix)[1:] for prefix in flat.prefixes),
            "pairs": pairs.imeis.digest(),
            "pair_count": len(pairs),
            "until_count": len(pairs.untils.keys),
        }
        text = dump(about)
        whole = hashlib.sha256(len(text).to_bytes(8, "little") + text)
        for _, pieces in columns:
            for codes in pieces:
                whole.update(codes.astype("<u4", copy=False).data)
        starts, imsis, (keys, subscribers, days) = pairs.starts, pairs.imsis, pairs.untils
        for array, dtype in (
            (starts, "<u4"),
            (imsis, "<u8"),
            (keys, "<u8"),
            (subscribers, "<u8"),
            (days, "<i4"),
        ):
            whole.update(np.ascontiguousarray(array, dtype).data)
        return whole.digest()

    def sets(self) -> list[ImeiSet]:
        """The IMEIs that its flat parts say something about, but those of ranges."""
        bases = {rule: part.base for rule, part in self.parts.items() if rule != "range"}
        return [base.imeis if rule == "pair" else base for rule, base in bases.items()]


def expect_owner(owner: object) -> None:
    """Raise ValueError for what is not the name of an owner; '' is nobody."""
    if not (isinstance(owner, str) and len(owner) <= _OWNER and owner.isprintable()):
        got = mask_text(repr(owner))
        raise ValueError(f"owner: expected at most {_OWNER} printable characters, got {got}")


def expect_same_owner(one: List, more: List) -> None:
    """Raise ValueError for two lists that are not one owner's."""
    if one.owner != more.owner:
        before, got = (repr(owner) if owner else "nobody" for owner in (one.owner, more.owner))
        raise ValueError(f"list {one.name!r}: expected owner {before} as before, got {got}")


class ListMapping(Mapping[str, ImeiSet]):
    """Lists by name: a mapping to the exact IMEIs of each. Always true, and equal to itself alone."""

    @property
    @abstractmethod
    def lists(self) -> tuple[List, ...]:
        """In order."""

    def __getitem__(self, name: str, /) -> ImeiSet:
        """The exact IMEIs of a list; none where it has ranges, TACs, pairs or IMSIs alone.

        Raises KeyError for a name that no list has.
        """
        for one in self.lists:
            if isinstance(name, str) and one.name == name:
                return NOTHING if one.exact is None else one.exact.flattened().base
        names = ", ".join(self) or "no lists"
        raise KeyError(f"expected one of {names}, got {mask_text(repr(name))}")

    def __contains__(self, name: object, /) -> bool:
        return isinstance(name, str) and any(one.name == name for one in self.lists)

    def __iter__(self) -> Iterator[str]:
        return (one.name for one in self.lists)

    def __len__(self) -> int:
        return len(self.lists)

    def __bool__(self) -> bool:
        return True

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def counts(self) -> dict[str, dict[str, int]]:
        """How many of what each list holds.

        Returns
        -------
        dict of str to dict of str to int
            By list and rule: IMEIs (of ranges and TACs those in them), irregular identities, pairs, prefixes.

        Examples
        --------
        >>> from imeiset import EquipmentStatus, Register
        >>> register = Register()
        >>> register.add_tacs("models", ["49015420"], status=EquipmentStatus.GREYLISTED)
        >>> register.counts()
        {'models': {'tac': 1000000}}
        """
        return {one.name: one.counts() for one in self.lists}


def held_text(counts: Mapping[str, int]) -> str:
    """How many of what a list holds, in words."""
    return ", ".join(f"{count:,} by {rule}" for rule, count in counts.items()) or "nothing"


def check_prefixes(one: List, others: Iterable[List]) -> None:
    """Raises ValueError for an IMSI prefix that is on another list too."""
    for other in others if one.prefixes else ():
        if other.name != one.name and (twice := other.prefixes & one.prefixes):
            prefix = mask_imsi(str(min(twice))[1:])
            raise ValueError(f"prefix '{prefix}': expected on one list, got {other.name!r} and {one.name!r}")


def shrunk(
    before: Mapping[str, dict[str, int]], after: Mapping[str, dict[str, int]], percent: float
) -> tuple[str, str] | None:
    """What a list should have and what it has, if it has less than so many percent of what it had by some
    rule. Both are `Register.counts`; a list that is missing has nothing."""
    for name, counts in before.items():
        for rule, count in counts.items():
            left = after.get(name, {}).get(rule, 0)
            if not left * 100 >= count * percent:  # of NaN too
                return f"at least {percent:g}% of the {count:,} of list {name!r} by {rule}", f"{left:,}"
    return None


def tac_set(tacs: Iterable[str | bytes]) -> ImeiSet:
    """All IMEIs of Type Allocation Codes, texts of 8 digits."""
    expect_several("TACs", tacs)
    numbers = []
    for row, tac in enumerate(tacs.to_pylist() if hasattr(tacs, "to_pylist") else tacs):
        if not (isinstance(tac, str | bytes) and len(tac) == 8 and tac.isascii() and tac.isdigit()):
            raise ValueError(f"TAC {row}: expected 8 digits, as str, got {quoted(mask(tac), tac)}")
        numbers.append(int(tac))
    lows = np.array(numbers, np.uint64) * np.uint64(10**6)
    return ImeiSet.from_ranges(lows, lows + np.uint64(10**6 - 1))
