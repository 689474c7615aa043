"""`imeiset diff`: what changes from one snapshot to another."""

import sys

import click


@click.command("diff")
@click.argument("old")
@click.argument("new")
@click.option("--format", "form", type=click.Choice(["dirbs", "plain"]), default="dirbs", show_default=True)
@click.option("-o", "--output", metavar="OUT", help="The delta to write, instead of stdout.")
def command(old: str, new: str, form: str, output: str | None) -> None:
    """Write the delta that `imeiset apply` makes NEW of OLD with: removals, then additions."""
    from imeiset import ImeiSet
    from imeiset._files import publish
    from imeiset.feeds.delta import diff

    pieces = diff(ImeiSet.open(old), ImeiSet.open(new), form)
    if output is None:
        for piece in pieces:
            sys.stdout.write(piece)
        return
    with publish(output, private=True) as file:
        for piece in pieces:
            file.write(piece.encode())
