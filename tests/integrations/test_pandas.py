"""The accessor on every dtype that holds texts, against the oracle."""

import dirty
import oracle
import pytest

from imeiset import EquipmentStatus, ImeiError, ImeiSet, Policy, Register, Screener, Store

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
import imeiset.integrations.pandas  # noqa: E402, F401

W = EquipmentStatus.WHITELISTED
DTYPES = [object, "string[python]", "string[pyarrow]", "category", None]


@pytest.fixture(params=DTYPES, ids=str)
def series(request):
    index = [f"row {i}" for i in range(len(dirty.COLUMN))]
    return pd.Series(dirty.COLUMN, index, request.param, name="device")


def values(series, like):
    assert series.index.equals(like.index)
    assert series.name == like.name
    return [None if pd.isna(value) else value for value in series]


def test_accessor(series, tmp_path):
    blocked = ImeiSet(dirty.LISTED)
    blocked.save(tmp_path / "list.imei")
    Store.create(tmp_path / "eir", dirty.register()).close()
    for listed in (blocked, tmp_path / "list.imei", dirty.register(), tmp_path / "eir"):
        for malformed in (False, True):
            answers = series.imei.isin(listed, malformed=malformed)
            assert answers.dtype == bool
            assert values(answers, series) == dirty.listed(malformed)
        with pytest.raises(ImeiError, match="row 1: no value"):
            series.imei.isin(listed)
    assert values(series.imei.status(blocked), series) == dirty.words()
    assert values(series.imei.status(dirty.register()), series) == dirty.register_words()
    assert values(series.imei.tac, series) == dirty.tacs()
    assert values(series.imei.is_valid(), series) == [oracle.is_valid(v) for v in dirty.COLUMN]


def test_keys_and_empty_columns():
    blocked = ImeiSet(dirty.LISTED)
    keys = pd.Series([49015420323751, 1])
    assert keys.imei.isin(blocked).tolist() == [True, False]
    assert keys.imei.tac.tolist() == ["49015420", "00000000"]
    assert keys.imei.is_valid().tolist() == [False, False]
    for series in (pd.Series([], dtype=object), pd.Series([], dtype="string[pyarrow]")):
        assert len(series.imei.isin(blocked)) == len(series.imei.tac) == len(series.imei.status(blocked)) == 0


@pytest.mark.parametrize("dtype", ["int64", "Int64", "uint64", "int64[pyarrow]", "category", object])
def test_integers_with_their_check_digit(dtype):
    """An error unless digits=15 says what they are, whatever malformed rows count as."""
    blocked, register = ImeiSet([*dirty.LISTED, dirty.ZERO]), Register(Policy(malformed=W))
    register.add("stolen", blocked, status=EquipmentStatus.BLACKLISTED)
    series = pd.Series(dirty.FIFTEEN, dtype=dtype)
    answers = [True, True, True, False]
    for listed in (blocked, register):
        assert series.imei.isin(listed, digits=15).tolist() == answers
        hits = Screener(listed).words[1]
        assert [word == hits for word in series.imei.status(listed, digits=15)] == answers
        for ask in (
            lambda some, listed=listed: some.imei.isin(listed, malformed=False),
            lambda some, listed=listed: some.imei.isin(listed, malformed=True),
            lambda some, listed=listed: some.imei.isin(listed),
            lambda some, listed=listed: some.imei.status(listed),
            lambda some: some.imei.is_valid(),
            lambda some: some.imei.tac,  # that of an IMEI which lost its zero would be another
        ):
            with pytest.raises(ImeiError, match="row 1: an integer of 15 digits"):
                ask(series.iloc[[2, 0]])
    assert series.imei.is_valid(digits=15).tolist() == [True] * 4


@pytest.mark.parametrize(
    "dtype", ["float64", "Float64", "int32", "bool", "datetime64[ns]", "float64[pyarrow]"]
)
def test_columns_of_other_numbers_are_refused(dtype):
    series = pd.Series([1, 0], dtype=dtype)
    blocked = ImeiSet(dirty.LISTED)
    for ask in (lambda: series.imei.isin(blocked, malformed=False), lambda: series.imei.status(blocked)):
        as_text = "read the column as text" if "float" in dtype.lower() else "expected"
        with pytest.raises(TypeError, match=as_text):
            ask()


@pytest.mark.parametrize(
    "series",
    [pd.Series([dirty.GOOD, 5], dtype="category"), pd.Series(pd.arrays.SparseArray([int(dirty.GOOD)]))],
)
def test_columns_that_pandas_cannot_hand_over(series):
    """What it says of them may hold an IMEI, of which the serial is hidden."""
    with pytest.raises((TypeError, ValueError), match=r"expected an Arrow column .*, got one that") as caught:
        series.imei.isin(ImeiSet(dirty.LISTED), malformed=False)
    assert dirty.GOOD not in str(caught.value)
