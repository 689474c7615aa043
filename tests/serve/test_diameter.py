"""The codec: what it writes it reads, and nothing that it reads makes it fail."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset.serve.diameter import messages as diameter
from imeiset.serve.diameter.messages import (
    HEADER,
    LONGEST,
    MORE,
    Avp,
    Header,
    avp,
    group,
    length_of,
    name_of,
    read_avps,
)

from . import messages

codes = st.integers(0, 2**32 - 1)
bytes_ = st.binary(max_size=40)


@st.composite
def avps(draw):
    vendor = draw(st.one_of(st.none(), codes))
    flags = draw(st.integers(0, 127)) | (0 if vendor is None else diameter.VENDOR)
    return Avp(name_of(draw(codes), vendor or 0), flags, draw(bytes_))


@given(
    st.builds(Header, *[st.integers(0, 255), st.integers(0, 2**24 - 1), codes, codes, codes]),
    st.lists(avps()),
)
def test_what_is_written_is_read(header, given_avps):
    message = header.write(*(one.write() for one in given_avps))
    assert length_of(message) == len(message)
    assert Header.read(message) == header
    assert read_avps(message, HEADER) == (given_avps, None)


@given(avps())
def test_an_avp_is_that_of_a_slow_twin(one):
    vendor = one.name >> 32
    flags = one.flags
    assert one.write() == messages.avp(one.name & 0xFFFFFFFF, one.data, vendor=vendor, flags=flags)


def test_shapes_of_data():
    assert avp(268, 2001) == bytes.fromhex("0000010c4000000c000007d1")
    assert avp(263, "é") == bytes.fromhex("000001074000000ac3a90000")
    assert avp(name_of(1445, 10415), 1) == bytes.fromhex("000005a5c0000010000028af00000001")
    assert avp(269, b"x", mandatory=False)[4] == 0
    assert group(279, [avp(1, b"")]) == bytes.fromhex("00000117400000100000000140000008")
    assert Avp(268, 0x40, bytes.fromhex("000007d1")).number() == 2001
    assert Avp(268, 0x40, b"\x07\xd1").number() is None


def test_an_answer_copies_the_identifiers():
    header = Header(0xD0, 324, 16777252, 0xDEADBEEF, 0xCAFEBABE)  # P and T
    answer = Header.read(header.answer(avp(268, 2001)))
    assert answer == Header(diameter.PROXIABLE, 324, 16777252, 0xDEADBEEF, 0xCAFEBABE)
    assert Header.read(header.answer(error=True)).flags == diameter.PROXIABLE | diameter.ERROR
    assert Header.read(header._replace(flags=0x80).answer()).flags == 0


@pytest.mark.parametrize(
    ("received", "length"),
    [
        (b"", MORE),
        (b"\x01", MORE),
        (b"\x01\x00\x00", MORE),
        (b"\x01\x00\x00\x14", 20),
        (b"\x01\x00\x00\x14rest", 20),
        (b"\x02", 0),
        (b"\x00\x00\x00\x14", 0),
        (b"\x01\x00\x00\x10", 0),  # shorter than a header
        (b"\x01\x00\x00\x00", 0),
        (b"\x01\x00\x00\x15", 0),  # not a multiple of 4
        (b"\x01" + LONGEST.to_bytes(3), LONGEST),
        (b"\x01" + (LONGEST + 4).to_bytes(3), 0),
        (b"\x01\xff\xff\xfc", 0),
        (b"GET / HTTP/1.1\r\n", 0),
        (b"\x16\x03\x01\x02\x00", 0),  # TLS
    ],
)
def test_the_length_of_a_message(received, length):
    assert length_of(received) == length
    assert length_of(b"...." + received, 4) == length


@pytest.mark.parametrize(
    ("data", "broken"),
    [
        ("00000107", Avp(263, 0, b"")),  # no whole head
        ("0000010740000007", Avp(263, 0x40, b"")),  # shorter than its head
        ("0000010740000000", Avp(263, 0x40, b"")),
        ("000001074000000c", Avp(263, 0x40, b"")),  # longer than what holds it
        ("0000010740ffffff", Avp(263, 0x40, b"")),
        ("0000057ac0000008", Avp(1402, 0xC0, b"")),  # no room for the vendor
        ("0000057ac000000c", Avp(1402, 0xC0, b"")),
        ("0000057ac000000b000028af", Avp(name_of(1402, 10415), 0xC0, b"")),
        ("0000057ac0000010000028af", Avp(name_of(1402, 10415), 0xC0, b"")),
    ],
)
def test_lengths_that_lie(data, broken):
    before = avp(1, "234150999999999")
    found, wrong = read_avps(before + bytes.fromhex(data))
    assert found == [Avp(1, 0x40, b"234150999999999")]
    assert wrong == broken
    again, fault = read_avps(wrong.write())  # as a Failed-AVP has it, it is well formed
    assert (again, fault) == ([wrong], None)


def test_empty_avps_and_the_last_without_its_padding():
    assert read_avps(avp(263, b"") + avp(1, b"")) == ([Avp(263, 0x40, b""), Avp(1, 0x40, b"")], None)
    whole = avp(1, "23415")
    assert read_avps(whole[:-3]) == read_avps(whole)
    assert read_avps(b"") == ([], None)


def test_nesting_costs_nothing():
    nested = b""
    for _ in range(1000):
        nested = group(284, [nested])
    [one], wrong = read_avps(nested)
    assert wrong is None
    assert len(one.data) == 999 * 8


@settings(max_examples=500)
@given(st.binary(max_size=200))
def test_any_bytes_are_read(data):
    length_of(data)
    found, wrong = read_avps(data)
    written = b"".join(one.write() for one in found)
    assert len(written) <= len(data) + 3
    if wrong is None:
        assert read_avps(written) == (found, None)


@settings(max_examples=300)
@given(st.lists(avps(), min_size=1), st.data())
def test_bytes_of_a_message_that_were_changed(given_avps, data):
    body = bytearray(b"".join(one.write() for one in given_avps))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    found, wrong = read_avps(bytes(body))
    assert all(one.data in bytes(body) for one in found)
    if wrong is not None:
        assert wrong.data == b""
