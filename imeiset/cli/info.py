"""`imeiset info`: what is in a snapshot or a store, or what a list is taken for."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imeiset.cli.files import FILE, argument, counted, json_option
from imeiset.cli.lists import show_list
from imeiset.cli.options import given, reading_options
from imeiset.cli.registers import (
    age_text,
    followed_text,
    freshness,
    name_text,
    number_text,
    policy_facts,
    since_text,
    store_facts,
)
from imeiset.errors import printable

if TYPE_CHECKING:
    from imeiset import ImeiSet, Register, Store


@click.command("info")
@argument(
    "snapshot",
    "A set, a register, a store, or a list that is not built yet.",
    type=FILE,
    metavar="SNAPSHOT|STORE|LIST",
)
@click.option(
    "--top",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="How many of the biggest TACs to show.",
)
@click.option("--digests", is_flag=True, help="The SHA-256 of all that each list holds; reads all of them.")
@reading_options("info")
@json_option
def command(snapshot: str, top: int, digests: bool, as_json: bool, **options: Any) -> None:
    """Show what a snapshot, a store or a list holds.

    \b
    imeiset info blocked.imei --top 20
    imeiset info eir --json --digests
    imeiset info stolen.csv --where status=Blocked

    Of a set it shows how many IMEIs it has, its size and its biggest TACs; of a register its policy, its
    lists and how much each holds. Of a STORE it shows also the generation, the last change and its age, the
    journal, how far the feeds are, what it follows of others, when a change last named each list, and the id
    of the state. A publisher is shown by the first digits of its fingerprint; --json has all of them.

    Of a LIST that is not built yet it shows how it is written, what each column is taken for, the first rows
    with their numbers masked, what is in all rows, and why imeiset build would refuse it. The options of
    reading are those of imeiset build.
    """
    from imeiset import ImeiSet
    from imeiset import open as opened

    reading = given(options, "info")
    if _is_list(snapshot):
        if digests:
            raise click.UsageError("--digests is about a snapshot or a store: build prints that of a list")
        show_list(snapshot, reading, as_json)
        return
    if reading:
        name = next(iter(reading)).replace("_", "-")
        raise click.UsageError(f"--{name} is about a list that is not built yet, got {snapshot!r}")
    listed = opened(snapshot)
    if isinstance(listed, ImeiSet):
        _show_set(listed, snapshot, top, digests, as_json)
    else:
        _show_register(listed, snapshot, digests, as_json)


def _is_list(path: str) -> bool:
    """Whether it is neither a snapshot nor a store. What cannot be read is neither: to open it says why."""
    from imeiset.snapshot import MAGIC

    if path.endswith(".toml"):
        raise click.UsageError(f"{path!r} is a description: imeiset build makes a register of it")
    if path == "-":
        raise click.UsageError("stdin is read once only, and info reads twice: name a file")
    if "://" in path:
        return True
    if not Path(path).is_file():
        return False
    with Path(path).open("rb") as file:
        head = file.read(len(MAGIC))
    return not (path.endswith(".imei") or (head and MAGIC.startswith(head[:5])))


def _show_register(register: "Register | Store", name: str, digests: bool, as_json: bool) -> None:
    from imeiset import Store, snapshot

    status = register.status() if isinstance(register, Store) else None
    if status:
        facts = store_facts(status)
    else:
        file = snapshot.open(name)
        facts = {"bytes": file.nbytes, "state_id": f"{file.digest:016x}"}
    lists: list[dict[str, Any]] = [
        {
            "name": one.name,
            "status": one.status.name.lower(),
            "kind": one.kind,
            "reason": one.reason,
            "owner": one.owner,
            "counts": one.counts(),
            **(freshness(status.lists[one.name]) if status else {}),
            **({"digest": one.digest().hex()} if digests else {}),
        }
        for one in register.lists
    ]
    policy = policy_facts(register.policy)
    if as_json:
        click.echo(json.dumps({**facts, "policy": policy, "lists": lists}))
        return
    from rich.console import Console
    from rich.table import Table

    from imeiset.register.lists import held_text

    if status:
        click.echo(
            f"{printable(name)}: generation {status.generation}, change {status.sequence}, last changed "
            f"{status.changed:%Y-%m-%d %H:%M:%S} UTC, {age_text(status, ',.0f')}"
        )
        changes = counted(status.journal_records, "change")
        click.echo(
            f"base of {status.base_bytes:,} bytes, {changes} since in a journal of "
            f"{status.journal_bytes:,} bytes"
        )
        if status.compact_due:
            click.echo(f"imeiset compact is due: {status.compact_due}")
        for feed, of in status.feeds.items():
            click.echo(f"feed {name_text(feed)}: change {number_text(of.number)}, {since_text(of.changed)}")
        for followed in status.followed.values():
            click.echo(followed_text(followed))
    else:
        click.echo(f"{printable(name)}: a register of {len(lists)} lists in {facts['bytes']:,} bytes")
    click.echo(f"state {facts['state_id']}")
    unlisted = register.policy.outcome(())[0].name.lower()
    click.echo(
        f"policy: response type {policy['response_type']}, unlisted {unlisted}, malformed "
        f"{policy['malformed'] or 'an error'}, precedence {', '.join(policy['precedence'])}"
    )
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for one in lists:
        held = held_text(one["counts"])
        about = (one["name"], one["status"], one["kind"], held, one["reason"])
        named = since_text(status.lists[one["name"]].changed) if status else ""
        table.add_row(*map(printable, about), name_text(one["owner"]), "" if named == "-" else named)
    Console(markup=False, emoji=False, highlight=False).print(table)
    for one in lists if digests else ():
        click.echo(f"{one['digest']}  {printable(one['name'])}")


def _show_set(members: "ImeiSet", snapshot: str, top: int, digests: bool, as_json: bool) -> None:
    tacs, counts, tac_count = members.biggest_tacs(top)
    bars = [(tac.decode(), count) for tac, count in zip(tacs.tolist(), counts.tolist(), strict=True)]
    size = Path(snapshot).stat().st_size
    bits = 8 * size / len(members) if len(members) else 0.0
    irregular = 0 if members.irregular is None else len(members.irregular)
    if as_json:
        facts = {
            "imeis": len(members),
            "irregular": irregular,
            "tacs": tac_count,
            "bytes": size,
            "bits_per_imei": round(bits, 3),
            **({"digest": members.digest()} if digests else {}),
        }
        click.echo(json.dumps({**facts, "biggest_tacs": dict(bars)}))
        return
    from rich.bar import Bar
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, emoji=False, highlight=False)
    per_imei = f", {bits:{'.1f' if bits >= 1 else '.2g'}} bits per IMEI" if len(members) else ""
    what = f"{counted(len(members), 'IMEI')} of {counted(tac_count, 'TAC')}"
    console.print(
        f"{printable(snapshot)}: {what} in {size:,} bytes{per_imei}",
        soft_wrap=True,
    )
    if members.irregular is not None:
        console.print(f"{irregular:,} irregular identities beside them")
    table = Table(box=None, show_header=False)
    for tac, count in bars:
        table.add_row(tac, f"{count:,}", Bar(bars[0][1], 0, count, width=50))
    console.print(table)
    if digests:
        click.echo(members.digest())
