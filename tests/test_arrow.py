"""Arrow columns from whoever makes them: every type, offset, chunking and null, and hostile buffers."""

import builtins
import datetime
import gc
import sys
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imeiset import (
    EquipmentStatus,
    ImeiError,
    ImeiSet,
    Policy,
    Register,
    Screener,
    are_valid,
    arrow,
    parse,
    tacs,
    to_arrow,
)
from imeiset.columns import keys_of
from imeiset.readers import materialized, split

nanoarrow = pytest.importorskip("nanoarrow")
pa = pytest.importorskip("pyarrow")

GOOD = "490154203237518"
FOREIGN = {ord("0") + i: 0x0660 + i for i in range(10)}  # to Arabic-Indic digits
DIRTY = [GOOD, None, "", "49015420323751", "4901542032375106", "490154203237510", "35-809101-685355-0", "12",
         GOOD * 3, GOOD.translate(FOREIGN), "52003020863612#", "+9015420323751", "1\0"] * 3  # fmt: skip
TEXTS = [pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.string_view(), pa.binary_view()]


def rows(column, **options):
    keys, status = parse(column, **options)
    return list(zip(keys.tolist(), status.tolist(), strict=True))


def expected(values, digits=14):
    return [oracle.settle(oracle.parse_value(value, digits), "ignore") for value in values]


def arrays(values):
    """The values in every type of text, alone and as a dictionary."""
    raw = [None if value is None else value.encode() for value in values]
    for kind in TEXTS:
        array = pa.array(raw if "binary" in str(kind) else values, kind)  # casts to views have had bugs
        yield array
        if not str(kind).endswith("view"):
            yield array.dictionary_encode()
    entries = pa.array([*values, None])
    for index in (pa.int8(), pa.uint16(), pa.int64()):
        at = pa.array([None if value is None else i for i, value in enumerate(values)], index)
        yield pa.DictionaryArray.from_arrays(at, entries)


@given(st.lists(st.one_of(st.none(), st.text(max_size=20), st.from_regex(r"\A[0-9]{13,17}\Z")), max_size=60),
       st.integers(0, 60), st.integers(0, 60), st.integers(1, 9))  # fmt: skip
def test_columns_equal_the_oracle(values, start, length, chunk):
    want = expected(values)
    for array in arrays(values):
        assert rows(array) == want
        assert rows(array.slice(start, length)) == want[start : start + length]
        pieces = [array.slice(at, chunk) for at in range(0, len(array), chunk)]
        assert rows(pa.chunked_array(pieces, array.type)) == want
        table = pa.table({"imei": array}).slice(start, length)
        assert rows(table) == rows(table.to_reader(chunk)) == want[start : start + length]
        assert [row for part in split(array, chunk) for row in rows(part)] == want


def test_valid_rows_and_tacs():
    for array in arrays(DIRTY):
        assert are_valid(array).tolist() == [oracle.is_valid(value) for value in DIRTY]
        assert tacs(array).tolist() == [oracle.tac(value) for value in DIRTY]
        assert are_valid(array[5:20]).tolist() == [oracle.is_valid(value) for value in DIRTY[5:20]]
    numbers = [490154203237518, 490154203237510, None, 1, 10**15]
    for array in (pa.array(numbers), pa.array(numbers, pa.uint64()), pa.array(numbers).dictionary_encode()):
        for digits in (14, 15):
            valid = are_valid(array, digits=digits)
            assert valid.tolist() == [oracle.is_valid(value, digits) for value in numbers]
            parse(array, digits=digits)  # a dictionary that was parsed for one is not taken for the other


def readers(given):
    """The values of an Arrow array, as each library reads them."""
    yield pa.array(given).to_pylist()
    yield pa.chunked_array(given).to_pylist()
    yield nanoarrow.Array(given).to_pylist()
    if polars := sys.modules.get("polars") or (find_spec("polars") and import_module("polars")):
        yield polars.Series(given).to_list()


@given(st.lists(st.sampled_from(DIRTY), max_size=40), st.integers(1, 3))
def test_results_in_arrow(values, threads):
    """The same as in NumPy, with null for what has no answer, whoever reads them."""
    members = ImeiSet([GOOD, "35-809101-685355-0"])
    column = pa.array(values, pa.string())
    keys, status = parse(column)
    bad = (status != 0).tolist()
    good = status == 0
    for found in readers(to_arrow(keys, valid=good)):
        assert found == [None if wrong else key for key, wrong in zip(keys.tolist(), bad, strict=True)]
    for found in readers(to_arrow(status)):
        assert found == status.tolist()
    for found in readers(to_arrow(are_valid(column))):
        assert found == are_valid(column).tolist()
    for found in readers(to_arrow(tacs(column))):
        assert found == [tac.decode() or None for tac in tacs(column).tolist()]
    for malformed in (False, True):
        answers = members.contains(column, threads=threads, malformed=malformed)
        for found in readers(to_arrow(answers)):
            assert found == answers.tolist()
    for found in readers(to_arrow(answers, valid=good)):
        assert found == [
            None if wrong else answer for answer, wrong in zip(answers.tolist(), bad, strict=True)
        ]
    ranks = members.positions([value for value, wrong in zip(values, bad, strict=True) if not wrong])
    for found in readers(to_arrow(ranks, valid=ranks >= 0)):
        assert found == [None if at < 0 else at for at in ranks.tolist()]
    register = Register(Policy(malformed=EquipmentStatus.GREYLISTED))
    register.add("stolen", members, status=EquipmentStatus.BLACKLISTED)
    codes, lists = register.check_many(column, threads=threads, lists=True)
    for found in readers(to_arrow(codes)):
        assert found == codes.tolist()
    for found in readers(to_arrow(lists, valid=lists >= 0)):
        assert found == [None if number < 0 else number for number in lists.tolist()]


def test_types_of_results():
    members, column = ImeiSet([GOOD]), pa.array([GOOD])
    given = [
        *parse(column),
        are_valid(column),
        tacs(column),
        members.contains(column),
        members.positions(column),
    ]
    kinds = [pa.uint64(), pa.uint8(), pa.bool_(), pa.large_string(), pa.bool_(), pa.int64()]
    assert [pa.array(to_arrow(one)).type for one in given] == kinds
    numbers = pa.array(to_arrow(parse(column)[0]))
    gc.collect()
    assert numbers.to_pylist() == [49015420323751]  # its memory is kept by whoever reads it


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([1.5, -2], np.float32), [1.5, -2]),
        (np.arange(6)[::2], [0, 2, 4]),
        (np.array([1, 2], ">i8"), [1, 2]),
        (np.array([], "u2"), []),
        (np.array([True, False] * 5), [True, False] * 5),
        (np.array(["2026-11-29", "NaT"], "M8[D]"), [datetime.date(2026, 11, 29), None]),
        (np.array([b"a", b"", b"longer"]), ["a", None, "longer"]),
        (np.array([b"", b""]), [None, None]),
        (np.array([], "S8"), []),
    ],
    ids=str,
)
def test_arrays_as_arrow(values, expected):
    """What a library holds of the answer is what NumPy held, with or without rows that are null."""
    for found in readers(to_arrow(values)):
        assert found == expected
    for hidden in range(len(values)):
        valid = np.arange(len(values)) != hidden
        for found in readers(to_arrow(values, valid=valid)):
            assert found == [None if row == hidden else value for row, value in enumerate(expected)]


def test_what_is_no_result():
    for values in (
        np.array(["text"]),
        np.array([object()]),
        np.array([1j]),
        np.array(["2026-11-29"], "M8[s]"),
    ):
        with pytest.raises(TypeError, match="expected an array of numbers"):
            to_arrow(values)
    for values, valid in ((np.zeros((2, 2)), None), (np.zeros(2), np.ones(3, bool))):
        with pytest.raises(ValueError, match="expected"):
            to_arrow(values, valid=valid)


def test_malformed_rows_in_arrow():
    """Null only where that was asked for; and irregular identities are no nulls where they are kept."""
    members = ImeiSet([GOOD, "62#222222222222"], irregular="keep")
    column = pa.array([GOOD, None, "62#222222222222", "63#222222222222", "x"])
    least, most = (members.contains(column, malformed=counted) for counted in (False, True))
    assert pa.array(to_arrow(least, valid=least == most)).to_pylist() == [True, None, True, False, None]
    with pytest.raises(ImeiError, match="row 1: no value"):
        members.contains(column)
    with pytest.raises(TypeError, match="expected None, False or True, got 'null'"):
        members.contains(column, malformed="null")
    with pytest.raises(ImeiError, match="row 1: no value"):
        members.positions(column)


def test_dirty_columns_at_the_set():
    members = ImeiSet([GOOD])
    want = [text is not None and expected([text])[0][0] == 49015420323751 for text in DIRTY]
    for array in arrays(DIRTY):
        for threads in (1, 3):
            assert members.contains(array, threads=threads, malformed=False).tolist() == want
            for column in (array, pa.table({"imei": array}).to_reader()):  # that reader can be read but once
                with pytest.raises(ImeiError, match="row 1: no value") as error:
                    members.contains(column, threads=threads)
                assert error.value.position == 1
    assert members.positions(pa.array([GOOD, "86012345678901"])).tolist() == [0, -1]
    assert ImeiSet(pa.array(DIRTY)[3:7]) == ImeiSet(DIRTY[3:7])


@pytest.mark.parametrize("position", [0, 5, 20_000])
def test_errors_show_the_row(position):
    values = [GOOD] * 20_001
    values[position] = "35809101685x3550"
    for array in arrays(values[:100]) if position < 100 else [pa.array(values), pa.array(values, TEXTS[-2])]:
        for column in (array, pa.chunked_array([array.slice(0, 3), array.slice(3)])):
            with pytest.raises(ImeiError, match=rf"row {position}: .* got '35809101\*\*\*\*\*\*\*\*'"):
                keys_of(column)
    with pytest.raises(ImeiError, match="row 1: no value"):
        keys_of(pa.array([1, None]))


def test_integers():
    values = [49015420323751, 10**14, 0, None, 490154203237518, 10**14 - 1]
    for kind, more in ((pa.int64(), [-1, -(2**63)]), (pa.uint64(), [2**64 - 1])):
        given = [*values, *more]
        for digits in (14, 15):
            assert rows(pa.array(given, kind), digits=digits) == expected(given, digits)
            assert rows(pa.array(given, kind)[2:5], digits=digits) == expected(given[2:5], digits)
            assert rows(pa.array(given, kind).dictionary_encode(), digits=digits) == expected(given, digits)


def test_no_values():
    missing = expected([None] * 3)
    assert rows(pa.nulls(3)) == rows(pa.array([None] * 3, pa.string())) == missing
    for array in arrays([]):
        assert rows(array) == rows(pa.chunked_array([], array.type)) == []
    empty = pa.DictionaryArray.from_arrays(pa.array([None] * 3, pa.int32()), pa.array([], pa.string()))
    assert rows(empty) == missing


def test_one_dictionary_is_parsed_once():
    array = pa.array([GOOD, None, "x"] * 9).dictionary_encode()
    column = materialized(pa.chunked_array([array[:5], array[5:]]))
    first, second = column._chunks
    rows(column)
    assert first._parsed is second._parsed
    assert len(first._parsed) == 1
    other = pa.chunked_array([array[:5], pa.array(["x", GOOD]).dictionary_encode()])
    assert rows(other) == expected([*array[:5].to_pylist(), "x", GOOD])


@pytest.mark.parametrize(
    "column",
    [pa.array([1.5]), pa.array([True]), pa.array([1], pa.int32()), pa.array([[GOOD]]),
     pa.array([1], pa.timestamp("ms")), pa.array([1], pa.timestamp("s", "UTC")), pa.array([1], pa.date64()),
     pa.array([1], pa.date32()), pa.array([1], pa.time64("us")), pa.array([1], pa.duration("s")),
     pa.array([1], pa.timestamp("s")).dictionary_encode(), pa.array([1], pa.decimal128(15, 0)),
     pa.table({"a": [GOOD], "b": [1]}),
     pa.StructArray.from_arrays([pa.array([GOOD])], ["a"], mask=pa.array([True]))],
    ids=lambda column: str(getattr(column, "type", "table")),
)  # fmt: skip
def test_refused_types(column):
    with pytest.raises(TypeError, match=r"expected an Arrow column of string, .*, got one of "):
        parse(column)


class Device(pa.ExtensionType):
    def __init__(self, storage=None):
        super().__init__(storage or pa.string(), "imeiset.test-device")

    def __arrow_ext_serialize__(self):
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized):
        return cls(storage)


def test_extension_types_are_what_they_are_stored_as():
    plain = pa.array(DIRTY)
    for storage in (plain, plain.dictionary_encode()):
        column = pa.ExtensionArray.from_storage(Device(storage.type), storage)
        for one in (column, pa.chunked_array([column]), pa.table({"imei": column})):
            assert rows(one) == expected(storage.to_pylist())
    of_devices = pa.DictionaryArray.from_arrays(
        pa.array([1, 0, None]), pa.ExtensionArray.from_storage(Device(), pa.array([GOOD, "x"]))
    )
    assert rows(of_devices) == expected(["x", GOOD, None])
    with pytest.raises(TypeError, match=r"expected an Arrow column of string, .*, got one of double"):
        parse(pa.ExtensionArray.from_storage(Device(pa.float64()), pa.array([1.5])))


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64()])
def test_integers_of_another_type_are_no_keys(kind):
    """Periods of pandas, say, are numbers of months. What they are stored as is there to be asked."""
    storage = pa.array([1, None, 10**14], kind)
    column = pa.ExtensionArray.from_storage(Device(kind), storage)
    of_devices = pa.DictionaryArray.from_arrays(pa.array([1, 0, None]), column)
    for one in (column, pa.chunked_array([column]), pa.table({"imei": column}), of_devices):
        for ask in (parse, ImeiSet, ImeiSet([1]).contains, are_valid):
            with pytest.raises(TypeError, match=r"got one of imeiset\.test-device"):
                ask(one)
    assert rows(column.storage) == expected(storage.to_pylist())


def test_integers_of_another_type_are_no_keys_without_nanoarrow(without_nanoarrow):
    column = pa.ExtensionArray.from_storage(Device(pa.int64()), pa.array([1, None, 10**14]))
    for one in (column, pa.chunked_array([column])):
        with pytest.warns(RuntimeWarning, match="nanoarrow"), pytest.raises(TypeError, match="got one of"):
            parse(one)
        arrow.warn_of_slowness.cache_clear()


@pytest.mark.parametrize("of", [list, "index", "array", "series", "category"])
def test_periods_of_pandas(of):
    """They are stored as integers, and were keys."""
    pandas = pytest.importorskip("pandas")
    periods = pandas.Series(pandas.period_range("2024-01", periods=3, freq="M"))
    column = {list: list(periods), "index": pandas.PeriodIndex(periods), "array": periods.array,
              "series": periods, "category": periods.astype("category")}[of]  # fmt: skip
    for ask in (ImeiSet, ImeiSet(["20240101000000"]).contains):
        with pytest.raises((TypeError, ImeiError), match=r"period|wrong type"):
            ask(column)


def test_a_stream_that_breaks_off():
    """What came before is no answer."""

    def batches():
        yield pa.record_batch({"imei": [GOOD]})
        raise OSError("the link is down")

    reader = pa.RecordBatchReader.from_batches(pa.schema({"imei": pa.string()}), batches())
    with pytest.raises(OSError, match="the link is down"):
        ImeiSet([GOOD]).contains(reader)


def test_lies_that_pyarrow_can_see(tmp_path):
    """The last offset says how long the data are; only the maker of the array knows better."""
    true = np.array([0, 15, 30], np.int32).tobytes()
    with pa.ipc.new_stream(tmp_path / "x", pa.schema({"imei": pa.string()})) as writer:
        writer.write_table(pa.table({"imei": [GOOD, GOOD]}))
    data = (tmp_path / "x").read_bytes()
    assert data.count(true) == 1
    for lie in ([0, 15, 2**30], [0, 2**30, 2**30 + 15]):
        lying = data.replace(true, np.array(lie, np.int32).tobytes())
        with pa.ipc.open_stream(lying) as stream:
            table = stream.read_all()
        stream = pa.ipc.open_stream(lying)
        for column in (table, table["imei"], table["imei"].chunk(0), table.to_batches()[0], stream):
            with pytest.raises(ValueError, match="larger than values array"):
                parse(column)


def offsets(*values, dtype=np.int32):
    return pa.py_buffer(np.array(values, dtype))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    ("given", "span"),
    [((0, 1000, 45), "0:1000"), ((0, -5, 45), "0:-5"), ((20, 15, 30), "20:15"),
     ((0, 2**31 - 1, 45), "0:2147483647"), ((0, 46, 45), "0:46")],
)  # fmt: skip
def test_offsets_that_lead_outside(given, span, wide):
    kind, dtype = (pa.large_string(), np.int64) if wide else (pa.string(), np.int32)
    buffers = [None, offsets(*given, dtype=dtype), pa.py_buffer(GOOD.encode() * 3)]
    with pytest.raises(ValueError, match=f"span 0: expected within [0-9]+ bytes, got {span}"):
        parse(pa.Array.from_buffers(kind, 2, buffers))


@pytest.mark.parametrize(
    "view", [(15, 0, 7, 0), (15, 0, -1, 0), (15, 0, 0, 31), (15, 0, 0, -1), (-15, 0, 0, 0)]
)
def test_views_that_lead_outside(view):
    views = np.zeros((3, 4), np.int32)
    views[1] = view
    data = pa.py_buffer(GOOD.encode() * 3)
    kind = pa.string_view()
    try:
        pa.Array.from_buffers(kind, 1, [None, pa.py_buffer(bytes(16)), data])
    except ValueError:
        pytest.skip("this pyarrow cannot make views of given buffers")
    with pytest.raises(ValueError, match="view 1: expected within the 1 buffers"):
        parse(pa.Array.from_buffers(kind, 3, [None, pa.py_buffer(views), data]))
    null = pa.Array.from_buffers(kind, 3, [pa.py_buffer(b"\x05"), pa.py_buffer(views), data])
    assert rows(null) == expected(["", None, ""])


@pytest.mark.parametrize("index", [3, -1, 127])
def test_indices_that_lead_outside(index):
    at = pa.Array.from_buffers(pa.int8(), 3, [None, pa.py_buffer(np.array([0, index, 2], np.int8))])
    with pytest.raises(ValueError, match=f"index: expected one of 3 entries, got {index}"):
        parse(pa.DictionaryArray.from_arrays(at, pa.array([GOOD, "x", "y"]), safe=False))
    nulled = [pa.py_buffer(b"\x05"), pa.py_buffer(np.array([0, index, 2], np.int8))]
    at = pa.Array.from_buffers(pa.int8(), 3, nulled)
    column = pa.DictionaryArray.from_arrays(at, pa.array([GOOD, "x", "y"]), safe=False)
    assert rows(column) == expected([GOOD, None, "y"])


def test_nothing_is_copied():
    """Parsing sees what is in the producer's memory now."""
    data = bytearray(GOOD.encode() * 2)
    column = pa.Array.from_buffers(pa.string(), 2, [None, offsets(0, 15, 30), pa.py_buffer(data)])
    before = materialized(column)
    data[:15] = b"352099001761481"
    assert rows(before) == expected(["352099001761481", GOOD])


def test_other_makers():
    want = expected(DIRTY)
    polars, pandas = pytest.importorskip("polars"), pytest.importorskip("pandas")
    for dtype in (polars.String, polars.Categorical):
        series = polars.Series("imei", DIRTY, dtype)
        for column in (series, series.to_frame(), polars.concat([series[:3], series[3:]])):
            assert rows(column) == want
    assert rows(polars.Series([None, None])) == expected([None, None])
    assert rows(polars.Series([1, None, 5])) == expected([1, None, 5])
    for dtype in ("string[pyarrow]", "string[python]", "category", object, pandas.ArrowDtype(pa.string())):
        assert rows(pandas.Series(DIRTY, dtype=dtype)) == want
    for dtype in ("Int64", pandas.ArrowDtype(pa.int64())):
        integers = pandas.Series([1, None, 5], dtype=dtype)  # a Series speaks Arrow from pandas 3
        speaker = integers if hasattr(integers, "__arrow_c_stream__") else integers.to_frame("imei")
        assert rows(speaker) == expected([1, None, 5])
    duckdb = pytest.importorskip("duckdb")
    assert rows(duckdb.from_arrow(pa.table({"imei": DIRTY}))) == want


@pytest.fixture
def without_nanoarrow(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments):
        if name == "nanoarrow":
            raise ModuleNotFoundError("No module named 'nanoarrow'", name=name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    arrow.warn_of_slowness.cache_clear()


def test_without_nanoarrow(without_nanoarrow):
    """What can be a NumPy array still goes; what cannot says which library is lacking."""
    with pytest.warns(RuntimeWarning, match="nanoarrow is not installed: .* through NumPy"):
        assert rows(pa.array([GOOD, None])) == expected([GOOD, None])
    for call in (lambda: parse(pa.table({"imei": [GOOD]}).to_reader()), lambda: to_arrow(are_valid([GOOD]))):
        with pytest.raises(ModuleNotFoundError, match="nanoarrow"):
            call()


@pytest.mark.parametrize(
    "ask",
    [
        parse,
        are_valid,
        tacs,
        ImeiSet,
        ImeiSet([GOOD]).contains,
        ImeiSet([GOOD]).positions,
        Register().check_many,
        Screener(ImeiSet([GOOD])).codes,
        lambda column: Register().check_many([GOOD], imsis=column),
    ],
)
def test_no_door_is_slow_in_silence(ask, without_nanoarrow):
    """Every door for columns warns, and once."""
    with pytest.warns(RuntimeWarning, match="nanoarrow is not installed"):
        ask(pa.array([GOOD]))
    ask(pa.array([GOOD]))  # a warning would be an error


def test_numpy_columns_need_no_nanoarrow(without_nanoarrow):
    assert rows(np.array([GOOD])) == rows([GOOD]) == rows(GOOD.encode()) == expected([GOOD])


def test_a_missing_value_is_no_other_phone_without_nanoarrow(without_nanoarrow):
    """The NumPy array of a dictionary in chunks has its last entry where a value is missing."""
    texts = pa.array(["490154203237518", None, "352099001761481"])
    column = pa.chunked_array([texts.dictionary_encode()])
    with pytest.warns(RuntimeWarning, match="nanoarrow is not installed"):
        assert ImeiSet(["352099001761481"]).contains(column, malformed=False).tolist() == [False, False, True]
