"""The folder of a run, while other runs begin and tidy up."""

import subprocess
import sys
import tempfile
from pathlib import Path

from imeiset.serve.processes.folder import run_folder

from .servers import PATIENCE

RUNS = """
import sys
from imeiset.serve.processes.folder import run_folder
for _ in range(150):
    with run_folder() as folder:
        (folder / "config.json").write_text("x")
        assert (folder / "config.json").read_text() == "x"
"""


def test_runs_that_begin_at_once_leave_each_other_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    runs = [subprocess.Popen([sys.executable, "-c", RUNS]) for _ in range(6)]
    assert [run.wait(PATIENCE) for run in runs] == [0] * len(runs)
    assert not list(tmp_path.iterdir())


def test_folders_of_dead_runs_are_removed_and_others_stay(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    with run_folder() as first:
        dead = Path(tempfile.mkdtemp(prefix="imeiset-serve-", dir=tmp_path))
        (dead / "config.json").write_text("x")
        other = tmp_path / "other"
        other.mkdir()
        with run_folder() as second:
            assert first.exists()
            assert second.exists()
            assert not dead.exists()
            assert other.exists()
        assert not second.exists()
    assert list(tmp_path.iterdir()) == [other]
