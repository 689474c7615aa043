"""When a front is ready, row by row: what is so, and what /readyz says of it."""

import math
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from imeiset import EquipmentStatus
from imeiset.serve.admin.health import SILENT, Expected, Followers, is_alive, reasons, seconds
from imeiset.serve.state import ProcessState

NOW = 1_795_964_248.0
BLACK = EquipmentStatus.BLACKLISTED


def process(kind="http", index=0, beat=NOW - 0.4, **more):
    return ProcessState(kind, index, more.pop("pid", 12), NOW - 100, beat, **more)


def status(fault=None, sequence=7, age=30.0, followed=None, **ages):
    """Of a store with these lists, by their ages."""
    lists = {
        name: SimpleNamespace(age=one, status=BLACK, kind="imeis", owner="") for name, one in ages.items()
    }
    return SimpleNamespace(fault=fault, sequence=sequence, age=age, lists=lists, followed=followed or {})


def followed(fault=None, kind=None, hours=0.0):
    """Of a publisher, with a fault that began so long ago."""
    since = datetime.fromtimestamp(NOW - 3600 * hours, UTC) if fault else None
    return {"of-op-a": SimpleNamespace(edition=7, fault=fault, kind=kind, since=since)}


TWO = Expected({"http": 2, "s13": 1})
ALL = (process(), process(index=1), process("s13"), process("admin"))


@pytest.mark.parametrize(
    ("processes", "of_store", "expected", "words"),
    [
        # workers
        (ALL, status(), TWO, []),
        (ALL[:2] + ALL[3:], status(), TWO, ["S13 processes: 0 of 1 run"]),
        (ALL[:1] + ALL[2:], status(), TWO, ["HTTP workers: 1 of 2 run"]),
        ((), status(), TWO, ["HTTP workers: 0 of 2 run", "S13 processes: 0 of 1 run"]),
        ((), status(), Expected(), []),
        ((process(index=7), process(index=9), *ALL[2:]), status(), TWO, []),  # whichever places they have
        ((*ALL, process(index=2, beat=NOW - 900)), status(), TWO, []),  # killed, and another one came
        ((*ALL, process(index=2, pid=0), process(index=3, pid=0, beat=NOW - 900)), status(), TWO, []),
        ((process(beat=NOW - SILENT), *ALL[1:]), status(), TWO, []),
        (
            (process(beat=NOW - SILENT - 1), *ALL[1:]),
            status(),
            TWO,
            ["HTTP workers: 1 of 2 run", "HTTP worker 0 was last heard of 6 s ago"],
        ),
        (
            (process(beat=NOW + 3600), *ALL[1:]),
            status(),
            TWO,
            ["HTTP workers: 1 of 2 run", "HTTP worker 0 was last heard of 1 h ago"],
        ),
        ((process(pid=0), *ALL[1:]), status(), TWO, ["HTTP workers: 1 of 2 run"]),
        # publishers
        ((*ALL, process("follow")), status(followed=followed()), TWO, []),
        (ALL, status(), Expected({"follow": 1}), ["followers: 0 of 1 run"]),
        (
            ALL,
            status(followed=followed("a: expected X, got Y", "TrustRefused", 0.5)),
            TWO,
            ["edition 7 serves, for 30 min: a: expected X, got Y"],
        ),
        (
            ALL,
            status(followed=followed("a: stale", "TrustStale", 26)),
            TWO,
            ["edition 7 serves, for 1 d 2 h: a: stale"],
        ),
        (ALL, status(followed=followed("a: away", "TrustUnreachable", 0.9)), TWO, []),
        (
            ALL,
            status(followed=followed("a: away", "TrustMissing", 3)),
            TWO,
            ["edition 7 serves, for 3 h: a: away"],
        ),
        # refreshes that failed
        (
            (*ALL[:1], process(index=1, fault="eir/journal: expected a file, got nothing"), *ALL[2:]),
            status(),
            TWO,
            ["HTTP worker 1 cannot read the store: eir/journal: expected a file, got nothing"],
        ),
        ((*ALL, process(index=2, fault="of the past", beat=NOW - 60)), status(), TWO, []),
        ((*ALL, process(index=2, fault="of the past", pid=0)), status(), TWO, []),
        (
            ALL,
            status(fault="eir/490154203237518: gone\n"),
            TWO,
            ["the store cannot be read, its last state serves: eir/49015420*******: gone\\n"],
        ),
        (ALL, None, TWO, ["the store is not open"]),
        # lists
        (ALL, status(stolen=3600.0), TWO._replace(max_age={"stolen": 3600.0}), []),
        (
            ALL,
            status(stolen=93600.0),
            TWO._replace(max_age={"stolen": 3600.0}),
            ["list 'stolen' was last heard of 1 d 2 h ago, at most 1 h are allowed"],
        ),
        (ALL, status(found=1.0), TWO._replace(max_age={"stolen": 60.0}), ["list 'stolen' is missing"]),
        (
            ALL,
            status(stolen=None),
            TWO._replace(max_age={"stolen": 60.0}),
            ["list 'stolen' was not heard of since the store was made, at most 1 min are allowed"],
        ),
        (ALL, status(sequence=0, stolen=None), TWO._replace(max_age={"stolen": 60.0}), []),
        (
            ALL,
            status(sequence=0, age=61.0, stolen=None),
            TWO._replace(max_age={"stolen": 60.0}),
            ["list 'stolen' was last heard of 1 min 1 s ago, at most 1 min are allowed"],
        ),
        (
            ALL,
            status(stolen=math.inf),
            TWO._replace(max_age={"stolen": 60.0}),
            ["list 'stolen' was changed in the future by the clock here: nobody knows how old it is"],
        ),
        # embedded
        (None, status(), Expected(), []),
        (None, status(), TWO, []),
        (None, status(fault="gone"), TWO, ["the store cannot be read, its last state serves: gone"]),
    ],
)
def test_reasons(processes, of_store, expected, words):
    assert reasons(processes, of_store, expected, NOW) == words


def test_all_that_is_wrong_is_said():
    wrong = reasons(ALL[:1], status(fault="gone"), TWO._replace(max_age={"a": 1.0, "b": 1.0}), NOW)
    assert len(wrong) == 5


def test_names_of_lists_are_masked_and_printable():
    name = "imei-490154203237518\x1b[31m"
    assert reasons(None, status(), Expected(max_age={name: 1.0}), NOW) == [
        "list 'imei-49015420*******\\\\x1b[31m' is missing"
    ]


def told(beat, *sequences):
    return [process(index=index, beat=beat, sequence=sequence) for index, sequence in enumerate(sequences)]


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        # (seconds, what each worker answers by)
        ([(0, 7, 7), (2, 7, 7), (8, 7, 7)], []),
        ([(0, 7, 7), (2, 9, 7)], []),  # just now
        ([(0, 7, 7), (2, 9, 7), (6, 9, 7)], []),
        (
            [(0, 7, 7), (2, 9, 7), (7, 9, 7)],
            ["HTTP worker 1 answers by change 7, and change 9 was there 5 s before"],
        ),
        ([(0, 7, 7), (2, 9, 7), (7, 9, 9)], []),  # it came
        # a writer that never rests: each is a little behind, and none stays
        ([(at, 10 * at, 10 * at - 9) for at in range(30)], []),
        (
            [(at, 1000 + at, 1000) for at in range(9)],
            ["HTTP worker 1 answers by change 1,000, and change 1,003 was there 5 s before"],
        ),
        ([(0, 9, 9), (2, 3, 3), (8, 3, 3)], []),  # another store, with lower numbers
        ([(0, 9, 9), (2, 3, 9), (8, 3, 3)], []),
        ([], []),
    ],
)
def test_a_process_that_does_not_follow_the_store_is_said(steps, words):
    followers, found = Followers(), []
    for seconds_on, *sequences in steps:
        now = NOW + seconds_on
        followers.take(sequences, now)
        found = followers.left_behind(told(now, *sequences), now)
    assert found == words


def test_who_is_silent_or_has_ended_is_not_said_to_be_behind():
    followers = Followers()
    followers.take([9], NOW - 100)
    behind = [process(beat=NOW - 60, sequence=1), process(pid=0, sequence=1)]
    assert followers.left_behind(behind, NOW) == []
    assert len(followers.left_behind([process(sequence=1)], NOW)) == 1


@pytest.mark.parametrize(
    ("one", "alive"),
    [
        (process(), True),
        (process(beat=NOW), True),
        (process(beat=NOW + 1), True),
        (process(beat=NOW - 100), False),
        (process(beat=NOW + 100), False),
        (process(pid=0), False),
    ],
)
def test_is_alive(one, alive):
    assert is_alive(one, NOW) == alive


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3601, "1 h"),
        (90061, "1 d 1 h"),
        (86400, "1 d"),
    ],
)
def test_seconds(count, words):
    assert seconds(count) == words
