"""The printed report names whatever was not understood, with its first lines."""

import json

from imeiset import load
from imeiset.cli.reports import show_load
from imeiset.feeds import Options, read
from imeiset.feeds.report import LoadReport, Suspects, Unread

A = "352099001761481"


def table_of(report, capsys):
    show_load(report, "title")
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_everything_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "150")
    texts = [A, f"imei-{A}", f"{A}F", f'="{A}"', f"{A}/01", f"urn:gsma:imei:{A[:8]}-{A[8:14]}-1"]
    texts += [
        "35-209900-176148",
        "12345678901237",
        "000000000000000",
        "11111111111111",
        "00101712345678",
        "x",
    ]
    table = "".join(f"{text},,01.01.2024\n" for text in texts)
    (tmp_path / "list").write_text(f"licence\nimei,imei2,date\n{table}{A},y\n")
    options = Options(column=("imei", "imei2"), skip=1)
    report = read("list", ["date"], options=options).report
    table = table_of(report, capsys)
    for row in (
        "preamble 1 comments above a header",
        "accepted 11",
        "identities 12 of rows with several columns of IMEIs",
        "separators 1 with '-' or ' ' between digits",
        "pei 1 'imei-...' and 'imeisv-...'",
        "filler 1 with F at the end",
        "urn 1 'urn:gsma:imei:...'",
        "spreadsheet 1 as a spreadsheet quotes text",
        "svn 1 with '/' and a software version",
        "lost zeros 1 14 digits that are 15 with a zero before them: list: 10",
        "placeholders 1 zeros: list: 11",
        "placeholders 1 equal digits: list: 12",
        "placeholders 1 test TAC: list: 13",
        "dates 11 not understood: list: 3, 4, 5, 6, 7, ...",
        "partly 1 rejected rows whose other IMEIs are in the result",
    ):
        assert row in table
    given = json.loads(report.to_json())
    assert given["lost_zeros"] == {"count": 1, "first": [["list", 10]]}
    assert given["placeholders"]["zeros"] == {"count": 1, "first": [["list", 11]]}
    assert given["written"]["pei"] == given["partly"] == given["preamble"] == 1


def test_what_was_not_looked_at(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")
    report = LoadReport(
        unread=[Unread("a.csv", "sta\x1btus", ["black", "w\nhite"], "statuses"), Unread("b", 3, [], "dates")],
        lost_zeros_imeisv=Suspects(7, [("a.csv", 2), ("b", 1)]),
    )
    table = table_of(report, capsys)
    assert "not looked at b: column '3', like dates" in table
    assert "not looked at a.csv: column 'sta\\x1btus', like statuses: black, w\\nhite" in table
    assert "lost zeros 7 15 digits that may be an IMEISV without its zero: a.csv: 2; b: 1, ..." in table


def test_a_clean_list_has_nothing_to_name(tmp_path, capsys):
    path = tmp_path / "list"
    path.write_text(f"{A}\n")
    words = " ".join(table_of(load(path).report, capsys))
    for word in ("lost", "placeholder", "dates", "partly", "identities", "separators", "looked"):
        assert word not in words
