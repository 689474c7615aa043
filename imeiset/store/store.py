"""Store: a directory whose register changes while it serves.

One process writes, any number read. A change is in the journal, on the disk, before `apply` returns;
readers find it there. Compacting writes base and changes as the next generation. Whatever fails on the way,
the directory holds the old state or the new one.
"""

import datetime
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
from typing import TYPE_CHECKING, Literal, Self, cast

import numpy as np

from imeiset import snapshot
from imeiset._files import Opened
from imeiset._native.background import work_in_background
from imeiset.errors import (
    SnapshotMissing,
    StoreBase,
    StoreDamaged,
    StoreError,
    StoreExists,
    StoreInDoubt,
    StoreMissing,
    StoreSequence,
    StoreShrunk,
)
from imeiset.register.checks import Checks, make_tables
from imeiset.register.layout import KIND, Contents
from imeiset.register.lists import List, shrunk
from imeiset.register.policy import Policy
from imeiset.register.register import Register
from imeiset.store import journal as _journal
from imeiset.store.changes import Change, Delta, change_of, packed, unpacked
from imeiset.store.directory import (
    MANIFEST,
    again,
    base_path,
    generation_of,
    journal_path,
    locked,
    serving,
    take_lock,
)
from imeiset.store.journal import Journal, Place, Record
from imeiset.store.state import State, changed, publish_generation

if TYPE_CHECKING:
    pass
_NICE = 5  # of the thread that compacts
_PAGE = 4096  # bytes, or more
_ATTEMPTS = 100  # to open a generation that is pruned meanwhile


@dataclass(frozen=True, slots=True)
class Status:
    """What a store is and how old. age: seconds since the last change, or since the base was made.

    counts: see `Register.counts`. state_id: tells states apart; the same base and changes have the same.
    fault: why the last refresh of the watcher failed, if it did.
    """

    generation: int
    sequence: int
    changed: datetime.datetime
    age: float
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

    def __init__(self, directory: Path, mode: Literal["mmap", "memory"], generation: int | None) -> None:
        self._directory = directory
        self._mode: Literal["mmap", "memory"] = mode
        self._pinned = generation
        self._lock: Opened | None = None  # the lock file
        self._held: weakref.WeakSet[Opened] = weakref.WeakSet()  # again, by compactions under way
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
        with locked(path) as lock:
            if (path / MANIFEST).exists():
                raise StoreExists(
                    path, "a directory without a store", "one with a store: open it, or replace()"
                )
            publish_generation(path, 1, register, Place(0, 0, time.time_ns()), ())
            store = cls(path, "mmap", None)
            store._lock = again(lock)
            store._reopened()
        return store

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
        return f"<Store {self._directory}, generation {state.generation}, change {state.place.sequence}>"

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
        return self._state.place.sequence

    @property
    def state_id(self) -> str:
        """Tells states apart: the same base and the same changes have the same."""
        return self._state.state_id

    def save(self, path: str | os.PathLike[str], /) -> None:
        """Write the lists as they are now to a snapshot file, as `Register.save` does; the store stays."""
        self._merged(self._state).save(path)

    def _merged(self, state: State) -> Contents:
        state.file.verify()  # most of it is copied: damage must not get a checksum of its own
        flat = tuple(one.flattened() for one in state.lists)
        return Contents(flat, state.base.policy, state.base.coverage.after(state.lists, flat))

    def status(self) -> Status:
        """Generation, age, counts and sizes."""
        with self._mutex:
            state, size = self._state, self._journal.nbytes
        changed = datetime.datetime.fromtimestamp(state.place.time / 1e9, datetime.UTC)
        return Status(
            generation=state.generation,
            sequence=state.place.sequence,
            changed=changed,
            age=max(time.time() - state.place.time / 1e9, 0.0),
            counts={one.name: one.counts() for one in state.lists},
            journal_records=state.place.sequence - state.base_place.sequence,
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
            try:
                journal = self._reopened() if serving(self._directory) == before.generation else None
            except StoreMissing:  # pruned
                journal = None
            if journal is not None:
                self._state = self._caught_up(before, journal)
            else:
                self._state, self._journal = self._load(None, fetch=True)
            self._use(self._state.tables)
            return (self._state.generation, self._state.place) != (before.generation, before.place)

    def _reopened(self) -> Journal:
        """The journal of this generation as it is now: recovery puts another file in its place."""
        state = self._state
        path, writable = journal_path(self._directory, state.generation), self._lock is not None
        self._journal = Journal(path, state.generation, state.base_place.digest, writable=writable)
        return self._journal

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
        """The newest state of a generation; None: of the one that serves. fetch: its pages too, so that no
        check waits for them."""
        for attempt in range(_ATTEMPTS):
            current = serving(self._directory)
            wanted = current if generation is None else generation
            if not 1 <= wanted <= current:
                raise StoreMissing(self._directory, f"a generation from 1 to {current}", f"{wanted}")
            try:
                file = snapshot.open(base_path(self._directory, wanted), self._mode, kind=KIND)
                journal = Journal(journal_path(self._directory, wanted), wanted, file.digest)
            except (SnapshotMissing, StoreMissing):  # pruned meanwhile?
                if generation is not None or (attempt and serving(self._directory) == current):
                    raise
                continue
            if fetch:
                for section in file.sections.values():
                    np.frombuffer(section, np.uint8)[::_PAGE].max(initial=0)
            contents = Contents.read(file.sections, file.path)
            start = journal.start
            state = State(
                generation=wanted,
                base=contents,
                file=file,
                base_place=start,
                place=start,
                lists=contents.lists,
                tables=make_tables(contents.lists, contents.policy, contents.coverage),
            )
            return self._caught_up(state, journal), journal
        raise StoreMissing(self._directory, "a generation that stays", "one that was pruned each time")

    def _caught_up(self, state: State, journal: Journal) -> State:
        """A state with all changes after it."""
        changes: list[Change] = []
        last: Record | None = None
        for last in journal.records(state.place):
            changes += unpacked(last.payload, journal.path)
        try:
            return state if last is None else changed(state, changes, last.place)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise StoreDamaged(journal.path, "changes of the lists of its base", repr(error)) from None

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
            self._become_writer()
            state = self._state
            changes = [change_of(delta, state.lists) for delta in deltas]
            payload = packed(changes)
            number = state.place.sequence + 1 if sequence is None else index(sequence)
            if number < 1:
                raise ValueError(f"sequence: expected 1 or more, got {number}")
            if number <= state.place.sequence:
                self._expect_same(number, payload)
                return number
            if number > state.place.sequence + 1:
                raise StoreSequence(self._directory, f"change {state.place.sequence + 1}", f"{number}")
            if base is not None and base != state.state_id:
                raise StoreBase(self._directory, f"a delta for state {state.state_id}", f"one for {base}")
            record, place = _journal.after(state.place, max(time.time_ns(), state.place.time), payload)
            after = changed(state, changes, place)  # all that may be wrong with them, before the disk
            try:
                self._journal.append(record, state.place.end)
                self._state = after
                self._use(after.tables)
            except OSError as error:
                if self._journal.nbytes > state.place.end:
                    self._doubt = f"{error.strerror} while change {number} was written"
                    raise StoreInDoubt(self._directory, "a change on the disk", self._doubt) from error
                raise OSError(error.errno, error.strerror, str(self._journal.path)) from error
            except BaseException as error:  # of a signal: readers may have the change already
                self._doubt = f"{type(error).__name__} while change {number} was written"
                raise
            return number

    def _expect_same(self, number: int, payload: bytes) -> None:
        """Change `number` was applied before: if the journal still has it, it must be this one."""
        for record in self._journal.records(self._journal.start):
            if record.place.sequence == number and record.payload != payload:
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

    def _hold(self) -> Opened:
        """The lock file once more: nobody else writes, after `close` too, until it is closed."""
        with self._mutex:
            self._become_writer()
            held = again(cast(Opened, self._lock))
            self._held.add(held)
            return held

    def _compact(self, held: Opened) -> None:
        try:
            with self._compaction:
                with self._mutex:
                    if self._lock is None:  # closed, or what was published last could not be opened
                        self.refresh()
                    start = self._state
                path = base_path(self._directory, start.generation + 1)
                self._merged(start).save(path, generation=start.generation + 1)
                with self._mutex:
                    self._move_on(None, start.place, self._journal.records(start.place))
        finally:
            held.close()

    def replace(self, register: Register, /, *, shrink: float = 25.0, force: bool = False) -> None:
        """Let another register serve from now on, as the next generation.

        Raises StoreShrunk if a list would lose more than `shrink` percent of what it holds by some rule, or
        is missing, unless forced; TypeError for what is no Register.
        """
        _expect_register(register)
        with self._compaction, self._mutex:
            self._become_writer()
            if not force:
                _expect_no_less(self._directory, self._state.lists, register, shrink)
            self._move_on(register, replace(self._state.place, time=time.time_ns()), ())

    def _move_on(self, register: Register | None, place: Place, changes: Iterable[Record]) -> None:
        """Publish the next generation and serve it. register: None where its base is written already."""
        try:
            publish_generation(self._directory, self._state.generation + 1, register, place, changes)
            self.refresh()
            self._reopened()  # to write
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
            self._become_writer()
            current = self._state.generation
            gone = set()
            for path in sorted(self._directory.iterdir()):
                number = generation_of(path)
                if number is not None and not current - keep < number <= current:
                    path.unlink()
                    gone.add(number)
            return len(gone)

    def _become_writer(self) -> None:
        if self._doubt:
            raise StoreInDoubt(self._directory, "a store that was reopened since", self._doubt)
        if self._pinned is not None:
            raise StoreError(self._directory, "the newest generation, to write", f"generation {self._pinned}")
        if self._lock is not None:
            return
        lock = take_lock(self._directory)
        try:
            for path in self._directory.glob(".imeiset-*.tmp"):  # of a writer that died
                path.unlink(missing_ok=True)
            self.refresh()
            state, journal = self._state, self._journal
            if journal.nbytes != state.place.end or journal.committed != state.place.end:
                _journal.create(journal.path, state.generation, journal.start, journal.records(journal.start))
            self._lock = lock
            self._reopened()
        except BaseException:
            self._lock = None
            lock.close()
            raise

    def _after_fork(self) -> None:
        """In the child: the lock is the parent's, and threads and what they held are gone."""
        self._start_threads()
        self._stop = None
        self._let_go()
        for held in list(self._held):
            held.close()
        self._held = weakref.WeakSet()


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
