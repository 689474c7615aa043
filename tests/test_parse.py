"""Every kernel, at every SIMD level, against the oracle: contents, lengths, alignments, page ends."""

import ctypes
import mmap
import os
import random
import re
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import identities
import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import imei as stdnum_imei
from stdnum import luhn as stdnum_luhn

import imeiset
from imeiset._native import parse as _parse
from imeiset._native import simd
from imeiset.errors import CHECK_DIGIT_CODES, ImeiError, ParseStatus, mask

GOOD = "490154203237518"
# Every way to be malformed that FIELD lists, and what it must be called.
MALFORMED = {
    "": ParseStatus.EMPTY,
    "4901542032375": ParseStatus.TOO_SHORT,
    "49015420323751812": ParseStatus.TOO_LONG,
    "1" * 10_000: ParseStatus.TOO_LONG,
    "49015420323751A": ParseStatus.NOT_DIGIT,
    "52003020863612#": ParseStatus.NOT_DIGIT,
    "62#222222222222": ParseStatus.NOT_DIGIT,
    "4901_54203237518": ParseStatus.NOT_DIGIT,
    "4.90154203237e14": ParseStatus.NOT_DIGIT,
    "490154203237518\t0": ParseStatus.NOT_DIGIT,
    "490154203237518\x1f": ParseStatus.NOT_DIGIT,
    "imei-49015420323751": ParseStatus.PREFIX,
    "49015420323751F": ParseStatus.FILLER,
    "0x490154203237": ParseStatus.NOT_DIGIT,
    '"490154203237518"': ParseStatus.NOT_DIGIT,
    "٤٩٠١٥٤٢٠٣٢٣٧٥١٨": ParseStatus.NOT_ASCII,  # Arabic-Indic: str.isdigit() and int() accept it
    "49015420323751\uff18": ParseStatus.NOT_ASCII,  # full width
    "49015420323751\xb2": ParseStatus.NOT_ASCII,  # superscript two
    "\ufeff490154203237518": ParseStatus.NOT_ASCII,
    "490154203237518\U0001f4f1": ParseStatus.NOT_ASCII,
    "49015420323751\ud800": ParseStatus.NOT_ASCII,
    "49-015420\u2013323751-8": ParseStatus.NOT_ASCII,  # en dash
    "4901542\x003237518": ParseStatus.NUL,
    "+49015420323751": ParseStatus.SIGN,
    "-49015420323751": ParseStatus.SIGN,
    "490154203237518  0": ParseStatus.SEPARATOR,
    "490154203237518-": ParseStatus.SEPARATOR,
    "490154203237518- ": ParseStatus.SEPARATOR,
    "49--0154203237518": ParseStatus.SEPARATOR,
    "49- 0154203237518": ParseStatus.SEPARATOR,
    " ": ParseStatus.EMPTY,
    "\t\n\v\f\r ": ParseStatus.EMPTY,
    "1-" * 16: ParseStatus.SEPARATOR,
    "1-" * 17: ParseStatus.TOO_LONG,
}
# What may stand where a digit should: the neighbours of the digits, and bytes that vector compares get
# wrong when signed and unsigned are confused.
ODD = b"/:;+- \0\t\n\r,\x7f\x80\xb0\xb9\xff#*Aa_.e"


@pytest.fixture(params=simd.simd_levels())
def level(request):
    before = simd.simd_level()
    simd.use_simd(request.param)
    yield request.param
    simd.use_simd(before)


# ---- the four kernels as functions from texts to rows ----


def buffers(n):
    return np.full(n, 7, np.uint64), np.full(n, 99, np.uint8)


def rows_of(keys, status, n=None):
    return list(zip(keys[:n].tolist(), status[:n].tolist(), strict=True))


def by_lines(text, **options):
    keys, status = buffers(bytes(text).count(b"\n") + 2)
    n, end = _parse.lines(text, 0, keys, status, **options)
    assert end == len(text)
    return rows_of(keys, status, n)


def by_fixed(array, **options):
    keys, status = buffers(len(array))
    assert _parse.fixed(array, 0, keys, status, **options) == len(array)
    return rows_of(keys, status)


def by_spans(data, starts, ends, dtype=np.int64, **options):
    keys, status = buffers(len(starts))
    _parse.spans(data, np.array(starts, dtype), np.array(ends, dtype), keys, status, **options)
    return rows_of(keys, status)


def by_views(data, starts, ends, **options):
    """The same texts as Arrow views: short ones inline, the others in the second of two buffers."""
    views = b""
    for start, end in zip(starts, ends, strict=True):
        text = bytes(data[start:end])
        short = struct.pack("<i12s", len(text), text)
        views += short if len(text) <= 12 else struct.pack("<i4sii", len(text), text[:4], 1, start)
    keys, status = buffers(len(starts))
    _parse.views(views, _parse.Buffers([b"", data]), keys, status, **options)
    return rows_of(keys, status)


def by_objects(values, digits=14, **options):
    keys, status = buffers(len(values))
    assert _parse.objects(values, digits, 0, keys, status, **options) == len(values)
    return rows_of(keys, status)


def expected(values):
    return [oracle.lax(oracle.parse_value(value)) for value in values]


# ---- memory whose neighbours cannot be read ----


class Fenced:
    """A buffer between two pages that kill the process when touched."""

    def __init__(self, pages=4):
        page = mmap.PAGESIZE
        self._map = mmap.mmap(-1, (pages + 2) * page)
        self._whole = np.frombuffer(self._map, np.uint8)
        libc = ctypes.CDLL(None, use_errno=True)
        for start in (self._whole.ctypes.data, self._whole.ctypes.data + (pages + 1) * page):
            assert libc.mprotect(ctypes.c_void_p(start), page, 0) == 0, os.strerror(ctypes.get_errno())
        self.bytes = self._whole[page : (pages + 1) * page]

    def at_end(self, data):
        """A view of the data that ends where the readable memory ends."""
        view = self.bytes[len(self.bytes) - len(data) :]
        view[:] = np.frombuffer(data, np.uint8)
        return view

    def at_start(self, data):
        view = self.bytes[: len(data)]
        view[:] = np.frombuffer(data, np.uint8)
        return view


@pytest.fixture(scope="module")
def fenced():
    return Fenced()


# ---- texts ----


def some_text(rng):
    """An IMEI, or nearly."""
    shape = rng.random()
    if rng.random() < 0.3:
        return identities.some_text(rng)
    text = bytes(rng.choices(b"0123456789", k=rng.choice([14, 15, 15, 15, 16])))
    if shape < 0.5:
        if rng.random() < 0.5:
            text = text[:14] + b"%d" % oracle.luhn_digit(text[:14].decode())
        return text
    if shape < 0.6:
        return bytes(rng.choices(b"0123456789", k=rng.randrange(40)))
    if shape < 0.7:
        for _ in range(rng.randrange(1, 5)):
            at = rng.randrange(len(text) + 1)
            text = text[:at] + bytes([rng.choice(b"- ")]) + text[at:]
        return text
    at = rng.randrange(len(text))
    return text[:at] + bytes([rng.choice(ODD)]) + text[at + rng.randrange(2) :]


@st.composite
def columns(draw):
    """Rows as lists have them: long stretches of one shape, with others strewn in."""
    rng = random.Random(draw(st.integers(0, 2**32)))  # Hypothesis's own would be ten times slower
    clean = draw(st.sampled_from([0.0, 0.5, 0.9, 0.99]))
    width = draw(st.sampled_from([14, 15, 16]))
    form = draw(
        st.sampled_from(["%s", "%s", "%s", "imei-%s", "%sF", '="%s"', "%s/06", " %s", "%s "])
    ).encode()
    count = draw(st.one_of(st.integers(0, 12), st.integers(12, 70)))
    return [
        form % bytes(rng.choices(b"0123456789", k=width)) if rng.random() < clean else some_text(rng)
        for _ in range(count)
    ]


@given(texts=columns(), crlf=st.booleans(), last=st.booleans())
def test_all_kernels_equal_the_oracle(texts, crlf, last):
    for level in simd.simd_levels():
        simd.use_simd(level)
        want = expected(texts)
        assert by_objects(texts) == want
        assert by_objects(tuple(text.decode("latin-1") for text in texts)) == want
        joined = b"".join(texts)
        ends = np.cumsum([0, *map(len, texts)])
        for dtype in (np.int32, np.int64):
            assert by_spans(joined, ends[:-1], ends[1:], dtype) == want
        assert by_views(joined, ends[:-1], ends[1:]) == want
        padded = [text.rstrip(b"\0") for text in texts]
        assert by_fixed(np.array(padded, "S")) == expected(padded)
        assert by_fixed(np.array([text.decode("latin-1") for text in padded], "U")) == expected(padded)
        text = (b"\r\n" if crlf else b"\n").join(texts) + b"\n" * last
        assert by_lines(text) == expected(oracle.split_lines(text))


@given(texts=columns(), crlf=st.booleans())
def test_exact_kernels_want_a_check_digit(texts, crlf):
    def sound(rows):
        return [status == 0 for _, status in rows]

    for level in simd.simd_levels():
        simd.use_simd(level)
        want = [oracle.is_valid(text) for text in texts]
        ends = np.cumsum([0, *map(len, texts)])
        spans = b"".join(texts), ends[:-1], ends[1:]
        assert sound(by_objects(texts, exact=True)) == want
        assert sound(by_objects([text.decode("latin-1") for text in texts], exact=True)) == want
        for dtype in (np.int32, np.int64):
            assert sound(by_spans(*spans, dtype, exact=True)) == want
        assert sound(by_views(*spans, exact=True)) == want
        padded = [text.rstrip(b"\0") for text in texts]
        for array in (np.array(padded, "S"), np.array([text.decode("latin-1") for text in padded], "U")):
            assert sound(by_fixed(array, exact=True)) == list(map(oracle.is_valid, padded))
        text = (b"\r\n" if crlf else b"\n").join(texts)
        assert sound(by_lines(text, exact=True)) == list(map(oracle.is_valid, oracle.split_lines(text)))


@given(st.lists(st.integers(0, 10**14 - 1), max_size=20))
def test_tacs_of_keys(keys):
    given = np.array([*keys, 0, 10**14 - 1, 10**14, oracle.NO_KEY], np.uint64)
    texts = np.full((len(given), 8), 7, np.uint8)
    _parse.tacs(given, texts)
    assert texts.reshape(-1).view("S8").tolist() == [*map(oracle.tac, given[:-2].tolist()), b"", b""]
    for wrong in (texts[1:], np.zeros((len(given), 9), np.uint8)):
        with pytest.raises(ValueError, match=f"texts: expected {len(given)} rows of 8 bytes"):
            _parse.tacs(given, wrong)


@given(st.one_of(st.text(), st.binary(), st.from_regex(r"\A[0-9 -]{12,34}\Z", fullmatch=True)))
def test_scalars_equal_the_oracle(text):
    key, status = oracle.parse_text(text)
    soft = status in CHECK_DIGIT_CODES
    if status and not soft:
        with pytest.raises(ImeiError) as error:
            _parse.key_of(text)
        assert error.value.status == status
        assert error.value.got == mask(text)
        with pytest.raises(ImeiError) as error:
            _parse.written(text)
        assert error.value.status == status
        assert not _parse.is_valid(text)
    else:
        digits, form, _ = oracle.read(text)
        assert _parse.key_of(text) == key
        assert _parse.written(text) == (digits, form)
        assert _parse.is_valid(text) == (status == 0 and len(digits) == 15)


@given(st.lists(st.one_of(st.text(max_size=40), st.text("0123456789", max_size=18)), max_size=70))
def test_wide_texts_equal_the_oracle(texts):
    padded = [text.rstrip("\0") for text in texts]
    for level in simd.simd_levels():
        simd.use_simd(level)
        assert by_objects(texts) == expected(texts)
        assert by_fixed(np.array(padded, "U")) == expected(padded)


@pytest.mark.parametrize("text", MALFORMED, ids=ascii)
def test_malformed(text, level):
    status = MALFORMED[text]
    assert oracle.parse_text(text) == (oracle.NO_KEY, status)
    with pytest.raises(ImeiError) as error:
        _parse.key_of(text)
    assert error.value.status == status
    assert status.text in str(error.value)
    assert GOOD not in str(error.value)
    crowd = [GOOD] * 11
    assert by_objects([*crowd, text, *crowd])[11] == (oracle.NO_KEY, status)
    assert by_fixed(np.array([*crowd, text, *crowd], "U"))[11] == (oracle.NO_KEY, status)
    raw = text.encode("utf-8", "surrogatepass")
    for column in ([text], [raw]):
        assert by_objects(column) == [(oracle.NO_KEY, status)]
    if not {"\n", "\r"} & set(text):
        assert by_lines(b"\n".join([*[GOOD.encode()] * 11, raw, GOOD.encode()]))[11] == (
            oracle.NO_KEY,
            status,
        )


def test_every_status_has_words():
    assert len({status.text for status in ParseStatus}) == len(ParseStatus)
    assert all(status.expected for status in ParseStatus)


def test_statuses_are_stored_numbers():
    """Reports keep them: a change here is a change of format."""
    names = """OK EMPTY TOO_SHORT TOO_LONG NOT_DIGIT NOT_ASCII NUL SIGN SEPARATOR MISSING NEGATIVE
    OUT_OF_RANGE FIFTEEN_DIGITS WRONG_TYPE CHECK_DIGIT CHECK_DIGIT_SPARE FILLER PREFIX
    NO_CHECK_DIGIT"""
    assert [status.name for status in ParseStatus] == names.split()
    assert [status.value for status in ParseStatus] == list(range(len(ParseStatus)))
    header = Path(__file__).parents[1].joinpath("imeiset/_native/c/digits.h").read_text()
    native = dict(re.findall(r"^ +IMEI_([A-Z_]+) = (\d+),?$", header, re.M))
    assert len(native) == len(ParseStatus)
    assert all(ParseStatus[name] == int(value) for name, value in native.items())


def test_forms_are_counted_by_number():
    header = Path(__file__).parents[1].joinpath("imeiset/_native/c/forms.h").read_text()
    native = re.findall(r"^ +WRITTEN_([A-Z]+),$", header, re.M)
    assert tuple(name.lower() for name in native) == _parse.WRITTEN
    assert {oracle.read(text)[1] for text in identities.FORMS} == set(_parse.WRITTEN)


@pytest.mark.parametrize("text", [*identities.FORMS, *identities.NEAR], ids=ascii)
def test_forms_at_the_page_end(text, level, fenced):
    """Nothing is read beyond a text, wherever it lies, and its neighbours do not change what it is."""
    raw = text.encode()
    want = [oracle.lax(oracle.parse_text(raw))]
    for padded in (raw, b"\t" + raw, raw + b" ", b" " * 16 + raw + b" " * 17):
        for view in (fenced.at_end(padded), fenced.at_start(padded)):
            assert by_spans(view, [0], [len(padded)]) == want
            if b"\0" not in raw:
                assert by_fixed(view.view(f"S{len(padded)}")) == want
        assert by_views(fenced.at_end(b"x" * 13 + padded), [13], [13 + len(padded)]) == want
        if not {10} & {*padded}:
            assert by_lines(fenced.at_end(padded)) == want
    wide = np.array([text, text + " " * 40, " " * 40 + text]).view(np.uint8)
    if "\0" not in text:
        width = len(wide) // 12
        assert by_fixed(fenced.at_end(wide.tobytes()).view(f"U{width}")) == 3 * [
            oracle.lax(oracle.parse_text(text))
        ]


@given(data=st.data())
def test_any_text_of_a_form_and_nearly(data):
    """Texts made of the pieces of the forms: what is an IMEI, and of which digits, is the oracle's to say."""
    number = st.integers(12, 17).flatmap(lambda n: st.text("0123456789", min_size=n, max_size=n))
    piece = st.one_of(
        st.sampled_from(
            ["imei-", "IMEISV-", "urn:gsma:imei:", '="', '"', "'", "/", " / ", "F", "ff", ";svn=06"]
        ),
        st.sampled_from(
            [";vers=0", "-", " ", "\t", "\r\n", "06", "49015420-323751-8", "\0", "\u0130", "\xa0"]
        ),
        number,
        number,
    )
    text = "".join(data.draw(st.lists(piece, min_size=1, max_size=5)))
    test_scalars_equal_the_oracle.hypothesis.inner_test(text)
    for level in simd.simd_levels():
        simd.use_simd(level)
        rows = [GOOD] * 9 + [text] + [GOOD] * 9
        assert by_objects(rows) == expected(rows)
        if not text.endswith("\0"):
            assert by_fixed(np.array(rows)) == expected(rows)


# ---- SIMD levels ----


def test_levels(level):
    assert simd.simd_level() == level
    with pytest.raises(ValueError, match="expected one of portable"):
        simd.use_simd("mmx")
    with pytest.raises(ValueError, match="expected one of portable"):
        simd.use_simd("portable\0")
    assert simd.simd_level() == level


def test_environment_chooses_the_level():
    code = "from imeiset._native import simd; print(simd.simd_level())"
    run = {"capture_output": True, "text": True, "check": False}
    environment = {**os.environ, "IMEISET_SIMD": "portable"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, **run)
    assert done.stdout == "portable\n", done.stderr
    done = subprocess.run([sys.executable, "-c", code], env={**environment, "IMEISET_SIMD": "mmx"}, **run)
    assert done.returncode
    assert "expected one of portable" in done.stderr


# ---- places: every length, alignment and page end ----


def a_text(length):
    return (GOOD * 14)[:length].encode()


def test_every_length_at_the_page_end(level, fenced):
    for length in range(201):
        text = a_text(length)
        want = expected([text])
        for place in (fenced.at_end, fenced.at_start):
            view = place(text)
            assert by_spans(view, [0], [length]) == by_views(view, [0], [length]) == want
            assert by_lines(view) == (want if length else [])
            if length:
                assert by_fixed(view.view(f"S{length}")) == want
            if length % 4 == 0 and length:
                wide = place(np.array([text[: length // 4].decode()], "U").tobytes())
                assert by_fixed(wide.view(f"U{length // 4}")) == expected([text[: length // 4]])


@pytest.mark.parametrize("width", [1, 13, 14, 15, 16, 17, 18, 31, 33, 40])
def test_columns_at_the_page_end(level, fenced, width):
    one = oracle.lax(oracle.parse_text(a_text(width)))
    for count in range(1, 40 if width in (14, 15, 16) else 10):
        texts, want = [a_text(width)] * count, [one] * count
        joined = b"".join(texts)
        wide = np.array([text.decode() for text in texts], "U").tobytes()
        offsets = np.arange(count + 1) * width
        for place in (fenced.at_end, fenced.at_start):
            array = place(joined).view(f"S{width}")
            assert by_fixed(array) == by_fixed(array[::-1]) == want
            assert by_fixed(array[::2]) == want[::2]
            assert by_spans(place(joined), offsets[:-1], offsets[1:]) == want
            assert by_views(place(joined), offsets[:-1], offsets[1:]) == want
            array = place(wide).view(f"U{width}")
            assert by_fixed(array) == by_fixed(array[::-1]) == want
            for end in (b"\n", b"\r\n"):
                assert by_lines(place(end.join(texts))) == by_lines(place(end.join(texts) + end)) == want


def test_every_alignment(level):
    texts = [some_text(random.Random(seed)) for seed in range(30)]
    lines = b"\n".join(text.replace(b"\n", b"").replace(b"\r", b"") for text in texts)
    want = expected(oracle.split_lines(lines))
    fixed = np.array([GOOD, GOOD[:14], GOOD + "1"] * 9, "S16")
    memory = np.zeros(64 + len(lines) + fixed.nbytes, np.uint8)
    for shift in range(64):
        view = memory[shift : shift + len(lines)]
        view[:] = np.frombuffer(lines, np.uint8)
        assert by_lines(view) == want
        view = memory[shift : shift + fixed.nbytes]
        view[:] = fixed.view(np.uint8)
        assert by_fixed(view.view("S16")) == expected(fixed.tolist())
        wide = np.frombuffer(b"\0" * shift + fixed.astype("U").tobytes(), "U16", offset=shift)
        assert by_fixed(wide) == expected(fixed.tolist())


def test_every_byte_in_every_place(level):
    """One foreign byte in one row of a group, for all bytes, places and rows."""
    crowd = np.frombuffer(GOOD.encode() + b"\n", np.uint8)
    where = np.array([(row, place, byte) for row in range(8) for place in range(16) for byte in range(256)])
    text = np.tile(crowd, (len(where) * 16, 1))
    changed = np.arange(len(where)) * 16 + where[:, 0]
    text[changed, where[:, 1]] = where[:, 2]
    changed_rows = text[changed].tobytes()
    changed_texts = [changed_rows[i : i + 16] for i in range(0, len(changed_rows), 16)]
    want = np.zeros((len(text), 2), np.uint64)
    want[:, 0] = oracle.parse_text(GOOD)[0]

    fixed = np.ascontiguousarray(text).view("S16").ravel()  # here the newline is one more foreign byte
    keys, status = buffers(len(fixed))
    _parse.fixed(fixed, 0, keys, status)
    assert rows_of(keys[changed], status[changed]) == expected([t.rstrip(b"\0") for t in changed_texts])

    fixed = np.ascontiguousarray(text[:, :15]).view("S15").ravel()
    _parse.fixed(fixed, 0, keys, status)
    want[changed] = expected([t[:15].rstrip(b"\0") for t in changed_texts])
    assert (keys == want[:, 0]).all()
    assert (status == want[:, 1]).all()

    starts = np.arange(len(text)) * 16
    _parse.spans(text.ravel(), starts, starts + 15, keys, status)
    want[changed] = expected([t[:15] for t in changed_texts])
    assert (keys == want[:, 0]).all()
    assert (status == want[:, 1]).all()

    joined = text.tobytes()
    lines = oracle.split_lines(joined)
    good = GOOD.encode()
    answers = {line: oracle.lax(oracle.parse_text(line)) for line in set(lines)}
    assert answers[good] == (49015420323751, ParseStatus.OK)
    assert by_lines(joined) == [answers[line] for line in lines]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("width", [14, 15, 16])
def test_every_byte_in_every_line(level, width, end):
    """The same for lines of every shape and their ends; an end that is lost joins two lines."""
    line = a_text(width) + end
    lines = []
    for row in range(8):
        for place in range(len(line)):
            for byte in ODD + b"3":
                changed = line[:place] + bytes([byte]) + line[place + 1 :]
                lines += [line] * row + [changed] + [line] * (15 - row)
    text = b"".join(lines)
    split = oracle.split_lines(text)
    answers = {line: oracle.lax(oracle.parse_text(line)) for line in set(split)}
    assert by_lines(text) == [answers[line] for line in split]


def test_one_row_of_another_length(level):
    """In every place of a group; the text goes on in digits, so only the length can tell."""
    data = a_text(15) * 50
    for width in (14, 15, 16):
        for length in (0, 13, 14, 15, 16, 17, 40):
            for place in range(30):
                starts = np.arange(30) * 18
                ends = starts + width
                ends[place] = starts[place] + length
                want = expected([data[start:end] for start, end in zip(starts, ends, strict=True)])
                assert by_spans(data, starts, ends) == by_views(data, starts, ends) == want
                texts = [data[start:end] for start, end in zip(starts, ends, strict=True)]
                assert by_fixed(np.array(texts, "S16")) == expected(t[:16] for t in texts)
                assert by_lines(b"\n".join(texts) + b"\n") == want


# ---- values ----


def test_values_and_check_digits(level):
    rng = np.random.default_rng(1)
    keys = np.concatenate(
        [rng.integers(0, 10**14, 2000), [0, 1, 10**14 - 1, 99999999, 10**6, 10**6 - 1], 10 ** np.arange(14)]
    )
    texts = [f"{key:014d}{digit}" for key in keys.tolist() for digit in (rng.integers(10), 0, 5)]
    want = expected(texts)
    assert {status for _, status in want} == {0, ParseStatus.CHECK_DIGIT, ParseStatus.CHECK_DIGIT_SPARE}
    assert by_fixed(np.array(texts, "S15")) == want
    assert by_fixed(np.array(texts, "U15")) == want
    assert by_fixed(np.array([text + "7" for text in texts], "S16")) == [(key, 0) for key, _ in want]
    assert by_lines("\r\n".join(texts).encode()) == want
    assert by_objects(texts) == want
    assert by_objects([int(text) for text in texts], digits=15) == want
    for text in texts[:300]:
        assert _parse.check_digit(text) == oracle.luhn_digit(text[:14]) == int(
            stdnum_luhn.calc_check_digit(text[:14])
        )  # fmt: skip
        assert _parse.text_of(_parse.key_of(text)) == text[:14] + str(oracle.luhn_digit(text[:14]))
        assert _parse.is_valid(text) == (oracle.parse_text(text)[1] == 0) == stdnum_luhn.is_valid(text)


def test_integers():
    edges = [0, 1, 10**13, 10**14 - 1, 10**14, 10**15 - 1, 10**15, 10**16, 2**63 - 1]
    for digits in (14, 15):
        for dtype, more in ((np.uint64, [2**63, 2**64 - 1]), (np.int64, [-1, -(10**14), -(2**63)])):
            values = np.array([*edges, *more], dtype)
            want = [oracle.lax(oracle.parse_integer(value, digits)) for value in values.tolist()]
            keys, status = buffers(len(values))
            assert _parse.integers(values, digits, 0, keys, status) == len(values)
            assert rows_of(keys, status) == want
            _parse.integers(values[::-1], digits, 0, keys, status)
            assert rows_of(keys, status) == want[::-1]
            assert by_objects(values.tolist(), digits) == want
            assert by_objects(list(values), digits) == want  # NumPy's own integers


@pytest.mark.parametrize("dtype", [np.uint64, np.int64])
def test_one_bad_integer_among_many(dtype):
    values = np.random.default_rng(2).integers(0, 10**14, 5000).astype(dtype)
    values[:2] = 0, 10**14 - 1
    keys, status = buffers(len(values))
    _parse.integers(values, 14, 0, keys, status)
    assert (keys == values.astype(np.uint64)).all()
    assert not status.any()
    for bad in (10**14, 2**63 - 1, -1 if dtype is np.int64 else 2**64 - 1, np.iinfo(dtype).max):
        for place in (0, 1023, 1024, 2500, 4999):
            column = values.copy()
            column[place] = bad
            _parse.integers(column, 14, 0, keys, status)
            assert np.flatnonzero(status).tolist() == [place]
            assert (int(keys[place]), status[place]) == oracle.lax(oracle.parse_integer(bad))


def test_values_that_are_no_text():
    class Index:
        def __index__(self):
            return 49015420323751

    class Broken:
        def __index__(self):
            raise ZeroDivisionError

    class Keyed:
        def __imei_key__(self):
            return 10**14

    class NAType:
        def __bool__(self):
            raise TypeError

    class Odd:
        """What an integer of another make must not give, and does."""

        def __init__(self, number):
            self.number = number

        def __index__(self):
            return self.number

    class OddKey(Odd):
        __index__ = None

        def __imei_key__(self):
            return self.number

    missing = [None, float("nan"), np.float64("nan"), NAType()]
    odd = [kind(number) for kind in (Odd, OddKey) for number in ("490154203237518", None, 1.5, Index())]
    wrong = [1.0, True, np.True_, [], object(), Broken(), bytearray(b"490154203237518"), *odd]
    wrong += [np.timedelta64(5, "s"), np.datetime64(5, "s")]
    with warnings.catch_warnings(
        action="ignore"
    ):  # a duration without a unit: NumPy 2.5 is about to refuse it
        wrong.append(np.timedelta64(5))
    values = [*missing, *wrong, Keyed(), 2**70, -(2**70)]
    codes = ["MISSING"] * 4 + ["WRONG_TYPE"] * len(wrong) + ["FIFTEEN_DIGITS", "OUT_OF_RANGE", "NEGATIVE"]
    assert by_objects([*values, Index()]) == [
        *((oracle.NO_KEY, ParseStatus[code]) for code in codes),
        (49015420323751, 0),
    ]
    for value in values:
        with pytest.raises(ImeiError):
            _parse.key_of(value)
    with pytest.raises(ImeiError, match="got <bool>"):
        _parse.text_of(True)
    with pytest.raises(TypeError, match="expected str or bytes, got int"):
        _parse.is_valid(490154203237518)


ASKED = {  # every door to a value whose own code is asked
    "key_of": _parse.key_of,
    "check_digit": imeiset.check_digit,
    "text_of": _parse.text_of,
    "Imei.from_key": imeiset.Imei.from_key,
    "parse": lambda value: imeiset.parse([value]),
    "parse a tuple": lambda value: imeiset.parse((GOOD, value)),
    "parse an array": lambda value: imeiset.parse(np.array([GOOD, value], object)),
    "ImeiSet": lambda value: imeiset.ImeiSet([GOOD, value]),
    "in": lambda value: value in imeiset.ImeiSet([GOOD]),
    "in, irregular kept": lambda value: value in imeiset.ImeiSet([GOOD], irregular="keep"),
    "contains": lambda value: imeiset.ImeiSet([GOOD]).contains([value], malformed=False),
    "contains, on threads": lambda value: imeiset.ImeiSet([GOOD]).contains(
        [GOOD, value], threads=2, malformed=True
    ),
    "positions": lambda value: imeiset.ImeiSet([GOOD]).positions([value]),
    "check": lambda value: lenient().check(value),
    "check, with an IMSI": lambda value: lenient().check(value, imsi="234150999999999"),
    "check_many": lambda value: lenient().check_many([GOOD, value]),
    "check_many, with IMSIs": lambda value: lenient().check_many([GOOD, value], ["234150999999999", None]),
}


def lenient():
    """A register that answers for malformed input."""
    register = imeiset.Register(policy=imeiset.Policy(malformed=imeiset.EquipmentStatus.WHITELISTED))
    register.add("stolen", [GOOD], status=imeiset.EquipmentStatus.BLACKLISTED)
    return register


@pytest.mark.parametrize("method", ["__index__", "__imei_key__"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError])
@pytest.mark.parametrize("door", ASKED)
def test_what_is_no_error_of_the_value_is_the_callers(door, error, method):
    def stop(self):
        raise error("while it was asked")

    value = type("Stops", (), {method: stop})()
    with pytest.raises(error, match="while it was asked"):
        ASKED[door](value)


def test_the_own_code_of_a_number_is_not_run():
    class Number(float):
        def __ne__(self, other):
            raise KeyboardInterrupt

    values = [Number("nan"), Number(1)]
    assert by_objects(values) == [
        (oracle.NO_KEY, ParseStatus.MISSING),
        (oracle.NO_KEY, ParseStatus.WRONG_TYPE),
    ]
    assert lenient().check_many([GOOD], [values[0]]).tolist() == [imeiset.EquipmentStatus.BLACKLISTED]


def test_a_list_that_shrinks_is_noticed():
    class Shrinks:
        def __index__(self):
            values.clear()
            return 1

    values = [Shrinks(), *[GOOD] * 1000]
    with pytest.raises(RuntimeError, match="changed size"):
        by_objects(values)


# ---- policies ----


@given(texts=columns(), policy=st.sampled_from(["ignore", "spare", "require"]))
def test_policies(texts, policy):
    rows = expected(texts)
    keys, status = (np.array([row[i] for row in rows], dtype) for i, dtype in ((0, np.uint64), (1, np.uint8)))
    settled = [oracle.settle(row, policy) for row in rows]
    assert _parse.apply_policy(policy, keys, status) == sum(code != ParseStatus.OK for _, code in settled)
    assert rows_of(keys, status) == settled


def test_policy_counts_past_255():
    keys, status = np.zeros(100_000, np.uint64), np.full(100_000, ParseStatus.CHECK_DIGIT, np.uint8)
    status[::4] = ParseStatus.CHECK_DIGIT_SPARE
    assert _parse.apply_policy("spare", keys, status) == 75_000
    assert np.count_nonzero(status) == np.count_nonzero(keys == oracle.NO_KEY) == 75_000
    with pytest.raises(ValueError, match="expected 'ignore', 'spare' or 'require', got 'Spare'"):
        _parse.apply_policy("Spare", keys, status)


# ---- lines in pieces ----


@given(texts=columns(), cut=st.integers(0, 400), room=st.integers(1, 20))
def test_lines_in_pieces(texts, cut, room):
    text = b"\n".join(texts)
    want = expected(oracle.split_lines(text))
    for level in simd.simd_levels():
        simd.use_simd(level)
        keys, status = buffers(room)
        got, start = [], 0
        while True:  # the first piece: complete lines only
            n, start = _parse.lines(text[:cut], start, keys, status, final=False)
            got += rows_of(keys, status, n)
            if n < room:
                break
        assert start == text[:cut].rfind(b"\n") + 1
        while n := (piece := _parse.lines(text, start, keys, status))[0]:
            start = piece[1]
            got += rows_of(keys, status, n)
        assert got == want


# ---- arguments ----


def test_arguments_are_checked():
    keys, status = buffers(2)
    data = np.frombuffer(GOOD.encode() * 2, np.uint8)
    for starts, ends in [
        ([0, 16], [15, 31]),
        ([0, -1], [15, 14]),
        ([0, 16], [15, 15]),
        ([0, 2**40], [15, 2**41]),
    ]:
        with pytest.raises(ValueError, match="span 1: expected within 30 bytes"):
            by_spans(data, starts, ends)
    outside = [(15, 2, 0), (15, -1, 0), (15, 1, -1), (15, 1, 16), (31, 1, 0), (2**31 - 1, 1, 2**31 - 1)]
    for length, buffer, start in [*outside, (13, 0, 0), (-1, 1, 0), (-(2**31), 1, 0)]:
        good = struct.pack("<iiii", 15, 0, 1, 15)
        for before in (1, 3, 8, 20):
            keys, status = buffers(before + 9)
            views = good * before + struct.pack("<iiii", length, 0, buffer, start) + good * 8
            with pytest.raises(ValueError, match=f"view {before}: expected within the 2 buffers"):
                _parse.views(views, _parse.Buffers([b"", data]), keys, status)
    keys, status = buffers(2)
    with pytest.raises(ValueError, match="expected 32 bytes, got 16"):
        _parse.views(bytes(16), _parse.Buffers(), keys, status)
    with pytest.raises(ValueError, match="2 starts, 1 ends"):
        by_spans(data, [0, 15], [15])
    with pytest.raises(ValueError, match="status: expected 2 rows, got 1"):
        _parse.lines(data, 0, keys, status[:1])
    for start in (-1, 31):
        with pytest.raises(ValueError, match="expected 0 to 30"):
            _parse.lines(data, start, keys, status)
    with pytest.raises(TypeError, match="expected a list or tuple, got set"):
        _parse.objects({GOOD}, 14, 0, keys, status)
    for array in (np.zeros(2), np.zeros((2, 2), "S15"), np.zeros(2, ">U15")):
        with pytest.raises(TypeError, match="one-dimensional array of native S or U"):
            _parse.fixed(array, 0, keys, status)
    assert by_spans(b"", [0, 0], [0, 0]) == [(oracle.NO_KEY, ParseStatus.EMPTY)] * 2
    assert by_lines(b"") == []


def test_spans_far_out_do_not_overflow(level):
    """A group of spans of which one lies far outside, in every place of the group."""
    data = np.frombuffer(GOOD.encode() * 40, np.uint8)
    for place in range(30):
        for wild in (-1, -(2**63), 2**63 - 16, 2**32, 586, 600):
            starts = np.arange(30) * 15
            ends = starts + 15
            starts[place], ends[place] = wild, wild + 15
            with pytest.raises(ValueError, match=f"span {place}: expected within 600 bytes"):
                by_spans(data, starts, ends)


# ---- python-stdnum ----


@given(
    st.one_of(
        st.text("0123456789", min_size=12, max_size=18), st.from_regex(r"\A[0-9 -]{12,20}\Z", fullmatch=True)
    )
)
def test_stdnum_agrees(text):
    """On ASCII digits with proper separators, except for the check digit, which stdnum always requires."""
    key, status = oracle.lax(oracle.parse_text(text))
    if status == ParseStatus.SEPARATOR or status == ParseStatus.SIGN:
        return  # stdnum takes separators anywhere
    assert stdnum_imei.is_valid(text) == (status == ParseStatus.OK)
    if status == ParseStatus.OK:
        assert stdnum_imei.validate(text) == _parse.written(text)[0]
        assert int(stdnum_imei.validate(text)[:14]) == key == _parse.key_of(text)


@pytest.mark.parametrize(
    "text",
    ["49015420323751\uff18", "49\u2013015420\u2013323751\u20138", "490154203237518 -", "490--154203237518"],
)
def test_stdnum_differs(text):
    """stdnum makes foreign digits and dashes ASCII and takes separators anywhere; a blocklist must not."""
    assert stdnum_imei.is_valid(text)
    assert not _parse.is_valid(text)
    with pytest.raises(ImeiError):
        _parse.key_of(text)


def test_a_wrong_check_digit_has_a_key():
    """Real signalling carries a spare 0 (3GPP TS 22.016); stdnum calls these invalid."""
    for text, digit in (("358091016853550", 5), ("356467044989910", 2)):
        assert not stdnum_imei.is_valid(text)
        assert not _parse.is_valid(text)
        assert _parse.key_of(text) == int(text[:14])
        assert _parse.check_digit(text) == digit


# ---- masking ----


@given(st.one_of(st.text(), st.binary(), st.integers()))
def test_mask_hides_and_is_printable(value):
    shown = mask(value)
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) < 140


def test_mask():
    assert mask(GOOD) == mask(GOOD.encode()) == mask(int(GOOD)) == "49015420*******"
    assert mask(1015420323751) == "01015420******"
    assert mask("12345678") == "12345678"
    assert mask(None) == "None"
    assert mask("\x1b[31m") == "\\x1b[31m"
    assert mask("9" * 1000) == "9" * 8 + "*" * 24 + "... (1000 characters)"


@given(
    keys=st.lists(st.one_of(st.integers(0, 10**14 - 1), st.sampled_from([0, 9, 10**8, 10**14 - 1]))),
    before=st.binary(max_size=9),
    after=st.binary(max_size=20),
)
def test_rows_of_keys(keys, before, after):
    texts = [f"{key:014d}" for key in keys]
    rows = [before + f"{text}{oracle.luhn_digit(text)}".encode() + after for text in texts]
    assert _parse.rows_of(np.array(keys, np.uint64), before, after) == b"".join(rows)


def test_rows_of_what_is_no_key():
    with pytest.raises(ImeiError) as caught:
        _parse.rows_of(np.array([5, 10**14, 6], np.uint64))
    assert (caught.value.position, caught.value.status) == (1, ParseStatus.OUT_OF_RANGE)
