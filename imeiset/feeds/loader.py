"""Sources to a set, or to a table; every row that is not in it is explained."""

import os
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import irregular as irregulars
from ..errors import CheckDigit, FeedColumn
from ..sets import ImeiSet
from . import arrow
from .blocks import Block
from .formats import CHANGE, Polarity
from .options import MAX_LINE, Column, LostZeros, Options, Where
from .reader import THREADS, Reader, RejectFiles
from .report import LoadReport
from .rows import dtype_of
from .sources import MAX_BYTES, MAX_RATIO, Paths, names_of, total_of

_CODED = ("status", "reasons", CHANGE)
_REQUIRED = ("imsi", CHANGE)
NONE_REJECTED = (np.empty(0, np.int64), np.empty(0, np.uint8))
Progress = Callable[[int, int | None], None]


class LoadResult(NamedTuple):
    """The set that was loaded, and what was in the sources.

    Attributes
    ----------
    set : ImeiSet
        The set.
    report : LoadReport
        What was read, and what became of it.

    Examples
    --------
    >>> with open("list.csv", "w") as file:
    ...     _ = file.write("imei\\n490154203237518\\n")
    >>> members, report = imeiset.load("list.csv")
    >>> len(members), report.rows
    (1, 1)
    """

    set: ImeiSet
    report: LoadReport


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of sources, in order, with further columns.

    keys: uint64[n], and of ranges and TACs, highs: the last of each; otherwise None. texts: the irregular
    identities, S16[m], which have rows of their own. columns and text_columns: the columns of the n and m
    rows, by name: 'line' int64, 'listed' bool (whether the status counts), 'date' and 'until' int32 as
    YYYYMMDD, 'imsi' (the number of its digits after a 1: leading zeros matter) and 'msisdn' uint64, 0 for
    none; 'status', 'reasons' and 'change_type' are int32 codes, whose names are in `values`. A column that no
    source had is missing; where only some had it, the rows of others have what stands for none. members: what
    zip archives among the sources call the file within. rejected: the lines of rejected rows, and why.
    """

    keys: NDArray[np.uint64]
    highs: NDArray[np.uint64] | None
    texts: irregulars.Identities
    columns: dict[str, NDArray[Any]]
    text_columns: dict[str, NDArray[Any]]
    values: dict[str, list[str]]
    report: LoadReport
    members: Sequence[str] = ()
    rejected: tuple[NDArray[np.int64], NDArray[np.uint8]] = NONE_REJECTED


def load(
    paths: Paths,
    *,
    format: str | None = None,
    column: Column | Sequence[Column] | None = None,
    check_digit: CheckDigit = "ignore",
    irregular: irregulars.Handling = "reject",
    lost_zeros: LostZeros | None = None,
    where: Where | Mapping[Column, str | Iterable[str]] | str | None = None,
    imsi: Literal["ignore"] | None = None,
    skip: int | None = None,
    tbcd: bool | None = None,
    sheet: str | None = None,
    rejects: str | os.PathLike[str] | None = None,
    max_rejects: int | None = None,
    max_line: int = MAX_LINE,
    max_rows: int | None = None,
    max_bytes: int = MAX_BYTES,
    max_ratio: float = MAX_RATIO,
    progress: Progress | None = None,
) -> LoadResult:
    """The set of all IMEIs in files: plain lists, delimited text, Parquet or Arrow.

    The delimiter (comma, semicolon, tab, pipe or none) and the header are found for each file. Lines that
    start with '#' are comments. Rows of a status that does not count are ignored.

    Parameters
    ----------
    paths : str, os.PathLike, or iterable of them
        Files, '-' for stdin, or URLs for fsspec (extra `fsspec`). Plain, gzip, zstd (extra `zstd`), xz, or
        zip of one file.
    format : str, optional
        A name of `formats.FORMATS`, whose columns the files must have. Otherwise the header decides.
    column : str or int, or sequence of them, optional
        The header's name for the column of the IMEIs, or its number from 1. Several are the IMEIs of one
        phone. Otherwise it is found, see `dialect.sniff`.
    check_digit : {'ignore', 'spare', 'require'}
        Which 15th digits are accepted (3GPP TS 23.003 annex B): any, for it is not part of what identifies;
        the right one or 0; the right one. Rows with another are rejected.
    irregular : {'reject', 'keep'}
        What becomes of irregular identities ('62#222222222222'): a rejected row, or a text beside the set.
    lost_zeros : {'keep', 'restore', 'restore-imeisv'}, optional
        What becomes of numbers that may have lost a leading zero in a spreadsheet. 'keep': they are as they
        are. 'restore': every row of 14 digits is read as 0 and the row, and rejected if the check digit is
        then wrong. 'restore-imeisv': every row of 15 digits is an IMEISV of 0 and the row. None: an error if
        there are many.
    where : str, mapping or options.Where, optional
        The rows that count, as 'COLUMN=VALUE,VALUE' or {COLUMN: [VALUE, VALUE]}, in any case; the others
        are ignored.
    imsi : {'ignore'}, optional
        What becomes of IMSIs beside the IMEIs. None: an error, as such a list blocks a phone with a
        subscriber, and not for everybody.
    skip : int, optional
        Lines above the header or the first row. None: they are found.
    tbcd : bool, optional
        Whether cells are TBCD in hex, two digits swapped. None: no, and an error if they look like it.
    sheet : str, optional
        Of a workbook. None: the only one with cells.
    rejects : str or os.PathLike, optional
        A file for the rejected rows as they were, after line, source and reason, readable by its owner only.
        Mended, it can be loaded.
    max_rejects : int, optional
        How many rejected rows are allowed.
    max_line : int
        Bytes. A longer row is rejected and never held in memory.
    max_rows : int, optional
        Rows of all files.
    max_bytes : int
        Bytes of text of one file.
    max_ratio : float
        Bytes of text for each compressed one, which only a bomb exceeds.
    progress : callable, optional
        Called with the bytes of the files read so far, and in all if that is known.

    Returns
    -------
    LoadResult
        The set and the report.

    Raises
    ------
    FeedError
        A kind of it says what is wrong with a file, with its line. Nothing is returned then.
    ImeisetError
        `ExtraMissing` names the extra that a file needs.

    Notes
    -----
    Memory is 8 bytes for each row, twice while the set is made, and some blocks of text.

    Examples
    --------
    >>> with open("list.csv", "w") as file:
    ...     _ = file.write("imei\\n490154203237518\\n35693803564380x\\n")
    >>> result = imeiset.load("list.csv")
    >>> list(result.set), result.report.rejected
    (['490154203237518'], 1)
    """
    options = Options.of(locals())
    names = _names(paths, rejects)
    started = time.perf_counter()
    keys: list[NDArray[np.uint64]] = []
    lows: list[NDArray[np.uint64]] = []
    highs: list[NDArray[np.uint64]] = []
    texts: set[bytes] = set()
    with Reader(options, sources=names) as reader, closing(_blocks(reader, names, progress)) as blocks:
        for block in blocks:
            (lows if block.highs else keys).extend(block.keys)
            highs.extend(block.highs)
            texts.update(block.texts)
        kept = irregulars.table(texts) if irregular == "keep" else None
        result = ImeiSet.from_parts(keys, threads=THREADS, digest=not lows).keeping(kept)
        if lows:
            result |= ImeiSet.from_ranges(np.concatenate(lows), np.concatenate(highs))
        report = reader.report
        report.digest = result.digest()
    report.keys = len(result)
    report.texts = len(texts)
    report.duplicates = 0 if lows else report.identities - report.keys - report.texts
    report.seconds = time.perf_counter() - started
    return LoadResult(result, report)


def read(
    paths: Paths,
    columns: Iterable[str],
    *,
    options: Options | None = None,
    delta: bool = False,
    signs: bool = True,
    polarity: Polarity | None = None,
    progress: Progress | None = None,
    files: RejectFiles | None = None,
) -> Rows:
    """The rows of sources with further columns, of 'line', 'listed', 'status', 'reasons', 'date', 'until',
    'imsi', 'msisdn' and 'change_type'. With 'imsi' a row that has none is rejected; with it or
    with changes, a row that ends before that column.

    options: as for `load`. delta: changes may be read; signs: '+' and '-' before the numbers of a plain list
    are such. polarity: what becomes of the phones of the list, which words in other columns may contradict;
    None: what its format says. Raises as `load` does. Memory: a row costs 8 bytes and its columns, twice.
    """
    options = options or Options()
    names, wanted = _names(paths, None if files else options.rejects), tuple(columns)
    started = time.perf_counter()
    found = Block()
    with Reader(options, wanted, signs=signs, polarity=polarity, sources=names, files=files) as reader:
        with closing(_blocks(reader, names, progress, delta)) as blocks:
            for block in blocks:
                _append(found, block, reader)
        present = [name for name in wanted if name in found.columns]
        for name in present:
            if name not in found.text_columns:
                found.text_columns[name] = [_absent(name, len(found.texts), reader)]
        values = {name: reader.values.names(name) for name in wanted if name in _CODED}
    report = reader.report
    report.texts = len(set(found.texts))
    report.seconds = time.perf_counter() - started
    return Rows(
        _joined(found.keys, np.uint64),
        _joined(found.highs, np.uint64) if found.highs else None,
        np.array(found.texts, irregulars.NONE.dtype),
        {name: _joined(found.columns[name], dtype_of(name)) for name in present},
        {name: _joined(found.text_columns[name], dtype_of(name)) for name in present},
        values,
        report,
        reader.members,
        reader.rejected(),
    )


def _append(found: Block, block: Block, reader: Reader) -> None:
    """Add the rows of a block, and to columns that it or those before it have not, what stands for none."""
    for into, of, more in (
        (found.columns, block.columns, sum(map(len, block.keys))),
        (found.text_columns, block.text_columns, len(block.texts)),
    ):
        for name in {**into, **of}:
            if name not in into:
                before = sum(map(len, found.keys)) if into is found.columns else len(found.texts)
                into[name] = [_absent(name, before, reader)]
            into[name] += of.get(name) or [_absent(name, more, reader)]
    found.keys += block.keys
    found.highs += block.highs
    found.texts += block.texts


def _absent(name: str, rows: int, reader: Reader) -> NDArray[Any]:
    """A column of rows of sources that do not have it."""
    if rows and name in _REQUIRED:
        raise FeedColumn(
            reader.report.sources[-1], f"a column {name!r}, or none in any source", "no such one"
        )
    value = reader.values.codes(name, [b""])[0] if rows and name in _CODED else int(name == "listed")
    return np.full(rows, value, dtype_of(name))


def _joined(pieces: list[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *pieces]) if pieces else np.empty(0, dtype)


def _names(paths: Paths, rejects: str | os.PathLike[str] | None) -> list[str]:
    names = names_of(paths)
    if not names:
        raise ValueError("expected at least one file")
    if rejects is not None and os.path.realpath(rejects) in map(os.path.realpath, names):
        raise ValueError(f"expected rejects beside the sources, got {os.fspath(rejects)!r}, which is one")
    return names


def _blocks(
    reader: Reader, names: list[str], progress: Progress | None, delta: bool = False
) -> Generator[Block, None, None]:
    """The parts of all sources."""
    total = total_of(names)
    done = position = 0
    for name in names:
        found = arrow.blocks(reader, name, delta) or reader.text_blocks(name, delta)
        with closing(reader.read(name, found)) as given:
            for block, position in given:
                if progress:
                    progress(done + position, total)
                yield block
        done += position
    reader.zeros.expect_together()
    reader.identities.expect_together()
