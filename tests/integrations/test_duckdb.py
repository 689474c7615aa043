"""SQL functions and screened readers, against the oracle."""

import dirty
import pytest

from imeiset import Delta, ImeiSet, Store

duckdb = pytest.importorskip("duckdb")
pa = pytest.importorskip("pyarrow")
pytest.importorskip("nanoarrow")
from imeiset.integrations.duckdb import register, screen  # noqa: E402

COPIES = 500  # several vectors of rows
LISTS = [(ImeiSet(dirty.LISTED), dirty.words()), (dirty.register(), dirty.register_words())]


@pytest.fixture
def con():
    with duckdb.connect() as connection:
        calls = pa.table({"n": range(len(dirty.COLUMN) * COPIES), "device": dirty.COLUMN * COPIES})
        connection.register("calls", calls)
        yield connection


def column(cursor, query):
    return [value for (value,) in cursor.sql(query).fetchall()]


@pytest.mark.parametrize(("listed", "words"), LISTS, ids=["set", "register"])
def test_functions(con, listed, words):
    for malformed in (False, True):
        register(con, f"blocked_{malformed}", listed, malformed=malformed)
        found = column(con, f"SELECT blocked_{malformed}(device) FROM calls ORDER BY n")
        assert found == dirty.listed(malformed) * COPIES
    assert column(con, "SELECT blocked_True_status(device) FROM calls ORDER BY n") == words * COPIES
    register(con, "blocked", listed)
    with pytest.raises(duckdb.Error, match="ImeiError: row 1: no value"):
        column(con, "SELECT blocked(device) FROM calls")
    assert column(con, "SELECT blocked(device) FROM calls WHERE device LIKE '352%' LIMIT 1") == [False]
    assert column(con, f"SELECT blocked('{dirty.GOOD}')") == [True]


@pytest.mark.parametrize(("listed", "words"), LISTS, ids=["set", "register"])
def test_reader(con, listed, words):
    screened = screen(con.sql("SELECT * FROM calls"), "device", listed)
    assert screened.schema.names == ["n", "device", "status"]
    cursor = con.cursor()
    found = cursor.sql("SELECT status FROM screened ORDER BY n").fetchall()
    assert found == [(word,) for word in words * COPIES]
    hits = screen(con.sql("SELECT * FROM calls"), "device", listed, only_hits=True)
    found = cursor.sql("SELECT n FROM hits JOIN (SELECT 1 AS one) ON one <= n + 1 ORDER BY n").fetchall()
    assert [n for (n,) in found] == [
        n for n, word in enumerate(words * COPIES) if word in ("listed", "blacklisted")
    ]
    hits = screen(con.sql("SELECT * FROM calls WHERE n < 0"), "device", listed)
    assert hits.read_all().num_rows == 0


def test_a_list_on_disk(con, tmp_path):
    ImeiSet(dirty.LISTED).save(tmp_path / "list.imei")
    register(con, "blocked", tmp_path / "list.imei", malformed=False)
    assert column(con, "SELECT blocked(device) FROM calls ORDER BY n LIMIT 48") == dirty.listed(False)
    with Store.create(tmp_path / "eir", dirty.register()) as store:
        hits = screen(con.sql("FROM calls"), "device", tmp_path / "eir", only_hits=True)
        assert hits.read_all().num_rows == dirty.words().count("listed") * COPIES
        register(con, "live", store, malformed=False)  # the store itself answers by its newest state
        assert column(con, "SELECT live('352099001761499')") == [False]
        store.apply(Delta("stolen", add=["352099001761499"]))
        assert column(con, "SELECT live('352099001761499')") == [True]
