"""`imeiset diff`: what changes from one snapshot to another."""

import click

from imeiset.cli.files import FILE, check_outputs, output_file, progress_bar


@click.command("diff")
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@click.option(
    "--format",
    "form",
    type=click.Choice(["dirbs", "plain"]),
    default="dirbs",
    show_default=True,
    help="What to write.",
)
@click.option(
    "-o", "--output", type=FILE, default="-", metavar="OUT", help="The delta to write. [default: stdout]"
)
def command(old: str, new: str, form: str, output: str) -> None:
    """Write what changes from one set to another.

    \b
    imeiset diff last.imei blocked.imei -o delta.csv
    imeiset diff last.imei blocked.imei --format plain | wc -l

    It is a delta for `imeiset apply`. Removals come first, then additions.
    """
    from imeiset import ImeiSet, diff

    if output != "-":
        check_outputs((old, new), output, None)
    before, after = ImeiSet.open(old), ImeiSet.open(new)
    with progress_bar() as progress, output_file(output) as file:
        file.writelines(diff(before, after, form=form, progress=progress))
