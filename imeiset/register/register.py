"""Register: lists of equipment with a status each, and the verdict they give on one phone."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, Self

from imeiset import columns, snapshot
from imeiset.register.checks import Checks, Rules
from imeiset.register.details import Places, date_text, reasons_text
from imeiset.register.imsis import prefix_numbers
from imeiset.register.layered import LayeredSet, without_irregular
from imeiset.register.layout import KIND, MAX_LISTS, Contents
from imeiset.register.lists import List, check_prefixes, tac_set
from imeiset.register.pairs import LayeredPairs, pair_columns
from imeiset.register.policy import EquipmentStatus, Policy, status_of
from imeiset.sets import ImeiSet


class Register(Checks):
    """Named lists with a status each, and a policy: what is the status of this equipment?

    A `collections.abc.Mapping` of list names to the exact IMEIs of each list. It is true even without lists,
    and equal to itself alone. Copies are independent of it, and it can be pickled at any time.

    Parameters
    ----------
    policy : Policy, optional
        How it decides; response type 1 if it is left out.

    Notes
    -----
    Add lists first, from one thread; then any number of threads may check. An opened register is a file that
    every process maps and shares. The first check after a change works out the coverage of all lists, in some
    seconds for 100 million IMEIs; a saved register has it.

    Examples
    --------
    >>> register = Register()
    >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED, reason="theft")
    >>> register.exempt("paired", ["490154203237518"], ["234150999999999"])
    >>> register.check("490154203237518").to_dict()
    {'status': 'blacklisted', 'list': 'stolen', 'rule': 'exact', 'reasons': ['theft'], 'date': None}
    >>> register.check("490154203237518", imsi="234150999999999").status.name
    'WHITELISTED'
    >>> list(register), "490154203237518" in register["stolen"]
    (['stolen', 'paired'], True)
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self._policy = policy or Policy()
        self._lists: dict[str, List] = {}
        self._contents: Contents | None = None  # of now, once it was asked for

    @classmethod
    def _of(cls, contents: Contents) -> Self:
        self = cls(contents.policy)
        self._lists = {one.name: one for one in contents.lists}
        self._contents = contents
        return self

    @property
    def policy(self) -> Policy:
        """How it decides.

        Returns
        -------
        Policy

        Examples
        --------
        >>> Register().policy.response_type
        1
        """
        return self._policy

    @property
    def lists(self) -> tuple[List, ...]:
        """The lists in the order in which they were added, which is that of the numbers of `check_many`.

        Returns
        -------
        tuple of List

        Examples
        --------
        >>> register = Register()
        >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
        >>> register.lists
        (<List stolen (BLACKLISTED): 1 by exact>,)
        """
        return tuple(self._lists.values())

    def __copy__(self) -> Self:
        again = type(self)(self._policy)
        again._lists, again._contents = dict(self._lists), self._contents  # what is in them is frozen
        return again

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        return self._of_sections, ({name: bytes(part) for name, part in self._now().sections()},)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {'; '.join(map(str, self.lists)) or 'nothing'}>"

    # ---- making ----

    def add(
        self,
        name: str,
        imeis: object = (),
        *,
        status: int,
        reason: str | None = None,
        reasons: Iterable[object] | None = None,
        dates: Iterable[object] | None = None,
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
        reasons, dates : iterable, optional
            One for each row of the column, or of an ImeiSet in key order. Reasons are texts ('stolen|lost'
            are two), lists of texts, or None; dates are `datetime.date`, '20240229', '2024-02-29' or None.
            An IMEI that comes twice gets all its reasons, and its first date.
        digits : {14, 15}
            What integers are: keys, or numbers with the check digit.

        Raises
        ------
        ImeiError
            For a malformed row, with its position.
        ValueError
            For columns of different lengths, another status or kind than the list has, or a 33rd list.

        Examples
        --------
        >>> register = Register()
        >>> register.add("lost", [49015420323751], status=EquipmentStatus.GREYLISTED, dates=["20240229"])
        >>> register.check("490154203237518").date
        datetime.date(2024, 2, 29)
        """
        one = self._begun(name, status, "imeis", reason)
        if isinstance(imeis, ImeiSet):
            members, keys = without_irregular(imeis), None
            texts = frozenset(() if imeis.irregular is None else imeis.irregular.tolist())
        else:
            keys, texts = columns.keys_of(imeis, digits=digits), frozenset()
            members = ImeiSet.from_keys(keys)
        exact = LayeredSet(members)
        if reasons is not None or dates is not None:
            places = Places.beside(imeis, members, keys)
            said = places.given("reasons", reasons, reasons_text, first=False)
            exact = LayeredSet(members, (said, places.given("dates", dates, date_text, first=True)))
        self.add_list(replace(one, exact=exact, irregular=texts))

    def add_ranges(
        self,
        name: str,
        lows: object,
        highs: object,
        *,
        status: int,
        reason: str | None = None,
        digits: int = 14,
    ) -> None:
        """Add ranges of IMEIs to a list, which is made if there is none of that name.

        Parameters
        ----------
        name, status, reason, digits
            As for `add`.
        lows, highs : columns
            The first and the last IMEI of each range, as for `ImeiSet.from_ranges`.

        Examples
        --------
        >>> register = Register()
        >>> grey = EquipmentStatus.GREYLISTED
        >>> register.add_ranges("batch", [49015420300000], [49015420399999], status=grey)
        >>> register.check("490154203237518").rule, register.counts()
        ('range', {'batch': {'range': 100000}})
        """
        one = self._begun(name, status, "imeis", reason)
        self.add_list(replace(one, range=LayeredSet(ImeiSet.from_ranges(lows, highs, digits=digits))))

    def add_tacs(
        self, name: str, tacs: Iterable[str | bytes], *, status: int, reason: str | None = None
    ) -> None:
        """Add whole Type Allocation Codes to a list, which is made if there is none of that name.

        Parameters
        ----------
        name, status, reason
            As for `add`.
        tacs : iterable of str
            Texts of 8 digits; or an array of them, as `tacs` and `ImeiSet.tac_counts` give.

        Examples
        --------
        >>> register = Register()
        >>> register.add_tacs("models", ["49015420"], status=EquipmentStatus.GREYLISTED)
        >>> register.check("490154203237518").rule
        'tac'
        """
        one = self._begun(name, status, "imeis", reason)
        self.add_list(replace(one, tac=LayeredSet(tac_set(tacs))))

    def exempt(
        self, name: str, imeis: object, imsis: object, *, reason: str | None = None, digits: int = 14
    ) -> None:
        """Let (IMEI, IMSI) pairs through: with such an IMSI the IMEI is whitelisted.

        Parameters
        ----------
        name, reason, digits
            As for `add`; the status is WHITELISTED.
        imeis, imsis : columns
            Of one length. An IMSI is a text of 5 to 15 digits, or 'imsi-' and these. At most 16 bytes a pair.

        Raises
        ------
        ImeiError, ImsiError
            For a malformed row, with its position.

        Examples
        --------
        >>> register = Register(Policy(unlisted=EquipmentStatus.BLACKLISTED))
        >>> register.exempt("paired", ["490154203237518"], ["234150999999999"])
        >>> [register.check("490154203237518", imsi).status.name for imsi in ("234150999999999", None)]
        ['WHITELISTED', 'BLACKLISTED']
        """
        one = self._begun(name, EquipmentStatus.WHITELISTED, "exempt", reason)
        self.add_list(replace(one, pairs=LayeredPairs.of(*pair_columns(imeis, imsis, digits))))

    def lock(
        self,
        name: str,
        imeis: object,
        imsis: object,
        *,
        status: int = EquipmentStatus.BLACKLISTED,
        reason: str | None = None,
        digits: int = 14,
    ) -> None:
        """Lock IMEIs to their IMSIs: with any other IMSI, or with none, they get the status of the list.

        Parameters
        ----------
        name, status, reason, digits
            As for `add`.
        imeis, imsis : columns
            As for `exempt`. An IMEI may have several IMSIs.

        Examples
        --------
        >>> register = Register()
        >>> register.lock("leased", ["490154203237518"], ["234150999999999"])
        >>> [register.check("490154203237518", imsi).status.name for imsi in ("234150999999999", None)]
        ['WHITELISTED', 'BLACKLISTED']
        """
        one = self._begun(name, status, "lock", reason)
        self.add_list(replace(one, pairs=LayeredPairs.of(*pair_columns(imeis, imsis, digits))))

    def add_imsis(
        self, name: str, prefixes: Iterable[str], *, status: int, reason: str | None = None
    ) -> None:
        """Decide by the IMSI alone.

        Parameters
        ----------
        name, status, reason
            As for `add`.
        prefixes : iterable of str
            Texts of 1 to 15 digits with which an IMSI begins; the longest counts.

        Raises
        ------
        ValueError
            For another text, or a prefix that is on another list.

        Examples
        --------
        >>> register = Register()
        >>> register.add_imsis("roamers", ["262"], status=EquipmentStatus.GREYLISTED)
        >>> register.check("490154203237518", "262011234567890").rule
        'imsi'
        """
        one = self._begun(name, status, "imsis", reason)
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
            For another status or kind than the list has, a prefix that is on another list, or a 33rd list.

        Examples
        --------
        >>> register, part = Register(), Register()
        >>> part.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
        >>> for one in part.lists:
        ...     register.add_list(one)
        >>> len(register["stolen"])
        1
        """
        self._expect_place(one)
        one = self._lists.get(one.name, List(one.name, one.status, one.kind)).united(one)
        check_prefixes(one, self.lists)
        self._lists[one.name] = one
        self._contents = None
        self._use(None)

    def _begun(self, name: str, status: int, kind: str, reason: str | None) -> List:
        """A list that holds nothing, and has a place here: so that it is refused before columns are read."""
        one = List(name, status_of("status", status), kind, reason or "")
        self._expect_place(one)
        return one

    def _expect_place(self, one: List) -> None:
        old = self._lists.get(one.name)
        if old is None and len(self._lists) == MAX_LISTS:
            raise ValueError(f"expected at most {MAX_LISTS} lists, got one more: {one.name!r}")
        if old is not None and (old.status, old.kind) != (one.status, one.kind):
            got, before = f"{one.status.name}, {one.kind!r}", f"{old.status.name}, {old.kind!r}"
            raise ValueError(f"list {one.name!r}: expected {before} as before, got {got}")

    # ---- asking ----

    def _prepare(self) -> None:
        now = self._now()
        self._use(Rules(now.lists, now.policy).tables(now.coverage))

    def _now(self) -> Contents:
        if self._contents is None:
            self._contents = Contents.of(self.lists, self._policy)
            self._lists = {one.name: one for one in self._contents.lists}
        return self._contents

    # ---- in and out ----

    def save(self, path: str | os.PathLike[str], /, *, generation: int = 0) -> None:
        """Write the register to a snapshot file, which replaces `path` when it is complete and synced.

        Parameters
        ----------
        path : path
            The same lists and policy give the same bytes.
        generation : int
            A number of the caller's, kept in the header.

        Raises
        ------
        OSError
            If it cannot be written.

        Examples
        --------
        >>> Register().save("register.imei")
        >>> Register.open("register.imei")
        <Register of nothing>
        """
        self._now().save(path, generation=generation)

    @classmethod
    def open(cls, path: str | os.PathLike[str], /, *, mode: Literal["mmap", "memory"] = "mmap") -> Self:
        """The register in a snapshot file; its description is read, its lists are mapped.

        Parameters
        ----------
        path : path
            A file that `save` wrote.
        mode : {"mmap", "memory"}
            Map the file, which then must be left alone; or copy it in.

        Returns
        -------
        Register

        Raises
        ------
        SnapshotError
            Of the kind that says what is wrong.

        Examples
        --------
        >>> register = Register()
        >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
        >>> register.save("register.imei")
        >>> Register.open("register.imei", mode="memory").check("490154203237518").list
        'stolen'
        """
        file = snapshot.open(path, mode, kind=KIND)
        return cls._of_sections(file.sections, file.path)

    @classmethod
    def _of_sections(cls, sections: Mapping[str, bytes | memoryview], path: str = "a pickle") -> Self:
        """Pickles name this method: it stays."""
        return cls._of(Contents.read(sections, path))

    @classmethod
    def verify(cls, path: str | os.PathLike[str], /, *, mode: Literal["mmap", "memory"] = "mmap") -> Self:
        """Open a snapshot file as `open` does, after reading all of it.

        Compares every checksum, builds every set anew and compares bytes, and checks columns, pairs and that
        the coverage misses no IMEI of a list.

        Parameters
        ----------
        path, mode
            As for `open`.

        Returns
        -------
        Register

        Raises
        ------
        SnapshotError
            Of the kind that says what is wrong.

        Examples
        --------
        >>> Register().save("register.imei")
        >>> Register.verify("register.imei")
        <Register of nothing>
        """
        file = snapshot.open(path, mode, kind=KIND)
        file.verify()
        contents = Contents.read(file.sections, file.path)
        contents.expect_sound(file.path)
        return cls._of(contents)
