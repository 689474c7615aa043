"""The scanner against Python's csv module and against itself, cut into chunks everywhere."""

import csv
import io
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imeiset._native import simd
from imeiset._native.scan import Scanner

SHORT, QUOTE, LONG, CELLS, RETURN = 129, 130, 131, 132, 138


def scan(text, delimiter=b",", columns=(0,), cuts=(), **options):
    """Every row as (line, flaw, row, cells), and the counters, feeding the text cut at `cuts`."""
    scanner = Scanner(delimiter, columns, **options)
    found = []
    rest = b""
    edges = [0, *sorted(cuts), len(text)]
    for i, (start, end) in enumerate(pairwise(edges)):
        chunk = rest + text[start:end]
        scanner.feed(chunk, final=i == len(edges) - 2)
        while scanner.batch():
            for (begin, stop, line, flaw), cells in zip(
                scanner.rows.tolist(), scanner.cells.transpose(2, 0, 1).tolist(), strict=True
            ):
                row = (scanner.first_line + line, flaw, chunk[begin:stop])
                found.append((*row, [chunk[at:end] for at, end in cells]))
        rest = chunk[len(chunk) - scanner.unfinished :]
    assert rest == b""
    return found, scanner.tally()[0], scanner.lines


@pytest.fixture(params=simd.simd_levels(), autouse=True)
def level(request):
    before = simd.simd_level()
    simd.use_simd(request.param)
    yield request.param
    simd.use_simd(before)


def test_plain_lines():
    text = b'490154203237518\r\n\n# a, "comment\n 35-693803-564380-9 \r\n\t\r\nlast'
    rows, skipped, lines = scan(text, b"", comments=True)
    assert rows == [
        (1, 0, b"490154203237518\r", [b"490154203237518"]),
        (4, 0, b" 35-693803-564380-9 \r", [b"35-693803-564380-9"]),
        (6, 0, b"last", [b"last"]),
    ]
    assert skipped == (2, 1, 0)
    assert lines == 5


def test_quotes_and_embedded_line_ends():
    text = b'a,"x ""y"", \r\n z",1\r\n"b",,"2"\r\n"","\n\n",3'
    rows, skipped, lines = scan(text, b",", (0, 1, 2))
    assert [(line, cells) for line, _, _, cells in rows] == [
        (1, [b"a", b'x ""y"", \r\n z', b"1"]),
        (3, [b"b", b"", b"2"]),
        (4, [b"", b"\n\n", b"3"]),
    ]
    assert skipped == (0, 0, 3)
    assert lines == 5


def test_a_short_row_has_no_cell():
    rows, _, _ = scan(b"a\na;b\n", b";", (1,))
    assert rows == [(1, SHORT, b"a", [b""]), (2, 0, b"a;b", [b"b"])]


def test_rows_of_another_number_of_cells_are_flawed():
    text = b'a,b,c\na,b\na\na, "b,c"\na,b,c, ,""\na,b,c,,x\n"a,b",c\na,b,c,d\n'
    rows, _, _ = scan(text, b",", (1,), fewest=3, most=3)
    assert [flaw for _, flaw, _, _ in rows] == [0, CELLS, SHORT, 0, 0, CELLS, CELLS, CELLS]
    rows, _, _ = scan(text, b",", (1,), fewest=2, most=4)
    assert [flaw for _, flaw, _, _ in rows] == [0, 0, SHORT, 0, 0, CELLS, 0, 0]


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize(
    ("text", "flaws"),
    [
        (b'A,"lost\nA,x\nA,lost"', [QUOTE, 0, 0]),
        (b'A,"lost\nA,lost"', [QUOTE, 0]),
        (b'A,"lost\r\nA,x\r\n"', [QUOTE, 0, QUOTE]),
        (b'A,"lost\nA,1,2\nA\n1,2\n"', [0]),  # nothing that looks like a row
        (b'A,"lost\nA,5"', [QUOTE, 0]),
        (b'A,"lost\nA,x,,', [QUOTE, 0]),
        (b'A,"lost\nA", ', [0]),  # an empty cell may be too many, but no row begins with it
        (b'A,"see A\nand A\nA"', [0]),
        (b'"Main St.\nTown",A', [0]),
    ],
)
def test_a_quoted_cell_hides_no_row(text, flaws, ending):
    text = text.replace(b"A", b"490154203237518") + ending
    for cuts in [(), *([cut] for cut in range(len(text)))]:
        rows, _, _ = scan(text, b",", (0,), cuts, fewest=2, most=2)
        assert [flaw for _, flaw, _, _ in rows] == flaws


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize(
    ("text", "flaws"),
    [
        (b'x,A,"lost,z\nx,A,5",z', [QUOTE, 0]),  # the line of the closing quote begins with a row
        (b'x,A,"lost\nx,A 5",z', [0]),
        (b'"x,A,z,\n5",A,y,z', [QUOTE, 0]),  # that of the opening quote goes on with one
        (b'"see A\n5",A,y,z', [0]),
        (b'x,A,"see x,A,\n5",z', [0]),
        (b'x,A,"\nx,A 5","y,z"', [0]),
        (b'x,y,z,"lost\nx",A,y,z', [QUOTE, 0]),  # no row has as many cells as both together
        (b'x,"lost\ny"', [QUOTE, SHORT]),
    ],
)
def test_lines_that_a_quoted_cell_cuts(text, flaws, ending):
    text = text.replace(b"A", b"490154203237518") + ending
    for cuts in [(), *([cut] for cut in range(len(text)))]:
        rows, _, _ = scan(text, b",", (1,), cuts, fewest=4, most=4)
        assert [flaw for _, flaw, _, _ in rows] == flaws


@pytest.mark.parametrize(
    ("text", "flaws"),
    [
        (b'A,A,"lost\n,A,x\n,A,5"', [QUOTE, 0, 0]),  # where one of the identities is blank
        (b',,"lost\nA,,x\n,,5"', [QUOTE, 0, 0]),
        (b'"lost,A,\n5",A,x', [QUOTE, 0]),
        (b'"lost\n5",A,x', [0]),
        (b'A,"A\nx",A', [0]),
    ],
)
def test_a_quoted_cell_hides_no_row_of_several_identities(text, flaws):
    text = text.replace(b"A", b"490154203237518")
    for wanted in ((0, 1), (1, 0)):
        rows, _, _ = scan(text, b",", (0, 1), fewest=3, most=3, identities=wanted)
        assert [flaw for _, flaw, _, _ in rows] == flaws


@pytest.mark.parametrize(
    ("text", "flaws"),
    [
        (b'A,"lost\nA,x\nA",y', [QUOTE, 0, 0]),
        (b'A,"lost\nA,x\nA,y"', [QUOTE, 0, 0]),
        (b'A,"see\nA\nor x",y,z', [0]),  # one cell is no sign of a row
    ],
)
def test_a_quoted_cell_hides_no_short_row(text, flaws):
    text = text.replace(b"A", b"490154203237518")
    rows, _, _ = scan(text, b",", (0,), fewest=4, most=4, needed=1, shorter=True)
    assert [flaw for _, flaw, _, _ in rows] == flaws


def test_a_quoted_cell_hides_no_row_of_one_cell_or_of_a_tac():
    assert [row[1] for row in scan(b'"490154203237518\n356938035643809"\n', b"", fewest=1, most=1)[0]] == [
        QUOTE,
        0,
    ]
    tacs = b'49015420,"x\n35693803,y\n86012345,5"\n'
    assert [row[1] for row in scan(tacs, fewest=2, most=2)[0]] == [0]
    assert [row[1] for row in scan(tacs, fewest=2, most=2, digits=8)[0]] == [QUOTE, 0, 0]


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_a_broken_quote_costs_its_own_line_only(ending):
    rows, _, _ = scan(b'1\n"2\n3\n"4"x\n5\n6"\n"7' + ending, b"")
    assert rows == [
        (1, 0, b"1", [b"1"]),
        (2, QUOTE, b'"2', [b""]),  # closed in line 4, within a cell
        (3, 0, b"3", [b"3"]),
        (4, QUOTE, b'"4"x', [b""]),
        (5, 0, b"5", [b"5"]),
        (6, 0, b'6"', [b'6"']),
        (7, QUOTE, b'"7', [b""]),  # never closed
    ]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r\r\n"])
@pytest.mark.parametrize(
    ("text", "flawed"),
    [
        (b"1,,\r2,,", True),  # empty cells at the end of a row may be more than there are columns
        (b"1,x\r2,y", True),
        (b"1\r,x,y", True),
        (b'1,5" x\r2,', True),  # a quote within a cell begins no quoted one
        (b'1,"x""\ry",\rz', True),
        (b'1,"x\ry",z', False),
        (b'"1","x""\r""y",z', False),
        (b"1,x,y", False),
    ],
)
def test_a_cr_hides_no_row(text, flawed, ending):
    rows, _, _ = scan(text + ending + b"3,x,y" + ending, fewest=2, most=3)
    assert [flaw for _, flaw, _, _ in rows] == [RETURN if flawed else 0, 0]


def test_long_rows_are_cut_and_hide_nothing():
    text = b"1\n" + b"x" * 50 + b'\n2\n"' + b"y\n" * 20 + b'"\n3\n' + b"z" * 11
    rows, _, lines = scan(text, b"", max_row=10)
    assert rows[:4] == [
        (1, 0, b"1", [b"1"]),
        (2, LONG, b"x" * 10, [b""]),
        (3, 0, b"2", [b"2"]),
        (4, QUOTE, b'"y', [b""]),
    ]
    assert [row[2] for row in rows[4:]] == [b"y"] * 19 + [b'"', b"3", b"z" * 10]
    assert [row[0] for row in rows[4:]] == list(range(5, 27))
    assert lines == 25


dirty = st.text(alphabet='1",;\n\r# \tx', max_size=40).map(str.encode)


@given(text=dirty, data=st.data())
def test_chunk_edges_change_nothing(text, data):
    options = {
        "delimiter": data.draw(st.sampled_from([b",", b";", b"\t", b""])),
        "columns": data.draw(st.sampled_from([(0,), (1,), (0, 1), (1, 3)])),
        "comments": data.draw(st.booleans()),
        "max_row": data.draw(st.sampled_from([1, 3, 7, 100])),
        "fewest": data.draw(st.integers(0, 3)),
        "most": data.draw(st.integers(1, 4)),
    }
    whole = scan(text, **options)
    for cut in range(len(text) + 1):
        assert scan(text, cuts=[cut], **options) == whole
    assert scan(text, cuts=range(1, len(text)), **options) == whole
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=5))
    assert scan(text, cuts=cuts, **options) == whole
    found, (blank, comments, continued), lines = whole
    assert lines == text.count(b"\n")
    assert len(found) + blank + comments + continued == lines + (text[-1:] not in (b"", b"\n"))


# A lone CR ends a line for the csv module, not for us.
cells = st.lists(st.sampled_from([*'1",;|\t\n #x\u0661', "\r\n"]), max_size=6).map("".join)


@given(
    table=st.lists(st.lists(cells, min_size=2, max_size=4), max_size=8),
    delimiter=st.sampled_from(",;|\t"),
    ending=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    data=st.data(),
)
def test_equals_the_csv_module(table, delimiter, ending, quoting, data):
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=quoting).writerows(table)
    text = out.getvalue().encode()
    columns = (0, 1, 2)
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=5))
    rows, _, _ = scan(text, delimiter.encode(), columns, cuts)
    expected = list(csv.reader(io.StringIO(out.getvalue(), newline=""), delimiter=delimiter))
    assert len(rows) == len(expected)
    for (_, flaw, _, found), row in zip(rows, expected, strict=True):
        assert flaw == (SHORT if len(row) < 3 else 0)
        padded = [*row, "", ""][:3]
        assert [cell.decode().replace('""', '"') for cell in found] == [
            cell.strip(" \t\r") for cell in padded
        ]


def test_marks_at_every_length_and_alignment(level):
    rng = random.Random(7)
    text = bytes(rng.choices(b'1234567890,"\n', k=400))
    for start in range(64):
        for size in range(200):
            piece = memoryview(text)[start : start + size]
            found, _, _ = scan(bytes(piece), b"")
            simd.use_simd("portable")
            assert scan(bytes(piece), b"")[0] == found
            simd.use_simd(level)


def test_keys_and_tally():
    text = b"490154203237518,a\n490154203237510,b\n490154203237511\n35-693803-564380,x\n"
    text += b"zz,\n,\n1234567890123456,"
    scanner = Scanner(b",", (0,))
    scanner.feed(text, final=True)
    assert scanner.batch() == 7
    accept = np.zeros(256, np.uint8)
    accept[[0, 15, 18]] = 1
    keys = np.zeros(10, np.uint64)
    taken, rejected, places, reasons = scanner.take(accept, keys)
    assert taken.tolist() == [0, 1, 3, 6]
    assert not places.any()
    assert keys.tolist()[:4] == [49015420323751, 49015420323751, 35693803564380, 12345678901234]
    assert rejected.tolist() == [2, 4, 5]
    assert reasons.tolist() == [14, 4, 1]
    _, statuses, forms, written, noted = scanner.tally()
    assert forms == (1, 2, 1)
    assert written == [3, 1, 0, 0, 0, 0, 0]
    assert [count for count, _ in noted] == [0] * 5
    assert statuses[[0, 1, 4, 14, 15]].tolist() == [3, 1, 1, 1, 1]
    assert not scanner.tally()[1].any()  # each row once


@pytest.mark.parametrize("kinds", [1, 3, 9, 600])
def test_values_are_seen_in_every_chunk(kinds):
    """Also of rows like those of a chunk before, and where more are different than are kept in mind."""
    scanner = Scanner(b",", (0, 1, 2), watched=(1, 2))
    keys, accept = np.empty(1000, np.uint64), np.ones(256, np.uint8)
    rng = random.Random(kinds)
    for rows in (40, 2000, 1, 300):
        table = [(rng.randrange(10**14), f"v{rng.randrange(kinds)}", rng.choice("ab")) for _ in range(rows)]
        scanner.feed("".join(f"{key:014},{one},{two}\n" for key, one, two in table).encode(), final=True)
        got, found = [Counter(), Counter()], []
        while (taken := scanner.read_keys(accept, keys))[0]:
            found += keys[: taken[0]].tolist()
            for column, counts in zip(got, scanner.seen(), strict=True):
                column.update(counts)
        assert found == [key for key, _, _ in table]
        assert got == [Counter(row[place].encode() for row in table) for place in (1, 2)]


@pytest.mark.parametrize(
    ("delimiter", "columns", "options"),
    [
        (b",,", (0,), {}),
        (b"\n", (0,), {}),
        (b'"', (0,), {}),
        (b",", (), {}),
        (b",", (-1,), {}),
        (b",", (1, 0), {}),
        (b",", (0,), {"max_row": 0}),
        (b",", (0,), {"max_row": 1 << 31}),
        (b",", (0,), {"identities": (1,)}),
        (b",", (0,), {"identities": ()}),
        (b",", range(17), {"identities": range(17)}),
        (b",", (0,), {"watched": (1,)}),
        (b",", (0,), {"restored": 16}),
        (b",", (0,), {"status": 1}),
    ],
)
def test_bad_arguments(delimiter, columns, options):
    with pytest.raises(ValueError, match="expected"):
        Scanner(delimiter, columns, **options)
