"""Lists and a policy, worked out for checks: of one IMEI and of columns."""

import datetime
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, cast, overload

import numpy as np
from numpy.typing import NDArray

from imeiset import columns, irregular, readers
from imeiset._native.checks import RULES, Checker, CheckTables, Level
from imeiset._native.imsi import BAD_IMSI, NO_IMSI
from imeiset._threads import in_threads, parts_for
from imeiset.errors import ImeiError, ImsiError, ParseStatus, expect_ordered
from imeiset.readers import Keys
from imeiset.register import kinds
from imeiset.register.coverage import Coverage
from imeiset.register.details import damaged
from imeiset.register.imsis import imsi_numbers
from imeiset.register.layered import LayeredSet
from imeiset.register.lists import List, ListMapping
from imeiset.register.policy import STRENGTH, EquipmentStatus, Policy, Verdict
from imeiset.sets import ImeiSet

_Threads = int | None
_No = Literal[False]
_Yes = Literal[True]
_MALFORMED = 0xFF  # in the place of a status: not decided yet
_ROWS = 1 << 12  # of malformed rows at a time
_RULES: tuple[Any, ...] = (*RULES, "irregular", "malformed")
_BY_POLICY = _RULES.index("malformed") << 16


class Rules:
    """Lists and a policy, worked out for checks. Frozen.

    What a rule says is a code: the status, from bit 8 on one more than the number of the list, from bit 16 on
    the rule.
    """

    def __init__(self, lists: Sequence[List], policy: Policy) -> None:
        self.lists = tuple(lists)
        self.policy = policy
        self._statuses = tuple(one.status for one in self.lists)
        self.has_texts = any(one.irregular for one in self.lists)

    def tables(
        self, coverage: Coverage, touched: Keys | None = None, wide: ImeiSet | None = None
    ) -> CheckTables:
        """What checks read; see `CheckTables` for the arguments."""
        lists = self.lists
        by_strength = sorted(range(len(lists)), key=lambda i: STRENGTH.index(self._statuses[i]))
        levels = {
            rule: Level(
                [(part.part, self._statuses[i], i) for i in by_strength if (part := getattr(lists[i], rule))]
            )
            for rule in kinds.LEVELS
        }
        paired = [(i, one.kind, one.pairs) for i, one in enumerate(lists) if one.pairs is not None]
        paired.sort(key=lambda entry: entry[1])  # 'exempt' before 'lock'
        prefixes = sorted((prefix, i) for i, one in enumerate(lists) for prefix in one.prefixes)
        fields = {rule: kinds.RULES[rule].field for rule in self.policy.precedence}
        return CheckTables(
            coverage.imeis,
            order=[rule for rule, held in fields.items() if any(getattr(one, held) for one in lists)],
            levels=levels,
            pairings=[(pairs.pairing, kind == "lock", self._code(i)) for i, kind, pairs in paired],
            prefixes=np.array([prefix for prefix, _ in prefixes], np.uint64),
            codes=np.array([self._code(i) for _, i in prefixes], np.uint16),
            outcomes=_outcomes(self.policy),
            lists=len(lists),
            detailed=sum(1 << i for i, one in enumerate(lists) if one.exact and one.exact.has_details),
            explain=self.explain,
            malformed=self.malformed,
            unread=self.unread,
            about=self,
            spans=coverage.spans,
            shift=coverage.shift,
            touched=touched,
            wide=wide,
        )

    def _code(self, i: int) -> int:
        """What a list says alone, without the rule."""
        return self._statuses[i] | (i + 1) << 8

    # ---- one ----

    def explain(self, code: int, key: int | None = None) -> Verdict:
        """What a code says; with the reasons and the date that the list has for a key."""
        status, i = EquipmentStatus(code & 0xFF), (code >> 8 & 0xFF) - 1
        if i < 0:
            return Verdict(status, rule=_RULES[code >> 16] if code >> 16 else "default")
        one, day = self.lists[i], None
        reasons: tuple[str, ...] = (one.reason,) if one.reason else ()
        if key is not None:
            details, date = cast(LayeredSet, one.exact).details(key)
            try:
                day = datetime.date.fromisoformat(date) if date else None
            except ValueError as error:
                raise damaged("dates", str(error)) from None
            reasons = tuple(details.split("|")) if details else reasons
        return Verdict(status, one.name, _RULES[code >> 16], reasons, day)

    def malformed(self, imei: object, status: int, prefix: int) -> Verdict | int:
        """The verdict on an IMEI that is none; status says why. prefix: the code that the IMSI gives alone.

        A key instead where a text begins with one.
        """
        found, is_key = self._malformed(imei, status, prefix)
        return found if is_key else self.explain(found)

    def unread(self, imsi: object, row: int | None = None) -> None:
        """Raise ImsiError for a malformed IMSI, unless it is a text and the policy says what malformed input
        gets.

        It then counts as not given, and never decides what the phone gets: whoever sends nonsense for an
        IMSI would choose that status, and get around a list or a lock. A number may be one whose leading
        zeros are lost.
        """
        if self.policy.malformed is None or not isinstance(imsi, str | bytes):
            raise ImsiError(value=imsi, position=row)

    def _malformed(self, imei: object, status: int, prefix: int, row: int | None = None) -> tuple[int, bool]:
        """The code, or the key to decide by, and whether it is one."""
        if self.has_texts and status:
            form = irregular.normalised(imei)
            if isinstance(form, int):
                return form, True
            if form is not None and (code := self._by_text(form, prefix)):
                return code, False
        if self.policy.malformed is not None and status not in columns.AMBIGUOUS:
            return self.policy.malformed | _BY_POLICY, False
        raise ImeiError(ParseStatus(status), imei, position=row)

    def _by_text(self, text: bytes, prefix: int) -> int:
        """The code of an irregular identity, 0 where there is none."""
        for rule in self.policy.precedence:
            if rule == "imsi" and prefix:
                return prefix
            if rule == "exact" and (on := [i for i, one in enumerate(self.lists) if text in one.irregular]):
                status, deciding = self.policy.outcome([self._statuses[i] for i in on])
                first = next(i for i in on if self._statuses[i] == deciding)
                return status | (first + 1) << 8 | _RULES.index("irregular") << 16
        return 0

    # ---- many ----

    def decide_malformed(
        self,
        tables: CheckTables,
        codes: NDArray[Any],
        rows: NDArray[np.intp],
        imei: Callable[[int], object],
        imsi: Callable[[int], object] | None,
        numbers: Keys | None,
        digits: int,
        refused: bool,
    ) -> NDArray[np.intp]:
        """Decide these rows as `check` does; returns those that got what the policy says of malformed input.

        numbers: of the IMSIs of all rows, None where none is known.
        refused: one may be ambiguous (`columns.AMBIGUOUS`), which is an error whatever the policy says.
        """
        if self.policy.malformed is not None and not self.has_texts and not refused:
            codes[rows] = self.policy.malformed
            return rows
        numbers = np.full(len(rows), NO_IMSI, np.uint64) if numbers is None else numbers[rows]
        prefixes, regular = np.empty(len(rows), np.uint16), np.zeros(len(rows), bool)
        tables.by_prefix(numbers, prefixes)
        found = np.empty(len(rows), np.uint64)
        for start in range(0, len(rows), _ROWS):
            some = slice(start, start + _ROWS)
            values = [imei(row) for row in rows[some].tolist()]
            asked = (rows[some], columns.parse(values, digits=digits)[1], numbers[some], prefixes[some])
            for at, (value, row, status, number, prefix) in enumerate(
                zip(values, *(column.tolist() for column in asked), strict=True), start
            ):
                if number == BAD_IMSI and imsi is not None:
                    self.unread(imsi(row), row)
                found[at], regular[at] = self._malformed(value, status, prefix, row)
        answers = found.astype(codes.dtype)  # without the rule; of statuses alone, without the list
        again = answers[regular]
        tables.answer(found[regular], again, numbers[regular])
        answers[regular] = again
        codes[rows] = answers
        return rows[~regular & (found >= _BY_POLICY)]


@lru_cache(16)
def _outcomes(policy: Policy) -> bytes:
    """The status for lists of these statuses, a bit each."""
    return bytes(policy.outcome([s for s in STRENGTH if on >> s & 1])[0] for on in range(8))


class Checks(ListMapping, Checker):
    """What a register and a store have in common."""

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

    @overload
    def check_many(
        self, imeis: Any, imsis: Any = ..., *, threads: _Threads = ..., lists: _No = ..., digits: int = ...
    ) -> NDArray[np.uint8]: ...
    @overload
    def check_many(
        self, imeis: Any, imsis: Any = ..., *, threads: _Threads = ..., lists: _Yes, digits: int = ...
    ) -> tuple[NDArray[np.uint8], NDArray[np.int8]]: ...
    def check_many(
        self, imeis: Any, imsis: Any = None, *, threads: _Threads = 1, lists: bool = False, digits: int = 14
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
        digits
            14 for integers that are keys, 15 for such as have the check digit.

        Returns
        -------
        uint8[n] of `EquipmentStatus`; with `lists` also int8[n], the number of the list that decided, in the
        order of `lists`, or -1.

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
        """
        tables = self._tables()
        if imsis is not None:
            expect_ordered("imeis", imeis)
        imeis = readers.materialized(imeis)
        dtype: Any = np.uint16 if lists else np.uint8
        numbers: Keys | None = None
        value: Callable[[int], object] | None = None
        refused = False
        # Otherwise rows are looked at one by one: irregular ones are not malformed.
        strict = self.policy.malformed is not None and not tables.about.has_texts
        if imsis is None:
            if threads == 1 and (ready := columns.likely_keys(imeis, digits=digits)) is not None:
                codes: NDArray[Any] = np.empty(len(ready), dtype)
                if tables.answer(ready, codes):
                    return _shown(codes, lists)
            codes = columns.ask(
                imeis,
                tables.answer,
                dtype,
                threads=threads,
                malformed=_MALFORMED,
                digits=digits,
                strict=strict,
            )
            rows = np.flatnonzero(codes == _MALFORMED)
        else:
            keys, status = columns.parse(imeis, digits=digits)
            asked, value = imsi_numbers(imsis, len(keys))
            if self.policy.malformed is not None:
                for row in (unread := np.flatnonzero(asked == BAD_IMSI)).tolist():
                    tables.about.unread(value(row), row)
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
            wrong = tables.about.decide_malformed(tables, codes, rows, imei, value, numbers, digits, refused)
            if wrong.size and not (imsis is None and strict):
                first = int(wrong[0])
                why = int(columns.parse([imei(first)], digits=digits)[1][0])
                columns.warn_of_malformed(imeis, len(codes), wrong.size, first, why, digits=digits)
        return _shown(codes, lists)


def _shown(codes: NDArray[Any], lists: bool) -> Any:
    """Statuses; with `lists`, also the numbers of the lists that decided, -1 where none did."""
    return ((codes & 0xFF).astype(np.uint8), (codes >> 8).astype(np.int8) - np.int8(1)) if lists else codes
