"""`imeiset compact`: the changes of a store into its next base."""

import click

from imeiset.cli.files import counted, store_argument, working
from imeiset.errors import printable


@click.command("compact")
@store_argument
def command(store: str) -> None:
    """Join the base of a store and its changes into a new base.

    \b
    imeiset compact eir

    The new base is the next generation. Readers go on meanwhile. The old generation stays until imeiset prune
    removes it.
    """
    from imeiset import Store

    with Store.open(store) as opened:
        before = opened.status()
        with working("compacting"):
            opened.compact()
        after = opened.status()
    changes = counted(before.journal_records, "change")
    click.echo(
        f"{printable(store)}: generation {after.generation}, {changes} put into its "
        f"base of {after.base_bytes:,} bytes"
    )
