"""What changes of a list of a store, as a caller gives it and as the journal has it: see `payload`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imeiset import columns, irregular
from imeiset.arrow import speaks
from imeiset.errors import mask_text
from imeiset.readers import Keys, materialized
from imeiset.register.details import date_text, reasons_text, until_text
from imeiset.register.imsis import prefix_numbers
from imeiset.register.kinds import KINDS, RULES, ListRule
from imeiset.register.lists import List, tac_set
from imeiset.register.pairs import Pairs, pair_columns
from imeiset.sets import ImeiSet
from imeiset.store.payload import HELD_RULES, Change, once, text_of


@dataclass(frozen=True, slots=True)
class Delta:
    """Changes of one list: removals, then additions.

    Adding what is there, and removing what is not, is allowed.

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
    until
        The last day on which the exact IMEIs or pairs that are added count; `Store.expire` takes them off the
        list after it. None: they stay.
    by
        Who makes the change: at most 200 characters. A list with an owner takes changes by its owner alone.
        None: the feed that the delta is applied for.
    ref
        What the change refers to, such as a ticket or a file: at most 200 characters.

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
    Delta(list='stolen', rule=None, reason='lost', date=None, until=None, by=None, ref=None)
    >>> Delta("models", rule="tac", add=["35693803"])
    Delta(list='models', rule='tac', reason=None, date=None, until=None, by=None, ref=None)
    """

    list: str
    add: Any = field(default=None, repr=False)
    remove: Any = field(default=None, repr=False)
    rule: ListRule | None = None
    reason: str | None = None
    date: object = None
    digits: int = field(default=14, repr=False)
    until: object = None
    by: str | None = None
    ref: str | None = None

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


TAC_SIZE = np.uint64(10**6)


def named(lists: Sequence[List], name: str | None) -> List:
    """The list of that name."""
    for one in lists:
        if one.name == name:
            return one
    raise ValueError(
        f"list: expected one of {', '.join(one.name for one in lists)}, got {mask_text(repr(name))}"
    )


def change_of(delta: Delta, lists: Sequence[List], by: str = "", ref: str = "") -> Change:
    """A delta, understood. by, ref: who says so, and what, where it does not tell."""
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
    until = until_text(delta.until)
    if until and rule not in HELD_RULES:
        raise ValueError(f"until: expected with exact IMEIs and pairs only, got with rule {rule!r}")
    if until and until < about["date"]:
        raise ValueError(f"until: expected {about['date']}, the date, or later, got {until}")
    said = {"until": until, "by": text_of("by", delta.by) or by, "ref": text_of("ref", delta.ref) or ref}
    about |= {name: text for name, text in said.items() if text}
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
        return list(once(*pair_columns(imeis, imsis, digits)))
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
