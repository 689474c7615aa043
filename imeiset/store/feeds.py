"""How far each feed of a store is, when each list was last named, and who may change which list.

    store   the section of a base that keeps them, where there are some, JSON in UTF-8 without spaces:
            {"feeds": {F: {"digests": [[N, digest], ...], "number": N, "time": T}}, "named": {L: T}}

F is the name of a feed, L that of a list, N a number of the feed's, T ns since 1970. `digests` tell the last
changes of the feed apart, see `payload.content_digest`: so one that comes again is known to be the same.
"""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from imeiset.errors import StoreDamaged, StoreOwner, StoreSequence, mask_text
from imeiset.register.dumps import dump
from imeiset.register.layout import MAX_LISTS
from imeiset.register.lists import List, check_prefixes
from imeiset.store.payload import MAX_NUMBER, Change, Payload, content_digest, feed_name

SECTION = "store"
_KEPT = 64  # digests of a feed


@dataclass(frozen=True, slots=True)
class Feed:
    """How far a feed is: the number of its last change, when that was made here, and digests of the last."""

    number: int
    time: int
    digests: tuple[tuple[int, str], ...] = ()

    def expect_same(self, directory: Path, feed: str, number: int, changes: Iterable[Change]) -> None:
        """Raise StoreSequence if the change of that number was another, as far as that is known."""
        for kept, digest in self.digests:
            if kept == number and digest != content_digest(changes):
                expected = f"change {number} of feed {feed!r} as it was applied"
                got = f"another change under number {number}: give it a number of its own"
                raise StoreSequence(directory, expected, got)


@dataclass(frozen=True, slots=True)
class Editions:
    """The feeds of a store by name, and when lists were last named by a change, in ns since 1970."""

    feeds: Mapping[str, Feed] = field(default_factory=dict)
    named: Mapping[str, int] = field(default_factory=dict)

    def number(self, feed: str) -> int:
        """Of the last change of a feed; 0 of one that is not known."""
        return self.feeds[feed].number if feed in self.feeds else 0

    def after(self, payload: Payload, time: int) -> "Editions":
        """After one more record. ValueError where its number is not after the last one of its feed."""
        named, feeds = dict(self.named), self.feeds
        for change in payload.changes:
            named[change.about["list"]] = time
            if change.about["remove"] is True:  # the list is gone
                del named[change.about["list"]]
        if payload.feed and payload.number is not None:
            if payload.number <= self.number(payload.feed):
                got = f"{payload.number} after {self.number(payload.feed)}"
                raise ValueError(f"feed {payload.feed!r}: expected numbers that go up, got {got}")
            before = feeds[payload.feed].digests if payload.feed in feeds else ()
            digests = (*before, (payload.number, content_digest(payload.changes)))[-_KEPT:]
            feeds = {**feeds, payload.feed: Feed(payload.number, time, digests)}
        return Editions(feeds, named)

    def of_lists(self, given: Iterable[str], lists: Sequence[List], time: int) -> "Editions":
        """With lists that were given whole, and without those that are not there any more."""
        named = {**self.named, **dict.fromkeys(given, time)}
        return replace(self, named={one.name: named[one.name] for one in lists if one.name in named})

    def sections(self) -> list[tuple[str, bytes]]:
        """As they stand in a base."""
        if not self.feeds and not self.named:
            return []
        feeds = {
            name: {"number": feed.number, "time": feed.time, "digests": feed.digests}
            for name, feed in self.feeds.items()
        }
        return [(SECTION, dump({"feeds": feeds, "named": dict(self.named)}))]

    @classmethod
    def read(cls, sections: Mapping[str, bytes | memoryview], path: str) -> "Editions":
        """What a base keeps. StoreDamaged for what no writer makes."""
        if SECTION not in sections:
            return cls()
        try:
            text = json.loads(bytes(sections[SECTION]))
            if {*text} != {"feeds", "named"}:
                raise ValueError(f"other keys than feeds and named: {', '.join(sorted(text))}")
            named = {name: _integer(time, MAX_NUMBER) for name, time in text["named"].items()}
            return cls({feed_name(name): _feed(about) for name, about in text["feeds"].items()}, named)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise StoreDamaged(path, "feeds and lists of a base", mask_text(str(error))) from None


def _feed(about: dict[str, object]) -> Feed:
    if {*about} != {"digests", "number", "time"} or not isinstance(about["digests"], list):
        raise ValueError("a feed without its number, time and digests, or with more")
    digests = []
    for number, digest in about["digests"]:
        if not isinstance(digest, str):
            raise ValueError("a digest that is not a text")
        digests.append((_integer(number, MAX_NUMBER, 1), digest))
    return Feed(_integer(about["number"], MAX_NUMBER, 0), _integer(about["time"], MAX_NUMBER), tuple(digests))


def _integer(value: object, most: int, least: int = -MAX_NUMBER) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"a number of a feed that is not one: {value!r}")
    return value


def moved(
    directory: Path, editions: Editions, feed: str, through: int | None, time: int, *, anew: bool = False
) -> Editions:
    """With full lists of a feed that contain its changes up to a number, and none after it. anew: changes of
    those numbers that come again need not be those that were applied."""
    if through is None:
        if feed not in editions.feeds:
            return editions
        expected = f"through=, the last change of feed {feed!r} that its full lists contain"
        got = (
            f"none, and the feed is at change {editions.number(feed)}: without it later changes could be lost"
        )
        raise StoreSequence(directory, expected, got)
    before = editions.feeds[feed].digests if feed in editions.feeds and not anew else ()
    digests = tuple((number, digest) for number, digest in before if number <= through)
    return replace(editions, feeds={**editions.feeds, feed: Feed(through, time, digests)})


def missing(
    directory: Path, editions: Editions, feed: str, last: int, number: int, after: int | None
) -> StoreSequence:
    """The error of a change that is not the next one. after: the number before it, as its sender says."""
    of, got = (f" of feed {feed!r}" if feed else ""), f"{number}"
    expected = f"change {last + 1}{of}"
    if after is not None:
        expected, got = f"the change after {last}{of}", f"{number}, which comes after {after}"
    if feed and feed not in editions.feeds:
        others = ", ".join(map(repr, editions.feeds)) or "none"
        got += f". This feed has none yet; feeds with changes: {others}"
    elif after is None or after > last:
        first = f"{last + 1} to {number - 1}" if number > last + 2 else f"{last + 1}"
        first = f"all up to {after}" if after is not None else first
        got += f": apply {first} first" + (", or a newer full list of the feed" if feed else "")
    return StoreSequence(directory, expected, got)


def expect_owner(directory: Path, changes: Iterable[Change], lists: Sequence[List], feed: str = "") -> None:
    """Raise StoreOwner for a change of a list that has an owner, by somebody else. feed: of the change."""
    owners = {one.name: one.owner for one in lists}
    for change in changes:
        name = change.about["list"]
        expect_by(directory, name, owners.get(name, ""), change.about.get("by", ""), feed)


def expect_by(directory: Path, name: str, owner: str, by: str, feed: str) -> None:
    """Raise StoreOwner if a list has an owner, and it is not this one. feed: that of the change, if any."""
    if owner and by != owner:
        raise not_owner(directory, name, owner, by, of_feed=by != "" and by == feed)


def with_lists_of(
    feed: str, directory: Path, lists: Sequence[List], given: Sequence[List], *, keep: bool = False
) -> tuple[List, ...]:
    """The lists of a store with those of a feed replaced: these take the places of the old ones, in the order
    in which they are given, which can decide between them, and those that are left over come last.

    keep: those that are not given, too. StoreOwner for a list that is not the feed's.
    """
    owners = {one.name: one.owner for one in lists}
    new = {}
    for one in given:
        owner = owners.get(one.name, feed)
        if owner != feed or one.owner not in ("", feed):
            raise not_owner(directory, one.name, owner if owner != feed else one.owner, feed, of_feed=True)
        new[one.name] = replace(one, owner=feed)
    given_ones = iter(new.values())
    kept = [
        next(given_ones) if one.name in new else one
        for one in lists
        if keep or one.owner != feed or one.name in new
    ]
    found = (*kept, *given_ones)
    if len(found) > MAX_LISTS:
        raise ValueError(f"expected at most {MAX_LISTS} lists, got {len(found)} with those of feed {feed!r}")
    for one in found:
        check_prefixes(one, found)
    return found


def not_owner(directory: Path, name: str, owner: str, by: str, *, of_feed: bool) -> StoreOwner:
    """The error of who changes a list of another. of_feed: a feed does, and nobody else is named."""
    if not owner:  # of a full list, which only owners replace
        got = f"one by {_who(by)}: such a list is replaced with the whole store, or changed by deltas"
        return StoreOwner(directory, f"a full list in place of {name!r} by its owner, nobody", got)
    expected = f"a change of list {name!r} by its owner {owner!r}"
    option = f"{'--feed' if of_feed else '--by'} {shlex.quote(owner)}"
    return StoreOwner(directory, expected, f"one by {_who(by)}: {option} if it is the owner's")


def _who(name: str) -> str:
    return repr(name) if name else "nobody"
