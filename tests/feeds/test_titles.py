"""Which column holds the IMEIs, by its title: the same in text, Parquet, Arrow and workbooks."""

import re

import pytest

from imeiset import ImeiSet, load, screen
from imeiset.errors import FeedColumn
from imeiset.feeds import Options
from imeiset.feeds.arrow import first_rows
from imeiset.feeds.dialect import sniff

A, B, C = "490154203237518", "356938035643809", "352099001761481"
SPEAK = (
    "imei, IMEIs, imei_no, IMEI-Number, imei.code, imeisv, IMEI/IMEISV, approved_imei, servedIMEI, "
    "servedIMEISV, pei, calling_imei, IMEI/MEID, IMEI1, imei_2, numero_imei, lastimei, account_imei, "
    "accountimei, time_imei, blacklist_imei, update_imei, imei_listing, imei_reasonable, IMEI/TAC, "
    "imei_sv_no, Second IMEI, I.M.E.I., timeInterval of the IMEI"
)
ABOUT = (
    "imei_status, imeiStatus, statusimei, imei_statuses, imei1_date, imei_sv_date, imei_count, "
    "count_imei, imei_type, imei_flag, IMEI-Valid?, valid_imei, imei_validity, imei_make, imei_model, "
    "imei_reason, IMEI_List, imei_no_status, time_in, timeInterval, datetimeIssued, imie, servedimsi, Is "
    "IMEI valid, IMEI (date), imei_or_imsi, msisdn/imei, date of the IMEI,  iMEl"
)


def outcome(act):
    """What comes out, an error in the words that are not of its file."""
    try:
        return act()
    except FeedColumn as error:
        return re.sub(r"^\S+: ", "", str(error))


def doors(tmp_path, titles, row, **options):
    """What text, Parquet, Arrow and workbooks say of such a table, as lists and as records."""
    pa, openpyxl = pytest.importorskip("pyarrow"), pytest.importorskip("openpyxl")
    parquet = pytest.importorskip("pyarrow.parquet")
    paths = [tmp_path / f"a.{end}" for end in ("csv", "tsv", "parquet", "arrow", "xlsx")]
    for path, delimiter in zip(paths, ",\t", strict=False):
        path.write_text(delimiter.join(titles) + "\n" + delimiter.join(row) + "\n")
    table = pa.table([pa.array([cell]) for cell in row], names=titles)
    parquet.write_table(table, paths[2])
    with pa.OSFile(str(paths[3]), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    book = openpyxl.Workbook()
    book.active.append(titles)
    book.active.append(row)
    book.save(paths[4])
    for path in paths:
        yield outcome(lambda path=path: list(load(path, **options).set))
    for path in paths[:3]:
        said = outcome(lambda path=path: screen(path, ImeiSet([A, B, C]), **options).hits)
        yield said if isinstance(said, str) else [A] * said


@pytest.mark.parametrize("title", SPEAK.split(", "))
def test_the_only_title_with_imei_in_it(title):
    for delimiter in ",;\t|":
        text = f"x{delimiter}{title}{delimiter}n\n1{delimiter}{A}{delimiter}{A}\n"
        found = sniff("", text.encode(), Options())
        assert (found.header, found.column, found.delimiter) == (True, 1, delimiter.encode())
    assert sniff("", f"{title}\n{A}\n".encode(), Options()).header


@pytest.mark.parametrize("title", ABOUT.split(", "))
def test_a_title_that_does_not_speak_of_imeis(title):
    found = sniff("", f"imei,{title}\n{A},1\n".encode(), Options())
    assert (found.header, found.column) == (True, 0)
    with pytest.raises(FeedColumn, match="a header with 'imei'"):
        sniff("", f"{title},n\n{A},1\n".encode(), Options())
    if title != "servedimsi":
        assert not sniff("", f"{title}\n{A}\n".encode(), Options()).header  # a row, and rejected
    found = sniff("", f"{title},n\n{A},1\n".encode(), Options(column=title))
    assert (found.header, found.column) == (True, 0)


@pytest.mark.parametrize(
    ("titles", "at", "expected"),
    [
        (["calling_imei", "n"], 0, None),
        (["n", "IMEI/MEID"], 1, None),
        (["imei_status", "numero_imei"], 1, None),
        (["IMEI1", "imei_count"], 0, None),
        (["tac", "imei"], 1, None),
        (
            ["tac", "sample_imei"],
            1,
            "a barred-tac list without IMEIs, --format barred-tac, or --column, got column 2",
        ),
        (
            ["imei1", "imei2"],
            0,
            "one column of IMEIs, or --column: --column imei1 --column imei2 for all, got",
        ),
        (["imei", "Second IMEI"], 0, "--column imei --column 'Second IMEI' for all"),
        (["imei", "IMEI"], 0, "--column 1 --column 2 for all, got columns 1 ('imei'), 2 ('IMEI')"),
        (["imie", "n"], 0, "a header with 'imei', or --column, got 'imie' as the nearest"),
        (
            ["device", "imei_status"],
            0,
            "a header with 'imei', or --column, got a first row of 'device', 'imei_status'",
        ),
    ],
)
def test_every_kind_of_file_has_the_same_rule_and_the_same_error(tmp_path, titles, at, expected):
    row = [A, "x"] if at == 0 else ["x", A]
    for said in doors(tmp_path, titles, row):
        if expected is None:
            assert said == [A]
        else:
            assert expected in said


@pytest.mark.parametrize("column", ["serial", 2, ("n", "serial"), "other", 3, ("serial", 3), (2, "serial")])
def test_columns_asked_for(tmp_path, column):
    first, *others = map(str, doors(tmp_path, ["n", "serial"], ["", A], column=column))
    assert others == [first] * len(others)
    asked = column if isinstance(column, tuple) else (column,)
    assert (first == str([A])) == (set(asked) <= {"serial", 2, "n"} and asked != (2, "serial"))


def test_a_table_has_no_lines_to_skip(tmp_path):
    said = list(doors(tmp_path, ["imei", "n"], [A, "x"], skip=1))
    tables = [said.pop(place) for place in (7, 3, 2)]
    assert said == [[A]] * 5  # a row without a header
    assert len(set(tables)) == 1
    assert "text, of which the first 1 lines are skipped, got a table" in tables[0]


def test_the_first_rows_of_a_table(tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({"imei": [A, None, C], "n": [1, 2, 3], "of": [[1], [], None]})
    parquet.write_table(table, tmp_path / "a")
    assert first_rows(str(tmp_path / "a"), 2) == (("imei", "n", "of"), [[A, "1", "[1]"], ["", "2", "[]"]])
    parquet.write_table(table.slice(0, 0), tmp_path / "a")
    assert first_rows(str(tmp_path / "a"), 2) == (("imei", "n", "of"), [])
    (tmp_path / "a").write_text("imei\n")
    assert first_rows(str(tmp_path / "a"), 2) is None


@pytest.mark.parametrize("delimiter", list(",;\t|"))
@pytest.mark.parametrize(
    "header", ["imei", "IMEI number", "Code IMEI", "Numero IMEI{0}model", "x{0}Code IMEI{0}y"]
)
@pytest.mark.parametrize("above", ["", "Total: 2\n"])
def test_delimiters_at_the_end_of_rows(tmp_path, header, delimiter, above):
    """A header that lacks them is one all the same."""
    before, _, after = header.partition("IMEI" if "IMEI" in header else "imei")
    left, right = (delimiter * part.count("{0}") for part in (before, after))
    rows = "".join(f"{left}{imei}{right}{delimiter}\n" for imei in (A, B))
    path = tmp_path / "list"
    path.write_text(above + header.format(delimiter) + "\n" + rows)
    found, report = load(path)
    assert (found, report.rejected, report.preamble) == (ImeiSet([A, B]), 0, int(bool(above)))


@pytest.mark.parametrize("title", ["imsi", "IMSI list", "Subscriber IMSIs", "MSISDN no.", "ICCID", "supi"])
def test_a_list_of_something_else(tmp_path, title):
    """Numbers of subscribers are as long as IMEIs."""
    path = tmp_path / "list"
    for above in ("", "Blocked SIM cards\n\n"):
        path.write_text(f"{above}{title}\n262011234567890\n262011234567891\n")
        for take in (load, lambda source: screen(source, ImeiSet([A]))):
            with pytest.raises(FeedColumn, match="a list of IMEIs, or --column, got one with the title"):
                take(path)
    path.write_text(f"{title} and IMEI\n{A}\n")
    assert load(path).set == ImeiSet([A])
