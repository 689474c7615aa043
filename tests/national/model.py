"""What a store of several sources has to say, in plain dicts: who said so, since when, until when.

Nothing here reads the library. Every rule of the documentation is one method; lists are dicts, a change is
tried on a copy, and history is a Python list of everything that ever happened.
"""

import copy
import datetime
from dataclasses import dataclass, field, replace

WHITE, BLACK, GREY, UNKNOWN = range(4)
STRENGTH = (BLACK, GREY, WHITE)
PRECEDENCE = ("imsi", "pair", "exact", "range", "tac")
RULES = {
    "imeis": ("exact", "range", "tac", "irregular"),
    "exempt": ("pair",),
    "lock": ("pair",),
    "block": ("pair",),
    "imsis": ("imsi",),
}
HISTORIC = ("exact", "pair")  # the rules whose rows history knows one by one
KEPT = 64  # digests of changes that are kept of each feed


class Refused(Exception):
    """A change that must not be written. why: "owner", "sequence", "shrunk", "value"."""

    def __init__(self, why):
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class Row:
    """What a list says of one phone, or of a pair."""

    reasons: tuple[str, ...] = ()
    date: datetime.date | None = None
    until: datetime.date | None = None


@dataclass
class Listed:
    """One list. rows: by rule, of each member; a range is all of its keys."""

    name: str
    status: int
    kind: str = "imeis"
    owner: str = ""
    reason: str = ""
    rows: dict = field(default_factory=dict)
    index: dict | None = field(default=None, compare=False, repr=False)

    def __post_init__(self):
        self.rows = {rule: self.rows.get(rule, {}) for rule in RULES[self.kind]}

    def copied(self):
        return replace(self, rows={rule: dict(rows) for rule, rows in self.rows.items()}, index=None)

    def subscribers(self, phone):
        """Of a list of pairs: what is said of this phone with each of its subscribers."""
        if self.index is None:
            self.index = {}
            for (key, who), row in self.rows["pair"].items():
                self.index.setdefault(key, {})[who] = row
        return self.index.get(phone, {})

    def counts(self):
        return {rule: len(rows) for rule, rows in self.rows.items()}


@dataclass(frozen=True)
class Change:
    """Changes of one list by one rule: removals, then additions. Members are what `rows` has as keys."""

    list: str
    rule: str
    add: tuple = ()
    remove: tuple = ()
    row: Row = Row()
    by: str | None = None
    ref: str = ""


@dataclass(frozen=True)
class Event:
    """One thing that happened to one member of one list."""

    time: int
    sequence: int
    number: int | None
    feed: str
    list: str
    by: str
    ref: str
    action: str
    rule: str
    member: object
    row: Row


@dataclass(frozen=True)
class Claim:
    """What one list says of a phone."""

    list: str
    owner: str
    status: int
    rule: str
    row: Row
    decided: bool = False


def words(text):
    """The reasons of a text: "b|a" is a and b."""
    return tuple(sorted({word for word in (text or "").split("|") if word}))


class Feed:
    """Where a source is: its last number, and what its last changes were."""

    def __init__(self):
        self.number, self.contents, self.time = 0, {}, None

    def took(self, number, content, time):
        self.number, self.time = number, time
        if content is not None:
            self.contents[number] = content
            self.contents = {n: self.contents[n] for n in sorted(self.contents)[-KEPT:]}


class Model:
    """A store."""

    def __init__(self, lists=(), *, response_type=1, time=0):
        self.lists = {one.name: one for one in lists}
        self.response_type = response_type
        self.feeds, self.sequence, self.time, self.began = {}, 0, time, time
        self.named = {}
        self.begun = {  # what was there when history began
            (one.name, rule, member): row
            for one in lists
            for rule in HISTORIC
            for member, row in one.rows.get(rule, {}).items()
        }
        self.events = []

    def twin(self):
        """A copy that goes its own way; what happened is shared, because nothing changes it."""
        other = copy.copy(self)
        other.lists = {name: one.copied() for name, one in self.lists.items()}
        other.feeds = copy.deepcopy(self.feeds)
        other.named, other.begun = dict(self.named), dict(self.begun)
        other.events = list(self.events)
        return other

    # ---- changes

    def apply(self, *changes, feed=None, sequence=None, after=None, time=0):
        """Changes under the next number, of the feed or of the store; the number.

        after: the feed's number before this one, where its numbers have gaps.
        """
        content = tuple(
            replace(one, by=None, ref="", add=frozenset(one.add), remove=frozenset(one.remove))
            for one in changes
        )
        if feed is None:
            number = self.sequence + 1 if sequence is None else sequence
            if number != self.sequence + 1:
                raise Refused("sequence")  # repetitions of numbers without a feed are not modelled
        else:
            at = self.feeds.get(feed) or Feed()
            number = at.number + 1 if sequence is None else sequence
            after = number - 1 if after is None else after
            if not 0 <= after < number:
                raise Refused("value")
            if number <= at.number:
                known = all(
                    one.list in self.lists for one in changes
                )  # what was of a list that is gone is not
                if known and at.contents.get(number, content) != content:
                    raise Refused("sequence")
                return number  # as before
            if after != at.number:
                raise Refused("sequence")
        tried = [replace(one, by=(feed or "") if one.by is None else one.by) for one in changes]
        for one in tried:
            self.allow(one)
        self.sequence, self.time = self.sequence + 1, time
        if feed is not None:
            self.feeds.setdefault(feed, Feed()).took(number, content, time)
        for one in tried:
            self.change(one, number if feed else None, feed or "", time)
        return number

    def allow(self, one):
        """Whether a change may be made: the list is there, holds such, and is nobody else's."""
        if one.list not in self.lists or one.rule not in RULES[self.lists[one.list].kind]:
            raise Refused("value")
        if one.row.until and one.row.date and one.row.until < one.row.date:
            raise Refused("value")
        if (
            one.row != Row()
            and one.rule != "exact"
            and (one.rule != "pair" or one.row.reasons or one.row.date)
        ):
            raise Refused("value")
        owner = self.lists[one.list].owner
        if owner and one.by != owner:
            raise Refused("owner")

    def change(self, one, number, feed, time):
        rows, self.lists[one.list].index = self.lists[one.list].rows[one.rule], None
        self.named[one.list] = time
        before = {member: member in rows for member in (*one.add, *one.remove)}
        for member in one.remove:
            gone = rows.pop(member, None)
            if gone is not None and member not in one.add and one.rule in HISTORIC:
                self.happened(one, number, feed, time, "removed", member, gone)
        for member in one.add:
            rows[member] = one.row
            if one.rule in HISTORIC:
                action = "changed" if before[member] else "added"
                self.happened(one, number, feed, time, action, member, one.row)

    def happened(self, one, number, feed, time, action, member, row):
        self.events.append(
            Event(
                time,
                self.sequence,
                number,
                feed,
                one.list,
                one.by or "",
                one.ref,
                action,
                one.rule,
                member,
                row,
            )
        )

    # ---- full lists

    def replace(self, lists, *, feed=None, through=None, by=None, ref="", shrink=25, force=False, time=0):
        """Full lists in the place of all, or of a feed's own."""
        new = {one.name: one.copied() for one in lists}
        if feed is None:
            kept, old = {}, self.lists
        else:
            at = self.feeds.get(feed)
            for one in new.values():
                mine = self.lists.get(one.name)
                if one.owner not in ("", feed) or (mine is not None and mine.owner != feed):
                    raise Refused("owner")
                one.owner = feed
            if through is None and at is not None:
                raise Refused("sequence")
            kept = {name: one for name, one in self.lists.items() if one.owner != feed}
            old = {name: one for name, one in self.lists.items() if one.owner == feed}
        if not force:
            for name, one in old.items():
                counts = new[name].counts() if name in new else {}
                if any(counts.get(rule, 0) * 100 < n * (100 - shrink) for rule, n in one.counts().items()):
                    raise Refused("shrunk")
        by = (feed or "") if by is None else by
        self.compare(old, new, through or None, feed or "", by, ref, time)
        if feed is None:
            self.lists = new
            if force:
                self.feeds = {}
        else:
            given = iter(new.values())
            places = [name for name in self.lists if name in new or name in kept]
            found = [next(given) if name in new else kept[name] for name in places]
            self.lists = {one.name: one for one in (*found, *given)}
            if through is not None:
                at = self.feeds.setdefault(feed, Feed())
                at.contents = {n: content for n, content in at.contents.items() if n <= through and not force}
                at.took(through, None, time)
        self.named = {name: at for name, at in self.named.items() if name in self.lists}
        self.named |= dict.fromkeys(new, time)
        self.time = time

    def compare(self, old, new, number, feed, by, ref, time):
        """The net changes of full lists, as history has them."""
        for name in [*old, *(name for name in new if name not in old)]:
            if name in old and name in new and self.is_another(old[name], new[name]):
                self.compare({name: old[name]}, {}, number, feed, by, ref, time)
                self.compare({}, {name: new[name]}, number, feed, by, ref, time)
                continue
            for rule in HISTORIC:
                was = old[name].rows.get(rule, {}) if name in old else {}
                now = new[name].rows.get(rule, {}) if name in new else {}
                said = Change(name, rule, by=by, ref=ref)
                for member in was.keys() - now.keys():
                    self.happened(said, number, feed, time, "removed", member, was[member])
                for member, row in now.items():
                    if member not in was or was[member] != row:
                        action = "changed" if member in was else "added"
                        self.happened(said, number, feed, time, action, member, row)

    @staticmethod
    def is_another(old, new):
        """Whether a list of that name is not the same list any more."""
        return (old.status, old.kind) != (new.status, new.kind)

    # ---- lists

    def add_list(self, name, status, kind="imeis", owner="", reason="", *, by="", ref="", time=0):
        if name in self.lists:
            raise Refused("value")
        self.lists[name] = Listed(name, status, kind, owner, reason)
        self.numbered(name, time)

    def drop_list(self, name, *, by="", ref="", force=False, time=0):
        if name not in self.lists:
            raise Refused("value")
        one = self.lists[name]
        if one.owner and by != one.owner:
            raise Refused("owner")
        if any(one.counts().values()) and not force:
            raise Refused("shrunk")
        self.numbered(name, time)
        self.compare({name: one}, {}, None, "", by, ref, time)
        del self.lists[name]
        self.named.pop(name, None)

    def numbered(self, name, time):
        self.sequence += 1
        self.named[name] = self.time = time

    # ---- what is past

    def expire(self, today, then=None, *, by=None, ref=None, shrink=25, force=False, time=0):
        """Remove what is past, or move it to a list of the same kind; the number of the change, if any."""
        if today < day(self.time) - datetime.timedelta(days=1):
            raise Refused("value")
        ref, changes, moved = ref or f"expired {today}", [], {}
        if then is not None and then not in self.lists:
            raise Refused("value")
        for one in self.lists.values():
            moves = then is not None and one.name != then and one.kind == self.lists[then].kind
            for rule in HISTORIC:
                rows = one.rows.get(rule, {})
                past = {m: row for m, row in rows.items() if row.until and row.until < today}
                if not past:
                    continue
                if len(past) * 100 > len(rows) * shrink and not force:
                    raise Refused("shrunk")
                changes.append(Change(one.name, rule, remove=tuple(past), by=one.owner or by, ref=ref))
                if moves:
                    for member, row in past.items():
                        there = self.lists[then].rows[rule].get(member, Row())
                        if there.until and there.until < today:
                            there = Row()
                        before = moved.get((rule, member), there)
                        reasons = tuple(sorted({*before.reasons, *row.reasons}))
                        date = min(before.date or today, today) if rule == "exact" else None
                        moved[rule, member] = Row(reasons if rule == "exact" else (), date)
        for (rule, member), row in moved.items():
            mine = self.lists[then].owner or by
            changes.append(Change(then, rule, add=(member,), row=row, by=mine, ref=ref))
        return self.apply(*changes, time=time) if changes else None

    # ---- answers

    def claims(self, key, imsi=None):
        """Everything that is said of a phone with this subscriber, what decides marked."""
        said = []
        for at, one in enumerate(self.lists.values()):
            for rule, row, strength in self.says(one, key, imsi):
                order = (PRECEDENCE.index(under(rule)), strength, at)
                said.append((order, Claim(one.name, one.owner, self.speaks(one), rule, row)))
        said.sort(key=lambda one: one[0])
        _, name, rule = self.verdict([claim for _, claim in said])
        return [replace(one, decided=(one.list, one.rule) == (name, rule)) for _, one in said]

    @staticmethod
    def speaks(one):
        return WHITE if one.kind == "exempt" else one.status

    def says(self, one, key, imsi):
        """(rule, row, strength) of everything that one list says; the least strength comes first."""
        own = words(one.reason)
        strength = (STRENGTH.index(self.speaks(one)),)
        if one.kind == "imeis":
            if key in one.rows["exact"]:
                row = one.rows["exact"][key]
                yield "exact", replace(row, reasons=row.reasons or own), strength
            if key in one.rows["irregular"]:
                yield "irregular", Row(own), strength
            if key in one.rows["range"]:
                yield "range", Row(own), strength
            if isinstance(key, int) and key // 10**6 in one.rows["tac"]:
                yield "tac", Row(own), strength
        elif one.kind == "imsis":
            hits = [prefix for prefix in one.rows["imsi"] if imsi and imsi.startswith(prefix)]
            if hits:
                yield "imsi", Row(own), (-max(map(len, hits)), *strength)
        else:
            first = ("block", "exempt", "lock").index(one.kind)
            mine = one.subscribers(key)
            if one.kind == "lock" and mine and imsi not in mine:
                yield "pair", Row(own, until=last(mine.values())), (first, 0)
            elif one.kind != "lock" and imsi in mine:
                order = strength[0] if one.kind == "block" else 0
                rule = "block" if one.kind == "block" else "pair"
                yield rule, replace(mine[imsi], reasons=own), (first, order)

    def verdict(self, claims):
        """(status, list, rule) of all that is said, in its order."""
        nothing = (WHITE if self.response_type == 1 else UNKNOWN), None, "default"
        if not claims:
            return nothing
        first = claims[0]
        if under(first.rule) in ("imsi", "pair"):
            return first.status, first.list, first.rule
        by = {one.status for one in claims if under(one.rule) == under(first.rule)}
        unknown = self.response_type == 3 and WHITE not in by
        return (UNKNOWN if unknown else first.status), first.list, first.rule

    def check(self, key, imsi=None):
        return self.verdict(self.claims(key, imsi))

    # ---- history

    def history(self):
        """Of each member that ever was on a list, by (list, rule, member): its events, the oldest first.

        What was there when history began has an event "held" before all others.
        """
        found = {
            about: [Event(self.began, 0, None, "", about[0], "", "", "held", *about[1:], row)]
            for about, row in self.begun.items()
        }
        for event in self.events:
            found.setdefault((event.list, event.rule, event.member), []).append(event)
        return found

    def forget(self, count):
        """The first of all events: history begins after them, with what was there then."""
        for event in self.events[:count]:
            about = event.list, event.rule, event.member
            self.begun.pop(about, None)
            if event.action != "removed":
                self.begun[about] = event.row
        self.events = self.events[count:]


def last(rows):
    """Until when the last of these counts, None where one of them counts for ever."""
    untils = [row.until for row in rows]
    return None if None in untils else max(untils)


def under(rule):
    """Where in the order of precedence a rule is."""
    return {"irregular": "exact", "block": "pair"}.get(rule, rule)


def day(time):
    """The day of a time in ns since 1970, in UTC."""
    return datetime.datetime.fromtimestamp(time // 10**9, datetime.UTC).date()
