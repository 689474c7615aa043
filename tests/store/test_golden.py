"""What stores wrote is read for ever, and written the same: the files in golden/store-* are only read.

They were made by `write` and `write_second` below, the first when journals had version 1, both before bases
had deciders; store-3 and store-4 before these said what stands beside an IMEI, store-5 and store-6 since. A
change of them is a change of the format.
"""

import datetime
import shutil
from pathlib import Path
from unittest import mock

import pytest

from imeiset import Delta, EquipmentStatus, ImeiSet, Policy, Register, Store, Verdict
from imeiset.errors import StoreDamaged, StoreLocked, StoreSequence

GOLDEN = Path(__file__).parent.parent / "golden" / "store-1"
SECOND = GOLDEN.with_name("store-2")
NOW, SECOND_NOW = GOLDEN.with_name("store-5"), GOLDEN.with_name("store-6")  # those of now
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
    for directory in (GOLDEN, GOLDEN.with_name("store-3"), NOW):
        assert Store.verify(directory).check(imei, imsi) == expected


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
    assert (tmp_path / "store" / name).read_bytes() == (NOW / name).read_bytes()


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


# ---- the second version of the journal, and bases that know feeds ----


def write_second(directory):
    """A store with owners, feeds, untils, lists that come and go; compacted, and changed once more."""
    with mock.patch("time.time_ns", side_effect=range(START, START + 10**9)):
        made = Register(Policy(response_type=3))
        made.add("stolen", [PHONE], status=B, owner="op-a", until=["20240101"])
        made.add("watched", [7], status=G)
        made.block("blocked", [PHONE], [AWAY], owner="op-b", until=["20231201"])
        made.exempt("testers", [PHONE], [HOME])
        with Store.create(directory, made) as store:
            first = Delta("stolen", add=[OTHER, PHONE], remove=[THIRD], reason="lost", until="20240229")
            store.apply(first, feed="op-a", sequence=5, after=0)
            store.apply(
                Delta("watched", add=[8], remove=[7], by="desk", ref="ticket 7"),
                Delta("watched", add=[7, 9], remove=[8], date="20231115", until="20231120"),
                Delta("testers", add=([OTHER], [AWAY]), remove=([THIRD], [HOME]), until="20240101"),
            )
            store.add_list(
                "guests", status=G, kind="imsis", owner="op-b", reason="roaming", by="desk", ref="8"
            )
            store.apply(Delta("guests", add=["262"]), feed="op-b")
            store.add_list("mistake", status=B)
            store.drop_list("mistake", by="desk")
            store.expire("20231202", "watched", by="desk", force=True)
            store.compact()
            store.apply(Delta("stolen"), feed="op-a", sequence=6)
            store.drop_list("watched", ref="over", force=True)


SECOND_FILES = ["base-00000001.imei", "base-00000002.imei", "current", "journal-00000001", "journal-00000002"]


@pytest.mark.parametrize("name", SECOND_FILES)
def test_the_second_version_is_the_same_bytes(tmp_path, name):
    write_second(tmp_path / "store")
    assert (tmp_path / "store" / name).read_bytes() == (SECOND_NOW / name).read_bytes()


@pytest.mark.parametrize("directory", [SECOND, SECOND.with_name("store-4"), SECOND_NOW])
def test_the_second_version_is_read(directory):
    store = Store.verify(directory)
    assert store.feeds == {"op-a": 6, "op-b": 1}
    assert [(one.name, one.owner, one.counts()) for one in store.lists] == [
        ("stolen", "op-a", {"exact": 2}),
        ("blocked", "op-b", {}),
        ("testers", "", {"pair": 2}),
        ("guests", "op-b", {"imsi": 1}),
    ]
    assert store.check(OTHER).to_dict()["reasons"] == ["lost"]
    assert store.check(OTHER, AWAY).list == "guests", "which decides first"
    assert store.check(PHONE, HOME).list == "testers"
    assert store.check(THIRD, AWAY).reasons == ("roaming",)
    before = Store.open(directory, generation=1)
    assert (before.feeds, before.sequence, store.sequence) == ({"op-a": 5, "op-b": 1}, 7, 9)
    assert before["watched"] == ImeiSet()
    assert sorted(path.name for path in directory.iterdir()) == SECOND_FILES, "reading leaves nothing"


def test_what_the_second_version_knows_of_feeds_is_known(tmp_path):
    shutil.copytree(SECOND, tmp_path / "store")
    first = Delta("stolen", add=[OTHER, PHONE], remove=[THIRD], reason="lost", until="20240229")
    with Store.open(tmp_path / "store") as store:
        assert store.apply(first, feed="op-a", sequence=5) == 5
        assert store.apply(Delta("stolen"), feed="op-a", sequence=6) == 6
        for number in (5, 6):
            with pytest.raises(StoreSequence, match=f"another change under number {number}"):
                store.apply(Delta("stolen", add=[OTHER]), feed="op-a", sequence=number)
        assert (store.sequence, store.apply(feed="op-a")) == (9, 7)


def test_the_payload_of_the_second_version_is_that_of_its_grammar():
    """Spelled out, so that reader and writer cannot change together."""
    data = (SECOND / "journal-00000001").read_bytes()
    assert data[8:12] == (2).to_bytes(4, "little")
    size = int.from_bytes(data[112:120], "little")
    assert data[120 : 120 + size].rstrip() == (
        b'{"changes":[{"add":2,"by":"op-a","date":"","list":"stolen","reason":"lost","remove":1,'
        b'"rule":"exact","until":"2024-02-29"}],"feed":"op-a","number":5}'
    )
    at = 120 + size
    numbers = [int.from_bytes(data[place : place + 8], "little") for place in range(at, at + 40, 8)]
    added = sorted([int(PHONE[:14]), int(OTHER[:14])])
    assert numbers[:3] == [*added, int(THIRD[:14])]
    assert numbers[3:] == [1 << added.index(int(PHONE[:14])), 0], (
        "the one that was there; not the removed one"
    )
    assert at + 40 == 72 + 40 + int.from_bytes(data[72:80], "little")


# ---- how a store of the first version moves on ----


def test_readers_go_on_while_a_writer_takes_over_the_journal(store):
    """Its records stay, byte for byte: a reader of the old journal finds its state in the new one."""
    reader, old = Store.open(store._directory), (GOLDEN / "journal-00000001").read_bytes()
    assert store.apply(sequence=3, *CHANGES[2]) == 3  # noqa: B026
    path = store._directory / "journal-00000001"
    new = path.read_bytes()
    assert (old[8], new[8]) == (1, 2)
    assert new[72:] == old[72:], "but for the header"
    assert not reader.refresh(), "nothing has changed"
    assert [reader.check(*question) for question, _ in ANSWERS] == [answer for _, answer in ANSWERS]
    store.apply(Delta("stolen", add=[9], by="me"), feed="op-a")
    assert reader.refresh()
    for one in (reader, Store.verify(store._directory)):
        assert one.check(9).status == B
        assert (one.feeds, one.sequence) == ({"op-a": 1}, len(CHANGES) + 1)
    with Store.open(store._directory) as other, pytest.raises(StoreLocked):
        other.apply()


def test_what_was_applied_before_is_known_whichever_version(store):
    for number, deltas in enumerate(CHANGES, 1):
        assert store.apply(*deltas, sequence=number) == number
        with pytest.raises(StoreSequence):
            store.apply(Delta("good", add=[3]), sequence=number)
    assert store.sequence == len(CHANGES)
    assert [store.check(*question) for question, _ in ANSWERS] == [answer for _, answer in ANSWERS]


def test_a_version_of_tomorrow_is_refused(store, tmp_path):
    path = store._directory / "journal-00000001"
    data = bytearray(path.read_bytes())
    for version in (0, 3):
        data[8] = version
        path.write_bytes(data)
        with pytest.raises(
            StoreDamaged, match=f"expected journal version 1 to 2, got {version}: update imeiset"
        ):
            Store.open(store._directory)
