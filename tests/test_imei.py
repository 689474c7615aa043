"""Imei: parts, formats both ways, value semantics, and what it refuses."""

import copy
import pickle

import identities
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imeiset.errors import ExtraMissing, ImeiError, ParseStatus
from imeiset.imei import Imei

digits = st.integers(14, 16).flatmap(lambda n: st.text("0123456789", min_size=n, max_size=n))


def status_of(call, *arguments, **options):
    with pytest.raises(ImeiError) as error:
        call(*arguments, **options)
    return error.value.status


def test_parts():
    imei = Imei("49-015420-323751-8")
    assert (imei.tac, imei.snr, imei.check_digit, imei.svn) == ("49015420", "323751", "8", None)
    assert (imei.key, imei.kind, imei.is_valid) == (49015420323751, "imei", True)
    assert (str(imei), format(imei, "-")) == ("490154203237518", "49-015420-323751-8")
    assert (imei.pei, imei.to_tbcd().hex()) == ("imei-490154203237518", "94104502237315f8")
    assert repr(imei) == "Imei('49015420*******')"

    versioned = Imei(b"0101542032375106")
    assert (versioned.tac, versioned.snr, versioned.check_digit, versioned.svn) == (
        "01015420", "323751", None, "06"
    )  # fmt: skip
    assert (versioned.key, versioned.kind, versioned.is_valid) == (1015420323751, "imeisv", False)
    assert (versioned.pei, versioned.to_tbcd().hex()) == ("imeisv-0101542032375106", "1010450223731560")
    assert format(versioned, "-") == "01-015420-323751-06"

    body = Imei("49015420323751")
    assert (body.kind, body.check_digit, body.svn, body.is_valid) == ("body", None, None, False)
    assert (format(body, " "), f"{body:>16}") == ("49 015420 323751", "  49015420323751")
    # The Luhn digit makes a PEI; the standard's 0 and filler make a TBCD.
    assert (body.pei, body.to_tbcd().hex()) == ("imei-490154203237518", "94104502237315f0")


def test_real_signalling():
    """A spare 0 in the 15th place, as traces have it (3GPP TS 22.016): the octets of TS 29.002."""
    imei = Imei.from_tbcd(bytes.fromhex("53 08 19 10 86 35 55 F0"))
    assert str(imei) == "358091016853550"
    assert not imei.is_valid
    assert imei.key == 35809101685355


@given(digits)
def test_forms_come_back(text):
    imei = Imei(text)
    assert str(imei) == text
    assert imei.key == int(text[:14])
    assert imei.tac + imei.snr + (imei.check_digit or "") + (imei.svn or "") == text
    for separator in "- ":
        assert Imei(format(imei, separator)) == imei
    assert Imei(imei) == Imei(text.encode()) == imei
    assert imei.is_valid == (len(text) == 15 and int(text[14]) == oracle.luhn_digit(text[:14]))
    tbcd = imei.to_tbcd()
    assert len(tbcd) == 8
    assert "".join(f"{octet & 15:x}{octet >> 4:x}" for octet in tbcd).rstrip("f") == text + "0" * (
        len(text) == 14
    )
    again, named = Imei.from_tbcd(tbcd), Imei.from_pei(imei.pei)
    assert again.key == named.key == imei.key
    if len(text) > 14:
        assert again == named == imei
    else:
        assert named == Imei.from_key(imei.key)
        assert Imei.from_tbcd(tbcd[:7] + b"\xff") == imei


@given(st.integers(0, 10**14 - 1))
def test_from_key(key):
    imei = Imei.from_key(key)
    assert imei.key == key
    assert imei.is_valid
    assert str(imei) == f"{key:014d}{oracle.luhn_digit(f'{key:014d}')}"


def test_from_key_refuses():
    assert status_of(Imei.from_key, 490154203237518) == ParseStatus.FIFTEEN_DIGITS
    assert status_of(Imei.from_key, -1) == ParseStatus.NEGATIVE
    assert status_of(Imei.from_key, 10**15) == ParseStatus.OUT_OF_RANGE
    for value in ("49015420323751", 1.0, True, [1]):
        assert status_of(Imei.from_key, value) == ParseStatus.WRONG_TYPE


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", ParseStatus.EMPTY),
        ("4901542032375", ParseStatus.TOO_SHORT),
        ("49015420323751812", ParseStatus.TOO_LONG),
        ("49015420323751\u0668", ParseStatus.NOT_ASCII),
        ("+490154203237518", ParseStatus.SIGN),
        ("- 490154203237518", ParseStatus.SIGN),
        ("49- 0154203237518", ParseStatus.SEPARATOR),
        (" ", ParseStatus.EMPTY),
        (490154203237518, ParseStatus.WRONG_TYPE),
        (49015420323751, ParseStatus.WRONG_TYPE),
        (None, ParseStatus.WRONG_TYPE),
        (bytearray(b"490154203237518"), ParseStatus.WRONG_TYPE),
    ],
)
def test_refuses(text, status):
    assert status_of(Imei, text) == status


def test_check_digit_policy():
    right, spare, wrong = "490154203237518", "490154203237510", "490154203237511"
    for text in (right, spare, wrong):
        assert str(Imei(text)) == str(Imei(text, check_digit="ignore")) == text
    assert Imei(spare, check_digit="spare").check_digit == "0"
    assert status_of(Imei, wrong, check_digit="spare") == ParseStatus.CHECK_DIGIT
    assert status_of(Imei, wrong, check_digit="require") == ParseStatus.CHECK_DIGIT
    assert status_of(Imei, spare, check_digit="require") == ParseStatus.CHECK_DIGIT_SPARE
    assert status_of(Imei, Imei(wrong), check_digit="require") == ParseStatus.CHECK_DIGIT
    assert str(Imei(right, check_digit="require")) == right
    for text in (right[:14], right[:14] + "06", f"imeisv-{right}1", f"{right[:14]}FF", f"{right[:14]}/06"):
        assert Imei(text, check_digit="spare").key == 49015420323751  # no check digit that could be wrong
        assert status_of(Imei, text, check_digit="require") == ParseStatus.NO_CHECK_DIGIT
        assert status_of(Imei, Imei(text), check_digit="require") == ParseStatus.NO_CHECK_DIGIT
    with pytest.raises(ValueError, match="check_digit: expected"):
        Imei(right, check_digit="strict")


@pytest.mark.parametrize("text", identities.FORMS)
def test_every_form_is_the_same_phone(text):
    digits = identities.FORMS[text]
    for value in (text, text.encode(), f"\v {text}\r\n"):
        assert str(Imei(value)) == digits
        assert Imei(value) == Imei(digits)


@pytest.mark.parametrize("text", identities.NEAR)
def test_what_nearly_has_a_form(text):
    assert status_of(Imei, text) == oracle.read(text)[2]


def test_a_pei_in_capitals_and_groups():
    for pei in ("IMEI-490154203237518", "imei-49-015420-323751-8", " imei-490154203237518\n"):
        assert Imei.from_pei(pei) == Imei("490154203237518")
    assert Imei.from_pei("IMEISV-4901542032375106") == Imei("4901542032375106")


@pytest.mark.parametrize(
    "pei",
    [
        "490154203237518",
        "490154203237518F",
        "urn:gsma:imei:49015420-323751-8",
        "imei490154203237518",
        "mac-00-00-5E-00-53-00",
        "",
        "imei-",
        "imei-49015420323751",
        "imei-4901542032375181",
        "imeisv-490154203237518",
        "imeisv-49015420323751811",
        "imei-490154203237518F",
        "imei-490154203237518/06",
        "imei-49015420323751\uff18",
    ],
)
def test_pei_refuses(pei):
    assert status_of(Imei.from_pei, pei) == ParseStatus.PREFIX
    with pytest.raises(ImeiError, match=r"expected imei- and 15 digits, .*, got '"):
        Imei.from_pei(pei)


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        ("", ParseStatus.TOO_SHORT),
        ("94104502237315", ParseStatus.TOO_SHORT),
        ("94104502237315f8ff", ParseStatus.TOO_LONG),
        ("94104502237315" + "8f", ParseStatus.FILLER),  # the filler before the digit
        ("f4104502237315f8", ParseStatus.FILLER),
        ("941045022373f5ff", ParseStatus.TOO_SHORT),  # 13 digits
        ("94104502a37315f8", ParseStatus.NOT_DIGIT),
        ("9410450223731ef8", ParseStatus.NOT_DIGIT),
        ("ff" * 8, ParseStatus.EMPTY),
    ],
)
def test_tbcd_refuses(octets, status):
    assert status_of(Imei.from_tbcd, bytes.fromhex(octets)) == status


@given(st.binary(max_size=10))
def test_any_octets(octets):
    try:
        imei = Imei.from_tbcd(octets)
    except ImeiError:
        return
    assert imei.to_tbcd() == (octets if imei.kind != "body" else octets[:7] + b"\xf0")


def test_buffers_are_octets():
    octets = bytes.fromhex("94104502237315f8")
    assert Imei.from_tbcd(bytearray(octets)) == Imei.from_tbcd(memoryview(octets)) == Imei("490154203237518")
    for other in (8, octets.hex()):  # as bytes, 8 would be eight zeros
        with pytest.raises(TypeError, match="bytes-like"):
            Imei.from_tbcd(other)


def test_a_key_is_no_text_and_a_text_no_key():
    with pytest.raises(ImeiError, match="from_key takes a key, got '49015420"):
        Imei(49015420323751)
    with pytest.raises(ImeiError, match="expected an integer key or an Imei, got '49015420"):
        Imei.from_key("49015420323751")


def test_value_semantics():
    imei = Imei("490154203237518")
    assert imei == Imei("49 015420 323751 8")
    assert hash(imei) == hash(Imei(imei))
    # The same handset, but not the same text.
    for other in ("49015420323751", "4901542032375101", "490154203237510"):
        assert imei != Imei(other)
        assert imei.key == Imei(other).key
    assert imei != "490154203237518"
    assert len({imei, Imei(imei), Imei("49015420323751")}) == 2
    assert copy.copy(imei) == copy.deepcopy(imei) == pickle.loads(pickle.dumps(imei)) == imei


def test_is_immutable():
    imei = Imei("490154203237518")
    for name in ("key", "_digits", "tac", "other"):
        with pytest.raises(AttributeError):
            setattr(imei, name, 1)
        with pytest.raises(AttributeError):
            delattr(imei, name)
    imei.__init__()  # a second initialisation changes nothing
    assert str(imei) == "490154203237518"
    assert not hasattr(imei, "__dict__")


def test_errors_survive_pickling():
    with pytest.raises(ImeiError) as error:
        Imei("49015420323751X")
    again = pickle.loads(pickle.dumps(error.value))
    assert (str(again), again.status, again.got) == (
        str(error.value),
        ParseStatus.NOT_DIGIT,
        "49015420*******",
    )
    assert "323751" not in repr(vars(again)) + repr(again.args)
    missing = ExtraMissing("Parquet files need pyarrow", "parquet", "pyarrow")
    again = pickle.loads(pickle.dumps(missing))
    assert (str(again), again.extra) == (str(missing), "parquet")
