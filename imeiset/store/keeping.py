"""How the lists of a store that serves come, go, and let go of what is past."""

import datetime
from collections.abc import Callable, Iterable, Sequence

from imeiset.errors import StoreShrunk, expect_several
from imeiset.register.details import date_text, reasons_text
from imeiset.register.lists import List, held_text
from imeiset.register.policy import EquipmentStatus
from imeiset.store.changes import change_of, named
from imeiset.store.events import moment
from imeiset.store.expiry import emptied, expect_few, expired
from imeiset.store.feeds import expect_owner, missing
from imeiset.store.following import followed
from imeiset.store.payload import Change, feed_name, list_about, list_change, text_of
from imeiset.store.writer import Writer


class Keeper(Writer):
    """What a store is to those who keep its lists, see `Store`."""

    def add_list(
        self,
        name: str,
        *,
        status: EquipmentStatus,
        kind: str = "imeis",
        owner: str = "",
        reason: str = "",
        by: str | None = None,
        ref: str | None = None,
    ) -> int:
        """Add an empty list, after the others. It is one change, with the next number of the store.

        Parameters
        ----------
        name, status, kind, reason
            See `Register.add`; the kind is that of `List`: "imeis", "exempt", "lock", "block" or "imsis".
        owner
            Who alone may change it. "" is anybody.
        by, ref
            Who says so, and what: see `Delta`.

        Returns
        -------
        int
            The number of the change.

        Raises
        ------
        ValueError
            A list has that name, the store is full, or no list can be so.
        StoreError, OSError
            See `apply`.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import EquipmentStatus, Register, Store
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, Register()) as store:
        ...     number = store.add_list("stolen", status=EquipmentStatus.BLACKLISTED, owner="op-a")
        ...     store.lists
        (<List stolen (BLACKLISTED): nothing>,)
        """
        about = list_about(List(name, status, kind, reasons_text(reason), owner=owner))
        change = list_change(name, about, text_of("by", by), text_of("ref", ref))
        with self._mutex:
            return self._write(self._become_writer(), [change])

    def drop_list(
        self, name: str, *, by: str | None = None, ref: str | None = None, force: bool = False
    ) -> int:
        """Drop a list. It is one change, with the next number of the store.

        Parameters
        ----------
        name
            Of the list.
        by, ref
            Who says so, and what: see `Delta`.
        force
            Whatever it holds.

        Returns
        -------
        int
            The number of the change.

        Raises
        ------
        ValueError
            No list has that name.
        StoreShrunk
            It holds something.
        StoreOwner, StoreError, OSError
            See `apply`.

        Notes
        -----
        The change has all that the list holds: a history can tell what was on it.

        Examples
        --------
        >>> import tempfile
        >>> from imeiset import EquipmentStatus, Register, Store
        >>> register = Register()
        >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, register) as store:
        ...     number = store.drop_list("stolen", force=True)
        ...     store.check("490154203237518").status.name
        'WHITELISTED'
        """
        who, what = text_of("by", by), text_of("ref", ref)
        with self._mutex:
            lock, lists = self._become_writer(), self._state.lists
            one = named(lists, name)
            gone = [change_of(delta, lists, who, what) for delta in emptied(one)]
            changes = [*gone, list_change(one.name, None, who, what)]
            expect_owner(self._directory, changes, lists)
            if gone and not force:
                held = held_text(one.counts())
                expected = f"list {name!r} empty, before it is dropped"
                raise StoreShrunk(
                    self._directory, expected, f"{held}: force it (--force, force=True) if that is right"
                )
            return self._write(lock, changes)

    def expire(
        self,
        today: object,
        then: str | None = None,
        *,
        lists: Iterable[str] | None = None,
        by: str | None = None,
        ref: str | None = None,
        shrink: float = 25.0,
        force: bool = False,
    ) -> int | None:
        """Take off all lists the IMEIs and pairs whose until is past: before today. One change of the store.

        Parameters
        ----------
        today
            A date. The store never looks at the clock for it.
        then
            Move what is past of lists of the same kind to this one, with its reasons and today's date, and
            without an until. What is there has the reasons of both, and the first date. What is past there
            goes. None: it goes everywhere.
        lists
            Of which lists what is past moves to `then`. Other lists lose it. None: all of the same kind.
        by, ref
            Who says so, and what, see `Delta`. Of lists with an owner, the owner says so. None: nobody, and
            "expired" with the date.
        shrink
            Percent of what a list holds by some rule that may go.
        force
            Whatever goes.

        Returns
        -------
        int or None
            The number of the change; None where nothing is past, and nothing was written.

        Raises
        ------
        ValueError
            `today` is not a date, or is more than a day before the last change of the store: the clock may
            be wrong. Or `then` is not a list of the store, or one of `lists` is not a list of its kind.
        StoreShrunk
            More would go. It may be the clock, too.
        StoreError, OSError
            See `apply`.

        Notes
        -----
        Costs O(members) of lists that have changed since the base.

        Examples
        --------
        >>> import datetime, tempfile
        >>> from imeiset import Delta, EquipmentStatus, Register, Store
        >>> register = Register()
        >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
        >>> today = datetime.date.today()
        >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, register) as store:
        ...     number = store.apply(Delta("stolen", add=["356938035643809"], until=today))
        ...     store.expire(today), store.expire(today + datetime.timedelta(1), force=True)
        (None, 2)
        """
        if not (text := date_text(today, "today")):
            raise ValueError("today: expected a date, got none")
        day = datetime.date.fromisoformat(text)
        who, what = text_of("by", by), text_of("ref", ref) or f"expired {day}"
        with self._mutex:
            lock, state = self._become_writer(), self._state
            last = moment(state.position.time).date()
            if day < last - datetime.timedelta(1):
                expected = f"expected {last}, the day of the last change, or later"
                raise ValueError(f"today: {expected}, got {day}: is the clock right?")
            target = None if then is None else named(state.lists, then)
            moving = None if lists is None else _moving(state.lists, target, lists)
            deltas = list(expired(state.lists, day, target, moving))
            if not force:
                expect_few(self._directory, state.lists, deltas, shrink)
            owners = {one.name: one.owner for one in state.lists}
            changes = [change_of(delta, state.lists, owners[delta.list] or who, what) for delta in deltas]
            return self._write(lock, changes) if changes else None

    def _follow(
        self,
        changes: Iterable[Change],
        *,
        feed: str,
        number: int,
        after: int,
        prefix: str = "",
        expect: Callable[[tuple[List, ...]], object] | None = None,
    ) -> bool:
        """Make the changes of one edition that a feed published: one record of the journal, or nothing.

        Parameters
        ----------
        changes
            Of published lists, as `trust.delta.read` gives them. All lists that they name are the feed's, or
            new and become so. A list that goes is told without what it holds.
        feed
            Whose lists they are.
        number, after
            The edition, and the one before it. An edition that is here already is not made again.
        prefix
            What the names of the lists begin with here.
        expect
            Is told all lists of the store as they will be, before anything is written, and raises to refuse.

        Returns
        -------
        bool
            Whether the edition is new here.

        Raises
        ------
        StoreOwner
            A list is not the feed's.
        StoreSequence
            The feed is not at edition `after`.
        ValueError
            The changes are not of these lists: one that they change is not there, or too many are new.
        StoreError, OSError
            See `apply`.
        """
        name = feed_name(feed)
        with self._mutex:
            lock, state = self._become_writer(), self._state
            last = state.editions.number(name)
            if number <= last or after != last:
                self._expect_ours(lock)  # before anything is said of the state
            if number <= last:
                return False
            if after != last:
                raise missing(self._directory, state.editions, name, last, number, after)
            told = list(followed(self._directory, changes, state.lists, name, prefix))
            self._write(lock, told, name, number, expect)
            return True


def _moving(lists: Sequence[List], then: List | None, names: Iterable[str]) -> set[str]:
    """The names of lists that move to another. Raises ValueError for one that cannot."""
    expect_several("lists", names)
    if then is None:
        raise ValueError("lists: expected with `then`, the list that they move to")
    found = {name: named(lists, name) for name in names}
    for name, one in found.items():
        if name == then.name or one.kind != then.kind:
            what = "the same" if name == then.name else f"one of kind {one.kind!r}"
            raise ValueError(f"lists: expected another list of kind {then.kind!r}, got {name!r}, {what}")
    return {*found}
