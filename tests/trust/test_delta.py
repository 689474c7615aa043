"""The file of what an edition changes: read as it was written, small, and refused where it is wrong."""

import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from register.holding import registers

from imeiset import EquipmentStatus, ImeiSet, Register, snapshot
from imeiset.errors import SnapshotMissing, TrustRefused
from imeiset.register.dumps import dump
from imeiset.store.net import net_changes
from imeiset.trust import delta, rows
from imeiset.trust.delta import NoDelta, lists_after, moved

W, B, G, _ = EquipmentStatus
GOLDEN = Path(__file__).parent.parent / "golden" / "delta-1.imei"
LISTED, OTHER, THIRD = 49015420323751, 35693803564380, 35209900176148
HOME, AWAY = "234150999999999", "262011234567890"


def nobodys(register):
    """The lists as they are published."""
    return tuple(replace(one, owner="") for one in register.lists)


def digests(lists):
    return {one.name: one.digest() for one in lists}


def old():
    """Of every kind of list one, and of all that a list may hold something."""
    made = Register()
    made.add("stolen", [LISTED, OTHER], status=B, reasons=["theft", None], dates=["2024-02-29", None])
    made.add_ranges("stolen", [100, 5000], [300, 6000], status=B)
    made.add_tacs("stolen", ["49015420"], status=B)
    made.add("odd", ImeiSet([LISTED, "62#222222222222", "00*1"], irregular="keep"), status=G)
    made.block("clones", [LISTED], [HOME], until=["2030-01-01"])
    made.exempt("testers", [LISTED, OTHER], [HOME, AWAY])
    made.lock("tied", [OTHER], [HOME])
    made.add_imsis("guests", ["26299", "001"], status=G)
    made.add_imsis("friends", ["310"], status=W)
    made.add("gone", [THIRD], status=B)
    made.add("white", [THIRD], status=W)
    return made.lists


def new():
    made = Register()
    made.add(
        "stolen",
        [LISTED, THIRD, 1, 2, 3],
        status=B,
        reasons=["lost", "theft", None, "theft|lost", "theft"],
        dates=["2024-02-29", "2024-03-01", None, "2024-02-29", "2024-03-01"],
        until=["2025-01-01", None, None, "2030-01-01", None],
    )
    made.add_ranges("stolen", [200, 5000], [400, 6000], status=B)
    made.add_tacs("stolen", ["49015421", "49015422"], status=B)
    made.add("odd", ImeiSet([LISTED, "62#222222222222", "DEAD*BEEF"], irregular="keep"), status=G)
    made.block("clones", [LISTED, THIRD], [HOME, AWAY], until=[None, "2031-01-01"])
    made.exempt("testers", [LISTED, OTHER], [HOME, HOME])
    made.lock("tied", [OTHER, OTHER], [HOME, AWAY], until=["2030-01-01", "2030-01-01"])
    made.add_imsis("guests", ["26299", "310"], status=G)
    made.add_imsis("friends", ["001"], status=W)
    made.add("fresh", [LISTED], status=B)
    made.add("empty", [], status=B)
    made.add("white", [THIRD, OTHER], status=G, reason="odd")  # another status: it goes, and comes last
    return made.lists


@pytest.fixture
def path(tmp_path):
    return tmp_path / "delta.imei"


# ---- what it says ----


def test_it_leads_from_one_state_to_the_other(path):
    before, after = old(), new()
    delta.write(path, before, after)
    changes = delta.read(path)
    made = lists_after(before, changes)
    assert digests(made) == digests(after)
    assert [one.name for one in made] == [one.name for one in after]
    assert moved(changes, before) == {
        "gone": (0, 1),
        "white": (2, 1),
        "stolen": (5 + 100 + 2_000_000, 1 + 100 + 1_000_000),
        "odd": (1, 1),
        "clones": (2, 0),
        "testers": (1, 1),
        "tied": (2, 0),
        "guests": (1, 1),
        "friends": (1, 1),
        "fresh": (1, 0),
        "empty": (0, 0),
    }
    assert [change.about["rule"] for change in changes][:2] == ["list", "list"]  # what goes, goes first


NAMES = st.sampled_from(["black", "grey", "pairs", "guests", "more"])


@settings(max_examples=300, deadline=None)
@given(registers(NAMES), registers(NAMES))
def test_any_state_leads_to_any_other(tmp_path_factory, one, other):
    path = tmp_path_factory.mktemp("delta") / "delta.imei"
    before, after = nobodys(one), nobodys(other)
    stay = [was for was in before if any(same(was, now) for now in after)]
    kept = {was.name for was in stay}
    after = [next(now for now in after if now.name == was.name) for was in stay] + [
        now for now in after if now.name not in kept
    ]
    delta.write(path, before, after)
    changes = delta.read(path)
    assert digests(lists_after(before, changes)) == digests(after)
    written = path.read_bytes()
    delta.write(path, [was.flattened() for was in before], list(lists_after(before, changes)))
    assert path.read_bytes() == written  # however the states came about


def same(was, now):
    facts = "name", "status", "kind", "reason"
    return all(getattr(was, fact) == getattr(now, fact) for fact in facts)


def test_the_same_state_changes_nothing(path):
    delta.write(path, old(), old())
    assert delta.read(path) == ()


def test_another_order_of_lists_is_not_told(path):
    for lists in ([*old()[::-1]], [*old()[1:], old()[0]], [*new()[-1:], *old()]):
        with pytest.raises(NoDelta, match="publish a base"):
            delta.write(path, old(), lists)
    assert not path.exists()


def test_too_much_is_not_told(path):
    after = [replace(one, name="again") for one in new() if one.name == "stolen"]
    with (
        mock.patch.object(delta, "MAX_ROWS", 4),
        pytest.raises(NoDelta, match="more than 4 rows have changed"),
    ):
        delta.write(path, (), after)
    with (
        mock.patch.object(delta, "MAX_GROUPS", 3),
        pytest.raises(NoDelta, match="more than 3 reasons and dates"),
    ):
        delta.write(path, (), after)
    with mock.patch.object(delta, "MAX_GROUPS", 4):
        delta.write(path, (), after)
    with mock.patch.object(delta, "MAX_GROUPS", 3):
        assert "more than 3 groups" in refused(path)
    with mock.patch.object(delta, "MAX_ROWS", 4):
        assert "more than 4 rows" in refused(path)


def test_the_golden_file(path):
    """It is read for ever, and written the same."""
    before, after = old(), new()
    delta.write(path, before, after)
    assert path.read_bytes() == GOLDEN.read_bytes()
    assert digests(lists_after(before, delta.read(GOLDEN))) == digests(after)


def test_net_changes_of_many_are_told_in_lots():
    """Where spans of TACs and lots end, nothing is lost, whatever is said of the phones."""
    rng = np.random.default_rng(5)
    keys = np.unique(rng.integers(0, 2 * 10**9, 30_000).astype(np.uint64))
    was, now = Register(), Register()
    for register, some in ((was, keys[keys % 7 > 0]), (now, keys[keys % 5 > 0])):
        reasons = [("a", "b", None)[int(key) % (3 if register is was else 4) % 3] for key in some]
        register.add("stolen", some, status=B, reasons=reasons, dates=["2024-02-29"] * len(some))
    with mock.patch("imeiset.index._SPAN", 1000), mock.patch("imeiset.store.net._ROWS", 500):
        changes = list(net_changes(was.lists, now.lists))
    assert digests(lists_after(was.lists, changes)) == digests(now.lists)
    told = Counter(
        key for change in changes for side in (*change.add, *change.remove) for key in side.tolist()
    )
    reason = [
        {key: one.details(key)[0] for key in one.base.to_numpy().tolist()}
        for one in (was.lists[0].exact, now.lists[0].exact)
    ]
    assert {*told.values()} == {1}
    assert {*told} == {key for key in keys.tolist() if reason[0].get(key, 0) != reason[1].get(key, 0)}


def test_a_day_is_small(path):
    """90,000 added and 10,000 removed of what may be 100 million: less than 4 bytes each."""
    rng = np.random.default_rng(6)
    tacs = rng.integers(0, 10**8, 60_000).astype(np.uint64)
    keys = np.unique(
        np.repeat(tacs * np.uint64(10**6), 2) + rng.integers(0, 10**6, 120_000).astype(np.uint64)
    )
    was, now = Register(), Register()
    was.add("stolen", ImeiSet.from_keys(keys[90_000:]), status=B)
    now.add("stolen", ImeiSet.from_keys(np.delete(keys, slice(90_000, 100_000))), status=B, reasons=None)
    delta.write(path, was.lists, now.lists)
    assert path.stat().st_size < 400_000
    assert moved(delta.read(path), was.lists) == {"stolen": (90_000, 10_000)}


@pytest.mark.long
def test_a_million_rows_with_details_take_little_memory(path):
    rng = np.random.default_rng(7)
    keys = np.unique(rng.integers(0, 10**14, 1_000_000).astype(np.uint64))
    now = Register()
    dates = np.datetime64("2000-01-01") + rng.integers(0, 3000, len(keys))
    reasons = [f"reason {n}" for n in rng.integers(0, 20, len(keys))]
    now.add("stolen", keys, status=B, reasons=reasons, dates=dates)
    was = Register()
    was.add("stolen", [], status=B)
    tracemalloc.start()
    try:
        delta.write(path, was.lists, now.lists)
        written = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        changes = delta.read(path)
        read = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert len(changes) == 60_000
    assert path.stat().st_size < 12e6
    assert max(written, read) < 300e6
    assert digests(lists_after(was.lists, changes)) == digests(now.lists)


# ---- hostile files ----


def refused(path):
    with pytest.raises(TrustRefused) as caught:
        delta.read(path, "targets/delta-00000002.imei")
    assert str(caught.value).startswith("targets/delta-00000002.imei: expected ")
    return caught.value.got


def told(**lists):
    """The description and the sections of lists, by name: (what is said beside name and kind, sections)."""
    described, sections = [], []
    for number, (name, (about, parts)) in enumerate(lists.items()):
        described.append({"name": name, "kind": "imeis", **about})
        sections += [
            (
                f"{number}{part}",
                rows.encoded([np.array(numbers, np.uint64)]) if isinstance(numbers, list) else numbers,
            )
            for part, numbers in parts.items()
        ]
    return [("delta", dump({"delta": 1, "lists": described})), *sections]


def put(path, sections, count=0):
    snapshot.write(path, "delta", sections, count=count)
    return path


GROUP = [1, 0, 0, 0]  # of one key without details


def test_what_the_next_tests_write_is_a_delta(path):
    put(path, told(black=({}, {"+exact": [*GROUP, 5], "-exact": [7, 1]})), 3)
    add, remove = delta.read(path)[::-1]
    assert (add.add[0].tolist(), remove.remove[0].tolist()) == ([5], [7, 8])


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        # rows that are wrong
        (
            told(black=({}, {"+exact": [*GROUP, 5], "-exact": [5]})),
            "come twice, or are both added and removed",
        ),
        (told(black=({}, {"-exact": [5, 0]})), "a key that comes twice, or is too large"),
        (told(black=({}, {"-exact": [10**14]})), "numbers beyond those of IMEIs"),
        (told(black=({}, {"-exact": [10**14 - 1, 1]})), "numbers that are not keys of IMEIs"),
        (told(black=({}, {"-exact": [10**14 - 1] * 200_000})), "a key that comes twice, or is too large"),
        (told(black=({}, {"-exact": b""})), "0 rows at once"),
        (told(black=({}, {"+exact": b""})), "no changes"),
        (told(black=({}, {"-exact": b"\x80"})), "a number that is cut off"),
        (told(black=({}, {"-exact": b"\x85\x00"})), "a number that is too long"),
        (told(black=({}, {"-exact": b"\x81" * 8 + b"\x01"})), "a number that is too long"),
        (told(black=({}, {"+exact": [*GROUP]})), "1 numbers, of which 0 are there"),
        (told(black=({}, {"+exact": [0, 0, 0, 0]})), "0 rows at once"),
        (told(black=({}, {"+exact": [1 << 55, 0, 0, 0, 5]})), "rows at once"),
        (told(black=({}, {"+exact": [*GROUP, 5, 1, 0, 0]})), "4 numbers, of which 3 are there"),
        (told(black=({}, {"+exact": [*GROUP, 5, *GROUP, 6]})), "groups that are not in order"),
        (
            told(black=({"r": ["a", "b"]}, {"+exact": [1, 2, 0, 0, 5, 1, 1, 0, 0, 6]})),
            "groups that are not in order",
        ),
        (told(black=({"r": ["a"]}, {"+exact": [*GROUP, 5, 1, 1, 0, 0, 5]})), "come twice"),
        # texts
        (told(black=({"r": ["a"]}, {"+exact": [*GROUP, 5]})), "texts that no row has"),
        (told(black=({"d": ["2024-02-29"]}, {"-exact": [5]})), "texts that no row has"),
        (told(black=({}, {"+exact": [1, 1, 0, 0, 5]})), "list index out of range"),
        (told(black=({"r": ["b", "a"]}, {"+exact": [1, 1, 0, 0, 5]})), "texts that are not in order"),
        (told(black=({"r": ["b|a"]}, {"+exact": [1, 1, 0, 0, 5]})), "reasons or dates in another form"),
        (told(black=({"r": [" a"]}, {"+exact": [1, 1, 0, 0, 5]})), "reasons or dates in another form"),
        (told(black=({"r": [5]}, {"+exact": [1, 1, 0, 0, 5]})), ""),
        (told(black=({"r": "a"}, {"+exact": [1, 1, 0, 0, 5]})), "texts that are not in order"),
        (told(black=({"d": ["20240229"]}, {"+exact": [1, 0, 1, 0, 5]})), "reasons or dates in another form"),
        (
            told(black=({"d": ["2023-02-29"]}, {"+exact": [1, 0, 1, 0, 5]})),
            "reasons or dates in another form",
        ),
        (
            told(black=({"d": ["2024-02-29"], "u": ["2024-02-28"]}, {"+exact": [1, 0, 1, 1, 5]})),
            "until '2024-02-28' of rule 'exact'",
        ),
        # ranges and TACs
        (told(black=({}, {"+range": [5, 0, 0, 0]})), "runs that touch, or are too long"),
        (told(black=({}, {"+range": [5, 0, 3]})), "1 numbers after the last row"),
        (told(black=({}, {"+range": [5, 10**14 - 1]})), "numbers that are not keys of IMEIs"),
        (told(black=({}, {"+range": [5, 10**14 - 1] * 200_000})), "runs that touch, or are too long"),
        (
            told(black=({}, {"+range": [5, 10], "-range": [15, 3]})),
            "come twice, or are both added and removed",
        ),
        (told(black=({}, {"+tac": [0, 10**6 - 2]})), "parts of a TAC"),
        (told(black=({}, {"-tac": [1, 10**6 - 1]})), "parts of a TAC"),
        # pairs
        (told(two=({"kind": "lock"}, {"-pair": [5, 1234567, 0, 1234567]})), "pairs that are not in order"),
        (told(two=({"kind": "lock"}, {"-pair": [5, 1234567, 0, 1234566]})), "pairs that are not in order"),
        (told(two=({"kind": "lock"}, {"-pair": [5, 12]})), "pairs with numbers that are not IMSIs"),
        (told(two=({"kind": "lock"}, {"-pair": [5, 2 * 10**15]})), "pairs with numbers that are not IMSIs"),
        (told(two=({"kind": "lock"}, {"-pair": [5, 1234567, 0]})), "1 numbers after the last row"),
        (
            told(two=({"kind": "lock"}, {"-pair": [5, 1234567], "+pair": [1, 0, 5, 1234567]})),
            "come twice, or are both added and removed",
        ),
        # texts of other rules
        (told(black=({}, {"+irreg": b"62#2\n62#2"})), "texts that are not in order"),
        (told(black=({}, {"+irreg": b"62#2\n00*1"})), "texts that are not in order"),
        (told(black=({}, {"+irreg": b""})), "not an array of such texts"),
        (told(black=({}, {"+irreg": b"490154203237518"})), "not an array of such texts"),
        (told(black=({}, {"+irreg": "é".encode()})), "ascii"),
        (
            told(black=({}, {"+irreg": b"62#2", "-irreg": b"62#2"})),
            "come twice, or are both added and removed",
        ),
        (told(some=({"kind": "imsis"}, {"+imsi": b"26a"})), "not an array of such texts"),
        (told(some=({"kind": "imsis"}, {"+imsi": b"1" * 16})), "not an array of such texts"),
        (
            told(some=({"kind": "imsis"}, {"+imsi": b"262"}), more=({"kind": "imsis"}, {"+imsi": b"262"})),
            "an IMSI prefix on two lists",
        ),
        # rules that a kind lacks, and sections that no list has
        (told(black=({}, {"+pair": [1, 0, 5, 1234567]})), "no changes"),
        (told(black=({}, {"-exact": [5], "-pair": [5, 1234567]})), "sections of no list: 0-pair"),
        (told(some=({"kind": "imsis"}, {"+imsi": b"262", "-exact": [5]})), "sections of no list: 0-exact"),
        ([*told(black=({}, {"-exact": [5]})), ("1-exact", b"\5")], "sections of no list: 1-exact"),
        ([*told(black=({}, {"-exact": [5]})), ("0*exact", b"\5")], "sections of no list: 0*exact"),
        ([*told(black=({}, {"-exact": [5]})), ("0", b"")], "sections of no list: 0"),
        # lists
        (told(black=({}, {})), "list 'black': no changes"),
        (told(black=({"gone": True}, {"-exact": [5]})), "removals from a list that goes or is new"),
        (
            told(black=({"new": {"status": 1, "reason": ""}}, {"-exact": [5]})),
            "removals from a list that goes or is",
        ),
        (told(black=({"gone": True}, {"+exact": [*GROUP, 5]})), "additions to a list that goes"),
        (told(black=({"gone": 1}, {})), "goes or is new in another way"),
        (told(black=({"gone": False}, {"-exact": [5]})), "goes or is new in another way"),
        (told(black=({"new": {"status": 1}}, {})), "goes or is new in another way"),
        (told(black=({"new": []}, {})), "goes or is new in another way"),
        (told(black=({"new": None}, {})), ""),
        (told(black=({"new": {"status": 3, "reason": ""}}, {})), "status: expected"),
        (told(black=({"new": {"status": True, "reason": ""}}, {})), "status: expected int"),
        (told(black=({"new": {"status": 1, "reason": 5}}, {})), "reason: expected str"),
        (
            told(free=({"kind": "exempt", "new": {"status": 1, "reason": ""}}, {})),
            "status: expected that of every",
        ),
        (told(black=({"kind": "phones"}, {"-exact": [5]})), "phones"),
        (told(black=({"name": ""}, {"-exact": [5]})), "name: expected 1 to 100"),
        (told(black=({"name": "../x\n"}, {"-exact": [5]})), "name: expected 1 to 100"),
        (told(black=({"name": 5}, {"-exact": [5]})), ""),
        (told(black=({"more": 1}, {"-exact": [5]})), "a list with other keys than it may have"),
        (
            told(black=({}, {"-exact": [5]}), grey=({"name": "black"}, {"-exact": [6]})),
            "a list that comes twice",
        ),
        (told(**{f"n{n}": ({"gone": True}, {}) for n in range(33)}), "more than 32 lists that go"),
        (
            told(**{f"n{n}": ({"new": {"reason": "", "status": 1}}, {}) for n in range(33)}),
            "more than 32 lists",
        ),
        (told(**{f"n{n}": ({"gone": True}, {}) for n in range(65)}), "65 lists, and not at most 64"),
        # the description
        ([("delta", b"{")], ""),
        ([("delta", b"[]")], ""),
        ([("delta", b"null")], ""),
        ([("delta", b"[" * 100_000)], ""),
        ([("delta", b"{}")], ""),
        ([("delta", b"\xff")], ""),
        ([("more", b"")], "delta"),
        ([("delta", b'{"delta":2,"lists":[]}')], "delta format 2: update imeiset"),
        ([("delta", b'{"delta":true,"lists":[]}')], ""),
        ([("delta", b'{"delta":1,"lists":{}}')], ""),
        ([("delta", b'{"delta":1,"lists":5}')], ""),
        ([("delta", b'{"delta":1,"lists":[5]}')], ""),
        ([("delta", b'{"delta":1, "lists":[]}')], "a description in another form than it is written in"),
        ([("delta", b'{"lists":[],"delta":1}')], "a description in another form than it is written in"),
        (
            [("delta", b'{"delta":1,"lists":[],"lists":[]}')],
            "a description in another form than it is written in",
        ),
        (
            [("delta", b'{"delta":1,"lists":[],"more":1}')],
            "a description in another form than it is written in",
        ),
    ],
)
def test_what_is_refused(path, sections, why):
    assert why in refused(put(path, sections, 1))


def test_a_count_that_is_wrong(path):
    put(path, told(black=({}, {"-exact": [5]})), 2)
    assert refused(path) == "1 rows, and not 2"


def test_files_that_are_none(path):
    with pytest.raises(SnapshotMissing):
        delta.read(path)
    for data in (b"", b"\x89IMEI", GOLDEN.read_bytes()[:-1], GOLDEN.read_bytes() + b"\0", bytes(500)):
        path.write_bytes(data)
        refused(path)
    Register().save(path)
    with pytest.raises(TrustRefused, match="expected a snapshot of kind 'delta', got 'register'"):
        delta.read(path)


def test_a_byte_that_is_wrong_anywhere(path):
    good = GOLDEN.read_bytes()
    for at in range(0, len(good), 3):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :])
        refused(path)


# ---- what no checksum tells ----


@st.composite
def mutations(draw):
    """The sections of the golden file, some of them changed in some bytes."""
    sections = {name: bytearray(part) for name, part in snapshot.open(GOLDEN).sections.items()}
    for _ in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from([*sections]))
        part = sections[name]
        at = draw(st.integers(0, len(part)))
        what = draw(st.sampled_from(["flip", "cut", "insert", "drop", "copy", "rename"]))
        if what == "flip" and at < len(part):
            part[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "cut":
            del part[at : at + draw(st.integers(1, 5))]
        elif what == "insert":
            part[at:at] = draw(st.binary(min_size=1, max_size=5))
        elif what == "drop" and name != "delta":
            del sections[name]
        elif what == "copy":
            sections[draw(st.sampled_from([*sections]))][:] = part
        elif what == "rename" and name != "delta":
            number, sign = draw(st.integers(0, 12)), draw(st.sampled_from("+-"))
            sections[f"{number}{sign}{name.lstrip('0123456789')[1:]}"] = sections.pop(name)
    return [(name, bytes(part)) for name, part in sections.items()], draw(st.integers(0, 60))


@settings(max_examples=500, deadline=None)
@given(mutations())
def test_bytes_that_were_changed_with_their_checksums(tmp_path_factory, mutated):
    """Whatever stands there is refused in words, or lists take it, or refuse it as changes of others."""
    path = tmp_path_factory.getbasetemp() / "mutated.imei"
    sections, count = mutated
    put(path, sections, count)
    try:
        changes = delta.read(path)
    except TrustRefused as error:
        if not error.got.endswith(f" rows, and not {count}"):
            return
        put(path, sections, int(error.got.split()[0]))  # all else is right
        changes = delta.read(path)
    try:
        lists = lists_after(old(), changes)
    except (ValueError, LookupError):
        return
    again = path.with_name("again.imei")
    try:
        delta.write(again, old(), lists)
    except NoDelta:
        return
    assert digests(lists_after(old(), delta.read(again))) == digests(lists)


@pytest.mark.parametrize("byte", [1, 0x7F])
def test_memory_is_in_proportion_to_the_file(path, byte):
    """A byte a key is the most that a file can ask for."""
    n = 1_000_000
    put(path, told(black=({}, {"-exact": bytes([5, *[byte] * 0]) + bytes([byte]) * (n - 1)})), n)
    tracemalloc.start()
    try:
        (change,) = delta.read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(change.remove[0]) == n
    assert peak < 100 * path.stat().st_size
    runs = rows.encoded([np.array([1, 10**6], np.uint64)] * 4)
    put(path, told(black=({}, {"+range": runs})), 4)  # many keys in a few bytes
    tracemalloc.start()
    try:
        assert moved(delta.read(path), ()) == {"black": (4 * (10**6 + 1), 0)}
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


# ---- numbers ----


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, (1 << 56) - 1) | st.integers(0, 300), max_size=40))
def test_numbers_are_read_as_they_were_written(numbers):
    data = rows.encoded([np.array(numbers[:7], np.uint64), np.array(numbers[7:], np.uint64)])
    assert data == b"".join(map(slow, numbers))
    assert rows.decoded(data).tolist() == numbers


def slow(number):
    """LEB128 by the book."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes(found) + bytes([number])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=20))
def test_bytes_that_are_no_numbers(data):
    try:
        numbers = rows.decoded(data)
    except ValueError:
        return
    assert rows.encoded([numbers]) == data
