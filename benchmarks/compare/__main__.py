"""Compare imeiset with its peers, all on the same lists, traffic and machine.

Prints ns per lookup, bytes per IMEI, the load, and the project's bars. Sizes are those of the list.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import imeiset

from . import peers
from .bars import figure, judge, judge_small, short
from .job import MANY, POOL, WORKLOADS, Job, compile_limits, prepare
from .worker import BATCH, Seen, Worker, Wrong

SIZES = {"1M": 10**6, "10M": 10**7, "100M": 10**8}
CURVE = (10**3, 10**4, 10**5, 10**6, 10**7, 10**8)
ROUNDS = 7
PATIENCE = 20.0  # seconds for a peer and workload: then it has no more rounds, if it had three

Measure = Callable[[int], Seen]

console = Console(stderr=True)


def rounds(what: str, measures: dict[str, Measure]) -> dict[str, float]:
    """Measure each in turn, several times over: the medians. The first one's answers are the right ones."""
    seen: dict[str, list[float]] = {name: [] for name in measures}
    spent = dict.fromkeys(measures, 0.0)
    if not console.is_terminal:  # where a status is not shown
        console.print(what)
    with console.status(what) as status:
        for number in range(ROUNDS):
            right = b""
            for name, measure in measures.items():
                if number >= 3 and spent[name] > PATIENCE:
                    continue
                status.update(f"{what}, round {number + 1} of {ROUNDS}: {name}")
                start = time.perf_counter()
                ns, answer = measure(number)
                spent[name] += time.perf_counter() - start
                seen[name].append(ns)
                right = right or answer
                if not right.startswith(answer):
                    raise Wrong(f"{what}: {name} answers otherwise than {next(iter(measures))}")
    return {name: statistics.median(values) for name, values in seen.items()}


class Field:
    """The workers of one list that keep a table, imeiset first."""

    def __init__(self, job: Job, kinds: list[type[peers.Peer]]) -> None:
        self.job = job
        self.workers: dict[str, Worker] = {}
        self.resident: dict[str, float] = {}
        self.filled: dict[str, float] = {}
        self.skipped: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        for kind in kinds:
            if reason := self._too_large(kind) or kind.absent():
                self.skipped[kind.name] = reason
                console.print(f"{job.n:,} keys: {kind.name} is skipped: {reason}")
                continue
            with console.status(f"{job.n:,} keys: {kind.name} makes its table"):
                worker = Worker(kind, job)
                built = worker.ask("build")
            self.workers[kind.name] = worker
            self.filled[kind.name] = built["seconds"]
            if kind is not peers.Limit:
                self.resident[kind.name] = built["bytes"]
            self._counts[kind.name] = built["count"]

    def lookups(self) -> dict[str, dict[str, float]]:
        """ns per lookup, by workload and peer."""
        return {
            workload: rounds(
                f"{self.job.n:,} keys, {workload}",
                {
                    name: _moving(worker, "lookup", workload, self._counts[name])
                    for name, worker in self.workers.items()
                },
            )
            for workload in WORKLOADS
        }

    def _too_large(self, kind: type[peers.Peer]) -> str | None:
        if self.job.n > kind.largest:
            return "it would take many minutes at this size"
        needed, free = kind.peak * self.job.n / 1e9, _available() / 1e9 - 1
        return f"it would need about {needed:.0f} GB, {free:.0f} are free" if needed > free else None

    def close(self) -> None:
        """End the workers."""
        for worker in self.workers.values():
            worker.close()


def full(directory: Path, size: int, kinds: list[type[peers.Peer]]) -> dict[str, Any]:
    """Everything at one size."""
    job, small = Job(directory, size), Job(directory, 10**6)
    _prepare(job, lookups_only=False)
    with ExitStack() as stack:
        field = stack.enter_context(closing(Field(job, [kind for kind in kinds if kind in peers.TABLES])))
        found: dict[str, Any] = {"size": size, "lines": job.lines, "lookups": field.lookups()}
        found |= {"resident": field.resident, "made in": field.filled, "skipped": field.skipped}
        ours, limit = field.workers[peers.Imeiset.name], field.workers[peers.Limit.name]
        if size > small.n:
            _prepare(small, lookups_only=True)
            at_1m = stack.enter_context(closing(Field(small, [peers.Imeiset]))).workers[ours.name]
            # The lists differ, and so do the answers: only the times are compared.
            measures = {short(size): _moving(ours, "lookup"), "1M": _moving(at_1m, "lookup")}
            found["growth"] = rounds("growth", {name: _time_only(one) for name, one in measures.items()})

        def those_of(kinds: tuple[type[peers.Peer], ...]) -> list[Worker]:
            return [field.workers[kind.name] for kind in kinds if kind.name in field.workers]

        for what in ("hot", "cold"):
            askers = those_of((peers.Imeiset, peers.PythonSet, peers.Roaring))
            measures = {one.name: _asks(one, "one_by_one", what) for one in askers}
            found[what] = rounds(f"one by one, {what}", measures)
        measures = {form: _moving(ours, "texts", form) for form in ("keys", "S15", "lines")}
        found["forms"] = rounds("texts", measures)
        found["threads"] = {}
        for one in those_of((peers.Imeiset, peers.ImeisetInMemory)):
            measures = {str(threads): _asks(one, "call", "many", MANY, threads) for threads in (1, 2)}
            found["threads"][one.name] = rounds(f"threads, {one.name}", measures)
        both = {ours.name: ours, "memcpy": limit}
        measures = {name: _asks(one, "call", "parse", job.lines) for name, one in both.items()}
        found["parse"] = rounds("parse", measures)
        openers = those_of((peers.Imeiset, peers.Roaring))
        found["open"] = rounds("open", {one.name: _asks(one, "call", "open_once", 1) for one in openers})
    with ExitStack() as stack:
        for what, names in (
            ("validate", {kind: kind.name for kind in peers.VALIDATORS if kind in kinds}),
            ("load", {kind: kind.loads_as for kind in peers.LOADERS if kind in kinds}),
        ):
            workers = {name: stack.enter_context(closing(Worker(kind, job))) for kind, name in names.items()}
            found[what] = rounds(what, {name: _asks(one, what) for name, one in workers.items()})
    found["bars"] = [bar.as_dict() for bar in judge(found)]
    return found


def _asks(worker: Worker, what: str, *arguments: object) -> Measure:
    """Ask the same in every round."""

    def measure(number: int) -> Seen:
        seen: Seen = worker.ask(what, *arguments)
        return seen

    return measure


def _moving(worker: Worker, what: str, of: str = "half hits", count: int = BATCH) -> Measure:
    """Ask about another stretch of the pool in every round."""

    def measure(number: int) -> Seen:
        seen: Seen = worker.ask(what, of, number * BATCH % POOL, count)
        return seen

    return measure


def _time_only(measure: Measure) -> Measure:
    return lambda number: measure(number)._replace(answer=b"")


def curve(directory: Path, largest: int, kinds: list[type[peers.Peer]]) -> list[dict[str, Any]]:
    """Lookups and resident bytes at every size up to the largest."""
    points = []
    for size in [size for size in CURVE if size <= largest]:
        job = Job(directory, size)
        _prepare(job, lookups_only=True)
        with closing(Field(job, kinds)) as field:
            points.append({"size": size, "lookups": field.lookups(), "resident": field.resident})
    return points


def show(found: dict[str, Any], out: Console) -> None:
    """Print a run of `full`."""
    size = found["size"]
    ours = found["lookups"]["half hits"]["imeiset"]
    table = Table(
        "",
        *WORKLOADS,
        "times imeiset",
        "bytes/IMEI",
        "table made in",
        title=f"{size:,} IMEIs, ns per lookup in batch",
    )
    for name in sorted(found["lookups"]["half hits"], key=lambda name: found["lookups"]["half hits"][name]):
        ns = [found["lookups"][workload][name] for workload in WORKLOADS]
        resident = found["resident"].get(name)
        made = found["made in"][name]
        table.add_row(
            name,
            *map(figure, ns),
            figure(ns[0] / ours),
            "" if resident is None else figure(resident),
            "" if resident is None else f"{figure(made)} s",
        )
    for name, reason in found["skipped"].items():
        table.add_row(name, f"skipped: {reason}")
    out.print(_right(table))

    table = Table("", *(name for name in found["hot"]), title="ns per text, one by one")
    for what in ("hot", "cold"):
        table.add_row(what, *(figure(found[what][name]) for name in found["hot"]))
    out.print(_right(table))
    table = Table("", "ns", title="ns per validated text, one by one")
    for name, ns in found["validate"].items():
        table.add_row(name, figure(ns))
    out.print(_right(table))
    table = Table(
        "", "seconds", "million lines a second", title=f"{found['lines']:,} lines on disk to a saved file"
    )
    for name, ns in found["load"].items():
        table.add_row(name, figure(ns * found["lines"] / 1e9), figure(1e3 / ns))
    out.print(_right(table))

    show_bars(found["bars"], out)


def show_bars(rows: list[dict[str, Any]], out: Console) -> None:
    """Print what was aimed for and what was seen."""
    table = Table("bar", "bar", "stretch", "seen", "", "", title="bars")
    for row in rows:
        colour = {"MISSED": "red", "met": "green"}.get(row["verdict"], "bright_green")
        sign = "≥" if row["more"] else "≤"
        table.add_row(
            row["what"],
            f"{sign} {row['bar']:g}",
            f"{sign} {row['stretch']:g}",
            figure(row["seen"]),
            f"[{colour}]{row['verdict']}[/]",
            row["note"],
        )
    out.print(table)


def show_curve(points: list[dict[str, Any]], out: Console) -> None:
    """Print a run of `curve`."""
    for workload in WORKLOADS:
        table = Table(
            "", *(short(point["size"]) for point in points), title=f"ns per lookup in batch, {workload}"
        )
        for name in dict.fromkeys(name for point in points for name in point["lookups"][workload]):
            seen = [point["lookups"][workload].get(name) for point in points]
            table.add_row(name, *("" if ns is None else figure(ns) for ns in seen))
        out.print(_right(table))


def _right(table: Table) -> Table:
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def environment(kinds: list[type[peers.Peer]]) -> dict[str, str]:
    """The machine and the versions."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next(
        (line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.machine()
    )
    memory = next(line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines())
    found = {
        "cpu": f"{cpu}, {os.cpu_count()} cores",
        "memory": f"{int(memory) / (1 << 20):.0f} GiB",
        "huge pages": Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text().strip(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "imeiset": imeiset.__version__,
    }
    distributions = {"stdnum": "python-stdnum"}
    modules = ["numpy", "pyroaring", *(module for kind in kinds for module in kind.needs)]
    for module in dict.fromkeys(modules):
        name = distributions.get(module, module)
        found[name] = importlib.metadata.version(name)
    return found


def _prepare(job: Job, *, lookups_only: bool) -> None:
    with (
        console.status(f"{job.n:,} keys: the list and its traffic are made"),
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        pool.submit(prepare, job, lookups_only=lookups_only).result()


def _available() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def _chosen(only: str | None) -> list[type[peers.Peer]]:
    """The peers to run: imeiset both ways, the limit, and those whose name has one of the words."""
    known = list(dict.fromkeys([*peers.TABLES, *peers.LOADERS, *peers.VALIDATORS]))
    words = only.lower().split(",") if only else [""]
    for word in words:
        if not any(word in kind.name.lower() for kind in known):
            sys.exit(
                f"--only: no peer is called {word!r}; there are: {', '.join(kind.name for kind in known)}"
            )
    always = (peers.Imeiset, peers.ImeisetInMemory, peers.Limit)
    return [kind for kind in known if kind in always or any(word in kind.name.lower() for word in words)]


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="10M", help="IMEIs in the list (default: 10M)")
    parser.add_argument("--curve", action="store_true", help="lookups only, at 1k, 10k, ... up to the size")
    parser.add_argument(
        "--only", metavar="WORDS", help="peers whose names have one of these words: redis,set"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was found to this file")
    parser.add_argument(
        "--charts", type=Path, metavar="DIR", help="also draw it, as SVG files for light and for dark pages"
    )
    options = parser.parse_args()

    chosen = _chosen(options.only)
    needs = {module for kind in chosen for module in kind.needs} | (
        {"matplotlib"} if options.charts else set()
    )
    if missing := sorted(module for module in needs if importlib.util.find_spec(module) is None):
        sys.exit(
            f"not installed: {', '.join(missing)}. The extra `bench` has them: pip install 'imeiset[bench]'"
        )
    if options.charts:
        options.charts.mkdir(parents=True, exist_ok=True)

    found: dict[str, Any] = {"environment": environment(chosen)}
    with tempfile.TemporaryDirectory(prefix="imeiset-compare-") as name:
        os.environ.setdefault("IMEISET_BENCH_CACHE", name)
        directory = Path(name)
        tables = [kind for kind in chosen if kind in peers.TABLES]
        try:
            compile_limits(directory)
            if options.curve:
                found["curve"] = curve(directory, SIZES[options.size], tables)
                found["bars"] = [bar.as_dict() for bar in judge_small(found["curve"])]
            else:
                found |= full(directory, SIZES[options.size], chosen)
        except (RuntimeError, Wrong) as error:
            sys.exit(str(error))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    out = Console()
    if not out.is_terminal:
        out.width = 150
    if options.curve:
        show_curve(found["curve"], out)
        show_bars(found["bars"], out)
    else:
        show(found, out)
    out.print(
        ", ".join(f"{name} {value}" for name, value in found["environment"].items()),
        markup=False,
        highlight=False,
    )
    if options.charts:
        from .charts import draw

        for path in draw(found, options.charts):
            console.print(f"{path} is drawn")


if __name__ == "__main__":
    main()
