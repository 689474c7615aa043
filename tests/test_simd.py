"""The SIMD level that is chosen is the highest that the processor has and the system saves registers for."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from imeiset._native import simd

# The flags of a level as the kernel names them; it leaves out those whose registers it does not save.
FLAGS = {
    "sse4": "ssse3 sse4_1 sse4_2 popcnt",
    "avx2": "avx avx2 bmi1 bmi2",
    "avx512": "avx512f avx512bw avx512dq avx512vl avx512vbmi avx512_vbmi2 avx512_vpopcntdq",
}
CPUINFO = Path("/proc/cpuinfo")


def test_levels_are_those_of_the_processor() -> None:
    if platform.machine() != "x86_64" or not CPUINFO.exists():
        assert simd.simd_levels()[0] == "portable"
        return
    line = next(line for line in CPUINFO.read_text().splitlines() if line.startswith("flags"))
    has = set(line.split())
    expected = ["portable"]
    for level, flags in FLAGS.items():
        if not has.issuperset(flags.split()):
            break
        expected.append(level)
    assert list(simd.simd_levels()) == expected


@pytest.mark.parametrize("level", [*simd.simd_levels(), ""])
def test_the_environment_chooses_a_level(level: str) -> None:
    code = "from imeiset._native import simd; print(simd.simd_level())"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "IMEISET_SIMD": level},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == (level or simd.simd_levels()[-1])


def test_a_level_that_is_not_there_is_refused() -> None:
    before = simd.simd_level()
    for name in ("avx1024", "", "avx2\0", "AVX2"):
        with pytest.raises(ValueError, match="SIMD level: expected one of portable"):
            simd.use_simd(name)
    assert simd.simd_level() == before
