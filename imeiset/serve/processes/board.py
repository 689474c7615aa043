"""What the processes of `imeiset serve` tell one another: counts, their state, and the configuration.

Each process publishes a file in the folder of the run, by rename; whoever wants to know reads all of them. A
process whose file is torn or absent has not told anything yet.
"""

import fcntl
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from imeiset.serve.config import Config, dumped, loaded
from imeiset.serve.state import Peer, ProcessState, Totals, summed

_CONFIG = "config.json"
BEAT = 0.5
"""Seconds between two files of a process."""
GRACE = 1.0
"""Seconds beyond `drain` after which a process that should end is killed."""


class Board:
    """The folder of a run, for all who read and write there."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def processes(self) -> list[ProcessState]:
        """What each process told last, those that have ended too, in the order of kinds and indices."""
        found = []
        for path in self.folder.glob("*-*.json"):
            state = read_state(path)
            if state is not None:
                found.append(state)
        return sorted(found, key=lambda state: (state.kind, state.index))

    def totals(self) -> Totals:
        """The counts of all processes of the run, those that have ended too."""
        return summed(self.processes())

    def mark_ended(self) -> None:
        """Mark as ended all processes that died without a word, and whose slots nobody has taken."""
        for state in self.processes():
            path = self.folder / f"{state.kind}-{state.index}.json"
            if not state.ended and (lock := _lock(path)) is not None:
                if (last := read_state(path)) is not None:
                    write(path, json.dumps(_plain(replace(last, pid=0))))
                os.close(lock)

    def publish(self, config: Config) -> None:
        """The configuration that is in force from now on."""
        write(self.folder / _CONFIG, dumped(config))

    def is_writable(self) -> bool:
        """Whether processes can tell anything: not where the disk is read-only."""
        try:
            os.utime(self.folder)
        except OSError:
            return False
        return True

    def is_published(self) -> bool:
        """Whether a configuration is there."""
        return (self.folder / _CONFIG).exists()

    def config(self) -> Config:
        """The configuration in force."""
        return loaded((self.folder / _CONFIG).read_text())

    def config_mark(self) -> tuple[int, int]:
        """What changes when another configuration is published."""
        there = (self.folder / _CONFIG).stat()
        return there.st_ino, there.st_mtime_ns


class Slot:
    """The slot of a process on the board: a file, and a lock that says that the process lives.

    A process takes the first free slot of its kind, and counts on from where the one before it ended, so that
    counts never go back.
    """

    def __init__(self, board: Board, kind: str) -> None:
        index = 0
        while (lock := _lock(board.folder / f"{kind}-{index}.json")) is None:
            index += 1
        self._lock = lock
        self._path = board.folder / f"{kind}-{index}.json"
        before, now = read_state(self._path), time.time()
        self._before = before or ProcessState(kind, index, 0, now, now, starts=0)
        self.state = replace(
            ProcessState(kind, index, os.getpid(), now, now),
            parent=os.getppid(),
            starts=self._before.starts + 1,
        )

    def beat(self) -> None:
        """Say that the process lives, and nothing else: this works where the disk is full, too."""
        os.utime(self._lock)

    def publish(self, counts: Totals, *, ended: bool = False, refresh_faults: int = 0, **told: Any) -> None:
        """Tell what is so now: see `ProcessState`. Counts and faults are those of this process."""
        before = self._before
        told |= {"counts": counts + before.counts, "refresh_faults": refresh_faults + before.refresh_faults}
        state = replace(self.state, beat=time.time(), **told)
        write(self._path, json.dumps(_plain(replace(state, pid=0) if ended else state)))


def last_beat(folder: Path, state: ProcessState) -> int | None:
    """When a process last said that it lives, as the file system has it; None if nobody knows."""
    try:
        return (folder / f"{state.kind}-{state.index}.lock").stat().st_mtime_ns
    except OSError:
        return None


def _lock(path: Path) -> int | None:
    """Take the lock beside the file of a process, as a descriptor; None if that process lives."""
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def write(path: Path, data: str | bytes) -> None:
    """Put data into a file: readers see the old content or the new, whole. A power cut may undo it."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def read_state(path: Path) -> ProcessState | None:
    """The state in a file; None if it cannot be read."""
    try:
        given = json.loads(path.read_text())
        known = {one.name for one in fields(ProcessState)}
        counts, peers = given.pop("counts"), given.pop("peers")
        return ProcessState(
            **{name: value for name, value in given.items() if name in known},
            counts=Totals(
                {(interface, status, rule): n for interface, status, rule, n in counts["checks"]},
                {(interface, cause): n for interface, cause, n in counts["errors"]},
            ),
            peers=tuple(Peer(**peer) for peer in peers),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _plain(state: ProcessState) -> dict[str, Any]:
    counts = {name: [[*key, n] for key, n in held.items()] for name, held in state.counts._asdict().items()}
    given = {name: getattr(state, name) for name in (one.name for one in fields(state))}
    return {**given, "counts": counts, "peers": [asdict(peer) for peer in state.peers]}
