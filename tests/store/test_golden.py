"""What stores wrote is read for ever, and written the same: the files in golden/store-1 are only read.

They were made by `write` below. A change of them is a change of the format.
"""

import datetime
import shutil
from pathlib import Path
from unittest import mock

import pytest

from imeiset import Delta, EquipmentStatus, Policy, Register, Store, Verdict

GOLDEN = Path(__file__).parent.parent / "golden" / "store-1"
FILES = ["base-00000001.imei", "current", "journal-00000001"]
W, B, G, _ = EquipmentStatus
PHONE, OTHER, THIRD = "490154203237518", "356938035643809", "352099001761481"
HOME, AWAY = "234150999999999", "262011234567890"
START = 1_700_000_000 * 10**9

# Every kind of change: of each rule additions and removals, alone and together.
CHANGES = [
    [Delta("stolen", add=[OTHER, THIRD], remove=[PHONE], reason="stolen|lost", date="20240229")],
    [Delta("stolen", add=[PHONE]), Delta("stolen", remove=[THIRD])],
    [Delta("batches", rule="range", add=([300, 500], [310, 500]), remove=([150], [160]))],
    [Delta("models", rule="tac", add=["35999999", "36000000"], remove=["35123456"])],
    [Delta("testers", add=([OTHER, OTHER], [AWAY, HOME]), remove=([PHONE], [HOME]))],
    [Delta("tied", add=([THIRD], ["001011"]))],
    [Delta("stolen", rule="irregular", add=["62#2", "DEAD*BEEF"], remove=["00*1"])],
    [Delta("guests", add=["26201", "001"], remove=["26299"])],
    [],
]


def write(directory):
    """The store, at times that are known."""
    with mock.patch("time.time_ns", side_effect=range(START, START + 10**9)):
        made = Register(Policy(response_type=1))
        made.add("stolen", [PHONE], status=B, reasons=["fraud"], dates=["20240101"])
        made.add("good", [PHONE], status=W)
        made.add_ranges("batches", [100], [200], status=G)
        made.add_tacs("models", ["35123456"], status=G)
        made.exempt("testers", [PHONE], [HOME])
        made.lock("tied", [THIRD], [HOME])
        made.add_imsis("guests", ["26299"], status=G)
        with Store.create(directory, made) as store:
            for deltas in CHANGES:
                store.apply(*deltas)


ANSWERS = [
    ((PHONE, None), Verdict(B, "stolen", "exact")),
    ((OTHER, None), Verdict(B, "stolen", "exact", ("lost", "stolen"), datetime.date(2024, 2, 29))),
    ((OTHER, HOME), Verdict(W, "testers", "pair")),
    ((PHONE, HOME), Verdict(B, "stolen", "exact")),
    ((THIRD, "001011"), Verdict(G, "guests", "imsi")),
    ((THIRD, HOME), Verdict(W)),
    ((THIRD, "310150123456789"), Verdict(B, "tied", "pair")),
    (("62#2", None), Verdict(B, "stolen", "irregular")),
    (("DEAD*BEEF", None), Verdict(B, "stolen", "irregular")),
    ((149, None), Verdict(G, "batches", "range")),
    ((150, None), Verdict(W)),
    ((310, None), Verdict(G, "batches", "range")),
    ((500, None), Verdict(G, "batches", "range")),
    (("35999999123456", None), Verdict(G, "models", "tac")),
    (("35123456123456", None), Verdict(W)),
    ((7, "262991234567890"), Verdict(W)),
    ((7, "262011234567890"), Verdict(G, "guests", "imsi")),
]
COUNTS = {
    "stolen": {"exact": 2, "irregular": 2},
    "good": {"exact": 1},
    "batches": {"range": 102},
    "models": {"tac": 2 * 10**6},
    "testers": {"pair": 2},
    "tied": {"pair": 2},
    "guests": {"imsi": 2},
}


@pytest.fixture
def store(tmp_path):
    """A copy, to write to."""
    shutil.copytree(GOLDEN, tmp_path / "store")
    with Store.open(tmp_path / "store") as one:
        yield one


@pytest.mark.parametrize("question", ANSWERS, ids=str)
def test_a_store_that_was_written_before_is_read(question):
    (imei, imsi), expected = question
    assert Store.verify(GOLDEN).check(imei, imsi) == expected


def test_what_it_holds():
    store = Store.open(GOLDEN, mode="memory")
    status = store.status()
    assert (status.generation, status.sequence, status.counts) == (1, len(CHANGES), COUNTS)
    assert status.changed == datetime.datetime(2023, 11, 14, 22, 13, 20, tzinfo=datetime.UTC)
    assert status.state_id == "04e4f0029ec2cd16"
    assert sorted(path.name for path in GOLDEN.iterdir()) == FILES, "reading leaves nothing"


def test_it_goes_on(store):
    """It is written to and compacted, and answers as before."""
    store.apply(Delta("stolen", add=[9]))
    store.compact()
    with Store.verify(store._directory) as again:
        for one in (store, again):
            assert one.check(9).status == B
            assert [one.check(*question) for question, _ in ANSWERS] == [answer for _, answer in ANSWERS]


@pytest.mark.parametrize("name", FILES[:2])  # of the journal only the payloads were other ones
def test_the_same_changes_are_the_same_bytes(tmp_path, name):
    write(tmp_path / "store")
    assert (tmp_path / "store" / name).read_bytes() == (GOLDEN / name).read_bytes()


def test_the_first_bytes_of_a_journal_are_those_of_its_grammar():
    """Spelled out, so that reader and writer cannot change together."""
    data = (GOLDEN / "journal-00000001").read_bytes()
    assert data[:16] == b"\x89IMEJ\r\n\x1a" + (1).to_bytes(4, "little") + bytes(4)
    number = [int.from_bytes(data[at : at + 8], "little") for at in range(16, 112, 8)]
    assert (number[0], number[1], number[3]) == (1, 0, START), "generation, sequence, time"
    assert number[5] == number[6] ^ (2**64 - 1) == len(data), "committed"
    length, text = number[7], b'[{"add":2,"date":"2024-02-29","list":"stolen","reason":"lost|stolen",'
    assert (number[8], number[9]) == (1, START + 1)
    assert int.from_bytes(data[112:120], "little") % 8 == 0
    assert data[120:].startswith(text + b'"remove":1,"rule":"exact"}]')
    end = 112 + length
    keys = [int.from_bytes(data[at : at + 8], "little") for at in range(end - 24, end, 8)]
    assert keys == [
        int(OTHER[:14]) if OTHER < THIRD else int(THIRD[:14]),
        int(max(OTHER, THIRD)[:14]),
        int(PHONE[:14]),
    ]
