"""What a change costs a store in which many are pending: `python -m benchmarks.own.changes` prints the bars.

A change of one IMEI, range, TAC, pair, irregular identity or IMSI prefix, on the disk, and a refresh of a
reader after it, where 100,000 such changes are pending against where 100 are: two stores take turns, medians.
And lookups in the store with 100,000 of each pending, against the same store compacted.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from imeiset import Delta, EquipmentStatus, ImeiSet, Register, Store
from imeiset.register.kinds import ListRule

from .. import corpus
from .__main__ import Bar, show
from .measure import list_of

FEW, MANY = 100, 100_000
RULES: tuple[ListRule, ...] = ("exact", "range", "pair", "tac", "irregular", "imsi")
PIECE = 1000  # rows of one change that is pending
QUERIES = 500_000
BLACK = EquipmentStatus.BLACKLISTED


def register(n: int) -> Register:
    """A list of n IMEIs, and lists of every other kind."""
    rng, made = np.random.default_rng(corpus.SEED), Register()
    made.add("black", ImeiSet.from_keys(list_of("reference", n)), status=BLACK)
    lows = rng.integers(0, 10**14 - 300, n // 10, dtype=np.uint64)
    made.add_ranges("ranges", lows, lows + np.uint64(200), status=BLACK)
    made.add_tacs("tacs", [f"{tac:08d}" for tac in rng.integers(0, 10**8, 1000)], status=BLACK)
    made.exempt("pairs", rng.integers(0, 10**14, n // 10, dtype=np.uint64), _subscribers(rng, n // 10))
    made.add_imsis("imsis", [f"{n:06d}" for n in range(1000)], status=BLACK)
    return made


def _subscribers(rng: np.random.Generator, n: int) -> list[str]:
    return [f"{imsi:015d}" for imsi in rng.integers(10**14, 10**15, n)]


def _rows(rule: ListRule, n: int, rng: np.random.Generator) -> Delta:
    """A change of n rows that are not there yet."""
    if rule == "exact":
        return Delta("black", add=rng.integers(0, 10**14, n, dtype=np.uint64), reason="stolen")
    if rule == "range":
        lows = rng.integers(0, 10**14 - 300, n, dtype=np.uint64)
        return Delta("ranges", add=(lows, lows + np.uint64(200)), rule=rule)
    if rule == "tac":
        return Delta("tacs", add=[f"{tac:08d}" for tac in rng.integers(0, 10**8, n)], rule=rule)
    if rule == "pair":
        return Delta("pairs", add=(rng.integers(0, 10**14, n, dtype=np.uint64), _subscribers(rng, n)))
    if rule == "imsi":
        return Delta("imsis", add=_subscribers(rng, n))
    return Delta("black", add=[f"A{number:014d}" for number in rng.integers(0, 10**14, n)], rule=rule)


def _pending(directory: Path, rule: ListRule, n: int, base: Register) -> Store:
    """A store with n changes of one rule pending."""
    store, rng = Store.create(directory, base), np.random.default_rng(n)
    for start in range(0, n, PIECE):
        store.apply(_rows(rule, min(PIECE, n - start), rng))
    return store


def one_change(
    directory: Path, rule: ListRule, base: Register, rounds: int
) -> dict[str, dict[int, list[float]]]:
    """The seconds of changes of one row, and of refreshes after each, with few and with many pending."""
    writers = {n: _pending(directory / f"{rule}-{n}", rule, n, base) for n in (FEW, MANY)}
    readers = {n: Store.open(directory / f"{rule}-{n}") for n in writers}
    rng = np.random.default_rng(1)
    taken: dict[str, dict[int, list[float]]] = {
        what: {n: [] for n in writers} for what in ("apply", "refresh")
    }
    for turn in range(rounds):
        for n in sorted(writers, reverse=turn % 2 == 1):
            delta = _rows(rule, 1, rng)
            taken["apply"][n].append(_seconds(partial(writers[n].apply, delta)))
            taken["refresh"][n].append(_seconds(readers[n].refresh))
    for store in (*writers.values(), *readers.values()):
        store.close()
    return taken


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def lookups(directory: Path, base: Register, rounds: int) -> dict[str, dict[str, float]]:
    """The median ns of a check of equipment on no list and on one, many changes pending and compacted."""
    rng = np.random.default_rng(2)
    with Store.create(directory / "lookups", base) as store:
        for rule in RULES[:3]:
            for _ in range(MANY // PIECE):
                store.apply(_rows(rule, PIECE, rng))
        pending = store.frozen()
        store.compact()
        sides = {"pending": pending, "compacted": store.frozen()}
        keys = store.lists[0].exact.base.to_numpy()  # type: ignore[union-attr]
        asked = {
            "on no list": rng.integers(0, 10**14, QUERIES, dtype=np.uint64),
            "on a list": keys[rng.integers(0, len(keys), QUERIES)],
        }
        times: dict[str, dict[str, list[float]]] = {what: {side: [] for side in sides} for what in asked}
        for _ in range(rounds):
            for what, column in asked.items():
                for side, checks in sides.items():
                    times[what][side].append(_seconds(partial(checks.check_many, column)))
    return {
        what: {side: statistics.median(some) / QUERIES * 1e9 for side, some in both.items()}
        for what, both in times.items()
    }


def bars(directory: Path, n: int, rounds: int) -> list[Bar]:
    """All of them, for a list of n."""
    base, rows = register(n), []
    for rule in RULES:
        for what, taken in one_change(directory, rule, base, rounds).items():
            few, many = (statistics.median(taken[count]) * 1e6 for count in (FEW, MANY))
            worst = [max(taken[count]) * 1e3 for count in (FEW, MANY)]
            note = f"{many:.0f} against {few:.0f} us, worst {worst[1]:.1f} and {worst[0]:.1f} ms"
            rows.append(
                Bar(f"{what} one by {rule}, {MANY:,} pending", "of 100's", 1.3, 1.1, many / few, note)
            )
    for what, seen in lookups(directory, base, rounds // 10).items():
        note = f"{seen['pending']:.1f} against {seen['compacted']:.1f} ns"
        ratio = seen["pending"] / seen["compacted"]
        rows.append(Bar(f"check_many {what}, 3 x {MANY:,} pending", "of compacted", 2, 1.3, ratio, note))
    return rows


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own.changes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a million IMEIs instead of ten")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imeiset-bench-", dir=Path.cwd()) as directory:
        os.environ.setdefault("IMEISET_BENCH_CACHE", directory)
        rows = bars(Path(directory), *((10**6, 200) if options.quick else (10**7, 1000)))
    show(rows, options.json)


if __name__ == "__main__":
    main()
