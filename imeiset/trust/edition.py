"""Editions: what a publisher says of a base or a delta, in the signed metadata of the file.

    custom := {"imeiset": 1, "kind": "base" or "delta", "edition": N, "time": "2026-01-31T12:00:00Z",
               "lists": {name: L}, "from": N - 1 of a delta, "policy": P of a base}
               or of a delta in the place of "lists": "changed": {name: L}, "gone": [name, ...]
    L      := {"status": number, "kind": text, "reason": text, "counts": {rule: number}, "digest": hex}
    P      := {"response_type": 1 to 3, "unlisted": status or null, "malformed": status or null,
               "precedence": [rule, ...]}

The lists are all that the publisher has after the edition. A delta has "changed" and "gone" where the file of
edition N - 1 stands beside it: the lists that are others than there, new ones too, and those that are no
more. Metadata of many lists, of which few change, is short so. What is counted and digested is a list
under the name it is published by and with owner "", whoever owns it where: see `List.digest`. Other keys are
ignored; another number than 1 is another format.
"""

import datetime
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

from imeiset._threads import in_order
from imeiset.errors import TrustRefused, mask_text
from imeiset.register.dumps import dump
from imeiset.register.kinds import KINDS
from imeiset.register.layout import MAX_LISTS, Contents
from imeiset.register.lists import List, held_text
from imeiset.register.policy import EquipmentStatus, Policy
from imeiset.register.register import Register
from imeiset.store.payload import MAX_NUMBER

FORMAT = 1
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_TIMES = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ListEdition:
    """A list as an edition leaves it. counts: of what it holds, by rule; digest: `List.digest` in hex."""

    status: EquipmentStatus
    kind: str
    reason: str
    counts: Mapping[str, int]
    digest: str

    @classmethod
    def of(cls, one: List) -> Self:
        """Of a list under its published name, whoever owns it. O(members)."""
        return cls(one.status, one.kind, one.reason, counts_of(one), digest_of(one))

    def custom(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "status": int(self.status), "counts": dict(self.counts)}


@dataclass(frozen=True, slots=True)
class Edition:
    """What a publisher says of one edition.

    Attributes
    ----------
    kind : {"base", "delta"}
        Of the file.
    number : int
        1 is the first.
    time : datetime.datetime
        When it was published, by the publisher's clock, in UTC and whole seconds.
    lists : mapping of str to ListEdition
        All lists after it, by their published names.
    policy : Policy or None
        Of a base.
    """

    kind: Literal["base", "delta"]
    number: int
    time: datetime.datetime
    lists: Mapping[str, ListEdition]
    policy: Policy | None = None

    @classmethod
    def of(
        cls, lists: Iterable[List], number: int, time: datetime.datetime, *, policy: Policy | None = None
    ) -> Self:
        """Of lists as they are published. policy: of a base; None makes it a delta. O(members)."""
        named = [*lists]
        told = dict(zip((one.name for one in named), in_order(ListEdition.of, named), strict=True))
        when = time.astimezone(datetime.UTC).replace(microsecond=0)
        return cls("delta" if policy is None else "base", number, when, told, policy)

    @property
    def before(self) -> int:
        """The edition that a delta is for."""
        return self.number - 1

    def custom(self, last: Mapping[str, ListEdition] | None = None) -> dict[str, Any]:
        """As the metadata has it. last: of a delta, the lists of the edition before, if that is there too."""
        told: dict[str, Any] = {"imeiset": FORMAT, "kind": self.kind, "edition": self.number}
        told["time"] = self.time.strftime(_TIME)
        if last is None:
            told["lists"] = {name: one.custom() for name, one in self.lists.items()}
        else:
            changed = {name: one for name, one in self.lists.items() if last.get(name) != one}
            told["changed"] = {name: one.custom() for name, one in changed.items()}
            told["gone"] = sorted(last.keys() - self.lists.keys())
        if self.kind == "delta":
            return told | {"from": self.before}
        policy = asdict(self.policy or Policy())
        for name in ("unlisted", "malformed"):
            policy[name] = None if policy[name] is None else int(policy[name])
        return told | {"policy": policy | {"precedence": [*policy["precedence"]]}}

    @classmethod
    def read(
        cls, custom: object, place: str, before: Mapping[int, Mapping[str, ListEdition]] | None = None
    ) -> Self:
        """What the metadata of a file says. TrustRefused, with what is wrong in words.

        place: of the file. before: the lists of editions that are there too.
        """
        try:
            return cls(**_read(custom, before or {}))
        except ValueError as error:
            raise TrustRefused(place, "the description of an edition", str(error)) from None

    def seal(self) -> str:
        """The SHA-256 of what it says of the lists: it tells editions of one number apart."""
        return hashlib.sha256(dump({name: one.custom() for name, one in self.lists.items()})).hexdigest()

    def expect_lists(self, lists: Iterable[List], place: str, *, digests: bool = True) -> None:
        """Raise TrustRefused unless lists are what the edition says. O(members) with digests.

        lists: under their published names, whoever owns them.
        """
        found = {one.name: one for one in lists}
        if found.keys() != self.lists.keys():
            raise TrustRefused(place, f"lists {_names(self.lists)}", _names(found))
        for name, said in self.lists.items():
            one = found[name]
            for what, expected, got in (
                ("status", said.status.name, one.status.name),
                ("kind", said.kind, one.kind),
                ("reason", mask_text(repr(said.reason)), mask_text(repr(one.reason))),
                ("members", held_text(dict(sorted(said.counts.items()))), held_text(counts_of(one))),
            ):
                if expected != got:
                    raise TrustRefused(place, f"list {name!r} with {what} {expected}", got)
        if not digests:
            return
        for (name, said), got in zip(
            self.lists.items(), in_order(digest_of, [found[name] for name in self.lists]), strict=True
        ):
            if said.digest != got:
                raise TrustRefused(place, f"list {name!r} with digest {said.digest}", got)


def counts_of(one: List) -> dict[str, int]:
    """How many of what a list holds, by the rules by which it holds something, in order of their names."""
    return {rule: count for rule, count in sorted(one.counts().items()) if count}


def digest_of(one: List) -> str:
    """The digest of a list as it is published, in hex. O(members)."""
    return replace(one, owner="").digest().hex()


def published(lists: Iterable[List], feed: str, prefix: str = "") -> tuple[List, ...]:
    """The lists of a follower's store that are a feed's, under the names that they are published by."""
    cut = len(prefix)
    return tuple(replace(one, name=one.name[cut:], owner="") for one in lists if one.owner == feed)


def followed(register: Register, feed: str, prefix: str = "") -> Register:
    """A published register as a follower keeps it: its lists are the feed's, under names that begin so.

    ValueError where a name gets too long.
    """
    contents = register._now()
    lists = tuple(replace(one, name=prefix + one.name, owner=feed) for one in contents.lists)
    return Register._of(Contents(lists, contents.policy, contents.coverage))


# ---- read ---------------------------------------------------------------------------


def editions(customs: Mapping[str, object], place: Callable[[str], str]) -> dict[str, Edition]:
    """What the metadata of files that stand beside each other says, by the names of the files.

    place: of a file, for errors. TrustRefused as `Edition.read`.
    """
    found, lists = dict[str, Edition](), dict[int, Mapping[str, ListEdition]]()
    for name in sorted(customs, key=lambda name: _order(customs[name])):
        found[name] = one = Edition.read(customs[name], place(name), lists)
        lists.setdefault(one.number, one.lists)
    return {name: found[name] for name in customs}


def customs(editions: Iterable[Edition]) -> list[dict[str, Any]]:
    """What metadata says of the files of editions, in their order: of deltas, what is another than before."""
    some = [*editions]
    lists = {one.number: one.lists for one in some}
    return [one.custom(lists.get(one.before) if one.kind == "delta" else None) for one in some]


def _order(custom: object) -> tuple[int, bool]:
    """Editions in order; of a base and a delta of one number the one that has all lists first."""
    if not isinstance(custom, Mapping) or type(custom.get("edition")) is not int:
        return 0, False
    return custom["edition"], "lists" not in custom


def _read(custom: object, others: Mapping[int, Mapping[str, ListEdition]]) -> dict[str, Any]:
    """The fields of an edition. ValueError for what cannot be one."""
    if not isinstance(custom, Mapping):
        raise ValueError(f"expected an object, got {type(custom).__name__}")
    if custom.get("imeiset") != FORMAT or type(custom["imeiset"]) is not int:
        known = "imeiset" in custom
        got = f"format {shown(custom['imeiset'])}: update imeiset" if known else "none: it is another's file"
        raise ValueError(got)
    kind, edition = choice(custom, "kind", ("base", "delta")), number(custom, "edition", 1)
    if kind == "delta" and (before := number(custom, "from", 0)) != edition - 1:
        raise ValueError(f"a delta from edition {before} to {edition}, and not to the next one")
    fields = {"kind": kind, "number": edition, "time": _time(custom)}
    fields["lists"] = _lists_after(custom, others.get(edition - 1) if kind == "delta" else None)
    return fields | {"policy": _policy(custom) if kind == "base" else None}


def shown(value: object) -> str:
    return mask_text(repr(value)[:100])


def field(of: Mapping[str, Any], name: str, form: type) -> Any:
    value = of.get(name)
    if type(value) is not form:
        got = "none" if name not in of else f"{type(value).__name__} {shown(value)}"
        raise ValueError(f"{name}: expected {form.__name__}, got {got}")
    return value


def number(of: Mapping[str, Any], name: str, least: int) -> int:
    value: int = field(of, name, int)
    if not least <= value <= MAX_NUMBER:
        raise ValueError(f"{name}: expected {least} or more, got {shown(value)}")
    return value


def choice(of: Mapping[str, Any], name: str, choices: Sequence[str]) -> str:
    value: str = field(of, name, str)
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {shown(value)}")
    return value


def _time(custom: Mapping[str, Any]) -> datetime.datetime:
    text: str = field(custom, "time", str)
    if _TIMES.fullmatch(text):
        try:
            return datetime.datetime.strptime(text, _TIME).replace(tzinfo=datetime.UTC)
        except ValueError:  # the 31st of February
            pass
    raise ValueError(f"time: expected 2026-01-31T12:00:00Z, got {shown(text)}")


def _policy(custom: Mapping[str, Any]) -> Policy:
    about = field(custom, "policy", dict)
    precedence = field(about, "precedence", list)
    if not all(isinstance(rule, str) for rule in precedence):
        raise ValueError(f"precedence: expected rules, got {shown(precedence)}")
    told: dict[str, Any] = {"response_type": number(about, "response_type", 1), "precedence": (*precedence,)}
    for name in ("unlisted", "malformed"):
        told[name] = None if about.get(name) is None else number(about, name, 0)
    return Policy(**told)


def _lists_after(
    custom: Mapping[str, Any], last: Mapping[str, ListEdition] | None
) -> Mapping[str, ListEdition]:
    """The lists of an edition. last: those of the edition before, if that is there."""
    if "changed" not in custom and "gone" not in custom:
        return _expect_few(_lists(custom, "lists"))
    if "lists" in custom:
        raise ValueError("both lists and what changed of them")
    changed, gone = _lists(custom, "changed"), field(custom, "gone", list)
    if last is None:
        raise ValueError("what changed, and the edition before is not there")
    if (
        not all(isinstance(name, str) for name in gone)
        or not last.keys() >= {*gone}
        or len({*gone}) < len(gone)
    ):
        raise ValueError(f"gone: expected names of lists of the edition before, got {shown(gone)}")
    if both := changed.keys() & {*gone}:
        raise ValueError(f"list {shown(min(both))}: both changed and gone")
    return _expect_few({name: one for name, one in {**last, **changed}.items() if name not in {*gone}})


def _lists(custom: Mapping[str, Any], key: str) -> dict[str, ListEdition]:
    return {name: _list(name, about) for name, about in _expect_few(field(custom, key, dict)).items()}


def _expect_few(lists: dict[str, Any]) -> dict[str, Any]:
    if len(lists) > MAX_LISTS:
        raise ValueError(f"{len(lists)} lists, and not at most {MAX_LISTS}")
    return lists


def _list(name: str, about: object) -> ListEdition:
    if not isinstance(about, Mapping):
        raise ValueError(f"list {shown(name)}: expected an object, got {type(about).__name__}")
    try:
        said = said_of(name, about)
        counts: dict[str, int] = field(about, "counts", dict)
        for rule in counts:
            choice({"rule": rule}, "rule", KINDS[said.kind].rules)
            number(counts, rule, 1)
        digest: str = field(about, "digest", str)
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"digest: expected 64 hexadecimal digits, got {shown(digest)}")
    except ValueError as error:
        raise ValueError(f"list {shown(name)}: {error}") from None
    return ListEdition(said.status, said.kind, said.reason, dict(sorted(counts.items())), digest)


def said_of(name: str, about: Mapping[str, Any]) -> List:
    """An empty list of a name as a file describes it. ValueError where no list can be so."""
    kind, status = choice(about, "kind", (*KINDS,)), number(about, "status", 0)
    one = List(name, EquipmentStatus(min(status, 3)), kind, field(about, "reason", str))
    facts = KINDS[kind]
    if facts.fixed and facts.status not in (None, one.status):
        raise ValueError(f"status: expected that of every list of kind {kind!r}, got {one.status.name}")
    one.reason.encode()  # UnicodeEncodeError for halves of characters
    return one


def _names(lists: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(lists))) or "none"
