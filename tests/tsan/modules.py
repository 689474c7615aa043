"""What threads share of the compiled modules, for `make tsan`.

    python tests/tsan/modules.py                    # no race
    python tests/tsan/modules.py planted            # threads write one column: this has to be found
    python tests/tsan/modules.py planted_deciders   # and this, of bytes beside a union

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
from imeiset._native.layered import bytes_of
from imeiset.index import Index
from imeiset.register.deciders import Deciders

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


def of_many_lists() -> Register:
    """A register whose phones are on several of its lists, alone and in runs: deciders say which."""
    made = Register(Policy(malformed=EquipmentStatus.GREYLISTED))
    run = np.arange(36 * 10**12, 36 * 10**12 + 500, dtype=np.uint64)
    for number in range(6):
        status = list(EquipmentStatus)[number % 3]
        some = np.concatenate([KEYS[RNG.random(len(KEYS)) < 0.4], run[: 100 * number]])
        made.add(f"list {number}", some, status=status, reasons=["lost"] * len(some))
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


def deciders() -> None:
    """A store of many lists, while a thread changes it and makes the deciders of the next base; others make
    those of the base that is there, of the same sets."""
    with (
        tempfile.TemporaryDirectory() as directory,
        Store.create(Path(directory, "eir"), of_many_lists()) as store,
    ):
        lists, coverage, numbers = store.lists, store._state.base.coverage, iter(range(10**6))
        assert coverage.deciders is not None

        def write() -> None:
            for _ in range(3):
                number = next(numbers)
                some = KEYS[number % 100 :: 100]
                store.apply(Delta(f"list {number % 6}", add=some + np.uint64(3), remove=some, reason="found"))
            store.compact_in_background().result()

        def make() -> None:
            assert Deciders.of_lists(coverage.imeis, lists) == coverage.deciders

        together(
            write,
            *[make] * 2,
            *[lambda: store.check_many(ASKED)] * 2,
            lambda: store.check_many(TEXTS, IMSIS, threads=2),
            lambda: store.check_many(ASKED, IMSIS, details=True),
            lambda: [store.check(key, "234150000000001") for key in ASKED[:200].tolist()],
            lambda: [store.explain(key) for key in ASKED[:100].tolist()],
        )
        assert store._state.base.coverage.deciders is not None


def planted_deciders() -> None:
    coverage, out = of_many_lists()._now().coverage, np.empty((2, len(KEYS)), np.uint8)
    together(*[lambda: bytes_of(coverage.imeis, coverage.deciders.codes, KEYS, *out)] * THREADS)


def planted() -> None:
    index, out = Index.from_keys(KEYS), np.empty(len(ASKED), np.uint8)
    together(*[lambda: index.contains_keys(ASKED, out)] * THREADS)


if __name__ == "__main__":
    races = [race for race in (planted, planted_deciders) if race.__name__ in sys.argv[1:]]
    for level in simd.simd_levels():
        simd.use_simd(level)
        for scene in races or [sets, sorts, registers, stores, deciders]:
            scene()
            print(level, scene.__name__, flush=True)
