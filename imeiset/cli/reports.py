"""Reports of loads as tables, for the commands that load."""

from typing import TYPE_CHECKING

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
    Console(markup=False, emoji=False).print(_load_table(report))
    if report.digest:
        click.echo(f" digest  {report.digest}")


def facts_table(title: str | None = None) -> Table:
    """A table of names, counts and notes."""
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(style="dim", overflow="fold")
    return table


def _load_table(report: "LoadReport") -> Table:
    table = facts_table()

    def add(name: str, count: int, note: str = "", style: str = "") -> None:
        table.add_row(name, f"{count:,}", note, style=style)

    def suspect(name: str, suspects: "Suspects", note: str) -> None:
        if suspects.count:
            add(name, suspects.count, f"{note}: {_places(suspects)}", style="yellow")

    names = ", ".join(f"{name} ({form})" for name, form in zip(report.sources, report.formats, strict=True))
    add("lines", report.lines, printable(names))
    for name, note in _OTHER_LINES.items():
        if count := getattr(report, name):
            add(f"  {name}", count, note)
    for unread in report.unread:
        values = ", ".join(map(printable, unread.values))
        named = f"{printable(unread.source)}: column '{printable(str(unread.column))}', like {unread.why}"
        table.add_row("not looked at", "", f"{named}: {values}" if values else named, style="yellow")
    for source, note in report.notes:
        table.add_row("note", "", f"{printable(source)}: {printable(note)}")
    rate = f"{report.bytes:,} bytes in {report.seconds:.2f} s, {report.rows_per_second:,.0f} rows a second"
    add("rows", report.rows, rate)
    for status, count in sorted(report.ignored.items()):
        add("ignored", count, f"status {printable(status)!r}")
    add("accepted", report.accepted)
    if report.identities != report.accepted:
        add("identities", report.identities, "of rows with several columns of IMEIs")
    for digits, count in report.forms.items() if any(report.forms.values()) else ():
        add(f"  {digits} digits", count)
    for form, count in report.written.items():
        if count:
            add(f"  {form}", count, _WRITTEN[form])
    if report.ranges:
        add("  ranges", report.ranges)
    if report.irregular:
        add("  irregular", report.irregular, f"{report.texts:,} different, kept as text")
    if report.wrong_check_digits:
        add("wrong check digits", report.wrong_check_digits, "neither the Luhn digit nor 0")
    if report.spare_check_digits:
        add("spare check digits", report.spare_check_digits, "0 where the Luhn digit is another")
    suspect("lost zeros", report.lost_zeros, "14 digits that are 15 with a zero before them")
    suspect("lost zeros", report.lost_zeros_imeisv, "15 digits that may be an IMEISV without its zero")
    for kind, suspects in report.placeholders.items():
        suspect("placeholders", suspects, kind)
    suspect("dates", report.dates_not_understood, "not understood")
    add("duplicates", report.duplicates)
    add("rejected", report.rejected, style="yellow" if report.rejected else "")
    for entry in sorted(report.rejects.values(), key=lambda entry: -entry.count):
        add(f"  {entry.text}", entry.count, _places(entry))
    if report.partly:
        add("  partly", report.partly, "rejected rows whose other IMEIs are in the result", style="yellow")
    return table


def _places(rows: "Suspects | Rejects") -> str:
    """The first lines, by source."""
    lines: dict[str, list[str]] = {}
    for source, line in rows.first:
        lines.setdefault(source, []).append(str(line))
    named = "; ".join(f"{printable(source)}: {', '.join(numbers)}" for source, numbers in lines.items())
    return named + (", ..." if rows.count > len(rows.first) else "")
