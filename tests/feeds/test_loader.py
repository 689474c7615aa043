"""What `load` makes of a text, and how it accounts for every line of it."""

import gzip
import json
import os
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imeiset import errors, load
from imeiset._native.scan import Scanner
from imeiset.feeds import reader
from imeiset.feeds.dialect import Dialect
from imeiset.feeds.formats import FORMATS
from imeiset.feeds.report import RowFlaw

GOOD = "490154203237518"


@pytest.fixture
def feed(tmp_path):
    """Write a text to a file; return its path."""

    def write(text, name="feed.txt"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def account(report):
    """The invariants of every report."""
    assert report.lines == report.rows + report.headers + report.blank + report.comments + report.continued
    assert report.rows == report.accepted + report.rejected + sum(report.ignored.values())
    assert report.accepted == report.keys + report.texts + report.duplicates
    assert report.accepted == sum(report.forms.values()) + report.irregular
    for reason in report.rejects.values():
        assert 0 < len(reason.first) <= reason.count
    return report


def test_a_plain_list(feed):
    text = (
        '\ufeff# Lost, "and" stolen\n\n490154203237518\n35-693803-564380-9\r\n35 693803 564380\n'
        "356938035643800\n356938035643803\n4901542032375181\n  86012345678901\t\n# end\nlast-123\n#"
    )
    blocked, report = load(feed(text))
    account(report)
    assert blocked.to_numpy().tolist() == [35693803564380, 49015420323751, 86012345678901]
    assert (report.lines, report.rows, report.comments, report.blank) == (12, 8, 3, 1)
    assert report.forms == {14: 2, 15: 4, 16: 1}
    assert (report.wrong_check_digits, report.spare_check_digits) == (1, 1)
    assert report.duplicates == 4
    assert list(report.rejects) == ["not_digit"]
    assert report.rejects["not_digit"].first == [(str(feed(text)), 11)]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", list(",;\t|"))
@pytest.mark.parametrize("packed", [False, True])
def test_a_table(feed, delimiter, ending, packed):
    rows = [
        ["Date", "IMEI Number", "remark"],
        ["20240101", f'"{GOOD}"', "x"],
        ["20240102", "35693803564380", f'"a {delimiter} ""b"" {ending} c"'],
        [],
        ["20240103"],
        ["20240104", "", "no number"],
    ]
    text = ending.join(delimiter.join(row) for row in rows).encode()
    blocked, report = load(feed(gzip.compress(text) if packed else text))
    account(report)
    assert blocked.to_numpy().tolist() == [35693803564380, 49015420323751]
    assert {name: [line for _, line in r.first] for name, r in report.rejects.items()} == {
        "short_row": [6],
        "empty": [7],
    }
    assert (report.headers, report.blank, report.continued, report.bytes) == (1, 1, 1, len(text))


@pytest.mark.parametrize(
    ("policy", "keys", "reasons"),
    [
        ("ignore", 3, {}),
        ("spare", 2, {"check_digit": 1}),
        ("require", 1, {"check_digit": 1, "check_digit_spare": 1}),
    ],
)
def test_check_digit_policies(feed, policy, keys, reasons):
    blocked, report = load(feed(f"{GOOD}\n356938035643800\n860123456789013\n"), check_digit=policy)
    account(report)
    assert len(blocked) == keys
    assert {name: reject.count for name, reject in report.rejects.items()} == reasons
    assert (report.wrong_check_digits, report.spare_check_digits) == (1, 1)


def test_rejects_are_written_whole(feed, tmp_path):
    rejected = ["a,b", '"quoted ""twice"""', "12", "\u0664\u0669", '"open']
    path = feed("\n".join([GOOD, *rejected, GOOD]))
    _, report = load(path, rejects=tmp_path / "rejects.csv")
    account(report)
    assert (tmp_path / "rejects.csv").stat().st_mode & 0o777 == 0o600
    with (tmp_path / "rejects.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = [line.rstrip("\n").split("\t") for line in file]
    assert header == ["line", "source", "reason", "imei"]
    assert rows == [
        ["2", f'"{path}"', "not_digit", rejected[0]],
        ["3", f'"{path}"', "not_digit", rejected[1]],
        ["4", f'"{path}"', "too_short", rejected[2]],
        ["5", f'"{path}"', "not_ascii", rejected[3]],
        ["6", f'"{path}"', "broken_quote", rejected[4]],
    ]


def test_rejects_of_any_bytes_survive(feed, tmp_path):
    path = feed(GOOD.encode() + b'\n\xff\xfe\x00 "\n')
    load(path, rejects=tmp_path / "rejects.csv")
    assert (tmp_path / "rejects.csv").read_bytes().endswith(b'\t\xff\xfe\x00 "\n')


def test_a_line_for_excel(feed):
    blocked, report = load(feed(f"sep=;\r\nimei;n\r\n{GOOD};1\r\n"))
    assert (len(blocked), account(report).comments, report.headers) == (1, 1, 1)


def test_rejects_of_other_layouts_replace_no_source(feed, tmp_path):
    paths = [feed(f"{GOOD}\nx\n"), feed(f"imei,n\n{GOOD},1\ny,\n", "rejects-2.csv")]
    paths += [feed(f"n;imei\n1;{GOOD}\n;z\n", "other")]
    before = paths[1].read_bytes()
    load(paths, rejects=tmp_path / "rejects.csv")
    assert paths[1].read_bytes() == before
    for name, end in (("rejects.csv", "x\n"), ("rejects-3.csv", "y,\n"), ("rejects-4.csv", ";z\n")):
        assert (tmp_path / name).read_text().endswith(end)


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_too_many_rejects_publish_nothing(feed, tmp_path, allowed):
    path = feed(f"{GOOD}\nx1\n3569380356438090000\n+49015420323751\n{GOOD}\n")
    before, rejects = sorted(tmp_path.iterdir()), tmp_path / "rejects.csv"
    with pytest.raises(errors.FeedRejects) as caught:
        load(path, max_rejects=allowed, rejects=rejects)
    assert caught.value.line == allowed + 2
    assert "64380" not in str(caught.value)
    # but the rejects, which are to be mended, up to there
    assert [line.split("\t")[0] for line in rejects.read_text().splitlines()[: allowed + 2]] == [
        "line",
        *map(str, range(2, allowed + 3)),
    ]
    assert rejects.stat().st_mode & 0o777 == 0o600
    rejects.unlink()
    assert sorted(tmp_path.iterdir()) == before
    assert load(path, max_rejects=3).report.rejected == 3


def test_another_error_keeps_no_rejects(feed, tmp_path):
    path, rejects = feed(gzip.compress(b"x\n" + f"{GOOD}\n".encode() * 50)[:-3]), tmp_path / "rejects.csv"
    with pytest.raises(errors.FeedTruncated):
        load(path, rejects=rejects)
    assert not rejects.exists()


def test_rejects_are_kept_where_every_row_is_rejected(feed, tmp_path):
    with pytest.raises(errors.FeedRejects):
        load(feed("x1\nx2\n"), rejects=tmp_path / "rejects.csv")
    assert len((tmp_path / "rejects.csv").read_text().splitlines()) == 3


def test_a_file_without_any_imei_is_an_error(feed):
    good = feed(GOOD, "good")
    with pytest.raises(
        errors.FeedRejects, match=r"every row was rejected.*2 a character that is not a digit"
    ):
        load([good, feed("foo\nbar\n", "wrong")])


@pytest.mark.parametrize("text", ["", "\ufeff", "# only\n\n", "# only", "\r\n", gzip.compress(b"")])
def test_nothing_to_load(feed, text):
    with pytest.raises(errors.FeedEmpty):
        load(feed(text))


@pytest.mark.parametrize("length", [10, (1 << 16) - 6, 1 << 16, 1 << 17])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_header_of_any_length(feed, length, quote):
    title = quote + "x" * length + "\n" * bool(quote) + quote
    report = load(feed(f"# above\nimei,{title}\n{GOOD},1\n"), column=1).report
    assert (report.rows, report.headers, report.continued) == (1, 1, bool(quote))


@settings(max_examples=300)
@given(
    st.text('aa;, "#\t\r\n\0\x0b', min_size=1, max_size=30).map(str.encode),
    st.sampled_from([b",", b";", b""]),
    st.sampled_from([5, 1000]),
)
@example(b'a,"b\nc",d\n', b",", 1000)
@example(b"# a\nb\n", b",", 1000)
def test_a_header_is_what_a_scanner_says(text, delimiter, longest):
    """Most are found without one."""
    scanner = Scanner(delimiter, (0,), max_row=longest)
    scanner.feed(text, final=True)
    if scanner.batch():
        dialect = Dialect(delimiter, (0,), header=True, format=FORMATS["table"])
        long = scanner.rows[0, 3] == RowFlaw.LONG_ROW
        with pytest.raises(errors.FeedLimit) if long else nullcontext():
            found = reader.header_of("list", text, 0, dialect, longest)
            assert found == text[: int(scanner.rows[0, 1])]


@pytest.mark.parametrize("text", ["imei", "imei\n", "\n# x\nimei,date\r\n\r\n"])
def test_a_header_alone_is_an_empty_list(feed, text):
    blocked, report = load(feed(text))
    assert len(blocked) == 0
    assert account(report).headers == 1


def test_several_sources_and_progress(feed):
    paths = [feed(f"{GOOD}\nx\n", "a"), str(feed(f"imei\n{GOOD}\ny\n35693803564380", "b"))]
    seen = []
    blocked, report = load(paths, progress=lambda done, total: seen.append((done, total)))
    account(report)
    assert len(blocked) == 2
    assert report.sources == [os.fspath(path) for path in paths]
    assert report.rejects["not_digit"].first == [(str(paths[0]), 2), (paths[1], 3)]
    assert seen[-1] == (18 + 37, 18 + 37)
    found = json.loads(report.to_json())
    assert found["keys"] == 2
    assert found["rejects"]["not_digit"]["count"] == 2


def test_only_the_first_lines_are_kept_and_all_are_counted(feed):
    _, report = load(feed("x\n" * 100_000 + GOOD))
    account(report)
    assert report.rejects["not_digit"].count == 100_000
    assert [line for _, line in report.rejects["not_digit"].first] == [1, 2, 3, 4, 5]


def test_lines_beyond_the_limit_are_rejected(feed, monkeypatch):
    monkeypatch.setattr(reader, "CHUNK", 300)
    long = "9" * 5_000
    blocked, report = load(feed(f'{GOOD}\n{long}\n"{long}\n356938035643809\n{long}'), max_line=200)
    account(report)
    assert len(blocked) == 2
    assert report.rejects["long_row"].first == [(report.sources[0], line) for line in (2, 3, 5)]


def test_keys_grow_beyond_the_first_buffer(feed):
    keys = np.arange(10**13, 10**14, 3 * 10**7, dtype=np.uint64)[::-1][:1_200_000]
    text = "\n".join(map(str, keys.tolist()))
    blocked, report = load(feed(text))
    account(report)
    assert (blocked.to_numpy() == keys[::-1]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"paths": []}, "at least one file"),
        ({"paths": "x", "check_digit": "never"}, "check_digit"),
        ({"paths": "x", "max_line": 0}, "max_line"),
        ({"paths": "x", "max_ratio": float("nan")}, "max_ratio"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        load(**arguments)


def test_an_unwritable_rejects_file_fails_first(feed, tmp_path):
    with pytest.raises(OSError, match="No such file"):
        load(feed(GOOD), rejects=tmp_path / "missing" / "rejects.csv")


def test_a_full_disk_publishes_nothing(feed):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with pytest.raises(OSError, match="/dev/full"):
        load(feed(GOOD + "\nx\n"), rejects="/dev/full")


def test_limits_of_what_stands_before_the_rows(feed, monkeypatch):
    with pytest.raises(errors.FeedLimit, match="a header of at most 10 bytes"):
        load(feed(f"imei,a_very_long_header\n{GOOD},1\n"), max_line=10)
    monkeypatch.setattr(reader, "CHUNK", 300)
    with pytest.raises(errors.FeedLimit, match="rows in the first 300 bytes"):
        load(feed("# comment\n" * 100 + f"imei\n{GOOD}\n"), max_line=200)


def test_a_few_control_characters_reject_their_rows_only(feed):
    _, report = load(feed(f"{GOOD}\n4901542\x00323751\n\x01\n\x1a"))
    assert account(report).rejects["nul"].first[0][1] == 2
    assert report.rejects["not_digit"].count == 2


def test_irregular_identities(feed, tmp_path):
    rows = [GOOD, "62#222222222222", "dead", "DEAD", "52003020863612#", "49015420323751ff", "x", "", "1" * 17]
    path = feed("imei,n\n" + "".join(f"{row},\n" for row in rows))
    blocked, report = load(path, irregular="keep", rejects=tmp_path / "rejects")
    account(report)
    assert blocked.irregular.tolist() == [b"62#222222222222", b"DEAD"]
    assert blocked.to_numpy().tolist() == [49015420323751, 52003020863612]
    assert (report.irregular, report.texts, report.duplicates, report.forms[14]) == (3, 2, 2, 2)
    assert {name: entry.count for name, entry in report.rejects.items()} == {
        "not_digit": 1,
        "empty": 1,
        "too_long": 1,
    }
    blocked, report = load(path)
    assert (blocked.irregular, account(report).rejected, report.irregular) == (None, 7, 0)
    with pytest.raises(errors.FeedRejects):
        load(feed("490154203237517\n"), irregular="keep", check_digit="require")


@pytest.mark.parametrize("irregular", ["reject", "keep"])
def test_lines_that_come_to_end_in_cr(feed, irregular):
    """After what is looked at first: rows that would hide in one that is rejected."""
    head, rows = f"{GOOD},x\n" * 9000, "356938035643809,y\r" * 18
    for text in (rows, rows + "\n", rows * 10_000):
        with pytest.raises(errors.FeedEncoding, match=r"LF or CRLF.*end in CR, from line 9002 on"):
            load(feed(f"imei,note\n{head}{text}{head}"), irregular=irregular)
    path = feed(f'imei,note\n{head}{rows[:36]}\n"x","a\rb"\nx,y\r\rz\r\n{GOOD},"{rows}"\n')
    report = account(load(path).report)
    assert {name: entry.first for name, entry in report.rejects.items()} == {
        "carriage_return": [(str(path), 9002), (str(path), 9004)],
        "not_digit": [(str(path), 9003)],
    }
