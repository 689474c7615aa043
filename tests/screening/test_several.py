"""Several files of records: what is said of them together, and what one must not spoil for the others."""

import json

import oracle
import pytest
from click.testing import CliRunner

from imeiset import EquipmentStatus, ImeiSet, Policy, Register, screen
from imeiset.cli import main
from imeiset.errors import FeedColumn, FeedEmpty, FeedLostZeros, FeedRejects

A, B = "352099001761481", "860123450000012"
LISTED = ImeiSet([A])
SHORT = [f"1234567{n:06}" for n in range(40)]  # 13 digits of bodies whose zero is lost
LOST = [text + str(oracle.luhn_digit("0" + text)) for text in SHORT]
WHOLE = ["0" + text for text in LOST]
BLOCKED = ImeiSet(WHOLE)


@pytest.fixture(params=["csv", "parquet"])
def calls(request, tmp_path):
    """A directory of records, a file for each column of IMEIs."""
    if request.param == "parquet":
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pytest.importorskip("nanoarrow")

    def write(*columns):
        folder = tmp_path / "calls"
        folder.mkdir(exist_ok=True)
        for at, cells in enumerate(columns):
            path = folder / f"{at:03}.{request.param}"
            if request.param == "parquet":
                pq.write_table(
                    pa.table(
                        {"imei": pa.array(cells, pa.string()), "n": pa.array(["1"] * len(cells), pa.string())}
                    ),
                    path,
                )
            else:
                path.write_text("imei,n\n" + "".join(f"{cell or ''},1\n" for cell in cells))
        return folder

    return write


def test_a_file_without_an_imei_does_not_stop_the_others(calls, tmp_path):
    folder = calls(["", "n/a"], [A, B], [], ["x"], [A])
    report = screen(folder, LISTED, output=tmp_path / "out.csv")
    assert report.without_imeis == [report.inputs[0], report.inputs[3]]
    assert (report.rows, report.hits, report.malformed) == (6, 2, 3)
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 7  # no record is lost


def test_if_none_has_an_imei_that_is_an_error(calls, tmp_path):
    for folder in (calls(["", "x"]), calls(["", "x"], [], ["n/a"])):
        with pytest.raises(FeedRejects, match=r"000\..*expected IMEIs, got none in 2 rows"):
            screen(folder, LISTED, output=tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("policy", [EquipmentStatus.WHITELISTED, EquipmentStatus.BLACKLISTED])
def test_a_policy_makes_no_imei_of_what_is_none(calls, policy):
    register = Register(Policy(malformed=policy))
    register.add("stolen", [A], status=EquipmentStatus.BLACKLISTED)
    report = screen(calls(["x"], [A]), register)
    assert report.without_imeis == report.inputs[:1]


def test_empty_files_are_named(tmp_path):
    folder = tmp_path / "calls"
    folder.mkdir()
    (folder / "0.csv").touch()
    (folder / "1.csv").write_text("# nothing\n")
    with pytest.raises(FeedEmpty):
        screen(folder, LISTED)
    (folder / "2.csv").write_text(f"imei\n{A}\n")
    report = screen(folder, LISTED, output=tmp_path / "out.csv")
    assert [path[-5:] for path in report.without_imeis] == ["0.csv", "1.csv"]
    assert (tmp_path / "out.csv").read_text() == f"imei,status\n{A},listed\n"


def test_records_whose_column_cannot_be_told_are_an_error(calls):
    """They would get no answer."""
    folder = calls([A])
    (folder / "cells.csv").write_text("cell,place\n1,2\n")
    with pytest.raises(FeedColumn, match=r"cells\.csv"):
        screen(folder, LISTED)


def test_the_command_names_them(calls, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    LISTED.save("list.imei")
    calls(["x"], [B])
    found = CliRunner().invoke(main, ["screen", "list.imei", "calls"])
    assert found.exit_code == 1
    assert "files without an IMEI 1 calls/000." in " ".join(found.stdout.split())
    found = CliRunner().invoke(main, ["screen", "list.imei", "calls", "--json"])
    assert len(json.loads(found.stdout)["without_imeis"]) == 1


@pytest.mark.parametrize(("suspects", "refused"), [(9, False), (10, True)])
def test_small_files_that_lost_zeros_are_judged_together(calls, tmp_path, suspects, refused):
    folder = calls(*([text, WHOLE[0]] for text in LOST[:suspects]))
    out = tmp_path / "out.csv"
    if refused:
        with pytest.raises(FeedLostZeros, match=r"000.*--lost-zeros restore.*10 of 10 rows .* in 10 files"):
            screen(folder, BLOCKED, output=out)
        assert not out.exists()
    else:
        assert screen(folder, BLOCKED, output=out).lost_zeros.count == suspects
    assert screen(folder, BLOCKED, lost_zeros="restore").hits == 2 * suspects
    assert screen(folder, BLOCKED, lost_zeros="keep").hits == suspects


def test_integers_that_lost_zeros_are_judged_together(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pytest.importorskip("nanoarrow")
    for at, text in enumerate(LOST[:10]):
        pq.write_table(pa.table({"imei": [int(text)]}), tmp_path / f"{at}.parquet")
    with pytest.raises(FeedLostZeros, match="--digits 15 gives them back"):
        screen(tmp_path, BLOCKED)
    assert screen(tmp_path, BLOCKED, digits=15).hits == 10


@pytest.mark.parametrize("keeps", [False, True])
def test_keys_beside_integers_with_the_check_digit_are_malformed(tmp_path, keeps):
    """With a zero before them they would be other phones."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pytest.importorskip("nanoarrow")
    texts = [f"352099{n:08}" for n in range(40)]
    whole = [text + str(oracle.luhn_digit(text)) for text in texts]
    listed = ImeiSet([*whole, *WHOLE, "DEADBEEF"], irregular="keep") if keeps else ImeiSet([*whole, *WHOLE])
    spare = [text[:-1] + "0" for text in WHOLE]
    for name, cells in (("a", whole + WHOLE + spare), ("b", texts)):
        pq.write_table(pa.table({"imei": [int(cell) for cell in cells]}), tmp_path / f"{name}.parquet")
    report = screen(tmp_path, listed, digits=15)
    others = [text for text in texts if oracle.is_valid("0" + text) or text[-1] == "0"]
    assert 0 < len(others) < 20
    assert report.words == {
        "listed": 120,
        "not listed": len(others),
        "malformed: check digit": 40 - len(others),
    }
    assert report.hits == 120
    assert screen(tmp_path / "b.parquet", listed).hits == 40
