"""`imeiset feed`: a directory of full lists and deltas, brought into a store in order."""

import json
from typing import TYPE_CHECKING, Any

import click

from imeiset.cli.files import (
    DIRECTORY,
    FILE,
    argument,
    json_option,
    min_size_option,
    progress_bar,
    store_argument,
)
from imeiset.cli.options import given, reading_options
from imeiset.deltas.changes import CHECKS
from imeiset.errors import printable

if TYPE_CHECKING:
    from imeiset.deltas import FeedStep


@click.command("feed")
@argument("directory", "The directory in which the files of the feed arrive.", type=DIRECTORY, metavar="DIR")
@store_argument
@click.option("--feed", "name", metavar="NAME", help="The name of the feed. [default: that of DIR]")
@click.option("--description", type=FILE, metavar="TOML", help="How files are read, and what new lists are.")
@click.option("--number", metavar="REGEX", help="Where the number is in names: a group in parentheses.")
@click.option("--deltas", metavar="GLOB", help="Names of deltas, whatever words they have.")
@click.option("--full", metavar="GLOB", help="Names of full lists, whatever words they have.")
@click.option(
    "--outcomes",
    type=DIRECTORY,
    help="Write the rows of each delta, and what became of them, to this directory.",
)
@reading_options("apply", leave=("rejects",))
@click.option("--allow", multiple=True, type=click.Choice(CHECKS), help="Leave out a check; may be repeated.")
@min_size_option
@click.option("--force", is_flag=True, help="Take the newest full list again, whatever its size.")
@json_option
def command(
    directory: str, store: str, name: str | None, allow: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """Apply the files of a feed to a store, in order.

    \b
    imeiset feed in/op-a eir
    imeiset feed in/op-a eir --feed op-a --description op-a.toml

    DIR holds full lists and deltas, each with its number in its name: stolen_full_000120.csv.gz,
    stolen_delta_000121.csv. A delta from 7 to 9 is named ..._delta_7_9_.... If no name has a number, days or
    hours take its place (20261129, 20261129_14). A full list contains all changes up to its own number.

    A file that the store has is not applied again. A delta is applied if it follows the last one. If a delta
    is missing, the next newer full list replaces the lists of the feed; without a newer one, the command
    stops and says what is missing. Each line says what became of a file: applied, replaced, contained,
    waiting or left out. A file whose content differs from what was applied under its number is an error, and
    so is a name with a number that is not understood.

    The lists of the feed are those that it owns in the store, or that the description has. If there are
    several, the name of each file contains the name of its list.

    Exit code: 0 if the store is as new as DIR, 2 if something is missing or wrong. The files before it are
    applied.
    """
    import re
    from pathlib import Path

    from imeiset import Store, feed
    from imeiset.feeds import Options

    reading = given(options, "apply")
    options = {key: value for key, value in options.items() if key not in _reading()}
    outcomes = options["outcomes"]
    if outcomes is not None and not Path(outcomes).is_dir():
        raise click.UsageError(f"--outcomes: expected a directory, got {outcomes!r}")
    if outcomes is not None and Path(outcomes).resolve() == Path(directory).resolve():
        raise click.UsageError("--outcomes: expected another directory than DIR, which is read")
    try:
        Options(**{"max_rejects": 0, **reading})
        if options["number"] is not None and not 1 <= re.compile(options["number"]).groups <= 2:
            raise ValueError("expected --number with a group, or with two: the number before, and the number")
    except re.error as error:
        raise click.UsageError(f"--number: {error}") from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None

    def told(step: "FeedStep") -> None:
        click.echo(json.dumps(_facts(step)) if as_json else _line(step))

    with Store.open(store) as opened, progress_bar() as progress:
        checks = {*CHECKS} - {*allow}
        steps = feed(
            directory, opened, feed=name, checks=checks, told=told, progress=progress, **options, **reading
        )
        of = name or Path(directory).resolve().name
        if not as_json and not any(step.action in ("applied", "replaced") for step in steps):
            click.echo(f"{printable(store)}: nothing new of {printable(of)}")


def _reading() -> set[str]:
    from imeiset.feeds.options import options_of

    return {*options_of("apply")}


def _facts(step: "FeedStep") -> dict[str, Any]:
    facts: dict[str, Any] = {"files": [*step.files], "action": step.action, "number": step.number}
    if step.why:
        facts["why"] = step.why
    if step.action == "applied":
        [report] = step.reports
        facts |= {name: getattr(report, name) for name in ("added", "removed", "updated", "still_listed")}
    if step.action == "replaced":
        facts["lists"] = {one.name: one.report.keys for one in step.reports}
    return facts


def _line(step: "FeedStep") -> str:
    from imeiset.deltas.naming import shown

    number = f"{shown(step.number):>10}  " if step.number else " " * 12
    said = step.why
    if step.action == "applied":
        [report] = step.reports
        said = f"{report.added:,} added, {report.removed:,} removed, {report.updated:,} updated"
    if step.action == "replaced":
        said = ", ".join(f"{printable(one.name)} {one.report.keys:,}" for one in step.reports)
        said += f"; {step.why}" if step.why else ""
    names = ", ".join(map(printable, step.files))
    return f"{number}{step.action:<10} {names}" + (f": {said}" if said else "")
