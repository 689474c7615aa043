"""A store: a directory whose register changes while it serves.

A change is in the journal, on the disk, before `apply` returns; readers find it there. Compacting writes base
and changes as the next generation. Whatever fails on the way, the directory holds the old state or the new.
"""

import os
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Self

from imeiset import errors
from imeiset.register.lists import shrunk
from imeiset.register.register import Register
from imeiset.store.background import Background
from imeiset.store.directory import MANIFEST, Lock, generation_of
from imeiset.store.journal import Position
from imeiset.store.state import publish_generation, saved
from imeiset.store.writer import Writer


class Store(Writer):
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
        path = Path(directory)
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

            expect_none()
            with saved(register, path, 1) as base:
                publish_generation(path, 1, base, Position(0, 0, time.time_ns()), (), expect_none)
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
                    same = self.generation == start.generation and self._journal.holds(start.position)
                    self._expect_ours(held, "" if same else "journal")
                    self._move_on(held, base, start.position, self._journal.records(start.position))
        finally:
            held.close()

    def replace(self, register: Register, /, *, shrink: float = 25.0, force: bool = False) -> None:
        """Let another register serve from now on, as the next generation.

        Parameters
        ----------
        register
            All lists, as they are to be.
        shrink
            Percent of what a list holds by some rule that may be gone.
        force
            Whatever is gone.

        Raises
        ------
        StoreShrunk
            More is gone, or a list is missing. The old register goes on serving.
        StoreError, OSError
            See `apply`.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Register, Store
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, Register()) as store:
        ...     store.replace(Register())
        """
        _expect_register(register)
        self._expect_no_block()
        with self._compaction, self._mutex:
            lock = self._expect_ours(self._become_writer())
            if not force and (found := shrunk(self.counts(), register.counts(), 100 - shrink)):
                raise errors.StoreShrunk(self._directory, found[0], f"{found[1]}: force it if that is right")
            with saved(register, self._directory, self.generation + 1) as base:
                self._move_on(lock, base, replace(self._state.position, time=time.time_ns()), ())

    def prune(self, keep: int = 1) -> int:
        """Remove the files of old generations. Readers of one go on: its files live until they move.

        Parameters
        ----------
        keep
            How many generations stay, with the one that serves.

        Returns
        -------
        int
            How many generations are gone.

        Raises
        ------
        StoreError, OSError
            See `apply`.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import Register, Store
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, Register()) as store:
        ...     store.prune()
        0
        """
        if keep < 1:
            raise ValueError(f"keep: expected at least 1, got {keep}")
        self._expect_no_block()
        with self._compaction, self._mutex:
            self._expect_ours(self._become_writer())
            current = self._state.generation
            gone = set()
            for path in sorted(self._directory.iterdir()):
                number = generation_of(path)
                if number is not None and number <= current - keep:  # never one that another made meanwhile
                    path.unlink()
                    gone.add(number)
            return len(gone)


def _expect_register(register: object) -> None:
    """A set would be written as a base that cannot be read."""
    if not isinstance(register, Register):
        raise TypeError(f"expected a Register, got {type(register).__name__}: Register.add takes sets")
