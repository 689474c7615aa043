"""Register: lists of equipment with a status each, and the verdict they give on one phone."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, Self

from imeiset import columns, snapshot
from imeiset.register.checks import Checks, make_tables
from imeiset.register.details import columns_of
from imeiset.register.imsis import prefix_numbers
from imeiset.register.layered import LayeredSet, without_irregular
from imeiset.register.layout import KIND, MAX_LISTS, Contents
from imeiset.register.lists import List, ListMapping, check_prefixes, tac_set
from imeiset.register.pairs import LayeredPairs, pair_columns
from imeiset.register.policy import EquipmentStatus, Policy, status_of
from imeiset.sets import ImeiSet


class Register(ListMapping, Checks):
    """Named lists with a status each, and a policy: what is the status of this equipment?

    Lists are added first, from one thread; then any number of threads may check. An opened register is a
    file that every process maps and shares. The first check after a change works out the union of all
    lists, in some seconds for 100 million IMEIs; a saved register has it.
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
        """How it decides."""
        return self._policy

    @property
    def lists(self) -> tuple[List, ...]:
        """The lists in the order in which they were added, which is that of the codes of `check_many`."""
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
        held = ", ".join(f"{one.name} ({one.status.name})" for one in self.lists)
        return f"<{type(self).__name__} of {held or 'nothing'}>"

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
        one = self._begun(name, status, "imeis", reason)
        if isinstance(imeis, ImeiSet):
            members, keys = without_irregular(imeis), None
            texts = frozenset(() if imeis.irregular is None else imeis.irregular.tolist())
        else:
            keys, texts = columns.keys_of(imeis, digits=digits), frozenset()
            members = ImeiSet.from_keys(keys)
        rows = len(members) if keys is None else len(keys)
        exact = LayeredSet(members, columns_of(keys, rows, reasons, dates))
        self.add_list(replace(one, exact=exact, irregular=texts))

    def add_ranges(
        self, name: str, lows: object, highs: object, *, status: int, reason: str | None = None
    ) -> None:
        """Add ranges of keys, both ends included, to a list; as `ImeiSet.from_ranges`."""
        one = self._begun(name, status, "imeis", reason)
        self.add_list(replace(one, range=LayeredSet(ImeiSet.from_ranges(lows, highs))))

    def add_tacs(self, name: str, tacs: Iterable[str], *, status: int, reason: str | None = None) -> None:
        """Add whole Type Allocation Codes, texts of 8 digits, to a list."""
        one = self._begun(name, status, "imeis", reason)
        self.add_list(replace(one, tac=LayeredSet(tac_set(tacs))))

    def exempt(self, name: str, imeis: object, imsis: object, *, reason: str | None = None) -> None:
        """Let (IMEI, IMSI) pairs through: two columns of one length. At most 16 bytes a pair.

        With such an IMSI the IMEI is whitelisted, whatever lists it is on.
        """
        one = self._begun(name, EquipmentStatus.WHITELISTED, "exempt", reason)
        self.add_list(replace(one, pairs=LayeredPairs.of(*pair_columns(imeis, imsis))))

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
        one = self._begun(name, status, "lock", reason)
        self.add_list(replace(one, pairs=LayeredPairs.of(*pair_columns(imeis, imsis))))

    def add_imsis(
        self, name: str, prefixes: Iterable[str], *, status: int, reason: str | None = None
    ) -> None:
        """Decide by IMSI alone: texts of 1 to 15 digits with which it begins; the longest counts."""
        one = self._begun(name, status, "imsis", reason)
        self.add_list(replace(one, prefixes=prefix_numbers(prefixes)))

    def add_list(self, one: List) -> None:
        """Add all that a frozen list holds to the list of its name, which is made if there is none.

        Raises ValueError for a list of another status or kind, an IMSI prefix that is on another list, and
        for more than 32 lists.
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
        self._use(make_tables(now.lists, now.policy, now.coverage))

    def _now(self) -> Contents:
        if self._contents is None:
            self._contents = Contents.of(self.lists, self._policy)
            self._lists = {one.name: one for one in self._contents.lists}
        return self._contents

    # ---- in and out ----

    def save(self, path: str | os.PathLike[str], /, *, generation: int = 0) -> None:
        """Write the register to a snapshot file, which replaces `path` when it is complete and synced.

        The same lists and policy give the same bytes. Raises OSError if it cannot be written.
        """
        self._now().save(path, generation=generation)

    @classmethod
    def open(cls, path: str | os.PathLike[str], /, mode: Literal["mmap", "memory"] = "mmap") -> Self:
        """The register in a snapshot file; its description is read, its lists are mapped.

        mode: as for `ImeiSet.open`. Raises a kind of SnapshotError.
        """
        file = snapshot.open(path, mode, kind=KIND)
        return cls._of_sections(file.sections, file.path)

    @classmethod
    def _of_sections(cls, sections: Mapping[str, bytes | memoryview], path: str = "a pickle") -> Self:
        """Pickles name this method: it stays."""
        return cls._of(Contents.read(sections, path))

    @classmethod
    def verify(cls, path: str | os.PathLike[str], /, mode: Literal["mmap", "memory"] = "mmap") -> Self:
        """Open a snapshot file, read all of it, and return its register.

        Compares every checksum, builds every set anew and compares bytes, and checks columns, pairs and
        that no IMEI of a list is missing in their union. Raises a kind of SnapshotError.
        """
        file = snapshot.open(path, mode, kind=KIND)
        file.verify()
        contents = Contents.read(file.sections, file.path)
        contents.expect_sound(file.path)
        return cls._of(contents)
