"""The options of reading, `imeiset.feeds.options`, as those of commands."""

from collections.abc import Callable
from typing import Any

import click

from imeiset.cli.files import FILE
from imeiset.feeds.options import (
    COLUMN,
    COLUMNS,
    DEFAULTS,
    FLAG,
    NUMBER,
    PATH,
    WHOLE,
    Doors,
    Option,
    column_of,
    options_of,
)

Command = Callable[..., Any]


def reading_options(door: Doors, leave: tuple[str, ...] = ()) -> Callable[[Command], Command]:
    """The options of a door, in order, but for some. A command gets them by name; None is not given."""

    def decorate(command: Command) -> Command:
        for name, option in reversed(options_of(door).items()):
            if name not in leave:
                command = _option(name, option)(command)
        return command

    return decorate


def _files(
    context: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> dict[str, list[str]]:
    """The files of lists, by name."""
    found: dict[str, list[str]] = {}
    for text in value:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise click.BadParameter(f"expected NAME=PATH, got {text!r}")
        found.setdefault(name, []).append(path)
    return found


files_option = click.option(
    "--file",
    "replaced",
    multiple=True,
    metavar="NAME=PATH",
    callback=_files,
    help="Read the list NAME of a description from this file, in this run; may be repeated.",
)


def given(parameters: dict[str, Any], door: Doors) -> dict[str, Any]:
    """The options of a door that a command was given."""
    names = options_of(door)
    return {name: value for name, value in parameters.items() if name in names and value is not None}


def _option(name: str, option: Option) -> Callable[[Command], Command]:
    switch, default = f"--{name.replace('_', '-')}", DEFAULTS[name]
    return click.option(
        f"{switch}/--no-{switch[2:]}" if option.kind is FLAG else switch,
        type=_type(option),
        multiple=option.kind is COLUMNS,
        default=() if option.kind is COLUMNS else None,
        metavar=option.metavar or (None if option.words else option.kind.metavar or None),
        help=option.help if default is None else f"{option.help} [default: {default}]",
        callback=_read(option),
    )


def _type(option: Option) -> Any:
    if option.words:
        return click.Choice(option.words)
    return {PATH: FILE, WHOLE: click.INT, NUMBER: click.FLOAT, FLAG: None}.get(option.kind, click.STRING)


def _read(option: Option) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback that gives the value as `Options` holds it, or says what was expected."""

    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        if value is None or value == ():
            return None
        try:
            if option.kind in (COLUMN, COLUMNS):
                value = [column_of(one) for one in ([value] if isinstance(value, str) else value)]
                value = value if option.kind is COLUMNS else value[0]
            return option.read(value)
        except ValueError as error:
            raise click.BadParameter(f"expected {error}, got {value!r}") from None

    return callback
