"""`imeiset demo`: dirty blocklists made, built, checked and timed; a stolen phone in a store."""

import gzip
import shlex
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imeiset.cli.files import DIRECTORY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Keys = NDArray[np.uint64]
    Bytes = NDArray[np.uint8]

_SEED = 20_240_229
_TACS = 20_000
# How IMEIs come, and in what share of the rows. d: the next of the 14 digits; a: the same in Arabic-Indic,
# which is two bytes; c: the check digit; w: another digit; every other character is itself.
_FORMS = {
    "ddddddddddddddc": 0.782,
    "dddddddddddddd": 0.08,
    "ddddddddddddddww": 0.03,
    "dddddddddddddd0": 0.03,
    "ddddddddddddddw": 0.02,
    "dd-dddddd-dddddd-c": 0.03,
    "dd dddddd dddddd c": 0.01,
    " ddddddddddddddc ": 0.01,
    "ddddddddddddd": 0.002,
    "ddddddddddddddcww": 0.001,
    "ddddddddddddBAD#": 0.001,
    "d.dddddE+14": 0.001,
    "aaaaaaaaaaaaaa": 0.001,
    "+ddddddddddddddc": 0.001,
    "N/A": 0.001,
}


@click.command("demo")
@click.option(
    "--rows", type=click.IntRange(1_000, 20_000_000), default=1_000_000, show_default=True, metavar="N"
)
@click.option(
    "--lookups", type=click.IntRange(1_000, 100_000_000), default=10_000_000, show_default=True, metavar="N"
)
@click.option("-o", "--output", type=DIRECTORY, metavar="DIR", help="Leave the files there.")
def command(rows: int, lookups: int, output: str | None) -> None:
    """Show the commands at work.

    \b
    imeiset demo --rows 100000

    Two dirty blocklists are made; a set of them is built, inspected, verified, checked and timed. In a store
    a phone is reported stolen while other processes watch.
    """
    import numpy as np

    from imeiset.cli.demo_store import stolen_phone

    if output:
        Path(output).mkdir(parents=True, exist_ok=True)
    with nullcontext(output) if output else tempfile.TemporaryDirectory(prefix="imeiset-") as name:
        folder = Path(name)
        click.echo(f"Two blocklists of {rows:,} rows as operators send them, seed {_SEED}, in {folder}")
        rng = np.random.default_rng(_SEED)
        keys = _draw_keys(rng, rows)
        _write_table(folder / "regulator.csv.gz", keys[: rows * 2 // 3], rng)
        _write_list(folder / "operator.txt", keys[rows * 2 // 3 :], rng)

        files = ("regulator.csv.gz", "operator.txt", "-o", "blocked.imei", "--rejects", "rejects.csv")
        _run(folder, "build", *files)
        _run(folder, "info", "blocked.imei", "--top", "5")
        _run(folder, "verify", "blocked.imei")
        click.echo()
        with (folder / "rejects.csv").open("rb") as file:
            for line in file.readlines()[:4]:
                click.echo(f"  {line.decode(errors='replace').strip()}")
        examples = [f"{key:014d}" for key in keys[:2].tolist()]
        _run(folder, "check", "blocked.imei", *examples, "35-693803-564380-9", "49015420323751")
        _run(folder, "check", "blocked.imei", "3569380356438x", expected=2)
        _write_national(folder, sorted(set(keys[:2_000].tolist())))
        _run(folder, "build", "stolen.csv", "-o", "stolen.imei")
        _run(folder, "apply", "stolen.imei", "delta.csv", "-o", "stolen-2.imei")
        _time(folder / "blocked.imei", lookups, rng)
        stolen_phone(folder, _run)


def _run(folder: Path, *arguments: str, expected: int = 0) -> None:
    from imeiset.cli import main

    click.echo(f"\n$ imeiset {shlex.join(arguments)}")
    with chdir(folder):
        code = main(arguments, standalone_mode=False) or 0
    if code != expected:
        raise click.ClickException(f"expected exit code {expected}, got {code}")


# ---- the lists ----


def _draw_keys(rng: "np.random.Generator", n: int) -> "Keys":
    """n keys in random order, 3 in 100 of them repeated; few TACs have most of them."""
    import numpy as np

    bodies = rng.choice([35, 86, 1, 99, 44], _TACS, p=[0.45, 0.42, 0.05, 0.04, 0.04])
    tacs = bodies * 1_000_000 + rng.integers(0, 1_000_000, _TACS)
    weights = np.arange(1, _TACS + 1) ** -0.9
    distinct = n - n * 3 // 100
    keys = rng.choice(tacs, distinct, p=weights / weights.sum()) * 1_000_000 + rng.integers(
        0, 1_000_000, distinct
    )
    keys = np.concatenate([keys, rng.choice(keys, n - distinct)])
    rng.shuffle(keys)
    return keys.astype(np.uint64)


def _digits(keys: "Keys") -> "Bytes":
    """The 14 digits and the check digit of each key, one column each."""
    import numpy as np

    from imeiset._native.parse import rows_of

    digits: Bytes = np.frombuffer(rows_of(keys), np.uint8).reshape(-1, 15) - np.uint8(ord("0"))
    return digits


def _cells(keys: "Keys", rng: "np.random.Generator") -> "Bytes":
    """The IMEIs as they come, one row of bytes each, padded with NUL."""
    import numpy as np

    digits = _digits(keys)
    shares = np.array(list(_FORMS.values()))
    forms = rng.choice(len(_FORMS), len(keys), p=shares / shares.sum())
    cells = np.zeros((len(keys), 28), np.uint8)
    for i, form in enumerate(_FORMS):
        rows = np.flatnonzero(forms == i)
        at = digit = 0
        for place in form:
            if place == "a":
                cells[rows, at] = 0xD9
                at += 1
            if place in "da":
                cells[rows, at] = digits[rows, digit] + (0xA0 if place == "a" else ord("0"))
                digit += 1
            elif place == "c":
                cells[rows, at] = digits[rows, 14] + ord("0")
            elif place == "w":
                cells[rows, at] = (digits[rows, 14] + 3) % 10 + ord("0")
            else:
                cells[rows, at] = ord(place)
            at += 1
    return cells


def _constant(n: int, text: bytes, shown: "NDArray[np.bool_]") -> "Bytes":
    """That text in the rows where it is shown, NUL elsewhere."""
    import numpy as np

    return np.where(shown[:, None], np.frombuffer(text, np.uint8), np.uint8(0))


def _join(columns: "list[Bytes]") -> bytes:
    import numpy as np

    table = np.hstack(columns)
    flat: Bytes = table[table != 0]
    return flat.tobytes()


def _write_table(path: Path, keys: "Keys", rng: "np.random.Generator") -> None:
    """Semicolons, a byte order mark, a header, CRLF, quotes, blank lines, line ends in a cell; gzip."""
    n = len(keys)
    always = rng.random(n) >= 0
    quoted = rng.random(n) < 0.2
    rows = [
        _constant(n, b"20240229;", always),
        _constant(n, b'"', quoted),
        _cells(keys, rng),
        _constant(n, b'"', quoted),
        _constant(n, b";", always),
        _constant(n, b"blacklist", rng.random(n) < 0.9),
        _constant(n, b";", always),
        _constant(n, b'"seen; twice,\r\n""Main St."""', rng.random(n) < 0.001),
        _constant(n, b"\r\n", always),
        _constant(n, b"\r\n", rng.random(n) < 0.001),
    ]
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"\xef\xbb\xbfReporting Date;IMEI;Status;Remark\r\n" + _join(rows))


def _write_list(path: Path, keys: "Keys", rng: "np.random.Generator") -> None:
    """One a line, LF and CRLF mixed, with comments and blank lines."""
    n = len(keys)
    rows = [
        _constant(n, b'# batch, see "ticket"\n', rng.random(n) < 0.001),
        _cells(keys, rng),
        _constant(n, b"\r", rng.random(n) < 0.3),
        _constant(n, b"\n", rng.random(n) >= 0),
        _constant(n, b" \n", rng.random(n) < 0.001),
    ]
    path.write_bytes(b"# Lost and stolen\n\n" + _join(rows))


def _write_national(folder: Path, keys: list[int]) -> None:
    """A stolen list of DIRBS and a delta for it: some devices found again, some reported."""
    stolen, reported = keys[:-100], keys[-100:]
    rows = [
        f"{key:014d},20240229,{'pending' if i % 50 == 0 else 'blacklist'}\n" for i, key in enumerate(stolen)
    ]
    (folder / "stolen.csv").write_text("imei,reporting_date,status\n" + "".join(rows))
    changes = [f"{key:014d},20240301,,remove\n" for key in stolen[1:300:50]]
    changes += [f"{key:014d},20240301,blacklist,add\n" for key in reported]
    (folder / "delta.csv").write_text("imei,reporting_date,status,change_type\n" + "".join(changes))


# ---- the lookups ----


def _time(path: Path, n: int, rng: "np.random.Generator") -> None:
    import numpy as np

    from imeiset import ImeiSet

    started = time.perf_counter()
    blocked = ImeiSet.open(path)
    blocked.contains(np.zeros(1, np.uint64))
    opened = time.perf_counter() - started
    members = blocked.to_numpy()
    keys = members[rng.integers(0, len(members), n)]
    serials = rng.integers(0, 1_000_000, n, dtype=np.uint64)
    keys = np.where(rng.random(n) < 0.5, keys, keys - keys % 1_000_000 + serials)
    lines = np.full((n, 16), ord("\n"), np.uint8)
    lines[:, :15] = _digits(keys) + ord("0")
    texts = [line.decode() for line in lines[: min(n, 1_000_000)].tobytes().split()]

    def scalar() -> int:
        return sum(text in blocked for text in texts)

    click.echo(f"\n{n:,} lookups of phones of listed models, half of them drawn from the list, one thread:")
    click.echo(f"  {'open and answer once':<36} {opened * 1e3:6.1f} ms")
    _report("contains(uint64 keys)", n, lambda: int(blocked.contains(keys).sum()))
    _report("contains(lines of 15 digits)", n, lambda: int(blocked.contains(lines.tobytes()).sum()))
    _report("text in set, one by one", len(texts), scalar)
    click.echo(f"  {'bytes of the set per IMEI':<36} {blocked.nbytes / len(blocked):6.2f}")


def _report(name: str, n: int, run: Callable[[], int]) -> None:
    started = time.perf_counter()
    listed = run()
    seconds = time.perf_counter() - started
    rate = f"{seconds / n * 1e9:6.1f} ns each, {n / seconds / 1e6:6.1f} million a second"
    click.echo(f"  {name:<36} {rate}, {listed / n:.1%} listed")
