"""What may be changed in a C header, and whether a harness of tests/fuzz notices: see mutants.py."""

import os
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from changes import Mutant

C, FUZZ = Path("imeiset/_native/c"), Path("tests/fuzz")
COMPILER = os.environ.get("CC", "cc").split()[-1]
COMPILE = [COMPILER, "-std=gnu11", "-O0", "-pthread", "-w"]  # as tests/fuzz/test_corpora.py
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
SECONDS = 120  # of a processor, for a corpus that takes a few: what never ends is stopped

COMMENT = re.compile(
    rb"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\n])*\"|^#(?:[^\n]*\\\n)*[^\n]*", re.DOTALL | re.MULTILINE
)
FUNCTION = re.compile(rb"^(?!#)\S.*?\b(\w+)\([^;{]*\{$", re.MULTILINE)
CONDITION = re.compile(rb"(?:\bif |\bwhile )\((.*)\)")
CALL = re.compile(rb"^ +([\w>.&*\[\]-]+\([^{};]*\));", re.MULTILINE)
BINARY = re.compile(rb" (<<|>>|<=|>=|==|!=|&&|\|\||\+=|-=|\|=|&=|<|>|\+|-|\*|/|%|&|\||\^) ")
SWAPPED = "<=:< <:<= >=:> >:>= ==:!= !=:== &&:|| ||:&& <<:>> >>:<< +:- -:+ *:/ /:* %:/ &:| |:& ^:|"
OTHER = dict(pair.encode().split(b":") for pair in [*SWAPPED.split(), "+=:-=", "-=:+=", "|=:&=", "&=:|="])
NUMBER = re.compile(rb"(?<![\w.])(0x[0-9A-Fa-f]+|\d+)([uUlL]*)\b")
WORD = re.compile(rb"\b(continue|break);|(?<![\w)])(!)(?=[\w(*])|(\w)(\+\+|--)(?=[;,)\]])")
ONLY_TIME = re.compile(rb"PREFETCH|TARGET_|SIMD_X86|_Static_assert")
HERE = Path("/proc/cpuinfo")
HAS_AVX512 = HERE.exists() and "avx512vl" in HERE.read_text()
NOT_HERE = re.compile(rb"(?!)" if HAS_AVX512 else rb"avx512|AVX512")


def found(file: str, source: bytes) -> Iterator[Mutant]:
    """All mutants of a header, which need not be C; without those of what this machine cannot run."""
    text = COMMENT.sub(lambda match: re.sub(rb"[^\n]", b" ", match[0]), source)
    starts = [(match.start(), match[1]) for match in FUNCTION.finditer(text)]

    def function(at: int) -> bytes:
        return next((name for start, name in reversed(starts) if start <= at), b"")

    changes: set[tuple[int, int, bytes]] = set()
    for match in BINARY.finditer(text):
        changes.add((*match.span(1), OTHER[match[1]]))
    for match in NUMBER.finditer(text):
        changes.add((*match.span(), b"(" + match[0] + b" + 1)"))
    for match in WORD.finditer(text):
        if match[1]:
            changes.add((*match.span(1), b"break" if match[1] == b"continue" else b"continue"))
        elif match[2]:
            changes.add((*match.span(2), b""))
        else:
            changes.add((*match.span(4), b"--" if match[4] == b"++" else b"++"))
    for match in CONDITION.finditer(text):
        if end := _closing(text, match.start(1)):
            changes.add((match.start(1), end, b"!(" + source[match.start(1) : end] + b")"))
    for match in CALL.finditer(text):
        changes.add((*match.span(1), b""))
    for start, end, after in sorted(changes):
        line = text[text.rfind(b"\n", 0, start) + 1 : text.find(b"\n", end)]
        name, number = function(start), source.count(b"\n", 0, start) + 1
        inside = line.startswith(b" ") and name
        if inside and not ONLY_TIME.search(line) and not NOT_HERE.search(name + line):
            yield Mutant(file, name.decode(), frozenset([number]), start, end, after)


def _closing(text: bytes, at: int) -> int:
    """Where the bracket closes that was opened before."""
    depth = 1
    for place in range(at, len(text)):
        depth += {b"(": 1, b")": -1}.get(text[place : place + 1], 0)
        if not depth:
            return place
    return 0


def harnesses(file: str) -> list[str]:
    """Those that include a header, itself or by others; the one of its name first."""
    names = sorted(path.stem for path in FUZZ.glob("*.c") if path.stem != "replay")
    names.sort(key=lambda name: name != Path(file).stem)

    def includes(name: str) -> bool:
        run = [COMPILER, "-MM", str(FUZZ / f"{name}.c")]
        return f"/{Path(file).name}" in subprocess.run(run, check=True, capture_output=True, text=True).stdout

    return [name for name in names if includes(name)]


def survives(mutant: Mutant, names: list[str]) -> bool | None:
    """Whether no harness stops at its corpus, sanitizers neither; None for a mutant that is no C."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch)
        shutil.copytree(C, tree / C)
        (tree / FUZZ).mkdir(parents=True)
        for path in [*FUZZ.glob("*.c"), *FUZZ.glob("*.h")]:
            shutil.copy(path, tree / FUZZ)
        header = tree / mutant.file
        header.write_bytes(mutant.applied(header.read_bytes()))
        for flags, name in product(([], SANITIZERS), names):
            sources = [str(tree / FUZZ / f"{one}.c") for one in (name, "replay")]
            command = [*COMPILE, *flags, *sources, "-o", str(tree / name)]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                return None
            corpus = sorted(map(str, (FUZZ / "corpus" / name).iterdir()))
            run = subprocess.run([tree / name, *corpus], capture_output=True, preexec_fn=_limit, check=False)
            if run.returncode:
                return False
    return True


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
