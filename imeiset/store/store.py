"""A store: a directory whose register changes while it serves.

A change is in the journal, on the disk, before `apply` returns; readers find it there. Compacting writes base
and changes as the next generation. Whatever fails on the way, the directory holds the old state or the new.
"""

import os
import time
from concurrent.futures import Future
from dataclasses import replace
from operator import index
from pathlib import Path
from typing import Self

from imeiset import errors
from imeiset.register.layout import Contents
from imeiset.register.lists import shrunk
from imeiset.register.register import Register
from imeiset.store.background import Background
from imeiset.store.directory import MANIFEST, Lock
from imeiset.store.feeds import Editions, moved, with_lists_of
from imeiset.store.history import prunable, record_replace
from imeiset.store.journal import Position
from imeiset.store.keeping import Keeper
from imeiset.store.payload import MAX_NUMBER, Payload, feed_name, text_of
from imeiset.store.state import REMAINS, has_other_base, has_remains, publish_generation, saved, unpublished
from imeiset.store.status import compact_due

_DAY = 86_400 * 10**9  # ns
_LONG = 10**6  # days


class Store(Keeper):
    """A register in a directory that changes while it serves.

    A mapping of the names of its lists to their exact IMEIs, as a `Register` is, and always true. Any number
    of threads may use it. `check` and `check_many` answer by the state of the last `refresh`, or of the last
    change that was made here; each call by one state.

    Attributes
    ----------
    policy, lists, state_id
        See `Register`, and `Status`.
    generation, sequence : int
        Of the base and of the last change that serve.
    feeds : dict of str to int
        The number of the last change of each feed.

    Notes
    -----
    The first change makes this process the writer, until `close`. After a fork the child is a reader. A store
    cannot be copied or pickled. The umask decides who may read its files, so that other users can serve it.

    Examples
    --------
    >>> import tempfile
    >>> from imeiset import Delta, EquipmentStatus, Register, Store
    >>> register = Register()
    >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
    >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, register) as store:
    ...     number = store.apply(Delta("stolen", add=["356938035643809"], reason="lost"))
    ...     store.check("356938035643809").reasons
    ('lost',)
    """

    _tried = 0, 0  # the generation and the bytes of its journal when it last began to compact by itself

    @classmethod
    def create(cls, directory: str | os.PathLike[str], register: Register, /) -> Self:
        """Make a store of a register, and open it as its writer.

        Parameters
        ----------
        directory
            It is made if it is not there. One with other files in it will do.
        register
            The first base. The store has its policy and its lists, in their order.

        Returns
        -------
        Store

        Raises
        ------
        StoreExists
            A store is there, or a file.
        OSError
            The directory cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Register, Store
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = Store.create(f"{folder}/eir", Register())
        """
        _expect_register(register)
        return cls._created(Path(directory), register._now(), time.time_ns(), Editions(), again=False)

    @classmethod
    def _create_followed(
        cls, directory: str | os.PathLike[str], register: Register, *, feed: str, number: int
    ) -> Self:
        """Make a store of a base that a feed published, and open it as its writer, as `create` does.

        Parameters
        ----------
        directory, register
            See `create`. The lists become the feed's.
        feed, number
            Whose they are, and the edition of it that they are.

        Returns
        -------
        Store

        Raises
        ------
        StoreExists, OSError
            See `create`.
        StoreOwner
            A list has another owner.
        """
        _expect_register(register)
        name, through = feed_name(feed), _expect_through(feed, number)
        given, now, path = register._now(), time.time_ns(), Path(directory)
        lists = with_lists_of(name, path, (), given.lists)
        contents = Contents(lists, given.policy, given.coverage)
        editions = moved(path, Editions(), name, through, now)
        editions = editions.of_lists([one.name for one in lists], lists, now)
        return cls._created(path, contents, now, editions)

    @classmethod
    def _created(
        cls, path: Path, contents: Contents, now: int, editions: Editions, *, again: bool = True
    ) -> Self:
        """again: the caller has seen to what a first base holds that is there without a manifest."""
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise errors.StoreExists(path, "a directory, to make a store in", "a file") from None
        lock = Lock.take(path)
        try:

            def expect_none() -> None:
                if (path / MANIFEST).exists() or not lock.is_at(lock.path):
                    got = "one with a store: open it, or replace()"
                    raise errors.StoreExists(path, "a directory without a store", got)
                if has_remains(path) or others:
                    got = f"one whose file '{MANIFEST}' is gone: {REMAINS}"
                    raise errors.StoreExists(path, "a directory without a store", got)

            others = False
            expect_none()
            others = not again and has_other_base(path, contents)
            expect_none()
            with saved(contents, editions, path, 1) as base:
                publish_generation(path, 1, base, Position(0, 0, now), (), expect_none)
            return cls(path, "mmap", None, lock)
        except BaseException:
            lock.close()
            raise

    def compact(self) -> None:
        """Write base and changes as the next generation, which keeps changes and refreshes fast.

        Checks and changes go on meanwhile. The old files stay until `prune`.

        Raises
        ------
        SnapshotError, StoreError
            The base is damaged, and stays; or as `apply` does.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Register, Store
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, Register()) as store:
        ...     number = store.apply()
        ...     store.compact()
        ...     store.generation, store.sequence
        (2, 1)
        """
        self._expect_no_block()
        self._compact(self._hold())

    def compact_in_background(self) -> Future[None]:
        """Compact in a thread that gives way to others.

        Returns
        -------
        concurrent.futures.Future
            Its result, or its error, is that of `compact`. When it has one, the thread has ended.

        Raises
        ------
        StoreError
            At once, where this process cannot write.

        Notes
        -----
        While every processor is busy with other things, it may take minutes.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Register, Store
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, Register()) as store:
        ...     store.compact_in_background().result()
        ...     store.generation
        2
        """
        held = self._hold()
        return Background(lambda: self._compact(held), "imeiset-compact")

    def _written(self) -> None:
        """Begin to compact if that is due; once more after a failure when there is an eighth more to do."""
        state, work = self._state, self._work
        if not self._automatic or (work is not None and not work.done()):
            return
        tried = self._tried[1] if self._tried[0] == state.generation else 0
        if state.position.end * 8 < tried * 9 or not compact_due(state):
            return
        self._tried = state.generation, state.position.end
        try:
            self._work = self.compact_in_background()
        except Exception as error:  # the change was made all the same: the status says what was not
            self._work = Future()
            self._work.set_exception(error)

    def _compact(self, held: Lock) -> None:
        try:
            with self._compaction:
                with self._mutex:
                    if self._lock is None:  # closed, or what was published last could not be opened
                        self.refresh()
                    start = self._state
                with (
                    saved(start.flattened(), start.editions, self._directory, start.generation + 1) as base,
                    self._mutex,
                ):
                    same = self.generation == start.generation and self._journal.holds(start.position)
                    self._expect_ours(held, "" if same else "journal")
                    self._move_on(held, base, start.position, self._journal.records(start.position))
        finally:
            held.close()

    def replace(
        self,
        register: Register,
        /,
        *,
        feed: str | None = None,
        through: int | None = None,
        keep: bool = False,
        by: str | None = None,
        ref: str | None = None,
        shrink: float = 25.0,
        force: bool = False,
    ) -> None:
        """Let another register serve from now on, as the next generation; or the full lists of one feed.

        Parameters
        ----------
        register
            All lists, as they are to be; or with `feed` all that the feed has. The policy counts without a
            feed only.
        feed
            Replace the lists that this feed owns, and leave the others. New lists become its own. They have
            the order in which they are given, in the places of those before. None: the whole store, whoever
            owns what; how far feeds are stays as it is.
        through
            The number of the last change that the full lists of the feed contain. Changes after it will be
            applied, again if they were before; those up to it are known to be contained. None: only while
            the feed has sent no change.
        keep
            Whether lists of the feed that are not in the register stay as they are; otherwise they go.
        by, ref
            Who makes the change, and what it refers to: see `Delta`. None: the feed, and nothing.
        shrink
            Percent of what a list holds by some rule that may be gone.
        force
            Whatever is gone. A feed begins anew: changes up to `through` that come again are not compared
            with those that were applied. Without a feed all feeds do, with change 1.

        Raises
        ------
        StoreShrunk
            More is gone, or a list is missing. The old register goes on serving.
        StoreOwner
            With a feed: a list that is not the feed's.
        StoreSequence
            `through` is missing.
        StoreError, OSError
            See `apply`.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import EquipmentStatus, Register, Store
        >>> full = Register()
        >>> full.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, Register()) as store:
        ...     store.replace(full, feed="op-a", through=7)
        ...     store.lists[0].owner, store.apply(feed="op-a")
        ('op-a', 8)
        """
        _expect_register(register)
        self._expect_no_block()
        name, through = feed_name(feed), _expect_through(feed, through)
        if keep and not name:
            raise ValueError("keep: expected with a feed only")
        text_of("by", by), text_of("ref", ref)
        with self._compaction, self._mutex:
            lock = self._expect_ours(self._become_writer())
            state, given, now = self._state, register._now(), time.time_ns()
            now += now == self._state.position.time  # a journal that begins at another time begins anew
            contents, editions = given, Editions() if force else state.editions
            if name:
                state.file.verify()
                lists = with_lists_of(name, self._directory, state.lists, given.lists, keep=keep)
                contents = Contents.of(lists, state.base.policy)
                editions = moved(self._directory, state.editions, name, through, now, anew=force)
            editions = editions.of_lists([one.name for one in given.lists], contents.lists, now)
            counts = {one.name: one.counts() for one in contents.lists}
            if not force and (found := shrunk(self.counts(), counts, 100 - shrink)):
                how = "force it (--force, force=True) if that is right"
                raise errors.StoreShrunk(self._directory, found[0], f"{found[1]}: {how}")
            number = self.generation + 1
            with (
                saved(contents, editions, self._directory, number) as base,
                unpublished(self._directory) as told,
            ):
                record_replace(
                    told,
                    number,
                    state.position,
                    now,
                    state.lists,
                    contents.lists,
                    Payload((), name, (through or 0) if name else None),
                    by=by or name,
                    ref=ref or "",
                )
                self._move_on(lock, base, replace(state.position, time=now), (), told)

    def prune(self, keep: int = 1, *, history: float | None = None) -> int:
        """Remove the files of old generations. Readers of one go on: its files live until they move.

        Parameters
        ----------
        keep
            How many generations stay, with the one that serves.
        history
            Days for which the changes of the others stay for `history`, without their bases: 8 bytes for each
            IMEI that was added or removed. None: they go with their generation.

        Returns
        -------
        int
            How many generations lost something.

        Raises
        ------
        StoreError, OSError
            See `apply`.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Register, Store
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, Register()) as store:
        ...     store.compact()
        ...     store.prune(history=365), store.prune()
        (1, 1)
        """
        if keep < 1:
            raise ValueError(f"keep: expected at least 1, got {keep}")
        if history is not None and not history >= 0:  # NaN neither
            raise ValueError(f"history: expected days, 0 or more, got {history}")
        self._expect_no_block()
        with self._compaction, self._mutex:
            self._expect_ours(self._become_writer())
            since = None if history is None else time.time_ns() - int(min(history, _LONG) * _DAY)
            files = prunable(self._directory, self._state.generation, keep, since)
            for _, path in files:
                path.unlink()
            return len({number for number, _ in files})


def _expect_register(register: object) -> None:
    """A set would be written as a base that cannot be read."""
    if not isinstance(register, Register):
        raise TypeError(f"expected a Register, got {type(register).__name__}: Register.add takes sets")


def _expect_through(feed: str | None, through: int | None) -> int | None:
    if through is None:
        return None
    if feed is None:
        raise ValueError("through: expected with a feed only")
    if not 0 <= index(through) <= MAX_NUMBER:
        raise ValueError(f"through: expected 0 or more, got {through}")
    return index(through)
