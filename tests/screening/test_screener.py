"""Screeners: the word for every row, of sets, registers and paths."""

import dataclasses
import gc
import warnings
from pathlib import Path

import dirty
import numpy as np
import pytest

from imeiset import (
    Delta,
    EquipmentStatus,
    ImeiError,
    ImeiSet,
    ImeiWarning,
    ParseStatus,
    Policy,
    Register,
    Screener,
    SnapshotError,
    Store,
    StoreError,
    parse,
)

BLACKLISTED, GREYLISTED = EquipmentStatus.BLACKLISTED, EquipmentStatus.GREYLISTED


@pytest.fixture
def path(tmp_path):
    ImeiSet(dirty.LISTED).save(tmp_path / "list.imei")
    return tmp_path / "list.imei"


def said(screener, column):
    return [screener.words[code] for code in screener.codes(column)]


def test_every_row_has_a_word(path):
    for given in (ImeiSet.open(path), path, str(path)):
        screener = Screener(given)
        assert said(screener, dirty.COLUMN) == dirty.words()
        assert [screener.words[code] for code in screener.hits] == ["listed"]
        assert screener.contains(dirty.COLUMN, malformed=False).tolist() == dirty.listed(False)
        assert screener.contains(dirty.COLUMN, malformed=True).tolist() == dirty.listed(True)
        with pytest.raises(ImeiError, match="row 1: no value"):
            screener.contains(dirty.COLUMN)
    assert len(set(screener.words)) == len(screener.words) == 2 + max(ParseStatus)


@pytest.mark.parametrize("opened", [False, True])
def test_registers(opened, tmp_path):
    dirty.register().save(tmp_path / "register.imei")
    screener = Screener(tmp_path / "register.imei" if opened else dirty.register())
    assert screener.lists == ("stolen",)
    assert said(screener, dirty.COLUMN) == dirty.register_words()
    assert [screener.words[code] for code in screener.hits] == ["blacklisted", "greylisted"]
    assert screener.contains(dirty.COLUMN, malformed=False).tolist() == dirty.listed(False)
    assert screener.contains(dirty.COLUMN, malformed=True).tolist() == dirty.listed(True)
    with pytest.raises(ImeiError, match="row 1: no value"):
        screener.contains(dirty.COLUMN)


def test_texts_that_a_list_keeps():
    column = [
        "DEADBEEF",
        "62#222222222222",
        "52003020863612#",
        dirty.GOOD,
        "x",
        None,
        "BEEF",
        "49015420323751#",
    ]
    keeping = ImeiSet(["deadbeef", dirty.GOOD, "52003020863612"], irregular="keep")
    words = ["listed", "not listed", "listed", "listed", "malformed: not digit", "malformed: missing",
             "not listed", "listed"]  # fmt: skip
    assert said(Screener(keeping), column) == words
    register = Register()
    register.add("odd", keeping, status=EquipmentStatus.GREYLISTED)
    words = [{"listed": "greylisted", "not listed": "malformed: not digit"}.get(word, word) for word in words]
    found = said(Screener(register), column)
    assert [word for word in found if word != "whitelisted"] == [w for w in words if w in found]
    assert found[0] == found[3] == "greylisted"
    assert found[4:6] == ["malformed: not digit", "malformed: missing"]


def test_a_policy_for_malformed_rows():
    register = Register(Policy(malformed=EquipmentStatus.BLACKLISTED))
    register.add("grey", ImeiSet(dirty.LISTED), status=EquipmentStatus.GREYLISTED)
    screener = Screener(register)
    assert said(screener, [dirty.GOOD, "x", None, "352099001761499"]) == [
        "greylisted", "blacklisted", "blacklisted", "whitelisted"
    ]  # fmt: skip
    assert screener.contains(["x", dirty.GOOD]).tolist() == [True, False]


def test_many_rows_on_many_threads(path):
    column = np.array([*dirty.LISTED, "352099001761499"], "S15").repeat(50_000)
    screener = Screener(path)
    want = np.repeat([True, True, True, False], 50_000)
    for threads in (None, 1, 3):
        assert (screener.contains(column, threads=threads) == want).all()
    assert (screener.codes(column) == want).all()


def test_a_file_is_mapped_once_until_it_is_replaced(path):
    assert Screener(path).list is Screener(str(path)).list
    before = Screener(path)
    ImeiSet(["352099001761499"]).save(path)
    assert said(Screener(path), ["352099001761499", dirty.GOOD]) == ["listed", "not listed"]
    assert said(before, ["352099001761499", dirty.GOOD]) == ["not listed", "listed"]


def test_stores(tmp_path):
    directory = tmp_path / "eir"
    with Store.create(directory, dirty.register()) as store:
        before = Screener(directory)
        for given in (store, directory, str(directory)):
            assert said(Screener(given), dirty.COLUMN) == dirty.register_words()
        assert before.lists == ("stolen",)
        assert Screener(directory).list is before.list  # opened once
        new = "352099001761499"
        held = before.now()
        store.apply(Delta("stolen", add=[new]))
        assert said(Screener(directory), [new, dirty.GOOD]) == ["blacklisted"] * 2
        assert said(held, [new, dirty.GOOD]) == ["unknown", "blacklisted"]  # all of it by one state
        assert said(before, [new, dirty.GOOD]) == ["blacklisted"] * 2  # it follows the store
        assert before.contains([new]).tolist() == [True]
        store.apply(Delta("stolen", remove=[dirty.GOOD]))
        for _ in range(2):
            assert said(Screener(directory), [new, dirty.GOOD]) == ["blacklisted", "unknown"]
            store.compact()
        store.save(tmp_path / "now.imei")
        assert said(Screener(tmp_path / "now.imei"), [new, dirty.GOOD]) == ["blacklisted", "unknown"]
        store.apply(Delta("stolen", add=["1" * 14]))  # still its writer
    with pytest.raises(StoreError, match="expected a store"):
        Screener(tmp_path)
    (directory / "current").write_text("{}")
    for broken in (lambda: Screener(directory), lambda: before.codes([new])):
        with pytest.raises(StoreError, match="a manifest"):
            broken()


def test_a_store_that_gains_lists(tmp_path):
    """Its lists change places with the state; no call may name one by the place of another."""
    column = [dirty.GOOD, "352099001761499", "DEADBEEF", "x"]
    keys, status = parse(column)

    def named(moment):
        codes, lists = moment.decided(keys, status, column.__getitem__)
        names = (*moment.lists, None)
        return [(code, names[place]) for code, place in zip(codes.tolist(), lists.tolist(), strict=True)]

    with Store.create(tmp_path / "eir", dirty.register()) as store:
        screener = Screener(store)
        before = screener.now()
        more = Register()
        more.add("new", ImeiSet([column[1], column[2]], irregular="keep"), status=GREYLISTED)
        more.add("stolen", ImeiSet(dirty.LISTED), status=BLACKLISTED)
        codes = screener.codes(column).tolist()
        was = [(1, "stolen"), *((code, None) for code in codes[1:])]
        assert named(before) == was
        store.replace(more)
        after = [(1, "stolen"), (2, "new"), (2, "new"), was[3]]
        for _ in range(2):
            assert named(before) == was
            assert named(screener.now()) == after
            assert screener.codes(column).tolist() == [code for code, _ in after]
            store.compact()


def test_stores_that_were_dropped_let_go_of_their_files(tmp_path):
    with Store.create(tmp_path / "eir", dirty.register()) as store:
        open_before = len(list(Path("/proc/self/fd").iterdir()))
        for i in range(30):
            store.apply(Delta("stolen", add=[f"{i:014}"]))
            assert said(Screener(tmp_path / "eir"), [f"{i:014}"]) == ["blacklisted"]
        gc.collect()
        assert len(list(Path("/proc/self/fd").iterdir())) <= open_before + 10  # those it keeps for the next


def test_what_malformed_rows_count_as_is_checked():
    for listed in (ImeiSet(dirty.LISTED), dirty.register()):
        with pytest.raises(TypeError, match="malformed: expected None, False or True, got 'null'"):
            Screener(listed).contains(dirty.COLUMN, malformed="null")


def test_it_is_frozen(path):
    screener = Screener(path)
    with pytest.raises(dataclasses.FrozenInstanceError):
        screener.list = ImeiSet()
    assert screener.now() is screener
    assert {screener: 1}[screener] == 1


def test_what_is_no_list(tmp_path):
    with pytest.raises(TypeError, match="expected an ImeiSet, a Register, a Store or a path, got list"):
        Screener([dirty.GOOD])
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(SnapshotError):
        Screener(tmp_path / "x")
    with pytest.raises(SnapshotError, match="expected a readable file"):
        Screener(tmp_path / "nowhere")


def test_an_integer_of_15_digits_is_an_error_whatever_malformed_rows_count_as():
    register = Register()
    register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
    lenient = Register(Policy(malformed=EquipmentStatus.WHITELISTED))
    lenient.add("stolen", register["stolen"], status=EquipmentStatus.BLACKLISTED)
    column = [5, 490154203237518, "x"]
    for listed in (register, register["stolen"], lenient):
        screener = Screener(listed)
        for malformed in (None, False, True):
            with pytest.raises(ImeiError, match="row 1: an integer of 15 digits"):
                screener.contains(column, malformed=malformed)
        for ask in (
            lambda: screener.codes(column),  # noqa: B023
            lambda: screener.decided(*parse(column), column.__getitem__),  # noqa: B023
        ):
            with pytest.raises(ImeiError, match="row 1: an integer of 15 digits"):
                ask()
        assert screener.contains(column, malformed=False, digits=15).tolist() == [False, True, False]
        assert screener.codes(column, digits=15).tolist()[1] == 1


def test_integers_with_their_check_digit():
    blocked, register = ImeiSet([*dirty.LISTED, dirty.ZERO]), Register()
    register.add("stolen", blocked, status=EquipmentStatus.BLACKLISTED)
    for listed in (blocked, register):
        for column in (dirty.FIFTEEN, np.array(dirty.FIFTEEN), np.array(dirty.FIFTEEN, np.uint64)):
            assert Screener(listed).codes(column, digits=15).tolist() == [1, 1, 1, 0]
            assert Screener(listed).contains(column, digits=15).tolist() == [True, True, True, False]


def asked(listed):
    """Every way to ask a list for a column, where malformed rows have an answer."""
    screener = Screener(listed)
    yield lambda column: screener.codes(column)
    yield lambda column: screener.codes(column, threads=3)
    yield lambda column: screener.contains(column, malformed=False)
    yield lambda column: screener.contains(column, malformed=True, threads=3)
    if isinstance(listed, ImeiSet):
        yield lambda column: listed.contains(column, malformed=False, threads=3)
    elif listed.policy.malformed is not None:
        yield lambda column: screener.contains(column)
        yield lambda column: listed.check_many(column)
        yield lambda column: listed.check_many(column, threads=3)
        yield lambda column: listed.check_many(column, ["234150999999999"] * len(column))
        some = ["nonsense", None]  # not most of them, which would be a warning as well
        yield lambda column: listed.check_many(
            column, (some * len(column))[: len(column)], threads=3, lists=True
        )


def settled(malformed):
    register = Register(Policy(malformed=malformed))
    register.add("stolen", ImeiSet(dirty.LISTED), status=BLACKLISTED)
    return register


@pytest.mark.parametrize("listed", [ImeiSet(dirty.LISTED), settled(GREYLISTED), settled(None)])
def test_a_question_that_is_wrong_itself(listed):
    """Once for a column, whose first wrong row is named and its serial hidden."""
    wrong = "352099001761481.0"
    said = r"60 of 110 rows are not IMEIs; the first is row 50: '35209900\*+' \(a character that is not"
    for ask in asked(listed):
        column = [dirty.GOOD] * 50 + [wrong] * 60
        for given in (
            column,
            tuple(column),
            np.array(column),
            np.array(column, "S"),
            np.array(column, object),
        ):
            with pytest.warns(ImeiWarning, match=said) as caught:
                answers = ask(given)
            assert len(caught) == 1
            assert caught[0].filename == __file__
            assert len(answers if isinstance(answers, np.ndarray) else answers[0]) == 110
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ask([dirty.GOOD] * 50 + [wrong] * 50)
            ask([wrong] * 99)
            ask([dirty.GOOD] * 1000)
            ask([])


def test_an_error_is_not_a_warning_as_well():
    for listed in (ImeiSet(dirty.LISTED), settled(None)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ImeiError, match="row 0"):
                Screener(listed).contains(["x"] * 200)
            with pytest.raises(ImeiError, match="row 150: an integer of 15 digits"):
                Screener(listed).codes(["x"] * 150 + [int(dirty.GOOD)])


def test_texts_that_a_list_keeps_are_understood():
    keeping = ImeiSet(["62#2"], irregular="keep")
    register = Register(Policy(malformed=GREYLISTED))
    register.add("odd", keeping, status=BLACKLISTED)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for listed in (keeping, register):
            assert set(said(Screener(listed), ["62#2"] * 200)) <= {"listed", "blacklisted"}
        for imsis in (None, [None] * 200):
            assert set(register.check_many(["62#2"] * 200, imsis).tolist()) == {BLACKLISTED}
            assert set(register.check_many([f"{dirty.GOOD[:14]}#"] * 200, imsis).tolist()) == {0}
    for imsis in (None, [None] * 210):
        for column in (["62#2"] * 100 + ["62#3"] * 110, ["62#2"] * 100 + ["x"] * 110):
            with pytest.warns(
                ImeiWarning, match="110 of 210 rows are not IMEIs; the first is row 100"
            ) as caught:
                register.check_many(column, imsis)
            assert len(caught) == 1
        with pytest.raises(ImeiError, match="row 205: an integer of 15 digits"):
            register.check_many([*["x"] * 205, int(dirty.GOOD), *["x"] * 4], imsis)
