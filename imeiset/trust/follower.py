"""A store that follows a publisher: it moves to each edition that is verified, or stays and says why.

In order: the lock of the feed; the metadata; the files that lead on, by deltas or by a base; and for each one
the checks of what the store would then have, before it is one record of the journal or one new base. The
number of the feed in the store is the edition: it never goes back, whatever else is lost. Killed anywhere,
the store is at one edition or the next.
"""

import fcntl
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, TypeVar

from imeiset import errors, snapshot
from imeiset.errors import ImeisetError, TrustError, TrustMissing, TrustRefused, TrustUnreachable
from imeiset.register.layout import KIND
from imeiset.register.lists import List, shrunk
from imeiset.register.register import Register
from imeiset.store.directory import MANIFEST, base_path
from imeiset.store.following import Following
from imeiset.store.payload import feed_name
from imeiset.store.state import REMAINS, has_remains
from imeiset.store.store import Store
from imeiset.trust import delta, receipts
from imeiset.trust.client import Catalog, Target, catalog
from imeiset.trust.edition import followed, published
from imeiset.trust.fetch import Progress, clean, fetch
from imeiset.trust.metadata import fingerprint
from imeiset.trust.places import Place
from imeiset.trust.reports import FollowReport

Report = TypeVar("Report")
_LONGEST = 900.0  # seconds between two tries after faults, if `every` is not longer
_PATIENCE = 30.0  # seconds for which another writer may have the store


class Follower:
    """Keeps the lists of one publisher in a store current.

    Parameters
    ----------
    url
        Where they are published: a URL, or the path of a folder, a stick for example. See
        `imeiset.trust.places.Place`.
    store
        The directory of a store. If there is none, one is made with the publisher's lists and policy.
        Otherwise the lists of others, and the policy, stay.
    root
        The file `root.json` of the publisher, got from it by another way than the URL; or its bytes.
    feed
        Whose lists they are in the store: their owner. None: the fingerprint of the root, so that a mirror is
        the same feed.
    max_shrink
        Percent of what a list holds by some rule that an edition may take away.
    prefix
        What the names of the lists begin with in the store, so that two publishers may have lists of one
        name.
    digests
        Compare the SHA-256 of all that each list holds with the publisher's, before an edition serves. False:
        only how much it holds. What is fetched is compared with what the publisher signed in any case.
    receipt
        Write `receipts/NAME.json` at the place after each move, for the publisher to see. None: no.
    progress
        Called while files come, see `imeiset.trust.fetch`.

    Raises
    ------
    ExtraMissing
        The extra `follow` is not installed.
    TrustRefused
        The root is not one.
    OSError
        It cannot be read.

    Attributes
    ----------
    feed : str
        See above.
    busy : bool
        Whether the store is being written: whoever ends this process may wait for that. It need not, for the
        next one goes on from one edition or the next.

    Notes
    -----
    Several followers, of several publishers, may keep lists in one store, in one process or several. Others
    read the store meanwhile. On any fault the edition that is there goes on serving; `Store.status` tells of
    faults, and how old the edition is.

    Examples
    --------
    >>> import tempfile
    >>> from imeiset import EquipmentStatus, Register, Store
    >>> from imeiset.trust import Follower, keys, publish
    >>> register = Register()
    >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fingerprint = keys.new(f"{folder}/keys")
    ...     with Store.create(f"{folder}/eir", register) as store:
    ...         report = publish(store, f"{folder}/place", keys=f"{folder}/keys")
    ...     follower = Follower(f"{folder}/place", f"{folder}/theirs", root=f"{folder}/keys/root.json")
    ...     edition = follower.step().edition
    ...     with Store.open(f"{folder}/theirs") as theirs:
    ...         status = theirs.check("490154203237518").status.name
    >>> edition, status
    (1, 'BLACKLISTED')
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        store: str | os.PathLike[str],
        *,
        root: str | os.PathLike[str] | bytes,
        feed: str | None = None,
        max_shrink: float = 25.0,
        prefix: str = "",
        digests: bool = True,
        receipt: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        if not 0 <= max_shrink <= 100:  # NaN neither
            raise ValueError(f"max_shrink: expected percent from 0 to 100, got {max_shrink}")
        self._root = root if isinstance(root, bytes) else Path(root).read_bytes()
        self._place, self._store = Place(url), Path(store)
        self.feed = feed_name(feed) or fingerprint(self._root)
        self._max_shrink, self._prefix, self._digests = max_shrink, prefix, digests
        self._receipt, self._progress = receipts.expect_name(receipt), progress
        self._folder = Following.folder(self._store, self.feed)
        self.busy = False

    def step(self, *, accept_shrink: bool = False) -> FollowReport:
        """Look for a newer edition, and move to it.

        Parameters
        ----------
        accept_shrink
            Whatever is gone from the lists, this time.

        Returns
        -------
        FollowReport

        Raises
        ------
        TrustUnreachable
            The place, the store or the disk does not do what it should. Try again.
        TrustStale
            What is published has expired.
        TrustRefused
            It is not what the publisher signed, or not what may follow.
        """
        with self._locked():
            try:
                return self._moved(accept_shrink)
            except TrustError as error:
                self._tell_fault(error)
                raise
            except OSError as error:
                fault = _unwritable(self._folder, error)
                self._tell_fault(fault)
                raise fault from error

    def run(
        self,
        every: float,
        *,
        told: Callable[["FollowReport | TrustError"], object] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Step again and again, until told to stop.

        Parameters
        ----------
        every
            Seconds between two steps, up to a tenth more or less, so that followers do not come all at once.
            After faults the time doubles, to 15 minutes at most.
        told
            Called with what each step returns, or raises.
        stop
            Ends it, once it is set and the step that goes on is done.
        """
        follow_again(self.step, every, told=told, stop=stop)

    # ---- a step -----------------------------------------------------------------------

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The folder of the feed, for this process alone."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = (self._folder / "lock").open("ab")
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                got = "another process that follows it already"
                raise TrustUnreachable(
                    str(self._folder), "to be the one who follows this feed", got
                ) from error
            yield

    def _moved(self, accept_shrink: bool) -> FollowReport:
        before = self._edition()
        found = catalog(self._place, self._folder / "metadata", self._root)
        files = found.path(before)
        if not files:
            self._expect_as_here(found)
        done = self._by(found, files, before, accept_shrink)
        edition = found.edition
        report = FollowReport(
            self.feed,
            str(self._place),
            edition.number,
            before,
            edition.time,
            tuple(target.name for target in done),
            sum(target.length for target in done),
            {name: one.counts for name, one in edition.lists.items()},
            {name: one.digest for name, one in edition.lists.items()} if done and self._digests else {},
        )
        clean(self._folder, ())
        known = Following(self.feed, place=str(self._place))
        known.well(datetime.now(UTC), edition.number, edition.time, edition.seal()).write(self._store)
        if self._receipt and report.moved:
            return replace(report, warnings=receipts.write(self._place, self._receipt, report))
        return report

    def _expect_as_here(self, found: Catalog) -> None:
        """Raise TrustRefused if the edition of this number that is here was another: of a thief who put the
        place back, say. O(members) where that is not known."""
        edition, where = found.edition, f"{found.place}: edition {found.current}"
        known = Following.read(self._store, self.feed)
        if (known.edition, known.lists) == (edition.number, edition.seal()):
            return
        with Store.open(self._store) as store:
            try:
                edition.expect_lists(
                    published(store.lists, self.feed, self._prefix), where, digests=self._digests
                )
            except TrustRefused as error:
                got = (
                    f"{error.got}: lists were changed here, or this is another edition of that number, of who"
                )
                got += " has stolen keys. Ask the publisher for a base (imeiset publish --base)"
                raise TrustRefused(where, error.expected, got) from error

    def _by(
        self, found: Catalog, files: Sequence[Target], before: int, accept_shrink: bool
    ) -> Sequence[Target]:
        """Apply files in order: those that were applied."""
        clean(self._folder, files)
        for at, target in enumerate(files):
            try:
                path = fetch(self._place, target, self._folder, self._progress)
                try:
                    self._apply(target, path, accept_shrink)
                finally:
                    path.unlink(missing_ok=True)
            except (TrustRefused, TrustMissing):
                # Who is not at what the publisher had then, or meets a delta that is damaged or lost, gets
                # the newest base whole.
                again = found.from_base(self._edition())
                if target.edition.kind == "base" or not again:
                    raise
                return (*files[:at], *self._by(found, again, before, accept_shrink))
        return files

    def _apply(self, target: Target, path: Path, accept_shrink: bool) -> None:
        """Make the store what a file says. What is wrong is said as one of the `TrustError`s."""
        where, shrink = f"{self._place}/{target.path}", 100.0 if accept_shrink else self._max_shrink
        do = self._apply_base if target.edition.kind == "base" else self._apply_delta
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self.busy = True
                do(target, path, where, shrink)
            except errors.StoreLocked as error:
                if time.monotonic() < until:
                    time.sleep(0.2)
                    continue
                _explain(error, where)
            except TrustError:
                raise
            except (ImeisetError, OSError, ValueError, LookupError) as error:
                _explain(error, where)
            finally:
                self.busy = False
            return

    def _apply_delta(self, target: Target, path: Path, where: str, shrink: float) -> None:
        changes, edition = delta.read(path, where), target.edition
        with Store.open(self._store, compact="auto") as store:
            before = store.lists

            def expect(lists: tuple[List, ...]) -> None:
                self._expect_whole(before, lists, where, shrink)
                edition.expect_lists(published(lists, self.feed, self._prefix), where, digests=self._digests)

            store._follow(
                changes,
                feed=self.feed,
                number=edition.number,
                after=edition.before,
                prefix=self._prefix,
                expect=expect,
            )

    def _apply_base(self, target: Target, path: Path, where: str, shrink: float) -> None:
        edition = target.edition
        # Its bytes are those that were signed. Building its sets anew would take their memory.
        snapshot.open(path, kind=KIND).verify()
        register = Register.open(path)
        edition.expect_lists(register.lists, where, digests=self._digests)
        if any(one.owner for one in register.lists):
            raise TrustRefused(where, "lists without owners", "one that has an owner")
        if register.policy != edition.policy:
            raise TrustRefused(where, "the policy that the metadata says", "another")
        ours = followed(register, self.feed, self._prefix)
        if not (self._store / MANIFEST).exists():
            Store._create_followed(self._store, ours, feed=self.feed, number=edition.number).close()
            return
        with Store.open(self._store) as store:
            self._expect_free(store, where, register)
            self._expect_whole(store.lists, ours.lists, where, shrink)
            store.replace(ours, feed=self.feed, through=edition.number, shrink=100)

    def _expect_whole(self, before: Iterable[List], after: Iterable[List], where: str, shrink: float) -> None:
        """Raise StoreShrunk if too much is gone of what this feed has; with another status or kind, all."""
        known = {one.name: one for one in before if one.owner == self.feed}
        same = {
            one.name: one.counts()
            for one in after
            if one.name in known and (one.status, one.kind) == (known[one.name].status, known[one.name].kind)
        }
        if gone := shrunk({name: one.counts() for name, one in known.items()}, same, 100 - shrink):
            raise errors.StoreShrunk(where, *gone)

    def _expect_free(self, store: Store, where: str, register: Register) -> None:
        owners = {one.name: one.owner for one in store.lists}
        for one in register.lists:
            name = self._prefix + one.name
            if owners.get(name, self.feed) != self.feed:
                raise errors.StoreOwner(where, f"list {name!r} to be this feed's", repr(owners[name]))

    # ---- what is known here -------------------------------------------------------------

    def _edition(self) -> int:
        """The one that the store has; 0 if it has none, or there is none."""
        if not (self._store / MANIFEST).exists():
            self._expect_no_store()
            return 0
        try:
            with Store.open(self._store) as store:
                for one in store.lists:
                    if one.owner == self.feed and not one.name.startswith(self._prefix):
                        got = f"{one.name!r}: follow with the prefix that was given first"
                        raise TrustRefused(
                            str(self._store), f"lists of this feed that begin with {self._prefix!r}", got
                        )
                return store.feeds.get(self.feed, 0)
        except TrustError:
            raise
        except (ImeisetError, OSError) as error:
            _explain(error, str(self._store))

    def _expect_no_store(self) -> None:
        """Raise TrustUnreachable where a store has lost its manifest: a new one would take its place."""
        last, base = Following.read(self._store, self.feed).edition, base_path(self._store, 1)
        lost = has_remains(self._store) or last > 0
        if (
            not lost and base.is_file()
        ):  # of a follower that makes the store, or ended meanwhile; or of others
            with suppress(ImeisetError):
                lost = not all(self._may_begin(one.owner) for one in Register.open(base).lists)
        if lost and not (self._store / MANIFEST).exists():  # another may have made the store meanwhile
            had = f"a store that has edition {last}" if last else "a store, or a directory without one"
            got = f"one whose file '{MANIFEST}' is gone: {REMAINS}, and follow anew"
            raise TrustUnreachable(str(self._store), had, got)

    def _may_begin(self, owner: str) -> bool:
        """Whether it is this feed, or another that is followed here and has no edition yet."""
        begins = (
            Following.folder(self._store, owner).is_dir() and not Following.read(self._store, owner).edition
        )
        return owner == self.feed or begins

    def _tell_fault(self, error: TrustError) -> None:
        """Remember why it failed; if the disk does not take that either, the error is raised all the same."""
        known = replace(Following.read(self._store, self.feed), place=str(self._place))
        with suppress(OSError):
            known.failed(datetime.now(UTC), str(error), type(error).__name__).write(self._store)


def follow_again(
    step: Callable[[], Report],
    every: float,
    *,
    told: Callable[[Report | TrustError], object] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Call a step again and again, as `Follower.run` does, until told to stop."""
    stop, faults = stop or threading.Event(), 0
    while not stop.is_set():
        said: Report | TrustError
        try:
            said, faults = step(), 0
        except TrustError as error:
            said, faults = error, faults + 1
        if told:
            told(said)
        stop.wait(pause(every, faults))


def pause(every: float, faults: int) -> float:
    """How long to wait after so many faults in a row, in seconds."""
    longer = min(every * 2.0 ** min(faults, 20), max(every, _LONGEST))
    return longer * random.uniform(0.9, 1.1)


def _unwritable(folder: Path, error: OSError) -> TrustUnreachable:
    return TrustUnreachable(str(folder), "a folder to write to", error.strerror or str(error))


def _explain(error: Exception, where: str) -> NoReturn:
    """Raise an error of the store, or of a file, as one that says what to do."""
    expected, got = getattr(error, "expected", ""), getattr(error, "got", "")
    if isinstance(error, errors.StoreShrunk):
        got = f"{got}: if the publisher says that it is right, take it by `imeiset follow --accept-shrink`"
    elif isinstance(error, errors.StoreOwner):
        got = (
            f"{got}, who is another: `imeiset follow --prefix TEXT` gives this publisher's lists other names"
        )
    elif isinstance(error, errors.StoreError | OSError):
        text = str(error) if isinstance(error, ImeisetError) else getattr(error, "strerror", None)
        raise TrustUnreachable(where, "a store that can be written", text or str(error)) from error
    raise TrustRefused(where, expected or "what fits the store", got or str(error)) from error
