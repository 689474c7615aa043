"""`imeiset expire`: what is past goes off the lists of a store."""

import json

import click

from imeiset.cli.files import DIRECTORY, force_option, json_option, min_size_option, working
from imeiset.errors import printable


@click.command("expire")
@click.argument("store", type=DIRECTORY)
@click.option("--today", metavar="DATE", help="What day it is. [default: that of the clock, in UTC]")
@click.option("--then", metavar="LIST", help="Move what is past to this list.")
@click.option("--by", metavar="NAME", help="Who says so, of lists without an owner.")
@click.option("--ref", metavar="TEXT", help="What it goes back to. [default: 'expired' and the day]")
@min_size_option
@force_option
@json_option
def command(
    store: str,
    today: str | None,
    then: str | None,
    by: str | None,
    ref: str | None,
    min_size: float,
    force: bool,
    as_json: bool,
) -> None:
    """Take off the lists what is past its last day.

    \b
    imeiset expire eir
    imeiset expire eir --today 2026-12-01 --then black

    Phones and pairs may have a last day on which they count (until). A phone stays listed after it until this
    command is run: run it once a day. It makes one change of the store. With --then they move to LIST, which
    is of the same kind, with their reasons and without a last day: grey turns black after a period of grace.

    Refused are a day before that of the last change, and a list that would lose more than a quarter
    (--min-size, --force): the clock may be wrong.

    Exit code: 0 if it was done, or if nothing is past, 2 after an error.
    """
    import datetime

    from imeiset import Store

    day = today or datetime.datetime.now(datetime.UTC).date().isoformat()
    with Store.open(store) as opened, working("looking for what is past"), opened.writing():
        if then is not None and then not in opened:
            raise click.UsageError(f"--then: expected one of {', '.join(opened)}, got {printable(then)}")
        before = opened.counts()
        try:
            number = opened.expire(day, then, by=by, ref=ref, shrink=100 - min_size, force=force)
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
