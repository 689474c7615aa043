"""A national month: three operators' full lists and deltas arrive late, twice and out of order.

What every phone gets, who says so, and all that ever happened to it are those of the model; what is left at
the end is what the operators list.
"""

import random
from collections import Counter
from unittest import mock

import pytest

from imeiset import Store

from . import driving, month
from .model import Change, Model, Row, day

PHONES = 105_000


class Clock:
    """The time, which only the test moves."""

    now = month.START

    def __call__(self):
        return self.now


class Country:
    """The centre: a store and the model of it; the operators, and the files on their way."""

    def __init__(self, directory, phones, seed, clock):
        self.rng, self.clock, self.hour = random.Random(seed), clock, 0
        share = phones // 3
        self.phones = range(10**13, 10**13 + 3 * share)
        self.operators = {
            name: month.Operator(name, self.phones[n * share : (n + 1) * share], self.rng)
            for n, name in enumerate(("op-a", "op-b", "op-c"))
        }
        lists = month.centre()
        self.model = Model([one.copied() for one in lists], time=clock.now)
        self.directory, self.store = directory, Store.create(directory, driving.register(lists))
        self.on_the_way, self.waiting, self.asked = [], {}, set()
        self.counts = Counter()

    def both(self, what, *arguments, **names):
        """The same for both, at the same time."""
        self.clock.now += 1000
        return driving.both(self.store, self.model, self.clock.now, what, *arguments, **names)

    # ---- what arrives

    def receive(self, message):
        """A file: applied, known already, put aside until what is missing is there, or refused."""
        feed = self.model.feeds.get(message.feed)
        position = feed.number if feed else 0
        if message.lists is not None:
            self.receive_full(message, position)
        else:
            self.receive_delta(message, position)
        for key in sorted(self.waiting):
            feed = self.model.feeds[message.feed]
            if key[0] == message.feed and key[1] <= feed.number + 1 and key in self.waiting:
                self.receive(self.waiting.pop(key))

    def receive_full(self, message, position):
        asked = message.feed in self.asked
        if message.number <= position and position and not asked:
            self.counts["contained"] += 1
            return
        self.asked.discard(message.feed)
        about = {"feed": message.feed, "through": message.number, "ref": message.ref, "force": asked}
        assert self.both("replace", lists=message.lists, **about)
        self.counts["full"] += 1
        if message.number < position:  # what came after it is sent again
            self.counts["back"] += 1
            later = [one for one in self.operators[message.feed].sent if one.number > message.number]
            self.on_the_way += [month.arriving(one, self.hour + 1) for one in later]

    def receive_delta(self, message, position):
        done = self.both("apply", changes=message.changes, feed=message.feed, sequence=message.number)
        if done:
            self.counts["applied" if message.number > position else "again"] += 1
        elif message.number > position + 1:
            self.waiting[message.feed, message.number] = message
            self.counts["gap"] += 1
        else:  # another change under a number that was used: the centre asks for a full list
            self.asked.add(message.feed)
            self.counts["refused"] += 1

    # ---- what the centre does itself

    def by_hand(self):
        phones = self.rng.sample(self.phones, 6)
        row = Row(("seized",), day(self.clock.now))
        some = tuple(phones[:3])
        police = Change("police", "exact", some, tuple(phones[2:4]), row, ref="case 7")
        assert self.both("apply", changes=[police])
        assert self.both("apply", changes=[Change("customs", "exact", tuple(phones[3:]), by="customs")])
        assert self.both("apply", changes=[Change("good", "exact", tuple(phones[1:5]))])
        pairs = tuple((key, month.TESTER) for key in phones[:2])
        assert self.both("apply", changes=[Change("testers", "pair", pairs)])
        assert self.both("apply", changes=[Change("police", "range", tuple(range(phones[0], phones[0] + 3)))])
        for refused, feed in (
            (Change("customs", "exact", some), None),
            (Change("op-b stolen", "exact", (), some, by="op-a"), None),
            (Change("op-b stolen", "exact", (), some), "op-a"),
        ):
            assert not self.both("apply", changes=[police, refused], feed=feed)

    def midnight(self, days):
        for one in self.operators.values():
            one.let_go(self.clock.now)
        self.both("expire", day(self.clock.now), force=True)
        match self.hour // 24 % 4:
            case 0:
                self.store.compact()
            case 1:
                self.store.compact_in_background().result(60)
            case 2:
                self.store.prune(1, history=days + 30)

    def send(self, one):
        self.on_the_way += month.posted(one.hour(self.clock.now), self.hour, self.rng)
        if self.hour == 0:
            self.on_the_way.append(one.full())
        elif self.hour % 24 == 2:
            self.on_the_way += month.posted(one.full(), self.hour, self.rng)

    def pass_an_hour(self):
        due = [one for one in self.on_the_way if one.due <= self.hour]
        self.on_the_way = [one for one in self.on_the_way if one.due > self.hour]
        self.rng.shuffle(due)
        for message in due:
            self.receive(message)
        self.hour += 1
        self.clock.now = month.START + self.hour * month.HOUR

    def play(self, days):
        """All of it, and what is still on its way when it ends."""
        for one in self.operators.values():
            one.begin(self.clock.now)
        restored = self.operators["op-b"]
        while self.hour < days * 24:
            if self.hour == days * 12 - 30:
                backup = restored.backup()
            if self.hour == days * 12:  # from here its changes have numbers again that it had used
                restored.restore(backup)
                self.on_the_way = [one for one in self.on_the_way if one.feed != restored.name]
                self.waiting = {key: one for key, one in self.waiting.items() if key[0] != restored.name}
            if (
                self.hour == days * 18
            ):  # the centre takes an older full list, and all that came after it again
                self.asked.add("op-a")
                self.receive(self.operators["op-a"].fulls[0])
            for one in self.operators.values():
                self.send(one)
            if self.hour % 24 == 12:
                self.by_hand()
            self.pass_an_hour()
            if self.hour % 24 == 20:
                self.look(self.rng.sample(self.phones, 300))
            if self.hour % 24 == 0:
                self.midnight(days)
        while self.on_the_way:
            self.pass_an_hour()
        self.midnight(days)
        assert not self.waiting

    def look(self, keys):
        somebody = (None, month.TESTER, *(month.imsi(n) for n in range(30)))
        driving.agree(self.store, self.model, [(key, self.rng.choice(somebody)) for key in keys])
        driving.agree_on_state(self.store, self.model)


def play(directory, days, seed):
    clock = Clock()
    with mock.patch("time.time_ns", clock), mock.patch("os.fsync"):  # no disk fails here
        country = Country(directory, PHONES, seed, clock)
        country.play(days)
        country.look(country.phones)
        driving.agree_on_history(country.store, country.model, country.rng.sample(country.phones, 6))
        for operator in country.operators.values():
            for name, one in operator.lists.items():
                assert country.model.lists[name].rows == one.rows, name
        country.store.close()
        with Store.verify(directory) as country.store:
            country.look(country.rng.sample(country.phones, 5000))
    assert {"applied", "again", "gap", "full", "contained", "back", "refused"} == {*country.counts}
    return country


def test_a_week_of_a_country(tmp_path):
    play(tmp_path / "store", 6, 1)


@pytest.mark.long
def test_a_month_of_a_country(tmp_path):
    play(tmp_path / "store", 30, 2)
