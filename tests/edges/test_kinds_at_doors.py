"""Kinds of input that are easily misunderstood, at other doors: columns, records, checks, deltas."""

import numpy as np
import pytest

import imeiset
from edges.sheet import WRAPS
from edges.test_kinds import A, B, Z, lines, lost
from imeiset import EquipmentStatus, FeedError, ImeiError, ImeiSet, ImeiWarning, ImsiError, Policy, Register
from imeiset.errors import FeedRejects
from imeiset.errors import ParseStatus as S
from imeiset.feeds import Options, read

BLACK, WHITE = EquipmentStatus.BLACKLISTED, EquipmentStatus.WHITELISTED
LISTED = ImeiSet([A, B, Z])
HOME, GUEST = "262011234567890", "26202"


@pytest.fixture
def write(tmp_path):
    def write(text, name="calls.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.format(A=A, B=B, Z=Z).encode())
        return path

    return write


# ---- 1: integers ----


def a_list(values):
    return values


def of_pandas(dtype):
    def column(values):
        pd, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
        return pd.Series(values, dtype="int64").astype(dtype)

    return column


def arrow_dictionary(values):
    return pytest.importorskip("pyarrow").array(values).dictionary_encode()


def arrow_chunks(values):
    return pytest.importorskip("pyarrow").chunked_array([values[:1], values[1:]])


COLUMNS = [
    a_list, np.array, of_pandas("Int64"), of_pandas("int64[pyarrow]"), of_pandas("category"),
    arrow_dictionary, arrow_chunks,
]  # fmt: skip


@pytest.mark.parametrize("malformed", [None, False, True])
@pytest.mark.parametrize("column", COLUMNS)
def test_1_integers_of_15_digits_are_an_error_unless_they_are_asked_for(column, malformed):
    values = column([int(A), int(Z)])
    with pytest.raises(ImeiError) as caught:
        LISTED.contains(values, malformed=malformed)
    assert caught.value.status == S.FIFTEEN_DIGITS
    assert LISTED.contains(values, malformed=malformed, digits=15).tolist() == [True, True]


def test_1_the_error_stands_whichever_row_it_is():
    with pytest.raises(ImeiError, match="1000"):
        LISTED.contains(np.array([int(A[:14])] * 1000 + [int(A)]), malformed=False)


# ---- 2: the question itself is wrong ----


def test_2_a_column_of_other_things_is_a_warning():
    nonsense = [f"{A}.0"] * 100
    with pytest.warns(ImeiWarning, match="100 of 100 rows") as caught:
        assert not LISTED.contains(nonsense, malformed=False).any()
    assert len(caught) == 1
    assert A not in str(caught[0].message)
    half = nonsense[:50] + [A] * 50
    assert LISTED.contains(half, malformed=False).sum() == 50
    assert not LISTED.contains(nonsense[:99], malformed=False).any()


def test_2_a_column_of_unreadable_imsis_is_a_warning():
    """Under a policy for malformed input they count as not given: an exempted owner would be blocked."""
    register = exempting(Policy(malformed=WHITE))
    for imsis in ([f"{HOME}.0"] * 100, np.array([f"{HOME}.0"] * 100)):
        with pytest.warns(ImeiWarning, match=r"^100 of 100 IMSIs cannot be read, .*: '26201\*+'$") as caught:
            assert set(register.check_many([A] * 100, imsis).tolist()) == {BLACK}
        assert len(caught) == 1
    for imsis in ([f"{HOME}.0"] * 50 + [HOME] * 50, [None] * 100, ["nai-x"] * 100):
        register.check_many([A] * 100, imsis)


def test_2_records_without_an_imei_are_an_error(write):
    path = write(f"imei,cell\n{A}.0,1\n{B}.0,2\n")
    with pytest.raises(FeedRejects):
        imeiset.screen(path, LISTED)


# ---- 3, 4, 7, r1, r5 to r7: records ----


def screened(path, listed=LISTED, **options):
    report = imeiset.screen(path, listed, **options)
    assert sum(report.words.values()) == report.rows
    return report


def test_3_records_that_lost_a_zero(write):
    path = write("imei,cell\n" + lines(lambda n: f"{lost(n)},1", 10) + "{A},1\n")
    with pytest.raises(FeedError, match="--lost-zeros restore"):
        imeiset.screen(path, LISTED)
    zeros = ImeiSet(["0" + lost(n) for n in range(10)])
    assert screened(path, zeros, lost_zeros="restore").hits == 10
    assert screened(path, zeros, lost_zeros="keep").hits == 0
    assert screened(path, zeros, lost_zeros="keep").lost_zeros.count == 10


@pytest.mark.parametrize(
    ("text", "hits", "options"),
    [
        ("no,imei\n#1,{A}\n#2,{B}\n#3,490154203237518\n", 2, {}),  # 4
        ('imei,cell\n"{A}   ",1\n\t{B}\t,2\n', 2, {}),  # 7
        ("IMEI1,IMEI2\n490154203237518,{A}\n{B},\n", 2, {"column": ["IMEI1", "IMEI2"]}),  # r1
        ("imei,cell,more\n{A}\n{B},1\n", 2, {}),  # r5
        ("By the operator\nimei,cell\n{A},1\n", 1, {"skip": 1}),  # r6
        ("servedIMEI,cell\n{A},1\n", 1, {}),  # r7
        ("calling_imei,cell\n{A}F,1\nimei-{B},2\n", 2, {}),  # r2, r3, r7
        ("imei,cell\n53029900711684F1,1\n5302990071168410,2\n", 2, {"tbcd": True}),  # r8
    ],
)
def test_records(write, text, hits, options):
    assert screened(write(text), **options).hits == hits


def test_r1_a_record_says_which_imei_decided(write, tmp_path):
    path, out = write("IMEI1,IMEI2\n490154203237518,{A}\nx,{B}\n"), tmp_path / "out.csv"
    screened(path, column=["IMEI1", "IMEI2"], output=out)
    head, *rows = out.read_text().splitlines()
    assert head == "IMEI1,IMEI2,status,status_column"
    assert [row.split(",")[2:] for row in rows] == [["listed", "IMEI2"], ["listed", "IMEI2"]]


# ---- 5, r9: IMSIs ----


def exempting(policy):
    """A register in which one subscriber may use a blocked phone."""
    made = Register(policy)
    made.add("stolen", [A], status=BLACK)
    made.exempt("owners", [A], [HOME])
    return made


@pytest.mark.parametrize("malformed", [None, WHITE])
@pytest.mark.parametrize(
    ("imsi", "status"),
    [
        (HOME, WHITE), (f"imsi-{HOME}", WHITE), (None, BLACK), ("262029999999999", BLACK), (GUEST, BLACK),
        ("nai-user@example.org", BLACK), ("gci-00-00", BLACK), ("gli-00", BLACK),
    ],
)  # fmt: skip
def test_5_who_asks(imsi, status, malformed):
    register = exempting(Policy(response_type=2, malformed=malformed))
    answer = {BLACK: BLACK, WHITE: register.check(A, HOME).status}[status]
    assert register.check(A, imsi).status == answer
    assert register.check_many([A], [imsi])[0] == answer


@pytest.mark.parametrize("imsi", ["2620", "2620112345678901", "x", "imsi-", "26201123456789x"])
def test_5_an_imsi_that_is_none_exempts_nobody(imsi):
    for register in (exempting(Policy(malformed=WHITE)), exempting(Policy(malformed=BLACK))):
        assert register.check(A, imsi).status == BLACK
        assert register.check_many([A], [imsi])[0] == BLACK
    with pytest.raises(ImsiError):
        exempting(Policy()).check(A, imsi)


# ---- 9, r4: containers ----


@pytest.mark.parametrize("wrap", ["pzstd", "zip of a Mac"])
def test_containers(write, wrap):
    path = write(WRAPS[wrap](f"imei\n{A}\n{B}\n".encode()), "list")
    assert len(imeiset.load(path).set) == 2


def test_r4_workbooks(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [["imei", "make"], [int(A), "x"], [Z, "x"], [float(B), "x"]]:
        book.active.append(row)
    book.save(tmp_path / "list.xlsx")
    assert imeiset.load(tmp_path / "list.xlsx").set == LISTED


# ---- 12: deltas ----


def test_12_changes_under_another_title(write):
    path = write("Operation,IMEI,IMSI,MSISDN\n0,{A},,\n1,490154203237518,,\n", "day.csv")
    base = ImeiSet([A, B])
    with pytest.raises(FeedError, match="--change-values"):
        imeiset.apply(base, path, change_column="Operation", imsi="ignore", min_size=0)
    values = {"0": "remove", "1": "add"}
    options = {"change_column": "Operation", "change_values": values, "imsi": "ignore", "min_size": 0}
    changed, report = imeiset.apply(base, path, **options)
    assert [*changed] == ["490154203237518", B]
    assert (report.added, report.removed) == (1, 1)


def test_12_a_column_of_changes_beside_a_name(write):
    path = write("imei,action\n{A},add\n{B},remove\n", "x_blocked.csv")
    with pytest.raises(FeedError, match="--change-column"):
        imeiset.apply(ImeiSet([]), path)


# ---- 13, 17: registers ----

REGISTER = """
[[lists]]
name = "phones"
files = ["list.csv"]
"""


def test_13_a_register_says_what_a_pair_means(write):
    write("imei,imsi,msisdn\n{A},262011234567890,49171\n", "list.csv")
    with pytest.raises(FeedError, match="imsi"):
        imeiset.load_register(write(REGISTER + "status = 'blacklisted'", "bad.toml"))
    for kind in ("exempt", "lock"):
        register, _ = imeiset.load_register(write(REGISTER + f"kind = '{kind}'", f"{kind}.toml"))
        assert register.counts()["phones"]["pair"] == 1
    ignored, _ = imeiset.load_register(
        write(REGISTER + "status = 'blacklisted'\nimsi = 'ignore'", "ignored.toml")
    )
    assert ignored.check(A).status == BLACK


def test_13_a_list_that_lets_through_has_no_words_that_block(write):
    write("imei,status\n{A},blocked\n", "list.csv")
    with pytest.raises(FeedError, match="where"):
        imeiset.load_register(write(REGISTER + "status = 'whitelisted'", "white.toml"))
    write("imei,status\n{A},whitelisted\n", "list.csv")
    register, _ = imeiset.load_register(write(REGISTER + "status = 'whitelisted'", "white.toml"))
    assert register.check(A).status == WHITE


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("20261101", 20261101), ("2026-11-01", 20261101), ("2026/11/01", 20261101), ("2026.11.01", 20261101),
        ("2026-11-01T10:00:00Z", 20261101), ("2026-11-01 23:59:59+02:00", 20261101), ("", 0),
        ("01.11.2026", 0), ("2026-02-30", 0), ("46327", 0), ("01/11/26", 0),
    ],
)  # fmt: skip
def test_17_dates(write, written, day):
    found = read(write(f"imei,date\n{A},{written}\n", "list.csv"), ["date"])
    assert found.columns["date"].tolist() == [day]
    assert found.report.dates_not_understood.count == (not day and written != "")


@pytest.mark.parametrize(
    ("written", "date_format"),
    [("01.11.2026", "%d.%m.%Y"), ("11/01/26", "%m/%d/%y"), ("46327", "excel")],
)
def test_17_other_dates_by_their_format(write, written, date_format):
    options = Options(date_column="blocked_on", date_format=date_format, reason_column="why")
    path = write(f"imei,blocked_on,why\n{A},{written},stolen\n", "list.csv")
    found = read(path, ["date", "reasons"], options=options)
    assert found.columns["date"].tolist() == [20261101]
    assert found.values["reasons"] == ["stolen"]
    assert found.report.unread == []
