"""The history of a store: what became of each phone, as far back as the journals are kept."""

import datetime
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import Delta, EquipmentStatus, Register, Store
from imeiset.errors import ImeiError, StoreDamaged
from imeiset.imei import Imei
from imeiset.store.directory import history_path, journal_path

BLACK, GREY = EquipmentStatus.BLACKLISTED, EquipmentStatus.GREYLISTED
FIRST, SECOND, THIRD = (49015420323751 + n for n in (0, 1, 100))
IMSI, OTHER = "234150999999999", "262011234567890"


def text(key):
    return str(Imei.from_key(key))


def register():
    found = Register()
    found.add("stolen", [FIRST], status=BLACK, dates=["2024-01-01"], reason="theft")
    found.add_ranges("batch", [SECOND], [SECOND + 5], status=GREY)
    found.exempt("paired", [FIRST], [IMSI])
    return found


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path / "store", register()) as found:
        yield found


def told(events, *names):
    return [tuple(getattr(event, name) for name in ("list", "action", *names)) for event in events]


def test_a_phone_of_the_first_base_says_so(store):
    assert told(store.history(FIRST), "rule", "imsi", "date", "reason") == [
        ("stolen", "held", "exact", None, datetime.date(2024, 1, 1), "theft"),
        ("paired", "held", "pair", IMSI, None, ""),
    ]
    assert told(store.history(SECOND), "rule") == [("batch", "held", "range")]
    assert not list(store.history(THIRD + 10**6))
    assert not list(store.history())


@pytest.mark.parametrize("since", ["2026-11-29", 5])
def test_since_is_a_date(store, since):
    with pytest.raises(TypeError, match="since: expected a date or a datetime"):
        store.history(since=since)


def test_a_full_list_says_until_when_pairs_count(store):
    """Before 1970, too."""
    new = register()
    new.exempt("paired", [SECOND] * 2, [IMSI, OTHER], until=["1969-12-31", "2030-01-31"])
    store.replace(new, force=True)
    assert told(store.history(SECOND), "imsi", "until")[1:] == [
        ("paired", "added", IMSI, datetime.date(1969, 12, 31)),
        ("paired", "added", OTHER, datetime.date(2030, 1, 31)),
    ]


def test_every_change_with_who_said_so(store):
    store.apply(
        Delta("stolen", add=[SECOND], reason="lost", date="2024-02-29", until="2025-01-31", by="p", ref="7")
    )
    store.apply(Delta("stolen", add=[SECOND], reason="stolen"))
    store.apply(Delta("stolen", remove=[SECOND, THIRD], ref="found"), feed="op-a", sequence=1)
    found = list(store.history(text(SECOND)))
    assert told(found, "sequence", "feed", "number", "by", "ref", "reason", "date", "until") == [
        ("batch", "held", 0, "", None, "", "", "", None, None),
        (
            "stolen",
            "added",
            1,
            "",
            None,
            "p",
            "7",
            "lost",
            datetime.date(2024, 2, 29),
            datetime.date(2025, 1, 31),
        ),
        ("stolen", "changed", 2, "", None, "", "", "stolen", None, None),
        ("stolen", "removed", 3, "op-a", 1, "op-a", "found", "", None, None),
    ]
    assert not list(store.history(THIRD)), "what was not there was not removed"
    assert found[1].imei == text(SECOND)
    assert text(SECOND)[8:] not in repr(found)
    assert all(event.time.tzinfo is datetime.UTC for event in found)


def test_a_pair_of_another_subscriber_is_another_pair(store):
    """A change that takes one of a phone's pairs away and gives it another has not changed a pair."""
    store.apply(Delta("paired", add=([FIRST], [OTHER]), remove=([FIRST], [IMSI])))
    found = [one for one in told(store.history(FIRST), "sequence", "imsi") if one[2] == 1]
    assert sorted(found) == [("paired", "added", 1, OTHER), ("paired", "removed", 1, IMSI)]


def test_what_one_change_removes_and_adds_was_changed(store):
    store.apply(Delta("stolen", add=[FIRST], remove=[FIRST], reason="again"))
    store.apply(Delta("paired", add=([FIRST], [IMSI]), remove=([FIRST], [IMSI])))
    assert told(store.history(FIRST), "sequence") == [
        ("stolen", "held", 0),
        ("paired", "held", 0),
        ("stolen", "changed", 1),
        ("paired", "changed", 2),
    ]


def test_pairs_ranges_texts_and_prefixes(store):
    store.apply(
        Delta("paired", add=([FIRST, SECOND], [OTHER, IMSI]), until="2024-12-31"),
        Delta("batch", rule="range", remove=([SECOND], [SECOND + 1])),
        Delta("batch", rule="tac", add=["35693803"]),
        Delta("stolen", rule="irregular", add=["12AB"]),
    )
    assert told(store.history(SECOND), "rule", "imsi") == [
        ("batch", "held", "range", None),
        ("paired", "added", "pair", IMSI),
        ("batch", "removed", "range", None),
    ]
    assert told(store.history("35693803000000"), "rule") == [("batch", "added", "tac")]
    assert told(store.history("12ab"), "imei") == [("stolen", "added", "12AB")]
    assert [event.imsi for event in store.history(FIRST) if event.action == "added"] == [OTHER]
    assert len(list(store.history())) == 5


def test_since_a_time(store):
    for key in (SECOND, THIRD):
        store.apply(Delta("stolen", add=[key]))
    first, second = store.history()
    assert list(store.history(since=second.time)) == [second]
    assert list(store.history(since=first.time.date())) == [first, second]
    assert list(store.history(THIRD, since=first.time)) == [second]
    assert not list(store.history(since=datetime.date(9999, 1, 1)))
    naive = second.time.replace(tzinfo=None)
    assert list(store.history(since=naive)) == [second]


def test_what_is_no_phone(store):
    with pytest.raises(ImeiError):
        store.history("phone")
    with pytest.raises(ImeiError):
        store.history(490154203237518)


def test_a_register_that_replaces_another_leaves_its_net_changes(store):
    new = Register()
    new.add("stolen", [SECOND], status=BLACK, dates=["2024-03-01"], owner="op-a")
    new.add("lost", [FIRST], status=GREY)
    store.apply(Delta("stolen", add=[THIRD]))
    store.replace(new, force=True, by="office", ref="list 3")
    assert told(store.history(FIRST), "rule", "by", "ref", "sequence") == [
        ("stolen", "held", "exact", "", "", 0),
        ("paired", "held", "pair", "", "", 0),
        ("stolen", "removed", "exact", "office", "list 3", 1),
        ("paired", "removed", "pair", "office", "list 3", 1),
        ("lost", "added", "exact", "office", "list 3", 1),
    ]
    assert told(store.history(THIRD)) == [("stolen", "added"), ("stolen", "removed")]
    store.apply(Delta("lost", remove=[FIRST], by="office"))
    assert told(store.history(FIRST), "sequence")[-1] == ("lost", "removed", 2)


def test_full_lists_of_a_feed_say_which(store):
    for number, key in [(None, SECOND), (7, THIRD)]:
        full = Register()
        full.add("op-a", [key], status=BLACK)
        store.replace(full, feed="op-a", through=number, shrink=100)
    assert told((e for e in store.history() if e.rule == "exact"), "feed", "number", "by", "imei") == [
        ("op-a", "added", "op-a", None, "op-a", text(SECOND)),
        ("op-a", "removed", "op-a", 7, "op-a", text(SECOND)),
        ("op-a", "added", "op-a", 7, "op-a", text(THIRD)),
    ]


@pytest.mark.parametrize("background", [False, True])
def test_compacting_keeps_the_history_and_tells_nothing_twice(store, background):
    for key in range(5):
        store.apply(Delta("stolen", add=[key], ref=f"case {key}"))
        if background:
            future = store.compact_in_background()
            store.apply(Delta("stolen", add=[100 + key]))
            future.result()
        else:
            store.compact()
    assert [e.sequence for e in store.history()] == list(range(1, 11 if background else 6))
    store.prune(history=1)
    assert not list((store._directory).glob("base-0000000[1-5]*"))
    assert [e.sequence for e in store.history()] == list(range(1, 11 if background else 6))
    assert told(store.history(FIRST))[0] == ("stolen", "held")
    store.compact()
    store.prune()
    assert not list(store.history())
    assert told(store.history(0)) == [("stolen", "held")]


def test_changes_are_kept_for_so_many_days(store, monkeypatch):
    now, day = 1_700_000_000 * 10**9, 86_400 * 10**9
    for number in range(10):
        monkeypatch.setattr("time.time_ns", lambda: now + number * day)  # noqa: B023
        store.apply(Delta("stolen", add=[number]))
        store.compact()
    assert store.prune(history=4.5) == 10
    assert [event.sequence for event in store.history()] == [6, 7, 8, 9, 10]
    assert store.prune(history=4.5) == 0
    assert store.prune(keep=3) == 3
    assert [event.sequence for event in store.history()] == [9, 10]
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="history"):
            store.prune(history=wrong)


class TestDamaged:
    @pytest.fixture
    def directory(self, store):
        store.apply(Delta("stolen", add=[SECOND]))
        store.compact()
        store.replace(register(), force=True)
        store.apply(Delta("stolen", add=[THIRD]))
        store.compact()
        store.prune(history=10)
        assert len(list(store.history())) == 3
        store.close()
        return store._directory

    def expect(self, directory, match):
        with pytest.raises(StoreDamaged, match=match):
            list(Store.open(directory).history())
        assert Store.open(directory).check(FIRST).list, "it goes on serving"

    def test_missing(self, directory):
        history_path(directory, 3).unlink()
        self.expect(directory, "generation 3")

    def test_a_journal_is_missing_between_others(self, directory):
        journal_path(directory, 2).unlink()
        self.expect(directory, None)

    @pytest.mark.parametrize("path", [history_path, journal_path])
    def test_every_byte(self, directory, path):
        file = path(directory, 3)
        whole, kept = file.read_bytes(), list(Store.open(directory).history())
        for at in range(len(whole)):
            file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
            try:
                found = list(Store.open(directory).history())
            except StoreDamaged:
                continue
            assert found == kept, at
        for at in range(len(whole)):
            file.write_bytes(whole[:at])
            self.expect(directory, None)

    def test_of_another_store(self, directory, tmp_path):
        with Store.create(tmp_path / "other", register()) as other:
            other.apply(Delta("stolen", add=[1]))
            other.compact()
            other.replace(register(), force=True)
            other.apply(Delta("stolen", add=[2]))
            other.compact()
        for path in (history_path, journal_path):
            mine = path(directory, 3).read_bytes()
            shutil.copy(path(tmp_path / "other", 3), path(directory, 3))
            self.expect(directory, None)
            path(directory, 3).write_bytes(mine)


@st.composite
def registers(draw):
    found = Register()
    keys = st.integers(0, 40)
    words, days = st.sampled_from(["", "lost", "stolen"]), st.sampled_from([None, "2024-01-01", "2024-01-02"])
    for name in draw(st.sets(st.sampled_from(["a", "b"]))):
        rows = draw(st.lists(st.tuples(keys, words, days), unique_by=lambda row: row[0]))
        columns = list(zip(*rows, strict=True)) or [(), (), ()]
        found.add(
            name,
            np.array(columns[0], np.uint64),
            status=draw(st.sampled_from([BLACK, GREY])),
            reasons=columns[1],
            dates=columns[2],
            until=draw(st.sampled_from([None, ["2024-02-01"] * len(rows)])),
            owner=draw(st.sampled_from(["", "op-a"])),
        )
    if draw(st.booleans()):
        pairs = draw(st.lists(st.tuples(keys, st.sampled_from([IMSI, OTHER])), unique=True))
        imeis = np.array([key for key, _ in pairs], np.uint64)
        untils = draw(st.sampled_from([None, ["2024-02-01"] * len(pairs)]))
        found.exempt("p", imeis, [imsi for _, imsi in pairs], until=untils)
    if draw(st.booleans()):
        low = draw(keys)
        found.add_ranges("r", [low], [low + draw(keys)], status=GREY)
        found.add_tacs("r", draw(st.lists(st.sampled_from(["35693803", "49015420"]))), status=GREY)
    if draw(st.booleans()):
        found.add_imsis("i", draw(st.sets(st.sampled_from(["262", "23415"]))), status=GREY)
    return found


@settings(deadline=None, max_examples=40)
@given(registers(), registers())
def test_the_net_changes_lead_from_one_register_to_the_other(tmp_path_factory, old, new):
    """Undone and done: what the events say of each phone is what both registers hold."""
    directory = tmp_path_factory.mktemp("net") / "store"
    with Store.create(directory, old) as store:
        store.replace(new, force=True)
        assert [one.digest() for one in store.lists] == [one.digest() for one in new.lists]
        for key in range(42):
            held = {(e.list, e.rule, e.imsi) for e in store.history(key) if e.action == "held"}
            assert held == places(old, key)
            now = set(held)
            for event in store.history(key):
                place = event.list, event.rule, event.imsi
                if event.rule in ("exact", "pair"):
                    assert (place in now) == (event.action != "added")
                (now.discard if event.action == "removed" else now.add)(place)
            assert now == places(new, key)


def places(lists, key):
    """By which lists, rules and IMSIs a register holds a phone."""
    found = {
        (claim.list, claim.rule, None)
        for claim in lists.explain(key)
        if claim.rule in ("exact", "range", "tac")
    }
    for imsi in (IMSI, OTHER):
        found |= {(c.list, "pair", imsi) for c in lists.explain(key, imsi) if c.rule == "pair"}
    return found


_RUNS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8)), max_size=3)
_TACS = st.sets(st.sampled_from(["35693803", "49015420", "10000000"]), max_size=2)
_TEXTS = st.sets(st.sampled_from(["12AB", "62#2", "77"]), max_size=2)


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(["range", "tac", "irregular", "imsi"]),
                _RUNS,
                _RUNS,
                _TACS,
                _TACS,
                _TEXTS,
                _TEXTS,
            ),
            max_size=3,
        ),
        max_size=6,
    ),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_what_a_change_did_not_change_is_no_event(tmp_path_factory, records, compacts):
    """Of ranges, TACs, irregular identities and prefixes, too: each event turns what was there."""

    def ends(runs):
        return [low for low, _ in runs], [low + more for low, more in runs]

    found = Register()
    found.add_ranges("many", [3, 20], [9, 21], status=BLACK)
    found.add_tacs("many", ["35693803"], status=BLACK)
    found.add_imsis("guests", ["77"], status=GREY)
    held = {("range", key) for key in (*range(3, 10), 20, 21)}
    held |= {("tac", "35693803"), ("imsi", "77")}
    now = set(held)
    with Store.create(tmp_path_factory.mktemp("events") / "store", found) as store:
        for record in records:
            deltas = []
            for rule, add, remove, tacs, gone, texts, lost in record:
                if rule == "range":
                    sides = [
                        {key for low, more in runs for key in range(low, low + more + 1)}
                        for runs in (add, remove)
                    ]
                    deltas.append(Delta("many", rule="range", add=ends(add), remove=ends(remove)))
                elif rule == "tac":
                    sides = [tacs, gone]
                    deltas.append(Delta("many", rule="tac", add=sorted(tacs), remove=sorted(gone)))
                elif rule == "irregular":
                    sides = [texts - {"77"}, lost - {"77"}]
                    deltas.append(Delta("many", rule=rule, add=sorted(sides[0]), remove=sorted(sides[1])))
                else:
                    sides = [texts & {"77"}, lost & {"77"}]
                    deltas.append(Delta("guests", rule=rule, add=sorted(sides[0]), remove=sorted(sides[1])))
                now -= {(rule, member) for member in sides[1]}
                now |= {(rule, member) for member in sides[0]}
            number = store.apply(*deltas)
            assert store.apply(*deltas, sequence=number) == number
            if compacts:
                store.compact()
        then = set(held)
        for event in store.history():
            members = [event.imei if event.rule == "irregular" else event.imsi]
            if event.rule == "range":
                members = list(range(int(event.imei[:14]), int(event.last[:14]) + 1))
            elif event.rule == "tac":
                members = [f"{tac:08d}" for tac in range(int(event.imei[:8]), int(event.last[:8]) + 1)]
            for member in members:
                assert ((event.rule, member) in then) == (event.action == "removed")
                (then.discard if event.action == "removed" else then.add)((event.rule, member))
        assert then == now
        for key in range(40):
            first = next(iter(store.history(key)), None)
            assert (first is not None and first.action == "held") == (("range", key) in held)
        Store.verify(store._directory)


def test_full_lists_are_told_with_their_feed_and_number(tmp_path):
    """By the feed where nobody says who."""
    full = Register()
    full.add("stolen", [FIRST], status=BLACK)
    empty = Register()
    empty.add("stolen", [], status=BLACK)
    with Store.create(tmp_path / "store", Register()) as store:
        store.replace(full, feed="op-a", through=7)
        store.replace(empty, feed="op-a", through=8, by="police", ref="case 7", force=True)
        found = [(one.action, one.feed, one.number, one.by, one.ref) for one in store.history(FIRST)]
    assert found == [("added", "op-a", 7, "op-a", ""), ("removed", "op-a", 8, "police", "case 7")]


def test_ranges_and_tacs_of_one_change_are_found(store):
    """Whose bytes are nowhere in the record: no end of a run is the phone."""
    store.apply(
        Delta("stolen", add=[THIRD]),
        Delta("batch", rule="tac", add=[text(FIRST)[:8]]),
        Delta("batch", rule="range", remove=([SECOND], [SECOND + 5])),
    )
    found = [(one.list, one.rule, one.action) for one in store.history(SECOND + 2) if one.sequence == 1]
    assert sorted(found) == [("batch", "range", "removed"), ("batch", "tac", "added")]
