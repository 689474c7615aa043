"""The bars of operators' files: a dirty list to a snapshot, and the difference of two snapshots."""

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from imeiset import ImeiSet, diff, load
from imeiset._files import publish

from .. import corpus
from .__main__ import Bar, show
from .measure import fresh, memory

ROUNDS = 5
ROW = 35  # bytes
_PIECE = 1 << 20  # rows written at a time
_DIRTY = (  # of a text of 15 digits, rows that are rejected, ignored or unusual
    b"%s,20240229,blacklist\r\n",
    b' "%s",20240229,blacklist\n',
    b'"%s","20240229","blacklist"\n',
    b" %s ,20240229, blacklist\n",
    b"%s,,\n",
    b"%s,20240229,pending\n",
    b"%s,20240229\n",
    b"%s0,20240229,blacklist\n",
    b"X%s,20240229,blacklist\n",
    b"IMEI %s,20240229,blacklist\n",
)


def stolen(path: Path, rows: int) -> None:
    """A stolen list of DIRBS, shuffled: 1% of its rows are dirty, 5% have a spare check digit."""
    rng = np.random.default_rng(corpus.SEED)
    keys = corpus.reference(rows).copy()
    rng.shuffle(keys)
    with path.open("wb") as file:
        file.write(b"imei,reporting_date,status\n")
        for start in range(0, rows, _PIECE):
            texts = corpus.texts(keys[start : start + _PIECE])
            digits = texts.view(np.uint8).reshape(-1, 15)
            digits[rng.random(len(texts)) < 0.05, 14] = ord("0")
            lines = np.empty((len(texts), ROW), np.uint8)
            lines[:, :15] = digits
            dates = rng.integers(2010, 2025, len(texts)) * 10_000 + 101 + rng.integers(0, 28, len(texts))
            lines[:, 16:24] = dates.astype("S8").view(np.uint8).reshape(-1, 8)
            lines[:, 15] = lines[:, 24] = ord(",")
            lines[:, 25:] = np.frombuffer(b"blacklist\n", np.uint8)
            whole = lines.reshape(-1).data
            done = 0
            for at in np.flatnonzero(rng.random(len(texts)) < 0.01).tolist():
                file.write(whole[done * ROW : at * ROW])
                file.write(_DIRTY[at % len(_DIRTY)] % texts[at])
                done = at + 1
            file.write(whole[done * ROW :])


def pair(directory: Path, n: int) -> None:
    """Snapshots of n keys, and of those with 1% in exchange for others of the same TACs."""
    rng = np.random.default_rng(corpus.SEED)
    keys = corpus.reference(n)
    old = ImeiSet.from_keys(keys)
    old.save(directory / "old.imei")
    gone = ImeiSet.from_keys(rng.choice(keys, n // 200, replace=False))
    come = ImeiSet.from_keys(corpus.queries(keys, n // 200, 0.0))
    ((old - gone) | come).save(directory / "new.imei")


def _turns(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each call. They take turns, the first of which is not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def load_and_save(path: Path) -> dict[str, float]:
    """Seconds, and peak bytes of the process, of a list to a snapshot on the disk."""
    start = time.perf_counter()
    load(path).set.save(path.with_suffix(".imei"))
    return {"seconds": time.perf_counter() - start, "peak": memory("VmHWM")}


def against_pyarrow(path: Path) -> dict[str, float]:
    """A list to a snapshot on the disk, and pyarrow reading it to strings, on the same cores."""
    import pyarrow as pa
    from pyarrow import csv

    options = csv.ConvertOptions(
        column_types=dict.fromkeys(("imei", "reporting_date", "status"), pa.string()),
        strings_can_be_null=False,
    )
    skipping = csv.ParseOptions(invalid_row_handler=lambda row: "skip")
    return _turns(
        {
            "imeiset": lambda: load(path).set.save(path.with_suffix(".imei")),
            "pyarrow": lambda: csv.read_csv(path, parse_options=skipping, convert_options=options),
        }
    )


def against_gzip(path: Path) -> dict[str, float]:
    """The same from gzip, and `gzip -dc` alone."""

    def inflate() -> None:
        subprocess.run(["gzip", "-dc", path], stdout=subprocess.DEVNULL, check=True)

    return _turns({"imeiset": lambda: load(path).set.save(path.with_suffix(".imei")), "gzip": inflate})


def against_reading(directory: Path) -> dict[str, float]:
    """The delta of two snapshots to a file, and reading both."""
    paths = [directory / "old.imei", directory / "new.imei"]

    def write() -> None:
        with publish(directory / "delta.csv") as file:
            file.writelines(diff(ImeiSet.open(paths[0]), ImeiSet.open(paths[1])))

    def read() -> None:
        for path in paths:
            path.read_bytes()

    return _turns({"imeiset": write, "reading": read}) | {"peak": memory("VmHWM")}


def bars(directory: Path, quick: bool) -> list[Bar]:
    """Measure everything; `quick` with a tenth of the rows."""
    rows, many = (10**6, 10**7) if quick else (10**7, 10**8)
    path, found = directory / "stolen.csv", []

    def ratio(what: str, bar: float, stretch: float, ours: float, other: float, name: str) -> None:
        note = f"{ours:.3f} s against {other:.3f} s of {name}"
        found.append(Bar(what, "of it", bar, stretch, ours / other, note))

    fresh(stolen, path, rows)
    million = rows // 10**6
    seen = fresh(against_pyarrow, path)
    ratio(f"stolen list of {million}M to a snapshot", 1.5, 1, seen["imeiset"], seen["pyarrow"], "pyarrow")
    seen = fresh(load_and_save, path)
    found.append(Bar("its peak memory, all of the process", "MB", 400, 300, seen["peak"] / 1e6))
    with (directory / "stolen.gz").open("wb") as file:
        subprocess.run(["gzip", "-c", path], stdout=file, check=True)
    seen = fresh(against_gzip, directory / "stolen.gz")
    ratio("the same from gzip", 1, 0.5, seen["imeiset"], seen["gzip"], "gzip -dc")
    path.unlink()

    fresh(stolen, path, many)
    seen = fresh(load_and_save, path)
    note = f"in {seen['seconds']:.1f} s"
    found.append(Bar(f"peak memory of {many // 10**6}M rows", "MB", 4096, 2048, seen["peak"] / 1e6, note))
    path.unlink()

    if quick:
        return found  # 10 million are too few to tell: syncing the delta to the disk takes longest
    fresh(pair, directory, many)
    seen = fresh(against_reading, directory)
    ratio(f"diff of {many // 10**6}M, 1% changed", 3, 1.5, seen["imeiset"], seen["reading"], "reading both")
    found.append(Bar("its peak memory, all of the process", "MB", 500, 400, seen["peak"] / 1e6))
    return found


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own.feeds", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows: 1 and 10 million")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    if shutil.which("gzip") is None:
        parser.error("expected gzip to measure against")
    with tempfile.TemporaryDirectory(prefix="imeiset-bench-") as directory:
        os.environ.setdefault("IMEISET_BENCH_CACHE", directory)
        rows = bars(Path(directory), options.quick)
    show(rows, options.json)


if __name__ == "__main__":
    main()
