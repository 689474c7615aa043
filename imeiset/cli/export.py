"""`imeiset export`: a snapshot to a file that others read."""

from pathlib import Path

import click

from imeiset.cli.files import check_outputs, progress_bar
from imeiset.errors import printable

_BY_NAME = {".parquet": "parquet", ".roaring": "roaring", ".csv": "dirbs"}


@click.command("export")
@click.argument("snapshot")
@click.option("-o", "--output", required=True, metavar="OUT", help="The file to write, for its owner only.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["plain", "dirbs", "parquet", "roaring"]),
    help="By the name of OUT if left out: .parquet, .roaring, .csv (dirbs), otherwise plain.",
)
def command(snapshot: str, output: str, form: str | None) -> None:
    """Write the IMEIs of a set to a file that others read.

    In order: as a plain list, a DIRBS blacklist, Parquet, or portable Roaring.
    """
    from imeiset import ImeiSet
    from imeiset._files import publish
    from imeiset.feeds.export import export

    check_outputs((snapshot,), output, None)
    members = ImeiSet.open(snapshot)
    form = form or _BY_NAME.get(Path(output).suffix, "plain")
    try:
        with progress_bar() as progress, publish(output) as file:
            export(members, form, file, progress=progress)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    click.echo(f"{printable(output)}: {len(members):,} IMEIs, {form}")
