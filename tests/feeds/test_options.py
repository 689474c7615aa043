"""The one table of options: every door asks for the same words, and refuses the same values."""

import dataclasses
import inspect
import pickle
import re
from pathlib import Path

import pytest

from imeiset import apply, load, load_register, screen
from imeiset.cli import main
from imeiset.errors import FeedDescription
from imeiset.feeds import Options
from imeiset.feeds.days import NO_DAY, NOT_A_DAY, day_number, day_numbers
from imeiset.feeds.description import read_description
from imeiset.feeds.options import COLUMNS, DEFAULTS, FLAG, OPTIONS, Where, options_of, value_of

# The commands, and the door whose options each takes.
COMMANDS = {
    "build": "load",
    "apply": "apply",
    "create": "run",
    "replace": "run",
    "info": "info",
}
# What else each is given.
MORE = {"build": ["a", "-o", "c"], "apply": ["a", "b"], "info": ["a"]}
# A value of each, as a command line has it, as TOML has it, and as `Options` holds it.
VALUES = {
    "format": ("stolen", '"stolen"', "stolen"),
    "column": (["imei1", "2"], '["imei1", 2]', ("imei1", 2)),
    "check_digit": ("spare", '"spare"', "spare"),
    "irregular": ("keep", '"keep"', "keep"),
    "lost_zeros": ("restore-imeisv", '"restore-imeisv"', "restore-imeisv"),
    "where": (
        "State=Blocked, lost",
        '{ State = ["BLOCKED", "Lost"] }',
        Where("State", frozenset(("blocked", "lost"))),
    ),
    "change_column": ("3", "3", 3),
    "change_values": ("0=remove,1=Add", "{ 0 = 'remove', 1 = 'ADD' }", {"0": "remove", "1": "add"}),
    "date_column": ("since", '"since"', "since"),
    "until_column": ("hasta", '"hasta"', "hasta"),
    "date_format": ("%d.%m.%Y", '"%d.%m.%Y"', "%d.%m.%Y"),
    "reason_column": ("4", "4", 4),
    "imsi": ("ignore", '"ignore"', "ignore"),
    "skip": ("2", "2", 2),
    "tbcd": ("", "true", True),
    "sheet": ("IMEI", '"IMEI"', "IMEI"),
    "rejects": ("rejects.csv", None, "rejects.csv"),
    "max_rejects": ("0", "0", 0),
    "max_line": ("9", None, 9),
    "max_rows": ("9", None, 9),
    "max_bytes": ("9", None, 9),
    "max_ratio": ("1.5", None, 1.5),
}
WRONG = {
    "format": "tac",
    "column": [0, -1, "", " ", True, [], ["a", "a"], [""], 1.5, b"imei"],
    "check_digit": ["never", None],
    "irregular": ["drop", None],
    "lost_zeros": ["yes", True],
    "where": [
        *("status", "=x", "", {}, {"a": "x", "b": "y"}, {"a": []}, {"a": [1]}, 3, {0: "x"}),
        *("a!=b", "a <>=b", "a<=b", "a >= b", "a~=b", "a:=b", "a=b,c=d", "a=b,=c"),
    ],
    "change_column": [0, "", True, ["a"]],
    "change_values": ["0", "0=drop", "", {}, {"0": "drop"}, "A=add,a=remove", 3, ["0=add"]],
    "date_column": [0, ""],
    "until_column": [0, "", True],
    "date_format": ["", "%d", "%m.%Y", "%Q", "%", "iso", 3, "%d.%m"],
    "reason_column": [0, ""],
    "imsi": ["keep", True],
    "skip": [-1, "1", True, 1.0],
    "tbcd": ["yes", 1],
    "sheet": ["", 1],
    "rejects": ["", 1],
    "max_rejects": [-1, "1", True],
    "max_line": [0, 1 << 31, None],
    "max_rows": [-1, 1.5],
    "max_bytes": [-1, None],
    "max_ratio": [0, float("nan"), "1", None],
}


def test_every_option_is_in_the_table():
    fields = dataclasses.fields(Options)
    assert [one.name for one in fields] == [*OPTIONS] == [*DEFAULTS] == [*VALUES] == [*WRONG]
    for name, option in OPTIONS.items():
        assert option.help
        assert option.doors, name


def test_functions_take_the_options_of_their_doors():
    def parameters(function):
        found = inspect.signature(function).parameters
        return {name: found[name].default for name in found if name in OPTIONS}

    assert parameters(load) == {name: DEFAULTS[name] for name in options_of("load")}
    assert [*parameters(load)] == [*options_of("load")]  # in the order of the table
    assert parameters(load_register) == {name: DEFAULTS[name] for name in options_of("run")}
    assert parameters(screen).items() <= {name: DEFAULTS[name] for name in options_of("screen")}.items()
    assert inspect.signature(apply).parameters["options"].kind is inspect.Parameter.VAR_KEYWORD


@pytest.mark.parametrize(("command", "door"), COMMANDS.items())
def test_commands_take_the_options_of_their_doors(command, door):
    params = {one.name: one for one in main.get_command(None, command).params}
    asked = {name for name in params if name in OPTIONS}
    assert asked == options_of(door).keys()
    for name in asked:
        assert params[name].opts == [f"--{name.replace('_', '-')}"]
        assert params[name].help.startswith(OPTIONS[name].help)


@pytest.mark.parametrize(("command", "door"), COMMANDS.items())
def test_commands_understand_a_value_as_options_do(command, door):
    made = main.get_command(None, command)
    words = []
    for name in options_of(door):
        text, switch = VALUES[name][0], f"--{name.replace('_', '-')}"
        for one in [text] if isinstance(text, str) else text:
            words += [switch] if OPTIONS[name].kind is FLAG else [switch, one]
    more = MORE.get(command, ["a", "b"])
    context = made.make_context(command, [*words, *more])
    assert {name: context.params[name] for name in options_of(door)} == {
        name: VALUES[name][2] for name in options_of(door)
    }
    context = made.make_context(command, [*more])
    assert all(context.params[name] is None for name in options_of(door))


def described(folder, *lines):
    path = Path(folder, "register.toml")
    Path(folder, "list.csv").write_text("imei\n490154203237518\n")
    more = "\n".join(lines)
    path.write_text(f'[[lists]]\nname = "stolen"\nstatus = "blacklisted"\nfiles = ["list.csv"]\n{more}\n')
    return read_description(path).lists[0].options


def test_descriptions_have_the_keys_of_the_table(tmp_path):
    keys = options_of("list")
    found = described(tmp_path, *(f"{name} = {VALUES[name][1]}" for name in keys))
    assert found == Options(**{name: VALUES[name][2] for name in keys})
    for name in OPTIONS.keys() - keys:
        with pytest.raises(FeedDescription, match="in list 1, 'stolen'"):
            described(tmp_path, f"{name} = 1")


@pytest.mark.parametrize("name", OPTIONS)
def test_values_that_none_can_have(name):
    more = {"change_column": 1} if name == "change_values" else {}
    for value in WRONG[name]:
        with pytest.raises(ValueError, match=f"^expected {name} of "):
            Options(**{name: value}, **more)


def test_what_is_given_in_other_words():
    assert Options(column=["imei1", "imei2"]).columns == ("imei1", "imei2")
    assert Options(column=("imei1",)).columns == Options(column="imei1").columns == ("imei1",)
    assert Options().columns == ()
    assert Options(rejects=Path("a")).rejects == "a"
    for where in ("3= Blocked ,", {3: ["blocked", ""]}, Where(3, frozenset(("blocked", "")))):
        found = Options(where=where).where
        assert found == Where(3, frozenset(("blocked", "")))
        assert found.counts(b" BLOCKED\t")
        assert found.counts(b"")
        assert not found.counts(b"white")
    assert Options(where="a=b=c").where == Where("a", frozenset(("b=c",)))
    assert Options(where={"a!": ["x", "b=c"]}).where == Where("a!", frozenset(("x", "b=c")))
    assert Options(where={"a=b": "x,y"}).where == Where("a=b", frozenset(("x,y",)))
    assert Options(where="été=Bloqué").where.counts("BLOQUÉ".encode())
    assert Options(change_column=1, change_values="a=b=add").change_values == {"a=b": "add"}
    assert Options(date_format=" Excel ").date_format == "excel"
    assert value_of(b"\xff Yes ") == "\xff yes"  # as Latin-1 has it
    assert Options(where="a=Bloqué").where.counts("BLOQUÉ".encode("latin-1"))
    with pytest.raises(ValueError, match="change_column with change_values"):
        Options(change_values={"0": "add"})
    some = Options(column=["a", 2], where="a=b", change_column="c", change_values="0=add")
    assert pickle.loads(pickle.dumps(some)) == some
    assert dataclasses.replace(some) == some
    assert Options.of({"skip": 1, "paths": "x"}) == Options(skip=1)


def test_the_page_says_which_door_takes_what():
    page = Path(__file__).parents[2] / "docs" / "feeds.md"
    if not page.exists():
        pytest.skip("the sources are away: an installed build is being tested")
    doors, said = ("load", "info", "apply", "list"), {}
    for line in page.read_text().partition("| option | ")[2].splitlines()[2:]:
        if not line.startswith("|"):
            break
        names, *cells = line.strip("|").split("|")
        taken = {door for door, cell in zip(doors, cells, strict=True) if cell.strip().startswith("yes")}
        said |= dict.fromkeys(re.findall("`([a-z_]+)`", names), taken)
    assert said == {name: {*option.doors} & {*doors} for name, option in OPTIONS.items()}


def test_only_columns_come_several_times():
    assert [name for name, option in OPTIONS.items() if option.kind is COLUMNS] == ["column"]


@pytest.mark.parametrize(
    ("cell", "form", "day"),
    [
        (b"20261101", None, 20261101),
        (b" 2026-11-01 ", None, 20261101),
        (b"2026/11/01", None, 20261101),
        (b"2026.11.01", None, 20261101),
        (b"2026-11-01T23:59:59Z", None, 20261101),
        (b"2026-11-01 00:00:00+09:00", None, 20261101),  # the day as written
        (b"20261101T101010", None, 20261101),
        (b"20240229", None, 20240229),
        (b"", None, NO_DAY),
        (b" \t", "%d.%m.%Y", NO_DAY),
        (b"01.11.2026", None, NOT_A_DAY),
        (b"2026-11/01", None, NOT_A_DAY),
        (b"20230229", None, NOT_A_DAY),
        (b"2026-13-01", None, NOT_A_DAY),
        (b"00000000", None, NOT_A_DAY),
        (b"2026110", None, NOT_A_DAY),
        (b"202611011", None, NOT_A_DAY),
        (b"20261101101010", None, NOT_A_DAY),  # not a date and a time: they stand apart
        (b"2026-11-01x", None, NOT_A_DAY),
        ("\uff12\uff10\uff12\uff16\uff11\uff11\uff10\uff11".encode(), None, NOT_A_DAY),
        (b"\xff", None, NOT_A_DAY),
        (b"01.11.2026", "%d.%m.%Y", 20261101),
        (b"11/01/26", "%m/%d/%y", 20261101),
        (b"1 Nov 2026", "%d %b %Y", 20261101),
        (b"31.02.2026", "%d.%m.%Y", NOT_A_DAY),
        (b"2026-11-01", "%d.%m.%Y", NOT_A_DAY),
        (b"\xff", "%d.%m.%Y", NOT_A_DAY),
        (b"46327", "excel", 20261101),
        (b"46327.75", "excel", 20261101),
        (b"61", "excel", 19000301),
        (b"-1", "excel", NOT_A_DAY),
        (b"20261101", "excel", NOT_A_DAY),  # a day beyond the year 9999, and not a number of days
        (b"1e3", "excel", NOT_A_DAY),
    ],
)
def test_dates(cell, form, day):
    assert day_number(cell, form) == day
    assert day_numbers([cell, b"", cell], form).tolist() == [day, NO_DAY, day]
