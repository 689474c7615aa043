"""What became of the lists of a store, from its journals: one pass, nothing indexed.

A journal outlives its base as long as `Store.prune` is told. Where a register replaced another, the net
changes stand in a file of their own, history-N for generation N: a journal in form, whose last record has the
time that the journal of that generation begins with. Nobody serves from it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from imeiset.errors import StoreDamaged, StoreMissing
from imeiset.register.claims import day
from imeiset.register.kinds import LEVELS
from imeiset.register.lists import List
from imeiset.register.untils import text_of_day
from imeiset.store import journal as _journal
from imeiset.store.directory import base_path, generation_of, history_path, journal_path
from imeiset.store.events import Asked, Event, may_concern, moment, of_record
from imeiset.store.journal import Journal, Position, Record
from imeiset.store.net import batches, net_changes
from imeiset.store.payload import Payload, packed, unpacked

# ---- written ------------------------------------------------------------------------


def record_replace(
    path: Path,
    generation: int,
    position: Position,
    time: int,
    old: Sequence[List],
    new: Sequence[List],
    change: Payload,
    *,
    by: str,
    ref: str,
) -> None:
    """Write the net changes of a register that replaces a state, for the generation that it becomes.

    path: to be moved to `history_path`. position: of that state. time: with which the journal of the
    generation begins. change: of which feed.
    """
    start = Position(position.sequence, position.digest, position.time)
    about = {what: text for what, text in (("by", by), ("ref", ref)) if text}
    told = (replace(one, about=one.about | about) for one in net_changes(old, new))
    payloads = (packed(replace(change, changes=tuple(some))) for some in batches(told))
    _journal.create_of(path, generation, start, ((time, one) for one in payloads))


# ---- read ---------------------------------------------------------------------------


def _start(directory: Path, generation: int) -> Position:
    """The state that the journal of a generation begins after."""
    with Journal(journal_path(directory, generation)) as journal:
        return journal.start


def prunable(directory: Path, serving: int, keep: int, since: int | None) -> list[tuple[int, Path]]:
    """The files of generations but the last `keep`, with their numbers, the oldest first: so what is left has
    no gap, whenever removing them ends. since: a time, ns; changes at or after it stay. None: none do."""
    ended = []
    for generation in kept_generations(directory, serving)[:-1]:
        if (
            since is None or _start(directory, generation + 1).time >= since
        ):  # that is when its last change was made
            break
        ended.append(generation)
    found = []
    for path in directory.iterdir():
        number = generation_of(path)
        if number is None or number > serving - keep:  # never one that another made meanwhile
            continue
        if since is None or number in ended or path == base_path(directory, number):
            found.append((number, path))
    return sorted(found)


def kept_generations(directory: Path, serving: int) -> list[int]:
    """Those whose journals are there, ascending, the one that serves the last."""
    found = {generation_of(path) for path in directory.iterdir() if path.name.startswith("journal-")}
    return sorted(n for n in found if n is not None and n <= serving)


def records(directory: Path, serving: int) -> Iterator[tuple[Path, Record, int]]:
    """All records that are kept, in order, with their files and the number of the store's change: of a
    register that replaced another, of the last before it.

    Raises StoreDamaged where files between others are missing, or are another store's; StoreMissing where the
    generation that serves was pruned.
    """
    kept = kept_generations(directory, serving)
    if serving not in kept:
        got = "none: it was pruned since this state was read, refresh()"
        raise StoreMissing(directory, f"the journal of generation {serving}", got)
    last: Position | None = None
    for generation in kept:
        with Journal(journal_path(directory, generation)) as journal:
            start, path = journal.start, journal.path
            if journal.generation != generation:
                raise StoreDamaged(path, f"the journal of generation {generation}", f"{journal.generation}")
            if last is not None and generation - 1 not in kept:
                got = "none before it: restore a copy, or prune"
                raise StoreDamaged(path, f"the journal of generation {generation - 1}", got)
            if last is not None:
                yield from _between(directory, generation, last, start)
            last, end = start, _start(directory, generation + 1) if generation + 1 in kept else None
            for record in journal.records(start):
                if end is not None and record.position.sequence > end.sequence:
                    break  # it was made while the next base was, and stands in that journal, too
                last = record.position
                yield path, record, last.sequence


def _between(
    directory: Path, generation: int, last: Position, start: Position
) -> Iterator[tuple[Path, Record, int]]:
    """The records of the register that became a generation, if that is how it came to be."""
    path = history_path(directory, generation)
    if (last.sequence, last.time) == (start.sequence, start.time):
        return  # the changes before it were compacted; a file is that of a writer that died
    try:
        journal = Journal(path)
    except StoreMissing:
        expected = f"what led from change {last.sequence} to generation {generation}"
        raise StoreDamaged(path, expected, "no such file: restore a copy, or prune") from None
    with journal:
        same = (journal.start.sequence, journal.start.digest, journal.start.time)
        if journal.generation != generation or same != (last.sequence, last.digest, last.time):
            raise StoreDamaged(path, f"the history of generation {generation} of this store", "another")
        found = 0
        for record in journal.records(journal.start):
            found = record.position.end
            if record.position.time != start.time:
                raise StoreDamaged(path, f"the history of generation {generation}", "that of another attempt")
            yield path, record, last.sequence
        if not found or found != journal.nbytes or start.sequence != last.sequence:
            raise StoreDamaged(
                path, "a history as it was written", "one that is cut off: restore a copy, or prune"
            )


def events(directory: Path, serving: int, asked: Asked, since: int | None) -> Iterator[Event]:
    """The events of the records from the first at or after a time, ns."""
    begun = since is None
    for path, record, sequence in records(directory, serving):
        begun = begun or record.position.time >= (since or 0)
        if begun and may_concern(record.payload, asked):
            yield from of_record(unpacked(record.payload, path), record.position.time, sequence, asked)


# ---- what was there when the history begins ----------------------------------------------


def history_of(directory: Path, serving: int, asked: Asked, lists: Sequence[List]) -> Iterator[Event]:
    """All that is known of a phone, first what was there when the history begins. lists: as they are now."""
    found = list(events(directory, serving, asked, None))
    first: dict[tuple[Any, ...], Event] = {}
    for one in found:
        first.setdefault((one.list, one.rule, one.imsi), one)
    start = _start(directory, kept_generations(directory, serving)[0])
    held = partial(Event, moment(start.time), start.sequence, "", None, action="held")
    for one in first.values():
        if one.action in ("changed", "removed"):
            yield held(one.list, one.rule, imei=one.imei, imsi=one.imsi, last=one.last)
    for row in _now(lists, asked):
        if (row["list"], row["rule"], row.get("imsi")) not in first:
            yield held(imei=asked.shown, **row)
    yield from found


def _now(lists: Sequence[List], asked: Asked) -> Iterator[dict[str, Any]]:
    """What lists hold of a phone, by all rules but that of IMSIs."""
    for one in lists:
        if asked.text is not None and asked.text.encode() in one.irregular:
            yield {"list": one.name, "rule": "irregular"}
        if asked.key is None:
            continue
        key, answer = np.array([asked.key], np.uint64), np.zeros(1, np.uint8)
        for rule, part in ((rule, one.parts[rule]) for rule in LEVELS if rule in one.parts):
            part.part.contains(key, answer)
            if answer[0]:
                reason, date, until = part.details(asked.key) if rule == "exact" else ("", "", "")
                row = {"reason": reason or one.reason, "date": day(date), "until": day(until)}
                yield {"list": one.name, "rule": rule, **row}
        if one.pairs is not None:
            keys, imsis = one.pairs.of_imeis(key)
            for imsi, last in zip(imsis, one.pairs.until_days(keys, imsis).tolist(), strict=True):
                row = {"imsi": str(imsi)[1:], "until": day(text_of_day(last))}
                yield {"list": one.name, "rule": "pair", **row}
