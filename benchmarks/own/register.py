"""The bars of registers and stores: `python -m benchmarks.own.register [--quick]` prints them."""

import argparse
import gc
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imeiset import Delta, EquipmentStatus, ImeiSet, Register, Store

from .. import corpus
from .__main__ import Bar, show
from .measure import fresh, list_of, memory, reset_peak

ROUNDS = 9
QUERIES = 2_000_000
BATCH = 200_000
READINGS = 5  # runs, of which the middle one counts
SCALARS = 200_000
RANGES = 1_000_000
TACS = 300_000
STATUSES = (EquipmentStatus.BLACKLISTED, EquipmentStatus.GREYLISTED, EquipmentStatus.WHITELISTED)


def _neighbours(keys: corpus.Keys, n: int, rng: np.random.Generator) -> corpus.Keys:
    """n keys of the TACs of a list, likelier of those with many."""
    tacs = keys[rng.integers(0, len(keys), n)] // np.uint64(10**6)
    return tacs * np.uint64(10**6) + rng.integers(0, 10**6, n, dtype=np.uint64)


def build(directory: Path, n: int) -> None:
    """A store with n black, n / 10 grey and n / 100 white IMEIs and a million ranges, and questions."""
    rng = np.random.default_rng(corpus.SEED)
    black = list_of("reference", n)
    register = Register()
    for name, status, size in zip(("black", "grey", "white"), STATUSES, (n, n // 10, n // 100), strict=True):
        keys = black if size == n else _neighbours(black, size, rng)
        register.add(name, ImeiSet.from_keys(keys), status=status)
    lows = _neighbours(black, RANGES, rng)
    highs = lows + rng.integers(0, 200, RANGES, dtype=np.uint64)
    register.add_ranges("ranges", lows, highs.clip(max=10**14 - 1), status=EquipmentStatus.BLACKLISTED)
    Store.create(directory, register).close()
    questions = corpus.queries(black, 2 * QUERIES, 0.0)
    _, lists = register.check_many(questions, lists=True)
    np.save(directory / "misses.npy", questions[lists < 0][:QUERIES])
    np.save(directory / "half.npy", corpus.queries(black, QUERIES, 0.5))


def many_ranges(path: Path, n: int, width: int | None) -> dict[str, float]:
    """A register of n disjoint ranges inside TACs: seconds to build, bytes of its file for each, and ns of
    a check of equipment of their TACs.

    width: of the widest; None: ends are drawn, so that ranges and the gaps between them are as wide.
    """
    rng, each = np.random.default_rng(6), 50
    tacs = (np.arange(n // each, dtype=np.uint64) * np.uint64(7) + np.uint64(35_000_000))[:, None] * 10**6
    ends = np.sort(rng.integers(0, 10**6, (n // each, 2 * each), dtype=np.uint64), axis=1) + tacs
    lows, highs = ends[:, ::2].ravel(), ends[:, 1::2].ravel()
    if width is not None:
        highs = np.minimum(highs, lows + rng.integers(0, width, n, dtype=np.uint64))
    questions = (tacs.ravel()[rng.integers(0, n // each, QUERIES)]) + rng.integers(
        0, 10**6, QUERIES, dtype=np.uint64
    )
    del ends
    start = time.perf_counter()
    register = Register()
    register.add_ranges("ranges", lows, highs, status=EquipmentStatus.BLACKLISTED)
    register.save(path)
    seconds = time.perf_counter() - start
    register = Register.open(path)
    seen = _take_turns({"check": lambda: register.check_many(questions)}, 3)
    ours = path.stat().st_size / n
    path.unlink()
    return {"seconds": seconds, "bytes": ours, "ns": seen["check"] / QUERIES * 1e9}


def many_tacs(path: Path, n: int) -> dict[str, float]:
    """As `many_ranges`, for n whole TACs."""
    register, start = Register(), time.perf_counter()
    register.add_ranges("tacs", *corpus.whole_tacs(n), status=EquipmentStatus.BLACKLISTED)
    register.save(path)
    seconds, ours = time.perf_counter() - start, path.stat().st_size / n
    path.unlink()
    return {"seconds": seconds, "bytes": ours}


def many_pairs(path: Path, n: int) -> dict[str, float]:
    """A register of n pairs, each of another IMEI, given in any order: seconds to build, bytes of its file
    and, beyond the two columns, of memory for each, and ns of a check with an IMSI, of pairs and of others.
    """
    rng = np.random.default_rng(7)
    keys = list_of("reference", n)
    rng.shuffle(keys)
    imsis = corpus.texts(rng.integers(0, 10**14, n, dtype=np.uint64))
    gc.collect()
    before = reset_peak()
    start = time.perf_counter()
    register = Register()
    register.exempt("pairs", keys, imsis)
    register.save(path)
    seconds = time.perf_counter() - start
    peak = memory("VmHWM") - before
    register = Register.open(path)
    ours, some = path.stat().st_size / n, slice(0, QUERIES // 4)
    pairs, others = imsis[some], imsis[some][::-1].copy()
    assert register.check(int(keys[0]), str(imsis[0], "ascii")).rule == "pair"
    seen = _take_turns(
        {
            "pairs": lambda: register.check_many(keys[some], pairs),
            "others": lambda: register.check_many(keys[some], others),
        },
        3,
    )
    path.unlink()
    ns = {name: taken / len(pairs) * 1e9 for name, taken in seen.items()}
    return {"seconds": seconds, "bytes": ours, "peak": peak / n, **ns}


def texts(n: int) -> dict[str, float]:
    """Seconds to give n IMEIs a reason and a date each, in arrays, and bytes beyond them for each."""
    rng = np.random.default_rng(8)
    keys = list_of("reference", n)
    rng.shuffle(keys)
    reasons = np.array(["stolen", "lost", "fraud", "stolen|lost", ""])[rng.integers(0, 5, n)]
    dates = np.datetime64("2015-01-01") + rng.integers(0, 4000, n).astype("timedelta64[D]")
    gc.collect()
    before = reset_peak()
    start = time.perf_counter()
    Register().add("black", keys, status=EquipmentStatus.BLACKLISTED, reasons=reasons, dates=dates)
    return {"seconds": time.perf_counter() - start, "peak": (memory("VmHWM") - before) / n}


def _take_turns(calls: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """The median seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def checks(directory: Path, changes: int) -> dict[str, float]:
    """ns per question of batches and single questions: of the register, of its black list alone, and of the
    store with so many changes."""
    base = Register.open(directory / "base-00000001.imei")
    store, black = Store.open(directory), base["black"]
    rng = np.random.default_rng(3)
    for part in np.array_split(_neighbours(black.to_numpy()[::1000], changes, rng), 10):
        store.apply(Delta("black", add=part[::2], remove=part[1::2]))
    store.close()
    found: dict[str, float] = {}
    for what in ("misses", "half"):
        questions = np.load(directory / f"{what}.npy")
        texts = corpus.texts(questions[:SCALARS]).astype("U15").tolist()

        def look_up(texts: list[str] = texts) -> None:
            for text in texts:
                text in black  # noqa: B015

        def one_by_one(check: Callable[[str], object], texts: list[str] = texts) -> None:
            for text in texts:
                check(text)

        seen = _take_turns(
            {
                "contains": lambda q=questions: black.contains(q),  # type: ignore[misc]
                "check_many": lambda q=questions: base.check_many(q),  # type: ignore[misc]
                "changed": lambda q=questions: store.check_many(q),  # type: ignore[misc]
            }
        )
        found |= {f"{name}, {what}": seconds / len(questions) * 1e9 for name, seconds in seen.items()}
        seen = _take_turns(
            {
                "in": look_up,
                "check": lambda: one_by_one(base.check),
                "changed check": lambda: one_by_one(store.check),
            }
        )
        found |= {f"{name}, {what}": seconds / len(texts) * 1e9 for name, seconds in seen.items()}
    return found


def applies(directory: Path, changes: int) -> dict[str, float]:
    """ms of a durable delta, and of a write and fsync of as many bytes in the same directory."""
    rng, times, syncs = np.random.default_rng(4), [], []
    with Store.open(directory) as store, (directory / "probe").open("wb", buffering=0) as probe:
        for _ in range(20):
            keys = rng.integers(0, 10**14, changes, dtype=np.uint64)
            start = time.perf_counter()
            store.apply(Delta("black", add=keys[::2], remove=keys[1::2]))
            times.append(time.perf_counter() - start)
            start = time.perf_counter()
            probe.write(bytes(8 * changes))
            os.fsync(probe.fileno())
            syncs.append(time.perf_counter() - start)
    (directory / "probe").unlink()
    return {"apply": statistics.median(times) * 1e3, "fsync": statistics.median(syncs) * 1e3}


def reading(directory: Path, deltas: int) -> dict[str, float]:
    """A thread asks batches of BATCH without a pause while deltas are applied and two compactions run: the
    slowest batch against the median, and against that of a quiet store."""
    store, questions = Store.open(directory), np.load(directory / "misses.npy")[:BATCH]
    times: list[float] = []
    ended = threading.Event()
    stays = int(questions[0])

    def ask() -> None:
        while not ended.is_set():
            start = time.perf_counter()
            statuses = store.check_many(questions)
            times.append(time.perf_counter() - start)
            assert statuses[0] == EquipmentStatus.WHITELISTED

    quiet = _take_turns({"quiet": lambda: store.check_many(questions)})["quiet"]
    rng = np.random.default_rng(5)
    thread = threading.Thread(target=ask)
    thread.start()
    waits = []
    for n in range(deltas):
        keys = rng.integers(0, 10**14, 100, dtype=np.uint64)
        store.apply(Delta("grey", add=keys[keys != stays]))
        if n in (deltas // 4, deltas // 2):
            waits.append(store.compact_in_background())
    for wait in waits:
        wait.result()
    ended.set()
    thread.join()
    store.close()
    median = statistics.median(times)
    return {"slowest": max(times) / median, "median": median / quiet, "batches": len(times)}


def _kibibytes(what: str) -> int:
    """Of this process: Rss, or Pss, in which a page that n processes have counts as one n-th."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return int(next(line.split()[1] for line in rollup.splitlines() if line.startswith(f"{what}:")))


def workers(path: Path, questions: Path, count: int) -> dict[str, float]:
    """MiB of so many forked workers that read all of a register that their parent opened, and of that parent,
    shared pages counted once; and of one worker."""
    batch, register = np.load(questions)[:BATCH], Register.open(path)
    reading, writing = os.pipe()
    on = []
    for _ in range(count):
        wait, go = os.pipe()
        if not os.fork():
            for name in ("black", "grey", "white", "ranges"):
                for part in register[name].sections():
                    np.frombuffer(part[1], np.uint8)[::4096].sum()
            register.check_many(batch)
            os.write(writing, b"x")
            os.read(wait, 1)  # until all have read
            os.write(writing, f"{_kibibytes('Rss'):12}{_kibibytes('Pss'):12}".encode())
            os.read(wait, 1)  # until all have counted
            os._exit(0)
        on.append(go)
    for _ in on:
        os.read(reading, 1)
    for go in on:
        os.write(go, b"x")
    sizes = [tuple(map(int, os.read(reading, 24).split())) for _ in on]
    shared = sum(pss for _, pss in sizes) + _kibibytes("Pss")
    for go in on:
        os.write(go, b"x")
        os.wait()
    return {"one": max(rss for rss, _ in sizes) / 1024, "all": shared / 1024}


def bars(directory: Path, n: int) -> list[Bar]:
    """Measure everything."""
    store, rows = directory / "store", []

    def ratio(what: str, bar: float, ours: float, alone: float, unit: str = "ns") -> None:
        note = f"{ours:.1f} against {alone:.1f} {unit}"
        rows.append(Bar(what, "of it", bar, bar - (bar - 1) / 2, ours / alone, note))

    fresh(build, store, n)
    seen = fresh(workers, store / "base-00000001.imei", store / "misses.npy", 8)
    ratio("8 forked readers against one, resident", 1.1, seen["all"], seen["one"], "MiB")
    seen = fresh(checks, store, 100_000)
    many, alone = seen["check_many, misses"], seen["contains, misses"]
    note = "{:.1f} against {:.1f} ns; half hits {:.1f} against {:.1f}"
    note = note.format(many, alone, seen["check_many, half"], seen["contains, half"])
    rows.append(Bar("check_many against contains, misses", "of it", 1.6, 1.3, many / alone, note))
    for what in ("misses", "half"):
        ratio(f"check against in, {what}", 2.0, seen[f"check, {what}"], seen[f"in, {what}"])
    ratio("check_many, 100,000 changes", 1.3, seen["changed, misses"], seen["check_many, misses"])
    ratio("check, 100,000 changes", 1.3, seen["changed check, misses"], seen["check, misses"])
    seen = fresh(applies, store, 10_000)
    note = f"a write and fsync takes {seen['fsync']:.1f} ms"
    rows.append(Bar("apply 10,000 changes", "ms", max(50, 3 * seen["fsync"]), 25, seen["apply"], note))
    runs = sorted((fresh(reading, store, 1000) for _ in range(READINGS)), key=lambda seen: seen["slowest"])
    seen, low, high = runs[READINGS // 2], runs[0]["slowest"], runs[-1]["slowest"]
    note = f"{low:.1f} to {high:.1f} in {READINGS} runs; median {seen['median']:.2f} of a quiet store's"
    rows.append(Bar("slowest batch, 1,000 deltas", "medians", 5, 3, seen["slowest"], note))
    path, n_ranges = directory / "sizes.imei", n // 10
    for what, width in (("ends anywhere", None), ("up to 200 wide", 200), ("up to 20 wide", 20)):
        seen = fresh(many_ranges, path, n_ranges, width)
        note = f"built in {seen['seconds']:.1f} s; a check takes {seen['ns']:.0f} ns"
        rows.append(Bar(f"{n_ranges:,} ranges, {what}", "bytes each", 16, 12, seen["bytes"], note))
    seen = fresh(many_tacs, path, TACS)
    note = f"built in {seen['seconds']:.1f} s"
    rows.append(Bar(f"{TACS:,} whole TACs", "bytes each", 16, 12, seen["bytes"], note))
    seen = fresh(many_pairs, path, n)
    note = f"built in {seen['seconds']:.0f} s; a check {seen['pairs']:.0f} ns, of others {seen['others']:.0f}"
    rows.append(Bar(f"{n:,} pairs", "bytes each", 16, 14, seen["bytes"], note))
    rows.append(Bar("building them, beyond the columns", "bytes each", 40, 32, seen["peak"]))
    seen = fresh(texts, n // 10)
    note = f"{seen['seconds']:.1f} s"
    rows.append(Bar(f"{n // 10:,} reasons and dates", "bytes each", 80, 60, seen["peak"], note))
    return rows


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own.register", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 million IMEIs instead of 100 million")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imeiset-bench-") as directory:
        os.environ.setdefault("IMEISET_BENCH_CACHE", directory)
        rows = bars(Path(directory), 10**7 if options.quick else 10**8)
    show(rows, options.json)


if __name__ == "__main__":
    main()
