"""Verdicts that are kept by what a list says of a phone: never those of another state."""

import threading
from itertools import pairwise

import numpy as np
import pytest

from imeiset import Delta, EquipmentStatus, Policy, Register, Store
from imeiset._native import simd

W, B, G, U = EquipmentStatus
KEYS = np.arange(49015420000000, 49015420000000 + 4000 * 7, 7, dtype=np.uint64)
pytestmark = pytest.mark.usefixtures("same_level_after")


def made(policy=None, word="", name="list"):
    """Three lists that share phones; the reasons of the first are of the word."""
    register, rng = Register(policy or Policy()), np.random.default_rng(8)
    for n in range(3):
        keys = KEYS if n == 0 else rng.choice(KEYS, 1500, replace=False)
        some = [f"{word}{n}{at % 5}" if at % 6 else "" for at in range(len(keys))]
        dates = [f"202402{at % 9 + 10}" for at in range(len(keys))] if n == 1 else None
        register.add(f"{name} {n}", keys, status=(G, B, W)[n], reasons=some, dates=dates, reason=f"{n}")
    return register


def expect_own(asked):
    """One by one it says what it says of a column, whose details are found in another way."""
    for level in simd.simd_levels():
        simd.use_simd(level)
        keys = KEYS[:: len(simd.simd_levels()) * 3]
        answers = asked.check_many(keys, details=True)
        dates = [None if np.isnat(date) else date.item() for date in answers["date"]]
        columns = (answers["status"].tolist(), answers["list"], answers["rule"], answers["reasons"], dates)
        for key, *expected in zip(keys.tolist(), *columns, strict=True):
            found = asked.check(key)
            said = "|".join(found.reasons) or None
            assert [found.status, found.list, found.rule, said, found.date] == expected
            assert asked.check(key) == found
            claims = [asked.explain(key)[0] for _ in range(2)]
            assert claims[0] == claims[1]
            assert claims[0].decided
            assert [claims[0].list, claims[0].rule, claims[0].date] == [found.list, found.rule, found.date]
            assert claims[0].reasons == found.reasons


def test_of_another_state_none_is_told(tmp_path):
    states = []

    def expect(asked):
        expect_own(asked)
        states.append([asked.frozen(), [asked.check(key) for key in KEYS[:200].tolist()]])

    with Store.create(tmp_path / "eir", made(word="old")) as store:
        expect(store)
        store.apply(Delta("list 0", add=KEYS[:2000], reason="new"))
        expect(store)
        store.apply(Delta("list 1", remove=KEYS[::2]))
        expect(store)
        store.apply(Delta("list 1", add=KEYS[:90], reason="again", date="20250101"))
        expect(store)
        store.compact()
        expect(store)
        store.add_list("more", status=B, reason="more")
        store.apply(Delta("more", add=KEYS[::5]))
        expect(store)
        store.drop_list("list 1", force=True)
        expect(store)
        store.replace(made(word="other"), force=True)
        expect(store)
        store.replace(made(Policy(response_type=3), word="other"), force=True)
        expect(store)
        store.replace(made(Policy(response_type=3), word="other", name="renamed"), force=True)
        expect(store)
    for asked, verdicts in states:
        assert [asked.check(key) for key in KEYS[:200].tolist()] == verdicts
    for (_, before), (_, after) in pairwise(states):
        assert before != after or before == states[4][1]  # a compaction changes no answer


@pytest.mark.parametrize("kept", [0, 100, 1 << 12])
def test_more_combinations_than_are_kept(monkeypatch, kept):
    """Texts that were read are kept, too, as long as they are few."""
    monkeypatch.setattr("imeiset.register.rules._MEANINGS", kept)
    register = Register()
    reasons = [f"{at % 2500}" for at in range(len(KEYS))]
    register.add("list", KEYS, status=B, reasons=reasons, dates=["20240229"] * len(KEYS))
    for _ in range(2):
        assert [register.check(key).reasons for key in KEYS.tolist()] == [(reason,) for reason in reasons]
        assert [register.explain(key)[0].reasons for key in KEYS.tolist()] == [(said,) for said in reasons]
    [speaker] = register._rules._speakers.values()
    assert len(speaker.meanings) == min(kept, 2502)  # with the date, and no until


@pytest.mark.parametrize("number", [1, 2])
def test_what_a_damaged_byte_says_of_one_phone_is_told_of_no_other(number):
    """A byte says of a phone that a list has it that does not."""
    register = Register()
    for n in range(2):
        register.add(f"{n}", KEYS[n::2], status=(B, G)[n], reason="of the list", reasons=["own"] * 2000)
    sections = {name: bytes(part) for name, part in register._now().sections()}
    codes = np.frombuffer(sections["deciders"], np.uint8).copy()
    codes[np.flatnonzero(codes == number)[9]] = 3 - number
    damaged = Register._of_sections({**sections, "deciders": codes.tobytes()})
    numbers = damaged.check_many(KEYS, lists=True)[1]
    [wrong] = np.flatnonzero(numbers != register.check_many(KEYS, lists=True)[1]).tolist()
    damaged.check(int(KEYS[wrong]))
    others = np.delete(KEYS, wrong).tolist()
    assert [damaged.check(key) for key in others] == [register.check(key) for key in others]


def test_threads_are_told_what_their_state_says(tmp_path):
    """A list changes while threads ask: each answer is of the state before or after."""
    faults, done = [], threading.Event()
    with Store.create(tmp_path / "eir", made()) as store:

        def ask():
            while not done.is_set():
                asked = store.frozen()
                expected = asked.check_many(KEYS[:300], details=True)["reasons"]
                for key, reasons in zip(KEYS[:300].tolist(), expected, strict=True):
                    if ("|".join(asked.check(key).reasons) or None) != reasons:
                        faults.append(key)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for one in threads:
            one.start()
        for turn in range(60):
            store.apply(Delta("list 1", add=KEYS[turn : turn + 200], reason=f"turn {turn % 3}"))
        done.set()
        for one in threads:
            one.join()
    assert not faults
