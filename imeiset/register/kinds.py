"""The kinds of lists, and the rules by which a list holds equipment: the one table of both.

Descriptions, files of changes, the journal of a store, commands and verdicts read it here. The names of kinds
and rules and the numbers of columns are persisted in registers and journals: they never change.
"""

from dataclasses import dataclass
from typing import Literal

from imeiset.register.policy import EquipmentStatus, Rule

ListRule = Literal["exact", "range", "tac", "irregular", "pair", "imsi"]
Identity = Literal["imei", "range", "tac"]


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """One rule. field: of a `List`; columns: of numbers in the journal, 0 for texts; noun: of what it counts;
    identity: what a row of a file of it names."""

    field: str
    columns: int
    noun: str
    identity: Identity | None


RULES: dict[str, RuleFacts] = {
    "exact": RuleFacts("exact", 1, "IMEIs", "imei"),
    "range": RuleFacts("range", 2, "IMEIs", "range"),
    "tac": RuleFacts("tac", 2, "IMEIs", "tac"),
    "irregular": RuleFacts("irregular", 0, "irregular identities", "imei"),
    "pair": RuleFacts("pairs", 2, "pairs", "imei"),
    "imsi": RuleFacts("prefixes", 0, "IMSI prefixes", None),
}
LEVELS: tuple[ListRule, ...] = ("exact", "range", "tac")
"""The rules whose contents are sets of IMEIs, each a `LayeredSet`."""


@dataclass(frozen=True, slots=True)
class KindFacts:
    """One kind of list. rules: those by which it may hold something, first the one of changes that name none;
    status: of a list that does not say it, and if fixed the only one; says: the rule of its verdicts, if that
    has another name than the rule by which it holds what decides."""

    rules: tuple[ListRule, ...]
    status: EquipmentStatus | None = None
    fixed: bool = False
    says: Rule | None = None


KINDS: dict[str, KindFacts] = {
    "imeis": KindFacts(("exact", "range", "tac", "irregular")),
    "block": KindFacts(("pair",), EquipmentStatus.BLACKLISTED, says="block"),
    "exempt": KindFacts(("pair",), EquipmentStatus.WHITELISTED, fixed=True),
    "lock": KindFacts(("pair",), EquipmentStatus.BLACKLISTED),
    "imsis": KindFacts(("imsi",)),
}
"""Of lists of pairs, those of the first kind are asked first."""

FileKind = Literal["imeis", "ranges", "tacs", "block", "exempt", "lock", "imsis"]
"""What a description calls the files of a list: its kind, or for ranges and TACs their rule."""

FILE_KINDS: dict[FileKind, tuple[str, ListRule]] = {
    "imeis": ("imeis", "exact"),
    "ranges": ("imeis", "range"),
    "tacs": ("imeis", "tac"),
    "block": ("block", "pair"),
    "exempt": ("exempt", "pair"),
    "lock": ("lock", "pair"),
    "imsis": ("imsis", "imsi"),
}
"""The kind of list, and the rule, that each of them stands for."""


def rule_of(kind: str, identity: Identity) -> ListRule:
    """By which rule a list of a kind holds what a file names in its rows; its first, if it cannot."""
    rules = KINDS[kind].rules
    return next((rule for rule in rules if RULES[rule].identity == identity), rules[0])
