"""Which delimiter, which header, which column: found, or an error that says what to do."""

import pytest

from imeiset import ImeiSet, load
from imeiset.errors import FeedColumn, FeedEmpty
from imeiset.feeds import Options, read
from imeiset.feeds import dialect as dialects
from imeiset.feeds.dialect import Dialect, sniff
from imeiset.feeds.preamble import preamble

A, B, C = "490154203237518", "35-693803-564380-9", "35693803564380"


def look(text, column=None):
    found = sniff("feed", text.encode(), Options(column=column))
    return found.delimiter, found.column, found.header


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        # plain
        (f"{A}\n{B}\n", None, (b"", 0, False)),
        (f"{A}", None, (b"", 0, False)),
        (f'"{A}"\n{B}', None, (b"", 0, False)),
        ("garbage\nmore\n", None, (b"", 0, False)),
        (f"imei\n{A}\n", None, (b"", 0, True)),
        (f'"IMEI"\r\n{A}\n', None, (b"", 0, True)),
        (f"Approved_IMEI\n{A}\n", None, (b"", 0, True)),
        (f"{A}\n{A}", 1, (b"", 0, False)),
        (f"device\n{A}", 1, (b"", 0, True)),
        (f"device\n{A}", "Device", (b"", 0, True)),
        # a header
        (f"imei,reporting_date,status\n{A},20240101,\n", None, (b",", 0, True)),
        (f"date;IMEI;imsi\n1;{A};234150999999999\n", None, (b";", 1, True)),
        (f"imei_number\tx\n{A}\t1\n", None, (b"\t", 0, True)),
        (f"a|b|IMEISV\n1|2|{A}", None, (b"|", 2, True)),
        (f"imei,imsi,msisdn\n{A},1,2\n", "imsi", (b",", 1, True)),
        (f"tac,imei\n49015420,{A}\n", None, (b",", 1, True)),
        (f'"a\nb",imei,x\n1,{A},2\n', None, (b",", 1, True)),
        (f"imei,imsi,msisdn\n{A},1,2\n", "IMSI", (b",", 1, True)),
        (f"old imei,new imei\n{A},{A}\n", "New_IMEI", (b",", 1, True)),
        (f"old,new\n{A},{C}\n", 2, (b",", 1, True)),
        ('imei,"a ""quoted"", one"\n' + A + ",", None, (b",", 0, True)),
        # a decimal comma or a bar inside does not decide
        (f"imei;price\n{A};1,5\n{A};2,5\n", None, (b";", 0, True)),
        (f"{A},20240101,stolen|lost\n{C},20240101,stolen\n", None, (b",", 0, False)),
        # no header: the first row is data
        (f"20240101;{A};x\n20240102;{B};y\n", None, (b";", 1, False)),
        (f"x,{A}\n", None, (b",", 1, False)),
        (f"{A},{A}\n{A},{A}\n", 2, (b",", 1, False)),
        (f"zzz,x\n{A},x\n", 1, (b",", 0, True)),
        (f"DEADBEEF,x\n{A},x\n", 1, (b",", 0, False)),
        (f"imei-{A},x\n{B} ,x\n{A}F,x\n", None, (b",", 0, False)),
        (f"{A},x,\n{B},y,\n", None, (b",", 0, False)),
        (f"{A};;\n{B};;\n", None, (b";", 0, False)),
        # nor is a damaged number a title, or a cell without a value
        (f"N/A,x\n{A},x\n", 1, (b",", 0, False)),
        (f"unknown,{A}\n{A},x\n", 1, (b",", 0, False)),
        (f"imei,{A}\n{A},x\n", 1, (b",", 0, False)),
        (f"zzz,{B}\n{A},{C}\n", (1, 2), (b",", 0, False)),
        (f"zzz,490154\n{A},{C}\n", (1, 2), (b",", 0, False)),
        (f"zzz,yyy\n{A},{C}\n", (1, 2), (b",", 0, True)),
        (f"imei-{A}\n{C}\n", 1, (b"", 0, False)),
        (f"{A[:-1]}O,x\n{C},x\n", 1, (b",", 0, False)),
        (f"IMEI:{A},x\n{C},x\n", None, (b",", 0, False)),
        (f"device 12345\n{C}\n", 1, (b"", 0, True)),
        (f"{A},1\n{A}\n{A},2\n", None, (b",", 0, False)),
    ],
)
def test_found(text, column, expected):
    assert look(text, column) == expected


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        (f"imei,date\n{A},1\n", "imie", "'imie'.*'imei' as the nearest"),
        (f"imei,date\n{A},1\n", "zzz", "'zzz'.*a first row of 'imei', 'date'"),
        (f"imei\n{A}\n", "zzz", "a column named 'zzz'.*'imei'"),
        (f"imei,date\n{A},1\n", 3, "a column 3.*rows of 2"),
        (f"{A}\n{A}\n", 2, "a column 2"),
        (f"imei,IMEI\n{A},{A}\n", None, r"columns 1 \('imei'\), 2 \('IMEI'\)"),
        (f"imei,imeisv\n{A},{A}\n", None, "columns 1 .* 2 "),
        (f"x,y,x\n{A},{A},{A}\n", "x", "columns 1 .* 3 "),
        (f"imie,date\n{A},1\n{C},2\n", None, "--column.*'imie' as the nearest"),
        # a phone's second IMEI is not passed over
        (f"imei,imei2\n{A},{C}\n", None, r"--column.* columns 1 \('imei'\), 2 \('imei2'\)"),
        (f"imei1;x;IMEI 2\n{A};x;\n", None, r"columns 1 \('imei1'\), 3 \('IMEI 2'\)"),
        (f"imei,second_imei\n{A},n/a\n", None, r"columns 1 \('imei'\), 2 \('second_imei'\)"),
        (f"imei,pei\n{A},imei-{A}\n", None, r"columns 1 \('imei'\), 2 \('pei'\)"),
        (f"imei,reporting_date,status,imei_2\n{A},,,{C}\n", None, r"1 \('imei'\), 4 \('imei_2'\)"),
        (f"tac,imei1\n49015420,{A}\n", None, r"--format.* column 2 \('imei1'\)"),
        (f"{A},imei of one,imei of two\n{C},,\n", None, "columns 1, 2, 3 that could"),
        (f"20240101,{A},234150999999999\n", None, "columns 2, 3 that could"),
        (f"20240101123045,{A}\n20240101123045,{B}", None, "columns 1, 2 that could"),
        ("a,b\nc,d\n", None, "none in 2 columns"),
        (f"{A},x\n", "imsi", "no header|'x'"),
        ("49-015420-323751-8,4901 5420 3237 518,x\n", "imsi", "got a first row of 'x'$"),  # no serial numbers
        # no guess where there is doubt
        (f"{A},x\nzzz,x\n{A},x\n", None, "column 1 that could"),
        (f"20240229123456,{A},x\n20240229123457,,x\n", None, "columns 1, 2 that could"),
        ("20240229123456,x\n20240229123457,y\n", None, "column 1 that could"),
        ("20240229123456,3.56938E+14\n20240229123457,3.56938E+14\n", None, "columns 1, 2 that could"),
        ("234150999999998,x\n234150999999997,x\n", None, "column 1 that could"),
        (f"{A};x;3,52E+14\n" * 3, None, "columns 1, 3 that could"),
        (f"{A},,x\n{B},,x\n", None, "columns 1, 2 that could"),
        *[
            (f"{A},{no},x\n{B},,x\n", None, "columns 1, 2 that could")
            for no in ["N/A", "null", "None", "-", ".", "unknown", "0"]
        ],
        (f"{A},n/a\n{B},N/A\n", None, "columns 1, 2 that could"),
        (f"{A},x\n{B},imei-{B}\n", None, "columns 1, 2 that could"),
        (f"{A},x\n{B},{A}F\n", None, "columns 1, 2 that could"),
        (f"{A},x\n{B},'{B}\n", None, "columns 1, 2 that could"),
        (f"{A},x\n{B},49015420323751/06\n", None, "columns 1, 2 that could"),
        (f"device,sim\n{A},{B}\n", None, r"columns 1 \('device'\), 2 \('sim'\) that could"),
        (f"imei,{A}\n{C},x\n", None, "columns 1, 2 that could"),
        (f"{A},x,\n{B},y,\n", 4, "a column 4, got rows of 3"),
        (f"{A},x\n{B},x\n{C},234150999999998\n", None, "columns 1, 2 that could"),
    ],
)
def test_refused(text, column, expected):
    with pytest.raises(FeedColumn, match=expected) as caught:
        look(text, column)
    assert A not in str(caught.value)
    assert A[8:] not in str(caught.value)


def test_columns_are_counted_from_1():
    with pytest.raises(ValueError, match="column"):
        look(f"imei,date\n{A},1\n", 0)


@pytest.mark.parametrize("title", ["imsi", '"MSISDN"'])
def test_a_list_of_subscribers_is_none_of_phones(title):
    """An IMSI is as long as an IMEI."""
    with pytest.raises(
        FeedColumn, match=r"expected a list of IMEIs, or --column, got one with the title '(imsi|msisdn)'"
    ):
        look(f"{title}\n{A}\n{A}\n")
    assert look(f"{title}\n{A}\n", 1) == (b"", 0, True)


def test_of_two_imeis_one_may_be_chosen(tmp_path):
    path = tmp_path / "feed"
    path.write_text(f"imei,imei2\n{A},{C}\n")
    with pytest.raises(FeedColumn, match=r"--column.* columns 1 \('imei'\), 2 \('imei2'\)"):
        load(path)
    for column, expected in (("imei", A), ("imei2", C), (1, A), (2, C)):
        assert load(path, column=column).set == ImeiSet([expected])
    assert load(path, format="barred").set == ImeiSet([A])  # that has one
    path.write_text(f"# a list\n#imei1,imei2\n{A},n/a\n")
    with pytest.raises(FeedColumn, match=r" columns 1 \('#imei1'\), 2 \('imei2'\)"):
        load(path)
    path.write_text(f"{A},imei of one,imei of two\n{C},,\n")  # no titles
    assert load(path, column=1).set == ImeiSet([A, C])
    path.write_text(f"tac,imei1\n49015420,{A}\n")
    assert len(load(path, format="tacs").set) == 10**6
    assert load(path, column="imei1").set == ImeiSet([A])


@pytest.mark.parametrize(
    ("text", "column", "rows", "comments"),
    [
        (f"#{B}\n{A}\n#{B}\n", None, 1, 2),
        (f"imei\n#{B}\n{A}\n", None, 1, 1),
        (f"imei,x\n#{B}\n{A},1\n", None, 1, 1),
        (f"imei,x\n#{B},1,1\n{A},1\n", None, 1, 1),
        (f"imei,x,y\n#{B},1\n{A},1\n", None, 1, 1),
        (f'imei,x,y\n#1,"2,3"\n{A},1\n', None, 1, 1),
        (f"{A},x\n#{B}\n", 1, 1, 1),
        (f'x,{A}\n#1,"{B}\n#2\n', None, 1, 2),
        # which of them is the header
        (f"#,IMEI\n1,{A}\n", None, 1, 0),
        (f"# a, list\n#imei,date\r\n{A},1\n#{B}\n", None, 1, 2),
        (f"#\tnumber\n1\t{A}\n", "Number", 1, 0),
        (f"# date, imei\nimei,date\n{A},1\n", None, 1, 1),
        (f"# imei\n{A}\n", None, 1, 1),
        (f"# of the imei, and more, or less\n{A},1\n", 1, 1, 1),
        (f"# imei, date\n\n{A},1\n", 1, 1, 1),
    ],
)
def test_a_line_that_starts_with_a_hash_is_a_comment(tmp_path, text, column, rows, comments):
    path = tmp_path / "feed"
    path.write_text(text)
    blocked, report = load(path, column=column)
    assert list(blocked) == [A]
    assert (report.rows, report.rejected, report.comments) == (rows, 0, comments)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (f"no,imei\n#1,{A}\n#2,{B}\n", 2),
        (f"no,imei\n#1,{A},, \n# 2 ,{B}\r\n", 2),
        (f'no,imei,x\n#1,{A},"a,b"\n#"2,{B},x\n', 2),
        (f"x,{A}\n#1,{B}\n#\n", 2),
        (f"#1,{A}\n2,{B}\n", 2),
        (f"# of a, b\n# x\n#1,{A}\n# y\n\n#2,{A}\n3,{B}\n", 3),
        (f"no;imei\n#1;{A}\n#2,{B}\n#1;{B}\n", 2),
    ],
)
def test_a_line_that_starts_with_a_hash_and_has_the_cells_of_a_row_is_one(tmp_path, text, rows):
    path = tmp_path / "feed"
    path.write_text(text, newline="")
    blocked, report = load(path)
    assert blocked == ImeiSet([A, B])
    assert (report.accepted, report.rejected) == (rows, 0)


@pytest.mark.parametrize("irregular", ["reject", "keep"])
def test_an_irregular_identity_that_starts_with_a_hash(tmp_path, irregular):
    path = tmp_path / "feed"
    path.write_text(f"{A}\n#06#35209\n#DEADBEEF\n# 06\n#06#35209x\n#{'1' * 16}\n#1,2\n")
    kept = irregular == "keep"
    report = load(path, irregular=irregular).report
    assert (report.rows, report.irregular, report.comments) == (1 + kept, int(kept), 6 - kept)
    path.write_text(f"# list\n#06#35209\n{A}\n")
    report = load(path, irregular=irregular).report
    assert (report.rows, report.irregular, report.comments) == (1 + kept, int(kept), 2 - kept)
    path.write_text(f"#06#35209\nimei,x\n{A},1\n")
    assert load(path, irregular=irregular).report.irregular == 0
    path.write_text("#06#35209\n")
    if kept:
        assert load(path, irregular=irregular).report.texts == 1
    else:
        with pytest.raises(FeedEmpty):
            load(path, irregular=irregular)


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        (f"imei\n{A}\n", None, (1, 1)),
        (f"brand,imsi,imei\nx,1,{A}\n", None, (3, 3)),
        (f"imei,brand,,\n{A},x,y,\n", None, (2, 4)),
        (f"device,,\n{A},,\n", 1, (1, 3)),
        (f"{A},x,y\n{A},x\n{A},x\n", 1, (2, 2)),
        (f"{A},x,\n{A},x,\n{A},x\n", 1, (2, 2)),
    ],
)
def test_cells_of_a_row(text, column, expected):
    found = sniff("", text.encode(), Options(column=column))
    assert (found.fewest, found.most) == expected


def test_a_row_of_shifted_cells_blocks_nobody(tmp_path):
    path = tmp_path / "feed"
    path.write_text(
        f'brand,imsi,imei\nSamsung, Inc,234150999999998,{A}\n x, "a,b",{B}\nx,1,{C}\nx,1,{C},,\nx,{C}\n'
    )
    blocked, report = load(path, imsi="ignore")
    assert list(blocked) == ["356938035643809"]
    assert {name: [line for _, line in entry.first] for name, entry in report.rejects.items()} == {
        "cell_count": [2, 3],
        "short_row": [6],
    }
    path.write_text(f"{A},1,x\n234150999999998,\n{A},1,\n")
    blocked, report = load(path, column=1)
    assert (list(blocked), report.rejected) == ([A], 1)


@pytest.mark.parametrize("end", ["", ",", ",,,"])
def test_a_row_may_be_shorter_than_the_header(tmp_path, end):
    """Where it has the identity and what must be there; a delimiter may stand at the end of any row."""
    path = tmp_path / "feed"
    path.write_text(f"imei,block_date,reasons\n{A}{end}\n{C},20240101{end}\n")
    blocked, report = load(path)
    assert (blocked, report.rejected) == (ImeiSet([A, C]), 0)
    table = read(path, ["date", "reasons"])
    assert table.columns["date"].tolist() == [0, 20240101]
    assert table.values["reasons"] == [""]
    path.write_text(f"imei,imsi,msisdn\n{A}\n{A},234150999999998{end}\n")
    pairs = read(path, ["imsi"])
    assert (len(pairs.keys), list(pairs.report.rejects)) == (1, ["short_row"])
    path.write_text(f"brand,imei,x\nb{end and ','}\nb,{A}{end}\n")
    assert len(load(path).set) == 1


def test_what_follows_a_last_delimiter_is_a_column_only_if_it_is_asked_for(tmp_path):
    path = tmp_path / "feed"
    path.write_text(f"{A},x,\n" * 100 + f"{B},x\n{C},x,{A}\n")
    blocked, report = load(path)
    assert (blocked, list(report.rejects)) == (ImeiSet([A, B]), ["cell_count"])
    assert load(path, column=(1, 3)).report.identities == 102
    assert load(path, column=1, where={3: [A]}).set == ImeiSet([C])
    path.write_text(f"{A},\n# {C}\n{B},\n")
    assert load(path).set == ImeiSet([A, B])


def test_a_text_of_nothing_but_preamble():
    assert sniff("", b"", Options()) == Dialect(b"", (0,), header=False)


def test_preamble():
    assert preamble(b"# a\n\r\n \t\n#b\nimei\n# c\n") == (len(b"# a\n\r\n \t\n#b\n"), 2, 2)
    assert preamble(b"#") == (1, 0, 1)
    for line in (b"sep=;\r\n", b'"SEP=,"\n', b"sep=\t\n", b"sep="):
        assert preamble(line + b"imei;x\nsep=;\n") == (len(line) if b"\n" in line else 0, 0, b"\n" in line)
        assert preamble(b"imei;x\n" + line) == (0, 0, 0)
    assert preamble(b"") == (0, 0, 0)


@pytest.mark.parametrize(
    ("digits", "imei"),
    [
        ("20240229123456", False),
        ("2024022912345678", False),  # with hundredths, as long as an IMEISV
        ("20240230123456", True),  # no day
        ("21000229123456", True),
        ("490154203237518", True),
        ("490154203237519", False),
    ],
)
def test_dates_with_a_time_are_not_imeis(digits, imei):
    assert dialects._is_imei(digits) == imei
