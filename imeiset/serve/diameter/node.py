"""Ourselves as a Diameter node: capabilities, watchdogs and disconnects (RFC 6733, section 5).

Messages are bytes, and nothing here knows of connections.
"""

import ipaddress
import itertools
import re
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from imeiset.serve.diameter.messages import (
    DISCONNECT,
    HEADER,
    REQUEST,
    WATCHDOG,
    Avp,
    Code,
    Header,
    Result,
    avp,
    group,
    read_avps,
)
from imeiset.serve.diameter.s13 import S13, VENDOR_3GPP

RELAY = 0xFFFFFFFF
"""The application of a peer that passes on those of others."""
NO_SECURITY = 0
"""Of Inband-Security-Id: TLS is not asked for."""
REBOOTING, NOT_WANTED = 0, 2
"""Of Disconnect-Cause."""
PRODUCT = "imeiset"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_HOST = re.compile(rb"[A-Za-z0-9._-]{1,255}")


class Judged(NamedTuple):
    """What a capabilities exchange gets. why: the peer is refused, "" where it is not; failed: the bytes of
    the AVP that is to blame."""

    code: int = Result.SUCCESS
    why: str = ""
    failed: bytes = b""


class Node:
    """Ourselves, as peers see us.

    Parameters
    ----------
    identity, realm : str
        Origin-Host and Origin-Realm.
    """

    def __init__(self, identity: str, realm: str) -> None:
        self.origin = avp(Code.ORIGIN_HOST, identity) + avp(Code.ORIGIN_REALM, realm)
        self._state = avp(Code.ORIGIN_STATE_ID, int(time.time()))  # greater after each start
        s13 = [avp(Code.VENDOR_ID, VENDOR_3GPP), avp(Code.AUTH_APPLICATION_ID, S13)]
        self._capabilities = b"".join(
            (
                avp(Code.VENDOR_ID, 0),
                avp(Code.PRODUCT_NAME, PRODUCT, mandatory=False),
                self._state,
                avp(Code.SUPPORTED_VENDOR_ID, VENDOR_3GPP),
                group(Code.VENDOR_SPECIFIC_APPLICATION_ID, s13),
            )
        )
        self._numbers = itertools.count(int(time.time()) << 20)  # of our requests

    # ---- requests ----

    def _request(self, command: int, *parts: bytes) -> bytes:
        number = next(self._numbers) & 0xFFFFFFFF
        return Header(REQUEST, command, 0, number, number).write(self.origin, *parts)

    def watchdog(self) -> bytes:
        """A request to say something."""
        return self._request(WATCHDOG, self._state)

    def disconnect(self, cause: int) -> bytes:
        """A request to disconnect."""
        return self._request(DISCONNECT, avp(Code.DISCONNECT_CAUSE, cause))

    # ---- answers ----

    def alive(self, header: Header) -> bytes:
        """The answer to a watchdog."""
        return header.answer(avp(Code.RESULT_CODE, Result.SUCCESS), self.origin, self._state)

    def goodbye(self, header: Header) -> bytes:
        """The answer to a disconnect request."""
        return header.answer(avp(Code.RESULT_CODE, Result.SUCCESS), self.origin)

    def welcome(self, header: Header, judged: Judged, address: Address | None) -> bytes:
        """The answer to capabilities. address: at which the peer reached us."""
        return header.answer(
            avp(Code.RESULT_CODE, judged.code),
            self.origin,
            avp(Code.HOST_IP_ADDRESS, _packed(address)),
            self._capabilities,
            group(Code.FAILED_AVP, [judged.failed]) if judged.failed else b"",
            error=3000 <= judged.code < 4000,
        )

    def judged(self, message: bytes, admitted: Callable[[str], Judged]) -> tuple[str, Judged]:
        """The Origin-Host of capabilities in lower case, and what they get.

        admitted is asked about the host of a peer that has said all that it has to.
        """
        avps, broken = read_avps(message, HEADER)
        given = {one.name: one for one in reversed(avps)}
        host = given.get(Code.ORIGIN_HOST)
        name = host.data.decode("ascii").lower() if host and _HOST.fullmatch(host.data) else ""
        security = {one.number() for one in avps if one.name == Code.INBAND_SECURITY_ID}
        if broken is not None:
            return name, Judged(Result.WRONG_LENGTH, "an AVP has a wrong length", broken.write())
        if missing := next((one for one in (Code.ORIGIN_HOST, Code.ORIGIN_REALM) if one not in given), 0):
            return name, Judged(
                Result.MISSING_AVP, "Origin-Host or Origin-Realm is missing", avp(missing, b"")
            )
        if host and not name:
            return name, Judged(Result.WRONG_VALUE, "Origin-Host is not a name", host.write())
        if (admission := admitted(name)).why:
            return name, admission
        if not {S13, RELAY} & set(applications(avps)):
            return name, Judged(Result.NO_COMMON_APPLICATION, "it knows neither S13 nor how to relay")
        if security and NO_SECURITY not in security:
            return name, Judged(Result.NO_COMMON_SECURITY, "it asks for TLS")
        return name, Judged()


def applications(avps: Iterable[Avp]) -> Iterable[int | None]:
    """The applications that capabilities name."""
    for one in avps:
        if one.name in (Code.AUTH_APPLICATION_ID, Code.ACCT_APPLICATION_ID):
            yield one.number()
        elif one.name == Code.VENDOR_SPECIFIC_APPLICATION_ID:
            inner, _ = read_avps(one.data)
            yield from (each.number() for each in inner if each.name == Code.AUTH_APPLICATION_ID)


def _packed(address: Address | None) -> bytes:
    """The data of Host-IP-Address: the family, and the address."""
    known = address or ipaddress.IPv4Address("0.0.0.0")
    return (1 if known.version == 4 else 2).to_bytes(2) + known.packed
