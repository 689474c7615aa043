"""Checks: of one IMEI, and of columns."""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any, Literal, cast, overload

import numpy as np
from numpy.typing import NDArray

from imeiset import columns, readers
from imeiset._native.checks import Checker, CheckTables
from imeiset._native.imsi import BAD_IMSI, NO_IMSI
from imeiset._threads import in_threads, parts_for
from imeiset.errors import expect_ordered
from imeiset.readers import Keys
from imeiset.register.batches import batches
from imeiset.register.claims import Answers, Claim, answered
from imeiset.register.decisions import Decisions
from imeiset.register.entries import ROWS, chosen
from imeiset.register.imsis import imsi_numbers
from imeiset.register.lists import List, ListMapping
from imeiset.register.policy import Policy, Verdict
from imeiset.register.rules import Rules as Rules

_Threads = int | None
_No = Literal[False]
_Yes = Literal[True]
_MALFORMED = 0xFF  # in the place of a status: not decided yet


class Checks(ListMapping, Checker):
    """The checks that a register, a store and one moment of either answer."""

    @property
    def _rules(self) -> Rules:
        return cast(Rules, self._tables().about)

    @property
    def lists(self) -> tuple[List, ...]:
        """The lists, in the order of the numbers of `check_many`.

        Examples
        --------
        >>> from imeiset import Register, Store
        >>> Store.create("eir", Register()).lists
        ()
        """
        return self._rules.lists

    @property
    def policy(self) -> Policy:
        """How it decides.

        Examples
        --------
        >>> from imeiset import Policy, Register
        >>> Register(Policy(response_type=2)).policy.response_type
        2
        """
        return self._rules.policy

    @property
    def answers_malformed(self) -> bool:
        """Whether some malformed input gets an answer.

        Returns
        -------
        bool

        Examples
        --------
        >>> from imeiset import EquipmentStatus, Policy, Register
        >>> Register().answers_malformed
        False
        >>> Register(Policy(malformed=EquipmentStatus.GREYLISTED)).answers_malformed
        True
        """
        rules = self._rules
        return rules.policy.malformed is not None or any(one.irregular for one in rules.lists)

    def entries(self, *, lists: Iterable[str] | None = None, rows: int = ROWS) -> Iterator[Any]:
        """Everything that the lists hold, as they are now, as Arrow record batches.

        Parameters
        ----------
        lists : iterable of str, optional
            The names of some lists, in this order; None for all.
        rows : int
            At most so many in a batch.

        Returns
        -------
        iterator of nanoarrow.Array
            Of the columns list, status, kind, owner, list_reason and rule; imei, of 15 digits, or an
            irregular identity; high, the last IMEI of a range or of TACs; imsi, or a prefix; reasons, date
            and until of the IMEI or the pair itself. What does not apply is null. All batches have the same
            type and the same dictionaries.

        Raises
        ------
        KeyError
            For a name that no list has.
        ModuleNotFoundError
            Without nanoarrow.

        Notes
        -----
        List by list, rule by rule, and ascending. Memory is some MB. Lists that hold nothing have no rows.

        Examples
        --------
        >>> from imeiset import EquipmentStatus, Register
        >>> register, black = Register(), EquipmentStatus.BLACKLISTED
        >>> register.add("stolen", ["490154203237518"], status=black, dates=["20240229"])
        >>> [batch] = register.entries()
        >>> row = batch.to_pylist()[0]
        >>> row["list"], row["rule"], row["imei"], row["date"], row["until"]
        ('stolen', 'exact', '490154203237518', datetime.date(2024, 2, 29), None)
        """
        if rows < 1:
            raise ValueError(f"rows: expected 1 or more, got {rows}")
        return batches(chosen(self.lists, lists), rows)

    def frozen(self) -> "Checks":
        """What it is at this moment, for many calls that are to be answered alike.

        Returns
        -------
        Checks
            With `check`, `check_many`, `lists` and `policy`; it never changes.

        Examples
        --------
        >>> from imeiset import EquipmentStatus, Register
        >>> register = Register()
        >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
        >>> before = register.frozen()
        >>> register.add("stolen", ["352099001761481"], status=EquipmentStatus.BLACKLISTED)
        >>> before.check("352099001761481").list is None
        True
        """
        found = Checks()
        found._use(self._tables())
        return found

    def check_unlisted(self, imsi: str | bytes | None = None) -> Verdict:
        """The verdict on equipment that no list can have, because it has no IMEI.

        Parameters
        ----------
        imsi
            As for `check`.

        Returns
        -------
        Verdict
            What a list says of the IMSI alone, or what the policy says of equipment on no list.

        Raises
        ------
        ImsiError
            As `check` does.

        Examples
        --------
        >>> from imeiset import EquipmentStatus, Policy, Register
        >>> register = Register(Policy(response_type=2))
        >>> register.add_imsis("test", ["00101"], status=EquipmentStatus.WHITELISTED)
        >>> [register.check_unlisted(imsi).status.name for imsi in (None, "001010000000001")]
        ['UNKNOWN', 'WHITELISTED']
        """
        tables = self._tables()
        rules: Rules = tables.about
        codes = tables.claims(None, tables.read("", imsi)[2])
        return rules.told(codes[0] if codes else rules.policy.outcome(())[0])

    def explain(self, imei: Any, imsi: str | bytes | None = None) -> tuple[Claim, ...]:
        """All that the lists say of one IMEI, as used by one subscriber: by every list and every rule.

        Parameters
        ----------
        imei, imsi
            As for `check`.

        Returns
        -------
        tuple of Claim
            The strongest first, as `Policy.precedence` has the rules; by one rule black before grey before
            white, then as the lists come. Pairs: those of 'block', of 'exempt' and of 'lock' lists; prefixes
            of IMSIs: the longest first. The first claim is the one that decided, unless the policy did.

        Raises
        ------
        ImeiError, ImsiError
            As `check` does.

        Notes
        -----
        Of a phone on no list the time of a `check`. Of one on three of 31 lists of 100 million IMEIs 22 to 26
        µs.

        Examples
        --------
        >>> from imeiset import EquipmentStatus, Register
        >>> register = Register()
        >>> register.add("found", ["490154203237518"], status=EquipmentStatus.GREYLISTED)
        >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED, reason="theft")
        >>> [(claim.list, claim.reasons, claim.decided) for claim in register.explain("490154203237518")]
        [('stolen', ('theft',), True), ('found', (), False)]
        """
        tables = self._tables()
        claims: tuple[Claim, ...] = tables.about.claims(tables, *tables.read(imei, imsi), imei)
        return claims

    @overload
    def check_many(
        self,
        imeis: Any,
        imsis: Any = ...,
        *,
        threads: _Threads = ...,
        lists: _No = ...,
        details: _No = ...,
        digits: int = ...,
    ) -> NDArray[np.uint8]: ...
    @overload
    def check_many(
        self,
        imeis: Any,
        imsis: Any = ...,
        *,
        threads: _Threads = ...,
        lists: _Yes,
        details: _No = ...,
        digits: int = ...,
    ) -> tuple[NDArray[np.uint8], NDArray[np.int8]]: ...
    @overload
    def check_many(
        self,
        imeis: Any,
        imsis: Any = ...,
        *,
        threads: _Threads = ...,
        lists: _No = ...,
        details: _Yes,
        digits: int = ...,
    ) -> dict[str, Any]: ...
    def check_many(
        self,
        imeis: Any,
        imsis: Any = None,
        *,
        threads: _Threads = 1,
        lists: bool = False,
        details: bool = False,
        digits: int = 14,
    ) -> Any:
        """The statuses of a column of IMEIs, all answered by the lists of one moment.

        Parameters
        ----------
        imeis
            Any column, see `ImeiSet`.
        imsis
            A column of IMSI texts, one for each row, see `check`; None or "" where it is not known.
        threads
            How many to use, None: all cores; the interpreter is free meanwhile.
        lists
            Also say which list decided.
        details
            Also say all that `check` says, and until when: as columns. Not with `lists`.
        digits
            14 for integers that are keys, 15 for such as have the check digit.

        Returns
        -------
        uint8[n] of `EquipmentStatus`; with `lists` also int8[n], the number of the list that decided, in the
        order of `lists`, or -1. With `details` a dict of columns: 'status' as above; 'list', 'rule' and
        'reasons' (joined by '|'), each a column of texts that libraries read as an Arrow dictionary, see
        `imeiset.register.Words`; 'date' and 'until', datetime64[D]. None and NaT where there is none.

        Raises
        ------
        ImeiError, ImsiError
            For the first malformed row, with its position, if the policy does not say what such gets. For
            IMSIs that are numbers whatever it says.

        Notes
        -----
        14 to 60 ns for an IMEI on no list, and 7 µs a call.

        Examples
        --------
        >>> from imeiset import EquipmentStatus, Register
        >>> register = Register()
        >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
        >>> register.check_many(["490154203237518", "352099001761481"]).tolist()
        [1, 0]
        >>> answers = register.check_many(["490154203237518", "352099001761481"], details=True)
        >>> list(answers["list"]), list(answers["rule"])
        (['stolen', None], ['exact', 'default'])
        """
        if lists and details:
            raise TypeError("check_many: expected lists or details, which have the lists, got both")
        if imsis is not None:
            expect_ordered("imeis", imeis)
        tables, imeis = self._tables(), readers.materialized(imeis)
        if details:
            answers, numbers = _answers(tables, imeis, imsis, threads, digits)
            return answered(tables.about.lists, tables.about.rule, answers, numbers)
        codes, _ = _codes(tables, imeis, imsis, np.uint16 if lists else np.uint8, threads, digits)
        return _shown(codes, lists)

    def decide(self, keys: Keys, imsis: Keys | None = None) -> Decisions:
        """What `check_many` says of keys that were parsed, for who tells some of it to others.

        Parameters
        ----------
        keys : uint64[n]
            Of well-formed rows, as `imeiset.parse` gives them.
        imsis : uint64[n], optional
            The numbers of their IMSIs, see `imeiset.register.imsis.imsi_numbers`; 0 where it is not known.

        Returns
        -------
        Decisions

        Raises
        ------
        ValueError
            Something is not a key.

        Examples
        --------
        >>> import imeiset
        >>> keys, status = imeiset.parse(["490154203237518"])
        >>> imeiset.Register().decide(keys).tally()
        {(0, 'default'): 1}
        """
        tables = self._tables()
        rows = np.empty(len(keys), np.uint64)
        if not tables.answer(keys, rows, imsis):
            raise ValueError("keys: expected numbers below 10**14, got one that is not")
        return Decisions(tables.about, rows, imsis)


def tables_of(checks: Checks) -> CheckTables:
    """What the kernels read: the lists of one moment. It is another object once they have changed."""
    return checks._tables()


def _answers(
    tables: CheckTables, imeis: Any, imsis: Any, threads: _Threads, digits: int
) -> tuple[Answers, Keys | None]:
    """What is decided of a column, and the numbers of its IMSIs."""
    if imsis is None and threads == 1 and (keys := columns.likely_keys(imeis, digits=digits)) is not None:
        status, which = np.empty(len(keys), np.uint8), np.empty(len(keys), np.int64)
        said = np.empty(len(keys), np.uint64)
        hits = tables.hits(keys, status, which, said)
        if hits >= 0:
            return Answers(status, which[:hits], said[:hits]), None
    codes, numbers = _codes(tables, imeis, imsis, np.uint64, threads, digits)
    return Answers.of(codes), numbers


def _codes(
    tables: CheckTables, imeis: Any, imsis: Any, dtype: Any, threads: _Threads, digits: int
) -> tuple[NDArray[Any], Keys | None]:
    """The codes of a column, as `CheckTables.answer` has them for this type, and the numbers of its IMSIs."""
    rules: Rules = tables.about
    numbers: Keys | None = None
    value: Callable[[int], object] | None = None
    refused = False
    # Otherwise rows are looked at one by one: irregular ones are not malformed.
    settled = rules.policy.malformed is not None
    strict = settled and not rules.has_texts
    if imsis is None:
        if threads == 1 and (ready := columns.likely_keys(imeis, digits=digits)) is not None:
            codes: NDArray[Any] = np.empty(len(ready), dtype)
            if tables.answer(ready, codes):
                return codes, None
        marked = int(np.iinfo(dtype).max) if dtype is np.uint64 else _MALFORMED
        codes = columns.ask(
            imeis,
            tables.answer,
            dtype,
            threads=threads,
            malformed=marked,
            digits=digits,
            strict=strict,
        )
        rows = np.flatnonzero(codes == marked)
    else:
        keys, status = columns.parse(imeis, digits=digits)
        asked, value = imsi_numbers(imsis, len(keys))
        if settled:
            for row in (unread := np.flatnonzero(asked == BAD_IMSI)).tolist():
                rules.unread(value(row), row)
            asked[unread] = NO_IMSI
            if unread.size:
                first = int(unread[0])
                columns.warn_of_imsis(len(keys), unread.size, first, value(first))
        codes, numbers, count = np.empty(len(keys), dtype), asked, parts_for(threads)
        if count == 1:
            tables.answer(keys, codes, asked)
        else:
            edges = [len(keys) * part // count for part in range(count + 1)]
            parts = [slice(*edge) for edge in pairwise(edges)]
            in_threads(lambda part: tables.answer(keys[part], codes[part], asked[part]), parts)
        rows = np.flatnonzero((status != 0) | (asked == BAD_IMSI))
        refused = bool(np.isin(status[rows], columns.AMBIGUOUS).any())
    if rows.size:
        imei = readers.values(imeis, digits=digits)
        wrong = rules.decide_malformed(tables, codes, rows, imei, value, numbers, digits, refused)
        if wrong.size and not (imsis is None and strict):
            first = int(wrong[0])
            why = int(columns.parse([imei(first)], digits=digits)[1][0])
            columns.warn_of_malformed(imeis, len(codes), wrong.size, first, why, digits=digits)
    return codes, numbers


def _shown(codes: NDArray[Any], lists: bool) -> Any:
    """Statuses; with `lists`, also the numbers of the lists that decided, -1 where none did."""
    return ((codes & 0xFF).astype(np.uint8), (codes >> 8).astype(np.int8) - np.int8(1)) if lists else codes
