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
from imeiset.register.deciders import Deciders, _sources, alone
from imeiset.register.layered import LayeredSet
from imeiset.register.rules import Rules

W, B, G, U = EquipmentStatus
HOME, AWAY, ELSEWHERE = "234150999999999", "262011234567890", "001010123456789"
TAC = 10**6
PHONE = 490154203237518
pytestmark = pytest.mark.usefixtures("same_level_after")
RULES = oracle.Equipment.PRECEDENCE


def codes_of(union, column, keys):
    """The byte of each key; all are found that are members, and no other."""
    found, out = np.full((2, len(keys) + 8), 9, np.uint8)
    bytes_of(union, column, keys, found[: len(keys)], out[: len(keys)])
    members = union.to_numpy()
    at = np.minimum(np.searchsorted(members, keys), max(len(members) - 1, 0))
    np.testing.assert_array_equal(found[: len(keys)], members[at] == keys if len(members) else 0)
    assert set(found[len(keys) :]) == set(out[len(keys) :]) == {9}
    return out[: len(keys)]


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
    """Keys that lie in most ways: in lines, the spill, in runs, over the end of a TAC. No bitmaps."""
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
            found = np.array(deciders.classes)[codes_of(coverage.imeis, deciders.codes, some)].tolist()
            assert found == [expected[key] for key in some.tolist()]


@pytest.mark.parametrize(
    ("count", "listed", "dense"),
    [
        (30, 0.02, 0),
        (900, 0.5, 0),
        (100_000, 0.5, 0),
        (300_000, 0.1, 0),
        (50_000, 0.5, 0.55),
        (50_000, 0.9, 0.3),
    ],
)
def test_members_among_others_have_their_bytes(count, listed, dense):
    """In lines of all shapes, bitmaps, the spill and runs, with the hash table and without."""
    rng = np.random.default_rng(count)
    tacs = np.append(rng.integers(0, 10**8, 40), [35, 36]).astype(np.uint64) * np.uint64(TAC)
    weights = np.append(np.geomspace(1, 90, 40), [400, 90])
    keys = rng.choice(tacs, count, p=weights / weights.sum()) + rng.integers(0, TAC, count).astype(np.uint64)
    runs = [np.arange(low, low + 40, dtype=np.uint64) for low in rng.integers(0, 10**14 - 40, 9)]
    bitmap = np.uint64(37 * TAC) + np.flatnonzero(rng.random(TAC) < dense).astype(np.uint64)
    union = ImeiSet.from_keys(np.concatenate([keys, bitmap, *runs]))
    members = union.to_numpy()
    beside = rng.integers(1, 201, len(members)).astype(np.uint8)
    beside[np.isin(members, np.concatenate(runs))] = 7
    numbers, words = decided(union, [(union, 0xFFF, 1, 0, beside)])
    said = np.array(words) >> 12
    assert len(said) < 256
    near = rng.choice(members, 5000) + rng.choice(np.array([1, 2**64 - 1], np.uint64), 5000)
    others = np.concatenate(
        [near, rng.integers(0, 10**14 + 10, 5000).astype(np.uint64), np.full(9, 2**64 - 1, np.uint64)]
    )
    others = others[~np.isin(others, members)]
    asked = np.where(rng.random(9000) < listed, rng.choice(members, 9000), rng.choice(others, 9000))
    at = np.minimum(np.searchsorted(members, asked), len(members) - 1)
    expected = np.where(members[at] == asked, beside[at], 0)
    for level in simd.simd_levels():
        simd.use_simd(level)
        for _ in range(2):
            for n in (0, 1, 63, 64, 65, 129, 1023, 1024, 1025, 2049, len(asked)):
                start = int(rng.integers(0, len(asked) - n + 1))
                found = codes_of(union, numbers.astype(np.uint8), asked[start : start + n])
                np.testing.assert_array_equal(said[found], expected[start : start + n])
            union.contains_keys(np.zeros(4 * count + 9000, np.uint64), np.empty(4 * count + 9000, np.uint8))
        assert (union.hashed_nbytes > 0) == (len(union) <= 131_072)


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
    assert alone(coverage.imeis, register.lists).given == (None, (0, 1 | 1 << 6 + status), ())
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
    assert deciders.given == (deciders.codes, deciders.classes, deciders.details)
    assert repr(deciders) == f"Deciders(classes={deciders.classes})"
    for classes in ([], [*deciders.classes, deciders.classes[1]], deciders.classes):
        with pytest.raises(ValueError, match="expected 1 to 256 classes"):
            Deciders.read(classes, (), deciders.codes, register._now().coverage.imeis, register.lists)
    expect_same(register, asking_all(register, register._now().coverage), rng.permutation(every)[:3000], rng)
    register.save(tmp_path / "x.imei")
    assert Register.open(tmp_path / "x.imei")._now().coverage.deciders == deciders


def told_by_twin(lists, key):
    """What stands beside a key in the list that is asked first, and the number of that list; None if none."""
    found = sorted(
        ((B, G, W).index(one.status), n) for n, one in enumerate(lists) if one.exact and key in one.exact.base
    )
    if not found:
        return None
    exact, at = lists[found[0][1]].exact, np.empty(1, np.int64)
    exact.base.positions_of_keys(np.array([key], np.uint64), at)
    return found[0][1], tuple(0 if one is None else int(one.codes[at[0]]) for one in exact.columns)


def expect_told(register, least):
    """Each member is told what stands beside it, or nothing; and so many of a hundred are told."""
    lists, coverage = register.lists, register._now().coverage
    deciders, keys = coverage.deciders, coverage.imeis.to_numpy()
    numbers, told = codes_of(coverage.imeis, deciders.codes, keys), 0
    assert len(deciders.details) == len(deciders.classes) <= 256
    assert deciders.details[0] is None
    for key, number in zip(keys.tolist(), numbers.tolist(), strict=True):
        if (details := deciders.details[number]) is not None:
            assert ((deciders.classes[number] & 63) - 1, details) == told_by_twin(lists, key)
            told += 1
    assert told * 100 >= least * len(keys)
    plain = deciders.plain
    assert len(set(plain.classes)) == len(plain.classes)
    assert plain.details == ()
    before, was = decided(coverage.imeis, [(*one, None) for one in _sources(lists)])
    assert (plain.classes, plain.codes.tolist()) == (
        tuple(was[:256]),
        np.where(before < 256, before, 0).tolist(),
    )


def with_details(rng, count, lists, reasons=4, dates=0, untils=0, run=300):
    """A register whose phones have details, also in runs: all have the same, or one at the end has others."""
    register, every = Register(Policy(3)), some_keys(rng, count)
    for n in range(lists):
        runs = [np.arange(low, low + np.uint64(run)) for low in (60 * TAC, 61 * TAC - 20, 70 * TAC)]
        keys = np.unique(np.concatenate([rng.choice(every, max(len(every) // lists, 3)), *runs]))
        keys = keys.astype(np.uint64)
        inside = (keys >= 60 * TAC) & (keys < 60 * TAC + run)
        said = rng.integers(0, reasons + 1, len(keys))
        said[inside], said[keys >= 70 * TAC] = 1, 2
        said[np.flatnonzero(keys < 70 * TAC + run)[-1]] = 3 if n % 2 else 2
        days = rng.integers(0, dates + 1, len(keys))
        later = rng.integers(0, untils + 1, len(keys))
        days[(keys >= 60 * TAC)] = later[keys >= 60 * TAC] = 0
        register.add(
            f"list {n}",
            keys,
            status=(B, G, W, B)[n % 4],
            reasons=[f"r{code}" if code else None for code in said.tolist()] if n % 5 != 3 else None,
            dates=[f"20{code:02}0101" if code else None for code in days.tolist()] if dates else None,
            until=[f"21{code:02}0101" if code else None for code in later.tolist()] if untils else None,
        )
    return register, np.concatenate(
        [
            every,
            *(
                np.arange(low, end, 17, np.uint64)
                for low, end in ((60 * TAC, 61 * TAC), (70 * TAC, 70 * TAC + run))
            ),
        ]
    )


@pytest.mark.parametrize(
    ("lists", "given", "least"),
    [
        (2, {}, 80),
        (3, {"reasons": 1}, 80),
        (9, {"dates": 2, "untils": 1}, 60),
        (4, {"reasons": 90}, 40),
        (4, {"dates": 90, "untils": 90}, 2),
        (31, {"count": 4000}, 45),
        (2, {"run": 17000}, 60),
    ],
)
def test_classes_say_what_stands_beside_a_phone(tmp_path, lists, given, least):
    rng = np.random.default_rng(lists)
    register, asked = with_details(rng, **{"count": 900, "lists": lists, **given})
    expect_told(register, least)
    coverage = register._now().coverage
    asked = rng.permutation(asked.astype(np.uint64))[:3000]
    expect_same(register, asking_all(register, coverage), asked, rng, 800)
    register.save(tmp_path / "x.imei")
    opened = Register.verify(tmp_path / "x.imei")
    assert opened._now().coverage.deciders == coverage.deciders
    assert [opened.check(key) for key in asked[:300].tolist()] == [
        register.check(n) for n in asked[:300].tolist()
    ]


def test_a_run_has_a_number_where_all_of_it_has_the_same_beside():
    """Otherwise its list is asked, wherever in the run, and in what is read at once, the others are."""
    for length in (40, 16_384, 40_000):
        for other in (None, 0, 1, length // 2, 16_383, 16_384, length - 1):
            keys, said = np.arange(36 * TAC, 36 * TAC + length, dtype=np.uint64), ["a"] * length
            if other is not None and other < length:
                said[other] = "b"
            register = Register()
            register.add("first", keys, status=B, reasons=said)
            register.add("second", keys, status=G)
            register.add("alone", [7, 8 * TAC], status=B, reasons=["c", "d"])
            deciders = register._now().coverage.deciders
            numbers = codes_of(register._now().coverage.imeis, deciders.codes, keys)
            assert len(set(numbers.tolist())) == 1
            assert (deciders.details[numbers[0]] is None) == (other is not None and other < length)
            for key, reason in [*zip(keys[:: length // 40].tolist(), said[:: length // 40], strict=True)]:
                assert register.check(key).reasons == (reason,)
            assert [register.check(key).reasons for key in (7, 8 * TAC)] == [("c",), ("d",)]


def test_what_a_list_has_in_a_run_of_others_counts():
    """Phones in TACs where the union has nothing but the middle of a run, and phones after them."""
    rng, whole = np.random.default_rng(9), np.arange(36 * TAC - 5, 40 * TAC, dtype=np.uint64)
    inside = np.uint64(37 * TAC) + rng.choice(TAC, 3000, replace=False).astype(np.uint64)
    single = np.array([38 * TAC + 77, 39 * TAC + 1], np.uint64)
    after = np.uint64(41 * TAC) + rng.choice(TAC, 3000, replace=False).astype(np.uint64)
    keys = np.sort(np.concatenate([inside, single, after]))
    register = Register()
    register.add("whole", whole, status=G)
    said = rng.choice(["a", "b", "c"], len(keys)).tolist()
    register.add("some", keys, status=B, reasons=said)
    for key, reason in list(zip(keys.tolist(), said, strict=True))[::7]:
        assert register.check(key).reasons == (reason,)
    coverage = register._now().coverage
    numbers = codes_of(coverage.imeis, coverage.deciders.codes, after)
    assert all(coverage.deciders.details[number] for number in numbers.tolist())
    expect_same(register, asking_all(register, coverage), rng.permutation(keys)[:900], rng, 300)


def test_what_few_have_beside_them_is_not_taken_for_what_most_have():
    """Of large lists a part is counted."""
    keys = np.arange(10**13, 10**13 + 31 * 300_000, 31, dtype=np.uint64)
    said = np.array(["often", "seldom"], object)[(np.arange(len(keys)) % 90_000 == 89_999).astype(int)]
    said[[123_456, 250_000]] = "once"
    register = Register()
    register.add("first", keys, status=B, reasons=said.tolist())
    register.add("second", keys[::3], status=G)
    rare = np.flatnonzero(said != "often")
    for row in [*rare.tolist(), *range(0, len(keys), 9973)]:
        assert register.check(int(keys[row])).reasons == (said[row],)
    expect_told(register, 90)


@pytest.mark.parametrize("code", [3, 9])
def test_details_that_do_not_fit_are_not_told(tmp_path, code):
    """Of a damaged column: its phones are asked about, and that fails as before."""
    register = Register()
    keys = np.arange(10**13, 10**13 + 31 * 300, 31, dtype=np.uint64)
    register.add("first", keys, status=B, reasons=["a", "b", "b"] * 100)
    register.add("second", keys[::3], status=G)
    register.save(tmp_path / "x.imei")
    parts = {
        name: bytes(part) for name, part in snapshot.open(tmp_path / "x.imei", "memory").sections.items()
    }
    codes = bytearray(parts["0.r"])
    codes[4] = code
    rewritten(tmp_path / "x.imei", {**parts, "0.r": bytes(codes)})
    opened = Register.open(tmp_path / "x.imei")
    anew = Deciders.of_lists(opened._now().coverage.imeis, opened.lists)
    numbers = codes_of(opened._now().coverage.imeis, anew.codes, keys)
    assert anew.details[numbers[4]] is None
    assert {anew.details[number] for number in numbers.tolist()} <= {None, (1, 0, 0), (2, 0, 0)}
    with pytest.raises(SnapshotBounds):
        Register.verify(tmp_path / "x.imei")


def test_a_register_of_before_is_told_nothing_by_classes(tmp_path):
    register, asked = with_details(np.random.default_rng(4), 500, 5)
    now = register._now()
    plain = replace(now, coverage=replace(now.coverage, deciders=now.coverage.deciders.plain))
    plain.save(tmp_path / "plain.imei")
    assert b"details" not in bytes(snapshot.open(tmp_path / "plain.imei").sections["register"])
    opened = Register.verify(tmp_path / "plain.imei")
    assert opened._now().coverage.deciders.details == ()
    expect_same(opened, register, asked[:500], np.random.default_rng(4), 200)


@pytest.mark.parametrize(
    "details",
    [
        None,
        3,
        {},
        "x",
        [],
        [None],
        [None] * 2,
        [[0, 0, 0], None, None],
        [None, [0, 0], None],
        [None, [0, 0, 0, 0], None],
        [None, [-1, 0, 0], None],
        [None, [3, 0, 0], None],
        [None, [0, 1, 0], None],
        [None, [True, 0, 0], None],
        [None, [1.0, 0, 0], None],
        [None, 1, None],
        [None, None, [0, 0, 0]],
    ],
)
def test_details_of_classes_that_cannot_be(tmp_path, details):
    register = Register()
    register.add("first", [1, 100, 1000], status=B, reasons=["a", "b", "b"])
    register.add("second", [2], status=G)
    register.save(tmp_path / "x.imei")
    parts = {
        name: bytes(part) for name, part in snapshot.open(tmp_path / "x.imei", "memory").sections.items()
    }
    about = json.loads(parts["register"])
    about["deciders"] = [0, 1 | 1 << 7, 2 | 1 << 8]
    for given in ([None, [1, 0, 0], None], [None] * 3, details):
        rewritten(
            tmp_path / "x.imei", {**parts, "register": json.dumps({**about, "details": given}).encode()}
        )
        if given is not details:
            Register.open(tmp_path / "x.imei")
    with pytest.raises(SnapshotBounds):
        Register.open(tmp_path / "x.imei")


@pytest.mark.parametrize(
    ("name", "lies"), [("deciders", PHONE), ("details", [PHONE] * 3), ("details", [[PHONE] * 3])]
)
def test_what_lies_is_not_shown_whole(tmp_path, name, lies):
    """Where a file has an IMEI in the place of a class or a code."""
    register = Register()
    register.add("first", [1, 100, 1000], status=B, reasons=["a", "b", "b"])
    register.add("second", [2], status=G)
    register.save(tmp_path / "x.imei")
    parts = {key: bytes(part) for key, part in snapshot.open(tmp_path / "x.imei", "memory").sections.items()}
    about = json.loads(parts["register"])
    about[name][1] = lies
    rewritten(tmp_path / "x.imei", {**parts, "register": json.dumps(about).encode()})
    with pytest.raises(SnapshotBounds, match=r"got .*49015420") as caught:
        Register.open(tmp_path / "x.imei")
    assert str(PHONE) not in str(caught.value)


@pytest.mark.parametrize("name", ["shift", "known", "layout", "lists", "policy"])
def test_what_lies_elsewhere_is_not_shown_whole(tmp_path, name):
    register = Register()
    register.add("first", [1, 100, 1000], status=B)
    register.save(tmp_path / "x.imei")
    parts = {key: bytes(part) for key, part in snapshot.open(tmp_path / "x.imei", "memory").sections.items()}
    about = {**json.loads(parts["register"]), name: PHONE}
    rewritten(tmp_path / "x.imei", {**parts, "register": json.dumps(about).encode()})
    with pytest.raises(SnapshotError) as caught:
        Register.open(tmp_path / "x.imei")
    assert str(PHONE) not in str(caught.value)


def numbers_of(union, column, keys):
    """What a column of 16 bits has for keys."""
    low, high = (codes_of(union, part.astype(np.uint8), keys) for part in (column & 0xFF, column >> 8))
    return (low + high.astype(np.int64) * 256).tolist()


def test_words_come_in_order_and_are_many():
    keys = np.arange(0, 90_000 * 10, 10, dtype=np.uint64)
    union = ImeiSet.from_keys(keys)
    column, words = decided(union, [])
    assert words == [0]
    assert not column.any()
    runs = [ImeiSet.from_keys([n]) for n in range(300)]  # one entry of the union, with keys of several words
    column, words = decided(ImeiSet.from_keys(range(300)), [(one, 0xFFF, 1, 0, None) for one in runs])
    assert words == [0]
    assert not column.any()
    sources, expected = [], np.zeros(len(keys), np.int64)
    for n in range(300):
        some = keys[n * 300 : (n + 1) * 300]
        beside = (np.arange(len(some)) % 256).astype(np.uint8)
        sources.append((ImeiSet.from_keys(some), 0, n + 65, 0, beside))
        expected[n * 300 : n * 300 + len(some)] = (
            n + 65 | (beside.astype(np.int64) if (n + 65) & 63 else 0) << 12
        )
    column, words = decided(union, sources)
    found = np.array(words)[numbers_of(union, column, keys)]
    assert 65536 - 4096 <= len(words) == len(set(words)) <= 65536
    assert words[:258] == [0, *(65 | n << 12 for n in range(256)), 66]
    known = set(words)
    for got, word in zip(found.tolist(), expected.tolist(), strict=True):
        assert got == (word if word in known else word & 0xFFF)


def test_classes_are_told_where_there_is_no_room_for_what_stands_beside():
    """As if nothing stood beside the phones: that is what files of before say, which are compared."""
    keys = np.arange(0, 90_000 * 10, 10, dtype=np.uint64)
    sources, beside = [], np.arange(300, dtype=np.uint64) % np.uint64(255) + np.uint64(1)
    for n in range(300):  # each class comes once before there are too many, and again after
        some = np.sort(np.concatenate([keys[n * 290 : n * 290 + 290], keys[87_000 + n :: 300]]))
        column = np.append(beside[: len(some) - 10] % 250 + 1, np.full(10, 255)).astype(np.uint8)
        sources.append((ImeiSet.from_keys(some), 0, (n % 62 + 1) | n // 62 << 6, 0, column))
    union = ImeiSet.from_keys(keys)
    column, words = decided(union, sources)
    plain, classes = decided(union, [(*one[:4], None) for one in sources])
    assert len(words) > 61_440
    np.testing.assert_array_equal(np.array(words)[column] & 0xFFF, np.array(classes)[plain])
    assert list(dict.fromkeys(word & 0xFFF for word in words)) == classes


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


def test_other_details_are_other_bases():
    """Beside the same set."""
    register = Register()
    register.add("first", [1, 100], status=B, reasons=["a", "b"])
    register.add("second", [2], status=G)
    deciders, (first, second) = register._now().coverage.deciders, register.lists
    reasons = first.exact.columns[0]
    other = LayeredSet(first.exact.base, (replace(reasons, codes=reasons.codes[::-1].copy()), None, None))
    assert deciders.fit((first, second), filtered=False)
    assert not deciders.fit((replace(first, exact=other), second), filtered=False)
    assert not deciders.fit((replace(first, exact=LayeredSet(first.exact.base)), second), filtered=False)


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


@pytest.mark.parametrize("rank", [1, 5, 9, 10**8 - 10, 10**8 - 1, 10**8])
def test_ranks_that_lie_stay_in_bounds(rank):
    """Those of a list that has a run, which say that it begins so far before the first of its members."""
    length = 10**8
    run = ImeiSet.from_ranges([36 * TAC], [36 * TAC + length - 1])
    parts = {name: bytes(memoryview(part)) for name, part in run.sections()}
    parts["meta"] = parts["meta"][:8] + (10).to_bytes(8, "little") + parts["meta"][16:]
    parts["spranks"] = (2**64 - rank).to_bytes(8, "little")
    lying = ImeiSet.from_sections(parts)
    assert len(lying) == 10
    column, words = decided(run, [(lying, 0xFFF, 1 | 1 << 7, 0, np.ones(10, np.uint8))])
    assert words == [0, 1 | 1 << 7 | 1 << 11]
    assert column.max() == 1


def test_native_arguments():
    given = {"order": ["exact"], "levels": {}, "pairings": [], "prefixes": Prefixes(), "outcomes": bytes(8)}
    given |= {"lists": 1, "detailed": {}, "told": lambda *_: None, "malformed": None, "unread": None}
    some = ImeiSet.from_keys([1, 2, 3])
    with pytest.raises(ValueError, match="deciders"):
        CheckTables(some, **given, deciders=(np.zeros(5, np.uint8), [0], []))
    with pytest.raises(ValueError, match="classes"):
        CheckTables(some, **given, deciders=(None, [0] * 257, []))
    with pytest.raises(ValueError, match="column"):
        bytes_of(some, np.zeros(5, np.uint8), np.zeros(1, np.uint64), *np.zeros((2, 1), np.uint8))
    with pytest.raises(ValueError, match="found"):
        bytes_of(
            some, np.zeros(24, np.uint8), np.zeros(1, np.uint64), np.zeros(2, np.uint8), np.zeros(1, np.uint8)
        )
    with pytest.raises(ValueError, match="out"):
        bytes_of(
            some, np.zeros(24, np.uint8), np.zeros(1, np.uint64), np.zeros(1, np.uint8), np.zeros(2, np.uint8)
        )
    with pytest.raises(TypeError):
        decided(some, [(None, 0, 0, 0, None)])
    assert places(ImeiSet()) == 0
    assert not codes_of(ImeiSet(), np.zeros(0, np.uint8), np.zeros(1, np.uint64)).any()


def test_what_has_no_place_has_no_class():
    """Where a union has no spill, an IMEI of no line is of class 0: its lists are asked."""
    union = ImeiSet.from_keys(range(35 * TAC, 36 * TAC, TAC // 27))
    others = np.arange(36 * TAC, 36 * TAC + 100, dtype=np.uint64)
    assert places(union) == len(union)
    for level in simd.simd_levels():
        simd.use_simd(level)
        column = np.full(len(union), 7, np.uint8)
        assert not codes_of(union, column, others).any()
        assert codes_of(union, column, union.to_numpy()).tolist() == [7] * len(union)


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
    assert codes_of(coverage.imeis, coverage.deciders.codes, asked).tolist() == [0, 0]
    expect_same(register, asking_all(register, coverage), asked, np.random.default_rng(1))
