"""What a file of changes adds to a list, removes from it and updates, and whether that fits the list.

Of IMEIs, ranges and TACs these are sets; of pairs they are `PairSet`, which has the same operators.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FeedColumn, FeedConflict, mask_text
from ..feeds.details import DETAILS, expect_dates
from ..feeds.formats import CHANGE, CHANGES, FORMATS, Polarity
from ..feeds.loader import Progress, Rows, read
from ..feeds.options import Options, value_of
from ..feeds.words import change_of, speaks_of_ends
from ..register.kinds import ListRule, rule_of
from ..sets import ImeiSet
from .conflicts import Chosen, Misfits, conflict
from .members import PairSet, size_of

CHECKS = ("add", "remove", "update", "conflict")
ADD, REMOVE, UPDATE = range(3)
_NAMED_MOST = 4  # values that a message shows
_DENIED = (
    *("no", "not", "non", "un", "de", "ex", "yet", "longer", "nolonger", "never"),
    *("previously", "formerly", "from"),  # "removed_from_blocked"
)
# What a file without a column of changes holds, by its name.
_NAMED = {"unblocked": REMOVE, "removed": REMOVE, "blocked": ADD, "added": ADD, "changed": UPDATE}
_OF_BLOCKLISTS = ("blocked", "unblocked")
# What is said of another list: "whitelist_added".
_ELSEWHERE: dict[Polarity, re.Pattern[str]] = {
    "blocklist": re.compile("whitelist|allowlist|gr[ae]ylist"),
    "greylist": re.compile("whitelist|allowlist|blacklist|blocklist|denylist"),
    "whitelist": re.compile("gr[ae]ylist|blacklist|blocklist|denylist"),
}


@dataclass(slots=True)
class Changes:
    """A file of changes, read and not yet checked. rule: by which a list has them."""

    path: str
    rule: ListRule
    table: Rows
    fixed: int | None  # the change of all rows; None if each says it
    adds: Any = None
    removes: Any = None
    updates: Any = None

    @classmethod
    def read(
        cls,
        path: str,
        change: str | None,
        options: Options,
        progress: Progress | None,
        rule: ListRule | None = None,
        polarity: Polarity | None = None,
        *,
        alone: bool = True,
    ) -> "Changes":
        """Read a file. change: what all its rows are. rule: the first one of the list; None for a set, which
        has no reasons and dates. polarity: what becomes of the phones of the list; None as in `read`. alone:
        it is not one of a directory, for whose files nobody says `change`.
        """
        fixed, pairs = _change_of(path, change, polarity), rule == "pair"
        more = {"exact": DETAILS, "pair": ("imsi", "until")}.get(rule or "", ())
        wanted = ("line", "listed", *more, CHANGE)
        reading = partial(read, path, wanted, options=options, delta=True, progress=progress)
        removals = fixed == REMOVE and options.change_column is None  # of which no word is a contradiction
        table = reading(signs=fixed is None, polarity="removals" if removals else polarity)
        polarity = polarity or FORMATS[table.report.formats[0]].polarity
        if CHANGE in table.columns:
            if removals:
                table = reading(signs=False, polarity=polarity)
            if change is not None:
                raise FeedConflict(path, "no column change_type beside --change", "one")
            fixed = None  # whatever the name of the file says
            _understand(path, table, options, polarity)
        elif table.report.accepted and _change_of(path, change, polarity) is None:
            named = _change_of(path, None) is not None
            got = (
                "a name that says it of phones that are blocked only"
                if named
                else "a list that does not say it"
            )
            says = "--change-column or --change," if alone else "or --change-column,"
            raise FeedConflict(path, f"a column change_type, {says} for what changes", got)
        elif change is None and (
            others := [one for one in table.members if _change_of(one, None) not in (None, fixed)]
        ):
            expected = "an archive that is named as what is in it" + ", or --change" * alone
            raise FeedConflict(path, expected, repr(others[0]))
        if more:
            expect_dates(path, table, options)
        [identity] = {FORMATS[name].identity for name in table.report.formats}
        if pairs and (identity != "imei" or (table.report.accepted and "imsi" not in table.columns)):
            raise FeedColumn(path, "a header with 'imei' and 'imsi', for pairs", "another")
        by: ListRule = "pair" if pairs else rule_of("imeis", identity)
        self = cls(path, by, table, fixed)
        self.divide(keep=options.irregular == "keep")
        if idle := sum(map(int, map(np.count_nonzero, self.rows(ADD, False)))):
            table.report.accepted -= idle
            table.report.ignored["others"] = table.report.ignored.get("others", 0) + idle
        return self

    def divide(self, *, keep: bool) -> None:
        """Put what each row names where its change says. keep: irregular identities, too."""
        self.adds, self.updates = self._members(ADD, True, keep), self._members(UPDATE, True, keep)
        self.removes = self._members(REMOVE, None, keep) | self._members(UPDATE, False, keep)

    @property
    def says(self) -> bool:
        """Whether it has reasons or dates."""
        return any(name in self.table.columns for name in DETAILS)

    def rows(self, change: int, listed: bool | None) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The rows of a change, and those of irregular identities. listed: only those whose status counts,
        or does not."""
        table = self.table
        rows, odd = np.ones(len(table.keys), bool), np.ones(len(table.texts), bool)
        for chosen, columns in ((rows, table.columns), (odd, table.text_columns)):
            if self.fixed is None and CHANGE in columns:
                chosen &= columns[CHANGE] == change
            elif self.fixed != change:
                chosen[:] = False
            if listed is not None and "listed" in columns:
                chosen &= columns["listed"] == listed
            elif listed is False:
                chosen[:] = False
        return rows, odd

    def _members(self, change: int, listed: bool | None, keep: bool) -> Any:
        table, (rows, odd) = self.table, self.rows(change, listed)
        if self.rule == "pair":
            imsis = table.columns.get("imsi", table.keys)  # without a row there may be no column
            return PairSet.of(table.keys[rows], imsis[rows])
        if table.highs is not None:
            return ImeiSet.from_ranges(table.keys[rows], table.highs[rows])
        return ImeiSet.from_keys(table.keys[rows], irregular=table.texts[odd].tolist() if keep else None)

    @property
    def identities(self) -> Any:
        """All that it names."""
        return self.adds | self.removes | self.updates

    def check(self, base: Any, checks: set[str]) -> tuple[int, int, int]:
        """How many it adds to a list, removes from it and updates. base: the list, or those of `identities`
        that are on it.

        Raises FeedConflict for changes that do not fit, and names all of them.
        """
        adds, removes, updates = self.adds, self.removes, self.updates
        new, gone, there = adds - base, removes & base, updates & base
        some = [size_of(one) for one in (new, gone, there)]
        found = []
        if "add" in checks and some[0] < size_of(adds):
            found.append(Misfits("additions of what is there", adds - new, (ADD,)))
        if "remove" in checks and some[1] < size_of(removes):
            found.append(Misfits("removals of what is not there", removes - gone, (REMOVE,)))
        if "update" in checks and some[2] < size_of(updates):
            found.append(Misfits("updates of what is not there", updates - there, (UPDATE,)))
        twice = [one & other for one, other in ((adds, removes), (adds, updates), (removes, updates))]
        if "conflict" in checks and any(map(size_of, twice)):
            wrong = twice[0] | twice[1] | twice[2]
            found.append(Misfits("different changes of one identity", wrong, (ADD, REMOVE, UPDATE)))
        if found:
            again = size_of(adds) > 0 == some[0] == some[1]
            raise conflict(self.path, self.table, found, self._saying, again=again)
        if "update" not in checks:
            adds = adds | updates
            new = adds - base
        return size_of(new), size_of(gone - adds), some[2]

    def _saying(self, change: int) -> Chosen:
        """The rows that add, remove or update: an update to a status that does not count removes."""
        if change != REMOVE:
            return self.rows(change, True)
        one, other = self.rows(REMOVE, None), self.rows(UPDATE, False)
        return one[0] | other[0], one[1] | other[1]

    def applied_to(self, members: Any, checks: set[str]) -> Any:
        """What a list holds after the changes: without what is removed, and with what is added."""
        return (members - self.removes) | (self.adds if "update" in checks else self.adds | self.updates)


def understood(change: str | None, checks: Iterable[str]) -> set[str]:
    """The checks. Raises ValueError for a word that is not a check, or not a change."""
    wanted = set(checks)
    if unknown := wanted - set(CHECKS):
        raise ValueError(f"expected checks of {', '.join(CHECKS)}, got {', '.join(sorted(unknown))}")
    if change is not None and change.encode() not in CHANGES:
        raise ValueError(f"expected a change of add, remove and update, got {change!r}")
    return wanted


def _understand(path: str, table: Rows, options: Options, polarity: Polarity | None) -> None:
    """Make the codes of values in the column of changes those of changes. Raises FeedColumn for values that
    are not understood, however many rejected rows are allowed: to leave out a removal keeps a phone blocked.
    """
    values, given = table.values[CHANGE], options.change_values
    said: list[str | None]
    if given is None:
        said = [change_of(value, blocklist=polarity in (None, "blocklist")) for value in values]
    else:
        said = [given.get(value_of(value)) for value in values]
    meanings = np.array([-1 if one is None else CHANGES.index(one.encode()) for one in said], np.int32)
    wrong: dict[str, list[int]] = {}
    for columns in (table.columns, table.text_columns):
        codes = columns[CHANGE]
        for code in np.flatnonzero(np.bincount(codes, minlength=len(values))):
            if meanings[code] < 0:
                lines = columns["line"][codes == code]
                wrong.setdefault(values[code], []).extend(lines.tolist())
        columns[CHANGE] = meanings[codes] if len(codes) else codes
    if not wrong:
        return
    firsts = sorted((min(lines), len(lines), value) for value, lines in wrong.items())
    named = [
        f"'{mask_text(value)}' in {count:,} row{'s' * (count > 1)}, the first in line {line}"
        for line, count, value in firsts[:_NAMED_MOST]
    ]
    if more := len(firsts) - len(named):
        named.append(f"and {more:,} other value{'s' * (more > 1)}")
    column = "change_type" if options.change_column is None else options.change_column
    expected = f"changes that are understood in column {column!r}: --change-values VALUE=add|remove|update"
    raise FeedColumn(path, expected, "; ".join(named), line=firsts[0][0])


def _change_of(path: str, change: str | None, polarity: Polarity | None = None) -> int | None:
    """The change of all rows: what is asked for, or what the name of the file says of such a list."""
    return change_by_name(path, polarity) if change is None else CHANGES.index(change.encode())


def change_by_name(path: str, polarity: Polarity | None = None) -> int | None:
    """The change of all rows that the name of a file says of such a list; None if it does not."""
    name, blocklist = Path(path).name.lower(), polarity in (None, "blocklist")
    *others, last = name.partition(".")[0].split("_")
    found, said = _NAMED.get(last), {_NAMED.get(word) for word in re.split("[^a-z]+", name)}
    unsure = (
        not others
        or others[-1] in _DENIED
        or {ADD, REMOVE} <= said  # "removed_and_added", "blocked.removed"
        or (last in _OF_BLOCKLISTS and not blocklist)
        or (found == ADD and speaks_of_ends(" ".join(others), blocklist=blocklist))  # "unblock_blocked"
        or _ELSEWHERE[polarity or "blocklist"].search("".join(others))
    )
    return None if unsure else found
