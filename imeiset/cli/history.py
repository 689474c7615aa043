"""`imeiset history`: who put phones on the lists of a store, and took them off."""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from imeiset.cli.files import (
    FILE,
    argument,
    check_outputs,
    json_option,
    output_file,
    store_argument,
)
from imeiset.cli.registers import name_text
from imeiset.errors import mask, mask_imsi, printable

if TYPE_CHECKING:
    import datetime

    from imeiset.store import Event

_COLUMNS = (
    *("time", "sequence", "feed", "number", "list", "rule", "action", "imei", "last", "imsi"),
    *("by", "ref", "reasons", "date", "until"),
)


@click.command("history")
@store_argument
@argument("imei", "One phone. Without it, all.", required=False)
@click.option("--since", metavar="DATE|N", help="Only what happened since then, or from change N on.")
@click.option("--list", "lists", multiple=True, metavar="NAME", help="Of this list only; may be repeated.")
@click.option("-o", "--output", type=FILE, metavar="OUT", help="Write CSV to this file; '-' is stdout.")
@click.option("--whole", is_flag=True, help="Show whole IMEIs and IMSIs, where they would be masked.")
@json_option
@click.pass_context
def command(
    context: click.Context,
    store: str,
    imei: str | None,
    since: str | None,
    lists: tuple[str, ...],
    output: str | None,
    whole: bool,
    as_json: bool,
) -> None:
    """Show what became of phones: added, changed, removed.

    \b
    imeiset history eir 490154203237518
    imeiset history eir --since 2026-11-01 -o november.csv
    imeiset history eir --since 1200 --list stolen --json

    Each line has the time (UTC), the change of the store and of its feed, the list, who made the change and
    what it refers to (by, ref), the reasons, the date and the last day. 'held' is an entry that was there
    when the history begins. The history goes back as far as imeiset prune has left it.

    The history of one phone shows its number. That of all phones masks numbers, unless it is written with
    -o, or asked for with --whole. OUT is readable by its owner only.

    Exit code: 0 if something happened, 1 if nothing did, 2 after an error.
    """
    from imeiset import Store

    if output is not None and output != "-":
        check_outputs((store,), output, None)
    day, number = _since(since)
    with Store.open(store) as opened:
        if unknown := [name for name in lists if name not in opened]:
            raise click.UsageError(
                f"--list: expected one of {', '.join(opened)}, got {printable(unknown[0])}"
            )
        show = _json if as_json else _csv if output is not None else _line
        whole = whole or output is not None or imei is not None
        rows = (
            show(_facts(event, whole=whole))
            for event in opened.history(imei, since=day)
            if event.sequence >= (number or 0) and (not lists or event.list in lists)
        )
        found = _written(rows, output, _header() if show is _csv else "")
    context.exit(0 if found else 1)


def _written(rows: Iterator[str], output: str | None, header: str) -> bool:
    """Write rows; whether there were some."""
    found = False
    with output_file("-" if output is None else output) as file:
        file.write(header.encode())
        for row in rows:
            found = True
            file.write(row.encode())
    return found


def _since(text: str | None) -> "tuple[datetime.date | datetime.datetime | None, int | None]":
    """A date or a time, or the number of a change."""
    import datetime

    if text is None:
        return None, None
    if re.fullmatch("[0-9]{1,18}", text) and len(text) != 8:
        return None, int(text)
    for read in (datetime.date.fromisoformat, datetime.datetime.fromisoformat):
        try:
            return read(text), None
        except ValueError:
            pass
    raise click.BadParameter(
        f"expected a day like 2026-11-29, a time, or the number of a change, got {text!r}",
        param_hint="--since",
    )


def _facts(event: "Event", *, whole: bool) -> dict[str, Any]:
    facts = event.to_dict()
    if not whole:
        for name, hidden in (("imei", mask), ("last", mask), ("imsi", mask_imsi)):
            facts[name] = facts[name] and hidden(facts[name])
    return facts


def _json(facts: dict[str, Any]) -> str:
    return json.dumps(facts) + "\n"


def _cells(facts: dict[str, Any]) -> list[Any]:
    return [("|".join(facts[name]) if name == "reasons" else facts[name]) for name in _COLUMNS]


def _header() -> str:
    return ",".join(_COLUMNS) + "\n"


def _csv(facts: dict[str, Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(["" if cell is None else cell for cell in _cells(facts)])
    return out.getvalue()


def _line(facts: dict[str, Any]) -> str:
    """An event in a line for people."""
    phone = facts["imei"] or "-"
    phone += f"..{facts['last']}" if facts["last"] else ""
    phone += f" with {facts['imsi']}" if facts["imei"] and facts["imsi"] else ""
    phone = facts["imsi"] or phone if not facts["imei"] else phone
    feed = f"{name_text(facts['feed'])} {facts['number']}" if facts["feed"] else "-"
    said = [f"by {name_text(facts['by'])}"] if facts["by"] else []
    said += [f"ref {facts['ref']}"] if facts["ref"] else []
    said += ["|".join(facts["reasons"])] if facts["reasons"] else []
    said += [f"{word} {facts[name]}" for name, word in (("date", "since"), ("until", "until")) if facts[name]]
    words = (
        facts["time"][:19].replace("T", " "),
        str(facts["sequence"]),
        feed,
        facts["action"],
        facts["list"],
    )
    return "  ".join(printable(str(word)) for word in (*words, facts["rule"], phone, *said)) + "\n"
