"""What it takes to give a list back, beside pyarrow writing the same columns:
`python -m benchmarks.own.export [ROWS]`."""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from imeiset import ImeiSet, Register, export
from imeiset._native.parse import rows_of
from imeiset.register.details import Column
from imeiset.register.layered import LayeredSet
from imeiset.register.lists import List
from imeiset.register.policy import EquipmentStatus

from .__main__ import Bar, show
from .measure import fresh, memory

ROUNDS = 3
REASONS = ("fraud", "lost", "lost|stolen", "stolen")
FIRST = np.datetime64("2015-01-01")
BARS = {"csv": 3.0, "parquet": 2.0}
MOST = 500, 200  # MB of a process, at any size


def register(rows: int) -> Register:
    """A list of so many IMEIs with reasons and dates."""
    rng = np.random.default_rng(14)
    members = ImeiSet.from_keys(rng.integers(0, 10**14, rows, np.uint64))
    dates = tuple(map(str, FIRST + np.arange(4000)))
    details = (
        Column(REASONS, rng.integers(0, 5, len(members)).astype("u1")),
        Column(dates, rng.integers(1, 4001, len(members)).astype("<u2")),
        None,
    )
    made = Register()
    made.add_list(List("stolen", EquipmentStatus.BLACKLISTED, exact=LayeredSet(members, details)))
    return made


def table(made: Register) -> Any:
    """The same columns, as pyarrow has them."""
    exact = made.lists[0].exact
    assert exact is not None
    keys, (reasons, dates, _) = exact.base.to_numpy(), exact.columns
    assert reasons is not None
    assert dates is not None
    ends = np.arange(len(keys) + 1, dtype=np.int32) * np.int32(15)
    imeis = pa.Array.from_buffers(
        pa.string(), len(keys), [None, pa.py_buffer(ends), pa.py_buffer(rows_of(keys))]
    )
    codes = pa.array(reasons.codes.astype(np.int32) - 1, mask=reasons.codes == 0)
    said = pa.DictionaryArray.from_arrays(codes, pa.array(REASONS))
    days = (FIRST.astype(int) + dates.codes.astype(np.int32) - 1).astype(np.int32)
    return pa.table({"imei": imeis, "reasons": said, "date": pa.array(days).view(pa.date32())})


def seconds(call: Callable[[], object]) -> float:
    """Of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def most(path: Path, form: str) -> float:
    """How many MB a process takes that opens a register and exports it, everything counted."""
    with Path("/dev/null").open("wb") as file:
        export(Register.open(path), file, form=form)
    return memory("VmHWM") / 1e6


def main() -> None:
    """Measure, and print the table."""
    rows = int(float(sys.argv[1])) if len(sys.argv) > 1 else 10_000_000
    made = register(rows)
    columns = table(made)
    with tempfile.TemporaryDirectory(prefix="imeiset-bench-") as folder:
        path, other = Path(folder, "ours"), Path(folder, "theirs")
        writers: dict[str, Callable[[], object]] = {
            "csv": lambda: csv.write_csv(columns, other),
            "parquet": lambda: pq.write_table(columns, other, use_dictionary=["reasons", "date"]),
        }
        made.save(saved := Path(folder, "register.imei"))
        bars = []
        for form, theirs in writers.items():
            ours = partial(export, made, path, form=form)
            times = np.array([(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)])
            ratio, best = float(np.median(times[:, 0] / times[:, 1])), times.min(axis=0)
            note = f"{rows:,} IMEIs: {best[0]:.2f} s, pyarrow {best[1]:.2f} s"
            what = f"export with reasons and dates, {form}"
            bars.append(Bar(what, "of pyarrow's time", BARS[form], 1, ratio, note))
            size = f"a file of {saved.stat().st_size / 1e6:.0f} MB"
            bars.append(
                Bar(f"a process that does only that, {form}", "MB", *MOST, fresh(most, saved, form), size)
            )
    show(bars, None)


if __name__ == "__main__":
    main()
