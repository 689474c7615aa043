"""`imeiset info`: what is in a snapshot."""

import json
from pathlib import Path

import click

from imeiset.cli import printable


@click.command("info")
@click.argument("snapshot")
@click.option("--top", type=click.IntRange(0), default=10, show_default=True, help="How many TACs to draw.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(snapshot: str, top: int, as_json: bool) -> None:
    """Show how many IMEIs SNAPSHOT holds, its size, and its biggest TACs."""
    from imeiset import ImeiSet

    members = ImeiSet.open(snapshot)
    tacs, counts, tac_count = members.biggest_tacs(top)
    bars = [(f"{tac:08d}", count) for tac, count in zip(tacs.tolist(), counts.tolist(), strict=True)]
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
        }
        click.echo(json.dumps({**facts, "biggest_tacs": dict(bars)}))
        return
    from rich.bar import Bar
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, emoji=False, highlight=False)
    per_imei = f", {bits:.1f} bits per IMEI" if len(members) else ""
    console.print(
        f"{printable(snapshot)}: {len(members):,} IMEIs of {tac_count:,} TACs in {size:,} bytes{per_imei}",
        soft_wrap=True,
    )
    if members.irregular is not None:
        console.print(f"{irregular:,} irregular identities beside them")
    table = Table(box=None, show_header=False)
    for tac, count in bars:
        table.add_row(tac, f"{count:,}", Bar(bars[0][1], 0, count, width=50))
    console.print(table)
