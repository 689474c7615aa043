"""The bars of the integrations: each library's own way beside imeiset's, in one process, in turns."""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imeiset import ImeiSet, screen

from .. import corpus
from .__main__ import Bar, show
from .measure import fresh, memory

ROUNDS = 3
LISTED = 10**7


def turns(calls: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """Median seconds of each call. They take turns, the first of which is not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    answers = set()
    for _ in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            answers.add(int(call()))
            times[name].append(time.perf_counter() - start)
    assert len(answers) == 1, answers  # all count the same hits
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def data(rows: int) -> tuple[Any, Any, ImeiSet]:
    """Texts of the list and of the queries, half of them hits, as Arrow columns, and the set."""
    keys = corpus.reference(LISTED)
    queries = corpus.queries(keys, rows)
    return column(corpus.texts(keys)), column(corpus.texts(queries)), ImeiSet.from_keys(keys)


def column(texts: Any) -> Any:
    """An Arrow column of the rows of an S array, all full."""
    import pyarrow as pa

    offsets = np.arange(len(texts) + 1, dtype=np.int32) * texts.itemsize
    return pa.Array.from_buffers(pa.string(), len(texts), [None, pa.py_buffer(offsets), pa.py_buffer(texts)])


def arrow(rows: int) -> dict[str, float]:
    """`contains` of an Arrow column and of an S15 array, on one thread."""
    _, calls, blocked = data(rows)
    fixed = np.frombuffer(calls.buffers()[2], "S15")
    return turns(
        {"S15": lambda: blocked.contains(fixed).sum(), "Arrow": lambda: blocked.contains(calls).sum()}, 7
    )


def polars(rows: int) -> dict[str, float]:
    """`isin`, `is_in` and a semi-join."""
    import polars as pl

    import imeiset.integrations.polars  # noqa: F401

    texts, calls, blocked = data(rows)
    listed, frame = pl.Series("imei", texts), pl.DataFrame({"imei": pl.Series(calls)})
    members = listed.to_frame()
    return turns(
        {
            "imeiset": lambda: frame.select(pl.col("imei").imei.is_in(blocked).sum()).item(),
            "is_in": lambda: frame.select(pl.col("imei").is_in(listed.implode()).sum()).item(),
            "semi-join": lambda: frame.join(members, on="imei", how="semi").height,
        }
    )


def pandas(rows: int) -> dict[str, float]:
    """The accessor and `Series.isin`, of the default string dtype."""
    import pandas as pd

    import imeiset.integrations.pandas  # noqa: F401

    texts, calls, blocked = data(rows)
    dtype = "str" if pd.__version__ >= "3" else "string[pyarrow]"
    series, members = pd.Series(calls, dtype=dtype), pd.Series(texts, dtype=dtype)
    return turns(
        {"imeiset": lambda: series.imei.isin(blocked).sum(), "isin": lambda: series.isin(members).sum()}, 1
    )


def duckdb(rows: int) -> dict[str, float]:
    """The screened reader, the SQL function and a semi-join, over a table in memory."""
    import duckdb as db
    import pyarrow as pa

    from imeiset.integrations.duckdb import register
    from imeiset.integrations.duckdb import screen as screen_relation

    texts, calls, blocked = data(rows)
    con = db.connect()
    for name, given in (("calls", calls), ("members", texts)):
        con.register("given", pa.table({"imei": given}))
        con.sql(f"CREATE TABLE {name} AS FROM given")
        con.unregister("given")
    register(con, "blocked", blocked)

    def one(query: str) -> Any:
        return con.sql(query).fetchall()[0][0]

    def reader() -> int:
        hits = screen_relation(con.sql("FROM calls"), "imei", blocked, only_hits=True)
        return sum(batch.num_rows for batch in hits)

    return turns(
        {
            "reader": reader,
            "function": lambda: one("SELECT count(*) FROM calls WHERE blocked(imei)"),
            "semi-join": lambda: one("SELECT count(*) FROM calls SEMI JOIN members USING (imei)"),
        }
    )


def records(directory: Path, rows: int) -> None:
    """A CSV file of call records, 5% of them hits, and the list as a snapshot and as CSV."""
    keys = corpus.reference(LISTED)
    ImeiSet.from_keys(keys).save(directory / "list.imei")
    (directory / "list.csv").write_bytes(b"imei\n" + b"\n".join(corpus.texts(keys).tolist()) + b"\n")
    calls = corpus.texts(corpus.queries(keys, rows, 0.05))
    with (directory / "calls.csv").open("wb") as file:
        file.write(b"date,imei,imsi\n")
        for start in range(0, rows, 10**6):
            file.writelines(
                b"20240101,%s,234150123456789\n" % imei for imei in calls[start : start + 10**6].tolist()
            )


def screen_records(directory: Path) -> dict[str, float]:
    """Seconds and peak bytes of `screen`, hits written."""
    start = time.perf_counter()
    screen(directory / "calls.csv", directory / "list.imei", output=directory / "hits.csv", only_hits=True)
    return {"seconds": time.perf_counter() - start, "peak": memory("VmHWM")}


def join_records(directory: Path) -> dict[str, float]:
    """The same of polars, streaming, with a semi-join."""
    import polars as pl

    start = time.perf_counter()
    calls = pl.scan_csv(directory / "calls.csv", infer_schema=False)
    listed = pl.scan_csv(directory / "list.csv", infer_schema=False)
    calls.join(listed, on="imei", how="semi").sink_csv(directory / "theirs.csv")
    return {"seconds": time.perf_counter() - start, "peak": memory("VmHWM")}


def against_polars(directory: Path, rows: int) -> dict[str, float]:
    """Medians of processes that take turns."""
    fresh(records, directory, rows)
    seen: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, one in (("imeiset", screen_records), ("polars", join_records)):
            for what, value in fresh(one, directory).items():
                seen.setdefault(f"{name} {what}", []).append(value)
    assert (directory / "hits.csv").read_bytes().count(b"\n") == (
        directory / "theirs.csv"
    ).read_bytes().count(b"\n")
    return {what: statistics.median(values) for what, values in seen.items()}


def tables(directory: Path, rows: int) -> None:
    """Call records and the list in Parquet, and the list as a snapshot."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts, calls, blocked = data(rows)
    blocked.save(directory / "list.imei")
    pq.write_table(
        pa.table({"imei": texts}), directory / "list.parquet", compression="none", use_dictionary=False
    )
    for part in range(8):
        piece = pa.table({"imei": calls[part * rows // 8 : (part + 1) * rows // 8]})
        (directory / "calls").mkdir(exist_ok=True)
        pq.write_table(
            piece, directory / "calls" / f"{part}.parquet", compression="none", use_dictionary=False
        )


def spark(directory: Path) -> dict[str, float]:
    """Seconds of `screen` and of a broadcast semi-join on a local cluster of two workers."""
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as f

    from imeiset.integrations.spark import screen as screen_frame

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = (
        SparkSession.builder.master("local-cluster[2,1,5120]")
        .config("spark.driver.memory", "5g")
        .config("spark.executor.memory", "5g")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.adaptive.enabled", "false")
        .getOrCreate()
    )
    calls = session.read.parquet(str(directory / "calls"))
    listed = session.read.parquet(str(directory / "list.parquet"))
    calls.count()  # starts the workers

    def ours() -> int:
        found = screen_frame(calls, "imei", directory / "list.imei").where("status = 'listed'")
        return int(found.count())

    def theirs() -> int:
        return int(calls.join(f.broadcast(listed), "imei", "left_semi").count())

    try:
        return turns({"imeiset": ours, "join": theirs}, 2)
    finally:
        session.stop()


def spark_bar(rows: int, directory: Path) -> list[Bar]:
    """The bar of Spark, whose cluster takes its time."""
    fresh(tables, directory, rows)
    seen = fresh(spark, directory)
    note = f"{seen['imeiset']:.1f} against {seen['join']:.1f} s"
    return [
        Bar(
            "Spark: screen against a broadcast semi-join", "times", 1, 1, seen["join"] / seen["imeiset"], note
        )
    ]


def screen_bars(rows: int, directory: Path) -> list[Bar]:
    """The bars of `screen`: twice as many rows, in a file."""
    seen = against_polars(directory, 2 * rows)
    ratio = seen["polars seconds"] / seen["imeiset seconds"]
    note = f"{seen['imeiset seconds']:.2f} against {seen['polars seconds']:.2f} s"
    peak = f"polars: {seen['polars peak'] / 1e6:.0f} MB"
    return [
        Bar("screen CSV against polars streaming", "times", 1.5, 1.5, ratio, note),
        Bar("its peak memory", "MB", 1000, 1000, seen["imeiset peak"] / 1e6, peak),
    ]


def column_bars(name: str, rows: int) -> list[Bar]:
    """The bars of one library, for columns in memory."""
    measure, wanted = COLUMNS[name]
    seen = fresh(measure, rows)
    found = []
    for what, bar, unit, ours, theirs in wanted:
        ratio = seen[theirs] / seen[ours] if unit == "times" else seen[ours] / seen[theirs]
        note = f"{seen[ours] / rows * 1e9:.1f} against {seen[theirs] / rows * 1e9:.1f} ns/row"
        found.append(Bar(what, unit, bar, bar, ratio, note))
    return found


# Each with what it is against: what, the bar, its unit, ours and theirs.
COLUMNS: dict[str, tuple[Callable[[int], dict[str, float]], list[tuple[str, float, str, str, str]]]] = {
    "arrow": (arrow, [("contains of an Arrow column against S15", 1.1, "of it", "Arrow", "S15")]),
    "polars": (
        polars,
        [
            ("polars: isin against is_in", 5, "times", "imeiset", "is_in"),
            ("polars: isin against a semi-join", 5, "times", "imeiset", "semi-join"),
        ],
    ),
    "pandas": (pandas, [("pandas: accessor against isin", 5, "times", "imeiset", "isin")]),
    "duckdb": (
        duckdb,
        [
            ("DuckDB: reader against a semi-join", 2, "times", "reader", "semi-join"),
            ("DuckDB: function against a semi-join", 1, "times", "function", "semi-join"),
        ],
    ),
}


def bars(name: str, rows: int, directory: Path) -> list[Bar]:
    """Measure one of `screen`, `spark` and the libraries."""
    if name in COLUMNS:
        return column_bars(name, rows // 10 if name == "pandas" else rows)  # isin would take minutes
    return screen_bars(rows, directory) if name == "screen" else spark_bar(2 * rows, directory)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own.integrations", description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=10**7, help="rows to screen, against a list of 10 million"
    )
    names = ["screen", *COLUMNS, "spark"]
    parser.add_argument(
        "what", nargs="*", metavar="WHAT", default=names[:-1],
        help=f"of {', '.join(names)}; all but Spark, which needs Java 17 and 12 GB",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    if unknown := set(options.what) - set(names):
        parser.error(f"expected some of {', '.join(names)}, got {', '.join(unknown)}")
    with tempfile.TemporaryDirectory(prefix="imeiset-bench-") as directory:
        os.environ.setdefault("IMEISET_BENCH_CACHE", directory)
        found = [bar for name in options.what for bar in bars(name, options.rows, Path(directory))]
        show(found, options.json)


if __name__ == "__main__":
    main()
