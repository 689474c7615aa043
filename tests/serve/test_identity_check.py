"""Native answers to identity checks, held equal to those of the twin in Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import EquipmentStatus, ImeiSet, Policy, Register
from imeiset._native.identity_check import AT_A_TIME, COUNTED, Requests
from imeiset.serve.diameter import s13
from imeiset.serve.diameter.messages import LONGEST, Header, length_of
from imeiset.serve.state import Counts

from .messages import (
    DRMP,
    GPP,
    IMEI,
    PROXY_INFO,
    S13,
    SESSION,
    TERMINAL,
    USER_NAME,
    avp,
    check,
    message,
    split,
)

BLACK, GREY, WHITE = "490154203237518", "356938035643809", "352099001761481"
PHONES = (BLACK, GREY, WHITE, "860123450000012", "353490061234567", BLACK[:14], WHITE[:14] + "01")
SUBSCRIBERS = ("234150999999999", "001010000000001", "23415", "310150123456789")


def register(policy):
    made = Register(policy)
    made.add(
        "stolen", ImeiSet([BLACK, "62#222222222222"], irregular="keep"), status=EquipmentStatus.BLACKLISTED
    )
    made.add("found", [GREY, WHITE], status=EquipmentStatus.GREYLISTED, dates=["20240229", "20240301"])
    made.add("fleet", [WHITE], status=EquipmentStatus.WHITELISTED)
    made.add_ranges("batch", ["35349006000000"], ["35349006999999"], status=EquipmentStatus.BLACKLISTED)
    made.add_imsis("roamers", ["00101"], status=EquipmentStatus.GREYLISTED)
    made.exempt("paired", [BLACK], ["234150999999999"])
    made.block("clones", [GREY], ["310150123456789"])
    return made


REGISTERS = [
    *(register(Policy(response_type=kind)) for kind in (1, 2, 3)),
    register(Policy(malformed=EquipmentStatus.GREYLISTED)),
    register(
        Policy(unlisted=EquipmentStatus.BLACKLISTED, precedence=("exact", "tac", "range", "imsi", "pair"))
    ),
]

raw = st.binary(max_size=20)
texts = st.one_of(st.sampled_from(PHONES), st.text("0123456789", min_size=12, max_size=18), raw)
users = st.one_of(st.sampled_from(SUBSCRIBERS), st.text("0123456789", max_size=17), raw)
flags = st.sampled_from([0x00, 0x40, 0x20, 0x60])


@st.composite
def pieces(draw):
    """Any AVP that a request may have, or not."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return avp(draw(st.integers(0, 2000)), draw(raw), flags=draw(flags))
    if kind == 1:
        vendor = draw(st.sampled_from([0, GPP, 10]))
        return avp(draw(st.sampled_from([1, 263, 301, 628, 1401, 1402, 1403, 1445, 1471])), draw(raw),
                   vendor=vendor, flags=0x80 | draw(flags))  # fmt: skip
    if kind == 2:
        return avp(PROXY_INFO, draw(raw), flags=draw(flags))
    if kind == 3:
        return avp(DRMP, draw(raw), flags=draw(flags))
    if kind == 4:
        return avp(USER_NAME, draw(users))
    if kind == 5:
        return avp(draw(st.sampled_from([25, 55, 258, 260, 264, 277, 278, 282, 283, 293, 296])), draw(raw))
    if kind == 6:
        return avp(draw(st.integers(0, 500)), draw(raw), length=draw(st.integers(0, 64)))
    if kind == 7:
        return avp(SESSION, draw(raw))
    return b""


@st.composite
def terminals(draw):
    inner = [avp(IMEI, draw(texts), vendor=GPP), draw(pieces()), avp(1403, draw(raw), vendor=GPP)]
    whole = avp(TERMINAL, draw(st.permutations(inner)), vendor=GPP)
    if draw(st.booleans()):  # without the padding at its end
        return avp(
            TERMINAL, b"".join([avp(1471, "x", vendor=GPP), avp(IMEI, BLACK, vendor=GPP)])[:-1], vendor=GPP
        )
    return whole


@st.composite
def requests(draw):
    """A message: most are plain requests, or nearly."""
    if draw(st.integers(0, 2)):
        more = draw(st.lists(pieces().filter(len), max_size=2))
        imsi = draw(st.one_of(st.none(), users))
        flag = draw(st.sampled_from([0xC0, 0x80, 0xD0]))
        hop = draw(st.integers(0, 2**32 - 1))
        made = check(draw(texts), imsi, *more, session=draw(raw), flags=flag, hop=hop)
    else:
        parts = [avp(SESSION, draw(raw)), draw(terminals()), *draw(st.lists(pieces(), max_size=4))]
        made = message(
            draw(st.sampled_from([324, 324, 324, 316, 257])), *draw(st.permutations(parts)),
            application=draw(st.sampled_from([S13, S13, 0, 16777251])),
            flags=draw(st.integers(0, 255)) | 0x80,
        )  # fmt: skip
    changed = bytearray(made)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        changed[draw(st.integers(4, len(changed) - 1))] = draw(st.integers(0, 255))
    return bytes(changed)


def twin(store, messages):
    """The answers of Python alone, and what it counts."""
    counts = Counts()
    checks = s13.IdentityChecks(store, "eir.example.org", "example.org", counts)
    return [checks.answer(one) for one in messages], counts.totals()


def native(store, received):
    """The answers of native code where it gives one, of Python to the rest; how many are native."""
    counts = Counts()
    checks = s13.IdentityChecks(store, "eir.example.org", "example.org", counts)
    found, at, fast = [], 0, 0
    while True:
        answers, then = checks.answers(received, at)
        found += split(answers)
        fast += then - at
        size = length_of(received, then)
        if not 0 < size <= len(received) - then:
            return found, counts.totals(), fast, then
        found.append(checks.answer(received[then : then + size]))
        at = then + size


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(REGISTERS), st.lists(requests(), max_size=6), st.integers(0, 400))
def test_native_answers_are_those_of_the_twin(store, messages, cut):
    received = b"".join(messages)
    received += check(BLACK)[:cut] if cut < len(check(BLACK)) else b""
    expected, counted = twin(store, messages)
    answers, totals, _, at = native(store, received)
    assert answers == expected
    assert totals == counted
    assert at == len(b"".join(messages))


def test_plain_requests_are_answered_by_native_code():
    more = [avp(PROXY_INFO, b"x" * i) for i in range(8)] + [avp(DRMP, 3, flags=0)]
    plain = [check(phone, imsi, *more) for phone in PHONES for imsi in (None, *SUBSCRIBERS)]
    received = b"".join(plain)
    for store in REGISTERS:
        answers, totals, fast, _ = native(store, received)
        assert fast == len(received)
        assert (answers, totals) == twin(store, plain)


def test_more_than_at_a_time():
    plain = [check(PHONES[i % 5], hop=i) for i in range(2 * AT_A_TIME + 3)]
    answers, _, fast, _ = native(REGISTERS[0], b"".join(plain))
    assert fast == len(b"".join(plain))
    assert [Header.read(one).hop_by_hop for one in answers] == list(range(2 * AT_A_TIME + 3))
    assert answers == twin(REGISTERS[0], plain)[0]


@pytest.mark.parametrize("size", [LONGEST - 4, LONGEST, LONGEST + 4])
def test_long_messages(size):
    filled = avp(999, b"x" * (size - len(check(BLACK)) - 8), flags=0)
    request = check(BLACK, None, filled)
    assert len(request) == size
    _, _, fast, _ = native(REGISTERS[0], request)
    assert fast == (size if size <= LONGEST else 0)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 320))
def test_any_bytes(data, at):
    keys, imsis = np.zeros(AT_A_TIME, np.uint64), np.zeros(AT_A_TIME, np.uint64)
    assert Requests([b""] * 4, LONGEST).read(data, at, keys, imsis)[0] == 0


def test_every_cut_of_a_request():
    request = check(BLACK, "234150999999999", avp(PROXY_INFO, b"abc"))
    for cut in range(len(request)):
        assert native(REGISTERS[0], request[:cut])[0] == []
        size = cut - cut % 4
        if size >= 20:  # whole, by what it says: AVPs are cut
            short = request[:1] + size.to_bytes(3) + request[4:size]
            assert native(REGISTERS[0], short)[0] == twin(REGISTERS[0], [short])[0]


def test_what_does_not_fit_is_refused():
    keys, tally = np.zeros(AT_A_TIME, np.uint64), np.zeros(COUNTED, np.uint64)
    made = Requests([b"1", b"2", b"3", b"4"], LONGEST)
    request = check(BLACK)
    assert made.read(request, 0, keys, keys.copy()) == (1, len(request))
    for received, codes, counted in (
        (request[:-1], keys, tally),
        (request, keys[:0], tally),
        (request, keys, tally[1:]),
    ):
        with pytest.raises(ValueError, match="expected"):
            made.write(received, codes, counted)
    for few in ((keys[1:], keys), (keys, keys[1:])):
        with pytest.raises(ValueError, match="expected"):
            made.read(request, 0, *few)
    with pytest.raises(ValueError, match="expected"):
        Requests([b""] * 3, LONGEST)


def test_counts_are_those_of_the_lists_of_their_time():
    """A register that changes numbers its lists anew: what was counted before keeps its rule."""
    store, counts = Register(Policy(response_type=2)), Counts()
    store.block("clones", [GREY], ["310150123456789"])
    checks = s13.IdentityChecks(store, "eir.example.org", "example.org", counts)
    checks.answers(check(GREY, "310150123456789"))
    store.add("stolen", [BLACK], status=EquipmentStatus.BLACKLISTED)
    checks.answers(check(BLACK) + check(GREY, "310150123456789"))
    assert counts.totals().checks == {("s13", 1, "block"): 2, ("s13", 1, "exact"): 1}
    assert counts.totals().checks == {("s13", 1, "block"): 2, ("s13", 1, "exact"): 1}
