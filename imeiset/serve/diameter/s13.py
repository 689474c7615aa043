"""ME-Identity-Check requests answered: Diameter S13 and S13' (3GPP TS 29.272, clauses 6, 7.2.19 and 7.2.20).

Messages are bytes, and nothing here knows of connections. `peers.py` has those.
"""

import logging
import threading
from collections.abc import Iterable

import numpy as np

from imeiset import EquipmentStatus, ImeiError, Store, Verdict
from imeiset._native.checks import CheckTables
from imeiset._native.identity_check import AT_A_TIME, COUNTED, Requests
from imeiset.register.checks import tables_of
from imeiset.register.decisions import tally_of
from imeiset.serve.diameter.messages import (
    ERROR,
    HEADER,
    LONGEST,
    MANDATORY,
    Avp,
    Code,
    Header,
    Result,
    avp,
    group,
    name_of,
    read_avps,
)
from imeiset.serve.state import Counts

VENDOR_3GPP = 10415
S13 = 16777252
"""The application."""
IDENTITY_CHECK = 324
"""The command."""

# AVPs of 3GPP.
SUPPORTED_FEATURES = name_of(628, VENDOR_3GPP)
TERMINAL_INFORMATION, IMEI, SOFTWARE_VERSION = (name_of(code, VENDOR_3GPP) for code in (1401, 1402, 1403))
EQUIPMENT_STATUS, MEID = (name_of(code, VENDOR_3GPP) for code in (1445, 1471))

UNKNOWN_EQUIPMENT = 5422

NOT_KEPT = 1
"""Of Auth-Session-State: there are no sessions."""

# What a request may have with the flag M; of it, and of Terminal-Information, what it has once.
_UNDERSTOOD = {
    *(Code.SESSION_ID, Code.DRMP, Code.VENDOR_SPECIFIC_APPLICATION_ID, Code.AUTH_APPLICATION_ID),
    *(Code.AUTH_SESSION_STATE, Code.ORIGIN_HOST, Code.ORIGIN_REALM, Code.ORIGIN_STATE_ID),
    *(Code.DESTINATION_HOST, Code.DESTINATION_REALM, Code.USER_NAME, Code.PROXY_INFO, Code.ROUTE_RECORD),
    *(Code.CLASS, Code.EVENT_TIMESTAMP),
    *(TERMINAL_INFORMATION, IMEI, SOFTWARE_VERSION, MEID, SUPPORTED_FEATURES),
}
_ONCE = {Code.SESSION_ID, Code.DRMP, TERMINAL_INFORMATION, Code.USER_NAME, IMEI}

_log = logging.getLogger(__name__)


class Rejected(Exception):
    """A request that gets an answer without a status. failed: the bytes of the AVPs that are to blame."""

    def __init__(self, code: int, text: str, failed: bytes = b"") -> None:
        super().__init__(text)
        self.code, self.text, self.failed = code, text, failed

    @property
    def is_protocol_error(self) -> bool:
        """Whether the answer has the flag E, and the form of the base protocol."""
        return 3000 <= self.code < 4000

    def avps(self, origin: bytes) -> bytes:
        """What the answer says."""
        state = b"" if self.is_protocol_error else avp(Code.AUTH_SESSION_STATE, NOT_KEPT)
        message = avp(Code.ERROR_MESSAGE, self.text, mandatory=False)
        failed = group(Code.FAILED_AVP, [self.failed]) if self.failed else b""
        return b"".join((avp(Code.RESULT_CODE, self.code), state, origin, message, failed))


class IdentityChecks:
    """Answers to ME-Identity-Check requests.

    Parameters
    ----------
    store : Store
        That is asked.
    identity, realm : str
        Ours: Origin-Host and Origin-Realm.
    counts : Counts
        What was answered is counted there, as of the interface "s13".

    Attributes
    ----------
    store : Store
        As given, or another that takes its place.
    closing : bool
        Whether requests are sent elsewhere: they are answered by 3004, DIAMETER_TOO_BUSY.
    """

    def __init__(self, store: Store, identity: str, realm: str, counts: Counts) -> None:
        self.store, self._counts = store, counts
        self.origin = avp(Code.ORIGIN_HOST, identity) + avp(Code.ORIGIN_REALM, realm)
        self.closing = False
        self._fault = ""
        self._said = {status: self._avps(status) for status in EquipmentStatus}
        self._plain = Plain(self._said.values(), counts)

    def _avps(self, status: EquipmentStatus) -> bytes:
        """What an answer of a status says, beside what it copies from its request."""
        shared = avp(Code.AUTH_SESSION_STATE, NOT_KEPT) + self.origin
        if status is EquipmentStatus.UNKNOWN:
            code = avp(Code.EXPERIMENTAL_RESULT_CODE, UNKNOWN_EQUIPMENT)
            return group(Code.EXPERIMENTAL_RESULT, [avp(Code.VENDOR_ID, VENDOR_3GPP), code]) + shared
        return avp(Code.RESULT_CODE, Result.SUCCESS) + shared + avp(EQUIPMENT_STATUS, int(status))

    def answers(self, received: bytes, at: int = 0) -> tuple[bytes, int]:
        """Answers to what is usual, fast: the same that `answer` gives.

        Parameters
        ----------
        received : bytes
            Messages, the last of which may be a part.
        at : int
            Where one begins.

        Returns
        -------
        answers : bytes
            Of the plain requests that begin there. None may be.
        at : int
            Where they end: there a message begins that is not plain, or not whole.
        """
        return (b"", at) if self.closing else self._plain.answers(self.store, received, at)

    def answer(self, message: bytes) -> bytes:
        """The answer to a request: a whole message, see `messages.length_of`.

        Parameters
        ----------
        message : bytes
            With the flag R; of any command and application, but for those of the base protocol that are
            between two peers.

        Returns
        -------
        bytes
            A whole message.
        """
        header = Header.read(message)
        avps, broken = read_avps(message, HEADER)
        error = False
        try:
            said = self._said[self._status(header, avps, broken)]
        except Rejected as rejected:
            self._counts.error("s13", str(rejected.code))
            said, error = rejected.avps(self.origin), rejected.is_protocol_error
        copied: dict[int, list[bytes]] = {Code.SESSION_ID: [], Code.DRMP: [], Code.PROXY_INFO: []}
        for one in avps:
            if one.name in copied:
                copied[one.name].append(one.write())
        session, priority, proxies = copied.values()
        return header.answer(*session[:1], *priority[:1], said, *proxies, error=error)

    def _status(self, header: Header, avps: list[Avp], broken: Avp | None) -> EquipmentStatus:
        """What a request gets. Raises Rejected."""
        if header.flags & ERROR:
            raise Rejected(Result.WRONG_FLAGS, "expected a request without the flag E")
        if header.application not in (S13, 0):
            raise Rejected(
                Result.UNKNOWN_APPLICATION, f"expected application {S13}, got {header.application}"
            )
        if header.application != S13 or header.command != IDENTITY_CHECK:
            raise Rejected(Result.UNSUPPORTED, f"expected command {IDENTITY_CHECK} of application {S13}")
        if self.closing:
            raise Rejected(Result.TOO_BUSY, "shutting down")
        given = _once(avps, broken)
        if Code.SESSION_ID not in given:
            raise Rejected(Result.MISSING_AVP, "expected a Session-Id", avp(Code.SESSION_ID, b""))
        if TERMINAL_INFORMATION not in given:
            raise Rejected(
                Result.MISSING_AVP, "expected Terminal-Information", avp(TERMINAL_INFORMATION, b"")
            )
        terminal = _once(*read_avps(given[TERMINAL_INFORMATION].data), within=TERMINAL_INFORMATION)
        if IMEI not in terminal:
            failed = group(TERMINAL_INFORMATION, [avp(IMEI, b"")])
            raise Rejected(Result.MISSING_AVP, "expected an IMEI in Terminal-Information", failed)
        return self._check(terminal[IMEI], given.get(Code.USER_NAME))

    def _check(self, imei: Avp, subscriber: Avp | None) -> EquipmentStatus:
        """The status of a phone, as used by a subscriber."""
        if subscriber is not None and not _is_digits(subscriber.data, 5, 15):
            raise Rejected(Result.WRONG_VALUE, "User-Name: expected 5 to 15 digits", subscriber.write())
        try:
            if not _is_digits(imei.data, 14, 16) and not self.store.answers_malformed:
                raise _wrong(imei)
            verdict: Verdict = self.store.check(imei.data, None if subscriber is None else subscriber.data)
        except ImeiError:
            raise _wrong(imei) from None
        except Rejected:
            raise
        except Exception as error:  # of the store: whatever it is, the peer gets an answer
            if self._fault != (fault := type(error).__name__):  # once, not for each request
                _log.error("a check failed: %s", fault)
            self._fault = fault
            raise Rejected(Result.UNABLE, "the lists cannot be read") from error
        self._counts.checked("s13", verdict.status, verdict.rule)
        return verdict.status


class Plain:
    """Requests that need nothing but a status: read, checked together and answered by native code.

    said: what answers say, by status. Outcomes are counted by their codes, and handed over when somebody
    wants to read them.
    """

    def __init__(self, said: Iterable[bytes], counts: Counts) -> None:
        self._requests = Requests(said, LONGEST)
        self._keys, self._imsis, self._codes = (np.zeros(AT_A_TIME, np.uint64) for _ in range(3))
        self._tables: CheckTables | None = None
        self._tally, self._handed = np.zeros(COUNTED, np.uint64), np.zeros(COUNTED, np.uint64)
        self._counts, self._mutex = counts, threading.Lock()
        counts.collect.append(self._hand_over)

    def answers(self, store: Store, received: bytes, at: int) -> tuple[bytes, int]:
        """As `IdentityChecks.answers`."""
        parts, count = [], AT_A_TIME
        while count == AT_A_TIME:
            count, end = self._requests.read(received, at, self._keys, self._imsis)
            if count == 0 or (tables := self._tables_of(store)) is None:
                break
            codes = self._codes[:count]
            tables.answer(self._keys[:count], codes, self._imsis[:count])
            parts.append(self._requests.write(received, codes, self._tally))
            at = end
        return parts[0] if len(parts) == 1 else b"".join(parts), at

    def _tables_of(self, store: Store) -> CheckTables | None:
        """What the checks of a store read; None if it cannot be read: then `IdentityChecks.answer` says so to
        each request."""
        try:
            tables = tables_of(store)
        except Exception:
            return None
        if tables is not self._tables:
            self._hand_over()
            self._tables = tables
        return tables

    def _hand_over(self) -> None:
        """Count what was answered since the last time. Codes mean something with their tables only."""
        if self._tables is None:
            return
        with self._mutex:
            now = self._tally.copy()  # the front goes on counting meanwhile
            tally = tally_of(self._tables.about, now - self._handed)
            for (status, rule), count in tally.items():
                self._counts.checked("s13", status, rule, count)
            self._handed = now


def _wrong(imei: Avp) -> Rejected:
    failed = group(TERMINAL_INFORMATION, [imei.write()])
    return Rejected(Result.WRONG_VALUE, "IMEI: expected 14 to 16 digits", failed)


def _is_digits(text: bytes, least: int, most: int) -> bool:
    return least <= len(text) <= most and text.isdigit()


def _once(avps: Iterable[Avp], broken: Avp | None, *, within: int = 0) -> dict[int, Avp]:
    """AVPs by their names. Raises Rejected for those that a request must not have. within: the name of the
    group that they are in."""

    def failed(one: Avp) -> bytes:
        return group(within, [one.write()]) if within else one.write()

    if broken is not None:
        raise Rejected(
            Result.WRONG_LENGTH,
            "an AVP is longer than what holds it, or shorter than its head",
            failed(broken),
        )
    given: dict[int, Avp] = {}
    for one in avps:
        if one.name not in _UNDERSTOOD:
            if one.flags & MANDATORY:
                raise Rejected(Result.UNKNOWN_AVP, f"an AVP is not known: {_shown(one)}", failed(one))
        elif one.name in given and one.name in _ONCE:
            raise Rejected(Result.TWICE, f"an AVP stands twice: {_shown(one)}", failed(one))
        given.setdefault(one.name, one)
    return given


def _shown(one: Avp) -> str:
    vendor = one.name >> 32
    return f"{one.name & 0xFFFFFFFF} of vendor {vendor}" if vendor else str(one.name)
