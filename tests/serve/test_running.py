"""`imeiset serve` as processes: started, killed, told to read again and to end, with clients that do not."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from imeiset import Delta, EquipmentStatus, Policy, Register, Store
from imeiset.serve.config import understood
from imeiset.serve.config.values import Address
from imeiset.serve.processes.board import BEAT, Board
from imeiset.serve.processes.children import Check, FrontProcesses
from imeiset.serve.processes.process import Process
from imeiset.serve.state import ProcessState

from .clients import core
from .clients.certificates import DAY, Authority
from .clients.core import PATH, Core
from .clients.mme import Mme
from .servers import HOST, PATIENCE, accepts, free_port, until

pytest.importorskip("granian")
pytest.importorskip("prometheus_client")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at in /proc")

BLACK, OTHER = "490154203237518", "356938035643809"
LONG = 600.0  # a drain that no test waits for


def make_store(path, response_type=2):
    register = Register(Policy(response_type=response_type))
    register.add("stolen", [BLACK], status=EquipmentStatus.BLACKLISTED)
    Store.create(path, register).close()


class Run:
    """A configuration that is served, and its processes."""

    def __init__(self, servers, folder) -> None:
        self.servers, self.folder = servers, folder
        self.eir, self.path, self.runtime = folder / "eir", folder / "eir.toml", folder / "run"
        self.runtime.mkdir(exist_ok=True)
        self.ports = {name: free_port() for name in ("http", "diameter", "admin")}
        self.server, self.drain = None, 2.0

    def write(self, http="workers = 2", more=""):
        ports = self.ports
        self.path.write_text(f"""
[store]
path = "eir"
refresh = 0.05
[http]
listen = "{HOST}:{ports["http"]}"
{http}
[diameter]
listen = "{HOST}:{ports["diameter"]}"
identity = "eir.example.org"
realm = "example.org"
[admin]
listen = "{HOST}:{ports["admin"]}"
[run]
drain = {self.drain}
[log]
format = "text"
{more}
""")

    def start(self, http="workers = 2", more="", **environment):
        self.write(http, more)
        given = {**os.environ, "RUNTIME_DIRECTORY": str(self.runtime), **environment}
        command = [sys.executable, "-m", "imeiset", "serve", str(self.path)]
        self.server = self.servers.start(command, **self.ports, env=given).up()
        self.said("supervisor: ready")
        return self

    @property
    def board(self):
        [folder] = self.runtime.iterdir()
        return Board(folder)

    def states(self, kind):
        return [state for state in self.board.processes() if state.kind == kind and not state.ended]

    def said(self, what, times=1):
        until(lambda: self.server.text.count(what) >= times)

    def hang_up(self, what="the configuration has been read again"):
        before = self.server.text.count(what)
        self.server.process.send_signal(signal.SIGHUP)
        self.said(what, before + 1)

    def checks(self):
        return sum(self.board.totals().checks.values())


@pytest.fixture
def a_run(servers, tmp_path):
    make_store(tmp_path / "eir")
    return Run(servers, tmp_path)


def children(pid):
    """The processes that a process has started, and theirs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found += [int(path.parent.name), *children(int(path.parent.name))]
    return found


def lives(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def kill(pid):
    os.kill(pid, signal.SIGKILL)


class Load(threading.Thread):
    """A core that asks all the time, and connects again when its connection is gone."""

    def __init__(self, port) -> None:
        super().__init__()
        self.port, self.answers, self.lost, self.wrong = port, 0, 0, []
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.is_set():
            try:
                with Core(self.port) as one:
                    while not self.stopped.is_set() and not one.gone:
                        if (status := one.status(BLACK)) != "BLACKLISTED":
                            self.wrong.append(status)
                        self.answers += 1
                        time.sleep(0.002)
            except Exception:  # h2 has errors of its own for what comes after GOAWAY
                self.lost += 1
                time.sleep(0.01)


@contextlib.contextmanager
def load(port, cores=8):
    """So many cores."""
    found = [Load(port) for _ in range(cores)]
    for one in found:
        one.start()
    until(lambda: all(one.answers for one in found))
    try:
        yield found
    finally:
        for one in found:
            one.stopped.set()
        for one in found:
            one.join()
    assert not any(one.wrong for one in found)


# ---- the start ----


def test_it_says_what_listens_where_with_ports_that_were_free(servers, tmp_path):
    make_store(tmp_path / "eir", response_type=3)
    server = servers.start(
        [sys.executable, "-m", "imeiset", "serve", str(tmp_path / "eir"), "--workers", "1"]
        + [text for name in ("http", "diameter", "admin") for text in (f"--{name}", f"{HOST}:0")]
    )
    until(lambda: "ready" in server.text)
    http = re.search(r"5G-EIR and bulk checks: http://127\.0\.0\.1:(\d+), 1 worker", server.text)
    diameter = re.search(r"Diameter S13: 127\.0\.0\.1:(\d+) as eir\.localdomain, every peer on", server.text)
    admin = re.search(r"metrics, health and page: http://127\.0\.0\.1:(\d+)/", server.text)
    assert "generation 1, change 0: stolen (blacklisted)" in server.text
    assert "response type 3 with black lists and no white list" in server.text
    assert core.curl(int(http[1]), f"{PATH}?pei=imei-{BLACK}").code == 404  # type 3
    with Mme(int(diameter[1])) as mme:
        assert mme.status(BLACK) == "UNKNOWN"
    assert server.get("/healthz", int(admin[1]))[0] == 200
    assert server.stop() == 0


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_several_addresses(a_run):
    ports = a_run.ports
    a_run.write("workers = 1")
    text = a_run.path.read_text()
    for name in ("http", "diameter"):
        text = text.replace(f'"{HOST}:{ports[name]}"', f'["{HOST}:{ports[name]}", "[::1]:{ports[name]}"]')
    a_run.path.write_text(text)
    command = [sys.executable, "-m", "imeiset", "serve", str(a_run.path)]
    server = a_run.server = a_run.servers.start(command, **ports).up()
    a_run.said("supervisor: ready")
    for host in (HOST, "::1"):
        with socket.create_connection((host, ports["http"])) as one:
            one.sendall(b"GET /v1/lists HTTP/1.1\r\nHost: x\r\n\r\n")
            assert one.recv(100).startswith(b"HTTP/1.1 200 OK")
        socket.create_connection((host, ports["diameter"])).close()
    assert server.get("/readyz")[0] == 200
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        ("store", "expected a store, got a directory without one"),
        ("http", "http.listen: expected an address that can be taken, got 127.0.0.1:"),
        ("diameter", "diameter.listen: expected an address that can be taken, got 127.0.0.1:"),
        ("admin", "admin.listen: expected an address that can be taken, got 127.0.0.1:"),
        ("key", "tls.key: http.tls.key: expected a key as PKCS#8, not encrypted"),
        ("pair", "http.tls.certificate: expected a certificate as PEM, and its key, got key values mismatch"),
        ("certificate", "http.tls.certificate: expected a certificate as PEM, and its key, got"),
        ("client_ca", "http.tls.client_ca: expected certificates as PEM, got"),
        ("tokens", "http.oauth2.keys: expected "),
    ],
)
def test_what_cannot_be_served_is_said_before_anything_listens(a_run, harm, expected):
    authority = Authority(a_run.folder, "ca")
    certificate, key = authority.issue("tls")
    tls = '[http.tls]\ncertificate = "tls.crt"\nkey = "tls.key"\nclient_ca = "ca.pem"\n'
    more = {"tokens": '[http.oauth2]\nkeys = ["ca.key"]\n'}.get(harm, tls)
    (a_run.folder / "ca.key").write_text("none")
    if harm == "store":
        shutil.rmtree(a_run.eir)
        a_run.eir.mkdir()
    elif harm == "key":
        key.write_text(key.read_text().replace("PRIVATE KEY", "EC PRIVATE KEY"))
    elif harm == "pair":
        shutil.copy(authority.issue("other")[1], key)
    elif harm == "certificate":
        certificate.write_text("none")
    elif harm == "client_ca":
        authority.path.write_text("none")
    with contextlib.ExitStack() as taken:
        if harm in a_run.ports:
            other = taken.enter_context(socket.create_server((HOST, a_run.ports[harm]), reuse_port=True))
            assert other
        a_run.write(more=more)
        for extra in ([], ["--check"]):
            if extra and harm in a_run.ports:
                continue
            command = [sys.executable, "-m", "imeiset", "serve", str(a_run.path), *extra]
            server = a_run.servers.start(command, env={**os.environ, "RUNTIME_DIRECTORY": str(a_run.runtime)})
            assert server.process.wait(PATIENCE) == 2
            assert expected in server.text
            assert "Traceback" not in server.text
            assert str(a_run.runtime) not in server.text  # but the file that the user knows
        assert not any(accepts(port) for name, port in a_run.ports.items() if name != harm)
        assert list(a_run.runtime.iterdir()) == []


def test_an_address_that_another_one_serves_is_not_shared(a_run):
    a_run.start()
    command = [sys.executable, "-m", "imeiset", "serve", str(a_run.path)]
    second = a_run.servers.start(command)
    assert second.process.wait(PATIENCE) == 2
    assert (
        f"http.listen: expected an address that can be taken, got {HOST}:{a_run.ports['http']}" in second.text
    )
    assert core.status(a_run.ports["http"], BLACK) == "BLACKLISTED"


def test_the_folder_of_a_run_that_was_killed_goes_with_the_next_one(a_run):
    a_run.start()
    kill(a_run.server.process.pid)
    a_run.server.process.wait()
    [left] = a_run.runtime.iterdir()
    until(lambda: not accepts(a_run.ports["http"]))
    a_run.start()
    assert not left.exists()
    assert a_run.board.folder.stat().st_mode & 0o77 == 0
    assert a_run.server.stop() == 0
    assert list(a_run.runtime.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_signals_while_it_starts(a_run, number):
    """From when it has its folder on: it looks at the store then."""
    a_run.write()
    given = {**os.environ, "RUNTIME_DIRECTORY": str(a_run.runtime)}
    command = [sys.executable, "-m", "imeiset", "serve", str(a_run.path)]
    a_run.server = a_run.servers.start(command, **a_run.ports, env=given)
    until(lambda: children(a_run.server.process.pid))
    a_run.server.process.send_signal(number)
    if number == signal.SIGHUP:
        a_run.said("the configuration has been read again")
        assert a_run.server.up().stop() == 0
    else:
        assert a_run.server.process.wait(PATIENCE) == 0
    assert list(a_run.runtime.iterdir()) == []


@pytest.fixture
def systemd(tmp_path):
    """Where systemd is told, as a path, and the words that it was told."""
    path, heard = str(tmp_path / "notify"), []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(path)

        def listen():
            while "END" not in heard:
                heard.extend(told.recv(1000).decode().split("\n"))

        listening = threading.Thread(target=listen)
        listening.start()
        yield path, heard
        told.sendto(b"END", path)
        listening.join()


def test_systemd_is_told(a_run, systemd):
    path, heard = systemd
    a_run.start(NOTIFY_SOCKET=path)
    until(lambda: "READY=1" in heard)
    a_run.server.process.send_signal(signal.SIGHUP)
    until(lambda: "RELOADING=1" in heard)
    until(lambda: heard.count("READY=1") == 2)
    assert a_run.server.stop() == 0
    until(lambda: "STOPPING=1" in heard)
    assert "WATCHDOG=1" not in heard


def test_a_folder_that_cannot_be_made_ends_nothing(a_run, systemd, tmp_path):
    path, heard = systemd
    a_run.start(NOTIFY_SOCKET=path, WATCHDOG_USEC="60000000")
    folder = a_run.board.folder
    folder.rename(tmp_path / "away")  # at once: whoever writes there is not in between
    folder.touch()
    a_run.said("the supervisor tries again")
    before = heard.count("WATCHDOG=1")
    until(lambda: heard.count("WATCHDOG=1") > before + 2)
    a_run.server.process.send_signal(signal.SIGHUP)
    a_run.said("the configuration stays as it was: ")
    until(lambda: "RELOADING=1" in heard)
    until(lambda: heard.index("RELOADING=1") < len(heard) - heard[::-1].index("READY=1"))
    assert core.status(a_run.ports["http"], BLACK) == "BLACKLISTED"
    folder.unlink()
    until(lambda: len(Board(folder).processes()) == 4)
    assert a_run.server.text.count("the supervisor tries again") == 1
    assert a_run.server.stop() == 0


# ---- the end ----


def test_an_orderly_end_waits_for_nobody(a_run):
    a_run.drain = LONG
    a_run.start()
    pids = children(a_run.server.process.pid)
    assert len(pids) > 5
    with Core(a_run.ports["http"]) as one, Mme(a_run.ports["diameter"]) as mme:
        assert (one.status(BLACK), mme.status(BLACK)) == ("BLACKLISTED", "BLACKLISTED")
        a_run.server.process.send_signal(signal.SIGTERM)
        flags, command, number, _ = mme.receive()
        assert (flags & 0x80, command) == (0x80, 282)  # a disconnect request, which is answered
        mme.send(0, 282, 0, number)
        one.socket.settimeout(PATIENCE)
        received = b""
        while not (b"\x00\x00\x08\x07" in received or b"\x07\x00\x00\x00\x00\x00" in received):  # GOAWAY
            chunk = one.socket.recv(1000)
            assert chunk
            received += chunk
        one.socket.close()
        assert a_run.server.process.wait(PATIENCE) == 0
    assert not any(map(lives, pids))
    assert list(a_run.runtime.iterdir()) == []


def test_clients_that_do_nothing_do_not_keep_it(a_run):
    a_run.start()
    http = a_run.ports["http"]
    pids = children(a_run.server.process.pid)
    with contextlib.ExitStack() as held, load(http, 2):
        for _ in range(8):  # answer no PING and no GOAWAY, and send halves of requests
            silent = held.enter_context(Core(http))
            assert silent.status(BLACK) == "BLACKLISTED"
            half = held.enter_context(socket.create_connection((HOST, http)))
            half.sendall(b"GET / HTTP/1.1\r\nHost")
            body = held.enter_context(socket.create_connection((HOST, http)))
            body.sendall(b"POST /v1/checks HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        mme = held.enter_context(Mme(a_run.ports["diameter"]))
        assert mme.status(BLACK) == "BLACKLISTED"
        held.enter_context(socket.create_connection((HOST, a_run.ports["admin"]))).sendall(b"GET /")
        a_run.server.process.send_signal(signal.SIGTERM)
        assert a_run.server.process.wait(PATIENCE) == 0
    assert not any(map(lives, pids))


def test_requests_under_way_end(a_run):
    a_run.drain = LONG
    a_run.start()
    body = f'{{"imeis": ["{BLACK}"]}}'.encode()
    with socket.create_connection((HOST, a_run.ports["http"])) as slow:
        kind, length = b"Content-Type: application/json", b"Content-Length: %d" % len(body)
        slow.sendall(b"\r\n".join([b"POST /v1/checks HTTP/1.1", b"Host: x", kind, length, b"", body[:5]]))
        time.sleep(0.3)
        a_run.server.process.send_signal(signal.SIGTERM)
        a_run.said("ending, within")
        time.sleep(1)
        slow.sendall(body[5:])
        assert b'{"status":"blacklisted"}' in slow.recv(4096)
    assert a_run.server.process.wait(PATIENCE) == 0


def test_a_second_signal_ends_it_at_once(a_run):
    a_run.drain = LONG  # which it would take otherwise
    a_run.start()
    with socket.create_connection((HOST, a_run.ports["http"])) as body:
        body.sendall(b"POST /v1/checks HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        time.sleep(0.3)
        a_run.server.process.send_signal(signal.SIGTERM)
        a_run.said("ending, within")
        a_run.server.process.send_signal(signal.SIGINT)
        assert a_run.server.process.wait(PATIENCE) == 0


def test_nobody_outlives_a_supervisor_that_is_killed(a_run):
    a_run.start()
    pids = children(a_run.server.process.pid)
    with contextlib.ExitStack() as held:
        silent = held.enter_context(Core(a_run.ports["http"]))
        assert silent.status(BLACK) == "BLACKLISTED"
        held.enter_context(Mme(a_run.ports["diameter"]))
        kill(a_run.server.process.pid)
        a_run.server.process.wait()
        until(lambda: not any(map(lives, pids)))


# ---- processes that die ----


def test_a_worker_that_is_killed_comes_back_and_others_go_on(a_run):
    a_run.start()
    http = a_run.ports["http"]
    with load(http, 12) as cores:
        before = {one: one.answers for one in cores}
        until(lambda: a_run.checks() > 100)
        counted, victim = a_run.checks(), a_run.states("http")[0].pid
        kill(victim)

        def back():
            nonlocal counted
            now = a_run.checks()
            assert now >= counted
            counted = now
            found = a_run.states("http")
            return len(found) == 2 and all(state.age < 2 and state.pid != victim for state in found)

        until(back)
        assert any(not one.lost for one in cores)  # those of the other worker
        after = {one: one.answers for one in cores}
        until(lambda: all(one.answers > after[one] > before[one] for one in cores))
    assert a_run.server.process.poll() is None
    until(lambda: a_run.server.get("/readyz")[0] == 200)
    assert [state.starts for state in a_run.states("http")] == [2, 1]


def test_workers_that_die_again_and_again_come_back(a_run):
    """By itself, granian ends all when one dies twice within some seconds."""
    a_run.start()
    http = a_run.ports["http"]
    with load(http, 12) as cores:
        stays = a_run.states("http")[1].pid
        for _ in range(4):
            [pid] = [state.pid for state in a_run.states("http") if state.pid != stays]
            kill(pid)
            until(lambda: {state.pid for state in a_run.states("http")} - {pid, stays})  # noqa: B023
        assert any(not one.lost for one in cores)
        assert lives(stays)
    for _ in range(4):
        for state in a_run.states("http"):
            with contextlib.suppress(ProcessLookupError):
                kill(state.pid)
        time.sleep(0.7)
    until(lambda: accepts(a_run.ports["http"]))
    until(lambda: a_run.server.get("/readyz")[0] == 200)
    assert core.status(a_run.ports["http"], BLACK) == "BLACKLISTED"


@pytest.mark.parametrize("kind", ["s13", "admin", "http"])
def test_every_process_comes_back(a_run, kind):
    """Of http and admin, that of granian, which has workers."""
    a_run.start()
    with Mme(a_run.ports["diameter"]) as mme:
        assert mme.status(BLACK) == "BLACKLISTED"
    assert core.status(a_run.ports["http"], BLACK) == "BLACKLISTED"
    until(lambda: a_run.checks() == 2)
    [state, *_] = a_run.states(kind)
    pid = state.pid if kind == "s13" else state.parent
    workers = children(pid)
    kill(pid)
    port = a_run.ports["diameter" if kind == "s13" else kind]
    until(lambda: accepts(port) and not any(map(lives, workers)))
    until(lambda: a_run.server.get("/readyz")[0] == 200)
    assert core.status(a_run.ports["http"], BLACK) == "BLACKLISTED"
    with Mme(a_run.ports["diameter"]) as mme:
        assert mme.status(BLACK) == "BLACKLISTED"
    until(lambda: a_run.checks() == 4)
    assert f"{kind} {HOST}:{port} ended (SIGKILL); it starts again in" in a_run.server.text


def test_peers_wait_while_the_process_for_diameter_starts_again(a_run):
    a_run.start()
    kill(a_run.states("s13")[0].pid)
    with Mme(a_run.ports["diameter"]) as mme:
        assert mme.status(BLACK) == "BLACKLISTED"


def test_a_folder_that_somebody_emptied_is_filled_again(a_run, tmp_path):
    authority = Authority(a_run.folder, "ca")
    authority.issue("tls")
    a_run.start('workers = 1\n[http.tls]\ncertificate = "tls.crt"\nkey = "tls.key"')
    folder = a_run.board.folder
    for path in folder.iterdir():
        path.unlink()
    until(lambda: len(a_run.board.processes()) == 3)
    until(lambda: a_run.server.get("/readyz")[0] == 200)
    [state] = a_run.states("http")
    kill(state.parent)
    until(lambda: accepts(a_run.ports["http"]) and (folder / "config.json").exists())
    until(lambda: served_certificate(a_run.ports["http"]))
    folder.rename(tmp_path / "away")  # at once: whoever writes there is not in between
    until(lambda: a_run.server.get("/readyz")[0] == 200 and len(a_run.board.processes()) == 3)
    assert a_run.server.stop() == 0


class Members:
    """A group of processes."""

    pid = 1

    def has(self, pid):
        return pid != 9


def test_silence_is_measured_by_turns_not_by_the_clock(monkeypatch, tmp_path):
    front = FrontProcesses(tmp_path, "http", (Address(HOST, 1),), 2)
    front.group = Members()
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)

    def look(later, **beats):
        nonlocal now
        now += later
        for name, beat in beats.items():
            (tmp_path / f"http-{name[1:]}.lock").touch()
            os.utime(tmp_path / f"http-{name[1:]}.lock", ns=(beat, beat))
        pids = [int(name[1:]) for name in beats]
        return front.hung([ProcessState("http", pid, pid, 0.0, 0.0, parent=1) for pid in pids], 20)

    assert look(0, p2=5, p3=5, p9=5) == []
    assert look(3600, p2=5, p3=5, p9=5) == []  # the machine slept
    assert look(1, p2=10**18, p3=1, p9=5) == []  # the clock was set
    for beat in range(20):
        assert look(1, p2=10**18, p3=beat, p9=5) == []
    assert look(1, p2=10**18, p3=100, p9=5) == [2]  # 9 is another's process by now
    assert look(1, p4=10**18, p3=101) == []


class Turning(threading.Thread):
    """An event loop in a thread."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()

    def run(self):
        self.loop.run_forever()
        self.loop.close()


@pytest.fixture
def a_process(monkeypatch, tmp_path):
    """A process of a run in this one, which ticks, and the loop that answers."""
    make_store(tmp_path / "eir")
    (tmp_path / "run").mkdir()
    board = Board(tmp_path / "run")
    tables = {"store": {"path": str(tmp_path / "eir")}, "http": {"listen": f"{HOST}:0"}}
    board.publish(understood(tables))
    monkeypatch.setattr("imeiset.serve.processes.logs.setup", lambda *_, **__: None)
    process, turning = Process(str(board.folder), "http", os.getppid()), Turning()
    turning.start()
    yield process, turning.loop
    process.end()
    process.store.close()
    turning.loop.call_soon_threadsafe(turning.loop.stop)
    turning.join()
    assert [state.ended for state in board.processes()] == [True]


def beat(process):
    return (process.board.folder / "http-0.lock").stat().st_mtime_ns


def beats(process):
    first = beat(process)
    until(lambda: beat(process) > first)


def test_a_full_disk_is_no_silence(monkeypatch, a_process, caplog):
    process, loop = a_process

    def full(path, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("imeiset.serve.processes.board.write", full)
        process.start(loop)
        beats(process)
        beats(process)
        assert process.board.processes() == []
    until(process.board.processes)
    assert caplog.text.count("No space left on device") == 1


def test_a_loop_that_hangs_is_silence(a_process):
    process, loop = a_process
    process.start(loop)
    beats(process)
    hangs, goes_on = threading.Event(), threading.Event()
    loop.call_soon_threadsafe(lambda: (hangs.set(), goes_on.wait()))
    hangs.wait()
    time.sleep(2 * BEAT)  # what was asked for before
    last = beat(process)
    time.sleep(4 * BEAT)
    assert beat(process) == last
    goes_on.set()
    beats(process)
    beats(process)


def test_a_check_that_crashes_is_an_answer(monkeypatch, tmp_path):
    make_store(tmp_path / "eir")
    config = understood({"store": {"path": str(tmp_path / "eir")}, "http": {"listen": f"{HOST}:0"}})
    assert Check(config, tmp_path).wait()["store"] == "generation 1, change 0: stolen (blacklisted)"
    monkeypatch.setenv("PYTHONHOME", "/none")
    found = Check(config, tmp_path).wait()
    assert found == {"error": "the check of the configuration ended (exit code 1): see above"}


@pytest.mark.long
def test_a_worker_that_hangs_is_killed(a_run):
    a_run.start()
    victim = a_run.states("http")[0].pid
    os.kill(victim, signal.SIGSTOP)
    until(lambda: a_run.server.get("/readyz")[0] == 503)
    until(lambda: not lives(victim))
    until(lambda: a_run.server.get("/readyz")[0] == 200)


# ---- a store that is not there ----


def test_workers_that_start_without_a_store_say_so_until_it_is_there(a_run):
    a_run.start()
    http = a_run.ports["http"]
    away = a_run.folder / "away"
    a_run.eir.rename(away)
    until(lambda: all(state.fault for state in a_run.states("http")))
    assert core.status(http, BLACK) == "BLACKLISTED"  # the last state
    until(lambda: a_run.server.get("/readyz")[0] == 503)
    for kind in ("http", "s13", "admin"):
        for state in a_run.states(kind):
            kill(state.pid)
    until(
        lambda: len(a_run.states("http")) == 2 and not any(state.generation for state in a_run.states("http"))
    )
    until(lambda: accepts(http))
    said = core.curl(http, f"{PATH}?pei=imei-{BLACK}")
    assert (said.code, said.kind) == (503, "application/problem+json")
    assert b"SYSTEM_FAILURE" in said.body
    until(lambda: a_run.states("s13")[0].generation == 0)
    with Mme(a_run.ports["diameter"]) as mme:
        assert mme.status(BLACK) == 5012
        until(lambda: accepts(a_run.ports["admin"]))
        assert a_run.server.get("/healthz")[0] == 200
        assert a_run.server.get("/readyz")[0] == 503
        away.rename(a_run.eir)
        until(lambda: a_run.server.get("/readyz")[0] == 200)
        assert core.status(http, BLACK) == "BLACKLISTED"
        assert mme.status(BLACK) == "BLACKLISTED"
        with Store.open(a_run.eir) as store:
            store.apply(Delta("stolen", add=[OTHER]))
        until(lambda: core.status(http, OTHER) == "BLACKLISTED")
        until(lambda: mme.status(OTHER) == "BLACKLISTED")


def test_changes_while_it_serves_cost_no_connection(a_run):
    a_run.start()
    http, before = a_run.ports["http"], a_run.board.processes()
    with load(http, 6) as cores, Mme(a_run.ports["diameter"]) as mme, Store.open(a_run.eir) as store:
        for number in range(6):
            phone = f"35693803{number:06}0"
            store.apply(Delta("stolen", add=[phone]))
            until(lambda: [core.status(http, phone) for _ in range(8)] == ["BLACKLISTED"] * 8)  # noqa: B023
            until(lambda: mme.status(phone) == "BLACKLISTED")  # noqa: B023
            if number % 2:
                store.compact()
                store.prune()
        until(lambda: {state.generation for state in a_run.board.processes()} == {4})
        answers = [one.answers for one in cores]
        until(lambda: all(one.answers > was for one, was in zip(cores, answers, strict=True)))
    assert not any(one.lost for one in cores)
    after = a_run.board.processes()
    assert [(state.pid, state.refresh_faults) for state in after] == [(state.pid, 0) for state in before]


def test_the_last_state_serves_and_the_board_says_why(a_run):
    a_run.start()
    manifest = a_run.eir / "current"
    away, text = a_run.folder / "away", manifest.read_bytes()

    def removed():
        a_run.eir.rename(away)
        yield
        away.rename(a_run.eir)

    def replaced():
        a_run.eir.rename(away)
        a_run.eir.write_text("a file")
        yield
        a_run.eir.unlink()
        away.rename(a_run.eir)

    def damaged():
        manifest.write_text("nonsense")
        yield
        manifest.write_bytes(text)

    def unreadable():
        (a_run.eir / "base-00000001.imei").rename(away)
        manifest.unlink()
        manifest.mkdir()
        yield
        manifest.rmdir()
        away.rename(a_run.eir / "base-00000001.imei")
        manifest.write_bytes(text)

    for number, harm in enumerate((removed, replaced, damaged, unreadable), 1):
        faults = [state.refresh_faults for state in a_run.board.processes()]
        harmed = harm()
        next(harmed)
        until(lambda: all(state.fault for state in a_run.board.processes()))
        now = [state.refresh_faults for state in a_run.board.processes()]
        assert all(later > before for later, before in zip(now, faults, strict=True))
        assert core.status(a_run.ports["http"], BLACK) == "BLACKLISTED"
        with Mme(a_run.ports["diameter"]) as mme:
            assert mme.status(BLACK) == "BLACKLISTED"
        assert a_run.server.get("/readyz")[0] == 503
        a_run.said("the store cannot be read, its last state serves", 4 * number)
        next(harmed, None)
        until(lambda: not any(state.fault for state in a_run.board.processes()))
        until(lambda: a_run.server.get("/readyz")[0] == 200)
        a_run.said("the store can be read again", 4 * number)
    assert [state.starts for state in a_run.board.processes()] == [1] * 4


# ---- SIGHUP ----


def test_a_bad_configuration_leaves_the_old_one(a_run):
    a_run.start()
    good = a_run.path.read_text()
    for bad, expected in (
        (good + "nonsense", "expected TOML"),
        (
            good.replace("workers = 2", "workers = 0"),
            "http.workers: expected a whole number from 1 to 1,024, got 0",
        ),
        (good + '[http.oauth2]\nkeys = ["none.pem"]\n', "http.oauth2.keys: expected a file that is there"),
        (good + '[http.oauth2]\nkeys = ["eir.toml"]\n', "http.oauth2.keys: expected"),
    ):
        a_run.path.write_text(bad)
        before = len(a_run.server.text)
        a_run.hang_up("the configuration stays as it was: ")
        assert expected in a_run.server.text[before:]
        assert core.status(a_run.ports["http"], BLACK) == "BLACKLISTED"
    a_run.path.unlink()
    a_run.hang_up("the configuration stays as it was: ")
    a_run.path.write_text(good)
    a_run.hang_up()
    assert [state.starts for state in a_run.board.processes()] == [1] * 4


def closed(peer):
    """Whether the server has closed the connection, for which there is no answer any more."""
    try:
        return peer.status(BLACK) != "BLACKLISTED"
    except OSError:
        return True


def test_peers_limits_and_levels_change_while_it_runs(a_run):
    a_run.start()
    pids = sorted(state.pid for state in a_run.board.processes())
    peer = f'[[diameter.peers]]\nidentity = "mme.example.org"\naddresses = ["{HOST}"]\n'
    with Mme(a_run.ports["diameter"], "other.example.org") as other:
        assert other.status(BLACK) == "BLACKLISTED"
        a_run.write("workers = 2\n[http.limits]\nuri = 256", f"{peer}[ready]\nmax_age = {{ stolen = 1 }}\n")
        a_run.hang_up()
        until(lambda: closed(other))
    with Mme(a_run.ports["diameter"]) as mme:
        assert mme.status(BLACK) == "BLACKLISTED"
    long = f"{PATH}?pei=imei-{BLACK}&more={'x' * 300}"
    until(lambda: core.curl(a_run.ports["http"], long).code == 414)
    assert pids == sorted(state.pid for state in a_run.board.processes())


def test_what_needs_a_restart_is_said(a_run):
    a_run.start()
    port = a_run.ports["http"]
    a_run.path.write_text(
        a_run.path.read_text()
        .replace(f":{port}", f":{free_port()}")
        .replace("[admin]", "[admin]\nopen = true")
    )
    a_run.hang_up()
    assert "http.listen has changed: that needs a restart" in a_run.server.text
    assert core.status(port, BLACK) == "BLACKLISTED"


def test_another_number_of_workers(a_run):
    a_run.start()
    with load(a_run.ports["http"], 4):
        a_run.write("workers = 3")
        a_run.hang_up()
        a_run.said("successors have taken over")
        until(lambda: len(a_run.states("http")) == 3)
        until(lambda: a_run.server.get("/readyz")[0] == 200)
        counted = a_run.checks()
        until(lambda: a_run.checks() > counted + 50)


def served_certificate(port, newest=ssl.TLSVersion.MAXIMUM_SUPPORTED):
    """What a client is shown, as PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = newest
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((HOST, port), PATIENCE) as plain, context.wrap_socket(plain) as wrapped:
        assert wrapped.selected_alpn_protocol() == "h2"
        return ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(True)).encode()


def test_certificates_that_change_are_taken_and_nothing_else_restarts(a_run):
    authority = Authority(a_run.folder, "ca")
    certificate, key = authority.issue("tls", end=5 * DAY)
    tls = '[http.tls]\ncertificate = "tls.crt"\nkey = "tls.key"'
    a_run.start(f"workers = 1\n{tls}")
    assert "http.tls.certificate ends at" in a_run.server.text
    http = a_run.ports["http"]
    assert served_certificate(http) == certificate.read_bytes()
    assert served_certificate(http, ssl.TLSVersion.TLSv1_2) == certificate.read_bytes()
    first = a_run.states("http")[0].pid
    a_run.hang_up()  # nothing has changed
    new, other = authority.issue("new")
    certificate.write_bytes(new.read_bytes())
    a_run.hang_up("the configuration stays as it was: ")  # the key is that of the old one
    assert "key values mismatch" in a_run.server.text
    kill(first)  # whatever comes back has the pair that was good
    until(lambda: (states := a_run.states("http")) and states[0].pid != first and accepts(http))
    assert served_certificate(http) != new.read_bytes()
    second = a_run.states("http")[0].pid
    key.write_bytes(other.read_bytes())
    failed = []

    def connect():
        while a_run.server.text.count("successors have taken over") < 1:
            try:
                served_certificate(http)
            except OSError as error:
                failed.append(error)

    meanwhile = threading.Thread(target=connect)
    meanwhile.start()
    a_run.hang_up()
    meanwhile.join(PATIENCE)
    until(lambda: served_certificate(http) == new.read_bytes())
    until(
        lambda: [state.pid for state in a_run.states("http")] != [second] and len(a_run.states("http")) == 1
    )
    assert len(failed) <= 2, failed  # in the middle of a handshake, when those before end
    assert [state.starts for state in a_run.states("s13") + a_run.states("admin")] == [1, 1]
    until(lambda: a_run.server.get("/readyz")[0] == 200)
    assert a_run.server.stop() == 0


def test_tokens_change_while_it_runs(a_run):
    jwt = pytest.importorskip("jwt")
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    public = a_run.folder / "nrf.pem"

    def publish(key):
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def code(key):
        claims = {
            "iss": "nrf",
            "sub": "amf",
            "aud": "5G_EIR",
            "scope": "n5g-eir-eic",
            "exp": time.time() + 600,
        }
        token = jwt.encode(claims, key, "ES256")
        answer = core.curl(
            a_run.ports["http"], f"{PATH}?pei=imei-{BLACK}", "-H", f"Authorization: Bearer {token}"
        )
        return answer.code

    publish(keys[0])
    a_run.start('workers = 2\n[http.oauth2]\nkeys = ["nrf.pem"]')
    pids = [state.pid for state in a_run.states("http")]
    assert [code(key) for key in keys] == [200, 401]
    publish(keys[1])
    assert [code(key) for key in keys] == [200, 401]  # until it is told
    a_run.hang_up()
    until(lambda: [[code(key) for key in keys] for _ in range(4)] == [[401, 200]] * 4)
    assert pids == [state.pid for state in a_run.states("http")]


# ---- what a worker costs ----


def test_a_worker_imports_what_it_needs():
    code = """
import sys
import imeiset.serve.processes.main
heavy = set("numpy click rich pyroaring nanoarrow pyarrow jwt cryptography prometheus_client".split())
print(sorted(heavy & sys.modules.keys()))
import imeiset.serve.http.application, imeiset.serve.processes.process
rooms = {f"imeiset.{room}" for room in ("feeds", "deltas", "screening", "cli", "merging")}
print(sorted((heavy | rooms) & sys.modules.keys()))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["[]", "['numpy']"]


def private(pid):
    """MB that a process has for itself."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(r"Private_\w+: +(\d+) kB", text)) / 1024


CONSTANT = """
import multiprocessing
from granian.constants import Interfaces, Loops
from granian.server.mp import MPServer
from constant import load
multiprocessing.set_start_method("spawn")
how = {"interface": Interfaces.RSGI, "loop": Loops.asyncio, "websockets": False}
MPServer("x", port=PORT, workers=2, **how).serve(target_loader=load, wrap_loader=False)
"""


def test_the_memory_of_a_second_worker(a_run):
    a_run.start()
    for _ in range(20):
        assert core.status(a_run.ports["http"], BLACK) == "BLACKLISTED"
    port = free_port()
    code = CONSTANT.replace("PORT", str(port))
    folder = str(Path(__file__).parent / "clients")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([folder, *sys.path])}
    constant = a_run.servers.start([sys.executable, "-c", code], env=environment)
    until(lambda: accepts(port))
    for _ in range(20):
        assert core.curl(port, "/").code == 200
    base = [private(pid) for pid in children(constant.process.pid)]
    ours = [private(state.pid) for state in a_run.states("http")]
    constant.stop()
    assert max(ours) - max(base) < 20, (ours, base)
