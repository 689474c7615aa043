"""`imeiset replace`: new full lists for a store."""

from typing import Any

import click

from imeiset.cli.files import (
    DIRECTORY,
    FILE,
    force_option,
    json_option,
    min_size_option,
    working,
)
from imeiset.cli.options import files_option, reading_options
from imeiset.cli.registers import load_source, show


@click.command("replace")
@click.argument("store", type=DIRECTORY)
@click.argument("source", type=FILE)
@min_size_option
@force_option
@reading_options("run")
@files_option
@json_option
def command(
    store: str,
    source: str,
    min_size: float,
    force: bool,
    replaced: dict[str, list[str]],
    as_json: bool,
    **options: Any,
) -> None:
    """Give a store new full lists.

    \b
    imeiset replace eir register.toml

    They become its next generation. SOURCE is the snapshot of a register, or a description FILE.toml as for
    build. Readers go on with the old lists until they refresh. A register in which a list is much smaller is
    refused.
    """
    from imeiset import Store

    with Store.open(store) as opened:
        register, loaded = load_source(source, replaced, options)
        with working("writing"):
            opened.replace(register, shrink=100 - min_size, force=force)
        show(loaded, store, as_json, generation=opened.generation, state_id=opened.state_id)
