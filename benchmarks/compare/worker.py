"""A process for one peer, which works only when it is asked, and the parent's end of it."""

import ctypes
import gc
import hashlib
import multiprocessing
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import corpus
from .job import HOT, SPARE, Job, lines_of
from .peers import NO_ANSWER, Peer

BATCH = 1_000_000  # queries of a call
SLICE = 0.3e9  # ns: a peer that needs more for BATCH queries gets fewer
VALIDATED = 100_000  # texts
_libc: Any = ctypes.CDLL(None)
_HOT_REPEATS = 200


class Seen(NamedTuple):
    """One measurement: nanoseconds per item and what was answered, to be compared."""

    ns: float
    answer: bytes


class Wrong(Exception):
    """A peer answered otherwise than imeiset."""


class Worker:
    """The parent's end. Methods of `Desk` are called by name."""

    def __init__(self, kind: type[Peer], job: Job) -> None:
        self.name = kind.name
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, kind, job), daemon=False)
        self._process.start()
        theirs.close()

    def ask(self, what: str, *arguments: object) -> Any:
        """Call a method of the desk; raises RuntimeError with its traceback if it raised."""
        self._pipe.send((what, arguments))
        try:
            good, value = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(f"{self.name}: its process ended with {self._process.exitcode}") from None
        if not good:
            raise RuntimeError(f"{self.name}, {what}:\n{value}")
        return value

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join()


def _serve(pipe: Connection, kind: type[Peer], job: Job) -> None:
    peer = kind(job)
    desk = Desk(peer, job)
    try:
        while True:
            what, arguments = pipe.recv()
            try:
                pipe.send((True, getattr(desk, what)(*arguments)))
            except Exception:
                pipe.send((False, traceback.format_exc()))
    except (EOFError, KeyboardInterrupt):
        pass
    finally:
        peer.close()


class Desk:
    """What a worker is asked to do."""

    def __init__(self, peer: Peer, job: Job) -> None:
        self.peer: Any = peer
        self.job = job

    def build(self) -> dict[str, float]:
        """Make the table. bytes: what became resident for it, per key. count: queries for one call.

        A table that is kept may be made by the first questions only; one that is not kept is not counted.
        """
        few = self.job.queries("misses", 0, SPARE)
        self.peer.build(np.unique(few))  # what the libraries allocate once is not the table
        self.peer.contains(self.peer.prepare(few))
        before = self._resident()
        keys = self.job.keys()
        start = time.perf_counter()
        self.peer.build(keys)
        seconds = time.perf_counter() - start
        del keys
        count = BATCH
        if self.peer.keeps_table:
            ns = self.lookup("misses", 0, SPARE).ns
            count = min(BATCH, max(8 * SPARE, int(SLICE / ns) // 8 * 8))
            self.lookup("misses", 0, count)
            self.peer.settle()
        return {"bytes": (self._resident() - before) / self.job.n, "seconds": seconds, "count": count}

    def lookup(self, workload: str, start: int, count: int) -> Seen:
        """Answer a stretch of a workload."""
        if self.peer.keeps_table:  # other workers had the caches meanwhile
            self.peer.contains(self.peer.prepare(self.job.queries(workload, start + count, SPARE)))
        questions = self.peer.prepare(self.job.queries(workload, start, count))
        begin = time.perf_counter()
        result = self.peer.contains(questions)
        seconds = time.perf_counter() - begin
        answers = self.peer.answers(result, count)
        return Seen(seconds / count * 1e9, NO_ANSWER if answers is None else np.packbits(answers).tobytes())

    def one_by_one(self, what: str) -> Seen:
        """Ask for `hot` or `cold` texts in a loop; imeiset gets 15 digits, the others the key's 14."""
        keys = np.load(self.job.path(f"{what}.npy"))
        width = 15 if self.peer.name == "imeiset" else 14
        texts = corpus.texts(keys).astype(f"U{width}").tolist()
        repeats = _HOT_REPEATS if len(texts) == HOT else 1
        start = time.perf_counter()
        for _ in range(repeats):
            self.peer.one_by_one(texts)
        seconds = time.perf_counter() - start
        answer = np.packbits(self.peer.answers(self.peer.contains(self.peer.prepare(keys)), len(keys)))
        return Seen(seconds / repeats / len(texts) * 1e9, answer.tobytes())

    def texts(self, form: str, start: int, count: int) -> Seen:
        """Answer a stretch of half hits given as `keys`, an `S15` array, or `lines`."""
        keys = self.job.queries("half hits", start, count)
        column = lines_of(keys) if form == "lines" else corpus.texts(keys) if form == "S15" else keys
        return self._timed(lambda: self.peer.contains(column), count)

    def call(self, what: str, count: int, *arguments: object) -> Seen:
        """Time what a method of the peer returns; it returns bools or None."""
        return self._timed(getattr(self.peer, what)(*arguments), count)

    def validate(self) -> Seen:
        """Validate texts one by one, one in ten with a wrong check digit."""
        texts = corpus.texts(self.job.queries("half hits", 0, VALIDATED)).astype("U15").tolist()
        texts[::10] = [text[:14] + str((int(text[14]) + 1) % 10) for text in texts[::10]]
        return self._timed(lambda: self.peer.validate(texts), VALIDATED)

    def load(self) -> Seen:
        """The lines on disk to a file that is saved; the answer is a digest of the keys in it."""
        target = self.job.path(f"loaded by {self.peer.name}")
        start = time.perf_counter()
        self.peer.load(self.job.path("lines.txt"), target)
        seconds = time.perf_counter() - start
        digest = hashlib.sha256(self.peer.read_back(target).tobytes()).digest()
        target.unlink()
        return Seen(seconds / self.job.lines * 1e9, digest)

    def _timed(self, run: Callable[[], Any], count: int) -> Seen:
        start = time.perf_counter()
        result = run()
        seconds = time.perf_counter() - start
        answer = NO_ANSWER if result is None else np.packbits(np.asarray(result, bool)).tobytes()
        return Seen(seconds / count * 1e9, answer)

    def _resident(self) -> int:
        """Bytes in memory, private and shared, of this process and its server, without what is free."""
        gc.collect()
        _libc.malloc_trim(0)
        others = [] if (other := self.peer.other_process()) is None else [other]
        total = 0
        for process in ["self", *others]:
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Rss:"))
        return total * 1024
