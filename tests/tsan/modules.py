"""What threads share of the compiled modules, for `make tsan`.

    python tests/tsan/modules.py            # no race
    python tests/tsan/modules.py planted    # two threads write one column: this one has to be found

ThreadSanitizer sees the compiled modules and the locks of Python, and nothing else of it.
"""

import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from imeiset import Delta, EquipmentStatus, ImeiSet, Policy, Register, Store
from imeiset._native import simd
from imeiset.index import Index

THREADS = 4
N = 20_000
RNG = np.random.default_rng(1)
KEYS = np.unique(RNG.integers(35 * 10**12, 35 * 10**12 + 4 * 10**7, N, dtype=np.uint64))
ASKED = np.concatenate([KEYS, KEYS + np.uint64(1), RNG.integers(0, 10**14, N, dtype=np.uint64)])
TEXTS = np.array([f"{key:014d}" for key in ASKED.tolist()], "S14")
IMSIS = np.full(len(ASKED), "234150000000001", "S15")


def together(*calls: Callable[[], object]) -> None:
    """All of them at once, several times each; the first that fails is raised."""
    start, failed = threading.Barrier(len(calls)), []

    def work(call: Callable[[], object]) -> None:
        try:
            start.wait()
            for _ in range(5):
                call()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def register(members: ImeiSet) -> Register:
    made = Register(Policy(malformed=EquipmentStatus.GREYLISTED))
    made.add("stolen", members, status=EquipmentStatus.BLACKLISTED, reasons=["lost"] * len(members))
    made.add("grey", members - ImeiSet.from_keys(KEYS[::2]), status=EquipmentStatus.GREYLISTED)
    made.add_ranges("range", [10], [10**6], status=EquipmentStatus.GREYLISTED)
    made.lock("lock", KEYS[:500], ["234150000000001"] * 500, status=EquipmentStatus.BLACKLISTED)
    return made


def sets() -> None:
    """One set, also while its hash table is made."""
    members = ImeiSet.from_keys(KEYS)
    together(
        *[lambda: members.contains(ASKED)] * THREADS,
        lambda: members.contains(TEXTS, threads=2),
        lambda: members.positions(ASKED),
        lambda: [key in members for key in ASKED[:200].tolist()],
        lambda: members.to_numpy(),
        lambda: members | ImeiSet.from_keys(KEYS[::3]),
    )


def sorts() -> None:
    shuffled = RNG.permutation(np.concatenate([KEYS] * 15))
    together(*[lambda: Index.from_parts([shuffled], threads=3, digest=True)] * 2)


def registers() -> None:
    """One register, also while it gets ready for its first question."""
    checks = register(ImeiSet.from_keys(KEYS))
    together(
        *[lambda: checks.check_many(ASKED)] * 2,
        lambda: checks.check_many(TEXTS, IMSIS, threads=2),
        lambda: checks.check_many(ASKED, IMSIS, details=True),
        lambda: [checks.check(key, "234150000000001") for key in ASKED[:100].tolist()],
        lambda: [checks.explain(key) for key in ASKED[:100].tolist()],
    )


def stores() -> None:
    """One store, while a thread changes it, and another that reads the same directory."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "eir")
        with Store.create(path, register(ImeiSet.from_keys(KEYS))) as store:
            reader, numbers = Store.open(path), iter(range(10**6))

            def write() -> None:
                for _ in range(4):
                    some = KEYS[next(numbers) % 100 :: 100]
                    store.apply(Delta("stolen", add=some + np.uint64(3), remove=some, reason="found"))
                store.compact_in_background().result()

            def follow() -> None:
                reader.refresh()
                reader.check_many(ASKED)
                reader.check_many(ASKED[:1000], details=True)

            together(
                write,
                *[follow] * 2,
                lambda: store.check_many(ASKED),
                lambda: store.check_many(ASKED, IMSIS, details=True),
                lambda: [store.check(key) for key in ASKED[:100].tolist()],
            )


def planted() -> None:
    index, out = Index.from_keys(KEYS), np.empty(len(ASKED), np.uint8)
    together(*[lambda: index.contains_keys(ASKED, out)] * THREADS)


if __name__ == "__main__":
    for level in simd.simd_levels():
        simd.use_simd(level)
        for scene in [planted] if sys.argv[1:] == ["planted"] else [sets, sorts, registers, stores]:
            scene()
            print(level, scene.__name__, flush=True)
