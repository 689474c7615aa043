"""The payload of a record of the journal: what changes of which lists, who said so, what was there before.

    payload  := size text number* bits*, the numbers and bits of one change after those of another
    size     := 8 bytes: how long the text is
    text     := JSON in UTF-8, filled up with spaces to a multiple of 8 bytes, without other spaces:
                {"changes": [change, ...], "feed": F, "number": N}, the last two only of a change of a feed;
                N is 0 of full lists of a feed that had sent no change yet
    change   := {"add": A, "by": B, "date": D, "list": L, "net": [A, A], "reason": R, "ref": B, "remove": A,
                "rule": U, "until": D}
              | {"add": about, "by": B, "list": L, "ref": B, "remove": false, "rule": "list"}   a new list
              | {"add": null, "by": B, "list": L, "ref": B, "remove": true, "rule": "list"}     it is gone
    about    := {"kind": K, "owner": O, "reason": R, "status": S}, as a register has them
    number   := 8 bytes
    bits     := 8 bytes: of 64 rows, the first in the lowest bit; zeros after the last row

All numbers are little-endian. L is the name of a list and U a rule of its kind; R is reasons with "|" between
them, D "2024-02-29", and both are "" where there are none; "by", "ref" and "until" are left out then. A is
how many rows are added or removed. Then come the columns of these rows, first of the added, then of the
removed:

    exact       keys, ascending, each once
    range, tac  the first keys of runs, ascending; the last keys
    pair        keys and IMSIs, ascending by both; an IMSI is the number of a 1 and its digits
    irregular   none: A is the texts themselves, in order
    imsi        none: A is the digits of the prefixes, in order

After the columns of exact IMEIs and of pairs come bits for the added, then for the removed: which rows were
on the list before this change. So a history can tell what came from what was there. Of one change, the
removals come before the additions.

Of the other rules, "net" is what a change really added and removed: [added, removed], in the form of A, and
for ranges and TACs their columns come after the others. It is left out where that is all of the change.

In version 1 of journals the text is the array of changes alone, without feed, by, ref, until, bits and
changes of the lists themselves. A journal of version 2 may begin with such payloads: of one it took over.
"""

import json
import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from imeiset import irregular
from imeiset._native.pairs import are_ascending
from imeiset.errors import StoreDamaged, mask_text
from imeiset.register.details import is_date
from imeiset.register.dumps import dump
from imeiset.register.kinds import RULES
from imeiset.register.lists import List
from imeiset.register.pairs import are_imsis

HELD_RULES = ("exact", "pair")
"""The rules whose changes say what was there before, and may have an until."""
LIST_RULE = "list"
"""The rule of changes of the lists themselves."""
MAX_NUMBER = (1 << 63) - 1
_NAME, _TEXT = 100, 200  # characters of the name of a feed; of by and ref
_ABOUT = {"kind": str, "owner": str, "reason": str, "status": int}
_BY = {"by", "ref"}
_CHANGE = {"add", "date", "list", "reason", "remove", "rule"}
_FULL_CHANGE = _CHANGE | _BY | {"until"}
_NET = {"net"}
_LIST_CHANGE = {"add", "list", "remove", "rule"}
_PAYLOAD = {"changes"}
_OF_FEED = {"changes", "feed", "number"}
_SIDES = ("add", "remove")
_LAST_KEY = 10**14 - 1
_WORD, _BITS = 8, 64  # bytes and bits of a number

Bits = NDArray[np.bool_]
_NO_BITS: Bits = np.empty(0, np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A delta as the journal has it: arrays, or for irregular identities, prefixes and lists JSON alone.

    held: which rows of `add` and of `remove` were on the list before this change; None where nobody wrote it.
    net: the ranges or TACs that it really added and removed, where that is not all of them.
    """

    about: dict[str, Any]
    add: tuple[NDArray[Any], ...]
    remove: tuple[NDArray[Any], ...]
    held: tuple[Bits, Bits] | None = None
    net: tuple[tuple[NDArray[Any], ...], tuple[NDArray[Any], ...]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Payload:
    """What one record says: changes in order, and of a change of a feed the feed and its number."""

    changes: tuple[Change, ...]
    feed: str = ""
    number: int | None = None


def list_about(one: List) -> dict[str, Any]:
    """A list, as a change of the lists has it."""
    return {"status": int(one.status), "kind": one.kind, "owner": one.owner, "reason": one.reason}


def list_change(name: str, about: dict[str, Any] | None, by: str = "", ref: str = "") -> Change:
    """A list is new, which is as `list_about` says; or it is gone."""
    change = {"list": name, "rule": LIST_RULE, "add": about, "remove": about is None}
    return Change(change | {key: text for key, text in (("by", by), ("ref", ref)) if text}, (), ())


def text_of(what: str, value: object, longest: int = _TEXT) -> str:
    """Who or why, as a caller gives it; '' for None."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"{what}: expected str or None, got {type(value).__name__}")
    if len(value) > longest or not value.isprintable():
        got = f"{len(value)}" if value.isprintable() else mask_text(repr(value[:longest]))
        raise ValueError(f"{what}: expected at most {longest} printable characters, got {got}")
    return value


def feed_name(value: object) -> str:
    """The name of a feed, '' for None."""
    name = text_of("feed", value, _NAME)
    if value is not None and not name:
        raise ValueError("feed: expected a name, got an empty text: None is for changes without a feed")
    return name


def once(keys: NDArray[Any], imsis: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Pairs in order, each once."""
    if not are_ascending(keys, imsis):
        order = np.lexsort((imsis, keys))
        keys, imsis = keys[order], imsis[order]
        first = np.append(True, (keys[1:] != keys[:-1]) | (imsis[1:] != imsis[:-1]))
        keys, imsis = keys[first], imsis[first]
    return keys, imsis


def content_digest(changes: Iterable[Change]) -> str:
    """Tells changes apart by what they change: the same rows for the same reasons have the same, whoever said
    so and whatever was there before."""
    digest = xxhash.xxh3_128()
    for change in changes:
        about = dump({name: value for name, value in change.about.items() if name not in _BY | _NET})
        digest.update(len(about).to_bytes(_WORD, "little") + about)
        for array in (*change.add, *change.remove):
            digest.update(array.astype("<u8", copy=False).data)
    return digest.hexdigest()


def packed(payload: Payload) -> bytes:
    """What there is as JSON, filled up to 8 bytes, and arrays and bits one after another."""
    text: dict[str, Any] = {"changes": [change.about for change in payload.changes]}
    if payload.feed:
        text |= {"feed": payload.feed, "number": payload.number}
    about = dump(text)
    about += b" " * (-len(about) % _WORD)
    parts = [len(about).to_bytes(_WORD, "little"), about]
    for change in payload.changes:
        parts += [array.astype("<u8").tobytes() for array in (*change.add, *change.remove)]
        parts += [_bits(side) for side in change.held or ()]
        parts += [array.astype("<u8").tobytes() for side in change.net or () for array in side]
    return b"".join(parts)


def _bits(side: Bits) -> bytes:
    bits = np.packbits(side, bitorder="little").tobytes()
    return bits + bytes(-len(bits) % _WORD)


def unpacked(payload: bytes, path: Path) -> Payload:
    """What the payload of a record says. StoreDamaged for one that no writer makes."""
    try:
        end = _WORD + int.from_bytes(payload[:_WORD], "little")
        if end > len(payload):
            raise ValueError(f"{end} bytes of text, of which {len(payload)} are there")
        text = json.loads(payload[_WORD:end])
        numbers = _Numbers(payload[end:])
        if isinstance(text, list):
            read = Payload(tuple(_change(about, numbers, 1) for about in text))
        else:
            feed = _feed(text)
            read = Payload(tuple(_change(about, numbers, 2) for about in text["changes"]), *feed)
        numbers.expect_end()
        return read
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise StoreDamaged(path, "changes", mask_text(str(error))) from None


class _Numbers:
    """The numbers after the text, taken one piece after another."""

    def __init__(self, data: bytes) -> None:
        self._numbers, self._at = np.frombuffer(data, "<u8"), 0
        self._end = len(self._numbers)

    def take(self, count: int) -> NDArray[Any]:
        begin, end = self._at, self._at + count
        if type(count) is not int or not begin <= end <= self._end:
            raise ValueError(f"{count} numbers, of which {self._end - begin} are there")
        self._at = end
        return self._numbers[begin:end]

    def columns(
        self, about: dict[str, Any], columns: int
    ) -> tuple[tuple[NDArray[Any], ...], tuple[NDArray[Any], ...]]:
        """Those of the added and of the removed rows."""
        add, remove = (tuple([self.take(about[side]) for _ in range(columns)]) for side in _SIDES)
        return add, remove

    def bits(self, count: int) -> Bits:
        if not count:
            return _NO_BITS
        words = self.take(-(-count // _BITS))
        if count % _BITS and int(words[-1]) >> count % _BITS:
            raise ValueError(f"bits after those of {count} rows")
        return np.unpackbits(words.view(np.uint8), count=count, bitorder="little").view(np.bool_)

    def expect_end(self) -> None:
        if self._at != self._end:
            raise ValueError(f"{self._end} numbers, of which {self._at} are used")


def _expect_keys(given: dict[str, Any], needed: Set[str], allowed: Set[str]) -> None:
    if not needed <= given.keys() <= allowed:
        expected = f"{', '.join(sorted(needed))} of {', '.join(sorted(allowed))}"
        raise ValueError(f"an object with other keys than {expected}: {', '.join(sorted(given))}")


def _feed(text: dict[str, Any]) -> tuple[str, int | None]:
    """Whose change it is, and its number there."""
    _expect_keys(text, _PAYLOAD, _OF_FEED)
    if ("feed" in text) != ("number" in text) or not isinstance(text["changes"], list):
        raise ValueError("a feed without its number, a number without its feed, or no array of changes")
    if "feed" not in text:
        return "", None
    if (
        feed_name(text["feed"]) == ""
        or type(text["number"]) is not int
        or not 0 <= text["number"] <= MAX_NUMBER
    ):
        raise ValueError(f"a feed without a name, or number {text['number']!r} of one")
    return text["feed"], text["number"]


def _change(about: dict[str, Any], numbers: _Numbers, version: int) -> Change:
    rule = about["rule"]
    if version > 1:
        for name in _BY:
            if name in about and not (isinstance(about[name], str) and text_of(name, about[name])):
                raise ValueError(f"{name} that is not a text, or is empty")
        if rule == LIST_RULE:
            _expect_list_change(about)
            return Change(about, (), ())
    allowed = _FULL_CHANGE if rule in HELD_RULES else _FULL_CHANGE | _NET
    _expect_keys(about, _CHANGE, allowed if version > 1 else _CHANGE)
    texts = about["list"], rule, about["reason"], about["date"]
    if not all(map(_is_text, texts)) or (texts[3] and not is_date(texts[3])):
        raise ValueError(f"a change with another list, rule, reason or date than may be: {texts}")
    if "until" in about:
        until = about["until"]
        if not (rule in HELD_RULES and until and is_date(until) and until >= texts[3]):
            raise ValueError(f"until {until!r} of rule {rule!r} and date {texts[3]!r}")
    net = about.get("net", [[], []])
    if not isinstance(net, list) or len(net) != len(_SIDES):
        raise ValueError(f"net of rule {rule!r} that is not an array of two")
    if not (columns := RULES[rule].columns):
        for side in (about["add"], about["remove"], *net):
            if not isinstance(side, list) or not all(map(_TEXTS[rule], side)):
                raise ValueError(f"a change by rule {rule!r} that is not an array of such texts")
        return Change(about, (), ())
    add, remove = numbers.columns(about, columns)
    if rule == "pair" and not (are_imsis(add[1]) and are_imsis(remove[1])):
        raise ValueError("pairs with numbers that are not IMSIs")
    if rule not in HELD_RULES:
        really = numbers.columns(dict(zip(_SIDES, net, strict=True)), columns) if "net" in about else None
        for lows, highs in (add, remove, *(really or ())):
            if (lows > highs).any():
                raise ValueError("runs that end before they begin")
            _expect_imeis(highs)
        return Change(about, add, remove, net=really)
    for side in (add, remove):
        _expect_imeis(side[0])
    if version == 1:  # whose writers took a pair that came twice
        add, remove = (once(*side) if rule == "pair" else side for side in (add, remove))
        return Change({**about, "add": len(add[0]), "remove": len(remove[0])}, add, remove)
    if not (_are_ascending(add) and _are_ascending(remove)):
        raise ValueError("rows that are not in order, or come twice")
    return Change(about, add, remove, (numbers.bits(about["add"]), numbers.bits(about["remove"])))


def _expect_imeis(keys: NDArray[Any]) -> None:
    if keys.max(initial=0) > _LAST_KEY:
        raise ValueError("numbers that are not keys of IMEIs")


def _are_ascending(columns: tuple[NDArray[Any], ...]) -> bool:
    if len(columns) > 1:
        return are_ascending(*columns)
    return bool((columns[0][1:] > columns[0][:-1]).all())


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_irregular(value: object) -> bool:
    return isinstance(value, str) and irregular.normalised(value) == value.encode()


def _is_prefix(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9]{1,15}", value) is not None


_TEXTS = {"irregular": _is_irregular, "imsi": _is_prefix}


def _expect_list_change(about: dict[str, Any]) -> None:
    _expect_keys(about, _LIST_CHANGE, _LIST_CHANGE | _BY)
    new = about["add"]
    if not isinstance(about["list"], str) or type(about["remove"]) is not bool:
        raise ValueError("a list without a name, or removed in another way than true or false")
    if (new is None) != about["remove"]:
        raise ValueError("a list that is both new and gone, or neither")
    if new is not None:
        _expect_keys(new, _ABOUT.keys(), _ABOUT.keys())
        if any(type(new[name]) is not form for name, form in _ABOUT.items()):
            raise ValueError("a new list of other types than may be")
