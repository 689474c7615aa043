"""What the commands that read and write files share."""

import errno
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

Opened = TypeVar("Opened")
Command = TypeVar("Command", bound=Callable[..., Any])


# Shells offer the names of files, or of directories; who opens them says what is wrong with them.
FILE, DIRECTORY = click.Path(readable=False), click.Path(file_okay=False, readable=False)


class _Argument(click.Argument):
    """An argument with a text. click before 8.5 knows of none, and shows none."""

    def __init__(self, *names: Any, help: str, **given: Any) -> None:
        super().__init__(*names, **given)
        self.help = help


def argument(name: str, help: str, **given: Any) -> Callable[[Command], Command]:
    """An argument of a command, as by `click.argument`, and what it is."""
    return click.argument(name, cls=_Argument, help=help, **given)


store_argument = argument("store", "The directory of the store.", type=DIRECTORY)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
force_option = click.option("--force", is_flag=True, help="Take it, whatever its size.")


def stdin_once(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """For arguments that are files, of which '-' is stdin."""
    if value.count("-") > 1:
        raise click.BadParameter("'-' is stdin, which can be read once")
    return value


def number(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """For options of a number: NaN is none, and no limit."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("expected a number, got nan")
    return value


min_size_option = click.option(
    "--min-size",
    type=float,
    callback=number,
    default=75.0,
    show_default=True,
    metavar="PERCENT",
    help="Refuse a list that has less of its last size than this.",
)


def counted(count: int, one: str) -> str:
    """1 change, 2,000 changes."""
    plural = f"{one[:-1]}xes" if one.endswith("x") else f"{one}s"
    return f"{count:,} {one if count == 1 else plural}"


def last_list(output: str, open: Callable[[str], Opened]) -> Opened | None:
    """The list that a new one replaces, if there is one."""
    from imeiset.errors import SnapshotError

    if not Path(output).is_file():
        return None
    try:
        return open(output)
    except SnapshotError as error:
        raise click.ClickException(f"{error}; --force replaces it all the same") from None


def check_outputs(files: tuple[str, ...], output: str, rejects: str | None) -> None:
    """Say now what would go wrong after the work is done, and protect the sources."""
    from imeiset._files import is_of_store

    if "-" in (output, rejects):
        raise click.UsageError("OUT and --rejects cannot go to stdout; for a file of that name: ./-")
    outputs = [Path(os.path.realpath(name)) for name in (output, rejects) if name is not None]
    if len(set(outputs)) < len(outputs):
        raise click.UsageError("OUT and --rejects are the same file")
    for path in outputs:
        if not path.parent.is_dir():
            raise click.UsageError(f"{path}: no such directory")
        if path.is_dir():
            raise click.UsageError(f"{path}: is a directory")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise click.UsageError(f"{path}: the directory is not writable")
        if is_of_store(path):
            raise click.UsageError(f"{path}: is a file of a store: choose another name")
        # A source that is a directory is read with all that is in it.
        if any(path.exists() and path.is_relative_to(os.path.realpath(name)) for name in files):
            raise click.UsageError(f"{path}: is a source and would be replaced")


@contextmanager
def output_file(path: str) -> Iterator[BinaryIO]:
    """A file to write, which is there when all is written and for its owner only; '-' is stdout."""
    from imeiset._files import expect_written, publish

    if path == "-":
        if sys.stdout is None:  # it was closed before the command began
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), "stdout")
        sys.stdout.flush()
        yield sys.stdout.buffer
        return
    try:
        expect_written(path)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with publish(path) as file:
        yield file


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int | None], None] | None]:
    """A callback that draws a bar on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Say on stderr what is under way, if that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True, markup=False).status(what):
        yield
