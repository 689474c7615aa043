"""Directories of feeds: full lists and deltas, late, twice, out of order, and missing."""

import gzip
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import imeiset
from imeiset import EquipmentStatus, Register, Store, check_digit
from imeiset.errors import FeedConflict, FeedLimit, FeedMissing, StoreSequence, StoreShrunk

BLACK = EquipmentStatus.BLACKLISTED


def phone(n):
    body = f"{86012345000000 + n}"
    return f"{body}{check_digit(body)}"


def full(name, *numbers):
    Path("in", name).write_text("imei\n" + "".join(f"{phone(n)}\n" for n in numbers))


def delta(name, add=(), remove=()):
    rows = [f"{phone(n)},add\n" for n in add] + [f"{phone(n)},remove\n" for n in remove]
    Path("in", name).write_text("imei,change_type\n" + "".join(rows))


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    register = Register()
    register.add("stolen", [], status=BLACK, owner="op-a")
    register.add("others", [phone(n) for n in range(5)], status=BLACK, owner="op-b")
    with Store.create("eir", register) as made:
        yield made


def feed(store, **more):
    return [(step.action, *step.files) for step in imeiset.feed("in", store, feed="op-a", **more)]


def on(store, name="stolen"):
    return [n for n in range(200) if phone(n) in store[name]]


def test_full_lists_and_deltas_in_order(store):
    full("full_010.csv", *range(20))
    delta("delta_009.csv", add=[99])
    delta("delta_010.csv", add=[98])
    delta("delta_011.csv", add=[20])
    delta("delta_012.csv", add=[21], remove=[0])
    assert feed(store) == [
        ("replaced", "full_010.csv"),
        ("contained", "delta_009.csv"),
        ("contained", "delta_010.csv"),
        ("applied", "delta_011.csv"),
        ("applied", "delta_012.csv"),
    ]
    assert on(store) == [*range(1, 22)]
    assert on(store, "others") == [*range(5)]
    assert store.feeds == {"op-a": 12}
    assert [one[0] for one in feed(store)] == ["contained"] * 5
    full("full_012.csv", *range(1, 22))
    delta("delta_013.csv", add=[22])
    assert [one for one in feed(store) if one[0] != "contained"] == [("applied", "delta_013.csv")]


def test_deltas_go_before_a_full_list_of_their_number(store):
    for n in (1, 2, 3):
        delta(f"delta_{n}.csv", add=[n])
    full("full_3.csv", 50)
    assert [one[0] for one in feed(store)] == ["applied"] * 3 + ["contained"]
    assert on(store) == [1, 2, 3]


def test_what_is_missing_stops_unless_a_newer_full_list_closes_it(store):
    delta("delta_1.csv", add=[1])
    delta("delta_3.csv", add=[3])
    delta("delta_4.csv", add=[4])
    told = []
    with pytest.raises(
        FeedMissing, match=r"the change after 1 of feed 'op-a'; or a newer full list, got delta_3.csv"
    ):
        feed(store, told=told.append)
    assert [step.action for step in told] == ["applied", "waiting", "waiting"]
    assert (on(store), store.feeds) == ([1], {"op-a": 1})
    full("full_3.csv", 1, 2, 3)
    assert [one for one in feed(store) if one[0] != "contained"] == [
        ("replaced", "full_3.csv"),
        ("applied", "delta_4.csv"),
    ]
    assert (on(store), store.feeds) == ([1, 2, 3, 4], {"op-a": 4})
    delta("delta_2.csv", add=[2])  # late
    assert {one[0] for one in feed(store)} == {"contained"}


def test_a_feed_without_a_directory(store):
    for name in ("none", "eir/current"):
        with pytest.raises(FeedMissing, match="expected a directory of a feed, got none"):
            imeiset.feed(name, store, feed="op-a")


def test_a_feed_without_a_beginning(store):
    delta("delta_7.csv", add=[7])
    with pytest.raises(FeedMissing, match="a full list or change 1 of feed 'op-a'"):
        feed(store)


def test_each_full_list_on_the_way_is_taken(store):
    """So history knows the days between."""
    for day, n in ((27, 20), (28, 21), (30, 22)):
        full(f"stolen_202611{day}.csv", *range(n))
    assert [one[0] for one in feed(store)] == ["replaced"] * 3
    assert store.feeds == {"op-a": 20261130}
    assert [event.number for event in store.history(phone(20))] == [20261128]


def test_days_and_hours(store):
    full("full_20261130_22.csv", *range(20))
    delta("delta_20261130_23.csv", add=[20])
    delta("delta_20261201_00.csv", add=[21])
    assert [one[0] for one in feed(store)] == ["replaced", "applied", "applied"]
    assert store.feeds == {"op-a": 2026120100}
    for path in Path("in").iterdir():
        path.unlink()
    full("full_20261202.csv", 1)
    with pytest.raises(FeedConflict, match="numbers like the feed's last, 2026-12-01 00 h, got 2026-12-02"):
        feed(store)


def test_hours_that_a_pattern_finds_go_past_midnight_and_a_gap_stays_one(store):
    number = r"op1_.*_(\d{10})\.csv"
    full("op1_full_2026113022.csv", *range(20))
    delta("op1_delta_2026113023.csv", add=[20])
    assert [one[0] for one in feed(store, number=number)] == ["replaced", "applied"]
    delta("op1_delta_2026120101.csv", add=[22])
    with pytest.raises(FeedMissing, match=r"after 2026-11-30 23 h .*, which comes after 2026-12-01 00 h"):
        feed(store, number=number)
    assert (on(store), store.feeds) == ([*range(21)], {"op-a": 2026113023})
    delta("op1_delta_2026120100.csv", add=[21])
    assert [one[0] for one in feed(store, number=number)][-2:] == ["applied", "applied"]
    assert (on(store), store.feeds) == ([*range(23)], {"op-a": 2026120101})


def test_counters_that_look_like_days_keep_their_gap_where_they_are_called_so(store):
    counter = r"_(?P<counter>\d{8})\."
    full("op1_full_20261031.csv", *range(20))
    assert [one[0] for one in feed(store, number=counter)] == ["replaced"]
    delta("op1_delta_20261101.csv", add=[20])
    with pytest.raises(FeedMissing, match="which comes after 20261100"):
        feed(store, number=counter)
    assert (on(store), store.feeds) == ([*range(20)], {"op-a": 20261031})
    assert [one[0] for one in feed(store, number=r"_(\d{8})\.")] == ["contained", "applied"]


def test_as_dirbs_sends_them(store):
    head = "20261129083035_blacklist"
    full(f"{head}.csv", *range(20))
    delta("20261128083035_blacklist_delta_5_7_blocked.csv", add=[70])
    for base in (5, 7):
        delta(f"{head}_delta_{base}_9_blocked.csv", add=[30])
    assert [one[0] for one in feed(store)] == ["replaced"] + ["contained"] * 3
    last = "20261130083035_blacklist_delta_9_12"
    Path("in", f"{last}_blocked.csv").write_text(f"imei,block_date,reasons\n{phone(40)},20261130,stolen\n")
    Path("in", f"{last}_unblocked.csv").write_text(f"imei\n{phone(1)}\n")
    Path("in", f"{last}_changed.csv").write_text(f"imei,block_date,reasons\n{phone(2)},20261130,lost\n")
    found = [one for one in feed(store) if one[0] == "applied"]
    assert found == [("applied", *(f"{last}_{word}.csv" for word in ("blocked", "changed", "unblocked")))]
    assert store.feeds == {"op-a": 12}
    assert on(store) == [0, *range(2, 20), 40]
    assert store.check(phone(2)).reasons == ("lost",)


def test_files_of_one_change_are_applied_together_or_not_at_all(store):
    full("full_1.csv", *range(20))
    Path("in", "delta_2_blocked.csv").write_text(f"imei\n{phone(30)}\n")
    Path("in", "delta_2_unblocked.csv").write_text(f"imei\n{phone(150)}\n")
    with pytest.raises(FeedConflict, match="removals of what is not there: 1"):
        feed(store)
    assert store.feeds == {"op-a": 1}
    Path("in", "delta_2_unblocked.csv").write_text(f"imei\n{phone(30)}\n")
    with pytest.raises(FeedConflict, match="of the same change"):
        feed(store)
    assert on(store) == [*range(20)]


def test_the_same_file_twice_and_another_of_its_number(store):
    delta("delta_1.csv", add=[1])
    Path("in", "again_delta_1.csv").write_bytes(Path("in", "delta_1.csv").read_bytes())
    assert feed(store) == [("applied", "again_delta_1.csv", "delta_1.csv")]
    delta("delta_2.csv", add=[2])
    delta("x_delta_2.csv", add=[3])
    with pytest.raises(FeedConflict, match=r"delta_2.csv and x_delta_2.csv, which differ"):
        feed(store)
    Path("in", "x_delta_2.csv").unlink()
    Path("in", "again_delta_1.csv").unlink()
    Path("in", "delta_1.csv.gz").write_bytes(gzip.compress(Path("in", "delta_1.csv").read_bytes()))
    Path("in", "delta_1.csv").unlink()
    assert [one[0] for one in feed(store)] == ["contained", "applied"]
    delta("delta_1.csv", add=[5])
    Path("in", "delta_1.csv.gz").unlink()
    delta("delta_3.csv", add=[9])
    with pytest.raises(StoreSequence, match="another change under number 1"):
        feed(store)
    assert store.feeds == {"op-a": 3}  # it is told at the end


def test_force_takes_the_newest_full_list_again(store):
    full("full_1.csv", *range(20))
    delta("delta_2.csv", add=[20])
    feed(store)
    full("full_1.csv", *range(10))
    assert {one[0] for one in feed(store)} == {"contained"}
    assert feed(store, force=True) == [("replaced", "full_1.csv"), ("applied", "delta_2.csv")]
    assert on(store) == [*range(10), 20]


def test_a_list_that_shrinks_is_refused(store):
    full("full_1.csv", *range(20))
    feed(store)
    full("full_2.csv", *range(9))
    with pytest.raises(StoreShrunk):
        feed(store)
    Path("in", "full_2.csv").unlink()
    delta("delta_2.csv", remove=range(9))
    with pytest.raises(FeedLimit):
        feed(store)
    assert [one[0] for one in feed(store, min_size=50)] == ["contained", "applied"]


def test_several_lists_under_one_number(store, tmp_path):
    Path("op-a.toml").write_text(
        "[[lists]]\nname='stolen'\nstatus='blacklisted'\ncolumn='Numero'\nfiles=['x']\n"
        "[[lists]]\nname='exceptions'\nkind='exempt'\nfiles=['y']\n"
        "[[lists]]\nname='guests'\nkind='imsis'\nstatus='greylisted'\nprefixes=['26299']\n"
    )
    Path("in", "stolen_full_1.csv").write_text(
        "Otro,Numero\n" + "".join(f"x,{phone(n)}\n" for n in range(20))
    )
    Path("in", "exceptions_full_2.csv").write_text(f"imei,imsi\n{phone(1)},23415\n")
    with pytest.raises(FeedMissing, match="full lists 1 of exceptions too"):
        feed(store, description="op-a.toml")
    Path("in", "exceptions_full_2.csv").rename("in/exceptions_full_1.csv")
    assert [one[0] for one in feed(store, description="op-a.toml")] == ["replaced"]
    assert {one.name: one.owner for one in store.lists} == {
        "stolen": "op-a", "others": "op-b", "exceptions": "op-a", "guests": "op-a",
    }  # fmt: skip
    Path("in", "exceptions_delta_2.csv").write_text(f"imei,imsi,change_type\n{phone(2)},23415,add\n")
    Path("in", "stolen_delta_2.csv").write_text(f"Numero,change_type\n{phone(30)},add\n")
    assert [one[0] for one in feed(store, description="op-a.toml")][-1] == "applied"
    assert store.counts()["exceptions"] == {"pair": 2}
    assert phone(30) in store["stolen"]


def test_lists_without_files_stay(store):
    store.add_list("by hand", status=BLACK, owner="op-a")
    store.apply(imeiset.Delta("by hand", add=[phone(100)], by="op-a"))
    full("stolen_full_1.csv", *range(20))
    [step] = imeiset.feed("in", store, feed="op-a")
    assert (step.action, step.files) == ("replaced", ("stolen_full_1.csv",))
    assert step.why == "without by hand, as before"
    assert on(store, "by hand") == [100]


def test_a_new_list_that_begins_with_changes(store):
    Path("op-a.toml").write_text("[[lists]]\nname='lost'\nstatus='greylisted'\nreason='lost'\nfiles=['x']\n")
    delta("lost_delta_1.csv", add=[1])
    assert feed(store, description="op-a.toml") == [("applied", "lost_delta_1.csv")]
    assert store.check(phone(100)).list is None
    assert [(one.name, one.owner) for one in store.lists][-1] == ("lost", "op-a")


def test_what_is_not_understood_is_named_and_an_error_if_it_may_be_a_list(store):
    full("full_1.csv", 1)
    for name in ("x.csv", "delta_2.csv.part", ".delta_2.csv"):
        Path("in", name).write_text("")
    steps = imeiset.feed("in", store, feed="op-a")
    assert {step.files[0]: step.action for step in steps} == {
        "x.csv": "left out",
        "delta_2.csv.part": "left out",
        "full_1.csv": "replaced",
    }
    delta("delta_2.csv", add=[2])
    for n in range(3, 9):
        delta(f"blocked_{n}.csv", add=[n])
    with pytest.raises(FeedConflict, match=r"blocked_3.csv: by its name it may be .* --deltas.*and 2 more"):
        feed(store)
    assert on(store) == [1, 2]
    assert [one[0] for one in feed(store, deltas="blocked_*")][-6:] == ["applied"] * 6


def test_a_feed_that_owns_nothing(store):
    for name in (None, "op-c"):
        with pytest.raises(FeedMissing, match=r"a feed that owns lists in the store \(op-a, op-b\)"):
            imeiset.feed("in", store, feed=name)
    with pytest.raises(FeedMissing, match="nowhere"):
        imeiset.feed("nowhere", store, feed="op-a")


def test_outcomes_of_each_delta(store):
    Path("out").mkdir()
    delta("delta_1.csv", add=[1])
    feed(store, outcomes="out")
    assert Path("out/delta_1.csv.outcomes.csv").read_text().endswith(",add,added\n")
    delta("delta_2.csv", add=[1])
    with pytest.raises(FeedConflict):
        feed(store, outcomes="out")
    assert Path("out/delta_2.csv.outcomes.csv").read_text().endswith(",add,refused: already there\n")
    assert [one[0] for one in feed(store, checks=())] == ["contained", "applied"]


def test_history_names_the_file(store):
    delta("delta_1.csv", add=[7])
    full("full_2.csv", 7, 8)
    feed(store)
    [one] = store.history(phone(7))
    assert (one.by, one.feed, one.number) == ("op-a", "op-a", 1)
    assert one.ref.startswith("delta_1.csv sha256:")
    [two] = store.history(phone(8))
    assert (two.number, two.ref.split()[0]) == (2, "full_2.csv")


def test_two_full_lists_of_one_number(store):
    full("full_1.csv", 1, 2)
    Path("in", "again_full_1.csv").write_bytes(Path("in", "full_1.csv").read_bytes())
    assert feed(store) == [("replaced", "again_full_1.csv", "full_1.csv")]
    full("full_2.csv", 1, 2)
    full("x_full_2.csv", 1, 3)
    with pytest.raises(FeedConflict, match="which differ"):
        feed(store)
    assert on(store) == [1, 2]


def test_a_first_full_list_with_the_number_0(store):
    full("full_0.csv", 1)
    delta("delta_1.csv", add=[2])
    assert [one[0] for one in feed(store)] == ["replaced", "applied"]
    assert (on(store), store.feeds) == ([1, 2], {"op-a": 1})


def test_what_is_looked_at_again_makes_no_list(store):
    """A list that was dropped stays so, whatever the old deltas of it say."""
    Path("op-a.toml").write_text("[[lists]]\nname='lost'\nstatus='greylisted'\nfiles=['x']\n")
    delta("lost_delta_1.csv", add=[1])
    delta("stolen_delta_2.csv", add=[1])
    feed(store, description="op-a.toml")
    store.drop_list("lost", by="op-a", force=True)
    assert [one[0] for one in feed(store, description="op-a.toml")] == ["contained"] * 2
    assert "lost" not in store


def test_another_file_of_a_number_that_is_there(store):
    delta("delta_1.csv", add=[1])
    feed(store)
    delta("late_delta_1.csv", add=[2])
    with pytest.raises(FeedConflict, match=r"delta_1.csv and late_delta_1.csv, which differ"):
        feed(store)
    Path("in", "late_delta_1.csv").write_text("never mind")  # what cannot be read is not looked at
    Path("in", "delta_1.csv").unlink()
    assert [one[0] for one in feed(store)] == ["contained"]


def test_an_operator_that_begins_anew(store):
    """With numbers that were given to other changes."""
    for n in (1, 2, 3):
        delta(f"delta_{n}.csv", add=[n])
    feed(store)
    for path in Path("in").iterdir():
        path.unlink()
    delta("delta_1.csv", add=[50])
    full("full_1.csv", 50)
    delta("delta_2.csv", add=[51])
    assert feed(store, force=True) == [
        ("replaced", "full_1.csv"),
        ("contained", "delta_1.csv"),
        ("applied", "delta_2.csv"),
    ]
    assert [one[0] for one in feed(store)] == ["contained"] * 3
    assert on(store) == [50, 51]


# ---- against the rules in plain Python -----------------------------------------------------------

LAST = 7
STATES = st.lists(st.sets(st.integers(0, 6)), min_size=LAST + 1, max_size=LAST + 1)
ARRIVALS = st.lists(
    st.lists(st.tuples(st.booleans(), st.integers(1, LAST)), max_size=5), min_size=1, max_size=4
)


def reached(position, deltas, fulls):
    """How far the files lead from a number of the feed: each change after another, or the next full list."""
    while True:
        newer = [n for n in fulls if n > position]
        if position + 1 in deltas:
            position += 1
        elif newer:
            position = min(newer)
        else:
            return position


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(states=STATES, arrivals=ARRIVALS)
def test_whatever_comes_late_or_not_at_all(tmp_path, monkeypatch, states, arrivals):
    """The list is that of the number that the store says, which is as far as the files lead."""
    monkeypatch.chdir(tempfile.mkdtemp(dir=tmp_path))
    Path("in").mkdir()
    register = Register()
    register.add("stolen", [phone(n) for n in states[0]], status=BLACK, owner="op-a")
    deltas, fulls, position = set[int](), set[int](), 0
    with Store.create("eir", register) as store:
        for some in arrivals:
            for is_full, n in some:
                if is_full:
                    full(f"full_{n}.csv", *states[n])
                    fulls.add(n)
                else:
                    delta(f"delta_{n}.csv", states[n] - states[n - 1], states[n - 1] - states[n])
                    deltas.add(n)
            position = reached(position, deltas, fulls)
            waiting = {n for n in deltas | fulls if n > position}
            try:
                feed(store, min_size=0)
            except FeedMissing:
                assert waiting
            else:
                assert not waiting
            assert store.feeds.get("op-a", 0) == position
            assert {*on(store)} == states[position]


def test_what_force_goes_back_behind_is_not_compared(store):
    """An operator that begins anew has other changes under the numbers that were used."""
    full("full_1.csv", 1, 2)
    delta("delta_2.csv", add=[3])
    delta("delta_3.csv", add=[4])
    feed(store)
    delta("delta_2.csv", add=[5])
    with pytest.raises(StoreSequence, match="another change under number 2"):
        feed(store)
    assert [one[0] for one in feed(store, force=True)] == ["replaced", "applied", "applied"]
    assert on(store) == [1, 2, 4, 5]
    assert [one[0] for one in feed(store)] == ["contained"] * 3


def test_outcomes_know_of_all_files_of_a_change(store):
    """What several files of one number take off several lists is on none of them."""
    store.add_list("lost", status=BLACK, owner="op-a")
    for name in ("stolen", "lost"):
        store.apply(imeiset.Delta(name, add=[phone(11), phone(12)], by="op-a"))
    delta("stolen_delta_1.csv", remove=[11, 12, 13], add=[14])
    delta("lost_delta_1.csv", remove=[11], add=[13])
    Path("out").mkdir()
    feed(store, outcomes="out", checks=(), min_size=0)
    rows = {
        name: dict(
            row.split(",")[::2]
            for row in Path("out", f"{name}_delta_1.csv.outcomes.csv").read_text().splitlines()
        )
        for name in ("stolen", "lost")
    }
    assert rows["lost"][phone(11)] == rows["stolen"][phone(11)] == "removed"
    assert rows["stolen"][phone(12)] == "removed; still on lost"


@pytest.mark.parametrize("between", [False, True])
def test_a_full_list_that_comes_after_another_of_its_number(store, between):
    """Two lists are sent one after the other; what runs in between sees the first alone."""
    for name in ("lost", "by hand"):
        store.add_list(name, status=BLACK, owner="op-a")
    store.apply(imeiset.Delta("by hand", add=[phone(50)], by="op-a"))
    full("stolen_full_120.csv", 10)
    assert feed(store) == [("replaced", "stolen_full_120.csv")]
    assert (on(store, "lost"), on(store, "by hand")) == ([], [50])
    before = store.status().lists["by hand"].changed
    full("lost_full_120.csv", 11)
    if between:
        delta("stolen_delta_121.csv", add=[12])
    steps = feed(store)
    assert steps[0] == ("replaced", "lost_full_120.csv", "stolen_full_120.csv")
    assert (on(store), on(store, "lost")) == ([10, 12] if between else [10], [11])
    assert on(store, "by hand") == [50]
    assert store.status().lists["by hand"].changed == before  # nobody has said anything of it
    assert {one[0] for one in feed(store)} == {"contained"}


def test_a_file_that_comes_after_others_of_its_change(store):
    """It was not applied with them: that is told, whatever number comes before."""
    full("full_7.csv", 10, 11)
    delta("delta_7_9_blocked.csv", add=[12])
    feed(store)
    delta("delta_7_9_unblocked.csv", remove=[10])
    for _ in range(2):
        with pytest.raises(StoreSequence, match="another change under number 9"):
            feed(store, min_size=0)
    assert on(store) == [10, 11, 12]
    full("full_9.csv", 11, 12)
    assert feed(store, force=True, min_size=0)[0] == ("replaced", "full_9.csv")
    assert on(store) == [11, 12]
    delta("delta_8_9.csv", add=[12], remove=[10])
    assert {one[0] for one in feed(store)} == {"contained"}


def test_a_gap_is_closed_by_full_lists_of_all_that_the_feed_has_sent(store):
    """What is missing may be of any of its lists, whatever the directory still has."""
    store.add_list("lost", status=BLACK, owner="op-a")
    full("stolen_full_118.csv", 10)
    full("lost_full_118.csv", 11)
    feed(store)
    for path in Path("in").iterdir():
        path.unlink()
    full("lost_full_120.csv", 12)
    with pytest.raises(
        FeedMissing, match=r"full lists 120 of stolen too, got none, beside lost_full_120.csv"
    ):
        feed(store, min_size=0)
    assert (on(store, "lost"), store.feeds) == ([11], {"op-a": 118})
    delta("stolen_delta_119.csv", add=[20])
    delta("lost_delta_120.csv", add=[12], remove=[11])
    assert [one[0] for one in feed(store, min_size=0)] == ["applied", "applied", "contained"]
    assert (on(store), on(store, "lost")) == ([10, 20], [12])
    Path("op-a.toml").write_text("[[lists]]\nname='lost'\nstatus='blacklisted'\nfiles=['x']\n")
    for path in Path("in").iterdir():
        path.unlink()
    full("lost_full_122.csv", 13)
    assert feed(store, description="op-a.toml") == [("replaced", "lost_full_122.csv")]  # it sends no other


def test_a_full_list_that_comes_after_changes_of_it_were_passed(tmp_path, monkeypatch):
    """It cannot be taken any more, and is told until a newer one is."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    register = Register()
    for name in ("stolen", "lost"):
        register.add(name, [], status=BLACK, owner="op-a")
    with Store.create("eir", register) as store:
        full("stolen_full_120.csv", 10)
        feed(store)
        full("lost_full_119.csv", 11)
        delta("lost_delta_120.csv", add=[12])
        for _ in range(2):
            with pytest.raises(
                FeedConflict, match=r"120 or newer of lost, with --force, got lost_full_119.csv"
            ):
                feed(store)
        assert on(store, "lost") == []
        Path("in", "lost_full_119.csv").unlink()
        with pytest.raises(
            FeedConflict, match=r"got lost_delta_120.csv, which came when the feed was past it"
        ):
            feed(store)
        full("lost_full_120.csv", 11, 12)
        assert feed(store, force=True)[0] == ("replaced", "lost_full_120.csv", "stolen_full_120.csv")
        assert {one[0] for one in feed(store)} == {"contained"}
        assert on(store, "lost") == [11, 12]
