"""Copies and pickles of registers: what one answers never depends on the other."""

import copy
import itertools
import pickle
from pathlib import Path

import numpy as np
import pytest

from imeiset import Delta, EquipmentStatus, ImeiSet, Policy, Register, Store, Verdict
from imeiset.errors import SnapshotError

GOLDEN = Path(__file__).parent.parent / "golden"
W, B, G, U = EquipmentStatus
LISTED, LATER, OTHER = "490154203237518", "356938035643809", "352099001761481"
HOME, AWAY = "234150999999999", "262011234567890"


def sample() -> Register:
    """A register with something of every kind; the golden files hold it."""
    register = Register(
        Policy(response_type=2, malformed=U, precedence=("pair", "imsi", "exact", "range", "tac"))
    )
    register.add(
        "stolen",
        ["490154203237518", "490154203237526", "352099001761481"],
        status=B,
        reason="stolen",
        reasons=["lost|stolen", None, "fraud"],
        dates=["2024-02-29", "20231231", None],
    )
    register.add("stolen", ImeiSet(["ABC123"], irregular="keep"), status=B)
    register.add_ranges(
        "stolen", [35693803564370, 35693803600000], [35693803564389, 35693803700000], status=B
    )
    register.add_tacs("models", ["01012300", "86012345"], status=G, reason="not type approved")
    register.add("allowed", [35_209_900_176_149], status=W)
    register.exempt("paired", [LISTED, LISTED, "860123450000012"], [HOME, AWAY, HOME])
    register.lock("locked", ["111111110000001"], [HOME], reason="lease")
    register.add_imsis("roamers", ["26201", "310"], status=G)
    return register


QUESTIONS = [
    (imei, imsi)
    for imei in (
        *(LISTED, "490154203237526", OTHER, "356938035643709", "356938036500009", "010123000000009"),
        *("860123450000012", "111111110000001", "000000000000000", "ABC123", "no", None),
    )
    for imsi in (None, HOME, AWAY, "310150123456789", "x")
]


def answers(register: Register) -> list[object]:
    imeis, imsis = zip(*QUESTIONS, strict=True)
    statuses, lists = register.check_many(list(imeis), list(imsis), lists=True)
    return [
        *(register.check(imei, imsi) for imei, imsi in QUESTIONS),
        statuses.tolist(),
        lists.tolist(),
        register.counts(),
        register.policy,
    ]


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_is_independent(tmp_path, copied, checked):
    register = Register()
    register.add("stolen", [LISTED], status=B)
    if checked:
        assert register.check(LATER).status == W
    again = copied(register)
    assert type(again) is Register
    again.add("stolen", [LATER], status=B)
    again.add_tacs("models", ["01012300"], status=G)
    register.add("lost", [OTHER], status=G)
    for one, listed in (
        (register, {LISTED: B, LATER: W, OTHER: G}),
        (again, {LISTED: B, LATER: B, OTHER: W}),
    ):
        assert {imei: one.check(imei).status for imei in listed} == listed
        assert one.check_many(list(listed)).tolist() == list(listed.values())
        one.save(tmp_path / "register.imei")
        assert {
            imei: Register.verify(tmp_path / "register.imei").check(imei).status for imei in listed
        } == listed
    assert list(register) == ["stolen", "lost"]
    assert list(again) == ["stolen", "models"]
    assert len(register["stolen"]) == 1
    assert len(again["stolen"]) == 2


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_register_pickles_at_any_time(tmp_path, protocol):
    register = sample()
    before = pickle.dumps(register, protocol)
    expected = answers(register)
    after = pickle.dumps(register, protocol)
    assert before == after
    assert answers(pickle.loads(after)) == expected
    register.save(tmp_path / "register.imei")
    opened = Register.open(tmp_path / "register.imei")
    assert pickle.dumps(opened, protocol) == after
    pickle.loads(after).save(tmp_path / "again.imei")
    assert (tmp_path / "again.imei").read_bytes() == (tmp_path / "register.imei").read_bytes()


def test_a_class_of_ones_own_stays_that():
    class Mine(Register):
        pass

    register = Mine()
    register.add("stolen", [LISTED], status=B)
    assert type(copy.copy(register)) is type(copy.deepcopy(register)) is Mine


def test_golden_files(tmp_path):
    """Of a release that was: only read. A change that makes these fail breaks files and pickles of users."""
    expected = answers(sample())
    for mode, name in itertools.product(("mmap", "memory"), ("register-3", "deciders-3", "told-3")):
        for opened in (Register.open, Register.verify):
            assert answers(opened(GOLDEN / f"{name}.imei", mode=mode)) == expected
    sample().save(tmp_path / "register.imei")
    assert (tmp_path / "register.imei").read_bytes() == (GOLDEN / "told-3.imei").read_bytes()
    Register.open(GOLDEN / "register-3.imei").save(tmp_path / "register.imei")  # of before, without
    assert (tmp_path / "register.imei").read_bytes() == (GOLDEN / "register-3.imei").read_bytes()
    register, policy, verdict, status = pickle.loads((GOLDEN / "register-1.pickle").read_bytes())
    assert answers(register) == expected
    assert policy == sample().policy
    assert (
        verdict == sample().check(LISTED) == Verdict(B, "stolen", "exact", ("lost", "stolen"), verdict.date)
    )
    assert status is G


def test_a_damaged_pickle_is_refused():
    register = sample()
    function, (sections,) = register.__reduce__()
    for wrong in ({}, {**sections, "register": b"{}"}, {**sections, "0.0": np.zeros(9, np.uint8).tobytes()}):
        with pytest.raises(SnapshotError):
            function(wrong)


def test_a_list_of_a_store_is_added_with_its_changes(tmp_path):
    """Those since its base, too, whatever is in the list that it is added to."""
    with Store.create(tmp_path / "store", sample()) as store:
        store.apply(
            Delta("stolen", add=[LATER], remove=[OTHER], reason="late"),
            Delta("stolen", add=([10], [19]), remove=([35693803600000], [35693803699999]), rule="range"),
            Delta("models", add=["99887766"], remove=["86012345"], rule="tac"),
            Delta("paired", add=([OTHER], [AWAY]), remove=([LISTED], [AWAY])),
            Delta("roamers", add=["999"], remove=["310"]),
            Delta("stolen", add=["DEAD"], remove=["ABC123"], rule="irregular"),
        )
        new, old = Register(store.policy), sample()
        before = {one.name: set(one.counts()) for one in old.lists}
        for one in store.lists:
            new.add_list(one)
            old.add_list(one)
        store.save(tmp_path / "store.imei")
        new.save(tmp_path / "new.imei")
        assert (tmp_path / "new.imei").read_bytes() == (tmp_path / "store.imei").read_bytes()
        assert answers(new) == answers(store)
        assert {one.name: set(one.counts()) for one in old.lists} == before
        assert set(old["stolen"]) == set(sample()["stolen"]) | set(store["stolen"])
        for imei in (LATER, "000000000000108", "998877660000001", "860123450000012", "356938036500009"):
            assert old.check(imei).status != U, imei
        assert old.check(LATER).reasons == ("late",)
        Register.verify(tmp_path / "new.imei")
        old.save(tmp_path / "old.imei")
        Register.verify(tmp_path / "old.imei")


def test_lists_pickle_after_checks_too():
    register = Register()
    register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
    register.exempt("pairs", ["490154203237518"], ["234150999999999"])
    register.check("490154203237518")
    stolen, pairs = pickle.loads(pickle.dumps(copy.deepcopy(register.lists)))
    assert (stolen.exact.base, pairs.pairs.count()) == (register["stolen"], 1)
