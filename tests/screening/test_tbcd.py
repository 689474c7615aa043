"""Records whose IMEIs are TBCD in hexadecimal."""

import json

import numpy as np
import oracle
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from imeiset import EquipmentStatus, ImeiSet, Policy, Register, screen
from imeiset._native.records import read
from imeiset.cli import main
from imeiset.errors import FeedColumn
from imeiset.errors import ParseStatus as S

A = "352099001761481"
LISTED = ImeiSet([A])


def swapped(text):
    """Digits as TBCD, with the fillers that they need."""
    text += "F" * (len(text) % 2)
    return "".join(text[i ^ 1] for i in range(len(text)))


def obvious(cell):
    """The digits in a cell of TBCD, or None, and the status; without one of the check digit."""
    text = cell.strip(oracle.BLANKS)
    if not text:
        return None, S.EMPTY
    if not all(c in "0123456789abcdefABCDEF" for c in text):
        return None, S.NOT_DIGIT
    if len(text) not in (14, 16):
        return None, S.TOO_LONG if len(text) > 16 else S.TOO_SHORT
    digits, _, status = oracle.read("".join(text[i ^ 1] for i in range(len(text))))
    return digits, status


@given(
    st.lists(
        st.one_of(
            st.sampled_from([A, A[:14], A[:14] + "01"]).map(swapped),
            st.sampled_from(["", " ", f" {swapped(A)}\t", swapped(A).lower(), A, f"{A} ", "5302", "x" * 16]),
            st.text("0123456789abcdefABCDEF", min_size=13, max_size=17),
            st.text("01Fg -\0", max_size=18),
        ),
        max_size=20,
    ),
    st.sampled_from([np.int32, np.int64]),
)
def test_cells_equal_the_obvious(cells, dtype):
    ends = np.cumsum([len(cell) for cell in cells], dtype=dtype)
    starts = ends - np.array([len(cell) for cell in cells], dtype)
    keys, status = np.empty(len(cells), np.uint64), np.full(len(cells), 99, np.uint8)
    forms, *lost = read("".join(cells).encode(), starts, ends, keys, status, 0, b",", True)
    right = [obvious(cell) for cell in cells]
    assert status.tolist() == [status for _, status in right]
    assert keys.tolist() == [oracle.NO_KEY if one is None else int(one[:14]) for one, _ in right]
    assert forms == tuple(sum(one is not None and len(one) == n for one, _ in right) for n in (14, 15, 16))
    assert lost == [(0, []), (0, [])]


@pytest.fixture(params=["csv", "parquet", "csv to parquet"])
def records(request, tmp_path):
    """A file of records, and where their status goes."""
    if request.param != "csv":
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pytest.importorskip("nanoarrow")

    def write(cells):
        source = tmp_path / ("in.parquet" if request.param == "parquet" else "in.csv")
        if request.param == "parquet":
            pq.write_table(pa.table({"imei": cells}), source)
        else:
            source.write_text("imei,\n" + "".join(f"{cell},\n" for cell in cells))
        return source, tmp_path / ("out.csv" if request.param == "csv" else "out.parquet")

    return write


def test_records_that_look_like_it_are_an_error(records):
    source, out = records([swapped(A[:14] + f"{n:02}") for n in range(10)])
    with pytest.raises(FeedColumn, match=r"--tbcd reads TBCD, --no-tbcd.*10 of the first 10 rows"):
        screen(source, LISTED, output=out)
    assert not out.exists()
    assert screen(source, LISTED, output=out, tbcd=True).words == {"listed": 10}
    assert screen(source, LISTED, output=out, tbcd=False).words == {"not listed": 10}


def test_few_records_say_nothing(records):
    source, out = records([swapped(A[:14] + f"{n:02}") for n in range(9)])
    assert screen(source, LISTED, output=out).hits == 0


@pytest.mark.parametrize("irregular", ["reject", "keep"])
@pytest.mark.parametrize("policy", [None, EquipmentStatus.BLACKLISTED])
def test_a_cell_that_is_none_is_not_looked_up_as_it_stands(records, irregular, policy):
    """It is a number of TBCD, and the list may have the text of that as an irregular identity."""
    register = Register(Policy(malformed=policy))
    texts = ["DEADBEEF"] if irregular == "keep" else []
    register.add("stolen", ImeiSet([A, *texts], irregular=irregular), status=EquipmentStatus.BLACKLISTED)
    source, out = records([swapped(A), A, "DEADBEEF"])
    report = screen(source, register, output=out, tbcd=True)
    assert report.hits == (3 if policy else 1)
    assert report.malformed == 2


def test_the_command_has_the_option(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    LISTED.save("list.imei")
    (tmp_path / "calls.csv").write_text("imei\n" + f"{swapped(A + '0')}\n" * 10)
    for options, code, hits in (([], 2, None), (["--tbcd"], 0, 10), (["--no-tbcd"], 1, 0)):
        found = CliRunner().invoke(main, ["screen", "list.imei", "calls.csv", "--json", *options])
        assert found.exit_code == code, found.output
        assert hits is None or json.loads(found.stdout)["hits"] == hits


def test_integers_are_none(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pytest.importorskip("nanoarrow")
    pq.write_table(pa.table({"imei": [int(A[:14])]}), tmp_path / "in.parquet")
    with pytest.raises(FeedColumn, match="texts, to read TBCD"):
        screen(tmp_path / "in.parquet", LISTED, tbcd=True)


def test_numbers_of_rows_in_tables(records):
    source, out = records([f"{n} {A}" for n in range(1, 4)])
    with pytest.raises(FeedColumn, match="numbers of rows before IMEIs, in 3 of the first 3 rows"):
        screen(source, LISTED, output=out)
