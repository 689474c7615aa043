"""Lists and a policy, worked out for checks: of one IMEI and of columns."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from imeiset import columns, irregular
from imeiset._native.checks import CheckTables, Level
from imeiset._native.imsi import BAD_IMSI
from imeiset._threads import in_threads, parts_for
from imeiset.arrow import exported
from imeiset.columns import Keys
from imeiset.errors import ImeiError, ImsiError, ParseStatus
from imeiset.register.coverage import Coverage
from imeiset.register.details import damaged
from imeiset.register.imsis import imsi_number, imsi_numbers
from imeiset.register.kinds import LEVELS
from imeiset.register.layered import LayeredSet
from imeiset.register.lists import List
from imeiset.register.policy import STRENGTH, EquipmentStatus, Policy, Rule, Verdict
from imeiset.sets import ImeiSet

_MALFORMED = 0xFF  # in the place of a status: not decided yet


class Rules:
    """Lists and a policy, worked out for checks. Frozen; `CheckTables` reads all that is public here."""

    def __init__(self, lists: Sequence[List], policy: Policy) -> None:
        self.lists = tuple(lists)
        self.policy = policy
        self._statuses = tuple(one.status for one in self.lists)
        self._texts = any(one.irregular for one in self.lists)
        self.unlisted = Verdict(policy.outcome(())[0])
        self.outcomes = bytes(policy.outcome([s for s in STRENGTH if on >> s & 1])[0] for on in range(8))
        by_strength = sorted(range(len(lists)), key=lambda i: STRENGTH.index(self._statuses[i]))
        self.levels = {
            rule: Level(
                [(part.part, self._statuses[i], i) for i in by_strength if (part := lists[i].parts.get(rule))]
            )
            for rule in LEVELS
        }
        paired = [(i, one.kind, one.pairs) for i, one in enumerate(self.lists) if one.pairs is not None]
        paired.sort(key=lambda entry: entry[1])  # 'exempt' before 'lock'
        self.pairings = [(pairs.pairing, kind == "lock", self._code(i)) for i, kind, pairs in paired]
        prefixes = sorted((prefix, i) for i, one in enumerate(self.lists) for prefix in one.prefixes)
        self.prefixes = np.array([prefix for prefix, _ in prefixes], np.uint64)
        self.prefix_codes = np.array([self._code(i) for _, i in prefixes], np.uint16)
        has = {rule for one in self.lists for rule in one.rules}
        self.order = tuple(rule for rule in policy.precedence if rule in has)
        self.columned = sum(1 << i for i, one in enumerate(lists) if one.exact and one.exact.has_details)

    def _code(self, i: int) -> int:
        """What a list says alone: its status, and above it one more than its number."""
        return self._statuses[i] | (i + 1) << 8

    # ---- one ----

    def verdict(self, rule: Rule, i: int, status: int) -> Verdict:
        """By a list; status: by all that have a say."""
        one = self.lists[i]
        return Verdict(EquipmentStatus(status), one.name, rule, (one.reason,) if one.reason else ())

    def with_texts(self, verdict: Verdict, i: int, key: int) -> Verdict:
        """With the reasons and the date that a list has for an exact IMEI."""
        reasons, date = cast(LayeredSet, self.lists[i].exact).details(key)
        try:
            day = datetime.date.fromisoformat(date) if date else None
        except ValueError as error:
            raise damaged("dates", str(error)) from None
        reasons_of = tuple(reasons.split("|")) if reasons else verdict.reasons
        return replace(verdict, reasons=reasons_of, date=day)

    def malformed(self, tables: CheckTables, imei: object, status: int, imsi: object) -> Verdict:
        """The verdict on an IMEI that is none (status says why), or that came with a malformed IMSI."""
        number = imsi_number(imsi)
        if number != BAD_IMSI:
            form = irregular.normalised(imei) if self._texts and status else None
            if isinstance(form, int):
                return tables.resolve(form, number)
            if form is not None and (found := self._by_text(tables, form, number)):
                return found
        if self.policy.malformed is not None:
            return Verdict(self.policy.malformed)
        raise ImsiError(value=imsi) if number == BAD_IMSI else ImeiError(ParseStatus(status), imei)

    def _by_text(self, tables: CheckTables, text: bytes, imsi: int) -> Verdict | None:
        for rule in self.policy.precedence:
            if rule == "imsi" and (found := tables.by_prefix(imsi)):
                return found
            if rule == "exact" and (on := [i for i, one in enumerate(self.lists) if text in one.irregular]):
                status, deciding = self.policy.outcome([self._statuses[i] for i in on])
                return self.verdict("irregular", next(i for i in on if self._statuses[i] == deciding), status)
        return None

    # ---- many: statuses; or codes, a status and above it one more than the number of the list -----------

    def check_many(
        self,
        tables: CheckTables,
        imeis: object,
        imsis: object,
        threads: int,
        lists: bool,
        digits: int,
        arrow: bool,
    ) -> Any:
        """See `Register.check_many`."""
        imeis = columns.settled(imeis)
        dtype: Any = np.uint16 if lists else np.uint8
        codes: NDArray[Any]
        value: Callable[[int], object] | None = None
        if (
            imsis is None
            and threads == 1
            and (ready := columns.likely_keys(imeis, digits=digits)) is not None
        ):
            codes = np.empty(len(ready), dtype)
            if tables.answer(ready, codes):
                return _shown(codes, lists, arrow)
        if imsis is None:
            codes = columns.ask(
                imeis, tables.answer, dtype, threads=threads, malformed=_MALFORMED, digits=digits
            )
            malformed = codes == _MALFORMED
        else:
            keys, status = columns.parse(imeis, digits=digits)
            numbers, value = imsi_numbers(imsis, len(keys))
            codes = np.empty(len(keys), dtype)
            self._ask_pairs(tables, keys, numbers, codes, threads)
            malformed = (status != 0) | (numbers == BAD_IMSI)
        if malformed.any():
            self._settle(tables, codes, malformed, imeis, value, digits)
        return _shown(codes, lists, arrow)

    def _ask_pairs(
        self, tables: CheckTables, keys: Keys, imsis: Keys, out: NDArray[Any], threads: int
    ) -> None:
        if threads == 1:
            tables.answer(keys, out, imsis)
            return
        count = parts_for(threads)
        edges = [len(keys) * part // count for part in range(count + 1)]
        parts = [slice(*edge) for edge in pairwise(edges)]
        in_threads(lambda part: tables.answer(keys[part], out[part], imsis[part]), parts)

    def _settle(
        self,
        tables: CheckTables,
        codes: NDArray[Any],
        malformed: NDArray[np.bool_],
        imeis: object,
        imsi: Callable[[int], object] | None,
        digits: int,
    ) -> None:
        """Decide the malformed rows one by one, as `check` does."""
        rows = np.flatnonzero(malformed)
        if self.policy.malformed is not None and not self._texts:
            codes[rows] = self.policy.malformed
            return
        value = columns.values(imeis, digits=digits)
        numbers = {one.name: i + 1 for i, one in enumerate(self.lists)}
        for row in rows.tolist():
            imei, subscriber = value(row), None if imsi is None else imsi(row)
            status = int(columns.parse([imei], digits=digits)[1][0])
            try:
                found = self.malformed(tables, imei, status, subscriber)
            except ImeiError as error:
                raise ImeiError(error.status, imei, position=row) from None
            except ImsiError:
                raise ImsiError(value=subscriber, position=row) from None
            code = found.status | numbers.get(found.list or "", 0) << 8
            codes[row] = code if codes.itemsize > 1 else found.status


def _shown(codes: NDArray[Any], lists: bool, arrow: bool) -> Any:
    """Statuses; with `lists`, also the numbers of the lists that decided, in Arrow null where none did."""
    if not lists:
        return exported(codes) if arrow else codes
    deciding = (codes >> 8).astype(np.int8) - np.int8(1)
    codes = (codes & 0xFF).astype(np.uint8)
    return (exported(codes), exported(deciding, deciding >= 0)) if arrow else (codes, deciding)


def make_tables(
    lists: Sequence[List],
    policy: Policy,
    known: Coverage,
    touched: Keys | None = None,
    wide: ImeiSet | None = None,
) -> CheckTables:
    """What checks read; see `CheckTables` for the arguments."""
    rules = Rules(lists, policy)
    return CheckTables(
        known.imeis,
        rules,
        spans=known.spans,
        shift=known.shift,
        touched=touched,
        wide=wide,
    )
