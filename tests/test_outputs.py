"""What commands print with --json is what the reference says, member by member."""

import importlib
import json
import sys
from pathlib import Path

import pages
import pytest
from click.testing import CliRunner

from imeiset import Delta, Store
from imeiset.cli import main

MAKE = pages.DOCS / "_make"
sys.path.insert(0, str(MAKE))
commands, outputs = map(importlib.import_module, ("commands", "outputs"))
sys.path.remove(str(MAKE))

ONE, TWO, THREE, FOUR = "490154203237518", "356938035643809", "352099001761481", "860123450000012"
HOME = "234150999999999"
REGISTER = """
[policy]
malformed = "greylisted"
[[lists]]
name = "stolen"
status = "blacklisted"
owner = "op-a"
files = ["stolen.csv"]
[[lists]]
name = "watch"
status = "greylisted"
reason = "watched"
files = ["watch.csv"]
[[lists]]
name = "models"
kind = "tacs"
status = "greylisted"
files = ["models.csv"]
[[lists]]
name = "pairs"
kind = "exempt"
files = ["pairs.csv"]
"""
_PYTHON = {
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}
# Each output, and commands that print it.
RUNS = {
    "apply-deltas": [
        "apply set.imei delta.csv -o new.imei --min-size 0",
        "apply eir delta.csv --list watch --min-size 0 --feed hourly --sequence 1",
    ],
    "apply-by-hand": [
        "apply eir --list watch --add 860123450000012 --reason lost",
        "apply eir --create-list more --status blacklisted",
        "apply eir --drop-list more",
    ],
    "build-set": ["build stolen.csv -o again.imei", "build dirty.csv -o dirty.imei --where list=a"],
    "build-register": ["build register.toml -o again-register.imei"],
    "check-set": [f"check set.imei {ONE} {THREE}"],
    "check-register": [f"check register.imei {ONE} {THREE} n/a", f"check eir {TWO} --imsi {HOME}"],
    "check-error": ["check set.imei 49015420323751x"],
    "create": ["create new-eir register.toml", "create new-eir-2 register.imei"],
    "expire": ["expire eir --today 2030-01-01", "expire eir --today 2030-03-01 --then watch --force"],
    "explain": [f"explain eir {ONE}", f"explain register.imei {TWO} --imsi {HOME}"],
    "feed": ["feed in/op-a eir"],
    "follow": [
        "follow place new-eir-3 --root keys/root.json",
        "follow place --mirror stick --root keys/root.json",
    ],
    "history": ["history eir --whole", f"history eir {ONE}"],
    "info-list": ["info dirty.csv", "info stolen.csv"],
    "info-set": ["info set.imei", "info set.imei --digests"],
    "info-register": ["info register.imei", "info register.imei --digests"],
    "info-store": ["info eir", "info eir --digests"],
    "keys-rotate": ["keys rotate place --keys keys --role online"],
    "publish": ["publish eir place-2 --keys keys --dry-run", "publish eir place --keys keys --renew"],
    "replace": ["replace eir op-a.toml --feed op-a --through 9", "replace eir register.imei --force"],
    "screen": ["screen set.imei calls.csv", "screen register.imei calls.csv calls-2.csv"],
}
RARE = {"warnings"}  # what goes wrong beside a step


def valid(value, shape, path="$"):
    """Faults of a value by a schema: members that are missing, too many or of another type."""
    if "enum" in shape:
        return [] if value in shape["enum"] else [f"{path}: {value!r}"]
    kinds = shape.get("type", [*_PYTHON])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if not any(isinstance(value, _PYTHON[kind]) and (kind == "boolean") >= (value is True) for kind in kinds):
        return [f"{path}: expected {kinds}, got {value!r}"]
    if isinstance(value, list):
        return [fault for one in value for fault in valid(one, shape.get("items", {}), f"{path}[]")]
    if not isinstance(value, dict):
        return []
    known, other = shape.get("properties", {}), shape.get("additionalProperties")
    faults = [f"{path}.{name}: missing" for name in shape.get("required", ()) if name not in value]
    for name, one in value.items():
        if name not in known and other is None and shape:
            faults.append(f"{path}.{name}: not told")
        else:
            faults += valid(one, known.get(name, other or {}), f"{path}.{name}")
    return faults


@pytest.fixture
def here(here):
    """A set, a register, a store with a feed, and lists."""
    for name, rows in {
        "stolen.csv": ("imei,date,reason,until", f"{ONE},2026-11-02,theft,2030-02-28", f"{FOUR},,,"),
        "watch.csv": ("imei", TWO, THREE),
        "models.csv": ("tac", "35693803"),
        "pairs.csv": ("imei,imsi", f"{TWO},{HOME}"),
        "delta.csv": ("imei,change_type", f"{TWO},remove", f"{ONE},add"),
        "dirty.csv": ("imei,list,block_date", f"{ONE},a,1", "x,a,2", "000000000000000,b,3", f"{TWO},b,4"),
        "calls.csv": ("imei", ONE, THREE, "x"),
        "calls-2.csv": ("imei", "x"),
    }.items():
        Path(name).write_text("\n".join([*rows, ""]))
    Path("register.toml").write_text(REGISTER)
    Path("op-a.toml").write_text(REGISTER.partition('[[lists]]\nname = "watch"')[0])
    Path("in/op-a").mkdir(parents=True)
    Path("in/op-a/stolen_full_000007.csv").write_text(f"imei\n{ONE}\n{FOUR}\n")
    Path("in/op-a/stolen_delta_000008.csv").write_text(f"imei,change_type\n{FOUR},update\n")
    Path("in/op-a/stolen_delta_000010.csv").write_text(f"imei,change_type\n{FOUR},update\n")
    Path("in/op-a/readme.txt").write_text("x")
    Path("set.csv").write_text(f"imei\n{FOUR}\n{TWO}\n")
    for line in (
        "build set.csv -o set.imei",
        "build register.toml -o register.imei",
        "create eir register.toml",
    ):
        assert CliRunner().invoke(main, line.split()).exit_code == 0
    with Store.open("eir") as store:
        store.apply(Delta("stolen", remove=[FOUR]), feed="op-a")
        store.apply(Delta("watch", add=[FOUR], by="desk", ref="case 7", until="2030-01-31"))
        store.apply(Delta("watch", remove=[FOUR]))
    return here


def test_every_command_with_json_is_told():
    have = {
        name.partition(" ")[0]
        for name, command in commands.every().items()
        if any("--json" in one.opts for one in command.params)
    }
    assert {name.partition("-")[0] for name in outputs.OUTPUTS} == have
    assert {*RUNS} | {"watch"} == {*outputs.OUTPUTS}


@pytest.fixture
def published(here):
    """Keys, and what is published with them."""
    for module in ("tuf", "cryptography", "fsspec"):
        pytest.importorskip(module)
    for line in (
        "keys new keys --threshold 1/1 --no-passphrase",
        "publish eir place --keys keys",
    ):
        found = CliRunner().invoke(main, line.split())
        assert found.exit_code == 0, found.output


@pytest.mark.parametrize("name", RUNS)
def test_what_is_printed_is_what_is_told(request, here, name):
    shape = outputs.schema(name)
    if name in ("keys-rotate", "publish", "follow"):
        request.getfixturevalue("published")
    seen = set()
    for command in RUNS[name]:
        found = CliRunner().invoke(main, [*command.split(), "--json"])
        assert found.stdout, (command, found.output)
        for line in found.stdout.splitlines():
            value = json.loads(line)
            assert valid(value, shape) == [], (command, line)
            seen |= {*value}
    assert {*shape["properties"]} - RARE <= seen  # each member was there once


def test_what_watch_prints_is_what_is_told(here, capsys):
    from imeiset.cli import watch

    with Store.open("eir") as store:
        for imei in (None, ONE):
            watch._show(store, "eir", imei, None, True)
    for line in capsys.readouterr().out.splitlines():
        assert valid(json.loads(line), outputs.schema("watch")) == []


def test_what_is_wrong_is_found():
    shape = outputs.schema("check-set")
    assert valid({"imei": ONE, "listed": True}, shape) == []
    for wrong in ({"imei": ONE}, {"imei": ONE, "listed": 1}, {"imei": None, "listed": True}, []):
        assert valid(wrong, shape) != []
    assert valid({"imei": ONE, "listed": True, "more": 1}, shape) == ["$.more: not told"]


def test_the_example_is_one():
    assert valid(json.loads(outputs._EXAMPLE), outputs.schema("check-register")) == []


def test_schemas_are_schemas():
    validator = pytest.importorskip("jsonschema").Draft202012Validator
    for name in outputs.OUTPUTS:
        validator.check_schema(outputs.schema(name))
        assert outputs.schema(name)["title"] == f"imeiset {name.partition('-')[0]} --json"


def test_every_member_is_explained():
    def unexplained(shape, path):
        for name, one in shape["properties"].items():
            if not one.get("description"):
                yield f"{path}.{name}"
            if inner := outputs.shapes._inside(one):
                yield from unexplained(inner, f"{path}.{name}")

    assert [path for name in outputs.OUTPUTS for path in unexplained(outputs.schema(name), name)] == []
