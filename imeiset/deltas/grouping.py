"""The files of a feed that are one step: full lists of one number, or the files of one change."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import FeedConflict, printable
from .naming import Named, before, form_of, shown

LONGEST_REF = 200  # characters


@dataclass(frozen=True, slots=True)
class Group:
    """Files of one number: full lists, or deltas from one number to another."""

    files: tuple[Named, ...]

    @property
    def number(self) -> int:
        return self.files[0].number

    @property
    def after(self) -> int | None:
        return self.files[0].after

    @property
    def is_delta(self) -> bool:
        return self.files[0].is_delta

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(file.name for file in self.files)

    @property
    def lists(self) -> set[str]:
        return {file.list for file in self.files}

    @property
    def follows(self) -> bool:
        """Whether it is the change of its number, and not one of several that lead there."""
        last = before(self.number, form_of(self.number))
        return self.is_delta and self.after in (self.number - 1, last)

    def is_beside(self, other: "Group") -> bool:
        """Whether another delta leads to the number of this one, or anything to one on the way there."""
        first, number = self.after or 0, other.number + (not other.is_delta)
        return other is not self and first < other.number and number <= self.number

    def is_after(self, full: "Group") -> bool:
        """Whether it is a change of lists of which these are full lists of a lower number."""
        return self.is_delta and self.number > full.number and not self.lists.isdisjoint(full.lists)

    def without(self, others: "Group") -> list["Group"]:
        """The files that the other has not, if there are some."""
        files = tuple(file for file in self.files if file not in others.files)
        return [Group(files)] if files else []


def groups_of(files: Iterable[Named]) -> list[Group]:
    found: dict[tuple[int, int | None], list[Named]] = {}
    for file in files:
        found.setdefault((file.number, file.after), []).append(file)
    return [Group(tuple(some)) for some in found.values()]


class Seen:
    """The files of one number so far."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[tuple[str, int | None], tuple[str, str]] = {}

    def add(self, file: Named, change: int | None = None) -> str | None:
        """The SHA-256 of one more; None if it is one of them again.

        Raises FeedConflict for two files that say different things of one list under one number.
        """
        with file.path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        other, same = self._files.setdefault((file.list, change), (file.name, digest))
        if same != digest:
            expected = f"one file of list {file.list!r} with the number {shown(file.number)}"
            raise FeedConflict(str(self._folder), expected, f"{other} and {file.name}, which differ")
        return digest if other == file.name else None


def ref_of(name: str, digest: str, of: int = 1) -> str:
    """What a change goes back to: a file and its SHA-256, shorter where there are several."""
    return f"{printable(name)[: LONGEST_REF // of - 80 // of]} sha256:{digest[: 64 // of]}"
