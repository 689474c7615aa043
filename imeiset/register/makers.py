"""What makes and fills the lists of a register, by hand."""

from collections.abc import Iterable
from dataclasses import replace

from imeiset import columns
from imeiset.register.checks import Checks
from imeiset.register.details import Places
from imeiset.register.imsis import prefix_numbers
from imeiset.register.layered import LayeredSet, without_irregular
from imeiset.register.layout import MAX_LISTS
from imeiset.register.lists import List, check_prefixes, expect_same_owner, tac_set
from imeiset.register.pairs import LayeredPairs, pair_columns
from imeiset.register.policy import EquipmentStatus, status_of
from imeiset.register.untils import given_days
from imeiset.sets import ImeiSet


class Makers(Checks):
    """What makes and fills the lists of a register."""

    def __init__(self) -> None:
        self._lists: dict[str, List] = {}

    @property
    def lists(self) -> tuple[List, ...]:
        """The lists in the order in which they were added, which is that of the numbers of `check_many`.

        Returns
        -------
        tuple of List

        Examples
        --------
        >>> from imeiset import EquipmentStatus, Register
        >>> register = Register()
        >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
        >>> register.lists
        (<List stolen (BLACKLISTED): 1 by exact>,)
        """
        return tuple(self._lists.copy().values())  # at once: another thread may be adding one

    def add(
        self,
        name: str,
        imeis: object = (),
        *,
        status: int,
        reason: str | None = None,
        owner: str | None = None,
        reasons: Iterable[object] | None = None,
        dates: Iterable[object] | None = None,
        until: Iterable[object] | None = None,
        digits: int = 14,
    ) -> None:
        """Add IMEIs to a list, which is made if there is none of that name.

        Parameters
        ----------
        name : str
            Of the list: 1 to 100 printable characters.
        imeis : ImeiSet or column
            Whatever `ImeiSet` takes. Irregular identities beside an ImeiSet are listed too.
        status : EquipmentStatus
            Of the list: not UNKNOWN, and the same each time.
        reason : str, optional
            Of the list, for IMEIs without reasons of their own.
        owner : str, optional
            Whose list it is: at most 100 printable characters, and the same each time. In a store, nobody
            else changes it. None is the owner as before, and nobody for a new list.
        reasons, dates, until : iterable, optional
            One for each row of the column, or of an ImeiSet in key order. Reasons are texts ('stolen|lost'
            are two), lists of texts, or None; the others are `datetime.date`, '20240229', '2024-02-29' or
            None. `until` is the last day on which the IMEI counts: it stays listed until `Store.expire` is
            run. An IMEI that comes twice, here or in calls one after the other, gets all its reasons, its
            first date and its last until; and no until, if one of its rows has none.
        digits : {14, 15}
            What integers are: keys, or numbers with the check digit.

        Raises
        ------
        ImeiError
            For a malformed row, with its position.
        ValueError
            For columns of different lengths, an until before the date of its row, another status, kind or
            owner than the list has, or a 33rd list.

        Examples
        --------
        >>> from imeiset import EquipmentStatus, Register
        >>> register = Register()
        >>> register.add("lost", [49015420323751], status=EquipmentStatus.GREYLISTED, dates=["20240229"])
        >>> register.check("490154203237518").date
        datetime.date(2024, 2, 29)
        """
        one = self._begun(name, status, "imeis", reason, owner)
        if isinstance(imeis, ImeiSet):
            members, keys = without_irregular(imeis), None
            texts = frozenset(() if imeis.irregular is None else imeis.irregular.tolist())
        else:
            keys, texts = columns.keys_of(imeis, digits=digits), frozenset()
            members = ImeiSet.from_keys(keys)
        exact = LayeredSet(members)
        if any(column is not None for column in (reasons, dates, until)):
            exact = LayeredSet(members, Places.beside(imeis, members, keys).details(reasons, dates, until))
        self.add_list(replace(one, exact=exact, irregular=texts))

    def add_ranges(
        self,
        name: str,
        lows: object,
        highs: object,
        *,
        status: int,
        reason: str | None = None,
        owner: str | None = None,
        digits: int = 14,
    ) -> None:
        """Add ranges of IMEIs to a list, which is made if there is none of that name.

        Parameters
        ----------
        name, status, reason, owner, digits
            As for `add`.
        lows, highs : columns
            The first and the last IMEI of each range, as for `ImeiSet.from_ranges`.

        Examples
        --------
        >>> from imeiset import EquipmentStatus, Register
        >>> register = Register()
        >>> grey = EquipmentStatus.GREYLISTED
        >>> register.add_ranges("batch", [49015420300000], [49015420399999], status=grey)
        >>> register.check("490154203237518").rule, register.counts()
        ('range', {'batch': {'range': 100000}})
        """
        one = self._begun(name, status, "imeis", reason, owner)
        self.add_list(replace(one, range=LayeredSet(ImeiSet.from_ranges(lows, highs, digits=digits))))

    def add_tacs(
        self,
        name: str,
        tacs: Iterable[str | bytes],
        *,
        status: int,
        reason: str | None = None,
        owner: str | None = None,
    ) -> None:
        """Add whole Type Allocation Codes to a list, which is made if there is none of that name.

        Parameters
        ----------
        name, status, reason, owner
            As for `add`.
        tacs : iterable of str
            Texts of 8 digits; or an array of them, as `tacs` and `ImeiSet.tac_counts` give.

        Examples
        --------
        >>> from imeiset import EquipmentStatus, Register
        >>> register = Register()
        >>> register.add_tacs("models", ["49015420"], status=EquipmentStatus.GREYLISTED)
        >>> register.check("490154203237518").rule
        'tac'
        """
        one = self._begun(name, status, "imeis", reason, owner)
        self.add_list(replace(one, tac=LayeredSet(tac_set(tacs))))

    def exempt(
        self,
        name: str,
        imeis: object,
        imsis: object,
        *,
        reason: str | None = None,
        owner: str | None = None,
        until: Iterable[object] | None = None,
        digits: int = 14,
    ) -> None:
        """Let (IMEI, IMSI) pairs through: with such an IMSI the IMEI is whitelisted.

        Parameters
        ----------
        name, reason, owner, until, digits
            As for `add`; the status is WHITELISTED. `until` is one for each pair.
        imeis, imsis : columns
            Of one length. An IMSI is a text of 5 to 15 digits, or 'imsi-' and these. At most 16 bytes a pair,
            and 20 for its until.

        Raises
        ------
        ImeiError, ImsiError
            For a malformed row, with its position.

        Examples
        --------
        >>> from imeiset import EquipmentStatus, Policy, Register
        >>> register = Register(Policy(unlisted=EquipmentStatus.BLACKLISTED))
        >>> register.exempt("paired", ["490154203237518"], ["234150999999999"])
        >>> [register.check("490154203237518", imsi).status.name for imsi in ("234150999999999", None)]
        ['WHITELISTED', 'BLACKLISTED']
        """
        one = self._begun(name, EquipmentStatus.WHITELISTED, "exempt", reason, owner)
        self._add_pairs(one, imeis, imsis, until, digits)

    def lock(
        self,
        name: str,
        imeis: object,
        imsis: object,
        *,
        status: int = EquipmentStatus.BLACKLISTED,
        reason: str | None = None,
        owner: str | None = None,
        until: Iterable[object] | None = None,
        digits: int = 14,
    ) -> None:
        """Lock IMEIs to their IMSIs: with any other IMSI, or with none, they get the status of the list.

        Parameters
        ----------
        name, status, reason, owner, until, digits
            As for `add`. `until` is one for each pair.
        imeis, imsis : columns
            As for `exempt`. An IMEI may have several IMSIs.

        Examples
        --------
        >>> from imeiset import Register
        >>> register = Register()
        >>> register.lock("leased", ["490154203237518"], ["234150999999999"])
        >>> [register.check("490154203237518", imsi).status.name for imsi in ("234150999999999", None)]
        ['WHITELISTED', 'BLACKLISTED']
        """
        one = self._begun(name, status, "lock", reason, owner)
        self._add_pairs(one, imeis, imsis, until, digits)

    def block(
        self,
        name: str,
        imeis: object,
        imsis: object,
        *,
        status: int = EquipmentStatus.BLACKLISTED,
        reason: str | None = None,
        owner: str | None = None,
        until: Iterable[object] | None = None,
        digits: int = 14,
    ) -> None:
        """Block (IMEI, IMSI) pairs: with such an IMSI the IMEI gets the status of the list.

        With any other IMSI the list says nothing, as of a phone whose number was copied, and whose holder is
        to go on.

        Parameters
        ----------
        name, status, reason, owner, until, digits
            As for `add`. `until` is one for each pair.
        imeis, imsis : columns
            As for `exempt`.

        Notes
        -----
        The rule of its verdicts is 'block'. Lists of blocked pairs are asked before those of pairs that are
        let through, and these before locks: of the blocked pairs, those that are blacklisted first.

        Examples
        --------
        >>> from imeiset import Register
        >>> register = Register()
        >>> register.block("clones", ["490154203237518"], ["234150999999999"])
        >>> [register.check("490154203237518", imsi).status.name for imsi in ("234150999999999", None)]
        ['BLACKLISTED', 'WHITELISTED']
        """
        one = self._begun(name, status, "block", reason, owner)
        self._add_pairs(one, imeis, imsis, until, digits)

    def add_imsis(
        self,
        name: str,
        prefixes: Iterable[str],
        *,
        status: int,
        reason: str | None = None,
        owner: str | None = None,
    ) -> None:
        """Decide by the IMSI alone.

        Parameters
        ----------
        name, status, reason, owner
            As for `add`.
        prefixes : iterable of str
            Texts of 1 to 15 digits with which an IMSI begins; the longest counts.

        Raises
        ------
        ValueError
            For another text, or a prefix that is on another list.

        Examples
        --------
        >>> from imeiset import EquipmentStatus, Register
        >>> register = Register()
        >>> register.add_imsis("roamers", ["262"], status=EquipmentStatus.GREYLISTED)
        >>> register.check("490154203237518", "262011234567890").rule
        'imsi'
        """
        one = self._begun(name, status, "imsis", reason, owner)
        self.add_list(replace(one, prefixes=prefix_numbers(prefixes)))

    def add_list(self, one: List) -> None:
        """Add all that a frozen list holds to the list of its name, which is made if there is none.

        Parameters
        ----------
        one : List
            Of this register, of another, or of a store.

        Raises
        ------
        ValueError
            For another status, kind or owner than the list has, a prefix that is on another list, or a 33rd
            list.

        Examples
        --------
        >>> from imeiset import EquipmentStatus, Register
        >>> register, part = Register(), Register()
        >>> part.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
        >>> for one in part.lists:
        ...     register.add_list(one)
        >>> len(register["stolen"])
        1
        """
        self._expect_place(one)
        old = self._lists.get(one.name, List(one.name, one.status, one.kind, owner=one.owner))
        one = old.united(one).flattened()
        check_prefixes(one, self.lists)
        self._changed()  # before, too: what another thread makes meanwhile may lack the list or have it
        self._lists[one.name] = one
        self._changed()

    def _add_pairs(
        self, one: List, imeis: object, imsis: object, until: Iterable[object] | None, digits: int
    ) -> None:
        keys, numbers = pair_columns(imeis, imsis, digits)
        self.add_list(replace(one, pairs=LayeredPairs.of(keys, numbers, given_days(until, len(keys)))))

    def _begun(self, name: str, status: int, kind: str, reason: str | None, owner: str | None) -> List:
        """A list that holds nothing, and has a place here: so that it is refused before columns are read."""
        one = List(name, status_of("status", status), kind, reason or "")
        old = self._lists.get(name)
        one = replace(one, owner=owner if owner is not None else old.owner if old else "")
        self._expect_place(one)
        return one

    def _expect_place(self, one: List) -> None:
        old = self._lists.get(one.name)
        if old is None and len(self._lists) == MAX_LISTS:
            raise ValueError(f"expected at most {MAX_LISTS} lists, got one more: {one.name!r}")
        if old is not None and (old.status, old.kind) != (one.status, one.kind):
            got, before = f"{one.status.name}, {one.kind!r}", f"{old.status.name}, {old.kind!r}"
            raise ValueError(f"list {one.name!r}: expected {before} as before, got {got}")
        if old is not None:
            expect_same_owner(old, one)
