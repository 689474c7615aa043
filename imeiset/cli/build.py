"""`imeiset build`: lists of IMEIs to a snapshot; those of a description to a register."""

from typing import Any

import click

from imeiset.cli.files import (
    FILE,
    argument,
    check_outputs,
    counted,
    force_option,
    json_option,
    last_list,
    min_size_option,
    progress_bar,
    stdin_once,
    working,
)
from imeiset.cli.options import files_option, given, reading_options
from imeiset.errors import printable


@click.command("build")
@argument(
    "files",
    "Lists of IMEIs in any form, or one description of a register. '-' is stdin.",
    type=FILE,
    metavar="FILE...",
    nargs=-1,
    required=True,
    callback=stdin_once,
)
@click.option("-o", "--output", type=FILE, required=True, metavar="OUT", help="The snapshot to write.")
@reading_options("load")
@files_option
@click.option(
    "--against", type=FILE, metavar="FILE", help="The last list, for --min-size. [default: OUT as it is]"
)
@min_size_option
@force_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    /,
    files: tuple[str, ...],
    output: str,
    against: str | None,
    min_size: float,
    force: bool,
    as_json: bool,
    replaced: dict[str, list[str]],
    **options: Any,  # of `load`
) -> None:
    """Make a set from lists of IMEIs, or a register.

    \b
    imeiset build blocklist.csv.gz other.txt -o blocked.imei
    imeiset build register.toml -o register.imei --rejects rejects.csv
    imeiset build register.toml -o register.imei --file stolen=today.csv

    A FILE is a plain list, delimited text, a workbook, Parquet or Arrow. It may be compressed (gzip, zstd,
    xz, zip) or remote (whatever fsspec opens). '-' is stdin. Lines that start with '#' are comments.

    From a description FILE.toml comes a register. It names the lists, their status and files, and the policy
    (docs/registers.md).

    OUT appears whole or not at all. A list that is much smaller than the last one is refused.
    """
    from imeiset import ImeiSet, Register, load
    from imeiset.cli import registers
    from imeiset.deltas.apply import expect_size

    options = given(options, "load")
    rejects = options.get("rejects")
    described = any(name.endswith(".toml") for name in files)
    if against is not None and rejects is not None:
        check_outputs((against,), rejects, None)
    if described:
        registers.expect_alone(context, files)
    elif replaced:
        raise click.UsageError("--file needs a description FILE.toml, whose lists it names")
    else:
        check_outputs(files, output, rejects)
    kind: Any = Register if described else ImeiSet
    last = None if force or against is None else kind.open(against)
    if described:
        loaded: Any = registers.load(files[0], output, replaced, given(options, "run"))
    else:
        with progress_bar() as progress:
            loaded = load(files, **options, progress=progress)
    if last is None and not force:
        last = last_list(output, kind.open)
    if last is not None:
        (registers.expect_size if described else expect_size)(output, loaded[0], last, min_size)
    with working("writing"):
        loaded[0].save(output)
    if described:
        registers.show(loaded, output, as_json)
    elif as_json:
        click.echo(loaded.report.to_json())
    else:
        from imeiset.cli.reports import show_load

        show_load(loaded.report, f"{printable(output)}: {counted(loaded.report.keys, 'IMEI')}")
