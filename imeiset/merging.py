"""Merging snapshots of sets into one, in a single pass and in memory that does not grow with them."""

import heapq
import mmap
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from imeiset import irregular, snapshot
from imeiset._native.payload import SECTIONS, Builder
from imeiset.errors import expect_several
from imeiset.index import joined_runs
from imeiset.readers import Keys
from imeiset.sets import IRREGULAR, KIND, ImeiSet

Runs = tuple[Keys, Keys]  # lowest and highest keys


def merge(
    parts: Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    generation: int = 0,
    progress: Callable[[int, int | None], None] | None = None,
) -> int:
    """Write the union of the sets in snapshot files to a file.

    Every part is compared with its checksums first. The bytes are those that saving the union itself would
    give.

    Parameters
    ----------
    parts : iterable of str or os.PathLike
        The snapshots, in any order. They may overlap.
    output : str or os.PathLike
        The snapshot to write, which appears whole or not at all.
    generation : int
        A number of the writer's, which the snapshot keeps.
    progress : callable, optional
        Called with about how many bytes of the parts were read so far, and how many there are.

    Returns
    -------
    int
        How many IMEIs the union has.

    Raises
    ------
    SnapshotError
        A kind of it says what is wrong with a part.
    OSError
        If `output` cannot be written.
    ValueError
        If `output` is a part, or there is none.
    TypeError
        If `parts` is one path.

    Notes
    -----
    About 40 ns an IMEI. Memory is some MB, 1 MB for each part that overlaps others, and 4% of the output.
    Beside the output it takes as much space again, meanwhile.

    Examples
    --------
    >>> imeiset.ImeiSet(["490154203237518"]).save("a.imei")
    >>> imeiset.ImeiSet(["356938035643809"]).save("b.imei")
    >>> imeiset.merge(["a.imei", "b.imei"], "all.imei")
    2
    """
    expect_several("parts", parts)
    paths = [os.fspath(path) for path in parts]
    if not paths:
        raise ValueError("expected at least one part")
    if os.path.realpath(output) in map(os.path.realpath, paths):
        raise ValueError(f"expected an output beside the parts, got {os.fspath(output)!r}, which is one")
    sets = [ImeiSet.open(path, checksums=True) for path in paths]
    members, size, read = sum(map(len, sets)), sum(one.nbytes for one in sets), 0
    beside = Path(os.path.realpath(output)).parent
    with ExitStack() as stack:
        files = [
            stack.enter_context(tempfile.TemporaryFile(buffering=0, dir=beside)) for _ in ("lines", "spill")
        ]
        builder = Builder(*files)
        for lows, highs, count in _union(sets):
            builder.add(lows, highs)
            read += count
            if progress:
                progress(size * read // members if members else size, size)
        count, made = builder.finish()
        sections = dict(made)
        for name, file in zip(("lines", "spill"), files, strict=True):
            used = os.fstat(file.fileno()).st_size
            sections[name] = mmap.mmap(file.fileno(), used, access=mmap.ACCESS_READ) if used else b""
        named: list[tuple[str, Any]] = [(name, sections[name]) for name in SECTIONS]
        texts = [one.irregular for one in sets if one.irregular is not None]
        if texts:
            named.append((IRREGULAR, np.unique(np.concatenate([irregular.NONE, *texts])).view(np.uint8).data))
        snapshot.write(output, KIND, named, count=count, generation=generation)
    return count


def _union(sets: list[ImeiSet]) -> Iterator[tuple[Keys, Keys, int]]:
    """The runs of all sets in order, those that touch or overlap joined, and the members read for them.

    Sets that begin later are not read yet: parts by TAC range are read one after the other.
    """
    later = [(one.select(0), i) for i, one in enumerate(sets) if len(one)]
    heapq.heapify(later)
    reading: list[tuple[Iterator[Runs], Runs]] = []
    held: Runs = (np.empty(0, np.uint64), np.empty(0, np.uint64))  # the last run, which the next may continue
    while later or reading:
        if not reading:
            reading.append(_first(sets[heapq.heappop(later)[1]]))
        # Up to here everything is known: the last run in hand of the one that is furthest behind.
        bound = min(int(lows[-1]) for _, (lows, _) in reading)
        while later and later[0][0] <= bound:
            reading.append(_first(sets[heapq.heappop(later)[1]]))
            bound = min(bound, int(reading[-1][1][0][-1]))
        taken, still = [held], []
        for runs, (lows, highs) in reading:
            n = int(np.searchsorted(lows, np.uint64(bound), "right"))
            taken.append((lows[:n], highs[:n]))
            left: Runs | None = (lows[n:], highs[n:])
            if n == len(lows):
                left = next(runs, None)
            if left is not None and len(left[0]):
                still.append((runs, left))
        reading = still
        count = sum(int((highs - lows).sum()) + len(lows) for lows, highs in taken[1:])
        lows, highs = joined_runs(*(np.concatenate(ends) for ends in zip(*taken, strict=True)))
        held = lows[-1:], highs[-1:]
        yield lows[:-1], highs[:-1], count
    yield *held, 0


def _first(one: ImeiSet) -> tuple[Iterator[Runs], Runs]:
    runs = one.runs()
    return runs, next(runs)
