"""One column of a list that is watched: its values so far, and whether they contradict the list."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .._native.parse import is_valid
from . import words
from .formats import Polarity

FEW = 16  # different values of a column of statuses
SHORT = 40  # characters of one
_MANY = 64  # different values of a text that is free, whatever words it has
_MANY_TITLED = 1000  # the same under a title of statuses or changes

# The meanings that contradict a list, by what it is.
_AGAINST: dict[Polarity, frozenset[words.Meaning]] = {
    "blocklist": frozenset(("clears", "grey", "removes")),
    "greylist": frozenset(("clears", "removes")),
    "whitelist": frozenset(("blocks", "grey", "removes")),
    "removals": frozenset(),
}
# The codes that contradict it under a title that says what a yes means.
_CODES_AGAINST: dict[tuple[words.Meaning, Polarity], frozenset[str]] = {
    ("blocks", "blocklist"): words.NO,
    ("blocks", "whitelist"): words.YES,
    ("clears", "blocklist"): words.YES,
    ("clears", "greylist"): words.YES,
    ("clears", "whitelist"): words.NO,
    ("grey", "blocklist"): words.YES,
    ("grey", "greylist"): words.NO,
    ("grey", "whitelist"): words.YES,
    ("removes", "blocklist"): words.YES,
    ("removes", "greylist"): words.YES,
    ("removes", "whitelist"): words.YES,
}


@dataclass(slots=True)
class WatchedColumn:
    """A column that is watched: what its title says, and its values so far, without case, with counts.

    statuses, changes: of a title of such. ends: a value says that the row is listed no longer. says: what a
    yes means. reasons: it is one of reasons, and named only if all that it says is that phones were found.
    free: it has too many values to say anything. counting: the values that a format knows, where another
    column was asked for.
    """

    number: int
    title: str | None
    statuses: bool = False
    changes: bool = False
    ends: bool = False
    says: words.Meaning | None = None
    reasons: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    filled: int = 0
    imeis: int = 0
    free: bool = False
    counting: frozenset[bytes] | None = None

    @property
    def name(self) -> str | int:
        """Its title, or its number."""
        return self.number if self.title is None else self.title

    @property
    def titled(self) -> bool:
        """Whether its title alone is a reason to watch it."""
        return self.statuses or self.changes or self.ends

    def add(self, counts: Mapping[bytes, int]) -> bool:
        """Count more values; whether some are new."""
        before = len(self.counts)
        for cell, count in counts.items():
            text = words.text_of(cell.replace(b'""', b'"'))
            value = text.casefold()
            self.counts[value] = self.counts.get(value, 0) + count
            self.shown.setdefault(value, text)
            if not words.is_absent(value):
                self.filled += count
                self.imeis += count * is_imei(text)
        self.free |= len(self.counts) > (_MANY_TITLED if self.titled else _MANY)
        return len(self.counts) > before

    def meanings(self) -> dict[str, words.Meaning]:
        """The values that say something, and what."""
        under = self.statuses or self.changes
        found = {value: words.meaning(value, titled=under) for value in self.counts if len(value) <= SHORT}
        colours = words.are_colours(found)
        return {
            value: said for value, said in found.items() if said and not (colours and words.is_colour(value))
        }

    def is_few(self, known: Iterable[str]) -> bool:
        """Whether it has few enough values to be one of statuses; known: those that say something."""
        rows = sum(self.counts[value] for value in known)
        return self.titled or len(self.counts) <= FEW or 2 * rows >= self.filled

    def codes(self, said: Mapping[str, words.Meaning]) -> set[str]:
        """The codes among the values that say nothing alone."""
        found = {words.code_of(value) for value in self.counts if value not in said}
        return {code for code in found if code is not None}

    def has_only_codes(self) -> bool:
        """Whether all values are codes."""
        return all(value == "" or words.code_of(value) for value in self.counts)

    def is_of_codes(self) -> bool:
        """Whether its values tell rows apart by codes that nobody reads."""
        codes = self.codes(self.meanings())
        several = len(codes) + ("" in self.counts and bool(codes)) > 1
        return several and (
            self.statuses or (self.title is None and len(codes) > 1 and self.has_only_codes())
        )

    def against(self, polarity: Polarity, *, removes: bool) -> list[str]:
        """The values that say that a row is not what the list is. removes: removals are such."""
        said = self.meanings()
        kinds = _AGAINST[polarity] if removes else _AGAINST[polarity] - {"removes"}
        if polarity == "greylist" and "grey" in said.values():
            kinds |= {"blocks"}
        wrong = [value for value, meaning in said.items() if meaning in kinds] if self.is_few(said) else []
        if polarity == "whitelist" and self.titled:  # a permission ended
            wrong += [value for value in said if words.is_over(value)]
        if self.reasons:  # what was found may be listed for that
            wrong = [value for value in wrong if not words.is_found(value)]
        if self.counting is not None:
            wrong += [value for value in self.counts if value.encode() not in self.counting]
        if self.says:
            bad = self.codes(said) & _CODES_AGAINST.get((self.says, polarity), frozenset())
            wrong += [value for value in self.counts if words.code_of(value) in bad]
        if self.ends:
            wrong += [value for value in self.counts if not words.is_absent(value) and not _is_no(value)]
        return wrong


def _is_no(value: str) -> bool:
    return words.code_of(value) in words.NO


def is_imei(cell: str) -> bool:
    """Whether a cell is an IMEI beyond doubt: 15 digits with the right check digit, and not zeros."""
    return len(cell) >= 15 and is_valid(cell) and len({*cell}) > 1
