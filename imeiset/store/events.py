"""Events: what one change makes of a phone on a list, as people are told."""

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imeiset import irregular
from imeiset._native.parse import rows_of
from imeiset.columns import AMBIGUOUS, parse
from imeiset.errors import ImeiError, ParseStatus
from imeiset.imei import Imei
from imeiset.readers import Keys
from imeiset.register.claims import day
from imeiset.store.payload import Change, Payload

Action = Literal["added", "changed", "removed", "held"]
_ADDED: tuple[Action, Action] = "added", "changed"
_EPOCH, _MICROSECOND = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC), datetime.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that became of a phone on a list.

    Attributes
    ----------
    time : datetime.datetime
        When, by the clock of the writer, which may go back.
    sequence : int
        The change of the store; of a register that replaced another, the last change before it.
    feed : str
        The feed that brought it, "" for none.
    number : int or None
        The feed's own number of it.
    list, rule : str
        Where, and by what the list holds it; the rule 'list' stands for the list itself.
    action : str
        'added', 'removed'; 'changed' where it was there and got other reasons or dates; 'held' for what was
        there when the history begins, about which it knows nothing else.
    by, ref : str
        Who said so, and by which paper; "" where nobody said.
    reason : str
        Reasons with '|' between them.
    date, until : datetime.date or None
        As the change says.
    imei : str or None
        15 digits, or an irregular identity. Of ranges and TACs the first, and `last` the last.
    imsi : str or None
        Of a pair; or the prefix.
    last : str or None
        See `imei`.

    Examples
    --------
    >>> import tempfile
    >>> from imeiset import Delta, EquipmentStatus, Register, Store
    >>> register = Register()
    >>> register.add("stolen", ["490154203237518"], status=EquipmentStatus.BLACKLISTED)
    >>> with tempfile.TemporaryDirectory() as folder, Store.create(folder, register) as store:
    ...     number = store.apply(Delta("stolen", remove=["490154203237518"], ref="case 7"))
    ...     [(event.action, event.ref) for event in store.history("490154203237518")]
    [('held', ''), ('removed', 'case 7')]
    """

    time: datetime.datetime
    sequence: int
    feed: str
    number: int | None
    list: str
    rule: str
    action: Action
    by: str = ""
    ref: str = ""
    reason: str = ""
    date: datetime.date | None = None
    until: datetime.date | None = None
    imei: str | None = field(default=None, repr=False)
    imsi: str | None = field(default=None, repr=False)
    last: str | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The event as JSON has it.

        Returns
        -------
        dict
            Of the attributes by name, times and dates as ISO 8601 has them, reasons as a list.

        Examples
        --------
        >>> import datetime
        >>> from imeiset.store import Event
        >>> when = datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC)
        >>> Event(when, 1, "op-a", 7, "stolen", "exact", "added", reason="lost|stolen").to_dict()["reasons"]
        ['lost', 'stolen']
        """
        return {
            "time": self.time.isoformat(),
            "sequence": self.sequence,
            "feed": self.feed or None,
            "number": self.number,
            "list": self.list,
            "rule": self.rule,
            "action": self.action,
            "by": self.by or None,
            "ref": self.ref or None,
            "reasons": self.reason.split("|") if self.reason else [],
            "date": self.date and self.date.isoformat(),
            "until": self.until and self.until.isoformat(),
            "imei": self.imei,
            "imsi": self.imsi,
            "last": self.last,
        }


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose events are wanted: of a key, of an irregular text, or of all where both are None."""

    key: int | None = None
    text: str | None = None

    @classmethod
    def of(cls, imei: object) -> "Asked":
        """Of what a caller gives. ImeiError for what is neither."""
        if imei is None:
            return cls()
        keys, status = parse([imei])
        if not status[0]:
            return cls(int(keys[0]))
        form = irregular.normalised(imei)
        if form is None or status[0] in AMBIGUOUS:
            raise ImeiError(ParseStatus(int(status[0])), imei)
        return cls(form) if isinstance(form, int) else cls(text=form.decode())

    @property
    def shown(self) -> str | None:
        """As events show it."""
        return self.text if self.key is None else str(Imei.from_key(self.key))


def may_concern(payload: bytes, asked: Asked) -> bool:
    """Whether there may be something about a key: its 8 bytes, or rules that do not spell each IMEI out."""
    if asked.key is None or len(payload) % 8 or (np.frombuffer(payload, "<u8") == asked.key).any():
        return True
    text = payload[: 8 + int.from_bytes(payload[:8], "little")]
    return any(f'"rule":"{rule}"'.encode() in text for rule in ("range", "tac"))


def of_record(payload: Payload, time: int, sequence: int, asked: Asked) -> Iterator[Event]:
    when = moment(time)
    for change in payload.changes:
        about = change.about
        event = partial(
            Event,
            when,
            sequence,
            payload.feed,
            payload.number or None,
            about["list"],
            about["rule"],
            by=about.get("by", "") or payload.feed,
            ref=about.get("ref", ""),
        )
        said = {
            "reason": about.get("reason", ""),
            "date": day(about.get("date", "")),
            "until": day(about.get("until", "")),
        }
        for row in _ROWS_OF[about["rule"]](change, asked):
            yield event(**row, **({} if row["action"] == "removed" else said))


def begin_of(since: datetime.date) -> int:
    """A time, or the beginning of a day, in nanoseconds since 1970; UTC where it does not say."""
    if not isinstance(since, datetime.date):
        raise TypeError(f"since: expected a date or a datetime, got {type(since).__name__}")
    if not isinstance(since, datetime.datetime):
        since = datetime.datetime(since.year, since.month, since.day, tzinfo=datetime.UTC)
    if since.tzinfo is None:
        since = since.replace(tzinfo=datetime.UTC)
    return (since - _EPOCH) // _MICROSECOND * 1000


def moment(time: int) -> datetime.datetime:
    """Of nanoseconds since 1970."""
    return _EPOCH + time // 1000 * _MICROSECOND


# ---- the rows of a change, by its rule ---------------------------------------------------


def _of_keys(change: Change, asked: Asked) -> Iterator[dict[str, Any]]:
    """Exact IMEIs, or pairs. What one change removes and adds is no removal."""
    held = change.held or (np.zeros(len(change.add[0]), bool), np.ones(len(change.remove[0]), bool))
    for side, columns in enumerate((change.remove, change.add)):
        rows = _rows(columns[0], asked)
        if not side and len(rows):
            rows = rows[held[1][rows] & ~_both(columns, change.add, rows)]
        texts = [_imeis(columns[0][rows]), *(_imsis(column[rows]) for column in columns[1:])]
        for row, *values in zip(rows.tolist(), *texts, strict=True):
            action = _ADDED[int(held[0][row])] if side else "removed"
            yield {"action": action, **dict(zip(("imei", "imsi"), values, strict=False))}


def _rows(keys: Keys, asked: Asked) -> NDArray[np.intp]:
    """Those of the key that is asked about; all, where none is."""
    if asked.text is not None:
        return np.empty(0, np.intp)
    if asked.key is None:
        return np.arange(len(keys))
    key = np.uint64(asked.key)
    return np.arange(np.searchsorted(keys, key), np.searchsorted(keys, key, "right"))


def _both(columns: tuple[Any, ...], others: tuple[Any, ...], rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which rows the other columns have, too."""
    if len(columns) == 1:
        return np.isin(columns[0][rows], others[0])
    there = set(zip(*(column.tolist() for column in others), strict=True))
    return np.array([row in there for row in zip(*(c[rows].tolist() for c in columns), strict=True)], bool)


def _imeis(keys: Keys) -> list[str]:
    return rows_of(np.ascontiguousarray(keys), b"", b" ").decode().split()


def _imsis(numbers: Keys) -> list[str]:
    return [str(number)[1:] for number in numbers.tolist()]


def _of_runs(change: Change, asked: Asked) -> Iterator[dict[str, Any]]:
    actions: tuple[Action, Action] = ("removed", "added")
    add, remove = change.net or (change.add, change.remove)
    for action, (lows, highs) in zip(actions, (remove, add), strict=True):
        rows = np.arange(len(lows)) if asked.text is None else np.empty(0, np.intp)
        if asked.key is not None:
            rows = np.flatnonzero((lows <= asked.key) & (asked.key <= highs))
        for first, last in zip(_imeis(lows[rows]), _imeis(highs[rows]), strict=True):
            yield {"action": action, "imei": first, "last": last}


def _of_texts(change: Change, asked: Asked) -> Iterator[dict[str, Any]]:
    for action, texts in _texts(change):
        for text in texts:
            if asked == Asked() or text == asked.text:
                yield {"action": action, "imei": text}


def _of_prefixes(change: Change, asked: Asked) -> Iterator[dict[str, Any]]:
    for action, texts in _texts(change):
        for text in texts if asked == Asked() else ():
            yield {"action": action, "imsi": text}


def _texts(change: Change) -> Iterator[tuple[Action, list[str]]]:
    """What was really removed, and what was added."""
    add, remove = change.about.get("net") or (change.about["add"], change.about["remove"])
    yield "removed", remove
    yield "added", add


def _of_list(change: Change, asked: Asked) -> Iterator[dict[str, Any]]:
    if asked == Asked():
        yield {"action": "removed" if change.about["remove"] else "added"}


_ROWS_OF: dict[str, Callable[[Change, Asked], Iterator[dict[str, Any]]]] = {
    "exact": _of_keys,
    "pair": _of_keys,
    "range": _of_runs,
    "tac": _of_runs,
    "irregular": _of_texts,
    "imsi": _of_prefixes,
    "list": _of_list,
}
