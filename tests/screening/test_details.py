"""What lists say of hits: beside them in the output, and counted for every list that has the phone."""

import csv
import datetime
import json

import numpy as np
import pytest
from click.testing import CliRunner

import imeiset
from imeiset import EquipmentStatus, ImeiSet, Policy, Register, Screener, screen
from imeiset.cli import main
from imeiset.register import Words
from imeiset.screening.details import counts_of

W, B, G, U = EquipmentStatus
LISTED, OTHER, FREE = "490154203237518", "356938035643809", "352099001761481"
TITLES = ["list", "rule", "reasons", "date", "until"]


def several(**policy) -> Register:
    register = Register(Policy(**policy))
    dates, untils = ["2025-01-31", None], [None, "2027-12-31"]
    members, reasons = [LISTED, OTHER], ["theft|fraud, said", ""]
    register.add("stolen", members, status=B, reasons=reasons, dates=dates, until=untils, reason='"police"')
    register.add("grey, old", [LISTED], status=G)
    register.add_tacs("models", [LISTED[:8]], status=W)
    register.lock("leased", [OTHER], ["234150999999999"], status=G)
    register.exempt("paired", [LISTED], ["234150999999999"])
    register.add("odd", ImeiSet([], irregular="keep") | ImeiSet(["DEAD"], irregular="keep"), status=B)
    return register


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


HITS = {
    LISTED: ["blacklisted", "stolen", "exact", "fraud, said|theft", "2025-01-31", ""],
    OTHER: ["greylisted", "leased", "pair", "", "", ""],
    "DEAD": ["blacklisted", "odd", "irregular", "", "", ""],
}


def test_hits_are_written_with_what_their_list_says(tmp_path):
    calls, out = tmp_path / "calls.csv", tmp_path / "out.csv"
    calls.write_text(f"imei,date\n{LISTED},1\n{FREE},2\nx,3\n{OTHER},4\nDEAD,5\n{LISTED},6,7,8\n")
    screen(calls, several(), output=out, details=True)
    none = [""] * 5
    assert rows_of(out) == [
        ["imei", "date", "status", "list", "rule", "reasons", "date_2", "until"],
        [LISTED, "1", *HITS[LISTED]],
        [FREE, "2", "whitelisted", *none],
        ["x", "3", "malformed: not digit", *none],
        [OTHER, "4", *HITS[OTHER]],
        ["DEAD", "5", *HITS["DEAD"]],
        [LISTED, "6", "malformed: cell count", *none, "7", "8"],
    ]
    screen(calls, several(), output=out, details=True, only_hits=True)
    assert [row[2:] for row in rows_of(out)[1:]] == [HITS[LISTED], HITS[OTHER], HITS["DEAD"]]


def test_several_columns_of_imeis(tmp_path):
    calls, out = tmp_path / "calls.csv", tmp_path / "out.csv"
    calls.write_text(f"a;b\n{FREE};{LISTED}\n{OTHER};\n{FREE};{FREE}\n{FREE};DEAD\n")
    report = screen(calls, several(), column=["a", "b"], output=out, details=True)
    with out.open(newline="") as file:
        rows = list(csv.reader(file, delimiter=";"))
    assert rows[0][2:] == ["status", "status_column", *TITLES]
    assert [row[2:] for row in rows[1:]] == [
        [HITS[LISTED][0], "b", *HITS[LISTED][1:]],
        [HITS[OTHER][0], "a", *HITS[OTHER][1:]],
        ["whitelisted", rows[3][3], *[""] * 5],
        [HITS["DEAD"][0], "b", *HITS["DEAD"][1:]],
    ]
    assert report.on == {"stolen": 2, "grey, old": 1, "models": 1, "leased": 1, "paired": 0, "odd": 1}


def test_tables(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({"imei": [LISTED, FREE, None, OTHER, "DEAD"], "list": [1, 2, 3, 4, 5]})
    pq.write_table(table, tmp_path / "calls.parquet")
    (tmp_path / "calls.csv").write_text(f"imei,list\n{LISTED},1\n{FREE},2\nx,3\n{OTHER},4\nDEAD,5\n")
    dates = {LISTED: (datetime.date(2025, 1, 31), None)}
    want = [(*row[:3], row[3] or None, *dates.get(imei, (None, None))) for imei, row in HITS.items()]
    titles = ["list_2", *TITLES[1:]]
    for name in ("calls.parquet", "calls.csv"):
        report = screen(tmp_path / name, several(), output=tmp_path / "out.parquet", details=True)
        out = pq.read_table(tmp_path / "out.parquet")
        assert out.column_names == ["imei", "list", "status", *titles]
        assert [out.schema.field(title).type for title in titles[-2:]] == [pa.date32()] * 2
        rows = list(zip(*(out[title].to_pylist() for title in ("status", *titles)), strict=True))
        assert [row for row in rows if row[1]] == want
        assert all(row[1:] == (None,) * 5 for row in rows if not row[1])
        hits = tmp_path / "hits.parquet"
        screen(tmp_path / name, several(), output=hits, details=True, only_hits=True)
        assert pq.read_table(hits)["list_2"].to_pylist() == [row[1] for row in HITS.values()]
        assert report.lists["stolen"] == 1
        assert report.on["stolen"] == 2
    screen(tmp_path / "calls.parquet", several(), output=tmp_path / "out.csv", details=True, only_hits=True)
    assert [row[2:] for row in rows_of(tmp_path / "out.csv")[1:]] == list(HITS.values())


def test_hits_are_counted_for_every_list_that_has_the_phone(tmp_path):
    calls = tmp_path / "calls.csv"
    calls.write_text("imei\n" + f"{LISTED}\n" * 3 + f"{OTHER}\n{FREE}\n62#1\nDEAD\n")
    report = screen(calls, several())
    assert report.lists == {"stolen": 3, "grey, old": 0, "models": 0, "leased": 1, "paired": 0, "odd": 1}
    assert report.on == {"stolen": 4, "grey, old": 3, "models": 3, "leased": 1, "paired": 0, "odd": 1}
    assert json.loads(report.to_json())["on"] == report.on
    alone = screen(calls, ImeiSet([LISTED]))
    assert alone.lists == alone.on == {"listed": 3}


def test_texts_that_begin_with_an_imei_and_what_a_policy_says_of_others(tmp_path):
    calls, out = tmp_path / "calls.csv", tmp_path / "out.csv"
    calls.write_text(f"imei\n{LISTED[:14]}#*\n{LISTED}\nx\n{FREE}\n")
    report = screen(calls, several(malformed=B), output=out, details=True)
    assert [row[1:4] for row in rows_of(out)[1:]] == [
        ["blacklisted", "stolen", "exact"],
        ["blacklisted", "stolen", "exact"],
        ["blacklisted", "", "malformed"],
        ["whitelisted", "", ""],
    ]
    assert (report.lists["stolen"], report.on["stolen"], report.on["grey, old"], report.hits) == (2, 2, 2, 3)


ODD = ["35209900176148AB", LISTED[:14] + "#*", "DEAD", "62#9", "x", FREE]


@pytest.mark.parametrize("malformed", [None, W, B])
def test_the_rules_of_odd_texts_are_those_of_a_check(tmp_path, malformed):
    """A text that begins with an IMEI is one, also if no list has it."""
    register = several(malformed=malformed)
    asked = [text for text in ODD if malformed is not None or text not in ("62#9", "x")]
    want = [register.check(text).rule for text in asked]
    assert want == ["default", "exact", "irregular", *["malformed"] * (len(asked) - 4), "default"]
    assert list(register.check_many(asked, details=True)["rule"]) == want
    assert list(Screener(register).details(asked)["rule"]) == want
    (tmp_path / "calls.csv").write_text("imei\n" + "\n".join(asked) + "\n")
    assert screen(tmp_path / "calls.csv", register).malformed == want.count("malformed")


def test_the_rules_of_odd_texts_of_a_set():
    answers = Screener(ImeiSet([LISTED, "DEAD"], irregular="keep")).details(ODD)
    assert list(answers["status"])[:4] == ["not listed", "listed", "listed", "not listed"]
    assert list(answers["rule"]) == ["default", "exact", "irregular", "default", "malformed", "default"]


def test_every_list_is_counted_as_it_would_be_alone():
    """By the claims of each phone, which a twin has proven."""
    rng, register = np.random.default_rng(1), Register()
    for n in range(31):
        status = (B, G, W)[n % 3]
        if n % 5 == 4:
            keys = rng.integers(0, 3000, 40)
            register.lock(f"{n}", keys, ["234150999999999"] * 40, status=status)
            continue
        register.add(f"{n}", rng.integers(0, 3000, 300), status=status)
        lows = rng.integers(0, 3000, 3)
        register.add_ranges(f"{n}", lows, lows + 30, status=status)
    screener, keys = Screener(register).now(), np.arange(3100, dtype=np.uint64)
    status = np.zeros(len(keys), np.uint8)
    _, lists = screener.decided(keys, status, keys.__getitem__)
    want = dict.fromkeys(register, 0)
    for key in keys.tolist():
        for name in {claim.list for claim in register.explain(key)}:
            want[name] += 1
    counts = counts_of(screener.list, keys, status, keys.__getitem__, lists)
    assert dict(zip(register, counts.tolist(), strict=True)) == want


@pytest.mark.parametrize("listed", [ImeiSet([LISTED, "DEAD"], irregular="keep"), several(malformed=G)])
def test_the_details_of_a_column(listed):
    column = [LISTED, FREE, "DEAD", "x", "DEAD" * 9]
    screener = Screener(listed)
    answers = screener.details(column)
    assert list(answers["status"]) == [screener.words[code] for code in screener.codes(column)]
    assert list(answers["rule"]) == ["exact", "default", "irregular", "malformed", "malformed"]
    assert all(isinstance(column, Words) == (name not in TITLES[3:]) for name, column in answers.items())
    name = "listed" if isinstance(listed, ImeiSet) else "stolen"
    assert answers["list"][0] == name
    assert np.isnat(answers["until"]).all()


def test_the_command(tmp_path):
    several().save(tmp_path / "list.imei")
    (tmp_path / "calls.csv").write_text(f"imei\n{LISTED}\n{FREE}\n")
    run = CliRunner().invoke
    asked = ["screen", str(tmp_path / "list.imei"), str(tmp_path / "calls.csv"), "--details"]
    refused = run(main, asked)
    assert refused.exit_code == 2
    assert "--details needs -o" in refused.stderr
    done = run(main, [*asked, "-o", str(tmp_path / "out.csv")])
    assert done.exit_code == 0
    assert "grey, old; 1 are on it" in done.stdout
    assert rows_of(tmp_path / "out.csv")[1][1:] == HITS[LISTED]
    with pytest.raises(ValueError, match="details: expected an output"):
        imeiset.screen(tmp_path / "calls.csv", several(), details=True)
