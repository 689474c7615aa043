"""The payload of version 2: what was there before, and payloads that no writer makes."""

import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import Delta, EquipmentStatus, Register, Store
from imeiset.errors import StoreDamaged
from imeiset.store import journal as _journal
from imeiset.store.changes import change_of
from imeiset.store.directory import journal_path
from imeiset.store.journal import Journal
from imeiset.store.payload import Payload, content_digest, packed, unpacked

W, B, G, _ = EquipmentStatus
PATH = Path("journal")
ALL = {"add": 2, "date": "2024-02-28", "list": "stolen", "reason": "", "remove": 1, "rule": "exact"}
RANGE = {**ALL, "add": 1, "date": "", "remove": 1, "rule": "range"}
TEXTS = {**ALL, "add": ["12AB"], "date": "", "remove": [], "rule": "irregular"}
NEW = {"kind": "imeis", "owner": "", "reason": "", "status": 1}
LISTED = {"add": NEW, "list": "new", "remove": False, "rule": "list"}
DROPPED = {"add": None, "list": "new", "remove": True, "rule": "list"}


def payload(text, *numbers):
    data = text if isinstance(text, bytes) else json.dumps(text).encode()
    data += b" " * (-len(data) % 8)
    return len(data).to_bytes(8, "little") + data + np.array(numbers, "<u8").tobytes()


def one(change=ALL, *numbers, **beside):
    return payload({"changes": [change], **beside}, *(numbers or (5, 7, 6, 0b10, 0b1)))


def payloads(directory):
    journal = Journal(journal_path(directory, 1))
    return [unpacked(record.payload, journal.path) for record in journal.records(journal.start)]


def test_a_change_says_what_was_there():
    (change,) = unpacked(one(), PATH).changes
    assert change.add[0].tolist() == [5, 7]
    assert change.remove[0].tolist() == [6]
    assert [side.tolist() for side in change.held] == [[False, True], [True]]


def test_a_change_says_what_it_really_changed():
    (change,) = unpacked(one({**RANGE, "net": [0, 1]}, 5, 9, 0, 7, 1, 6), PATH).changes
    assert [column.tolist() for side in change.net for column in side] == [[], [], [1], [6]]
    assert content_digest([change]) == content_digest(unpacked(one(RANGE, 5, 9, 0, 7), PATH).changes)
    assert unpacked(payload({"changes": [{**TEXTS, "net": [[], []]}]}), PATH).changes[0].about["net"] == [
        [],
        [],
    ]


def test_what_a_change_of_texts_and_ranges_really_changed_is_written(tmp_path):
    """Left out where it is all of the change; of changes together, each sees the one before."""
    Store.create(tmp_path / "store", made()).close()
    with Store.open(tmp_path / "store") as store:
        store.apply(Delta("stolen", rule="irregular", add=["AB", "CD"], by="op"))
        store.apply(Delta("stolen", rule="irregular", add=["CD", "EF"], remove=["AB", "FF"], by="op"))
        store.apply(
            Delta("stolen", rule="irregular", add=["AA"], by="op"),
            Delta("stolen", rule="irregular", add=["AA"], remove=["CD"], by="op"),
        )
        store.apply(Delta("stolen", rule="range", add=([10], [20]), by="op"))
        store.apply(Delta("stolen", rule="range", add=([15], [25]), remove=([5], [11]), by="op"))
    first, second, third, ranges, last = (one.changes for one in payloads(tmp_path / "store"))
    assert "net" not in first[0].about
    assert second[0].about["net"] == [["EF"], ["AB"]]
    assert [change.about.get("net") for change in third] == [None, [[], ["CD"]]]
    assert ranges[0].net is None
    assert [column.tolist() for side in last[0].net for column in side] == [[21], [25], [10], [11]]


def test_the_first_version_has_changes_alone():
    read = unpacked(payload([ALL], 5, 7, 6), PATH)
    assert (read.feed, read.number, read.changes[0].held) == ("", None, None)
    assert content_digest(read.changes) == content_digest(unpacked(one(), PATH).changes)


def test_pairs_that_came_twice_in_the_first_version_are_one(tmp_path):
    """So the same delta is the same change, whoever wrote it first."""
    change = {**ALL, "list": "testers", "date": "", "rule": "pair"}
    numbers = [10**13, 10**13, 1262011234567890, 1262011234567890, 5, 1001010123456789]
    Store.create(tmp_path / "store", made()).close()
    append(tmp_path / "store", payload([change], *numbers))
    delta = Delta("testers", add=([10**13] * 2, ["262011234567890"] * 2), remove=([5], ["001010123456789"]))
    with Store.open(tmp_path / "store") as store:
        assert store.apply(delta, sequence=1) == 1
        assert store.apply(delta, sequence=2) == 2
    first, second = payloads(tmp_path / "store")
    assert content_digest(first.changes) == content_digest(second.changes)
    assert [side.tolist() for side in second.changes[0].held] == [[True], [False]]


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 128, 129])
def test_bits_take_whole_words(count):
    change = {**ALL, "add": count, "remove": 0}
    held = np.arange(count) % 3 == 0
    numbers = [*range(count), *np.packbits(np.pad(held, (0, -count % 64)), bitorder="little").view("<u8")]
    data = payload({"changes": [change]}, *numbers)
    read = unpacked(data, PATH)
    assert read.changes[0].held[0].tolist() == held.tolist()
    assert unpacked(packed(read), PATH).changes[0].held[0].tolist() == held.tolist()
    assert len(packed(read)) % 8 == 0


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(one(ALL, 5, 7, 6), id="no bits"),
        pytest.param(one(ALL, 5, 7, 6, 0b10), id="bits of one side"),
        pytest.param(one(ALL, 5, 7, 6, 0b110, 0b1), id="bits after the last row"),
        pytest.param(one(ALL, 5, 7, 6, 0b10, 1 << 63), id="bits in the last place"),
        pytest.param(one(ALL, 5, 7, 6, 0b10, 0b1, 0), id="a word too many"),
        pytest.param(payload([ALL], 5, 7, 6, 0b10, 0b1), id="bits in the first version"),
        pytest.param(payload([{**ALL, "by": "x"}], 5, 7, 6), id="by in the first version"),
        pytest.param(payload([LISTED]), id="lists in the first version"),
        pytest.param(one({**ALL, "add": -2}), id="fewer than none"),
        pytest.param(one({**ALL, "add": 1 << 70}), id="more than there are"),
        pytest.param(one({**ALL, "add": 2.0}), id="a float"),
        pytest.param(one({**ALL, "add": True}, 5, 6, 0, 0), id="true"),
        pytest.param(one({**ALL, "add": None}), id="null"),
        pytest.param(one({**ALL, "more": 1}), id="a key of another version"),
        pytest.param(one({name: ALL[name] for name in ALL if name != "date"}), id="no date"),
        pytest.param(one({**ALL, "list": 5}), id="a number for a list"),
        pytest.param(one({**ALL, "rule": "all"}), id="another rule"),
        pytest.param(one({**ALL, "rule": ["exact"]}), id="a rule that is an array"),
        pytest.param(one({**ALL, "date": "20240228"}), id="a date in another form"),
        pytest.param(one({**ALL, "until": "2024-02-27"}), id="until before date"),
        pytest.param(one({**ALL, "until": ""}), id="until that is empty"),
        pytest.param(one({**ALL, "until": "20240301"}), id="until in another form"),
        pytest.param(one({**ALL, "until": 5}), id="until that is a number"),
        pytest.param(
            one({**ALL, "until": "2024-03-01", "rule": "tac"}, 1, 2, 3, 4, 5, 6), id="until of a tac"
        ),
        pytest.param(one({**ALL, "by": ""}), id="by that is empty"),
        pytest.param(one({**ALL, "by": 5}), id="by that is a number"),
        pytest.param(one({**ALL, "by": None}), id="by that is null"),
        pytest.param(one({**ALL, "ref": "x" * 201}), id="a long ref"),
        pytest.param(one({**ALL, "ref": "a\nb"}), id="a ref of two lines"),
        pytest.param(one({**ALL, "rule": "imsi", "add": "262", "remove": []}), id="texts that are one text"),
        pytest.param(one({**ALL, "rule": "irregular", "add": [5], "remove": []}), id="texts that are none"),
        pytest.param(one({**ALL, "rule": "pair"}, 5, 7, 1, 2, 6, 3, 0, 0), id="IMSIs that are none"),
        *(
            pytest.param(one({**ALL, "rule": "pair"}, 5, 7, 10**6, imsi, 6, 10**6, 0, 0), id=f"IMSI {imsi}")
            for imsi in (10**5 - 1, 2 * 10**15)
        ),
        pytest.param(one(ALL, 7, 5, 6, 0, 0), id="keys that go down"),
        pytest.param(one(ALL, 5, 5, 6, 0, 0), id="a key twice"),
        pytest.param(one({**ALL, "rule": "pair"}, 5, 5, *[10**6 + 1] * 2, 6, 10**6, 0, 0), id="a pair twice"),
        pytest.param(one({**ALL, "rule": "pair"}, 5, 5, 10**6 + 1, 10**6, 6, 10**6, 0, 0), id="IMSIs down"),
        pytest.param(one(feed="op-a"), id="a feed without a number"),
        pytest.param(one(number=1), id="a number without a feed"),
        pytest.param(one(feed="", number=1), id="a feed without a name"),
        pytest.param(one(feed="x" * 101, number=1), id="a long feed"),
        pytest.param(one(feed="a\0b", number=1), id="a feed that cannot be printed"),
        pytest.param(one(feed=5, number=1), id="a number for a feed"),
        pytest.param(one(feed="op-a", number=-1), id="number -1"),
        pytest.param(one(feed="op-a", number=1.0), id="a float for a number"),
        pytest.param(one(feed="op-a", number=True), id="true for a number"),
        pytest.param(one(feed="op-a", number=1 << 63), id="a number too large"),
        pytest.param(one(feed="op-a", number=1, base=2), id="a key beside the feed"),
        pytest.param(payload({"changes": ALL}), id="changes that are no array"),
        pytest.param(payload({"changes": [5]}), id="a change that is a number"),
        pytest.param(payload({"changes": [[]]}), id="a change that is an array"),
        pytest.param(payload({}), id="no changes"),
        pytest.param(payload(5), id="a number"),
        pytest.param(payload("text"), id="a text"),
        pytest.param(payload(b"null"), id="null alone"),
        pytest.param(payload(b"{"), id="half of an object"),
        pytest.param(payload(b"[" * 100_000), id="deep"),
        pytest.param(payload(b"\xff\xfe"), id="not UTF-8"),
        pytest.param(b"", id="nothing"),
        pytest.param((1 << 62).to_bytes(8, "little") + b"[]", id="a size too large"),
        pytest.param(one(ALL, 5, 7, 6, 0b10, 0b1)[:-3], id="not whole numbers"),
        pytest.param(payload({"changes": [{**LISTED, "remove": True}]}), id="new and gone"),
        pytest.param(payload({"changes": [{**DROPPED, "remove": False}]}), id="neither new nor gone"),
        pytest.param(payload({"changes": [{**DROPPED, "remove": 1}]}), id="gone by a number"),
        pytest.param(payload({"changes": [{**DROPPED, "list": None}]}), id="a list without a name"),
        pytest.param(payload({"changes": [{**DROPPED, "reason": ""}]}), id="gone for a reason"),
        pytest.param(payload({"changes": [{**LISTED, "add": []}]}), id="a new list that is an array"),
        pytest.param(payload({"changes": [{**LISTED, "add": {**NEW, "kind": 5}}]}), id="a kind that is none"),
        pytest.param(payload({"changes": [{**LISTED, "add": {**NEW, "status": True}}]}), id="status true"),
        pytest.param(payload({"changes": [{**LISTED, "add": {**NEW, "x": 1}}]}), id="more of a new list"),
        pytest.param(payload({"changes": [LISTED]}, 1), id="a number of a new list"),
        pytest.param(one(ALL, 5, 10**14, 6, 0, 0), id="a number above all keys"),
        pytest.param(one({**ALL, "net": [1, 0]}), id="net of exact IMEIs"),
        pytest.param(one(RANGE, 5, 9, 0, 0, 10**14), id="a range above all keys"),
        pytest.param(one(RANGE, 5, 9, 0, 9, 8), id="a range that ends before it begins"),
        pytest.param(one({**RANGE, "net": [0, 1]}, 5, 9, 0, 7, 8, 10**14, 10**14), id="net above all keys"),
        pytest.param(one({**RANGE, "net": [0]}, 5, 9, 0, 7), id="net of one side"),
        pytest.param(one({**RANGE, "net": [True, 0]}, 5, 9, 0, 7, 8, 5, 9), id="net true"),
        pytest.param(payload({"changes": [{**TEXTS, "add": ["12:B"]}]}), id="no irregular identity"),
        pytest.param(payload({"changes": [{**TEXTS, "net": [["12ab"], []]}]}), id="net in another form"),
        pytest.param(payload({"changes": [{**TEXTS, "rule": "imsi"}]}), id="no prefix"),
    ],
)
def test_what_no_writer_makes_is_damage(data):
    with pytest.raises(StoreDamaged, match="journal: expected changes, got"):
        unpacked(data, PATH)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_bytes_do_anything_else(data):
    """Bytes turned anywhere in a payload are damage, or another payload."""
    whole = bytearray(one({**ALL, "by": "a", "until": "2024-03-01"}, feed="op", number=3))
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        whole[at] = data.draw(st.integers(0, 255))
    try:
        read = unpacked(bytes(whole), PATH)
    except StoreDamaged:
        return
    assert isinstance(read, Payload)


def append(directory, *payloads):
    """Records as a writer would write them, whatever is in them."""
    journal = Journal(journal_path(directory, 1), writable=True)
    position = journal.start
    for record in journal.records(journal.start):
        position = record.position
    for data in payloads:
        record, position = _journal.after(position, 5, data)
        journal.append(record, position.begin)
        journal.commit(position.end)


def made():
    register = Register()
    register.add("stolen", [10**13], status=B, owner="op")
    register.exempt("testers", [10**13], ["001010123456789"])
    return register


EMPTY = {**ALL, "add": 0, "remove": 0}


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param([payload({"changes": [], "feed": "op", "number": n}) for n in (3, 2)], id="back"),
        pytest.param([payload({"changes": [], "feed": "op", "number": 3})] * 2, id="twice"),
        pytest.param([payload({"changes": [{**EMPTY, "list": "others"}]})], id="a list that is not there"),
        pytest.param([payload({"changes": [DROPPED]})], id="dropped and not there"),
        pytest.param([payload({"changes": [{**LISTED, "list": "stolen"}]})], id="new and there"),
        pytest.param([payload({"changes": [LISTED, DROPPED, DROPPED]})], id="dropped twice"),
        pytest.param([payload({"changes": [{**LISTED, "add": {**NEW, "kind": "x"}}]})], id="no such kind"),
        pytest.param([payload({"changes": [{**LISTED, "add": {**NEW, "status": 3}}]})], id="no such status"),
        pytest.param(
            [payload({"changes": [{**LISTED, "add": {**NEW, "kind": "exempt"}}]})],
            id="not the status of its kind",
        ),
        pytest.param([payload({"changes": [{**LISTED, "add": {**NEW, "owner": "\n"}}]})], id="no such owner"),
        pytest.param([payload({"changes": [{**LISTED, "list": ""}]})], id="no such name"),
        pytest.param(
            [payload({"changes": [{**LISTED, "list": str(n)} for n in range(40)]})],
            id="more lists than may be",
        ),
        pytest.param([payload({"changes": [{**EMPTY, "list": "testers"}]})], id="not a rule of its kind"),
        pytest.param(
            [payload({"changes": [{**EMPTY, "list": "testers", "rule": "range"}]})], id="nor ranges"
        ),
    ],
)
def test_a_journal_that_no_writer_makes_is_damage(tmp_path, bad):
    Store.create(tmp_path / "store", made()).close()
    reader = Store.open(tmp_path / "store")
    append(tmp_path / "store", *bad)
    with pytest.raises(StoreDamaged):
        Store.open(tmp_path / "store")
    with pytest.raises(StoreDamaged):
        reader.refresh()
    assert reader.check(10**13).status == B, "the old state goes on serving"


KEYS = st.frozensets(st.integers(0, 5), max_size=4)
PAIRS = st.frozensets(st.tuples(st.integers(0, 2), st.sampled_from(["00101", "26201"])), max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(st.booleans(), KEYS, KEYS, PAIRS, PAIRS), max_size=4), max_size=4))
def test_what_was_there_is_what_a_model_has(tmp_path_factory, records):
    """Of several deltas in one change each sees what those before it left."""
    directory = tmp_path_factory.mktemp("held") / "store"
    register = Register()
    register.add("stolen", [1, 2], status=B)
    register.exempt("testers", [1], ["00101"])
    members, pairs, expected = {1, 2}, {(1, "00101")}, []
    with Store.create(directory, register) as store:
        for number, record in enumerate(records):
            deltas = []
            for exact, add, remove, tie, untie in record:
                new, gone, there = (add, remove, members) if exact else (tie, untie, pairs)
                expected.append([[row in there for row in sorted(side)] for side in (new, gone)])
                there -= gone
                there |= new
                if exact:
                    deltas.append(Delta("stolen", add=sorted(new), remove=sorted(gone)))
                else:
                    columns = [
                        tuple(map(list, zip(*sorted(side), strict=True))) or None for side in (new, gone)
                    ]
                    deltas.append(Delta("testers", add=columns[0], remove=columns[1]))
            store.apply(*deltas)
            if number == 1:
                store.refresh()
    found = [change.held for read in payloads(directory) for change in read.changes]
    assert [[side.tolist() for side in held] for held in found] == expected


def first_version(changes):
    """A payload as writers of the first version made it."""
    arrays = [array for change in changes for array in (*change.add, *change.remove)]
    data = payload([change.about for change in changes])
    return data + b"".join(array.astype("<u8").tobytes() for array in arrays)


EXACT = st.builds(
    lambda add, remove, reason: Delta("stolen", add=sorted(add), remove=sorted(remove), reason=reason),
    KEYS,
    KEYS,
    st.sampled_from([None, "lost", "lost|fraud"]),
)
TIES = st.builds(
    lambda add, remove: Delta(
        "testers", add=([key for key, _ in add], [imsi for _, imsi in add]), remove=([remove], ["00101"])
    ),
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["00101", "26201"])), max_size=3),
    st.integers(0, 2),
)
RANGES = st.builds(
    lambda low, size: Delta("stolen", rule="range", add=([low], [low + size])),
    st.integers(0, 9),
    st.integers(0, 5),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(EXACT | TIES | RANGES, max_size=3), max_size=5))
def test_a_journal_of_the_first_version_says_what_it_said(tmp_path_factory, records):
    """Read, taken over by a writer, compacted: the lists are those of a store that has the same changes."""
    home = tmp_path_factory.mktemp("first")
    register = Register()
    register.add("stolen", [1, 2], status=B)
    register.exempt("testers", [1], ["00101"])
    with mock.patch.object(_journal, "VERSION", 1):
        Store.create(home / "old", register).close()
    append(
        home / "old", *(first_version([change_of(each, register.lists) for each in some]) for some in records)
    )
    with Store.create(home / "new", register) as new, Store.open(home / "old") as old:
        for some in records:
            new.apply(*some)
        reader, expected = Store.open(home / "old"), [one.digest() for one in new.lists]
        assert [one.digest() for one in old.lists] == expected
        for number, some in enumerate(records, 1):
            assert old.apply(*some, sequence=number) == number, "known to be the same"
        old.apply(feed="op")
        assert reader.refresh()
        old.compact()
        for one in (reader, old, Store.verify(home / "old")):
            assert [each.digest() for each in one.lists] == expected
            assert (one.sequence, one.feeds) == (len(records) + 1, {"op": 1})


def test_the_text_is_filled_up_to_whole_numbers():
    """So that the numbers after it are aligned, and the same change has the same bytes."""
    for length in range(9):
        (change,) = unpacked(one({**ALL, "list": "x" * length}), PATH).changes
        data = packed(Payload((change,)))
        size = int.from_bytes(data[:8], "little")
        text = data[8 : 8 + size]
        assert size % 8 == 0
        assert len(text) - len(text.rstrip(b" ")) == -len(text.rstrip(b" ")) % 8
        assert len(data) == 8 + size + 8 * len([5, 7, 6, 0b10, 0b1])
