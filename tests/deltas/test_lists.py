"""Delta files for the lists of a store: what they change, what is checked, and what comes twice."""

import datetime
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imeiset import Delta, EquipmentStatus, FeedError, ImeiSet, Register, Store, Verdict, apply
from imeiset.deltas.changes import CHECKS
from imeiset.errors import FeedColumn, FeedConflict, FeedLimit, FeedRejects, StoreBase, StoreSequence

W, B, G, U = EquipmentStatus
A, C, D, E = "49015420323751", "35693803564380", "86012345678901", "01234567890123"
HOME, AWAY = "234150999999999", "001010123456789"


@pytest.fixture
def store(tmp_path):
    made = Register()
    made.add("stolen", [A, C], status=B, reasons=["lost", "stolen"], dates=["20240101", None])
    made.add_ranges("stolen", [100], [199], status=B)
    made.add_tacs("models", ["35123456", "35123457"], status=G)
    made.exempt("pairs", [A, A], [HOME, AWAY])
    made.add_imsis("guests", ["262"], status=G)
    with Store.create(tmp_path / "store", made) as one:
        yield one


@pytest.fixture
def delta(tmp_path):
    def write(text, name="delta.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_reasons_and_dates_come_along(store, delta):
    path = delta(
        "imei,block_date,reasons,change_type\n"
        f"{D},20240301,lost|found,add\n{D},20240229,,add\n{E},,,add\n{A},,,remove\n{C},20240302,x,update\n"
    )
    same, applied = apply(store, path, list="stolen")
    assert same is store
    assert (applied.sequence, store.sequence) == (1, 1)
    assert (applied.added, applied.removed, applied.updated, applied.keys) == (2, 1, 1, 3)
    assert applied.digest == ImeiSet([C, D, E]).digest()
    assert applied.sources[0].rows == 5
    reader = Store.open(store._directory)
    for one in (store, reader):
        assert one.check(A) == Verdict(W)
        assert one.check(D) == Verdict(B, "stolen", "exact", ("found", "lost"), datetime.date(2024, 2, 29))
        assert one.check(C) == Verdict(B, "stolen", "exact", ("x",), datetime.date(2024, 3, 2))
        assert one.check(E) == Verdict(B, "stolen", "exact")
        assert one["stolen"] == ImeiSet([C, D, E])


def test_an_update_that_says_nothing_changes_nothing(store, delta):
    _, applied = apply(store, delta(f"imei,change_type\n{A},update\n{D},add\n"), list="stolen")
    assert (applied.added, applied.updated) == (1, 1)
    assert store.check(A) == Verdict(B, "stolen", "exact", ("lost",), datetime.date(2024, 1, 1))
    path = delta(f"imei,reporting_date,status,change_type\n{A},,whitelist,update\n{E},,blacklist,add\n")
    apply(store, path, list="stolen")
    assert store.check(A) == Verdict(W)
    assert store.check(E).status == B


def test_what_is_updated_and_removed_is_gone(store, delta):
    """As of a set, whether the delta has reasons or not; where both are let through."""
    checks = set(CHECKS) - {"conflict"}
    texts = (
        f"imei,change_type,reasons\n{A},update,x\n{A},remove,\n{C},update,y\n",
        f"imei,change_type\n{A},update\n{A},remove\n{C},update\n",
    )
    for text in texts:
        _, applied = apply(store, delta(text), list="stolen", checks=checks, min_size=0)
        assert (applied.removed, applied.updated, applied.keys) == (1, 2, 1)
        assert store["stolen"] == ImeiSet([C])
        assert store.check(A).status == W
        assert store.check(C).reasons == ("y",)
        assert apply(ImeiSet([A, C]), delta(text), checks=checks, min_size=0)[0] == ImeiSet([C])
        apply(store, delta(f"imei,change_type\n{A},add\n"), list="stolen")


def test_pairs_ranges_tacs_and_irregular_identities(store, delta):
    apply(
        store, delta(f"imei,imsi,msisdn\n{C},{AWAY},1\n{C},{AWAY},2\n", "exceptions_added.csv"), list="pairs"
    )
    assert store.check(C, AWAY) == Verdict(W, "pairs", "pair")
    assert store.check(C, AWAY[2:]).status == B  # other digits, another subscriber
    path = delta(f"imei,imsi,change_type\n{A},{HOME},remove\n{C},{AWAY},update\n")
    _, applied = apply(store, path, list="pairs", min_size=0)
    assert (applied.added, applied.removed, applied.updated, applied.keys) == (0, 1, 1, 2)
    assert [store.check(A, imsi).status for imsi in (HOME, AWAY)] == [B, W]

    text = "from,to,change_type\n00000000000150,00000000000159,remove\n00000000000300,00000000000301,add\n"
    _, applied = apply(store, delta(text), list="stolen")
    assert (applied.added, applied.removed, applied.keys) == (2, 10, 92)
    assert [store.check(key).status for key in (149, 150, 159, 160, 300, 302)] == [B, W, W, B, B, W]

    text = "tac,change_type\n35123458,add\n35123456,remove\n"
    with pytest.raises(FeedLimit, match="at least nan%"):
        apply(store, delta(text), list="models", min_size=float("nan"))
    _, applied = apply(store, delta(text), list="models", min_size=50)
    assert [store.check(f"3512345{n}000000").status for n in (6, 7, 8)] == [W, G, G]

    keep = {"irregular": "keep"}
    _, applied = apply(store, delta("+62#22\n+dead*beef\n", "d"), list="stolen", **keep)
    assert (applied.added, applied.keys, applied.texts) == (2, 2, 2)
    _, applied = apply(store, delta("-62#22\n", "d"), list="stolen", **keep)
    assert (applied.removed, applied.texts) == (1, 1)
    assert [store.check(text).status for text in ("DEAD*BEEF",)] == [B]
    with pytest.raises(
        FeedConflict,
        match=r"d, line 1: expected changes .* got removals of what is not there: 1, line 1, '62#22'",
    ):
        apply(store, delta("-62#22\n", "d"), list="stolen", **keep)
    assert Store.verify(store._directory).status().counts == store.status().counts


@pytest.mark.parametrize(
    ("name", "text", "error", "match"),
    [
        ("stolen", f"+{A}\n", FeedConflict, "line 1: .* got additions of what is there: 1, line 1"),
        ("stolen", f"+{D}\n-{E}\n", FeedConflict, "line 2: .* removals of what is not there: 1, line 2"),
        (
            "stolen",
            f"imei,change_type\n{D},update\n",
            FeedConflict,
            "line 2: .* updates of what is not there: 1",
        ),
        (
            "stolen",
            f"imei,change_type\n{D},add\n{D},remove\n",
            FeedConflict,
            "different changes of one identity: 1, lines 2 and 3",
        ),
        ("stolen", f"-{A}\n", FeedLimit, "at least 75% of the 2 of list 'stolen' by exact, got 1"),
        ("stolen", f"+{D}\n+x\n", FeedRejects, "line 2"),
        ("stolen", f"imei\n{D}\n", FeedConflict, "a column change_type"),
        ("stolen", f"{D}\n", FeedRejects, "that says what changes"),
        (
            "models",
            "tac,change_type\n35123456,add\n",
            FeedConflict,
            "got additions of what is there: 1,000,000, first line 2",
        ),
        (
            "pairs",
            f"imei,imsi,change_type\n{D},{HOME},add\n{A},{HOME},add\n",
            FeedConflict,
            "line 3: .* there",
        ),
        ("pairs", f"imei,imsi,change_type\n{A},{HOME}1,remove\n", FeedRejects, "IMSI"),
        (
            "pairs",
            f"imei,imsi,change_type\n{C},{HOME},remove\n",
            FeedConflict,
            "removals of what is not there: 1, line 2",
        ),
        (
            "pairs",
            f"imei,imsi,change_type\n{C},{HOME},update\n",
            FeedConflict,
            "updates of what is not there: 1, line 2",
        ),
        (
            "pairs",
            f"imei,imsi,change_type\n{C},{HOME},add\n{C},{HOME},remove\n",
            FeedConflict,
            "different changes of one identity: 1, lines 2 and 3",
        ),
        (
            "pairs",
            f"imei,imsi,change_type\n{A},{HOME},remove\n",
            FeedLimit,
            "of the 2 of list 'pairs' by pair",
        ),
        ("pairs", f"+{A}\n", FeedColumn, "a header with 'imei' and 'imsi'"),
        ("guests", f"+{A}\n", FeedConflict, "not of kind 'imsis', got 'guests'"),
        ("nobody", f"+{A}\n", ValueError, "expected one of stolen, models, pairs, guests, got 'nobody'"),
        (None, f"+{A}\n", ValueError, "expected one of"),
    ],
)
def test_what_does_not_fit_changes_nothing(store, delta, name, text, error, match):
    before = store.state_id
    with pytest.raises(error, match=match) as caught:
        apply(store, delta(text), list=name)
    assert store.state_id == before
    for secret in (A, C, D, HOME):
        assert secret not in str(caught.value)


def test_checks_that_are_left_out(store, delta):
    lax = {"checks": (), "min_size": 0}
    _, applied = apply(
        store, delta(f"imei,change_type\n{A},add\n{D},update\n{E},remove\n"), list="stolen", **lax
    )
    assert (applied.added, applied.removed, applied.updated) == (1, 0, 0)
    assert store["stolen"] == ImeiSet([A, C, D])
    _, applied = apply(store, delta(f"imei,imsi,change_type\n{D},{HOME},update\n"), list="pairs", **lax)
    assert applied.added == 1
    assert store.check(D, HOME).status == W


def test_pairs_that_change_twice_count_once(store, delta):
    """Without the check for that: a pair that is removed and added stays."""
    path = delta(
        f"imei,imsi,change_type\n{A},{HOME},remove\n{A},{HOME},add\n{A},{AWAY},remove\n"
        f"{C},{HOME},add\n{C},{HOME},update\n"
    )
    _, applied = apply(store, path, list="pairs", checks=(), min_size=0)
    assert (applied.added, applied.removed, applied.updated, applied.keys) == (1, 1, 0, 2)
    assert store.status().counts["pairs"] == {"pair": 2}


def test_a_delta_comes_again_and_in_order(store, delta):
    first, second = delta(f"+{D}\n", "first"), delta(f"+{E}\n", "second")
    with pytest.raises(StoreSequence, match="expected change 1, got 2"):
        apply(store, second, list="stolen", sequence=2)
    assert apply(store, first, list="stolen", sequence=1)[1].sequence == 1
    _, applied = apply(store, first, list="stolen", sequence=1)
    assert (applied.sequence, store.sequence, applied.added) == (1, 1, 0)
    with pytest.raises(StoreSequence, match="change 1 as it was applied"):
        apply(store, second, list="stolen", sequence=1)
    with pytest.raises(StoreBase):
        apply(store, second, list="stolen", base="0" * 16)
    expected = ImeiSet([A, C, D, E]).digest()
    with pytest.raises(FeedConflict, match="a result of digest"):
        apply(store, second, list="stolen", expect_digest="0" * 64)
    assert store.sequence == 1
    apply(store, second, list="stolen", sequence=2, expect_digest=expected)
    assert store["stolen"].digest() == expected


def test_a_store_of_one_list_needs_no_name(tmp_path, delta):
    made = Register()
    made.add("only", [A], status=B)
    with Store.create(tmp_path / "one", made) as store:
        apply(store, delta(f"+{D}\n"))
        assert store["only"] == ImeiSet([A, D])


CHANGES = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["add", "remove", "update"])), max_size=8)


@given(
    base=st.sets(st.integers(0, 5)),
    deltas=st.lists(CHANGES, max_size=3),
    checks=st.sets(st.sampled_from(CHECKS)),
)
def test_a_list_changes_as_a_set_does(tmp_path_factory, base, deltas, checks):
    """Or is refused as that is."""
    folder = tmp_path_factory.mktemp("d")
    members = ImeiSet.from_keys(np.array(sorted(base), np.uint64))
    made = Register()
    made.add("only", members, status=B)
    with Store.create(folder / "store", made) as store:
        for at, changes in enumerate(deltas):
            path = folder / f"{at}.csv"
            path.write_text(
                "imei,change_type\n" + "".join(f"{key:014d},{change}\n" for key, change in changes)
            )
            refused = None
            try:
                expected, report = apply(members, path, checks=checks, min_size=0)
            except FeedError as error:
                refused = error
            if refused is not None:
                with pytest.raises(type(refused)) as caught:
                    apply(store, path, checks=checks, min_size=0)
                assert str(caught.value) == str(refused)
                continue
            _, applied = apply(store, path, checks=checks, min_size=0)
            members = expected
            assert store["only"] == members
            for name in ("added", "removed", "updated", "keys"):
                assert getattr(applied, name) == getattr(report, name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("stolen", f"+{D}\n+62#22\n"),
        ("stolen", "from,to,change_type\n00000000000300,00000000000301,add\n"),
        ("models", "tac,change_type\n35123458,add\n"),
        ("pairs", f"imei,imsi,change_type\n{C},{HOME},add\n{A},{AWAY},remove\n"),
    ],
)
def test_the_digest_in_the_report_is_the_one_that_is_expected(tmp_path, store, delta, name, text):
    store.save(tmp_path / "copy.imei")
    how = {"list": name, "irregular": "keep", "min_size": 0}
    _, report = apply(store, delta(text), **how)
    assert len(report.digest) == 64
    assert json.loads(report.to_json())["digest"] == report.digest
    with Store.create(tmp_path / "copy", Register.open(tmp_path / "copy.imei")) as copy:
        with pytest.raises(FeedConflict, match="a result of digest 0000"):
            apply(copy, delta(text), expect_digest="0" * 64, **how)
        assert copy.sequence == 0
        _, again = apply(copy, delta(text), expect_digest=report.digest.upper(), **how)
        assert again.digest == report.digest
        assert copy.sequence == 1
        back = text.replace("+", "-").replace("add", "remove").replace(f"{AWAY},remove", f"{AWAY},add")
        apply(copy, delta(back), **how)
        copy.compact()
        assert apply(copy, delta(text), expect_digest=report.digest, **how)[1].digest == report.digest


def test_several_files_are_several_changes(store, delta):
    paths = [delta(f"+{D}\n", "first"), delta(f"-{D}\n+{E}\n", "second")]
    state, expected = store.state_id, ImeiSet([A, C, E]).digest()
    how = {"list": "stolen", "base": state, "expect_digest": expected}
    _, report = apply(store, paths, sequence=1, **how)
    assert (report.sequence, store.sequence, report.added, report.removed) == (2, 2, 2, 1)
    assert [source.rows for source in report.sources] == [1, 2]
    assert report.digest == expected
    _, report = apply(store, paths, sequence=1, list="stolen")  # as before
    assert (report.sequence, store.sequence, report.added) == (2, 2, 0)


def test_what_only_stores_have(delta):
    for more in ({"list": "stolen"}, {"sequence": 1}, {"base": "0" * 16}):
        with pytest.raises(ValueError, match="expected with a Store, got an ImeiSet"):
            apply(ImeiSet([A]), delta(f"+{D}\n"), **more)
    with pytest.raises(ValueError, match="at least one file"):
        apply(ImeiSet([A]), [])
    with pytest.raises(TypeError, match="colum"):
        apply(ImeiSet([A]), delta(f"+{D}\n"), colum=1)
    with pytest.raises(TypeError, match="an ImeiSet or a Store"):
        apply([A], delta(f"+{D}\n"))


def test_pairs_for_a_list_without_any(tmp_path, delta):
    made = Register()
    made.exempt("pairs", [], [])
    with Store.create(tmp_path / "empty", made) as store:
        with pytest.raises(FeedConflict, match="removals of what is not there: 1, line 2"):
            apply(store, delta(f"imei,imsi,change_type\n{A},{HOME},remove\n"))
        _, applied = apply(store, delta(f"imei,imsi,change_type\n{A},{HOME},add\n"))
        assert (applied.added, applied.keys, store.counts()["pairs"]) == (1, 1, {"pair": 1})


def test_what_is_removed_and_listed_by_another_rule(store, delta):
    """It stays blocked, and the report says so."""
    for rule, what in (("range", ([D], [D])), ("tac", [D[:8]])):
        store.apply(Delta("stolen", add=[D, E]), Delta("stolen", rule=rule, add=what))
        path = delta(f"imei,change_type\n{D},remove\n{E},remove\n{C},remove\n{C},add\n")
        _, applied = apply(store, path, list="stolen", checks=(), min_size=0)
        assert (applied.removed, applied.still_listed) == (2, 1)
        assert (store.check(D).rule, store.check(E).list) == (rule, None)
        store.apply(Delta("stolen", rule=rule, remove=what))
    store.apply(Delta("stolen", add=[D], rule=None))
    _, applied = apply(store, delta(f"imei,change_type\n{D},remove\n"), list="stolen", min_size=0)
    assert (applied.removed, applied.still_listed) == (1, 0)
