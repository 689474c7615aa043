"""Would the tests notice? Change one thing in a copy of the sources, run the tests that reach it, and see.

    python tools/mutants.py cover tests/register tests/store    # which tests reach which line
    python tools/mutants.py run --sample 300                    # those of the sample that were not tried yet

`make mutants` does both. Run it at the root of a copy with compiled modules: files there are changed, and put
back. A mutant is a change of one operator, condition, constant, call or return. Types, docstrings, messages
and logs stay as they are. The sample depends on the seed and the text of each mutant alone: it hardly moves
when the sources do, and a larger one contains a smaller one. `tools/mutants.toml` names those that no test
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
import re
import resource
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from coverage import Coverage

SCOPE = [f"imeiset/{room}/*.py" for room in ("register", "store", "feeds", "deltas")]
SCOPE += [f"imeiset/{name}.py" for name in ("columns", "sets", "algebra", "index", "merging", "readers")]
SCOPE += ["imeiset/snapshot.py"]
BAR = 92  # percent that are killed or equal
REACHED, RESULTS = Path("../reached.pickle"), Path("../results.jsonl")  # beside the copy, which is made anew
EQUAL = Path("tools/mutants.toml")
PYTEST = ["-q", "-m", "not long", "-p", "no:cacheprovider", "--benchmark-disable", "--tb=line"]
PYTEST += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is imported here

LOADED = ["hypothesis", "numpy", "nanoarrow", "pyarrow.parquet", "openpyxl", "click", "rich.console"]
LOADED += ["xxhash", "pyroaring", "fsspec", "isal.isal_zlib"]  # a fork has them already

COMPARED = {
    "<=": "<",
    "<": "<=",
    ">=": ">",
    ">": ">=",
    "==": "!=",
    "!=": "==",
    "is not": "is",
    "is": "is not",
}
COMPARED |= {"not in": "in", "in": "not in"}
COUNTED = {"**": "*", "//": "*", "<<": ">>", ">>": "<<", "+": "-", "-": "+", "*": "//", "/": "*", "%": "//"}
COUNTED |= {"&": "|", "|": "&", "^": "&"}
JOINED = {"and": "or", "or": "and"}
TOLD = re.compile(r"(Error|Warning|Missing|warn|cast|TypeVar|overload)$|^_?log(ger)?$|^logging$")


class Mutant(NamedTuple):
    """One change: the bytes `start` to `end` of a file become `after`."""

    file: str
    function: str
    lines: frozenset[int]  # a test that reaches one of them may notice
    start: int
    end: int
    after: bytes

    def texts(self, source: bytes) -> tuple[str, str]:
        """The lines that change, as they are and as they would be, in one line each."""
        first, last = source.rfind(b"\n", 0, self.start) + 1, source.find(b"\n", self.end)
        new = source[first : self.start] + self.after + source[self.end : last]
        return " ".join(source[first:last].decode().split()), " ".join(new.decode().split())

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.after + source[self.end :]


class Finder(ast.NodeVisitor):
    """All mutants of one file."""

    def __init__(self, file: str, source: bytes) -> None:
        self.file, self.source, self.found, self.names, self.statement = file, source, [], [], 0
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.visit(ast.parse(source))

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            self.statement = node.lineno
        super().visit(node)

    def span(self, node: Any) -> tuple[int, int]:
        begin, end = self.starts[node.lineno - 1], self.starts[node.end_lineno - 1]
        return begin + node.col_offset, end + node.end_col_offset

    def text(self, node: Any) -> bytes:
        return self.source[slice(*self.span(node))]

    def add(self, node: Any, start: int, end: int, after: bytes) -> None:
        lines = frozenset([node.lineno, node.end_lineno, self.statement])
        self.found.append(Mutant(self.file, ".".join(self.names), lines, start, end, after))

    def swap(self, node: Any, after: bytes) -> None:
        self.add(node, *self.span(node), after)

    def operator(self, node: Any, left: Any, right: Any, table: dict[str, str]) -> None:
        """The operator between two operands, whatever brackets and blanks are there too."""
        names = "|".join(re.escape(name) for name in sorted(table, key=len, reverse=True))
        start, end = self.span(left)[1], self.span(right)[0]
        if found := re.search(names.encode(), self.source[start:end]):
            self.add(node, start + found.start(), start + found.end(), table[found[0].decode()].encode())

    def word(self, node: Any) -> None:
        """A word that decides something; other texts are told."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            end = self.span(node)[1]
            self.add(node, end - 1, end, b"x" + self.text(node)[-1:])

    def within(self, name: str, parts: list[Any]) -> None:
        self.names.append(name)
        for part in parts:
            self.visit(part)
        self.names.pop()

    def visit_ClassDef(self, node: Any) -> None:
        self.within(node.name, node.body)

    def visit_FunctionDef(self, node: Any) -> None:
        overload = any(TOLD.search(ast.unparse(one)) for one in node.decorator_list)
        if node.name not in ("__repr__", "__str__") and not overload:
            defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            self.within(node.name, [*defaults, *node.body])

    def visit_AnnAssign(self, node: Any) -> None:
        if node.value and ast.unparse(node.annotation) != "TypeAlias":
            self.visit(node.value)

    def visit_Assign(self, node: Any) -> None:
        if ast.unparse(node.targets[0]) not in ("__slots__", "__all__"):
            self.generic_visit(node)

    def visit_Expr(self, node: Any) -> None:
        if isinstance(node.value, ast.Call) and not self.is_told(node.value):
            self.swap(node, b"pass")
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def is_told(self, call: ast.Call) -> bool:
        return any(TOLD.search(name) for name in ast.unparse(call.func).split("."))

    def visit_Raise(self, node: Any) -> None:
        self.swap(node, b"pass")

    def visit_JoinedStr(self, node: Any) -> None:
        pass

    def visit_Call(self, node: Any) -> None:
        if self.is_told(node):
            return
        if ast.unparse(node.func) in ("isinstance", "issubclass"):
            self.visit(node.args[0])  # types otherwise
            return
        alone = len(node.args) == 1 and not node.keywords
        if alone and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp):
            self.swap(node, b"(" + self.text(node.args[0]) + b")")
        before = node.args[-1:]
        for keyword in node.keywords:
            if keyword.arg not in (None, "strict") and before:
                self.add(keyword, self.span(before[-1])[1], self.span(keyword)[1], b"")
            before = [keyword.value]
        self.generic_visit(node)

    def visit_keyword(self, node: Any) -> None:
        if node.arg != "strict":  # which asserts what is so
            self.generic_visit(node)

    def visit_Return(self, node: Any) -> None:
        if node.value and ast.unparse(node.value) != "None":
            self.swap(node, b"return None")
            self.generic_visit(node)

    def visit_Break(self, node: Any) -> None:
        self.swap(node, b"continue")

    def visit_Continue(self, node: Any) -> None:
        self.swap(node, b"break")

    def visit_Compare(self, node: Any) -> None:
        for left, right in pairwise([node.left, *node.comparators]):
            self.operator(node, left, right, COMPARED)
            self.word(right)
        self.generic_visit(node)

    def visit_Subscript(self, node: Any) -> None:
        self.word(node.slice)
        self.generic_visit(node)

    def visit_MatchValue(self, node: Any) -> None:
        self.word(node.value)
        self.generic_visit(node)

    def visit_BinOp(self, node: Any) -> None:
        if self.names or not isinstance(node.op, ast.BitOr):  # a type
            self.operator(node, node.left, node.right, COUNTED)
            self.generic_visit(node)

    def visit_AugAssign(self, node: Any) -> None:
        self.operator(node, node.target, node.value, COUNTED)
        self.generic_visit(node)

    def visit_BoolOp(self, node: Any) -> None:
        for left, right in pairwise(node.values):
            self.operator(node, left, right, JOINED)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: Any) -> None:
        if isinstance(node.op, ast.Not):
            self.swap(node, self.text(node.operand))
        self.generic_visit(node)

    def condition(self, node: Any) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            if not isinstance(node.test, ast.Compare | ast.UnaryOp | ast.NamedExpr):  # which have their own
                self.swap(node.test, b"(not (" + self.text(node.test) + b"))")
            self.generic_visit(node)

    visit_If = visit_While = visit_IfExp = condition

    def visit_Constant(self, node: Any) -> None:
        if isinstance(node.value, bool):
            self.swap(node, str(not node.value).encode())
        elif isinstance(node.value, int):
            self.swap(node, f"({node.value} + 1)".encode())


def mutants(seed: int) -> Iterator[tuple[str, Mutant]]:
    """All mutants with their keys, in the order of the sample."""
    keyed, seen = [], Counter()
    for file in sorted(str(path) for pattern in SCOPE for path in Path().glob(pattern)):
        source = Path(file).read_bytes()
        for mutant in Finder(file, source).found:
            name = (seed, file, mutant.function, *mutant.texts(source))
            seen[name] += 1
            keyed.append((hashlib.sha256(repr((*name, seen[name])).encode()).hexdigest()[:16], mutant))
    for key, mutant in sorted(keyed):
        with suppress(SyntaxError):  # no Python: nobody could write it
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


def cover(paths: list[str]) -> int:
    """Run tests; keep what those that pass reach, beside what was known of others."""
    files = {str(path.resolve()): str(path) for pattern in SCOPE for path in Path().glob(pattern)}
    coverage = Coverage(data_file=None, include=list(files), config_file=False)
    plugin = Reached(coverage)
    coverage.start()
    pytest.main([*PYTEST, *paths], plugins=[plugin])
    coverage.stop()
    known = pickle.loads(REACHED.read_bytes()) if REACHED.exists() else {}
    known = {test: value for test, value in known.items() if not test.startswith(tuple(paths))}
    known |= {test: (took, {}) for test, took in plugin.seconds.items() if test not in plugin.failed}
    for path, file in files.items():
        for line, tests in (coverage.get_data().contexts_by_lineno(path) or {}).items():
            for test in known.keys() & set(tests):
                known[test][1].setdefault(file, set()).add(line)
    REACHED.write_bytes(pickle.dumps(known))
    print(f"{len(plugin.seconds)} tests, of which {len(plugin.failed)} fail and are not asked")
    return 0


def chosen(mutant: Mutant, known: dict[str, Any], seconds: float) -> tuple[list[str], float]:
    """The tests that reach a mutant, or its file where import does: the fastest, for some seconds."""
    near = {
        test: took
        for test, (took, files) in known.items()
        if not mutant.lines.isdisjoint(files.get(mutant.file, ()))
    }
    near = near or {test: took for test, (took, files) in known.items() if mutant.file in files}
    total, files = 0.0, {}
    for test, took in sorted(near.items(), key=lambda item: item[1]):
        if files and total + took > seconds:
            break
        total += took
        files.setdefault(test.split("::")[0], []).append(test)
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
    known, at = pickle.loads(REACHED.read_bytes()), REACHED.stat().st_mtime
    table = tomllib.loads(EQUAL.read_text()).get("equal", [])
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    done = {one["key"]: one for one in map(json.loads, lines)}
    part, parts = map(int, given.shard.split("/"))
    for name in LOADED:
        importlib.import_module(name)
    gc.freeze()  # a fork would look through all that is known
    alive, sums = [], Counter()
    for number, (key, mutant) in enumerate(islice(mutants(given.seed), given.sample)):
        was, new = mutant.texts(Path(mutant.file).read_bytes())
        one = {"key": key, "file": mutant.file, "line": max(mutant.lines), "before": was, "after": new}
        old = done.get(key)
        if is_equal(one, table):
            sums["equal"] += 1
            continue
        if number % parts == part and (old is None or (old["alive"] and old["at"] != at)):
            tests, seconds = chosen(mutant, known, given.seconds)
            old = one | {"alive": survives(mutant, tests, seconds), "tests": len(tests), "at": at}
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
    commands.add_parser("cover").add_argument("tests", nargs="+")
    trying = commands.add_parser("run")
    trying.add_argument("--sample", type=int, default=300, help="how many, in the order of the seed")
    trying.add_argument("--seed", type=int, default=1)
    trying.add_argument("--shard", default="0/1", help="which part of the sample: 0/3, 1/3, 2/3")
    trying.add_argument("--seconds", type=float, default=60, help="of tests for a mutant, the fastest first")
    given = parser.parse_args()
    if given.command == "cover":
        return cover(given.tests)
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # files are put back first
    os.environ.setdefault("HYPOTHESIS_PROFILE", "mutants")
    return run(given)


if __name__ == "__main__":
    sys.exit(main())
