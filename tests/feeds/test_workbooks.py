"""Workbooks: what a cell is read as, which sheet, and the workbooks that are refused."""

import contextlib
import datetime
import io
import re
import subprocess
import sys
import warnings
import zipfile

import pytest

from imeiset import errors, load, screen
from imeiset.feeds.sources import Source

openpyxl = pytest.importorskip("openpyxl", reason="the extra xlsx")

A, B, Z = "352099001761481", "860123450000012", "012345678901237"
FORMULA = '<c r="A2"><f>A1</f><v></v></c>'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "list.xlsx"


def text_of(path, **options):
    """The text of the sheet, its lines, and the notes."""
    with Source(str(path), **options) as source:
        found = b""
        for buffer, start, stop in source:
            found += buffer[start:stop]
            source.release(buffer)
    return found.decode().splitlines(), source.notes


def saved(path, rows, *, title="List", change=None):
    """A workbook of one sheet. change: a function of the sheet, before it is saved."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    if change:
        change(sheet)
    book.save(path)
    return path


def edited(path, changes, added=()):
    """The same with some of its parts changed: functions of the bytes of a part, by name; and more parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, changes.get(name, bytes)(old.read(name)))
        for name, part in dict(added).items():
            new.writestr(name, part)
    path.write_bytes(file.getvalue())
    return path


def shared(path, table, place):
    """The same with the text of A2 in the table of texts, as spreadsheets write it."""
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    override = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
    cell = f'<c r="A2" t="s"><v>{place}</v></c>'.encode()
    changes = {
        "[Content_Types].xml": replaced("</Types>", override),
        SHEET: lambda part: re.sub(rb'<c r="A2".*?</c>', cell, part),
    }
    return edited(path, changes, {"xl/sharedStrings.xml": table})


def replaced(old, new):
    """A change of a part, in which the text has to be."""

    def change(part):
        assert old.encode() in part
        return part.replace(old.encode(), new.encode(), 1)

    return change


BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
SHEET = "xl/worksheets/sheet1.xml"


# ---- cells -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "style", "text"),
    [
        (A, None, A),
        (f" {A}\n", None, A),
        (f"{A[:8]}\n{A[8:]}", None, f"{A[:8]}\x1f{A[8:]}"),  # never an IMEI of two lines
        ("a,b", None, '"a,b"'),
        ('a "b"', None, '"a ""b"""'),
        ("a;b|c", None, '"a;b|c"'),
        (int(A), None, A),
        (float(A), None, A),
        (int(A), "0", A),
        (int(A), "0.00E+00", A),
        (int(A), "yyyy-mm-dd", A),  # shown as ####
        (-int(A), "yyyy-mm-dd", f"-{A}"),
        (int(Z), None, Z[1:]),
        (int(Z), "000000000000000", Z),  # what it shows
        (int(Z), "00-000000-000000-0", Z),
        (int(Z), '00" "000000" "000000" "0', Z),
        (int(Z), "#00000000000000", Z[1:]),
        (3520990017614810, None, "3520990017614810"),
        (12.5, None, "12.5"),
        (1e20, None, "1e+20"),
        (0, None, "0"),
        (True, None, "TRUE"),
        (False, None, "FALSE"),
        (datetime.date(2026, 11, 1), None, "2026-11-01"),
        (datetime.datetime(2026, 11, 1, 10, 5), None, "2026-11-01 10:05:00"),
        (datetime.time(10, 5), None, "10:05:00"),
        ("#N/A", None, "#N/A"),
    ],
)
def test_what_a_cell_is_read_as(path, value, style, text):
    def change(sheet):
        sheet["B2"] = value
        if style:
            sheet["B2"].number_format = style

    lines, _ = text_of(saved(path, [["imei", "what"], [B, None]], change=change))
    assert lines == ["imei,what", f"{B},{text}"]


def test_a_number_in_scientific_notation_has_all_its_digits(path):
    saved(path, [["imei"], [int(A)]])
    edited(path, {SHEET: replaced(f"<v>{A}</v>", "<v>3.52099001761481E+14</v>")})
    assert list(load(path).set) == [A]


def test_the_number_is_that_of_the_system_of_1904_too(path):
    saved(path, [["imei", "date"], [A, datetime.date(2026, 11, 1)]])
    edited(path, {"xl/workbook.xml": replaced("<workbookPr", '<workbookPr date1904="1"')})
    assert text_of(path)[0][1] == f"{A},2030-11-02"


def test_formulas_have_their_stored_values(path):
    saved(path, [["imei"], ["=A1"]])
    for stored, text in ((f"<v>{A}</v>", A), ("<v>3.52099001761481E+14</v>", A)):
        edited(path, {SHEET: lambda part, s=stored: re.sub(rb"<v>.*</v>|<v ?/>", s.encode(), part)})
        assert text_of(path)[0] == ["imei", text]


@pytest.mark.parametrize(
    "cell", [FORMULA, FORMULA.replace("<v></v>", "<v />"), FORMULA.replace("<v></v>", "")]
)
def test_a_formula_without_a_stored_value_is_refused(path, cell):
    """It would be blank, and a blank status counts."""
    saved(path, [["imei"], [A]])
    edited(path, {SHEET: lambda part: re.sub(rb'<c r="A2".*?</c>', cell.encode(), part)})
    with pytest.raises(errors.FeedEncoding, match=r"values of its formulas, got none in cell A2: open it"):
        load(path)


def test_a_formula_that_gives_an_empty_text_is_blank(path):
    saved(path, [["imei", "x"], [A, "y"]])
    cell = b'<c r="B2" t="str"><f>""</f><v></v></c>'
    edited(path, {SHEET: lambda part: re.sub(rb'<c r="B2".*?</c>', cell, part)})
    assert text_of(path)[0][1] == f"{A},"


def test_texts_may_be_in_a_table(path):
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    table = f'<sst xmlns="{main}"><si><t>x</t></si><si><r><t>{A[:8]}</t></r><r><t>{A[8:]}</t></r></si></sst>'
    shared(saved(path, [["imei"], [B]]), table, 1)
    assert list(load(path).set) == [A]
    for damaged, place in ((table, 7), (table[:-9], 1), (table, "x")):
        shared(saved(path, [["imei"], [B]]), damaged, place)
        with pytest.raises(errors.FeedTruncated):
            load(path)
    shared(saved(path, [["imei"], [B]]), BOMB + table, 1)
    with pytest.raises(errors.FeedEncoding, match=r"one in xl/sharedStrings\.xml"):
        load(path)


def test_escapes_are_characters(path):
    saved(path, [["imei"], [f"{A}_x000D_"]])
    assert text_of(path)[0] == ["imei", A]


def test_merged_cells_are_what_all_their_rows_show(path):
    """The status of three rows stands in the first: the others are not listed because it is blank."""

    def change(sheet):
        sheet.merge_cells("C2:C3")
        sheet.merge_cells("A5:B5")

    rows = [["imei", "reporting_date", "status"], [A, None, "recovered"], [B], [Z, None, "blacklist"], ["x"]]
    saved(path, rows, change=change)
    assert text_of(path)[0] == [
        "imei,reporting_date,status",
        f"{A},,recovered",
        f"{B},,recovered",
        f"{Z},,blacklist",
        "x,,",
    ]


# ---- rows ------------------------------------------------------------------------------------------


def test_a_line_is_a_row_of_the_sheet(path):
    def change(sheet):
        sheet["A7"] = "x"
        sheet["C9"] = "a note far right"

    saved(path, [["A report"], [], ["imei", "maker"], [A], [B, "m"]], change=change)
    lines, _ = text_of(path)
    assert lines == ["A report", "", "imei,maker", f"{A}", f"{B},m", "", "x", "", ",,a note far right"]
    saved(
        path, [["A report"], [], ["imei", "maker"], [A], [B, "m"]], change=lambda sheet: sheet.insert_rows(1)
    )
    lines, _ = text_of(path)
    assert lines == ["", "A report", "", "imei,maker", f"{A},", f"{B},m"]
    report = load(saved(path, [["imei"], [A], [], ["x"]])).report
    assert report.rejects["not_digit"].first == [(str(path), 4)]
    assert (report.lines, report.rows, report.blank, report.headers) == (4, 2, 1, 1)


def test_the_size_that_a_sheet_claims_is_not_believed(path):
    saved(path, [["imei"], [A], [B]])
    edited(path, {SHEET: lambda part: re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:A2"', part)})
    assert len(load(path).set) == 2


def test_a_sheet_that_numbers_nothing(path):
    saved(path, [["imei", "x"], [A, "y"], [B, "z"]])
    edited(path, {SHEET: lambda part: re.sub(rb' r="[A-Z]*\d+"', b"", part)})
    assert text_of(path)[0] == ["imei,x", f"{A},y", f"{B},z"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('<row r="3"', '<row r="2"'),
        ('<row r="3"', '<row r="99999999999"'),
        ('<row r="3"', '<row r="x"'),
        ('<c r="B3"', '<c r="A3"'),
        ('<c r="B3"', '<c r="XFE3"'),
        ('<c r="B3"', '<c r="3"'),
        ("</sheetData>", "</sheetDatum>"),
        ("</sheetData>", ""),
    ],
)
def test_a_damaged_sheet_is_an_error(path, old, new):
    saved(path, [["imei", "x"], [A, "y"], [B, 5]])
    edited(path, {SHEET: replaced(old, new)})
    with pytest.raises(errors.FeedTruncated, match="a whole workbook"):
        load(path)


def test_many_rows_are_streamed(path):
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("many")
    sheet.append(["imei", "maker"])
    for number in range(10**14 - 30_000, 10**14):
        sheet.append([f"{number}", "m"])
    book.save(path)
    seen = []
    found = load(path, progress=lambda done, total: seen.append((done, total)))
    assert len(found.set) == found.report.rows == 30_000
    assert seen[-1] == (path.stat().st_size,) * 2


def test_numbers_that_lost_a_zero_are_rows_of_14_digits(path):
    report = load(saved(path, [["imei"], [int(A)], [int(Z)], [Z]])).report
    assert report.forms == {14: 1, 15: 2, 16: 0}


# ---- sheets ----------------------------------------------------------------------------------------


def sheets(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, value in sheets.items():
        sheet = book.create_sheet(name)
        for row in value or ():
            sheet.append(row)
        if name.startswith("hidden"):
            sheet.sheet_state = "hidden"
        if name.startswith("very"):
            sheet.sheet_state = "veryHidden"
    book.save(path)
    return path


def test_the_only_sheet_with_cells_is_read(path):
    sheets(path, empty=None, list=[["imei"], [A]], hidden=[["imei"], [B]], very=[["imei"], [Z]])
    found = load(path)
    assert list(found.set) == [A]
    assert found.report.notes == [
        (str(path), "read: sheet 'list'"),
        (str(path), "not read: sheets 'empty', 'hidden' (hidden), 'very' (hidden)"),
    ]
    assert list(load(path, sheet="hidden").set) == [B]
    assert list(load(path, sheet="LIST").set) == [A]


def test_of_several_sheets_one_is_chosen(path):
    sheets(path, one=[["imei"], [A]], two=[["imei"], [B]], hidden=[["imei"], [Z]])
    with pytest.raises(
        errors.FeedColumn, match=r"one visible sheet with cells, or --sheet .* got sheets 'one', 'two'$"
    ):
        load(path)
    assert list(load(path, sheet="two").set) == [B]
    with pytest.raises(errors.FeedColumn, match=r"a sheet 'three', got sheets 'one', 'two', 'hidden' \(h"):
        load(path, sheet="three")
    sheets(path, hidden=[["imei"], [Z]], other=None)
    with pytest.raises(errors.FeedColumn, match="one visible sheet with cells"):
        load(path)


def test_hidden_rows_are_read_and_counted(path):
    def change(sheet):
        for row in (2, 4, 9):  # the last has nothing
            sheet.row_dimensions[row].hidden = True

    found = load(saved(path, [["imei"], [A], [B], [Z]], change=change))
    assert len(found.set) == 3
    assert found.report.notes[-1] == (str(path), "read though hidden: 2 rows")


def test_a_sheet_of_text_is_an_error(path):
    path.write_text(f"{A}\n")
    with pytest.raises(errors.FeedColumn, match="a workbook, for the sheet 'list', got another file"):
        load(path, sheet="list")


@pytest.mark.parametrize("ending", ["xlsm", "xltx", "xltm", "csv", "zip", ""])
def test_the_first_bytes_decide(path, ending):
    kind = {"xlsm": "sheet.macroEnabled", "xltx": "template", "xltm": "template.macroEnabled"}.get(ending)
    saved(path, [["imei"], [A]])
    if kind:
        known = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
        new = (
            f"application/vnd.ms-excel.{kind}.main+xml"
            if "macro" in kind
            else known.replace("sheet.", f"{kind}.")
        )
        edited(path, {"[Content_Types].xml": replaced(known, new)})
    path = path.rename(path.with_suffix(f".{ending}" if ending else ""))
    assert list(load(path).set) == [A]


def test_workbooks_are_screened(path, tmp_path):
    saved(path, [["imei", "cell"], [A, 1], [B, 2], ["x", 3]])
    listed = load(saved(tmp_path / "other.xlsx", [["imei"], [A]])).set
    report = screen(path, listed, output=tmp_path / "out.csv")
    assert (report.rows, report.hits) == (3, 1)
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == f"{A},1,listed"
    (tmp_path / "out.csv").unlink()
    assert screen(tmp_path, listed).rows == 4


# ---- hostile ---------------------------------------------------------------------------------------


def test_the_extra_is_named(path, monkeypatch):
    saved(path, [["imei"], [A]])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ModuleNotFoundError, match=r"workbooks need openpyxl.*imeiset\[xlsx\]"):
        load(path)


def test_a_workbook_cut_or_damaged_anywhere(path):
    """The same set, or an error of a feed; no warning, and nothing else."""
    whole = saved(path, [["imei", "x"], *([f"{n:014}", n] for n in range(10, 40))]).read_bytes()
    members = load(path).set
    for cut in range(0, len(whole), 97):
        path.write_bytes(whole[:cut])
        with pytest.raises(errors.FeedError):
            load(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for at in range(0, len(whole), 11):
            damaged = bytearray(whole)
            damaged[at] ^= 0x10
            path.write_bytes(damaged)
            with contextlib.suppress(errors.FeedError):
                assert load(path).set == members


@pytest.mark.parametrize(
    "part", ["xl/workbook.xml", "[Content_Types].xml", SHEET, "xl/styles.xml", "_rels/.rels"]
)
@pytest.mark.parametrize("content", [b"", b"x", b"<a/>", b"<a>", bytes(100)])
def test_a_part_that_is_something_else(path, part, content):
    saved(path, [["imei"], [A]])
    edited(path, {part: lambda _: content})
    with contextlib.suppress(errors.FeedError):
        assert list(load(path).set) == [A]  # without styles, say


@pytest.mark.parametrize("part", ["xl/workbook.xml", "[Content_Types].xml", SHEET])
def test_xml_that_declares_entities(path, part):
    saved(path, [["imei"], [A]])
    edited(path, {part: lambda text: BOMB.encode() + re.sub(rb"<\?xml.*?\?>", b"", text)})
    with pytest.raises(
        errors.FeedEncoding, match=f"without a document type in its XML, got one in {re.escape(part)}"
    ):
        load(path)


def test_a_workbook_that_is_huge_when_unpacked(path):
    saved(path, [["imei"], [A]])
    edited(path, {SHEET: lambda part: part + b" " * (1 << 25)})
    with pytest.raises(
        errors.FeedLimit, match=r"at most 16,777,216 bytes when unpacked: save a larger one as"
    ):
        load(path)
    with pytest.raises(errors.FeedLimit, match="at most 1,000 bytes when unpacked"):
        load(path, max_bytes=1000)
    assert list(load(path, max_ratio=1e6).set) == [A]


def test_a_workbook_with_a_password(path):
    path.write_bytes(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + "EncryptedPackage".encode("utf-16-le")
    )
    with pytest.raises(errors.FeedEncoding, match="a workbook with a password, or an old xls one"):
        load(path)


def test_strict_open_xml(path):
    saved(path, [["imei"], [A]])
    old, new = (
        "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
        "http://purl.oclc.org/ooxml/spreadsheetml/main",
    )
    edited(path, {"xl/workbook.xml": replaced(old, new), SHEET: replaced(old, new)})
    with pytest.raises(errors.FeedEncoding, match="'Strict Open XML' one"):
        load(path)


def test_a_workbook_in_an_archive_or_a_pipe(path):
    data = saved(path, [["imei"], [A]]).read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("list.xlsx", data)
    with pytest.raises(errors.FeedEncoding, match="a workbook inside compressed data"):
        load(path)
    code = "import imeiset; imeiset.load('-')"
    found = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=False)
    assert b"a workbook that cannot be sought in" in found.stderr
