"""Arrow streams that lie: refused, or read without a byte from elsewhere. The process lives on."""

import io
import random
import struct
import tracemalloc
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import EquipmentStatus, Register, Store
from imeiset.serve.http import arrow_form, checks, ipc
from imeiset.serve.http.bulk import Bulk
from imeiset.serve.state import Counts

from .requests import BLACK, CLEAR, HOME, LIMITS, LINES, ask, refused

pa = pytest.importorskip("pyarrow")


@pytest.fixture
def bulk(tmp_path):
    register = Register()
    register.add("stolen", [BLACK], status=EquipmentStatus.BLACKLISTED)
    with Store.create(tmp_path / "eir", register) as store:
        yield Bulk(store, Counts(), LIMITS)


ROWS = [BLACK, CLEAR, None, "49-015420-323751-8", "x"]
SUBSCRIBERS = [HOME, None, "23415", "2", HOME]


def stream(columns, size=3, **options):
    table, out = pa.table(columns), io.BytesIO()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=size)
    return out.getvalue()


STREAMS = {
    "texts": stream({"imei": pa.array(ROWS), "imsi": pa.array(SUBSCRIBERS)}),
    "large": stream({"imei": pa.array(ROWS, pa.large_string())}),
    "views": stream(
        {"imei": pa.array(ROWS, pa.string_view()), "imsi": pa.array(SUBSCRIBERS, pa.string_view())}
    ),
    "dictionaries": stream({"imei": pa.array(ROWS).dictionary_encode(), "imsi": pa.array(SUBSCRIBERS)}),
    "small indices": stream(
        {"imei": pa.array(ROWS).dictionary_encode().cast(pa.dictionary(pa.uint8(), pa.utf8()))}
    ),
    "nulls": stream({"imei": pa.nulls(5)}),
    "no rows": stream({"imei": pa.array([], pa.string())}),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_sound_streams_are_read(name):
    """So that what follows is not refused for another reason."""
    found = arrow_form.read(STREAMS[name], 100)
    want = {"nulls": [None] * 5, "no rows": []}.get(name, ROWS)
    want = [value and value.encode() for value in want]
    assert [found.value()(row) for row in range(len(found.keys))] == want
    if found.imsis is not None:
        assert found.imsis == [value and value.encode() for value in SUBSCRIBERS]


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        ({"imei": pa.array([490154203237518])}, {}, "imei: expected a column of texts, got integers"),
        ({"imei": pa.array([1.5])}, {}, "got another type"),
        ({"imei": pa.array([[BLACK]])}, {}, "got another type"),
        ({"imei": pa.array(ROWS), "imsi": pa.array([1] * 5)}, {}, "imsi: expected a column of texts"),
        ({"msisdn": pa.array(ROWS)}, {}, "expected the column imei, and maybe imsi, got msisdn"),
        ({"imei": pa.array(ROWS), BLACK: pa.array(ROWS)}, {}, "got 49015420*******, imei"),
        ({"imsi": pa.array(ROWS)}, {}, "got imsi"),
        ({"imei": pa.array(ROWS)}, {"compression": "zstd"}, "compressed"),
        ({"imei": pa.array(ROWS)}, {"compression": "lz4"}, "compressed"),
    ],
)
def test_streams_of_something_else(bulk, columns, options, words):
    refused(bulk, ask(bulk, stream(columns, **options), ipc.KIND), 400, "malformed_body", words)


def test_streams_that_are_cut_off(bulk):
    whole = STREAMS["texts"]
    for end in range(len(whole)):
        bulk.counts = Counts()
        answer = ask(bulk, whole[:end], ipc.KIND, "malformed=report")
        if answer.status == 200:  # the end of a stream may be the end of the body: after whole batches
            assert len(ask(bulk, whole[:end], ipc.KIND, "malformed=report", accept=LINES).body.split()) in (
                0,
                3,
                5,
            )
        else:
            refused(bulk, answer, 400, "malformed_body", "expected a sound Arrow IPC stream")
    for more in (b"\0", b"\xff\xff\xff\xff", whole):
        bulk.counts = Counts()
        refused(bulk, ask(bulk, whole + more, ipc.KIND), 400, "malformed_body", "more after its end")


def test_streams_of_too_much(bulk):
    rows = stream({"imei": pa.array([BLACK] * 1001)}, size=10)
    refused(bulk, ask(bulk, rows, ipc.KIND), 413, "too_many_rows")
    bulk.counts = Counts()
    nulls = bytearray(stream({"imei": pa.nulls(77)}, size=77))
    at = nulls.index(struct.pack("<q", 77))
    nulls[at : at + 8] = struct.pack("<q", 1 << 62)
    refused(bulk, ask(bulk, bytes(nulls), ipc.KIND), 413, "too_many_rows")
    bulk.counts = Counts()
    empty = stream({"imei": pa.array([BLACK])})
    schema = empty[: empty.index(b"\xff\xff\xff\xff", 8)]
    batch = empty[len(schema) : -8]
    many = SimpleNamespace(rows=10_000, bytes=10_000_000)
    bulk.limits = many
    refused(bulk, ask(bulk, schema + batch * 2000, ipc.KIND), 400, "malformed_body", "make larger batches")


def mutated(draw, data):
    """Some bytes of it are others: any, or such as lengths and places that lie are made of."""
    found = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        at, how = draw.randrange(len(found)), draw.random()
        if how < 0.5:
            found[at] = draw.randrange(256)
        elif how < 0.75:
            found[at : at + 4] = draw.choice((0, 1, 2**31 - 1, 2**32 - 1, 2**31, at)).to_bytes(4, "little")
        elif how < 0.95:
            found[at : at + 8] = draw.choice((0, 2**63 - 1, 2**64 - 1, 2**40, at)).to_bytes(8, "little")
        else:
            del found[at : at + draw.randrange(40)]
        found = found or bytearray(1)
    return bytes(found)


@pytest.mark.parametrize("name", STREAMS)
def test_streams_that_lie(name):
    """Refused, or read without a byte from elsewhere: what is read is in the stream."""
    draw = random.Random(name)
    for _ in range(1500):
        body = mutated(draw, STREAMS[name])
        try:
            found = arrow_form.read(body, 100)
        except checks.Refused:
            continue
        value = found.value()
        for text in [value(row) for row in range(len(found.keys))] + (found.imsis or []):
            assert text is None or text in body


@settings(max_examples=200)
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes(body, begins):
    with pytest.raises(checks.Refused):
        arrow_form.read(b"\xff\xff\xff\xff" + body if begins else body, 100)


def head_of(body, kind):
    """Where the metadata of the first message of a kind begins, and its header."""
    at = 0
    while True:
        size = struct.unpack_from("<I", body, at + 4)[0]
        message = ipc._Table.root(bytes(body[at + 8 : at + 8 + size]))
        if message.number(1, "<B") == kind:
            return at + 8, message.expected(2, "a header")
        at += 8 + size + message.number(3, "<q")


@pytest.mark.parametrize(
    "columns",
    [
        {"imei": pa.array(ROWS)},
        {"imei": pa.array(ROWS, pa.large_string())},
        {"imei": pa.array(ROWS, pa.string_view())},
        {"imei": pa.array(ROWS).dictionary_encode()},
        {"imei": pa.array([], pa.string())},
        {"imei": pa.array([], pa.string()).dictionary_encode()},
    ],
)
def test_buffers_of_any_size(columns):
    """What is behind the last row is not read, and a size that is no multiple is no fault of the server."""
    batch, out = pa.record_batch(columns), io.BytesIO()
    with pa.ipc.new_stream(out, batch.schema) as writer:
        writer.write_batch(batch)
    body = out.getvalue()
    at, batch = head_of(body, 3)
    places = batch.integers(2, 2)
    for number in range(len(places)):
        for more in (-1, 1, 2, 3):
            sizes = bytearray(body)
            place = at + batch._pointed(2) + 4 + 16 * number + 8
            struct.pack_into("<q", sizes, place, max(int(places[number, 1]) + more, 0))
            try:
                found = arrow_form.read(bytes(sizes), 100)
            except checks.Refused:
                continue
            assert len(found.keys) == len(columns["imei"])


def peak(call):
    """The most memory that a refusal takes, in bytes."""
    tracemalloc.start()
    try:
        with pytest.raises(checks.Refused):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_no_memory_is_taken_for_a_dictionary_that_is_not_there():
    """Its rows are not those of the request, and no limit of rows holds for them."""
    body = bytearray(STREAMS["dictionaries"])
    at, header = head_of(body, 2)
    batch = header.expected(1, "a batch")
    for place in (batch._place(0), batch._pointed(1) + 4):  # of the batch, and of its column
        struct.pack_into("<q", body, at + place, 300_000_000)
    assert peak(lambda: arrow_form.read(bytes(body), 100)) < 1_000_000


def test_no_memory_is_taken_for_buffers_that_overlap():
    """Each of many may be as long as the message."""
    buffers = [None, pa.py_buffer(bytes(16)), *(pa.py_buffer(bytes(5000)) for _ in range(2000))]
    views = pa.Array.from_buffers(pa.string_view(), 1, buffers)
    body = bytearray(stream({"imei": views}))
    at, batch = head_of(body, 3)
    places = batch.integers(2, 2)
    assert len(places) > 2000
    end = int(places[-1].sum())
    for each in range(2, len(places)):
        struct.pack_into("<qq", body, at + batch._pointed(2) + 4 + 16 * each, 1, end - 1)
    assert peak(lambda: arrow_form.read(bytes(body), 100)) < 4 * len(body)
