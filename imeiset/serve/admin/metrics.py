"""What Prometheus reads: checks and errors of all processes, and how the store, its lists and feeds are.

docs/operation.md lists the names. No label holds an IMEI or an IMSI: what looks like one, as in the name of a
list, is masked.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from imeiset import EquipmentStatus, __version__
from imeiset.errors import mask_log
from imeiset.errors.extras import extra
from imeiset.serve.admin.health import Expected, is_alive


class Seen(NamedTuple):
    """What there is at one moment.

    Attributes
    ----------
    processes : list of ProcessState
        Of all processes; embedded, of this one.
    status : Status or None
        Of the store.
    reasons : list of str
        Why it is not ready.
    expected : Expected
        How many processes of each kind there should be.
    now : float
        Seconds since 1970.
    """

    processes: Sequence[Any]
    status: Any
    reasons: Sequence[str]
    expected: Expected
    now: float


Rows = Iterable[tuple[tuple[str, ...], float]]


class Metric(NamedTuple):
    """One metric: its rows are the values of its labels and a number."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    rows: Callable[[Seen, "CounterSums"], Rows]


class CounterSums:
    """Counts of all processes together, which never go back: neither when a process starts from nothing, nor
    when one is not there any more."""

    def __init__(self) -> None:
        self._last: dict[Hashable, int] = {}
        self._sums: dict[str, dict[Any, int]] = {}

    def take(self, name: str, processes: Iterable[Any]) -> dict[Any, int]:
        """The sums of the counts of this name, with those of each process as they are now."""
        sums = self._sums.setdefault(name, {})
        for one in processes:
            for key, count in _counts(one, name).items():
                place = (name, one.kind, one.index, key)
                before = self._last.get(place, 0)
                sums[key] = sums.get(key, 0) + (count - before if count >= before else count)
                self._last[place] = count
        return dict(sums)


def _counts(process: Any, name: str) -> Mapping[Any, int]:
    return {(): process.refresh_faults} if name == "refresh_faults" else getattr(process.counts, name)


def _checks(seen: Seen, totals: CounterSums) -> Rows:
    for (interface, status, rule), count in totals.take("checks", seen.processes).items():
        yield (interface, EquipmentStatus(status).name.lower(), rule), count


def _errors(seen: Seen, totals: CounterSums) -> Rows:
    yield from totals.take("errors", seen.processes).items()


def _faults(seen: Seen, totals: CounterSums) -> Rows:
    yield (), sum(totals.take("refresh_faults", seen.processes).values())


def _entries(seen: Seen, _: CounterSums) -> Rows:
    for name, by_rule in seen.status.counts.items():
        one = seen.status.lists[name]
        for rule, count in by_rule.items():
            yield (name, one.status.name.lower(), one.kind, rule), count


def _workers(seen: Seen, _: CounterSums) -> Rows:
    kinds = {*seen.expected.processes, *(one.kind for one in seen.processes)}
    for kind in sorted(kinds):
        yield (kind,), sum(one.kind == kind and is_alive(one, seen.now) for one in seen.processes)


def _peers(seen: Seen, _: CounterSums) -> Rows:
    states = [peer.state for one in seen.processes if is_alive(one, seen.now) for peer in one.peers]
    known = {"open", *states} if "s13" in seen.expected.processes or states else set()
    for state in sorted(known):
        yield (state,), states.count(state)


def _of_store(name: str) -> Callable[[Seen, CounterSums], Rows]:
    """A number that the status of the store has under this name."""
    return lambda seen, _: [((), getattr(seen.status, name))]


def _of_process(value: Callable[[Any, float], float]) -> Callable[[Seen, CounterSums], Rows]:
    """A number of each process that has not ended as it was told to."""
    return lambda seen, _: [
        ((one.kind, str(one.index)), value(one, seen.now)) for one in seen.processes if not one.ended
    ]


OF_STORE = (
    Metric(
        "imeiset_list_entries",
        "gauge",
        "What a list holds, by rule.",
        ("list", "status", "kind", "rule"),
        _entries,
    ),
    Metric(
        "imeiset_list_age_seconds",
        "gauge",
        "Seconds since a list was last heard of; no such list since the store was made: absent.",
        ("list",),
        lambda seen, _: [
            ((name,), one.age) for name, one in seen.status.lists.items() if one.age is not None
        ],
    ),
    Metric(
        "imeiset_feed_sequence",
        "gauge",
        "The number of the last change of a feed that serves.",
        ("feed",),
        lambda seen, _: [((name,), one.number) for name, one in seen.status.feeds.items()],
    ),
    Metric(
        "imeiset_feed_age_seconds",
        "gauge",
        "Seconds since the last change of a feed was applied.",
        ("feed",),
        lambda seen, _: [((name,), one.age) for name, one in seen.status.feeds.items()],
    ),
    Metric(
        "imeiset_follow_edition",
        "gauge",
        "The edition of a publisher that serves.",
        ("feed",),
        lambda seen, _: [((name,), one.edition) for name, one in seen.status.followed.items()],
    ),
    Metric(
        "imeiset_follow_published_age_seconds",
        "gauge",
        "Seconds since its publisher made that edition, by the publisher's clock; not known: absent.",
        ("feed",),
        lambda seen, _: [
            ((name,), one.age) for name, one in seen.status.followed.items() if one.published is not None
        ],
    ),
    Metric(
        "imeiset_follow_checked_age_seconds",
        "gauge",
        "Seconds since the place was last found in order, and the store current; never yet: absent.",
        ("feed",),
        lambda seen, _: [
            ((name,), max(seen.now - one.checked.timestamp(), 0.0))
            for name, one in seen.status.followed.items()
            if one.checked is not None
        ],
    ),
    Metric(
        "imeiset_follow_fault",
        "gauge",
        "1 while a publisher cannot be followed, by why: TrustUnreachable, TrustStale, TrustRefused.",
        ("feed", "kind"),
        lambda seen, _: [
            ((name, one.kind or ""), one.fault is not None) for name, one in seen.status.followed.items()
        ],
    ),
    Metric("imeiset_store_generation", "gauge", "The base that serves.", (), _of_store("generation")),
    Metric("imeiset_store_sequence", "gauge", "The last change that serves.", (), _of_store("sequence")),
    Metric("imeiset_store_age_seconds", "gauge", "Seconds since the last change.", (), _of_store("age")),
    Metric(
        "imeiset_store_pending_changes",
        "gauge",
        "Changes since the base, which a compaction makes part of it.",
        (),
        _of_store("journal_records"),
    ),
    Metric(
        "imeiset_store_journal_bytes", "gauge", "The size of the journal.", (), _of_store("journal_bytes")
    ),
    Metric("imeiset_store_base_bytes", "gauge", "The size of the base.", (), _of_store("base_bytes")),
)
OF_RUN = (
    Metric(
        "imeiset_ready",
        "gauge",
        "1 where /readyz says 200, 0 where it says 503.",
        (),
        lambda seen, _: [((), not seen.reasons)],
    ),
    Metric(
        "imeiset_checks",
        "counter",
        "Equipment checks answered, by interface, status and the rule that decided.",
        ("interface", "status", "rule"),
        _checks,
    ),
    Metric(
        "imeiset_errors",
        "counter",
        "Requests answered by an error, by interface and cause.",
        ("interface", "cause"),
        _errors,
    ),
    Metric(
        "imeiset_store_refresh_faults",
        "counter",
        "Looks for changes of the store that failed, of all processes.",
        (),
        _faults,
    ),
    Metric("imeiset_workers", "gauge", "Processes that said something lately, by kind.", ("kind",), _workers),
    Metric(
        "imeiset_workers_expected",
        "gauge",
        "Processes that there should be, by kind.",
        ("kind",),
        lambda seen, _: [((kind,), count) for kind, count in seen.expected.processes.items()],
    ),
    Metric(
        "imeiset_worker_heartbeat_age_seconds",
        "gauge",
        "Seconds since a process last said something.",
        ("kind", "index"),
        _of_process(lambda one, now: max(now - one.beat, 0.0)),
    ),
    Metric(
        "imeiset_worker_store_sequence",
        "gauge",
        "The last change that a process answers by.",
        ("kind", "index"),
        _of_process(lambda one, _: one.sequence),
    ),
    Metric("imeiset_peers", "gauge", "Diameter peers, by state.", ("state",), _peers),
    Metric(
        "imeiset_build_info", "gauge", "1, with the version.", ("version",), lambda *_: [((__version__,), 1)]
    ),
)
METRICS = (*OF_RUN, *OF_STORE)
"""All of them, in the order in which they are shown."""


class Collector:
    """What prometheus_client asks for metrics: `registry.register(Collector(seen))`.

    Parameters
    ----------
    seen : callable
        Gives a `Seen`, at each time of asking.
    """

    def __init__(self, seen: Callable[[], Seen]) -> None:
        self._seen = seen
        self.totals = CounterSums()

    def collect(self) -> Iterator[Any]:
        """The metrics; those of the store are left out where there is none."""
        core = extra("prometheus_client.core", "metrics", "serve")
        families = {"counter": core.CounterMetricFamily, "gauge": core.GaugeMetricFamily}
        seen = self._seen()
        for metric in METRICS if seen.status else OF_RUN:
            family = families[metric.kind](metric.name, metric.help, labels=metric.labels)
            for labels, value in distinct(metric.rows(seen, self.totals)):
                family.add_metric(labels, value)
            yield family

    def describe(self) -> list[Any]:
        """Nothing: a registry would ask `collect` otherwise, before there is a store."""
        return []


def distinct(rows: Rows) -> list[tuple[tuple[str, ...], float]]:
    """Rows as they are shown: the names of lists come from others. Those that masking makes the same are told
    apart by a number, since Prometheus refuses all for two that are the same."""
    found: dict[tuple[str, ...], float] = {}
    for labels, value in rows:
        shown = tuple(label_of(label) for label in labels)
        name, number = shown, 1
        while name in found:
            number += 1
            name = (f"{shown[0]} ({number})", *shown[1:])
        found[name] = value
    return list(found.items())


def label_of(text: str) -> str:
    """A text as a label may have it: masked, and such as UTF-8 can say."""
    return mask_log(text).encode("utf-8", "backslashreplace").decode()


def exposition(collector: Collector, accept: str = "") -> tuple[str, bytes]:
    """Content type and body, in the format that an Accept header asks for."""
    core = extra("prometheus_client.core", "metrics", "serve")
    choose = extra("prometheus_client.exposition", "metrics", "serve").choose_encoder
    registry = core.CollectorRegistry(auto_describe=False)
    registry.register(collector)
    try:
        encode, content_type = choose(accept)
    except (TypeError, ValueError):  # of a version that is not one
        encode, content_type = choose("")
    return content_type, encode(registry)
