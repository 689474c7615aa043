"""`imeiset diff`: what changes from one set, register or store to another."""

from pathlib import Path

import click

from imeiset.cli.files import FILE, argument, check_outputs, output_file, progress_bar
from imeiset.errors import printable


@click.command("diff")
@argument("old", "A set, a register or a store as it was.", type=FILE)
@argument("new", "The same as it is.", type=FILE)
@click.option("--list", metavar="NAME", help="Write the delta of this list, of registers and stores.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["dirbs", "plain"]),
    default="dirbs",
    show_default=True,
    help="What to write.",
)
@click.option(
    "-o",
    "--output",
    type=FILE,
    default="-",
    metavar="OUT",
    help="The delta to write, or a directory for those of all lists. [default: stdout]",
)
def command(old: str, new: str, list: str | None, form: str, output: str) -> None:
    """Write the differences between two sets, registers or stores.

    \b
    imeiset diff last.imei blocked.imei -o delta.csv
    imeiset diff last.imei blocked.imei --format plain | wc -l
    imeiset diff last.imei eir                               list by list, how many
    imeiset diff last.imei eir -o deltas/                    and a delta for each
    imeiset diff last.imei eir --list stolen -o delta.csv

    The output is a delta for imeiset apply. That of sets has removals first, then additions.
    """
    from imeiset import ImeiSet, diff, open
    from imeiset.deltas import differences

    to_directory = Path(output).is_dir() or output.endswith("/")
    if output != "-" and not to_directory:
        check_outputs((old, new), output, None)
    before, after = open(old), open(new)
    sets = [isinstance(one, ImeiSet) for one in (before, after)]
    if any(sets) and not all(sets):
        raise click.ClickException(
            f"{new if sets[0] else old}: expected two sets, or two registers or stores; "
            "`imeiset build` makes a register of a description"
        )
    try:
        if not isinstance(before, ImeiSet) and not isinstance(after, ImeiSet):
            folder = output if to_directory else None
            if to_directory or (list is None and output == "-"):
                names = None if list is None else [list]
                for one in differences(before, after, lists=names, folder=folder):
                    click.echo(printable(str(one)))
                return
        with progress_bar() as progress, output_file(output) as file:
            file.writelines(diff(before, after, list=list, form=form, progress=progress))
    except KeyError as error:
        raise click.UsageError(f"--list: {str(error.args[0]).removeprefix('lists: ')}") from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
