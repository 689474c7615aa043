"""What became of deltas, as `apply` tells it."""

import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from ..feeds.report import LoadReport
from ..register.lists import List
from .members import whole


@dataclass
class ApplyReport:
    """What became of deltas.

    Attributes
    ----------
    sources : list of LoadReport
        What was read of each source.
    added, removed, updated : int
        Identities that were added, removed and updated.
    still_listed : int
        Removed IMEIs that a range or a TAC of the list still covers.
    keys, texts : int
        How many IMEIs (of ranges those in them, or pairs), and irregular identities, the set or the list has
        now.
    sequence : int or None
        The number of the last change of a store, or of its feed.
    digest : str
        Of the set or the list after the deltas: the one that `expect_digest` accepts. Of a list of a store it
        is worked out when it is asked for, which takes about 12 ns for each run of IMEIs.

    Examples
    --------
    >>> with open("delta.txt", "w") as file:
    ...     _ = file.write("+490154203237518\\n-356938035643809\\n")
    >>> new, report = imeiset.apply(imeiset.ImeiSet(["356938035643809"]), "delta.txt", min_size=0)
    >>> report.added, report.removed, report.keys
    (1, 1, 1)
    """

    sources: list[LoadReport] = field(default_factory=list)
    added: int = 0
    removed: int = 0
    updated: int = 0
    still_listed: int = 0
    keys: int = 0
    texts: int = 0
    sequence: int | None = None
    _after: tuple[Any, str] = field(default=(None, ""), repr=False)  # a set; or a list, and the rule

    @cached_property
    def digest(self) -> str:
        """The digest of the set or the list after the deltas: the one that `expect_digest` accepts.

        Examples
        --------
        >>> with open("delta.txt", "w") as file:
        ...     _ = file.write("+490154203237518\\n-356938035643809\\n")
        >>> new, report = imeiset.apply(imeiset.ImeiSet(["356938035643809"]), "delta.txt", min_size=0)
        >>> report.digest == new.digest()
        True
        """
        after, rule = self._after
        digest: str = (whole(after, rule) if isinstance(after, List) else after).digest()
        return digest

    def to_json(self) -> str:
        """The report as one JSON object.

        Returns
        -------
        str
            JSON, with `digest`.

        Examples
        --------
        >>> with open("delta.txt", "w") as file:
        ...     _ = file.write("+490154203237518\\n-356938035643809\\n")
        >>> new, report = imeiset.apply(imeiset.ImeiSet(["356938035643809"]), "delta.txt", min_size=0)
        >>> import json
        >>> json.loads(report.to_json())["added"]
        1
        """
        facts = asdict(replace(self, _after=(None, "")))
        del facts["_after"]
        return json.dumps({**facts, "digest": self.digest})


def counted(report: ApplyReport, counts: tuple[int, int, int]) -> None:
    """Count more identities that are added, removed and updated."""
    report.added += counts[0]
    report.removed += counts[1]
    report.updated += counts[2]


def ended(report: ApplyReport, after: Any, rule: str = "") -> None:
    """Keep what the digest is of: a set; or a list, and the rule."""
    report._after = after, rule
