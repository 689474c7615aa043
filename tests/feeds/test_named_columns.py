"""Columns that options name: several IMEIs of a phone, rows that count, dates and reasons; lines above."""

import pytest

from imeiset import ImeiSet, load
from imeiset.errors import FeedColumn, FeedRejects
from imeiset.feeds import Options, read

A, B, C = "352099001761481", "860123450000012", "490154203237518"
TITLES = ("IMEI 1", "note", "IMEI 2", "State", "gemeldet", "why")
TABLE = [
    (A, "x", B, "blocked", "01.02.2024", "lost"),
    (C, "x", "", "BLOCKED ", "", ""),
    ("", "y", C, "pending", "2024-02-01", "broken"),
    ("", "", "", "Gesperrt", "", ""),
    ("123", "", A, "gesperrt", "31.02.2024", "stolen"),
    (B, "", "x", "ẞ", "", ""),
]


@pytest.fixture(params=["text", "headerless", "parquet"])
def source(request, tmp_path):
    """A path, and what to call its columns."""
    path = tmp_path / "list"
    if request.param == "parquet":
        pa = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(
            pa.table(dict(zip(TITLES, map(list, zip(*TABLE, strict=True)), strict=True))), path
        )
    else:
        titles = [TITLES] if request.param == "text" else []
        path.write_text("\n".join(map(";".join, [*titles, *TABLE])) + "\n", encoding="utf-8")
    by_number = request.param == "headerless"
    return path, lambda title: TITLES.index(title) + 1 if by_number else title.upper()


def test_several_columns(source):
    path, named = source
    both = [named("IMEI 1"), named("IMEI 2")]
    blocked, report = load(path, column=both)
    assert blocked == ImeiSet([A, B, C])
    assert (report.rows, report.accepted, report.rejected, report.partly) == (6, 3, 3, 2)
    assert (report.identities, report.duplicates) == (6, 3)
    assert {name: entry.count for name, entry in report.rejects.items()} == {
        "empty": 1,
        "too_short": 1,
        "not_digit": 1,
    }
    assert load(path, column=both[1]).set == ImeiSet([A, B, C])
    assert load(path, column=both[0]).report.rejects["empty"].count == 2
    assert load(path, column=both[::-1]).report.identities == 6


def test_rows_that_count(source):
    path, named = source
    both = [named("IMEI 1"), named("IMEI 2")]
    for values, members, ignored in (
        ("blocked", [A, B, C], {"pending": 1, "gesperrt": 2, "ẞ".lower(): 1}),
        ("Gesperrt", [A], {"pending": 1, "blocked": 2, "ẞ".lower(): 1}),
        ("ẞ", [B], {"pending": 1, "blocked": 2, "gesperrt": 2}),
    ):
        blocked, report = load(path, column=both, where=f"{named('State')}={values}")
        assert blocked == ImeiSet(members)
        assert sum(report.ignored.values()) == sum(ignored.values())
        assert report.rows == report.accepted + report.rejected + sum(report.ignored.values())
    with pytest.raises(FeedRejects, match=r"--where COLUMN.*2 'blocked', 2 'gesperrt', 1 'pending'"):
        load(path, column=both[0], where=f"{named('State')}=white")


@pytest.mark.parametrize("lines", [1, 5000])
@pytest.mark.parametrize("header", ["", "imei\n"])
def test_rows_that_count_of_one_column(tmp_path, header, lines):
    """The only column may be the one of --where; a list of one number a line is no exception."""
    path = tmp_path / "list"
    path.write_text(header + f"{A}\n{B} \n{C}\n" * lines)
    for column in ("imei", 1) if header else (1,):
        blocked, report = load(path, where={column: [A, C]})
        assert blocked == ImeiSet([A, C])
        assert (report.accepted, sum(report.ignored.values())) == (2 * lines, lines)
        with pytest.raises(FeedRejects, match="--where COLUMN"):
            load(path, where={column: "stolen"})


def test_dates_and_reasons(source):
    path, named = source
    options = Options(
        column=(named("IMEI 1"), named("IMEI 2")),
        date_column=named("gemeldet"),
        date_format="%d.%m.%Y",
        reason_column=named("why"),
    )
    table = read(path, ["date", "reasons"], options=options)
    reasons = [table.values["reasons"][code] for code in table.columns["reasons"].tolist()]
    assert reasons == ["lost", "lost", "", "broken", "stolen", ""]
    assert table.columns["date"].tolist() == [20240201, 20240201, 0, 0, 0, 0]
    assert table.report.dates_not_understood.count == 2
    assert table.keys.tolist() == [int(imei[:14]) for imei in (A, B, C, C, A, B)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"column": ["IMEI 1", 1]}, "each once"),
        ({"column": ["IMEI 1", "IMEI 3"]}, "one column named 'IMEI 3'"),
        ({"column": ["IMEI 1", 7]}, "a column 7"),
        ({"column": 1, "where": "gone=x"}, "one column named 'gone'"),
        ({"column": 1, "where": "9=x"}, "a column 9"),
    ],
)
def test_columns_that_are_not_there(tmp_path, options, message):
    path = tmp_path / "list"
    path.write_text("\n".join(map(",".join, [TITLES, *TABLE])) + "\n", encoding="utf-8")
    with pytest.raises(FeedColumn, match=message):
        load(path, **options)


def test_lines_above(tmp_path):
    path = tmp_path / "list"
    path.write_text(f"a licence, with a comma\n\n# x\nimei,x\n# y\n{A},1\nz,1\n")
    blocked, report = load(path, skip=2)
    assert (list(blocked), report.preamble, report.comments, report.headers) == ([A], 2, 4, 1)
    assert report.rejects["not_digit"].first == [(str(path), 7)]
    assert report.lines == 7 == report.rows + report.headers + report.blank + report.comments
    with pytest.raises(FeedColumn, match="8 lines that are skipped"):
        load(path, skip=8)
