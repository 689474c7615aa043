"""Files of a feed by their names: full lists and deltas, in the order of the numbers in them.

    stolen_full_000120.csv.gz                      a full list that contains change 120 and those before it
    stolen_delta_000121.csv                        change 121
    20261129083035_blacklist_delta_7_9_blocked.csv from 7 to 9, as DIRBS writes it
    stolen_20261129.csv, stolen_changes_20261129_14.csv    a day or an hour, where no name has a number

A name that may be understood in two ways is not understood.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

from ..feeds.titles import words_of_changes
from ..store.payload import MAX_NUMBER

_SUFFIXES = re.compile(r"\.(?:csv|txt|tsv|dat|lst|list|gz|zst|xz|zip|parquet|arrow|xlsx)\Z", re.IGNORECASE)
_NOT_LISTS = re.compile(
    r"\.(?:part|partial|tmp|temp|filepart|crdownload|swp|md5|sha1|sha256|sum|sig|asc|toml|log|ok|done|md|pdf)"
    r"\Z|~\Z",
    re.IGNORECASE,
)
_MOMENT = re.compile(
    r"(?<![0-9])((?:19|20)[0-9]{2})([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12][0-9]|3[01])"
    r"(?:[-_T.]{0,2}([01][0-9]|2[0-3])(?:h|[-_.:]?([0-5][0-9])(?:[-_.:]?([0-5][0-9]))?)?)?(?![0-9])",
    re.IGNORECASE,
)
_FROM_TO = re.compile(r"(?<![0-9])([0-9]{1,18})(?:_|-|_to_|-to-)([0-9]{1,18})(?![0-9])", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![0-9A-Za-z])([0-9]{1,18})(?![0-9A-Za-z])")
_AFTER_A_WORD = re.compile(
    r"(?<![A-Za-z])(?:full|delta|incremental|incr|inc|diff|changes|list|seq|no|nr|n|run)([0-9]{1,18})"
    r"(?![0-9A-Za-z])",
    re.IGNORECASE,
)
NOT_A_LIST = "not a list, by its name"
_FULL = {"full", "complete", "snapshot", "total"}
_DELTA = {"inc", "added", "additions"}
_EITHER = {"blocked"}  # a full list of what is blocked, or what was blocked since
# What was added, changed or let go since, where no list of the feed is called so.
_SINCE = {
    *("add", "adds", "alta", "altas", "insert", "inserts", "new", "novedades"),
    *("baja", "bajas", "cleared", "del", "delete", "deletes", "found", "recovered", "released", "remove"),
    *("removes", "returned", "unbarred", "unlocked"),
    *("cambios", "chg", "mod", "partial", "patch", "upd", "update", "updates"),
}
_WORDS = re.compile(r"[-_. ]+")
_DAY = 8  # digits
COUNTER = "counter"  # the name of a group that finds one, whatever it looks like
DAY, HOUR, SECOND = "%Y%m%d", "%Y%m%d%H", "%Y%m%d%H%M%S"
_STEPS = {DAY: timedelta(days=1), HOUR: timedelta(hours=1)}


@dataclass(frozen=True, slots=True)
class Named:
    """A file by its name. number: that of the change, or the last one that a full list contains. after: of a
    delta, the number before it. list: of the feed. why: it is not understood, or is not a list."""

    path: Path
    number: int = 0
    after: int | None = None
    list: str = ""
    why: str = ""

    @property
    def is_delta(self) -> bool:
        """Whether it holds changes."""
        return self.after is not None

    @property
    def is_doubtful(self) -> bool:
        """Whether it may be a list that is not understood: it has a number, of whatever kind, in its name."""
        return bool(self.why) and self.why != NOT_A_LIST and re.search("[0-9]", self.name) is not None

    @property
    def name(self) -> str:
        """Without the directory."""
        return self.path.name


def files_of(
    directory: Path,
    lists: Sequence[str],
    *,
    number: str | None,
    deltas: str | None,
    full: str | None,
    last: int = 0,
) -> list[Named]:
    """The files of a directory, those that are understood in order: by number, deltas before full lists.

    number: a regular expression with a group for the number, and perhaps one for that before it; a group
    with the name "counter" finds no days or hours. deltas,
    full: patterns of names that are such, whatever words they have. last: the number of the last change of
    the feed, if there was one.
    """
    paths = sorted(path for path in directory.iterdir() if path.is_file() and not path.name.startswith("."))
    scale = _Scale([path.name for path in paths if not _NOT_LISTS.search(path.name)], number, last)
    found = []
    for path in paths:
        if _NOT_LISTS.search(path.name):
            found.append(Named(path, why=NOT_A_LIST))
            continue
        kind = _kind(path.name, lists, deltas, full)
        one = kind if kind in ("delta", "full") else None
        numbers = scale.numbers(path.name, is_delta=one == "delta") if one else kind
        where = _list_of(path.name, lists)
        if isinstance(numbers, str) or isinstance(where, list):
            why = (
                numbers if isinstance(numbers, str) else f"its name has none of the lists {', '.join(lists)}"
            )
            found.append(Named(path, why=why))
            continue
        after, last = numbers
        found.append(Named(path, last, after if one == "delta" else None, where))
    return sorted(found, key=lambda file: (bool(file.why), file.number, not file.is_delta, file.name))


def shown(number: int) -> str:
    """A number in words: a day or a time, if it is one."""
    words = {DAY: "%Y-%m-%d", HOUR: "%Y-%m-%d %H h", SECOND: "%Y-%m-%d %H:%M:%S"}
    form = form_of(number)
    return datetime.strptime(str(number), form).strftime(words[form]) if form else str(number)


def _kind(name: str, lists: Sequence[str], deltas: str | None, full: str | None) -> str:
    """Whether it is a "delta" or "full"; or why that is not clear."""
    spelled = re.sub("[0-9]+", "_", name.lower())  # "delta122"
    words = {*_WORDS.split(spelled)}
    asked = [
        kind
        for kind, pattern in (("delta", deltas), ("full", full))
        if pattern and fnmatchcase(name, pattern)
    ]
    if not asked:
        is_delta = bool(words_of_changes(spelled) or words & _DELTA)
        since = _SINCE.difference(*(_WORDS.split(one.lower()) for one in lists))
        unsure = is_delta or words & (_EITHER | since)
        asked = ["delta"] * is_delta + ["full"] * bool(words & _FULL or not unsure)
    if len(asked) == 1:
        return asked[0]
    what = "both a full list and a delta" if asked else "a full list or a delta"
    return f"by its name it may be {what}: --deltas or --full says which"


def _list_of(name: str, lists: Sequence[str]) -> str | list[str]:
    """The list whose name is in that of a file; of several the longest. All of them, if none is."""
    if len(lists) == 1:
        return lists[0]
    text = f"_{'_'.join(_WORDS.split(name.lower()))}_"
    found = [one for one in lists if f"_{'_'.join(_WORDS.split(one.lower()))}_" in text]
    longest = max(found, key=len, default="")
    if not longest or any(one != longest and one not in longest for one in found):
        return list(lists)
    return longest


class _Scale:
    """What the numbers in names of a directory are: counters, or where no name has one, days or hours.

    Those that a pattern finds are days or hours if each of them is one, and the last of the feed too: a
    counter that looks like an hour has neighbours that do not, as 2026113024. Where just these are missing,
    a counter would go from one day to the next without them: a group that is called so makes it a counter.
    """

    def __init__(self, names: Iterable[str], pattern: str | None, last: int) -> None:
        self._pattern = re.compile(pattern) if pattern else None
        self._times: dict[str, int] = {}  # of the full lists beside deltas that have numbers
        some = list(names)
        self._counted = self._pattern is not None or any(_counters(name) for name in some)
        moments = [moment for name in some if (moment := _moment(name))]
        self.form = ""  # of days or times that are the numbers
        if moments and not self._counted:
            timed = [moment for moment in moments if len(moment) > _DAY]
            self.form = DAY if not timed else HOUR if all(one.endswith("0000") for one in timed) else SECOND
        if self._pattern:
            texts = [groups[0] for name in some if len(groups := self._found(name)) == 1]
            forms = {form_of(int(one)) if one[0] != "0" else "" for one in texts if _is_number(one)}
            forms |= {form_of(last)} if last > 0 else set()
            self.form = forms.pop() if len(forms) == 1 and COUNTER not in self._pattern.groupindex else ""
        for name in some if self._counted else ():
            moment, numbers = _moment(name), self.numbers(name, is_delta=True)
            if moment and not isinstance(numbers, str) and words_of_changes(name):
                self._times[moment] = numbers[1]

    def numbers(self, name: str, *, is_delta: bool) -> tuple[int, int] | str:
        """The number before a file, and its own; or why they are not understood."""
        if self._pattern is not None:
            texts = self._found(name)
            if not 1 <= len(texts) <= 2:
                return "--number does not find its number"
            if strange := [text for text in texts if not _is_number(text)]:
                return f"--number finds {strange[0]!r}, and not a number up to {MAX_NUMBER}"
            groups = [*map(int, texts)]
            return (before(groups[0], self.form) if len(groups) == 1 else min(groups)), max(groups)
        if self._counted:
            counters = _counters(name)
            if is_delta and (both := _from_to(name)):
                return both
            if len(counters) == 1:
                return counters[0] - 1, counters[0]
            moment = _moment(name)
            if not counters and not is_delta and moment in self._times:  # made with that delta
                return self._times[moment] - 1, self._times[moment]
            return (
                "its name has " + ("several numbers" if counters else "no number") + ": --number says which"
            )
        moment = _moment(name)
        if not moment:
            return "its name has no number and no day: --number says what it is"
        if len(moment) == _DAY and self.form != DAY:
            return "its name has a day, and others have a time: name it by that of its last change"
        number = int(moment[: len(shown_as(self.form))])
        if not is_delta:
            return number - 1, number
        if self.form not in _STEPS:
            return "its time does not say what comes before it: --number says its number"
        return before(number, self.form), number

    def _found(self, name: str) -> list[str]:
        """What the groups of the pattern have found in a name."""
        found = self._pattern.search(name) if self._pattern else None
        return [text for text in found.groups() if text] if found else []


def _is_number(text: str) -> bool:
    return re.fullmatch("0*[0-9]{1,19}", text) is not None and int(text) <= MAX_NUMBER


def shown_as(form: str) -> str:
    """A moment in a format."""
    return datetime(2000, 1, 1).strftime(form)


def before(number: int, form: str) -> int:
    """The day or the hour before one; of another number, the one before it."""
    if form not in _STEPS:
        return number - 1
    return int((datetime.strptime(str(number), form) - _STEPS[form]).strftime(form))


def form_of(number: int) -> str:
    """The format of a day, an hour or a time that a number is; '' for none."""
    for form in (DAY, HOUR, SECOND):
        with suppress(ValueError):
            if len(str(number)) == len(shown_as(form)) and datetime.strptime(str(number), form).year >= 1900:
                return form
    return ""


def _stem(name: str) -> str:
    while found := _SUFFIXES.search(name):
        name = name[: found.start()]
    return name


def _moment(name: str) -> str:
    """The day in a name as 8 digits, or with its time as 14; '' for none."""
    if not (found := _MOMENT.search(_stem(name))):
        return ""
    year, _, month, day, hour, minute, second = found.groups()
    try:
        datetime(int(year), int(month), int(day))
    except ValueError:
        return ""
    return f"{year}{month}{day}" + ("" if hour is None else f"{hour}{minute or '00'}{second or '00'}")


def _counters(name: str) -> list[int]:
    """The numbers in a name that are not days or times."""
    text = _MOMENT.sub("_", _stem(name)) if _moment(name) else _stem(name)
    found = _NUMBER.findall(text) or _AFTER_A_WORD.findall(text)
    return [int(number) for number in found]


def _from_to(name: str) -> tuple[int, int] | None:
    """The two numbers of a delta from one state to another."""
    text = _MOMENT.sub("_", _stem(name)) if _moment(name) else _stem(name)
    if len(_counters(name)) == 2 and (found := _FROM_TO.search(text)):
        first, last = int(found[1]), int(found[2])
        if first < last:
            return first, last
    return None
