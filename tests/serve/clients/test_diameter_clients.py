"""S13 as others speak it: freeDiameter as a relay, python-diameter as a client, tshark as a reader."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import threading
from struct import pack

import pytest

from imeiset import EquipmentStatus, Policy, Register, Store
from imeiset.serve.config import understood
from imeiset.serve.diameter.peers import OPEN, Front
from imeiset.serve.diameter.s13 import IdentityChecks
from imeiset.serve.state import Counts

from ..messages import (
    GPP,
    PROXY_INFO,
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
from ..servers import PATIENCE, until
from ..test_s13 import CASES

pytest.importorskip("granian", reason="other programs are asked in `make test-serve` alone")

BLACK, GREY, WHITE, UNLISTED = "490154203237518", "356938035643809", "352099001761481", "860123450000012"
EXPECTED = {BLACK: 1, GREY: 2, WHITE: 0, UNLISTED: None}
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/bin", "/usr/sbin", "/usr/local/bin"])


def program(name, package):
    found = shutil.which(name, path=PATH)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: {package})")
    return found


@pytest.fixture
def store(tmp_path):
    register = Register(Policy(response_type=2))
    register.add("stolen", [BLACK], status=EquipmentStatus.BLACKLISTED)
    register.add("found", [GREY], status=EquipmentStatus.GREYLISTED)
    register.add("fleet", [WHITE], status=EquipmentStatus.WHITELISTED)
    with Store.create(tmp_path / "eir", register) as made:
        yield made


class Served:
    """A front in a thread."""

    def __init__(self, store, **diameter):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen()
        self.port = self.socket.getsockname()[1]
        diameter = {
            "listen": f"127.0.0.1:{self.port}",
            "identity": "eir.example.org",
            "realm": "example.org",
        } | diameter
        config = understood(
            {"store": {"path": str(store._directory)}, "diameter": diameter, "run": {"drain": 1.0}}
        )
        self.counts = Counts()
        self.front = Front(store, config, self.counts)
        self.thread = threading.Thread(target=self._run)
        self.ready = threading.Event()

    def _run(self):
        async def run():
            self.loop, self.stop = asyncio.get_running_loop(), asyncio.Event()
            self.ready.set()
            await self.front.run([self.socket], self.stop)

        asyncio.run(run())

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(PATIENCE)
        return self

    def leave(self):
        """Begin to say goodbye to all peers; not needed where it has done so already."""
        with contextlib.suppress(RuntimeError):  # its loop has ended
            self.loop.call_soon_threadsafe(self.stop.set)

    def __exit__(self, *_):
        self.leave()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def hosts(self):
        return [one.host for one in self.front.peers() if one.state == OPEN]


# ---- freeDiameter ----

RELAY = """\
Identity = "dra.example.org";
Realm = "example.org";
Port = 0;
SecPort = 0;
No_SCTP;
No_IPv6;
TLS_Cred = "{folder}/dra.pem", "{folder}/dra.key";
TLS_CA = "{folder}/dra.pem";
TLS_DH_Bits = 1024;
ConnectPeer = "mme.example.org" {{ ConnectTo = "127.0.0.1"; Port = {client}; No_TLS; }};
ConnectPeer = "eir.example.org" {{ ConnectTo = "127.0.0.1"; Port = {server}; No_TLS; }};
"""


@contextlib.contextmanager
def relay(folder, client, server):
    """freeDiameter between a client and a server, to both of which it connects; it listens nowhere."""
    subprocess.run(
        [program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=dra.example.org", "-keyout", folder / "dra.key", "-out", folder / "dra.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "dra.conf").write_text(RELAY.format(folder=folder, client=client, server=server))
    with (folder / "dra.log").open("wb") as log:
        daemon = subprocess.Popen(
            [program("freeDiameterd", "freediameterd"), "-c", folder / "dra.conf"], stdout=log, stderr=log
        )
        try:
            yield
        finally:
            daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(1)  # how it ends is not ours
            daemon.kill()
            daemon.wait()


def test_a_front_that_has_left_may_be_told_again(store):
    """As when a peer answers its goodbye at once."""
    with Served(store) as eir:
        eir.leave()
        eir.thread.join(PATIENCE)
        eir.leave()


def received(peer):
    """The next message of a socket."""
    head = peer.recv(4, socket.MSG_WAITALL)
    return head + peer.recv(int.from_bytes(head[1:]) - 4, socket.MSG_WAITALL)


def test_freediameter_relays(store, tmp_path):
    program("freeDiameterd", "freediameterd")
    with socket.socket() as listening, Served(store) as eir:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(PATIENCE)
        with relay(tmp_path, listening.getsockname()[1], eir.port):
            mme, _ = listening.accept()
            with mme:
                mme.settimeout(PATIENCE)
                request = read(received(mme))
                assert request.command == 257
                mme.sendall(
                    message(257, avp(268, 2001), *_capabilities(), flags=0, hop=request.hop, end=request.end)
                )
                until(lambda: "dra.example.org" in eir.hosts())
                until(
                    lambda: mme.sendall(check(WHITE)) or read(received(mme)).result != 3002
                )  # it has a route
                for number, (imei, expected) in enumerate(EXPECTED.items()):
                    asked = check(
                        imei, "234150999999999", avp(301, 3, flags=0), hop=number, end=1000 + number
                    )
                    mme.sendall(asked)
                    answer = read(received(mme))
                    assert (answer.hop, answer.end) == (number, 1000 + number)
                    assert answer.result == (5422 if expected is None else 2001)
                    assert expected is None or answer[STATUS] == expected.to_bytes(4)
                mme.sendall(check("nonsense"))
                assert read(received(mme)).result == 5004
                mme.sendall(b"".join(check(BLACK, hop=i, session=f"mme;2;{i}") for i in range(500)))
                found = {(answer.hop, answer[STATUS]) for answer in (read(received(mme)) for _ in range(500))}
                assert found == {(i, b"\0\0\0\1") for i in range(500)}
        log = (tmp_path / "dra.log").read_text()
    faults = [line for line in log.splitlines() if "ERROR" in line and "eir.example.org" in line]
    assert not faults, faults


def _capabilities():
    """What capabilities say, without who we are."""
    return [origin(), avp(257, b"\0\1\x7f\0\0\1"), avp(266, 0), avp(269, "mme", flags=0),
            avp(260, [avp(266, GPP), avp(258, S13)])]  # fmt: skip


# ---- python-diameter ----


@pytest.mark.filterwarnings("ignore")
def test_python_diameter_is_a_client(store):
    pytest.importorskip("diameter", reason="python-diameter is not installed")
    from diameter.message.avp.grouped import TerminalInformation
    from diameter.message.commands import MeIdentityCheckRequest
    from diameter.message.constants import APP_3GPP_S13_S13
    from diameter.node import Node
    from diameter.node.application import SimpleThreadingApplication

    with Served(store) as eir:
        node = Node("mme.example.org", "example.org", vendor_ids=[GPP])
        peer = node.add_peer(
            f"aaa://eir.example.org:{eir.port};transport=tcp",
            "example.org",
            ip_addresses=["127.0.0.1"],
            is_persistent=True,
        )
        application = SimpleThreadingApplication(APP_3GPP_S13_S13, is_auth_application=True)
        node.add_application(application, [peer])
        node.start()
        try:
            application.wait_for_ready(timeout=PATIENCE)
            for imei, expected in EXPECTED.items():
                request = MeIdentityCheckRequest()
                request.session_id = node.session_generator.next_id()
                request.auth_session_state = 1
                request.origin_host, request.origin_realm = b"mme.example.org", b"example.org"
                request.destination_realm = b"example.org"
                request.terminal_information = TerminalInformation(imei=imei[:14], software_version="01")
                request.user_name = "234150999999999"
                answer = application.send_request(request, timeout=PATIENCE)
                if expected is None:
                    assert answer.result_code is None
                    assert answer.experimental_result.experimental_result_code == 5422
                else:
                    assert (answer.result_code, answer.equipment_status) == (2001, expected)
                assert answer.session_id == request.session_id
            assert eir.hosts() == ["mme.example.org"]
        finally:
            node.stop()
        until(lambda: eir.hosts() == [])


# ---- tshark ----


def packets(path, streams):
    """Write messages as a capture: each stream a TCP connection to port 3868, a packet for each message."""
    with path.open("wb") as file:
        file.write(pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 17, 101))
        for port, messages in enumerate(streams, 50_000):
            sequence = 1
            for data in messages:
                tcp = pack(">HHIIBBHHH", 3868, port, sequence, 1, 5 << 4, 0x18, 65535, 0, 0)
                address = bytes([127, 0, 0, 1])
                ip = pack(">BBHHHBBH", 0x45, 0, 40 + len(data), 0, 0, 64, 6, 0) + address + address
                packet = ip + tcp + data
                file.write(pack("<IIII", 0, 0, len(packet), len(packet)) + packet)
                sequence += len(data)


def test_tshark_finds_nothing_malformed(store, tmp_path):
    """In answers to every row of the table, and in what peers say of themselves."""
    tshark = program("tshark", "tshark")
    checks = IdentityChecks(store, "eir.example.org", "example.org", Counts())
    proxies = [avp(PROXY_INFO, [avp(280, "dra"), avp(33, b"\1\2\3")])] * 2
    plain = [check(imei, "234150999999999", *proxies, avp(301, 3, flags=0)) for imei in EXPECTED]
    whole = split(checks.answers(b"".join(plain))[0])
    assert len(whole) == len(plain)
    errors = [checks.answer(case[1]) for case in CASES]
    with Served(store, watchdog=2.0) as eir, socket.create_connection(("127.0.0.1", eir.port)) as peer:
        peer.sendall(capabilities())
        between = [received(peer)]
        peer.sendall(message(280, origin()))
        between += [received(peer), received(peer)]  # the answer, and its own question
        peer.sendall(message(282, origin(), avp(273, 0)))
        between.append(received(peer))
        eir.leave()
    with Served(store) as eir, socket.create_connection(("127.0.0.1", eir.port)) as peer:
        peer.sendall(capabilities())
        received(peer)
        eir.leave()
        between.append(received(peer))
    streams = [whole, errors, between]
    packets(tmp_path / "s13.pcap", streams)

    def said(*options):
        command = [tshark, "-r", tmp_path / "s13.pcap", "-d", "tcp.port==3868,diameter", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
        return done.stdout.splitlines()

    assert said("-Y", "_ws.malformed") == []
    assert said("-Y", "_ws.expert.severity >= 0x800000", "-T", "fields", "-e", "_ws.expert.message") == []
    assert len(said("-Y", "diameter")) == sum(map(len, streams))
    statuses = said("-Y", "diameter.cmd.code == 324 && diameter.Equipment-Status", "-T", "fields",
                    "-e", "diameter.Equipment-Status")  # fmt: skip
    assert statuses == [str(status) for status in EXPECTED.values() if status is not None]
    unknown = said("-Y", "diameter.Experimental-Result-Code == 5422 && !diameter.Result-Code")
    assert len(unknown) == 1
