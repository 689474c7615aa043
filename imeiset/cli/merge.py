"""`imeiset merge`: snapshots of sets into one."""

import click

from imeiset.cli.files import check_outputs, progress_bar
from imeiset.errors import printable


@click.command("merge")
@click.argument("parts", metavar="PART...", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="OUT", help="The snapshot to write.")
def command(parts: tuple[str, ...], output: str) -> None:
    """Join snapshots of sets, in any order, into one.

    In a single pass, and in memory that does not grow with them: for lists that were built in parts, on many
    machines. OUT has the same bytes as if it had been built in one piece; it appears whole or not at all.
    """
    from imeiset import merge

    check_outputs(parts, output, None)
    with progress_bar() as progress:
        count = merge(parts, output, progress=progress)
    click.echo(f"{printable(output)}: {count:,} IMEIs")
