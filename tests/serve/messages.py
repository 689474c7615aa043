"""Diameter messages that tests send, and answers taken apart by a reader of their own."""

from struct import pack, unpack_from
from typing import NamedTuple

GPP = 10415
S13 = 16777252

# codes
USER_NAME, SESSION, HOST, REALM, RESULT, FAILED = 1, 263, 264, 296, 268, 279
PROXY_INFO, PROXY_HOST, PROXY_STATE, DRMP = 284, 280, 33, 301
TERMINAL, IMEI, STATUS = 1401, 1402, 1445


def avp(code, data=b"", *, vendor=0, flags=None, length=None):
    """An AVP by hand; length: what it says of itself, where that is a lie."""
    if isinstance(data, int):
        data = pack(">I", data)
    elif isinstance(data, str):
        data = data.encode()
    elif isinstance(data, list | tuple):
        data = b"".join(data)
    flags = (0x80 if vendor else 0) | 0x40 if flags is None else flags
    head = pack(">I", vendor) if flags & 0x80 else b""
    size = 8 + len(head) + len(data) if length is None else length
    body = pack(">II", code, flags << 24 | size) + head + data
    return body + bytes(-len(body) % 4)


def message(command, *avps, application=0, flags=0x80, hop=7, end=9, length=None, version=1):
    """A message by hand."""
    body = b"".join(avps)
    size = 20 + len(body) if length is None else length
    return pack(">IIIII", version << 24 | size, flags << 24 | command, application, hop, end) + body


def origin(host="mme.example.org", realm="example.org"):
    return avp(HOST, host) + avp(REALM, realm)


def terminal(*inner):
    return avp(TERMINAL, inner, vendor=GPP)


def imei(text, **how):
    return avp(IMEI, text, vendor=GPP, **how)


def check(text="490154203237518", imsi=None, *more, session="mme;1;2", flags=0xC0, **how):
    """An ME-Identity-Check request."""
    user = [] if imsi is None else [avp(USER_NAME, imsi)]
    parts = [avp(SESSION, session), avp(277, 1), origin(), avp(283, "example.org"), terminal(imei(text))]
    return message(324, *parts, *user, *more, application=S13, flags=flags, **how)


def capabilities(*more, host="mme.example.org", applications=None, **how):
    """A capabilities exchange request; applications: its AVPs, S13 where they are not given."""
    if applications is None:
        applications = [avp(260, [avp(266, GPP), avp(258, S13)])]
    own = [origin(host), avp(257, b"\0\1\x7f\0\0\1"), avp(266, 0), avp(269, "test", flags=0)]
    return message(257, *own, *applications, *more, **how)


class Read(NamedTuple):
    """An answer. avps: pairs of the code and the data, in order; groups as such lists themselves."""

    flags: int
    command: int
    application: int
    hop: int
    end: int
    avps: list

    def __getitem__(self, code):
        [found] = [data for one, data in self.avps if one == code]
        return found

    def __contains__(self, code):
        return any(one == code for one, _ in self.avps)

    @property
    def codes(self):
        return [code for code, _ in self.avps]

    @property
    def result(self):
        """Result-Code, or the code of Experimental-Result; not both, and not neither."""
        assert (RESULT in self) != (297 in self)
        if RESULT in self:
            return int.from_bytes(self[RESULT])
        assert [code for code, _ in self[297]] == [266, 298]
        assert int.from_bytes(dict(self[297])[266]) == GPP
        return int.from_bytes(dict(self[297])[298])


GROUPS = {297, 279, 260, TERMINAL, PROXY_INFO}


def read(data, at=0):
    """One whole answer, which has to be well formed to the last byte."""
    first, second, application, hop, end = unpack_from(">IIIII", data, at)
    assert first >> 24 == 1
    size = first & 0xFFFFFF
    assert size == len(data) - at, "one message, whole"
    return Read(second >> 24, second & 0xFFFFFF, application, hop, end, read_avps(data[at + 20 :]))


def read_avps(data):
    found = []
    while data:
        code, rest = unpack_from(">II", data)
        size, flags = rest & 0xFFFFFF, rest >> 24
        head = 12 if flags & 0x80 else 8
        assert head <= size <= len(data)
        assert flags & 0x1F == 0
        padded = size + -size % 4
        assert len(data) >= padded
        assert not any(data[size:padded])
        inner = data[head:size]
        found.append((code, read_avps(inner) if code in GROUPS else inner))
        data = data[padded:]
    return found


def split(data):
    """A stream's messages."""
    found = []
    while data:
        size = int.from_bytes(data[1:4])
        found.append(data[:size])
        data = data[size:]
    return found
