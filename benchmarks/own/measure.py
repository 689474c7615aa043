"""What the bars are measured with. Each function is meant for a process of its own, see `fresh`."""

import gc
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from imeiset import ImeiSet

from .. import corpus

ROUNDS = 7
QUERIES = 4_000_000
CALLED, CALLS = 100, 500  # rows of a call that has few, and calls in a round

Result = TypeVar("Result")


def fresh(function: Callable[..., Result], *arguments: object) -> Result:
    """The function's result from a new process: nothing measured before leaves its memory behind."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def median(call: Callable[[], object], rounds: int = 5) -> float:
    """The median seconds of a call."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def list_of(kind: str, n: int) -> corpus.Keys:
    """A list of the corpus. With IMEISET_BENCH_CACHE set, it is made in another process and read here,
    so that what making it left in the allocator is not taken for free memory.
    """
    if os.environ.get("IMEISET_BENCH_CACHE"):
        fresh(_make, kind, n)
    keys: corpus.Keys = getattr(corpus, kind)(n)
    return keys


def _make(kind: str, n: int) -> None:
    getattr(corpus, kind)(n)


def build(kind: str, n: int, path: Path) -> dict[str, float]:
    """Build a set from sorted keys and save it at `path`.

    ns: of one core, per key. peak: bytes beyond the keys while building. size: of the file.
    """
    keys = list_of(kind, n)
    gc.collect()
    before = reset_peak()
    start = time.process_time()
    built = ImeiSet.from_keys(keys)
    seconds = time.process_time() - start
    peak = memory("VmHWM") - before
    built.save(path)
    return {"ns": seconds / n * 1e9, "peak": peak, "output": built.nbytes, "size": path.stat().st_size}


def build_whole_tacs(k: int, path: Path) -> int:
    """The file size of a set of k whole TACs."""
    ImeiSet.from_ranges(*corpus.whole_tacs(k)).save(path)
    return path.stat().st_size


def open_and_answer(path: Path, warm_up: Path) -> dict[str, float]:
    """Open the set at `path` and look up one text. seconds; resident: bytes that this added.

    A small set is opened first, so that imports and first calls are not counted.
    """
    "490154203237518" in ImeiSet.open(warm_up)  # noqa: B015
    gc.collect()
    before = memory("VmRSS")
    start = time.perf_counter()
    opened = ImeiSet.open(path)
    "490154203237518" in opened  # noqa: B015
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "resident": memory("VmRSS") - before}


def against_pandas(path: Path, n: int, hits: float) -> dict[str, float]:
    """ns per key of batch `contains` and of `pandas.Index.get_indexer`, its table kept: medians of
    rounds that take turns, so that a busy machine slows both.
    """
    import pandas

    keys = list_of("reference", n)
    queries = corpus.queries(keys, QUERIES, hits)
    ours, theirs = ImeiSet.open(path), pandas.Index(keys)
    calls: dict[str, Callable[[], Any]] = {
        "imeiset": lambda: ours.contains(queries),
        "pandas": lambda: theirs.get_indexer(queries) >= 0,
    }
    assert (calls["imeiset"]() == calls["pandas"]()).all()  # and warms both up
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) / QUERIES * 1e9 for name, taken in times.items()}


def starts(path: Path) -> dict[str, float]:
    """Median milliseconds of processor time of processes that start, in turns: Python alone, with NumPy, with
    the library, and the command with one question to the set at `path`. Their modules are compiled already.
    """
    commands = {
        "python": ["-c", ""],
        "numpy": ["-c", "import numpy"],
        "imeiset": ["-c", "import imeiset"],
        "command": ["-m", "imeiset", "check", str(path), "490154203237518"],
    }
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(2 * ROUNDS + 1):
        for name, command in commands.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, *command], env=compiled, stdout=subprocess.DEVNULL)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            taken = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
            times[name].append(taken)
    return {name: statistics.median(taken[1:]) * 1e3 for name, taken in times.items()}


def calls(path: Path, n: int) -> dict[str, float]:
    """Seconds of a call of `contains` of few rows, by what they are: medians of rounds in turns."""
    members = ImeiSet.open(path)
    keys = corpus.queries(list_of("reference", n), CALLED, 0.5)
    texts = corpus.texts(keys).astype("U15").tolist()
    columns: dict[str, Any] = {
        "1 key": keys[:1],
        f"{CALLED} keys": keys,
        "1 text": texts[:1],
        f"{CALLED} texts": texts,
    }
    times: dict[str, list[float]] = {name: [] for name in columns}
    for _ in range(ROUNDS * 9):
        for name, column in columns.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                members.contains(column)
            times[name].append((time.perf_counter() - start) / CALLS)
    return {name: statistics.median(taken) for name, taken in times.items()}


def memory(field: str) -> int:
    """A figure of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def reset_peak() -> int:
    """Make VmHWM start again from what is resident now, and return that."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")
