"""A store as any number of processes read it: opened, checked, and followed as it changes."""

import datetime
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal, NoReturn, Self

from imeiset.store.directory import Lock
from imeiset.store.events import Asked, Event, begin_of
from imeiset.store.frozen import Frozen
from imeiset.store.history import events, history_of
from imeiset.store.journal import Journal
from imeiset.store.state import Mode, State, load, refreshed
from imeiset.store.status import Status, fault_text, status_of
from imeiset.store.watcher import Watcher


class Reader(Frozen):
    """What a store is to those who read it, see `Store`."""

    def __init__(self, directory: Path, mode: Mode, generation: int | None, lock: Lock | None = None) -> None:
        self._directory = directory
        self._mode = mode
        self._pinned = generation
        self._lock = lock  # of the writer
        self._fault: str | None = None
        self._watcher: Watcher | None = None
        self._block: int | None = None  # the thread that is in one of `writing`
        self._automatic = False  # whether it compacts when that is due
        self._work: Future[None] | None = None  # that it began so
        self._start_threads()
        self._state, self._journal = self._load(generation)
        self._use(self._state.tables)
        _OPEN.add(self)

    def _start_threads(self) -> None:
        self._mutex = threading.RLock()
        self._compaction = threading.Lock()

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        /,
        *,
        mode: Mode = "mmap",
        generation: int | None = None,
        compact: Literal["auto"] | None = None,
    ) -> Self:
        """Open the store in a directory, in its newest state, to read it; the first change locks it to write.

        Parameters
        ----------
        directory
            Of the store.
        mode
            Of the base, see `ImeiSet.open`.
        generation
            An older one, with all its changes, as long as its files are kept; it stays as it is. None: the
            one that serves.
        compact
            "auto": a change after which compacting is due begins it, in a thread as `compact_in_background`.
            `close` waits for that. None: when you say so.

        Returns
        -------
        Store

        Raises
        ------
        StoreMissing
            The directory holds no store, or not that generation.
        StoreDamaged, SnapshotError
            Manifest, journal or base is not what was written.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Delta, Register, Store
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Store.create(folder, Register()) as writer:
        ...         reader = Store.open(folder, mode="memory")
        ...         number = writer.apply()
        ...     reader.sequence, reader.refresh(), reader.sequence
        (0, True, 1)
        """
        if compact not in (None, "auto"):
            raise ValueError(f"compact: expected 'auto' or None, got {compact!r}")
        self = cls(Path(directory), mode, generation)
        self._automatic = compact is not None
        return self

    @classmethod
    def verify(cls, directory: str | os.PathLike[str], /, *, mode: Mode = "mmap") -> Self:
        """Open a store, read all of its base and its journal, and compare every checksum.

        Parameters
        ----------
        directory, mode
            See `open`.

        Returns
        -------
        Store

        Raises
        ------
        StoreError, SnapshotError
            A kind of them says what is wrong.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Register, Store
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Store.create(folder, Register()).close()
        ...     Store.verify(folder).generation
        1
        """
        self = cls.open(directory, mode=mode)
        self._state.file.verify()
        self._state.base.expect_sound(self._state.file.path)
        return self

    def _load(self, generation: int | None, *, fetch: bool = False) -> tuple[State, Journal]:
        return load(self._directory, generation, self._mode, fetch=fetch, writable=self._lock is not None)

    def close(self) -> None:
        """Stop watching and writing. Checks go on as before.

        It waits for an `on_change` under way. A compaction under way goes on, and keeps others from writing
        until it ends.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Register, Store
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = Store.create(folder, Register())
        ...     store.close()
        """
        watcher, self._watcher = self._watcher, None
        if watcher is not None:  # in a block of `writing`, its thread may wait for this one
            watcher.stop(wait=self._block != threading.get_ident())
        with self._mutex:
            self._let_go()
        if self._work is not None and self._block != threading.get_ident():  # which it waits for
            self._work.exception()

    def _expect_no_block(self) -> None:
        """Who compacts waits for blocks: inside one it would be for ever."""
        if self._block == threading.get_ident():
            raise RuntimeError("expected compact, replace and prune outside of writing(), got one inside")

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
        return f"<Store {self._directory}, generation {self.generation}, change {self.sequence}>"

    def __reduce_ex__(self, _: object, /) -> NoReturn:
        raise TypeError("a Store holds a lock and cannot be copied or pickled: open its directory again")

    # ---- what it holds ----

    def save(self, path: str | os.PathLike[str], /) -> None:
        """Write the lists as they are now to a snapshot file, as `Register.save` does. The store stays.

        Parameters
        ----------
        path
            A file that is not one of a store.

        Raises
        ------
        SnapshotError
            The base is damaged.
        OSError
            The file cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Delta, EquipmentStatus, Register, Store
        >>> register = Register()
        >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(f"{folder}/eir", register) as store:
        ...     number = store.apply(Delta("stolen", add=["356938035643809"]))
        ...     store.save(f"{folder}/today.imei")
        ...     len(Register.open(f"{folder}/today.imei", mode="memory")["stolen"])
        2
        """
        self._state.flattened().save(path)

    def status(self) -> Status:
        """What the store is, and how old.

        Returns
        -------
        Status
            Generation, age, counts and sizes.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import EquipmentStatus, Register, Store
        >>> register = Register()
        >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, register) as store:
        ...     status = store.status()
        >>> status.sequence, status.counts, status.age < 60
        (0, {'stolen': {'exact': 1}}, True)
        """
        with self._mutex:
            state, size = self._state, self._journal.nbytes
        work = self._work
        failed = work.exception() if work is not None and work.done() else None
        return status_of(state, size, self._fault or (fault_text(failed) if failed else None))

    def history(self, imei: object = None, *, since: datetime.date | None = None) -> Iterator[Event]:
        """What became of a phone, or of all, on the lists here: as far back as the journals are kept.

        Parameters
        ----------
        imei
            As for `check`, or an irregular identity. None: all that changed.
        since
            A time, or a day in UTC: everything from the first change at or after it, in the order of changes.
            None: all. Of a phone, first what was there when the history begins.

        Yields
        ------
        Event

        Raises
        ------
        ImeiError
            It is not an IMEI, nor an irregular identity.
        StoreDamaged
            Files of the history are missing between others, or not what was written.

        Notes
        -----
        One pass over the journals, as they are now: changes that this reader has not moved to yet are told,
        too. Some 200 MB a second for one phone. See `prune` for how long they stay.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Delta, EquipmentStatus, Register, Store
        >>> register = Register()
        >>> register.add("stolen", [], status=EquipmentStatus.BLACKLISTED)
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, register) as store:
        ...     number = store.apply(Delta("stolen", add=["490154203237518"], by="police", ref="case 7"))
        ...     for event in store.history("490154203237518"):
        ...         print(event.sequence, event.list, event.action, event.by, event.ref)
        1 stolen added police case 7
        """
        asked = Asked.of(imei)
        with self._mutex:
            state = self._state
        if imei is None or since is not None:
            begin = None if since is None else begin_of(since)
            return events(self._directory, state.generation, asked, begin)
        return history_of(self._directory, state.generation, asked, state.lists)

    @property
    def feeds(self) -> dict[str, int]:
        """How far each feed is: the number of its last change.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Register, Store
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, Register()) as store:
        ...     number = store.apply(feed="op-a")
        ...     store.feeds
        {'op-a': 1}
        """
        return {name: feed.number for name, feed in self._state.editions.feeds.items()}

    # ---- how it follows the writer ----

    def refresh(self) -> bool:
        """Move to the newest state of the directory. Calls under way end on the old one.

        A directory that was restored or made again is loaded anew: no state has changes of two histories.

        Returns
        -------
        bool
            Whether it moved.

        Raises
        ------
        StoreError, SnapshotError
            The newest state cannot be read; the old one goes on serving.

        Notes
        -----
        Costs 25 us where nothing has changed, and O(changes since the last refresh) where something has.

        Examples
        --------
        See `open`, and

        >>> import tempfile
        >>> from imeiset import Register, Store
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, Register()) as store:
        ...     store.refresh()
        False
        """
        if self._pinned is not None:
            return False
        with self._mutex:
            before = self._state
            now = refreshed(before, self._directory, writable=self._lock is not None)
            self._state, self._journal = now or self._load(None, fetch=True)
            self._use(self._state.tables)
            return (self._state.generation, self._state.position) != (before.generation, before.position)

    def watch(self, interval: float = 0.2, on_change: Callable[[Any], object] | None = None) -> None:
        """Refresh every so many seconds, in a thread of this process, until `close`.

        Parameters
        ----------
        interval
            In seconds.
        on_change
            Called with the store, in that thread, after each move to a newer state.

        Raises
        ------
        ValueError
            The interval is not a time that a thread can wait.
        RuntimeError
            It is watched already.

        Notes
        -----
        An error, that of on_change too, is kept in `status().fault`; the next refresh tries again. A forked
        child is not watched.

        Examples
        --------
        >>> import tempfile, threading
        >>> from imeiset import Register, Store
        >>> moved = threading.Event()
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, Register()) as writer:
        ...     with Store.open(folder) as reader:
        ...         reader.watch(0.01, lambda store: moved.set())
        ...         number = writer.apply()
        ...         moved.wait(60), reader.sequence
        (True, 1)
        """
        if not 0 < interval <= threading.TIMEOUT_MAX:  # NaN neither
            raise ValueError(f"interval: expected seconds above 0, got {interval}")
        if self._watcher is not None:
            raise RuntimeError("the store is watched already: close() ends that")
        self._watcher = Watcher(self, interval, on_change)

    def _after_fork(self) -> None:
        """In the child: the lock is the parent's, and threads and what they held are gone."""
        self._start_threads()
        self._watcher = self._lock = self._work = None


_OPEN: "weakref.WeakSet[Reader]" = weakref.WeakSet()


def _after_fork() -> None:
    for one in list(_OPEN):
        one._after_fork()


os.register_at_fork(after_in_child=_after_fork)
