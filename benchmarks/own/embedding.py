"""What it takes to serve a store: `python -m benchmarks.own.embedding DIR [--size N]` prints the figures of
docs/embedding.md. DIR keeps the store that `--prepare` makes."""

import argparse
import asyncio
import os
import shutil
import statistics
import time
from pathlib import Path

import numpy as np

from imeiset import Delta, Store

from .. import corpus
from .__main__ import environment
from .measure import fresh, median
from .register import build, workers

CHECKS = 200_000
ROUNDS = 5


def _texts(directory: Path, n: int = CHECKS) -> list[str]:
    texts: list[str] = corpus.texts(np.load(directory / "half.npy")[:n]).astype("U15").tolist()
    return texts


def opened(directory: Path) -> float:
    """Seconds until a process that has imported the library has its first verdict."""
    start = time.perf_counter()
    Store.open(directory).check("490154203237518")
    return time.perf_counter() - start


def forked(directory: Path, count: int) -> float:
    """Checks a second of so many forked workers, each for phones one by one, together."""
    store, texts = Store.open(directory), _texts(directory)
    store.check(texts[0])
    pipes = []
    start = time.perf_counter()
    for _ in range(count):
        reading, writing = os.pipe()
        if not os.fork():
            store.watch(0.2)
            for text in texts * ROUNDS:
                store.check(text)
            os.write(writing, b"x")
            os._exit(0)
        os.close(writing)
        pipes.append(reading)
    for reading in pipes:
        os.read(reading, 1)
    seconds = time.perf_counter() - start
    for _ in pipes:
        os.wait()
    return count * ROUNDS * len(texts) / seconds


def calls(directory: Path) -> dict[str, float]:
    """Nanoseconds for each phone: one by one, in an event loop, and in batches."""
    store, texts = Store.open(directory), _texts(directory)
    columns = {
        size: [texts[at : at + size] for at in range(0, CHECKS, size)] for size in (16, 100, 1000, CHECKS)
    }

    def one_by_one() -> None:
        for text in texts:
            store.check(text)

    async def in_a_loop() -> None:
        async def handle(text: str) -> None:
            store.check(text)

        for text in texts:
            await handle(text)

    def batches(size: int) -> None:
        for column in columns[size]:
            store.check_many(column)

    found = {"check": median(one_by_one), "in an event loop": median(lambda: asyncio.run(in_a_loop()))}
    for size in columns:
        found[f"check_many of {size}"] = median(lambda size=size: batches(size))  # type: ignore[misc]
    return {what: seconds / CHECKS * 1e9 for what, seconds in found.items()}


def changes(directory: Path) -> dict[str, float]:
    """Milliseconds of changes in a copy of the store: applied, seen by another process that polls every
    10 ms, refreshed, and seconds to compact 100,000 of them."""
    copy = directory.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(directory, copy)
    writer, rng = Store.open(copy), np.random.default_rng(7)
    reader = Store.open(copy)
    found: dict[str, list[float]] = {"apply 1": [], "seen": [], "apply 10,000": [], "refresh 10,000": []}
    found["refresh of nothing"] = [median(reader.refresh, 200) * 1e3]
    writer.apply()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        reader.watch(0.01, lambda one: os.write(writing, b"x"))
        while True:
            time.sleep(1)
    time.sleep(0.1)
    os.read(reading, 1)  # the empty change
    for n in range(50):
        start = time.perf_counter()
        writer.apply(Delta("black", add=[10**13 + n]))
        found["apply 1"].append((time.perf_counter() - start) * 1e3)
        os.read(reading, 1)
        found["seen"].append((time.perf_counter() - start) * 1e3)
    os.kill(child, 9)
    os.wait()
    for _ in range(10):
        keys = rng.integers(0, 10**14, 10_000, dtype=np.uint64)
        start = time.perf_counter()
        writer.apply(Delta("black", add=keys[::2], remove=keys[1::2]))
        found["apply 10,000"].append((time.perf_counter() - start) * 1e3)
        start = time.perf_counter()
        reader.refresh()
        found["refresh 10,000"].append((time.perf_counter() - start) * 1e3)
    start = time.perf_counter()
    writer.compact()
    found["compact"] = [(time.perf_counter() - start) * 1e3]
    start = time.perf_counter()
    reader.refresh()
    found["refresh to the next base"] = [(time.perf_counter() - start) * 1e3]
    writer.close()
    shutil.rmtree(copy)
    return {what: statistics.median(times) for what, times in found.items()}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own.embedding", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the store is, or is to be made")
    parser.add_argument("--size", type=int, default=10**7, help="IMEIs on the black list; default 10,000,000")
    parser.add_argument("--prepare", action="store_true", help="make the store, and measure nothing")
    options = parser.parse_args()
    store = options.directory / "store"
    if options.prepare or not store.exists():
        os.environ.setdefault("IMEISET_BENCH_CACHE", str(options.directory))
        options.directory.mkdir(parents=True, exist_ok=True)
        fresh(build, store, options.size)
        if options.prepare:
            return
    print(environment())
    for line, count in ((f"{name} {one}", value) for name, one, value in _counts(store)):
        print(f"{line:<40} {count:14,.0f}")
    base = store / "base-00000001.imei"
    print(f"{'bytes of the base':<40} {base.stat().st_size:14,}")
    seconds = statistics.median(fresh(opened, store) for _ in range(5))
    print(f"{'ms to open, and the first verdict':<40} {seconds * 1e3:14.2f}")
    for count in (1, 2):
        print(f"{f'checks a second, {count} forked workers':<40} {fresh(forked, store, count):14,.0f}")
    for what, ns in fresh(calls, store).items():
        print(f"{f'ns, {what}':<40} {ns:14,.0f}")
    for what, ms in fresh(changes, store).items():
        print(f"{f'ms, {what}':<40} {ms:14,.2f}")
    for what, mebi in fresh(workers, base, store / "misses.npy", 8).items():
        print(f"{f'MiB resident, of 8 workers: {what}':<40} {mebi:14,.1f}")


def _counts(store: Path) -> list[tuple[str, str, int]]:
    counts = Store.open(store).status().counts
    return [(name, rule, count) for name, one in counts.items() for rule, count in one.items()]


if __name__ == "__main__":
    main()
