"""IMSIs and their prefixes, which are numbers wherever they are compared."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.ma as ma
from numpy.typing import NDArray

from imeiset import readers
from imeiset._native.imsi import BAD_IMSI as BAD_IMSI
from imeiset._native.imsi import NO_IMSI as NO_IMSI
from imeiset._native.imsi import imsis_of, imsis_of_rows
from imeiset.errors import expect_ordered, expect_several, mask_imsi
from imeiset.readers import Keys
from imeiset.sets import ImeiSet

_POWERS = np.array([10**n for n in range(16)], np.uint64)
_ROWS = 1 << 16  # of Python objects at a time
PREFIX = re.compile(r"[ \t-\r]*(?:imsi-)?([0-9]{1,15})[ \t-\r]*", re.I | re.A)  # group 1: its digits


def imsi_numbers(imsis: object, rows: int) -> tuple[Keys, Callable[[int], object]]:
    """The numbers of a column of IMSIs, and what gives the text in a row."""
    expect_ordered("imsis", imsis)
    _expect_no_phones("imsis", imsis)
    column = readers.materialized(imsis)
    value: Callable[[int], object]
    if isinstance(column, list | tuple):
        value = column.__getitem__
    elif hasattr(column, "__array__"):
        hidden = ma.getmaskarray(column) if isinstance(column, ma.MaskedArray) else None
        column = np.asarray(column)
        if hidden is not None:  # what is masked is not known
            column = column.astype(object)
            column[hidden] = None
        value = column.item
    else:
        value = readers.values(column)
    length = len(cast(Any, column))
    if length != rows:
        raise ValueError(f"imsis: expected {rows}, one for each IMEI, got {length}")
    numbers = np.empty(rows, np.uint64)
    if isinstance(column, np.ndarray) and column.dtype.kind in "SU" and rows:
        characters: Any = np.uint8 if column.dtype.kind == "S" else np.uint32
        texts: NDArray[Any] = np.require(column, column.dtype.newbyteorder("="), ("C", "A"))
        imsis_of_rows(texts.view(characters).reshape(rows, -1), numbers)
        return numbers, value
    for start in range(0, rows, _ROWS):
        some = range(start, min(start + _ROWS, rows))
        imsis_of(list(map(value, some)), numbers[some.start : some.stop])
    return numbers, value


def prefix_numbers(prefixes: Iterable[str]) -> frozenset[int]:
    """IMSI prefixes, texts of 1 to 15 digits, as numbers: those of their digits after a 1."""
    expect_several("prefixes", prefixes)
    _expect_no_phones("prefixes", prefixes)
    numbers = set()
    for row, prefix in enumerate(prefixes):
        if not (isinstance(prefix, str) and (found := PREFIX.fullmatch(prefix))):
            raise ValueError(f"prefix {row}: expected 1 to 15 digits, as str, got '{mask_imsi(prefix)}'")
        numbers.add(int("1" + found[1]))
    return frozenset(numbers)


@dataclass(frozen=True, eq=False)
class PrefixLayer:
    """Prefixes as numbers, ascending, the code of what each says, and how many digits the numbers have. Code
    0: no list has that prefix any more."""

    numbers: Keys
    codes: NDArray[np.uint16]
    lengths: frozenset[int]

    @classmethod
    def of(cls, codes: Mapping[int, int]) -> "PrefixLayer":
        """Of the codes by number."""
        numbers = np.array(sorted(codes), np.uint64)
        said = np.fromiter((codes[number] for number in numbers.tolist()), np.uint16, len(numbers))
        digits = np.searchsorted(_POWERS, numbers, "right")
        return cls(numbers, said, frozenset(np.unique(digits).tolist()))

    @property
    def weight(self) -> int:
        """What merging it costs, in bytes."""
        return self.numbers.nbytes + self.codes.nbytes

    def over(self, older: "PrefixLayer") -> "PrefixLayer":
        """Both as one: what this one says counts where both say something."""
        numbers, first = np.unique(np.concatenate([self.numbers, older.numbers]), return_index=True)
        codes = np.concatenate([self.codes, older.codes])[first]
        return PrefixLayer(numbers, codes, self.lengths | older.lengths)


def _expect_no_phones(name: str, given: object) -> None:
    """Raise TypeError for a set of IMEIs, whose texts have as many digits as IMSIs."""
    if isinstance(given, ImeiSet):
        raise TypeError(f"{name}: expected texts of subscribers, got {type(given).__name__}")


def is_imsi(text: str) -> bool:
    """Whether a text is an IMSI, or a SUPI without one, and not blank."""
    number = np.empty(1, np.uint64)
    imsis_of([text], number)
    return bool(text.strip()) and int(number[0]) != BAD_IMSI
