"""A set written for others, and read back."""

import io

import pytest
from click.testing import CliRunner

from imeiset import ImeiSet, apply, load, load_register
from imeiset.cli import main
from imeiset.feeds.export import SET_FORMS, export

RUNS = ImeiSet.from_ranges([0, 49015420323751, 10**14 - 3], [3, 49015420360000, 10**14 - 1])


@pytest.mark.parametrize("members", [RUNS, ImeiSet(["490154203237518"])], ids=["runs", "one"])
@pytest.mark.parametrize("form", SET_FORMS)
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


@pytest.mark.parametrize("name", ["list.txt.gz", "list.ZST", "list.xz", "list.zip", "list.xlsx"])
def test_a_name_of_another_format(tmp_path, monkeypatch, name):
    """What is written is not compressed: under that name nobody could read it."""
    monkeypatch.chdir(tmp_path)
    RUNS.save("set.imei")
    with pytest.raises(ValueError, match="a name that ends in"):
        export(RUNS, name)
    for command in (["export", "set.imei", "-o", name], ["diff", "set.imei", "set.imei", "-o", name]):
        found = CliRunner().invoke(main, command)
        assert (found.exit_code, "a name that ends in" in found.stderr) == (2, True)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["rejects.csv.gz", "rejects.ZST", "rejects.xlsx", "rejects.parquet"])
def test_rejects_are_text(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text("imei\n490154203237518\nx\n")
    (tmp_path / "more_added.csv").write_text("imei\n356938035643809\nx\n")
    (tmp_path / "lists.toml").write_text(
        '[[lists]]\nname = "a"\nstatus = "blacklisted"\nfiles = ["list.csv"]\n'
    )
    RUNS.save("set.imei")
    with pytest.raises(ValueError, match="neither compressed nor a table"):
        load("list.csv", rejects=name)
    with pytest.raises(ValueError, match="neither compressed nor a table"):
        apply(RUNS, ["more_added.csv"], rejects=name, max_rejects=9)
    with pytest.raises(ValueError, match="neither compressed nor a table"):
        load_register("lists.toml", rejects=name)
    for command in (
        ["build", "list.csv", "-o", "out.imei", "--rejects", name],
        ["build", "lists.toml", "-o", "out.imei", "--rejects", name],
        ["apply", "set.imei", "more_added.csv", "-o", "out.imei", "--rejects", name],
    ):
        found = CliRunner().invoke(main, command)
        assert (found.exit_code, "neither compressed nor a table" in found.stderr) == (2, True), found.output
    assert not (tmp_path / name).exists()


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
