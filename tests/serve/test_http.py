"""The HTTP front on the wire: its clients, and those that mean harm."""

import contextlib
import json
import random
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

from imeiset import EquipmentStatus, Register, Store

from .clients.certificates import DAY, Authority
from .clients.core import PATH, Core, curl, status
from .servers import HOST, PATIENCE, until

BLACK, GREY, OTHER = "490154203237518", "356938035643809", "860123450000012"
CHECK = f"{PATH}?pei=imei-{BLACK}"
CONFIG = """
[store]
path = "eir"
[http]
listen = "{http}"
workers = 1
[run]
drain = 1
"""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("http")
    register = Register()
    register.add("stolen", [BLACK], status=EquipmentStatus.BLACKLISTED)
    register.add("watched", [GREY], status=EquipmentStatus.GREYLISTED)
    Store.create(made / "eir", register).close()
    return made


@pytest.fixture(scope="module")
def server(logged, folder):
    """One for all tests of this file: what a client does to it must not harm the next."""
    return logged.configured(folder, CONFIG)


@pytest.fixture(autouse=True)
def unharmed(request):
    """After each test the server answers as before."""
    yield
    if "server" in request.fixturenames:
        server = request.getfixturevalue("server")
        assert status(server.http, BLACK) == "BLACKLISTED"
        assert status(server.http, OTHER) == "WHITELISTED"


def connect(server, timeout=PATIENCE):
    return socket.create_connection((HOST, server.http), timeout)


def said(server, data, answers=0):
    """Everything that the server answers to bytes, until it closes or, with so many answers at least, says
    nothing more for a while."""
    with connect(server) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(data)
        received = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while True:
                client.settimeout(0.4 if len(codes(received)) >= answers else PATIENCE)
                if not (more := client.recv(1 << 16)):
                    break
                received += more
        return received


def codes(received):
    """The status codes of answers by HTTP/1.1."""
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3})", received)]


# ---- clients ----


def test_http_2_by_prior_knowledge_and_http_1_without_upgrade(server):
    assert curl(server.http, CHECK).version == "2"
    assert curl(server.http, CHECK, "--http1.1").version == "1.1"
    upgraded = said(
        server,
        f"GET {CHECK} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n".encode(),
        answers=1,
    )
    assert codes(upgraded) == [200]
    assert b"BLACKLISTED" in upgraded


def test_errors_of_methods_and_types(server):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        answer = curl(server.http, CHECK, "-X", method)
        assert (answer.code, answer.kind) == (405, "application/problem+json")
    for version in ("--http2-prior-knowledge", "--http1.1"):
        head = curl(server.http, CHECK, "--head", version)
        assert head.code == 405
        assert b"allow: GET" in head.body
    assert curl(server.http, CHECK, "-H", "accept: text/html").code == 406
    assert curl(server.http, CHECK, "-H", "accept: text/html", "-H", "accept: application/json").code == 200
    assert curl(server.http, f"{CHECK}&x={'x' * 2000}").code == 414
    assert curl(server.http, f"{CHECK}&x={'x' * 1900}").code == 200


def test_answers_on_one_connection_are_not_swapped(server):
    """Hundreds of questions under way at a time, each about another phone or in another form."""
    kinds = {
        BLACK: (200, "BLACKLISTED"),
        GREY: (200, "GREYLISTED"),
        OTHER: (200, "WHITELISTED"),
        "1": (400, None),
    }
    chosen = random.Random(7).choices(list(kinds), k=1500)
    with Core(server.http) as core:
        answers = gathered(
            core, [f"{PATH}?pei=imei-{imei}&supi=imsi-{n:05}" for n, imei in enumerate(chosen)]
        )
    for imei, (code, body) in zip(chosen, answers, strict=True):
        assert (code, json.loads(body).get("status" if code == 200 else "x")) == kinds[imei]


def gathered(core, targets, window=100):
    """The answers to these, of which so many are under way at a time."""
    found, open_streams, waiting = {}, {}, list(enumerate(targets))[::-1]
    while waiting or open_streams:
        while waiting and len(open_streams) < window:
            number, target = waiting.pop()
            stream = core.h2.get_next_available_stream_id()
            pseudo = {":method": "GET", ":path": target, ":authority": core.authority, ":scheme": "http"}
            core.h2.send_headers(stream, [*pseudo.items()], end_stream=True)
            open_streams[stream] = [number, 0, b""]
        core.socket.sendall(core.h2.data_to_send())
        for event in core.h2.receive_data(core.socket.recv(1 << 16)):
            if isinstance(event, core.events.ResponseReceived):
                open_streams[event.stream_id][1] = int(dict(event.headers)[b":status"])
            elif isinstance(event, core.events.DataReceived):
                open_streams[event.stream_id][2] += event.data
                core.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, core.events.StreamEnded):
                number, code, body = open_streams.pop(event.stream_id)
                found[number] = code, body
    return [found[number] for number in range(len(targets))]


def test_nghttp(server):
    if not shutil.which("nghttp"):
        pytest.skip("nghttp: not found")
    urls = [f"http://{HOST}:{server.http}{PATH}?pei=imei-{imei}" for imei in (BLACK, GREY, OTHER)]
    run = subprocess.run(["nghttp", *urls], capture_output=True, check=True, timeout=PATIENCE)
    assert sorted(re.findall(rb'"status":"(\w+)"', run.stdout)) == [
        b"BLACKLISTED",
        b"GREYLISTED",
        b"WHITELISTED",
    ]


def test_h2load(server):
    if not shutil.which("h2load"):
        pytest.skip("h2load: not found")
    url = f"http://{HOST}:{server.http}{CHECK}"
    run = subprocess.run(
        ["h2load", "-n", "5000", "-c", "20", "-m", "50", url],
        capture_output=True,
        check=True,
        timeout=PATIENCE,
        text=True,
    )
    assert "5000 succeeded, 0 failed, 0 errored" in run.stdout
    assert "5000 2xx" in run.stdout


# ---- requests that are written by hand ----


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (f"{PATH}?pei=imei-49015420323751%38".encode(), 200),
        (f"http://other.example{CHECK}".encode(), 200),
        (f"{PATH}?pei=imei-49015420323751\xd9".encode("latin-1"), 400),
        (f"{PATH}?pei=%FF".encode(), 400),
        (f"{PATH}?pei=imei-{BLACK}&pei=imei-{OTHER}".encode(), 400),
        (f"{PATH}?pei=imei-{BLACK}#imei-{OTHER}".encode(), 200),
        (f"/{CHECK}".encode(), 404),
        (f"/x/..{CHECK}".encode(), 404),
        (f"{PATH};a=b?pei=imei-{BLACK}".encode(), 404),
        (f"{PATH}%00?pei=imei-{BLACK}".encode(), 404),
        (f"{PATH}%FF?pei=imei-{BLACK}".encode(), 404),
        (b"*", 404),
        (b"?", 404),
        (b"x", 404),
        (b"/\xff\xfe", 404),
    ],
)
def test_targets(server, target, code):
    """Whatever stands there, the answer is about the phone that is asked for, or an error."""
    asked = b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    found = said(server, asked, answers=code == 200)
    if code == 200:
        assert codes(found) == [200]
        assert b"BLACKLISTED" in found
    else:
        assert codes(found) in ([code], [400], [404], [])
        assert b"LISTED" not in found


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/3.0\r\nHost: x\r\n\r\n",
        b"GET /\r\n\r\n",
        b"\0" * 100,
        b"\r\n" * 1000,
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/checks HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /v1/checks HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /v1/checks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/checks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA\0: b\r\n\r\n",
        PREFACE,
        PREFACE[:-3],
        PREFACE + b"\xff" * 100,
        PREFACE + SETTINGS + b"\0\0\1\0\0\0\0\0\1x",  # data on a stream that is not there
        PREFACE + SETTINGS + b"\xff\xff\xff\4\0\0\0\0\0",  # a frame longer than is agreed
        PREFACE + SETTINGS + b"\0\0\4\1\5\0\0\0\1\xff\xff\xff\xff",  # headers that are none
        PREFACE + SETTINGS + b"\0\0\0\x09\0\0\0\0\1",  # a continuation of nothing
        PREFACE + SETTINGS + b"\0\0\4\x08\0\0\0\0\0\0\0\0\0",  # a window that grows by nothing
    ],
)
def test_what_is_not_http(server, request_):
    assert b"LISTED" not in said(server, request_)


def test_two_lengths_do_not_smuggle_a_request(server):
    inner = f"GET {CHECK} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    found = said(
        server,
        b"POST /v1/checks HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
    )
    assert len(codes(found)) <= 2
    assert b"blacklisted" not in found


def test_noise(server):
    chance = random.Random(1)
    for _ in range(60):
        noise = chance.randbytes(chance.choice([1, 9, 100, 5000]))
        start = chance.choice([b"", b"GET ", PREFACE, PREFACE + SETTINGS])
        with connect(server) as client, contextlib.suppress(ConnectionError):
            client.sendall(start + noise)


# ---- clients that are slow, many, or greedy ----


def test_requests_that_do_not_come(server):
    """Halves of a request line, of headers and of a preface, and headers that drip, a byte at a time. They
    keep nobody waiting, and are not waited for without end."""
    halves = [
        b"",
        b"GE",
        f"GET {CHECK} HTTP/1.1\r\nHost".encode(),
        f"GET {CHECK} HTTP/1.1\r\nHost: x\r\nA: ".encode(),
        PREFACE[:10],
        PREFACE + SETTINGS + b"\0\0\xff\1",
    ]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(server)) for _ in range(50 * len(halves))]
        for number, client in enumerate(clients):
            client.sendall(halves[number % len(halves)])
        dripping, dry = clients[3], clients[2]
        assert status(server.http, BLACK) == "BLACKLISTED"
        assert not select.select([dry], [], [], 0)[0]  # it is not given up yet: nobody waited for that
        dripping.settimeout(0.2)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                try:
                    dripping.sendall(b"x")
                    received = dripping.recv(100)
                except ConnectionError:
                    break
                assert not received.startswith(b"HTTP/1.1 200")
                break
        else:
            pytest.fail("the connection is still open")
        assert dry.recv(100_000)[:12] in (b"", b"HTTP/1.1 408", b"HTTP/1.1 400")


def resident(server):
    """The memory of the server's processes, in MB."""
    psutil = pytest.importorskip("psutil")
    root = psutil.Process(server.process.pid)
    total = 0
    for one in [root, *root.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total / 1e6


def test_thousands_of_idle_connections(server):
    resource = pytest.importorskip("resource")
    count = min(2000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
    before = resident(server)
    with contextlib.ExitStack() as stack:
        for number in range(count):
            client = stack.enter_context(connect(server))
            if number % 2:
                client.sendall(PREFACE + SETTINGS)
        for _ in range(20):
            assert status(server.http, BLACK) == "BLACKLISTED"
        assert resident(server) - before < 200


@pytest.mark.parametrize("size", [100_000, 1_000_000, 20_000_000])
def test_large_headers(server, size):
    found = said(server, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * size + b"\r\n\r\n")
    assert codes(found) in ([431], [400], [])


def test_many_headers(server):
    lines = b"".join(b"a%d: b\r\n" % n for n in range(100_000))
    assert codes(said(server, b"GET / HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")) in ([431], [400], [])


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def test_headers_without_end(server):
    """CONTINUATION after CONTINUATION: that fills no memory."""
    before = resident(server)
    with connect(server) as client, contextlib.suppress(ConnectionError, TimeoutError):
        client.sendall(PREFACE + SETTINGS + frame(1, 1, 1, b"\x82"))
        for _ in range(20_000):
            client.sendall(frame(9, 0, 1, b"\0\1a\x7f\x80\x7f" + b"b" * 255) * 10)
    assert resident(server) - before < 100


def test_headers_that_unpack_to_much(server):
    """A header of 4 kB, and one byte for each of its repetitions."""
    before = resident(server)
    big = b"\x40\1a\x7f" + bytes([0x80 | (3900 - 127) & 0x7F, (3900 - 127) >> 7]) + b"b" * 3900
    with connect(server) as client, contextlib.suppress(ConnectionError, TimeoutError):
        client.sendall(PREFACE + SETTINGS)
        for stream in range(1, 401, 2):
            block = (big if stream == 1 else b"") + b"\xbe" * (12_000 if stream > 1 else 8_000)
            client.sendall(frame(1, 5, stream, block))
    time.sleep(0.5)
    assert resident(server) - before < 100


def test_streams_that_are_reset_at_once(server):
    before = resident(server)
    request = b"\x82\x86\x84\x41\1x"  # GET, http, /, a host
    with connect(server) as client, contextlib.suppress(ConnectionError, TimeoutError):
        client.sendall(PREFACE + SETTINGS)
        for first in range(1, 40_001, 200):
            client.sendall(
                b"".join(
                    frame(1, 5, stream, request) + frame(3, 0, stream, b"\0\0\0\x08")
                    for stream in range(first, first + 200, 2)
                )
            )
    assert resident(server) - before < 100


def test_pings_and_settings_without_end(server):
    with connect(server, 3.0) as client, contextlib.suppress(ConnectionError, TimeoutError):
        client.sendall(PREFACE + SETTINGS)
        for _ in range(200):
            client.sendall((frame(6, 0, 0, b"12345678") + SETTINGS) * 500)


def test_a_client_that_reads_nothing(server):
    """Its window is shut: it keeps its own answers waiting, and nobody else's."""
    pytest.importorskip("h2")
    before = resident(server)
    body = json.dumps({"imeis": [BLACK] * 20_000}).encode()
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            client = stack.enter_context(connect(server))
            head = (
                f"POST /v1/checks?details=true HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(head.encode() + body)
        for _ in range(10):
            assert status(server.http, BLACK) == "BLACKLISTED"
        assert resident(server) - before < 300


@pytest.mark.long
def test_a_client_that_answers_no_ping_is_let_go(server):
    """And one that does is not, however long it is silent."""
    pytest.importorskip("h2")
    with Core(server.http) as alive, connect(server, 1.0) as dead:
        dead.sendall(PREFACE + SETTINGS)
        assert alive.status(BLACK) == "BLACKLISTED"
        alive.socket.settimeout(1.0)
        end, closed = time.monotonic() + 2 * PATIENCE, False
        while not closed:
            assert time.monotonic() < end
            with contextlib.suppress(TimeoutError):
                closed = not dead.recv(1 << 16)
            with contextlib.suppress(TimeoutError):
                alive.h2.receive_data(alive.socket.recv(1 << 16))
                alive.socket.sendall(alive.h2.data_to_send())
        alive.socket.settimeout(PATIENCE)
        assert alive.status(BLACK) == "BLACKLISTED"


# ---- bodies ----


@pytest.mark.parametrize("cut", [b"zz\r\n", b"10\r\n49015420", b""])
def test_rows_that_are_cut_off(server, cut):
    """The server takes a bad chunk for the end of a body: nobody may take what came for all rows."""
    for kind in (b"text/plain", b"application/vnd.apache.arrow.stream"):
        with connect(server) as client:
            client.sendall(
                b"POST /v1/checks HTTP/1.1\r\nHost: x\r\nContent-Type: " + kind + b"\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n10\r\n490154203237518\n\r\n" + cut
            )
            client.shutdown(socket.SHUT_WR)
            client.settimeout(5)
            assert codes(client.recv(1 << 16)) in ([411], [400], [])


def test_a_body_that_never_ends(server):
    """By HTTP/1.1 in chunks, and by HTTP/2: refused when it is too long."""
    before = resident(server)
    with connect(server) as client:
        client.sendall(
            b"POST /v1/checks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        sent = 0
        with contextlib.suppress(ConnectionError, TimeoutError):
            client.settimeout(5)
            while sent < 100_000_000:
                client.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")
                sent += 65_536
        assert sent < 100_000_000
        client.settimeout(2)
        with contextlib.suppress(ConnectionError, TimeoutError):
            assert codes(client.recv(1 << 16)) in ([413], [])
    assert resident(server) - before < 100


@pytest.mark.parametrize("version", ["--http2-prior-knowledge", "--http1.1"])
@pytest.mark.parametrize("size", [8_000_001, 8_500_000])
def test_a_body_that_is_too_long(server, folder, version, size):
    (folder / "long").write_bytes(b" " * size)
    options = ["-H", "content-type: application/json", "-H", "expect:", version]
    answer = curl(server.http, "/v1/checks", *options, "-T", str(folder / "long"), "-X", "POST")
    assert (answer.code, answer.kind) == (413, "application/problem+json")


@pytest.mark.parametrize("header", ["content-encoding: gzip", "content-type: x/y"])
@pytest.mark.parametrize("target", ["/v1/checks", CHECK, "/x"])
def test_a_refused_body_does_not_break_the_stream(server, target, header):
    for _ in range(5):
        answer = curl(server.http, target, "-H", header, "-d", '{"imeis": []}')
        assert answer.kind == "application/problem+json"


@pytest.mark.parametrize("length", [100, 17])
def test_a_body_that_is_cut_short(server, length):
    """The connection is shut in the middle of it: no answer is about the rows that came."""
    head = (
        f"POST /v1/checks HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
    )
    with connect(server) as client:
        client.sendall(f"{head}{BLACK}\n".encode())
        client.shutdown(socket.SHUT_WR)
        client.settimeout(5)
        received = b""
        with contextlib.suppress(ConnectionError, TimeoutError):
            while more := client.recv(1000):
                received += more
    assert b"blacklisted" not in received
    assert codes(received) in ([400], [])


def test_clients_that_leave_in_the_middle_of_a_body(server):
    """They do not take the place of others until the body is given up."""
    headers = b"\x83\x86\x04\x0a/v1/checks\x41\1x\x0f\x10\x10application/json"
    for _ in range(20):
        with connect(server) as client, contextlib.suppress(ConnectionError):
            client.sendall(PREFACE + SETTINGS)
            for stream in range(1, 201, 2):
                client.sendall(frame(1, 4, stream, headers) + frame(0, 0, stream, b"{"))
                client.sendall(frame(3, 0, stream, b"\0\0\0\x08"))
    answer = curl(server.http, "/v1/checks", "-H", "content-type: application/json", "-d", '{"imeis": []}')
    assert answer.code == 200


def test_bodies_that_stop(server):
    """Thirty bodies of which the rest does not come: checks, and other bodies, are answered."""
    json_type = ["-H", "content-type: application/json"]
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            client = stack.enter_context(connect(server))
            client.sendall(
                b"POST /v1/checks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b'Content-Length: 1000\r\n\r\n{"imeis":'
            )
        assert status(server.http, BLACK) == "BLACKLISTED"
        assert curl(server.http, "/v1/checks", *json_type, "-d", '{"imeis": []}').code == 200
    assert curl(server.http, "/v1/checks", *json_type, "-d", '{"imeis": []}').code == 200


def test_a_compressed_body(server):
    options = ["-H", "content-type: application/json", "-H", "content-encoding: gzip", "-d", "x"]
    answer = curl(server.http, "/v1/checks", *options)
    assert (answer.code, answer.kind) == (415, "application/problem+json")


# ---- the end ----


def test_a_client_that_answers_no_ping_does_not_keep_it_from_ending(servers, folder):
    server = servers.configured(folder, CONFIG)
    with connect(server) as silent, connect(server) as half:
        silent.sendall(PREFACE + SETTINGS)
        half.sendall(b"POST /v1/checks HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx")
        assert status(server.http, BLACK) == "BLACKLISTED"
        assert server.stop() == 0


def test_a_client_that_goes_on_after_goaway_does_not_keep_it_from_ending(servers, folder):
    """Some cores do. What they ask meanwhile is answered, or the connection is closed."""
    h2 = pytest.importorskip("h2.exceptions")
    server = servers.configured(folder, CONFIG)
    with Core(server.http) as core:
        assert core.status(BLACK) == "BLACKLISTED"
        server.process.terminate()
        begin = time.monotonic()
        with contextlib.suppress(ConnectionError, h2.ProtocolError):
            while time.monotonic() - begin < PATIENCE:
                assert core.status(BLACK) == "BLACKLISTED"
        assert server.process.wait(PATIENCE) == 0


# ---- tokens ----


def test_tokens(servers, folder):
    """New keys count as soon as they are said to, and what the old ones signed no more."""
    pytest.importorskip("jwt")
    from .test_tokens import NRF, STRANGER, bearer, public

    keys = folder / "nrf.pem"
    keys.write_bytes(public(NRF))
    oauth2 = '[http.oauth2]\nkeys = ["nrf.pem"]\n'
    server = servers.configured(folder, CONFIG.replace("[run]", f"{oauth2}[run]"))

    def code(header, target=CHECK, *options):
        given = ["-H", f"authorization: {header}"] if header else []
        return curl(server.http, target, *given, *options).code

    ours, theirs, bulk = (
        bearer(),
        bearer(key=STRANGER),
        ["-H", "content-type: application/json", "-d", '{"imeis": []}'],
    )
    for target, options in ((CHECK, []), ("/v1/lists", []), ("/v1/checks", bulk)):
        asked = [code(header, target, *options) for header in (None, ours, ours, theirs, bearer(scope="x"))]
        assert asked == [401, 200, 200, 401, 403]
    assert code(bearer(aud="AMF")) == code(bearer(exp=1)) == 401
    assert code(None, "/openapi.json") == 200
    keys.write_bytes(public(STRANGER))
    assert code(ours) == 200  # nobody said so yet
    server.process.send_signal(signal.SIGHUP)
    until(lambda: code(theirs) == 200)
    assert code(ours) == 401


# ---- TLS ----

TLS = """
[http.tls]
certificate = "server.crt"
key = "server.key"
client_ca = "ours.pem"
"""


@pytest.fixture(scope="module")
def authorities(folder):
    ours, others = Authority(folder, "ours"), Authority(folder, "others")
    ours.issue("server")
    return ours, others


@pytest.fixture(scope="module")
def tls(logged, folder, authorities):
    return logged.configured(folder, CONFIG.replace("[run]", f"{TLS}[run]"))


def by_tls(tls, authorities, client=None, *options):
    if not shutil.which("curl"):
        pytest.skip("curl: not found")
    command = ["curl", "-s", "-m", "120", "--cacert", str(authorities[0].path), *options]
    if client:
        command += ["--cert", str(client[0]), "--key", str(client[1])]
    url = f"https://{HOST}:{tls.http}{CHECK}"
    run = subprocess.run([*command, "-w", "\n%{http_version}", url], capture_output=True)
    return run.returncode, run.stdout


def test_mutual_tls(tls, authorities):
    client = authorities[0].issue("amf")
    for options, version in (
        (["--http2"], b"2"),
        (["--http1.1"], b"1.1"),
        (["--tlsv1.3"], b"2"),
        (["--tls-max", "1.2"], b"2"),
    ):
        code, out = by_tls(tls, authorities, client, *options)
        assert (code, out) == (0, b'{"status":"BLACKLISTED"}\n' + version)


@pytest.mark.parametrize("kind", ["none", "others", "expired", "not yet", "its own"])
def test_clients_without_a_certificate_of_ours(tls, authorities, kind):
    ours, others = authorities
    client = {
        "none": lambda: None,
        "others": lambda: others.issue("others-amf"),
        "expired": lambda: ours.issue("expired", -2 * DAY, -DAY / 24),
        "not yet": lambda: ours.issue("early", DAY / 24, 2 * DAY),
        "its own": lambda: (others.path, ours.issue("x")[1]),
    }[kind]()
    code, out = by_tls(tls, authorities, client)
    assert code != 0
    assert b"LISTED" not in out
    assert by_tls(tls, authorities, ours.issue("amf"))[0] == 0


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls(tls, authorities, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    context.load_cert_chain(*authorities[0].issue("amf"))
    with connect(tls) as client, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(client)
    assert by_tls(tls, authorities, authorities[0].issue("amf"))[0] == 0


@pytest.mark.parametrize(
    "data", [f"GET {CHECK} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), PREFACE, b"\x16\3\1\xff\xff", b""]
)
def test_what_is_not_tls(tls, authorities, data):
    assert b"LISTED" not in said(tls, data)
    assert by_tls(tls, authorities, authorities[0].issue("amf"))[0] == 0


def test_handshakes_that_stop(tls, authorities):
    with contextlib.ExitStack() as stack:
        for number in range(200):
            client = stack.enter_context(connect(tls))
            client.sendall(b"\x16\3\1\2\0\1"[: number % 7])
        assert until(lambda: by_tls(tls, authorities, authorities[0].issue("amf"))[0] == 0)
