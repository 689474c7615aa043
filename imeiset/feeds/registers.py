"""The lists of a description loaded into a register: `load_register`."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import FeedColumn, FeedError, FeedLimit, FeedRejects, mask_imsi
from ..register.imsis import PREFIX
from ..register.kinds import FILE_KINDS, RULES, FileKind
from ..register.layered import LayeredSet
from ..register.pairs import LayeredPairs
from ..register.register import Register
from ..sets import ImeiSet
from .description import (
    Description,
    Files,
    Listing,
    empty_register,
    polarity_of,
    read_description,
    understood,
)
from .details import DETAILS, days_of, described, expect_dates
from .formats import FORMATS
from .loader import Progress, Rows, read
from .reader import RejectFiles
from .report import LoadReport
from .sources import Source, size_of, total_of

_LONGEST = 1 << 24  # bytes of a list of IMSI prefixes


class ListReport(NamedTuple):
    """What was in the files of one table of a description; keys counts what the list got of them."""

    name: str
    kind: FileKind
    report: LoadReport


class LoadedRegister(NamedTuple):
    """The register of a description, and what was in its files, table by table.

    Attributes
    ----------
    register : Register
        The register.
    reports : tuple of ListReport
        Of each table of the description: name, kind, and a `LoadReport` whose keys count what the list got.

    Examples
    --------
    >>> with open("list.csv", "w") as file:
    ...     _ = file.write("imei\\n490154203237518\\n")
    >>> with open("register.toml", "w") as file:
    ...     _ = file.write("[[lists]]\\nname = 'stolen'\\nstatus = 'blacklisted'\\nfiles = ['list.csv']\\n")
    >>> register, reports = imeiset.load_register("register.toml")
    >>> reports[0].name, reports[0].report.keys
    ('stolen', 1)
    """

    register: Register
    reports: tuple[ListReport, ...]


def load_register(
    description: Description | str | os.PathLike[str],
    *,
    files: Files | None = None,
    rejects: str | os.PathLike[str] | None = None,
    max_rejects: int | None = None,
    max_rows: int | None = None,
    progress: Progress | None = None,
) -> LoadedRegister:
    """The register that a TOML file describes, see `imeiset.feeds.description` for what stands in it.

    Reasons and dates are kept where a feed has them. All lists are loaded, or nothing is returned and no
    rejects are left.

    Parameters
    ----------
    description : str, os.PathLike or Description
        The TOML file.
    files : mapping of str to paths, optional
        For this run, other files of lists: by the name of the list, as `load` takes them.
    rejects : str or os.PathLike, optional
        Where rejected rows go: for each list to a file of its own, whose name ends in that of the list.
    max_rejects : int, optional
        How many rejected rows are allowed in each list that does not say it.
    max_rows : int, optional
        Rows of each list.
    progress : callable, optional
        As for `load`.

    Returns
    -------
    LoadedRegister
        The register, and the reports.

    Raises
    ------
    FeedDescription
        If the description is not understood.
    FeedError
        As `load` does.

    Notes
    -----
    Memory: a row costs 8 bytes and its columns, twice, list by list; and the register.

    Examples
    --------
    >>> with open("list.csv", "w") as file:
    ...     _ = file.write("imei\\n490154203237518\\n")
    >>> with open("register.toml", "w") as file:
    ...     _ = file.write("[[lists]]\\nname = 'stolen'\\nstatus = 'blacklisted'\\nfiles = ['list.csv']\\n")
    >>> register, reports = imeiset.load_register("register.toml")
    >>> register.check("490154203237518").list
    'stolen'
    """
    if isinstance(description, Description):
        if files:
            raise ValueError("files: expected with the path of a description")
    else:
        description = read_description(description, files)
    register, reports = empty_register(description), []
    total, done = total_of(description.files), 0

    def advance(position: int, _: int | None) -> None:
        if progress:
            progress(done + position, total)

    with RejectFiles(description.files) as outputs:
        for one in description.lists:
            options = replace(
                one.options,
                change_column=None,  # of deltas, as are its values
                change_values=None,
                rejects=_rejects(one, rejects),
                max_rejects=max_rejects if one.options.max_rejects is None else one.options.max_rejects,
                max_rows=max_rows,
            )
            started = time.perf_counter()
            polarity = polarity_of(one.kind, one.status)
            reading = partial(
                read, one.files, options=options, polarity=polarity, progress=advance, files=outputs
            )
            try:
                report = _load(register, one, reading, description.path)
            except FeedError as error:
                raise description.told(error, one.name) from error
            report.seconds = time.perf_counter() - started
            reports.append(ListReport(one.name, one.kind, report))
            done += sum(size_of(name) or 0 for name in one.files)
    return LoadedRegister(register, tuple(reports))


def _rejects(one: Listing, path: str | os.PathLike[str] | None) -> Path | None:
    """Where rejected rows of a list go."""
    if path is None or one.rule == "imsi":
        return None
    target, name = Path(os.path.realpath(path)), re.sub(r"[^\w.-]", "_", one.name)
    return target.with_name(f"{target.stem}-{name}{target.suffix}")


def _load(register: Register, one: Listing, reading: Callable[..., Rows], path: str) -> LoadReport:
    """Add what is in the files of a table of the description at `path`."""
    if one.rule == "imsi":
        with understood(path):  # no prefix is on two lists
            return _load_prefixes(register, one)
    if one.rule == "pair":
        return _load_pairs(register, one, reading)
    columns = DETAILS if one.rule == "exact" and one.details else ()
    table = reading(columns)
    _expect_identity(one, table)
    if columns:
        expect_dates(one.files[0], table, one.options)
    report = table.report
    if table.highs is not None:
        members = ImeiSet.from_ranges(table.keys, table.highs)
        register.add_list(one.holding(**{one.rule: LayeredSet(members)}))
        report.keys, report.digest = len(members), members.digest()
        return report
    members, details = described(table)
    exact = LayeredSet(members, details)
    register.add_list(one.holding(exact=exact, irregular=frozenset(table.texts.tolist())))
    report.keys = len(members)
    report.duplicates = report.accepted - report.keys - report.texts
    keep = one.options.irregular == "keep"
    # Another set: the list keeps its irregular identities itself, not those of this file beside its IMEIs.
    whole = (
        ImeiSet.from_sections(dict(members.sections())).keeping(np.unique(table.texts)) if keep else members
    )
    report.digest = whole.digest()
    return report


def _expect_identity(one: Listing, table: Rows) -> None:
    """Raise FeedColumn for a file that holds something else than its list."""
    wanted = RULES[one.rule].identity
    for path, form in zip(table.report.sources, table.report.formats, strict=True):
        got = FORMATS[form].identity
        if got != wanted:
            kind = next(kind for kind, (_, rule) in FILE_KINDS.items() if RULES[rule].identity == got)
            expected = f"{one.kind} for list {one.name!r}, or kind = {kind!r} in its description"
            raise FeedColumn(path, expected, f"a list of {kind}")


def _load_pairs(register: Register, one: Listing, reading: Callable[..., Rows]) -> LoadReport:
    table = reading(("imsi", "until") if one.details else ("imsi",))
    _expect_identity(one, table)
    expect_dates(one.files[0], table, one.options)
    if "imsi" not in table.columns and table.report.accepted:
        raise FeedColumn(one.files[0], "a header with 'imei' and 'imsi', for pairs", "no column 'imsi'")
    imsis = table.columns.get("imsi", np.empty(0, np.uint64))
    days = days_of(table.columns["until"]) if "until" in table.columns else None
    before = register.counts()[one.name].get("pair", 0)
    register.add_list(one.holding(pairs=LayeredPairs.of(table.keys, imsis, days)))
    table.report.keys = register.counts()[one.name].get("pair", 0) - before
    table.report.duplicates = table.report.accepted - table.report.keys
    return table.report


def _load_prefixes(register: Register, one: Listing) -> LoadReport:
    """IMSI prefixes of 1 to 15 digits, one a line."""
    report, prefixes = LoadReport(), list(one.prefixes)
    for path in one.files:
        report.sources.append(path)
        report.formats.append("imsis")
        for number, line in enumerate(_lines(path), 1):
            report.lines += 1
            text = line.strip()
            if not text or text.startswith("#"):
                report.blank, report.comments = report.blank + (not text), report.comments + bool(text)
                continue
            report.rows += 1
            if not (prefix := PREFIX.fullmatch(text)):
                raise FeedRejects(
                    path, "an IMSI prefix of 1 to 15 digits", f"'{mask_imsi(text)}'", line=number
                )
            prefixes.append(prefix[1])
            report.accepted += 1
    register.add_imsis(one.name, prefixes, status=one.status, reason=one.reason, owner=one.owner)
    report.keys = len(set(prefixes))
    report.duplicates = len(prefixes) - report.keys
    return report


def _lines(path: str) -> list[str]:
    text = bytearray()
    with Source(path) as source:
        for buffer, start, stop in source:
            text += buffer[start:stop]
            source.release(buffer)
            if len(text) > _LONGEST:
                raise FeedLimit(path, f"at most {_LONGEST} bytes of IMSI prefixes", "more")
    lines = text.decode(errors="replace").split("\n")
    return lines[:-1] if lines[-1] == "" else lines
