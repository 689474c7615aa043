"""`imeiset demo`: dirty blocklists made, built, checked and timed; a stolen phone in a store."""

import gzip
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imeiset.cli.files import DIRECTORY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Keys = NDArray[np.uint64]

_SEED = 20_240_229
_TACS = 20_000
# How IMEIs come, and in what share of the rows. a, b, c, d: the parts of AA-BBBBBB-CCCCCC-D; w: another last
# digit than d.
_FORMS = {
    "{a}{b}{c}{d}": 0.782,
    "{a}{b}{c}": 0.08,
    "{a}{b}{c}{w}{w}": 0.03,
    "{a}{b}{c}0": 0.03,
    "{a}{b}{c}{w}": 0.02,
    "{a}-{b}-{c}-{d}": 0.03,
    "{a} {b} {c} {d}": 0.01,
    " {a}{b}{c}{d} ": 0.01,
    "{b}{c}{d}": 0.002,
    "{a}{b}{c}{d}{w}{w}": 0.001,
    "{a}{b}BAD#": 0.001,
    "3.5{b}E+14": 0.001,
    "{a}{b}{c}\N{ARABIC-INDIC DIGIT ONE}": 0.001,
    "+{a}{b}{c}{d}": 0.001,
    "N/A": 0.001,
}


@click.command("demo")
@click.option(
    "--rows",
    type=click.IntRange(1_000, 20_000_000),
    default=1_000_000,
    show_default=True,
    metavar="N",
    help="How many rows the lists have.",
)
@click.option(
    "--lookups",
    type=click.IntRange(1_000, 100_000_000),
    default=10_000_000,
    show_default=True,
    metavar="N",
    help="How many lookups to time.",
)
@click.option("-o", "--output", type=DIRECTORY, metavar="DIR", help="Keep the files in this directory.")
def command(rows: int, lookups: int, output: str | None) -> None:
    """Show the commands at work.

    \b
    imeiset demo --rows 100000

    Two dirty blocklists are made; a set of them is built, inspected, verified, checked and timed. In a store
    a phone is reported stolen while other processes watch; and again, while cores ask for it over HTTP/2 and
    Diameter S13, if the extra "serve" is installed. With the extra "follow", the store is published, and a
    phone reported in it is blocked in another one that follows it.
    """
    import numpy as np

    from imeiset.cli.demo_follow import elsewhere
    from imeiset.cli.demo_serve import on_the_wire
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
        on_the_wire(folder, _run)
        elsewhere(folder, _run)


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

    tacs = rng.integers(10_000_000, 100_000_000, _TACS)
    serials = rng.integers(0, 1_000_000, n)
    keys: Keys = (tacs[(_TACS * rng.random(n) ** 4).astype(int)] * 1_000_000 + serials).astype(np.uint64)
    keys[: n * 3 // 100] = keys[-(n * 3 // 100) :]
    rng.shuffle(keys)
    return keys


def _lines(keys: "Keys") -> bytes:
    """Their 15 digits, one a line."""
    from imeiset._native.parse import rows_of

    return rows_of(keys, b"", b"\n")


def _cells(keys: "Keys", rng: "np.random.Generator") -> Iterator[tuple[str, float]]:
    """The IMEIs as they come, each with a number at random below 1."""
    texts = _lines(keys).decode().split()
    forms = rng.choice(list(_FORMS), len(keys), p=list(_FORMS.values())).tolist()
    for form, text, chance in zip(forms, texts, rng.random(len(keys)).tolist(), strict=True):
        a, b, c, d = text[:2], text[2:8], text[8:14], text[14]
        yield form.format(a=a, b=b, c=c, d=d, w=(int(d) + 3) % 10), chance


def _write_table(path: Path, keys: "Keys", rng: "np.random.Generator") -> None:
    """Semicolons, a byte order mark, a header, CRLF, quotes, blank lines, line ends in a cell; gzip."""
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8-sig", newline="") as file:
        file.write("Reporting Date;IMEI;Status;Remark\r\n")
        for cell, chance in _cells(keys, rng):
            quote, status = '"' * (chance < 0.2), "blacklist" * (chance > 0.1)
            remark = '"seen; twice,\r\n""Main St."""' * (chance < 0.001)
            blank = "\r\n" * (chance > 0.999)
            file.write(f"20240229;{quote}{cell}{quote};{status};{remark}\r\n{blank}")


def _write_list(path: Path, keys: "Keys", rng: "np.random.Generator") -> None:
    """One a line, LF and CRLF mixed, with comments and blank lines."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("# Lost and stolen\n\n")
        for cell, chance in _cells(keys, rng):
            comment, blank = '# batch, see "ticket"\n' * (chance < 0.001), " \n" * (chance > 0.999)
            end = "\r\n" if chance < 0.3 else "\n"
            file.write(f"{comment}{cell}{end}{blank}")


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
    lines = _lines(keys)
    texts = lines[: 16 * min(n, 1_000_000)].decode().split()

    def scalar() -> int:
        return sum(text in blocked for text in texts)

    click.echo(f"\n{n:,} lookups of phones of listed models, half of them drawn from the list, one thread:")
    click.echo(f"  {'open and answer once':<36} {opened * 1e3:6.1f} ms")
    _report("contains(uint64 keys)", n, lambda: int(blocked.contains(keys).sum()))
    _report("contains(lines of 15 digits)", n, lambda: int(blocked.contains(lines).sum()))
    _report("text in set, one by one", len(texts), scalar)
    click.echo(f"  {'bytes of the set per IMEI':<36} {blocked.nbytes / len(blocked):6.2f}")


def _report(name: str, n: int, run: Callable[[], int]) -> None:
    started = time.perf_counter()
    listed = run()
    seconds = time.perf_counter() - started
    rate = f"{seconds / n * 1e9:6.1f} ns each, {n / seconds / 1e6:6.1f} million a second"
    click.echo(f"  {name:<36} {rate}, {listed / n:.1%} listed")
