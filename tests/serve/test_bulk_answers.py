"""Whatever column, policy and form: the answers are those of `Store.check`, row by row."""

import io
import json
from datetime import date
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import EquipmentStatus, ImeiError, ImeiSet, ImsiError, Policy, Register, Store
from imeiset.serve.http import arrow_form, checks, formats
from imeiset.serve.http.bulk import CHECKS, Bulk
from imeiset.serve.state import Counts

W, B, G, U = EquipmentStatus
LIMITS = SimpleNamespace(rows=10_000, bytes=8_000_000)
ARROW = "application/vnd.apache.arrow.stream"
STOLEN, FOUND, PAIRED, CLONED, LOCKED = (
    "490154203237518", "356938035643809", "358091016853550", "352099001761481", "353879234252633"
)  # fmt: skip
IMSI, OTHER = "234150999999999", "262019876543210"
POLICIES = {
    "usual": Policy(),
    "type 2": Policy(response_type=2),
    "type 3": Policy(response_type=3, unlisted=W),
    "malformed are grey": Policy(malformed=G),
    "malformed are black, IMEIs first": Policy(
        response_type=2, malformed=B, precedence=("exact", "pair", "range", "tac", "imsi")
    ),
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A store by policy, and by whether its lists have texts."""
    made = {}
    for name, policy in POLICIES.items():
        for texts in (False, True):
            register = Register(policy)
            stolen = ImeiSet([STOLEN, "ABC*12", "4901"], irregular="keep") if texts else [STOLEN]
            register.add("stolen", stolen, status=B, reason="theft", owner="op-a")
            register.add(
                "found", [FOUND, "860123450000012"], status=G, reasons=["lost|in", ""],
                dates=["20240229", None], until=["2030-01-31", "2031-01-01"],
            )  # fmt: skip
            register.add_tacs("models", ["86012346"], status=B)
            register.add_ranges("batch", ["35000000000000"], ["35000000009999"], status=W)
            register.exempt("paired", [PAIRED], [IMSI])
            register.lock("locked", [LOCKED], [IMSI], until=["2032-02-03"])
            register.block("cloned", [CLONED], [OTHER], until=["2033-03-04"])
            register.add_imsis("barred", ["2341599"], status=B)
            made[name, texts] = Store.create(tmp_path_factory.mktemp("stores") / "eir", register)
    yield made
    for store in made.values():
        store.close()


imeis = st.one_of(
    st.sampled_from(
        [STOLEN, FOUND, PAIRED, CLONED, LOCKED, "860123450000012", "860123460000018", "350000000012345",
         STOLEN[:14], STOLEN + "1", f" {STOLEN}", f"imei-{STOLEN}", "49-015420-323751-8", f"{STOLEN[:14]}#",
         "ABC*12", "abc*12", "4901", "", " ", "x", "49015420323751x", f"{STOLEN[:14]}\0",
         "4901542032375188888",
         '49015420"', "\\u0034", "\ud800", "\uff14\uff19\uff10" * 5, "49015420323751\x7f", None]
    ),
    st.integers(0, 10**15 - 1).map("{:015d}".format),
    st.text("0123456789ABC*#-, \t\"\\é", max_size=18),
)  # fmt: skip
imsis = st.sampled_from(
    [IMSI, OTHER, "234159900000001", f"imsi-{IMSI}", "nai-x", None, "", "2341", "23415x", "é" * 6, "1" * 16]
)
rows = st.lists(st.tuples(imeis, imsis), max_size=40)
options = st.tuples(st.booleans(), st.booleans())  # details, malformed=report


def expected(store, imei, imsi):
    """What `check` says of one row, in the words of the answer with details, or why it does not."""
    try:
        verdict = store.check(imei, imsi)
    except ImeiError as error:
        return {"error": error.status.name.lower()}
    except ImsiError:
        return {"error": "imsi"}
    until = None
    if verdict.list is not None:
        claim = next(claim for claim in store.explain(imei, imsi) if claim.decided)
        until = claim.until and claim.until.isoformat()
    return {**verdict.to_dict(), "until": until}


def ask(store, body, kind, details, report, accept=None):
    bulk = Bulk(store, Counts(), LIMITS)
    query = f"details={str(details).lower()}" + ("&malformed=report" if report else "")
    headers = {"content-type": kind} | ({"accept": accept} if accept else {})
    return bulk.answer("POST", CHECKS, query, headers, body), bulk.counts


def compare(store, rows, body, kind, details, report, read, named):
    """The answer to these rows. read: makes it rows as JSON has them with details."""
    answer, counts = ask(store, body, kind, details, report)
    want = [expected(store, *row) for row in rows]
    wrong = [row for row, one in enumerate(want) if "error" in one]
    if wrong and not report:
        told = json.loads(answer.body)
        assert (answer.status, told["cause"], told["row"]) == (400, "malformed_row", wrong[0])
        assert told["detail"].startswith(named(wrong[0]) + ": ")
        assert counts.checks == {}
        return
    assert answer.status == 200, answer
    if not details:
        want = [{key: one[key] for key in ("status", "error") if key in one} for one in want]
    assert read(answer.body, details) == want
    assert sum(counts.checks.values()) == len(rows) - len(wrong)
    assert counts.errors.get(("http", "malformed_row"), 0) == len(wrong)
    if details:
        tally = {}
        for one in want:
            if "status" in one:
                key = "http", formats.STATUSES.index(one["status"]), one["rule"]
                tally[key] = tally.get(key, 0) + 1
        assert counts.checks == tally


def of_json(body, details):
    return json.loads(body)["results"]


def of_lines(body, details):
    found = []
    for line in body.decode().removesuffix("\n").split("\n") if body else ():
        first, *others = line.split(",")
        if first.startswith("error:"):
            found.append({"error": first[6:]})
        elif details:
            of_list, rule, reasons, since, until = others
            found.append(
                {"status": first, "list": of_list or None, "rule": rule,
                 "reasons": reasons.split("|") if reasons else [], "date": since or None,
                 "until": until or None}
            )  # fmt: skip
        else:
            found.append({"status": first})
    return found


def of_arrow(body, details):
    pa = pytest.importorskip("pyarrow")
    found = []
    for row in pa.ipc.open_stream(body).read_all().to_pylist():
        if row.get("error"):
            assert {row[name] for name in row if name != "error"} == {None}
            found.append({"error": row["error"]})
            continue
        row.pop("error", None)
        if details:
            row["reasons"] = row["reasons"].split("|") if row["reasons"] else []
            for name in ("date", "until"):
                row[name] = row[name] and date.isoformat(row[name])
        found.append(row)
    return found


policies = st.tuples(st.sampled_from([*POLICIES]), st.booleans())


@settings(max_examples=200)
@given(rows, policies, options, st.booleans(), st.sampled_from([None, (",", ":"), 1]))
def test_json(stores, rows, policy, options, with_imsis, layout):
    store = stores[policy]
    asked = {"imeis": [imei for imei, _ in rows]}
    if with_imsis:
        asked["imsis"] = [imsi for _, imsi in rows]
    else:
        rows = [(imei, None) for imei, _ in rows]
    body = json.dumps(asked, indent=1) if layout == 1 else json.dumps(asked, separators=layout)
    compare(store, rows, body.encode(), "application/json", *options, of_json, "imeis[{}]".format)


@settings(max_examples=200)
@given(rows, policies, options, st.booleans(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_lines(stores, rows, policy, options, with_imsis, newline, ended):
    store, rows = stores[policy], [(imei or "", imsi or "") for imei, imsi in rows]
    rows = [(imei.replace(",", ""), imsi) for imei, imsi in rows if "\ud800" not in imei]
    if not with_imsis:
        rows = [(imei, None) for imei, _ in rows]
    lines = [imei if imsi is None else f"{imei},{imsi}" for imei, imsi in rows]
    if lines and not lines[-1]:
        ended = True  # a last line that is empty is one only if it ends
    body = newline.join(lines) + (newline if ended and lines else "")
    rows = [(imei.encode(), imsi and imsi.encode()) for imei, imsi in rows]
    named = lambda row: f"line {row + 1}"  # noqa: E731
    compare(store, rows, body.encode(), "text/plain", *options, of_lines, named)


@settings(max_examples=100)
@given(rows, policies, options, st.booleans(), st.sampled_from(["string", "large_string", "string_view",
       "binary", "binary_view", "dictionary"]), st.integers(1, 9))  # fmt: skip
def test_arrow(stores, rows, policy, options, with_imsis, kind, size):
    pa = pytest.importorskip("pyarrow")
    store = stores[policy]
    rows = [(imei, imsi) for imei, imsi in rows if imei != "\ud800"]
    columns = [*zip(*rows, strict=True)] if rows else [(), ()]
    table = {"imei": columns[0]} | ({"imsi": columns[1]} if with_imsis else {})
    made = {}
    for name, values in table.items():
        column = pa.array(values, pa.string())
        if kind == "dictionary":
            made[name] = column.dictionary_encode()
        else:
            of_type = getattr(pa, kind)()
            texts = [value.encode() if value is not None else None for value in values]
            made[name] = pa.array(texts if "binary" in kind else values, of_type)
    rows = [(imei, imsi if with_imsis else None) for imei, imsi in rows]
    rows = [tuple(one and one.encode() if one is not None else None for one in row) for row in rows]
    table, out = pa.table(made), io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=size)
    compare(store, rows, out.getvalue(), ARROW, *options, of_arrow, "row {}".format)


# ---- the short way of plain JSON is JSON ----

plain = st.one_of(
    st.integers(0, 10**15 - 1).map("{:015d}".format), st.sampled_from(["490154203237518", "4901542032375188"])
)


@st.composite
def nearly_plain(draw):
    """A body that is plain, or nearly: one thing in it may be another."""
    texts = draw(st.lists(plain, min_size=1, max_size=8))
    between = draw(st.sampled_from(['","', '", "', '" ,"', '",\n"', '","",""']))
    body = draw(st.sampled_from(['{"imeis":["', '{"imeis": ["', ' {\n"imeis" : [ "'])) + between.join(texts)
    body += draw(
        st.sampled_from(['"]}', '" ] }\n', '"],"imsis":null}', '"]', '"]}}', '","imeis":["1"]}', '"}'])
    )
    if draw(st.booleans()):
        at = draw(st.integers(0, len(body)))
        new = draw(
            st.sampled_from(['"', "\\", "\n", "\t", "\0", " ", "-", ",", "5", "é", "[", "\\u0030", '","'])
        )
        body = body[:at] + new + body[at + draw(st.integers(0, 2)) :]
    return body.encode()


@settings(max_examples=600)
@given(nearly_plain())
def test_plain_json_is_read_as_json_is(body):
    found = formats.plain_imeis(body)
    if found is not None:
        read = json.loads(body)
        assert read.keys() == {"imeis"}
        want = checks.RequestRows.of(read["imeis"], None, str)
        assert found.keys.tolist() == want.keys.tolist()
        assert not want.status.any()
        assert [found.value()(row).decode() for row in range(len(found.keys))] == read["imeis"]


def test_plain_json_is_recognised():
    for separators in (None, (",", ":")):
        for rows in (1, 2, 50):
            body = json.dumps({"imeis": [STOLEN] * rows}, separators=separators).encode()
            assert len(formats.plain_imeis(body).keys) == rows


@settings(max_examples=200)
@given(st.lists(st.sampled_from([STOLEN, FOUND, STOLEN[:14], "", f"\r{STOLEN[:14]}", f"{STOLEN[:14]}\r",
       "x" * 15, f"{STOLEN[:13]}\n8", f"{STOLEN[:14]}\0"]), max_size=8), st.booleans())  # fmt: skip
def test_regular_lines_are_read_as_lines_are(lines, ended):
    from imeiset import parse

    body = "\n".join(lines).encode() + (b"\n" if ended else b"")
    found = formats.FORMS["text/plain"].read(body, 100)
    keys, status = parse(body)
    assert (found.keys.tolist(), found.status.tolist()) == (keys.tolist(), status.tolist())
    assert formats.count_lines(body) == len(keys)


@given(st.lists(st.integers(0, 3), max_size=30))
def test_forms_answer_alike(codes):
    """And a client may ask in one and be answered in another."""
    import numpy as np

    answers = checks.RowAnswers(np.array(codes, np.uint8), {}, dict, False)
    words = [formats.STATUSES[code] for code in codes]
    assert [
        one["status"] for one in of_json(formats.FORMS["application/json"].write(answers), False)
    ] == words
    assert [one["status"] for one in of_lines(formats.FORMS["text/plain"].write(answers), False)] == words
    assert [one["status"] for one in of_arrow(arrow_form.write(answers), False)] == words
