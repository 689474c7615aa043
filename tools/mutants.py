"""Would the tests notice? Change one thing in a copy of the sources, run the tests that reach it, and see.

    python tools/mutants.py cover tests/register tests/store    # which tests reach which line
    python tools/mutants.py run --sample 300                    # those of the sample that were not tried yet

`make mutants` does both. Either goes on where it was stopped: `cover` keeps what each file of tests reaches.
`--only imeiset/register/deciders.py` is for the mutants of some files; the tests that can reach them are then
enough for `cover`. Those of a header of `_native/c` need none: the harnesses of tests/fuzz that include it
are replayed. Run it at the root of a copy with compiled modules: files there are changed, and put back. A
mutant is a change of one operator, condition, constant, call or return. Types, docstrings, messages and logs
stay as they are. The sample depends on the seed and the text of each mutant alone: it hardly moves when the
sources do, and a larger one contains a smaller one. `tools/mutants.toml` names those that no test
can tell from the original, and why.
"""

import argparse
import ast
import gc
import hashlib
import importlib
import json
import os
import pickle
import resource
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import changes_c
import pytest
from changes import Finder, Mutant
from coverage import Coverage

SCOPE = [f"imeiset/{room}/*.py" for room in ("register", "store", "feeds", "deltas")]
SCOPE += [f"imeiset/{name}.py" for name in ("columns", "sets", "algebra", "index", "merging", "readers")]
SCOPE += ["imeiset/snapshot.py"]
BAR = 92  # percent that are killed or equal
REACHED, RESULTS = Path("../reached.pickle"), Path("../results.jsonl")  # beside the copy, which is made anew
COVERED = Path("../covered")  # what each file of tests reaches
EQUAL = Path("tools/mutants.toml")
PYTEST = ["-q", "-m", "not long", "-p", "no:cacheprovider", "--benchmark-disable", "--tb=line"]
PYTEST += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is imported here

LOADED = ["hypothesis", "numpy", "nanoarrow", "pyarrow.parquet", "openpyxl", "click", "rich.console"]
LOADED += ["xxhash", "pyroaring", "fsspec", "isal.isal_zlib"]  # a fork has them already


def scope(only: list[str]) -> list[str]:
    """The files of which there are mutants: all, or those that are named."""
    return sorted(str(path) for pattern in only or SCOPE for path in Path().glob(pattern))


def mutants(seed: int, only: list[str]) -> Iterator[tuple[str, Mutant]]:
    """All mutants with their keys, in the order of the sample."""
    keyed, seen = [], Counter()
    for file in scope(only):
        source = Path(file).read_bytes()
        in_c = file.endswith(".h")
        for mutant in changes_c.found(file, source) if in_c else Finder(file, source).found:
            name = (seed, file, mutant.function, *mutant.texts(source))
            seen[name] += 1
            keyed.append((hashlib.sha256(repr((*name, seen[name])).encode()).hexdigest()[:16], mutant))
    for key, mutant in sorted(keyed):
        with suppress(SyntaxError):  # no Python: nobody could write it
            if not mutant.file.endswith(".h"):
                ast.parse(mutant.applied(Path(mutant.file).read_bytes()))
            yield key, mutant


class Reached:
    """A plugin of pytest: which lines each test reaches, and how many seconds of a processor it takes."""

    def __init__(self, coverage: Coverage) -> None:
        self.coverage, self.seconds, self.failed = coverage, {}, set()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.coverage.switch_context(nodeid)
        self.seconds[nodeid] = -time.process_time()

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.seconds[nodeid] += time.process_time()


def cover(paths: list[str], only: list[str]) -> int:
    """Run tests, a file of them at a time; keep what those that pass reach, beside what was known."""
    files, known, failed = scope(only), {}, 0
    sources = [Path(file).read_bytes() for file in files]
    COVERED.mkdir(exist_ok=True)
    for path in paths:
        for tests in sorted(map(str, Path(path).rglob("test_*.py"))) or [path]:
            name = hashlib.sha256(
                repr((tests, Path(tests).read_bytes(), files, sources)).encode()
            ).hexdigest()
            kept = COVERED / name
            if not kept.exists():
                if not (child := os.fork()):
                    _cover_file(tests, files, kept)
                os.waitpid(child, 0)
            if not kept.exists():
                print(f"{tests}: ended before its tests did; its tests are not asked")
                continue
            passed, broken = pickle.loads(kept.read_bytes())
            known, failed = known | passed, failed + broken
    old = pickle.loads(REACHED.read_bytes()) if REACHED.exists() else {}
    old = {test: value for test, value in old.items() if not test.startswith(tuple(paths))}
    REACHED.write_bytes(pickle.dumps(old | known))
    print(f"{len(known) + failed} tests, of which {failed} fail and are not asked")
    return 0


def _cover_file(tests: str, files: list[str], kept: Path) -> None:
    """In a fork, which ends here: no file of tests has imported anything for another."""
    try:
        coverage = Coverage(
            data_file=None, include=[str(Path(file).resolve()) for file in files], config_file=False
        )
        plugin = Reached(coverage)
        coverage.start()
        pytest.main([*PYTEST, tests], plugins=[plugin])
        coverage.stop()
        known = {test: (took, {}) for test, took in plugin.seconds.items() if test not in plugin.failed}
        for file in files:
            for line, reaching in (
                coverage.get_data().contexts_by_lineno(str(Path(file).resolve())) or {}
            ).items():
                for test in known.keys() & set(reaching):
                    known[test][1].setdefault(file, set()).add(line)
        half = kept.with_suffix(".half")
        half.write_bytes(pickle.dumps((known, len(plugin.failed))))
        half.rename(kept)
        sys.stdout.flush()
    finally:
        os._exit(0)


def chosen(mutant: Mutant, known: dict[str, Any], seconds: float) -> tuple[list[str], float]:
    """The fastest tests that reach a mutant, for some seconds, and then of those that reach its file: what
    import runs is noted for the first of them alone."""
    near = {
        test: (mutant.lines.isdisjoint(files[mutant.file]), took)
        for test, (took, files) in known.items()
        if mutant.file in files
    }
    total, files = 0.0, {}
    for test, (far, took) in sorted(near.items(), key=lambda item: item[1]):
        if files and total + took > seconds:
            break
        total += took
        files.setdefault((far, test.split("::")[0]), []).append(test)
    ordered = sorted(files.values(), key=lambda tests: near[tests[-1]])
    return [test for tests in ordered for test in tests], total


def survives(mutant: Mutant, tests: list[str], seconds: float) -> bool:
    """Whether no test fails, in a fork. A mutant that does not end in time is killed."""
    if not tests:
        return True
    path = Path(mutant.file)
    source, before = path.read_bytes(), path.stat()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        try:
            path.write_bytes(mutant.applied(source))
            os.utime(path, (0, 0))  # so that what is compiled already is of another time
            if not (child := os.fork()):
                _child(tests, scratch)
            deadline, ended = time.monotonic() + 60 + 10 * seconds, (0, 0)
            try:
                while not ended[0] and time.monotonic() < deadline:
                    time.sleep(0.02)
                    ended = os.waitpid(child, os.WNOHANG)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(child, signal.SIGKILL)  # what it started, too
                if not ended[0]:
                    os.waitpid(child, 0)
            return ended[0] != 0 and ended[1] == 0
        finally:
            path.write_bytes(source)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _child(tests: list[str], scratch: str) -> None:
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 30, 4 << 30))  # it may never stop writing
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        os.environ["TMPDIR"] = tempfile.tempdir = scratch
        os._exit(pytest.main(["-x", *PYTEST, f"--basetemp={scratch}/t", *tests]))
    finally:
        os._exit(1)


def is_equal(one: dict[str, Any], table: list[dict[str, str]]) -> bool:
    """Whether a mutant is named as one that no test can tell from the original."""
    return any(
        all(named[name] == one[name] for name in ("file", "before"))
        and named.get("after", one["after"]) == one["after"]
        and named["reason"]
        for named in table
    )


def run(given: argparse.Namespace) -> int:
    """Try what was not tried yet, or survived before the tests changed; print what survives, and the sums."""
    known, at = {}, 0.0
    if REACHED.exists():  # headers need none
        known, at = pickle.loads(REACHED.read_bytes()), REACHED.stat().st_mtime
    table = tomllib.loads(EQUAL.read_text()).get("equal", [])
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    done = {one["key"]: one for one in map(json.loads, lines)}
    part, parts = map(int, given.shard.split("/"))
    for name in LOADED:
        importlib.import_module(name)
    gc.freeze()  # a fork would look through all that is known
    alive, sums = [], Counter()
    for number, (key, mutant) in enumerate(islice(mutants(given.seed, given.only), given.sample)):
        was, new = mutant.texts(Path(mutant.file).read_bytes())
        one = {"key": key, "file": mutant.file, "line": max(mutant.lines), "before": was, "after": new}
        old = done.get(key)
        if is_equal(one, table):
            sums["equal"] += 1
            continue
        if number % parts == part and (old is None or (old["alive"] and old["at"] != at)):
            if mutant.file.endswith(".h"):
                tests = changes_c.harnesses(mutant.file)
                alive_now = changes_c.survives(mutant, tests)
                if alive_now is None:  # no C: nobody could write it
                    continue
            else:
                tests, seconds = chosen(mutant, known, given.seconds)
                alive_now = survives(mutant, tests, seconds)
            old = one | {"alive": alive_now, "tests": len(tests), "at": at}
            with RESULTS.open("a") as file:
                file.write(json.dumps(old) + "\n")
        if old is not None:
            sums["alive" if old["alive"] else "killed"] += 1
            alive += [old] if old["alive"] else []
    for one in alive:
        print("{file}:{line} ({tests} tests)\n  - {before}\n  + {after}".format(**one))
    sums_told = ", ".join(f"{count} {what}" for what, count in sorted(sums.items()))
    print(f"seed {given.seed}: {sums.total()} of {given.sample} mutants: {sums_told}")
    return int(100 * len(alive) > (100 - BAR) * sums.total())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    covering = commands.add_parser("cover")
    covering.add_argument("tests", nargs="+")
    trying = commands.add_parser("run")
    trying.add_argument("--sample", type=int, default=300, help="how many, in the order of the seed")
    trying.add_argument("--seed", type=int, default=1)
    trying.add_argument("--shard", default="0/1", help="which part of the sample: 0/3, 1/3, 2/3")
    trying.add_argument("--seconds", type=float, default=60, help="of tests for a mutant, the fastest first")
    for command in (covering, trying):
        command.add_argument(
            "--only", action="append", default=[], metavar="FILE", help="mutants of it alone"
        )
    given = parser.parse_args()
    if given.command == "cover":
        return cover(given.tests, given.only)
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # files are put back first
    os.environ.setdefault("HYPOTHESIS_PROFILE", "mutants")
    return run(given)


if __name__ == "__main__":
    sys.exit(main())
