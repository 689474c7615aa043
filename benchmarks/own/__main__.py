"""The bars: sizes, build, open and batch lookups, each beside what was aimed for."""

import argparse
import json
import os
import platform
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from . import measure

MEBI = 1 << 20


@dataclass(frozen=True)
class Bar:
    """One row. bar and stretch are the largest values that meet them, or the smallest for a ratio."""

    what: str
    unit: str
    bar: float
    stretch: float
    seen: float
    note: str = ""

    @property
    def verdict(self) -> str:
        """'stretch', 'met' or 'MISSED'."""
        sign = -1 if self.unit == "times" else 1
        if sign * self.seen <= sign * self.stretch:
            return "stretch"
        return "met" if sign * self.seen <= sign * self.bar else "MISSED"


def bars(directory: Path, quick: bool) -> list[Bar]:
    """Measure everything; `quick` leaves out the 100 million."""
    rows = []
    reference = {}
    for n, bar, stretch in [(10**6, 30, 24), (10**7, 18, 15), (10**8, 14, 11.5)]:
        if n == 10**8 and quick:
            continue
        path = directory / f"reference-{n}.imei"
        reference[n] = seen = measure.fresh(measure.build, "reference", n, path)
        rows.append(Bar(f"file, reference {_short(n)}", "bits/IMEI", bar, stretch, seen["size"] * 8 / n))
    largest = max(reference)

    ten = reference[10**7]["size"] * 8 / 10**7
    seen = measure.fresh(measure.build, "clustered", 10**7, directory / "clustered.imei")
    rows.append(Bar("file, clustered 10M", "bits/IMEI", ten, ten / 2, seen["size"] * 8 / 10**7))
    seen = measure.fresh(measure.build, "singletons", 10**6, directory / "singletons.imei")
    rows.append(Bar("file, a million singletons", "bits/IMEI", 80, 48, seen["size"] * 8 / 10**6))
    size = measure.fresh(measure.build_whole_tacs, 1000, directory / "whole.imei")
    rows.append(Bar("file, 1,000 whole TACs", "kB", 64, 24, size / 1000))

    seen = reference[largest]
    output = seen["output"] / MEBI
    rows.append(Bar(f"build from sorted keys, {_short(largest)}", "ns/key", 20, 8, seen["ns"]))
    note = f"output {output:.0f} MiB"
    rows.append(Bar("its peak memory beyond the keys", "MiB", output + 64, output, seen["peak"] / MEBI, note))

    path, warm_up = directory / f"reference-{largest}.imei", directory / "whole.imei"
    opened = [measure.fresh(measure.open_and_answer, path, warm_up) for _ in range(5)]
    seconds = statistics.median(one["seconds"] for one in opened)
    resident = statistics.median(one["resident"] for one in opened)
    rows.append(Bar(f"open {_short(largest)} and answer once", "ms", 5, 1, seconds * 1e3))
    rows.append(Bar("memory that became resident", "MiB", 4, 4, resident / MEBI))
    seen = measure.starts(warm_up)
    rows.append(
        Bar("import imeiset, beyond Python's start", "ms CPU", 20, 10, seen["imeiset"] - seen["python"])
    )
    note = f"{seen['command']:.0f} and {seen['numpy']:.0f} ms"
    answered = seen["command"] - seen["numpy"]
    rows.append(Bar("`imeiset check` of one phone, beyond NumPy's import", "ms CPU", 150, 75, answered, note))

    for rows_of, seconds in measure.fresh(
        measure.calls, directory / f"reference-{10**7}.imei", 10**7
    ).items():
        bar, stretch = (2, 1) if rows_of.startswith("1 ") else (4, 2)
        rows.append(Bar(f"a call of contains 10M, {rows_of}", "us", bar, stretch, seconds * 1e6))

    for what, hits in [("half hits", 0.5), ("misses", 0.0), ("hits", 1.0)]:
        seen = measure.fresh(measure.against_pandas, directory / f"reference-{10**7}.imei", 10**7, hits)
        note = f"{seen['imeiset']:.1f} against {seen['pandas']:.1f} ns/key"
        ratio = seen["pandas"] / seen["imeiset"]
        rows.append(Bar(f"contains 10M against pandas, {what}", "times", 2, 4, ratio, note))
    return rows


def environment() -> str:
    """The machine and the versions, in one line."""
    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    system = f"{platform.system()} {platform.release()}"
    return f"{cpu}, {system}, Python {platform.python_version()}, NumPy {np.__version__}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def _short(n: int) -> str:
    return f"{n // 10**6}M"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="leave out the 100 million (20 s instead of minutes)"
    )
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="imeiset-bench-") as directory:
        os.environ.setdefault("IMEISET_BENCH_CACHE", directory)
        rows = bars(Path(directory), options.quick)
    show(rows, options.json)


def show(rows: list[Bar], path: Path | None) -> None:
    """Print the rows, and write them to a JSON file."""
    console = Console()
    if not console.is_terminal:
        console.width = 120
    table = Table("what", "bar", "stretch", "seen", "unit", "", "", caption=environment())
    for column in table.columns[1:4]:
        column.justify = "right"
    for row in rows:
        colour = {"MISSED": "red", "met": "green"}.get(row.verdict, "bright_green")
        table.add_row(
            row.what,
            f"{row.bar:.4g}",
            f"{row.stretch:.4g}",
            f"{row.seen:.4g}",
            row.unit,
            f"[{colour}]{row.verdict}[/]",
            row.note,
        )
    console.print(table)
    if path:
        found = {
            "environment": environment(),
            "bars": [asdict(row) | {"verdict": row.verdict} for row in rows],
        }
        path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
