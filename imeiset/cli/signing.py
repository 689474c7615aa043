"""What the commands share that sign: passphrases, durations, reports."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from imeiset.cli.files import FILE
from imeiset.errors import printable

_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def _duration(context: click.Context, parameter: click.Parameter, value: str) -> timedelta:
    found = re.fullmatch(r"([1-9][0-9]{0,4})([dhm])", value, re.ASCII)
    if found is None:
        raise click.BadParameter(f"expected days, hours or minutes like 2d, 36h or 90m, got {value!r}")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


keys_option = click.option(
    "--keys",
    "folders",
    type=click.Path(file_okay=False, readable=False),
    required=True,
    multiple=True,
    metavar="DIR",
    help="The folder of `imeiset keys new`; may be repeated, for keys that are kept elsewhere.",
)
expires_option = click.option(
    "--expires",
    callback=_duration,
    default="2d",
    show_default=True,
    metavar="TIME",
    help="How long followers take an edition as current: 2d, 36h, 90m.",
)
passphrase_option = click.option(
    "--passphrase-file",
    type=FILE,
    metavar="FILE",
    help="A file whose first line is the passphrase of the keys. [default: ask for it]",
)


def passphrase_in(path: str) -> bytes:
    """The first line of a file."""
    try:
        word = Path(path).read_bytes().split(b"\n", 1)[0].rstrip(b"\r")
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}") from None
    if not word:
        raise click.UsageError(f"{path}: expected a passphrase in the first line, got none")
    return word


def passphrase_of(path: str | None) -> bytes | Callable[[Path], bytes] | None:
    """From a file, or asked for once when a key needs it, if that is a terminal."""
    if path is not None:
        return passphrase_in(path)
    if not sys.stdin or not sys.stdin.isatty():
        return None
    asked = list[bytes]()

    def ask(file: Path) -> bytes:
        if not asked:
            asked.append(click.prompt(f"Passphrase of {file.name}", hide_input=True, err=True).encode())
        return asked[0]

    return ask


def show_json(report: Any) -> None:
    """A report as one object: times in UTC, nothing else changed."""

    def text(value: object) -> str:
        assert isinstance(value, datetime)
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"

    click.echo(json.dumps(asdict(report), default=text))


def show_ends(expires: dict[str, datetime], warnings: tuple[str, ...]) -> None:
    """When what is signed ends, on stdout; what somebody should know, on stderr."""
    ends = ", ".join(f"{role} {when:%Y-%m-%d %H:%M}" for role, when in expires.items())
    click.echo(f"  ends (UTC): {ends}")
    show_warnings(warnings)


def show_warnings(warnings: tuple[str, ...]) -> None:
    """On stderr."""
    for warning in warnings:
        click.echo(f"imeiset: {printable(warning)}", err=True)
