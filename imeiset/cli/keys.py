"""`imeiset keys`: the keys of a publisher, made and replaced."""

import re
import sys
from datetime import timedelta
from pathlib import Path

import click

from imeiset.cli.files import DIRECTORY, argument, json_option, working
from imeiset.cli.signing import (
    expires_option,
    keys_option,
    passphrase_in,
    passphrase_of,
    passphrase_option,
    show_ends,
    show_json,
    show_warnings,
)
from imeiset.errors import printable


def _threshold(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9][0-9]?)/([1-9][0-9]?)", value, re.ASCII)
    if found is None or not int(found[1]) <= int(found[2]) <= 32:
        raise click.BadParameter(f"expected M/N, M of N root keys, N at most 32, like 2/3, got {value!r}")
    return int(found[1]), int(found[2])


@click.group("keys")
def command() -> None:
    """Make and replace the keys of a publisher.

    \b
    imeiset keys new keys --passphrase-file word
    imeiset keys rotate s3://lists/eir --keys keys --role online
    """


@command.command("new")
@argument("folder", "A new folder for the keys.", type=DIRECTORY, metavar="DIR")
@click.option(
    "--threshold",
    callback=_threshold,
    default="2/3",
    show_default=True,
    metavar="M/N",
    help="M of N root keys have to sign a change of keys.",
)
@click.option(
    "--passphrase-file", metavar="FILE", help="A file whose first line is the passphrase of the keys."
)
@click.option("--no-passphrase", is_flag=True, help="Make keys without a passphrase.")
def new(folder: str, threshold: tuple[int, int], passphrase_file: str | None, no_passphrase: bool) -> None:
    """Make the keys of a publisher, in a folder of their own.

    \b
    imeiset keys new keys
    imeiset keys new keys --threshold 1/1 --no-passphrase

    Root keys say which other keys count: take them away when they are made, each to another safe. The keys of
    targets and online sign what is published, and stay where that is done. The file root.json is what
    followers need; its fingerprint is printed, for them to compare. Root lasts 730 days.
    """
    from imeiset.trust import keys

    if passphrase_file is not None and no_passphrase:
        raise click.UsageError("--passphrase-file and --no-passphrase exclude each other")
    word = None
    if passphrase_file is not None:
        word = passphrase_in(passphrase_file)
    elif not no_passphrase:
        if not sys.stdin or not sys.stdin.isatty():
            got = "expected a terminal to ask for a passphrase, got none"
            raise click.UsageError(f"{got}: --passphrase-file has one, --no-passphrase leaves it out")
        word = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True).encode()
    some, number = threshold
    fingerprint = keys.new(folder, threshold=some, number=number, passphrase=word)
    click.echo(f"{printable(folder)}: {number} root keys, one of targets, one online")
    click.echo(f"{printable(str(Path(folder) / keys.FIRST))}: {fingerprint}")


@command.command("rotate")
@argument("url", "Where the publisher publishes: a folder, or a URL of one.")
@keys_option
@click.option(
    "--role",
    "roles",
    type=click.Choice(("targets", "online", "root")),
    required=True,
    multiple=True,
    help="The role whose keys are replaced; may be repeated.",
)
@click.option("--store", type=DIRECTORY, help="After a theft: sign nothing that this store did not publish.")
@expires_option
@passphrase_option
@json_option
def rotate(
    url: str,
    folders: tuple[str, ...],
    roles: tuple[str, ...],
    store: str | None,
    expires: timedelta,
    passphrase_file: str | None,
    as_json: bool,
) -> None:
    """Replace keys, and sign anew what is published.

    \b
    imeiset keys rotate s3://lists/eir --keys keys --role online
    imeiset keys rotate s3://lists/eir --keys keys --keys /mnt/safe --role targets --role online --store eir

    As many root keys as have to sign are needed, from DIR or from other folders. New keys are written to DIR.
    For every follower who sees the new root, the old keys no longer count. The next root lasts 730 days, for
    any role.
    """
    from imeiset.trust import rotate

    with working("replacing keys"):
        report = rotate(
            url,
            keys=folders,
            roles=roles,
            store=store,
            expires=expires,
            passphrase=passphrase_of(passphrase_file),
        )
    if as_json:
        show_json(report)
        show_warnings(report.warnings)
        return
    click.echo(f"{printable(report.place)}: root {report.root}, new keys of {', '.join(report.roles)}")
    click.echo(f"  they are: {', '.join(report.new_keys)}")
    click.echo(f"  no more:  {', '.join(report.old_keys)}")
    click.echo(
        f"  edition {report.edition:,} is signed by the keys that count now"
        if report.edition
        else "  no edition is signed: what is there is not of that store. Now: imeiset publish"
    )
    show_ends(report.expires, report.warnings)
