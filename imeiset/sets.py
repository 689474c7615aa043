"""ImeiSet: an exact, immutable, compressed set of IMEIs. Membership, order, algebra, files."""

import array
import hashlib
import operator
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice, pairwise
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Literal, Self, SupportsIndex, final, overload

import numpy as np
import pyroaring
from numpy.typing import NDArray

from imeiset import arrow as _arrow
from imeiset import columns, snapshot
from imeiset import irregular as irregulars
from imeiset._native import index as _index
from imeiset._native import parse as _parse
from imeiset._native.index import Encoder
from imeiset._native.sort import sorted_parts
from imeiset._threads import in_order, in_threads, parts_for
from imeiset.columns import Keys
from imeiset.errors import CheckDigit, ImeiError, ParseStatus, SnapshotBounds
from imeiset.irregular import Texts

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

KIND = "set"  # of a snapshot that holds one set
IRREGULAR = "irreg"  # the section of irregular identities, in a set that keeps them
_NULL = 2  # among truth values: neither
_ROWS = 1 << 14  # rows at a time: keys, statuses and results stay in cache
_RUNS = 1 << 16
_SERIALS = 1_000_000
_SPAN = 1 << 19  # keys of a set that are compared with another's at a time
_EXPANDED = 1 << 28  # keys of a Roaring bitmap that are laid out at once
_OR, _AND, _SUB, _XOR = range(4)
_LARGE = 1 << 16  # bytes of a set that is worth patching,
_KEYS_BYTES = 64  # with a key for each so many of them at most
_OF_TEXTS = (np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d)


@final
class ImeiSet(_index.FrozenIndex):
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

    __slots__ = ("_irregular", "_of_keys")
    _irregular: Texts
    _of_keys: bytes  # the digest of the keys, once it was taken

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
        if type(keys) is np.ndarray and keys.ndim == 1 and keys.dtype == np.uint64 and keys.dtype.isnative:
            given = np.ascontiguousarray(keys)
        else:
            given = columns.keys_of(keys)
        try:
            return cls.from_parts([given], irregular=irregular)
        except ValueError:
            columns.keys_of(given)  # says which is too large
            raise

    @classmethod
    def from_parts(
        cls,
        parts: list[Keys],
        /,
        threads: int = 1,
        irregular: Iterable[str | bytes] | None = None,
        *,
        digest: bool = False,
    ) -> Self:
        """The set of the keys below 10**14 in a list of uint64 arrays, which is emptied.

        digest: take the digest of the keys on the way, in a thread beside, which is cheaper than later.
        """
        batches: Iterable[Keys] = sorted_parts(parts, threads)
        if digest:
            hashing = _Hashing()
            try:
                members = cls.from_sorted(hashing.beside(batches))
            finally:
                of_keys = hashing.result()
            members._of_keys = of_keys
        else:
            members = cls.from_sorted(batches)
        return members if irregular is None else members.keeping(irregulars.table(irregular))

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
        return cls.from_runs(*joined(low, high))

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
            codes = self._ask(column, self.contains_keys, np.uint8, threads, _NULL, digits)
            return _arrow.exported(codes == 1, codes != _NULL)
        answers = self._ask(column, self.contains_keys, np.bool_, threads, malformed, digits)
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
        ranks = self._ask(column, self.positions_of_keys, np.int64, threads, None, digits)
        return _arrow.exported(ranks, ranks >= 0) if arrow else ranks

    def _ask(
        self,
        column: object,
        kernel: Callable[..., object],
        dtype: type,
        threads: int,
        malformed: int | None,
        digits: int,
    ) -> NDArray[Any]:
        """Run a kernel over a column, in parts on several threads."""
        column = columns.settled(column)
        parts = [column] if threads == 1 else columns.split(column, parts_for(threads))
        answers = in_threads(partial(self._ask_part, kernel, dtype, malformed, digits), parts)
        before = 0
        for answer, fault in answers:
            if fault:
                raise columns.error_at(column, before + fault[0], fault[1], digits=digits)
            before += len(answer)
        return answers[0][0] if len(answers) == 1 else np.concatenate([answer for answer, _ in answers])

    def _ask_part(
        self, kernel: Callable[..., object], dtype: type, malformed: int | None, digits: int, part: object
    ) -> tuple[NDArray[Any], tuple[int, int] | None]:
        """The answers of a kernel; and the row and status of the first malformed entry, if wanted."""
        if (ready := columns.ready_keys(part, digits=digits)) is not None:
            answer: NDArray[Any] = np.empty(len(ready), dtype)
            kernel(ready, answer.view(np.uint8) if dtype is np.bool_ else answer)
            return answer, None
        rows = columns.source(part, digits=digits)
        expected = rows.expected
        out: NDArray[Any] = np.empty(expected, dtype)
        room = min(_ROWS, expected + 1)  # one more than there are, so that one reading is enough
        keys, status = np.empty(room, np.uint64), np.empty(room, np.uint8)
        done, n = 0, room
        while n == room and (n := rows.read(keys, status)):
            found, wrong = keys[:n], status[:n]
            malformed_here = _parse.settle("ignore", found, wrong)
            if done + n > len(out):  # the number of lines was a guess
                out.resize(done + n + rows.expected, refcheck=False)
            answer = out[done : done + n]
            if malformed_here and self.irregular is not None:
                places, texts = columns.regularise(rows, found, wrong)
            kernel(found, answer.view(np.uint8) if dtype is np.bool_ else answer)
            if malformed_here:
                if self.irregular is not None and dtype is not np.int64:
                    answer[places] = irregulars.listed(texts, self.irregular)
                    wrong[places] = ParseStatus.OK
                bad = np.flatnonzero(wrong)
                if bad.size:
                    if malformed is None:
                        return out, (done + int(bad[0]), int(wrong[bad[0]]))
                    answer[bad] = malformed
            done += n
        if done < len(out):
            out.resize(done, refcheck=False)
        return out, None

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

    def to_numpy(self) -> Keys:
        """All keys in order: uint64[n], 8 bytes each."""
        keys = np.empty(len(self), np.uint64)
        if (n := self.reader().keys(keys)) != len(self):
            raise _damaged(f"{len(self)} members", f"{n}")
        return keys

    def chunks(self) -> Iterator[Keys]:
        reader, left = self.reader(), len(self)
        while True:
            keys = np.empty(_ROWS, np.uint64)
            n = reader.keys(keys)
            left -= n
            if left < 0 or (n < len(keys) and left) or (keys[:n] >= 10**14).any():
                raise _damaged(f"{len(self)} members below 10**14", "others")
            yield keys[:n]
            if n < len(keys):
                return

    def runs(self, *, spill_only: bool = False) -> Iterator[tuple[Keys, Keys]]:
        """All runs in order, as arrays of lowest and highest keys."""
        reader, below = self.reader(spill_only=spill_only), -1
        while True:
            lows, highs = np.empty(_RUNS, np.uint64), np.empty(_RUNS, np.uint64)
            n = reader.runs(lows, highs)
            lows, highs = lows[:n], highs[:n]
            below = _top(lows, highs, below)
            yield lows, highs
            if n < _RUNS:
                return

    def changes(self, other: "ImeiSet") -> Iterator[tuple[tuple[Keys, Keys], tuple[Keys, Keys], float]]:
        """What only this set has, and what only the other has, as arrays of lowest and highest keys of runs;
        in pieces, in order, with how much of both was looked at, up to 1. On all cores; what is equal is
        skipped, see _native/c/diff.h. Memory: some MB."""
        cuts = {0, 10**8}
        for one in (self, other):
            step = max(_SPAN, len(one) >> 10)
            cuts |= {one.select(at) // _SERIALS for at in range(step, len(one), step)}
        spans = list(pairwise(sorted(cuts)))
        below = [-1, -1]
        for number, found in enumerate(
            in_order(lambda span: self.difference_of_tacs(other, *span), spans), 1
        ):
            mine, theirs = ((pairs[:, 0].copy(), pairs[:, 1].copy()) for pairs in found)
            below = [_top(*mine, below[0]), _top(*theirs, below[1])]
            yield mine, theirs, number / len(spans)

    def tac_counts(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """The TACs in the set, ascending, and how many IMEIs each has: two uint32 arrays, 8 bytes a TAC."""
        parts, counts, firsts, ends = self._tacs()
        whole = [np.arange(first, end, dtype=np.uint32) for first, end in zip(firsts, ends, strict=True)]
        tacs = np.concatenate([parts, *whole])
        counts = np.concatenate([counts, np.full(len(tacs) - len(parts), _SERIALS, np.uint32)])
        order = np.argsort(tacs, kind="stable")
        return tacs[order], counts[order]

    def biggest_tacs(self, n: int, /) -> tuple[NDArray[np.uint32], NDArray[np.uint32], int]:
        """The n TACs with most IMEIs, biggest first, how many IMEIs each has, and how many TACs there are.

        Two uint32 arrays and a number. Unlike `tac_counts`, little memory even where runs cover millions
        of whole TACs.
        """
        if n < 0:
            raise ValueError(f"n: expected 0 or more, got {n}")
        parts, counts, firsts, ends = self._tacs()
        whole = list(islice(chain.from_iterable(map(range, firsts, ends)), n))
        order = np.argsort(-counts.astype(np.int64), kind="stable")[: n - len(whole)]
        tacs = np.concatenate([np.array(whole, np.uint32), parts[order]])
        counts = np.concatenate([np.full(len(whole), _SERIALS, np.uint32), counts[order]])
        return tacs, counts, len(parts) + int((ends - firsts).sum())

    def _tacs(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32], Keys, Keys]:
        """TACs of which a part is in the set, ascending, and their counts; then spans of whole TACs:
        the first of each, and the one after its last."""
        pieces, firsts, ends = [self.line_tacs()], [], []
        for lows, highs in self.runs(spill_only=True):
            afters = highs + np.uint64(1)
            first, end = (lows + np.uint64(_SERIALS - 1)) // _SERIALS, afters // _SERIALS
            firsts.append(first[first < end])
            ends.append(end[first < end])
            cut = first >= end, lows % _SERIALS != 0, afters % _SERIALS != 0
            for keys, at in ((lows, cut[0] | cut[1]), (highs, cut[0] | cut[2])):
                pieces.append((keys[at] // _SERIALS).astype(np.uint32))
        tacs = np.sort(np.concatenate(pieces))  # np.unique would hash them, which takes longer
        tacs = tacs[np.append(True, tacs[1:] != tacs[:-1])[: len(tacs)]]
        below, upto = np.empty(len(tacs), np.int64), np.empty(len(tacs), np.int64)
        self.ranks(tacs.astype(np.uint64) * np.uint64(_SERIALS), below)
        self.ranks((tacs.astype(np.uint64) + np.uint64(1)) * np.uint64(_SERIALS), upto)
        return tacs, (upto - below).astype(np.uint32), np.concatenate(firsts), np.concatenate(ends)

    # ---- algebra ------------------------------------------------------------------
    # One sweep over both in order; long runs are never expanded.

    def __or__(self, other: object) -> "ImeiSet":
        return self._with(other, _OR) if isinstance(other, ImeiSet) else NotImplemented

    def __and__(self, other: object) -> "ImeiSet":
        return self._with(other, _AND) if isinstance(other, ImeiSet) else NotImplemented

    def __sub__(self, other: object) -> "ImeiSet":
        return self._with(other, _SUB) if isinstance(other, ImeiSet) else NotImplemented

    def __xor__(self, other: object) -> "ImeiSet":
        return self._with(other, _XOR) if isinstance(other, ImeiSet) else NotImplemented

    def _with(self, other: "ImeiSet", op: int) -> "ImeiSet":
        mine, theirs = self.irregular, other.irregular
        texts = None
        if mine is not None or theirs is not None:  # the result keeps them if either does
            texts = _OF_TEXTS[op](
                irregulars.NONE if mine is None else mine, irregulars.NONE if theirs is None else theirs
            )
        return self.joined(self, other, op).keeping(texts)

    @classmethod
    def joined(cls, one: "ImeiSet", other: "ImeiSet", op: int) -> Self:
        """`combine`, where one of the two is small by looking its IMEIs up in the other."""
        large, small = (one, other) if one.nbytes >= other.nbytes else (other, one)
        if large.nbytes < _LARGE or len(small) * _KEYS_BYTES > large.nbytes:
            return cls.combine(one, other, op)
        keys = np.concatenate([np.empty(0, np.uint64), *small.chunks()])
        found = np.empty(len(keys), np.uint8)
        large.contains_keys(keys, found)
        if op == _AND or (op == _SUB and small is one):
            return cls.from_keys(keys[found == (op == _AND)])
        flips = small if op == _XOR else cls.from_keys(keys[found == (op == _SUB)])
        return cls.patched(large, flips) if len(flips) else cls.from_sections(dict(large.sections()))

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
        of_keys: bytes | None = getattr(self, "_of_keys", None)
        if of_keys is None:
            hasher, encoder = hashlib.sha256(), Encoder()
            for lows, highs in self.runs():
                hasher.update(encoder.runs(lows, highs))
            hasher.update(encoder.finish())
            of_keys = hasher.digest()
            self._of_keys = of_keys
        whole = hashlib.sha256(of_keys)
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
        return cls._of(snapshot.open(path, mode, kind=KIND))

    @classmethod
    def open_sound(cls, path: str | os.PathLike[str], mode: Literal["mmap", "memory"] = "mmap") -> Self:
        """`open`, all checksums compared: for a set of which most is copied to a file with checksums anew."""
        file = snapshot.open(path, mode, kind=KIND)
        file.verify()
        return cls._of(file)

    @classmethod
    def _of(cls, file: snapshot.Snapshot) -> Self:
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
            anew = cls.combine(self, cls(), _OR)
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

    def to_roaring(self) -> pyroaring.BitMap64:
        """The keys as a 64-bit Roaring bitmap; its `serialize()` is the portable format.

        A bitmap has a container for every 65,536 numbers in which there are keys. Raises MemoryError for
        a set whose long runs would need more than 2**27 of them, many gigabytes.
        """
        bitmap, containers = pyroaring.BitMap64(), 0
        for lows, highs in self.runs():
            containers += int(((highs >> np.uint64(16)) - (lows >> np.uint64(16))).sum())
            if containers > 1 << 27:
                raise MemoryError(f"expected runs that fit 2**27 Roaring containers, got {len(self):,} IMEIs")
            single = lows == highs
            bitmap.update(array.array("Q", lows[single].tobytes()))
            for low, high in zip(lows[~single].tolist(), highs[~single].tolist(), strict=True):
                bitmap.add_range(low, high + 1)
        return bitmap

    @classmethod
    def from_roaring(cls, bitmap: pyroaring.BitMap64 | pyroaring.FrozenBitMap64 | bytes, /) -> Self:
        """The set of the keys in a 64-bit Roaring bitmap, or in one serialized in the portable format.

        Raises ValueError for bytes that are not one, ImeiError for a key that is not below 10**14.
        """
        if isinstance(bitmap, bytes):
            given = bitmap
            try:
                bitmap = pyroaring.BitMap64.deserialize(given)
            except IndexError:
                raise ValueError("expected a serialized Roaring bitmap, got no bytes") from None
            if len(bitmap.serialize()) != len(given):
                raise ValueError(
                    f"expected a serialized Roaring bitmap, got one in {len(given)} bytes with more"
                )
        if not isinstance(bitmap, pyroaring.BitMap64 | pyroaring.FrozenBitMap64):
            raise TypeError(f"expected a BitMap64 or bytes, got {type(bitmap).__name__}")
        if len(bitmap) <= _EXPANDED:
            return cls.from_keys(np.frombuffer(bitmap.to_array(), np.uint64))
        columns.keys_of([bitmap.max()])
        lows, highs = zip(*_roaring_runs(bitmap, 0, 10**14), strict=True)
        return cls.from_runs(np.concatenate(lows), np.concatenate(highs))

    def __reduce__(self) -> tuple[Any, ...]:
        return ImeiSet._of_parts, ({name: bytes(section) for name, section in self._parts()},)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __repr__(self) -> str:
        kept = "" if self.irregular is None else f" and {len(self.irregular):,} irregular identities"
        return f"<ImeiSet of {len(self):,} IMEIs{kept}, {self.nbytes:,} bytes>"


class _Hashing:
    """SHA-256 of ascending keys, taken in a thread while they are used."""

    def __init__(self) -> None:
        self._batches: SimpleQueue[Keys | None] = SimpleQueue()
        self._hasher = hashlib.sha256()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="digest", daemon=True)
        self._thread.start()

    def beside(self, batches: Iterable[Keys]) -> Iterator[Keys]:
        """The same batches, each given to the thread first."""
        for batch in batches:
            self._batches.put(batch)
            yield batch

    def result(self) -> bytes:
        """The digest of all; the end of the thread."""
        self._batches.put(None)
        self._thread.join()
        if self._error:
            raise self._error
        return self._hasher.digest()

    def _work(self) -> None:
        encoder = Encoder()
        try:
            while (batch := self._batches.get()) is not None:
                for start in range(0, len(batch), _ROWS):
                    self._hasher.update(encoder.keys(batch[start : start + _ROWS]))
            self._hasher.update(encoder.finish())
        except BaseException as error:  # for lack of memory
            self._error = error


def _roaring_runs(bitmap: Any, start: int, end: int) -> Iterator[tuple[Keys, Keys]]:
    """The lowest and highest keys of runs from `start` up to `end`, without expanding long ones."""
    count = bitmap.range_cardinality(start, end)
    if count == end - start:
        yield np.array([start], np.uint64), np.array([end - 1], np.uint64)
    elif count > 1 << 12:
        middle = (start + end) // 2
        yield from _roaring_runs(bitmap, start, middle)
        yield from _roaring_runs(bitmap, middle, end)
    elif count:
        keys = np.fromiter(bitmap.iter_equal_or_larger(start), np.uint64, count)
        edge = np.flatnonzero(np.diff(keys) != 1)
        yield keys[np.append(0, edge + 1)], keys[np.append(edge, len(keys) - 1)]


def joined(lows: Keys, highs: Keys) -> tuple[Keys, Keys]:
    """Runs in any order as runs in order; those that overlap or touch are one. O(n log n)."""
    order = np.argsort(lows, kind="stable")
    lows, reach = lows[order], np.maximum.accumulate(highs[order])
    first = np.ones(len(lows), bool)
    first[1:] = lows[1:] > reach[:-1] + np.uint64(1)  # begins beyond all before it
    last = np.roll(first, -1)  # the next one does, or there is none
    return lows[first], reach[last]


def _top(lows: Keys, highs: Keys, below: int) -> int:
    """The last of runs, which must be in order and above `below`."""
    if not len(lows):
        return below
    ascending = (lows <= highs).all() and (highs[:-1] < lows[1:]).all()
    if not ascending or int(lows[0]) <= below or highs[-1] >= 10**14:
        raise _damaged("members in order, below 10**14", "others")
    return int(highs[-1])


def _damaged(expected: str, got: str) -> SnapshotBounds:
    """Only an index from a damaged file, opened without `verify`, gets here."""
    return SnapshotBounds("an open set", expected, got)
