"""`imeiset screen`: exit codes, the report, and what it refuses."""

import json
import os
import shutil
from pathlib import Path

import dirty
import oracle
import pytest
from click.testing import CliRunner

from imeiset import EquipmentStatus, ImeiSet, Policy, Register, Store
from imeiset.cli import main

CALLS = "imei,n\n" + "".join(f"{value or ''},{i}\n" for i, value in enumerate(dirty.COLUMN[:8]))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A current directory with a list, a register and calls."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    ImeiSet(dirty.LISTED).save("list.imei")
    dirty.register().save("register.imei")
    (tmp_path / "calls.csv").write_text(CALLS)
    return tmp_path


def run(*arguments, code=0, **options):
    found = CliRunner().invoke(main, ["screen", *arguments], **options)
    assert found.exit_code == code, (found.output, found.exception)
    return found


def test_a_store(here):
    Store.create("eir", dirty.register()).close()
    found = json.loads(run("eir", "calls.csv", "--json").stdout)
    assert found["lists"] == {"stolen": 4}
    Path("calls").mkdir()
    shutil.copy("calls.csv", "calls/1.csv")
    Path("calls/_SUCCESS").touch()
    assert "files skipped 1 calls/_SUCCESS" in " ".join(run("eir", "calls").stdout.split())
    run("calls", "calls.csv", code=2)


def test_report(here):
    found = run("list.imei", "calls.csv")
    table = [" ".join(line.split()) for line in found.stdout.splitlines()]
    assert table[0] == "4 hits"
    assert table[1].startswith("rows 8 calls.csv, ")
    assert table[2:] == [
        "listed 4", "malformed: empty 2", "not listed 1", "malformed: not digit 1",
        "lost zeros 1 14 digits that are 15 with a zero before them: calls.csv: 5", "hits by TAC 4 49015420",
    ]  # fmt: skip
    report = json.loads(run("register.imei", "calls.csv", "--json").stdout)
    assert report["hits"] == 4
    assert report["lists"] == {"stolen": 4}
    assert report["words"] == {
        "blacklisted": 4,
        "unknown": 1,
        "malformed: empty": 2,
        "malformed: not digit": 1,
    }
    assert sorted(path.name for path in here.iterdir()) == ["calls.csv", "list.imei", "register.imei"]


def test_output(here):
    run("list.imei", "calls.csv", "--column", "1", "-o", "hits.csv", "--only", "hits")
    assert (here / "hits.csv").read_text() == (
        "imei,n,status\n490154203237518,0,listed\n49015420323751,3,listed\n4901542032375106,4,listed\n"
        "490154203237510,5,listed\n"
    )
    run("list.imei", "-", "-o", "all.csv", input=CALLS)
    assert len((here / "all.csv").read_text().splitlines()) == 9


def test_exit_codes(here):
    (here / "none.csv").write_text("imei\n352099001761499\n")
    run("list.imei", "none.csv", code=1)
    for arguments, message in [
        (["nowhere.imei", "calls.csv"], "expected a readable file"),
        (["list.imei", "nowhere.csv"], "expected a readable file"),
        (["list.imei", "calls.csv", "--column", "imsi"], "a column named 'imsi'"),
        (["list.imei", "calls.csv", "--only", "hits"], "--only needs -o"),
        (["list.imei", "calls.csv", "-o", "calls.csv"], "is a source and would be replaced"),
        (["list.imei", "calls.csv", "-o", "list.imei"], "is a source and would be replaced"),
        (["list.imei", "calls.csv", "-o", "no/where.csv"], "no such directory"),
    ]:
        found = run(*arguments, code=2)
        assert message in found.stderr, found.stderr
        assert "Traceback" not in found.output
    assert (here / "calls.csv").read_text() == CALLS


def test_an_output_that_is_one_of_the_inputs(here):
    Path("calls").mkdir()
    shutil.copy("calls.csv", "calls/1.csv")
    for inputs in (["calls"], ["calls.csv", "calls"], ["calls/1.csv"]):
        found = run("list.imei", *inputs, "-o", "calls/1.csv", code=2)
        assert "calls/1.csv: is a source and would be replaced" in found.stderr
        assert "bug" not in found.output
    assert Path("calls/1.csv").read_text() == CALLS


def test_an_output_is_never_compressed(here):
    for name in ("hits.csv.gz", "hits.xlsx"):
        found = run("list.imei", "calls.csv", "-o", name, code=2)
        assert "expected an output of CSV or Parquet, got a name that ends in" in found.stderr
        assert not Path(name).exists()


def test_no_output_replaces_a_file_of_a_store(here):
    Store.create("eir", dirty.register()).close()
    before = {path: path.read_bytes() for path in Path("eir").iterdir()}
    for name in before:
        for command in (["list.imei", "calls.csv", "-o", str(name)], ["eir", "calls.csv", "-o", str(name)]):
            assert "a file of a store" in run(*command, code=2).stderr
        found = CliRunner().invoke(main, ["export", "list.imei", "-o", str(name)])
        assert (found.exit_code, "a file of a store" in found.stderr) == (2, True)
    assert {path: path.read_bytes() for path in Path("eir").iterdir()} == before


def test_an_output_is_for_its_owner(here):
    before = os.umask(0o022)
    try:
        run("list.imei", "calls.csv", "-o", "out.csv")
    finally:
        os.umask(before)
    assert Path("out.csv").stat().st_mode & 0o777 == 0o600


def test_lost_zeros_and_digits(here):
    lost = [f"1234567{n:06}{oracle.luhn_digit(f'01234567{n:06}')}" for n in range(12)]
    ImeiSet(["0" + text for text in lost]).save("zeros.imei")
    Path("zeros.csv").write_text("\n".join(["imei,n", *(f"{text},1" for text in lost)]))
    assert "--lost-zeros restore" in run("zeros.imei", "zeros.csv", code=2).stderr
    assert run("zeros.imei", "zeros.csv", "--lost-zeros", "restore").stdout.lstrip().startswith("12 hits")
    assert "lost zeros 12" in " ".join(
        run("zeros.imei", "zeros.csv", "--lost-zeros", "keep", code=1).stdout.split()
    )
    Path("above.csv").write_text("a licence, in words\n\nn,imei\n1,490154203237518\n")
    assert run("list.imei", "above.csv", "--skip", "2").stdout.lstrip().startswith("1 hits")
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("nanoarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"imei": list(map(int, lost))}), "zeros.parquet")
    assert "--digits 15" in run("zeros.imei", "zeros.parquet", code=2).stderr
    assert run("zeros.imei", "zeros.parquet", "--digits", "15").stdout.lstrip().startswith("12 hits")
    run("zeros.imei", "zeros.parquet", "--digits", "16", code=2)


def test_what_a_policy_says_of_malformed_rows_is_not_silent(here):
    register = Register(Policy(malformed=EquipmentStatus.WHITELISTED))
    register.add("stolen", ImeiSet(dirty.LISTED), status=EquipmentStatus.BLACKLISTED)
    register.save("lenient.imei")
    table = " ".join(run("lenient.imei", "calls.csv").stdout.split())
    assert "malformed 3 not IMEIs, which got what the policy says of such" in table
    assert json.loads(run("lenient.imei", "calls.csv", "--json").stdout)["malformed"] == 3
    assert json.loads(run("list.imei", "calls.csv", "--json").stdout)["malformed"] == 3
    assert "not IMEIs, which got" not in run("list.imei", "calls.csv").stdout
