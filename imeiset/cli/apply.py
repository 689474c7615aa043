"""`imeiset apply`: deltas to a snapshot."""

import json
from dataclasses import asdict

import click

from imeiset.cli import printable
from imeiset.cli.files import check_outputs, column_option, progress_bar
from imeiset.feeds.delta import CHECKS, MIN_SIZE


@click.command("apply")
@click.argument("base")
@click.argument("deltas", metavar="DELTA...", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="OUT", help="The snapshot to write; may be BASE.")
@click.option("--format", "form", metavar="NAME", help="What the deltas have to be, as for build.")
@column_option
@click.option("--change", type=click.Choice(["add", "remove", "update"]), help="What all rows are.")
@click.option("--allow", multiple=True, type=click.Choice(CHECKS), help="Leave out a check; may be repeated.")
@click.option("--expect-digest", metavar="HEX", help="Refuse another result.")
@click.option(
    "--min-size", type=float, default=MIN_SIZE, show_default=True, metavar="PERCENT", help="Of BASE."
)
@click.option("--force", is_flag=True, help="Whatever the size.")
@click.option("--rejects", metavar="CSV", help="Write the rejected rows to this file.")
@click.option("--max-rejects", type=click.IntRange(0), default=0, show_default=True, metavar="N")
@click.option("--report", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(
    base: str,
    deltas: tuple[str, ...],
    output: str,
    form: str | None,
    column: str | int | None,
    change: str | None,
    allow: tuple[str, ...],
    expect_digest: str | None,
    min_size: float,
    force: bool,
    rejects: str | None,
    max_rejects: int,
    report: str,
) -> None:
    """Apply deltas to the snapshot BASE, one after the other, and write the result.

    A DELTA has a column change_type of add, remove and update, is named ..._blocked, _unblocked or
    _changed, or has a '+' or '-' before each number. All of it is applied or nothing: an addition of what
    is there, a removal or update of what is not, or two different changes of one IMEI is an error.
    """
    from imeiset import ImeiSet
    from imeiset.feeds import Options
    from imeiset.feeds.delta import apply

    check_outputs(deltas, output, rejects)
    old = ImeiSet.open(base)
    try:
        options = Options(format=form, column=column, rejects=rejects, max_rejects=max_rejects)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with progress_bar() as progress:
        result, applied = apply(
            old,
            deltas,
            change=change,
            checks=set(CHECKS) - set(allow),
            expect_digest=expect_digest,
            min_size=0 if force else min_size,
            options=options,
            progress=progress,
        )
    result.save(output)
    if report == "json":
        click.echo(json.dumps(asdict(applied)))
        return
    click.echo(f"{printable(output)}: {applied.keys:,} IMEIs, {len(old):,} before")
    rows = sum(source.rows for source in applied.sources)
    click.echo(
        f"  {rows:,} rows: {applied.added:,} added, {applied.removed:,} removed, {applied.updated:,} updated"
    )
    click.echo(f"  digest {applied.digest}")
