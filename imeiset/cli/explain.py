"""`imeiset explain`: all that the lists say of one phone, and which of it decided."""

import json
from typing import TYPE_CHECKING

import click

from imeiset.cli.files import FILE, argument, json_option
from imeiset.cli.registers import name_text, verdict_line
from imeiset.errors import printable

if TYPE_CHECKING:
    from imeiset.register import Claim


@click.command("explain", context_settings={"ignore_unknown_options": True})
@argument("target", "A register or a store: what has lists.", type=FILE, metavar="REGISTER|STORE")
@argument("imei", "One number of 14, 15 or 16 digits.")
@click.option("--imsi", metavar="IMSI", help="The subscriber.")
@json_option
@click.pass_context
def command(context: click.Context, target: str, imei: str, imsi: str | None, as_json: bool) -> None:
    """Say why a phone is blocked, list by list.

    \b
    imeiset explain eir 490154203237518
    imeiset explain register.imei 490154203237518 --imsi 234150999999999 --json

    The first line is the verdict that imeiset check gives. Each list that says something of the phone has a
    line below: its status, the rule that matched, the owner of the list, the reasons, the date and the last
    day. '*' marks the line that decided. Without one, the policy decided.

    Exit code: 0 if a list says something, 1 if none does, 2 after an error.
    """
    from imeiset import ImeiSet
    from imeiset import open as opened
    from imeiset.register.imsis import is_imsi

    listed = opened(target)
    if isinstance(listed, ImeiSet):
        raise click.UsageError(
            f"{target!r} is a set, which has no lists: imeiset check says if it has a phone"
        )
    if imsi is not None and not is_imsi(imsi):
        raise click.UsageError("--imsi: expected 5 to 15 digits")
    text = imei.encode(errors="surrogateescape")
    frozen = listed.frozen()  # one state of a store
    verdict, claims = frozen.check(text, imsi), frozen.explain(text, imsi)
    if as_json:
        facts = {"imei": imei, **({} if imsi is None else {"imsi": imsi}), **verdict.to_dict()}
        click.echo(json.dumps({**facts, "claims": [claim.to_dict() for claim in claims]}))
    else:
        subscriber = f" with {printable(imsi)}" if imsi else ""
        click.echo(f"{printable(imei)}{subscriber}  {verdict_line(verdict)}")
        _show(claims)
    context.exit(0 if claims else 1)


def _show(claims: "tuple[Claim, ...]") -> None:
    from rich.console import Console
    from rich.table import Table

    if not claims:
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("", "list", "status", "rule", "owner", "reasons", "since", "until"):
        table.add_column(title, overflow="fold", justify="left")
    for claim in claims:
        facts = claim.to_dict()
        mark, reasons = "*" if claim.decided else " ", "|".join(facts["reasons"])
        owner = name_text(facts["owner"] or "")
        words = (*(facts[name] for name in ("list", "status", "rule")), owner, reasons)
        cells = [printable(word) if word else "-" for word in (*words, facts["date"], facts["until"])]
        table.add_row(mark, *cells, style="bold" if claim.decided else "")
    wide = 10_000  # a name that is cut in two cannot be searched for
    Console(markup=False, emoji=False, highlight=False, width=wide).print(table)
