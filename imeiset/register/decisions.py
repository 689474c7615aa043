"""What was decided of many keys at once: the statuses at hand, the rest told when it is asked for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imeiset._native.checks import PACKED
from imeiset.readers import Keys
from imeiset.register.claims import answered
from imeiset.register.policy import EquipmentStatus, Rule
from imeiset.register.rules import Rules

_STATUS = 3  # the bits of a code that are the status; the list and the rule are above


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

    __slots__ = ("_codes", "_imsis", "_rows", "_rules", "status")

    def __init__(self, rules: Rules, rows: Keys, imsis: Keys | None) -> None:
        self._rules, self._rows, self._imsis = rules, rows, imsis
        self._codes = (rows >> PACKED).astype(np.uint16)
        self.status: NDArray[np.uint8] = (self._codes & _STATUS).astype(np.uint8)

    def tally(self) -> dict[tuple[int, Rule], int]:
        """How many rows got a status by a rule.

        Returns
        -------
        dict
            The number of rows by (status, rule).
        """
        counts: dict[tuple[int, Rule], int] = {}
        found = np.bincount(self._codes)
        codes = np.flatnonzero(found)
        for code, count in zip(codes.tolist(), found[codes].tolist(), strict=True):
            status = EquipmentStatus(code & _STATUS)
            by = int(status), self._rules.rule(status | (code >> 2 & 63) << 8 | code >> 8 << 16)
            counts[by] = counts.get(by, 0) + count
        return counts

    def details(self) -> dict[str, Any]:
        """The columns of `check_many` with details."""
        return answered(self._rules.lists, self._rules.rule, self._rows, self._imsis)
