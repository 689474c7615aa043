"""What changes of the lists of a store are, and how the journal has them: the payload of a record.

    payload  := size text number*
    size     := 8 bytes: how long the text is
    text     := JSON in UTF-8, filled up with spaces to a multiple of 8 bytes: [change, ...]
    change   := {"add": A, "date": D, "list": L, "reason": R, "remove": A, "rule": U}, without spaces
    number   := 8 bytes

All numbers are little-endian. L is the name of a list and U a rule of its kind; R is reasons with "|" between
them, D "2024-02-29", and both are "" where there are none. A is how many rows are added or removed. Then come
the columns of these rows, first of the added, then of the removed, of one change after another:

    exact       keys, ascending, each once
    range, tac  the first keys of runs, ascending; the last keys
    pair        keys and IMSIs, ascending by both; an IMSI is the number of a 1 and its digits
    irregular   none: A is the texts themselves, in order
    imsi        none: A is the digits of the prefixes, in order

Of one change, the removals come before the additions.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imeiset import columns, irregular
from imeiset.arrow import speaks
from imeiset.errors import StoreDamaged, mask_text
from imeiset.readers import Keys, materialized
from imeiset.register.details import date_text, reasons_text
from imeiset.register.dumps import dump
from imeiset.register.imsis import prefix_numbers
from imeiset.register.kinds import KINDS, RULES, ListRule
from imeiset.register.lists import List, tac_set
from imeiset.register.pairs import Pairs, are_imsis, pair_columns
from imeiset.sets import ImeiSet


@dataclass(frozen=True, slots=True)
class Delta:
    """Changes of one list: removals, then additions. To add what is there, or remove what is not, is allowed.

    Parameters
    ----------
    list
        The name of the list.
    add, remove
        What the rule takes, see below; None for nothing.
    rule
        Of what the list holds. None: "pair" or "imsi" for lists of such, "exact" for others.
    reason, date
        Of all exact IMEIs that are added, as `Register.add` takes them.
    digits
        14 for integers that are keys, 15 for such as have the check digit.

    Notes
    -----
    =============  ==================================================================
    rule           `add` and `remove`
    =============  ==================================================================
    ``exact``      a column of IMEIs, or an ImeiSet
    ``range``      (lows, highs): a tuple of two lists or arrays; or an ImeiSet
    ``tac``        texts of 8 digits, or an ImeiSet of whole TACs
    ``pair``       (imeis, imsis): the same
    ``irregular``  texts that are not IMEIs
    ``imsi``       texts of 1 to 15 digits that IMSIs begin with
    =============  ==================================================================

    Examples
    --------
    >>> from imeiset import Delta
    >>> Delta("stolen", add=["356938035643809"], remove=["490154203237518"], reason="lost")
    Delta(list='stolen', rule=None, reason='lost', date=None)
    >>> Delta("models", rule="tac", add=["35693803"])
    Delta(list='models', rule='tac', reason=None, date=None)
    """

    list: str
    add: Any = field(default=None, repr=False)
    remove: Any = field(default=None, repr=False)
    rule: ListRule | None = None
    reason: str | None = None
    date: object = None
    digits: int = field(default=14, repr=False)

    def __post_init__(self) -> None:
        for side in ("add", "remove"):  # who applies it again must find the same
            object.__setattr__(self, side, _kept(getattr(self, side)))


def _kept(given: Any) -> Any:
    """What can be read but once, in a form that can be read again; in a pair of columns, too."""
    if isinstance(given, Iterator) or (speaks(given) and not hasattr(given, "__len__")):  # or an Arrow stream
        return materialized(given)
    if type(given) in (list, tuple) and len(given) == 2:
        both = tuple(map(_kept, given))
        return given if both[0] is given[0] and both[1] is given[1] else both
    return given


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A delta as the journal has it: arrays, or for irregular identities and prefixes texts."""

    about: dict[str, Any]
    add: tuple[NDArray[Any], ...]
    remove: tuple[NDArray[Any], ...]


TAC_SIZE = np.uint64(10**6)


def named(lists: Sequence[List], name: str | None) -> List:
    """The list of that name."""
    for one in lists:
        if one.name == name:
            return one
    raise ValueError(
        f"list: expected one of {', '.join(one.name for one in lists)}, got {mask_text(repr(name))}"
    )


def change_of(delta: Delta, lists: Sequence[List]) -> Change:
    """A delta, understood."""
    if not isinstance(delta, Delta):
        raise TypeError(f"expected Deltas, got {type(delta).__name__}")
    one = named(lists, delta.list)
    rules = KINDS[one.kind].rules
    rule = delta.rule or rules[0]
    if rule not in rules:
        expected = f"expected {', '.join(rules)} for list {one.name!r}, which is of kind {one.kind!r}"
        raise ValueError(f"rule: {expected}, got {rule!r}")
    if rule != "exact" and (delta.reason is not None or delta.date is not None):
        raise ValueError(f"reason and date: expected with exact IMEIs only, got with rule {rule!r}")
    about: dict[str, Any] = {"list": one.name, "rule": rule}
    about["reason"] = reasons_text(delta.reason)
    about["date"] = date_text(delta.date)
    add, remove = (_arrays(rule, given, delta.digits) for given in (delta.add, delta.remove))
    if not RULES[rule].columns:
        about["add"], about["remove"] = sorted(add), sorted(remove)
        return Change(about, (), ())
    about["add"], about["remove"] = len(add[0]), len(remove[0])
    return Change(about, tuple(add), tuple(remove))


def _arrays(rule: str, given: Any, digits: int) -> list[Any]:
    """What is added or removed: arrays in normal form, or texts."""
    two = {"range": "lows and highs", "pair": "IMEIs and IMSIs"}.get(rule)
    if given is None:
        given = ((), ()) if two else ()
    if isinstance(given, ImeiSet) and rule in ("exact", "range", "tac"):
        if given.irregular is not None and len(given.irregular):
            raise ValueError("expected a set without irregular identities: give them with rule 'irregular'")
        return [given.to_numpy()] if rule == "exact" else _ends(given, whole=rule == "tac")
    if isinstance(given, Pairs) and rule == "pair":
        return list(given.of_imeis(given.imeis.to_numpy()))
    if two and not (isinstance(given, list | tuple) and len(given) == 2):
        raise TypeError(f"rule {rule!r}: expected a pair of columns, {two}, got {type(given).__name__}")
    if two and _may_be_rows(given):
        expected = f"a tuple of two lists or arrays, {two}"
        raise TypeError(f"rule {rule!r}: expected {expected}, got what may be two rows instead")
    if rule == "exact":
        return [ImeiSet.from_keys(columns.keys_of(given, digits=digits)).to_numpy()]
    if rule in ("range", "tac"):
        return _ends(tac_set(given) if rule == "tac" else ImeiSet.from_ranges(*given, digits=digits))
    if rule == "pair":
        imeis, imsis = given
        keys, imsis = pair_columns(imeis, imsis, digits)
        order = np.lexsort((imsis, keys))
        return [keys[order], imsis[order]]
    if rule == "irregular":
        return [text.decode() for text in irregular.table(given).tolist()]
    return [str(number)[1:] for number in prefix_numbers(given)]


def _may_be_rows(two: "list[Any] | tuple[Any, Any]") -> bool:
    """Whether two columns may be two rows, which would be read across: (low, low) and (high, high)."""
    return any(isinstance(row, list | tuple if isinstance(two, list) else tuple) and row for row in two)


def _ends(members: ImeiSet, *, whole: bool = False) -> list[Keys]:
    """The first and last members of the runs of a set; whole: ValueError unless these are whole TACs."""
    lows, highs = (np.concatenate(ends) for ends in zip(*members.runs(), strict=True))
    if whole and ((lows % TAC_SIZE).any() or ((highs + np.uint64(1)) % TAC_SIZE).any()):
        raise ValueError("rule 'tac': expected a set of whole TACs, got one with parts of a TAC")
    return [lows, highs]


def packed(changes: Sequence[Change]) -> bytes:
    """A payload: what there is as JSON, filled up to 8 bytes, and the arrays one after another."""
    about = dump([change.about for change in changes])
    about += b" " * (-len(about) % 8)
    arrays = [array for change in changes for array in (*change.add, *change.remove)]
    return b"".join(
        [len(about).to_bytes(8, "little"), about, *(array.astype("<u8").tobytes() for array in arrays)]
    )


def unpacked(payload: bytes, path: Path) -> list[Change]:
    try:
        end = 8 + int.from_bytes(payload[:8], "little")
        numbers = np.frombuffer(payload[end:], "<u8")
        changes, at = [], 0
        for about in json.loads(payload[8:end]):
            texts = [about[name] for name in ("list", "rule", "reason", "date")]
            if not all(isinstance(text, str) for text in texts) or date_text(texts[3]) != texts[3]:
                raise ValueError(f"a change with another list, rule, reason or date than may be: {texts}")
            sides = []
            for side in ("add", "remove"):
                arrays = []
                for _ in range(RULES[about["rule"]].columns):
                    if not 0 <= about[side] <= len(numbers) - at:
                        raise ValueError(f"{about[side]} numbers, of which {len(numbers) - at} are there")
                    arrays.append(numbers[at : at + about[side]])
                    at += about[side]
                if about["rule"] == "pair" and not are_imsis(arrays[1]):
                    raise ValueError("pairs with numbers that are no IMSIs")
                sides.append(tuple(arrays))
            changes.append(Change(about, *sides))
        if at != len(numbers):
            raise ValueError(f"{len(numbers)} numbers, of which {at} are used")
        return changes
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise StoreDamaged(path, "changes", mask_text(str(error))) from None
