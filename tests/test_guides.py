"""The guides of one job each: their commands print what the pages say, and their code runs."""

import gzip
import re
import shlex
from pathlib import Path

import pages
from click.testing import CliRunner

from imeiset import Delta, EquipmentStatus, ImeiSet, Register, Store
from imeiset.cli import main

ONE, TWO, THREE, FOUR, FIVE = (
    *("490154203237518", "356938035643809", "352099001761481", "860123450000012", "352099001761499"),
)


def blocks(page):
    """What a page shows, in order: the language of each block, and its text."""
    return re.findall(r"^```(\w*)\n(.*?)^```", (pages.DOCS / page).read_text(), re.M | re.S)


def plays(text):
    """The commands of a block, each with what it prints."""
    for command in re.split(r"^\$ ", text, flags=re.M)[1:]:
        line, _, output = command.partition("\n")
        program, *arguments = shlex.split(line)
        assert program == "imeiset"
        yield arguments, output


def played(text):
    """Run a block of commands; they have to print what the page says, where it says something."""
    for arguments, output in plays(text):
        found = CliRunner().invoke(main, arguments)
        assert found.exit_code in ((2,) if output.startswith("imeiset: ") else (0, 1)), (
            arguments,
            found.output,
        )
        if output:
            assert _plain(found.output) == _plain(output), arguments


def _plain(text):
    """Without times, and blanks at the end."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "(time)", text)
    return [line.rstrip() for line in text.splitlines()]


def test_a_daily_file_and_hourly_deltas(here):
    Path("in/op-a").mkdir(parents=True)
    Path("op-b.csv").write_text(f"imei\n{FIVE}\n")
    Path("in/op-a/stolen_full_000120.csv").write_text(f"imei\n{ONE}\n{TWO}\n")
    found = blocks("daily.md")
    [toml] = [text for language, text in found if language == "toml"]
    Path("eir.toml").write_text(toml)
    create, first, second, daily = [text for language, text in found if language == "console"]
    played(create)
    Path("in/op-a/stolen_delta_000121.csv").write_text(f"imei,change_type\n{THREE},add\n{ONE},remove\n")
    text = f"imei,change_type\n{FOUR},add\n"
    Path("in/op-a/stolen_delta_000122.csv.gz").write_bytes(gzip.compress(text.encode()))
    played(first)
    Path("in/op-a/stolen_full_000124.csv").write_text(f"imei\n{TWO}\n{THREE}\n{FOUR}\n")
    Path("in/op-a/stolen_delta_000125.csv").write_text(f"imei,change_type\n{ONE},add\n")
    played(second)
    played(daily)
    with Store.open("eir") as store:
        assert store["stolen-a"] == ImeiSet([ONE, TWO, THREE, FOUR])
        assert store["stolen-b"] == ImeiSet([FIVE])
    exec(compile(pages.code("daily.md"), "daily.md", "exec"), {})


def test_why_is_this_phone_blocked(here):
    register = Register()
    register.add("stolen", [], status=EquipmentStatus.BLACKLISTED, owner="op-a")
    register.add("watch", [], status=EquipmentStatus.GREYLISTED, owner="customs")
    with Store.create("eir", register) as store:
        said = {"reason": "stolen", "date": "2026-11-28", "ref": "mail of 28 November"}
        store.apply(Delta("stolen", add=[ONE], **said), feed="op-a")
        said = {"reason": "not paid", "until": "2030-01-31", "by": "customs", "ref": "case 7"}
        store.apply(Delta("watch", add=[ONE], **said))
    for language, text in blocks("why.md"):
        if language == "console":
            played(text)
    exec(compile(pages.code("why.md"), "why.md", "exec"), {})


def test_merge_operators_lists(here):
    files = iter(["op-a.csv", "op-b.csv", "both.toml"])
    for language, text in blocks("merging.md"):
        if language in ("csv", "toml"):
            Path(next(files)).write_text(text)
        else:
            played(text)
    assert [*files] == []
    assert ImeiSet.open("all.imei") == ImeiSet([ONE, THREE, FOUR])
    rows = [f"{THREE},,2026-11-28", f"{ONE},theft,2026-11-02", f"{FOUR},,2026-11-29"]
    assert Path("joined.csv").read_text().splitlines() == ["imei,reasons,date", *rows]


def test_entries_that_end(here):
    names = iter(["unregistered.csv", "blocked.csv", "register.toml", "more-time.csv"])
    for language, text in blocks("expired.md"):
        if language in ("csv", "toml"):
            Path(next(names)).write_text(text)
        elif language == "console":
            played(text)
        elif language == "text":
            cron = text.replace("/srv/eir", "eir").replace(r"$(date +\%F)", "2030-07-01")
            [[*arguments]] = [shlex.split(line)[6:] for line in cron.splitlines()]
            assert CliRunner().invoke(main, arguments).exit_code == 0
    assert [*names] == []
    exec(compile(pages.code("expired.md"), "expired.md", "exec"), {})


def test_what_is_past_of_other_lists_of_phones_turns_too(here):
    """The warning of docs/expired.md."""
    register = Register()
    register.add("days", [ONE], status=EquipmentStatus.BLACKLISTED, until=["2030-06-30"])
    register.add("permits", [TWO], status=EquipmentStatus.WHITELISTED, until=["2030-06-30"])
    register.add("blocked", [], status=EquipmentStatus.BLACKLISTED)
    register.exempt("pairs", [THREE], ["234150999999999"], until=["2030-06-30"])
    with Store.create("eir", register) as store:
        store.expire("2030-07-01", "blocked", force=True)
        assert store["blocked"] == ImeiSet([ONE, TWO])
        assert store.counts()["pairs"] == {"pair": 0}


def test_a_full_list_brings_back_what_turned_until_the_next_day(here):
    lists = "".join(
        f'[[lists]]\nname = "{name}"\nstatus = "{status}"\nowner = "{owner}"\nfiles = ["{name}.csv"]\n'
        for name, status, owner in (
            ("unregistered", "greylisted", "customs"),
            ("blocked", "blacklisted", "regulator"),
        )
    )
    Path("register.toml").write_text(lists)
    Path("unregistered.csv").write_text(f"imei,until\n{ONE},2030-06-30\n")
    Path("blocked.csv").write_text("imei\n")
    Path("in/customs").mkdir(parents=True)
    Path("in/customs/unregistered_full_000001.csv").write_text(f"imei,until\n{ONE},2030-06-30\n")
    played("$ imeiset create eir register.toml\n")
    played("$ imeiset expire eir --today 2030-07-01 --then blocked --force\n")
    played("$ imeiset feed in/customs eir --force\n")
    with Store.open("eir") as store:
        assert store["unregistered"] == store["blocked"] == ImeiSet([ONE])
        assert store.check(ONE).status is EquipmentStatus.BLACKLISTED
    played("$ imeiset expire eir --today 2030-07-02 --then blocked --force\n")
    with Store.open("eir") as store:
        assert (len(store["unregistered"]), store["blocked"]) == (0, ImeiSet([ONE]))


def test_a_fleet(here):
    names = iter(
        [
            *("fleet.csv", "workshop.csv", "stolen.csv", "fleet.toml"),
            *("swap.csv", "machines.toml", "bought.csv", "models.csv"),
        ]
    )
    for language, text in blocks("fleet.md"):
        if language in ("csv", "toml"):
            Path(next(names)).write_text(text)
        elif language == "console":
            played(text)
        elif language == "python":
            exec(compile(text, "fleet.md", "exec"), {})
    assert [*names] == []
    with Store.open("eir") as store:  # the lock of a phone goes with its last pair
        store.apply(Delta("scrapped", remove=[TWO], by="acme"))
        for end, status in ((3, EquipmentStatus.BLACKLISTED), (4, EquipmentStatus.WHITELISTED)):
            store.apply(Delta("fleet", remove=([TWO], [f"23415000000000{end}"]), by="acme"))
            assert store.check(TWO, "234150777777777").status is status
