"""What was screened, counted: rows by status, hits by list and by TAC."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from .. import readers
from ..feeds.report import RowFlaw
from .screener import Screener

TOP = 10  # TACs reported


@dataclass(slots=True)
class ScreenReport:
    """What was screened.

    Attributes
    ----------
    inputs : list of str
        The files.
    rows, hits : int
        Records, and those that are listed (of a register: black- or greylisted).
    words : dict of str to int
        Rows by status, malformed ones by reason. Their sum is `rows`.
    lists : dict of str to int
        Hits by the list that decided.
    tacs : dict of str to int
        The TACs with the most hits, and how many.
    seconds : float
        How long it took.
    skipped : list of str
        Files of a directory whose names are not those of records.

    Examples
    --------
    >>> with open("calls.csv", "w") as file:
    ...     _ = file.write("imei\\n490154203237518\\n35693803564380x\\n")
    >>> report = imeiset.screen("calls.csv", imeiset.ImeiSet(["490154203237518"]))
    >>> report.words
    {'listed': 1, 'malformed: not digit': 1}
    """

    inputs: list[str] = field(default_factory=list)
    rows: int = 0
    hits: int = 0
    words: dict[str, int] = field(default_factory=dict)
    lists: dict[str, int] = field(default_factory=dict)
    tacs: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    skipped: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """The report as one JSON object.

        Returns
        -------
        str
            JSON.

        Examples
        --------
        >>> imeiset.ScreenReport(rows=2, hits=1).to_json()[:35]
        '{"inputs": [], "rows": 2, "hits": 1'
        """
        return json.dumps(asdict(self))


# Rows by code, hits by list (the first: by none), and columns of the TACs of hits and how many each has.
Counts = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64]]


class Tally:
    """Screens batches of parsed rows by what a list is when this is made, and counts what was found."""

    def __init__(self, screener: Screener) -> None:
        self._screener = screener.now()
        self._lists = self._screener.lists
        self.words = dict(enumerate(screener.words))
        self.words |= {int(flaw): f"malformed: {flaw.name.lower().replace('_', ' ')}" for flaw in RowFlaw}
        self.is_hit = np.zeros(256, bool)
        self.is_hit[list(screener.hits)] = True
        self._codes = np.zeros(256, np.int64)
        self._by_list = np.zeros(len(self._lists) + 1, np.int64)
        self._by_tac: list[NDArray[np.uint64]] = []
        self._pending = 0

    def screened(
        self,
        keys: readers.Keys,
        status: readers.Statuses,
        value: Callable[[int], object],
        flaws: NDArray[np.int32] | None = None,
    ) -> tuple[NDArray[np.uint8], Counts]:
        """The codes of parsed rows, and what `add` is to count; from any thread."""
        codes, lists = self._screener.decided(keys, status, value)
        if flaws is not None and flaws.any():
            codes = np.where(flaws, flaws, codes).astype(np.uint8)
        hits = self.is_hit[codes]
        tacs = keys[hits] // np.uint64(10**6)
        by_tac = np.array(np.unique(tacs[tacs < 10**8], return_counts=True), np.uint64)  # a text has none
        by_list = np.bincount(lists[hits] + 1, minlength=len(self._by_list))
        return codes, (np.bincount(codes, minlength=256), by_list, by_tac)

    def add(self, counts: Counts) -> None:
        """Count a batch."""
        codes, by_list, by_tac = counts
        self._codes += codes
        self._by_list += by_list
        self._by_tac.append(by_tac)
        self._pending += by_tac.shape[1]
        if self._pending > 1 << 20:
            self._fold()

    def _fold(self) -> None:
        """Make one column of every TAC."""
        tacs, numbers = np.concatenate(self._by_tac, axis=1)
        kept, place = np.unique(tacs, return_inverse=True)
        self._by_tac = [np.array([kept, np.bincount(place, weights=numbers)], np.uint64)]
        self._pending = 0

    def report(self, files: list[str], skipped: list[str], seconds: float) -> ScreenReport:
        """What was counted."""
        tacs: dict[str, int] = {}
        if self._by_tac:
            self._fold()
            [found] = self._by_tac
            most = found[:, np.argsort(found[1].astype(np.int64) * -1, kind="stable")[:TOP]]
            tacs = {f"{tac:08d}": count for tac, count in most.T.tolist()}
        words = {self.words[code]: int(self._codes[code]) for code in np.flatnonzero(self._codes).tolist()}
        hits = int(self._codes[self.is_hit].sum())
        lists = dict(zip(self._lists, self._by_list[1:].tolist(), strict=True))
        return ScreenReport(files, int(self._codes.sum()), hits, words, lists, tacs, seconds, skipped)
