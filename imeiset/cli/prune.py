"""`imeiset prune`: the old generations of a store."""

import click

from imeiset.errors import printable


@click.command("prune")
@click.argument("store")
@click.option("--keep", type=click.IntRange(1), required=True, metavar="N", help="How many stay, at least 1.")
def command(store: str, keep: int) -> None:
    """Remove all but the newest N generations of STORE.

    Readers that still use one go on: its files live until they move.
    """
    from imeiset import Store

    with Store.open(store) as opened:
        gone = opened.prune(keep)
    click.echo(f"{printable(store)}: {gone} generations removed")
