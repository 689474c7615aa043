"""`imeiset feed` as a user calls it."""

import json
import random
import signal
import subprocess
from pathlib import Path

import pytest
from cli.test_commands import ENVIRONMENT, RUN, run

from imeiset import EquipmentStatus, ImeiSet, Register, Store, check_digit

ONE, TWO, THREE = "490154203237518", "356938035643809", "352099001761481"


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    register = Register()
    register.add("stolen", [ONE], status=EquipmentStatus.BLACKLISTED, owner="op-a")
    Store.create("eir", register).close()
    Path("op-a").mkdir()
    Path("op-a/delta_1.csv").write_text(f"imei,change_type\n{TWO},add\n")
    Path("op-a/readme.txt").write_text("")
    return "eir"


def test_what_became_of_each_file(store):
    Path("op-a/full_3.csv").write_text(f"{ONE}\n{TWO}\n{THREE}\n")
    found = run("feed", "op-a", store)
    assert found.stdout.splitlines() == [
        "            left out   readme.txt: its name has no number: --number says which",
        "         1  applied    delta_1.csv: 1 added, 0 removed, 0 updated",
        "         3  replaced   full_3.csv: stolen 3",
    ]
    found = run("feed", "op-a/", "eir/")
    assert found.stdout.splitlines()[-1] == "eir/: nothing new of op-a"
    facts = [json.loads(line) for line in run("feed", "op-a", store, "--json").stdout.splitlines()]
    assert [(one["action"], one["number"]) for one in facts] == [
        ("left out", 0),
        ("contained", 1),
        ("contained", 3),
    ]
    facts = [json.loads(line) for line in run("feed", "op-a", store, "--force", "--json").stdout.splitlines()]
    assert (facts[1]["action"], facts[1]["lists"]) == ("replaced", {"stolen": 3})


def test_what_is_missing_is_an_error_after_what_was_done(store):
    Path("op-a/delta_3.csv").write_text(f"imei,change_type\n{THREE},add\n")
    found = run("feed", "op-a", store, code=2)
    assert [line.split()[1] for line in found.stdout.splitlines()[1:]] == ["applied", "waiting"]
    assert found.stderr == (
        "imeiset: op-a: expected the change after 1 of feed 'op-a'; or a newer full list, got delta_3.csv, "
        "which comes after 2\n"
    )
    with Store.open(store) as opened:
        assert opened.feeds == {"op-a": 1}


def test_options_of_reading_and_outcomes(store):
    Path("op-a/delta_1.csv").write_text(f"number;op\n{TWO};1\n{ONE};0\n")
    Path("out").mkdir()
    reading = "--column", "number", "--change-column", "op", "--change-values", "1=add,0=remove"
    found = run("feed", "op-a", store, *reading, "--outcomes", "out", "--json", "--min-size", "0")
    facts = json.loads(found.stdout.splitlines()[-1])
    assert (facts["added"], facts["removed"]) == (1, 1)
    assert Path("out/delta_1.csv.outcomes.csv").read_text() == (
        f"number;op;outcome\n{TWO};1;added\n{ONE};0;removed\n"
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--outcomes", "nowhere"], "expected a directory, got 'nowhere'"),
        (["--outcomes", "op-a"], "another directory than DIR"),
        (["--number", "("], "--number: "),
        (["--number", "x"], "with a group"),
        (["--change-values", "1=add"], "change_column with change_values"),
        (["--feed", "op-x"], "a feed that owns lists in the store (op-a), or --description"),
        (["--description", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_what_is_wrong(store, words, why):
    assert why in run("feed", "op-a", store, *words, code=2).stderr
    with Store.open(store) as opened:
        assert opened.sequence == 0


def test_a_name_that_settles_nothing(store):
    assert "nowhere" in run("feed", "nowhere", store, "--feed", "op-a", code=2).stderr
    assert "nowhere" in run("feed", "op-a", "nowhere", code=2).stderr


def test_info_says_how_far_feeds_are_and_when_lists_were_named(store):
    run("feed", "op-a", store)
    facts = json.loads(run("info", store, "--json").stdout)
    assert facts["feeds"]["op-a"]["number"] == 1
    assert facts["feeds"]["op-a"]["age"] >= 0
    [one] = facts["lists"]
    assert (one["owner"], one["changed"] is None, facts["compact_due"]) == ("op-a", False, None)
    shown = run("info", store).stdout
    assert "feed op-a: change 1, " in shown
    assert shown.rstrip().endswith("UTC")


def test_info_says_the_hour_that_the_last_change_of_a_feed_may_be(store):
    with Store.open(store) as opened:
        opened.apply(feed="op-a", sequence=2026113023, after=0)
    assert "feed op-a: change 2026113023 (2026-11-30 23 h), " in run("info", store).stdout
    assert json.loads(run("info", store, "--json").stdout)["feeds"]["op-a"]["number"] == 2026113023


def test_info_gives_the_digests_of_lists(store):
    Register().save("empty.imei")
    ImeiSet([ONE]).save("set.imei")
    with Store.open(store) as opened:
        digest = opened.lists[0].digest().hex()
    assert f"{digest}  stolen\n" in run("info", store, "--digests").stdout
    assert json.loads(run("info", store, "--digests", "--json").stdout)["lists"][0]["digest"] == digest
    assert "digest" not in run("info", store, "--json").stdout
    assert run("info", "empty.imei", "--digests").exit_code == 0
    digest = ImeiSet([ONE]).digest()
    assert run("info", "set.imei", "--digests").stdout.endswith(f"{digest}\n")
    assert json.loads(run("info", "set.imei", "--digests", "--json").stdout)["digest"] == digest
    assert "snapshot or a store" in run("info", "op-a/delta_1.csv", "--digests", code=2).stderr


@pytest.mark.long
def test_a_run_that_is_killed_goes_on(store):
    """Wherever it was: what the store has is whole, and the next run does the rest."""
    phones = [f"{body}{check_digit(body)}" for body in map(str, range(86012345000000, 86012345000050))]
    Path("op-a/delta_1.csv").unlink()
    Path("op-a/full_1.csv").write_text(f"{phones[0]}\n")
    for n, imei in enumerate(phones[1:], 2):
        Path(f"op-a/delta_{n}.csv").write_text(f"imei,change_type\n{imei},add\n")
    chance, code = random.Random(7), None
    while code is None:
        feed = subprocess.Popen([*RUN, "feed", "op-a", store], env=ENVIRONMENT)
        try:
            code = feed.wait(chance.uniform(0.3, 4))
        except subprocess.TimeoutExpired:
            feed.send_signal(chance.choice([signal.SIGKILL, signal.SIGTERM]))
            feed.wait()
        with Store.open(store) as opened:
            assert opened["stolen"] == ImeiSet(phones[: opened.feeds.get("op-a", 0)] or [ONE])
    assert (code, len(opened["stolen"])) == (0, 50)
