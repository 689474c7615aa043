"""Our OpenAPI document: sound, complete, and true, as schemathesis finds out by asking."""

import io
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imeiset import EquipmentStatus, ParseStatus, Policy, Register, Store
from imeiset.register.kinds import KINDS, RULES
from imeiset.serve import app
from imeiset.serve.http import bulk, checks, openapi
from imeiset.serve.http.formats import FORMS

BLACK = "490154203237518"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    register = Register(Policy(response_type=2))
    register.add("stolen", [BLACK], status=EquipmentStatus.BLACKLISTED, reason="theft", dates=["20240229"])
    with Store.create(tmp_path_factory.mktemp("store") / "eir", register) as store:
        yield store


@pytest.fixture(scope="module")
def document():
    return json.loads(openapi.document())


def schema(document, name):
    return document["components"]["schemas"][name]


def test_it_is_openapi(document):
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(document)


def test_words_are_those_of_the_code(document):
    """So that a client which reads the document knows every word it may get."""
    assert schema(document, "Status")["enum"] == list(checks.STATUSES)
    assert schema(document, "EquipmentStatus")["enum"] == [
        status.name for status in list(EquipmentStatus)[:3]
    ]
    assert {*schema(document, "List")["properties"]["kind"]["enum"]} == {*KINDS}
    assert {*schema(document, "List")["properties"]["counts"]["propertyNames"]["enum"]} == {*RULES}
    # Those of integers cannot be: a number is refused. Nor those of check digits, which nobody requires.
    numbers = {"NEGATIVE", "OUT_OF_RANGE", "FIFTEEN_DIGITS", "WRONG_TYPE"}
    digits = {"OK", "CHECK_DIGIT", "CHECK_DIGIT_SPARE", "NO_CHECK_DIGIT"}
    words = {status.name.lower() for status in ParseStatus if status.name not in numbers | digits} | {"imsi"}
    assert {*schema(document, "CheckError")["properties"]["error"]["enum"]} == words
    post = document["paths"][bulk.CHECKS]["post"]
    for forms in (post["requestBody"]["content"], post["responses"]["200"]["content"]):
        assert forms.keys() == FORMS.keys()


def test_causes_are_told(document):
    told = re.findall(r"\b[a-z]+_[a-z_]+\b|\b[A-Z]+_[A-Z_]+\b", json.dumps(document["paths"]))
    said_by_a_type = {"not_found", "unsupported_media_type", "not_acceptable"}
    assert {*bulk.CAUSES} - said_by_a_type <= {*told}


def test_every_reference_leads_somewhere(document):
    for reference in re.findall(r'"\$ref": "#/([^"]*)"', json.dumps(document)):
        found = document
        for key in reference.split("/"):
            found = found[key]
        assert found


def test_examples_are_answered(document, store):
    """And the answers are as the document has them."""
    validator = pytest.importorskip("jsonschema").Draft202012Validator
    answered = bulk.Bulk(store, None, type("Limits", (), {"rows": 100, "bytes": 10_000}))
    for name in ("CheckResults", "Lists", "ProblemDetails"):
        whole = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        check = validator(whole).validate
        if name == "Lists":
            for query in ("", "digests=true"):
                check(json.loads(answered.answer("GET", bulk.LISTS, query, {}, b"").body))
            continue
        bad = {"imeis": ["x", BLACK]}
        for asked in [*schema(document, "Checks")["examples"], bad]:
            for query in ("", "details=true", "malformed=report", "details=true&malformed=report"):
                answer = answered.answer(
                    "POST",
                    bulk.CHECKS,
                    query,
                    {"content-type": "application/json"},
                    json.dumps(asked).encode(),
                )
                refused = asked is bad and "report" not in query
                assert answer.status == (400 if refused else 200)
                if refused == (name == "ProblemDetails"):
                    check(json.loads(answer.body))


def stream(values):
    """An Arrow stream of IMEIs."""
    na = pytest.importorskip("nanoarrow")
    from nanoarrow.ipc import StreamWriter

    column = na.c_array(values, na.string())
    out = io.BytesIO()
    with StreamWriter.from_writable(out) as writer:
        rows = na.c_array_from_buffers(
            na.struct({"imei": na.string()}), len(values), [None], children=[column]
        )
        writer.write_stream(rows)
    return out.getvalue()


def test_it_is_true(store):
    """What schemathesis makes of the document, as it should be and as it should not, is answered as the
    document says by the application itself."""
    schemathesis = pytest.importorskip("schemathesis")
    from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

    # Of a row the document tells the usual form: more is understood, or may be reported in its place. And it
    # cannot tell that there are as many IMSIs as IMEIs.
    untold = {bulk.CHECKS: [negative_data_rejection, positive_data_acceptance]}
    imeis = st.lists(st.integers(0, 10**15 - 1).map("{:015d}".format), max_size=5)
    schemathesis.openapi.media_type("application/vnd.apache.arrow.stream", imeis.map(stream))
    described = schemathesis.openapi.from_asgi("/openapi.json", app(store))
    statuses = set()

    def ask(case, sound):
        answer = case.call_and_validate(excluded_checks=untold.get(case.path, []))
        statuses.add(answer.status_code)
        if sound and answer.status_code == 400:
            assert "imsis: expected " in answer.json()["detail"]

    often = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    for operation in described.get_all_operations():
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            cases = operation.ok().as_strategy(generation_mode=mode)
            sound = mode is schemathesis.GenerationMode.POSITIVE
            often(given(case=cases, sound=st.just(sound))(ask))()
    assert {200, 400, 404} <= statuses
