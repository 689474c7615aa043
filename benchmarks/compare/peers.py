"""The peers, each used as its own documentation recommends. A peer runs in a process of its own.

A peer that keeps a table between calls keeps it. Questions are handed over in the form a peer takes
(Python integers, an Arrow array, ...), which is made before the clock starts.
"""

import array
import ctypes
import json
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyroaring

import imeiset

from .. import corpus
from .job import Job, library

Bools = npt.NDArray[np.bool_]
NO_ANSWER = b""


class Peer:
    """One way to keep a list and answer whether numbers are in it."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()  # modules of the bench extra
    keeps_table: ClassVar[bool] = True  # False: builds one on every call
    in_memory: ClassVar[bool] = True  # its table is exact and lives in this process
    largest: ClassVar[int] = 100_000_000  # beyond this, a run would take many minutes
    loads_as: ClassVar[str] = ""  # its name where lines are loaded and saved
    peak: ClassVar[int] = 30  # about how many bytes a key takes while building or answering

    def __init__(self, job: Job) -> None:
        self.job = job
        self.table: Any = None

    @classmethod
    def absent(cls) -> str | None:
        """Why this peer cannot run on this machine, if it cannot."""
        return None

    def build(self, keys: corpus.Keys) -> None:
        """Make the table, in place of any made before."""

    def settle(self) -> None:
        """Bring all of the table into memory, if it is not yet there."""

    def prepare(self, queries: corpus.Keys) -> Any:
        """The questions in the form this peer takes."""
        return queries

    def contains(self, queries: Any) -> Any:
        """Answer them: what is timed."""
        raise NotImplementedError

    def answers(self, seen: Any, n: int) -> Bools | None:
        """The result of `contains` as bool[n]; None if there is none."""
        return np.asarray(seen, bool)

    def other_process(self) -> int | None:
        """The id of a server that holds the table."""
        return None

    def close(self) -> None:
        """Leave nothing behind."""


class Imeiset(Peer):
    """The snapshot file, mapped."""

    name = loads_as = "imeiset"

    def build(self, keys: corpus.Keys) -> None:
        path = self.job.path(f"built-{len(keys)}.imei")
        imeiset.ImeiSet.from_keys(keys).save(path)
        self.table = imeiset.ImeiSet.open(path)

    def settle(self) -> None:
        self.table.contains(self.job.keys())

    def contains(self, queries: corpus.Keys) -> Any:
        return self.table.contains(queries)

    def one_by_one(self, texts: list[str]) -> None:
        """Texts of 15 digits."""
        table = self.table
        for text in texts:
            text in table  # noqa: B015

    def many(self, threads: int) -> Callable[[], Any]:
        """A large batch of keys."""
        queries = np.load(self.job.path("many.npy"))
        return lambda: self.table.contains(queries, threads=threads)

    def parse(self) -> Callable[[], Any]:
        """Lines to keys, with the check digit compared."""
        text = self.job.path("lines.txt").read_bytes()
        return lambda: imeiset.parse(text, check_digit="require")[1] == 0

    def open_once(self) -> Callable[[], Any]:
        """Open the snapshot and answer for one key."""
        path, key = self.job.path("list.imei"), int(self.job.queries("half hits", 0, 1)[0])
        return lambda: [key in imeiset.ImeiSet.open(path)]

    def validate(self, texts: list[str]) -> list[bool]:
        return [imeiset.is_valid(text) for text in texts]

    def load(self, source: Path, target: Path) -> None:
        imeiset.load(source).set.save(target)

    def read_back(self, target: Path) -> corpus.Keys:
        return imeiset.ImeiSet.open(target).to_numpy()


class Limit(Peer):
    """No table: touches one random line of an array as large as the snapshot for each key."""

    name = "limit: one line"

    def build(self, keys: corpus.Keys) -> None:
        lines = self.job.path("list.imei").stat().st_size // 64
        self.table = np.ones(lines * 64, np.uint8)
        self.touch = ctypes.CDLL(str(library(self.job.directory))).touch
        self.touch.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t]

    def contains(self, queries: corpus.Keys) -> Any:
        return self.touch(self.table.ctypes.data, len(self.table) // 64, queries.ctypes.data, len(queries))

    def answers(self, seen: Any, n: int) -> Bools | None:
        return None

    def parse(self) -> Callable[[], Any]:
        """Copy the text."""
        text = np.fromfile(self.job.path("lines.txt"), np.uint8)
        copy = np.ones_like(text)
        return lambda: ctypes.memmove(copy.ctypes.data, text.ctypes.data, len(text)) and None


class ImeisetInMemory(Imeiset):
    """The snapshot copied into memory of the process, which the system backs with huge pages."""

    name = "imeiset in memory"

    def build(self, keys: corpus.Keys) -> None:
        super().build(keys)
        self.table = imeiset.ImeiSet.open(self.job.path(f"built-{len(keys)}.imei"), mode="memory")


class PythonSet(Peer):
    """`key in set`."""

    name = "set"
    peak = 110

    def build(self, keys: corpus.Keys) -> None:
        self.table = set(keys.tolist())

    def prepare(self, queries: corpus.Keys) -> Any:
        return queries.tolist()

    def contains(self, queries: list[int]) -> Any:
        return list(map(self.table.__contains__, queries))

    def one_by_one(self, texts: list[str]) -> None:
        """Texts of 14 digits: the check digit is cut off for this peer."""
        table = self.table
        for text in texts:
            int(text) in table  # noqa: B015


class Roaring(PythonSet):
    """`key in BitMap64`; there is no batch lookup."""

    name = "pyroaring BitMap64"
    peak = 30

    def build(self, keys: corpus.Keys) -> None:
        self.table = pyroaring.BitMap64(array.array("Q", keys.tobytes()))
        self.table.run_optimize()
        self.table.shrink_to_fit()

    def open_once(self) -> Callable[[], Any]:
        """Deserialize, from bytes that are in memory already, and answer for one key."""
        stored = self.job.path("list.roaring").read_bytes()
        key = int(self.job.queries("half hits", 0, 1)[0])
        return lambda: [key in pyroaring.BitMap64.deserialize(stored)]


class Searchsorted(Peer):
    """`np.searchsorted` in the sorted array."""

    name = "np.searchsorted"
    peak = 16

    def build(self, keys: corpus.Keys) -> None:
        self.table = keys

    def contains(self, queries: corpus.Keys) -> Any:
        at = np.searchsorted(self.table, queries)
        return self.table[np.minimum(at, len(self.table) - 1)] == queries


class SearchsortedSorting(Searchsorted):
    """The same with the questions sorted first, which keeps the search in cache; sorting is timed."""

    name = "np.searchsorted, sorting"

    def contains(self, queries: corpus.Keys) -> Any:
        order = np.argsort(queries)
        out = np.empty(len(queries), bool)
        out[order] = super().contains(queries[order])
        return out


class Isin(Searchsorted):
    """`np.isin`, which sorts both on every call."""

    name = "np.isin"
    keeps_table = False
    largest = 10_000_000
    peak = 60

    def contains(self, queries: corpus.Keys) -> Any:
        return np.isin(queries, self.table)


class Pandas(Peer):
    """`Index.get_indexer`; the index keeps its hash table.

    It makes one when it is first asked about many keys, and searches its sorted array until then.
    """

    name = "pandas get_indexer"
    needs = ("pandas",)
    peak = 70

    def build(self, keys: corpus.Keys) -> None:
        import pandas

        self.table = pandas.Index(keys)
        self.table.get_indexer(keys[::-1])  # of ascending ones it would merge

    def contains(self, queries: corpus.Keys) -> Any:
        return self.table.get_indexer(queries) >= 0


class Cykhash(Peer):
    """`isin_int64` with an `Int64Set`."""

    name = "cykhash"
    needs = ("cykhash",)
    peak = 45

    def build(self, keys: corpus.Keys) -> None:
        import cykhash

        self.isin = cykhash.isin_int64
        self.table = cykhash.Int64Set_from_buffer(keys.view(np.int64))

    def prepare(self, queries: corpus.Keys) -> Any:
        return queries.view(np.int64)

    def contains(self, queries: Any) -> Any:
        out = np.empty(len(queries), np.uint8)
        self.isin(queries, self.table, out)
        return out


class Polars(Peer):
    """`Series.is_in`; builds its hash table on every call."""

    name = "polars is_in"
    loads_as = "polars"
    needs = ("polars",)
    keeps_table = False
    largest = 10_000_000
    peak = 80

    def build(self, keys: corpus.Keys) -> None:
        import polars

        self.series = polars.Series
        self.table = polars.Series(keys).implode()

    def prepare(self, queries: corpus.Keys) -> Any:
        return self.series(queries)

    def contains(self, queries: Any) -> Any:
        return queries.is_in(self.table)

    def load(self, source: Path, target: Path) -> None:
        import polars

        lines = polars.scan_csv(source, has_header=False, schema={"imei": polars.Int64})
        lines.unique().sort("imei").collect(engine="streaming").write_parquet(target)

    def read_back(self, target: Path) -> corpus.Keys:
        return _read_parquet(target)


class PyArrow(Peer):
    """`pyarrow.compute.is_in`; builds its hash table on every call."""

    name = "pyarrow is_in"
    loads_as = "pyarrow + NumPy"
    needs = ("pyarrow",)
    keeps_table = False
    largest = 10_000_000
    peak = 80

    def build(self, keys: corpus.Keys) -> None:
        import pyarrow
        import pyarrow.compute

        self.array, self.is_in = pyarrow.array, pyarrow.compute.is_in
        self.table = pyarrow.array(keys)

    def prepare(self, queries: corpus.Keys) -> Any:
        return self.array(queries)

    def contains(self, queries: Any) -> Any:
        return self.is_in(queries, value_set=self.table)

    def load(self, source: Path, target: Path) -> None:
        """pyarrow reads and writes; NumPy sorts, and drops what repeats."""
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet

        table = pyarrow.csv.read_csv(
            source,
            read_options=pyarrow.csv.ReadOptions(column_names=["imei"]),
            convert_options=pyarrow.csv.ConvertOptions(column_types={"imei": pyarrow.int64()}),
        )
        numbers = table["imei"].to_numpy()
        numbers.sort() if numbers.flags.writeable else (numbers := np.sort(numbers))
        first = np.ones(len(numbers), bool)
        np.not_equal(numbers[1:], numbers[:-1], out=first[1:])
        pyarrow.parquet.write_table(pyarrow.table({"imei": numbers[first]}), target)

    def read_back(self, target: Path) -> corpus.Keys:
        return _read_parquet(target)


class DuckDB(Peer):
    """A semi-join with a table in the database's memory; the join is made anew for every query."""

    name = "DuckDB semi-join"
    loads_as = "DuckDB"
    needs = ("duckdb", "pyarrow")
    keeps_table = False
    peak = 40

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        import duckdb

        self.connection = duckdb.connect()
        self.connection.execute("SET enable_progress_bar = false")

    def build(self, keys: corpus.Keys) -> None:
        import pyarrow

        self.connection.register("given", pyarrow.table({"key": keys}))
        self.connection.execute("CREATE OR REPLACE TABLE blocked AS SELECT key FROM given")
        self.connection.unregister("given")

    def prepare(self, queries: corpus.Keys) -> Any:
        import pyarrow

        self.connection.register("queries", pyarrow.table({"row": np.arange(len(queries)), "key": queries}))
        return None

    def contains(self, queries: Any) -> Any:
        return self.connection.sql("SELECT row FROM queries SEMI JOIN blocked USING (key)").fetchnumpy()[
            "row"
        ]

    def answers(self, seen: Any, n: int) -> Bools | None:
        out = np.zeros(n, bool)
        out[seen] = True
        return out

    def load(self, source: Path, target: Path) -> None:
        lines = f"read_csv('{source}', header = false, columns = {{'imei': 'BIGINT'}})"
        self.connection.execute(
            f"COPY (SELECT DISTINCT imei FROM {lines} ORDER BY imei) TO '{target}' (FORMAT parquet)"
        )

    def read_back(self, target: Path) -> corpus.Keys:
        return _read_parquet(target)


class LMDB(Peer):
    """A memory-mapped B+ tree with integer keys: one read transaction, one cursor."""

    name = "LMDB"
    needs = ("lmdb",)
    in_memory = False
    largest = 10_000_000

    def build(self, keys: corpus.Keys) -> None:
        import lmdb

        path = tempfile.mkdtemp(dir=self.job.directory)
        size = max(64 << 20, 64 * len(keys))
        environment = lmdb.open(path, map_size=size, max_dbs=1, lock=False, sync=False, readahead=False)
        database = environment.open_db(b"blocked", integerkey=True)
        with environment.begin(write=True) as transaction:
            pairs = ((key, b"") for key in self.prepare(keys))
            transaction.cursor(database).putmulti(pairs, append=True)
        self.cursor = environment.begin(buffers=True).cursor(database)

    def settle(self) -> None:
        for _ in self.cursor.iternext(keys=True, values=False):
            pass

    def prepare(self, queries: corpus.Keys) -> Any:
        return queries.view("V8").tolist()

    def contains(self, queries: Any) -> Any:
        return list(map(self.cursor.set_key, queries))


class SQLite(Peer):
    """A table whose rowid is the key, mapped; questions are bound 1,000 at a time, as JSON."""

    name = "SQLite"
    in_memory = False
    largest = 10_000_000
    BATCH = 1_000

    def build(self, keys: corpus.Keys) -> None:
        path = Path(tempfile.mkdtemp(dir=self.job.directory)) / "list.db"
        self.connection = sqlite3.connect(path)
        self.connection.execute("CREATE TABLE blocked (key INTEGER PRIMARY KEY)")
        self.connection.executemany("INSERT INTO blocked VALUES (?)", ((key,) for key in keys.tolist()))
        self.connection.commit()
        self.connection.execute(f"PRAGMA mmap_size = {path.stat().st_size}")

    def settle(self) -> None:
        self.connection.execute("SELECT max(key + 0) FROM blocked").fetchone()

    def prepare(self, queries: corpus.Keys) -> Any:
        return queries.tolist()

    def contains(self, queries: list[int]) -> Any:
        ask = "SELECT EXISTS (SELECT 1 FROM blocked WHERE key = value) FROM json_each(?)"
        return [
            row[0]
            for start in range(0, len(queries), self.BATCH)
            for row in self.connection.execute(ask, (json.dumps(queries[start : start + self.BATCH]),))
        ]


class Redis(Peer):
    """SISMEMBER in pipelines, to a server on loopback."""

    name = "Redis SISMEMBER"
    needs = ("redis", "hiredis")
    in_memory = False
    largest = 10_000_000
    peak = 120
    BATCH = 10_000

    @classmethod
    def absent(cls) -> str | None:
        return None if shutil.which("redis-server") else "redis-server is not installed"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        import redis

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = f"--port {port} --bind 127.0.0.1 --save --appendonly no --dir {job.directory}".split()
        options.insert(options.index("--save") + 1, "")
        self.server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        self.client = redis.Redis(port=port)
        for _ in range(100):
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                time.sleep(0.05)
        self.close()
        raise RuntimeError("redis-server did not answer within 5 seconds")

    def build(self, keys: corpus.Keys) -> None:
        self.client.flushall()
        for start in range(0, len(keys), self.BATCH):
            self.client.sadd("blocked", *keys[start : start + self.BATCH].tolist())

    def prepare(self, queries: corpus.Keys) -> Any:
        return queries.tolist()

    def contains(self, queries: list[int]) -> Any:
        out: list[int] = []
        for start in range(0, len(queries), self.BATCH):
            with self.client.pipeline(transaction=False) as pipeline:
                for key in queries[start : start + self.BATCH]:
                    pipeline.sismember("blocked", key)
                out += pipeline.execute()
        return out

    def other_process(self) -> int | None:
        return self.server.pid

    def close(self) -> None:
        self.server.terminate()
        self.server.wait()


class RedisMany(Redis):
    """SMISMEMBER, which asks for many members in one command."""

    name = "Redis SMISMEMBER"

    def contains(self, queries: list[int]) -> Any:
        out: list[int] = []
        for start in range(0, len(queries), self.BATCH):
            out += self.client.smismember("blocked", queries[start : start + self.BATCH])
        return out


class Stdnum(Peer):
    """python-stdnum validates; it keeps no lists."""

    name = "python-stdnum"
    needs = ("stdnum",)

    def validate(self, texts: list[str]) -> list[bool]:
        from stdnum import imei

        return [imei.is_valid(text) for text in texts]


def _read_parquet(path: Path) -> corpus.Keys:
    """The keys of 15-digit numbers in a Parquet file."""
    import pyarrow.parquet

    numbers = pyarrow.parquet.read_table(path)["imei"].to_numpy()
    keys: corpus.Keys = numbers.astype(np.uint64) // np.uint64(10)
    return keys


TABLES: tuple[type[Peer], ...] = (
    Imeiset,
    ImeisetInMemory,
    Limit,
    Cykhash,
    Pandas,
    SearchsortedSorting,
    Searchsorted,
    Roaring,
    PythonSet,
    LMDB,
    SQLite,
    RedisMany,
    Redis,
    DuckDB,
    Polars,
    PyArrow,
    Isin,
)
LOADERS: tuple[type[Peer], ...] = (Imeiset, Polars, PyArrow, DuckDB)
VALIDATORS: tuple[type[Peer], ...] = (Imeiset, Stdnum)
