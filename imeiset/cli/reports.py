"""Reports of loads as tables, for the commands that load."""

from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from imeiset.errors import printable

if TYPE_CHECKING:
    from imeiset import LoadReport


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

    names = ", ".join(f"{name} ({form})" for name, form in zip(report.sources, report.formats, strict=True))
    add("lines", report.lines, printable(names))
    for name in ("headers", "comments", "blank", "continued"):
        if count := getattr(report, name):
            add(f"  {name}", count, "lines inside quoted cells" if name == "continued" else "")
    if report.unread_statuses:
        names = printable(", ".join(report.unread_statuses))
        add("unread statuses", len(report.unread_statuses), f"in {names}: all rows count", style="yellow")
    rate = f"{report.bytes:,} bytes in {report.seconds:.2f} s, {report.rows_per_second:,.0f} rows a second"
    add("rows", report.rows, rate)
    for status, count in sorted(report.ignored.items()):
        add("ignored", count, f"status {printable(status)!r}")
    add("accepted", report.accepted)
    for digits, count in report.forms.items() if any(report.forms.values()) else ():
        add(f"  {digits} digits", count)
    if report.ranges:
        add("  ranges", report.ranges)
    if report.irregular:
        add("  irregular", report.irregular, f"{report.texts:,} different, kept as text")
    if report.wrong_check_digits:
        add("wrong check digits", report.wrong_check_digits, "neither the Luhn digit nor 0")
    if report.spare_check_digits:
        add("spare check digits", report.spare_check_digits, "0 where the Luhn digit is another")
    add("duplicates", report.duplicates)
    add("rejected", report.rejected, style="yellow" if report.rejected else "")
    for entry in sorted(report.rejects.values(), key=lambda entry: -entry.count):
        lines: dict[str, list[str]] = {}
        for source, line in entry.first:
            lines.setdefault(source, []).append(str(line))
        note = "; ".join(f"{printable(source)}: {', '.join(numbers)}" for source, numbers in lines.items())
        add(f"  {entry.text}", entry.count, note + (", ..." if entry.count > len(entry.first) else ""))
    return table
