"""`imeiset expire`: what is past goes off the lists of a store."""

import json

import click

from imeiset.cli.files import (
    force_option,
    json_option,
    min_size_option,
    store_argument,
    working,
)
from imeiset.errors import printable


@click.command("expire")
@store_argument
@click.option("--today", metavar="DATE", help="What day it is. [default: that of the clock, in UTC]")
@click.option("--then", metavar="LIST", help="Move the entries to this list.")
@click.option(
    "--from", "moving", multiple=True, metavar="LIST", help="Move those of this list alone; may be repeated."
)
@click.option("--by", metavar="NAME", help="Who changes lists without an owner.")
@click.option("--ref", metavar="TEXT", help="What the change refers to. [default: 'expired' and the day]")
@min_size_option
@force_option
@json_option
def command(
    store: str,
    today: str | None,
    then: str | None,
    moving: tuple[str, ...],
    by: str | None,
    ref: str | None,
    min_size: float,
    force: bool,
    as_json: bool,
) -> None:
    """Remove entries that are past their last day.

    \b
    imeiset expire eir
    imeiset expire eir --then black --from grey --today 2026-12-01

    Phones and pairs may have a last day on which they count (until). After that day an entry stays until this
    command runs, so run it once a day. It makes one change of the store. With --then the entries of all lists
    of the same kind move to LIST, with their reasons and without a last day: so grey turns black after a
    period of grace. With --from, only those of these lists move, and other lists lose theirs.

    A day before that of the last change is refused, and so is a list that would lose more than a quarter
    (--min-size, --force): the clock may be wrong.

    Exit code: 0 when it is done, or nothing is past its last day; 2 after an error.
    """
    import datetime

    from imeiset import Store

    day = today or datetime.datetime.now(datetime.UTC).date().isoformat()
    with Store.open(store) as opened, working("looking for what is past"), opened.writing():
        if moving and then is None:
            raise click.UsageError("--from needs --then, the list that the entries move to")
        for option, name in (("then", then), *(("from", one) for one in moving)):
            if name is not None and name not in opened:
                raise click.UsageError(
                    f"--{option}: expected one of {', '.join(opened)}, got {printable(name)}"
                )
        before = opened.counts()
        try:
            number = opened.expire(
                day, then, lists=moving or None, by=by, ref=ref, shrink=100 - min_size, force=force
            )
        except ValueError as error:
            raise click.ClickException(f"{printable(store)}: {error}") from None
        after = opened.counts()
    changed = {
        name: sum(after[name].values()) - sum(counts.values())
        for name, counts in before.items()
        if after[name] != counts
    }
    if as_json:
        click.echo(json.dumps({"store": store, "today": day, "sequence": number, "lists": changed}))
    elif number is None:
        click.echo(f"{printable(store)}: nothing is past on {printable(day)}")
    else:
        lists = ", ".join(f"{printable(name)} {count:+,}" for name, count in changed.items())
        click.echo(f"{printable(store)}: change {number}, {lists or 'as many as before'}")
