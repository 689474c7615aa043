"""Screening columns against a list: one word for every row, also for the rows that hold no IMEI."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imeiset import columns, opening, readers
from imeiset.errors import ImeiError, ParseStatus
from imeiset.register import EquipmentStatus, Register, Words
from imeiset.register.checks import Checks
from imeiset.screening.details import are_malformed, told
from imeiset.sets import ImeiSet
from imeiset.store import Store

Codes = NDArray[np.uint8]
Lists = NDArray[np.int8]

_MALFORMED = tuple(f"malformed: {status.name.lower().replace('_', ' ')}" for status in ParseStatus if status)
_MANY = 1 << 16  # rows that are worth more than one thread


@dataclass(frozen=True, init=False, eq=False)
class Screener:
    """What a list says of columns of IMEIs.

    Parameters
    ----------
    listed
        An ImeiSet, a Register or a Store; or the path of a snapshot or of a store's directory, which all
        Screeners of the process open once. A file that was replaced is opened anew for Screeners made from
        then on. A Screener of a directory follows the store: every column is answered by its newest state.

    Attributes
    ----------
    list : ImeiSet, Register or Store
        What answers.
    words : tuple of str
        What the codes mean: of a set "not listed" and "listed", of a register or a store its equipment
        statuses; then "malformed: " and the reason, in the order of `ParseStatus`.
    hits : tuple of int
        The codes that are hits: "listed", or "blacklisted" and "greylisted".

    Raises
    ------
    SnapshotError, StoreError
        A kind of it says why a path cannot be opened.
    TypeError
        For anything else than a list.

    Notes
    -----
    A column is answered by one state of a store, whatever happens to it meanwhile. Any number of threads may
    use a Screener.

    Examples
    --------
    >>> screener = imeiset.Screener(imeiset.ImeiSet(["490154203237518"]))
    >>> [screener.words[code] for code in screener.codes(["49015420323751", "350000000000001", "n/a"])]
    ['listed', 'not listed', 'malformed: not digit']
    """

    list: ImeiSet | Register | Store | Checks = field()
    words: tuple[str, ...] = field(repr=False)
    hits: tuple[int, ...] = field(repr=False)
    _follows: bool = field(repr=False)

    def __init__(self, listed: Any, /) -> None:
        follows = isinstance(listed, str | os.PathLike) and Path(listed).is_dir()
        if isinstance(listed, str | os.PathLike):
            listed = _open(os.fspath(listed))
        words: tuple[str, ...] = ("not listed", "listed")
        hits: tuple[int, ...] = (1,)
        if isinstance(listed, Checks):
            words = tuple(status.name.lower() for status in EquipmentStatus)
            hits = (EquipmentStatus.BLACKLISTED, EquipmentStatus.GREYLISTED)
        elif not isinstance(listed, ImeiSet):
            raise TypeError(
                f"expected an ImeiSet, a Register, a Store or a path, got {type(listed).__name__}"
            )
        vars(self).update(list=listed, words=words + _MALFORMED, hits=hits, _follows=follows)
        if follows:  # it may have been opened before, and say only now what is wrong
            self.now()

    @property
    def lists(self) -> tuple[str, ...]:
        """The names of the lists that decide; of a set "listed".

        Examples
        --------
        >>> import imeiset
        >>> imeiset.Screener(imeiset.ImeiSet(["490154203237518"])).lists
        ('listed',)
        """
        if isinstance(self.list, ImeiSet):
            return ("listed",)
        return tuple(one.name for one in self.list.lists)

    def contains(
        self, column: object, *, malformed: bool | None = None, threads: int | None = 1, digits: int = 14
    ) -> NDArray[np.bool_]:
        """Which rows are in the set, or blacklisted by the register or the store.

        Parameters
        ----------
        column
            Any column, see `ImeiSet.contains`.
        malformed
            What a malformed row is: None raises for the first one, False counts it as out, True as in. What
            may be a phone all the same raises: an integer of more digits, a float.
        threads
            How many to use; None: all cores, for a column of many rows.
        digits
            14 for integers that are keys, 15 for such as have the check digit.

        Returns
        -------
        bool[n]

        Raises
        ------
        ImeiError
            For the first malformed row, with its position.

        Examples
        --------
        >>> screener = imeiset.Screener(imeiset.ImeiSet(["490154203237518"]))
        >>> screener.contains(["490154203237518", "n/a"], malformed=False).tolist()
        [True, False]
        """
        if malformed not in (None, False, True):
            raise TypeError(f"malformed: expected None, False or True, got {malformed!r}")
        column = readers.materialized(column)
        if isinstance(self.list, ImeiSet):
            threads = _threads(column, threads)
            return self.list.contains(column, threads=threads, malformed=malformed, digits=digits)
        first = len(self.words) - len(_MALFORMED)

        def expect_good(codes: Codes) -> None:
            if malformed is None and (bad := np.flatnonzero(codes >= first)).size:
                row = int(bad[0])
                raise readers.error_at(column, row, int(codes[row]) - first + 1, digits=digits)

        codes = self._codes(column, threads, digits, expect_good)
        answers: NDArray[np.bool_] = codes == EquipmentStatus.BLACKLISTED
        return answers | (codes >= first) if malformed else answers

    def codes(self, column: object, *, threads: int | None = 1, digits: int = 14) -> Codes:
        """What the list says of every row, malformed ones included.

        Parameters
        ----------
        column, threads, digits
            As for `contains`.

        Returns
        -------
        uint8[n]
            Places in `words`.

        Raises
        ------
        ImeiError
            For a value that may be a phone all the same, such as an integer of 15 digits, unless `digits` is
            15.

        Notes
        -----
        An `ImeiWarning` says that more than half of at least 100 rows are malformed.

        Examples
        --------
        >>> import imeiset
        >>> screener = imeiset.Screener(imeiset.ImeiSet(["490154203237518"]))
        >>> [screener.words[code] for code in screener.codes(["490154203237518", "n/a"])]
        ['listed', 'malformed: not digit']
        """
        return self._codes(readers.materialized(column), threads, digits)

    def _codes(
        self, column: object, threads: int | None, digits: int, expect: Callable[[Codes], None] | None = None
    ) -> Codes:
        """The codes of a column; expect: called with them before a warning is issued."""
        return self.now()._read(column, threads, digits, expect)[0]

    def _read(
        self, column: object, threads: int | None, digits: int, expect: Callable[[Codes], None] | None = None
    ) -> tuple[Codes, Lists, readers.Keys, readers.Statuses]:
        """The codes of a column, the lists that decided, the keys and why there are none."""
        keys, status = columns.parse(column, digits=digits)
        value = readers.values(column, digits=digits)
        codes, lists = self.decided(keys, status, value, threads=threads)
        if expect:
            expect(codes)
        if status.any():  # a text that the list keeps is understood
            settled = not isinstance(self.list, ImeiSet) and self.list.policy.malformed is not None
            first = len(self.words) - len(_MALFORMED)
            malformed = are_malformed(self.list, status, value, lists) if settled else codes >= first
            rows = np.flatnonzero(malformed & (status != 0))
            if rows.size:
                first = int(rows[0])
                columns.warn_of_malformed(
                    column, len(codes), rows.size, first, int(status[first]), digits=digits
                )
        return codes, lists, keys, status

    def details(self, column: object, *, threads: int | None = 1, digits: int = 14) -> dict[str, Any]:
        """All that is said of every row, and by what list, as columns.

        Parameters
        ----------
        column, threads, digits
            As for `codes`.

        Returns
        -------
        dict
            'status': texts, of `words`; 'list', 'rule', 'reasons': texts or None; 'date', 'until':
            datetime64[D] or NaT. As `Register.check_many` with `details` has them, malformed rows included.

        Raises
        ------
        ImeiError
            As `codes` does.

        Examples
        --------
        >>> import imeiset
        >>> register = imeiset.Register()
        >>> register.add("stolen", ["490154203237518"], status=imeiset.EquipmentStatus.BLACKLISTED)
        >>> answers = imeiset.Screener(register).details(["490154203237518", "n/a"])
        >>> list(answers["status"]), list(answers["list"]), list(answers["rule"])
        (['blacklisted', 'malformed: not digit'], ['stolen', None], ['exact', 'malformed'])
        """
        held, column = self.now(), readers.materialized(column)
        codes, lists, keys, status = held._read(column, threads, digits)
        said = told(held.list, keys, status, readers.values(column, digits=digits), lists)
        return {"status": Words(self.words, codes.astype(np.int32))} | said

    def now(self) -> "Screener":
        """The list as it is at this moment, for many calls that are to be answered alike.

        Returns
        -------
        Screener
            One whose list does not change.

        Examples
        --------
        >>> import imeiset
        >>> imeiset.Screener(imeiset.ImeiSet(["490154203237518"])).now().lists
        ('listed',)
        """
        if isinstance(self.list, ImeiSet) or type(self.list) is Checks:
            return self
        if self._follows and isinstance(self.list, Store):
            self.list.refresh()
        held = object.__new__(Screener)
        vars(held).update(vars(self), list=self.list.frozen())
        return held

    def decided(
        self,
        keys: readers.Keys,
        status: readers.Statuses,
        value: Callable[[int], object],
        *,
        threads: int | None = 1,
    ) -> tuple[Codes, Lists]:
        """The codes of parsed rows, and which of `lists` decided each. For a screener that `now` gave.

        Parameters
        ----------
        keys, status
            As `imeiset.parse` gives them.
        value
            Called with the number of a malformed row, for what stands there: a list may hold it as a text, or
            say what it counts as.
        threads
            As for `contains`.

        Returns
        -------
        uint8[n], int8[n]
            Places in `words`, and in `lists`, where -1 is none.

        Raises
        ------
        ImeiError
            For an integer of 15 digits, which is not a key.

        Examples
        --------
        >>> import imeiset
        >>> screener = imeiset.Screener(imeiset.ImeiSet(["490154203237518"])).now()
        >>> column = ["490154203237518", "n/a"]
        >>> codes, lists = screener.decided(*imeiset.parse(column), column.__getitem__)
        >>> lists.tolist()
        [0, -1]
        """
        if not status.any():
            return self._answered(keys, threads)
        codes, lists = np.empty(len(keys), np.uint8), np.full(len(keys), -1, np.int8)
        good = status == 0
        refused = np.flatnonzero(np.isin(status, columns.AMBIGUOUS))
        if refused.size:  # to call it malformed, or not listed, would let a listed phone through
            row = int(refused[0])
            raise ImeiError(ParseStatus(int(status[row])), value(row), position=row)
        codes[good], lists[good] = self._answered(keys[good], threads)
        codes[~good] = status[~good] + (len(self.words) - len(_MALFORMED) - 1)
        kept = (
            self.list.irregular is not None if isinstance(self.list, ImeiSet) else self.list.answers_malformed
        )
        if kept:
            for row in np.flatnonzero(~good).tolist():
                with suppress(ImeiError):  # malformed for the list too
                    codes[row], lists[row] = self._answer(value(row))
        return codes, lists

    def _answered(self, keys: readers.Keys, threads: int | None) -> tuple[Codes, Lists]:
        threads = _threads(keys, threads)
        if isinstance(self.list, ImeiSet):
            codes = self.list.contains(keys, threads=threads).view(np.uint8)
            return codes, codes.view(np.int8) - np.int8(1)
        return self.list.check_many(keys, threads=threads, lists=True)

    def _answer(self, value: object) -> tuple[int, int]:
        """The code and the list of one value; raises ImeiError."""
        if isinstance(self.list, ImeiSet):
            listed = value in self.list
            return int(listed), int(listed) - 1
        verdict = self.list.check(value)
        return verdict.status, -1 if verdict.list is None else self.lists.index(verdict.list)


def _threads(column: Any, threads: int | None) -> int:
    if threads is not None:
        return threads
    many = hasattr(column, "__len__") and len(column) >= _MANY
    return os.cpu_count() or 1 if many else 1


def _open(path: str) -> ImeiSet | Register | Store:
    """What is there: opened once for all who ask while it is the same file or directory."""
    identity: tuple[int, ...] = ()
    with suppress(OSError):  # opening it says what is wrong
        status = Path(path).stat()
        identity = status.st_dev, status.st_ino
        if not stat.S_ISDIR(status.st_mode):
            identity += status.st_size, status.st_mtime_ns
    return _opened(os.path.realpath(path), *identity)


@lru_cache(maxsize=8)
def _opened(path: str, *identity: int) -> ImeiSet | Register | Store:
    return opening.open(path)
