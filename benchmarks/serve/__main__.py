"""The bars of the fronts: `python -m benchmarks.serve [--quick] [--only NAME] [--json FILE]`."""

import argparse
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ..own.__main__ import Bar, show
from . import fronts, loads, ours

ROUNDS, REQUESTS = 7, 120_000


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a minute instead of five")
    parser.add_argument("--only", choices=("rates", "changes", "memory"), help="one part alone")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    rounds, requests = (3, REQUESTS // 3) if options.quick else (ROUNDS, REQUESTS)
    rows: list[Bar] = []
    with tempfile.TemporaryDirectory(prefix="imeiset-bench-") as name:
        folder = Path(name)
        imeis = ours.prepare(folder)
        questions = loads.write_questions(folder / "questions.txt", imeis)
        parts: dict[str, Callable[[], Iterator[Bar]]] = {}
        if shutil.which("h2load"):
            parts["rates"] = lambda: fronts.rates(folder, questions, rounds, requests)
            parts["changes"] = lambda: fronts.while_it_changes(folder, questions, min(rounds, 3))
            parts["memory"] = lambda: fronts.memory(folder, questions)
        else:
            print("h2load (Debian: nghttp2-client): not found, the bars of HTTP/2 are left out")
        for part, measure in parts.items():
            if options.only in (None, part):
                rows += measure()
    show(rows, options.json)


if __name__ == "__main__":
    main()
