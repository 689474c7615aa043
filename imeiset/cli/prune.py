"""`imeiset prune`: the old generations of a store."""

import click

from imeiset.cli.files import DIRECTORY
from imeiset.errors import printable


@click.command("prune")
@click.argument("store", type=DIRECTORY)
@click.option("--keep", type=click.IntRange(1), required=True, metavar="N", help="How many stay.")
def command(store: str, keep: int) -> None:
    """Remove the old generations of a store.

    \b
    imeiset prune eir --keep 2

    Readers that still use one go on: its files live until they move.
    """
    from imeiset import Store

    with Store.open(store) as opened:
        gone = opened.prune(keep)
    click.echo(f"{printable(store)}: {gone} generations removed")
