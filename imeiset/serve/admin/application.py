"""The admin port: a page to look up a phone, metrics, and whether all is well. It changes nothing."""

import ipaddress
import json
import math
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from imeiset import EquipmentStatus, ImeiError, ImeisetError, ImsiError
from imeiset.serve.admin import health
from imeiset.serve.admin.metrics import Collector, CounterSums, Seen, exposition
from imeiset.serve.admin.rates import Rates, Sampler
from imeiset.serve.http.answers import JSON, UNREADABLE, Answer, Refusal, not_allowed, problem
from imeiset.serve.http.gateway import Gateway, Work
from imeiset.serve.state import Counts, ProcessState

LONGEST = 4096  # bytes of the body of a lookup
_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ALWAYS = [
    ("cache-control", "no-store"),
    ("content-security-policy", _POLICY),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
]
_HOST = re.compile(r"(?:(?P<name>[a-z0-9.]+)|\[(?P<six>[0-9a-f:.]+)\])(?::[0-9]+)?").fullmatch
_NOT_FOUND = problem(404)
_NO_JSON = problem(415, detail="expected application/json")
_NO_LOOKUP = problem(400, detail='expected {"imei": "..."}, with "imsi" if it is known')
_FOREIGN_PAGE = problem(403, detail="pages from elsewhere may not look phones up")
_FOREIGN_HOST = problem(
    421, detail="this port answers to the names of loopback; with admin.open = true it answers to every name"
)
_LOOKUP = Work(LONGEST, lambda body: _NO_LOOKUP)  # the answer is put in by the app


class Admin(Gateway):
    """Answers of the admin port, over a store and what the other processes tell.

    Parameters
    ----------
    store : Store or None
        Which it looks phones up in; whoever opened it has it watched. None: it could not be opened yet.
    board : Board, optional
        What all processes tell of themselves. None: embedded in a server of a user's own.
    counts : Counts, optional
        Without a board: those of the app in this process.
    config : Config, optional
        What there should be: workers, S13, ages of lists.

    Examples
    --------
    >>> import imeiset
    >>> store = imeiset.Store.create("eir", imeiset.Register())
    >>> Admin(store).respond("GET", "/healthz", "", {"host": "localhost"}).body
    b'{"status": "alive"}'
    """

    def __init__(self, store: Any, *, board: Any = None, counts: Any = None, config: Any = None) -> None:
        self.store = store
        self._board = board
        self._counts = Counts() if counts is None else counts
        self._files = {
            path: (content_type, (_PAGE / name).read_bytes()) for path, (name, content_type) in _FILES.items()
        }
        self._collector = Collector(self.seen)
        self._routes: dict[str, Callable[[str, Any], Answer]] = {
            **dict.fromkeys(_FILES, self._file),
            "/metrics": self._metrics,
            "/healthz": self._alive,
            "/readyz": self._ready,
            "/state": self._state,
        }
        self._started = time.time()
        self._rates = Rates()
        self._followers = health.Followers()
        self._sampler: Sampler | None = None
        self.use(config)

    def start(self) -> None:
        """Begin to keep rates; once, whoever asks."""
        if self._sampler is None:
            self._sampler = Sampler(self._rates, self.processes)

    def stop(self) -> None:
        """End what `start` began."""
        if self._sampler is not None:
            self._sampler.stop()
            self._sampler = None

    def use(self, config: Any) -> None:
        """Take another configuration from now on."""
        self._expected = health.Expected.of(config)
        self._any_host = bool(config and config.admin and config.admin.open)

    def respond(self, method: str, path: str, query: str, headers: Any) -> Answer | Work:
        """What one request is answered."""
        found = self._respond(method, path, headers)
        if isinstance(found, Work):
            return found._replace(answer=lambda body: hardened(self._looked_up(body)))
        found = hardened(found)
        return found._replace(body=b"") if method == "HEAD" else found

    def refused(self, refusal: Refusal) -> Answer:
        """The answer to a body that is not read, or to what was not expected."""
        return hardened(refusal.answer)

    def _respond(self, method: str, path: str, headers: Any) -> Answer | Work:
        # Names that others control may lead to this address: a page from there would read what it likes.
        if not (self._any_host or is_loopback(headers.get("host") or "")):
            return _FOREIGN_HOST
        if path == "/lookup":
            return _refused(headers) or _LOOKUP if method == "POST" else not_allowed("POST").answer
        if path not in self._routes:
            return _NOT_FOUND
        if method not in ("GET", "HEAD"):
            return not_allowed("GET", "HEAD").answer
        return self._routes[path](path, headers)

    def processes(self, now: float) -> list[ProcessState]:
        """What all processes told; embedded, what this one has to tell."""
        if self._board is not None:
            processes: list[ProcessState] = self._board.processes()
            running = (one.sequence for one in processes if health.is_alive(one, now))
            self._followers.take(running, now)
            return processes
        return [ProcessState("app", 0, os.getpid(), self._started, now, counts=self._counts.totals())]

    def seen(self) -> Seen:
        """What there is now."""
        now, status = time.time(), self.store and self.store.status()
        processes = self.processes(now)
        if self._board is None and status:
            names = ("generation", "sequence", "state_id", "fault")
            processes = [replace(processes[0], **{name: getattr(status, name) for name in names})]
        its = None if self._board is None else processes
        why = health.reasons(its, status, self._expected, now) + self._followers.left_behind(processes, now)
        return Seen(processes, status, why, self._expected, now)

    def _file(self, path: str, headers: Any) -> Answer:
        content_type, body = self._files[path]
        return Answer(200, [("content-type", content_type)], body)

    def _metrics(self, path: str, headers: Any) -> Answer:
        content_type, body = exposition(self._collector, headers.get("accept") or "")
        return Answer(200, [("content-type", content_type)], body)

    def _alive(self, path: str, headers: Any) -> Answer:
        return _json({"status": "alive"})

    def _ready(self, path: str, headers: Any) -> Answer:
        why = self.seen().reasons
        return _json({"status": "not ready" if why else "ready", "reasons": why}, 503 if why else 200)

    def _state(self, path: str, headers: Any) -> Answer:
        self.start()  # where nobody else does
        return _json(shown(self.seen(), self._collector.totals) | {"rates": self._rates.samples()})

    def _looked_up(self, body: bytes) -> Answer:
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError):
            return _NO_LOOKUP
        if not isinstance(asked, dict) or not isinstance(asked.get("imei"), str):
            return _NO_LOOKUP
        imsi = asked.get("imsi")
        if not isinstance(imsi, str | None):
            return _NO_LOOKUP
        if self.store is None:
            return UNREADABLE.answer
        try:
            return _json(self.lookup(asked["imei"].strip(), (imsi or "").strip() or None))
        except (ImeiError, ImsiError) as error:
            return problem(400, detail=str(error))
        except (ImeisetError, OSError):
            return UNREADABLE.answer

    def lookup(self, imei: str, imsi: str | None = None) -> dict[str, Any]:
        """The verdict on a phone and every claim, all by the lists of one moment.

        Raises
        ------
        ImeiError, ImsiError
            As `Store.check` does.
        """
        frozen = self.store.frozen()
        status = frozen.status()
        verdict, claims = frozen.check(imei, imsi), frozen.explain(imei, imsi)
        return {
            **verdict.to_dict(),
            "claims": [claim.to_dict() | {"age": _age_of(status, claim.list)} for claim in claims],
            "sequence": status.sequence,
            "generation": status.generation,
            "age": _finite(status.age),
        }


def shown(seen: Seen, totals: CounterSums) -> dict[str, Any]:
    """What the page is told: numbers and texts, nothing of a phone."""
    checks: dict[str, dict[str, int]] = {}
    for (interface, status, _), count in totals.take("checks", seen.processes).items():
        by_status, name = checks.setdefault(interface, {}), EquipmentStatus(status).name.lower()
        by_status[name] = by_status.get(name, 0) + count
    errors: dict[str, int] = {}
    for (interface, _), count in totals.take("errors", seen.processes).items():
        errors[interface] = errors.get(interface, 0) + count
    return {
        "now": seen.now,
        "reasons": seen.reasons,
        "checks": checks,
        "errors": errors,
        **(
            _of_store(seen.status, seen.expected.max_age)
            if seen.status
            else {"store": None, "lists": [], "feeds": []}
        ),
        "processes": [
            {
                "kind": one.kind,
                "index": one.index,
                "pid": one.pid,
                "alive": health.is_alive(one, seen.now),
                "silent": max(seen.now - one.beat, 0.0),
                "up": max(seen.now - one.started, 0.0),
                "starts": one.starts,
                "generation": one.generation,
                "sequence": one.sequence,
                "fault": one.fault and health.shown(one.fault),
            }
            for one in seen.processes
            if not one.ended
        ],
        "peers": [
            {
                "host": peer.host,
                "address": peer.address,
                "state": peer.state,
                "for": max(seen.now - peer.since, 0.0),
            }
            for one in seen.processes
            if health.is_alive(one, seen.now)
            for peer in one.peers
        ],
    }


def _of_store(status: Any, max_age: Mapping[str, float]) -> dict[str, Any]:
    return {
        "store": {
            "generation": status.generation,
            "sequence": status.sequence,
            "age": _finite(status.age),
            "pending": status.journal_records,
            "compact_due": status.compact_due,
        },
        "lists": [
            {
                "name": name,
                "status": one.status.name.lower(),
                "kind": one.kind,
                "owner": one.owner,
                "entries": status.counts[name],
                "age": _finite(one.age),
                "max_age": max_age.get(name),
            }
            for name, one in status.lists.items()
        ],
        "feeds": [
            {"name": name, "number": one.number, "age": _finite(one.age)}
            for name, one in status.feeds.items()
        ],
    }


def hardened(answer: Answer) -> Answer:
    """The answer, with what tells a browser to keep nothing and to believe nobody else."""
    return answer._replace(headers=[*answer.headers, *_ALWAYS])


def is_loopback(host: str) -> bool:
    """Whether a Host header is a name of this machine for itself, with a port or without.

    Examples
    --------
    >>> [is_loopback(host) for host in ("localhost:9090", "127.0.0.1", "[::1]:9090", "eir.example.org", "")]
    [True, True, True, False, False]
    """
    found = _HOST(host.lower())
    if found is None:
        return False
    if found["name"] == "localhost":
        return True
    try:
        return ipaddress.ip_address(found["name"] or found["six"]).is_loopback
    except ValueError:
        return False


def _refused(headers: Any) -> Answer | None:
    """Why a lookup is not taken: other pages in the same browser may not ask, not even blindly."""
    if (headers.get("content-type") or "").partition(";")[0].strip().lower() != "application/json":
        return _NO_JSON
    origin, host = headers.get("origin"), headers.get("host") or ""
    foreign = origin is not None and origin.lower() not in (
        f"http://{host.lower()}",
        f"https://{host.lower()}",
    )
    if foreign or headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return _FOREIGN_PAGE
    return None


def _age_of(status: Any, name: str) -> float | None:
    one = status.lists.get(name)
    return None if one is None else _finite(one.age)


def _finite(age: float | None) -> float | None:
    """An age as JSON has it: -1 for one that nobody knows, because the clock was set."""
    return -1.0 if age is not None and math.isinf(age) else age


def _json(told: Any, status: int = 200) -> Answer:
    return Answer(status, JSON, json.dumps(told).encode())
