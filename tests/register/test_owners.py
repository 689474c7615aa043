"""Owners, untils and blocked pairs: against dicts, in files of layout 4, and what is refused of these."""

import contextlib
import copy
import datetime
import hashlib
import itertools
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import Delta, EquipmentStatus, ImeiSet, Register, Store, snapshot
from imeiset.errors import SnapshotBounds, SnapshotError, SnapshotVersion
from imeiset.register.details import Column
from imeiset.register.layered import LayeredSet
from imeiset.register.pairs import LayeredPairs, Pairs
from imeiset.register.untils import FIRST_DAY, LAST_DAY, NO_DAY

GOLDEN = Path(__file__).parent.parent / "golden"
W, B, G, U = EquipmentStatus
LISTED, OTHER, THIRD = "490154203237518", "356938035643809", "352099001761481"
HOME, AWAY = "234150999999999", "262011234567890"


def sample() -> Register:
    """A register with owners, untils and blocked pairs; the golden files hold it."""
    register = Register()
    register.add(
        "stolen",
        [LISTED, OTHER, THIRD],
        status=B,
        reason="stolen",
        owner="Op. Å",
        reasons=["lost", None, None],
        dates=["2024-02-29", None, None],
        until=["2024-02-29", "20301231", None],
    )
    register.add("lost", [LISTED], status=G, owner="op-b", until=[datetime.date(2025, 1, 31)])
    register.add("ours", [OTHER], status=W)
    register.block("clones", [LISTED, LISTED, OTHER], [HOME, AWAY, HOME], until=["20260131", None, None])
    register.block("watched", [LISTED], [HOME], status=G, owner="op-b")
    register.exempt("paired", [THIRD, OTHER], [HOME, AWAY], owner="op-a", until=[None, "20260131"])
    register.lock("leased", [THIRD], [HOME], until=["9999-12-31"])
    register.add_imsis("roamers", ["26201"], status=G, owner="op-b")
    return register


def untils(register):
    """All untils, by list."""
    found = {}
    for one in register.lists:
        flat = one.flattened()
        said = (
            {key: flat.exact.details(key)[2] for key in flat.exact.base.to_numpy().tolist()}
            if flat.exact
            else {}
        )
        if flat.pairs:
            pairs = flat.pairs.of_imeis(flat.pairs.base.imeis.to_numpy())
            columns = [side.tolist() for side in (*pairs, flat.pairs.until_days(*pairs))]
            said |= {(key, imsi): day for key, imsi, day in zip(*columns, strict=True)}
        found[one.name] = said
    return found


def facts(register):
    """All that is told of the lists."""
    return [
        (one.name, one.status, one.kind, one.owner, one.reason, one.flattened().counts(), one.digest())
        for one in register.lists
    ]


def sections(path):
    return {name: bytes(part) for name, part in snapshot.open(path, kind="register").sections.items()}


def about(path):
    return json.loads(sections(path)["register"])


def rewritten(path, parts):
    snapshot.write(path, "register", parts.items(), count=2)


@pytest.fixture
def path(tmp_path):
    sample().save(tmp_path / "register.imei")
    return tmp_path / "register.imei"


# ---- owners


def test_a_list_keeps_its_owner():
    register = Register()
    register.add("stolen", [LISTED], status=B, owner="op-a")
    register.add("stolen", [OTHER], status=B)
    register.add("stolen", [THIRD], status=B, owner="op-a")
    register.add_ranges("stolen", [10], [19], status=B)
    register.add_tacs("stolen", ["01012300"], status=B, owner="op-a")
    assert [(one.owner, len(one.exact.base)) for one in register.lists] == [("op-a", 3)]
    for owner in ("op-b", ""):
        for add in (
            lambda owner: register.add("stolen", [1], status=B, owner=owner),
            lambda owner: register.add_ranges("stolen", [1], [2], status=B, owner=owner),
            lambda owner: register.add_tacs("stolen", ["35693803"], status=B, owner=owner),
            lambda owner: register.add_list(replace(register.lists[0], owner=owner)),
            lambda owner: register.lists[0].united(replace(register.lists[0], owner=owner)),
        ):
            with pytest.raises(
                ValueError,
                match=f"'stolen': expected owner 'op-a' as before, got {repr(owner) if owner else 'nobody'}",
            ):
                add(owner)
    assert register.counts() == {"stolen": {"exact": 3, "range": 10, "tac": 10**6}}
    register.add("ours", [1], status=B)
    with pytest.raises(ValueError, match="'ours': expected owner nobody as before, got 'op-a'"):
        register.add("ours", [1], status=B, owner="op-a")


def test_every_maker_takes_an_owner():
    register = Register()
    register.add_ranges("1", [1], [2], status=B, owner="a")
    register.add_tacs("2", ["35693803"], status=B, owner="b")
    register.exempt("3", [1], [HOME], owner="c")
    register.lock("4", [1], [HOME], owner="d")
    register.block("5", [1], [HOME], owner="e")
    register.add_imsis("6", ["262"], status=B, owner="f")
    assert "".join(one.owner for one in register.lists) == "abcdef"
    for wrong in ("x" * 101, "a\nb", 5, b"op", "\x7f"):
        with pytest.raises(ValueError, match="owner: expected at most 100 printable characters, got"):
            register.add("7", [1], status=B, owner=wrong)
    assert len(register.lists) == 6


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_keep_everything(copied):
    assert facts(copied(sample())) == facts(sample())
    assert untils(copied(sample())) == untils(sample())


def test_the_lists_of_another_register_keep_everything(tmp_path):
    """Of a store that changed since, too."""
    with Store.create(tmp_path / "store", sample()) as store:
        again = Register()
        for one in store.lists:
            again.add_list(one)
        assert (facts(again), untils(again)) == (facts(sample()), untils(sample()))
        for _ in range(2):
            for one in store.lists:
                again.add_list(one)
        assert (facts(again), untils(again)) == (facts(sample()), untils(sample()))
        store.apply(Delta("ours", add=[1], remove=[OTHER]))
        store.compact()
        store.apply(Delta("ours", add=[OTHER], remove=[1]))
        assert facts(store) == facts(sample())
        assert untils(store) == untils(sample())


# ---- untils

DAYS = st.dates(datetime.date(2024, 1, 1), datetime.date(2024, 1, 9)) | st.none()
FORMS = (
    lambda day: day,
    lambda day: day and day.isoformat(),
    lambda day: day and f"{day:%Y%m%d}",
    np.datetime64,
)


def longest(rows):
    """Until when each of (it, day) is listed: the last day of all its rows, None where one has none."""
    found = {}
    for it, day in rows:
        found.setdefault(it, []).append(day)
    return {it: None if None in days else max(days) for it, days in found.items()}


@given(st.lists(st.lists(st.tuples(st.integers(0, 6), DAYS)), max_size=4), st.sampled_from(FORMS))
def test_the_longest_until_counts(tmp_path_factory, adds, form):
    """In one column and in several, in any order, opened and verified."""
    path = tmp_path_factory.getbasetemp() / "untils.imei"
    register = Register()
    for rows in adds:
        given = [None if day is None else form(day) for _, day in rows]
        register.add("stolen", [key for key, _ in rows], status=B, until=given)
    expected = longest(itertools.chain(*adds))
    register.save(path)
    for one in (register, Register.open(path), Register.verify(path)):
        told = untils(one).get("stolen", {})
        assert told == {key: day.isoformat() if day else "" for key, day in expected.items()}
    assert about(path)["layout"] == (4 if any(expected.values()) else 3)


@given(
    st.lists(
        st.lists(st.tuples(st.tuples(st.integers(0, 3), st.sampled_from([HOME, AWAY, "00101"])), DAYS)),
        max_size=4,
    ),
    st.sampled_from(["exempt", "lock", "block"]),
)
def test_the_longest_until_of_a_pair_counts(tmp_path_factory, adds, kind):
    path = tmp_path_factory.getbasetemp() / "pairs.imei"
    register = Register()
    for rows in adds:
        columns = [[pair[side] for pair, _ in rows] for side in (0, 1)]
        getattr(register, kind)("pairs", *columns, until=[day for _, day in rows])
    expected = longest(itertools.chain(*adds))
    register.save(path)
    epoch = datetime.date(1970, 1, 1)
    for one in (register, Register.open(path), Register.verify(path)):
        told = untils(one).get("pairs", {})
        assert told == {
            (key, int(f"1{imsi}")): NO_DAY if day is None else (day - epoch).days
            for (key, imsi), day in expected.items()
        }
    assert about(path)["layout"] == (4 if any(expected.values()) or (kind == "block" and adds) else 3)


def test_an_until_is_not_before_its_date():
    register = Register()
    for dates, until, row in (
        (["20240101", "20240102"], ["20240101", "20240101"], 1),
        ([None, "2024-01-02", "2024-01-02"], ["20230101", "20240103", "20231231"], 2),
    ):
        with pytest.raises(
            ValueError, match=f"row {row}: until: expected 2024-01-02, its date, or a later day"
        ):
            register.add("stolen", range(len(dates)), status=B, dates=dates, until=until)
    assert not register.lists
    register.add("stolen", [1, 1], status=B, dates=["20240201", "20230101"], until=["20240301", "20230101"])
    assert register.lists[0].exact.details(1) == ("", "2023-01-01", "2024-03-01")
    for wrong in (["yesterday"], [True], ["2024-02-30"]):
        for add in (
            lambda wrong: register.add("stolen", [1], status=B, until=wrong),
            lambda wrong: register.block("pairs", [1], [HOME], until=wrong),
        ):
            with pytest.raises(ValueError, match="until: expected a date"):
                add(wrong)
    for add in (
        lambda some: register.add("stolen", [1], status=B, until=some),
        lambda some: register.lock("pairs", [1], [HOME], until=some),
    ):
        with pytest.raises(ValueError, match="until: expected 1, one for each IMEI, got 2"):
            add([None, None])
        with pytest.raises(TypeError, match="until: expected a list of them, got one str"):
            add("20240101")
        for day in (datetime.date(2024, 1, 1), np.datetime64("2024-01-01"), 20240101):
            with pytest.raises(TypeError, match="until: expected a list, one for each IMEI, got one "):
                add(day)
        with pytest.raises(
            TypeError, match="until: expected a column whose rows are in the order of the others"
        ):
            add({datetime.date(2024, 1, 1)})


COLUMN = st.dictionaries(st.integers(0, 9), st.sampled_from(["", "2024-01-31", "2025-01-31"]), max_size=8)


def members(texts):
    imeis, values = ImeiSet.from_keys(np.array(sorted(texts), np.uint64)), sorted({"", *texts.values()})
    return imeis, (None, None, Column.of(values, [values.index(texts[key]) for key in sorted(texts)]))


@given(COLUMN, st.lists(st.tuples(COLUMN, st.sets(st.integers(0, 9), max_size=4)), max_size=4), st.booleans())
def test_what_is_said_later_counts_in_changes(before, changes, often):
    """A change may let go earlier than what it changes did."""
    found, twin = LayeredSet(*members(before)), dict(before)
    for add, remove in changes:
        imeis, columns = members(add)
        found = found.changed_by(imeis, ImeiSet.from_keys(np.array(sorted(remove), np.uint64)), columns)
        twin = {key: text for key, text in twin.items() if key not in remove} | add
        found = found.flattened() if often else found
        assert {key: found.details(key)[2] for key in twin} == twin
    flat, (imeis, columns) = found.flattened(), members(twin)
    assert flat.base == imeis
    assert (flat.columns[2] and flat.columns[2].values) == (columns[2] and columns[2].values)


NUMBERED = st.lists(
    st.tuples(
        st.tuples(st.integers(0, 4), st.integers(10**6, 10**6 + 2)), st.sampled_from([NO_DAY, -1, 0, 20_000])
    ),
    max_size=8,
)


def arrays(rows):
    keys, imsis = (np.array([pair[side] for pair, _ in rows], np.uint64) for side in (0, 1))
    return keys, imsis, np.array([day for _, day in rows], np.int32)


def last_days(rows):
    return {
        pair: NO_DAY if day is None else day
        for pair, day in longest((p, None if d == NO_DAY else d) for p, d in rows).items()
    }


@given(NUMBERED, st.lists(st.tuples(NUMBERED, NUMBERED, st.booleans()), max_size=4), st.booleans())
def test_pairs_that_changed_keep_their_untils(before, changes, often):
    found, twin = LayeredPairs(Pairs.of(*arrays(before))), last_days(before)
    for add, remove, said in changes:
        *pairs, days = arrays(add)
        found = found.changed_by(tuple(pairs), arrays(remove)[:2], days if said else None)
        new = last_days(add) if said else dict.fromkeys((pair for pair, _ in add), NO_DAY)
        twin = {pair: day for pair, day in twin.items() if pair not in dict(remove)} | new
        found = found.flattened() if often else found
        every = list(itertools.product(range(5), range(10**6, 10**6 + 3)))
        keys, imsis, _ = arrays([(pair, 0) for pair in every])
        assert found.until_days(keys, imsis).tolist() == [twin.get(pair, NO_DAY) for pair in every]
        of = found.of_imeis(np.arange(5, dtype=np.uint64))
        assert sorted(zip(*(side.tolist() for side in of), strict=True)) == sorted(twin)
    flat, anew = found.flattened().base, Pairs.of(*arrays(list(twin.items())))
    assert flat.is_sound()
    for got, expected in zip((*flat.arrays[1:], *flat.untils), (*anew.arrays[1:], *anew.untils), strict=True):
        assert (got.dtype, got.tolist()) == (expected.dtype, expected.tolist())


# ---- blocked pairs


def test_a_blocked_pair():
    register = Register()
    register.add("ours", [LISTED], status=W)
    register.exempt("paired", [LISTED, LISTED], [HOME, AWAY])
    register.block("grey", [LISTED], [AWAY], status=G)
    register.block("clones", [LISTED, OTHER], [HOME, HOME], reason="copied")
    answers = [register.check(LISTED, imsi) for imsi in (HOME, AWAY, "00101123", None)]
    assert [(v.status, v.list, v.rule) for v in answers] == [
        (B, "clones", "block"),
        (G, "grey", "block"),
        (W, "ours", "exact"),
        (W, "ours", "exact"),
    ]
    assert answers[0].reasons == ("copied",)
    statuses, lists = register.check_many([LISTED] * 4, [HOME, AWAY, "00101123", None], lists=True)
    assert (statuses.tolist(), lists.tolist()) == ([B, G, W, W], [3, 2, 0, 0])
    assert [claim.rule for claim in register.explain(LISTED, HOME)] == ["block", "pair", "exact"]
    rules = register.check_many([LISTED] * 2, [HOME, None], details=True)["rule"]
    assert list(rules) == ["block", "exact"]
    register.block("black", [LISTED], [AWAY])  # before grey, though it came later
    assert register.check(LISTED, AWAY).list == "black"


# ---- digests


def twin_digest(one):
    """As the docstring of `List.digest` says, of a flat list."""

    def hexadecimal(rule):
        part = getattr(one, rule)
        return oracle.digest(
            [run for pair in part.base.runs() for run in zip(*(side.tolist() for side in pair), strict=True)]
            if part
            else [],
            [],
        )

    columns = one.exact.columns if one.exact else (None, None, None)
    pairs = one.pairs.base if one.pairs else None
    paired = pairs.imeis.to_numpy().tolist() if pairs else ()
    text = json.dumps(
        {
            "name": one.name, "status": int(one.status), "kind": one.kind, "reason": one.reason,
            "owner": one.owner,
            "exact": hexadecimal("exact"), "range": hexadecimal("range"), "tac": hexadecimal("tac"),
            "details": [list(column.values) if column else [] for column in columns],
            "irregular": sorted(text.decode() for text in one.irregular),
            "prefixes": sorted(str(prefix)[1:] for prefix in one.prefixes),
            "pairs": oracle.digest(oracle.Members(paired).runs(), []),
            "pair_count": len(pairs) if pairs else 0,
            "until_count": len(pairs.untils.keys) if pairs else 0,
        },
        ensure_ascii=False, sort_keys=True, separators=(",", ":"),
    ).encode()  # fmt: skip
    hashed = len(text).to_bytes(8, "little") + text
    for column in columns:
        for code in column.codes.tolist() if column else ():
            hashed += code.to_bytes(4, "little")
    starts = pairs.starts.tolist() if pairs else [0]
    for number in starts:
        hashed += number.to_bytes(4, "little")
    for number in pairs.imsis.tolist() if pairs else ():
        hashed += number.to_bytes(8, "little")
    for array, size in zip(pairs.untils, (8, 8, 4), strict=True) if pairs else ():
        for number in array.tolist():
            hashed += number.to_bytes(size, "little", signed=size == 4)
    return hashlib.sha256(hashed).digest()


def test_digests_are_those_of_their_grammar():
    register = sample()
    register.add("stolen", ImeiSet(["DEAD", "12#"], irregular="keep"), status=B)
    register.add_ranges("stolen", [10, 30], [20, 10**6 - 1], status=B)
    register.add_tacs("stolen", ["35693803"], status=B)
    for one in register.lists:
        assert one.digest() == twin_digest(one)
    assert len({one.digest() for one in register.lists}) == len(register.lists)


def test_a_digest_is_of_everything():
    one = sample().lists[0]
    keys = np.array([5], np.uint64)
    exact = one.exact
    others = [
        replace(one, name="x"),
        replace(one, status=G),
        replace(one, owner="op-b"),
        replace(one, owner=""),
        replace(one, reason=""),
        replace(one, exact=None),
        replace(one, exact=exact.changed_by(ImeiSet.from_keys(keys), ImeiSet())),
        *(
            replace(
                one,
                exact=LayeredSet(
                    exact.base,
                    tuple(None if side == n else column for side, column in enumerate(exact.columns)),
                ),
            )
            for n in range(3)
        ),
        replace(one, exact=None, range=LayeredSet(exact.base)),
        replace(one, exact=None, tac=LayeredSet(exact.base)),
        replace(one, irregular=frozenset([b"DEAD"])),
        replace(one, kind="imsis"),
        replace(one, prefixes=frozenset([1262])),
        *(
            replace(one, pairs=LayeredPairs.of(np.array([5], np.uint64), np.array([imsi], np.uint64), days))
            for imsi in (1234567, 1234568)
            for days in (None, np.array([5], np.int32), np.array([6], np.int32))
        ),
    ]
    assert len({one.digest() for one in [one, *others]}) == 1 + len(others)


@given(
    COLUMN,
    st.lists(st.tuples(COLUMN, st.sets(st.integers(0, 9), max_size=4)), max_size=4),
    NUMBERED,
    NUMBERED,
)
def test_equal_lists_have_equal_digests(before, changes, pairs, more):
    """However they were made: from changes, of one piece, from a file, of several."""
    one = replace(
        Register().lists or sample().lists[2],
        exact=LayeredSet(*members(before)),
        pairs=LayeredPairs(Pairs.of(*arrays(pairs))),
    )
    twin, days = dict(before), last_days(pairs)
    for add, remove in changes:
        imeis, columns = members(add)
        exact = one.exact.changed_by(imeis, ImeiSet.from_keys(np.array(sorted(remove), np.uint64)), columns)
        one = replace(one, exact=exact)
        twin = {key: text for key, text in twin.items() if key not in remove} | add
    *new, last = arrays(more)
    one = replace(one, pairs=one.pairs.changed_by(tuple(new), arrays([])[:2], last))
    days |= last_days(more)
    anew = replace(
        one, exact=LayeredSet(*members(twin)), pairs=LayeredPairs(Pairs.of(*arrays(list(days.items()))))
    )
    assert one.digest() == one.flattened().digest() == anew.digest()


SAID = st.tuples(st.sampled_from([None, "lost", "lost|found"]), DAYS, DAYS)
PAIR = st.tuples(st.integers(0, 3), st.sampled_from([HOME, AWAY]))


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 6)), st.sets(st.integers(0, 6)), SAID, st.booleans()), max_size=5
    ),
    st.lists(st.tuples(st.sets(PAIR), st.sets(PAIR), DAYS), max_size=5),
)
def test_a_store_that_changed_has_the_digests_of_a_register_made_anew(tmp_path_factory, changes, pairs):
    """Applied one by one, together, compacted, opened: what is said later counts."""
    folder = tmp_path_factory.mktemp("store") / "eir"
    register = Register()
    register.add("stolen", [], status=B, owner="op-a")
    register.block("clones", [], [], owner="op-a")
    listed, paired, deltas = {}, {}, []
    for add, remove, (reason, date, until), _ in changes:
        until = until and max(until, date or until)
        deltas.append(
            Delta("stolen", sorted(add), sorted(remove), reason=reason, date=date, until=until, by="op-a")
        )
        listed = {key: said for key, said in listed.items() if key not in remove} | dict.fromkeys(
            add, (reason, date, until)
        )
    for add, remove, until in pairs:
        columns = [tuple([pair[side] for pair in sorted(some)] for side in (0, 1)) for some in (add, remove)]
        deltas.append(Delta("clones", *columns, until=until, by="op-a"))
        paired = {pair: day for pair, day in paired.items() if pair not in remove} | dict.fromkeys(add, until)
    with Store.create(folder, register) as store:
        half = len(deltas) // 2
        for delta in deltas[:half]:
            store.apply(delta)
        if changes and changes[0][3]:
            store.compact()
        store.apply(*deltas[half:])
        columns = zip(*listed.values(), strict=True) if listed else ((), (), ())
        reasons, dates, days = map(list, columns)
        register.add("stolen", list(listed), status=B, reasons=reasons, dates=dates, until=days)
        register.block("clones", *([pair[side] for pair in paired] for side in (0, 1)), until=paired.values())
        assert (facts(store), untils(store)) == (facts(register), untils(register))
        store.compact()
        assert facts(store) == facts(register)
    assert facts(Store.verify(folder)) == facts(register)


# ---- files


def test_golden_files(tmp_path):
    """Of a release that was: only read."""
    expected = facts(sample()), untils(sample())
    for mode, name in itertools.product(("mmap", "memory"), ("register-4", "deciders-4", "told-4")):
        for opened in (Register.open, Register.verify):
            one = opened(GOLDEN / f"{name}.imei", mode=mode)
            assert (facts(one), untils(one)) == expected
    sample().save(tmp_path / "register.imei")
    assert (tmp_path / "register.imei").read_bytes() == (GOLDEN / "told-4.imei").read_bytes()
    Register.open(GOLDEN / "register-4.imei").save(tmp_path / "register.imei")  # of before, without
    assert (tmp_path / "register.imei").read_bytes() == (GOLDEN / "register-4.imei").read_bytes()
    one = pickle.loads((GOLDEN / "register-4.pickle").read_bytes())
    assert (facts(one), untils(one)) == expected


def test_layout_4_is_written_where_it_is_needed(tmp_path):
    makers = {
        "owner": lambda one: one.add("x", [1], status=B, owner="op-a"),
        "until": lambda one: one.add("x", [1], status=B, until=["20240101"]),
        "until of a pair": lambda one: one.exempt("x", [1], [HOME], until=["20240101"]),
        "block": lambda one: one.block("x", [1], [HOME]),
        "no pair": lambda one: one.block("x", [], []),
    }
    plain = {
        "date": lambda one: one.add("x", [1], status=B, dates=["20240101"], until=[None], owner=""),
        "pair": lambda one: one.lock("x", [1], [HOME], until=[None]),
    }
    for layout, some in ((4, makers), (3, plain)):
        for make in some.values():
            register = Register()
            make(register)
            register.save(tmp_path / "r.imei")
            assert about(tmp_path / "r.imei")["layout"] == layout
            Register.verify(tmp_path / "r.imei")


def test_an_until_that_is_gone_is_gone_from_the_file(tmp_path):
    register = Register()
    register.add("stolen", [LISTED], status=B, until=["20240101"])
    register.lock("leased", [LISTED], [HOME], until=["20240101"])
    with Store.create(tmp_path / "store", register) as store:
        for generation, change in (
            (2, Delta("stolen", remove=[LISTED])),
            (3, Delta("leased", add=([LISTED], [HOME]))),  # anew, without
        ):
            store.apply(change)
            store.compact()
            base = tmp_path / "store" / f"base-{generation:08}.imei"
            assert about(base)["layout"] == (3 if generation == 3 else 4)
            Register.verify(base)


def test_other_layouts(path):
    parts = sections(path)
    for layout, error, remedy in (
        (2, SnapshotVersion, "register layout 3 or 4, got 2: build it anew"),
        (3, SnapshotBounds, "layout: expected 4"),
        (5, SnapshotVersion, "register layout 3 or 4, got 5: update imeiset"),
    ):
        rewritten(path, {**parts, "register": json.dumps(about(path) | {"layout": layout}).encode()})
        for opened in (Register.open, Register.verify):
            with pytest.raises(error, match=remedy):
                opened(path)
        rewritten(path, parts)
    plain = path.with_name("plain.imei")
    Register().save(plain)
    rewritten(plain, {**sections(plain), "register": json.dumps(about(plain) | {"layout": 4}).encode()})
    with pytest.raises(SnapshotBounds, match="layout: expected 3"):
        Register.open(plain)


def test_descriptions_that_lie(path):
    parts, good = sections(path), about(path)
    place = {one["name"]: number for number, one in enumerate(good["lists"])}
    lies = [
        ("stolen", {"owner": value}) for value in (None, 5, [], "x" * 101, "a\n")
    ] + [
        ("stolen", {"u": value}) for value in (None, 5, "x", [5], [None], ["2024-02-29"] * 300)
    ] + [
        ("clones", {"untils": value}) for value in (2, -1, 10**30, "1", [1], 0.5)
    ] + [
        ("clones", {"kind": value}) for value in (None, "blocks", [])
    ]  # fmt: skip
    for name, change in lies:
        lists = [dict(one) for one in good["lists"]]
        lists[place[name]] |= change
        rewritten(path, {**parts, "register": json.dumps(good | {"lists": lists}).encode()})
        with pytest.raises(SnapshotError):
            Register.open(path)


def test_sections_that_lie(path):
    """Whatever is in them, no crash and no other verdict by check_many; and verify finds it."""
    parts, expected = sections(path), facts(Register.open(path))
    keys = [int(text[:14]) for text in (LISTED, OTHER, THIRD)] + [5]
    numbers = np.array([int(f"1{HOME}"), int(f"1{AWAY}")] * 2, np.uint64)
    statuses = Register.open(path).check_many(keys, [HOME] * 4).tolist()
    ours = [name for name in parts if name.endswith(("u", "uk", "um", "ud"))]
    assert len(ours) == 2 + 3 * 3
    for name in ours:
        data = parts[name]
        junks = {
            b"\xff" * len(data),
            bytes(len(data)),
            data[::-1],
            data[: len(data) // 2],
            data + data,
            b"",
            data[:-1],
        }
        if name.endswith("ud"):
            junks |= {
                number.to_bytes(4, "little", signed=True)
                for number in (NO_DAY, 2**31 - 1, 2_932_897, -719_163)
            }
        for junk in junks - {data}:
            rewritten(path, {**parts, name: junk})
            with contextlib.suppress(SnapshotError):
                register = Register.open(path)
                assert register.check_many(keys, [HOME] * 4).tolist() == statuses
                for one in register.lists:
                    with contextlib.suppress(SnapshotError):
                        one.digest()
                    if one.pairs is not None:
                        one.pairs.until_days(np.array(keys, np.uint64), numbers)
                        one.pairs.changed_by(
                            (np.array(keys, np.uint64), numbers), (np.array(keys[:1], np.uint64), numbers[:1])
                        ).flattened()
                for key in keys:
                    with contextlib.suppress(SnapshotError):
                        register.check(key, HOME)
                        register.explain(key, HOME)
            with contextlib.suppress(SnapshotError):
                verified = Register.verify(path)
                assert [fact[:-1] for fact in facts(verified)] == [fact[:-1] for fact in expected]
                assert name.endswith(("u", "ud"))  # another day is as good
                assert len(junk) == len(data)
        rewritten(path, {other: part for other, part in parts.items() if other != name})
        with pytest.raises(SnapshotError):
            Register.open(path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("uk", lambda array: array[::-1]),
        ("um", lambda array: array[::-1]),
        ("um", lambda array: array + 1),
        ("uk", lambda array: array + 1),
        ("ud", lambda array: array * 0 + NO_DAY),
        ("ud", lambda array: array * 0 + 2_932_897),
    ],
)
def test_untils_of_other_pairs_are_found(tmp_path, name, change):
    register, path = Register(), tmp_path / "r.imei"
    register.block(
        "x", [1, 1, 2, 3], [HOME, AWAY, "00101123", HOME], until=["20240101", "20240102", "20240103", None]
    )
    register.save(path)
    parts = sections(path)
    [section] = [found for found in parts if found.endswith(name)]
    array = np.frombuffer(parts[section], "<i4" if name == "ud" else "<u8")
    rewritten(path, {**parts, section: change(array).astype(array.dtype).tobytes()})
    with pytest.raises(SnapshotBounds, match="pairs in order in list 'x'"):
        Register.verify(path)


@pytest.mark.parametrize("text", ["x", "20240229", "2024-02-30"])
def test_an_until_that_is_no_date_is_found(tmp_path, text):
    register, path = Register(), tmp_path / "r.imei"
    register.add("x", [LISTED], status=B, until=["20240101"])
    register.save(path)
    good = about(path)
    good["lists"][0]["u"] = [text]
    rewritten(path, {**sections(path), "register": json.dumps(good).encode()})
    if text != "20240229":  # which is a date all the same
        for ask in (Register.entries, lambda opened: opened.explain(LISTED)):
            with pytest.raises(SnapshotBounds, match="dates"):
                list(ask(Register.open(path)))
    with pytest.raises(SnapshotBounds, match="dates in list 'x'"):
        Register.verify(path)


@pytest.mark.parametrize(
    ("kind", "status", "holds"),
    [("block", 1, "exact"), ("imsis", 1, "exact"), ("imeis", 1, "pairs"), ("exempt", 1, "pairs")],
)
def test_a_list_that_its_kind_cannot_be_is_refused(tmp_path, kind, status, holds):
    """It would be asked by a rule, and answer by the word of another."""
    register, path = Register(), tmp_path / "r.imei"
    if holds == "exact":
        register.add("x", [LISTED], status=B, owner="op-a")
    else:
        register.lock("x", [LISTED], [HOME], owner="op-a")
    register.save(path)
    good = about(path)
    good["lists"][0] |= {"kind": kind, "status": status}
    rewritten(path, {**sections(path), "register": json.dumps(good).encode()})
    with pytest.raises(SnapshotBounds):
        Register.open(path)


@pytest.mark.parametrize("day", [FIRST_DAY - 1, LAST_DAY + 1])
def test_a_day_of_no_calendar_is_no_answer(tmp_path, day):
    register, path = Register(), tmp_path / "r.imei"
    register.block("x", [LISTED], [HOME], until=["20240101"])
    register.save(path)
    parts = sections(path)
    [section] = [found for found in parts if found.endswith("ud")]
    rewritten(path, {**parts, section: np.array([day], "<i4").tobytes()})
    opened = Register.open(path)
    assert opened.check(LISTED, HOME).list == "x"
    for ask in (
        lambda: opened.explain(LISTED, HOME),
        lambda: opened.check_many([LISTED], [HOME], details=True),
        lambda: list(opened.entries()),
    ):
        with pytest.raises(SnapshotBounds, match="untils of pairs"):
            ask()


def test_an_irregular_identity_of_other_letters_is_refused(tmp_path):
    register, path = Register(), tmp_path / "r.imei"
    register.add("x", ImeiSet(["DEAD*"], irregular="keep"), status=B, owner="op-a")
    register.save(path)
    rewritten(path, {**sections(path), "x0": "DÉAD*".encode()})
    with pytest.raises(SnapshotBounds):
        Register.open(path)
