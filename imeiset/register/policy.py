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
    """What an equipment identity register answers (3GPP TS 29.272). Stored: values never change.

    Examples
    --------
    >>> [(status.name, int(status)) for status in EquipmentStatus]
    [('WHITELISTED', 0), ('BLACKLISTED', 1), ('GREYLISTED', 2), ('UNKNOWN', 3)]
    """

    WHITELISTED = 0
    BLACKLISTED = 1
    GREYLISTED = 2
    UNKNOWN = 3


_W, _B, _G, _U = EquipmentStatus
STRENGTH = (_B, _G, _W)  # of statuses: one that is before another decides

Rule = Literal["exact", "range", "tac", "pair", "block", "imsi", "irregular", "malformed", "default"]
"""What decided: the IMEI itself, a range, a whole TAC, a pair that is let through or locked, a pair that is
blocked, the IMSI alone, a malformed IMEI that is listed as text, or the policy: what is not an IMEI, or what
is on no list."""


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

    Parameters
    ----------
    response_type : {1, 2, 3}
        The verdict on an IMEI that is on several lists, or on none; see Notes.
    unlisted : EquipmentStatus, optional
        The status of equipment on no list, whatever the response type says.
    malformed : EquipmentStatus, optional
        The status of an input that is not an IMEI; a malformed IMSI then counts as not given. None: an error.
    precedence : tuple of str
        The rules 'imsi', 'pair', 'exact', 'range' and 'tac', the strongest first. The first rule by which any
        list says something decides: all lists count that say something by it, and no others. By 'pair' the
        first list does, of kind 'block' before 'exempt' before 'lock'.

    Raises
    ------
    ValueError
        For any other value.

    Notes
    -----
    The answers of the three usual response types, by the lists that an IMEI is on:

    ====================  ======  =======  =======
    lists                 type 1  type 2   type 3
    ====================  ======  =======  =======
    none                  white   unknown  unknown
    white                 white   white    white
    grey                  grey    grey     unknown
    black                 black   black    unknown
    white, grey           grey    grey     grey
    white, black          black   black    black
    black, grey           black   black    unknown
    white, black, grey    black   black    black
    ====================  ======  =======  =======

    Examples
    --------
    >>> Policy(response_type=2).outcome([])[0].name
    'UNKNOWN'
    >>> [Policy(response_type=kind).outcome([EquipmentStatus.BLACKLISTED])[0].name for kind in (1, 2, 3)]
    ['BLACKLISTED', 'BLACKLISTED', 'UNKNOWN']
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
        """The answer for an IMEI that is on lists of these statuses.

        Parameters
        ----------
        statuses : iterable of int
            Of the lists that count; none for equipment on no list.

        Returns
        -------
        status, deciding : EquipmentStatus, EquipmentStatus or None
            The answer, and the status of the lists that decided it; None if there are none.

        Examples
        --------
        >>> white, black = EquipmentStatus.WHITELISTED, EquipmentStatus.BLACKLISTED
        >>> [status.name for status in Policy().outcome([white, black])]
        ['BLACKLISTED', 'BLACKLISTED']
        """
        on = set(statuses)
        if not on:
            given = _W if self.response_type == 1 else _U
            return (given if self.unlisted is None else self.unlisted), None
        deciding = next(status for status in STRENGTH if status in on)
        return (_U if self.response_type == 3 and _W not in on else deciding), deciding


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one check: the status, the list and the rule that gave it, and what that list says.

    Parameters
    ----------
    status : EquipmentStatus
        The answer.
    list : str, optional
        The name of the list that decided. None where the policy did.
    rule : str
        By what the list decided, see `Rule`; 'default' where the policy did, 'malformed' where it did because
        what was asked about is not an IMEI.
    reasons : tuple of str
        Of the IMEI on that list; where it has none, of the list.
    date : datetime.date, optional
        Since when the list has the IMEI, if it says so.

    Examples
    --------
    >>> Verdict(EquipmentStatus.BLACKLISTED, "stolen", "exact", ("theft",)).to_dict()
    {'status': 'blacklisted', 'list': 'stolen', 'rule': 'exact', 'reasons': ['theft'], 'date': None}
    """

    status: EquipmentStatus
    list: str | None = None
    rule: Rule = "default"
    reasons: tuple[str, ...] = ()
    date: datetime.date | None = None

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON has it, in the words of the command line.

        Returns
        -------
        dict
            With the keys 'status' (lower case), 'list', 'rule', 'reasons' (a list) and 'date' (ISO 8601, or
            None).

        Examples
        --------
        >>> Verdict(EquipmentStatus.GREYLISTED, "found", date=datetime.date(2024, 2, 29)).to_dict()["date"]
        '2024-02-29'
        """
        return {
            "status": self.status.name.lower(),
            "list": self.list,
            "rule": self.rule,
            "reasons": [*self.reasons],
            "date": self.date and self.date.isoformat(),
        }
