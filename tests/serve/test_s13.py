"""ME-Identity-Check, row by row of the table of its answers."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imeiset import Delta, EquipmentStatus, ImeiSet, Policy, Register, Store
from imeiset.serve.diameter import s13
from imeiset.serve.state import Counts

from .messages import (
    DRMP,
    FAILED,
    GPP,
    HOST,
    IMEI,
    PROXY_HOST,
    PROXY_INFO,
    PROXY_STATE,
    REALM,
    RESULT,
    S13,
    SESSION,
    STATUS,
    TERMINAL,
    USER_NAME,
    avp,
    check,
    imei,
    message,
    origin,
    read,
    terminal,
)

BLACK, GREY, WHITE = "490154203237518", "356938035643809", "352099001761481"
UNLISTED = "860123450000012"
ME = "eir.example.org", "example.org"


def register(policy=None):
    made = Register(policy or Policy(response_type=2))
    made.add("stolen", [BLACK], status=EquipmentStatus.BLACKLISTED)
    made.add("found", [GREY], status=EquipmentStatus.GREYLISTED)
    made.add("fleet", [WHITE], status=EquipmentStatus.WHITELISTED)
    return made


class Asked:
    """Answers of a store, read, and what was counted."""

    def __init__(self, store):
        self.counts = Counts()
        self.checks = s13.IdentityChecks(store, *ME, self.counts)

    def __call__(self, request):
        answer = read(self.checks.answer(request))
        sent = request[4], request[5:8], request[8:12], request[12:20]
        assert answer.command == int.from_bytes(sent[1])
        assert answer.application == int.from_bytes(sent[2])
        assert answer.hop.to_bytes(4) + answer.end.to_bytes(4) == sent[3]
        # No R, no T; P as in the request; E where Diameter itself says no.
        assert answer.flags == sent[0] & 0x40 | (0x20 if 3000 <= answer.result < 4000 else 0)
        assert (answer[HOST], answer[REALM]) == (b"eir.example.org", b"example.org")
        if SESSION in answer:
            assert answer.codes[0] == SESSION
        return answer

    def errors(self):
        return {
            cause: n for (interface, cause), n in self.counts.totals().errors.items() if interface == "s13"
        }


@pytest.fixture
def ask():
    return Asked(register())


# ---- statuses ----


@pytest.mark.parametrize(("phone", "status"), [(WHITE, 0), (BLACK, 1), (GREY, 2)])
def test_statuses(ask, phone, status):
    answer = ask(check(phone))
    assert answer.codes == [SESSION, RESULT, 277, HOST, REALM, STATUS]
    assert (answer[SESSION], answer.result) == (b"mme;1;2", 2001)
    assert answer[STATUS] == status.to_bytes(4)
    assert answer[277] == b"\0\0\0\1"  # NO_STATE_MAINTAINED
    assert ask.counts.totals().checks == {("s13", status, "exact"): 1}


def test_unknown_equipment_has_no_result_code(ask):
    answer = ask(check(UNLISTED))
    assert answer.codes == [SESSION, 297, 277, HOST, REALM]
    assert answer.result == 5422
    assert ask.counts.totals().checks == {("s13", 3, "default"): 1}
    assert ask.errors() == {}


def test_bytes_of_an_answer(ask):
    """Held against the document by hand: codes, flags, vendors, order."""
    answer = ask.checks.answer(check(BLACK, hop=0x01020304, end=0x05060708))
    assert answer.hex() == (
        "01000078" "40000144" "01000024" "01020304" "05060708"
        "00000107" "4000000f" "6d6d653b313b32" "00"
        "0000010c" "4000000c" "000007d1"
        "00000115" "4000000c" "00000001"
        "00000108" "40000017" "6569722e6578616d706c652e6f7267" "00"
        "00000128" "40000013" "6578616d706c652e6f7267" "00"
        "000005a5" "c0000010" "000028af" "00000001"
    )  # fmt: skip


@pytest.mark.parametrize("kept", [BLACK[:14], BLACK, BLACK[:14] + "01"])
@pytest.mark.parametrize("asked", [BLACK[:14], BLACK, BLACK[:14] + "0", BLACK[:14] + "99"])
@pytest.mark.parametrize("imsi", [None, "234150999999999"])
def test_14_15_and_16_digits_are_the_same_phone(kept, asked, imsi):
    made = Register()
    made.add("stolen", [kept], status=EquipmentStatus.BLACKLISTED)
    assert Asked(made)(check(asked, imsi))[STATUS] == b"\0\0\0\1"


@pytest.mark.parametrize("imsi", [None, "23415", "234150999999999", "001010000000001"])
def test_a_subscriber_changes_nothing_where_no_rule_is_about_him(ask, imsi):
    assert ask(check(BLACK, imsi))[STATUS] == b"\0\0\0\1"
    assert ask(check(UNLISTED, imsi)).result == 5422


def test_rules_about_subscribers():
    made = register()
    made.exempt("paired", [BLACK], ["234150999999999"])
    made.add_imsis("roamers", ["00101"], status=EquipmentStatus.GREYLISTED)
    ask = Asked(made)
    assert ask(check(BLACK, "234150999999999"))[STATUS] == b"\0\0\0\0"
    assert ask(check(BLACK, "234150999999998"))[STATUS] == b"\0\0\0\1"
    assert ask(check(BLACK))[STATUS] == b"\0\0\0\1"
    assert ask(check(UNLISTED, "001010000000001"))[STATUS] == b"\0\0\0\2"
    assert ask.counts.totals().checks == {
        ("s13", 0, "pair"): 1,
        ("s13", 1, "exact"): 2,
        ("s13", 2, "imsi"): 1,
    }


@pytest.mark.parametrize("version", [None, "01"])
def test_what_else_stands_in_terminal_information_changes_nothing(ask, version):
    more = [avp(1403, version, vendor=GPP)] if version else []
    meid = avp(1471, b"A0000000002329", vendor=GPP, flags=0x80)
    request = message(
        324, avp(SESSION, "s"), terminal(meid, *more, imei(BLACK[:14])), application=S13, flags=0xC0
    )
    assert ask(request)[STATUS] == b"\0\0\0\1"


def test_a_change_of_the_store_is_answered_with_the_next_refresh(tmp_path):
    with Store.create(tmp_path / "eir", register()) as writer:
        reader = Store.open(tmp_path / "eir")
        ask = Asked(reader)
        assert ask(check(UNLISTED)).result == 5422
        writer.apply(Delta("stolen", add=[UNLISTED], date=datetime.date(2024, 2, 29)))
        reader.refresh()
        assert ask(check(UNLISTED))[STATUS] == b"\0\0\0\1"
        reader.close()


# ---- what is copied ----


def proxy(host, state):
    return avp(PROXY_INFO, [avp(PROXY_HOST, host), avp(PROXY_STATE, state)])


def test_proxies_in_order_and_priority(ask):
    more = [
        proxy("a", b"1"),
        avp(282, "mme"),
        proxy("b", b""),
        avp(DRMP, 3, flags=0),
        proxy("a", b"\0\1\2\3\4"),
    ]
    for phone in (BLACK, UNLISTED, "nonsense"):
        answer = ask(check(phone, None, *more))
        assert answer.codes[:2] == [SESSION, DRMP]
        assert answer[DRMP] == b"\0\0\0\3"
        assert answer.codes[-3:] == [PROXY_INFO] * 3
        proxies = [data for code, data in answer.avps if code == PROXY_INFO]
        assert [dict(one)[PROXY_HOST] for one in proxies] == [b"a", b"b", b"a"]
        assert [dict(one)[PROXY_STATE] for one in proxies] == [b"1", b"", b"\0\1\2\3\4"]
        assert 282 not in answer


def test_flags_of_what_is_copied_stay(ask):
    answer = ask.checks.answer(check(BLACK, None, avp(PROXY_INFO, b"", flags=0x60), session="x"))
    assert answer.endswith(bytes.fromhex("0000011c60000008"))


@pytest.mark.parametrize("flags", [0x80, 0xC0, 0x90, 0xD0, 0x8F])
def test_retransmissions_and_flags(ask, flags):
    assert ask(check(BLACK, flags=flags))[STATUS] == b"\0\0\0\1"


def test_the_session_is_copied_wherever_it_stands(ask):
    request = message(324, terminal(imei(BLACK)), origin(), avp(SESSION, "late\xe9"), application=S13)
    answer = ask(request)
    assert answer[SESSION] == "late\xe9".encode()
    assert answer.codes[0] == SESSION


# ---- errors ----


def errors():
    me = avp(SESSION, "mme;1;2")
    phone = terminal(imei(BLACK))

    def request(*avps, command=324, application=S13, flags=0xC0):
        return message(command, *avps, application=application, flags=flags)

    wrong = avp(999, b"abc")
    vendors = avp(999, b"abc", vendor=10)
    yield "no Session-Id", request(phone), 5005, [(SESSION, b"")]
    yield "no Terminal-Information", request(me), 5005, [(TERMINAL, [])]
    yield "nothing at all", request(), 5005, [(SESSION, b"")]
    yield "no IMEI", request(me, terminal()), 5005, [(TERMINAL, [(IMEI, b"")])]
    meid = avp(1471, b"A0000000002329", vendor=GPP, flags=0x80)
    yield "a MEID alone", request(me, terminal(meid)), 5005, [(TERMINAL, [(IMEI, b"")])]
    of_nobody = avp(IMEI, BLACK, flags=0)
    yield "an IMEI of no vendor", request(me, terminal(of_nobody)), 5005, [(TERMINAL, [(IMEI, b"")])]
    yield "an IMEI outside", request(me, imei(BLACK)), 5005, [(TERMINAL, [])]

    for text in (
        "",
        "4901542032375",
        BLACK + "12",
        BLACK[:-1] + "x",
        "49-015420-323751-8",
        "imei-" + BLACK[:9],
    ):
        yield f"IMEI {text}", check(text), 5004, [(TERMINAL, [(IMEI, text.encode())])]
    for raw in (
        b"\xff" * 15,
        "٤٩٠١٥٤٢٠٣٢٣٧٥١٨".encode(),
        b"4901542032375\0",
        BLACK.encode() + b" ",
        b"\x94\x10\x45\x02\x23\x73\x15\xf8",
    ):
        yield f"IMEI {raw!r}", check(raw), 5004, [(TERMINAL, [(IMEI, raw)])]
    for text in (
        "",
        "2341",
        "2341509999999991",
        "23415x",
        "imsi-234150999999999",
        "234150999999999@x",
        "\uff12\uff13\uff14\uff11\uff15",
    ):
        yield f"User-Name {text}", check(BLACK, text), 5004, [(USER_NAME, text.encode())]

    yield "unknown with M", request(me, phone, wrong), 5001, [(999, b"abc")]
    yield "unknown with M of a vendor", request(me, phone, vendors), 5001, [(999, b"abc")]
    yield (
        "a known code of another vendor",
        request(me, phone, avp(SESSION, b"x", vendor=5)),
        5001,
        [(SESSION, b"x")],
    )
    yield "unknown inside", request(me, terminal(imei(BLACK), wrong)), 5001, [(TERMINAL, [(999, b"abc")])]

    yield "two sessions", request(me, phone, avp(SESSION, "other")), 5009, [(SESSION, b"other")]
    yield (
        "two phones",
        request(me, phone, terminal(imei(WHITE))),
        5009,
        [(TERMINAL, [(IMEI, WHITE.encode())])],
    )
    two = terminal(imei(WHITE), imei(BLACK))
    yield "two IMEIs", request(me, two), 5009, [(TERMINAL, [(IMEI, BLACK.encode())])]
    users = [avp(USER_NAME, "234150999999999"), avp(USER_NAME, "234150999999998")]
    yield "two subscribers", request(me, phone, *users), 5009, [(USER_NAME, b"234150999999998")]

    yield "longer than the message", request(me, phone, avp(1, "234", length=16)), 5014, [(1, b"")]
    yield "shorter than its head", request(me, phone, avp(1, "234", length=7)), 5014, [(1, b"")]
    yield "half a head", request(me, phone, b"\0\0\0\1"), 5014, [(1, b"")]
    long = terminal(avp(IMEI, BLACK, vendor=GPP, length=29))
    yield "longer than its group", request(me, long), 5014, [(TERMINAL, [(IMEI, b"")])]
    short = terminal(avp(IMEI, BLACK, vendor=GPP, length=11))
    yield "a vendor that is cut", request(me, short), 5014, [(TERMINAL, [(IMEI, b"")])]

    yield "another command", request(me, phone, command=318), 3001, None
    yield "of the base protocol", request(me, command=271, application=0), 3001, None
    yield "a check of no application", request(me, phone, application=0), 3001, None
    yield "S6a", request(me, phone, command=316, application=16777251), 3007, None
    yield "a check of S6a", request(me, phone, application=16777251), 3007, None
    yield "a check of the relay application", request(me, phone, application=0xFFFFFFFF), 3007, None
    yield "flag E", request(me, phone, flags=0xE0), 3008, None


CASES = list(errors())


@pytest.mark.parametrize(
    ("request_", "code", "failed"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_errors(ask, request_, code, failed):
    answer = ask(request_)
    assert answer.result == code
    assert STATUS not in answer
    assert [data for one, data in answer.avps if one == FAILED] == ([] if failed is None else [failed])
    assert ask.errors() == {str(code): 1}
    assert ask.counts.totals().checks == {}
    if code < 4000:
        assert 277 not in answer
    else:
        assert answer[277] == b"\0\0\0\1"
    text = answer[281].decode()
    assert not any(number in text for number in (BLACK[8:14], "9999999"))


@pytest.mark.parametrize(("request_", "code"), [case[1:3] for case in CASES], ids=[c[0] for c in CASES])
def test_an_error_copies_the_session_and_proxies(ask, request_, code):
    """Proxies are in front here: what stands behind an AVP with a wrong length is lost."""
    request = request_[:20] + proxy("a", b"1") + request_[20:]
    answer = ask(request[:1] + len(request).to_bytes(3) + request[4:])
    assert answer.result == code
    assert answer.codes[-1] == PROXY_INFO
    assert (SESSION in answer) == (avp(SESSION, "mme;1;2") in request)


def test_what_is_unknown_without_m_is_ignored(ask):
    more = [avp(999, b"abc", flags=0), avp(999, b"abc", vendor=10, flags=0x80), avp(621, b"\0\0", flags=0)]
    assert ask(check(BLACK, None, *more))[STATUS] == b"\0\0\0\1"


@pytest.mark.parametrize("status", list(EquipmentStatus))
def test_a_policy_for_malformed_input(status):
    ask = Asked(register(Policy(response_type=2, malformed=status)))
    for text in ("", "4901542032375", BLACK + "12", b"\xff" * 15):
        assert ask(check(text)).result == (5422 if status == 3 else 2001)
    assert ask.counts.totals().checks == {("s13", int(status), "malformed"): 4}
    assert ask(check(BLACK))[STATUS] == b"\0\0\0\1"
    assert ask(check(BLACK, "12")).result == 5004  # a User-Name has no such policy
    assert ask(check("49-015420-323751-8"))[STATUS] == b"\0\0\0\1"  # never another status than its own


def test_a_malformed_imei_that_is_listed():
    made = register()
    odd = ImeiSet([BLACK, "62#222222222222"], irregular="keep")
    made.add("odd", odd, status=EquipmentStatus.BLACKLISTED)
    ask = Asked(made)
    assert ask(check("62#222222222222"))[STATUS] == b"\0\0\0\1"
    assert ask(check("62#222222222223")).result == 5004
    assert ask.counts.totals().checks == {("s13", 1, "irregular"): 1}


class Broken:
    answers_malformed = False

    def check(self, imei, imsi=None):
        raise OSError(f"gone while it read {imei!r}")


def test_a_store_that_cannot_be_read(caplog):
    ask = Asked(Broken())
    for _ in range(3):
        answer = ask(check(BLACK))
        assert (answer.result, answer[SESSION]) == (5012, b"mme;1;2")
    assert ask.errors() == {"5012": 3}
    assert [record.getMessage() for record in caplog.records] == ["a check failed: OSError"]
    ask.checks.store = register()
    assert ask(check(BLACK))[STATUS] == b"\0\0\0\1"


def test_while_shutting_down(ask):
    ask.checks.closing = True
    answer = ask(check(BLACK, None, proxy("a", b"1")))
    assert answer.result == 3004
    assert answer.codes[-1] == PROXY_INFO
    assert ask(message(316, application=16777251)).result == 3007


# ---- anything ----


@given(st.data())
def test_a_request_that_was_changed_gets_one_whole_answer(data):
    request = bytearray(check(BLACK, "234150999999999", proxy("a", b"1"), avp(DRMP, 3, flags=0)))
    for _ in range(data.draw(st.integers(1, 6))):
        request[data.draw(st.integers(4, len(request) - 1))] = data.draw(st.integers(0, 255))
    answer = Asked(register()).checks.answer(bytes(request))
    assert int.from_bytes(answer[1:4]) == len(answer)
    assert answer[4] & 0x80 == 0
    assert answer[12:20] == request[12:20]
