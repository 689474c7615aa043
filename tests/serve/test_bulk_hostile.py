"""Requests that are wrong on purpose: refused with a reason, never answered, never the end of the process."""

import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import Delta, EquipmentStatus, Register, Store
from imeiset.serve.http import ipc
from imeiset.serve.http.bulk import CHECKS, LISTS, Bulk
from imeiset.serve.state import Counts

from .requests import BLACK, CLEAR, HOME, JSON, LIMITS, LINES, ask, refused


@pytest.fixture
def bulk(store):
    return Bulk(store, Counts(), LIMITS)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    register = Register()
    register.add("stolen", [BLACK], status=EquipmentStatus.BLACKLISTED)
    with Store.create(tmp_path_factory.mktemp("hostile") / "eir", register) as store:
        yield store


BODIES = {
    "nothing": (b"", "expected JSON"),
    "no JSON": (b"imeis", "expected JSON, got something else at character 0"),
    "an array": (b"[]", "got an array"),
    "a text": (b'"490154203237518"', "got a string"),
    "a number": (b"490154203237518", "got a number"),
    "no IMEIs": (b"{}", "expected the member imeis"),
    "a member that is not known": (b'{"imeis":[],"imsi":[]}', "'imsi'"),
    "an IMEI for a member": (b'{"490154203237518":1}', "'49015420*******'"),
    "IMEIs that are a text": (b'{"imeis":"490154203237518"}', "imeis: expected an array of strings, got"),
    "IMEIs that are null": (b'{"imeis":null}', "imeis: expected an array of strings, got null"),
    "an integer": (
        b'{"imeis":["352099001761481",490154203237518]}', "imeis[1]: expected a string or null, got a number"
    ),
    "an integer of very many digits": (b'{"imeis":[' + b"4" * 90_000 + b"]}", "imeis[0]: expected a string"),
    "a float": (b'{"imeis":[4.90154203237518e14]}', "imeis[0]"),
    "NaN": (b'{"imeis":[NaN]}', "imeis[0]"),
    "Infinity": (b'{"imeis":[-Infinity]}', "imeis[0]"),
    "true": (b'{"imeis":[true]}', "imeis[0]: expected a string or null, got true or false"),
    "an array in an array": (b'{"imeis":[["490154203237518"]]}', "expected a string or null, got an array"),
    "an object in an array": (b'{"imeis":[{"imei":"490154203237518"}]}', "got an object"),
    "a member twice": (b'{"imeis":["490154203237518"],"imeis":["352099001761481"]}', "twice"),
    "a member twice, once escaped": (b'{"imeis":[],"im\\u0065is":["352099001761481"]}', "twice"),
    "fewer IMSIs": (b'{"imeis":["490154203237518"],"imsis":[]}', "imsis: expected 1"),
    "more IMSIs": (b'{"imeis":[],"imsis":["234150999999999"]}', "imsis: expected 0"),
    "IMSIs that are numbers": (b'{"imeis":["490154203237518"],"imsis":[234150999999999]}', "imsis[0]"),
    "IMSIs that are a text": (b'{"imeis":["490154203237518"],"imsis":"234150999999999"}', "imsis: expected"),
    "deep": (b"[" * 90_000, "expected"),
    "deep in its place": (b'{"imeis":' + b"[" * 40_000 + b"]" * 40_000 + b"}", "expected"),
    "deep objects": (b'{"a":' * 15_000, "expected"),
    "more behind": (b'{"imeis":[]}{"imeis":["490154203237518"]}', "at character 12"),
    "a comment": (b'{"imeis":[] /* all */}', "at character"),
    "a comma too many": (b'{"imeis":["490154203237518",]}', "at character"),
    "single quotes": (b"{'imeis':[]}", "at character"),
    "a newline in a text": (b'{"imeis":["490154203237518\n"]}', "at character"),
    "bytes that are not UTF-8": (b'{"imeis":["49015420323751\xff"]}', "UTF-8, got other bytes at 25"),
    "UTF-16": ('{"imeis":[]}'.encode("utf-16"), "UTF-8"),
    "cut off": (b'{"imeis":["490154203237518"', "at character"),
    "two BOMs": (b"\xef\xbb\xbf" * 2 + b"{}", "at character 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("query", ["", "malformed=report"])
def test_json(bulk, name, query):
    body, words = BODIES[name]
    refused(bulk, ask(bulk, body, query=query), 400, "malformed_body", words)


def test_a_byte_order_mark_is_no_row(bulk):
    text = json.dumps({"imeis": [BLACK]}).encode()
    assert ask(bulk, b"\xef\xbb\xbf" + text).body == b'{"results":[{"status":"blacklisted"}]}'
    assert ask(bulk, b"\xef\xbb\xbf" + BLACK.encode(), LINES).body == b"blacklisted\n"


@pytest.mark.parametrize("text", ["\\ud800", "\\u0000", "4901542032375\\u00318", "\\u200b490154203237518"])
def test_texts_that_are_escaped(bulk, text):
    """As JSON says: an escaped digit is a digit, and whatever else is a malformed row."""
    answer = ask(bulk, f'{{"imeis":["{text}"]}}'.encode())
    if text.startswith("4"):
        assert answer.body == b'{"results":[{"status":"blacklisted"}]}'
    else:
        refused(bulk, answer, 400, "malformed_row", "imeis[0]: ")


@pytest.mark.parametrize(
    "text", [f"{BLACK}4" * 2, f"{BLACK}4" * 5, f"{BLACK} {BLACK}4", f"{BLACK[:14]}  " * 2]
)
def test_a_long_text_is_not_several_rows(bulk, text):
    """Also where nothing but IMEIs is in it."""
    refused(bulk, ask(bulk, {"imeis": [text]}), 400, "malformed_row", "imeis[0]: ")
    answer = ask(bulk, {"imeis": [text]}, query="malformed=report")
    assert len(json.loads(answer.body)["results"]) == 1


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("49015420323751x", "49015420*******"),
        ("", "empty"),
        (None, "no value"),
        (f"{BLACK}99", "more than 16"),
    ],
)
def test_malformed_rows_are_named(bulk, row, words):
    told = refused(bulk, ask(bulk, {"imeis": [BLACK, row]}), 400, "malformed_row", "imeis[1]: ")
    assert told["row"] == 1
    assert words in told["detail"]


def test_malformed_subscribers_are_named(bulk):
    answer = ask(bulk, {"imeis": [BLACK, BLACK], "imsis": [HOME, f"{HOME}x"]})
    refused(
        bulk, answer, 400, "malformed_row", "imeis[1]: expected an IMSI of 5 to 15 ASCII digits, got '23415*"
    )
    lines = f"{BLACK},{HOME}\n{BLACK},{HOME}x\n".encode()
    told = json.loads(ask(bulk, lines, LINES).body)
    assert told["detail"].startswith("line 2: expected an IMSI")


def test_lines(bulk):
    told = refused(bulk, ask(bulk, f"{BLACK}\n{BLACK},{HOME},x\n".encode(), LINES), 400, "malformed_body")
    assert told["detail"].startswith("line 2: ")


def test_lines_are_rows(bulk):
    """An empty line is one that is malformed; the end of the last line is not a row."""
    for body, want in (
        (b"", b""),
        (b"\n", b"error:empty\n"),
        (f"{BLACK}\n\n".encode(), b"blacklisted\nerror:empty\n"),
        (f"\n{BLACK}".encode(), b"error:empty\nblacklisted\n"),
        (f"{BLACK},\n,\n".encode(), b"blacklisted\nerror:empty\n"),
        (b"49015420323751\0\n", b"error:nul\n"),
    ):
        assert ask(bulk, body, LINES, "malformed=report").body == want, body


# ---- limits ----


def test_rows_are_limited(bulk):
    bodies = {JSON: json.dumps({"imeis": [CLEAR] * 1001}).encode(), LINES: (CLEAR + "\n").encode() * 1001}
    bodies["as JSON has them"] = json.dumps({"imeis": [CLEAR] * 1001}, indent=1).encode()
    for kind, body in bodies.items():
        bulk.counts = Counts()
        kind = kind if "/" in kind else JSON
        told = refused(bulk, ask(bulk, body, kind), 413, "too_many_rows", "1,000 rows")
        assert told["limit"] == 1000
    for body, kind in (
        (json.dumps({"imeis": [CLEAR] * 1000}).encode(), JSON),
        (f"{CLEAR}\n".encode() * 1000, LINES),
    ):
        assert ask(bulk, body, kind).status == 200


def test_no_memory_is_taken_for_rows_beyond_the_limit(bulk, monkeypatch):
    monkeypatch.setattr("imeiset.serve.http.formats._DECODER", None)
    for value in (b'""', b"null", b"[]", b"{}"):
        bulk.counts = Counts()
        body = b'{"imeis":[' + b",".join([value] * 4000) + b"]}"
        refused(bulk, ask(bulk, body), 413, "too_many_rows")


def test_bytes_are_limited(bulk):
    told = refused(bulk, ask(bulk, b" " * 100_001), 413, "too_many_bytes", "100,000 bytes")
    assert told["limit"] == 100_000
    bulk.counts = Counts()
    refused(bulk, bulk.too_long(), 413, "too_many_bytes")
    assert bulk.takes("POST", CHECKS) == 100_000
    assert bulk.takes("GET", CHECKS) == bulk.takes("GET", LISTS) == 0


# ---- headers and options ----


@pytest.mark.parametrize(
    ("headers", "status", "cause"),
    [
        ({"kind": ""}, 415, "unsupported_media_type"),
        ({"kind": "application/xml"}, 415, "unsupported_media_type"),
        ({"kind": "text/plain; charset=utf-16"}, 415, "unsupported_media_type"),
        ({"kind": "application/json", "content_encoding": "gzip"}, 415, "unsupported_media_type"),
        ({"accept": "image/png"}, 406, "not_acceptable"),
        ({"accept": "application/json;q=0, text/plain;q=0.0"}, 406, "not_acceptable"),
        ({"accept": "application/json;q=nan"}, 406, "not_acceptable"),
        ({"kind": LINES, "transfer_encoding": "chunked"}, 411, "length_required"),
        ({"query": "details=maybe"}, 400, "malformed_query"),
        ({"query": "malformed=ignore"}, 400, "malformed_query"),
        ({"query": "malformed="}, 400, "malformed_query"),
        ({"query": "malformed=report&malformed=refuse"}, 400, "malformed_query"),
    ],
)
def test_headers_and_options(bulk, headers, status, cause):
    refused(bulk, ask(bulk, {"imeis": [BLACK]}, **headers), status, cause)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, JSON), ("*/*", JSON), ("", JSON), ("text/plain", LINES), ("text/*", LINES),
        ("text/plain;q=0.5, application/json;q=0.4", LINES), ("application/*", JSON),
        ("*/*;q=0.1, text/plain", LINES), ("TEXT/PLAIN; q=1", LINES), ("application/json;q=0, */*", LINES),
    ],
)  # fmt: skip
def test_the_answer_has_the_form_that_is_asked_for(bulk, accept, kind):
    answer = ask(bulk, {"imeis": [BLACK]}, **({"accept": accept} if accept is not None else {}))
    assert answer.status == 200
    assert dict(answer.headers)["content-type"].partition(";")[0] == kind
    assert b"blacklisted" in answer.body


def test_methods(bulk):
    for method, path, allowed in (("GET", CHECKS, "POST"), ("PUT", CHECKS, "POST"), ("POST", LISTS, "GET")):
        answer = ask(bulk, b"", method=method, path=path)
        assert (answer.status, dict(answer.headers)["allow"]) == (405, allowed)


def test_a_store_that_cannot_be_read(store, monkeypatch):
    from imeiset import SnapshotError

    class Broken:
        def frozen(self):
            raise SnapshotError("gone", "a file", "none")

    bulk = Bulk(Broken(), Counts(), LIMITS)
    for answer in (ask(bulk, {"imeis": [BLACK]}), ask(bulk, b"", method="GET", path=LISTS)):
        assert (answer.status, json.loads(answer.body)["cause"]) == (503, "SYSTEM_FAILURE")


# ---- one moment ----


def test_all_rows_are_answered_by_one_moment(tmp_path):
    """While two phones are blocked and let go together, no answer has one without the other, and each names
    the change that it knows."""
    register = Register()
    register.add("stolen", [], status=EquipmentStatus.BLACKLISTED)
    pair = [BLACK, CLEAR]
    with Store.create(tmp_path / "eir", register) as store:
        bulk, ended = Bulk(store, Counts(), LIMITS), threading.Event()

        def change():
            while not ended.is_set():
                store.apply(Delta("stolen", add=pair))
                store.apply(Delta("stolen", remove=pair))

        writer = threading.Thread(target=change)
        writer.start()
        try:
            for query in ["", "details=true", "malformed=report"] * 100:
                rows = [BLACK, *(["x"] if "report" in query else []), CLEAR]
                answer = ask(bulk, {"imeis": rows}, query=query)
                found = [one.get("status") for one in json.loads(answer.body)["results"]]
                change_of = int(dict(answer.headers)["imeiset-sequence"])
                want = "blacklisted" if change_of % 2 else "whitelisted"
                assert (found[0], found[-1]) == (want, want)
        finally:
            ended.set()
            writer.join()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text().map(str.encode), st.sampled_from([JSON, LINES, ipc.KIND]),
       st.booleans())  # fmt: skip
def test_any_body(store, body, kind, report):
    """Whatever comes: an answer, which is not a fault of the server."""
    answer = ask(Bulk(store, Counts(), LIMITS), body, kind, "malformed=report" if report else "")
    assert answer.status in (200, 400)
