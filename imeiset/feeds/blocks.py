"""What is in a block of rows."""

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FeedLimit
from .report import FIRST_LINES, PLACEHOLDERS
from .words import text_of

Keys = NDArray[np.uint64]
Column = NDArray[Any]
MAX_VALUES = 1 << 16


@dataclass(slots=True)
class Rejected:
    """Rows of a batch that were refused, in order: lines from the block's first, reasons, how many CRs they
    hold, and if they are to be written or shown, the rows and their identities as they are."""

    lines: NDArray[np.int64]
    reasons: NDArray[np.uint8]
    returns: NDArray[np.int32]
    rows: list[bytes]
    cells: list[bytes]


# What is named with first lines, in the order of taking.h: 14 digits that may have lost a zero, 15 that are
# taken with a wrong check digit, placeholders. Beside these, dates.
NOTED = ("lost_zeros", "wrong", *PLACEHOLDERS)
DATES_NOTED = "dates"
RANGES_NOTED = "ranges"  # whose both ends have 14 digits
Noted = tuple[int, list[int]]
"""How many rows, and the lines of the first, from the block's first."""


@dataclass(slots=True)
class Block:
    """What is in a block. keys, highs: the identities taken, the latter of ranges. texts: the irregular ones.
    columns, text_columns: the wanted columns of both. skipped: lines that are no row: blank, comments, inside
    quoted cells. statuses: identities by status; forms, written: those taken, by 14, 15 and 16 digits, and as
    in parse.WRITTEN; ranges and TACs aside. noted: what is to be named, by NOTED. watched: of the watched
    columns, the values of rows of which an identity is taken, and how many such rows have them."""

    keys: list[Keys] = field(default_factory=list)
    highs: list[Keys] = field(default_factory=list)
    columns: dict[str, list[Column]] = field(default_factory=dict)
    texts: list[bytes] = field(default_factory=list)
    text_columns: dict[str, list[Column]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    accepted: int = 0
    identities: int = 0  # taken; more than accepted rows, where these have several
    partly: int = 0  # rejected rows of which an identity is taken
    regular: int = 0  # of the identities, those that begin with 14 digits and end otherwise
    lines: int = 0
    skipped: tuple[int, int, int] = (0, 0, 0)
    statuses: NDArray[np.int64] | None = None
    forms: tuple[int, int, int] = (0, 0, 0)
    written: tuple[int, ...] = ()
    noted: dict[str, Noted] = field(default_factory=dict)
    watched: dict[int, dict[bytes, int]] = field(default_factory=dict)

    def note(self, kind: str, count: int, lines: list[int]) -> None:
        """Count more rows of a kind; lines: the first of them."""
        before, known = self.noted.get(kind, (0, []))
        if count:
            self.noted[kind] = before + count, sorted(known + lines)[:FIRST_LINES]

    def see(self, column: int, counts: dict[bytes, int]) -> None:
        """Count more values of a watched column."""
        known = self.watched.setdefault(column, {})
        for value, count in counts.items():
            known[value] = known.get(value, 0) + count


class Values:
    """The different values of columns of codes, shared by threads: a value's place is its code."""

    def __init__(self) -> None:
        self.path = ""  # of the source at hand
        self._codes: dict[str, dict[bytes, int]] = {}
        self._lock = threading.Lock()

    def codes(self, column: str, values: list[bytes]) -> NDArray[np.int32]:
        """The code of each value."""
        with self._lock:
            known = self._codes.setdefault(column, {})
            codes = [known.setdefault(value.replace(b'""', b'"'), len(known)) for value in values]
        if len(known) > MAX_VALUES:
            raise FeedLimit(self.path, f"at most {MAX_VALUES:,} different values of {column!r}", "more")
        return np.array(codes, np.int32)

    def names(self, column: str) -> list[str]:
        """The values by code."""
        return list(map(text_of, self._codes.get(column, {})))
