"""Lists that come and go while a store serves, and what is past."""

import datetime
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import Delta, EquipmentStatus, ImeiSet, Register, Store
from imeiset.errors import StoreOwner, StoreShrunk
from imeiset.store.directory import base_path, journal_path
from imeiset.store.journal import Journal
from imeiset.store.payload import unpacked

W, B, G, U = EquipmentStatus
PHONE, OTHER, THIRD = 10**13, 10**13 + 1, 10**13 + 2
HOME, AWAY = "234150999999999", "262011234567890"
TODAY = datetime.datetime.now(datetime.UTC).date()
NEXT, LAST = TODAY + datetime.timedelta(1), TODAY - datetime.timedelta(1)


@pytest.fixture
def directory(tmp_path):
    made = Register()
    made.add("stolen", [PHONE], status=B, owner="op-a")
    made.exempt("testers", [PHONE], [HOME])
    path = tmp_path / "store"
    Store.create(path, made).close()
    return path


@pytest.fixture
def store(directory):
    with Store.open(directory) as one:
        yield one


def states(store, directory):
    """The writer, a reader that follows it, one that opens it now, and one after compaction."""
    yield store
    yield Store.open(directory)
    store.compact()
    yield Store.verify(directory)


def changes(directory, generation=1):
    journal = Journal(journal_path(directory, generation))
    return [
        [change.about for change in unpacked(record.payload, journal.path).changes]
        for record in journal.records(journal.start)
    ]


def anew(store, path):
    """The bytes of a base of the lists of a store, had they been the first."""
    made = Register(store.policy)
    for one in store.lists:
        made.add_list(one.flattened())
    made._now().save(path, generation=store.generation, beside=store._state.editions.sections())
    return path.read_bytes()


# ---- lists ----


def test_a_list_is_added_while_the_store_serves(store, directory):
    reader = Store.open(directory)
    assert store.add_list("models", status=G, owner="op-b", reason="recalled", by="me", ref="7") == 1
    assert (
        store.apply(Delta("models", add=["35123456"], rule="tac", by="op-b"), Delta("stolen", by="op-a")) == 2
    )
    assert reader.refresh()
    for one in (reader, *states(store, directory)):
        assert [(each.name, each.status, each.owner, each.reason) for each in one.lists] == [
            ("stolen", B, "op-a", ""),
            ("testers", W, "", ""),
            ("models", G, "op-b", "recalled"),
        ]
        assert one.check("35123456123456").status == G
        assert one.check("35123456123456").reasons == ("recalled",)
    about = {"status": 2, "kind": "imeis", "owner": "op-b", "reason": "recalled"}
    assert changes(directory)[0] == [
        {"list": "models", "rule": "list", "add": about, "remove": False, "by": "me", "ref": "7"}
    ]


@pytest.mark.parametrize("kind", ["imeis", "exempt", "lock", "block", "imsis"])
def test_lists_of_every_kind(store, directory, kind, tmp_path):
    store.add_list("new", status=W if kind == "exempt" else B, kind=kind)
    given = {"imeis": [OTHER], "imsis": ["26201"]}.get(kind, ([OTHER], [AWAY]))
    store.apply(Delta("new", add=given))
    for one in states(store, directory):
        assert one.lists[-1].kind == kind
        assert list(one.lists[-1].counts().values()) == [1]
        assert one.check(OTHER, AWAY).list == (None if kind == "lock" else "new")
        assert one.check(OTHER, HOME).list == ("new" if kind in ("imeis", "lock") else None)
    assert base_path(directory, 2).read_bytes() == anew(store, tmp_path / "anew")


@pytest.mark.parametrize(
    ("name", "arguments", "error", "match"),
    [
        ("stolen", {}, ValueError, "a new name"),
        ("", {}, ValueError, "name: expected 1 to 100 printable"),
        ("x" * 101, {}, ValueError, "name: expected 1 to 100 printable"),
        ("new", {"status": U}, ValueError, "status: expected"),
        ("new", {"status": 9}, ValueError, "status: expected"),
        (
            "new",
            {"kind": "exempt"},
            ValueError,
            "every list of kind 'exempt', .*WHITE.*, got .*BLACK",
        ),
        ("new", {"kind": "phones"}, ValueError, "kind: expected one of"),
        ("new", {"owner": "a\nb"}, ValueError, "owner: expected"),
        ("new", {"by": "x" * 201}, ValueError, "by: expected at most 200"),
        ("new", {"reason": 5}, TypeError, "reasons: expected"),
    ],
)
def test_what_is_no_list_is_not_added(store, name, arguments, error, match):
    with pytest.raises(error, match=match):
        store.add_list(name, **{"status": B, **arguments})
    assert (store.sequence, len(store)) == (0, 2)
    assert store.apply() == 1, "and the store goes on"


def test_a_store_holds_32_lists(store):
    for number in range(30):
        store.add_list(f"list {number}", status=G)
    with pytest.raises(ValueError, match="expected at most 32 lists"):
        store.add_list("one more", status=G)
    store.drop_list("list 7")
    store.add_list("one more", status=G)
    assert len(store.lists) == 32


def test_a_list_is_dropped_with_all_that_it_holds(store, directory, tmp_path):
    reader = Store.open(directory)
    store.apply(
        Delta("stolen", add=[OTHER], by="op-a", until=NEXT, reason="lost"),
        Delta("stolen", rule="range", add=([5], [9]), by="op-a"),
        Delta("stolen", rule="tac", add=["35123456"], by="op-a"),
        Delta("stolen", rule="irregular", add=["62#2"], by="op-a"),
    )
    for arguments, error in (
        ({}, StoreOwner),
        ({"by": "op-b", "force": True}, StoreOwner),
        ({"by": "op-a"}, StoreShrunk),
    ):
        with pytest.raises(error):
            store.drop_list("stolen", **arguments)
    with pytest.raises(StoreShrunk, match=r"list 'stolen' empty.*got 2 by exact, 5 by range"):
        store.drop_list("stolen", by="op-a")
    with pytest.raises(ValueError, match="list: expected one of stolen, testers"):
        store.drop_list("none")
    assert store.sequence == 1
    assert store.drop_list("stolen", by="op-a", ref="over", force=True) == 2
    reader.refresh()
    for one in (reader, *states(store, directory)):
        assert [each.name for each in one.lists] == ["testers"]
        assert {one.check(key).status for key in (PHONE, OTHER, 7, "35123456123456")} == {W}
        assert one.check(PHONE, HOME).list == "testers"
    assert base_path(directory, 2).read_bytes() == anew(store, tmp_path / "anew")
    record = changes(directory)[1]
    assert [(change["rule"], change["by"], change["ref"]) for change in record] == [
        (rule, "op-a", "over") for rule in ("exact", "range", "tac", "irregular", "list")
    ]
    assert [change["remove"] for change in record] == [2, 1, 1, ["62#2"], True]
    assert "stolen" not in store.status().lists


def test_what_a_dropped_list_held_is_in_no_base(tmp_path):
    """Where others are left: the union of all is made anew."""
    register = Register()
    for name, phone in (("a", PHONE), ("b", OTHER), ("c", THIRD)):
        register.add(name, [phone], status=B)
    with Store.create(tmp_path / "store", register) as store:
        store.drop_list("b", force=True)
        store.apply(Delta("a", add=[5]))
        for one in states(store, tmp_path / "store"):
            assert [one.check(key).status for key in (PHONE, OTHER, THIRD, 5)] == [B, W, B, B]
        assert base_path(tmp_path / "store", 2).read_bytes() == anew(store, tmp_path / "anew")


def test_pairs_and_prefixes_are_dropped(store, directory):
    store.add_list("guests", status=G, kind="imsis")
    store.apply(Delta("guests", add=["262", "001"]))
    for name in ("testers", "guests"):
        with pytest.raises(StoreShrunk):
            store.drop_list(name)
        store.drop_list(name, force=True)
    assert [change["remove"] for record in changes(directory)[2:] for change in record] == [
        1,
        True,
        ["001", "262"],
        True,
    ]
    for one in states(store, directory):
        assert [each.name for each in one.lists] == ["stolen"]
        assert one.check(PHONE, HOME).list == "stolen"
    store.add_list("visitors", status=G, kind="imsis")
    store.apply(Delta("visitors", add=["262"]))


def test_a_list_comes_again_empty(store, directory, tmp_path):
    store.drop_list("stolen", by="op-a", force=True)
    store.add_list("stolen", status=G, owner="op-b")
    store.apply(Delta("stolen", add=[OTHER], by="op-b"))
    for one in states(store, directory):
        assert [(each.name, each.owner) for each in one.lists] == [("testers", ""), ("stolen", "op-b")]
        assert (one.check(PHONE).status, one.check(OTHER).status) == (W, G)
    with pytest.raises(StoreOwner):
        store.apply(Delta("stolen", by="op-a"))
    assert base_path(directory, 2).read_bytes() == anew(store, tmp_path / "anew")


def test_a_delta_of_a_list_that_is_gone_comes_again(store):
    delta = Delta("stolen", add=[OTHER])
    store.apply(delta, feed="op-a")
    store.drop_list("stolen", by="op-a", force=True)
    assert store.apply(delta, feed="op-a", sequence=1) == 1
    with pytest.raises(ValueError, match="list: expected one of testers"):
        store.apply(delta, feed="op-a", sequence=2)


# ---- what is past ----


def test_what_is_past_goes(store, directory):
    reader = Store.open(directory)
    store.apply(
        Delta("stolen", add=[OTHER], until=LAST, reason="lost", by="op-a"),
        Delta("stolen", add=[THIRD], until=TODAY, date=LAST, by="op-a"),
        Delta("testers", add=([OTHER, THIRD], [HOME, AWAY]), until=LAST),
        Delta("testers", add=([THIRD], [HOME]), until=NEXT),
    )
    assert store.check(OTHER).status == B, "until somebody says that the day is over"
    assert store.expire(LAST) is None
    assert store.expire(TODAY, ref="nightly", by="clock", shrink=70) == 2
    reader.refresh()
    for one in (reader, *states(store, directory)):
        assert one["stolen"] == ImeiSet.from_keys([PHONE, THIRD])
        assert one.status().counts["testers"] == {"pair": 2}
        assert one.check(OTHER, HOME).list is None
        assert one.check(THIRD, HOME).list == "testers"
    assert [(about["list"], about["by"], about["ref"]) for about in changes(directory)[1]] == [
        ("stolen", "op-a", "nightly"),
        ("testers", "clock", "nightly"),
    ]
    assert store.expire(TODAY) is None
    assert store.sequence == 2, "nothing was written"


def test_a_phone_that_is_listed_again_stays(store):
    store.apply(Delta("stolen", add=[OTHER], until=LAST, by="op-a"))
    store.apply(Delta("stolen", add=[OTHER], by="op-a"))
    store.apply(Delta("testers", add=([OTHER], [HOME]), until=LAST))
    store.apply(Delta("testers", add=([OTHER], [HOME]), until=NEXT))
    assert store.expire(TODAY) is None
    assert store.expire(NEXT + datetime.timedelta(1), shrink=60) is not None
    assert store.check(OTHER).status == B


def test_what_is_past_moves(store, directory):
    store.add_list("watched", status=G, owner="op-w")
    store.add_list("seized", status=B)
    store.apply(
        Delta("stolen", add=[OTHER], until=LAST, reason="lost", date=LAST, by="op-a"),
        Delta("stolen", add=[THIRD], until=LAST, by="op-a"),
        Delta("seized", add=[OTHER, 5], until=LAST, reason="customs"),
        Delta("watched", add=[7, OTHER], until=LAST, by="op-w"),
        Delta("testers", add=([OTHER], [HOME]), until=LAST),
    )
    assert store.expire(TODAY, "watched", force=True) == 4
    for one in states(store, directory):
        assert one["watched"] == ImeiSet.from_keys([OTHER, THIRD, 5])
        assert (one["stolen"], one["seized"]) == (ImeiSet.from_keys([PHONE]), ImeiSet())
        assert one.check(OTHER).reasons == ("customs", "lost")
        assert one.check(OTHER).date == TODAY
        assert one.check(THIRD).reasons == ()
        assert one.check(OTHER, HOME).list == "watched", "pairs are of another kind: they go"
    assert store.expire(TODAY + datetime.timedelta(1000)) is None, "they have no until there"
    assert [(about["list"], about.get("by"), about["reason"]) for about in changes(directory)[3]] == [
        ("stolen", "op-a", ""),
        ("testers", None, ""),
        ("watched", "op-w", ""),
        ("seized", None, ""),
        ("watched", "op-w", ""),
        ("watched", "op-w", "customs"),
        ("watched", "op-w", "customs|lost"),
    ]


def test_what_is_past_moves_from_some_lists_and_goes_off_the_others(store, directory):
    store.add_list("watched", status=G)
    store.add_list("permits", status=W)
    store.add_list("black", status=B)
    store.apply(
        *(Delta(name, add=[OTHER + at], until=LAST) for at, name in enumerate(("watched", "permits")))
    )
    for lists, error in (
        (["watched", "nowhere"], "list: expected one of"),
        (["testers"], "lists: expected another list of kind 'imeis', got 'testers', one of kind"),
        (["black"], "lists: expected another list of kind 'imeis', got 'black', the same"),
    ):
        with pytest.raises(ValueError, match=error):
            store.expire(TODAY, "black", lists=lists, force=True)
    with pytest.raises(ValueError, match="lists: expected with `then`"):
        store.expire(TODAY, lists=["watched"], force=True)
    with pytest.raises(TypeError, match="lists: expected a list of them, got one str"):
        store.expire(TODAY, "black", lists="watched", force=True)
    assert store.sequence == 4
    assert store.expire(TODAY, "black", lists=["watched"], force=True) == 5
    for one in states(store, directory):
        assert one["black"] == ImeiSet.from_keys([OTHER])
        assert (one["watched"], one["permits"]) == (ImeiSet(), ImeiSet())
    store.apply(Delta("watched", add=[OTHER + 2], until=LAST))
    assert store.expire(TODAY, "black", lists=[], force=True) == 7
    assert store["black"] == ImeiSet.from_keys([OTHER])


def test_pairs_move_to_pairs(store, directory):
    store.add_list("others", status=W, kind="exempt")
    store.apply(Delta("testers", add=([OTHER], [HOME]), until=LAST))
    store.expire(TODAY, "others", force=True)
    for one in states(store, directory):
        assert one.status().counts["others"] == {"pair": 1}
        assert one.status().counts["testers"] == {"pair": 1}


def test_a_clock_that_is_wrong_is_found_out(store):
    store.apply(Delta("stolen", add=[OTHER], until=NEXT, by="op-a"))
    with pytest.raises(ValueError, match=r"today: expected .* the day of the last change, or later"):
        store.expire(TODAY - datetime.timedelta(2))
    assert store.expire(TODAY - datetime.timedelta(1)) is None, "a time zone away"
    with pytest.raises(
        StoreShrunk, match="at most 25% of the 2 IMEIs of list 'stolen' to be past, got 1: is the date"
    ):
        store.expire(TODAY.replace(year=TODAY.year + 10))
    assert store.sequence == 1
    assert store.expire(TODAY.replace(year=TODAY.year + 10).isoformat(), shrink=50) == 2


@pytest.mark.parametrize("shrink", [float("nan"), 49.9])
def test_more_than_may_go(store, shrink):
    store.apply(Delta("testers", add=([OTHER], [HOME]), until=LAST))
    with pytest.raises(StoreShrunk, match="of the 2 pairs of list 'testers'"):
        store.expire(TODAY, shrink=shrink)
    assert store.expire(TODAY, shrink=shrink, force=True) == 2


@pytest.mark.parametrize("today", [None, "", "2024-02-30", 20240229, "yesterday"])
def test_today_is_a_date(store, today):
    with pytest.raises(ValueError, match="today: expected a date"):
        store.expire(today)
    with pytest.raises(ValueError, match="list: expected one of"):
        store.expire(TODAY, "nowhere")


def test_a_delta_says_until_when(store):
    for wrong, match in (
        ({"until": "2024-01-01", "date": "2024-01-02"}, "until: expected 2024-01-02, the date, or later"),
        ({"until": "2024-02-30"}, "until: expected a date"),
        ({"until": "2024-01-01", "rule": "range"}, "until: expected with exact IMEIs and pairs only"),
        ({"until": "2024-01-01", "rule": "irregular"}, "until: expected with exact IMEIs and pairs only"),
    ):
        with pytest.raises(ValueError, match=match):
            store.apply(Delta("stolen", by="op-a", **wrong))
    with pytest.raises(ValueError, match="reason and date: expected with exact"):
        store.apply(Delta("testers", until="2024-01-01", date="2024-01-01"))
    assert store.sequence == 0


DAYS = [None, LAST, TODAY, NEXT]
STEP = st.tuples(
    st.sampled_from(["stolen", "seized"]),
    st.frozensets(st.integers(0, 6), max_size=4),
    st.frozensets(st.integers(0, 6), max_size=2),
    st.sampled_from(DAYS),
    st.sampled_from([None, "lost", "fraud"]),
)
TIES = st.tuples(
    st.frozensets(st.tuples(st.integers(0, 2), st.sampled_from([HOME, AWAY])), max_size=3),
    st.sampled_from(DAYS),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(STEP, max_size=6), st.lists(TIES, max_size=4), st.sampled_from([None, "seized"]), st.booleans()
)
def test_what_goes_is_what_a_model_says(tmp_path_factory, steps, ties, then, compacted):
    made = Register()
    made.add("stolen", [], status=B)
    made.add("seized", [], status=B)
    made.exempt("testers", [], [])
    members, pairs = {"stolen": {}, "seized": {}}, {}
    with Store.create(tmp_path_factory.mktemp("past") / "store", made) as store:
        for name, new, gone, until, reason in steps:
            store.apply(Delta(name, add=sorted(new), remove=sorted(gone), until=until, reason=reason))
            members[name] = {key: what for key, what in members[name].items() if key not in gone}
            members[name] |= dict.fromkeys(new, (until, reason))
        for new, until in ties:
            columns = tuple(map(list, zip(*sorted(new), strict=True))) or None
            store.apply(Delta("testers", add=columns, until=until))
            pairs |= dict.fromkeys(new, until)
        if compacted:
            store.compact()
        over = [
            (name, key, reason)
            for name in members
            for key, (until, reason) in members[name].items()
            if until is not None and until < TODAY
        ]
        loose = [pair for pair, until in pairs.items() if until is not None and until < TODAY]
        for name, key, _ in over:
            del members[name][key]
        for name, key, reason in over:
            if then and name != then:
                _, mine = members[then].get(key, (None, None))
                members[then][key] = (None, "|".join(sorted({mine, reason} - {None})) or None)
        assert (store.expire(TODAY, then, force=True) is not None) == bool(over or loose)
        for one in (store, Store.open(store._directory)):
            for name in members:
                assert {int(key[:14]) for key in one[name]} == set(members[name])
                found = next(each for each in one.lists if each.name == name).flattened().exact
                for key, (until, reason) in members[name].items():
                    details = found.details(key)
                    assert (details[0], details[2]) == (reason or "", until.isoformat() if until else "")
            for pair, until in pairs.items():
                assert (one.check(*pair).list == "testers") == (pair not in loose), until


def test_a_time_that_is_wrong_is_the_writers(store):
    """Whoever wrote last had a clock that is ahead: nobody can tell what is past."""
    with mock.patch("time.time_ns", return_value=4 * 10**18):
        store.apply()
    with pytest.raises(ValueError, match="clock"):
        store.expire(TODAY)


def test_what_moves_to_where_it_is_already_has_the_reasons_of_both(tmp_path):
    """And the first date: it has been on that list since then."""
    register, today = Register(), datetime.date.today()
    past, later = today - datetime.timedelta(9), today + datetime.timedelta(9)
    register.add("a", [1, 2, 3], status=B, reasons=["theft"] * 3, until=[past] * 3)
    about = {"reasons": ["customs", "unpaid", None], "dates": ["2020-01-01", "2020-01-01", None]}
    register.add("then", [1, 2, 3], status=G, until=[later, past, None], **about)
    with Store.create(tmp_path / "store", register) as store:
        store.expire(today, "then", force=True)
        said = {
            key: [(one.list, one.reasons, one.date, one.until) for one in store.explain(key)]
            for key in (1, 2, 3)
        }
    assert said == {
        1: [("then", ("customs", "theft"), datetime.date(2020, 1, 1), None)],
        2: [("then", ("theft",), today, None)],
        3: [("then", ("theft",), today, None)],
    }
