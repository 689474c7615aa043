"""The whole answer: every claim on a phone, and the columns of many, as the twin has them."""

import datetime

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import Delta, EquipmentStatus, ImeiError, ImeiSet, ImsiError, Policy, Register, Store, to_arrow
from imeiset._native import simd
from imeiset._native.codes import put_codes
from imeiset.errors import SnapshotBounds
from imeiset.register import Claim, Words
from imeiset.register.claims import counts_on
from imeiset.register.details import Column
from imeiset.register.layered import LayeredSet
from imeiset.register.lists import List

W, B, G, U = EquipmentStatus
LISTED, OTHER = "490154203237518", "356938035643809"
HOME, AWAY = "234150999999999", "262011234567890"
DAY = datetime.date(2026, 2, 28)
NAMES = ["status", "list", "rule", "reasons", "date", "until"]

KEYS = st.integers(10**13, 10**13 + 20) | st.integers(0, 3) | st.sampled_from([10**14 - 1, 5 * 10**6])
IMSIS = st.sampled_from([HOME, AWAY, "001011", "01011123"])
OWN = st.sampled_from(["", "of the list"])
REASONS = st.sampled_from(["", "lost", "lost|stolen"])
DATES = st.none() | st.integers(-400, 0).map(lambda days: DAY + datetime.timedelta(days))
UNTILS = st.none() | st.integers(1, 400).map(lambda days: DAY + datetime.timedelta(days))
TEXTS = KEYS.map(lambda key: f"{key:014d}")
ODD = st.sampled_from(["DEAD", "dead", "62#1", "00000000000003#*", "10000000000001#", "x", None])
VALUES = KEYS | TEXTS | ODD
WRITTEN = IMSIS | st.sampled_from([None, "", "x", "2341509999999990"])
QUESTIONS = st.lists(st.tuples(VALUES, WRITTEN), min_size=8, max_size=40)
STATUSES = st.sampled_from([W, B, G])


def keep(mine, key, reasons, date, until):
    mine["exact"][key] = reasons
    mine["dates"][key], mine["untils"][key] = date, until


def add_pairs(register, name, mine, status):
    """What a twin has of pairs, to the register."""
    pairs = list(mine["pairs"])
    how = {} if mine["kind"] == "exempt" else {"status": status}
    columns = [key for key, _ in pairs], [imsi for _, imsi in pairs]
    untils = [mine["untils"].get(pair) for pair in pairs]
    owner, reason = mine["owner"], mine["reason"]
    getattr(register, mine["kind"])(name, *columns, until=untils, owner=owner, reason=reason, **how)


@st.composite
def registers(draw, malformed=None):
    """A register and its twin, and what the policy says of malformed input."""
    policy = Policy(
        response_type=draw(st.sampled_from([1, 2, 3])),
        unlisted=draw(st.sampled_from([None, W, G, U])),
        malformed=malformed,
        precedence=tuple(draw(st.permutations(oracle.Equipment.PRECEDENCE))),
    )
    register = Register(policy)
    twin = oracle.Equipment(policy.response_type, policy.unlisted, policy.precedence)
    for n in range(draw(st.integers(0, 4))):
        name, status = f"list {n}", draw(STATUSES)
        about = {"owner": draw(st.sampled_from(["", "op-a"])), "reason": draw(OWN)}
        mine = twin.list(name, status, **about)
        for key in draw(st.lists(KEYS, max_size=6)):
            keep(mine, key, draw(REASONS), draw(DATES), draw(UNTILS))
        columns = [list(mine[column].values()) for column in ("exact", "dates", "untils")]
        some = zip(("reasons", "dates", "until"), columns, strict=True)
        details = {column: values for column, values in some if draw(st.booleans()) or any(values)}
        register.add(name, list(mine["exact"]), status=status, **details, **about)
        mine["range"] = {tuple(sorted(draw(st.tuples(KEYS, KEYS)))) for _ in range(draw(st.integers(0, 1)))}
        lows, highs = [low for low, _ in mine["range"]], [high for _, high in mine["range"]]
        register.add_ranges(name, lows, highs, status=status)
        mine["tac"] = set(draw(st.lists(st.sampled_from([10**7, 0, 5]), max_size=1)))
        register.add_tacs(name, [f"{tac:08}" for tac in mine["tac"]], status=status)
        mine["texts"] = draw(st.sets(st.sampled_from([b"DEAD", b"62#1"])))
        register.add(name, ImeiSet.from_keys([], irregular=mine["texts"]), status=status)
    for n, kind in enumerate(draw(st.lists(st.sampled_from(["block", "exempt", "lock"]), max_size=4))):
        name, status = f"pairs {n}", W if kind == "exempt" else draw(STATUSES)
        mine = twin.list(name, status, kind, draw(st.sampled_from(["", "op-b"])), draw(OWN))
        mine["pairs"] = set(draw(st.lists(st.tuples(KEYS, IMSIS), max_size=5)))
        mine["untils"] = {pair: draw(UNTILS) for pair in mine["pairs"]}
        add_pairs(register, name, mine, status)
    left = draw(
        st.lists(st.sampled_from(["2", "234", "23415", "262", "0", "001011"]), unique=True, max_size=4)
    )
    for n, prefix in enumerate(left):
        name, status = f"imsis {n % 2}", (W, B)[n % 2]
        twin.list(name, status, "imsis", reason="home")["prefixes"].add(prefix)
        register.add_imsis(name, [prefix], status=status, reason="home")
    return register, twin


def expected_claims(twin, *question):
    said = twin.explain(*question)
    return (
        None
        if said is None
        else tuple(Claim(*claim[:4], tuple(filter(None, claim[4].split("|"))), *claim[5:]) for claim in said)
    )


def expect_answers(asked, twin, questions, malformed=None):
    """Claims, verdicts and columns are those of the twin."""
    for imei, imsi in questions:
        if twin.explain(imei, imsi, malformed) is None:
            for ask in (asked.explain, asked.check):
                with pytest.raises((ImeiError, ImsiError)):
                    ask(imei, imsi)
            continue
        claims, verdict = asked.explain(imei, imsi), asked.check(imei, imsi)
        assert claims == expected_claims(twin, imei, imsi, malformed)
        assert sum(claim.decided for claim in claims) == (verdict.list is not None)
        for claim in claims[:1] if verdict.list else ():
            assert claim.decided
            said = claim.list, claim.rule, claim.reasons, claim.date
            assert said == (verdict.list, verdict.rule, verdict.reasons, verdict.date)
    imeis, imsis = (list(column) for column in zip(*questions, strict=True))
    for subscribers in (imsis, None):
        asks = [(imei, imsi if subscribers else None) for imei, imsi in questions]
        rows = [twin.details(*ask, malformed) for ask in asks]
        for threads in (1, 2):
            if None in rows:
                with pytest.raises((ImeiError, ImsiError)) as error:
                    asked.check_many(imeis, subscribers, threads=threads, details=True)
                assert error.value.position == rows.index(None)
                good = [row for row, answer in enumerate(rows) if answer is not None]
                if not good:
                    continue
                column = [imeis[row] for row in good]
                others = [imsis[row] for row in good] if subscribers else None
                answers = asked.check_many(column, others, threads=threads, details=True)
                assert list(zip(*map(plain, answers.values()), strict=True)) == [rows[row] for row in good]
            else:
                answers = asked.check_many(imeis, subscribers, threads=threads, details=True)
                assert list(zip(*map(plain, answers.values()), strict=True)) == rows
                statuses, lists = asked.check_many(imeis, subscribers, threads=threads, lists=True)
                assert (answers["status"] == statuses).all()
                assert list(answers["list"]) == [[*twin.lists, None][code] for code in lists.tolist()]


def plain(column):
    """The rows of a column of an answer."""
    return list(column) if isinstance(column, Words) else column.tolist()


@settings(max_examples=60)
@given(st.data(), st.sampled_from([None, W, B, U]), QUESTIONS)
def test_answers_are_those_of_the_twin(tmp_path_factory, data, malformed, questions):
    register, twin = data.draw(registers(malformed))
    path = tmp_path_factory.getbasetemp() / "claims.imei"
    register.save(path)
    for one in (register, register.frozen(), Register.open(path)):
        expect_answers(one, twin, questions, malformed)


@settings(max_examples=30)
@given(st.data(), QUESTIONS)
def test_answers_follow_the_changes_of_a_store(tmp_path_factory, data, questions):
    """Through the layers of changes, in the writer and a reader, and after they are one base."""
    register, twin = data.draw(registers())
    path = tmp_path_factory.mktemp("store") / "eir"
    draw = data.draw
    with Store.create(path, register) as store, Store.open(path) as reader:
        for _ in range(draw(st.integers(1, 5)) if twin.lists else 0):
            deltas = []
            for _ in range(draw(st.integers(1, 2))):
                name = draw(st.sampled_from(list(twin.lists)))
                deltas.append(draw_delta(draw, name, twin.lists[name]))
            store.apply(*deltas)
            expect_answers(store, twin, questions)
            if draw(st.booleans()):
                reader.refresh()
                expect_answers(reader, twin, questions)
        store.compact()
        reader.refresh()
        for one in (store, reader):
            expect_answers(one, twin, questions)


def draw_delta(draw, name, mine):
    """A change of a list, made to the twin as well."""
    until, by = draw(UNTILS), {"by": mine["owner"]} if mine["owner"] else {}
    if mine["kind"] == "imsis":
        return Delta(name, remove=[prefix for prefix in mine["prefixes"] if len(prefix) > 20], **by)
    if mine["kind"] != "imeis":
        add, remove = (draw(st.lists(st.tuples(KEYS, IMSIS), max_size=4)) for _ in range(2))
        mine["pairs"] -= set(remove)
        mine["pairs"] |= set(add)
        mine["untils"] |= dict.fromkeys(add, until)
        sides = [
            tuple(list(column) for column in zip(*rows, strict=True)) or ([], []) for rows in (add, remove)
        ]
        return Delta(name, sides[0], sides[1], rule="pair", until=until, **by)
    reason, date = draw(REASONS), draw(DATES)
    add, remove = (draw(st.lists(KEYS, max_size=4)) for _ in range(2))
    for key in remove:
        mine["exact"].pop(key, None)
    for key in add:
        keep(mine, key, reason, date, until)
    return Delta(name, add, remove, reason=reason or None, date=date, until=until, **by)


def several() -> Register:
    register = Register()
    days = ["2025-01-31", None]
    register.add("stolen", [LISTED, OTHER], status=B, reasons=["theft", ""], dates=days, reason="police")
    register.add("found", [LISTED], status=G)
    register.lock("leased", [LISTED], [HOME])
    register.add_tacs("models", [LISTED[:8]], status=W)
    return register


def test_an_answer_in_words():
    claims = several().explain(LISTED, AWAY)
    assert [(claim.list, claim.rule, claim.decided) for claim in claims] == [
        ("leased", "pair", True),
        ("stolen", "exact", False),
        ("found", "exact", False),
        ("models", "tac", False),
    ]
    assert [claim.list for claim in several().explain(LISTED, HOME)] == ["stolen", "found", "models"]
    assert claims[1] == Claim("stolen", "", B, "exact", ("theft",), datetime.date(2025, 1, 31))
    assert several().explain(OTHER)[0].reasons == ("police",)
    assert several().explain("352099001761481") == ()
    with pytest.raises(ImeiError):
        several().explain("x")
    with pytest.raises(ImsiError):
        several().explain(LISTED, "x")


def test_where_the_policy_decides_no_claim_did():
    register = Register(Policy(malformed=W))
    register.add_imsis("guests", ["262", "26201"], status=B)
    assert register.check("x", AWAY).rule == "malformed"
    assert [(claim.list, claim.decided) for claim in register.explain("x", AWAY)] == [("guests", False)]
    assert [(claim.list, claim.decided) for claim in register.explain(LISTED, AWAY)] == [("guests", True)]


def test_columns_speak_arrow():
    na = pytest.importorskip("nanoarrow")
    answers = several().check_many(
        [LISTED, "352099001761481", OTHER, LISTED], [HOME, HOME, "", AWAY], details=True
    )
    assert list(answers) == NAMES
    shown = {name: to_arrow(column).to_pylist() for name, column in answers.items()}
    assert shown["list"] == ["stolen", None, "stolen", "leased"]
    assert shown["rule"] == ["exact", "default", "exact", "pair"]
    assert shown["reasons"] == ["theft", None, "police", None]
    assert shown["date"] == [datetime.date(2025, 1, 31), None, None, None]
    assert shown["until"] == [None] * 4
    assert str(na.Array(answers["list"]).schema) == "<Schema> dictionary(int32)<string>"
    none = several().check_many([], details=True)
    assert {name: to_arrow(column).to_pylist() for name, column in none.items()} == {
        name: [] for name in NAMES
    }


def test_words():
    column = Words(["a", "b"], np.array([1, -1, 0, 1], np.int32))
    assert list(column) == ["b", None, "a", "b"]
    assert (column[0], column[1], column[-1], len(column), column.words) == ("b", None, "b", 4, ("a", "b"))
    assert list(column[1:3]) == [None, "a"]
    assert column.to_numpy().tolist() == list(column)
    assert list(Words([], np.array([-1], np.int32))) == [None]
    with pytest.raises(IndexError):
        column[4]


@pytest.mark.parametrize(
    "columns",
    [
        (Column(("theft",), np.array([1, 9], np.uint8)), None, None),
        (Column(("theft",), np.array([1], np.uint8)), None, None),
        (None, Column(("2025-01-31",), np.array([1, 9], np.uint8)), None),
        (None, Column(("2025-01-31", "in May"), np.array([1, 2], np.uint8)), None),
        (None, None, Column(("9",), np.array([1, 1], np.uint8))),
    ],
)
def test_details_of_a_damaged_file_are_no_answer(columns):
    register, keys = Register(), [1, 2]
    exact = LayeredSet(ImeiSet.from_keys(keys), columns)
    register.add_list(List("stolen", B, exact=exact))
    for ask in (lambda: register.explain(2), lambda: register.check_many(keys, details=True)):
        with pytest.raises(SnapshotBounds):
            ask()


def test_a_date_that_is_an_imei_is_not_shown_whole():
    exact = LayeredSet(
        ImeiSet.from_keys([1]), (None, Column(("490154203237518",), np.ones(1, np.uint8)), None)
    )
    register = Register()
    register.add_list(List("stolen", B, exact=exact))
    for ask in (register.check, register.explain, lambda _: list(register.entries())):
        with pytest.raises(SnapshotBounds, match="49015420") as caught:
            ask(1)
        assert "490154203237518" not in str(caught.value)


def test_untils_of_many_texts_and_pairs():
    """More texts than are worth a table; IMEIs of a column more than once, with a lock."""
    keys = np.arange(70_000, dtype=np.uint64)
    register = Register()
    register.add("cases", keys, status=B, reasons=[f"case {key}" for key in keys.tolist()])
    answers = register.check_many(keys[::-7], details=True)["reasons"]
    assert list(answers) == [f"case {key}" for key in keys[::-7].tolist()]
    days = [DAY, None, DAY + datetime.timedelta(9), DAY]
    locks = Register()
    locks.lock("leased", [1, 1, 2, 2], [HOME, AWAY, HOME, AWAY], until=days)
    other = ["001010123456789"] * 5
    found = locks.check_many([2, 1, 2, 3, 1], other, details=True)["until"].tolist()
    assert found == [days[2], None, days[2], None, None]
    assert [claim.until for claim in locks.explain(2)] == [days[2]]


def test_an_arrow_column_lives_on_its_own():
    """Whoever reads it keeps the texts, and lets go of them: they are moved, and not copied."""
    pytest.importorskip("nanoarrow")
    texts = ["a" * 10_000, "b"]
    for _ in range(200):
        column = Words(texts, np.array([1, 0, -1, 1], np.int32)[::-1])
        array = to_arrow(column)
        del column
        assert array.to_pylist() == ["b", None, texts[0], "b"]
    assert to_arrow(Words([], np.empty(0, np.int32))).to_pylist() == []


@pytest.mark.parametrize("level", simd.simd_levels())
def test_columns_of_many_rows(level):
    """Of keys and of texts alike, in batches, from lists with and without details."""
    rng, days = np.random.default_rng(3), ["", "2024-02-29", "2025-01-31"]
    tacs, serials = (rng.integers(*span, 9000, np.uint64) for span in ((35_000_000, 35_000_090), (0, 9000)))
    keys = np.unique(tacs * np.uint64(10**6) + serials)
    register, expected = Register(), {}
    for number in range(5):
        mine = rng.permutation(keys)[: 300 * number]
        which = rng.integers(0, 3, (2, len(mine))).tolist()
        reasons, dates = (
            [texts[i] for i in of] for texts, of in zip((["", "a", "b"], days), which, strict=True)
        )
        told = {"reasons": reasons, "dates": dates} if number % 2 else {}
        register.add(f"l{number}", mine, status=B, reason="own", **told)
        for key, *said in zip(mine.tolist(), reasons, dates, strict=True):
            if key not in expected:
                expected[key] = f"l{number}", *((said[0] or "own", said[1]) if told else ("own", ""))
    asked = rng.permutation(np.concatenate((keys, keys + np.uint64(1))))
    before = simd.simd_level()
    try:
        simd.use_simd(level)
        for rows in (asked, [f"{key:014d}" for key in asked.tolist()], asked[:0]):
            found = register.check_many(rows, details=True)
            said = [expected.get(key) for key in asked[: len(rows)].tolist()]
            assert found["status"].tolist() == [int(one is not None) for one in said]
            assert list(found["list"]) == [one and one[0] for one in said]
            assert list(found["rule"]) == ["exact" if one else "default" for one in said]
            assert list(found["reasons"]) == [one and one[1] for one in said]
            assert [str(date) for date in found["date"]] == [(one and one[2]) or "NaT" for one in said]
            assert np.isnat(found["until"]).all()
    finally:
        simd.use_simd(before)
    with pytest.raises(ImeiError):
        register.check_many(np.append(asked, np.uint64(10**14)), details=True)


def test_codes_in_rows():
    codes, rows, table = np.array([2, 0, 1], np.uint8), np.array([3, 1, 0]), np.array([7, 8, 9], np.int32)
    put_codes(codes, rows, table, out := np.full(4, -1, np.int32))
    assert out.tolist() == [8, -1, -1, 9]
    for wrong in (
        (codes, rows, table[:2], out),
        (codes, rows, table, out[:3]),
        (codes, -rows, table, out),
    ):
        with pytest.raises(IndexError, match="expected below"):
            put_codes(*wrong)
    for table_of, out_of in ((np.int32, np.int64), (np.int64, np.int32), (np.float32, np.float32)):
        with pytest.raises(TypeError, match="expected"):
            put_codes(codes, rows, table.astype(table_of), out.astype(out_of))


def test_how_many_each_list_has():
    """By any rule, once each, and locks to any subscriber; other pairs say nothing of a phone alone."""
    keys = np.array([10 * 10**6 + 1, 10 * 10**6 + 2, 10 * 10**6 + 3, 20 * 10**6 + 1], np.uint64)
    register = Register()
    register.add("all rules", keys[:1], status=EquipmentStatus.BLACKLISTED)
    register.add_ranges("all rules", keys[:1], keys[1:2], status=EquipmentStatus.BLACKLISTED)
    register.add_tacs("all rules", ["00000020"], status=EquipmentStatus.BLACKLISTED)
    register.lock("locked", keys[1:3], ["234150000000001"] * 2, status=EquipmentStatus.BLACKLISTED)
    register.block("paired", keys[:2], ["234150000000001"] * 2)
    register.add("none", keys[3:] + np.uint64(10**7), status=EquipmentStatus.GREYLISTED)
    assert counts_on(register.lists, keys, [b"?"]).tolist() == [3, 2, 0, 0]


def test_lists_or_details():
    with pytest.raises(TypeError, match="expected lists or details"):
        several().check_many([LISTED], lists=True, details=True)
