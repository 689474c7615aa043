"""SQL functions and screened readers, against the oracle."""

import dirty
import pytest

from imeiset import Delta, EquipmentStatus, ImeiError, ImeiSet, Policy, Register, Screener, Store

duckdb = pytest.importorskip("duckdb")
pa = pytest.importorskip("pyarrow")
pytest.importorskip("nanoarrow")
from imeiset.integrations.duckdb import register, screen  # noqa: E402

W = EquipmentStatus.WHITELISTED
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


@pytest.mark.filterwarnings("ignore::imeiset.ImeiWarning")  # most rows are dirty on purpose
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


@pytest.mark.filterwarnings("ignore::imeiset.ImeiWarning")  # most rows are dirty on purpose
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


def test_a_status_of_the_rows_is_not_the_answer(con):
    rows = con.sql(f"SELECT '{dirty.GOOD}' AS device, 'active' AS Status, 1 AS status_2")
    screened = screen(rows, "device", ImeiSet([dirty.GOOD]))
    assert screened.schema.names == ["device", "Status", "status_2", "status_3"]
    cursor = con.cursor()  # which old versions close with its last name
    found = cursor.sql("SELECT status, status_3 FROM screened").fetchall()
    assert found == [("active", "listed")]


@pytest.mark.filterwarnings("ignore::imeiset.ImeiWarning")  # most rows are dirty on purpose
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


@pytest.mark.parametrize("dtype", ["BIGINT", "UBIGINT"])
def test_integers_with_their_check_digit(con, dtype):
    """An error unless digits=15 says what they are, whatever malformed rows count as."""
    blocked, stolen = ImeiSet([*dirty.LISTED, dirty.ZERO]), Register(Policy(malformed=W))
    stolen.add("stolen", blocked, status=EquipmentStatus.BLACKLISTED)
    numbers = f"(SELECT unnest({dirty.FIFTEEN})::{dtype} AS device)"
    answers = [True, True, True, False]
    for name, listed in (("set", blocked), ("register", stolen)):
        hits = Screener(listed).words[1]
        register(con, f"{name}15", listed, digits=15)
        assert column(con, f"SELECT {name}15(device) FROM {numbers}") == answers
        found = column(con, f"SELECT {name}15_status(device) FROM {numbers}")
        assert [word == hits for word in found] == answers
        found = screen(con.sql(f"FROM {numbers}"), "device", listed, digits=15).read_all()
        assert [word == hits for word in found["status"].to_pylist()] == answers
        for malformed in (None, False, True):
            register(con, f"{name}_{malformed}", listed, malformed=malformed)
            for function in (f"{name}_{malformed}", f"{name}_{malformed}_status"):
                with pytest.raises(duckdb.Error, match="ImeiError: row 0: an integer of 15 digits"):
                    column(con, f"SELECT {function}(device) FROM {numbers}")
                assert len(column(con, f"SELECT {function}(49015420323751::{dtype})")) == 1
        with pytest.raises(ImeiError, match="row 0: an integer of 15 digits"):
            screen(con.sql(f"FROM {numbers}"), "device", listed).read_all()


def test_arguments_of_functions(con):
    """What DuckDB would cast to text is read as it is, and refused where it is not an IMEI's column."""
    register(con, "blocked", ImeiSet(dirty.LISTED), malformed=False)
    for refused in (
        "5.0::DOUBLE",
        "1::HUGEINT",
        "1::DECIMAL(20, 0)",
        "1::INTEGER",
        "true",
        "DATE '2024-01-01'",
    ):
        for function in ("blocked", "blocked_status"):
            as_text = ".*: read the column as text" if "DOUBLE" in refused else ""
            with pytest.raises(duckdb.Error, match=f"TypeError: expected{as_text}"):
                column(con, f"SELECT {function}({refused})")
    with pytest.raises(duckdb.Error, match="expected one IMEI, got 2 values"):
        column(con, "SELECT blocked('1', '2')")
    with pytest.raises(duckdb.Error):
        column(con, "SELECT blocked()")
    good = f"'{dirty.GOOD}'"
    for accepted in (good, f"{good}::ENUM({good}, 'x')", f"{good}::BLOB", "49015420323751"):
        assert column(con, f"SELECT blocked({accepted})") == [True]
    assert column(con, "SELECT blocked_status(NULL::VARCHAR)") == ["malformed: missing"]
    assert con.execute("SELECT blocked(?), blocked(?)", [dirty.GOOD, 49015420323751]).fetchall() == [
        (True, True)
    ]
