"""What a build refuses, and that it takes the version from one place."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

if not (ROOT / "setup.py").exists():
    pytest.skip("the sources are away: an installed build is being tested", allow_module_level=True)

SOMEWHERE_ELSE = "imeiset needs a 64-bit little-endian processor"


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
@pytest.mark.parametrize(
    ("name", "value"), [("__BYTE_ORDER__", "__ORDER_BIG_ENDIAN__"), ("__SIZEOF_POINTER__", "4")]
)
def test_other_processors_are_refused_by_the_compiler(name, value):
    run = subprocess.run(
        ["cc", f"-U{name}", f"-D{name}={value}", "-fsyntax-only", ROOT / "imeiset/_native/c/simd.h"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode
    assert SOMEWHERE_ELSE in run.stderr


@pytest.mark.parametrize("change", ["sys.byteorder = 'big'", "sys.maxsize = 2**31 - 1"])
def test_other_processors_are_refused_before_anything_is_compiled(change):
    code = f"import runpy, sys; {change}; sys.argv = ['setup.py', 'build']; runpy.run_path('setup.py')"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.strip().startswith(SOMEWHERE_ELSE)
    assert len(run.stderr.splitlines()) == 1


def test_the_version_is_said_once():
    places = ["imeiset/__init__.py", "pyproject.toml", "setup.py", "CITATION.cff", "Makefile"]
    found = [
        place for place in places if re.search(r"(?m)^_*version.*\d+\.\d+\.\d+", (ROOT / place).read_text())
    ]
    assert found == ["imeiset/__init__.py"]


def test_a_name_in_the_makefile_means_one_thing():
    """make takes the last definition of a variable, also for the targets above it."""
    names = re.findall(r"(?m)^(\w+) *[:?]?=", (ROOT / "Makefile").read_text())
    assert len(names) > 30
    assert [name for name in set(names) if names.count(name) > 1] == []


def test_processes_that_a_build_starts_build_nothing():
    # Python 3.14 starts them afresh, and they read setup.py as a module before they translate.
    code = "import runpy, setuptools; setuptools.setup = None; runpy.run_path('setup.py', {}, '__mp_main__')"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
