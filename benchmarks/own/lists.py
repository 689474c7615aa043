"""The bars of registers of many lists: `python -m benchmarks.own.lists [--quick]` prints them.

A tenth of the IMEIs is on two lists, and a third of these on three.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from imeiset import EquipmentStatus, ImeiSet, Register

from .. import corpus
from .__main__ import Bar, show
from .measure import fresh, list_of

LISTS = (1, 31)
ROUNDS = 9
QUERIES = 1_000_000
SCALARS = 10_000
STATUSES = (EquipmentStatus.BLACKLISTED, EquipmentStatus.GREYLISTED, EquipmentStatus.BLACKLISTED)


def build(directory: Path, n: int, lists: int) -> float:
    """A register of so many lists with n IMEIs in all: its file against its sets, that of all included."""
    keys, rng = list_of("reference", n), np.random.default_rng(corpus.SEED)
    first, second, third = rng.integers(0, lists, (3, n), dtype=np.uint8)
    on = rng.random(n)
    register = Register()
    for i in range(lists):
        mine = (first == i) | (second == i) & (on < 0.1) | (third == i) & (on < 0.1 / 3)
        members = ImeiSet.from_keys(keys[mine])
        reasons = np.array(["stolen", "lost", "fraud", ""])[rng.integers(0, 4, len(members))]
        register.add(f"list {i}", members, status=STATUSES[i % 3], reasons=reasons)
    path = directory / f"{lists}.imei"
    register.save(path)
    union = ImeiSet.from_keys(keys)
    sets = sum(members.nbytes for members in register.values()) + (union.nbytes if lists > 1 else 0)
    return (path.stat().st_size - _reasons(register)) / sets


def _reasons(register: Register) -> int:
    """Bytes of the reasons, of which one takes a byte."""
    return sum(map(len, register.values()))


def checks(directory: Path, n: int) -> dict[str, float]:
    """Median ns of each question, asked in turns."""
    registers = {lists: Register.open(directory / f"{lists}.imei") for lists in LISTS}
    keys, rng = list_of("reference", n), np.random.default_rng(corpus.SEED)
    half, alone = corpus.queries(keys, QUERIES, 0.5), ImeiSet.from_keys(keys)
    hits = corpus.texts(keys[rng.integers(0, n, SCALARS)]).astype("U15").tolist()
    misses = corpus.texts(corpus.queries(keys, SCALARS, 0.0)).astype("U15").tolist()

    def one_by_one(ask: Callable[[str], object], texts: list[str]) -> None:
        for text in texts:
            ask(text)

    calls: dict[str, tuple[int, Callable[[], object]]] = {"contains": (QUERIES, lambda: alone.contains(half))}
    for lists, register in registers.items():
        calls |= {
            f"half {lists}": (QUERIES, lambda one=register: one.check_many(half)),  # type: ignore[misc]
            f"hit {lists}": (SCALARS, lambda one=register: one_by_one(one.check, hits)),  # type: ignore[misc]
            f"miss {lists}": (SCALARS, lambda one=register: one_by_one(one.check, misses)),  # type: ignore[misc]
            f"explain {lists}": (SCALARS, lambda one=register: one_by_one(one.explain, hits)),  # type: ignore[misc]
        }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS + 1):
        for name, (count, call) in calls.items():
            start = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - start) / count * 1e9)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def bars(directory: Path, n: int) -> list[Bar]:
    """Measure everything."""
    sizes = {lists: fresh(build, directory, n, lists) for lists in LISTS}
    seen, rows = fresh(checks, directory, n), []

    def ratio(what: str, bar: float, ours: str, other: str) -> None:
        note = f"{seen[ours]:.0f} against {seen[other]:.0f} ns"
        rows.append(Bar(what, "of it", bar, bar - (bar - 1) / 2, seen[ours] / seen[other], note))

    ratio("check_many, half hits, 31 lists against one", 1.5, "half 31", "half 1")
    ratio("check_many, half hits, one list against contains", 1.6, "half 1", "contains")
    rows.append(Bar("check of a hit with reasons, 31 lists", "ns", 1000, 700, seen["hit 31"]))
    ratio("it against one list", 2, "hit 31", "hit 1")
    ratio("it against a miss", 2.5, "hit 31", "miss 31")
    rows.append(Bar("explain of a hit, 31 lists", "us", 20, 10, seen["explain 31"] / 1e3))
    rows.append(Bar("file of 31 lists against its sets", "of it", 1.25, 1.1, sizes[31]))
    return rows


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own.lists", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1 million IMEIs instead of 10 million")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imeiset-lists-") as directory:
        rows = bars(Path(directory), 10**6 if options.quick else 10**7)
    show(rows, options.json)


if __name__ == "__main__":
    main()
