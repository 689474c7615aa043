"""Register: lists of equipment with a status each, and the verdict they give on one phone."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import numpy as np

from imeiset import columns, snapshot
from imeiset.columns import Keys
from imeiset.errors import SnapshotBounds
from imeiset.register.checks import Checks, make_tables
from imeiset.register.coverage import Coverage
from imeiset.register.details import Column, Texts, column_of, date_text, merge_columns, reasons_text, unite
from imeiset.register.imsis import prefix_numbers
from imeiset.register.layered import LayeredSet, packed, union, without_irregular
from imeiset.register.layout import KIND, MAX_LISTS, faults, read, written
from imeiset.register.lists import List, ListMapping, check_prefixes, tac_set
from imeiset.register.pairs import NO_PAIRS, LayeredPairs, Pairs, pair_columns
from imeiset.register.policy import EquipmentStatus, Policy, status_of
from imeiset.sets import ImeiSet

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Register(ListMapping, Checks):
    """Named lists with a status each, and a policy: what is the status of this equipment?

    Lists are added first, from one thread; then any number of threads may check. An opened register is a
    file that every process maps and shares. The first check after a change works out the union of all
    lists, in some seconds for 100 million IMEIs; a saved register has it.
    """

    def __init__(self, policy: Policy | None = None) -> None:
        self._policy = policy or Policy()
        self._lists: dict[str, List] = {}
        self._known: Coverage | None = None

    @classmethod
    def _of(cls, lists: Iterable[List], policy: Policy, known: Coverage | None = None) -> Self:
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

    def __copy__(self) -> Self:
        return self._of(self.lists, self._policy, self._known)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()  # all that is shared is frozen

    def __reduce__(self) -> tuple[Any, ...]:
        return self._of_sections, ({name: bytes(section) for name, section in self._written()[0]},)

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
            members, keys = without_irregular(imeis), None
            if imeis.irregular is not None:
                one = replace(one, irregular=one.irregular | set(imeis.irregular.tolist()))
        else:
            keys = columns.keys_of(imeis, digits=digits)
            members = ImeiSet.from_keys(keys)
        rows = len(members) if keys is None else len(keys)
        given = [
            None if column is None else Texts(what, column, rows, form)
            for what, column, form in (("reasons", reasons, reasons_text), ("dates", dates, date_text))
        ]
        if keys is not None:
            unite(keys, given)
        self._add_members(one, LayeredSet(members, (column_of(given[0]), column_of(given[1]))))

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
        self._add_pairs(name, EquipmentStatus.WHITELISTED, "exempt", *pair_columns(imeis, imsis), reason)

    def lock(
        self,
        name: str,
        imeis: object,
        imsis: object,
        *,
        status: int = EquipmentStatus.BLACKLISTED,
        reason: str | None = None,
    ) -> None:
        """Lock IMEIs to their IMSIs: with any other IMSI, or with none, they get `status`."""
        self._add_pairs(name, status, "lock", *pair_columns(imeis, imsis), reason)

    def add_imsis(
        self, name: str, prefixes: Iterable[str], *, status: int, reason: str | None = None
    ) -> None:
        """Decide by IMSI alone: texts of 1 to 15 digits with which it begins; the longest counts."""
        one = self._grown(name, status, "imsis", reason)
        self._put(replace(one, prefixes=one.prefixes | prefix_numbers(prefixes)))

    def _add_members(self, one: List, made: LayeredSet) -> None:
        """Put a list, with these IMEIs and their columns beside those it has."""
        if one.exact is not None:
            old = one.exact.flattened()
            base = union([old.base, made.base])
            made = LayeredSet(base, _both(base, made, old))
        self._put(replace(one, exact=made) if len(made.base) else one)

    def _add_part(self, name: str, status: int, reason: str | None, rule: str, members: ImeiSet) -> None:
        one = self._grown(name, status, "imeis", reason)
        old: LayeredSet | None = getattr(one, rule)
        made = LayeredSet(members if old is None else union([old.flattened().base, members]))
        if rule == "range":
            made = LayeredSet(packed(made.base))
        changes: dict[str, Any] = {rule: made} if len(made.base) else {}
        self._put(replace(one, **changes))

    def _add_pairs(
        self, name: str, status: int, kind: str, keys: Keys, numbers: Keys, reason: str | None
    ) -> None:
        one = self._grown(name, status, kind, reason)
        old = NO_PAIRS if one.pairs is None else one.pairs.flattened().base
        if len(old):
            before = old.of_imeis(old.imeis.to_numpy())
            keys, numbers = np.concatenate([before[0], keys]), np.concatenate([before[1], numbers])
        self._put(replace(one, pairs=LayeredPairs(Pairs.of(keys, numbers, fresh=True))))

    def _grown(self, name: str, status: int, kind: str, reason: str | None) -> List:
        """The list of that name, with the arguments checked; a new one if there is none."""
        status = status_of("status", status)
        if status is EquipmentStatus.UNKNOWN:
            raise ValueError("status: expected WHITELISTED, BLACKLISTED or GREYLISTED, got UNKNOWN")
        if not isinstance(name, str) or not name or not name.isprintable() or len(name) > 100:
            raise ValueError(f"name: expected 1 to 100 printable characters, got {name!r}")
        one = self._lists.get(name)
        if one is None:
            if len(self._lists) == MAX_LISTS:
                raise ValueError(f"expected at most {MAX_LISTS} lists, got one more: {name!r}")
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

    # ---- asking ----

    def _prepare(self) -> None:
        lists = [one.flattened() for one in self.lists]
        if self._known is None:
            self._known = Coverage.of_lists(lists)
        self._use(make_tables(lists, self._policy, self._known))

    # ---- in and out ----

    def save(self, path: str | os.PathLike[str], /, *, generation: int = 0) -> None:
        """Write the register to a snapshot file, which replaces `path` when it is complete and synced.

        The same lists and policy give the same bytes. Raises OSError if it cannot be written.
        """
        sections, count = self._written()
        snapshot.write(path, KIND, sections, count=count, generation=generation)

    def _written(self) -> tuple[list[tuple[str, "ReadableBuffer"]], int]:
        """As `written` makes them, of lists that are merged from now on."""
        self._lists = {one.name: one.flattened() for one in self.lists}
        self._tables()
        return written(self.lists, self._policy, cast(Coverage, self._known))

    @classmethod
    def open(cls, path: str | os.PathLike[str], /, mode: Literal["mmap", "memory"] = "mmap") -> Self:
        """The register in a snapshot file; its description is read, its lists are mapped.

        mode: as for `ImeiSet.open`. Raises a kind of SnapshotError.
        """
        return cls._from(snapshot.open(path, mode, kind=KIND))

    @classmethod
    def _from(cls, file: snapshot.Snapshot) -> Self:
        return cls._of_sections(file.sections, file.path)

    @classmethod
    def _of_sections(cls, sections: Mapping[str, bytes | memoryview], path: str = "a pickle") -> Self:
        """Pickles name this method: it stays."""
        try:
            return cls._of(*read(sections, path))
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
            raise SnapshotBounds(path, "the sections of a register", str(error)) from None

    @classmethod
    def verify(cls, path: str | os.PathLike[str], /, mode: Literal["mmap", "memory"] = "mmap") -> Self:
        """Open a snapshot file, read all of it, and return its register.

        Compares every checksum, builds every set anew and compares bytes, and checks columns, pairs and
        that no IMEI of a list is missing in their union. Raises a kind of SnapshotError.
        """
        file = snapshot.open(path, mode, kind=KIND)
        file.verify()
        self = cls._from(file)
        self._expect_sound(file)
        return self

    def _expect_sound(self, file: snapshot.Snapshot) -> None:
        """Raises SnapshotBounds if something in the file it was opened from is not what it should be."""
        for fault in faults(self.lists, cast(Coverage, self._known)):
            raise SnapshotBounds(file.path, fault, "another")


def _both(base: ImeiSet, new: LayeredSet, old: LayeredSet) -> tuple[Column | None, Column | None]:
    """The columns of a list that grew: what is new counts."""
    from_each = zip(new.columns, old.columns, strict=True)
    reasons, dates = (merge_columns(base, (new.base, n), (old.base, o), new.base) for n, o in from_each)
    return reasons, dates
