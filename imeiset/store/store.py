"""Store: a directory whose register changes while it serves.

One process writes, any number read. A change is in the journal, on the disk, before `apply` returns;
readers find it there. Compacting writes base and changes as the next generation. Whatever fails on the way,
the directory holds the old state or the new one.
"""

import datetime
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from operator import index
from pathlib import Path
from typing import Literal, NoReturn, Self

from imeiset._native.background import work_in_background
from imeiset.errors import (
    StoreBase,
    StoreError,
    StoreExists,
    StoreInDoubt,
    StoreReplaced,
    StoreSequence,
    StoreShrunk,
)
from imeiset.register.checks import Checks
from imeiset.register.layout import Contents
from imeiset.register.lists import List, shrunk
from imeiset.register.policy import Policy
from imeiset.register.register import Register
from imeiset.store import journal as _journal
from imeiset.store.changes import Delta, change_of, packed
from imeiset.store.directory import MANIFEST, UNPUBLISHED, Lock, generation_of, is_serving
from imeiset.store.journal import Journal, Position, Record
from imeiset.store.state import State, changed, load, publish_generation, refreshed, saved

_SKEW = 60  # seconds that clocks may differ by
_NICE = 5  # of the thread that compacts


@dataclass(frozen=True, slots=True)
class Status:
    """What a store is and how old. age: seconds since the last change, or since the base was made.

    The clock of the process that made that change may have been ahead of this one, by `ahead` seconds. If it
    was more than a minute, nobody can say how old the store is, and age is infinite: it never says fresh.
    counts: see `Register.counts`. state_id: tells states apart; the same base and changes have the same.
    fault: why the last refresh of the watcher failed, if it did.
    """

    generation: int
    sequence: int
    changed: datetime.datetime
    age: float
    ahead: float
    counts: dict[str, dict[str, int]]
    journal_records: int
    journal_bytes: int
    base_bytes: int
    state_id: str
    fault: str | None = None


class Store(Checks):
    """A register in a directory that changes while it serves.

    `check` and `check_many` answer by the state of the last `refresh`, in this process or of its own
    changes; each call by one state. Any number of threads. The first change makes this process the writer,
    until `close`; after a fork the child is a reader.
    """

    def __init__(
        self,
        directory: Path,
        mode: Literal["mmap", "memory"],
        generation: int | None,
        lock: Lock | None = None,
    ) -> None:
        self._directory = directory
        self._mode: Literal["mmap", "memory"] = mode
        self._pinned = generation
        self._lock = lock  # of the writer
        self._doubt: str | None = None
        self._fault: str | None = None
        self._stop: threading.Event | None = None
        self._start_threads()
        self._state, self._journal = self._load(generation)
        self._use(self._state.tables)
        _STORES.add(self)

    def _start_threads(self) -> None:
        self._mutex = threading.RLock()
        self._compaction = threading.Lock()

    @classmethod
    def create(cls, directory: str | os.PathLike[str], register: Register, /) -> Self:
        """Make a store of a register, in a directory that is new or has none, and open it as its writer.

        Raises StoreExists if one is there, or a file, OSError if it cannot be written, TypeError for what is
        no Register.
        """
        _expect_register(register)
        path = Path(directory)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise StoreExists(path, "a directory, to make a store in", "a file") from None
        lock = Lock.take(path)
        try:

            def expect_none() -> None:
                if (path / MANIFEST).exists():
                    got = "one with a store: open it, or replace()"
                    raise StoreExists(path, "a directory without a store", got)
                if not lock.is_at(lock.path):
                    raise StoreReplaced(path, "the lock that this process took", "another: create it again")

            expect_none()
            with saved(register, path, 1) as base:
                publish_generation(path, 1, base, Position(0, 0, time.time_ns()), (), expect_none)
            return cls(path, "mmap", None, lock)
        except BaseException:
            lock.close()
            raise

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        /,
        *,
        mode: Literal["mmap", "memory"] = "mmap",
        generation: int | None = None,
    ) -> Self:
        """The store in a directory, in its newest state; or an older generation, with all its changes, as
        long as its files are kept, which then stays as it is.

        mode: as for `ImeiSet.open`. Raises a kind of StoreError or SnapshotError.
        """
        return cls(Path(directory), mode, generation)

    @classmethod
    def verify(
        cls, directory: str | os.PathLike[str], /, *, mode: Literal["mmap", "memory"] = "mmap"
    ) -> Self:
        """Open a store, read all of its base and its journal, and return it.

        As `Register.verify`; a journal is always read whole. Raises a kind of StoreError or SnapshotError.
        """
        self = cls.open(directory, mode=mode)
        self._state.file.verify()
        self._state.base.expect_sound(self._state.file.path)
        return self

    def close(self) -> None:
        """Stop watching and writing. Checks go on as before.

        A compaction under way goes on, too, and keeps others from writing until it ends.
        """
        if self._stop:
            self._stop.set()
        with self._mutex:
            self._let_go()

    def _let_go(self) -> None:
        """Write no more, until the next change takes the lock again and reads what is there."""
        if self._lock is not None:
            lock, self._lock = self._lock, None
            lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = self._state
        return f"<Store {self._directory}, generation {state.generation}, change {state.position.sequence}>"

    # ---- what it holds ----

    @property
    def policy(self) -> Policy:
        """How it decides."""
        return self._state.base.policy

    @property
    def lists(self) -> tuple[List, ...]:
        """The lists in the order of the codes of `check_many`."""
        return self._state.lists

    @property
    def generation(self) -> int:
        """Of the base that serves."""
        return self._state.generation

    @property
    def sequence(self) -> int:
        """The number of the last change that serves."""
        return self._state.position.sequence

    @property
    def state_id(self) -> str:
        """Tells states apart: the same base and the same changes have the same."""
        return self._state.state_id

    def save(self, path: str | os.PathLike[str], /) -> None:
        """Write the lists as they are now to a snapshot file, as `Register.save` does; the store stays."""
        self._flattened(self._state).save(path)

    def _flattened(self, state: State) -> Contents:
        state.file.verify()  # most of it is copied: damage must not get a checksum of its own
        flat = tuple(one.flattened() for one in state.lists)
        return Contents(flat, state.base.policy, state.base.coverage.after(state.lists, flat))

    def status(self) -> Status:
        """Generation, age, counts and sizes."""
        with self._mutex:
            state, size = self._state, self._journal.nbytes
        changed = datetime.datetime.fromtimestamp(state.position.time / 1e9, datetime.UTC)
        age = time.time() - state.position.time / 1e9
        return Status(
            generation=state.generation,
            sequence=state.position.sequence,
            changed=changed,
            age=max(age, 0.0) if age > -_SKEW else math.inf,
            ahead=max(-age, 0.0),
            counts={one.name: one.counts() for one in state.lists},
            journal_records=state.position.sequence - state.base_position.sequence,
            journal_bytes=size,
            base_bytes=state.file.nbytes,
            state_id=state.state_id,
            fault=self._fault,
        )

    # ---- reading ----

    def refresh(self) -> bool:
        """Move to the newest state; whether there was a newer one. Calls under way end on the old one.

        A state that cannot be read raises, and the old one goes on serving.
        """
        if self._pinned is not None:
            return False
        with self._mutex:
            before = self._state
            now = refreshed(before, self._directory, writable=self._lock is not None)
            self._state, self._journal = now or self._load(None, fetch=True)
            self._use(self._state.tables)
            return (self._state.generation, self._state.position) != (before.generation, before.position)

    def watch(self, interval: float = 0.2, on_change: "Callable[[Store], object] | None" = None) -> None:
        """Refresh every so many seconds, in a thread of this process, until `close`.

        on_change is called after each move to a newer state. An error is kept in `status().fault`, and the
        next refresh tries again.
        """
        if not 0 < interval <= threading.TIMEOUT_MAX:  # NaN neither
            raise ValueError(f"interval: expected seconds above 0, got {interval}")
        if self._stop and not self._stop.is_set():
            raise RuntimeError("expected a store that is not watched, got one that is")
        stop = self._stop = threading.Event()

        def follow(store: "weakref.ref[Store]") -> None:
            while not stop.wait(interval):
                one = store()
                if one is None:
                    return
                try:
                    moved = one.refresh()
                    one._fault = None
                    if moved and on_change:
                        on_change(one)
                except Exception as error:  # whatever it is: the old state serves, and the status says why
                    one._fault = str(error) or type(error).__name__
                del one

        threading.Thread(target=follow, args=(weakref.ref(self),), name="imeiset-watch", daemon=True).start()

    def _load(self, generation: int | None, *, fetch: bool = False) -> tuple[State, Journal]:
        return load(self._directory, generation, self._mode, fetch=fetch, writable=self._lock is not None)

    # ---- writing ----

    @contextmanager
    def writing(self) -> Iterator[None]:
        """No change but those of this thread while the block runs: what it sees is what it changes.

        This process becomes the writer, or it raises as `apply` does.
        """
        with self._mutex:
            self._become_writer()
            yield

    def apply(self, *deltas: Delta, sequence: int | None = None, base: str | None = None) -> int:
        """Make changes, all or none; they are on the disk when this returns. Returns their number.

        sequence: the number they must get. One that was applied before is not applied again; a gap, or
        other changes under that number, raise StoreSequence. base: the `state_id` of the state that they are
        for; StoreBase if it is another. Raises ImeiError or ValueError for deltas that are wrong, and
        StoreLocked while another process writes. After StoreInDoubt, reopen.
        """
        with self._mutex:
            lock = self._become_writer()
            state = self._state
            changes = [change_of(delta, state.lists) for delta in deltas]
            payload = packed(changes)
            following = state.position.sequence + 1
            number = following if sequence is None else index(sequence)
            if number < 1:
                raise ValueError(f"sequence: expected 1 or more, got {number}")
            if number != following or base not in (None, state.state_id):
                self._expect_ours(lock)  # before anything is said of the state
                if number < following:
                    self._expect_same(number, payload)
                    return number
                if number > following:
                    raise StoreSequence(self._directory, f"change {following}", f"{number}")
                raise StoreBase(self._directory, f"a delta for state {state.state_id}", f"one for {base}")
            record, position = _journal.after(state.position, time.time_ns(), payload)
            after = changed(state, changes, position)  # all that may be wrong with them, before the disk
            self._expect_ours(lock)
            try:
                self._journal.append(record, state.position.end)
                if lost := self._lost(lock, position):
                    self._doubt = f"another {lost} when change {number} was written"
                    raise StoreInDoubt(self._directory, "a change on the disk of this store", self._doubt)
                self._state = after
                self._use(after.tables)
            except OSError as error:
                if self._journal.nbytes > state.position.end:
                    self._doubt = f"{error.strerror} while change {number} was written"
                    raise StoreInDoubt(self._directory, "a change on the disk", self._doubt) from error
                raise OSError(error.errno, error.strerror, str(self._journal.path)) from error
            except BaseException as error:  # of a signal: readers may have the change already
                self._doubt = self._doubt or f"{type(error).__name__} while change {number} was written"
                raise
            return number

    def _expect_same(self, number: int, payload: bytes) -> None:
        """Change `number` was applied before: if the journal still has it, it must be this one."""
        for record in self._journal.records(self._journal.start):
            if record.position.sequence == number and record.payload != payload:
                raise StoreSequence(self._directory, f"change {number} as it was applied", "another")

    def compact(self) -> None:
        """Write base and changes as the next generation. Checks and changes go on meanwhile.

        Raises SnapshotSectionChecksum, or whichever kind of SnapshotError it is, for a base that was damaged,
        which stays.
        """
        self._compact(self._hold())

    def compact_in_background(self) -> "Future[None]":
        """`compact` in a thread that gives way to others; its result, or its error, is the future's.

        While every processor is busy with other things, it may take minutes.
        Raises at once where this process cannot write: StoreLocked, StoreInDoubt.
        """
        held = self._hold()
        pool = ThreadPoolExecutor(1, thread_name_prefix="imeiset-compact", initializer=_give_way)
        future = pool.submit(self._compact, held)
        pool.shutdown(wait=False)
        return future

    def _hold(self) -> Lock:
        """The lock once more: nobody else writes, after `close` too, until it is closed."""
        with self._mutex:
            lock = self._become_writer()
            self._expect_ours(lock)
            return lock.again()

    def _compact(self, held: Lock) -> None:
        try:
            with self._compaction:
                with self._mutex:
                    if self._lock is None:  # closed, or what was published last could not be opened
                        self.refresh()
                    start = self._state
                with (
                    saved(self._flattened(start), self._directory, start.generation + 1) as base,
                    self._mutex,
                ):
                    if self._state.generation != start.generation or not self._journal.holds(start.position):
                        self._give_up("journal")
                    self._move_on(held, base, start.position, self._journal.records(start.position))
        finally:
            held.close()

    def replace(self, register: Register, /, *, shrink: float = 25.0, force: bool = False) -> None:
        """Let another register serve from now on, as the next generation.

        Raises StoreShrunk if a list would lose more than `shrink` percent of what it holds by some rule, or
        is missing, unless forced; TypeError for what is no Register.
        """
        _expect_register(register)
        with self._compaction, self._mutex:
            lock = self._become_writer()
            self._expect_ours(lock)
            if not force:
                _expect_no_less(self._directory, self._state.lists, register, shrink)
            with saved(register, self._directory, self._state.generation + 1) as base:
                self._move_on(lock, base, replace(self._state.position, time=time.time_ns()), ())

    def _move_on(self, lock: Lock, base: Path, position: Position, changes: Iterable[Record]) -> None:
        """Publish the next generation and serve it."""
        number = self._state.generation + 1
        try:
            publish_generation(
                self._directory, number, base, position, changes, lambda: self._expect_ours(lock)
            )
            self.refresh()
        except BaseException:  # the manifest may name the next generation: no change may go to this one
            self._let_go()
            raise

    def prune(self, keep: int = 1) -> int:
        """Remove the files of all but the newest `keep` generations; how many generations went.

        Readers of a removed one go on: their files live until they move.
        """
        if keep < 1:
            raise ValueError(f"keep: expected at least 1, got {keep}")
        with self._compaction, self._mutex:
            self._expect_ours(self._become_writer())
            current = self._state.generation
            gone = set()
            for path in sorted(self._directory.iterdir()):
                number = generation_of(path)
                if number is not None and not current - keep < number <= current:
                    path.unlink()
                    gone.add(number)
            return len(gone)

    def _become_writer(self) -> Lock:
        if self._doubt:
            raise StoreInDoubt(self._directory, "a store that was reopened since", self._doubt)
        if self._pinned is not None:
            raise StoreError(self._directory, "the newest generation, to write", f"generation {self._pinned}")
        if self._lock is not None:
            return self._lock
        try:
            self._lock = lock = Lock.take(self._directory)
            for path in self._directory.glob(f"{UNPUBLISHED}*"):  # of a writer that died
                path.unlink(missing_ok=True)
            self.refresh()
            state, journal = self._state, self._journal
            if journal.nbytes != state.position.end or journal.committed != state.position.end:
                _journal.create(journal.path, state.generation, journal.start, journal.records(journal.start))
                self.refresh()
            return lock
        except BaseException:
            self._let_go()
            raise

    def _lost(self, lock: Lock, position: Position) -> str:
        """Which of its files is not the one that this writer took, or has others' bytes; "" for none.

        Who opens the store next would not find there what this process writes.
        """
        if not lock.is_at(lock.path):
            return "lock"
        journal = self._journal
        if not journal.is_at(journal.path) or journal.nbytes != position.end or not journal.holds(position):
            return "journal"
        return "" if is_serving(self._directory, self._state.generation) else "manifest"

    def _expect_ours(self, lock: Lock) -> None:
        """Before anything is written."""
        if lost := self._lost(lock, self._state.position):
            self._give_up(lost)

    def _give_up(self, lost: str) -> NoReturn:
        self._let_go()
        expected = "the lock, journal and manifest that this writer took"
        got = f"another {lost}, or none. Nothing was written; the next change reads what is there first"
        raise StoreReplaced(self._directory, expected, got)

    def _after_fork(self) -> None:
        """In the child: the lock is the parent's, and threads and what they held are gone."""
        self._start_threads()
        self._stop = self._lock = None

    def __reduce_ex__(self, _: object, /) -> NoReturn:
        raise TypeError("a Store holds a lock and cannot be copied or pickled: open its directory again")


def _give_way() -> None:
    """Let other threads of this machine run before this one: little before what it does as Python, for which
    others may wait, and most of all before the making and writing of sets."""
    with suppress(OSError, AttributeError):  # Linux alone has priorities of threads
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
    work_in_background(True)


_STORES: "weakref.WeakSet[Store]" = weakref.WeakSet()


def _after_fork() -> None:
    for store in list(_STORES):
        store._after_fork()


os.register_at_fork(after_in_child=_after_fork)


def _expect_register(register: object) -> None:
    """A set would be written as a base that cannot be read."""
    if not isinstance(register, Register):
        raise TypeError(f"expected a Register, got {type(register).__name__}: Register.add takes sets")


def _expect_no_less(directory: Path, lists: Sequence[List], register: Register, shrink: float) -> None:
    before = {one.name: one.counts() for one in lists}
    if found := shrunk(before, register.counts(), 100 - shrink):
        expected, got = found
        raise StoreShrunk(directory, expected, f"{got}: force it if that is right")
