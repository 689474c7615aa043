"""`imeiset serve`: a 5G-EIR and Diameter S13 over a store, checks in bulk, metrics and a page."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imeiset.cli.files import FILE, argument

if TYPE_CHECKING:
    from imeiset.serve.config import Config

_FRONTS = {"http": "127.0.0.1:8080", "diameter": "127.0.0.1:3868", "admin": "127.0.0.1:9090"}
_NAMES = {
    **{f"{front}.listen": f"--{front}" for front in _FRONTS},
    "http.workers": "--workers",
    "store.path": "STORE",
}


@click.command("serve")
@argument(
    "source",
    "A configuration, or the directory of a store.",
    metavar="CONFIG|STORE",
    required=False,
    type=FILE,
)
@click.option("--http", metavar="HOST:PORT", help="5G-EIR and bulk checks, at this address.")
@click.option("--diameter", metavar="HOST:PORT", help="Diameter S13, at this address.")
@click.option("--admin", metavar="HOST:PORT", help="Metrics, health and the page, at this address.")
@click.option(
    "--workers", type=int, metavar="N", help="Processes for --http.  [default: the number of cores]"
)
@click.option("--check", is_flag=True, help="Check that it can be served, and end.")
@click.option("--example", is_flag=True, help="Print a configuration with all keys, and end.")
def command(
    source: str | None,
    http: str | None,
    diameter: str | None,
    admin: str | None,
    workers: int | None,
    check: bool,
    example: bool,
) -> None:
    """Answer equipment checks of networks from a store.

    \b
    imeiset serve --example > eir.toml
    imeiset serve eir.toml
    imeiset serve eir --http 127.0.0.1:8080 --admin 127.0.0.1:9090

    5G cores ask over HTTP/2, MMEs over Diameter S13, other clients in bulk. The store may change meanwhile.

    A store without options is served at 127.0.0.1: 8080 (HTTP), 3868 (Diameter) and 9090 (metrics, health and
    the page). SIGHUP reads the configuration again, its tokens and certificates too. SIGTERM lets requests
    under way end.
    """
    if example:
        from imeiset.serve.config.example import example as text

        click.echo(text(), nl=False)
        return
    if source is None:
        raise click.UsageError("a configuration or a store is missing; --example prints a configuration")
    given = {"http": http, "diameter": diameter, "admin": admin}
    wanted = {name: address for name, address in given.items() if address is not None}
    if not Path(source).is_dir() and (wanted or workers is not None):
        option = next((f"--{name}" for name in wanted), "--workers")
        raise click.UsageError(f"{option} is for a store; {source} says all itself")

    def read() -> "Config":
        from imeiset.serve import config

        if not Path(source).is_dir():
            return config.read(source)
        tables: dict[str, Any] = {name: {"listen": address} for name, address in (wanted or _FRONTS).items()}
        if workers is not None:
            tables.setdefault("http", {})["workers"] = workers
        return config.understood({"store": {"path": source}, "log": {"format": "text"}, **tables}, "", _NAMES)

    if check:
        _check(read())
        return
    from imeiset.serve.processes.supervisor import run

    sys.exit(run(read, source))


def _check(config: "Config") -> None:
    from imeiset.serve.config import dumped
    from imeiset.serve.processes.check import facts

    said = facts(dumped(config))
    if "error" in said:
        raise click.ClickException(said["error"])
    for text in said["warnings"]:
        click.echo(f"imeiset: warning: {text}", err=True)
    click.echo(f"store {config.store.path}: {said['store']}")
