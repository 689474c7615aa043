"""Dates of a damaged base: whoever would show one, or act by it, says that the file is damaged.

Opening does not look at them, and verdicts do not need them.
"""

import datetime
import io
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from imeiset import EquipmentStatus, ImeiSet, Register, Store, export, screen
from imeiset.cli import main
from imeiset.deltas.lists import differences
from imeiset.errors import SnapshotBounds
from imeiset.register.details import Column
from imeiset.register.layered import LayeredSet
from imeiset.register.lists import List
from imeiset.register.pairs import LayeredPairs, Pairs
from imeiset.register.untils import FIRST_DAY, LAST_DAY, Untils

KEYS, IMEI, HOME = [1, 2], "000000000000026", "234150999999999"
TODAY = datetime.date(2030, 1, 1)


def exact(date=None, until=None):
    """Two IMEIs of which the second has a text that is no date."""
    register = Register()
    columns = (
        text and Column(("2025-01-31", text), np.array([1, 2], np.uint8)) for text in (None, date, until)
    )
    members = LayeredSet(ImeiSet.from_keys(KEYS), tuple(columns))
    register.add_list(List("some", EquipmentStatus.BLACKLISTED, exact=members))
    return register


def paired(day):
    """Two pairs of which the second has a last day of no calendar."""
    register, keys = Register(), np.array(KEYS, "<u8")
    imsis = np.full(2, int(f"1{HOME}"), "<u8")
    pairs = replace(Pairs.of(keys, imsis), untils=Untils(keys, imsis, np.array([20_000, day], "<i4")))
    register.add_list(List("some", EquipmentStatus.WHITELISTED, "exempt", pairs=LayeredPairs(pairs)))
    return register


DAMAGED = {
    "words": exact(date="in May"),
    "no day": exact(date="2024-02-30"),
    "a last day of words": exact(until="soon"),
    "a last day before all": exact(until="0000-00-00"),
    "of pairs, after all": paired(LAST_DAY + 1),
    "of pairs, before all": paired(FIRST_DAY - 1),
}
OF_IMEIS, OF_STORES = ("joined", "screened"), ("history", "expire")
DOORS = {
    "explain": lambda some, _: some.explain(IMEI, HOME),
    "check_many": lambda some, _: some.check_many(KEYS, [HOME] * 2, details=True),
    "entries": lambda some, _: [*some.entries()],
    "csv": lambda some, _: export(some, io.BytesIO(), form="csv"),
    "joined": lambda some, _: export(some, io.BytesIO(), form="csv", joined=True),
    "directory": lambda some, folder: export(some, f"{folder}/out/", form="csv"),
    "parquet": lambda some, _: export(some, io.BytesIO(), form="parquet"),
    "differences": lambda some, folder: differences(Register(), some, folder=folder / "differences"),
    "screened": lambda some, folder: screen(
        folder / "records", some, output=folder / "screened", details=True
    ),
    "history": lambda some, _: some.history(IMEI),
    "expire": lambda some, _: some.expire(TODAY, force=True),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_date_is_not_shown(tmp_path, what, door):
    if door == "parquet":
        pytest.importorskip("pyarrow")
    if door == "entries":
        pytest.importorskip("nanoarrow")
    if (what.startswith("of pairs") and door in OF_IMEIS) or (door == "expire" and "last" not in what):
        pytest.skip("which nobody asks there")
    (tmp_path / "records").write_text(f"{IMEI}\n")
    DAMAGED[what].save(tmp_path / "file")
    register = Register.open(tmp_path / "file")
    with Store.create(tmp_path / "eir", DAMAGED[what]) as store:
        for some in (store,) if door in OF_STORES else (register, store):
            with pytest.raises(SnapshotBounds):
                [*(DOORS[door](some, tmp_path) or ())]
            assert (
                some.check_many(KEYS, [HOME] * 2).tolist()
                == DAMAGED[what].check_many(KEYS, [HOME] * 2).tolist()
            )
        assert store.sequence == 0


@pytest.mark.parametrize("what", DAMAGED)
@pytest.mark.parametrize(
    "command",
    [
        f"explain eir {IMEI} --imsi {HOME}",
        f"history eir {IMEI}",
        "export eir -o out.csv",
        "expire eir --today 2030-01-01 --force",
    ],
)
def test_a_command_says_so(tmp_path, monkeypatch, what, command):
    monkeypatch.chdir(tmp_path)
    Store.create("eir", DAMAGED[what]).close()
    if command.startswith("expire") and "last" not in what and "pairs" not in what:
        pytest.skip("which nobody asks there")
    found = CliRunner().invoke(main, command.split())
    assert found.exit_code == 2, found.output
    assert "that fit its sets" in found.stderr or "calendar" in found.stderr
    assert not (tmp_path / "out.csv").exists()
