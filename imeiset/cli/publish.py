"""`imeiset publish`: a store published, signed, for others who follow it."""

from datetime import timedelta

import click

from imeiset.cli.files import argument, json_option, store_argument, working
from imeiset.cli.signing import (
    expires_option,
    keys_option,
    passphrase_of,
    passphrase_option,
    show_ends,
    show_json,
    show_warnings,
)
from imeiset.errors import mask_url, printable


@click.command("publish")
@store_argument
@argument("url", "Where to publish: a folder, or a URL that fsspec writes to.")
@keys_option
@click.option("--lists", metavar="NAME,NAME", help="Publish only these lists. [default: all]")
@click.option(
    "--base-every",
    type=click.IntRange(1),
    default=30,
    show_default=True,
    metavar="N",
    help="Publish a base after this many editions, or when the changes since the last base weigh half of it.",
)
@expires_option
@click.option("--renew", is_flag=True, help="Sign anew what ends soon, even if no list changed.")
@click.option("--base", is_flag=True, help="Publish a base, after whatever edition is there.")
@click.option("--dry-run", is_flag=True, help="Say what would be published, and write nothing.")
@passphrase_option
@json_option
def command(
    store: str,
    url: str,
    folders: tuple[str, ...],
    lists: str | None,
    base_every: int,
    expires: timedelta,
    renew: bool,
    base: bool,
    dry_run: bool,
    passphrase_file: str | None,
    as_json: bool,
) -> None:
    """Publish a store, signed, for others who follow it.

    \b
    imeiset keys new keys
    imeiset publish eir s3://lists/eir --keys keys
    imeiset publish eir /mnt/stick/eir --keys keys --lists stolen,cloned --dry-run

    The changes since the last edition become the next edition. If nothing changed, no edition is published;
    the last one is signed anew when a quarter of its time is gone. Run the command more often than --expires
    says: followers refuse an edition that has expired, because somebody may hold back the next one. Snapshots
    last 7 times as long, the list of the files (targets) 365 days, and root 730 days: imeiset keys rotate
    makes the next root.

    The keys of targets and online are needed; for --renew the online key is enough. URL is a folder, or what
    fsspec writes to: s3://, sftp://, gs://.
    """
    from imeiset.trust import publish

    names = None if lists is None else [name for name in lists.split(",") if name]
    if names is not None and not names:
        raise click.UsageError("--lists: expected names, got none")
    with working("publishing"):
        try:
            report = publish(
                store,
                url,
                keys=folders,
                lists=names,
                base_every=base_every,
                expires=expires,
                renew=renew,
                base=base,
                dry_run=dry_run,
                passphrase=passphrase_of(passphrase_file),
            )
        except ValueError as error:
            if type(error) is not ValueError:
                raise
            raise click.UsageError(mask_url(str(error))) from None
    if as_json:
        show_json(report)
        show_warnings(report.warnings)
        return
    done = {
        "base": f"edition {report.edition:,}, a base of {report.bytes:,} bytes",
        "delta": f"edition {report.edition:,}, a delta of {report.bytes:,} bytes",
        "renewed": f"edition {report.edition:,} signed anew",
        "nothing": f"edition {report.edition:,} is current",
    }[report.action]
    would = "would be: " if report.dry_run and report.action != "nothing" else ""
    click.echo(f"{printable(report.place)}: {would}{done}")
    for name, one in report.lists.items():
        held = sum(one.counts.values())
        left = f"{held:,} in it" if one.status else "the list is taken away"
        click.echo(f"  {printable(name)}: {one.added:,} added, {one.removed:,} removed, {left}")
    show_ends(report.expires, report.warnings)
