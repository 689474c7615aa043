"""Feeds with numbers of their own, lists with owners, full lists of one feed, and how fresh lists are."""

import datetime
import json
import tempfile
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from imeiset import Delta, EquipmentStatus, Register, Store, snapshot
from imeiset.errors import StoreBase, StoreDamaged, StoreOwner, StoreSequence, StoreShrunk
from imeiset.store import journal as _journal
from imeiset.store.directory import base_path
from imeiset.store.journal import Position

W, B, G, _ = EquipmentStatus
PHONE, OTHER, THIRD = 10**13, 10**13 + 1, 10**13 + 2


def lists(**held):
    """A register: by list the keys. Lists of "a_..." are of op-a, "b_..." of op-b, others nobody's."""
    made = Register()
    for name, keys in held.items():
        owner = f"op-{name[0]}" if name[1:2] == "_" else None
        made.add(name, keys, status=B, owner=owner)
    return made


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "store"
    Store.create(path, lists(a_stolen=[PHONE], b_stolen=[], common=[])).close()
    return path


@pytest.fixture
def store(directory):
    with Store.open(directory) as one:
        yield one


def add(name, *keys, **beside):
    return Delta(name, add=list(keys), **beside)


def states(store, directory):
    """The writer, one that opens it now, and one after compaction: none may know more than another."""
    yield store
    yield Store.open(directory)
    store.compact()
    yield store
    yield Store.open(directory)


# ---- numbers ----


def test_each_feed_has_its_own_numbers(store, directory):
    assert store.apply(add("a_stolen", OTHER), feed="op-a") == 1
    assert store.apply(add("b_stolen", OTHER), feed="op-b") == 1
    assert store.apply(add("common", OTHER)) == 3, "the store's"
    assert store.apply(feed="op-a") == 2
    assert store.apply(feed="op-a", sequence=3) == 3
    for one in states(store, directory):
        assert one.feeds == {"op-a": 3, "op-b": 1}
        assert one.sequence == 5


def test_what_comes_again_is_not_applied_again(store, directory):
    first = add("a_stolen", OTHER, reason="lost")
    store.apply(first, feed="op-a")
    store.apply(Delta("a_stolen", remove=[OTHER]), feed="op-a")
    for one in states(store, directory):
        with one:
            assert one.apply(first, feed="op-a", sequence=1) == 1
            again = add("a_stolen", OTHER, reason="lost", by="op-a", ref="sent again")
            assert one.apply(again, feed="op-a", sequence=1) == 1, "whoever says so, why ever"
            assert one.check(OTHER).status == W
            for other in (
                add("a_stolen", OTHER),
                add("a_stolen", THIRD, reason="lost"),
                add("common", OTHER),
            ):
                with pytest.raises(StoreSequence, match="another change under number 1"):
                    one.apply(other, feed="op-a", sequence=1)
            assert one.feeds == {"op-a": 2}


def test_of_many_changes_the_last_are_compared(store):
    for number in range(70):
        store.apply(add("a_stolen", number), feed="op-a")
    assert store.apply(add("a_stolen", 99), feed="op-a", sequence=6) == 6, "nobody knows it any more"
    with pytest.raises(StoreSequence, match="another change under number 7"):
        store.apply(add("a_stolen", 99), feed="op-a", sequence=7)
    assert store.check(99).status == W
    store.compact()
    assert len(store._state.editions.feeds["op-a"].digests) == 64


def test_a_gap_is_said(store):
    store.apply(feed="op-a")
    with pytest.raises(
        StoreSequence, match="expected change 2 of feed 'op-a', got 5: apply 2 to 4 first, or"
    ):
        store.apply(feed="op-a", sequence=5)
    with pytest.raises(StoreSequence, match="got 3: apply 2 first"):
        store.apply(feed="op-a", sequence=3)
    with pytest.raises(
        StoreSequence, match=r"change 1 of feed 'op-c', got 2\. This feed .* feeds with changes: 'op-a'"
    ):
        store.apply(feed="op-c", sequence=2)
    assert store.feeds == {"op-a": 1}


def test_a_feed_may_leave_numbers_out(store, directory):
    assert store.apply(feed="op-a", sequence=20261130, after=0) == 20261130
    with pytest.raises(
        StoreSequence, match="change after 20261130 of feed 'op-a', got 20261202, which comes after"
    ):
        store.apply(feed="op-a", sequence=20261202, after=20261201)
    with pytest.raises(StoreSequence, match="which comes after 20261129"):
        store.apply(feed="op-a", sequence=20261201, after=20261129)
    assert store.apply(feed="op-a", sequence=20261201, after=20261130) == 20261201
    assert store.apply(feed="op-a", sequence=20261130, after=0) == 20261130, "as before"
    for one in states(store, directory):
        assert one.feeds == {"op-a": 20261201}
    for wrong in ({"after": 1}, {"after": 1, "sequence": 2}, {"after": 1, "feed": "op-a"}):
        with pytest.raises(ValueError, match="after: expected with feed and sequence only"):
            store.apply(**wrong)
    for after in (-1, 2, 3):
        with pytest.raises(ValueError, match="after: expected 0 to 1, got"):
            store.apply(feed="op-a", sequence=2, after=after)


def test_numbers_of_the_store_are_compared_by_what_changes(store):
    store.apply(add("common", OTHER), sequence=1)
    store.apply(add("common", THIRD), feed="op-a")
    assert store.apply(add("common", OTHER, by="x", ref="y"), sequence=1) == 1
    assert store.apply(add("common", THIRD), sequence=2) == 2
    with pytest.raises(StoreSequence, match="change 2 as it was applied"):
        store.apply(add("common", OTHER), sequence=2)


def test_base_goes_for_feeds_too(store):
    old = store.state_id
    store.apply()
    with pytest.raises(StoreBase):
        store.apply(feed="op-a", base=old)
    assert store.apply(feed="op-a", base=store.state_id) == 1


def test_only_deltas_are_applied(store):
    store.apply(feed="op-a")
    for number in (1, 2):
        with pytest.raises(TypeError, match="expected Deltas, got str"):
            store.apply("a_stolen", feed="op-a", sequence=number)


@pytest.mark.parametrize("feed", ["", "x" * 101, "a\nb"])
def test_names_of_feeds(store, feed):
    with pytest.raises(ValueError, match="feed: expected"):
        store.apply(feed=feed)
    with pytest.raises(ValueError, match="feed: expected"):
        store.replace(Register(), feed=feed)


@pytest.mark.parametrize("wrong", [{"by": "x" * 201}, {"ref": "a\0b"}])
def test_by_and_ref_are_short_texts(store, wrong):
    with pytest.raises(ValueError, match="expected at most 200 printable"):
        store.apply(Delta("common", **wrong))
    with pytest.raises(TypeError, match="expected str or None"):
        store.apply(Delta("common", by=5))
    assert store.sequence == 0


@pytest.mark.parametrize("number", [0, -1, 1 << 63])
def test_numbers_are_positive(store, number):
    with pytest.raises(ValueError, match="sequence: expected 1 or more"):
        store.apply(feed="op-a", sequence=number)
    with pytest.raises(ValueError, match="through: expected 0 or more"):
        store.replace(Register(), feed="op-a", through=-1)


# ---- owners ----


def test_nobody_else_changes_a_list(store):
    expected = "expected a change of list 'a_stolen' by its owner 'op-a', got one by "
    for delta, feed, who in (
        (add("a_stolen", OTHER), None, "nobody"),
        (add("a_stolen", OTHER), "op-b", "'op-b'"),
        (add("a_stolen", OTHER, by="op-b"), "op-a", "'op-b'"),
        (Delta("a_stolen", remove=[PHONE], by="x"), None, "'x'"),
        (Delta("a_stolen"), None, "nobody"),
    ):
        with pytest.raises(StoreOwner, match=expected + who):
            store.apply(add("common", OTHER), delta, feed=feed)
    assert (store.sequence, store.feeds, store.check(OTHER).status) == (0, {}, W)
    store.apply(add("a_stolen", OTHER, by="op-a"), add("b_stolen", OTHER, by="op-b"))
    store.apply(add("a_stolen", THIRD), feed="op-a")
    store.apply(add("common", THIRD), feed="op-c")
    assert store.feeds == {"op-a": 1, "op-c": 1}


# ---- full lists ----


def test_a_full_list_says_what_it_contains(store, directory):
    """A delta that comes again after an older full list is applied again: the phone stays listed."""
    delta = add("a_stolen", OTHER)
    store.apply(delta, feed="op-a")
    store.apply(add("a_stolen", THIRD), feed="op-a")
    store.replace(lists(stolen_too=[5]), feed="op-a", through=1, force=True)
    assert [one.name for one in store.lists] == ["b_stolen", "common", "stolen_too"]
    store.replace(lists(a_stolen=[PHONE], stolen_too=[5]), feed="op-a", through=0)
    for one in states(store, directory):
        assert one.feeds == {"op-a": 0}
    assert store.check(OTHER).status == W
    assert store.apply(delta, feed="op-a", sequence=1) == 1
    assert store.check(OTHER).status == B
    assert store.sequence == 3, "changes of the store go on"


def test_digests_after_the_full_list_are_forgotten(store):
    store.apply(add("a_stolen", OTHER), feed="op-a")
    store.apply(add("a_stolen", THIRD), feed="op-a")
    store.replace(lists(a_stolen=[PHONE, OTHER]), feed="op-a", through=1, shrink=50)
    with pytest.raises(StoreSequence, match="another change under number 1"):
        store.apply(add("a_stolen", 7), feed="op-a", sequence=1)
    assert store.apply(add("a_stolen", 7), feed="op-a", sequence=2) == 2
    with pytest.raises(StoreSequence, match="another change under number 2"):
        store.apply(add("a_stolen", THIRD), feed="op-a", sequence=2)


def test_a_feed_that_begins_anew_is_not_compared(store):
    store.apply(add("a_stolen", OTHER), feed="op-a")
    store.replace(lists(a_stolen=[PHONE]), feed="op-a", through=1, force=True)
    assert store.apply(add("a_stolen", 7), feed="op-a", sequence=1) == 1
    assert store.check(7).status == W


def test_a_full_list_may_be_newer_than_all_changes(store):
    store.apply(feed="op-a")
    store.replace(lists(a_stolen=[PHONE, OTHER]), feed="op-a", through=9)
    assert store.apply(add("a_stolen", 7), feed="op-a", sequence=5) == 5, "contained"
    assert store.check(7).status == W
    assert store.apply(feed="op-a") == 10


def test_without_through_nobody_knows(store):
    store.replace(lists(a_stolen=[PHONE]), feed="op-a")
    assert store.feeds == {}
    store.apply(feed="op-a")
    with pytest.raises(StoreSequence, match=r"expected through=, .* got none, and the feed is at change 1"):
        store.replace(lists(a_stolen=[PHONE]), feed="op-a")
    with pytest.raises(ValueError, match="through: expected with a feed only"):
        store.replace(lists(a_stolen=[PHONE]), through=1)


def test_a_full_list_replaces_lists_of_its_feed_alone(store, directory):
    store.apply(add("b_stolen", OTHER, by="op-b"), add("common", THIRD))
    full = Register()
    full.add("new", [7], status=G)
    full.add("a_stolen", [8], status=G, owner="op-a")
    store.replace(full, feed="op-a", through=4, shrink=100)
    for one in states(store, directory):
        found = [(each.name, each.owner, each.status, each.counts()) for each in one.lists]
        assert found == [
            ("new", "op-a", G, {"exact": 1}),  # the feed's, in the order in which it gives them
            ("b_stolen", "op-b", B, {"exact": 1}),
            ("common", "", B, {"exact": 1}),
            ("a_stolen", "op-a", G, {"exact": 1}),
        ]
        assert [one.check(key).status for key in (7, 8, OTHER, THIRD, PHONE)] == [G, G, B, B, W]
    Store.verify(directory)


def test_a_full_list_of_some_lists_of_a_feed(store, directory):
    """The others stay, and have not been heard of."""
    full = Register()
    full.add("new", [7], status=G)
    with pytest.raises(ValueError, match="keep"):
        store.replace(full, keep=True)
    before = [one.digest() for one in store.lists]
    changed = store.status().lists["a_stolen"].changed
    store.replace(full, feed="op-a", through=4, keep=True)
    for one in states(store, directory):
        assert [each.digest() for each in one.lists][:-1] == before
        assert one.lists[-1].owner == "op-a"
        assert one.status().lists["a_stolen"].changed == changed
        assert one.feeds == {"op-a": 4}


def test_a_full_list_touches_no_list_of_others(store):
    for full, who in (
        (lists(b_stolen=[]), "expected a change of list 'b_stolen' by its owner 'op-b', got one by 'op-a'"),
        (lists(common=[]), "in place of 'common' by its owner, nobody, got one by 'op-a'"),
        (lists(b_new=[]), "list 'b_new' by its owner 'op-b'"),
    ):
        with pytest.raises(StoreOwner, match=who):
            store.replace(full, feed="op-a", force=True)
    assert store.generation == 1


def test_a_shrunk_full_list_is_held_back(store):
    store.apply(add("a_stolen", OTHER), feed="op-a")
    for full in (lists(a_stolen=[PHONE]), Register()):
        with pytest.raises(StoreShrunk):
            store.replace(full, feed="op-a", through=2)
    assert (store.generation, store.feeds) == (1, {"op-a": 1})
    store.replace(Register(), feed="op-a", through=2, force=True)
    assert list(store) == ["b_stolen", "common"]


def test_prefixes_are_on_one_list_whoever_has_it(store):
    full = Register()
    full.add_imsis("guests", ["26201"], status=G)
    store.replace(full, feed="op-a", force=True)
    more = Register()
    more.add_imsis("visitors", ["26201"], status=G)
    with pytest.raises(ValueError, match="expected on one list"):
        store.replace(more, feed="op-b")
    assert store.generation == 2


def test_more_lists_than_may_be(store):
    with pytest.raises(ValueError, match="expected at most 32 lists, got 33"):
        store.replace(lists(a_stolen=[PHONE], **{f"x{n}": [] for n in range(30)}), feed="op-a")
    store.replace(lists(a_stolen=[PHONE], **{f"x{n}": [] for n in range(29)}), feed="op-a")


def test_a_whole_replace_leaves_feeds_where_they_are(store, directory):
    store.apply(add("a_stolen", OTHER), feed="op-a")
    store.replace(lists(a_stolen=[PHONE, OTHER]))
    for one in states(store, directory):
        assert one.feeds == {"op-a": 1}
    store.replace(lists(common=[]), force=True)
    for one in states(store, directory):
        assert one.feeds == {}
    assert store.apply(feed="op-a", sequence=1) == 1


# ---- how fresh ----


def test_status_says_how_fresh_feeds_and_lists_are(store, directory):
    status = store.status()
    assert (status.feeds, status.compact_due) == ({}, None)
    assert {name: (one.owner, one.changed, one.age) for name, one in status.lists.items()} == {
        "a_stolen": ("op-a", None, None),
        "b_stolen": ("op-b", None, None),
        "common": ("", None, None),
    }
    times = [1_700_000_000, 1_700_003_600, 1_700_007_200]
    with mock.patch("time.time_ns", side_effect=[time * 10**9 for time in times[:2]]):
        store.apply(Delta("a_stolen"), feed="op-a")  # nothing new: it is alive
        store.apply(add("common", OTHER))
    first, second, third = (datetime.datetime.fromtimestamp(time, datetime.UTC) for time in times)
    with mock.patch("time.time", return_value=times[2]):
        for one in states(store, directory):
            status = one.status()
            assert (status.feeds["op-a"].number, status.feeds["op-a"].changed) == (1, first)
            assert status.feeds["op-a"].age == 7200
            assert status.lists["a_stolen"].changed == first
            assert status.lists["a_stolen"].age == 7200
            assert status.lists["b_stolen"].changed is None
            assert (status.lists["common"].changed, status.lists["common"].age) == (second, 3600)
    with mock.patch("time.time_ns", return_value=times[2] * 10**9):
        store.replace(lists(b_stolen=[1]), feed="op-b", through=3)
    for one in states(store, directory):
        status = one.status()
        assert (status.feeds["op-b"].number, status.feeds["op-b"].changed) == (3, third)
        assert [status.lists[name].changed for name in ("a_stolen", "b_stolen", "common")] == [
            first,
            third,
            second,
        ]


def test_a_register_knows_nothing_of_feeds(store, directory, tmp_path):
    """A base opens as a register, which forgets them; a register that is saved has none."""
    store.apply(feed="op-a")
    store.compact()
    Register.verify(base_path(directory, 2)).save(tmp_path / "register")
    store.save(tmp_path / "saved")
    for name in ("register", "saved"):
        assert "store" not in snapshot.open(tmp_path / name).sections
    assert (tmp_path / "register").read_bytes() == (tmp_path / "saved").read_bytes()


FEED = {"number": 1, "time": 5, "digests": [[1, "aa"]]}


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "[]",
        "{}",
        '{"feeds":{},"named":{},"more":1}',
        '{"feeds":[],"named":{}}',
        '{"feeds":{},"named":{"a":1.5}}',
        '{"feeds":{},"named":{"a":true}}',
        json.dumps({"feeds": {"": FEED}, "named": {}}),
        json.dumps({"feeds": {"a": {**FEED, "number": -1}}, "named": {}}),
        json.dumps({"feeds": {"a": {**FEED, "number": "1"}}, "named": {}}),
        json.dumps({"feeds": {"a": {**FEED, "digests": "ab"}}, "named": {}}),
        json.dumps({"feeds": {"a": {**FEED, "digests": [["1", "aa"]]}}, "named": {}}),
        json.dumps({"feeds": {"a": {**FEED, "digests": [[1]]}}, "named": {}}),
        json.dumps({"feeds": {"a": {**FEED, "digests": [[1, 5]]}}, "named": {}}),
        json.dumps({"feeds": {"a": {**FEED, "x": 5}}, "named": {}}),
        '{"feeds":{"a":5},"named":{}}',
        "[" * 100_000,
    ],
)
def test_a_base_with_other_feeds_is_damage(store, directory, text):
    store.close()
    path, other = base_path(directory, 1), directory / "other"
    file = snapshot.open(path, "memory")
    sections = [*((name, bytes(part)) for name, part in file.sections.items()), ("store", text.encode())]
    snapshot.write(other, file.kind, sections, count=file.count, generation=1)
    other.replace(path)
    start = Position(0, snapshot.open(path).digest, 5)
    _journal.create(directory / "journal-00000001", 1, start)
    with pytest.raises(StoreDamaged, match="feeds and lists of a base"):
        Store.open(directory)


def rename_of_base_fails(path, target, rename=Path.replace):
    if target.name.startswith("base-"):
        raise KeyboardInterrupt
    return rename(path, target)


def test_the_history_of_a_replacement_that_never_was_is_removed(store, directory):
    """It died before the manifest named its generation; the next generation is another one."""
    with mock.patch("pathlib.Path.replace", rename_of_base_fails), pytest.raises(KeyboardInterrupt):
        store.replace(lists(a_stolen=[PHONE, 5]), feed="op-a", through=3)
    store.close()
    assert (directory / "history-00000002").exists()
    with Store.open(directory) as other:
        other.apply(feed="op-a")
        assert not (directory / "history-00000002").exists()
        other.replace(lists(a_stolen=[PHONE, 5]), feed="op-a", through=3)
        assert (directory / "history-00000002").exists(), "that of the one that serves stays"
        other.close()
        other.apply()
        assert (directory / "history-00000002").exists()


# ---- all of it, against a model ----

FEEDS = ["op-a", "op-b"]
MEMBERS = st.frozensets(st.integers(0, 8), max_size=4)


class Feeds(RuleBasedStateMachine):
    """Deltas that come late, twice and out of order, and full lists, against a model of the rules."""

    @initialize()
    def create(self):
        self.home = tempfile.TemporaryDirectory()
        self.path = Path(self.home.name) / "store"
        self.store = Store.create(self.path, lists(a_stolen=[], b_stolen=[], common=[]))
        self.reader = Store.open(self.path)
        self.members = {"a_stolen": set(), "b_stolen": set(), "common": set()}
        self.at: dict[str, int] = {}
        self.sent: dict[tuple[str, int], tuple] = {}
        self.numbers = 0

    @rule(
        feed=st.sampled_from([None, *FEEDS]),
        name=st.sampled_from(["a_stolen", "b_stolen", "common"]),
        by=st.sampled_from([None, *FEEDS]),
        new=MEMBERS,
        gone=MEMBERS,
        step=st.sampled_from([None, -2, -1, 0, 1, 1, 1, 2]),
    )
    def apply(self, feed, name, by, new, gone, step):
        last = self.at.get(feed, 0) if feed else self.numbers
        number = last + 1 if step is None else last + step
        delta = Delta(name, add=sorted(new), remove=sorted(gone), by=by)
        what = (name, new, gone)
        owner = {"a_stolen": "op-a", "b_stolen": "op-b"}.get(name)
        arguments = {"feed": feed, "sequence": None if step is None else number}
        if number < 1:
            expected = ValueError
        elif number <= last:
            expected = None if self.sent.get((feed or "", number), what) == what else StoreSequence
        elif number > last + 1:
            expected = StoreSequence
        else:
            expected = StoreOwner if owner not in (None, by or feed) else None
        if expected:
            with pytest.raises(expected):
                self.store.apply(delta, **arguments)
        else:
            assert self.store.apply(delta, **arguments) == number
            if number == last + 1:
                self.numbers += 1
                self.sent["", self.numbers] = what
                self.members[name] = (self.members[name] - gone) | new
                if feed:
                    self.at[feed] = number
                    self.sent[feed, number] = what

    @rule(
        feed=st.sampled_from(FEEDS),
        members=MEMBERS,
        through=st.none() | st.integers(0, 5),
        force=st.booleans(),
    )
    def replace(self, feed, members, through, force):
        name = f"{feed[-1]}_stolen"
        full = lists(**{name: sorted(members)})
        if through is None and feed in self.at:
            with pytest.raises(StoreSequence):
                self.store.replace(full, feed=feed, force=force, shrink=100)
            return
        self.store.replace(full, feed=feed, through=through, force=force, shrink=100)
        self.members[name] = set(members)
        if through is not None:
            self.at[feed] = through
            self.sent = {
                key: what
                for key, what in self.sent.items()
                if key[0] != feed or (key[1] <= through and not force)
            }
        self.sent = {key: what for key, what in self.sent.items() if key[0]}  # with the old journal

    @rule()
    def compact(self):
        self.store.compact()
        self.sent = {key: what for key, what in self.sent.items() if key[0]}

    @rule()
    def reopen(self):
        self.store.close()
        self.store = Store.open(self.path)

    @invariant()
    def all_agree(self):
        self.reader.refresh()
        for one in (self.store, self.reader, Store.open(self.path)):
            assert one.feeds == self.at
            assert one.sequence == self.numbers
            found = {name: {int(key[:14]) for key in one[name]} for name in one}
            assert found == self.members

    def teardown(self):
        self.store.close()
        self.home.cleanup()


TestFeeds = Feeds.TestCase
TestFeeds.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
