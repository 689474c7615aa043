"""What every process of one run reads: a list, its traffic, and files made from it."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyroaring

from imeiset import ImeiSet

from .. import corpus

POOL = 4_000_000  # queries of a workload; a round takes its share from another place of it
SPARE = 1_000  # more of them, to warm up with
HOT, COLD = 1_000, 1_000_000  # texts asked for one by one
MANY = 10_000_000  # queries for two threads, and lines of the text to load
WORKLOADS = {"half hits": 0.5, "misses": 0.0}  # share of hits; a miss has a listed TAC


@dataclass(frozen=True)
class Job:
    """A list of n keys and the directory with the files about it."""

    directory: Path
    n: int

    def path(self, name: str) -> Path:
        """A file of this list."""
        return self.directory / f"{self.n}-{name}"

    def keys(self) -> corpus.Keys:
        """The list: sorted, without repeats."""
        return corpus.reference(self.n)

    def queries(self, workload: str, start: int, count: int) -> corpus.Keys:
        """A stretch of a workload, in memory."""
        stored = np.load(self.path(f"{workload}.npy"), mmap_mode="r")
        return np.array(stored[start : start + count])

    @property
    def lines(self) -> int:
        """How many lines the text to load has."""
        return min(self.n, MANY)


def prepare(job: Job, *, lookups_only: bool) -> None:
    """Write the files of a job. For a process of its own: it takes memory for several copies of the list."""
    keys = job.keys()
    for workload, hits in WORKLOADS.items():
        np.save(job.path(f"{workload}.npy"), corpus.queries(keys, POOL + SPARE, hits))
    snapshot = ImeiSet.from_keys(keys)
    snapshot.save(job.path("list.imei"))
    if lookups_only:
        return
    rng = np.random.default_rng(corpus.SEED)
    cold = np.unique(corpus.queries(keys, COLD + COLD // 2, seed=1))
    np.save(job.path("cold.npy"), rng.permutation(cold)[:COLD])
    np.save(job.path("hot.npy"), corpus.queries(keys, HOT, seed=2))
    np.save(job.path("many.npy"), corpus.queries(keys, MANY, seed=3))
    job.path("list.roaring").write_bytes(pyroaring.BitMap64(keys).serialize())
    shuffled = rng.permutation(keys if job.lines == job.n else corpus.reference(job.lines))
    write_lines(job.path("lines.txt"), shuffled)


def write_lines(path: Path, keys: corpus.Keys) -> None:
    """The keys as 15-digit numbers, one in each line."""
    path.write_bytes(lines_of(keys))


def lines_of(keys: corpus.Keys) -> bytes:
    """The text of `write_lines`."""
    rows = np.empty((len(keys), 16), np.uint8)
    rows[:, :15] = corpus.texts(keys).view(np.uint8).reshape(-1, 15)
    rows[:, 15] = ord("\n")
    return rows.tobytes()


def compile_limits(directory: Path) -> None:
    """Compile limits.c to a library beside the other files; raises RuntimeError if that fails."""
    source = Path(__file__).with_name("limits.c")
    command = [
        os.environ.get("CC", "cc"),
        "-O2",
        "-shared",
        "-fPIC",
        "-o",
        str(library(directory)),
        str(source),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise RuntimeError(f"the limit rows need a C compiler: {command[0]} is not there (set CC)") from None
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"{' '.join(command)} failed: {error.stderr}") from None


def library(directory: Path) -> Path:
    """Where `compile_limits` puts its library."""
    return directory / "limits.so"
