"""One parsed identity: its parts and its formats."""

from typing import Any, Literal, NoReturn, Self, final

from imeiset._native import parse as _parse
from imeiset.errors import CheckDigit, ImeiError, ParseStatus

Kind = Literal["imei", "imeisv", "body"]

_KINDS: dict[int, Kind] = {14: "body", 15: "imei", 16: "imeisv"}


@final
class Imei:
    """One identity of a phone, immutable: an IMEI (15 digits), an IMEISV (16) or a body (14).

    See 3GPP TS 23.003 clause 6.

    Two are equal when they have the same digits: an IMEI and the IMEISV of the same phone are different
    texts. Compare `key` to ask whether it is the same phone. `repr` hides the serial number; `str` gives all
    digits, and `format(imei, '-')` groups them as they are printed on phones.

    Parameters
    ----------
    text : str, bytes or Imei
        14, 15 or 16 ASCII digits, with single '-' or ' ' allowed between them, in any of the forms below.
    check_digit : {'ignore', 'spare', 'require'}
        Which 15th digits are accepted: any, since it is not sent; the right one or 0; the right one, which 14
        or 16 digits do not have.

    Attributes
    ----------
    key : int
        The first 14 digits as a number: what sets and registers compare.

    Raises
    ------
    ImeiError
        If `text` is not an IMEI.

    Notes
    -----
    Every column, file and command takes the same texts for IMEIs. Blanks around a text are not part of it,
    and letters are of either case.

    ===========  =====================================  ====================================================
    form         example                                is
    ===========  =====================================  ====================================================
    digits       490154203237518                        14, 15 or 16 digits
    separators   49-015420-323751-8                     the same, with single '-' or ' ' between digits
    pei          imei-490154203237518                   15 digits, or 16 after imeisv- (3GPP TS 29.571)
    filler       490154203237518F                       15 digits and F, or 14 and FF (3GPP TS 29.002)
    urn          ``urn:gsma:imei:49015420-323751-8``    15 digits; parameters may follow, ;svn=06 (RFC 7254)
    spreadsheet  ="490154203237518", '490154203237518   digits that a spreadsheet was told to leave as text
    svn          49015420323751/06                      an IMEISV; after 15 digits the version is dropped
    ===========  =====================================  ====================================================

    Examples
    --------
    >>> imei = imeiset.Imei("49-015420-323751-8")
    >>> str(imei), imei.tac, imei.snr, imei.key
    ('490154203237518', '49015420', '323751', 49015420323751)
    >>> imei
    Imei('49015420*******')
    >>> format(imei, "-")
    '49-015420-323751-8'
    """

    __slots__ = ("_digits", "key")
    _digits: str
    key: int
    """The first 14 digits as a number: what sets and registers compare."""

    def __new__(cls, text: "str | bytes | Imei", /, *, check_digit: CheckDigit = "ignore") -> Self:
        digits = text._digits if isinstance(text, Imei) else _parse.written(text)[0]
        self = object.__new__(cls)
        object.__setattr__(self, "_digits", digits)
        object.__setattr__(self, "key", int(digits[:14]))
        _parse.check_policy(check_digit)
        if check_digit == "ignore" or self.is_valid:
            return self
        if self.kind == "imei" and digits[14] != "0":
            raise ImeiError(ParseStatus.CHECK_DIGIT, digits)
        if check_digit == "require":
            spare = self.kind == "imei"
            raise ImeiError(ParseStatus.CHECK_DIGIT_SPARE if spare else ParseStatus.NO_CHECK_DIGIT, digits)
        return self

    @classmethod
    def from_key(cls, key: int, /) -> Self:
        """The IMEI of a key, with its check digit.

        Parameters
        ----------
        key : int
            The first 14 digits as a number.

        Returns
        -------
        Imei
            With 15 digits.

        Raises
        ------
        ImeiError
            If it is not a number from 0 to 10**14 - 1.

        Examples
        --------
        >>> str(imeiset.Imei.from_key(49015420323751))
        '490154203237518'
        """
        return cls(_parse.text_of(key))

    @classmethod
    def from_pei(cls, pei: str, /) -> Self:
        """The IMEI in a Permanent Equipment Identifier (3GPP TS 29.571 clause 5.3.2).

        Parameters
        ----------
        pei : str
            `imei-` and 15 digits, or `imeisv-` and 16.

        Returns
        -------
        Imei
            An IMEI or an IMEISV.

        Raises
        ------
        ImeiError
            If it is neither.

        Examples
        --------
        >>> str(imeiset.Imei.from_pei("imei-490154203237518"))
        '490154203237518'
        """
        try:
            digits, form = _parse.written(pei)
        except ImeiError:
            form = None
        if form != "pei":
            raise ImeiError(ParseStatus.PREFIX, pei)
        return cls(digits)

    @classmethod
    def from_tbcd(cls, octets: bytes | bytearray | memoryview, /) -> Self:
        """The IMEI in the 8 octets of 3GPP TS 29.002: digits low nibble first, fillers F at the end.

        Parameters
        ----------
        octets : bytes-like
            15 digits and a filler, 16 digits, or 14 digits and two fillers, as some networks send it.

        Returns
        -------
        Imei
            An IMEI, an IMEISV or a body.

        Raises
        ------
        ImeiError
            If the octets are something else.
        TypeError
            If `octets` is not bytes-like.

        Examples
        --------
        >>> str(imeiset.Imei.from_tbcd(bytes.fromhex("94104502237315f8")))
        '490154203237518'
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
        """Type Allocation Code: digits 1 to 8.

        Examples
        --------
        >>> imeiset.Imei("490154203237518").tac
        '49015420'
        """
        return self._digits[:8]

    @property
    def snr(self) -> str:
        """Serial number: digits 9 to 14.

        Examples
        --------
        >>> imeiset.Imei("490154203237518").snr
        '323751'
        """
        return self._digits[8:14]

    @property
    def check_digit(self) -> str | None:
        """The 15th digit as given, right or not; None for an IMEISV or a body.

        Examples
        --------
        >>> imeiset.Imei("490154203237510").check_digit
        '0'
        """
        return self._digits[14] if self.kind == "imei" else None

    @property
    def svn(self) -> str | None:
        """Software version number: digits 15 and 16 of an IMEISV; None for others.

        Examples
        --------
        >>> imeiset.Imei("4901542032375106").svn
        '06'
        """
        return self._digits[14:] if self.kind == "imeisv" else None

    @property
    def kind(self) -> Kind:
        """'imei', 'imeisv' or 'body'.

        Examples
        --------
        >>> imeiset.Imei("4901542032375106").kind
        'imeisv'
        """
        return _KINDS[len(self._digits)]

    @property
    def is_valid(self) -> bool:
        """Whether there are 15 digits and the last is the check digit (3GPP TS 23.003 annex B).

        Examples
        --------
        >>> imeiset.Imei("490154203237518").is_valid, imeiset.Imei("490154203237510").is_valid
        (True, False)
        """
        return _parse.is_valid(self._digits)

    @property
    def pei(self) -> str:
        """The Permanent Equipment Identifier of 3GPP TS 29.571. A body gets its check digit.

        Examples
        --------
        >>> imeiset.Imei("49015420323751").pei
        'imei-490154203237518'
        """
        if self.kind == "body":
            return f"imei-{_parse.text_of(self.key)}"
        return f"{self.kind}-{self._digits}"

    def to_tbcd(self) -> bytes:
        """The 8 octets of 3GPP TS 29.002, digits low nibble first.

        The last octet of an IMEI is its 15th digit and a filler. Of a body it is 0 and a filler, as the
        standard has it where no software version is given.

        Returns
        -------
        bytes
            8 octets.

        Examples
        --------
        >>> imeiset.Imei("490154203237518").to_tbcd().hex()
        '94104502237315f8'
        """
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
