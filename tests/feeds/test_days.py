"""Dates in rows: read by a kernel, or by `day_number`, which say the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imeiset._native.scan import Scanner
from imeiset.feeds import Options, read, reader
from imeiset.feeds.days import NOT_A_DAY, day_number

A = "352099001761481"
FORMS = {
    "": 0,
    " ": 0,
    "20240229": 20240229,
    " 2024-02-29\t": 20240229,
    "2024/02/29": 20240229,
    "2024.02.29": 20240229,
    "2024-02-29T10:00:00Z": 20240229,
    "2024-02-29 23:59:59.5+14:00": 20240229,
    "20240229T100000": 20240229,
    "20240229 10:00": 20240229,
    "00010101": 10101,
    "99991231": 99991231,
}
NO_DAYS = [
    *("20230229", "20240230", "20240431", "20241301", "20240001", "20240100", "00000101", "19000229", "2024"),
    *(
        "2024-02/29",
        "2024-2-9",
        "29.02.2024",
        "01.11.26",
        "202402291",
        "20240229100000",
        "2024-02-29t10",
        "x",
    ),
    *(
        "2024-02-2",
        "2024--0229",
        "+2024022",
        "2024_02_29",
        "45352",
        "2024-02-29Z",
        "٢٠٢٤٠٢٢٩",
        "2024-02-2\x00",
    ),
]


def scanned(cell):
    scanner = Scanner(b",", (1,))
    scanner.feed(b"x," + cell + b",y\n", final=True)
    assert scanner.batch() == 1
    return scanner.days(0).tolist()[0]


@pytest.mark.parametrize(("cell", "number"), [*FORMS.items(), *((cell, NOT_A_DAY) for cell in NO_DAYS)])
def test_forms(cell, number):
    assert day_number(cell.encode()) == number
    assert scanned(cell.encode()) == number


@given(
    st.one_of(
        st.tuples(*map(st.sampled_from, ("0129", "09", "0269", "0489"))).map("".join),
        st.just("2024"),
    ),
    st.sampled_from(["", "-", "/", ".", "x", "--"]),
    st.integers(0, 14),
    st.sampled_from(["", "-", "/", "."]),
    st.integers(0, 33),
    st.sampled_from(["", "T", " ", "T1", " 1", "x", "1", "\r", "\v"]),
    st.sampled_from(["", " ", "\t", "\f"]),
)
def test_the_kernel_and_its_twin(year, part, month, other, day, end, before):
    for second in (part, other):
        cell = f"{before}{year}{part}{month:02}{second}{day:02}{end}".encode()
        assert scanned(cell) == day_number(cell)


def test_what_is_not_understood_is_counted(tmp_path, monkeypatch):
    """With the lines of the first rows that are in the result; an empty cell is not a date."""
    path = tmp_path / "list"
    cells = ["20240101", "", "01.11.2026", "2026-11-01", "x", *["20230229"] * 6]
    table = [f"{A},{cell}" for cell in cells] + ["y,x", f'{A},"z\n"']
    path.write_text("imei,date\n" + "\n".join(table) + "\n")
    for chunk in (30, 1 << 20):
        monkeypatch.setattr(reader, "CHUNK", chunk)
        found = read(path, ["date"])
        assert found.columns["date"].tolist() == [20240101, 0, 0, 20261101, *[0] * 8]
        named = found.report.dates_not_understood
        assert (named.count, [line for _, line in named.first]) == (9, [4, 6, 7, 8, 9])
    found = read(path, ["date"], options=Options(date_format="%d.%m.%Y"))
    assert found.columns["date"].tolist() == [0, 0, 20261101, *[0] * 9]
    assert found.report.dates_not_understood.count == 10


def test_nobody_asked_for_dates(tmp_path):
    path = tmp_path / "list"
    path.write_text(f"imei,date\n{A},x\n")
    assert read(path, []).report.dates_not_understood.count == 0
