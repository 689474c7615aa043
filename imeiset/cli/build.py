"""`imeiset build`: lists of IMEIs to a snapshot; those of a description to a register."""

from typing import Any

import click

from imeiset.cli.files import (
    FILE,
    check_outputs,
    column_option,
    force_option,
    json_option,
    last_list,
    max_rejects_option,
    min_size_option,
    number,
    progress_bar,
    rejects_option,
    stdin_once,
    working,
)
from imeiset.errors import printable


@click.command("build")
@click.argument("files", type=FILE, metavar="FILE...", nargs=-1, required=True, callback=stdin_once)
@click.option("-o", "--output", type=FILE, required=True, metavar="OUT", help="The snapshot to write.")
@click.option("--format", metavar="NAME", help="What the files have to be: stolen, tacs, ranges, ...")
@column_option
@click.option(
    "--check-digit",
    type=click.Choice(["ignore", "spare", "require"]),
    default="ignore",
    show_default=True,
    help="A 15th digit that is wrong: ignore it, accept only a spare 0, or reject the row.",
)
@click.option(
    "--irregular",
    type=click.Choice(["reject", "keep"]),
    default="reject",
    show_default=True,
    help="Identities that are not numbers: reject the row, or keep them as text.",
)
@rejects_option
@max_rejects_option
@click.option(
    "--max-line",
    type=click.IntRange(1, 1 << 30),
    default=1 << 20,
    show_default=True,
    metavar="BYTES",
    help="Reject longer rows.",
)
@click.option("--max-rows", type=click.IntRange(1), metavar="N", help="Refuse more rows.")
@click.option(
    "--max-bytes",
    type=click.IntRange(1),
    default=1 << 40,
    show_default=True,
    metavar="BYTES",
    help="Refuse a longer text.",
)
@click.option(
    "--max-ratio",
    type=click.FloatRange(1),
    callback=number,
    default=250,
    show_default=True,
    metavar="N",
    help="Refuse text N times its compressed size.",
)
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
    **options: Any,  # of `load`
) -> None:
    """Make a set of lists of IMEIs, or a register.

    \b
    imeiset build blocklist.csv.gz other.txt -o blocked.imei
    imeiset build register.toml -o register.imei --rejects rejects.csv

    A FILE is a plain list or delimited text, Parquet or Arrow. It may be compressed (gzip, zstd, xz, zip) or
    remote (whatever fsspec opens); '-' is stdin. Lines that start with '#' are comments.

    A description FILE.toml becomes a register. It names the lists, their status and files, and the policy:
    see docs/registers.md.

    OUT appears when everything was read and written, or not at all. A list that is much smaller than the last
    one is refused.
    """
    from imeiset import ImeiSet, Register, load
    from imeiset.cli import registers
    from imeiset.deltas.apply import expect_size
    from imeiset.feeds.formats import FORMATS

    rejects, form = options["rejects"], options["format"]
    described = any(name.endswith(".toml") for name in files)
    if against is not None and rejects is not None:
        check_outputs((against,), rejects, None)
    if described:
        registers.expect_alone(context, files)
    elif form is not None and form not in FORMATS:
        raise click.UsageError(f"--format: expected one of {', '.join(FORMATS)}, got {form!r}")
    else:
        check_outputs(files, output, rejects)
    kind: Any = Register if described else ImeiSet
    last = None if force or against is None else kind.open(against)
    if described:
        loaded: Any = registers.load(files[0], output, rejects, options["max_rejects"], options["max_rows"])
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

        show_load(loaded.report, f"{printable(output)}: {loaded.report.keys:,} IMEIs")
