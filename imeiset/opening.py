"""Whatever a path holds, opened: a set, a register or a store."""

import os
from pathlib import Path
from typing import Literal

from . import snapshot
from .register import Register
from .register.layout import KIND
from .sets import ImeiSet
from .store import Store


def open(
    path: str | os.PathLike[str],
    mode: Literal["mmap", "memory"] = "mmap",
    *,
    verify: bool = False,
) -> ImeiSet | Register | Store:
    """Open a snapshot file or the directory of a store.

    Parameters
    ----------
    path
        A snapshot, which holds a set or a register, or a directory, which holds a store.
    mode
        "mmap" shares the file's pages with every process that opens it. "memory" copies the file, and is for
        files that something may truncate in place.
    verify
        Also read all of it and compare every checksum, see `ImeiSet.verify`.

    Returns
    -------
    ImeiSet, Register or Store
        A store is open for reading: its first change makes this process the writer.

    Raises
    ------
    SnapshotError
        A kind of it says what is wrong with a snapshot: missing, truncated, of a newer version.
    StoreError
        A kind of it says what is wrong with a store.

    Examples
    --------
    >>> import imeiset, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     imeiset.ImeiSet(["490154203237518"]).save(f"{folder}/blocked.imei")
    ...     blocked = imeiset.open(f"{folder}/blocked.imei", mode="memory")
    >>> type(blocked).__name__, "490154203237518" in blocked
    ('ImeiSet', True)
    """
    kind: type[ImeiSet] | type[Register] | type[Store] = Store
    if not Path(path).is_dir():
        kind = Register if snapshot.open(path).kind == KIND else ImeiSet
    return kind.verify(path, mode=mode) if verify else kind.open(path, mode=mode)
