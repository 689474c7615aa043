"""The namespace in eager, lazy and streaming queries, against the oracle."""

import dirty
import oracle
import pytest

from imeiset import EquipmentStatus, ImeiSet, Policy, Register, Screener, Store

pl = pytest.importorskip("polars")
pytest.importorskip("nanoarrow")
import imeiset.integrations.polars  # noqa: E402, F401

W = EquipmentStatus.WHITELISTED
IMEI = pl.col("device")


@pytest.fixture(params=[pl.String, pl.Categorical], ids=str)
def frame(request):
    return pl.DataFrame(
        {"device": pl.Series(dirty.COLUMN, dtype=request.param), "n": range(len(dirty.COLUMN))}
    )


def ways(frame, expression):
    """The values of an expression, run eagerly, lazily, streaming, by group and from a sent plan."""
    lazy = frame.lazy().select("n", found=expression)
    yield frame.select(found=expression)["found"]
    yield lazy.collect()["found"]
    yield lazy.collect(engine="streaming").sort("n")["found"]
    grouped = frame.group_by("n").agg(expression.first().alias("found"))
    yield grouped.sort("n")["found"]


def test_namespace(frame, tmp_path):
    blocked = ImeiSet(dirty.LISTED)
    blocked.save(tmp_path / "list.imei")
    Store.create(tmp_path / "eir", dirty.register()).close()
    for listed, words in (
        (blocked, dirty.words()),
        (tmp_path / "list.imei", dirty.words()),
        (tmp_path / "eir", dirty.register_words()),
        (dirty.register(), dirty.register_words()),
    ):
        for malformed in (False, True):
            for found in ways(frame, IMEI.imei.is_in(listed, malformed=malformed)):
                assert found.dtype == pl.Boolean
                assert found.to_list() == dirty.listed(malformed)
        for found in ways(frame, IMEI.imei.status(listed)):
            assert isinstance(found.dtype, pl.Enum)
            assert found.to_list() == words
    for found in ways(frame, IMEI.imei.tac()):
        assert found.dtype == pl.String
        assert found.to_list() == dirty.tacs()
    for found in ways(frame, IMEI.imei.is_valid()):
        assert found.to_list() == [oracle.is_valid(v) for v in dirty.COLUMN]


def test_types_are_known_before_the_run(frame):
    blocked = ImeiSet(dirty.LISTED)
    plan = frame.lazy().select(
        isin=IMEI.imei.is_in(blocked), status=IMEI.imei.status(blocked), tac=IMEI.imei.tac(),
        ok=IMEI.imei.is_valid()
    )  # fmt: skip
    schema = plan.collect_schema()
    assert [schema[name] for name in ("isin", "tac", "ok")] == [pl.Boolean, pl.String, pl.Boolean]
    assert schema == frame.lazy().select(
        isin=IMEI.imei.is_in(blocked, malformed=False), status=IMEI.imei.status(blocked), tac=IMEI.imei.tac(),
        ok=IMEI.imei.is_valid()
    ).collect().schema  # fmt: skip


def test_malformed_rows_end_the_query(frame):
    blocked = ImeiSet(dirty.LISTED)
    with pytest.raises(pl.exceptions.ComputeError, match="row 1: no value"):
        frame.select(IMEI.imei.is_in(blocked))
    with pytest.raises(pl.exceptions.ComputeError, match=r"35209900\*\*\*\*\*\*"):
        pl.DataFrame({"device": ["35209900x76148"]}).select(IMEI.imei.is_in(blocked))


def test_filters_and_other_types():
    blocked = ImeiSet(dirty.LISTED)
    frame = pl.DataFrame({"device": [49015420323751, 1, 86012345678901]})
    assert frame.lazy().filter(IMEI.imei.is_in(blocked)).collect().rows() == [
        (49015420323751,),
        (86012345678901,),
    ]
    empty = pl.DataFrame({"device": []}, {"device": pl.String})
    assert empty.select(IMEI.imei.is_in(blocked), t=IMEI.imei.tac(), s=IMEI.imei.status(blocked)).height == 0
    many = pl.DataFrame({"device": [*dirty.LISTED, "352099001761499"] * 50_000})
    assert many.lazy().filter(IMEI.imei.is_in(blocked)).collect(engine="streaming").height == 150_000


def test_a_list_of_another_kind_in_its_place(tmp_path):
    """A register's codes are not said in the words of the set that the path led to before."""
    path = tmp_path / "list.imei"
    ImeiSet(dirty.LISTED).save(path)
    query = pl.DataFrame({"device": dirty.COLUMN}).lazy().select(IMEI.imei.status(path))
    assert query.collect()["device"].to_list() == dirty.words()
    dirty.register().save(path)
    with pytest.raises(Exception, match="expected a list that says"):
        query.collect()


@pytest.mark.parametrize("dtype", [pl.Int64, pl.UInt64])
def test_integers_with_their_check_digit(dtype):
    """An error unless digits=15 says what they are, whatever malformed rows count as."""
    blocked, register = ImeiSet([*dirty.LISTED, dirty.ZERO]), Register(Policy(malformed=W))
    register.add("stolen", blocked, status=EquipmentStatus.BLACKLISTED)
    frame = pl.DataFrame({"device": pl.Series(dirty.FIFTEEN, dtype=dtype), "n": range(4)})
    answers = [True, True, True, False]
    for listed in (blocked, register):
        for found in ways(frame, IMEI.imei.is_in(listed, digits=15)):
            assert found.to_list() == answers
        hits = Screener(listed).words[1]
        for found in ways(frame, IMEI.imei.status(listed, digits=15)):
            assert [word == hits for word in found] == answers
        for expression in (
            *(IMEI.imei.is_in(listed, malformed=malformed) for malformed in (None, False, True)),
            IMEI.imei.status(listed),
            IMEI.imei.is_valid(),
            IMEI.imei.tac(),  # that of an IMEI which lost its zero would be another
        ):
            with pytest.raises(pl.exceptions.ComputeError, match="row 1: an integer of 15 digits"):
                frame.sort("device").select(expression)
    assert frame.select(IMEI.imei.tac(digits=15))["device"].to_list()[2] == "01234567"
    assert frame.select(IMEI.imei.is_valid(digits=15))["device"].to_list() == [True] * 4


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Int32, pl.Boolean, pl.Decimal(20, 0), pl.Int128, pl.Date])
def test_columns_of_other_numbers_are_refused(dtype):
    frame = pl.DataFrame({"device": pl.Series([1]).cast(dtype)})
    for expression in (IMEI.imei.is_in(ImeiSet(), malformed=False), IMEI.imei.status(ImeiSet())):
        as_text = ".*double: read the column as text" if dtype == pl.Float64 else ""
        with pytest.raises(Exception, match=f"expected an? (sound )?Arrow column{as_text}"):
            frame.select(expression)
