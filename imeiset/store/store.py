"""Store: a directory whose register changes while it serves.

    current             the manifest: which generation serves
    base-00000001.imei  a register, as `Register.save` writes it
    journal-00000001    the changes since
    lock                held by the writer, with its process number

One process writes, any number read. A change is in the journal, on the disk, before `apply` returns;
readers find it there. Compacting writes base and changes as the next generation. Whatever fails on the way,
the directory holds the old state or the new one.
"""

import datetime
import fcntl
import json
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import numpy as np
import xxhash
from numpy.typing import NDArray

from imeiset import columns, irregular, snapshot
from imeiset._files import Opened, publish
from imeiset._native.background import work_in_background
from imeiset._native.checks import Checker, Tables, mark
from imeiset.columns import Keys
from imeiset.errors import (
    SnapshotMissing,
    StoreBase,
    StoreDamaged,
    StoreError,
    StoreExists,
    StoreInDoubt,
    StoreLocked,
    StoreMissing,
    StoreSequence,
    StoreShrunk,
)
from imeiset.register.members import (
    NO_PAIRS,
    NOTHING,
    Column,
    Known,
    Members,
    Paired,
    are_imsis,
    dump,
    followed,
    union,
)
from imeiset.register.register import (
    KIND,
    List,
    Policy,
    Register,
    check_prefixes,
    date_text,
    known_after,
    make_tables,
    pair_columns,
    prefix_numbers,
    reasons_text,
    shrunk,
    tac_set,
)
from imeiset.sets import ImeiSet
from imeiset.store import journal as _journal
from imeiset.store.journal import Journal, Place, Record

if TYPE_CHECKING:
    from imeiset.deltas.apply import Applied
    from imeiset.feeds.loader import Progress
    from imeiset.feeds.reader import Options

_CURRENT, _LOCK = "current", "lock"
_WORD_KEYS = 4  # keys for each 64-bit word of the filter, at most: 16 bits each
_NICE = 5  # of the thread that compacts
_PAGE = 4096  # bytes, or more
_ATTEMPTS = 100  # to open a generation that is pruned meanwhile


@dataclass(frozen=True, slots=True)
class Delta:
    """Changes of one list: removals, then additions.

    add, remove: by rule, what the methods of `Register` take. "exact": a column of IMEIs or an ImeiSet.
    "range": (lows, highs). "tac": texts of 8 digits. "pair": (imeis, imsis). "irregular": irregular
    identities. "imsi": prefixes. rule: None is "pair" or "imsi" for lists of such, "exact" for others.
    reason, date: of all exact IMEIs that are added. To add what is there or remove what is not is no error.
    """

    list: str
    add: Any = field(default=None, repr=False)
    remove: Any = field(default=None, repr=False)
    rule: Literal["exact", "range", "tac", "pair", "irregular", "imsi"] | None = None
    reason: str | None = None
    date: object = None


@dataclass(frozen=True, slots=True)
class Status:
    """What a store is and how old. age: seconds since the last change, or since the base was made.

    counts: see `Register.counts`. digest: tells states apart; the same base and changes have the same.
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
    digest: str
    fault: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """A delta as the journal has it: arrays, or for irregular identities and prefixes texts."""

    about: dict[str, Any]
    add: tuple[NDArray[Any], ...]
    remove: tuple[NDArray[Any], ...]


_COLUMNS = {"exact": 1, "range": 2, "tac": 2, "pair": 2, "irregular": 0, "imsi": 0}


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """What readers see, frozen: a base, and what changed since."""

    generation: int
    base: Register
    file: snapshot.Snapshot  # of the base
    base_place: Place
    place: Place
    lists: tuple[List, ...]
    tables: Tables
    touched: Keys | None = None  # a filter, see `Tables`
    keys: int = 0  # in it
    wide: ImeiSet = field(default=NOTHING)

    @property
    def digest(self) -> str:
        return f"{self.place.digest:016x}"


class Store(Checker):
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
        with _locked(path) as lock:
            if (path / _CURRENT).exists():
                raise StoreExists(
                    path, "a directory without a store", "one with a store: open it, or replace()"
                )
            _publish(path, 1, register, Place(0, 0, time.time_ns()), ())
            store = cls(path, "mmap", None)
            store._lock = _again(lock)
            store._reopened()
        return store

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        /,
        mode: Literal["mmap", "memory"] = "mmap",
        *,
        generation: int | None = None,
    ) -> Self:
        """The store in a directory, in its newest state; or an older generation, with all its changes, as
        long as its files are kept, which then stays as it is.

        mode: as for `ImeiSet.open`. Raises a kind of StoreError or SnapshotError.
        """
        return cls(Path(directory), mode, generation)

    @classmethod
    def verify(cls, directory: str | os.PathLike[str], /) -> Self:
        """Open a store, read all of its base and its journal, and return it.

        As `Register.verify`; a journal is always read whole. Raises a kind of StoreError or SnapshotError.
        """
        self = cls.open(directory)
        self._state.file.verify()
        self._state.base._expect_sound(self._state.file)
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
    def digest(self) -> str:
        """Tells states apart: the same base and the same changes have the same."""
        return self._state.digest

    def __getitem__(self, name: str, /) -> ImeiSet:
        """The exact IMEIs of a list now. KeyError for a name that no list has."""
        return Register._of(self._state.lists, self.policy)[name]

    def save(self, path: str | os.PathLike[str], /) -> None:
        """Write the lists as they are now to a snapshot file, as `Register.save` does; the store stays."""
        self._merged(self._state).save(path)

    def _merged(self, state: _State) -> Register:
        state.file.verify()  # most of it is copied: damage must not get a checksum of its own
        merged = [one.merged() for one in state.lists]
        known = known_after(cast(Known, state.base._known), state.lists, merged)
        return Register._of(merged, state.base.policy, known)

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
            digest=state.digest,
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
                journal = self._reopened() if _manifest(self._directory) == before.generation else None
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
        path, writable = _journal_path(self._directory, state.generation), self._lock is not None
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

    def _load(self, generation: int | None, *, fetch: bool = False) -> tuple[_State, Journal]:
        """The newest state of a generation; None: of the one that serves. fetch: its pages too, so that no
        check waits for them."""
        for attempt in range(_ATTEMPTS):
            current = _manifest(self._directory)
            wanted = current if generation is None else generation
            if not 1 <= wanted <= current:
                raise StoreMissing(self._directory, f"a generation from 1 to {current}", f"{wanted}")
            try:
                file = snapshot.open(_base(self._directory, wanted), self._mode, kind=KIND)
                journal = Journal(_journal_path(self._directory, wanted), wanted, file.digest)
            except (SnapshotMissing, StoreMissing):  # pruned meanwhile?
                if generation is not None or (attempt and _manifest(self._directory) == current):
                    raise
                continue
            if fetch:
                for section in file.sections.values():
                    np.frombuffer(section, np.uint8)[::_PAGE].max(initial=0)
            register = Register._from(file)
            start = journal.start
            state = _State(
                generation=wanted,
                base=register,
                file=file,
                base_place=start,
                place=start,
                lists=register.lists,
                tables=register._tables(),
            )
            return self._caught_up(state, journal), journal
        raise StoreMissing(self._directory, "a generation that stays", "one that was pruned each time")

    def _caught_up(self, state: _State, journal: Journal) -> _State:
        """A state with all changes after it."""
        changes: list[_Change] = []
        last: Record | None = None
        for last in journal.records(state.place):
            changes += _unpacked(last.payload, journal.path)
        try:
            return state if last is None else _changed(state, changes, last.place)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise StoreDamaged(journal.path, "changes of the lists of its base", repr(error)) from None

    # ---- writing ----

    def apply(self, *deltas: Delta, sequence: int | None = None, base: str | None = None) -> int:
        """Make changes, all or none; they are on the disk when this returns. Returns their number.

        sequence: the number they must get. One that was applied before is not applied again; a gap, or
        other changes under that number, raise StoreSequence. base: the `digest` of the state that they are
        for; StoreBase if it is another. Raises ImeiError or ValueError for deltas that are wrong, and
        StoreLocked while another process writes. After StoreInDoubt, reopen.
        """
        with self._mutex:
            self._become_writer()
            state = self._state
            changes = [_change(delta, state.lists) for delta in deltas]
            payload = _packed(changes)
            number = state.place.sequence + 1 if sequence is None else index(sequence)
            if number < 1:
                raise ValueError(f"sequence: expected 1 or more, got {number}")
            if number <= state.place.sequence:
                self._expect_same(number, payload)
                return number
            if number > state.place.sequence + 1:
                raise StoreSequence(self._directory, f"change {state.place.sequence + 1}", f"{number}")
            if base is not None and base != state.digest:
                raise StoreBase(self._directory, f"a delta for state {state.digest}", f"one for {base}")
            record, place = _journal.after(state.place, max(time.time_ns(), state.place.time), payload)
            after = _changed(state, changes, place)  # all that may be wrong with them, before the disk
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

    def apply_file(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        /,
        *,
        change: str | None = None,
        checks: Iterable[str] = ("add", "remove", "update", "conflict"),
        min_size: float = 75.0,
        expect_digest: str | None = None,
        sequence: int | None = None,
        base: str | None = None,
        options: "Options | None" = None,
        progress: "Progress | None" = None,
    ) -> "tuple[int, Applied]":
        """Apply a delta file to a list, as `apply` does; its number, and what became of it.

        name: of the list; None if there is but one. The file, change, checks, min_size, expect_digest and
        options are as for `deltas.apply`; of IMEIs the reasons and dates are kept. A delta that was
        applied before under its number is not checked again.
        """
        from imeiset.deltas.apply import Applied
        from imeiset.deltas.lists import ListDelta

        if name is None and len(self.lists) == 1:
            name = self.lists[0].name
        delta = ListDelta(path, _named(self.lists, name), change=change, options=options, progress=progress)
        changes = [Delta(cast(str, name), **some) for some in delta.changes(checks)]
        with self._mutex:
            self._become_writer()
            applied = Applied(sources=[delta.report])
            if sequence is None or sequence == self.sequence + 1:
                applied = delta.check(
                    _named(self.lists, name), checks, min_size=min_size, expect_digest=expect_digest
                )
            number = self.apply(*changes, sequence=sequence, base=base)
            applied.digest = self.digest
            return number, applied

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
            held = _again(cast(Opened, self._lock))
            self._held.add(held)
            return held

    def _compact(self, held: Opened) -> None:
        try:
            with self._compaction:
                with self._mutex:
                    if self._lock is None:  # closed, or what was published last could not be opened
                        self.refresh()
                    start = self._state
                path = _base(self._directory, start.generation + 1)
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
            _publish(self._directory, self._state.generation + 1, register, place, changes)
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
                number = _generation_of(path)
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
        lock = _take_lock(self._directory)
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


# ---- the directory -----------------------------------------------------------------------


def _base(directory: Path, generation: int) -> Path:
    return directory / f"base-{generation:08d}.imei"


def _journal_path(directory: Path, generation: int) -> Path:
    return directory / f"journal-{generation:08d}"


def _generation_of(path: Path) -> int | None:
    """The generation that a file belongs to."""
    for prefix, suffix in (("base-", ".imei"), ("journal-", "")):
        number = path.name.removeprefix(prefix).removesuffix(suffix)
        if path.name == f"{prefix}{number}{suffix}" and number.isascii() and number.isdigit():
            return int(number)
    return None


def _manifest(directory: Path) -> int:
    """The generation that serves."""
    path = directory / _CURRENT
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        got = "a directory without one" if directory.is_dir() else "no such directory"
        raise StoreMissing(directory, "a store", got) from error
    except NotADirectoryError as error:
        raise StoreMissing(directory, "the directory of a store", "a file") from error
    except OSError as error:
        raise StoreMissing(directory, "a store", error.strerror or str(error)) from error
    try:
        generation = json.loads(text.partition(b" ")[0])["generation"]
        if text == _manifest_text(generation):
            return int(generation)
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    raise StoreDamaged(path, "a manifest as it was written", repr(text[:100]))


def _manifest_text(generation: int) -> bytes:
    text = dump({"generation": generation, "version": 1})
    return text + f" {xxhash.xxh3_64_hexdigest(text)}\n".encode()


def _publish(
    directory: Path, generation: int, register: Register | None, place: Place, changes: Iterable[Record]
) -> None:
    """Base, journal, and last of all the manifest that names them."""
    path = _base(directory, generation)
    if register is not None:
        register.save(path, generation=generation)
    base = snapshot.open(path, kind=KIND)
    Register._from(base)  # what cannot be read is not what serves
    start = replace(place, digest=base.digest, end=_journal.HEADER_SIZE)
    _journal.create(_journal_path(directory, generation), generation, start, changes)
    with publish(directory / _CURRENT) as file:
        file.write(_manifest_text(generation))


@contextmanager
def _locked(directory: Path) -> Iterator[Opened]:
    lock = _take_lock(directory)
    try:
        yield lock
    finally:
        lock.close()


def _take_lock(directory: Path) -> Opened:
    """The lock file, locked until it is closed or its process ends, however it ends."""
    lock = Opened(os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
    try:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(OSError):  # only a help for people
            os.ftruncate(lock.fileno(), 0)
            os.pwrite(lock.fileno(), f"{os.getpid()}\n".encode(), 0)
        return lock
    except BlockingIOError:
        writer = os.pread(lock.fileno(), 20, 0).decode(errors="replace").strip()
        lock.close()
        which = ", this one: close its other Store" if writer == str(os.getpid()) else ""
        raise StoreLocked(directory, "no other writer", f"process {writer or '?'}{which}") from None
    except BaseException:
        lock.close()
        raise


def _again(lock: Opened) -> Opened:
    """Another descriptor of the lock: until both are closed, nobody else has it."""
    return Opened(os.dup(lock.fileno()))


def _expect_register(register: object) -> None:
    """A set would be written as a base that cannot be read."""
    if not isinstance(register, Register):
        raise TypeError(f"expected a Register, got {type(register).__name__}: Register.add takes sets")


def _expect_no_less(directory: Path, lists: Sequence[List], register: Register, shrink: float) -> None:
    before = {one.name: one.counts() for one in lists}
    if found := shrunk(before, register.counts(), 100 - shrink):
        expected, got = found
        raise StoreShrunk(directory, expected, f"{got}: force it if that is right")


# ---- changes -------------------------------------------------------------------------------


def _named(lists: Sequence[List], name: str | None) -> List:
    """The list of that name."""
    for one in lists:
        if one.name == name:
            return one
    raise ValueError(f"list: expected one of {', '.join(one.name for one in lists)}, got {name!r}")


def _change(delta: Delta, lists: Sequence[List]) -> _Change:
    """A delta, understood."""
    if not isinstance(delta, Delta):
        raise TypeError(f"expected Deltas, got {type(delta).__name__}")
    one = _named(lists, delta.list)
    rule = delta.rule or {"exempt": "pair", "lock": "pair", "imsis": "imsi"}.get(one.kind, "exact")
    kinds = {"pair": ("exempt", "lock"), "imsi": ("imsis",)}.get(rule, ("imeis",))
    if rule not in _COLUMNS or one.kind not in kinds:
        raise ValueError(
            f"rule: expected one of list {one.name!r}, which is of kind {one.kind!r}, got {rule!r}"
        )
    if rule != "exact" and (delta.reason is not None or delta.date is not None):
        raise ValueError(f"reason and date: expected with exact IMEIs only, got with rule {rule!r}")
    about: dict[str, Any] = {"list": one.name, "rule": rule}
    about["reason"] = reasons_text(delta.reason)
    about["date"] = date_text(delta.date)
    add, remove = _arrays(rule, delta.add), _arrays(rule, delta.remove)
    if not _COLUMNS[rule]:
        about["add"], about["remove"] = sorted(add), sorted(remove)
        return _Change(about, (), ())
    about["add"], about["remove"] = len(add[0]), len(remove[0])
    return _Change(about, tuple(add), tuple(remove))


def _arrays(rule: str, given: Any) -> list[Any]:
    """What is added or removed: arrays in normal form, or texts."""
    two = {"range": "lows and highs", "pair": "IMEIs and IMSIs"}.get(rule)
    if given is None:
        given = ((), ()) if two else ()
    if two and not (isinstance(given, list | tuple) and len(given) == 2):
        raise TypeError(f"rule {rule!r}: expected a pair of columns, {two}, got {type(given).__name__}")
    if rule == "exact":
        if isinstance(given, ImeiSet):
            if given.irregular is not None and len(given.irregular):
                raise ValueError(
                    "expected a set without irregular identities: give them with rule 'irregular'"
                )
            return [given.to_numpy()]
        return [ImeiSet.from_keys(columns.keys_of(given)).to_numpy()]
    if rule in ("range", "tac"):
        runs = list((tac_set(given) if rule == "tac" else ImeiSet.from_ranges(*given))._runs())
        return [np.concatenate(ends) for ends in zip(*runs, strict=True)]
    if rule == "pair":
        pairs = _flat(*pair_columns(*given))
        return list(pairs)
    if rule == "irregular":
        return [text.decode() for text in irregular.table(given).tolist()]
    return [str(number)[1:] for number in prefix_numbers(given)]


def _flat(keys: Keys, imsis: Keys) -> tuple[Keys, Keys]:
    order = np.lexsort((imsis, keys))
    return keys[order], imsis[order]


def _packed(changes: Sequence[_Change]) -> bytes:
    """A payload: what there is as JSON, filled up to 8 bytes, and the arrays one after another."""
    about = dump([change.about for change in changes])
    about += b" " * (-len(about) % 8)
    arrays = [array for change in changes for array in (*change.add, *change.remove)]
    return b"".join(
        [len(about).to_bytes(8, "little"), about, *(array.astype("<u8").tobytes() for array in arrays)]
    )


def _unpacked(payload: bytes, path: Path) -> list[_Change]:
    try:
        end = 8 + int.from_bytes(payload[:8], "little")
        numbers = np.frombuffer(payload[end:], "<u8")
        changes, at = [], 0
        for about in json.loads(payload[8:end]):
            texts = [about[name] for name in ("list", "rule", "reason", "date")]
            if not all(isinstance(text, str) for text in texts) or date_text(texts[3]) != texts[3]:
                raise ValueError(f"a change with another list, rule, reason or date than may be: {texts}")
            sides = []
            for side in ("add", "remove"):
                arrays = []
                for _ in range(_COLUMNS[about["rule"]]):
                    if not 0 <= about[side] <= len(numbers) - at:
                        raise ValueError(f"{about[side]} numbers, of which {len(numbers) - at} are there")
                    arrays.append(numbers[at : at + about[side]])
                    at += about[side]
                if about["rule"] == "pair" and not are_imsis(arrays[1]):
                    raise ValueError("pairs with numbers that are no IMSIs")
                sides.append(tuple(arrays))
            changes.append(_Change(about, *sides))
        if at != len(numbers):
            raise ValueError(f"{len(numbers)} numbers, of which {at} are used")
        return changes
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise StoreDamaged(path, "changes", str(error)) from None


def _changed(state: _State, changes: Iterable[_Change], place: Place) -> _State:
    """A state after changes. O(changes so far), however many they come in."""
    lists = {one.name: one for one in state.lists}
    together: dict[tuple[str, str], list[_Change]] = {}
    keys: list[Keys] = []
    wide = [state.wide]
    for change in changes:
        name, rule = change.about["list"], change.about["rule"]
        if _COLUMNS[rule]:  # of numbers, each of which its last change decides about
            together.setdefault((name, rule), []).append(change)
        else:
            lists[name] = _texts_changed(lists[name], rule, change)
            check_prefixes(lists[name], lists.values())
        if rule in ("exact", "pair"):
            keys += [change.add[0], change.remove[0]]
    for (name, rule), some in together.items():
        lists[name] = _list_changed(lists[name], rule, some, wide)
    frozen = tuple(lists.values())
    touched, count = _touched(state, frozen, keys)
    covered = union(wide)
    known = cast(Known, state.base._known)
    tables = make_tables(frozen, state.base.policy, known, touched, covered if len(covered) else None)
    return replace(state, place=place, lists=frozen, tables=tables, touched=touched, keys=count, wide=covered)


def _net(changes: Sequence[_Change]) -> tuple[ImeiSet, ImeiSet, tuple[Column | None, Column | None]]:
    """What changes of exact IMEIs come to: added, removed, and the reasons and dates of the added."""
    sides = [side[0] for change in changes for side in (change.remove, change.add)]
    keys = np.concatenate(sides)
    step = np.repeat(np.arange(len(sides)), [len(side) for side in sides])
    order = np.argsort(keys, kind="stable")
    keys, step = keys[order], step[order]
    last = np.append(keys[1:] != keys[:-1], True)[: len(keys)]
    keys, step = keys[last], step[last]
    added = step % 2 == 1
    column_of = []
    for name in ("reason", "date"):
        texts = [change.about[name] for change in changes]
        values = {text: code for code, text in enumerate(["", *sorted({*texts} - {""})])}
        codes = np.array([values[text] for text in texts])[step[added] // 2]
        column_of.append(Column.of(values, codes))
    return (
        ImeiSet.from_keys(keys[added]),
        ImeiSet.from_keys(keys[~added]),
        (column_of[0], column_of[1]),
    )


def _net_pairs(changes: Sequence[_Change]) -> tuple[tuple[Keys, Keys], tuple[Keys, Keys]]:
    """What changes of pairs come to: added, removed."""
    if len(changes) == 1:
        return _two(changes[0].add), _two(changes[0].remove)
    sides = [side for change in changes for side in (change.remove, change.add)]
    keys, imsis = (np.concatenate(column) for column in zip(*sides, strict=True))
    step = np.repeat(np.arange(len(sides)), [len(side[0]) for side in sides])
    order = np.lexsort((step, imsis, keys))
    keys, imsis, step = keys[order], imsis[order], step[order]
    last = np.append((keys[1:] != keys[:-1]) | (imsis[1:] != imsis[:-1]), True)[: len(keys)]
    added, removed = last & (step % 2 == 1), last & (step % 2 == 0)
    return (keys[added], imsis[added]), (keys[removed], imsis[removed])


def _net_ranges(changes: Sequence[_Change]) -> tuple[ImeiSet, ImeiSet]:
    """What changes of ranges come to: added, removed. Neighbours first: so large sets are made seldom."""
    sides = ((change.add, change.remove) for change in changes)
    steps = [(ImeiSet._from_ranges(*add), ImeiSet._from_ranges(*remove)) for add, remove in sides]
    while len(steps) > 1:
        odd = steps[len(steps) // 2 * 2 :]
        steps = [*map(followed, steps[::2], steps[1::2]), *odd]
    return steps[0]


def _list_changed(one: List, rule: str, changes: Sequence[_Change], wide: list[ImeiSet]) -> List:
    """A list after changes by one rule; what ranges they touched goes to `wide`."""
    if rule == "pair":
        pairs = one.pairs or Paired(NO_PAIRS)
        return replace(one, pairs=pairs.changed_by(*_net_pairs(changes)))
    members: Members = getattr(one, rule) or Members(NOTHING)
    if rule == "exact":
        return replace(one, exact=members.changed_by(*_net(changes)))
    added, removed = _net_ranges(changes)
    wide += [added, removed]
    parts: dict[str, Any] = {rule: members.changed_by(added, removed)}
    return replace(one, **parts)


def _texts_changed(one: List, rule: str, change: _Change) -> List:
    """A list after a change of IMSI prefixes or irregular identities."""
    add, remove = change.about["add"], change.about["remove"]
    if rule == "imsi":
        return replace(one, prefixes=(one.prefixes - prefix_numbers(remove)) | prefix_numbers(add))
    gone, new = ({text.encode() for text in texts} for texts in (remove, add))
    return replace(one, texts=(one.texts - gone) | new)


def _two(arrays: tuple[NDArray[Any], ...]) -> tuple[Keys, Keys]:
    return arrays[0], arrays[1]


def _touched(state: _State, lists: Sequence[List], keys: list[Keys]) -> tuple[Keys | None, int]:
    """The filter of the changed keys, with these, and how many are in it; a key may count more than once."""
    count = state.keys + sum(map(len, keys))
    if not count:
        return None, 0
    if state.touched is not None and count <= len(state.touched) * _WORD_KEYS:
        words = state.touched.copy()
    else:  # from all that changed, these too, each once for its list: twice as large as that needs
        sets = [one for given in lists if given.exact for one in (given.exact.added, given.exact.removed)]
        sets += [one.pairs.touched for one in lists if one.pairs]
        count, keys = sum(map(len, sets)), [members.to_numpy() for members in sets]
        words = np.zeros(max(1 << 10, 1 << (count * 2 // _WORD_KEYS).bit_length()), np.uint64)
    for some in keys:
        mark(words, some)
    return words, count
