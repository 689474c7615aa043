"""ImeiSet: an exact, immutable, compressed set of IMEIs. Membership, order, algebra, files."""

import operator
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, Self, SupportsIndex, final, overload

import numpy as np
from numpy.typing import NDArray

from imeiset import columns, roaring, snapshot
from imeiset import irregular as irregulars
from imeiset._native import parse as _parse
from imeiset.algebra import IdentitySet
from imeiset.errors import CheckDigit, ImeiError, SnapshotBounds
from imeiset.index import OR, joined_runs

if TYPE_CHECKING:
    import pyroaring
    from _typeshed import ReadableBuffer

KIND = "set"  # of a snapshot that holds one set
IRREGULAR = "irreg"  # the section of irregular identities, in a set that keeps them


@final
class ImeiSet(IdentitySet):
    """An immutable set of IMEIs: a `collections.abc.Set` of texts of 15 digits.

    An IMEI is compared by its first 14 digits (3GPP TS 22.016), which as a number are its key. A set may be
    used from any number of threads, and takes 11 to 24 bits for each IMEI of a realistic list.

    Parameters
    ----------
    column
        A list or another iterable of texts, keys or `Imei`; an array of uint64 or int64 keys or of S or U
        texts; an Arrow column of texts or integers; bytes or an mmap of newline-separated numbers; a set.
    digits
        What integers are: 14, keys; or 15, keys with their check digit.
    check_digit
        Which 15th digits are well formed: "ignore" any, "spare" the right one or 0, "require" the right one,
        which 14 and 16 digits do not have.
    irregular
        "reject": irregular identities ('62#222222222222', see `imeiset.irregular`) are malformed. "keep":
        they are kept beside the IMEIs, where lookups of text find them.

    Raises
    ------
    ImeiError
        For the first malformed entry, with its position.

    Notes
    -----
    Making a set costs O(n) for ascending keys and a sort for others.

    Two sets are equal when they hold the same IMEIs, and then have the same hash. A set is not equal to a
    built-in set, which has another hash: write ``s == ImeiSet(texts)``. The operators and ``<=``, ``<``,
    ``>=``, ``>`` take any `collections.abc.Set` of IMEIs, the named methods any column.

    Examples
    --------
    >>> from imeiset import ImeiSet
    >>> blocked = ImeiSet(["490154203237518", "35-809101-685355-0"])
    >>> "490154203237518" in blocked, 49015420323751 in blocked, "490154203237526" in blocked
    (True, True, False)
    >>> list(blocked), len(blocked)
    (['358091016853555', '490154203237518'], 2)
    """

    __slots__ = ()

    def __new__(
        cls,
        column: object = (),
        /,
        *,
        digits: int = 14,
        check_digit: CheckDigit = "ignore",
        irregular: irregulars.Handling = "reject",
    ) -> Self:
        if irregular not in ("reject", "keep"):
            raise ValueError(f"irregular: expected 'reject' or 'keep', got {irregular!r}")
        if type(column) is cls:
            return column._handled(irregular)
        if irregular == "reject":
            return cls.from_keys(columns.keys_of(column, digits=digits, check_digit=check_digit))
        keys, texts = columns.keys_and_irregular(column, digits=digits, check_digit=check_digit)
        return cls.from_keys(keys).keeping(texts)

    @classmethod
    def from_keys(cls, keys: object, /, *, irregular: Iterable[str | bytes] | None = None) -> Self:
        """The set of keys, in any order, repeats allowed.

        Parameters
        ----------
        keys
            uint64[n]; ascending ones are not copied. Other columns of keys are accepted too.
        irregular
            The irregular identities to keep beside them; None for a set that rejects such.

        Returns
        -------
        ImeiSet

        Raises
        ------
        ImeiError
            For a key that is not below 10**14, or an irregular identity that is an IMEI.

        Examples
        --------
        >>> import numpy as np
        >>> list(ImeiSet.from_keys(np.array([49015420323751], np.uint64)))
        ['490154203237518']
        """
        made = super().from_keys(keys)
        return made if irregular is None else made.keeping(irregulars.table(irregular))

    @classmethod
    def from_ranges(cls, lows: object, highs: object, /, *, digits: int = 14) -> Self:
        """The set of all keys from lows[i] to highs[i], both included. n ranges cost O(n log n).

        Parameters
        ----------
        lows, highs, digits
            Two columns of keys, and what integers are. Ranges may overlap and may span TACs.

        Returns
        -------
        ImeiSet

        Raises
        ------
        ValueError
            For a range that ends before it begins, or columns of different lengths.
        ImeiError
            For a key that is not below 10**14.

        Examples
        --------
        >>> len(ImeiSet.from_ranges([49015420000000], [49015420999999]))
        1000000
        """
        low, high = columns.ends_of(lows, highs, digits=digits)
        if (wrong := np.flatnonzero(low > high)).size:
            raise ValueError(f"range {wrong[0]}: expected low <= high, got one that ends before it begins")
        return cls.from_runs(*joined_runs(low, high))

    def _as_set(self, other: object, digits: int = 14) -> Self:
        if isinstance(other, ImeiSet):
            return other
        return type(self)(other, digits=digits, irregular="reject" if self.irregular is None else "keep")

    def contains(
        self, column: object, *, threads: int | None = 1, malformed: bool | None = None, digits: int = 14
    ) -> NDArray[np.bool_]:
        """Which entries of a column are in the set.

        Parameters
        ----------
        column
            Any column that a set can be made of.
        threads
            How many to use, None for as many as there are cores. The interpreter is free meanwhile.
        malformed
            None raises for the first malformed entry; False counts such as out, True as in. What may be a
            phone all the same raises: an integer of more digits, a float. An `ImeiWarning` says that more
            than half of at least 100 entries are malformed.
        digits
            What integers are: 14, keys; or 15, keys with their check digit.

        Returns
        -------
        bool[n]
            `imeiset.to_arrow` makes an Arrow array of it.

        Raises
        ------
        ImeiError
            For the first malformed entry, with its position.

        Notes
        -----
        2 to 60 ns an entry, and a call 10 µs; 0.5 µs for an array of keys and for up to 128 texts.

        Examples
        --------
        >>> blocked = ImeiSet(["490154203237518"])
        >>> blocked.contains(["49-015420-323751-8", "352099001761481"]).tolist()
        [True, False]
        >>> blocked.contains(["n/a"], malformed=False).tolist()
        [False]
        """
        if malformed not in (None, False, True):
            raise TypeError(f"malformed: expected None, False or True, got {malformed!r}")
        if threads == 1 and digits == 14 and (answers := self.contains_at_once(column)) is not None:
            return answers
        return columns.ask(
            column,
            self.contains_keys,
            np.bool_,
            threads=threads,
            malformed=malformed,
            digits=digits,
            listed=self.irregular,
        )

    def positions(self, column: object, *, threads: int | None = 1, digits: int = 14) -> NDArray[np.int64]:
        """The rank in key order of each entry that is in the set, to address columns of attributes.

        Parameters
        ----------
        column, threads, digits
            As for `contains`.

        Returns
        -------
        int64[n]
            -1 for an entry that is not in the set.

        Raises
        ------
        ImeiError
            For the first malformed entry, with its position.

        Examples
        --------
        >>> ImeiSet(["490154203237518", "358091016853555"]).positions(["490154203237518", "0" * 15]).tolist()
        [1, -1]
        """
        return columns.ask(
            column, self.positions_of_keys, np.int64, threads=threads, digits=digits, listed=self.irregular
        )

    def __iter__(self) -> Iterator[str]:
        """Every IMEI in key order, as 15 digits with the check digit."""
        return chain.from_iterable(map(_parse.text_of, chunk.tolist()) for chunk in self.chunks())

    def __reversed__(self) -> Iterator[str]:
        """Every IMEI, the last in key order first."""
        return chain.from_iterable(
            map(_parse.text_of, range(high, low - 1, -1)) for low, high in self.reversed_runs()
        )

    @overload
    def __getitem__(self, position: SupportsIndex, /) -> str: ...
    @overload
    def __getitem__(self, position: slice, /) -> list[str]: ...
    def __getitem__(self, position: SupportsIndex | slice, /) -> str | list[str]:
        """The IMEI at a position in key order, 15 digits with the check digit; some microseconds."""
        if isinstance(position, slice):
            return [_parse.text_of(self.select(i)) for i in range(*position.indices(len(self)))]
        at = operator.index(position)
        if not -len(self) <= at < len(self):
            raise IndexError(f"position: expected one of {len(self)}, got {at}")
        return _parse.text_of(self.select(at % len(self)))

    # ---- in and out -----------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], /, *, generation: int = 0) -> None:
        """Write the set to a snapshot file, which replaces `path` when it is complete and synced.

        The same set gives the same bytes.

        Parameters
        ----------
        path
            Where to write.
        generation
            A number of the list that the file's header keeps.

        Raises
        ------
        OSError
            If it cannot be written; `path` is then as it was.

        Examples
        --------
        >>> ImeiSet(["490154203237518"]).save("blocked.imei")
        """
        snapshot.write(path, KIND, self._parts(), count=len(self), generation=generation)

    def _parts(self) -> list[tuple[str, memoryview]]:
        """The sections of a snapshot. The same set gives the same bytes; one that rejects irregular
        identities has no section for them."""
        kept = self.irregular
        if kept is None:
            return self.sections()
        return [*self.sections(), (IRREGULAR, kept.view(np.uint8).data)]

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        /,
        *,
        mode: Literal["mmap", "memory"] = "mmap",
        checksums: bool = False,
    ) -> Self:
        """The set in a snapshot file, in well under a millisecond whatever its size.

        Parameters
        ----------
        path
            A file that `save`, `imeiset.merge` or ``imeiset build`` wrote.
        mode
            "mmap" shares the file's pages with every process that opens it. "memory" copies them in: for
            files that something may truncate in place.
        checksums
            Compare all checksums first, which reads the file: for a set of which most is copied to another
            file, with checksums of its own.

        Returns
        -------
        ImeiSet

        Raises
        ------
        SnapshotError
            A kind of it that says what is wrong with the file.

        Examples
        --------
        >>> ImeiSet(["490154203237518"]).save("blocked.imei")
        >>> "490154203237518" in ImeiSet.open("blocked.imei")
        True
        """
        file = snapshot.open(path, mode, kind=KIND)
        if checksums:
            file.verify()
        try:
            self = cls._of_parts(file.sections)
        except ValueError as error:
            raise SnapshotBounds(file.path, "sections that fit together", str(error)) from None
        if len(self) != file.count:
            raise SnapshotBounds(file.path, f"{file.count} members, by the header", f"{len(self)}")
        return self

    @classmethod
    def _of_parts(cls, sections: "Mapping[str, ReadableBuffer]") -> Self:
        texts = None
        if IRREGULAR in sections:
            texts = np.frombuffer(memoryview(sections[IRREGULAR]), np.uint8).view(irregulars.NONE.dtype)
        return cls.from_sections(sections).keeping(texts)

    @classmethod
    def verify(cls, path: str | os.PathLike[str], /, *, mode: Literal["mmap", "memory"] = "mmap") -> Self:
        """Open a snapshot file, read all of it, and return its set.

        No damage passes, whoever wrote the checksums: every checksum is compared, and the members, read in
        order, must make a set of the same bytes.

        Parameters
        ----------
        path, mode
            As for `open`.

        Returns
        -------
        ImeiSet

        Raises
        ------
        SnapshotError
            A kind of it that says what is wrong with the file.

        Notes
        -----
        About 20 ns for each IMEI, and the memory of the set.

        Examples
        --------
        >>> ImeiSet(["490154203237518"]).save("blocked.imei")
        >>> len(ImeiSet.verify("blocked.imei"))
        1
        """
        self = cls.open(path, mode=mode, checksums=True)
        try:
            anew = cls.combine(self, cls(), OR)
        except SnapshotBounds as error:
            raise SnapshotBounds(path, error.expected, error.got) from None
        for (name, section), (_, expected) in zip(self.sections(), anew.sections(), strict=True):
            if section != expected:
                raise SnapshotBounds(path, f"section {name!r} as its members make it", "another")
        if (kept := self.irregular) is not None:
            try:
                sound = irregulars.table(kept.tolist()).tobytes() == kept.tobytes()
            except ImeiError:
                sound = False
            if not sound:
                raise SnapshotBounds(
                    path, f"section {IRREGULAR!r} of irregular identities in order", "others"
                )
        return self

    def to_roaring(self) -> "pyroaring.BitMap64":
        """The keys as a 64-bit Roaring bitmap, whose `serialize()` is the portable format.

        Returns
        -------
        pyroaring.BitMap64

        Raises
        ------
        MemoryError
            For a set whose long runs would need more than 2**27 containers, many gigabytes: a bitmap has one
            for every 65,536 numbers in which there are keys.

        Examples
        --------
        >>> ImeiSet(["490154203237518"]).to_roaring()
        BitMap64([49015420323751])
        """
        return roaring.bitmap_of(self)

    @classmethod
    def from_roaring(cls, bitmap: "pyroaring.BitMap64 | pyroaring.FrozenBitMap64 | bytes", /) -> Self:
        """The set of the keys of a 64-bit Roaring bitmap.

        Parameters
        ----------
        bitmap
            The bitmap, or its bytes in the portable format.

        Returns
        -------
        ImeiSet

        Raises
        ------
        ValueError
            For bytes that are not a bitmap.
        ImeiError
            For a key that is not below 10**14.

        Examples
        --------
        >>> import pyroaring
        >>> list(ImeiSet.from_roaring(pyroaring.BitMap64([49015420323751])))
        ['490154203237518']
        """
        return roaring.index_of(cls, bitmap)

    def __reduce__(self) -> tuple[Any, ...]:
        return ImeiSet._of_parts, ({name: bytes(section) for name, section in self._parts()},)

    def __repr__(self) -> str:
        kept = "" if self.irregular is None else f" and {len(self.irregular):,} irregular identities"
        return f"<ImeiSet of {len(self):,} IMEIs{kept}, {self.nbytes:,} bytes>"
