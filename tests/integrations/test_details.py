"""The whole answer in every library: status, list, rule, reasons and dates, as `check_many` has them."""

import dirty
import pytest

from imeiset import ImeiSet, Screener, Store

pytestmark = pytest.mark.filterwarnings("ignore::imeiset.ImeiWarning")  # most rows are dirty on purpose
NAMES = ["status", "list", "rule", "reasons", "date", "until"]


def of_a_set(values=dirty.COLUMN):
    rules = {"listed": ("listed", "exact"), "not listed": (None, "default")}
    none = (None, "malformed")
    return [(word, *rules.get(word, none), None, None, None) for word in dirty.words(values)]


@pytest.fixture(params=["set", "register", "store"])
def listed(request, tmp_path):
    if request.param == "set":
        return ImeiSet(dirty.LISTED), of_a_set()
    if request.param == "register":
        return dirty.detailed(), dirty.details()
    Store.create(tmp_path / "eir", dirty.detailed()).close()
    return tmp_path / "eir", dirty.details()


def test_columns(listed):
    answers = Screener(listed[0]).details(dirty.COLUMN)
    assert list(answers) == NAMES
    rows = [list(answers[name]) if name in NAMES[:4] else answers[name].tolist() for name in NAMES]
    assert list(zip(*rows, strict=True)) == listed[1]


def test_pandas(listed):
    pd = pytest.importorskip("pandas")
    import imeiset.integrations.pandas  # noqa: F401

    index = [f"row {i}" for i in range(len(dirty.COLUMN))]
    series = pd.Series(dirty.COLUMN, index, object, name="device")
    frame = series.imei.check(listed[0], details=True)
    assert list(frame) == NAMES
    assert list(frame.index) == index
    rows = [
        [None if pd.isna(value) else value.date() if name in NAMES[4:] else value for value in frame[name]]
        for name in NAMES
    ]
    assert list(zip(*rows, strict=True)) == listed[1]
    assert series.imei.check(listed[0]).tolist() == frame["status"].tolist()
    empty = series[:0].imei.check(listed[0], details=True)
    assert list(empty) == NAMES
    assert len(empty) == 0


def test_polars(listed):
    pl = pytest.importorskip("polars")
    import imeiset.integrations.polars  # noqa: F401

    frame = pl.LazyFrame({"imei": dirty.COLUMN})
    asked = frame.select(pl.col("imei").imei.check(listed[0], details=True).alias("said")).unnest("said")
    assert dict(asked.collect_schema()) == dict.fromkeys(NAMES[:4], pl.String) | dict.fromkeys(
        NAMES[4:], pl.Date
    )
    assert asked.collect().rows() == listed[1]
    assert frame.head(0).select(pl.col("imei").imei.check(listed[0], details=True)).collect().height == 0
    status = frame.select(pl.col("imei").imei.check(listed[0])).collect()
    assert status.to_series().to_list() == [row[0] for row in listed[1]]


def test_duckdb(listed):
    duckdb, pa = pytest.importorskip("duckdb"), pytest.importorskip("pyarrow")
    from imeiset.integrations.duckdb import register as register_functions
    from imeiset.integrations.duckdb import screen

    with duckdb.connect() as con:
        con.register("calls", pa.table({"n": range(len(dirty.COLUMN)), "imei": dirty.COLUMN}))
        register_functions(con, "blocked", listed[0], malformed=False)
        query = "SELECT unnest(said) FROM (SELECT n, blocked_details(imei) AS said FROM calls) ORDER BY n"
        found = con.sql(query)
        assert found.columns == NAMES
        assert found.fetchall() == listed[1]
        for only_hits in (False, True):
            reader = screen(
                con.sql("SELECT * FROM calls"), "imei", listed[0], details=True, only_hits=only_hits
            )
            assert reader.schema.names == ["n", "imei", *NAMES]
            rows = reader.read_all().select(NAMES).to_pylist()
            hits = ("listed", "blacklisted", "greylisted")
            assert [tuple(row.values()) for row in rows] == [
                row for row in listed[1] if not only_hits or row[0] in hits
            ]
