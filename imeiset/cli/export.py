"""`imeiset export`: a snapshot to a file that others read."""

from pathlib import Path

import click

from imeiset.cli.files import FILE, check_outputs, output_file, progress_bar
from imeiset.errors import printable

_BY_NAME = {".parquet": "parquet", ".roaring": "roaring", ".csv": "dirbs"}


@click.command("export")
@click.argument("snapshot", type=FILE)
@click.option(
    "-o", "--output", type=FILE, required=True, metavar="OUT", help="The file to write, '-' is stdout."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["plain", "dirbs", "parquet", "roaring"]),
    help="What to write. [default: by the name of OUT: .parquet, .roaring, .csv (dirbs), or plain]",
)
def command(snapshot: str, output: str, form: str | None) -> None:
    """Write the IMEIs of a set to a file that others read.

    \b
    imeiset export blocked.imei -o blocked.parquet
    imeiset export blocked.imei -o - | head

    OUT is a plain list, a DIRBS blacklist, Parquet or portable Roaring, in the order of the IMEIs. A file
    appears whole or not at all, and only its owner may read it.
    """
    from imeiset import ImeiSet, export

    if output != "-":
        check_outputs((snapshot,), output, None)
    members = ImeiSet.open(snapshot)
    form = form or _BY_NAME.get(Path(output).suffix, "plain")
    try:
        with progress_bar() as progress, output_file(output) as file:
            export(members, file, form=form, progress=progress)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if output != "-":
        click.echo(f"{printable(output)}: {len(members):,} IMEIs, {form}")
