"""The accessor on every dtype that holds texts, against the oracle."""

import dirty
import oracle
import pytest

from imeiset import ImeiError, ImeiSet, Store

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
import imeiset.integrations.pandas  # noqa: E402, F401

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
