"""What lists say of each IMEI of a union, worked out: against a plain twin, and against registers that ask
all their lists."""

import contextlib
import json
from dataclasses import replace

import numpy as np
import oracle
import pytest

from imeiset import Delta, EquipmentStatus, ImeiSet, Policy, Register, Store, snapshot
from imeiset._native import simd
from imeiset._native.checks import CheckTables
from imeiset._native.imsi import Prefixes
from imeiset._native.layered import bytes_of, decided, places
from imeiset.errors import SnapshotBounds, SnapshotError
from imeiset.register import rules
from imeiset.register.coverage import Coverage
from imeiset.register.deciders import Deciders, alone
from imeiset.register.rules import Rules

W, B, G, U = EquipmentStatus
HOME, AWAY, ELSEWHERE = "234150999999999", "262011234567890", "001010123456789"
TAC = 10**6
pytestmark = pytest.mark.usefixtures("same_level_after")
RULES = oracle.Equipment.PRECEDENCE


@contextlib.contextmanager
def no_deciders():
    """Nobody works out what lists say: each is asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "alone", lambda *_: None)
        yield


def asking_all(checks, coverage, **more):
    """The same lists, all of which are asked."""
    asked = checks.frozen()
    with no_deciders():
        asked._use(Rules(checks.lists, checks.policy).tables(replace(coverage, deciders=None), **more))
    return asked


def some_keys(rng, count):
    """Keys that lie in all ways: in lines, bitmaps, the spill, alone, in runs, over the end of a TAC."""
    tacs = np.array([0, 1, 2, 35, 49015420, 49015421, 99999999], np.uint64)
    single = rng.choice(tacs, count) * np.uint64(TAC) + rng.integers(0, TAC, count).astype(np.uint64)
    dense = np.uint64(2 * TAC) + rng.integers(0, 4 * count, count).astype(np.uint64)
    small = rng.integers(10**13, 10**13 + 30, 5).astype(np.uint64) * np.uint64(1)
    starts = np.append(rng.choice(single, 6), [np.uint64(TAC - 1), np.uint64(2 * TAC - 20)])
    runs = [np.arange(low, low + rng.integers(2, 90), dtype=np.uint64) for low in starts]
    keys = np.unique(np.concatenate([single, dense, small, *runs]))
    return keys[keys < 10**14]


def draw(rng, count=300, lists=6, wide=True):
    """A register with everything, and keys to ask it about."""
    precedence = tuple(rng.permutation(RULES).tolist()) if rng.random() < 0.7 else RULES
    unlisted = [None, W, B, G, U][rng.integers(5)]
    register = Register(Policy(int(rng.integers(1, 4)), unlisted=unlisted, precedence=precedence))
    every, asked = some_keys(rng, count), []
    for n in range(lists):
        keys, status = rng.choice(every, len(every) // 3), (W, B, G)[rng.integers(3)]
        run = every[0] + np.arange(200, dtype=np.uint64) + np.uint64(5 * TAC)
        keys = np.concatenate([keys, run if n < 2 else run[: 20 * n]])
        reasons = rng.choice(["", "lost", "stolen|fraud"], len(keys)).tolist()
        register.add(f"list {n}", keys, status=status, reasons=reasons if n % 2 else None)
        asked.append(keys)
        if wide and n % 3 == 1:
            register.add_tacs(f"list {n}", [["49015420", "00000002"][rng.integers(2)]], status=status)
            lows = rng.choice(every, 5)
            highs = np.minimum(lows + np.array([3, 90, 5000, 3 * TAC, 0], np.uint64), np.uint64(10**14 - 1))
            register.add_ranges(f"list {n}", lows, highs, status=status)
            asked += [lows, highs, lows + np.uint64(1)]
    for n, kind in enumerate(rng.permutation(["block", "exempt", "lock"])[: rng.integers(4)]):
        keys = rng.choice(every, 40)
        imsis = rng.choice([HOME, AWAY, ELSEWHERE], 40).tolist()
        getattr(register, kind)(f"pairs {n}", keys, imsis, **({} if kind == "exempt" else {"status": B}))
        asked.append(keys)
    if rng.random() < 0.5:
        register.add_imsis("subscribers", ["00101"], status=G)
    asked += [every + np.uint64(1), rng.integers(0, 10**14, 100).astype(np.uint64)]
    keys = np.concatenate(asked)
    return register, rng.permutation(keys[keys < 10**14])


def expect_same(one, other, keys, rng, few=60):
    """The same answers at every level: of columns, with and without subscribers, and one by one."""
    imsis = rng.choice([HOME, AWAY, ELSEWHERE, ""], len(keys)).tolist()
    for level in simd.simd_levels():
        simd.use_simd(level)
        for subscribers in (None, imsis):
            mine, theirs = (
                [*asked.check_many(keys, subscribers, lists=True), asked.check_many(keys, subscribers)]
                for asked in (one, other)
            )
            for got, expected in zip(mine, theirs, strict=True):
                np.testing.assert_array_equal(got, expected)
            details = [asked.check_many(keys, subscribers, details=True) for asked in (one, other)]
            for name, column in details[0].items():
                assert np.array_equal(np.asarray(column), np.asarray(details[1][name])) or (
                    list(map(str, column)) == list(map(str, details[1][name]))
                )
        for key, imsi in zip(keys[:few].tolist(), imsis[:few], strict=True):
            assert one.check(key, imsi) == other.check(key, imsi)
            assert one.check(key) == other.check(key)
            assert one.explain(key, imsi) == other.explain(key, imsi)


@pytest.mark.parametrize("seed", range(8))
def test_classes_are_those_of_the_twin(seed):
    rng = np.random.default_rng(seed)
    register, _ = draw(rng, count=[4, 40, 3000][seed % 3], lists=2 + seed, wide=False)
    if seed == 7:
        register.add_tacs("list 0", ["00000002"], status=register.lists[0].status)
    lists = [
        (one.status, frozenset(register[one.name].to_numpy().tolist()))
        for one in register.lists
        if one.kind == "imeis"
    ]
    pairs = {
        key
        for one in register.lists
        if one.pairs is not None
        for key in one.pairs.base.imeis.to_numpy().tolist()
    }
    expected = oracle.classes(lists, pairs, {2} if seed == 7 else set())
    coverage = register._now().coverage
    deciders = coverage.deciders
    keys = np.array(list(expected), np.uint64)
    assert len(deciders.codes) == places(coverage.imeis)
    for level in simd.simd_levels():
        simd.use_simd(level)
        for some in (np.sort(keys), rng.permutation(keys)):
            codes = np.empty(len(some), np.uint8)
            bytes_of(coverage.imeis, deciders.codes, some, codes)
            found = np.array(deciders.classes)[codes].tolist()
            assert found == [expected[key] for key in some.tolist()]


@pytest.mark.parametrize("seed", range(6))
def test_registers_answer_as_where_all_lists_are_asked(tmp_path, seed):
    rng = np.random.default_rng(100 + seed)
    register, keys = draw(rng, count=[5, 300, 2500][seed % 3])
    register.save(tmp_path / "all.imei")
    opened = Register.verify(tmp_path / "all.imei")
    coverage = opened._now().coverage
    assert coverage.deciders is not None
    assert coverage == register._now().coverage
    expect_same(opened, asking_all(opened, coverage), keys, rng)


@pytest.mark.parametrize("status", [W, B, G])
def test_one_list_needs_no_bytes(status):
    rng = np.random.default_rng(status)
    register = Register(Policy(int(status) + 1, precedence=RULES[::-1]))
    every = some_keys(rng, 500)
    register.add("one", rng.choice(every, 400), status=status, reasons=["stolen"] * 400)
    register.add_ranges("others", every[:3], every[:3] + np.uint64(40), status=G)
    register.add_imsis("subscribers", ["00101"], status=G)
    coverage = register._now().coverage
    assert coverage.deciders is None
    assert alone(coverage.imeis, register.lists).given == (None, (0, 1 | 1 << 6 + status))
    expect_same(register, asking_all(register, coverage), every, rng)


def test_more_classes_than_there_are_numbers(tmp_path):
    """Those that come last ask their lists."""
    rng = np.random.default_rng(3)
    register, every = Register(Policy(3)), some_keys(rng, 20_000)
    for n in range(30):  # most of one status, so that what others say beside them differs
        register.add(
            f"{n}", rng.choice(every, len(every) // (9 if n > 2 else 2)), status=(W, G, G, B)[min(n, 3)]
        )
    register.block("pairs", rng.choice(every, 9000), [HOME] * 9000, status=B)
    deciders = register._now().coverage.deciders
    assert len(deciders.classes) == 256
    assert deciders.given == (deciders.codes, deciders.classes)
    assert repr(deciders) == f"Deciders(classes={deciders.classes})"
    for classes in ([], [*deciders.classes, deciders.classes[1]], deciders.classes):
        with pytest.raises(ValueError, match="expected 1 to 256 classes"):
            Deciders.read(classes, deciders.codes, register._now().coverage.imeis, register.lists)
    expect_same(register, asking_all(register, register._now().coverage), rng.permutation(every)[:3000], rng)
    register.save(tmp_path / "x.imei")
    assert Register.open(tmp_path / "x.imei")._now().coverage.deciders == deciders


def test_numbers_of_classes_are_few():
    members = [ImeiSet.from_keys([n]) for n in range(300)]
    union = ImeiSet.from_keys(range(300))
    sources = [(one, 0xFFF, n + 1, 0) for n, one in enumerate(members)]
    column, classes = decided(ImeiSet.from_keys(range(0, 3000, 10)), [])
    assert classes == [0]
    assert not column.any()
    spread = [ImeiSet.from_keys([10 * n]) for n in range(300)]
    all_of = ImeiSet.from_keys(range(0, 3000, 10))
    column, classes = decided(all_of, [(one, 0xFFF, n + 1, 0) for n, one in enumerate(spread)])
    codes = np.empty(300, np.uint8)
    bytes_of(all_of, column, np.arange(0, 3000, 10, dtype=np.uint64), codes)
    assert classes == list(range(256))
    assert codes.tolist() == [*range(1, 256)] + [0] * 45
    column, classes = decided(union, sources)
    assert classes == [0]
    assert not column.any()


def change(rng, store, keys):
    """Some changes of all kinds."""
    names = [one.name for one in store.lists if one.kind == "imeis"]

    def some():
        return rng.choice(keys, 12)

    for name in rng.choice(names, 3):
        lows = some()
        store.apply(Delta(str(name), add=some(), remove=some(), reason="late"))
        highs = np.minimum(lows + np.uint64(70), np.uint64(10**14 - 1))
        store.apply(Delta(str(name), rule="range", add=(lows, highs)))
    store.apply(Delta(str(names[0]), rule="tac", add=["00000035"]))
    for one in store.lists:
        if one.pairs is not None:
            store.apply(Delta(one.name, add=(some(), [AWAY] * 12), remove=(some(), [HOME] * 12)))


@pytest.mark.parametrize("seed", range(4))
def test_stores_answer_as_where_all_lists_are_asked(tmp_path, seed):
    rng = np.random.default_rng(200 + seed)
    register, keys = draw(rng, count=[30, 600][seed % 2])
    with Store.create(tmp_path / "eir", register) as store:

        def expect(deciders):
            state = store._state
            assert state.base.coverage.deciders.fit(state.lists, filtered=True) == deciders
            touched = {"touched": state.touched.words, "spread": state.touched.spread}
            with no_deciders():
                plain = replace(state.base.coverage, deciders=None)
                asked = store.frozen()
                asked._use(Rules(state.lists, state.base.policy).tables(plain, state.prefixes, **touched))
            expect_same(store, asked, keys, rng, 20)

        expect(True)
        change(rng, store, keys)
        expect(True)
        store.add_list("new", status=B)
        store.apply(Delta("new", add=rng.choice(keys, 30)))
        expect(True)
        store.drop_list("list 1", force=True)
        expect(False)
        store.compact()
        expect(True)
        change(rng, store, keys)
        store.compact()
        expect(True)
        assert store._state.base.coverage == Coverage.of_lists(store._state.base.lists)
    with Store.open(tmp_path / "eir") as store:
        expect(True)


def test_lists_that_did_not_change_keep_their_deciders():
    register, _ = draw(np.random.default_rng(1))
    now = register._now()
    assert now.coverage.after(now.lists, now.lists) is now.coverage


def test_a_register_of_before_has_none_and_gets_some(tmp_path):
    register, keys = draw(np.random.default_rng(2))
    register.save(tmp_path / "new.imei")
    parts = dict(snapshot.open(tmp_path / "new.imei", "memory").sections)
    now = register._now()
    old = replace(now, coverage=replace(now.coverage, deciders=None))
    old.save(tmp_path / "old.imei")
    assert "deciders" in parts
    assert "deciders" not in snapshot.open(tmp_path / "old.imei").sections
    opened = Register.verify(tmp_path / "old.imei")
    assert opened._now().coverage.deciders is None
    expect_same(opened, register, keys, np.random.default_rng(3), 20)
    with Store.create(tmp_path / "eir", opened) as store:
        store.apply(Delta("list 0", add=[1, 2, 3]))
        store.compact()
        assert store._state.base.coverage.deciders is not None


# ---- what is damaged


@pytest.fixture
def path(tmp_path):
    register, _ = draw(np.random.default_rng(5), count=100)
    register.save(tmp_path / "x.imei")
    return tmp_path / "x.imei"


def rewritten(path, parts):
    snapshot.write(path, "register", list(parts.items()), count=0, generation=0)


def test_sections_that_lie(path):
    parts = {name: bytes(part) for name, part in snapshot.open(path, "memory").sections.items()}
    wrong = [parts["deciders"] + b"\0", parts["deciders"][:-1], b""]
    for section in wrong:
        rewritten(path, {**parts, "deciders": section})
        with pytest.raises(SnapshotBounds, match="deciders"):
            Register.open(path)
    rewritten(path, {name: part for name, part in parts.items() if name != "deciders"})
    with pytest.raises(SnapshotError):
        Register.open(path)


@pytest.mark.parametrize(
    "classes",
    [
        None,
        3,
        {},
        "x",
        [],
        [1],
        [0, 0],
        [0, -1],
        [0, 1 << 12],
        [0, 1.0],
        [0, True],
        [0, None],
        [0] * 257,
        [0, 33 | 1 << 7],
        [0, 1],
        [0, 1 << 7],
        [0, 1 << 10],
        [0, 1 | 7 << 6],
        [0, 2 | 6 << 6],
    ],
)
def test_classes_that_cannot_be(path, classes):
    parts = {name: bytes(part) for name, part in snapshot.open(path, "memory").sections.items()}
    about = json.loads(parts["register"])
    about["deciders"] = classes
    if classes == [0, 1 | 7 << 6] and about["lists"][0]["status"] == B:
        classes[1] = 1 | 4 << 6
    rewritten(path, {**parts, "register": json.dumps(about).encode()})
    with pytest.raises(SnapshotBounds):
        Register.open(path)


def test_other_bytes_are_answers_of_some_kind_and_are_found(path):
    """Numbers of other classes, and of none."""
    rng = np.random.default_rng(6)
    parts = {name: bytes(part) for name, part in snapshot.open(path, "memory").sections.items()}
    keys = rng.choice(Register.open(path)._now().coverage.imeis.to_numpy(), 3000)
    for _ in range(20):
        codes = rng.integers(0, 256, len(parts["deciders"]), dtype=np.uint8).tobytes()
        rewritten(path, {**parts, "deciders": codes})
        register = Register.open(path)
        for level in simd.simd_levels():
            simd.use_simd(level)
            register.check_many(keys)
            register.check_many(keys, [HOME] * len(keys), details=True)
            for key in keys[:20].tolist():
                register.check(key)
                register.explain(key)
        with pytest.raises(SnapshotBounds):
            Register.verify(path)


@pytest.mark.parametrize("number", [0, 3, 200, 255])
def test_numbers_of_no_class_are_asked(tmp_path, number):
    """One check, a batch and `explain` alike."""
    register, path = Register(), tmp_path / "x.imei"
    register.add("black", range(0, 3000, 10), status=B)
    register.add("grey", range(0, 3000, 30), status=G)
    register.save(path)
    parts = {name: bytes(part) for name, part in snapshot.open(path, "memory").sections.items()}
    assert len(json.loads(parts["register"])["deciders"]) == 3
    rewritten(path, {**parts, "deciders": bytes([number]) * len(parts["deciders"])})
    expect_same(Register.open(path), register, np.arange(0, 3000, 5, np.uint64), np.random.default_rng(8))


def test_damaged_unions_stay_in_bounds(path):
    """Whatever the sections of the union hold: places are clamped, and making ends."""
    rng = np.random.default_rng(7)
    parts = {name: bytes(part) for name, part in snapshot.open(path, "memory").sections.items()}
    known = max(int(name.split(".")[0]) for name in parts if name[0].isdigit())
    keys = rng.choice(Register.open(path)._now().coverage.imeis.to_numpy(), 3000)
    for trial in range(150):
        section = f"{known}.{rng.integers(1, 9)}"
        bad = bytearray(parts[section])
        for at in rng.integers(0, max(len(bad), 1), 1 + trial % 5 if bad else 0):
            bad[at] = rng.integers(256)
        rewritten(path, {**parts, section: bytes(bad)})
        try:
            register = Register.open(path)
        except SnapshotError:
            continue
        for level in simd.simd_levels():
            simd.use_simd(level)
            register.check_many(keys)
            for key in keys[:5].tolist():
                register.check(key)
        now = register._now()
        with contextlib.suppress(SnapshotError, ValueError):
            Deciders.of_lists(now.coverage.imeis, now.lists)
        for one in now.lists:  # each as the union of all, which it is not
            for members in one.sets():
                with contextlib.suppress(SnapshotError, ValueError):
                    Deciders.of_lists(members, now.lists)


def test_native_arguments():
    given = {"order": ["exact"], "levels": {}, "pairings": [], "prefixes": Prefixes(), "outcomes": bytes(8)}
    given |= {"lists": 1, "detailed": {}, "told": lambda *_: None, "malformed": None, "unread": None}
    some = ImeiSet.from_keys([1, 2, 3])
    with pytest.raises(ValueError, match="deciders"):
        CheckTables(some, **given, deciders=(np.zeros(5, np.uint8), [0]))
    with pytest.raises(ValueError, match="classes"):
        CheckTables(some, **given, deciders=(None, [0] * 257))
    with pytest.raises(ValueError, match="column"):
        bytes_of(some, np.zeros(5, np.uint8), np.zeros(1, np.uint64), np.zeros(1, np.uint8))
    with pytest.raises(ValueError, match="out"):
        bytes_of(some, np.zeros(places(some), np.uint8), np.zeros(1, np.uint64), np.zeros(2, np.uint8))
    with pytest.raises(TypeError):
        decided(some, [(None, 0, 0, 0)])
    assert places(ImeiSet()) == 0
    bytes_of(ImeiSet(), np.zeros(0, np.uint8), np.zeros(1, np.uint64), np.zeros(1, np.uint8))


def test_what_has_no_place_has_no_class():
    """Where a union has no spill, an IMEI of no line is of class 0: its lists are asked."""
    union = ImeiSet.from_keys(range(35 * TAC, 36 * TAC, TAC // 27))
    others = np.arange(36 * TAC, 36 * TAC + 100, dtype=np.uint64)
    assert places(union) == len(union)
    for level in simd.simd_levels():
        simd.use_simd(level)
        codes = np.full(100, 9, np.uint8)
        bytes_of(union, np.full(len(union), 7, np.uint8), others, codes)
        assert not codes.any()
        bytes_of(union, np.full(len(union), 7, np.uint8), union.to_numpy(), codes[: len(union)])
        assert codes[: len(union)].tolist() == [7] * len(union)


@pytest.mark.parametrize("before", range(4))
def test_a_whole_tac_on_lists_of_both_kinds(before):
    """A list of TACs does not change which list of exact IMEIs is asked first, whatever its number is."""
    whole = ImeiSet.from_ranges([35 * TAC], [36 * TAC - 1])
    register, rng = Register(), np.random.default_rng(before)
    for n in range(before):
        register.add(f"some {n}", [TAC + n], status=W)
    for n in range(2):
        register.add(f"whole {n}", whole, status=G)
    register.add_tacs("tacs", ["00000035"], status=B)
    coverage = register._now().coverage
    assert coverage.deciders is not None
    asked = np.append(np.uint64(35 * TAC) + rng.integers(0, TAC, 300).astype(np.uint64), np.uint64(TAC))
    expect_same(register, asking_all(register, coverage), asked, rng)
    assert register.check(int(asked[0])).list == "whole 0"
    alone = Register()
    alone.add("whole", whole, status=G)
    alone.add_tacs("tacs", ["00000036"], status=B)
    assert alone._now().coverage.deciders is None


def test_a_run_of_two_over_the_end_of_a_tac():
    """Its keys share a byte: where they are of two classes, their lists are asked."""
    register, asked = Register(), np.array([36 * TAC - 1, 36 * TAC], np.uint64)
    register.add("both", asked, status=G)
    register.add("first", asked[:1], status=B)
    coverage = register._now().coverage
    codes = np.full(2, 9, np.uint8)
    bytes_of(coverage.imeis, coverage.deciders.codes, asked, codes)
    assert codes.tolist() == [0, 0]
    expect_same(register, asking_all(register, coverage), asked, np.random.default_rng(1))
