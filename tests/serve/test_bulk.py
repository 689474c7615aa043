"""Checks in bulk, and the lists, as App routes to them: requests as bytes, answers as bytes."""

import csv
import io
import json
import sys
from types import SimpleNamespace

import pytest

from imeiset import Delta, EquipmentStatus, ImeiSet, Policy, Register, Store
from imeiset.serve.http.bulk import Bulk
from imeiset.serve.state import Counts

BLACK, CLEAR, GREY = "490154203237518", "352099001761481", "356938035643809"
HOME = "234150999999999"
B, G = EquipmentStatus.BLACKLISTED, EquipmentStatus.GREYLISTED
LIMITS = SimpleNamespace(rows=1000, bytes=100_000)


def made(folder, policy=None, **options):
    register = Register(policy or Policy())
    register.add("stolen", [BLACK], status=B, reason="theft", dates=["20240229"], owner="op-a")
    register.add("found", [GREY], status=G, reasons=["lost|turned in"], until=["2030-01-31"])
    return Store.create(folder, register)


@pytest.fixture
def bulk(tmp_path):
    with made(tmp_path / "eir") as store:
        yield Bulk(store, Counts(), LIMITS)


def asked(bulk, body, query="", kind="application/json", path="/v1/checks", method="POST", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"content-type": kind}
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return bulk.answer(method, path, query, headers, body)


def results(answer):
    assert answer.status == 200, answer
    return json.loads(answer.body)["results"]


def test_json(bulk):
    answer = asked(bulk, {"imeis": [BLACK, CLEAR, GREY]})
    assert answer.body == (
        b'{"results":[{"status":"blacklisted"},{"status":"whitelisted"},{"status":"greylisted"}]}'
    )
    assert dict(answer.headers)["content-type"] == "application/json"
    assert bulk.counts.checks == {("http", 1, "exact"): 1, ("http", 0, "default"): 1, ("http", 2, "exact"): 1}
    assert results(asked(bulk, {"imeis": []})) == []


def test_details(bulk):
    assert results(asked(bulk, {"imeis": [BLACK, CLEAR, GREY]}, "details=true")) == [
        {"status": "blacklisted", "list": "stolen", "rule": "exact", "reasons": ["theft"],
         "date": "2024-02-29", "until": None},
        {"status": "whitelisted", "list": None, "rule": "default", "reasons": [],
         "date": None, "until": None},
        {"status": "greylisted", "list": "found", "rule": "exact", "reasons": ["lost", "turned in"],
         "date": None, "until": "2030-01-31"},
    ]  # fmt: skip


def test_lines(bulk):
    body = f"{BLACK}\n{CLEAR}\r\n{GREY}".encode()
    assert asked(bulk, body, kind="text/plain").body == b"blacklisted\nwhitelisted\ngreylisted\n"
    body = f"{BLACK},{HOME}\n{CLEAR},\n{GREY}\n".encode()
    assert asked(bulk, body, "details=true", kind="text/plain; charset=utf-8").body.decode() == (
        "blacklisted,stolen,exact,theft,2024-02-29,\n"
        "whitelisted,,default,,,\n"
        "greylisted,found,exact,lost|turned in,,2030-01-31\n"
    )


def test_lines_are_csv(tmp_path):
    """Whatever lists are called."""
    register = Register()
    name = 'stolen, "2024"'
    register.add(name, [BLACK], status=B, reason="lost\nor so")
    with Store.create(tmp_path / "eir", register) as store:
        answer = asked(Bulk(store, None, LIMITS), f"{BLACK}\n".encode(), "details=true", "text/plain")
    assert [*csv.reader(io.StringIO(answer.body.decode(), newline=""))] == [
        ["blacklisted", name, "exact", "lost\nor so", "", ""]
    ]


def test_most_rows_being_malformed_warns_nobody(tmp_path):
    """In a server nobody sees the warning that a library gives its caller."""
    with made(tmp_path / "eir", Policy(malformed=G)) as store:
        bulk = Bulk(store, Counts(), LIMITS)
        body = {"imeis": ["x"] * 300, "imsis": ["y"] * 300}
        assert {one["status"] for one in results(asked(bulk, body))} == {"greylisted"}
        assert bulk.counts.checks == {("http", 2, "malformed"): 300}


def test_long_work_is_not_for_the_loop(bulk, tmp_path):
    assert not bulk.is_long("POST", "/v1/checks", "", 20_000)
    assert bulk.is_long("POST", "/v1/checks", "", 100_000)
    assert bulk.is_long("GET", "/v1/lists", "", 0)
    register = Register()
    register.add("stolen", ImeiSet(["ABC*12"], irregular="keep"), status=B)
    with Store.create(tmp_path / "texts", register) as store:
        assert Bulk(store, None, LIMITS).is_long("POST", "/v1/checks", "", 5_000)


def test_digests_are_kept_until_a_list_changes(bulk, monkeypatch):
    from imeiset.register.lists import List

    made_of, digest = [], List.digest
    monkeypatch.setattr(List, "digest", lambda one: made_of.append(one.name) or digest(one))

    def digests(query):
        answer = asked(bulk, b"", query, path="/v1/lists", method="GET")
        return [one["digest"] for one in json.loads(answer.body)["lists"]]

    assert digests("") == [None, None]
    first = digests("digests=true")
    assert first == digests("digests=true") == digests("digests=false")
    assert made_of == ["stolen", "found"]
    bulk.store.apply(Delta("found", add=[CLEAR]))
    asked(bulk, {"imeis": []})  # lets go of the list that is not there any more
    assert len(bulk._listing._digests) == 1
    assert digests("") == [first[0], None]
    assert digests("digests=true")[0] == first[0]
    assert made_of == ["stolen", "found", "found"]


def test_digests_that_were_asked_for_are_told_whoever_lets_go_of_them_meanwhile(bulk, monkeypatch):
    """Checks that know a later change forget the lists that it ended, while digests of these are made."""
    from imeiset.register.lists import List

    digest = List.digest

    def changed(one):
        bulk.store.apply(Delta(one.name, add=[CLEAR], by=one.owner or None))
        asked(bulk, {"imeis": [BLACK]})
        return digest(one)

    monkeypatch.setattr(List, "digest", changed)
    answer = asked(bulk, b"", "digests=true", path="/v1/lists", method="GET")
    assert all(one["digest"] for one in json.loads(answer.body)["lists"])


def test_malformed_rows(bulk):
    answer = asked(bulk, {"imeis": [BLACK, "49015420323751x"]})
    assert answer.status == 400
    told = json.loads(answer.body)
    assert told["cause"] == "malformed_row"
    assert "imeis[1]" in told["detail"]
    assert "49015420*******" in told["detail"]
    assert bulk.counts.checks == {}
    found = results(asked(bulk, {"imeis": [BLACK, "49015420323751x", None]}, "malformed=report"))
    assert found == [{"status": "blacklisted"}, {"error": "not_digit"}, {"error": "missing"}]


def test_lists(bulk):
    bulk.store.apply(Delta("found", add=[CLEAR]))
    answer = asked(bulk, b"", "digests=true", path="/v1/lists", method="GET")
    told = json.loads(answer.body)
    assert [one["name"] for one in told["lists"]] == ["stolen", "found"]
    stolen, found = told["lists"]
    assert stolen["counts"] == {"exact": 1}
    assert (stolen["owner"], stolen["changed"]) == ("op-a", None)
    assert found["counts"] == {"exact": 2}
    assert found["age"] < 60
    assert stolen["digest"] == bulk.store.lists[0].digest().hex()
    assert dict(answer.headers)["imeiset-sequence"] == "1"


def test_without_nanoarrow(bulk, monkeypatch):
    """Only answers that are Arrow streams need it, and say so."""
    for name in [*sys.modules]:
        if name.partition(".")[0] == "nanoarrow":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "nanoarrow", None)
    assert results(asked(bulk, {"imeis": [BLACK]}, "details=true"))[0]["list"] == "stolen"
    assert asked(bulk, f"{BLACK}\n".encode(), kind="text/plain").body == b"blacklisted\n"
    answer = asked(bulk, {"imeis": [BLACK]}, accept="application/vnd.apache.arrow.stream")
    assert answer.status == 415
    assert "pip install" in json.loads(answer.body)["detail"]
