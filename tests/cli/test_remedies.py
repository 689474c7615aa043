"""Errors name options that settle them: those of the command that prints one, or keys of a description."""

import ast
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import imeiset
from imeiset import EquipmentStatus, ImeiSet, Register, Store, check_digit, errors
from imeiset.cli import main
from imeiset.feeds.options import OPTIONS, as_keys


def phone(n, tac="86012345"):
    return f"{tac}{n:06d}{check_digit(f'{tac}{n:06d}')}"


def swapped(imei):
    """As TBCD has it, without the check digit."""
    return "".join(imei[at + 1] + imei[at] for at in range(0, 14, 2))


def table(head, *columns):
    return head + "\n" + "".join(",".join(row) + "\n" for row in zip(*columns, strict=True))


PHONES = [phone(n) for n in range(30)]
# Lists that are not understood, and an option that settles each.
DOUBTFUL = {
    "cleared": (table("imei,status", PHONES, ["Cleared"] * 30), "--where"),
    "mixed": (table("imei,status", PHONES, ["whitelisted", "blacklisted"] * 15), "--where"),
    "changes": (table("imei,change_type", PHONES, ["add"] * 30), "--where"),
    "actions": (table("imei,action", PHONES, ["add", "delete"] * 15), "--where"),
    "swapped": (table("imei", [swapped(phone(n, "35012345")) for n in range(30)]), "--no-tbcd"),
    "subscribers": ("".join(f"23415{n * 7919:010d}\n" for n in range(1, 40)), "--column"),
    "two": (table("imei1,imei2", PHONES[:15], PHONES[15:]), "--column"),
    "other": (table("imei,other", PHONES[:15], PHONES[15:]), "--column"),
    "untitled": (table("phone,name", PHONES, ["x"] * 30), "--column"),
    "zeros": (table("imei", [phone(n, "01234500")[1:] for n in range(30)]), "--lost-zeros"),
    "pairs": (table("imei,imsi", PHONES, [f"23415{n:010d}" for n in range(30)]), "--imsi"),
    "models": (table("tac,device", [one[:8] for one in PHONES], PHONES), "--format"),
    "above": ("12345678901234,x\n" + table("imei,reason", PHONES, ["x"] * 30), "--skip"),
}


HEAD = "[[lists]]\nname = 'stolen'\nstatus = 'blacklisted'\nfiles = ['{}.csv']\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    register = Register()
    register.add("stolen", PHONES[:4], status=EquipmentStatus.BLACKLISTED, owner="op-a")
    Store.create("eir", register).close()
    ImeiSet(PHONES[:4]).save("set.imei")


def options_of(name):
    command = main.get_command(click.Context(main), name)
    return {one for parameter in command.params for one in (*parameter.opts, *parameter.secondary_opts)}


def named_in(text):
    """The options in a text that are not those of a command that it names."""
    return {*re.findall(r"--[a-z][a-z-]*", re.sub("`[^`]*`", "", text))}


def said(*arguments):
    found = CliRunner().invoke(main, arguments)
    assert found.exit_code == 2, found.output
    return found.stderr


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_command_has_the_options_that_its_errors_name(here, name):
    text, settles = DOUBTFUL[name]
    Path(f"{name}.csv").write_text(text)
    for folder, file in (("in", "full_1.csv"), ("changes", "delta_1.csv")):
        Path(folder).mkdir()
        Path(folder, file).write_text(text)
    calls = [
        ("build", f"{name}.csv", "-o", "out.imei"),
        ("info", f"{name}.csv"),
        ("apply", "set.imei", f"{name}.csv", "-o", "out.imei"),
        ("apply", "eir", f"{name}.csv", "--by", "op-a", "--change", "add"),
        ("feed", "in", "eir", "--feed", "op-a"),
        ("feed", "changes", "eir", "--feed", "op-a"),
        ("screen", f"{name}.csv", "set.imei"),
    ]
    met = set()
    for call in calls:
        found = CliRunner().invoke(main, call)
        assert named_in(found.stderr) <= options_of(call[0]), (call, found.stderr)
        met |= named_in(found.stderr)
    assert settles in met


@pytest.mark.parametrize("name", DOUBTFUL)
def test_of_a_description_they_are_keys_of_the_list(here, name):
    text, settles = DOUBTFUL[name]
    Path(f"{name}.csv").write_text(text)
    Path("register.toml").write_text(HEAD.format(name))
    key = settles.removeprefix("--no-").removeprefix("--").replace("-", "_")
    calls = ("create", "new", "register.toml"), ("replace", "eir", "register.toml")
    for call in (*calls, ("build", "register.toml", "-o", "out.imei")):
        message = said(*call)
        assert not named_in(message), (call, message)
        assert f"{key} = " in message or re.search(rf"\b{key}\b", message), (call, message)
        assert "; write it in list 'stolen' of register.toml" in message
    with pytest.raises(errors.FeedError, match=r"write it in list 'stolen' of register.toml"):
        imeiset.load_register("register.toml")


def test_what_it_says_can_be_written_in_the_description(here):
    """Of one that names the whole value."""
    Path("zeros.csv").write_text(DOUBTFUL["zeros"][0])
    head = HEAD.format("zeros")
    Path("register.toml").write_text(head)
    key = re.search(r"lost_zeros = \S+", said("create", "new", "register.toml"))[0]
    Path("register.toml").write_text(f"{head}{key}\n")
    assert CliRunner().invoke(main, ["create", "new", "register.toml"]).exit_code == 0


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("or --column, got", "or column, got"),
        ("--column 'it'\"'\"'s' takes", 'column = "it\'s" takes'),
        ("one --column with its number", "one column with its number"),
        ("--where 'a b=VALUE,...' says", 'where = "a b=VALUE,..." says'),
        ("--sheet with its name", "sheet with its name"),
        ("--lost-zeros restore-imeisv gives", 'lost_zeros = "restore-imeisv" gives'),
        ("(--skip 0 if", "(skip = 0 if"),
        ("--max-bytes 3, --force", "--max-bytes 3, --force"),  # of no list in a description
        ("a --column \\", "a column \\"),
        ('a --column "b\\"', 'a column "b\\"'),  # no end of a quoted value
    ],
)
def test_options_as_keys(text, keys):
    assert as_keys(text) == keys


def test_a_list_that_shrinks_in_a_store_names_force_and_the_owner_comes_first(here):
    Path("removed.csv").write_text(table("imei,change_type", PHONES[:2], ["remove"] * 2))
    message = said("apply", "eir", "removed.csv")
    assert "by its owner 'op-a'" in message
    assert "at least 75%" not in message
    message = said("apply", "eir", "removed.csv", "--by", "op-b")
    assert "by its owner 'op-a'" in message
    message = said("apply", "eir", "removed.csv", "--by", "op-a")
    assert "at least 75% of the 4 of list 'stolen' by exact, got 2: --force takes it all the same" in message
    forced = CliRunner().invoke(main, ["apply", "eir", "removed.csv", "--by", "op-a", "--force"])
    assert forced.exit_code == 0, forced.output


def test_the_owner_is_named_by_an_option_of_the_command(here):
    """Of a feed by --feed, and by --by where a person acts."""
    Path("op-b").mkdir()
    Path("op-b", "delta_1.csv").write_text(table("imei,change_type", PHONES[4:6], ["add"] * 2))
    Path("op-b.toml").write_text("[[lists]]\nname = 'stolen'\nstatus = 'blacklisted'\nfiles = ['full.csv']\n")
    Path("full.csv").write_text(table("imei", PHONES[:6]))
    for call, option in (
        (("apply", "eir", "op-b/delta_1.csv"), "--by op-a"),
        (("apply", "eir", "op-b/delta_1.csv", "--by", "op-b"), "--by op-a"),
        (("apply", "eir", "op-b/delta_1.csv", "--feed", "op-b", "--sequence", "1"), "--feed op-a"),
        (("apply", "eir", "--list", "stolen", "--remove", PHONES[0]), "--by op-a"),
        (("apply", "eir", "--drop-list", "stolen"), "--by op-a"),
        (("feed", "op-b", "eir", "--description", "op-b.toml"), "--feed op-a"),
        (("replace", "eir", "op-b.toml", "--feed", "op-b"), "--feed op-a"),
    ):
        message = said(*call)
        assert f": {option} if it is the owner's" in message, (call, message)
        assert named_in(message) <= options_of(call[0])


def test_files_of_a_feed_that_do_not_say_what_changes_name_no_option_of_apply(here):
    Path("in").mkdir()
    Path("in", "delta_1.csv").write_text(table("imei,reason", PHONES, ["x"] * 30))
    assert "expected a column change_type, or --change-column, for what changes" in said(
        "feed", "in", "eir", "--feed", "op-a"
    )


def test_every_option_in_the_text_of_an_error_is_one_of_some_command():
    known = {*OPTIONS}
    for name in main.list_commands(click.Context(main)):
        command = main.get_command(click.Context(main), name)
        some = [command, *(command.commands.values() if isinstance(command, click.Group) else ())]
        known |= {
            option.lstrip("-").replace("-", "_")
            for one in some
            for parameter in one.params
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
    known |= {"help", "version"}
    package = Path(imeiset.__file__).parent
    for path in {*package.rglob("*.py")} - {*(package / "cli").iterdir()}:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for option in re.findall(r"(?<![\w-])--([a-z][a-z-]+)", node.value):
                    assert option.replace("-", "_") in known, (path, node.value)
