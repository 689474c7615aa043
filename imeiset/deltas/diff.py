"""The changes from one set or list to another, as the text of a delta."""

from collections.abc import Iterator

import numpy as np

from .._native.parse import rows_of
from ..feeds.export import expanded, irregular_rows
from ..feeds.loader import Progress
from ..readers import Keys
from ..register.checks import Checks
from ..sets import ImeiSet
from .lists import delta_of

HELD = 1 << 22  # runs that are added: 64 MB


def diff(
    old: ImeiSet | Checks,
    new: ImeiSet | Checks,
    *,
    list: str | None = None,
    form: str = "dirbs",
    progress: Progress | None = None,
) -> Iterator[bytes]:
    """The text of a delta from one set to another, or from a list of a register or store to that of another.

    Parameters
    ----------
    old, new : ImeiSet, or Register or Store
        Of sets the delta has the removals, then the additions, in order. Of lists it has what is added,
        removed and updated together, in order, and the reasons, dates and last days that they have.
    list : str, optional
        Of a register or a store: which list; None if it has but one. See `deltas.differences` for all.
    form : {'dirbs', 'plain'}
        'dirbs' has a header imei,change_type; 'plain' a '-' or '+' before each number. A range is written
        IMEI by IMEI.
    progress : callable, optional
        Called with the bytes of both sets that were compared so far, and all.

    Yields
    ------
    bytes
        The text, in pieces.

    Notes
    -----
    Memory is some MB, and 16 bytes for each run that is added, up to HELD of them. Beyond that, the sets are
    compared twice.

    Examples
    --------
    >>> old, new = imeiset.ImeiSet(["490154203237518"]), imeiset.ImeiSet(["356938035643809"])
    >>> b"".join(imeiset.diff(old, new, form="plain"))
    b'-490154203237518\\n+356938035643809\\n'
    """
    if isinstance(old, ImeiSet) and isinstance(new, ImeiSet):
        if list is not None:
            raise ValueError("list: expected with registers or stores, got sets")
        return _of_sets(old, new, form, progress)
    if isinstance(old, ImeiSet) or isinstance(new, ImeiSet):
        raise TypeError("expected two sets, or two registers or stores, got one of both")
    if form != "dirbs":
        raise ValueError(f"expected the form dirbs of lists, got {form!r}")
    names = {*old, *new}
    if list is None and len(names) != 1:
        raise ValueError(f"list: expected one of {', '.join(sorted(names)) or 'none'}, got none")
    return delta_of(old, new, list if list is not None else names.pop())


def _of_sets(old: ImeiSet, new: ImeiSet, form: str, progress: Progress | None) -> Iterator[bytes]:
    if form not in ("dirbs", "plain"):
        raise ValueError(f"expected a form of dirbs and plain, got {form!r}")
    size, held, additions = old.nbytes + new.nbytes, 0, list[tuple[Keys, Keys]]()
    if form == "dirbs":
        yield b"imei,change_type\n"
    for gone, come, share in old.changes(new):
        yield from _lines(form, 0, *gone)
        held += len(come[0])
        if held <= HELD:
            additions.append(come)
        elif additions:
            additions.clear()
        if progress:
            progress(int(size * share), size)
    yield _irregular_lines(form, 0, old, new)
    if held <= HELD:
        for come in additions:
            yield from _lines(form, 1, *come)
    else:
        for _, come, share in old.changes(new):
            yield from _lines(form, 1, *come)
            if progress:
                progress(int(size * share), size)
    yield _irregular_lines(form, 1, new, old)


def _around(form: str, change: int) -> tuple[bytes, bytes]:
    """What stands before and after an identity."""
    return ((b"", b",remove\n"), (b"", b",add\n"), (b"-", b"\n"), (b"+", b"\n"))[
        change + 2 * (form == "plain")
    ]


def _lines(form: str, change: int, lows: Keys, highs: Keys) -> Iterator[bytes]:
    for keys in expanded(lows, highs):
        yield rows_of(keys, *_around(form, change))


def _irregular_lines(form: str, change: int, one: ImeiSet, other: ImeiSet) -> bytes:
    """The irregular identities that one set has and the other has not."""
    if one.irregular is None:
        return b""
    texts = one.irregular if other.irregular is None else np.setdiff1d(one.irregular, other.irregular)
    before, after = _around(form, change)
    return irregular_rows(texts.tolist(), before, after)
