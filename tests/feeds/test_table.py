"""Rows of delimited text that look alike take a short cut: nothing but the time may show it."""

import random

import pytest
from feeds.test_plain import compare, level  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset._native import scan as _scan
from imeiset.feeds import load, reader, rows

IMEIS = [
    "490154203237518",
    "490154203237518",
    "35693803564380",
    "356938035643801",
    "3569380356438099",
    "86012345678901\r",
    " 490154203237518 ",
    "35-693803-564380-9",
    "12345678901234567",
    "1234567890123",
    "12345678901234a",
    "4901542032375\x00",
    "62#222222222222",
    "",
    '"490154203237518"',
    '"490154203237518',
    '4901542"03237518',
    '"4901542\n03237518"',
    "\u0661490154203237",
    "x" * 90,
    "12345678901237",
    "123456789012371",
    "000000000000000",
    "11111111111111",
    "00101712345678",
    "imei-490154203237518",
    "490154203237518F",
    '="490154203237518"',
    '"=""490154203237518"""',
    "490154203237518/01",
    "#490154203237518",
]
DATES = ["20240229", "20240229", "20240101", "", "2024-02-29", '"20240229"', '"a\nb"', "1" * 80, "\r"]
STATUSES = [
    "blacklist",
    "blacklist",
    "",
    "Blacklist",
    " blacklist",
    '"blacklist"',
    "pending",
    "black list",
    "9",
]
ROWS = st.one_of(
    st.tuples(st.sampled_from(IMEIS), st.sampled_from(DATES), st.sampled_from(STATUSES)),
    st.tuples(st.sampled_from(IMEIS), st.sampled_from(DATES)),
    st.tuples(st.sampled_from(IMEIS), st.sampled_from(DATES), st.sampled_from(STATUSES), st.just("")),
    st.just(("# 1", "2", "3")),
    st.just(("",)),
)


def look_away(source, _path, dialect, *_more):
    """Instead of `Reader.look`: which rows are looked at depends on the parts of the text."""
    source.report.formats.append(dialect.format.name)
    return dialect


@settings(max_examples=300)
@given(
    lines=st.lists(ROWS, max_size=40),
    good=st.integers(0, 40),
    order=st.permutations([0, 1, 2]),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    chunk=st.integers(100, 900),
    options=st.fixed_dictionaries(
        {
            "check_digit": st.sampled_from(["ignore", "spare", "require"]),
            "max_rejects": st.sampled_from([None, None, 3]),
            "irregular": st.sampled_from(["reject", "keep"]),
            "max_line": st.sampled_from([70, 1000]),
            "lost_zeros": st.sampled_from([None, "keep", "restore", "restore-imeisv"]),
        }
    ),
)
def test_any_rows(tmp_path_factory, lines, good, order, delimiter, end, last, chunk, options):
    path = tmp_path_factory.mktemp("table") / "list"
    usual = ("490154203237518", "20240229", "blacklist")
    table = [("imei", "reporting_date", "status"), usual, *lines, *[usual] * good, *lines, usual]
    text = end.join(delimiter.join([row[at] for at in order] if len(row) == 3 else row) for row in table)
    path.write_text(text + end * last, newline="", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "CHUNK", chunk)
        patch.setattr(rows, "_UNLIKE", 1)
        patch.setattr(reader.Reader, "look", look_away)
        compare(path, patch, **options)


@pytest.mark.parametrize("odd", [0, 1, 30, 500])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_dirty_list(tmp_path, monkeypatch, odd, mixed, place):
    rng = random.Random(odd)
    cells = ["x", "20240229", "1-2", "+49 1"]
    table = []
    for _ in range(6000):
        row = [*cells, ""] if mixed and rng.random() < 0.5 else [*cells, "y" * (mixed and rng.randrange(3))]
        table.append([*row[:place], rng.choice(IMEIS[:5]) if mixed else IMEIS[0], *row[place:]])
    for at in rng.sample(range(len(table)), odd):
        table[at][place] = rng.choice(IMEIS)
    names = [f"column {i}" for i in range(5)]
    table.insert(0, [*names[:place], "imei", *names[place:]])
    path = tmp_path / "list"
    path.write_text("\n".join(map(",".join, table)), newline="", encoding="utf-8")
    monkeypatch.setattr(reader, "CHUNK", 5000)
    compare(path, monkeypatch, check_digit="spare")


def test_few_rows_are_looked_at():
    row = b"%d,%d,blacklist\n"
    text = b"".join(row % (49015420323751 * 10 + i % 10, 20240101 + i % 28) for i in range(5000))
    text += b"".join(row[:-1] % (49015420323751, 20240101) + b"\r\n" for i in range(5000))
    scanner = _scan.Scanner(b",", (0, 2), status=1, counting=[b"blacklist"])
    scanner.feed(text, final=True)
    accept, keys = rows.np.ones(256, "u1"), rows.np.zeros(10_001, "u8")
    assert scanner.read_keys(accept, keys)[0] == 10_000
    assert set(keys[:10_000].tolist()) == {49015420323751}
    assert scanner.learned < 10
    assert scanner.tally()[2] == (5000, 5000, 0)


def test_a_list_of_rows_that_are_not_alike(tmp_path, monkeypatch):
    """It is not sifted for long, and gives the same."""
    rng = random.Random(5)
    path = tmp_path / "list"
    names = ["".join(rng.choices("abcdefgh ", k=rng.randrange(1, 60))) for _ in range(500)]
    lines = [f"{name},{IMEIS[0]},{rng.choice(names)}" for name in names * 40]
    path.write_text("\n".join(["brand,imei,model", *lines]))
    monkeypatch.setattr(reader, "CHUNK", 20_000)
    assert compare(path, monkeypatch)[1]["rows"] == 20_000


def test_a_quoted_line_end_between_blocks(tmp_path, monkeypatch):
    """What looks like rows to the thread that begins there is none."""
    monkeypatch.setattr(reader, "CHUNK", 2000)
    row = "490154203237518,a\n"
    for length in (1, 50, 1500, 1990, 2500, 4500):
        inside = "\n".join(["356938035643809"] * 400)[:length]
        text = "imei,note\n" + row * 110 + f'352099001761481,"{inside}"\n' + row * 300
        path = tmp_path / "list"
        path.write_text(text)
        members, report = load(path, max_line=5000)
        assert list(members) == ["352099001761481", "490154203237518"]
        assert (report.rows, report.rejected) == (411, 0)
        assert report.lines == text.count("\n")
        assert report.continued == inside.count("\n")
