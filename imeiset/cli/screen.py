"""`imeiset screen`: records screened against a list, files larger than memory."""

from typing import TYPE_CHECKING, Any

import click

from imeiset.cli.files import FILE, argument, check_outputs, json_option, progress_bar, stdin_once
from imeiset.cli.options import given, reading_options
from imeiset.errors import printable

if TYPE_CHECKING:
    from rich.table import Table

    from imeiset import ScreenReport


@click.command("screen")
@argument("snapshot", "A set, a register or a store.", type=FILE, metavar="SNAPSHOT|STORE")
@argument(
    "inputs",
    "Files of records, or directories of such files. '-' is stdin.",
    type=FILE,
    metavar="INPUT...",
    nargs=-1,
    required=True,
    callback=stdin_once,
)
@reading_options("screen")
@click.option(
    "--digits",
    type=click.Choice(["14", "15"]),
    default="14",
    help="Integers in Parquet are keys of 14 digits, or numbers of 15 with the check digit. For text, see "
    "--lost-zeros.",
)
@click.option(
    "-o",
    "--output",
    type=FILE,
    metavar="OUT",
    help="Write the rows and their status to this file, CSV or Parquet.",
)
@click.option("--only", type=click.Choice(["hits"]), help="Write only the rows that are hits.")
@click.option(
    "--details",
    is_flag=True,
    help="Also write the list, rule, reasons, date and until of each hit.",
)
@json_option
@click.pass_context
def command(
    context: click.Context,
    /,
    snapshot: str,
    inputs: tuple[str, ...],
    output: str | None,
    only: str | None,
    details: bool,
    as_json: bool,
    digits: str,
    **options: Any,
) -> None:
    """Look up the IMEI of every record of files.

    \b
    imeiset screen blocked.imei calls.csv.gz
    imeiset screen eir calls/ -o hits.parquet --only hits

    An INPUT is delimited text, compressed or not, a workbook, Parquet, or a directory of such files. '-' is
    stdin. With -o, OUT gets the rows as they were, and a status after each: 'listed', 'not listed', or
    'malformed: ' and why. From a register the status is that of the equipment. OUT appears whole or not at
    all.

    Exit code: 0 if a record is a hit, 1 if none is, 2 after an error.
    """
    from imeiset import screen
    from imeiset._files import expect_written
    from imeiset.screening.files import files_of

    if only and not output:
        raise click.UsageError("--only needs -o")
    if details and not output:
        raise click.UsageError("--details needs -o")
    if output:
        try:
            expect_written(output, "CSV or Parquet")
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        check_outputs((snapshot, *files_of(inputs)[0]), output, None)
    with progress_bar() as progress:
        result = screen(
            inputs,
            snapshot,
            **given(options, "screen"),
            digits=int(digits),
            output=output,
            only_hits=only == "hits",
            details=details,
            progress=progress,
        )
    if as_json:
        click.echo(result.to_json())
    else:
        from rich.console import Console

        Console(markup=False, emoji=False).print(_table(result))
    context.exit(0 if result.hits else 1)


def _table(report: "ScreenReport") -> "Table":
    from imeiset.cli.reports import facts_table, places_of

    table = facts_table(f"{report.hits:,} hits")
    sources = ", ".join(report.inputs[:3]) + (", ..." if len(report.inputs) > 3 else "")
    rate = report.rows / report.seconds if report.seconds else 0
    each_second = f"{rate / 1e6:.1f} million" if rate >= 1e6 else f"{rate:,.0f} rows"
    table.add_row(
        "rows",
        f"{report.rows:,}",
        f"{printable(sources)}, {report.seconds:.2f} s, {each_second} a second",
    )
    for word, count in sorted(report.words.items(), key=lambda entry: -entry[1]):
        table.add_row(f"  {word}", f"{count:,}", "", style="yellow" if word.startswith("malformed") else "")
    for place, (name, count) in enumerate(report.lists.items() if len(report.lists) > 1 else ()):
        on = report.on.get(name, count)
        note = f"; {on:,} are on it" if on != count else ""
        table.add_row("" if place else "hits by list", f"{count:,}", printable(name) + note)
    if report.malformed and not any(word.startswith("malformed") for word in report.words):
        note = "not IMEIs, which got what the policy says of such"
        table.add_row("malformed", f"{report.malformed:,}", note, style="yellow")
    for suspects, note in (
        (report.lost_zeros, "14 digits that are 15 with a zero before them"),
        (report.lost_zeros_imeisv, "15 digits that may be an IMEISV without its zero"),
    ):
        if suspects.count:
            table.add_row(
                "lost zeros", f"{suspects.count:,}", f"{note}: {places_of(suspects)}", style="yellow"
            )
    if report.without_imeis:
        names = printable(", ".join(report.without_imeis[:3]))
        table.add_row("files without an IMEI", f"{len(report.without_imeis):,}", names, style="yellow")
    if report.skipped:
        table.add_row("files skipped", f"{len(report.skipped):,}", printable(", ".join(report.skipped[:3])))
    for place, (tac, count) in enumerate(report.tacs.items()):
        table.add_row("" if place else "hits by TAC", f"{count:,}", tac)
    return table
