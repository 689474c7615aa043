"""`imeiset replace`: new full lists for a store."""

from typing import Any

import click

from imeiset.cli.files import (
    FILE,
    argument,
    force_option,
    json_option,
    min_size_option,
    store_argument,
    working,
)
from imeiset.cli.options import files_option, reading_options
from imeiset.cli.registers import load_source, show


@click.command("replace")
@store_argument
@argument("source", "The snapshot of a register, or a description of one.", type=FILE)
@click.option("--feed", metavar="NAME", help="Replace the lists of this feed, and keep the others.")
@click.option(
    "--through", type=click.IntRange(0), metavar="N", help="The last change of the feed that SOURCE contains."
)
@click.option("--by", metavar="NAME", help="Who changes the store. [default: the feed]")
@click.option("--ref", metavar="TEXT", help="What the change refers to: a case, a file.")
@min_size_option
@force_option
@reading_options("run")
@files_option
@json_option
def command(
    store: str,
    source: str,
    feed: str | None,
    through: int | None,
    by: str | None,
    ref: str | None,
    min_size: float,
    force: bool,
    replaced: dict[str, list[str]],
    as_json: bool,
    **options: Any,
) -> None:
    """Replace the lists of a store by new full lists.

    \b
    imeiset replace eir register.toml
    imeiset replace eir op-a.toml --feed op-a --through 120

    The new lists are the next generation of the store. SOURCE is the snapshot of a register, or a description
    FILE.toml as for build. Readers go on with the old lists until they refresh. A register in which a list is
    much smaller is refused.

    With --feed, only the lists that this feed owns are replaced. --through says which of its changes they
    contain: after --through 120, change 121 is applied next, even if it was applied before. Without --feed,
    all lists are replaced, whoever owns them, and every feed stays where it was; with --force every feed
    starts again with change 1.
    """
    from imeiset import Store

    with Store.open(store) as opened:
        if through is not None and feed is None:
            raise click.UsageError("--through needs --feed: numbers are those of a feed")
        register, loaded = load_source(source, replaced, options)
        with working("writing"):
            opened.replace(
                register, feed=feed, through=through, by=by, ref=ref, shrink=100 - min_size, force=force
            )
        facts = {} if feed is None else {"feed": feed, "number": opened.feeds.get(feed)}
        show(loaded, store, as_json, generation=opened.generation, **facts, state_id=opened.state_id)
