"""Verdicts: every row of the tables, a twin of plain dicts, one file and what is refused of it."""

import contextlib
import copy
import datetime
import itertools
import json

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from racing import all_while_written

from imeiset import (
    Delta,
    EquipmentStatus,
    ImeiError,
    ImeiSet,
    ImsiError,
    Policy,
    Register,
    Store,
    Verdict,
    snapshot,
)
from imeiset._native import simd
from imeiset._native.checks import CheckTables
from imeiset._native.codes import mark_codes, part_codes, put_codes, splice_codes
from imeiset._native.filters import mark, mark_runs, marks_of_runs
from imeiset._native.imsi import Prefixes, imsis_of, imsis_of_rows
from imeiset._native.layered import Detailed, Layered, Level, codes_of
from imeiset._native.pairs import Pairing, are_ascending, merge_pairs, sort_pairs, starts_of
from imeiset.errors import (
    SnapshotBounds,
    SnapshotError,
    SnapshotKind,
    SnapshotSectionChecksum,
    SnapshotVersion,
)
from imeiset.register.checks import tables_of
from imeiset.register.details import Column
from imeiset.register.imsis import imsi_numbers
from imeiset.register.layered import NOTHING, LayeredSet
from imeiset.register.pairs import LayeredPairs, Pairs

W, B, G, U = EquipmentStatus
LISTED, OTHER = "490154203237518", "356938035643809"
HOME, AWAY = "234150999999999", "262011234567890"

# ---- the three response types, row by row: the lists an IMEI is on, and the answers of types 1, 2 and 3

TABLE = [
    ("", W, U, U),
    ("W", W, W, W),
    ("G", G, G, U),
    ("B", B, B, U),
    ("WG", G, G, G),
    ("WB", B, B, B),
    ("BG", B, B, U),
    ("WBG", B, B, B),
]


@pytest.mark.parametrize(("lists", "type1", "type2", "type3"), TABLE, ids=[row[0] or "none" for row in TABLE])
@pytest.mark.parametrize("rule", ["exact", "range", "tac"])
def test_response_types(lists, type1, type2, type3, rule):
    for response_type, expected in ((1, type1), (2, type2), (3, type3)):
        register = Register(Policy(response_type=response_type))
        for letter, status in zip("WBG", (W, B, G), strict=True):
            register.add(letter, [OTHER], status=status)
            if letter in lists and rule == "exact":
                register.add(letter, [LISTED], status=status)
            elif letter in lists and rule == "range":
                register.add_ranges(letter, [49015420323751], [49015420323751], status=status)
            elif letter in lists:
                register.add_tacs(letter, ["49015420"], status=status)
        verdict = register.check(LISTED)
        decided = next((letter for letter in "BGW" if letter in lists), None)
        assert verdict == Verdict(expected, decided, rule if lists else "default")
        statuses, codes = register.check_many([LISTED, LISTED], lists=True)
        assert statuses.tolist() == [expected] * 2
        assert codes.tolist() == [-1 if decided is None else "WBG".index(decided)] * 2


def test_exact_beats_range_beats_tac():
    register = Register()
    register.add_tacs("models", ["49015420"], status=G)
    register.add_ranges("batch", [49015420000000], [49015420300000], status=B)
    register.add("mine", ["49015420000001"], status=W)
    verdicts = [register.check(imei) for imei in ("49015420000001", "49015420000002", LISTED, OTHER)]
    assert [(v.status, v.rule) for v in verdicts] == [(W, "exact"), (B, "range"), (G, "tac"), (W, "default")]


def test_the_regulators_rule():
    """Not on the blocklist: allow. On it, with a pair on the exceptions: allow. Else: block."""
    register = Register()
    register.add("stolen", [LISTED], status=B)
    register.exempt("exceptions", [LISTED, LISTED], [HOME, "001010123456789"])
    assert register.check(OTHER, HOME).status == W
    assert register.check(LISTED, HOME) == Verdict(W, "exceptions", "pair")
    assert register.check(LISTED, "001010123456789").status == W
    assert register.check(LISTED, "01010123456789").status == B  # a leading zero less is another
    assert register.check(LISTED, AWAY) == Verdict(B, "stolen", "exact")
    assert register.check(LISTED).status == B
    imeis, imsis = [OTHER, LISTED, LISTED, LISTED], [HOME, HOME, AWAY, None]
    assert register.check_many(imeis, imsis).tolist() == [W, W, B, B]
    assert register.check_many(imeis, np.array([HOME, HOME, AWAY, ""])).tolist() == [W, W, B, B]


def test_imsis_of_derived_texts_and_under_a_mask():
    register = Register()
    register.add("stolen", [LISTED], status=B)
    register.exempt("exceptions", [LISTED], [HOME])
    for imsi in np.array([HOME])[0], np.array([HOME], "S")[0]:  # np.str_ and np.bytes_
        assert register.check(LISTED, imsi).status == W
        assert register.check_many([LISTED], [imsi]).tolist() == [W]
    with pytest.raises(ImsiError):
        register.check(LISTED, np.str_("²³⁴150999999999"))
    for dtype in "U15", "S15", object:
        hidden = np.ma.masked_array(np.array([HOME, HOME], dtype), [True, False])
        assert register.check_many([LISTED, LISTED], hidden).tolist() == [B, W]
        with pytest.raises(ImsiError):
            Register().exempt("exceptions", [LISTED, OTHER], hidden)


def test_a_lock():
    register = Register()
    register.lock("paired", [LISTED], [HOME], status=B)
    answers = [register.check(LISTED, imsi).status for imsi in (HOME, AWAY, None)]
    assert answers == [W, B, B]
    register.add("stolen", [LISTED], status=G)
    assert register.check(LISTED, HOME).list == "stolen"  # the lock says nothing more


def test_imsi_prefixes_and_precedence():
    def make(precedence):
        register = Register(Policy(precedence=precedence))
        register.add_imsis("guests", ["262", "00101"], status=G)
        register.add_imsis("friends", ["26201"], status=W)
        register.add("stolen", [LISTED], status=B)
        return register

    first = make(("imsi", "pair", "exact", "range", "tac"))
    assert first.check(LISTED, AWAY) == Verdict(W, "friends", "imsi")  # the longest prefix
    assert first.check(LISTED, "262021234567890") == Verdict(G, "guests", "imsi")
    assert first.check(LISTED, "101123456789").status == B  # 00101 is not 101
    assert first.check(LISTED, "001011").status == G
    last = make(("exact", "range", "tac", "pair", "imsi"))
    assert last.check(LISTED, AWAY) == Verdict(B, "stolen", "exact")
    assert last.check(OTHER, AWAY) == Verdict(W, "friends", "imsi")
    assert last.check_many([LISTED, OTHER, OTHER], [AWAY, "26207123456", HOME]).tolist() == [B, G, W]
    with pytest.raises(ValueError, match="'262': expected on one list"):
        first.add_imsis("others", ["262"], status=B)


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("unlisted", [None, G])
@pytest.mark.parametrize("imsi", [None, HOME, AWAY, "26201", "262071", f"imsi-{AWAY}", "001010000000001"])
def test_equipment_without_an_imei_is_answered_as_a_phone_on_no_list(kind, unlisted, imsi):
    for precedence in (("imsi", "pair", "exact", "range", "tac"), ("tac", "range", "exact", "pair", "imsi")):
        register = Register(Policy(kind, unlisted, precedence=precedence))
        register.add("stolen", [LISTED], status=B)
        assert register.check_unlisted(imsi) == register.check(OTHER, imsi)
        register.add_imsis("guests", ["262", "00101"], status=G)
        register.add_imsis("friends", ["26201"], status=W)
        register.lock("own", [LISTED], [AWAY])
        assert (
            register.check_unlisted(imsi)
            == register.check(OTHER, imsi)
            == register.frozen().check_unlisted(imsi)
        )


@pytest.mark.parametrize("imsi", ["x", "2620", "1234567890123456"])
def test_equipment_without_an_imei_and_what_is_not_an_imsi(imsi):
    with pytest.raises(ImsiError):
        Register().check_unlisted(imsi)
    assert Register(Policy(malformed=B)).check_unlisted(imsi).status == W


def test_reasons_and_dates():
    register = Register()
    day = datetime.date(2024, 2, 29)
    register.add(
        "stolen",
        [OTHER, LISTED, "86012345678901", LISTED],
        status=B,
        reason="reported",
        reasons=["lost", "stolen", None, ["lost", "stolen"]],
        dates=[np.datetime64("2024-03-01"), "20240301", None, day],
    )
    assert register.check(OTHER) == Verdict(B, "stolen", "exact", ("lost",), datetime.date(2024, 3, 1))
    assert register.check(LISTED) == Verdict(B, "stolen", "exact", ("lost", "stolen"), day)
    assert register.check("86012345678901") == Verdict(B, "stolen", "exact", ("reported",), None)
    register.add("stolen", ImeiSet(["35000000000001", LISTED]), status=B, reasons=["new", "again"])
    assert register.check("35000000000001").reasons == ("new",)
    assert register.check(LISTED) == Verdict(B, "stolen", "exact", ("again", "lost", "stolen"), day)
    assert register.check(OTHER).reasons == ("lost",)
    with pytest.raises(ValueError, match="reasons: expected 1, one for each IMEI, got 2"):
        register.add("stolen", [LISTED], status=B, reasons=["a", "b"])
    with pytest.raises(ValueError, match="dates"):
        register.add("stolen", [LISTED], status=B, dates=["yesterday"])
    with pytest.raises(TypeError, match="reasons"):
        register.add("stolen", [LISTED], status=B, reasons=[1])


@pytest.mark.parametrize(
    "bad",
    [
        "49015420323751x",
        "",
        None,
        "\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\uff10\uff11\uff12\uff13\uff14",
    ],
)
def test_malformed_imeis(bad):
    strict, lenient = Register(), Register(Policy(malformed=B))
    with pytest.raises(ImeiError):
        strict.check(bad)
    with pytest.raises(ImeiError, match="row 1: "):
        strict.check_many([LISTED, bad])
    with pytest.raises(ImeiError, match="row 1: "):
        strict.check_many([LISTED, bad], [None, None])
    assert lenient.check(bad) == Verdict(B, rule="malformed")
    assert lenient.check_many([LISTED, bad]).tolist() == [W, B]
    assert lenient.check_many([LISTED, bad], [HOME, HOME], lists=True)[1].tolist() == [-1, -1]


@pytest.mark.parametrize("bad", [490154203237518, 490154203237518.0, 1.5, True, [1]])
def test_numbers_that_may_be_another_phone_are_errors(bad):
    """Whatever the policy says of malformed input."""
    lenient = Register(Policy(malformed=B))
    with pytest.raises(ImeiError):
        lenient.check(bad)
    for imsis in (None, [HOME, HOME]):
        with pytest.raises(ImeiError, match="row 1: "):
            lenient.check_many([LISTED, bad], imsis)


@pytest.mark.parametrize(
    "bad",
    [
        "1234",
        "imsi-1234",
        "imsi-",
        "imsi-imsi-23415",
        "imsi 234150999999999",
        "imeisv-234150999999999",
        "nai:234150999999999",
        "imsi-234150999999999@",
        "2341 50999999999",
        "1234567890123456",
        "23415099999999x",
        "\uff12\uff13\uff14\uff11\uff15\uff10\uff19\uff19\uff19\uff19\uff19\uff19",
    ],
)
def test_malformed_imsis(bad):
    strict, lenient = Register(), Register(Policy(malformed=W))
    with pytest.raises(ImsiError) as caught:
        strict.check(LISTED, bad)
    assert "099999" not in str(caught.value)
    with pytest.raises(ImsiError):
        strict.check_many([LISTED], np.array([bad], object))
    with pytest.raises(ImsiError, match="row 1: "):
        strict.check_many([LISTED, LISTED], [HOME, bad])
    with pytest.raises(ImsiError, match="row 0: "):
        strict.exempt("pairs", [LISTED], [bad])
    # It is nobody's: a list, a lock and a pair say what they say without an IMSI.
    lenient.add("stolen", [LISTED], status=B)
    lenient.lock("locked", [OTHER], [HOME])
    lenient.exempt("exempted", [LISTED], [HOME])
    lenient.add_imsis("guests", ["1", "2341", "12345678"], status=G)
    column = [LISTED, OTHER, LISTED, OTHER, "62#3"]
    imsis = [bad, bad, HOME, HOME, bad]
    for register in (lenient, copy.copy(lenient)):
        verdicts = [register.check(imei, imsi) for imei, imsi in zip(column, imsis, strict=True)]
        assert [verdict.rule for verdict in verdicts] == ["exact", "pair", "imsi", "imsi", "malformed"]
        for threads in (1, 3):
            for asked in (imsis, np.array(imsis, object)):
                statuses, lists = register.check_many(column, asked, lists=True, threads=threads)
                assert statuses.tolist() == [verdict.status for verdict in verdicts] == [B, B, G, G, W]
                assert lists.tolist() == [0, 1, 3, 3, -1]


@pytest.mark.parametrize("policy", [Policy(), Policy(malformed=W), Policy(malformed=B)])
@pytest.mark.parametrize("bad", [234150999999999, 1010123456789, 0, 234150999999999.0, True, ("262",)])
def test_an_imsi_that_is_no_text_is_an_error_whatever_the_policy_says(bad, policy):
    """The pair may be exempt, and the leading zeros of its number lost."""
    register = Register(policy)
    register.lock("locked", [LISTED], [HOME])
    for check in (register.check, copy.copy(register).check):
        with pytest.raises(ImsiError):
            check(LISTED, bad)
    columns = [[HOME, bad]]
    if isinstance(bad, int) and not isinstance(bad, bool):
        columns += [np.array([bad, bad]), np.array([HOME, bad], object)]
    for column in columns:
        row = 0 if isinstance(column, np.ndarray) and column.dtype != object else 1
        for threads in (1, 3):
            with pytest.raises(ImsiError, match=f"row {row}: "):
                register.check_many([LISTED, LISTED], column, threads=threads)
    with pytest.raises(ImsiError):
        register.lock("locked", [LISTED], [bad])


def test_nulls_of_pandas_are_no_imsis():
    pd = pytest.importorskip("pandas")
    register = Register()
    register.lock("locked", [LISTED], [HOME])
    imsis = pd.Series([HOME, None, pd.NA], dtype="string")
    for column in (imsis.to_numpy(), imsis.tolist(), imsis.astype(object)):
        assert register.check_many([LISTED] * 3, column).tolist() == [W, B, B]
    assert register.check(LISTED, pd.NA).status == B


@pytest.mark.parametrize("form", ["{}", "imsi-{}", "IMSI-{}", " {}\t", "{}\r\n", " imsi-{} "])
def test_forms_of_an_imsi(form):
    """5 to 15 digits alone or as a SUPI, everywhere; other SUPIs are not an error, and nobody's IMSI."""
    register = Register()
    pairs = {"": "12345", "0": "00001", "1": HOME}
    for name, imsi in pairs.items():
        register.exempt(f"exempted{name}", [LISTED], [form.format(imsi)])
    register.add("stolen", [LISTED], status=B)
    register.add_imsis("guests", [form.format("9")], status=G)
    for imsi, status in [*((imsi, W) for imsi in pairs.values()), ("12346", B), ("0" * 15, B), ("98765", G)]:
        given = form.format(imsi)
        assert register.check(LISTED, given).status == register.check(LISTED, given.encode()).status == status
        for column in ([given], [given.encode()], np.array([given]), np.array([given.encode()]),
                       np.array([given], object)):  # fmt: skip
            assert register.check_many([LISTED], column).tolist() == [status]
    for other in ("nai-user@example.org", "GCI-1", "gli-", " nai--x@y", "", " ", None, float("nan")):
        assert register.check(LISTED, other).status == B
        assert register.check_many([LISTED], [other]).tolist() == [B]
        with pytest.raises(ImsiError, match="row 0: "):
            register.lock("locked", [LISTED], [other])


def test_irregular_identities():
    register = Register(Policy(response_type=3))
    register.add("stolen", ImeiSet([LISTED, "62#222222222222"], irregular="keep"), status=B)
    register.add("good", ImeiSet(["62#222222222222", "62#3"], irregular="keep"), status=W)
    register.add_imsis("guests", ["26201"], status=G)
    assert register.check("62#222222222222") == Verdict(B, "stolen", "irregular")
    assert register.check("62#3") == Verdict(W, "good", "irregular")
    assert register.check("62#3", AWAY) == Verdict(G, "guests", "imsi")
    assert register.check(LISTED[:14] + "#") == Verdict(U, "stolen", "exact")  # 14 digits are the key
    for unknown in ("62#4", "62#222222222222222"):  # listed nowhere: malformed, never let through
        with pytest.raises(ImeiError):
            register.check(unknown)
    column = ["62#222222222222", "62#3", LISTED, OTHER]
    lines = "\r\n".join(column).encode()
    for imeis in (column, np.array(column), lines):
        assert register.check_many(imeis).tolist() == [B, W, U, U]
        assert register.check_many(imeis, [None] * 4, lists=True)[1].tolist() == [0, 1, 0, -1]
    with pytest.raises(ImeiError, match="row 1: "):
        register.check_many([LISTED, "62#4"])
    with pytest.raises(ImsiError, match="row 0: "):
        register.check_many(["62#3"], ["x"])


IDENTITIES = [
    LISTED,
    OTHER,
    LISTED[:14] + "#",
    LISTED[:14] + "AB",
    "62#3",
    b"62#3",
    "*ab",
    "62#",
    "",
    None,
    10**14,
]


@given(
    st.lists(
        st.tuples(st.sampled_from(IDENTITIES), st.sampled_from([None, "", HOME, AWAY, "26201123", "1", "x"]))
    ),
    st.sampled_from([None, G]),
    st.permutations(oracle.Equipment.PRECEDENCE),
    st.booleans(),
)
def test_malformed_rows_of_a_batch_are_decided_as_one_by_one(rows, malformed, precedence, with_imsis):
    register = Register(Policy(response_type=2, malformed=malformed, precedence=tuple(precedence)))
    register.add("stolen", ImeiSet([LISTED, "62#3"], irregular="keep"), status=B)
    register.add("good", ImeiSet(["62#3", "*AB"], irregular="keep"), status=W)
    register.add_imsis("guests", ["26201"], status=G)
    register.lock("locked", [LISTED], [HOME])
    names = [one.name for one in register.lists]
    imsis = [imsi for _, imsi in rows] if with_imsis else [None] * len(rows)
    expected, error = [], None
    for row, ((imei, _), imsi) in enumerate(zip(rows, imsis, strict=True)):
        try:
            expected.append(register.check(imei, imsi))
        except (ImeiError, ImsiError) as raised:
            error = type(raised), f"row {row}: {raised}"
            break
    columns = ([imei for imei, _ in rows], imsis if with_imsis else None)
    for lists in (False, True):
        if error:
            with pytest.raises(error[0]) as raised:
                register.check_many(*columns, lists=lists)
            assert str(raised.value) == error[1]
            continue
        found = register.check_many(*columns, lists=lists)
        statuses, deciding = found if lists else (found, None)
        assert statuses.tolist() == [verdict.status for verdict in expected]
        if lists:
            assert [[*names, None][i] for i in deciding.tolist()] == [verdict.list for verdict in expected]


def test_irregular_identities_are_saved(tmp_path):
    register = Register(Policy(malformed=G))
    register.add("stolen", ImeiSet(["62#2", "*AB"], irregular="keep"), status=B)
    register.save(tmp_path / "r.imei")
    opened = Register.verify(tmp_path / "r.imei")
    assert opened.counts() == {"stolen": {"irregular": 2}}
    assert opened.check_many(["62#2", "*ab", "62#3", "", LISTED]).tolist() == [B, B, G, G, W]


def test_no_repr_shows_a_serial_number_or_an_imsi():
    register = Register()
    register.add("stolen", ImeiSet([LISTED, "DEAD*BEEF"], irregular="keep"), status=B)
    register.exempt("paired", [LISTED], [HOME])
    register.add_imsis("home", [HOME], status=W)
    held = [part for one in register.lists for part in (one.exact, one.pairs) if part]
    everything = [register, register.lists, register.check(LISTED), register.policy, register._now(), held]
    for shown in map(repr, [*everything, *(part.base for part in held)]):
        assert not any(secret in shown for secret in (LISTED[8:14], HOME[5:], "DEAD"))
    assert repr(register.lists[0]) == "<List stolen (BLACKLISTED): 1 by exact, 1 by irregular>"
    assert repr(register).startswith(
        "<Register of stolen (BLACKLISTED): 1 by exact, 1 by irregular; paired ("
    )
    assert repr(held[0]) == "<LayeredSet of 1 IMEIs>"


def test_arguments():
    register = Register()
    register.add("stolen", [LISTED], status=B)
    for call, match in [
        (lambda: register.add("stolen", [LISTED], status=W), "expected BLACKLISTED, 'imeis' as before"),
        (lambda: register.exempt("stolen", [LISTED], [HOME]), "as before, got WHITELISTED, 'exempt'"),
        (lambda: register.add("x", [LISTED], status=U), "got UNKNOWN"),
        (
            lambda: register.add("x", [LISTED], status=4),
            "status: expected EquipmentStatus.WHITELISTED, .*, got 4",
        ),
        (lambda: register.add("x", [LISTED], status=False), "status: expected .*, got False"),
        (lambda: Policy(malformed=False), "malformed: expected .*, got False"),
        (lambda: Policy(unlisted=7), "unlisted: expected .*, got 7"),
        (lambda: register.add_tacs("x", [LISTED], status=B), r"got '49015420\*{7}'"),
        (lambda: register.add("x", [LISTED], status=B, dates=[LISTED]), r"dates: .* got '49015420\*{7}'"),
        (lambda: register.add("x", [LISTED], status=B, dates=["20230229"]), "dates: .* got '20230229'"),
        (lambda: register.add("", [LISTED], status=B), "printable"),
        (lambda: register.add_tacs("x", ["1234567"], status=B), "8 digits"),
        (
            lambda: register.add_tacs("x", ["\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18"], status=B),
            "8 digits",
        ),
        (lambda: register.add_imsis("x", ["1" * 16], status=B), r"1 to 15 digits, as str, got '1{5}\*+'"),
        (lambda: register.exempt("x", [LISTED], [HOME, HOME]), "expected 1, one for each IMEI, got 2"),
        (lambda: register.exempt("x", [LISTED], [None]), "IMSI"),
        (lambda: register.check_many([LISTED], [HOME, HOME]), "expected 1, one for each IMEI, got 2"),
        (lambda: register.check_many([LISTED], [HOME], threads=0), "at least 1"),
        (lambda: Policy(response_type=4), "expected 1, 2 or 3"),
        (lambda: Policy(precedence=("exact",)), "precedence"),
        (lambda: [register.add(f"list {n}", status=B) for n in range(40)], "at most 32 lists"),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
    register = Register()
    register.add_imsis("x", [HOME], status=B)
    with pytest.raises(ValueError, match=r"prefix '23415\*{10}': expected on one list, got 'x' and 'y'"):
        register.add_imsis("y", [HOME], status=B)
    register.add("stolen", [LISTED], status=B)
    assert register["stolen"] == ImeiSet([LISTED])
    with pytest.raises(KeyError):
        register["stole"]


def test_tacs_are_texts_or_an_array_of_them():
    members = ImeiSet([LISTED, "010123000000009"])
    register = Register()
    register.add_tacs("texts", ["49015420", "01012300"], status=B)
    register.add_tacs("array", members.tac_counts()[0], status=B)
    texts, array = (one.tac.base for one in register.lists)
    assert texts == array
    for wrong in ([49015420], np.array([49015420]), [b"4901542"], [b"4901542\xb2"], ["4901542\u00b2"]):
        with pytest.raises(ValueError, match="TAC 0: expected 8 digits"):
            register.add_tacs("wrong", wrong, status=B)


def test_one_text_is_not_several():
    """Its characters would be: of IMSI prefixes, those of half the world."""
    register = Register()
    for call, name in [
        (lambda: register.add_imsis("x", HOME[:5], status=B), "prefixes"),
        (lambda: register.add_tacs("x", LISTED[:8], status=B), "TACs"),
        (lambda: register.add("x", [1, 2, 3, 4], status=B, reasons="lost"), "reasons"),
        (lambda: register.add("x", [1, 2, 3, 4], status=B, dates=b"2024"), "dates"),
        (lambda: ImeiSet.from_keys([], irregular="DEAD"), "irregular identities"),
    ]:
        with pytest.raises(TypeError, match=f"{name}: expected a list of them, got one (str|bytes)"):
            call()
    assert register.lists == ()


# ---- the twin

KEYS = st.integers(10**13, 10**13 + 40) | st.integers(0, 3) | st.sampled_from([10**14 - 1, 5 * 10**6])
IMSIS = st.sampled_from([HOME, AWAY, "001011", "01011123", None])
PREFIXES = ["2", "234", "23415", "262", "00101", "0", "001011", "26201"]


@st.composite
def registers(draw):
    """A register and its twin."""
    policy = Policy(
        response_type=draw(st.sampled_from([1, 2, 3])),
        unlisted=draw(st.sampled_from([None, W, B, G, U])),
        precedence=tuple(draw(st.permutations(oracle.Equipment.PRECEDENCE))),
    )
    register, twin = (
        Register(policy),
        oracle.Equipment(policy.response_type, policy.unlisted, policy.precedence),
    )
    for n in range(draw(st.integers(0, 4))):
        name, status = f"list {n}", draw(st.sampled_from([W, B, G]))
        mine = twin.list(name, status)
        for key in draw(st.lists(KEYS, max_size=6)):
            mine["exact"][key] = draw(st.sampled_from(["", "lost", "lost|stolen"]))
        register.add(name, list(mine["exact"]), status=status, reasons=list(mine["exact"].values()))
        mine["range"] = {tuple(sorted(draw(st.tuples(KEYS, KEYS)))) for _ in range(draw(st.integers(0, 2)))}
        lows, highs = [low for low, _ in mine["range"]], [high for _, high in mine["range"]]
        register.add_ranges(name, lows, highs, status=status)
        mine["tac"] = set(draw(st.lists(st.sampled_from([10**7, 0, 5]), max_size=2)))
        register.add_tacs(name, [f"{tac:08}" for tac in mine["tac"]], status=status)
        mine["texts"] = draw(st.sets(st.sampled_from([b"DEAD", b"62#1", b"123"])))
        register.add(name, ImeiSet.from_keys([], irregular=mine["texts"]), status=status)
    for n, kind in enumerate(draw(st.lists(st.sampled_from(["block", "exempt", "lock"]), max_size=4))):
        name = f"pairs {n}"
        status = W if kind == "exempt" else draw(st.sampled_from([W, B, G]))
        mine = twin.list(name, status, kind)
        mine["pairs"] = set(draw(st.lists(st.tuples(KEYS, IMSIS.filter(bool)), max_size=5)))
        columns = [[pair[side] for pair in mine["pairs"]] for side in (0, 1)]
        getattr(register, kind)(name, *columns, **({} if kind == "exempt" else {"status": status}))
    left = draw(st.lists(st.sampled_from(PREFIXES), unique=True, max_size=4))
    for n, prefix in enumerate(left):
        status = (W, B, G)[n % 3]
        twin.list(f"imsis {n}", status, "imsis")["prefixes"] = {prefix}
        register.add_imsis(f"imsis {n}", [prefix], status=status)
    return register, twin


@given(registers(), st.lists(st.tuples(KEYS, IMSIS), min_size=1, max_size=30))
def test_verdicts_are_those_of_the_twin(tmp_path_factory, pair, questions):
    register, twin = pair
    path = tmp_path_factory.getbasetemp() / "twin.imei"
    register.save(path)
    keys, imsis = [key for key, _ in questions], [imsi for _, imsi in questions]
    names = [*twin.lists, None]
    for one in (register, Register.open(path), Register.verify(path)):
        expected = [twin.check(*question) for question in questions]
        verdicts = [one.check(*question) for question in questions]
        assert [(v.status, v.list, v.rule, "|".join(v.reasons)) for v in verdicts] == expected
        statuses, codes = one.check_many(keys, imsis, lists=True)
        assert statuses.tolist() == [status for status, *_ in expected]
        assert [names[code] for code in codes.tolist()] == [name for _, name, *_ in expected]
        alone = one.check_many(np.array(keys, np.uint64), threads=2)
        assert alone.tolist() == [twin.check(key)[0] for key in keys]
        assert {v.name: v.status for v in one.lists} == {
            name: mine["status"] for name, mine in twin.lists.items()
        }
    again = path.with_name("again.imei")
    Register.open(path).save(again)
    assert again.read_bytes() == path.read_bytes()


TEXTS = KEYS.map(lambda key: f"{key:014d}") | KEYS.map(lambda key: f"{key:014d}7")
ODD = st.sampled_from(
    ["DEAD", "dead", "62#1", "123", "62#2", "00000000000003#*", "10000000000001#", "x", None]
)
VALUES = st.booleans().flatmap(lambda odd: ODD if odd else KEYS | TEXTS)
WRITTEN = IMSIS | st.sampled_from(["", "12345", "x", "2341509999999990"])


@settings(max_examples=300)
@given(
    registers(),
    st.lists(st.tuples(VALUES, WRITTEN), min_size=8, max_size=40),
    st.sampled_from([None, W, B, U]),
)
def test_any_row_is_answered_alone_as_in_a_column(pair, questions, malformed):
    """Rules in any order, by one check, by many and by the twin; malformed rows too, which are errors or
    have a status."""
    register, twin = pair
    policy = Policy(
        twin.response_type, unlisted=twin.unlisted, precedence=twin.precedence, malformed=malformed
    )
    asked = Register(policy)
    for one in register.lists:
        asked.add_list(one)
    expected = [twin.answer(*question, malformed) for question in questions]
    imeis, imsis = (list(column) for column in zip(*questions, strict=True))
    names = [*twin.lists, None]
    for (imei, imsi), answer in zip(questions, expected, strict=True):
        if answer is None:
            with pytest.raises((ImeiError, ImsiError)) as error:
                asked.check(imei, imsi)
            assert error.value.position is None
        else:
            v = asked.check(imei, imsi)
            assert (v.status, v.list, v.rule, "|".join(v.reasons)) == answer
    alone = [twin.answer(imei, None, malformed) for imei in imeis]
    for column, subscribers, answers in ((imeis, imsis, expected), (imeis, None, alone)):
        for threads in (1, 2):
            if None in answers:
                with pytest.raises((ImeiError, ImsiError)) as error:
                    asked.check_many(column, subscribers, threads=threads)
                assert error.value.position == answers.index(None)
                continue
            statuses, codes = asked.check_many(column, subscribers, threads=threads, lists=True)
            assert statuses.tolist() == [status for status, *_ in answers]
            assert [names[code] for code in codes.tolist()] == [name for _, name, *_ in answers]
            assert asked.check_many(column, subscribers, threads=threads).tolist() == statuses.tolist()


@pytest.mark.parametrize("response_type", [1, 2, 3])
@pytest.mark.parametrize("count", [20, 32])
def test_many_lists(count, response_type):
    """As many as there may be, and batches of more rows than are decided together."""
    register, twin = Register(Policy(response_type=response_type)), oracle.Equipment(response_type)
    rng = np.random.default_rng(count)
    for n in range(count):
        name, status = f"{n}", (W, B, G)[rng.integers(3)]
        keys, lows = rng.integers(0, 3000, 60).tolist(), rng.integers(0, 4000, 4)
        if n % 4 == 3:
            kind, imsis = ("exempt", "lock")[n // 4 % 2], rng.choice([HOME, AWAY], 60).tolist()
            mine = twin.list(name, W if kind == "exempt" else B, kind)
            getattr(register, kind)(name, keys, imsis)
            mine["pairs"] = set(zip(keys, imsis, strict=True))
            continue
        mine = twin.list(name, status)
        register.add(name, keys, status=status)
        mine["exact"] = dict.fromkeys(keys, "")
        register.add_ranges(name, lows, lows + 40, status=status)
        mine["range"] = {(low, low + 40) for low in lows.tolist()}
    names, keys = [*twin.lists, None], np.arange(5000, dtype=np.uint64)
    for imsis in (None, rng.choice([HOME, AWAY, ""], len(keys))):
        asked = [None] * len(keys) if imsis is None else imsis.tolist()
        expected = [twin.check(key, imsi) for key, imsi in zip(keys.tolist(), asked, strict=True)]
        statuses, codes = register.check_many(keys, imsis, lists=True)
        found = [(s, names[c]) for s, c in zip(statuses.tolist(), codes.tolist(), strict=True)]
        assert found == [(status, name) for status, name, *_ in expected]
        assert register.check_many(keys, imsis, threads=3).tolist() == statuses.tolist()
        verdicts = [register.check(key, imsi) for key, imsi in zip(keys.tolist(), asked, strict=True)]
        assert [(v.status, v.list, v.rule) for v in verdicts] == [row[:3] for row in expected]


def test_integers_that_are_no_keys():
    register = Register(Policy(malformed=G))
    register.add("stolen", [LISTED], status=B)
    column = np.array([int(LISTED[:14]), -1, 5])
    assert register.check_many(column).tolist() == [B, G, W]
    assert register.check_many(column, lists=True)[1].tolist() == [0, -1, -1]
    with pytest.raises(ImeiError, match="row 1: "):
        Register().check_many(column)


@pytest.mark.parametrize("digits", [14, 15])
@pytest.mark.parametrize("kept", [(), ["62#222222222222"]])
def test_an_imeisv_as_an_integer_is_an_error_whatever_the_policy_says(kept, digits):
    """The phone may be listed."""
    register, members = Register(Policy(malformed=W)), ImeiSet([LISTED, *kept], irregular="keep")
    register.add("stolen", members, status=B)
    imeisv = int(LISTED[:14] + "01")
    for ask in (
        lambda: register.check_many([5, imeisv], digits=digits),
        lambda: register.check_many(np.array([5, imeisv]), digits=digits),
        lambda: register.check_many([5, imeisv], [HOME, HOME], digits=digits),
        lambda: register.check_many(np.array([5] + [imeisv] * 9), threads=2, digits=digits),
        lambda: members.contains([5, imeisv], malformed=False, digits=digits),
        lambda: members.contains(np.array([5, imeisv]), malformed=True, digits=digits),
    ):
        with pytest.raises(ImeiError, match="row 1: an integer that is too large"):
            ask()
    with pytest.raises(ImeiError, match="an integer that is too large"):
        register.check(imeisv)
    with pytest.raises(ImeiError, match="an integer that is too large"):
        imeisv in members  # noqa: B015


@pytest.mark.parametrize("kept", [(), ["62#222222222222"]])
def test_an_integer_of_15_digits_is_an_error_whatever_the_policy_says(kept):
    """It would be taken for a phone that it is not, or for one on no list."""
    register, members = Register(Policy(malformed=W)), ImeiSet([LISTED, *kept], irregular="keep")
    register.add("stolen", members, status=B)
    for ask in (
        lambda: register.check_many([5, int(LISTED)]),
        lambda: register.check_many(np.array([5, int(LISTED)])),
        lambda: register.check_many([5, int(LISTED)], [HOME, HOME]),
        lambda: register.check_many(np.array([5] + [int(LISTED)] * 9), threads=2),
        lambda: members.contains([5, int(LISTED)], malformed=False),
        lambda: members.contains(np.array([5, int(LISTED)]), malformed=True),
    ):
        with pytest.raises(ImeiError, match="row 1: an integer of 15 digits"):
            ask()
    with pytest.raises(ImeiError, match="an integer of 15 digits"):
        register.check(int(LISTED))
    with pytest.raises(ImeiError, match="an integer of 15 digits"):
        int(LISTED) in members  # noqa: B015
    assert register.check_many([5, int(LISTED)], digits=15).tolist() == [W, B]


IMSI_TEXTS = st.lists(
    st.none() | st.text("0123456789x\u0663", max_size=17) | st.from_regex(r"[0-9]{5,16}", fullmatch=True)
)


@given(IMSI_TEXTS)
def test_imsis_in_arrays_are_those_in_lists(texts):
    given = [text or "" for text in texts]
    expected = np.empty(len(texts), np.uint64)
    imsis_of(texts, expected)
    wide = np.array(given, "U17")
    arrays = [wide, wide.astype(">U17"), np.repeat(wide, 2)[::2]]
    if all(text.isascii() for text in given):
        arrays.append(np.array(given, "S20"))
    for array in arrays:
        numbers, value = imsi_numbers(array, len(texts))
        assert numbers.tolist() == expected.tolist()
        assert all(value(row) in (text, text.encode()) for row, text in enumerate(given))


@given(
    st.lists(st.tuples(st.integers(0, 3) | KEYS, st.integers(10**6, 10**6 + 3) | st.integers(10**6, 2**51)))
)
def test_pairs_are_sorted_as_python_does(pairs):
    pairs = pairs * 12  # more than are sorted by insertion
    keys, imsis = (np.array([pair[side] for pair in pairs], np.uint64) for side in (0, 1))
    expected = sorted(set(pairs))
    kept = keys.copy(), imsis.copy()
    found = Pairs.of(keys, imsis)
    assert (keys == kept[0]).all()
    assert (imsis == kept[1]).all()
    again = Pairs.of(*kept, fresh=True)
    for one in (found, again):
        assert [
            *zip(*(side.tolist() for side in one.of_imeis(one.imeis.to_numpy())), strict=True)
        ] == expected
        assert one.is_sound() or any(imsi >= 2 * 10**15 for _, imsi in expected)
    assert are_ascending(*found.of_imeis(found.imeis.to_numpy()))


def test_pairs_that_changed_are_merged():
    rng = np.random.default_rng(4)
    before = {(key, 10**6 + imsi) for key, imsi in rng.integers(0, 30_000, (60_000, 2)).tolist()}
    added = {(key, 10**6 + imsi) for key, imsi in rng.integers(0, 40_000, (3_000, 2)).tolist()}
    removed = set(sorted(before)[::7]) | {(5, 10**6)}

    def arrays(pairs):
        return tuple(np.array([pair[side] for pair in sorted(pairs)], np.uint64) for side in (0, 1))

    paired = LayeredPairs(Pairs.of(*arrays(before))).changed_by(arrays(added), arrays(removed))
    after = (before - removed) | added
    assert paired.count() == len(after)
    merged, anew = paired.flattened().base, Pairs.of(*arrays(after))
    assert merged.is_sound()
    assert merged.imeis == anew.imeis
    assert [side.tolist() for side in merged.arrays[1:]] == [side.tolist() for side in anew.arrays[1:]]
    assert {*zip(*(side.tolist() for side in merged.of_imeis(merged.imeis.to_numpy())), strict=True)} == after
    asked = arrays(before | added | removed | {(key, 1) for key in range(45_000)})
    imeis = {key for key, _ in after}
    expected = [
        2 if pair in after else int(pair[0] in imeis)
        for pair in zip(*map(np.ndarray.tolist, asked), strict=True)
    ]
    for one in (paired, LayeredPairs(merged)):
        found = np.empty(len(expected), np.uint8)
        one.pairing.have(*asked, found)
        assert found.tolist() == expected


TEXTS_OF = st.dictionaries(st.integers(0, 9), st.sampled_from(["", "a", "b", "stolen"]), max_size=8)


@given(
    TEXTS_OF, st.lists(st.tuples(TEXTS_OF, st.sets(st.integers(0, 9), max_size=4)), max_size=4), st.booleans()
)
def test_reasons_of_lists_that_changed_are_merged(before, changes, often):
    """Against a dict; the column of the merged list is that of a list made anew."""

    def members(texts):
        imeis, values = ImeiSet.from_keys(np.array(sorted(texts), np.uint64)), sorted({"", *texts.values()})
        codes = np.array([values.index(texts[key]) for key in sorted(texts)], np.int64)
        return imeis, Column.of(values, codes)

    imeis, column = members(before)
    found, twin = LayeredSet(imeis, (column, None, None)), dict(before)
    for add, remove in changes:
        imeis, column = members(add)
        found = found.changed_by(
            imeis, ImeiSet.from_keys(np.array(sorted(remove), np.uint64)), (column, None, None)
        )
        twin = {key: text for key, text in twin.items() if key not in remove} | add
        found = found.flattened() if often else found
        assert {key: found.details(key)[0] for key in twin} == twin
    merged, (imeis, column) = found.flattened(), members(twin)
    assert merged.base == imeis
    got = merged.columns[0]
    assert (got and got.values) == (column and column.values)
    if got:
        assert got.is_sound()
        assert (got.codes.dtype, got.codes.tolist()) == (column.codes.dtype, column.codes.tolist())


@pytest.mark.parametrize("kept", [0, 1, 100])
def test_verdicts_with_the_same_details_are_made_once(tmp_path, monkeypatch, kept):
    """What is kept is of these lists alone: a change, a later side or another list never gets it. kept: of
    claims."""
    monkeypatch.setattr("imeiset.register.rules._CLAIMS", kept)
    keys = [LISTED, OTHER, "352099001761481"]
    made = Register()
    made.add("stolen", keys[:2], status=B, reasons=["lost", "fraud"], dates=["20240229", "20240301"])
    made.add("found", keys[2:], status=G, reasons=["lost"], dates=["20240229"])
    with Store.create(tmp_path / "s", made) as store:
        for _ in range(2):
            found = [store.check(key) for key in keys]
            assert [v.to_dict() for v in found] == [made.check(key).to_dict() for key in keys]
            assert [(v.list, v.reasons, v.date.day) for v in found] == [
                ("stolen", ("lost",), 29),
                ("stolen", ("fraud",), 1),
                ("found", ("lost",), 29),
            ]
            assert all(store.check(key) is v for key, v in zip(keys, found, strict=True))
            claims = [store.explain(key) for key in keys]
            assert [(one.list, one.reasons, one.date) for (one,) in claims] == [
                (v.list, v.reasons, v.date) for v in found
            ]
        store.apply(Delta("stolen", add=keys[1:2], reason="lost", date="20240302"))
        store.apply(Delta("found", add=keys[:1], reason="other"))
        for _ in range(2):
            assert [(v.list, v.reasons, v.date.day) for v in map(store.check, keys)] == [
                ("stolen", ("lost",), 29),
                ("stolen", ("lost",), 2),
                ("found", ("lost",), 29),
            ]
            assert [[claim.list for claim in store.explain(key)] for key in keys] == [
                ["stolen", "found"],
                ["stolen"],
                ["found"],
            ]
        assert len(tables_of(store).about._claims) == min(kept, 4)


def test_many_reasons_take_wider_codes():
    """More texts than a byte can number, in what is added, and less again."""
    keys = np.arange(10**6, dtype=np.uint64)
    few = LayeredSet(
        ImeiSet.from_keys(keys), (Column.of(["", "x"], np.ones(len(keys), np.uint8)), None, None)
    )
    texts = ["", *(f"{n:03}" for n in range(300))]
    new = ImeiSet.from_keys(keys[1:301] * 1000)
    many = few.changed_by(new, NOTHING, (Column.of(texts, np.arange(1, 301)), None, None)).flattened()
    assert (few.columns[0].codes.dtype, many.columns[0].codes.dtype) == (np.uint8, np.uint16)
    assert [many.details(key)[0] for key in (0, 5, 1000, 2000, 300_000)] == ["x", "x", "000", "001", "299"]
    again = many.changed_by(NOTHING, new).flattened()
    assert again.columns[0].codes.dtype == np.uint8
    assert len(again.base) == len(again.columns[0].codes) == len(keys) - 300


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
def test_codes_that_do_not_fit_are_refused(kind):
    old, new = np.array([1, 2, 3], kind), np.array([9], kind)
    out = np.full(6, 77, kind)

    def splice(ranks, in_old, in_new, row=0, done=0):
        given = (np.array(side, np.int64) for side in (ranks, in_old, in_new))
        return splice_codes(old, new, *given, out[:4], row, done)

    assert splice([1, 3], [1, -1], [0, -1]) == (3, 3)
    assert out.tolist() == [1, 9, 3, 77, 77, 77]
    for wrong in (
        ([4], [-1], [-1]), ([-1], [-1], [-1]), ([2, 1], [-1, -1], [-1, -1]), ([0], [-1], [1]), ([0], [], []),
        ([0] * 5, [-1] * 5, [0] * 5), ([2**62], [-1], [-1]), ([3], [-1], [-1], 0, 2), ([3], [-1], [-1], 4, 0),
        ([0], [-1], [0], 0, 9),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="codes: expected"):
            splice(*wrong)
        assert out[4:].tolist() == [77, 77]
    other = np.uint16 if kind == np.uint8 else np.uint8
    for wrong in ((old.astype(other), new), (old, new.astype(other))):  # as many bytes are another number
        with pytest.raises(ValueError, match="codes: expected"):
            splice_codes(*wrong, *np.full((3, 1), -1), out[:4], 0, 0)
    for wrong in (np.float32, np.int32, np.uint64):
        with pytest.raises(TypeError, match="expected an array of BHI"):
            splice_codes(old.astype(wrong), new, *np.full((3, 1), -1), out[:4], 0, 0)
    used = np.zeros(3, np.uint8)
    mark_codes(old[:2], used)
    assert used.tolist() == [0, 1, 1]
    with pytest.raises(IndexError, match="codes: expected below 3"):
        mark_codes(old, used)


SOME_PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(10**6, 10**6 + 3)), max_size=8)


@given(SOME_PAIRS, st.lists(st.tuples(SOME_PAIRS, SOME_PAIRS), max_size=4))
def test_few_pairs_that_changed_are_merged(before, changes):
    def arrays(pairs):
        return tuple(np.array([pair[side] for pair in pairs], np.uint64) for side in (0, 1))

    paired, twin = LayeredPairs(Pairs.of(*arrays(before))), set(before)
    for add, remove in changes:
        paired = paired.changed_by(arrays(add), arrays(remove))
        twin = (twin - set(remove)) | set(add)
    merged, anew = paired.flattened(), Pairs.of(*arrays(sorted(twin)))
    assert not merged.changed
    assert merged.base.imeis == anew.imeis
    assert [side.tolist() for side in merged.base.arrays[1:]] == [side.tolist() for side in anew.arrays[1:]]


@pytest.mark.parametrize("place", range(7))
@pytest.mark.parametrize("number", [-1, 0, 1, 2, 3, 4, 2**31, 2**32 - 1, 2**62])
def test_pairs_of_a_damaged_base_are_not_merged_beyond_them(place, number):
    """Any numbers but for those that fit: an error, or pairs as many as there is room for."""
    given = [
        np.array(numbers, kind)
        for numbers, kind in (
            ([0, 1, 3], np.uint32), ([7, 8, 9], np.uint64), ([0, 1], np.uint32), ([6], np.uint64),
            ([1], np.int64), ([1], np.int64), ([0], np.int64),
        )
    ]  # fmt: skip
    starts, imsis = np.full(4, 99, np.uint32), np.full(4, 99, np.uint64)

    def merge():
        base, now = (given[0], given[1]), (given[2], given[3])
        merge_pairs(base, now, *given[4:], starts[:3], imsis[:2])

    merge()
    assert (starts.tolist(), imsis.tolist()) == ([0, 1, 2, 99], [7, 6, 99, 99])
    for at in range(len(given[place])):
        was = given[place][at]
        given[place][at] = np.array(number).astype(given[place].dtype)
        with contextlib.suppress(ValueError):
            merge()
        given[place][at] = was
        assert (starts[3], *imsis[2:]) == (99, 99, 99)
    for wrong in (given[place][:0], np.append(given[place], given[place][-1:])):
        was, given[place] = given[place], wrong
        with contextlib.suppress(ValueError):
            merge()
        given[place] = was
    with pytest.raises(ValueError, match="pairs: expected"):
        merge_pairs((given[0], given[1]), (given[2], given[3]), *given[4:], starts, imsis)


NAMES = ((1, "reasons"), (2, "dates"))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.sampled_from([None, "", "lost", " stolen |lost", ["stolen"], ("b", "a"), float("nan")]),
            st.sampled_from([None, "20240229", datetime.date(2024, 3, 1), np.datetime64("2024-02-01"), ""]),
        )
    ),
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["both", "reasons", "dates", "none"]))),
)
def test_reasons_and_dates_are_united(rows, calls):
    """In one column and in several, some of which say nothing of them."""
    register, start = Register(), 0
    for stop, columns in [*sorted(calls), (len(rows), "both")]:
        for at in range(start, min(stop, len(rows))):
            reason, day = (rows[at][side] if columns in ("both", name) else None for side, name in NAMES)
            rows[at] = (rows[at][0], reason, day)
        some = rows[start:stop]
        said = {name: iter([row[side] for row in some]) for side, name in NAMES if columns in ("both", name)}
        register.add("stolen", [row[0] for row in some], status=B, **said)
        start = max(start, stop)
    for key in {row[0] for row in rows}:
        reasons, days = set(), []
        for _, reason, day in (row for row in rows if row[0] == key):
            if isinstance(reason, str):
                reasons |= {part.strip() for part in reason.split("|")} - {""}
            elif isinstance(reason, list | tuple):
                reasons |= set(reason)
            if day is not None and day != "":
                days.append(datetime.date.fromisoformat(str(day)))
        verdict = register.check(key)
        assert (verdict.reasons, verdict.date) == (tuple(sorted(reasons)), min(days, default=None))


def test_reasons_and_dates_as_arrays():
    keys = np.arange(200_000, dtype=np.uint64)
    reasons = np.array(["lost", "", "stolen|lost"])[keys % 3]
    dates = np.datetime64("2020-01-01", "ns") + (keys % 1000).astype("timedelta64[D]")
    dates[5] = np.datetime64("NaT", "ns")
    register = Register()
    register.add("stolen", keys[::-1], status=B, reasons=reasons[::-1], dates=dates[::-1])
    for key in (0, 1, 2, 5, 199_999):
        expected = tuple(sorted(str(reasons[key]).split("|"))) if reasons[key] else ()
        day = None if key == 5 else datetime.date(2020, 1, 1) + datetime.timedelta(key % 1000)
        assert register.check(key) == Verdict(B, "stolen", "exact", expected, day)
    for bad in ({"reasons": [5]}, {"reasons": [[5]]}, {"dates": [True]}):
        with pytest.raises((TypeError, ValueError), match="expected"):
            Register().add("stolen", [LISTED], status=B, **bad)
    with pytest.raises(ValueError, match="dates: expected 1, one for each IMEI, got 2"):
        Register().add("stolen", [LISTED], status=B, dates=[None, None])


def test_one_set_in_two_lists(tmp_path):
    """Each has the reasons of its own, and the file does not tell that the set was one object."""
    one, again = (ImeiSet.from_keys(np.array([11, 12, 13], np.uint64)) for _ in range(2))
    for name, other in (("same", one), ("equal", again)):
        made = Register()
        made.add("a", one, status=B, reasons=["x", "y", "x"])
        made.add("b", other, status=G, reasons=["q", "p", "p"])
        made.add("c", other, status=W)
        made.save(tmp_path / name)
        opened = Register.verify(tmp_path / name)
        for register in (made, opened):
            assert [register.check(key).reasons for key in (11, 12, 13)] == [("x",), ("y",), ("x",)]
    assert (tmp_path / "same").read_bytes() == (tmp_path / "equal").read_bytes()
    with Store.create(tmp_path / "store", made) as store:
        for _ in range(2):
            store.apply(Delta("a", remove=[11, 12]), Delta("c", remove=[11, 12]))
            assert [store.check(key).list for key in (11, 12, 13)] == ["b", "b", "a"]
            assert [store.check(key).reasons for key in (11, 12, 13)] == [("q",), ("p",), ("x",)]
            store.compact()


def test_short_ranges(tmp_path):
    """They are kept as ranges, 4 bytes each, and the file is the same however they came."""
    rng = np.random.default_rng(4)
    lows = 35 * 10**12 + np.arange(50_000, dtype=np.uint64) * 211
    highs = lows + rng.integers(0, 40, len(lows), dtype=np.uint64)
    whole, parts = Register(), Register()
    whole.add_ranges("ranges", lows, highs, status=B)
    order = rng.permutation(len(lows))
    for some in (order[:20_000], order[20_000:20_001], order[15_000:]):
        parts.add_ranges("ranges", lows[some], highs[some], status=B)
    for name, register in (("whole", whole), ("parts", parts)):
        register.save(tmp_path / name)
        Register.verify(tmp_path / name)
    with Store.create(tmp_path / "store", Register.open(tmp_path / "whole")) as store:
        gone = slice(1000, 40_000)
        store.apply(Delta("ranges", remove=(lows[gone], highs[gone]), rule="range"))
        store.compact()
        store.apply(Delta("ranges", add=(lows[gone], highs[gone]), rule="range"))
        store.compact()
        store.save(tmp_path / "again")
        Store.verify(tmp_path / "store")
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "parts").read_bytes()
    assert sections(tmp_path / "whole") == sections(tmp_path / "again")
    assert (tmp_path / "whole").stat().st_size < 10 * len(lows)
    asked = np.concatenate([lows - 1, lows, highs, highs + 1])
    statuses = Register.open(tmp_path / "whole").check_many(asked).reshape(4, -1)
    assert [set(row) for row in statuses.tolist()] == [{W}, {B}, {B}, {W}]


def test_filters_are_the_same_on_every_level():
    register = Register()
    lows = np.arange(10**13, 10**13 + 5 * 10**8, 1009, dtype=np.uint64)
    register.add_ranges("ranges", lows, lows + 50, status=B)
    keys = np.arange(10**13, 10**13 + 3 * 10**5, dtype=np.uint64)
    before = simd.simd_level()
    try:
        for level in simd.simd_levels():
            simd.use_simd(level)
            assert (register.check_many(keys) == ((keys - 10**13) % 1009 <= 50)).all()
    finally:
        simd.use_simd(before)


def test_native_arguments():
    keys, one = np.zeros(2, np.uint64), np.zeros(1, np.uint64)
    part = Layered(ImeiSet())
    pairing = Pairing((ImeiSet(), np.zeros(1, np.uint32), np.zeros(0, np.uint64)))

    def check_tables(**changes):
        given = {"order": [], "levels": {}, "pairings": [], "lists": 0, "detailed": {}, **changes}
        given |= {"prefixes": Prefixes(), "outcomes": bytes(8)}
        return CheckTables(ImeiSet(), told=lambda *_: None, malformed=None, unread=None, **given)

    tables = Register()._tables()
    for call in (
        lambda: Level([(part, 0, 0)] * 64),
        lambda: mark(np.empty(0, np.uint64), keys),
        lambda: are_ascending(keys, one),
        lambda: sort_pairs(keys, one),
        lambda: starts_of(keys, np.zeros(2, np.uint32)),
        lambda: imsis_of(["1"], keys),
        lambda: imsis_of_rows(np.zeros((1, 3), np.uint8), keys),
        lambda: Pairing((ImeiSet(), np.zeros(2, np.uint32), one)),
        lambda: Pairing((ImeiSet(), np.zeros(1, np.uint32), one)).have(keys, keys, np.zeros(1, np.uint8)),
        lambda: part.contains(keys, np.zeros(1, np.uint8)),
        lambda: tables.answer(keys, np.zeros(2, np.uint8), one),
        lambda: tables.answer(keys, np.zeros(1, np.uint8)),
        lambda: tables.by_prefix(keys, np.zeros(1, np.uint16)),
        lambda: tables.hits(keys, np.zeros(1, np.uint8), np.zeros(2, np.int64), keys),
        lambda: tables.hits(keys, np.zeros(2, np.uint8), np.zeros(1, np.int64), keys),
        lambda: tables.hits(keys, np.zeros(2, np.uint8), np.zeros(2, np.int64), one),
        lambda: part_codes(keys, 64, 4, np.zeros(2, np.uint8), np.zeros(2, np.int64)),
        lambda: part_codes(keys, 48, 4, np.zeros(1, np.uint8), np.zeros(2, np.int64)),
        lambda: part_codes(keys, 48, 4, np.zeros(2, np.uint8), np.zeros(1, np.int64)),
        lambda: put_codes(
            np.zeros(1, np.uint8), np.zeros(2, np.int64), np.zeros(1, np.int32), np.zeros(2, np.int32)
        ),
        lambda: Detailed(part, []),
        lambda: Detailed(part, [(None, None)]),
        lambda: codes_of([Detailed(part, [(None,) * 3])] * 65, 1),
        lambda: check_tables(shift=64),
        lambda: Prefixes([(keys, np.zeros(1, np.uint16))]),
        lambda: Prefixes([(one, np.zeros(1, np.uint16))] * 17),
        lambda: Prefixes([], [17]),
        lambda: Layered(ImeiSet(), [(None, ImeiSet())] * 17),
        lambda: Pairing(Pairs.of(one, one).arrays, [(ImeiSet(), Pairs.of(one, one).arrays)] * 17),
        lambda: mark_runs(np.empty(0, np.uint64), keys, keys),
        lambda: mark_runs(one, keys, one),
        lambda: marks_of_runs(keys, one),
        lambda: check_tables(pairings=[(pairing, False, 1)] * 64),
    ):
        with pytest.raises(ValueError, match="expected"):
            call()


# ---- one file


@pytest.fixture
def path(tmp_path):
    register = Register(Policy(response_type=2, malformed=G))
    register.add("stolen", [LISTED, OTHER], status=B, reasons=["a|b", "c"], dates=["20240229", None])
    register.add_ranges("barred", [10**13], [10**13 + 10**7], status=B)
    register.add_tacs("models", ["35123456"], status=G)
    register.exempt("exceptions", [LISTED] * 3, [HOME, AWAY, "001011"])
    register.add_imsis("guests", ["26299"], status=W)
    found = tmp_path / "register.imei"
    register.save(found)
    return found


@pytest.mark.parametrize("mode", ["mmap", "memory"])
def test_a_file_is_the_register(path, mode):
    register = Register.open(path, mode=mode)
    assert register.policy == Policy(response_type=2, malformed=G)
    assert register.counts() == {
        "stolen": {"exact": 2},
        "barred": {"range": 10**7 + 1},
        "models": {"tac": 10**6},
        "exceptions": {"pair": 3},
        "guests": {"imsi": 1},
    }
    assert register.check(LISTED) == Verdict(B, "stolen", "exact", ("a", "b"), datetime.date(2024, 2, 29))
    assert register.check(LISTED, "001011").rule == "pair"
    assert register.check("x") == Verdict(G, rule="malformed")
    register.add("stolen", ["86012345678901"], status=B)  # an opened register may grow
    assert [register.check(imei).status for imei in (LISTED, "86012345678901")] == [B, B]


def test_one_list_is_stored_once(tmp_path):
    keys = np.arange(0, 10**9, 9973, np.uint64)
    alone, register = ImeiSet.from_keys(keys), Register()
    register.add("stolen", alone, status=B)
    alone.save(tmp_path / "set.imei")
    register.save(tmp_path / "register.imei")
    sizes = [(tmp_path / name).stat().st_size for name in ("set.imei", "register.imei")]
    assert sizes[1] < sizes[0] + 1000


def test_a_set_is_no_register(tmp_path, path):
    ImeiSet([LISTED]).save(tmp_path / "set.imei")
    with pytest.raises(SnapshotKind):
        Register.open(tmp_path / "set.imei")
    with pytest.raises(SnapshotKind):
        ImeiSet.open(path)


def test_any_flipped_byte_is_found(path):
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), 13):
        data[at] ^= 0x41
        path.write_bytes(data)
        with pytest.raises(SnapshotError):
            Register.verify(path)
        data[at] ^= 0x41


def sections(path):
    return {name: bytes(data) for name, data in snapshot.open(path).sections.items()}


def rewritten(path, parts):
    snapshot.write(path, "register", parts.items(), count=2)


def test_descriptions_that_lie(path):
    parts = sections(path)
    good = json.loads(parts["register"])

    def refused(change):
        about = json.loads(parts["register"])
        change(about)
        rewritten(path, {**parts, "register": json.dumps(about).encode()})
        with pytest.raises(SnapshotError):
            Register.open(path)

    for keep in good.keys() - {"details"}:  # a file of before has none
        refused(lambda about, keep=keep: about.pop(keep))
    for value in (None, [], 7, "x", -1, {"exact": 0}):
        for key in good:
            if (key, value) not in (("lists", []), ("shift", 7)):
                refused(lambda about, key=key, value=value: about.update({key: value}))
        for key in good["lists"][0]:
            if (key, value) not in (("reason", "x"), ("name", "x"), ("r", []), ("d", [])):
                refused(lambda about, key=key, value=value: about["lists"][0].update({key: value}))
    refused(lambda about: about["lists"].append(about["lists"][0]))
    refused(lambda about: about["lists"][3].update(pairs=0))
    refused(lambda about: about["lists"][0].update(status=3))
    refused(lambda about: [one.update(prefixes=["262"]) for one in about["lists"][:2]])
    for junk in (b"", b"{", b"[]", b"\xff", b"[" * 100_000):
        rewritten(path, {**parts, "register": junk})
        with pytest.raises(SnapshotBounds):
            Register.open(path)


def test_other_layouts(path):
    parts = sections(path)
    for layout, remedy in ((1, "build it anew"), (2, "build it anew"), (5, "update imeiset")):
        about = json.loads(parts["register"]) | {"layout": layout}
        rewritten(path, {**parts, "register": json.dumps(about).encode()})
        with pytest.raises(SnapshotVersion, match=remedy):
            Register.open(path)


def test_sections_that_lie(path):
    """Whatever is in them, no crash; and verify finds it."""
    parts = sections(path)
    keys = [int(LISTED[:14]), int(OTHER[:14]), 10**13, 35123456000000, 5]
    for name, data in parts.items():
        if name == "register" or not data:
            continue
        for junk in (b"\xff" * len(data), bytes(len(data)), data[::-1]):
            if junk == data or (name[-1] in "rd" and junk == data[::-1]):  # other reasons are as good
                continue
            rewritten(path, {**parts, name: junk})
            try:
                register = Register.open(path)
                register.check_many(keys, [HOME] * 5)
                for key in keys:
                    register.check(key, HOME)
            except (SnapshotError, IndexError):
                pass
            with pytest.raises(SnapshotError):
                Register.verify(path)
        rewritten(path, {other: data for other, data in parts.items() if other != name})
        with pytest.raises(SnapshotError):
            Register.verify(path)


@pytest.mark.parametrize("date", ["x", "20240229", "2024-02-30"])
def test_a_date_that_is_none_is_found(tmp_path, date):
    made = Register()
    made.add("stolen", [LISTED], status=B, dates=["20240229"])
    made.save(tmp_path / "r.imei")
    parts = sections(tmp_path / "r.imei")
    about = json.loads(parts["register"])
    about["lists"][0]["d"] = [date]
    rewritten(tmp_path / "r.imei", {**parts, "register": json.dumps(about).encode()})
    with pytest.raises(SnapshotBounds, match="dates in list 'stolen'"):
        Register.verify(tmp_path / "r.imei")


@pytest.mark.parametrize("wrong", [{"0.r": b"\x09"}, {"register": (b"2024-02-29", b"2024-02-30")}])
def test_reasons_and_dates_that_lie(tmp_path, wrong):
    """An error that says what is wrong, and no verdict without them."""
    register = Register()
    register.add("stolen", [LISTED], status=B, reasons=["lost"], dates=["20240229"])
    register.save(tmp_path / "r.imei")
    parts = sections(tmp_path / "r.imei")
    for name, value in wrong.items():
        parts[name] = value if isinstance(value, bytes) else bytes(parts[name]).replace(*value)
    rewritten(tmp_path / "r.imei", parts)
    lies = Register.open(tmp_path / "r.imei")
    assert lies.check(OTHER).status == W
    with pytest.raises(SnapshotBounds, match="fit its sets"):
        lies.check(LISTED)
    assert lies.check_many([LISTED]).tolist() == [B]


def test_a_union_that_lacks_a_list_is_found(path):
    parts = sections(path)
    about = json.loads(parts["register"])
    about["known"] = about["lists"][0]["exact"]
    rewritten(path, {**parts, "register": json.dumps(about).encode()})
    with pytest.raises(SnapshotBounds, match="union"):
        Register.verify(path)


def test_a_damaged_payload_has_a_checksum(path):
    data = path.read_bytes().replace(b'"reason":""', b'"reason":"x', 1)
    path.write_bytes(data)
    with pytest.raises(SnapshotSectionChecksum):
        snapshot.open(path).verify()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_key_that_changes_meanwhile_is_one_or_the_other(threads):
    """The union of all lists and the filter of ranges are asked about the same key."""
    register = Register()
    register.add("exact", ImeiSet.from_keys(np.arange(10**13, 10**13 + 10**6, 7, np.uint64)), status=B)
    register.add_ranges("ranges", [3 * 10**13], [3 * 10**13 + 40], status=B)

    def all_black(column):
        return (register.check_many(column, threads=threads) == B).all()

    assert all_while_written(all_black, 10**13 + 700, 3 * 10**13 + 5)


def test_columns_of_every_kind_agree():
    register = Register()
    register.add("stolen", [LISTED], status=B)
    texts = [LISTED, OTHER]
    given = [texts, tuple(texts), np.array(texts), np.array(texts, "S15"), "\n".join(texts).encode()]
    for imeis, imsis in itertools.product(given, [None, [HOME, None], np.array([HOME, ""], "S15")]):
        assert register.check_many(imeis, imsis).tolist() == [B, W]
    assert register.check_many([], []).tolist() == []


def test_integers_with_their_check_digit(tmp_path):
    """Of lists of every kind, and of changes."""
    lost, zero = 12345678901237, "012345678901237"
    for numbers in ([lost, int(LISTED)], np.array([lost, int(LISTED)])):
        register = Register(Policy(response_type=2))
        register.add("stolen", numbers, status=B, digits=15)
        register.add_ranges("batch", numbers, numbers, status=G, digits=15)
        register.lock("leased", numbers, [HOME, HOME], digits=15)
        register.exempt("paired", numbers, [HOME, HOME], digits=15)
        expected = Register(Policy(response_type=2))
        expected.add("stolen", [zero, LISTED], status=B)
        expected.add_ranges("batch", [zero, LISTED], [zero, LISTED], status=G)
        expected.lock("leased", [zero, LISTED], [HOME, HOME])
        expected.exempt("paired", [zero, LISTED], [HOME, HOME])
        register.save(tmp_path / "given")
        expected.save(tmp_path / "expected")
        assert (tmp_path / "given").read_bytes() == (tmp_path / "expected").read_bytes()
        assert [register.check(imei).status for imei in (zero, LISTED)] == [B, B]
        assert [register.check(imei, HOME).status for imei in (zero, LISTED)] == [W, W]
        for add in (
            lambda register=register, numbers=numbers: register.add("stolen", numbers, status=B),
            lambda register=register, numbers=numbers: register.exempt("paired", numbers, [HOME, HOME]),
            lambda register=register, numbers=numbers: register.lock("leased", numbers, [HOME, HOME]),
            lambda register=register, numbers=numbers: register.add_ranges("a", numbers, numbers, status=B),
        ):
            with pytest.raises(ImeiError, match="digits=15"):
                add()
        with Store.create(tmp_path / str(type(numbers)), register) as store:
            before = [one.to_numpy().tolist() for one in store.values()]
            for rule, column in ((None, numbers), ("range", (numbers, numbers))):
                store.apply(Delta("stolen", remove=column, rule=rule, digits=15))
                store.apply(Delta("batch", remove=column, rule=rule, digits=15))
            store.apply(Delta("leased", remove=(numbers, [HOME, HOME]), digits=15))
            assert [store.check(imei).status for imei in (zero, LISTED)] == [U, U]
            store.apply(Delta("stolen", add=numbers, digits=15))
            store.apply(Delta("batch", add=(numbers, numbers), rule="range", digits=15))
            assert [one.to_numpy().tolist() for one in store.values()] == before
            for wrong in (
                Delta("stolen", add=numbers),
                Delta("batch", rule="range", add=(numbers, numbers)),
                Delta("leased", add=(numbers, [HOME, HOME])),
            ):
                with pytest.raises(ImeiError, match="digits=15"):
                    store.apply(wrong)


@pytest.mark.parametrize(
    "ask",
    [
        lambda register, some: register.add("l", some, status=B, reasons=["a", "b"]),
        lambda register, some: register.add("l", some, status=B, dates=["20240229", None]),
        lambda register, some: register.add("l", [LISTED, OTHER], status=B, reasons=some),
        lambda register, some: register.add("l", [LISTED, OTHER], status=B, dates=some),
        lambda register, some: register.exempt("l", some, [HOME, AWAY]),
        lambda register, some: register.lock("l", [LISTED, OTHER], some),
        lambda register, some: register.add_ranges("l", some, [LISTED, OTHER], status=B),
        lambda register, some: register.add_ranges("l", [LISTED, OTHER], some, status=B),
        lambda register, some: register.check_many(some, [HOME, AWAY]),
        lambda register, some: register.check_many([LISTED, OTHER], some),
    ],
)
@pytest.mark.parametrize(
    "some", [{LISTED, OTHER}, frozenset([LISTED, OTHER]), {LISTED: 1, OTHER: 2}], ids=type
)
def test_columns_that_go_together_have_an_order(ask, some):
    """A set has its rows in any order: an IMEI would get the reason, or the subscriber, of another."""
    with pytest.raises(
        TypeError, match=r"expected a column whose rows are in the order of|expected a list or"
    ):
        ask(Register(), some)


def test_nulls_of_reasons_and_dates():
    pd = pytest.importorskip("pandas")
    pa = pytest.importorskip("pyarrow")
    day = datetime.date(2024, 2, 29)
    dates = [
        pd.Series(pd.to_datetime([day, None])), [day, pd.NaT], [day, pd.NA], [day, float("nan")],
        pa.array([day, None]), pa.chunked_array([[day], pa.array([None], pa.date32())]),
    ]  # fmt: skip
    reasons = [pd.Series(["a", pd.NA], dtype="string"), ["a", pd.NA], pa.array(["a", None]), ["a", None]]
    for column in dates:
        register = Register()
        register.add("l", [LISTED, OTHER], status=B, dates=column)
        assert [register.check(imei).date for imei in (LISTED, OTHER)] == [day, None]
    for column in reasons:
        register = Register()
        register.add("l", [LISTED, OTHER], status=B, reasons=column)
        assert [register.check(imei).reasons for imei in (LISTED, OTHER)] == [("a",), ()]
    register.add_tacs("models", pa.array(["86012345"]), status=B)
    assert register.counts()["models"] == {"tac": 10**6}


def test_a_set_of_phones_has_no_subscribers():
    """Its texts have as many digits as IMSIs."""
    phones, register = ImeiSet(["352099001761481"]), Register()
    with pytest.raises(TypeError, match="prefixes: expected texts of subscribers, got ImeiSet"):
        register.add_imsis("guests", phones, status=EquipmentStatus.BLACKLISTED)
    with pytest.raises(TypeError, match="imsis: expected texts of subscribers, got ImeiSet"):
        register.exempt("pairs", [*phones], phones)
    with pytest.raises(TypeError, match="imsis: expected texts of subscribers, got ImeiSet"):
        register.check_many([*phones], phones)
