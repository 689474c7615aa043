"""Register: lists of equipment with a status each, and the verdict they give on one phone."""

import os
from collections.abc import Mapping
from typing import Any, Literal, Self

from imeiset import snapshot
from imeiset._native.checks import CheckTables
from imeiset.register.checks import Rules
from imeiset.register.layout import KIND, Contents
from imeiset.register.lists import List
from imeiset.register.makers import Makers
from imeiset.register.policy import Policy


class Register(Makers):
    """Named lists with a status each, and a policy that decides the status of equipment.

    A `collections.abc.Mapping` of list names to the exact IMEIs of each list. It is true even without lists,
    and equal to itself alone. Copies are independent of it, and it can be pickled at any time.

    Parameters
    ----------
    policy : Policy, optional
        How it decides; response type 1 if it is left out.

    Notes
    -----
    Any number of threads may check, also while one of them adds lists. An opened register is a file that
    every process maps and shares. The first check after a change works out the coverage of all lists, in some
    seconds for 100 million IMEIs; a saved register has it.

    Examples
    --------
    >>> from imeiset import EquipmentStatus
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
        super().__init__()
        self._policy = policy or Policy()
        self._made: tuple[tuple[List, ...], Contents | None] = ((), None)  # of which lists; once asked for

    @classmethod
    def _of(cls, contents: Contents) -> Self:
        self = cls(contents.policy)
        self._lists = {one.name: one for one in contents.lists}
        self._made = self.lists, contents
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

    def __copy__(self) -> Self:
        again = type(self)(self._policy)
        again._made, again._lists = self._made, self._lists.copy()  # what is in them is frozen
        return again

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        return self._of_sections, ({name: bytes(part) for name, part in self._now().sections()},)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {'; '.join(map(str, self.lists)) or 'nothing'}>"

    # ---- asking ----

    def _prepare(self) -> CheckTables:
        """The tables of now. Where a list is added meanwhile, the next check makes others."""
        version, now = self._version(), self._now()
        tables = Rules(now.lists, now.policy).tables(now.coverage)
        self._use(tables, version)
        return tables

    def _now(self) -> Contents:
        now, (made, contents) = self.lists, self._made
        if contents is None or [*map(id, made)] != [*map(id, now)]:
            contents = Contents.of(now, self._policy)
            self._made = now, contents
        return contents

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
        >>> from imeiset import EquipmentStatus
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
