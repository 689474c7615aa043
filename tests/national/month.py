"""A country for a month: operators that number their changes, and the ways by which these do not arrive.

Nothing here reads the library: the operators know what they list, and say it in deltas and full lists.
"""

import copy
import datetime
import random
from dataclasses import dataclass, field

from .model import BLACK, GREY, WHITE, Change, Listed, Row, day

HOUR = 3600 * 10**9
START = 1_764_547_200 * 10**9  # 2025-12-01
REASONS = (("stolen",), ("lost",), ("fraud", "stolen"), ("unpaid",), ())


TESTER = "234150000000007"


def imsi(number):
    """A subscriber."""
    return f"23415{number:010d}"


@dataclass
class Message:
    """A file of an operator. changes: of a delta; lists: of a full list; due: the hour when it arrives."""

    feed: str
    number: int
    changes: tuple = ()
    lists: list | None = None
    due: int = 0
    ref: str = ""


@dataclass
class Operator:
    """One operator's own system: what it lists, and the number of its last change."""

    name: str
    phones: range
    rng: random.Random
    number: int = 0
    lists: dict = field(default_factory=dict)
    sent: list = field(default_factory=list)  # its deltas, to send them again
    fulls: list = field(default_factory=list)  # its last full lists

    def __post_init__(self):
        name = self.name
        for one in (
            Listed(f"{name} stolen", BLACK, owner=name, reason="reported"),
            Listed(f"{name} watched", GREY, owner=name),
            Listed(f"{name} clones", BLACK, "block", owner=name),
        ):
            self.lists[one.name] = one

    def begin(self, time):
        """What it lists on the first day: most of its phones."""
        for key in self.phones:
            if self.rng.random() < 0.9:
                self.lists[f"{self.name} stolen"].rows["exact"][key] = self.row(time)
            elif self.rng.random() < 0.5:
                self.lists[f"{self.name} watched"].rows["exact"][key] = self.row(time)
        pairs = self.lists[f"{self.name} clones"].rows["pair"]
        for key in self.rng.sample(self.phones, 300):
            pairs[key, imsi(self.rng.randrange(30))] = Row(until=self.row(time).until)

    def row(self, time):
        today = day(time)
        date = today - datetime.timedelta(days=self.rng.randrange(400)) if self.rng.random() < 0.8 else None
        until = (
            today + datetime.timedelta(days=self.rng.randrange(1, 200)) if self.rng.random() < 0.3 else None
        )
        return Row(self.rng.choice(REASONS), date, until)

    def hour(self, time):
        """The changes of an hour under the next number; sometimes there are none."""
        found = Message(self.name, self.number + 1, self.changes(time), ref=f"{self.name} {self.number + 1}")
        self.number += 1
        self.sent.append(found)
        return found

    def changes(self, time):
        rng, changes = self.rng, []
        for name in (f"{self.name} stolen", f"{self.name} watched"):
            rows = self.lists[name].rows["exact"]
            gone = [key for key in rng.sample(self.phones, rng.randrange(8)) if key in rows]
            if rng.random() < 0.1:
                gone += rng.sample(self.phones, 3)  # those that were not there too
            new = rng.sample(self.phones, rng.randrange(12))
            if new or gone:
                changes.append(Change(name, "exact", tuple(new), tuple(set(gone)), self.row(time)))
        if rng.random() < 0.3:
            pairs = self.lists[f"{self.name} clones"].rows["pair"]
            new = tuple((key, imsi(self.rng.randrange(30))) for key in rng.sample(self.phones, 3))
            gone = tuple(rng.sample(sorted(pairs), min(2, len(pairs))))
            row = Row(until=self.row(time).until)
            changes.append(Change(f"{self.name} clones", "pair", new, gone, row))
        if not changes and rng.random() < 0.5:
            changes.append(Change(f"{self.name} stolen", "exact"))  # alive, nothing new
        for one in changes:
            rows = self.lists[one.list].rows[one.rule]
            for member in one.remove:
                rows.pop(member, None)
            rows.update(dict.fromkeys(one.add, one.row))
        return tuple(changes)

    def let_go(self, time):
        """Drop what is past, as its own system does at midnight."""
        today = day(time)
        for one in self.lists.values():
            for rows in one.rows.values():
                for member in [m for m, row in rows.items() if row.until and row.until < today]:
                    del rows[member]

    def full(self):
        """All that it lists, and the last change that is in it."""
        lists = [one.copied() for one in self.lists.values()]
        found = Message(self.name, self.number, lists=lists, ref=f"{self.name} full {self.number}")
        self.fulls = [*self.fulls[-1:], found]
        return found

    def backup(self):
        return self.number, self.full().lists

    def restore(self, backup):
        self.number, lists = backup
        self.sent = [one for one in self.sent if one.number <= self.number]
        self.lists = {one.name: one.copied() for one in lists}


def centre():
    """What the country lists by itself: a list with an owner that is no feed, and some that are nobody's."""
    return [
        Listed("good", WHITE),
        Listed("customs", GREY, owner="customs", reason="undeclared"),
        Listed("police", BLACK),
        Listed("testers", WHITE, "exempt"),
        Listed("guests", GREY, "imsis"),
    ]


def posted(message, hour, rng):
    """When a file arrives: on time, late, twice, in another order than it was sent."""
    delay = rng.choice((0, 0, 0, 0, 0, 1, 2, rng.randrange(3, 30)))
    yield arriving(message, hour + delay)
    if rng.random() < 0.2:
        yield arriving(message, hour + delay + rng.randrange(40))


def arriving(message, due):
    found = copy.copy(message)
    found.due = due
    return found
