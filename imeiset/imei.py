"""One parsed identity: its parts and its formats."""

from typing import Any, Literal, NoReturn, Self, final

from imeiset._native import parse as _parse
from imeiset.errors import CheckDigit, ImeiError, ParseStatus

Kind = Literal["imei", "imeisv", "body"]

_KINDS: dict[int, Kind] = {14: "body", 15: "imei", 16: "imeisv"}
_PEI_DIGITS = {"imei": 15, "imeisv": 16}


@final
class Imei:
    """An IMEI (15 digits), an IMEISV (16) or a body (14: no 15th digit was given); 3GPP TS 23.003 clause 6.

    text: str or bytes of ASCII digits, single '-' or ' ' allowed between them. check_digit: which 15th
    digits to accept: "ignore" any (the default, since it is not sent), "spare" the right one or 0,
    "require" the right one. Raises ImeiError.

    Immutable. Two are equal when they have the same digits: an IMEI and the IMEISV of the same handset
    are different texts. Compare `key` to ask whether it is the same handset. `repr` hides the serial
    number; `str` gives all digits.
    """

    __slots__ = ("_digits", "key")
    _digits: str
    key: int
    """The first 14 digits as a number: what sets and registers compare."""

    def __new__(cls, text: "str | bytes | Imei", /, *, check_digit: CheckDigit = "ignore") -> Self:
        digits = text._digits if isinstance(text, Imei) else _parse.compact(text)
        self = object.__new__(cls)
        object.__setattr__(self, "_digits", digits)
        object.__setattr__(self, "key", int(digits[:14]))
        _parse.check_policy(check_digit)
        if check_digit != "ignore" and self.kind == "imei" and not self.is_valid:
            if digits[14] != "0":
                raise ImeiError(ParseStatus.CHECK_DIGIT, digits)
            if check_digit == "require":
                raise ImeiError(ParseStatus.CHECK_DIGIT_SPARE, digits)
        return self

    @classmethod
    def from_key(cls, key: int, /) -> Self:
        """The IMEI of a 14-digit key, with its check digit."""
        return cls(_parse.text_of(key))

    @classmethod
    def from_pei(cls, pei: str, /) -> Self:
        """From `imei-` and 15 digits or `imeisv-` and 16 (3GPP TS 29.571 clause 5.3.2), as they stand."""
        prefix, dash, digits = pei.partition("-")
        wanted = _PEI_DIGITS.get(prefix)
        if wanted is None or not dash:
            raise ImeiError(ParseStatus.PREFIX, pei)
        try:
            self = cls(digits)
        except ImeiError as error:
            raise ImeiError(error.status, pei, expected=ParseStatus.PREFIX.expected) from None
        if self._digits != digits:
            raise ImeiError(ParseStatus.SEPARATOR, pei, expected=ParseStatus.PREFIX.expected)
        if len(digits) != wanted:
            status = ParseStatus.TOO_SHORT if len(digits) < wanted else ParseStatus.TOO_LONG
            raise ImeiError(status, pei, expected=ParseStatus.PREFIX.expected)
        return self

    @classmethod
    def from_tbcd(cls, octets: bytes | bytearray | memoryview, /) -> Self:
        """From the 8 octets of 3GPP TS 29.002 (type IMEI): digits low nibble first, fillers F at the end.

        15 digits and a filler, 16 digits, or 14 digits and two fillers, as some networks send it. Raises
        ImeiError, and TypeError for what is no bytes.
        """
        pairs = memoryview(octets).hex()
        text = "".join(high + low for low, high in zip(pairs[::2], pairs[1::2], strict=True))
        digits = text.rstrip("f")
        status = ParseStatus.OK
        if len(text) != 16:
            status = ParseStatus.TOO_SHORT if len(text) < 16 else ParseStatus.TOO_LONG
        elif "f" in digits:
            status = ParseStatus.FILLER
        elif not digits.isdigit():
            status = ParseStatus.NOT_DIGIT if digits else ParseStatus.EMPTY  # all fillers
        elif len(digits) < 14:
            status = ParseStatus.TOO_SHORT
        if status:
            raise ImeiError(status, text, expected=ParseStatus.FILLER.expected)
        return cls(digits)

    @property
    def tac(self) -> str:
        """Type Allocation Code: digits 1 to 8."""
        return self._digits[:8]

    @property
    def snr(self) -> str:
        """Serial number: digits 9 to 14."""
        return self._digits[8:14]

    @property
    def check_digit(self) -> str | None:
        """The 15th digit as given, right or not; None for an IMEISV or a body."""
        return self._digits[14] if self.kind == "imei" else None

    @property
    def svn(self) -> str | None:
        """Software version number: digits 15 and 16 of an IMEISV."""
        return self._digits[14:] if self.kind == "imeisv" else None

    @property
    def kind(self) -> Kind:
        """'imei', 'imeisv' or 'body'."""
        return _KINDS[len(self._digits)]

    @property
    def is_valid(self) -> bool:
        """Whether there are 15 digits and the last is the check digit (3GPP TS 23.003 annex B)."""
        return _parse.is_valid(self._digits)

    @property
    def pei(self) -> str:
        """The Permanent Equipment Identifier of 3GPP TS 29.571. A body gets its check digit."""
        if self.kind == "body":
            return f"imei-{_parse.text_of(self.key)}"
        return f"{self.kind}-{self._digits}"

    def to_tbcd(self) -> bytes:
        """The 8 octets of 3GPP TS 29.002. The last of an IMEI is its 15th digit and a filler; of a body 0
        and a filler, as the standard has it where no software version is given."""
        digits = self._digits if self.kind != "body" else self._digits + "0"
        digits = digits.ljust(16, "f")
        return bytes.fromhex("".join(high + low for low, high in zip(digits[::2], digits[1::2], strict=True)))

    def __str__(self) -> str:
        return self._digits

    def __format__(self, spec: str) -> str:
        """'-' or ' ' groups the digits as printed on handsets, 49-015420-323751-8; else as for str."""
        if spec not in ("-", " "):
            return format(self._digits, spec)
        d = self._digits
        return spec.join(part for part in (d[:2], d[2:8], d[8:14], d[14:]) if part)

    def __repr__(self) -> str:
        return f"Imei('{self.tac}{'*' * (len(self._digits) - 8)}')"

    def __eq__(self, other: object) -> bool:
        return self._digits == other._digits if isinstance(other, Imei) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._digits)

    def __imei_key__(self) -> int:
        """Lets columns and sets take this object for its key."""
        return self.key

    def __reduce__(self) -> tuple[Any, ...]:
        return Imei, (self._digits,)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"Imei is immutable: cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"Imei is immutable: cannot delete {name!r}")
