"""Every exception of imeiset, and the codes that say why a text is not an IMEI.

IMEIs and IMSIs are personal data: a message shows what `mask`, `mask_imsi` and `mask_text` leave of them.
Every exception can be made from its message alone, as libraries do that carry one across a border; its
attributes are then empty. Pickled and copied, it keeps them.
"""

import errno
from collections.abc import Mapping
from enum import IntEnum
from typing import Literal

from imeiset.errors.base import FileError as _FileError
from imeiset.errors.base import FileSystemError as _SystemError
from imeiset.errors.base import ImeisetError as ImeisetError
from imeiset.errors.masking import mask as mask
from imeiset.errors.masking import mask_imsi as mask_imsi
from imeiset.errors.masking import mask_log as mask_log
from imeiset.errors.masking import mask_text as mask_text
from imeiset.errors.masking import mask_url as mask_url
from imeiset.errors.masking import printable as printable
from imeiset.errors.masking import quoted as quoted
from imeiset.errors.trust import TrustError as TrustError
from imeiset.errors.trust import TrustKey as TrustKey
from imeiset.errors.trust import TrustMissing as TrustMissing
from imeiset.errors.trust import TrustRefused as TrustRefused
from imeiset.errors.trust import TrustStale as TrustStale
from imeiset.errors.trust import TrustUnreachable as TrustUnreachable

CheckDigit = Literal["ignore", "spare", "require"]
"""Which 15th digits are well formed: any, the right one or 0, the right one."""


class ParseStatus(IntEnum):
    """What parsing found in one row. Stored in reports: values never change, new ones are appended.

    Of several faults the leftmost is reported, so a text gets the same code whichever way it came in.

    Examples
    --------
    >>> keys, status = imeiset.parse(["490154203237518", "49015420323751x"])
    >>> [imeiset.ParseStatus(code).name for code in status]
    ['OK', 'NOT_DIGIT']
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
    NO_CHECK_DIGIT = 18

    @property
    def text(self) -> str:
        """What is wrong, in words.

        Examples
        --------
        >>> imeiset.ParseStatus.TOO_SHORT.text
        'fewer than 14 digits'
        """
        return _TEXTS[self]

    @property
    def expected(self) -> str:
        """What a reader of the message should have sent.

        Examples
        --------
        >>> imeiset.ParseStatus.TOO_SHORT.expected
        '14, 15 or 16 ASCII digits'
        """
        return _EXPECTED.get(self, "14, 15 or 16 ASCII digits")


# Those of numbers that have a key: whether they are refused is a matter of the policy.
CHECK_DIGIT_CODES = (ParseStatus.CHECK_DIGIT, ParseStatus.CHECK_DIGIT_SPARE, ParseStatus.NO_CHECK_DIGIT)
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
    ParseStatus.PREFIX: "a PEI whose prefix and digits do not agree",
    ParseStatus.NO_CHECK_DIGIT: "no check digit, where one is required",
}
OF_FLOATS = ": read the column as text, for floats have lost its zeros"
_EXPECTED = {
    ParseStatus.SEPARATOR: "single '-' or ' ' between digits",
    ParseStatus.NEGATIVE: "a key from 0 to 10**14 - 1",
    ParseStatus.OUT_OF_RANGE: "a key from 0 to 10**14 - 1, or an IMEISV as text",
    ParseStatus.FIFTEEN_DIGITS: "a key below 10**14, or digits=15 if the integers carry the check digit",
    ParseStatus.WRONG_TYPE: "str, bytes, an integer key or an Imei",
    ParseStatus.CHECK_DIGIT: "the Luhn digit of the first 14 as the 15th",
    ParseStatus.CHECK_DIGIT_SPARE: "the Luhn digit of the first 14 as the 15th",
    ParseStatus.FILLER: "15 digits and F, 14 digits and FF, or 16 digits",
    ParseStatus.PREFIX: "imei- and 15 digits, or imeisv- and 16 digits",
    ParseStatus.NO_CHECK_DIGIT: "15 digits, the last of them the check digit",
}


def expect_several(name: str, values: object) -> None:
    """Raise TypeError for one text where several values are expected: its characters are none of them."""
    if isinstance(values, str | bytes):
        raise TypeError(f"{name}: expected a list of them, got one {type(values).__name__}")


def expect_ordered(name: str, column: object) -> None:
    """Raise TypeError for a column that others go with row by row, if its rows are in no order: those of a
    set. Of a mapping, the keys would be taken for what it says of them."""
    if isinstance(column, set | frozenset | Mapping):
        expected = "a column whose rows are in the order of the others"
        raise TypeError(f"{name}: expected {expected}, got {type(column).__name__}")


class ExtraMissing(ImeisetError, ModuleNotFoundError):
    """A library is not installed: `pip install 'imeiset[extra]'`, where `extra` is the attribute."""

    def __init__(self, what: str = "", extra: str = "", module: str | None = None):
        super().__init__(f"{what}: pip install 'imeiset[{extra}]'" if extra else what, name=module)
        self.extra = extra


class ImeiError(ImeisetError, ValueError):
    """A value that is not an IMEI. Correct it, or say with `malformed=` what such values are.

    Attributes
    ----------
    status : ParseStatus
        Why not.
    position : int or None
        The index of the value in the column.
    expected, got : str
        What would have been right, and the value, masked.

    Examples
    --------
    >>> try:
    ...     imeiset.ImeiSet(["490154203237518", "35693803564380x"])
    ... except imeiset.ImeiError as error:
    ...     print(error)
    row 1: a character that is not a digit: expected 14, 15 or 16 ASCII digits, got '35693803*******'
    """

    status: ParseStatus = None  # type: ignore[assignment] # None only if made of a message, by others

    def __init__(
        self,
        status: ParseStatus | str = "",
        value: object = None,
        *,
        position: int | None = None,
        expected: str | None = None,
    ):
        self.position = position
        if isinstance(status, str):
            self.expected = self.got = ""
            super().__init__(status)
            return
        self.status = ParseStatus(status)
        self.expected = expected or self.status.expected
        self.got = mask(value)
        where = "" if position is None else f"row {position}: "
        hint = OF_FLOATS if isinstance(value, float) else ""
        super().__init__(
            f"{where}{self.status.text}: expected {self.expected}, got {quoted(self.got, value)}{hint}"
        )


class ImeiWarning(UserWarning):
    """Most rows of a column are not IMEIs, so the answers say little. See whether it is the right column, and
    whether it was read as text.

    Issued once for a call, where the answer for malformed rows is settled and more than half of at least 100
    rows are malformed; and where that is so of IMSIs, which then count as not given.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always", imeiset.ImeiWarning)
    ...     found = imeiset.ImeiSet().contains(["352099001761481.0"] * 100, malformed=False)
    >>> print(caught[0].message)
    100 of 100 rows are not IMEIs; the first is row 0: '35209900*********' (a character that is not a digit)
    """


class ImsiError(ImeisetError, ValueError):
    """A value that is not an IMSI of 5 to 15 digits (3GPP TS 29.571). Correct it, or leave it out.

    Attributes
    ----------
    position : int or None
        The index of the value in the column.
    expected, got : str
        What would have been right, and the value, of which only the network is shown.

    Examples
    --------
    >>> try:
    ...     imeiset.Register().check("490154203237518", imsi="23415099999999x")
    ... except imeiset.ImsiError as error:
    ...     print(error)
    expected an IMSI of 5 to 15 ASCII digits, got '23415**********'
    """

    expected = "an IMSI of 5 to 15 ASCII digits"

    def __init__(self, message: str | None = None, *, value: object = None, position: int | None = None):
        self.position = position
        self.got = "" if message else mask_imsi(value)
        where = "" if position is None else f"row {position}: "
        super().__init__(message or f"{where}expected {self.expected}, got {quoted(self.got, value)}")


class SnapshotError(_FileError):
    """A snapshot that cannot be used: the kind of the error says why.

    Examples
    --------
    >>> try:
    ...     imeiset.ImeiSet.open("nowhere.imei")
    ... except imeiset.SnapshotError as error:
    ...     print(type(error).__name__, error.path)
    SnapshotMissing nowhere.imei
    """


class SnapshotMissing(SnapshotError, _SystemError, FileNotFoundError):
    """No such file, or it cannot be read. See whether the path and its permissions are right."""


class SnapshotEmpty(SnapshotError):
    """A file of no bytes: a copy that failed. Copy it again."""


class SnapshotTruncated(SnapshotError):
    """A file shorter than its header says: a copy that was cut short. Copy it again."""


class SnapshotMagic(SnapshotError):
    """Not a snapshot at all. `imeiset build` makes one of a list."""


class SnapshotVersion(SnapshotError):
    """A format version newer than this library. Update imeiset."""


class SnapshotEndianness(SnapshotError):
    """Written in, or read by, another byte order. Build it on a little-endian machine."""


class SnapshotHeaderChecksum(SnapshotError):
    """The header or the section table is damaged. Restore a copy."""


class SnapshotSectionChecksum(SnapshotError):
    """A section is damaged. Restore a copy."""


class SnapshotBounds(SnapshotError):
    """A section outside the file, or counts that contradict each other. Restore a copy."""


class SnapshotKind(SnapshotError):
    """A snapshot of something else, a register for a set. Open it as what it is."""


class FeedError(_FileError):
    """A source file that cannot be loaded: the kind of the error says why, `line` where.

    Examples
    --------
    >>> try:
    ...     imeiset.load("nowhere.csv")
    ... except imeiset.FeedError as error:
    ...     print(type(error).__name__, error.path)
    FeedMissing nowhere.csv
    """


class FeedMissing(FeedError, _SystemError, FileNotFoundError):
    """No such file, or it cannot be read. See whether the path and its permissions are right."""


class FeedEmpty(FeedError):
    """A file without rows. Ask its sender for a whole one."""


class FeedEncoding(FeedError):
    """Binary, UTF-16, an archive: not the text it should be. Convert it to UTF-8."""


class FeedTruncated(FeedError):
    """A compressed file that ends early or fails its checksum. Fetch it again."""


class FeedColumn(FeedError, LookupError):
    """The column asked for is not there. Name one that is."""


class FeedConflict(FeedError):
    """A delta that does not fit what it is applied to. See whether it is the next one for this list."""


class FeedDescription(FeedError):
    """A description of a register that is not understood. Correct what the message quotes."""


class FeedRejects(FeedError):
    """More rejected rows than allowed. Correct them, or allow more with `max_rejects`."""


class FeedLostZeros(FeedError):
    """Rows that lost a leading zero in a spreadsheet. Say what they are with `lost_zeros`."""


class FeedLimit(FeedError):
    """A line, a file or a change of size beyond what is allowed. Raise the limit if that is right."""


class StoreError(_FileError):
    """A store that cannot be used so, or not now: the kind of the error says why.

    Examples
    --------
    >>> try:
    ...     imeiset.Store.open("nowhere")
    ... except imeiset.StoreError as error:
    ...     print(type(error).__name__, error.path)
    StoreMissing nowhere
    """


class StoreMissing(StoreError, _SystemError, FileNotFoundError):
    """No store in that directory, or not that generation of it. `Store.create` makes one."""


class StoreExists(StoreError, _SystemError, FileExistsError):
    """A store is there already. `Store.open` opens it, `Store.replace` gives it other lists."""

    errno = errno.EEXIST


class StoreDamaged(StoreError):
    """Its manifest or its journal is not what was written. Restore a copy."""


class StoreLocked(StoreError, _SystemError, BlockingIOError):
    """Another process is its writer. Write there, or when that process has closed the store."""

    errno = errno.EAGAIN


class StoreSequence(StoreError):
    """A delta that is not the next one, or not the one of its number. Apply the one that is missing first."""


class StoreBase(StoreError):
    """A delta for another state, or a base that does not fit the lists. Make the delta anew."""


class StoreShrunk(StoreError):
    """A new base in which a list is much smaller. Pass `force=True` if that is right."""


class StoreOwner(StoreError):
    """A change of a list by somebody else than its owner. Set `by`, or `feed`, if it is the owner's."""


class StoreInDoubt(StoreError):
    """The disk failed when a change was to be made durable. Reopen the store to see whether it was."""


class StoreReplaced(StoreError):
    """The lock, the journal or the manifest is not the one that this writer took. Nothing was written.

    Somebody removed or restored files of the store, or moved the directory. The next change reads what is
    there first.
    """


class ServeConfigError(_FileError, ValueError):
    """A configuration of `imeiset serve` that is not understood. Correct the key that the message names.

    Its full name is the attribute `key`: "http.tls.certificate".
    """
