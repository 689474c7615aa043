"""The pages of the integrations: their code runs, from top to bottom, on a small list and dirty calls."""

import importlib
import re
from pathlib import Path

import dirty
import pytest
from click.testing import CliRunner

from imeiset import ImeiSet
from imeiset.cli import main

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGES = {"arrow": "pyarrow", "pandas": "pandas", "polars": "polars", "duckdb": "duckdb"}  # and what they need

if not DOCS.is_dir():
    pytest.skip("the sources are away: an installed build is being tested", allow_module_level=True)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory with a list, and calls in Parquet."""
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("nanoarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    monkeypatch.chdir(tmp_path)
    ImeiSet(dirty.LISTED).save("blocked.imei")
    imsis = [f"2341500000000{i:02d}" for i in range(len(dirty.COLUMN))]
    parquet.write_table(pa.table({"imei": dirty.COLUMN, "imsi": imsis}), "calls.parquet")
    return tmp_path


def run_the_code_of(page):
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / f"{page}.md").read_text(), re.M | re.S)
    assert blocks
    exec(compile("\n".join(blocks), f"{page}.md", "exec"), {"__name__": "__main__"})


def test_the_commands_of_the_screening_page_run(here):
    Path("calls").mkdir()
    for name in ("calls.csv", "calls/1.csv", "calls/2.csv"):
        Path(name).write_text("imei,imsi\n" + "".join(f"{value},1\n" for value in dirty.LISTED))
    lines = re.findall(r"^\$ imeiset (.*)$", (DOCS / "screen.md").read_text(), re.M)
    assert len(lines) == 4
    for line in lines:
        assert CliRunner().invoke(main, line.split()).exit_code == 0, line
    assert Path("hits.csv").read_text().count("listed") == 6
    run_the_code_of("screen")
    assert Path("hits.csv").read_text().count("listed") == 3


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page, here):
    pytest.importorskip(PAGES[page])
    run_the_code_of(page)
