"""A set written for others, and read back."""

import io

import pytest
from click.testing import CliRunner

from imeiset import ImeiSet, load
from imeiset.cli import main
from imeiset.feeds.export import FORMS, export

RUNS = ImeiSet.from_ranges([0, 49015420323751, 10**14 - 3], [3, 49015420360000, 10**14 - 1])


@pytest.mark.parametrize("members", [RUNS, ImeiSet(["490154203237518"])], ids=["runs", "one"])
@pytest.mark.parametrize("form", FORMS)
def test_round_trip(tmp_path, members, form):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    out = io.BytesIO()
    export(members, out, form=form)
    if form == "roaring":
        assert ImeiSet.from_roaring(out.getvalue()) == members
        return
    export(members, tmp_path / "list", form=form)
    assert (tmp_path / "list").read_bytes() == out.getvalue()
    assert (tmp_path / "list").stat().st_mode & 0o777 == 0o600
    found, report = load(tmp_path / "list")
    assert found == members
    assert (report.rejected, report.duplicates, report.wrong_check_digits) == (0, 0, 0)
    if form == "dirbs":
        assert report.formats == ["blacklist"]


@pytest.mark.parametrize("form", ["plain", "dirbs", "parquet"])
def test_round_trip_of_irregular_identities(tmp_path, form):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    members = ImeiSet(["490154203237518", "#1", "*", "abc"], irregular="keep")
    out = io.BytesIO()
    export(members, out, form=form)
    (tmp_path / "list").write_bytes(out.getvalue())
    assert load(tmp_path / "list", irregular="keep").set == members
    with pytest.raises(ValueError, match="no irregular identities"):
        export(members, out, form="roaring")
    with pytest.raises(ValueError, match="a form of"):
        export(members, out, form="xml")


def test_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RUNS.save("set.imei")
    for name, form in (("list.txt", "plain"), ("list.csv", "dirbs"), ("list.roaring", "roaring")):
        found = CliRunner().invoke(main, ["export", "set.imei", "-o", name])
        assert (found.exit_code, found.stdout) == (0, f"{name}: {len(RUNS):,} IMEIs, {form}\n")
    assert (tmp_path / "list.txt").read_bytes()[:16] == b"000000000000000\n"
    ImeiSet(["abc"], irregular="keep").save("set.imei")
    found = CliRunner().invoke(main, ["export", "set.imei", "-o", "odd.roaring"])
    assert found.exit_code == 2
    assert not (tmp_path / "odd.roaring").exists()
