"""The identities of records: as lists take them, each at its place."""

import identities
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset._native.records import read
from imeiset.errors import ParseStatus as S

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


@given(cells, st.integers(0, 700), st.sampled_from([0, 14, 15]), st.sampled_from([np.int32, np.int64]))
@settings(deadline=None, max_examples=400)
def test_cells_equal_the_obvious(cells, clean, restored, dtype):
    """Odd ones among clean ones, as they stand in a column of texts."""
    cells = [*["352099001761481"] * clean, *cells]
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
