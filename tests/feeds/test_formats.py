"""Every format as operators send it: small files, and what is found in them."""

import contextlib
import csv
import datetime

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import ImeiSet, apply, errors, load, screen
from imeiset.feeds import Options, read
from imeiset.feeds.formats import FORMATS, recognise

A, B, C = "49015420323751", "35693803564380", "86012345678901"
FILES = {
    "stolen": f"imei,reporting_date,status\n{A}8,20240101,blacklist\n{B},,\n{C},20240102,whitelist\n",
    "barred": f"IMEI\n{A}\n{B}9\n",
    "barred-tac": "tac\n49015420\n3569380\n",
    "pairing": f"imei,imsi,msisdn\n{A},234150999999999,447700900000\n{B},234150999999998,\n",
    "registration": "approved_imei,make,model,status,model_number,brand_name,device_type,radio_interface,"
    f"device_id\n{A},x,y,whitelist,,,,,\n{B},x,y,,,,,,\n{C},x,y,pending,,,,,\n",
    "blacklist": f"imei,block_date,reasons\n{A},20240101,stolen|lost\n{B},20240102,lost\n",
    "notifications": f"imei,imsi,msisdn,block_date,reasons\n{A},234150999999999,1,20240101,lost\n{B},2,,,\n",
    "cdr": f"date;imei;imsi;msisdn;rat\n20240101;{A}0;234150999999999;1;4\n;{B};234150999999998;1;4\n",
    "ranges": f"from,to\n{A},49015420323760\n{B}9,{B}9\n{B},{A}\n{C},{A}\n",
    "tacs": "49015420\n35693803\n1234567\n",
    "exceptions": f"imei,imsi,msisdn\n{A},234150999999999,447700900000\n{B},234150999999998,\n",
    "monitoring": f"imei\n{A}\n{B}9\n",
    "table": f"x;IMEI;status\n1;{A};no\n1;{B};no\n",
    "plain": f"# a\n{A}\n{B}9\n",
}
LISTED = {
    "barred-tac": (1_000_000, {"tac": [3]}),
    "tacs": (2_000_000, {"tac": [3]}),
    "ranges": (49015420323760 - 35693803564380 + 1, {"range": [5]}),
}
IGNORED = {"stolen": {"whitelist": 1}, "registration": {"pending": 1}}


@pytest.fixture
def feed(tmp_path):
    def write(text, name="feed.csv"):
        (tmp_path / name).write_text(text, newline="")
        return tmp_path / name

    return write


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_every_format(feed, name, named):
    if name == "tacs" and not named:
        pytest.skip("a list of TACs without a header has to be named")
    path, options = feed(FILES[name]), {"format": name if named else None}
    if "imsi" in FILES[name]:  # which phone with which subscriber
        with pytest.raises(errors.FeedColumn, match=r"--imsi ignore.*'exempt' and 'lock'.*'imsi'\) of sub"):
            load(path, **options)
        options["imsi"] = "ignore"
    members, report = load(path, **options)
    count, rejects = LISTED.get(name, (2, {}))
    assert len(members) == count
    assert (A in members, C in members) == (True, False)
    assert report.formats == [
        name if named else {"exceptions": "pairing", "monitoring": "barred"}.get(name, name)
    ]
    assert report.ignored == IGNORED.get(name, {})
    assert {reason: [line for _, line in one.first] for reason, one in report.rejects.items()} == rejects
    assert report.rows == report.accepted + report.rejected + sum(report.ignored.values())
    assert report.digest == members.digest()


def test_statuses_that_no_format_looks_at(feed):
    """A table counts every row, and says so; unless they contradict the list."""
    text = f"imei,Status\n{A},whitelist\n{B},blacklist\n"
    with pytest.raises(
        errors.FeedColumn, match=r"--where Status=VALUE.*'Status'\) with 'whitelist' in 1, 'bl"
    ):
        load(feed(text))
    text = text.replace("whitelist", "watched")
    one, other = (
        feed(text, "one.csv"),
        feed(text.replace("imei", "imei,reporting_date").replace(",w", ",,w").replace(",b", ",,b"), "2"),
    )
    found = load([one, feed(f"{A}\n", "plain")])
    assert (len(found.set), [u.source for u in found.report.unread]) == (2, [str(one)])
    assert load(other).report.unread == []


def test_statuses_that_are_none(feed):
    """A list whose columns are shifted: no number is shown, and a report does not grow with the list."""
    rows = "".join(f",,{int(A) + number}\n,,x{number}\n" for number in range(3000))
    report = load(feed(f"imei,reporting_date,status\n{B},,\n{rows},,{'y' * 5000}\n")).report
    assert sum(report.ignored.values()) == 6001
    assert report.ignored["49015420******"] == 3000
    assert len(report.ignored) == 101
    assert report.ignored["others"] == 3001 - 99
    assert max(map(len, report.ignored)) <= 100


def test_the_digest_says_what_is_in_a_set():
    keys = np.concatenate([np.arange(100, 300_000, 3), np.arange(10**6, 10**6 + 200_000)]).astype(np.uint64)
    one = ImeiSet.from_keys(keys)
    assert one.digest() == (ImeiSet.from_keys(keys[::2]) | ImeiSet.from_keys(keys[1::2])).digest()
    assert len(one.digest()) == 64
    others = [ImeiSet.from_keys(np.delete(keys, at)) for at in (0, 5, len(keys) - 1, len(keys) - 7)]
    others += [ImeiSet.from_keys(keys, irregular=["A"]), ImeiSet.from_keys(keys, irregular=["B"]), ImeiSet()]
    assert len({one.digest(), *(other.digest() for other in others)}) == 8
    assert ImeiSet.from_ranges([0], [10**14 - 1]).digest() != ImeiSet().digest()


@settings(max_examples=60)
@given(
    runs=st.lists(
        st.tuples(st.integers(0, 10**14 - 1), st.sampled_from([1, 1, 2, 3, 40, 10**6])), max_size=40
    ),
    near=st.lists(st.integers(0, 300), max_size=60),
    texts=st.sets(st.text("ABCDEF*", min_size=1), max_size=3),
)
def test_the_digest_by_the_oracle(runs, near, texts):
    highs = [min(low + length, 10**14) - 1 for low, length in runs]
    texts = sorted(text[:16] for text in texts)
    members = ImeiSet.from_ranges([low for low, _ in runs] + near, highs + near)
    if texts:
        members |= ImeiSet.from_keys([], irregular=texts)
    keys = ImeiSet.from_keys(near).runs() if not runs else members.runs()
    pairs = [pair for lows, tops in keys for pair in zip(lows.tolist(), tops.tolist(), strict=True)]
    assert members.digest() == oracle.digest(pairs, texts)
    # taken on the way, from keys in any order and any pieces
    parts = [np.array(near[::-1], np.uint64), np.array(near, np.uint64)]
    expected = ImeiSet.from_keys(near)
    for threads in (1, 2):
        assert ImeiSet.from_parts(list(parts), threads, digest=True).digest() == expected.digest()
    assert ImeiSet.from_parts([], digest=True).digest() == ImeiSet().digest()


def test_a_digest_taken_beside_fails_with_the_set():
    with pytest.raises(ValueError, match="0 to"):
        ImeiSet.from_parts([np.array([5, 10**14], np.uint64)], digest=True)


def test_every_format_has_a_file():
    assert FILES.keys() == FORMATS.keys()


@pytest.mark.parametrize(
    ("text", "form", "match"),
    [
        (f"imei,reporting_dat,status\n{A},,\n", "stolen", "'reporting_date'.*'reporting_dat' as the nearest"),
        (f"imei,status\n{A},\n", "stolen", "'reporting_date'"),
        (f"{A},20240101,\n", "stolen", "'imei', as a stolen list has, got no header"),
        (f"imei,imei,reporting_date,status\n{A},{A},,\n", "stolen", "'imei'.*got 2 of that name"),
        (f"imei,reporting_date,status,status\n{A},,,\n", "stolen", "'status'.*got 2 of that name"),
        (f"imei,reporting_date,status,change_type\n{A},,,add\n", None, "a full list, got a delta"),
        (f"imei,change_type\n{A},add\n", "barred", "a full list, got a delta"),
        ("tac,name\n49015420,x\n", "ranges", "'from'"),
    ],
)
def test_another_header_than_the_format_has(feed, text, form, match):
    with pytest.raises(errors.FeedColumn, match=match):
        load(feed(text), format=form)


def test_a_delta_by_its_name_is_no_full_list(feed):
    path = feed(f"imei,block_date,reasons\n{A},,\n", "20240101_blacklist_delta_7_8_unblocked.csv")
    with pytest.raises(errors.FeedColumn, match="a delta, by its name"):
        load(path)


def test_recognised():
    assert recognise(["IMEI", "Imsi", "MSISDN", "extra"]).name == "pairing"
    assert recognise(["imei", "brand"]) is None
    assert recognise(["tac", "imei"]) is None


def test_a_repeated_header_and_bytes_of_any_kind(tmp_path):
    path = tmp_path / "feed"
    data = f"imei,note\n{A},caf\u00e9\n".encode("latin-1") + b"imei,note\n" + f"{B}\x00,x\r\n".encode()
    path.write_bytes(data + b"\xff" + C.encode() + b",x\n" + C.encode() + b',"\xff\xfe"\r\n')
    members, report = load(path)
    assert next(iter(members))[:14] == A
    assert len(members) == 2
    assert {reason: [line for _, line in one.first] for reason, one in report.rejects.items()} == {
        "not_digit": [3],
        "nul": [4],
        "not_ascii": [5],
    }


@pytest.mark.parametrize("delimiter", ["", ",", ";", "\t"])
def test_rejects_are_mended_and_loaded_again(feed, tmp_path, delimiter):
    rows = [f"{A}8", "3569380356438x", f"{C}", "12"]
    header = ""
    if delimiter:
        rows = [delimiter.join((str(at), row, f'"a{delimiter} b"')) for at, row in enumerate(rows)]
        header = delimiter.join(("n", "imei", "note")) + "\n"
    rejects = tmp_path / "rejects.csv"
    _, report = load(feed(header + "\n".join(rows)), rejects=rejects)
    assert report.rejected == 2
    assert rejects.stat().st_mode & 0o777 == 0o600
    rejects.write_text(rejects.read_text().replace("3569380356438x", B))
    members, report = load(rejects)
    assert [text[:14] for text in members] == [B]
    assert report.rejected == 1


def test_rejects_of_another_layout_have_a_file_of_their_own(feed, tmp_path):
    paths = [feed("imei\nx\n" + A, "a"), feed(f"n;imei\n1;x\n2;{A}\n", "b"), feed("imei\ny\n" + A, "c")]
    load(paths, rejects=tmp_path / "rejects.csv")
    assert (tmp_path / "rejects.csv").read_text().count("\n") == 3
    assert (tmp_path / "rejects-2.csv").read_text().splitlines()[0] == "line;source;reason;n;imei"


@pytest.mark.parametrize("chunk", [64, 1 << 20])
def test_further_columns(feed, monkeypatch, chunk):
    from imeiset.feeds import reader

    monkeypatch.setattr(reader, "CHUNK", chunk)
    rng = np.random.default_rng(1)
    keys = rng.integers(0, 10**14, 500)
    imsis = rng.integers(10**14, 10**15, 500)
    reasons = rng.choice(["lost", "stolen", 'a ""b"" c', "", "stolen|lost"], 500).tolist()
    dates = [("20240101", "", "x", "20231231")[at % 4] for at in range(500)]
    rows = [
        f'{key:014d},{imsi},,{date},"{reason}"'
        for key, imsi, date, reason in zip(keys.tolist(), imsis.tolist(), dates, reasons, strict=True)
    ]
    rows[7] = "62#222222222222,234150999999999,,20240101,lost"
    rows[8] = f"{A},none,,,"
    rows[9] = "x,234150999999999,,,"
    path = feed("imei,imsi,msisdn,block_date,reasons\n" + "\n".join(rows) + "\n")
    options = Options(irregular="keep", max_line=4096)
    table = read(path, ["line", "imsi", "msisdn", "date", "reasons", "status"], options=options)
    good = np.ones(500, bool)
    good[7:10] = False
    assert list(table.columns) == ["line", "imsi", "msisdn", "date", "reasons"]
    order = np.argsort(table.columns["line"], kind="stable")
    assert (order == np.arange(497)).all()
    assert (table.keys == keys[good]).all()
    assert (table.columns["imsi"] == imsis[good] + 10**15).all()
    assert (table.columns["line"] == np.flatnonzero(good) + 2).all()
    expected = [{"": 0, "x": 0}.get(date) or int(date or 0) if date != "x" else 0 for date in dates]
    assert (table.columns["date"] == np.array(expected)[good]).all()
    names = table.values["reasons"]
    found = [names[code] for code in table.columns["reasons"].tolist()]
    assert found == [reason.replace('""', '"') for reason, ok in zip(reasons, good, strict=True) if ok]
    assert table.texts.tolist() == [b"62#222222222222"]
    assert table.text_columns["line"].tolist() == [9]
    assert {reason: one.first[0][1] for reason, one in table.report.rejects.items()} == {
        "imsi": 10,
        "not_digit": 11,
    }


@pytest.mark.parametrize("kind", ["parquet", "arrow", "arrows"])
@pytest.mark.parametrize("form", ["string", "large_string", "string_view", "dictionary", "binary"])
def test_parquet_and_arrow(tmp_path, kind, form):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    types = {
        "dictionary": pa.dictionary(pa.int32(), pa.string()),
        **{name: getattr(pa, name)() for name in ("string", "large_string", "string_view", "binary")},
    }
    rows = [f"{A}8", B, None, "x", "62#222222222222", "35-693803-564380", f"{C}", "52003020863612#"]
    texts = pa.array([row.encode() if row and form == "binary" else row for row in rows])
    try:
        values = texts.cast(types[form])
    except pa.ArrowNotImplementedError:
        pytest.skip(f"this pyarrow makes no {form}")
    table = pa.table({"imei": values, "reporting_date": [""] * 8, "status": ["blacklist"] * 6 + ["no", None]})
    path = tmp_path / f"list.{kind}"
    if kind == "parquet":
        parquet.write_table(table, path)
    else:
        make = pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream
        with make(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=3)
    members, report = load(path, irregular="keep", rejects=tmp_path / "rejects")
    assert [text[:14] for text in members] == [B, A, "52003020863612"]
    assert members.irregular.tolist() == [b"62#222222222222"]
    assert report.ignored == {"no": 1}
    assert report.forms == {14: 3, 15: 1, 16: 0}
    assert {reason: one.first[0][1] for reason, one in report.rejects.items()} == {
        "empty": 3,
        "not_digit": 4,
    }
    assert report.rows == report.accepted + report.rejected + 1


TITLES = ["status", "imei", "reporting_date", "imsi", "change_type", "note"]
WANTED = ["line", "listed", "status", "date", "imsi", "change_type"]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize("irregular", ["reject", "keep"])
@settings(max_examples=30)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["blacklist", "Blacklist", "", "pending", None]),
            st.sampled_from(
                [f"{A}8", B, f" {B} ", "x", "62#222222222222", "", f"{A}\n8", f"{A},{B}", "#1", None]
            ),
            st.sampled_from(["20240229", "", "x", None]),
            st.sampled_from(["234150999999999", "001010123456789", "", "x"]),
            st.sampled_from(["add", "remove", "update", "Add", "drop", None]),
            st.sampled_from(["a", '"', f"\n{A},1\n", None]),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_further_columns_are_those_of_the_same_text(tmp_path_factory, kind, irregular, rows):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = tmp_path_factory.mktemp("columns")
    table = pa.table(
        {
            name: pa.array(cells, pa.string())
            for name, cells in zip(TITLES, zip(*rows, strict=True), strict=True)
        }
    )
    if kind == "parquet":
        parquet.write_table(table, folder / "list.parquet")
    else:
        with pa.ipc.new_file(folder / "list.arrow", table.schema) as writer:
            writer.write_table(table, max_chunksize=3)
    with (folder / "list.csv").open("w", newline="") as file:
        lines = [[(cell or "").replace("\n", "\x1f") for cell in row] for row in rows]
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([TITLES, *lines])
    options = Options(format="stolen", irregular=irregular)
    found = []
    for name in (f"list.{kind}", "list.csv"):
        try:
            found.append(read(folder / name, WANTED, options=options, delta=True))
        except errors.FeedRejects as error:
            reasons = str(error).partition("(")[2].rstrip(")").split(", ")  # as they came, in a batch
            found.append(sorted(reasons))
    one, other = found
    if isinstance(one, list):
        assert one == other
        return
    assert one.keys.tolist() == other.keys.tolist()
    assert one.texts.tolist() == other.texts.tolist()
    assert one.columns.keys() == other.columns.keys() == set(WANTED)
    for name in WANTED:
        header = int(name == "line")  # which only text has
        assert (one.columns[name] + header).tolist() == (other.columns[name] + 0).tolist()
        assert (one.text_columns[name] + header).tolist() == (other.text_columns[name] + 0).tolist()
    assert one.values == other.values
    for name in ("rows", "accepted", "ignored", "forms", "rejected"):
        assert getattr(one.report, name) == getattr(other.report, name)
    assert (one.report.lines, one.report.headers) == (len(rows), 0)


def test_dates_and_deltas_of_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "list.parquet"
    days = [datetime.date(2024, 2, 29), None]
    for kind in (pa.date32(), pa.date64(), pa.timestamp("us")):
        parquet.write_table(pa.table({"imei": [A, B], "block_date": pa.array(days).cast(kind)}), path)
        assert read(path, ["date"]).columns["date"].tolist() == [20240229, 0]
    parquet.write_table(pa.table({"imei": [A, B], "block_date": [20240229, 1]}), path)
    assert read(path, ["date"]).columns["date"].tolist() == [20240229, 0]
    parquet.write_table(pa.table({"imei": [A], "imsi": [234150999999999]}), path)
    with pytest.raises(errors.FeedColumn, match="--imsi ignore"):
        load(path)
    assert load(path, imsi="ignore").report.accepted == 1
    with pytest.raises(errors.FeedColumn, match="'imsi' to be text, got int64"):
        read(path, ["imsi"])
    parquet.write_table(pa.table({"change_type": ["remove", "add"], "imei": [A, B]}), path)
    result, _ = apply(ImeiSet([A, C]), path)
    assert result == ImeiSet([B, C])


def test_blanks_around_texts_of_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "list.parquet"
    for kind in (pa.string(), pa.binary(), pa.dictionary(pa.int8(), pa.string())):
        texts = pa.array([f" {A}", f"{B}\t ", None, "x"]).cast(kind)
        parquet.write_table(pa.table({"status": ["", "", "", ""], "imei": texts}), path)
        members, report = load(path)
        assert members == ImeiSet([A, B])
        assert report.rejected == 2


@pytest.mark.parametrize("kind", ["arrow", "arrows"])
@pytest.mark.parametrize("lie", [(0, 10**9, 28), (0, -5, 28), (28, 14, 0), (0, 14, 10**9)])
def test_an_arrow_file_whose_offsets_lead_outside(tmp_path, kind, lie):
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("nanoarrow")
    table = pa.table({"imei": [A, B]})
    path = tmp_path / f"list.{kind}"
    with (pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream)(path, table.schema) as writer:
        writer.write_table(table)
    true = np.array([0, len(A), len(A) + len(B)], np.int32).tobytes()
    assert path.read_bytes().count(true) == 1
    path.write_bytes(path.read_bytes().replace(true, np.array(lie, np.int32).tobytes()))
    with pytest.raises(errors.FeedEncoding, match="a whole Parquet or Arrow file"):
        load(path)


def test_parquet_that_cannot_be_used(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "list.parquet"
    parquet.write_table(pa.table({"imei": [490154203237518]}), path)
    with pytest.raises(errors.FeedColumn, match="to be text, got int64"):
        load(path)
    parquet.write_table(pa.table({"imie": [A]}), path)
    with pytest.raises(
        errors.FeedColumn, match="a header with 'imei', or --column, got 'imie' as the nearest"
    ):
        load(path)
    assert len(load(path, column="imie").set) == 1
    parquet.write_table(pa.table({"imei": [A], "imei2": [B]}), path)
    with pytest.raises(errors.FeedColumn, match=r"--column.* columns 1 \('imei'\), 2 \('imei2'\)"):
        load(path)
    assert load(path, column="imei2").set == ImeiSet([B])
    assert load(path, format="barred").set == ImeiSet([A])
    parquet.write_table(pa.table({"imei": [A], "change_type": ["remove"]}), path)
    with pytest.raises(errors.FeedColumn, match="a delta"):
        load(path)
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(errors.FeedEncoding, match="whole Parquet"):
        load(path)


@pytest.fixture
def parquet(tmp_path):
    """Write columns, as (title, values), to a Parquet file; return its path."""
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")

    def write(*columns, name="list.parquet", **how):
        titles, values = zip(*columns, strict=True)
        pq.write_table(pa.table([pa.array(some) for some in values], list(titles)), tmp_path / name, **how)
        return tmp_path / name

    return write


IMEIS = ("imei", [f"{A}8", B])


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ([IMEIS, ("reporting_date", ["", ""])], "'status', as a stolen list has"),
        ([IMEIS, ("reporting_dat", ["", ""]), ("status", ["", ""])], "'reporting_dat' as the nearest"),
        ([IMEIS, IMEIS, ("reporting_date", ["", ""]), ("status", ["", ""])], "'imei', .* got 2 of that name"),
    ],
)
def test_the_columns_of_a_format_in_parquet(parquet, columns, match):
    """They have to be there, as in text."""
    with pytest.raises(errors.FeedColumn, match=match):
        load(parquet(*columns), format="stolen")
    if "'imei'" not in match:
        with pytest.raises(errors.FeedColumn, match=match):
            load(parquet(*columns), format="stolen", column=1)


def test_what_a_parquet_file_is_its_column_of_imeis_says(parquet):
    others = ("imei", [C, C]), ("reporting_date", ["", ""]), ("status", ["x", ""])
    path = parquet(("imei2", IMEIS[1]), *others)
    table = load(path, column="imei2").report
    assert (table.formats, [u.source for u in table.unread]) == (["table"], [str(path)])
    stolen = load(path, column="imei").report
    assert (stolen.formats, stolen.unread) == (["stolen"], [])
    path = parquet(("number", IMEIS[1]), ("tac", ["", ""]))
    assert load(path, column="number").set == ImeiSet([A, B])
    for form in (None, "tacs"):
        with pytest.raises(errors.FeedColumn, match=r"a column of IMEIs, got a .* list"):
            load(path, format=form)


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ([b"blacklist", b"gone"], [True, False]),
        ([" BlackList\t", None], [True, True]),
        ([b"\xff", b""], [False, True]),
        ([b"blacklist\0", b"blacklist"], [False, True]),
        ([0, None], [False, True]),
        ([False, None], [False, True]),
    ],
)
def test_a_status_of_any_type_in_parquet(parquet, status, counts):
    path = parquet(IMEIS, ("reporting_date", ["", ""]), ("status", status))
    members, report = load(path)
    assert members == ImeiSet([imei for imei, count in zip((A, B), counts, strict=True) if count])
    assert sum(report.ignored.values()) == counts.count(False)
    assert read(path, ["listed"]).columns["listed"].tolist() == counts


def test_columns_of_one_name_in_parquet(parquet):
    path = parquet(("imei", [A]), ("n", ["x"]), ("imei", [B]), ("reason", ["lost"]), ("reason", ["found"]))
    for column, imei in ((1, A), (3, B)):
        assert load(path, column=column).set == ImeiSet([imei])
        found = read(path, ["reasons"], options=Options(column=column))
        assert (found.keys.tolist(), found.values) == ([int(imei)], {"reasons": ["lost"]})
    with pytest.raises(errors.FeedColumn, match="one column of IMEIs"):
        load(path)


def test_types_that_are_no_text(parquet):
    pa = pytest.importorskip("pyarrow")
    fixed = pa.array([A.encode(), B.encode()], pa.binary(14))
    for imeis in ([[A], [B]], [{"a": A}, {"a": B}], fixed, [None]):
        with pytest.raises(errors.FeedColumn, match="column 'imei' to be text, got "):
            load(parquet(("imei", imeis)))
    path = parquet(IMEIS, ("reasons", [["lost"], None]))
    with pytest.raises(errors.FeedEncoding, match="Parquet or Arrow file"):
        read(path, ["reasons"])
    assert load(path).report.accepted == 2


@pytest.mark.parametrize("codec", ["none", "snappy"])
def test_a_damaged_file(parquet, codec):
    """Whatever byte is wrong, it is read or told to be damaged."""
    path = parquet(IMEIS, ("status", ["", "x"]), compression=codec)
    whole = path.read_bytes()
    told = (
        errors.FeedEncoding,
        errors.FeedColumn,
        errors.FeedRejects,
        errors.FeedEmpty,
        errors.FeedTruncated,
    )
    for at in range(4, len(whole), 3):
        damaged = bytearray(whole)
        damaged[at] = 0xFC
        path.write_bytes(damaged)
        with contextlib.suppress(*told):
            load(path)
        with contextlib.suppress(*told):
            read(path, ["status"])
        with contextlib.suppress(*told):
            screen(path, ImeiSet([A]))


def test_a_file_without_rows_after_another(parquet):
    pa = pytest.importorskip("pyarrow")
    paths = [parquet(IMEIS), parquet(("imei", pa.array([], pa.string())), name="none.parquet")]
    for order in (paths, paths[::-1]):
        assert load(order).report.lines == 2
        assert len(read(order, ["line"]).keys) == 2


def test_a_batch_of_many_rows(tmp_path):
    """An Arrow file may have all of its rows in one."""
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("nanoarrow")
    keys = [f"{number:014}" for number in range(150_000)]
    with pa.ipc.new_file(tmp_path / "list.arrow", pa.schema([("imei", pa.string())])) as writer:
        writer.write_table(pa.table({"imei": [*keys, "x"]}))
    found = read(tmp_path / "list.arrow", ["line"])
    assert found.columns["line"].tolist() == list(range(1, 150_001))
    assert found.report.rejects["not_digit"].first == [(str(tmp_path / "list.arrow"), 150_001)]
    assert (found.report.lines, found.report.rows) == (150_001, 150_001)


def test_too_many_values_name_their_file(feed, monkeypatch):
    monkeypatch.setattr("imeiset.feeds.blocks.MAX_VALUES", 3)
    paths = [feed(f"imei,reasons\n{A},{name}\n", name) for name in "abc"]
    assert len(read(paths, ["reasons"]).keys) == 3
    with pytest.raises(errors.FeedLimit, match=r"/d: expected at most 3 different values of 'reasons'"):
        read([*paths, feed(f"imei,reasons\n{A},d\n", "d")], ["reasons"])


def test_sources_with_different_columns(feed):
    """What a source does not say is none; but a subscriber, or what changes, must be said by all."""
    paths = [
        feed(f"{A}\n", "plain"),
        feed(f"imei,block_date,reasons\n{B},20240101,lost\n62#2,20240102,found\n", "blacklist"),
        feed(f"imei,reporting_date,status\n{C},20240103,pending\n62#3,,\n", "stolen"),
    ]
    table = read(paths, ["listed", "date", "reasons", "msisdn"], options=Options(irregular="keep"))
    names = table.values["reasons"]
    assert table.keys.tolist() == [int(A), int(B), int(C)]
    assert [names[code] for code in table.columns["reasons"]] == ["", "lost", ""]
    assert table.columns["date"].tolist() == [0, 20240101, 20240103]
    assert table.columns["listed"].tolist() == [True, True, False]
    assert table.texts.tolist() == [b"62#2", b"62#3"]
    assert [names[code] for code in table.text_columns["reasons"]] == ["found", ""]
    assert table.text_columns["listed"].tolist() == [True, True]
    pairs = feed(f"imei,imsi\n{A},001010123456789\n", "pairs")
    assert read(pairs, ["imsi"]).columns["imsi"].tolist() == [1001010123456789]
    for order in ([pairs, paths[0]], [paths[0], pairs]):
        with pytest.raises(errors.FeedColumn, match="a column 'imsi', or none in any source"):
            read(order, ["imsi"])


def test_line_ends_around_a_cell_of_a_table_are_no_part_of_it(tmp_path):
    """A list with CRLF that was cut at the LF."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "list.parquet"
    parquet.write_table(pa.table({"imei": [f"{A}\r", B, f" {C}\r\n"]}), path)
    assert load(path).set == ImeiSet([A, B, C])
