"""A store of several sources and the model of it, whatever comes.

Changes of feeds, full lists, lists that come and go, expiry, compaction, pruning, a writer that dies.

No change that was acknowledged is lost, doubled or applied twice; what was not is there whole or not at all.
"""

import datetime
import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from imeiset import Store

from . import driving
from .model import BLACK, GREY, WHITE, Change, Listed, Model, Row, day
from .month import HOUR, START

FEEDS = ("op-a", "op-b", "op-c")
IMSIS = ("234150999999999", "262011234567890", "001011")
PHONES = (0, 5, 6, 7, 10**13 + 1, 10**13 + 2, 99_999_999_999_999)
PREFIXES = ("26201", "001", "2")
TACS = (10_000_000, 99_999_999)
TEXTS = ("62#2", "DEAD*BEEF")
QUESTIONS = [(key, imsi) for key in PHONES for imsi in (None, *IMSIS)]
CALLS = ("open", "pwrite", "write", "fsync", "replace", "rename", "link", "unlink", "ftruncate")

KINDS = {
    name: kind
    for kind, names in {
        "imeis": ("black", "grey", "white"),
        "block": ("clones",),
        "lock": ("tied",),
        "exempt": ("testers",),
    }.items()
    for name in names
}
STATUS = {"black": BLACK, "grey": GREY, "white": WHITE, "clones": GREY, "tied": BLACK, "testers": WHITE}

phones = st.sampled_from(PHONES)
members = {
    "exact": phones,
    "range": phones,
    "tac": st.sampled_from(TACS),
    "irregular": st.sampled_from(TEXTS),
    "pair": st.tuples(phones, st.sampled_from(IMSIS)),
    "imsi": st.sampled_from(PREFIXES),
}
reasons = st.sampled_from(((), ("lost",), ("lost", "stolen")))
days = st.none() | st.integers(-3, 40)


class Dies(BaseException):
    """Nothing in the library may catch it and go on."""


@st.composite
def rows(draw, by, today):
    """What a change says of its members, dates relative to today."""
    if by not in ("exact", "pair"):
        return Row()
    until = draw(days)
    until = None if until is None else today + datetime.timedelta(days=until)
    if by == "pair":
        return Row(until=until)
    return Row(draw(reasons), draw(st.sampled_from((None, today - datetime.timedelta(days=3)))), until)


@st.composite
def changes(draw, lists, today):
    """A change of one of these lists."""
    one = draw(st.sampled_from(lists))
    by = draw(st.sampled_from(tuple(one.rows)))
    add, remove = (tuple(sorted(draw(st.sets(members[by], max_size=3)))) for _ in range(2))
    return Change(
        one.name,
        by,
        add,
        remove,
        draw(rows(by, today)) if add else Row(),
        ref=draw(st.sampled_from(("", "case 7"))),
    )


@st.composite
def full_lists(draw, names, today):
    """Full lists of these names. The last word of a name says what it is."""
    found = []
    for name in names:
        what = name.split()[-1]
        one = Listed(name, STATUS[what], KINDS[what], reason=draw(st.sampled_from(("", "reported"))))
        for by, mine in one.rows.items():
            for member in draw(st.sets(members[by], max_size=4)):
                mine[member] = draw(rows(by, today))
        found.append(one)
    return found


class Living(RuleBasedStateMachine):
    @initialize(response=st.sampled_from((1, 2, 3)), tick=st.sampled_from((1000, 1000, 0)), data=st.data())
    def begin(self, response, tick, data):
        """tick: by which the clock goes on from change to change; it may stand still."""
        self.home, self.now, self.tick = Path(tempfile.mkdtemp()), START, tick
        self.patches = [mock.patch("time.time_ns", self.time), mock.patch("os.fsync")]  # no disk fails here
        for patch in self.patches:
            patch.start()
        lists = data.draw(full_lists(("op-a black", "op-a clones", "op-b grey", "op-b tied"), self.today))
        for one in lists:
            one.owner = one.name[:4]
        lists += data.draw(full_lists(("open black", "open white", "open testers"), self.today))
        lists.append(Listed("guests", GREY, "imsis"))
        self.model = Model(lists, response_type=response, time=self.now)
        self.path = self.home / "store"
        self.store = Store.create(self.path, driving.register(lists, response))
        self.reader, self.seen = Store.open(self.path), self.model.twin()
        self.sent = {}

    def time(self):
        return self.now

    @property
    def today(self):
        return day(self.now)

    def both(self, what, *arguments, **names):
        """The same for both; whether it was done."""
        self.now += self.tick
        return driving.both(self.store, self.model, self.now, what, *arguments, **names)

    def apply(self, some, **names):
        return self.both("apply", changes=some, **names)

    def mine(self, feed):
        return [one for one in self.model.lists.values() if one.owner == feed]

    def position(self, feed):
        return self.model.feeds[feed].number if feed in self.model.feeds else 0

    # ---- changes

    @rule(
        feed=st.sampled_from(FEEDS),
        count=st.integers(0, 3),
        gap=st.sampled_from((0, 0, 0, 1, 5)),
        data=st.data(),
    )
    def next_of_a_feed(self, feed, count, gap, data):
        lists = self.mine(feed)
        some = [data.draw(changes(lists, self.today)) for _ in range(count)] if lists else []
        after = self.position(feed)
        names = {"after": after, "sequence": after + 1 + gap} if gap else {}
        if data.draw(st.booleans()):
            names["sequence"] = after + 1 + gap
        if self.apply(some, feed=feed, **names):
            self.sent.setdefault(feed, {})[self.position(feed)] = some

    @precondition(lambda self: any(map(self.position, FEEDS)))
    @rule(back=st.integers(0, 3), other=st.booleans(), data=st.data())
    def again_of_a_feed(self, back, other, data):
        """A number that was used: the same change, which does nothing, or another, which is refused."""
        feed = data.draw(st.sampled_from([feed for feed in FEEDS if self.position(feed)]))
        number = max(self.position(feed) - back, 1)
        some = self.sent.get(feed, {}).get(number, [])
        if other and self.mine(feed):
            some = [*some, data.draw(changes(self.mine(feed), self.today))]
        before = self.store.state_id
        self.apply(some, feed=feed, sequence=number)
        assert self.store.state_id == before

    @rule(feed=st.sampled_from((*FEEDS, "nobody")), gap=st.integers(1, 70))
    def missing_of_a_feed(self, feed, gap):
        assert not self.apply([], feed=feed, sequence=self.position(feed) + 1 + gap)

    @rule(count=st.integers(1, 3), who=st.sampled_from((None, *FEEDS)), feed=st.booleans(), data=st.data())
    def by_anybody(self, count, who, feed, data):
        """Of any list: only its owner, and anybody if it has none."""
        lists = list(self.model.lists.values())
        some = [data.draw(changes(lists, self.today)) for _ in range(count)] if lists else []
        if feed and who is not None:
            if self.apply(some, feed=who):
                self.sent.setdefault(who, {})[self.position(who)] = some
        else:
            self.apply([driving.said_by(one, who) for one in some])

    @rule(
        name=st.sampled_from(("open black", "op-a black", "op-a clones", "no such", "guests")),
        by=st.sampled_from(("exact", "pair", "imsi")),
        late=st.integers(-1, 0),
    )
    def what_cannot_be(self, name, by, late):
        """A list that is not there or does not hold such, or a date before the other. Or all is well."""
        member = {"exact": 5, "pair": (5, IMSIS[0]), "imsi": "001"}[by]
        until = self.today + datetime.timedelta(days=late)
        row = {"exact": Row((), self.today, until), "pair": Row(until=until), "imsi": Row()}[by]
        self.apply([Change(name, by, (member,), (), row, by=name[:4])])

    @rule(
        feed=st.sampled_from(FEEDS),
        what=st.sets(st.sampled_from(("black", "clones", "grey", "tied")), max_size=3),
        move=st.none() | st.integers(-4, 4),
        foreign=st.sampled_from((False, False, False, True)),
        force=st.booleans(),
        data=st.data(),
    )
    def full_list_of_a_feed(self, feed, what, move, foreign, force, data):
        names = [f"{feed} {word}" for word in sorted(what)] + (["open black"] if foreign else [])
        lists = data.draw(full_lists(names, self.today))
        through = None if move is None else max(self.position(feed) + move, 0)
        self.both("replace", lists=lists, feed=feed, through=through, force=force, ref="full")

    @precondition(lambda self: any(map(self.position, FEEDS)))
    @rule(back=st.integers(1, 3), data=st.data())
    def an_older_full_list_of_a_feed(self, back, data):
        """What comes after it is applied again, under the same numbers."""
        feed = data.draw(st.sampled_from([feed for feed in FEEDS if self.position(feed)]))
        was, lists = self.position(feed), data.draw(full_lists([f"{feed} black"], self.today))
        through = max(was - back, 0)
        force = data.draw(st.booleans())
        if self.both("replace", lists=lists, feed=feed, through=through, force=force):
            for number in range(through + 1, was + 1):
                assert self.apply(
                    [Change(f"{feed} black", "exact", (5,), (6, 7))], feed=feed, sequence=number
                )

    @rule(force=st.booleans(), data=st.data())
    def all_lists_anew(self, force, data):
        lists = data.draw(full_lists(("open black", "op-a black", "open testers", "op-b grey"), self.today))
        for one in lists:
            one.owner = one.name[:4] if one.name.startswith("op-") else ""
        self.both("replace", lists=lists, force=force, by="administrator")

    @rule(
        name=st.sampled_from(
            ("open black", "open clones", "open tied", "op-a tied", "op-c white", "op-c clones")
        ),
        drop=st.booleans(),
        force=st.booleans(),
        by=st.sampled_from((None, "op-a", "op-c")),
    )
    def a_list_comes_or_goes(self, name, drop, force, by):
        if drop:
            self.both("drop_list", name, by=by, force=force)
        else:
            owner, what = name.split()
            about = {"kind": KINDS[what], "owner": "" if owner == "open" else owner, "reason": "reported"}
            self.both("add_list", name, status=STATUS[what], by=by, **about)

    @rule(
        ahead=st.integers(-3, 3),
        then=st.none()
        | st.sampled_from(("open black", "op-b grey", "open clones", "op-a clones", "no such")),
        force=st.booleans(),
        by=st.sampled_from((None, "administrator")),
    )
    def expire(self, ahead, then, force, by):
        self.both("expire", self.today + datetime.timedelta(days=ahead), then, force=force, by=by)

    @rule(hours=st.sampled_from((1, 24, 24 * 10)))
    def time_passes(self, hours):
        self.now += hours * HOUR

    # ---- generations

    @rule(background=st.booleans(), data=st.data())
    def compact(self, background, data):
        if not background:
            self.store.compact()
            return
        compaction = self.store.compact_in_background()
        self.next_of_a_feed("op-a", 2, 0, data)
        compaction.result(60)

    @rule(keep=st.integers(1, 2))
    def prune(self, keep):
        self.store.prune(keep, history=10_000)

    @rule(keep=st.integers(1, 2), days=st.sampled_from((None, 0, 1, 10)))
    def prune_history(self, keep, days):
        self.store.prune(keep, history=days)
        driving.forget(self.store, self.model, self.now + 1 if days is None else self.now - days * 24 * HOUR)

    @rule()
    def reopen(self):
        self.store.close()
        self.store = Store.open(self.path, mode="memory")

    @rule()
    def refresh(self):
        self.reader.refresh()
        self.seen = self.model.twin()

    # ---- a writer that dies

    @rule(
        after=st.integers(0, 40),
        half=st.booleans(),
        what=st.sampled_from(
            ("apply", "replace", "all", "expire", "compact", "prune", "add_list", "drop_list")
        ),
        data=st.data(),
    )
    def crash(self, after, half, what, data):
        """The directory is copied as it is at some call, and goes on in that copy."""
        before, copied, left = self.model.twin(), self.home / "copy", [after]

        def dying(real, name):
            def call(*arguments, **names):
                left[0] -= 1
                if left[0] == -1:
                    if half and name in ("write", "pwrite"):
                        real(
                            arguments[0], bytes(arguments[1])[: len(bytes(arguments[1])) // 2], *arguments[2:]
                        )
                    left[0] = -2
                    shutil.copytree(self.path, copied)
                    raise Dies
                return real(*arguments, **names)

            return call

        steps = {
            "apply": lambda: self.next_of_a_feed("op-a", 2, 0, data),
            "replace": lambda: self.full_list_of_a_feed("op-a", {"black", "tied"}, 1, False, True, data),
            "all": lambda: self.all_lists_anew(True, data),
            "expire": lambda: self.expire(0, None, True, None),
            "compact": self.store.compact,
            "prune": lambda: self.prune(1),
            "add_list": lambda: self.a_list_comes_or_goes("op-c clones", False, True, None),
            "drop_list": lambda: self.a_list_comes_or_goes("op-c clones", True, True, "op-c"),
        }
        patches = [mock.patch(f"os.{name}", dying(getattr(os, name), name)) for name in CALLS]
        for patch in patches:
            patch.start()
        try:
            steps[what]()
        except Dies:
            pass
        finally:
            for patch in patches:
                patch.stop()
        if not copied.exists():
            return
        self.store.close()
        self.reader.close()
        shutil.rmtree(self.path)
        copied.rename(self.path)
        self.store = Store.open(self.path)
        if self.is_the_model(before):
            self.model = before
        self.agrees(self.store, self.model)
        self.reader, self.seen = Store.open(self.path), self.model.twin()

    def is_the_model(self, model):
        try:
            self.agrees(self.store, model)
        except AssertionError:
            return False
        return True

    # ---- what has to be so

    @staticmethod
    def agrees(store, model):
        driving.agree_on_state(store, model)
        driving.agree(store, model, QUESTIONS)
        driving.agree_on_digests(store, model)
        driving.agree_on_history(store, model, PHONES)

    @invariant()
    def the_writer_is_the_model(self):
        self.agrees(self.store, self.model)

    @invariant()
    def the_reader_is_what_it_last_saw(self):
        driving.agree_on_state(self.reader, self.seen)
        driving.agree(self.reader, self.seen, QUESTIONS)

    def teardown(self):
        if hasattr(self, "home"):
            self.store.close()
            self.reader.close()
            for patch in self.patches:
                patch.stop()
            shutil.rmtree(self.home)


TestLiving = Living.TestCase
TestLiving.settings = settings(
    max_examples=settings.default.max_examples // 3,  # a step takes 50 ms
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
