"""ImeiSet: an exact, immutable, compressed set of IMEIs. Membership, order, algebra, files."""

import hashlib
import operator
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, Self, SupportsIndex, final, overload

import numpy as np
from numpy.typing import NDArray

from imeiset import arrow as _arrow
from imeiset import columns, roaring, snapshot
from imeiset import irregular as irregulars
from imeiset._native import parse as _parse
from imeiset.errors import CheckDigit, ImeiError, SnapshotBounds
from imeiset.index import AND, OR, SUB, XOR, Index, joined_runs
from imeiset.irregular import Texts

if TYPE_CHECKING:
    import pyroaring
    from _typeshed import ReadableBuffer

KIND = "set"  # of a snapshot that holds one set
IRREGULAR = "irreg"  # the section of irregular identities, in a set that keeps them
_NULL = 2  # among truth values: neither
_ROWS = 1 << 14  # rows at a time: keys, statuses and results stay in cache
_OF_TEXTS = (np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d)


@final
class ImeiSet(Index):
    """The set of the IMEIs in a column.

    column: a list or tuple of texts, an array of uint64 or int64 keys or of S or U texts, an Arrow
    column of texts or integers (PyCapsule protocol), or bytes or an mmap of newline-separated numbers.
    digits: what integers are, 14-digit keys or (15) keys with their check digit. check_digit: "ignore",
    "spare" or "require", see `parse`. Raises ImeiError, with its position, for the first malformed entry.
    irregular: "reject" takes irregular identities ('62#222222222222', see `irregular`) for malformed;
    "keep" keeps them beside the IMEIs, where lookups of text find them.

    An IMEI is compared by its first 14 digits (3GPP TS 22.016). The set never changes, may be used from
    any number of threads, and takes 11 to 24 bits for each IMEI of a realistic list. Making it costs
    O(n) for ascending keys and a sort for others.
    """

    __slots__ = ("_irregular",)
    _irregular: Texts

    def __new__(
        cls,
        column: object = (),
        /,
        *,
        digits: int = 14,
        check_digit: CheckDigit = "ignore",
        irregular: irregulars.Policy = "reject",
    ) -> Self:
        if irregular == "reject":
            return cls.from_keys(columns.keys_of(column, digits=digits, check_digit=check_digit))
        if irregular != "keep":
            raise ValueError(f"irregular: expected 'reject' or 'keep', got {irregular!r}")
        keys, texts = columns.keys_and_irregular(column, digits=digits, check_digit=check_digit)
        return cls.from_keys(keys).keeping(texts)

    @classmethod
    def from_keys(cls, keys: object, /, *, irregular: Iterable[str | bytes] | None = None) -> Self:
        """The set of uint64 keys, in any order, repeats allowed. Ascending keys are not copied.

        Other columns of keys are accepted too. irregular: the irregular identities to keep beside them;
        None rejects such. Raises ImeiError for a key that is not below 10**14 or a text that is regular.
        """
        made = super().from_keys(keys)
        return made if irregular is None else made.keeping(irregulars.table(irregular))

    @classmethod
    def from_ranges(cls, lows: object, highs: object, /) -> Self:
        """The set of all keys from lows[i] to highs[i], both included; n ranges cost O(n log n).

        Two columns of keys. Ranges may overlap and may span TACs. Raises ValueError for one that ends
        before it begins or columns of different lengths, ImeiError for a key that is not below 10**14.
        """
        low, high = columns.keys_of(lows), columns.keys_of(highs)
        if low.shape != high.shape:
            raise ValueError(f"expected as many highs as lows, got {len(low)} lows and {len(high)} highs")
        if (wrong := np.flatnonzero(low > high)).size:
            raise ValueError(f"range {wrong[0]}: expected low <= high, got one that ends before it begins")
        return cls.from_runs(*joined_runs(low, high))

    @property
    def irregular(self) -> Texts | None:
        """The irregular identities beside the IMEIs, in normal form and order: S16[n], not to be written to.

        None in a set that rejects them: there, asking for one raises ImeiError, as for any malformed text.
        They are not counted by `len`, have no position, and are no part of `iter` and `to_numpy`.
        """
        return getattr(self, "_irregular", None)

    def keeping(self, texts: Texts | None) -> Self:
        """This new set, with irregular identities beside it: a sorted table, or None."""
        if texts is not None:
            self._irregular = texts
        return self

    # ---- membership -------------------------------------------------------------

    def _contains_malformed(self, value: object, status: int, /) -> bool:
        if self.irregular is not None:
            form = irregulars.normalised(value)
            if isinstance(form, int):
                return form in self
            if form is not None:
                return bool(irregulars.listed(np.array([form], irregulars.NONE.dtype), self.irregular)[0])
        return super()._contains_malformed(value, status)

    @overload
    def contains(
        self,
        column: object,
        threads: int = 1,
        malformed: bool | None = None,
        *,
        digits: int = 14,
        arrow: Literal[False] = False,
    ) -> NDArray[np.bool_]: ...
    @overload
    def contains(
        self,
        column: object,
        threads: int = 1,
        malformed: bool | Literal["null"] | None = None,
        *,
        digits: int = 14,
        arrow: bool,
    ) -> Any: ...
    def contains(
        self,
        column: object,
        threads: int = 1,
        malformed: bool | Literal["null"] | None = None,
        *,
        digits: int = 14,
        arrow: bool = False,
    ) -> Any:
        """Which entries of a column are in the set: bool[n].

        malformed: None raises ImeiError, with its position, for the first malformed entry; False counts
        malformed entries as out, True as in. threads: how many to use; the interpreter is free meanwhile.
        digits: what integers are, as for the set itself. arrow: return an Arrow array of booleans, in which
        malformed="null" leaves malformed entries, and so nulls, null. About 10 to 60 ns an entry, and 5 µs a
        call.
        """
        if malformed not in (None, False, True) and not (arrow and malformed == "null"):
            others = ", False, True, or with arrow=True 'null'"
            raise TypeError(f"malformed: expected None{others}, got {malformed!r}")
        if malformed == "null":
            codes = columns.ask(
                column,
                self.contains_keys,
                np.uint8,
                threads=threads,
                malformed=_NULL,
                digits=digits,
                listed=self.irregular,
            )
            return _arrow.exported(codes == 1, codes != _NULL)
        answers = columns.ask(
            column,
            self.contains_keys,
            np.bool_,
            threads=threads,
            malformed=malformed,
            digits=digits,
            listed=self.irregular,
        )
        return _arrow.exported(answers) if arrow else answers

    @overload
    def positions(
        self, column: object, threads: int = 1, *, digits: int = 14, arrow: Literal[False] = False
    ) -> NDArray[np.int64]: ...
    @overload
    def positions(self, column: object, threads: int = 1, *, digits: int = 14, arrow: bool) -> Any: ...
    def positions(self, column: object, threads: int = 1, *, digits: int = 14, arrow: bool = False) -> Any:
        """The rank in key order of each entry that is in the set, -1 of one that is not: int64[n].

        To address columns of attributes. Raises ImeiError for a malformed entry. arrow: return an Arrow
        array, null instead of -1.
        """
        ranks = columns.ask(
            column, self.positions_of_keys, np.int64, threads=threads, digits=digits, listed=self.irregular
        )
        return _arrow.exported(ranks, ranks >= 0) if arrow else ranks

    # ---- order --------------------------------------------------------------------

    def __iter__(self) -> Iterator[str]:
        """Every IMEI in key order, as 15 digits with the check digit."""
        return chain.from_iterable(map(_parse.text_of, chunk.tolist()) for chunk in self.chunks())

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

    # ---- algebra ------------------------------------------------------------------
    # One sweep over both in order; long runs are never expanded.

    def __or__(self, other: object) -> "ImeiSet":
        return self._with(other, OR) if isinstance(other, ImeiSet) else NotImplemented

    def __and__(self, other: object) -> "ImeiSet":
        return self._with(other, AND) if isinstance(other, ImeiSet) else NotImplemented

    def __sub__(self, other: object) -> "ImeiSet":
        return self._with(other, SUB) if isinstance(other, ImeiSet) else NotImplemented

    def __xor__(self, other: object) -> "ImeiSet":
        return self._with(other, XOR) if isinstance(other, ImeiSet) else NotImplemented

    def _with(self, other: "ImeiSet", op: int) -> "ImeiSet":
        mine, theirs = self.irregular, other.irregular
        texts = None
        if mine is not None or theirs is not None:  # the result keeps them if either does
            texts = _OF_TEXTS[op](
                irregulars.NONE if mine is None else mine, irregulars.NONE if theirs is None else theirs
            )
        return self.joined(self, other, op).keeping(texts)

    def _lacks_text(self, other: "ImeiSet") -> bool:
        """Is an irregular identity here that is not in the other?"""
        if self.irregular is None:
            return False
        among = irregulars.NONE if other.irregular is None else other.irregular
        return not irregulars.listed(self.irregular, among).all()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ImeiSet):
            return NotImplemented
        return self is other or (len(self) == len(other) and self <= other and not other._lacks_text(self))

    def __hash__(self) -> int:
        ends = (self.select(0), self.select(len(self) - 1)) if len(self) else ()
        return hash((len(self), ends))

    def __le__(self, other: object) -> bool:
        if not isinstance(other, ImeiSet):
            return NotImplemented
        return len(self) <= len(other) and not self.lacks_any(other) and not self._lacks_text(other)

    def __lt__(self, other: object) -> bool:
        return self <= other and self != other if isinstance(other, ImeiSet) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return other <= self if isinstance(other, ImeiSet) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return other < self if isinstance(other, ImeiSet) else NotImplemented

    def isdisjoint(self, other: "ImeiSet", /) -> bool:
        """Whether no IMEI and no irregular identity is in both."""
        if self.shares_any(other):
            return False
        mine, theirs = self.irregular, other.irregular
        return mine is None or theirs is None or not irregulars.listed(mine, theirs).any()

    # ---- in and out -----------------------------------------------------------------

    def digest(self) -> str:
        """SHA-256 of what the set holds, as 64 hexadecimal digits; no matter how it was made or stored.

        Of two parts: the SHA-256 of the runs of consecutive keys, in order, as _native/c/encode.h writes them
        (LEB128 of twice the keys between a run and the one before, plus 1 if it has more than one key, and
        then the number of its keys less two); and the irregular identities in order, 16 bytes each, padded
        with NUL. About 12 ns for each run.
        """
        whole = hashlib.sha256(self.digest_of_keys())
        if self.irregular is not None:
            whole.update(self.irregular.tobytes())
        return whole.hexdigest()

    def save(self, path: str | os.PathLike[str], /, *, generation: int = 0) -> None:
        """Write the set to a snapshot file, which replaces `path` when it is complete and synced.

        The same set gives the same bytes. Raises OSError if it cannot be written; `path` is then as it was.
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
    def open(cls, path: str | os.PathLike[str], /, mode: Literal["mmap", "memory"] = "mmap") -> Self:
        """The set in a snapshot file, in well under a millisecond whatever its size.

        mode: "mmap" shares the file's pages with every process that opens it; "memory" copies them in,
        and is the mode for files that something may truncate in place. Raises a kind of SnapshotError.
        """
        return cls._of_file(snapshot.open(path, mode, kind=KIND))

    @classmethod
    def open_sound(cls, path: str | os.PathLike[str], mode: Literal["mmap", "memory"] = "mmap") -> Self:
        """`open`, all checksums compared: for a set of which most is copied to a file with checksums anew."""
        file = snapshot.open(path, mode, kind=KIND)
        file.verify()
        return cls._of_file(file)

    @classmethod
    def _of_file(cls, file: snapshot.Snapshot) -> Self:
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
    def verify(cls, path: str | os.PathLike[str], /, mode: Literal["mmap", "memory"] = "mmap") -> Self:
        """Open a snapshot file, read all of it, and return its set.

        Compares every checksum, then reads the members in order and builds their set anew: it must have
        the same bytes. So no damage passes, whoever wrote the checksums. Raises a kind of SnapshotError
        that says what is wrong. About 20 ns for each IMEI, and the memory of the set.
        """
        self = cls.open_sound(path, mode)
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
        """The keys as a 64-bit Roaring bitmap; its `serialize()` is the portable format.

        A bitmap has a container for every 65,536 numbers in which there are keys. Raises MemoryError for
        a set whose long runs would need more than 2**27 of them, many gigabytes.
        """
        return roaring.bitmap_of(self)

    @classmethod
    def from_roaring(cls, bitmap: "pyroaring.BitMap64 | pyroaring.FrozenBitMap64 | bytes", /) -> Self:
        """The set of the keys in a 64-bit Roaring bitmap, or in one serialized in the portable format.

        Raises ValueError for bytes that are not one, ImeiError for a key that is not below 10**14.
        """
        return roaring.index_of(cls, bitmap)

    def __reduce__(self) -> tuple[Any, ...]:
        return ImeiSet._of_parts, ({name: bytes(section) for name, section in self._parts()},)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __repr__(self) -> str:
        kept = "" if self.irregular is None else f" and {len(self.irregular):,} irregular identities"
        return f"<ImeiSet of {len(self):,} IMEIs{kept}, {self.nbytes:,} bytes>"
