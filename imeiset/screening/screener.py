"""Screening columns against a list: one word for every row, also for the rows that are no IMEI."""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imeiset import columns, snapshot
from imeiset._native.checks import Checker
from imeiset.errors import ImeiError, ParseStatus
from imeiset.register import EquipmentStatus, Register
from imeiset.sets import ImeiSet
from imeiset.store import Store

Codes = NDArray[np.uint8]
Lists = NDArray[np.int8]

MALFORMED = tuple(f"malformed: {status.name.lower().replace('_', ' ')}" for status in ParseStatus if status)
_MANY = 1 << 16  # rows worth more than one thread


class Screener:
    """What a list says of columns of IMEIs.

    listed: an ImeiSet, a Register or a Store, or the path of a snapshot or of a store's directory, which
    all Screeners of the process open but once: a store to read, in its newest state. A file that was
    replaced, or a store that changed, is opened anew for the Screeners made from then on.

    words: what the codes mean: of a set 'not listed' and 'listed', of a register its equipment
    statuses, and then 'malformed: ' and the reason, by ParseStatus. hits: the codes that are hits,
    'listed' or 'blacklisted' and 'greylisted'.
    """

    words: tuple[str, ...]
    hits: tuple[int, ...]

    def __init__(self, listed: Any, /) -> None:
        if isinstance(listed, str | os.PathLike):
            listed = _open(os.fspath(listed))
        self.list = listed
        if isinstance(listed, ImeiSet):
            self.words, self.hits = ("not listed", "listed"), (1,)
        elif isinstance(listed, Checker):
            self.words = tuple(status.name.lower() for status in EquipmentStatus)
            self.hits = (EquipmentStatus.BLACKLISTED, EquipmentStatus.GREYLISTED)
        else:
            raise TypeError(
                f"expected an ImeiSet, a Register, a Store or a path, got {type(listed).__name__}"
            )
        self.malformed = len(self.words)  # the first code of a malformed row
        self.words += MALFORMED

    def listed(
        self, column: object, *, malformed: bool | None = None, threads: int | None = None
    ) -> NDArray[np.bool_]:
        """Which rows are in the set, or blacklisted by the register: bool[n].

        malformed: None raises ImeiError for the first malformed row; False counts them as out, True as
        in. threads: None uses all cores for a column of many rows.
        """
        if malformed not in (None, False, True):
            raise TypeError(f"malformed: expected None, False or True, got {malformed!r}")
        column = columns.settled(column)
        if isinstance(self.list, ImeiSet):
            return self.list.contains(column, _threads(column, threads), malformed)
        codes = self.codes(column)
        if malformed is None and (bad := np.flatnonzero(codes >= self.malformed)).size:
            row = int(bad[0])
            raise columns.error_at(column, row, int(codes[row]) - self.malformed + 1)
        answers: NDArray[np.bool_] = codes == 1
        if malformed:
            answers[codes >= self.malformed] = True
        return answers

    def codes(self, column: object, *, threads: int | None = None) -> Codes:
        """The code of every row: uint8[n], indices into `words`. No content raises. threads: as above."""
        column = columns.settled(column)
        keys, status = columns.parse(column)
        return self.now().judge(keys, status, columns.values(column), threads)[0]

    def now(self) -> "Moment":
        """What the list is at this moment, for many calls that are to be answered alike."""
        return Moment(self.list, self.malformed)


class Moment:
    """What a list says of parsed rows at one moment; a store may change from one to the next, and gain lists.

    lists: the names of a register's lists then.
    """

    def __init__(self, listed: ImeiSet | Checker, malformed: int) -> None:
        self._list, self._malformed = listed, malformed
        self.lists: tuple[str, ...] = ("listed",)
        self._keeps_texts = True  # or has a policy for what is malformed
        if isinstance(listed, ImeiSet):
            self._keeps_texts = listed.irregular is not None
        else:
            tables = listed._tables()
            self.lists = tuple(one.name for one in tables.rules.lists)
            self._list = Checker()
            self._list._use(tables)

    def judge(
        self,
        keys: columns.Keys,
        status: columns.Statuses,
        value: Callable[[int], object],
        threads: int | None = None,
    ) -> tuple[Codes, Lists]:
        """The codes of parsed rows, and which of `lists` decided each, -1 for none.

        value: what stands in a row, asked for malformed ones: a list may hold them as texts, or say what
        they count as.
        """
        if not status.any():
            return self._judge(keys, threads)
        codes, lists = np.empty(len(keys), np.uint8), np.full(len(keys), -1, np.int8)
        good = status == 0
        codes[good], lists[good] = self._judge(keys[good], threads)
        codes[~good] = status[~good] + (self._malformed - 1)
        for row in np.flatnonzero(~good).tolist() if self._keeps_texts else ():
            with suppress(ImeiError):  # malformed for the list too
                codes[row], lists[row] = self._ask(value(row))
        return codes, lists

    def _judge(self, keys: columns.Keys, threads: int | None) -> tuple[Codes, Lists]:
        threads = _threads(keys, threads)
        if isinstance(self._list, ImeiSet):
            codes = self._list.contains(keys, threads).view(np.uint8)
            return codes, codes.view(np.int8) - np.int8(1)
        return self._list.check_many(keys, threads=threads, lists=True)

    def _ask(self, value: object) -> tuple[int, int]:
        """The code and the list of one value; raises ImeiError."""
        if isinstance(self._list, ImeiSet):
            listed = value in self._list
            return int(listed), int(listed) - 1
        verdict = self._list.check(value)
        return verdict.status, -1 if verdict.list is None else self.lists.index(verdict.list)


def _threads(column: Any, threads: int | None) -> int:
    if threads is not None:
        return threads
    many = hasattr(column, "__len__") and len(column) >= _MANY
    return os.cpu_count() or 1 if many else 1


def _open(path: str) -> ImeiSet | Register | Store:
    here = Path(path)
    files = [here, *here.iterdir()] if here.is_dir() else [here]
    identity: list[tuple[int, ...]] = []
    for file in sorted(files):
        with suppress(OSError):  # opening it says what is wrong
            status = file.stat()
            identity.append((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
    return _opened(os.path.realpath(path), *identity)


@lru_cache(maxsize=8)
def _opened(path: str, *identity: tuple[int, ...]) -> ImeiSet | Register | Store:
    """The open snapshot or store: the same for all who ask while its files are the same."""
    if Path(path).is_dir():
        return Store.open(path)
    kinds: dict[str, type[ImeiSet] | type[Register]] = {"register": Register}
    return kinds.get(snapshot.open(path).kind, ImeiSet).open(path)
