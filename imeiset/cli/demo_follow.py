"""The part of `imeiset demo` that travels: a phone reported in one store is blocked in another."""

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import click

_PHONE = "356938035643825"
_NEEDED = ("tuf", "securesystemslib", "cryptography", "fsspec")  # by the extra


def elsewhere(folder: Path, run: Callable[..., None]) -> None:
    """A store is published, signed, and a partner's follows it, before and after a phone is reported.

    run: a command in that folder, which has a store eir with a list stolen.
    """
    click.echo("\nThe same register elsewhere: a partner follows what is published, and signed")
    if not all(map(find_spec, _NEEDED)):
        click.echo('  left out: to publish and follow lists, pip install "imeiset[follow]"')
        return
    follow = ("follow", "published", "partner", "--root", "keys/root.json")
    run(folder, "keys", "new", "keys", "--no-passphrase")
    run(folder, "publish", "eir", "published", "--keys", "keys")
    run(folder, *follow)
    run(folder, "check", "partner", _PHONE, expected=1)
    (folder / "seen.csv").write_text(f"imei,change_type\n{_PHONE},add\n")
    run(folder, "apply", "eir", "seen.csv", "--list", "stolen")
    began = time.perf_counter()
    run(folder, "publish", "eir", "published", "--keys", "keys")
    run(folder, *follow)
    after = (time.perf_counter() - began) * 1e3
    run(folder, "check", "partner", _PHONE)
    click.echo(f"  blocked there {after:.0f} ms after it was reported here, by way of a folder")
