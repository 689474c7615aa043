"""The bars of the fronts: `python -m benchmarks.serve [--quick] [--only PART] [--json FILE]`.

It needs the extra `serve`, and of Debian nghttp2-client, nginx-light, freediameter, libfreediameter-dev and
openssl; what is not here is said, and left out.
"""

import argparse
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ..own.__main__ import Bar, show
from . import fronts, handlers, loads, ours, running, s13

ROUNDS, PASSES, IDENTITY_CHECKS = 7, 2, 400_000
NEEDED = {
    "rates": ("h2load", "nghttp2-client"),
    "changes": ("h2load", "nghttp2-client"),
    "memory": ("h2load", "nghttp2-client"),
    "s13": ("freeDiameterd", "freediameter libfreediameter-dev"),
}


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serve", description="The bars of the fronts on the wire."
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds: one minute instead of five")
    parser.add_argument("--only", choices=("rates", "changes", "memory", "s13", "bulk"), help="one part")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    rounds, part = (3, 2) if options.quick else (ROUNDS, 1)
    rows: list[Bar] = []
    with tempfile.TemporaryDirectory(prefix="imeiset-bench-") as name:
        folder = Path(name)
        imeis = ours.prepare(folder)
        questions = loads.write_questions(folder / "questions.txt", imeis)
        parts: dict[str, Callable[[], Iterator[Bar]]] = {
            "rates": lambda: fronts.rates(folder, questions, rounds, PASSES // part),
            "s13": lambda: s13.rates(folder, imeis, rounds, IDENTITY_CHECKS // part),
            "bulk": lambda: handlers.bulk(folder, imeis, rounds),
            "memory": lambda: fronts.memory(folder, questions, min(rounds, 3)),
            "changes": lambda: fronts.while_it_changes(folder, questions, 2 if options.quick else 5),
        }
        for what, measure in parts.items():
            if options.only not in (None, what):
                continue
            program, packages = NEEDED.get(what, ("python3", ""))
            if shutil.which(program, path=running.PATH) or what not in NEEDED:
                try:
                    rows += measure()
                except subprocess.CalledProcessError as error:
                    print(f"{what}: left out, {error.cmd[0]} failed (Debian: {packages}): {error.stderr}")
            else:
                print(f"{what}: left out, {program} not found (Debian: {packages})")
    show(rows, options.json)


if __name__ == "__main__":
    main()
