"""Every exception: made of one text, pickled, copied, with its parents; and what messages hide."""

import copy
import errno
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imeiset import EquipmentStatus, ImeiSet, Register, Store, errors, load
from imeiset.errors import (
    ImeiError,
    ImsiError,
    ParseStatus,
    StoreDamaged,
    mask_imsi,
    mask_text,
    mask_url,
    printable,
)

IMEI, IMSI = "490154203237518", "234150999999999"
# What each kind is in the standard library, beside an Exception.
PARENTS = {
    "ExtraMissing": ModuleNotFoundError,
    "ImeiError": ValueError,
    "ImsiError": ValueError,
    "SnapshotMissing": FileNotFoundError,
    "FeedMissing": FileNotFoundError,
    "FeedColumn": LookupError,
    "StoreMissing": FileNotFoundError,
    "StoreExists": FileExistsError,
    "StoreLocked": BlockingIOError,
    "ServeConfigError": ValueError,
    "TrustMissing": FileNotFoundError,
    "TrustUnreachable": OSError,
}


def kinds(base=errors.ImeisetError):
    """The base and all that is derived from it."""
    return [base, *(kind for child in base.__subclasses__() for kind in kinds(child))]


KINDS = sorted(set(kinds()), key=lambda kind: kind.__name__)


def made(kind):
    """One of this kind, with all its attributes."""
    if kind is errors.ExtraMissing:
        return kind("Parquet files need pyarrow", "parquet", "pyarrow")
    if kind is ImeiError:
        return kind(ParseStatus.NOT_DIGIT, "49015420323751x", position=7)
    if kind is ImsiError:
        return kind(value=IMSI + "x", position=7)
    if kind is errors.ServeConfigError:
        return kind("eir.toml", "a whole number", "'2'", key="http.workers")
    if issubclass(kind, errors.TrustError):
        return kind("list.csv", "rows", "none")
    if issubclass(kind, errors._FileError):
        return kind("list.csv", "rows", "none", line=3)
    return kind("a message")


def seen(error):
    names = (
        "path",
        "line",
        "expected",
        "got",
        "status",
        "position",
        "extra",
        "name",
        "errno",
        "filename",
        "key",
    )
    return [type(error), str(error), error.args, *(getattr(error, name, None) for name in names)]


@pytest.mark.parametrize("kind", KINDS)
def test_of_one_text(kind):
    text = "row 3 is wrong"
    for error in (kind(text), kind(str(made(kind)))):
        for again in (error, pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
            assert (type(again), seen(again)) == (kind, seen(error))
    assert (str(kind("row 3 is wrong")), kind("row 3 is wrong").args) == (
        "row 3 is wrong",
        ("row 3 is wrong",),
    )
    assert str(kind(str(made(kind)))) == str(made(kind))
    with pytest.raises(kind, match=text):
        raise kind(text)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_pickles(kind):
    error = made(kind)
    error.add_note("as told")
    ways = [copy.copy, copy.deepcopy]
    ways += [lambda one, number=number: pickle.loads(pickle.dumps(one, number)) for number in range(6)]
    for way in ways:
        again = way(error)
        assert seen(again) == seen(error)
        assert again.__notes__ == ["as told"]


@pytest.mark.parametrize("kind", KINDS)
def test_parents(kind):
    error = made(kind)
    assert isinstance(error, PARENTS.get(kind.__name__, Exception))
    if isinstance(error, OSError):
        assert error.filename == "list.csv"
        assert errno.errorcode[error.errno] in ("ENOENT", "EEXIST", "EAGAIN", "EIO")
        assert kind("a message").filename is None
    assert set(PARENTS) <= {kind.__name__ for kind in KINDS}


def test_missing_things_are_no_files(tmp_path):
    for call in (ImeiSet.open, load, Store.open):
        with pytest.raises(FileNotFoundError) as caught:
            call(tmp_path / "x")
        assert caught.value.filename == str(tmp_path / "x")
    with pytest.raises(FileNotFoundError, match="a regular file, got a directory"):
        ImeiSet.open(tmp_path)


def test_imsis_show_the_network():
    assert mask_imsi(IMSI) == mask_imsi(IMSI.encode()) == "23415**********" == ImsiError(value=IMSI).got
    assert (mask_imsi("234"), mask_imsi(None), mask_imsi(12)) == ("234", "None", "<int>")


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (None, "None"),
        (1.5, "<float>: read"),
        (True, "<bool>"),
        ([], "<list>"),
        ("None", "'None'"),
        ("", "''"),
        (b"", "''"),
        (-1, "-0000000******"),
        (10**40, "an integer of"),
    ],
)
def test_what_is_no_text_is_not_in_quotes(value, got):
    with pytest.raises(ImeiError, match=f", got {re.escape(got)}"):
        ImeiSet([value])
    with pytest.raises(ImsiError, match=r", got (None|<\w+>|'.*')$"):
        raise ImsiError(value=value)


def test_of_tacs_and_dates_neither():
    for value, got in ((None, "None"), (1.5, "<float>"), ("3569380", "'3569380'")):
        with pytest.raises(ValueError, match=f", got {got}$"):
            Register().add_tacs("tacs", [value], status=EquipmentStatus.GREYLISTED)
    for value, got in (({"the day": 20240229}, "<dict>"), ("on the 29th of February", "'on the 2")):
        with pytest.raises(ValueError, match=f", got {got}"):
            Register().add("list", [IMEI], status=EquipmentStatus.GREYLISTED, dates=[value])


def test_free_texts():
    assert mask_text(IMEI) == mask_text(IMEI.encode()) == "49015420*******"
    assert mask_text("49-015420-323751-8;2") == "49-015420-******-*;*"
    assert mask_text(f"seen {IMEI}, {IMEI}") == "seen 49015420*******, 49015420*******"
    assert mask_text("Gerät, 2024-02-29") == "Gerät, 2024-02-29"
    assert mask_text({"base": 490154203237518}) == "{'base': 49015420*******}"
    assert mask_text(IMEI.encode("utf-16-le")).count("*") == 7
    assert mask_text("a\x1b[31m\n") == "a\\x1b[31m\\n"
    assert len(mask_text("x" * 1000)) == 100


@given(st.text(), st.sampled_from([*"-. \t\0\n"]) | st.just(""), st.text(), st.binary())
def test_no_imei_is_left_whole(before, between, after, junk):
    for text in (before + between.join(IMEI) + after, junk + between.join(IMEI).encode() + junk):
        shown = mask_text(text)
        assert shown.isprintable()
        assert "323751" not in re.sub("[^0-9]", "", shown)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://lists.example/eir", "https://lists.example/eir"),
        ("https://a:b@lists.example/eir", "https://***@lists.example/eir"),
        ("sftp://a:b@c@lists.example:22/eir", "sftp://***@lists.example:22/eir"),
        ("s3://lists/eir?token=5&x=@y", "s3://lists/eir?***"),
        (
            "s3://a@lists?x, then ftp://b:c@d/e?f=1 failed",
            "s3://***@lists?***, then ftp://***@d/e?*** failed",
        ),
        ("simplecache::https://a:b@c/d", "simplecache::https://***@c/d"),
        ("/mnt/stick/a@b?c", "/mnt/stick/a@b?c"),
    ],
)
def test_urls_show_no_credentials(url, shown):
    assert mask_url(url) == shown
    assert errors.TrustError(url, "one", "another").place == mask_url(url)


@given(st.text())
def test_printable(text):
    assert printable(text).isprintable()


def test_a_damaged_manifest_is_quoted_without_its_imeis(tmp_path):
    Store.create(tmp_path / "eir", Register()).close()
    (tmp_path / "eir" / "current").write_text(f"imei\n{IMEI}\n35-693803-564380-9\n")
    with pytest.raises(StoreDamaged) as caught:
        Store.open(tmp_path / "eir")
    assert "got 'imei\\n49015420*******\\n**-******-" in str(caught.value)


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_of_digits_two_in_a_byte_the_tac_is_shown(kind):
    """An IMEI as it is on the wire (3GPP TS 29.272) has 8 bytes: 8 characters of it are all."""
    packed = bytes.fromhex("94104502237315f8")
    assert errors.mask(kind(packed)) == r"\x94\x10E\x02****"
    assert errors.mask(kind(packed[:7] + b"8")) == r"\x94\x10E\x02****"
    assert errors.mask(kind(b"49015420323")) == "49015420***"
    assert errors.mask(kind(b"490154203237518\n")) == "49015420********"
    with pytest.raises(errors.ImeiError) as error:
        ImeiSet([packed])
    assert "#s" not in str(error.value)
