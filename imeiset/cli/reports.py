"""Reports of loads as tables, for the commands that load."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import click
from rich.console import Console
from rich.table import Table

from imeiset.errors import printable

if TYPE_CHECKING:
    from imeiset import LoadReport
    from imeiset.feeds.report import Rejects, Suspects

# Lines that are not rows, and identities that are not digits alone, with what they are.
_OTHER_LINES = {
    "headers": "",
    "preamble": "comments above a header",
    "comments": "",
    "blank": "",
    "continued": "lines inside quoted cells",
}
_WRITTEN = {
    "separators": "with '-' or ' ' between digits",
    "pei": "'imei-...' and 'imeisv-...'",
    "filler": "with F at the end",
    "urn": "'urn:gsma:imei:...'",
    "spreadsheet": "as a spreadsheet quotes text",
    "svn": "with '/' and a software version",
}


def show_load(report: "LoadReport", title: str) -> None:
    """Print what a load found; the digest in a line of its own, which no terminal is too narrow for."""
    click.echo(title)
    Console(markup=False, emoji=False).print(_table(_rows(report)))
    if report.digest:
        click.echo(f" digest  {report.digest}")


def facts_table(title: str | None = None) -> Table:
    """A table of names, counts and notes."""
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(style="dim", overflow="fold")
    return table


def show_named(report: "LoadReport") -> None:
    """Print only what somebody should know of a load: rows that do not count, suspects, what was not read."""
    if rows := [row for row in _rows(report) if row.named]:
        Console(markup=False, emoji=False).print(_table(rows))


class _Row(NamedTuple):
    """A row of the table. named: whether somebody should know of it."""

    name: str
    number: int | None = None
    note: str = ""
    named: bool = False


def _table(rows: Iterable[_Row]) -> Table:
    table = facts_table()
    for name, number, note, named in rows:
        style = "yellow" if named and name not in ("note", "ignored") else ""
        table.add_row(name, "" if number is None else f"{number:,}", note, style=style)
    return table


def _rows(report: "LoadReport") -> Iterator[_Row]:
    names = ", ".join(f"{name} ({form})" for name, form in zip(report.sources, report.formats, strict=True))
    yield _Row("lines", report.lines, printable(names))
    for name, note in _OTHER_LINES.items():
        if count := getattr(report, name):
            yield _Row(f"  {name}", count, note)
    for unread in report.unread:
        values = ", ".join(map(printable, unread.values))
        named = f"{printable(unread.source)}: column '{printable(str(unread.column))}', like {unread.why}"
        yield _Row("not looked at", None, f"{named}: {values}" if values else named, named=True)
    for source, note in report.notes:
        yield _Row("note", None, f"{printable(source)}: {printable(note)}", named=True)
    rate = f"{report.bytes:,} bytes in {report.seconds:.2f} s, {report.rows_per_second:,.0f} rows a second"
    yield _Row("rows", report.rows, rate)
    for status, count in sorted(report.ignored.items()):
        yield _Row("ignored", count, f"status {printable(status)!r}", named=True)
    yield _Row("accepted", report.accepted)
    if report.identities != report.accepted:
        yield _Row("identities", report.identities, "of rows with several columns of IMEIs")
    for digits, count in report.forms.items() if any(report.forms.values()) else ():
        yield _Row(f"  {digits} digits", count)
    for form, count in report.written.items():
        if count:
            yield _Row(f"  {form}", count, _WRITTEN[form])
    if report.ranges:
        yield _Row("  ranges", report.ranges)
    if report.irregular:
        yield _Row("  irregular", report.irregular, f"{report.texts:,} different, kept as text")
    if report.wrong_check_digits:
        yield _Row("wrong check digits", report.wrong_check_digits, "neither the Luhn digit nor 0")
    if report.spare_check_digits:
        yield _Row("spare check digits", report.spare_check_digits, "0 where the Luhn digit is another")
    for name, suspects, note in (
        ("lost zeros", report.lost_zeros, "14 digits that are 15 with a zero before them"),
        ("lost zeros", report.lost_zeros_imeisv, "15 digits that may be an IMEISV without its zero"),
        *(("placeholders", some, kind) for kind, some in report.placeholders.items()),
        ("dates", report.dates_not_understood, "not understood"),
    ):
        if suspects.count:
            yield _Row(name, suspects.count, f"{note}: {places_of(suspects)}", named=True)
    yield _Row("duplicates", report.duplicates)
    yield _Row("rejected", report.rejected, named=report.rejected > 0)
    for entry in sorted(report.rejects.values(), key=lambda entry: -entry.count):
        yield _Row(f"  {entry.text}", entry.count, places_of(entry), named=True)
    if report.partly:
        yield _Row("  partly", report.partly, "rejected rows whose other IMEIs are in the result", named=True)


def places_of(rows: "Suspects | Rejects") -> str:
    """The first lines, by source."""
    lines: dict[str, list[str]] = {}
    for source, line in rows.first:
        lines.setdefault(source, []).append(str(line))
    named = "; ".join(f"{printable(source)}: {', '.join(numbers)}" for source, numbers in lines.items())
    return named + (", ..." if rows.count > len(rows.first) else "")
