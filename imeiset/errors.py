"""Every exception of imeiset, and the codes that say why a text is not an IMEI.

Messages say what was expected and what was got. IMEIs are personal data: a message shows the
Type Allocation Code and hides the serial number, see `mask`.
"""

import os
from enum import IntEnum
from numbers import Integral
from typing import Literal

CheckDigit = Literal["ignore", "spare", "require"]
"""Which 15th digits are well formed: any, the right one or 0, the right one."""

_SHOWN = 8  # the TAC
_NETWORK = 5  # MCC and MNC: of an IMSI, what may be shown
_LONGEST = 32  # no text with separators is longer than 31 characters


class ParseStatus(IntEnum):
    """What parsing found in one row. Stored in reports: values never change, new ones are appended.

    Of several faults the leftmost is reported, so a text gets the same code whichever way it came in.
    """

    OK = 0
    EMPTY = 1
    TOO_SHORT = 2
    TOO_LONG = 3
    NOT_DIGIT = 4
    NOT_ASCII = 5
    NUL = 6
    SIGN = 7
    SEPARATOR = 8
    MISSING = 9
    NEGATIVE = 10
    OUT_OF_RANGE = 11
    FIFTEEN_DIGITS = 12
    WRONG_TYPE = 13
    CHECK_DIGIT = 14
    CHECK_DIGIT_SPARE = 15
    FILLER = 16
    PREFIX = 17

    @property
    def text(self) -> str:
        """What is wrong, in words."""
        return _TEXTS[self]

    @property
    def expected(self) -> str:
        """What a reader of the message should have sent."""
        return _EXPECTED.get(self, "14, 15 or 16 ASCII digits")


_TEXTS = {
    ParseStatus.OK: "well formed",
    ParseStatus.EMPTY: "empty",
    ParseStatus.TOO_SHORT: "fewer than 14 digits",
    ParseStatus.TOO_LONG: "more than 16 digits",
    ParseStatus.NOT_DIGIT: "a character that is not a digit",
    ParseStatus.NOT_ASCII: "a character outside ASCII",
    ParseStatus.NUL: "a NUL character",
    ParseStatus.SIGN: "a sign",
    ParseStatus.SEPARATOR: "a misplaced separator",
    ParseStatus.MISSING: "no value",
    ParseStatus.NEGATIVE: "a negative integer",
    ParseStatus.OUT_OF_RANGE: "an integer that is too large",
    ParseStatus.FIFTEEN_DIGITS: "an integer of 15 digits where 14-digit keys are expected",
    ParseStatus.WRONG_TYPE: "a value of the wrong type",
    ParseStatus.CHECK_DIGIT: "a wrong check digit",
    ParseStatus.CHECK_DIGIT_SPARE: "a spare 0 instead of the check digit",
    ParseStatus.FILLER: "a misplaced or missing TBCD filler",
    ParseStatus.PREFIX: "an unknown PEI prefix",
}
_EXPECTED = {
    ParseStatus.SEPARATOR: "single '-' or ' ' between digits",
    ParseStatus.NEGATIVE: "a key from 0 to 10**14 - 1",
    ParseStatus.OUT_OF_RANGE: "a key from 0 to 10**14 - 1",
    ParseStatus.FIFTEEN_DIGITS: "a key below 10**14, or digits=15 if the integers carry the check digit",
    ParseStatus.WRONG_TYPE: "str, bytes, an integer key or an Imei",
    ParseStatus.CHECK_DIGIT: "the Luhn digit of the first 14 as the 15th",
    ParseStatus.CHECK_DIGIT_SPARE: "the Luhn digit of the first 14 as the 15th",
    ParseStatus.FILLER: "8 octets: 15 digits and F, 14 digits and FF, or 16 digits",
    ParseStatus.PREFIX: "imei- and 15 digits, or imeisv- and 16 digits",
}


def mask(value: object) -> str:
    """`value` as it may be shown: 8 characters (the TAC), then one `*` for each that follows.

    An integer is written with 14 digits. What is not printable ASCII is escaped: foreign digits show,
    and a hostile file cannot drive a terminal. What is longer than 32 characters is cut, and its
    length said.
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        value = int(value)
        if abs(value) >= 10**_LONGEST:
            return f"an integer of more than {_LONGEST} digits"
        value = f"{value:014d}"
    if isinstance(value, bytes | bytearray):
        length, text = len(value), bytes(value[:_LONGEST]).decode("latin-1")
    elif isinstance(value, str):
        length, text = len(value), str(value[:_LONGEST])
    else:
        return f"<{type(value).__name__}>"
    shown = text[:_SHOWN].encode("unicode_escape").decode()
    shown += "*" * (len(text) - _SHOWN)
    return shown if length <= _LONGEST else f"{shown}... ({length} characters)"


def expect_several(name: str, values: object) -> None:
    """Raise TypeError for one text where several values are expected: its characters are none of them."""
    if isinstance(values, str | bytes):
        raise TypeError(f"{name}: expected a list of them, got one {type(values).__name__}")


def _rebuild(kind: type[Exception], message: str, state: dict[str, object]) -> Exception:
    error = kind.__new__(kind, message)
    error.__dict__.update(state)
    return error


class ImeisetError(Exception):
    """Base of every error imeiset raises on purpose, wrong argument types aside."""

    def __reduce__(self) -> tuple[object, ...]:
        # The default calls the class with the message alone; errors must survive process pools.
        return _rebuild, (type(self), str(self), self.__dict__)


class ExtraMissing(ImeisetError, ModuleNotFoundError):
    """A library that an extra of imeiset brings is not installed. extra: its name. what: what needs it."""

    def __init__(self, what: str, extra: str, module: str | None):
        super().__init__(f"{what}: pip install 'imeiset[{extra}]'", name=module)
        self.extra = extra


class ImeiError(ImeisetError, ValueError):
    """A value that is not an IMEI.

    status: why not. position: its index in the column, or None. got: the value, masked.
    expected: what would have been right.
    """

    def __init__(
        self, status: ParseStatus, value: object, *, position: int | None = None, expected: str | None = None
    ):
        self.status = ParseStatus(status)
        self.position = position
        self.expected = expected or self.status.expected
        self.got = mask(value)
        where = "" if position is None else f"row {position}: "
        super().__init__(f"{where}{self.status.text}: expected {self.expected}, got '{self.got}'")


class ImsiError(ImeisetError, ValueError):
    """A value that is not an IMSI: 6 to 15 digits (3GPP TS 23.003). position: its row in the column, or None.

    got: the value, of which only the network (the first 5 digits) is shown.
    """

    expected = "an IMSI of 6 to 15 ASCII digits"

    def __init__(self, value: object, *, position: int | None = None, expected: str = expected):
        self.expected = expected
        self.position = position
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if isinstance(text, str):
            shown = text[:_NETWORK].encode("unicode_escape").decode()
            self.got = f"'{shown}{'*' * min(len(text) - _NETWORK, _LONGEST)}'"
        else:
            self.got = type(value).__name__
        where = "" if position is None else f"row {position}: "
        super().__init__(f"{where}expected {self.expected}, got {self.got}")


class _FileError(ImeisetError):
    """path: the file. expected, got: in words."""

    def __init__(self, path: str | os.PathLike[str], expected: str, got: str, *, line: int | None = None):
        place = os.fspath(path) if line is None else f"{os.fspath(path)}, line {line}"
        super().__init__(f"{place}: expected {expected}, got {got}")
        self.path = os.fspath(path)
        self.line = line
        self.expected = expected
        self.got = got


class SnapshotError(_FileError):
    """A snapshot that cannot be used."""


class SnapshotMissing(SnapshotError):
    """No such file, or it cannot be read."""


class SnapshotEmpty(SnapshotError):
    """A file of no bytes."""


class SnapshotTruncated(SnapshotError):
    """A file shorter than its header says."""


class SnapshotMagic(SnapshotError):
    """Not a snapshot at all."""


class SnapshotVersion(SnapshotError):
    """A format version newer than this library."""


class SnapshotEndianness(SnapshotError):
    """Written in, or read by, another byte order."""


class SnapshotHeaderChecksum(SnapshotError):
    """The header or the section table is damaged."""


class SnapshotSectionChecksum(SnapshotError):
    """A section is damaged."""


class SnapshotBounds(SnapshotError):
    """A section outside the file, or counts that contradict each other."""


class SnapshotKind(SnapshotError):
    """A snapshot of something else."""


class FeedError(_FileError):
    """A source file that cannot be loaded. line: where, or None."""


class FeedMissing(FeedError):
    """No such file, or it cannot be read."""


class FeedEmpty(FeedError):
    """A file without rows."""


class FeedEncoding(FeedError):
    """Binary, UTF-16, an archive: not the text it should be."""


class FeedTruncated(FeedError):
    """A compressed file that ends early or fails its checksum."""


class FeedColumn(FeedError):
    """The column asked for is not there."""


class FeedConflict(FeedError):
    """A delta that does not fit what it is applied to."""


class FeedDescription(FeedError):
    """A description of a register that is not understood."""


class FeedRejects(FeedError):
    """More rejected rows than allowed."""


class FeedLimit(FeedError):
    """A line, or a file, larger than allowed."""


class StoreError(_FileError):
    """A store that cannot be used so, or not now."""


class StoreMissing(StoreError):
    """No store in that directory, or not that generation of it."""


class StoreExists(StoreError):
    """A store is there already."""


class StoreDamaged(StoreError):
    """Its manifest or its journal is not what was written."""


class StoreLocked(StoreError):
    """Another process is its writer."""


class StoreSequence(StoreError):
    """A delta that is not the next one, or another one than was applied under its number."""


class StoreBase(StoreError):
    """A delta for another state, or a base that does not fit the lists."""


class StoreShrunk(StoreError):
    """A new base in which a list is much smaller."""


class StoreInDoubt(StoreError):
    """The disk failed when a change was to be made durable: reopen to see whether it was."""
