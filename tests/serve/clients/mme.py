"""An MME over a plain socket, which knows of Diameter what it needs and shares no code with the server."""

import itertools
import socket
import struct

from ..servers import HOST, PATIENCE

S13, VENDOR = 16777252, 10415
STATUSES = ("WHITELISTED", "BLACKLISTED", "GREYLISTED")
EXPERIMENTAL_RESULT, RESULT_CODE, EQUIPMENT_STATUS, UNKNOWN_EQUIPMENT = 297, 268, 1445, 5422


def avp(code: int, data: bytes | str | int, vendor: int = 0, *, mandatory: bool = True) -> bytes:
    """The bytes of an AVP, padded."""
    data = struct.pack(">I", data) if isinstance(data, int) else data
    data = data.encode() if isinstance(data, str) else data
    flags = 0x80 * bool(vendor) | 0x40 * mandatory
    head = struct.pack(">II", vendor, 0)[:4] if vendor else b""
    length = 8 + len(head) + len(data)
    return struct.pack(">II", code, flags << 24 | length) + head + data + bytes(-length % 4)


def avps(data: bytes) -> dict[int, bytes]:
    """The data of AVPs by their codes, the last of each."""
    found, at = {}, 0
    while at < len(data):
        code, flags_length = struct.unpack_from(">II", data, at)
        length = flags_length & 0xFFFFFF
        found[code] = data[at + (12 if flags_length >> 31 else 8) : at + length]
        at += length + -length % 4
    return found


class Mme:
    """A peer that has exchanged capabilities, and asks."""

    def __init__(self, port: int, identity: str = "mme.example.org", timeout: float = PATIENCE) -> None:
        self.identity = identity
        self.numbers = itertools.count(1)
        self.socket = socket.create_connection((HOST, port), timeout)
        address = b"\0\1" + socket.inet_aton(HOST)
        self.capabilities = self.ask(
            257,
            0,
            avp(257, address),
            avp(266, VENDOR),
            avp(269, "test", mandatory=False),
            avp(260, avp(266, VENDOR) + avp(258, S13)),
        )

    def __enter__(self) -> "Mme":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def status(self, imei: str | None, imsi: str | None = None) -> str | int:
        """The word of the answer about a phone; the code of an error."""
        terminal = b"" if imei is None else avp(1401, avp(1402, imei, VENDOR), VENDOR)
        subscriber = b"" if imsi is None else avp(1, imsi)
        found = self.ask(324, S13, avp(263, f"{self.identity};1;1"), avp(277, 1), terminal, subscriber)
        if EXPERIMENTAL_RESULT in found:
            assert RESULT_CODE not in found
            assert EQUIPMENT_STATUS not in found
            code = struct.unpack(">I", avps(found[EXPERIMENTAL_RESULT])[298])[0]
            return "UNKNOWN" if code == UNKNOWN_EQUIPMENT else code
        code = struct.unpack(">I", found[RESULT_CODE])[0]
        if code != 2001:
            return code
        return STATUSES[struct.unpack(">I", found[EQUIPMENT_STATUS])[0]]

    def ask(self, command: int, application: int, *parts: bytes) -> dict[int, bytes]:
        """The AVPs of the answer; questions of the server that come before it are answered."""
        number = next(self.numbers)
        self.send(0xC0 if application else 0x80, command, application, number, *parts)
        while True:
            flags, answered, hop_by_hop, body = self.receive()
            if not flags & 0x80:
                assert (answered, hop_by_hop) == (command, number)
                return avps(body)
            if answered == 282:
                raise ConnectionError("the server disconnects")
            assert answered == 280, f"expected an answer or a watchdog, got command {answered}"
            self.send(0, 280, 0, hop_by_hop, avp(268, 2001))

    def send(self, flags: int, command: int, application: int, number: int, *parts: bytes) -> None:
        """A message, with its origin."""
        origin = avp(264, self.identity) + avp(296, "example.org")
        if parts and parts[0][:4] == struct.pack(">I", 263):  # Session-Id comes first
            body = parts[0] + origin + b"".join(parts[1:])
        else:
            body = origin + b"".join(parts)
        head = struct.pack(
            ">5I", 1 << 24 | 20 + len(body), flags << 24 | command, application, number, number
        )
        self.socket.sendall(head + body)

    def receive(self) -> tuple[int, int, int, bytes]:
        """Flags, command, hop-by-hop identifier and AVPs of the next message."""
        head = self._exactly(20)
        length, command, _, hop_by_hop, _ = struct.unpack(">5I", head)
        return command >> 24, command & 0xFFFFFF, hop_by_hop, self._exactly((length & 0xFFFFFF) - 20)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            received = self.socket.recv(count - len(data))
            if not received:
                raise ConnectionError("the server closed the connection")
            data += received
        return data
