"""Screening columns against a list: one word for every row, also for the rows that are no IMEI."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imeiset import columns
from imeiset.errors import ParseStatus
from imeiset.sets import ImeiSet

MALFORMED = tuple(f"malformed: {status.name.lower().replace('_', ' ')}" for status in ParseStatus if status)
_MANY = 1 << 16  # rows worth more than one thread


class Screener:
    """What a list says of columns of IMEIs.

    listed: an ImeiSet, a Register, or the path of a snapshot, which every Screener of the process maps
    but once. A file that was replaced is opened anew.

    words: what the codes mean: of a set 'not listed' and 'listed', of a register its equipment
    statuses, and then 'malformed: ' and the reason, by ParseStatus. hits: the codes that are hits,
    'listed' or 'blacklisted' and 'greylisted'.
    """

    words: tuple[str, ...]
    hits: tuple[int, ...]

    def __init__(self, listed: Any, /) -> None:
        if isinstance(listed, str | os.PathLike):
            listed = _open(os.fspath(listed))
        if isinstance(listed, ImeiSet):
            self.words, self.hits = ("not listed", "listed"), (1,)
        elif hasattr(listed, "check_many"):
            self.words, self.hits = ("whitelisted", "blacklisted", "greylisted", "unknown"), (1, 2)
        else:
            raise TypeError(f"expected an ImeiSet, a Register or a path, got {type(listed).__name__}")
        self.list = listed
        self.malformed = len(self.words)  # the first code of a malformed row
        self.words += MALFORMED

    def listed(
        self, column: object, *, malformed: bool | None = None, threads: int | None = None
    ) -> NDArray[np.bool_]:
        """Which rows are in the set, or blacklisted by the register: bool[n].

        malformed: None raises ImeiError for the first malformed row; False counts them as out, True as
        in. threads: None uses all cores for a column of many rows.
        """
        column = columns.settled(column)
        if isinstance(self.list, ImeiSet):
            return self.list.contains(column, _threads(column, threads), malformed)
        if malformed is None:
            columns.keys_of(column)
        codes = self.codes(column)
        answers: NDArray[np.bool_] = codes == 1
        if malformed:
            answers[codes >= self.malformed] = True
        return answers

    def codes(self, column: object) -> NDArray[np.uint8]:
        """The code of every row: uint8[n], indices into `words`. No content raises."""
        return self.codes_of(*columns.parse(column))

    def codes_of(self, keys: columns.Keys, status: columns.Statuses) -> NDArray[np.uint8]:
        """The codes of rows that `parse` has read."""
        if not status.any():
            return self._codes_of(keys)
        codes = np.empty(len(keys), np.uint8)
        good = status == 0
        codes[good] = self._codes_of(keys[good])
        codes[~good] = status[~good] + (self.malformed - 1)
        return codes

    def _codes_of(self, keys: columns.Keys) -> NDArray[np.uint8]:
        if isinstance(self.list, ImeiSet):
            return self.list.contains(keys, _threads(keys, None)).view(np.uint8)
        codes: NDArray[np.uint8] = self.list.check_many(keys)
        return codes


def _threads(column: Any, threads: int | None) -> int:
    if threads is not None:
        return threads
    many = hasattr(column, "__len__") and len(column) >= _MANY
    return os.cpu_count() or 1 if many else 1


def _open(path: str) -> ImeiSet:
    try:
        status = Path(path).stat()
    except OSError:
        return ImeiSet.open(path)  # says what is wrong
    return _opened(os.path.realpath(path), (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=8)
def _opened(path: str, identity: tuple[int, ...]) -> ImeiSet:
    """The open snapshot: the same for all who ask while the file is the same."""
    return ImeiSet.open(path)
