"""Two writers that take turns and are killed, and readers beside them, one of which is stopped for a while.

What a feed lists follows from its number alone: every state that a reader sees can be told from a wrong one.
"""

import contextlib
import multiprocessing
import os
import random
import select
import signal
import time
import traceback

import pytest

from imeiset import Delta, EquipmentStatus, Register, Store
from imeiset.errors import StoreLocked

FEEDS = ("op-a", "op-b")
WINDOW = 3  # a change lists one phone, and lets go of the one so many before it
JUMP = 5  # by which a full list goes on


def first(feed):
    return 10**13 * (1 + FEEDS.index(feed))


def listed(feed, number):
    """What a feed lists after that change."""
    return {first(feed) + n for n in range(max(number - WINDOW, 0) + 1, number + 1)}


def full(feed, number):
    made = Register()
    keys = sorted(listed(feed, number))
    made.add(
        feed, keys, status=EquipmentStatus.BLACKLISTED, owner=feed, reasons=[str(key % 100) for key in keys]
    )
    return made


def begun(directory):
    made = Register()
    for feed in FEEDS:
        made.add(feed, [], status=EquipmentStatus.BLACKLISTED, owner=feed)
    made.add("good", [1], status=EquipmentStatus.WHITELISTED)
    Store.create(directory, made).close()


def position(store, feed):
    found = store.status().feeds.get(feed)
    return found.number if found else 0


def holds(store):
    """Each feed lists what its number says; the numbers."""
    numbers = {feed: position(store, feed) for feed in FEEDS}
    for feed, number in numbers.items():
        around = range(first(feed) + max(number - 20, 0), first(feed) + number + 20)
        statuses = store.check_many(list(around)).tolist()
        found = {key for key, status in zip(around, statuses, strict=True) if status == 1}
        assert found == listed(feed, number), (feed, number, found)
        for key in found:
            (claim,) = store.explain(key)
            assert (claim.list, claim.owner, claim.decided) == (feed, feed, True)
    return numbers


def write(directory, feed, say, seed):
    """A writer: says what it tries and what was done, and lets the other in now and then."""
    rng = random.Random(seed)
    while True:
        with Store.open(directory) as store, contextlib.suppress(StoreLocked):
            for _ in range(rng.randrange(1, 6)):
                step(store, feed, say, rng)
        time.sleep(rng.random() * 0.002)


def step(store, feed, say, rng):
    what = rng.random()
    with store.writing():
        number = position(store, feed)
        if what < 0.8:
            say(b"try %d\n" % (number + 1))
            key = first(feed) + number + 1
            about = {"reason": str(key % 100), "ref": f"file {number + 1}"}
            change = Delta(feed, add=[key], remove=[key - WINDOW], **about)
            assert store.apply(change, feed=feed, sequence=number + 1) == number + 1
            say(b"done %d\n" % (number + 1))
    if 0.8 <= what < 0.9:
        say(b"try %d\n" % (number + JUMP))
        store.replace(full(feed, number + JUMP), feed=feed, through=number + JUMP, force=True)
        say(b"done %d\n" % (number + JUMP))
    if what > 0.95:
        store.compact()
        store.prune(1, history=365)
    elif what > 0.9:
        store.compact_in_background().result()


def started(directory, feed, seed):
    """A writer in a child."""
    return child(lambda say: write(directory, feed, say, seed))


def child(run):
    """A child that runs this, and says what it says in a pipe: its process number, and the end to read."""
    reading, writing = os.pipe()
    number = os.fork()
    if number:
        os.close(writing)
        return number, reading
    try:
        os.close(reading)
        run(lambda line: os.write(writing, line))
    except BaseException:
        traceback.print_exc()
        os.write(writing, traceback.format_exc().encode())
    finally:
        os._exit(1)


def killed(children):
    """What each said before it was killed: the last number it tried, and the last that was done."""
    for child, _ in children:
        os.kill(child, signal.SIGKILL)
    for child, reading in children:
        status = os.waitpid(child, 0)[1]
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        with os.fdopen(reading, "rb") as pipe:
            said = [line.split() for line in pipe.read().splitlines(keepends=True) if line.endswith(b"\n")]
        yield {
            word: max((int(n) for what, n in said if what == word), default=0) for word in (b"try", b"done")
        }


def look_on(directory, ended, fault):
    """A reader: never a state that was not committed, and none that was taken back."""
    try:
        store, last = Store.open(directory), dict.fromkeys(FEEDS, 0)
        while not ended.is_set():
            store.refresh()
            numbers = holds(store)
            assert all(numbers[feed] >= last[feed] for feed in FEEDS), (numbers, last)
            last = numbers
            assert holds(store) == last
            for feed, number in numbers.items():
                told = [event.action for event in store.history(first(feed) + number)]
                assert number == 0 or told in (["added"], ["added", "removed"]), (feed, number, told)
            time.sleep(0.002)
        assert min(last.values()) > 0
    except BaseException:
        fault.write_text(traceback.format_exc())


def cycles(directory, count, seed):
    rng = random.Random(seed)
    begun(directory)
    fork = multiprocessing.get_context("fork")
    ended, faults = fork.Event(), [directory.with_name(f"fault {n}") for n in range(2)]
    readers = [fork.Process(target=look_on, args=(directory, ended, fault)) for fault in faults]
    for reader in readers:
        reader.start()
    stopped = readers[0].pid
    try:
        kill_and_look(directory, count, rng, stopped)
    finally:
        os.kill(stopped, signal.SIGCONT)
        ended.set()
        for reader in readers:
            reader.join(60)
            reader.kill()
            reader.join()
    assert [fault.read_text() for fault in faults if fault.exists()] == []
    assert [reader.exitcode for reader in readers] == [0, 0]
    tell(directory)


def kill_and_look(directory, count, rng, stopped):
    reader, before, busy, pause = Store.open(directory), dict.fromkeys(FEEDS, 0), 0, 0.08
    for cycle in range(count):
        if cycle % 10 == 3:
            os.kill(stopped, signal.SIGSTOP)  # wherever it is: what it maps goes on without it
        if cycle % 10 == 9:
            os.kill(stopped, signal.SIGCONT)
        children = [started(directory, feed, rng.random()) for feed in FEEDS]
        select.select([reading for _, reading in children], [], [], rng.choice((0, 10, 10)))  # they began
        time.sleep(rng.random() * pause)
        promised = dict(zip(FEEDS, killed(children), strict=True))
        with Store.open(directory) as store:
            found = holds(store)
        for feed, said in promised.items():
            least = max(before[feed], said[b"done"])
            assert found[feed] in (least, said[b"try"]), (feed, found, said)
            assert found[feed] >= least
            busy += said[b"done"] > 0
        # Where all is slow, as under a sanitizer, writers get the time to come to their work.
        pause = 0.08 if any(said[b"done"] for said in promised.values()) else min(1.5 * pause, 2.0)
        reader.refresh()
        assert holds(reader) == found
        before = found
    assert busy > count // 20, "the writers were hardly ever killed at work"


def tell(directory):
    """Every change is in the history once, under its number, in order."""
    with Store.open(directory) as store:
        numbers, added, removed = holds(store), [], []
        for event in store.history():
            assert event.feed == event.by == event.list
            (added if event.action == "added" else removed).append(
                (event.feed, int(event.imei[:14]), event.number)
            )
        for feed, number in numbers.items():
            keys = [key for who, key, _ in added if who == feed]
            assert len(set(keys)) == len(keys), "an insertion was applied twice"
            gone = [key for who, key, _ in removed if who == feed]
            assert len(set(gone)) == len(gone)
            assert set(keys) - set(gone) == listed(feed, number)
            in_order = [n for who, _, n in added if who == feed]
            assert in_order == sorted(in_order)
        store.apply(Delta("good", add=[2]))
        store.compact()
        store.prune(1)
        assert holds(store) == numbers
    assert sum(path.name.startswith(("base", "journal")) for path in directory.iterdir()) == 2


def test_two_writers_killed_100_times(tmp_path):
    cycles(tmp_path / "store", 100, 1)


@pytest.mark.long
def test_two_writers_killed_3000_times(tmp_path):
    cycles(tmp_path / "store", 3000, 2)
