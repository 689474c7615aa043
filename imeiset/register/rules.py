"""Lists and a policy, worked out for checks."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from imeiset import columns, irregular
from imeiset._native.checks import PACKED, RULES, CheckTables
from imeiset._native.imsi import BAD_IMSI, NO_IMSI, Prefixes
from imeiset._native.layered import Detailed, Level, codes_of
from imeiset.errors import ImeiError, ImsiError, ParseStatus
from imeiset.readers import Keys
from imeiset.register import kinds
from imeiset.register.claims import Claim, day, last_days
from imeiset.register.coverage import Coverage
from imeiset.register.deciders import alone
from imeiset.register.imsis import PrefixLayer
from imeiset.register.layered import LayeredSet
from imeiset.register.lists import List
from imeiset.register.policy import STRENGTH, EquipmentStatus, Policy, Rule, Verdict

_ROWS = 1 << 12  # of malformed rows at a time
_CLAIMS = 1 << 14  # with details, each made once: some MB
_MEANINGS = 1 << 12  # of codes of each list: a MB
_STATUSES = tuple(EquipmentStatus)
_RULES: tuple[Any, ...] = (*RULES, "irregular", "malformed")
_BY_EXACT, _BY_PAIR = RULES.index("exact"), RULES.index("pair")
_IRREGULAR, _BY_POLICY = (_RULES.index(rule) << 16 for rule in ("irregular", "malformed"))


class _Speaker(NamedTuple):
    """What a list says by one rule of any phone. exact: where it may say more of one."""

    list: List
    rule: Rule
    reasons: tuple[str, ...]
    exact: LayeredSet | None
    detailed: tuple[Detailed, ...]
    meanings: dict[tuple[int, int, int], Any]  # what was read, by side, column and code

    def said(self, side: int, *codes: int) -> Sequence[Any]:
        """The reasons, the date and the until that it has for a phone, or the first of these; of what
        `codes_of` says."""
        known = self.meanings
        return [
            known[place] if (place := (side, at, code)) in known else self._read(*place)
            for at, code in enumerate(codes)
        ]

    def _read(self, side: int, at: int, code: int) -> Any:
        text = cast(LayeredSet, self.exact).text(side, at, code)
        found = day(text) if at else tuple(text.split("|")) if text else self.reasons
        if len(self.meanings) < _MEANINGS:
            self.meanings[side, at, code] = found
        return found


class Rules:
    """Lists and a policy, worked out for checks. Frozen.

    What a rule says is a code: the status, from bit 8 on one more than the number of the list, from bit 16 on
    the rule.
    """

    def __init__(self, lists: Sequence[List], policy: Policy) -> None:
        self.lists = tuple(lists)
        self.policy = policy
        self._statuses = tuple(one.status for one in self.lists)
        self._by_strength = sorted(range(len(lists)), key=lambda i: STRENGTH.index(self._statuses[i]))
        self.has_texts = any(one.irregular for one in self.lists)
        self._speakers: dict[int, _Speaker] = {}
        self._claims: dict[tuple[int, tuple[int, ...] | None, bool], Claim] = {}

    def tables(
        self,
        coverage: Coverage,
        prefixes: Sequence[PrefixLayer] | None = None,
        touched: Keys | None = None,
        spread: bool = False,
    ) -> CheckTables:
        """What checks read; see `CheckTables` for the arguments. prefixes: None to make them of the lists."""
        lists, prefixes = self.lists, [self.prefixes()] if prefixes is None else prefixes
        levels = {
            rule: Level(
                [
                    (part.part, self._statuses[i], i)
                    for i in self._by_strength
                    if (part := getattr(lists[i], rule))
                ]
            )
            for rule in kinds.LEVELS
        }
        paired = [(i, one.kind, one.pairs) for i, one in enumerate(lists) if one.pairs is not None]
        order = {kind: place for place, kind in enumerate(kinds.KINDS)}
        rank = {i: place for place, i in enumerate(self._by_strength)}
        paired.sort(key=lambda entry: (order[entry[1]], rank[entry[0]] if entry[1] == "block" else 0))
        deciders = coverage.deciders or alone(coverage.imeis, lists)
        fits = deciders is not None and deciders.fit(lists, filtered=touched is not None)
        fields = {rule: kinds.RULES[rule].field for rule in self.policy.precedence}
        return CheckTables(
            coverage.imeis,
            order=[rule for rule, held in fields.items() if any(getattr(one, held) for one in lists)],
            levels=levels,
            pairings=[(pairs.pairing, kind == "lock", self._code(i)) for i, kind, pairs in paired],
            prefixes=Prefixes(
                [(one.numbers, one.codes) for one in prefixes],
                {length for one in prefixes for length in one.lengths},
            ),
            outcomes=_outcomes(self.policy),
            lists=len(lists),
            detailed={i: one.exact for i, one in enumerate(lists) if one.exact and one.exact.has_details},
            told=self.told,
            malformed=self.malformed,
            unread=self.unread,
            about=self,
            spans=coverage.spans,
            shift=coverage.shift,
            touched=touched,
            spread=spread,
            deciders=deciders.given if deciders and fits else None,
        )

    def prefixes(self) -> PrefixLayer:
        """All IMSI prefixes, and what each says. O(prefixes)."""
        return PrefixLayer.of({n: self._code(i) for i, one in enumerate(self.lists) for n in one.prefixes})

    def prefixes_of(self, numbers: Iterable[int]) -> PrefixLayer:
        """Some prefixes, and what each says now."""
        codes = {n: self._code(i) for i, one in enumerate(self.lists) for n in numbers if n in one.prefixes}
        return PrefixLayer.of(dict.fromkeys(numbers, 0) | codes)

    def _code(self, i: int) -> int:
        """What a list says alone, without the rule."""
        return self._statuses[i] | (i + 1) << 8

    # ---- one ----

    def told(self, code: int, about: tuple[int, ...] | None = None) -> Verdict:
        """What a code says; with the reasons and the date that the list has for a phone. about: what
        `codes_of` says of it, or these codes alone, of a member of the base."""
        status = _STATUSES[code & 0xFF]
        if not code >> 8 & 0xFF:
            return Verdict(status, rule=self.rule(code))
        speaker = self._speakers.get(code) or self._speaker(code)
        if about is None or speaker.exact is None:
            return Verdict(status, speaker.list.name, speaker.rule, speaker.reasons)
        *side, reasons, date, _ = about
        said = speaker.said(side[0] if side else len(speaker.exact.layers), reasons, date)
        return Verdict(status, speaker.list.name, speaker.rule, *said)

    def rule(self, code: int) -> Rule:
        """The word for the rule of a code."""
        number = (code >> 8 & 0xFF) - 1
        said = kinds.KINDS[self.lists[number].kind].says if number >= 0 else None
        return cast(Rule, said or (_RULES[code >> 16] if code >> 8 else "default"))

    def _speaker(self, code: int) -> _Speaker:
        """What a code says, but of one phone."""
        found = self._speakers.get(code)
        if found is None:
            one = self.lists[(code >> 8 & 0xFF) - 1]
            detailed = one.exact is not None and one.exact.has_details and code >> 16 == _BY_EXACT
            exact, reasons = one.exact if detailed else None, (one.reason,) if one.reason else ()
            found = _Speaker(one, self.rule(code), reasons, exact, (exact.detailed,) if exact else (), {})
            self._speakers[code] = found
        return found

    def claims(
        self, tables: CheckTables, key: int, status: int, subscriber: int, imei: object
    ) -> tuple[Claim, ...]:
        """All that lists say of an IMEI; status: why it is none, 0 where it is."""
        codes, by_list = tables.claims(None if status else key, subscriber), True
        if status:
            found, is_key = self._malformed(imei, status, codes[0] if codes else 0)
            if is_key:
                status, key, codes = 0, found, tables.claims(found, subscriber)
            else:
                by_list = found < _BY_POLICY
                form = irregular.normalised(imei) if self.has_texts else None
                codes = self._of_text(form, codes) if isinstance(form, bytes) else codes
        if not codes:
            return ()
        speakers = [self._speaker(code) for code in codes]
        places = iter(codes_of([one.detailed[0] for one in speakers if one.detailed], key))
        claims: list[Claim] = []
        for code, speaker in zip(codes, speakers, strict=True):
            place = next(places) if speaker.exact is not None else None
            decided = by_list and not claims
            known = code, place, decided
            claim = self._claims.get(known)
            if claim is None:
                one, rule, reasons, *_ = speaker
                date = until = None
                if place is not None:
                    reasons, date, until = speaker.said(*place)
                elif code >> 16 == _BY_PAIR:
                    days = last_days(one, np.array([key], np.uint64), np.array([subscriber], np.uint64))
                    until = days.tolist()[0]
                claim = Claim(one.name, one.owner, one.status, rule, reasons, date, until, decided)
                if code >> 16 != _BY_PAIR and len(self._claims) < _CLAIMS:
                    self._claims[known] = claim
            claims.append(claim)
        return tuple(claims)

    def malformed(self, imei: object, status: int, prefix: int) -> Verdict | int:
        """The verdict on what is not an IMEI; status says why. prefix: the code that the IMSI gives alone.

        A key instead where a text begins with one.
        """
        found, is_key = self._malformed(imei, status, prefix)
        return found if is_key else self.told(found)

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
            if form is not None and (codes := self._of_text(form, [prefix] if prefix else [])):
                return self._decided(codes), False
        if self.policy.malformed is not None and status not in columns.AMBIGUOUS:
            return self.policy.malformed | _BY_POLICY, False
        raise ImeiError(ParseStatus(status), imei, position=row)

    def _of_text(self, text: bytes, prefixes: list[int]) -> list[int]:
        """The codes of all that lists say of an irregular identity, those that are asked first before the
        others. prefixes: of what they say of the IMSI alone."""
        on = [i for i in self._by_strength if text in self.lists[i].irregular]
        texts = [self._code(i) | _IRREGULAR for i in on]
        said = {"imsi": prefixes, "exact": texts}
        return [code for rule in self.policy.precedence for code in said.get(rule, ())]

    def _decided(self, codes: list[int]) -> int:
        """The code that decides of those of an irregular identity."""
        if codes[0] < _IRREGULAR:
            return codes[0]
        outcome = self.policy.outcome([code & 0xFF for code in codes if code >= _IRREGULAR])[0]
        return codes[0] & ~0xFF | outcome

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
        whole = codes.dtype == np.uint64  # with the rules
        if self.policy.malformed is not None and not self.has_texts and not refused:
            codes[rows] = packed(self.policy.malformed | _BY_POLICY) if whole else self.policy.malformed
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
        answers = packed(found) if whole else found.astype(codes.dtype)  # statuses alone: without the list
        again = answers[regular]
        tables.answer(found[regular], again, numbers[regular])
        answers[regular] = again
        codes[rows] = answers
        return rows[~regular & (found >= _BY_POLICY)]


def packed(codes: Any) -> Any:
    """Codes as the whole answers of rows without a key, see `PACKED`."""
    return (codes & 3 | (codes >> 8 & 63) << 2 | codes >> 16 << 8) << PACKED


@lru_cache(16)
def _outcomes(policy: Policy) -> bytes:
    """The status for lists of these statuses, a bit each."""
    return bytes(policy.outcome([s for s in STRENGTH if on >> s & 1])[0] for on in range(8))
