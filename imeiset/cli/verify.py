"""`imeiset verify`: is a snapshot or a store whole?"""

import click

from imeiset.cli.files import FILE, argument, counted, working
from imeiset.errors import printable


@click.command("verify")
@argument(
    "snapshots",
    "What to read: sets, registers and stores.",
    type=FILE,
    metavar="SNAPSHOT|STORE...",
    nargs=-1,
    required=True,
)
def command(snapshots: tuple[str, ...]) -> None:
    """Check that a snapshot or a store is whole.

    \b
    imeiset verify blocked.imei eir

    All of it is read: every checksum is compared, every set is made again of its members, and the changes of
    a store are read.
    """
    import imeiset

    for path in snapshots:
        with working(f"reading {printable(path)}"):
            one = imeiset.open(path, verify=True)
        if isinstance(one, imeiset.Store):
            what = f"generation {one.generation}, change {one.sequence}"
        elif isinstance(one, imeiset.Register):
            what = f"a register of {len(one)} lists"
        else:
            what = counted(len(one), "IMEI")
        click.echo(f"{printable(path)}: whole, {what}")
