"""The tool that changes one thing and asks the tests: what it changes in C, and that it goes on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent.parent / "tools"
if not (TOOLS / "mutants.py").exists():
    pytest.skip("the sources are away: an installed build is being tested", allow_module_level=True)

HEADER = b"""/* a + b */
#define TWO (1 + 1)

static inline int one(int a, int b) {
    if (a < b) return 7; /* 8 + 9 */
    note(a);
    PREFETCH(a + b);
    return a & b;
}
"""
CHANGED = {
    "if (a <= b) return 7;",
    "if (!(a < b)) return 7;",
    "if (a < b) return (7 + 1);",
    ";",
    "return a | b;",
}


@pytest.fixture
def changes_c(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import changes_c

    return changes_c


def test_changes_of_a_header(changes_c):
    found = list(changes_c.found("one.h", HEADER))
    assert {mutant.texts(HEADER)[1].split(" /*")[0] for mutant in found} == CHANGED
    assert {mutant.function for mutant in found} == {"one"}
    assert len({mutant.applied(HEADER) for mutant in found}) == len(found) == len(CHANGED)


def test_cover_goes_on_after_the_last_file_that_ended(tmp_path):
    pytest.importorskip("coverage")
    tree = tmp_path / "tree"
    (tree / "tests").mkdir(parents=True)
    (tree / "some.py").write_text("def one():\n    return 1\n")
    (tree / "tests" / "test_a.py").write_text(
        "import some\ndef test():\n    print(file=open('ran', 'a'))\n    assert some.one()\n"
    )
    (tree / "tests" / "test_b.py").write_text(
        "import os\ndef test():\n    os.path.exists('go') or os._exit(1)\n"
    )

    def cover():
        command = [sys.executable, str(TOOLS / "mutants.py"), "cover", "--only", "some.py", "tests"]
        environment = os.environ | {"PYTHONPATH": str(tree)}
        run = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=True)
        return run.stdout

    said = cover()
    assert "test_b.py: ended before its tests did" in said
    assert said.endswith("1 tests, of which 0 fail and are not asked\n")
    (tree / "go").touch()
    assert cover().endswith("2 tests, of which 0 fail and are not asked\n")
    assert (tree / "ran").read_text() == "\n"
