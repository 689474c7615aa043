"""The frozen index under public names: sets, registers, stores and merging are made of it."""

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import chain, islice, pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from imeiset import columns
from imeiset._native.index import Encoder, FrozenIndex
from imeiset._native.sort import sorted_parts
from imeiset._threads import in_order
from imeiset.errors import SnapshotBounds
from imeiset.readers import Keys

_ROWS = 1 << 14  # rows at a time: they stay in cache
_RUNS = 1 << 16
_SERIALS = 1_000_000
_SPAN = 1 << 19  # keys of an index that are compared with another's at a time
_LARGE = 1 << 16  # bytes of an index that is worth patching,
_KEYS_BYTES = 64  # with a key for each so many of them at most
OR, AND, SUB, XOR = range(4)


class Index(FrozenIndex):
    """An exact, immutable set of keys below 10**14, made in any way, read in pieces, compared and joined."""

    __slots__ = ("_of_keys",)
    _of_keys: bytes  # the digest of the keys, once it was taken

    @classmethod
    def from_keys(cls, keys: object, /) -> Self:
        """The index of uint64 keys, in any order, repeats allowed, or of another column of keys."""
        if type(keys) is np.ndarray and keys.ndim == 1 and keys.dtype == np.uint64 and keys.dtype.isnative:
            given = np.require(keys, requirements=("C", "A"))
        else:
            given = columns.keys_of(keys)
        try:
            return cls.from_parts([given])
        except ValueError:
            columns.keys_of(given)  # says which is too large
            raise

    @classmethod
    def from_parts(cls, parts: list[Keys], /, threads: int = 1, *, digest: bool = False) -> Self:
        """The index of the keys below 10**14 in a list of uint64 arrays, which is emptied.

        digest: take the digest of the keys on the way, in a thread beside, which is cheaper than later.
        """
        of_keys: list[bytes] = []
        batches = sorted_parts(parts, threads)
        try:
            if not digest:
                return cls.from_sorted(batches)
            with closing(_hashed(batches, of_keys)) as hashed:
                made = cls.from_sorted(hashed)
        finally:
            batches.close()  # and so its threads end
        made._of_keys = of_keys[0]
        return made

    def digest_of_keys(self) -> bytes:
        """The SHA-256 of the runs of keys, in order, as _native/c/encode.h writes them. 12 ns a run, part
        of it in a thread; some MB."""
        of_keys: bytes | None = getattr(self, "_of_keys", None)
        if of_keys is None:
            self._of_keys = of_keys = self.digest_with(np.empty(0, np.uint64))
        return of_keys

    def digest_with(self, flips: Keys) -> bytes:
        """The same without those of some ascending keys that are in the set, and with those that are not."""
        import hashlib  # now: its library takes some milliseconds to load

        hasher, encoder = hashlib.sha256(), Encoder()

        def add(lows: Keys, highs: Keys, flips: Keys) -> None:
            hasher.update(encoder.runs(lows, highs, flips))

        with ThreadPoolExecutor(1, thread_name_prefix="digest") as pool:
            before: Future[None] | None = None
            for lows, highs in self.runs():
                upto = int(np.searchsorted(flips, highs[-1], "right")) if len(highs) else 0
                piece = lows, highs, flips[:upto]
                flips = flips[upto:]
                if before is not None:
                    before.result()
                if len(lows) < _RUNS:  # the last
                    add(*piece)
                else:
                    before = pool.submit(add, *piece)
        hasher.update(encoder.keys(flips))
        hasher.update(encoder.finish())
        return hasher.digest()

    def to_numpy(self) -> Keys:
        """All keys in order: uint64[n], 8 bytes each."""
        keys = np.empty(len(self), np.uint64)
        if (n := self.reader().keys(keys)) != len(self):
            raise _damaged(f"{len(self)} members", f"{n}")
        return keys

    def chunks(self) -> Iterator[Keys]:
        """All keys in order, some thousands at a time."""
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

    def changes(self, other: "Index") -> Iterator[tuple[tuple[Keys, Keys], tuple[Keys, Keys], float]]:
        """What only this set has, and what only the other has, as arrays of lowest and highest keys of runs;
        in pieces, in order, with how much of both was looked at, up to 1. On all cores; what is equal is
        skipped, see _native/c/diff.h. Memory: some MB."""
        spans = _spans(self, other)
        for number, (mine, theirs) in enumerate(self.changes_by_span(other, spans), 1):
            yield mine, theirs, number / len(spans)

    def changes_by_span(
        self, other: "Index", spans: list[tuple[int, int]]
    ) -> Iterator[tuple[tuple[Keys, Keys], tuple[Keys, Keys]]]:
        """The same, one piece for each span from a TAC up to another: `spans` has such as are of a size."""
        below = [-1, -1]
        for found in in_order(lambda span: self.difference_of_tacs(other, *span), spans):
            mine, theirs = ((pairs[:, 0].copy(), pairs[:, 1].copy()) for pairs in found)
            below = [_top(*mine, below[0]), _top(*theirs, below[1])]
            yield mine, theirs

    def spans(self, other: "Index") -> list[tuple[int, int]]:
        """Spans of TACs, all there are, in each of which this set and another have some thousands of keys."""
        return _spans(self, other)

    def reversed_runs(self) -> Iterator[tuple[int, int]]:
        """All runs, the last first, as pairs of lowest and highest key. Memory: some MB."""
        nothing, left = Index(), len(self)
        for span in reversed(_spans(self)):
            pairs, _ = self.difference_of_tacs(nothing, *span)
            lows, highs = pairs[:, 0].copy(), pairs[:, 1].copy()
            _top(lows, highs, -1)
            left -= int((highs - lows).sum()) + len(lows)
            if left < 0:
                break
            yield from reversed(pairs.tolist())
        if left:
            raise _damaged(f"{len(self)} members", "others")

    def tac_counts(self) -> tuple[NDArray[np.bytes_], NDArray[np.uint32]]:
        """The TACs in the set and how many IMEIs each has.

        Returns
        -------
        S8[n], uint32[n]
            The TACs ascending, and their counts.

        Examples
        --------
        >>> from imeiset import ImeiSet
        >>> tacs, counts = ImeiSet(["490154203237518", "358091016853550"]).tac_counts()
        >>> tacs.tolist(), counts.tolist()
        ([b'35809101', b'49015420'], [1, 1])
        """
        parts, counts, firsts, ends = self._tacs()
        whole = [np.arange(first, end, dtype=np.uint32) for first, end in zip(firsts, ends, strict=True)]
        tacs = np.concatenate([parts, *whole])
        counts = np.concatenate([counts, np.full(len(tacs) - len(parts), _SERIALS, np.uint32)])
        order = np.argsort(tacs, kind="stable")
        return _texts_of(tacs[order]), counts[order]

    def biggest_tacs(self, n: int, /) -> tuple[NDArray[np.bytes_], NDArray[np.uint32], int]:
        """The n TACs with most IMEIs, biggest first.

        Returns
        -------
        S8[n], uint32[n], int
            The TACs, how many IMEIs each has, and how many TACs there are in all. Unlike `tac_counts`, little
            memory even where runs cover millions of whole TACs.

        Examples
        --------
        >>> from imeiset import ImeiSet
        >>> tacs, counts, total = ImeiSet.from_ranges([35809101000000], [35809102000009]).biggest_tacs(1)
        >>> tacs.tolist(), counts.tolist(), total
        ([b'35809101'], [1000000], 2)
        """
        if n < 0:
            raise ValueError(f"n: expected 0 or more, got {n}")
        parts, counts, firsts, ends = self._tacs()
        whole = list(islice(chain.from_iterable(map(range, firsts, ends)), n))
        order = np.argsort(-counts.astype(np.int64), kind="stable")[: n - len(whole)]
        tacs = np.concatenate([np.array(whole, np.uint32), parts[order]])
        counts = np.concatenate([np.full(len(whole), _SERIALS, np.uint32), counts[order]])
        return _texts_of(tacs), counts, len(parts) + int((ends - firsts).sum())

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

    @classmethod
    def joined(cls, one: "Index", other: "Index", op: int) -> Self:
        """`combine`, where one of the two is small by looking its IMEIs up in the other."""
        large, small = (one, other) if one.nbytes >= other.nbytes else (other, one)
        if large.nbytes < _LARGE or len(small) * _KEYS_BYTES > large.nbytes:
            return cls.combine(one, other, op)
        keys = np.concatenate([np.empty(0, np.uint64), *small.chunks()])
        found = np.empty(len(keys), np.uint8)
        large.contains_keys(keys, found)
        if op == AND or (op == SUB and small is one):
            return cls.from_keys(keys[found == (op == AND)])
        flips = small if op == XOR else cls.from_keys(keys[found == (op == SUB)])
        return cls.patched(large, flips) if len(flips) else cls.from_sections(dict(large.sections()))


def _hashed(batches: Iterable[Keys], digests: list[bytes]) -> Generator[Keys, None, None]:
    """The same batches of ascending keys; at their end, the digest that a thread beside took of them."""
    import hashlib

    hasher, encoder = hashlib.sha256(), Encoder()

    def add(batch: Keys) -> None:
        for start in range(0, len(batch), _ROWS):
            hasher.update(encoder.keys(batch[start : start + _ROWS]))

    with ThreadPoolExecutor(1, thread_name_prefix="digest") as pool:
        added = []
        for batch in batches:
            added.append(pool.submit(add, batch))
            yield batch
        for one in added:
            one.result()  # raises what it raised
    hasher.update(encoder.finish())
    digests.append(hasher.digest())


def _spans(*indexes: Index) -> list[tuple[int, int]]:
    """Spans of TACs, from one up to another, in each of which indexes have some thousands of keys."""
    cuts = {0, 10**8}
    for one in indexes:
        step = max(_SPAN, len(one) >> 10)
        cuts |= {one.select(at) // _SERIALS for at in range(step, len(one), step)}
    return list(pairwise(sorted(cuts)))


def joined_runs(lows: Keys, highs: Keys) -> tuple[Keys, Keys]:
    """Runs in any order as runs in order; those that overlap or touch are one. O(n log n)."""
    order = np.argsort(lows, kind="stable")
    lows, reach = lows[order], np.maximum.accumulate(highs[order])
    first = np.ones(len(lows), bool)
    first[1:] = lows[1:] > reach[:-1] + np.uint64(1)  # begins beyond all before it
    last = np.roll(first, -1)  # the next one does, or there is none
    return lows[first], reach[last]


def _texts_of(tacs: NDArray[np.uint32]) -> NDArray[np.bytes_]:
    return columns.tac_texts(tacs.astype(np.uint64) * np.uint64(_SERIALS))


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
