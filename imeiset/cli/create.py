"""`imeiset create`: a register to a store."""

from typing import Any

import click

from imeiset.cli.files import DIRECTORY, FILE, argument, json_option, working
from imeiset.cli.options import files_option, reading_options
from imeiset.cli.registers import load_source, show


@click.command("create")
@argument("store", "A new directory, or one without a store.", type=DIRECTORY)
@argument("source", "The snapshot of a register, or a description of one.", type=FILE)
@reading_options("run")
@files_option
@json_option
def command(store: str, source: str, replaced: dict[str, list[str]], as_json: bool, **options: Any) -> None:
    """Make a store from a register.

    \b
    imeiset create eir register.toml

    STORE is a new directory, in which the register changes while it serves. SOURCE is the snapshot of a
    register, or a description FILE.toml as for build.
    """
    from imeiset import Store
    from imeiset.errors import StoreExists, StoreMissing

    try:
        Store.open(store).close()
    except StoreMissing:
        pass
    else:
        got = "one with a store: imeiset replace gives it new lists"
        raise StoreExists(store, "a directory without a store", got)
    register, loaded = load_source(source, replaced, options)
    with working("writing"):
        made = Store.create(store, register)
    with made:
        show(loaded, store, as_json, generation=made.generation, state_id=made.state_id)
