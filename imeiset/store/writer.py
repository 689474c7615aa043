"""The one writer of a store: its lock, and changes that are on the disk before anybody hears of them."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import index
from pathlib import Path

from imeiset import errors
from imeiset.register.lists import List
from imeiset.store import journal as _journal
from imeiset.store.changes import Delta, change_of
from imeiset.store.directory import HISTORY, UNPUBLISHED, Lock, base_path, generation_of, is_serving
from imeiset.store.feeds import expect_owner, missing
from imeiset.store.held import with_held
from imeiset.store.journal import Position, Record
from imeiset.store.payload import MAX_NUMBER, Change, Payload, content_digest, feed_name, packed, unpacked
from imeiset.store.reader import Reader
from imeiset.store.state import changed, publish_generation


class Writer(Reader):
    """What a store is to the process that changes it, see `Store`."""

    _doubt: str | None = None  # why nobody knows whether the last change was made

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep all others from changing the store while a block runs: what it sees is what it changes.

        Yields
        ------
        None

        Raises
        ------
        StoreLocked, StoreReplaced, StoreInDoubt
            See `apply`.

        RuntimeError
            For `compact`, `replace` and `prune` inside.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Delta, EquipmentStatus, Register, Store
        >>> register = Register()
        >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, register) as store:
        ...     with store.writing():
        ...         if "490154203237518" in store["stolen"]:
        ...             number = store.apply(Delta("stolen", remove=["490154203237518"]))
        ...     len(store["stolen"])
        0
        """
        with self._mutex:
            self._expect_ours(self._become_writer())
            before, self._block = self._block, threading.get_ident()
            try:
                yield
            finally:
                self._block = before

    def apply(
        self,
        *deltas: Delta,
        feed: str | None = None,
        sequence: int | None = None,
        after: int | None = None,
        base: str | None = None,
    ) -> int:
        """Make changes, all of them or none. They are on the disk when this returns.

        Parameters
        ----------
        *deltas
            Applied one after another; readers see all of them at once.
        feed
            Who sends the changes and numbers them: 1 to 100 printable characters. None: the numbers are the
            store's, of which changes of feeds have one each, too.
        sequence
            The number that the change must get. What was applied before under its number is not applied
            again. None: the next one.
        after
            The number of the feed's change before this one, where a feed leaves numbers out. None: one less.
        base
            The `state_id` of the state that the deltas are for. None: any.

        Returns
        -------
        int
            The number of the change: the feed's, or without a feed the store's.

        Raises
        ------
        ImeiError, ImsiError, ValueError
            A delta is wrong.
        StoreSequence
            Numbers are missing before `sequence`, or it was given to another change: one that adds or removes
            something else. Of a feed, the last 64 changes are compared.
        StoreOwner
            A list has another owner than `by` of its delta, which is the feed where it does not tell.
        StoreBase
            The store is in another state than `base`.
        StoreLocked
            Another process writes.
        StoreReplaced
            The files of this writer were replaced. Nothing was written.
        StoreInDoubt
            The disk failed, or files were replaced at this moment: open the store again to see whether the
            change was made.
        OSError
            The disk is full. Nothing was written.

        Notes
        -----
        Costs O(changes) and a sync, however many there were since the base. Changes are in order by their
        numbers, not their times.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Delta, Register, Store
        >>> register = Register()
        >>> register.exempt("testers", ["490154203237518"], ["001010123456789"])
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, register) as store:
        ...     number = store.apply(Delta("testers", remove=(["490154203237518"], ["001010123456789"])))
        ...     number, store.apply(sequence=2), store.apply(feed="op-a")
        (1, 2, 1)
        """
        name = feed_name(feed)
        with self._mutex:
            lock, state = self._become_writer(), self._state
            last = state.editions.number(name) if name else state.position.sequence
            number, before = _numbers(last, name, sequence, after)
            known = {one.name for one in state.lists}
            if number <= last and not known.issuperset(_names(deltas)):
                self._expect_ours(lock)
                return number  # of a list that is gone: whether it was this change cannot be told any more
            changes = [change_of(delta, state.lists, name) for delta in deltas]
            if number <= last or before != last or base not in (None, self.state_id):
                self._expect_ours(lock)  # before anything is said of the state
            if number <= last:  # it was applied before: if that is still known, it must be this
                self._expect_same(name, number, changes)
                return number
            if before != last:
                raise missing(self._directory, state.editions, name, last, number, after)
            if base not in (None, self.state_id):
                expected = f"a delta for state {self.state_id}"
                raise errors.StoreBase(self._directory, expected, f"one for {base}")
            expect_owner(self._directory, changes, state.lists, name)
            self._write(lock, changes, name, number)
            return number

    def _expect_same(self, feed: str, number: int, changes: Sequence[Change]) -> None:
        """Raise StoreSequence if a change that was applied before was another, as far as that is known."""
        if feed:
            self._state.editions.feeds[feed].expect_same(self._directory, feed, number, changes)
            return
        for old in self._journal.records(self._journal.start):
            if old.position.sequence == number:
                payload = unpacked(old.payload, self._journal.path)
                if content_digest(payload.changes) != content_digest(changes):
                    expected = f"change {number} as it was applied"
                    raise errors.StoreSequence(self._directory, expected, "another")

    def _write(
        self,
        lock: Lock,
        changes: Sequence[Change],
        feed: str = "",
        number: int | None = None,
        expect: Callable[[tuple[List, ...]], object] | None = None,
    ) -> int:
        """Make changes the next record of the store, and serve it: the number of that.

        number: the feed's. expect: is told all lists as they will be, and raises to refuse the changes.
        """
        state, now = self._state, time.time_ns()
        payload = Payload(tuple(with_held(changes, state.lists)), feed, number if feed else None)
        record, position = _journal.after(state.position, now, packed(payload))
        # All that may be wrong with them, before the disk.
        after = changed(state, payload.changes, position, state.editions.after(payload, now))
        if expect is not None:
            expect(after.lists)
        self._expect_ours(lock)
        what = f"change {position.sequence}"
        try:
            self._journal.append(record, state.position.end)
            if lost := self._lost(lock, position):
                self._doubt = f"another {lost} when {what} was written"
                raise errors.StoreInDoubt(self._directory, "a change in this store", self._doubt)
            self._journal.commit(position.end)
            self._state = after
            self._use(after.tables)
        except OSError as error:
            if self._journal.nbytes > state.position.end:
                self._doubt = f"{error.strerror} while {what} was written"
                raise errors.StoreInDoubt(self._directory, "a change on the disk", self._doubt) from error
            raise OSError(error.errno, error.strerror, str(self._journal.path)) from error
        except BaseException as error:  # of a signal: readers may have the change already
            self._doubt = self._doubt or f"{type(error).__name__} while {what} was written"
            raise
        self._written()
        return position.sequence

    def _written(self) -> None:
        """What a store does by itself after a change."""

    def _move_on(
        self,
        lock: Lock,
        base: Path,
        position: Position,
        changes: Iterable[Record],
        history: Path | None = None,
    ) -> None:
        """Publish the next generation and serve it. base, history: where they are `unpublished`."""
        number, check = self.generation + 1, lambda: self._expect_ours(lock)
        try:
            publish_generation(self._directory, number, base, position, changes, check, history)
            self.refresh()
        except BaseException:  # the manifest may name the next generation: no change may go to this one
            self._let_go()
            raise

    def _hold(self) -> Lock:
        """The lock once more: nobody else writes, after `close` too, until it is closed."""
        with self._mutex:
            return self._expect_ours(self._become_writer()).again()

    def _become_writer(self) -> Lock:
        if self._doubt:
            raise errors.StoreInDoubt(self._directory, "a store that was reopened since", self._doubt)
        if self._pinned is not None:
            raise errors.StoreError(self._directory, "the newest generation", f"generation {self._pinned}")
        if self._lock is not None:
            return self._lock
        try:
            self._lock = lock = Lock.take(self._directory)
            for path in self._directory.glob(f"{UNPUBLISHED}*"):  # of a writer that died
                path.unlink(missing_ok=True)
            self.refresh()
            for path in self._directory.glob(f"{HISTORY}*"):  # of a replacement that was never published
                if (generation_of(path) or 0) > self.generation:
                    path.unlink(missing_ok=True)
            state, journal = self._state, self._journal
            end, old = state.position.end, journal.version < _journal.VERSION
            if old or journal.nbytes != end or journal.committed != end:
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
        if not self._journal.ends_at(position):
            return "journal"
        if not is_serving(self._directory, self.generation):
            return "manifest"
        return "" if self._state.file.is_at(base_path(self._directory, self.generation)) else "base"

    def _expect_ours(self, lock: Lock, lost: str = "") -> Lock:
        """Before anything is written."""
        if lost := lost or self._lost(lock, self._state.position):
            self._let_go()
            expected = "the lock, journal, manifest and base that this writer took"
            got = f"another {lost}, or none. Nothing was written; the next change reads what is there first"
            raise errors.StoreReplaced(self._directory, expected, got)
        return lock


def _names(deltas: Iterable[object]) -> Iterator[str]:
    return (delta.list for delta in deltas if isinstance(delta, Delta))


def _numbers(last: int, feed: str, sequence: int | None, after: int | None) -> tuple[int, int]:
    """The number of a change, and that of the one before it."""
    number = last + 1 if sequence is None else index(sequence)
    if not 1 <= number <= MAX_NUMBER:
        raise ValueError(f"sequence: expected 1 or more, got {number}")
    if after is None:
        return number, number - 1
    if not feed or sequence is None:
        raise ValueError("after: expected with feed and sequence only")
    if not 0 <= index(after) < number:
        raise ValueError(f"after: expected 0 to {number - 1}, got {after}")
    return number, index(after)
