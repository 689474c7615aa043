"""Spark: screening on every executor, and national lists built in parts.

Examples
--------
>>> from imeiset.integrations.spark import build, screen
>>> screen(calls, "imei", "blocked.imei").groupBy("status").count().show()  # doctest: +SKIP

A snapshot travels as a file and is memory-mapped once by each Python worker: nothing of it is pickled,
broadcast or on a heap, and its pages are shared by all workers of a host.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import imeiset
from imeiset import ImeiError, ImeiSet, ParseStatus, Screener, Store, merge, parse
from imeiset.columns import AMBIGUOUS
from imeiset.errors import ExtraMissing
from imeiset.screening.details import DAYS, DETAILS, array_of
from imeiset.screening.texts import titles_of_answers

try:
    import pyarrow as pa
    from pyspark import SparkFiles, TaskContext
    from pyspark.sql.types import DateType, StringType, StructType
except ModuleNotFoundError as error:
    raise ExtraMissing(str(error), "spark", error.name) from None

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_MALFORMED = 10**14  # and the status: above every key
_PART = "tac_from long, tac_to long, path string, imeis long, rows long, malformed map<string, long>"


def screen(
    frame: "DataFrame",
    column: str,
    snapshot: str | os.PathLike[str],
    *,
    shared: bool = False,
    details: bool = False,
    digits: int = 14,
) -> "DataFrame":
    """The rows of a frame and a `status` column: what the list says of each, malformed ones included.
    It is `status_2` where the frame has a `status` of its own.

    details: also add `list`, `rule` and `reasons`, texts, and `date` and `until`, dates: what the list that
    decided says, null where there is none.

    snapshot: the path of a set, a register or a store, see `Screener`. It is sent to every executor with
    `addFile`, a store as the snapshot of its newest state, or with shared=True lies on a path that all of
    them have. digits: 15 for a LongType column of numbers with the check digit; one of 15 digits is an error
    otherwise. Narrow and lazy: no shuffle, nothing collected.
    """
    listed = imeiset.open(snapshot)  # says now what is wrong with it
    path = os.path.realpath(snapshot)
    name = None if shared else _send(frame, path, listed)
    titles = titles_of_answers(frame.columns)[:1]
    titles += titles_of_answers(frame.columns, DETAILS) if details else []

    def screened(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        screener = Screener(path if name is None else SparkFiles.get(name)).now()
        words = pa.array(screener.words)
        for batch in batches:
            if details:
                answers = screener.details(batch[column], threads=None, digits=digits)
                added = [array_of(pa, answers[name]) for name in ("status", *DETAILS)]
            else:
                added = [words.take(pa.array(screener.codes(batch[column], threads=None, digits=digits)))]
            yield pa.RecordBatch.from_arrays([*batch.columns, *added], [*batch.schema.names, *titles])

    schema = StructType([*frame.schema.fields])
    for what, title in zip(("status", *DETAILS), titles, strict=False):
        schema = schema.add(title, DateType() if what in DAYS else StringType())
    return frame.mapInArrow(screened, schema)


def _send(frame: "DataFrame", path: str, listed: object) -> str:
    """Send a list to the executors under a name that no other version of it has had; returns that."""
    store = listed if isinstance(listed, Store) else None
    status = Path(path).stat()
    version = f"{status.st_ino:x}-{status.st_mtime_ns:x}" if store is None else store.state_id
    place = _place(path, f"{Path(path).stem}-{version}.imei")
    if store is not None and not place.exists():
        store.save(place)
    elif not place.exists():
        try:  # of a symbolic link Spark would take the name it leads to
            place.hardlink_to(path)
        except OSError:
            shutil.copyfile(path, place)
    frame.sparkSession.sparkContext.addFile(str(place))
    return place.name


@cache
def _place(path: str, name: str) -> Path:
    """Where a list lies under another name, always the same: Spark insists."""
    place = tempfile.mkdtemp(prefix="imeiset-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return Path(place, name)


class Built(NamedTuple):
    """What `build` made. imeis: in the list; rows: read; malformed: rows by reason; parts: the files."""

    imeis: int
    rows: int
    malformed: dict[str, int]
    parts: list[str]


def build(
    frame: "DataFrame",
    column: str,
    output: str | os.PathLike[str],
    *,
    parts: str | os.PathLike[str],
    partitions: int | None = None,
    digits: int = 14,
) -> Built:
    """Build a snapshot of all IMEIs in a column, in parts by TAC range that are then merged.

    Each partition sorts the IMEIs of its TACs and writes a part to the directory `parts`, which all
    executors and this process share; `merge` then joins them in one pass. Memory: 8 bytes for each row of a
    partition where it is built, some MB here. partitions: None leaves them to Spark. digits: as for
    `screen`. Malformed rows are counted by reason, never dropped in silence. The parts stay, for the caller
    to remove.
    """
    place = os.path.realpath(parts)

    def keyed(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        for batch in batches:
            column = batch.column(0)
            keys, status = parse(column, digits=digits)
            if (wrong := np.flatnonzero(np.isin(status, AMBIGUOUS))).size:
                row = int(wrong[0])
                raise ImeiError(ParseStatus(int(status[row])), column[row].as_py())
            keys = np.where(status, np.uint64(_MALFORMED) + status, keys).astype(np.int64)
            yield pa.RecordBatch.from_arrays([pa.array(keys), pa.array(keys // 10**6)], ["key", "tac"])

    def written(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        pieces = [np.asarray(batch["key"]) for batch in batches]
        keys = np.concatenate([np.empty(0, np.int64), *pieces])
        good = keys[keys < _MALFORMED]
        codes, counts = np.unique(keys[keys >= _MALFORMED] - _MALFORMED, return_counts=True)
        blocked = ImeiSet.from_keys(good.astype(np.uint64))
        number: int = TaskContext.get().partitionId()  # type: ignore[union-attr, unused-ignore] # a task has one
        path = os.path.join(place, f"part-{number:05}.imei")  # noqa: PTH118
        if len(blocked):
            blocked.save(path)
        words = [Screener(blocked).words[code + 1] for code in codes.tolist()]
        tacs = (int(good.min() // 10**6), int(good.max() // 10**6)) if len(good) else (None, None)
        row = [
            *tacs,
            path if len(blocked) else None,
            len(blocked),
            len(keys),
            list(zip(words, counts.tolist(), strict=True)),
        ]
        types = [
            pa.int64(),
            pa.int64(),
            pa.string(),
            pa.int64(),
            pa.int64(),
            pa.map_(pa.string(), pa.int64()),
        ]
        names = ["tac_from", "tac_to", "path", "imeis", "rows", "malformed"]
        yield pa.RecordBatch.from_arrays([pa.array([v], t) for v, t in zip(row, types, strict=True)], names)

    keys = frame.select(column).mapInArrow(keyed, "key long, tac long")
    ranged = keys.repartitionByRange(partitions, "tac") if partitions else keys.repartitionByRange("tac")
    found = ranged.mapInArrow(written, _PART).collect()
    malformed: dict[str, int] = {}
    for part in found:
        for word, count in part.malformed.items():
            malformed[word] = malformed.get(word, 0) + count
    paths = [part.path for part in found if part.path]
    if not paths:
        raise ValueError(f"expected IMEIs in column {column!r}, got {malformed or 'no rows'}")
    return Built(merge(paths, output), sum(part.rows for part in found), malformed, paths)
