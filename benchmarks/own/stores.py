"""The bars of a store that changes: `python -m benchmarks.own.stores [--json FILE]`."""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from imeiset import EquipmentStatus, Register, Store
from imeiset.store import journal
from imeiset.store.directory import journal_path
from imeiset.store.payload import Change, Payload, packed

from .__main__ import Bar, show
from .measure import median

HOURS, CHANGES = 24 * 365, 15_000_000
BLACK = EquipmentStatus.BLACKLISTED
FIRST = 49015420323751


def a_year(start: journal.Position) -> Iterator[tuple[int, bytes]]:
    """The hourly changes of a year, one of which is about the phone that is asked about."""
    rng, none = np.random.default_rng(14), np.empty(0, np.uint64)
    for hour in range(HOURS):
        keys = np.unique(rng.integers(0, 10**14, CHANGES // HOURS, np.uint64))
        if hour == HOURS // 2:
            keys = np.unique(np.append(keys, np.uint64(FIRST)))
        about = {"list": "stolen", "rule": "exact", "add": len(keys), "remove": 0, "by": "op-a"}
        about |= {"reason": "theft", "date": "2024-02-29"}
        held = np.zeros(len(keys), bool), np.zeros(0, bool)
        change = Change(about, (keys,), (none,), held)
        yield start.time + hour, packed(Payload((change,), "op-a", hour + 1))


def history(directory: Path) -> Iterator[Bar]:
    """One phone in a year of changes. The journal is made at once: nobody serves from it."""
    register = Register()
    register.add("stolen", [1], status=BLACK)
    with Store.create(directory, register) as store:
        path = journal_path(directory, 1)
        with journal.Journal(path) as made:
            start = made.start
        journal.create_of(path, 1, start, a_year(start))
        found = list(store.history(FIRST))
        if len(found) != 1:
            raise AssertionError(f"expected one event, got {len(found)}")
        seconds = median(lambda: list(store.history(FIRST)))
        note = f"{path.stat().st_size / 1e6:.0f} MB in {HOURS:,} changes"
        yield Bar("history of one IMEI over 15M changes", "s", 1, 0.5, seconds, note)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own.stores", description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imeiset-bench-") as folder:
        rows = [*history(Path(folder) / "history")]
    show(rows, options.json)


if __name__ == "__main__":
    main()
