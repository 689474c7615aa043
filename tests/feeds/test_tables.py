"""Arbitrary tables in arbitrary dialects, against Python's csv module and the oracle parser."""

import csv
import gzip
import io
import re
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import oracle
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imeiset import ImeiSet, screen
from imeiset.errors import FeedError, FeedRejects, ParseStatus
from imeiset.feeds import load, reader
from imeiset.feeds.report import FIRST_LINES

digits = st.text("0123456789", min_size=12, max_size=18)
dashed = st.lists(st.text("0123456789", min_size=1, max_size=7), min_size=2, max_size=5).map("-".join)
pieces = ["0", "7", '"', "\n", "\r\n", ",", ";", "|", "\t", " ", "-", "#", "\u0664", "x", "\0", "=", "+"]
noise = st.lists(st.sampled_from(pieces), max_size=8).map("".join)
spaced = st.tuples(st.sampled_from(["", " ", "\t "]), digits, st.sampled_from(["", "  "])).map("".join)
cell = st.one_of(digits, digits, dashed, spaced, noise)
# A row that starts with '#' would be a comment.
row = st.lists(cell, min_size=3, max_size=3).map(lambda cells: [cells[0].lstrip("#"), *cells[1:]])
rows = st.lists(row, max_size=40)


@given(
    rows=rows,
    column=st.integers(0, 2),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    ending=st.sampled_from(["\n", "\r\n"]),
    by_name=st.booleans(),
    torn=st.booleans(),
    bom=st.booleans(),
    packed=st.booleans(),
    policy=st.sampled_from(["ignore", "spare", "require"]),
    chunk=st.integers(64, 400),  # with a name; a number needs enough rows to find the delimiter
)
def test_equals_csv_and_oracle(
    rows, column, delimiter, quoting, ending, by_name, torn, bom, packed, policy, chunk
):
    header = ["alpha", "beta", "gamma"]
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=ending).writerows([header, *rows])
    text = out.getvalue()
    assume(text.count("\0") < 10)  # more may be taken for binary data
    if torn:
        text = text.removesuffix(ending)

    keys, reasons, first = [], Counter(), {}
    parsed = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    line = 1 + next(parsed)[0].count("\n") + 1
    for row in parsed:
        start, line = line, reader_line(row, line)
        key, status = oracle.parse_text(row[column].strip(" \t\r"))
        key, status = oracle.settle((key, status), policy)
        if status is ParseStatus.OK:
            keys.append(key)
        else:
            reasons[status.name.lower()] += 1
            first.setdefault(status.name.lower(), []).append(start)

    data = text.encode("utf-8-sig" if bom else "utf-8")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table")
        path.write_bytes(gzip.compress(data) if packed else data)
        before, reader.CHUNK = reader.CHUNK, chunk if by_name else 1 << 20
        try:
            result = load(
                path,
                column=header[column] if by_name else column + 1,
                check_digit=policy,
                rejects=Path(folder, "rejects"),
                max_line=300,
            )
        except FeedRejects:
            assert rows
            assert not keys
            return
        finally:
            reader.CHUNK = before
        with Path(folder, "rejects").open(newline="", encoding="utf-8") as file:
            _, lines = file.readline(), file.read()
            written = re.findall(
                rf'^([0-9]+){re.escape(delimiter)}"[^"]*"{re.escape(delimiter)}(\w+)', lines, re.M
            )
    report = result.report
    assert result.set.to_numpy().tolist() == sorted(set(keys))
    assert (report.rows, report.accepted, report.headers) == (len(rows), len(keys), 1)
    assert {name: entry.count for name, entry in report.rejects.items()} == reasons
    assert {name: [line for _, line in entry.first] for name, entry in report.rejects.items()} == {
        name: lines[:FIRST_LINES] for name, lines in first.items()
    }
    assert [(int(line), reason) for line, reason in written] == sorted(
        (line, reason) for reason, lines in first.items() for line in lines
    )
    assert report.bytes == len(text.encode())


def reader_line(row, line):
    """The line after a row that begins at `line`."""
    return line + 1 + sum(cell.count("\n") for cell in row)


def test_names_of_columns_that_are_imeis_are_masked(tmp_path):
    """A list without a header, made a table: its first row became the names."""
    pa = pytest.importorskip("pyarrow")
    imei, said = "490154203237518", []
    pq = pytest.importorskip("pyarrow.parquet")
    for types in (pa.string(), pa.int64()):
        values = pa.array(["356938035643809" if types == pa.string() else 35693803564380], types)
        pq.write_table(pa.table({imei: values, f"imei {imei}": values}), tmp_path / "list.parquet")
        for column in (None, "imei", 1, 2, 3):
            for act in (load, partial(screen, listed=ImeiSet())):
                try:
                    act(tmp_path / "list.parquet", column=column)
                except FeedError as error:
                    said.append(str(error))
    assert len(said) >= 10
    assert not any(imei[8:14] in one for one in said)
