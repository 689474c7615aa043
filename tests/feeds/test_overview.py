"""What a list is taken for, before anything is made of it: `imeiset info` of a list."""

import gzip
import json
import lzma

import pytest
from click.testing import CliRunner

from imeiset import ImeiSet, load
from imeiset.cli import main
from imeiset.errors import ExtraMissing, FeedEmpty, FeedEncoding, FeedError, FeedMissing, FeedTruncated
from imeiset.feeds import Options
from imeiset.feeds.overview import overview

A, B, Z = "352099001761481", "860123450000012", "012345678901237"
SUBSCRIBER = "262011234567890"
STOLEN = (
    f"imei;reporting_date;status;remark\n{A};2024-01-01;blacklist;{A}\n{B};;pending;\n{Z};x;whitelist;x\n"
)


@pytest.fixture
def write(tmp_path):
    def write(text, name="list.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def taken(found):
    return [(column.number, column.title, column.taken_for) for column in found.columns]


def run(*arguments, code=0):
    found = CliRunner().invoke(main, ["info", *map(str, arguments)])
    assert found.exit_code == code, (found.output, found.exception)
    return found


@pytest.mark.parametrize(
    ("pack", "compression"), [(bytes, "none"), (gzip.compress, "gzip"), (lzma.compress, "xz")]
)
def test_how_a_list_is_written(write, pack, compression):
    found = overview(write(pack(STOLEN.encode())), Options(column="imei"))
    assert (found.compression, found.delimiter, found.header, found.format) == (
        compression,
        "semicolon",
        1,
        "stolen",
    )
    assert taken(found)[:3] == [
        (1, "imei", "IMEI"),
        (2, "reporting_date", "date"),
        (3, "status", "status that counts"),
    ]
    assert found.columns[2].values == {"blacklist": 1, "pending": 1, "whitelist": 1}
    assert found.refused is None
    assert (found.report.rows, found.report.accepted, found.report.ignored) == (
        3,
        1,
        {"pending": 1, "whitelist": 1},
    )
    assert found.report.dates_not_understood.count == 0  # of the rows that count


def test_lines_above_and_other_columns(write):
    text = f"a licence\n# a comment\n\nIMEI|wann|warum\n{A}|01.02.24|lost\n{B}||\n"
    options = Options(skip=1, date_column="wann", date_format="%d.%m.%y", reason_column=3)
    found = overview(write(text), options)
    assert (found.delimiter, found.header, found.preamble) == ("pipe", 4, 1)
    assert taken(found) == [(1, "IMEI", "IMEI"), (2, "wann", "date"), (3, "warum", "reasons")]
    assert found.report.dates_not_understood.count == 0
    wrong = overview(write(text), Options(skip=1, date_column="wann"))
    assert wrong.report.dates_not_understood.count == 1


def test_numbers_are_masked(write):
    text = f"IMEI 1,IMEI 2,imsi,msisdn,note\n{A},{B},{SUBSCRIBER},491701234567,see {A}\n"
    options = Options(column=["imei1", "imei2"], imsi="ignore")
    path = write(text)
    found = overview(path, options)
    shown = json.dumps(found.to_dict()) + run(path, "--column", 1, "--column", 2, "--imsi", "ignore").output
    for number, public in ((A, 8), (B, 8), (SUBSCRIBER, 5), ("491701234567", 5)):
        assert number[: public + 1] not in shown
        assert number[:public] in shown
    assert found.rows[0][:3] == [f"{A[:8]}*******", f"{B[:8]}*******", f"{SUBSCRIBER[:5]}**********"]


def test_rows_are_at_most_three_and_columns_without_titles_have_numbers(write):
    found = overview(write("".join(f"{A},{'ab'[row % 2]}{row}\n" for row in range(200))), Options(column=1))
    assert len(found.rows) == 3
    assert (found.header, found.columns[1].title, found.columns[1].values) == (None, None, {})
    assert found.columns[1].samples == ["a0", "b1", "a2"]
    assert found.report.rows == 200


@pytest.mark.parametrize(("length", "counted"), [(40, True), (41, False)])
def test_values_are_counted_where_they_are_short_words(write, length, counted):
    word = "abcdefghi " * 4 + "abc"
    found = overview(write(f"imei,note\n{A},{word[: length - 1]}x\n{B},x\n"), Options())
    assert bool(found.columns[1].values) == counted


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (f"imei1,imei2\n{A},{B}\n", "--column"),
        ("imei\n" + "12345678901237\n" * 20, "--lost-zeros restore"),
        (f"imei,change_type\n{A},add\n", "imeiset apply"),
        ("imei\nx\ny\n", "every row was rejected"),
        (f"imei,status,reporting_date\n{A},pending,\n", "--where"),
    ],
)
def test_why_a_list_is_refused_and_what_settles_it(write, text, remedy):
    """In the words of `load`."""
    path = write(text)
    found = overview(path, Options())
    assert remedy in found.refused
    with pytest.raises(FeedError) as caught:
        load(path)
    assert str(caught.value) == found.refused
    assert found.rows
    assert "imeiset build refuses it" in run(path).stdout
    assert json.loads(run(path, "--json").stdout)["refused"] == found.refused


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", FeedEmpty),
        (b"\x1f\x8babc", FeedTruncated),
        (gzip.compress(STOLEN.encode() * 999)[:-9], FeedTruncated),
        (b"\xff\xfei\0m\0", FeedEncoding),
        (b"PK\x03\x04 and no archive", FeedError),
        (b"PAR1 and no table", (FeedError, ExtraMissing)),
        (b"\xd0\xcf\x11\xe0", FeedEncoding),
        (b"\0" * 99, FeedEncoding),
        (b"# a comment\n", FeedEmpty),
        (f"imei\r{A}\r{B}\r".encode(), FeedEncoding),
    ],
)
def test_what_is_damaged_is_an_error_in_words(write, data, error):
    path = write(data)
    with pytest.raises(error):
        overview(path, Options())
    found = run(path, code=2)
    assert found.stderr.startswith(f"imeiset: {path}")
    assert "bug" not in found.stderr


def test_parquet_is_described_as_the_same_text(tmp_path, write):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"imei": [A, B], "reporting_date": ["20240101", "x"], "status": ["blacklist", "pending"]}
    parquet.write_table(pa.table(columns), tmp_path / "list.parquet")
    rows = "".join(f"{','.join(row)}\n" for row in [columns, *zip(*columns.values(), strict=True)])
    one, other = overview(str(tmp_path / "list.parquet"), Options()), overview(write(rows), Options())
    assert one.columns == other.columns
    assert (one.rows, one.format, one.refused) == (other.rows, other.format, other.refused)
    assert one.report.ignored == other.report.ignored
    parquet.write_table(pa.table({"imei": [352099001761481]}), tmp_path / "list.parquet")
    assert "leading zeros may be lost" in overview(str(tmp_path / "list.parquet"), Options()).refused


def test_workbooks(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["imei", "since"], [A, "2024-01-01"], [B, None]):
        book.active.append(row)
    book.save(tmp_path / "list.xlsx")
    found = overview(str(tmp_path / "list.xlsx"), Options(date_column="since"))
    assert (found.compression, found.delimiter, found.header, found.format) == (
        "workbook",
        "none",
        1,
        "table",
    )
    assert taken(found) == [(1, "imei", "IMEI"), (2, "since", "date")]


def test_the_command_tells_lists_from_snapshots(tmp_path, write):
    snapshot = tmp_path / "set"
    ImeiSet([A]).save(snapshot)
    assert "1 IMEI of 1 TAC in" in run(snapshot).stdout
    assert "about a list that is not built yet" in run(snapshot, "--skip", 1, code=2).stderr
    assert "a description: imeiset build" in run(write("", "register.toml"), code=2).stderr
    assert "name a file" in run("-", code=2).stderr
    assert "expected a snapshot" in run(write("imei\n", "list.imei"), code=2).stderr
    assert "No such file" in run(tmp_path / "nowhere", code=2).stderr
    assert "change_column" not in run("--help").stdout
    words = " ".join(run(write(STOLEN), "--column", "imei").stdout.split())
    for part in ("delimiter semicolon, header in line 1", "1 imei IMEI", "takes it as stolen", "ignored 1"):
        assert part in words
    with pytest.raises(FeedMissing):
        overview(str(tmp_path / "nowhere"), Options())


def test_nothing_is_written(tmp_path, write, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(STOLEN + "x\n")
    before = sorted(tmp_path.iterdir())
    run(path)
    assert sorted(tmp_path.iterdir()) == before
