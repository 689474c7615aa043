"""Sets and registers back to files that others read; loading them makes the same again."""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from .._files import expect_written, publish
from .._native.parse import rows_of
from ..errors.extras import extra
from ..readers import Keys
from ..register.checks import Checks
from ..sets import ImeiSet
from ..snapshot import walked
from .giving import FORMS, Exported, Form, Operators, one_table, write_directory
from .loader import Progress

SET_FORMS = (*FORMS, "roaring")
_DIGITS = 15
_ROWS = 1 << 14  # of text at a time
_GROUP = 1 << 20  # rows of a row group


def export(
    members: ImeiSet | Checks,
    file: str | os.PathLike[str] | BinaryIO,
    *,
    form: str = "plain",
    lists: Iterable[str] | None = None,
    joined: bool = False,
    operators: Operators | None = None,
    progress: Progress | None = None,
) -> tuple[Exported, ...]:
    """Write a set, or the lists of a register or a store, to files that others read.

    They are in order, and IMEIs have 15 digits, the check digit too.

    Parameters
    ----------
    members : ImeiSet, Register or Store
        What is written, as it is now. Irregular identities come last.
    file : str, os.PathLike or binary file
        What is written: one list to a file; or, to a path that is a directory or ends in '/', a file for each
        list and rule, and `register.toml`, of which `load_register` makes the same register. The file of a
        path appears whole or not at all, for its owner only.
    form : {'plain', 'csv', 'dirbs', 'parquet', 'roaring'}
        'plain': one IMEI a line. 'csv': with the reasons, dates and last days of lists that have some.
        'dirbs': a blacklist imei,block_date,reasons, or exceptions imei,imsi,msisdn; in a directory, one
        blacklist of all that is blacklisted, its TACs and ranges, and the exceptions. 'parquet': the columns
        of 'csv' as text, dates as such (extra `parquet`); ranges, TACs and IMSIs are csv all the same.
        'roaring': the keys of a set as portable 64-bit Roaring.
    lists : iterable of str, optional
        The names of the lists to write; None for all.
    joined : bool
        The IMEIs of several lists as one list, each once: with all its reasons, that of a list where the
        IMEI has none; its first date; and its last `until`, none if a list has none.
    operators : mapping of str to sequence of str, optional
        Of 'dirbs' in a directory: the name of each operator and the prefixes of its IMSIs, to give it a file
        of its own subscribers. What is nobody's goes to one of `others`.
    progress : callable, optional
        Called with the bytes written so far, and all, or None where that is not known; not for Roaring.

    Returns
    -------
    tuple of Exported
        Of each file: path, lists, kind, as descriptions call it, and rows.

    Raises
    ------
    ValueError
        If `form` is 'roaring' and the set has irregular identities, which Roaring cannot hold; if a path has
        the name of a compressed file or of a workbook; or if one file cannot hold what is to be written.
    KeyError
        For a name that no list has.
    SnapshotBounds
        If a list is from a damaged file that has something else in the place of a date.
    OSError
        If a file cannot be written. All files are then as they were.

    Notes
    -----
    About 16 ns an IMEI as text, 50 with reasons and dates. Memory is some MB, 200 for Parquet, and what is
    read of a mapped file does not stay there; Roaring takes memory for all.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> written = imeiset.export(imeiset.ImeiSet(["490154203237518"]), file)
    >>> file.getvalue()
    b'490154203237518\\n'
    >>> register, black = imeiset.Register(), imeiset.EquipmentStatus.BLACKLISTED
    >>> register.add("stolen", ["490154203237518"], status=black, dates=["20240229"])
    >>> file = io.BytesIO()
    >>> imeiset.export(register, file, form="csv")[0].rows
    1
    >>> file.getvalue()
    b'imei,date\\n490154203237518,2024-02-29\\n'
    """
    form = cast(Form, form)
    if isinstance(members, ImeiSet):
        if lists is not None or joined or operators:
            raise ValueError("lists, joined, operators: expected with a register or a store, got an ImeiSet")
    elif form not in FORMS:
        raise ValueError(f"expected a form of {', '.join(FORMS)}, got {form!r}")
    elif isinstance(file, str | os.PathLike) and (Path(file).is_dir() or os.fspath(file).endswith("/")):
        if joined:
            raise ValueError("joined: expected a file, got a directory")
        return write_directory(members, Path(file), form, lists, operators, progress)
    elif operators:
        raise ValueError("operators: expected a directory, and the form dirbs")
    if isinstance(file, str | os.PathLike):
        expect_written(file, "text, Parquet or Roaring")
        with publish(file) as opened:
            done = export(members, opened, form=form, lists=lists, joined=joined, progress=progress)
        return tuple(one._replace(path=os.fspath(file)) for one in done)
    if isinstance(members, ImeiSet):
        _write_set(members, file, form, progress)
        return (Exported("-", (), "imeis", len(members) + len(_irregular(members))),)
    table = one_table(members, form, lists, joined)
    names = tuple(one.name for one in table.lists)
    return (Exported("-", names, table.kind, table.write(file, progress)),)


def _write_set(members: ImeiSet, file: BinaryIO, form: str, progress: Progress | None) -> None:
    if form == "roaring":
        if members.irregular is not None and len(members.irregular):
            raise ValueError(f"expected no irregular identities for roaring, got {len(members.irregular):,}")
        file.write(members.to_roaring().serialize())
    elif form == "parquet":
        _parquet(members, file, progress)
    elif form in SET_FORMS:
        end, header = {"plain": (b"\n", b""), "csv": (b"\n", b"imei\n")}.get(
            form, (b",,\n", b"imei,block_date,reasons\n")
        )
        size, done = _DIGITS + len(end), 0
        file.write(header)
        for keys in _chunks(members):
            file.write(rows_of(keys, b"", end))
            done += len(keys)
            if progress:
                progress(done * size, len(members) * size)
        file.write(irregular_rows(_irregular(members), b"", end))
    else:
        raise ValueError(f"expected a form of {', '.join(SET_FORMS)}, got {form!r}")


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


def _chunks(members: ImeiSet) -> Iterator[Keys]:
    """The keys, some thousands at a time; a mapped file is not kept in memory."""
    return walked(members.chunks(), (section for _, section in members.sections()))


def _irregular(members: ImeiSet) -> list[bytes]:
    return [] if members.irregular is None else members.irregular.tolist()


def _parquet(members: ImeiSet, file: BinaryIO, progress: Progress | None) -> None:
    pq = extra("pyarrow.parquet", "Parquet files need pyarrow", "parquet")
    pa = extra("pyarrow", "Parquet files need pyarrow", "parquet")
    schema = pa.schema([("imei", pa.string())])
    chunks, done = _chunks(members), 0
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
