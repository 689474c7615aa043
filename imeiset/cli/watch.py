"""`imeiset watch`: what happens in a store, as it happens."""

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from imeiset.cli.files import json_option, number, store_argument
from imeiset.cli.registers import age_text, store_facts, verdict_line
from imeiset.errors import ImeisetError, printable

if TYPE_CHECKING:
    from imeiset import Store


@click.command("watch")
@store_argument
@click.option(
    "--interval",
    type=click.FloatRange(0.001, 86_400),
    callback=number,
    default=0.2,
    show_default=True,
    metavar="SECONDS",
    help="The time between two looks.",
)
@click.option("--imei", help="Also print the verdict on this phone.")
@click.option("--imsi", metavar="IMSI", help="The subscriber, with --imei.")
@json_option
def command(store: str, interval: float, imei: str | None, imsi: str | None, as_json: bool) -> None:
    """Print each new state of a store.

    \b
    imeiset watch eir --json
    imeiset watch eir --imei 490154203237518

    A state that cannot be read is reported on stderr, and the one before it stays in use. Ctrl-C ends the
    command.
    """
    from imeiset import Store

    if imsi is not None and imei is None:
        raise click.UsageError("--imsi needs --imei")
    with suppress(KeyboardInterrupt):
        reader, fault = Store.open(store), None
        _show(reader, store, imei, imsi, as_json)
        while True:
            time.sleep(interval)
            try:
                moved, error = reader.refresh(), None
            except (ImeisetError, OSError) as caught:
                moved, error = False, str(caught)
            if error and error != fault:
                click.echo(f"imeiset: {printable(error)}", err=True)
            fault = error
            if moved:
                _show(reader, store, imei, imsi, as_json)


def _show(reader: "Store", name: str, imei: str | None, imsi: str | None, as_json: bool) -> None:
    status = reader.status()
    verdict = None if imei is None else reader.check(imei, imsi)
    if as_json:
        said = {} if verdict is None else {"verdict": verdict.to_dict()}
        click.echo(json.dumps({**store_facts(status), **said}))
        return
    click.echo(
        f"{printable(name)}: generation {status.generation}, change {status.sequence}, "
        f"{age_text(status, '.3f')}, state {status.state_id}"
    )
    if verdict is not None:
        subscriber = f" with {printable(imsi)}" if imsi else ""
        click.echo(f"  {printable(str(imei))}{subscriber}  {verdict_line(verdict)}")
