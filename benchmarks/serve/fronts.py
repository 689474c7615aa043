"""The 5G front: its rate beside others, its answers while the store changes, the memory of a worker."""

import contextlib
import shutil
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from imeiset import Delta, Store

from ..own.__main__ import Bar
from . import ours
from .loads import CLIENTS, at_a_rate, at_full_speed
from .running import PATH, Server, free_port, running

RATE, SECONDS = 8_000, 6.0
DELTAS, CHANGES = 20, 10_000
NGINX = shutil.which("nginx", path=PATH)


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[Server]:
    """nginx with a constant answer; the folder keeps its configuration."""
    port = free_port()
    text = Path(__file__).with_name("nginx.conf").read_text()
    path = folder / "nginx.conf"
    path.write_text(text.replace("PREFIX", str(folder)).replace("PORT", str(port)))
    with running([str(NGINX), "-e", "stderr", "-c", str(path)], port, folder / "nginx.log") as server:
        yield server


def rates(folder: Path, questions: Path, rounds: int, passes: int) -> Iterator[Bar]:
    """Requests a second of one worker beside granian and nginx with a constant answer, which take turns. In
    each turn every connection asks all questions, so many times."""
    requests = passes * CLIENTS * ours.QUESTIONS
    with contextlib.ExitStack() as stack:
        servers = {
            "ours": stack.enter_context(ours.over_http(folder)),
            "granian": stack.enter_context(ours.constant(folder)),
        }
        if NGINX:
            servers["nginx"] = stack.enter_context(nginx(folder))
        for server in servers.values():  # warm
            at_full_speed(server, questions, requests // 4)
        seen = {name: [] for name in servers}  # type: dict[str, list[tuple[float, float]]]
        for _ in range(rounds):
            for name, server in servers.items():
                load = at_full_speed(server, questions, requests)
                right = requests // 2 if name == "ours" else requests
                if load.failed or load.found != right:
                    raise AssertionError(f"{name}: expected {right} answers 200 of {requests}, got {load}")
                seen[name].append((load.rate, load.cpu))
    rate = {name: statistics.median(one for one, _ in loads) for name, loads in seen.items()}
    cpu = {name: statistics.median(one for _, one in loads) * 1e6 for name, loads in seen.items()}
    what = {"granian": "granian with a constant answer", "nginx": "nginx `return 200`"}
    for name, bar, stretch in (("granian", 0.8, 0.95), ("nginx", 0.6, 0.8)):
        if name in rate:
            ratio = statistics.median(
                mine / other for (mine, _), (other, _) in zip(seen["ours"], seen[name], strict=True)
            )
            note = (
                f"{rate['ours'] / 1e3:.0f} k/s of {cpu['ours']:.0f} µs, "
                f"{rate[name] / 1e3:.0f} k/s of {cpu[name]:.0f} µs"
            )
            yield Bar(f"5G check, h2c, one worker: of {what[name]}", "times", bar, stretch, ratio, note)


def change(store: Path, seconds: float) -> tuple[int, int]:
    """Twenty deltas, each of 10,000 changes, and a compaction within these seconds: how many phones were
    added, and how many removed."""
    rng, added, removed = np.random.default_rng(15), 0, 0
    with Store.open(store) as writer:
        start = time.monotonic()
        before = np.empty(0, np.uint64)
        for n in range(DELTAS):
            time.sleep(max(0.0, start + n * seconds / (DELTAS + 1) - time.monotonic()))
            keys = rng.integers(0, 10**14, CHANGES - len(before), dtype=np.uint64)
            report = writer.apply(Delta("black", add=keys, remove=before))
            before = keys[: CHANGES // 2]
            added, removed = added + len(keys), removed + len(before)
            if n == DELTAS // 2:
                writer.compact()
        del report
    return added, removed


def while_it_changes(folder: Path, questions: Path, rounds: int) -> Iterator[Bar]:
    """The slowest answers at a fixed rate, with deltas and a compaction against without."""
    quiet, changing, failed = [], [], 0
    log = folder / "answers.tsv"
    with ours.over_http(folder, workers=2) as server, ProcessPoolExecutor(1, get_context("spawn")) as pool:
        at_full_speed(server, questions, 20_000)
        pool.submit(int).result()
        for _ in range(rounds):
            quiet.append(at_a_rate(server, questions, RATE, SECONDS, log))
            writing = pool.submit(change, folder / "eir", SECONDS)
            changing.append(at_a_rate(server, questions, RATE, SECONDS, log))
            writing.result()
            failed += quiet[-1].failed + changing[-1].failed
    asked = 2 * rounds * round(RATE * SECONDS)
    what = f"{RATE:,} requests/s, {DELTAS} deltas of {CHANGES:,} and a compaction in {SECONDS:.0f} s"
    yield Bar(f"{what}: failed", "requests", 0, 0, failed, f"of {asked:,}")
    ratio = statistics.median(one.p99 / other.p99 for one, other in zip(changing, quiet, strict=True))
    note = (
        f"{statistics.median(one.p99 for one in changing):.1f} ms, "
        f"quiet {statistics.median(one.p99 for one in quiet):.1f}, "
        f"the best rounds {min(one.p99 for one in changing):.1f} and {min(one.p99 for one in quiet):.1f}"
    )
    yield Bar("the 99th percentile of its answers: of the quiet one", "times as long", 3, 1.5, ratio, note)


def memory(folder: Path, questions: Path, rounds: int) -> Iterator[Bar]:
    """What each of two workers shares with nobody, beside those of granian with a constant answer."""
    own: dict[str, list[float]] = {"ours": [], "constant": []}
    for _ in range(rounds):
        for name, make in (("ours", ours.over_http), ("constant", ours.constant)):
            with make(folder, 2) as server:
                for _ in range(4):  # so that every worker has some of the connections
                    at_full_speed(server, questions, 20_000)
                own[name].append(statistics.mean(server.own(2)) / 1e6)
    mine, other = statistics.median(own["ours"]), statistics.median(own["constant"])
    note = f"{mine:.0f} MB, with a constant answer {other:.0f}"
    yield Bar("memory of its own of a second worker: beyond granian's", "MB", 20, 10, mine - other, note)
