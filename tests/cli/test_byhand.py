"""One phone by hand, lists that come and go, what is past, what was, and why a phone is blocked."""

import datetime
import json
from pathlib import Path

import pytest
from cli.test_commands import fails, run

from imeiset import Delta, EquipmentStatus, Register, Store

STOLEN, GOOD, OTHER = "490154203237518", "356938035643809", "352099001761481"
HOME, AWAY = "234150999999999", "262011234567890"
BLACK, GREY = EquipmentStatus.BLACKLISTED, EquipmentStatus.GREYLISTED
TODAY = datetime.datetime.now(datetime.UTC).date()


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    register = Register()
    register.add("stolen", [STOLEN], status=BLACK, reason="stolen", dates=["2024-02-29"], owner="op-a")
    register.add("watch", [STOLEN, OTHER], status=GREY)
    register.lock("locks", [STOLEN], [HOME])
    Store.create("eir", register).close()
    return "eir"


def lines(found):
    return [" ".join(line.split()) for line in found.stdout.splitlines()]


# ---- apply --add and --remove ----


def test_one_phone_more_and_less(store):
    by = "--list", "stolen", "--by", "op-a"
    found = run(
        "apply", store, *by, "--add", GOOD, "--reason", "lost", "--until", "2030-01-01", "--ref", "case 7"
    )
    assert found.stdout == "eir: change 1, stolen: 1 added, 0 removed\n"
    with Store.open(store) as opened:
        [claim] = opened.explain(GOOD)
        assert (claim.reasons, claim.until) == (("lost",), datetime.date(2030, 1, 1))
        [event] = opened.history(GOOD)
        assert (event.by, event.ref, event.action) == ("op-a", "case 7", "added")
    found = run("apply", store, *by, "--remove", STOLEN, "--remove", GOOD, "--json")
    facts = json.loads(found.stdout)
    assert (facts["sequence"], facts["removed"], facts["still_listed"]) == (2, 2, 1)
    found = run("apply", store, "--list", "watch", "--remove", OTHER, "--add", GOOD)
    assert found.stdout == "eir: change 3, watch: 1 added, 1 removed\n"


def test_what_does_not_fit_is_said_with_the_way_out(store):
    watch = "apply", store, "--list", "watch"
    fails(*watch, "--add", STOLEN, match="'49015420*******' is already on list 'watch'; --allow add takes it")
    run(*watch, "--add", STOLEN, "--allow", "add")
    fails(*watch, "--remove", GOOD, match="'35693803*******' is not on list 'watch'; --allow remove takes it")
    fails("apply", store, "--list", "stolen", "--add", GOOD, match="op-a")
    fails("apply", store, "--list", "stolen", "--add", GOOD, "--by", "op-b", match="op-a")
    for typed in ("490154203237519", "49015420323751", "4901542032375188"):
        fails(*watch, "--add", typed, match="--check-digit ignore takes any")
    run(*watch, "--add", "356938035643800", "--check-digit", "ignore")
    fails(*watch, "--add", "x", match="imeiset: ")
    fails(
        *watch,
        "--add",
        OTHER,
        "--allow",
        "add",
        "--date",
        "2026-01-02",
        "--until",
        "2026-01-01",
        match="until",
    )
    fails(*watch, "--add", OTHER, "--allow", "add", "--date", "yesterday", match="expected a date")
    with Store.open(store) as opened:
        assert opened.sequence == 2


def test_pairs(store):
    locks = "apply", store, "--list", "locks"
    run(*locks, "--add", STOLEN, "--imsi", AWAY)
    fails(*locks, "--add", STOLEN, "--imsi", AWAY, match="with 26201********** is already on list 'locks'")
    run(*locks, "--remove", STOLEN, "--imsi", HOME)
    with Store.open(store) as opened:
        assert opened.counts()["locks"] == {"pair": 1}
    assert "expected --imsi" in run(*locks, "--add", GOOD, code=2).stderr
    assert "no --imsi" in run("apply", store, "--list", "watch", "--add", GOOD, "--imsi", HOME, code=2).stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["a.csv", "--list", "watch", "--add", GOOD], "--add goes without a DELTA"),
        (["--list", "watch", "--add", GOOD, "--sequence", "3"], "--sequence does not go with --add"),
        (["--list", "watch", "--add", GOOD, "--rejects", "x"], "--rejects does not go with --add"),
        (["--list", "watch", "--add", GOOD, "--outcomes", "x"], "--outcomes does not go with --add"),
        (["--add", GOOD], "expected one of stolen, watch, locks, got none"),
        (["--list", "nowhere", "--add", GOOD], "got nowhere"),
        (["--list", "watch", "--add", GOOD, "--remove", GOOD], "both added and removed"),
        (["--list", "watch", "--remove", GOOD, "--reason", "x"], "--reason does not go with --remove"),
        (["--create-list", "new"], "needs --status"),
        (["--create-list", "new", "--status", "greylisted", "--kind", "exempt"], "is whitelisted"),
        (["--create-list", "new", "--status", "greylisted", "--add", GOOD], "expected alone"),
        (["--drop-list", "nowhere"], "expected one of stolen, watch, locks, got nowhere"),
        (["a.csv", "--list", "watch", "--reason", "x"], "and not with a DELTA"),
        (["a.csv", "--list", "watch", "--after", "3"], "--after needs --feed and --sequence"),
        ([], "expected a DELTA"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(store, words, why):
    Path("a.csv").write_text(f"imei,change_type\n{GOOD},add\n")
    assert why in " ".join(run("apply", store, *words, code=2).stderr.split())
    with Store.open(store) as opened:
        assert opened.sequence == 0


def test_a_snapshot_is_no_store(store):
    assert "directory of a store" in run("apply", "x.imei", "--list", "x", "--add", GOOD, code=2).stderr
    assert "directory of a store" in run("apply", "x.imei", "x.csv", "-o", "y", "--by", "me", code=2).stderr


# ---- lists that come and go ----


def test_lists_come_and_go(store):
    found = run(
        "apply", store, "--create-list", "new", "--status", "greylisted", "--owner", "op-b", "--ref", "r 1"
    )
    assert found.stdout == "eir: change 1, a new list new (greylisted, owned by op-b)\n"
    fails("apply", store, "--create-list", "new", "--status", "greylisted", match="new")
    fails("apply", store, "--create-list", "", "--status", "greylisted", match="1 to 100 printable")
    new = "apply", store, "--create-list", "x", "--status", "greylisted"
    fails(*new, "--ref", "a\nb", match="ref: expected at most 200 printable")
    run("apply", store, "--create-list", "letgo", "--kind", "exempt")
    run("apply", store, "--list", "new", "--add", GOOD, "--by", "op-b")
    fails("apply", store, "--drop-list", "new", match="op-b")
    fails("apply", store, "--drop-list", "new", "--by", "op-b", match="empty, before it is dropped")
    run("apply", store, "--drop-list", "new", "--by", "op-b", "--force")
    run("apply", store, "--drop-list", "letgo")
    with Store.open(store) as opened:
        assert [one.name for one in opened.lists] == ["stolen", "watch", "locks"]


# ---- explain ----


def test_why_a_phone_is_blocked(store):
    found = run("explain", store, STOLEN, "--imsi", AWAY)
    assert lines(found) == [
        f"{STOLEN} with {AWAY} blacklisted locks pair - -",
        "list status rule owner reasons since until",
        "* locks blacklisted pair - - - -",
        "stolen blacklisted exact op-a stolen 2024-02-29 -",
        "watch greylisted exact - - - -",
    ]
    facts = json.loads(run("explain", store, OTHER, "--json").stdout)
    assert (facts["imei"], facts["status"], facts["list"]) == (OTHER, "greylisted", "watch")
    assert facts["claims"] == [
        {
            "list": "watch",
            "owner": "",
            "status": "greylisted",
            "rule": "exact",
            "reasons": [],
            "date": None,
            "until": None,
            "decided": True,
        }
    ]
    found = run("explain", store, GOOD, code=1)
    assert found.stdout == f"{GOOD}  whitelisted, on no list\n"
    fails("explain", store, "x", match="imeiset: ")
    assert "5 to 15 digits" in run("explain", store, STOLEN, "--imsi", "x", code=2).stderr


def test_a_set_explains_nothing(store):
    from imeiset import ImeiSet

    ImeiSet([STOLEN]).save("set.imei")
    assert "is a set, which has no lists" in run("explain", "set.imei", STOLEN, code=2).stderr


# ---- history ----


@pytest.fixture
def changed(store):
    with Store.open(store) as opened:
        opened.apply(Delta("stolen", add=[GOOD], reason="lost|found", by="op-a", ref="case, 7"))
        opened.apply(Delta("watch", remove=[OTHER]), feed="customs")
        opened.apply(Delta("locks", add=([GOOD], [AWAY])))
    return store


def test_history_of_one_phone_shows_it(changed):
    found = lines(run("history", changed, GOOD))
    assert [line.split(" ", 2)[2] for line in found] == [
        f"1 - added stolen exact {GOOD} by op-a ref case, 7 found|lost",
        f"3 - added locks pair {GOOD} with {AWAY}",
    ]
    found = lines(run("history", changed, STOLEN))
    assert all("held" in line for line in found)
    run("history", changed, "352099001761499", code=1)
    assert [json.loads(line)["list"] for line in lines(run("history", changed, GOOD, "--json"))] == [
        "stolen",
        "locks",
    ]
    assert len(lines(run("history", changed, GOOD, "--list", "locks"))) == 1


def test_history_of_all_phones_is_masked_unless_it_is_written_or_asked_for(changed):
    shown = run("history", changed).stdout
    assert not any(number in shown for number in (GOOD, OTHER, AWAY))
    assert "35693803*******" in shown
    assert "26201**********" in shown
    assert "customs 1" in shown
    assert GOOD in run("history", changed, "--whole").stdout
    assert GOOD not in run("history", changed, "--json").stdout
    run("history", changed, "-o", "h.csv")
    rows = Path("h.csv").read_text().splitlines()
    assert rows[0] == "time,sequence,feed,number,list,rule,action,imei,last,imsi,by,ref,reasons,date,until"
    assert rows[1].split(",", 1)[1] == f'1,,,stolen,exact,added,{GOOD},,,op-a,"case, 7",found|lost,,'
    assert rows[2].split(",", 1)[1] == f"2,customs,1,watch,exact,removed,{OTHER},,,customs,,,,"
    assert Path("h.csv").stat().st_mode & 0o777 == 0o600
    assert run("history", changed, "-o", "-").stdout.splitlines() == rows
    assert len(json.loads(run("history", changed, "--json", "-o", "-").stdout.splitlines()[0])["imei"]) == 15


def test_history_since_a_change_or_a_day(changed):
    assert len(lines(run("history", changed, "--since", "2"))) == 2
    assert len(lines(run("history", changed, "--since", TODAY.isoformat()))) == 3
    assert len(lines(run("history", changed, "--since", "2001-01-01"))) == 3
    run("history", changed, "--since", "2999-01-01", code=1)
    run("history", changed, "--since", "99", code=1)
    assert "got 'x'" in run("history", changed, "--since", "x", code=2).stderr
    assert "got nowhere" in run("history", changed, "--list", "nowhere", code=2).stderr
    assert "is a file of a store" in run("history", changed, "-o", f"{changed}/current", code=2).stderr


def test_prune_leaves_history_for_days(changed):
    run("compact", changed)
    assert run("prune", changed, "--keep", "1", "--history", "30").exit_code == 0
    assert len(lines(run("history", changed, GOOD))) == 2
    run("prune", changed, "--keep", "1")
    assert ["held" in line for line in lines(run("history", changed, GOOD))] == [True, True]
    assert "nan" in run("prune", changed, "--keep", "1", "--history", "nan", code=2).stderr


# ---- expire ----


def test_what_is_past_goes_when_somebody_says_so(store):
    day = TODAY + datetime.timedelta(days=10)
    run("apply", store, "--list", "watch", "--add", GOOD, "--until", day.isoformat())
    run("apply", store, "--create-list", "black", "--status", "blacklisted")
    assert run("expire", store).stdout == f"eir: nothing is past on {TODAY}\n"
    late = (day + datetime.timedelta(days=1)).isoformat()
    fails("expire", store, "--today", late, match="force it (--force, ")
    found = run("expire", store, "--today", late, "--then", "black", "--min-size", "60", "--by", "clerk")
    assert found.stdout == "eir: change 3, watch -1, black +1\n"
    with Store.open(store) as opened:
        assert opened.check(GOOD).list == "black"
        [last] = [event for event in opened.history(GOOD) if event.list == "black"]
        assert (last.by, last.ref) == ("clerk", f"expired {late}")
    facts = json.loads(run("expire", store, "--json").stdout)
    assert (facts["sequence"], facts["lists"]) == (None, {})
    for name in ("watch", "stolen"):
        more = ("--by", "op-a") if name == "stolen" else ()
        run("apply", store, "--list", name, "--add", GOOD, "--until", day.isoformat(), *more)
    moving = "expire", store, "--today", late, "--then", "black", "--force"
    found = run(*moving, "--from", "watch", "--from", "black", code=2)
    assert "expected another list" in found.stderr
    assert "got nowhere" in run(*moving, "--from", "nowhere", code=2).stderr
    assert "--from needs --then" in run("expire", store, "--from", "watch", code=2).stderr
    assert run(*moving, "--from", "watch").stdout == "eir: change 6, stolen -1, watch -1\n"
    fails("expire", store, "--today", "2001-01-01", match="clock")
    fails("expire", store, "--today", "tomorrow", match="today")
    assert "got nowhere" in run("expire", store, "--then", "nowhere", code=2).stderr


# ---- replace ----


def test_replace_the_lists_of_one_feed(store):
    Path("a.csv").write_text(f"{STOLEN}\n{GOOD}\n")
    Path("a.toml").write_text(
        "[[lists]]\nname='stolen'\nstatus='blacklisted'\nowner='op-a'\nfiles=['a.csv']\n"
    )
    found = run("replace", store, "a.toml", "--feed", "op-a", "--through", "120", "--ref", "a.csv", "--json")
    facts = json.loads(found.stdout)
    assert (facts["feed"], facts["number"], facts["generation"]) == ("op-a", 120, 2)
    with Store.open(store) as opened:
        assert opened.feeds == {"op-a": 120}
        assert len(opened["watch"]) == 2
    fails("replace", store, "a.toml", "--feed", "op-a", match="through")
    fails("replace", store, "a.toml", "--feed", "op-b", "--through", "1", match="op-a")
    assert "--through needs --feed" in run("replace", store, "a.toml", "--through", "1", code=2).stderr
    found = run("replace", store, "a.toml", "--feed", "op-a", "--through", "121")
    assert "generation 3, feed op-a, number 121" in found.stdout


def test_apply_a_file_with_the_number_of_its_feed(store):
    Path("d.csv").write_text(f"imei,change_type\n{GOOD},add\n{STOLEN},add\n")
    apply = "apply", store, "d.csv", "--list", "stolen", "--feed", "op-a", "--sequence"
    fails(*apply, "7", "--outcomes", "o.csv", match="op-a")
    found = run(*apply, "7", "--after", "0", "--outcomes", "o.csv", "--allow", "add", "--ref", "mail")
    assert found.stdout.startswith("eir: change 7 of op-a, stolen\n")
    assert Path("o.csv").read_text().splitlines() == [
        "imei,change_type,outcome",
        f"{GOOD},add,added",
        f"{STOLEN},add,already there",
    ]
    assert "change 7 of op-a, as before" in run(*apply, "7").stdout
    fails(*apply, "9", match="8")
    twice = run("apply", store, "d.csv", "d.csv", "--outcomes", "o.csv", code=2)
    assert "--outcomes: expected one DELTA" in twice.stderr
    assert "is a source" in run("apply", store, "d.csv", "--outcomes", "d.csv", code=2).stderr


def test_outcomes_of_a_set_go_with_the_result(store):
    from imeiset import ImeiSet

    ImeiSet([STOLEN]).save("set.imei")
    Path("d.csv").write_text(f"imei,change_type\n{GOOD},add\n")
    run("apply", "set.imei", "d.csv", "-o", "out.imei", "--outcomes", "o.csv")
    assert Path("o.csv").read_text() == f"imei,change_type,outcome\n{GOOD},add,added\n"
    Path("o.csv").unlink()
    fails("apply", "set.imei", "d.csv", "-o", "/dev/full", "--outcomes", "o.csv", match="/dev/full")
    assert not Path("o.csv").exists()
