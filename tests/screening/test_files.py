"""Records screened: the same rows in the same order, each with the word the oracle has for it."""

import csv
import gzip
import io
import lzma
import random
import re
import sys
import zipfile

import dirty
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import EquipmentStatus, FeedError, ImeiSet, Register, Store, load, screen
from imeiset._native.scan import annotate
from imeiset.errors import (
    FeedColumn,
    FeedEmpty,
    FeedEncoding,
    FeedLimit,
    FeedMissing,
    FeedRejects,
    FeedTruncated,
)
from imeiset.feeds.report import RowFlaw
from imeiset.feeds.sources import CHUNK

LISTED = ImeiSet(dirty.LISTED)
VALUES = [value or "" for value in dirty.COLUMN]  # a text file has no nulls
WORDS = dirty.words(VALUES)


def table(values=VALUES, delimiter=",", end="\n", header=True):
    """A file of dates, IMEIs and notes, some of them quoted."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    notes = ["", "x", f"a{delimiter}b", 'say "no"', "two\nlines"]
    if header:
        writer.writerow(["date", "IMEI", "note"])
    writer.writerows([20240101 + i, value, notes[i % len(notes)]] for i, value in enumerate(values))
    return out.getvalue().encode()


def rows(path, delimiter=","):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file, delimiter=delimiter))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_rows_keep_their_bytes(tmp_path, delimiter, end):
    text = table(delimiter=delimiter, end=end)
    (tmp_path / "in.csv").write_bytes(text)
    for column in ("imei", 2, None):
        report = screen(tmp_path / "in.csv", LISTED, column=column, output=tmp_path / "out.csv")
        given = list(csv.reader(io.StringIO(text.decode(), newline=""), delimiter=delimiter))
        want = [[*row, word] for row, word in zip(given, ["status", *WORDS], strict=True)]
        assert rows(tmp_path / "out.csv", delimiter) == want
    screen(tmp_path / "in.csv", LISTED, output=tmp_path / "hits.csv", only_hits=True)
    assert rows(tmp_path / "hits.csv", delimiter) == [want[0], *(row for row in want if row[-1] == "listed")]
    assert report.rows == len(VALUES)
    assert report.hits == WORDS.count("listed") == sum(report.tacs.values())
    assert report.words == {word: WORDS.count(word) for word in WORDS}
    hits = [tac for tac, word in zip(dirty.tacs(VALUES), WORDS, strict=True) if word == "listed"]
    assert report.tacs == {tac: hits.count(tac) for tac in hits}
    assert list(report.tacs.values()) == sorted(report.tacs.values(), reverse=True)


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(VALUES), st.text("0123456789-x", max_size=18)), max_size=50),
    st.lists(st.text(st.sampled_from('ab,"\n;'), max_size=6), min_size=1, max_size=5),
    st.booleans(),
)
def test_any_table(tmp_path_factory, values, notes, last):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([["note", "imei", "n"], *([notes[i % len(notes)], v, i] for i, v in enumerate(values))])
    text = out.getvalue() if last else out.getvalue().removesuffix("\n")
    here = tmp_path_factory.mktemp("any")
    (here / "in.csv").write_text(text)
    words = dirty.words([value.strip(" \t") for value in values])
    if values and all(word.startswith("malformed") for word in words):
        with pytest.raises(FeedRejects, match=f"expected IMEIs, got none in {len(values)} rows"):
            screen(here / "in.csv", LISTED, column="imei", output=here / "out.csv")
        assert not (here / "out.csv").exists()
        return
    report = screen(here / "in.csv", LISTED, column="imei", output=here / "out.csv")
    found = rows(here / "out.csv")
    assert [row[:3] for row in found[1:]] == [
        [notes[i % len(notes)], v, str(i)] for i, v in enumerate(values)
    ]
    assert [row[3] for row in found[1:]] == words
    assert sum(report.words.values()) == report.rows == len(values)


def test_many_chunks_in_order(tmp_path):
    """Several megabytes: pieces come back in the order of the file."""
    values = np.random.default_rng(1).choice(np.array(dirty.LISTED + ["352099001761499"]), 200_000).tolist()  # noqa: RUF005
    (tmp_path / "in.csv.gz").write_bytes(gzip.compress(table(values), 1))
    positions = []
    report = screen(
        tmp_path / "in.csv.gz", LISTED, output=tmp_path / "out.csv", progress=lambda *p: positions.append(p)
    )
    found = rows(tmp_path / "out.csv")[1:]
    assert [row[1] for row in found] == values
    assert [row[3] == "listed" for row in found] == [value in dirty.LISTED for value in values]
    assert report.hits == sum(value in dirty.LISTED for value in values)
    size = (tmp_path / "in.csv.gz").stat().st_size
    assert positions[-1] == (size, size)
    assert positions == sorted(positions)


def test_rows_that_are_not_whole(tmp_path):
    """What is missing at the end is empty, but for the IMEI."""
    text = b"a,imei,n\n7,490154203237518,1\n7,490154203237518\n7\n7,490154203237518,1,2,3\n"
    text += b'7,"490154203237518,1\n\n7,352099001761499,2'
    (tmp_path / "in.csv").write_bytes(text)
    report = screen(tmp_path / "in.csv", LISTED, output=tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes().splitlines() == [
        b"a,imei,n,status",
        b"7,490154203237518,1,listed",
        b"7,490154203237518,,listed",
        b"7,,,malformed: short row",
        b"7,490154203237518,1,malformed: cell count,2,3",
        b'"7,""490154203237518,1",,,malformed: broken quote',
        b"7,352099001761499,2,not listed",
    ]
    assert report.rows == 6
    (tmp_path / "long.csv").write_bytes(
        b"imei,n\n490154203237518,1\n490154203237518," + b"x" * (1 << 21) + b"\n"
    )
    assert screen(tmp_path / "long.csv", LISTED).words == {"listed": 1, "malformed: long row": 1}
    with pytest.raises(FeedLimit, match="rows of at most"):  # it would lose its end
        screen(tmp_path / "long.csv", LISTED, output=tmp_path / "long-out.csv")
    assert not (tmp_path / "long-out.csv").exists()


def test_plain_lists_and_no_header(tmp_path):
    (tmp_path / "plain").write_text("# made today\n" + "\n".join(dirty.LISTED) + "\n352099001761499\n")
    screen(tmp_path / "plain", LISTED, output=tmp_path / "out.csv")
    assert rows(tmp_path / "out.csv") == [
        *([i, "listed"] for i in dirty.LISTED),
        ["352099001761499", "not listed"],
    ]
    (tmp_path / "bare.csv").write_bytes(table(header=False))
    screen(tmp_path / "bare.csv", LISTED, column=2, output=tmp_path / "out.csv")
    assert [row[3] for row in rows(tmp_path / "out.csv")] == WORDS


def test_directories(tmp_path):
    for name in ("b/2.csv", "a/1.csv", "3.csv"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(table())
    (tmp_path / "in" / "README").write_text("not data")
    report = screen(tmp_path / "in", LISTED, output=tmp_path / "out.csv")
    assert [name.rpartition("/")[2] for name in report.inputs] == ["3.csv", "1.csv", "2.csv"]
    assert [row[3] for row in rows(tmp_path / "out.csv")] == ["status", *WORDS * 3]
    (tmp_path / "in" / "4.csv").write_bytes(b"imei\n490154203237518\n")
    assert screen(tmp_path / "in", LISTED).rows == 3 * len(WORDS) + 1
    with pytest.raises(FeedColumn, match="expected the header and columns of the first file"):
        screen(tmp_path / "in", LISTED, output=tmp_path / "out.csv")
    assert [name.rpartition("/")[2] for name in report.skipped] == ["README"]
    (tmp_path / "none").mkdir()
    with pytest.raises(FeedEmpty, match=r"expected files that end in \.csv"):
        screen(tmp_path / "none", LISTED)


@pytest.fixture(params=["gz", "zst", "xz", "zip"])
def packed(request):
    """A way to compress, with its suffix."""
    if request.param == "zip":

        def pack(data):
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("calls.csv", data)
            return out.getvalue()

        return request.param, pack
    if request.param == "zst":
        name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
        return request.param, pytest.importorskip(name).compress
    return request.param, {"gz": gzip.compress, "xz": lzma.compress}[request.param]


def test_directories_of_compressed_files(tmp_path, packed):
    suffix, pack = packed
    here = tmp_path / "in"
    here.mkdir()
    (here / f"1.csv.{suffix}").write_bytes(pack(table()))
    (here / f"2.{suffix}").write_bytes(pack(b"\xef\xbb\xbf" + table()))
    (here / f"3.CSV.{suffix.upper()}").write_bytes(pack(table()))
    (here / "4.csv").write_bytes(table())
    # The same phone of 14 digits in all of them may have lost a zero.
    report = screen(here, LISTED, output=tmp_path / "out.csv", lost_zeros="keep")
    assert [row[3] for row in rows(tmp_path / "out.csv")] == ["status", *WORDS * 4]
    assert report.rows == 4 * len(WORDS)
    cut = pack(table(VALUES * 200))[:-30]
    (here / f"5.csv.{suffix}").write_bytes(cut)
    with pytest.raises(FeedTruncated):
        screen(here, LISTED, output=tmp_path / "out.csv")
    assert [row[3] for row in rows(tmp_path / "out.csv")] == ["status", *WORDS * 4]


def test_a_store(tmp_path):
    (tmp_path / "in.csv").write_bytes(table())
    with Store.create(tmp_path / "eir", dirty.register()) as store:
        for listed in (tmp_path / "eir", store):
            report = screen(tmp_path / "in.csv", listed, output=tmp_path / "out.csv")
            assert [row[3] for row in rows(tmp_path / "out.csv")[1:]] == dirty.register_words(VALUES)
            assert report.hits == WORDS.count("listed") == report.lists["stolen"]


@pytest.mark.parametrize("order", [("new", "stolen"), ("stolen", "new"), ("new", "stolen", "newer")])
def test_a_store_that_gains_lists_meanwhile(tmp_path, order):
    """A file is screened by one state."""
    register = dirty.register()
    other = ImeiSet(["352099001761499"])
    values, times = [*dirty.LISTED, "352099001761499"], 40_000
    (tmp_path / "in.csv").write_text("\n".join(values * times))
    assert (tmp_path / "in.csv").stat().st_size > 1.5 * CHUNK
    with Store.create(tmp_path / "eir", register) as store:
        new = Register()
        for name in order:
            members = register[name] if name == "stolen" else other
            new.add(name, members, status=EquipmentStatus.BLACKLISTED)

        def replace(done, total):
            if store.generation == 1:
                store.replace(new)

        report = screen(tmp_path / "in.csv", store, output=tmp_path / "out.csv", progress=replace)
        assert store.generation == 2
        assert report.lists == {"stolen": len(dirty.LISTED) * times}
        assert [row[1] for row in rows(tmp_path / "out.csv")] == dirty.register_words(values) * times
        report = screen(tmp_path / "in.csv", store)
        want = {"stolen": len(dirty.LISTED), "new": 1, "newer": 0}  # the first of equals decides
        assert report.lists == {name: want[name] * times for name in order}


def test_registers(tmp_path):
    (tmp_path / "in.csv").write_bytes(table())
    report = screen(tmp_path / "in.csv", dirty.register(), output=tmp_path / "out.csv")
    assert [row[3] for row in rows(tmp_path / "out.csv")[1:]] == dirty.register_words(VALUES)
    assert report.hits == WORDS.count("listed") == report.lists["stolen"]


def test_nothing_is_published_after_an_error(tmp_path):
    (tmp_path / "out.csv").write_text("before")
    good, cut = tmp_path / "good.csv", tmp_path / "cut.csv.gz"
    good.write_bytes(table())
    cut.write_bytes(gzip.compress(table(VALUES * 50))[:-20])
    for bad, error in [(cut, FeedTruncated), (tmp_path / "nowhere.csv", FeedMissing)]:
        with pytest.raises(error):
            screen([good, bad], LISTED, output=tmp_path / "out.csv")
    with pytest.raises(FeedColumn, match="a column named 'imsi'"):
        screen(good, LISTED, column="imsi", output=tmp_path / "out.csv")
    with pytest.raises(ValueError, match="which is one"):
        screen(good, LISTED, output=good)
    with pytest.raises(FeedError):
        screen(tmp_path / "out.csv", LISTED, column="imei")
    assert (tmp_path / "out.csv").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.csv.gz", "good.csv", "out.csv"]


@pytest.mark.parametrize("rows", [18, 100_000])
@pytest.mark.parametrize("output", [None, "out.csv"])
def test_records_that_come_to_end_in_cr(tmp_path, rows, output):
    """They would hide in one record that is malformed."""
    text = "# calls\nimei,n\n" + "352099001761499,1\n" * 9000
    text += f"{dirty.LISTED[0]},2\r" * rows + "\n352099001761499,3\n"
    (tmp_path / "in.csv").write_text(text, newline="")
    with pytest.raises(FeedEncoding, match="lines that end in CR, from line 9003 on"):
        screen(tmp_path / "in.csv", LISTED, output=output and tmp_path / output)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("text", ["tac,n\n35209900,1\n", "from,to\n490154203237518,352099001761481\n"])
def test_lists_of_tacs_and_ranges_are_no_records(tmp_path, text):
    (tmp_path / "in.csv").write_text(text)
    with pytest.raises(FeedColumn, match=r"records with a column of IMEIs, or --column"):
        screen(tmp_path / "in.csv", LISTED)
    if text.startswith("tac"):
        with pytest.raises(FeedRejects, match="expected IMEIs, got none in 1 rows: 1 malformed: too short"):
            screen(tmp_path / "in.csv", LISTED, column=1)
    else:
        assert screen(tmp_path / "in.csv", LISTED, column=1).rows == 1


# ---- Parquet ----


@pytest.fixture
def parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("nanoarrow")
    pq = pytest.importorskip("pyarrow.parquet")

    def write(name, **data):
        pq.write_table(pa.table(data), tmp_path / name, row_group_size=10)
        return tmp_path / name

    return write, lambda path: pq.read_table(path).to_pylist()


def test_parquet(tmp_path, parquet):
    write, read = parquet
    source = write("in.parquet", n=range(len(dirty.COLUMN)), imei=dirty.COLUMN)
    want = [
        {"n": i, "imei": v, "status": w}
        for i, (v, w) in enumerate(zip(dirty.COLUMN, dirty.words(), strict=True))
    ]
    for column in ("imei", 2, None):
        report = screen(source, LISTED, column=column, output=tmp_path / "out.parquet")
        assert read(tmp_path / "out.parquet") == want
        assert report.words == screen(source, LISTED, column=column).words
    screen(source, LISTED, output=tmp_path / "hits.parquet", only_hits=True)
    assert read(tmp_path / "hits.parquet") == [row for row in want if row["status"] == "listed"]
    screen(source, LISTED, output=tmp_path / "out.csv")
    assert [row[2] for row in rows(tmp_path / "out.csv")] == ["status", *dirty.words()]


def test_of_two_imeis_one_has_to_be_chosen(tmp_path, parquet):
    write, _ = parquet
    table = {"imei": ["352099001761499"], "IMEI 2": [dirty.LISTED[0]]}
    (tmp_path / "in.csv").write_text("imei,IMEI 2\n352099001761499," + dirty.LISTED[0] + "\n")
    for source in (tmp_path / "in.csv", write("in.parquet", **table)):
        with pytest.raises(FeedColumn, match=r"--column.* columns 1 \('imei'\), 2 \('IMEI 2'\)"):
            screen(source, LISTED)
        assert screen(source, LISTED, column="imei").hits == 0
        assert screen(source, LISTED, column=2).hits == 1


def test_columns_of_one_name(tmp_path, parquet):
    """The number chooses, not the name."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table([["352099001761499"], [dirty.LISTED[0]], ["x"]], ["imei", "imei", "n"])
    pq.write_table(table, tmp_path / "in.parquet")
    for column, hits in ((1, 0), (2, 1)):
        assert screen(tmp_path / "in.parquet", LISTED, column=column).hits == hits
        for output in ("out.csv", "out.parquet"):
            report = screen(tmp_path / "in.parquet", LISTED, column=column, output=tmp_path / output)
            assert (report.rows, report.hits) == (1, hits)


def test_a_file_without_rows_and_columns_without_nulls(tmp_path, parquet):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    schema = pa.schema([pa.field("imei", pa.string(), nullable=False), pa.field("n", pa.int64())])
    for rows in (0, 2):
        table = pa.table([dirty.LISTED[:rows], list(range(rows))], schema=schema)
        pq.write_table(table, tmp_path / "in.parquet")
        (tmp_path / "in.csv").write_text("imei,n\n" + "".join(f"{imei},0\n" for imei in dirty.LISTED[:rows]))
        for source in ("in.parquet", "in.csv"):
            for only_hits in (False, True):
                screen(
                    tmp_path / source, LISTED, output=tmp_path / "out.parquet", only_hits=only_hits
                )  # fmt: skip
                found = pq.read_table(tmp_path / "out.parquet")
                assert found.column_names == ["imei", "n", "status"]
                assert found["status"].to_pylist() == ["listed"] * rows
        screen(tmp_path / "in.parquet", LISTED, output=tmp_path / "out.csv")
        assert (tmp_path / "out.csv").read_text().count("\n") == rows + 1


def test_blanks_around_texts(tmp_path, parquet):
    """They are no part of it, in text and in tables alike."""
    write, _ = parquet
    values = [f" {dirty.LISTED[0]}\t", f"{dirty.LISTED[1]}  ", " ", "1 ", "x", "352099001761499", " 62#2 "]
    (tmp_path / "in.csv").write_text("imei,n\n" + "".join(f"{value},1\n" for value in values))
    words = {"listed": 2, "malformed: empty": 1, "malformed: too short": 1, "malformed: not digit": 2}
    words["not listed"] = 1
    kept = ImeiSet(dirty.LISTED) | ImeiSet.from_keys([], irregular=["62#2"])
    for source in (tmp_path / "in.csv", write("in.parquet", imei=values)):
        for output in ("out.csv", "out.parquet"):
            assert screen(source, LISTED, output=tmp_path / output).words == words
            assert screen(source, kept, output=tmp_path / output).hits == 3
    for kind in ("binary", "large_string", "dictionary"):
        pa = pytest.importorskip("pyarrow")
        column = pa.array(values).dictionary_encode() if kind == "dictionary" else pa.array(values).cast(kind)
        assert screen(write("in.parquet", imei=column), LISTED).words == words


def test_what_pyarrow_says_shows_no_row(tmp_path, parquet):
    (tmp_path / "in.csv").write_text(f"imei,n\n{dirty.LISTED[0]},1\n{dirty.LISTED[0]},1,2\n")
    expected = r"line 3: expected rows of 2 cells, to make Parquet of them, got malformed: cell count$"
    with pytest.raises(FeedEncoding, match=expected):
        screen(tmp_path / "in.csv", LISTED, output=tmp_path / "out.parquet")
    for title in (b"a\rb", b"\xe9"):
        (tmp_path / "in.csv").write_bytes(b"imei,%b\n490154203237518,1\n352099001761499,1\n" % title)
        with pytest.raises(FeedEncoding, match="a header in UTF-8"):
            screen(tmp_path / "in.csv", LISTED, output=tmp_path / "out.parquet")
    assert screen(tmp_path / "in.csv", LISTED, output=tmp_path / "out.csv").rows == 2


def test_text_to_parquet_and_both(tmp_path, parquet):
    write, read = parquet
    values = [value.replace("\0", "#") for value in VALUES]
    (tmp_path / "in.csv").write_bytes(b"\xef\xbb\xbf# calls\n" + table(values, delimiter=";"))
    screen(tmp_path / "in.csv", LISTED, output=tmp_path / "out.parquet")
    found = read(tmp_path / "out.parquet")
    assert [row["IMEI"] for row in found] == values
    assert [row["status"] for row in found] == dirty.words(values)
    assert found[0]["date"] == "20240101"
    assert found[4]["note"] == "two\nlines"
    both = screen([tmp_path / "in.csv", write("in.parquet", imei=dirty.COLUMN)], LISTED)
    assert both.rows == 2 * len(VALUES)
    with pytest.raises(FeedColumn, match="the columns of the first file"):
        screen([tmp_path / "in.csv", tmp_path / "in.parquet"], LISTED, output=tmp_path / "b.parquet")
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(FeedEmpty):
        screen(tmp_path / "empty.csv", LISTED, output=tmp_path / "b.parquet")
    (tmp_path / "bare.csv").write_bytes(table(values, header=False))
    with pytest.raises(FeedColumn, match="a header, to make Parquet of it"):
        screen(tmp_path / "bare.csv", LISTED, column=2, output=tmp_path / "b.parquet")


def test_no_byte_is_lost_between_blocks(tmp_path, parquet):
    """pyarrow loses some, see `_File`."""
    _, read = parquet
    for short in range(6):
        start = b'imei,note\n490154203237518,"'
        note = b"z" * (CHUNK - len(start) - short) + b"\r\nB\r\n"
        text = start + note + b'"\r\n' + b"352099001761499,plain\r\n" * 5 + b"x,\r"
        (tmp_path / "in.csv").write_bytes(text)
        assert screen(tmp_path / "in.csv", LISTED, output=tmp_path / "out.parquet").rows == 7
        found = read(tmp_path / "out.parquet")
        assert found[0]["note"].encode() == note
        assert [row["status"] for row in found] == ["listed", *["not listed"] * 5, "malformed: not digit"]


def test_nul_bytes(tmp_path, parquet):
    """Which old versions of pyarrow take for the end of a text."""
    _, read = parquet
    pyarrow = pytest.importorskip("pyarrow")
    (tmp_path / "in.csv").write_bytes(b"imei,note\n" + b"1\0,a\n490154203237518,a note\n" * 20_000)
    screen(tmp_path / "in.csv", LISTED, output=tmp_path / "out.csv")
    assert [row[2] for row in rows(tmp_path / "out.csv")[1:]] == ["malformed: nul", "listed"] * 20_000
    if int(pyarrow.__version__.partition(".")[0]) < 26:
        with pytest.raises(FeedEncoding, match="text without NUL bytes"):
            screen(tmp_path / "in.csv", LISTED, output=tmp_path / "out.parquet")
        return
    screen(tmp_path / "in.csv", LISTED, output=tmp_path / "out.parquet")
    assert [row["status"] for row in read(tmp_path / "out.parquet")] == ["malformed: nul", "listed"] * 20_000


def test_compressed_text_to_parquet(tmp_path, parquet, packed):
    _, read = parquet
    suffix, pack = packed
    values = [value.replace("\0", "#") for value in VALUES] * 1500  # several chunks of it
    text = b"\xef\xbb\xbf# calls\n" + table(values, delimiter=";")
    (tmp_path / f"in.csv.{suffix}").write_bytes(pack(text))
    positions = []
    screen(
        tmp_path / f"in.csv.{suffix}", LISTED, output=tmp_path / "out.parquet", lost_zeros="keep",
        progress=lambda *p: positions.append(p)
    )  # fmt: skip
    found = read(tmp_path / "out.parquet")
    assert [row["IMEI"] for row in found] == values
    assert [row["status"] for row in found] == dirty.words(values)
    size = (tmp_path / f"in.csv.{suffix}").stat().st_size
    assert positions == sorted(positions)
    assert positions[-1] == (size, size)
    (tmp_path / f"cut.{suffix}").write_bytes(pack(text)[:-30])
    with pytest.raises(FeedTruncated):
        screen(tmp_path / f"cut.{suffix}", LISTED, output=tmp_path / "cut.parquet")
    assert not (tmp_path / "cut.parquet").exists()


def test_parquet_that_cannot_be_screened(tmp_path, parquet):
    write, _ = parquet
    with pytest.raises(FeedColumn, match=r"column named 'device'.* got .*'a', 'imei'"):
        screen(write("a.parquet", a=[1], imei=["x"]), LISTED, column="device")
    with pytest.raises(FeedColumn, match="a column of texts"):
        screen(write("b.parquet", imei=[1.5]), LISTED)
    (tmp_path / "c.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(FeedError, match="a file that pyarrow reads"):
        screen(tmp_path / "c.parquet", LISTED)
    with pytest.raises(FeedMissing):
        screen(tmp_path / "d.parquet", LISTED)
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_status_stands_under_its_title(tmp_path, delimiter, end):
    """Cells without a title may be missing, and blank ones follow: many a program ends its rows so."""
    imei = dirty.LISTED[0]
    bodies = [
        *("a", "a,", "a,b", "a,b,", "a,b,,, ,", '"a,1",', '"a ""x""",b', '"a\nb"', '"a,"'),
        *('x "a,b', ' "a', '"",""', '"a,1","b,",,'),
    ]
    for title, width in (("imei,note", 2), ("imei,note,", 3), ('imei,"note",,', 4)):
        lines = [title, *(f"{imei},{body}" for body in bodies), imei, f"{imei},", f"{imei}, ,"]
        text = "".join(line.replace(",", delimiter) + end for line in lines)
        (tmp_path / "in.csv").write_bytes(text.encode())
        screen(tmp_path / "in.csv", LISTED, column="imei", output=tmp_path / "out.csv")
        given = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))[1:]
        found = rows(tmp_path / "out.csv", delimiter)
        assert found[0][width:] == ["status"]
        assert len(found) == len(given) + 1
        for was, row in zip(given, found[1:], strict=True):
            if row[-1] == "listed":
                assert len(row) == width + 1
                assert (was + [""] * width)[:width] == row[:width]
                assert not "".join(was[width:]).strip()
            else:
                assert row[width] == "malformed: cell count"
                assert row[:width] + row[width + 1 :] == was + [""] * (width - len(was))
        assert sum(row[-1] == "listed" for row in found) >= 3


def test_no_row_gives_another_status_than_its_own(tmp_path):
    """Whatever stands in a row, a reader of the result finds the status where the header has it."""
    imei, other = dirty.LISTED[0], "352099001761499"
    lines = {
        f"{imei},not listed,not listed,": "malformed: cell count",
        imei: "listed",
        f'"{imei}': "malformed: broken quote",
        f'"{imei}" ,"listed': "malformed: broken quote",
        f"{imei},1\r{other},2,not listed": "malformed: cell count",
        f"{imei},1\r{other}": "malformed: carriage return",
        f"{other},listed": "not listed",
        f'{imei},"a\r""b"': "listed",
        f'x,"{imei}",""""': "malformed: cell count",
    }
    (tmp_path / "in.csv").write_bytes("\n".join(["imei,n", *lines, ""]).encode())
    report = screen(tmp_path / "in.csv", LISTED, output=tmp_path / "out.csv")
    text = (tmp_path / "out.csv").read_bytes().decode()
    found = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert [row[2] for row in found] == ["status", *lines.values()]
    assert sum(report.words.values()) == len(lines)
    assert report.hits == 2
    for row, (line, word) in zip(found[1:], lines.items(), strict=True):
        if word == "malformed: broken quote" or "\r" in line.replace('"a\r', ""):
            assert row == [line, "", word]  # quoted: its cells cannot be told
    plain = [imei, f"{other},listed", f'{imei},"""', f'"{imei}', f"{imei}\r{other}", other]
    (tmp_path / "plain").write_bytes("\n".join(plain).encode())
    screen(tmp_path / "plain", LISTED, output=tmp_path / "out.csv")
    text = (tmp_path / "out.csv").read_bytes().decode()
    found = list(csv.reader(io.StringIO(text, newline="")))
    words = ["listed", "malformed: not digit", "malformed: not digit", "malformed: broken quote"]
    words += ["malformed: carriage return", "not listed"]
    assert found == [list(row) for row in zip(plain, words, strict=True)]


@pytest.mark.parametrize(
    "text",
    [f"#62\n{dirty.LISTED[0]}\n", f"#62,x\n123,y\n{dirty.LISTED[0]},z\n", f"#62,x\n{dirty.LISTED[0]},y\n"],
)
def test_a_first_row_that_begins_with_a_hash(tmp_path, text):
    """What a list keeps as a text may stand in the first line of records without a header."""
    (tmp_path / "list").write_text(f"{dirty.LISTED[0]}\n#62\n123\n")
    (tmp_path / "in.csv").write_text(text)
    kept = load(tmp_path / "list", irregular="keep")[0]
    register = Register()
    register.add("stolen", kept, status=EquipmentStatus.BLACKLISTED)
    for listed in (kept, register):
        report = screen(tmp_path / "in.csv", listed, column=1, output=tmp_path / "out.csv")
        assert report.hits == report.rows == text.count("\n")
        assert (tmp_path / "out.csv").read_text().startswith("#62,")
    assert len(load(tmp_path / "in.csv", column=1, irregular="keep")[0].irregular) == text.count("\n") - 1


@pytest.mark.parametrize("name", ["out.csv.gz", "out.ZST", "out.xlsx", "out.zip", "out.bz2", "out.ods"])
def test_an_output_is_what_its_name_says(tmp_path, name):
    (tmp_path / "in.csv").write_bytes(table())
    with pytest.raises(ValueError, match="expected an output of CSV or Parquet, got a name that ends in"):
        screen(tmp_path / "in.csv", LISTED, output=tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == ["in.csv"]


def test_files_without_a_header_are_as_wide_as_the_first(tmp_path):
    """A cell of a wider row would stand where the status does in another."""
    for name, more in (("a", b""), ("b", b",listed")):
        (tmp_path / name).write_bytes(
            b"350000000000006,x%b\n%b,x%b\n" % (more, dirty.LISTED[0].encode(), more)
        )
    files = [tmp_path / "a", tmp_path / "b"]
    assert screen(files, LISTED, column=1).hits == 2
    with pytest.raises(FeedColumn, match="expected the header and columns of the first file, to write both"):
        screen(files, LISTED, column=1, output=tmp_path / "out.csv")


@pytest.mark.parametrize("name", ["calls.dat", "calls.csv", "calls"])
def test_parquet_under_another_name(tmp_path, name):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"imei": dirty.LISTED[:2], "n": [1, 2]}), tmp_path / name)
    for output in (None, tmp_path / "out.csv", tmp_path / "out.parquet"):
        assert screen(tmp_path / name, LISTED, output=output).words == {"listed": 2}


def test_no_row_of_a_damaged_parquet_file_is_lost(tmp_path):
    """pyarrow takes some damage for the end of a file, and reads no row."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    whole, damaged = tmp_path / "whole.parquet", tmp_path / "damaged.parquet"
    pq.write_table(pa.table({"imei": dirty.LISTED[:2], "n": [1, 2]}), whole, write_page_checksum=True)
    text, lost = whole.read_bytes(), 0
    for at in range(4, len(text) - 8):
        damaged.write_bytes(text[:at] + bytes([text[at] ^ 0x02]) + text[at + 1 :])
        for read in (lambda: screen(damaged, LISTED), lambda: load(damaged)[1]):
            try:
                assert read().rows == 2
            except FeedError as error:
                lost += "a whole Parquet file, of" in str(error)
    assert lost
    calls = pa.table({"imei": dirty.LISTED[:2], "cells": [[1], [2, 3]]})
    pq.write_table(calls, whole)
    with pytest.raises(FeedEncoding, match="writes as CSV"):
        screen(whole, LISTED, output=tmp_path / "out.csv")


def test_a_sheet_of_a_workbook(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for name, imei in (("old", "350000000000006"), ("new", dirty.LISTED[0])):
        sheet = book.create_sheet(name)
        sheet["A1"], sheet["A2"] = "imei", imei
    book.save(tmp_path / "calls.xlsx")
    with pytest.raises(FeedColumn, match="or --sheet with its name"):
        screen(tmp_path / "calls.xlsx", LISTED)
    assert screen(tmp_path / "calls.xlsx", LISTED, sheet="new").words == {"listed": 1}
    assert screen(tmp_path / "calls.xlsx", LISTED, sheet="old").words == {"not listed": 1}


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
@pytest.mark.parametrize(
    ("titles", "added"),
    [
        ("imei,status", ["status_2"]),
        ("imei,Status,STATUS 2", ["status_3"]),
        ("imei,imei2,status_column", ["status", "status_column_2"]),
        ("imei,statuses", ["status"]),
    ],
)
def test_no_status_of_records_passes_for_the_answer(tmp_path, name, titles, added):
    """The output of a screening may be screened again, against another list."""
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    columns = [1, 2] if len(added) > 1 else 1
    row = ["", dirty.LISTED[0]] if len(added) > 1 else [dirty.LISTED[0]]
    row += ["not listed"] * (titles.count(",") + 1 - len(row))
    (tmp_path / "in.csv").write_text(f"{titles}\n{','.join(row)}\n")
    screen(tmp_path / "in.csv", LISTED, column=columns, output=tmp_path / name)
    want = dict(zip([*titles.split(","), *added], [*row, "listed", "imei2"], strict=False))
    if name.endswith(".csv"):
        with (tmp_path / name).open(newline="") as file:
            assert list(csv.DictReader(file)) == [want]
    else:
        pq = pytest.importorskip("pyarrow.parquet")
        assert pq.read_table(tmp_path / name).to_pylist() == [want]


def test_a_title_of_one_cell_stays_one(tmp_path):
    row = dirty.LISTED[0].encode()
    for title, want in ((b"List, x", b'"List, x"'), (b'"List, x"', b'"List, x"'), (b"List; x", b"List; x")):
        (tmp_path / "in.csv").write_bytes(b"%b\n%b\n%b\n" % (title, row, row))
        screen(tmp_path / "in.csv", LISTED, column=1, output=tmp_path / "out.csv")
        assert (tmp_path / "out.csv").read_bytes().splitlines() == [
            want + b",status",
            *[row + b",listed"] * 2,
        ]


def test_columns_of_one_title_are_named_by_number(tmp_path):
    for titles in (b"imei,IMEI", b"imei,imei ", b"imei\xe8,imei\xe9", b"imei,"):
        (tmp_path / "in.csv").write_bytes(b"%b\n,%b\n" % (titles, dirty.LISTED[0].encode()))
        screen(tmp_path / "in.csv", LISTED, column=[1, 2], output=tmp_path / "out.csv")
        want = b"IMEI" if titles == b"imei,IMEI" else b"2"
        assert (tmp_path / "out.csv").read_bytes().endswith(b",listed,%b\n" % want)


@pytest.mark.parametrize("end", [b"\r\r\n", b"\r\r"])
@pytest.mark.parametrize("cell", [b"1", b"1,", b"", b"1,,"])
def test_no_cr_of_a_line_end_cuts_a_row(tmp_path, cell, end):
    """Readers that take each CR for a line end would find the status in a row of its own."""
    row = dirty.LISTED[0].encode()
    (tmp_path / "in.csv").write_bytes(b"imei,x%b%b,%b%b" % (end.ljust(3, b"\n"), row, cell, end))
    assert screen(tmp_path / "in.csv", LISTED, output=tmp_path / "out.csv").hits == 1
    want = b"imei,x,status\n%b,%b,listed\n" % (row, cell.rstrip(b","))
    assert (tmp_path / "out.csv").read_bytes() == want


# ---- the kernel ----


def annotated(row, flaw, word, delimiter, cells):
    """What `annotate` makes of a row with a word."""
    row = row.rstrip(b"\r")
    if not cells:
        return row + word
    unclear = flaw == RowFlaw.BROKEN_QUOTE or (flaw and b"\r" in row)
    if unclear or (not delimiter and b"," in row):
        return b'"' + row.replace(b'"', b'""') + b'"' + b"," * (cells - 1) + word
    cell = rb'(?:"(?:[^"]|"")*(?:"|$))?[^,]*'
    first, rest = re.fullmatch(rb"(%b(?:,%b){0,%d})(.*)" % (cell, cell, cells - 1), row, re.S).groups()
    missing = cells - len(re.findall(rb"%b(?:,|$)" % cell, first + b",")) + 1
    return first + b"," * missing + word[:-1] + (rest if flaw else b"") + word[-1:]


def test_annotate_equals_the_obvious():
    rng = random.Random(1)
    flaws = [0, 0, *RowFlaw]
    for _ in range(3000):
        text = bytes(rng.choices(b'a,,;"\r\n', k=rng.randrange(40)))
        several = rng.choice([1, 256, 600])
        words = [
            b"" if rng.random() < 0.3 else b"," + b"w" * rng.randrange(5) + b"\n" for _ in range(several)
        ]
        rows = np.sort(np.array([[rng.randint(0, len(text)) for _ in range(4)] for _ in range(5)], np.int32))
        rows[:, 3] = rng.choices(flaws, k=len(rows))
        codes = np.array([rng.randrange(several) for _ in rows], np.uint32)
        for delimiter, cells in ((b",", 0), (b",", 1), (b",", 3), (b"", 0), (b"", 1)):
            want = b""
            for (start, end, _, flaw), code in zip(rows.tolist(), codes.tolist(), strict=True):
                if words[code]:
                    want += annotated(text[start:end], flaw, words[code], delimiter, cells)
            assert annotate(text, rows, codes, words, delimiter, cells) == want
    assert annotate(b"", np.zeros((0, 4), np.int32), np.zeros(0, np.uint32), [b""] * 256) == b""
    for row in ([0, 4, 0, 0], [-1, 2, 0, 0], [2, 1, 0, 0]):
        with pytest.raises(ValueError, match="expected within 3 bytes"):
            annotate(b"abc", np.array([row], np.int32), np.zeros(1, np.uint32), [b"x"])
    row = np.zeros((1, 4), np.int32)
    with pytest.raises(ValueError, match="expected a code of 1 words, got 1"):
        annotate(b"abc", row, np.ones(1, np.uint32), [b"x"])
    with pytest.raises(ValueError, match="expected codes for 1 rows, got 2"):
        annotate(b"abc", row, np.ones(2, np.uint32), [b"x"])


def test_blank_lines_alone_to_parquet(tmp_path):
    """A piece of text without a row."""
    pq = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "calls.csv").write_text("imei,n\n\n\n\n")
    report = screen(tmp_path / "calls.csv", ImeiSet(dirty.LISTED), output=tmp_path / "out.parquet")
    assert (report.rows, pq.read_table(tmp_path / "out.parquet").num_rows) == (0, 0)
    (tmp_path / "calls.csv").write_text(f"imei,n\n{dirty.GOOD},1\n" + "\n" * (3 * CHUNK))
    report = screen(tmp_path / "calls.csv", ImeiSet(dirty.LISTED), output=tmp_path / "out.parquet")
    assert (report.rows, report.hits) == (1, 1)


def test_the_list_itself_is_no_output(tmp_path):
    path = tmp_path / "list.imei"
    ImeiSet(["490154203237518"]).save(path)
    (tmp_path / "calls.csv").write_text("imei\n490154203237518\n")
    with pytest.raises(ValueError, match="which is one"):
        screen(tmp_path / "calls.csv", path, output=path)
    assert len(ImeiSet.open(path)) == 1
