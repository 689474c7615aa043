"""`imeiset prune`: the old generations of a store."""

import click

from imeiset.cli.files import counted, number, store_argument
from imeiset.errors import printable


@click.command("prune")
@store_argument
@click.option(
    "--keep", type=click.IntRange(1), required=True, metavar="N", help="How many generations to keep."
)
@click.option(
    "--history",
    type=click.FloatRange(0),
    callback=number,
    metavar="DAYS",
    help="How long to keep the changes of the others, for imeiset history. [default: not at all]",
)
def command(store: str, keep: int, history: float | None) -> None:
    """Remove the old generations of a store.

    \b
    imeiset prune eir --keep 2
    imeiset prune eir --keep 2 --history 365

    Readers that still use an old generation go on: its files live until they move. With --history, the
    changes of old generations stay for that many days, without their lists: 8 bytes for each phone that was
    added or removed.
    """
    from imeiset import Store

    with Store.open(store) as opened:
        gone = opened.prune(keep, history=history)
    click.echo(f"{printable(store)}: {counted(gone, 'generation')} removed")
