"""The pages of the integrations: their code runs, from top to bottom, on a small list and dirty calls."""

import importlib
from pathlib import Path

import dirty
import pages
import pytest
from click.testing import CliRunner
from test_guides import blocks, played

from imeiset import ImeiSet
from imeiset.cli import main

PAGES = {"arrow": "pyarrow", "pandas": "pandas", "polars": "polars", "duckdb": "duckdb"}  # and what they need


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory with a list, and calls in Parquet."""
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("nanoarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    monkeypatch.chdir(tmp_path)
    ImeiSet([*dirty.LISTED, dirty.ZERO]).save("blocked.imei")
    imsis = [f"2341500000000{i:02d}" for i in range(len(dirty.COLUMN))]
    parquet.write_table(pa.table({"imei": dirty.COLUMN, "imsi": imsis}), "calls.parquet")
    rows = [dirty.ZERO, dirty.GOOD, "352099001761499"]
    Path("calls.csv").write_text("imei,cell\n" + "".join(f"{imei},7\n" for imei in rows))
    return tmp_path


def run_the_code_of(page):
    """What the names of the page are in the end."""
    names = {"__name__": "__main__"}
    exec(compile(pages.code(f"{page}.md"), f"{page}.md", "exec"), names)
    return names


def test_the_commands_of_the_screening_page_run(here):
    Path("calls").mkdir()
    for name in ("calls.csv", "calls/1.csv", "calls/2.csv"):
        Path(name).write_text("imei,imsi\n" + "".join(f"{value},1\n" for value in dirty.LISTED))
    Path("phones.csv").write_text(f"imei1,imei2\n352099001761499,{dirty.GOOD}\n")
    lines = pages.commands("screen.md")
    assert len(lines) == 6
    for line in lines:
        assert CliRunner().invoke(main, line).exit_code == 0, line
    assert Path("hits.csv").read_text().count("listed") == 6
    assert Path("details.csv").read_text().count("listed,listed,exact") == 6
    run_the_code_of("screen")
    assert Path("hits.csv").read_text().count("listed") == 3


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page, here):
    pytest.importorskip(PAGES[page])
    names = run_the_code_of(page)
    if page == "arrow":
        return
    for answers in (names["as_text"], names["as_integers"]):  # the zero is kept, or comes back
        answers = answers["imei"] if page == "polars" else answers
        assert [bool(row[0] if page == "duckdb" else row) for row in answers] == [True, True, False]


def test_cloned_phones_are_found(tmp_path, monkeypatch, capfd):
    pytest.importorskip("pyarrow")
    pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    dirty.cloned("records.parquet")
    ImeiSet([]).save("blocked.imei")
    names = {}
    for language, text in blocks("clones.md"):
        if language == "python" and "spark" not in text:
            exec(compile(text, "clones.md", "exec"), names)
        elif language in ("csv", "toml"):
            Path({"csv": "holders.csv", "toml": "register.toml"}[language]).write_text(text)
        elif language == "console":
            played(text)
    assert names["con"].sql("FROM suspects").fetchall() == [(dirty.CLONE, 5, 6)]
    assert Path("suspects.csv").read_text().splitlines()[1:] == dirty.CLONE_PAIRS
