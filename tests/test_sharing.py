"""What threads share: each answer was right at some moment of the call, with the GIL and without."""

import copy
import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from imeiset import Delta, EquipmentStatus, ImeiSet, Register, Store

BLACK, CLEAR = EquipmentStatus.BLACKLISTED, EquipmentStatus.WHITELISTED
RNG = np.random.default_rng(20)
KEYS = np.unique(RNG.integers(35 * 10**12, 35 * 10**12 + 3 * 10**7, 6000, dtype=np.uint64))
ASKERS = 3


@pytest.fixture(autouse=True)
def _many_turns():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def beside(change, *asks):
    """Calls of `asks`, a thread each, until `change` has returned; whatever fails is raised."""
    done, failed = threading.Event(), []

    def work(call):
        try:
            while not done.is_set():
                call()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(ask,)) for ask in asks]
    for thread in threads:
        thread.start()
    try:
        change()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]


def for_a_while():
    time.sleep(0.5)


def test_a_copy_that_is_made_while_a_list_is_added_checks_what_it_holds():
    register, copies = Register(), []
    register.add("old", KEYS[:1], status=BLACK)

    class Beside(dict):
        """What other threads do just before a list is there, and just after."""

        def __setitem__(self, name, one):
            pickle.dumps(register)
            super().__setitem__(name, one)
            copies.append(copy.copy(register))

    register._lists = Beside(register._lists)
    register.add("new", KEYS[1:2], status=BLACK)
    (made,) = copies
    assert list(made) == ["old", "new"]
    assert made.check(int(KEYS[1])).list == "new"
    assert pickle.loads(pickle.dumps(made)).check(int(KEYS[1])).list == "new"


def test_what_was_added_is_found_at_once():
    """While others ask, and so may be making the tables of before."""
    register = Register()
    register.add("stolen", KEYS[:1], status=BLACK)

    def add():
        for number, key in enumerate(KEYS[1:400].tolist()):
            register.add(f"list {number % 7}", [key], status=BLACK)
            assert register.check(key).status is BLACK
            assert key in register[f"list {number % 7}"]
        assert register.check_many(KEYS[:400]).all()

    def ask():
        assert register.check(int(KEYS[0])).status is BLACK
        assert register.check_many(KEYS[:1]).all()
        assert register.check(int(KEYS[-1])).status is CLEAR

    beside(add, *[ask] * ASKERS)
    assert register.check_many(KEYS[:400]).all()


def test_a_list_is_not_lost_where_tables_are_made():
    """The first check after a change works on the lists of its own moment."""
    for _ in range(30):
        register = Register()
        register.add("stolen", KEYS[:1], status=BLACK)

        def add(register=register):
            for number in range(7):
                register.add(f"list {number}", KEYS[number + 1 : number + 2], status=BLACK)

        beside(add, *[lambda register=register: register.check(int(KEYS[0]))] * ASKERS)
        assert len(register) == 8
        assert register.check_many(KEYS[:8]).all()


def test_tables_of_before_are_not_used():
    """However late the thread is that made them."""
    register = Register()
    register.add("stolen", KEYS[:1], status=BLACK)
    version, before = register._version(), register._tables()
    register.add("stolen", KEYS[1:2], status=BLACK)
    register._use(before, version)
    assert register.check(int(KEYS[1])).status is BLACK
    register._use(before, version)
    assert register.check_many(KEYS[:2]).all()


def test_details_of_more_kinds_than_are_kept():
    """What was told of one phone is never told of another, whose codes have the same place."""
    days = [f"20{day % 28:02d}-{day % 12 + 1:02d}-{day % 27 + 1:02d}" for day in range(len(KEYS))]
    reasons = [f"case {row % 250}" for row in range(len(KEYS))]
    register = Register()
    register.add("stolen", KEYS, status=BLACK, reasons=reasons, dates=days)
    expected = dict(zip(KEYS.tolist(), zip(reasons, days, strict=True), strict=True))

    def ask(order):
        for key in order:
            found = register.check(key)
            assert (found.reasons, found.date.isoformat()) == ((expected[key][0],), expected[key][1])

    orders = [RNG.permutation(KEYS)[:500].tolist() for _ in range(ASKERS + 1)]
    beside(for_a_while, *[lambda order=order: ask(order) for order in orders])


def test_a_store_while_it_changes(tmp_path):
    first = Register()
    for number in range(6):
        first.add(f"list {number}", KEYS[number::7], status=BLACK, reason=f"list {number}")
    always, never = KEYS[::7].tolist()[:100], (KEYS[:100] + np.uint64(10**13)).tolist()
    with Store.create(tmp_path / "eir", first) as store, Store.open(tmp_path / "eir") as reader:

        def change():
            for turn in range(40):
                some = KEYS[6 + 7 * turn : 6 + 7 * turn + 1]
                store.apply(Delta("list 1", add=some, reason=f"turn {turn}"))
                assert store.check(int(some[0])).reasons == (f"turn {turn}",)
            store.compact_in_background().result()

        def ask(one):
            assert all(one.check(key).status is BLACK for key in always)
            assert all(one.check(key).status is CLEAR for key in never)
            assert one.check_many(always + never).tolist() == [1] * 100 + [0] * 100

        def follow():
            reader.refresh()
            ask(reader)

        beside(change, lambda: ask(store), lambda: ask(store), follow, lambda: ask(reader))
        reader.refresh()
        assert reader.check_many(KEYS[6 : 6 + 7 * 40 : 7]).all()


def test_columns_that_others_make_shorter():
    """An answer for each row that was there, or an error; never what lies behind the end."""
    register = Register()
    register.add("stolen", KEYS, status=BLACK)
    members, texts = ImeiSet.from_keys(KEYS), [f"{key:014d}" for key in KEYS.tolist()]
    column, imsis = list(texts), ["234150999999999"] * len(texts)

    def change():
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            for one, full in ((column, texts), (imsis, ["234150999999999"] * len(texts))):
                del one[10:]
                one.extend(full[10:])

    def ask(call):
        try:
            answers = call()
        except (RuntimeError, IndexError, ValueError):
            return
        assert answers.all()

    beside(
        change,
        lambda: ask(lambda: members.contains(column)),
        lambda: ask(lambda: register.check_many(column)),
        lambda: ask(lambda: register.check_many(column, imsis)),
        lambda: ask(lambda: np.array([text in members for text in column[:50]])),
    )


IMPORTS = """
import sys, threading
names = ["register", "feeds", "sets", "columns", "store", "screening", "index", "deltas"]
calls = [threading.Thread(target=__import__, args=("imeiset." + name,)) for name in names]
for call in calls:
    call.start() if sys.argv[1] == "together" else call.run()
for call in calls if sys.argv[1] == "together" else ():
    call.join()
from imeiset._native.simd import simd_levels, use_simd
print(use_simd(simd_levels()[0]))
"""


def test_modules_are_imported_by_several_threads():
    """Each that has kernels follows the one switch for all."""

    def followers(how):
        run = [sys.executable, "-c", IMPORTS, how]
        return int(subprocess.run(run, check=True, capture_output=True, timeout=300).stdout)

    assert followers("together") == followers("one by one") >= 4
