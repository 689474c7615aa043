"""The part of `imeiset demo` that lives: a stolen phone, in a store that other processes watch."""

import json
import select
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE, Popen
from typing import IO, cast

import click

_PHONE = "356938035643809"
_OWNER, _THIEF = "234150999999999", "262011234567890"
_PATIENCE = 20.0  # seconds
_DESCRIPTION = """\
[policy]
response_type = 1

[[lists]]
name = "stolen"
status = "blacklisted"
files = ["stolen.csv"]

[[lists]]
name = "models"
kind = "tacs"
status = "greylisted"
files = ["models.csv"]

[[lists]]
name = "exceptions"
kind = "exempt"
files = ["exceptions.csv"]
"""
# What happens: the delta, its list, and what then is answered for the thief and for the owner.
_STEPS = (
    ("reported", "stolen", "imei,change_type\n{phone},add\n", "blacklisted", "blacklisted"),
    ("exempted", "exceptions", "imei,imsi,change_type\n{phone},{owner},add\n", "blacklisted", "whitelisted"),
    ("released", "stolen", "imei,change_type\n{phone},remove\n", "whitelisted", "whitelisted"),
)


def _watcher(stack: ExitStack, folder: Path, imsi: str) -> IO[str]:
    """What another process says that reads the store: `imeiset watch`."""
    options = ("watch", "eir", "--json", "--interval", "0.02", "--imei", _PHONE, "--imsi", imsi)
    command = [sys.executable, "-m", "imeiset", *options]
    process = stack.enter_context(Popen(command, cwd=folder, stdout=PIPE, text=True))
    stack.callback(process.kill)
    return cast(IO[str], process.stdout)


def stolen_phone(folder: Path, run: Callable[..., None]) -> None:
    """A phone is reported, exempted for one subscriber and released, while two processes watch.

    run: a command in that folder, which has a list stolen.csv.
    """
    (folder / "register.toml").write_text(_DESCRIPTION)
    (folder / "models.csv").write_text("tac\n35123456\n")
    (folder / "exceptions.csv").write_text(f"imei,imsi\n49015420323751,{_OWNER}\n")
    click.echo("\nA stolen phone. The register of a carrier: a list, a model under observation, exceptions")
    run(folder, "build", "register.toml", "-o", "register.imei")
    run(folder, "create", "eir", "register.imei")
    with ExitStack() as stack:
        watchers = {"thief": _watcher(stack, folder, _THIEF), "owner": _watcher(stack, folder, _OWNER)}
        click.echo(f"\nTwo more processes watch it, each for the phone {_PHONE} with another IMSI:")
        for who, said in watchers.items():
            _expect(who, said, "whitelisted", None)
        for step, name, text, *expected in _STEPS:
            (folder / f"{step}.csv").write_text(text.format(phone=_PHONE, owner=_OWNER))
            started = time.perf_counter()
            run(folder, "apply", "eir", f"{step}.csv", "--list", name)
            for (who, said), status in zip(watchers.items(), expected, strict=True):
                _expect(who, said, status, started)
    run(folder, "compact", "eir")
    run(folder, "info", "eir")
    run(folder, "verify", "eir")


def _expect(who: str, said: IO[str], status: str, since: float | None) -> None:
    """Print what a watcher says next, which has to be this status, and how soon it does."""
    ready = select.select([said], [], [], _PATIENCE)[0]
    if not ready or not (line := said.readline()):
        raise click.ClickException(f"expected the process {who!r} to see a state, got nothing")
    verdict = json.loads(line)["verdict"]
    after = "" if since is None else f", {(time.perf_counter() - since) * 1e3:.0f} ms after the command began"
    click.echo(f"  with the {who}'s IMSI: {verdict['status']} by {verdict['rule']}{after}")
    if verdict["status"] != status:
        raise click.ClickException(f"expected {status}, got {verdict['status']}")
