"""Connections with Diameter peers: how they begin, are kept up, are held to limits, and end."""

import asyncio
import contextlib
import ipaddress
import random
import socket
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import EquipmentStatus, Policy, Register
from imeiset.serve.config import Config, DiameterConfig, PeerConfig, RunConfig, StoreConfig
from imeiset.serve.config.values import Address
from imeiset.serve.diameter import messages as diameter
from imeiset.serve.diameter import peers
from imeiset.serve.diameter.messages import Header
from imeiset.serve.diameter.node import Judged, Node
from imeiset.serve.diameter.peers import CLOSING, OPEN, Front
from imeiset.serve.state import Counts

from .messages import (
    FAILED,
    GPP,
    HOST,
    PROXY_INFO,
    REALM,
    RESULT,
    S13,
    STATUS,
    avp,
    capabilities,
    check,
    message,
    origin,
    read,
    split,
)

BLACK, UNLISTED = "490154203237518", "860123450000012"
RELAY = 0xFFFFFFFF
DWR, DPR = 280, 282
PATIENCE = 120


def register():
    made = Register(Policy(response_type=2))
    made.add("stolen", [BLACK], status=EquipmentStatus.BLACKLISTED)
    return made


def config(*allowed, watchdog=30.0, drain=1.0):
    diameter_ = DiameterConfig(
        listen=(Address("127.0.0.1", 0),),
        identity="eir.example.org",
        realm="example.org",
        watchdog=watchdog,
        peers=tuple(PeerConfig(*one) for one in allowed),
    )
    return Config(store=StoreConfig("unused"), diameter=diameter_, run=RunConfig(drain=drain))


class Peer:
    """A client of the test."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def send(self, *messages):
        self.writer.write(b"".join(messages))

    async def next(self):
        head = await asyncio.wait_for(self.reader.readexactly(4), PATIENCE)
        rest = await asyncio.wait_for(self.reader.readexactly(int.from_bytes(head[1:]) - 4), PATIENCE)
        return read(head + rest)

    async def ask(self, *messages):
        self.send(*messages)
        return await self.next()

    async def is_closed(self):
        """Whether the other side closes it, without saying anything more."""
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(self.reader.read(), PATIENCE) == b""
        return True

    async def introduced(self, **how):
        answer = await self.ask(capabilities(**how))
        assert answer.result == 2001
        return self


@contextlib.asynccontextmanager
async def serving(config_):
    """A front, and how to connect with it."""
    front, stop = Front(register(), config_, Counts()), asyncio.Event()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    address = listening.getsockname()
    run = asyncio.create_task(front.run([listening], stop))
    opened = []

    async def connect(source=None, **options):
        local = source and (source, 0)
        opened.append(Peer(*await asyncio.open_connection(*address, local_addr=local, **options)))
        return opened[-1]

    front.stop, front.ended = stop.set, run
    await asyncio.sleep(0)
    try:
        yield front, connect
    finally:
        for one in opened:
            one.writer.close()
        stop.set()
        await asyncio.wait_for(run, PATIENCE)
        assert not front.connections


def served(test):
    """A test with a front that every peer on loopback may connect with."""

    def run():
        async def inside():
            async with serving(config()) as (front, connect):
                await test(front, connect)

        asyncio.run(inside())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def until(what):
    async with asyncio.timeout(PATIENCE):
        while not what():
            await asyncio.sleep(0.01)


# ---- capabilities ----


@served
async def test_capabilities(front, connect):
    peer = await connect()
    answer = await peer.ask(capabilities(hop=0x11223344, end=0x55667788))
    assert (answer.flags, answer.command, answer.application) == (0, 257, 0)
    assert (answer.hop, answer.end) == (0x11223344, 0x55667788)
    assert answer.codes == [RESULT, HOST, REALM, 257, 266, 269, 278, 265, 260]
    assert answer.result == 2001
    assert (answer[HOST], answer[REALM]) == (b"eir.example.org", b"example.org")
    assert answer[257] == b"\0\1\x7f\0\0\1"  # Host-IP-Address
    assert (answer[266], answer[269]) == (bytes(4), b"imeiset")
    assert answer[265] == GPP.to_bytes(4)
    assert answer[260] == [(266, GPP.to_bytes(4)), (258, S13.to_bytes(4))]
    other = await (await connect()).ask(capabilities(host="other.example.org"))
    assert other[278] == answer[278]  # Origin-State-Id is fixed at the start
    assert [(one.host, one.address, one.state) for one in front.peers()] == [
        ("mme.example.org", "127.0.0.1", OPEN),
        ("other.example.org", "127.0.0.1", OPEN),
    ]
    assert (await peer.ask(check(BLACK)))[STATUS] == b"\0\0\0\1"


S13_INSIDE = avp(260, [avp(266, GPP), avp(258, S13)])


@pytest.mark.parametrize(
    ("applications", "more", "code"),
    [
        ([S13_INSIDE], [], 2001),
        ([avp(258, S13)], [], 2001),
        ([avp(258, RELAY)], [], 2001),
        ([avp(259, RELAY)], [], 2001),
        ([avp(258, 16777251), avp(260, [avp(266, GPP), avp(258, 16777251)]), S13_INSIDE], [], 2001),
        ([], [], 5010),
        ([avp(258, 16777251)], [], 5010),
        ([avp(260, [avp(266, GPP), avp(258, 4)])], [], 5010),
        ([avp(260, b"\0\0\0")], [], 5010),
        ([avp(258, b"\1\0\0\x24\0")], [], 5010),
        ([S13_INSIDE], [avp(299, 0)], 2001),
        ([S13_INSIDE], [avp(299, 0), avp(299, 1)], 2001),
        ([S13_INSIDE], [avp(299, 1)], 5017),
        ([S13_INSIDE], [avp(999, b"abc", flags=0), avp(265, GPP), avp(267, 1, flags=0)], 2001),
    ],
)
def test_what_both_can(applications, more, code):
    @served
    async def run(front, connect):
        peer = await connect()
        answer = await peer.ask(capabilities(*more, applications=applications))
        assert (answer.result, answer.flags) == (code, 0)
        assert front.counts.totals().errors == ({} if code == 2001 else {("s13", str(code)): 1})
        if code != 2001:
            assert await peer.is_closed()
            assert not any(one.state == OPEN for one in front.peers())

    run()


@pytest.mark.parametrize(
    ("request_", "code", "failed"),
    [
        (message(257, avp(REALM, "x"), S13_INSIDE), 5005, (HOST, b"")),
        (message(257, avp(HOST, "x"), S13_INSIDE), 5005, (REALM, b"")),
        (message(257, avp(HOST, ""), avp(REALM, "x"), S13_INSIDE), 5004, (HOST, b"")),
        (message(257, origin("a b"), S13_INSIDE), 5004, (HOST, b"a b")),
        (message(257, origin("é"), S13_INSIDE), 5004, (HOST, "é".encode())),
        (message(257, origin("x" * 256), S13_INSIDE), 5004, (HOST, b"x" * 256)),
        (message(257, origin(), S13_INSIDE, avp(269, "x", length=99)), 5014, (269, b"")),
        (message(257), 5005, (HOST, b"")),
    ],
)
def test_capabilities_that_are_wrong(request_, code, failed):
    @served
    async def run(front, connect):
        peer = await connect()
        answer = await peer.ask(request_)
        assert (answer.result, answer.flags) == (code, 0)
        assert answer[FAILED] == [failed]
        assert await peer.is_closed()

    run()


def test_the_address_at_which_a_peer_reached_us():
    node, header = Node("eir.example.org", "example.org"), Header.read(capabilities())
    said = {"10.1.2.3": "00010a010203", "::1": "0002" + "00" * 15 + "01"}
    for address, data in said.items():
        answer = read(node.welcome(header, Judged(), ipaddress.ip_address(address)))
        assert answer[257].hex() == data


def test_who_may_connect():
    allowed = [("MME.example.org", ("127.0.0.1", "127.0.9.0/24")), ("dra.example.org", ("127.0.0.2",))]

    async def run():
        async with serving(config(*allowed)) as (front, connect):
            await (await connect("127.0.0.1")).introduced(host="mme.EXAMPLE.org")
            await (await connect("127.0.0.2")).introduced(host="dra.example.org")
            for source, host in [
                ("127.0.0.1", "dra.example.org"),
                ("127.0.0.2", "mme.example.org"),
                ("127.0.9.9", "sgsn.example.org"),
            ]:
                peer = await connect(source)
                answer = await peer.ask(capabilities(host=host))
                assert (answer.result, answer.flags) == (3010, 0x20)
                assert await peer.is_closed()
            assert await (await connect("127.0.0.3")).is_closed()  # no peer has it: not one word
            assert [one.host for one in front.peers() if one.state == OPEN] == [
                "mme.example.org",
                "dra.example.org",
            ]

    asyncio.run(run())


def test_a_flood_of_connections_does_not_fill_the_log(caplog):
    caplog.set_level("INFO")
    front = Front(register(), config(("mme", ("127.0.0.1",))), Counts())
    now = 1000.25
    front.now = lambda: now

    def connect(times):
        caplog.clear()
        for number in range(times):
            front.log("peer at %s: refused", number)
        return caplog.messages

    assert len(connect(50)) == 50
    assert connect(150) == []
    now += 1
    assert connect(1) == ["150 more lines about peers were left out", "peer at 0: refused"]
    now += 1
    assert connect(1) == ["peer at 0: refused"]


def test_without_a_list_only_loopback_may_connect():
    front = Front(register(), config(), Counts())
    loopback = ("127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1")
    others = ("10.0.0.1", "::ffff:10.0.0.1", "fe80::1%eth0", "2001:db8::1")
    for address, allowed in [*((one, True) for one in loopback), *((one, False) for one in others)]:
        assert front.allows("x", peers._address((address, 1))) is allowed
    assert not front.allows("x", peers._address(None))
    assert not front.allows("x", peers._address(("", 1)))


@pytest.mark.parametrize(
    "first",
    [
        check(BLACK),
        message(DWR, origin()),
        message(DPR, origin(), avp(273, 0)),
        capabilities(flags=0),  # an answer
        capabilities(application=S13),
        b"GET / HTTP/1.1\r\n\r\n",
        bytes.fromhex("160301020001000c"),  # TLS
        b"\0" * 40,
        b"\1\0\0\x10" + b"\0" * 12,  # shorter than a header
        b"\1\0\0\x16" + b"\0" * 18,  # no multiple of 4
        b"\1\xff\xff\xfc" + b"\0" * 16,
    ],
)
def test_nothing_comes_before_capabilities(first):
    @served
    async def run(front, connect):
        peer = await connect()
        peer.send(first, capabilities())
        assert await peer.is_closed()
        assert front.peers() == ()

    run()


@served
async def test_capabilities_again(front, connect):
    peer = await (await connect()).introduced()
    for _ in range(100):
        assert (await peer.ask(capabilities(host="MME.example.org"))).result == 2001
    assert (await peer.ask(check(BLACK)))[STATUS] == b"\0\0\0\1"
    answer = await peer.ask(capabilities(host="another.example.org"))
    assert answer.result == 3010
    assert await peer.is_closed()


@served
async def test_a_second_connection_of_a_peer(front, connect):
    first = await (await connect()).introduced()
    second = await connect()
    answer = await second.ask(capabilities(host="MME.Example.org"))
    assert (answer.result, answer.flags) == (4003, 0)
    assert await second.is_closed()
    question = await first.next()  # whether it lives
    assert (question.command, question.flags) == (DWR, 0x80)
    assert (await first.ask(check(BLACK)))[STATUS] == b"\0\0\0\1"
    assert [one.state for one in front.peers()] == [OPEN]


def test_a_peer_that_comes_back_when_its_connection_is_dead(monkeypatch):
    monkeypatch.setattr(peers, "SUSPECTED", 0.1)

    async def run():
        async with serving(config(watchdog=0.2)) as (front, connect):
            front.watchdog = 1000  # the clock ticks fast, and nobody is asked for his silence
            first = await (await connect()).introduced()
            assert (await (await connect()).ask(capabilities())).result == 4003
            await first.next()
            assert await first.is_closed()
            await (await connect()).introduced()

    asyncio.run(run())


def test_nobody_keeps_a_peer_out_by_its_name():
    """A refused connection, or one that ends, is not the peer's, however long it takes to close."""

    async def run():
        async with serving(
            config(("mme.example.org", ("127.0.0.1",)), ("x.example.org", ("127.0.0.2",)))
        ) as (
            front,
            connect,
        ):
            for source in ("127.0.0.2", "127.0.0.1"):
                wire = Wire(source)  # it never closes
                thief = peers.Connection(front)
                thief.connection_made(wire)
                if source == "127.0.0.1":
                    thief.take(capabilities() + message(DPR, origin(), avp(273, 0)))
                else:
                    thief.take(capabilities())
                assert wire.closing
                assert thief in front.connections
            peer = await (await connect("127.0.0.1")).introduced()
            assert (await peer.ask(check(BLACK)))[STATUS] == b"\0\0\0\1"
            front.connections.intersection_update(front.of("mme.example.org"))

    asyncio.run(run())


# ---- watchdogs and disconnects ----


@served
async def test_watchdog_of_the_peer(front, connect):
    peer = await (await connect()).introduced()
    answer = await peer.ask(message(DWR, origin(), avp(278, 5), hop=77, end=78))
    assert (answer.command, answer.flags, answer.hop, answer.end) == (DWR, 0, 77, 78)
    assert (answer.result, answer[HOST], answer[REALM]) == (2001, b"eir.example.org", b"example.org")
    assert len(answer[278]) == 4


def test_a_silent_peer_is_asked_twice():
    async def run():
        async with serving(config(watchdog=0.2)) as (front, connect):
            peer = await (await connect()).introduced()
            questions = [await peer.next() for _ in range(2)]
            assert [(one.command, one.flags) for one in questions] == [(DWR, 0x80)] * 2
            assert questions[0].hop != questions[1].hop
            assert (questions[0][HOST], len(questions[0][278])) == (b"eir.example.org", 4)
            assert await peer.is_closed()
            await until(lambda: front.peers() == ())

    asyncio.run(run())


def test_a_peer_that_answers_watchdogs_stays():
    async def run():
        async with serving(config(watchdog=0.1)) as (_, connect):
            peer = await (await connect()).introduced()
            for _ in range(6):
                question = await peer.next()
                peer.send(
                    message(DWR, avp(RESULT, 2001), origin(), flags=0, hop=question.hop, end=question.end)
                )
            await asyncio.sleep(0.05)
            assert (await peer.ask(check(BLACK))).command in (324, DWR)

    asyncio.run(run())


def test_a_pause_of_our_own_is_not_held_against_a_peer():
    async def run():
        async with serving(config(watchdog=5.0)) as (front, connect):
            await (await connect()).introduced()
            [connection] = front.connections
            later = front.now() + 3600
            for _ in range(10):  # the clock goes on at once
                connection.tick(later)
            assert connection.state == OPEN
            connection.tick(later + 5)
            connection.tick(later + 5)
            assert connection.state == OPEN
            connection.tick(later + 10)
            assert connection.state == CLOSING

    asyncio.run(run())


def test_half_a_message_is_silence():
    async def run():
        async with serving(config(watchdog=0.2)) as (front, connect):
            peer = await (await connect()).introduced()
            async with asyncio.timeout(PATIENCE):
                for byte in check(BLACK)[:-1]:
                    peer.send(bytes([byte]))
                    await asyncio.sleep(0.01)
                    if peer.reader.at_eof():
                        break
            await until(lambda: front.peers() == ())

    asyncio.run(run())


@served
async def test_a_peer_that_disconnects(front, connect):
    peer = await (await connect()).introduced()
    peer.send(check(BLACK), message(DPR, origin(), avp(273, 0), hop=5), check(BLACK))
    assert (await peer.next())[STATUS] == b"\0\0\0\1"
    answer = await peer.next()
    assert (answer.command, answer.flags, answer.hop, answer.result) == (DPR, 0, 5, 2001)
    assert await peer.is_closed()
    await (await connect()).introduced()


def test_shutting_down():
    async def run():
        async with serving(config(drain=300.0)) as (front, connect):
            peer, stranger = await (await connect()).introduced(), await connect()
            await asyncio.sleep(0.05)
            front.stop()
            request = await peer.next()
            assert (request.command, request.flags, request[273]) == (DPR, 0x80, bytes(4))  # REBOOTING
            assert await stranger.is_closed()
            answer = await peer.ask(check(BLACK))
            assert (answer.result, answer.flags) == (3004, 0x60)
            assert [one.state for one in front.peers()] == [CLOSING]
            with pytest.raises(ConnectionRefusedError):
                await connect()
            peer.send(message(DPR, avp(RESULT, 2001), origin(), flags=0, hop=request.hop))
            assert await peer.is_closed()
            await asyncio.wait_for(front.ended, PATIENCE)  # long before the time for leaving is over

    asyncio.run(run())


def test_shutting_down_takes_a_bounded_time():
    async def run():
        async with serving(config(drain=0.3)) as (front, connect):
            silent = await (await connect()).introduced()
            deaf = await (await connect()).introduced(host="deaf.example.org")
            deaf.reader._transport.pause_reading()
            deaf.send(*[check(BLACK)] * 50_000)
            await asyncio.sleep(0.2)
            front.stop()
            begun = asyncio.get_running_loop().time()
            await asyncio.wait_for(front.ended, PATIENCE)
            assert asyncio.get_running_loop().time() - begun < 60
            assert (await silent.next()).command == DPR

    asyncio.run(run())


def test_another_configuration():
    one, two = ("mme.example.org", ("127.0.0.1",)), ("dra.example.org", ("127.0.0.1",))

    async def run():
        async with serving(config(one, two)) as (front, connect):
            mme = await (await connect()).introduced()
            dra = await (await connect()).introduced(host="dra.example.org")
            changed = config(two, watchdog=77.0)
            front.use(replace(changed, run=RunConfig(drain=0.5)))
            assert front.watchdog == 77.0
            request = await mme.next()
            assert (request.command, request[273]) == (DPR, (2).to_bytes(4))  # DO_NOT_WANT_TO_TALK_TO_YOU
            mme.send(message(DPR, avp(RESULT, 2001), origin(), flags=0, hop=request.hop))
            assert await mme.is_closed()
            assert (await (await connect()).ask(capabilities())).result == 3010
            assert (await dra.ask(check(BLACK)))[STATUS] == b"\0\0\0\1"
            front.use(config(one, two))
            await (await connect()).introduced()

    asyncio.run(run())


# ---- messages ----


@served
async def test_what_is_not_for_peers_is_answered_by_the_application(front, connect):
    peer = await (await connect()).introduced()
    assert (await peer.ask(check(UNLISTED))).result == 5422
    assert (await peer.ask(message(271, origin()))).result == 3001
    assert (await peer.ask(message(316, origin(), application=16777251))).result == 3007
    assert (await peer.ask(message(DWR, origin(), application=16777251))).result == 3007
    peer.send(check(BLACK, flags=0), message(DWR, origin(), flags=0))  # answers that nobody waits for
    assert (await peer.ask(check("nonsense"))).result == 5004


MIXED = [
    check(BLACK, "234150999999999"),
    check("nonsense"),
    message(DWR, origin()),
    check(UNLISTED, None, avp(PROXY_INFO, b"")),
    check(BLACK, None, avp(999, b"abc")),
    check(BLACK, flags=0),
    capabilities(),
    message(271, origin()),
    check(UNLISTED),
]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(MIXED), max_size=8), st.integers(0, 2**32))
def test_fragments(messages, seed):
    """However the bytes come, each request gets its answer, in their order."""
    stream = capabilities() + b"".join(one[:12] + i.to_bytes(4) + one[16:] for i, one in enumerate(messages))
    luck = random.Random(seed)

    front = Front(register(), config(), Counts())

    def answers(cuts):
        connection, wire = peers.Connection(front), Wire()
        connection.connection_made(wire)
        for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            connection.take(stream[begin:end])
        assert not wire.closing
        connection.connection_lost(None)
        return wire.written

    whole = answers([])
    assert [read(one).hop for one in split(whole)][1:] == [
        i for i, one in enumerate(messages) if one[4] & 0x80
    ]
    assert answers(range(1, len(stream))) == whole
    assert answers(sorted(luck.sample(range(1, len(stream)), 5))) == whole


class Wire:
    """A transport that keeps what is written."""

    def __init__(self, address="127.0.0.1"):
        self.written, self.closing, self.address = b"", False, address

    def get_extra_info(self, name):
        return (self.address, 3868)

    def write(self, data):
        assert not self.closing
        self.written += data

    def close(self):
        self.closing = True

    abort = close

    def is_closing(self):
        return self.closing


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=10), st.booleans())
def test_garbage_ends_a_connection_or_waits(pieces, introduced):
    connection, wire = peers.Connection(Front(register(), config(), Counts())), Wire()
    connection.connection_made(wire)
    if introduced:
        connection.take(capabilities())
    for piece in pieces:
        if not wire.closing:
            connection.take(piece)
    assert len(connection._received) <= diameter.LONGEST


@served
async def test_garbage_behind_requests(front, connect):
    peer = await (await connect()).introduced()
    peer.send(check(BLACK), check(UNLISTED), b"\x02 and so on")
    assert (await peer.next())[STATUS] == b"\0\0\0\1"
    assert (await peer.next()).result == 5422
    assert await peer.is_closed()


# ---- limits ----


@served
async def test_a_peer_that_does_not_read(front, connect):
    """No more of its requests are read, and none of their answers is lost."""
    slow = await (await connect(limit=1 << 12)).introduced()
    slow.reader._transport.pause_reading()
    [connection] = front.connections
    count = 60_000
    request = check(BLACK)
    for first in range(0, count, 1000):
        slow.send(*(request[:12] + i.to_bytes(4) + request[16:] for i in range(first, first + 1000)))
        await asyncio.sleep(0)
    await until(lambda: not connection._transport.is_reading())
    await asyncio.sleep(0.1)
    assert connection._transport.get_write_buffer_size() < 1 << 20
    other = await (await connect()).introduced(host="other.example.org")
    assert (await other.ask(check(BLACK)))[STATUS] == b"\0\0\0\1"  # nobody else waits
    slow.reader._transport.resume_reading()
    size = len(front.checks.answer(request))
    async with asyncio.timeout(60):
        for i in range(count):
            answer = await slow.reader.readexactly(size)
            assert int.from_bytes(answer[12:16]) == i
    assert read(answer)[STATUS] == b"\0\0\0\1"


def test_those_who_say_nothing(monkeypatch):
    monkeypatch.setattr(peers, "INTRODUCTION", 600)
    monkeypatch.setattr(peers, "STRANGERS", 5)

    async def run():
        async with serving(config(watchdog=0.2)) as (front, connect):
            front.watchdog = 1000
            strangers = [await connect() for _ in range(5)]
            strangers[0].send(capabilities()[:30])
            await until(lambda: len(front.connections) == 5)
            assert await (await connect()).is_closed()  # there are enough
            for one in front.connections:
                one._until -= 600  # that time is over
            for one in strangers:
                assert await one.is_closed()
            peer = await (await connect()).introduced()
            [connection] = front.connections
            connection.tick(front.now() + 601)
            assert connection.state == OPEN
            assert (await peer.ask(check(BLACK)))[STATUS] == b"\0\0\0\1"

    asyncio.run(run())


def test_too_many_connections(monkeypatch):
    monkeypatch.setattr(peers, "CONNECTIONS", 3)

    async def run():
        async with serving(config()) as (front, connect):
            for i in range(3):
                await (await connect()).introduced(host=f"mme{i}.example.org")
            assert await (await connect()).is_closed()
            assert len(front.peers()) == 3

    asyncio.run(run())


def test_sctp():
    """Beside TCP, where the kernel has it; otherwise that is said, and TCP is served."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    with bound:
        beside = peers._sctp_beside(bound)
        if beside is None:
            pytest.skip("this kernel has no SCTP")
        with beside:
            assert beside.getsockname() == bound.getsockname()


def test_without_sctp_tcp_is_served(monkeypatch, caplog):
    monkeypatch.setattr(peers, "_SCTP", 255)  # a protocol that no kernel has

    async def run():
        wanted = config()
        async with serving(replace(wanted, diameter=replace(wanted.diameter, sctp=True))) as (_, connect):
            peer = await (await connect()).introduced()
            assert (await peer.ask(check(BLACK)))[STATUS] == b"\0\0\0\1"

    asyncio.run(run())
    assert "SCTP" in caplog.text
