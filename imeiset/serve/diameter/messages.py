"""Diameter messages as bytes, whatever they are about (RFC 6733).

    message  version, 1 (1 byte), length (3); flags (1), command (3); application (4); hop-by-hop (4) and
             end-to-end (4) identifiers; AVPs
    AVP      code (4); flags (1), length without the padding (3); vendor (4), with the flag V only; data;
             zeros up to a multiple of 4

A message that comes from a peer may lie about every length. Nothing here raises for that: `length_of` gives
0, `read_avps` stops at the AVP that is wrong and gives it back. Groups are read one level at a time, when
somebody asks for what is in one, so that nesting costs nothing.
"""

from collections.abc import Iterable
from struct import Struct
from typing import NamedTuple

HEADER = 20
"""Bytes before the first AVP."""
LONGEST = 1 << 14
"""Bytes of a message that is read: an identity check has 300, and each relay adds some dozens."""
MORE = -1
"""The length of a message whose first bytes have not all come."""

# Flags of a message.
REQUEST, PROXIABLE, ERROR = 0x80, 0x40, 0x20
# Flags of an AVP.
VENDOR, MANDATORY = 0x80, 0x40

# Commands between two peers.
CAPABILITIES, WATCHDOG, DISCONNECT = 257, 280, 282


class Code:
    """AVPs of the base protocol. Those of vendors have their names from `name_of`."""

    USER_NAME, CLASS, EVENT_TIMESTAMP, HOST_IP_ADDRESS = 1, 25, 55, 257
    AUTH_APPLICATION_ID, ACCT_APPLICATION_ID, VENDOR_SPECIFIC_APPLICATION_ID = 258, 259, 260
    SESSION_ID, ORIGIN_HOST, SUPPORTED_VENDOR_ID, VENDOR_ID = 263, 264, 265, 266
    RESULT_CODE, PRODUCT_NAME, DISCONNECT_CAUSE, AUTH_SESSION_STATE = 268, 269, 273, 277
    ORIGIN_STATE_ID, FAILED_AVP, ERROR_MESSAGE, ROUTE_RECORD = 278, 279, 281, 282
    DESTINATION_REALM, PROXY_INFO, DESTINATION_HOST, ORIGIN_REALM = 283, 284, 293, 296
    EXPERIMENTAL_RESULT, EXPERIMENTAL_RESULT_CODE, INBAND_SECURITY_ID, DRMP = 297, 298, 299, 301


class Result:
    """Values of Result-Code."""

    SUCCESS = 2001
    UNSUPPORTED, TOO_BUSY, UNKNOWN_APPLICATION, WRONG_FLAGS, UNKNOWN_PEER = 3001, 3004, 3007, 3008, 3010
    ELECTION_LOST = 4003
    UNKNOWN_AVP, WRONG_VALUE, MISSING_AVP, TWICE = 5001, 5004, 5005, 5009
    NO_COMMON_APPLICATION, UNABLE, WRONG_LENGTH, NO_COMMON_SECURITY = 5010, 5012, 5014, 5017


_words = Struct(">5I")
_avp_head = Struct(">2I")
_word = Struct(">I")
_SIZE = 0xFFFFFF


class Header(NamedTuple):
    """What stands before the AVPs of a message, without its length."""

    flags: int
    command: int
    application: int
    hop_by_hop: int
    end_to_end: int

    @classmethod
    def read(cls, message: bytes) -> "Header":
        """The header of a whole message."""
        _, flags_command, application, hop_by_hop, end_to_end = _words.unpack_from(message)
        return cls(flags_command >> 24, flags_command & _SIZE, application, hop_by_hop, end_to_end)

    def write(self, *parts: bytes) -> bytes:
        """A message of this header and AVPs."""
        body = b"".join(parts)
        flags_command = self.flags << 24 | self.command
        return _words.pack(1 << 24 | HEADER + len(body), flags_command, *self[2:]) + body

    def answer(self, *parts: bytes, error: bool = False) -> bytes:
        """The answer to a request of this header. error: that the request could not be understood by
        Diameter itself, whatever it asks for."""
        flags = self.flags & PROXIABLE | (ERROR if error else 0)
        return self._replace(flags=flags).write(*parts)


class Avp(NamedTuple):
    """An attribute-value pair. name: its vendor and code in one number, see `name_of`."""

    name: int
    flags: int
    data: bytes

    def write(self) -> bytes:
        """Its bytes, with the padding."""
        vendor = _word.pack(self.name >> 32) if self.flags & VENDOR else b""
        length = 8 + len(vendor) + len(self.data)
        head = _avp_head.pack(self.name & 0xFFFFFFFF, self.flags << 24 | length)
        return b"".join((head, vendor, self.data, bytes(-length & 3)))

    def number(self) -> int | None:
        """The number that its data are, if they are one."""
        return _word.unpack(self.data)[0] if len(self.data) == 4 else None


def name_of(code: int, vendor: int = 0) -> int:
    """A number for an AVP: codes are those of a vendor."""
    return vendor << 32 | code


def avp(name: int, data: bytes | str | int, *, mandatory: bool = True) -> bytes:
    """The bytes of an AVP: of a number, four bytes; of a text, UTF-8.

    >>> avp(263, "peer;1;2").hex(" ", 4)
    '00000107 40000010 70656572 3b313b32'
    """
    if isinstance(data, int):
        data = _word.pack(data)
    elif isinstance(data, str):
        data = data.encode()
    flags = (VENDOR if name >> 32 else 0) | (MANDATORY if mandatory else 0)
    return Avp(name, flags, data).write()


def group(name: int, parts: Iterable[bytes]) -> bytes:
    """The bytes of an AVP that holds others."""
    return avp(name, b"".join(parts))


def length_of(received: bytes, at: int = 0) -> int:
    """The length of the message that begins there; `MORE`, or 0 for what is not one that can be read.

    >>> length_of(bytes.fromhex("01000014")), length_of(b"GET / HT"), length_of(bytes([1, 0]))
    (20, 0, -1)
    """
    if len(received) - at < 4:
        return MORE if len(received) == at or received[at] == 1 else 0
    first = _word.unpack_from(received, at)[0]
    length: int = first & _SIZE
    return length if first >> 24 == 1 and HEADER <= length <= LONGEST and length & 3 == 0 else 0


def read_avps(data: bytes, at: int = 0) -> tuple[list[Avp], Avp | None]:
    """The AVPs from there to the end, and the first whose length cannot be, without its data.

    The last one of a group may lack its padding.
    """
    found: list[Avp] = []
    end = len(data)
    while at < end:
        if end - at < 8:
            code, flags_length = _avp_head.unpack(data[at:end].ljust(8, b"\0"))
            return found, Avp(code, flags_length >> 24 & ~VENDOR, b"")
        code, flags_length = _avp_head.unpack_from(data, at)
        begin, stop = at + 8, at + (flags_length & _SIZE)
        if flags_length & VENDOR << 24:
            begin += 4
            code |= _word.unpack(data[at + 8 : begin].ljust(4, b"\0"))[0] << 32
        if not begin <= stop <= end:
            return found, Avp(code, flags_length >> 24, b"")
        found.append(Avp(code, flags_length >> 24, data[begin:stop]))
        at = stop + (-stop + at & 3)
    return found, None
