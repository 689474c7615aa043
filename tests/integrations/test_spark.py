"""Spark on a real local cluster: two workers, each with a Python process of its own."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import dirty
import numpy as np
import pytest

from imeiset import Delta, ImeiSet, SnapshotError, Store

pytest.importorskip("pyspark", minversion="4.0")
pytest.importorskip("pyarrow")
pytest.importorskip("nanoarrow")
pytest.importorskip("pandas")  # which Spark asks for
java = shutil.which("java")
if (
    not java
    or b'version "1' not in subprocess.run([java, "-version"], capture_output=True, check=False).stderr
):
    pytest.skip("Java 17 or later is not here", allow_module_level=True)

from imeiset.integrations.spark import build, screen  # noqa: E402

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]  # Spark's own warnings
COPIES = 200


@pytest.fixture(scope="module")
def spark():
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    session = (
        SparkSession.builder.master("local-cluster[2,1,1024]")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.executor.memory", "900m")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "1000")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture
def calls(spark):
    values = dirty.COLUMN * COPIES
    return spark.createDataFrame(list(enumerate(values)), "n long, imei string").repartition(4)


@pytest.mark.parametrize("shared", [False, True])
def test_screen(spark, calls, tmp_path, shared):
    ImeiSet(dirty.LISTED).save(tmp_path / "list.imei")
    found = screen(calls, "imei", tmp_path / "list.imei", shared=shared)
    assert found.columns == ["n", "imei", "status"]
    rows = sorted(found.collect())
    assert [row.imei for row in rows] == dirty.COLUMN * COPIES
    assert [row.status for row in rows] == dirty.words() * COPIES
    ImeiSet(["352099001761499"]).save(tmp_path / "list.imei")  # a new version under the same name
    hits = screen(calls, "imei", tmp_path / "list.imei", shared=shared).where("status = 'listed'").collect()
    assert {row.imei for row in hits} == {"352099001761499"}
    with pytest.raises(SnapshotError):
        screen(calls, "imei", tmp_path / "nowhere.imei")


def test_a_status_of_the_rows_is_not_the_answer(spark, tmp_path):
    ImeiSet([dirty.GOOD]).save(tmp_path / "list.imei")
    rows = spark.createDataFrame([(dirty.GOOD, "active")], "imei string, Status string")
    found = screen(rows, "imei", tmp_path / "list.imei")
    assert found.columns == ["imei", "Status", "status_2"]
    assert [row.status_2 for row in found.collect()] == ["listed"]


def test_details(spark, calls, tmp_path):
    dirty.detailed().save(tmp_path / "register.imei")
    found = screen(calls, "imei", tmp_path / "register.imei", details=True)
    assert found.columns == ["n", "imei", "status", "list", "rule", "reasons", "date", "until"]
    assert [kind for _, kind in found.dtypes[2:]] == ["string"] * 4 + ["date"] * 2
    assert [
        tuple(row)[2:] for row in sorted(found.collect(), key=lambda row: row.n)
    ] == dirty.details() * COPIES


def test_registers(spark, calls, tmp_path):
    dirty.register().save(tmp_path / "register.imei")
    rows = sorted(screen(calls, "imei", tmp_path / "register.imei").collect())
    assert [row.status for row in rows] == dirty.register_words() * COPIES


@pytest.mark.parametrize("shared", [False, True])
def test_stores(spark, calls, tmp_path, shared):
    with Store.create(tmp_path / "eir", dirty.register()) as store:
        rows = sorted(screen(calls, "imei", tmp_path / "eir", shared=shared).collect())
        assert [row.status for row in rows] == dirty.register_words() * COPIES
        store.apply(Delta("stolen", add=["352099001761499"]))
        found = screen(calls, "imei", tmp_path / "eir", shared=shared)
        hits = {row.imei for row in found.where("status = 'blacklisted'").collect()}
        assert "352099001761499" in hits
        assert dirty.GOOD in hits


def mappings(name):
    """Of every process that maps a file of that name: how often, and the kilobytes that are its own."""
    found = {}
    for smaps in Path("/proc").glob("[0-9]*/smaps"):
        with contextlib.suppress(OSError):
            parts = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", smaps.read_text(), flags=re.M)
            own = [re.findall(r"Anonymous: +(\d+) kB", part) for part in parts if name in part]
            if own:
                found[smaps.parent.name] = [sum(map(int, kilobytes)) for kilobytes in own]
    return found


def test_two_workers_map_the_list_once(spark, tmp_path):
    """Their own memory does not grow with it: all of it is pages of the file."""
    keys = np.unique(np.random.default_rng(1).integers(0, 10**11, 5_000_000).astype(np.uint64))
    blocked = ImeiSet.from_keys(keys)
    blocked.save(tmp_path / "large.imei")
    assert (tmp_path / "large.imei").stat().st_size > 8 << 20
    asked = np.arange(0, 10**11, 10**5, dtype=np.uint64)
    for _ in range(2):
        frame = spark.range(0, 10**11, 10**5, 8).selectExpr("lpad(cast(id AS string), 14, '0') AS imei")
        found = screen(frame, "imei", tmp_path / "large.imei")
        assert found.where("status = 'listed'").count() == blocked.contains(asked).sum()
        assert list(mappings("large-").values()) == [[0], [0]]  # two workers, one mapping each


def test_build(spark, calls, tmp_path):
    (tmp_path / "parts").mkdir()
    built = build(calls, "imei", tmp_path / "whole.imei", parts=tmp_path / "parts", partitions=3)
    good = [value for value, tac in zip(dirty.COLUMN, dirty.tacs(), strict=True) if tac]
    ImeiSet(good).save(tmp_path / "want.imei")
    assert (tmp_path / "whole.imei").read_bytes() == (tmp_path / "want.imei").read_bytes()
    words = [word for word in dirty.words() if word.startswith("malformed")]
    assert built.malformed == {word: words.count(word) * COPIES for word in words}
    assert built.rows == len(dirty.COLUMN) * COPIES
    assert built.imeis == len(ImeiSet(good))
    assert len(built.parts) > 1
    with pytest.raises(ValueError, match="expected IMEIs in column 'imei'"):
        build(calls.where("imei = 'x'"), "imei", tmp_path / "x.imei", parts=tmp_path / "parts")


def test_the_code_of_the_page_runs(spark, calls, tmp_path, monkeypatch):
    page = Path(__file__).parent.parent.parent / "docs" / "spark.md"
    if not page.exists():
        pytest.skip("the sources are away: an installed build is being tested")
    monkeypatch.chdir(tmp_path)
    ImeiSet(dirty.LISTED).save("blocked.imei")
    Path("parts").mkdir()
    calls.write.parquet(str(tmp_path / "calls.parquet"))
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
    assert len(blocks) == 2
    # The JVM does not follow this process to another directory.
    code = re.sub(r'"(\w+\.parquet)"', rf'"{tmp_path}/\1"', "\n".join(blocks))
    exec(compile(code, "spark.md", "exec"), {"spark": spark, "__name__": "__main__"})
    assert spark.read.parquet(f"{tmp_path}/hits.parquet").count() == dirty.words().count("listed") * COPIES
    assert len(ImeiSet.open("national.imei")) > 3


def test_cloned_phones_are_found(spark, tmp_path):
    page = Path(__file__).parent.parent.parent / "docs" / "clones.md"
    if not page.exists():
        pytest.skip("the sources are away: an installed build is being tested")
    dirty.cloned(tmp_path / "records.parquet")
    [code] = [
        block
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
        if "spark" in block
    ]
    code = re.sub(r'"(records.parquet|suspects)"', rf'"{tmp_path}/\1"', code)
    names = {"spark": spark}
    exec(compile(code, "clones.md", "exec"), names)
    assert [tuple(row) for row in names["suspects"].collect()] == [(dirty.CLONE, 5, 6)]
    [written] = (tmp_path / "suspects").glob("part-*.csv")
    assert written.read_text().splitlines() == ["phone,imsi,records", *dirty.CLONE_PAIRS]
