"""What was decided of many keys at once: the statuses are made at once, the rest when it is asked for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imeiset._native.checks import PACKED
from imeiset._native.codes import count_codes
from imeiset.readers import Keys
from imeiset.register.claims import Answers, answered
from imeiset.register.policy import Rule
from imeiset.register.rules import Rules

_STATUS = 3  # the bits of a code that are the status; the list and the rule are above
_CODES = 1 << 11  # more than there are


class Decisions:
    """What the lists of one moment say of some keys.

    Attributes
    ----------
    status : uint8[n]
        Of `EquipmentStatus`.

    Examples
    --------
    >>> import numpy as np
    >>> from imeiset import EquipmentStatus, Register
    >>> register = Register()
    >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
    >>> found = register.decide(np.array([49015420323751, 35209900176148], np.uint64))
    >>> found.status.tolist(), found.tally()
    ([1, 0], {(0, 'default'): 1, (1, 'exact'): 1})
    >>> list(found.details()["list"])
    ['stolen', None]
    """

    __slots__ = ("_counts", "_imsis", "_rows", "_rules", "status")

    def __init__(self, rules: Rules, rows: Keys, imsis: Keys | None) -> None:
        self._rules, self._rows, self._imsis = rules, rows, imsis
        self._counts = np.zeros(_CODES, np.int64)
        self.status: NDArray[np.uint8] = np.empty(len(rows), np.uint8)
        count_codes(rows, PACKED, self.status, self._counts)

    def tally(self) -> dict[tuple[int, Rule], int]:
        """How many rows got a status by a rule.

        Returns
        -------
        dict
            The number of rows by (status, rule).
        """
        return tally_of(self._rules, self._counts)

    def details(self) -> dict[str, Any]:
        """The columns of `check_many` with details.

        Returns
        -------
        dict
            A column of n rows by name, as `check_many` describes them.
        """
        return answered(self._rules.lists, self._rules.rule, Answers.of(self._rows), self._imsis)


def tally_of(rules: Rules, counts: NDArray[Any]) -> dict[tuple[int, Rule], int]:
    """How many rows got a status by a rule. counts: how many rows got each packed code, without its key."""
    found: dict[tuple[int, Rule], int] = {}
    codes = np.flatnonzero(counts)
    for code, count in zip(codes.tolist(), counts[codes].tolist(), strict=True):
        status = code & _STATUS
        by = status, rules.rule(status | (code >> 2 & 63) << 8 | code >> 8 << 16)
        found[by] = found.get(by, 0) + count
    return found
