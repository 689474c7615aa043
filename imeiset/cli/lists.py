"""What `imeiset info` prints of a list that is not built yet."""

import json
from typing import TYPE_CHECKING, Any

import click

from imeiset.errors import printable

if TYPE_CHECKING:
    from imeiset.feeds.overview import Overview


def show_list(path: str, options: dict[str, Any], as_json: bool) -> None:
    """Print what a list is taken for, and why `build` would refuse it."""
    from imeiset.feeds.options import Options
    from imeiset.feeds.overview import overview

    try:
        reading = Options(**options)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    found = overview(path, reading)
    if as_json:
        click.echo(json.dumps(found.to_dict()))
    else:
        _show(found)


def _show(found: "Overview") -> None:
    from rich.console import Console
    from rich.table import Table

    from imeiset.cli.reports import show_load

    console = Console(markup=False, emoji=False, highlight=False)
    header = "no header" if found.header is None else f"header in line {found.header}"
    above = f", {found.preamble:,} line{'s' * (found.preamble > 1)} above" if found.preamble else ""
    facts = f"compression {found.compression}, delimiter {found.delimiter}, {header}{above}"
    click.echo(f"{printable(found.path)}: {facts}")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("", "column", "taken for", "in the first rows"):
        table.add_column(name, justify="left", overflow="fold")
    for column in found.columns:
        counted = ", ".join(f"{value or repr('')} ({count:,})" for value, count in column.values.items())
        title = "" if column.title is None else printable(column.title)
        table.add_row(
            str(column.number),
            title,
            printable(column.taken_for),
            printable(counted or ", ".join(column.samples)),
            style="yellow" if "like" in column.taken_for else "",
        )
    console.print(table)
    click.echo()
    rows = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for row in found.rows:
        rows.add_row(*map(printable, row))
    console.print(rows)
    click.echo()
    if found.refused is not None:
        click.echo(f"imeiset build refuses it: {printable(found.refused)}")
        return
    show_load(found.report, f"imeiset build takes it as {found.format}:")
