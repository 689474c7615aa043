"""The C headers do what plain twins say with all bytes that a fuzzer found worth keeping.

Each harness of tests/fuzz is compiled by the compiler that is here; `make fuzz` looks for more.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from imeiset._native import simd

HERE = Path(__file__).parent
COMPILER = shutil.which(os.environ.get("CC", "cc").split()[-1])
HARNESSES = sorted(path.stem for path in HERE.glob("*.c") if path.stem != "replay")
FLAGS = ["-std=gnu11", "-O0", "-pthread", "-w"]  # -O0: what takes time here is the compiler
if "avx512" not in simd.simd_levels():
    FLAGS.append("-DEMULATED")  # its instructions in plain C, see emulated.h
LARGEST = 50_000  # bytes of a file
ALL = 300_000


@pytest.mark.skipif(not COMPILER, reason="no C compiler")
@pytest.mark.parametrize("harness", HARNESSES)
def test_nothing_that_was_found_stops_a_harness(harness: str, tmp_path: Path) -> None:
    program, inputs = tmp_path / harness, sorted((HERE / "corpus" / harness).iterdir())
    sources = [HERE / f"{harness}.c", HERE / "replay.c"]
    assert inputs
    subprocess.run([str(COMPILER), *FLAGS, *sources, "-o", program], check=True)
    run = subprocess.run([program, *inputs], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-500:]  # its last line but one names the file


def test_corpora_are_small() -> None:
    sizes = [path.stat().st_size for path in (HERE / "corpus").rglob("*") if path.is_file()]
    assert max(sizes) <= LARGEST
    assert sum(sizes) <= ALL
