"""The last day on which a row counts, as feeds say it."""

import datetime
from pathlib import Path

import numpy as np
import pytest

import imeiset
from imeiset import ImeiSet, Register, Store, apply
from imeiset.errors import FeedColumn, FeedDescription
from imeiset.feeds import Options
from imeiset.feeds.overview import overview
from imeiset.register.untils import NO_DAY

ONE, TWO, THREE, HOME, AWAY = "490154203237518", "356938035643809", "352099001761481", "23415", "26201"
DAY, NEXT, LATER = (datetime.date(2026, 11, day) for day in (28, 29, 30))


@pytest.fixture
def register(tmp_path, monkeypatch):
    """A function that makes a register of one list."""
    monkeypatch.chdir(tmp_path)

    def made(text, *more, kind="imeis", status="status = 'blacklisted'"):
        Path("list.csv").write_text(text)
        lines = "\n".join(
            ["[[lists]]", "name = 'x'", f"kind = '{kind}'", status, *more, "files = ['list.csv']"]
        )
        Path("register.toml").write_text(lines)
        register, [one] = imeiset.load_register("register.toml")
        return register, one.report.dates_not_understood

    return made


def until(register, imei, imsi=None):
    """Of a phone or a pair on the only list."""
    if imsi is None:
        [claim] = [one for one in register.explain(imei) if one.decided]
        return claim.until
    [day] = register.lists[0].pairs.until_days(
        np.array([int(imei[:14])], np.uint64), np.array([int(f"1{imsi}")], np.uint64)
    )
    return None if day == NO_DAY else day.astype("datetime64[D]").item()


def test_a_known_title_or_the_one_that_is_asked_for(register):
    made, named = register(f"imei,date,until\n{ONE},2026-11-28,20261130\n{TWO},20261128,\n{THREE},,x\n")
    assert [until(made, imei) for imei in (ONE, TWO, THREE)] == [LATER, None, None]
    assert (named.count, named.first) == (1, [("list.csv", 4)])
    text = f"imei;hasta\n{ONE};30/11/2026\n{TWO};\n"
    made, named = register(text, "until_column = 'hasta'", "date_format = '%d/%m/%Y'")
    assert [until(made, imei) for imei in (ONE, TWO)] == [LATER, None]
    made, named = register(text, "details = 'ignore'")
    assert until(made, ONE) is None


def test_a_last_day_before_the_first_is_none_and_named(register):
    """The phone stays: it is never let go too early."""
    made, named = register(
        f"imei,date,until\n{ONE},20261129,20261128\n{TWO},20261128,20261128\n{THREE},x,20261128\n"
    )
    assert [until(made, imei) for imei in (ONE, TWO, THREE)] == [None, DAY, DAY]
    assert made.check(ONE).date == NEXT
    assert [line for _, line in named.first] == [2, 4]


def test_of_several_rows_the_latest_and_none_if_one_has_none(register):
    made, _ = register(
        f"imei,until\n{ONE},20261128\n{ONE},20261130\n{TWO},20261130\n{TWO},\n{ONE},20261129\n"
    )
    assert [until(made, imei) for imei in (ONE, TWO)] == [LATER, None]


@pytest.mark.parametrize("kind", ["exempt", "lock", "block"])
def test_pairs_have_it_too(register, kind):
    text = f"imei,imsi,until\n{ONE},{HOME},20261128\n{ONE},{HOME},20261130\n{TWO},{HOME},\n{ONE},{AWAY},x\n"
    made, named = register(text, kind=kind, status="")
    assert until(made, ONE, HOME) == LATER
    assert until(made, TWO, HOME) is None
    assert named.count == 1
    made, _ = register(text.replace("until", "bis"), "until_column = 3", kind=kind, status="")
    assert until(made, ONE, HOME) == LATER


def test_what_does_not_go_together(register):
    with pytest.raises(FeedDescription, match="no 'until_column' beside details = 'ignore'"):
        register(f"imei,a\n{ONE},\n", "until_column = 'a'", "details = 'ignore'")
    with pytest.raises(FeedDescription, match=r"'until_column' in a list of kind .* only"):
        register("tac\n35693803\n", "until_column = 'a'", kind="tacs")
    with pytest.raises(FeedColumn, match="until_column or date_column says where"):
        register(f"imei,imsi\n{ONE},{HOME}\n", "date_format = '%d.%m.%Y'", kind="lock", status="")


def test_deltas_give_it_and_take_it(register):
    made, _ = register(f"imei,until\n{ONE},20261128\n")
    with Store.create("eir", made) as store:
        Path("d.csv").write_text(f"imei,change_type,hasta\n{TWO},add,20261129\n{ONE},update,20261130\n")
        apply(store, "d.csv", until_column="hasta")
        assert [until(store, imei) for imei in (ONE, TWO)] == [LATER, NEXT]
        Path("d.csv").write_text(f"imei,change_type,until\n{TWO},update,\n")
        apply(store, "d.csv")
        assert [until(store, imei) for imei in (ONE, TWO)] == [LATER, None]


def test_deltas_of_pairs_give_it_and_take_it(register):
    made, _ = register(f"imei,imsi,until\n{ONE},{HOME},20261128\n", kind="lock", status="")
    with Store.create("eir", made) as store:
        Path("d.csv").write_text(
            f"imei,imsi,change_type,until\n{TWO},{HOME},add,20261129\n{ONE},{HOME},update,20261130\n"
            f"{TWO},{AWAY},add,\n"
        )
        apply(store, "d.csv")
        assert [until(store, *pair) for pair in ((ONE, HOME), (TWO, HOME), (TWO, AWAY))] == [
            LATER,
            NEXT,
            None,
        ]
        assert store.counts() == {"x": {"pair": 3}}


def test_a_set_has_none(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(f"imei,until\n{ONE},20261128\n")
    members, report = imeiset.load(path)
    assert members == ImeiSet([ONE])
    assert [one.why for one in report.unread] == ["dates"]


def test_info_says_what_the_column_is(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(f"imei,until\n{ONE},20261128\n")
    assert [one.taken_for for one in overview(str(path), Options()).columns] == ["IMEI", "last day"]


def test_registers_that_were_made_so_are_kept(register, tmp_path):
    made, _ = register(f"imei,date,until\n{ONE},2026-11-28,20261130\n")
    made.save(tmp_path / "r.imei")
    assert until(Register.open(tmp_path / "r.imei"), ONE) == LATER
