"""What was screened, counted: rows by status, hits by list and by TAC."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import columns, readers
from .._native import records
from .._native.parse import NO_KEY
from ..errors import FeedEmpty, FeedError, FeedRejects, ParseStatus
from ..feeds.identities import Identities, swapped_in
from ..feeds.options import LostZeros, Options
from ..feeds.report import FIRST_LINES, RowFlaw, Suspects
from ..feeds.zeros import Zeros
from ..register.claims import spread
from ..sets import ImeiSet
from .details import DETAILS, are_malformed, counts_of, told
from .screener import Codes, Lists, Screener

_BLANK = (ParseStatus.EMPTY, ParseStatus.MISSING)
_NONE = np.empty(0, np.intp)
_FEW = 4  # codes
TOP = 10  # TACs reported
MAX_COLUMNS = 8  # of IMEIs: with the words, 256 answers
_RESTORED: dict[LostZeros | None, int] = {"restore": 14, "restore-imeisv": 15}


@dataclass(slots=True)
class ScreenReport:
    """What was screened.

    Attributes
    ----------
    inputs : list of str
        The files.
    rows, hits : int
        Records, and those that are listed (of a register: black- or greylisted).
    malformed : int
        Records whose IMEI is malformed, whatever status a policy gives them.
    words : dict of str to int
        Rows by status, malformed ones by reason. Their sum is `rows`.
    lists : dict of str to int
        Hits by the list that decided.
    on : dict of str to int
        Hits by each list that has the phone, whichever decided: where no subscriber is known.
    tacs : dict of str to int
        The TACs with the most hits, and how many.
    lost_zeros : Suspects
        IMEIs of 14 digits that are an IMEI with a zero before them, as a spreadsheet drops it: how many, and
        the file and line of the first. With ``lost_zeros="restore"``, the ones that got it back.
    lost_zeros_imeisv : Suspects
        IMEIs of 15 digits with a wrong check digit, which may be an IMEISV without its zero. With
        ``lost_zeros="restore-imeisv"``, the ones that got it back.
    seconds : float
        How long it took.
    skipped : list of str
        Files of a directory whose names are not those of records.
    without_imeis : list of str
        Files of several in which no row is an IMEI. Their rows are counted.

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
    malformed: int = 0
    words: dict[str, int] = field(default_factory=dict)
    lists: dict[str, int] = field(default_factory=dict)
    on: dict[str, int] = field(default_factory=dict)
    tacs: dict[str, int] = field(default_factory=dict)
    lost_zeros: Suspects = field(default_factory=Suspects)
    lost_zeros_imeisv: Suspects = field(default_factory=Suspects)
    seconds: float = 0.0
    skipped: list[str] = field(default_factory=list)
    without_imeis: list[str] = field(default_factory=list)

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


class Cells(NamedTuple):
    """A column of IMEIs of a batch of rows."""

    keys: readers.Keys
    status: readers.Statuses
    value: Callable[[int], object]  # what stands in a row
    digits: tuple[int, int, int] = (0, 0, 0)  # texts of 14, 15 and 16 digits
    lost: tuple[tuple[int, list[int]], ...] = ((0, []), (0, []))  # zeros: how many, and the rows of the first

    @classmethod
    def of_text(
        cls,
        text: bytes,
        cells: NDArray[np.int32],
        flaws: NDArray[np.int32] | None,
        delimiter: bytes,
        options: Options,
    ) -> "Cells":
        """Those of a delimited text that lie between starts and ends; rows with a flaw have none."""
        starts, ends = cells
        if flaws is not None:
            ends = np.where(flaws, starts, ends)
        return cls._of_spans(text, starts, ends, options, delimiter)

    @classmethod
    def of_arrow(
        cls,
        text: Any,
        offsets: NDArray[np.int64],
        missing: NDArray[np.bool_] | None,
        options: Options,
    ) -> "Cells":
        """Those of an Arrow column."""
        first = int(offsets[0])  # of a slice of a large column, only its bytes
        text = memoryview(text).cast("B")[first : int(offsets[-1])]
        starts, ends = offsets[:-1] - first, offsets[1:] - first
        if missing is not None:
            ends = np.where(missing, starts, ends)
        found = cls._of_spans(text, starts, ends, options, None)
        if missing is not None:
            found.status[missing] = ParseStatus.MISSING
        return found

    @classmethod
    def of_integers(
        cls,
        column: object,
        keys: readers.Keys,
        status: readers.Statuses,
        value: Callable[[int], object],
        digits: int,
    ) -> "Cells":
        """Those of a column of integers, already parsed. Keys of 14 digits may be IMEIs that lost a zero.
        Shorter numbers with the check digit did, if it is right or a spare one: others may be keys."""
        if digits == 15:
            short = (status == 0) & (keys < 10**13)
            if short.any():
                wrong = short & (columns.parse(column, digits=15, check_digit="spare")[1] != 0)
                status[wrong], keys[wrong] = ParseStatus.CHECK_DIGIT, NO_KEY
                return cls(keys, status, lambda row: None if wrong[row] else value(row))
            return cls(keys, status, value)
        _, exact = columns.parse(column, digits=15, check_digit="require")
        whole = (status == 0) & (keys >= 10**13)
        short = np.flatnonzero(whole & (exact == 0))
        first: list[int] = short[:FIRST_LINES].tolist()
        return cls(keys, status, value, (int(np.count_nonzero(whole)), 0, 0), ((len(short), first), (0, [])))

    @classmethod
    def _of_spans(
        cls,
        text: Any,
        starts: NDArray[Any],
        ends: NDArray[Any],
        options: Options,
        delimiter: bytes | None,
    ) -> "Cells":
        keys, status = readers.buffers(len(starts))
        restored, tbcd = _RESTORED.get(options.lost_zeros, 0), bool(options.tbcd)
        found = records.read(text, starts, ends, keys, status, restored, delimiter, tbcd)

        def value(row: int) -> bytes | None:
            # Without its zero, a number that may not have it back would be another phone; so would TBCD.
            gone = tbcd or status[row] in (ParseStatus.MISSING, ParseStatus.CHECK_DIGIT)
            return None if gone else bytes(text[starts[row] : ends[row]])

        return cls(keys, status, value, found[0], found[1:])


class Said(NamedTuple):
    """What lists say of the hits of a batch."""

    rows: NDArray[np.intp]
    of_hits: dict[str, Any]  # see `details.told`

    def columns(self, count: int) -> list[Any]:
        """The same as columns of so many rows, in the order of DETAILS."""
        return [spread(self.of_hits[name], self.rows, count) for name in DETAILS]


class Screened(NamedTuple):
    """What a batch of rows came to."""

    codes: Codes
    by_code: NDArray[np.int64]
    columns: NDArray[np.intp] | None  # which of several columns decided
    by_list: NDArray[np.int64]  # hits; the first: by none
    on: NDArray[np.int64]  # hits that each list has
    by_tac: NDArray[np.uint64]  # the TACs of hits, and how many each has
    malformed: int  # rows to which the policy says what such get
    understood: bool  # whether a row has an IMEI, or a text that the list keeps
    digits: tuple[int, ...]
    swapped: int  # keys that begin as TBCD does, see `swapped_in`; where some rows may be such
    lost: tuple[Suspects, ...]
    said: Said | None  # None where nobody asked

    def hits(self, rows: NDArray[np.intp]) -> "Screened":
        """With the answers of these rows only, which are the hits."""
        places = None if self.columns is None else self.columns[rows]
        said = self.said and self.said._replace(rows=np.arange(len(rows)))
        return self._replace(codes=self.codes[rows], columns=places, said=said)


class Tally:
    """Screens batches of parsed rows by what a list is when this is made, and counts what was found."""

    def __init__(self, screener: Screener, options: Options, *, details: bool = False) -> None:
        handling = options.lost_zeros
        self._screener = screener.now()
        self._lists = self._screener.lists
        held = self._screener.list
        self.keeps_texts = (  # identities that are no IMEIs
            held.irregular is not None
            if isinstance(held, ImeiSet)
            else any(one.irregular for one in held.lists)
        )
        self.words = dict(enumerate(screener.words))
        self._malformed = len(screener.words) - max(ParseStatus)  # the first code of a malformed row
        self._policy = not isinstance(screener.list, ImeiSet) and screener.list.policy.malformed is not None
        self.flaws = {int(flaw): f"malformed: {flaw.name.lower().replace('_', ' ')}" for flaw in RowFlaw}
        self.words |= self.flaws
        self.is_hit = np.zeros(256, bool)
        self.is_hit[list(screener.hits)] = True
        # Of several IMEIs of a record the worst decides: hits in their order, then what is malformed.
        self._rank = np.full(256, 3, np.uint8)
        self._rank[: self._malformed] = 1
        self._rank[list(screener.hits)] = range(4 + len(screener.hits), 4, -1)
        self._codes = np.zeros(256, np.int64)
        self._by_list = np.zeros(len(self._lists) + 1, np.int64)
        self._on = np.zeros(len(self._lists), np.int64)
        self._details = details
        self._by_tac: list[NDArray[np.uint64]] = []
        self._pending = 0
        self._settled = 0
        self.lost = (Suspects(), Suspects())
        self.handling, self.zeros, self.identities = handling, Zeros(handling), Identities(options)
        self.understood = False  # whether a row of any file has an IMEI
        self._without: dict[str, FeedError] = {}

    def screened(
        self,
        columns: Sequence[Cells],
        path: str,
        line: Callable[[int], int],
        flaws: NDArray[np.int32] | None = None,
    ) -> Screened:
        """What is said of rows, each at a line; from any thread."""
        answers = [self._screener.decided(*cells[:3]) for cells in columns]
        codes, lists, keys, places = self._decided(columns, answers)
        understood = self._understood(columns, answers)

        def at(row: int) -> object:
            return columns[0 if places is None else int(places[row])].value(row)

        status = _chosen([cells.status for cells in columns], places)
        settled = 0
        if self._policy:  # rows that got what it says of malformed ones
            malformed = are_malformed(self._screener.list, status, at, lists)
            settled = int(np.count_nonzero(malformed if flaws is None else malformed & (flaws == 0)))
        if flaws is not None:
            codes = np.where(flaws, flaws, codes).astype(np.uint8)
        by_code = _counted(codes)
        hits = np.flatnonzero(self.is_hit[codes]) if by_code[self.is_hit].any() else _NONE
        tacs = keys[hits] // np.uint64(10**6)
        by_tac = np.array(np.unique(tacs[tacs < 10**8], return_counts=True), np.uint64)  # a text has none
        by_list = np.bincount(lists[hits] + 1, minlength=len(self._by_list))

        asked = keys[hits], status[hits], lambda hit: at(int(hits[hit])), lists[hits]
        on = counts_of(self._screener.list, *asked) if len(self._lists) > 1 else by_list[1:]
        said = Said(hits, told(self._screener.list, *asked)) if self._details else None
        lost = (Suspects(), Suspects())
        for cells in columns:
            for suspects, (count, rows) in zip(lost, cells.lost, strict=True):
                suspects.add(count, path, list(map(line, rows)))
        digits = tuple(map(sum, zip(*(cells.digits for cells in columns), strict=True)))
        swapped = sum(swapped_in(cells.keys) for cells in columns if cells.digits[0] or cells.digits[2])
        counts = by_tac, settled, understood, digits, swapped, lost
        return Screened(codes, by_code, places, by_list, on, *counts, said)

    def _decided(
        self, columns: Sequence[Cells], answers: Sequence[tuple[Codes, Lists]]
    ) -> tuple[Codes, Lists, readers.Keys, NDArray[np.intp] | None]:
        """Of each row the code, the list and the key that decided, and by which of several columns."""
        if len(columns) == 1:
            return *answers[0], columns[0].keys, None
        # A blank cell is not an IMEI, and does not decide unless all are blank.
        ranks = [
            np.where(np.isin(cells.status, _BLANK), 0, self._rank[codes])
            for cells, (codes, _) in zip(columns, answers, strict=True)
        ]
        worst = np.argmax(ranks, axis=0)
        rows = np.arange(len(worst))
        codes, lists = (np.stack(each)[worst, rows] for each in zip(*answers, strict=True))
        keys = np.stack([cells.keys for cells in columns])[worst, rows]
        return codes, lists, keys, worst

    def _understood(self, columns: Sequence[Cells], answers: Sequence[tuple[Codes, Lists]]) -> bool:
        """Whether a row has an IMEI, or a text that the list keeps."""
        if not all(cells.status.all() for cells in columns):
            return True
        return any(
            (lists >= 0 if self._policy else codes < self._malformed).any() for codes, lists in answers
        )

    def add(self, found: Screened) -> None:
        """Count a batch."""
        self._codes += found.by_code
        self._settled += found.malformed
        self._by_list += found.by_list
        self._on += found.on
        self._by_tac.append(found.by_tac)
        self._pending += found.by_tac.shape[1]
        if self._pending > 1 << 20:
            self._fold()

    def _fold(self) -> None:
        """Make one column of every TAC."""
        tacs, numbers = np.concatenate(self._by_tac, axis=1)
        kept, place = np.unique(tacs, return_inverse=True)
        self._by_tac = [np.array([kept, np.bincount(place, weights=numbers)], np.uint64)]
        self._pending = 0

    def miss(self, path: str, error: FeedError) -> None:
        """A file has no IMEI, which is an error if none has one."""
        self._without.setdefault(path, error)

    def end(self) -> None:
        """Raise the kind of FeedError that says why the files may not be screened as they are."""
        if self._without and not self.understood:
            raise next(iter(self._without.values()))
        self.zeros.expect_together()
        self.identities.expect_together()

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
        on = dict(zip(self._lists, self._on.tolist(), strict=True))
        named = sum(count for word, count in words.items() if word.startswith("malformed: "))
        malformed = self._settled + named
        rows = int(self._codes.sum())
        without = [*self._without]
        return ScreenReport(
            files, rows, hits, malformed, words, lists, on, tacs, *self.lost, seconds, skipped, without
        )


def _chosen(columns: Sequence[NDArray[Any]], places: NDArray[np.intp] | None) -> NDArray[Any]:
    """Of each row what the column has that decided."""
    return columns[0] if places is None else np.stack(columns)[places, np.arange(len(places))]


def _counted(codes: Codes) -> NDArray[np.int64]:
    """How many rows each code has: few codes are counted one by one, without a copy of all as indices."""
    last = int(codes.max(initial=0))
    if last > _FEW:
        return np.bincount(codes, minlength=256)
    counts = np.zeros(256, np.int64)
    counts[: last + 1] = [np.count_nonzero(codes == code) for code in range(last + 1)]
    return counts


class FileTally:
    """What was found in one file, which may have to be refused."""

    def __init__(self, tally: Tally, path: str) -> None:
        self._tally, self._path = tally, path
        self._codes = np.zeros(256, np.int64)
        self._digits = np.zeros(3, np.int64)
        self._lost = (Suspects(), Suspects())
        self._swapped = 0
        self._understood = False

    def add(self, found: Screened) -> None:
        """Count a batch, of the file and of all."""
        self._tally.add(found)
        self._codes += found.by_code
        self._digits += found.digits
        self._swapped += found.swapped
        self._understood |= found.understood
        for suspects, more in zip(self._lost, found.lost, strict=True):
            suspects.add(more.count, self._path, [line for _, line in more.first])

    def end(self, header: bool, *, integers: bool = False) -> None:
        """Raise the kind of FeedError that says why the file may not be screened as it is."""
        rows = int(self._codes.sum())
        if not rows and not header:
            raise FeedEmpty(self._path, "rows", "only comments and blank lines")
        if rows and not self._understood:
            said = ", ".join(
                f"{self._codes[code]:,} {self._tally.words[code]}"
                for code in np.flatnonzero(self._codes).tolist()
            )
            self._tally.miss(self._path, FeedRejects(self._path, "IMEIs", f"none in {rows:,} rows: {said}"))
        self._tally.understood |= self._understood
        if not integers:
            self._tally.identities.expect_all(self._path, self._digits.tolist(), self._swapped)
        restoring = "--digits 15" if integers else "--lost-zeros restore"
        self._tally.zeros.expect(self._path, self._digits.tolist(), *self._lost, restoring=restoring)
        _, imeis, imeisvs = self._digits.tolist()
        self._name(0)
        if (
            self._tally.handling == "restore-imeisv" or imeisvs > imeis
        ):  # other wrong check digits are no such sign
            self._name(1)

    def _name(self, kind: int) -> None:
        more = self._lost[kind]
        self._tally.lost[kind].add(more.count, self._path, [line for _, line in more.first])
