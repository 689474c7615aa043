"""The commands as a user calls them: answers on stdout, one line on stderr, exit codes as grep's."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

import imeiset
from imeiset import ImeiSet, Register
from imeiset.cli import _COMMANDS, main

LISTED, OTHER = "490154203237518", "356938035643809"
RUN = [sys.executable, "-m", "imeiset"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(imeiset.__file__).parent.parent)}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


@pytest.fixture
def snapshot(here):
    ImeiSet([LISTED, "86012345678901", "49015420323752"]).save("set.imei")
    return "set.imei"


def run(*arguments, code=0, **options):
    found = CliRunner().invoke(main, [str(argument) for argument in arguments], **options)
    assert found.exit_code == code, (found.output, found.exception)
    assert "Traceback" not in found.output
    return found


def fails(*arguments, match, **options):
    """The command ends with 2 and one clear line."""
    found = run(*arguments, code=2, **options)
    assert match in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1, found.stderr
    assert found.stdout == ""


def names(folder="."):
    return sorted(path.name for path in Path(folder).iterdir())


# ---- build ----


def test_build_and_its_report(here):
    text = f"\ufeffdate;IMEI\r\n1;{LISTED}\r\n\r\n2;{LISTED}\n3;{OTHER[:-1]}0\n4;\n5\n6;12\n"
    (here / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    (here / "b.txt").write_text("# comment\n49015420323752\n9901542032375212\n")
    found = run("build", "a.csv.gz", "b.txt", "-o", "out.imei", "--rejects", "rejects.csv")
    assert found.stderr == ""
    table = [" ".join(line.split()) for line in found.stdout.splitlines()]
    assert table[0] == "out.imei: 4 IMEIs"
    assert "lines 11 a.csv.gz (table), b.txt (plain)" in table
    for row in (
        "headers 1",
        "comments 1",
        "blank 1",
        "accepted 5",
        "14 digits 1",
        "15 digits 3",
        "16 digits 1",
        "duplicates 1",
        "rejected 3",
        "empty 1 a.csv.gz: 6",
        "fewer than 14 digits 1 a.csv.gz: 8",
        "a row that ends before a column that it needs 1 a.csv.gz: 7",
    ):
        assert row in table
    assert (here / "rejects.csv").read_text().splitlines() == [
        "line;source;reason;date;IMEI",
        '6;"a.csv.gz";empty;4;',
        '7;"a.csv.gz";short_row;5',
        '8;"a.csv.gz";too_short;6;12',
    ]
    assert len(ImeiSet.open("out.imei")) == 4


def test_build_says_that_it_did_not_look_at_statuses(here):
    (here / "a.csv").write_text(f"imei,status\n{LISTED},seen\n")
    found = run("build", "a.csv", "-o", "out.imei")
    table = [" ".join(line.split()) for line in found.stdout.splitlines()]
    assert "not looked at a.csv: column 'status', like statuses: seen" in table


def test_build_from_stdin_with_a_json_report(here):
    arguments = (
        "build",
        "-",
        "-o",
        "out.imei",
        "--column",
        "2",
        "--check-digit",
        "require",
        "--json",
    )
    found = run(*arguments, input=f"1,{LISTED}\n2,{OTHER[:-1]}1\n")
    report = json.loads(found.stdout)
    assert (report["keys"], report["rejects"]["check_digit"]["first"]) == (1, [["-", 2]])
    assert LISTED in ImeiSet.open("out.imei")


def test_build_by_column_name(here):
    (here / "a.csv").write_text(f"imei,second\n{LISTED},{OTHER}\n")
    run("build", "a.csv", "-o", "out.imei", "--column", "Second")
    assert list(ImeiSet.open("out.imei")) == [OTHER]
    fails("build", "a.csv", "-o", "x", "--column", "secnd", match="'second' as the nearest")
    fails("build", "a.csv", "-o", "x", "--column", "3", match="rows of 2")


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "an empty file"),
        (b"PK\x03\x04", "a whole zip archive"),
        (LISTED.encode("utf-16"), "UTF-16"),
        (bytes(range(256)), "binary data"),
        (gzip.compress(LISTED.encode())[:-3], "whole gzip data"),
        (gzip.compress(LISTED.encode())[:-8] + bytes(8), "gzip data"),
        (b"one\n", "every row was rejected"),
        (f"{LISTED}\nx\ny\n".encode(), "line 3: expected at most 1 rejected rows"),
    ],
)
def test_build_of_something_wrong_publishes_nothing(here, data, match):
    (here / "in").write_bytes(data)
    (here / "out.imei").write_text("the old one")
    fails("build", "in", "-o", "out.imei", "--rejects", "rejects", "--max-rejects", "1", match=match)
    kept = ["rejects"] * ("rejected" in match)  # they are to be mended
    assert names() == ["in", "out.imei", *kept]
    assert (here / "out.imei").read_text() == "the old one"


def test_build_refuses_a_list_that_shrank(here):
    imeis = [f"490154203237{i}" for i in range(10, 14)]
    (here / "four").write_text("\n".join(imeis))
    (here / "three").write_text("\n".join(imeis[:3]))
    (here / "two").write_text("\n".join(imeis[:2]))
    run("build", "four", "-o", "set.imei")
    before = (here / "set.imei").read_bytes()
    fails("build", "two", "-o", "set.imei", match="at least 75% of the 4 identities before, got 2: --force")
    fails("build", "two", "-o", "other.imei", "--against", "set.imei", match="other.imei: expected a result")
    assert (here / "set.imei").read_bytes() == before
    assert not (here / "other.imei").exists()
    run("build", "three", "-o", "set.imei")
    fails("build", "two", "-o", "set.imei", "--min-size", "67", match="at least 67% of the 3")
    run("build", "two", "-o", "set.imei", "--min-size", "66")
    (here / "one").write_text(imeis[0])
    run("build", "one", "-o", "set.imei", "--force")
    assert len(ImeiSet.open("set.imei")) == 1
    run("build", "four", "-o", "other.imei")
    fails("build", "two", "-o", "new.imei", "--against", "missing", match="missing")


def test_build_compares_with_a_list_only(here):
    (here / "list").write_text(LISTED)
    (here / "set.imei").write_text("not a snapshot")
    fails("build", "list", "-o", "set.imei", match="--force replaces it all the same")
    assert (here / "set.imei").read_text() == "not a snapshot"
    run("build", "list", "-o", "set.imei", "--force")
    assert len(ImeiSet.open("set.imei")) == 1


def test_build_protects_its_sources(here):
    (here / "in").write_text(LISTED)
    (here / "link").symlink_to("in")
    for arguments in (("-o", "in"), ("-o", "./in"), ("-o", "link"), ("-o", "out", "--rejects", "in")):
        found = run("build", "in", *arguments, code=2)
        assert "is a source and would be replaced" in found.stderr
    assert "same file" in run("build", "in", "-o", "x", "--rejects", "./x", code=2).stderr
    assert (here / "in").read_text() == LISTED


@pytest.mark.parametrize(
    "arguments",
    [
        ("diff", "set.imei", "other.imei", "-o", "set.imei"),
        ("diff", "other.imei", "set.imei", "-o", "./set.imei"),
        ("export", "set.imei", "-o", "set.imei"),
        ("apply", "set.imei", "delta", "-o", "out", "--rejects", "set.imei"),
        ("apply", "set.imei", "delta", "-o", "out", "--rejects", "delta"),
        ("apply", "store", "delta", "--rejects", "delta"),
        ("build", "list", "-o", "out", "--against", "set.imei", "--rejects", "set.imei"),
    ],
)
def test_a_snapshot_or_delta_is_not_replaced_by_what_is_made_of_it(snapshot, here, arguments):
    ImeiSet([LISTED]).save("other.imei")
    (here / "store").mkdir()
    for name in ("list", "delta"):
        (here / name).write_text(f"+{OTHER}\n")
    before = names(), [(here / name).read_bytes() for name in (snapshot, "delta")]
    assert "is a source and would be replaced" in run(*arguments, code=2).stderr
    assert (names(), [(here / name).read_bytes() for name in (snapshot, "delta")]) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("build", "list", "-o", "out", "--max-ratio", "nan"),
        ("build", "list", "-o", "out", "--min-size", "nan"),
        ("apply", "set.imei", "delta", "-o", "out", "--min-size", "nan"),
        ("replace", "store", "set.imei", "--min-size", "nan"),
    ],
)
def test_nan_lifts_no_limit(here, arguments):
    assert re.search("expected a number( from 1)?, got nan", run(*arguments, code=2).stderr)


def test_build_to_where_nothing_can_be_written(here):
    (here / "in").write_text(LISTED)
    assert "no such directory" in run("build", "in", "-o", "missing/out", code=2).stderr
    assert "is a directory" in run("build", "in", "-o", ".", code=2).stderr
    fails("build", "in", "-o", "/dev/null", match="/dev/null: exists and is not a regular file")
    fails("build", "missing", "-o", "out", match="missing: expected a readable file, got No such file")
    (here / "closed").mkdir(0o500)
    if not os.access(here / "closed", os.W_OK):
        assert "not writable" in run("build", "in", "-o", "closed/out", code=2).stderr


def test_a_full_disk_leaves_nothing(here):
    resource = pytest.importorskip("resource")
    (here / "in").write_text("".join(f"{i:08d}000000\n" for i in range(10_000)))
    found = subprocess.run(
        [*RUN, "build", "in", "-o", "out.imei"],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert (found.returncode, found.stderr) == (2, "imeiset: out.imei: File too large\n")
    assert names() == ["in"]


def test_an_interrupt_leaves_nothing(here):
    with subprocess.Popen(
        [*RUN, "build", "-", "-o", "out.imei", "--rejects", "rejects"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as process:
        process.stdin.write(b"490154203237518\n" * 200_000)
        process.stdin.flush()
        until_it_writes(process, here)  # the rejects
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
        assert process.stderr.read() == b"imeiset: interrupted\n"
    assert names() == []


@pytest.fixture
def terminal(monkeypatch):
    """Progress as on a terminal: what it was told; `stop` interrupts it."""
    told, stop = [], []

    @contextmanager
    def bar():
        def tell(done, total):
            told.append((done, total))
            if stop:
                raise KeyboardInterrupt

        yield tell

    for module in ("diff", "export"):
        monkeypatch.setattr(import_module(f"imeiset.cli.{module}"), "progress_bar", bar)
    return told, stop


@pytest.mark.parametrize(
    "arguments",
    ["diff old.imei new.imei -o out", "export new.imei -o out", "export new.imei -o out --format dirbs"],
)
def test_progress_of_diff_and_export(here, terminal, arguments):
    told, stop = terminal
    ImeiSet.from_ranges([0], [10**6]).save("old.imei")
    ImeiSet.from_keys(list(range(10**6, 3 * 10**6, 2))).save("new.imei")
    (here / "out").write_text("before")
    stop.append(True)
    with pytest.raises(SystemExit) as caught:
        main(arguments.split(), standalone_mode=True)
    assert caught.value.code == 130
    assert (here / "out").read_text() == "before"
    assert names() == ["new.imei", "old.imei", "out"]
    told.clear()
    stop.clear()
    run(*arguments.split())
    dones, totals = zip(*told, strict=True)
    assert list(dones) == sorted(dones)
    assert len(dones) > 1
    assert set(totals) == {dones[-1]}
    assert (here / "out").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("arguments", ["diff old.imei new.imei -o out", "export new.imei -o out"])
def test_an_interrupted_diff_or_export_leaves_nothing(here, arguments):
    ImeiSet().save("old.imei")
    ImeiSet.from_ranges([0], [10**13]).save("new.imei")  # without end
    with subprocess.Popen([*RUN, *arguments.split()], stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        until_it_writes(process, here)
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
        assert process.stderr.read() == b"imeiset: interrupted\n"
    assert names() == ["new.imei", "old.imei"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("export", "set.imei", "-o", "out.parquet"), "Parquet files need pyarrow"),
        (("screen", "set.imei", "calls.parquet"), "Parquet files need pyarrow"),
        (("build", "list.parquet", "-o", "out.imei"), "list.parquet: Parquet and Arrow files need pyarrow"),
        (("build", "list.zst", "-o", "out.imei"), "list.zst: zstd data need backports.zstd"),
    ],
)
def test_an_extra_that_is_not_installed_is_told_in_a_line(snapshot, here, monkeypatch, arguments, said):
    for module in ("pyarrow", "backports", "backports.zstd", "compression", "compression.zstd"):
        monkeypatch.setitem(sys.modules, module, None)
    (here / "list.parquet").write_bytes(b"PAR1")
    (here / "list.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    fails(*arguments, match=f"{said}: pip install 'imeiset[")


# ---- check ----


def test_check_arguments(snapshot):
    found = run("check", snapshot, LISTED, OTHER, "49-015420-323752")
    assert found.stdout == f"{LISTED}  listed\n{OTHER}  not listed\n49-015420-323752  listed\n"
    assert run("check", snapshot, OTHER, code=1).stdout == f"{OTHER}  not listed\n"
    assert run("check", snapshot, LISTED, "-q").output == ""
    assert run("check", "-q", snapshot, OTHER, code=1).output == ""


def test_check_of_a_malformed_imei_is_an_error(snapshot):
    found = run("check", snapshot, LISTED, "49015420323751x", OTHER, "-12345678901234", code=2)
    assert found.stdout == f"{LISTED}  listed\n{OTHER}  not listed\n"
    assert found.stderr.splitlines() == [
        "imeiset: row 2: a character that is not a digit: expected 14, 15 or 16 ASCII digits, "
        "got '49015420*******'",
        "imeiset: row 4: a sign: expected 14, 15 or 16 ASCII digits, got '-1234567*******'",
    ]
    run("check", "-q", snapshot, LISTED, "x", code=2)


def test_check_usage(snapshot):
    for arguments in (("-", "-"), (LISTED, "-")):
        assert "'-' is stdin: expected it alone" in run("check", snapshot, *arguments, code=2).stderr
    assert "No such option '--jsno'" in run("check", snapshot, LISTED, "--jsno", code=2).stderr


@pytest.mark.parametrize("columns", [20, 80])
def test_a_digest_can_be_copied(here, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    (here / "list").write_text(LISTED)
    assert ImeiSet([LISTED]).digest() in run("build", "list", "-o", "out.imei").stdout


def test_irregular_identities(here):
    (here / "list").write_text(f"{LISTED}\n62#222222222222\nabc\n")
    found = run("build", "list", "-o", "set.imei", "--irregular", "keep")
    assert "irregular 2 2 different, kept as text" in " ".join(found.stdout.split())
    found = run("check", "set.imei", "62#222222222222", "ABC", "abd", LISTED)
    assert [line.split("  ")[1] for line in found.stdout.splitlines()] == [
        "listed",
        "listed",
        "not listed",
        "listed",
    ]
    assert "outside" not in run("check", "set.imei", "abd", "xyz", code=2).stderr
    assert "2 irregular identities" in run("info", "set.imei").stdout
    assert json.loads(run("info", "set.imei", "--json").stdout)["irregular"] == 2
    run("verify", "set.imei")


def test_check_json(snapshot):
    found = run("check", snapshot, "--json", LISTED, OTHER, "\u0664\u0669", code=2)
    assert [json.loads(line) for line in found.stdout.splitlines()] == [
        {"imei": LISTED, "listed": True},
        {"imei": OTHER, "listed": False},
        {"row": 3, "got": "\\u0664\\u0669", "error": "not_ascii"},
    ]


@pytest.mark.parametrize("ending", ["", "\n", "\r\n\r\n"])
def test_check_stdin(snapshot, ending):
    found = run("check", snapshot, "-", input=f"{OTHER}\r\n\n {LISTED}{ending}")
    assert found.stdout == f"{OTHER}  not listed\n{LISTED}  listed\n"
    assert run("check", snapshot, "-", code=1, input=OTHER + ending).exit_code == 1


@pytest.mark.parametrize("ending", ["", "\n"])
def test_check_stdin_with_a_byte_order_mark(snapshot, ending):
    assert run("check", snapshot, "-", input=f"\ufeff{LISTED}{ending}").stdout == f"{LISTED}  listed\n"


def test_check_much_from_stdin(snapshot):
    lines = [f"{i:014d}" for i in range(200_000)] + [LISTED]
    found = run("check", snapshot, "-", input="\n".join(lines))
    assert found.stdout.count("\n") == 200_001
    assert found.stdout.count("  listed") == 1


def test_check_of_nothing_finds_nothing(snapshot):
    assert run("check", snapshot, "-", code=1, input="").output == ""


def test_check_numbers_lines_with_the_blank_ones(snapshot):
    found = run("check", snapshot, "-", code=2, input=f"\n\n{LISTED}\n \nx\n")
    assert "row 5: " in found.stderr


def test_check_of_an_endless_line(snapshot):
    found = run("check", snapshot, "-", code=2, input="9" * 3_000_000)
    assert "lines of at most" in found.stderr


def test_check_stops_when_nobody_reads(snapshot):
    lines = f"{LISTED}\n" * 500_000
    command = f"{sys.executable} -m imeiset check {snapshot} - | head -1"
    found = subprocess.run(
        ["bash", "-c", command], input=lines.encode(), capture_output=True, check=False, env=ENVIRONMENT
    )
    assert found.stdout == f"{LISTED}  listed\n".encode()
    assert found.stderr == b""


@pytest.mark.parametrize("arguments", [("build", "-", "-o", "out.imei"), ("check", "set.imei", "-")])
def test_a_pipe_that_is_empty_for_now_has_not_ended(snapshot, arguments):
    """Rows that come late through a pipe that its writer made non-blocking."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with subprocess.Popen(
        [*RUN, *arguments], stdin=reader, stdout=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        os.close(reader)
        for line in (f"{OTHER}\n", f"{LISTED[:9]}", f"{LISTED[9:]}\n"):
            os.write(writer, line.encode())
            time.sleep(0.3)
        os.close(writer)
        out = process.stdout.read().decode()
    assert process.returncode == 0
    if arguments[0] == "build":
        assert len(ImeiSet.open("out.imei")) == 2
    else:
        assert out == f"{OTHER}  not listed\n{LISTED}  listed\n"


# ---- info, verify ----


def test_info(snapshot, here):
    found = run("info", snapshot)
    assert f"set.imei: 3 IMEIs of 2 TACs in {(here / snapshot).stat().st_size:,} bytes" in found.stdout
    first, second = found.stdout.splitlines()[1:3]
    assert first.split()[:2] == ["49015420", "2"]
    assert first.count("\u2588") == 2 * second.count("\u2588") == 50
    facts = json.loads(run("info", snapshot, "--json", "--top", "1").stdout)
    assert (facts["imeis"], facts["tacs"], facts["biggest_tacs"]) == (3, 2, {"49015420": 2})


def test_info_of_an_empty_set(here):
    ImeiSet().save("empty.imei")
    assert "0 IMEIs of 0 TACs" in run("info", "empty.imei").stdout
    assert json.loads(run("info", "empty.imei", "--json").stdout)["imeis"] == 0
    run("verify", "empty.imei")
    run("check", "empty.imei", LISTED, code=1)


def test_verify(snapshot, here):
    assert run("verify", snapshot, snapshot).stdout == "set.imei: whole, 3 IMEIs\n" * 2
    data = bytearray((here / snapshot).read_bytes())
    data[-100] ^= 1
    (here / "bad.imei").write_bytes(data)
    run("verify", snapshot, "bad.imei", code=2)


@pytest.mark.parametrize("command", [("info",), ("verify",), ("check",)])
def test_not_a_snapshot(here, command):
    (here / "text").write_text(f"{LISTED}\n" * 100)
    rest = (LISTED,) if command == ("check",) else ()
    fails(*command, "missing", *rest, match="missing: expected a readable file, got No such file")
    name = "text.imei" if command == ("info",) else "text"  # which shows what a list would be taken for
    (here / "text").rename(name)
    fails(*command, name, *rest, match="; `imeiset build` makes one of a list")
    fails(*command, ".", *rest, match="expected a store, got a directory without one")


@pytest.mark.parametrize("arguments", ["diff {} {}", "merge {} -o out", "create eir set.imei"])
def test_a_snapshot_of_another_kind(snapshot, here, arguments):
    made = Register()
    made.add("stolen", [LISTED], status=1)
    made.save("register.imei")
    fails(
        *arguments.format("register.imei", "set.imei").split(), match="`imeiset build` makes a register of a"
    )
    assert names() == ["register.imei", "set.imei"]


def test_export_of_a_register(here):
    made = Register()
    made.add("stolen", [LISTED], status=1, dates=["20240229"], owner="op-a")
    made.add_tacs("models", ["35693803"], status=2)
    made.lock("leased", [LISTED], ["234150999999999"])
    made.save("register.imei")
    assert (
        "expected one list for one file, got 3" in run("export", "register.imei", "-o", "out", code=2).stderr
    )
    found = run("export", "register.imei", "-o", "out", "--list", "x", code=2)
    assert "--list: expected one of stolen, models" in found.stderr
    assert "NAME=PREFIX" in run("export", "register.imei", "-o", "out/", "--operator", "a", code=2).stderr
    assert names() == ["register.imei"]
    found = run("export", "register.imei", "-o", "-", "--list", "stolen", "--format", "csv")
    assert found.stdout == f"imei,date\n{LISTED},2024-02-29\n"
    assert run("export", "register.imei", "-o", "one.csv", "--list", "stolen").stdout == (
        "one.csv: 1 IMEI of stolen, csv\n"
    )
    found = run("export", "register.imei", "-o", "out/")
    assert [line.partition(": ")[2] for line in found.stdout.splitlines()] == [
        "1 IMEI of stolen, csv",
        "1 TAC of models, csv",
        "1 pair of leased, csv",
    ]
    run("build", "out/register.toml", "-o", "again.imei")
    assert (here / "again.imei").read_bytes() == (here / "register.imei").read_bytes()
    found = run("export", "register.imei", "-o", "out/", "--format", "dirbs")
    assert "leased: not written, DIRBS has no file for it (blacklisted, kind lock)" in found.stderr
    assert "models: not written" in found.stderr


def test_diff_of_registers(here):
    for name, listed in (("old", [LISTED]), ("new", [LISTED, "352099001761481"])):
        made = Register()
        made.add("stolen", listed, status=1)
        made.save(f"{name}.imei")
    assert run("diff", "old.imei", "new.imei").stdout == "stolen: 1 added by exact\n"
    assert run("diff", "new.imei", "new.imei").stdout == ""
    delta = "imei,change_type\n352099001761481,add\n"
    assert run("diff", "old.imei", "new.imei", "--list", "stolen").stdout == delta
    run("diff", "old.imei", "new.imei", "-o", "deltas/")
    assert (here / "deltas" / "01-imeis.csv").read_text() == delta
    assert (
        "--list: expected one of stolen" in run("diff", "old.imei", "new.imei", "--list", "x", code=2).stderr
    )


# ---- the group ----


def test_demo(here):
    found = run("demo", "--rows", "5000", "--lookups", "20000", "-o", "kept")
    assert "contains(uint64 keys)" in found.stdout
    assert "status 'pending'" in found.stdout
    assert "106 rows: 100 added, 6 removed, 0 updated" in found.stdout
    assert "$ imeiset verify blocked.imei\nblocked.imei: whole" in found.stdout
    for line in (
        "with the thief's IMSI: blacklisted by exact, ",
        "with the owner's IMSI: whitelisted by pair, ",
        "eir: change 3, stolen",
        "eir: whole, generation 2, change 3",
    ):
        assert line in found.stdout
    assert found.stdout.count("ms after the command began") == 6
    if find_spec("granian") and find_spec("prometheus_client") and find_spec("jwt"):
        for interface in ("N5g-eir, HTTP", "Diameter S13"):
            after = re.search(
                rf"  {interface}.*: BLACKLISTED, (\d+) ms after the report$", found.stdout, re.M
            )
            assert int(after[1]) < 1000
    else:
        assert 'left out: for a 5G-EIR and Diameter S13, pip install "imeiset[serve]"' in found.stdout
    if travels := bool(find_spec("tuf") and find_spec("fsspec")):
        assert "356938035643825  blacklisted  stolen  exact" in found.stdout
        assert re.search(r"blocked there \d+ ms after it was reported here", found.stdout)
    else:
        assert 'left out: to publish and follow lists, pip install "imeiset[follow]"' in found.stdout
    travelled = {"keys", "partner", "published", "seen.csv"}
    assert travelled & {*names("kept")} == (travelled if travels else set())
    assert [name for name in names("kept") if name not in {"serve.log", *travelled}] == [
        "blocked.imei",
        "delta.csv",
        "eir",
        "exceptions.csv",
        "exempted.csv",
        "models.csv",
        "operator.txt",
        "register.imei",
        "register.toml",
        "regulator.csv.gz",
        "rejects-2.csv",
        "rejects.csv",
        "released.csv",
        "reported.csv",
        "stolen-2.imei",
        "stolen.csv",
        "stolen.imei",
    ]
    again = run("demo", "--rows", "5000", "--lookups", "20000", "-o", "again")
    assert again.exit_code == 0
    for name in ("blocked.imei", "operator.txt"):
        assert (here / "kept" / name).read_bytes() == (here / "again" / name).read_bytes()


def test_help_and_version():
    found = run("--help")
    for name in _COMMANDS:
        assert f"  {name} " in found.stdout
        assert run(name, "--help").stdout.startswith("Usage: ")
    assert run("--version").stdout.endswith(f" {imeiset.__version__}\n")
    assert "No such command" in run("buidl", code=2).stderr


def test_the_list_of_commands_fits_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, _, commands = run("--help").stdout.partition("Commands:\n")
    assert len(commands.splitlines()) == len(_COMMANDS)
    assert "..." not in commands
    assert max(map(len, commands.splitlines())) < 80


def test_usage_errors(here):
    run("build", code=2)
    run("build", "x", code=2)
    run("check", "x", code=2)
    run("build", "x", "-o", "y", "--max-rejects", "-1", code=2)
    run("build", "x", "-o", "y", "--check-digit", "never", code=2)
    assert "a name or a number" in run("build", "x", "-o", "y", "--column", "", code=2).stderr
    assert "cannot go to stdout" in run("build", "x", "-o", "-", code=2).stderr
    assert "cannot go to stdout" in run("build", "x", "-o", "y", "--rejects", "-", code=2).stderr
    for twice in (
        ("build", "-", "-", "-o", "y"),
        ("screen", "x", "-", "-"),
        ("apply", "x", "-", "-", "-o", "y"),
    ):
        assert "'-' is stdin, which can be read once" in run(*twice, code=2).stderr


def test_names_of_any_kind(here):
    """Names that look like markup, break a line, or are no UTF-8."""
    for name in ("[red]", "[/]", "a\nb", os.fsdecode(b"\xff")):
        name = name.replace("/", "")
        (here / f"{name}.txt").write_text(f"{LISTED}\nx\n")
        found = run("build", f"{name}.txt", "-o", f"{name}.imei", "--rejects", f"{name}.csv")
        shown = name if name.isprintable() else name.encode("unicode_escape").decode()
        assert f"{shown}.imei: 1 IMEI\n" in found.stdout
        assert f"{shown}.txt: 2" in found.stdout
        assert f"{shown}.imei: 1 IMEI of 1 TAC" in run("info", f"{name}.imei").stdout
        assert f"{shown}.imei: whole" in run("verify", f"{name}.imei").stdout
        assert f"{shown}: 1 IMEI\n" in run("merge", f"{name}.imei", "-o", name).stdout
        fails("verify", f"{name}.txt", match=f"{shown}.txt")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("target", ["full", "broken"])
@pytest.mark.parametrize(
    "arguments",
    [
        "check set.imei 356938035643809 x",
        "info set.imei",
        "info --json set.imei",
        "build list -o out",
        "build list -o out --json",
        "build list -o /",
        "build missing -o out",
        "verify set.imei list",
        "--help",
        "--version",
        "nonsense",
    ],
)
def test_an_output_that_cannot_be_written_is_not_none_found(snapshot, here, arguments, target, stream):
    (here / "list").write_text(f"{LISTED}\n")
    if target == "full":
        output = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, output = os.pipe()
        os.close(reader)
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: output}
    found = subprocess.run([*RUN, *arguments.split()], **streams, check=False, env=ENVIRONMENT)
    os.close(output)
    fine = stream == "stderr" and arguments.startswith(("info", "--", "build list -o out"))
    # Errors of the command as a whole are told on stderr; a closed pipe does not change their code.
    wrong = arguments.startswith(("build list -o /", "build missing", "nonsense", "verify"))
    gone = target == "broken" and not (wrong and (stream == "stderr" or not arguments.startswith("verify")))
    assert found.returncode == (0 if fine else 141 if gone else 2)


def is_writing(process, directory):
    """Whether a process has a file there that is no set, and need not have a name."""
    found = names()
    for file in Path(f"/proc/{process}/fd").glob("*"):
        with suppress(OSError):
            if (path := str(file.readlink())).startswith(f"{directory}/"):
                found.append(path)
    return not all(name.endswith(".imei") for name in found)


def until_it_writes(process, directory):
    deadline = time.monotonic() + 120
    while not is_writing(process.pid, directory):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing(here, number):
    """While stdin is waited for."""
    with subprocess.Popen(
        [*RUN, "build", "-", "-o", "out.imei", "--rejects", "rejects"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as process:
        until_it_writes(process, here)  # the rejects
        process.send_signal(number)
        assert process.wait(120) == 128 + number
        assert process.stderr.read().count(b"\n") <= 1
    assert names() == []


def test_a_closed_stdin_is_an_error(snapshot, here):
    for arguments in ("build - -o out", f"check {snapshot} -"):
        command = f"{sys.executable} -m imeiset {arguments} <&-"
        found = subprocess.run(["bash", "-c", command], capture_output=True, check=False, env=ENVIRONMENT)
        assert found.returncode == 2
        assert found.stderr == b"imeiset: -: expected an open stdin, got a closed one\n"


def test_a_package_that_does_not_load_is_not_none_found(snapshot):
    run = [sys.executable, "-m", "imeiset", "check", snapshot]
    environment = {**ENVIRONMENT, "IMEISET_SIMD": "bad"}
    found = subprocess.run([*run, OTHER], capture_output=True, text=True, check=False, env=environment)
    assert found.returncode == 2
    assert found.stderr.startswith("imeiset: cannot be loaded: SIMD level: expected one of ")
    assert found.stderr.count("\n") == 1
    for imei, code in ((LISTED, 0), (OTHER, 1)):
        assert (
            subprocess.run([*run, imei], capture_output=True, check=False, env=ENVIRONMENT).returncode == code
        )


@pytest.mark.parametrize(
    ("module", "fault", "code", "said"),
    [
        ("click", "raise KeyboardInterrupt", 130, "imeiset: interrupted"),
        ("click", "raise ImportError('none')", 2, "imeiset: cannot be loaded: none"),
        ("numpy", "raise ImportError('none')", 2, "imeiset: cannot be loaded: none"),
    ],
)
def test_a_library_that_does_not_load_is_told_in_a_line(snapshot, here, module, fault, code, said):
    (here / f"{module}.py").write_text(fault)
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join((str(here), ENVIRONMENT["PYTHONPATH"]))}
    command = [*RUN, "check", snapshot, OTHER]
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (found.returncode, found.stdout, found.stderr) == (code, "", f"{said}\n")


def test_a_mistake_of_ours_is_not_none_found(snapshot, monkeypatch):
    monkeypatch.setattr(ImeiSet, "open", lambda path: None)
    found = CliRunner().invoke(main, ["check", snapshot, OTHER])
    assert found.exit_code == 2
    assert "a bug in imeiset" in found.stderr


def test_a_check_imports_no_reader_of_lists(here):
    """Half of what its process would take is importing them."""
    ImeiSet([LISTED]).save("blocked.imei")
    asked = (
        "import sys; from imeiset.cli import main\n"
        f"assert main(['check', 'blocked.imei', '{LISTED}'], standalone_mode=False) == 0\n"
        "assert not [name for name in sys.modules if name.startswith('imeiset.feeds')]"
    )
    subprocess.run([sys.executable, "-c", asked], env=ENVIRONMENT, check=True)
