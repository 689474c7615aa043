"""`imeiset diff`: what changes from one snapshot to another."""

import sys

import click

from imeiset.cli.files import check_outputs, progress_bar


@click.command("diff")
@click.argument("old")
@click.argument("new")
@click.option("--format", "form", type=click.Choice(["dirbs", "plain"]), default="dirbs", show_default=True)
@click.option("-o", "--output", metavar="OUT", help="The delta to write, instead of stdout.")
def command(old: str, new: str, form: str, output: str | None) -> None:
    """Write the delta from OLD to NEW, for `imeiset apply`.

    Removals, then additions.
    """
    from imeiset import ImeiSet
    from imeiset._files import publish
    from imeiset.deltas.apply import diff

    if output is not None:
        check_outputs((old, new), output, None)
    before, after = ImeiSet.open(old), ImeiSet.open(new)
    if output is None:
        sys.stdout.flush()
        for piece in diff(before, after, form):
            sys.stdout.buffer.write(piece)
        return
    with progress_bar() as progress, publish(output) as file:
        file.writelines(diff(before, after, form, progress=progress))
