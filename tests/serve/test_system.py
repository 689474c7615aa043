"""`imeiset serve` as a carrier runs it: commands change the store, and cores ask meanwhile."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from imeiset import Delta, EquipmentStatus, Policy, Register, Store

from .clients import core
from .clients.core import PATH, Core, curl
from .clients.mme import S13, Mme, avp
from .servers import PATIENCE, until

pytest.importorskip("granian")
pytest.importorskip("prometheus_client")
pytest.importorskip("imeiset.serve.processes.supervisor")

BLACK, GREY, WHITE, NONE = "490154203237518", "356938035643809", "352099001761481", "860123450000012"
OWNER, OTHER = "234150999999999", "262011234567890"
STATUSES = {BLACK: "BLACKLISTED", GREY: "GREYLISTED", WHITE: "WHITELISTED", NONE: "UNKNOWN"}


def imeiset(*arguments):
    """A command, as another process runs it."""
    command = [sys.executable, "-m", "imeiset", *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert run.returncode == 0, run.stderr
    return run.stdout


def register(response_type=2):
    """A phone of each status, and one that its owner may use."""
    made = Register(Policy(response_type=response_type))
    made.add("stolen", [BLACK], status=EquipmentStatus.BLACKLISTED)
    made.add("watch", [GREY], status=EquipmentStatus.GREYLISTED)
    made.add("approved", [WHITE], status=EquipmentStatus.WHITELISTED)
    made.exempt("exceptions", [BLACK], [OWNER])
    return made


@pytest.fixture
def eir(tmp_path):
    """A store."""
    Store.create(tmp_path / "eir", register()).close()
    return tmp_path / "eir"


@pytest.fixture
def server(servers, eir):
    """It is served, by all fronts."""
    return servers.serve(eir)


@pytest.fixture
def mme(server):
    with Mme(server.diameter) as peer:
        yield peer


def agreed(server, mme, phones):
    """What all fronts say of these phones, which is the same."""
    said = {phone: mme.status(phone) for phone in phones}
    assert {phone: core.status(server.http, phone) for phone in phones} == said
    body = json.dumps({"imeis": [*phones]})
    bulk = curl(server.http, "/v1/checks", "-H", "content-type: application/json", "-d", body)
    assert bulk.code == 200, bulk
    assert [row["status"].upper() for row in json.loads(bulk.body)["results"]] == [*said.values()]
    return said


def settled(server, mme):
    """What all fronts say of the phones, as soon as they say the same."""
    with contextlib.suppress(AssertionError):
        return agreed(server, mme, STATUSES)


def test_all_fronts_say_the_same(server, mme):
    assert agreed(server, mme, STATUSES) == STATUSES


@pytest.mark.parametrize("response_type", [1, 3])
def test_response_types(servers, tmp_path, response_type):
    """On no list: white by type 1; by type 3 black and grey are unknown, too, unless they are white."""
    with Store.create(tmp_path / "eir", register(response_type)) as store:
        expected = {phone: store.check(phone).status.name for phone in STATUSES}
    server = servers.serve(tmp_path / "eir", "--workers", 1)
    with Mme(server.diameter) as mme:
        assert agreed(server, mme, STATUSES) == expected
    assert expected[NONE] == {1: "WHITELISTED", 3: "UNKNOWN"}[response_type]
    assert expected[BLACK] == {1: "BLACKLISTED", 3: "UNKNOWN"}[response_type]


def test_a_phone_is_blocked_within_a_second_of_its_report(server, mme, eir):
    """And free within a second of its release: in one of five rounds, for the machine does much else."""
    took = []
    for _ in range(5):
        slowest = 0.0
        for option, status in (("--add", "BLACKLISTED"), ("--remove", "UNKNOWN")):
            imeiset("apply", eir, "--list", "stolen", option, NONE)
            changed = time.monotonic()
            until(lambda status=status: core.status(server.http, NONE, OTHER) == status)
            until(lambda status=status: mme.status(NONE, OTHER) == status)
            slowest = max(slowest, time.monotonic() - changed)
        took.append(slowest)
        if slowest < 1:
            break
    assert min(took) < 1, took


def test_every_worker_sees_a_change(server, eir):
    """Each connection may be that of another worker: soon none says the old."""
    imeiset("apply", eir, "--list", "stolen", "--add", NONE)
    until(lambda: {core.status(server.http, NONE) for _ in range(20)} == {"BLACKLISTED"})
    assert {core.status(server.http, NONE) for _ in range(20)} == {"BLACKLISTED"}


def test_connections_outlive_changes(server, mme, eir):
    """Cores go on using a connection after GOAWAY: none is closed for data, and no worker is replaced."""
    before = pids(server)
    with Core(server.http) as one, Store.open(eir) as store:
        for n in range(10):
            phones = [f"{35 * 10**12 + n * 1000 + i:014d}" for i in range(100)]
            store.apply(Delta("stolen", add=phones))
            until(lambda phones=phones: one.status(phones[-1] + "0") == "BLACKLISTED")
            until(lambda phones=phones: mme.status(phones[0]) == "BLACKLISTED")
            if n % 3 == 0:
                store.compact()
        assert not one.gone
        assert one.status(BLACK) == mme.status(BLACK) == "BLACKLISTED"
    assert pids(server) == before


def pids(server):
    """The processes below one."""
    found, at = [server.process.pid], 0
    while at < len(found):
        for children in Path(f"/proc/{found[at]}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, children.read_text().split())
        at += 1
    return sorted(found)


# ---- what happens to a store while it is served ----


def ready(server):
    """Whether /readyz says so, and its text."""
    code, body = server.get("/readyz")
    assert code in (200, 503)
    return code == 200, body.decode()


def test_a_store_that_is_compacted_and_pruned(server, mme, eir):
    with Store.open(eir) as store:
        for n in range(5):
            store.apply(Delta("stolen", add=[f"{35 * 10**12 + n:014d}"]))
        store.compact()
        store.apply(Delta("stolen", add=[NONE]))
        store.compact()
        store.prune()
    imeiset("prune", eir, "--keep", "1")
    until(lambda: mme.status(NONE) == core.status(server.http, NONE) == "BLACKLISTED")
    assert agreed(server, mme, [BLACK, GREY, WHITE]) == {
        phone: STATUSES[phone] for phone in (BLACK, GREY, WHITE)
    }
    assert ready(server)[0]


def test_a_store_that_is_replaced(server, mme, eir, tmp_path):
    """Another store takes its place: whether or not it is taken, no answer is one of neither store."""
    other = Register(Policy(response_type=2))
    other.add("stolen", [NONE], status=EquipmentStatus.BLACKLISTED)
    Store.create(tmp_path / "other", other).close()
    eir.rename(tmp_path / "old")
    (tmp_path / "other").rename(eir)
    old, new = STATUSES, {BLACK: "UNKNOWN", GREY: "UNKNOWN", WHITE: "UNKNOWN", NONE: "BLACKLISTED"}
    time.sleep(1)
    said = until(lambda: settled(server, mme))
    assert said in (old, new)
    if said == old:
        is_ready, why = ready(server)
        assert not is_ready, why


@pytest.mark.parametrize("harm", ["removed", "unreadable"])
def test_a_store_that_cannot_be_read_any_more(servers, eir, tmp_path, harm):
    """The last state serves, /readyz says why, /healthz that it lives; a store that is back is taken."""
    server = servers.serve(eir)
    with Mme(server.diameter) as mme:
        assert agreed(server, mme, STATUSES) == STATUSES
        until(lambda: ready(server)[0])
        away = tmp_path / "away"
        if harm == "removed":
            eir.rename(away)
        else:
            shutil.copytree(eir, away)
            for path in eir.iterdir():
                if path.name.lower().startswith(("state", "current", "journal")):
                    other = path.with_name(f".{path.name}")
                    other.write_bytes(os.urandom(200))
                    other.replace(path)  # by renaming: nobody who maps it is harmed
        until(lambda: not ready(server)[0])
        assert agreed(server, mme, STATUSES) == STATUSES
        assert server.get("/healthz")[0] == 200
        assert "unreadable" in server.get("/readyz")[1].decode().lower() or ready(server)[1]
        if harm == "removed":
            away.rename(eir)
            until(lambda: ready(server)[0])
            with Store.open(eir) as store:
                store.apply(Delta("stolen", add=[NONE]))
            until(lambda: mme.status(NONE) == "BLACKLISTED")
            until(lambda: core.status(server.http, NONE) == "BLACKLISTED")


def test_answers_while_a_writer_changes_all_the_time(server, mme, eir):
    """A phone that is never touched has one answer, a phone that is, one of two, and each that which a
    reader of the store saw between the question and the answer or at its ends."""
    done = threading.Event()
    faults = []

    def write():
        try:
            with Store.open(eir) as store:
                n = 0
                while not done.is_set():
                    keys = [f"{36 * 10**12 + n * 50 + i:014d}" for i in range(50)]
                    store.apply(Delta("stolen", add=keys, remove=[NONE] if n % 2 else []))
                    store.apply(Delta("stolen", add=[] if n % 2 else [NONE]))
                    n += 1
                    if n % 10 == 0:
                        store.compact()
                        store.prune()
        except Exception as error:
            faults.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with Core(server.http) as one:
            end = time.monotonic() + 5
            while time.monotonic() < end:
                for phone in (BLACK, GREY, WHITE):
                    assert one.status(phone) == mme.status(phone) == STATUSES[phone]
                assert {one.status(NONE), mme.status(NONE)} <= {"UNKNOWN", "BLACKLISTED"}
            assert not one.gone
    finally:
        done.set()
        writer.join()
    assert not faults
    assert ready(server)[0]


# ---- what others got wrong ----


def test_a_list_of_any_length_is_found_by_any(servers, tmp_path):
    """A list with 14 digits matches a question with 15 and 16, and the reverse."""
    rows = (BLACK[:14], "356938035643809", "3520990017614810")
    tmp_path.joinpath("stolen.csv").write_text("imei\n" + "".join(f"{row}\n" for row in rows))
    tmp_path.joinpath("register.toml").write_text(
        '[policy]\nresponse_type = 2\n[[lists]]\nname = "stolen"\nstatus = "blacklisted"\n'
        'files = ["stolen.csv"]\n'
    )
    imeiset("build", tmp_path / "register.toml", "-o", tmp_path / "register.imei")
    imeiset("create", tmp_path / "eir", tmp_path / "register.imei")
    server = servers.serve(tmp_path / "eir")
    with Mme(server.diameter) as mme:
        for row in rows:
            for text in (row[:14], row[:14] + "0", row[:14] + "9", row[:14] + "01"):
                assert mme.status(text) == "BLACKLISTED", len(text)
                if len(text) > 14:
                    assert core.status(server.http, text) == "BLACKLISTED", len(text)


def test_a_phone_that_is_blocked_for_all_is_found_with_a_subscriber(server, mme):
    """Cores always send one; only the pair that is exempt gets another answer."""
    for imsi, expected in ((None, "BLACKLISTED"), (OTHER, "BLACKLISTED"), (OWNER, "WHITELISTED")):
        assert core.status(server.http, BLACK, imsi) == mme.status(BLACK, imsi) == expected
    for supi in ("nai-user@example.org", "gci-1", "anything"):
        assert curl(server.http, f"{PATH}?pei=imei-{BLACK}&supi={supi}").status == "BLACKLISTED"


def test_errors_have_their_types_on_the_wire(server):
    for target, code, cause in (
        (PATH, 400, "MANDATORY_QUERY_PARAM_MISSING"),
        (f"{PATH}?pei=imei-49015420323751x", 400, "MANDATORY_QUERY_PARAM_INCORRECT"),
        (f"{PATH}?pei=imei-{BLACK}&supi=imsi-1234567890123456", 400, "OPTIONAL_QUERY_PARAM_INCORRECT"),
        ("/n5g-eir-eic/v2/equipment-status", 400, "INVALID_API"),
        ("/n5g-eir-eic/v1/other", 404, "RESOURCE_URI_STRUCTURE_NOT_FOUND"),
    ):
        said = curl(server.http, target)
        found = json.loads(said.body)
        assert (said.code, said.kind) == (code, "application/problem+json")
        assert (found["status"], found["cause"]) == (code, cause)


def test_whatever_a_peer_asks_it_gets_an_answer(server, mme):
    """No subscriber, no terminal, a foreign application, a foreign command."""
    assert mme.status(BLACK) == "BLACKLISTED"
    assert mme.status(None) == 5005
    session = avp(263, "mme.example.org;1;1")
    for command, application, code in ((324, 16777251, 3007), (325, S13, 3001)):
        assert int.from_bytes(mme.ask(command, application, session)[268]) == code
    assert mme.status(BLACK) == "BLACKLISTED"  # the connection lives


def test_tokens_are_asked_for_at_every_door(servers, eir, tmp_path):
    """A function that checks tokens and that nobody calls."""
    pytest.importorskip("jwt")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    tmp_path.joinpath("nrf.pem").write_bytes(key.public_bytes(*pem))
    server = servers.configured(
        tmp_path, '[store]\npath = "eir"\n[http]\nlisten = "{http}"\n[http.oauth2]\nkeys = ["nrf.pem"]\n'
    )
    body = json.dumps({"imeis": [BLACK]})
    for target, *options in (
        (f"{PATH}?pei=imei-{BLACK}",),
        ("/v1/lists",),
        ("/v1/checks", "-H", "content-type: application/json", "-d", body),
    ):
        for token in (
            (),
            ("-H", "authorization: Bearer eyJhbGciOiJub25lIn0.e30."),
            ("-H", "authorization: x"),
        ):
            assert curl(server.http, target, *options, *token).code == 401, target


def test_a_client_that_does_not_acknowledge_settings_is_answered(server):
    """Some cores never do."""
    pytest.importorskip("h2")
    with Core(server.http) as one:
        sent = one.h2.data_to_send
        one.h2.data_to_send = lambda *a: b"".join(f for f in frames(sent(*a)) if (f[3], f[4]) != (4, 1))
        for _ in range(50):
            assert one.status(BLACK) == "BLACKLISTED"


def frames(data):
    """The HTTP/2 frames of data."""
    while data:
        end = 9 + int.from_bytes(data[:3])
        yield data[:end]
        data = data[end:]
