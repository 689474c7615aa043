"""`imeiset export`: sets, registers and stores to files that others read."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imeiset.cli.files import FILE, argument, check_outputs, counted, output_file, progress_bar
from imeiset.errors import printable

if TYPE_CHECKING:
    from imeiset import Register, Store

_BY_NAME = {".parquet": "parquet", ".roaring": "roaring"}


def _operators(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for value in values:
        name, equals, prefixes = value.partition("=")
        some = prefixes.split(",")
        if not equals or not all(one.isascii() and one.isdigit() for one in some):
            raise click.BadParameter(f"expected NAME=PREFIX,..., got {value!r}")
        found.setdefault(name, []).extend(some)
    return found


@click.command("export")
@argument("target", "A set, a register or a store.", type=FILE, metavar="SNAPSHOT|STORE")
@click.option(
    "-o",
    "--output",
    type=FILE,
    required=True,
    metavar="OUT",
    help="The file to write, '-' is stdout; or a directory.",
)
@click.option("--list", "lists", multiple=True, metavar="NAME", help="Only this list; may be repeated.")
@click.option("--joined", is_flag=True, help="Write the IMEIs of all lists as one list, each IMEI once.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["plain", "csv", "dirbs", "parquet", "roaring"]),
    help="What to write. [default: by the name of OUT; in a directory csv]",
)
@click.option(
    "--operator",
    "operators",
    multiple=True,
    callback=_operators,
    metavar="NAME=PREFIX,...",
    help="In dirbs, a file of its own for the exceptions of this operator's IMSIs; may be repeated.",
)
def command(
    target: str,
    output: str,
    lists: tuple[str, ...],
    joined: bool,
    form: str | None,
    operators: dict[str, list[str]],
) -> None:
    """Write lists to files that others read.

    \b
    imeiset export blocked.imei -o blocked.parquet
    imeiset export eir -o copy/                              all lists, and register.toml to build them
    imeiset export eir --list stolen -o stolen.csv           with dates and reasons
    imeiset export eir --joined --format plain -o - | head
    imeiset export eir --format dirbs -o out/ --operator op-a=23415,23420

    A file gets one list, in the order of the IMEIs, or several joined. A directory gets a file for each list
    and kind, and imeiset build makes the same register of its register.toml. Files appear whole or not at
    all, and only their owner may read them.
    """
    from imeiset import ImeiSet, export, open

    to_directory = Path(output).is_dir() or output.endswith("/")
    if output != "-" and not to_directory:
        check_outputs((target,), output, None)
    source = open(target)
    csv = "dirbs" if isinstance(source, ImeiSet) else "csv"
    by_name = csv if to_directory else {**_BY_NAME, ".csv": csv}.get(Path(output).suffix, "plain")
    form = form or by_name
    try:
        with progress_bar() as progress, ExitStack() as files:
            whole = to_directory and not isinstance(source, ImeiSet)
            done = export(
                source,
                output if whole else files.enter_context(output_file(output)),
                form=form,
                lists=lists or None,
                joined=joined,
                operators=operators,
                progress=progress,
            )
    except KeyError as error:
        raise click.UsageError(f"--list: {str(error.args[0]).removeprefix('lists: ')}") from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if output == "-":
        return
    for one in done:
        name = output if one.path == "-" else one.path
        noun = {"ranges": "range", "tacs": "TAC", "imsis": "IMSI prefix"}.get(one.kind, "pair")
        what = counted(one.rows, "IMEI" if one.kind == "imeis" else noun)
        of_lists = f" of {printable(', '.join(one.lists))}" if one.lists else ""
        click.echo(f"{printable(name)}: {what}{of_lists}, {form}")
    if form == "dirbs" and to_directory and not isinstance(source, ImeiSet):
        _say_left_out(source, lists, {name for one in done for name in one.lists})


def _say_left_out(source: "Register | Store", lists: tuple[str, ...], written: set[str]) -> None:
    """Name the lists that DIRBS has no file for: nobody should think that they were given."""
    left = [one for one in source.lists if one.name not in written and (not lists or one.name in lists)]
    for one in left:
        said = f"{one.status.name.lower()}, kind {one.kind}"
        click.echo(f"{printable(one.name)}: not written, DIRBS has no file for it ({said})", err=True)
