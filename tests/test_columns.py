"""Every column a user may pass, and those that must be refused."""

import array
import mmap
import threading
from decimal import Decimal

import identities
import numpy as np
import oracle
import pytest

from imeiset import EquipmentStatus, Register
from imeiset.columns import are_valid, keys_of, likely_keys, parse, source, split, tacs
from imeiset.errors import ImeiError, ImeiWarning, ParseStatus
from imeiset.imei import Imei
from imeiset.readers import _Lines
from imeiset.sets import ImeiSet

TEXTS = ["490154203237518", "49015420323751", "4901542032375106", "490154203237510", "35809101685355", ""] * 5
KEYS = [int(text[:14]) for text in TEXTS if text]


def rows(column, **options):
    keys, status = parse(column, **options)
    assert keys.dtype == np.uint64
    assert status.dtype == np.uint8
    assert keys.flags.owndata
    assert ((keys == oracle.NO_KEY) == (status != 0)).all()
    return list(zip(keys.tolist(), status.tolist(), strict=True))


def expected(values, digits=14, policy="ignore"):
    return [oracle.settle(oracle.parse_value(value, digits), policy) for value in values]


def shapes(texts):
    """The same texts in every kind of column that can hold them."""
    raw = [text.encode() for text in texts]
    lines = b"".join(text + b"\n" for text in raw)
    wide = np.array(texts, "U16")
    fixed = np.array(raw, "S16")
    records = np.zeros(len(texts), [("a", "u1"), ("imei", "S16"), ("wide", "U16")])
    records["imei"], records["wide"] = fixed, wide
    yield "list", texts
    yield "tuple of bytes", tuple(raw)
    yield "S16", fixed
    yield "S40", fixed.astype("S40")
    yield "U16", wide
    yield "big-endian U16", wide.astype(">U16")
    yield "object", np.array(texts, object)
    yield "every second", np.repeat(fixed, 2)[::2]
    yield "every second U", np.repeat(wide, 2)[::2]
    yield "backwards", fixed[::-1].copy()[::-1]
    yield "field of records", records["imei"]
    yield "unaligned field of records", records["wide"]
    yield "column of a matrix", np.stack([fixed, fixed], 1)[:, 1]
    yield "bytes", lines
    yield "CRLF", lines.replace(b"\n", b"\r\n")
    yield "no last newline", lines[:-1] if raw and raw[-1] else lines
    yield "bytearray", bytearray(lines)
    yield "memoryview", memoryview(lines)
    read_only = fixed.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only


@pytest.mark.parametrize("policy", ["ignore", "spare", "require"])
@pytest.mark.parametrize(("name", "column"), [pytest.param(n, c, id=n) for n, c in shapes(TEXTS)])
def test_shapes(name, column, policy):
    assert rows(column, check_digit=policy) == expected(TEXTS, policy=policy)


@pytest.mark.parametrize(("name", "column"), [pytest.param(n, c, id=n) for n, c in shapes(TEXTS)])
def test_valid_rows_and_tacs(name, column):
    assert are_valid(column).tolist() == [oracle.is_valid(text) for text in TEXTS]
    assert tacs(column).dtype == "S8"
    assert tacs(column).tolist() == [oracle.tac(text) for text in TEXTS]


def test_valid_rows_and_tacs_of_other_columns():
    imei, body = Imei("49-015420-323751-8"), Imei("49015420323751")
    values = [
        imei,
        body,
        Imei("490154203237510"),
        None,
        float("nan"),
        True,
        490154203237518,
        1,
        -1,
        10**15,
        "x",
    ]
    for digits in (14, 15):
        bare = [oracle.is_valid(value, digits) for value in values[3:]]
        assert are_valid(values, digits=digits).tolist() == [True, False, False, *bare]
        found = [oracle.tac(value, digits) for value in values[3:]]
        assert tacs(values, digits=digits).tolist() == [b"49015420"] * 3 + found
        numbers = values[6:-1]
        for dtype in (np.int64, np.dtype(">i8")):
            assert are_valid(np.array(numbers, dtype), digits=digits).tolist() == bare[3:-1]
    derived = [np.str_(TEXTS[0]), np.bytes_(TEXTS[0].encode()), np.str_("x")]
    assert are_valid(derived).tolist() == [True, True, False]
    assert tacs(derived).tolist() == [b"49015420", b"49015420", b""]
    many = np.array(TEXTS * 2000, "S16")  # more than one buffer
    assert are_valid(many).tolist() == [oracle.is_valid(text) for text in TEXTS] * 2000
    for empty in ([], b"", np.empty(0, "S15")):
        assert are_valid(empty).dtype == bool
        assert len(are_valid(empty)) == len(tacs(empty)) == 0
    with pytest.raises(TypeError, match="expected a list or another iterable"):
        are_valid(5)


@pytest.mark.parametrize(("name", "column"), [pytest.param(n, c, id=n) for n, c in shapes([])])
def test_empty_columns(name, column):
    assert rows(column) == []
    assert len(keys_of(column)) == 0


@pytest.mark.parametrize(
    "column",
    [
        np.array(KEYS, np.uint64),
        np.array(KEYS, np.int64),
        np.array(KEYS, ">u8"),
        np.array(KEYS, ">i8"),
        np.repeat(np.array(KEYS, np.uint64), 3)[::3],
        np.array(KEYS[::-1], np.int64)[::-1],
        array.array("Q", KEYS),
        array.array("q", KEYS),
        memoryview(array.array("Q", KEYS)),
        KEYS,
        tuple(map(np.uint64, KEYS)),
        np.array(KEYS, object),
        [Imei.from_key(key) for key in KEYS],
    ],
    ids=lambda column: type(column).__name__,
)
def test_integers(column):
    assert rows(column) == [(key, 0) for key in KEYS]
    assert keys_of(column).tolist() == KEYS


@pytest.mark.parametrize("dtype", [np.uint64, np.int64, ">u8"])
@pytest.mark.parametrize("length", [len(KEYS), 5000])
def test_integers_at_any_byte(dtype, length):
    """As in a buffer behind a header: kernels that take numbers get them where numbers stand."""
    good = np.resize(KEYS, length).astype(dtype)
    for values in (good, np.append(good, 10**14).astype(dtype)):
        column = np.frombuffer(b"#" + values.tobytes(), dtype, offset=1)
        assert not column.flags.aligned
        assert rows(column) == rows(values)
        assert rows(column[::-1]) == rows(values[::-1])
        assert rows(column, digits=15) == rows(values, digits=15)
        assert rows(memoryview(column)) == rows(values)
        blocked, register = ImeiSet(KEYS[::2]), Register()
        register.add("stolen", blocked, status=EquipmentStatus.BLACKLISTED)
        assert likely_keys(column) is blocked.contains_at_once(column) is None
        if values is good:
            assert ImeiSet(column) == ImeiSet.from_keys(column) == ImeiSet(KEYS)
            assert blocked.contains(column).tolist() == np.isin(values, KEYS[::2]).tolist()
            assert blocked.positions(column).tolist() == blocked.positions(values).tolist()
            assert register.check_many(column).tolist() == register.check_many(values).tolist()


def test_imsis_at_any_byte():
    imsis = np.array(["234150999999999", "310150123456789"] * len(KEYS), "U15")[: len(KEYS)]
    column = np.frombuffer(b"#" + imsis.tobytes(), "U15", offset=1)
    assert not column.flags.aligned
    register = Register()
    register.exempt("pairs", KEYS, imsis)
    assert register.check_many(KEYS, column).tolist() == register.check_many(KEYS, imsis).tolist()


def test_integers_with_check_digit():
    whole = np.array([490154203237518, 490154203237510, 490154203237511, 12345678901237], np.int64)
    assert rows(whole)[0] == (oracle.NO_KEY, ParseStatus.FIFTEEN_DIGITS)
    for policy in ("ignore", "spare", "require"):
        want = expected(whole.tolist(), 15, policy)
        assert rows(whole, digits=15, check_digit=policy) == want
        assert rows(whole.tolist(), digits=15, check_digit=policy) == want
    with pytest.raises(ValueError, match="digits: expected 14 or 15, got 16"):
        parse(whole, digits=16)


def test_bad_integers():
    values = np.array([-1, 10**14, 10**15, -(2**63), 2**63 - 1, 5], np.int64)
    assert rows(values) == expected(values.tolist())
    with pytest.raises(ImeiError, match="row 0: a negative integer") as error:
        keys_of(values)
    assert error.value.position == 0


def test_nulls():
    missing = (oracle.NO_KEY, ParseStatus.MISSING)
    good = (49015420323751, 0)
    assert rows([None, "490154203237518", float("nan")]) == [missing, good, missing]
    for data in (["490154203237518"] * 2, np.array([49015420323751] * 2), np.array([b"490154203237518"] * 2)):
        # A masked item is missing: its data must not be read.
        assert rows(np.ma.array(data, mask=[True, False])) == [missing, good]
    with pytest.raises(TypeError, match="array of float64"):
        parse(np.ma.array([1.0], mask=[True]))
    for floats in (np.array([4.9e14]), np.array([4.9e14], np.float32), [490154203237518.0]):
        with pytest.raises((TypeError, ImeiError), match=r"float.*: read the column as text"):
            ImeiSet(floats)
    with pytest.raises(ImeiError, match=r"got <bool>$"):
        ImeiSet([True])


def test_pandas():
    pandas = pytest.importorskip("pandas")
    missing = (oracle.NO_KEY, ParseStatus.MISSING)
    good = (49015420323751, 0)
    texts = ["490154203237518", None]
    for series in (
        pandas.Series(texts),
        pandas.Series(texts, dtype=object),
        pandas.Series(texts, dtype="string"),
        pandas.Series(texts, dtype="category"),
    ):
        assert rows(series) == [good, missing]
    assert rows(pandas.Series([49015420323751])) == rows(pandas.Index([49015420323751])) == [good]
    with pytest.raises(TypeError, match="array of float64"):  # what an integer that is missing makes of it
        parse(pandas.Series([49015420323751, None]))


@pytest.mark.skipif(not hasattr(np, "dtypes") or not hasattr(np.dtypes, "StringDType"), reason="NumPy 1")
def test_numpy_strings():
    assert rows(np.array(TEXTS, np.dtypes.StringDType())) == expected(TEXTS)


def test_trailing_nul_in_numpy():
    """NumPy drops it, so such a text cannot be told from a good one; everywhere else it is found."""
    text = "49015420323751\0"
    assert rows(np.array([text.encode()], "S15")) == rows(np.array([text])) == [(49015420323751, 0)]
    nul = [(oracle.NO_KEY, ParseStatus.NUL)]
    assert rows([text]) == rows(text.encode()) == rows(np.array([text], object)) == nul
    assert rows(np.array([text + "1"])) == nul


@pytest.mark.parametrize("dtype", ["f4", "f8", "?", "c16", "i1", "u1", "i4", "u4", "M8[s]", "m8[s]", "V8"])
def test_refused_dtypes(dtype):
    with pytest.raises(TypeError, match="got an array of") as error:
        parse(np.zeros(3, dtype))
    assert str(np.dtype(dtype)) in str(error.value)


@pytest.mark.parametrize(
    "column",
    ["490154203237518", {"490154203237518": 1}, None, 5, Imei("490154203237518"), np.uint64(5)],
    ids=lambda column: type(column).__name__,
)
def test_refused_columns(column):
    with pytest.raises(
        TypeError, match="expected a list or another iterable, .*, got " + type(column).__name__
    ):
        parse(column)


def test_refused_dimensions():
    for column in (np.zeros((2, 2), "S15"), np.array("490154203237518"), memoryview(np.zeros((2, 2), "u8"))):
        with pytest.raises(ValueError, match="expected an array of one dimension"):
            parse(column)
    with pytest.raises(ValueError, match="check_digit: expected 'ignore', 'spare' or 'require'"):
        parse([], check_digit="no")


def test_lines():
    text = b"490154203237518\r\n\n49-015420-323751-8\r\n\r\nimei\n490154203237518"
    assert rows(text) == expected(
        ["490154203237518", "", "49-015420-323751-8", "", "imei", "490154203237518"]
    )
    assert rows(b"") == []
    assert rows(b"\n") == [(oracle.NO_KEY, ParseStatus.EMPTY)]
    assert rows(b"\r") == [(oracle.NO_KEY, ParseStatus.EMPTY)]
    assert rows(b"1\r\r\n") == [(oracle.NO_KEY, ParseStatus.TOO_SHORT)]
    assert rows(b" 490154203237518\r\r\n\t\r\n") == [(49015420323751, 0), (oracle.NO_KEY, ParseStatus.EMPTY)]


@pytest.mark.parametrize("first", [b"", b"\n" * 70_000, b"x" * 200_000, b"490154203237518\n" * 9000])
@pytest.mark.parametrize("then", [b"", b"\n" * 70_000, b"x" * 200_000, b"490154203237518\n" * 9000])
def test_lines_of_any_density(first, then):
    """The number of rows is only guessed at first."""
    text = first + then
    lines = oracle.split_lines(text)
    answers = {line: expected([line])[0] for line in set(lines)}
    assert rows(text) == [answers[line] for line in lines]


def test_mmap(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"490154203237518\n" * 5000)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        keys, status = parse(text)
        assert (keys == 49015420323751).all()
        assert len(keys) == 5000
        assert not status.any()
        with pytest.raises(ImeiError, match="row 5: fewer than 14 digits: "):
            keys_of(text[:80] + text[2:18])


def test_a_line_of_one_gigabyte_is_one_row():
    text = np.full(1 << 27, ord("1"), np.uint8)  # an eighth of it: the same path, without the wait
    keys, status = parse(memoryview(text))
    assert (keys.tolist(), status.tolist()) == ([oracle.NO_KEY], [ParseStatus.TOO_LONG])


@pytest.mark.parametrize("position", [0, 1, 70_000, 140_000])
def test_errors_have_a_position(position):
    texts = ["490154203237518"] * 140_001
    texts[position] = "35809101685\x1b[3550"
    raw = [text.encode() for text in texts]
    for column in (texts, np.array(texts), np.array(raw), b"\r\n".join(raw)):
        with pytest.raises(ImeiError) as error:
            keys_of(column)
        assert (error.value.position, error.value.status) == (position, ParseStatus.NOT_DIGIT)
        assert str(error.value).startswith(f"row {position}: a character that is not a digit: expected ")
        assert "got '35809101*********'" in str(error.value)
    integers = np.zeros(140_001, np.uint64)
    integers[position] = 490154203237518
    with pytest.raises(ImeiError, match=rf"row {position}: .*digits=15.*'49015420\*\*\*\*\*\*\*'"):
        keys_of(integers)
    with pytest.raises(ImeiError, match=f"row {position}: a wrong check digit"):
        keys_of([*texts[:position], "490154203237511"], check_digit="require")


def test_source_in_pieces():
    for name, column in shapes(TEXTS):
        rows_left = source(column)
        keys, status = np.empty(7, np.uint64), np.empty(7, np.uint8)
        got = []
        more = isinstance(rows_left, _Lines)  # they are not counted, but never fewer are expected
        while n := rows_left.read(keys, status):
            got += status[:n].tolist()
            left = len(TEXTS) - len(got)
            assert left <= rows_left.expected <= left + (left // 8 + 2) * more, name
        raw = [oracle.lax(oracle.parse_value(text))[1] for text in TEXTS]
        assert got == raw, name
        assert rows_left.value(2) in (TEXTS[2], TEXTS[2].encode())


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 100])
def test_split(parts):
    for name, column in shapes(TEXTS):
        pieces = split(column, parts)
        assert len(pieces) <= parts
        assert [row for piece in pieces for row in rows(piece)] == rows(column), name
    for column in ([], np.zeros(0, "S15"), b""):
        assert [row for piece in split(column, parts) for row in rows(piece)] == []
    text = b"x" * 10_000 + b"\n" + b"490154203237518\n" * 1000 + b"y" * 10_000  # lines longer than the search
    assert [row for piece in split(text, parts) for row in rows(piece)] == rows(text)
    for column in ("490154203237518", 5, np.zeros((2, 2), "S15"), np.zeros(3)):  # for `source` to refuse
        assert len(split(column, parts)) == 1


def test_threads_share_a_column():
    """Kernels run without the GIL on read-only input: many at once agree."""
    text = b"490154203237518\n358091016853550\n49-015420-323751-8\n" * 20_000
    want = parse(text)
    results = []
    threads = [threading.Thread(target=lambda: results.append(parse(text))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for keys, status in results:
        assert (keys == want[0]).all()
        assert (status == want[1]).all()


@pytest.mark.parametrize("text", [*identities.FORMS, *identities.NEAR], ids=ascii)
def test_a_form_is_the_same_in_every_kind_of_column(text):
    """Alone, between blanks and far apart, among rows that the vector code takes."""
    for row in (text, f" {text}\t", " " * 70 + text, text + " " * 300):
        crowd = ["490154203237518"] * 11
        texts = [*crowd, row, *crowd]
        if not row.isascii() or "\0" in row:
            kinds = {"list": texts, "U": np.array(texts)}
        else:
            kinds = dict(shapes(texts)) | {"S": np.array(texts, "S"), "U": np.array(texts)}
            kinds = {name: column for name, column in kinds.items() if "16" not in name and len(column) != 0}
        for policy in ("ignore", "spare", "require"):
            want = expected(texts, policy=policy)
            for name in ("list", "tuple of bytes", "object", "bytes", "CRLF", "S", "U"):
                if name in kinds:
                    assert rows(kinds[name], check_digit=policy) == want, name


def test_the_check_digit_of_an_imei_is_looked_at():
    right, spare, wrong = (Imei(f"49015420323751{digit}") for digit in "801")
    column = [right, spare, wrong, Imei("49015420323751"), Imei("4901542032375106")]
    codes = {
        policy: parse(column, check_digit=policy)[1].tolist() for policy in ("ignore", "spare", "require")
    }
    assert codes == {"ignore": [0] * 5, "spare": [0, 0, 14, 0, 0], "require": [0, 15, 14, 18, 18]}


def test_integers_have_no_check_digit():
    for column in (KEYS, np.array(KEYS, np.int64), np.array(KEYS, np.uint64)):
        assert set(parse(column, check_digit="require")[1].tolist()) == {ParseStatus.NO_CHECK_DIGIT}
        assert not parse(column, check_digit="spare")[1].any()
    with pytest.raises(ImeiError, match="row 0: no check digit"):
        keys_of(KEYS, check_digit="require")


# ---- the question itself ----

ASKED = ImeiSet(["490154203237518"])
NOT_IMEIS = ["352099001761481.0", *["n/a"] * 59, *["490154203237518"] * 40]


@pytest.mark.parametrize("threads", [1, 2, None])
@pytest.mark.parametrize("malformed", [False, True])
def test_a_column_of_other_things_is_warned_of_once(threads, malformed):
    for column in (NOT_IMEIS, np.array(NOT_IMEIS), "\n".join(NOT_IMEIS).encode(), NOT_IMEIS * 1000):
        with pytest.warns(ImeiWarning) as caught:
            ASKED.contains(column, threads=threads, malformed=malformed)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        count = 60 if len(column) < 1500 else 60_000
        total = 100 * count // 60
        assert str(caught[0].message) == (
            f"{count:,} of {total:,} rows are not IMEIs; "
            "the first is row 0: '35209900*********' (a character that is not a digit)"
        )


def test_the_first_row_of_a_later_part_is_named():
    column = np.array(["490154203237518"] * 50_001 + ["x"] * 60_000)
    with pytest.warns(
        ImeiWarning, match=r"^60,000 of 110,001 rows are not IMEIs; the first is row 50001: 'x'"
    ):
        ASKED.contains(column, threads=4, malformed=False)


@pytest.mark.parametrize(
    "column", [["n/a"] * 99, ["n/a"] * 50 + ["490154203237518"] * 50, [], ["490154203237518"] * 500]
)
def test_a_column_with_enough_imeis_is_not_warned_of(column):
    for threads in (1, 3):
        ASKED.contains(column, threads=threads, malformed=False)  # a warning would be an error


def test_irregular_identities_that_are_kept_are_asked_for_on_purpose():
    kept = ImeiSet(["490154203237518", "62#2"], irregular="keep")
    assert kept.contains(["62#2"] * 200, malformed=False).all()
    with pytest.warns(ImeiWarning, match="^200 of 200"):
        ASKED.contains(["62#2"] * 200, malformed=False)


@pytest.mark.parametrize("malformed", [None, False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_numbers_that_may_be_another_phone_are_errors(threads, malformed):
    """Whatever malformed rows count as, in any row."""
    for value in (490154203237518, 490154203237518.0, True, Decimal(490154203237518), np.float64(1), [1]):
        for column in ([*["490154203237518"] * 5, value], [*["490154203237518"] * 40_000, value]):
            with pytest.raises(ImeiError, match=f"^row {len(column) - 1}: "):
                ASKED.contains(column, threads=threads, malformed=malformed)
            with pytest.raises(ImeiError, match=f"^row {len(column) - 1}: "):
                ASKED.positions(column, threads=threads)
        with pytest.raises(ImeiError, match=r"^row 1: "):
            ImeiSet(["490154203237518", value])
    column = np.array([49015420323751, 490154203237518])
    with pytest.raises(ImeiError, match=r"^row 1: an integer of 15 digits"):
        ASKED.contains(column, threads=threads, malformed=malformed)
    assert ASKED.contains([490154203237518, 12345678901237], digits=15).tolist() == [True, False]
