"""Lists of a feed that publishes them, as a store takes them: one record, seen before it is made."""

import datetime
import json
import math
from unittest import mock

import pytest

from imeiset import Delta, EquipmentStatus, Register, Store
from imeiset.errors import StoreExists, StoreInDoubt, StoreOwner, StoreSequence
from imeiset.store import FollowStatus
from imeiset.store.following import Following
from imeiset.store.net import net_changes
from imeiset.store.payload import list_change

W, B, G, _ = EquipmentStatus
LISTED, OTHER, THIRD = "490154203237518", "356938035643809", "352099001761481"
HOME = "234150999999999"
NOON = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


def published(*imeis, **more):
    """The lists of an edition."""
    made = Register()
    made.add("stolen", imeis, status=B, reasons=["theft"] * len(imeis))
    made.exempt("testers", [LISTED], [HOME])
    for name, some in more.items():
        made.add(name, some, status=G)
    return made


FIRST = published(LISTED, batch=[THIRD])
SECOND = published(OTHER, fresh=[LISTED, OTHER])


def changes():
    """What leads from the first edition to the second; what goes, goes without what it holds."""
    found = [one for one in net_changes(FIRST.lists, SECOND.lists) if one.about["list"] != "batch"]
    return [list_change("batch", None), *found]


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def store(directory):
    """The first edition of 'cloud', and lists of others."""
    with Store._create_followed(directory, FIRST, feed="cloud", number=1) as made:
        made.add_list("own", status=B)
        made.add_list("theirs", status=B, owner="police")
        made.apply(Delta("own", add=[THIRD]), Delta("theirs", add=[THIRD], by="police"))
        yield made


def held(store):
    """Of each list the owner and a digest that nothing else changes."""
    return {one.name: (one.owner, one.digest()) for one in store.lists}


def as_here(register, prefix=""):
    from imeiset.trust.edition import followed

    return held(followed(register, "cloud", prefix))


# ---- a store that is made so ----


def test_a_store_of_a_base(directory):
    with Store._create_followed(directory, FIRST, feed="cloud", number=7) as made:
        assert made.feeds == {"cloud": 7}
        assert held(made) == as_here(FIRST)
        assert made.policy == FIRST.policy
        assert {one.changed for one in made.status().lists.values()} == {made.status().changed}
        assert [*made.history()] == []  # of what never was there before
        with pytest.raises(StoreOwner):
            made.apply(Delta("stolen", add=[THIRD]))
    again = Store.verify(directory)
    assert (again.feeds, held(again)) == ({"cloud": 7}, as_here(FIRST))
    assert FIRST.lists[0].owner == ""  # what was given stays as it is
    with pytest.raises(StoreExists):
        Store._create_followed(directory, FIRST, feed="cloud", number=8)
    assert Store.open(directory).feeds == {"cloud": 7}


@pytest.mark.parametrize(("feed", "number"), [("", 1), ("cloud", -1), ("a\nb", 1), ("cloud", 1 << 63)])
def test_a_store_that_cannot_be_made(directory, feed, number):
    with pytest.raises(ValueError, match=r"feed|through"):
        Store._create_followed(directory, FIRST, feed=feed, number=number)
    assert not (directory / "current").exists()


def test_a_base_with_an_owner(directory):
    owned = Register()
    owned.add("stolen", [LISTED], status=B, owner="police")
    with pytest.raises(StoreOwner):
        Store._create_followed(directory, owned, feed="cloud", number=1)


# ---- an edition ----


def test_an_edition_is_one_record(store, directory):
    reader, sequence = Store.open(directory), store.sequence
    assert store._follow(changes(), feed="cloud", number=2, after=1)
    assert store.sequence == sequence + 1
    assert reader.refresh()
    for one in (store, reader, Store.open(directory)):
        assert one.feeds == {"cloud": 2}
        found = held(one)
        assert {name: found.pop(name) for name in as_here(SECOND)} == as_here(SECOND)
        assert {name: owner for name, (owner, _) in found.items()} == {"own": "", "theirs": "police"}
    assert reader.check(THIRD).list == "own"
    assert reader.check(OTHER).list in ("stolen", "fresh")
    told = {(one.list, one.rule, one.action, one.imei) for one in store.history() if one.feed == "cloud"}
    assert told == {
        ("batch", "exact", "removed", THIRD),  # though the edition does not say what it held
        ("batch", "list", "removed", None),
        ("stolen", "exact", "removed", LISTED),
        ("stolen", "exact", "added", OTHER),
        ("fresh", "list", "added", None),
        ("fresh", "exact", "added", LISTED),
        ("fresh", "exact", "added", OTHER),
    }
    assert {one.by for one in store.history() if one.feed == "cloud"} == {"cloud"}
    store.compact()
    assert held(Store.verify(directory)) == held(reader)


def test_names_that_begin_so(directory):
    with Store._create_followed(directory, Register(), feed="cloud", number=0) as made:
        made.add_list("stolen", status=W)
        assert made._follow(net_changes((), FIRST.lists), feed="cloud", number=1, after=0, prefix="c-")
        assert made._follow(changes(), feed="cloud", number=2, after=1, prefix="c-")
        found = held(made)
        assert found.pop("stolen")[0] == ""
        assert found == as_here(SECOND, "c-")


def test_an_edition_that_is_there_is_not_made_again(store):
    assert store._follow(changes(), feed="cloud", number=2, after=1)
    sequence, state = store.sequence, store.state_id
    for number in (2, 1):
        assert not store._follow(changes(), feed="cloud", number=number, after=number - 1)
    assert (store.sequence, store.state_id) == (sequence, state)


@pytest.mark.parametrize(("number", "after"), [(3, 2), (2, 0), (9, 8)])
def test_an_edition_that_is_not_the_next(store, number, after):
    before = store.state_id
    with pytest.raises(StoreSequence, match="feed 'cloud'"):
        store._follow(changes(), feed="cloud", number=number, after=after)
    assert (store.state_id, store.feeds) == (before, {"cloud": 1})


def test_who_looks_at_it_first_may_refuse_it(store, directory):
    """He sees all lists as they would be, and nothing was written."""
    before, nbytes = store.state_id, (directory / "journal-00000001").stat().st_size
    seen = []

    def expect(lists):
        seen.append({one.name: one.counts() for one in lists})
        assert (directory / "journal-00000001").stat().st_size == nbytes
        raise RuntimeError("too small")

    with pytest.raises(RuntimeError, match="too small"):
        store._follow(changes(), feed="cloud", number=2, after=1, expect=expect)
    assert seen == [
        {
            "stolen": {"exact": 1},
            "testers": {"pair": 1},
            "own": {"exact": 1},
            "theirs": {"exact": 1},
            "fresh": {"exact": 2},
        }
    ]
    assert (store.state_id, store.feeds, store.check(LISTED).list) == (before, {"cloud": 1}, "stolen")
    assert (directory / "journal-00000001").stat().st_size == nbytes
    assert store._follow(changes(), feed="cloud", number=2, after=1)  # nothing is in doubt


def test_a_disk_that_fails(store, directory):
    with mock.patch("os.fsync", side_effect=OSError(5, "Input/output error")), pytest.raises(StoreInDoubt):
        store._follow(changes(), feed="cloud", number=2, after=1)
    store.close()
    with Store.open(directory) as again:  # with the edition or without
        assert again.feeds["cloud"] in (1, 2)
        assert (
            again._follow(changes(), feed="cloud", number=2, after=1) == (again.feeds["cloud"] == 1) or True
        )
        assert again.feeds["cloud"] == 2


@pytest.mark.parametrize("name", ["own", "theirs"])
def test_a_list_of_another(store, name):
    """One of nobody's neither: it may be the same name by chance."""
    other = Register()
    other.add(name, [LISTED], status=B)
    for some in (
        net_changes((), other.lists),  # as a new one
        [one for one in net_changes((), other.lists) if one.about["rule"] == "exact"],
        [list_change(name, None)],
    ):
        before = store.state_id
        with pytest.raises(StoreOwner, match=f"list '{name}' to be that of feed 'cloud'.* prefix"):
            store._follow(some, feed="cloud", number=2, after=1)
        assert store.state_id == before


def test_changes_of_other_lists(store):
    """Not there, there already, gone in the same edition, of another kind; a prefix twice; too many lists."""
    other = Register()
    other.add("more", [LISTED], status=B)
    (new, added) = net_changes((), other.lists)
    many = [list_change(f"n{n}", {**new.about["add"]}) for n in range(28)]
    prefixes = Register()
    prefixes.add_imsis("a", ["262"], status=B)
    prefixes.add_imsis("b", ["310"], status=B)
    twice = [*net_changes((), prefixes.lists)]
    twice[-1].about["add"][:] = ["262"]
    pairs = next(one for one in net_changes((), FIRST.lists) if one.about["rule"] == "pair")
    wrong = {**pairs.about, "list": "stolen"}
    for some in (
        [added],
        [list_change("more", None)],
        [new, added, new],
        [list_change("stolen", None), next(one for one in changes() if one.about["list"] == "stolen")],
        [type(pairs)(wrong, pairs.add, pairs.remove, pairs.held)],
        twice,
        many,
    ):
        before = store.state_id
        with pytest.raises(ValueError, match=r"list|prefix"):
            store._follow(some, feed="cloud", number=2, after=1)
        assert store.state_id == before


def test_lists_that_come_again_as_others(store, directory):
    """A list with another status goes and is made again, in one record."""
    made = Register()
    made.add("stolen", [LISTED, THIRD], status=G)
    (new, added) = net_changes((), made.lists)
    assert store._follow([list_change("stolen", None), new, added], feed="cloud", number=2, after=1)
    for one in (store, Store.open(directory)):
        assert one.check(LISTED).status is G
        assert [listed.name for listed in one.lists][-1] == "stolen"
    assert [(one.action, one.rule) for one in store.history(LISTED) if one.list == "stolen"] == [
        ("held", "exact"),
        ("removed", "exact"),
        ("added", "exact"),
    ]


# ---- how it goes ----


def test_the_status_of_what_is_followed(store, directory):
    assert store.status().followed == {}
    kept = Following("cloud", place="https://lists.example")
    Following.folder(directory, "cloud").mkdir(parents=True)
    kept.write(directory)
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    nothing = FollowStatus(1, place="https://lists.example")
    assert store.status().followed == {"cloud": nothing}
    assert nothing.age == math.inf
    kept = kept.well(now, 1, NOON)
    kept.write(directory)
    (found,) = store.frozen().status().followed.values()
    assert (found.edition, found.published, found.checked, found.fault) == (1, NOON, now, None)
    assert found.age == pytest.approx((now - NOON).total_seconds(), abs=60)
    later = now + datetime.timedelta(hours=1)
    kept = kept.failed(now, "it does not answer", "TrustUnreachable").failed(later, "it is old", "TrustStale")
    kept.write(directory)
    (found,) = Store.open(directory).status().followed.values()
    assert (found.fault, found.kind, found.since) == ("it is old", "TrustStale", now)
    assert (found.checked, found.published, found.place) == (now, NOON, "https://lists.example")
    assert Following.read(directory, "cloud") == kept
    assert kept.well(later, 2, NOON).fault is None
    assert Following.read(directory, "other") == Following("other")
    store._follow(changes(), feed="cloud", number=2, after=1)
    (found,) = store.status().followed.values()  # what is kept is of the edition before
    assert (found.edition, found.published, found.age) == (2, None, math.inf)


def test_what_followed_before_there_was_an_edition(directory):
    with Store.create(directory, Register()) as made:
        Following.folder(directory, "cloud").mkdir(parents=True)
        Following("cloud").failed(NOON, "no such place").write(directory)
        assert made.status().followed == {"cloud": FollowStatus(0, fault="no such place", since=NOON)}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"null",
        b"{}",
        b" " * 100_000,
        json.dumps({"feed": "cloud"}).encode(),
        *(
            json.dumps(
                {
                    "feed": "cloud",
                    "place": "",
                    "edition": 1,
                    "published": None,
                    "checked": None,
                    "fault": None,
                    "kind": None,
                    "since": None,
                    **wrong,
                }
            ).encode()
            for wrong in (
                {"feed": 5},
                {"edition": "1"},
                {"edition": -1},
                {"edition": True},
                {"published": 5},
                {"published": "yesterday"},
                {"published": "0000-00-00T00:00:00Z"},
                {"since": []},
                {"fault": 7},
                {"kind": {}},
                {"place": None},
                {"lists": 7},
            )
        ),
    ],
)
def test_a_file_that_is_damaged_is_told(store, directory, text):
    folder = Following.folder(directory, "cloud")
    folder.mkdir(parents=True)
    (folder / "state.json").write_bytes(text)
    (directory / "followed" / "stray").write_text("")
    (directory / "followed" / "0123456789abcdef").mkdir()
    (found,) = store.status().followed.values()
    assert found == FollowStatus(1, fault=f"followed/{folder.name}/state.json is damaged")
    assert Following.read(directory, "cloud") == Following("cloud")
    Following("cloud").well(NOON, 1, NOON).write(directory)
    assert store.status().followed["cloud"].published == NOON
