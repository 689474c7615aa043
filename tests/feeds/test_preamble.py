"""Lines above a header: which are left out, and that none of them is a row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imeiset import ImeiSet, load, screen
from imeiset.errors import FeedColumn, FeedError
from imeiset.feeds import Options
from imeiset.feeds.dialect import sniff

A, B, C = "490154203237518", "356938035643809", "352099001761481"
HEADER = f"imei,reporting_date,status\n{A},20240101,BLACKLIST\n{B},20240102,WHITELIST\n"


def lines_above(text, **options):
    """The lines above the header, or the error in words; None if the first line is it, or a row."""
    try:
        found = sniff("feed", text.encode(), Options(**options))
    except FeedColumn as error:
        return str(error)
    return found.preamble.lines if found.header else None


@pytest.mark.parametrize(
    "above",
    [
        "Stolen phones of November\n",
        "Stolen phones, November\n",
        "Licence: for members only.\nDo not pass on!\n",
        "Generated: 2024-11-29 10:15:00\n",
        "Report,,\n",
        "Report,29.11.2024,\n",
        "stolen_list_20241129\n\n# with comments\n \t\nRows: 12,345\n",
        "Blocked IMEI report\n",
        '"Report of ""all"" phones"\n',
        ",,\nReport\n",
        "Title\n" * 19,
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_that_cannot_be_rows(tmp_path, above, end):
    path = tmp_path / "feed"
    path.write_text((above + HEADER).replace("\n", end), newline="")
    blocked, report = load(path)
    others = [line for line in above.splitlines() if line.strip() and not line.startswith("#")]
    assert (list(blocked), report.preamble, report.formats) == ([A], len(others), ["stolen"])
    assert (report.rows, report.ignored, report.rejected) == (2, {"whitelist": 1}, 0)
    lines = report.rows + report.headers + report.blank + report.comments + report.continued
    assert report.lines == lines == (above + HEADER).count("\n")
    assert screen(path, ImeiSet([B]), output=tmp_path / "out").hits == 1
    assert (tmp_path / "out").read_text().count("\n") == 3
    assert load(path, skip=above.count("\n")).set == blocked
    with pytest.raises(FeedError):
        load(path, skip=0)


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        # delimiters, titles and formats of every kind
        (f"Report\nno;calling_imei\n1;{A}\n", {}, 1),
        (f"Report, of all\nno\tIMEI\n1\t{A}\n", {}, 1),
        (f"Report\nimei1,imei2\n{A},{B}\n", {"column": ("imei1", "imei2")}, 1),
        (f"Report\nno,device\n1,{A}\n", {"column": "device"}, 1),
        (f"Report\nimei2;imei\n;{A}\n", {"column": ("imei2", "imei")}, 1),
        (f",,\nReport\nno;imei\n1;{A}\n", {}, 2),
        (f"Report\nimei2;imei\n;{A}\n", {}, "one column of IMEIs"),
        (f"Report\nno,device\n1,{A}\n", {"column": 2}, 1),
        (f"Report\ndevice,no\n{A},1\n", {"column": 1}, 1),
        (f"Report\ndevice,other\n,{A}\n", {"column": (1, 2)}, 1),
        ("Report\ntac,brand\n49015420,x\n", {}, 1),
        ("Report\nfrom,to\n49015420000000,49015420999999\n", {}, 1),
        (f"Report\nApproved_IMEI,make,model,status\n{A},x,y,\n", {}, 1),
        (f"Report\nimei,x\n{A},1\n", {"format": "barred"}, 1),
        ("Report\nimei,x\n", {}, 1),
        ("Report\nimei,x\n,\n", {}, "expected a header"),
        # one cell a line
        (f"Report\nimei\n{A}\n", {}, 1),
        (f"Report, of all\nIMEI\n{A}\n{B}\n", {}, 1),
        ("Report\ntac\n49015420\n", {}, 1),
        (f"Report\nblocked imei\n{A}\n", {}, 1),
        (f"{C}\nimei\n{A}\n", {}, None),
        (f"62#22\nimei\n{A}\n", {}, None),
        (f"DEADBEEF\nimei\n{A}\n", {"irregular": "keep"}, None),
        # the first line is the header
        (f"imei,x\nReport\nimei,x\n{A},1\n", {}, 0),
        (f"calling_imei,x\nReport\n{A},1\n", {}, 0),
        (f"imei\n{A}\nimei\n", {}, 0),
        # or a row
        (f"{A},x\n{B},imei stolen\n{C},x\n", {}, None),
        (f"{A},x\nN/A,imei unknown\n" + f"{B},x\n" * 20, {}, None),
        (f"{A},x\nzzz,x\n{B},x\n", {"column": 1}, None),
        (f"1,{A}\n2,zzz\n3,{B}\n", {"column": 2}, None),
        # too far down
        ("Title\n" * 20 + HEADER, {}, None),
        ("Title\n" * 20 + HEADER * 20, {}, "expected a header"),
    ],
)
def test_where_the_header_is(text, options, expected):
    found = lines_above(text, **options)
    assert found == expected or str(expected) in str(found)


@pytest.mark.parametrize(
    "row",
    [
        f"{A},20240101,BLACKLIST",
        f"{A}",
        A[:-3],
        "4901542",
        "490154,x",
        "20241129",
        "20241129,x",
        "DEAD*BEEF",
        "x,DEADBEEF",
        "x,62#2",
        "62#2",
        "no number 490154",
        "4.90154E+14",
        "imei-490154203237518,x",
        "IMEI: 4901********",
        "490-154,x",
        "x,2024-11-29,y",
        "N/A,unknown,x",
        '"x',
        'x,"y',
        "imei",
        "x,imei",
    ],
)
@pytest.mark.parametrize("at", [0, 1])
def test_a_line_that_may_be_a_row_is_never_left_out(row, at):
    lines = ["Report\n", "of all\n"]
    lines[at] = row + "\n"
    said = lines_above("".join(lines) + HEADER)
    assert "--skip 2 for the lines above it (--skip 0 if they are rows), got one in line 3" in said
    assert f"feed:{at + 1}" in said or f"line {at + 1}" in said
    assert A not in said
    assert lines_above("# x\n\n" + "".join(lines) + HEADER).count("--skip 4")
    assert lines_above("".join(lines) + HEADER, skip=2) == 2


def test_skip(tmp_path):
    path = tmp_path / "feed"
    path.write_text(f"{C},x\n{HEADER}")
    blocked, report = load(path, skip=1)
    assert (list(blocked), report.preamble, report.comments, report.lines) == ([A], 1, 1, 4)
    path.write_text(f"x\n# y\n\n{HEADER}")
    assert load(path, skip=1).report.comments == 2
    path.write_text(f"Report\nimei\n{A}\n")
    report = load(path, skip=0).report
    assert (report.rows, report.rejected) == (3, 2)
    with pytest.raises(FeedColumn, match="rows below 4 lines that are skipped, got fewer lines"):
        load(path, skip=4)


def test_sheets_begin_with_titles(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["Stolen phones"], [], ["of", "November"], ["no", "imei", "x"], [1, A, "y"], [2, B]):
        book.active.append(row)
    book.save(tmp_path / "list.xlsx")
    blocked, report = load(tmp_path / "list.xlsx")
    assert (blocked, report.preamble, report.blank, report.rejected) == (ImeiSet([A, B]), 2, 1, 0)
    assert screen(tmp_path / "list.xlsx", blocked).hits == 2
    book.active["A1"] = f"Stolen phones, {C}"
    book.save(tmp_path / "list.xlsx")
    with pytest.raises(FeedColumn, match="--skip 3"):
        load(tmp_path / "list.xlsx")
    assert load(tmp_path / "list.xlsx", skip=3).set == blocked


cells = st.sampled_from(
    [
        A,
        B,
        C,
        A[:14],
        A[:-1],
        f"{C}x",
        "imei",
        "imei stolen",
        "IMEI 2",
        "x",
        "",
        "N/A",
        "62#2",
        "2024-11-29",
        "#1",
        '"',
    ]
)


@given(
    st.lists(st.lists(cells, min_size=1, max_size=3), min_size=1, max_size=6), st.sampled_from([None, 1, 2])
)
def test_no_row_is_lost_whatever_is_above(rows, column):
    """Of each file, all numbers are below the header, or the file is refused."""
    text = "".join(",".join(row) + "\n" for row in rows)
    try:
        found = sniff("feed", text.encode(), Options(column=column))
    except FeedColumn:
        return
    above = text.encode()[: found.preamble.size].decode()
    if found.header:
        above += text[len(above) :].partition("\n")[0]
    left_out = [line for line in above.splitlines() if not line.startswith("#")]
    assert not any(number[:6] in line for line in left_out for number in (A, B, C))
