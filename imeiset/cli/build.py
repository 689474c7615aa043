"""`imeiset build`: lists of IMEIs to a snapshot."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imeiset.cli import printable
from imeiset.cli.files import check_outputs, column_option, progress_bar
from imeiset.feeds.delta import MIN_SIZE

if TYPE_CHECKING:
    from rich.table import Table

    from imeiset import ImeiSet, LoadReport


@click.command("build")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
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
@click.option("--rejects", metavar="CSV", help="Write the rejected rows to this file.")
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
    metavar="N",
    help="Refuse text N times its compressed size (250).",
)
@click.option("--against", metavar="FILE", help="The last list, for --min-size; OUT as it is if left out.")
@click.option(
    "--min-size", type=float, default=MIN_SIZE, show_default=True, metavar="PERCENT", help="Of the last list."
)
@click.option("--force", is_flag=True, help="Whatever the size.")
@click.option(
    "--report", type=click.Choice(["table", "json"]), default="table", show_default=True, help="On stdout."
)
def command(
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
    """Load lists of IMEIs and write a snapshot of the set.

    A FILE is a plain list or delimited text (comma, semicolon, tab or pipe; with or without a header),
    Parquet or Arrow; plain, gzip, zstd, xz or zip; local or what fsspec opens; '-' is stdin. Lines that
    start with '#' are comments.

    OUT appears when everything was read and written, or not at all. A set with less than 75% of the
    identities of the last one is refused.
    """
    from imeiset import ImeiSet, load
    from imeiset.feeds.delta import expect_size
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
        last = _last(output)
    if last is not None:
        expect_size(output, result.set, last, min_size)
    result.set.save(output)
    if report == "json":
        click.echo(result.report.to_json())
    else:
        from rich.console import Console

        Console(markup=False, emoji=False).print(_table(result.report, output))


def _last(output: str) -> "ImeiSet | None":
    """The list that the new one replaces, if there is one."""
    from imeiset import ImeiSet
    from imeiset.errors import SnapshotError

    if not Path(output).is_file():
        return None
    try:
        return ImeiSet.open(output)
    except SnapshotError as error:
        raise click.ClickException(f"{error}; --force replaces it all the same") from None


def _table(report: "LoadReport", output: str) -> "Table":
    from rich.table import Table

    table = Table(
        title=f"{printable(output)}: {report.keys:,} IMEIs", title_justify="left", show_header=False, box=None
    )
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(style="dim", overflow="fold")

    def add(name: str, count: int, note: str = "", style: str = "") -> None:
        table.add_row(name, f"{count:,}", note, style=style)

    names = ", ".join(f"{name} ({form})" for name, form in zip(report.sources, report.formats, strict=True))
    add("lines", report.lines, printable(names))
    for name in ("headers", "comments", "blank", "continued"):
        if count := getattr(report, name):
            add(f"  {name}", count, "lines inside quoted cells" if name == "continued" else "")
    rate = f"{report.bytes:,} bytes in {report.seconds:.2f} s, {report.rows_per_second:,.0f} rows a second"
    add("rows", report.rows, rate)
    for status, count in sorted(report.ignored.items()):
        add("ignored", count, f"status {printable(status)!r}")
    add("accepted", report.accepted)
    for digits, count in report.forms.items():
        add(f"  {digits} digits", count)
    if report.ranges:
        add("  ranges", report.ranges)
    if report.irregular:
        add("  irregular", report.irregular, f"{report.texts:,} different, kept as text")
    if report.wrong_check_digits:
        add("wrong check digits", report.wrong_check_digits, "neither the Luhn digit nor 0")
    if report.spare_check_digits:
        add("spare check digits", report.spare_check_digits, "0 where the Luhn digit is another")
    add("duplicates", report.duplicates)
    add("rejected", report.rejected, style="yellow" if report.rejected else "")
    for entry in sorted(report.rejects.values(), key=lambda entry: -entry.count):
        lines: dict[str, list[str]] = {}
        for source, line in entry.first:
            lines.setdefault(source, []).append(str(line))
        note = "; ".join(f"{printable(source)}: {', '.join(numbers)}" for source, numbers in lines.items())
        add(f"  {entry.text}", entry.count, note + (", ..." if entry.count > len(entry.first) else ""))
    table.add_row("digest", "", report.digest)
    return table
