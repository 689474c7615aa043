"""The bars of lists that travel, on local folders: `python -m benchmarks.own.follow [--quick]`."""

import argparse
import datetime
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from imeiset import Delta, EquipmentStatus, ImeiSet, Register, Store
from imeiset.trust import Follower, delta, edition, keys, publish
from imeiset.trust.places import Place

from .. import corpus
from .__main__ import Bar, show
from .measure import fresh, list_of, memory

ADDED, REMOVED = 90_000, 10_000
MEBI = 1 << 20


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def make(directory: Path, n: int) -> None:
    """A store of a list of n, published, and a day of changes for it."""
    listed = list_of("reference", n)
    register = Register()
    register.add("stolen", ImeiSet.from_keys(listed), status=EquipmentStatus.BLACKLISTED)
    Store.create(directory / "store", register).close()
    keys.new(directory / "keys", threshold=1, number=1)
    publish(directory / "store", directory / "place", keys=directory / "keys")
    added = np.unique(corpus.queries(listed, ADDED + ADDED // 50, 0.0))[:ADDED]
    removed = np.sort(np.random.default_rng(3).choice(listed, REMOVED, replace=False))
    np.savez(directory / "day.npz", added=added, removed=removed)


def follow(directory: Path) -> dict[str, float]:
    """From nothing, in a process of its own: seconds beyond a copy of the base, bytes beside mapped files."""
    base = next((directory / "place" / "targets").glob("*base-*"))
    copy = _seconds(lambda: (directory / "copy").write_bytes(base.read_bytes()))
    follower = Follower(directory / "place", directory / "there", root=directory / "keys" / "root.json")
    before, seen, done = memory("RssAnon"), [0], threading.Event()

    def look() -> None:  # the peak that the system keeps has mapped files in it
        while not done.wait(0.002):
            seen.append(memory("RssAnon"))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        seconds = _seconds(follower.step)
    finally:
        done.set()
        looking.join()
    return {"seconds": seconds - copy, "memory": max(max(seen) - before, 0)}


def a_day(directory: Path) -> float:
    """The seconds of publishing a day of changes."""
    day = np.load(directory / "day.npz")
    with Store.open(directory / "store") as store:
        store.apply(
            Delta("stolen", add=day["added"], remove=day["removed"], reason="theft", date="2024-02-29")
        )
    return _seconds(lambda: publish(directory / "store", directory / "place", keys=directory / "keys"))


def counted(step: Callable[[], Any]) -> tuple[int, int]:
    """How many files a step asks a place for, and how many bytes it gets."""
    asked, original = [0, 0], Place.pieces

    def pieces(self: Place, *arguments: Any) -> Iterator[bytes]:
        asked[0] += 1
        for piece in original(self, *arguments):
            asked[1] += len(piece)
            yield piece

    with mock.patch.object(Place, "pieces", pieces):
        step()
    return asked[0], asked[1]


def applied(directory: Path, digests: bool) -> tuple[float, float]:
    """The seconds of the delta on a copy of the store, durable; and of a refresh of a reader after it."""
    place = directory / "place" / "targets"
    changes = delta.read(next(place.glob("*delta-*")))
    lists = delta.lists_after(Register.open(next(place.glob("*base-*"))).lists, changes)
    said = edition.Edition.of(lists, 2, datetime.datetime.now(datetime.UTC))
    copy = directory / f"applied-{digests}"
    register = Register.open(next(place.glob("*base-*")))
    with Store._create_followed(copy, register, feed="cloud", number=1) as store:
        reader = Store.open(copy)

        def expect(given: Any) -> None:
            said.expect_lists(edition.published(given, "cloud"), "here", digests=digests)

        seconds = _seconds(lambda: store._follow(changes, feed="cloud", number=2, after=1, expect=expect))
        return seconds, _seconds(reader.refresh)


def bars(directory: Path, n: int) -> Iterator[Bar]:
    """All of them, for a list of n."""
    fresh(make, directory, n)
    seen = fresh(follow, directory)
    yield Bar("follow from nothing, beyond the transfer", "s", 6, 3, seen["seconds"], "digests included")
    yield Bar("its memory beside the mapping", "MiB", 100, 50, seen["memory"] / MEBI)
    yield Bar("publish a day", "s", 8, 4, fresh(a_day, directory), "beside the upload")
    for digests, bar in ((False, 0.5), (True, 4.0)):
        seconds, refresh = fresh(applied, directory, digests)
        what = "with" if digests else "without"
        note = f"of which a reader's refresh {refresh * 1e3:.0f} ms"
        yield Bar(f"apply a day {what} digests, readers on it", "s", bar, bar / 2, seconds + refresh, note)
    follower = Follower(directory / "place", directory / "there", root=directory / "keys" / "root.json")
    requests, nbytes = counted(follower.step)
    note = f"{requests} files; {ADDED:,} added, {REMOVED:,} removed"
    yield Bar("a day for a subscriber, metadata included", "kB", 450, 400, nbytes / 1000, note)
    requests, nbytes = counted(follower.step)
    yield Bar("a poll with nothing new", "requests", 2, 2, requests)
    yield Bar("its bytes", "kB", 1, 1, nbytes / 1000)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own.follow", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a million IMEIs instead of 100")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imeiset-bench-", dir=Path.cwd()) as folder:
        os.environ.setdefault("IMEISET_BENCH_CACHE", folder)
        rows = [*bars(Path(folder), 10**6 if options.quick else 10**8)]
    show(rows, options.json)


if __name__ == "__main__":
    main()
