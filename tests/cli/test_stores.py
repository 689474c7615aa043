"""The commands of registers and stores as a user calls them."""

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli.test_commands import ENVIRONMENT, RUN, fails, names, run

from imeiset import EquipmentStatus, ImeiSet, Register, Store, apply

STOLEN, GOOD, OTHER, MODEL = "490154203237518", "356938035643809", "352099001761481", "351234560000000"
HOME, AWAY = "234150999999999", "262011234567890"
TEXT = """
[policy]
malformed = "greylisted"

[[lists]]
name = "stolen"
status = "blacklisted"
reason = "reported"
files = ["stolen.csv"]

[[lists]]
name = "models"
kind = "tacs"
status = "greylisted"
files = ["tacs"]

[[lists]]
name = "pairs"
kind = "exempt"
files = ["pairs.csv"]
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current directory with a description and its files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    rows = "".join(f"{86012345000000 + n},20240101,lost\n" for n in range(20))
    (tmp_path / "stolen.csv").write_text(
        f"imei,block_date,reasons\n{STOLEN},20240229,stolen|lost\n{rows}x,,\n"
    )
    (tmp_path / "tacs").write_text("35123456\n")
    (tmp_path / "pairs.csv").write_text(f"imei,imsi\n{STOLEN},{HOME}\n")
    (tmp_path / "register.toml").write_text(TEXT)
    return tmp_path


@pytest.fixture
def register(here):
    run("build", "register.toml", "-o", "register.imei")
    return "register.imei"


@pytest.fixture
def store(here):
    run("create", "eir", "register.toml")
    return "eir"


def words(text):
    return [" ".join(line.split()) for line in text.splitlines()]


# ---- build, create, replace ----


def test_build_of_a_description(here):
    found = run("build", "register.toml", "-o", "register.imei", "--rejects", "rejects.csv")
    lines = words(found.stdout)
    assert lines[0] == "register.imei: a register of 3 lists"
    for line in (
        "stolen (imeis): 21 IMEIs",
        "models (tacs): 1,000,000 IMEIs",
        "pairs (exempt): 1 pairs",
        "a character that is not a digit 1 stolen.csv: 23",
    ):
        assert line in lines
    assert Register.open("register.imei").check(STOLEN).reasons == ("lost", "stolen")
    assert {"rejects-models.csv", "rejects-pairs.csv", "rejects-stolen.csv"} <= set(names())

    found = run("build", "register.toml", "-o", "again.imei", "--json")
    facts = json.loads(found.stdout)
    assert [(one["name"], one["kind"], one["keys"]) for one in facts["lists"]] == [
        ("stolen", "imeis", 21),
        ("models", "tacs", 10**6),
        ("pairs", "exempt", 1),
    ]
    assert Path("again.imei").read_bytes() == Path("register.imei").read_bytes()


def test_build_of_a_description_is_all_or_nothing(here):
    Path("register.imei").write_text("the old one")
    before = names()
    fails("build", "register.toml", "-o", "register.imei", "--max-rejects", "0", match="line 23")
    Path("pairs.csv").write_text("imei,imsi\n")
    Path("tacs").write_text("x\n")
    fails("build", "register.toml", "-o", "register.imei", "--rejects", "r.csv", match="tacs: expected")
    Path("register.toml").write_text(TEXT.replace("reason", "raeson"))
    fails("build", "register.toml", "-o", "register.imei", match="'reason' as the nearest, got 'raeson'")
    assert names() == before
    assert Path("register.imei").read_text() == "the old one"


def test_build_refuses_a_register_in_which_a_list_shrank(here):
    build = ("build", "register.toml", "-o")
    run(*build, "register.imei")
    before = Path("register.imei").read_bytes()
    whole = Path("stolen.csv").read_text()

    def rows(count):
        Path("stolen.csv").write_text("".join(whole.splitlines(keepends=True)[: count + 1]))

    rows(15)  # of 21, beside a million that another list has
    message = "at least 75% of the 21 of list 'stolen' by exact, got 15: --force"
    fails(*build, "register.imei", match=message)
    fails(*build, "other.imei", "--against", "register.imei", match=f"other.imei: expected {message}")
    assert Path("register.imei").read_bytes() == before
    assert not Path("other.imei").exists()
    run(*build, "other.imei")  # nothing is there
    fails(*build, "register.imei", "--min-size", "71.5", match="at least 71.5% of the 21 of list 'stolen'")
    run(*build, "register.imei", "--min-size", "71")
    rows(1)
    run(*build, "register.imei", "--force")
    Path("register.toml").write_text(TEXT.replace('[[lists]]\nname = "pairs"', '[[lists]]\nname = "new"'))
    fails(*build, "register.imei", match="at least 75% of the 1 of list 'pairs' by pair, got 0")
    fails(*build, "new.imei", "--against", "missing", match="missing")
    ImeiSet([STOLEN]).save("set.imei")
    fails(
        *build, "set.imei", match="a snapshot of kind 'register', got 'set'; --force replaces it all the same"
    )
    assert len(ImeiSet.open("set.imei")) == 1
    run(*build, "set.imei", "--force")
    assert Register.open("set.imei").lists[0].name == "stolen"


def test_build_usage_with_a_description(here):
    def refused(*arguments):
        return run("build", *arguments, code=2).stderr

    assert "alone" in refused("register.toml", "stolen.csv", "-o", "x")
    assert "write format = ... in its lists" in refused("register.toml", "-o", "x", "--format", "plain")
    assert "write check_digit = ..." in refused("register.toml", "-o", "x", "--check-digit", "ignore")
    assert "--max-line does not go with a description" in refused(
        "register.toml", "-o", "x", "--max-line", "9"
    )
    assert "is a source" in refused("register.toml", "-o", "stolen.csv")
    assert "is a source" in refused("register.toml", "-o", "register.toml")
    assert "is a directory" in refused("register.toml", "-o", ".")
    fails("build", "none.toml", "-o", "x", match="none.toml: expected a readable file")


def test_create_and_replace(register, here):
    found = run("create", "eir", register)
    assert found.stdout.startswith("eir: generation 1, state ")
    fails("create", "eir", register, match="eir: expected a directory without a store, got one with a store")
    fails("create", "new", "stolen.csv", match="expected a snapshot")
    fails("replace", "nowhere", register, match="nowhere: expected a store")
    Path("stolen.csv").write_text(f"{STOLEN}\n")
    fails("replace", "eir", "register.toml", match="at least 75% of the 21 of list 'stolen' by exact, got 1")
    assert Store.open("eir").generation == 1
    found = run("replace", "eir", "register.toml", "--force", "--json")
    facts = json.loads(found.stdout)
    assert (facts["out"], facts["generation"], len(facts["lists"])) == ("eir", 2, 3)
    assert facts["state_id"] == Store.open("eir").state_id
    run("replace", "eir", "register.toml", "--min-size", "100")
    assert Store.open("eir").generation == 3


# ---- check ----


def test_check_says_what_decided(register, store):
    for path in (register, store):
        found = run("check", path, STOLEN, OTHER, MODEL)
        assert found.stdout.splitlines() == [
            f"{STOLEN}  blacklisted  stolen  exact  2024-02-29  lost|stolen",
            f"{OTHER}  whitelisted, on no list",
            f"{MODEL}  greylisted  models  tac  -  -",
        ]
        assert run("check", path, OTHER, code=1).exit_code == 1
        found = run("check", path, "--imsi", HOME, STOLEN, code=1)
        assert found.stdout == f"{STOLEN}  whitelisted  pairs  pair  -  -\n"
        assert run("check", path, "--imsi", AWAY, STOLEN, "-q").output == ""
        nothing = {"list": None, "rule": "malformed", "reasons": [], "date": None}
        found = json.loads(run("check", path, "x", "--json").stdout)
        assert found == {"imei": "x", "status": "greylisted", **nothing}
        found = json.loads(run("check", path, STOLEN, "--json").stdout)
        assert found == {
            "imei": STOLEN,
            "status": "blacklisted",
            "list": "stolen",
            "rule": "exact",
            "reasons": ["lost", "stolen"],
            "date": "2024-02-29",
        }
        found = run("check", path, "-", input=f"{OTHER}\n{STOLEN}\n")
        assert [line.split()[1].rstrip(",") for line in found.stdout.splitlines()] == [
            "whitelisted",
            "blacklisted",
        ]
        assert "5 to 15 digits" in run("check", path, "--imsi", "1x", STOLEN, code=2).stderr


def test_check_of_a_malformed_imei_by_a_register_that_decides_none(here):
    Register().save("empty.imei")
    found = run("check", "empty.imei", OTHER, "49015420323751x", code=2)
    assert found.stdout == f"{OTHER}  whitelisted, on no list\n"
    assert found.stderr.startswith("imeiset: row 2: a character that is not a digit")
    ImeiSet([STOLEN]).save("set.imei")
    assert "a set has no subscribers" in run("check", "set.imei", "--imsi", HOME, STOLEN, code=2).stderr


@pytest.mark.parametrize("given", [b"\xff\xfe", b"\x1b[31mred", b"62#\xe2\x80\xae"])
def test_check_of_what_cannot_be_printed(register, given):
    """A policy has a verdict on it, which is told in one line that does nothing to a terminal."""
    for argument in (os.fsdecode(given), "-"):
        found = run("check", register, argument, input=given + b"\n")
        assert found.stdout.endswith("  greylisted, not an IMEI\n")
        assert found.stdout.isascii()
        assert found.stdout[:-1].isprintable()
        found = run("check", register, "--json", argument, input=given)
        verdict = json.loads(found.stdout)
        assert (verdict["status"], verdict["rule"]) == ("greylisted", "malformed")


# ---- apply, compact, prune ----


def test_apply_to_a_store(store, here):
    Path("one.csv").write_text(f"imei,block_date,reasons,change_type\n{GOOD},20240301,lost,add\n")
    Path("two_removed.csv").write_text(f"imei\n{GOOD}\n")
    fails(
        "apply",
        store,
        "two_removed.csv",
        "--list",
        "stolen",
        match="got removals of what is not there: 1, line 2",
    )
    found = run("apply", store, "one.csv", "two_removed.csv", "--list", "stolen", "--sequence", "1")
    lines = found.stdout.splitlines()
    assert (lines[0], lines[1]) == ("eir: change 1, stolen", "  1 rows: 1 added, 0 removed, 0 updated")
    assert (lines[3], lines[4]) == ("eir: change 2, stolen", "  1 rows: 0 added, 1 removed, 0 updated")
    again = run("apply", store, "one.csv", "--list", "stolen", "--sequence", "1")
    assert again.stdout.startswith("eir: change 1, as before, stolen\n")
    fails("apply", store, "one.csv", "--list", "stolen", "--sequence", "4", match="expected change 3, got 4")
    found = run("apply", store, "one.csv", "--list", "stolen", "--json")
    facts = json.loads(found.stdout)
    assert (facts["sequence"], facts["added"]) == (3, 1)
    assert facts["digest"] == Store.open(store)["stolen"].digest()
    assert run("check", store, GOOD).stdout == f"{GOOD}  blacklisted  stolen  exact  2024-03-01  lost\n"
    Path("pairs_added.csv").write_text(f"imei,imsi\n{GOOD},{AWAY}\n")
    run("apply", store, "pairs_added.csv", "--list", "pairs")
    run("check", store, GOOD, "--imsi", AWAY, code=1)
    Path("odd").write_text("+62#22\n")
    run("apply", store, "odd", "--list", "stolen", "--irregular", "keep")
    assert run("check", store, "62#22").stdout.startswith("62#22  blacklisted  stolen  irregular")

    found = run("compact", store)
    assert found.stdout.startswith("eir: generation 2, 5 changes put into its base of ")
    assert run("prune", store, "--keep", "1").stdout == "eir: 1 generation removed\n"
    assert names(store) == ["base-00000002.imei", "current", "journal-00000002", "lock"]
    assert run("verify", store).stdout == "eir: whole, generation 2, change 5\n"


def test_apply_usage(store, here):
    ImeiSet([STOLEN]).save("set.imei")
    Path("d").write_text(f"+{GOOD}\n")
    assert "expected -o OUT" in run("apply", "set.imei", "d", code=2).stderr
    assert (
        "needs the directory of a store"
        in run("apply", "set.imei", "d", "-o", "x", "--list", "y", code=2).stderr
    )
    assert "without -o" in run("apply", store, "d", "-o", "x", code=2).stderr
    assert "expected one of stolen, models, pairs, got none" in run("apply", store, "d", code=2).stderr
    assert "one DELTA" in run("apply", store, "d", "d", "--rejects", "r", "--list", "stolen", code=2).stderr
    fails("apply", ".", "d", match="expected a store")
    run("apply", "set.imei", "d", "-o", "set.imei")
    assert len(ImeiSet.open("set.imei")) == 2


def test_one_writer_at_a_time(store, here):
    Path("d").write_text(f"+{GOOD}\n")
    with Store.open(store) as writer:
        writer.apply()
        for arguments in (
            ("apply", store, "d", "--list", "stolen"),
            ("compact", store),
            ("prune", store, "--keep=1"),
        ):
            fails(*arguments, match=f"expected no other writer, got process {os.getpid()}")
    run("apply", store, "d", "--list", "stolen")


# ---- info, verify ----


def test_info_of_a_register_and_a_store(register, store):
    lines = words(run("info", register).stdout)
    size = Path(register).stat().st_size
    assert lines[0] == f"register.imei: a register of 3 lists in {size:,} bytes"
    assert lines[2] == (
        "policy: response type 1, unlisted whitelisted, malformed greylisted, precedence imsi, pair, exact, "
        "range, tac"
    )
    assert lines[3:] == [
        "stolen blacklisted imeis 21 by exact reported",
        "models greylisted imeis 1,000,000 by tac",
        "pairs whitelisted exempt 1 by pair",
    ]
    facts = json.loads(run("info", register, "--json").stdout)
    assert (facts["bytes"], facts["policy"]["malformed"]) == (size, "greylisted")
    assert facts["lists"][0]["counts"] == {"exact": 21}

    with Store.open(store) as writer:
        writer.apply()
    lines = words(run("info", store).stdout)
    assert lines[0].startswith("eir: generation 1, change 1, last changed 20")
    assert lines[1].startswith("base of ")
    assert "1 change since in a journal of" in lines[1]
    facts = json.loads(run("info", store, "--json").stdout)
    status = Store.open(store).status()
    assert (facts["generation"], facts["sequence"], facts["journal_records"]) == (1, 1, 1)
    assert (facts["state_id"], facts["lists"][2]["kind"]) == (status.state_id, "exempt")
    assert 0 <= facts["age"] < 60


def test_verify_reads_everything(register, store):
    assert run("verify", register, store).stdout == (
        "register.imei: whole, a register of 3 lists\neir: whole, generation 1, change 0\n"
    )
    for path in (Path(register), Path(store) / "base-00000001.imei"):
        data = bytearray(path.read_bytes())
        data[-70] ^= 1
        path.write_bytes(data)
    fails("verify", register, match="register.imei: expected")
    fails("verify", store, match="base-00000001.imei: expected")


# ---- watch ----


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_follows_and_ends_cleanly(store, here, number):
    with watching(store, "--json", "--interval", "0.01", "--imei", STOLEN, "--imsi", AWAY) as process:
        first = json.loads(process.stdout.readline())
        assert (first["generation"], first["sequence"], first["verdict"]["status"]) == (1, 0, "blacklisted")
        with Store.open(store) as writer:
            apply(writer, _remove(here), list="stolen")
            second = json.loads(process.stdout.readline())
            assert (second["sequence"], second["verdict"]["status"]) == (1, "whitelisted")
            writer.compact()
            third = json.loads(process.stdout.readline())
            assert (third["generation"], third["state_id"]) == (2, writer.state_id)
            assert 0 <= third["age"] < 60
        (Path(store) / "current").rename("away")
        assert "eir: expected a store, got a directory without one" in process.stderr.readline()
        Path("away").rename(Path(store) / "current")
        process.send_signal(number)
        rest = process.communicate(timeout=120)
        assert process.returncode == (0 if number == signal.SIGINT else 128 + number)
        assert "Traceback" not in rest[1]


@contextmanager
def watching(store, *options):
    """`imeiset watch`, in a process that ends with the test."""
    command = [*RUN, "watch", store, *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _remove(folder):
    (folder / "found_removed.csv").write_text(f"imei\n{STOLEN}\n")
    return folder / "found_removed.csv"


def test_watch_for_people(store):
    with watching(store, "--imei", STOLEN) as process:
        line, verdict = process.stdout.readline(), process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
    assert line.startswith("eir: generation 1, change 0, ")
    assert verdict == f"  {STOLEN}  blacklisted  stolen  exact  2024-02-29  lost|stolen\n"
    assert "--imsi needs --imei" in run("watch", store, "--imsi", HOME, code=2).stderr
    for interval in ("0", "nan", "inf", "1e300"):
        assert "--interval" in run("watch", store, "--interval", interval, code=2).stderr
    fails("watch", ".", match="expected a store")
    assert (
        Register.open(Path(store) / "base-00000001.imei").check(STOLEN).status == EquipmentStatus.BLACKLISTED
    )


@pytest.mark.parametrize(
    "command",
    [
        "build list.csv -o {}",
        "build list.csv -o x.imei --rejects {}",
        "build register.toml -o {}",
        "merge a.imei b.imei -o {}",
        "screen a.imei list.csv -o {}",
        "export a.imei -o {}",
        "diff a.imei b.imei -o {}",
        "apply a.imei delta.csv -o {}",
        "apply eir delta.csv --list stolen --rejects {}",
    ],
)
@pytest.mark.parametrize(
    "name", ["current", "lock", "base-00000001.imei", "journal-00000001", "journal-00000002"]
)
def test_no_output_goes_into_a_store(store, here, command, name):
    """Not even one that is not there yet: it will be."""
    ImeiSet([STOLEN]).save("a.imei")
    ImeiSet([OTHER]).save("b.imei")
    (here / "list.csv").write_text(f"imei\n{OTHER}\n")
    (here / "delta.csv").write_text(f"imei,change_type\n{OTHER},add\n")
    before = {path.name: path.read_bytes() for path in (here / "eir").iterdir()}
    found = run(*command.format(f"eir/{name}").split(), code=2)
    assert "is a file of a store" in found.stderr
    assert {path.name: path.read_bytes() for path in (here / "eir").iterdir()} == before
    assert run("verify", "eir").exit_code == 0


def test_no_output_takes_the_place_of_an_input_in_a_directory(here):
    ImeiSet([STOLEN]).save("a.imei")
    (here / "calls").mkdir()
    (here / "calls" / "one.csv").write_text(f"imei\n{STOLEN}\n")
    for output in ("calls/one.csv", "calls/../calls/one.csv"):
        found = run("screen", "a.imei", "calls", "-o", output, code=2)
        assert found.stderr.startswith("Usage:"), found.stderr
        assert (here / "calls" / "one.csv").read_text() == f"imei\n{STOLEN}\n"
