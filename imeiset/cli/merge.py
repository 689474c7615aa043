"""`imeiset merge`: snapshots of sets into one."""

import click

from imeiset.cli.files import FILE, argument, check_outputs, counted, progress_bar
from imeiset.errors import printable


@click.command("merge")
@argument("parts", "Snapshots of sets.", type=FILE, metavar="PART...", nargs=-1, required=True)
@click.option("-o", "--output", type=FILE, required=True, metavar="OUT", help="The snapshot to write.")
def command(parts: tuple[str, ...], output: str) -> None:
    """Join snapshots of sets into one.

    \b
    imeiset merge part-*.imei -o blocked.imei

    The parts may come from many machines, in any order. Merging takes one pass, and memory that does not grow
    with the lists. OUT has the same bytes as a snapshot that was built in one piece. It appears whole or not
    at all.
    """
    from imeiset import merge

    check_outputs(parts, output, None)
    with progress_bar() as progress:
        count = merge(parts, output, progress=progress)
    click.echo(f"{printable(output)}: {counted(count, 'IMEI')}")
