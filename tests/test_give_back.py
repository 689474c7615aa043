"""The page about giving lists back: its commands say what it shows, its code runs."""

import re
from pathlib import Path

import pages
from click.testing import CliRunner

from imeiset import EquipmentStatus, Register, Store
from imeiset.cli import main

LISTED, OTHER = "490154203237518", "356938035643809"


def made():
    register, black = Register(), EquipmentStatus.BLACKLISTED
    register.add(
        "stolen",
        [LISTED, OTHER],
        status=black,
        owner="op-a",
        reasons=["stolen|lost", None],
        dates=["20240229", None],
    )
    register.add_tacs("stolen", ["35209900"], status=black)
    register.add("found", ["352099001761481"], status=EquipmentStatus.GREYLISTED)
    imsis, untils = ["234150999999999", "262011234567890"], [None, "2030-01-31"]
    register.exempt("paired", [LISTED, OTHER], imsis, until=untils)
    return register


def test_give_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Store.create("eir", made()).close()
    text = (pages.README.parent / "docs" / "give-back.md").read_text()
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M):
            program, *arguments = command.split()
            if program == "cat":
                assert Path(*arguments).read_text() == shown
                continue
            found = CliRunner().invoke(main, arguments)
            assert found.exit_code == (2 if "Error" in shown else 0), (command, found.output)
            if shown:
                assert (
                    found.stdout + found.stderr[found.stderr.find("Error") :] == shown
                    or found.stdout == shown
                )
    again, register = Register.open("again.imei"), made()
    assert [one.digest() for one in again.lists] == [one.digest() for one in register.lists]
    names = sorted(path.name.split("_", 2)[2] for path in Path("out").iterdir())
    assert names == ["blacklist.csv", "blacklist_tacs.csv"] + [
        f"exceptions_{name}.csv" for name in ("op-a", "op-b", "others")
    ]
    [code] = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    exec(compile(code, "give-back.md", "exec"), {})
