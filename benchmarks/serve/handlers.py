"""Checks in bulk: the time of the handler, from the bytes of a body to those of its answer."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from imeiset import Store
from imeiset.serve.config import LimitsConfig
from imeiset.serve.http.bulk import CHECKS, Bulk

from ..own.__main__ import Bar

_LEAST = 0.02  # seconds of a turn


def bulk(folder: Path, imeis: list[str], rounds: int) -> Iterator[Bar]:
    """1,000 IMEIs as JSON and 10,000 as lines against `check_many` of the same texts, which take turns."""
    with Store.open(folder / "eir") as store:
        handler = Bulk(store, None, LimitsConfig())
        for what, count, bar, stretch, kind in (
            ("bulk of 1,000 as JSON", 1_000, 4, 2, "application/json"),
            ("bulk of 10,000 as lines", 10_000, 2, 1.2, "text/plain"),
        ):
            texts = imeis[:count]
            lines = "".join(f"{text}\n" for text in texts).encode()
            body = json.dumps({"imeis": texts}).encode() if kind == "application/json" else lines
            headers = {"content-type": kind}
            answer = handler.answer("POST", CHECKS, "", headers, body)
            if answer.status != 200:
                raise AssertionError(f"{kind}: {answer.status} {answer.body[:200]!r}")
            calls: list[Callable[[], object]] = [
                lambda headers=headers, body=body: handler.answer("POST", CHECKS, "", headers, body),  # type: ignore[misc]
                lambda texts=texts: store.check_many(texts),  # type: ignore[misc]
                lambda lines=lines: store.check_many(lines),  # type: ignore[misc]
            ]
            seen = [[_turn(call) for call in calls] for _ in range(rounds)]
            mine, alone, plain = (statistics.median(column) * 1e6 for column in zip(*seen, strict=True))
            ratio = statistics.median(one[0] / one[1] for one in seen)
            note = f"{mine:,.0f} µs, check_many of the texts {alone:,.0f}, of the lines {plain:,.0f}"
            yield Bar(f"{what}: the handler, of check_many alone", "times as long", bar, stretch, ratio, note)


def _turn(call: Callable[[], object]) -> float:
    """Seconds of a call, the mean of a turn."""
    start, calls = time.perf_counter(), 0
    while (taken := time.perf_counter() - start) < _LEAST or not calls:
        call()
        calls += 1
    return taken / calls
