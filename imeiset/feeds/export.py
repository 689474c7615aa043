"""A set back to a file that others read; `load` makes the same set of it."""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import BinaryIO

import numpy as np

from .._files import expect_written, publish
from .._native.parse import rows_of
from ..readers import Keys
from ..sets import ImeiSet
from .extras import extra
from .loader import Progress

FORMS = ("plain", "dirbs", "parquet", "roaring")
_DIGITS = 15
_ROWS = 1 << 14  # of text at a time
_GROUP = 1 << 20  # rows of a row group


def export(
    members: ImeiSet,
    file: str | os.PathLike[str] | BinaryIO,
    *,
    form: str = "plain",
    progress: Progress | None = None,
) -> None:
    """Write a set to a file that others read, in order, as 15 digits with the check digit.

    Parameters
    ----------
    members : ImeiSet
        The set. Irregular identities come last.
    file : str, os.PathLike or binary file
        What is written. The file of a path appears whole or not at all, for its owner only.
    form : {'plain', 'dirbs', 'parquet', 'roaring'}
        One a line; a blacklist imei,block_date,reasons; a column of text (extra `parquet`); the keys as
        portable 64-bit Roaring.
    progress : callable, optional
        Called with the bytes of text written so far, and all but those of irregular identities; not for
        Roaring.

    Raises
    ------
    ValueError
        If `form` is 'roaring' and the set has irregular identities, which Roaring cannot hold; or if a path
        has the name of a compressed file or of a workbook.

    Notes
    -----
    About 16 ns an IMEI as text. Memory is some MB, 60 for Parquet; Roaring takes memory for all.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> imeiset.export(imeiset.ImeiSet(["490154203237518"]), file)
    >>> file.getvalue()
    b'490154203237518\\n'
    """
    if isinstance(file, str | os.PathLike):
        expect_written(file, "text, Parquet or Roaring")
        with publish(file) as opened:
            export(members, opened, form=form, progress=progress)
    elif form == "roaring":
        if members.irregular is not None and len(members.irregular):
            raise ValueError(f"expected no irregular identities for roaring, got {len(members.irregular):,}")
        file.write(members.to_roaring().serialize())
    elif form == "parquet":
        _parquet(members, file, progress)
    elif form in FORMS:
        end = b",,\n" if form == "dirbs" else b"\n"
        size, done = _DIGITS + len(end), 0
        if form == "dirbs":
            file.write(b"imei,block_date,reasons\n")
        for keys in members.chunks():
            file.write(rows_of(keys, b"", end))
            done += len(keys)
            if progress:
                progress(done * size, len(members) * size)
        file.write(irregular_rows(_irregular(members), b"", end))
    else:
        raise ValueError(f"expected a form of {', '.join(FORMS)}, got {form!r}")


def expanded(lows: Keys, highs: Keys) -> Iterator[Keys]:
    """The keys of runs, some thousands at a time."""
    lengths, start = highs - lows + np.uint64(1), 0
    while start < len(lows):
        if lengths[start] > _ROWS:
            low, high = int(lows[start]), int(highs[start])
            for at in range(low, high + 1, _ROWS):
                yield np.arange(at, min(at + _ROWS, high + 1), dtype=np.uint64)
            start += 1
            continue
        ends = np.cumsum(lengths[start : start + _ROWS])
        stop = int(np.searchsorted(ends, np.uint64(_ROWS), "right"))
        ends, held = ends[:stop], lengths[start : start + stop]
        firsts = np.repeat(lows[start : start + stop] - (ends - held), held.astype(np.int64))
        yield firsts + np.arange(len(firsts), dtype=np.uint64)
        start += stop


def irregular_rows(texts: Sequence[bytes], before: bytes, after: bytes) -> bytes:
    """Rows of irregular identities; where '#' would begin a comment, it is quoted."""
    return b"".join(
        b'%s"%s"%s' % (before, text, after) if (before + text)[:1] == b"#" else before + text + after
        for text in texts
    )


def _irregular(members: ImeiSet) -> list[bytes]:
    return [] if members.irregular is None else members.irregular.tolist()


def _parquet(members: ImeiSet, file: BinaryIO, progress: Progress | None) -> None:
    pq = extra("pyarrow.parquet", "Parquet files need pyarrow", "parquet")
    pa = extra("pyarrow", "Parquet files need pyarrow", "parquet")
    schema = pa.schema([("imei", pa.string())])
    chunks, done = members.chunks(), 0
    with pq.ParquetWriter(file, schema, use_dictionary=False) as writer:
        while group := list(islice(chunks, _GROUP // _ROWS)):
            keys = np.concatenate(group)
            ends = np.arange(len(keys) + 1, dtype=np.int32) * np.int32(_DIGITS)
            buffers = [None, pa.py_buffer(ends), pa.py_buffer(rows_of(keys))]
            texts = pa.Array.from_buffers(pa.string(), len(keys), buffers)
            writer.write_table(pa.table({"imei": texts}, schema))
            done += len(keys)
            if progress:
                progress(done * _DIGITS, len(members) * _DIGITS)
        if odd := _irregular(members):
            writer.write_table(pa.table({"imei": pa.array(map(bytes.decode, odd), pa.string())}, schema))
