"""`imeiset verify`: is a snapshot or a store whole?"""

from pathlib import Path

import click

from imeiset.cli.files import working
from imeiset.cli.registers import opened
from imeiset.errors import printable


@click.command("verify")
@click.argument("snapshots", metavar="SNAPSHOT|STORE...", nargs=-1, required=True)
def command(snapshots: tuple[str, ...]) -> None:
    """Read all of a snapshot or a store: is it whole?

    Compares checksums, makes every set of its members anew, and reads the changes of a store.
    """
    from imeiset import ImeiSet, Register, Store

    for path in snapshots:
        with working(f"reading {printable(path)}"):
            if Path(path).is_dir():
                store = Store.verify(path)
                what = f"generation {store.generation}, change {store.sequence}"
            elif isinstance(opened(path), Register):
                what = f"a register of {len(Register.verify(path))} lists"
            else:
                what = f"{len(ImeiSet.verify(path)):,} IMEIs"
        click.echo(f"{printable(path)}: whole, {what}")
