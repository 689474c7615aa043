"""`imeiset apply`: deltas to a snapshot, or to a list of a store; and one phone by hand."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imeiset.cli import byhand
from imeiset.cli.files import (
    FILE,
    argument,
    check_outputs,
    force_option,
    json_option,
    min_size_option,
    progress_bar,
    stdin_once,
)
from imeiset.cli.options import given, reading_options
from imeiset.deltas.changes import CHECKS
from imeiset.errors import printable
from imeiset.feeds.options import options_of

if TYPE_CHECKING:
    from imeiset import ApplyReport


@click.command("apply")
@argument(
    "base",
    "The snapshot of a set, or the directory of a store.",
    type=FILE,
    metavar="SNAPSHOT|STORE",
)
@argument(
    "deltas",
    "Files of changes, applied in this order. '-' is stdin.",
    type=FILE,
    metavar="[DELTA]...",
    nargs=-1,
    callback=stdin_once,
)
@click.option("-o", "--output", type=FILE, metavar="OUT", help="The snapshot to write; may be SNAPSHOT.")
@click.option(
    "--list", metavar="NAME", help="The list of the store or of --description, if there are several."
)
@click.option(
    "--sequence",
    type=click.IntRange(1),
    metavar="N",
    help="The number that the first delta must get in the store.",
)
@click.option("--feed", metavar="NAME", help="The feed of a store that --sequence counts.")
@click.option(
    "--after",
    type=click.IntRange(0),
    metavar="N",
    help="The number before --sequence, of a feed that leaves numbers out.",
)
@byhand.options
@click.option(
    "--outcomes", type=FILE, metavar="CSV", help="Write each row, and what became of it, to this file."
)
@click.option(
    "--description",
    type=FILE,
    metavar="TOML",
    help="Read deltas by the options that this description gives the list.",
)
@reading_options("apply", leave=("imsi",))
@click.option("--change", type=click.Choice(["add", "remove", "update"]), help="What every row says.")
@click.option("--allow", multiple=True, type=click.Choice(CHECKS), help="Leave out a check; may be repeated.")
@click.option("--expect-digest", metavar="HEX", help="Refuse a result with another digest.")
@min_size_option
@force_option
@json_option
def command(
    base: str, deltas: tuple[str, ...], output: str | None, allow: list[str], as_json: bool, **options: Any
) -> None:
    """Apply deltas to a set, or to a list of a store.

    \b
    imeiset apply blocked.imei delta.csv -o blocked.imei
    imeiset apply blocked.imei day.csv -o blocked.imei --change-column op --change-values 0=remove,1=add
    imeiset apply eir 000123.csv --list stolen --feed op-a --sequence 123 --outcomes answer.csv
    imeiset apply eir --list stolen --add 490154203237518 --reason lost --by desk --ref "case 7"
    imeiset apply eir --create-list stolen --status blacklisted --owner op-a

    A DELTA says in one of three ways what changes: by a column change_type of add, remove and update, or by
    --change-column; by its name, which ends in _blocked, _unblocked or _changed; or by a '+' or '-' before
    each number. All of it is applied, or nothing. These are errors: an addition of what is there, a removal
    or update of what is not, two different changes of one IMEI, a change that is not understood, and rejected
    rows if --max-rejects does not allow them.

    In a STORE each DELTA is a change of its own, on the disk before the next one is read. Reasons and dates
    are kept. For a list of pairs the DELTA has a column imsi. With --sequence, a DELTA that was applied under
    its number is not applied again, and one that is out of order is refused. With --feed, the number is one
    of that feed; each feed counts by itself. Only its owner changes a list that has one: --by, or the feed.

    Instead of a DELTA, --add and --remove change single phones of a list. These must have 15 digits with the
    right check digit, because people mistype; --check-digit ignore takes any of 14 or 15 digits.
    --create-list makes a list, --drop-list drops one.

    --outcomes writes the rows of the DELTA as they were, with one more column: added, already there, removed
    (and which lists still have the phone), not there, updated, or rejected and why. If the DELTA is refused,
    the column says which rows are wrong.
    """
    from imeiset.feeds import Options

    reading = given(options, "apply")
    options = {name: value for name, value in options.items() if name not in options_of("apply")} | reading
    is_store, rejects = Path(base).is_dir(), reading.get("rejects")
    if byhand.is_asked(options):
        byhand.change(
            base, deltas, options | {"imsi": reading.pop("imsi", None), "allow": allow}, reading, as_json
        )
        return
    if not deltas:
        raise click.UsageError("expected a DELTA; or --add, --remove, --create-list or --drop-list")
    byhand.leave_out(options)
    for name in ("list", "sequence", "irregular", "feed", "after", "by", "ref"):
        known = is_store or (name == "list" and options["description"] is not None)
        if options.get(name) is not None and not known:
            raise click.UsageError(f"--{name} needs the directory of a store, got {base!r}")
    if is_store and output is not None:
        raise click.UsageError(f"{base!r} is a directory: a store is changed itself, without -o")
    if not is_store and output is None:
        raise click.UsageError("expected -o OUT, the snapshot to write")
    if options["after"] is not None and (options["sequence"] is None or options["feed"] is None):
        raise click.UsageError("--after needs --feed and --sequence")
    outcomes = options["outcomes"]
    for name, path in (("rejects", rejects), ("outcomes", outcomes)):
        if path is not None and len(deltas) > 1:
            raise click.UsageError(f"--{name}: expected one DELTA")
        if path is not None:
            check_outputs((base, *deltas), path, None)
    if output is not None:
        check_outputs(deltas, output, rejects)
    if outcomes is not None and outcomes in (output, rejects):
        raise click.UsageError("--outcomes is the same file as another output")
    options |= {
        "checks": {*CHECKS} - {*allow},
        "min_size": 0 if options.pop("force") else options["min_size"],
    }
    if options["description"] is None:
        try:
            Options(**reading)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    if output is not None:
        _apply_to_set(base, deltas, output, as_json, options)
    else:
        _apply_to_store(base, deltas, as_json, options)


def _apply_to_set(
    base: str, deltas: tuple[str, ...], output: str, as_json: bool, options: dict[str, Any]
) -> None:
    from imeiset import ImeiSet, apply

    old = ImeiSet.open(base, checksums=True)
    with progress_bar() as progress:
        result, applied = apply(old, deltas, **options, progress=progress)
    try:
        result.save(output)
    except BaseException:
        if options["outcomes"] is not None:  # which say that it was done
            Path(options["outcomes"]).unlink(missing_ok=True)
        raise
    _say(applied, f"{printable(output)}: {applied.keys:,} IMEIs, {len(old):,} before", as_json)


def _apply_to_store(base: str, deltas: tuple[str, ...], as_json: bool, options: dict[str, Any]) -> None:
    from imeiset import Store, apply

    name, sequence, expect_digest = options["list"], options["sequence"], options["expect_digest"]
    feed, after = options["feed"], options["after"]
    with Store.open(base) as store:
        names = [one.name for one in store.lists]
        if name not in names and (name is not None or len(names) != 1):
            raise click.UsageError(f"--list: expected one of {', '.join(names)}, got {name or 'none'}")
        for at, delta in enumerate(deltas):
            before = store.sequence
            options["after"] = after if at == 0 else None
            options["sequence"] = None if sequence is None else sequence + at
            options["expect_digest"] = expect_digest if at == len(deltas) - 1 else None
            with progress_bar() as progress:
                _, applied = apply(store, delta, progress=progress, **options)
            again = ", as before" if store.sequence == before else ""
            of = "" if feed is None else f" of {printable(feed)}"
            title = f"{printable(base)}: change {applied.sequence}{of}{again}, {printable(name or names[0])}"
            _say(applied, title, as_json, delta=delta)


def _say(applied: "ApplyReport", title: str, as_json: bool, **facts: str) -> None:
    if as_json:
        click.echo(json.dumps({**facts, **json.loads(applied.to_json())}))
        return
    from imeiset.cli.reports import show_named

    rows = sum(source.rows for source in applied.sources)
    changes = f"{applied.added:,} added, {applied.removed:,} removed, {applied.updated:,} updated"
    click.echo(f"{title}\n  {rows:,} rows: {changes}\n  digest {applied.digest}")
    if applied.still_listed:
        click.echo(f"  of the removed {applied.still_listed:,} are still listed, by a range or a TAC")
    for source in applied.sources:
        show_named(source)
