"""A directory into which an operator's files come late, twice and out of order: after each call of `feed` the
store lists what the operator listed at the number that the store says it is at."""

import contextlib
import csv
import datetime
import random

import pytest

import imeiset
from imeiset import EquipmentStatus, Imei, Register, Store
from imeiset.errors import FeedConflict, FeedMissing, StoreSequence

from .model import Row

FEED, NAME = "op-a", "op-a stolen"
KEYS = [35_000_000_000_000 + 7919 * n for n in range(400)]
DAY = datetime.date(2025, 12, 1)
COLUMNS = {"reason_column": "reason", "date_column": "date", "until_column": "until"}


class Operator:
    """What it lists after each of its changes, and the files that say so."""

    def __init__(self, rng, changes):
        self.rng = rng
        self.states, self.deltas = [{key: self.row() for key in KEYS[:250]}], [[]]
        for _ in range(changes):
            self.change()

    def row(self):
        rng = self.rng
        date = DAY - datetime.timedelta(days=rng.randrange(300)) if rng.random() < 0.7 else None
        until = DAY + datetime.timedelta(days=rng.randrange(300)) if rng.random() < 0.4 else None
        return Row(rng.choice(((), ("lost",), ("lost", "stolen"))), date, until)

    def change(self):
        now = dict(self.states[-1])
        gone = self.rng.sample(sorted(now), self.rng.randrange(4))
        new = {key: self.row() for key in self.rng.sample(KEYS, self.rng.randrange(1, 6)) if key not in gone}
        self.deltas.append([(key, "remove", now.pop(key)) for key in gone])
        self.deltas[-1] += [(key, "update" if key in now else "add", row) for key, row in new.items()]
        self.states.append(now | new)

    def write(self, directory, number, *, full, twice=False):
        """A file; twice: under another name, too."""
        rows = (
            [(key, "add", row) for key, row in self.states[number].items()] if full else self.deltas[number]
        )
        head = (
            ["imei", "reason", "date", "until"]
            if full
            else ["imei", "change_type", "reason", "date", "until"]
        )
        for copy in ("", "again_")[: 1 + twice]:
            path = directory / f"{copy}{'full' if full else 'delta'}_{number:06d}.csv"
            with path.open("w", newline="") as file:
                table = csv.writer(file)
                table.writerow(head)
                for key, change, row in rows:
                    said = ["|".join(row.reasons), row.date or "", row.until or ""]
                    table.writerow([Imei.from_key(key), *([] if full else [change]), *said])


def listed(store):
    """What the list holds."""
    found = {}
    for key, (claim,) in ((key, said) for key in KEYS if (said := store.explain(key))):
        assert (claim.list, claim.owner, claim.rule) == (NAME, FEED, "exact")
        found[key] = Row(claim.reasons, claim.date, claim.until)
    return found


def reached(position, deltas, fulls):
    """How far those files lead."""
    while True:
        if position + 1 in deltas:
            position += 1
        elif newer := [number for number in fulls if number > position]:
            position = max(newer)
        else:
            return position


@pytest.fixture
def store(tmp_path):
    made = Register()
    made.add(NAME, [], status=EquipmentStatus.BLACKLISTED, owner=FEED)
    with Store.create(tmp_path / "store", made) as one:
        yield one


def bring(directory, store, **more):
    with contextlib.suppress(FeedMissing):
        imeiset.feed(directory, store, feed=FEED, **COLUMNS, **more)


@pytest.mark.parametrize("seed", range(2))
def test_files_in_any_order(tmp_path, store, seed):
    rng, directory, last = random.Random(seed), tmp_path / "in", 50
    directory.mkdir()
    operator = Operator(rng, last)
    operator.write(directory, 0, full=True)
    files = [(n + rng.choice((0, 0, 0, 1, 2, 9)), n, False) for n in range(1, last + 1)]
    files += [(n + rng.choice((0, 1, 5, 12)), n, True) for n in range(6, last, 9)]
    deltas, fulls = set(), {0}
    for hour in range(max(files)[0] + 1):
        for due, number, full in files:
            if due == hour:
                operator.write(directory, number, full=full)
                (fulls if full else deltas).add(number)
        if hour % 3 and hour < last:
            continue
        before = store.feeds.get(FEED, 0)
        bring(directory, store, min_size=50)
        assert store.feeds.get(FEED, 0) == reached(before, deltas, fulls)
        assert listed(store) == operator.states[store.feeds.get(FEED, 0)]
        if rng.random() < 0.3:
            store.compact()
            store.prune(1, history=365)
    assert store.feeds == {FEED: last}
    tell(store, operator)


def tell(store, operator):
    """Who was added and was not taken off again is on the list, and history has no change twice."""
    now = {}
    for event in store.history():
        key, was = int(event.imei[:14]), now.get(int(event.imei[:14]))
        assert (event.action == "added") == (was is None), "added where it was not there, otherwise changed"
        row = Row(tuple(filter(None, event.reason.split("|"))), event.date, event.until)
        now[key] = None if event.action == "removed" else row
        assert (event.feed, event.by) == (FEED, FEED)
        assert event.ref, "which file said so"
    assert {key: row for key, row in now.items() if row} == operator.states[-1]


def test_an_operator_that_was_restored_from_a_backup(tmp_path, store):
    """It has other changes under numbers that the store knows: that is said, until a full list settles it."""
    rng, directory = random.Random(7), tmp_path / "in"
    directory.mkdir()
    operator = Operator(rng, 20)
    operator.write(directory, 0, full=True)
    for number in range(1, 21):
        operator.write(directory, number, full=False)
    bring(directory, store)
    assert listed(store) == operator.states[20]
    for path in directory.iterdir():
        path.unlink()
    del operator.states[15:], operator.deltas[15:]
    for number in range(15, 18):
        operator.change()
        operator.write(directory, number, full=False)
    before = store.state_id
    with pytest.raises((FeedConflict, StoreSequence)):
        bring(directory, store)
    assert store.state_id == before
    for path in directory.iterdir():
        path.unlink()
    operator.write(directory, 17, full=True)
    operator.change()
    operator.write(directory, 18, full=False)
    bring(directory, store, force=True)
    assert (store.feeds[FEED], listed(store)) == (18, operator.states[18])
