"""Register: lists of equipment with a status each, and the verdict they give on one phone.

The words are those of Diameter S13 (3GPP TS 29.272) and of the 5G equipment identity register (TS 29.511).
"""

import datetime
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import numpy as np
import numpy.ma as ma
from numpy.typing import NDArray

from imeiset import columns, irregular, snapshot
from imeiset._native.checks import BAD_IMSI, NO_IMSI, Checker, Level, Tables, imsis_of, imsis_of_rows
from imeiset._threads import in_threads, parts_for
from imeiset.arrow import exported
from imeiset.columns import Keys
from imeiset.errors import (
    ImeiError,
    ImsiError,
    ParseStatus,
    SnapshotBounds,
    SnapshotVersion,
    expect_several,
    mask,
    mask_imsi,
)
from imeiset.register.members import (
    NO_PAIRS,
    NOTHING,
    Column,
    Known,
    Members,
    Paired,
    Pairs,
    anew,
    code_type,
    damaged,
    dump,
    merge_columns,
    packed,
    union,
    without_texts,
)
from imeiset.sets import ImeiSet

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

KIND = "register"  # of a snapshot that holds one
_ROWS = 1 << 16  # of Python objects at a time
_MALFORMED = 0xFF  # in the place of a status: not decided yet
_DATE = 10  # characters of the longest
_MAX_LISTS = 32  # what fits the sections of a snapshot, all parts counted
_DESCRIPTION = "register"
_SECTIONS = tuple(name for name, _ in NOTHING._sections())


class EquipmentStatus(IntEnum):
    """What an equipment identity register answers (3GPP TS 29.272). Stored: values never change."""

    WHITELISTED = 0
    BLACKLISTED = 1
    GREYLISTED = 2
    UNKNOWN = 3


_W, _B, _G, _U = EquipmentStatus

Rule = Literal["exact", "range", "tac", "pair", "imsi", "irregular", "default"]
"""What decided: the IMEI itself, a range, a whole TAC, a pair, the IMSI alone, a malformed IMEI that is
listed as text, or nothing, and then the policy."""


def _status(what: str, value: Any) -> EquipmentStatus:
    """The status of that number; False is not WHITELISTED."""
    if not isinstance(value, bool):
        with suppress(ValueError):
            return EquipmentStatus(value)
    names = ", ".join(f"EquipmentStatus.{name}" for name in EquipmentStatus.__members__)
    raise ValueError(f"{what}: expected {names}, got {value!r}")


@dataclass(frozen=True, slots=True)
class Policy:
    """How a register decides.

    response_type: what IMEIs get that are on several lists, or on none; by their lists:

        white only: white; white and grey: grey; black and white, with grey or not: black;
        grey only: grey, in type 3 unknown; black, or black and grey: black, in type 3 unknown;
        none: white, in types 2 and 3 unknown.

    unlisted: what equipment on no list gets, if not that. malformed: what input gets that is no IMEI, or
    comes with a malformed IMSI; None raises. precedence: the rules, the strongest first. Of the first that
    says anything all lists count; those of the others do not.
    """

    response_type: Literal[1, 2, 3] = 1
    unlisted: EquipmentStatus | None = None
    malformed: EquipmentStatus | None = None
    precedence: tuple[str, ...] = ("imsi", "pair", "exact", "range", "tac")

    def __post_init__(self) -> None:
        if self.response_type not in (1, 2, 3):
            raise ValueError(f"response_type: expected 1, 2 or 3, got {self.response_type!r}")
        for name in ("unlisted", "malformed"):
            status = getattr(self, name)
            object.__setattr__(self, name, None if status is None else _status(name, status))
        object.__setattr__(self, "precedence", tuple(self.precedence))
        if sorted(self.precedence) != ["exact", "imsi", "pair", "range", "tac"]:
            raise ValueError(
                f"precedence: expected 'exact', 'imsi', 'pair', 'range' and 'tac' in some order, "
                f"got {self.precedence!r}"
            )

    def outcome(self, statuses: Iterable[int]) -> tuple[EquipmentStatus, EquipmentStatus | None]:
        """The status of an IMEI on lists of these, and which of their statuses decided (None: none did)."""
        on = set(statuses)
        if not on:
            given = _W if self.response_type == 1 else _U
            return (given if self.unlisted is None else self.unlisted), None
        deciding = next(status for status in _STRENGTH if status in on)
        return (_U if self.response_type == 3 and _W not in on else deciding), deciding


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one check: the status, the list and the rule that gave it, and what that list says."""

    status: EquipmentStatus
    list: str | None = None
    rule: Rule = "default"
    reasons: tuple[str, ...] = ()
    date: datetime.date | None = None


@dataclass(frozen=True, slots=True, eq=False)
class List:
    """One list of a register, frozen. kind: 'imeis', 'exempt', 'lock' or 'imsis', with its parts."""

    name: str
    status: EquipmentStatus
    kind: str = "imeis"
    reason: str = ""
    exact: Members | None = None
    range: Members | None = None
    tac: Members | None = None
    texts: frozenset[bytes] = field(default=frozenset(), repr=False)
    pairs: Paired | None = field(default=None, repr=False)
    prefixes: frozenset[int] = field(default=frozenset(), repr=False)

    @property
    def parts(self) -> dict[str, Members]:
        """Those that it has, by their rule."""
        every = {rule: getattr(self, rule) for rule in _LEVELS}
        return {rule: part for rule, part in every.items() if part is not None}

    @property
    def rules(self) -> set[str]:
        """Those by which it may decide."""
        others = {"pair": self.pairs is not None, "imsi": self.prefixes, "irregular": self.texts}
        return {*self.parts, *(rule for rule, has in others.items() if has)}

    def counts(self) -> dict[str, int]:
        """How many of what it holds."""
        found = {rule: part.count() for rule, part in self.parts.items()}
        if self.texts:
            found["irregular"] = len(self.texts)
        if self.pairs is not None:
            found["pair"] = self.pairs.count()
        if self.prefixes:
            found["imsi"] = len(self.prefixes)
        return found

    def merged(self) -> "List":
        """With nothing changed since its base, and no parts that hold nothing."""
        parts: dict[str, Any] = {rule: part.merged() for rule, part in self.parts.items()}
        if self.range is not None and self.range.changed:
            parts["range"] = Members(packed(parts["range"].base))
        pairs = None if self.pairs is None else self.pairs.merged()
        parts = {rule: part if len(part.base) else None for rule, part in parts.items()}
        return replace(self, pairs=pairs if pairs is not None and len(pairs.base) else None, **parts)

    def sets(self) -> list[ImeiSet]:
        """The single IMEIs that its frozen parts say something about."""
        found = [] if self.exact is None else [self.exact.base]
        return found if self.pairs is None else [*found, self.pairs.base.imeis]

    def ranges(self) -> list[ImeiSet]:
        """Those of its ranges and TACs."""
        return [part.base for part in (self.range, self.tac) if part is not None]


_LEVELS = ("exact", "range", "tac")
_STRENGTH = (_B, _G, _W)  # of statuses: one that is before another decides


class Rules:
    """Lists and a policy, worked out for checks. Frozen; `Tables` reads all that is public here."""

    def __init__(self, lists: Sequence[List], policy: Policy) -> None:
        self.lists = tuple(lists)
        self.policy = policy
        self._statuses = tuple(one.status for one in self.lists)
        self._texts = any(one.texts for one in self.lists)
        self.unlisted = Verdict(policy.outcome(())[0])
        self.outcomes = bytes(policy.outcome([s for s in _STRENGTH if on >> s & 1])[0] for on in range(8))
        by_strength = sorted(range(len(lists)), key=lambda i: _STRENGTH.index(self._statuses[i]))
        self.levels = {
            rule: Level(
                [(part.part, self._statuses[i], i) for i in by_strength if (part := lists[i].parts.get(rule))]
            )
            for rule in _LEVELS
        }
        paired = [(i, one.kind, one.pairs) for i, one in enumerate(self.lists) if one.pairs is not None]
        paired.sort(key=lambda entry: entry[1])  # 'exempt' before 'lock'
        self.pairings = [(pairs.pairing, kind == "lock", self._code(i)) for i, kind, pairs in paired]
        prefixes = sorted((prefix, i) for i, one in enumerate(self.lists) for prefix in one.prefixes)
        self.prefixes = np.array([prefix for prefix, _ in prefixes], np.uint64)
        self.prefix_codes = np.array([self._code(i) for _, i in prefixes], np.uint16)
        has = {rule for one in self.lists for rule in one.rules}
        self.order = tuple(rule for rule in policy.precedence if rule in has)
        self.columned = sum(1 << i for i, one in enumerate(lists) if one.exact and one.exact.has_texts)

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
        reasons, date = cast(Members, self.lists[i].exact).texts(key)
        try:
            day = datetime.date.fromisoformat(date) if date else None
        except ValueError as error:
            raise damaged("dates", str(error)) from None
        reasons_of = tuple(reasons.split("|")) if reasons else verdict.reasons
        return replace(verdict, reasons=reasons_of, date=day)

    def malformed(self, tables: Tables, imei: object, status: int, imsi: object) -> Verdict:
        """The verdict on an IMEI that is none (status says why), or that came with a malformed IMSI."""
        number = _number(imsi)
        if number != BAD_IMSI:
            form = irregular.normalised(imei) if self._texts and status else None
            if isinstance(form, int):
                return tables.resolve(form, number)
            if form is not None and (found := self._by_text(tables, form, number)):
                return found
        if self.policy.malformed is not None:
            return Verdict(self.policy.malformed)
        raise ImsiError(value=imsi) if number == BAD_IMSI else ImeiError(ParseStatus(status), imei)

    def _by_text(self, tables: Tables, text: bytes, imsi: int) -> Verdict | None:
        for rule in self.policy.precedence:
            if rule == "imsi" and (found := tables.by_prefix(imsi)):
                return found
            if rule == "exact" and (on := [i for i, one in enumerate(self.lists) if text in one.texts]):
                status, deciding = self.policy.outcome([self._statuses[i] for i in on])
                return self.verdict("irregular", next(i for i in on if self._statuses[i] == deciding), status)
        return None

    # ---- many: statuses; or codes, a status and above it one more than the number of the list -----------

    def check_many(
        self,
        tables: Tables,
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
            codes = tables.known._ask(imeis, tables.answer, dtype, threads, _MALFORMED, digits)
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

    def _ask_pairs(self, tables: Tables, keys: Keys, imsis: Keys, out: NDArray[Any], threads: int) -> None:
        if threads == 1:
            tables.answer(keys, out, imsis)
            return
        count = parts_for(threads)
        edges = [len(keys) * part // count for part in range(count + 1)]
        parts = [slice(*edge) for edge in pairwise(edges)]
        in_threads(lambda part: tables.answer(keys[part], out[part], imsis[part]), parts)

    def _settle(
        self,
        tables: Tables,
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


def _number(imsi: object) -> int:
    """The number of an IMSI, NO_IMSI or BAD_IMSI."""
    number = np.empty(1, np.uint64)
    imsis_of([imsi], number)
    return int(number[0])


def imsi_numbers(imsis: object, rows: int) -> tuple[Keys, Callable[[int], object]]:
    """The numbers of a column of IMSIs, and what gives the text in a row."""
    column = columns.settled(imsis)
    value: Callable[[int], object]
    if isinstance(column, list | tuple):
        value = column.__getitem__
    elif hasattr(column, "__array__"):
        hidden = ma.getmaskarray(column) if isinstance(column, ma.MaskedArray) else None
        column = np.asarray(column)
        if hidden is not None:  # what is masked is not known
            column = column.astype(object)
            column[hidden] = None
        value = column.item
    else:
        value = columns.values(column)
    length = len(cast(Any, column))
    if length != rows:
        raise ValueError(f"imsis: expected {rows}, one for each IMEI, got {length}")
    numbers = np.empty(rows, np.uint64)
    if isinstance(column, np.ndarray) and column.dtype.kind in "SU" and rows:
        characters: Any = np.uint8 if column.dtype.kind == "S" else np.uint32
        texts: NDArray[Any] = np.ascontiguousarray(column, column.dtype.newbyteorder("="))
        imsis_of_rows(texts.view(characters).reshape(rows, -1), numbers)
        return numbers, value
    for start in range(0, rows, _ROWS):
        some = range(start, min(start + _ROWS, rows))
        imsis_of(list(map(value, some)), numbers[some.start : some.stop])
    return numbers, value


# ---- the register ----------------------------------------------------------------------


class Register(Checker):
    """Named lists with a status each, and a policy: what is the status of this equipment?

    Lists are added first, from one thread; then any number of threads may check. An opened register is a
    file that every process maps and shares. The first check after a change works out the union of all
    lists, in some seconds for 100 million IMEIs; a saved register has it.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self._policy = policy or Policy()
        self._lists: dict[str, List] = {}
        self._known: Known | None = None

    @classmethod
    def _of(cls, lists: Iterable[List], policy: Policy, known: Known | None = None) -> Self:
        self = cls(policy)
        self._lists = {one.name: one for one in lists}
        self._known = known
        return self

    @property
    def policy(self) -> Policy:
        """How it decides."""
        return self._policy

    @property
    def lists(self) -> tuple[List, ...]:
        """The lists in the order in which they were added, which is that of the codes of `check_many`."""
        return tuple(self._lists.values())

    def counts(self) -> dict[str, dict[str, int]]:
        """How many of what each list holds, by rule: IMEIs (of ranges and TACs: those in them), texts, pairs
        and IMSI prefixes."""
        return {one.name: one.counts() for one in self.lists}

    def __getitem__(self, name: str, /) -> ImeiSet:
        """The exact IMEIs of a list. KeyError for a name that no list has."""
        exact = self._list(name).exact
        return NOTHING if exact is None else exact.merged().base

    def __len__(self) -> int:
        return len(self._lists)

    def __repr__(self) -> str:
        return (
            f"<Register of {', '.join(f'{one.name} ({one.status.name})' for one in self.lists) or 'nothing'}>"
        )

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
        """Add IMEIs, an ImeiSet or any column, to a list, which is made if there is none of that name.

        status: of the list. reason: of the list, for IMEIs without one of their own. reasons, dates: one for
        each row of the column, or of an ImeiSet in key order: texts ('stolen|lost' are two), or None; dates
        as datetime.date, '20240229', '2024-02-29' or None. An IMEI that comes twice gets all reasons and
        the first date. Irregular identities beside an ImeiSet are listed too. Raises ImeiError for a
        malformed row, ValueError for columns of different lengths or a list of another status.
        """
        one = self._grown(name, status, "imeis", reason)
        if isinstance(imeis, ImeiSet):
            members, keys = without_texts(imeis), None
            if imeis.irregular is not None:
                one = replace(one, texts=one.texts | set(imeis.irregular.tolist()))
        else:
            keys = columns.keys_of(imeis, digits=digits)
            members = ImeiSet.from_keys(keys)
        rows = len(members) if keys is None else len(keys)
        given = [
            None if column is None else _Texts(what, column, rows, form)
            for what, column, form in (("reasons", reasons, reasons_text), ("dates", dates, date_text))
        ]
        if keys is not None:
            _unite(keys, given)
        self._add_members(one, Members(members, (_column(given[0]), _column(given[1]))))

    def add_ranges(
        self, name: str, lows: object, highs: object, *, status: int, reason: str | None = None
    ) -> None:
        """Add ranges of keys, both ends included, to a list; as `ImeiSet.from_ranges`."""
        self._add_part(name, status, reason, "range", ImeiSet.from_ranges(lows, highs))

    def add_tacs(self, name: str, tacs: Iterable[str], *, status: int, reason: str | None = None) -> None:
        """Add whole Type Allocation Codes, texts of 8 digits, to a list."""
        self._add_part(name, status, reason, "tac", tac_set(tacs))

    def exempt(self, name: str, imeis: object, imsis: object, *, reason: str | None = None) -> None:
        """Let (IMEI, IMSI) pairs through: two columns of one length. At most 16 bytes a pair.

        With such an IMSI the IMEI is whitelisted, whatever lists it is on.
        """
        self._add_pairs(name, _W, "exempt", *pair_columns(imeis, imsis), reason)

    def lock(
        self, name: str, imeis: object, imsis: object, *, status: int = _B, reason: str | None = None
    ) -> None:
        """Lock IMEIs to their IMSIs: with any other IMSI, or with none, they get `status`."""
        self._add_pairs(name, status, "lock", *pair_columns(imeis, imsis), reason)

    def add_imsis(
        self, name: str, prefixes: Iterable[str], *, status: int, reason: str | None = None
    ) -> None:
        """Decide by IMSI alone: texts of 1 to 15 digits with which it begins; the longest counts."""
        one = self._grown(name, status, "imsis", reason)
        self._put(replace(one, prefixes=one.prefixes | prefix_numbers(prefixes)))

    def _add_members(self, one: List, made: Members) -> None:
        """Put a list, with these IMEIs and their columns beside those it has."""
        if one.exact is not None:
            old = one.exact.merged()
            base = union([old.base, made.base])
            made = Members(base, _both(base, made, old))
        self._put(replace(one, exact=made) if len(made.base) else one)

    def _add_part(self, name: str, status: int, reason: str | None, rule: str, members: ImeiSet) -> None:
        one = self._grown(name, status, "imeis", reason)
        old: Members | None = getattr(one, rule)
        made = Members(members if old is None else union([old.merged().base, members]))
        if rule == "range":
            made = Members(packed(made.base))
        changes: dict[str, Any] = {rule: made} if len(made.base) else {}
        self._put(replace(one, **changes))

    def _add_pairs(
        self, name: str, status: int, kind: str, keys: Keys, numbers: Keys, reason: str | None
    ) -> None:
        one = self._grown(name, status, kind, reason)
        old = NO_PAIRS if one.pairs is None else one.pairs.merged().base
        if len(old):
            before = old.of_imeis(old.imeis.to_numpy())
            keys, numbers = np.concatenate([before[0], keys]), np.concatenate([before[1], numbers])
        self._put(replace(one, pairs=Paired(Pairs.of(keys, numbers, fresh=True))))

    def _grown(self, name: str, status: int, kind: str, reason: str | None) -> List:
        """The list of that name, with the arguments checked; a new one if there is none."""
        status = _status("status", status)
        if status is _U:
            raise ValueError("status: expected WHITELISTED, BLACKLISTED or GREYLISTED, got UNKNOWN")
        if not isinstance(name, str) or not name or not name.isprintable() or len(name) > 100:
            raise ValueError(f"name: expected 1 to 100 printable characters, got {name!r}")
        one = self._lists.get(name)
        if one is None:
            if len(self._lists) == _MAX_LISTS:
                raise ValueError(f"expected at most {_MAX_LISTS} lists, got one more: {name!r}")
            return List(name, status, kind, reason or "")
        if (one.status, one.kind) != (status, kind):
            got, known = f"{status.name}, {kind!r}", f"{one.status.name}, {one.kind!r}"
            raise ValueError(f"list {name!r}: expected {known} as before, got {got}")
        return replace(one, reason=one.reason if reason is None else reason)

    def _put(self, one: List) -> None:
        check_prefixes(one, self.lists)
        self._lists[one.name] = one
        self._known = None
        self._use(None)

    def _list(self, name: str) -> List:
        try:
            return self._lists[name]
        except KeyError:
            raise KeyError(f"expected one of {', '.join(self._lists) or 'no lists'}, got {name!r}") from None

    # ---- asking ----

    def _prepare(self) -> None:
        lists = [one.merged() for one in self.lists]
        if self._known is None:
            self._known = _known(lists)
        self._use(make_tables(lists, self._policy, self._known))

    # ---- in and out ----

    def save(self, path: str | os.PathLike[str], /, *, generation: int = 0) -> None:
        """Write the register to a snapshot file, which replaces `path` when it is complete and synced.

        The same lists and policy give the same bytes. Raises OSError if it cannot be written.
        """
        self._prepare_if_needed()
        sections, count = _written(self.lists, self._policy, cast(Known, self._known))
        snapshot.write(path, KIND, sections, count=count, generation=generation)

    def _prepare_if_needed(self) -> None:
        self._lists = {one.name: one.merged() for one in self.lists}
        self._tables()

    @classmethod
    def open(cls, path: str | os.PathLike[str], /, mode: Literal["mmap", "memory"] = "mmap") -> Self:
        """The register in a snapshot file; its description is read, its lists are mapped.

        mode: as for `ImeiSet.open`. Raises a kind of SnapshotError.
        """
        return cls._from(snapshot.open(path, mode, kind=KIND))

    @classmethod
    def _from(cls, file: snapshot.Snapshot) -> Self:
        try:
            return cls._of(*_read(file))
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
            raise SnapshotBounds(file.path, "the sections of a register", str(error)) from None

    @classmethod
    def verify(cls, path: str | os.PathLike[str], /) -> Self:
        """Open a snapshot file, read all of it, and return its register.

        Compares every checksum, builds every set anew and compares bytes, and checks columns, pairs and
        that no IMEI of a list is missing in their union. Raises a kind of SnapshotError.
        """
        file = snapshot.open(path, kind=KIND)
        file.verify()
        self = cls._from(file)
        self._expect_sound(file)
        return self

    def _expect_sound(self, file: snapshot.Snapshot) -> None:
        """Raises SnapshotBounds if something in the file it was opened from is not what it should be."""
        for fault in _faults(self.lists, cast(Known, self._known)):
            raise SnapshotBounds(file.path, fault, "another")


def _known(lists: Sequence[List]) -> Known:
    """What some list may say something about."""
    sets = [part for one in lists for part in one.sets()]
    sets += [one.tac.base for one in lists if one.tac is not None]
    return Known.of(sets, [one.range.base for one in lists if one.range is not None])


def known_after(known: Known, lists: Sequence[List], merged: Sequence[List]) -> Known:
    """`_known` of the merged lists, by that of their bases: IMEIs that changed are looked up, the rest is
    copied. Anew where ranges or TACs changed, or where there is but one set, which is its own union."""
    sets = [part for one in merged for part in one.sets()]
    tacs = [one.tac.base for one in merged if one.tac is not None]
    spans = [part for one in lists for part in (one.range, one.tac) if part is not None]
    alone = len(sets) < 2 or any(part is known.imeis for part in [*sets, *tacs])
    if alone or any(part.changed for part in spans):
        return _known(merged)
    parts = [part for one in lists if one.exact is not None for part in (one.exact.added, one.exact.removed)]
    parts += [one.pairs.touched for one in lists if one.pairs is not None]
    keys = union(parts).to_numpy()
    listed, was = np.zeros(len(keys), bool), np.zeros(len(keys), np.uint8)
    for members in [*sets, *tacs]:
        here = np.empty(len(keys), np.uint8)
        members._contains_keys(keys, here)
        listed |= here != 0
    first = keys // np.uint64(10**6) * np.uint64(10**6)  # of their TACs
    for one in merged:
        if one.range is not None:  # TACs that are whole in a range are in the union, too
            below, upto = np.empty(len(keys), np.int64), np.empty(len(keys), np.int64)
            one.range.base._ranks(first, below)
            one.range.base._ranks(first + np.uint64(10**6), upto)
            listed |= upto - below == 10**6
    known.imeis._contains_keys(keys, was)
    flips = ImeiSet.from_keys(keys[listed != (was != 0)])
    return replace(known, imeis=ImeiSet._patched(known.imeis, flips)) if len(flips) else known


def shrunk(
    before: Mapping[str, dict[str, int]], after: Mapping[str, dict[str, int]], percent: float
) -> tuple[str, str] | None:
    """What a list should have and what it has, if it has less than so many percent of what it had by some
    rule. Both are `Register.counts`; a list that is missing has nothing."""
    for name, counts in before.items():
        for rule, count in counts.items():
            left = after.get(name, {}).get(rule, 0)
            if not left * 100 >= count * percent:  # of NaN too
                return f"at least {percent:g}% of the {count:,} of list {name!r} by {rule}", f"{left:,}"
    return None


def make_tables(
    lists: Sequence[List],
    policy: Policy,
    known: Known,
    touched: Keys | None = None,
    wide: ImeiSet | None = None,
) -> Tables:
    """What checks read; see `Tables` for the arguments."""
    rules = Rules(lists, policy)
    return Tables(
        known.imeis,
        rules,
        spans=known.spans,
        shift=known.shift,
        touched=touched,
        wide=wide,
    )


def check_prefixes(one: List, others: Iterable[List]) -> None:
    """Raises ValueError for an IMSI prefix that is on another list too."""
    for other in others:
        if other.name != one.name and (twice := other.prefixes & one.prefixes):
            prefix = mask_imsi(str(min(twice))[1:])
            raise ValueError(f"prefix '{prefix}': expected on one list, got {other.name!r} and {one.name!r}")


# ---- what comes in ---------------------------------------------------------------------


def tac_set(tacs: Iterable[str]) -> ImeiSet:
    """All IMEIs of Type Allocation Codes, texts of 8 digits."""
    expect_several("TACs", tacs)
    numbers = []
    for row, tac in enumerate(tacs):
        if not (isinstance(tac, str) and len(tac) == 8 and tac.isascii() and tac.isdigit()):
            raise ValueError(f"TAC {row}: expected 8 digits, as str, got '{mask(tac)}'")
        numbers.append(int(tac))
    lows = np.array(numbers, np.uint64) * np.uint64(10**6)
    return ImeiSet.from_ranges(lows, lows + np.uint64(10**6 - 1))


def prefix_numbers(prefixes: Iterable[str]) -> frozenset[int]:
    """IMSI prefixes, texts of 1 to 15 digits, as numbers: those of their digits after a 1."""
    expect_several("prefixes", prefixes)
    numbers = set()
    for row, prefix in enumerate(prefixes):
        if not (isinstance(prefix, str) and 1 <= len(prefix) <= 15 and prefix.isascii() and prefix.isdigit()):
            raise ValueError(f"prefix {row}: expected 1 to 15 digits, as str, got '{mask_imsi(prefix)}'")
        numbers.add(int("1" + prefix))
    return frozenset(numbers)


def pair_columns(imeis: object, imsis: object) -> tuple[Keys, Keys]:
    """The keys and the IMSI numbers of two columns, as new arrays; raises for the first malformed row."""
    keys = columns.keys_of(imeis)
    if isinstance(imeis, np.ndarray):  # may be that array
        keys = keys.copy()
    numbers, value = imsi_numbers(imsis, len(keys))
    wrong = np.flatnonzero((numbers == BAD_IMSI) | (numbers == NO_IMSI))
    if wrong.size:
        raise ImsiError(value=value(int(wrong[0])), position=int(wrong[0]))
    return keys, numbers


class _Texts:
    """A column as texts in normal form, dictionary-coded: texts[codes[row]], '' for none."""

    def __init__(self, what: str, values: Iterable[object], rows: int, form: Callable[[object], str]) -> None:
        expect_several(what, values)
        self.texts = {"": 0}
        self.form = form
        known = _Known(self.number)
        pieces = [np.empty(0, np.int32)]
        for some in _pieces(values):
            try:
                pieces.append(np.fromiter(map(known.__getitem__, some), np.int32, len(some)))
            except TypeError:  # lists, which have no hash; or what is no text
                pieces.append(np.array([self.number(value) for value in some], np.int32))
        self.codes = np.concatenate(pieces)
        if len(self.codes) != rows:
            raise ValueError(f"{what}: expected {rows}, one for each IMEI, got {len(self.codes)}")

    def number(self, value: object) -> int:
        """The code of a value, a new one if there is none."""
        return self.texts.setdefault(self.form(value), len(self.texts))


class _Known(dict[object, int]):
    """Values and their codes, so that each value is brought into normal form once."""

    def __init__(self, number: Callable[[object], int]) -> None:
        self._number = number

    def __missing__(self, value: object) -> int:
        if len(self) >= _ROWS:
            self.clear()
        self[value] = code = self._number(value)
        return code


def _pieces(values: Iterable[object]) -> Iterator[list[object]]:
    """The values of a column, some at a time."""
    if isinstance(values, np.ndarray):
        if values.dtype.kind == "M":
            values = values.astype("datetime64[D]")
        for start in range(0, len(values), _ROWS):
            yield values[start : start + _ROWS].tolist()
        return
    left = iter(values)
    while some := list(islice(left, _ROWS)):
        yield some


def reasons_text(value: object) -> str:
    """Reasons in normal form: in order, joined by '|'."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    parts = value.split("|") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise TypeError(f"reasons: expected str, a list of str or None, got {type(value).__name__}")
    return "|".join(sorted({part.strip() for part in parts} - {""}))


def date_text(value: object) -> str:
    """A date as ISO 8601 has it, '' for none."""
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[D]").item()
    if value is None or value == "" or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, str) and (len(value), value.count("-")) in ((8, 0), (10, 2)):
        with suppress(ValueError):
            value = datetime.date.fromisoformat(value)
    if not isinstance(value, datetime.date):
        got = repr(value) if len(str(value)) <= _DATE else f"'{mask(value)}'"  # it may be an IMEI
        raise ValueError(f"dates: expected a date, '20240229', '2024-02-29' or None, got {got}")
    return datetime.date(value.year, value.month, value.day).isoformat()


def _is_date(text: str) -> bool:
    """Whether it is in normal form."""
    with suppress(ValueError):
        return date_text(text) == text
    return False


def _column(given: _Texts | None) -> Column | None:
    return None if given is None else Column.of(given.texts, given.codes)


def _unite(keys: Keys, given: Sequence[_Texts | None]) -> None:
    """Bring reasons and dates into key order; those of one IMEI are united: all reasons, the first date."""
    if not any(given):
        return
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(keys)])
    ends = np.append(starts[1:], len(keys))
    for column, join in zip(given, (_all_reasons, _first_date), strict=True):
        if column is None:
            continue
        codes = column.codes[order]
        column.codes = codes[starts]
        if len(starts) == len(keys):
            continue
        texts = list(column.texts)
        least, most = np.minimum.reduceat(codes, starts), np.maximum.reduceat(codes, starts)
        for group in np.flatnonzero(least != most).tolist():
            some = [texts[code] for code in codes[starts[group] : ends[group]].tolist()]
            column.codes[group] = column.texts.setdefault(join(some), len(column.texts))


def _all_reasons(texts: list[str]) -> str:
    return reasons_text("|".join(texts))


def _first_date(texts: list[str]) -> str:
    return min(filter(None, texts))


def _both(base: ImeiSet, new: Members, old: Members) -> tuple[Column | None, Column | None]:
    """The columns of a list that grew: what is new counts."""
    from_each = zip(new.columns, old.columns, strict=True)
    reasons, dates = (merge_columns(base, (new.base, n), (old.base, o), new.base) for n, o in from_each)
    return reasons, dates


# ---- sections --------------------------------------------------------------------------
#
#   register    JSON: policy, lists, and for each list the numbers of its sets
#   N.0 to N.8  the sections of set N, as _index.SECTIONS orders them
#   N.r, N.d    codes of the reasons and dates at its positions, whose texts are in the JSON
#   N.s, N.m    starts (uint32) and IMSIs (uint64) of the pairs of its IMEIs, see `Pairs`
#   spans       the filter of ranges, see `Known`
#   xL          the irregular identities of list L, one a line

_LAYOUT = 3  # of these; another number is another format


def _written(
    lists: Sequence[List], policy: Policy, known: Known
) -> tuple[list[tuple[str, "ReadableBuffer"]], int]:
    """The sections of a register whose lists are merged, and how many exact IMEIs they hold."""
    sections: list[tuple[str, ReadableBuffer]] = []
    written: list[ImeiSet] = []

    def put(members: ImeiSet, *beside: tuple[str, Any]) -> int:
        n = len(written)
        parts = enumerate(section for _, section in members._sections())
        sections.extend((f"{n}.{i}", part) for i, part in parts)
        sections.extend((f"{n}.{name}", array) for name, array in beside)
        written.append(members)
        return n

    described = []
    for number, one in enumerate(lists):
        about: dict[str, Any] = {"name": one.name, "status": int(one.status), "kind": one.kind}
        about["reason"] = one.reason
        for rule, part in one.parts.items():
            kept = {name: column for name, column in zip("rd", part.columns, strict=True) if column}
            about[rule] = put(part.base, *((name, column.codes) for name, column in kept.items()))
            for name, column in kept.items():
                about[name] = column.values
        if one.pairs is not None:
            pairs = one.pairs.base
            about["pairs"] = put(pairs.imeis, ("s", pairs.starts), ("m", pairs.imsis))
        if one.prefixes:
            about["prefixes"] = sorted(str(prefix)[1:] for prefix in one.prefixes)
        if one.texts:
            sections.append((f"x{number}", b"\n".join(sorted(one.texts))))
        described.append(about)
    same = (n for n, members in enumerate(written) if members is known.imeis)  # a list that is its own union
    about = {"known": next(same, None), "shift": known.shift}
    if about["known"] is None:
        about["known"] = put(known.imeis)
    description = {"layout": _LAYOUT, "policy": asdict(policy), "lists": described, **about}
    sections.append(("spans", known.spans.data))
    count = sum(len(one.exact.base) for one in lists if one.exact is not None)
    return [(_DESCRIPTION, dump(description)), *sections], count


def _read(file: snapshot.Snapshot) -> tuple[list[List], Policy, Known]:
    """The lists, the policy and the union. Raises whatever comes of sections that are something else."""
    about = json.loads(bytes(file.sections[_DESCRIPTION]))
    if about["layout"] != _LAYOUT:
        remedy = "build it anew" if about["layout"] in (1, 2) else "update imeiset"
        raise SnapshotVersion(file.path, f"register layout {_LAYOUT}", f"{about['layout']}: {remedy}")
    sets: dict[int, ImeiSet] = {}

    def get(n: int) -> ImeiSet:
        if n not in sets:
            parts = {name: file.sections[f"{n:d}.{i}"] for i, name in enumerate(_SECTIONS)}
            sets[n] = ImeiSet._from_sections(parts)
        return sets[n]

    def array(name: str, dtype: Any, length: int | None) -> NDArray[Any]:
        found = np.frombuffer(file.sections[name], dtype)
        if length is not None and len(found) != length:
            raise ValueError(f"section {name}: expected {length} numbers, got {len(found)}")
        return found

    def members(one: Mapping[str, Any], rule: str) -> Members | None:
        if rule not in one:
            return None
        base, found = get(one[rule]), []
        for name in "rd":
            values = one.get(name, []) if rule == "exact" else []
            if type(values) is not list or not all(isinstance(value, str) for value in values):
                raise ValueError(f"values of {name!r}: expected texts, got others")
            codes = f"{one[rule]}.{name}"
            dtype = code_type(len(values))
            found.append(Column(tuple(values), array(codes, dtype, len(base))) if values else None)
        return Members(base, (found[0], found[1]))

    lists = []
    for number, one in enumerate(about["lists"]):
        name, status, kind, reason = one["name"], EquipmentStatus(one["status"]), one["kind"], one["reason"]
        if kind not in ("imeis", "exempt", "lock", "imsis") or {type(name), type(reason)} != {str}:
            raise ValueError(f"list {number}: expected a name, a reason and a kind, got others")
        pairs = None
        if "pairs" in one:
            imeis, n = get(one["pairs"]), one["pairs"]
            starts = array(f"{n}.s", "<u4", len(imeis) + 1)
            pairs = Paired(Pairs(imeis, starts, array(f"{n}.m", "<u8", None)))
        texts = bytes(file.sections.get(f"x{number}", b"")).split()
        parts = {rule: members(one, rule) for rule in _LEVELS}
        prefixes = prefix_numbers(one.get("prefixes", ()))
        lists.append(
            List(name, status, kind, reason, **parts, texts=frozenset(texts), pairs=pairs, prefixes=prefixes)
        )
    if len({one.name for one in lists}) < len(lists) or len(lists) > _MAX_LISTS:
        raise ValueError(f"expected at most {_MAX_LISTS} lists of different names, got others")
    for one in lists:
        check_prefixes(one, lists)
        if one.status is _U:
            raise ValueError(f"list {one.name!r}: expected a status that lists have, got {one.status.name}")
    shift = about["shift"]
    if type(shift) is not int or not 0 <= shift < 64:
        raise ValueError(f"shift: expected 0 to 63, got {shift!r}")
    return lists, Policy(**about["policy"]), Known(get(about["known"]), array("spans", "<u8", None), shift)


def _faults(lists: Sequence[List], known: Known) -> Iterator[str]:
    """What is not as it should be, in words. Reads everything."""
    every = [(members, anew) for one in lists for members in one.sets()]
    every += [(members, packed) for one in lists for members in one.ranges()]
    for number, (members, made) in enumerate([*every, (known.imeis, anew)]):
        if not _rebuilds(members, made):
            yield f"the sections of set {number} as its members make them"
    if _known(lists) != known:
        yield "the union of all lists"
    for one in lists:
        for part in one.parts.values():
            for column in part.columns:
                if column and not column.is_sound():
                    yield f"reasons and dates of list {one.name!r} that are its texts"
            for date in part.columns[1].values if part.columns[1] else ():
                if not _is_date(date):
                    yield f"dates in list {one.name!r}"
        if any(irregular.normalised(text) != text for text in one.texts):
            yield f"irregular identities in list {one.name!r}"
        if one.pairs is not None and not one.pairs.base.is_sound():
            yield f"pairs in order in list {one.name!r}"


def _rebuilds(members: ImeiSet, made: Callable[[ImeiSet], ImeiSet]) -> bool:
    """Whether the members in order make the same bytes again."""
    try:
        again = made(members)
    except SnapshotBounds:
        return False
    pairs = zip(members._sections(), again._sections(), strict=True)
    return all(got == expected for (_, got), (_, expected) in pairs)
