"""The identities of records: as lists take them, each at its place."""

import csv

import identities
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import EquipmentStatus, ImeiSet, Policy, Register, Screener, screen
from imeiset._native.records import read
from imeiset.errors import FeedColumn, FeedLostZeros, FeedRejects
from imeiset.errors import ParseStatus as S
from imeiset.feeds.options import Options
from imeiset.screening.tally import MAX_COLUMNS, Tally

LISTED = 352099001761481
CELLS = [
    *identities.FORMS,
    *identities.NEAR,
    *("352099001761481", "52099001761481", "352099001761489", "352099001761480", "3520990017614", "0", "x"),
    *("12345678901237", "012345678901237", "00000000000000", "53"),
    *("52-099001-761481", "35-209900-176148-9", "3520990017614 81", "52099001761481F"),
]


def lost_zero(text):
    """Whether 14 digits are an IMEI with a zero before them."""
    return oracle.luhn_digit("0" + text[:13]) == int(text[13])


def unescaped(cell, before, delimiter):
    """A quoted cell ="..." of a text as it is without what doubles its quotes; None: another cell."""
    quoted = before.rstrip(" \t\r".replace(delimiter, "")).endswith('"')
    if not quoted or not cell.startswith('=""') or not 5 <= len(cell) <= 64:
        return None
    return cell.replace('""', '"')


def slow(cells, restored=0):
    """What `read` says of cells, of which each is a text or what is before it in its file, and the text."""
    keys, statuses, forms, lost, wrong = [], [], {14: 0, 15: 0, 16: 0}, [], []
    for row, cell in enumerate(cells):
        text = cell.strip(oracle.BLANKS)
        digits, form, status = oracle.read(text)
        plain = form == "digits"
        if plain and len(digits) == restored:
            (lost if restored == 14 else wrong).append(row)
            if restored == 14 and not lost_zero(digits):
                lost.pop()
                digits, status = None, S.CHECK_DIGIT
            else:
                digits = "0" + digits
        elif plain and len(digits) == 14 and lost_zero(digits):
            lost.append(row)
        elif plain and len(digits) == 15 and oracle.from_digits(digits)[1] == S.CHECK_DIGIT:
            wrong.append(row)
        keys.append(oracle.NO_KEY if digits is None else int(digits[:14]))
        statuses.append(status)
        if digits is not None:
            forms[len(digits)] += 1
    return keys, statuses, tuple(forms.values()), (len(lost), lost[:5]), (len(wrong), wrong[:5])


def found(text, spans, restored=0, delimiter=None, dtype=np.int32):
    starts, ends = np.array(spans, dtype).reshape(-1, 2).T.copy()
    keys, status = np.empty(len(spans), np.uint64), np.full(len(spans), 99, np.uint8)
    forms, lost, wrong = read(text, starts, ends, keys, status, restored, delimiter)
    return keys.tolist(), status.tolist(), forms, lost, wrong


cells = st.lists(
    st.one_of(
        st.sampled_from(CELLS),
        st.sampled_from(CELLS).map(" {}\t".format),
        st.sampled_from(CELLS).map("\v{}\f".format),
        st.text("0123456789", min_size=12, max_size=17),
        st.integers(0, 10**14 - 1).map(lambda key: f"{key:014}"),
        st.integers(0, 10**14 - 1).map(lambda key: f"{key:014}{oracle.luhn_digit(f'{key:014}')}"),
        st.text("01F- =\"'/xé\0", max_size=18),
    ),
    max_size=30,
)


# Right check digits, wrong ones, and those that stand for none; a blank beside one.
clean = st.lists(
    st.sampled_from(["352099001761481", "352099001761489", "352099001761480", " 352099001761489"]),
    min_size=1,
    max_size=3,
)


@given(
    cells,
    clean,
    st.integers(0, 700),
    st.sampled_from([0, 14, 15]),
    st.sampled_from([np.int32, np.int64]),
)
@settings(deadline=None, max_examples=400)
def test_cells_equal_the_obvious(cells, clean, count, restored, dtype):
    """Odd ones among clean ones, as they stand in a column of texts."""
    cells = [*clean * count, *cells]
    text, spans = b"", []
    for cell in map(str.encode, cells):
        spans.append((len(text), len(text) + len(cell)))
        text += cell
    assert found(text, spans, restored, dtype=dtype) == slow(cells, restored)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    '=""352099001761481""',
                    '=""12345678901237""',
                    '=""35-209900-176148-1F""',
                    '=""x""',
                    '=""""',
                    "352099001761481",
                    '=""352099001761481',
                    '=""352099001761489""',
                ]
            ),
            st.sampled_from(['"', '" ', '"\t', "", " ", '",', '";', '"\t ']),
        ),
        max_size=8,
    ),
    st.sampled_from([",", ";", "\t", ""]),
    st.sampled_from([0, 14, 15]),
)
@settings(deadline=None, max_examples=400)
def test_quoted_cells_of_a_spreadsheet(cells, delimiter, restored):
    """The quotes in them are doubled, in delimited text alone."""
    text, spans, obvious = "", [], []
    for cell, before in cells:
        text += before
        spans.append((len(text), len(text) + len(cell)))
        text += cell + "\n"
        obvious.append(unescaped(cell, text[: spans[-1][0]], delimiter or "\n") or cell)
    assert found(text.encode(), spans, restored, delimiter.encode()) == slow(obvious, restored)
    assert found(text.encode(), spans, restored) == slow([cell for cell, _ in cells], restored)


def test_nothing_outside_the_text_is_read():
    for spans in ([(0, 4)], [(-1, 2)], [(2, 1)], [(4, 4)]):
        with pytest.raises(ValueError, match="expected within 3 bytes"):
            found(b"123", spans)
    assert found(b"", [(0, 0)] * 2) == ([oracle.NO_KEY] * 2, [S.EMPTY] * 2, (0, 0, 0), (0, []), (0, []))
    assert found(b"123", []) == ([], [], (0, 0, 0), (0, []), (0, []))


# ---- files ----


def check_digit(body):
    return str(oracle.luhn_digit(body))


SHORT = [f"1234567{n:06}" for n in range(40)]  # 13 digits of bodies whose zero is lost
LOST = [body + check_digit("0" + body) for body in SHORT]
WHOLE = ["0" + text for text in LOST]
IMEISVS = [text[:14] + "01" for text in WHOLE]
BLOCKED = ImeiSet(WHOLE)


@pytest.fixture(params=["csv", "parquet", "csv to parquet"])
def said(request, tmp_path):
    """What is said of a column, in a file of that kind; and the report."""
    kind = request.param
    if kind != "csv":
        pa = pytest.importorskip("pyarrow")
        pq = pytest.importorskip("pyarrow.parquet")
        pytest.importorskip("nanoarrow")

    def ask(columns, listed=BLOCKED, **options):
        source = tmp_path / ("in.parquet" if kind == "parquet" else "in.csv")
        out = tmp_path / ("out.csv" if kind == "csv" else "out.parquet")
        if kind == "parquet":
            pq.write_table(pa.table(columns), source)
        else:
            with source.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerows([columns, *zip(*columns.values(), strict=True)])
        report = screen(source, listed, output=out, **options)
        if kind == "csv":
            with out.open(newline="") as file:
                found = list(csv.DictReader(file))
        else:
            found = pq.read_table(out).to_pylist()
        assert screen(source, listed, **options).words == report.words
        return [(row["status"], row.get("status_column")) for row in found], report

    return ask


@pytest.mark.parametrize(("suspects", "others", "refused"), [(9, 0, 0), (10, 10, 1), (10, 11, 0)])
def test_lost_zeros(said, suspects, others, refused):
    bodies = [f"3520990017{n:04}" for n in range(1000, 1300)]
    bodies = [body for body in bodies if not lost_zero(body)][:others]
    column = {"imei": [*LOST[:suspects], *bodies, WHOLE[0], "x"], "n": ["1"] * (suspects + others + 2)}
    if refused:
        pattern = rf"line \d: .*--lost-zeros restore.*keep.*{suspects} of {suspects + others} rows of 14"
        with pytest.raises(FeedLostZeros, match=pattern):
            said(column)
    else:
        words, report = said(column)
        assert [word for word, _ in words[:suspects]] == ["not listed"] * suspects
        assert report.lost_zeros.count == suspects
    words, report = said(column, lost_zeros="keep")
    tail = ["not listed"] * (suspects + others) + ["listed", "malformed: not digit"]
    assert [word for word, _ in words] == tail
    words, report = said(column, lost_zeros="restore")
    wrong = ["malformed: check digit"] * others
    assert [word for word, _ in words] == ["listed"] * suspects + wrong + ["listed", "malformed: not digit"]
    assert (report.hits, report.lost_zeros.count) == (suspects + 1, suspects)


@pytest.mark.parametrize("policy", [EquipmentStatus.WHITELISTED, EquipmentStatus.GREYLISTED])
def test_what_may_not_have_its_zero_back_is_nobody(said, policy):
    """Neither the phone of 14 digits, nor that of 15: it has the word of malformed rows."""
    body = "35209900176148"
    register = Register(Policy(malformed=policy))
    register.add("stolen", [body], status=EquipmentStatus.BLACKLISTED)
    column = {"imei": [body, "352099001761481"]}
    words, _ = said(column, register, lost_zeros="restore")
    assert [word for word, _ in words] == [policy.name.lower(), "blacklisted"]
    kept = ImeiSet([body, "62#2"], irregular="keep")
    words, _ = said(column, kept, lost_zeros="restore")
    assert [word for word, _ in words] == ["malformed: check digit", "listed"]


@pytest.mark.parametrize("policy", [None, EquipmentStatus.WHITELISTED, EquipmentStatus.BLACKLISTED])
def test_records_without_an_imei_are_counted_whatever_they_get(said, policy):
    register = Register(Policy(malformed=policy))
    register.add("stolen", BLOCKED, status=EquipmentStatus.BLACKLISTED)
    rows = [(WHOLE[0], "x"), ("x", "352099001761499"), ("352099001761481.0", ""), ("", ""), ("x", "x")]
    columns = {"imei1": [row[0] for row in rows], "imei2": [row[1] for row in rows], "n": ["1"] * 5}
    for listed in (register, ImeiSet(WHOLE)):
        assert said(columns, listed, column="imei1")[1].malformed == 4
    assert said(columns, register, column=["imei1", "imei2"])[1].malformed == 4


def test_imeisvs_that_lost_a_zero(said):
    short = [text[1:] for text in IMEISVS if oracle.from_digits(text[1:])[1] == S.CHECK_DIGIT][:20]
    column = {"imei": [*short, *(f"3520990017{n:04}01" for n in range(30))]}
    with pytest.raises(FeedLostZeros, match=r"--lost-zeros restore-imeisv.* 20 of 20 rows of 15 digits"):
        said(column)
    assert said(column, lost_zeros="keep")[1].hits == 0
    words, report = said(column, lost_zeros="restore-imeisv")
    assert [word for word, _ in words] == ["listed"] * 20 + ["not listed"] * 30
    assert report.lost_zeros_imeisv.count == 20


def test_each_file_has_its_own_zeros(tmp_path):
    """Many rows of another file hide nothing."""
    (tmp_path / "1.csv").write_text("imei\n" + "".join(f"3520990017{n:04}\n" for n in range(2000)))
    (tmp_path / "2.csv").write_text("imei\n" + "\n".join(LOST[:10]))
    with pytest.raises(FeedLostZeros, match=r"2\.csv, line 2"):
        screen(tmp_path, BLOCKED)


def test_several_columns(said):
    """The worst answer is that of the record, and its column is named."""
    a, b, other = WHOLE[0], WHOLE[1], "352099001761499"
    register = Register(Policy(response_type=2))
    register.add("stolen", [a], status=EquipmentStatus.BLACKLISTED)
    register.add("watched", [b], status=EquipmentStatus.GREYLISTED)
    rows = [
        (other, a, "blacklisted", "imei2"), (a, other, "blacklisted", "imei1"),
        (b, a, "blacklisted", "imei2"),
        (a, b, "blacklisted", "imei1"), (b, other, "greylisted", "imei1"), ("x", b, "greylisted", "imei2"),
        (a, "x", "blacklisted", "imei1"), (other, "x", "malformed: not digit", "imei2"),
        ("", a, "blacklisted", "imei2"), (other, "", "unknown", "imei1"), ("", other, "unknown", "imei2"),
        ("", "x", "malformed: not digit", "imei2"), ("", "", "malformed: empty", "imei1"),
    ]  # fmt: skip
    columns = {"n": ["1"] * len(rows), "imei1": [row[0] for row in rows], "imei2": [row[1] for row in rows]}
    with pytest.raises(FeedColumn, match="--column"):
        said(columns, register)
    words, report = said(columns, register, column=["imei1", "imei2"])
    assert words == [row[2:] for row in rows]
    assert report.rows == len(rows)
    assert report.lists == {"stolen": 6, "watched": 2}
    turned, _ = said(columns, register, column=["imei2", 2])
    assert [word for word, _ in turned] == [row[2] for row in rows]
    words, _ = said(columns, register, column="imei2")
    assert [column for _, column in words] == [None] * len(rows)


def test_a_record_that_ends_between_its_imeis(tmp_path):
    """Those that are there count."""
    a, other = WHOLE[0], "352099001761499"
    text = f"n,imei1,x,imei2\n1,{a}\n2,{other}\n3,{other},y\n4,\n5\n6,,,{a}\n"
    (tmp_path / "in.csv").write_text(text)
    for output in (None, tmp_path / "out.csv"):
        report = screen(tmp_path / "in.csv", BLOCKED, column=["imei2", "imei1"], output=output)
        assert report.hits == 2
    with (tmp_path / "out.csv").open(newline="") as file:
        found = list(csv.reader(file))
    assert found == [
        ["n", "imei1", "x", "imei2", "status", "status_column"],
        ["1", a, "", "", "listed", "imei1"], ["2", other, "", "", "not listed", "imei1"],
        ["3", other, "y", "", "not listed", "imei1"], ["4", "", "", "", "malformed: empty", "imei2"],
        ["5", "", "", "", "malformed: short row", ""], ["6", "", "", a, "listed", "imei2"],
    ]  # fmt: skip
    screen(
        tmp_path / "in.csv", BLOCKED, column=["imei2", "imei1"], output=tmp_path / "hits.csv", only_hits=True
    )
    assert (tmp_path / "hits.csv").read_text().splitlines()[1:] == [
        f"1,{a},,,listed,imei1",
        f"6,,,{a},listed,imei2",
    ]


def test_words_and_columns_fit_the_answers():
    """Of each word and column one byte."""
    for listed in (BLOCKED, Register()):
        assert len(Tally(Screener(listed), Options()).words) * MAX_COLUMNS <= 256


def test_columns_are_named_once_and_are_there(said):
    columns = {"imei1": WHOLE[:1], "imei2": WHOLE[1:2]}
    for wrong in (["imei1", 1], ["imei1", "imei3"], ["imei1", 3]):
        with pytest.raises(FeedColumn):
            said(columns, column=wrong)
    with pytest.raises(ValueError, match="at most 8, got 9"):
        said(columns, column=list(range(1, 10)))


def test_files_without_an_imei(said):
    for values in (["352099001761481.0"] * 3, ["", " "], ["262011234567890123"]):
        columns = {"imei": values, "n": ["1"] * len(values)}
        with pytest.raises(FeedRejects, match=f"expected IMEIs, got none in {len(values)} rows: "):
            said(columns)
        for status in (EquipmentStatus.WHITELISTED, EquipmentStatus.BLACKLISTED):
            with pytest.raises(FeedRejects):  # what malformed rows count as is no reason to answer
                said(columns, Register(Policy(malformed=status)))
    kept = ImeiSet(["62#2"], irregular="keep")
    assert said({"imei": ["62#2", "x"], "n": ["1", "1"]}, kept)[1].hits == 1
    assert said({"imei": [], "n": []})[1].rows == 0


def test_rows_that_begin_with_a_hash(tmp_path):
    (tmp_path / "in.csv").write_text(f"no,imei\n#1,{WHOLE[0]}\n# a comment\n#2,{WHOLE[1]}\n")
    report = screen(tmp_path / "in.csv", BLOCKED, output=tmp_path / "out.csv")
    assert (report.rows, report.hits) == (2, 2)
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == [
        f"#1,{WHOLE[0]},listed",
        f"#2,{WHOLE[1]},listed",
    ]


def test_lines_above_the_header(tmp_path):
    text = f"Report of today\nnot for resale; a,b\nn,imei\n1,{WHOLE[0]}\n"
    (tmp_path / "in.csv").write_text(text)
    report = screen(tmp_path / "in.csv", BLOCKED, skip=2, output=tmp_path / "out.csv")
    assert (report.rows, report.hits) == (1, 1)
    assert (tmp_path / "out.csv").read_text() == f"n,imei,status\n1,{WHOLE[0]},listed\n"


# ---- integers of tables ----


@pytest.fixture
def integers(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pytest.importorskip("nanoarrow")

    def ask(values, kind="int64", listed=BLOCKED, **options):
        column = pa.array(values, pa.uint64() if kind == "uint64" else pa.int64())
        column = column.dictionary_encode() if kind == "dictionary" else column
        pq.write_table(pa.table({"imei": column}), tmp_path / "in.parquet")
        screen(tmp_path / "in.parquet", listed, output=tmp_path / "out.parquet", **options)
        report = screen(tmp_path / "in.parquet", listed, **options)
        return pq.read_table(tmp_path / "out.parquet")["status"].to_pylist(), report

    return ask


def test_floats_are_refused(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pytest.importorskip("nanoarrow")
    pq.write_table(pa.table({"imei": [float(text) for text in WHOLE]}), tmp_path / "in.parquet")
    with pytest.raises(FeedColumn, match=r"texts, or of integers: write IMEIs as text, got one of double$"):
        screen(tmp_path / "in.parquet", BLOCKED, column="imei")


@pytest.mark.parametrize("kind", ["int64", "uint64", "dictionary"])
def test_integers(integers, kind):
    keys, numbers = [int(text[:14]) for text in WHOLE], [int(text) for text in WHOLE]
    assert set(integers(keys, kind)[0]) == {"listed"}
    assert set(integers(numbers, kind, digits=15)[0]) == {"listed"}
    for policy in (None, EquipmentStatus.WHITELISTED):
        register = Register(Policy(malformed=policy))
        register.add("stolen", BLOCKED, status=EquipmentStatus.BLACKLISTED)
        for listed in (BLOCKED, register):
            with pytest.raises(FeedColumn, match=r"line 2: .*--digits 15"):
                integers([5, LISTED, 7], kind, listed)
            for digits in (14, 15):
                with pytest.raises(FeedColumn, match=r"line 3: .*IMEISV as text"):
                    integers([5, 7, LISTED * 10], kind, listed, digits=digits)
    assert integers([keys[0], None], kind)[0] == ["listed", "malformed: missing"]


@pytest.mark.parametrize("kind", ["int64", "uint64", "dictionary"])
def test_integers_that_lost_a_zero(integers, kind):
    numbers = [int(text) for text in WHOLE]
    with pytest.raises(FeedLostZeros, match=r"line 1: .*--digits 15.* 40 of 40 rows of 14 digits"):
        integers(numbers, kind)
    words, report = integers(numbers, kind, lost_zeros="keep")
    assert (set(words), report.lost_zeros.count) == ({"not listed"}, 40)
    with pytest.raises(FeedColumn, match="--digits 15 for integers"):
        integers(numbers, kind, lost_zeros="restore")
    assert set(integers(numbers, kind, lost_zeros="restore", digits=15)[0]) == {"listed"}
    words, report = integers(numbers[:9], kind)
    assert report.lost_zeros.count == 9
