"""What a register answers and how it decides: statuses, verdicts, and the policy of 3GPP equipment checks.

The words are those of Diameter S13 (3GPP TS 29.272) and of the 5G equipment identity register (TS 29.511).
"""

import datetime
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal


class EquipmentStatus(IntEnum):
    """What an equipment identity register answers (3GPP TS 29.272). Stored: values never change."""

    WHITELISTED = 0
    BLACKLISTED = 1
    GREYLISTED = 2
    UNKNOWN = 3


_W, _B, _G, _U = EquipmentStatus
STRENGTH = (_B, _G, _W)  # of statuses: one that is before another decides


Rule = Literal["exact", "range", "tac", "pair", "imsi", "irregular", "default"]
"""What decided: the IMEI itself, a range, a whole TAC, a pair, the IMSI alone, a malformed IMEI that is
listed as text, or nothing, and then the policy."""


def status_of(what: str, value: Any) -> EquipmentStatus:
    """The status of that number; False is not WHITELISTED."""
    if not isinstance(value, bool):
        with suppress(ValueError):
            return EquipmentStatus(value)
    names = ", ".join(f"EquipmentStatus.{name}" for name in EquipmentStatus.__members__)
    raise ValueError(f"{what}: expected {names}, got {value!r}")


@dataclass(frozen=True, slots=True)
class Policy:
    """How a register decides.

    response_type: what IMEIs get that are on several lists, or on none; by their lists:

        white only: white; white and grey: grey; black and white, with grey or not: black;
        grey only: grey, in type 3 unknown; black, or black and grey: black, in type 3 unknown;
        none: white, in types 2 and 3 unknown.

    unlisted: what equipment on no list gets, if not that. malformed: what input gets that is no IMEI, or
    comes with a malformed IMSI; None raises. precedence: the rules, the strongest first. Of the first that
    says anything all lists count; those of the others do not.
    """

    response_type: Literal[1, 2, 3] = 1
    unlisted: EquipmentStatus | None = None
    malformed: EquipmentStatus | None = None
    precedence: tuple[str, ...] = ("imsi", "pair", "exact", "range", "tac")

    def __post_init__(self) -> None:
        if self.response_type not in (1, 2, 3):
            raise ValueError(f"response_type: expected 1, 2 or 3, got {self.response_type!r}")
        for name in ("unlisted", "malformed"):
            status = getattr(self, name)
            object.__setattr__(self, name, None if status is None else status_of(name, status))
        object.__setattr__(self, "precedence", tuple(self.precedence))
        if sorted(self.precedence) != ["exact", "imsi", "pair", "range", "tac"]:
            raise ValueError(
                f"precedence: expected 'exact', 'imsi', 'pair', 'range' and 'tac' in some order, "
                f"got {self.precedence!r}"
            )

    def outcome(self, statuses: Iterable[int]) -> tuple[EquipmentStatus, EquipmentStatus | None]:
        """The status of an IMEI on lists of these, and which of their statuses decided (None: none did)."""
        on = set(statuses)
        if not on:
            given = _W if self.response_type == 1 else _U
            return (given if self.unlisted is None else self.unlisted), None
        deciding = next(status for status in STRENGTH if status in on)
        return (_U if self.response_type == 3 and _W not in on else deciding), deciding


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one check: the status, the list and the rule that gave it, and what that list says."""

    status: EquipmentStatus
    list: str | None = None
    rule: Rule = "default"
    reasons: tuple[str, ...] = ()
    date: datetime.date | None = None
