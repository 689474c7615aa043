"""Zeros that a spreadsheet dropped: when a source may not be read as it stands."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import FeedLostZeros
from .options import LostZeros
from .report import Suspects

_MANY = 10  # suspects; a tenth of genuine rows of 14 digits are suspect by chance


def lost_zeros(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether numbers of 14 digits are IMEIs with a zero before them: their last digit is the check digit."""
    total = keys % np.uint64(10)
    for place in range(1, 14):  # from the right; every other digit is doubled, from the first on
        digits = keys // np.uint64(10**place) % np.uint64(10) * np.uint64(1 + place % 2)
        total += digits // np.uint64(10) + digits % np.uint64(10)
    right: NDArray[np.bool_] = total % np.uint64(10) == 0
    return right


def expect_zeros(
    path: str,
    forms: Sequence[int],
    short: Suspects,
    imeisv: Suspects,
    handling: LostZeros | None,
    *,
    restoring: str = "--lost-zeros restore",
) -> None:
    """Raise FeedLostZeros if so many rows of a source are suspect that it must be said what they are.

    forms: its rows of 14, 15 and 16 digits. short: of 14 digits, those that are an IMEI with a zero before
    them. imeisv: of 15, those with a wrong check digit, which may be an IMEISV without its zero. handling:
    what the caller said they are. restoring: the option that gives those of IMEIs back.
    """
    of_14, of_15, of_16 = forms
    if handling is not None:
        return
    expected = "numbers with their zeros: {} gives them back, --lost-zeros keep takes rows as they are"
    if short.count >= _MANY and 2 * short.count >= of_14:
        got = f"{short.count:,} of {of_14:,} rows of 14 digits that are an IMEI with a zero before them"
        raise FeedLostZeros(path, expected.format(restoring), got, line=short.first[0][1])
    if of_16 > of_15 and imeisv.count >= _MANY and 2 * imeisv.count >= of_15:
        got = f"{imeisv.count:,} of {of_15:,} rows of 15 digits with a wrong check digit, among IMEISVs"
        raise FeedLostZeros(
            path, expected.format("--lost-zeros restore-imeisv"), got, line=imeisv.first[0][1]
        )
