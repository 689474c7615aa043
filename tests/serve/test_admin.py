"""The admin port: who may ask it what, and what it says."""

import json
import logging
import math
import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from imeiset import Delta, EquipmentStatus, Policy, Register, Store
from imeiset.errors import StoreError
from imeiset.serve.admin import Admin, health, rates
from imeiset.serve.admin.application import LONGEST, is_loopback, shown
from imeiset.serve.admin.health import Expected
from imeiset.serve.admin.metrics import CounterSums, Seen
from imeiset.serve.http.answers import COMPRESSED, FAILED, TOO_LONG
from imeiset.serve.http.gateway import Work
from imeiset.serve.processes.board import Board, Slot
from imeiset.serve.state import NOTHING, Counts

from .servers import PATIENCE

BLACK, GREY = EquipmentStatus.BLACKLISTED, EquipmentStatus.GREYLISTED
IMEI, OTHER, IMSI = "490154203237518", "352099001761481", "234150999999999"
HOST = {"host": "127.0.0.1:9090"}
JSON = HOST | {"content-type": "application/json"}
PAGE = Path(__file__).parent.parent.parent / "docs" / "operation.md"
PATHS = ("/", "/page.js", "/page.css", "/icon.svg", "/healthz", "/readyz", "/state")


@pytest.fixture
def store(tmp_path):
    register = Register()
    register.add("stolen", [IMEI], status=BLACK, reason="theft", owner="op-a", dates=["20260301"])
    register.add("found", [IMEI], status=GREY)
    register.exempt("paired", [IMEI], [IMSI])
    with Store.create(tmp_path / "eir", register) as one:
        yield one


@pytest.fixture
def admin(store):
    one = Admin(store)
    yield one
    one.stop()


def config(workers=1, max_age=None, open=False, diameter=None):
    return SimpleNamespace(
        http=SimpleNamespace(workers=workers, listen=("127.0.0.1:8080",)),
        diameter=diameter,
        admin=SimpleNamespace(open=open),
        follow=(),
        ready=SimpleNamespace(max_age=max_age or {}),
    )


def asked(admin, method, path, headers=HOST, body=b""):
    found = admin.respond(method, path, "", headers)
    return found.answer(body) if isinstance(found, Work) else found


def looked_up(admin, **told):
    return asked(admin, "POST", "/lookup", JSON, json.dumps(told).encode())


@pytest.mark.parametrize("path", PATHS)
def test_what_may_be_read(admin, path):
    found = asked(admin, "GET", path)
    assert found.status == 200
    assert found.body
    head = asked(admin, "HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert asked(admin, "GET", path, {"host": "evil.example.org"}).status == 421
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert asked(admin, method, path).status == 405
        assert ("allow", "GET, HEAD") in asked(admin, method, path).headers


def test_metrics(admin):
    pytest.importorskip("prometheus_client")
    found = asked(admin, "GET", "/metrics")
    assert found.headers[0] == ("content-type", "text/plain; version=0.0.4; charset=utf-8") or (
        found.headers[0][1].startswith("text/plain; version=1.0.0")
    )
    assert (
        b'imeiset_list_entries{kind="imeis",list="stolen",rule="exact",status="blacklisted"} 1.0'
        in found.body
    )


@pytest.mark.parametrize(
    "path", ["/x", "", "//", "/lookup/", "/../state", "/page/index.html", "/n5g-eir-eic/v1/equipment-status"]
)
def test_nothing_else_is_there(admin, path):
    assert asked(admin, "GET", path).status == 404


@pytest.mark.parametrize("path", [*PATHS, "/none", "/lookup"])
def test_every_answer_is_hardened(admin, path):
    answers = [asked(admin, method, path) for method in ("GET", "HEAD", "POST")]
    answers += [
        asked(admin, "GET", path, {"host": "x"}),
        looked_up(admin, imei=IMEI),
        looked_up(admin, imei="x"),
    ]
    answers += [admin.refused(refusal) for refusal in (TOO_LONG, COMPRESSED, FAILED)]
    for found in answers:
        headers = dict(found.headers)
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert len(headers) == len(found.headers)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True),
        ("LOCALHOST:9090", True),
        ("127.0.0.1", True),
        ("127.8.9.1:80", True),
        ("[::1]", True),
        ("[::1]:9090", True),
        ("", False),
        ("eir.example.org", False),
        ("localhost.evil.org", False),
        ("127.0.0.1.evil.org", False),
        ("evil.org:9090", False),
        ("localhost@evil.org", False),
        ("evil.org/localhost", False),
        ("localhost evil.org", False),
        ("10.0.0.1", False),
        ("[fe80::1]", False),
        ("[::1", False),
        ("::1", False),
        ("0.0.0.0", False),
        ("127.0.0.1:9090:80", False),
        ("127.0.0.1:", False),
        ("localhost\n", False),
        ("2130706433", False),
    ],
)
def test_names_of_loopback(host, own):
    """A name that others control may lead to loopback: pages from there would read what they like."""
    assert is_loopback(host) == own


def test_with_open_every_name_is_answered(store):
    admin = Admin(store, config=config(open=True))
    assert asked(admin, "GET", "/healthz", {"host": "eir.example.org"}).status == 200
    admin.use(config(open=False))
    assert asked(admin, "GET", "/healthz", {"host": "eir.example.org"}).status == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"content-type": "Application/JSON"}, 200),
        ({"origin": "http://127.0.0.1:9090", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "HTTP://127.0.0.1:9090"}, 200),
        ({"origin": "https://127.0.0.1:9090"}, 200),  # a proxy before it
        ({"sec-fetch-site": "none"}, 200),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": ""}, 415),
        ({"content-type": "text/plain; application/json"}, 415),
        ({"origin": "http://evil.example.org"}, 403),
        ({"origin": "http://127.0.0.1:9091"}, 403),
        ({"origin": "http://localhost:9090"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "file://127.0.0.1:9090"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"host": "evil.example.org", "origin": "http://evil.example.org"}, 421),
    ],
)
def test_who_may_look_up(admin, headers, status):
    assert (
        asked(admin, "POST", "/lookup", JSON | headers, json.dumps({"imei": IMEI}).encode()).status == status
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
def test_a_lookup_is_a_post(admin, method):
    found = asked(admin, method, "/lookup", JSON, b"{}")
    assert found.status == 405
    assert ("allow", "POST") in found.headers


def test_a_lookup_says_the_verdict_and_every_claim(admin, store):
    told = json.loads(looked_up(admin, imei=IMEI).body)
    assert {name: told[name] for name in ("status", "list", "rule", "reasons", "date")} == store.check(
        IMEI
    ).to_dict()
    assert told["status"] == "blacklisted"
    claims = [{name: value for name, value in one.items() if name != "age"} for one in told["claims"]]
    assert claims == [one.to_dict() for one in store.explain(IMEI)]
    assert [one["decided"] for one in told["claims"]] == [True, False]
    assert (told["sequence"], told["generation"]) == (0, 1)
    store.apply(Delta("found", add=[OTHER]))
    told = json.loads(looked_up(admin, imei=f" {IMEI} ", imsi=f"{IMSI} ").body)
    assert (told["status"], told["list"], told["rule"]) == ("whitelisted", "paired", "pair")
    assert [one["age"] is None for one in told["claims"] if one["list"] == "stolen"] == [True]
    assert [one["age"] < 60 for one in told["claims"] if one["list"] == "found"] == [True]
    assert told["sequence"] == 1
    nothing = json.loads(looked_up(admin, imei="860123450000012", imsi="").body)
    assert (nothing["status"], nothing["list"], nothing["rule"], nothing["claims"]) == (
        "whitelisted",
        None,
        "default",
        [],
    )


def test_a_lookup_names_the_moment_that_answered(admin, store, monkeypatch):
    frozen = store.frozen

    def changed():
        found = frozen()
        store.apply(Delta("stolen", remove=[IMEI], by="op-a"))
        return found

    monkeypatch.setattr(store, "frozen", changed)
    told = json.loads(looked_up(admin, imei=IMEI).body)
    assert (told["status"], told["sequence"]) == ("blacklisted", 0)
    monkeypatch.setattr(store, "frozen", Mock(side_effect=StoreError("eir", "a store", "nothing")))
    assert looked_up(admin, imei=IMEI).status == 503


@pytest.mark.parametrize("form", ["49015420323751", "4901542032375112", "49-015420-323751-8", f"imei-{IMEI}"])
def test_every_form_of_an_imei_is_the_same_phone(admin, form):
    assert json.loads(looked_up(admin, imei=form).body)["status"] == "blacklisted"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", 'expected {"imei"'),
        (b"{", 'expected {"imei"'),
        (b"[" * 4000, 'expected {"imei"'),
        (b"[]", 'expected {"imei"'),
        (b'{"imei": 490154203237518}', 'expected {"imei"'),
        (b'{"imei": null}', 'expected {"imei"'),
        (b'{"imei": "490154203237518", "imsi": 5}', 'expected {"imei"'),
        (b'{"imei": "490154203237518", "imsi": ["2"]}', 'expected {"imei"'),
        (b'{"imei": "490154203237518", "imsi": 0}', 'expected {"imei"'),
        (b'{"imei": "490154203237518", "imsi": []}', 'expected {"imei"'),
        (b'{"imei": "490154203237518", "imsi": false}', 'expected {"imei"'),
        (b'\xff{"imei": "490154203237518"}', 'expected {"imei"'),
        (b'{"imei": ""}', "empty"),
        (b'{"imei": "49015420323751x"}', "'49015420*******'"),
        (b'{"imei": "4901542032375"}', "fewer than 14 digits"),
        (b'{"imei": "\\ud800"}', "a character outside ASCII"),
        (b'{"imei": "490154203237518", "imsi": "23415099999999x"}', "'23415**********'"),
        (b'{"imei": "490154203237518", "imsi": "2"}', "expected an IMSI"),
    ],
)
def test_what_is_no_lookup(admin, body, words):
    found = asked(admin, "POST", "/lookup", JSON, body)
    told = json.loads(found.body)
    assert (found.status, told["status"]) == (400, 400)
    assert words in told["detail"]
    assert not re.search(r"\d{9}", told["detail"])


def test_bodies_have_an_end(admin):
    assert admin.respond("POST", "/lookup", "", JSON).size == LONGEST


def test_malformed_input_that_the_policy_answers(tmp_path):
    with Store.create(tmp_path / "eir", Register(Policy(malformed=GREY))) as store:
        told = json.loads(looked_up(Admin(store), imei="x").body)
        assert (told["status"], told["rule"], told["claims"]) == ("greylisted", "malformed", [])


def test_a_lookup_is_neither_logged_nor_counted(store, caplog):
    counts = Counts()
    admin = Admin(store, counts=counts)
    with caplog.at_level(logging.DEBUG):
        looked_up(admin, imei=IMEI)
        looked_up(admin, imei="49015420323751x")
    assert caplog.records == []
    assert counts.totals() == ({}, {})


def test_embedded_it_shows_what_the_app_counted(store):
    counts = Counts()
    counts.checked("5g", 1, "exact", 7)
    counts.error("http", "too_many_rows")
    admin = Admin(store, counts=counts)
    told = json.loads(asked(admin, "GET", "/state").body)
    assert told["checks"] == {"5g": {"blacklisted": 7}}
    assert told["errors"] == {"http": 1}
    assert told["rates"] == {}
    assert [(one["kind"], one["alive"]) for one in told["processes"]] == [("app", True)]
    assert json.loads(asked(admin, "GET", "/readyz").body) == {"status": "ready", "reasons": []}


@pytest.fixture
def board(tmp_path):
    (tmp_path / "run").mkdir()
    return Board(tmp_path / "run")


def test_rates_are_kept_from_the_start_whoever_looks(store, monkeypatch):
    monkeypatch.setattr(rates, "EVERY", 0.01)
    admin = Admin(store, counts=(counts := Counts()))
    before = sum(one.name == "imeiset-rates" for one in threading.enumerate())
    admin.start()
    admin.start()
    assert sum(one.name == "imeiset-rates" for one in threading.enumerate()) <= before + 1
    end = time.monotonic() + PATIENCE
    while not any(admin._rates.samples().get("5g", ())):
        counts.checked("5g", 1, "exact", 100)
        assert time.monotonic() < end
        time.sleep(0.005)
    assert max(json.loads(asked(admin, "GET", "/state").body)["rates"]["5g"]) > 100
    admin.stop()


def test_with_a_board_it_shows_all_processes(store, board):
    admin = Admin(store, board=board, config=config(workers=2, max_age={"stolen": 60.0, "gone": 60.0}))
    counts = Counts()
    counts.checked("5g", 1, "exact", 7)
    slots = [Slot(board, "http") for _ in range(2)]
    slots[0].publish(counts.totals(), sequence=3, fault="eir: 490154203237518")
    assert asked(admin, "GET", "/readyz").status == 503
    assert json.loads(asked(admin, "GET", "/readyz").body)["reasons"] == [
        "HTTP workers: 1 of 2 run",
        "HTTP worker 0 cannot read the store: eir: 49015420*******",
        "list 'gone' is missing",
    ]
    slots[0].publish(counts.totals())
    slots[1].publish(counts.totals())
    admin.use(config(workers=2))
    assert asked(admin, "GET", "/readyz").status == 200
    told = json.loads(asked(admin, "GET", "/state").body)
    assert told["checks"] == {"5g": {"blacklisted": 14}}
    assert [(one["kind"], one["index"], one["alive"]) for one in told["processes"]] == [
        ("http", 0, True),
        ("http", 1, True),
    ]
    slots[1].publish(counts.totals(), ended=True)
    assert json.loads(asked(admin, "GET", "/readyz").body)["reasons"] == ["HTTP workers: 1 of 2 run"]
    (board.folder / "http-1.json").write_text("{")
    told = json.loads(asked(admin, "GET", "/state").body)
    assert told["checks"] == {"5g": {"blacklisted": 14}}  # of one that is away as well


def test_a_worker_that_stands_still_while_others_go_on_is_said(store, board, monkeypatch):
    """It answers, and it beats; but a phone that was reported since is not blocked by it."""
    monkeypatch.setattr(health, "BEHIND", 0.05)
    admin = Admin(store, board=board, config=config(workers=2))
    slots = [Slot(board, "http") for _ in range(2)]
    for one in slots:
        one.publish(NOTHING, sequence=7)
    assert asked(admin, "GET", "/readyz").status == 200
    time.sleep(1.01)
    slots[0].publish(NOTHING, sequence=8)
    asked(admin, "GET", "/readyz")
    time.sleep(0.1)
    slots[1].publish(NOTHING, sequence=7)
    [reason] = json.loads(asked(admin, "GET", "/readyz").body)["reasons"]
    assert reason == "HTTP worker 1 answers by change 7, and change 8 was there 0.05 s before"
    slots[1].publish(NOTHING, sequence=8)
    assert asked(admin, "GET", "/readyz").status == 200


def test_state_is_json_whatever_ages_are(store):
    status = store.status()
    infinite = SimpleNamespace(
        **{name: getattr(status, name) for name in status.__slots__} | {"age": math.inf}
    )
    infinite.lists = {"x": SimpleNamespace(status=BLACK, kind="imeis", owner="", age=math.inf)}
    infinite.counts = {"x": {}}
    told = shown(Seen([], infinite, [], Expected(), time.time()), CounterSums())
    assert json.loads(json.dumps(told, allow_nan=False))["store"]["age"] == -1


def test_without_a_store_all_but_lookups_is_answered():
    admin = Admin(None, config=config())
    assert asked(admin, "GET", "/healthz").status == 200
    assert asked(admin, "GET", "/readyz").status == 503
    assert json.loads(asked(admin, "GET", "/state").body)["store"] is None
    assert looked_up(admin, imei=IMEI).status == 503


def test_when_the_store_is_away_the_last_state_answers(store, tmp_path):
    reader = Store.open(tmp_path / "eir")
    admin = Admin(reader)
    reader.watch(0.01)
    (tmp_path / "eir").rename(tmp_path / "elsewhere")
    end = time.monotonic() + PATIENCE
    while asked(admin, "GET", "/readyz").status == 200:
        assert time.monotonic() < end
        time.sleep(0.02)
    [reason] = json.loads(asked(admin, "GET", "/readyz").body)["reasons"]
    assert reason.startswith("the store cannot be read, its last state serves: ")
    assert asked(admin, "GET", "/healthz").status == 200
    assert json.loads(looked_up(admin, imei=IMEI).body)["status"] == "blacklisted"
    (tmp_path / "elsewhere").rename(tmp_path / "eir")
    while asked(admin, "GET", "/readyz").status == 503:
        assert time.monotonic() < end
        time.sleep(0.02)
    reader.close()


@pytest.mark.skipif(not PAGE.is_file(), reason="the sources are away")
def test_the_guide(store, tmp_path, monkeypatch):
    """Its code runs, and what the application answers is counted on the admin port."""
    monkeypatch.chdir(tmp_path)
    [code] = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    names = {}
    exec(code, names)
    with names["store"]:
        path = "/n5g-eir-eic/v1/equipment-status"
        assert names["front"].respond("GET", path, f"pei=imei-{IMEI}", {}).status == 200
        told = json.loads(asked(names["admin"], "GET", "/state").body)
        assert told["checks"] == {"5g": {"blacklisted": 1}}
