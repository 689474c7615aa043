"""`imeiset replace`: new full lists for a store."""

import click

from imeiset.cli.files import number, working
from imeiset.cli.registers import load_source, show, source_options


@click.command("replace")
@click.argument("store")
@click.argument("source")
@click.option(
    "--shrink",
    type=click.FloatRange(0, 100),
    callback=number,
    default=25.0,
    show_default=True,
    metavar="PERCENT",
    help="What a list may lose.",
)
@click.option("--force", is_flag=True, help="Whatever the lists lose.")
@source_options
def command(
    store: str,
    source: str,
    shrink: float,
    force: bool,
    rejects: str | None,
    max_rejects: int | None,
    report: str,
) -> None:
    """Let another register serve in STORE from now on.

    It becomes the next generation. SOURCE is the snapshot of a register, or a description FILE.toml as for
    build. Readers go on with the old one until they refresh. A register in which a list loses more than
    --shrink percent is refused.
    """
    from imeiset import Store

    with Store.open(store) as opened:
        register, loaded = load_source(source, rejects, max_rejects)
        with working("writing"):
            opened.replace(register, shrink=shrink, force=force)
        show(loaded, store, report, generation=opened.generation, state_id=opened.state_id)
