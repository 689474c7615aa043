"""Files of records, larger than memory, screened against a list: CSV on all cores, Parquet through pyarrow.

Rows are copied as they are, a word added to each; nothing but the columns of IMEIs is looked at.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._files import expect_written, publish
from ..errors import FeedEmpty
from ..feeds.options import Column, LostZeros, Options
from ..feeds.sources import Paths, names_of, size_of, total_of
from .screener import Screener
from .tables import TABLES, TableScreen, holds_table, is_table
from .tally import MAX_COLUMNS, ScreenReport, Tally
from .texts import TextScreen

TEXTS = (".csv", ".tsv", ".txt", ".gz", ".zst", ".zstd", ".xz", ".zip", ".xlsx", ".xlsm")


def screen(
    inputs: Paths,
    listed: Any,
    *,
    column: Column | Sequence[Column] | None = None,
    lost_zeros: LostZeros | None = None,
    skip: int | None = None,
    tbcd: bool | None = None,
    sheet: str | None = None,
    digits: int = 14,
    output: str | os.PathLike[str] | None = None,
    only_hits: bool = False,
    details: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> ScreenReport:
    """Screen files of records against a list, all by the state that it has now.

    A malformed row, one with more cells than the header, or one that ends before the IMEI, is not a hit: its
    status says why. In the output, rows keep their order and their bytes; blank lines, comments and lines
    above the header are left out. The status stands under its title, `status_2` where the records have a
    `status`: blank cells are left out or added at the end of a row, cells that are too many stand after it,
    and a row whose cells cannot be told, for a stray quote or CR, is quoted.

    Parameters
    ----------
    inputs : str, os.PathLike, or iterable of them
        Files of delimited text (as `load` reads them) or Parquet, or directories of them.
    listed : ImeiSet, Register, Store, or path
        The list, or where it is.
    column : str, int, or several of them, optional
        Of the IMEIs, by its name or its number from 1. Otherwise it is found. Of several, up to 8, the worst
        answer is that of the row: a hit, then malformed, then another; blank cells are none. The output then
        has a column `status_column`, which names the one that decided.
    lost_zeros : {'keep', 'restore', 'restore-imeisv'}, optional
        What IMEIs are that a spreadsheet may have taken a zero from: see `load`. Otherwise a file with many
        such is an error.
    skip : int, optional
        Lines above the header or the first row. Otherwise they are found.
    tbcd : bool, optional
        Whether IMEIs are TBCD in hex, two digits swapped. Otherwise they are not, and a file in which they
        look like it is an error.
    sheet : str, optional
        The sheet of workbooks. Otherwise the only visible one with cells.
    digits : {14, 15}
        What integers in Parquet are: keys, or numbers with the check digit.
    output : str or os.PathLike, optional
        A file for the rows with their status: CSV or Parquet, as its name says. For its owner only.
    only_hits : bool
        Write only the rows that are hits.
    details : bool
        Also write what the list that decided says of each hit, in columns `list`, `rule`, `reasons`, `date`
        and `until`, titled as the status is where records have such columns.
    progress : callable, optional
        Called with the bytes read so far, and in all if that is known.

    Returns
    -------
    ScreenReport
        What was found.

    Raises
    ------
    FeedError, SnapshotError
        A kind of it says what is wrong with an input or the list. Nothing is published then. No row of any
        file that is an IMEI is a `FeedRejects`.
    ImeisetError
        `ExtraMissing`: Parquet needs pyarrow.
    OSError
        If the output cannot be written.
    ValueError
        If there are details and no output; if the output is an input, or the list, or has the name of a
        compressed file or of a workbook.

    Notes
    -----
    Memory does not grow with the inputs.

    Examples
    --------
    >>> with open("calls.csv", "w") as file:
    ...     _ = file.write("imei,cell\\n490154203237518,7\\n356938035643809,8\\n")
    >>> blocked = imeiset.ImeiSet(["490154203237518"])
    >>> report = imeiset.screen("calls.csv", blocked, output="hits.csv", only_hits=True)
    >>> report.rows, report.hits
    (2, 1)
    >>> from pathlib import Path
    >>> Path("hits.csv").read_text()
    'imei,cell,status\\n490154203237518,7,listed\\n'
    """
    started = time.perf_counter()
    columns = column if isinstance(column, str | int | None) else tuple(column)
    options = Options(column=columns, lost_zeros=lost_zeros, skip=skip, tbcd=tbcd, sheet=sheet)
    if len(options.columns) > MAX_COLUMNS:
        raise ValueError(f"column: expected at most {MAX_COLUMNS}, got {len(options.columns)}")
    if digits not in (14, 15):
        raise ValueError(f"digits: expected 14 or 15, got {digits!r}")
    files, skipped = files_of(inputs)
    read = [*files, os.fspath(listed)] if isinstance(listed, str | os.PathLike) else files
    if output is not None and os.path.realpath(output) in map(os.path.realpath, read):
        raise ValueError(f"expected an output beside what is read, got {os.fspath(output)!r}, which is one")
    if details and output is None:
        raise ValueError("details: expected an output to write them to")
    if output is not None:
        expect_written(output, "CSV or Parquet")
    tally = Tally(Screener(listed), options, details=details)
    if tally.keeps_texts:  # a first line '#62' may be one of them
        options = replace(options, irregular="keep")
    to_table = output is not None and is_table(os.fspath(output))
    tables = to_table or (output is not None and any(map(holds_table, files)))
    total = total_of(files)
    with ExitStack() as stack:
        file = None if output is None else stack.enter_context(publish(output))
        engines: dict[bool, TextScreen | TableScreen] = {}
        done = 0
        for name in files:
            table = tables or holds_table(name)
            if table not in engines:
                engines[table] = (
                    TableScreen(
                        tally, file, only_hits, options, digits=digits, to_table=to_table, details=details
                    )
                    if table
                    else TextScreen(tally, file, only_hits, options, details)
                )
                stack.callback(engines[table].close)
            try:
                with closing(engines[table].read(name)) as positions:
                    for position in positions:
                        if progress:
                            progress(done + position, total)
            except FeedEmpty as error:
                tally.miss(name, error)
            done += size_of(name) or 0
        tally.end()
    return tally.report(files, skipped, time.perf_counter() - started)


def files_of(inputs: Paths) -> tuple[list[str], list[str]]:
    """The files of records, of directories those with a known suffix, in order; and the others there."""
    files: list[str] = []
    skipped: list[str] = []
    for path in names_of(inputs):
        if not Path(path).is_dir():
            files.append(path)
            continue
        before = len(files)
        for file in sorted(file for file in Path(path).rglob("*") if file.is_file()):
            (files if file.suffix.lower() in TEXTS + TABLES else skipped).append(str(file))
        if len(files) == before:
            raise FeedEmpty(path, f"files that end in {', '.join(TEXTS + TABLES)}", "none")
    if not files:
        raise ValueError("expected at least one file")
    return files, skipped
