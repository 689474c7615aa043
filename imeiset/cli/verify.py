"""`imeiset verify`: is a snapshot whole?"""

import click

from imeiset.cli import printable


@click.command("verify")
@click.argument("snapshots", metavar="SNAPSHOT...", nargs=-1, required=True)
def command(snapshots: tuple[str, ...]) -> None:
    """Read all of each SNAPSHOT: its checksums, and every member looked up again."""
    from imeiset import ImeiSet

    for path in snapshots:
        click.echo(f"{printable(path)}: whole, {len(ImeiSet.verify(path)):,} IMEIs")
