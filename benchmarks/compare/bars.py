"""The bars: what was aimed for beside what was seen. All are ratios of medians of one run."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from . import peers
from .job import COLD, HOT, MANY

Kind = type[peers.Peer]
OURS = peers.Imeiset.name


@dataclass(frozen=True)
class Bar:
    """One row. `more` says that larger is better."""

    what: str
    bar: float
    stretch: float
    seen: float
    more: bool
    note: str

    @property
    def verdict(self) -> str:
        """'stretch', 'met' or 'MISSED'."""
        sign = 1 if self.more else -1
        if sign * self.seen >= sign * self.stretch:
            return "stretch"
        return "met" if sign * self.seen >= sign * self.bar else "MISSED"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"verdict": self.verdict}


def judge(found: dict[str, Any]) -> list[Bar]:
    """The bars for which a run has the figures."""
    size, lines = short(found["size"]), short(found["lines"])
    lookups, resident = found["lookups"], found["resident"]
    bars = []
    for workload, seen in lookups.items():
        for ours in (OURS, peers.ImeisetInMemory.name):
            if keeping := _peers(seen, lambda kind: kind.keeps_table and kind is not peers.Limit):
                where = f"{size}, {workload}, {_where(ours)}"
                bars.append(
                    _more(
                        f"batch contains, {where}, against the fastest peer with a table",
                        4,
                        8,
                        seen[ours],
                        keeping,
                    )
                )
    meant = "" if found["size"] == 10**8 else "the bar is meant for 100M"
    for workload, seen in lookups.items():
        for ours in (OURS, peers.ImeisetInMemory.name):
            what = f"batch contains, {size}, {workload}, {_where(ours)}, against touching one line"
            bars.append(_less(what, 3.5, 2, seen[ours], seen[peers.Limit.name], meant))
    if "growth" in found:
        seen = found["growth"]
        bars.append(_less(f"growth: ns at {size} against 1M", 2.5, 1.5, seen[size], seen["1M"], meant))
    for what, count, name, bar, stretch in (
        ("hot", HOT, peers.PythonSet.name, 3, 4),
        ("hot", HOT, peers.Roaring.name, 4, 6),
        ("cold", COLD, peers.PythonSet.name, 1.5, 2.5),
        ("cold", COLD, peers.Roaring.name, 2.5, 4),
    ):
        if name in (seen := found[what]):
            label = f"text in s, {size}, {count:,} {what}, against int(text) in {name.split()[-1]}"
            bars.append(_more(label, bar, stretch, seen[OURS], {name: seen[name]}))
    seen = found["parse"]
    bars.append(_less(f"parse + Luhn, {lines} lines, against memcpy", 8, 3, seen[OURS], seen["memcpy"]))
    seen = found["forms"]
    for form in ("S15", "lines"):
        what = f"contains, {size}, {form} against ready keys"
        bars.append(_less(what, 1.5, 1.15, seen[form], seen["keys"]))
    if others := {name: ns for name, ns in found["load"].items() if name != OURS}:
        what = f"{lines} unsorted lines on disk to a saved file, against the fastest peer"
        bars.append(_more(what, 2.5, 5, found["load"][OURS], others))
    if others := _peers(found["open"], lambda kind: True):
        what = f"open {size} and answer once, against deserialize"
        bars.append(_more(what, 100, 1000, found["open"][OURS], others))
    for ours, seen in found["threads"].items():
        what = f"{short(MANY)} lookups, {size}, {_where(ours)}, two threads against one"
        bars.append(_more(what, 1.7, 1.95, seen["2"], {"one thread": seen["1"]}))
    if exact := _peers(resident, lambda kind: kind.in_memory):
        what = f"resident bytes per IMEI, {size}, against the smallest exact peer in memory"
        bars.append(_more(what, 3, 5, resident[OURS], exact))
    return bars


SMALL = {10**3: (1.1, 1.5), 10**4: (1.1, 1.5), 10**5: (2, 3)}  # IMEIs: bar and stretch


def judge_small(points: list[dict[str, Any]]) -> list[Bar]:
    """The bars of small lists, against peers that keep their table and such as do not."""
    bars = []
    for point in points:
        for workload, seen in point["lookups"].items():
            others = _peers(seen, lambda kind: kind is not peers.Limit)
            if (aims := SMALL.get(point["size"])) and others:
                what = f"batch contains, {short(point['size'])}, {workload}, against the fastest peer"
                bars.append(_more(what, *aims, seen[OURS], others))
    return bars


def _peers(seen: dict[str, float], fits: Callable[[Kind], bool]) -> dict[str, float]:
    kinds = {kind.name: kind for kind in peers.TABLES if not issubclass(kind, peers.Imeiset)}
    return {name: value for name, value in seen.items() if name in kinds and fits(kinds[name])}


def _where(ours: str) -> str:
    return "mapped" if ours == OURS else "in memory"


def _more(what: str, bar: float, stretch: float, ours: float, others: dict[str, float]) -> Bar:
    """How many times less than the least of the others."""
    name = min(others, key=lambda other: others[other])
    return Bar(
        what, bar, stretch, others[name] / ours, True, f"{figure(ours)}; {figure(others[name])}, {name}"
    )


def _less(what: str, bar: float, stretch: float, ours: float, limit: float, note: str = "") -> Bar:
    """How many times what it is held against."""
    note = f"{figure(ours)}; {figure(limit)}" + (f"; {note}" if note else "")
    return Bar(what, bar, stretch, ours / limit, False, note)


def short(n: int) -> str:
    """10M, 100k."""
    return f"{n // 10**6}M" if n >= 10**6 else f"{n // 10**3}k"


def figure(value: float) -> str:
    """Three digits, thousands separated."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
