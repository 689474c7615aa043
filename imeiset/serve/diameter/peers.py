"""Diameter peers: their connections, and what keeps those up (RFC 6733, RFC 3539).

    waiting  accepted; the first message has to be a capabilities exchange, and soon
    open     requests are answered, and a silent peer is asked whether it lives
    closing  one side has said that it leaves

One asyncio loop has all of them. Nothing here waits: a message is answered as soon as its last byte is read,
and one clock looks after all connections.
"""

import asyncio
import contextlib
import ipaddress
import logging
import math
import socket
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from imeiset import Store
from imeiset.serve.config import Config, DiameterConfig, PeerConfig
from imeiset.serve.diameter.messages import (
    CAPABILITIES,
    DISCONNECT,
    LONGEST,
    REQUEST,
    WATCHDOG,
    Header,
    Result,
    length_of,
)
from imeiset.serve.diameter.node import NOT_WANTED, REBOOTING, Address, Judged, Node
from imeiset.serve.diameter.s13 import IdentityChecks
from imeiset.serve.state import Counts, Peer

WAITING, OPEN, CLOSING = "waiting", "open", "closing"

CONNECTIONS = 1000
"""At a time, at most."""
STRANGERS = 100
"""Of these, those that have not said who they are."""
INTRODUCTION = 10.0
"""Seconds from connecting to the capabilities exchange, at most."""
FAREWELL = 5.0
"""Seconds for a peer to take what was sent to it last."""
SUSPECTED = 5.0
"""Seconds for a sign of life of a peer that connects a second time."""
AT_A_TIME = LONGEST
"""Bytes of a connection that are answered before others have their turn."""
LINES = 50
"""Of the log about connections, in a second."""
UNANSWERED = 2
"""Watchdogs, before a connection is closed."""
_SCTP = getattr(socket, "IPPROTO_SCTP", 132)

_log = logging.getLogger(__name__)


class Allowed(NamedTuple):
    """A peer that may connect, and from where."""

    host: str
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

    @classmethod
    def of(cls, config: PeerConfig) -> "Allowed":
        """As the configuration has it. Names of hosts are compared without case."""
        networks = tuple(ipaddress.ip_network(network, strict=False) for network in config.addresses)
        return cls(config.identity.lower(), networks)

    def has(self, address: Address | None) -> bool:
        """Whether it may come from this address."""
        return address is not None and any(address in network for network in self.networks)


class Connection(asyncio.BufferedProtocol):
    """One connection with a peer."""

    def __init__(self, front: "Front") -> None:
        self._front = front
        self._received = bytearray()  # of a message that is not whole
        self._needed = 0  # bytes of it, as far as they are known
        self.leaving = False  # it is closed as soon as what was written is sent
        self.state = WAITING
        self.host = ""
        self.address: Address | None = None
        self.since = time.time()
        self._due = math.inf  # when the peer has been silent for too long
        self._unanswered = 0  # watchdogs
        self._until = front.now() + INTRODUCTION  # it ends then, unless something happens before

    # ---- what asyncio calls ----

    def connection_made(self, transport: Any) -> None:
        """Keep it, if there is room and its address is that of a peer."""
        self._transport: asyncio.Transport = transport
        self.address = _address(transport.get_extra_info("peername"))
        if why := self._front.refuses(self):
            self._leave(why)
            transport.abort()
        else:
            self._front.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        if not self.leaving and self.host:
            self._said("lost")
        self._front.connections.discard(self)

    def pause_writing(self) -> None:
        """The peer does not read its answers: read no more of its requests."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It has read them."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go: what all connections share, since nothing is left there."""
        return self._front.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take these bytes."""
        self.take(bytes(self._front.buffer[:nbytes]))

    def take(self, data: bytes) -> None:
        """Answer the messages that are whole now."""
        if self._received:
            self._received += data
            if len(self._received) < self._needed:
                return
            data = bytes(self._received)
        answers = []
        at = length = 0
        while not self.leaving:
            if self.state == OPEN:
                plain, at = self._front.checks.answers(data, at)
                answers.append(plain)
            length = length_of(data, at)
            if not 0 < length <= len(data) - at:
                break
            answers.append(self._answer(data[at : at + length]))
            at += length
        if at:
            self._due, self._unanswered = self._front.now() + self._front.watchdog, 0
            if self.state == OPEN:
                self._until = math.inf
            self._transport.write(b"".join(answers))
        if length == 0 and not self.leaving:
            self._leave("what it sends is not Diameter")
        if self.leaving:
            self._transport.close()
        else:
            self._needed, self._received = max(length, 4), bytearray(data[at:])

    # ---- messages ----

    def _answer(self, message: bytes) -> bytes:
        """What a message gets: nothing, where it is an answer."""
        header = Header.read(message)
        command = header.command if header.application == 0 else -1
        is_request = header.flags & REQUEST
        if self.state == WAITING and not (is_request and command == CAPABILITIES):
            self._leave("it sends something before its capabilities")
            return b""
        if not is_request:
            if self.state == CLOSING and command == DISCONNECT:
                self._leave("closed")
            return b""
        if command == CAPABILITIES:
            return self._capabilities(header, message)
        if command == WATCHDOG:
            return self._front.node.alive(header)
        if command == DISCONNECT:
            self._leave("it disconnects")
            return self._front.node.goodbye(header)
        return self._front.checks.answer(message)

    def _capabilities(self, header: Header, message: bytes) -> bytes:
        host, judged = self._front.node.judged(message, self._admitted)
        if judged.why:
            self._front.counts.error("s13", str(judged.code))
            self._leave(f"refused: {judged.why}", host)
        elif self.state == WAITING:
            self.state, self.host, self.since, self._until = OPEN, host, time.time(), math.inf
            self._said("open")
        own = _address(self._transport.get_extra_info("sockname"))
        return self._front.node.welcome(header, judged, own)

    def _admitted(self, host: str) -> Judged:
        """Whether it may be this peer."""
        if not self._front.allows(host, self.address):
            return Judged(Result.UNKNOWN_PEER, "the peer is not allowed, or not from this address")
        if self.state != WAITING:
            return Judged() if host == self.host else Judged(Result.UNKNOWN_PEER, "it changes its name")
        for other in self._front.of(host):
            other.suspect()
            return Judged(Result.ELECTION_LOST, "the peer is connected")
        return Judged()

    # ---- its end ----

    def tick(self, now: float) -> None:
        """Do what is due by the clock."""
        if now >= self._until:
            self._leave("it takes too long")
            self._transport.abort()
        elif self.state == OPEN and now >= self._due:
            if self._unanswered == UNANSWERED:
                self._leave("it is silent")
                self._transport.abort()
            else:  # counted from now on: it is not its fault if this process was stopped for a while
                self._due, self._unanswered = now + self._front.watchdog, self._unanswered + 1
                self._transport.write(self._front.node.watchdog())

    def suspect(self) -> None:
        """Ask for a sign of life, and wait for it only a moment."""
        if self.state == OPEN and self._until == math.inf:
            self._until = self._front.now() + SUSPECTED
            self._transport.write(self._front.node.watchdog())

    def disconnect(self, cause: int) -> None:
        """Say that we leave, and wait a moment for the answer."""
        if self.state == OPEN:
            self.state, self._until = CLOSING, self._front.now() + FAREWELL
            self._transport.write(self._front.node.disconnect(cause))
        elif self.state == WAITING:
            self.abort()

    def abort(self) -> None:
        """Close it at once."""
        self.leaving = True
        self._transport.abort()

    def _leave(self, why: str, host: str = "") -> None:
        """Close it behind what is written now. host: that of a peer that only says so."""
        if not self.leaving:
            self._said(why, host)
        self.leaving, self.state, self._until = True, CLOSING, self._front.now() + FAREWELL

    def _said(self, what: str, host: str = "") -> None:
        self._front.log("peer %s at %s: %s", self.host or host or "(unknown)", self.address, what)


class Front:
    """All peers, and where they connect.

    Parameters
    ----------
    store : Store
        That is asked.
    config : Config
        Of it: who we are, who may connect, how often we ask whether a peer lives, how long leaving takes.
    counts : Counts
        Of what was answered.
    """

    def __init__(self, store: Store, config: Config, counts: Counts) -> None:
        diameter = _of(config)
        self.checks = IdentityChecks(store, diameter.identity, diameter.realm, counts)
        self.counts = counts
        self.node = Node(diameter.identity, diameter.realm)
        self.connections: set[Connection] = set()
        self.buffer = memoryview(bytearray(AT_A_TIME))
        self.now = time.monotonic
        self._second, self._lines = 0, 0  # how many lines were to be logged in it
        self._servers: list[asyncio.Server] = []
        self._take(config)

    @property
    def store(self) -> Store:
        """The store that is asked. Another may take its place."""
        return self.checks.store

    @store.setter
    def store(self, store: Store) -> None:
        self.checks.store = store

    def _take(self, config: Config) -> None:
        diameter = _of(config)
        self.watchdog, self._sctp, self._drain = diameter.watchdog, diameter.sctp, config.run.drain
        self._allowed = [Allowed.of(peer) for peer in diameter.peers]

    def log(self, text: str, *of: object) -> None:
        """Log what became of a connection. Of a flood of them it is said how many, so that nobody fills the
        disk by connecting."""
        second = int(self.now())
        if second != self._second:
            if (left_out := self._lines - LINES) > 0:
                _log.warning("%d more lines about peers were left out", left_out)
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines <= LINES:
            _log.info(text, *of)

    # ---- who may connect ----

    def allows(self, host: str, address: Address | None) -> bool:
        """Whether a host, in lower case, may connect from an address."""
        if not self._allowed:
            return address is not None and address.is_loopback
        return any(peer.host == host and peer.has(address) for peer in self._allowed)

    def refuses(self, new: Connection) -> str:
        """Why a new connection is not taken; "" if it is."""
        if not self._allowed:
            known = new.address is not None and new.address.is_loopback
        else:
            known = any(peer.has(new.address) for peer in self._allowed)
        if not known:
            return "refused: no peer has this address"
        if len(self.connections) >= CONNECTIONS:
            return f"refused: there are {CONNECTIONS} connections"
        if sum(one.state == WAITING for one in self.connections) >= STRANGERS:
            return f"refused: {STRANGERS} connections have not said who they are"
        return ""

    def of(self, host: str) -> list[Connection]:
        """The connections of a host, but for those that end."""
        return [one for one in self.connections if one.host == host and not one.leaving]

    def use(self, config: Config) -> None:
        """Go on with another list of peers, and another watchdog. A peer that may not connect any more is
        told, and its connection closed. Addresses and our own name stay."""
        self._take(config)
        for one in list(self.connections):
            if one.state == OPEN and not self.allows(one.host, one.address):
                one.disconnect(NOT_WANTED)

    def peers(self) -> tuple[Peer, ...]:
        """The connections whose peer has said who it is, the oldest first. Any thread may ask."""
        known = sorted((one for one in list(self.connections) if one.host), key=lambda one: one.since)
        return tuple(Peer(one.host, str(one.address), one.state, one.since) for one in known)

    # ---- from start to end ----

    async def run(self, sockets: Iterable[socket.socket], stop: asyncio.Event) -> None:
        """Answer peers until `stop` is set, and then take leave.

        Parameters
        ----------
        sockets : iterable of socket
            Bound TCP sockets. With SCTP, the same addresses are bound for it.
        stop : asyncio.Event
        """
        loop = asyncio.get_running_loop()
        for bound in sockets:
            beside = _sctp_beside(bound) if self._sctp else None
            for one in (bound,) if beside is None else (bound, beside):
                self._servers.append(await loop.create_server(lambda: Connection(self), sock=one))
        clock = asyncio.create_task(self._ticks())
        try:
            await stop.wait()
            await self._take_leave()
        finally:
            clock.cancel()

    async def _ticks(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self.watchdog / 4))
            now = self.now()
            for one in list(self.connections):
                one.tick(now)

    async def _take_leave(self) -> None:
        """Take no more connections, tell peers that we leave, and close all within `drain` seconds.

        What they ask for meanwhile gets 3004, DIAMETER_TOO_BUSY: they ask another node.
        """
        for server in self._servers:
            server.close()
        self.checks.closing = True
        for one in list(self.connections):
            one.disconnect(REBOOTING)
        end = self.now() + self._drain
        while self.connections and self.now() < end:
            await asyncio.sleep(0.01)
        for one in list(self.connections):
            one.abort()
        while self.connections:  # asyncio forgets them in its next turns
            await asyncio.sleep(0)


def _of(config: Config) -> DiameterConfig:
    """The part for Diameter, which is there."""
    if config.diameter is None:
        raise ValueError("expected a configuration with [diameter], got one without")
    return config.diameter


def _sctp_beside(bound: socket.socket) -> socket.socket | None:
    """A socket for SCTP at the address of one for TCP; None, with a line in the log, if there cannot be one.

    Untested: many kernels do without.
    """
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(socket.socket(bound.family, socket.SOCK_STREAM, _SCTP))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(bound.getsockname())
        except OSError as error:
            _log.error("SCTP cannot be used here, TCP is served alone: %s", error.strerror)
            return None
        stack.pop_all()
        return made


def _address(name: Sequence[Any] | None) -> Address | None:
    """That of the name of a socket. IPv4 in IPv6 is IPv4."""
    try:
        found = ipaddress.ip_address(str(name[0]).partition("%")[0]) if name else None
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
