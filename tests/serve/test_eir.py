"""The contract of a 5G equipment identity register, row by row, and queries in every form."""

import json
import re
import string
import time
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imeiset import EquipmentStatus, ImeiSet, Policy, Register, StoreError
from imeiset.serve.http.eir import PATH, Eir
from imeiset.serve.state import Counts

W, B, G, U = EquipmentStatus
BLACK, GREY, WHITE, OTHER = "490154203237518", "356938035643809", "352099001761481", "860123450000012"
HOME, ROAMER = "234150999999999", "262011234567890"
JSON = [("content-type", "application/json")]
PROBLEM = ("content-type", "application/problem+json")


def registers(policy=None, irregular=()):
    found = Register(policy or Policy(response_type=2))
    found.add("stolen", ImeiSet([BLACK, *irregular], irregular="keep"), status=B)
    found.add("watched", [GREY], status=G)
    found.add("known", [WHITE], status=W)
    return found


LISTS = registers()


def asked(query, register=LISTS, *, method="GET", path=PATH, **headers):
    counts = Counts()
    answer = Eir(register, counts).answer(method, path, query, headers)
    answer.body.decode()
    totals = counts.totals()
    assert sum(totals.checks.values()) + sum(totals.errors.values()) == 1  # each is counted, once
    return answer, totals


def status_of(query, register=LISTS):
    """What a phone is answered to be."""
    answer, totals = asked(query, register)
    [(interface, status, _)] = totals.checks
    assert interface == "5g"
    if status == U:
        assert answer == (404, [PROBLEM], unknown())
    else:
        assert answer == (200, JSON, b'{"status":"%s"}' % EquipmentStatus(status).name.encode())
    return EquipmentStatus(status)


def unknown():
    return b'{"status":404,"title":"Not Found","cause":"ERROR_EQUIPMENT_UNKNOWN"}'


def problem(query, register=LISTS, **request):
    """The problem details of a request that is refused: the status is that of the answer."""
    answer, totals = asked(query, register, **request)
    found = json.loads(answer.body)
    assert answer.headers[0] == PROBLEM
    assert found["status"] == answer.status
    assert not totals.checks
    assert all(value for value in found.values())
    return found


# ---- 200 and 404 ----


@pytest.mark.parametrize(
    ("pei", "status"),
    [
        (f"imei-{BLACK}", B),
        (f"imei-{GREY}", G),
        (f"imei-{WHITE}", W),
        (f"imei-{OTHER}", U),
        (f"imei-{BLACK[:14]}0", B),  # the check digit is ignored
        (f"imeisv-{BLACK[:14]}00", B),  # and the version of the software
        (f"imeisv-{BLACK[:14]}99", B),
        (f"imeisv-{OTHER[:14]}99", U),
        ("mac-00-25-96-FF-FE-12", U),
        ("mac-00-25-96-FF-FE-12-untrusted", U),
        ("eui-00-25-96-FF-FE-12-34-56", U),
        ("x", U),
        ("imei", U),
        ("é", U),
        ("imeisw-1", U),
        (f"tac-{BLACK}", U),
    ],
)
@pytest.mark.parametrize(
    "more", ["", f"&supi=imsi-{HOME}", "&gpsi=msisdn-447700900000&supported-features=1F"]
)
def test_what_a_phone_is(pei, status, more):
    assert status_of(f"pei={quote(pei)}{more}") == status


@pytest.mark.parametrize(
    ("kind", "policy", "status"),
    [(1, {}, W), (2, {}, U), (3, {}, U), (1, {"unlisted": G}, G), (2, {"unlisted": W}, W)],
)
@pytest.mark.parametrize("pei", [f"imei-{OTHER}", "mac-00-25-96-FF-FE-12", "anything"])
def test_equipment_on_no_list(kind, policy, status, pei):
    assert status_of(f"pei={pei}", registers(Policy(response_type=kind, **policy))) == status


def test_response_type_3_is_a_policy_of_the_store():
    assert status_of(f"pei=imei-{BLACK}", registers(Policy(response_type=3))) == U


@pytest.mark.parametrize("stored", [BLACK, BLACK[:14], BLACK[:14] + "77"])
@pytest.mark.parametrize("sent", [f"imei-{BLACK}", f"imeisv-{BLACK[:14]}01"])
def test_lists_of_14_15_or_16_digits_match_queries_of_15_or_16(stored, sent):
    register = Register(Policy(response_type=2))
    register.add("stolen", [stored], status=B)
    assert status_of(f"pei={sent}", register) == B


@pytest.mark.parametrize(
    "supi",
    [
        f"imsi-{HOME}",
        "imsi-23415",
        "nai-user@example.org",
        "gci-1",
        "gli-1",
        "anything",
        HOME,
        f"IMSI-{HOME}",
        "",
        "suci-0-234-15-0-0-0-1",
    ],
)
def test_a_phone_that_is_blocked_for_everybody_is_blocked_whoever_uses_it(supi):
    assert status_of(f"pei=imei-{BLACK}&supi={supi}") == B
    assert status_of(f"supi={supi}&pei=imei-{BLACK}") == B


def test_rules_about_subscribers_need_an_imsi():
    register = registers()
    register.exempt("own", [BLACK], [HOME])
    register.add_imsis("test", ["26201"], status=G)
    assert status_of(f"pei=imei-{BLACK}&supi=imsi-{HOME}", register) == W
    assert status_of(f"pei=imei-{BLACK}&supi={HOME}", register) == B
    assert status_of(f"pei=imei-{BLACK}&supi=IMSI-{HOME}", register) == B
    assert status_of(f"pei=imei-{BLACK}&supi=nai-{HOME}", register) == B
    assert status_of(f"pei=imei-{OTHER}&supi=imsi-{ROAMER}", register) == G
    # Equipment without an IMEI has a subscriber all the same.
    assert status_of(f"pei=mac-00-25-96-FF-FE-12&supi=imsi-{ROAMER}", register) == G
    assert status_of(f"pei=mac-00-25-96-FF-FE-12&supi=imsi-{HOME}", register) == U


@pytest.mark.parametrize("pei", [BLACK, BLACK[:14], f"IMEI-{BLACK}", "49-015420-323751-8", f" imei-{BLACK}"])
def test_a_blocked_phone_is_blocked_without_its_prefix_too(pei):
    assert status_of(f"pei={quote(pei)}") == B


# ---- 400 ----


def incorrect(name):
    cause = {"pei": "MANDATORY", "supi": "OPTIONAL"}[name]
    return f"{cause}_QUERY_PARAM_INCORRECT", f"query {name}"


def expect_wrong(query, cause, param, register=LISTS):
    found = problem(query, register)
    assert (found["status"], found["title"], found["cause"]) == (400, "Bad Request", cause)
    [wrong] = found["invalidParams"]
    assert wrong["param"] == param
    assert wrong["reason"]
    assert not re.search(r"\d{9}", json.dumps(found))


@pytest.mark.parametrize(
    "query", ["", "pei", "pei=", "&", "supi=imsi-23415", "PEI=imei-1", "pei=&supi=imsi-1"]
)
def test_no_pei(query):
    expect_wrong(query, "MANDATORY_QUERY_PARAM_MISSING", "query pei")


BAD_IMEIS = [
    "imei-",
    "imeisv-",
    "imei-1",
    f"imei-{BLACK[:14]}",
    f"imei-{BLACK}1",
    f"imeisv-{BLACK}",
    f"imeisv-{BLACK}01",
    f"imei-{BLACK[:14]}x",
    f"imei-{BLACK} ",
    f"imei- {BLACK}",
    f"imei-{BLACK}\n",
    f"imei-imei-{BLACK}",
    "imei-49-015420-323751-8",
    f"imei-{BLACK[:14]}\u0661",
    f"imei-{BLACK}\0",
    f"imei-{BLACK},imei-{WHITE}",
]


@pytest.mark.parametrize("pei", BAD_IMEIS)
@pytest.mark.parametrize("more", ["", "&supi=imsi-23415"])
def test_what_is_not_an_imei(pei, more):
    expect_wrong(f"pei={quote(pei)}{more}", *incorrect("pei"))


def test_a_policy_may_have_a_status_for_what_is_not_an_imei():
    register = registers(Policy(response_type=2, malformed=G))
    assert status_of("pei=imei-1", register) == G
    assert status_of("pei=imei-", register) == G
    assert status_of("pei=imeisv-49015420323x5106", register) == G
    # Whose phone it is can be read, so it is not answered as nonsense.
    assert status_of(f"pei=imei-{BLACK[:14]}", register) == B
    assert status_of("pei=mac-00-25-96-FF-FE-12", register) == U
    assert status_of(f"pei=imei-{BLACK}", register) == B


def test_irregular_identities_are_listed_as_text():
    register = registers(irregular=["62#222222222222", "ABC"])
    assert status_of("pei=imei-62%23222222222222", register) == B
    assert status_of("pei=imei-abc", register) == B
    assert status_of("pei=ABC", register) == B
    assert status_of("pei=ABD", register) == U
    assert status_of(f"pei=imei-{BLACK[:14]}", register) == B
    expect_wrong("pei=imei-62%23222222222223", *incorrect("pei"), register)


@pytest.mark.parametrize(
    "supi",
    ["imsi-", "imsi-2341", "imsi-2341x", f"imsi-{HOME}0", f"imsi-{HOME} ", "imsi-23415\u0661", "imsi--23415"],
)
@pytest.mark.parametrize("policy", [Policy(), Policy(malformed=W)])
@pytest.mark.parametrize("pei", [f"imei-{BLACK}", "mac-00-25-96-FF-FE-12"])
def test_what_is_not_an_imsi(supi, policy, pei):
    expect_wrong(f"pei={pei}&supi={quote(supi)}", *incorrect("supi"), registers(policy))


@pytest.mark.parametrize("second", [f"imei-{BLACK}", f"imei-{WHITE}", "", "x"])
@pytest.mark.parametrize("name", ["pei", "p%65i", "%70%65%69"])
def test_a_pei_that_is_given_twice_is_neither(second, name):
    expect_wrong(f"pei=imei-{BLACK}&{name}={second}", *incorrect("pei"))
    expect_wrong(f"{name}={second}&supi=imsi-{HOME}&pei=imei-{BLACK}", *incorrect("pei"))


def test_a_supi_that_is_given_twice_is_neither():
    expect_wrong(f"pei=imei-{BLACK}&supi=imsi-{HOME}&supi=imsi-{HOME}", *incorrect("supi"))
    expect_wrong(f"pei=imei-{BLACK}&supi=imsi-{HOME}&sup%69=", *incorrect("supi"))


@pytest.mark.parametrize("value", ["%", "%4", "%zz", "imei-49%", "%FF", "%C3", "%ED%A0%80", "a%80", "\udcff"])
def test_what_is_not_text(value):
    expect_wrong(f"pei={value}", *incorrect("pei"))
    expect_wrong(f"pei=imei-{BLACK}&supi={value}", *incorrect("supi"))


@pytest.mark.parametrize(
    "more",
    [
        "&gpsi=%FF",
        "&gpsi=%",
        "&x=1&x=2",
        "&%FF=1",
        "&%=",
        "&&",
        "&=",
        "&pei2=",
        "&pei%00=",
        "& pei=1",
        ";pei=1",
    ][:-1],
)
def test_unknown_parameters_are_ignored_whatever_is_in_them(more):
    assert status_of(f"pei=imei-{BLACK}{more}") == B
    assert status_of(f"{more.strip('&')}&pei=imei-{BLACK}") == B


def test_a_semicolon_separates_nothing():
    expect_wrong(f"pei=imei-{BLACK};pei=1", *incorrect("pei"))


@pytest.mark.parametrize("path", ["v2/equipment-status", "v0/equipment-status", "v10/", "v2"])
def test_another_version(path):
    found = problem(f"pei=imei-{BLACK}", path=f"/n5g-eir-eic/{path}")
    assert (found["status"], found["cause"]) == (400, "INVALID_API")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/n5g-eir-eic",
        "/n5g-eir-eic/",
        "/n5g-eir-eic/v1",
        "/n5g-eir-eic/v1/",
        f"{PATH}/",
        f"{PATH}/x",
        PATH.upper(),
        "/n5g-eir-eic/v1/equipment",
        "/n5g-eir-eic/x/equipment-status",
        "/n5g-eir-eic/v/equipment-status",
        "/n5g-eir-eic/v\u0662/equipment-status",
        f"/x{PATH}",
    ],
)
def test_another_path(path):
    found = problem(f"pei=imei-{BLACK}", path=path)
    assert (found["status"], found["cause"]) == (404, "RESOURCE_URI_STRUCTURE_NOT_FOUND")


# ---- 405, 406, 503 ----


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "X"])
def test_other_methods(method):
    answer, _ = asked(f"pei=imei-{BLACK}", method=method)
    assert (answer.status, answer.headers) == (405, [PROBLEM, ("allow", "GET")])


ACCEPTED = [
    "application/json",
    "*/*",
    "application/*",
    "application/json,application/problem+json",
    "application/problem+json, application/json",
    "text/html, */*;q=0.1",
    "APPLICATION/JSON",
    "application/json; charset=utf-8",
    "application/json;q=0.001",
    "application/*;q=0,application/json",
    "",
    " ",
]
NOT_ACCEPTED = [
    "text/html",
    "application/problem+json",
    "application/xml",
    "application/json;q=0",
    "application/json ; q=0.000",
    "*/*;q=0",
    "*/*,application/json;q=0",
    "application",
    "x",
]


@pytest.mark.parametrize("accept", ACCEPTED)
def test_accept(accept):
    assert asked(f"pei=imei-{BLACK}", accept=accept)[0].status == 200


@pytest.mark.parametrize("accept", NOT_ACCEPTED)
def test_not_acceptable(accept):
    assert problem(f"pei=imei-{BLACK}", accept=accept)["status"] == 406


def seconds_of(ask):
    """Of the processor, the least of five times 20: other work of the process does not fall into each."""

    def once():
        began = time.process_time()
        for n in range(20):
            ask(n)
        return time.process_time() - began

    return min(once() for _ in range(5))


@pytest.mark.parametrize("accept", ["text/html," * 3000, "," * 32_000, "text/html;q=1;" * 2000])
def test_a_long_accept_keeps_nobody_waiting(accept):
    def ask(n):
        assert asked(f"pei=imei-{BLACK}", accept=f"{accept}{n}")[0].status == 200

    assert seconds_of(ask) < 0.1


@pytest.mark.parametrize("part", ["&", "a&", "%41=&", "%70%65=&", "&pei%41=", "%", "pe", "+", "&gpsi=%41"])
def test_a_long_query_keeps_nobody_waiting(part):
    query = part * (2000 // len(part))

    def ask(_):
        expect_wrong(query, "MANDATORY_QUERY_PARAM_MISSING", "query pei")
        assert status_of(f"{query}&pei=imei-{BLACK}") == B

    assert seconds_of(ask) < 0.1


class Broken:
    """A store that cannot be read."""

    answers_malformed = True

    def __init__(self, error):
        self.error = error

    def check(self, imei, imsi=None):
        raise self.error

    check_unlisted = check


@pytest.mark.parametrize("error", [StoreError("eir", "a store", "nothing"), OSError("gone")])
@pytest.mark.parametrize("pei", [f"imei-{BLACK}", "imei-1", "mac-00-25-96-FF-FE-12"])
def test_a_store_that_cannot_be_read(error, pei):
    found = problem(f"pei={pei}", Broken(error))
    assert (found["status"], found["cause"]) == (503, "SYSTEM_FAILURE")
    answer, _ = asked(f"pei={pei}", Broken(error))
    assert ("retry-after", "1") in answer.headers


# ---- counts, and what is said of phones ----


def test_counts_are_handed_over_once_and_in_full():
    counts = Counts()
    eir = Eir(LISTS, counts)
    for n, pei in ((3, f"imei-{BLACK}"), (2, f"imei-{GREY}"), (1, "mac-1"), (4, "imei-1")):
        for _ in range(n):
            eir.answer("GET", PATH, f"pei={pei}", {})
    eir.answer("GET", "/", "", {})
    expected = {("5g", B, "exact"): 3, ("5g", G, "exact"): 2, ("5g", U, "default"): 1}
    assert counts.totals().checks == counts.totals().checks == expected
    assert counts.totals().errors == {
        ("5g", "MANDATORY_QUERY_PARAM_INCORRECT"): 4,
        ("5g", "RESOURCE_URI_STRUCTURE_NOT_FOUND"): 1,
    }
    eir.answer("GET", PATH, f"pei=imei-{BLACK}", {})
    assert counts.totals().checks == expected | {("5g", B, "exact"): 4}


def test_answers_are_the_same_objects():
    """Nothing is made for an answer that is given thousands of times a second, nor changed by who gets it."""
    eir = Eir(LISTS)
    for query in (f"pei=imei-{BLACK}", f"pei=imei-{OTHER}", "pei=imei-1", ""):
        assert eir.answer("GET", PATH, query, {}) is eir.answer("GET", PATH, query, {})


def test_nothing_is_logged_of_a_phone(caplog):
    with caplog.at_level("DEBUG"):
        for query in (f"pei=imei-{BLACK}", f"pei=imei-{BLACK}x", f"pei=imei-{BLACK}&supi=imsi-{HOME}x"):
            asked(query)
            asked(query, Broken(StoreError("eir", "a store", "nothing")))
    assert not re.search(r"\d{9}", caplog.text)


# ---- queries in every form, against a reader that is slow and obvious ----

_VALUES = st.one_of(
    st.sampled_from([BLACK, GREY, WHITE, OTHER, BLACK[:14], BLACK + "1", HOME, "23415", "2341"]),
    st.text(string.digits, min_size=0, max_size=17),
)
_PREFIXES = st.sampled_from(["imei-", "imei-", "imeisv-", "imsi-", "mac-", "nai-", "IMEI-", "", "msisdn-"])


@st.composite
def _written(draw, text):
    """A text as it may stand in a query: some of its characters percent-encoded."""
    form = draw(st.integers(0, 3))
    if form:
        return text
    return "".join(
        f"%{ord(c):02{draw(st.sampled_from('xX'))}}" if c.isascii() and draw(st.booleans()) else c
        for c in text
    )


@st.composite
def _queries(draw):
    parts = []
    for _ in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from(["pei", "pei", "supi", "supi", "gpsi", "supported-features", "x", ""]))
        value = (
            draw(_PREFIXES)
            + draw(_VALUES)
            + draw(st.sampled_from([""] * 6 + [" ", "+", "%2B", "%", "%FF", "a", "é"]))
        )
        parts.append(draw(_written(name)) + draw(st.sampled_from(["="] * 9 + [""])) + draw(_written(value)))
    return "&".join(parts)


def expected_of(query):
    """The status or the cause, by the reader of the standard library, and by statements of the contract."""
    pairs = parse_qsl(query, keep_blank_values=True, errors="surrogateescape")
    raw = [part.partition("=")[2] for part in query.split("&") if part]
    seen = {}
    for (name, value), written in zip(pairs, raw, strict=True):
        if name not in ("pei", "supi"):
            continue
        cause = incorrect(name)[0]
        broken = re.search("%(?![0-9A-Fa-f]{2})", written) or not value.isprintable()
        if name in seen or broken:
            return cause
        seen[name] = value
    pei, supi = seen.get("pei", ""), seen.get("supi", "")
    if not pei:
        return "MANDATORY_QUERY_PARAM_MISSING"
    if supi.startswith("imsi-") and not re.fullmatch("imsi-[0-9]{5,15}", supi):
        return "OPTIONAL_QUERY_PARAM_INCORRECT"
    if re.fullmatch("imei-[0-9]{15}|imeisv-[0-9]{16}", pei):
        return phone(re.sub("[^0-9]", "", pei)[:14])
    if pei.startswith(("imei-", "imeisv-")):
        return "MANDATORY_QUERY_PARAM_INCORRECT"
    plain = re.fullmatch("(?i:imei-(?=[0-9]{15}$)|imeisv-(?=[0-9]{16}$))?([0-9]{14,16})", pei.strip())
    return phone(plain[1][:14]) if plain else U


def phone(body):
    return {BLACK[:14]: B, GREY[:14]: G, WHITE[:14]: W}.get(body, U)


@given(_queries())
@example(f"pei=imei-{BLACK}&supi=imsi-{HOME}&gpsi=x&pei=imei-{WHITE}")
@example(f"pei=imei-{BLACK}&gpsi=&supi=imsi-1")
def test_queries_in_every_form(query):
    answer, totals = asked(query)
    [(_, *found)] = [*totals.checks, *totals.errors]
    assert found[0] == expected_of(query)
    if answer.status == 200:
        assert json.loads(answer.body) == {"status": EquipmentStatus(found[0]).name}
    elif answer.status == 404:
        assert found[0] == U


@given(st.text(), st.sampled_from(["", f"pei=imei-{BLACK}&", f"&pei=imei-{BLACK}"]))
def test_any_text_is_answered(text, given_too):
    for query in (text + given_too, given_too + text):
        answer, _ = asked(query)
        assert answer.status in (200, 400, 404)
