"""`imeiset verify`: is a snapshot whole?"""

import click


@click.command("verify")
@click.argument("snapshots", metavar="SNAPSHOT...", nargs=-1, required=True)
def command(snapshots: tuple[str, ...]) -> None:
    """Read every byte of each SNAPSHOT and compare its checksums."""
    from imeiset import ImeiSet, snapshot

    for path in snapshots:
        snapshot.open(path).verify()
        click.echo(f"{path}: whole, {len(ImeiSet.open(path)):,} IMEIs")
