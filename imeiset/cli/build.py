"""`imeiset build`: lists of IMEIs to a snapshot; those of a description to a register."""

from typing import Any

import click

from imeiset.cli.files import (
    check_outputs,
    column_option,
    last_list,
    min_size_option,
    number,
    progress_bar,
    stdin_once,
)
from imeiset.errors import printable


@click.command("build")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, callback=stdin_once)
@click.option("-o", "--output", required=True, metavar="OUT", help="The snapshot to write.")
@click.option("--format", "form", metavar="NAME", help="What the files have to be: stolen, tacs, ranges, ...")
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
    help="Identities that are no number: reject the row, or keep them as text.",
)
@click.option(
    "--rejects", metavar="CSV", help="Write the rejected rows to this file, also where the size is refused."
)
@click.option("--max-rejects", type=click.IntRange(0), metavar="N", help="Stop after more rejected rows.")
@click.option(
    "--max-line",
    type=click.IntRange(1, 1 << 30),
    default=1 << 20,
    show_default=True,
    metavar="BYTES",
    help="Reject longer rows.",
)
@click.option("--max-rows", type=click.IntRange(1), metavar="N", help="Refuse more rows.")
@click.option("--max-bytes", type=click.IntRange(1), metavar="BYTES", help="Refuse a longer text (1 TiB).")
@click.option(
    "--max-ratio",
    type=click.FloatRange(1),
    callback=number,
    metavar="N",
    help="Refuse text N times its compressed size (250).",
)
@click.option("--against", metavar="FILE", help="The last list, for --min-size; OUT as it is if left out.")
@min_size_option("Of the last list.")
@click.option("--force", is_flag=True, help="Whatever the size.")
@click.option(
    "--report", type=click.Choice(["table", "json"]), default="table", show_default=True, help="On stdout."
)
@click.pass_context
def command(
    context: click.Context,
    files: tuple[str, ...],
    output: str,
    form: str | None,
    column: str | int | None,
    check_digit: str,
    irregular: str,
    rejects: str | None,
    max_rejects: int | None,
    max_line: int,
    max_rows: int | None,
    max_bytes: int | None,
    max_ratio: float | None,
    against: str | None,
    min_size: float,
    force: bool,
    report: str,
) -> None:
    """Make a snapshot of lists of IMEIs, or of a description FILE.toml.

    A FILE is a plain list or delimited text (comma, semicolon, tab or pipe; with or without a header),
    Parquet or Arrow; plain, gzip, zstd, xz or zip; local or what fsspec opens; '-' is stdin. Lines that start
    with '#' are comments.

    A description becomes a register: it names lists with their status, files and options, and the policy; see
    docs/registers.md.

    OUT appears when everything was read and written, or not at all. A set with less than 75% of the
    identities of the last one is refused, and a register in which a list has less of what it had.
    """
    if against is not None and rejects is not None:
        check_outputs((against,), rejects, None)
    if any(name.endswith(".toml") for name in files):
        from imeiset.cli.registers import build

        build(context, files, output)
        return
    from imeiset import ImeiSet, load
    from imeiset.deltas.apply import expect_size
    from imeiset.feeds.formats import FORMATS

    if form is not None and form not in FORMATS:
        raise click.UsageError(f"--format: expected one of {', '.join(FORMATS)}, got {form!r}")
    limits: dict[str, Any] = {"max_bytes": max_bytes, "max_ratio": max_ratio}
    check_outputs(files, output, rejects)
    last = None if force or against is None else ImeiSet.open(against)
    with progress_bar() as progress:
        result = load(
            files,
            format=form,
            column=column,
            check_digit=check_digit,  # type: ignore[arg-type] # click has checked it
            irregular=irregular,  # type: ignore[arg-type]
            rejects=rejects,
            max_rejects=max_rejects,
            max_line=max_line,
            max_rows=max_rows,
            **{name: value for name, value in limits.items() if value is not None},
            progress=progress,
        )
    if last is None and not force:
        last = last_list(output, ImeiSet.open)
    if last is not None:
        expect_size(output, result.set, last, min_size)
    result.set.save(output)
    if report == "json":
        click.echo(result.report.to_json())
    else:
        from imeiset.cli.reports import show_load

        show_load(result.report, f"{printable(output)}: {result.report.keys:,} IMEIs")
