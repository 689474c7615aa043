"""Zeros that a spreadsheet dropped: when sources may not be read as they stand."""

from collections.abc import Sequence
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class _Rows:
    """Rows of some number of digits, of one source or of several, and those that may have lost a zero.

    what: the suspects, in words. restoring: the option that gives them their zeros back.
    """

    what: str
    restoring: str = "--lost-zeros restore"
    count: int = 0
    suspects: Suspects = field(default_factory=Suspects)
    sources: int = 0

    def add(self, path: str, count: int, suspects: Suspects) -> None:
        """Those of one more source."""
        self.count += count
        self.suspects.add(suspects.count, path, [line for _, line in suspects.first])
        self.sources += bool(suspects.count)

    def expect_few(self) -> None:
        """Raise FeedLostZeros for so many suspects that it must be said what they are."""
        if self.suspects.count < _MANY or 2 * self.suspects.count < self.count:
            return
        path, line = self.suspects.first[0]
        expected = (
            f"numbers with their zeros: {self.restoring} gives them back, "
            "--lost-zeros keep takes rows as they are"
        )
        got = f"{self.suspects.count:,} of {self.count:,} rows of {self.what}"
        got += f", in {self.sources:,} files together" if self.sources > 1 else ""
        raise FeedLostZeros(path, expected, got, line=line)


class Zeros:
    """Asks of sources, one after the other, whether rows lost a zero: of each alone, and in the end of all
    together that have too few rows to be judged alone.

    handling: what the caller said such rows are; then nothing is asked.
    """

    def __init__(self, handling: LostZeros | None) -> None:
        self._handling = handling
        self._together: dict[tuple[str, str], _Rows] = {}

    def expect(
        self,
        path: str,
        forms: Sequence[int],
        short: Suspects,
        imeisv: Suspects,
        *,
        restoring: str = "--lost-zeros restore",
    ) -> None:
        """Raise FeedLostZeros if so many rows of a source are suspect that it must be said what they are.

        forms: its rows of 14, 15 and 16 digits. short: of 14 digits, those that are an IMEI with a zero
        before them. imeisv: of 15, those with a wrong check digit, which may be an IMEISV without its zero.
        restoring: the option that gives those of IMEIs back.
        """
        if self._handling is not None:
            return
        of_14, of_15, of_16 = forms
        kinds = [("14 digits that are an IMEI with a zero before them", restoring, of_14, short)]
        if of_16 > of_15:
            what = "15 digits with a wrong check digit, among IMEISVs"
            kinds.append((what, "--lost-zeros restore-imeisv", of_15, imeisv))
        for what, option, count, suspects in kinds:
            alone = _Rows(what, option)
            alone.add(path, count, suspects)
            alone.expect_few()
            if count < 2 * _MANY:  # to choose by suspects would find some among any rows
                self._together.setdefault((what, option), _Rows(what, option)).add(path, count, suspects)

    def expect_together(self) -> None:
        """Raise FeedLostZeros for the rows of sources that have few of them."""
        for rows in self._together.values():
            rows.expect_few()
